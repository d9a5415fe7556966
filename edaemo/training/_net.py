"""skorch nets and their training: input, losses and interruption."""

from __future__ import annotations

import dis
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, Self

import torch
from skorch.exceptions import SkorchException
from skorch.utils import to_device, to_tensor
from torch import Tensor, nn

from edaemo._torch import TrainingError
from edaemo.networks import needed_blocks, takes_blocks, takes_mask
from edaemo.training._batches import Batch, Blocks, Sequences, Trials, cut_rows
from edaemo.training._checkpoint import Checkpoint
from edaemo.training._losses import Outputs, prediction_of
from edaemo.training._skorch import Callback, NeuralNet, NeuralNetClassifier, NeuralNetRegressor


class FiniteLoss(Callback):
    """Callback that raises a TrainingError if the training loss is not finite."""

    def on_batch_end(
        self, net: NeuralNet, batch: object = None, training: bool = False, **kwargs: object
    ) -> None:
        """Check the loss of the batch.

        Parameters
        ----------
        net : NeuralNet
            The net.
        batch : object
            Not used.
        training : bool
            Whether it is a training batch.
        **kwargs : object
            Not used.
        """
        loss = net.history[-1, "batches", -1, "train_loss"] if training else 0.0
        if not math.isfinite(loss):
            raise TrainingError(
                f"The training loss became {loss} in epoch {len(net.history)}: lower lr, clip the "
                "gradients, or standardise the columns if they are large."
            )


class Feed(NamedTuple):
    """Description of the input of a network's ``forward``.

    Parameters
    ----------
    by_name : bool
        Whether ``forward`` takes each named block as an argument. If False, it takes all blocks
        joined.
    with_mask : bool
        Whether ``forward`` takes the mask of sequences.
    shapes : mapping from str to tuple of int
        The named blocks of a row, in order.
    """

    by_name: bool
    with_mask: bool
    shapes: Blocks

    @classmethod
    def of(cls, network: type[nn.Module], shapes: Blocks | None) -> Self:
        """Return the description for a class.

        Parameters
        ----------
        network : type
            Class of the network.
        shapes : mapping from str to tuple of int, or None
            The named blocks of a row, in order.

        Returns
        -------
        Feed
            The description.

        Raises
        ------
        ValueError
            If a required block is missing.
        """
        shapes = shapes or {}
        if missing := sorted(needed_blocks(network) - set(shapes)):
            raise ValueError(
                f"{network.__name__} needs the block {missing[0]!r}, but the columns hold "
                f"{sorted(shapes) or 'no named blocks'}."
            )
        return cls(takes_blocks(network), takes_mask(network), shapes)

    def __call__(
        self,
        network: nn.Module,
        X: Tensor | dict[str, Tensor],
        mask: Tensor | None = None,
        **more: Any,
    ) -> Outputs:
        """Return the network's outputs for rows, or for the named blocks of sequences."""
        if self.with_mask:
            more["mask"] = mask
        if isinstance(X, Tensor) and not self.by_name:
            return network(X, **more)
        blocks = cut_rows(X, self.shapes) if isinstance(X, Tensor) else X
        if self.by_name:
            return network(**blocks, **more)
        return network(torch.cat(list(blocks.values()), dim=-1), **more)


class OnRows(nn.Module):
    """A network that maps rows of shape (B, n_columns) to (B, n_outputs).

    Parameters
    ----------
    network : Module
        The network.
    feed : Feed
        Description of its input.
    """

    network: nn.Module
    feed: Feed

    def __init__(self, network: nn.Module, feed: Feed) -> None:
        super().__init__()
        self.network, self.feed = network, feed

    def forward(self, rows: Tensor) -> Tensor:
        """Return the prediction for rows.

        Parameters
        ----------
        rows : Tensor of shape (B, n_columns)
            The rows.

        Returns
        -------
        Tensor of shape (B, n_outputs)
            The prediction.
        """
        predicted = prediction_of(self.feed(self.network, rows))
        return predicted if predicted.ndim > 1 else predicted.unsqueeze(1)


class OnSequences(nn.Module):
    """A network that maps sequences of the same length to (B, n_steps) or (B, n_steps, n_targets).

    Its arguments are the named blocks in order, each (B, n_steps, n_features).

    Parameters
    ----------
    network : Module
        The network.
    feed : Feed
        Description of its input.
    """

    network: nn.Module
    feed: Feed

    def __init__(self, network: nn.Module, feed: Feed) -> None:
        super().__init__()
        self.network, self.feed = network, feed

    def forward(self, *blocks: Tensor) -> Tensor:
        """Return the prediction for each step.

        Parameters
        ----------
        *blocks : Tensor of shape (B, n_steps, n_features)
            The named blocks, in order.

        Returns
        -------
        Tensor of shape (B, n_steps) or (B, n_steps, n_targets)
            The prediction.
        """
        named = dict(zip(self.feed.shapes, blocks, strict=True))
        mask = torch.ones_like(blocks[0][:, :, 0], dtype=torch.bool)
        predicted = prediction_of(self.feed(self.network, named, mask))
        return drop_single_target(predicted)


