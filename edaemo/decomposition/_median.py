"""Phasic components by subtraction of a moving median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from edaemo.decomposition._filter import Filter, check_number, silence_rounding
from edaemo.decomposition._method import register_decomposition


@register_decomposition("median")
@dataclass(frozen=True)
class Median(Filter):
    """Moving median; it is the tonic component, and the rest is phasic.

    The window has ``round(window * sampling_rate)`` samples, plus one if that is even. Recordings
    are extended with their first and last value. A trial that only rises or only falls is therefore
    entirely tonic.

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
        margin = width // 2
        padded = np.pad(signals, ((0, 0), (margin, margin)), mode="edge")
        # Row by row: scipy's median filter is fast in one dimension only.
        tonic = [median_filter(row, size=width)[margin : margin + n_samples] for row in padded]
        return silence_rounding(signals - np.stack(tonic), signals)
