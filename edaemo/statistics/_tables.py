"""Make the table of results: one row for each pipeline, with intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

import edaemo
from edaemo._wrap import fold
from edaemo.statistics._claims import CLAIMS, LEVEL, POWER, Claim, judge
from edaemo.statistics._crossed import STIMULUS, SUBJECT, TOO_NARROW, PeopleScores
from edaemo.statistics._predictions import NUMBERS
from edaemo.statistics._summary import ENDS, Scores
from edaemo.statistics._tasks import BY_PERSON, OVER_PEOPLE, Task, make_task


def make_table(
    task: Task,
    case: dict[str, Any],
    pipelines: Sequence[dict[str, Any]],
    scores: Mapping[str, Scores],
    folds: pd.DataFrame,
    *,
    family: Mapping[str, Sequence[str]] | None = None,
    others: Mapping[str, PeopleScores] | None = None,
    margin: float | None = None,
    versions: Mapping[Any, str] | None = None,
) -> pd.DataFrame:
    """Return the scores of one study, target, threshold and protocol, with tests.

    Parameters
    ----------
    task : Task
        The task of the target.
    case : dict
        Columns with the same value in all rows, such as ``study``, ``target`` and ``protocol``. It
        must have ``stimuli_seen``.
    pipelines : sequence of dict
        ``pipeline``, ``reference``, ``uses``, ``transductive``, ``calibration_trials``,
        ``knows_stimulus`` and, if true, ``second_look`` of each one, in order. A second look has
        no verdict and is not in the family.
    scores : mapping of str to Scores
        Scores by pipeline, at least for all pipelines without failed folds.
    folds : DataFrame
        Columns ``pipeline``, ``status``, ``error``, ``fit_seconds``, one row for each fold.
    family : mapping of str to sequence of str, or None, default=None
        The pipelines whose claims are adjusted together, and what each one uses. None: all of
        `pipelines` that are not references.
    others : mapping of str to PeopleScores, or None, default=None
        Scores of people of the pipelines of the family that are not in `pipelines`.
    margin : float or None, default=None
        Margin of the equivalence test; None for ``task.margin``.
    versions : mapping of subject to str, or None, default=None
        Version of the study that each subject followed, such as the order of blocks.

    Returns
    -------
    DataFrame
        See ``docs/evaluation.md``.
    """
    others = others or {}
    margin = task.margin if margin is None else margin
    second_looks = {row["pipeline"] for row in pipelines if row.get("second_look")}
    tested = [
        row["pipeline"]
        for row in pipelines
        if not row["reference"] and row["pipeline"] not in second_looks
    ]
    if family is not None:
        family = {name: uses for name, uses in family.items() if name not in second_looks}
    case = {
        **case,
        "task": task.name,
        "chance": task.chance,
        "family": ", ".join(tested if family is None else family),
        "margin": margin,
        "widened": any(of_one.cross_validated for of_one in scores.values()),
    }
    people: dict[str, PeopleScores] = dict(others)
    undefined = {name + end: np.nan for name in task.columns for end in ENDS}
    undefined[f"{task.tested_column}_sd"] = np.nan
    rows = []
    for pipeline in pipelines:
        name = pipeline["pipeline"]
        run = folds[folds["pipeline"] == name]
        failed = run[run["status"] == "failed"]
        if failed.empty:
            people[name] = scores[name].people
        rows.append(
            {
                **case,
                **pipeline,
                "second_look": name in second_looks,
                "uses": ", ".join(pipeline["uses"]),
                **(scores[name].columns if failed.empty else undefined),
                **_score_versions(people.get(name), versions),
                "n_people_undefined": people[name].by_person.isna().sum()
                if failed.empty
                else pd.NA,
                "stimuli_seen": case["stimuli_seen"] if pipeline["knows_stimulus"] else pd.NA,
                "fit_seconds": run["fit_seconds"].sum(),
                "n_failed": len(failed),
                "error": pd.NA if failed.empty else failed["error"].iloc[0],
                "date": datetime.now(UTC).date().isoformat(),
                "edaemo": edaemo.__version__,
            }
        )
    table = pd.DataFrame(rows).astype({"stimuli_seen": "Int64", "n_people_undefined": "Int64"})
    uses = {row["pipeline"]: tuple(row["uses"]) for row in pipelines}
    references = [row["pipeline"] for row in pipelines if row["reference"]]
    named = (task.chance_row, task.order_row, task.stimulus_row)
    judged = judge(
        {**(family or {}), **uses},
        people,
        rows=[*uses, *others],
        tested=tested if family is None else list(family),
        references=list(dict.fromkeys([*named, *references])),
        chance_row=task.chance_row,
        margin=margin,
    )
    return _decide(table.merge(judged, "left", left_on="pipeline", right_index=True), task)


def _score_versions(
    people: PeopleScores | None, versions: Mapping[Any, str] | None
) -> dict[str, Any]:
    """Return the mean score by version in words, and the mean over versions; {} without them."""
    if versions is None:
        return {}
    if people is None:
        return {"by_version": pd.NA, "over_versions": np.nan}
    groups = people.by_person.groupby(people.by_person.index.map(versions))
    means, counts = groups.mean(), groups.count()
    parts = [f"{name} {mean:.3f} ({counts[name]} people)" for name, mean in means.items()]
    return {"by_version": ", ".join(parts), "over_versions": float(means.mean())}


def _decide(table: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Add the verdict of each claim; a verdict needs both the test and the displayed interval."""
    low, high = (table[task.tested_column + end] for end in ("_low", "_high"))
    margin = table["margin"]
    for column, p, inside in [
        *((claim.column, f"p_{claim.column}", low > task.chance) for claim in CLAIMS),
        (
            "equivalent",
            "p_equivalent",
            (low > task.chance - margin) & (high < task.chance + margin),
        ),
    ]:
        table[p] = table[p].astype(float)
        holds = (table[p] < LEVEL) & inside
        table[column] = holds.where(table[p].notna(), pd.NA).astype("boolean")
    return table.astype({"n_claims": "Int64"})


