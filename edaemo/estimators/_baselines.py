"""Baselines that use no EDA.

A score that is not above these baselines is not evidence for information in skin conductance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context, clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import _check_n_features, _check_y, check_is_fitted

from edaemo._saved import saved
from edaemo._sklearn import AnyEstimator, BaseEstimator, ClassifierMixin, RegressorMixin
from edaemo._validation import check_labels, find_ids, name_trial, read_rows, whole_or_nothing


def make_trial_order_baseline(*, random_state: int | None = None) -> Pipeline:
    """Make a baseline that uses only the trial order.

    The baseline is a decision tree on the column ``trial`` of a trials table. Each leaf holds at
    least one twentieth of the training trials.

    Parameters
    ----------
    random_state : int or None
        Seed of the tree. It has no effect, because the tree has one column only.

    Returns
    -------
    Pipeline
        Steps ``place`` and ``tree``.
    """
    return tree_on("trial", "place", _make_tree(random_state))


def make_trial_order_reversed() -> Pipeline:
    """Make a baseline that predicts the opposite of the baseline on the trial order.

    In a study with several orders of its conditions, the training people may have another order
    than most test people. A pipeline must therefore be above the rule in both directions.

    Returns
    -------
    Pipeline
        Steps ``place`` and ``opposite``.
    """
    select = make_column_transformer(("passthrough", ["trial"]))
    return Pipeline([("place", select), ("opposite", OppositeClassifier(_make_tree(0)))])


def make_duration_baseline(*, random_state: int | None = None) -> Pipeline:
    """Make a baseline that uses only the duration of the whole trial.

    The baseline is a decision tree on the column ``duration`` of a trials table, in seconds. Each
    leaf holds at least one twentieth of the training trials.

    Parameters
    ----------
    random_state : int or None
        Seed of the tree. It has no effect, because the tree has one column only.

    Returns
    -------
    Pipeline
        Steps ``duration`` and ``tree``.
    """
    return tree_on("duration", "duration", _make_tree(random_state))


LEAST_LEAF = 0.05  # minimum share of the training trials in a leaf


def _make_tree(random_state: int | None) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(min_samples_leaf=LEAST_LEAF, random_state=random_state)


def tree_on(column: str, step: str, tree: AnyEstimator) -> Pipeline:
    """Return a pipeline that fits a tree on one column of the trials table.

    Parameters
    ----------
    column : str
        Name of the column.
    step : str
        Name of the step that selects the column.
    tree : estimator
        A decision tree.

    Returns
    -------
    Pipeline
        Steps `step` and ``tree``.
    """
    select = make_column_transformer(("passthrough", [column]))
    return Pipeline([(step, select), ("tree", tree)])


@saved("edaemo.estimators.OppositeClassifier", "estimator_", "classes_")
class OppositeClassifier(ClassifierMixin, BaseEstimator):
    """Predict the class that another classifier finds least likely; of two classes, the other one.

    Parameters
    ----------
    estimator : classifier
        Classifier with ``predict_proba``.

    Attributes
    ----------
    estimator_ : classifier
        The fitted copy of `estimator`.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    """

    estimator_: Any
    classes_: np.ndarray
    _parameter_constraints: dict[str, Any] = {"estimator": [HasMethods("fit")]}  # noqa: RUF012

    def __init__(self, estimator: AnyEstimator) -> None:
        self.estimator = estimator

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: object, y: object) -> Self:
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_features)
            As `estimator` takes it.
        y : array-like of shape (n_trials,)
            The classes.

        Returns
        -------
        self
            The fitted classifier.
        """
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: object) -> np.ndarray:
        """Return the least likely class of each row.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_features)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials,)
            The classes.
        """
        check_is_fitted(self)
        return self.classes_[np.argmin(self.estimator_.predict_proba(X), axis=1)]


class _Keyed(BaseEstimator):
    """Base class of models that use only the subject or only the stimulus of a trial.

    Subclasses set `_key` to ``"subject"`` or ``"stimulus"``.
    """

    _key: str
    n_features_in_: int
    feature_names_in_: np.ndarray
    _parameter_constraints: dict[str, Any] = {}  # noqa: RUF012

    def _keys(self, X: object, *, reset: bool) -> np.ndarray:
        """Return the stimulus or the subject of each row."""
        keys = find_ids(self._key, X)
        if keys is None:
            rows = np.ascontiguousarray(read_rows(self, X, reset=reset)) + 0.0  # -0.0 is 0.0
            return np.array([row.tobytes() for row in rows], dtype=object)
        _check_n_features(self, X, reset=reset)
        return keys


