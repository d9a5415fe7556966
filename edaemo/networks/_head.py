"""The classifying layers of RTCAN-1D, which the 3-layer CNN of the same paper shares."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Matrix products of fewer rows add up in another order.
FEWEST_ALIKE = 4


class Head(nn.Sequential):
    """Linear layers that in evaluation give a row the same answer in whatever batch it comes."""

    def forward(self, x: Tensor) -> Tensor:
        """Give logits of shape (B, n_outputs) for features of shape (B, n_features)."""
        if self.training or torch.compiler.is_compiling():
            return super().forward(x)
        return super().forward(F.pad(x, (0, 0, 0, max(FEWEST_ALIKE - len(x), 0))))[: len(x)]


def make_head(n_features: int, n_outputs: int, *, dropout: float = 0.0) -> Head:
    """Make three linear layers of 256, 128 and `n_outputs` units, ReLU between them.

    They give raw logits, for a cross-entropy that takes the softmax itself. With `dropout` above
    zero that share of the 256 and of the 128 units is dropped in training.
    """
    layers: list[nn.Module] = []
    for n_units in (256, 128):
        layers += [nn.Linear(n_features, n_units), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        n_features = n_units
    return Head(*layers, nn.Linear(n_features, n_outputs))
