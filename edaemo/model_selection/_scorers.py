"""Scores of predicted labels against held-out ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils.metadata_routing import MetadataRequest

from edaemo.preprocessing._relabel import SubjectThresholdRelabeler, aligned_subjects


class SubjectThresholdScorer:
    """Score a classifier of low and high against held-out ratings.

    Where :class:`~edaemo.preprocessing.SubjectThresholdRelabeler` is a step of the pipeline, y
    holds ratings, and the held-out ones reach the scorer as they are. This one labels them the
    same way, each held-out person's from that person's own held-out ratings, and hands X and the
    labels to the metric.

    Split by subject: with only part of a person's trials held out, the threshold would come from
    that part.

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
        self, estimator: object, X: object, y: object, subject: Sequence | None = None
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
            As in SubjectThresholdRelabeler.fit_resample, except for a single class.
        """
        subject = aligned_subjects(X, y, subject)
        labels = self._relabeler().fit(y, subject=subject).relabel(y, subject=subject)
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
