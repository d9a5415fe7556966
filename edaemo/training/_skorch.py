"""skorch's base classes, with types."""

from __future__ import annotations

from typing import TYPE_CHECKING

# As in `edaemo._sklearn`: skorch has no annotations, so type checkers read these declarations.
if TYPE_CHECKING:
    from typing import Any, Self

    import torch
    from torch import Tensor

    from edaemo._sklearn import BaseEstimator, ClassifierMixin, RegressorMixin

    class Callback:
        """What a net calls during training; the arguments after `net` are named."""

        def initialize(self) -> Self:
            """Prepare for a new training."""

        def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something before the first epoch."""

        def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something after the last epoch."""

        def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something before an epoch."""

        def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something after an epoch."""

        def on_batch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something before a batch."""

        def on_batch_end(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something after a batch."""

        def on_grad_computed(self, net: NeuralNet, **kwargs: Any) -> None:
            """Do something after the gradients of a batch."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """Return the parameters by name."""

        def set_params(self, **params: Any) -> Self:
            """Set parameters."""

    class NeuralNet(BaseEstimator):
        """A net with its training; its parameters are attributes, of any name."""

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

        def initialize_module(self) -> Self:
            """Make the module."""

        def infer(self, x: Any, **fit_params: Any) -> Any:
            """Return the outputs of the module."""

        def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
            """Return the loss and the outputs of a batch, with gradients."""

        def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
            """Return the loss and the outputs of a batch, without gradients."""

        def evaluation_step(self, batch: Any, training: bool = False) -> Any:
            """Return the outputs of a batch."""

        def get_loss(
            self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False
        ) -> Tensor:
            """Return the loss of a batch."""

        def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None: ...

    class NeuralNetClassifier(ClassifierMixin, NeuralNet):
        """A net that is a classifier."""

    class NeuralNetRegressor(RegressorMixin, NeuralNet):
        """A net that is a regressor."""

    class Dataset(torch.utils.data.Dataset[tuple[Any, Any]]):
        """Rows and targets."""

        def __len__(self) -> int: ...

else:
    from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
    from skorch.callbacks import Callback
    from skorch.dataset import Dataset

__all__ = ["Callback", "Dataset", "NeuralNet", "NeuralNetClassifier", "NeuralNetRegressor"]
