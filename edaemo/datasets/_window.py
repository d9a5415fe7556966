"""Cut the same window out of every trial."""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
import pandas as pd

from edaemo._validation import name_trial, refuse_foreign_frame
from edaemo.decomposition import check_sampling_rate

Window = tuple[float, float] | str | None

END_SECONDS = 25.0
_NAMED_IN_WARNING = 3


def context_of(window: Window) -> float:
    """Return the seconds before the trial with which a window begins; 0 if it begins later."""
    return 0.0 if window is None or isinstance(window, str) else max(0.0, -window[0])


def cut_padded(recording: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return a copy of the samples from `first` to below `last`, NaN where nothing was recorded.

    Samples are counted along the last axis; `first` may be negative, and `last` beyond the end.
    """
    n_samples = recording.shape[-1]
    if 0 <= first <= last <= n_samples:
        return recording[..., first:last].copy()
    inside = slice(min(max(first, 0), n_samples), max(min(last, n_samples), 0))
    dtype = np.result_type(recording.dtype, np.float32)  # integers cannot hold NaN
    cut = np.full((*recording.shape[:-1], last - first), np.nan, dtype=dtype)
    if inside.start < inside.stop:
        cut[..., inside.start - first : inside.stop - first] = recording[..., inside]
    return cut


def window_samples(
    window: Window, sampling_rate: float, *, context: float = 0.0
) -> tuple[slice, int]:
    """Return the slice of samples of a window, and the number of samples that a cell needs.

    Parameters
    ----------
    window : tuple (start, stop), 'end' or None
        The window.
    sampling_rate : float
        In Hz.
    context : float, default=0.0
        Seconds before the trial with which each cell begins.

    Raises
    ------
    ValueError
        If the window is invalid, or starts before the context.
    """
    check_window(window, context)
    if window is None:
        return slice(None), 0
    if isinstance(window, str):
        n_samples = max(1, round(END_SECONDS * sampling_rate))
        return slice(-n_samples, None), n_samples
    first, last = (round(end * sampling_rate) for end in window)
    if max(first, 0) == last:
        raise ValueError(f"window {window!r} holds no sample at {sampling_rate} Hz.")
    n_context = round(context * sampling_rate)
    return slice(n_context + first, n_context + last), n_context + last


def check_window(window: Window, context: float = np.inf) -> None:
    """Raise a ValueError if a window is invalid, or starts more than `context` s before a trial."""
    if window is None:
        return
    if isinstance(window, str):
        if window != "end":
            raise ValueError(f"window must be (start, stop), 'end' or None, got {window!r}.")
        return
    try:
        start, stop = window
    except (TypeError, ValueError):
        raise ValueError(
            f"window must be (start, stop) in seconds, 'end' or None, got {window!r}."
        ) from None
    for end in (start, stop):
        if isinstance(end, bool) or not isinstance(end, Real) or not np.isfinite(end):
            raise ValueError(f"window must hold two finite numbers of seconds, got {window!r}.")
    if start < 0 and not context:
        raise ValueError(
            f"window needs 0 <= start < stop, got {window!r}: these trials have no samples before "
            "their start. Loaders of whole recordings accept a negative start."
        )
    if not -context <= start < stop or stop <= 0:
        least = f"{-context:g} <= " if np.isfinite(context) else ""
        raise ValueError(f"window needs {least}start < stop and 0 < stop, got {window!r}.")


def cut_window(trials: pd.DataFrame, sampling_rate: float, window: Window) -> pd.DataFrame:
    """Cut the same window out of every trial, and leave out trials that are too short.

    The result depends only on the samples inside the window of each trial.

    Parameters
    ----------
    trials : DataFrame of n_trials rows
        Table with an object column ``eda``, one 1-D array per cell; ``subject``, ``stimulus`` and
        ``trial``, if present, name the trials in messages. The table is not changed.
    sampling_rate : float
        Samples per second (Hz).
    window : tuple (start, stop), 'end' or None
        Seconds from the beginning of the trial. The sample nearest to `start` is the first sample
        of the window. The sample nearest to `stop` is the first sample after the window. ``'end'``
        takes the last 25 seconds. None takes the whole trial, so lengths may differ. A negative
        start is an error, because the cells begin with their trials; loaders of whole recordings
        accept one.

    Returns
    -------
    DataFrame of at most n_trials rows
        A new table with the index labels of the trials kept. ``ratings.loc[cut.index]`` selects
        their ratings. Each ``eda`` cell is a copy with the same dtype that shares no memory with
        `trials`. Columns other than ``eda`` are unchanged.

    Raises
    ------
    ValueError
        If the window or the sampling rate is invalid, if the column ``eda`` is missing or one of
        its cells is not 1-D, if an index label occurs twice, or if every trial is shorter than the
        window.

    Warns
    -----
    UserWarning
        Once, if trials are shorter than the window. The warning has their number and the first
        names.
    """
    sampling_rate = check_sampling_rate(sampling_rate)
    samples, needed = window_samples(window, sampling_rate)
    refuse_foreign_frame(trials, ["eda"])
    if not isinstance(trials, pd.DataFrame) or "eda" not in trials.columns:
        raise ValueError("trials must be a DataFrame with a column 'eda'.")
    return cut_samples(trials, samples, needed, window)


def cut_samples(trials: pd.DataFrame, samples: slice, needed: int, window: Window) -> pd.DataFrame:
    """Return the trials of at least `needed` samples, with these samples of their EDA.

    `window` is for messages. Raises and warns as :func:`cut_window`.
    """
    if not trials.index.is_unique:
        raise ValueError(
            f"The index of trials has {trials.index[trials.index.duplicated()][0]!r} more than "
            "once, so ratings cannot be matched: call reset_index(drop=True) on both first."
        )
    kept, short, cells = [], [], []
    for row, cell in enumerate(trials["eda"]):
        signal = np.asanyarray(cell)  # keeps the mask of a masked array
        if signal.ndim != 1:
            raise ValueError(
                f"eda of {name_trial(trials, row)} must be a 1-D array, got shape {signal.shape}."
            )
        if len(signal) < needed:
            short.append(row)
        else:
            kept.append(row)
            cells.append(signal[samples].copy())
    if short:
        message = f"{len(short)} of {len(trials)} trials are shorter than the window {window!r}"
        if not kept:
            raise ValueError(f"All {message}: no trial is left. Choose a shorter window.")
        named = "; ".join(name_trial(trials, row) for row in short[:_NAMED_IN_WARNING])
        more = "; …" if len(short) > _NAMED_IN_WARNING else ""
        warnings.warn(f"{message} and are left out: {named}{more}.", UserWarning, stacklevel=3)
    cut = trials.iloc[kept].copy()
    cut["eda"] = pd.Series(cells, dtype=object).array
    return cut


def cut_labels(
    labels: pd.DataFrame, label_rate: float, first_label: float, window: Window
) -> tuple[pd.DataFrame, float]:
    """Cut a window of the trials out of their labels over time.

    Parameters
    ----------
    labels : DataFrame
        Each cell is a 1-D array of labels.
    label_rate : float
        Labels per second (Hz).
    first_label : float
        Time of the first label, in seconds from the start of the trial.
    window : tuple (start, stop), 'end' or None
        The window of the trials.

    Returns
    -------
    labels : DataFrame
        The labels at times from `start` to below `stop`; [NaN] for a trial without one.
    first_label : float
        Time of the first label, in seconds from the start of the window.

    Raises
    ------
    ValueError
        If the window is 'end', or holds no label of any trial.
    """
    if window is None:
        return labels, first_label
    if isinstance(window, str):
        raise ValueError(
            "window='end' starts at another time in each trial, so labels over time cannot be cut: "
            "pass (start, stop) or None."
        )
    start, stop = window
    first = max(0, int(np.ceil((start - first_label) * label_rate - 1e-6)))
    last = max(0, int(np.ceil((stop - first_label) * label_rate - 1e-6)))

    def cut(series: np.ndarray) -> np.ndarray:
        part = series[first:last].copy()
        return part if len(part) else np.array([np.nan])

    parts = labels.map(cut)
    if not any(np.isfinite(cell).any() for name in parts for cell in parts[name]):
        raise ValueError(
            f"window={window!r} holds no label of any trial: the labels start at {first_label:g} s."
        )
    return parts, first_label + first / label_rate - start


def shift_times(frames: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Return features over time with times from the start of a window of the trials.

    Parameters
    ----------
    frames : DataFrame
        Features with the index levels ``stimulus`` and ``time``, in seconds from the start of the
        trial.
    window : tuple (start, stop) or None
        The window of the trials.

    Returns
    -------
    DataFrame
        The features; times before the window are negative.
    """
    if window is None or isinstance(window, str):  # cut_labels refuses 'end'
        return frames
    times = frames.index.get_level_values("time") - window[0]
    stimuli = frames.index.get_level_values("stimulus")
    return frames.set_axis(
        pd.MultiIndex.from_arrays([stimuli, times], names=frames.index.names), axis=0
    )
