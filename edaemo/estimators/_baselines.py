"""What needs no EDA at all: a score below these says nothing about skin conductance."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.compose import make_column_transformer
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_n_features, _check_y, check_is_fitted

from edaemo._saved import saved
from edaemo._validation import check_labels, find_ids, read_rows, whole_or_nothing


def make_trial_order_baseline(*, random_state: int | None = None) -> Pipeline:
    """Make the baseline that knows the trial's place in the session and nothing else.

    A decision tree on the column ``trial`` of a trials table, each leaf at least one twentieth of
    the training trials.

    Parameters
    ----------
    random_state : int or None
        Of the tree; with a single column it decides nothing.

    Returns
    -------
    Pipeline
        Steps ``place`` and ``tree``.
    """
    return tree_on("trial", "place", _classify(random_state))


def make_duration_baseline(*, random_state: int | None = None) -> Pipeline:
    """Make the baseline that knows how long the whole trial lasted and nothing else.

    A decision tree on the column ``duration`` of a trials table, in seconds, each leaf at least one
    twentieth of the training trials.

    Parameters
    ----------
    random_state : int or None
        Of the tree; with a single column it decides nothing.

    Returns
    -------
    Pipeline
        Steps ``duration`` and ``tree``.
    """
    return tree_on("duration", "duration", _classify(random_state))


LEAST_LEAF = 0.05  # of the training trials


def _classify(random_state: int | None) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(min_samples_leaf=LEAST_LEAF, random_state=random_state)


def tree_on(column: str, step: str, tree: BaseEstimator) -> Pipeline:
    """Let a tree see one column of the trials table."""
    place = make_column_transformer(("passthrough", [column]))
    return Pipeline([(step, place), ("tree", tree)])


class _Keyed(BaseEstimator):
    """What knows whose trial it is, or which stimulus, and nothing else; children say which."""

    _key: str
    _parameter_constraints: dict = {}  # noqa: RUF012

    def _keys(self, X: object, *, reset: bool) -> np.ndarray:
        """Give each row's stimulus or subject."""
        keys = find_ids(self._key, X)
        if keys is None:
            rows = np.ascontiguousarray(read_rows(self, X, reset=reset)) + 0.0  # -0.0 is 0.0
            return np.array([row.tobytes() for row in rows], dtype=object)
        _check_n_features(self, X, reset=reset)
        return keys


class _PriorClassifier(ClassifierMixin, _Keyed):
    """A classifier that knows the shares of the classes by one identity."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object) -> Self:
        """Count the classes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            A frame with a column or an index level ``stimulus``; for SubjectPriorClassifier
            ``subject``. In anything else the whole row stands for it.
        y : array-like of shape (n_trials,)
            Class labels of any one type. Where there is one class only, it is always the answer.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X and y differ in length, a stimulus, a subject or a label is missing, or y holds no
            classes.
        """
        with whole_or_nothing(self):
            keys = self._keys(X, reset=True)
            y = check_labels(self, X, y)
            self.classes_, codes = np.unique(y, return_inverse=True)
            which, known = pd.factorize(pd.Series(keys, dtype=object))
            counts = np.zeros((len(known), len(self.classes_)))
            np.add.at(counts, (which, codes), 1)
            self.class_prior_ = np.bincount(codes) / len(codes)
            self.prior_ = pd.DataFrame(
                counts / counts.sum(axis=1, keepdims=True), index=known, columns=self.classes_
            )
        return self

    def predict_proba(self, X: object) -> np.ndarray:
        """Give the share of each class, shape (n_trials, n_classes); X as in `fit`."""
        check_is_fitted(self)
        keys = self._keys(X, reset=False)
        shares = np.vstack([self.prior_.to_numpy(), self.class_prior_])
        return shares[self.prior_.index.get_indexer(pd.Index(keys, dtype=object))]

    def predict(self, X: object) -> np.ndarray:
        """Give the most probable class of each trial, shape (n_trials,); X as in `fit`."""
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
    """Answer with what the people in the training data said of the same stimulus.

    The probability of a class is its share among the training trials of the stimulus; for a
    stimulus that none of them met it is the share among all training trials. Where classes are
    equally probable, the one more frequent in training is predicted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_prior_ : ndarray of shape (n_classes,)
        Shares among all training trials.
    prior_ : DataFrame of shape (n_stimuli, n_classes)
        Shares by stimulus.
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
    """Answer with what the same person said in the training data.

    The probability of a class is its share among the person's training trials; for a person who
    has none it is the share among all training trials, so it knows nothing where whole people are
    held out. Where classes are equally probable, the one more frequent in training is predicted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_prior_ : ndarray of shape (n_classes,)
        Shares among all training trials.
    prior_ : DataFrame of shape (n_people, n_classes)
        Shares by person.
    n_features_in_ : int
        Number of columns seen in `fit`.
    """

    _key = "subject"