def drop_single_target(predicted: Tensor) -> Tensor:
    """Return predictions of shape (B, n_steps, 1) without their last axis, and others unchanged.

    Parameters
    ----------
    predicted : Tensor of shape (B, n_steps) or (B, n_steps, n_targets)
        The predictions.

    Returns
    -------
    Tensor of shape (B, n_steps) or (B, n_steps, n_targets)
        The predictions.
    """
    is_single = predicted.ndim == 3 and predicted.shape[2] == 1
    return predicted.squeeze(2) if is_single else predicted


class Net(NeuralNet):
    """A skorch net whose loss reads the network's outputs and the batch.

    Parameters
    ----------
    *args : object
        Arguments of skorch's NeuralNet.
    amp : {"bf16"} or None, default=None
        Precision of the forward pass in the operations that torch's autocast selects. Logits, loss
        and weights are in single precision.
    fuse : bool or str, default=False
        Whether to compile the network, or a mode of ``torch.compile``. Unlike skorch's `compile`,
        it does not change the names of the weights.
    shapes : mapping from str to tuple of int or None, default=None
        The named blocks of a row, for a network that takes them as separate arguments.
    **kwargs : object
        Arguments of skorch's NeuralNet.
    """

    feed_: Feed

    def __init__(
        self,
        *args: Any,
        amp: str | None = None,
        fuse: bool | str = False,
        shapes: Blocks | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.amp = amp
        self.fuse = fuse
        self.shapes = shapes

    def initialize_module(self) -> Self:
        """Make the network.

        Returns
        -------
        Net
            The net.
        """
        super().initialize_module()
        self.feed_ = Feed.of(type(self.module_), self.shapes)
        self._compile_module()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.initialized_:  # compiled code is not pickled
            self._compile_module()

    def _compile_module(self) -> None:
        if self.fuse:
            self.module_.compile(mode=None if self.fuse is True else self.fuse)

    def partial_fit(self, X: Any, y: Any = None, classes: object = None, **fit_params: Any) -> Self:
        """Train the net, from its present weights if it is initialised.

        skorch's own method treats every KeyboardInterrupt as an early stop, so it would return a
        partly trained net after Ctrl-C. This method does so only if a callback has raised it.

        Parameters
        ----------
        X : Trials, Sequences, or any input of skorch
            The training trials.
        y : object
            Targets, if X does not hold them.
        classes : object
            Not used; scikit-learn's signature has it.
        **fit_params : object
            Arguments of skorch's ``fit_loop``, such as ``epochs``.

        Returns
        -------
        Net
            The net.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted.
        """
        if not self.initialized_:
            self.initialize()
        fit_params.setdefault("_routing_method", "partial_fit")  # `fit` of skorch passes its own
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **fit_params)
        except KeyboardInterrupt as interrupt:
            if not _is_raised_by_callback(interrupt):
                raise
        self.notify("on_train_end", X=X, y=y)
        return self

    def _zero_grad_optimizer(self, set_to_none: bool | None = False) -> None:
        """Set gradients to zero and keep their memory.

        This memory is allocated when a step needs the most memory. It keeps glibc from returning
        the memory below it to the system, from which the next step would have to request it again.
        """
        super()._zero_grad_optimizer(set_to_none)

    def infer(self, x: Tensor | dict[str, Tensor] | Batch, **fit_params: Any) -> Outputs:
        """Return the network's outputs in single precision.

        Parameters
        ----------
        x : Tensor of shape (B, n_columns), dict of Tensor, or Batch
            Input of the network.
        **fit_params : object
            Further arguments of the network's ``forward``.

        Returns
        -------
        Tensor, or tuple of Tensor
            The outputs.
        """
        X, mask = (x.X, x.mask) if isinstance(x, Batch) else (x, None)
        X = to_tensor(X, device=self.device)
        with self.precision():
            outputs = self.feed_(self.module_, X, mask, **fit_params)
        if isinstance(outputs, tuple):
            return tuple(out.float() if out.is_floating_point() else out for out in outputs)
        return outputs.float()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Return the loss and the outputs of a batch, and add the gradients of the loss.

        Parameters
        ----------
        batch : Batch, or pair of (X, y)
            The batch.
        **fit_params : object
            Further arguments of the network's ``forward``.

        Returns
        -------
        dict of str to object
            ``loss`` and ``y_pred``.
        """
        self._set_training(True)
        step = self._step(batch, training=True, **fit_params)
        step["loss"].backward()
        return step

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Return the loss and the outputs of a validation batch.

        Parameters
        ----------
        batch : Batch, or pair of (X, y)
            The batch.
        **fit_params : object
            Further arguments of the network's ``forward``.

        Returns
        -------
        dict of str to object
            ``loss`` and ``y_pred``.
        """
        self._set_training(False)
        with torch.no_grad():
            return self._step(batch, training=False, **fit_params)

    def evaluation_step(self, batch: Any, training: bool = False) -> Outputs:
        """Return the outputs for a batch.

        Parameters
        ----------
        batch : Batch, or pair of (X, y)
            The batch.
        training : bool, default=False
            Whether the network is in training mode. If not, no gradients are computed.

        Returns
        -------
        Tensor, or tuple of Tensor
            The outputs.
        """
        self.check_is_fitted()
        with torch.set_grad_enabled(training):
            self._set_training(training)
            return self.infer(_as_batch(batch))

    def _step(self, batch: Any, *, training: bool, **fit_params: Any) -> dict[str, Any]:
        batch = _as_batch(batch)
        outputs = self.infer(batch, **fit_params)
        loss = self.get_loss(outputs, batch, X=batch.X, training=training)
        return {"loss": loss, "y_pred": outputs}

    def get_loss(
        self, y_pred: Outputs, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Return the loss of outputs.

        Parameters
        ----------
        y_pred : Tensor, or tuple of Tensor
            Outputs of the network.
        y_true : Batch, or Tensor of shape (B,)
            The whole batch, or only its targets.
        X : Tensor or dict of Tensor
            Input of the network. Not used if `y_true` is a Batch.
        training : bool
            Passed by skorch; not used.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """
        if not isinstance(y_true, Batch):
            y_true = Batch(X, to_device(to_tensor(y_true, self.device), self.device))
        return self.criterion_(y_pred, y_true)

    def made_of(self) -> tuple[Any, ...]:
        """Return the class of the network, and the text of its arguments and blocks.

        Returns
        -------
        module : type
            Class of the network.
        text : str
            Its arguments and blocks.
        """
        arguments = sorted(self.get_params_for("module").items())
        return self.module, repr((arguments, self.shapes))

    def precision(self) -> AbstractContextManager[Any]:
        """Return the autocast context of the forward pass.

        Returns
        -------
        context manager
            The context.
        """
        kind = torch.device(self.device).type
        lower = self.amp == "bf16"
        if not lower and not torch.is_autocast_enabled(kind):
            return nullcontext()
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=lower)


def _as_batch(batch: Any) -> Batch:
    """Return an item of skorch's iterator as a Batch; a user's iterator yields pairs."""
    return batch if isinstance(batch, Batch) else Batch(*batch)


class ClassifierNet(Net, NeuralNetClassifier):
    """A net that skorch treats as a classifier; ``predict`` returns the codes of the classes."""


class RegressorNet(Net, NeuralNetRegressor):
    """A net that skorch treats as a regressor."""


def train(
    net: NeuralNet,
    trials: Trials | Sequences,
    checkpoint: Checkpoint | None = None,
    *,
    epochs: int | None = None,
) -> None:
    """Initialise the net and train it, or continue from the checkpoint if there is one.

    Parameters
    ----------
    net : NeuralNet
        The net.
    trials : Trials or Sequences
        The training trials.
    checkpoint : Checkpoint or None, default=None
        The checkpoint; None: none is written.
    epochs : int or None, default=None
        Number of epochs in which a net that is initialised is trained further, without a
        checkpoint. None: a new training.

    Raises
    ------
    ValueError
        If a callback monitors a validation score and no trials are held out.
    """
    with in_memory(net.batch_size), _explained_monitors(net):
        if epochs is not None:
            net.partial_fit(trials, y=None, epochs=epochs)
        elif checkpoint is None:
            net.fit(trials, y=None)
        else:
            remaining = checkpoint.begin(net)
            net.partial_fit(trials, y=None, epochs=remaining)


@contextmanager
def _explained_monitors(net: NeuralNet) -> Iterator[None]:
    """Raise an error with advice if a callback monitors a validation score that there is not."""
    try:
        yield
    except (KeyError, ValueError, SkorchException) as error:
        text = str(error.args[0]) if error.args else ""
        if (
            net.train_split is not None
            or "valid_" not in text
            or "not found in history" not in text
        ):
            raise
        raise ValueError(
            "A callback, such as EarlyStopping, monitors the score of validation trials, but no "
            f"trials are set aside ({text}): set validation_fraction, pass validation=, or let the "
            "callback monitor 'train_loss'."
        ) from error


@contextmanager
def in_memory(n_rows: int) -> Iterator[None]:
    """Raise a TrainingError with advice if memory runs out with `n_rows` trials at once.

    Parameters
    ----------
    n_rows : int
        Number of trials at once, for the message.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU, torch raises an ordinary RuntimeError.
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"Out of memory with {n_rows} trials at once: lower batch_size, channels or n_times."
        ) from error


def _is_raised_by_callback(interrupt: KeyboardInterrupt) -> bool:
    """Return whether a callback has raised the interrupt itself, to stop training early.

    skorch's EarlyStopping does so. Any other interrupt, from Ctrl-C, another signal or another
    thread, is raised between two instructions of some code, which is not a ``raise`` statement of a
    callback.
    """
    place = interrupt.__traceback__
    assert place is not None  # it was raised
    while place.tb_next is not None:
        place = place.tb_next
    code = place.tb_frame.f_code
    if not code.co_argcount or code.co_code[place.tb_lasti] != dis.opmap["RAISE_VARARGS"]:
        return False
    return isinstance(place.tb_frame.f_locals.get(code.co_varnames[0]), Callback)
