"""Features on each person's own scale."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._saved import saved
from edaemo._validation import (
    IDENTITY,
    find_ids,
    identity_index,
    name_some,
    name_trial,
    read_rows,
    signal_cells,
    whole_or_nothing,
)

# A column whose values differ by no more than this many units in the last place is constant.
_ROUNDING = 10


@saved(
    "edaemo.preprocessing.SubjectStandardizer",
    "means_",
    "scales_",
    "global_mean_",
    "global_scale_",
    "n_features_in_",
    "feature_names_in_",
)
class SubjectStandardizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardise the features of each person's trials by that person's own mean and spread.

    Column by column, ``(x - mean) / std`` with the mean and the standard deviation (dividing by n)
    over the person's own trials. Labels are not used. Level and range of skin conductance differ
    widely from person to person, so standardising within each person is common in
    psychophysiology [1]_.

    Parameters
    ----------
    unseen : {"self", "global", "error"}, default="self"
        What becomes of people who were not seen in `fit`; under GroupKFold that is every test
        person. "self": mean and standard deviation come from their own trials in the same call of
        `transform`. "global": the mean and standard deviation over the training trials. "error": an
        error that names them.
    min_trials : int, default=5
        Fewest trials, at least 2, that may set a person's scale. Whoever has fewer is
        standardised by ``global_mean_`` and ``global_scale_``, with one warning that names them. So
        a single trial of a new person never becomes a row of zeros.
    calibrate_on : int or None, default=None
        None: all trials of a person set the scale, so each trial's result depends on later ones. An
        integer k: the first k trials of a person, in training and among unseen people alike, set
        the scale for themselves and for all that follow; then it is frozen, as a live system has
        to. Whoever has fewer than k trials is treated as one with fewer than `min_trials`. At
        least `min_trials`.

    Attributes
    ----------
    means_ : DataFrame of shape (n_subjects, n_features)
        Mean of each person seen in `fit`, indexed by subject; the global one where a person had too
        few trials.
    scales_ : DataFrame of shape (n_subjects, n_features)
        What the differences from the mean are divided by, likewise.
    global_mean_ : ndarray of shape (n_features,)
        Mean over the trials seen in `fit`, all people together; with `calibrate_on`, over the first
        k of each person.
    global_scale_ : ndarray of shape (n_features,)
        Standard deviation over the same trials; 1 for a column that does not vary.
    n_features_in_ : int
        Number of columns seen in `fit`, without those that hold the identity.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X is a DataFrame and all names are strings.

    Notes
    -----
    **Transductive.** With ``unseen="self"`` and ``calibrate_on=None`` (the defaults), what comes
    out for a trial of an unseen person depends on which of the person's trials come together in one
    call. A score obtained so supposes that the person's whole session is known before the first
    answer is given. :attr:`transductive` tells, so that a table of results can mark it. With
    `calibrate_on`, give `transform` a new person's session from its beginning: the first k trials
    *of the call* set the scale.

    **Known people** keep what was learned in `fit`, whatever else of them comes later.

    **Order.** The first trials are those with the lowest ``trial``, where X has a column or an
    index level of that name: numbers or times that count through the session. Equal ones, and
    trials of an array, are taken in the order of the rows.

    **Constant columns.** A column that does not vary, beyond rounding, over the trials that set a
    person's scale is divided by ``global_scale_``; the mean remains the person's own.

    **Subjects** come from ``subject=``, else from the column or the index level ``subject`` of X;
    without them there is an error, in `fit` and in `transform`. When scikit-learn's named scorers
    (``scoring="accuracy"``) predict the test fold, ``subject=`` does not arrive here, so arrays are
    an error there. A frame whose index has the subjects, as :class:`edaemo.MusicFeatureUnion`
    makes, works with every scorer, with metadata routing and without.

    References
    ----------
    .. [1] G. Ben-Shakhar, "Standardization within individuals: a simple method to neutralize
       individual differences in skin conductance", Psychophysiology 22 (1985), 292-299.

    Examples
    --------
    >>> level = np.array([[1.0], [3.0], [20.0], [24.0]])
    >>> standardizer = SubjectStandardizer(min_trials=2)
    >>> standardizer.fit_transform(level, subject=["a", "a", "b", "b"]).ravel()
    array([-1.,  1., -1.,  1.])
    >>> standardizer.transform([[5.0]], subject=["a"])  # a person seen in fit: mean 2, std 1
    array([[3.]])
    >>> standardizer.transform([[7.0], [9.0]], subject=["c", "c"]).ravel()  # a new one
    array([-1.,  1.])
    >>> standardizer.transductive
    True
    """

    # Routing hands the ids over with no call by the user. As the two requests are the same, they
    # compose for fit_transform.
    __metadata_request__fit = {"subject": True}  # noqa: RUF012
    __metadata_request__transform = {"subject": True}  # noqa: RUF012

    _parameter_constraints: dict = {  # noqa: RUF012
        "unseen": [StrOptions({"self", "global", "error"})],
        "min_trials": [Interval(Integral, 2, None, closed="left")],
        "calibrate_on": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self, *, unseen: str = "self", min_trials: int = 5, calibrate_on: int | None = None
    ):
        self.unseen = unseen
        self.min_trials = min_trials
        self.calibrate_on = calibrate_on

    @property
    def transductive(self) -> bool:
        """Whether what an unseen person's trial becomes depends on all that come with it."""
        return self.unseen == "self" and self.calibrate_on is None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None, *, subject: Sequence | None = None) -> Self:
        """Learn each person's mean and scale.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_trials, n_features)
            Finite numbers. Columns subject, stimulus and trial of a DataFrame are no features.
        y : None
            Ignored.
        subject : array-like of shape (n_trials,), default=None
            Whose trial it is; when None, the column or index level ``subject`` of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is anything but finite numbers, the subjects are unknown, missing or not as many as
            rows, `calibrate_on` is below `min_trials`, or the trials' order is needed and unclear.
        """
        if self.calibrate_on is not None and self.calibrate_on < self.min_trials:
            raise ValueError(
                f"calibrate_on={self.calibrate_on} trials are to set a person's scale, fewer than "
                f"min_trials={self.min_trials}: raise the one or lower the other."
            )
        with whole_or_nothing(self):
            values, ids, columns, _ = self._read(X, subject, reset=True)
            subjects, rows_of = self._sessions(X, ids)
            pooled = np.concatenate([rows[: self.calibrate_on] for rows in rows_of])
            self.global_mean_, spread = _mean_and_spread(values[pooled])
            self.global_scale_ = np.where(spread > 0, spread, 1.0)
            means, scales = self._learn(values, subjects, rows_of)
            self.means_ = pd.DataFrame(means, index=subjects, columns=columns, copy=False)
            self.scales_ = pd.DataFrame(scales, index=subjects, columns=columns, copy=False)
        return self

    def transform(self, X: object, *, subject: Sequence | None = None) -> object:
        """Standardise each person's trials.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_trials, n_features)
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            Whose trial it is; when None, the column or index level ``subject`` of X.

        Returns
        -------
        DataFrame or ndarray of shape (n_trials, n_features)
            float32 for float32, else float64. A frame where X is one whose index or columns hold
            subject, stimulus or trial: with the same index, or one made of those columns. Otherwise
            an array, or what ``set_output`` says.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As in `fit`, and for people not seen in `fit` with ``unseen="error"``.
        """
        check_is_fitted(self)
        values, ids, columns, index = self._read(X, subject, reset=False)
        subjects, rows_of = self._sessions(X, ids)
        means, scales = self._scales_for(values, subjects, rows_of)
        standardized = np.empty_like(values)
        for rows, mean, scale in zip(rows_of, means, scales, strict=True):
            standardized[rows] = (values[rows] - mean) / scale
        if index is None:
            return standardized
        return pd.DataFrame(standardized, index=index, columns=columns, copy=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(
        self, X: object, y: object = None, *, subject: Sequence | None = None
    ) -> object:
        """Fit, and standardise the same trials; see `fit` and `transform`."""
        with whole_or_nothing(self):
            return self.fit(X, subject=subject).transform(X, subject=subject)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _read(
        self, X: object, subject: Sequence | None, *, reset: bool
    ) -> tuple[np.ndarray, np.ndarray, pd.Index | None, pd.Index | None]:
        """Return the numbers, whose they are, their columns, and the index that the output gets."""
        if signal_cells(X) is not None:
            raise ValueError(
                "SubjectStandardizer takes numbers, and X has signals in its cells. Make features "
                "of the signals first, with MusicFeatureUnion for example."
            )
        features, index = _part(X)
        values = read_rows(self, features, reset=reset, dtype=None)
        ids = find_ids("subject", X, subject, needed_by=type(self).__name__)
        return values, ids, getattr(features, "columns", None), index

    def _sessions(self, X: object, ids: np.ndarray) -> tuple[pd.Index, list[np.ndarray]]:
        """Return the people, sorted, and the rows of each one's trials, in the order of time."""
        codes, subjects = pd.factorize(ids, sort=True)
        keys = [codes]
        if self.calibrate_on is not None and (trial := _place_in_session(X)) is not None:
            keys = [trial, codes]
        ends = np.cumsum(np.bincount(codes))
        return pd.Index(subjects, name="subject"), np.split(np.lexsort(keys), ends[:-1])

    def _learn(
        self, values: np.ndarray, subjects: pd.Index, rows_of: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each person, shape (n_subjects, n_features), and warn."""
        means = np.tile(self.global_mean_, (len(subjects), 1))
        scales = np.tile(self.global_scale_, (len(subjects), 1))
        needed = self.calibrate_on or self.min_trials
        few = np.array([len(rows) < needed for rows in rows_of])
        for person in np.flatnonzero(~few):
            setting = values[rows_of[person][: self.calibrate_on]]
            means[person], spread = _mean_and_spread(setting)
            np.copyto(scales[person], spread, where=spread > 0)
        if few.any():
            warnings.warn(
                f"{few.sum()} of {len(subjects)} subjects have fewer than {needed} trials to set "
                "their own scale: they are standardised by the mean and standard deviation of the "
                f"training trials. Subjects: {name_some(subjects[few])}.",
                UserWarning,
                stacklevel=2,
            )
        return means, scales

    def _scales_for(
        self, values: np.ndarray, subjects: pd.Index, rows_of: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of people seen in fit, and of others as `unseen` says."""
        place = self.means_.index.get_indexer(subjects)
        new = place < 0
        if new.any() and self.unseen == "error":
            raise ValueError(
                f"{new.sum()} of {len(subjects)} subjects were not seen in fit: "
                f"{name_some(subjects[new])}. Leave them out, or set unseen='self' or 'global'."
            )
        means, scales = self.means_.to_numpy()[place], self.scales_.to_numpy()[place]
        if new.any() and self.unseen == "self":
            sessions = [rows_of[person] for person in np.flatnonzero(new)]
            means[new], scales[new] = self._learn(values, subjects[new], sessions)
        elif new.any():
            means[new], scales[new] = self.global_mean_, self.global_scale_
        return means, scales


def _part(X: object) -> tuple[object, pd.Index | None]:
    """Part X into its features and, where it is a frame that knows identities, their index."""
    if not isinstance(X, pd.DataFrame):
        return X, None
    columns = [key for key in IDENTITY if key in X.columns]
    if not columns:
        return X, X.index if set(IDENTITY) & set(X.index.names) else None
    return X.drop(columns=columns), identity_index(X)


def _place_in_session(X: object) -> np.ndarray | None:
    """Return the rank of each row's trial, or None where X does not know it."""
    trial = find_ids("trial", X, may_miss=True)
    if trial is None:
        return None
    trial = pd.Series(trial).infer_objects()
    if trial.isna().any():
        row = int(np.flatnonzero(trial.isna())[0])
        raise ValueError(f"{name_trial(X, row)}: trial is missing, so its order is unknown.")
    known = pd.api.types.is_numeric_dtype, pd.api.types.is_datetime64_any_dtype
    if not any(is_ordered(trial) for is_ordered in known):
        raise ValueError(
            f"calibrate_on needs the order of each person's trials, and trial holds "
            f"{trial.iloc[0]!r}: give numbers or times that count through the session."
        )
    return pd.factorize(trial, sort=True)[0]


def _mean_and_spread(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column, float64; 0 if it does not vary."""
    resolution = _ROUNDING * np.finfo(rows.dtype).eps * np.abs(rows).max(axis=0)
    constant = np.ptp(rows, axis=0) <= resolution
    # Measured from the lowest value, a constant column has exactly its value as mean.
    origin = rows.min(axis=0).astype(np.float64)
    above = rows - origin
    return origin + above.mean(axis=0), np.where(constant, 0.0, above.std(axis=0))
