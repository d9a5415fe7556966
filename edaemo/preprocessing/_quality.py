"""Quality of raw recordings: missing, flat, saturated, clipped, spikes, lost contact."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from edaemo._validation import (
    LARGEST,
    identity_index,
    name_trial,
    read_cell,
    read_rows,
    signal_cells,
)
from edaemo.decomposition import check_sampling_rate

# Values that differ by at most this share of the trial's largest value are the same level.
ROUNDING = 1e-9
# Minimum number of samples for a level (their median), so that one outlier is not a level.
ENOUGH = 3

# The columns of `signal_quality` that count defects. They are 0 for a trial without a defect.
DEFECTS = (
    "missing_share",
    "flat",
    "saturated_share",
    "clipped_share",
    "n_spikes",
    "lost_contact_share",
)

Ranges = list[tuple[int, int]]

_LEVEL = [Interval(Real, 0, None, closed="both")]
_TIME = [Interval(Real, 0, None, closed="right")]


@validate_params(
    {
        "trials": "no_validation",
        "sampling_rate": "no_validation",
        "recording_range": [tuple, list],
        "flat_range": _LEVEL,
        "stuck_seconds": _TIME,
        "max_slope": _LEVEL,
        "spike_seconds": _TIME,
        "contact_level": _LEVEL,
        "drop_share": [Interval(Real, 0, 1, closed="neither")],
        "drop_seconds": _TIME,
        "level_seconds": _TIME,
        "context": [Interval(Real, 0, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def signal_quality(
    trials: object,
    sampling_rate: float | None = None,
    *,
    recording_range: tuple[float, float] = (0.01, 100.0),
    flat_range: float = 0.01,
    stuck_seconds: float = 2.0,
    max_slope: float = 10.0,
    spike_seconds: float = 1.0,
    contact_level: float = 0.05,
    drop_share: float = 0.5,
    drop_seconds: float = 0.25,
    level_seconds: float = 5.0,
    context: float | None = None,
) -> pd.DataFrame:
    """Return the defects of each trial's raw EDA and their positions.

    Each trial is checked independently, by rules for its samples. No sample is changed or removed.
    A sample may break several rules. The defaults are for wrist recordings by an Empatica E4.

    Parameters
    ----------
    trials : DataFrame, Series, array of shape (n_trials, n_samples) or Bunch
        Raw recordings in microsiemens: a trials table (its column ``eda`` holds 1-D signals), a
        Series, object array or one-column frame of 1-D signals, a 2-D array of numbers, or the
        Bunch of a loader of :mod:`edaemo.datasets`. NaN, masked and infinite samples and samples
        beyond float32's range count as missing.
    sampling_rate : float or None
        Samples per second (Hz). None uses the rate of the Bunch and is an error for other input.
    recording_range : tuple (lowest, highest)
        Measuring range of the recorder, in µS. A sample at or beyond either end is clipped. The
        range of the E4 is 0.01 to 100 µS.
    flat_range : float
        A trial is flat if its range, in µS, is less than this. The minimum amplitude of a response
        is usually set between 0.01 and 0.05 µS [1]_, and 0.01 µS is eight steps of an E4, so a flat
        trial shows no response.
    stuck_seconds : float
        Equal samples at an extreme for at least this time are saturated. At its turning points, a
        slow signal stays on one step of the recorder: in HKU956 and induced-stress, 28 trials that
        are not flat do so for 1 s and one trial for 2 s.
    max_slope : float
        A change between adjacent samples by more than this, in µS/s, is a spike. Skin conductance
        rarely changes faster than 10 µS/s [2]_. At high sampling rates the noise of a recorder
        does (noise of σ gives slopes of 1.4 σ times the rate), so filter such recordings first.
        Two E4 corpora have no change above 4.6 µS/s (``docs/signal-quality.md``).
    spike_seconds : float
        Steep changes at most this far apart are one spike, such as the rise and the fall of an
        artefact.
    contact_level : float
        A sample below this, in µS, has no contact [2]_: the electrodes hardly touch the skin.
    drop_share : float
        A loss of more than this share of the level within `drop_seconds` is a loss of contact. A
        response needs at least 1.4 s to fall by half (ln 2 times the slow time constant of cvxEDA,
        2 s); the tonic level is even slower.
    drop_seconds : float
        Time within which the level is lost, at least one sample.
    level_seconds : float
        The level is the median of the samples within this time before the drop, without those that
        are missing or without contact. The end of a short spike is therefore not a drop. The level
        needs at least three samples, so a drop within the first three samples of a trial is not
        detected.
    context : float or None, default=None
        Seconds at the beginning of each recording that were recorded before the trial and are left
        out. None uses the context of the Bunch, and is 0 for other input.

    Returns
    -------
    DataFrame
        One row for each trial, in order. The index holds the subject, stimulus and trial ids of the
        input. Without ids it is the index of the DataFrame or Series, or the row number.

        ``n_samples`` : int64.
        ``missing_share`` : float64, share of missing samples. All shares are of all samples.
        ``flat`` : bool, the range of the samples is less than `flat_range`. A trial with all
        samples missing is not flat.
        ``saturated_share`` : float64, samples in runs of equal values that last at least
        `stuck_seconds` (n samples last n / sampling_rate) and are at or above the upper end of
        `recording_range`, or at the trial's largest or smallest value. The trial's extremes do
        not count if the trial is flat.
        ``clipped_share`` : float64, samples at or beyond either end of `recording_range`.
        ``n_spikes`` : int64, groups of changes between adjacent samples steeper than `max_slope`.
        ``lost_contact_share`` : float64, samples below `contact_level`, and samples after a sudden
        drop. A sudden drop begins with a sample below 1 - `drop_share` times both the sample
        `drop_seconds` earlier and the level before it. It ends before the first sample that is not
        below 1 - `drop_share` times that level.
        ``quantization_step`` : float64, smallest difference of two different values, in µS; NaN
        with fewer than two values. If `n_levels` is small, it is the step of the recorder. In a
        recording with nearly as many levels as samples it carries no information.
        ``n_levels`` : int64, number of different values. Values that differ by at most 1e-9 of the
        largest count as equal.
        ``positions`` : dict of lists of (start, stop), half open, in samples. The keys are
        "missing", "saturated", "clipped", "spike" and "lost_contact". A spike runs from the
        first sample after a steep change to the last sample before one: the samples of a transient
        artefact, or the first sample of a new level.

    Raises
    ------
    ValueError
        If `trials` is empty, a trial has no samples, is not a 1-D signal or does not hold real
        numbers (the error names the trial), or a parameter is out of its range.

    References
    ----------
    .. [1] Empatica, "E4 data: EDA expected signal",
       https://support.empatica.com/hc/en-us/articles/360030048131
    .. [2] I. R. Kleckner et al., "Simple, transparent, and flexible automated quality assessment
       procedures for ambulatory electrodermal activity data", IEEE Transactions on Biomedical
       Engineering 65 (2018), 1460-1467: 0.05 µS and 10 µS/s.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.preprocessing import signal_quality
    >>> eda = 2 + np.sin(np.arange(100) / 15)
    >>> eda[40:50] = 0.0
    >>> quality = signal_quality([eda], sampling_rate=4)
    >>> float(quality["lost_contact_share"][0]), quality["positions"][0]["lost_contact"]
    (0.1, [(40, 50)])
    """
    context = find_context(trials, context)
    trials, rate = unpack_study(trials, sampling_rate)
    lowest, highest = _check_range(recording_range)
    rows = []
    for signal in _read_trials(trials, round(context * rate)):
        finite = np.isfinite(signal)
        levels, step = count_levels(signal[finite])
        span = np.ptp(signal[finite]) if finite.any() else np.inf
        flat = bool(span < flat_range)
        ends = [] if flat or not finite.any() else [np.nanmin(signal), np.nanmax(signal)]
        with_contact = ~(signal < contact_level)
        dropped = _dropped(signal, with_contact, rate, drop_share, drop_seconds, level_seconds)
        masks = {
            "missing": ~finite,
            "saturated": _stuck(signal, ends, highest, stuck_seconds * rate),
            "clipped": (signal <= lowest) | (signal >= highest),
            "lost_contact": (dropped | ~with_contact) & finite,
        }
        spikes = _spikes(signal, max_slope / rate, spike_seconds * rate)
        rows.append(_summarise(masks, spikes, flat=flat, levels=levels, step=step))
    return pd.DataFrame(rows, index=_index(trials, len(rows)))


def _summarise(
    masks: dict[str, np.ndarray], spikes: Ranges, *, flat: bool, levels: int, step: float
) -> dict[str, Any]:
    """Return one row of the table."""
    share = {kind: float(np.mean(mask)) for kind, mask in masks.items()}
    positions = {kind: _runs(mask) for kind, mask in masks.items()}
    return {
        "n_samples": len(masks["missing"]),
        "missing_share": share["missing"],
        "flat": flat,
        "saturated_share": share["saturated"],
        "clipped_share": share["clipped"],
        "n_spikes": len(spikes),
        "lost_contact_share": share["lost_contact"],
        "quantization_step": step,
        "n_levels": levels,
        "positions": positions | {"spike": spikes},
    }


def unpack_study(trials: object, sampling_rate: float | None) -> tuple[object, float]:
    """Return the trials of a study, or the trials unchanged, and their sampling rate in Hz.

    Parameters
    ----------
    trials : object
        The Bunch of a loader, or trials in any other form.
    sampling_rate : float or None
        Samples per second (Hz). None uses the rate of the Bunch.

    Returns
    -------
    trials : object
        The trials.
    sampling_rate : float
        In Hz.

    Raises
    ------
    ValueError
        If the sampling rate is missing or is not a positive number.
    """
    if isinstance(trials, Bunch):
        sampling_rate = trials.sampling_rate if sampling_rate is None else sampling_rate
        trials = trials.trials
    if sampling_rate is None:
        raise ValueError("sampling_rate is missing: set it (in Hz). Only a loader's Bunch has one.")
    return trials, check_sampling_rate(sampling_rate)


def find_context(trials: object, context: float | None) -> float:
    """Return the seconds before each trial: `context`, or that of a loader's Bunch if it is None.

    Parameters
    ----------
    trials : object
        The Bunch of a loader, or trials in any other form, which have no context.
    context : float or None
        Seconds at the beginning of each recording.

    Returns
    -------
    float
        In seconds.
    """
    if context is None:
        return float(trials.get("context", 0.0)) if isinstance(trials, Bunch) else 0.0
    return float(context)


def _runs(mask: np.ndarray) -> Ranges:
    """Return the (start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def count_levels(values: np.ndarray) -> tuple[int, float]:
    """Return the number of different values and the smallest difference between two of them.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Finite samples. Values within 1e-9 of the largest one are equal.

    Returns
    -------
    n_levels : int
        Number of different values.
    step : float
        Smallest difference; NaN if there are fewer than two different values.
    """
    if not len(values):
        return 0, np.nan
    gaps = np.diff(np.unique(values))
    gaps = gaps[gaps > ROUNDING * np.max(np.abs(values))]
    return len(gaps) + 1, float(np.min(gaps, initial=np.inf)) if len(gaps) else np.nan


def _stuck(signal: np.ndarray, ends: list[float], highest: float, shortest: float) -> np.ndarray:
    """Mark runs of at least `shortest` equal samples, at one of `ends` or at least `highest`."""
    starts = np.flatnonzero(np.diff(signal, prepend=np.nan) != 0)  # NaN differs from everything
    lengths = np.diff(starts, append=len(signal))
    value = signal[starts]
    extreme = np.isin(value, ends) | (value >= highest)
    return np.repeat(extreme & (lengths >= shortest - ROUNDING), lengths)


def _spikes(signal: np.ndarray, steepest: float, near: float) -> Ranges:
    """Return the groups of changes by more than `steepest` that are at most `near` apart."""
    lands = np.flatnonzero(np.abs(np.diff(signal)) > steepest) + 1
    groups = np.split(lands, np.flatnonzero(np.diff(lands) > near + ROUNDING) + 1)
    return [(int(g[0]), int(max(g[-1], g[0] + 1))) for g in groups if len(g)]


def _dropped(
    signal: np.ndarray,
    with_contact: np.ndarray,
    rate: float,
    share: float,
    drop_seconds: float,
    level_seconds: float,
) -> np.ndarray:
    """Mark the samples from each drop until the signal returns to 1 - `share` of its level."""
    n = len(signal)
    lag = max(1, round(min(drop_seconds * rate, n)))
    window = max(1, round(min(level_seconds * rate, n)))
    left = 1 - share
    lost = np.zeros(n, dtype=bool)
    earlier = signal[np.maximum(np.arange(n) - lag, 0)]
    back = 0
    for at in np.flatnonzero(signal < left * earlier):
        if at < back:
            continue
        past = slice(max(0, at - window), at)
        before = signal[past][with_contact[past] & ~lost[past]]
        before = before[np.isfinite(before)]
        if len(before) < ENOUGH or signal[at] >= left * np.median(before):
            continue
        returns = np.flatnonzero(signal[at:] >= left * np.median(before))
        back = at + returns[0] if len(returns) else n
        lost[at:back] = True
    return lost


def _check_range(recording_range: tuple[float, float]) -> tuple[float, float]:
    """Return the two ends of the recorder's range, the lower end first."""
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in recording_range)
    if len(recording_range) != 2 or not numbers or not recording_range[0] < recording_range[1]:
        raise ValueError(
            f"recording_range must be (lowest, highest) in microsiemens, got {recording_range!r}."
        )
    return float(recording_range[0]), float(recording_range[1])


