"""Make the table of results: one row for each pipeline, with intervals and tests over people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

import edaemo
from edaemo.statistics._predictions import NUMBERS
from edaemo.statistics._scores import adjust_holm, p_above
from edaemo.statistics._summary import ENDS, Scores
from edaemo.statistics._tasks import Task, make_task

LEVEL = 0.05


def make_table(
    task: Task,
    case: dict[str, Any],
    pipelines: Sequence[dict[str, Any]],
    scores: Mapping[str, Scores],
    folds: pd.DataFrame,
) -> pd.DataFrame:
    """Return the scores of one study, target, threshold and protocol, with tests.

    Parameters
    ----------
    task : Task
        The task of the target.
    case : dict
        Columns with the same value in all rows, such as ``study``, ``target`` and ``protocol``. It
        must have ``random_state``, the seed of the bootstrap, and ``stimuli_seen``.
    pipelines : sequence of dict
        ``pipeline``, ``reference``, ``transductive``, ``knows_stimulus`` of each one, in order.
    scores : mapping of str to Scores
        Scores by pipeline, at least for all pipelines without failed folds.
    folds : DataFrame
        Columns ``pipeline``, ``status``, ``error``, ``fit_seconds``, one row for each fold.

    Returns
    -------
    DataFrame
        See ``docs/evaluation.md``.
    """
    case = {**case, "task": task.name, "chance": task.chance}
    by_person: dict[str, pd.Series] = {}
    undefined = {name + end: np.nan for name in task.columns for end in ENDS}
    rows = []
    for pipeline in pipelines:
        name = pipeline["pipeline"]
        run = folds[folds["pipeline"] == name]
        failed = run[run["status"] == "failed"]
        if failed.empty:
            by_person[name] = scores[name].by_person
        rows.append(
            {
                **case,
                **pipeline,
                **(scores[name].columns if failed.empty else undefined),
                "stimuli_seen": case["stimuli_seen"] if pipeline["knows_stimulus"] else pd.NA,
                "fit_seconds": run["fit_seconds"].sum(),
                "n_failed": len(failed),
                "error": pd.NA if failed.empty else failed["error"].iloc[0],
                "date": datetime.now(UTC).date().isoformat(),
                "edaemo": edaemo.__version__,
            }
        )
    table = pd.DataFrame(rows).astype({"stimuli_seen": "Int64"})
    knowing = table["knows_stimulus"] & ~table["reference"]
    unknowing = ~table["knows_stimulus"] & ~table["reference"]
    _test(table, by_person, knowing | unknowing, task.chance_row)
    _test(table, by_person, unknowing, task.order_row)
    _test(table, by_person, knowing, task.stimulus_row)
    above_chance = table[p_column(task.chance_row)] < LEVEL
    for verdict, rows, reference in [
        ("reads_eda", unknowing, task.order_row),
        ("music_helps", knowing, task.stimulus_row),
    ]:
        p = p_column(reference)
        table[verdict] = (above_chance & (table[p] < LEVEL)).where(rows & table[p].notna(), pd.NA)
        table[verdict] = table[verdict].astype("boolean")
    return table


def format_p(p: float) -> str:
    """Return a p value as text with three decimals: never "0.000", and "-" for a missing one."""
    if pd.isna(p):
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_column(reference: str) -> str:
    """Return the column name of the tests against a reference row.

    Parameters
    ----------
    reference : str
        Name of the reference row, such as ``trial-order``.

    Returns
    -------
    str
        Such as ``p_above_trial_order``.
    """
    return f"p_above_{reference.replace('-', '_')}"


def _test(
    table: pd.DataFrame, by_person: dict[str, pd.Series], rows: pd.Series, reference: str
) -> None:
    """Add the p values of these rows against a reference, with Holm's correction."""
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
    """Format one table for a terminal; the text is also a valid Markdown table.

    Parameters
    ----------
    table : DataFrame
        The rows of one study, target, threshold and protocol, as `evaluate` returns them.

    Returns
    -------
    str
        Lines without trailing newline.
    """
    first = table.iloc[0]
    task, titles = make_task(first["task"]), title_scores(table)
    references = (task.chance_row, task.order_row, task.stimulus_row)
    head = [
        "pipeline",
        *titles.values(),
        *(f"p above {name}" for name in references),
        f"{first['stimuli']} seen in training",
        "fit (s)",
    ]
    rows = [head, ["-" * len(name) for name in head]]
    for _, row in table.iterrows():
        scores = [
            f"{row['n_failed']} folds failed" if row["n_failed"] else _with_interval(row, name)
            for name in titles
        ]
        p = [format_p(row[p_column(name)]) for name in references]
        has_count = pd.notna(row["stimuli_seen"])
        seen = f"{row['stimuli_seen']} of {row['n_stimuli']}" if has_count else "-"
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


