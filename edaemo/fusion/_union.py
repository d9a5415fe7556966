"""MusicFeatureUnion: the EDA block and the music of each trial's stimulus, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, gen_batches
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import EDA, layout_names, music_names
from edaemo._validation import (
    LARGEST,
    identity,
    identity_index,
    is_trials_table,
    name_trial,
    plain_numbers,
    read_rows,
    signal_cells,
    stack_signals,
    whole_or_nothing,
)


class MusicFeatureUnion(TransformerMixin, BaseEstimator):
    """Join the EDA of each trial and the music features of its stimulus into one row of numbers.

    Music features are standardised with the mean and standard deviation over the trials seen in
    `fit`, so nothing of a held-out trial is used.

    Parameters
    ----------
    eda : transformer, "passthrough" or "drop", default="passthrough"
        What makes the EDA block: a transformer such as :class:`edaemo.CvxEDATransformer`, the EDA
        as it comes, or nothing (music alone).
    music : DataFrame, (extractor, files), callable or None, default=None
        A DataFrame of shape (n_stimuli, n_features): one row of finite numbers for each stimulus,
        indexed by stimulus; booleans count as 0 and 1. Or a transformer of audio files, such as
        :class:`edaemo.features.MusicFeatureExtractor`, with a mapping (dict or Series) from
        stimulus to file: only files of stimuli that are met are read. Or a callable that takes an
        array of stimuli and gives such a DataFrame; those it leaves out are unknown. None: EDA
        alone.
    standardize_music : bool, default=True
        Whether music features are standardised. A feature that does not vary over the trials seen
        in `fit` becomes zero.
    reduce_music : transformer or None, default=None
        What makes fewer features of the (standardised) ones, such as ``PCA(50)``,
        ``VarianceThreshold()`` or ``SelectKBest(k=100)``; fitted on the music of the trials seen
        in `fit`, and their y. None: all features.
    handle_unknown : {"error", "impute"}, default="error"
        What becomes of a trial whose stimulus has no row in `music` or is missing: an error that
        names the stimulus, or the mean over the trials seen in `fit`.

    Attributes
    ----------
    eda_ : transformer
        The fitted copy of `eda`, where it is one.
    music_scaler_ : StandardScaler
        Mean and scale of the music features, in float64; only with music.
    music_reducer_ : transformer
        The fitted copy of `reduce_music`, where it is one.
    music_feature_names_in_ : ndarray of shape (n_features,)
        Names of the music features before they are reduced; only with music.
    n_features_in_ : int
        Number of columns of X seen in `fit`; only for a 2-D array of numbers.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from edaemo import MusicFeatureUnion
    >>> trials = pd.DataFrame({"subject": ["a", "b"], "stimulus": ["s", "t"], "trial": [0, 0]})
    >>> trials["eda"] = pd.Series([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    >>> music = pd.DataFrame({"tempo": [90.0, 120.0]}, index=["s", "t"])
    >>> list(MusicFeatureUnion(music=music).fit_transform(trials).columns)
    ['eda_original_0', 'eda_original_1', 'music_tempo']
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "eda": [StrOptions({"passthrough", "drop"}), HasMethods(["fit", "transform"])],
        "music": [pd.DataFrame, tuple, callable, None],
        "standardize_music": ["boolean"],
        "reduce_music": [HasMethods(["fit", "transform"]), None],
        "handle_unknown": [StrOptions({"error", "impute"})],
    }

    def __init__(
        self,
        *,
        eda: object = "passthrough",
        music: pd.DataFrame | tuple | Callable[[np.ndarray], pd.DataFrame] | None = None,
        standardize_music: bool = True,
        reduce_music: object = None,
        handle_unknown: str = "error",
    ) -> None:
        self.eda = eda
        self.music = music
        self.standardize_music = standardize_music
        self.reduce_music = reduce_music
        self.handle_unknown = handle_unknown

    def fit(self, X: object, y: object = None) -> Self:
        """Fit the EDA transformer and the scale of the music.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            A trials table; a frame of numbers whose index holds the stimulus; or, with
            ``music=None``, an array, whatever `eda` takes.
        y : array-like or None
            Handed to `eda` and `reduce_music`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a stimulus has no row in `music` (see `handle_unknown`), a row of `music` is
            duplicated or holds anything but finite numbers, X does not say the stimuli, or signals
            differ in length. The error names the stimulus or trial.
        """
        self.fit_transform(X, y)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: object, y: object = None) -> object:
        """Fit, and join the blocks; see `fit` and `transform`."""
        with whole_or_nothing(self):
            if isinstance(self.eda, str) and self.eda == "drop" and self.music is None:
                raise ValueError("eda='drop' and music=None leave nothing: give one of them.")
            values, names = self._eda_block(X, y, fit=True)
            self._names, self._n_eda = names, len(names)
            music = None
            if self.music is not None:
                music = self._fit_music(*self._find_music(X, fit=True), y)
            return self._join(X, values, music)

    def transform(self, X: object) -> object:
        """Join the EDA block and the music block.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, n_eda + n_music_features)
            For a trials table, or a frame whose index holds identities, a frame: its index holds
            subject, stimulus and trial (those that X has), its columns ``eda_…`` then ``music_…``.
            For anything else an array.
        """
        check_is_fitted(self, "_names")
        values, names = self._eda_block(X, None, fit=False)
        if len(names) != self._n_eda:
            raise ValueError(
                f"The EDA block has {len(names)} columns, MusicFeatureUnion was fitted with "
                f"{self._n_eda}. Cut or interpolate all trials to one length."
            )
        music = None
        if self.music is not None:
            music = self._scale(*self._find_music(X, fit=False))
            if self.reduce_music is not None:
                music = _Rows.whole(self.music_reducer_.transform(music.expand()))
        return self._join(X, values, music)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Name the columns of the output."""
        check_is_fitted(self, "_names")
        return np.asarray(self._names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32, whatever comes in
        return tags

    def _eda_block(self, X: object, y: object, *, fit: bool) -> tuple[Any, list[str]]:
        """Give the EDA columns, shape (n_trials, n_eda), and their names."""
        if isinstance(self.eda, str) and self.eda == "drop":
            return np.empty((len(X), 0), dtype=np.float32), []
        if not isinstance(self.eda, str):
            n_trials = len(X)
            if fit:
                self.eda_ = clone(self.eda)
                X = self.eda_.fit_transform(X, y)
            else:
                X = self.eda_.transform(X)
        if is_trials_table(X):
            values, eda = stack_signals(X, "eda")
            return values, layout_names({"eda": eda})
        if signal_cells(X) is not None:
            raise ValueError(
                "MusicFeatureUnion joins numbers: signals in cells need a trials table, or a "
                "transformer as eda= that makes numbers of them."
            )
        if not isinstance(self.eda, str):
            values = read_rows(self, X, reset=None, dtype=np.float32)
            if len(values) != n_trials:
                raise ValueError(
                    f"eda={self.eda!r} made {len(values)} rows of {n_trials} trials: it must make "
                    "one of each."
                )
            names = X.columns if isinstance(X, pd.DataFrame) else self.eda_.get_feature_names_out()
        else:
            values = read_rows(self, X, reset=fit, dtype=np.float32)
            names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])
        if self.music is None:
            return values, list(names)
        names = map(str, names)
        return values, [name if name.startswith(EDA) else EDA + name for name in names]

    def _find_music(self, X: object, *, fit: bool) -> tuple[pd.DataFrame, np.ndarray]:
        """Give rows of music, and each trial's place among them, -1 for one that has none."""
        stimulus = identity(X, "stimulus")
        if stimulus is None:
            raise ValueError(
                "Music is joined by stimulus, and X does not say the stimulus of each trial: give "
                "a trials table with a column 'stimulus', or set music=None for EDA alone."
            )
        music = self._look_up(stimulus)
        if fit:
            self.music_feature_names_in_ = music.columns.to_numpy()
        elif list(music.columns) != list(self.music_feature_names_in_):
            raise ValueError(
                f"music gave {music.shape[1]} features, first {music.columns[0]!r}, and at fit "
                f"{len(self.music_feature_names_in_)}, first {self.music_feature_names_in_[0]!r}: "
                "it must give the same ones each time."
            )
        place = music.index.get_indexer(stimulus)
        unknown = np.flatnonzero(place < 0)
        if len(unknown) and self.handle_unknown == "error":
            wanted = stimulus[unknown[0]]
            hint = ""
            if str(wanted) in {str(known) for known in music.index}:
                hint = (
                    f" (It has {str(wanted)!r} as another type: stimulus is "
                    f"{type(wanted).__name__}, music.index is {music.index.dtype}.)"
                )
            raise ValueError(
                f"{name_trial(X, unknown[0])}: music has no row for stimulus {wanted!r} "
                f"({len(set(stimulus[unknown]))} stimuli are without one).{hint} Add the row, "
                "leave the trial out, or set handle_unknown='impute'."
            )
        return music, place

    def _look_up(self, stimulus: np.ndarray) -> pd.DataFrame:
        """Give the music of these stimuli, or all there is, checked."""
        wanted = pd.unique(stimulus[~pd.isna(stimulus)])
        if isinstance(self.music, pd.DataFrame):
            music = self.music
        elif isinstance(self.music, tuple):
            if len(self.music) != 2 or not hasattr(self.music[0], "fit_transform"):
                raise ValueError(
                    "music as a tuple must be (extractor, files): a transformer of audio files, "
                    "and a mapping from stimulus to file."
                )
            extractor, files = self.music[0], dict(self.music[1])
            known = [one for one in wanted if one in files]
            if not known:
                raise ValueError("Not one trial's stimulus has a file in music.")
            files = pd.Series([files[one] for one in known], index=known)
            music = clone(extractor).set_output(transform="pandas").fit_transform(files)
            if len(music) != len(files) or music.index.nlevels > 1:
                raise ValueError(
                    f"{extractor!r} gave {len(music)} rows of {len(files)} files: music is joined "
                    "by stimulus and takes one row of each, so no descriptors over time."
                )
            # A file that could not be read, and was let pass as NaN, is an unknown stimulus.
            music = music.set_axis(pd.Index(known), axis=0).dropna(how="all")
        else:
            music = self.music(wanted)
            if not isinstance(music, pd.DataFrame):
                raise ValueError(
                    f"music({wanted[:3]!r}…) gave {type(music).__name__}: it must give a DataFrame "
                    "indexed by stimulus."
                )
        _check_music(music)
        return music

    def _fit_music(self, music: pd.DataFrame, place: np.ndarray, y: object) -> _Rows:
        """Learn the scale over the trials, each stimulus as often as it was met, and reduce."""
        rows, counts = np.unique(place[place >= 0], return_counts=True)
        if not len(rows):
            raise ValueError("Not one trial's stimulus has a row in music.")
        values = _numbers(music.iloc[rows])
        standardize = self.standardize_music
        self.music_scaler_ = StandardScaler(with_std=standardize).fit(values, sample_weight=counts)
        names = music.columns
        scaled = self._scale(music, place)
        if self.reduce_music is not None:
            self.music_reducer_ = clone(self.reduce_music).set_output(transform="default")
            scaled = _Rows.whole(self.music_reducer_.fit_transform(scaled.expand(), y))
            names = self.music_reducer_.get_feature_names_out(names.astype(str).to_numpy(object))
        self._names = self._names + music_names(names)
        return scaled

    def _scale(self, music: pd.DataFrame, place: np.ndarray) -> _Rows:
        """Standardise the music; the training mean where it is unknown."""
        rows, back = np.unique(place, return_inverse=True)
        features = _numbers(music.iloc[np.maximum(rows, 0)])
        features[rows < 0] = self.music_scaler_.mean_
        if self.standardize_music:
            features = self.music_scaler_.transform(features)
        return _Rows(features.astype(np.float32), back)

    def _join(self, X: object, values: np.ndarray, music: _Rows | None) -> object:
        joined = np.empty((len(values), len(self._names)), dtype=np.float32)
        joined[:, : self._n_eda] = values
        if music is not None:
            # In batches, so that the music of all trials is not held twice.
            for batch in gen_batches(len(values), 512):
                joined[batch, self._n_eda :] = music.distinct[music.place[batch]]
        index = identity_index(X)
        if index is None:
            return joined
        return pd.DataFrame(joined, index=index, columns=self._names, copy=False)


