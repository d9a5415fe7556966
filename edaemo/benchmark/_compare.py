"""The comparison: every model on the same folds of whole people, every finished fold kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupKFold
from sklearn.utils import Bunch
from tqdm import tqdm

import edaemo
from edaemo.benchmark._baselines import StimulusPriorClassifier, make_time_baseline
from edaemo.benchmark._pipelines import (
    make_boosting_baseline,
    make_cnn_baseline,
    make_logistic_baseline,
    make_rtcan,
    make_svm_baseline,
)
from edaemo.benchmark._scores import bootstrap_scores
from edaemo.decomposition._compiled import load as find_kernel
from edaemo.features import EDAFeatureExtractor
from edaemo.preprocessing import (
    CvxEDATransformer,
    SubjectStandardizer,
    SubjectThresholdRelabeler,
)

N_TIMES = 128


class Model(NamedTuple):
    """A model of the comparison.

    `make` takes the study's music, the epochs and the seed. `takes` says what X is: "identity"
    (subject, stimulus and trial alone), "signals" (decomposed channels in a trials table) or
    "features" (the 128 of each trial). `knows_stimulus`: the model is told which stimulus a trial
    had, by its music or by its name. `transductive`: a test person's unlabelled trials, all of
    them, have a say in each prediction.
    """

    make: Callable[[pd.DataFrame | None, int, int], ClassifierMixin]
    takes: str
    needs_music: bool = False
    knows_stimulus: bool = False
    transductive: bool = False


# On the features: as they are, standardised by each person's own trials, and by the first five.
CALIBRATION_TRIALS = 5
_ON_FEATURES: dict[str, Callable[[object, int, int], ClassifierMixin]] = {
    "svm-eda": lambda eda, epochs, seed: make_svm_baseline(eda=eda),
    "cnn-eda": lambda eda, epochs, seed: make_cnn_baseline(
        eda=eda, max_epochs=epochs, random_state=seed
    ),
    "logistic-eda": lambda eda, epochs, seed: make_logistic_baseline(eda=eda),
    "boosting-eda": lambda eda, epochs, seed: make_boosting_baseline(eda=eda, random_state=seed),
}
_BY_PERSON: dict[str, object] = {
    "": "passthrough",
    "-person": SubjectStandardizer(),
    "-calibrated": SubjectStandardizer(calibrate_on=CALIBRATION_TRIALS),
}


def _on_features(make: Callable[[object, int, int], ClassifierMixin], eda: object) -> Model:
    return Model(
        lambda music, epochs, seed: make(eda, epochs, seed),
        "features",
        transductive=getattr(eda, "transductive", False),
    )


MODELS = {
    "majority": Model(
        lambda music, epochs, seed: DummyClassifier(strategy="most_frequent"), "identity"
    ),
    "time": Model(lambda music, epochs, seed: make_time_baseline(random_state=seed), "identity"),
    "stimulus-prior": Model(
        lambda music, epochs, seed: StimulusPriorClassifier(), "identity", knows_stimulus=True
    ),
    "svm-music": Model(
        lambda music, epochs, seed: make_svm_baseline(music=music),
        "identity",
        needs_music=True,
        knows_stimulus=True,
    ),
    **{
        name + suffix: _on_features(make, eda)
        for name, make in _ON_FEATURES.items()
        for suffix, eda in _BY_PERSON.items()
    },
    "svm-eda-music": Model(
        lambda music, epochs, seed: make_svm_baseline(eda="passthrough", music=music),
        "features",
        needs_music=True,
        knows_stimulus=True,
    ),
    "rtcan-eda": Model(
        lambda music, epochs, seed: make_rtcan(max_epochs=epochs, random_state=seed), "signals"
    ),
    "rtcan-eda-music": Model(
        lambda music, epochs, seed: make_rtcan(music=music, max_epochs=epochs, random_state=seed),
        "signals",
        needs_music=True,
        knows_stimulus=True,
    ),
}


class ComparisonError(ValueError):
    """What was asked for cannot be compared; the message says why."""


def compare(
    study: Bunch,
    target: str,
    *,
    models: Sequence[str] | None = None,
    n_folds: int = 5,
    max_epochs: int = 10,
    n_jobs: int = 2,
    random_state: int = 0,
    out: str | Path = "results",
    progress: bool = True,
) -> pd.DataFrame:
    """Compare classifiers on the same folds, whole people held out.

    Each trial is decomposed, and its features are computed, once. Each model learns on the people
    of all folds but one and predicts those of that one; scores are of all held-out predictions
    pooled. Every finished fold is stored under `out` at once, and the same call goes on from what
    is stored.

    Parameters
    ----------
    study : Bunch
        As a loader of :mod:`edaemo.datasets` returns it.
    target : str
        One of ``study.targets``. Valence and arousal become low and high by each person's own
        threshold (:class:`edaemo.SubjectThresholdRelabeler`); another rating is high above the
        middle of its range; classes stay what they are, the last in alphabetical order being the
        positive one.
    models : sequence of str or None, default=None
        Names out of ``MODELS``; None for all that the study has the data for.
    n_folds : int, default=5
        Folds over people.
    max_epochs : int, default=10
        Epochs of RTCAN and the CNN.
    n_jobs : int, default=2
        Processes; each works on one fold of one model, in one thread.
    random_state : int, default=0
        Seed of the models and of the bootstrap.
    out : path, default="results"
        Folder for ``<study>/<target>/``: ``folds/``, ``table.csv``, ``predictions.csv``.
    progress : bool, default=True
        Whether a progress bar is shown.

    Returns
    -------
    DataFrame
        One row for each model: ``transductive`` (a test person's unlabelled trials set the scale
        of the features); ``accuracy``, ``balanced_accuracy`` and ``f1``, each with the ends
        of its 95 % bootstrap interval over people (``…_low``, ``…_high``); ``majority_rate``,
        ``n_people``, ``n_trials``; ``stimuli_seen`` of ``n_stimuli``, those met in training and in
        the test of some fold (missing for a model that is not told the stimulus); ``fit_seconds``
        over all folds; and what it was computed with.

    Raises
    ------
    ComparisonError
        If a name is unknown, the study lacks what a model needs, there are fewer people than
        folds, or a class is missing.
    """
    models = _choose_models(study, models)
    labels = make_labels(study, target)
    subject = study.trials["subject"].to_numpy()
    n_people = len(np.unique(subject))
    if not 2 <= n_folds <= n_people:
        raise ComparisonError(
            f"n_folds={n_folds}: {study.name} has {n_people} people, and each fold holds out at "
            f"least one: give 2 to {n_people} folds."
        )
    _warn_of_telling_stimuli(study, target, labels)
    folds = list(GroupKFold(n_folds).split(study.trials, labels, subject))
    place = Path(out) / study.name / target
    (place / "folds").mkdir(parents=True, exist_ok=True)
    common = {
        "max_epochs": max_epochs,
        "random_state": random_state,
        "data": _fingerprint_data(study.trials, labels, study.music),
        "made_with": _made_with(),
    }
    jobs = [
        _Job.plan(place / "folds", fold, {"model": model, **common}, *rows)
        for model in models
        for fold, rows in enumerate(folds)
    ]
    _run(jobs, study, labels, n_jobs=n_jobs, bar={"desc": target, "disable": not progress})

    stimulus = study.trials["stimulus"].to_numpy()
    whole_study = {
        "majority_rate": max(np.mean(labels), 1 - np.mean(labels)),
        "n_people": n_people,
        "n_trials": len(labels),
        "n_stimuli": len(np.unique(stimulus)),
        "n_folds": n_folds,
        "max_epochs": max_epochs,
        "random_state": random_state,
        "date": datetime.now(UTC).date().isoformat(),
        "edaemo": edaemo.__version__,
    }
    n_seen = _count_seen(stimulus, folds)
    predictions, rows = [], []
    for model in models:
        records = [_read_fold(job.file) for job in jobs if job.settings["model"] == model]
        predicted = np.empty_like(labels)
        for record in records:
            predicted[record["test"]] = record["predicted"]
        told = study.trials[["subject", "stimulus", "trial"]]
        predictions.append(told.assign(model=model, label=labels, predicted=predicted))
        rows.append(
            {
                "study": study.name,
                "target": target,
                "protocol": "subject",
                "model": model,
                "transductive": MODELS[model].transductive,
                **bootstrap_scores(labels, predicted, subject, random_state=random_state),
                "stimuli_seen": n_seen if MODELS[model].knows_stimulus else pd.NA,
                "fit_seconds": sum(record["fit_seconds"] for record in records),
                **whole_study,
            }
        )
    table = pd.DataFrame(rows).astype({"stimuli_seen": "Int64"})
    _write(place / "table.csv", table.to_csv(index=False))
    _write(place / "predictions.csv", pd.concat(predictions).to_csv(index=False))
    return table


class _Job(NamedTuple):
    """One fold of one model: where its record goes, and everything that the record depends on."""

    file: Path
    settings: dict

    @classmethod
    def plan(
        cls, folder: Path, fold: int, settings: dict, training: np.ndarray, test: np.ndarray
    ) -> _Job:
        """Name the record after all settings, so that one made under others is never taken."""
        settings = {**settings, "training": training.tolist(), "test": test.tolist()}
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        return cls(folder / f"{settings['model']}-{fold}-{name}.json", settings)

    @property
    def takes(self) -> str:
        return MODELS[self.settings["model"]].takes


def _run(jobs: list[_Job], study: Bunch, labels: np.ndarray, *, n_jobs: int, bar: dict) -> None:
    """Compute the records that are not there yet."""
    todo = [job for job in jobs if not job.file.exists()]
    # Long ones first, so that no process is left alone with one at the end.
    todo.sort(key=lambda job: job.takes != "signals")
    inputs = {takes: _prepare(study, takes) for takes in {job.takes for job in todo}}
    done = len(jobs) - len(todo)
    with tqdm(total=len(jobs), initial=done, unit="fold", **bar) as progress:
        work = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
            delayed(_run_fold)(job.file, job.settings, inputs[job.takes], labels, study.music)
            for job in todo
        )
        for _ in work:
            progress.update()


def make_labels(study: Bunch, target: str) -> np.ndarray:
    """Give each trial's class, 0 or 1; see `compare` for the rule.

    Returns
    -------
    ndarray of shape (n_trials,), int64
    """
    if target not in study.targets:
        raise ComparisonError(
            f"{study.name} has no target {target!r}: one of {list(study.targets)}."
        )
    values = study.targets[target]
    if target in ("valence", "arousal"):
        relabeler = SubjectThresholdRelabeler(target=target)
        return relabeler.fit_relabel(study.ratings, subject=study.trials["subject"])
    if pd.api.types.is_numeric_dtype(values):
        labels = (values > np.mean(study.rating_range)).to_numpy()
    else:
        labels = (values == max(values)).to_numpy()
    if labels.all() or not labels.any():
        raise ComparisonError(f"{study.name}: target {target!r} leaves one class only.")
    return labels.astype(np.int64)


def _warn_of_telling_stimuli(study: Bunch, target: str, labels: np.ndarray) -> None:
    by_stimulus = pd.Series(labels).groupby(study.trials["stimulus"].to_numpy())
    if (by_stimulus.min() == by_stimulus.max()).all() and by_stimulus.ngroups < len(labels):
        warnings.warn(
            f"{target} is the same in all trials of a stimulus, so stimulus-prior is right by "
            "definition.",
            UserWarning,
            stacklevel=3,
        )


def _choose_models(study: Bunch, models: Sequence[str] | None) -> list[str]:
    possible = [
        name for name, model in MODELS.items() if study.music is not None or not model.needs_music
    ]
    if models is None:
        return possible
    for name in models:
        if name not in MODELS:
            raise ComparisonError(f"There is no model {name!r}: one of {list(MODELS)}.")
        if name not in possible:
            raise ComparisonError(
                f"{name} needs music, and {study.name} has none: one of {possible}."
            )
    return list(dict.fromkeys(models))


def _prepare(study: Bunch, takes: str) -> pd.DataFrame:
    """Compute what one trial alone determines, once for all folds and models; see Model."""
    if takes == "signals":
        decompose = CvxEDATransformer(sampling_rate=study.sampling_rate, n_times=N_TIMES)
        return decompose.fit_transform(study.trials)
    if takes == "features":
        return EDAFeatureExtractor(sampling_rate=study.sampling_rate).fit_transform(study.trials)
    return study.trials[["subject", "stimulus", "trial"]]


def _run_fold(
    file: Path, settings: dict, X: pd.DataFrame, labels: np.ndarray, music: pd.DataFrame | None
) -> None:
    """Fit one model without one fold's people, predict theirs, and store what came out."""
    training, test = settings["training"], settings["test"]
    model = MODELS[settings["model"]].make(music, settings["max_epochs"], settings["random_state"])
    start = time.perf_counter()
    model.fit(X.iloc[training], labels[training])
    seconds = time.perf_counter() - start
    predicted = model.predict(X.iloc[test])
    record = {**settings, "predicted": predicted.tolist(), "fit_seconds": seconds}
    _write(file, json.dumps(record))


