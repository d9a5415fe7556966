"""The commands that repeat what a store holds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pandas as pd

from edaemo.evaluation import STUDIES, Case, find_settings
from edaemo.model_selection import PROTOCOLS
from edaemo.report._page import Section


def section_commands(
    cases: Sequence[Case], store: str, report: str, *, has_shares: bool
) -> Section:
    """Say how the results, and this report of them, are made again."""
    section = Section("The commands that repeat it")
    runs: dict[tuple, dict[str, dict]] = {}
    strange: dict[str, dict[str, None]] = {"studies": {}, "protocols": {}, "pipelines": {}}
    for case in cases:
        study, protocol = case.about["study"], case.about["protocol"]
        if study not in STUDIES:
            strange["studies"][study] = None
        if protocol not in PROTOCOLS:
            strange["protocols"][protocol] = None
        if study not in STUDIES or protocol not in PROTOCOLS:
            continue
        for name in case.trials:
            if name not in case.known:
                strange["pipelines"][name] = None
            else:
                run = runs.setdefault(_describe_run(case, name), {"targets": {}, "pipelines": {}})
                run["targets"][case.about["target"]] = None
                if name not in case.references:
                    run["pipelines"][name] = None
    runs = _join_epochs(runs)
    section.commands = [_write(run, said, store) for run, said in runs.items()]
    section.commands.append(report)
    for what, names in strange.items():
        if names:
            section.paragraphs.append(
                f"Not by these commands: the {what} {', '.join(names)}, which edaemo does not know "
                "by name here. Where a module registers them, add --plugin MODULE; else they came "
                "from Python."
            )
    if has_shares:
        section.paragraphs.append("Shares of the people: by edaemo reproduce figure4.")
    section.paragraphs.append(
        "Folds that are in the store are taken from it, as long as edaemo, the libraries and the "
        "data are the same. Where a corpus is not found by itself, add --path. A study that Python "
        "code gave by itself under a name that edaemo knows cannot be told from that."
    )
    return section


def _describe_run(case: Case, pipeline: str) -> tuple:
    """Give what sets a command: study, people, threshold, protocol, the row that knows nothing, ….

    Then the numbers of folds and repeats, the seed and the epochs.
    """
    folds = case.folds[case.folds["pipeline"] == pipeline]
    protocol, n_people = case.about["protocol"], case.trials[pipeline]["subject"].nunique()
    n = PROTOCOLS[protocol].n_splits_of(folds["fold"].nunique(), n_people)
    epochs = None
    if case.known[pipeline].sets_epochs:
        found = find_settings(case.settings(pipeline), "max_epochs")
        epochs = max((count for count in found if isinstance(count, int)), default=None)
    seed, repeat = folds[["seed", "repeat"]].iloc[0]
    start = None if pd.isna(seed) or pd.isna(repeat) else int(seed - repeat)
    repeats = folds["repeat"].nunique()
    about = case.about["study"], case.about["people"], case.threshold, protocol
    return (*about, case.task.chance_row, n, repeats, start, epochs)


def _join_epochs(runs: dict[tuple, dict]) -> dict[tuple, dict]:
    """Let what has no epochs go with the first run of networks that is like it otherwise."""
    joined = {run: said for run, said in runs.items() if run[-1] is not None}
    for run, said in runs.items():
        if run[-1] is None:
            like = next((other for other in joined if other[:-1] == run[:-1]), run)
            own = joined.setdefault(like, {"targets": {}, "pipelines": {}})
            for name in ("targets", "pipelines"):
                own[name] = own[name] | said[name]
    return joined


def _write(run: tuple, said: dict, store: str) -> str:
    study, people, threshold, protocol, chance_row, n, repeats, seed, epochs = run
    words = ["edaemo", "compare", study, "--target", *said["targets"], "--protocol", protocol]
    # The reference rows take part in any case.
    words += ["--pipelines", *(said["pipelines"] or [chance_row])]
    options = {
        "--threshold": None if threshold == "subject" else threshold,
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
