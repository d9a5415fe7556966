"""How much a score falls when a group of features says nothing any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import EDA, MUSIC, read_layout, sizes
from edaemo._validation import suggest
from edaemo.features import feature_families
from edaemo.inspection._attribution import split_pipeline


def feature_group_importance(
    estimator: BaseEstimator,
    X: object,
    y: object,
    *,
    groups: Mapping[str, Sequence] | None = None,
    scoring: object = "balanced_accuracy",
    n_repeats: int = 10,
    random_state: object = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Say how much a score falls when the columns of a group are shuffled among the trials.

    All columns of a group move together, so what they say in common is lost as well; shuffled one
    by one, columns that say the same would stand in for each other. Any classifier can be asked,
    an SVM on features and a network on signals alike, by
    :func:`sklearn.inspection.permutation_importance`. Ask it of people who did not train it.

    Parameters
    ----------
    estimator : classifier or Pipeline
        Fitted. Of a pipeline the columns that reach its last step are shuffled.
    X : DataFrame or array, what the estimator's ``predict`` takes
    y : array-like of shape (n_trials,)
        The true labels.
    groups : mapping from name to columns, or None, default=None
        Columns by their names, or by their places where they have none; those in no group stay as
        they are. None: each EDA channel (``eda_phasic`` and so on) where the columns are samples;
        the families of the 128 features ("SCR", "time", "spectrum", "band power", "cepstrum")
        where they are those of :class:`edaemo.features.EDAFeatureExtractor`; and "music".
    scoring : str or callable, default="balanced_accuracy"
        As scikit-learn takes it.
    n_repeats : int, default=10
        How often each group is shuffled.
    random_state : int, RandomState instance or None, default=None
        Of the shuffling.
    n_jobs : int or None, default=None
        Groups shuffled at the same time.

    Returns
    -------
    DataFrame of shape (n_groups, 4)
        Indexed by ``group``: ``n_columns``, ``score`` (of X as it is, the same in each row),
        ``mean`` and ``std`` (over the repeats) of what the score loses.

    Raises
    ------
    TypeError
        If a step of the pipeline before the last one cannot transform.
    ValueError
        If the columns do not say what they are and `groups` is None, a group names a column that is
        not there or is in another group as well, or the estimator refuses X or y.
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
    members = _places(groups, list(range(values.shape[1])) if names is None else names)
    scorer = check_scoring(last, scoring=scoring)

    def score(estimator: BaseEstimator, origin: np.ndarray, y: object) -> float:
        """Score rows whose columns of group k come from the trials origin[:, k]."""
        mixed = values.copy()
        for k, columns in enumerate(members):
            mixed[:, columns] = values[origin[:, [k]], columns]
        if frame is not None:
            mixed = pd.DataFrame(mixed, index=frame.index, columns=frame.columns)
        return scorer(estimator, mixed, y)

    unmixed = np.repeat(np.arange(len(values))[:, None], len(members), axis=1)
    found = permutation_importance(
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
            "mean": found.importances_mean,
            "std": found.importances_std,
        },
        index=pd.Index(groups, name="group"),
    )


def _find_groups(names: list | None) -> dict[str, list[str]]:
    """Read from the columns' names which of them belong together."""
    if names is None or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "X does not say what its columns are: give a DataFrame with the names that "
            "MusicFeatureUnion or EDAFeatureExtractor make, or say groups=."
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
            raise ValueError(f"{error} Say groups=.") from None
        assert layout is not None  # some columns are EDA
        ends = range(0, len(eda) + 1, sizes(layout)["n_times"])
        groups = {eda[i].removesuffix("_0"): eda[i:j] for i, j in pairwise(ends)}
    if music := [name for name in names if name.startswith(MUSIC)]:
        groups["music"] = music
    known = sum(map(len, groups.values()))
    if known < len(names):
        odd = next(name for name in names if not name.startswith((EDA, MUSIC)))
        raise ValueError(
            f"{len(names) - known} columns are neither EDA (eda_…) nor music (music_…), first "
            f"{odd!r}: say groups=."
        )
    return groups


def _places(groups: Mapping[str, Sequence], names: list) -> list[list[int]]:
    """Give the places of each group's columns."""
    place = {name: i for i, name in enumerate(names)}
    seen: dict[object, str] = {}
    for group, columns in groups.items():
        if isinstance(columns, str) or not len(columns):
            raise ValueError(f"Group {group!r} must be a list of columns, got {columns!r}.")
        for column in columns:
            if column not in place:
                raise ValueError(
                    f"Group {group!r} names the column {column!r}, which is not among the "
                    f"{len(names)} columns: {suggest(column, map(str, names[:20]))}"
                )
            if column in seen:
                raise ValueError(
                    f"Column {column!r} is in the groups {seen[column]!r} and {group!r}: leave it "
                    "in one."
                )
            seen[column] = group
    if not seen:
        raise ValueError("groups is empty: name at least one group of columns.")
    return [[place[column] for column in columns] for columns in groups.values()]
