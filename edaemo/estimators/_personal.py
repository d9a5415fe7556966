"""A classifier of many people, adapted to a new person by the person's first labelled trials."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import _fit_context, clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from edaemo._ids import name_some
from edaemo._saved import saved
from edaemo._sklearn import UNCHANGED, AnyEstimator, Request
from edaemo._validation import find_ids, signal_cells, trial_order, whole_or_nothing
from edaemo.estimators._by_person import ByPersonClassifier
from edaemo.preprocessing import SubjectStandardizer

_SMALLEST = float(np.finfo(np.float64).eps)  # smallest probability in a logarithm
_MOST = 1000  # upper bound of `weight`: rows are repeated so often


class _Way(NamedTuple):
    """How the model is adapted: a method, and its strength if it has one."""

    method: str
    strength: float | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of PersonalClassifier that select this way alone."""
        of_strength = {"threshold": "prior_sd", "refit": "weight", "update": "weight"}
        chosen: dict[str, Any] = {"method": self.method}
        if self.method in of_strength:
            chosen[of_strength[self.method]] = self.strength
        return chosen


@saved(
    "edaemo.estimators.PersonalClassifier",
    "estimator_",
    "classes_",
    "method_",
    "strength_",
    "losses_",
    "scaler_",
    "offsets_",
    "models_",
    "population_",
    "known_people_",
    "n_features_in_",
    "feature_names_in_",
)
class PersonalClassifier(ByPersonClassifier):
    """Adapt a classifier to each new person by the person's first k labelled trials.

    In `fit`, people with more than k trials train the population model. People with at most k
    trials are new people: their trials adapt the model to them, and do not train the population
    model. `adapt` adds new people later. A prediction for a person without labelled trials is that
    of the population model.

    :class:`edaemo.model_selection.CalibratedSubjectKFold` splits a study in this way: the first k
    trials of each test person are in training, and are never scored. It works with
    ``cross_validate``, searches and :func:`edaemo.benchmark.evaluate`.

    Parameters
    ----------
    estimator : classifier
        Classifier with `predict_proba`. It is cloned.
    k : int, default=5
        Number of labelled trials of a new person, at least 0. With 0, the result is the population
        model.
    method : str, default="choose"
        How the labelled trials adapt the model.

        "population": they do not.

        "threshold": an offset is added to the log odds of the classes. It is the mode of its
        posterior for a normal prior (a random intercept for each person, see Notes).

        "scale": each column (or the signal, if X holds signals) is standardised by mean and
        standard deviation of the person's first k trials
        (:class:`edaemo.preprocessing.SubjectStandardizer`), also in training. This does not use
        the labels, and needs `k` of at least 2.

        "refit": for each new person, the classifier is fitted to the population and to the person's
        trials, which are repeated `weight` times, so that any classifier can be used.

        "update": for each new person, a copy of the population model is trained further on the
        person's trials: a network of edaemo for `weight` epochs (`fine_tune`), another classifier
        by `weight` calls of ``partial_fit``. In a pipeline, the last step is trained.

        "choose": inner cross-validation over people selects one of the first four, and its
        strength. "scale" is left out if `k` is less than 2 or X holds signals.
    prior_sd : float or sequence of float, default=(0.5, 1.0, 2.0)
        For "threshold": prior standard deviation of a person's log odds of two classes. Inner
        cross-validation selects one of several values.
    weight : int or sequence of int, default=(1, 4, 16)
        For "refit": how often each of the person's trials counts. For "update": number of epochs.
        Inner cross-validation selects one of several values.
    balanced : bool, default=True
        Weight of the labels in the offset of "threshold", and in the loss by which inner
        cross-validation selects. True: the classes of a person count equally, for scores such as
        the balanced accuracy by person. False: every trial counts equally, for scores such as the
        accuracy; the offset then follows the frequency of the classes in the person's trials.
    n_splits : int, default=5
        Number of folds of the inner cross-validation. Each holds out whole people of the
        population, except for their first k trials. The lowest log loss, averaged over people, is
        selected.
    random_state : int, RandomState instance or None, default=None
        Seed of these folds.

    Attributes
    ----------
    estimator_ : classifier
        The population model.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    method_ : str
        The method that is used.
    strength_ : float or None
        The value of `prior_sd` or `weight` that is used; None for the other methods.
    losses_ : DataFrame or None
        Log loss of each method and strength in the inner cross-validation; None without it.
    scaler_ : SubjectStandardizer or None
        With "scale": the scales of all people.
    offsets_ : dict of subject to ndarray of shape (n_classes,)
        With "threshold": the offset of the log odds of each new person.
    models_ : dict of subject to classifier
        With "refit" and "update": the model of each new person.
    population_ : tuple or None
        With "refit": rows, labels and subjects of the population, which `adapt` needs.
    known_people_ : list
        The people of the population, and those to whom the model is adapted.
    n_features_in_ : int
        Number of columns seen in `fit`, if the classifier has it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if the classifier has them.

    Notes
    -----
    **Order.** The first trials are those with the lowest ``trial``, if X has such a column or index
    level; otherwise in the order of the rows.

    **Threshold.** Let p_i be the population model's probabilities for the person's i-th labelled
    trial, of class y_i and weight w_i. The offset b minimises ``-sum_i w_i log softmax(log p_i +
    b)[y_i] + |b|² / prior_sd²``, so that the log odds of two classes have a normal prior with this
    standard deviation: the random intercept of a mixed logistic model [1]_, with fixed effects of
    the population model.

    **Files.** :func:`edaemo.save` writes the ids of all people, and with "refit" the trials of the
    population, to the file.

    References
    ----------
    .. [1] N. E. Breslow, D. G. Clayton, "Approximate inference in generalized linear mixed models",
       Journal of the American Statistical Association 88 (1993), 9-25.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> person, label = np.repeat(np.arange(20), 20), np.tile([0, 1], 200)
    >>> X = label[:, None] + rng.normal(size=(400, 1)) / 4 + 3 * rng.normal(size=(20, 1))[person]
    >>> model = PersonalClassifier(LogisticRegression(), k=4, method="scale")
    >>> model = model.fit(X[:360], label[:360], subject=person[:360])  # 18 people
    >>> model = model.adapt(X[380:384], label[380:384], subject=person[380:384])
    >>> model.score(X[384:], label[384:], subject=person[384:])
    0.9375
    """

    estimator_: Any
    classes_: np.ndarray
    method_: str
    strength_: float | None
    losses_: pd.DataFrame | None
    scaler_: SubjectStandardizer | None
    offsets_: dict[Any, np.ndarray]
    models_: dict[Any, Any]
    population_: tuple[Any, np.ndarray, np.ndarray] | None
    known_people_: list[Any]

    __metadata_request__score = {"subject": True}  # noqa: RUF012

    if TYPE_CHECKING:

        def set_score_request(
            self, *, subject: Request = UNCHANGED, sample_weight: Request = UNCHANGED
        ) -> Self:
            """Set whether `score` requests the subjects and the weights."""

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "k": [Interval(Integral, 0, None, closed="left")],
        "method": [StrOptions({"choose", "population", "threshold", "scale", "refit", "update"})],
        "prior_sd": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "weight": [Interval(Integral, 1, _MOST, closed="both"), "array-like"],
        "balanced": ["boolean"],
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: AnyEstimator,
        *,
        k: int = 5,
        method: str = "choose",
        prior_sd: float | Sequence[float] = (0.5, 1.0, 2.0),
        weight: int | Sequence[int] = (1, 4, 16),
        balanced: bool = True,
        n_splits: int = 5,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.k = k
        self.method = method
        self.prior_sd = prior_sd
        self.weight = weight
        self.balanced = balanced
        self.n_splits = n_splits
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: object, y: object, *, subject: Sequence[Any] | None = None) -> Self:
        """Train the population model, and adapt it to the people with at most k trials.

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
            If subjects are unknown or missing, no person has more than k trials, a label is missing
            or not among those of the population, X and y differ in length, there are fewer such
            people than `n_splits`, or the method is impossible.
        """
        with whole_or_nothing(self):
            X, labels, people = self._read_training(X, y, subject)
            order = trial_order(X, type(self).__name__)
            sessions = dict(_sessions(people, order))
            new = {person: rows for person, rows in sessions.items() if len(rows) <= self.k}
            large = [rows for person, rows in sessions.items() if person not in new]
            if not large:
                raise ValueError(
                    f"No subject has more than k={self.k} trials, so that the population model has "
                    "no trials: lower k, or pass more trials."
                )
            chosen = self._choose(X, labels, people, large)
            self.method_, self.strength_ = chosen.method, chosen.strength
            self._fit_population(X, labels, people, np.sort(np.concatenate(large)))
            self.known_people_ = [person for person in sessions if person not in new]
            for person, rows in new.items():
                self._adapt_to(person, _safe_indexing(X, rows), labels[rows])
        return self

    def adapt(self, X: object, y: object, *, subject: Sequence[Any] | None = None) -> Self:
        """Adapt the fitted model to further people; the population model does not change.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            Labelled trials of one or more people, from the beginning of the session. The first k
            trials of each person are used. They replace those of an earlier call.
        y : array-like of shape (n_trials,)
            Class labels of these trials.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial; None uses the column or index level ``subject`` of X.

        Returns
        -------
        self
            The adapted classifier.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As in `fit`, or if `k` is 0.
        """
        check_is_fitted(self)
        if not self.k:
            raise ValueError("k=0 uses no labelled trials: set k and fit again.")
        with whole_or_nothing(self):
            X, labels, people = self._read_training(X, y, subject, min_rows=1)
            self.offsets_, self.models_ = dict(self.offsets_), dict(self.models_)
            self.known_people_ = list(self.known_people_)
            order = trial_order(X, type(self).__name__)
            for person, rows in _sessions(people, order):
                first = rows[: self.k]
                self._adapt_to(person, _safe_indexing(X, first), labels[first])
        return self

    def predict_proba(self, X: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial; None uses the column or index level ``subject`` of X.

        Returns
        -------
        ndarray of shape (n_trials, n_classes)
            Columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If subjects are unknown or missing.

        Warns
        -----
        UserWarning
            If the model is not adapted to some people, because they have no labelled trials.
        """
        check_is_fitted(self)
        (X,) = indexable(X)
        name = type(self).__name__
        people: Any = find_ids("subject", X, subject, needed_by=name, in_order=True)
        self._warn_of_unknown(people)
        if self.scaler_ is not None:
            X = self.scaler_.transform(X, subject=people)
        params = self._routed("predict_proba", "predict_proba", people)
        probability = np.asarray(self.estimator_.predict_proba(X, **params), dtype=np.float64)
        for person in pd.unique(pd.Series(people)):
            rows = np.flatnonzero(people == person)
            if person in self.offsets_:
                log_odds = np.log(np.maximum(probability[rows], _SMALLEST)) + self.offsets_[person]
                probability[rows] = softmax(log_odds, axis=1)
            elif person in self.models_:
                theirs = {name: values[rows] for name, values in params.items()}
                part = _safe_indexing(X, rows)
                probability[rows] = self.models_[person].predict_proba(part, **theirs)
        return probability

    def score(
        self,
        X: Any,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None = None,
        *,
        subject: Sequence[Any] | None = None,
    ) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            As in `fit`.
        y : array-like of shape (n_trials,)
            Class labels.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial.
        subject : array-like of shape (n_trials,), default=None
            As in `predict_proba`.

        Returns
        -------
        float
            Share of correct predictions.
        """
        predicted = self.predict(X, subject=subject)
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def _warn_of_unknown(self, people: np.ndarray) -> None:
        """Warn about people to whom the model is not adapted, unless it adapts to no person."""
        if self.method_ == "population":
            return
        known = set(self.known_people_)
        unknown = [person for person in pd.unique(pd.Series(people)) if person not in known]
        if unknown:
            warnings.warn(
                f"{len(unknown)} people have no labelled trials, so the population model predicts "
                f"them: {name_some(unknown)}. Pass their labelled trials to fit or adapt, for "
                "example with the protocol subject-calibrated.",
                UserWarning,
                stacklevel=3,
            )

    def _ways(self, X: object) -> list[_Way]:
        """Return the ways of adaptation among which inner cross-validation selects."""
        strengths = {
            "threshold": _as_numbers(self.prior_sd, "prior_sd", Real),
            "refit": _as_numbers(self.weight, "weight", Integral),
            "update": _as_numbers(self.weight, "weight", Integral),
        }
        if not self.k:
            return [_Way("population")]
        if self.method == "scale" and self.k < 2:
            raise ValueError("method='scale' needs k of at least 2, for a standard deviation.")
        last = _last_step(self.estimator)
        if self.method == "update" and not any(
            hasattr(last, name) for name in ("fine_tune", "partial_fit")
        ):
            raise ValueError(
                "method='update' needs a classifier with fine_tune or partial_fit, which "
                f"{type(last).__name__} does not have: use method='refit'."
            )
        methods = [self.method]
        if self.method == "choose":
            methods = ["population", "threshold", "scale", "refit"]
            if self.k < 2 or signal_cells(X) is not None:
                methods.remove("scale")
        return [
            _Way(method, strength)
            for method in methods
            for strength in strengths.get(method, [None])
        ]

    def _choose(
        self, X: Any, labels: np.ndarray, people: np.ndarray, sessions: list[np.ndarray]
    ) -> _Way:
        """Return the way with the lowest loss in inner cross-validation over the population."""
        self.losses_ = None
        ways = self._ways(X)
        if len(ways) == 1:
            return ways[0]
        if len(sessions) < self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits}, but {len(sessions)} subjects have more than k={self.k} "
                "trials: lower n_splits, or set method and one strength."
            )
        seed = int(check_random_state(self.random_state).randint(2**31))
        folds = GroupKFold(self.n_splits, shuffle=True, random_state=seed)
        codes = np.arange(len(sessions))
        losses = np.zeros((len(ways), len(sessions)))
        for _, chosen in folds.split(codes, groups=codes):
            held_out = {code: sessions[code][self.k :] for code in chosen}
            training = np.concatenate(
                [rows[: self.k] if code in held_out else rows for code, rows in enumerate(sessions)]
            )
            for place, way in enumerate(ways):
                model = clone(self).set_params(**way.parameters)
                part = np.sort(training)
                model.fit(_safe_indexing(X, part), labels[part], subject=people[part])
                for code, rows in held_out.items():
                    losses[place, code] = model._loss(X, labels, people, rows)
        table = pd.DataFrame(ways, columns=list(_Way._fields))
        self.losses_ = table.assign(loss=losses.mean(axis=1))
        return ways[int(np.argmin(self.losses_["loss"]))]

    def _loss(self, X: Any, labels: np.ndarray, people: np.ndarray, rows: np.ndarray) -> float:
        """Return the log loss of one person's trials."""
        probability = self.predict_proba(_safe_indexing(X, rows), subject=people[rows])
        column = pd.Index(self.classes_).get_indexer(pd.Index(labels[rows]))
        of_label = np.where(column < 0, 0.0, probability[np.arange(len(rows)), column])
        weight = self._weigh(labels[rows])
        return float(np.average(-np.log(np.maximum(of_label, _SMALLEST)), weights=weight))

    def _weigh(self, labels: np.ndarray) -> np.ndarray:
        """Return the weight of each of a person's trials."""
        return compute_sample_weight("balanced" if self.balanced else None, labels)

    def _fit_population(
        self, X: Any, labels: np.ndarray, people: np.ndarray, rows: np.ndarray
    ) -> None:
        """Fit the population model, and what adaptation needs later."""
        self.offsets_, self.models_ = {}, {}
        self.scaler_ = self.population_ = None
        X, labels, people = _safe_indexing(X, rows), labels[rows], people[rows]
        inner = X
        if self.method_ == "scale":
            self.scaler_ = SubjectStandardizer(unseen="global", calibrate_on=self.k, min_trials=2)
            inner = self.scaler_.fit_transform(X, subject=people)
        self.estimator_ = self._fit_on(clone(self.estimator), inner, labels, people)
        self.classes_ = np.asarray(self.estimator_.classes_)
        self._take_input(self.estimator_)
        if self.method_ == "refit":
            self.population_ = X, labels, people

    def _adapt_to(self, person: Any, X: Any, labels: np.ndarray) -> None:
        """Adapt the model to one person."""
        if not np.isin(labels, self.classes_).all():
            strange = labels[~np.isin(labels, self.classes_)].tolist()[0]
            raise ValueError(
                f"The label {strange!r} of subject {person} is not among those of the population, "
                f"{self.classes_.tolist()}: pass people of the population with this label."
            )
        people = np.full(len(labels), person)
        if self.scaler_ is not None:
            self.scaler_ = copy(self.scaler_).partial_fit(X, subject=people)
        if self.method_ == "threshold":
            params = self._routed("predict_proba", "predict_proba", people)
            probability = np.asarray(self.estimator_.predict_proba(X, **params))
            codes = np.searchsorted(self.classes_, labels)
            assert self.strength_ is not None
            weight = self._weigh(labels)
            self.offsets_[person] = fit_offset(probability, codes, weight, self.strength_)
        elif self.method_ in ("refit", "update"):
            self.models_[person] = self._make_model(X, labels, people)
        if person not in self.known_people_:
            self.known_people_.append(person)

    def _make_model(self, X: Any, labels: np.ndarray, people: np.ndarray) -> Any:
        """Return the model of one person, by "refit" or "update"."""
        assert self.strength_ is not None
        weight = int(self.strength_)
        if self.method_ == "update":
            return _update(deepcopy(self.estimator_), X, labels, weight)
        assert self.population_ is not None
        rows = np.tile(np.arange(len(labels)), weight)
        joined = [self.population_, (_safe_indexing(X, rows), labels[rows], people[rows])]
        X, labels, people = (_join(parts) for parts in zip(*joined, strict=True))
        return self._fit_on(clone(self.estimator), X, labels, people)


