"""MuSeLSTMRegressor: emotion over time by an LSTM with self-attention."""

from __future__ import annotations

from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from edaemo._saved import saved
from edaemo._validation import as_plain
from edaemo.estimators._sequence import NetworkSequenceRegressor
from edaemo.networks import MuSeLSTM

_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
_NETWORK = (
    *("width", "attention", "n_attention_layers", "n_heads", "cell", "bidirectional", "n_layers"),
    *("attention_dropout", "recurrent_dropout", "first_output"),
)


@saved("edaemo.estimators.MuSeLSTMRegressor")
class MuSeLSTMRegressor(NetworkSequenceRegressor):
    """LSTM with self-attention that predicts valence or arousal at each step of a trial.

    This is the network of [1]_, with the sizes and the training of the code that was released with
    it. It is trained on windows of 200 steps, which overlap by half, and predicts whole trials. The
    loss is one minus the concordance correlation. The optimizer is Adam. The learning rate is
    halved if the validation loss (without trials set aside, the training loss) has not improved for
    5 epochs.
    :class:`edaemo.networks.MuSeLSTM` describes the layers. All feature sets of a trial are
    concatenated at each step. Their steps must be those of the labels, which
    :class:`edaemo.fusion.StepAligner` ensures. Each trial of y has the shape (n_steps,), or
    (n_steps, n_targets) to predict valence and arousal together.

    Parameters
    ----------
    width : int, default=64
        Number of units of the projection, of each direction of the recurrent layer and of the
        regressor.
    attention : bool, default=True
        Whether there is self-attention before the recurrent layer.
    n_attention_layers : int, default=1
        Number of self-attention layers.
    n_heads : int, default=8
        Number of heads of each self-attention layer. It must divide `width`.
    cell : {"lstm", "gru"}, default="lstm"
        Type of the recurrent units.
    bidirectional : bool, default=True
        Whether the recurrent layer has two directions.
    n_layers : int, default=1
        Number of recurrent layers.
    attention_dropout : float, default=0.0
        Share of the outputs of self-attention that are dropped.
    recurrent_dropout : float, default=0.0
        Share of the outputs that are dropped between two recurrent layers.
    first_output : float, default=0.0
        Initial value of the last bias, in units of the standardised target if `scale_target`.
    recipe : {"default", "published"}, default="default"
        Name of the training recipe. It sets every training parameter below that is None.
        "published": that of the released code, Adam with a learning rate of 0.005 in batches of
        1,024 windows for 100 epochs. "default": the same in batches of 32 windows.
    <shared parameters>

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    n_targets_ : int or None
        Number of targets of a step. None if each trial of y has the shape (n_steps,).
    target_mean_, target_scale_ : float or ndarray of shape (n_targets,)
        Mean and standard deviation of the training trials' steps; 0 and 1 without `scale_target`.
    block_means_, block_scales_ : dict
        Mean and standard deviation of each feature, by feature set. Empty without `standardize`.
    seed_losses_ : ndarray of shape (n_seeds,)
        The lowest validation loss of the network of each seed. Empty if no trials are set aside.
    sizes_ : dict
        Arguments of the network that were set from the data.
    blocks_ : dict
        Name of each feature set, and a tuple that holds its number of features.
    validation_subjects_ : ndarray
        Subjects of the trials set aside. Empty if no trials are set aside or the subjects are
        unknown.
    n_features_in_ : int
        Number of features of a step, summed over all feature sets.

    Notes
    -----
    Trials are predicted one by one, so the prediction for a trial does not depend on the other
    trials. With `attention` or `bidirectional`, a prediction depends on later steps, so
    `predict_stream` is an error.

    References
    ----------
    .. [1] L. Sun, Z. Lian, J. Tao, B. Liu, M. Niu, "Multi-modal continuous dimensional emotion
       recognition using recurrent neural network and self-attention mechanism", MuSe 2020, pp.
       27-34, doi:10.1145/3423327.3423672.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.estimators import MuSeLSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n_steps, 3)) for n_steps in (50, 80)]
    >>> y = [sequence[:, 0] for sequence in X]
    >>> model = MuSeLSTMRegressor(max_epochs=2, random_state=0).fit(X, y)
    >>> [len(series) for series in model.predict(X)]
    [50, 80]
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "recipe": [StrOptions({"default", "published"})],
        "width": [_AT_LEAST_ONE],
        "attention": ["boolean"],
        "n_attention_layers": [_AT_LEAST_ONE],
        "n_heads": [_AT_LEAST_ONE],
        "cell": [StrOptions({"lstm", "gru"})],
        "bidirectional": ["boolean"],
        "n_layers": [_AT_LEAST_ONE],
        "attention_dropout": [_SHARE],
        "recurrent_dropout": [_SHARE],
        "window": [_AT_LEAST_ONE, None],
        "first_output": [Interval(Real, None, None, closed="neither")],
    }
    network: ClassVar[type[torch.nn.Module] | None] = MuSeLSTM

    def __init__(
        self,
        *,
        width: int = 64,
        attention: bool = True,
        n_attention_layers: int = 1,
        n_heads: int = 8,
        cell: str = "lstm",
        bidirectional: bool = True,
        n_layers: int = 1,
        attention_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        first_output: float = 0.0,
        recipe: str = "default",
        columns: list[str] | None = None,
        segment: str | None = None,
        standardize: bool = True,
        scale_target: bool = True,
        loss: str | None = None,
        smoothing: int = 1,
        window: int | None = 200,
        hop: int | None = None,
        max_steps: int | None = None,
        n_seeds: int = 1,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: type[torch.optim.Optimizer] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        gradient_clip: float | None = None,
        callbacks: list[Any] | None = None,
        validation_fraction: float | None = None,
        patience: int = 15,
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
        given = {name: getattr(self, name) for name in _NETWORK}
        if self.dropout is not None:
            given["dropout"] = self.dropout
        return as_plain(given)
