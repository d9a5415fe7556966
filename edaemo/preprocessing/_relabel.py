"""High and low labels from a person's own ratings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from hashlib import sha256
from numbers import Real
from typing import NamedTuple

import imblearn.base  # noqa: F401  (tells scikit-learn's routing of the method fit_resample)
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._saved import saved
from edaemo._validation import (
    LARGEST,
    as_copied,
    find_ids,
    name_some,
    name_trial,
    plain_numbers,
    refuse_foreign_frame,
    whole_or_nothing,
)

AXES = ("valence", "arousal")
VALENCE, AROUSAL = range(2)

# Sums of decimal ratings are rounded, so the same is what differs by no more than this:
_SAME_RATING = 1e-9  # of the span of the ratings
_SAME_OPTIMUM = 1e-12  # of the scatter of the ratings

_CELLS_AT_ONCE = 2**17  # lines summed up together: some 30 MB


class _TwoMeans(NamedTuple):
    """The best partition of a person's ratings into two."""

    centers: np.ndarray
    midpoint: np.ndarray
    ambiguous: np.ndarray  # for each axis: has an equally good partition its midpoint elsewhere?


def _two_means(points: np.ndarray, weights: np.ndarray | None = None) -> _TwoMeans:
    """Find the global optimum of 2-means in the plane.

    The two sides of an optimum are separated by a line, which can be moved in parallel until it
    touches a point of the side on its left. So every candidate is a point together with what lies
    left of a line through it; turning the line by half a circle moves the other points across it
    one after another, in the order of their angle, and running sums give each partition's centres.
    With m distinct points these are m (m + 1) candidates in O(m^2 log m).

    Among optima that are equal to rounding, the one with the lowest midpoint is taken, arousal
    first, then valence, then the same of its lower centre.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Valence and arousal; at least two distinct points.
    weights : ndarray of shape (n,), default=None
        How often each point was given; once when None.

    Returns
    -------
    _TwoMeans
        ``centers`` of shape (2, 2), ``midpoint`` and ``ambiguous`` of shape (2,).
    """
    points = np.asarray(points, dtype=float)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=float)
    points, which = np.unique(points, axis=0, return_inverse=True)
    weights = np.bincount(which.ravel(), weights)
    # Measured from the lowest ratings, an axis without variation stays exactly so.
    origin = points.min(axis=0)
    at = points - origin
    span = at.max()
    n, total = weights.sum(), weights @ at
    scatter = weights @ ((at - total / n) ** 2).sum(axis=1)

    best, found = -np.inf, []
    chunk = max(1, _CELLS_AT_ONCE // len(at))
    for start in range(0, len(at), chunk):
        pivot = slice(start, start + chunk)
        n_left, sum_left = _left_of_lines(at, weights, pivot)
        n_right = n - n_left
        with np.errstate(invalid="ignore", divide="ignore"):
            left = sum_left / n_left[..., None]
            right = (total - sum_left) / n_right[..., None]
            gain = ((left - right) ** 2).sum(axis=-1) * n_left * n_right / n
        # A side without points is none; half a weight keeps rounding out of the comparison.
        gain[n_right < weights.min() / 2] = -np.inf
        best = max(best, gain.max())
        kept = gain >= best - _SAME_OPTIMUM * scatter
        found.append((gain[kept], left[kept], right[kept]))

    gain, left, right = (np.concatenate(part) for part in zip(*found, strict=True))
    equal = gain >= best - _SAME_OPTIMUM * scatter
    pair = np.stack([left[equal], right[equal]], axis=1)
    ambiguous = np.ptp(pair.mean(axis=1), axis=0) > _SAME_RATING * span

    best_pair = pair[_lowest_midpoint(pair / span)]
    distance = ((at[:, None] - best_pair) ** 2).sum(axis=-1)
    side = distance.argmin(axis=1)  # in an optimum no point is as near to the other centre
    centers = np.stack(
        [np.average(at[side == k], axis=0, weights=weights[side == k]) for k in (0, 1)]
    )
    return _TwoMeans(origin + centers, origin + centers.mean(axis=0), ambiguous)


def _left_of_lines(
    at: np.ndarray, weights: np.ndarray, pivot: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Sum up each pivot with the points left of a line through it, while the line turns.

    Returns the weight, (n_pivots, m + 1), and the weighted sum of the points, (n_pivots, m + 1, 2).
    """
    x, y = np.moveaxis(at - at[pivot, None], -1, 0)
    starts_left = (y > 0) | ((y == 0) & (x > 0))
    sign = np.where(starts_left, 1.0, -1.0)
    order = np.argsort(np.arctan2(sign * y, sign * x), axis=1, kind="stable")

    own = np.arange(len(at))[pivot]
    weight = np.tile(weights, (len(own), 1))
    weight[np.arange(len(own)), own] = 0.0  # the pivot itself never crosses the line
    mass = weight[..., None] * np.column_stack([np.ones(len(at)), at])
    at_start = (mass * starts_left[..., None]).sum(axis=1)
    at_start += weights[pivot, None] * np.column_stack([np.ones(len(own)), at[pivot]])
    crossing = np.take_along_axis(-sign[..., None] * mass, order[..., None], axis=1)
    sums = np.concatenate([at_start[:, None], crossing], axis=1).cumsum(axis=1)
    return sums[..., 0], sums[..., 1:]


def _lowest_midpoint(pairs: np.ndarray) -> int:
    """Choose among pairs of centres, (n, 2, 2), by midpoint, then by the lower centre."""
    one, other = np.moveaxis(pairs[:, :, [AROUSAL, VALENCE]], 1, 0)
    step = one - other
    step[np.abs(step) <= _SAME_RATING] = 0.0
    one_is_lower = (step[:, 0] < 0) | ((step[:, 0] == 0) & (step[:, 1] <= 0))
    lower = np.where(one_is_lower[:, None], one, other)
    left = np.arange(len(pairs))
    for key in np.column_stack([(one + other) / 2, lower]).T:
        left = left[key[left] <= key[left].min() + _SAME_RATING]
    return int(left[0])


def check_ratings(ratings: object) -> np.ndarray:
    """Return ratings as floats of shape (n, 2): valence, arousal."""
    both = (
        "the 2-means threshold lies in the plane of valence and arousal, so both are needed: a "
        "DataFrame with columns 'valence' and 'arousal', or an array of shape (n, 2) with valence "
        "first"
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
    """Return one SHA-256 for each person's ratings; their order does not matter."""
    codes, subjects = pd.factorize(ids, sort=True)
    in_order = np.lexsort([*points.T, codes])
    ends = np.cumsum(np.bincount(codes))
    parts = np.split(points[in_order] + 0.0, ends[:-1])  # 0.0 makes -0.0 the same as 0.0
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
    """Turn a person's ratings into low and high, with a threshold of that person's own.

    People use a rating scale differently, so one cut in its middle calls all of one person's
    trials high and all of another's low. The four steps of [1]_, section 4.2, for each person: put
    the ratings into the plane of valence and arousal; run 2-means; take the midpoint of the two
    centres; a trial is high (1) on an axis where its rating is above the midpoint, else low (0).

    The partition is the global optimum of 2-means, found by going through all partitions that a
    line can make: there is no random start, and the order of the rows has no influence. Where
    several partitions are equally good (within 1e-12 of the scatter), the one with the lowest
    midpoint is taken, arousal before valence.

    Four things about the chosen target are told by one ``UserWarning`` each: ratings exactly on
    the threshold (they count as low; "exactly" allows for rounding, 1e-9 of ``rating_span_``);
    people who gave all trials the same ratings (that point is their threshold, all is low); people
    whose centres are close on the target's axis; people with equally good partitions that have
    another threshold.

    Parameters
    ----------
    target : {"arousal", "valence", "both"}, default="arousal"
        What the labels say. "both" is one label per trial for the quadrant,
        ``2 * high arousal + high valence``: 0 LALV, 1 LAHV, 2 HALV, 3 HAHV.
    threshold : "subject" or float, default="subject"
        "subject" is the above. A number is one threshold for everybody on both axes, in the unit
        of the ratings; then no subjects are needed.
    min_center_distance : float, default=0.1
        Warn of people whose two centres are less than this far apart on the target's axis (on
        either axis for "both"), as a share of ``rating_span_`` there: their ratings do not fall
        into a low and a high group on this axis. Their threshold stays; 0 never warns.

    Attributes
    ----------
    thresholds_ : DataFrame of shape (n_subjects, 2)
        Columns valence and arousal, in the unit of the ratings; the index is the subject
        ("everyone" where a numeric threshold was fitted without subjects).
    centers_ : DataFrame of shape (2 * n_subjects, 2)
        The centres, indexed by subject and cluster, "low" and "high" on the target's axis
        (on arousal for "both"). Without rows for a numeric threshold.
    rating_span_ : Series
        Highest minus lowest rating seen in fit, over all people, on valence and on arousal.
    class_balance_ : DataFrame
        For valence and arousal: n, n_high and share_high among the ratings seen in fit.
    ratings_digest_ : Series of str
        SHA-256 of each person's ratings seen in fit, in whatever order they came, indexed by
        subject: whether others are the same ratings.
    n_features_in_ : int
        Always 2.

    Notes
    -----
    Ratings are a DataFrame with columns ``valence`` and ``arousal`` (others are ignored, their
    order does not matter) or an array of shape (n, 2), valence first.

    A test person's threshold needs that person's own ratings. This defines the target; no feature
    learns from it, but nobody has such a label before the person has rated.

    There is neither ``transform`` nor ``fit_transform``: imbalanced-learn's Pipeline refuses or
    prefers them beside ``fit_resample``. A pipeline that contains this step predicts labels, so it
    is scored with :class:`~edaemo.model_selection.SubjectThresholdScorer`.

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

    # Routing hands the ids over with no call by the user.
    __metadata_request__fit = {"subject": True}  # noqa: RUF012
    __metadata_request__fit_resample = {"subject": True}  # noqa: RUF012

    _parameter_constraints: dict = {  # noqa: RUF012
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
        self, ratings: object, y: None = None, *, subject: Sequence | None = None
    ) -> SubjectThresholdRelabeler:
        """Learn each person's threshold.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial.
        y : None
            Ignored.
        subject : array-like of shape (n,), default=None
            Whose trial it is; when None, the ratings' column or index level ``subject``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an axis or a rating is missing or not finite, if the subjects are unknown and
            needed, if the ratings are not the subjects' own (as of PMEmo's 2019 release), or if
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

    def relabel(self, ratings: object, *, subject: Sequence | None = None) -> np.ndarray:
        """Label ratings: people seen in fit by their threshold, others by one from these ratings.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Whose trial it is; when None, the ratings' column or index level ``subject``.

        Returns
        -------
        labels : ndarray of int64 of shape (n,)

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
    def fit_relabel(self, ratings: object, *, subject: Sequence | None = None) -> np.ndarray:
        """Learn the thresholds and label the same ratings.

        Parameters
        ----------
        ratings : DataFrame or array-like of shape (n, 2)
            Valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Whose trial it is; when None, the ratings' column or index level ``subject``.

        Returns
        -------
        labels : ndarray of int64 of shape (n,)

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
                    f"{self.target!r}, and a classifier needs two classes. Check that the ratings "
                    "vary, or take more trials, another target or another threshold."
                )
        return labels

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(
        self, X: object, y: object, subject: Sequence | None = None
    ) -> tuple[object, np.ndarray]:
        """Replace ratings by labels inside an ``imblearn.pipeline.Pipeline``.

        Parameters
        ----------
        X : array-like with n rows
            Anything; comes out as it went in.
        y : DataFrame or array-like of shape (n, 2)
            The ratings, valence and arousal of each trial.
        subject : array-like of shape (n,), default=None
            Whose trial it is. When None, the column or index level ``subject`` of X, else of y.
            Without metadata routing, a Pipeline cannot hand this over: leave the ids in the table.

        Returns
        -------
        X : array-like
            The same object.
        labels : ndarray of int64 of shape (n,)

        Raises
        ------
        ValueError
            As in fit_relabel, and if X and y name different subjects for a row.
        """
        check_ratings(y)  # before they are asked for subjects
        return X, self.fit_relabel(y, subject=find_ids("subject", X, subject, ratings=y))

    def _check(self, ratings: object, subject: Sequence | None) -> tuple[np.ndarray, np.ndarray]:
        """Return finite points (n, 2) and the subject of each."""
        # A loader says so of ratings that are not the listeners' own.
        why_not = getattr(ratings, "attrs", {}).get("relabelling")
        if why_not is not None and self.threshold == "subject":
            raise ValueError(f"There is no threshold by subject: {why_not}")
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
                f"The {AXES[axis]} rating of {trial} is {points[row, axis]}. Drop the trials "
                "without a rating, in X as well."
            )
        return points, ids

    def _target_axes(self) -> list[int]:
        return [VALENCE, AROUSAL] if self.target == "both" else [AXES.index(self.target)]

    def _learn(self, points: np.ndarray, ids: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the thresholds and the centres of all people in ids, and warn."""
        codes, subjects = pd.factorize(ids, sort=True)
        subjects = pd.Index(subjects, name="subject")
        if self.threshold != "subject":
            subjects_of_centers, centers = subjects[:0], np.empty((0, 2))
            midpoints = np.full((len(subjects), 2), float(self.threshold))
        else:
            subjects_of_centers = subjects
            found = [self._two_groups(points[codes == code]) for code in range(len(subjects))]
            self._warn_of_weak_thresholds(found, subjects)
            # Low before high on the target's axis; on arousal for "both".
            axes = [self._target_axes()[-1], VALENCE, AROUSAL]
            centers = np.concatenate(
                [sorted(one.centers, key=lambda center: tuple(center[axes])) for one in found]
            )
            midpoints = np.stack([one.midpoint for one in found])
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
        """Return 1, 0 or -1 for ratings above, on and below the threshold; shape (n, 2)."""
        above = points - thresholds.to_numpy()[thresholds.index.get_indexer(ids)]
        same = np.abs(above) <= _SAME_RATING * self.rating_span_.to_numpy()
        return np.where(same, 0, np.sign(above))

    def _warn_of_weak_thresholds(self, found: list[_TwoMeans], subjects: pd.Index) -> None:
        axes = self._target_axes()
        said = " or ".join(AXES[axis] for axis in axes)
        apart = np.array([np.abs(np.subtract(*one.centers)) for one in found])
        single = (apart == 0).all(axis=1)
        if single.any():
            warnings.warn(
                f"{single.sum()} of {len(subjects)} subjects gave all trials the same ratings: "
                "they have no two centres, and all their trials are labelled low (0). Subjects: "
                f"{name_some(subjects[single])}.",
                UserWarning,
                stacklevel=2,
            )
        least = self.min_center_distance * self.rating_span_.to_numpy()
        close = ~single & (apart < least)[:, axes].any(axis=1)
        if close.any():
            warnings.warn(
                f"{close.sum()} of {len(subjects)} subjects have centres that are less than "
                f"{self.min_center_distance:g} of the range of all ratings apart on {said}: their "
                "ratings do not fall into a low and a high group there. They keep their threshold. "
                f"Subjects: {name_some(subjects[close])}.",
                UserWarning,
                stacklevel=2,
            )
        ambiguous = np.array([one.ambiguous[axes].any() for one in found])
        if ambiguous.any():
            warnings.warn(
                f"{ambiguous.sum()} of {len(subjects)} subjects have several equally good 2-means "
                f"partitions with different thresholds on {said}: the one with the lowest "
                "midpoint, arousal before valence, was taken. Subjects: "
                f"{name_some(subjects[ambiguous])}.",
                UserWarning,
                stacklevel=2,
            )

    def _warn_of_ties(self, side: np.ndarray, ids: np.ndarray, centers: pd.DataFrame) -> None:
        subjects = centers.index.get_level_values("subject")[::2]
        low, high = centers.to_numpy()[::2], centers.to_numpy()[1::2]
        single = subjects[(low == high).all(axis=1)]  # told of when their threshold was learned
        on = (side == 0)[:, self._target_axes()].any(axis=1) & ~pd.Index(ids).isin(single)
        if on.any():
            said = " or ".join(AXES[axis] for axis in self._target_axes())
            warnings.warn(
                f"{on.sum()} of {len(ids)} ratings lie exactly on the {said} threshold and count "
                f"as low (0). Subjects: {name_some(pd.unique(ids[on]))}.",
                UserWarning,
                stacklevel=2,
            )
