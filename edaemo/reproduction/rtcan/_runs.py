"""Evaluate the models of tables 3 to 6 and figure 4 of the RTCAN-1D paper."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from edaemo.evaluation import PIPELINES, PipelineSpec, evaluate
from edaemo.model_selection import FewerPeople, FewerTrainingPeople, Protocol, draw_rows
from edaemo.preprocessing import SubjectThresholdRelabeler
from edaemo.reproduction.rtcan._published import MODULES, NARROW, PERCENTS, Scores
from edaemo.statistics import CLAIMS, POWER, Binary, describe_claims, describe_intervals

TARGETS = ("valence", "arousal")
# The scores of a row, and their columns in the table of `evaluate`.
SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": Binary().tested_column,
    "roc_auc": "roc_auc_by_person",
    "f1": "f1",
}
# The numbers of a row, and the ends of their columns in the table of `evaluate`.
_NUMBERS = {"measured": "", "low": "_low", "high": "_high", "sd": "_sd"}


class ReproductionSettings(NamedTuple):
    """Settings of the evaluation for tables 3 to 6 and figure 4; see :func:`evaluate`.

    Parameters
    ----------
    protocols : tuple of str, default=("subject",)
        Names of protocols. Figure 4 requires "subject", since it holds out whole people.
    people : {"evaluation", "development", "all"}, default="evaluation"
        People of the study.
    n_splits : int, default=10
        Number of folds.
    n_repeats : int, default=1
        Number of repeats. Each repeat has different folds, draws of people and seed. Scores are
        computed over all repeats.
    recipe : str, default="default"
        Recipe of :class:`edaemo.RTCANClassifier`; "paper" is section 5.1.
    max_epochs : int or None, default=None
        Epochs of all networks. None: the values of the recipe and of the CNN.
    n_jobs : int, default=2
        Number of processes.
    random_state : int, default=0
        Seed of folds and pipelines.
    store : path, default="results/results.sqlite"
        File of the results.
    progress : bool or None, default=None
        Whether to show the progress; None: only in a terminal or a notebook.
    """

    protocols: tuple[str, ...] = ("subject",)
    people: str = "evaluation"
    n_splits: int = 10
    n_repeats: int = 1
    recipe: str = "default"
    max_epochs: int | None = None
    n_jobs: int = 2
    random_state: int = 0
    store: str | Path = "results/results.sqlite"
    progress: bool | None = None


class Network(NamedTuple):
    """A variant of RTCAN."""

    music: bool
    depth: int = 1
    channels: tuple[int, ...] = NARROW
    modules: tuple[bool, bool, bool] = (True, True, True)

    @property
    def name(self) -> str:
        """The name in the store; the same network has the same name in all tables."""
        named = zip(("sca_res", "sca", "rnta"), self.modules, strict=True)
        inside = "+".join(name for name, used in named if used) or "no attention"
        width = "-".join(map(str, self.channels))
        return f"rtcan-eda{'-music' * self.music}, depth {self.depth}, {width}, {inside}"

    def make(self, study: Bunch, settings: ReproductionSettings) -> Pipeline:
        """Make the pipeline for a study."""
        from edaemo.estimators import make_rtcan  # imports torch, which tables 1 and 2 do not need

        sca_res, sca, rnta = self.modules
        pipeline = make_rtcan(
            music=study.music if self.music else None, max_epochs=settings.max_epochs
        )
        return pipeline.set_params(
            rtcan__recipe=settings.recipe,
            rtcan__depth=self.depth,
            rtcan__channels=self.channels,
            rtcan__sca_res=sca_res,
            rtcan__sca=sca,
            rtcan__rnta=rnta,
        )


class Point(NamedTuple):
    """A share of the people under one protocol; `why_not` is the reason if it cannot be run."""

    base: str
    percent: float
    protocol: str | Protocol
    n_people: int
    n_training_people: float
    n_test_people: int
    why_not: str | None

    @property
    def name(self) -> str:
        """The name of the protocol in the evaluation."""
        return self.protocol if isinstance(self.protocol, str) else self.protocol.name


def shrink(study: Bunch, settings: ReproductionSettings) -> list[Point]:
    """Plan evaluations with training and test on a share of the people."""
    labels, n_splits, seed = _label(study), settings.n_splits, settings.random_state
    protocols = [
        FewerPeople(base, n_splits, percent=percent, random_state=seed)
        for base in settings.protocols
        for percent in PERCENTS
    ]
    return [_plan(study, p.protocol, p, labels, settings.n_repeats) for p in protocols]


def fix_test(study: Bunch, settings: ReproductionSettings) -> list[Point]:
    """Plan evaluations on all people, with training on a share of the training people."""
    labels, n_splits, seed = _label(study), settings.n_splits, settings.random_state
    protocols = [
        FewerTrainingPeople(n_splits, percent=percent, random_state=seed) for percent in PERCENTS
    ]
    return [_plan(study, "subject", p, labels, settings.n_repeats) for p in protocols]


def _label(study: Bunch) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # evaluate repeats the warning
        return [
            SubjectThresholdRelabeler(target=target).fit_relabel(
                study.ratings, subject=study.trials["subject"]
            )
            for target in TARGETS
        ]


def _plan(
    study: Bunch,
    base: str,
    protocol: FewerPeople | FewerTrainingPeople,
    labels: list[np.ndarray],
    n_repeats: int,
) -> Point:
    """Split without training, to count people and to check that all folds are possible."""
    subject, whole = study.trials["subject"].to_numpy(), protocol.percent == 100
    try:
        splits = [
            (y, list(_repeat(protocol, repeat).split(study.trials, y)))
            for repeat in range(max(n_repeats, 1))  # evaluate raises an error for 0
            for y in labels
        ]
    except ValueError as error:
        if whole:
            raise
        n_people = len(np.unique(subject[draw_rows(subject, protocol.percent, 0)]))
        return Point(base, protocol.percent, protocol, n_people, np.nan, 0, f"not run: {error}")
    n_one_class = sum(len(np.unique(y[fold])) < 2 for y, folds in splits for fold, _ in folds)
    one_class = "not run: the training trials of a fold would be of one class"
    first = splits[0][1]
    training = [np.unique(subject[rows]) for rows, _ in first]
    tested = np.unique(subject[np.concatenate([rows for _, rows in first])])
    return Point(
        base,
        protocol.percent,
        base if whole else protocol,  # the same folds, under their usual name in stores
        len(np.unique(np.concatenate([tested, *training]))),
        float(np.mean([len(people) for people in training])),
        len(tested),
        one_class if n_one_class and not whole else None,
    )


def _repeat(protocol: Protocol, repeat: int) -> Protocol:
    """Return the protocol of a repeat, as `evaluate` does."""
    protocol = copy(protocol)
    if hasattr(protocol, "random_state"):
        protocol.random_state += repeat
    return protocol


def eda_models(study: Bunch) -> dict[tuple[str, str], str | Network]:
    """Return the paper's models on EDA without music, by method and signal."""
    small = study.name in ("deap", "amigos")
    features = "EDA hand-crafted feature"
    return {
        ("SVM", features): "svm-eda",
        ("3-layer CNN", features): "cnn-eda",
        ("RTCAG", "EDA"): Network(music=False, modules=MODULES["Re" if small else "Rf"]),
    }


