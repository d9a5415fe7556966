"""Permutation importance of groups of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import EDA, MUSIC, read_layout, sizes
from edaemo._sklearn import AnyEstimator, AnyTransformer
from edaemo._validation import suggest
from edaemo.features import feature_families


def feature_group_importance(
    estimator: AnyEstimator,
    X: object,
    y: object,
    *,
    groups: Mapping[str, Sequence[Any]] | None = None,
    scoring: object = "balanced_accuracy",
    n_repeats: int = 10,
    random_state: object = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Return how much a score decreases if the columns of a group are shuffled among the trials.

    All columns of a group are shuffled together, so that information that they share is also lost.
    If correlated columns were shuffled separately, one could replace another. The function uses
    :func:`sklearn.inspection.permutation_importance`. It works for every classifier, such as an SVM
    on features or a network on signals. Use trials of subjects who are not in the training data.

    Parameters
    ----------
    estimator : classifier or Pipeline
        A fitted estimator. For a pipeline, the input columns of its last step are shuffled.
    X : DataFrame or array
        Input of the estimator's ``predict``.
    y : array-like of shape (n_trials,)
        The true labels.
    groups : mapping from name to columns, or None, default=None
        Columns of each group, by name, or by index if the columns have no names. Columns in no
        group are not shuffled. None: the groups are read from the column names. Samples are grouped
        by EDA channel (``eda_phasic`` and so on). The 128 features of
        :class:`edaemo.features.EDAFeatureExtractor` are grouped by family ("SCR", "time",
        "spectrum", "band power", "cepstrum"). Music features are the group "music".
    scoring : str or callable, default="balanced_accuracy"
        A scorer, or the name of one, as in scikit-learn.
    n_repeats : int, default=10
        Number of times that each group is shuffled.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling.
    n_jobs : int or None, default=None
        Number of groups that are shuffled in parallel.

    Returns
    -------
    DataFrame of shape (n_groups, 4)
        Indexed by ``group``. Columns: ``n_columns``; ``score``, the score of the unchanged X, equal
        in all rows; ``mean`` and ``std`` of the decrease of the score over the repeats.

    Raises
    ------
    TypeError
        If a step of the pipeline, except the last one, has no ``transform``.
    ValueError
        If `groups` is None and the columns have no known names; if a group contains a column that
        does not exist, or that is also in another group; or if the estimator raises a ValueError
        for X or y.
    NotFittedError
        If the estimator is not fitted.
    """
    before, last = split_pipeline(estimator)
    check_is_fitted(last)
    for step in before:
        X = step.transform(X)
    frame = X if isinstance(X, pd.DataFrame) else None
    names = None if frame is None else list(frame.columns)
    values = np.asarray(X)
    if groups is None:
        groups = _find_groups(names)
    members = _find_indices(groups, list(range(values.shape[1])) if names is None else names)
    scorer = check_scoring(last, scoring=scoring)

    def score(estimator: AnyEstimator, origin: np.ndarray, y: object) -> float:
        """Score rows in which the columns of group k are taken from the trials origin[:, k]."""
        mixed = values.copy()
        for k, columns in enumerate(members):
            mixed[:, columns] = values[origin[:, [k]], columns]
        if frame is not None:
            mixed = pd.DataFrame(mixed, index=frame.index, columns=frame.columns)
        return scorer(estimator, mixed, y)

    unmixed = np.repeat(np.arange(len(values))[:, None], len(members), axis=1)
    importance = permutation_importance(
        last,
        unmixed,
        y,
        scoring=score,
        n_repeats=n_repeats,
        n_jobs=n_jobs,
        random_state=random_state,
    )
    return pd.DataFrame(
        {
            "n_columns": [len(columns) for columns in members],
            "score": score(last, unmixed, y),
            "mean": importance.importances_mean,
            "std": importance.importances_std,
        },
        index=pd.Index(groups, name="group"),
    )


def split_pipeline(estimator: AnyEstimator) -> tuple[list[AnyTransformer], AnyEstimator]:
    """Return the steps that transform X in prediction, in order, and the last estimator.

    Raises
    ------
    TypeError
        If a step before the last one has no ``transform``.
    """
    before: list[AnyTransformer] = []
    last = estimator
    while isinstance(last, Pipeline):
        for name, step in last.steps[:-1]:
            if hasattr(step, "transform"):
                before.append(step)
            elif step not in (None, "passthrough") and not hasattr(step, "fit_resample"):
                # imblearn's pipeline skips resampling steps in prediction.
                raise TypeError(
                    f"Step {name!r} of the pipeline, {type(step).__name__}, does not transform, so "
                    "the input of the last step cannot be computed. Pass the last step and its "
                    "input instead."
                )
        last = last.steps[-1][1]
    return before, last


def _find_groups(names: list[Any] | None) -> dict[str, list[str]]:
    """Return the groups of the columns, from their names."""
    if names is None or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "The columns of X have no known names: pass a DataFrame with the column names of "
            "MusicFeatureUnion or EDAFeatureExtractor, or set groups=."
        )
    family = feature_families()
    eda = [name for name in names if name.startswith(EDA)]
    groups: dict[str, list[str]] = {}
    if all(name in family for name in eda):
        for name in eda:
            groups.setdefault(family[name], []).append(name)
    else:
        try:
            layout = read_layout(names)
        except ValueError as error:
            raise ValueError(f"{error} Set groups=.") from None
        assert layout is not None  # there are EDA columns
        ends = range(0, len(eda) + 1, sizes(layout)["n_times"])
        groups = {eda[i].removesuffix("_0"): eda[i:j] for i, j in pairwise(ends)}
    if music := [name for name in names if name.startswith(MUSIC)]:
        groups["music"] = music
    known = sum(map(len, groups.values()))
    if known < len(names):
        odd = next(name for name in names if not name.startswith((EDA, MUSIC)))
        raise ValueError(
            f"{len(names) - known} columns are neither EDA (eda_…) nor music (music_…), first "
            f"{odd!r}: set groups=."
        )
    return groups


def _find_indices(groups: Mapping[str, Sequence[Any]], names: list[Any]) -> list[list[int]]:
    """Return the indices of the columns of each group."""
    index = {name: i for i, name in enumerate(names)}
    seen: dict[object, str] = {}
    for group, columns in groups.items():
        if isinstance(columns, str) or not len(columns):
            raise ValueError(f"Group {group!r} must be a list of columns, got {columns!r}.")
        for column in columns:
            if column not in index:
                raise ValueError(
                    f"Group {group!r} contains the column {column!r}, which is not among the "
                    f"{len(names)} columns: {suggest(column, map(str, names[:20]))}"
                )
            if column in seen:
                raise ValueError(
                    f"Column {column!r} is in the groups {seen[column]!r} and {group!r}: keep it "
                    "in one of them."
                )
            seen[column] = group
    if not seen:
        raise ValueError("groups is empty: name at least one group of columns.")
    return [[index[column] for column in columns] for columns in groups.values()]
