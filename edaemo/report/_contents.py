"""Make the sections of a report from the results of evaluation and statistics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

import edaemo
from edaemo.evaluation import Case, find_settings
from edaemo.model_selection import PROTOCOLS
from edaemo.report import _pictures
from edaemo.report._page import (
    NOTHING,
    Confusion,
    Row,
    Section,
    Table,
    number,
    p_value,
    with_interval,
)
from edaemo.statistics import (
    CLAIMS,
    NUMBERS,
    Binary,
    describe,
    describe_scores,
    describe_test,
    describe_versions,
    explain_marks,
    format_claim,
    mark_name,
    name_covered,
    verdicts,
)

RATED = ("valence", "arousal")
_NUMBER = re.compile(r"\d+(\.\d+)?")
INPUTS = {
    "majority": "none",
    "trial-order": "trial order",
    "step-mean": "number of the step",
    "duration": "length of the trial",
    "subject-prior": "other labels of the person",
    "stimulus-prior": "stimulus",
    "mean": "none",
    "subject-mean": "other ratings of the person",
    "stimulus-mean": "stimulus",
}
TAKEN = {
    "no-signals": "trials table without EDA",
    "identity": "trials table without EDA",  # name in stores of versions 1 and 2
    "features": "128 features",
    "signals": "EDA",
    "trials": "raw EDA",
}


def section_overview(cases: Sequence[Case], left_out: Sequence[str], store: str) -> Section:
    """Return the section with studies, protocols and numbers of trials."""
    section = Section("Comparisons")
    n_people = sum(max(c.table["n_people"].iloc[0] for c in group) for _, group in _by_study(cases))
    n_studies = len(_by_study(cases))
    section.paragraphs.append(
        f"{store} holds {len(cases)} comparison{'s' * (len(cases) > 1)} (a study, a target, a "
        f"protocol) of {n_studies} {'study' if n_studies == 1 else 'studies'} with {n_people} "
        "people. All scores are computed from predictions of trials that were not in training. "
        "The notes of each table state what its 95 % intervals cover. Grey rows "
        "use no EDA. A pipeline shows an effect of EDA only if its scores are above all rows that "
        "use no EDA, with music or without."
    )
    for protocol in dict.fromkeys(case.about["protocol"] for case in cases):
        if protocol in PROTOCOLS:
            section.paragraphs.append(f"Protocol {protocol}: {PROTOCOLS[protocol].summary}.")
    rows = []
    for case in cases:
        first = case.table.iloc[0]
        rows.append(
            Row(
                [
                    case.about["study"],
                    case.about["target"],
                    _describe_threshold(case.threshold),
                    str(case.about["people"]),
                    ", ".join(case.rules) or NOTHING,
                    str(first.get("n_excluded", 0) + first.get("n_unstable", 0)),
                    str(case.about["protocol"]),
                    *(str(first[name]) for name in ("n_people", "n_trials", "n_folds")),
                    str(first["n_repeats"]),
                    number(first.get("majority_rate", np.nan)),
                    str(len(case.trials)),
                ]
            )
        )
    head = ["Study", "Target", "High label", "People", "Excluding rules", "Trials excluded"]
    head += ["Protocol", "n people", "n trials", "Folds", "Repeats", "Majority class", "Pipelines"]
    section.tables.append(Table("Comparisons.", head, rows))
    for study in dict.fromkeys(case.about["study"] for case in cases if case.is_artificial):
        section.paragraphs.append(f"The study {study} is ARTIFICIAL: no person took part.")
    section.paragraphs += [f"Incomplete: {reason}" for reason in left_out]
    return section


def section_audit(cases: Sequence[Case]) -> Section:
    """Return the section with the audit of the folds."""
    section = Section("Audit", is_folded=True)
    section.paragraphs.append(
        "Before the evaluation, the audit counted what the training and test trials of each fold "
        "have in common. A dash means that the study does not have this information."
    )
    shared = ("trials", "subjects", "viewing_groups", "stimuli", "recordings", "near_copies")
    head = ["Comparison", "Folds", "Training trials", "Test trials", "Trials in neither"]
    head += ["Trials shared", "People shared", "Viewing groups shared", "Stimuli shared"]
    head += [
        "Identical recordings",
        "Copied or overlapping recordings",
        "Share of 1 in training",
        "Protocol",
    ]
    rows = []
    for case in cases:
        first = case.folds.drop_duplicates(["repeat", "fold"])
        audits = [audit or {} for audit in first["audit"]]
        sizes = ("n_training", "n_test", "n_left_out")
        warned = next((a["warning"] for a in audits if a.get("warning")), "")
        rows.append(
            Row(
                [
                    case.name,
                    str(len(first)),
                    *(_range(audits, name) for name in sizes),
                    *(_range(audits, f"{name}_shared") for name in shared),
                    _range(audits, "share_training_1", 2) if _is_binary(case) else NOTHING,
                    warned or "holds out what its name states",
                ]
            )
        )
    section.tables.append(Table("Audit: minimum to maximum over folds.", head, rows))
    return section


def section_warnings(cases: Sequence[Case]) -> Section:
    """Return the section with the warnings about labels, inputs and fits of all folds."""
    section = Section("Warnings", is_folded=True)
    rows = []
    for title, warned in (
        ("labels", warnings_of_data(cases, "label_warnings")),
        ("signals", warnings_of_data(cases, "input_warnings")),
        ("fit and prediction", warnings_of_fits(cases)),
    ):
        rows += [Row([title, *cells]) for cells in warned]
    if rows:
        head = [
            "About",
            "Comparison or study",
            "Pipelines",
            "Warnings",
            "Folds",
            "Text, or example",
        ]
        notes = [
            "Texts that differ only in their numbers are counted together, and the first is shown."
        ]
        section.tables.append(Table("Warnings.", head, rows, notes))
    else:
        section.paragraphs.append("No step issued a warning.")
    audits = [audit or {} for case in cases for audit in case.folds["audit"]]
    n_older = sum("input_warnings" not in audit for audit in audits)
    if n_older:
        section.paragraphs.append(
            f"{n_older} of {len(audits)} folds were computed with an older edaemo, which did not "
            "store warnings about labels and signals."
        )
    return section


def warnings_of_data(cases: Sequence[Case], kind: str) -> list[list[str]]:
    """Return a row for each warning about labels or inputs, which all folds of a case share."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for case in cases:
        where = case.name if kind == "label_warnings" else str(case.about["study"])
        for pipeline, audit in zip(case.folds["pipeline"], case.folds["audit"], strict=True):
            for text in (audit or {}).get(kind, ()):
                found.setdefault((where, text), {})[pipeline] = None
    return [
        [where, "all" if kind == "label_warnings" else ", ".join(pipelines), "1", NOTHING, text]
        for (where, text), pipelines in found.items()
    ]


