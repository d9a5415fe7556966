"""Learning curves: what evaluations on shares of the people say, where a store holds any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from edaemo.model_selection import share_of
from edaemo.report._page import Row, Section, Table, with_interval
from edaemo.report._pictures import draw_shares
from edaemo.statistics import Binary, classification_summary

_CURVE = ["study", "people", "target", "threshold", "base", "kind"]


def section_learning(folds: pd.DataFrame, trials: pd.DataFrame) -> Section:
    """Draw balanced accuracy against the number of people that a fold trains on.

    Parameters
    ----------
    folds : DataFrame
        As `ResultStore.folds` gives them.
    trials : DataFrame
        As `ResultStore.predictions` gives them, at least of the folds on shares of the people
        and of those under the protocols they are shares of.
    """
    section = Section("Learning curves")
    points = _find_points(folds)
    if points.empty:
        section.paragraphs.append(
            "The store holds none: nothing in it was evaluated on shares of the people. "
            "`edaemo reproduce figure4` evaluates three models on 10, 40, 70 and 100 % of them."
        )
        return section
    by_key = dict(list(trials.groupby("key", sort=False)))
    for about, own in points.groupby(_CURVE, sort=False, dropna=False):
        rows = [_score(point, by_key) for _, point in own.groupby(["pipeline", "percent"])]
        curves = pd.DataFrame([row for row in rows if row is not None])
        missing = [
            f"{name} with {percent:g} %"
            for (name, percent), point in own.groupby(["pipeline", "percent"])
            if (point["status"] == "failed").any()
        ]
        if missing:
            section.paragraphs.append(f"Folds failed, so left out: {', '.join(missing)}.")
        if curves.empty:
            continue
        study, _, target, _, base, kind = about
        what = f"{study}, {target}, {base}, shares {kind}"
        section.pictures.append(draw_shares(curves, what))
        section.tables.append(_table(curves, what))
    section.paragraphs.append(
        "Shares of the training people: the test stays what it is. Shares of the people: the test "
        "shrinks with the training set, as in the paper's figure 4."
    )
    return section


def _find_points(folds: pd.DataFrame) -> pd.DataFrame:
    """Give the folds of each curve of two classes: those of shares, and those of the whole."""
    folds = folds[folds["task"] == Binary.name]
    parts = list(map(share_of, folds["audit"], folds["protocol"]))
    is_share = np.array([part is not None for part in parts], dtype=bool)
    if not is_share.any():
        return folds[:0]
    shares = folds[is_share].assign(
        base=[part.protocol for part in parts if part],
        percent=[float(part.percent) for part in parts if part],
        kind=[part.of for part in parts if part],
    )
    kinds = shares[[*_CURVE, "pipeline"]].drop_duplicates()
    whole = folds[~is_share].assign(base=folds["protocol"], percent=100.0)
    return pd.concat([shares, whole.merge(kinds)])


def _score(point: pd.DataFrame, by_key: dict[str, pd.DataFrame]) -> dict | None:
    """Score one pipeline on one share; None where a fold failed."""
    if (point["status"] == "failed").any():
        return None
    told = pd.concat([by_key[key] for key in point["key"]])
    summary = classification_summary(
        told["label"].astype(np.int64),
        told["predicted"].astype(np.int64),
        subject=told["subject"].to_numpy(),
    )
    score = summary.loc["balanced_accuracy"]
    return {
        "pipeline": point["pipeline"].iloc[0],
        "percent": point["percent"].iloc[0],
        "n_training_people": np.mean([len(people) for people in point["training_subjects"]]),
        "n_people": score["n_people"],
        "score": score["pooled"],
        "low": score["pooled_low"],
        "high": score["pooled_high"],
    }


def _table(curves: pd.DataFrame, what: str) -> Table:
    rows = [
        Row(
            [
                point.pipeline,
                f"{point.percent:g} %",
                f"{point.n_training_people:.1f}",
                f"{point.n_people:.0f}",
                with_interval(point.score, point.low, point.high),
            ]
        )
        for point in curves.itertuples()
    ]
    head: Sequence[str] = ("Pipeline", "Share", "People trained on", "People tested")
    return Table(f"By number of people: {what}.", (*head, "Balanced accuracy"), rows)
