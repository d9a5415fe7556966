"""Raw EDA of each trial to 128 numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from threadpoolctl import threadpool_limits

from edaemo._cache import TrialCache
from edaemo._layout import EDA
from edaemo._saved import saved
from edaemo._validation import (
    identity_index,
    is_trials_table,
    name_trial,
    read_signals,
    whole_or_nothing,
)
from edaemo.decomposition import (
    DecompositionMethod,
    Filter,
    check_sampling_rate,
    find_decomposition,
    silence_rounding,
)
from edaemo.features import _edaemo, _pmemo
from edaemo.preprocessing import DecomposingMixin, decompose_trials

PRESETS = {"edaemo": _edaemo, "pmemo": _pmemo}
# What `method` is by default, and the `decomposition` that is called otherwise there.
METHOD = "bandpass"
EARLIER = {"highpass": METHOD, "cvxeda": "cvxeda"}
HIGHEST_BAND = 0.5  # Hz
SHORTEST = 1 / HIGHEST_BAND  # seconds: one period of the bands' upper end
BLOCK = 2**20  # samples computed at once, which bounds the memory that the frames take

_cache = TrialCache(max_bytes=64 * 2**20)


@saved("edaemo.features.EDAFeatureExtractor", "n_features_in_", "feature_names_in_")
class EDAFeatureExtractor(DecomposingMixin, TransformerMixin, BaseEstimator):
    """Describe each trial's phasic EDA by 128 hand-crafted features.

    6 of the skin conductance responses (SCRs), 7 in time, 6 of the spectrum, 9 of the power in five
    bands up to 0.5 Hz, and mean, standard deviation, median, kurtosis and skewness over frames of
    20 cepstral coefficients: the set of [1]_ as the authors of [2]_ published it, mended. Each
    feature, its unit and its value where it is undefined (no SCR, a flat trial) stand in
    ``docs/features.md``. Nothing is learned, so nothing can leak between trials; a trial gets the
    same numbers in whatever batch it comes, and they are always finite.

    Parameters
    ----------
    sampling_rate : float
        Samples per second (Hz) of the recordings, at least 1.
    method : str or DecompositionMethod, default="bandpass"
        How the phasic component is computed from the raw recording: the name of a decomposition
        that is registered (:func:`edaemo.decomposition.register_decomposition`), or an object with
        its settings, such as ``edaemo.decomposition.Median(window=8.0)``; the same as in
        :class:`edaemo.preprocessing.EDADecomposer`. "bandpass": Butterworth filters forwards and
        backwards, 0.05 Hz and above, below 3 Hz where the rate exceeds 6 Hz. "cvxeda": the trial is
        z-scored, decomposed by cvxEDA [3]_ with its default settings, and the phasic component
        scaled back. Whatever the method, the component is in the unit of the recording.
    preset : {"edaemo", "pmemo"}, default="edaemo"
        Whose definitions. "pmemo" computes what the notebook published with [2]_ computes, with
        its faults: each recording scaled to 0…1, so amplitudes of people and trials cannot be
        compared; SumAreas equal to auc, meanNegativeDerivative equal to -meanDerivative and
        signalEnergy to the sum of the bands; the spectrum two-sided, with its area taken along a
        frequency axis that leaps back in the middle; energies that grow with the clip; MFCC
        frames of 2,048 samples whatever the rate, of which a 40-s clip at 50 Hz has four and a
        25-s clip at 4 Hz one, so that the statistics over frames say little or nothing.
    missing : {"raise", "interpolate"}, default="raise"
        What becomes of NaN and infinite samples: an error that names the trial, or linear
        interpolation between the finite neighbours (the nearest one at the ends). A trial without
        a single finite sample is an error in both.
    decomposition : {"highpass", "cvxeda"} or None, default=None
        The earlier name of `method`, in whose stead it is taken: "highpass" is
        ``method="bandpass"``, "cvxeda" is ``method="cvxeda"``. None: `method`.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.

    Notes
    -----
    Give raw microsiemens. Z-scored channels hold neither amplitude nor, with both z-scored, a
    phasic component that adds up with the tonic one.

    An SCR runs from a sample after which the phasic component rises to the next one after which it
    falls, both seen within the trial, and reaches at least a tenth of the trial's largest rise.

    A trial must last 2 s, one period of the bands' upper end. Frequencies less than one over its
    length apart cannot be told apart: below 10 s neighbouring bands share their content.

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

    _parameter_constraints: dict = {  # noqa: RUF012
        "sampling_rate": [Interval(Real, 0, None, closed="neither")],
        "method": [str, DecompositionMethod],
        "preset": [StrOptions(set(PRESETS))],
        "missing": [StrOptions({"raise", "interpolate"})],
        "decomposition": [StrOptions(set(EARLIER)), None],
    }

    def __init__(
        self,
        sampling_rate: float,
        *,
        method: str | DecompositionMethod = METHOD,
        preset: str = "edaemo",
        missing: str = "raise",
        decomposition: str | None = None,
    ) -> None:
        self.sampling_rate = sampling_rate
        self.method = method
        self.preset = preset
        self.missing = missing
        self.decomposition = decomposition

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None) -> Self:
        """Check the trials; nothing is learned from them.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            A trials table (its column ``eda`` holds 1-D signals), a Series, object array or
            one-column frame of 1-D signals, or a 2-D array of numbers.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a trial holds NaN or infinite samples (see `missing`) or is shorter than 2 s, which
            names the trial; or if `sampling_rate` is below 1 Hz, where bands up to 0.5 Hz end.
        """
        with whole_or_nothing(self):
            self._read(X, reset=True)
        return self

    def transform(self, X: object) -> object:
        """Give the features of each trial.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, 128)
            For a trials table a frame: its index holds subject, stimulus and trial (those that X
            has; the index of X where it has none), its columns are `get_feature_names_out`. For
            anything else an array.

        Raises
        ------
        ValueError
            As in `fit`; or if samples are so large that a feature exceeds float32.
        DecompositionError
            If the decomposition fails on a trial; the error names it.
        """
        self._validate_params()
        signals = self._read(X, reset=False)
        rows = _cache.get_many(
            signals,
            ("features", self.preset, *self._find_method().key, float(self.sampling_rate)),
            lambda wanted: self._compute(X, signals, wanted),
            lambda row: row.nbytes,
        )
        values = np.stack(rows)
        if not is_trials_table(X):
            return values
        index = identity_index(X)
        index = X.index if index is None else index
        return pd.DataFrame(values, index=index, columns=self.get_feature_names_out())

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Name the 128 columns, ``eda_…``; with preset="pmemo" the published names follow."""
        return np.asarray([EDA + name for name in PRESETS[self.preset].NAMES], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32, whatever comes in
        tags.input_tags.allow_nan = self.missing == "interpolate"
        tags.requires_fit = False
        return tags

    def _read(self, X: object, *, reset: bool) -> list[np.ndarray]:
        """Read the signal of each trial and check that it is long enough."""
        rate = check_sampling_rate(self.sampling_rate)
        if rate < 2 * HIGHEST_BAND:
            raise ValueError(
                f"sampling_rate={rate} Hz reaches up to {rate / 2} Hz only, and the bands up to "
                f"{HIGHEST_BAND} Hz: they need recordings of at least {2 * HIGHEST_BAND} Hz."
            )
        self._find_method().check(rate)
        signals = [signal for signal, _ in read_signals(self, X, reset=reset, missing=self.missing)]
        shortest = ceil(SHORTEST * rate)
        for row, signal in enumerate(signals):
            if len(signal) < shortest:
                raise ValueError(
                    f"{name_trial(X, row)}: {len(signal)} samples (n_features = {len(signal)}) are "
                    f"too few: the features need {SHORTEST:g} s, which are {shortest} samples at "
                    f"{rate} Hz. Leave the trial out, or check sampling_rate."
                )
        return signals

    def _compute(
        self, X: object, signals: Sequence[np.ndarray], wanted: list[int]
    ) -> list[np.ndarray]:
        """Give the features of the `wanted` trials; those of one length are computed together."""
        preset = PRESETS[self.preset]
        rate = float(self.sampling_rate)
        values = np.empty((len(wanted), len(preset.NAMES)), dtype=np.float32)
        lengths = np.array([len(signals[row]) for row in wanted])
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            for block in np.array_split(places, ceil(len(places) * length / BLOCK)):
                rows = [wanted[place] for place in block]
                phasic = self._phasic(X, rows, np.stack([signals[row] for row in rows]))
                # Products this small gain nothing from threads, lose much where cores are busy, and
                # would round according to their number.
                with (
                    threadpool_limits(1, user_api="blas"),
                    np.errstate(over="ignore", invalid="ignore"),
                ):
                    values[block] = preset.features(phasic, rate)
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{name_trial(X, wanted[int(np.argmin(finite))])}: its samples are so large that "
                "features exceed float32. Is the recording in microsiemens?"
            )
        return [row.copy() for row in values]

    def _phasic(self, X: object, rows: list[int], signals: np.ndarray) -> np.ndarray:
        """Give the phasic component of each signal, shape (n_trials, n_samples)."""
        if self.preset == "pmemo":
            signals = _pmemo.scale(signals)
        method, rate = self._find_method(), float(self.sampling_rate)
        if isinstance(method, Filter) and not method.unit_variance and signals.shape[1] > 1:
            # Filtering all trials at once is faster than asking the cache for each of them.
            with suppress(ValueError):  # raised again below, with the name of the trial
                return silence_rounding(method.phasic(signals, rate), signals)
        trials = decompose_trials(
            list(signals),
            rate,
            method,
            standardize=method.unit_variance,
            name=lambda place: name_trial(X, rows[place]),
        )
        phasic = np.stack([trial.scale * trial.result.phasic for trial in trials])
        return silence_rounding(phasic, signals)

    def _find_method(self) -> DecompositionMethod:
        if self.decomposition is None:
            return find_decomposition(self.method)
        if self.method not in (METHOD, EARLIER[self.decomposition]):
            raise ValueError(
                f"method={self.method!r} and decomposition={self.decomposition!r}, which is its "
                "earlier name, differ: leave decomposition out."
            )
        return find_decomposition(EARLIER[self.decomposition])
