"""What somebody adds from outside the package: studies and pipelines, each in a line.

The tests hand it to ``edaemo compare --plugin outside``, and import it.
"""

import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import Bunch

from edaemo.benchmark import register_pipeline, register_study


def make_study(path: object = None, *, n_people: int = 8) -> Bunch:
    """Make people who meet six stimuli; the first two watch together, and so do the next two."""
    rng = np.random.default_rng(0)
    person, trial = np.indices((n_people, 6)).reshape(2, -1)
    n = len(person)
    high = rng.permuted(np.tile([True, False], (n_people, 3)), axis=1).ravel()
    rise = np.linspace(0, 1, 80) * np.where(high, 1.0, -1.0)[:, None]
    eda = 5 + rise + 0.1 * np.cumsum(rng.normal(size=(n, 80)), axis=1)
    stimulus = rng.permuted(np.tile(range(6), (n_people, 1)), axis=1).ravel()
    groups = {0: "a", 1: "a", 2: "b", 3: "b"}
    trials = pd.DataFrame(
        {
            "subject": [f"p{i}" for i in person],
            "stimulus": [f"s{i}" for i in stimulus],
            "trial": trial,
            "eda": list(eda),
            "duration": rng.uniform(20, 40, n),
            "viewing_group": [groups.get(i) for i in person],
        }
    )
    arousal = np.where(high, rng.uniform(6, 9, n), rng.uniform(1, 4, n))
    ratings = pd.DataFrame({"arousal": arousal, "valence": rng.uniform(1, 9, n)})
    stimuli = [f"s{i}" for i in range(6)]
    return Bunch(
        name="my-study",
        trials=trials,
        ratings=ratings,
        targets={name: ratings[name] for name in ratings},
        music=pd.DataFrame(rng.normal(size=(6, 3)), index=stimuli, columns=["x", "y", "z"]),
        sampling_rate=4.0,
        rating_range=(1.0, 9.0),
    )


class MeanLevel(ClassifierMixin, BaseEstimator):
    """Say high where the mean EDA is above that of the training trials; its children misbehave."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "MeanLevel":
        self.classes_ = np.unique(y)
        self.level_ = self._levels(X).mean()
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return (self._levels(X) > self.level_).astype(int)

    def _levels(self, X: pd.DataFrame) -> np.ndarray:
        return np.array([np.mean(signal) for signal in X["eda"]])


class Peeking(MeanLevel):
    """Go by the mean level of all that is tested together, whoever it is."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        levels = self._levels(X)
        return (levels > levels.mean()).astype(int)


class Slow(MeanLevel):
    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Slow":
        time.sleep(0.15)
        return super().fit(X, y)


class Waiting(MeanLevel):
    """Wait for a file before it learns, and fail where that never comes."""

    def __init__(self, file: str = ""):
        self.file = file

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Waiting":
        end = time.monotonic() + 20
        while not Path(self.file).exists():
            if time.monotonic() > end:
                raise TimeoutError(self.file)
            time.sleep(0.01)
        return super().fit(X, y)


class Failing(MeanLevel):
    """Fail where p7 is held out, as long as the environment variable OUTSIDE_FAILS is set."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Failing":
        if "p7" not in set(X["subject"]) and "OUTSIDE_FAILS" in os.environ:
            raise ArithmeticError("nobody is p7")
        return super().fit(X, y)


class Warning_(MeanLevel):
    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Warning_":
        for _ in range(2):
            warnings.warn("an odd fit", stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return super().fit(X, y)


class Killing(MeanLevel):
    """Kill the process that it is in, once for each file in a folder, which it takes away."""

    def __init__(self, folder: str = ""):
        self.folder = folder

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Killing":
        for file in Path(self.folder).iterdir():
            try:
                file.unlink()
            except FileNotFoundError:
                continue  # another process took it
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


class Watched(MeanLevel):
    """Note what `fit` is given in this process, and where it would run."""

    fits: list = []  # noqa: RUF012

    def __init__(self, validation_fraction: float | None = None, device: str = "auto"):
        self.validation_fraction = validation_fraction
        self.device = device

    def fit(
        self, X: pd.DataFrame, y: np.ndarray, validation: np.ndarray | None = None
    ) -> "Watched":
        self.fits.append((X, validation))
        self.net_ = Bunch(device=self.device)
        return super().fit(X, y)


if __name__ != "__main__":
    register_study("my-study", make_study)
    register_pipeline("my-knn", KNeighborsClassifier(3), input="features")
    register_pipeline("my-guess", DummyClassifier(strategy="uniform"), input="no-signals")
    register_pipeline("my-slow", Slow())
    register_pipeline("my-failing", lambda study: Failing())
