"""Make the commands that reproduce the results of a store."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd

from edaemo.evaluation import STUDIES, Case, find_settings
from edaemo.model_selection import PROTOCOLS
from edaemo.report._page import Section


def section_commands(
    cases: Sequence[Case], store: str, report: str, *, has_shares: bool
) -> Section:
    """Return the section with the commands that reproduce the results and the report."""
    section = Section("Commands to reproduce the results", is_folded=True)
    runs: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    unknown: dict[str, dict[str, None]] = {"studies": {}, "protocols": {}, "pipelines": {}}
    for case in cases:
        study, protocol = case.about["study"], case.about["protocol"]
        if study not in STUDIES:
            unknown["studies"][study] = None
        if protocol not in PROTOCOLS:
            unknown["protocols"][protocol] = None
        if study not in STUDIES or protocol not in PROTOCOLS:
            continue
        for name in case.trials:
            if name not in case.known:
                unknown["pipelines"][name] = None
            else:
                run = runs.setdefault(_describe_run(case, name), {"targets": {}, "pipelines": {}})
                run["targets"][case.about["target"]] = None
                if name not in case.references:
                    run["pipelines"][name] = None
    runs = _join_epochs(runs)
    section.commands = [_write(run, parts, store) for run, parts in runs.items()]
    section.commands.append(report)
    for what, names in unknown.items():
        if names:
            section.paragraphs.append(
                f"These commands do not include the {what} {', '.join(names)}, which are not "
                "registered. If a module registers them, add --plugin MODULE. Otherwise they were "
                "passed to evaluate in Python."
            )
    if has_shares:
        section.paragraphs.append("To evaluate shares of the people, run edaemo reproduce figure4.")
    section.paragraphs.append(
        "Folds that are in the store are not computed again if edaemo, the libraries and the data "
        "are the same. If a corpus is not found, add --path. If Python code passed a study under a "
        "registered name, these commands load the registered study instead."
    )
    return section


def _describe_run(case: Case, pipeline: str) -> tuple[Any, ...]:
    """Return the options of a command.

    They are study, people, threshold, quality, least stability of labels, protocol, the reference
    row at chance, folds, repeats, seed and epochs.
    """
    folds = case.folds[case.folds["pipeline"] == pipeline]
    protocol, n_people = case.about["protocol"], case.trials[pipeline]["subject"].nunique()
    n = PROTOCOLS[protocol].n_splits_of(folds["fold"].nunique(), n_people)
    epochs = None
    if case.known[pipeline].has_network:
        counts = find_settings(case.settings(pipeline), "max_epochs")
        epochs = max((count for count in counts if isinstance(count, int)), default=None)
    seed, repeat = folds[["seed", "repeat"]].iloc[0]
    start = None if pd.isna(seed) or pd.isna(repeat) else int(seed - repeat)
    repeats = folds["repeat"].nunique()
    rules = case.quality, case.min_stability
    about = case.about["study"], case.about["people"], case.threshold, *rules, protocol
    return (*about, case.task.chance_row, n, repeats, start, epochs)


def _join_epochs(runs: dict[tuple[Any, ...], dict[str, Any]]) -> dict[tuple, dict]:
    """Merge runs without epochs into the first run of networks with the same other options."""
    joined = {run: parts for run, parts in runs.items() if run[-1] is not None}
    for run, parts in runs.items():
        if run[-1] is None:
            same = next((other for other in joined if other[:-1] == run[:-1]), run)
            merged = joined.setdefault(same, {"targets": {}, "pipelines": {}})
            for name in ("targets", "pipelines"):
                merged[name] = merged[name] | parts[name]
    return joined


def _write(run: tuple[Any, ...], parts: dict[str, Any], store: str) -> str:
    study, people, threshold, quality, min_stability, protocol, *others = run
    chance_row, n, repeats, seed, epochs = others
    words = ["edaemo", "compare", study, "--target", *parts["targets"], "--protocol", protocol]
    # The reference rows are always evaluated.
    words += ["--pipelines", *(parts["pipelines"] or [chance_row])]
    options = {
        "--threshold": None if threshold == "subject" else threshold,
        "--quality": quality,
        "--min-stability": min_stability,
        "--people": people,
        "--folds": n,
        "--repeats": repeats,
        "--epochs": epochs,
        "--seed": seed,
        "--store": store,
    }
    for name, value in options.items():
        if value is not None:
            words += [name, str(value)]
    return shlex.join(words)
