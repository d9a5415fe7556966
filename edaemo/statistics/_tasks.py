"""Define the tasks: how predictions of each kind of target are read, scored and displayed.

The values of a target determine its task. A task checks predictions, computes sums by unit (people,
folds), computes scores from the sums, and names the scores and reference rows of the tables. No
other module depends on the kind of target.
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
    "the targets are classes: use classifiers, or pass "
    f"thresholds={NUMBERS!r}, which keeps ratings as numbers"
)
POOLED, OVER_PEOPLE = "pooled", "over_people"
BY_PERSON, PER_SEQUENCE = "_by_person", "_per_sequence"


class Outcome(NamedTuple):
    """Labels and predictions, with one array element for each trial.

    Parameters
    ----------
    labels : ndarray of shape (n_trials,)
        Label of each trial, in the form of its task.
    predicted : ndarray of shape (n_trials,)
        Prediction of each trial, in the same form.
    probability : ndarray or None, default=None
        Probability of class 1, of shape (n_trials,), or of each class, of shape (n_trials,
        n_classes).
    decision : ndarray or None, default=None
        Values that order the trials without probabilities, of the same shape.
    """

    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray | None = None
    decision: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Outcome:
        """Return the labels and predictions of some trials.

        Parameters
        ----------
        rows : ndarray
            Numbers of the trials, or a mask.

        Returns
        -------
        Outcome
            In the order of `rows`.
        """
        labels, predicted, *optional = self
        probability, decision = (None if part is None else part[rows] for part in optional)
        return Outcome(labels[rows], predicted[rows], probability, decision)


class Task(ABC):
    """A kind of target.

    Attributes
    ----------
    name : str
        Name in the store.
    estimator_type : {"classifier", "regressor"}
        Type of the estimators, in scikit-learn's terms.
    predictor : str
        Name of the estimators in messages.
    asks : str
        What the target requires, for messages.
    has_lengths : bool
        Whether labels differ in length.
    tested : str
        The score for tests over people.
    chance : float
        This score for predictions that use no input.
    margin : float
        Default margin of the equivalence test: a mean of this score that is closer to chance is
        treated as equal to chance.
    chance_row, order_row, stimulus_row : str
        The reference rows that use no input, only the order of the trials (for series the number
        of the step), and only the stimulus.
    scores : tuple of str
        All scores of a summary, in order.
    stored : tuple of str
        The scores that are stored for each fold.
    titles : dict of str to str
        The titles of the score columns in the terminal, by column.
    columns : dict of str to (score, {"pooled", "over_people"})
        The score columns of the table that ``evaluate`` returns.
    reported : tuple of (str, str, {"pooled", "over_people"})
        The score columns of a report: title, score, and kind of average.
    zero : tuple of str
        Scores that are 0 in a table if they are undefined.
    classes : tuple
        The classes, in the form of the store; empty for numbers and series.
    """

    name: ClassVar[str]
    estimator_type: ClassVar[str]
    predictor: ClassVar[str]
    asks: ClassVar[str]
    has_lengths: ClassVar[bool] = False
    tested: ClassVar[str]
    margin: ClassVar[float]
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
    classes: tuple[Any, ...] = ()

    @property
    def tested_title(self) -> str:
        """The title of the tested score."""
        return self.titles.get(self.tested) or self.titles[self.tested_column]

    @property
    def tested_column(self) -> str:
        """The column of tables with the mean over people of the tested score."""
        return self.tested + BY_PERSON

    @property
    def has_classes(self) -> bool:
        """Return whether labels are classes."""
        return self.estimator_type == "classifier"

    @abstractmethod
    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
        decision: Any = None,
    ) -> Outcome:
        """Check labels and predictions of users.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_trials,)
            Labels and predictions.
        probability : array-like or None, default=None
            Predicted probabilities, of class 1 or of each class.
        names : tuple of (str, str), default=("y_true", "y_pred")
            Names of labels and predictions in messages.
        decision : array-like or None, default=None
            Values of a decision function, of class 1 or of each class.

        Returns
        -------
        Outcome
            Labels, predictions, probabilities and decision values as arrays.

        Raises
        ------
        ValueError
            If a label, prediction or probability is invalid.
        """

    @abstractmethod
    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Return sums by unit, from which scores follow.

        Parameters
        ----------
        outcome : Outcome
            Labels and predictions, as returned by `read`.
        unit : ndarray of int of shape (n_trials,)
            Person or fold of each trial, from 0.
        across : bool, default=True
            Whether sums of several units will be added up.

        Returns
        -------
        dict of str to ndarray
            Sums by name; the first axis is the unit.
        """

    @abstractmethod
    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Return scores of sums.

        Parameters
        ----------
        sums : dict of str to ndarray
            Sums, as returned by `sum_up`, or weighted totals of them.

        Returns
        -------
        dict of str to ndarray
            Scores by name, one for each unit or total; NaN if a score is undefined.
        """

    @abstractmethod
    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return valid predictions of an estimator.

        Parameters
        ----------
        predicted : ndarray
            What the estimator's ``predict`` returned.
        labels : ndarray of shape (n_trials,)
            Labels of the same trials.

        Returns
        -------
        ndarray of shape (n_trials,)
            The predictions in the form of the task.

        Raises
        ------
        ValueError
            If a prediction is invalid.
        """

    @abstractmethod
    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Return the columns of a table that describe the labels of all trials.

        Parameters
        ----------
        labels : ndarray of shape (n_trials,)
            Labels of all trials.

        Returns
        -------
        dict of str to float
            Column and value.
        """

    @abstractmethod
    def say_labels(self, row: pd.Series) -> str:
        """Return a clause that describes the labels, from these columns.

        Parameters
        ----------
        row : Series
            Row of a table with the columns of `describe_labels`.

        Returns
        -------
        str
            The clause, without a full stop.
        """

    def stratify(self, labels: np.ndarray) -> np.ndarray | None:
        """Return the labels by which splitters may stratify folds, or None.

        Parameters
        ----------
        labels : ndarray of shape (n_trials,)
            Labels of all trials.

        Returns
        -------
        ndarray of shape (n_trials,) or None
            A class for each trial.
        """
        return labels

    def decode(self, labels: np.ndarray) -> np.ndarray:
        """Return labels or predictions in the form of the store.

        Parameters
        ----------
        labels : ndarray of shape (n_trials,)
            Labels or predictions, as in an `Outcome`.

        Returns
        -------
        ndarray of shape (n_trials,)
            Such as names of classes.
        """
        return labels

    def tell_lengths(self, trials: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
        """Return the trials, with the lengths of the labels if these differ.

        Parameters
        ----------
        trials : DataFrame
            One row for each trial.
        labels : ndarray of shape (n_trials,)
            Labels of the same trials.

        Returns
        -------
        DataFrame
            The same rows.
        """
        return trials

    def score_fold(self, labels: np.ndarray, predicted: np.ndarray) -> dict[str, float | None]:
        """Return the scores of one fold.

        Parameters
        ----------
        labels, predicted : ndarray of shape (n_trials,)
            Labels and predictions of the fold's test trials.

        Returns
        -------
        dict of str to (float or None)
            Scores by name. An undefined score is None, for the store and JSON.
        """
        scores = self.score(self.sum_up(Outcome(labels, predicted), np.zeros(len(labels), int)))
        values = {name: float(scores[name][0]) for name in self.stored}
        otherwise = {name: 0.0 for name in self.zero}
        return {
            name: otherwise.get(name) if np.isnan(value) else value
            for name, value in values.items()
        }


class Binary(Task):
    """Two classes, 0 and 1; 1 is the positive class."""

    name = "binary"
    estimator_type = "classifier"
    predictor = "classifier"
    asks = _ASKS_CLASSES
    tested = "balanced_accuracy"
    margin: ClassVar[float] = 0.05
    chance_row = "majority"
    stimulus_row = "stimulus-prior"
    chance: float = 0.5
    scores: tuple[str, ...] = (*OF_CLASSES, *OF_PROBABILITIES)
    stored: tuple[str, ...] = ("accuracy", "balanced_accuracy", "f1")
    titles: Mapping[str, str] = {
        "balanced_accuracy_by_person": "balanced accuracy",
        "roc_auc_by_person": "AUC",
        "accuracy": "accuracy",
        "f1": "F1",
    }
    columns: Mapping[str, tuple[str, str]] = {
        **{name: (name, POOLED) for name in stored},
        "balanced_accuracy_by_person": ("balanced_accuracy", OVER_PEOPLE),
        "roc_auc_by_person": ("roc_auc", OVER_PEOPLE),
    }
    reported: tuple[tuple[str, str, str], ...] = (
        ("Balanced accuracy", "balanced_accuracy", OVER_PEOPLE),
        ("AUC", "roc_auc", OVER_PEOPLE),
        ("Accuracy", "accuracy", POOLED),
        ("F1", "f1", POOLED),
        ("MCC", "mcc", POOLED),
    )
    zero: tuple[str, ...] = ("f1",)
    classes: tuple[Any, ...] = (0, 1)

    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
        decision: Any = None,
    ) -> Outcome:
        """Read 0 and 1, the probability of 1, and the decision value of 1."""
        labels, predicted = read_classes(y_true, names[0]), read_classes(y_pred, names[1])
        check_consistent_length(labels, predicted)
        if probability is not None:
            probability = read_probability(probability, len(labels))
        if decision is not None:
            decision = read_decision(decision, (len(labels),))
        return Outcome(labels, predicted, probability, decision)

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Return confusion matrices, and pairs and errors of probabilities."""
        labels, predicted, probability, decision = outcome
        return sum_classes(labels, predicted, probability, unit, decision=decision, across=across)

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Return scores of classifications."""
        return score_classes(sums)

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return predictions that are 0 or 1; else raise ValueError."""
        return _check_classes(predicted, labels, 2)

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Return the share of the larger class."""
        return {"majority_rate": max(np.mean(labels), 1 - np.mean(labels))}

    def say_labels(self, row: pd.Series) -> str:
        """Return a clause with the share of the larger class."""
        return f"majority class {row['majority_rate']:.3f}"


class Multiclass(Task):
    """Three classes or more, without an order.

    Parameters
    ----------
    classes : sequence
        Names of the classes, sorted. Users' labels and predictions are names; an `Outcome` has
        indices of `classes`.
    """

    name = "multiclass"
    estimator_type = "classifier"
    predictor = "classifier"
    asks = _ASKS_CLASSES
    tested = "balanced_accuracy"
    margin: ClassVar[float] = 0.05
    chance_row = "majority"
    stimulus_row = "stimulus-prior"
    _SCORES = (
        *("accuracy", "balanced_accuracy", "f1_macro", "majority_rate"),
        *("roc_auc", "brier_score"),
    )
    classes: tuple[Any, ...]
    chance: float
    recalls: tuple[str, ...]
    scores: tuple[str, ...]
    stored: tuple[str, ...]
    titles: Mapping[str, str]
    columns: Mapping[str, tuple[str, str]]
    reported: tuple[tuple[str, str, str], ...]

    def __init__(self, classes: Sequence[Any]) -> None:
        self.classes = tuple(classes)
        self.chance = 1 / len(self.classes) if self.classes else np.nan
        self.recalls = tuple(f"recall_{name}" for name in self.classes)
        self.scores = (*self._SCORES, *self.recalls)
        self.stored = ("accuracy", "balanced_accuracy", "f1_macro", *self.recalls)
        self.titles = {
            "balanced_accuracy_by_person": "balanced accuracy",
            "roc_auc_by_person": "AUC",
            "accuracy": "accuracy",
            "f1_macro": "macro F1",
            **{f"recall_{name}": f"recall of {name}" for name in self.classes},
        }
        self.columns = {
            **{name: (name, POOLED) for name in self.stored},
            "balanced_accuracy_by_person": ("balanced_accuracy", OVER_PEOPLE),
            "roc_auc_by_person": ("roc_auc", OVER_PEOPLE),
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
        decision: Any = None,
    ) -> Outcome:
        """Read names of classes, and a probability and a decision value of each class."""
        labels, predicted = (
            self._read_names(values, name)
            for values, name in zip((y_true, y_pred), names, strict=True)
        )
        check_consistent_length(labels, predicted)
        if decision is not None:
            decision = read_decision(decision, (len(labels), len(self.classes)))
        probability = self._read_probabilities(probability, len(labels))
        return Outcome(labels, predicted, probability, decision)

    def _read_names(self, values: Sequence[Any] | np.ndarray | pd.Series, what: str) -> np.ndarray:
        labels = pd.Series(values, dtype=object)
        codes = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(labels, dtype=object))
        if (codes < 0).any():
            unknown = labels.to_numpy()[codes < 0][0]
            raise ValueError(f"{what} holds {unknown!r}, but the classes are {list(self.classes)}.")
        return codes

    def _read_probabilities(
        self, probability: Iterable[Any] | None, n_trials: int
    ) -> np.ndarray | None:
        if probability is None:
            return None
        rows = list(probability)
        if any(row is None or np.isnan(row).any() for row in rows):
            return None
        values = np.array(rows, dtype=np.float64)
        if values.shape != (n_trials, len(self.classes)):
            raise ValueError(
                f"probability must have one value for each of {len(self.classes)} classes and each "
                f"of {n_trials} trials, got shape {values.shape}."
            )
        if values.min() < 0 or values.max() > 1:
            raise ValueError("probability must be in [0, 1].")
        return values

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Return confusion matrices, and pairs and errors of probabilities."""
        labels, predicted, probability, decision = outcome
        n_classes = len(self.classes)
        return sum_many_classes(
            labels, predicted, probability, unit, n_classes, decision=decision, across=across
        )

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Return scores of classifications, with the recall of each class."""
        return score_many_classes(sums, self.recalls)

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return predictions that are indices of classes; else raise ValueError."""
        return _check_classes(predicted, labels, len(self.classes))

    def decode(self, labels: np.ndarray) -> np.ndarray:
        """Return the names of the classes."""
        return np.array([*self.classes, None], dtype=object)[labels]

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Return the share of the largest class."""
        return {"majority_rate": pd.Series(labels).value_counts(normalize=True).max()}

    def say_labels(self, row: pd.Series) -> str:
        """Return a clause with the number of classes and the share of the largest class."""
        return f"{round(1 / row['chance'])} classes, majority class {row['majority_rate']:.3f}"


class Regression(Task):
    """One number for each trial, such as a rating."""

    name = "regression"
    estimator_type = "regressor"
    predictor = "regressor"
    asks = f"with thresholds={NUMBERS!r} ratings stay numbers: use regressors"
    tested = "concordance_correlation"
    margin: ClassVar[float] = 0.1
    chance_row = "mean"
    stimulus_row = "stimulus-mean"
    chance: float = 0.0
    scores: tuple[str, ...] = OF_NUMBERS
    stored: tuple[str, ...] = OF_NUMBERS
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
    reported: tuple[tuple[str, str, str], ...] = tuple(
        (title, name, of)
        for name, short in zip(OF_NUMBERS, ("CCC", "Pearson", "RMSE"), strict=True)
        for title, of in ((short, POOLED), ("Mean over people", OVER_PEOPLE))
    )

    def read(
        self,
        y_true: Any,
        y_pred: Any,
        probability: Any = None,
        names: tuple[str, str] = ("y_true", "y_pred"),
        decision: Any = None,
    ) -> Outcome:
        """Read finite numbers."""
        true, predicted = read_numbers(y_true, names[0]), read_numbers(y_pred, names[1])
        check_consistent_length(true, predicted)
        return Outcome(true, predicted)

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Return sums of numbers, squares and products."""
        return sum_numbers(outcome.labels, outcome.predicted, unit)

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Return scores of numerical predictions."""
        return score_numbers(sums)

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return predictions that are finite numbers; else raise ValueError."""
        numeric = predicted.dtype.kind in "biuf"
        if predicted.shape != labels.shape or not numeric or not np.isfinite(predicted).all():
            raise ValueError(
                f"predict returned shape {predicted.shape} and the values {_first(predicted)} for "
                f"the ratings of {len(labels)} trials. Use a regressor."
            )
        return predicted.astype(np.float64)

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Return mean and standard deviation."""
        return {"rating_mean": labels.mean(), "rating_sd": labels.std(ddof=1)}

    def say_labels(self, row: pd.Series) -> str:
        """Return a clause with mean and standard deviation."""
        return f"ratings {row['rating_mean']:.2f}, standard deviation {row['rating_sd']:.2f}"


class SequenceRegression(Task):
    """A series of numbers of any length for each trial; NaN steps are masked and do not count.

    ``concordance_correlation``, ``pearson`` and ``rmse`` are scores of all concatenated steps. With
    ``_per_sequence`` they are means of the scores of the sequences in which they are defined.
    """

    name = "sequence-regression"
    estimator_type = "regressor"
    predictor = "sequence regressor"
    asks = "the targets are series: use sequence regressors"
    has_lengths = True
    tested = "concordance_correlation"
    margin: ClassVar[float] = 0.1
    order_row = "step-mean"
    chance_row = "mean"
    stimulus_row = "stimulus-mean"
    chance: float = 0.0
    scores: tuple[str, ...] = (*OF_NUMBERS, *(name + PER_SEQUENCE for name in OF_NUMBERS))
    stored: tuple[str, ...] = scores
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
    reported: tuple[tuple[str, str, str], ...] = (
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
        decision: Any = None,
    ) -> Outcome:
        """Read a series for each trial; a prediction must have the length of its label."""
        true, predicted = read_series(y_true, names[0]), read_series(y_pred, names[1])
        check_consistent_length(true, predicted)
        for i, (label, series) in enumerate(zip(true, predicted, strict=True)):
            if len(label) != len(series) or np.isnan(series).any():
                raise ValueError(
                    f"{names[1]}: trial {i} has {len(series)} steps, {np.isnan(series).sum()} of "
                    f"them NaN. {names[0]} has {len(label)} steps, and all must be predicted."
                )
        return Outcome(true, predicted)

    def sum_up(self, outcome: Outcome, unit: np.ndarray, across: bool = True) -> Sums:
        """Return sums over steps, and over the scores of sequences."""
        true, predicted, trial = join_steps(outcome)
        return sum_series(true, predicted, trial, unit)

    def score(self, sums: Sums) -> dict[str, np.ndarray]:
        """Return scores of all steps, and mean scores of sequences."""
        per_sequence = {
            name + PER_SEQUENCE: divide(sums[f"{name}_sum"], sums[f"{name}_n"])
            for name in OF_NUMBERS
        }
        return score_numbers(sums) | per_sequence

    def check_predicted(self, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return predictions that are finite series of the labels' lengths; else raise."""
        if len(predicted) != len(labels):
            raise ValueError(
                f"predict returned {len(predicted)} series for {len(labels)} trials. Use a "
                "sequence regressor."
            )
        checked = np.empty(len(labels), dtype=object)
        for i, (cell, label) in enumerate(zip(predicted, labels, strict=True)):
            series = np.asarray(cell)
            numeric = series.dtype.kind in "biuf"
            if series.shape != label.shape or not numeric or not np.isfinite(series).all():
                raise ValueError(
                    f"predict returned shape {series.shape} and the values {_first(series)} for "
                    f"trial {i} of the fold, whose label has {len(label)} steps. A sequence "
                    "regressor must return one finite number for each step."
                )
            checked[i] = series.astype(np.float64)
        return checked

    def stratify(self, labels: np.ndarray) -> None:
        """Return None, since series have no classes to stratify by."""

    def tell_lengths(self, trials: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
        """Return the trials with a column ``n_steps``, the length of each series."""
        return trials.assign(n_steps=[len(series) for series in labels])

    def describe_labels(self, labels: np.ndarray) -> dict[str, float]:
        """Return number of steps, mean and standard deviation."""
        steps = np.concatenate(labels)
        steps = steps[~np.isnan(steps)]
        return {"n_steps": len(steps), "rating_mean": steps.mean(), "rating_sd": steps.std(ddof=1)}

    def say_labels(self, row: pd.Series) -> str:
        """Return a clause with the number of steps, their mean and standard deviation."""
        return (
            f"{row['n_steps']:.0f} steps, {row['rating_mean']:.2f} on average, standard deviation "
            f"{row['rating_sd']:.2f}"
        )


TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Binary, Multiclass, Regression, SequenceRegression)
}


