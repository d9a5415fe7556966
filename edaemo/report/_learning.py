"""Make the section with learning curves: a plot and a table for each curve."""

from __future__ import annotations

from collections.abc import Sequence

from edaemo.evaluation import LearningCurve
from edaemo.report._page import Row, Section, Table, with_interval
from edaemo.report._pictures import draw_shares


def section_learning(curves: Sequence[LearningCurve]) -> Section:
    """Return the section with the scores against the number of training people."""
    section = Section("Learning curves", is_folded=True)
    if not curves:
        section.paragraphs.append(
            "The store has no evaluations on shares of the people. Run edaemo reproduce figure4 "
            "to evaluate three models on 10, 40, 70 and 100 % of the people."
        )
        return section
    for curve in curves:
        if curve.failed:
            failed = ", ".join(
                f"{pipeline} with {percent:g} %" for pipeline, percent in curve.failed
            )
            section.paragraphs.append(f"These points are left out because folds failed: {failed}.")
        if not curve.points.empty:
            section.pictures.append(draw_shares(curve))
            section.tables.append(_table(curve))
    section.paragraphs.append(
        "With shares of the training people, the test set does not change. With shares of the "
        "people, the test set shrinks with the training set, as in the paper's figure 4."
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
        "Training people",
        "Test people",
        score[:1].upper() + score[1:],
    )
    return Table(f"Score by number of people: {curve.name}.", head, rows)
