"""What the stored folds say: one row for each pipeline, with intervals and tests over people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

import edaemo
from edaemo.statistics._predictions import NUMBERS
from edaemo.statistics._scores import (
    SCORES,
    adjust_holm,
    bootstrap_scores,
    p_above,
    score_people,
)
from edaemo.statistics._summary import regression_summary
from edaemo.statistics._sums import OF_NUMBERS, score_numbers, sum_numbers

LEVEL = 0.05
_ENDS = ("", "_low", "_high")


class Kind(NamedTuple):
    """What a table of classes has, or one of ratings.

    `scores`: names of its columns, with what they are called; `tested`: the score of people that
    tests are about; `chance`, `told`: the reference rows that know nothing and the stimulus.
    """

    scores: dict[str, str]
    columns: tuple[str, ...]
    tested: str
    chance: str
    told: str


_BY_PERSON = "_by_person"
CLASSES = Kind(
    {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1": "F1"},
    (*(name + end for name in SCORES for end in _ENDS), "balanced_accuracy_by_person"),
    "balanced_accuracy",
    "majority",
    "stimulus-prior",
)
RATINGS = Kind(
    {
        "concordance_correlation": "CCC",
        "concordance_correlation_by_person": "CCC by person",
        "pearson": "Pearson",
        "pearson_by_person": "Pearson by person",
        "rmse": "RMSE",
        "rmse_by_person": "RMSE by person",
    },
    tuple(name + of + end for name in OF_NUMBERS for of in ("", _BY_PERSON) for end in _ENDS),
    "concordance_correlation",
    "mean",
    "stimulus-mean",
)


def kind_of(threshold: object) -> Kind:
    """Say what the targets are that have such a threshold."""
    return RATINGS if threshold == NUMBERS else CLASSES


def make_table(
    case: dict, pipelines: Sequence[dict], predictions: pd.DataFrame, folds: pd.DataFrame
) -> pd.DataFrame:
    """Score the stored predictions of one study, target, threshold and protocol.

    Parameters
    ----------
    case : dict
        Columns that all rows have: ``study``, ``target``, ``protocol`` and the like, among them
        ``random_state``, the seed of the bootstrap, and ``stimuli_seen``.
    pipelines : sequence of dict
        ``pipeline``, ``reference``, ``transductive``, ``knows_stimulus`` of each, in order.
    predictions : DataFrame
        Columns ``pipeline``, ``subject``, ``label``, ``predicted``, one row for each trial tested.
    folds : DataFrame
        Columns ``pipeline``, ``status``, ``error``, ``fit_seconds``, one row for each fold.

    Returns
    -------
    DataFrame
        See ``docs/evaluation.md``.
    """
    kind = kind_of(case["threshold"])
    by_person: dict[str, pd.Series] = {}
    rows = []
    for pipeline in pipelines:
        name = pipeline["pipeline"]
        own = folds[folds["pipeline"] == name]
        failed = own[own["status"] == "failed"]
        scores = dict.fromkeys(kind.columns, np.nan)
        if failed.empty:
            told = predictions[predictions["pipeline"] == name]
            score = _score_numbers if kind is RATINGS else _score_classes
            scores, by_person[name] = score(told, case["random_state"])
        rows.append(
            {
                **case,
                **pipeline,
                **scores,
                "stimuli_seen": case["stimuli_seen"] if pipeline["knows_stimulus"] else pd.NA,
                "fit_seconds": own["fit_seconds"].sum(),
                "n_failed": len(failed),
                "error": pd.NA if failed.empty else failed["error"].iloc[0],
                "date": datetime.now(UTC).date().isoformat(),
                "edaemo": edaemo.__version__,
            }
        )
    table = pd.DataFrame(rows).astype({"stimuli_seen": "Int64"})
    told = table["knows_stimulus"] & ~table["reference"]
    untold = ~table["knows_stimulus"] & ~table["reference"]
    _test(table, by_person, told | untold, kind.chance)
    _test(table, by_person, untold, "time")
    _test(table, by_person, told, kind.told)
    above_chance = table[p_column(kind.chance)] < LEVEL
    for verdict, rows, reference in [
        ("reads_eda", untold, "time"),
        ("music_helps", told, kind.told),
    ]:
        p = p_column(reference)
        table[verdict] = (above_chance & (table[p] < LEVEL)).where(rows & table[p].notna(), pd.NA)
        table[verdict] = table[verdict].astype("boolean")
    return table


def _score_classes(told: pd.DataFrame, random_state: int) -> tuple[dict[str, float], pd.Series]:
    """Give the columns of a table, and each person's score."""
    arrays = (
        told["label"].to_numpy(np.int64),
        told["predicted"].to_numpy(np.int64),
        pd.factorize(told["subject"], sort=False)[0],
    )
    by_person = pd.Series(score_people(*arrays), index=pd.unique(told["subject"]))
    scores = bootstrap_scores(*arrays, random_state=random_state)
    return scores | {"balanced_accuracy_by_person": by_person.mean()}, by_person


