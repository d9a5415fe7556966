"""RTCANClassifier: the RTCAN-1D network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions

from edaemo._saved import saved
from edaemo._validation import as_plain
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.networks import RTCAN


@saved("edaemo.RTCANClassifier")
class RTCANClassifier(NetworkClassifier):
    """RTCAN-1D on EDA, or on EDA and music: residual network with time and channel attention.

    This is the network of [1]_, trained with cross-entropy on raw logits.
    :class:`edaemo.networks.RTCAN` describes its layers and the details that the paper does not
    specify. Training runs in a skorch net, `net_`. You can choose its optimizer, schedule and
    callbacks.

    Parameters
    ----------
    architecture : {"paper", "published"}, default="paper"
        "paper": the network that the paper describes. "published": the network in the code that
        was released with the paper. ``docs/models.md`` compares both, layer by layer.
    form : {"large-corpus", "small-corpus"}, default="large-corpus"
        "large-corpus": channel attention in the residual blocks, as the paper uses for PMEmo.
        "small-corpus": no channel attention there, as for DEAP and AMIGOS.
    sca : bool, default=True
        Whether there is channel attention before the residual blocks.
    sca_res : bool or None, default=None
        Whether there is channel attention in the residual blocks. None: `form` decides.
    rnta : bool, default=True
        Whether there is non-local attention over time.
    depth : {1, 2}, default=1
        Number of convolutions in each residual unit.
    channels : sequence of 4 int, default=(64, 64, 64, 64)
        Number of filters in each of the four residual stages.
    n_clips : int, default=3
        Number of parts of the signal. Attention over time is computed within each part.
    reduction : int, default=8
        Factor by which the hidden layers of channel attention are smaller than its input.
    last_relu : bool or None, default=None
        Whether a ReLU follows the last linear layer, as in equation 7 of the paper. None: only in
        the published architecture without music.
    recipe : str, default="default"
        Name of the training recipe. It sets every training parameter below that is None.

        - "default": AdamW. It was chosen on generated studies and on development subjects
          (``docs/models.md``).
        - "paper": SGD with a learning rate of 0.001, multiplied by 0.9 every 15 epochs, batches of
          256, initial weights from N(0, 0.01), with 0.01 as the standard deviation; section 5.1.
          The paper does not give momentum, weight decay or epochs; this recipe uses no momentum, no
          decay and 100 epochs.
        - "paper-variance": the same with 0.01 as the variance of the initial weights.
        - "published": the released code on PMEmo. SGD with momentum 0.9, a constant learning rate
          of 0.001, batches of 300, 100 epochs, and the initial weights of that code.
        - "published-deap": the same with a learning rate of 0.1, decay 0.001 and 300 epochs.
        - "published-amigos": the same with a learning rate of 0.001, decay 0.01 and 1000 epochs.
    init : {"torch", "normal", "normal-variance", "published"} or None, default=None
        Initial weights: "torch" for PyTorch's default, "normal" and "normal-variance" for normal
        weights with a standard deviation of 0.01 and 0.1, "published" for those of the released
        code. None: the recipe decides.
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
    >>> from edaemo import RTCANClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> model = RTCANClassifier(n_chans=3, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "architecture": [StrOptions({"paper", "published"})],
        "form": [StrOptions({"large-corpus", "small-corpus"})],
        "sca": ["boolean"],
        "sca_res": ["boolean", None],
        "rnta": ["boolean"],
        "depth": [Options(Integral, {1, 2})],
        "channels": ["array-like"],
        "n_clips": [Interval(Integral, 1, None, closed="left")],
        "reduction": [Interval(Integral, 1, None, closed="left")],
        "last_relu": ["boolean", None],
        "recipe": [str],
        "init": [StrOptions({"torch", "normal", "normal-variance", "published"}), None],
    }
    network: ClassVar[type[torch.nn.Module] | None] = RTCAN

    def __init__(
        self,
        *,
        architecture: str = "paper",
        form: str = "large-corpus",
        sca: bool = True,
        sca_res: bool | None = None,
        rnta: bool = True,
        depth: int = 1,
        channels: Sequence[int] = (64, 64, 64, 64),
        n_clips: int = 3,
        reduction: int = 8,
        last_relu: bool | None = None,
        recipe: str = "default",
        init: str | None = None,
        n_chans: int | None = None,
        n_times: int | None = None,
        n_music_features: int | None = None,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: type[torch.optim.Optimizer] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        weight_decay: float | None = None,
        class_weight: dict[str, Any] | str | None = None,
        label_smoothing: float | None = None,
        dropout: float | None = None,
        gradient_clip: float | None = None,
        domain_loss: bool = False,
        augmentation: dict[str, float] | None = None,
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
        if not (
            len(self.channels)
            and all(isinstance(n, Integral) and int(n) > 0 for n in self.channels)
        ):
            raise ValueError(
                f"channels must be positive numbers of filters, got {self.channels!r}."
            )
        names = ("architecture", "form", "sca", "sca_res", "rnta", "depth", "n_clips", "reduction")
        given = {name: getattr(self, name) for name in (*names, "last_relu")}
        given["channels"] = tuple(self.channels)
        recipes = {"dropout": self.dropout, "init": self.init}
        given |= {name: value for name, value in recipes.items() if value is not None}
        return as_plain(given)
