"""What every estimator around a net shares: threads, seeds, batches, interruption."""

from __future__ import annotations

import math
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.utils.data import Dataset

from edaemo.estimators._checkpoint import Checkpoint

_DENORMAL = 1e-310


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


class Net(NeuralNet):
    """A skorch net that may work in lower precision, or through ``torch.compile``.

    Parameters
    ----------
    amp : {"bf16"} or None, default=None
        Precision of the forward pass where torch's autocast holds it safe; logits, loss and
        weights stay in single precision.
    fuse : bool or str, default=False
        Whether the network is compiled; a mode of ``torch.compile``. Unlike skorch's `compile` it
        leaves the names of the weights alone.
    """

    def __init__(
        self, *args: Any, amp: str | None = None, fuse: bool | str = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.amp = amp
        self.fuse = fuse

    def initialize_module(self) -> Self:
        """Make the network."""
        super().initialize_module()
        self._compile_module()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.initialized_:  # a program is not pickled
            self._compile_module()

    def _compile_module(self) -> None:
        if self.fuse:
            self.module_.compile(mode=None if self.fuse is True else self.fuse)

    def _zero_grad_optimizer(self, set_to_none: bool | None = False) -> None:
        """Set gradients to zero and keep their memory.

        It was allocated when a step needed most, and keeps glibc from returning to the system what
        lies below it, which the next step would have to ask for again.
        """
        super()._zero_grad_optimizer(set_to_none)

    def infer(self, x: torch.Tensor, **fit_params: Any) -> torch.Tensor:
        """Give logits in single precision, as training and validation ask for them."""
        with self.precision():
            logits = super().infer(x, **fit_params)
        return logits.float()

    @property
    def made_of(self) -> tuple:
        """What the network was made of: its class and, in words, its arguments."""
        return self.module, repr(sorted(self.get_params_for("module").items()))

    def precision(self) -> AbstractContextManager:
        """Return the context in which the network computes."""
        kind = torch.device(self.device).type
        lower = self.amp == "bf16"
        if not lower and not torch.is_autocast_enabled(kind):
            return nullcontext()
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=lower)


class Trials(Dataset):
    """Rows and targets as tensors, the dataset of our nets; they lie where the network computes.

    Parameters
    ----------
    X : array-like of shape (n, width)
    y : array-like of shape (n,) or None
        None where there is nothing to learn; zeros stand in for it.
    n_shared : int, default=0
        So many last columns are a song's, the same for all who heard it: each song is kept once,
        and put beside a batch's trials.
    device : str, default="cpu"
        Where the tensors lie.
    """

    def __init__(
        self, X: object, y: object = None, *, n_shared: int = 0, device: str = "cpu"
    ) -> None:
        X = torch.as_tensor(np.ascontiguousarray(X))
        y = torch.zeros(len(X), dtype=torch.int64) if y is None else torch.as_tensor(y)
        self.y = y.to(device)
        self.songs = self.heard = None
        if n_shared:
            X, songs = X.split([X.shape[1] - n_shared, n_shared], dim=1)
            first, heard = _first_of_each(songs)
            self.songs, self.heard = songs[first].to(device), heard.to(device)
        self.X = X.to(device)

    def rows(self, which: slice | torch.Tensor) -> torch.Tensor:
        """Return the rows of some trials as the network takes them."""
        if self.songs is None:
            return self.X[which]
        return torch.cat([self.X[which], self.songs[self.heard[which]]], dim=1)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.rows(torch.tensor([i]))[0], self.y[i]


def _first_of_each(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where each distinct row stands first, and for each row which of them it is."""
    known: dict[bytes, int] = {}
    same = [known.setdefault(row.numpy().tobytes(), len(known)) for row in rows]
    which = torch.tensor(same)
    first = torch.full((len(known),), len(rows)).scatter_reduce(
        0, which, torch.arange(len(rows)), "amin"
    )
    return first, which


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
        y, n = self.dataset.y, len(self.dataset)
        # On the CPU wherever the trials lie, so that the order is the same on all devices.
        order = torch.randperm(n).to(y.device) if self.shuffle else None
        starts = self._starts()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            which = slice(start, stop) if order is None else order[start:stop]
            rows = self.dataset.rows(which)
            yield (rows if self.augment is None else self.augment(rows)), y[which]

    def _starts(self) -> list[int]:
        n = len(self.dataset)
        starts = list(range(0, n, self.batch_size))
        return starts[:-1] if len(starts) > 1 and n - starts[-1] == 1 else starts


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch compute with so many threads inside the block, and as before after it.

    The numbers of threads of OpenMP and of MKL, and whether the processor takes denormal numbers
    for zero, belong to the thread that this is called in, and another library may have set one of
    them alone. Each can change the last digits of a result, so all three are set.
    """
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    # Setting again what is set slows the next operation by a tenth of a millisecond.
    if before != n_threads or _mkl_threads() not in (n_threads, None):
        torch.set_num_threads(n_threads)
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _flushes_denormals() -> bool:
    """Say whether the processor takes denormal numbers for zero in this thread."""
    return _DENORMAL * 1.0 == 0.0


def _mkl_threads() -> int | None:
    """Return MKL's number of threads in this thread; None where torch does not use MKL."""
    found = re.search(r"mkl_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info())
    return int(found[1]) if found else None


@contextmanager
def torch_deterministic(on: bool, device: str) -> Iterator[None]:
    """Let torch use deterministic algorithms alone inside the block, if `on`."""
    if not on:
        yield
        return
    if device.startswith("cuda") and "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        raise ValueError(
            "deterministic=True on CUDA needs the environment variable "
            "CUBLAS_WORKSPACE_CONFIG=:4096:8, set before Python starts."
        )
    before = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warned)


@contextmanager
def torch_seed(seed: int, device: str) -> Iterator[None]:
    """Seed torch inside the block; its generators outside go on as if nothing had been drawn."""
    # manual_seed seeds every CUDA device.
    cuda = range(torch.cuda.device_count()) if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=list(cuda)):
        torch.manual_seed(seed)
        yield


def train(net: NeuralNet, trials: Trials, checkpoint: Checkpoint | None = None) -> None:
    """Initialise the net and train it, from the checkpoint on where there is one.

    skorch takes a KeyboardInterrupt for a callback's wish to stop early, and would hand back a
    half-trained net after Ctrl-C as if it were finished. Here Ctrl-C stays an interruption.
    """
    with _remember_interrupt() as interrupted, in_memory(net.batch_size):
        if checkpoint is None:
            net.fit(trials, y=None)
        else:
            remaining = checkpoint.begin(net)
            net.partial_fit(trials, y=None, epochs=remaining)
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