def warnings_of_fits(cases: Sequence[Case]) -> list[list[str]]:
    """Return a row for each kind of warning in the folds; kinds differ in more than numbers."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for case in cases:
        for pipeline, audit in zip(case.folds["pipeline"], case.folds["audit"], strict=True):
            texts = (audit or {}).get("warnings", [])
            counts = (audit or {}).get("warning_counts") or [1] * len(texts)
            for text, n in zip(texts, counts, strict=True):
                kind = found.setdefault(
                    (case.name, _NUMBER.sub("#", text)),
                    {"pipelines": {}, "n": 0, "folds": 0, "text": text},
                )
                kind["pipelines"][pipeline] = None
                kind["n"] += n
                kind["folds"] += 1
    return [
        [name, ", ".join(kind["pipelines"]), str(kind["n"]), str(kind["folds"]), kind["text"]]
        for (name, _), kind in found.items()
    ]


def section_scores(cases: Sequence[Case]) -> Section:
    """Return the section with all scores in the layout of Table 3 of the RTCAN-1D paper."""
    section = Section("Scores", is_folded=True)
    section.paragraphs.append(
        "These tables have the layout of Table 3 of the RTCAN-1D paper (Yin et al., ACM TOMM 18, "
        "2022). They show accuracy / F1 of the high class in percent, over all pooled test trials. "
        "The sections of the comparisons contain intervals and tests."
    )
    kinds: dict[tuple[Any, ...], list[Case]] = {}
    for case in cases:
        if not _is_binary(case):
            continue
        key = case.about["people"], case.threshold, case.about["protocol"], tuple(case.rules)
        kinds.setdefault(key, []).append(case)
    for (people, threshold, protocol, rules), group in kinds.items():
        rated = {case.about["target"] for case in group}
        targets = [name for name in RATED if name in rated] + sorted(rated - set(RATED))
        rows = []
        for _, of_study in _by_study(group):
            by_target = {case.about["target"]: case for case in of_study}
            names = dict.fromkeys(name for case in of_study for name in case.pipelines)
            order = [name for name in of_study[0].pipelines if name in names]
            for name in [*order, *(name for name in names if name not in order)]:
                rows.append(_score_row(name, by_target, targets))
        labelled = "" if threshold is None else f", high: {_describe_threshold(threshold)}"
        labelled += "".join(f", {rule}" for rule in rules)
        table = Table(
            f"Protocol {protocol}, {people} people{labelled}.",
            ("Method", "Data", "Subjects", "Input", *map(_begin, targets)),
            rows,
            _missing_references(group),
        )
        section.tables.append(table)
    return section


def sections_case(case: Case, *, is_folded: bool) -> Iterator[Section]:
    """Yield the sections of one comparison."""
    head = Section(case.name, is_folded=is_folded)
    head.paragraphs += describe(case.table.iloc[0]).split("\n")
    if isinstance(case.pairs, str):
        head.paragraphs.append(f"No tests: {case.pairs}")
    else:
        head.paragraphs += verdicts(case.table)
    head.tables.append(table_scores(case))
    yield head
    if case.task.has_classes:
        yield _section_confusions(case)
    if _is_binary(case):
        yield _section_probabilities(case)
    yield _section_training(case)
    yield _section_pairs(case)


def _section_confusions(case: Case) -> Section:
    """Return the confusion matrices, as coloured matrices and as a table."""
    section = Section(f"Confusion matrices: {case.name}", 3, is_folded=True)
    classes = tuple(map(str, case.task.classes))
    if _is_binary(case):
        rated = case.about["target"] in RATED
        classes = ("low", "high") if rated else ("class 0", "class 1")
    rows = []
    for name, confusion in case.confusions.items():
        counts = confusion.astype(int)
        section.confusions.append(Confusion(name, counts, classes))
        cells = [[name, *map(str, counts.ravel())]]
        if not _is_binary(case):
            cells = [
                [name, label, *map(str, row)] for label, row in zip(classes, counts, strict=True)
            ]
        rows += [Row(row, name in case.references) for row in cells]
    head = ["Pipeline", *(f"{a} predicted as {b}" for a in classes for b in classes)]
    if not _is_binary(case):
        head = ["Pipeline", "Class", *(f"predicted as {name}" for name in classes)]
    section.tables.append(Table(f"Trials over all repeats: {case.name}.", head, rows))
    return section


def _is_binary(case: Case) -> bool:
    return isinstance(case.task, Binary)


def _section_probabilities(case: Case) -> Section:
    section = Section(f"ROC and calibration: {case.name}", 3, is_folded=True)
    silent = [name for name in case.trials if name not in case.probabilities]
    if silent:
        names = ", ".join(silent)
        section.paragraphs.append(
            f"These pipelines have no probabilities, so no ROC and no calibration: {names}."
        )
    if not case.probabilities:
        return section
    auc = case.summary.xs("roc_auc", level="score")
    brier = case.summary.xs("brier_score", level="score")
    section.pictures = _pictures.draw_probabilities(
        case.probabilities, auc["pooled"], case.calibrations
    )
    rows = []
    for name, curve in case.calibrations.items():
        rows.append(
            Row(
                [
                    name,
                    with_interval(*auc.loc[name, ["pooled", "pooled_low", "pooled_high"]]),
                    with_interval(
                        *auc.loc[name, ["over_people", "over_people_low", "over_people_high"]]
                    ),
                    with_interval(*brier.loc[name, ["pooled", "pooled_low", "pooled_high"]]),
                    number(curve.expected_calibration_error),
                    with_interval(curve.slope, curve.slope_low, curve.slope_high),
                    with_interval(curve.intercept, curve.intercept_low, curve.intercept_high),
                ],
                name in case.references,
            )
        )
    head = ["Pipeline", "AUC within folds", "AUC, mean over people", "Brier score"]
    head += ["Expected calibration error", "Calibration slope", "Intercept"]
    notes = [
        "Both AUC compare trials of the same fold only, since the probabilities of different "
        "models may have different scales. Perfect calibration has slope 1 and intercept 0. A dash "
        "means that a value is undefined, for example because all probabilities are equal."
    ]
    section.tables.append(Table(f"Probabilities: {case.name}.", head, rows, notes))
    section.tables.append(_table_bins(case))
    return section


def _table_bins(case: Case) -> Table:
    """Return the points of the calibration curves, with their numbers of trials and people."""
    rows = [
        Row(
            [
                name,
                str(point.n_trials),
                str(point.n_people),
                number(point.probability),
                with_interval(point.share, point.share_low, point.share_high),
            ],
            name in case.references,
        )
        for name, calibrated in case.calibrations.items()
        for point in calibrated.curve.itertuples()
    ]
    head = ("Pipeline", "n trials", "n people", "Mean probability", "Observed share of 1")
    notes = ["A row for each of ten bins of equal width that has trials, over all repeats."]
    return Table(f"Calibration by bin: {case.name}.", head, rows, notes)


def _section_training(case: Case) -> Section:
    section = Section(f"Training curves: {case.name}", 3, is_folded=True)
    losses: dict[str, list[Any]] = {}
    for pipeline, audit in zip(case.folds["pipeline"], case.folds["audit"], strict=True):
        if (audit or {}).get("losses"):
            losses.setdefault(pipeline, []).append(audit["losses"])
    if losses:
        loss = "cross-entropy (nats)" if case.task.has_classes else "loss"
        section.pictures = _pictures.draw_training(losses, loss)
        return section
    epochs = {name: list(find_settings(case.settings(name), "max_epochs")) for name in case.trials}
    networks = [name for name, values in epochs.items() if values]
    section.paragraphs.append(
        f"The store has no losses of {', '.join(networks)}, because these folds were computed with "
        "an edaemo that did not store losses. Compute the folds again to get the losses."
        if networks
        else "No pipeline of this comparison trains in epochs."
    )
    return section


def _section_pairs(case: Case) -> Section:
    section = Section(f"Pairwise tests: {case.name}", 3, is_folded=True)
    if isinstance(case.pairs, str):
        section.paragraphs.append(f"No tests: {case.pairs}")
        return section
    if case.pairs.empty:
        section.paragraphs.append("This comparison has only one pipeline, so it has no pairs.")
        return section
    first = case.table.iloc[0]
    is_crossed = first["covers"] != "subject"
    rows = []
    for row in case.pairs.itertuples():
        rows.append(
            Row(
                [
                    row.a,
                    row.b,
                    with_interval(row.difference, row.difference_low, row.difference_high),
                    with_interval(row.rank_biserial, row.rank_biserial_low, row.rank_biserial_high),
                    p_value(row.p_crossed if is_crossed else row.p_wilcoxon),
                    p_value(row.p_crossed_holm if is_crossed else row.p_wilcoxon_holm),
                    number(row.fold_difference),
                    p_value(row.p_t),
                    p_value(row.p_t_holm),
                ]
            )
        )
    head = [
        "Pipeline A",
        "Pipeline B",
        "Mean of A minus B over people",
        "Rank-biserial correlation",
    ]
    head += [
        "p (t)" if is_crossed else "p (Wilcoxon)",
        "p, Holm",
        "Mean of A minus B over folds",
        "p (corrected t)",
        "p, Holm",
    ]
    notes = [
        f"Score: {case.task.tested_title}. {_describe_pairs(first)} The corrected resampled t-test "
        "over folds (Nadeau and Bengio 2003) tests whether the pipelines differ. A better pipeline "
        "should be better in both tests. Holm: adjusted for all pairs of the table."
    ]
    section.tables.append(Table(f"All pairs: {case.name}.", head, rows, notes))
    return section


def _describe_pairs(row: pd.Series) -> str:
    """Return what the test of people's scores tests."""
    if row["covers"] == "subject":
        return (
            "Wilcoxon's signed-rank test over people tests whether these fitted models differ on "
            "other people. For equally good pipelines, its p is small more often than it should be."
        )
    return (
        f"The t test of the mean over people tests whether the models differ on other "
        f"{name_covered(row)}; the intervals cover the same."
    )


