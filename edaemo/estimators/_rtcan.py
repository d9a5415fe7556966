"""RTCANClassifier: the RTCAN-1D network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from sklearn.utils._param_validation import Interval

from edaemo.estimators._base import NetClassifier
from edaemo.fusion._layout import agree, infer_layout, read_layout
from edaemo.networks import RTCAN


class RTCANClassifier(NetClassifier):
    """RTCAN-1D on EDA, or on EDA and music: attention over time and channels, residual trunk.

    The network of [1]_, trained with cross-entropy on raw logits; see
    :class:`edaemo.networks.RTCAN` for its layers and for what the paper leaves open. Training runs
    in a skorch net, `net_`, whose optimizer, schedule and callbacks are yours to choose.

    Parameters
    ----------
    n_chans, n_times, n_music_features : int or None, default=None
        How one row divides: ``n_chans`` EDA channels of ``n_times`` samples, one after the other,
        then the music features. A DataFrame as :class:`edaemo.MusicFeatureUnion` makes says it by
        its column names, and a parameter that says otherwise is an error. For a bare array one of
        them may be left out and is worked out from the others; without `n_times` and
        `n_music_features` there is no music.
    channels : sequence of 4 int, default=(64, 64, 64, 64)
        Filters of the four stages of the residual trunk.
    n_clips : int, default=3
        Parts of the signal that attention looks at one by one.
    reduction : int, default=8
        Reduction of the channel attention's hidden layers.
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
    random_state : int, RandomState instance or None, default=None
        Seeds the initial weights, the order of the batches and the people set aside. torch's
        generators outside the fit are left as they were.
    verbose : int, default=0
        Above 0, skorch prints a line for each epoch.

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
    >>> from edaemo import RTCANClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> model = RTCANClassifier(n_chans=3, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **NetClassifier._parameter_constraints,
        "n_chans": [Interval(Integral, 1, None, closed="left"), None],
        "n_times": [Interval(Integral, 1, None, closed="left"), None],
        "n_music_features": [Interval(Integral, 0, None, closed="left"), None],
        "channels": ["array-like"],
        "n_clips": [Interval(Integral, 1, None, closed="left")],
        "reduction": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_chans: int | None = None,
        n_times: int | None = None,
        n_music_features: int | None = None,
        channels: Sequence[int] = (64, 64, 64, 64),
        n_clips: int = 3,
        reduction: int = 8,
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
        random_state: object = None,
        verbose: int = 0,
    ) -> None:
        self.n_chans = n_chans
        self.n_times = n_times
        self.n_music_features = n_music_features
        self.channels = channels
        self.n_clips = n_clips
        self.reduction = reduction
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
        self.random_state = random_state
        self.verbose = verbose

    def _network(self, X: object) -> tuple[type[torch.nn.Module], dict[str, Any]]:
        names = getattr(self, "feature_names_in_", None)
        layout = None if names is None else read_layout(names)
        said = {
            "n_chans": self.n_chans,
            "n_times": self.n_times,
            "n_music_features": self.n_music_features,
        }
        if not (
            len(self.channels) and all(isinstance(n, Integral) and n > 0 for n in self.channels)
        ):
            raise ValueError(
                f"channels must be positive numbers of filters, got {self.channels!r}."
            )
        if layout is None:
            layout = infer_layout(self.n_features_in_, **said)
        agree(layout, **said)
        if layout.n_chans == 0:
            raise ValueError(
                "RTCANClassifier needs EDA, and the columns hold music alone: use an SVM on music "
                "(edaemo.benchmark.make_svm_baseline)."
            )
        return RTCAN, {
            "n_chans": layout.n_chans,
            "n_times": layout.n_times,
            "n_music_features": layout.n_music_features,
            "channels": tuple(self.channels),
            "n_clips": self.n_clips,
            "reduction": self.reduction,
        }
