"""Write the methods of a store as text for a paper, and describe models and trials in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

import edaemo
from edaemo.evaluation import Case, find_settings
from edaemo.model_selection import PROTOCOLS
from edaemo.report._page import Section
from edaemo.statistics import (
    CLAIMS,
    LEVEL,
    NUMBERS,
    describe_scores,
    describe_test,
    explain_marks,
)

_LIBRARIES = (
    *("python", "numpy", "scipy", "pandas", "scikit-learn"),
    *("imbalanced-learn", "torch", "skorch"),
)


def section_methods(cases: Sequence[Case], folds: pd.DataFrame) -> Section:
    """Return the section with the methods: data, evaluation, models, tests, software."""
    section = Section("Methods")
    section.paragraphs.append(
        "This text states what the store holds, for the methods section of a paper. Add how the "
        "data were collected, since the store does not contain it."
    )
    parts = (
        describe_data(cases),
        describe_protocols(cases),
        _describe_models(cases),
        _describe_tests(cases),
        describe_software(folds),
    )
    section.texts = [" ".join(sentences) for sentences in parts]
    return section


def describe_data(cases: Sequence[Case]) -> Iterator[str]:
    """Yield a sentence for each study, people, target and rules."""
    seen = set()
    for case in cases:
        row = case.table.iloc[0]
        about = case.about["study"], case.about["people"], row["n_people"]
        if about not in seen:
            seen.add(about)
            kind = "generated study" if case.is_artificial else "study"
            group = "" if about[1] == "all" else f" (group {about[1]})"
            yield f"The {kind} {about[0]} was evaluated on {row['n_people']} people{group}."
        target = *about, case.about["target"], case.threshold, *case.rules
        if target not in seen:
            seen.add(target)
            yield (
                f"The target {case.about['target']}{describe_threshold(case.threshold)} has "
                f"{row['n_trials']} trials ({case.task.say_labels(row)}); {_list_exclusions(row)}."
            )


def describe_threshold(threshold: str | None) -> str:
    """Return what a high label is, as a part of a sentence; empty if the study has classes."""
    if threshold is None:
        return ""
    if threshold == NUMBERS:
        return ", as rated,"
    of = "the threshold of each person, by 2-means" if threshold == "subject" else threshold
    return f" (high: above {of})"


def _list_exclusions(row: pd.Series) -> str:
    """Return how many trials were excluded, and why."""
    reasons = []
    if row["n_missing"] > 0:
        reasons.append(f"{row['n_missing']:.0f} trials without a label")
    if row["n_unstable"] > 0:
        reasons.append(
            f"{row['n_unstable']:.0f} trials whose label is stable in less than "
            f"{row['min_stability']:g} of the draws of the person's ratings"
        )
    if row["n_excluded"] > 0:
        reasons.append(f"{row['n_excluded']:.0f} trials by the quality rule {row['quality']}")
    return f"{' and '.join(reasons)} were excluded" if reasons else "no trial was excluded"


def describe_protocols(cases: Sequence[Case]) -> Iterator[str]:
    """Yield sentences about each protocol: what it holds out, its folds, and what they share."""
    by_protocol: dict[str, list[Case]] = {}
    for case in cases:
        by_protocol.setdefault(case.about["protocol"], []).append(case)
    for protocol, group in by_protocol.items():
        rows = [case.table.iloc[0] for case in group]
        n_folds, n_repeats = (count_range(row[name] for row in rows) for name in _COUNTS)
        summary = f": {PROTOCOLS[protocol].summary}" if protocol in PROTOCOLS else ""
        repeats = "" if n_repeats == "1" else f", repeated {n_repeats} times with other seeds"
        audits = [audit or {} for case in group for audit in case.folds["audit"]]
        training, test = (_range_of(audits, name) for name in ("n_training", "n_test"))
        yield (
            f"Protocol {protocol}{summary}; {n_folds} folds{repeats}; {training} training trials "
            f"and {test} test trials in a fold."
        )
        shared = [
            f"{_range_of(audits, f'{name}_shared')} {name}" for name in ("subjects", "stimuli")
        ]
        yield f"A training set and its test set share {' and '.join(shared)}."
        yield from dict.fromkeys(f"This protocol {r['warning']}." for r in rows if r["warning"])


_COUNTS = ("n_folds", "n_repeats")


def _range_of(audits: Sequence[dict[str, Any]], name: str) -> str:
    return count_range(audit.get(name) for audit in audits)


def count_range(counts: Iterable[Any]) -> str:
    """Return the smallest and the largest count; "an unknown number of" if one is unknown."""
    known = list(counts)
    if not known or pd.isna(known).any():
        return "an unknown number of"
    low, high = f"{min(known):.0f}", f"{max(known):.0f}"
    return low if low == high else f"{low} to {high}"


def _describe_models(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the steps of each pipeline and the names of the reference rows."""
    models: dict[str, str] = {}
    references: dict[str, str] = {}
    for case in cases:
        for name in case.pipelines:
            found = references if name in case.references else models
            found.setdefault(name, describe_pipeline(case, name))
    if models:
        yield f"The pipelines were {'; '.join(f'{n} ({text})' for n, text in models.items())}."
    if references:
        names = "; ".join(f"{name} ({text})" for name, text in references.items())
        yield f"The reference rows, which use no EDA, were {names}."
    for lines in dict.fromkeys(tuple(explain_marks(case.table)) for case in cases):
        yield from lines