def section_versions(folds: pd.DataFrame) -> Section:
    """Return the section with versions, devices, seeds and times."""
    section = Section("Versions", is_folded=True)
    counts: dict[str, Counter] = {}
    for versions in folds["versions"]:
        for name, version in (versions or {}).items():
            text = version[:12] if name == "edaemo" else str(version)
            counts.setdefault(name, Counter())[text] += 1
    rows = [
        Row([name, ", ".join(t if len(c) == 1 else f"{t} ({n} folds)" for t, n in c.items())])
        for name, c in counts.items()
    ]
    created = sorted(str(day)[:10] for day in folds["created"])
    devices = Counter(str(device) for device in folds["device"].dropna())
    seeds = sorted({int(seed) for seed in folds["seed"].dropna()})
    rows += [
        Row(
            [
                "computed",
                created[0] if created[0] == created[-1] else f"{created[0]} to {created[-1]}",
            ]
        ),
        Row(
            ["devices", ", ".join(f"{name} ({n} folds)" for name, n in devices.items()) or NOTHING]
        ),
        Row(["seeds", ", ".join(map(str, seeds)) or NOTHING]),
        Row(["time to fit", f"{folds['fit_seconds'].sum():.0f} s in {len(folds)} folds"]),
        Row(["this report", f"edaemo {edaemo.__version__}"]),
    ]
    notes = ["The version of edaemo is the start of a digest of its sources."]
    section.tables.append(Table("Versions, devices and seeds.", ("Item", "Value"), rows, notes))
    return section


