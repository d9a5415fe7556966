"""Scores of predicted labels against held-out ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils.metadata_routing import MetadataRequest

from edaemo._validation import find_ids, name_some
from edaemo.preprocessing import SubjectThresholdRelabeler, check_ratings


class SubjectThresholdScorer:
    """Score a classifier of low and high against held-out ratings.

    Where :class:`~edaemo.preprocessing.SubjectThresholdRelabeler` is a step of the pipeline, y
    holds ratings, and the held-out ones reach the scorer as they are. This one labels them the
    same way, each held-out person's from that person's own held-out ratings, and hands X and the
    labels to the metric.

    Hold out whole people, each with all trials. Part of a person's ratings defines another
    threshold, so where a person is both in training and in test (protocols "trial",
    "within-subject", "stimulus"), scoring is refused; training scores are not. Nothing tells of a
    person whose other trials are on neither side: under "subject+stimulus", relabel before the
    split. So too where the estimator has no relabeler inside.

    Parameters
    ----------
    metric : str or callable, default="balanced_accuracy"
        A name that :func:`sklearn.metrics.get_scorer` knows, or a scorer
        ``(estimator, X, labels)`` such as :func:`sklearn.metrics.make_scorer` gives.
    target : {"arousal", "valence", "both"}, default="arousal"
        As in the relabeler.
    threshold : "subject" or float, default="subject"
        As in the relabeler.

    Raises
    ------
    ValueError
        If a parameter is not one of the above.

    Notes
    -----
    Usable as ``scoring=``, alone or in a dict. With metadata routing, pass
    ``params={"subject": ...}``, and nothing needs to be requested; without, X or the ratings carry
    the subjects in a column or an index level. Held-out ratings that give one class only are
    scored as the metric sees fit. ``min_center_distance`` is not applied here, as the range of a
    few people's ratings is no yardstick.

    Examples
    --------
    >>> SubjectThresholdScorer("f1", target="valence")
    SubjectThresholdScorer('f1', target='valence', threshold='subject')
    """

    def __init__(
        self,
        metric: str | Callable = "balanced_accuracy",
        *,
        target: str = "arousal",
        threshold: str | float = "subject",
    ):
        if not isinstance(metric, str) and not callable(metric):
            raise ValueError(f"metric must be a scorer or the name of one, got {metric!r}.")
        check_scoring(scoring=metric)  # refuses unknown names and bare metric functions
        self.metric = metric
        self.target = target
        self.threshold = threshold
        self._relabeler()._validate_params()

    def __call__(
        self,
        estimator: object,
        X: object,
        y: object,
        subject: Sequence | np.ndarray | None = None,
    ) -> float:
        """Score the estimator's predictions for X.

        Parameters
        ----------
        estimator : classifier
            Fitted on labels of the same target and threshold.
        X : array-like with n rows
            What the estimator predicts from.
        y : DataFrame or array-like of shape (n, 2)
            The ratings, valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Whose trial it is. When None, the column or index level ``subject`` of X, else of y.

        Returns
        -------
        score : float
            Greater is better.

        Raises
        ------
        ValueError
            As in SubjectThresholdRelabeler.fit_resample, except for a single class, and if a person
            was seen in fit with other ratings than the ones to be scored.
        """
        check_ratings(y)  # before they are asked for subjects
        subject = find_ids("subject", X, subject, ratings=y)
        relabeler = self._relabeler().fit(y, subject=subject)
        if self.threshold == "subject":
            for fitted in _fitted_relabelers(estimator):
                _refuse_parted_people(fitted, relabeler)
        labels = relabeler.relabel(y, subject=subject)
        return get_scorer(self.metric)(estimator, X, labels)

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
        """
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(param="subject", alias=True)
        return request

    def _relabeler(self) -> SubjectThresholdRelabeler:
        return SubjectThresholdRelabeler(
            self.target, threshold=self.threshold, min_center_distance=0.0
        )


def _fitted_relabelers(estimator: object) -> Iterator[SubjectThresholdRelabeler]:
    """Find the fitted relabelers in pipelines and in searches over them."""
    if isinstance(estimator, SubjectThresholdRelabeler) and hasattr(estimator, "ratings_digest_"):
        yield estimator
    for _, step in getattr(estimator, "steps", ()):
        yield from _fitted_relabelers(step)
    for name in ("best_estimator_", "estimator_"):
        if hasattr(estimator, name):
            yield from _fitted_relabelers(getattr(estimator, name))


def _refuse_parted_people(
    fitted: SubjectThresholdRelabeler, scored: SubjectThresholdRelabeler
) -> None:
    seen = fitted.ratings_digest_.reindex(scored.ratings_digest_.index)
    parted = seen.index[seen.notna() & (seen != scored.ratings_digest_)]
    if len(parted):
        raise ValueError(
            f"{len(parted)} of {len(seen)} subjects have some of their ratings in training and "
            f"others to be scored: {name_some(parted)}. Their thresholds would come from a part of "
            "their ratings, and be two. Hold out whole people (SubjectKFold), or relabel before "
            "the split: y = SubjectThresholdRelabeler(...).fit_relabel(ratings, subject=...)."
        )
