"""What is wrong with raw recordings: missing, flat, saturated, clipped, spikes, lost contact."""

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

# Two values closer than this beside the trial's largest are one level, written with rounding.
ROUNDING = 1e-9
# A level is the median of this many samples at least: one outlier makes none.
ENOUGH = 3

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
) -> pd.DataFrame:
    """Say of each trial's raw EDA what is wrong with it, and where.

    Each trial is judged by itself, by rules on its samples; nothing is changed or left out. One
    sample may break several rules. The defaults are meant for wrist recordings by an Empatica E4.

    Parameters
    ----------
    trials : DataFrame, Series, array of shape (n_trials, n_samples) or Bunch
        Raw recordings in microsiemens: a trials table (its column ``eda`` holds 1-D signals), a
        Series, object array or one-column frame of 1-D signals, a 2-D array of numbers, or what a
        loader of :mod:`edaemo.datasets` returns. NaN, masked, infinite and beyond float32 all
        count as missing.
    sampling_rate : float or None
        Samples per second (Hz). None takes that of the Bunch, and is an error for anything else.
    recording_range : tuple (lowest, highest)
        What the recorder can measure, in µS; a sample at either end or beyond is clipped. The E4's
        range is 0.01 to 100 µS.
    flat_range : float
        A trial whose samples span less than this, in µS, is flat. The smallest amplitude of a
        response is usually set somewhere from 0.01 to 0.05 µS [1]_, and 0.01 µS are eight steps of
        an E4: a flat trial shows no response.
    stuck_seconds : float
        Equal samples for at least this long, at an extreme, are saturated. A slow signal rests on
        one step of the recorder at its turning points: in HKU956 and induced-stress 28 trials that
        are not flat do so for 1 s, one for 2 s.
    max_slope : float
        A change between adjacent samples by more than this, in µS/s, is a spike: skin conductance
        hardly ever changes faster than 10 µS/s [2]_. The noise of a recorder does at high rates
        (σ makes slopes of 1.4 σ times the rate), so filter such recordings first. Two corpora of
        the E4 have no change above 4.6 µS/s at all (``docs/signal-quality.md``).
    spike_seconds : float
        Steep changes at most this far apart are one spike, as the way up and the way down of an
        artefact are.
    contact_level : float
        Below this, in µS, a sample is at the floor [2]_: the electrodes hardly touch the skin.
    drop_share : float
        A loss of more than this share of the level within `drop_seconds` is a loss of contact. A
        response falls by half in no less than 1.4 s (the slow time constant of cvxEDA, 2 s, times
        ln 2), the tonic level more slowly still.
    drop_seconds : float
        Time within which the level is lost, at least one sample.
    level_seconds : float
        The level is the median of the samples within this time before the drop that are neither
        missing nor without contact; so the end of a short spike is no drop. There must be three
        or more of them: a drop within the first three samples of a trial is not seen.

    Returns
    -------
    DataFrame
        One row for each trial, in order. The index holds subject, stimulus and trial (those that
        are known); where none is, it is the index of a DataFrame or Series, or the row.

        ``n_samples`` : int64.
        ``missing_share`` : float64, missing samples as a share of all, as are the other shares.
        ``flat`` : bool, largest minus smallest sample is less than `flat_range`. A trial with all
        samples missing is not flat.
        ``saturated_share`` : float64, samples in runs of one and the same value that last
        `stuck_seconds` or more (n samples last n / sampling_rate) and lie at the highest of
        `recording_range` or above, or at the trial's own largest or smallest value. The trial's
        own extremes do not count where it is flat.
        ``clipped_share`` : float64, samples at either end of `recording_range` or beyond.
        ``n_spikes`` : int64, groups of changes between adjacent samples steeper than `max_slope`.
        ``lost_contact_share`` : float64, samples below `contact_level`, and samples from a sudden
        drop on: one below 1 - `drop_share` times both the sample `drop_seconds` before and the
        level before it. They end with the first sample that is not below 1 - `drop_share` times
        that level.
        ``quantization_step`` : float64, smallest difference of two different values, in µS; NaN
        with less than two. It is the recorder's step where `n_levels` is small; in a recording
        with nearly as many levels as samples it says nothing.
        ``n_levels`` : int64, number of different values. Values closer than 1e-9 of the largest
        are one.
        ``positions`` : dict of lists of (start, stop), half open, in samples: the keys are
        "missing", "saturated", "clipped", "spike" and "lost_contact". A spike runs from the
        first sample after a steep change to the last sample before one: the samples of an artefact
        that comes and goes, and the first sample of a new level.

    Raises
    ------
    ValueError
        If there is no trial, a trial has no sample, is no 1-D signal or holds no real numbers
        (the error names it), or a parameter is out of its range.

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
    if isinstance(trials, Bunch):
        sampling_rate = trials.sampling_rate if sampling_rate is None else sampling_rate
        trials = trials.trials
    if sampling_rate is None:
        raise ValueError("sampling_rate is missing: only a loader's Bunch knows its own. Give Hz.")
    rate = check_sampling_rate(sampling_rate)
    lowest, highest = _check_range(recording_range)
    rows = []
    for signal in _read_trials(trials):
        found = np.isfinite(signal)
        levels, step = _levels(signal[found])
        span = np.ptp(signal[found]) if found.any() else np.inf
        flat = bool(span < flat_range)
        ends = [] if flat or not found.any() else [np.nanmin(signal), np.nanmax(signal)]
        with_contact = ~(signal < contact_level)
        lost = _dropped(signal, with_contact, rate, drop_share, drop_seconds, level_seconds)
        masks = {
            "missing": ~found,
            "saturated": _stuck(signal, ends, highest, stuck_seconds * rate),
            "clipped": (signal <= lowest) | (signal >= highest),
            "lost_contact": (lost | ~with_contact) & found,
        }
        spikes = _spikes(signal, max_slope / rate, spike_seconds * rate)
        rows.append(_summarise(masks, spikes, flat=flat, levels=levels, step=step))
    return pd.DataFrame(rows, index=_index(trials, len(rows)))


def _summarise(
    masks: dict[str, np.ndarray], spikes: Ranges, *, flat: bool, levels: int, step: float
) -> dict[str, Any]:
    """Give one row of the table."""
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


def _runs(mask: np.ndarray) -> Ranges:
    """Return the (start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _levels(values: np.ndarray) -> tuple[int, float]:
    """Return how many different values there are, and the smallest difference of two."""
    if not len(values):
        return 0, np.nan
    gaps = np.diff(np.unique(values))
    gaps = gaps[gaps > ROUNDING * np.max(np.abs(values))]
    return len(gaps) + 1, float(np.min(gaps, initial=np.inf)) if len(gaps) else np.nan


def _stuck(signal: np.ndarray, ends: list[float], highest: float, shortest: float) -> np.ndarray:
    """Mark the runs of one value, `shortest` samples or more, at one of `ends` or `highest`."""
    starts = np.flatnonzero(np.diff(signal, prepend=np.nan) != 0)  # NaN differs from everything
    lengths = np.diff(starts, append=len(signal))
    value = signal[starts]
    extreme = np.isin(value, ends) | (value >= highest)
    return np.repeat(extreme & (lengths >= shortest - ROUNDING), lengths)


def _spikes(signal: np.ndarray, steepest: float, near: float) -> Ranges:
    """Return the groups of changes by more than `steepest` that lie at most `near` apart."""
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
    """Mark the samples between each sudden drop and the return of half (or so) of the level."""
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
    """Return the two ends of the recorder's range, the lower one first."""
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in recording_range)
    if len(recording_range) != 2 or not numbers or not recording_range[0] < recording_range[1]:
        raise ValueError(
            f"recording_range must be (lowest, highest) in microsiemens, got {recording_range!r}."
        )
    return float(recording_range[0]), float(recording_range[1])


def _read_trials(X: object) -> list[np.ndarray]:
    """Return each trial's samples as float64, NaN where they are missing."""
    cells = signal_cells(X)
    if cells is None:
        cells = read_rows("signal_quality", X, reset=None, booleans=False, finite=False)
    if not len(cells):
        raise ValueError("There are no trials: a minimum of 1 is required.")
    signals = [read_cell(X, row, cell) for row, cell in enumerate(cells)]
    for row, signal in enumerate(signals):
        if signal.ndim != 1:
            raise ValueError(
                f"{name_trial(X, row)}: each trial's EDA must be a 1-D signal, got an array of "
                f"shape {signal.shape}. Give the raw recordings."
            )
    return [np.where(np.abs(signal) <= LARGEST, signal, np.nan) for signal in signals]


def _index(X: object, n: int) -> pd.Index:
    """Return what is known of the trials' identity, else their own index, else their rows."""
    index = identity_index(X)
    if index is not None:
        return index
    return X.index if isinstance(X, (pd.DataFrame, pd.Series)) else pd.RangeIndex(n)
