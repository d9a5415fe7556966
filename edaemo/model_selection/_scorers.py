"""Scores of predicted labels against held-out ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.metrics import get_scorer as get_sklearn_scorer
from sklearn.utils.metadata_routing import MetadataRequest

from edaemo._ids import name_some
from edaemo._validation import find_ids, suggest
from edaemo.metrics import concordance_correlation, series_concordance
from edaemo.preprocessing import SubjectThresholdRelabeler, check_ratings


class ConcordanceScorer:
    """Score a regressor of numbers or series by Lin's concordance correlation.

    y holds a number for each trial, several numbers for each trial, or a series for each trial. The
    coefficient of several targets is the mean over the targets. Steps of a series whose label is
    NaN are not used.

    Parameters
    ----------
    per_sequence : bool, default=False
        Whether the score is the mean of the coefficients of the series. If not, it is the
        coefficient of all steps of all series.

    Examples
    --------
    >>> from edaemo.model_selection import get_scorer
    >>> get_scorer("concordance_correlation_per_sequence")
    ConcordanceScorer(per_sequence=True)
    """

    def __init__(self, *, per_sequence: bool = False) -> None:
        self.per_sequence = per_sequence

    def __call__(
        self, estimator: Any, X: object, y: Any, sample_weight: Sequence[float] | None = None
    ) -> float:
        """Score the estimator's predictions for X.

        Parameters
        ----------
        estimator : regressor
            A fitted regressor.
        X : array-like with n rows
            Input of the estimator.
        y : array-like of shape (n,) or (n, n_targets), or sequence of n series
            The labels.
        sample_weight : array-like of shape (n,) or None, default=None
            Weight of each trial.

        Returns
        -------
        float
            Greater is better.

        Raises
        ------
        ValueError
            If `per_sequence` is set and y does not hold series.
        """
        predicted = estimator.predict(X)
        if _holds_series(y):
            return series_concordance(
                y, predicted, sample_weight=sample_weight, per_sequence=self.per_sequence
            )
        if self.per_sequence:
            raise ValueError("per_sequence needs a series for each trial, but y holds numbers.")
        return concordance_correlation(y, predicted, sample_weight=sample_weight)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(per_sequence={self.per_sequence})"

    def get_metadata_routing(self) -> MetadataRequest:
        """Request no metadata.

        Returns
        -------
        MetadataRequest
            The request.
        """
        return MetadataRequest(owner=type(self).__name__)


def _holds_series(y: Any) -> bool:
    """Return whether y holds an array for each trial, and is not one array of numbers."""
    is_matrix = isinstance(y, np.ndarray) and y.dtype != object
    return not is_matrix and np.ndim(next(iter(y))) > 0


SCORERS: dict[str, ConcordanceScorer] = {
    "concordance_correlation": ConcordanceScorer(),
    "concordance_correlation_per_sequence": ConcordanceScorer(per_sequence=True),
}


def get_scorer(name: str) -> Callable[..., Any]:
    """Return a scorer by name, for ``scoring=``.

    Parameters
    ----------
    name : str
        "concordance_correlation", "concordance_correlation_per_sequence", or a name that
        :func:`sklearn.metrics.get_scorer` knows.

    Returns
    -------
    callable
        The scorer, called as ``scorer(estimator, X, y)``. Those of the concordance correlation also
        take ``sample_weight``.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from edaemo.model_selection import get_scorer
    >>> model = DummyRegressor().fit([[0], [1]], [1, 3])
    >>> get_scorer("concordance_correlation")(model, [[0], [1]], [1, 3])
    0.0
    """
    if name in SCORERS:
        return SCORERS[name]
    known = get_scorer_names()
    if name not in known:
        raise ValueError(f"Unknown scorer {name!r}: {suggest(name, [*SCORERS, *known])}")
    return get_sklearn_scorer(name)


class SubjectThresholdScorer:
    """Score a classifier of low and high against held-out ratings.

    If :class:`~edaemo.preprocessing.SubjectThresholdRelabeler` is a step of the pipeline, y holds
    ratings, and the scorer gets the held-out ratings without labels. This scorer labels them in the
    same way. The threshold of each held-out subject comes from that subject's held-out ratings. The
    metric then gets X and the labels.

    Hold out whole subjects with all their trials. A part of a subject's ratings defines another
    threshold. If a subject is both in training and in test (protocols "trial", "within-subject",
    "stimulus"), scoring raises a ValueError; training scores are allowed. Two cases cannot be
    detected: a subject with other trials on neither side of the split ("subject+stimulus"), and an
    estimator that contains no relabeler. In these cases, relabel before the split.

    Parameters
    ----------
    metric : str or callable, default="balanced_accuracy"
        Name of a scorer for :func:`sklearn.metrics.get_scorer`, or a scorer
        ``(estimator, X, labels)``, such as the output of :func:`sklearn.metrics.make_scorer`.
    target : {"arousal", "valence", "both"}, default="arousal"
        As for the relabeler.
    threshold : "subject" or float, default="subject"
        As for the relabeler.

    Raises
    ------
    ValueError
        If a parameter is invalid.

    Notes
    -----
    Use it as ``scoring=``, alone or in a dict. With metadata routing, pass
    ``params={"subject": ...}``; a metadata request is not necessary. Without metadata routing, X or
    the ratings must hold the subjects in a column or an index level. If the held-out ratings have
    one class only, the result depends on the metric. ``min_center_distance`` is not applied here,
    because the range of the ratings of a few subjects is not a reliable reference.

    Examples
    --------
    >>> SubjectThresholdScorer("f1", target="valence")
    SubjectThresholdScorer('f1', target='valence', threshold='subject')
    """

    def __init__(
        self,
        metric: str | Callable[..., Any] = "balanced_accuracy",
        *,
        target: str = "arousal",
        threshold: str | float = "subject",
    ):
        if not isinstance(metric, str) and not callable(metric):
            raise ValueError(f"metric must be a scorer or the name of one, got {metric!r}.")
        check_scoring(scoring=metric)  # raises for unknown names and plain metric functions
        self.metric = metric
        self.target = target
        self.threshold = threshold
        self._relabeler()._validate_params()

    def __call__(
        self,
        estimator: object,
        X: object,
        y: object,
        subject: Sequence[Any] | np.ndarray | None = None,
    ) -> float:
        """Score the estimator's predictions for X.

        Parameters
        ----------
        estimator : classifier
            A classifier fitted on labels of the same target and threshold.
        X : array-like with n rows
            Input of the estimator.
        y : DataFrame or array-like of shape (n, 2)
            The ratings, valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Subject of each trial. None: the column or index level ``subject`` of X, else of y.

        Returns
        -------
        score : float
            Greater is better.

        Raises
        ------
        ValueError
            As in SubjectThresholdRelabeler.fit_resample, except for a single class. Also if the
            ratings of a subject in `fit` differ from those in y.
        """
        check_ratings(y)  # before the subjects are read from y
        subject = find_ids("subject", X, subject, ratings=y)
        relabeler = self._relabeler().fit(y, subject=subject)
        if self.threshold == "subject":
            for fitted in _fitted_relabelers(estimator):
                _check_whole_subjects(fitted, relabeler)
        labels = relabeler.relabel(y, subject=subject)
        return get_sklearn_scorer(self.metric)(estimator, X, labels)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.metric!r}, target={self.target!r}, "
            f"threshold={self.threshold!r})"
        )

    def get_metadata_routing(self) -> MetadataRequest:
        """Request the metadata ``subject``.

        Returns
        -------
        MetadataRequest
            The request.
        """
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(param="subject", alias=True)
        return request

    def _relabeler(self) -> SubjectThresholdRelabeler:
        return SubjectThresholdRelabeler(
            self.target, threshold=self.threshold, min_center_distance=0.0
        )


def _fitted_relabelers(estimator: object) -> Iterator[SubjectThresholdRelabeler]:
    """Yield the fitted relabelers in pipelines and in parameter searches."""
    if isinstance(estimator, SubjectThresholdRelabeler) and hasattr(estimator, "ratings_digest_"):
        yield estimator
    for _, step in getattr(estimator, "steps", ()):
        yield from _fitted_relabelers(step)
    for name in ("best_estimator_", "estimator_"):
        if hasattr(estimator, name):
            yield from _fitted_relabelers(getattr(estimator, name))


def _check_whole_subjects(
    fitted: SubjectThresholdRelabeler, scored: SubjectThresholdRelabeler
) -> None:
    """Raise a ValueError if the ratings of a subject in `fit` differ from those to score."""
    seen = fitted.ratings_digest_.reindex(scored.ratings_digest_.index)
    split = seen.index[seen.notna() & (seen != scored.ratings_digest_)]
    if len(split):
        raise ValueError(
            f"{len(split)} of {len(seen)} subjects have some of their ratings in training and "
            f"others to be scored: {name_some(split)}. Each would have two thresholds, from "
            "different parts of the ratings. Hold out whole subjects (SubjectKFold), or relabel "
            "before the split: "
            "y = SubjectThresholdRelabeler(...).fit_relabel(ratings, subject=...)."
        )