def format_p(p: float) -> str:
    """Return a p value as text: "-" if it is missing, never "0.000", never rounded to the level."""
    if pd.isna(p):
        return "-"
    if p < 0.001:
        return "< 0.001"
    digits = 3
    while p != LEVEL and float(f"{p:.{digits}f}") == LEVEL and digits < 17:
        digits += 1
    return f"{p:.{digits}f}"


def describe_claims(row: pd.Series) -> str:
    """Return what a row of a table shows and does not show, in the words of all tables.

    Parameters
    ----------
    row : Series
        A row of the table that `evaluate` returns.

    Returns
    -------
    str
        For example "EDA: not shown above trial-order (p = 0.292)".
    """
    if row["n_failed"]:
        return f"{row['n_failed']} folds failed, first with {row['error']}"
    if row["reference"]:
        return "uses no EDA"
    if row.get("second_look"):
        return "second look, no verdict"
    used = row["uses"].split(", ") if row["uses"] else []
    parts = [_describe_claim(row, claim) for claim in CLAIMS if claim.inputs(used)]
    if pd.notna(row["equivalent"]) and row["equivalent"]:
        chance_row = make_task(row["task"]).chance_row
        parts.append(f"within {row['margin']:g} of {chance_row} (p {_say_p(row['p_equivalent'])})")
    return "; ".join(parts) or "uses no signal and no music"


def _describe_claim(row: pd.Series, claim: Claim) -> str:
    """Return the words for one claim; they never contradict p or the interval over people."""
    name, p, alone = claim.what, row[f"p_{claim.column}"], row[f"p_{claim.column}_alone"]
    if pd.isna(p):
        return f"{name}: not tested, since a row {claim.without} has no scores"
    if row[claim.column]:
        return f"{name}: above every row {claim.without} (p {_say_p(p)})"
    task, nearest = make_task(row["task"]), row[f"nearest_{claim.column}"]
    reason = f"p {_say_p(p)}" + (
        f", without adjustment p {_say_p(alone)}" if alone < LEVEL <= p else ""
    )
    is_outside = row[f"{task.tested_column}_low"] > task.chance
    if p < LEVEL:
        reason += ", but the interval includes chance"
    elif is_outside and alone >= LEVEL and nearest == task.chance_row:
        reason += ", although the interval excludes chance"
    return f"{name}: not shown above {nearest} ({reason})"


