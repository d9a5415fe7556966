"""MiniRocket: features of signals from fixed convolutions with random biases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import ceil, log2
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import Block, agree, infer_layout, make_layout
from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import (
    as_plain,
    is_trials_table,
    output_index,
    read_inputs,
    whole_or_nothing,
)

LENGTH = 9
# The places of the weights 2 of each kernel; its other weights are -1, so the weights add up to 0.
KERNELS = np.array(list(combinations(range(LENGTH), 3)))
GOLDEN = (5**0.5 - 1) / 2
BLOCK = 2**20  # samples per batch; bounds the memory


@saved(
    "edaemo.features.MiniRocket",
    "shape_",
    "dilations_",
    "n_biases_",
    "channels_",
    "biases_",
    "n_features_in_",
    "feature_names_in_",
)
class MiniRocket(TransformerMixin, BaseEstimator):
    """Compute the share of positive values of many convolutions of each trial's signals.

    There are 84 kernels of 9 samples, each with three weights of 2 and six of -1. Each kernel is
    applied with several dilations, with zero padding in every second combination. A feature is the
    share of samples at which the convolution exceeds a bias. The biases are quantiles of the
    convolution of random training trials. A linear classifier usually reads the features.

    Parameters
    ----------
    n_features : int, default=9996
        Number of features, at least 84. It is rounded down to a multiple of 84. The default is that
        of [1]_, 10,000, rounded down.
    max_dilations : int, default=32
        Maximum number of dilations of a kernel. They grow exponentially, up to the longest for
        which the kernel is not longer than the signal.
    n_chans : int or None, default=None
        Number of channels in a row of an array without column names. None: the column names define
        it, such as those of :class:`edaemo.MusicFeatureUnion`.
    random_state : int, RandomState instance or None, default=None
        Seed of the training trials for the biases, and of the channels of each convolution.

    Attributes
    ----------
    shape_ : tuple of two int
        Numbers of channels and of samples of a trial.
    dilations_ : ndarray of int of shape (n_dilations,)
        Distances between neighbouring weights of a kernel, in samples.
    n_biases_ : ndarray of int of shape (n_dilations,)
        Number of biases of each kernel with each dilation.
    channels_ : ndarray of bool of shape (n_dilations, 84, n_chans)
        Channels that each convolution adds up.
    biases_ : ndarray of float32 of shape (n_features,)
        Biases, by dilation and kernel.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    Notes
    -----
    Labels are not used. The features of a trial do not depend on the other trials in `transform`.
    In signals of several channels, a convolution adds up a random set of at most nine channels,
    whose size is drawn so that small sets are as frequent as large ones. This, and that biases are
    quantiles of the samples that are counted, is our reading of the paper. Signals shorter than a
    kernel are padded.

    No library was used: the implementations in aeon and sktime depend on numba and limit the
    versions of scikit-learn, and the authors' code is licensed under the GPL.

    References
    ----------
    .. [1] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic
       transform for time series classification", KDD 2021, pp. 248-257, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.features import MiniRocket
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> MiniRocket(n_features=168, n_chans=3, random_state=0).fit_transform(X).shape
    (20, 168)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "n_features": [Interval(Integral, len(KERNELS), None, closed="left")],
        "max_dilations": [Interval(Integral, 1, None, closed="left")],
        "n_chans": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }
    shape_: tuple[int, int]
    dilations_: np.ndarray
    n_biases_: np.ndarray
    channels_: np.ndarray
    biases_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(
        self,
        *,
        n_features: int = 9996,
        max_dilations: int = 32,
        n_chans: int | None = None,
        random_state: object = None,
    ) -> None:
        self.n_features = n_features
        self.max_dilations = max_dilations
        self.n_chans = n_chans
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object = None) -> Self:
        """Draw channels and biases.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            Rows of finite numbers, one channel after the other; or a trials table whose column
            ``eda`` holds arrays (n_chans, n_times), or an array (n_trials, n_chans, n_times).
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If X holds anything but finite numbers, or `n_chans` does not match its columns.
        """
        with whole_or_nothing(self):
            signals = self._read(X, reset=True)
            rng = check_random_state(self.random_state)
            self.shape_ = (signals.shape[1], signals.shape[2])
            per_kernel = as_plain(self.n_features) // len(KERNELS)
            self.dilations_, self.n_biases_ = _spread(
                signals.shape[2], per_kernel, as_plain(self.max_dilations)
            )
            self.channels_ = _draw_channels(rng, (len(self.dilations_), len(KERNELS)), self.shape_)
            # A sequence of low discrepancy: all biases together cover the quantiles evenly.
            quantiles = np.arange(1, per_kernel * len(KERNELS) + 1) * GOLDEN % 1
            drawn = signals[rng.randint(len(signals), size=self.channels_.shape[:2])]
            start, biases = 0, []
            for i, n in enumerate(self.n_biases_):
                for kernel in range(len(KERNELS)):
                    (outputs,) = self._convolve(drawn[i, kernel][None], i, [kernel])
                    biases.append(np.quantile(outputs, quantiles[start : start + n]))
                    start += n
            self.biases_ = np.concatenate(biases).astype(np.float32)
        return self

    def transform(self, X: object) -> Any:
        """Compute the features.

        Parameters
        ----------
        X : DataFrame or array
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, n_features)
            Shares from 0 to 1. A DataFrame if X is a trials table, whose index holds the subject,
            stimulus and trial ids of X, or after ``set_output(transform="pandas")``.

        Raises
        ------
        ValueError
            As in `fit`, or if X differs in channels or samples.
        """
        check_is_fitted(self, "biases_")
        signals = self._read(X, reset=False)
        n_blocks = ceil(signals.size * LENGTH / BLOCK)
        values = np.concatenate(
            [self._transform(block) for block in np.array_split(signals, n_blocks) if len(block)]
        )
        if not is_trials_table(X):
            return values
        index = output_index(X, self)
        index = X.index if index is None else index
        return pd.DataFrame(values, index=index, columns=self.get_feature_names_out())

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the column names ``minirocket_0``, ``minirocket_1`` and so on.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features,)
            The names.
        """
        check_is_fitted(self, "biases_")
        return np.asarray([f"minirocket_{i}" for i in range(len(self.biases_))], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags

    def _read(self, X: object, *, reset: bool) -> np.ndarray:
        """Return the signals, float32 of shape (n_trials, n_chans, n_times)."""
        fitted = None if reset else make_layout([Block.signal("eda", *self.shape_)])
        rows, layout = read_inputs(
            self, X, reset=reset, signals=("eda",), features=(), fitted=fitted
        )
        if not reset:
            return rows.reshape(len(rows), *self.shape_)
        n_chans = as_plain(self.n_chans)
        if layout is None:
            layout = infer_layout(self.n_features_in_, n_chans, None, None)
        agree(layout, n_chans=n_chans)
        return rows.reshape(len(rows), *layout["eda"].shape)

    def _transform(self, signals: np.ndarray) -> np.ndarray:
        """Return the features of a few signals."""
        features = np.empty((len(signals), len(self.biases_)), dtype=np.float32)
        start = 0
        for i, n in enumerate(self.n_biases_):
            for outputs in self._convolve(signals, i, range(len(KERNELS))):
                biases = self.biases_[start : start + n, None]
                above = np.count_nonzero(outputs[:, None] > biases, axis=2)
                features[:, start : start + n] = above / outputs.shape[1]
                start += n
        return features

    def _convolve(
        self, signals: np.ndarray, i: int, kernels: Iterable[int]
    ) -> Iterator[np.ndarray]:
        """Yield the outputs (n_trials, n_counted) of kernels with dilation i."""
        shifted = _shift(signals, self.dilations_[i])
        reach = LENGTH // 2 * int(self.dilations_[i])
        sums: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        for kernel in kernels:
            channels = self.channels_[i, kernel]
            if (key := channels.tobytes()) not in sums:
                summed = shifted[:, :, channels].sum(axis=2)
                sums[key] = summed, summed.sum(axis=0)
            summed, all_weights = sums[key]
            outputs = 3 * summed[KERNELS[kernel]].sum(axis=0) - all_weights
            is_padded = (i + kernel) % 2 == 0 or 2 * reach >= self.shape_[1]
            yield outputs if is_padded else outputs[:, reach:-reach]


def _spread(n_times: int, per_kernel: int, max_dilations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the dilations, and the number of biases of a kernel with each of them."""
    largest = log2(max(n_times - 1, LENGTH - 1) / (LENGTH - 1))
    exponents = np.linspace(0, largest, min(per_kernel, max_dilations))
    # The small number keeps the largest dilation if its power of two is rounded down.
    dilations, counts = np.unique(np.floor(2**exponents + 1e-9).astype(int), return_counts=True)
    n_biases = counts * per_kernel // counts.sum()
    n_biases[: per_kernel - n_biases.sum()] += 1
    return dilations, n_biases


def _draw_channels(
    rng: np.random.RandomState, shape: tuple[int, int], signal: tuple[int, int]
) -> np.ndarray:
    """Return the channels of each convolution, bool of shape (*shape, n_chans)."""
    n_chans, _ = signal
    largest = log2(min(n_chans, LENGTH) + 1)
    sizes = np.floor(2 ** rng.uniform(0, largest, size=shape)).astype(int)
    ranks = rng.uniform(size=(*shape, n_chans)).argsort(axis=2).argsort(axis=2)
    return ranks < sizes[..., None]


def _shift(signals: np.ndarray, dilation: int) -> np.ndarray:
    """Return the signals under each weight of a kernel, (9, n_trials, n_chans, n_times)."""
    n_times, reach = signals.shape[2], LENGTH // 2 * dilation
    padded = np.pad(signals, ((0, 0), (0, 0), (reach, reach)))
    return np.stack([padded[..., j * dilation : j * dilation + n_times] for j in range(LENGTH)])