def _read_trials(X: object, n_context: int) -> list[np.ndarray]:
    """Return each trial's samples as float64, without its context, with NaN for missing samples."""
    cells = signal_cells(X)
    if cells is None:
        cells = read_rows("signal_quality", X, reset=None, booleans=False, finite=False)
    if not len(cells):
        raise ValueError("The input holds no trials: a minimum of 1 is required.")
    signals = [read_cell(X, row, cell) for row, cell in enumerate(cells)]
    for row, signal in enumerate(signals):
        if signal.ndim != 1:
            raise ValueError(
                f"{name_trial(X, row)}: each trial's EDA must be a 1-D signal, got an array of "
                f"shape {signal.shape}. Pass the raw recordings."
            )
        if len(signal) <= n_context:
            raise ValueError(
                f"{name_trial(X, row)}: {len(signal)} samples, of which the context takes "
                f"{n_context}: none is left. Use a shorter context, or remove the trial."
            )
    trials = [signal[n_context:] for signal in signals]
    return [np.where(np.abs(trial) <= LARGEST, trial, np.nan) for trial in trials]


def _index(X: object, n: int) -> pd.Index:
    """Return the ids of the trials as an index; without ids the index of X, or row numbers."""
    index = identity_index(X)
    if index is not None:
        return index
    return X.index if isinstance(X, (pd.DataFrame, pd.Series)) else pd.RangeIndex(n)
