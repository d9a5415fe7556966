"""Make the model card of a pipeline and the data sheet of a study, from a store.

Their parts are those of M. Mitchell et al., "Model cards for model reporting", FAT* 2019, and of
T. Gebru et al., "Datasheets for datasets", Communications of the ACM 64(12), 2021. What neither the
store nor the study contains is "not stated".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from edaemo._sklearn import AnyBunch
from edaemo._validation import suggest
from edaemo.evaluation import Case
from edaemo.report._contents import describe_input, table_scores, warnings_of_data, warnings_of_fits
from edaemo.report._findings import find_warning, summarise
from edaemo.report._methods import (
    describe_data,
    describe_protocols,
    describe_software,
    describe_threshold,
    list_estimators,
)
from edaemo.report._page import NOTHING, Row, Section, Table, number
from edaemo.statistics import describe_claims

NOT_STATED = "Not stated: {}. The store does not contain it. Add it before you publish."


def model_card_sections(cases: Sequence[Case], pipeline: str) -> list[Section]:
    """Return the sections of the model card of a pipeline.

    Raises
    ------
    ValueError
        If no comparison has the pipeline.
    """
    names = list(dict.fromkeys(name for case in cases for name in case.trials))
    if pipeline not in names:
        raise ValueError(f"Pipeline {pipeline!r} is not in the store: {suggest(pipeline, names)}")
    cases = [case for case in cases if pipeline in case.trials]
    folds = pd.concat([case.folds for case in cases])
    folds = folds[folds["pipeline"] == pipeline]
    details = Section("Model details")
    inputs = " or ".join(dict.fromkeys(describe_input(case, pipeline) for case in cases))
    details.paragraphs += [f"Input: {inputs}.", *describe_software(folds)]
    details.paragraphs.append(NOT_STATED.format("the licence and the contact of the model"))
    details.tables.append(_table_parameters(cases[0], pipeline))
    use = Section("Intended use")
    use.paragraphs.append(NOT_STATED.format("uses, users, and uses that are out of scope"))
    data = Section("Training and evaluation data", paragraphs=[*describe_data(cases)])
    data.paragraphs += describe_protocols(cases)
    results = Section("Metrics and results")
    for case in cases:
        results.paragraphs.append(f"{case.name}: {_describe_result(case, pipeline)}.")
        results.tables.append(_keep_rows(case, pipeline))
    results.tables.append(_table_people(cases, pipeline))
    limits = Section("Limits and warnings", paragraphs=[*_list_limits(cases, pipeline)])
    ethics = Section("Ethical considerations")
    ethics.paragraphs.append(
        NOT_STATED.format("who is in the data beyond their number, and risks of the use")
    )
    return [details, use, data, results, limits, ethics]


def _table_parameters(case: Case, pipeline: str) -> Table:
    """Return the parameters of all estimators of a pipeline."""
    stored = case.settings(pipeline).get("parameters")
    rows = [
        Row([estimator, parameter, _say(value)])
        for estimator, parameters in list_estimators(stored)
        for parameter, value in parameters.items()
        if not parameter.startswith("_")
    ]
    notes = [f"Of the first fold of {case.name}. An estimator sets a missing value (None) in fit."]
    head = ("Estimator", "Parameter", "Value")
    return Table("Parameters.", head, rows, notes)


def _say(value: Any) -> str:
    """Return a stored parameter in words; estimators and arrays without their content."""
    if isinstance(value, list):
        return f"[{', '.join(map(_say, value))}]"
    if not isinstance(value, dict):
        return str(value)
    for kind in ("!tuple", "!set", "!frozenset"):
        if kind in value and isinstance(value[kind], list):
            return f"({', '.join(map(_say, value[kind]))})"
    if "!name" in value:
        return str(value["!name"]).rpartition(".")[2]
    if "!object" in value:
        return _say(value["!object"])
    if "!float" in value:
        return str(value["!float"])
    if "shape" in value:
        return f"array or table of shape {tuple(value['shape'])}"
    return ", ".join(f"{name}: {_say(part)}" for name, part in value.items()) or "{}"


def _describe_result(case: Case, pipeline: str) -> str:
    if isinstance(case.pairs, str):
        return "not tested"
    return describe_claims(case.table.set_index("pipeline", drop=False).loc[pipeline])


def _keep_rows(case: Case, pipeline: str) -> Table:
    """Return the scores of a pipeline, below those of the reference rows."""
    table = table_scores(case)
    kept = [
        row
        for name, row in zip(case.table["pipeline"], table.rows, strict=True)
        if row.is_reference or name == pipeline
    ]
    return table._replace(rows=kept)


def _table_people(cases: Sequence[Case], pipeline: str) -> Table:
    """Return how the tested score varies over people."""
    rows = []
    for case in cases:
        scores = case.people[pipeline]
        scores = scores[~np.isnan(scores)]
        quartiles = np.percentile(scores, [0, 25, 50, 75, 100]) if len(scores) else [np.nan] * 5
        about = [case.name, case.task.tested_title, str(len(scores))]
        rows.append(Row([*about, *map(number, quartiles)]))
    head = ("Comparison", "Score", "n people", "Minimum", "25 %", "Median", "75 %", "Maximum")
    return Table("Scores of single people.", head, rows)


def _list_limits(cases: Sequence[Case], pipeline: str) -> Iterator[str]:
    """Yield warnings of protocols, generated studies, and warnings of labels, signals and fits."""
    for case in cases:
        if find_warning(case):
            yield f"{case.name}: this protocol {find_warning(case)}."
        if case.is_artificial:
            yield f"{case.name}: the study is ARTIFICIAL, and no person took part."
    of_pipeline = [
        replace(case, folds=case.folds[case.folds["pipeline"] == pipeline]) for case in cases
    ]
    yield from _list_warnings(of_pipeline) or ["No warning of labels and signals is stored."]
    fits = [f"{where}: {text}" for where, *_, text in warnings_of_fits(of_pipeline)]
    yield from fits or ["No warning of a fit or a prediction is stored."]
    yield NOT_STATED.format("the use on people of other groups, devices or situations")


def data_sheet_sections(cases: Sequence[Case], study: str, loaded: AnyBunch | str) -> list[Section]:
    """Return the sections of the data sheet of a study.

    Parameters
    ----------
    cases : sequence of Case
        All comparisons of the store.
    study : str
        Name of the study.
    loaded : Bunch or str
        The study, for what the store does not contain, or the reason why it is not available.

    Raises
    ------
    ValueError
        If no comparison is of the study.
    """
    names = list(dict.fromkeys(str(case.about["study"]) for case in cases))
    if study not in names:
        raise ValueError(f"Study {study!r} is not in the store: {suggest(study, names)}")
    cases = [case for case in cases if str(case.about["study"]) == study]
    motivation = Section("Motivation")
    motivation.paragraphs.append(NOT_STATED.format("why, by whom and with which funding"))
    composition = Section("Composition", paragraphs=[*describe_data(cases)])
    targets = {_name_target(case): case for case in reversed(cases)}
    composition.tables += [_table_trials(targets), _table_labels(targets)]
    composition.paragraphs += dict.fromkeys(
        f"{case.name}: {case.table['audit'].iloc[0]}"
        for case in cases
        if case.table["audit"].iloc[0]
    )
    collection = Section("Collection")
    measured = {"sampling_rate": "sampling rate in Hz", "rating_range": "range of ratings"}
    collection.paragraphs += [
        *_list_facts(loaded, measured),
        NOT_STATED.format("how people were recruited, consent, and ethical review"),
    ]
    labelling = Section("Preprocessing and labelling")
    labelling.paragraphs += _list_warnings(cases) or ["No warning of labels and signals is stored."]
    uses = Section("Uses")
    uses.paragraphs += [f"{case.name}: {summarise(case)}." for case in cases]
    uses.paragraphs.append(NOT_STATED.format("other uses, and uses to avoid"))
    distribution = Section("Distribution")
    distribution.paragraphs += _list_facts(loaded, {"licence": "licence", "citation": "citation"})
    maintenance = Section("Maintenance")
    maintenance.paragraphs.append(NOT_STATED.format("who maintains the data, and how to ask"))
    return [motivation, composition, collection, labelling, uses, distribution, maintenance]


def _name_target(case: Case) -> str:
    """Return the target of a comparison, and what selects its trials."""
    about = case.about["target"] + describe_threshold(case.threshold), case.about["people"]
    return ", ".join([*about, *case.rules])


def _table_trials(cases: Mapping[str, Case]) -> Table:
    """Return the numbers of people, stimuli and trials of each target."""
    rows = []
    for name, case in cases.items():
        trials = _find_trials(case)
        per_person = trials["subject"].value_counts()
        rows.append(
            Row(
                [
                    name,
                    str(len(trials)),
                    str(trials["subject"].nunique()),
                    str(trials["stimulus"].nunique() or NOTHING),
                    f"{per_person.min()} / {per_person.median():g} / {per_person.max()}",
                ]
            )
        )
    per_person = "Trials of a person: minimum / median / maximum"
    head = ("Target", "n trials", "n people", "n stimuli", per_person)
    return Table("Trials.", head, rows)


def _find_trials(case: Case) -> pd.DataFrame:
    """Return each tested trial once."""
    return next(iter(case.trials.values())).drop_duplicates("row")


def _table_labels(cases: Mapping[str, Case]) -> Table:
    """Return the number of trials of each class, or the range and the median of numbers."""
    rows = []
    for target, case in cases.items():
        labels = next(iter(case.outcomes.values())).labels
        first = next(iter(case.trials.values()))
        labels = labels[~first["row"].duplicated().to_numpy()]
        if case.task.has_classes:
            counts = pd.Series(case.task.decode(labels)).value_counts().sort_index()
            rows += [Row([target, str(name), str(n)]) for name, n in counts.items()]
        else:
            values = np.concatenate([np.ravel(label) for label in labels])
            for name, value in zip(
                ("minimum", "median", "maximum"), np.percentile(values, [0, 50, 100]), strict=True
            ):
                rows.append(Row([target, name, number(value)]))
    return Table("Labels.", ("Target", "Class or statistic", "Trials or value"), rows)


def _list_facts(loaded: AnyBunch | str, names: dict[str, str]) -> Iterator[str]:
    """Yield fields of a study; the study may be another version than that of the store."""
    if isinstance(loaded, str):
        yield NOT_STATED.format(" and ".join(names.values()))
        yield f"They are not read from the study: {loaded}"
        return
    for name, title in names.items():
        value = loaded.get(name)
        if value is None:
            yield NOT_STATED.format(title)
        else:
            shown = " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            shown = shown.rstrip(".")
            yield f"From the study as it was loaded for this file: {title}: {shown}."


def _list_warnings(cases: Sequence[Case]) -> list[str]:
    found = [
        *warnings_of_data(cases, "label_warnings"),
        *warnings_of_data(cases, "input_warnings"),
    ]
    return [f"{where}: {text}" for where, *_, text in found]
