"""StepAligner: signals, music and labels of different rates on one clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval

from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import find_ids, name_trial, plain_numbers, signal_columns

# Statistics of a signal within a step.
STATISTICS = ("mean", "sd", "slope")
# Seconds by which two times may differ and still count as equal.
_CLOCK = 1e-6


@saved("edaemo.fusion.StepAligner", "n_channels_")
class StepAligner(TransformerMixin, BaseEstimator):
    """Compute features of signals and music at each step of a trial's labels.

    There is one rule for all rates and lengths. All times are in seconds from the start of the
    trial. Label k has the time t = `first_label` + k / `label_rate`. An annotator reacts after
    `delay`, so label k describes the time u = t - `delay`. Sample i of a signal has the time
    i / `sampling_rate`. The features of step k are statistics of the samples with times in
    (u - w, u], for each window length w, so no feature uses a sample after the time that the label
    describes. If no sample is in a window (because the rate of the signal is below that of the
    labels, the window is before the start or after the end, or samples are missing), the mean is
    interpolated linearly between the nearest samples before and after u. Before the first sample it
    is the first sample, and after the last sample the last one. The standard deviation and the
    slope are then 0.

    The number of steps of a trial is its entry in the column ``n_steps``, which
    :func:`edaemo.benchmark.evaluate` adds. Without this column it is the number of labels up to
    the last sample of the first signal.

    Nothing is learned from the trials.

    Parameters
    ----------
    label_rate : float
        Labels per second (Hz).
    sampling_rate : float or mapping from str to float, default=4.0
        Samples per second (Hz) of the signals: one number for all, or a number for each column.
    signals : sequence of str, default=("eda",)
        Columns of the trials table. A cell has the shape (n_times,) or (n_chans, n_times). NaN
        samples are missing.
    music : DataFrame of shape (n_frames, n_features) or None, default=None
        Features of the music over time. The index has the levels ``stimulus`` and ``time``
        (seconds from the start of the trial). None: no music.
    first_label : float, default=0.0
        Time of the first label, in seconds.
    delay : float, default=0.0
        Delay of the annotator, in seconds.
    windows : sequence of float or None, default=None
        Lengths of the windows, in seconds. None: one window of 1 / `label_rate`.
    statistics : sequence of {"mean", "sd", "slope"}, default=("mean",)
        Features of each channel in each window. The slope is that of the least-squares line, in
        units per second. The features of music are always means.
    scale_trials : bool, default=True
        Whether each channel of a trial's signals is z-scored over the trial first. A stream
        needs False, because the z-score uses the whole trial.

    Attributes
    ----------
    n_channels_ : dict of str to int
        Number of channels of each signal in `fit`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from edaemo.fusion import StepAligner
    >>> trials = pd.DataFrame({"subject": ["a"], "stimulus": ["s"], "trial": [0]})
    >>> trials["eda"] = pd.Series([np.arange(12.0)])
    >>> aligner = StepAligner(2.0, sampling_rate=4.0, scale_trials=False)
    >>> aligner.fit_transform(trials)["eda"][0].ravel().tolist()
    [0.0, 1.5, 3.5, 5.5, 7.5, 9.5]
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "label_rate": [Interval(Real, 0, None, closed="neither")],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), dict],
        "signals": ["array-like"],
        "music": [pd.DataFrame, None],
        "first_label": [Interval(Real, None, None, closed="neither")],
        "delay": [Interval(Real, 0, None, closed="left")],
        "windows": ["array-like", None],
        "statistics": ["array-like"],
        "scale_trials": ["boolean"],
    }
    n_channels_: dict[str, int]

    def __init__(
        self,
        label_rate: float,
        *,
        sampling_rate: float | Mapping[str, float] = 4.0,
        signals: Sequence[str] = ("eda",),
        music: pd.DataFrame | None = None,
        first_label: float = 0.0,
        delay: float = 0.0,
        windows: Sequence[float] | None = None,
        statistics: Sequence[str] = ("mean",),
        scale_trials: bool = True,
    ) -> None:
        self.label_rate = label_rate
        self.sampling_rate = sampling_rate
        self.signals = signals
        self.music = music
        self.first_label = first_label
        self.delay = delay
        self.windows = windows
        self.statistics = statistics
        self.scale_trials = scale_trials

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Check the parameters, and store the number of channels.

        Parameters
        ----------
        X : DataFrame
            Trials table with the columns `signals`, and ``stimulus`` if `music` is given.
        y : object
            Not used.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is invalid, or a column is missing.
        """
        unknown = [name for name in self.statistics if name not in STATISTICS]
        if unknown or not len(self.statistics):
            raise ValueError(f"statistics must be some of {STATISTICS}, got {self.statistics!r}.")
        if not all(length > 0 for length in self._windows()):
            raise ValueError(f"windows must be positive seconds, got {self.windows!r}.")
        if not len(self.signals) and self.music is None:
            raise ValueError("signals is empty and music is None: set one of them.")
        if self.music is not None and list(self.music.index.names) != ["stimulus", "time"]:
            raise ValueError(
                "music must have an index with the levels stimulus and time, got "
                f"{list(self.music.index.names)}."
            )
        self._check_columns(X)
        self.n_channels_ = {name: len(_read_cell(X, 0, name)) for name in self.signals}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Compute the features of each step.

        Parameters
        ----------
        X : DataFrame
            As in `fit`.

        Returns
        -------
        DataFrame
            The table without its other signals. Each column of `signals`, and ``music``, holds a
            float32 array of shape (n_steps, n_features) for each trial: for each window, each
            statistic of all channels.

        Raises
        ------
        ValueError
            If a column is missing, a cell has another number of channels or no finite sample, a
            stimulus has no music, or one of its features has no finite value.
        """
        self._check_columns(X)
        blocks: dict[str, list[np.ndarray]] = {name: [] for name in self.signals}
        if self.music is not None:
            blocks["music"] = []
            by_stimulus = self._music_by_stimulus()
            stimuli = find_ids("stimulus", X, needed_by="music")
        for row in range(len(X)):
            cells = {name: self._read_signal(X, row, name) for name in self.signals}
            at = self._label_times(X, row, cells)
            for name, cell in cells.items():
                times = np.arange(cell.shape[1]) / self._rate(name)
                blocks[name].append(
                    describe_steps(times, cell, at, self._windows(), self.statistics)
                )
            if self.music is not None:
                if stimuli[row] not in by_stimulus:
                    raise ValueError(
                        f"{name_trial(X, row)}: the stimulus has no frame in music. Add its "
                        "frames, or remove the trial."
                    )
                times, frames = by_stimulus[stimuli[row]]
                blocks["music"].append(
                    describe_steps(times, frames, at, self._windows(), ("mean",))
                )
        kept = X.drop(columns=signal_columns(X))
        for name, arrays in blocks.items():
            kept[name] = pd.Series(arrays, index=X.index, dtype=object)
        return kept

    def _windows(self) -> list[float]:
        return [1 / self.label_rate] if self.windows is None else [*self.windows]

    def _rate(self, signal: str) -> float:
        if not isinstance(self.sampling_rate, Mapping):
            return self.sampling_rate
        if signal not in self.sampling_rate:
            raise ValueError(f"sampling_rate has no rate of the signal {signal!r}.")
        return self.sampling_rate[signal]

    def _check_columns(self, X: pd.DataFrame) -> None:
        if not isinstance(X, pd.DataFrame):
            raise ValueError(f"X must be a trials table, got {type(X).__name__}.")
        missing = [name for name in self.signals if name not in X.columns]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r}: it has {list(X.columns)}.")

    def _read_signal(self, X: pd.DataFrame, row: int, name: str) -> np.ndarray:
        """Return a signal of a trial, z-scored if `scale_trials`; shape (n_chans, n_times)."""
        cell = _read_cell(X, row, name)
        if len(cell) != self.n_channels_[name]:
            raise ValueError(
                f"{name_trial(X, row)}: {name} has {len(cell)} channels, but "
                f"{self.n_channels_[name]} in fit."
            )
        if not self.scale_trials:
            return cell
        spread = np.nanstd(cell, axis=1, keepdims=True)
        return (cell - np.nanmean(cell, axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)

    def _label_times(
        self, X: pd.DataFrame, row: int, cells: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the times that the labels of a trial describe."""
        if "n_steps" in X.columns:
            n_steps = int(X["n_steps"].iloc[row])
        elif not cells:
            raise ValueError("Without signals, X needs a column n_steps.")
        else:
            name, cell = next(iter(cells.items()))
            last = (cell.shape[1] - 1) / self._rate(name)
            n_steps = int(np.floor((last - self.first_label) * self.label_rate + _CLOCK)) + 1
        if n_steps < 1:
            raise ValueError(f"{name_trial(X, row)}: the trial ends before its first label.")
        return self.first_label + np.arange(n_steps) / self.label_rate - self.delay

    def _music_by_stimulus(self) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
        """Return the times and the features, shape (n_features, n_frames), of each stimulus.

        Infinite values are missing, as those of signals are.
        """
        assert self.music is not None
        found = {}
        for stimulus, frames in self.music.groupby(level="stimulus", sort=False):
            frames = frames.sort_index(level="time")
            times = frames.index.get_level_values("time").to_numpy(dtype=np.float64)
            values = frames.to_numpy(dtype=np.float64).T
            known = np.isfinite(values)
            if not known.any(axis=1).all():
                feature = frames.columns[np.argmin(known.any(axis=1))]
                raise ValueError(
                    f"music has no finite value of {feature!r} for the stimulus {stimulus!r}. "
                    "Remove this feature, or the trials with this stimulus."
                )
            found[stimulus] = (times, np.where(known, values, np.nan))
        return found


def _read_cell(X: pd.DataFrame, row: int, name: str) -> np.ndarray:
    """Return a signal of a trial as float64 of shape (n_chans, n_times)."""
    where = f"{name_trial(X, row)}: {name}"
    values = np.asarray(plain_numbers(X[name].iloc[row], where, booleans=False), dtype=np.float64)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            f"{where} must have the shape (n_times,) or (n_chans, n_times), got {values.shape}."
        )
    values = np.atleast_2d(values)
    if not np.isfinite(values).any(axis=1).all():
        raise ValueError(f"{where} has a channel without a finite sample. Remove the trial.")
    return np.where(np.isfinite(values), values, np.nan)


def describe_steps(
    times: np.ndarray,
    values: np.ndarray,
    at: np.ndarray,
    windows: Sequence[float],
    statistics: Sequence[str],
) -> np.ndarray:
    """Return the statistics of each channel in the windows that end at some times.

    Parameters
    ----------
    times : ndarray of shape (n_times,)
        Times of the samples in seconds, in order.
    values : ndarray of shape (n_chans, n_times)
        The samples; NaN if missing.
    at : ndarray of shape (n_steps,)
        End of the windows, in seconds.
    windows : sequence of float
        Lengths of the windows, in seconds.
    statistics : sequence of {"mean", "sd", "slope"}
        The statistics.

    Returns
    -------
    ndarray of float32 of shape (n_steps, n_windows * n_statistics * n_chans)
        The features.
    """
    channels = [_describe_channel(times, channel, at, windows, statistics) for channel in values]
    return np.stack(channels, axis=-1).reshape(len(at), -1).astype(np.float32)


def _describe_channel(
    times: np.ndarray,
    values: np.ndarray,
    at: np.ndarray,
    windows: Sequence[float],
    statistics: Sequence[str],
) -> np.ndarray:
    """Return the statistics of one channel, shape (n_steps, n_windows * n_statistics)."""
    known = ~np.isnan(values)
    # Centred, so that the sums of squares keep their digits.
    start, centre = times[known][0], values[known].mean()
    x, t = values[known] - centre, times[known] - start
    sums = {
        name: np.concatenate([[0.0], np.cumsum(terms)])
        for name, terms in {"x": x, "t": t, "xx": x * x, "tt": t * t, "tx": t * x}.items()
    }
    nearest = np.interp(at - start, t, x)
    last = np.searchsorted(t, at - start + _CLOCK, side="right")
    columns = []
    for length in windows:
        first = np.searchsorted(t, at - start - length + _CLOCK, side="right")
        n = last - first
        least = np.maximum(n, 1)
        mean = {name: (total[last] - total[first]) / least for name, total in sums.items()}
        spread_t = np.maximum(mean["tt"] - mean["t"] ** 2, 0)
        slope = (mean["tx"] - mean["t"] * mean["x"]) / np.where(spread_t > 0, spread_t, 1)
        found = {
            "mean": np.where(n > 0, mean["x"], nearest) + centre,
            "sd": np.sqrt(np.maximum(mean["xx"] - mean["x"] ** 2, 0)),
            "slope": np.where(n > 1, slope, 0),
        }
        columns += [found[name] for name in statistics]
    return np.stack(columns, axis=1)
