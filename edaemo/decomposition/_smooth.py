"""Phasic components by subtraction of a Gaussian moving average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import oaconvolve
from scipy.signal.windows import gaussian

from edaemo.decomposition._filter import Filter, around_line, check_cutoff, silence_rounding
from edaemo.decomposition._method import register_decomposition

REACH = 4  # standard deviations at which the Gaussian is truncated; 6e-5 of it are outside


@register_decomposition("smooth")
@dataclass(frozen=True)
class Smooth(Filter):
    """Gaussian smoothing; the smoothed trial is the tonic component, and the rest is phasic.

    Unlike a moving average with equal weights it does not invert any frequency. After subtraction
    of the least-squares line, a recording is extended with its first and last value.

    Parameters
    ----------
    cutoff : float, default=0.05
        Frequency in Hz at which the gain of the Gaussian is one half. Its standard deviation is
        sqrt(ln(2) / 2) / (pi * cutoff) seconds, 3.75 s at 0.05 Hz.
    """

    cutoff: float = 0.05

    def check(self, sampling_rate: float) -> None:
        """Raise a ValueError if the cutoff is out of its range."""
        check_cutoff(self.cutoff, sampling_rate)

    def phasic(self, signals: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Return the phasic components; see `Filter.phasic`."""
        sigma = np.sqrt(np.log(2) / 2) / (np.pi * self.cutoff)
        rest = around_line(signals)
        margin = round(REACH * sigma * sampling_rate)
        weights = gaussian(2 * margin + 1, sigma * sampling_rate)
        padded = np.pad(rest, ((0, 0), (margin, margin)), mode="edge")
        level = oaconvolve(padded, (weights / np.sum(weights))[None], mode="valid", axes=1)
        return silence_rounding(rest - level, signals)
