"""Targets: the labels of a study, checked once, and the task that they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from edaemo._validation import name_trial
from edaemo.evaluation._registry import EvaluationError
from edaemo.preprocessing import SubjectThresholdRelabeler
from edaemo.statistics import NUMBERS, Task, make_task, name_classes

RELABELLED = ("valence", "arousal")
MISSING = ("drop", "raise")
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
_CLASSES = ("string", "boolean")


class Target(NamedTuple):
    """What is to be predicted of a study.

    `labels`, shape (n_trials,): places among the classes of `task`, floats, or an object array of
    1-D float arrays. `rows`: the trials that have a label; of others `labels` says nothing.
    """

    task: Task
    labels: np.ndarray
    rows: np.ndarray


def is_series(study: Bunch, target: str) -> bool:
    """Say whether a target holds a series for each trial."""
    values = study.targets[target]
    if values.dtype != object:
        return False
    return any(isinstance(cell, np.ndarray | list | tuple | pd.Series) for cell in values)


def make_target(
    study: Bunch, target: str, threshold: str | float | None, missing_ratings: str = "drop"
) -> Target:
    """Read the labels of a target.

    Parameters
    ----------
    study : Bunch
        As a loader returns it.
    target : str
        Out of ``study.targets``.
    threshold : "subject", float, "none" or None
        What makes valence and arousal high; "none" leaves ratings numbers.
    missing_ratings : {"drop", "raise"}, default="drop"
        What to do with trials without a label.

    Returns
    -------
    Target
        Of arrays: sequence regression, a step that is NaN being masked. Of ratings: regression
        under threshold "none"; else two classes, high above the threshold, or above the middle of
        ``rating_range``. Of anything else (text, booleans, categories): classes in sorted order.

    Raises
    ------
    EvaluationError
        If labels are missing (with "raise"), infinite, of mixed types, all alike, or of no kind
        that a threshold or ``rating_range`` makes a task of.
    """
    where = f"{study.name}: target {target!r}"
    if is_series(study, target):
        return _read_series(study, target, where, missing_ratings)
    values = study.targets[target]
    kind = _infer(values, where)
    if target in RELABELLED and threshold != NUMBERS and kind in _NUMBERS:
        return _relabel(study, target, threshold, where, missing_ratings)
    if threshold == NUMBERS:
        if kind in _CLASSES:
            raise EvaluationError(
                f"{where} holds classes ({', '.join(map(str, pd.unique(values)[:3]))}), and "
                f"thresholds={NUMBERS!r} takes ratings that are numbers: name another target, or "
                "leave thresholds out."
            )
        return _read_numbers(study, values, where, missing_ratings)
    if kind in _NUMBERS:
        return _split_at_middle(study, values, where, missing_ratings)
    return _read_classes(study, values, where, missing_ratings)


def _infer(values: pd.Series, where: str) -> str:
    """Say what the labels are: numbers, text or booleans."""
    kind = pd.api.types.infer_dtype(values.astype(object), skipna=True)
    if kind not in (*_NUMBERS, *_CLASSES):
        if values.isna().all():
            raise EvaluationError(f"{where}: the labels of all {len(values)} trials are missing.")
        raise EvaluationError(
            f"{where} holds {kind} values, such as {values.dropna().iloc[0]!r}: give all labels as "
            "numbers (ratings), or all as text or booleans (classes)."
        )
    return kind if not isinstance(values.dtype, pd.CategoricalDtype) else "string"


def _present(study: Bunch, is_missing: np.ndarray, where: str, missing_ratings: str) -> np.ndarray:
    """Return the rows that have a label; see `make_target`."""
    missing = np.flatnonzero(is_missing)
    if len(missing) and missing_ratings == "raise":
        raise EvaluationError(
            f"{where}: the rating of {name_trial(study.trials, int(missing[0]))} is missing: leave "
            'such trials out, or give missing_ratings="drop".'
        )
    if is_missing.all():
        raise EvaluationError(f"{where}: the labels of all {len(is_missing)} trials are missing.")
    return np.flatnonzero(~is_missing)


def _refuse_infinite(study: Bunch, is_infinite: np.ndarray, where: str) -> None:
    if is_infinite.any():
        trial = name_trial(study.trials, int(np.argmax(is_infinite)))
        raise EvaluationError(f"{where}: the rating of {trial} is infinite: correct it.")


def _read_numbers(study: Bunch, values: pd.Series, where: str, missing_ratings: str) -> Target:
    ratings = values.to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse_infinite(study, np.isinf(ratings), where)
    rows = _present(study, np.isnan(ratings), where, missing_ratings)
    if np.ptp(ratings[rows]) == 0:
        raise EvaluationError(
            f"{where}: all ratings are {ratings[rows[0]]:g}, so there is nothing to learn."
        )
    return Target(make_task("regression"), ratings, rows)


def _split_at_middle(study: Bunch, values: pd.Series, where: str, missing_ratings: str) -> Target:
    """Call ratings high above the middle of their range."""
    if study.get("rating_range") is None:
        raise EvaluationError(
            f"{where} holds numbers, and the study has no rating_range whose middle parts low from "
            f"high: give it one, or thresholds={NUMBERS!r} to keep them numbers, or name classes "
            "by text."
        )
    ratings = values.to_numpy(dtype=np.float64, na_value=np.nan)
    rows = _present(study, np.isnan(ratings), where, missing_ratings)
    return _two_classes(ratings > np.mean(study.rating_range), rows, where)


def _read_classes(study: Bunch, values: pd.Series, where: str, missing_ratings: str) -> Target:
    rows = _present(study, values.isna().to_numpy(), where, missing_ratings)
    present = values.iloc[rows].astype(object)
    classes = name_classes(present)
    codes = np.zeros(len(values), np.int64)
    codes[rows] = pd.Index(classes, dtype=object).get_indexer(present)
    if len(classes) < 3:
        return _two_classes(codes == 1, rows, where)
    return Target(make_task("multiclass", classes), codes, rows)


def _two_classes(is_high: np.ndarray, rows: np.ndarray, where: str) -> Target:
    if is_high[rows].all() or not is_high[rows].any():
        raise EvaluationError(f"{where} leaves one class only.")
    return Target(make_task("binary"), is_high.astype(np.int64), rows)


def _relabel(
    study: Bunch, target: str, threshold: str | float, where: str, missing_ratings: str
) -> Target:
    """Label by threshold; ratings of a person's other trials say what is high for that person."""
    relabeler = SubjectThresholdRelabeler(target=target, threshold=threshold)
    axes, subject = study.ratings[list(RELABELLED)], study.trials["subject"]
    lacks = axes.isna()
    if not lacks.any(axis=None):
        labels = relabeler.fit_relabel(study.ratings, subject=subject)
        rows = np.arange(len(labels))
    else:
        complete = ~lacks.any(axis=1)
        if threshold != "subject":
            complete = ~lacks[target]
        # Nobody's threshold can be found without a trial that has both ratings.
        is_missing = lacks[target] | ~subject.isin(subject[complete.to_numpy()]).to_numpy()
        rows = _present(study, is_missing.to_numpy(), where, missing_ratings)
        # Whether a trial is high depends on the rating of the target alone.
        filled = axes.fillna(axes.mean())
        relabeler.fit(filled[complete], subject=subject[complete.to_numpy()])
        labels = np.zeros(len(axes), np.int64)
        labels[rows] = relabeler.relabel(filled.iloc[rows], subject=subject.iloc[rows])
    return _two_classes(labels > 0, rows, where)


