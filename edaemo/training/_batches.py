"""Data sets of tensors, and batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset as TorchDataset

from edaemo.training._skorch import Dataset

# Name of a block, and its shape for one trial: (n_features,) or (n_chans, n_times).
Blocks = Mapping[str, tuple[int, ...]]


class Batch(tuple[Any, ...]):
    """A batch of trials; skorch sees the pair ``(X, y)``.

    Parameters
    ----------
    X : Tensor, or dict of Tensor
        See the attributes.
    y : Tensor
        See the attributes.
    **parts : object
        `mask`, `labelled`, `group`, `weight`, and the shapes of the named blocks of rows, `shapes`.

    Attributes
    ----------
    X : Tensor of shape (B, n_columns), or dict of Tensor of shape (B, n_steps, n_features)
        Rows, or the named blocks of sequences. Sequences are padded with zeros to the longest one
        in the batch.
    y : Tensor of shape (B,), (B, n_steps) or (B, n_steps, n_targets)
        Codes of the classes, or numbers. For sequences, 0 if a step is padding or has no label.
    mask : Tensor of bool of shape (B, n_steps) or None
        True where a step is not padding. None for rows, which all have the same length.
    labelled : Tensor of bool of the shape of y, or None
        True where a step has a label. The loss uses only these steps. None for rows.
    group : Tensor of int of shape (B,) or None
        Code of the subject of each trial; -1 for a subject without training trials.
    weight : Tensor of shape (B,) or None
        Weight of each trial.
    """

    X: Tensor | dict[str, Tensor]
    y: Tensor
    mask: Tensor | None
    labelled: Tensor | None
    group: Tensor | None
    weight: Tensor | None

    def __new__(cls, X: Tensor | dict[str, Tensor], y: Tensor, **parts: object) -> Self:
        return super().__new__(cls, (X, y))

    def __init__(
        self,
        X: Tensor | dict[str, Tensor],
        y: Tensor,
        *,
        mask: Tensor | None = None,
        labelled: Tensor | None = None,
        group: Tensor | None = None,
        weight: Tensor | None = None,
        shapes: Blocks | None = None,
    ) -> None:
        self.X, self.y = X, y
        self.mask, self.labelled = mask, labelled
        self.group, self.weight = group, weight
        self._shapes = shapes

    @property
    def blocks(self) -> dict[str, Tensor]:
        """The named blocks of X, each (B, n_features) or (B, n_chans, n_times).

        For sequences, each is (B, n_steps, n_features). Empty if the columns have no names.
        """
        return self.X if isinstance(self.X, dict) else cut_rows(self.X, self._shapes or {})

    def changed(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return a copy of a batch of rows, with other rows.

        Parameters
        ----------
        change : callable
            Function of the rows.

        Returns
        -------
        Batch
            The changed copy.
        """
        assert isinstance(self.X, Tensor)  # sequences are never augmented
        return Batch(
            change(self.X),
            self.y,
            mask=self.mask,
            labelled=self.labelled,
            group=self.group,
            weight=self.weight,
            shapes=self._shapes,
        )


def cut_rows(rows: Tensor, shapes: Blocks) -> dict[str, Tensor]:
    """Cut rows into named blocks.

    Parameters
    ----------
    rows : Tensor of shape (B, n_columns)
        The rows.
    shapes : mapping from str to tuple of int
        Shapes of the blocks of a row, in order.

    Returns
    -------
    dict of str to Tensor of shape (B, `*shape`)
        The blocks.
    """
    blocks, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        blocks[name] = rows[:, start:stop].reshape(len(rows), *shape)
        start = stop
    return blocks


