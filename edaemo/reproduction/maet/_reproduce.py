"""Train and test MAET on windows of SEED-VII, for each person and for people held out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from edaemo._progress import progress_bar
from edaemo.estimators import MAETClassifier
from edaemo.evaluation import find
from edaemo.reproduction._folds import FoldStore, average_people, score_people

WITHIN, ACROSS = "subject-dependent", "cross-subject"
PROTOCOLS = (WITHIN, ACROSS)
INTENSITY_USES = ("none", "weight")
# Inputs of the published tables, and the signals in each.
INPUTS = {"EEG": ("eeg_de",), "Eye": ("eye",), "EEG + Eye": ("eeg_de", "eye")}
N_FOLDS, HELD_OUT, CLIPS_PER_SESSION = 4, 5, 20
ONE_FOR_EACH, ONE_FOR_ALL, PLAIN = "MAET", "MAET, one model", "MAET without domain loss"
LARGEST_CLASS = "largest class"
KEYS = ["protocol", "method", "input"]


class MAETSettings(NamedTuple):
    """Settings of `reproduce_maet`.

    Parameters
    ----------
    protocols : tuple of str, default=("subject-dependent", "cross-subject")
        "subject-dependent": a model for each person, in 4 folds; each fold holds out 5 consecutive
        clips of the 20 in every session. "cross-subject": each person is held out once.
    min_intensity : float or None, default=None
        Windows of lower intensity are left out, in training and in test. None: all are used.
    intensity : {"none", "weight"}, default="none"
        "weight": the intensity of a window is its weight in training.
    max_epochs : int or None, default=None
        Number of epochs. None: as in the recipe.
    random_state : int, default=0
        Seed of the networks.
    store : path, default="results/maet-folds.csv"
        File to which each finished fold is appended. Folds in the file are not computed again.
    progress : bool or None, default=None
        Whether to show the progress; None: only in a terminal or a notebook.
    """

    protocols: tuple[str, ...] = PROTOCOLS
    min_intensity: float | None = None
    intensity: str = "none"
    max_epochs: int | None = None
    random_state: int = 0
    store: str | Path = "results/maet-folds.csv"
    progress: bool | None = None


class MAETReproduction(NamedTuple):
    """Tables of MAET.

    Parameters
    ----------
    table : DataFrame
        One row for each protocol, method and input: ``mean`` and ``deviation`` of the accuracy over
        people, in percent, and ``n_people``.
    people : DataFrame
        The accuracy of each person, in percent.
    remarks : tuple of str
        Description of the data and the training.
    """

    table: pd.DataFrame
    people: pd.DataFrame
    remarks: tuple[str, ...]


class Fold(NamedTuple):
    """Training and test windows of a fold; `test` are all of `person`."""

    protocol: str
    person: str
    number: int
    train: np.ndarray
    test: np.ndarray


class Windows(NamedTuple):
    """Windows of all trials: the features, the class, and the intensity (NaN: not known)."""

    X: pd.DataFrame
    y: np.ndarray
    intensity: np.ndarray
    n_incomplete: int


def reproduce_maet(study: Bunch, settings: MAETSettings | None = None) -> MAETReproduction:
    """Train and test MAET on EEG, eye movements, and both.

    Parameters
    ----------
    study : Bunch
        SEED-VII, from :func:`edaemo.datasets.load_seed_vii`, with both signals.
    settings : MAETSettings or None, default=None
        Settings; None for the defaults.

    Returns
    -------
    MAETReproduction
        The accuracies.

    Raises
    ------
    ValueError
        If the study lacks a signal, a setting is unknown, `min_intensity` leaves too few windows,
        or the intensities are needed and not known.

    Notes
    -----
    The source has no optimiser, learning rate, batch size or number of epochs. The recipe of
    :class:`edaemo.estimators.MAETClassifier` is used. Features are standardised over the training
    windows. A window whose features of a signal are not all finite lacks this signal.
    """
    settings = settings or MAETSettings()
    _check_settings(settings)
    windows = cut_windows(study, settings.min_intensity)
    if settings.intensity == "weight" and np.isnan(windows.intensity).any():
        raise ValueError("intensity='weight' needs the intensity of each window; some have none.")
    folds = list(_make_folds(windows, settings))
    store = FoldStore(Path(settings.store), _content(windows, settings))
    rows = []
    with progress_bar(len(folds), unit="fold", shown=settings.progress) as bar:
        for fold in folds:
            known = store.find(protocol=fold.protocol, person=fold.person, fold=fold.number)
            rows += known or store.add(_run_fold(fold, windows, settings))
            bar.update()
    people = score_people(pd.DataFrame(rows), KEYS)
    table = average_people(people, KEYS)
    return MAETReproduction(table, people, tuple(_remarks(study, windows, settings)))


def _check_settings(settings: MAETSettings) -> None:
    for name, values, known in (
        ("protocols", settings.protocols, PROTOCOLS),
        ("intensity", (settings.intensity,), INTENSITY_USES),
    ):
        if unknown := [value for value in values if value not in known]:
            raise ValueError(f"{name} must be of {known}, got {unknown[0]!r}.")


def cut_windows(study: Bunch, min_intensity: float | None = None) -> Windows:
    """Return a row for each window of 4 seconds.

    Parameters
    ----------
    study : Bunch
        SEED-VII.
    min_intensity : float or None, default=None
        Windows of lower intensity are left out.

    Returns
    -------
    Windows
        ``X`` has the columns ``eeg_de_…`` and ``eye_…``, and an index of subject, stimulus and
        trial.

    Raises
    ------
    ValueError
        If the study lacks a signal, or the intensity is needed and not known.
    """
    trials = study.trials
    if missing := [name for name in INPUTS["EEG + Eye"] if name not in trials]:
        raise ValueError(
            f"{study.name} has no column {missing[0]}: load SEED-VII with its signals."
        )
    counts = [cell.shape[1] for cell in trials["eye"]]
    if "intensity" in trials:
        intensity = np.concatenate(trials["intensity"].tolist())
    else:
        intensity = np.full(sum(counts), np.nan)
    parts, n_incomplete = [], 0
    for name in INPUTS["EEG + Eye"]:
        values = np.concatenate([cell.T for cell in trials[name]]).astype(np.float32)
        incomplete = ~np.isfinite(values).all(axis=1)
        values[incomplete] = np.nan
        n_incomplete += int(incomplete.sum())
        columns = [f"{name}_{place}" for place in range(values.shape[1])]
        parts.append(pd.DataFrame(values, columns=columns))
    keys = trials[["subject", "stimulus", "trial"]].loc[trials.index.repeat(counts)]
    X = pd.concat(parts, axis=1).set_index(pd.MultiIndex.from_frame(keys))
    emotions = study.targets[find("emotion", study.targets, f"target of {study.name}")]
    y = np.repeat(emotions.to_numpy(), counts)
    kept = ~X.isna().all(axis=1).to_numpy()
    if min_intensity is not None:
        if np.isnan(intensity).any():
            raise ValueError("min_intensity needs the intensity of each window; some have none.")
        kept &= intensity >= min_intensity
        if not kept.any():
            raise ValueError(
                f"min_intensity={min_intensity} leaves no window: choose a lower value."
            )
    return Windows(X[kept], y[kept], intensity[kept], n_incomplete)


def _make_folds(windows: Windows, settings: MAETSettings) -> Iterator[Fold]:
    subject = windows.X.index.get_level_values("subject").to_numpy()
    place = (windows.X.index.get_level_values("trial").to_numpy() - 1) % CLIPS_PER_SESSION
    for protocol in settings.protocols:
        for person in pd.unique(subject):
            of_person = subject == person
            if protocol == ACROSS:
                yield Fold(protocol, person, 0, ~of_person, of_person)
                continue
            for number in range(N_FOLDS):
                held_out = place // HELD_OUT == number
                train, test = of_person & ~held_out, of_person & held_out
                yield Fold(protocol, person, number, train, test)


def _run_fold(fold: Fold, windows: Windows, settings: MAETSettings) -> list[dict[str, Any]]:
    """Return the number of correct test windows of each method and input."""
    train, test, seen = windows.X[fold.train], windows.X[fold.test], windows.y[fold.train]
    if not len(test) or len(set(seen)) < 2:
        raise ValueError(
            f"Person {fold.person}, fold {fold.number}: too few windows to train and test. Choose "
            "a lower min_intensity, or load more people."
        )
    weight = windows.intensity[fold.train] if settings.intensity == "weight" else None
    across = fold.protocol == ACROSS

    def fit(signals: tuple[str, ...], **options: Any) -> tuple[Pipeline, pd.DataFrame]:
        columns = _columns(train, signals)
        usable = ~columns.isna().all(axis=1).to_numpy()
        model = _make_model(signals, settings, **options)
        weights = {} if weight is None else {"maetclassifier__sample_weight": weight[usable]}
        with config_context(enable_metadata_routing=False):
            model.fit(columns[usable], seen[usable], **weights)
        return model, _columns(test, signals)

    rows = []

    def count(method: str, name: str, predicted: np.ndarray, usable: np.ndarray) -> None:
        correct = int((predicted == windows.y[fold.test][usable]).sum())
        about = {"protocol": fold.protocol, "person": fold.person, "fold": fold.number}
        counts = {"n_windows": int(usable.sum()), "n_correct": correct}
        rows.append({**about, "method": method, "input": name, **counts})

    labels, n_each = np.unique(seen, return_counts=True)
    everything = np.ones(len(test), dtype=bool)
    for name, signals in INPUTS.items():
        largest = np.full(len(test), labels[np.argmax(n_each)])
        count(LARGEST_CLASS, name, largest, everything)
        ways = {ONE_FOR_EACH: across, PLAIN: False} if across else {ONE_FOR_EACH: False}
        for method, domain_loss in ways.items():
            model, columns = fit(signals, domain_loss=domain_loss, modality_dropout=0.0)
            usable = ~columns.isna().all(axis=1).to_numpy()
            count(method, name, model.predict(columns[usable]), usable)
    model, columns = fit(INPUTS["EEG + Eye"], domain_loss=across)
    for name, signals in INPUTS.items():
        masked = columns.copy()
        masked.loc[:, ~masked.columns.isin(_columns(test, signals).columns)] = np.nan
        usable = ~masked.isna().all(axis=1).to_numpy()
        count(ONE_FOR_ALL, name, model.predict(masked[usable]), usable)
    return rows


def _columns(X: pd.DataFrame, signals: tuple[str, ...]) -> pd.DataFrame:
    return X.loc[:, X.columns.str.startswith(tuple(f"{name}_" for name in signals))]


def _make_model(signals: tuple[str, ...], settings: MAETSettings, **options: Any) -> Pipeline:
    scale = StandardScaler().set_output(transform="pandas")
    modalities = dict.fromkeys(signals, "features")
    model = MAETClassifier(
        modalities,
        max_epochs=settings.max_epochs,
        random_state=settings.random_state,
        **options,
    )
    return make_pipeline(scale, model)


def _content(windows: Windows, settings: MAETSettings) -> Iterator[bytes]:
    """Yield what a stored fold depends on."""
    yield windows.X.to_numpy().tobytes()
    yield repr(windows.X.index.to_list()).encode()
    yield repr(windows.y.tolist()).encode()
    yield windows.intensity.tobytes()
    yield repr((settings.intensity, settings.max_epochs, settings.random_state)).encode()


def _remarks(study: Bunch, windows: Windows, settings: MAETSettings) -> Iterator[str]:
    trials = windows.X.index.to_frame(index=False)[["subject", "trial"]].drop_duplicates()
    yield (
        f"{study.name}: {trials['subject'].nunique()} people, {len(trials)} trials, "
        f"{len(windows.X)} windows, {len(set(windows.y))} classes."
    )
    if windows.n_incomplete:
        yield f"{windows.n_incomplete} times a window lacks a signal, which is not finite."
    if settings.min_intensity is not None:
        yield f"Windows of intensity below {settings.min_intensity:g} are left out."
    if settings.intensity == "weight":
        yield "The intensity of a window is its weight in training."
    yield (
        "The class belongs to the clip. In the cross-subject protocol the same clips are in "
        "training and in test, so a model that recognises clips scores above chance."
    )
    yield (
        "The source does not publish optimiser, learning rate, batch size and epochs. Here: the "
        f"recipe of MAETClassifier, epochs: {settings.max_epochs or 'those of the recipe'}, seed: "
        f"{settings.random_state}."
    )
