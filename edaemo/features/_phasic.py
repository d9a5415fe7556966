"""The phasic component that all features are computed from."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfiltfilt

from edaemo.preprocessing._cvxeda import decompose_trial

# What varies less than this beside its own level is rounding and counts as no variation at all.
RESOLUTION = 1e-9
CUTOFF = 0.05  # Hz, below is tonic
NOISE = 3.0  # Hz, above is the amplifier
NOISE_FROM_RATE = 6.0  # Hz, where there is room for a low-pass at NOISE
PADDING = 30.0  # seconds, in which the high-pass forgets where it began


def highpass(signals: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Filter recordings of one length, shape (n_trials, n_samples), forwards and backwards.

    A Butterworth high-pass of order 2 at 0.05 Hz and, above 6 Hz, a low-pass of order 4 at 3 Hz,
    as NeuroKit2 cleans and splits by default. What it is not: a trial is shorter than the filter's
    memory asks for, so the straight line of least squares is taken off and the rest goes on for
    30 s at its first and last value. On windows of 25 s cut out of longer recordings that comes a
    third closer to the whole recording's phasic component than scipy's default padding does.
    """
    sections = butter(2, CUTOFF, "highpass", fs=sampling_rate, output="sos")
    if sampling_rate > NOISE_FROM_RATE:
        smooth = butter(4, NOISE, "lowpass", fs=sampling_rate, output="sos")
        sections = np.vstack([sections, smooth])
    n_samples = signals.shape[1]
    time = np.linspace(-1, 1, n_samples)
    slope = np.mean(signals * time, axis=1, keepdims=True) / np.mean(time**2)
    rest = signals - np.mean(signals, axis=1, keepdims=True) - slope * time
    padding = round(PADDING * sampling_rate)
    rest = np.pad(rest, ((0, 0), (padding, padding)), mode="edge")
    phasic = sosfiltfilt(sections, rest, axis=1, padtype=None)[:, padding:-padding]
    return _silence_rounding(np.ascontiguousarray(phasic), signals)


def cvxeda(signal: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Give the phasic component of one recording by cvxEDA, in the recording's own unit.

    The trial is z-scored for the decomposition and its phasic component scaled back.
    """
    trial = decompose_trial(
        signal,
        sampling_rate,
        standardize=True,
        tau0=2.0,
        tau1=0.7,
        delta_knot=10.0,
        alpha=8e-4,
        gamma=1e-2,
        solver="scipy",
    )
    return _silence_rounding((trial.scale * trial.result.phasic)[None], signal[None])[0]


def _silence_rounding(phasic: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Set the phasic component to zero where it is the rounding of a flat or straight trial."""
    loudest = np.max(np.abs(signals), axis=1, keepdims=True)
    return np.where(np.std(phasic, axis=1, keepdims=True) > RESOLUTION * loudest, phasic, 0.0)
