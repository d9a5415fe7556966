"""Transformer from raw EDA to standardised channels: original, phasic, tonic, driver."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import Memory
from scipy.signal import butter, sosfiltfilt
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import channels_table, check_components, eda_names
from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import (
    is_only_signals,
    is_trials_table,
    name_trial,
    need_table,
    read_signals,
    whole_or_nothing,
)
from edaemo.decomposition import CvxEDA, DecompositionMethod, Weights, find_decomposition
from edaemo.preprocessing._decomposed import (
    DecomposedTrial,
    DecomposingMixin,
    SignalQualityWarning,
    check_masking,
    decompose_trials,
)
from edaemo.preprocessing._repair import (
    BREATHING,
    REPAIRS,
    describe_repairs,
    remove_breathing,
    repair_signals,
)
from edaemo.preprocessing._standardize import SubjectStandardizer

COMPONENTS = ("original", "phasic", "tonic", "driver", "residual")
# A channel with a smaller standard deviation (relative to that of the trial) holds only the
# solver's rounding errors. Standardising would amplify them to look like a signal.
RESOLUTION = 1e-4
# With lengths="raise", lengths of trials may differ by this share of the longest.
SIMILAR = 0.05
# Cutoff of the anti-alias filter, as a share of half the new sampling rate.
ANTI_ALIAS = 0.8
# Settings of cvxEDA that are parameters of the transformer.
SETTINGS = ("tau0", "tau1", "delta_knot", "alpha", "gamma", "weights", "solver")


@saved(
    "edaemo.CvxEDATransformer",
    "diagnostics_",
    "n_times_",
    "lengths_",
    "_makes_tables",
    "standardizer_",
    "n_features_in_",
    "feature_names_in_",
)
class CvxEDATransformer(DecomposingMixin, TransformerMixin, BaseEstimator):
    """Decompose each trial's EDA and return channels of equal length.

    The steps, for each trial independently: z-score; decomposition by cvxEDA [1]_ or another
    `method`; z-score of each channel; removal of the first `trim_seconds`; linear interpolation to
    `n_times` samples ([2]_, sections 3.1 and 5.1), after a low-pass if these are fewer. Only the
    lengths of other trials are learned, so no information about their samples leaks.

    Parameters
    ----------
    sampling_rate : float
        Samples per second (Hz) of the recordings.
    n_times : int or None, default=None
        Samples of each channel in the output. None keeps the samples of the recording; if X is not
        a trials table, the trials must then have equal length (see `lengths`). If `n_times` is
        smaller than the number of samples, a Butterworth low-pass of order 8 at 0.8 times half the
        new sampling rate, forwards and backwards, precedes the interpolation, so that faster
        oscillations such as hum do not appear as slow ones.
    lengths : {"raise", "stretch", "crop", "pad"}, default="raise"
        Treatment of trials of unequal length. "raise": an error if `n_times` is set and the
        shortest and the longest trial differ by more than 5 % of the longest, those of `fit`
        included; `n_times` samples would mean different times in them. "stretch": each trial is
        resampled to `n_times`, regardless of its length. "crop": the trials are cut at their end,
        to the length of the shortest in `fit`. "pad": the channels are continued with their last
        sample, to the length of the longest trial in `fit`. "crop" and "pad" come after the
        z-scores.
    method : str or DecompositionMethod, default="cvxeda"
        The decomposition: a registered name
        (:func:`edaemo.decomposition.register_decomposition`; "cvxeda", "highpass", "bandpass",
        "median" and "smooth" are built in), or an object with settings, such as
        ``edaemo.decomposition.Median(window=8.0)``.
    components : tuple of str, default=("original", "phasic", "tonic")
        The channels, in this order: any of "original", "phasic", "tonic", "driver" (the sparse
        sudomotor nerve activity, SMNA, for a method that computes it, such as cvxEDA) and
        "residual".
    standardize_input : bool, default=True
        Z-score the trial before the decomposition. The published weights are made for signals of
        unit variance; if False, `alpha` and `gamma` apply to the unit of the recording. With
        weights that follow the noise the components differ by their scale only.
    standardize_output : bool, default=True
        Z-score each channel. A channel whose standard deviation is below 1e-4 of its trial's holds
        only the solver's rounding errors and becomes zeros.
    scale : {"trial", "subject"} or None, default="trial"
        What each channel is z-scored over, if `standardize_output`. "trial": the trial, so that its
        level is lost. "subject": all trials of the subject, so that the level of a trial on the
        subject's scale remains; this is transductive, and X must be a trials table
        (:class:`SubjectStandardizer`). None: the channels are not z-scored and have the unit of the
        recording.
    trim_seconds : float, default=3.0
        Seconds removed from the start, after the decomposition and the z-scores.
    tau0, tau1 : float, default=2.0, 0.7
        Slow and fast time constant of the skin conductance response, in seconds. These and the
        other settings of cvxEDA below are for ``method="cvxeda"`` and raise an error with another
        method.
    delta_knot : float, default=10.0
        Distance between the knots of the tonic spline, in seconds.
    alpha, gamma : float, default=8e-4, 1e-2
        Penalties on the driver and on the coefficients of the tonic spline, for
        ``weights="published"``.
    weights : {"noise", "published"} or Weights, default="noise"
        "noise": penalties that follow the noise of each trial. "published": `alpha` and `gamma`.
        A :class:`edaemo.decomposition.Weights` object: its numbers. As in
        :func:`edaemo.decomposition.decompose`.
    missing : {"raise", "interpolate", "mask"}, default="raise"
        Treatment of samples that are missing (NaN, NA, None, masked), infinite or beyond float32's
        range. "raise": an error that names the trial. "interpolate": linear interpolation in time
        between finite neighbours (the nearest finite sample at the ends), then treated like
        recorded samples. "mask", for cvxEDA and other methods that can mask: the samples have no
        weight in the decomposition or in the z-scores. At these samples phasic, tonic and driver
        follow from the samples around them, the original is interpolated, so that networks get
        finite input, and the residual is 0. A trial without a finite sample (with fewer than two
        for "mask") raises an error in all cases.
    repair : {"interpolate", "mask"} or None, default=None
        Treatment of artefacts: samples that are clipped, part of a spike or without contact, by the
        default thresholds of :func:`signal_quality` (which are for µS), and 0.25 s around them.
        None: none. "interpolate": linear interpolation in time between the nearest samples without
        artefact. "mask": no weight in the decomposition, for methods as in `missing`. A trial with
        fewer than two samples without artefact is not repaired. A step to another level remains.
        Repairs of long artefacts hide the responses in them.
    breathing : {"remove"} or None, default=None
        "remove" subtracts the breathing that :func:`edaemo.decomposition.estimate_breathing` finds
        in the recording, after the repair. Responses at equal intervals of less than 15 s can be
        taken for breathing.
    context : float, default=0.0
        Seconds at the beginning of each cell that were recorded before the trial
        (``window=(-10, 25)`` of the loaders: 10). They are decomposed with the trial, so that
        responses before it are part of the decomposition, and left out of the result. The
        z-scores are those of the trial alone. Missing samples at the beginning of the context are
        not an error: that context is shorter.
    solver : {"auto", "compiled", "scipy", "cvxopt"}, default="auto"
        Solver of cvxEDA, as in :func:`edaemo.decomposition.decompose`.
    n_jobs : int or None, default=None
        Number of trials decomposed in parallel; None is 1, -1 is the number of cores. Results do
        not depend on it.
    memory : str, joblib.Memory or None, default=None
        Where results are stored on disk. The key is the content of a trial, the method and its
        settings, but not the code of your own method: empty the folder when you change the code.
        Results are always cached within a process. A look-up on disk takes about 0.3 ms. Below
        2,000 samples the compiled solver is as fast.

    Attributes
    ----------
    diagnostics_ : DataFrame
        One row for each trial seen in `fit`, in order. ``status`` of the solver, ``gap`` (relative
        duality gap) and ``n_iter``; "optimal", 0 and 0 for methods without a solver.
        ``residual_rms`` (in units of the decomposed signal). ``residual_share`` (of the signal's
        variance). ``driver_density``: share of the samples whose driver exceeds 1 % of the trial's
        largest; a few percent mean separate responses, 50 % means that noise was fitted as
        responses; NaN without a driver. ``cancellation``: the range of the phasic component is
        more than twice that of the signal, so that phasic and tonic largely cancel each other.
        ``flat``, ``n_missing``, ``n_repaired`` (samples of artefacts), ``beyond_repair`` (see
        `repair`). For other trials call :meth:`diagnose`.
    n_times_ : int or None
        Samples of each channel in the output; None if the trials differ in length.
    lengths_ : tuple of int
        Number of samples of the shortest and of the longest trial in `fit`.
    standardizer_ : SubjectStandardizer
        The scales of the subjects; only with ``scale="subject"``.
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.

    Warns
    -----
    SignalQualityWarning
        One warning per `fit`, with the number of flat trials (all their channels become zeros), of
        decompositions that miss the solver's tolerance, of trials with cancellation, and of trials
        that were repaired or could not be. One warning per `transform`, with the number of flat
        trials.

    References
    ----------
    .. [1] A. Greco, G. Valenza, A. Lanata, E. P. Scilingo, L. Citi, "cvxEDA: A convex optimization
       approach to electrodermal activity processing", IEEE Transactions on Biomedical Engineering
       63 (2016), 797-804.
    .. [2] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo import CvxEDATransformer
    >>> eda = np.cumsum(np.random.default_rng(0).normal(size=(2, 100)), axis=1)
    >>> channels = CvxEDATransformer(sampling_rate=4, n_times=64).fit_transform(eda)
    >>> channels.shape  # two trials, three channels of 64 samples side by side
    (2, 192)
    """

    diagnostics_: pd.DataFrame
    n_times_: int | None
    lengths_: tuple[int, int]
    standardizer_: SubjectStandardizer
    n_features_in_: int
    feature_names_in_: np.ndarray

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "sampling_rate": [Interval(Real, 0, None, closed="neither")],
        "n_times": [Interval(Integral, 2, None, closed="left"), None],
        "lengths": [StrOptions({"raise", "stretch", "crop", "pad"})],
        "method": [str, DecompositionMethod],
        "components": ["array-like"],
        "standardize_input": ["boolean"],
        "standardize_output": ["boolean"],
        "scale": [StrOptions({"trial", "subject"}), None],
        "trim_seconds": [Interval(Real, 0, None, closed="left")],
        "tau0": [Interval(Real, 0, None, closed="neither")],
        "tau1": [Interval(Real, 0, None, closed="neither")],
        "delta_knot": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "weights": [StrOptions({"noise", "published"}), Weights],
        "missing": [StrOptions({"raise", "interpolate", "mask"})],
        "repair": [StrOptions(set(REPAIRS)), None],
        "breathing": [StrOptions(set(BREATHING)), None],
        "context": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions({"auto", "compiled", "scipy", "cvxopt"})],
        "n_jobs": [Integral, None],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(
        self,
        sampling_rate: float,
        *,
        n_times: int | None = None,
        lengths: str = "raise",
        method: str | DecompositionMethod = "cvxeda",
        components: Sequence[str] = ("original", "phasic", "tonic"),
        standardize_input: bool = True,
        standardize_output: bool = True,
        scale: str | None = "trial",
        trim_seconds: float = 3.0,
        tau0: float = 2.0,
        tau1: float = 0.7,
        delta_knot: float = 10.0,
        alpha: float = 8e-4,
        gamma: float = 1e-2,
        weights: str | Weights = "noise",
        missing: str = "raise",
        repair: str | None = None,
        breathing: str | None = None,
        context: float = 0.0,
        solver: str = "auto",
        n_jobs: int | None = None,
        memory: str | Memory | None = None,
    ) -> None:
        self.sampling_rate = sampling_rate
        self.n_times = n_times
        self.lengths = lengths
        self.method = method
        self.components = components
        self.standardize_input = standardize_input
        self.standardize_output = standardize_output
        self.scale = scale
        self.trim_seconds = trim_seconds
        self.tau0 = tau0
        self.tau1 = tau1
        self.delta_knot = delta_knot
        self.alpha = alpha
        self.gamma = gamma
        self.weights = weights
        self.missing = missing
        self.repair = repair
        self.breathing = breathing
        self.context = context
        self.solver = solver
        self.n_jobs = n_jobs
        self.memory = memory

    def fit(self, X: object, y: object = None) -> Self:
        """Decompose the trials and keep their diagnostics and lengths; nothing else is learned.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            A trials table (its column ``eda`` holds 1-D signals), a Series, object array or
            one-column frame of 1-D signals, or a 2-D array of numbers. Samples are integers or
            floats of any width; text, booleans and complex numbers are errors.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, the trials differ in length (see `lengths`), or a
            trial has missing samples (see `missing`), does not hold real numbers or is too short;
            the error names the trial.
        DecompositionError
            If cvxEDA finds no acceptable solution for a trial; the error names the trial.
        """
        self._decompose_for_fit(X)
        return self

    def fit_transform(self, X: object, y: object = None) -> Any:
        """Fit to the trials and return their channels; see `fit` and `transform`.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        DataFrame or ndarray
            As from `transform`.
        """
        return self._to_output(X, self._decompose_for_fit(X))

    def transform(self, X: object) -> Any:
        """Return the channels of each trial.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray
            For a trials table a new table: cells of ``eda`` become float32 arrays of shape
            (n_chans, n_times), and a column ``channels`` names the channels, as in
            ``"original|phasic|tonic"``. For other X a float32 array of shape (n_trials, n_chans *
            n_times), one channel after the other. For a frame whose only column is ``eda``, as in
            a ColumnTransformer, the same numbers as a DataFrame, with the index of X.

        Raises
        ------
        ValueError
            As in `fit`. Or if X is not a trials table and the channels differ in length (set
            `n_times`). Or if X is not a trials table, but was one in `fit`. Or if a trial is
            shorter (for "crop") or longer (for "pad") than all trials in `fit`.
        """
        check_is_fitted(self, "diagnostics_")
        if self._makes_tables:
            need_table(self, X)
        trials = self._decompose(X, reset=False)
        self._warn(trials, of_fit=False)
        return self._to_output(X, trials)

    def diagnose(self, X: object) -> pd.DataFrame:
        """Return the table that `diagnostics_` holds, for these trials.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            As in `fit`.

        Returns
        -------
        DataFrame
            One row for each trial.
        """
        return pd.DataFrame([trial.diagnose() for trial in self._decompose(X, reset=None)])

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the column names of an array output: ``eda_<component>_<sample>``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_chans * n_times,)
            The names.
        """
        check_is_fitted(self, "diagnostics_")
        if self._makes_tables or self.n_times_ is None:
            # set_output checks this type and these words, and then leaves a table unchanged.
            raise AttributeError(
                "CvxEDATransformer was fitted to a trials table, or to signals of unequal length "
                "without n_times, and so does not provide get_feature_names_out."
            )
        return np.asarray(eda_names(self.components, self.n_times_), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.input_tags.allow_nan = self.missing != "raise"
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def _decompose_for_fit(self, X: object) -> list[DecomposedTrial]:
        with whole_or_nothing(self):
            method = self._find_method()
            method.check(self.sampling_rate)  # here, so that the error does not name a trial
            check_components(self.components, COMPONENTS)
            if "driver" in list(self.components) and not method.has_driver:
                raise ValueError(
                    f"components has 'driver', which method={self.method!r} does not compute: "
                    "remove it, or use method='cvxeda'."
                )
            check_masking(method, self.missing, self.repair)
            self._check_scale(X)
            trials = self._decompose(X, reset=True)
            diagnostics = pd.DataFrame([trial.diagnose() for trial in trials])
            lengths = {len(trial.source) for trial in trials}
            self.diagnostics_ = diagnostics
            self.lengths_ = (min(lengths), max(lengths))
            self._makes_tables = is_trials_table(X) and not is_only_signals(X)
            self.n_times_ = self.n_times
            if self.n_times is None and (len(lengths) == 1 or self._length is not None):
                self.n_times_ = (self._length or lengths.pop()) - self._n_trimmed
            if self.scale == "subject":
                channels = [self._channels(trial) for trial in trials]
                table = channels_table(X, channels, self.components)
                self.standardizer_ = SubjectStandardizer().fit(table)
        self._warn(trials, of_fit=True)
        return trials

    def _decompose(self, X: object, *, reset: bool | None) -> list[DecomposedTrial]:
        """Decompose each trial; `reset` as in read_signals."""
        signals, n_missing = zip(
            *read_signals(self, X, reset=reset, missing=self.missing, n_context=self._n_context),
            strict=True,
        )
        for row, signal in enumerate(signals):
            if len(signal) < self._n_context + self._n_trimmed + 2:
                context = f"context={self.context} and " if self._n_context else ""
                raise ValueError(
                    f"{name_trial(X, row)}: {len(signal)} samples (n_features = {len(signal)}) are "
                    f"too few: {context}trim_seconds={self.trim_seconds} drops "
                    f"{self._n_context + self._n_trimmed} of them at {self.sampling_rate} Hz and "
                    "two must remain. Remove the trial, or lower trim_seconds."
                )
        if reset is not None:
            fitted = () if reset else getattr(self, "lengths_", ())  # older files have none
            lengths = [len(signal) - self._n_context for signal in signals]
            self._check_lengths(X, lengths, fitted)
        repaired = repair_signals(signals, self.sampling_rate, self.repair)
        if self.breathing is not None:
            repaired, _ = remove_breathing(repaired, self.sampling_rate)
        trials = decompose_trials(
            [repairs.signal for repairs in repaired],
            self.sampling_rate,
            self._find_method(),
            standardize=self.standardize_input,
            n_context=self._n_context,
            n_jobs=self.n_jobs,
            memory=self.memory,
            name=lambda row: name_trial(X, row),
        )
        repaired = [repairs.leave_out(self._n_context) for repairs in repaired]
        return [
            replace(
                trial,
                n_missing=n,
                n_repaired=repairs.n_repaired,
                beyond_repair=repairs.beyond_repair,
            )
            for trial, n, repairs in zip(trials, n_missing, repaired, strict=True)
        ]

    def _check_scale(self, X: object) -> None:
        """Raise a ValueError if `scale` does not suit X or `standardize_output`."""
        if self.scale != "trial" and not self.standardize_output:
            raise ValueError(
                f"scale={self.scale!r} needs standardize_output=True, the default. With it, "
                "scale=None gives channels in the unit of the recording."
            )
        if self.scale == "subject" and (not is_trials_table(X) or is_only_signals(X)):
            raise ValueError(
                "scale='subject' needs a trials table with a column subject, so that the trials of "
                f"each subject are known, but X is a {type(X).__name__}."
            )

    def _check_lengths(self, X: object, lengths: list[int], fitted: Sequence[int]) -> None:
        """Raise a ValueError if a trial has a length that `lengths` does not allow."""
        shortest, longest = int(np.argmin(lengths)), int(np.argmax(lengths))
        least, most = min([*lengths, *fitted]), max([*lengths, *fitted])
        if self.lengths == "raise":
            row = shortest if lengths[shortest] == least else longest
            allowed = self.n_times is None or least >= (1 - SIMILAR) * most
            way_out = "set lengths='crop', 'pad' or 'stretch', or "
        elif self.lengths == "crop":
            row, allowed, way_out = shortest, not fitted or least == min(fitted), ""
        else:
            row, way_out = longest, ""
            allowed = self.lengths == "stretch" or not fitted or most == max(fitted)
        if not allowed:
            seconds = [length / self.sampling_rate for length in (lengths[row], least, most)]
            raise ValueError(
                f"{name_trial(X, row)}: {lengths[row]} samples ({seconds[0]:g} s), but the trials, "
                f"those of fit included, have {least} to {most} samples ({seconds[1]:g} to "
                f"{seconds[2]:g} s). This is an error with lengths={self.lengths!r}: {way_out}cut "
                "all trials to the same length (window= of the loaders, cut_window)."
            )

    @property
    def _length(self) -> int | None:
        """Number of samples to which each trial is cropped or padded; None: its own."""
        if self.lengths not in ("crop", "pad"):
            return None
        return self.lengths_[0] if self.lengths == "crop" else self.lengths_[1]

    def _find_method(self) -> DecompositionMethod:
        settings = {name: getattr(self, name) for name in SETTINGS}
        if self.method == CvxEDA.name:
            return CvxEDA(**settings)
        default = CvxEDA()
        changed = [name for name in SETTINGS if settings[name] != getattr(default, name)]
        if changed:
            raise ValueError(
                f"{changed[0]}={settings[changed[0]]!r} is a setting of method='cvxeda', but "
                f"method is {self.method!r}: pass the settings of a method with an object, such as "
                f"method=edaemo.decomposition.CvxEDA({changed[0]}=…), and do not set {changed[0]}."
            )
        return find_decomposition(self.method)

    @property
    def _n_context(self) -> int:
        return round(self.context * self.sampling_rate)

    @property
    def _n_trimmed(self) -> int:
        return round(self.trim_seconds * self.sampling_rate)

    def _channels(self, trial: DecomposedTrial) -> np.ndarray:
        """Return the trial's channels, float32 of shape (n_chans, n_times)."""
        channels = np.stack([trial.channel(name) for name in self.components])
        if self.scale != "trial":
            channels *= trial.scale
            channels[[name in ("original", "tonic") for name in self.components]] += trial.offset
        elif self.standardize_output:
            seen = channels[:, trial.seen]
            spread = np.std(seen, axis=1, keepdims=True)
            channels = channels - np.mean(seen, axis=1, keepdims=True)
            varies = spread > RESOLUTION * np.std(trial.source[trial.seen])
            channels = np.where(varies, channels / np.where(varies, spread, 1.0), 0.0)
        length = channels.shape[1] if self._length is None else self._length
        n_left = length - self._n_trimmed
        if self.n_times is not None and self.n_times < n_left:
            channels = _low_pass(channels, (n_left - 1) / (self.n_times - 1))
        short = max(length - channels.shape[1], 0)
        channels = np.pad(channels, ((0, 0), (0, short)), mode="edge")
        channels = channels[:, self._n_trimmed : length]
        if self.n_times is not None:
            place = np.linspace(0, n_left - 1, self.n_times)
            samples = np.arange(n_left)
            channels = np.stack([np.interp(place, samples, channel) for channel in channels])
        return channels.astype(np.float32)

    def _to_output(self, X: object, trials: list[DecomposedTrial]) -> Any:
        channels = [self._channels(trial) for trial in trials]
        if is_trials_table(X) and (self._makes_tables or not is_only_signals(X)):
            table = channels_table(X, channels, self.components)
            return self.standardizer_.transform(table) if self.scale == "subject" else table
        length = self.n_times_ or channels[0].shape[1]
        odd = [row for row, cell in enumerate(channels) if cell.shape[1] != length]
        if odd:
            raise ValueError(
                f"{name_trial(X, odd[0])}: the trials differ in length, so they do not fit in an "
                "array. Set n_times to interpolate them to the same length, or lengths='crop'."
            )
        rows = np.stack([cell.ravel() for cell in channels])
        if not is_only_signals(X):
            return rows
        return pd.DataFrame(rows, index=X.index, columns=eda_names(self.components, length))

    def _warn(self, trials: list[DecomposedTrial], *, of_fit: bool) -> None:
        """Issue one warning about unusual trials, with the rows of the first three."""
        n = len(trials)
        messages = []
        if flat := [row for row, trial in enumerate(trials) if trial.flat]:
            messages.append(
                f"{len(flat)} of {n} trials are flat (first rows: {flat[:3]}): their "
                "channels are all zeros."
            )
        if of_fit:
            inaccurate = [row for row, trial in enumerate(trials) if trial.status != "optimal"]
            if inaccurate:
                messages.append(
                    f"{len(inaccurate)} of {n} decompositions miss the solver's tolerance (first "
                    f"rows: {inaccurate[:3]}); see diagnostics_['gap']."
                )
            if n_cancelled := sum(trial.cancellation for trial in trials):
                messages.append(
                    f"In {n_cancelled} of {n} trials the range of the phasic component is more "
                    "than twice that of the signal, so phasic and tonic largely cancel each "
                    "other; see diagnostics_['cancellation']. weights='noise' or other values of "
                    "alpha and gamma may suit these recordings."
                )
            messages += describe_repairs(
                [trial.n_repaired for trial in trials], [trial.beyond_repair for trial in trials]
            )
        if messages:
            warnings.warn(" ".join(messages), SignalQualityWarning, stacklevel=4)


def _low_pass(channels: np.ndarray, ratio: float) -> np.ndarray:
    """Return the channels without frequencies that a sampling rate lower by `ratio` cannot hold."""
    # The reflection at the ends is four periods of the cutoff long. Unlike scipy's default, its
    # level does not depend on the hum in the last sample.
    padding = min(ceil(8 * ratio / ANTI_ALIAS), channels.shape[1] - 1)
    return sosfiltfilt(_anti_alias(ratio), channels, axis=1, padtype="even", padlen=padding)


@lru_cache(maxsize=64)
def _anti_alias(ratio: float) -> np.ndarray:
    """Return the sections of the low-pass for a sampling rate that is lower by `ratio`."""
    return butter(8, ANTI_ALIAS / ratio, output="sos")