def _last_step(estimator: Any) -> Any:
    """Return the classifier at the end of a pipeline, or the classifier itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _update(model: Any, X: Any, labels: np.ndarray, n_epochs: int) -> Any:
    """Train a fitted classifier further, or the last step of a pipeline, and return it."""
    last = _last_step(model)
    if last is not model and len(model.steps) > 1:
        X = model[:-1].transform(X)
    if hasattr(last, "fine_tune"):
        last.fine_tune(X, labels, epochs=n_epochs)
        return model
    for _ in range(n_epochs):
        last.partial_fit(X, labels)
    return model


def fit_offset(
    probability: np.ndarray, codes: np.ndarray, weight: np.ndarray, prior_sd: float
) -> np.ndarray:
    """Return the offset of a person's log odds; see the Notes of PersonalClassifier.

    Parameters
    ----------
    probability : ndarray of shape (n_trials, n_classes)
        Probabilities of the population model.
    codes : ndarray of int of shape (n_trials,)
        Column of the class of each trial.
    weight : ndarray of shape (n_trials,)
        Weight of each trial.
    prior_sd : float
        Prior standard deviation of the log odds of two classes.

    Returns
    -------
    ndarray of shape (n_classes,)
        The offset. Its sum is 0.
    """
    log_odds = np.log(np.maximum(probability, _SMALLEST))
    hits = np.eye(probability.shape[1])[codes]

    def loss(offset: np.ndarray) -> tuple[float, np.ndarray]:
        logarithms = log_softmax(log_odds + offset, axis=1)
        slope = weight @ (np.exp(logarithms) - hits) + 2 * offset / prior_sd**2
        return -(weight @ (logarithms * hits)).sum() + (offset @ offset) / prior_sd**2, slope

    start = np.zeros(probability.shape[1])
    return minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8}).x


def _sessions(people: np.ndarray, order: np.ndarray | None) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield each person, and the rows of the person's trials, in order of time."""
    codes, names = pd.factorize(people, sort=True)
    rows = np.argsort(codes, kind="stable") if order is None else np.lexsort([order, codes])
    ends = np.cumsum(np.bincount(codes))
    yield from zip(names.tolist(), np.split(rows, ends[:-1]), strict=True)


def _as_numbers(values: object, name: str, kind: Any) -> list[Any]:
    """Return one number or several as a list; raise a ValueError unless all are valid."""
    numbers: list[Any] = np.atleast_1d(np.asarray(values)).tolist()
    if not numbers or not all(isinstance(x, kind) and 0 < x < np.inf for x in numbers):
        what = "integers" if kind is Integral else "numbers"
        raise ValueError(f"{name} must be one or more {what} above 0, got {values!r}.")
    return numbers


def _join(parts: Sequence[Any]) -> Any:
    """Return rows, labels or ids of two sources one after the other."""
    if isinstance(parts[0], pd.DataFrame | pd.Series):
        return pd.concat(parts)
    return np.concatenate([np.asarray(part) for part in parts])
