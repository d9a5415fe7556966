"""Phasic components by a Butterworth high-pass, with and without the noise of the amplifier."""

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

# Periods of the cutoff, in which the high-pass forgets where it began: 30 s at 0.05 Hz.
PADDING = 1.5


@register_decomposition("highpass")
@dataclass(frozen=True)
class Highpass(Filter):
    """Take what passes a Butterworth high-pass of order 2, forwards and backwards, for phasic.

    A trial is shorter than the filter's memory asks for, so the straight line of least squares is
    taken off and the rest goes on for 1.5 periods of the cutoff (30 s) at its first and last value.
    On windows of 25 s cut out of longer recordings that comes a third closer to the whole
    recording's phasic component than scipy's default padding does.

    Parameters
    ----------
    cutoff : float, default=0.05
        Hz; half of a wave of this frequency passes.
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
    """Filter as `Highpass` does, and with a low-pass of order 4 where the rate leaves room for it.

    So NeuroKit2 cleans and splits by default; the ends are not as there.

    Parameters
    ----------
    cutoff : float, default=0.05
        Hz; half of a wave of this frequency passes.
    noise : float, default=3.0
        Hz; what lies above is the amplifier's. Recordings of at most twice as many samples per
        second are not low-passed.
    """

    cutoff: float = 0.05
    noise: float = 3.0

    def check(self, sampling_rate: float) -> None:
        """Raise a ValueError if a frequency is out of its range."""
        check_cutoff(self.cutoff, sampling_rate)
        check_number("noise", self.noise)
        if self.noise <= self.cutoff:
            raise ValueError(f"noise must lie above cutoff={self.cutoff!r}, got {self.noise!r}.")

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
    """Return the second-order sections of the filters; nobody may change them."""
    sections = butter(2, cutoff, "highpass", fs=sampling_rate, output="sos")
    if noise is not None:
        smooth = butter(4, noise, "lowpass", fs=sampling_rate, output="sos")
        sections = np.vstack([sections, smooth])
    return sections
