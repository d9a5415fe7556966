"""MAETClassifier: one transformer for any subset of modalities."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from edaemo._saved import saved
from edaemo._validation import as_plain
from edaemo.estimators._modalities import COUNT, MODALITIES, SHARE, ModalityClassifier
from edaemo.networks import MAET


@saved("edaemo.estimators.MAETClassifier")
class MAETClassifier(ModalityClassifier):
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
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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
        **MODALITIES,
        **{name: [COUNT] for name in ("embed_dim", "depth", "n_heads", "n_views", "patch_size")},
        "mixffn_start_layer_index": [Interval(Integral, 0, None, closed="left")],
        "n_prompts": [Interval(Integral, 0, None, closed="left")],
        "dropout": [SHARE],
        "reversal": [StrOptions({"every", "first"})],
        "recipe": [str],
    }
    network: ClassVar[type[torch.nn.Module] | None] = MAET

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

    def _network_params(self) -> dict[str, Any]:
        names = (
            *("embed_dim", "depth", "n_heads", "n_views", "patch_size"),
            *("mixffn_start_layer_index", "n_prompts", "dropout", "modality_dropout", "reversal"),
        )
        return as_plain({name: getattr(self, name) for name in names})
