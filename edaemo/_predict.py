"""Recordings in files to predictions of a model that starts from raw EDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn.pipeline
from sklearn.base import BaseEstimator

from edaemo.datasets import TAGS, DatasetError, load_e4, read_csv_rows, read_recording
from edaemo.decomposition import DecompositionError
from edaemo.estimators import TrainingError
from edaemo.features import EDAFeatureExtractor
from edaemo.fusion import BlockUnion
from edaemo.preprocessing import (
    CvxEDATransformer,
    EDADecomposer,
    SubjectStandardizer,
    SubjectThresholdRelabeler,
)

# What takes raw EDA and knows its sampling rate.
_FROM_RAW = (CvxEDATransformer, EDADecomposer, EDAFeatureExtractor)
# Column of a recording, or of the table of stimuli, that names the trial.
TRIAL = "trial"
# Trial, or None for all others, → stimulus.
Stimuli = Mapping[str | None, str]
# What a recording may raise that cannot be predicted.
_EXPECTED = (ValueError, DecompositionError, TrainingError, OSError, ImportError, MemoryError)


@dataclass(frozen=True)
class Needs:
    """What a model must be given beside the samples.

    Attributes
    ----------
    sampling_rate : float
        Of the recordings, in Hz.
    stimuli : dict or None
        The stimuli that the model has music of, by their text; None where it needs no music.
    subject : bool
        Whether it needs to know whose recording it is.
    """

    sampling_rate: float
    stimuli: Mapping[str, Any] | None
    subject: bool

    def check_rate(self, sampling_rate: float | None) -> None:
        """Raise a ValueError if recordings have another sampling rate; None is not known yet."""
        if sampling_rate not in (None, self.sampling_rate):
            raise ValueError(
                f"the recording has {sampling_rate:g} Hz, and the model takes "
                f"{self.sampling_rate:g} Hz: resample it, or take a model of that rate."
            )


def find_needs(model: BaseEstimator) -> Needs:
    """Look at a model's steps; raise a ValueError if it cannot predict from raw EDA."""
    if not hasattr(model, "predict"):
        raise ValueError(f"{type(model).__name__} predicts nothing.")
    steps = list(_steps(model))
    first = next(step for step in steps if not isinstance(step, SubjectThresholdRelabeler))
    if not isinstance(first, _FROM_RAW):
        raise ValueError(
            f"the model begins with {type(first).__name__}, and so with features or channels that "
            "were made before. Predicting from files needs one that begins with raw EDA: fit a "
            "pipeline whose first step is CvxEDATransformer, EDADecomposer or EDAFeatureExtractor, "
            "alone or as eda= of MusicFeatureUnion."
        )
    unions = [step for step in steps if isinstance(step, BlockUnion)]
    # Models that were saved have their music as a frame.
    music = [union.music for union in unions if isinstance(union.music, pd.DataFrame)]
    return Needs(
        float(first.sampling_rate),
        {str(stimulus): stimulus for stimulus in music[0].index} if music else None,
        any(isinstance(step, SubjectStandardizer) for step in steps),
    )


def _steps(model: BaseEstimator) -> list[BaseEstimator]:
    """Return all steps in the order in which samples pass through them."""
    if isinstance(model, sklearn.pipeline.Pipeline):
        kept = [step for _, step in model.steps if isinstance(step, BaseEstimator)]
        return [one for step in kept for one in _steps(step)]
    if isinstance(model, BlockUnion):
        kept = [block for block in model.blocks.values() if isinstance(block, BaseEstimator)]
        return [*(one for block in kept for one in _steps(block)), model]
    return [model]


def read_file(
    path: Path, *, sampling_rate: float | None, column: str | None, tags: str
) -> tuple[dict[str, np.ndarray], float]:
    """Read the trials of one recording.

    Parameters
    ----------
    path : Path
    sampling_rate, column
        As for `read_recording`.
    tags : {"consecutive", "pairs", "ignore"}
        As for `load_e4`: which presses of its button bound the trials of an E4's session, an
        ``EDA.csv`` beside a ``tags.csv``. One in which nobody pressed is one trial.

    Returns
    -------
    trials : dict
        Name of the trial → EDA of shape (n_samples,): the number of an E4's, from 1; the values of
        a table's column ``trial``, as text; "1" in all other files.
    sampling_rate : float
        In Hz.

    Raises
    ------
    DatasetError
        If it cannot be read, an E4's presses give no trial, or the rows of a trial do not lie
        together.
    """
    eda, sampling_rate = read_recording(path, sampling_rate=sampling_rate, column=column)
    if tags != "ignore" and path.name == "EDA.csv" and _is_pressed(path.with_name(TAGS)):
        return _read_session(path.parent, tags), sampling_rate
    names = None if column == TRIAL else _read_trial_names(path)
    return ({"1": eda} if names is None else _split(path, names, eda)), sampling_rate


def _is_pressed(tags: Path) -> bool:
    """Say whether the button of the session was pressed; no file says that it was not."""
    return tags.is_file() and bool(tags.read_bytes().strip())


