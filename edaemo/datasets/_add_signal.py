"""Signals that no loader reads, put beside the EDA: frames of faces, and whatever else there is."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from edaemo._validation import IDENTITY, name_some
from edaemo.datasets._assemble import join_left_out, take_trials
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._window import window_samples
from edaemo.decomposition import check_sampling_rate

_NUMBERS = "biuf"
_NAMED = 5


@validate_params(
    {
        "study": [Bunch],
        "name": [str],
        "arrays": [Mapping],
        "sampling_rate": "no_validation",
        "missing": [StrOptions({"raise", "drop"})],
        "tolerance": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def add_signal(
    study: Bunch,
    name: str,
    arrays: Mapping[tuple[str, str, int], np.ndarray],
    *,
    sampling_rate: float,
    missing: str = "raise",
    tolerance: float = 0.5,
) -> Bunch:
    """Put a signal of your own, such as frames of the face, beside the EDA of a study.

    Each array is checked against its trial's length, and the study's window is cut out of it.

    Parameters
    ----------
    study : Bunch
        As a loader returns it. It is not changed.
    name : str
        New column, such as "face".
    arrays : mapping
        (subject, stimulus, trial) → array of shape (n_frames, …) of the whole trial, as it was
        before the window was cut, in numbers; all of one dtype, and of one shape but for the number
        of frames. Memory-mapped arrays stay so. DEAP's videos are numbered by presentation, which
        is its ``trial``.
    sampling_rate : float
        Frames per second (Hz).
    missing : {"raise", "drop"}
        Whether trials without an array are an error, or left out.
    tolerance : float
        By how many seconds an array may be longer or shorter than its trial.

    Returns
    -------
    Bunch
        As `study`, with the column `name` in ``trials``: of each trial the frames of the window,
        (n_frames, …), not copied. ``sampling_rates`` has its rate. With ``missing="drop"``, all
        tables are cut to the trials that have an array, numbered anew, and ``report["left_out"]``
        lists the others; the rest of the report stays.

    Raises
    ------
    DatasetError
        If trials have no array, arrays belong to no trial of the study, are no numbers, not finite,
        of different shapes, of other lengths than their trials, or end before the window does. One
        error says all.
    ValueError
        If `name` is taken, or `sampling_rate` is no positive number.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.datasets import make_music_listening
    >>> study = make_music_listening(2, 3, 3, duration=10.0)
    >>> faces = {
    ...     (row.subject, row.stimulus, row.trial): np.zeros((50, 3, 64, 64), dtype=np.uint8)
    ...     for row in study.trials.itertuples()
    ... }
    >>> add_signal(study, "face", faces, sampling_rate=5).trials["face"][0].shape
    (50, 3, 64, 64)
    """
    sampling_rate = check_sampling_rate(sampling_rate)
    trials = study.trials
    if not name.isidentifier() or name in trials.columns:
        raise ValueError(
            f"name={name!r} must be an identifier that is no column of the trials yet."
        )
    keys = _keys(trials)
    report = study.get("report", {})
    left_out = report.get("left_out", pd.DataFrame(columns=[*IDENTITY]))
    without = [key for key in keys if key not in arrays]
    wrong = _check_keys(keys, without, set(_keys(left_out)), arrays, missing)
    rows = [row for row, key in enumerate(keys) if key in arrays]
    window = report.get("window")
    samples, needed = window_samples(window, sampling_rate)
    lasts = _durations(study)
    cells: list[np.ndarray] = []
    for row in rows:
        array = np.asanyarray(arrays[keys[row]])
        fault = _fault(array, cells, lasts[row], sampling_rate, needed, tolerance)
        if fault:
            wrong.append(f"{_name(keys[row])}: {fault}")
        else:
            cells.append(array)
    if wrong:
        said = "".join(f"\n  - {problem}" for problem in wrong)
        raise DatasetError(f"{name!r} cannot be put beside the trials of the study:{said}")
    made = take_trials(study, rows)
    # The end of a trial is that of its EDA, not that of frames that go on.
    ends = np.round(lasts[rows] * sampling_rate).astype(int)
    frames = [cell[:end][samples] for cell, end in zip(cells, ends, strict=True)]
    made.trials[name] = pd.Series(frames, dtype=object)
    made["sampling_rates"] = {**study.get("sampling_rates", {}), name: sampling_rate}
    gone = trials[[*IDENTITY]].assign(duration=lasts, reason=f"no {name}")
    gone = gone.drop(index=gone.index[rows])
    made["report"] = {
        **report,
        "left_out": join_left_out(left_out, gone),
        "trials_kept": len(rows),
    }
    return made


def _keys(trials: pd.DataFrame) -> list[tuple]:
    return list(trials[[*IDENTITY]].itertuples(index=False, name=None))


def _name(key: tuple) -> str:
    return ", ".join(f"{what} {of}" for what, of in zip(IDENTITY, key, strict=True))


def _check_keys(
    keys: list[tuple], without: list[tuple], left_out: set[tuple], arrays: Mapping, missing: str
) -> list[str]:
    """Return what is wrong with the arrays' keys."""
    wrong = []
    if without and missing == "raise":
        wrong.append(
            f"{len(without)} of {len(keys)} trials have no array: {_some(without)}. Give them, or "
            'pass missing="drop".'
        )
    elif len(without) == len(keys):
        wrong.append("No trial has an array. Keys are (subject, stimulus, trial).")
    known = {*keys, *left_out}
    foreign = [key for key in arrays if key not in known]
    if foreign:
        wrong.append(
            f"{len(foreign)} arrays are of no trial of the study: {name_some(map(repr, foreign))}. "
            f"Its keys look like {keys[0]!r}."
        )
    return wrong


def _some(keys: list[tuple]) -> str:
    more = f"; and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return "; ".join(map(_name, keys[:_NAMED])) + more


def _durations(study: Bunch) -> np.ndarray:
    """Return the seconds of whole trials; of a study that does not say them, of its EDA."""
    if "duration" in study.trials:
        return study.trials["duration"].to_numpy(dtype=float)
    return np.array([len(eda) / study.sampling_rate for eda in study.trials["eda"]])


def _fault(
    array: np.ndarray,
    others: list[np.ndarray],
    lasts: float,
    rate: float,
    needed: int,
    tolerance: float,
) -> str:
    """Say what is wrong with an array, or nothing."""
    if array.dtype.kind not in _NUMBERS or array.ndim == 0:
        return f"an array of numbers (n_frames, …) is due, got {array.dtype} {array.shape}."
    if others and (array.shape[1:] != others[0].shape[1:] or array.dtype != others[0].dtype):
        return (
            f"frames of {array.dtype} {array.shape[1:]}, where the first trial has "
            f"{others[0].dtype} {others[0].shape[1:]}."
        )
    seconds = len(array) / rate
    if abs(seconds - lasts) > tolerance:
        said = f"{len(array)} frames are {seconds:g} s at {rate:g} Hz"
        return f"{said}, and the trial lasts {lasts:g} s."
    if len(array) < needed:
        return f"{len(array)} frames, where the window needs {needed}."
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "not all of it is finite."
    return ""
