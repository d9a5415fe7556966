"""RTCANClassifier: the RTCAN-1D network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions
from skorch.callbacks import LRScheduler

from edaemo._layout import Layout, agree, infer_layout, read_layout, sizes
from edaemo.estimators._base import NetClassifier
from edaemo.estimators._recipes import CONSTANT, COSINE, Recipe, check_augmentation, find_recipe
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
    architecture : {"paper", "published"}, default="paper"
        What the paper describes, or what the code released with it computes; ``docs/models.md`` has
        both, layer by layer.
    form : {"large-corpus", "small-corpus"}, default="large-corpus"
        With channel attention in the residual blocks, as on PMEmo, or without it, as on DEAP and
        AMIGOS.
    sca : bool, default=True
        Channel attention before the residual blocks.
    sca_res : bool or None, default=None
        Channel attention in the residual blocks; None: as `form` says.
    rnta : bool, default=True
        Non-local attention over time.
    depth : {1, 2}, default=1
        Convolutions of each residual unit.
    channels : sequence of 4 int, default=(64, 64, 64, 64)
        Filters of the four stages of the residual trunk.
    n_clips : int, default=3
        Parts of the signal that attention looks at one by one.
    reduction : int, default=8
        Reduction of the channel attention's hidden layers.
    recipe : str, default="default"
        How the network is trained, in every respect below that is None.

        - "default": AdamW, chosen on generated studies and development people
          (``docs/models.md``).
        - "paper": SGD, 0.001 times 0.9 every 15 epochs, batches of 256, weights from
          N(0, 0.01²); section 5.1, which says nothing of momentum and decay (none here) and of
          epochs (100 here).
        - "published": what the released code does on PMEmo: SGD with momentum 0.9, 0.001
          throughout, batches of 300, 100 epochs, its initial weights. "published-deap": 0.1, decay
          0.001, 300 epochs. "published-amigos": 0.001, decay 0.01, 1000 epochs.
    max_epochs : int or None, default=None
        Passes over the training trials.
    batch_size : int or None, default=None
        Trials in a training step, at least 2.
    lr : float or None, default=None
        Learning rate.
    optimizer : type or None, default=None
        A torch optimizer's class. With one of your own, neither `optimizer_params` nor
        `weight_decay` are the recipe's.
    optimizer_params : dict or None, default=None
        Further arguments of the optimizer, such as ``{"momentum": 0.9}``.
    lr_scheduler : skorch.callbacks.LRScheduler, "constant", "cosine" or None, default=None
        The learning rate's schedule; a copy of it is used. "cosine": half a cosine wave from `lr`
        down to 0 over `max_epochs`.
    weight_decay : float or None, default=None
        The optimizer's argument of that name.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; "balanced": inverse to its share of the training trials.
        None: 1 each, in every recipe.
    label_smoothing : float or None, default=None
        From 0 to below 1: how far the targets are moved towards equal probabilities.
    dropout : float or None, default=None
        From 0 to below 1: share of the units that are dropped between the linear layers.
    gradient_clip : float or None, default=None
        Largest norm of the gradient; 0 for no limit.
    augmentation : dict or None, default=None
        Changes of the EDA in training, each by chance anew in each epoch: ``time_shift`` (moved by
        up to this share of its length, ends repeated), ``scaling`` (all channels of a trial
        multiplied by exp of a normal variable with this standard deviation), ``noise`` (standard
        deviation of white noise), ``channel_drop`` (probability that a channel becomes zero; one
        stays). Music is left alone; ``{}`` is none.
    init : {"torch", "normal", "published"} or None, default=None
        Initial weights: PyTorch's own, N(0, 0.01²), or the released code's.
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
    >>> from edaemo import RTCANClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> model = RTCANClassifier(n_chans=3, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _blocks: ClassVar = {"signals": ("eda",), "features": ("music",)}

    _parameter_constraints: dict = {  # noqa: RUF012
        **NetClassifier._parameter_constraints,
        "n_chans": [Interval(Integral, 1, None, closed="left"), None],
        "n_times": [Interval(Integral, 1, None, closed="left"), None],
        "n_music_features": [Interval(Integral, 0, None, closed="left"), None],
        "architecture": [StrOptions({"paper", "published"})],
        "form": [StrOptions({"large-corpus", "small-corpus"})],
        "sca": ["boolean"],
        "sca_res": ["boolean", None],
        "rnta": ["boolean"],
        "depth": [Options(Integral, {1, 2})],
        "channels": ["array-like"],
        "n_clips": [Interval(Integral, 1, None, closed="left")],
        "reduction": [Interval(Integral, 1, None, closed="left")],
        "recipe": [str],
        **{
            name: [*NetClassifier._parameter_constraints[name], None]
            for name in ("max_epochs", "batch_size", "lr", "optimizer")
        },
        "lr_scheduler": [LRScheduler, StrOptions({CONSTANT, COSINE}), None],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "gradient_clip": [Interval(Real, 0, None, closed="left"), None],
        "augmentation": [dict, None],
        "init": [StrOptions({"torch", "normal", "published"}), None],
    }

    def __init__(
        self,
        *,
        n_chans: int | None = None,
        n_times: int | None = None,
        n_music_features: int | None = None,
        architecture: str = "paper",
        form: str = "large-corpus",
        sca: bool = True,
        sca_res: bool | None = None,
        rnta: bool = True,
        depth: int = 1,
        channels: Sequence[int] = (64, 64, 64, 64),
        n_clips: int = 3,
        reduction: int = 8,
        recipe: str = "default",
        max_epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: type[torch.optim.Optimizer] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        weight_decay: float | None = None,
        class_weight: dict | str | None = None,
        label_smoothing: float | None = None,
        dropout: float | None = None,
        gradient_clip: float | None = None,
        augmentation: dict[str, float] | None = None,
        init: str | None = None,
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
        self.n_chans = n_chans
        self.n_times = n_times
        self.n_music_features = n_music_features
        self.architecture = architecture
        self.form = form
        self.sca = sca
        self.sca_res = sca_res
        self.rnta = rnta
        self.depth = depth
        self.channels = channels
        self.n_clips = n_clips
        self.reduction = reduction
        self.recipe = recipe
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.lr_scheduler = lr_scheduler
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.gradient_clip = gradient_clip
        self.augmentation = augmentation
        self.init = init
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
        recipe = find_recipe(self.recipe)
        recipe = recipe.but_for(**{name: getattr(self, name) for name in Recipe._fields})
        check_augmentation(recipe.augmentation)
        return recipe

    def _find_layout(self) -> Layout:
        names = getattr(self, "feature_names_in_", None)
        layout = None if names is None else read_layout(names)
        return infer_layout(self.n_features_in_, **self._sizes()) if layout is None else layout

    def _sizes(self) -> dict[str, int | None]:
        return {
            "n_chans": self.n_chans,
            "n_times": self.n_times,
            "n_music_features": self.n_music_features,
        }

    def _network(self) -> tuple[type[torch.nn.Module], dict[str, Any]]:
        if not (
            len(self.channels) and all(isinstance(n, Integral) and n > 0 for n in self.channels)
        ):
            raise ValueError(
                f"channels must be positive numbers of filters, got {self.channels!r}."
            )
        source = "column names" if hasattr(self, "feature_names_in_") else "array's shapes"
        agree(self._layout, source, **self._sizes())
        found = sizes(self._layout)
        if found["n_chans"] == 0:
            raise ValueError(
                "RTCANClassifier needs EDA, and the columns hold music alone: use an SVM on music "
                "(edaemo.benchmark.make_svm_baseline)."
            )
        recipe = self._recipe()
        return RTCAN, {
            **found,
            "architecture": self.architecture,
            "form": self.form,
            "sca": self.sca,
            "sca_res": self.sca_res,
            "rnta": self.rnta,
            "depth": self.depth,
            "channels": tuple(self.channels),
            "n_clips": self.n_clips,
            "reduction": self.reduction,
            "dropout": recipe.dropout,
            "init": recipe.init,
        }