def table_scores(case: Case) -> Table:
    shown, comparable = case.task.reported, not isinstance(case.pairs, str)
    claims = [claim for claim in CLAIMS if case.table[claim.column].notna().any()]
    rows = []
    for _, row in case.table.iterrows():
        scores = case.summary.loc[row["pipeline"]]
        cells = [
            with_interval(*scores.loc[name, [average_over + end for end in ("", "_low", "_high")]])
            for _, name, average_over in shown
        ]
        p = [format_claim(row, claim) if comparable else NOTHING for claim in claims]
        rows.append(Row([mark_name(row), *cells, *p], row["reference"]))
    head = ["Pipeline", *(title for title, _, _ in shown)]
    head += [f"p: {claim.title[:1].lower()}{claim.title[1:]}" for claim in claims]
    notes = [
        *describe_scores(case.table),
        f"p: test of people's {case.task.tested_title} ({describe_test(case.table.iloc[0])}) "
        "against the row in brackets, the nearest of all rows that do not use the input in "
        "question, with Holm's adjustment for the family of tests.",
        *explain_marks(case.table),
        *describe_versions(case.table),
    ]
    unregistered = [name for name in case.trials if name not in case.known]
    if unregistered:
        names = ", ".join(unregistered)
        notes.append(
            f"These pipelines were not registered when the report was written: {names}. Such a "
            "pipeline counts as knowing the stimulus only if it has a parameter music."
        )
    return Table(f"Scores: {case.name}.", head, rows, notes)


