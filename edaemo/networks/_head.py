"""The classifying layers of RTCAN-1D, which the 3-layer CNN of the same paper shares."""

from __future__ import annotations

from torch import nn


def make_head(n_features: int, n_outputs: int, *, dropout: float = 0.0) -> nn.Sequential:
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
    return nn.Sequential(*layers, nn.Linear(n_features, n_outputs))
