"""The linear layers at the end of RTCAN-1D and of the 3-layer CNN of the same paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_least_rows: ContextVar[int] = ContextVar("least_rows", default=1)


@contextmanager
def filled_up(least_rows: int) -> Iterator[None]:
    """Pad the input of heads to at least `least_rows` rows, in this context and this thread.

    A matrix product of few rows can use another order of summation than a product of many rows. The
    number of rows at which the order changes depends on the library and the processor.

    Parameters
    ----------
    least_rows : int
        Minimum number of rows.
    """
    token = _least_rows.set(least_rows)
    try:
        yield
    finally:
        _least_rows.reset(token)


class Head(nn.Sequential):
    """Linear layers that pad small batches with rows of zeros in evaluation; see `filled_up`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (B, n_features)
            Features.

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Logits.
        """
        if self.training or torch.compiler.is_compiling():
            return super().forward(x)
        missing = _least_rows.get() - len(x)
        if missing <= 0:
            return super().forward(x)
        return super().forward(F.pad(x, (0, 0, 0, missing)))[: len(x)]


def make_head(n_features: int, n_outputs: int, *, dropout: float = 0.0) -> Head:
    """Make three linear layers of 256, 128 and `n_outputs` units, ReLU between them.

    They return raw logits, for a cross-entropy that includes the softmax. If `dropout` is above
    zero, this share of the 256 and of the 128 units is dropped in training.
    """
    layers: list[nn.Module] = []
    for n_units in (256, 128):
        layers += [nn.Linear(n_features, n_units), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        n_features = n_units
    return Head(*layers, nn.Linear(n_features, n_outputs))
