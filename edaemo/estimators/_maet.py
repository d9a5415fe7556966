"""MAETClassifier: one transformer for any subset of modalities."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from edaemo._layout import Layout, block_title
from edaemo._saved import saved
from edaemo._validation import as_plain, name_trial, read_inputs
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.estimators._network import Data, shapes_of
from edaemo.networks import MAET, BlockNames

_FEATURES, _SIGNAL = "features", "signal"
_COUNT = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")


@saved("edaemo.estimators.MAETClassifier")
class MAETClassifier(NetworkClassifier):
    """MAET on any modalities, of which each trial can lack some.

    This is the multimodal adaptive emotion transformer of [1]_. :class:`edaemo.networks.MAET`
    describes its layers. A trial lacks a modality if all columns of the modality are NaN. In
    prediction, X can also be a frame without these columns. The trial is then classified from its
    other modalities.

    Parameters
    ----------
    modalities : dict or None, default=None
        The modalities of a row by name, in the order of their columns. The value is one of:

        - "features": the columns ``<name>_…`` are features.
        - "signal": the columns ``<name>_<channel>_<sample>`` are a signal. Signals come before
          features.
        - int, or (int, int): the same with a number of features, or of channels and samples. If X
          is an array, which has no column names, all modalities need these numbers.

        A modality without columns in `fit` is left out. None: features of EDA (``eda_…``) and music
        (``music_…``); if X has no such names, all columns are the features of one modality.
    embed_dim, depth, n_heads, n_views : int, default=32, 3, 4, 5
        Number of dimensions of a token, of transformer blocks, of attention heads, and of tokens
        for the features of a modality.
    patch_size : int, default=16
        Number of samples in a patch of a signal. Each patch becomes a token.
    mixffn_start_layer_index : int, default=2
        Index of the first block in which modalities share feed-forward layers, if a trial has
        several.
    n_prompts : int, default=0
        Number of learned tokens for each block and modality, read by trials with one modality.
    dropout : float, default=0.0
        Share of units dropped in training.
    modality_dropout : float, default=0.2
        Probability that a modality of a trial is left out in training. One is always kept. A trial
        with a single modality has layers of its own. Without this dropout they are trained only by
        such trials. If `fit` had no such trial, prediction refuses them. The source does not use
        this dropout.
    reversal : {"every", "first"}, default="every"
        For `domain_loss`: the class tokens from which the subject is predicted. "every": those of
        all present modalities. "first": that of the first present modality, as in the released
        code.
    recipe : str, default="default"
        Name of the training recipe. It sets every training parameter below that is None.
    <shared parameters>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    sizes_ : dict
        Arguments of the network that were set from the data.
    blocks_ : dict
        Names and shapes of the modalities in a row.
    validation_subjects_ : ndarray
        Subjects of the rows set aside. Empty if no rows are set aside or the subjects are unknown.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in `fit`, if they were strings.
    trained_alone_ : tuple of str
        The modalities from which a trial can be predicted alone.

    Notes
    -----
    On one machine, the probabilities of a trial do not depend on the other trials in the batch.
    Standardise the columns first; scikit-learn's StandardScaler keeps NaN.

    References
    ----------
    .. [1] W.-B. Jiang, X.-H. Liu, W.-L. Zheng, B.-L. Lu, "Multimodal adaptive emotion transformer
       with flexible modality inputs on a novel dataset with continuous labels", ACM MM 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.estimators import MAETClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 6 + 4))
    >>> X[:5, 6:] = np.nan  # these trials have no music
    >>> model = MAETClassifier({"eda": 6, "music": 4}, max_epochs=2, random_state=0)
    >>> model.fit(X, [0, 1] * 10).predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "modalities": [dict, None],
        **{name: [_COUNT] for name in ("embed_dim", "depth", "n_heads", "n_views", "patch_size")},
        "mixffn_start_layer_index": [Interval(Integral, 0, None, closed="left")],
        "n_prompts": [Interval(Integral, 0, None, closed="left")],
        "dropout": [_SHARE],
        "modality_dropout": [_SHARE],
        "reversal": [StrOptions({"every", "first"})],
        "recipe": [str],
    }
    network: ClassVar[type[torch.nn.Module] | None] = MAET
    state: ClassVar[tuple[str, ...]] = (*NetworkClassifier.state, "trained_alone_")
    trained_alone_: tuple[str, ...]
    blocks_: dict[str, tuple[int, ...]] | None

    def __init__(
        self,
        modalities: Mapping[str, str | int | tuple[int, int]] | None = None,
        *,
        embed_dim: int = 32,
        depth: int = 3,
        n_heads: int = 4,
        n_views: int = 5,
        patch_size: int = 16,
        mixffn_start_layer_index: int = 2,
        n_prompts: int = 0,
        dropout: float = 0.0,
        modality_dropout: float = 0.2,
        reversal: str = "every",
        recipe: str = "default",
        domain_loss: bool = False,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: type[torch.optim.Optimizer] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        weight_decay: float | None = None,
        class_weight: Mapping[str, Any] | str | None = None,
        label_smoothing: float | None = None,
        gradient_clip: float | None = None,
        callbacks: list[Any] | None = None,
        validation_fraction: float | None = None,
        patience: int = 10,
        device: str = "auto",
        n_threads: int = 1,
        amp: str | None = None,
        compile: bool | str = False,
        deterministic: bool = False,
        random_state: object = None,
        verbose: int = 0,
        checkpoint: str | PathLike[str] | None = None,
    ) -> None:
        self._keep_parameters(locals())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.modalities is not None and len(self.modalities) > 1
        return tags

    def _network_params(self) -> dict[str, Any]:
        names = (
            *("embed_dim", "depth", "n_heads", "n_views", "patch_size"),
            *("mixffn_start_layer_index", "n_prompts", "dropout", "modality_dropout", "reversal"),
        )
        return as_plain({name: getattr(self, name) for name in names})

    def _block_names(self) -> BlockNames:
        if self.modalities is None:
            return super()._block_names()
        if not self.modalities:
            raise ValueError("modalities is empty: name at least one, or set modalities=None.")
        for name, value in self.modalities.items():
            counts = (value,) if isinstance(value, Integral) else value
            is_shape = isinstance(counts, tuple | list) and len(counts) in (1, 2)
            if value not in (_FEATURES, _SIGNAL) and not (
                is_shape and all(isinstance(n, Integral) and int(n) > 0 for n in counts)
            ):
                raise ValueError(
                    f"modalities[{name!r}] must be {_FEATURES!r}, {_SIGNAL!r}, a number of "
                    f"features, or (n_chans, n_times), got {value!r}."
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
        """The layout of a row; unlike other networks, MAET has one for any row."""
        assert self._layout is not None
        return self._layout

    def _learn_rows(self, X: object) -> np.ndarray:
        names = self._block_names()
        rows, layout = read_inputs(self, X, reset=True, min_rows=2, missing=True, **names)
        self.blocks_ = self._shapes_in_array() if layout is None else shapes_of(layout)
        self._layout = self._find_layout()
        layout = self._modalities
        for name, shape in self._given_shapes().items():
            if name in layout and layout[name].shape != shape:
                raise ValueError(
                    f"modalities[{name!r}] gives the shape {shape}, but the columns of X have "
                    f"{layout[name].shape}."
                )
        present = self._check_modalities(X, rows)
        for name, column in zip(layout, present.T, strict=True):
            if not column.any():
                raise ValueError(
                    f"All trials lack {block_title(name)}: remove its columns to train without it."
                )
        return rows

    def _shapes_in_array(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the modalities of rows without column names."""
        if self.modalities is None:
            return {_FEATURES: (self.n_features_in_,)}
        shapes = self._given_shapes()
        has_names = hasattr(self, "feature_names_in_")
        if not has_names and len(self.modalities) == 1 and _FEATURES in self.modalities.values():
            shapes = dict.fromkeys(self.modalities, (self.n_features_in_,))
        n_columns = sum(int(np.prod(shape)) for shape in shapes.values())
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
