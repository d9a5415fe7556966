"""MusicFeatureUnion: the EDA of each trial and the music of its stimulus in one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import HasMethods, StrOptions

from edaemo._saved import saved
from edaemo._validation import signal_cells
from edaemo.fusion._blocks import BlockUnion


@saved(
    "edaemo.MusicFeatureUnion",
    "eda_",
    "music_scaler_",
    "music_reducer_",
    "music_feature_names_in_",
    "_names",
    "_n_eda",
    "n_features_in_",
    "feature_names_in_",
)
class MusicFeatureUnion(BlockUnion):
    """Join the EDA of each trial and the music features of its stimulus into one row of numbers.

    It is the :class:`edaemo.fusion.BlockUnion` of EDA and music. Music features are standardised
    with the mean and standard deviation over the trials seen in `fit`, so no information of a
    held-out trial is used.

    Parameters
    ----------
    eda : transformer, "passthrough" or "drop", default="passthrough"
        Source of the EDA block: a transformer such as :class:`edaemo.CvxEDATransformer`; the EDA
        unchanged ("passthrough"); or no EDA ("drop", for music only).
    music : DataFrame, (extractor, files), callable or None, default=None
        Source of the music features. A DataFrame of shape (n_stimuli, n_features), indexed by
        stimulus, with one row of finite numbers for each stimulus; booleans count as 0 and 1. Or a
        transformer of audio files, such as :class:`edaemo.features.MusicFeatureExtractor`, with a
        mapping (dict or Series) from stimulus to file; only files of stimuli in X are read. Or a
        callable that takes an array of stimuli and returns such a DataFrame; stimuli without a row
        are unknown. None: EDA only.
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
    eda_ : transformer
        The fitted copy of `eda`, if `eda` is a transformer.
    music_scaler_ : StandardScaler
        Mean and scale of the music features, in float64; only with music.
    music_reducer_ : transformer
        The fitted copy of `reduce_music`, if it is not None.
    music_feature_names_in_ : ndarray of shape (n_features,)
        Names of the music features before the reduction; only with music.
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

    eda_: Any

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "eda": [StrOptions({"passthrough", "drop"}), HasMethods(["fit", "transform"])],
        **{
            name: BlockUnion._parameter_constraints[name]
            for name in ("music", "standardize_music", "reduce_music", "handle_unknown")
        },
    }

    def __init__(
        self,
        *,
        eda: object = "passthrough",
        music: pd.DataFrame | tuple[Any, ...] | Callable[[np.ndarray], pd.DataFrame] | None = None,
        standardize_music: bool = True,
        reduce_music: object = None,
        handle_unknown: str = "error",
    ) -> None:
        self.eda = eda
        self.music = music
        self.standardize_music = standardize_music
        self.reduce_music = reduce_music
        self.handle_unknown = handle_unknown

    @property
    def blocks(self) -> dict[str, Any]:  # type: ignore[override]
        """The blocks other than music: EDA, unless it is dropped."""
        return {} if isinstance(self.eda, str) and self.eda == "drop" else {"eda": self.eda}

    @property
    def blocks_(self) -> dict[str, Any]:
        """The fitted copies of the transformers in `blocks`."""
        return {"eda": self.eda_} if hasattr(self, "eda_") else {}

    @blocks_.setter
    def blocks_(self, fitted: dict[str, Any]) -> None:
        if "eda" in fitted:
            self.eda_ = fitted["eda"]

    @property
    def widths_(self) -> dict[str, int]:
        """Number of columns of each block except music."""
        return dict.fromkeys(self.blocks, self._n_eda)

    @widths_.setter
    def widths_(self, widths: dict[str, int]) -> None:
        self._n_eda = widths.get("eda", 0)

    def _check_blocks(self) -> None:
        if not self.blocks and self.music is None:
            raise ValueError("eda='drop' and music=None leave no block: set one of them.")

    def _read_rows(
        self, name: str, X: object, *, fit: bool
    ) -> tuple[np.ndarray, Callable[[], Sequence[object]]]:
        if signal_cells(X) is not None:
            raise self._cells_error(name)
        values = self._read_numbers(name, X, reset=fit)
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])
        return values, partial(self._name_columns, name, names)

    def _name_columns(self, name: str, columns: Iterable[object]) -> Sequence[object]:
        if self.music is None:  # without music, EDA columns keep their names
            return list(columns)
        return super()._name_columns(name, columns)
