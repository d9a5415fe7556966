"""What a store holds, by comparison: scores, tests and tables of stored folds, each made once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from edaemo.evaluation._registry import PIPELINES_OF, PipelineSpec
from edaemo.statistics import (
    CASE,
    NUMBERS,
    Binary,
    Calibration,
    Outcome,
    Scores,
    Task,
    calibration,
    compare_case,
    find_task,
    make_table,
    score_trials,
    split_cases,
    tabulate_scores,
)


@dataclass(eq=False)
class Case:
    """One comparison of pipelines: a study, a target, its threshold, and a protocol.

    `about` holds the columns of ``CASE``; `trials` the predictions by pipeline, the reference rows
    first; `folds` the rows of the store of these pipelines.
    """

    about: dict
    trials: dict[str, pd.DataFrame]
    folds: pd.DataFrame

    @property
    def name(self) -> str:
        """Say which it is."""
        rated = " as rated" * (self.threshold == NUMBERS)
        return f"{self.about['study']}, {self.about['target']}{rated}, {self.about['protocol']}"

    @cached_property
    def task(self) -> Task:
        """Say what kind of target it is."""
        return find_task(list(self.trials.values()))

    @property
    def known(self) -> Mapping[str, PipelineSpec]:
        """Give the pipelines that are registered for such targets."""
        return PIPELINES_OF[self.task.name]

    @property
    def is_artificial(self) -> bool:
        """Say whether the study is generated."""
        return bool(self.folds["artificial"].any())

    @property
    def threshold(self) -> str | None:
        """Give the threshold, None for none."""
        return None if pd.isna(self.about["threshold"]) else self.about["threshold"]

    @property
    def pipelines(self) -> list[str]:
        """Name the pipelines in order."""
        return list(self.trials)

    @cached_property
    def references(self) -> set[str]:
        """Name the rows that need no EDA."""
        return {name for name in self.trials if name in self.known and self.known[name].reference}

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """Give the scores by pipeline, of which all tables and pictures are made."""
        return {name: score_trials(self.task, trials) for name, trials in self.trials.items()}

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Give all scores, index pipeline and score."""
        return tabulate_scores(self.about, self.scores).set_index(["pipeline", "score"])

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """Give labels and predictions by pipeline, as the task reads them."""
        return {
            name: self.task.read(told["label"], told["predicted"])
            for name, told in self.trials.items()
        }

    @cached_property
    def confusions(self) -> dict[str, np.ndarray]:
        """Count label by prediction, shape (k, k), by pipeline; of classes alone."""
        if not self.task.has_classes:
            return {}
        return {
            name: self.task.sum_up(outcome, np.zeros(len(outcome.labels), int))["confusion"][0]
            for name, outcome in self.outcomes.items()
        }

    @property
    def people(self) -> dict[str, np.ndarray]:
        """Give each person's score that tests are about, by pipeline."""
        return {name: scores.by_person.to_numpy() for name, scores in self.scores.items()}

    @cached_property
    def probabilities(self) -> dict[str, pd.DataFrame]:
        """Give the predictions, of two classes, of those pipelines that say how sure they are."""
        if not isinstance(self.task, Binary):
            return {}
        return {k: told for k, told in self.trials.items() if told["probability"].notna().all()}

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Compare probabilities to what came true, by pipeline."""
        return {
            name: calibration(
                told["label"], told["probability"], subject=told["subject"].to_numpy()
            )
            for name, told in self.probabilities.items()
        }

    @cached_property
    def pairs(self) -> pd.DataFrame | str:
        """Compare all pairs, or say why that cannot be done."""
        try:
            return compare_case(self.about, self.trials, self.task.tested)
        except ValueError as error:
            return str(error)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Give the table that `evaluate` returns, as far as a store tells it."""
        first = next(iter(self.trials.values()))
        audits = [audit or {} for audit in self.folds["audit"]]
        labels = next(iter(self.outcomes.values())).labels[~first["row"].duplicated().to_numpy()]
        case = {
            **self.about,
            "threshold": self.threshold,
            "artificial": self.is_artificial,
            "warning": next((a["warning"] for a in audits if a.get("warning")), ""),
            **self.task.describe_labels(labels),
            "n_people": first["subject"].nunique(),
            "n_trials": len(labels),
            "n_missing": max((audit.get("n_missing", 0) for audit in audits), default=0),
            "n_training": _mean(audits, "n_training"),
            "left_out": _mean(audits, "n_left_out"),
            "n_folds": self.folds["fold"].nunique(),
            "n_repeats": self.folds["repeat"].nunique(),
            "random_state": 0,
            # How many stimuli crossed in all is not stored, only in each fold.
            "stimuli_seen": pd.NA,
        }
        pipelines = [
            {
                "pipeline": name,
                "reference": name in self.references,
                "transductive": name in self.known and self.known[name].transductive,
                "knows_stimulus": self._is_told(name),
            }
            for name in self.trials
        ]
        return make_table(self.task, case, pipelines, self.scores, self.folds)

    def settings(self, pipeline: str) -> dict:
        """Give what the key of a pipeline's first fold was made of."""
        return self.folds.loc[self.folds["pipeline"] == pipeline, "settings"].iloc[0] or {}

    def _is_told(self, pipeline: str) -> bool:
        """Say whether a pipeline is told which stimulus a trial had, as `evaluate` would."""
        said = self.known[pipeline].knows_stimulus if pipeline in self.known else None
        return self.has_music(pipeline) if said is None else said

    def has_music(self, pipeline: str) -> bool:
        """Say whether a parameter ``music`` of a pipeline is set."""
        return any(music is not None for music in find_settings(self.settings(pipeline), "music"))


def make_cases(predictions: pd.DataFrame, folds: pd.DataFrame) -> list[Case]:
    """Part what a store holds into its comparisons, references first in each."""
    by_case = dict(list(folds.groupby(list(CASE), dropna=False, sort=False)))
    by_case = {_hashable(key): rows for key, rows in by_case.items()}
    cases = []
    for about, trials in split_cases(predictions):
        known = list(PIPELINES_OF[about["task"]])
        order = {name: known.index(name) if name in known else len(known) for name in trials}
        names = sorted(trials, key=lambda name: (order[name], name))
        own = by_case[_hashable(about.values())]
        kept = own[own["pipeline"].isin(names)]
        cases.append(Case(about, {name: trials[name] for name in names}, kept))
    return cases


def find_settings(value: object, name: str) -> Iterator[object]:
    """Give what is stored under a name anywhere in settings."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from find_settings(part, name)


def _mean(audits: Sequence[dict], name: str) -> float:
    values = [audit[name] for audit in audits if audit.get(name) is not None]
    return float(np.mean(values)) if values else np.nan


def _hashable(values: Iterable) -> tuple:
    """Make one key of the values of a case, in which what is missing equals what is missing."""
    return tuple(json.dumps(None if pd.isna(value) else value) for value in values)