def _score_numbers(told: pd.DataFrame, random_state: int) -> tuple[dict[str, float], pd.Series]:
    """Do the same for ratings; the scores by person have intervals too."""
    arrays = told["label"].to_numpy(np.float64), told["predicted"].to_numpy(np.float64)
    whose = pd.factorize(told["subject"], sort=False)[0]
    summary = regression_summary(*arrays, subject=whose, random_state=random_state)
    scores = {
        name + of + end: float(summary.loc[name, column + end])
        for name in OF_NUMBERS
        for of, column in (("", "pooled"), (_BY_PERSON, "over_people"))
        for end in _ENDS
    }
    of_people = score_numbers(sum_numbers(*arrays, whose))[RATINGS.tested]
    return scores, pd.Series(of_people, index=pd.unique(told["subject"]))


def p_column(reference: str) -> str:
    """Name the column of the tests against a reference row."""
    return f"p_above_{reference.replace('-', '_')}"


def _test(
    table: pd.DataFrame, by_person: dict[str, pd.Series], rows: pd.Series, reference: str
) -> None:
    """Add the p values of these rows against a reference, adjusted for their number."""
    column = p_column(reference)
    table[column] = np.nan
    tested = [i for i in table.index[rows] if table.loc[i, "pipeline"] in by_person]
    if reference not in by_person:
        return
    against = by_person[reference]
    p = [
        p_above(by_person[table.loc[i, "pipeline"]][against.index].to_numpy(), against.to_numpy())
        for i in tested
    ]
    table.loc[tested, column] = adjust_holm(p)


def format_table(table: pd.DataFrame) -> str:
    """Lay out one table for a terminal; the columns line up and pass as Markdown.

    Parameters
    ----------
    table : DataFrame
        The rows of one study, target, threshold and protocol, as `evaluate` returns them.

    Returns
    -------
    str
    """
    first = table.iloc[0]
    kind = kind_of(first["threshold"])
    references = (kind.chance, "time", kind.told)
    head = [
        "pipeline",
        *kind.scores.values(),
        *(f"p above {name}" for name in references),
        f"{first['stimuli']} seen in training",
        "fit (s)",
    ]
    rows = [head, ["-" * len(name) for name in head]]
    for _, row in table.iterrows():
        scores = [
            f"{row['n_failed']} folds failed" if row["n_failed"] else _with_interval(row, name)
            for name in kind.scores
        ]
        p = [
            f"{row[name]:.3f}" if pd.notna(row[name]) else "-" for name in map(p_column, references)
        ]
        told = pd.notna(row["stimuli_seen"])
        seen = f"{row['stimuli_seen']} of {row['n_stimuli']}" if told else "-"
        mark = " *" if row["transductive"] else ""
        rows.append([row["pipeline"] + mark, *scores, *p, seen, f"{row['fit_seconds']:.1f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [describe(first), "In brackets: 95 % bootstrap interval over people.", ""]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    if table["transductive"].any():
        lines.append("* Transductive: all of a test person's unlabelled trials set the scale.")
    lines += verdicts(table)
    lines += [
        f"{row['pipeline']}: {row['n_failed']} folds failed, first with {row['error']}"
        for _, row in table[table["n_failed"] > 0].iterrows()
    ]
    return "\n".join([*lines, ""])


def _with_interval(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return "-"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.3f}" + ("" if pd.isna(low) else f" [{low:.3f}, {high:.3f}]")


def describe(row: pd.Series) -> str:
    """Say in a line or two what a table is about."""
    how = {None: "", "subject": " (by each person's own threshold)", NUMBERS: " (as rated)"}
    threshold = None if pd.isna(row["threshold"]) else row["threshold"]
    labelled = how.get(threshold, f" (above {threshold})")
    of = "" if row["people"] == "all" else f"{row['people']} "
    said = (
        f"{row['study']}, {row['target']}{labelled}: {row['n_people']} {of}people, "
        f"{row['n_trials']} trials; protocol {row['protocol']}, {row['n_folds']} folds"
    )
    if row["n_repeats"] > 1:
        said += f", {row['n_repeats']} repeats"
    if threshold == NUMBERS:
        said += f"; ratings {row['rating_mean']:.2f}, standard deviation {row['rating_sd']:.2f}."
    else:
        said += f"; majority class {row['majority_rate']:.3f}."
    if row["left_out"] > 0:
        said += (
            f"\nA fold trains on {row['n_training']:.0f} trials on average; "
            f"{row['left_out']:.0f} are on neither side."
        )
    if row["artificial"]:
        said += "\nThis study is ARTIFICIAL: no person took part."
    if row["warning"]:
        said += f"\nThis protocol {row['warning']}."
    return said


def verdicts(table: pd.DataFrame) -> list[str]:
    """Say which pipelines read EDA, and which gain by music where any has it."""
    kind = kind_of(table["threshold"].iloc[0])
    said = [_verdict(table, "reads_eda", "Reads EDA", kind.chance, "time")]
    if table["music_helps"].notna().any():
        said.append(_verdict(table, "music_helps", "Music helps", kind.chance, kind.told))
    return said


def _verdict(table: pd.DataFrame, column: str, what: str, chance: str, reference: str) -> str:
    n_tested = table[column].notna().sum()
    names = table.loc[table[column].fillna(False), "pipeline"]
    return (
        f"{what} (above {chance} and {reference} over people, one-sided Wilcoxon, p < {LEVEL} "
        f"after Holm): {', '.join(names) or 'none'} of {n_tested}."
    )
