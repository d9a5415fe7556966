"""Skin conductance responses (SCRs): detection, and a table of the SCRs of one waveform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter1d
from scipy.signal import detrend

from edaemo.decomposition._problem import check_sampling_rate
from edaemo.decomposition._weights import largest_rise_of_noise, samples_of_average

if TYPE_CHECKING:
    import pandas as pd

SMALLEST = 0.1  # of the trial's largest rise
SMALLEST_US = 0.01  # µS, the smallest amplitude that is usually counted (Boucsein et al. 2012)
# Variation of at most this share of the largest absolute value counts as a rounding error.
RESOLUTION = 1e-9
LARGEST = float(np.finfo(np.float32).max)  # in all of edaemo, larger values count as infinite


@dataclass(frozen=True)
class Responses:
    """All SCRs of a batch, ordered by trial and by time within each trial.

    Parameters
    ----------
    n_trials : int
        Number of trials.
    trial : ndarray of shape (n_responses,)
        Row of the trial of each SCR.
    onset, peak : ndarray of shape (n_responses,)
        Samples at which the rise starts and ends.
    amplitude : ndarray of shape (n_responses,)
        Rise from onset to peak, in the unit of the phasic component.
    """

    n_trials: int
    trial: np.ndarray
    onset: np.ndarray
    peak: np.ndarray
    amplitude: np.ndarray

    def count(self) -> np.ndarray:
        """Return the number of SCRs of each trial.

        Returns
        -------
        ndarray of float64 of shape (n_trials,)
            The counts.
        """
        return np.bincount(self.trial, minlength=self.n_trials).astype(float)

    def select(self, kept: np.ndarray) -> Responses:
        """Return some of the SCRs.

        Parameters
        ----------
        kept : ndarray of bool of shape (n_responses,)
            Which SCRs to keep.

        Returns
        -------
        Responses
            The SCRs that are kept.
        """
        values = (self.trial, self.onset, self.peak, self.amplitude)
        return Responses(self.n_trials, *(array[kept] for array in values))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of values of the SCRs of each trial.

        Parameters
        ----------
        values : ndarray of shape (n_responses,)
            One value for each SCR.

        Returns
        -------
        ndarray of shape (n_trials,)
            The sums; 0 for a trial without SCRs.
        """
        return np.bincount(self.trial, weights=values, minlength=self.n_trials)


def find_responses(
    phasic: np.ndarray,
    *,
    min_amplitude: float = SMALLEST,
    min_amplitude_us: float | None = None,
) -> Responses:
    """Return the SCRs of each trial.

    A rise starts at a sample after which the phasic component increases (the onset) and ends at the
    next sample after which it decreases (the peak). Equal samples do not interrupt a rise. The peak
    of a plateau is its first sample. Samples are equal if they differ by at most 1e-9 of the
    trial's largest absolute value. A rise that is in progress at the first or last sample does not
    count, because its onset or peak is unknown. A rise is an SCR if its amplitude is at least
    `min_amplitude` times the largest amplitude of the trial, and at least `min_amplitude_us`.

    Parameters
    ----------
    phasic : ndarray of shape (n_trials, n_samples)
        Phasic components.
    min_amplitude : float
        Minimum amplitude as a share of the trial's largest.
    min_amplitude_us : float or None
        Minimum amplitude in microsiemens; None if `phasic` has another unit.

    Returns
    -------
    Responses
        The SCRs of all trials.
    """
    n_trials, n_samples = phasic.shape
    step = np.diff(phasic, axis=1)
    loudest = np.max(np.abs(phasic), axis=1)
    step[np.abs(step) <= RESOLUTION * loudest[:, None]] = 0.0
    place = np.arange(n_samples - 1)
    # Position of the last increase or decrease: equal samples continue the previous direction.
    moved = np.maximum.accumulate(np.where(step != 0, place, 0), axis=1)
    rising = np.take_along_axis(step, moved, axis=1) > 0
    last_up = np.maximum.accumulate(np.where(step > 0, place, 0), axis=1)
    edge = np.zeros((n_trials, 1), dtype=bool)
    begins = rising & ~np.hstack([edge, rising[:, :-1]])
    ends = rising & ~np.hstack([rising[:, 1:], edge])
    trial, onset = np.nonzero(begins)  # same number and order as `ends`
    peak = last_up[ends] + 1
    amplitude = phasic[trial, peak] - phasic[trial, onset]
    seen = (onset > 0) & (peak < n_samples - 1)
    trial, onset, peak, amplitude = (a[seen] for a in (trial, onset, peak, amplitude))
    largest = np.zeros(n_trials)
    np.maximum.at(largest, trial, amplitude)
    least = np.maximum(min_amplitude * largest, RESOLUTION * loudest)
    counts = amplitude >= np.maximum(least[trial], min_amplitude_us or 0.0)
    return Responses(n_trials, trial[counts], onset[counts], peak[counts], amplitude[counts])


