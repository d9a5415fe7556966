"""LateFusionRegressor: a recurrent network on the predictions of several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context, clone
from sklearn.model_selection import GroupKFold
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, RegressorMixin
from edaemo._validation import find_ids, n_rows, whole_or_nothing
from edaemo.estimators._sequence import NetworkSequenceRegressor
from edaemo.metrics import series_concordance
from edaemo.networks import FusionLSTM


@saved("edaemo.estimators.LateFusionRegressor")
class LateFusionRegressor(RegressorMixin, BaseEstimator):
    """Fuse the predictions of several sequence regressors by a second-level recurrent network.

    The second level is trained on out-of-fold predictions: the people are split into folds, and the
    predictions for the people of a fold come from models that were fitted to the other people. A
    model that has learned its training trials by heart thus gets no weight for it. For prediction,
    all models are fitted again to all trials.

    Parameters
    ----------
    estimators : dict of str to estimator
        The models by name, such as ``{"eda": MuSeLSTMRegressor(columns=["eda"]), "music":
        MuSeLSTMRegressor(columns=["music"])}``. Each takes the X of `fit`. Parameters of a model
        are set by ``set_params(eda__max_epochs=5)``.
    final_estimator : estimator or None, default=None
        Sequence regressor on the predictions. None: :class:`NetworkSequenceRegressor` of
        :class:`edaemo.networks.FusionLSTM`, a bidirectional LSTM of 32 units, with standardised
        predictions.
    n_splits : int, default=5
        Number of folds of people, at least 2. With fewer people it is the number of people.
    random_state : int, RandomState instance or None, default=None
        Seed of the default `final_estimator`.

    Attributes
    ----------
    estimators_ : dict of str to estimator
        The models, fitted to all trials.
    final_estimator_ : estimator
        The fitted second level.
    out_of_fold_ : ndarray of object of shape (n_trials,)
        The predictions on which the second level was trained, each of shape (n_steps, n_models), or
        (n_steps, n_models * n_targets).

    References
    ----------
    .. [1] L. Sun, Z. Lian, J. Tao, B. Liu, M. Niu, "Multi-modal continuous dimensional emotion
       recognition using recurrent neural network and self-attention mechanism", MuSe 2020, pp.
       27-34, doi:10.1145/3423327.3423672. Their second level is a recurrent network on the
       predictions of several models. The released code writes predictions for the validation and
       test partitions only, so it does not show on which training predictions it was trained.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from edaemo.estimators import LateFusionRegressor, MuSeLSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"subject": ["a", "b", "c"]})
    >>> for name in ("eda", "music"):
    ...     X[name] = pd.Series([rng.normal(size=(30, 2)) for _ in range(3)])
    >>> y = [a[:, 0] + b[:, 0] for a, b in zip(X["eda"], X["music"])]
    >>> one = {"max_epochs": 1, "random_state": 0}
    >>> models = {name: MuSeLSTMRegressor(columns=[name], **one) for name in ("eda", "music")}
    >>> model = LateFusionRegressor(models, random_state=0).fit(X, y)
    >>> [len(series) for series in model.predict(X)]
    [30, 30, 30]
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "estimators": [dict],
        "final_estimator": [HasMethods(["fit", "predict"]), None],
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"subject": True}
    state: ClassVar[tuple[str, ...]] = ("estimators_", "final_estimator_", "out_of_fold_")
    estimators: dict[str, Any]
    estimators_: dict[str, Any]
    final_estimator_: Any
    out_of_fold_: np.ndarray

    def __init__(
        self,
        estimators: dict[str, Any],
        *,
        final_estimator: Any = None,
        n_splits: int = 5,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.final_estimator = final_estimator
        self.n_splits = n_splits
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the models and their parameters.

        Returns
        -------
        dict of str to object
            The parameters.
        """
        params = super().get_params(deep)
        if deep and isinstance(self.estimators, Mapping):
            for name, model in self.estimators.items():
                params[name] = model
                inner = model.get_params(deep=True)
                params |= {f"{name}__{key}": value for key, value in inner.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, models by their names, and parameters of models.

        Parameters
        ----------
        **params : object
            The new values.

        Returns
        -------
        self
            This estimator.
        """
        if isinstance(self.estimators, Mapping):
            models = {name: params.pop(name) for name in [*self.estimators] if name in params}
            self.estimators = {**self.estimators, **models}
        super().set_params(**params)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Sequence[np.ndarray], subject: Sequence[Any] | None = None) -> Self:
        """Fit the models in folds of people, the second level, and the models on all trials.

        Parameters
        ----------
        X : DataFrame, or sequence of n_trials arrays
            Input of all models.
        y : sequence of n_trials arrays of shape (n_steps,) or (n_steps, n_targets)
            The labels; NaN where a step has no label.
        subject : array-like of shape (n_trials,) or None, default=None
            Subject of each trial. None: the column or index level ``subject`` of X.

        Returns
        -------
        self
            The fitted regressor.

        Raises
        ------
        ValueError
            If `estimators` is empty or holds something else, subjects are missing, or all trials
            are of one subject.
        """
        if not self.estimators:
            raise ValueError("estimators is empty: pass at least one model.")
        for name, model in self.estimators.items():
            if not (hasattr(model, "fit") and hasattr(model, "predict")):
                raise ValueError(
                    f"estimators[{name!r}] must be a sequence regressor, with the methods fit and "
                    f"predict, got {model!r:.60}."
                )
        people = find_ids("subject", X, subject, needed_by=type(self).__name__)
        n_people = len(set(people))
        if n_people < 2:
            raise ValueError(
                "Out-of-fold predictions need two people or more, but the data have one."
            )
        labels = _objects([np.asarray(series) for series in y])
        with whole_or_nothing(self):
            folds = GroupKFold(min(int(self.n_splits), n_people)).split(people, groups=people)
            out_of_fold = _objects([None] * len(labels))
            for training, held_out in folds:
                models = self._fit_models(X, labels, people, training)
                for row, stacked in zip(held_out, _stack(models, _take(X, held_out)), strict=True):
                    out_of_fold[row] = stacked
            final = self.final_estimator
            if final is None:
                final = NetworkSequenceRegressor(
                    FusionLSTM, standardize=True, random_state=self.random_state
                )
            self.out_of_fold_ = out_of_fold
            self.final_estimator_ = _fit(clone(final), out_of_fold, labels, people)
            self.estimators_ = self._fit_models(X, labels, people, np.arange(len(labels)))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the fused prediction for each step of each trial.

        Parameters
        ----------
        X : DataFrame, or sequence of n_trials arrays
            As in `fit`.

        Returns
        -------
        ndarray of object of shape (n_trials,)
            Each an array of shape (n_steps,) or (n_steps, n_targets).
        """
        check_is_fitted(self, "final_estimator_")
        return self.final_estimator_.predict(_stack(self.estimators_, X))

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the concordance correlation over the steps of all trials together.

        Parameters
        ----------
        X : DataFrame, or sequence of n_trials arrays
            As in `fit`.
        y : sequence of n_trials arrays
            As in `fit`.
        sample_weight : array-like of shape (n_trials,) or None, default=None
            Weight of each trial.

        Returns
        -------
        float
            The coefficient; with several targets, the mean over the targets.
        """
        return series_concordance(y, self.predict(X), sample_weight=sample_weight)

    def _fit_models(
        self, X: Any, labels: np.ndarray, people: np.ndarray, rows: np.ndarray
    ) -> dict[str, Any]:
        part = _take(X, rows)
        return {
            name: _fit(clone(model), part, labels[rows], people[rows])
            for name, model in self.estimators.items()
        }


def _fit(model: Any, X: Any, labels: np.ndarray, people: np.ndarray) -> Any:
    """Fit a model, with the subjects if it takes them."""
    known = {"subject": people} if "subject" in signature(model.fit).parameters else {}
    return model.fit(X, labels, **known)


def _take(X: Any, rows: np.ndarray) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]


def _stack(models: Mapping[str, Any], X: Any) -> np.ndarray:
    """Return the predictions of all models for each trial, shape (n_steps, n_predictions)."""
    predicted = [model.predict(X) for model in models.values()]
    n_trials = n_rows(X)
    return _objects(
        [
            np.column_stack([np.asarray(series[row], dtype=np.float64) for series in predicted])
            for row in range(n_trials)
        ]
    )


def _objects(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
