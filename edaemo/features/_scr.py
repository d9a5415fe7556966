"""Skin conductance responses (SCRs) in many trials at once."""

from __future__ import annotations

import numpy as np

from edaemo.decomposition import Responses, find_responses

__all__ = ["Responses", "area_above_onset", "find_responses", "scr_statistics"]


def area_above_onset(phasic: np.ndarray, found: Responses, sampling_rate: float) -> np.ndarray:
    """Give each trial's area of SCRs, in the unit of the phasic component times seconds.

    An SCR's area lies above the level of its onset and ends at the next SCR's onset or with the
    trial; what falls below that level does not count.
    """
    onset = np.full(phasic.shape, -1)
    onset[found.trial, found.onset] = found.onset
    onset = np.maximum.accumulate(onset, axis=1)
    level = np.take_along_axis(phasic, np.maximum(onset, 0), axis=1)
    above = np.where(onset < 0, 0.0, np.maximum(phasic - level, 0.0))
    return np.sum(above, axis=1) / sampling_rate


def scr_statistics(
    phasic: np.ndarray, found: Responses, sampling_rate: float
) -> tuple[np.ndarray, ...]:
    """Give count, mean amplitude, mean rise time, and the sums of both, of each trial.

    The means of a trial without an SCR are 0.
    """
    count = found.count()
    amplitude = found.total(found.amplitude)
    rise_time = found.total((found.peak - found.onset) / sampling_rate)
    n = np.maximum(count, 1)
    return count, amplitude / n, rise_time / n, amplitude, rise_time
