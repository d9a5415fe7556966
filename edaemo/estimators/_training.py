"""What every estimator around a net shares: threads, seeds, batches, interruption."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.utils.data import Dataset

from edaemo.estimators._checkpoint import Checkpoint


class TrainingError(RuntimeError):
    """Training cannot go on: the loss is no longer finite, or memory has run out."""


class FiniteLoss(Callback):
    """Stop where the training loss is no longer finite."""

    def on_batch_end(
        self, net: NeuralNet, batch: object = None, training: bool = False, **kwargs: object
    ) -> None:
        """Look at the loss of the batch."""
        loss = net.history[-1, "batches", -1, "train_loss"] if training else 0.0
        if not math.isfinite(loss):
            raise TrainingError(
                f"The training loss became {loss} in epoch {len(net.history)}: lower lr, clip the "
                "gradients, or standardise the columns if they are large."
            )


class Trials(Dataset):
    """Rows and targets as two tensors, the dataset of our nets.

    Parameters
    ----------
    X : array-like of shape (n, width)
    y : array-like of shape (n,) or None
        None where there is nothing to learn; zeros stand in for it.
    """

    def __init__(self, X: object, y: object = None) -> None:
        self.X = torch.as_tensor(X)
        self.y = torch.zeros(len(self.X), dtype=torch.int64) if y is None else torch.as_tensor(y)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.X[i], self.y[i]


class Batches:
    """Batches cut from the two tensors at once, where a DataLoader would collect row by row.

    A last batch of a single row joins the one before it: batch norm cannot learn from one row.

    Parameters
    ----------
    dataset : Trials
    batch_size : int
        At least 2; -1 for everything at once.
    shuffle : bool, default=False
        New order at each pass, from torch's global generator.
    augment : callable or None, default=None
        Changes the rows of each batch.
    """

    def __init__(
        self,
        dataset: Trials,
        batch_size: int,
        shuffle: bool = False,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = len(dataset) if batch_size < 0 else batch_size
        self.shuffle = shuffle
        self.augment = augment

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        X, y = self.dataset.X, self.dataset.y
        n = len(X)
        order = torch.randperm(n) if self.shuffle else None
        starts = self._starts()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            rows = slice(start, stop) if order is None else order[start:stop]
            yield (X[rows] if self.augment is None else self.augment(X[rows])), y[rows]

    def _starts(self) -> list[int]:
        n = len(self.dataset)
        starts = list(range(0, n, self.batch_size))
        return starts[:-1] if len(starts) > 1 and n - starts[-1] == 1 else starts


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch use so many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def torch_seed(seed: int, device: str) -> Iterator[None]:
    """Seed torch inside the block; its generators outside go on as if nothing had been drawn."""
    # manual_seed seeds every CUDA device.
    cuda = range(torch.cuda.device_count()) if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=list(cuda)):
        torch.manual_seed(seed)
        yield


def train(
    net: NeuralNet, X: np.ndarray, y: np.ndarray, checkpoint: Checkpoint | None = None
) -> None:
    """Initialise the net and train it, from the checkpoint on where there is one.

    skorch takes a KeyboardInterrupt for a callback's wish to stop early, and would hand back a
    half-trained net after Ctrl-C as if it were finished. Here Ctrl-C stays an interruption.
    """
    with _remember_interrupt() as interrupted, in_memory(net.batch_size):
        if checkpoint is None:
            net.fit(Trials(X, y), y=None)
        else:
            remaining = checkpoint.begin(net)
            net.partial_fit(Trials(X, y), y=None, epochs=remaining)
    if interrupted:
        raise KeyboardInterrupt


@contextmanager
def in_memory(n_rows: int) -> Iterator[None]:
    """Say what to do where memory does not hold `n_rows` trials at once."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch raises a RuntimeError like any other.
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"Out of memory with {n_rows} trials at once: lower batch_size, channels or n_times."
        ) from error


@contextmanager
def _remember_interrupt() -> Iterator[list[bool]]:
    """Give a list that is non-empty once SIGINT has arrived."""
    interrupted: list[bool] = []
    before = signal.getsignal(signal.SIGINT)
    # Python raises KeyboardInterrupt in the main thread alone; elsewhere there is none to mistake.
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interrupted
        return

    def note(number: int, frame: object) -> None:
        interrupted.append(True)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
