"""Phasic components as what a moving median leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from edaemo.decomposition._filter import Filter, check_number, silence_rounding
from edaemo.decomposition._method import register_decomposition


@register_decomposition("median")
@dataclass(frozen=True)
class Median(Filter):
    """Take what a moving median leaves for phasic.

    The window has ``round(window * sampling_rate)`` samples, or one more where that is even;
    recordings go on at their first and last value. So a trial that only rises or only falls is all
    tonic.

    Parameters
    ----------
    window : float, default=4.0
        Length of the window in seconds.
    """

    window: float = 4.0

    def check(self, sampling_rate: float) -> None:
        """Raise a ValueError if the window is out of its range."""
        check_number("window", self.window)

    def phasic(self, signals: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Return the phasic components; see `Filter.phasic`."""
        n_samples = signals.shape[1]
        width = round(self.window * sampling_rate) | 1
        aside = width // 2
        padded = np.pad(signals, ((0, 0), (aside, aside)), mode="edge")
        # Row by row: scipy is quick in one dimension only.
        tonic = [median_filter(row, size=width)[aside : aside + n_samples] for row in padded]
        return silence_rounding(signals - np.stack(tonic), signals)
