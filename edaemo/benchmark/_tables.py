"""What the stored folds say: one row for each pipeline, with intervals and tests over people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd

import edaemo
from edaemo.benchmark._scores import (
    SCORES,
    adjust_holm,
    bootstrap_scores,
    p_above,
    score_people,
)

LEVEL = 0.05


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
    by_person: dict[str, pd.Series] = {}
    rows = []
    for pipeline in pipelines:
        name = pipeline["pipeline"]
        own = folds[folds["pipeline"] == name]
        failed = own[own["status"] == "failed"]
        scores = dict.fromkeys([s + end for s in SCORES for end in ("", "_low", "_high")], np.nan)
        of_people = np.nan
        if failed.empty:
            told = predictions[predictions["pipeline"] == name]
            arrays = (
                told["label"].to_numpy(np.int64),
                told["predicted"].to_numpy(np.int64),
                pd.factorize(told["subject"], sort=False)[0],
            )
            scores = bootstrap_scores(*arrays, random_state=case["random_state"])
            by_person[name] = pd.Series(score_people(*arrays), index=pd.unique(told["subject"]))
            of_people = by_person[name].mean()
        rows.append(
            {
                **case,
                **pipeline,
                **scores,
                "balanced_accuracy_by_person": of_people,
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
    _test(table, by_person, told | untold, "majority")
    _test(table, by_person, untold, "time")
    _test(table, by_person, told, "stimulus-prior")
    above_chance = table["p_above_majority"] < LEVEL
    for verdict, rows, p in [
        ("reads_eda", untold, "p_above_time"),
        ("music_helps", told, "p_above_stimulus_prior"),
    ]:
        table[verdict] = (above_chance & (table[p] < LEVEL)).where(rows & table[p].notna(), pd.NA)
        table[verdict] = table[verdict].astype("boolean")
    return table


def _test(
    table: pd.DataFrame, by_person: dict[str, pd.Series], rows: pd.Series, reference: str
) -> None:
    """Add the p values of these rows against a reference, adjusted for their number."""
    column = f"p_above_{reference.replace('-', '_')}"
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
    head = [
        "pipeline",
        "accuracy",
        "balanced accuracy",
        "F1",
        "p above majority",
        "p above time",
        "p above stimulus-prior",
        f"{first['stimuli']} seen in training",
        "fit (s)",
    ]
    rows = [head, ["-" * len(name) for name in head]]
    for _, row in table.iterrows():
        scores = [
            f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            if pd.notna(row[name])
            else f"{row['n_failed']} folds failed"
            for name in SCORES
        ]
        p = [
            f"{row[name]:.3f}" if pd.notna(row[name]) else "-"
            for name in ("p_above_majority", "p_above_time", "p_above_stimulus_prior")
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
    lines += [_verdict(table, "reads_eda", "Reads EDA", "time")]
    if table["music_helps"].notna().any():
        lines.append(_verdict(table, "music_helps", "Music helps", "stimulus-prior"))
    lines += [
        f"{row['pipeline']}: {row['n_failed']} folds failed, first with {row['error']}"
        for _, row in table[table["n_failed"] > 0].iterrows()
    ]
    return "\n".join([*lines, ""])


def describe(row: pd.Series) -> str:
    """Say in a line or two what a table is about."""
    how = {None: "", "subject": " (by each person's own threshold)"}
    threshold = None if pd.isna(row["threshold"]) else row["threshold"]
    labelled = how.get(threshold, f" (above {threshold})")
    said = (
        f"{row['study']}, {row['target']}{labelled}: {row['n_people']} {row['people']} people, "
        f"{row['n_trials']} trials; protocol {row['protocol']}, {row['n_folds']} folds"
    )
    if row["n_repeats"] > 1:
        said += f", {row['n_repeats']} repeats"
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


def _verdict(table: pd.DataFrame, column: str, what: str, reference: str) -> str:
    n_tested = table[column].notna().sum()
    names = table.loc[table[column].fillna(False), "pipeline"]
    return (
        f"{what} (above majority and {reference} over people, one-sided Wilcoxon, p < {LEVEL} "
        f"after Holm): {', '.join(names) or 'none'} of {n_tested}."
    )