def scr_events(
    phasic: ArrayLike,
    sampling_rate: float,
    *,
    min_amplitude: float = SMALLEST,
    min_amplitude_us: float | None = SMALLEST_US,
    recording: ArrayLike | None = None,
) -> pd.DataFrame:
    """Return a table of the skin conductance responses (SCRs) of one phasic waveform.

    SCRs are detected by their rise. A rise starts at its onset, the sample after which the
    waveform increases, and ends at its peak, the next sample after which it decreases. Equal
    samples do not interrupt a rise. Before a rise, the onset is the last of equal samples; on a
    plateau, the peak is the first sample. Samples are equal if they differ by at most 1e-9 of
    the waveform's largest absolute value, because smaller differences are rounding errors. A
    rise does not count if its onset would be the first sample or its peak the last sample of
    the waveform. A rise is an SCR if its amplitude, peak minus onset, is at least
    `min_amplitude_us` microsiemens and at least `min_amplitude` times the largest amplitude.

    Parameters
    ----------
    phasic : array-like of shape (n,)
        The phasic component of one recording: one or more finite real numbers, in microsiemens,
        or in any unit if `min_amplitude_us` is None. Noise causes additional rises and shifts
        onsets, so filter or decompose a recording first.
    sampling_rate : float
        Samples per second (Hz).
    min_amplitude : float
        Minimum amplitude of an SCR as a share of the largest in the waveform, from 0 to 1.
    min_amplitude_us : float or None, default=0.01
        Minimum amplitude of an SCR in microsiemens, 0 or more. 0.01 to 0.05 are usual [1]_. Pass
        None for a waveform in another unit, such as the phasic component of z-scored EDA. A
        waveform of pure noise then has many small SCRs: check the column ``amplitude``.
    recording : array-like of shape (n,) or None, default=None
        The recording whose phasic component is `phasic`, in its unit; NaN samples are interpolated.
        If given, the recording must rise, too, relative to its least-squares line: its average over
        a quarter of a second must increase from the onset to the peak by at least
        `min_amplitude_us`. This excludes the rise of a high-pass from its undershoot after a
        response. Both rises must also exceed 2 σ √(ln(N / 0.05)), where N is the number of samples
        and σ the noise of such averages, estimated from third differences as in
        :func:`noise_weights`: noise that is faster than responses causes such a rise in at most
        one of twenty recordings [2]_. For slower noise see :func:`estimate_breathing`.

    Returns
    -------
    DataFrame
        One row for each SCR, in order of time, with a RangeIndex. Without SCRs the table is empty
        and has the same columns and dtypes.

        ``onset``, ``peak`` : float64, seconds from the first sample.
        ``amplitude`` : float64, peak minus onset in the unit of `phasic`.
        ``rise_time`` : float64, seconds from onset to peak.
        ``half_recovery_time`` : float64, seconds from the peak until the waveform falls to the
        onset's level plus half the amplitude, interpolated linearly between two samples. NaN if it
        does not reach this level before the next SCR's onset or the last sample.
        ``onset_sample``, ``peak_sample`` : int64, indices into `phasic`.

    Raises
    ------
    ValueError
        If `phasic` has another shape or no samples, has samples that are masked, NaN, infinite,
        beyond float32's range or not real numbers, if `recording` has another shape or no finite
        sample, or if a parameter is out of its range.

    See Also
    --------
    decompose : The phasic component of a recording.
    edaemo.features.scr_table : A table of responses for many trials or events.

    Notes
    -----
    NeuroKit2's ``eda_peaks`` uses a share of the peak's prominence, so it drops a peak on the flank
    of a higher peak. Here both rises count. ``benchmarks/scr_agreement.py`` compares the two.

    References
    ----------
    .. [1] W. Boucsein, D. C. Fowles, S. Grimnes, G. Ben-Shakhar, W. T. Roth, M. E. Dawson, D. L.
       Filion, "Publication recommendations for electrodermal measurements", Psychophysiology 49
       (2012), 1017-1034.
    .. [2] D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
       Biometrika 81 (1994), 425-455.

    Examples
    --------
    >>> from edaemo.decomposition import scr_events
    >>> events = scr_events([0, 0, 1, 2, 4, 3, 1, 0, 0], sampling_rate=4)
    >>> events[["onset", "peak", "amplitude", "half_recovery_time"]].to_numpy()
    array([[0.25 , 1.   , 4.   , 0.375]])
    """
    import pandas as pd  # imported here, so that the decomposition itself does not need pandas

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
    if min_amplitude_us is not None and (
        isinstance(min_amplitude_us, bool)
        or not isinstance(min_amplitude_us, Real)
        or not 0 <= min_amplitude_us < float("inf")
    ):
        raise ValueError(
            "min_amplitude_us must be 0 or a positive number of microsiemens, or None for a "
            f"waveform in another unit, got {min_amplitude_us!r}."
        )
    phasic = _check_phasic(phasic)
    responses = find_responses(
        phasic[None], min_amplitude=min_amplitude, min_amplitude_us=min_amplitude_us
    )
    if recording is not None:
        rises = find_rises(recording, phasic, sampling_rate, min_amplitude_us)
        responses = responses.select(rises(responses.onset, responses.peak))
    return pd.DataFrame(
        {
            "onset": responses.onset / sampling_rate,
            "peak": responses.peak / sampling_rate,
            "amplitude": responses.amplitude,
            "rise_time": (responses.peak - responses.onset) / sampling_rate,
            "half_recovery_time": _half_recovery(phasic, responses) / sampling_rate,
            "onset_sample": responses.onset.astype(np.int64),
            "peak_sample": responses.peak.astype(np.int64),
        }
    )


