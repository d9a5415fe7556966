"""CNNClassifier: the 3-layer CNN on hand-crafted EDA features."""

from __future__ import annotations

from numbers import Integral
from os import PathLike
from typing import Any

import torch
from sklearn.utils._param_validation import Interval

from edaemo.estimators._base import NetClassifier
from edaemo.estimators._recipes import CONSTANT, Recipe
from edaemo.networks import FeatureCNN


class CNNClassifier(NetClassifier):
    """The 3-layer CNN that RTCAN-1D is compared with: convolutions over the features' columns.

    The baseline of [1]_, section 5.2, on the 128 features of
    :class:`edaemo.features.EDAFeatureExtractor`; see :class:`edaemo.networks.FeatureCNN` for its
    layers and for what the paper leaves open. The columns are one sequence in their given order,
    and they should be standardised first, as :func:`edaemo.benchmark.make_cnn_baseline` does.

    Parameters
    ----------
    n_filters : int, default=64
        Filters of each of the three convolutions.
    max_epochs : int, default=50
        Passes over the training trials.
    batch_size : int, default=64
        Trials in a training step, at least 2.
    lr : float, default=1e-3
        Learning rate.
    optimizer : type, default=torch.optim.AdamW
        A torch optimizer's class.
    optimizer_params : dict or None, default=None
        Further arguments of the optimizer, such as ``{"weight_decay": 0.01}``.
    lr_scheduler : skorch.callbacks.LRScheduler or None, default=None
        The learning rate's schedule; a copy of it is used.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Copies of them are called during training.
    validation_fraction : float or None, default=None
        Share of the people in the training data that is set aside, whole people each, to stop
        early: training ends when their loss has not improved for `patience` epochs, and the best
        epoch's weights are kept. Needs subjects. None trains on everybody for `max_epochs`. The
        argument `validation` of `fit` names the rows instead, and wins over it.
    patience : int, default=10
        Epochs without improvement before training stops; only where rows are set aside.
    device : str, default="auto"
        A torch device; "auto" is CUDA where there is one, else the CPU.
    n_threads : int, default=1
        torch threads while fitting and predicting. More of them change results in the last digits
        and are far slower on busy cores.
    amp : {"bf16"} or None, default=None
        "bf16": forward passes in bfloat16 where torch's autocast holds it safe. Faster in training
        and prediction; answers differ in the third digit (``docs/performance.md``).
    compile : bool or {"reduce-overhead", "max-autotune"}, default=False
        Whether the network goes through ``torch.compile``, in torch's default mode (True) or in
        another one; on CUDA both of these replay CUDA graphs. It needs a C++ compiler, and a minute
        before the first batch and the first prediction. On the CPU a lone trial is answered
        sooner, and many one by one; ``docs/performance.md`` has what was measured.
    deterministic : bool, default=False
        Whether torch may use deterministic algorithms alone, on CUDA; on the CPU a fit is the same
        each time in any case.
    random_state : int, RandomState instance or None, default=None
        Seeds the initial weights, the order of the batches and the people set aside. torch's
        generators outside the fit are left as they were.
    verbose : int, default=0
        Above 0, skorch prints a line for each epoch.
    checkpoint : path or None, default=None
        A file that is written after each epoch and removed when `fit` is done: where a fit was
        killed, the same `fit` goes on from its last epoch and ends with the weights of an unbroken
        one (``docs/files.md``). A file of another fit is an error. Not together with `callbacks`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNet
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
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
        **NetClassifier._parameter_constraints,
        "n_filters": [Interval(Integral, 1, None, closed="left")],
    }

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
        self.n_filters = n_filters
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.lr_scheduler = lr_scheduler
        self.callbacks = callbacks
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.n_threads = n_threads
        self.amp = amp
        self.compile = compile
        self.deterministic = deterministic
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoint = checkpoint

    def _recipe(self) -> Recipe:
        return Recipe(
            optimizer=self.optimizer,
            optimizer_params=self.optimizer_params or {},
            weight_decay=None,
            lr=self.lr,
            lr_scheduler=CONSTANT if self.lr_scheduler is None else self.lr_scheduler,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
        )

    def _network(self) -> tuple[type[torch.nn.Module], dict[str, Any]]:
        return FeatureCNN, {"n_features": self.n_features_in_, "n_filters": self.n_filters}