def _read_fold(file: Path) -> dict:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ComparisonError(
            f"{file} is no stored fold; delete it to have it computed."
        ) from error


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(file)


def _count_seen(stimulus: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> int:
    seen = [np.intersect1d(stimulus[training], stimulus[test]) for training, test in folds]
    return len(np.unique(np.concatenate(seen)))


def _fingerprint_data(trials: pd.DataFrame, labels: np.ndarray, music: pd.DataFrame | None) -> str:
    digest = hashlib.sha256(labels.tobytes())
    digest.update(trials[["subject", "stimulus", "trial"]].to_csv().encode())
    for cell in trials["eda"]:
        digest.update(np.ascontiguousarray(cell).tobytes())
    if music is not None:
        digest.update(music.to_csv().encode())
    return digest.hexdigest()


def _made_with() -> dict[str, str]:
    """Say what a stored fold depends on beside its settings: our own code and the libraries."""
    digest = hashlib.sha256()
    for file in sorted(Path(edaemo.__file__).parent.rglob("*")):
        if file.suffix in (".py", ".cpp", ".h", ".hpp"):
            digest.update(file.read_bytes())
    libraries = ("numpy", "scipy", "pandas", "scikit-learn", "torch", "skorch")
    return {
        "edaemo": digest.hexdigest(),
        "decomposition": "scipy" if find_kernel() is None else "compiled",
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }
