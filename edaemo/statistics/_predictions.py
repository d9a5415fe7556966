"""Split a table of predictions by case, pipeline and fold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

# The columns that define one comparison of pipelines.
CASE = ("study", "people", "target", "threshold", "protocol", "quality", "min_stability", "task")
# The threshold of a target that stays numerical.
NUMBERS = "none"
_NEEDED = ("subject", "label", "predicted")


def split_cases(
    predictions: pd.DataFrame,
) -> Iterator[tuple[dict[str, Any], dict[str, pd.DataFrame]]]:
    """Yield each case of a table of predictions, and its trials by pipeline.

    Parameters
    ----------
    predictions : DataFrame
        Table of :func:`load_predictions`.

    Yields
    ------
    case : dict of str to object
        Columns of the case, such as ``study`` and ``target``, with their values.
    by_pipeline : dict of str to DataFrame
        Rows of the case by pipeline.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    missing = [name for name in (*_NEEDED, "pipeline") if name not in predictions]
    if missing:
        raise ValueError(
            f"The table of predictions has no column {missing[0]!r}. It needs {list(_NEEDED)} and "
            "'pipeline', as in the table of load_predictions."
        )
    names = [name for name in CASE if name in predictions]
    if not names:
        yield {}, dict(list(predictions.groupby("pipeline", sort=False)))
        return
    for values, trials in predictions.groupby(names, sort=False, dropna=False):
        case = dict(zip(names, values, strict=True))
        trials = trials.infer_objects()  # a case has one kind of label, the table may have several
        yield case, dict(list(trials.groupby("pipeline", sort=False)))


def hashable(labels: pd.Series) -> pd.Series:
    """Return hashable labels; a series is replaced by its bytes."""
    if len(labels) and isinstance(labels.iloc[0], np.ndarray):
        return labels.map(np.ndarray.tobytes)
    return labels


def fold_codes(trials: pd.DataFrame) -> np.ndarray | None:
    """Return the number of each trial's fold over all repeats; None without a column fold.

    Parameters
    ----------
    trials : DataFrame
        Rows of a table of predictions, with or without ``fold`` and ``repeat``.

    Returns
    -------
    ndarray of shape (n_trials,) or None
        Number of the fold of each trial, from 0.
    """
    if "fold" not in trials:
        return None
    fold, _ = pd.factorize(trials["fold"], sort=True, use_na_sentinel=False)
    if "repeat" not in trials:
        return fold
    repeat, _ = pd.factorize(trials["repeat"], sort=True, use_na_sentinel=False)
    return np.unique(repeat * (fold.max() + 1) + fold, return_inverse=True)[1]