def make_task(name: str, classes: Sequence[Any] = ()) -> Task:
    """Return the task with this name.

    Parameters
    ----------
    name : str
        Name in the store, such as "binary".
    classes : sequence, default=()
        The classes of a multiclass task.

    Returns
    -------
    Task
        A new object.
    """
    return Multiclass(classes) if name == Multiclass.name else TASKS[name]()


def find_task(tables: Sequence[Mapping[str, pd.Series]]) -> Task:
    """Return the task of one case from its tables of predictions.

    Parameters
    ----------
    tables : sequence of DataFrame, or of mapping of column to Series
        The predictions of each pipeline of the case. The column ``task`` has the task. Without this
        column, arrays are series; labels with threshold "none" and floats are numbers; 0 and 1 are
        two classes; other labels are three or more classes.

    Returns
    -------
    Task
        The classes of a multiclass task are all labels and predictions of all trials.
    """
    first = tables[0]
    name = first["task"].iloc[0] if "task" in first else _guess(first)
    if name != Multiclass.name:
        return make_task(name)
    values = [table[column] for table in tables for column in ("label", "predicted")]
    return Multiclass(name_classes(pd.concat(values)))


def name_classes(labels: pd.Series) -> list[Any]:
    """Return the sorted classes of labels.

    Parameters
    ----------
    labels : Series
        Labels, or labels and predictions.

    Returns
    -------
    list
        The different values, sorted.
    """
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
    """Return labels, predictions and trials of all unmasked steps, concatenated."""
    trial = np.repeat(np.arange(len(outcome.labels)), [len(series) for series in outcome.labels])
    true = np.concatenate([np.empty(0), *outcome.labels])
    predicted = np.concatenate([np.empty(0), *outcome.predicted])
    counts = ~np.isnan(true)
    return true[counts], predicted[counts], trial[counts]


