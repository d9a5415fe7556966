"""Phasic components by filters: high-pass, moving median, Gaussian smoothing.

Everywhere the tonic component is what the phasic one leaves of the recording.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import butter, oaconvolve, sosfiltfilt
from scipy.signal.windows import gaussian

from edaemo.decomposition._events import RESOLUTION

CUTOFF = 0.05  # Hz, below is tonic
PADDING = 30.0  # seconds, in which the high-pass forgets where it began
WINDOW = 4.0  # seconds, of the moving median
# Seconds. This Gaussian passes half of a wave at CUTOFF, as the high-pass does.
SIGMA = np.sqrt(np.log(2) / 2) / (np.pi * CUTOFF)
REACH = 4  # standard deviations, where the Gaussian ends: 6e-5 of it lie beyond


def highpass(signals: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Give the phasic component by a Butterworth high-pass of order 2, forwards and backwards.

    Parameters
    ----------
    signals : ndarray of shape (n_trials, n_samples)
        Recordings of one length, finite.
    sampling_rate : float
        Hz, above 0.1.

    Returns
    -------
    ndarray of shape (n_trials, n_samples)
    """
    return filter_around_line(signals, sampling_rate, highpass_sections(sampling_rate))


def median(signals: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Give the phasic component as what a moving median of 4 s leaves; shapes as in `highpass`.

    The window has ``round(4 * sampling_rate)`` samples, or one more where that is even; recordings
    go on at their first and last value. So a trial that only rises or only falls is all tonic.
    """
    n_samples = signals.shape[1]
    width = round(WINDOW * sampling_rate) | 1
    aside = width // 2
    padded = np.pad(signals, ((0, 0), (aside, aside)), mode="edge")
    # Row by row: scipy is quick in one dimension only.
    tonic = [median_filter(row, size=width)[aside : aside + n_samples] for row in padded]
    return silence_rounding(signals - np.stack(tonic), signals)


def smooth(signals: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Give the phasic component as what a Gaussian of 3.75 s leaves; shapes as in `highpass`.

    The Gaussian passes half of a wave at 0.05 Hz and, unlike a moving average, turns none upside
    down. Around its line of least squares a recording goes on at its first and last value.
    """
    rest = _around_line(signals)
    aside = round(REACH * SIGMA * sampling_rate)
    weights = gaussian(2 * aside + 1, SIGMA * sampling_rate)
    padded = np.pad(rest, ((0, 0), (aside, aside)), mode="edge")
    level = oaconvolve(padded, (weights / np.sum(weights))[None], mode="valid", axes=1)
    return silence_rounding(rest - level, signals)


def highpass_sections(sampling_rate: float) -> np.ndarray:
    """Give the second-order sections of the high-pass at 0.05 Hz."""
    return butter(2, CUTOFF, "highpass", fs=sampling_rate, output="sos")


def filter_around_line(
    signals: np.ndarray, sampling_rate: float, sections: np.ndarray
) -> np.ndarray:
    """Filter recordings forwards and backwards, as fits trials; shapes as in `highpass`.

    A trial is shorter than the filter's memory asks for, so the straight line of least squares is
    taken off and the rest goes on for 30 s at its first and last value. On windows of 25 s cut out
    of longer recordings that comes a third closer to the whole recording's phasic component than
    scipy's default padding does.
    """
    padding = round(PADDING * sampling_rate)
    rest = np.pad(_around_line(signals), ((0, 0), (padding, padding)), mode="edge")
    phasic = sosfiltfilt(sections, rest, axis=1, padtype=None)[:, padding:-padding]
    return silence_rounding(np.ascontiguousarray(phasic), signals)


def silence_rounding(phasic: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Set the phasic component to zero where it is the rounding of a flat or straight trial."""
    loudest = np.max(np.abs(signals), axis=1, keepdims=True)
    return np.where(np.std(phasic, axis=1, keepdims=True) > RESOLUTION * loudest, phasic, 0.0)


def _around_line(signals: np.ndarray) -> np.ndarray:
    """Take each recording's straight line of least squares off."""
    time = np.linspace(-1, 1, signals.shape[1])
    slope = np.mean(signals * time, axis=1, keepdims=True) / np.mean(time**2)
    return signals - np.mean(signals, axis=1, keepdims=True) - slope * time
