"""Transformer from the raw EDA of each trial to the output of a pre-trained encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import Memory
from scipy.signal import resample_poly
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_memory

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
    DecompositionMethod,
    check_sampling_rate,
    find_decomposition,
    trim_context,
)
from edaemo.preprocessing import DecomposingMixin, decompose_trials

CHANNELS = ("original", "phasic", "tonic", "driver")
PADDINGS = ("edge", "reflect", "zero")
# Rates are fractions with denominators up to this one, for a ratio of whole numbers.
_LARGEST_DENOMINATOR = 1000

Encoder = Callable[[np.ndarray], Any]


@saved(
    "edaemo.features.EncoderFeatureExtractor",
    "onnx_",
    "n_features_out_",
    "n_features_in_",
    "feature_names_in_",
)
class EncoderFeatureExtractor(DecomposingMixin, TransformerMixin, BaseEstimator):
    """Compute features of each trial's EDA by a pre-trained encoder, whose weights do not change.

    Each trial is resampled to the rate of the encoder, decomposed into the channels that the
    encoder takes, and cut into windows. The features of a trial are the mean of the encoder's
    outputs over its windows. Nothing is learned from the trials.

    Parameters
    ----------
    encoder : path or callable
        An ONNX file with one input, of shape (n_windows, n_channels, n_samples), or (n_windows,
        n_samples) for one channel. Needs ``pip install edaemo[onnx]``. Or a callable that takes
        such an array, float32 with three axes, and returns an array with n_windows rows. Further
        axes of the output are flattened; of several outputs of the file, the first is used.
    sampling_rate : float
        Samples per second (Hz) of the recordings.
    encoder_rate : float
        Samples per second (Hz) that the encoder was trained with.
    window : float
        Seconds of a window of the encoder.
    channels : sequence of str, default=("original",)
        Channels of the encoder in its order: "original" (the recording), "phasic", "tonic" and
        "driver".
    method : str or DecompositionMethod, default="cvxeda"
        Decomposition of the recording at `encoder_rate`, as in
        :class:`edaemo.preprocessing.EDADecomposer`. Not used if "original" is the only channel.
    hop : float or None, default=None
        Seconds from the start of one window to the start of the next. The last window ends with the
        trial, so that each sample is in a window. None: `window`.
    padding : {"edge", "reflect", "zero"}, default="edge"
        How a trial that is shorter than a window is continued at its end: by its last sample, by
        its samples in reverse order, or by zeros.
    scale : {"trial", "window"} or None, default=None
        Whether each channel is z-scored, over the trial or over the window before it is padded. A
        flat channel becomes zeros. None: the channels have the unit of the recording, with the
        level of the person.
    missing : {"raise", "interpolate"}, default="raise"
        Treatment of NaN and infinite samples, as in `EDAFeatureExtractor`.
    batch_size : int, default=64
        Number of windows that the encoder receives at once. A file with a fixed number of windows
        receives this number.
    context : float, default=0.0
        Seconds at the beginning of each cell that were recorded before the trial, as in
        :class:`edaemo.preprocessing.EDADecomposer`. They are resampled and decomposed with the
        trial, and no window and no `scale` includes them.
    memory : str, joblib.Memory or None, default=None
        Folder in which the features of each trial are stored, by content of the trial and of the
        ONNX file. A callable has no content, so it cannot be used with `memory`.

    Attributes
    ----------
    onnx_ : ndarray of uint8 or None
        Content of the ONNX file, so that a saved or pickled extractor does not need the file. None
        for a callable.
    n_features_out_ : int
        Number of features.
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.

    Notes
    -----
    Resampling is that of :func:`scipy.signal.resample_poly`, with a line through first and last
    sample removed before and added afterwards, so that the level causes no ripples at the ends.

    Examples
    --------
    >>> def encode(windows):  # a "trained" encoder: mean and spread of each of two channels
    ...     return np.concatenate([windows.mean(axis=2), windows.std(axis=2)], axis=1)
    >>> extractor = EncoderFeatureExtractor(
    ...     encode, 8, encoder_rate=4, window=10, channels=("original", "tonic"), method="median"
    ... )
    >>> extractor.fit_transform(np.full((1, 160), 2.5)).round(3)
    array([[2.5, 2.5, 0. , 0. ]], dtype=float32)
    """

    onnx_: np.ndarray | None
    n_features_out_: int
    n_features_in_: int
    feature_names_in_: np.ndarray

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "encoder": [str, PathLike, callable],
        "sampling_rate": [Interval(Real, 0, None, closed="neither")],
        "encoder_rate": [Interval(Real, 0, None, closed="neither")],
        "window": [Interval(Real, 0, None, closed="neither")],
        "channels": ["array-like"],
        "method": [str, DecompositionMethod],
        "hop": [Interval(Real, 0, None, closed="neither"), None],
        "padding": [StrOptions(set(PADDINGS))],
        "scale": [StrOptions({"trial", "window"}), None],
        "missing": [StrOptions({"raise", "interpolate"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "context": [Interval(Real, 0, None, closed="left")],
        "memory": [str, Memory, None],
    }

    def __init__(
        self,
        encoder: str | PathLike[str] | Encoder,
        sampling_rate: float,
        *,
        encoder_rate: float,
        window: float,
        channels: Sequence[str] = ("original",),
        method: str | DecompositionMethod = "cvxeda",
        hop: float | None = None,
        padding: str = "edge",
        scale: str | None = None,
        missing: str = "raise",
        batch_size: int = 64,
        context: float = 0.0,
        memory: str | Memory | None = None,
    ) -> None:
        self.encoder = encoder
        self.sampling_rate = sampling_rate
        self.encoder_rate = encoder_rate
        self.window = window
        self.channels = channels
        self.method = method
        self.hop = hop
        self.padding = padding
        self.scale = scale
        self.missing = missing
        self.batch_size = batch_size
        self.context = context
        self.memory = memory

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None) -> Self:
        """Read the encoder, and run it on the first trial.

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
            The extractor.

        Raises
        ------
        ImportError
            If the encoder is a file, and onnxruntime is not installed.
        OSError
            If the file cannot be read.
        ValueError
            If a parameter is invalid, a trial is invalid, or the encoder does not take or return
            arrays of the stated form.
        """
        with whole_or_nothing(self):
            self._check()
            self.onnx_ = None
            if not callable(self.encoder):
                content = Path(self.encoder).read_bytes()
                self.onnx_ = np.frombuffer(content, dtype=np.uint8).copy()
            signals = self._read(X, reset=True)
            (first,) = self._encode(X, signals[:1])
            self.n_features_out_ = len(first)
        return self

    def transform(self, X: object) -> Any:
        """Compute the features of each trial.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_trials, n_samples)
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, `n_features_out_`)
            As from :meth:`edaemo.features.EDAFeatureExtractor.transform`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As in `fit`; or if an output is not finite, or another number of features than in `fit`.
            The error names the trial.
        """
        check_is_fitted(self)
        signals = self._read(X, reset=False)
        values = np.stack(self._encode(X, signals))
        if values.shape[1] != self.n_features_out_:
            raise ValueError(
                f"The encoder returned {values.shape[1]} features, but {self.n_features_out_} in "
                "fit: fit again after a change of the encoder."
            )
        if not is_trials_table(X):
            return values
        index = output_index(X, self)
        index = X.index if index is None else index
        return pd.DataFrame(values, index=index, columns=self.get_feature_names_out())

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the column names ``eda_encoded0``, ``eda_encoded1``, ….

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (`n_features_out_`,)
            The names.
        """
        check_is_fitted(self)
        names = [f"{EDA}encoded{place}" for place in range(self.n_features_out_)]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.input_tags.allow_nan = self.missing == "interpolate"
        return tags

    def _check(self) -> None:
        channels = list(self.channels)
        if not channels or not set(channels) <= set(CHANNELS):
            raise ValueError(
                f"channels={self.channels!r} must be one or more of {list(CHANNELS)}, in the order "
                "of the encoder."
            )
        if round(self.window * self.encoder_rate) < 1:
            raise ValueError(
                f"window={self.window} s is shorter than a sample at encoder_rate="
                f"{self.encoder_rate} Hz."
            )
        if callable(self.encoder) and self.memory is not None:
            raise ValueError(
                "memory= needs an ONNX file: the results of a callable cannot be told from those "
                "of a changed one. Export it to ONNX, or set memory=None."
            )
        method = find_decomposition(self.method)
        if "driver" in channels and not method.has_driver:
            raise ValueError(f"method={self.method!r} has no driver: use method='cvxeda'.")

    def _read(self, X: object, *, reset: bool) -> list[np.ndarray]:
        """Read context and trial of each row."""
        n_context = round(self.context * check_sampling_rate(self.sampling_rate))
        read = read_signals(self, X, reset=reset, missing=self.missing, n_context=n_context)
        signals = [signal for signal, _ in read]
        for row, signal in enumerate(signals):
            if len(signal) <= n_context:
                raise ValueError(
                    f"{name_trial(X, row)} has {len(signal)} samples, but a context of "
                    f"{self.context:g} s has {n_context}: no sample of the trial is left. Check "
                    "context and sampling_rate."
                )
        return signals

    def _encode(self, X: object, signals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the features of each trial, float32 of shape (n_features,)."""
        windows = [*map(self._cut, self._split(X, signals))]
        run, digest = self._open()
        if self.memory is None:
            ends = np.cumsum([len(part) for part in windows])
            outputs = np.split(_run(run, np.concatenate(windows), int(self.batch_size)), ends[:-1])
            features = [part.mean(axis=0) for part in outputs]
        else:
            kept = check_memory(self.memory).cache(_encode_trial, ignore=["run", "batch_size"])
            features = [kept(part, digest, run, int(self.batch_size)) for part in windows]
        for row, values in enumerate(features):
            if not np.isfinite(values).all():
                raise ValueError(
                    f"{name_trial(X, row)}: the encoder returned NaN or infinity. Check its rate, "
                    "channels and scale."
                )
        return features

    def _resample(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return context and trial at the rate of the encoder; the context begins with NaN.

        The first sample of the trial stays a sample, so that the trial begins at its onset. Each
        context has the same number of samples.
        """
        to, given = (
            Fraction(float(rate)).limit_denominator(_LARGEST_DENOMINATOR)
            for rate in (self.encoder_rate, self.sampling_rate)
        )
        ratio = to / given
        n_context = round(self.context * self.sampling_rate)
        if ratio == 1 or len(signal) < 2:
            return signal[:n_context], signal[n_context:]
        recorded, n_recorded = trim_context(signal, n_context)
        begin = n_recorded % ratio.denominator
        resampled = resample_poly(
            recorded[begin:], ratio.numerator, ratio.denominator, padtype="line"
        )
        longest, n_before = (
            n // ratio.denominator * ratio.numerator for n in (n_context, n_recorded)
        )
        context = np.full(longest, np.nan)
        context[longest - n_before :] = resampled[:n_before]
        return context, resampled[n_before:]

    def _split(self, X: object, signals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the channels of each trial at the rate of the encoder: (n_channels, n_samples)."""
        resampled = [*map(self._resample, signals)]
        if set(self.channels) == {"original"}:
            parts = [dict.fromkeys(self.channels, trial) for _, trial in resampled]
        else:
            method = find_decomposition(self.method)
            trials = decompose_trials(
                [np.concatenate(pair) for pair in resampled],
                float(self.encoder_rate),
                method,
                standardize=method.unit_variance,
                n_context=len(resampled[0][0]),
                name=lambda row: name_trial(X, row),
            )
            parts = [
                {name: getattr(found, name) for name in CHANNELS[1:]} | {"original": trial}
                for found, (_, trial) in zip(
                    (trial.rescale() for trial in trials), resampled, strict=True
                )
            ]
        channels = [np.stack([part[name] for name in self.channels]) for part in parts]
        return [*map(_standardize, channels)] if self.scale == "trial" else channels

    def _cut(self, channels: np.ndarray) -> np.ndarray:
        """Return the windows of a trial, float32 of shape (n_windows, n_channels, n_samples)."""
        length, n_samples = round(self.window * self.encoder_rate), channels.shape[1]
        hop = length if self.hop is None else max(1, round(self.hop * self.encoder_rate))
        last = max(0, n_samples - length)
        starts = np.unique([*range(0, last, hop), last])
        windows = np.stack([channels[:, start : start + length] for start in starts])
        if self.scale == "window":
            windows = _standardize(windows)
        if n_samples < length:
            mode = {"edge": "edge", "reflect": "symmetric", "zero": "constant"}[self.padding]
            width = [(0, 0), (0, 0), (0, length - n_samples)]
            windows = np.pad(windows, width, mode=mode)  # type: ignore[call-overload]
        return windows.astype(np.float32)

    def _open(self) -> tuple[Encoder, str]:
        """Return the function that encodes windows, and a digest of its file."""
        if self.onnx_ is None:
            assert callable(self.encoder)
            return self.encoder, ""
        content = self.onnx_.tobytes()
        shape = (len(self.channels), round(self.window * self.encoder_rate))
        return _open_file(content, str(self.encoder), shape), hashlib.sha256(content).hexdigest()


def _standardize(channels: np.ndarray) -> np.ndarray:
    """Z-score the last axis; flat channels become zeros."""
    spread = channels.std(axis=-1, keepdims=True)
    flat = spread <= 1e-12 * np.abs(channels).max(axis=-1, keepdims=True)
    above = channels - channels.mean(axis=-1, keepdims=True)
    return np.where(flat, 0.0, above / np.where(flat, 1.0, spread))


def _encode_trial(windows: np.ndarray, digest: str, run: Encoder, batch_size: int) -> np.ndarray:
    """Return the mean output for the windows of one trial; `digest` is for the cache."""
    return _run(run, windows, batch_size).mean(axis=0)


def _run(run: Encoder, windows: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the output for each window, float32 of shape (n_windows, n_features)."""
    outputs = []
    for start in range(0, len(windows), batch_size):
        batch = windows[start : start + batch_size]
        output = np.asarray(run(batch), dtype=np.float32)
        if output.ndim < 2 or len(output) != len(batch):
            raise ValueError(
                f"The encoder returned an array of shape {output.shape} for {len(batch)} windows: "
                "it must return one row for each window."
            )
        outputs.append(output.reshape(len(batch), -1))
    return np.concatenate(outputs)


@lru_cache(maxsize=4)
def _open_file(content: bytes, path: str, shape: tuple[int, int]) -> Encoder:
    """Return a function that runs an ONNX file on windows of this shape."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "An encoder in an ONNX file needs onnxruntime: pip install edaemo[onnx]"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(
            f"{path}: onnxruntime cannot open the file: {error}. It must be an ONNX file that "
            "holds its weights."
        ) from error
    inputs = session.get_inputs()
    expected = inputs[0].shape
    declared = expected[1:] if len(expected) == 3 else [1, *expected[1:]]
    fits = len(expected) in (2, 3) and all(
        given == size or not isinstance(given, int)
        for given, size in zip(declared, shape, strict=True)
    )
    if len(inputs) != 1 or not fits:
        shapes = [item.shape for item in inputs]
        raise ValueError(
            f"{path}: the encoder takes inputs of shape {shapes}, but channels, window and "
            f"encoder_rate give windows of {shape[0]} channels and {shape[1]} samples."
        )
    fixed = expected[0] if isinstance(expected[0], int) else None

    def run(windows: np.ndarray) -> np.ndarray:
        rows = windows if len(expected) == 3 else windows[:, 0]
        outputs = []
        for start in range(0, len(rows), fixed or len(rows)):
            batch = rows[start : start + (fixed or len(rows))]
            lacking = (fixed or len(batch)) - len(batch)
            padded = np.pad(batch, [(0, lacking)] + [(0, 0)] * (batch.ndim - 1))
            outputs.append(session.run(None, {inputs[0].name: padded})[0][: len(batch)])
        return np.concatenate(outputs)

    return run
