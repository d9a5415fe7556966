"""High and low labels from each subject's own ratings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from hashlib import sha256
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import imblearn.base  # noqa: F401  (registers fit_resample in scikit-learn's metadata routing)
import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._ids import name_some
from edaemo._saved import saved
from edaemo._sklearn import UNCHANGED, BaseEstimator, Request
from edaemo._validation import (
    LARGEST,
    as_copied,
    find_ids,
    name_trial,
    plain_numbers,
    refuse_foreign_frame,
    whole_or_nothing,
)

# The two ratings whose plane is divided into two groups.
AXES = ("valence", "arousal")
VALENCE, AROUSAL = range(2)

# Sums of decimal ratings have rounding errors. Values count as equal up to these tolerances:
_SAME_RATING = 1e-9  # of the span of the ratings
_SAME_OPTIMUM = 1e-12  # of the scatter of the ratings

_CELLS_AT_ONCE = 2**17  # lines processed in one batch: about 30 MB


class _TwoMeans(NamedTuple):
    """The best partition of a subject's ratings into two groups."""

    centers: np.ndarray
    midpoint: np.ndarray
    ambiguous: np.ndarray  # for each axis: whether an equally good partition has another midpoint


def _two_means(points: np.ndarray, weights: np.ndarray | None = None) -> _TwoMeans:
    """Return the global optimum of 2-means in the plane.

    A line separates the two groups of an optimum. It can be moved in parallel until it touches a
    point of the group on its left. So every candidate group is a point together with all points
    left of a line through it. When the line turns by half a circle, the other points cross it one
    after another, in the order of their angle, and cumulative sums give the centres of each
    partition. For m distinct points there are m (m + 1) candidates, in O(m^2 log m).

    Among optima that are equal up to rounding, the function selects the one with the lowest
    midpoint: arousal first, then valence, then arousal and valence of its lower centre.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Valence and arousal; at least two distinct points.
    weights : ndarray of shape (n,), default=None
        Number of times that each point occurs; None for once.

    Returns
    -------
    _TwoMeans
        ``centers`` of shape (2, 2), ``midpoint`` and ``ambiguous`` of shape (2,).
    """
    points = np.asarray(points, dtype=float)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=float)
    points, which = np.unique(points, axis=0, return_inverse=True)
    weights = np.bincount(which.ravel(), weights)
    # Relative to the lowest ratings, a constant axis is exactly zero.
    origin = points.min(axis=0)
    at = points - origin
    span = at.max()
    n, total = weights.sum(), weights @ at
    scatter = weights @ ((at - total / n) ** 2).sum(axis=1)

    best, candidates = -np.inf, []
    chunk = max(1, _CELLS_AT_ONCE // len(at))
    for start in range(0, len(at), chunk):
        pivot = slice(start, start + chunk)
        n_left, sum_left = _left_of_lines(at, weights, pivot)
        n_right = n - n_left
        with np.errstate(invalid="ignore", divide="ignore"):
            left = sum_left / n_left[..., None]
            right = (total - sum_left) / n_right[..., None]
            gain = ((left - right) ** 2).sum(axis=-1) * n_left * n_right / n
        # Skip partitions with an empty side; half a weight allows for rounding errors.
        gain[n_right < weights.min() / 2] = -np.inf
        best = max(best, gain.max())
        kept = gain >= best - _SAME_OPTIMUM * scatter
        candidates.append((gain[kept], left[kept], right[kept]))

    gain, left, right = (np.concatenate(part) for part in zip(*candidates, strict=True))
    equal = gain >= best - _SAME_OPTIMUM * scatter
    pair = np.stack([left[equal], right[equal]], axis=1)
    ambiguous = np.ptp(pair.mean(axis=1), axis=0) > _SAME_RATING * span

    best_pair = pair[_lowest_midpoint(pair / span)]
    distance = ((at[:, None] - best_pair) ** 2).sum(axis=-1)
    side = distance.argmin(axis=1)  # unique: in an optimum no point is equally near to both
    centers = np.stack(
        [np.average(at[side == k], axis=0, weights=weights[side == k]) for k in (0, 1)]
    )
    return _TwoMeans(origin + centers, origin + centers.mean(axis=0), ambiguous)


def _left_of_lines(
    at: np.ndarray, weights: np.ndarray, pivot: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Sum each pivot and the points left of a line through it, for all directions of the line.

    Returns the weight, (n_pivots, m + 1), and the weighted sum of the points, (n_pivots, m + 1, 2).
    """
    starts_left, order = _turn_lines(at, pivot)
    sign = np.where(starts_left, 1.0, -1.0)
    pivots = np.arange(len(at))[pivot]
    weight = np.tile(weights, (len(pivots), 1))
    weight[np.arange(len(pivots)), pivots] = 0.0  # the pivot itself never crosses the line
    mass = weight[..., None] * np.column_stack([np.ones(len(at)), at])
    at_start = (mass * starts_left[..., None]).sum(axis=1)
    at_start += weights[pivot, None] * np.column_stack([np.ones(len(pivots)), at[pivot]])
    crossing = np.take_along_axis(-sign[..., None] * mass, order[..., None], axis=1)
    sums = np.concatenate([at_start[:, None], crossing], axis=1).cumsum(axis=1)
    return sums[..., 0], sums[..., 1:]


def _turn_lines(at: np.ndarray, pivot: slice) -> tuple[np.ndarray, np.ndarray]:
    """Turn a line through each pivot by half a circle; shapes (n_pivots, m).

    Returns which points are left of it at the start, and the order in which it crosses the points.
    """
    x, y = np.moveaxis(at - at[pivot, None], -1, 0)
    starts_left = (y > 0) | ((y == 0) & (x > 0))
    sign = np.where(starts_left, 1.0, -1.0)
    return starts_left, np.argsort(np.arctan2(sign * y, sign * x), axis=1, kind="stable")


def _midpoints_of_draws(points: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the midpoint of 2-means of each draw of points, shape (n_draws, 2).

    `counts`, shape (n_draws, n), is how often each point was drawn. The partitions by a line are
    the same for all draws, so they are enumerated once, as in `_two_means`. Among optima that are
    equal up to rounding, the lowest midpoint is selected.
    """
    points, which = np.unique(points, axis=0, return_inverse=True)
    weights = np.zeros((len(counts), len(points)))
    np.add.at(weights.T, which.ravel(), counts.T)
    origin = points.min(axis=0)
    at = points - origin
    span = np.maximum(at.max(axis=0), np.finfo(float).tiny)
    n, total = weights.sum(axis=1), weights @ at
    mean = total / n[:, None]
    tolerance = _SAME_OPTIMUM * (weights @ (at**2).sum(axis=1) - n * (mean**2).sum(axis=1))
    best_gain, best = np.full(len(weights), -np.inf), mean.copy()
    chunk = max(1, _CELLS_AT_ONCE // (len(at) + 1) // max(len(at), len(weights)))
    for start in range(0, len(at), chunk):
        is_left = _partitions(at, slice(start, start + chunk)).T.astype(float)
        n_left = weights @ is_left  # (n_draws, n_partitions)
        sum_left = np.stack([(weights * axis) @ is_left for axis in at.T], axis=-1)
        n_right, sum_right = n[:, None] - n_left, total[:, None] - sum_left
        split = (n_left > 0.5) & (n_right > 0.5)
        left = sum_left / np.where(split, n_left, 1.0)[..., None]
        right = sum_right / np.where(split, n_right, 1.0)[..., None]
        gain = ((left - right) ** 2).sum(axis=-1) * n_left * n_right / n[:, None]
        gain = np.column_stack([best_gain, np.where(split, gain, -np.inf)])
        midpoint = np.concatenate([best[:, None], (left + right) / 2], axis=1)
        chosen = _choose_lowest(gain, midpoint / span, tolerance)
        best_gain = np.take_along_axis(gain, chosen[:, None], axis=1)[:, 0]
        best = np.take_along_axis(midpoint, chosen[:, None, None], axis=1)[:, 0]
    return origin + best


def _choose_lowest(gain: np.ndarray, midpoint: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Return for each draw the index of the best gain; ties: the lowest arousal, then valence."""
    with np.errstate(invalid="ignore"):
        equal = gain >= (gain.max(axis=1) - tolerance)[:, None]
    for axis in (AROUSAL, VALENCE):
        values = np.where(equal, midpoint[..., axis], np.inf)
        equal &= values <= values.min(axis=1, keepdims=True) + _SAME_RATING
    return equal.argmax(axis=1)


def _partitions(at: np.ndarray, pivot: slice) -> np.ndarray:
    """Return the points on the left side of each line, boolean, shape (n_lines, m)."""
    starts_left, order = _turn_lines(at, pivot)
    rank = np.argsort(order, axis=1)
    n_pivots, m = rank.shape
    has_crossed = rank[:, None] < np.arange(m + 1)[:, None]
    is_left = starts_left[:, None] ^ has_crossed
    pivots = np.arange(m)[pivot]
    is_left[np.arange(n_pivots), :, pivots] = True  # the pivot is always on the left
    return np.unique(is_left.reshape(-1, m), axis=0)


def _lowest_midpoint(pairs: np.ndarray) -> int:
    """Return the index of the pair of centres, (n, 2, 2), with the lowest midpoint.

    Ties are resolved by the lower centre.
    """
    first, second = np.moveaxis(pairs[:, :, [AROUSAL, VALENCE]], 1, 0)
    step = first - second
    step[np.abs(step) <= _SAME_RATING] = 0.0
    first_is_lower = (step[:, 0] < 0) | ((step[:, 0] == 0) & (step[:, 1] <= 0))
    lower = np.where(first_is_lower[:, None], first, second)
    remaining = np.arange(len(pairs))
    for key in np.column_stack([(first + second) / 2, lower]).T:
        remaining = remaining[key[remaining] <= key[remaining].min() + _SAME_RATING]
    return int(remaining[0])


def check_ratings(ratings: object) -> np.ndarray:
    """Check ratings of valence and arousal.

    Parameters
    ----------
    ratings : DataFrame or array-like of shape (n, 2)
        Valence and arousal of each trial.

    Returns
    -------
    ndarray of float64 of shape (n, 2)
        Valence and arousal.

    Raises
    ------
    ValueError
        If an axis or a rating is missing or not finite.
    """
    both = (
        "the 2-means threshold uses valence and arousal, so both are needed: pass a DataFrame with "
        "columns 'valence' and 'arousal', or an array of shape (n, 2) with valence first"
    )
    if ratings is None:
        raise ValueError(f"The ratings are missing; {both}.")
    refuse_foreign_frame(ratings, AXES)
    if isinstance(ratings, pd.DataFrame):
        missing = [axis for axis in AXES if axis not in ratings.columns]
        if missing:
            raise ValueError(
                f"The ratings have no column {' and no column '.join(map(repr, missing))}; {both}. "
                f"Columns found: {[str(column) for column in ratings.columns[:10]]}."
            )
        ratings = ratings[list(AXES)]
    points = check_array(
        plain_numbers(ratings, "ratings", booleans=False),
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite=False,
        input_name="ratings",
    )
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"Got ratings of shape {points.shape}; {both}.")
    return as_copied(points)


def _digest(points: np.ndarray, ids: np.ndarray) -> pd.Series:
    """Return one SHA-256 digest for each subject's ratings; their order does not matter."""
    codes, subjects = pd.factorize(ids, sort=True)
    in_order = np.lexsort([*points.T, codes])
    ends = np.cumsum(np.bincount(codes))
    parts = np.split(points[in_order] + 0.0, ends[:-1])  # + 0.0 turns -0.0 into 0.0
    digests = [sha256(np.ascontiguousarray(part).data).hexdigest() for part in parts]
    return pd.Series(digests, index=pd.Index(subjects, name="subject"), name="ratings_digest")


@saved(
    "edaemo.SubjectThresholdRelabeler",
    "thresholds_",
    "centers_",
    "rating_span_",
    "class_balance_",
    "ratings_digest_",
    "n_features_in_",
)
class SubjectThresholdRelabeler(BaseEstimator):
    """Convert ratings to low and high labels, with a separate threshold for each subject.

    Subjects use a rating scale differently. A cut at the middle of the scale can label all trials
    of one subject high and all trials of another subject low. This class follows [1]_, section
    4.2, for each subject: 1. place the ratings in the plane of valence and arousal; 2. run 2-means;
    3. compute the midpoint of the two centres; 4. label a trial high (1) on an axis if its rating
    is above the midpoint, otherwise low (0).

    The partition is the global optimum of 2-means, found by enumerating all partitions by a line.
    The result depends neither on a random state nor on the order of the rows. Among equally
    good partitions (within 1e-12 of the scatter), the one with the lowest midpoint is selected,
    arousal before valence.

    One ``UserWarning`` each reports, for the selected target: ratings exactly on the threshold
    (they count as low; the tolerance is 1e-9 of ``rating_span_``); subjects who gave all trials the
    same ratings (that point is their threshold, and all labels are low); subjects whose centres
    are close on the target's axis; subjects with equally good partitions and different thresholds.

    Parameters
    ----------
    target : {"arousal", "valence", "both"}, default="arousal"
        Axis of the labels. "both" is one label per trial for the quadrant,
        ``2 * high arousal + high valence``: 0 LALV, 1 LAHV, 2 HALV, 3 HAHV.
    threshold : "subject" or float, default="subject"
        "subject": a threshold per subject, as above. A number: one threshold for all subjects on
        both axes, in the unit of the ratings; subject ids are then not needed.
    min_center_distance : float, default=0.1
        Warn about subjects whose two centres are closer than this on the target's axis (on either
        axis for "both"), as a share of ``rating_span_`` of the axis. The ratings of such a subject
        do not form a low and a high group on this axis. The threshold is still used; 0 never warns.

    Attributes
    ----------
    thresholds_ : DataFrame of shape (n_subjects, 2)
        Columns valence and arousal, in the unit of the ratings. The index is the subject
        ("everyone" for a numeric threshold that was fitted without subjects).
    centers_ : DataFrame of shape (2 * n_subjects, 2)
        The centres, indexed by subject and cluster: "low" and "high" on the target's axis
        (on arousal for "both"). Empty for a numeric threshold.
    rating_span_ : Series
        Highest minus lowest rating seen in fit, over all subjects, for valence and arousal.
    class_balance_ : DataFrame
        For valence and arousal: n, n_high and share_high among the ratings seen in fit.
    ratings_digest_ : Series of str
        SHA-256 digest of each subject's ratings seen in fit, indexed by subject. It does not
        depend on the order of the ratings and shows whether other ratings are the same.
    n_features_in_ : int
        Always 2.

    Notes
    -----
    Ratings are a DataFrame with columns ``valence`` and ``arousal``, in any order (other columns
    are ignored), or an array of shape (n, 2), valence first.

    The threshold of a test subject needs that subject's own ratings. It defines the target, and no
    feature is learned from it. But such a label is not available before the subject has rated.

    There is neither ``transform`` nor ``fit_transform``: if a step has them in addition to
    ``fit_resample``, imbalanced-learn's Pipeline refuses the step or uses them instead. A pipeline
    with this step predicts labels, so score it with
    :class:`~edaemo.model_selection.SubjectThresholdScorer`.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022).

    Examples
    --------
    >>> import pandas as pd
    >>> ratings = pd.DataFrame({"valence": [2, 3, 7, 8], "arousal": [1, 2, 8, 9]})
    >>> relabeler = SubjectThresholdRelabeler(target="arousal")
    >>> relabeler.fit_relabel(ratings, subject=["p1"] * 4)
    array([0, 0, 1, 1])
    >>> float(relabeler.thresholds_.loc["p1", "arousal"])
    5.0
    """

    n_features_in_: int
    rating_span_: pd.Series
    thresholds_: pd.DataFrame
    centers_: pd.DataFrame
    ratings_digest_: pd.Series
    class_balance_: pd.DataFrame

    if TYPE_CHECKING:

        def set_fit_request(
            self, *, ratings: Request = UNCHANGED, subject: Request = UNCHANGED
        ) -> Self:
            """Set which metadata `fit` requests."""

        def set_fit_resample_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set which metadata `fit_resample` requests."""

    # Metadata routing passes the ids without a set_…_request call by the user.
    __metadata_request__fit = {"subject": True}  # noqa: RUF012
    __metadata_request__fit_resample = {"subject": True}  # noqa: RUF012

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "target": [StrOptions({"arousal", "valence", "both"})],
        "threshold": [StrOptions({"subject"}), Interval(Real, None, None, closed="neither")],
        "min_center_distance": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        target: str = "arousal",
        *,
        threshold: str | float = "subject",
        min_center_distance: float = 0.1,
    ):
        self.target = target
        self.threshold = threshold
        self.min_center_distance = min_center_distance

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, ratings: object, y: None = None, *, subject: Sequence[Any] | None = None
    ) -> SubjectThresholdRelabeler:
        """Learn each subject's threshold.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial.
        y : None
            Ignored.
        subject : array-like of shape (n,), default=None
            Subject of each trial; None uses the ratings' column or index level ``subject``.

        Returns
        -------
        self
            The fitted relabeler.

        Raises
        ------
        ValueError
            If an axis or a rating is missing or not finite, if the subjects are unknown and
            needed, if the ratings are not the subjects' own (as in PMEmo's 2019 release), or if
            lengths differ.
        """
        points, ids = self._check(ratings, subject)
        with whole_or_nothing(self):
            self.n_features_in_ = len(AXES)
            self.rating_span_ = pd.Series(np.ptp(points, axis=0), index=list(AXES))
            self.thresholds_, self.centers_ = self._learn(points, ids)
            self.ratings_digest_ = _digest(points, ids)
            high = self._compare(points, ids, self.thresholds_) > 0
            self.class_balance_ = pd.DataFrame(
                {"n": len(high), "n_high": high.sum(axis=0), "share_high": high.mean(axis=0)},
                index=list(AXES),
            )
        return self

    def relabel(self, ratings: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Label ratings; subjects not seen in fit get a threshold from these ratings.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Subject of each trial; None uses the ratings' column or index level ``subject``.

        Returns
        -------
        labels : ndarray of int64 of shape (n,)
            Label of each trial.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            As in fit.
        """
        check_is_fitted(self)
        points, ids = self._check(ratings, subject)
        thresholds, centers = self.thresholds_, self.centers_
        new = thresholds.index.get_indexer(ids) < 0
        if new.any():
            learned = self._learn(points[new], ids[new])
            thresholds = pd.concat([thresholds, learned[0]])
            centers = pd.concat([centers, learned[1]]) if len(centers) else learned[1]
        side = self._compare(points, ids, thresholds)
        self._warn_of_ties(side, ids, centers)
        valence, arousal = (side > 0).astype(np.int64).T
        return {"valence": valence, "arousal": arousal, "both": 2 * arousal + valence}[self.target]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_relabel(self, ratings: object, *, subject: Sequence[Any] | None = None) -> np.ndarray:
        """Learn the thresholds and label the same ratings.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Subject of each trial; None uses the ratings' column or index level ``subject``.

        Returns
        -------
        labels : ndarray of int64 of shape (n,)
            Label of each trial.

        Raises
        ------
        ValueError
            As in fit, and if all trials get the same label.
        """
        with whole_or_nothing(self):
            labels = self.fit(ratings, subject=subject).relabel(ratings, subject=subject)
            if (labels == labels[0]).all():
                raise ValueError(
                    f"All {len(labels)} trials get the label {labels[0]} for target="
                    f"{self.target!r}, but a classifier needs two classes. Check that the ratings "
                    "vary, or use more trials, another target or another threshold."
                )
        return labels

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(
        self, X: object, y: object, subject: Sequence[Any] | None = None
    ) -> tuple[object, np.ndarray]:
        """Replace ratings by labels inside an ``imblearn.pipeline.Pipeline``.

        Parameters
        ----------
        X : array-like with n rows
            Any object; it is returned unchanged.
        y : DataFrame or array-like of shape (n, 2)
            The ratings, valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Subject of each trial. None uses the column or index level ``subject`` of X, or that of
            y if X has no such column. Without metadata routing, a Pipeline cannot pass this
            argument: keep the ids in the table.

        Returns
        -------
        X : array-like
            The same object.
        labels : ndarray of int64 of shape (n,)
            Label of each trial.

        Raises
        ------
        ValueError
            As in fit_relabel, and if X and y name different subjects for a row.
        """
        check_ratings(y)  # before find_ids reads the subjects from them
        return X, self.fit_relabel(y, subject=find_ids("subject", X, subject, ratings=y))

    def stability(
        self,
        ratings: object,
        *,
        subject: Sequence[Any] | None = None,
        n_draws: int = 200,
        random_state: int = 0,
    ) -> np.ndarray:
        """Compute how stable each trial's label is if the subject had rated other trials.

        Each draw takes as many of the subject's ratings as there are, with replacement, and
        computes their threshold. Trials near the threshold, and trials of a subject without two
        clear groups, change their label in many draws.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial: the ratings of `fit`, with all trials of each
            subject.
        subject : array-like of shape (n,), default=None
            Subject of each trial; None uses the ratings' column or index level ``subject``.
        n_draws : int, default=200
            Number of draws for each subject, at least 1.
        random_state : int, default=0
            Seed of the draws. Each subject has the same draws regardless of the other subjects.

        Returns
        -------
        ndarray of shape (n,)
            Share of the draws in which the trial keeps the label of `relabel`, from 0 to 1. 1 for a
            numeric threshold.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            As in fit, or if `n_draws` is below 1.
        """
        check_is_fitted(self)
        if n_draws < 1:
            raise ValueError(f"n_draws must be at least 1, got {n_draws}.")
        points, ids = self._check(ratings, subject)
        if self.threshold != "subject":
            return np.ones(len(points))
        axes = self._target_axes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # `relabel` gave them
            label = self.relabel(ratings, subject=subject)
        stable = np.empty(len(points))
        tolerance = _SAME_RATING * self.rating_span_.to_numpy()
        for rows in pd.Series(range(len(ids))).groupby(pd.factorize(ids)[0]).indices.values():
            rng = np.random.default_rng(random_state)
            counts = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=n_draws)
            midpoints = _midpoints_of_draws(points[rows], counts)
            is_high = points[rows] - midpoints[:, None] > tolerance
            drawn = is_high[..., axes[-1]].astype(int)
            if self.target == "both":
                drawn = 2 * is_high[..., AROUSAL] + is_high[..., VALENCE]
            stable[rows] = (drawn == label[rows]).mean(axis=0)
        return stable

    def separation(self, ratings: object, *, subject: Sequence[Any] | None = None) -> pd.DataFrame:
        """Compute how far the two centres of each subject are apart, in standard deviations.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial: the ratings of `fit`.
        subject : array-like of shape (n,), default=None
            Subject of each trial; None uses the ratings' column or index level ``subject``.

        Returns
        -------
        DataFrame of shape (n_subjects, 2)
            Columns valence and arousal, indexed by subject: distance of the centres on this axis,
            divided by the standard deviation of the ratings within the two groups (the root of
            their mean squared deviation from the nearest centre). 0 if the centres are equal;
            infinite if they differ and the ratings within the groups do not. No rows for a numeric
            threshold.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            As in fit, or if a subject was not in fit.
        """
        check_is_fitted(self)
        points, ids = self._check(ratings, subject)
        if self.threshold != "subject":
            return self.thresholds_.iloc[:0]
        codes, subjects = pd.factorize(ids, sort=True)
        unknown = subjects[self.thresholds_.index.get_indexer(subjects) < 0]
        if len(unknown):
            raise ValueError(f"These subjects were not in fit: {name_some(unknown)}.")
        of_fit = self.thresholds_.index.get_indexer(subjects)
        centers = self.centers_.to_numpy().reshape(-1, 2, 2)[of_fit]
        deviation = points[:, None] - centers[codes]  # (n, cluster, axis)
        nearest = (deviation**2).sum(axis=-1).argmin(axis=1)
        within = deviation[np.arange(len(points)), nearest] ** 2
        count = np.bincount(codes)
        spread = np.sqrt(np.stack([np.bincount(codes, axis) / count for axis in within.T], axis=1))
        apart = np.abs(centers[:, 0] - centers[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            separation = np.where(apart == 0, 0.0, apart / spread)
        index = pd.Index(subjects, name="subject")
        return pd.DataFrame(separation, index=index, columns=list(AXES))

    def _check(
        self, ratings: object, subject: Sequence[Any] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return finite ratings (n, 2) and the subject of each row."""
        # A loader sets this attribute if the ratings are not the listeners' own.
        why_not = getattr(ratings, "attrs", {}).get("relabelling")
        if why_not is not None and self.threshold == "subject":
            raise ValueError(f"A threshold by subject cannot be computed: {why_not}")
        points = check_ratings(ratings)
        needed_by = type(self).__name__ if self.threshold == "subject" else None
        ids = find_ids("subject", ratings, subject, needed_by=needed_by)
        if ids is None:
            ids = np.full(len(points), "everyone", dtype=object)
        bad = np.argwhere(~(np.abs(points) <= LARGEST))
        if len(bad):
            row, axis = bad[0]
            trial = name_trial(pd.DataFrame({"subject": ids}), int(row))
            raise ValueError(
                f"The {AXES[axis]} rating of {trial} is {points[row, axis]}. Remove the trials "
                "without a rating, in X as well."
            )
        return points, ids

    def _target_axes(self) -> list[int]:
        return [VALENCE, AROUSAL] if self.target == "both" else [AXES.index(self.target)]

    def _learn(self, points: np.ndarray, ids: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the thresholds and the centres of all subjects in ids; warn if they are weak."""
        codes, subjects = pd.factorize(ids, sort=True)
        subjects = pd.Index(subjects, name="subject")
        if self.threshold != "subject":
            subjects_of_centers, centers = subjects[:0], np.empty((0, 2))
            midpoints = np.full((len(subjects), 2), float(self.threshold))
        else:
            subjects_of_centers = subjects
            partitions = [self._two_groups(points[codes == code]) for code in range(len(subjects))]
            self._warn_of_weak_thresholds(partitions, subjects)
            # Sort low before high on the target's axis; on arousal for "both".
            axes = [self._target_axes()[-1], VALENCE, AROUSAL]
            centers = np.concatenate(
                [
                    sorted(groups.centers, key=lambda center: tuple(center[axes]))
                    for groups in partitions
                ]
            )
            midpoints = np.stack([groups.midpoint for groups in partitions])
        clusters = pd.MultiIndex.from_product(
            [subjects_of_centers, ["low", "high"]], names=["subject", "cluster"]
        )
        return (
            pd.DataFrame(midpoints, index=subjects, columns=list(AXES)),
            pd.DataFrame(centers, index=clusters, columns=list(AXES)),
        )

    @staticmethod
    def _two_groups(points: np.ndarray) -> _TwoMeans:
        if (points == points[0]).all():
            return _TwoMeans(points[[0, 0]], points[0], np.zeros(2, dtype=bool))
        return _two_means(points)

    def _compare(self, points: np.ndarray, ids: np.ndarray, thresholds: pd.DataFrame) -> np.ndarray:
        """Return 1, 0 or -1 for ratings above, on or below the threshold; shape (n, 2)."""
        above = points - thresholds.to_numpy()[thresholds.index.get_indexer(ids)]
        same = np.abs(above) <= _SAME_RATING * self.rating_span_.to_numpy()
        return np.where(same, 0, np.sign(above))

    def _warn_of_weak_thresholds(self, partitions: list[_TwoMeans], subjects: pd.Index) -> None:
        axes = self._target_axes()
        axes_text = " or ".join(AXES[axis] for axis in axes)
        apart = np.array([np.abs(np.subtract(*groups.centers)) for groups in partitions])
        single = (apart == 0).all(axis=1)
        if single.any():
            warnings.warn(
                f"{single.sum()} of {len(subjects)} subjects gave all trials the same ratings: "
                "they do not have two centres, and all their trials are low (0). Subjects: "
                f"{name_some(subjects[single])}.",
                UserWarning,
                stacklevel=2,
            )
        least = self.min_center_distance * self.rating_span_.to_numpy()
        close = ~single & (apart < least)[:, axes].any(axis=1)
        if close.any():
            warnings.warn(
                f"{close.sum()} of {len(subjects)} subjects have centres that are less than "
                f"{self.min_center_distance:g} of the range of all ratings apart on {axes_text}: "
                "their ratings do not form a low and a high group. Their threshold is still used. "
                f"Subjects: {name_some(subjects[close])}.",
                UserWarning,
                stacklevel=2,
            )
        ambiguous = np.array([groups.ambiguous[axes].any() for groups in partitions])
        if ambiguous.any():
            warnings.warn(
                f"{ambiguous.sum()} of {len(subjects)} subjects have several equally good 2-means "
                f"partitions with different thresholds on {axes_text}: the one with the lowest "
                "midpoint, arousal before valence, is used. Subjects: "
                f"{name_some(subjects[ambiguous])}.",
                UserWarning,
                stacklevel=2,
            )

    def _warn_of_ties(self, side: np.ndarray, ids: np.ndarray, centers: pd.DataFrame) -> None:
        subjects = centers.index.get_level_values("subject")[::2]
        low, high = centers.to_numpy()[::2], centers.to_numpy()[1::2]
        single = subjects[(low == high).all(axis=1)]  # _warn_of_weak_thresholds reports these
        on = (side == 0)[:, self._target_axes()].any(axis=1) & ~pd.Index(ids).isin(single)
        if on.any():
            axes_text = " or ".join(AXES[axis] for axis in self._target_axes())
            warnings.warn(
                f"{on.sum()} of {len(ids)} ratings are exactly on the {axes_text} threshold and "
                f"count as low (0). Subjects: {name_some(pd.unique(ids[on]))}.",
                UserWarning,
                stacklevel=2,
            )
