"""Skin conductance responses (SCRs): the rule that finds them, and a table of one waveform's."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from edaemo.decomposition._problem import check_sampling_rate

if TYPE_CHECKING:
    import pandas as pd

SMALLEST = 0.1  # of the trial's largest rise
# What varies less than this beside its own level is rounding and counts as no variation at all.
RESOLUTION = 1e-9
LARGEST = float(np.finfo(np.float32).max)  # as everywhere in edaemo; beyond it counts as infinite


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


def find_responses(phasic: np.ndarray, *, min_amplitude: float = SMALLEST) -> Responses:
    """Find the SCRs of each trial.

    A rise runs from a sample after which the phasic component goes up (the onset) to the next one
    after which it goes down (the peak); what stays level on the way interrupts no rise, and of a
    level top the first sample is the peak. A rise already under way at the first sample, or still
    under way at the last, has no onset or no peak to be seen and does not count. Of the others
    those are SCRs that reach `min_amplitude` times the trial's largest.

    Parameters
    ----------
    phasic : ndarray of shape (n_trials, n_samples)
    min_amplitude : float

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
    counts = (amplitude >= min_amplitude * largest[trial]) & (amplitude > rounding[trial])
    return Responses(n_trials, trial[counts], onset[counts], peak[counts], amplitude[counts])


def scr_events(
    phasic: ArrayLike, sampling_rate: float, *, min_amplitude: float = SMALLEST
) -> pd.DataFrame:
    """List the skin conductance responses (SCRs) of one phasic waveform.

    An SCR is found by its rise. A rise runs from its onset, the sample after which the waveform
    goes up, to its peak, the next sample after which it goes down. Equal samples on the way up
    interrupt no rise; of a level bottom the last sample is the onset, of a level top the first
    is the peak. A rise without a beginning or an end to be seen does not count: one whose onset
    would be the first sample, or whose peak would be the last. Of the others those are SCRs whose
    amplitude, peak minus onset, is at least `min_amplitude` times the largest of them and more
    than 1e-9 of the waveform's largest absolute value, which is rounding.

    The measure is relative, so that a waveform of noise alone has many small SCRs: look at the
    column ``amplitude``.

    Parameters
    ----------
    phasic : array-like of shape (n,)
        The phasic component of one recording: one or more finite real numbers, in any unit. Noise
        makes rises of its own and moves onsets, so filter or decompose a recording first.
    sampling_rate : float
        Samples per second (Hz).
    min_amplitude : float
        Smallest amplitude of an SCR as a share of the largest in the waveform, from 0 to 1.

    Returns
    -------
    DataFrame
        One row for each SCR, in order of time, with a RangeIndex. Without an SCR it has no row,
        and the same columns and dtypes.

        ``onset``, ``peak`` : float64, seconds from the first sample.
        ``amplitude`` : float64, peak minus onset in the unit of `phasic`.
        ``rise_time`` : float64, seconds from onset to peak.
        ``half_recovery_time`` : float64, seconds from the peak to where the waveform has come
        down to the onset's level plus half the amplitude, on the straight line between the two
        samples about it. NaN where it does not get there by the next SCR's onset or the last
        sample.
        ``onset_sample``, ``peak_sample`` : int64, indices into `phasic`.

    Raises
    ------
    ValueError
        If `phasic` has another shape, no sample, or samples that are masked, NaN, infinite,
        beyond float32's range or no real numbers, or if a parameter is out of its range.

    Notes
    -----
    NeuroKit2's ``eda_peaks`` differs in that its share is of the peak's prominence, so that a
    peak on the flank of a higher one is dropped; here both rises count.
    ``benchmarks/scr_agreement.py`` compares the two.

    Examples
    --------
    >>> from edaemo.decomposition import scr_events
    >>> events = scr_events([0, 0, 1, 2, 4, 3, 1, 0, 0], sampling_rate=4)
    >>> events[["onset", "peak", "amplitude", "half_recovery_time"]].to_numpy()
    array([[0.25 , 1.   , 4.   , 0.375]])
    """
    import pandas as pd  # here, so that the decomposition itself goes without

    sampling_rate = check_sampling_rate(sampling_rate)
    if (
        isinstance(min_amplitude, bool)
        or not isinstance(min_amplitude, Real)
        or not 0 <= min_amplitude <= 1
    ):
        raise ValueError(
            f"min_amplitude must be a share of the largest amplitude from 0 to 1, "
            f"got {min_amplitude!r}."
        )
    phasic = _check_phasic(phasic)
    found = find_responses(phasic[None], min_amplitude=min_amplitude)
    return pd.DataFrame(
        {
            "onset": found.onset / sampling_rate,
            "peak": found.peak / sampling_rate,
            "amplitude": found.amplitude,
            "rise_time": (found.peak - found.onset) / sampling_rate,
            "half_recovery_time": _half_recovery(phasic, found) / sampling_rate,
            "onset_sample": found.onset.astype(np.int64),
            "peak_sample": found.peak.astype(np.int64),
        }
    )


def _half_recovery(phasic: np.ndarray, found: Responses) -> np.ndarray:
    """Return the samples from each peak to half recovery, with a fraction; NaN without one."""
    half = phasic[found.onset] + found.amplitude / 2
    last = np.append(found.onset, len(phasic) - 1)[1:]  # the next onset, or the last sample
    recovery = np.full(len(half), np.nan)
    for i, (peak, end) in enumerate(zip(found.peak, last, strict=True)):
        fall = phasic[peak : end + 1]
        below = int(np.argmax(fall <= half[i]))  # 0 where there is none: the peak lies above
        if below:
            before, after = fall[below - 1], fall[below]
            recovery[i] = below - 1 + (before - half[i]) / (before - after)
    return recovery


def _check_phasic(phasic: ArrayLike) -> np.ndarray:
    """Return the waveform as a float64 array."""
    if np.ma.is_masked(phasic):
        raise ValueError("phasic has masked samples: interpolate short gaps, or cut them out.")
    phasic = np.asarray(phasic)
    if phasic.ndim != 1:
        raise ValueError(
            f"phasic must be one waveform, a 1-D array, got shape {phasic.shape}: call scr_events "
            "for each recording."
        )
    if not len(phasic):
        raise ValueError("phasic has no samples: leave the recording out.")
    if phasic.dtype.kind not in "iuf":
        raise ValueError(f"phasic must hold real numbers, got dtype {phasic.dtype}.")
    bad = np.flatnonzero(~(np.abs(phasic.astype(np.float64)) <= LARGEST))
    if len(bad):
        raise ValueError(
            f"phasic has {len(bad)} NaN or infinite samples, or beyond float32, of {len(phasic)}, "
            f"the first at index {bad[0]}. Interpolate short gaps, or cut them out."
        )
    return phasic.astype(np.float64)
