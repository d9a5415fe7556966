"""Signals as images: each channel is folded into rows of equal length."""

from __future__ import annotations

from math import ceil, sqrt

from torch import Tensor, nn
from torch.nn import functional as F


class Fold(nn.Module):
    """Fold each channel of a signal into a square image, row by row.

    Parameters
    ----------
    n_times : int
        Number of samples. The image has ceil(sqrt(n_times)) rows; zeros fill the rest of it.
    """

    side: int
    n_padding: int

    def __init__(self, n_times: int) -> None:
        super().__init__()
        self.side = ceil(sqrt(n_times))
        self.n_padding = self.side**2 - n_times

    def forward(self, x: Tensor) -> Tensor:
        """Return the images (B, C, side, side) of signals (B, C, n_times)."""
        return F.pad(x, (0, self.n_padding)).unflatten(2, (self.side, self.side))
