"""CNNClassifier: the 3-layer CNN on hand-crafted EDA features."""

from __future__ import annotations

from numbers import Integral
from os import PathLike
from typing import Any

import torch
from sklearn.utils._param_validation import Interval

from edaemo._saved import saved
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.networks import FeatureCNN


@saved("edaemo.estimators.CNNClassifier")
class CNNClassifier(NetworkClassifier):
    """The 3-layer CNN that RTCAN-1D is compared with: convolutions over the features' columns.

    The baseline of [1]_, section 5.2, on the 128 features of
    :class:`edaemo.features.EDAFeatureExtractor`; see :class:`edaemo.networks.FeatureCNN` for its
    layers and for what the paper leaves open. The columns are one sequence in their given order,
    and they should be standardised first, as :func:`edaemo.benchmark.make_cnn_baseline` does.

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
        Arguments of the network that the data decided.
    blocks_ : dict or None
        Names of a row's blocks and their shapes; None where the network does not tell them apart.
    validation_subjects_ : ndarray
        The people of the rows set aside; empty where none are, or where people are not known.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in `fit`, where they were strings.

    Notes
    -----
    On one machine a trial gets the same probabilities in whatever batch it comes.

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

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_filters": [Interval(Integral, 1, None, closed="left")],
    }
    network = FeatureCNN

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
        callbacks: list | None = None,
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
