"""The phasic component that all features are computed from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import butter

from edaemo.decomposition._events import RESOLUTION
from edaemo.decomposition._filters import filter_around_line, highpass_sections, silence_rounding
from edaemo.preprocessing._cvxeda import decompose_trials

__all__ = ["RESOLUTION", "cvxeda", "highpass"]

NOISE = 3.0  # Hz, above is the amplifier
NOISE_FROM_RATE = 6.0  # Hz, where there is room for a low-pass at NOISE


def highpass(signals: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Filter recordings of one length, shape (n_trials, n_samples), forwards and backwards.

    A Butterworth high-pass of order 2 at 0.05 Hz and, above 6 Hz, a low-pass of order 4 at 3 Hz,
    as NeuroKit2 cleans and splits by default. The ends are not as there: see `filter_around_line`.
    """
    sections = highpass_sections(sampling_rate)
    if sampling_rate > NOISE_FROM_RATE:
        smooth = butter(4, NOISE, "lowpass", fs=sampling_rate, output="sos")
        sections = np.vstack([sections, smooth])
    return filter_around_line(signals, sampling_rate, sections)


def cvxeda(signals: np.ndarray, sampling_rate: float, name: Callable[[int], str]) -> np.ndarray:
    """Give the phasic components of recordings of one length by cvxEDA, in their own unit.

    Each is z-scored for the decomposition and its phasic component scaled back. `name` says in an
    error which trial it is about.
    """
    trials = decompose_trials(list(signals), sampling_rate, standardize=True, name=name)
    phasic = np.stack([trial.scale * trial.result.phasic for trial in trials])
    return silence_rounding(phasic, signals)