class _Rows(NamedTuple):
    """Rows of music, of which each trial has the one at its place."""

    distinct: np.ndarray
    place: np.ndarray

    @classmethod
    def whole(cls, rows: np.ndarray) -> _Rows:
        return cls(rows, np.arange(len(rows)))

    def expand(self) -> np.ndarray:
        return self.distinct[self.place]


def _check_music(music: pd.DataFrame) -> None:
    """Refuse music that has not one row of finite numbers for each stimulus."""
    if music.index.hasnans:
        row = int(np.argmax(music.index.isna()))
        raise ValueError(f"music does not say the stimulus of its row {row}: name it or drop it.")
    if not music.index.is_unique:
        twice = music.index[music.index.duplicated()][0]
        raise ValueError(f"music has more than one row for stimulus {twice!r}: keep one.")
    if not music.size:
        raise ValueError(
            f"music has {len(music)} stimuli and {music.shape[1]} features, so there is nothing to "
            "join: set music=None for EDA alone."
        )
    plain_numbers(music, "music", booleans=True)
    bad = ~(np.abs(_numbers(music)) <= LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"music holds NaN or infinite values: stimulus {music.index[row]!r}, feature "
            f"{music.columns[column]!r}. Fill them or drop the feature."
        )


def _numbers(music: pd.DataFrame) -> np.ndarray:
    """Give rows of music as a new float64 array, NaN where something is missing."""
    return music.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
