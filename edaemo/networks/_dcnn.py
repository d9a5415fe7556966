"""A deep convolutional network on the EDA signal, a row of Table 6 of the RTCAN-1D paper.

Santamaria-Granados, Munoz-Organero, Ramirez-Gonzalez, Abdulhay, Arunkumar, "Using deep
convolutional neural network for emotion detection on a physiological signals dataset (AMIGOS)",
IEEE Access 7 (2019), pp. 57-67.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from edaemo.networks._declaration import Declaration, Layer
from edaemo.networks._head import Head, make_head
from edaemo.networks._registry import register_network
from edaemo.networks._stack import make_stack


@register_network("dcnn")
class DCNN(nn.Module):
    """Four convolutions with pooling over the signal, then three linear layers.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels, and of samples of each channel.
    n_outputs : int
        Number of classes or of predicted numbers.
    dropout : float, default=0.5
        Share of the units that are dropped after each hidden linear layer.

    Notes
    -----
    The source has a convolutional network that extracts features of the signal, and fully connected
    layers that classify them. The number of layers and their sizes are our choice: kernels of 5;
    32, 64, 64 and 128 filters with batch norm, ReLU and max pooling by 2; and linear layers of 256
    and 128 units. The source also uses the ECG; here the signal is the EDA.
    """

    convolve: nn.Sequential
    shape: tuple[int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times"),
        signals=("eda",),
        features=(),
        layers={"convolve": Layer("convolve", (2**4,))},
        on_request=True,
    )

    def __init__(self, n_chans: int, n_times: int, n_outputs: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.shape = (n_chans, n_times)
        self.convolve, n_features = make_stack(n_chans, n_times, (32, 64, 64, 128), 5)
        self.classify = make_head(n_features, n_outputs, dropout=dropout)

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
