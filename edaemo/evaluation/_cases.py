"""Group the folds of a store by comparison; compute scores, tests and tables once for each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from edaemo.evaluation._exclusion import describe_counts
from edaemo.evaluation._family import describe_added, find_family, read_versions
from edaemo.evaluation._registry import EDA, PIPELINES_OF, PLAIN, PipelineSpec, as_entry
from edaemo.evaluation._store import Member, ResultStore
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

# `unseen`, `calibrate_on` and `rest` of a SubjectStandardizer with which all trials set the scale.
_ALL_OF_A_PERSON = ("self", None, None)


@dataclass(eq=False)
class Case:
    """One comparison of pipelines: a study, a target, its threshold, and a protocol.

    Parameters
    ----------
    about : dict of str to object
        The columns of ``CASE``.
    trials : dict of str to DataFrame
        The predictions by pipeline, reference rows first.
    folds : DataFrame
        The rows of the store for these pipelines.
    family : dict of str to Member
        The pipelines whose tests are adjusted together; empty if the store does not have them.
    """

    about: dict[str, Any]
    trials: dict[str, pd.DataFrame]
    folds: pd.DataFrame
    family: dict[str, Member]

    @property
    def name(self) -> str:
        """Return the name for headings: study, target and protocol."""
        rated = " as rated" * (self.threshold == NUMBERS)
        about = self.about
        names = (about["study"], about["target"] + rated, about["protocol"], *self.rules)
        return ", ".join(map(str, names))

    @cached_property
    def task(self) -> Task:
        """Return the task of the target."""
        return find_task(list(self.trials.values()))

    @property
    def known(self) -> Mapping[str, PipelineSpec]:
        """Return the pipelines that are registered for this task."""
        return PIPELINES_OF[self.task.name]

    @property
    def is_artificial(self) -> bool:
        """Return whether the study is generated."""
        return bool(self.folds["artificial"].any())

    @property
    def threshold(self) -> str | None:
        """Return the threshold, or None."""
        return None if pd.isna(self.about["threshold"]) else self.about["threshold"]

    @property
    def quality(self) -> str | None:
        """Return the rule by which trials were excluded, or None."""
        rule = self.about.get("quality")
        return None if pd.isna(rule) else str(rule)

    @property
    def min_stability(self) -> float | None:
        """Return the least stability of the labels, or None."""
        least = self.about.get("min_stability")
        return None if least is None or pd.isna(least) else float(least)

    @property
    def rules(self) -> list[str]:
        """Return the rules by which trials were excluded, in words."""
        rules = [] if self.quality is None else [f"quality {self.quality}"]
        if self.min_stability is not None:
            rules.append(f"labels stable in {self.min_stability:g} of the draws")
        return rules

    @property
    def pipelines(self) -> list[str]:
        """Return the names of the pipelines in order."""
        return list(self.trials)

    @cached_property
    def references(self) -> set[str]:
        """Return the names of the reference rows, which use no EDA."""
        return {name for name in self.trials if name in self.known and self.known[name].reference}

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """Return the scores by pipeline, for all tables and plots."""
        return {name: score_trials(self.task, trials) for name, trials in self.trials.items()}

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Return all scores; the index is pipeline and score."""
        return tabulate_scores(self.about, self.scores).set_index(["pipeline", "score"])

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """Return labels and predictions by pipeline, as the task reads them."""
        return {
            name: self.task.read(trials["label"], trials["predicted"])
            for name, trials in self.trials.items()
        }

    @cached_property
    def confusions(self) -> dict[str, np.ndarray]:
        """Return the confusion matrix, shape (k, k), by pipeline; empty without classes."""
        if not self.task.has_classes:
            return {}
        return {
            name: self.task.sum_up(outcome, np.zeros(len(outcome.labels), int))["confusion"][0]
            for name, outcome in self.outcomes.items()
        }

    @property
    def people(self) -> dict[str, np.ndarray]:
        """Return each person's value of the tested score, by pipeline."""
        return {name: scores.by_person.to_numpy() for name, scores in self.scores.items()}

    @cached_property
    def probabilities(self) -> dict[str, pd.DataFrame]:
        """Return the predictions of pipelines with probabilities; two classes only."""
        if not isinstance(self.task, Binary):
            return {}
        return {
            name: trials
            for name, trials in self.trials.items()
            if trials["probability"].notna().all()
        }

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Return the calibration of the probabilities, by pipeline."""
        return {
            name: calibration(
                trials["label"], trials["probability"], subject=trials["subject"].to_numpy()
            )
            for name, trials in self.probabilities.items()
        }

    @cached_property
    def pairs(self) -> pd.DataFrame | str:
        """Return the comparison of all pairs, or the reason why it is not possible."""
        try:
            return compare_case(self.about, self.trials, self.task.tested)
        except ValueError as error:
            return str(error)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return the table that `evaluate` returns, as far as the store has its columns."""
        first = next(iter(self.trials.values()))
        audits = [audit or {} for audit in self.folds["audit"]]
        labels = next(iter(self.outcomes.values())).labels[~first["row"].duplicated().to_numpy()]
        case = {
            **self.about,
            "threshold": self.threshold,
            "artificial": self.is_artificial,
            "warning": next((a["warning"] for a in audits if a.get("warning")), ""),
            "audit": " ".join(dict.fromkeys(a["verdict"] for a in audits if a.get("verdict"))),
            "order": " ".join(dict.fromkeys(a["order"] for a in audits if a.get("order"))),
            "covers": first["covers"].iloc[0],
            **self.task.describe_labels(labels),
            "n_people": first["subject"].nunique(),
            "n_trials": len(labels),
            "n_unstable": max((audit.get("n_unstable", 0) for audit in audits), default=0),
            "min_stability": self.min_stability,
            "n_missing": max((audit.get("n_missing", 0) for audit in audits), default=0),
            "quality": self.quality,
            "n_excluded": max((audit.get("n_excluded", 0) for audit in audits), default=0),
            "excluded": describe_counts(audits[0].get("excluded", {}) if audits else {}),
            "n_training": _mean(audits, "n_training"),
            "left_out": _mean(audits, "n_left_out"),
            "n_folds": self.folds["fold"].nunique(),
            "n_repeats": self.folds["repeat"].nunique(),
            "random_state": 0,
            "family_added": describe_added(self.family),
            # The store has this count for each fold, but not over all folds.
            "stimuli_seen": pd.NA,
        }
        pipelines = [
            {
                "pipeline": name,
                "reference": name in self.references,
                "uses": self._find_uses(name),
                "transductive": self._is_transductive(name),
                "calibration_trials": count_calibration(self.settings(name)),
                "knows_stimulus": self._knows_stimulus(name),
                "second_look": name in self._second_looks,
            }
            for name in self.trials
        ]
        family = {name: member.uses for name, member in self.family.items()}
        return make_table(
            self.task,
            case,
            pipelines,
            self.scores,
            self.folds,
            family=family or None,
            versions=read_versions(audits),
        )

    @property
    def _second_looks(self) -> set[str]:
        """Return the pipelines that are a second look at people who were scored before."""
        marked = [bool((audit or {}).get("second_look")) for audit in self.folds["audit"]]
        return set(self.folds.loc[marked, "pipeline"])

    def settings(self, pipeline: str) -> dict[str, Any]:
        """Return the settings from which the key of a pipeline's first fold was computed.

        Parameters
        ----------
        pipeline : str
            Name of the pipeline.

        Returns
        -------
        dict of str to object
            The settings; empty if the store lacks them.
        """
        return self.folds.loc[self.folds["pipeline"] == pipeline, "settings"].iloc[0] or {}

    def _find_uses(self, pipeline: str) -> tuple[str, ...]:
        """Return what a pipeline uses, as `evaluate` stored it, or as far as settings tell."""
        if pipeline in self.family:
            return self.family[pipeline].uses
        entry = self.known.get(pipeline)
        if entry is None:
            taken = self.settings(pipeline).get("takes", "trials")
            entry = as_entry(lambda study: None, input=taken if taken in PLAIN else "features")
        return entry.uses(EDA, self._knows_stimulus(pipeline))

    def _is_transductive(self, pipeline: str) -> bool:
        registered = pipeline in self.known and self.known[pipeline].transductive
        return registered or is_transductive(self.settings(pipeline))

    def _knows_stimulus(self, pipeline: str) -> bool:
        """Return whether a pipeline receives the stimulus of a trial, as `evaluate` does."""
        knows = self.known[pipeline].knows_stimulus if pipeline in self.known else None
        return self.has_music(pipeline) if knows is None else knows

    def has_music(self, pipeline: str) -> bool:
        """Return whether a parameter ``music`` of a pipeline is set.

        Parameters
        ----------
        pipeline : str
            Name of the pipeline.

        Returns
        -------
        bool
            True if it uses music.
        """
        return any(music is not None for music in find_settings(self.settings(pipeline), "music"))