class Trials(Dataset):
    """A data set of rows and targets as tensors on the device of the network.

    Parameters
    ----------
    X : array-like of shape (n, width)
        The rows.
    y : array-like of shape (n,) or None
        Targets. None: no targets; zeros are used instead.
    group : array-like of int of shape (n,) or None, default=None
        Code of the subject of each trial.
    weight : array-like of shape (n,) or None, default=None
        Weight of each trial.
    shapes : mapping from str to tuple of int or None, default=None
        The named blocks of a row, in order.
    n_shared : int, default=0
        Number of columns at the end of a row that hold music features. Each distinct set of music
        features is stored once, and joined with the trials of a batch.
    device : str, default="cpu"
        Device of the tensors.
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        group: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        shapes: Blocks | None = None,
        n_shared: int = 0,
        device: str = "cpu",
    ) -> None:
        rows = torch.as_tensor(np.ascontiguousarray(X))
        targets = torch.zeros(len(rows), dtype=torch.int64) if y is None else torch.as_tensor(y)
        self.y: Tensor = targets.to(device)
        self.group: Tensor | None = None if group is None else torch.as_tensor(group).to(device)
        self.weight: Tensor | None = None if weight is None else torch.as_tensor(weight).to(device)
        self.shapes = shapes
        self.songs: Tensor | None = None
        self.heard: Tensor | None = None
        if n_shared:
            rows, songs = rows.split([rows.shape[1] - n_shared, n_shared], dim=1)
            first, heard = _first_of_each(songs)
            self.songs, self.heard = songs[first].to(device), heard.to(device)
        self.signals: Tensor = rows.to(device)

    @property
    def X(self) -> Tensor:
        """All rows, for skorch."""
        return self.rows(slice(None))

    def rows(self, which: slice | Tensor) -> Tensor:
        """Return the rows of some trials, with their music features.

        Parameters
        ----------
        which : slice or Tensor of int
            The trials.

        Returns
        -------
        Tensor of shape (B, n_columns)
            The rows.
        """
        if self.songs is None or self.heard is None:
            return self.signals[which]
        return torch.cat([self.signals[which], self.songs[self.heard[which]]], dim=1)

    def batch(self, which: slice | Tensor) -> Batch:
        """Return some trials as a batch.

        Parameters
        ----------
        which : slice or Tensor of int
            The trials.

        Returns
        -------
        Batch
            The rows and their targets.
        """
        return Batch(
            self.rows(which),
            self.y[which],
            group=None if self.group is None else self.group[which],
            weight=None if self.weight is None else self.weight[which],
            shapes=self.shapes,
        )

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.rows(torch.tensor([i]))[0], self.y[i]


def _first_of_each(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index of the first copy of each distinct row, and each row's code."""
    known: dict[bytes, int] = {}
    codes = torch.tensor([known.setdefault(row.numpy().tobytes(), len(known)) for row in rows])
    first = torch.full((len(known),), len(rows)).scatter_reduce(
        0, codes, torch.arange(len(rows)), "amin"
    )
    return first, codes