class _PriorClassifier(ClassifierMixin, _Keyed):
    """A classifier that predicts the class shares of each stimulus or subject."""

    classes_: np.ndarray
    class_prior_: np.ndarray
    prior_: pd.DataFrame

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object) -> Self:
        """Count the classes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            A frame with a column or an index level ``stimulus`` (for SubjectPriorClassifier
            ``subject``). In any other input, equal rows count as the same stimulus or subject.
        y : array-like of shape (n_trials,)
            Class labels, all of the same type. If y has one class only, that class is always
            predicted.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If X and y differ in length, if a stimulus, a subject or a label is missing, or if y
            does not hold class labels.
        """
        with whole_or_nothing(self):
            keys = self._keys(X, reset=True)
            y = check_labels(self, X, y)
            self.classes_, codes = np.unique(y, return_inverse=True)
            key_codes, known = pd.factorize(pd.Series(keys, dtype=object))
            counts = np.zeros((len(known), len(self.classes_)))
            np.add.at(counts, (key_codes, codes), 1)
            self.class_prior_ = np.bincount(codes) / len(codes)
            self.prior_ = pd.DataFrame(
                counts / counts.sum(axis=1, keepdims=True), index=known, columns=self.classes_
            )
        return self

    def predict_proba(self, X: object) -> np.ndarray:
        """Return the share of each class.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        keys = self._keys(X, reset=False)
        shares = np.vstack([self.prior_.to_numpy(), self.class_prior_])
        return shares[self.prior_.index.get_indexer(pd.Index(keys, dtype=object))]

    def predict(self, X: object) -> np.ndarray:
        """Return the most probable class of each trial.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials,)
            Labels of the type of `classes_`.
        """
        shares = self.predict_proba(X)
        among_best = shares == shares.max(axis=1, keepdims=True)
        return self.classes_[np.argmax(among_best * self.class_prior_, axis=1)]


@saved(
    "edaemo.benchmark.StimulusPriorClassifier",
    "classes_",
    "class_prior_",
    "prior_",
    "n_features_in_",
    "feature_names_in_",
)
class StimulusPriorClassifier(_PriorClassifier):
    """Predict the class from the training labels of the same stimulus.

    The probability of a class is its share among the training trials of the stimulus. For a
    stimulus without training trials, it is the share among all training trials. If classes are
    equally probable, the class that is more frequent in training is predicted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_prior_ : ndarray of shape (n_classes,)
        Share of each class among all training trials.
    prior_ : DataFrame of shape (n_stimuli, n_classes)
        Share of each class by stimulus.
    n_features_in_ : int
        Number of columns seen in `fit`.
    """

    _key = "stimulus"


@saved(
    "edaemo.benchmark.SubjectPriorClassifier",
    "classes_",
    "class_prior_",
    "prior_",
    "n_features_in_",
    "feature_names_in_",
)
class SubjectPriorClassifier(_PriorClassifier):
    """Predict the class from the training labels of the same subject.

    The probability of a class is its share among the subject's training trials. For a subject
    without training trials, it is the share among all training trials. If whole subjects are held
    out, the prediction is therefore the same for every trial. If classes are equally probable, the
    class that is more frequent in training is predicted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_prior_ : ndarray of shape (n_classes,)
        Share of each class among all training trials.
    prior_ : DataFrame of shape (n_subjects, n_classes)
        Share of each class by subject.
    n_features_in_ : int
        Number of columns seen in `fit`.
    """

    _key = "subject"


class _MeanRegressor(RegressorMixin, _Keyed):
    """A regressor that predicts the mean rating of each stimulus or subject."""

    mean_: float
    means_: pd.Series

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object) -> Self:
        """Average the ratings.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            A frame with a column or an index level ``stimulus`` (for SubjectMeanRegressor
            ``subject``). In any other input, equal rows count as the same stimulus or subject.
        y : array-like of shape (n_trials,)
            Ratings.

        Returns
        -------
        self
            The fitted regressor.

        Raises
        ------
        ValueError
            If X and y differ in length, if a stimulus or a subject is missing, or if a rating is
            missing or not a number.
        """
        with whole_or_nothing(self):
            keys = self._keys(X, reset=True)
            ratings = _check_y(y, y_numeric=True, estimator=self)
            check_consistent_length(keys, ratings)
            self.mean_ = float(np.mean(ratings))
            by_key = pd.Series(ratings, dtype=float).groupby(pd.Series(keys, dtype=object))
            self.means_ = by_key.mean()
        return self

    def predict(self, X: object) -> np.ndarray:
        """Return the mean rating of each trial's stimulus or subject.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials,)
            The mean ratings.
        """
        check_is_fitted(self)
        keys = self._keys(X, reset=False)
        means = np.append(self.means_.to_numpy(), self.mean_)
        return means[self.means_.index.get_indexer(pd.Index(keys, dtype=object))]


@saved(
    "edaemo.benchmark.StimulusMeanRegressor",
    "mean_",
    "means_",
    "n_features_in_",
    "feature_names_in_",
)
class StimulusMeanRegressor(_MeanRegressor):
    """Predict the mean training rating of the same stimulus.

    For a stimulus without training trials, the prediction is the mean of all training trials.

    Attributes
    ----------
    mean_ : float
        Mean of all training trials.
    means_ : Series of shape (n_stimuli,)
        Mean by stimulus.
    n_features_in_ : int
        Number of columns seen in `fit`.
    """

    _key = "stimulus"


@saved(
    "edaemo.benchmark.SubjectMeanRegressor",
    "mean_",
    "means_",
    "n_features_in_",
    "feature_names_in_",
)
class SubjectMeanRegressor(_MeanRegressor):
    """Predict the mean training rating of the same subject.

    For a subject without training trials, the prediction is the mean of all training trials. If
    whole subjects are held out, the prediction is therefore the same for every trial.

    Attributes
    ----------
    mean_ : float
        Mean of all training trials.
    means_ : Series of shape (n_subjects,)
        Mean by subject.
    n_features_in_ : int
        Number of columns seen in `fit`.
    """

    _key = "subject"


@saved("edaemo.estimators.SeriesMeanRegressor", "mean_", "means_")
class SeriesMeanRegressor(RegressorMixin, BaseEstimator):
    """Predict a mean series of the training trials.

    Parameters
    ----------
    by : {None, "step", "stimulus"}, default=None
        None: predict the mean of all steps at every step. "step": predict, at each step, the mean
        of the training series that have this step. "stimulus": the same, over the training trials
        of the same stimulus. A step without training data gets the mean of all steps.

    Attributes
    ----------
    mean_ : float
        Mean of all steps.
    means_ : dict
        The mean series: empty if `by` is None, under the key "all" if `by` is "step", and by
        stimulus if `by` is "stimulus".
    """

    mean_: float
    means_: dict[Any, np.ndarray]

    _parameter_constraints: dict[str, Any] = {"by": [StrOptions({"step", "stimulus"}), None]}  # noqa: RUF012

    def __init__(self, by: str | None = None):
        self.by = by

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Average the series.

        Parameters
        ----------
        X : DataFrame with n_trials rows
            With a column or an index level ``stimulus`` if `by` is "stimulus".
        y : ndarray of shape (n_trials,)
            A 1-D float array for each trial. Steps that are NaN are ignored.

        Returns
        -------
        self
            The fitted regressor.

        Raises
        ------
        ValueError
            If X and y differ in length, if all steps are NaN, or if the stimulus of a trial is
            missing.
        """
        check_consistent_length(X, y)
        steps = np.concatenate([np.asarray(series, dtype=float) for series in y])
        if np.isnan(steps).all():
            raise ValueError(
                "All steps of all series are NaN: pass at least one series with a number."
            )
        with whole_or_nothing(self):
            self.mean_ = float(np.nanmean(steps))
            groups = pd.Series(list(y), dtype=object).groupby(self._keys(X), sort=False)
            self.means_ = {} if self.by is None else {k: _mean_series(g) for k, g in groups}
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the mean series.

        Parameters
        ----------
        X : DataFrame with n_trials rows
            As in `fit`, with a column ``n_steps``, the length of each predicted series.

        Returns
        -------
        ndarray of shape (n_trials,)
            A 1-D float array for each trial.

        Raises
        ------
        ValueError
            If X has no column ``n_steps``.
        """
        check_is_fitted(self)
        if "n_steps" not in X:
            raise ValueError("X has no column n_steps: add the length of each predicted series.")
        predicted = np.empty(len(X), dtype=object)
        for i, (key, n_steps) in enumerate(zip(self._keys(X), X["n_steps"], strict=True)):
            series = np.full(n_steps, self.mean_)
            known = self.means_.get(key, series)[:n_steps]
            series[: len(known)] = np.where(np.isnan(known), self.mean_, known)
            predicted[i] = series
        return predicted

    def _keys(self, X: pd.DataFrame) -> np.ndarray:
        """Return the key of each trial's mean series: "all" or the stimulus."""
        if self.by != "stimulus":
            return np.full(len(X), "all", dtype=object)
        return find_ids("stimulus", X, needed_by='by="stimulus"')


