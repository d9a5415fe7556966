"""Prediction sets whose coverage holds for people who are not in the data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from edaemo._saved import saved
from edaemo._sklearn import AnyEstimator
from edaemo._validation import check_predicted, whole_or_nothing
from edaemo.estimators._aside import choose_people
from edaemo.estimators._by_person import ByPersonClassifier

_ROUNDING = 1e-12  # a sum of weights that is closer to the level has reached it


@saved(
    "edaemo.estimators.ConformalByPerson",
    "estimator_",
    "classes_",
    "quantile_",
    "n_calibration_people_",
    "n_features_in_",
    "feature_names_in_",
)
class ConformalByPerson(ByPersonClassifier):
    """Predict a set of classes that contains the true class of a new person's trial.

    Trials of one person resemble each other. Conformal prediction that counts trials treats 40
    trials of each of ten people as 400 independent observations, and its sets cover too few trials
    of new people. Here the people are the units. Some people are set aside for calibration, and the
    classifier is trained on the others. The score of a trial is one minus the probability of its
    class [2]_. The set of a new trial holds the classes whose score is at most ``quantile_``.

    Parameters
    ----------
    estimator : classifier
        Classifier with `predict_proba`. It is cloned and fitted. A fitted classifier in a
        ``sklearn.frozen.FrozenEstimator`` is not fitted again; the people in `fit` must then be
        others than those it was trained on.
    coverage : float, default=0.9
        Share of the trials whose set must contain their class.
    person_share : float or None, default=None
        None: the share holds on average over new people. A person who is hard to predict may have
        less. A number such as 0.8: at least the share `coverage` of the trials of a new person is
        covered, with this probability over people. The sets are larger.
    calibration_fraction : float or None, default=0.5
        Share of the people who are set aside for calibration. None: all people, which needs a
        FrozenEstimator.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of these people.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    quantile_ : float
        Largest score of a class in a set; infinite if there are too few people for calibration.
    n_calibration_people_ : int
        Number of people in calibration.
    n_features_in_ : int
        Number of columns seen in `fit`, if the classifier has it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if the classifier has them.

    Notes
    -----
    **Average coverage.** Person k of K has N_k trials. Each score has the weight 1 / ((K + 1) N_k),
    infinity has the weight 1 / (K + 1), and ``quantile_`` is the quantile of this distribution at
    `coverage`. This is the method HCP of [1]_. The guarantee, a probability
    of at least `coverage` that the set of a trial of a new person contains its class, holds if the
    people are exchangeable, and the trials within each person too. With one trial for each person
    it is split conformal prediction.

    **Coverage of a person.** With `person_share`, the score of a person is the smallest number
    which at least the share `coverage` of this person's scores does not exceed, and ``quantile_``
    is the split conformal quantile of these scores of people at `person_share`. People must be
    exchangeable; the trials within a person need not be.

    At least ``1 / (1 - coverage) - 1`` people are needed for calibration, nine for 0.9. For a
    coverage of a person it is ``1 / (1 - person_share) - 1``. With fewer, every set holds all
    classes, and `fit` warns.

    Neither guarantee holds if `fit` sees a person under two ids, or if a new person is of another
    population than the people in `fit`.

    References
    ----------
    .. [1] Y. Lee, R. F. Barber, R. Willett, "Distribution-free inference with hierarchical data",
       arXiv:2306.06342 (2023). See also R. Dunn, L. Wasserman, A. Ramdas, "Distribution-free
       prediction sets for two-layer hierarchical models", Journal of the American Statistical
       Association 118 (2023), 2491-2502.
    .. [2] M. Sadinle, J. Lei, L. Wasserman, "Least ambiguous set-valued classifiers with bounded
       error levels", Journal of the American Statistical Association 114 (2019), 223-234.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> person, label = np.repeat(np.arange(40), 10), rng.integers(0, 2, 400)
    >>> X = label[:, None] + rng.normal(size=(400, 1)) + rng.normal(size=(40, 1))[person]
    >>> model = ConformalByPerson(LogisticRegression(), coverage=0.8, random_state=0)
    >>> sets = model.fit(X, label, subject=person).predict_set(X[:2])
    >>> sets.shape  # a column for each class
    (2, 2)
    """

    estimator_: Any
    classes_: np.ndarray
    quantile_: float
    n_calibration_people_: int

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "coverage": [Interval(Real, 0, 1, closed="neither")],
        "person_share": [Interval(Real, 0, 1, closed="neither"), None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: AnyEstimator,
        *,
        coverage: float = 0.9,
        person_share: float | None = None,
        calibration_fraction: float | None = 0.5,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.coverage = coverage
        self.person_share = person_share
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: object, y: object, *, subject: Sequence[Any] | None = None) -> Self:
        """Train on some people, and calibrate the sets on the others.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            Input of the classifier.
        y : array-like of shape (n_trials,)
            Class labels, all of the same type.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial; None uses the column or index level ``subject`` of X.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If subjects are unknown or missing, there is only one subject, a label is missing, X and
            y differ in length, or `calibration_fraction` and `estimator` do not fit together.

        Warns
        -----
        UserWarning
            If there are too few people for calibration, so that every set holds all classes.
        """
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        if is_frozen != (self.calibration_fraction is None):
            raise ValueError(
                "calibration_fraction=None needs a fitted classifier in a FrozenEstimator, and a "
                "FrozenEstimator needs calibration_fraction=None, so that all people calibrate."
            )
        with whole_or_nothing(self):
            X, labels, people = self._read_training(X, y, subject)
            calibrating = self._choose_people(people)
            rows = np.flatnonzero(calibrating if is_frozen else ~calibrating)
            self.estimator_ = self._fit_on(clone(self.estimator), X, labels, people, rows)
            self.classes_ = np.asarray(self.estimator_.classes_)
            self._take_input(self.estimator_)
            held_out = np.flatnonzero(calibrating)
            scores = self._score(X, labels, people, held_out)
            self.quantile_ = self._calibrate(scores, people[held_out])
        return self

    def _choose_people(self, people: np.ndarray) -> np.ndarray:
        """Mark the trials of the people in calibration."""
        if self.calibration_fraction is None:
            return np.ones(len(people), dtype=bool)
        seed = int(check_random_state(self.random_state).randint(2**31))
        return choose_people(
            people, self.calibration_fraction, seed, parameter="calibration_fraction"
        )

    def _score(
        self, X: object, labels: np.ndarray, people: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the score of each trial; infinity if training did not contain its class."""
        probability = self.predict_proba(_safe_indexing(X, rows), subject=people[rows])
        column = pd.Index(self.classes_).get_indexer(pd.Index(labels[rows]))
        scores = 1 - probability[np.arange(len(rows)), column]
        return np.where(column < 0, np.inf, scores)

    def _calibrate(self, scores: np.ndarray, people: np.ndarray) -> float:
        """Return the largest score of a class in a set; warn if it is infinite."""
        codes, names = pd.factorize(people)
        self.n_calibration_people_ = len(names)
        coverage = level = float(self.coverage)
        if self.person_share is not None:
            level = float(self.person_share)
            scores = np.array(
                [_share_below(scores[codes == k], coverage) for k in range(len(names))]
            )
            codes = np.arange(len(names))
        quantile = quantile_by_person(scores, codes, level)
        if quantile == np.inf:
            warnings.warn(
                f"{len(names)} people are in calibration. A level of {level} needs at least "
                f"{ceil(1 / (1 - level) - 1 - _ROUNDING)} people, and their classes in training: "
                "every set holds all classes. Use more people or a lower level.",
                UserWarning,
                stacklevel=3,
            )
        return quantile

    def predict_set(self, X: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Return the set of classes of each trial.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial, for a classifier that requests it; the sets do not depend on it.

        Returns
        -------
        ndarray of bool of shape (n_trials, n_classes)
            Whether the set holds each class of `classes_`. A set may be empty: then no class is as
            probable as the classes of the people in calibration were.
        """
        probability = self.predict_proba(X, subject=subject)
        check_predicted(X, np.isfinite(probability).all(axis=1))
        return 1 - probability <= self.quantile_

    def predict_proba(self, X: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Return the probability of each class, as the classifier predicts it.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            As in `predict_set`.

        Returns
        -------
        ndarray of shape (n_trials, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        params = self._routed("predict_proba", "predict_proba", subject)
        return np.asarray(self.estimator_.predict_proba(X, **params))


def quantile_by_person(scores: np.ndarray, people: np.ndarray, level: float) -> float:
    """Return the quantile of scores in which each of K people and infinity have one weight.

    Parameters
    ----------
    scores : ndarray of shape (n_trials,)
        Score of each trial.
    people : ndarray of int of shape (n_trials,)
        Code of the person of each trial, from 0 to K - 1.
    level : float
        Share of the weight that the scores up to the quantile have.

    Returns
    -------
    float
        The smallest such score. Infinity if the weights of all scores are less than `level`.
    """
    n_trials = np.bincount(people)
    weights = 1 / ((len(n_trials) + 1) * n_trials[people])
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) >= level - _ROUNDING
    return float(scores[order][np.argmax(reached)]) if reached.any() else np.inf


def _share_below(scores: np.ndarray, share: float) -> float:
    """Return the smallest score that at least this share of the scores does not exceed."""
    return float(np.sort(scores)[ceil(share * len(scores) - _ROUNDING) - 1])