def _score_row(name: str, cases: dict[str, Case], targets: Sequence[str]) -> Row:
    """Return a row of Table 3."""
    first = next(case for case in cases.values() if name in case.trials)
    cells = []
    for target in targets:
        case = cases.get(target)
        if case is None or name not in case.trials:
            cells.append(NOTHING)
            continue
        scores = case.summary["pooled"].loc[name]
        cells.append(" / ".join(number(100 * scores[score], 2) for score in ("accuracy", "f1")))
    people = sorted({case.table["n_people"].iloc[0] for case in cases.values()})
    subjects = " or ".join(map(str, people))
    about = [name, first.about["study"], subjects, describe_input(first, name)]
    return Row([*about, *cells], name in first.references)


def describe_input(case: Case, pipeline: str) -> str:
    if pipeline in INPUTS:
        return INPUTS[pipeline]
    taken = TAKEN.get(case.settings(pipeline).get("takes", ""), NOTHING)
    music = case.has_music(pipeline)
    if music and taken == TAKEN["no-signals"]:
        return "music"
    return taken + (" + music" if music else "")


def _missing_references(cases: Sequence[Case]) -> list[str]:
    """Return notes about missing reference rows."""
    notes = []
    for case in cases:
        wanted = (case.task.chance_row, case.task.order_row, case.task.stimulus_row)
        missing = [name for name in wanted if name not in case.trials]
        if missing:
            notes.append(f"{case.name}: the store has no complete row of {', '.join(missing)}.")
    return notes


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]


def _by_study(cases: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.about["study"], []).append(case)
    return list(groups.items())


def _describe_threshold(threshold: str | None) -> str:
    if threshold is None:
        return NOTHING
    if threshold == NUMBERS:
        return "as rated"
    return "above the person's threshold" if threshold == "subject" else f"above {threshold}"


def _range(audits: Sequence[dict[str, Any]], name: str, digits: int = 0) -> str:
    """Return the minimum and maximum of a count over folds."""
    values = [audit[name] for audit in audits if audit.get(name) is not None]
    if not values or pd.isna(values).any():
        return NOTHING
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
