"""A residual network on signals as images, and music: a row of Table 6 of the RTCAN-1D paper.

Yin, Sun, Zhang, Yu, Li, Zhang, Zou, "User independent emotion recognition with residual
signal-image network", ICIP 2019, pp. 3277-3281, arXiv:1908.03692.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._declaration import Declaration
from edaemo.networks._folding import Fold
from edaemo.networks._head import Head, make_head
from edaemo.networks._registry import register_network


class ResidualBlock(nn.Module):
    """The basic block of ResNet (He et al., CVPR 2016): two convolutions and a shortcut.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input and output filters. If they differ, the block halves height and width.
    """

    convolve: nn.Sequential
    shortcut: nn.Module

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        stride = 1 if n_in == n_out else 2
        self.convolve = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Identity()
        if stride > 1:
            project = nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the images (B, n_out, h, w) of images (B, n_in, H, W)."""
        return F.relu(self.convolve(x) + self.shortcut(x))


@register_network("ressin")
class ResSIN(nn.Module):
    """A residual network on each trial as an image, and linear layers on its output and music.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels, which become the channels of the image, and of samples of each
        channel, which are folded into its rows.
    n_music_features : int
        Number of music features; 0 without music.
    n_outputs : int
        Number of classes or of predicted numbers.
    dropout : float, default=0.5
        Share of the units that are dropped after each hidden linear layer.

    Notes
    -----
    As in the source, cvxEDA decomposes the signal, its components become an image, a residual
    network reads the image, and the features of the music are joined with its output. The layers of
    the source are not known to us. They are our choice: the image is folded row by row, as in the
    code released with RTCAN-1D; four basic blocks of ResNet with 16, 32, 64 and 128 filters; the
    mean over the image; and linear layers of 256 and 128 units.
    """

    fold: Fold
    trunk: nn.Sequential
    shape: tuple[int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times", "n_music_features"),
        signals=("eda",),
        features=("music",),
        on_request=True,
    )

    def __init__(
        self,
        n_chans: int,
        n_times: int,
        n_music_features: int,
        n_outputs: int,
        *,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.shape = (n_chans, n_times)
        self.n_music_features = n_music_features
        self.fold = Fold(n_times)
        widths = (16, 32, 64, 128)
        self.trunk = nn.Sequential(
            nn.Conv2d(n_chans, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            *map(ResidualBlock, (widths[0], *widths), widths),
        )
        self.classify = make_head(widths[-1] + n_music_features, n_outputs, dropout=dropout)

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        X : Tensor of shape (B, n_chans * n_times + n_music_features)
            Rows [EDA channel 0 | 1 | … | music].

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Logits.
        """
        n_eda = X.shape[1] - self.n_music_features
        images = self.fold(X[:, :n_eda].unflatten(1, self.shape))
        features = self.trunk(images).mean(dim=(2, 3))
        return self.classify(torch.cat([features, X[:, n_eda:]], dim=1))
