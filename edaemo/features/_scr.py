"""Skin conductance responses (SCRs) in many trials at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edaemo.features._phasic import RESOLUTION

SMALLEST = 0.1  # of the trial's largest rise


@dataclass(frozen=True)
class Responses:
    """All SCRs of a batch, trial after trial and in order of time within each.

    `trial` is the row of each SCR; `onset` and `peak` are samples; `amplitude` is the rise from
    onset to peak in the unit of the phasic component.
    """

    n_trials: int
    trial: np.ndarray
    onset: np.ndarray
    peak: np.ndarray
    amplitude: np.ndarray

    def count(self) -> np.ndarray:
        """Count the SCRs of each trial."""
        return np.bincount(self.trial, minlength=self.n_trials).astype(float)

    def total(self, of: np.ndarray) -> np.ndarray:
        """Sum what belongs to each SCR over those of each trial, 0 for a trial without one."""
        return np.bincount(self.trial, weights=of, minlength=self.n_trials)


def find_responses(phasic: np.ndarray) -> Responses:
    """Find the SCRs of each trial.

    A rise runs from a sample after which the phasic component goes up (the onset) to the next one
    after which it goes down (the peak); what stays level on the way interrupts no rise, and of a
    level top the first sample is the peak. A rise already under way at the first sample, or still
    under way at the last, has no onset or no peak to be seen and does not count. Of the others
    those are SCRs that reach a tenth of the trial's largest.

    Parameters
    ----------
    phasic : ndarray of shape (n_trials, n_samples)

    Returns
    -------
    Responses
    """
    n_trials, n_samples = phasic.shape
    step = np.diff(phasic, axis=1)
    place = np.arange(n_samples - 1)
    # The last step up or down before each place: level stretches belong to what came before them.
    moved = np.maximum.accumulate(np.where(step != 0, place, 0), axis=1)
    rising = np.take_along_axis(step, moved, axis=1) > 0
    last_up = np.maximum.accumulate(np.where(step > 0, place, 0), axis=1)
    edge = np.zeros((n_trials, 1), dtype=bool)
    begins = rising & ~np.hstack([edge, rising[:, :-1]])
    ends = rising & ~np.hstack([rising[:, 1:], edge])
    trial, onset = np.nonzero(begins)  # as many as there are ends, and in the same order
    peak = last_up[ends] + 1
    amplitude = phasic[trial, peak] - phasic[trial, onset]
    seen = (onset > 0) & (peak < n_samples - 1)
    trial, onset, peak, amplitude = (a[seen] for a in (trial, onset, peak, amplitude))
    largest = np.zeros(n_trials)
    np.maximum.at(largest, trial, amplitude)
    rounding = RESOLUTION * np.max(np.abs(phasic), axis=1)
    counts = (amplitude >= SMALLEST * largest[trial]) & (amplitude > rounding[trial])
    return Responses(n_trials, trial[counts], onset[counts], peak[counts], amplitude[counts])


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
