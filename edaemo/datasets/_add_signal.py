"""Add signals that no loader reads, such as frames of faces, to the EDA of a study."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from edaemo._ids import name_some
from edaemo._sklearn import AnyBunch
from edaemo._validation import IDENTITY
from edaemo.datasets._assemble import join_left_out, take_trials
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._study import Study
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
    study: AnyBunch,
    name: str,
    arrays: Mapping[tuple[str, str, int], np.ndarray],
    *,
    sampling_rate: float,
    missing: str = "raise",
    tolerance: float = 0.5,
) -> Study:
    """Add your own signal, such as frames of the face, to the trials of a study.

    Each array is compared with the length of its trial. The study's window is then cut out of the
    array.

    Parameters
    ----------
    study : Bunch
        A study as a loader returns it. It is not changed.
    name : str
        Name of the new column, such as "face".
    arrays : mapping
        (subject, stimulus, trial) → numeric array of shape (n_frames, …) of the whole trial, before
        the window is cut. All arrays have the same dtype and the same shape, except for n_frames.
        Memory-mapped arrays stay memory-mapped. DEAP's video files are numbered in the order of
        presentation, which is its ``trial``.
    sampling_rate : float
        Frames per second (Hz).
    missing : {"raise", "drop"}
        Raise an error if a trial has no array, or leave such trials out.
    tolerance : float
        Largest accepted difference between the length of an array and that of its trial, in
        seconds.

    Returns
    -------
    Study
        A new Study: `study` with the column `name` in ``trials``. Each cell holds the frames of the
        window, of shape (n_frames, …); the frames are not copied. ``sampling_rates`` has the rate
        of the new signal. With ``missing="drop"``, all tables keep only the trials that have an
        array, with a new index from 0. ``report["left_out"]`` lists the other trials. The rest of
        the report is unchanged.

    Raises
    ------
    DatasetError
        If a trial has no array, or an array belongs to no trial of the study. Also if an array is
        not numeric, has values that are not finite, differs from the others in shape or dtype,
        differs from its trial in length, or ends before the window does. One error lists every
        problem.
    ValueError
        If `name` is already a column, or `sampling_rate` is not a positive number.

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
            f"name={name!r} must be an identifier that is not yet a column of the trials."
        )
    keys = _keys(trials)
    report = study.get("report", {})
    left_out = report.get("left_out", pd.DataFrame(columns=[*IDENTITY]))
    without = [key for key in keys if key not in arrays]
    wrong = _check_keys(keys, without, set(_keys(left_out)), arrays, missing)
    rows = [row for row, key in enumerate(keys) if key in arrays]
    window = report.get("window")
    if study.get("context"):
        raise ValueError(
            f"{name!r} cannot be added: the cells of the study begin {study.context:g} s before "
            f"their trials (window={window!r}), and the arrays begin with them. Load the study "
            "with a window that starts at 0 or later."
        )
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
        problems = "".join(f"\n  - {problem}" for problem in wrong)
        raise DatasetError(f"{name!r} cannot be added to the trials of the study:{problems}")
    made = take_trials(study, rows)
    # A trial ends where its EDA ends. Later frames are dropped.
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


def _keys(trials: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(trials[[*IDENTITY]].itertuples(index=False, name=None))


def _name(key: tuple[Any, ...]) -> str:
    return ", ".join(f"{column} {value}" for column, value in zip(IDENTITY, key, strict=True))


def _check_keys(
    keys: list[tuple[Any, ...]],
    without: list[tuple[Any, ...]],
    left_out: set[tuple[Any, ...]],
    arrays: Mapping[tuple[Any, ...], Any],
    missing: str,
) -> list[str]:
    """Return a message for each problem with the keys of the arrays."""
    wrong = []
    if without and missing == "raise":
        wrong.append(
            f"{len(without)} of {len(keys)} trials have no array: {_some(without)}. Add the "
            'arrays, or pass missing="drop".'
        )
    elif len(without) == len(keys):
        wrong.append("No trial has an array. Keys are (subject, stimulus, trial).")
    known = {*keys, *left_out}
    foreign = [key for key in arrays if key not in known]
    if foreign:
        wrong.append(
            f"{len(foreign)} arrays belong to no trial of the study: "
            f"{name_some(map(repr, foreign))}. The keys of the study look like {keys[0]!r}."
        )
    return wrong


def _some(keys: list[tuple[Any, ...]]) -> str:
    more = f"; and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return "; ".join(map(_name, keys[:_NAMED])) + more


def _durations(study: Bunch) -> np.ndarray:
    """Return the seconds of whole trials, from ``duration`` or else from the length of the EDA."""
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
    """Return a message on what is wrong with an array, or an empty text."""
    if array.dtype.kind not in _NUMBERS or array.ndim == 0:
        return f"needs a numeric array (n_frames, …), got {array.dtype} {array.shape}."
    if others and (array.shape[1:] != others[0].shape[1:] or array.dtype != others[0].dtype):
        return (
            f"has frames of {array.dtype} {array.shape[1:]}, but the first trial has "
            f"{others[0].dtype} {others[0].shape[1:]}."
        )
    seconds = len(array) / rate
    if abs(seconds - lasts) > tolerance:
        length = f"{len(array)} frames last {seconds:g} s at {rate:g} Hz"
        return f"{length}, but the trial lasts {lasts:g} s."
    if len(array) < needed:
        return f"has {len(array)} frames, but the window needs {needed}."
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "has values that are not finite."
    return ""
