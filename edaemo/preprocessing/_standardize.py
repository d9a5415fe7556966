"""Standardisation of features or signals within each subject."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._ids import name_some
from edaemo._saved import saved
from edaemo._sklearn import (
    UNCHANGED,
    BaseEstimator,
    OneToOneFeatureMixin,
    Request,
    TransformerMixin,
)
from edaemo._validation import (
    IDENTITY,
    find_ids,
    is_trials_table,
    name_trial,
    output_index,
    read_cell,
    read_rows,
    signal_cells,
    trial_order,
    whole_or_nothing,
)

# A column whose values differ by at most this many units in the last place counts as constant.
_ROUNDING = 10
_SCALES = "z", "range", "shift"


@saved(
    "edaemo.preprocessing.SubjectStandardizer",
    "means_",
    "scales_",
    "global_mean_",
    "global_scale_",
    "n_features_in_",
    "feature_names_in_",
    "_of_signals",
)
class SubjectStandardizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardise features or signals by the scale of each subject's own trials.

    By default each column becomes ``(x - mean) / std``, with the mean and the standard deviation
    (dividing by n) over the subject's own trials. Labels are not used. Level and range of skin
    conductance differ widely between subjects, so standardisation within subjects is common in
    psychophysiology [1]_.

    Parameters
    ----------
    unseen : {"self", "global", "error"}, default="self"
        Treatment of subjects that were not seen in `fit`; under GroupKFold these are all test
        subjects. "self": use the mean and standard deviation of their own trials in the same call
        of `transform`. "global": use the mean and standard deviation of the training trials.
        "error": an error that names the subjects.
    min_trials : int, default=5
        Minimum number of trials, at least 2, to compute a subject's scale. Subjects with fewer
        trials are standardised by ``global_mean_`` and ``global_scale_``, with one warning that
        names them. A single trial of a new subject therefore never becomes a row of zeros.
    calibrate_on : int or None, default=None
        None: all trials of a subject set the scale, so each trial's result depends on later trials.
        An integer k: the first k trials of a subject (seen or unseen) set the scale for all of the
        subject's trials; later trials do not change it, as in a live system. Subjects with fewer
        than k trials are treated like those with fewer than `min_trials`. Must be at least
        `min_trials`.
    scale : {"z", "range", "shift"}, default="z"
        "z": subtract the mean and divide by the standard deviation. "range": subtract the minimum
        and divide by maximum minus minimum, the range correction of Lykken et al. [2]_. "shift":
        subtract the mean only; with `rest`, the change from the resting baseline.
    rest : sequence or None, default=None
        Stimuli of the resting stage, such as ``("Baseline",)``. Only trials with these stimuli set
        a subject's scale, so that it does not depend on the trials to be predicted. One such trial
        is enough. None: trials set the scale regardless of their stimulus.

    Attributes
    ----------
    means_ : DataFrame of shape (n_subjects, n_features)
        What is subtracted for each subject seen in `fit` (mean, or minimum for "range"), indexed by
        subject; ``global_mean_`` if the subject has too few trials.
    scales_ : DataFrame of shape (n_subjects, n_features)
        Divisor of each subject seen in `fit`, indexed by subject; ``global_scale_`` if the subject
        has too few trials.
    global_mean_ : ndarray of shape (n_features,)
        The same over the trials of all subjects seen in `fit`; with `calibrate_on`, over the first
        k trials of each subject; with `rest`, over the resting trials.
    global_scale_ : ndarray of shape (n_features,)
        Divisor over the same trials; 1 for a constant column and for "shift".
    n_features_in_ : int
        Number of columns seen in `fit`, without columns of ids (subject, stimulus, trial); for
        signals, the number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X is a DataFrame and all names are strings.

    Notes
    -----
    **Signals.** X may also hold a signal of each trial: a trials table (its column ``eda``), or a
    Series or object array of signals, each of shape (n_samples,) or (n_channels, n_samples). Each
    channel is then a feature, and all samples of the trials that set a scale count, so that the
    level of a trial on the subject's scale remains. NaN samples are ignored and stay NaN.

    **Which trials set the scale** of an unseen subject is the value of :attr:`scale_from`: all
    trials of the call (transductive), the first k of them (calibrated; leave them out of the
    scores), the resting trials, or the training trials.

    **Transductive.** With ``unseen="self"`` and ``calibrate_on=None`` (the defaults), the result
    for a trial of an unseen subject depends on the subject's other trials in the same call. A score
    computed this way assumes that the subject's whole session is known before the first
    prediction. :attr:`transductive` is True then, so that a table of results can mark it. With
    `calibrate_on`, pass a new subject's session to `transform` from its beginning: the first k
    trials *of the call* set the scale.

    **Seen subjects** keep the values learned in `fit`; later trials do not change them.

    **Order.** The first trials are those with the lowest ``trial``, if X has a column or an index
    level of that name. It must hold numbers or times that increase during the session. Trials with
    equal values, and trials of an array, are in the order of the rows.

    **Constant columns.** A column that is constant, up to rounding, over the trials that set a
    subject's scale is divided by ``global_scale_``; the mean is still the subject's own.

    **Subjects** are read from ``subject=``, or from the column or the index level ``subject`` of X.
    `fit` and `transform` raise an error without them. When scikit-learn's named scorers
    (``scoring="accuracy"``) predict the test fold, they do not pass ``subject=``, so arrays raise
    an error. A DataFrame with the subjects in its index, such as the output of
    :class:`edaemo.MusicFeatureUnion`, works with every scorer, with and without metadata routing.

    References
    ----------
    .. [1] G. Ben-Shakhar, "Standardization within individuals: a simple method to neutralize
       individual differences in skin conductance", Psychophysiology 22 (1985), 292-299.
    .. [2] D. T. Lykken, R. Rose, B. Luther, M. Maley, "Correcting psychophysiological measures for
       individual differences in range", Psychological Bulletin 66 (1966), 481-484.

    Examples
    --------
    >>> level = np.array([[1.0], [3.0], [20.0], [24.0]])
    >>> standardizer = SubjectStandardizer(min_trials=2)
    >>> standardizer.fit_transform(level, subject=["a", "a", "b", "b"]).ravel()
    array([-1.,  1., -1.,  1.])
    >>> standardizer.transform([[5.0]], subject=["a"])  # a subject seen in fit: mean 2, std 1
    array([[3.]])
    >>> standardizer.transform([[7.0], [9.0]], subject=["c", "c"]).ravel()  # a new subject
    array([-1.,  1.])
    >>> standardizer.transductive
    True
    """

    means_: pd.DataFrame
    scales_: pd.DataFrame
    global_mean_: np.ndarray
    global_scale_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray
    _of_signals: bool

    if TYPE_CHECKING:

        def set_fit_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set whether `fit` requests the subjects."""

        def set_partial_fit_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set whether `partial_fit` requests the subjects."""

        def set_transform_request(self, *, subject: Request = UNCHANGED) -> Self:
            """Set whether `transform` requests the subjects."""

    # Metadata routing passes the ids without a set_…_request call by the user. The requests of fit
    # and transform are equal, so fit_transform can use both.
    __metadata_request__fit = {"subject": True}  # noqa: RUF012
    __metadata_request__partial_fit = {"subject": True}  # noqa: RUF012
    __metadata_request__transform = {"subject": True}  # noqa: RUF012

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "unseen": [StrOptions({"self", "global", "error"})],
        "min_trials": [Interval(Integral, 2, None, closed="left")],
        "calibrate_on": [Interval(Integral, 2, None, closed="left"), None],
        "scale": [StrOptions({*_SCALES})],
        "rest": ["array-like", None],
    }

    def __init__(
        self,
        *,
        unseen: str = "self",
        min_trials: int = 5,
        calibrate_on: int | None = None,
        scale: str = "z",
        rest: Sequence[Any] | None = None,
    ):
        self.unseen = unseen
        self.min_trials = min_trials
        self.calibrate_on = calibrate_on
        self.scale = scale
        self.rest = rest

    @property
    def transductive(self) -> bool:
        """Whether the result for an unseen subject's trial depends on the other trials in X."""
        return self.scale_from == "all trials"

    @property
    def scale_from(self) -> str:
        """Which trials set the scale of an unseen subject.

        "all trials", "first trials", "resting trials", or "training trials", those of `fit`.
        """
        if self.unseen != "self":
            return "training trials"
        if self.rest is not None:
            return "resting trials"
        return "all trials" if self.calibrate_on is None else "first trials"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None, *, subject: Sequence[Any] | None = None) -> Self:
        """Learn each subject's mean and scale.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_trials, n_features)
            Finite numbers. Columns subject, stimulus and trial of a DataFrame are not features.
        y : None
            Ignored.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial; None uses the column or index level ``subject`` of X.

        Returns
        -------
        self
            The fitted standardizer.

        Raises
        ------
        ValueError
            If X holds anything but finite numbers, subjects are unknown or missing, their number
            differs from the number of rows, `calibrate_on` is below `min_trials`, or the order of
            the trials is needed and unknown.
        """
        if self.calibrate_on is not None and self.calibrate_on < self.min_trials:
            raise ValueError(
                f"calibrate_on={self.calibrate_on} is less than min_trials={self.min_trials}: "
                "increase calibrate_on or decrease min_trials."
            )
        if self.calibrate_on is not None and self.rest is not None:
            raise ValueError(
                f"calibrate_on={self.calibrate_on} and rest={self.rest!r} both name trials that "
                "set the scale: set one of them only."
            )
        with whole_or_nothing(self):
            values, ids, columns, _ = self._read(X, subject, reset=True)
            subjects, rows_of = self._sessions(X, ids)
            pooled = np.concatenate(self._find_setting(X, rows_of))
            if not len(pooled):
                raise ValueError(
                    f"No trial has a stimulus of rest={self.rest!r}: pass the names of the resting "
                    "stage in the column stimulus."
                )
            self.global_mean_, spread = self._measure(values, pooled)
            self.global_scale_ = np.where(spread > 0, spread, 1.0)
            means, scales = self._learn(values, subjects, self._find_setting(X, rows_of))
            self.means_ = pd.DataFrame(means, index=subjects, columns=columns, copy=False)
            self.scales_ = pd.DataFrame(scales, index=subjects, columns=columns, copy=False)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: object, y: object = None, *, subject: Sequence[Any] | None = None
    ) -> Self:
        """Learn the mean and scale of further subjects; all else that was learned is kept.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_trials, n_features)
            As in `fit`. If a subject is already known, these trials replace the former ones.
        y : None
            Ignored.
        subject : array-like of shape (n_trials,), default=None
            As in `fit`.

        Returns
        -------
        self
            The standardizer. If it was not fitted, this is `fit`.

        Raises
        ------
        ValueError
            As in `fit`.
        """
        if not hasattr(self, "means_"):
            return self.fit(X, subject=subject)
        with whole_or_nothing(self):
            values, ids, _, _ = self._read(X, subject, reset=False)
            subjects, rows_of = self._sessions(X, ids)
            means, scales = self._learn(values, subjects, self._find_setting(X, rows_of))
            self.means_ = _replace_rows(self.means_, subjects, means)
            self.scales_ = _replace_rows(self.scales_, subjects, scales)
        return self

    def transform(self, X: object, *, subject: Sequence[Any] | None = None) -> Any:
        """Standardise each subject's trials.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_trials, n_features)
            As in `fit`.
        subject : array-like of shape (n_trials,), default=None
            Subject of each trial; None uses the column or index level ``subject`` of X.

        Returns
        -------
        DataFrame or ndarray of shape (n_trials, n_features)
            Numbers of float32 for float32, otherwise of float64. A DataFrame if X is a DataFrame
            with subject, stimulus or trial in its index or columns; its index is that of X, or is
            made from these columns unless ``set_output(transform="pandas")`` was called. Otherwise
            an array, or the container of ``set_output``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As in `fit`, and for subjects not seen in `fit` with ``unseen="error"``.
        """
        check_is_fitted(self)
        values, ids, columns, index = self._read(X, subject, reset=False)
        subjects, rows_of = self._sessions(X, ids)
        setting = self._find_setting(X, rows_of)
        means, scales = self._scales_for(values, subjects, setting)
        standardized = np.empty_like(values)
        for rows, mean, scale in zip(rows_of, means, scales, strict=True):
            if values.dtype == object:
                for row in rows:
                    standardized[row] = (values[row] - mean) / scale
            else:
                standardized[rows] = (values[rows] - mean) / scale
        if values.dtype == object:
            return _replace_signals(X, standardized)
        if index is None:
            return standardized
        return pd.DataFrame(standardized, index=index, columns=columns, copy=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(
        self, X: object, y: object = None, *, subject: Sequence[Any] | None = None
    ) -> Any:
        """Fit to the trials and standardise them; see `fit` and `transform`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_trials, n_features)
            As in `fit`.
        y : None
            Ignored.
        subject : array-like of shape (n_trials,), default=None
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray of shape (n_trials, n_features)
            As from `transform`.
        """
        with whole_or_nothing(self):
            return self.fit(X, subject=subject).transform(X, subject=subject)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the features, which are those of X; not for signals.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            As in scikit-learn's ``OneToOneFeatureMixin``.

        Returns
        -------
        ndarray of str of shape (n_features,)
            The names.
        """
        if getattr(self, "_of_signals", False):
            # set_output checks this type and these words, and then leaves a table unchanged.
            raise AttributeError(
                "SubjectStandardizer was fitted to signals, and so does not provide "
                "get_feature_names_out."
            )
        return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _read(
        self, X: object, subject: Sequence[Any] | None, *, reset: bool
    ) -> tuple[np.ndarray, np.ndarray, pd.Index | None, pd.Index | None]:
        """Return the values, the subject of each row, the columns, and the output's index.

        The values are features of shape (n_trials, n_features), or an object array with the samples
        of each trial, each of shape (n_samples, n_channels).
        """
        if (cells := signal_cells(X)) is not None:
            values = self._read_signals(X, cells, reset=reset)
            ids = find_ids("subject", X, subject, needed_by=type(self).__name__, in_order=True)
            return values, ids, None, None
        if reset:
            self._of_signals = False
        features, index = _split_ids(X, self)
        values = read_rows(self, features, reset=reset, dtype=None)
        ids = find_ids("subject", X, subject, needed_by=type(self).__name__, in_order=True)
        return values, ids, getattr(features, "columns", None), index

    def _sessions(self, X: object, ids: np.ndarray) -> tuple[pd.Index, list[np.ndarray]]:
        """Return the subjects, sorted, and the rows of each subject's trials, in order of time."""
        codes, subjects = pd.factorize(ids, sort=True)
        keys = [codes]
        if self.calibrate_on is not None and (trial := trial_order(X, "calibrate_on")) is not None:
            keys = [trial, codes]
        ends = np.cumsum(np.bincount(codes))
        return pd.Index(subjects, name="subject"), np.split(np.lexsort(keys), ends[:-1])

    def _read_signals(self, X: object, cells: np.ndarray, *, reset: bool) -> np.ndarray:
        """Return the samples of each trial, shape (n_samples, n_channels), as an object array."""
        values = np.empty(len(cells), dtype=object)
        n_channels = 0 if reset else self.n_features_in_
        for row, cell in enumerate(cells):
            samples = np.atleast_2d(read_cell(X, row, cell)).T
            n_channels = n_channels or samples.shape[1]
            if samples.shape[1] != n_channels:
                raise ValueError(
                    f"{name_trial(X, row)}: its signal has {samples.shape[1]} channels, but "
                    f"{n_channels} are expected."
                )
            if np.isinf(samples).any():
                raise ValueError(
                    f"{name_trial(X, row)}: its signal has infinite samples. Set them to NaN."
                )
            values[row] = samples
        if reset:
            self._of_signals = True
            self.n_features_in_ = n_channels
            vars(self).pop("feature_names_in_", None)
        return values

    def _find_setting(self, X: object, rows_of: list[np.ndarray]) -> list[np.ndarray]:
        """Return the rows of each subject that set the scale, in order of time."""
        if self.rest is None:
            return [rows[: self.calibrate_on] for rows in rows_of]
        stimulus = find_ids("stimulus", X, needed_by=f"{type(self).__name__} with rest=")
        assert stimulus is not None
        resting = pd.Series(stimulus).isin(list(self.rest)).to_numpy()
        return [rows[resting[rows]] for rows in rows_of]

    def _measure(self, values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is subtracted and the divisor, 0 if a column does not vary."""
        samples = np.concatenate(values[rows]) if values.dtype == object else values[rows]
        if values.dtype == object:
            samples = samples[np.isfinite(samples).all(axis=1)]
            if not len(samples):
                samples = np.zeros((1, self.n_features_in_))
        mean, spread = _mean_and_spread(samples)
        if self.scale == "range":
            lowest, highest = samples.min(axis=0), samples.max(axis=0)
            return lowest.astype(np.float64), np.where(spread > 0, highest - lowest, 0.0)
        return mean, spread if self.scale == "z" else np.ones_like(spread)

    def _learn(
        self, values: np.ndarray, subjects: pd.Index, rows_of: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each subject, shape (n_subjects, n_features).

        `rows_of` holds the rows that set each subject's scale. Warns about subjects with too few.
        """
        means = np.tile(self.global_mean_, (len(subjects), 1))
        scales = np.tile(self.global_scale_, (len(subjects), 1))
        needed = self.calibrate_on or (self.min_trials if self.rest is None else 1)
        few = np.array([len(rows) < needed for rows in rows_of])
        for position in np.flatnonzero(~few):
            means[position], spread = self._measure(values, rows_of[position])
            np.copyto(scales[position], spread, where=spread > 0)
        if few.any():
            warnings.warn(
                f"{few.sum()} of {len(subjects)} subjects have fewer than {needed} "
                f"{'trials' if self.rest is None else 'resting trials'}, too few for "
                "their own scale: they are standardised by the mean and standard deviation of "
                f"the training trials. Subjects: {name_some(subjects[few])}.",
                UserWarning,
                stacklevel=2,
            )
        return means, scales

    def _scales_for(
        self, values: np.ndarray, subjects: pd.Index, rows_of: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each subject; `unseen` sets those of unseen subjects."""
        place = self.means_.index.get_indexer(subjects)
        new = place < 0
        if new.any() and self.unseen == "error":
            raise ValueError(
                f"{new.sum()} of {len(subjects)} subjects were not seen in fit: "
                f"{name_some(subjects[new])}. Remove them, or set unseen='self' or 'global'."
            )
        means, scales = self.means_.to_numpy()[place], self.scales_.to_numpy()[place]
        if new.any() and self.unseen == "self":
            sessions = [rows_of[position] for position in np.flatnonzero(new)]
            means[new], scales[new] = self._learn(values, subjects[new], sessions)
        elif new.any():
            means[new], scales[new] = self.global_mean_, self.global_scale_
        return means, scales


def _split_ids(X: object, standardizer: SubjectStandardizer) -> tuple[object, pd.Index | None]:
    """Return the features of X and, if X is a DataFrame with ids, an index that holds the ids."""
    if not isinstance(X, pd.DataFrame):
        return X, None
    columns = [key for key in IDENTITY if key in X.columns]
    if not columns:
        return X, X.index if set(IDENTITY) & set(X.index.names) else None
    return X.drop(columns=columns), output_index(X, standardizer)


def _replace_rows(table: pd.DataFrame, subjects: pd.Index, values: np.ndarray) -> pd.DataFrame:
    """Return the table with the values of these subjects, and the other subjects as before."""
    rows = pd.DataFrame(values, index=subjects, columns=table.columns)
    return pd.concat([table[~table.index.isin(subjects)], rows])


def _replace_signals(X: object, samples: np.ndarray) -> Any:
    """Return X with these samples, each of shape (n_samples, n_channels), in the cells' shapes."""
    cells = np.empty(len(samples), dtype=object)
    given = signal_cells(X)
    assert given is not None
    for row, cell in enumerate(given):
        dtype = np.float32 if getattr(cell, "dtype", None) == np.float32 else np.float64
        cells[row] = np.ascontiguousarray(samples[row].T).reshape(np.shape(cell)).astype(dtype)
    if is_trials_table(X):
        return X.assign(eda=pd.Series(cells, index=X.index, dtype=object))
    if isinstance(X, (pd.Series, pd.DataFrame)):
        return pd.Series(cells, index=X.index, dtype=object)
    return cells


def _mean_and_spread(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column, float64; 0 if it does not vary."""
    resolution = _ROUNDING * np.finfo(rows.dtype).eps * np.abs(rows).max(axis=0)
    constant = np.ptp(rows, axis=0) <= resolution
    # Relative to the lowest value, the mean of a constant column is exact.
    origin = rows.min(axis=0).astype(np.float64)
    above = rows - origin
    return origin + above.mean(axis=0), np.where(constant, 0.0, above.std(axis=0))
