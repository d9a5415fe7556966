"""A 2-D convolutional network on folded signals, a row of Table 6 of the RTCAN-1D paper.

Lin, Li, Sun, "Deep convolutional neural network for emotion recognition using EEG and peripheral
physiological signal", ICIG 2017, pp. 385-394. The paper calls it Alexnet-2D, after Krizhevsky,
Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from edaemo.networks._declaration import Declaration
from edaemo.networks._folding import Fold
from edaemo.networks._head import Head, make_head
from edaemo.networks._registry import register_network

# Filters, kernel and whether max pooling follows, in the order of AlexNet.
_LAYERS = ((16, 5, True), (48, 3, True), (96, 3, False), (64, 3, False), (64, 3, True))


@register_network("alexnet2d")
class AlexNet2D(nn.Module):
    """Five 2-D convolutions over each trial as an image, then three linear layers.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels, which become the channels of the image, and of samples of each
        channel, which are folded into its rows.
    n_outputs : int
        Number of classes or of predicted numbers.
    dropout : float, default=0.5
        Share of the units that are dropped after each hidden linear layer.

    Notes
    -----
    The source fine-tunes AlexNet on images made of EEG and six peripheral signals. Here the image
    is the EDA alone, and the network is trained from random weights. Number and order of the layers
    are those of AlexNet: five convolutions, three of them with max pooling, and three linear layers
    with dropout. Their sizes are our choice: a quarter of AlexNet's filters, small kernels for
    small images, batch norm, and linear layers of 256 and 128 units.
    """

    fold: Fold
    convolve: nn.Sequential
    shape: tuple[int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times"),
        signals=("eda",),
        features=(),
        on_request=True,
    )

    def __init__(self, n_chans: int, n_times: int, n_outputs: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.shape = (n_chans, n_times)
        self.fold = Fold(n_times)
        layers: list[nn.Module] = []
        side = self.fold.side
        for n_filters, kernel_size, pool in _LAYERS:
            padding = kernel_size // 2
            layers += [
                nn.Conv2d(n_chans, n_filters, kernel_size, padding=padding, bias=False),
                nn.BatchNorm2d(n_filters),
                nn.ReLU(),
            ]
            if pool:
                layers.append(nn.MaxPool2d(3, stride=2, padding=1))
                side = -(-side // 2)
            n_chans = n_filters
        self.convolve = nn.Sequential(*layers)
        self.classify = make_head(n_chans * side**2, n_outputs, dropout=dropout)

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
        images = self.fold(X.unflatten(1, self.shape))
        return self.classify(self.convolve(images).flatten(1))
