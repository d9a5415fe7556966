"""Tasks: what a kind of target holds, and how predictions of it are read, scored and shown.

A task is found by what the target is. It checks predictions, sums them up by unit (people, folds),
scores the sums, and names the scores that tables show and the reference rows that stand beside
them. Nothing else asks what kind of problem it has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length

from edaemo.statistics._predictions import NUMBERS
from edaemo.statistics._scores import divide
from edaemo.statistics._sums import (
    OF_CLASSES,
    OF_NUMBERS,
    OF_PROBABILITIES,
    Sums,
    score_classes,
    score_many_classes,
    score_numbers,
    sum_classes,
    sum_many_classes,
    sum_numbers,
    sum_series,
)

_ASKS_CLASSES = (
    "the targets are classes: ask for classifiers, or give "
    f"thresholds={NUMBERS!r}, which leaves ratings the numbers that they are"
)
POOLED, OVER_PEOPLE = "pooled", "over_people"
BY_PERSON, PER_SEQUENCE = "_by_person", "_per_sequence"


class Outcome(NamedTuple):
    """Labels and predictions of trials, one array element a trial, as the sums take them.

    `probability` has shape (n_trials,) of class 1, or (n_trials, n_classes), or is None.
    """

    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray | None = None


class Task(ABC):
    """A kind of target.

    Attributes
    ----------
    name : str
        What the store calls it.
    estimator_type : {"classifier", "regressor"}
        What scikit-learn calls the estimators that predict it.
    predictor : str
        What they are called in messages.
    asks : str
        What such a target asks for, in messages.
    has_lengths : bool
        Whether labels differ in length.
    tested : str
        The score of people that tests are about.
    chance : float
        That score of predictions that know nothing.
    chance_row, order_row, stimulus_row : str
        The reference rows that use no input, the order of the trials (of a series the number of the
        step), and the stimulus alone.
    scores : tuple of str
        All scores of a summary, in order.
    stored : tuple of str
        The scores that each fold is stored with.
    titles : dict of str to str
        The columns of a table for the terminal, and what they are called.
    columns : dict of str to (score, {"pooled", "over_people"})
        The scores among the columns of the table that ``evaluate`` returns.
    reported : tuple of (str, str, {"pooled", "over_people"})
        The score columns of a report: title, score, of what.
    zero : tuple of str
        Scores that count as 0 in a table where they are undefined.
    classes : tuple
        Of classifications, as the store has them.
    """

    name: ClassVar[str]
    estimator_type: ClassVar[str]
    predictor: ClassVar[str]
    asks: ClassVar[str]
    has_lengths: ClassVar[bool] = False
    tested: ClassVar[str]
    chance_row: ClassVar[str]
    order_row: ClassVar[str] = "trial-order"
    stimulus_row: ClassVar[str]
    chance: float
    scores: tuple[str, ...]
    stored: tuple[str, ...]
    titles: Mapping[str, str]
    columns: Mapping[str, tuple[str, str]]
    reported: tuple[tuple[str, str, str], ...]
    zero: tuple[str, ...] = ()
    classes: tuple = ()

    @property
    def tested_title(self) -> str:
        """What the score that tests are about is called."""
        return self.titles[self.tested]

    @property
    def has_classes(self) -> bool:
        """Say whether labels are classes."""
        return self.estimator_type == "classifier"

    @abstractmethod
    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
    ) -> Outcome:
        """Check labels and predictions as users have them; raise ValueError."""

    @abstractmethod
    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Sum up by unit, numbers from 0; not `across`, units can only be taken each."""

    @abstractmethod
    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Score sums; NaN where a score is undefined."""

    @abstractmethod
    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what an estimator predicted for trials with these labels; raise ValueError."""

    @abstractmethod
    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Return the columns of a table that are about the labels of all trials."""

    @abstractmethod
    def say_labels(self, row: pd.Series) -> str:
        """Return the same as a clause for readers."""

    def stratify(self, labels: np.ndarray) -> np.ndarray | None:
        """Return what splitters may balance folds by."""
        return labels

    def decode(self, labels: np.ndarray) -> np.ndarray:
        """Return labels or predictions as the store has them."""
        return labels

    def tell_lengths(self, trials: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
        """Return the trials, with what must be known of a label to predict one of its form."""
        return trials

    def score_fold(self, labels: np.ndarray, predicted: np.ndarray) -> dict[str, float | None]:
        """Score one fold; a score without a value is None, which the store and JSON have."""
        scores = self.score(self.sum_up(Outcome(labels, predicted), np.zeros(len(labels), int)))
        values = {name: float(scores[name][0]) for name in self.stored}
        otherwise = {name: 0.0 for name in self.zero}
        return {
            name: otherwise.get(name) if np.isnan(value) else value
            for name, value in values.items()
        }


class Binary(Task):
    """Two classes, 0 and 1; 1 is the positive one."""

    name = "binary"
    estimator_type = "classifier"
    predictor = "classifier"
    asks = _ASKS_CLASSES
    tested = "balanced_accuracy"
    chance_row = "majority"
    stimulus_row = "stimulus-prior"
    chance = 0.5
    scores = (*OF_CLASSES, *OF_PROBABILITIES)
    stored = ("accuracy", "balanced_accuracy", "f1")
    titles: Mapping[str, str] = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "f1": "F1",
    }
    columns: Mapping[str, tuple[str, str]] = {
        **{name: (name, POOLED) for name in stored},
        "balanced_accuracy_by_person": ("balanced_accuracy", OVER_PEOPLE),
    }
    reported = (
        ("Accuracy", "accuracy", POOLED),
        ("Balanced accuracy", "balanced_accuracy", POOLED),
        ("Mean over people", "balanced_accuracy", OVER_PEOPLE),
        ("F1", "f1", POOLED),
        ("MCC", "mcc", POOLED),
    )
    zero = ("f1",)
    classes = (0, 1)

    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
    ) -> Outcome:
        """Read 0 and 1, and the probability of 1."""
        labels, predicted = read_classes(y_true, names[0]), read_classes(y_pred, names[1])
        check_consistent_length(labels, predicted)
        if probability is not None:
            probability = read_probability(probability, len(labels))
        return Outcome(labels, predicted, probability)

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Count the confusion matrix, and pairs and errors of probabilities."""
        return sum_classes(*outcome, unit, across=across)

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Score classifications."""
        return score_classes(sums)

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Take 0 and 1."""
        return _check_classes(predicted, labels, 2)

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Give the share of the larger class."""
        return {"majority_rate": max(np.mean(labels), 1 - np.mean(labels))}

    def say_labels(self, row: pd.Series) -> str:
        """Say how large the larger class is."""
        return f"majority class {row['majority_rate']:.3f}"


class Multiclass(Task):
    """Three classes or more, without an order.

    Parameters
    ----------
    classes : sequence
        Their names, sorted; labels and predictions are names too, and places among them inside.
    """

    name = "multiclass"
    estimator_type = "classifier"
    predictor = "classifier"
    asks = _ASKS_CLASSES
    tested = "balanced_accuracy"
    chance_row = "majority"
    stimulus_row = "stimulus-prior"
    _SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "majority_rate", "brier_score")

    def __init__(self, classes: Sequence) -> None:
        self.classes = tuple(classes)
        self.chance = 1 / len(self.classes) if self.classes else np.nan
        self.recalls = tuple(f"recall_{name}" for name in self.classes)
        self.scores = (*self._SCORES, *self.recalls)
        self.stored = ("accuracy", "balanced_accuracy", "f1_macro", *self.recalls)
        self.titles = {
            "accuracy": "accuracy",
            "balanced_accuracy": "balanced accuracy",
            "f1_macro": "macro F1",
            **{f"recall_{name}": f"recall of {name}" for name in self.classes},
        }
        self.columns = {
            **{name: (name, POOLED) for name in self.stored},
            "balanced_accuracy_by_person": ("balanced_accuracy", OVER_PEOPLE),
        }
        self.reported = (
            *Binary.reported[:3],
            ("Macro F1", "f1_macro", POOLED),
            *((f"Recall of {name}", f"recall_{name}", POOLED) for name in self.classes),
        )

    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
    ) -> Outcome:
        """Read names of classes, and a probability of each class."""
        labels, predicted = (
            self._read_names(values, name)
            for values, name in zip((y_true, y_pred), names, strict=True)
        )
        check_consistent_length(labels, predicted)
        return Outcome(labels, predicted, self._read_probabilities(probability, len(labels)))

    def _read_names(self, values: Sequence | np.ndarray | pd.Series, what: str) -> np.ndarray:
        labels = pd.Series(values, dtype=object)
        codes = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(labels, dtype=object))
        if (codes < 0).any():
            odd = labels.to_numpy()[codes < 0][0]
            raise ValueError(f"{what} holds {odd!r}, and the classes are {list(self.classes)}.")
        return codes

    def _read_probabilities(self, probability: Iterable | None, n_trials: int) -> np.ndarray | None:
        if probability is None:
            return None
        rows = list(probability)
        if any(row is None or np.isnan(row).any() for row in rows):
            return None
        values = np.array(rows, dtype=np.float64)
        if values.shape != (n_trials, len(self.classes)):
            raise ValueError(
                f"probability must hold one for each of {len(self.classes)} classes of each of "
                f"{n_trials} trials, got an array of shape {values.shape}."
            )
        if values.min() < 0 or values.max() > 1:
            raise ValueError("probability must lie in [0, 1].")
        return values

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Count the confusion matrix, and the squared error of probabilities."""
        return sum_many_classes(*outcome, unit, len(self.classes))

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Score classifications, with the recall of each class."""
        return score_many_classes(sums, self.recalls)

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Take places among the classes."""
        return _check_classes(predicted, labels, len(self.classes))

    def decode(self, labels: np.ndarray) -> np.ndarray:
        """Return the names of the classes."""
        return np.array([*self.classes, None], dtype=object)[labels]

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Give the share of the largest class."""
        return {"majority_rate": pd.Series(labels).value_counts(normalize=True).max()}

    def say_labels(self, row: pd.Series) -> str:
        """Say how many classes there are, and how large the largest is."""
        return f"{round(1 / row['chance'])} classes, majority class {row['majority_rate']:.3f}"


class Regression(Task):
    """One number a trial, such as a rating as it is."""

    name = "regression"
    estimator_type = "regressor"
    predictor = "regressor"
    asks = f"with thresholds={NUMBERS!r} ratings stay numbers: ask for regressors"
    tested = "concordance_correlation"
    chance_row = "mean"
    stimulus_row = "stimulus-mean"
    chance = 0.0
    scores = OF_NUMBERS
    stored = OF_NUMBERS
    titles: Mapping[str, str] = {
        "concordance_correlation": "CCC",
        "concordance_correlation_by_person": "CCC by person",
        "pearson": "Pearson",
        "pearson_by_person": "Pearson by person",
        "rmse": "RMSE",
        "rmse_by_person": "RMSE by person",
    }
    columns: Mapping[str, tuple[str, str]] = {
        name + end: (name, of)
        for name in OF_NUMBERS
        for end, of in (("", POOLED), (BY_PERSON, OVER_PEOPLE))
    }
    reported = tuple(
        (title, name, of)
        for name, called in zip(OF_NUMBERS, ("CCC", "Pearson", "RMSE"), strict=True)
        for title, of in ((called, POOLED), ("Mean over people", OVER_PEOPLE))
    )

    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
    ) -> Outcome:
        """Read finite numbers."""
        true, predicted = read_numbers(y_true, names[0]), read_numbers(y_pred, names[1])
        check_consistent_length(true, predicted)
        return Outcome(true, predicted)

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Sum up numbers, squares and products."""
        return sum_numbers(outcome.labels, outcome.predicted, unit)

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Score predictions of numbers."""
        return score_numbers(sums)

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Take finite numbers."""
        numeric = predicted.dtype.kind in "biuf"
        if predicted.shape != labels.shape or not numeric or not np.isfinite(predicted).all():
            raise ValueError(
                f"predict gave shape {predicted.shape} and the values {_first(predicted)} for "
                f"the ratings of {len(labels)} trials: is it a regressor?"
            )
        return predicted.astype(np.float64)

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Give mean and standard deviation."""
        return {"rating_mean": labels.mean(), "rating_sd": labels.std(ddof=1)}

    def say_labels(self, row: pd.Series) -> str:
        """Say mean and standard deviation."""
        return f"ratings {row['rating_mean']:.2f}, standard deviation {row['rating_sd']:.2f}"


class SequenceRegression(Task):
    """A series of numbers a trial, of any length; steps that are NaN are masked and do not count.

    ``concordance_correlation``, ``pearson`` and ``rmse`` are of all steps, one sequence after
    another; with ``_per_sequence`` the mean of each sequence's own, where it is defined.
    """

    name = "sequence-regression"
    estimator_type = "regressor"
    predictor = "sequence regressor"
    asks = "the targets are series: ask for sequence regressors"
    has_lengths = True
    tested = "concordance_correlation"
    order_row = "step-mean"
    chance_row = "mean"
    stimulus_row = "stimulus-mean"
    chance = 0.0
    scores = (*OF_NUMBERS, *(name + PER_SEQUENCE for name in OF_NUMBERS))
    stored = scores
    titles: Mapping[str, str] = {
        "concordance_correlation": "CCC",
        "concordance_correlation_by_person": "CCC by person",
        "concordance_correlation_per_sequence": "CCC per sequence",
        "pearson": "Pearson",
        "pearson_per_sequence": "Pearson per sequence",
        "rmse": "RMSE",
    }
    columns: Mapping[str, tuple[str, str]] = {
        **{name: (name, POOLED) for name in scores},
        **{name + BY_PERSON: (name, OVER_PEOPLE) for name in OF_NUMBERS},
    }
    reported = (
        ("CCC", "concordance_correlation", POOLED),
        ("Mean over people", "concordance_correlation", OVER_PEOPLE),
        ("CCC per sequence", "concordance_correlation_per_sequence", POOLED),
        ("Pearson", "pearson", POOLED),
        ("Pearson per sequence", "pearson_per_sequence", POOLED),
        ("RMSE", "rmse", POOLED),
    )

    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
    ) -> Outcome:
        """Read a series for each trial, predictions as long as labels."""
        true, predicted = read_series(y_true, names[0]), read_series(y_pred, names[1])
        check_consistent_length(true, predicted)
        for i, (series, said) in enumerate(zip(true, predicted, strict=True)):
            if len(series) != len(said) or np.isnan(said).any():
                raise ValueError(
                    f"{names[1]}: trial {i} has {len(said)} steps, {np.isnan(said).sum()} of them "
                    f"NaN; {names[0]} has {len(series)}, and each must be predicted."
                )
        return Outcome(true, predicted)

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Sum up the steps, and the scores of each sequence."""
        true, predicted, trial = join_steps(outcome)
        return sum_series(true, predicted, trial, unit)

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Score the steps, and average the scores of sequences."""
        per_sequence = {
            name + PER_SEQUENCE: divide(sums[f"{name}_sum"], sums[f"{name}_n"])
            for name in OF_NUMBERS
        }
        return score_numbers(sums) | per_sequence

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Take a series of finite numbers for each trial, as long as its label."""
        if len(predicted) != len(labels):
            raise ValueError(
                f"predict gave {len(predicted)} series for {len(labels)} trials: is it a sequence "
                "regressor?"
            )
        checked = np.empty(len(labels), dtype=object)
        for i, (said, label) in enumerate(zip(predicted, labels, strict=True)):
            series = np.asarray(said)
            numeric = series.dtype.kind in "biuf"
            if series.shape != label.shape or not numeric or not np.isfinite(series).all():
                raise ValueError(
                    f"predict gave shape {series.shape} and the values {_first(series)} for trial "
                    f"{i} of the fold, whose label has {len(label)} steps: a sequence regressor "
                    "gives one finite number for each."
                )
            checked[i] = series.astype(np.float64)
        return checked

    def stratify(self, labels: np.ndarray) -> None:
        """Return nothing: there is no share of series to balance."""

    def tell_lengths(self, trials: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
        """Add ``n_steps``, how long the series of each trial is."""
        return trials.assign(n_steps=[len(series) for series in labels])

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Give number of steps, mean and standard deviation."""
        steps = np.concatenate(labels)
        steps = steps[~np.isnan(steps)]
        return {"n_steps": len(steps), "rating_mean": steps.mean(), "rating_sd": steps.std(ddof=1)}

    def say_labels(self, row: pd.Series) -> str:
        """Say how many steps there are, their mean and standard deviation."""
        return (
            f"{row['n_steps']:.0f} steps, {row['rating_mean']:.2f} on average, standard deviation "
            f"{row['rating_sd']:.2f}"
        )


TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Binary, Multiclass, Regression, SequenceRegression)
}


def make_task(name: str, classes: Sequence = ()) -> Task:
    """Return the task of that name; `classes` are those of a multiclass one."""
    return Multiclass(classes) if name == Multiclass.name else TASKS[name]()


def find_task(tables: Sequence[Mapping[str, pd.Series]]) -> Task:
    """Find the task of one case in tables of predictions.

    Parameters
    ----------
    tables : sequence of DataFrame, or of mapping of column to Series
        The predictions of each pipeline of the case. The column ``task`` says it; where there is
        none, arrays are series, threshold "none" and fractions are numbers, 0 and 1 two classes,
        anything else several.

    Returns
    -------
    Task
        A multiclass one has the classes that are label or prediction of any trial.
    """
    first = tables[0]
    name = first["task"].iloc[0] if "task" in first else _guess(first)
    if name != Multiclass.name:
        return make_task(name)
    values = [table[column] for table in tables for column in ("label", "predicted")]
    return Multiclass(name_classes(pd.concat(values)))


def name_classes(labels: pd.Series) -> list:
    """Return the classes among labels, sorted."""
    return sorted(pd.unique(labels.astype(object)))


def _guess(predictions: Mapping[str, pd.Series]) -> str:
    labels = predictions["label"]
    if len(labels) and isinstance(labels.iloc[0], np.ndarray | list | tuple | pd.Series):
        return SequenceRegression.name
    if "threshold" in predictions and (predictions["threshold"] == NUMBERS).any():
        return Regression.name
    if not pd.api.types.is_numeric_dtype(labels):
        return Multiclass.name
    if labels.isin([0, 1]).all():
        return Binary.name
    return Regression.name if pd.api.types.is_float_dtype(labels) else Multiclass.name


def join_steps(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put the steps that count one after another: true, predicted, and the trial of each."""
    trial = np.repeat(np.arange(len(outcome.labels)), [len(series) for series in outcome.labels])
    true = np.concatenate([np.empty(0), *outcome.labels])
    predicted = np.concatenate([np.empty(0), *outcome.predicted])
    counts = ~np.isnan(true)
    return true[counts], predicted[counts], trial[counts]


def read_classes(values: ArrayLike, name: str) -> np.ndarray:
    """Read one 0 or 1 for each trial."""
    labels = np.asarray(check_array(values, ensure_2d=False, dtype="numeric", input_name=name))
    if labels.ndim != 1 or not np.isin(labels, [0, 1]).all():
        raise ValueError(f"{name} must hold one 0 or 1 for each trial.")
    return labels.astype(np.int64)


def read_numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Read one finite number for each trial."""
    numbers = np.asarray(check_array(values, ensure_2d=False, dtype=np.float64, input_name=name))
    if numbers.ndim != 1:
        raise ValueError(f"{name} must hold one number for each trial, got {numbers.shape}.")
    return numbers


def read_series(values: Iterable, name: str) -> np.ndarray:
    """Read one series of numbers for each trial, as an object array of 1-D float arrays."""
    cells = list(values)
    read: np.ndarray = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        series = np.asarray(cell, dtype=np.float64)
        if series.ndim != 1:
            raise ValueError(
                f"{name} must hold one series of numbers for each trial; trial {i} has an array of "
                f"shape {series.shape}."
            )
        if np.isinf(series).any():
            raise ValueError(f"{name}: trial {i} has an infinite step; NaN masks a step.")
        read[i] = series
    return read


def read_probability(values: ArrayLike, n_trials: int) -> np.ndarray | None:
    """Read a probability of 1 for each trial; None where one is missing."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n_trials,):
        raise ValueError(
            f"probability must hold the probability of 1 of each of {n_trials} trials, got an "
            f"array of shape {values.shape}."
        )
    if np.isnan(values).any():
        return None
    if values.min() < 0 or values.max() > 1:
        raise ValueError("probability must lie in [0, 1].")
    return values


def _check_classes(predicted: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    if predicted.shape != labels.shape or not np.isin(predicted, range(n_classes)).all():
        known = "0 and 1" if n_classes == 2 else f"0 to {n_classes - 1}"
        raise ValueError(
            f"predict gave shape {predicted.shape} and the values {_first(predicted)} for "
            f"{len(labels)} trials of the classes {known}: is it a classifier?"
        )
    return predicted.astype(np.int64)


def _first(values: np.ndarray) -> np.ndarray:
    """Return the first few different values, for a message."""
    return pd.unique(values.ravel())[:5] if values.dtype == object else np.unique(values)[:5]
