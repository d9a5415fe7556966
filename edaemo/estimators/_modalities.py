"""ModalityClassifier: what classifiers of modalities, of which a trial can lack some, share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval

from edaemo._layout import Block, Layout, block_title
from edaemo._validation import name_trial, read_inputs
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.estimators._network import Data, shapes_of
from edaemo.networks import BlockNames

COUNT = Interval(Integral, 1, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="left")
MODALITIES: dict[str, Any] = {"modalities": [dict, None], "modality_dropout": [SHARE]}
_FEATURES, _SIGNAL = "features", "signal"
# Sizes of a modality, by their number.
_SHAPES = {
    1: "a number of features",
    2: "(n_chans, n_times)",
    4: "(n_frames, n_colours, height, width)",
}


class ModalityClassifier(NetworkClassifier):
    """A classifier of named modalities; a trial lacks a modality if its columns are NaN.

    A subclass has the parameters `modalities` and `modality_dropout`, and the constraints
    `MODALITIES`.
    """

    state: ClassVar[tuple[str, ...]] = (*NetworkClassifier.state, "trained_alone_")
    # Possible numbers of sizes of a modality.
    _ranks: ClassVar[tuple[int, ...]] = (1, 2)
    trained_alone_: tuple[str, ...]
    blocks_: dict[str, tuple[int, ...]] | None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.modalities is not None and len(self.modalities) > 1
        return tags

    def _block_names(self) -> BlockNames:
        if self.modalities is None:
            return super()._block_names()
        if not self.modalities:
            raise ValueError("modalities is empty: name at least one, or set modalities=None.")
        for name, value in self.modalities.items():
            counts = (value,) if isinstance(value, Integral) else value
            is_shape = isinstance(counts, tuple | list) and len(counts) in self._ranks
            if value not in (_FEATURES, _SIGNAL) and not (
                is_shape and all(isinstance(n, Integral) and int(n) > 0 for n in counts)
            ):
                shapes = " or ".join(_SHAPES[rank] for rank in self._ranks)
                raise ValueError(
                    f"modalities[{name!r}] must be {_FEATURES!r}, {_SIGNAL!r}, {shapes}, got "
                    f"{value!r}."
                )
        signals = tuple(name for name in self.modalities if self._is_signal(name))
        others = tuple(name for name in self.modalities if name not in signals)
        if [*self.modalities] != [*signals, *others]:
            raise ValueError(
                f"modalities must name signals before features, got {[*self.modalities]}."
            )
        return {"signals": signals, "features": others}

    def _is_signal(self, name: str) -> bool:
        value = (self.modalities or {})[name]
        return value == _SIGNAL or (isinstance(value, tuple | list) and len(value) == 2)

    def _given_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the modalities whose sizes are given."""
        return {
            name: tuple(map(int, np.atleast_1d(value)))
            for name, value in (self.modalities or {}).items()
            if not isinstance(value, str)
        }

    @property
    def _modalities(self) -> Layout:
        """The layout of a row; unlike other networks, these have one for any row."""
        assert self._layout is not None
        return self._layout

    def _learn_rows(self, X: object) -> np.ndarray:
        names = self._block_names()
        rows, layout = read_inputs(self, X, reset=True, min_rows=2, missing=True, **names)
        self.blocks_ = self._shapes_in_array() if layout is None else shapes_of(layout)
        self._layout = self._find_layout()
        layout = self._modalities
        self.blocks_ = {name: self._check_shape(block) for name, block in layout.items()}
        present = self._check_modalities(X, rows)
        for name, column in zip(layout, present.T, strict=True):
            if not column.any():
                raise ValueError(
                    f"All trials lack {block_title(name)}: remove its columns to train without it."
                )
        return rows

    def _check_shape(self, block: Block) -> tuple[int, ...]:
        """Return the shape of a modality; raise a ValueError if another one was given."""
        given = self._given_shapes().get(block.name, block.shape)
        folded = (math.prod(given),) if len(given) > 2 else given
        if folded != block.shape:
            raise ValueError(
                f"modalities[{block.name!r}] gives the shape {given}, but the columns of X have "
                f"{block.shape}."
            )
        return given

    def _shapes_in_array(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the modalities of rows without column names."""
        if self.modalities is None:
            return {_FEATURES: (self.n_features_in_,)}
        shapes = self._given_shapes()
        has_names = hasattr(self, "feature_names_in_")
        if not has_names and len(self.modalities) == 1 and _FEATURES in self.modalities.values():
            shapes = dict.fromkeys(self.modalities, (self.n_features_in_,))
        n_columns = sum(math.prod(shape) for shape in shapes.values())
        if len(shapes) < len(self.modalities) or n_columns != self.n_features_in_:
            raise ValueError(
                f"X has {self.n_features_in_} columns, and no name of a column begins with a "
                f"modality, as in eda_mean. modalities={self.modalities} must then give all their "
                "sizes, and the sizes must add up to the number of columns."
            )
        return shapes

    def read(self, X: object) -> np.ndarray:
        """Convert X to the input that the fitted network takes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`. A frame can lack all columns of a modality.

        Returns
        -------
        ndarray of float32 of shape (n_trials, n_columns)
            The rows; NaN for absent modalities.
        """
        X = self._with_absent(X)
        layout = self._modalities
        blocks = self._block_names()
        rows, _ = read_inputs(self, X, reset=False, fitted=layout, missing=True, **blocks)
        present = self._check_modalities(X, rows)
        names = np.array([*layout])
        untrained = ~np.isin(names, self.trained_alone_)
        refused = (present.sum(axis=1) == 1) & present[:, untrained].any(axis=1)
        if refused.any():
            row = int(np.argmax(refused))
            name = block_title(names[np.argmax(present[row])])
            raise ValueError(
                f"{name_trial(X, row)} has {name} only, but no training trial was of "
                "this kind: set modality_dropout above 0, and fit again."
            )
        return rows

    def _check_training(self, data: Data) -> None:
        super()._check_training(data)
        layout = self._modalities
        present = self._find_present(data.rows[data.training])
        alone = present[present.sum(axis=1) == 1].any(axis=0) | bool(self.modality_dropout)
        self.trained_alone_ = tuple(np.array([*layout])[alone].tolist())

    def _with_absent(self, X: object) -> object:
        """Return X with columns of NaN for each modality of which a frame has no column."""
        fitted = getattr(self, "feature_names_in_", None)
        if fitted is None or not isinstance(X, pd.DataFrame) or len(X.columns) >= len(fitted):
            return X
        columns = [fitted[block.columns] for block in self._modalities.values()]
        there = [names for names in columns if np.isin(names, X.columns).any()]
        if not there or list(X.columns) != np.concatenate(there).tolist():
            return X  # the check of the columns raises an error that names them
        return X.reindex(columns=fitted)

    def _check_modalities(self, X: object, rows: np.ndarray) -> np.ndarray:
        """Return which modalities each trial has, (n_trials, n_modalities).

        Raise a ValueError if a modality is NaN in part, or a trial has no modality.
        """
        layout = self._modalities
        for block in layout.values():
            missing = np.isnan(rows[:, block.columns])
            partly = missing.any(axis=1) & ~missing.all(axis=1)
            if partly.any():
                row = int(np.argmax(partly))
                raise ValueError(
                    f"X contains NaN in {missing[row].sum()} of {block.n_features} columns of "
                    f"{block_title(block.name)} in {name_trial(X, row)}. Fill them in, or set all "
                    "columns of this modality to NaN, so that the trial lacks it."
                )
        present = self._find_present(rows)
        if not present.any(axis=1).all():
            row = int(np.argmin(present.any(axis=1)))
            raise ValueError(
                f"X contains only NaN in {name_trial(X, row)}: remove this trial, which has no "
                "modality."
            )
        return present

    def _find_present(self, rows: np.ndarray) -> np.ndarray:
        blocks = self._modalities.values()
        return np.stack([~np.isnan(rows[:, block.start]) for block in blocks], axis=1)