def make_cases(store: ResultStore, predictions: pd.DataFrame, folds: pd.DataFrame) -> list[Case]:
    """Group the predictions of a store by comparison; reference rows come first.

    Parameters
    ----------
    store : ResultStore
        The store, which holds the families of tests.
    predictions : DataFrame
        Table of :func:`load_predictions`.
    folds : DataFrame
        Rows of the store for these predictions.

    Returns
    -------
    list of Case
        The comparisons, in the order of `predictions`.
    """
    by_case = dict(list(folds.groupby(list(CASE), dropna=False, sort=False)))
    by_case = {_hashable(key): rows for key, rows in by_case.items()}
    cases = []
    for about, trials in split_cases(predictions):
        known = list(PIPELINES_OF[about["task"]])
        order = {name: known.index(name) if name in known else len(known) for name in trials}
        names = sorted(trials, key=lambda name: (order[name], name))
        of_case = by_case[_hashable(about.values())]
        kept = of_case[of_case["pipeline"].isin(names)]
        family = find_family(store, list(kept.loc[kept["pipeline"] == names[0], "settings"]))
        cases.append(Case(about, {name: trials[name] for name in names}, kept, family))
    return cases


def find_settings(value: object, name: str) -> Iterator[object]:
    """Yield every value that is stored under a name at any depth of the settings.

    Parameters
    ----------
    value : object
        Settings: dicts and lists in dicts.
    name : str
        The name.

    Yields
    ------
    object
        A value.
    """
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from find_settings(part, name)


