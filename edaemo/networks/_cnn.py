"""The 3-layer CNN on hand-crafted EDA features, a baseline of the RTCAN-1D paper.

Yin, Sun, Yu, Li, Zhang, "A multimodal framework for large-scale emotion recognition by fusing music
and electrodermal activity signals", ACM TOMM 18 (2022), section 5.2.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from edaemo.networks._declaration import Declaration, Layer, Recipe
from edaemo.networks._head import Head, make_head
from edaemo.networks._registry import register_network


@register_network("cnn")
class FeatureCNN(nn.Module):
    """Three convolutions over the features as a one-channel sequence, then the head of RTCAN.

    Parameters
    ----------
    n_features : int
        Number of features of a trial, in the order of the columns.
    n_outputs : int
        Number of classes.
    n_filters : int, default=64
        Number of filters of each convolution.

    Notes
    -----
    The paper describes a "3-layer CNN" with "the same basic convolution layer" as RTCAN: kernel 3,
    64 filters, batch norm, ReLU. The paper does not specify the stride and the head. This class
    uses stride 2, as RTCAN does where it changes the length, so 128 features become 16 positions.
    The head is that of RTCAN.
    """

    convolve: nn.Sequential
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_features",),
        signals=(),
        features=(),
        # The default weight decay of AdamW, 0.01.
        recipes={"default": Recipe(weight_decay=None)},
        layers={"convolve": Layer("convolve", (2**3,))},
    )

    def __init__(self, n_features: int, n_outputs: int, *, n_filters: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in, length = 1, n_features
        for _ in range(3):
            layers += [
                nn.Conv1d(n_in, n_filters, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm1d(n_filters),
                nn.ReLU(),
            ]
            n_in, length = n_filters, -(-length // 2)
        self.convolve = nn.Sequential(*layers)
        self.classify = make_head(n_filters * length, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        X : Tensor of shape (B, n_features)
            Features.

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Logits.
        """
        return self.classify(torch.flatten(self.convolve(X.unsqueeze(1)), 1))