def find_rises(
    recording: ArrayLike,
    phasic: np.ndarray,
    sampling_rate: float,
    min_amplitude_us: float | None,
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function of onset and peak samples that tells where the recording rises, too.

    Parameters
    ----------
    recording : array-like of shape (n,)
        As in `scr_events`.
    phasic : ndarray of shape (n,)
        Its phasic component.
    sampling_rate : float
        Samples per second (Hz).
    min_amplitude_us : float or None
        As in `scr_events`.

    Returns
    -------
    callable
        Takes onsets and peaks (samples); returns an array of bool: whether the recording rises,
        and both rises exceed the noise.
    """
    samples = np.asarray(recording, dtype=np.float64)
    seen = np.flatnonzero(np.abs(samples) <= LARGEST)
    if samples.shape != phasic.shape or not len(seen):
        raise ValueError(
            f"recording must have the shape of phasic, {phasic.shape}, and a finite sample; got "
            f"shape {samples.shape} with {len(seen)} finite samples."
        )
    samples = np.interp(np.arange(len(samples)), seen, samples[seen])
    averages = uniform_filter1d(detrend(samples), samples_of_average(len(samples), sampling_rate))
    by_noise = largest_rise_of_noise(samples, sampling_rate)

    def rises(onset: np.ndarray, peak: np.ndarray) -> np.ndarray:
        rise = averages[peak] - averages[onset]
        smaller = np.minimum(rise, phasic[peak] - phasic[onset])
        return (rise >= (min_amplitude_us or 0.0)) & (smaller > by_noise)

    return rises


def _half_recovery(phasic: np.ndarray, responses: Responses) -> np.ndarray:
    """Return the time from each peak to half recovery, in samples; NaN without half recovery."""
    half = phasic[responses.onset] + responses.amplitude / 2
    last = np.append(responses.onset, len(phasic) - 1)[1:]  # the next onset, or the last sample
    recovery = np.full(len(half), np.nan)
    for i, (peak, end) in enumerate(zip(responses.peak, last, strict=True)):
        fall = phasic[peak : end + 1]
        below = int(np.argmax(fall <= half[i]))  # 0 if not reached: the peak itself is above
        if below:
            before, after = fall[below - 1], fall[below]
            recovery[i] = below - 1 + (before - half[i]) / (before - after)
    return recovery


def _check_phasic(phasic: ArrayLike) -> np.ndarray:
    """Return the waveform as a float64 array."""
    if np.ma.is_masked(phasic):
        raise ValueError("phasic has masked samples: interpolate short gaps, or remove them.")
    phasic = np.asarray(phasic)
    if phasic.ndim != 1:
        raise ValueError(
            f"phasic must be one waveform, a 1-D array, got shape {phasic.shape}: call scr_events "
            "for each recording."
        )
    if not len(phasic):
        raise ValueError("phasic has no samples: remove the recording.")
    if phasic.dtype.kind not in "iuf":
        raise ValueError(f"phasic must hold real numbers, got dtype {phasic.dtype}.")
    bad = np.flatnonzero(~(np.abs(phasic.astype(np.float64)) <= LARGEST))
    if len(bad):
        raise ValueError(
            f"phasic has {len(bad)} NaN or infinite samples, or beyond float32, of {len(phasic)}, "
            f"the first at index {bad[0]}. Interpolate short gaps, or remove them."
        )
    return phasic.astype(np.float64)
