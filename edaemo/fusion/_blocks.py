"""BlockUnion: signals or features of a trial and the music of its stimulus in one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import _fit_context, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, gen_batches
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted

from edaemo._layout import block_title, feature_names, layout_names, music_names
from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import (
    LARGEST,
    find_ids,
    holds_signals,
    n_rows,
    name_trial,
    output_index,
    plain_numbers,
    read_rows,
    same_names,
    signal_cells,
    signal_columns,
    stack_signals,
    whole_or_nothing,
)

_Music: TypeAlias = pd.DataFrame | tuple[Any, ...] | Callable[[np.ndarray], pd.DataFrame]


@saved(
    "edaemo.fusion.BlockUnion",
    "blocks_",
    "widths_",
    "music_scaler_",
    "music_reducer_",
    "music_feature_names_in_",
    "_names",
    "n_features_in_",
    "feature_names_in_",
)
class BlockUnion(TransformerMixin, BaseEstimator):
    """Join signals or features of each trial, and music of its stimulus, into one row of numbers.

    The name of a block is the prefix of its columns: ``eeg_<channel>_<sample>`` for a signal and
    ``eye_<feature>`` for features. Networks read the layout of a row from these names.

    Parameters
    ----------
    blocks : dict of str to transformer or "passthrough"
        The blocks in the order of their columns. A transformer receives the whole trials table. It
        must return one row of numbers per trial, or a table whose column with the name of the block
        holds arrays of equal shape. "passthrough" uses the cells of the column with the name of the
        block: arrays of equal shape, (n_chans, n_times) or (n_times,). If the table has a column
        ``<block>_channels`` (``channels`` for ``eda``) with texts such as ``"Fp1|Fp2"``, these are
        the names of the channels. Otherwise channels are numbered.
    music : DataFrame, (extractor, files), callable or None, default=None
        As in :class:`edaemo.MusicFeatureUnion`.
    standardize_music : bool, default=True
        Whether music features are standardised. A feature that is constant over the trials seen in
        `fit` becomes zero.
    reduce_music : transformer or None, default=None
        Transformer that reduces the number of (standardised) features, such as ``PCA(50)``,
        ``VarianceThreshold()`` or ``SelectKBest(k=100)``. It is fitted on the music of the trials
        seen in `fit`, and their y. None: all features.
    handle_unknown : {"error", "impute", "missing"}, default="error"
        Treatment of a trial whose stimulus is missing or has no row in `music`. "error": an error
        that names the stimulus. "impute": the mean over the trials seen in `fit`. "missing": NaN,
        for models such as :class:`edaemo.estimators.MAETClassifier`; rows of NaN in the features of
        another block are then kept, too.

    Attributes
    ----------
    blocks_ : dict of str to transformer
        The fitted copies of the transformers in `blocks`.
    widths_ : dict of str to int
        Number of columns of each block except music.
    music_scaler_, music_reducer_, music_feature_names_in_
        As in :class:`edaemo.MusicFeatureUnion`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from edaemo.fusion import BlockUnion
    >>> trials = pd.DataFrame({"subject": ["a", "b"], "stimulus": ["s", "t"], "trial": [0, 0]})
    >>> trials["eda"] = pd.Series([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    >>> trials["eeg"] = pd.Series([np.eye(2), np.ones((2, 2))])
    >>> list(BlockUnion({"eda": "passthrough", "eeg": "passthrough"}).fit_transform(trials).columns)
    ['eda_original_0', 'eda_original_1', 'eeg_0_0', 'eeg_0_1', 'eeg_1_0', 'eeg_1_1']
    """

    blocks_: dict[str, Any]
    widths_: dict[str, int]
    music_scaler_: StandardScaler
    music_reducer_: Any
    music_feature_names_in_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "blocks": [dict],
        "music": [pd.DataFrame, tuple, callable, None],
        "standardize_music": ["boolean"],
        "reduce_music": [HasMethods(["fit", "transform"]), None],
        "handle_unknown": [StrOptions({"error", "impute", "missing"})],
    }

    def __init__(
        self,
        blocks: dict[str, Any],
        *,
        music: pd.DataFrame | tuple[Any, ...] | Callable[[np.ndarray], pd.DataFrame] | None = None,
        standardize_music: bool = True,
        reduce_music: object = None,
        handle_unknown: str = "error",
    ) -> None:
        self.blocks = blocks
        self.music = music
        self.standardize_music = standardize_music
        self.reduce_music = reduce_music
        self.handle_unknown = handle_unknown

    def fit(self, X: object, y: object = None) -> Self:
        """Fit the transformers of the blocks and the scale of the music.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            A trials table. If a block has a transformer, also any other input of the transformer.
        y : array-like or None
            Passed to the transformers and to `reduce_music`.

        Returns
        -------
        self
            The fitted union.

        Raises
        ------
        ValueError
            If a stimulus has no row in `music` (see `handle_unknown`), a row of `music` is
            duplicated or holds anything but finite numbers, X has no stimulus ids, a signal is
            absent, or signals differ in length. The error names the stimulus or trial.
        """
        self.fit_transform(X, y)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: object, y: object = None) -> Any:
        """Fit the transformers and join the blocks; see `fit` and `transform`.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.
        y : array-like or None
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, n_columns)
            As from `transform`.
        """
        with whole_or_nothing(self):
            self._check_blocks()
            self.blocks_ = {}
            read = [self._read_block(name, X, y, fit=True) for name in self.blocks]
            names: list[object] = [column for _, name_columns in read for column in name_columns()]
            self.widths_ = {
                name: values.shape[1] for name, (values, _) in zip(self.blocks, read, strict=True)
            }
            music = None
            if self.music is not None:
                looked_up = self._find_music(X, self.music, fit=True)
                music, music_columns = self._fit_music(*looked_up, y)
                music = self._mark_unknown(music, looked_up[1])
                names += music_columns
            self._names = pd.Index(names)
            return self._join(X, [values for values, _ in read], music)

    def transform(self, X: object) -> Any:
        """Join the blocks and the music.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray, float32, of shape (n_trials, n_columns)
            A DataFrame if X is a trials table or a DataFrame with ids in its index. Its index holds
            the subject, stimulus and trial ids of X, or is the index of X after
            ``set_output(transform="pandas")``. Its column names begin with the name of the block;
            music (``music_…``) comes last. For other X an array.
        """
        check_is_fitted(self, "_names")
        read = [self._read_block(name, X, None, fit=False) for name in self.blocks]
        for (name, width), (values, _) in zip(self.widths_.items(), read, strict=True):
            if values.shape[1] != width:
                raise ValueError(
                    f"The {block_title(name)} block has {values.shape[1]} columns, "
                    f"{type(self).__name__} was fitted with {width}. Cut or interpolate all trials "
                    "to the same length."
                )
        music = None
        if self.music is not None:
            table, place = self._find_music(X, self.music, fit=False)
            music = self._scale(table, place)
            if self.reduce_music is not None:
                music = _Rows.one_per_trial(self.music_reducer_.transform(music.expand()))
            music = self._mark_unknown(music, place)
        return self._join(X, [values for values, _ in read], music)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the output columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_columns,)
            The names.
        """
        check_is_fitted(self, "_names")
        return np.asarray(self._names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether `fit` was called; without music no fitted attribute shows this."""
        return hasattr(self, "_names")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags

    def _check_blocks(self) -> None:
        if not self.blocks and self.music is None:
            raise ValueError("blocks is empty and music=None: set at least one of them.")
        for name, block in self.blocks.items():
            if not isinstance(name, str) or not name or name == "music":
                raise ValueError(
                    f"A block cannot be called {name!r}: use a text other than 'music'."
                )
            if block != "passthrough" and not hasattr(block, "fit_transform"):
                raise ValueError(
                    f"blocks[{name!r}] must be a transformer or 'passthrough', got {block!r:.80}."
                )

    def _read_block(
        self, name: str, X: object, y: object, *, fit: bool
    ) -> tuple[np.ndarray, Callable[[], Sequence[object]]]:
        """Return one block, shape (n_trials, n_columns), and a function for its column names."""
        block, n_trials = self.blocks[name], n_rows(X)
        if not isinstance(block, str):
            if fit:
                self.blocks_ = self.blocks_ | {name: clone(block)}
                X = self.blocks_[name].fit_transform(X, y)
            else:
                X = self.blocks_[name].transform(X)
        if holds_signals(X, name):
            values, signal = stack_signals(X, name)
            return values, partial(layout_names, {name: signal})
        if isinstance(block, str):
            return self._read_rows(name, X, fit=fit)
        if signal_cells(X) is not None:
            raise self._cells_error(name)
        values = self._read_numbers(name, X, reset=None)
        if len(values) != n_trials:
            raise ValueError(
                f"{name}={block!r} returned {len(values)} rows for {n_trials} trials: it must "
                "return one row per trial."
            )
        if isinstance(X, pd.DataFrame):
            return values, partial(self._name_columns, name, X.columns)
        names = self.blocks_[name].get_feature_names_out()
        return values, partial(self._name_columns, name, names)

    def _read_rows(
        self, name: str, X: object, *, fit: bool
    ) -> tuple[np.ndarray, Callable[[], Sequence[object]]]:
        """Return a block that has no transformer and is not a column of X; here an error."""
        there = ", ".join(map(str, signal_columns(X))) or "no signals"
        raise ValueError(f"{type(self).__name__} needs column {name}: X has {there}.")

    def _read_numbers(self, name: str, X: object, *, reset: bool | None) -> np.ndarray:
        """Return rows of numbers; rows of NaN only if `handle_unknown` is "missing"."""
        missing = self.handle_unknown == "missing"
        values = read_rows(self, X, reset=reset, dtype=np.float32, missing=missing)
        unknown = np.isnan(values)
        partly = unknown.any(axis=1) & ~unknown.all(axis=1)
        if partly.any():
            row = int(np.argmax(partly))
            raise ValueError(
                f"{name_trial(X, row)}: {unknown[row].sum()} of {values.shape[1]} columns of "
                f"{block_title(name)} are NaN. Fill them in, or set all of them to NaN."
            )
        return values

    def _name_columns(self, name: str, columns: Iterable[object]) -> Sequence[object]:
        """Return the column names, with the name of the block as prefix if it is missing."""
        start = feature_names(name, [""])[0]
        return [
            column if column.startswith(start) else start + column for column in map(str, columns)
        ]

    def _cells_error(self, name: str) -> ValueError:
        return ValueError(
            f"{type(self).__name__} joins numbers, but X has signals in its cells: pass a trials "
            f"table, or a transformer as {name}= that converts them to numbers."
        )

    def _find_music(
        self, X: object, source: _Music, *, fit: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Return rows of music, and the row of each trial's stimulus, -1 if it is unknown."""
        stimulus = find_ids("stimulus", X, may_miss=True)
        if stimulus is None:
            raise ValueError(
                "Music is joined by stimulus, but X does not have the stimulus of each trial: pass "
                "a trials table with a column 'stimulus', or set music=None for EDA only."
            )
        music = _look_up(source, stimulus)
        if fit:
            _check_values(music)
            self.music_feature_names_in_ = music.columns.to_numpy()
        elif not same_names(self.music_feature_names_in_, music.columns):
            raise ValueError(
                f"music returned {music.shape[1]} features, first {music.columns[0]!r}, but in fit "
                f"{len(self.music_feature_names_in_)}, first {self.music_feature_names_in_[0]!r}: "
                "it must return the same features each time."
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
                f"({len(set(stimulus[unknown]))} stimuli have no row).{hint} Add the row, remove "
                "the trial, or set handle_unknown='impute'."
            )
        return music, place

    def _fit_music(
        self, music: pd.DataFrame, place: np.ndarray, y: object
    ) -> tuple[_Rows, list[str]]:
        """Learn the scale over the trials and fit the reduction.

        A stimulus counts once for each of its trials. Returns the music of the trials, and its
        column names.
        """
        rows, counts = np.unique(place[place >= 0], return_counts=True)
        if not len(rows):
            raise ValueError(
                "music has no row for any stimulus in X: check that both use the same stimulus ids."
            )
        values = _numbers(music.iloc[rows])
        standardize = self.standardize_music
        self.music_scaler_ = StandardScaler(with_std=standardize).fit(values, sample_weight=counts)
        names = music.columns
        scaled = self._scale(music, place)
        if self.reduce_music is not None:
            self.music_reducer_ = clone(self.reduce_music).set_output(transform="default")
            scaled = _Rows.one_per_trial(self.music_reducer_.fit_transform(scaled.expand(), y))
            names = self.music_reducer_.get_feature_names_out(names.astype(str).to_numpy(object))
        return scaled, music_names(names)

    def _scale(self, music: pd.DataFrame, place: np.ndarray) -> _Rows:
        """Standardise the music of the trials; unknown stimuli get the training mean."""
        rows, back = np.unique(place, return_inverse=True)
        # Check and scale only the needed rows: music may have thousands of songs.
        music = music.iloc[np.maximum(rows, 0)]
        _check_values(music)
        features = _numbers(music)
        features[rows < 0] = self.music_scaler_.mean_
        if self.standardize_music:
            # Same as `music_scaler_.transform`, whose input checks take longer than the scaling.
            features -= self.music_scaler_.mean_
            if self.music_scaler_.scale_ is not None:
                features /= self.music_scaler_.scale_
        return _Rows(features.astype(np.float32), back)

    def _mark_unknown(self, music: _Rows, place: np.ndarray) -> _Rows:
        """Return the music with NaN for unknown stimuli, if `handle_unknown` is "missing"."""
        if self.handle_unknown == "missing":
            music.distinct[music.place[place < 0]] = np.nan
        return music

    def _join(self, X: object, blocks: list[np.ndarray], music: _Rows | None) -> Any:
        n, end = n_rows(X), 0
        joined = np.empty((n, len(self._names)), dtype=np.float32)
        for values in blocks:
            start, end = end, end + values.shape[1]
            joined[:, start:end] = values
        if music is not None:
            # In batches, so that the music of all trials is not in memory twice.
            for batch in gen_batches(n, 512):
                joined[batch, end:] = music.distinct[music.place[batch]]
        index = output_index(X, self)
        if index is None and signal_columns(X):
            index = X.index  # type: ignore[attr-defined]
        if index is None:
            return joined
        return pd.DataFrame(joined, index=index, columns=self._names, copy=False)


class _Rows(NamedTuple):
    """Music of trials: distinct rows, and the index of each trial's row."""

    distinct: np.ndarray
    place: np.ndarray

    @classmethod
    def one_per_trial(cls, rows: np.ndarray) -> _Rows:
        return cls(rows, np.arange(len(rows)))

    def expand(self) -> np.ndarray:
        return self.distinct[self.place]


def _look_up(source: _Music, stimulus: np.ndarray) -> pd.DataFrame:
    """Return the music of at least these stimuli; its values are not checked yet."""
    wanted = pd.unique(stimulus[~pd.isna(stimulus)])
    if isinstance(source, pd.DataFrame):
        music = source
    elif isinstance(source, tuple):
        if len(source) != 2 or not hasattr(source[0], "fit_transform"):
            raise ValueError(
                "music as a tuple must be (extractor, files): a transformer of audio files, "
                "and a mapping from stimulus to file."
            )
        extractor, files = source[0], dict(source[1])
        known = [name for name in wanted if name in files]
        if not known:
            raise ValueError(
                "music has no file for any stimulus in X: check that both use the same stimulus "
                "ids."
            )
        files = pd.Series([files[name] for name in known], index=known)
        music = clone(extractor).set_output(transform="pandas").fit_transform(files)
        if len(music) != len(files) or music.index.nlevels > 1:
            raise ValueError(
                f"{extractor!r} returned {len(music)} rows for {len(files)} files: music is joined "
                "by stimulus and needs one row per file, so descriptors over time cannot be used."
            )
        # If the extractor returned NaN for an unreadable file, its stimulus is unknown.
        music = music.set_axis(pd.Index(known), axis=0).dropna(how="all")
    else:
        music = source(wanted)
        if not isinstance(music, pd.DataFrame):
            raise ValueError(
                f"music({wanted[:3]!r}…) returned {type(music).__name__}: it must return a "
                "DataFrame indexed by stimulus."
            )
    _check_stimuli(music)
    return music


def _check_stimuli(music: pd.DataFrame) -> None:
    """Raise an error if a row of music has no stimulus, or a stimulus has several rows."""
    if music.index.hasnans:
        row = int(np.argmax(music.index.isna()))
        raise ValueError(
            f"The stimulus of row {row} of music is missing: fill it in, or remove the row."
        )
    if not music.index.is_unique:
        twice = music.index[music.index.duplicated()][0]
        raise ValueError(f"music has more than one row for stimulus {twice!r}: keep one.")
    if not music.size:
        raise ValueError(
            f"music is empty ({len(music)} stimuli and {music.shape[1]} features): set music=None "
            "for EDA only."
        )


def _check_values(music: pd.DataFrame) -> None:
    """Raise an error if rows of music hold anything but finite numbers."""
    values = music.to_numpy()
    if values.dtype not in (np.float32, np.float64) or not music.columns.is_unique:
        plain_numbers(music, "music", booleans=True)
        values = _numbers(music)
    bad = ~(np.abs(values) <= LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"music holds NaN or infinite values: stimulus {music.index[row]!r}, feature "
            f"{music.columns[column]!r}. Fill them in, or remove the feature."
        )


def _numbers(music: pd.DataFrame) -> np.ndarray:
    """Return rows of music as a new float64 array, with NaN for missing values."""
    return music.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
