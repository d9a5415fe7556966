"""Read and check the labels of a study, and choose the task of each target."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from edaemo._ids import warn_of_near_ids
from edaemo._sklearn import AnyBunch
from edaemo._validation import name_trial
from edaemo.evaluation._registry import EvaluationError, holds_series
from edaemo.preprocessing import SubjectThresholdRelabeler
from edaemo.statistics import NUMBERS, Task, make_task, name_classes

RELABELLED = ("valence", "arousal")
MISSING = ("drop", "raise")
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
_CLASSES = ("string", "boolean")
_BLANK = ("", "nan", "NaN", "<NA>")


class Target(NamedTuple):
    """A target of a study: its task and its labels.

    `labels`, shape (n_trials,): indices of the classes of `task`, floats, or an object array of 1-D
    float arrays. `rows`: the trials that have a label. Other entries of `labels` are not valid.
    `n_unstable`: number of trials that are left out because their label is not stable.
    """

    task: Task
    labels: np.ndarray
    rows: np.ndarray
    n_unstable: int = 0


def check_labels(study: AnyBunch) -> None:
    """Check that each trial of a study has a row of ratings and a label of each target.

    Parameters
    ----------
    study : Bunch
        As a loader returns it.

    Raises
    ------
    EvaluationError
        If the ratings are not a frame, the targets are not a dict of Series or are empty, or their
        rows are not those of the trials.
    """
    trials, ratings, targets = study.trials, study.ratings, study.targets
    if not isinstance(ratings, pd.DataFrame):
        raise EvaluationError(
            f"The ratings of {study.name} must be a frame with a row for each trial, which may "
            f"have no columns; got {ratings!r:.80}."
        )
    if not isinstance(targets, Mapping) or not targets:
        raise EvaluationError(
            f"The targets of {study.name} must be a dict, name → labels, with one entry or more; "
            f"got {targets!r:.80}."
        )
    for what, values in [("ratings", ratings), *((f"target {n!r}", y) for n, y in targets.items())]:
        if not isinstance(values, pd.Series | pd.DataFrame):
            raise EvaluationError(
                f"{study.name}: {what} must be a Series with a label for each trial; got "
                f"{values!r:.80}."
            )
        if not values.index.equals(trials.index):
            raise EvaluationError(
                f"{study.name}: {what} and the trials must have the same index, but "
                f"{len(values)} and {len(trials)} rows have different ones. Reindex them by "
                "study.trials.index."
            )


def require_ratings(study: AnyBunch, names: Sequence[str], what: str, remedy: str) -> None:
    """Raise if a study lacks ratings.

    Parameters
    ----------
    study : Bunch
        As a loader returns it.
    names : sequence of str
        Columns of ``study.ratings``.
    what : str
        What needs the ratings, for the message.
    remedy : str
        What to do, as a sentence, for the message.

    Raises
    ------
    EvaluationError
        If a column is missing. The message lists the targets of the study.
    """
    missing = [name for name in names if name not in study.ratings]
    if missing:
        raise EvaluationError(
            f"{what} needs {' and '.join(names)}, but {study.name} has no ratings of "
            f"{' and '.join(missing)} (its targets: {', '.join(map(str, study.targets))}). {remedy}"
        )


def is_series(study: AnyBunch, target: str) -> bool:
    """Return whether a target holds a series for each trial."""
    return holds_series(study.targets[target])


def make_target(
    study: AnyBunch,
    target: str,
    threshold: str | float | None,
    missing_ratings: str = "drop",
    min_stability: float = 0.0,
) -> Target:
    """Read the labels of a target.

    Parameters
    ----------
    study : Bunch
        As a loader returns it.
    target : str
        A column of ``study.targets``.
    threshold : "subject", float, "none" or None
        Threshold above which valence and arousal are high; "none" keeps ratings as numbers.
    missing_ratings : {"drop", "raise"}, default="drop"
        Whether trials without a label are left out or raise an error.
    min_stability : float, default=0.0
        Under threshold "subject", trials whose label is less stable than this
        (`SubjectThresholdRelabeler.stability`) are left out, and so are trials without both ratings
        if this is above 0.

    Returns
    -------
    Target
        Arrays: sequence regression; NaN steps are masked. Ratings: regression under threshold
        "none"; else two classes, high above the threshold or above the middle of ``rating_range``.
        Text, booleans and categories: classes in sorted order. Blank text is a missing label.

    Raises
    ------
    EvaluationError
        If labels are missing (with "raise"), infinite, of mixed types, all equal, or if neither a
        threshold nor ``rating_range`` defines their task; if a rating that is compared with a
        threshold lies outside ``rating_range``.

    Warns
    -----
    UserWarning
        If classes are nearly equal, such as "calm" and "Calm ", or if whole numbers that are not in
        ``study.ratings`` are taken as ratings, though they may be codes of classes.
    """
    where = f"{study.name}: target {target!r}"
    if is_series(study, target):
        return _read_series(study, target, where, missing_ratings)
    values = _without_blanks(study.targets[target])
    kind = _infer(values, where)
    is_relabelled = target in RELABELLED and kind in _NUMBERS
    if is_relabelled and threshold is not None and threshold != NUMBERS:
        labelled = _relabel(study, target, threshold, where, missing_ratings)
        if threshold == "subject" and min_stability > 0:
            labelled = _keep_stable(study, target, labelled, min_stability, where)
        return labelled
    if threshold == NUMBERS:
        if kind in _CLASSES:
            raise EvaluationError(
                f"{where} holds classes ({', '.join(map(str, pd.unique(values)[:3]))}), but "
                f"thresholds={NUMBERS!r} requires numerical ratings. Choose another target, or "
                "remove thresholds."
            )
        return _read_numbers(study, values, where, missing_ratings)
    if kind in _NUMBERS:
        return _split_at_middle(study, target, where, missing_ratings)
    return _read_classes(study, values, where, missing_ratings)


def _without_blanks(values: pd.Series) -> pd.Series:
    """Return the labels; blank text, and NaN that was converted to text, are missing."""
    is_blank = [isinstance(label, str) and label.strip() in _BLANK for label in values]
    return values.mask(is_blank) if any(is_blank) else values


def _infer(values: pd.Series, where: str) -> str:
    """Return the type of the labels: numbers, text or booleans."""
    kind = pd.api.types.infer_dtype(values.astype(object), skipna=True)
    if kind not in (*_NUMBERS, *_CLASSES):
        if values.isna().all():
            raise EvaluationError(f"{where}: the labels of all {len(values)} trials are missing.")
        raise EvaluationError(
            f"{where} holds {kind} values, such as {values.dropna().iloc[0]!r}. Use only numbers "
            "(ratings), or only text or booleans (classes)."
        )
    return kind if not isinstance(values.dtype, pd.CategoricalDtype) else "string"


def _present(study: Bunch, is_missing: np.ndarray, where: str, missing_ratings: str) -> np.ndarray:
    """Return the rows that have a label; see `make_target`."""
    missing = np.flatnonzero(is_missing)
    if len(missing) and missing_ratings == "raise":
        raise EvaluationError(
            f"{where}: the rating of {name_trial(study.trials, int(missing[0]))} is missing. "
            'Remove these trials, or pass missing_ratings="drop".'
        )
    if is_missing.all():
        raise EvaluationError(f"{where}: the labels of all {len(is_missing)} trials are missing.")
    return np.flatnonzero(~is_missing)


def _refuse_infinite(study: Bunch, is_infinite: np.ndarray, where: str) -> None:
    if is_infinite.any():
        trial = name_trial(study.trials, int(np.argmax(is_infinite)))
        raise EvaluationError(f"{where}: the rating of {trial} is infinite. Correct it.")


def _refuse_outside(study: Bunch, ratings: pd.DataFrame, where: str) -> None:
    """Raise for a rating outside ``rating_range``: it may be a code for a missing rating."""
    if study.get("rating_range") is None:
        return
    lowest, highest = study.rating_range
    values = ratings.to_numpy(dtype=np.float64, na_value=np.nan)
    is_outside = (values < lowest) | (values > highest)
    if is_outside.any():
        row, column = np.argwhere(is_outside)[0]
        raise EvaluationError(
            f"{where}: the rating {ratings.columns[column]} of "
            f"{name_trial(study.trials, int(row))} is {values[row, column]:g}, outside "
            f"rating_range ({lowest:g}, {highest:g}). Correct it, or replace it by NaN if the "
            "number is a code for a missing rating. Write classes as text."
        )


def _read_numbers(study: Bunch, values: pd.Series, where: str, missing_ratings: str) -> Target:
    ratings = values.to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse_infinite(study, np.isinf(ratings), where)
    rows = _present(study, np.isnan(ratings), where, missing_ratings)
    if np.ptp(ratings[rows]) == 0:
        raise EvaluationError(
            f"{where}: all ratings are {ratings[rows[0]]:g}. Choose a target that varies."
        )
    return Target(make_task("regression"), ratings, rows)


def _split_at_middle(study: Bunch, target: str, where: str, missing_ratings: str) -> Target:
    """Label ratings as high if they are above the middle of their range."""
    values = study.targets[target]
    if study.get("rating_range") is None:
        raise EvaluationError(
            f"{where} holds numbers, but the study has no rating_range, whose middle would "
            "separate low from high. Add rating_range to the study, pass "
            f"thresholds={NUMBERS!r} to keep the numbers, or use text for classes."
        )
    _refuse_outside(study, values.to_frame(), where)
    ratings = values.to_numpy(dtype=np.float64, na_value=np.nan)
    rows = _present(study, np.isnan(ratings), where, missing_ratings)
    middle = np.mean(study.rating_range)
    is_high, codes = ratings > middle, "If the numbers are codes of classes, write them as text."
    if is_high[rows].all() or not is_high[rows].any():
        side = "above" if is_high[rows].all() else "at or below"
        raise EvaluationError(
            f"{where} has only one class: all ratings are {side} {middle:g}, the middle of "
            f"rating_range. {codes}"
        )
    if target not in study.ratings and np.array_equal(ratings[rows], np.rint(ratings[rows])):
        warnings.warn(
            f"{where} holds whole numbers. They are taken as ratings: high above {middle:g}, the "
            f"middle of rating_range. {codes}",
            stacklevel=2,
        )
    return Target(make_task("binary"), is_high.astype(np.int64), rows)


def _read_classes(study: Bunch, values: pd.Series, where: str, missing_ratings: str) -> Target:
    rows = _present(study, values.isna().to_numpy(), where, missing_ratings)
    present = values.iloc[rows].astype(object)
    classes = name_classes(present)
    warn_of_near_ids("class", classes)
    codes = np.zeros(len(values), np.int64)
    codes[rows] = pd.Index(classes, dtype=object).get_indexer(present)
    if len(classes) < 3:
        return _two_classes(codes == 1, rows, where)
    return Target(make_task("multiclass", classes), codes, rows)


def _two_classes(is_high: np.ndarray, rows: np.ndarray, where: str) -> Target:
    if is_high[rows].all() or not is_high[rows].any():
        raise EvaluationError(f"{where} has only one class.")
    return Target(make_task("binary"), is_high.astype(np.int64), rows)


def _relabel(
    study: Bunch, target: str, threshold: str | float, where: str, missing_ratings: str
) -> Target:
    """Label by threshold; a person's threshold is computed from all complete trials."""
    relabeler = SubjectThresholdRelabeler(target=target, threshold=threshold)
    axes, subject = _read_axes(study, target, threshold), study.trials["subject"]
    _refuse_outside(study, axes, where)
    is_na = axes.isna()
    if not is_na.any(axis=None):
        labels = relabeler.fit_relabel(axes, subject=subject)
        rows = np.arange(len(labels))
    else:
        complete = ~is_na.any(axis=1)
        if threshold != "subject":
            complete = ~is_na[target]
        # A person's threshold cannot be computed without a trial that has both ratings.
        is_missing = is_na[target] | ~subject.isin(subject[complete.to_numpy()]).to_numpy()
        rows = _present(study, is_missing.to_numpy(), where, missing_ratings)
        # The label of a trial depends only on the rating of the target.
        filled = axes.fillna(axes.mean())
        relabeler.fit(filled[complete], subject=subject[complete.to_numpy()])
        labels = np.zeros(len(axes), np.int64)
        labels[rows] = relabeler.relabel(filled.iloc[rows], subject=subject.iloc[rows])
    return _two_classes(labels > 0, rows, where)