def _read_series(study: Bunch, target: str, where: str, missing_ratings: str) -> Target:
    values = study.targets[target]
    series = np.empty(len(values), dtype=object)
    for row, cell in enumerate(values):
        series[row] = _read_cell(cell, lambda row=row: name_trial(study.trials, row), where)
    _refuse_infinite(study, np.array([np.isinf(cell).any() for cell in series]), where)
    is_missing = np.array([np.isnan(cell).all() for cell in series])
    rows = _present(study, is_missing, where, missing_ratings)
    steps = np.concatenate(series[rows])
    if np.nanmax(steps) == np.nanmin(steps):
        raise EvaluationError(
            f"{where}: all steps are {np.nanmax(steps):g}, so there is nothing to learn."
        )
    return Target(make_task("sequence-regression"), series, rows)


def _read_cell(cell: object, name: Callable[[], str], where: str) -> np.ndarray:
    """Return a series as floats; one without any step where it is missing."""
    if not isinstance(cell, np.ndarray | list | tuple | pd.Series):
        if pd.isna(cell):
            return np.empty(0)
        raise EvaluationError(f"{where}: the label of {name()} is {cell!r}, and others are series.")
    try:
        series = np.asarray(cell, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            f"{where}: the series of {name()} holds no numbers: {error}"
        ) from None
    if series.ndim != 1:
        raise EvaluationError(
            f"{where}: the series of {name()} has shape {series.shape}: one number a step is meant."
        )
    return series