def describe_pipeline(case: Case, pipeline: str) -> str:
    """Return the estimators of a pipeline in order, and its epochs."""
    names = [name for name, _ in list_estimators(case.settings(pipeline).get("parameters"))]
    text = ", ".join(name for name in names if name != "Pipeline") or "estimators not stated"
    epochs = {n for n in find_settings(case.settings(pipeline), "max_epochs") if type(n) is int}
    return f"{text}, {count_range(epochs)} epochs" if epochs else text


def list_estimators(settings: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the class name and the parameters of every estimator in stored settings."""
    if isinstance(settings, list):
        for part in settings:
            yield from list_estimators(part)
    elif isinstance(settings, dict):
        made, state = settings.get("!object"), settings.get("state")
        if isinstance(made, dict) and "!name" in made and isinstance(state, dict):
            yield made["!name"].rpartition(".")[2], state
        for part in settings.values():
            yield from list_estimators(part)


def _describe_tests(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the scores, the intervals, the tests and their families."""
    for lines in dict.fromkeys(tuple(describe_scores(case.table)) for case in cases):
        yield from lines
    tested = [case for case in cases if not isinstance(case.pairs, str)]
    if not tested:
        yield "No tests were possible."
        return
    kinds = dict.fromkeys(
        (case.task.tested_title, describe_test(case.table.iloc[0])) for case in tested
    )
    for score, test in kinds:
        yield (
            f"The test compares the {score} of people ({test}). A pipeline counts as above the "
            f"rows that do not use an input if p is below {LEVEL:g} for each of these rows, after "
            "Holm's adjustment for all claims of the family."
        )
    for case in tested:
        inputs = [claim.what for claim in CLAIMS if case.table[claim.column].notna().any()]
        n_claims = int(case.table["n_claims"].max())
        if inputs:
            yield (
                f"The family of {case.name} has {n_claims} claim{'s' * (n_claims != 1)} about the "
                f"effect of {' and '.join(inputs)}; the margin of equivalence to chance is "
                f"{case.table['margin'].iloc[0]:g}."
            )


def describe_software(folds: pd.DataFrame) -> Iterator[str]:
    """Yield the versions, the devices, the seeds and the days of the computation."""
    counts: dict[str, Counter[str]] = {}
    for versions in folds["versions"]:
        for name, version in (versions or {}).items():
            counts.setdefault(name, Counter())[str(version)] += 1
    libraries = [f"{name} {' and '.join(counts[name])}" for name in _LIBRARIES if name in counts]
    sources = " and ".join(version[:12] for version in counts.get("edaemo", ())) or "not stated"
    yield (
        f"The results were computed with edaemo (digest of its sources: {sources})"
        f"{', ' if libraries else ''}{', '.join(libraries)}."
    )
    devices = ", ".join(sorted(map(str, folds["device"].dropna().unique()))) or "not stated"
    seeds = ", ".join(map(str, sorted({int(seed) for seed in folds["seed"].dropna()})))
    days = sorted(str(day)[:10] for day in folds["created"])
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    yield f"Devices: {devices}. Seeds: {seeds or 'not stated'}. Date: {when}."
    yield f"This text was written by edaemo {edaemo.__version__}."
