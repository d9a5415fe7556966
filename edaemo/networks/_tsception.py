"""TSception, temporal and spatial convolutions at several scales, on which AIMSTF builds.

Ding, Robinson, Zhang, Zeng, Guan, "TSception: capturing temporal dynamics and spatial asymmetry
from EEG for emotion recognition", IEEE Transactions on Affective Computing 14 (2023), 2238-2250.
Layers and recipe follow a description of the released code.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from edaemo.networks._declaration import Declaration, Recipe
from edaemo.networks._head import Head
from edaemo.networks._registry import register_network

# Kernels over time, as parts of the signal: 64, 32 and 16 of the source's 512 samples.
_PARTS = (8, 16, 32)


class Scale(nn.Sequential):
    """A convolution, LeakyReLU and average pooling over time, each shortened to short signals.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input and output filters.
    kernel : tuple of two int
        Kernel over channels and time.
    length : int
        Number of samples of the input.
    pool : int
        Maximum number of samples that are averaged.
    row_stride : int, default=1
        Stride over channels.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: tuple[int, int],
        length: int,
        pool: int,
        row_stride: int = 1,
    ) -> None:
        length = length - kernel[1] + 1
        pool = min(pool, length)
        super().__init__(
            nn.Conv2d(n_in, n_out, kernel, stride=(row_stride, 1)),
            nn.LeakyReLU(),
            nn.AvgPool2d((1, pool)),
        )
        self.length = length // pool


@register_network("tsception")
class TSception(nn.Module):
    """Temporal convolutions at three scales, spatial ones at two, and their fusion.

    Parameters
    ----------
    n_chans, n_times : int
        Number of channels, and of samples of each channel; 28 and 512 in the source (DEAP, four
        seconds at 128 Hz).
    n_outputs : int
        Number of classes or of predicted numbers.
    n_filters : int, default=15
        Number of filters of each convolution.
    n_hidden : int, default=32
        Number of units of the hidden linear layer.
    dropout : float, default=0.5
        Share of the hidden units that are dropped.

    Notes
    -----
    With 28 channels of 512 samples and two outputs the network has the 12,563 parameters of the
    source, whose temporal kernels have 64, 32 and 16 samples. Here they are an eighth, a sixteenth
    and a thirty-second of the signal, because EDA has other rates. The spatial kernels of the
    source cover all channels, and each half of the head. Here the second one covers half of the
    channels, rounded down. Kernels and poolings are shorter in signals that are too short.

    The temporal scales are joined along time. No layer thus has positions in the order of time, and
    Grad-CAM is not available; use integrated gradients.
    """

    temporal: nn.ModuleList
    spatial: nn.ModuleList
    temporal_norm: nn.BatchNorm2d
    spatial_norm: nn.BatchNorm2d
    fuse: nn.Sequential
    shape: tuple[int, int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times"),
        signals=("eda",),
        features=(),
        # The source trains up to 500 epochs, with early stopping.
        recipes={"default": Recipe(optimizer=torch.optim.Adam, weight_decay=0.0)},
        on_request=True,
    )

    def __init__(
        self,
        n_chans: int,
        n_times: int,
        n_outputs: int,
        *,
        n_filters: int = 15,
        n_hidden: int = 32,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.shape = (1, n_chans, n_times)
        scales = [Scale(1, n_filters, (1, max(n_times // part, 1)), n_times, 8) for part in _PARTS]
        length = sum(scale.length for scale in scales)
        half = max(n_chans // 2, 1)
        spatial = [
            Scale(n_filters, n_filters, (height, 1), length, 2, row_stride=height)
            for height in (n_chans, half)
        ]
        fused = Scale(n_filters, n_filters, (1 + n_chans // half, 1), spatial[0].length, 4)
        self.temporal, self.spatial = nn.ModuleList(scales), nn.ModuleList(spatial)
        self.temporal_norm = nn.BatchNorm2d(n_filters)
        self.spatial_norm = nn.BatchNorm2d(n_filters)
        self.fuse = nn.Sequential(fused, nn.BatchNorm2d(n_filters))
        self.classify = Head(
            nn.Linear(n_filters, n_hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(n_hidden, n_outputs),
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
        x = X.unflatten(1, self.shape)
        x = self.temporal_norm(torch.cat([scale(x) for scale in self.temporal], dim=3))
        x = self.spatial_norm(torch.cat([scale(x) for scale in self.spatial], dim=2))
        return self.classify(self.fuse(x).mean(dim=(2, 3)))