class Sequences(TorchDataset[tuple[dict[str, Tensor], Tensor]]):
    """A data set of sequences of different lengths, with a series of targets for each.

    Parameters
    ----------
    X : mapping from str to sequence of n arrays of shape (n_steps, n_features)
        Named blocks. A trial has the same number of steps in all of them.
    y : sequence of n arrays of shape (n_steps,) or (n_steps, n_targets), or None, default=None
        Targets; NaN where a step has no label. None: no targets; zeros are used instead.
    group, weight : array-like of shape (n,) or None, default=None
        As for `Trials`.
    scales : mapping from str to pair of ndarray of shape (n_features,), or None, default=None
        Mean and standard deviation of the features of a block. `batch` and single items are
        standardised by them, so that no standardised copy of all sequences is in memory.
    device : str, default="cpu"
        As for `Trials`.
    """

    def __init__(
        self,
        X: Mapping[str, Sequence[np.ndarray]],
        y: Sequence[np.ndarray] | None = None,
        *,
        group: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        scales: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
        device: str = "cpu",
    ) -> None:
        self.X = {
            name: [torch.as_tensor(cell, dtype=torch.float32).to(device) for cell in cells]
            for name, cells in X.items()
        }
        self.lengths: list[int] = [len(cell) for cell in next(iter(self.X.values()))]
        series = [torch.zeros(length) for length in self.lengths] if y is None else y
        self.y: list[Tensor] = [
            torch.as_tensor(target, dtype=torch.float32).to(device) for target in series
        ]
        self.group: Tensor | None = None if group is None else torch.as_tensor(group).to(device)
        self.weight: Tensor | None = None if weight is None else torch.as_tensor(weight).to(device)
        self.scales: dict[str, tuple[Tensor, Tensor]] = {
            name: (torch.as_tensor(mean, device=device), torch.as_tensor(scale, device=device))
            for name, (mean, scale) in (scales or {}).items()
        }

    def batch(self, which: slice | Tensor) -> Batch:
        """Return some trials as a batch, padded with zeros to the longest trial.

        Parameters
        ----------
        which : slice or Tensor of int
            The trials.

        Returns
        -------
        Batch
            The padded sequences.
        """
        indices = torch.arange(len(self))[which].tolist()
        y = pad_sequence([self.y[i] for i in indices], batch_first=True)
        lengths = torch.tensor([self.lengths[i] for i in indices], device=y.device)
        mask = torch.arange(y.shape[1], device=y.device) < lengths[:, None]
        return Batch(
            {name: self._pad(name, indices, mask) for name in self.X},
            y.nan_to_num(),
            mask=mask,
            labelled=mask.reshape(*mask.shape, *[1] * (y.ndim - 2)) & ~y.isnan(),
            group=None if self.group is None else self.group[which],
            weight=None if self.weight is None else self.weight[which],
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> tuple[dict[str, Tensor], Tensor]:
        mask = torch.ones(1, self.lengths[i], dtype=torch.bool, device=self.y[i].device)
        return {name: self._pad(name, [i], mask)[0] for name in self.X}, self.y[i]

    def _pad(self, name: str, indices: list[int], mask: Tensor) -> Tensor:
        """Return a block of some trials, standardised and padded with zeros."""
        padded = pad_sequence([self.X[name][i] for i in indices], batch_first=True)
        if name not in self.scales:
            return padded
        mean, scale = self.scales[name]
        return padded.sub_(mean).div_(scale).masked_fill_(~mask[:, :, None], 0)


class Batches:
    """Iterate over batches that are sliced from the tensors, which is faster than a DataLoader.

    If the last batch has a single row, the row is added to the batch before it, because batch norm
    cannot be trained on one row.

    Parameters
    ----------
    dataset : Trials or Sequences
        The data set.
    batch_size : int
        At least 2; -1 for one batch of all trials.
    shuffle : bool, default=False
        Whether each pass has a new random order, drawn from torch's global generator.
    augment : callable or None, default=None
        Function applied to the rows of each batch.
    """

    def __init__(
        self,
        dataset: Trials | Sequences,
        batch_size: int,
        shuffle: bool = False,
        augment: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size: int = len(dataset) if batch_size < 0 else batch_size
        self.shuffle = shuffle
        self.augment = augment

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.dataset)
        order = torch.randperm(n) if self.shuffle else None
        if isinstance(self.dataset, Trials) and order is not None:
            # Drawn on the CPU, so that the order is the same on all devices.
            order = order.to(self.dataset.y.device)
        starts = self._starts()
        for start, stop in zip(starts, [*starts[1:], n], strict=True):
            which = slice(start, stop) if order is None else order[start:stop]
            batch = self.dataset.batch(which)
            yield batch if self.augment is None else batch.changed(self.augment)

    def _starts(self) -> list[int]:
        n = len(self.dataset)
        starts = list(range(0, n, self.batch_size))
        return starts[:-1] if len(starts) > 1 and n - starts[-1] == 1 else starts
