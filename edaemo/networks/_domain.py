"""The head that makes features independent of the subject, by gradient reversal.

Ganin and Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015, introduced the
reversal. In MAET (Jiang et al. 2023) the domains are the subjects in training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is multiplied by the negative strength."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: Tensor) -> Tensor:
        ctx.save_for_backward(strength)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (strength,) = ctx.saved_tensors
        return -strength * gradients[0], None


class DomainHead(nn.Module):
    """Predict the subject from features, and reverse the gradient that the features receive.

    The layers learn to recognise the subjects. The network before them receives the opposite
    gradient, and learns features by which the subjects cannot be recognised.

    Parameters
    ----------
    n_features : int
        Number of features, and number of hidden units.
    n_groups : int
        Number of subjects in training.

    Attributes
    ----------
    strength : Tensor
        Factor of the reversed gradient, a scalar. It is 0 until a schedule sets it.
    """

    hidden: nn.Linear
    activation: nn.GELU
    classify: nn.Linear
    strength: Tensor

    def __init__(self, n_features: int, n_groups: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features, n_features)
        self.activation = nn.GELU()
        self.classify = nn.Linear(n_features, n_groups)
        self.register_buffer("strength", torch.zeros(()), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of the subjects.

        Parameters
        ----------
        features : Tensor of shape (..., n_features)
            Features.

        Returns
        -------
        Tensor of shape (..., n_groups)
            Logits.
        """
        kept: Tensor = _Reversal.apply(features, self.strength)
        return self.classify(self.activation(self.hidden(kept)))