def _say_p(p: float) -> str:
    return format_p(p) if p < 0.001 else f"= {format_p(p)}"


def format_table(table: pd.DataFrame, *, width: int | None = None) -> str:
    """Format one table for a terminal; the text is also valid Markdown.

    Parameters
    ----------
    table : DataFrame
        The rows of one study, target, threshold and protocol, as `evaluate` returns them.
    width : int or None, default=None
        Greatest number of characters in a line. A wider table becomes several tables, one below the
        other, and other lines are wrapped. None: one line for each row and sentence.

    Returns
    -------
    str
        Lines without trailing newline.

    Raises
    ------
    ValueError
        If `width` is not a whole number of at least 20.
    """
    if width is not None and (not isinstance(width, Integral) or width < 20):
        raise ValueError(f"width must be None or a whole number of at least 20, got {width!r}.")
    first = table.iloc[0]
    titles = title_scores(table)
    spread = f"{make_task(first['task']).tested_column}_sd"
    has_repeats = first["n_repeats"] > 1
    claims = [claim for claim in CLAIMS if table[f"nearest_{claim.column}"].notna().any()]
    head = [
        "pipeline",
        *titles.values(),
        *(["SD over seeds"] if has_repeats else []),
        *(f"p: {claim.title[:1].lower()}{claim.title[1:]}" for claim in claims),
        f"{first['stimuli']} seen in training",
        "fit (s)",
    ]
    rows = [head, ["-" * len(name) for name in head]]
    for _, row in table.iterrows():
        scores = [
            f"{row['n_failed']} folds failed" if row["n_failed"] else _with_interval(row, name)
            for name in titles
        ]
        if has_repeats:
            scores.append("-" if pd.isna(row[spread]) else f"{row[spread]:.3f}")
        p = [format_claim(row, claim) for claim in claims]
        has_count = pd.notna(row["stimuli_seen"])
        seen = f"{row['stimuli_seen']} of {row['n_stimuli']}" if has_count else "-"
        rows.append([mark_name(row), *scores, *p, seen, f"{row['fit_seconds']:.1f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [describe(first), *describe_scores(table), ""]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *explain_marks(table), *describe_versions(table), *verdicts(table)]
    lines += [
        f"{row['pipeline']}: {row['n_failed']} folds failed, first with {row['error']}"
        for _, row in table[table["n_failed"] > 0].iterrows()
    ]
    text = "\n".join([*lines, ""])
    return text if width is None else fold(text, int(width))


def format_claim(row: pd.Series, claim: Claim) -> str:
    """Return the adjusted p of a claim, with the nearest row, for a cell of a table.

    Parameters
    ----------
    row : Series
        A row of the table that `evaluate` returns.
    claim : Claim
        The claim.

    Returns
    -------
    str
        "-" if the claim was not tested.
    """
    p = row[f"p_{claim.column}"]
    return "-" if pd.isna(p) else f"{format_p(p)} ({row[f'nearest_{claim.column}']})"


def mark_name(row: pd.Series) -> str:
    """Return the name of a row, with its marks; see `explain_marks`.

    Parameters
    ----------
    row : Series
        A row of the table that `evaluate` returns.

    Returns
    -------
    str
        The name, "*" or "†" if unlabelled test trials set its scale, and "‡" for a second look.
    """
    mark = " *" if row["transductive"] else " †" if row["calibration_trials"] else ""
    return f"{row['pipeline']}{mark}{' ‡' if row.get('second_look') else ''}"


def explain_marks(table: pd.DataFrame) -> list[str]:
    """Return a line for each mark of `mark_name` in a table.

    Parameters
    ----------
    table : DataFrame
        As `evaluate` returns it.

    Returns
    -------
    list of str
        Empty without marks.
    """
    lines = []
    if table["transductive"].any():
        lines.append(
            "* Transductive: all of a test person's unlabelled trials set the scale. For a person "
            "in training, the training trials set it."
        )
    n_trials = table.loc[~table["transductive"], "calibration_trials"].max()
    if n_trials > 0:
        lines.append(
            f"† Partly transductive: the first {n_trials:.0f} trials of a test person, unlabelled, "
            "set the scale, also of these trials themselves, which are scored too. The protocol "
            "subject-calibrated does not score them."
        )
    if _has_second_look(table):
        lines.append(
            "‡ Second look: these people were scored before with a pipeline that was fixed first. "
            "Other scores of these people have no verdict."
        )
    return lines


def describe_versions(table: pd.DataFrame) -> list[str]:
    """Return the scores of each pipeline by version of the study, and their mean over versions.

    Parameters
    ----------
    table : DataFrame
        As `evaluate` returns it.

    Returns
    -------
    list of str
        A line for each row that is not a reference; empty if people do not differ in version.
    """
    if "by_version" not in table or table["by_version"].isna().all():
        return []
    title = make_task(table["task"].iloc[0]).tested.replace("_", " ")
    return [
        f"{row['pipeline']}, {title} by version: {row['by_version']}; mean over versions "
        f"{row['over_versions']:.3f}."
        for _, row in table[~table["reference"]].iterrows()
        if not pd.isna(row["by_version"])
    ]


def _has_second_look(table: pd.DataFrame) -> bool:
    return "second_look" in table and bool(table["second_look"].any())


def describe_scores(table: pd.DataFrame) -> list[str]:
    """Return which mean each displayed score is, and what the brackets are.

    Parameters
    ----------
    table : DataFrame
        The rows of one study, target, threshold and protocol, as `evaluate` returns them.

    Returns
    -------
    list of str
        Sentences.
    """
    columns, titles = make_task(table["task"].iloc[0]).columns, title_scores(table)
    kinds = {name: columns[name][1] if name in columns else "" for name in titles}
    lines = []
    for is_mean, text in [
        (True, "mean over people; only trials of the same fold are compared"),
        (False, "over all test trials"),
    ]:
        names = [titles[name] for name in titles if (kinds[name] == OVER_PEOPLE) == is_mean]
        if names:
            joined = ", ".join(names)
            lines.append(f"{joined[:1].upper()}{joined[1:]}: {text}.")
    n_undefined = table["n_people_undefined"].max()
    if pd.notna(n_undefined) and n_undefined > 0:
        people = "1 person" if n_undefined == 1 else f"{n_undefined} people"
        lines.append(
            f"{people} without a score, for example with trials of one class only, "
            f"{'is' if n_undefined == 1 else 'are'} left out of the means over people."
        )
    lines.append(describe_intervals(table.iloc[0]))
    narrow = [title for name, title in titles.items() if name.removesuffix(BY_PERSON) in TOO_NARROW]
    if table["widened"].iloc[0] and narrow:
        lines.append(
            f"The interval of {' and '.join(narrow)} is too narrow: it does not contain how the "
            "level and the scale of the predictions vary with the training trials."
        )
    return lines


def describe_intervals(row: pd.Series) -> str:
    """Return what the intervals of a table cover.

    Parameters
    ----------
    row : Series
        A row of the table that `evaluate` returns.

    Returns
    -------
    str
        A sentence.
    """
    covers, method = row.get("covers", SUBJECT), "jackknife"
    if covers == SUBJECT:
        method = "bootstrap"
    text = f"In brackets: 95 % {method} interval over {name_covered(row)}"
    if row["widened"]:
        text += ", widened because the models of different folds share training trials"
    if covers == STIMULUS:
        text += "; it holds for these people"
    if row["n_repeats"] > 1:
        text += f"; it includes the spread over {row['n_repeats']} repeats"
    return f"{text}."


def describe_test(row: pd.Series) -> str:
    """Return the name of the tests of a table, and what they cover.

    Parameters
    ----------
    row : Series
        A row of the table that `evaluate` returns.

    Returns
    -------
    str
        For example "over people, one-sided Wilcoxon".
    """
    test = "one-sided Wilcoxon" if row.get("covers", SUBJECT) == SUBJECT else "one-sided t"
    return f"over {name_covered(row)}, {test}"


def name_covered(row: pd.Series) -> str:
    """Return the words for what the intervals and tests of a table cover.

    Parameters
    ----------
    row : Series
        A row of the table that `evaluate` returns.

    Returns
    -------
    str
        For example "people and songs".
    """
    stimuli = row.get("stimuli", "stimuli")
    names = {SUBJECT: "people", STIMULUS: "stimuli" if pd.isna(stimuli) else stimuli}
    return " and ".join(names[kind] for kind in row.get("covers", SUBJECT).split("+"))


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
        f"{row['n_trials']} trials; protocol {row['protocol']}, "
        f"{row['n_folds']} fold{'' if row['n_folds'] == 1 else 's'}"
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
    if not pd.isna(row.get("quality")):
        text += (
            f"\n{row['n_excluded']:.0f} trials are excluded by the quality rule {row['quality']} "
            f"({row['excluded'] or 'no trial is above a limit'})."
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
    if row.get("order"):
        text += f"\nOrder: {row['order']}"
    return text


def verdicts(table: pd.DataFrame) -> list[str]:
    """Return what a table shows, and what it could have shown with this number of people.

    Parameters
    ----------
    table : DataFrame
        The rows of one study, target, threshold and protocol, as `evaluate` returns them.

    Returns
    -------
    list of str
        A line for each claim, a line for the equivalence to chance, and a line for the family.
    """
    first = table.iloc[0]
    lines = [_say_claim(table, claim) for claim in CLAIMS if table[claim.column].notna().any()]
    if not lines and _has_second_look(table):
        return ["No verdict: all rows that use a signal are a second look."]
    if not lines:
        return ["No row uses a signal or music."]
    chance_row, rows = make_task(first["task"]).chance_row, table[table["equivalent"].notna()]
    equal = rows.loc[rows["equivalent"], "pipeline"]
    lines.append(
        f"Shown to be within {first['margin']:g} of {chance_row} (two one-sided tests, p < {LEVEL} "
        f"after Holm): {', '.join(equal) or 'none'} of {len(rows)}."
    )
    n_claims, family = table["n_claims"].max(), first["family"]
    count = "1 claim" if n_claims == 1 else f"{n_claims} claims"
    lines.append(f"Family of tests: {count} about {family}.")
    if first.get("family_added"):
        lines.append(f"Added to the family after its first evaluation: {first['family_added']}.")
    return lines


def _say_claim(table: pd.DataFrame, claim: Claim) -> str:
    rows = table[table[claim.column].notna()]
    names = rows.loc[rows[claim.column], "pipeline"]
    text = (
        f"{claim.title} (above every row {claim.without} {describe_test(table.iloc[0])}, "
        f"p < {LEVEL} after Holm): {', '.join(names) or 'none'} of {len(rows)}."
    )
    if rows[claim.column].all():
        return text
    effects = rows.loc[~rows[claim.column], f"detectable_{claim.column}"].dropna()
    n_people, n_undefined = table[["n_people", "n_people_undefined"]].iloc[0]
    if n_people == n_undefined:
        return f"{text} No person has a score, so nothing can be tested over people."
    scored = f"{n_people - n_undefined} of " if n_undefined else ""
    size = f"{scored}{n_people} people and {table['n_trials'].iloc[0]} trials"
    if np.isinf(effects).any():
        return f"{text} With {size} no gain could be found: the smallest possible p is too large."
    if effects.empty:
        return f"{text} Not shown is not absent."
    text += (
        f" Not shown is not absent: with {size}, a gain of {effects.median():.3f} over each of "
        "these rows (median over the pipelines) is found with a probability of at least "
        f"{POWER:g}."
    )
    needed = rows.loc[~rows[claim.column]].set_index("pipeline")[f"needed_{claim.column}"]
    needed = needed[np.isfinite(needed)]
    if needed.empty:
        return text
    people = ", ".join(f"{name} {number:.0f}" for name, number in needed.items())
    return (
        f"{text} People needed for this probability, if the gain over the nearest row is as "
        f"observed: {people}."
    )