def _read_session(folder: Path, tags: str) -> dict[str, np.ndarray]:
    try:
        trials = load_e4(folder, tags=tags, allow_partial=True).trials
    except DatasetError as error:
        raise DatasetError(
            f"{error} --tags ignore takes the whole session as one trial."
        ) from error
    # Sessions in folders below are others.
    own = trials[trials["session"] == folder.resolve().name]
    return dict(zip(own["trial"].astype(str), own["eda"], strict=True))


def _read_trial_names(path: Path) -> list[str] | None:
    """Return the column `trial` of a table, as text; None where there is none."""
    if path.suffix.lower() == ".parquet":
        table = pd.read_parquet(path)
        if TRIAL not in table.columns:
            return None
        values = table[TRIAL]
        return ["" if pd.isna(value) else str(value) for value in values]
    names, *rows = read_csv_rows(path)
    return [row[names.index(TRIAL)] for row in rows] if TRIAL in names else None


def _split(path: Path, names: list[str], eda: np.ndarray) -> dict[str, np.ndarray]:
    """Cut the samples where the name of the trial changes."""
    ends = [i for i in range(1, len(names)) if names[i] != names[i - 1]]
    starts = [0, *ends]
    trials: dict[str, np.ndarray] = {}
    for start, cut in zip(starts, np.split(eda, ends), strict=True):
        if not names[start]:
            raise DatasetError(f"{path}: row {start + 1} does not say its {TRIAL}.")
        if names[start] in trials:
            raise DatasetError(
                f"{path}: the rows of {TRIAL} {names[start]} do not lie together: sort them by "
                f"{TRIAL} and time."
            )
        trials[names[start]] = cut
    return trials


def predict_file(
    model: BaseEstimator,
    needs: Needs,
    source: Path,
    read: Callable[[Path], tuple[Mapping[str, np.ndarray], float]],
    *,
    heard: Stimuli,
    subject: str | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Predict the trials in one file, each by itself.

    Parameters
    ----------
    model : estimator
    needs : Needs
        Of the model.
    source : Path
        The recording.
    read : callable
        Takes its path and gives its trials by name, and their sampling rate.
    heard : dict
        What was heard: name of a trial, or None for all others → stimulus, as text, whatever type
        the model's music has.
    subject : str or None, default=None
        Who was recorded.

    Returns
    -------
    rows : list of dict
        For each trial: ``file``, ``trial``, ``predicted`` and, where the model gives them,
        ``probability_<class>``.
    errors : list of str
        For each trial that could not be predicted what is wrong, in one line that begins with the
        path; the same, once, for a file that could not be read.
    """
    try:
        trials, sampling_rate = read(source)
        needs.check_rate(sampling_rate)
    except _EXPECTED as error:
        return [], [f"{source}: {_say(error, source)}"]
    rows, errors = [], []
    for name, eda in trials.items():
        row: dict[str, Any] = {"file": str(source), "trial": name}
        try:
            stimulus = heard.get(name, heard.get(None))
            rows.append(row | _predict_trial(model, needs, eda, stimulus, subject))
        except _EXPECTED as error:
            where = f"{source}: trial {name}" if len(trials) > 1 else str(source)
            errors.append(f"{where}: {_say(error, source)}")
    return rows, errors


def _predict_trial(
    model: BaseEstimator,
    needs: Needs,
    eda: np.ndarray,
    stimulus: str | None,
    subject: str | None,
) -> dict[str, Any]:
    trial: dict[str, Any] = {"trial": 0}
    if stimulus is not None:
        trial["stimulus"] = (needs.stimuli or {}).get(stimulus, stimulus)
    elif needs.stimuli is not None:
        raise ValueError("it is not said what was heard: give it a line in --stimuli.")
    if subject is not None:
        trial["subject"] = subject
    trials = pd.DataFrame([trial])
    trials["eda"] = pd.Series([eda], dtype=object)
    row = {"predicted": model.predict(trials)[0]}
    if hasattr(model, "predict_proba"):
        shares = zip(model.classes_, model.predict_proba(trials)[0], strict=True)
        row |= {f"probability_{label}": share for label, share in shares}
    return row


def _say(error: Exception, source: Path) -> str:
    """Give the message of an error in one line, without the path at its beginning."""
    if isinstance(error, MemoryError):
        return "not enough memory for a recording of this length."
    return " ".join(str(error).split()).removeprefix(f"{source}: ")


def read_stimuli(path: Path) -> Mapping[str, Stimuli]:
    """Read what was heard: a CSV with the columns file, stimulus and, if need be, trial.

    Returns
    -------
    dict
        File → trial, or None where the table gives none → stimulus.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in ("file", "stimulus") if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: there is no column {missing[0]!r}; file and stimulus are asked.")
    heard: dict[str, dict[str | None, str]] = {}
    trials = table[TRIAL] if TRIAL in table.columns else [""] * len(table)
    for file, trial, stimulus in zip(table["file"], trials, table["stimulus"], strict=True):
        of_file = heard.setdefault(file, {})
        if (trial or None) in of_file:
            named = f"{file}, trial {trial}," if trial else file
            raise ValueError(f"{path}: {named} stands there more than once.")
        of_file[trial or None] = stimulus
    return heard