def is_transductive(settings: Mapping[str, Any]) -> bool:
    """Return whether all trials of a test person set the person's scale.

    Parameters
    ----------
    settings : mapping
        The settings from which the key of a fold was computed.

    Returns
    -------
    bool
        Whether the pipeline has a step like `SubjectStandardizer()` or
        ``CvxEDATransformer(scale="subject")``, at any depth.
    """
    states = [s for s in find_settings(dict(settings), "state") if isinstance(s, dict)]
    return any(
        state.get("scale") == "subject"
        or (state.get("unseen"), state.get("calibrate_on"), state.get("rest")) == _ALL_OF_A_PERSON
        for state in states
    )


def count_calibration(settings: Mapping[str, Any]) -> int:
    """Return how many first trials of a test person, which are tested, set the person's scale.

    Parameters
    ----------
    settings : mapping
        The settings from which the key of a fold was computed.

    Returns
    -------
    int
        The largest `calibrate_on` of the pipeline, else 0.
    """
    given = [k for k in find_settings(dict(settings), "calibrate_on") if isinstance(k, int)]
    return max(given, default=0)


def _mean(audits: Sequence[dict[str, Any]], name: str) -> float:
    values = [audit[name] for audit in audits if audit.get(name) is not None]
    return float(np.mean(values)) if values else np.nan


def _hashable(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return a hashable key of the values of a case; all missing values are equal."""
    return tuple(json.dumps(None if pd.isna(value) else value) for value in values)
