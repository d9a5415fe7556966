"""Predictions for recordings in files, by a model that takes raw EDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn.pipeline
from sklearn.base import BaseEstimator

from edaemo._torch import TrainingError
from edaemo.decomposition import DecompositionError
from edaemo.features import EDAFeatureExtractor
from edaemo.fusion import BlockUnion
from edaemo.preprocessing import (
    CvxEDATransformer,
    EDADecomposer,
    SubjectStandardizer,
    SubjectThresholdRelabeler,
    describe_quality,
)

# Transformers that take raw EDA and have a sampling rate.
_FROM_RAW = (CvxEDATransformer, EDADecomposer, EDAFeatureExtractor)
# Column with the name of the trial in the table of stimuli.
TRIAL = "trial"
# Trial → stimulus. The key None is for all other trials.
Stimuli = Mapping[str | None, str]
# Errors of a recording that cannot be predicted. Other recordings are still predicted.
_EXPECTED = (ValueError, DecompositionError, TrainingError, OSError, ImportError, MemoryError)


@dataclass(frozen=True)
class Needs:
    """Inputs that a model needs in addition to the samples.

    Attributes
    ----------
    sampling_rate : float
        Sampling rate of the recordings, in Hz.
    stimuli : dict or None
        Stimuli for which the model has music features, by their name as text; None if the model
        uses no music.
    subject : bool
        Whether it needs the subject of each recording.
    """

    sampling_rate: float
    stimuli: Mapping[str, Any] | None
    subject: bool

    def check_rate(self, sampling_rate: float | None) -> None:
        """Raise a ValueError if the sampling rate is wrong; None (not known yet) is accepted."""
        if sampling_rate not in (None, self.sampling_rate):
            raise ValueError(
                f"the recording has {sampling_rate:g} Hz, but the model needs "
                f"{self.sampling_rate:g} Hz: resample the recording, or use a model for its rate."
            )


def find_needs(model: BaseEstimator) -> Needs:
    """Return the inputs that a model needs; raise a ValueError if it cannot predict from raw EDA.

    They are read from the model's steps.
    """
    if not hasattr(model, "predict"):
        raise ValueError(f"{type(model).__name__} has no method predict.")
    steps = list(_steps(model))
    first = next(step for step in steps if not isinstance(step, SubjectThresholdRelabeler))
    if not isinstance(first, _FROM_RAW):
        raise ValueError(
            f"the model begins with {type(first).__name__}, so it takes features or channels, not "
            "raw EDA. Predicting from files needs a model that takes raw EDA: fit a pipeline whose "
            "first step is CvxEDATransformer, EDADecomposer or EDAFeatureExtractor, alone or as "
            "eda= of MusicFeatureUnion."
        )
    unions = [step for step in steps if isinstance(step, BlockUnion)]
    # Saved models hold their music features as a DataFrame.
    music = [union.music for union in unions if isinstance(union.music, pd.DataFrame)]
    return Needs(
        float(first.sampling_rate),
        {str(stimulus): stimulus for stimulus in music[0].index} if music else None,
        any(isinstance(step, SubjectStandardizer) for step in steps),
    )


def _steps(model: BaseEstimator) -> list[BaseEstimator]:
    """Return all steps, also those inside other steps, in the order of processing."""
    if isinstance(model, sklearn.pipeline.Pipeline):
        kept = [step for _, step in model.steps if isinstance(step, BaseEstimator)]
        return [inner for step in kept for inner in _steps(step)]
    if isinstance(model, BlockUnion):
        kept = [block for block in model.blocks.values() if isinstance(block, BaseEstimator)]
        return [*(inner for block in kept for inner in _steps(block)), model]
    return [model]


def predict_file(
    model: BaseEstimator,
    needs: Needs,
    source: Path,
    read: Callable[[Path], tuple[Mapping[str, np.ndarray], float]],
    *,
    heard: Stimuli,
    subject: str | None = None,
    any_quality: bool = False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Predict each trial in one file independently.

    Parameters
    ----------
    model : estimator
    needs : Needs
        Inputs that the model needs.
    source : Path
        The recording.
    read : callable
        Takes the path of a recording; returns its trials by name, and their sampling rate.
    heard : dict
        Name of a trial, or None for all other trials → its stimulus, as text regardless of the
        type of the model's stimulus ids.
    subject : str or None, default=None
        Subject of the recording.
    any_quality : bool, default=False
        Whether trials are predicted if more than half of their samples are not usable. If not,
        ``predicted`` is NaN for these trials.

    Returns
    -------
    rows : list of dict
        One per predicted trial: ``file``, ``trial``, ``predicted``, ``quality`` (findings of
        `describe_quality`) and, if the model has `predict_proba`, ``probability_<class>``.
    errors : list of str
        One line per trial that could not be predicted, or one for a file that could not be read.
        The line begins with the path.
    """
    try:
        trials, sampling_rate = read(source)
        needs.check_rate(sampling_rate)
    except _EXPECTED as error:
        return [], [f"{source}: {_format_error(error, source)}"]
    rows, errors = [], []
    for name, eda in trials.items():
        row: dict[str, Any] = {"file": str(source), "trial": name, "predicted": np.nan}
        try:
            found = describe_quality(eda, sampling_rate)
            row["quality"] = " ".join(found.findings)
            # A model raises an error of its own if all samples are missing.
            if found.share < 0.5 and not any_quality and not np.isnan(eda).all():
                row["quality"] = f"Not predicted: {found.share:.0%} usable. {row['quality']}"
                rows.append(row)
                continue
            stimulus = heard.get(name, heard.get(None))
            rows.append(row | _predict_trial(model, needs, eda, stimulus, subject))
        except _EXPECTED as error:
            where = f"{source}: trial {name}" if len(trials) > 1 else str(source)
            errors.append(f"{where}: {_format_error(error, source)}")
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
        raise ValueError("its stimulus is unknown: add a row for it to the --stimuli file.")
    if subject is not None:
        trial["subject"] = subject
    trials = pd.DataFrame([trial])
    trials["eda"] = pd.Series([eda], dtype=object)
    row = {"predicted": model.predict(trials)[0]}
    if hasattr(model, "predict_proba"):
        probabilities = zip(model.classes_, model.predict_proba(trials)[0], strict=True)
        row |= {f"probability_{label}": probability for label, probability in probabilities}
    return row


def _format_error(error: Exception, source: Path) -> str:
    """Return the message of an error as one line, without the path at its beginning."""
    if isinstance(error, MemoryError):
        return "not enough memory for a recording of this length."
    return " ".join(str(error).split()).removeprefix(f"{source}: ")


def read_stimuli(path: Path) -> Mapping[str, Stimuli]:
    """Read the stimulus of each trial from a CSV with columns file, stimulus and optionally trial.

    Returns
    -------
    dict
        File → dict of trial → stimulus. The trial is None if the row names no trial.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in ("file", "stimulus") if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: column {missing[0]!r} is missing: it needs file and stimulus.")
    heard: dict[str, dict[str | None, str]] = {}
    trials = table[TRIAL] if TRIAL in table.columns else [""] * len(table)
    for file, trial, stimulus in zip(table["file"], trials, table["stimulus"], strict=True):
        of_file = heard.setdefault(file, {})
        if (trial or None) in of_file:
            named = f"{file}, trial {trial}," if trial else file
            raise ValueError(f"{path}: {named} is listed more than once: keep one row.")
        of_file[trial or None] = stimulus
    return heard
