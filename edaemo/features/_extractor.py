"""Transformer from the raw EDA of each trial to features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from threadpoolctl import threadpool_limits

from edaemo._cache import TrialCache
from edaemo._layout import EDA
from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import (
    is_trials_table,
    name_trial,
    output_index,
    read_signals,
    whole_or_nothing,
)
from edaemo.decomposition import (
    Components,
    DecompositionMethod,
    Filter,
    check_sampling_rate,
    find_decomposition,
    silence_rounding,
)
from edaemo.features import _pmemo
from edaemo.features._presets import PRESETS
from edaemo.preprocessing import (
    REPAIRS,
    DecomposingMixin,
    SignalQualityWarning,
    check_masking,
    decompose_trials,
    describe_repairs,
    is_flat,
    repair_signals,
)

# Default of `method`; values of the older parameter `decomposition` → values of `method`.
METHOD = "bandpass"
EARLIER = {"highpass": METHOD, "cvxeda": "cvxeda"}
HIGHEST_BAND = 0.5  # Hz
SHORTEST = 1 / HIGHEST_BAND  # seconds: one period of the highest band edge
BLOCK = 2**20  # samples per batch; bounds the memory for the frames

_cache = TrialCache(max_bytes=64 * 2**20)


# Lengths of trials that differ from those of fit by more than this factor give a warning.
_OTHER_LENGTH = 2


@saved("edaemo.features.EDAFeatureExtractor", "n_features_in_", "feature_names_in_", "lengths_")
class EDAFeatureExtractor(DecomposingMixin, TransformerMixin, BaseEstimator):
    """Compute hand-crafted features of each trial's EDA: 128 of its phasic component by default.

    The 128 features are 6 of the skin conductance responses (SCRs), 7 in the time domain, 6 of the
    spectrum, 9 of the power in five bands up to 0.5 Hz, and mean, standard deviation, median,
    kurtosis and skewness over frames of 20 cepstral coefficients. This is the set of [1]_ as
    published by the authors of [2]_, with corrections. ``docs/features.md`` lists each feature,
    its unit, and its value where it is undefined (no SCR, a flat trial). Nothing is learned, so
    no information leaks between trials. The features of a trial do not depend on the other trials
    in the batch and are always finite.

    Parameters
    ----------
    sampling_rate : float
        Samples per second (Hz) of the recordings, at least 1.
    method : str or DecompositionMethod, default="bandpass"
        Decomposition that computes the phasic component from the raw recording: a registered name
        (:func:`edaemo.decomposition.register_decomposition`), or an object with settings, such as
        ``edaemo.decomposition.Median(window=8.0)``, as in
        :class:`edaemo.preprocessing.EDADecomposer`. "bandpass": forward-backward Butterworth
        filters, high-pass at 0.05 Hz and, if the rate exceeds 6 Hz, low-pass at 3 Hz. "cvxeda":
        cvxEDA [3]_ with default settings. For every method, the component has the unit of the
        recording.
    preset : {"edaemo", "pmemo", "level", "compact"}, default="edaemo"
        Definitions of the features. "level": 23 features of the skin conductance level, of
        responses to the onset of the trial, and of sympathetic spectra, which describe what the 128
        do not. "compact": 20 features of level, slope, responses and variation, most of them
        logarithms, for windows of 20 to 60 s in µS. ``docs/features.md`` defines both. "pmemo"
        reproduces the notebook published with [2]_, including its errors. Each recording is scaled
        to 0…1, so that amplitudes cannot be compared between subjects or trials. SumAreas equals
        auc, meanNegativeDerivative equals -meanDerivative, and signalEnergy equals the sum of the
        bands. The spectrum is two-sided, and its area is integrated along a frequency axis that
        jumps back in the middle. Energies grow with the length of the clip. MFCC frames have 2,048
        samples at any rate: a 40-s clip at 50 Hz has four frames and a 25-s clip at 4 Hz has one,
        so the statistics over frames carry little or no information.
    missing : {"raise", "interpolate"}, default="raise"
        Treatment of NaN and infinite samples. "raise": an error that names the trial.
        "interpolate": linear interpolation between finite neighbours (the nearest finite sample
        at the ends). A trial without a finite sample is an error in both cases, unless
        `handle_absent` is "missing".
    handle_absent : {"error", "missing"}, default="error"
        Treatment of a trial without any recording: its cell is None or NaN, an empty array, or
        holds no finite sample. "error": an error that names the trial. "missing": its features are
        NaN, for models such as :class:`edaemo.estimators.MAETClassifier`.
    repair : {"interpolate", "mask"} or None, default=None
        Treatment of artefacts, as in :class:`edaemo.preprocessing.EDADecomposer`; the recordings
        must be in µS. "mask" needs a `method` that can mask.
    context : float, default=0.0
        Seconds at the beginning of each cell that were recorded before the trial, as in
        :class:`edaemo.preprocessing.EDADecomposer`. They are decomposed with the trial; no feature
        describes them, except that ``preset="level"`` and ``"compact"`` compare with the level
        before the onset. Not for ``preset="pmemo"``.
    decomposition : {"highpass", "cvxeda"} or None, default=None
        Older name of `method`, which it replaces if set: "highpass" is ``method="bandpass"``,
        "cvxeda" is ``method="cvxeda"``. None: use `method`.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.
    lengths_ : tuple of int
        Number of samples of the shortest and of the longest trial in `fit`. Features do not depend
        on it.

    Warns
    -----
    UserWarning
        If trials in `transform` have less than half the samples of the shortest trial in `fit`, or
        more than twice those of the longest.
    SignalQualityWarning
        One warning per `transform`, with the number of flat trials, and of trials that `repair`
        changed or could not repair.

    Notes
    -----
    Pass raw microsiemens. Z-scored channels have lost the amplitude; if phasic and tonic component
    were both z-scored, they no longer add up.

    An SCR starts at a sample after which the phasic component rises and ends at the next sample
    after which it falls. Both must be within the trial, and the rise must be at least a tenth of
    the trial's largest rise and, except with ``preset="pmemo"``, at least 0.01 µS. With
    ``preset="level"`` the recording must rise, too (:func:`edaemo.decomposition.scr_events`).

    A trial must last 2 s, one period of the highest band edge. The frequency resolution is one
    over the length of the trial: below 10 s, neighbouring bands share their content.

    References
    ----------
    .. [1] J. Shukla, M. Barreda-Ángeles, J. Oliver, G. C. Nandi, D. Puig, "Feature extraction and
       selection for emotion recognition from electrodermal activity", IEEE Transactions on
       Affective Computing 12 (2021), 857-869.
    .. [2] K. Zhang, H. Zhang, S. Li, C. Yang, L. Sun, "The PMEmo dataset for music emotion
       recognition", ICMR 2018, 135-142.
    .. [3] A. Greco, G. Valenza, A. Lanata, E. P. Scilingo, L. Citi, "cvxEDA: A convex optimization
       approach to electrodermal activity processing", IEEE Transactions on Biomedical Engineering
       63 (2016), 797-804.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.features import EDAFeatureExtractor
    >>> time = np.arange(100) / 4
    >>> eda = 2 + 0.3 * np.exp(-((time - 10) ** 2) / 2)  # one response of 0.3 microsiemens
    >>> extractor = EDAFeatureExtractor(sampling_rate=4).set_output(transform="pandas")
    >>> features = extractor.fit_transform(eda[None])
    >>> features.shape
    (1, 128)
    >>> round(features.loc[0, "eda_scr_amplitude_sum"].item(), 2)
    0.28
    """

    n_features_in_: int
    feature_names_in_: np.ndarray
    lengths_: tuple[int, int]

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "sampling_rate": [Interval(Real, 0, None, closed="neither")],
        "method": [str, DecompositionMethod],
        "preset": [StrOptions(set(PRESETS))],
        "missing": [StrOptions({"raise", "interpolate"})],
        "handle_absent": [StrOptions({"error", "missing"})],
        "repair": [StrOptions(set(REPAIRS)), None],
        "context": [Interval(Real, 0, None, closed="left")],
        "decomposition": [StrOptions(set(EARLIER)), None],
    }

    def __init__(
        self,
        sampling_rate: float,
        *,
        method: str | DecompositionMethod = METHOD,
        preset: str = "edaemo",
        missing: str = "raise",
        handle_absent: str = "error",
        repair: str | None = None,
        context: float = 0.0,
        decomposition: str | None = None,
    ) -> None:
        self.sampling_rate = sampling_rate
        self.method = method
        self.preset = preset
        self.missing = missing
        self.handle_absent = handle_absent
        self.repair = repair
        self.context = context
        self.decomposition = decomposition

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None) -> Self:
        """Check the trials; nothing is learned from them.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            A trials table (its column ``eda`` holds 1-D signals), a Series, object array or
            one-column frame of 1-D signals, or a 2-D array of numbers.
        y : None
            Ignored.

        Returns
        -------
        self
            The checked extractor.

        Raises
        ------
        ValueError
            If a trial holds NaN or infinite samples (see `missing`) or is shorter than 2 s; the
            error names the trial. Or if `sampling_rate` is below 1 Hz: the bands reach 0.5 Hz.
        """
        with whole_or_nothing(self):
            self._read(X, reset=True)
        return self

    def transform(self, X: object) -> Any:
        """Compute the features of each trial.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, n_features)
            A DataFrame if X is a trials table. Its index holds the subject, stimulus and trial ids
            of X, or is the index of X if X has no ids, or after ``set_output(transform="pandas")``.
            Its columns are `get_feature_names_out`. For other X an array.

        Raises
        ------
        ValueError
            As in `fit`. Or if samples are so large that a feature exceeds float32.
        DecompositionError
            If the decomposition fails on a trial; the error names it.
        """
        self._validate_params()
        recordings = self._read(X, reset=False)
        present = [row for row, signal in enumerate(recordings) if len(signal)]
        repaired = repair_signals(
            [recordings[row] for row in present], self.sampling_rate, self.repair
        )
        signals = [repairs.signal for repairs in repaired]
        messages = describe_repairs(
            [repairs.leave_out(self._n_context).n_repaired for repairs in repaired],
            [repairs.beyond_repair for repairs in repaired],
        )
        flat = [
            row
            for row, signal in zip(present, signals, strict=True)
            if len(seen := signal[np.isfinite(signal)]) and is_flat(seen)
        ]
        if flat:
            messages.append(
                f"{len(flat)} of {len(recordings)} trials are flat (first rows: {flat[:3]}): they "
                "have no responses, and the features of their form are 0."
            )
        if messages:
            warnings.warn(" ".join(messages), SignalQualityWarning, stacklevel=2)
        rows = _cache.get_many(
            signals,
            self._cache_key,
            lambda wanted: self._compute(X, present, signals, wanted),
            lambda row: row.nbytes,
        )
        names = self.get_feature_names_out()
        values = np.full((len(recordings), len(names)), np.nan, dtype=np.float32)
        if present:
            values[present] = rows
        if not is_trials_table(X):
            return values
        index = output_index(X, self)
        index = X.index if index is None else index
        return pd.DataFrame(values, index=index, columns=names)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the column names ``eda_…``; preset="pmemo" keeps the published names.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features,)
            The names.
        """
        return np.asarray([EDA + name for name in PRESETS[self.preset].names], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.input_tags.allow_nan = self.missing == "interpolate"
        tags.requires_fit = False
        return tags

    @property
    def _n_context(self) -> int:
        return round(self.context * self.sampling_rate)

    @property
    def _cache_key(self) -> tuple[object, ...]:
        rate = float(self.sampling_rate)
        return ("features", self.preset, *self._find_method().key, rate, self._n_context)

    def _read(self, X: object, *, reset: bool) -> list[np.ndarray]:
        """Read the signal of each trial, empty if it is absent, and check its length."""
        rate = check_sampling_rate(self.sampling_rate)
        if rate < 2 * HIGHEST_BAND:
            raise ValueError(
                f"sampling_rate={rate} Hz covers frequencies up to {rate / 2} Hz only, but the "
                f"bands reach {HIGHEST_BAND} Hz: use recordings of at least {2 * HIGHEST_BAND} Hz."
            )
        method = self._find_method()
        method.check(rate)
        check_masking(method, repair=self.repair)
        if self.context and self.preset == "pmemo":
            raise ValueError(
                f"context={self.context} does not suit preset='pmemo', whose published definitions "
                "have no samples before the trial: set context=0, and cut the trials without it."
            )
        absent = self.handle_absent == "missing"
        read = read_signals(
            self,
            X,
            reset=reset,
            missing=self.missing,
            may_be_absent=absent,
            n_context=self._n_context,
        )
        signals = [signal for signal, _ in read]
        shortest = self._n_context + ceil(SHORTEST * rate)
        after = f" after a context of {self.context:g} s" if self._n_context else ""
        for row, signal in enumerate(signals):
            if len(signal) < shortest and (len(signal) or not absent):
                raise ValueError(
                    f"{name_trial(X, row)}: {len(signal)} samples (n_features = {len(signal)}) are "
                    f"too few: the features need {SHORTEST:g} s{after}, which are {shortest} "
                    f"samples at {rate} Hz. Remove the trial, or check sampling_rate."
                )
        lengths = [len(signal) for signal in signals if len(signal)]
        if reset and lengths:
            self.lengths_ = (min(lengths), max(lengths))
        elif not reset:
            self._warn_of_lengths(X, signals)
        return signals

    def _warn_of_lengths(self, X: object, signals: Sequence[np.ndarray]) -> None:
        """Warn of trials that are much shorter or longer than those of `fit`."""
        least, most = getattr(self, "lengths_", (0, np.inf))  # not fitted, or an older file
        other = [
            row
            for row, signal in enumerate(signals)
            if len(signal) and not least / _OTHER_LENGTH <= len(signal) <= most * _OTHER_LENGTH
        ]
        if other:
            rate = self.sampling_rate
            warnings.warn(
                f"{name_trial(X, other[0])} has {len(signals[other[0]]) / rate:g} s, but the "
                f"trials of fit had {least / rate:g} to {most / rate:g} s ({len(other)} of "
                f"{len(signals)} trials). Energies, counts and other features depend on the "
                "length: cut the trials to that of fit.",
                UserWarning,
                stacklevel=3,
            )

    def _compute(
        self,
        X: object,
        places_in_X: Sequence[int],
        signals: Sequence[np.ndarray],
        wanted: list[int],
    ) -> list[np.ndarray]:
        """Compute the features of the `wanted` signals, in batches of signals of equal length."""
        preset = PRESETS[self.preset]
        rate = float(self.sampling_rate)
        values = np.empty((len(wanted), len(preset.names)), dtype=np.float32)
        lengths = np.array([len(signals[row]) for row in wanted])
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            for block in np.array_split(places, ceil(len(places) * length / BLOCK)):
                rows = [wanted[place] for place in block]
                in_X = [places_in_X[row] for row in rows]
                cells = np.stack([signals[row] for row in rows])
                parts = self._decompose(X, in_X, cells)
                # Threads do not speed up products this small, slow them down on busy cores, and
                # make the rounding depend on the number of threads.
                with (
                    threadpool_limits(1, user_api="blas"),
                    np.errstate(over="ignore", invalid="ignore"),
                ):
                    values[block] = preset.compute(parts, rate, cells[:, : self._n_context])
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{name_trial(X, places_in_X[wanted[int(np.argmin(finite))]])}: its samples are so "
                "large that features exceed float32. Check that the recording is in microsiemens."
            )
        return [row.copy() for row in values]

    def _decompose(self, X: object, rows: list[int], signals: np.ndarray) -> Components:
        """Compute the components of the trials, each of shape (n_trials, n_samples)."""
        if self.preset == "pmemo":
            signals = _pmemo.scale(signals)
        method, rate = self._find_method(), float(self.sampling_rate)
        if (
            isinstance(method, Filter)
            and not method.unit_variance
            and not self._n_context
            and signals.shape[1] > 1
        ):
            # Filtering all trials at once is faster than asking the cache for each of them.
            with suppress(ValueError):  # raised again below, with the name of the trial
                phasic = silence_rounding(method.phasic(signals, rate), signals)
                return Components.from_phasic(signals, phasic)
        trials = decompose_trials(
            list(signals),
            rate,
            method,
            standardize=method.unit_variance,
            n_context=self._n_context,
            name=lambda place: name_trial(X, rows[place]),
        )
        parts = [trial.rescale() for trial in trials]
        phasic, tonic, residual = (
            np.stack([getattr(part, name) for part in parts])
            for name in ("phasic", "tonic", "residual")
        )
        phasic = silence_rounding(phasic, np.nan_to_num(signals[:, self._n_context :]))
        return Components(phasic, tonic, None, residual)

    def _find_method(self) -> DecompositionMethod:
        if self.decomposition is None:
            return find_decomposition(self.method)
        if self.method not in (METHOD, EARLIER[self.decomposition]):
            raise ValueError(
                f"method={self.method!r} and decomposition={self.decomposition!r} (the older name "
                "of this parameter) differ: set method only."
            )
        return find_decomposition(EARLIER[self.decomposition])
