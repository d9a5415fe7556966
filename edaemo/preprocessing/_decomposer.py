"""Raw EDA of each trial to its phasic and tonic component, in the recording's own unit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import ceil
from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import channels_table, check_components, eda_names
from edaemo._saved import saved
from edaemo._validation import (
    LARGEST,
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
    FLAT,
    DecomposedTrial,
    DecomposingMixin,
    SignalQualityWarning,
    check_masking,
    decompose_trials,
)

COMPONENTS = ("phasic", "tonic", "residual")
SHORTEST = 2.0  # seconds: half the window of the moving median
LOWEST_RATE = 1.0  # Hz, where that are two samples

# What may be odd about a trial, and what the warning says of it.
ODD = {
    "flat": "are flat: they are all tonic",
    "inaccurate": "miss the tolerance of the solver",
    "cancellation": (
        "have a phasic component that spans more than twice what the recording spans, so that "
        "phasic and tonic largely cancel each other: another method may suit them better"
    ),
}


@saved("edaemo.preprocessing.EDADecomposer", "n_times_", "n_features_in_", "feature_names_in_")
class EDADecomposer(DecomposingMixin, TransformerMixin, BaseEstimator):
    """Split each trial's EDA into phasic and tonic component, in the recording's own unit.

    Give microsiemens and get microsiemens: nothing is z-scored in the output, no sample is dropped
    or added, and phasic + tonic (+ residual, with "cvxeda") is the recording. Each trial is split
    by itself; nothing is learned from others, so nothing can leak between them. Channels as
    networks take them, z-scored and of one length, come from :class:`CvxEDATransformer`.

    Parameters
    ----------
    sampling_rate : float
        Samples per second (Hz) of the recordings, at least 1.
    method : str or DecompositionMethod, default="cvxeda"
        The decomposition: the name of one that is registered
        (:func:`edaemo.decomposition.register_decomposition`), or an object with its settings, such
        as ``edaemo.decomposition.Median(window=8.0)``. In the filters, tonic is the recording minus
        phasic. These come along:

        "cvxeda" : cvxEDA [1]_ with its default settings. The trial is z-scored for it, because its
        penalties are made for unit variance, and the answer scaled back; what was subtracted is
        tonic. The phasic component is never negative.

        "highpass" : phasic is what passes a Butterworth high-pass of order 2 at 0.05 Hz, forwards
        and backwards, which lets half of a wave at 0.05 Hz through. As everywhere in edaemo, the
        trial's line of least squares is taken off first (it is tonic) and the rest goes on for
        30 s at its first and last value.

        "bandpass" : "highpass", and above 6 Hz a low-pass of order 4 at 3 Hz, as
        :class:`edaemo.features.EDAFeatureExtractor` takes it by default. What lies above 3 Hz is
        tonic then.

        "median" : tonic is the moving median over 4 s [2]_, in ``round(4 * sampling_rate)``
        samples or one more where that is even. Trials go on at their first and last value, so
        the first and last sample's phasic component is mostly zero.

        "smooth" : tonic is the trial smoothed by a Gaussian with a standard deviation of 3.75 s,
        cut at four of them, which lets half of a wave at 0.05 Hz through, too. Ends as in
        "highpass".
    components : tuple of str, default=("phasic", "tonic")
        The channels, in this order: any of "phasic", "tonic" and "residual", which is zero in
        the filters.
    missing : {"raise", "interpolate", "mask"}, default="raise"
        What becomes of missing samples (NaN, NA, None, masked), infinite ones and those beyond
        float32's range. "raise": an error that names the trial. "interpolate": linear interpolation
        in time between the finite neighbours (the nearest one at the ends); then the components add
        up to the interpolated recording. "mask", for "cvxeda" and whatever else masks: they have no
        weight; there the phasic and tonic component are what the samples around say, and the
        residual is 0. Without a single finite sample (two for "mask") a trial is an error in all.

    Attributes
    ----------
    n_times_ : int or None
        Samples of each channel of a bare array's output, as `fit` saw them; None where it saw a
        trials table or signals of unequal length.
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.

    Warns
    -----
    SignalQualityWarning
        Once in a `transform`: how many trials are flat (all tonic), how many decompositions miss
        the solver's tolerance, and in how many phasic and tonic largely cancel each other.

    Notes
    -----
    A phasic component whose standard deviation is at most 1e-9 of the trial's largest value is
    rounding and becomes zero. Trials of less than 2 s, half the moving median's window, are errors.

    Of the rise of one response of cvxEDA's shape (1.1 s up, several down), alone on a level trial,
    "cvxeda" keeps 0.92 at 4 Hz and 0.99 at 50 Hz; "highpass" and "smooth" keep 0.96 and put it
    between dips below zero; "median" keeps 0.3, as it takes most of what lasts longer than half its
    window for tonic.

    sparsEDA is not offered; ``docs/decomposition.md`` says why.

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

    _parameter_constraints: dict = {  # noqa: RUF012
        "sampling_rate": [Interval(Real, LOWEST_RATE, None, closed="left")],
        "method": [str, DecompositionMethod],
        "components": [tuple, list],
        "missing": [StrOptions({"raise", "interpolate", "mask"})],
    }

    def __init__(
        self,
        sampling_rate: float,
        *,
        method: str | DecompositionMethod = "cvxeda",
        components: Sequence[str] = ("phasic", "tonic"),
        missing: str = "raise",
    ) -> None:
        self.sampling_rate = sampling_rate
        self.method = method
        self.components = components
        self.missing = missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None) -> Self:
        """Check the trials; nothing is learned from them but their length.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            A trials table (its column ``eda`` holds 1-D signals), a Series, object array or
            one-column frame of 1-D signals, or a 2-D array of numbers. Samples are integers or
            floats of any width; text, booleans and complex numbers are errors.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of its range, or a trial has missing samples (see `missing`),
            holds no real numbers or is shorter than 2 s; the error names the trial.
        """
        with whole_or_nothing(self):
            lengths = {len(signal) for signal in self._read(X, reset=True)}
            self.n_times_ = None
            if len(lengths) == 1 and not is_trials_table(X):
                self.n_times_ = lengths.pop()
        return self

    def transform(self, X: object) -> object:
        """Give the components of each trial.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        DataFrame or ndarray
            For a trials table a new table: cells of ``eda`` become float32 arrays of shape
            (n_components, n_samples), and a column ``channels`` names them, as in
            ``"phasic|tonic"``. For anything else a float32 array of shape (n_trials,
            n_components * n_samples), one component after the other.

        Raises
        ------
        ValueError
            As in `fit`; if the trials of a bare array differ in length from each other or from
            those of `fit`; or if a component exceeds float32.
        DecompositionError
            If cvxEDA finds no acceptable answer for a trial; the error names it.
        """
        self._validate_params()
        signals = self._read(X, reset=False)
        if not is_trials_table(X):
            self._check_one_length(X, signals)
        method = find_decomposition(self.method)
        decomposed = decompose_trials(
            signals,
            self.sampling_rate,
            method,
            standardize=method.unit_variance,
            name=lambda row: name_trial(X, row),
        )
        split = [
            self._split(X, row, *of_trial)
            for row, of_trial in enumerate(zip(signals, decomposed, strict=True))
        ]
        self._warn([odd for _, odd in split])
        channels = [components for components, _ in split]
        if not is_trials_table(X):
            return np.stack([cell.ravel() for cell in channels])
        return channels_table(X, channels, self.components)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Name the columns of the output as a bare array: ``eda_<component>_<sample>``."""
        check_is_fitted(self, "n_times_")
        if self.n_times_ is None:
            # In these words and as this type it is how set_output learns to leave a table alone.
            raise AttributeError(
                "EDADecomposer was fitted to a trials table or to signals of unequal length and so "
                "does not provide get_feature_names_out."
            )
        return np.asarray(eda_names(self.components, self.n_times_), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32, whatever comes in
        tags.input_tags.allow_nan = self.missing != "raise"
        tags.requires_fit = False
        return tags

    def _read(self, X: object, *, reset: bool) -> list[np.ndarray]:
        """Read the signal of each trial and check that it is long enough."""
        rate = check_sampling_rate(self.sampling_rate)
        check_components(self.components, COMPONENTS)
        method = find_decomposition(self.method)
        method.check(rate)
        check_masking(method, self.missing)
        signals = [signal for signal, _ in read_signals(self, X, reset=reset, missing=self.missing)]
        shortest = ceil(SHORTEST * rate)
        for row, signal in enumerate(signals):
            if len(signal) < shortest:
                raise ValueError(
                    f"{name_trial(X, row)}: {len(signal)} samples (n_features = {len(signal)}) are "
                    f"too few: a trial must last {SHORTEST:g} s, which are {shortest} samples at "
                    f"{rate:g} Hz. Leave the trial out, or check sampling_rate."
                )
        return signals

    def _check_one_length(self, X: object, signals: list[np.ndarray]) -> None:
        length = getattr(self, "n_times_", None) or len(signals[0])
        odd = [row for row, signal in enumerate(signals) if len(signal) != length]
        if odd:
            raise ValueError(
                f"{name_trial(X, odd[0])}: {len(signals[odd[0]])} samples, and not {length} as the "
                "trials before or in fit. The trials differ in length, so they make no array: cut "
                "them to one length, or give a trials table."
            )

    def _split(
        self, X: object, row: int, signal: np.ndarray, trial: DecomposedTrial
    ) -> tuple[np.ndarray, set[str]]:
        """Return a trial's channels, float32 (n_components, n_samples), and what is odd of ODD."""
        missing = np.isnan(signal)
        if missing.any():
            fit = trial.scale * (trial.result.phasic + trial.result.tonic) + trial.offset
            signal = np.where(missing, fit, signal)
        odd = {
            "flat": np.std(signal) <= FLAT * np.max(np.abs(signal)),
            "inaccurate": trial.status != "optimal",
            "cancellation": trial.cancellation,
        }
        residual = trial.scale * trial.channel("residual")
        phasic = silence_rounding((trial.scale * trial.result.phasic)[None], signal[None])[0]
        parts = {"phasic": phasic, "tonic": signal - residual - phasic, "residual": residual}
        channels = np.stack([parts[name] for name in self.components])
        if not np.max(np.abs(channels)) <= LARGEST:
            raise ValueError(
                f"{name_trial(X, row)}: its samples are so large that a component exceeds float32. "
                "Is the recording in microsiemens?"
            )
        return channels.astype(np.float32), {kind for kind, is_so in odd.items() if is_so}

    def _warn(self, odd: list[set[str]]) -> None:
        """Say once what is odd about the trials; the first few by their row."""
        said = []
        for kind, what in ODD.items():
            rows = [row for row, kinds in enumerate(odd) if kind in kinds]
            if rows:
                said.append(f"{len(rows)} of {len(odd)} trials (first rows: {rows[:3]}) {what}.")
        if said:
            warnings.warn(" ".join(said), SignalQualityWarning, stacklevel=4)
