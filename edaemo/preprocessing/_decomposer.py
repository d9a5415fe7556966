"""Transformer from raw EDA to phasic and tonic component, in the unit of the recording."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import channels_table, check_components, eda_names
from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import (
    LARGEST,
    is_only_signals,
    is_trials_table,
    name_trial,
    read_signals,
    whole_or_nothing,
)
from edaemo.decomposition import (
    DecompositionMethod,
    check_sampling_rate,
    find_decomposition,
    silence_rounding,
)
from edaemo.preprocessing._decomposed import (
    DecomposedTrial,
    DecomposingMixin,
    SignalQualityWarning,
    check_masking,
    decompose_trials,
    is_flat,
)
from edaemo.preprocessing._repair import (
    BREATHING,
    REPAIRS,
    describe_repairs,
    remove_breathing,
    repair_signals,
)

COMPONENTS = ("phasic", "tonic", "residual")
SHORTEST = 2.0  # seconds: half the window of the moving median
LOWEST_RATE = 1.0  # Hz: `SHORTEST` then has two samples

# Properties of unusual trials, and their text in the warning.
ODD = {
    "flat": "are flat: they are all tonic",
    "inaccurate": "miss the tolerance of the solver",
    "cancellation": (
        "have a phasic component whose range is more than twice that of the recording, so that "
        "phasic and tonic largely cancel each other: another method may suit them better"
    ),
}


@saved("edaemo.preprocessing.EDADecomposer", "n_times_", "n_features_in_", "feature_names_in_")
class EDADecomposer(DecomposingMixin, TransformerMixin, BaseEstimator):
    """Split each trial's EDA into phasic and tonic component, in the unit of the recording.

    Input in microsiemens gives output in microsiemens: the output is not z-scored, no sample is
    removed or added, and phasic + tonic (+ residual, with "cvxeda") equals the recording. Each
    trial is split independently; nothing is learned from other trials, so no information leaks
    between trials. :class:`CvxEDATransformer` computes channels for networks, z-scored and of equal
    length.

    Parameters
    ----------
    sampling_rate : float
        Samples per second (Hz) of the recordings, at least 1.
    method : str or DecompositionMethod, default="cvxeda"
        The decomposition: a registered name
        (:func:`edaemo.decomposition.register_decomposition`), or an object with settings, such as
        ``edaemo.decomposition.Median(window=8.0)``. For the filters, tonic is the recording minus
        phasic. Built-in names:

        "cvxeda" : cvxEDA [1]_ with its default settings. The phasic component is never negative,
        and neither is the tonic component if no sample of the recording is. With the published
        weights (``CvxEDA(weights="published")``), the trial is z-scored first, because these
        penalties are made for unit variance, and the result is scaled back.

        "highpass" : phasic is the output of a Butterworth high-pass of order 2 at 0.05 Hz, applied
        forwards and backwards, with a gain of one half at 0.05 Hz. As in all of edaemo's filters,
        the trial's least-squares line is subtracted first (it is part of the tonic component), and
        the rest is extended by 30 s with its first and last value.

        "bandpass" : "highpass" and, for sampling rates above 6 Hz, a low-pass of order 4 at 3 Hz.
        It is the default of :class:`edaemo.features.EDAFeatureExtractor`. Frequencies above 3 Hz
        are part of the tonic component.

        "median" : tonic is the moving median over 4 s [2]_: ``round(4 * sampling_rate)`` samples,
        plus one if that is even. Trials are extended with their first and last value, so the
        phasic component of the first and last sample is mostly zero.

        "smooth" : tonic is the trial smoothed by a Gaussian with a standard deviation of 3.75 s,
        truncated at four standard deviations, with a gain of one half at 0.05 Hz. The ends are
        treated as in "highpass".
    components : tuple of str, default=("phasic", "tonic")
        The channels, in this order: any of "phasic", "tonic" and "residual", which is zero for
        the filters.
    missing : {"raise", "interpolate", "mask"}, default="raise"
        Treatment of samples that are missing (NaN, NA, None, masked), infinite or beyond float32's
        range. "raise": an error that names the trial. "interpolate": linear interpolation in time
        between finite neighbours (the nearest finite sample at the ends); the components add up
        to the interpolated recording. "mask", for "cvxeda" and other methods that can mask: the
        samples have no weight. At these samples the phasic and tonic component follow from the
        samples around them, and the residual is 0. A trial without a finite sample (with fewer than
        two for "mask") raises an error in all cases.
    repair : {"interpolate", "mask"} or None, default=None
        Treatment of artefacts: samples that are clipped, part of a spike or without contact, by the
        default thresholds of :func:`signal_quality` (which are for µS), and 0.25 s around them.
        None: none. "interpolate": linear interpolation in time between the nearest samples without
        artefact. "mask": no weight in the decomposition, for methods as in `missing`. A trial with
        fewer than two samples without artefact is not repaired. A step to another level remains.
        Repairs of long artefacts hide the responses in them.
        The components add up to the repaired recording.
    breathing : {"remove"} or None, default=None
        "remove" subtracts the breathing that :func:`edaemo.decomposition.estimate_breathing` finds
        in the recording, after the repair. Responses at equal intervals of less than 15 s can be
        taken for breathing.
        The components add up to the recording without breathing.
    context : float, default=0.0
        Seconds at the beginning of each cell that were recorded before the trial
        (``window=(-10, 25)`` of the loaders: 10). They are decomposed with the trial, so that
        responses before it are part of the decomposition, and left out of the result. Missing
        samples at their beginning are not an error: that context is shorter.

    Attributes
    ----------
    n_times_ : int or None
        Samples of each channel in `fit`; None for a trials table or signals of unequal length.
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.

    Warns
    -----
    SignalQualityWarning
        One warning per `transform`: the number of flat trials (all tonic), of decompositions that
        miss the solver's tolerance, and of trials whose phasic and tonic component largely cancel
        each other, and of trials that were repaired or could not be.

    Notes
    -----
    A phasic component whose standard deviation is at most 1e-9 of the trial's largest value is a
    rounding error and becomes zero. Trials shorter than 2 s, half the window of the moving median,
    raise an error.

    For a single response of cvxEDA's shape (rise in 1.1 s, decay in several seconds) on a constant
    trial, "cvxeda" keeps 0.87 of its rise at 4 Hz and 0.99 at 50 Hz. "highpass" and "smooth" keep
    0.96, with undershoots below zero on both sides. "median" keeps 0.3, because it assigns most of
    a response that lasts longer than half its window to the tonic component.

    sparsEDA is not available; ``docs/decomposition.md`` explains why.

    References
    ----------
    .. [1] A. Greco, G. Valenza, A. Lanata, E. P. Scilingo, L. Citi, "cvxEDA: A convex optimization
       approach to electrodermal activity processing", IEEE Transactions on Biomedical Engineering
       63 (2016), 797-804.
    .. [2] D. Makowski et al., "NeuroKit2: A Python toolbox for neurophysiological signal
       processing", Behavior Research Methods 53 (2021), 1689-1696: median smoothing as in Biopac's
       AcqKnowledge, 4 s.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.preprocessing import EDADecomposer
    >>> eda = np.cumsum(np.random.default_rng(0).normal(size=(2, 100)), axis=1)
    >>> parts = EDADecomposer(sampling_rate=4, method="highpass").fit_transform(eda)
    >>> parts.shape  # two trials, 100 samples of phasic and 100 of tonic side by side
    (2, 200)
    >>> bool(np.allclose(parts[:, :100] + parts[:, 100:], eda, atol=1e-5))
    True
    """

    n_times_: int | None
    n_features_in_: int
    feature_names_in_: np.ndarray

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "sampling_rate": [Interval(Real, LOWEST_RATE, None, closed="left")],
        "method": [str, DecompositionMethod],
        "components": ["array-like"],
        "missing": [StrOptions({"raise", "interpolate", "mask"})],
        "repair": [StrOptions(set(REPAIRS)), None],
        "breathing": [StrOptions(set(BREATHING)), None],
        "context": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        sampling_rate: float,
        *,
        method: str | DecompositionMethod = "cvxeda",
        components: Sequence[str] = ("phasic", "tonic"),
        missing: str = "raise",
        repair: str | None = None,
        breathing: str | None = None,
        context: float = 0.0,
    ) -> None:
        self.sampling_rate = sampling_rate
        self.method = method
        self.components = components
        self.missing = missing
        self.repair = repair
        self.breathing = breathing
        self.context = context

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None) -> Self:
        """Check the trials; only their length is learned.

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
            If a parameter is out of its range, or a trial has missing samples (see `missing`),
            does not hold real numbers or is shorter than 2 s; the error names the trial.
        """
        with whole_or_nothing(self):
            lengths = {len(signal) - self._n_context for signal in self._read(X, reset=True)}
            self.n_times_ = None
            if len(lengths) == 1 and (is_only_signals(X) or not is_trials_table(X)):
                self.n_times_ = lengths.pop()
        return self

    def transform(self, X: object) -> Any:
        """Return the components of each trial.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray
            For a trials table a new table: cells of ``eda`` become float32 arrays of shape
            (n_components, n_samples), and a column ``channels`` names the components, as in
            ``"phasic|tonic"``. For other X a float32 array of shape (n_trials, n_components *
            n_samples), one component after the other. For a frame whose only column is ``eda``, as
            in a ColumnTransformer, the same numbers as a DataFrame, with the index of X.

        Raises
        ------
        ValueError
            As in `fit`. Or if X is not a trials table and the trials differ in length from each
            other or from those of `fit`. Or if a component exceeds float32.
        DecompositionError
            If cvxEDA finds no acceptable solution for a trial; the error names the trial.
        """
        self._validate_params()
        signals = self._read(X, reset=False)
        makes_table = is_trials_table(X) and not is_only_signals(X)
        if not makes_table:
            self._check_one_length(X, [len(signal) - self._n_context for signal in signals])
        method = find_decomposition(self.method)
        repaired = repair_signals(signals, self.sampling_rate, self.repair)
        if self.breathing is not None:
            repaired, _ = remove_breathing(repaired, self.sampling_rate)
        decomposed = decompose_trials(
            [repairs.signal for repairs in repaired],
            self.sampling_rate,
            method,
            standardize=method.unit_variance,
            n_context=self._n_context,
            name=lambda row: name_trial(X, row),
        )
        repaired = [repairs.leave_out(self._n_context) for repairs in repaired]
        split = [
            self._split(X, row, repairs.signal, trial)
            for row, (repairs, trial) in enumerate(zip(repaired, decomposed, strict=True))
        ]
        self._warn(
            [odd for _, odd in split],
            describe_repairs(
                [repairs.n_repaired for repairs in repaired],
                [repairs.beyond_repair for repairs in repaired],
            ),
        )
        channels = [components for components, _ in split]
        if makes_table:
            return channels_table(X, channels, self.components)
        rows = np.stack([cell.ravel() for cell in channels])
        if not is_only_signals(X):
            return rows
        names = eda_names(self.components, channels[0].shape[1])
        return pd.DataFrame(rows, index=X.index, columns=names)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the column names of an array output: ``eda_<component>_<sample>``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_components * n_samples,)
            The names.
        """
        check_is_fitted(self, "n_times_")
        if self.n_times_ is None:
            # set_output checks this type and these words, and then leaves a table unchanged.
            raise AttributeError(
                "EDADecomposer was fitted to a trials table or to signals of unequal length and so "
                "does not provide get_feature_names_out."
            )
        return np.asarray(eda_names(self.components, self.n_times_), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.input_tags.allow_nan = self.missing != "raise"
        tags.requires_fit = False
        return tags

    def _read(self, X: object, *, reset: bool) -> list[np.ndarray]:
        """Read the signal of each trial and check that it is long enough."""
        rate = check_sampling_rate(self.sampling_rate)
        check_components(self.components, COMPONENTS)
        method = find_decomposition(self.method)
        method.check(rate)
        check_masking(method, self.missing, self.repair)
        read = read_signals(self, X, reset=reset, missing=self.missing, n_context=self._n_context)
        signals = [signal for signal, _ in read]
        shortest = self._n_context + ceil(SHORTEST * rate)
        after = f" after a context of {self.context:g} s" if self._n_context else ""
        for row, signal in enumerate(signals):
            if len(signal) < shortest:
                raise ValueError(
                    f"{name_trial(X, row)}: {len(signal)} samples (n_features = {len(signal)}) are "
                    f"too few: a trial must last {SHORTEST:g} s{after}, which are {shortest} "
                    f"samples at {rate:g} Hz. Remove the trial, or check sampling_rate."
                )
        return signals

    @property
    def _n_context(self) -> int:
        return round(self.context * self.sampling_rate)

    def _check_one_length(self, X: object, lengths: list[int]) -> None:
        length = getattr(self, "n_times_", None) or lengths[0]
        odd = [row for row, found in enumerate(lengths) if found != length]
        if odd:
            raise ValueError(
                f"{name_trial(X, odd[0])}: {lengths[odd[0]]} samples, but earlier trials or "
                f"those of fit have {length}. Trials that differ in length do not fit in an array: "
                "cut them to the same length, or pass a trials table."
            )

    def _split(
        self, X: object, row: int, signal: np.ndarray, trial: DecomposedTrial
    ) -> tuple[np.ndarray, set[str]]:
        """Return a trial's channels, float32 (n_components, n_samples), and its keys of `ODD`."""
        missing = np.isnan(signal)
        if missing.any():
            fit = trial.scale * (trial.result.phasic + trial.result.tonic) + trial.offset
            signal = np.where(missing, fit, signal)
        odd = {
            "flat": is_flat(signal),
            "inaccurate": trial.status != "optimal",
            "cancellation": trial.cancellation,
        }
        residual = trial.scale * trial.channel("residual")
        if odd["flat"]:
            residual = np.zeros_like(residual)  # only rounding
        phasic = silence_rounding((trial.scale * trial.result.phasic)[None], signal[None])[0]
        parts = {"phasic": phasic, "tonic": signal - residual - phasic, "residual": residual}
        channels = np.stack([parts[name] for name in self.components])
        if not np.max(np.abs(channels)) <= LARGEST:
            raise ValueError(
                f"{name_trial(X, row)}: its samples are so large that a component exceeds float32. "
                "Check that the recording is in microsiemens."
            )
        return channels.astype(np.float32), {kind for kind, present in odd.items() if present}

    def _warn(self, odd: list[set[str]], messages: list[str]) -> None:
        """Issue one warning about unusual trials, with the rows of the first three."""
        for kind, what in ODD.items():
            rows = [row for row, kinds in enumerate(odd) if kind in kinds]
            if rows:
                messages.append(
                    f"{len(rows)} of {len(odd)} trials (first rows: {rows[:3]}) {what}."
                )
        if messages:
            warnings.warn(" ".join(messages), SignalQualityWarning, stacklevel=4)
