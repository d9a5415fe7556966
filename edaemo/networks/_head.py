"""The classifying layers of RTCAN-1D, which the 3-layer CNN of the same paper shares."""

from __future__ import annotations

from torch import nn


def make_head(n_features: int, n_outputs: int) -> nn.Sequential:
    """Make three linear layers of 256, 128 and `n_outputs` units, ReLU between them.

    They give raw logits, for a cross-entropy that takes the softmax itself.
    """
    return nn.Sequential(
        nn.Linear(n_features, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, n_outputs),
    )
