"""RTCANClassifier: the RTCAN-1D network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions

from edaemo._saved import saved
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.networks import RTCAN


@saved("edaemo.RTCANClassifier")
class RTCANClassifier(NetworkClassifier):
    """RTCAN-1D on EDA, or on EDA and music: attention over time and channels, residual trunk.

    The network of [1]_, trained with cross-entropy on raw logits; see
    :class:`edaemo.networks.RTCAN` for its layers and for what the paper leaves open. Training runs
    in a skorch net, `net_`, whose optimizer, schedule and callbacks are yours to choose.

    Parameters
    ----------
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
    init : {"torch", "normal", "published"} or None, default=None
        Initial weights: PyTorch's own, N(0, 0.01²), or the released code's.
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
    >>> from edaemo import RTCANClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> model = RTCANClassifier(n_chans=3, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _blocks: ClassVar = {"signals": ("eda",), "features": ("music",)}

    _parameter_constraints: dict = {  # noqa: RUF012
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
        "init": [StrOptions({"torch", "normal", "published"}), None],
    }
    network = RTCAN

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
        self._keep_parameters(locals())

    def _network_params(self) -> dict[str, Any]:
        if not (
            len(self.channels)
            and all(isinstance(n, Integral) and int(n) > 0 for n in self.channels)
        ):
            raise ValueError(
                f"channels must be positive numbers of filters, got {self.channels!r}."
            )
        names = ("architecture", "form", "sca", "sca_res", "rnta", "depth", "n_clips", "reduction")
        given = {name: getattr(self, name) for name in names} | {"channels": tuple(self.channels)}
        recipes = {"dropout": self.dropout, "init": self.init}
        return given | {name: value for name, value in recipes.items() if value is not None}