def evaluate_models(
    study: Bunch,
    models: Iterable[str | Network],
    protocols: Iterable[str | Protocol],
    settings: ReproductionSettings,
    *,
    threshold: str | float = "subject",
) -> pd.DataFrame:
    """Evaluate models on valence and arousal; return the table of `evaluate`."""
    from edaemo.estimators import CNNClassifier
    from edaemo.networks import RTCAN
    from edaemo.training import find_recipe

    find_recipe(settings.recipe, RTCAN)  # otherwise every fold would fail
    models = list(models)
    with _registered(
        {model.name: model for model in models if isinstance(model, Network)}, settings
    ):
        return evaluate(
            [name_of(model) for model in models],
            study,
            list(TARGETS),
            list(protocols),
            thresholds=threshold,
            people=settings.people,
            n_splits=settings.n_splits,
            n_repeats=settings.n_repeats,
            max_epochs=settings.max_epochs or CNNClassifier().max_epochs,  # of the CNN
            n_jobs=settings.n_jobs,
            random_state=settings.random_state,
            store=settings.store,
            progress=settings.progress,
        )


@contextmanager
def _registered(networks: dict[str, Network], settings: ReproductionSettings) -> Iterator[None]:
    """Register the networks inside the context, as pipelines on decomposed signals."""
    entries = {
        name: PipelineSpec(
            partial(network.make, settings=settings), "published-signals", knows_stimulus=None
        )
        for name, network in networks.items()
    }
    PIPELINES.update(entries)
    try:
        yield
    finally:
        for name in entries:
            del PIPELINES[name]


def name_of(model: str | Network) -> str:
    return model if isinstance(model, str) else model.name


