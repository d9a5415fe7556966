"""Base class of classifiers that wrap another classifier and know the subject of each trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import Tags, _safe_indexing, get_tags, indexable
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _num_samples

from edaemo._sklearn import UNCHANGED, BaseEstimator, ClassifierMixin, Request
from edaemo._validation import check_labels, check_predicted, find_ids


class ByPersonClassifier(ClassifierMixin, BaseEstimator, ABC):
    """Base class of classifiers that wrap another classifier and know the subject of each trial.

    Subclasses have a parameter `estimator`, and set ``classes_`` in `fit`.
    """

    estimator: Any
    classes_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit = {"subject": True}  # noqa: RUF012
    __metadata_request__predict = {"subject": True}  # noqa: RUF012
    __metadata_request__predict_proba = {"subject": True}  # noqa: RUF012

    if TYPE_CHECKING:

        def set_fit_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set whether `fit` requests the subjects."""

        def set_predict_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set whether `predict` requests the subjects."""

        def set_predict_proba_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set whether `predict_proba` requests the subjects."""

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that this classifier requests and passes to the one that it wraps.

        Returns
        -------
        MetadataRouter
            The requests.
        """
        mapping = (
            MethodMapping()
            .add(caller="fit", callee="fit")
            .add(caller="predict", callee="predict_proba")
            .add(caller="predict_proba", callee="predict_proba")
        )
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self.estimator, method_mapping=mapping)
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        tags.input_tags.sparse = False
        return tags

    @abstractmethod
    def predict_proba(self, X: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial.

        Returns
        -------
        ndarray of shape (n_trials, n_classes)
            Columns in the order of `classes_`.
        """

    def predict(self, X: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Return the most probable class of each trial.

        Parameters
        ----------
        X : DataFrame or array-like with n_trials rows
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_trials,)
            Labels of the type of `classes_`.
        """
        probability = self.predict_proba(X, subject=subject)
        check_predicted(X, np.isfinite(probability).all(axis=1))
        return self.classes_[np.argmax(probability, axis=1)]

    def _read_training(
        self, X: object, y: object, subject: Sequence[Any] | None, *, min_rows: int = 2
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return X in a form of which rows can be taken, the labels, and the subjects."""
        if issparse(X):
            raise TypeError("X is sparse, which is not supported: pass X.toarray().")
        (X,) = indexable(X)
        name = type(self).__name__
        if (n := _num_samples(X)) < min_rows:
            raise ValueError(f"{name} needs at least {min_rows} trials, got n_samples={n}.")
        labels = check_labels(self, X, y)
        return X, labels, find_ids("subject", X, subject, needed_by=name, in_order=True)

    def _fit_on(
        self,
        estimator: Any,
        X: object,
        y: np.ndarray,
        subject: np.ndarray,
        rows: np.ndarray | slice = slice(None),
    ) -> Any:
        """Fit an estimator on some rows; metadata routing passes it their subjects."""
        params = self._routed("fit", "fit", subject[rows])
        return estimator.fit(_safe_indexing(X, rows), y[rows], **params)

    def _routed(
        self, caller: str, callee: str, subject: Sequence[Any] | np.ndarray | None
    ) -> dict[str, Any]:
        """Return the arguments that metadata routing passes to the wrapped classifier."""
        if subject is None or not _routing_enabled():
            return {}
        routed = process_routing(self, caller, subject=subject)
        return dict(routed["estimator"][callee])

    def _take_input(self, estimator: Any) -> None:
        """Set number and names of the columns, if the fitted `estimator` has them."""
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))
