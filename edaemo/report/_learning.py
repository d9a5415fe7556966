"""Learning curves of a report: a picture and a table for each curve of the store."""

from __future__ import annotations

from collections.abc import Sequence

from edaemo.evaluation import LearningCurve
from edaemo.report._page import Row, Section, Table, with_interval
from edaemo.report._pictures import draw_shares


def section_learning(curves: Sequence[LearningCurve]) -> Section:
    """Draw the score against the number of people that a fold trains on."""
    section = Section("Learning curves")
    if not curves:
        section.paragraphs.append(
            "The store holds none: nothing in it was evaluated on shares of the people. "
            "`edaemo reproduce figure4` evaluates three models on 10, 40, 70 and 100 % of them."
        )
        return section
    for curve in curves:
        if curve.failed:
            failed = ", ".join(
                f"{pipeline} with {percent:g} %" for pipeline, percent in curve.failed
            )
            section.paragraphs.append(f"Folds failed, so left out: {failed}.")
        if not curve.points.empty:
            section.pictures.append(draw_shares(curve))
            section.tables.append(_table(curve))
    section.paragraphs.append(
        "Shares of the training people: the test stays what it is. Shares of the people: the test "
        "shrinks with the training set, as in the paper's figure 4."
    )
    return section


def _table(curve: LearningCurve) -> Table:
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
        for point in curve.points.itertuples()
    ]
    score = curve.task.tested_title
    head = (
        "Pipeline",
        "Share",
        "People trained on",
        "People tested",
        score[:1].upper() + score[1:],
    )
    return Table(f"By number of people: {curve.name}.", head, rows)
