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

from edaemo.decomposition import DecompositionError
from edaemo.estimators import TrainingError
from edaemo.features import EDAFeatureExtractor
from edaemo.fusion import MusicFeatureUnion
from edaemo.preprocessing import (
    CvxEDATransformer,
    EDADecomposer,
    SubjectStandardizer,
    SubjectThresholdRelabeler,
)

# What takes raw EDA and knows its sampling rate.
_FROM_RAW = (CvxEDATransformer, EDADecomposer, EDAFeatureExtractor)


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
    unions = [step for step in steps if isinstance(step, MusicFeatureUnion)]
    music = [union.music for union in unions if union.music is not None]
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
    if isinstance(model, MusicFeatureUnion) and isinstance(model.eda, BaseEstimator):
        return [*_steps(model.eda), model]
    return [model]


def predict_file(
    model: BaseEstimator,
    needs: Needs,
    source: Path,
    read: Callable[[Path], tuple[np.ndarray, float]],
    *,
    stimulus: str | None = None,
    subject: str | None = None,
) -> dict[str, Any] | str:
    """Predict the trial in one file.

    Parameters
    ----------
    model : estimator
    needs : Needs
        Of the model.
    source : Path
        The recording.
    read : callable
        Takes its path and gives EDA and sampling rate.
    stimulus, subject : str or None, default=None
        What was heard, and who; a stimulus as text, whatever type the model's music has.

    Returns
    -------
    dict or str
        A row: ``file``, ``predicted`` and, where the model gives them, ``probability_<class>``. Or
        what is wrong, in one line that begins with the path.
    """
    try:
        eda, sampling_rate = read(source)
        needs.check_rate(sampling_rate)
        trial: dict[str, Any] = {"trial": 0}
        if stimulus is not None:
            trial["stimulus"] = (needs.stimuli or {}).get(stimulus, stimulus)
        if subject is not None:
            trial["subject"] = subject
        trials = pd.DataFrame([trial])
        trials["eda"] = pd.Series([eda], dtype=object)
        row = {"file": str(source), "predicted": model.predict(trials)[0]}
        if hasattr(model, "predict_proba"):
            shares = model.predict_proba(trials)[0]
            row |= {
                f"probability_{label}": share
                for label, share in zip(model.classes_, shares, strict=True)
            }
    except MemoryError:
        return f"{source}: not enough memory for a recording of this length."
    except (ValueError, DecompositionError, TrainingError, OSError, ImportError) as error:
        return f"{source}: " + " ".join(str(error).split()).removeprefix(f"{source}: ")
    return row


def read_stimuli(path: Path) -> dict[str, str]:
    """Read which stimulus belongs to which file: a CSV with the columns file and stimulus."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in ("file", "stimulus") if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: there is no column {missing[0]!r}; file and stimulus are asked.")
    if table["file"].duplicated().any():
        twice = table["file"][table["file"].duplicated()].iloc[0]
        raise ValueError(f"{path}: {twice} stands there more than once.")
    return dict(zip(table["file"], table["stimulus"], strict=True))