def score_point(
    table: pd.DataFrame,
    point: Point,
    pipeline: str,
    about: dict[str, Any],
    published: Scores | None,
) -> list[dict[str, Any]]:
    """Return a row for each target and score of a pipeline on a share of the people."""
    if point.why_not is None:
        return score_rows(table, point.name, pipeline, about, published)
    missing = dict.fromkeys(_NUMBERS, np.nan)
    return [
        {"reference": False, **about, **key, **missing, "note": point.why_not}
        for key in _keys(published)
    ]


def score_rows(
    table: pd.DataFrame,
    protocol: str,
    pipeline: str,
    about: dict[str, Any],
    published: Scores | None,
) -> list[dict[str, Any]]:
    results = table[(table["protocol"] == protocol) & (table["pipeline"] == pipeline)]
    rows = []
    for key in _keys(published):
        row = results[results["target"] == key["target"]].iloc[0]
        column = SCORES[key["score"]]
        measured = {name: 100 * row.get(column + end, np.nan) for name, end in _NUMBERS.items()}
        rows.append({"reference": False, **about, **key, **measured, "note": describe_claims(row)})
    return rows


def _keys(published: Scores | None) -> list[dict[str, Any]]:
    """Return target, score and published number of each row of one pipeline."""
    return [
        {
            "target": target,
            "score": score,
            "published": getattr(published, f"{target}_{score}", np.nan),
        }
        for target in TARGETS
        for score in SCORES
    ]


def references(
    table: pd.DataFrame, protocol: str, about: dict[str, Any], names: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of pipelines that are not in the paper; None: all that use no EDA."""
    if names is None:
        results = table[table["protocol"] == protocol]
        names = results.loc[results["reference"], "pipeline"].unique()
    return [
        row
        for name in names
        for row in score_rows(
            table, protocol, name, {**about, "method": name, "reference": True}, None
        )
    ]


def _describe_power(results: pd.DataFrame) -> str:
    """Return which gains could have been found, and how many tests are adjusted together."""
    gains = []
    for claim in CLAIMS:
        gain = results[f"detectable_{claim.column}"].median()
        if not np.isnan(gain):  # infinite if even the smallest possible p is too large
            size = f"{100 * gain:.1f} points" if np.isfinite(gain) else "no size"
            gains.append(f"{size} over each row {claim.without}")
    if not gains:
        return "nothing is tested."
    n_claims = results["n_claims"].max()
    return (
        f"with {results['n_people'].iloc[0]} people, a gain in balanced accuracy of "
        f"{' and of '.join(gains)} is found with a probability of at least {POWER:g} (median over "
        f"the models). Family of tests: {n_claims} claims about all models in the store."
    )


def describe_runs(table: pd.DataFrame, settings: ReproductionSettings) -> Iterator[str]:
    """Yield a description of each protocol's data, and of the training of the networks."""
    for protocol in settings.protocols:
        results = table[table["protocol"] == protocol]
        row, shares = results.iloc[0], results.groupby("target")["majority_rate"].first()
        text = (
            f"Protocol `{protocol}`: {row['study']}, {row['n_people']} people ({row['people']}), "
            f"{row['n_trials']} trials, {row['n_folds']} folds, {row['n_repeats']} "
            f"repeat{'s' if row['n_repeats'] > 1 else ''}. The larger class has "
            f"{100 * shares['valence']:.1f} % (valence) and {100 * shares['arousal']:.1f} % "
            "(arousal)."
        )
        if results["stimuli_seen"].notna().any():
            text += (
                f" {row['stimuli'].capitalize()} seen in training: "
                f"{results['stimuli_seen'].max()} of {row['n_stimuli']}."
            )
        if row["left_out"] > 0:
            text += (
                f" On average, {row['left_out']:.0f} trials are neither in training nor in test."
            )
        if row["warning"]:
            text += f" **This protocol {row['warning']}.**"
        if row["artificial"]:
            text += " **This study is ARTIFICIAL: no person took part.**"
        yield f"{text} {describe_intervals(row)}"
        for target, of_target in results.groupby("target", sort=False):
            yield f"{target.capitalize()}, `{protocol}`: {_describe_power(of_target)}"
    epochs = settings.max_epochs or "defaults of the recipe and the CNN"
    first, n = settings.random_state, settings.n_repeats
    seeds = f"seed: {first}" if n == 1 else f"seeds: {first} to {first + n - 1}"
    yield f"Networks: RTCAN recipe `{settings.recipe}`, epochs: {epochs}, {seeds}."
