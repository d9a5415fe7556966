"""Train and test AIMSTF on windows of EDA and EEG, under leaking splits and over held-out people.

The splits are those of the released code of Sun, Chen, J. Electronics & Information Technology
46(2), 2024, from a description of that code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo._progress import progress_bar
from edaemo._sklearn import AnyBunch
from edaemo._validation import name_trial
from edaemo.estimators import AIMSTFClassifier
from edaemo.evaluation import audit, require_ratings
from edaemo.reproduction._folds import FoldStore, average_people, score_people

SIGNALS = ("eda", "eeg")
TARGETS = ("valence", "arousal", "quadrants")
N_FOLDS, MIDDLE = 5, 5.0
LARGEST_CLASS, METHOD = "largest class", "AIMSTF"
KEYS = ["protocol", "method"]
# Share of a person's trials in training: half in DEAP, and 80 % in MAHNOB-HCI and others.
TRAINING_SHARES = {"deap": 0.5}
OTHER_SHARE = 0.8
BY_PERSON = "per-subject"


class AIMSTFSettings(NamedTuple):
    """Settings of `reproduce_aimstf`.

    Parameters
    ----------
    protocols : tuple of str
        Names out of ``PROTOCOLS``; all by default. The names that begin with "released" are the
        splits of the released code, in which the test windows also choose the epoch.
    target : {"valence", "arousal", "quadrants"}, default="valence"
        Low below a rating of 5, else high; or the four quadrants, high above 5.
    seconds : float, default=1.0
        Length of a window.
    max_epochs : int or None, default=None
        Number of epochs. None: as in the recipe of the protocol.
    random_state : int, default=0
        Seed of the splits and of the networks.
    store : path, default="results/aimstf-folds.csv"
        File to which each finished fold is appended. Folds in the file are not computed again.
    progress : bool or None, default=None
        Whether to show the progress; None: only in a terminal or a notebook.
    """

    protocols: tuple[str, ...] = ()
    target: str = "valence"
    seconds: float = 1.0
    max_epochs: int | None = None
    random_state: int = 0
    store: str | Path = "results/aimstf-folds.csv"
    progress: bool | None = None


class AIMSTFReproduction(NamedTuple):
    """Accuracies of AIMSTF, and what training and test share.

    Parameters
    ----------
    table : DataFrame
        One row for each protocol and method: ``mean`` and ``deviation`` of the accuracy over
        people, in percent, and ``n_people``.
    people : DataFrame
        The accuracy of each person, in percent.
    audits : DataFrame
        One row for each protocol: the columns of :func:`edaemo.evaluation.audit` with numbers of
        what is on both sides, averaged over the folds, ``share_of_windows``, the share of the test
        windows that are also in training, in percent, and its ``verdict``.
    remarks : tuple of str
        Description of the data and the training.
    """

    table: pd.DataFrame
    people: pd.DataFrame
    audits: pd.DataFrame
    remarks: tuple[str, ...]


class Windows(NamedTuple):
    """Windows of all trials: rows [eda | eeg], classes, and the stretch of each window."""

    X: np.ndarray
    y: np.ndarray
    about: pd.DataFrame
    shapes: dict[str, tuple[int, int]]
    n_dropped: int


class Fold(NamedTuple):
    """Training and test windows of a fold, by number."""

    protocol: str
    number: int
    train: np.ndarray
    test: np.ndarray


def reproduce_aimstf(study: AnyBunch, settings: AIMSTFSettings | None = None) -> AIMSTFReproduction:
    """Train and test AIMSTF on windows of EDA and EEG.

    Parameters
    ----------
    study : Bunch
        DEAP, MAHNOB-HCI or another study whose trials have ``eda`` and ``eeg`` at the same rate and
        ratings of valence and arousal.
    settings : AIMSTFSettings or None, default=None
        Settings; None for the defaults.

    Returns
    -------
    AIMSTFReproduction
        The accuracies, and the audit of each split.

    Raises
    ------
    ValueError
        If the study lacks a signal or a rating, the signals of a trial differ in length, a setting
        is unknown, no window is left, or a fold has training windows of one class only.

    Notes
    -----
    The second modality of the source is the face, which the corpora of edaemo do not have. Signals
    are standardised over the training windows. The source subtracts their mean before the
    stimulus, which the loaders drop.
    """
    settings = settings or AIMSTFSettings()
    protocols = settings.protocols or tuple(PROTOCOLS)
    for value, known in ((settings.target, TARGETS), *((name, PROTOCOLS) for name in protocols)):
        if value not in known:
            raise ValueError(f"{value!r} must be one of {', '.join(known)}.")
    windows = cut_windows(study, settings.target, settings.seconds)
    folds = [fold for name in protocols for fold in _make_folds(name, windows, study, settings)]
    store = FoldStore(Path(settings.store), _content(windows, settings))
    rows: list[dict[str, Any]] = []
    with progress_bar(len(folds), unit="fold", shown=settings.progress) as bar:
        for fold in folds:
            stored = store.find(protocol=fold.protocol, fold=fold.number)
            rows += stored or store.add(_run_fold(fold, windows, settings))
            bar.update()
    people = score_people(pd.DataFrame(rows), KEYS)
    audits = pd.DataFrame([_audit(name, folds, windows) for name in protocols])
    remarks = tuple(_remarks(study, windows, settings))
    return AIMSTFReproduction(average_people(people, KEYS), people, audits, remarks)


def cut_windows(study: AnyBunch, target: str, seconds: float) -> Windows:
    """Return a row for each window of each trial.

    Parameters
    ----------
    study : Bunch
        The study.
    target : {"valence", "arousal", "quadrants"}
        The classes.
    seconds : float
        Length of a window.

    Returns
    -------
    Windows
        Windows without missing samples.

    Raises
    ------
    ValueError
        If the study lacks a signal or a rating, the signals of a trial differ in length, or no
        window is left.
    """
    trials = study.trials
    if missing := [name for name in SIGNALS if name not in trials]:
        raise ValueError(
            f"{study.name} has no column {missing[0]}: load it with signals={SIGNALS}."
        )
    n_samples = round(seconds * study.sampling_rate)
    if n_samples < 1:
        raise ValueError(f"A window of {seconds:g} s has no sample at {study.sampling_rate:g} Hz.")
    rows, place = [], []
    for row, cells in enumerate(zip(*(trials[name] for name in SIGNALS), strict=True)):
        signals = [np.atleast_2d(cell) for cell in cells]
        if len({signal.shape[1] for signal in signals}) > 1:
            raise ValueError(
                f"{name_trial(trials, row)}: {' and '.join(SIGNALS)} differ in length: cut them to "
                "the same time."
            )
        joined = np.concatenate(signals).astype(np.float32)
        n = joined.shape[1] // n_samples
        cut = joined[:, : n * n_samples].reshape(len(joined), n, n_samples)
        rows.append(cut.transpose(1, 0, 2).reshape(n, len(joined) * n_samples))
        place += [(row, number) for number in range(n)]
    X, stretch = np.concatenate(rows), np.array(place).reshape(-1, 2)
    complete = np.isfinite(X).all(axis=1)
    if not complete.any():
        raise ValueError(f"{study.name} has no window of {seconds:g} s without missing samples.")
    n_chans = [len(signal) for signal in signals]
    about = trials[["subject", "stimulus"]].iloc[stretch[:, 0]].reset_index(drop=True)
    about = about.assign(
        recording=stretch[:, 0], start=stretch[:, 1] * seconds, stop=(stretch[:, 1] + 1) * seconds
    )
    y = _label(study, target)[stretch[:, 0]]
    shapes = {name: (n, n_samples) for name, n in zip(SIGNALS, n_chans, strict=True)}
    about = about[complete].reset_index(drop=True)
    return Windows(X[complete], y[complete], about, shapes, int((~complete).sum()))


def _label(study: AnyBunch, target: str) -> np.ndarray:
    """Return the class of each trial, by the thresholds of the released code."""
    names = ("valence", "arousal") if target == "quadrants" else (target,)
    require_ratings(study, names, f"The target {target!r}", "Choose another study.")
    values = study.ratings[[*names]].to_numpy(dtype=float)
    if np.isnan(values).any():
        row = int(np.argmax(np.isnan(values).any(axis=1)))
        raise ValueError(
            f"{name_trial(study.trials, row)} has no rating of {' and '.join(names)}: remove the "
            "trial."
        )
    if target == "quadrants":
        high = values > MIDDLE
        return 2 * high[:, 0] + high[:, 1]
    return (values[:, 0] >= MIDDLE).astype(int)


# --- the splits; each yields training and test windows ------------------------------------------

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]


def _by_person(
    about: pd.DataFrame, share: float, rng: np.random.Generator, *, released: bool
) -> Pairs:
    """Yield a fold for each person, with a share of the person's trials in training.

    In the released code the training and the test trials are two independent draws, so that trials
    can be in both.
    """
    for _, windows in about.groupby("subject", sort=False):
        trials = windows["recording"].unique()
        n_train = round(share * len(trials))
        order = rng.permutation(trials)
        other = rng.permutation(trials) if released else order
        recording = windows["recording"].to_numpy()
        yield (
            windows.index[np.isin(recording, order[:n_train])].to_numpy(),
            windows.index[np.isin(recording, other[n_train:])].to_numpy(),
        )


def _by_window(
    about: pd.DataFrame, share: float, rng: np.random.Generator, *, released: bool
) -> Pairs:
    """Yield 5 folds of the windows of all people.

    In the released code the list of windows is shuffled again before the test part is cut from it,
    so that four fifths of the test windows are in training.
    """
    order = rng.permutation(len(about))
    for test in np.array_split(np.arange(len(about)), N_FOLDS):
        train = np.delete(order, test)
        if released:
            order = rng.permutation(order)
        yield np.sort(train), np.sort(order[test])


def _by_people(about: pd.DataFrame, share: float, rng: np.random.Generator) -> Pairs:
    """Yield 5 folds of people, or one for each person if there are fewer than 5."""
    n_people = about["subject"].nunique()
    if n_people < 2:
        raise ValueError("The study has one person only: no person can be held out.")
    folds = GroupKFold(min(N_FOLDS, n_people), shuffle=True, random_state=int(rng.integers(2**31)))
    yield from folds.split(about, groups=about["subject"])


PROTOCOLS: dict[str, Callable[[pd.DataFrame, float, np.random.Generator], Pairs]] = {
    "released-per-subject": partial(_by_person, released=True),
    "per-subject": partial(_by_person, released=False),
    "released-windows": partial(_by_window, released=True),
    "windows": partial(_by_window, released=False),
    "subject": _by_people,
}


def _make_folds(
    protocol: str, windows: Windows, study: AnyBunch, settings: AIMSTFSettings
) -> Iterator[Fold]:
    share = TRAINING_SHARES.get(study.name, OTHER_SHARE)
    rng = np.random.default_rng(settings.random_state)
    for number, (train, test) in enumerate(PROTOCOLS[protocol](windows.about, share, rng)):
        if len(np.unique(windows.y[train])) < 2 or not len(test):
            people = ", ".join(map(str, pd.unique(windows.about["subject"].iloc[train])))
            raise ValueError(
                f"Fold {number} of {protocol} ({people}) has training windows of one class only, "
                "or no test windows: choose another target or another protocol."
            )
        yield Fold(protocol, number, train, test)


def _run_fold(fold: Fold, windows: Windows, settings: AIMSTFSettings) -> list[dict[str, Any]]:
    """Return the number of correct test windows of each method and person."""
    train, test = fold.train, fold.test
    scale = StandardScaler().fit(windows.X[train])
    model = AIMSTFClassifier(
        windows.shapes,
        recipe="per-subject" if BY_PERSON in fold.protocol else "default",
        max_epochs=settings.max_epochs,
        random_state=settings.random_state,
    )
    if fold.protocol.startswith("released"):
        both = np.concatenate([train, test])
        aside = np.arange(len(both)) >= len(train)
        # All epochs are run, and the weights of the best one on the test windows are kept.
        model.set_params(patience=10**6)
        model.fit(scale.transform(windows.X[both]), windows.y[both], validation=aside)
    else:
        model.fit(scale.transform(windows.X[train]), windows.y[train])
    labels, counts = np.unique(windows.y[train], return_counts=True)
    predicted = {
        LARGEST_CLASS: np.full(len(test), labels[np.argmax(counts)]),
        METHOD: make_pipeline(scale, model).predict(windows.X[test]),
    }
    people = windows.about["subject"].to_numpy()[test]
    return [
        {
            "protocol": fold.protocol,
            "person": str(person),
            "fold": fold.number,
            "method": method,
            "n_windows": int((people == person).sum()),
            "n_correct": int((answer == windows.y[test])[people == person].sum()),
        }
        for method, answer in predicted.items()
        for person in pd.unique(people)
    ]


def _audit(protocol: str, folds: list[Fold], windows: Windows) -> dict[str, Any]:
    """Return what the training and test windows of a protocol share, averaged over its folds."""
    pairs = [(fold.train, fold.test) for fold in folds if fold.protocol == protocol]
    table = audit(pairs, windows.about, windows.y)
    shared = [name for name in table if name.endswith("_shared") and table[name].notna().all()]
    both = 100 * (table["trials_shared"] / table["n_test"]).mean()
    means = {name: float(table[name].mean()) for name in ("n_training", "n_test", *shared)}
    means["windows_on_both_sides"] = means.pop("trials_shared")
    return {
        "protocol": protocol,
        **means,
        "share_of_windows": float(both),
        "verdict": table.attrs["verdict"],
    }


def _content(windows: Windows, settings: AIMSTFSettings) -> Iterator[bytes]:
    """Yield what a stored fold depends on."""
    yield windows.X.tobytes()
    yield windows.y.tobytes()
    yield repr(windows.about.to_numpy().tolist()).encode()
    yield repr((windows.shapes, settings.max_epochs, settings.random_state)).encode()


def _remarks(study: AnyBunch, windows: Windows, settings: AIMSTFSettings) -> Iterator[str]:
    yield (
        f"{study.name}, {settings.target}: {windows.about['subject'].nunique()} people, "
        f"{windows.about['recording'].nunique()} trials, {len(windows.y)} windows of "
        f"{settings.seconds:g} s, {len(np.unique(windows.y))} classes."
    )
    if windows.n_dropped:
        yield f"{windows.n_dropped} windows with missing samples are left out."
    yield (
        "In the protocols that begin with 'released', the test windows also choose the epoch, as "
        "in the released code. Only 'subject' holds out whole people."
    )
    yield (
        "Modalities: EDA and EEG, standardised over the training windows. The source has EEG and "
        "faces, subtracts the mean before the stimulus, and publishes no results with its code."
    )
    epochs = settings.max_epochs or "those of the recipe"
    yield f"Epochs: {epochs}, seed: {settings.random_state}."
