"""Compute and print the published results and those of edaemo, with the split of each number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold

from edaemo._sklearn import AnyBunch
from edaemo.evaluation import EvaluationError, find, make_step_model
from edaemo.metrics import series_concordance

# Emotion and partition → CCC of the baseline and of the system, as the README of the released code
# lists them. The partition is that of the MuSe-Wild challenge, by video.
PUBLISHED = {
    ("arousal", "devel"): (0.3978, 0.5616),
    ("valence", "devel"): (0.1506, 0.4876),
    ("arousal", "test"): (0.2834, 0.4726),
    ("valence", "test"): (0.2431, 0.5996),
}
OPTIMISTIC = (
    "devel, which also chose the epoch, the learning rate and the seed, so the number is optimistic"
)
HIDDEN = "test, scored by the organisers; the labels are withheld"
_COLUMNS = ("emotion", "partition", "baseline", "published", "published_split", "ours", "our_split")


def reproduce_results(
    study: AnyBunch,
    *,
    n_splits: int = 5,
    n_seeds: int = 5,
    validation_fraction: float = 0.2,
    max_epochs: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Train MuSeLSTMRegressor on a study, and return its scores and the published ones.

    In a study with partitions, such as MuSe-CaR, the network is trained on the partition train, and
    scored on devel and test. In another study it is scored on people that are held out in
    `n_splits` folds. In both cases the epoch, the learning rate and the seed are chosen by an inner
    validation on people of the training rows, never by rows whose score is returned.

    Parameters
    ----------
    study : Bunch
        Study with targets that are series, and ``label_rate``.
    n_splits : int, default=5
        Number of folds of a study without partitions.
    n_seeds : int, default=5
        Number of networks; the best one by inner validation is kept.
    validation_fraction : float, default=0.2
        Share of the training people in the inner validation.
    max_epochs : int or None, default=None
        Maximum number of epochs. None: as in the published recipe.
    random_state : int, default=0
        Seed.

    Returns
    -------
    DataFrame
        One row for each emotion and partition: ``baseline`` and ``published``, the published CCC of
        the challenge's baseline and of the system; ``ours``, the CCC over all steps together; and
        the splits that they came from. NaN if a number does not exist.

    Raises
    ------
    EvaluationError
        If the study has no series of arousal or valence, or no ``label_rate``.
    """
    emotions = [name for name in ("arousal", "valence") if name in study.targets]
    if study.get("label_rate") is None or not emotions:
        raise EvaluationError(
            f"The study {study.get('name', '')!r} has no series of arousal or valence with a "
            "label_rate. Use a study with continuous ratings, such as muse-car."
        )
    model: Any = make_step_model(study, "muse")
    model.set_params(
        muse__recipe="published",
        muse__n_seeds=n_seeds,
        muse__validation_fraction=validation_fraction,
        muse__max_epochs=max_epochs,
        muse__random_state=random_state,
    )
    score = _by_partition if "partition" in study.trials else _by_people
    rows = [row for emotion in emotions for row in score(study, model, emotion, n_splits)]
    return pd.DataFrame(rows, columns=[*_COLUMNS])


def _by_partition(study: AnyBunch, model: Any, emotion: str, n_splits: int) -> list[list[Any]]:
    """Return the scores on devel and test of a network trained on the partition train."""
    trials, labels = _with_lengths(study, emotion)
    partition = trials["partition"].to_numpy()
    training = (partition == "train") & _labelled(labels)
    fitted = clone(model).fit(trials[training], labels[training])
    rows: list[list[Any]] = []
    for name, split in (("devel", OPTIMISTIC), ("test", HIDDEN)):
        scored = (partition == name) & _labelled(labels)
        value, about = np.nan, "no labels"
        if scored.any():
            value = series_concordance(labels[scored], fitted.predict(trials[scored]))
            about = f"{name}: {scored.sum()} videos; trained on {training.sum()} videos of train"
        rows.append([emotion, name, *PUBLISHED[emotion, name], split, value, about])
    return rows


def _by_people(study: AnyBunch, model: Any, emotion: str, n_splits: int) -> list[list[Any]]:
    """Return the score of all predictions for people that are held out in folds."""
    trials, labels = _with_lengths(study, emotion)
    known = _labelled(labels)
    trials, labels = trials[known].reset_index(drop=True), labels[known]
    people = trials["subject"].to_numpy()
    n_people = len(set(people))
    if n_people < n_splits:
        raise EvaluationError(f"{n_splits} folds need {n_splits} people, but there are {n_people}.")
    predicted = np.empty(len(labels), dtype=object)
    for training, test in GroupKFold(n_splits).split(people, groups=people):
        fitted = clone(model).fit(trials.iloc[training], labels[training])
        predicted[test] = fitted.predict(trials.iloc[test])
    about = f"{n_people} people of {study.name}, each held out in one of {n_splits} folds"
    value = series_concordance(labels, predicted)
    return [
        [emotion, name, *PUBLISHED[emotion, name], split, np.nan, "not a partition of this study"]
        for name, split in (("devel", OPTIMISTIC), ("test", HIDDEN))
    ] + [[emotion, "held-out people", np.nan, np.nan, "", value, about]]


def _with_lengths(study: AnyBunch, emotion: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the trials with the column ``n_steps``, and the series of a target."""
    name = find(emotion, study.targets, f"target of {study.name}")
    labels = np.empty(len(study.trials), dtype=object)
    labels[:] = [np.asarray(series, dtype=float) for series in study.targets[name]]
    return study.trials.assign(n_steps=[len(series) for series in labels]), labels


def _labelled(labels: np.ndarray) -> np.ndarray:
    return np.array([not np.isnan(series).all() for series in labels])


def format_results(table: pd.DataFrame) -> str:
    """Return the table in the layout of the source, with the results of edaemo, as Markdown.

    Parameters
    ----------
    table : DataFrame
        As `reproduce_results` returns it.

    Returns
    -------
    str
        The table, and a line for each split.
    """

    def number(value: float) -> str:
        return "-" if np.isnan(value) else f"{value:.4f}"

    lines = ["| Emotion | Partition | Baseline | Published | edaemo |", "|---|---|---|---|---|"]
    notes = []
    for row in table.itertuples():
        emotion, partition = str(row.emotion).capitalize(), row.partition
        values = " | ".join(map(number, (row.baseline, row.published, row.ours)))
        lines.append(f"| {emotion} | {partition} | {values} |")
        if row.published_split:
            notes.append(f"- {emotion}, {partition}, published: {row.published_split}.")
            notes.append(f"- {emotion}, {partition}, baseline: {partition}, by its authors.")
        notes.append(f"- {emotion}, {partition}, edaemo: {row.our_split}.")
    return "\n".join([*lines, "", "CCC over all steps together. The splits:", "", *notes, ""])
