"""AIMSTFClassifier: specific and shared features of two modalities."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from edaemo._saved import saved
from edaemo._validation import as_plain
from edaemo.estimators._modalities import COUNT, MODALITIES, SHARE, ModalityClassifier
from edaemo.estimators._network import Data, Loss
from edaemo.networks import AIMSTF
from edaemo.training import SpecificSharedLoss

_AT_LEAST_ZERO = Interval(Real, 0, None, closed="left")


@saved("edaemo.estimators.AIMSTFClassifier")
class AIMSTFClassifier(ModalityClassifier):
    """AIMSTF-SSFF on two modalities: features specific to each, and features that they share.

    This is the network of [1]_, which the source uses for EEG and faces.
    :class:`edaemo.networks.AIMSTF` describes its layers, and what was mended. Any signals, features
    and videos can be the modalities, such as EDA and music, or EDA and EEG. With one modality, the
    network has specific and shared features of this modality, and no fusion of modalities.

    Parameters
    ----------
    modalities : dict or None, default=None
        The modalities of a row by name, in the order of their columns. The value is one of:

        - "signal": the columns ``<name>_<channel>_<sample>`` are a signal. Signals come before the
          other modalities.
        - "features": the columns ``<name>_…`` are features.
        - int, or (int, int): the same with a number of features, or of channels and samples. If X
          is an array, which has no column names, all modalities need these numbers.
        - (int, int, int, int): video frames, with the numbers of frames, of colours, and of rows
          and columns of pixels. The columns are in this order.

        A modality without columns in `fit` is left out. None: a signal of EDA
        (``eda_<channel>_<sample>``) and features of music (``music_…``); if X has no such names,
        all columns are the features of one modality.
    architecture : {"mended", "published"}, default="mended"
        "published": the layers of the released code, of which the weights of the fusion are always
        equal. ``docs/models.md`` lists the differences.
    n_filters, depth, n_heads : int, default=32, 6, 4
        Number of filters and of levels of a signal, and of attention heads.
    embed_dim : int, default=128
        Number of features of a modality, a multiple of 4.
    dropout, attention_dropout : float, default=0.5, 0.2
        Share of units dropped in training before the classes, and of attention weights.
    modality_dropout : float, default=0.0
        Probability that a modality of a trial is left out in training. One is always kept. If it is
        0, and `fit` had no trial with one modality only, prediction from this modality alone is an
        error. The source does not use this dropout.
    alpha, beta, gamma : float, default=0.01, 0.5, 0.01
        Weights in the training loss: of the difference of specific and shared features, of the
        central moment discrepancy of the shared features of two modalities, and of the difference
        of the specific features of two modalities.
    n_moments : int, default=5
        Highest order of the central moments.
    recipe : str, default="default"
        Name of the training recipe. It sets every training parameter below that is None.

        - "default": the released scripts for 5 folds. Adam, learning rate 0.0005, decay 0.0001,
          batches of 120, 100 epochs.
        - "per-subject": the released scripts for single subjects. Learning rate 0.0001, batches of
          64, 50 epochs.
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
    .. [1] Q. Sun, Y. Chen, "Bimodal emotion recognition based on adaptive integration of
       multi-level spatial-temporal features and specific-shared feature fusion", Journal of
       Electronics & Information Technology 46 (2024), doi:10.11999/JEIT231110.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.estimators import AIMSTFClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 32 + 4))
    >>> both = {"eda": (3, 32), "music": 4}
    >>> model = AIMSTFClassifier(both, depth=1, max_epochs=2, random_state=0)
    >>> model.fit(X, [0, 1] * 10).predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **MODALITIES,
        "architecture": [StrOptions({"mended", "published"})],
        **{name: [COUNT] for name in ("n_filters", "depth", "n_heads", "embed_dim", "n_moments")},
        "dropout": [SHARE],
        "attention_dropout": [SHARE],
        **{name: [_AT_LEAST_ZERO] for name in ("alpha", "beta", "gamma")},
        "recipe": [str],
    }
    network: ClassVar[type[torch.nn.Module] | None] = AIMSTF
    _ranks: ClassVar[tuple[int, ...]] = (1, 2, 4)

    def __init__(
        self,
        modalities: Mapping[str, str | int | tuple[int, ...]] | None = None,
        *,
        architecture: str = "mended",
        n_filters: int = 32,
        depth: int = 6,
        n_heads: int = 4,
        embed_dim: int = 128,
        dropout: float = 0.5,
        attention_dropout: float = 0.2,
        modality_dropout: float = 0.0,
        alpha: float = 0.01,
        beta: float = 0.5,
        gamma: float = 0.01,
        n_moments: int = 5,
        recipe: str = "default",
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
            *("architecture", "n_filters", "depth", "n_heads", "embed_dim"),
            *("dropout", "attention_dropout", "modality_dropout"),
        )
        return as_plain({name: getattr(self, name) for name in names})

    def _make_loss(self, data: Data | None) -> Loss:
        names = ("alpha", "beta", "gamma", "n_moments")
        terms = as_plain({name: getattr(self, name) for name in names})
        return Loss(SpecificSharedLoss, {**super()._make_loss(data).arguments, **terms})
