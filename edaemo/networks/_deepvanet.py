"""The branch of DeepVANet for bio-signals, on which AIMSTF builds.

Zhang, Hossain, Rahman, "DeepVANet: a deep end-to-end network for multi-modal emotion recognition",
INTERACT 2021, pp. 227-237. Layers and recipe follow a description of the released code.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from edaemo.networks._declaration import Declaration, Layer, Recipe
from edaemo.networks._head import Head
from edaemo.networks._registry import register_network

# Filters and kernel of each convolution.
_LAYERS = ((24, 5), (16, 3), (8, 3))


@register_network("deepvanet")
class DeepVANetBio(nn.Module):
    """Three convolutions without padding, then three linear layers.

    Parameters
    ----------
    n_chans, n_times : int
        Number of channels, and of samples of each channel; 40 and 128 in the source (DEAP, one
        second).
    n_outputs : int
        Number of classes or of predicted numbers. The source has one output, before a sigmoid.
    dropout : float, default=0.5
        Share of the units that are dropped before the last linear layer.

    Notes
    -----
    With 40 channels of 128 samples and one output the network has the 69,305 parameters of the
    source. The source has no activation between the linear layers of 64 and of 20 units, so they
    compute one linear function; here a ReLU separates them. Signals of fewer than 9 samples, which
    the source cannot read, have shorter kernels. The face branch of DeepVANet is not included.
    """

    convolve: nn.Sequential
    shape: tuple[int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times"),
        signals=("eda",),
        features=(),
        recipes={"default": Recipe(optimizer=torch.optim.Adam, weight_decay=0.0)},
        layers={"convolve": Layer("convolve", (1,), offset=sum(k // 2 for _, k in _LAYERS))},
        on_request=True,
    )

    def __init__(self, n_chans: int, n_times: int, n_outputs: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.shape = (n_chans, n_times)
        layers: list[nn.Module] = []
        for n_filters, longest in _LAYERS:
            kernel_size = min(longest, n_times)
            layers += [
                nn.Conv1d(n_chans, n_filters, kernel_size),
                nn.BatchNorm1d(n_filters),
                nn.ReLU(),
            ]
            n_chans, n_times = n_filters, n_times - kernel_size + 1
        self.convolve = nn.Sequential(*layers)
        self.classify = Head(
            nn.Linear(n_chans * n_times, 64),
            nn.ReLU(),
            nn.Linear(64, 20),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(20, n_outputs),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        X : Tensor of shape (B, n_chans * n_times)
            Rows [EDA channel 0 | 1 | …].

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Logits.
        """
        return self.classify(self.convolve(X.unflatten(1, self.shape)).flatten(1))