def read_classes(values: ArrayLike, name: str) -> np.ndarray:
    """Read 0 or 1 for each trial."""
    labels = np.asarray(check_array(values, ensure_2d=False, dtype="numeric", input_name=name))
    if labels.ndim != 1 or not np.isin(labels, [0, 1]).all():
        raise ValueError(f"{name} must be 0 or 1 for each trial.")
    return labels.astype(np.int64)


def read_numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Read one finite number for each trial."""
    numbers = np.asarray(check_array(values, ensure_2d=False, dtype=np.float64, input_name=name))
    if numbers.ndim != 1:
        raise ValueError(f"{name} must have one number for each trial, got shape {numbers.shape}.")
    return numbers


def read_series(values: Iterable[Any], name: str) -> np.ndarray:
    """Read one series of numbers for each trial, as an object array of 1-D float arrays."""
    cells = list(values)
    read: np.ndarray = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        series = np.asarray(cell, dtype=np.float64)
        if series.ndim != 1:
            raise ValueError(
                f"{name} must have one series of numbers for each trial, but trial {i} has shape "
                f"{series.shape}."
            )
        if np.isinf(series).any():
            raise ValueError(f"{name}: trial {i} has an infinite step. Use NaN to mask a step.")
        read[i] = series
    return read


def read_probability(values: ArrayLike, n_trials: int) -> np.ndarray | None:
    """Read a probability of 1 for each trial; return None if any is missing."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n_trials,):
        raise ValueError(
            f"probability must have the probability of 1 for each of {n_trials} trials, got "
            f"shape {values.shape}."
        )
    if np.isnan(values).any():
        return None
    if values.min() < 0 or values.max() > 1:
        raise ValueError("probability must be in [0, 1].")
    return values


def read_decision(values: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Read decision values, a number or an array for each trial; return None if any is missing."""
    rows = list(values)
    if any(row is None or np.isnan(row).any() for row in rows):
        return None
    decision = np.array(rows, dtype=np.float64)
    if decision.shape != shape:
        raise ValueError(f"decision must have the shape {shape}, got {decision.shape}.")
    return decision


def _check_classes(predicted: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    if predicted.shape != labels.shape or not np.isin(predicted, range(n_classes)).all():
        known = "0 and 1" if n_classes == 2 else f"0 to {n_classes - 1}"
        raise ValueError(
            f"predict returned shape {predicted.shape} and the values {_first(predicted)} for "
            f"{len(labels)} trials of the classes {known}. Use a classifier."
        )
    return predicted.astype(np.int64)


def _first(values: np.ndarray) -> np.ndarray:
    """Return the first five different values, for a message."""
    return pd.unique(values.ravel())[:5] if values.dtype == object else np.unique(values)[:5]
