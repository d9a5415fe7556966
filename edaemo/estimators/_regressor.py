"""NetworkRegressor: a network that predicts one number for each trial."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_y
from torch import Tensor, nn

from edaemo._saved import saved
from edaemo._sklearn import RegressorMixin
from edaemo._validation import without_gradient
from edaemo.estimators._network import Data, Loss, NetworkEstimator
from edaemo.networks import declaration_of
from edaemo.training import RegressorNet, SquaredError


@saved("edaemo.estimators.NetworkRegressor")
class NetworkRegressor(RegressorMixin, NetworkEstimator):
    """A regressor around any torch module, trained on the mean squared error.

    Parameters
    ----------
    module : type
        Class of a ``torch.nn.Module``, as for :class:`NetworkClassifier`. ``n_outputs`` is 1.
        ``forward`` returns a tensor of shape (n_trials,) or (n_trials, 1), or a tuple whose first
        item is this tensor.
    module_params : dict or None, default=None
        Further arguments of the constructor of `module`.
    recipe : str or None, default=None
        Name of a recipe that the module declares. The recipe sets every training parameter below
        that is None. None: the module's default recipe. A module that declares no recipe is trained
        with AdamW, a learning rate of 0.001, batches of 64 and 50 epochs.
    scale_target : bool, default=True
        Whether the network is trained on standardised targets: y minus its mean, divided by its
        standard deviation, both over the training trials. Predictions are always in the units of y.
    <shared parameters>

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    target_mean_, target_scale_ : float
        Mean and standard deviation of the training trials' targets; 0 and 1 without `scale_target`.
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
    On one machine, the prediction for a trial does not depend on the other trials in the batch, if
    the module treats each trial of a batch separately in evaluation.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.estimators import NetworkRegressor
    >>> from edaemo.networks import FeatureCNN
    >>> X = np.random.default_rng(0).normal(size=(20, 16))
    >>> model = NetworkRegressor(FeatureCNN, max_epochs=2, random_state=0).fit(X, X[:, 0])
    >>> model.predict(X).shape
    (20,)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "module": [type],
        "module_params": [dict, None],
        "recipe": [str, None],
        "scale_target": ["boolean"],
    }
    target_mean_: float
    target_scale_: float
    state: ClassVar[tuple[str, ...]] = ("target_mean_", "target_scale_", *NetworkEstimator.state)
    answer = "prediction"
    _net_type = RegressorNet
    _task = "regression"
    _n_outputs = 1

    def __init__(
        self,
        module: type[nn.Module],
        *,
        module_params: dict[str, Any] | None = None,
        recipe: str | None = None,
        scale_target: bool = True,
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
        gradient_clip: float | None = None,
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

    def predict(self, X: object) -> np.ndarray:
        """Return the prediction of each trial.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of float64 of shape (n_trials,)
            Predictions in the unit of y.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or the prediction for a trial is not finite, because its values
            are too large for single precision. The error names the trials.
        """
        return self._predict_rows(X).numpy().reshape(-1)

    def _answer(self, predicted: Tensor) -> Tensor:
        return predicted * self.target_scale_ + self.target_mean_

    def _read_target(self, X: object, y: object) -> np.ndarray:
        target = _check_y(without_gradient(y), y_numeric=True, estimator=self)
        check_consistent_length(X, target)
        return target.astype(np.float64)

    def _check_training(self, data: Data) -> None:
        if not data.training.any():
            raise ValueError(
                "No training trial is left: all are set aside or have a weight of zero."
            )
        scale = self.scale_target
        self.target_mean_, self.target_scale_ = target_scale(data) if scale else (0.0, 1.0)

    def _encode(self, data: Data) -> np.ndarray:
        return ((data.target - self.target_mean_) / self.target_scale_).astype(np.float32)

    def _make_loss(self, data: Data | None) -> Loss:
        return Loss(declaration_of(self._network).losses.get(self._task, SquaredError), {})


def target_scale(data: Data) -> tuple[float, float]:
    """Return the weighted mean and standard deviation of the training trials' targets.

    A standard deviation of 0 is replaced by 1.
    """
    y = data.target[data.training]
    weight = None if data.weight is None else data.weight[data.training]
    mean = np.average(y, weights=weight)
    spread = np.sqrt(np.average((y - mean) ** 2, weights=weight))
    return float(mean), float(spread) or 1.0