def _read_axes(study: Bunch, target: str, threshold: str | float) -> pd.DataFrame:
    """Return valence and arousal; if a number is the threshold, only the target is needed."""
    what, remedy = f"The target {target!r}", "Add them, or choose another target."
    if threshold == "subject":
        remedy = f"Choose another target, or pass thresholds={NUMBERS!r} or a number."
        require_ratings(study, RELABELLED, f"{what} with a threshold for each subject", remedy)
    require_ratings(study, [target], what, remedy)
    there = {name: name if name in study.ratings else target for name in RELABELLED}
    return pd.DataFrame({name: study.ratings[column] for name, column in there.items()})


def _keep_stable(
    study: Bunch, target: str, labelled: Target, min_stability: float, where: str
) -> Target:
    """Leave out the trials whose label is less stable than `min_stability`."""
    axes, subject = study.ratings[list(RELABELLED)], study.trials["subject"]
    complete = axes.notna().all(axis=1).to_numpy()
    relabeler = SubjectThresholdRelabeler(target=target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `_relabel` gave them
        relabeler.fit(axes[complete], subject=subject[complete])
        stable = relabeler.stability(axes[complete], subject=subject[complete])
    kept = np.intersect1d(labelled.rows, np.flatnonzero(complete)[stable >= min_stability])
    if not len(kept):
        raise EvaluationError(
            f"{where}: no label is stable in {min_stability:g} of the draws. Lower min_stability."
        )
    checked = _two_classes(labelled.labels > 0, kept, where)
    return checked._replace(n_unstable=len(labelled.rows) - len(kept))


def _read_series(study: Bunch, target: str, where: str, missing_ratings: str) -> Target:
    values = study.targets[target]
    series = np.empty(len(values), dtype=object)
    for row, cell in enumerate(values):
        series[row] = _read_cell(cell, study.trials, row, where)
    _refuse_infinite(study, np.array([np.isinf(cell).any() for cell in series]), where)
    is_missing = np.array([np.isnan(cell).all() for cell in series])
    rows = _present(study, is_missing, where, missing_ratings)
    steps = np.concatenate(series[rows])
    if np.nanmax(steps) == np.nanmin(steps):
        raise EvaluationError(
            f"{where}: all steps are {np.nanmax(steps):g}. Choose a target that varies."
        )
    return Target(make_task("sequence-regression"), series, rows)


def _read_cell(cell: object, trials: pd.DataFrame, row: int, where: str) -> np.ndarray:
    """Return a series as floats; an empty array if the series is missing."""
    if not isinstance(cell, np.ndarray | list | tuple | pd.Series):
        if pd.isna(cell):
            return np.empty(0)
        raise EvaluationError(
            f"{where}: the label of {name_trial(trials, row)} is {cell!r}, but others are series."
        )
    try:
        series = np.asarray(cell, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            f"{where}: the series of {name_trial(trials, row)} is not numerical: {error}"
        ) from None
    if series.ndim != 1:
        raise EvaluationError(
            f"{where}: the series of {name_trial(trials, row)} has shape {series.shape}. It must "
            "be 1-D, with one number for each step."
        )
    return series
