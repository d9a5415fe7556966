"""The 3-layer convolutional network on the EDA signal, a row of Table 6 of the RTCAN-1D paper.

Al Machot, Elmachot, Ali, Al Machot, Kyamakya, "A deep-learning model for subject-independent human
emotion recognition using electrodermal activity sensors", Sensors 19 (2019), 1659.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from edaemo.networks._declaration import Declaration, Layer
from edaemo.networks._head import Head
from edaemo.networks._registry import register_network
from edaemo.networks._stack import make_stack


@register_network("machot")
class MachotCNN(nn.Module):
    """Three convolutions with pooling over the signal, then one linear layer.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels, and of samples of each channel.
    n_outputs : int
        Number of classes or of predicted numbers.
    dropout : float, default=0.5
        Share of the outputs of the convolutions that are dropped.

    Notes
    -----
    The source chose the sizes of its layers by a grid search, and the RTCAN-1D paper gives only
    their number. The sizes are our choice: kernels of 3; 32, 64 and 128 filters with batch norm,
    ReLU and max pooling by 2. The labels of the source are high above 5 on a scale of 1 to 9, for
    all people; pass ``thresholds=5`` to :func:`edaemo.benchmark.evaluate`.
    """

    convolve: nn.Sequential
    shape: tuple[int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times"),
        signals=("eda",),
        features=(),
        layers={"convolve": Layer("convolve", (2**3,))},
        on_request=True,
    )

    def __init__(self, n_chans: int, n_times: int, n_outputs: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.shape = (n_chans, n_times)
        self.convolve, n_features = make_stack(n_chans, n_times, (32, 64, 128), 3)
        self.classify = Head(nn.Dropout(dropout), nn.Linear(n_features, n_outputs))

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
