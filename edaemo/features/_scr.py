"""Statistics of skin conductance responses (SCRs) of a batch of trials."""

from __future__ import annotations

import numpy as np

from edaemo.decomposition import SMALLEST_US, Responses, find_responses

__all__ = ["SMALLEST_US", "Responses", "area_above_onset", "find_responses", "scr_statistics"]


def area_above_onset(phasic: np.ndarray, responses: Responses, sampling_rate: float) -> np.ndarray:
    """Return each trial's area of SCRs, in the unit of the phasic component times seconds.

    The area of an SCR is the area above the level of its onset, up to the onset of the next SCR or
    the end of the trial. Samples below that level do not count.
    """
    onset = np.full(phasic.shape, -1)
    onset[responses.trial, responses.onset] = responses.onset
    onset = np.maximum.accumulate(onset, axis=1)
    level = np.take_along_axis(phasic, np.maximum(onset, 0), axis=1)
    above = np.where(onset < 0, 0.0, np.maximum(phasic - level, 0.0))
    return np.sum(above, axis=1) / sampling_rate


def scr_statistics(
    phasic: np.ndarray, responses: Responses, sampling_rate: float
) -> tuple[np.ndarray, ...]:
    """Return count, mean amplitude, mean rise time, and the sums of both, for each trial.

    The means of a trial without SCRs are 0.
    """
    count = responses.count()
    amplitude = responses.total(responses.amplitude)
    rise_time = responses.total((responses.peak - responses.onset) / sampling_rate)
    n = np.maximum(count, 1)
    return count, amplitude / n, rise_time / n, amplitude, rise_time
