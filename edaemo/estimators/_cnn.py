"""CNNClassifier: the 3-layer CNN on hand-crafted EDA features."""

from __future__ import annotations

from numbers import Integral
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval

from edaemo._saved import saved
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.networks import FeatureCNN


@saved("edaemo.estimators.CNNClassifier")
class CNNClassifier(NetworkClassifier):
    """The 3-layer CNN baseline of the RTCAN-1D paper, on columns of EDA features.

    This is the baseline of [1]_, section 5.2, on the 128 features of
    :class:`edaemo.features.EDAFeatureExtractor`. :class:`edaemo.networks.FeatureCNN` describes its
    layers and the details that the paper does not specify. The network treats the columns as one
    sequence, in the order of X. Standardise them first, as
    :func:`edaemo.benchmark.make_cnn_baseline` does.

    Parameters
    ----------
    n_filters : int, default=64
        Filters of each of the three convolutions.
    <shared parameters>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    sizes_ : dict
        Arguments of the network that were set from the data.
    blocks_ : dict or None
        Names and shapes of the blocks in a row; None if the network does not use blocks.
    validation_subjects_ : ndarray
        Subjects of the rows set aside. Empty if no rows are set aside or the subjects are unknown.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    Notes
    -----
    On one machine, the probabilities of a trial do not depend on the other trials in the batch.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.estimators import CNNClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 128))
    >>> model = CNNClassifier(max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict(X).shape
    (20,)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "n_filters": [Interval(Integral, 1, None, closed="left")],
    }
    network: ClassVar[type[torch.nn.Module] | None] = FeatureCNN

    def __init__(
        self,
        *,
        n_filters: int = 64,
        max_epochs: int = 50,
        batch_size: int = 64,
        lr: float = 1e-3,
        optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
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
        return {"n_filters": self.n_filters}
