"""Compute learning curves from stored evaluations on shares of the people."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from edaemo.evaluation._predictions import join_covers, read_trials
from edaemo.evaluation._store import ResultStore
from edaemo.model_selection import share_of
from edaemo.statistics import Task, find_task, score_trials

_CURVE = ["study", "people", "target", "threshold", "task", "quality", "min_stability"]
_CURVE += ["base", "kind"]


class LearningCurve(NamedTuple):
    """Scores of pipelines that were trained on shares of the people.

    Parameters
    ----------
    name : str
        Study, target, protocol and kind of share.
    task : Task
        The task of the target; `points` contain its score ``task.tested``.
    points : DataFrame
        One row for each pipeline and share: ``pipeline``, ``percent``, ``n_training_people`` (mean
        over folds), ``n_people`` (tested), ``score`` (of all trials, compared within folds),
        ``low`` and ``high`` (limits of its 95 % interval).
    failed : list of (str, float)
        Pipelines and shares in percent that have no row because a fold failed.
    """

    name: str
    task: Task
    points: pd.DataFrame
    failed: list[tuple[str, float]]


def is_share(folds: pd.DataFrame) -> np.ndarray:
    """Return for each fold of a store whether it was evaluated on a share of the people.

    Parameters
    ----------
    folds : DataFrame
        Rows of a store.

    Returns
    -------
    ndarray of bool of shape (n_folds,)
        True for a share of the people.
    """
    shares = map(share_of, folds["audit"], folds["protocol"])
    return np.array([share is not None for share in shares], dtype=bool)


def make_learning_curves(store: ResultStore, folds: pd.DataFrame) -> list[LearningCurve]:
    """Compute the scores of evaluations on shares of the people, and on all people.

    Parameters
    ----------
    store : ResultStore
        The store of the evaluations.
    folds : DataFrame
        Rows of ``store.folds()`` for one run of each pipeline.

    Returns
    -------
    list of LearningCurve
        Empty if the store has no evaluations on shares.
    """
    curves = []
    for about, curve in _find_folds(folds).groupby(_CURVE, sort=False, dropna=False):
        study, _, target, _, _, quality, _, protocol, kind = about
        places, trials = read_trials(store, curve)
        about_folds = curve[["repeat", "fold"]].assign(covers=join_covers(curve).to_numpy())
        trials = trials.assign(**about_folds.take(places).reset_index(drop=True))
        task = find_task([trials.assign(task=curve["task"].iloc[0])])
        points, failed = [], []
        for (pipeline, percent), point in curve.groupby(["pipeline", "percent"]):
            if (point["status"] == "failed").any():
                failed.append((pipeline, percent))
                continue
            of_point = trials[np.isin(places, curve.index.get_indexer(point.index))]
            score = score_trials(task, of_point).summary.loc[task.tested]
            points.append(
                {
                    "pipeline": pipeline,
                    "percent": percent,
                    "n_training_people": np.mean(point["training_subjects"].map(len)),
                    "n_people": score["n_people"],
                    "score": score["pooled"],
                    "low": score["pooled_low"],
                    "high": score["pooled_high"],
                }
            )
        rule = "" if pd.isna(quality) else f", quality {quality}"
        name = f"{study}, {target}, {protocol}, shares {kind}{rule}"
        curves.append(LearningCurve(name, task, pd.DataFrame(points), failed))
    return curves


def _find_folds(folds: pd.DataFrame) -> pd.DataFrame:
    """Return the folds of all curves; folds on all people occur once for each kind of share."""
    is_part = is_share(folds)
    if not is_part.any():
        return folds[:0].assign(base=None, percent=np.nan, kind=None)
    parts = folds[is_part]
    shares = list(filter(None, map(share_of, parts["audit"], parts["protocol"])))
    parts = parts.assign(
        base=[share.protocol for share in shares],
        percent=[float(share.percent) for share in shares],
        kind=[share.of for share in shares],
    )
    kinds = parts[[*_CURVE, "pipeline"]].drop_duplicates()
    whole = folds[~is_part].assign(base=folds["protocol"], percent=100.0)
    return pd.concat([parts, whole.merge(kinds)], ignore_index=True)