def title_scores(table: pd.DataFrame) -> dict[str, str]:
    """Return the titles of the displayed score columns of one table, by column."""
    recalls = {
        name: f"recall of {name.removeprefix('recall_')}"
        for name in table
        if name.startswith("recall_") and f"{name}_low" in table and table[name].notna().any()
    }
    return {**make_task(table["task"].iloc[0]).titles, **recalls}


def _with_interval(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return "-"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.3f}" + ("" if pd.isna(low) else f" [{low:.3f}, {high:.3f}]")


def describe(row: pd.Series) -> str:
    """Return a short description of a table: study, target, people, protocol, labels.

    Parameters
    ----------
    row : Series
        Any row of the table that `evaluate` returns.

    Returns
    -------
    str
        One or more lines.
    """
    names = {None: "", "subject": " (by each person's own threshold)", NUMBERS: " (as rated)"}
    threshold = None if pd.isna(row["threshold"]) else row["threshold"]
    labelled = names.get(threshold, f" (above {threshold})")
    group = "" if row["people"] == "all" else f"{row['people']} "
    text = (
        f"{row['study']}, {row['target']}{labelled}: {row['n_people']} {group}people, "
        f"{row['n_trials']} trials; protocol {row['protocol']}, {row['n_folds']} folds"
    )
    if row["n_repeats"] > 1:
        text += f", {row['n_repeats']} repeats"
    text += f"; {make_task(row['task']).say_labels(row)}."
    if row.get("n_missing", 0) > 0:
        text += f"\n{row['n_missing']:.0f} trials without a label are left out."
    if row.get("n_unstable", 0) > 0:
        text += (
            f"\n{row['n_unstable']:.0f} trials are left out, because their label is stable in less "
            f"than {row['min_stability']:g} of the draws of the person's ratings."
        )
    if row["left_out"] > 0:
        text += (
            f"\nA fold trains on {row['n_training']:.0f} trials on average; "
            f"{row['left_out']:.0f} are on neither side."
        )
    if row["artificial"]:
        text += "\nThis study is ARTIFICIAL: no person took part."
    if row["warning"]:
        text += f"\nThis protocol {row['warning']}."
    if row.get("audit"):
        text += f"\nAudit: {row['audit']}"
    return text


def verdicts(table: pd.DataFrame) -> list[str]:
    """Return the pipelines that read EDA, and the pipelines that gain by music, if any use it.

    Parameters
    ----------
    table : DataFrame
        The rows of one study, target, threshold and protocol, as `evaluate` returns them.

    Returns
    -------
    list of str
        One line on EDA, and one on music if any pipeline uses it.
    """
    task = make_task(table["task"].iloc[0])
    lines = [_verdict(table, "reads_eda", "Reads EDA", task.chance_row, task.order_row)]
    if table["music_helps"].notna().any():
        lines.append(
            _verdict(table, "music_helps", "Music helps", task.chance_row, task.stimulus_row)
        )
    return lines


def _verdict(table: pd.DataFrame, column: str, what: str, chance: str, reference: str) -> str:
    n_tested = table[column].notna().sum()
    names = table.loc[table[column].fillna(False), "pipeline"]
    return (
        f"{what} (above {chance} and {reference} over people, one-sided Wilcoxon, p < {LEVEL} "
        f"after Holm): {', '.join(names) or 'none'} of {n_tested}."
    )