class _MeanRegressor(RegressorMixin, _Keyed):
    """A regressor that knows the mean rating by one identity."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object) -> Self:
        """Average the ratings.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            A frame with a column or an index level ``stimulus``; for SubjectMeanRegressor
            ``subject``. In anything else the whole row stands for it.
        y : array-like of shape (n_trials,)
            Ratings.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X and y differ in length, a stimulus or a subject is missing, or a rating is missing
            or no number.
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
        """Give the mean rating, shape (n_trials,); X as in `fit`."""
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
    """Answer with the mean of what the people in the training data said of the same stimulus.

    Of a stimulus that none of them met it is the mean of all training trials.

    Attributes
    ----------
    mean_ : float
        Of all training trials.
    means_ : Series of shape (n_stimuli,)
        By stimulus.
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
    """Answer with the mean of what the same person said in the training data.

    Of a person who has no training trials it is the mean of all, so it knows nothing where whole
    people are held out.

    Attributes
    ----------
    mean_ : float
        Of all training trials.
    means_ : Series of shape (n_people,)
        By person.
    n_features_in_ : int
        Number of columns seen in `fit`.
    """

    _key = "subject"


class SeriesMeanRegressor(RegressorMixin, BaseEstimator):
    """Answer with mean series of the training trials.

    Parameters
    ----------
    by : {None, "step", "stimulus"}, default=None
        None: the mean of all steps, everywhere. "step": at each step the mean of the training
        series that have it. "stimulus": the same of the trials of the same stimulus. Where nothing
        was learnt of a step, the mean of all steps.

    Attributes
    ----------
    mean_ : float
        Of all steps.
    means_ : dict
        The mean series by what it is of: none, of all trials ("all"), or by stimulus.
    """

    _parameter_constraints: dict = {"by": [StrOptions({"step", "stimulus"}), None]}  # noqa: RUF012

    def __init__(self, by: str | None = None):
        self.by = by

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Self:
        """Average the series.

        Parameters
        ----------
        X : DataFrame with n_trials rows
            With a column or an index level ``stimulus`` where `by` says so.
        y : ndarray of shape (n_trials,)
            A 1-D float array for each trial; steps that are NaN do not count.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X and y differ in length, all steps are NaN, or the stimulus of a trial is missing.
        """
        check_consistent_length(X, y)
        steps = np.concatenate([np.asarray(series, dtype=float) for series in y])
        if np.isnan(steps).all():
            raise ValueError("All steps of all series are NaN, so there is nothing to average.")
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
            As in `fit`, with a column ``n_steps``: how long each series is to be.

        Returns
        -------
        ndarray of shape (n_trials,)
            A 1-D float array for each trial.
        """
        check_is_fitted(self)
        predicted = np.empty(len(X), dtype=object)
        for i, (key, n_steps) in enumerate(zip(self._keys(X), X["n_steps"], strict=True)):
            series = np.full(n_steps, self.mean_)
            known = self.means_.get(key, series)[:n_steps]
            series[: len(known)] = np.where(np.isnan(known), self.mean_, known)
            predicted[i] = series
        return predicted

    def _keys(self, X: pd.DataFrame) -> np.ndarray:
        """Give what each trial's series is the mean of."""
        if self.by != "stimulus":
            return np.full(len(X), "all", dtype=object)
        return find_ids("stimulus", X, needed_by='by="stimulus"')


def _mean_series(series: pd.Series) -> np.ndarray:
    """Average series of differing length at each step; NaN where none has a number."""
    padded = np.full((len(series), max(map(len, series))), np.nan)
    for row, cell in zip(padded, series, strict=True):
        row[: len(cell)] = cell
    n = (~np.isnan(padded)).sum(axis=0)
    return np.divide(np.nansum(padded, axis=0), n, out=np.full(len(n), np.nan), where=n > 0)
