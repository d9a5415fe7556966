"""Phasic components by a Butterworth high-pass, with and without a low-pass for noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.signal import butter, sosfiltfilt

from edaemo.decomposition._filter import (
    Filter,
    around_line,
    check_cutoff,
    check_number,
    silence_rounding,
)
from edaemo.decomposition._method import register_decomposition

# Padding in periods of the cutoff, long enough for the high-pass to settle: 30 s at 0.05 Hz.
PADDING = 1.5


@register_decomposition("highpass")
@dataclass(frozen=True)
class Highpass(Filter):
    """Butterworth high-pass of order 2, forwards and backwards; its output is phasic.

    A trial is short compared with the settling time of the filter. Therefore the least-squares line
    is subtracted, and the rest is extended by 1.5 periods of the cutoff (30 s) with its first and
    last value. On windows of 25 s from longer recordings, the result is a third closer to the
    phasic component of the whole recording than with scipy's default padding.

    Parameters
    ----------
    cutoff : float, default=0.05
        Frequency in Hz at which the gain is one half.
    """

    cutoff: float = 0.05

    def check(self, sampling_rate: float) -> None:
        """Raise a ValueError if the cutoff is out of its range."""
        check_cutoff(self.cutoff, sampling_rate)

    def phasic(self, signals: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Return the phasic components; see `Filter.phasic`."""
        return filter_around_line(signals, sampling_rate, self.cutoff, None)


@register_decomposition("bandpass")
@dataclass(frozen=True)
class Bandpass(Filter):
    """`Highpass`, and a low-pass of order 4 if the sampling rate is high enough.

    This is NeuroKit2's default for cleaning and splitting, with another treatment of the ends.

    Parameters
    ----------
    cutoff : float, default=0.05
        Frequency in Hz at which the gain of the high-pass is one half.
    noise : float, default=3.0
        Cutoff of the low-pass in Hz; higher frequencies are noise of the amplifier. Recordings with
        a sampling rate of at most twice this value are not low-passed.
    """

    cutoff: float = 0.05
    noise: float = 3.0

    def check(self, sampling_rate: float) -> None:
        """Raise a ValueError if a frequency is out of its range."""
        check_cutoff(self.cutoff, sampling_rate)
        check_number("noise", self.noise)
        if self.noise <= self.cutoff:
            raise ValueError(f"noise must be above cutoff={self.cutoff!r}, got {self.noise!r}.")

    def phasic(self, signals: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Return the phasic components; see `Filter.phasic`."""
        noise = self.noise if sampling_rate > 2 * self.noise else None
        return filter_around_line(signals, sampling_rate, self.cutoff, noise)


def filter_around_line(
    signals: np.ndarray, sampling_rate: float, cutoff: float, noise: float | None
) -> np.ndarray:
    """Filter forwards and backwards; shapes as in `Filter.phasic`, frequencies in Hz."""
    padding = round(PADDING / cutoff * sampling_rate)
    rest = np.pad(around_line(signals), ((0, 0), (padding, padding)), mode="edge")
    sections = _sections(sampling_rate, cutoff, noise)
    phasic = sosfiltfilt(sections, rest, axis=1, padtype=None)[:, padding:-padding]
    return silence_rounding(np.ascontiguousarray(phasic), signals)


@lru_cache(maxsize=64)
def _sections(sampling_rate: float, cutoff: float, noise: float | None) -> np.ndarray:
    """Return the second-order sections of the filters; they are cached and must not be changed."""
    sections = butter(2, cutoff, "highpass", fs=sampling_rate, output="sos")
    if noise is not None:
        smooth = butter(4, noise, "lowpass", fs=sampling_rate, output="sos")
        sections = np.vstack([sections, smooth])
    return sections