def _mean_series(series: pd.Series) -> np.ndarray:
    """Average series of different lengths at each step; NaN where no series has a number."""
    padded = np.full((len(series), max(map(len, series))), np.nan)
    for row, cell in zip(padded, series, strict=True):
        row[: len(cell)] = cell
    n = (~np.isnan(padded)).sum(axis=0)
    return np.divide(np.nansum(padded, axis=0), n, out=np.full(len(n), np.nan), where=n > 0)


@saved("edaemo.estimators.StepwiseRegressor", "estimator_", "n_features_in_")
class StepwiseRegressor(RegressorMixin, BaseEstimator):
    """Predict each step of a trial from the features of this step alone.

    Parameters
    ----------
    estimator : regressor
        A regressor of rows of features. It is trained on the labelled steps of all trials.
    columns : sequence of str
        Columns of the trials table. Each cell has the shape (n_steps, n_features). The features of
        all columns are joined.

    Attributes
    ----------
    estimator_ : regressor
        The fitted copy of `estimator`.
    n_features_in_ : int
        Number of features of a step.
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "predict"])],
        "columns": ["array-like"],
    }
    estimator_: Any
    n_features_in_: int

    def __init__(self, estimator: Any, columns: Sequence[str]) -> None:
        self.estimator = estimator
        self.columns = columns

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Fit the regressor to all labelled steps.

        Parameters
        ----------
        X : DataFrame with n_trials rows
            Table with the columns `columns`.
        y : ndarray of shape (n_trials,)
            A 1-D float array for each trial. Steps that are NaN are not used.

        Returns
        -------
        self
            The fitted regressor.

        Raises
        ------
        ValueError
            If a column is missing, or the features and the labels of a trial differ in length.
        """
        check_consistent_length(X, y)
        trials = self._read(X)
        for row, (steps, series) in enumerate(zip(trials, y, strict=True)):
            if len(steps) != len(series):
                raise ValueError(
                    f"{name_trial(X, row)}: the features have {len(steps)} steps, the labels "
                    f"{len(series)}."
                )
        rows = np.concatenate(trials)
        labels = np.concatenate([np.asarray(series, dtype=float) for series in y])
        labelled = ~np.isnan(labels)
        with whole_or_nothing(self):
            self.n_features_in_ = rows.shape[1]
            self.estimator_ = clone(self.estimator).fit(rows[labelled], labels[labelled])
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the prediction for each step.

        Parameters
        ----------
        X : DataFrame with n_trials rows
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials,)
            A 1-D float array for each trial.
        """
        check_is_fitted(self)
        trials = self._read(X)
        predicted = np.empty(len(trials), dtype=object)
        predicted[:] = [np.asarray(self.estimator_.predict(steps)) for steps in trials]
        return predicted

    def _read(self, X: pd.DataFrame) -> list[np.ndarray]:
        """Return the joined features of each trial, shape (n_steps, n_features)."""
        missing = [name for name in self.columns if name not in X.columns]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r}: it has {list(X.columns)}.")
        return [
            np.concatenate(cells, axis=1)
            for cells in zip(*(X[c] for c in self.columns), strict=True)
        ]
