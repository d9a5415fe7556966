"""LSTM with self-attention for emotion over time, and the network that fuses its predictions.

Sun, Lian, Tao, Liu, Niu, "Multi-modal continuous dimensional emotion recognition using recurrent
neural network and self-attention mechanism", MuSe 2020, pp. 27-34, doi:10.1145/3423327.3423672.
Layers, widths, heads and recipe follow a description of the code released with the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._declaration import Declaration, Recipe
from edaemo.networks._recurrent import Recurrent, States
from edaemo.networks._registry import register_network


def _watched_loss(net: Any) -> float:
    """Return the validation loss of the last epoch, or else the training loss."""
    last = net.history[-1]
    return last["valid_loss"] if "valid_loss" in last else last["train_loss"]


def _plateau(patience: int) -> Mapping[str, Any]:
    return {
        "policy": torch.optim.lr_scheduler.ReduceLROnPlateau,
        "monitor": _watched_loss,
        "factor": 0.5,
        "patience": patience,
        "min_lr": 1e-5,
    }


# That of the released code. A batch of 1,024 windows is all data of a small study.
_RECIPE = Recipe(
    optimizer=torch.optim.Adam,
    lr=5e-3,
    lr_scheduler=_plateau(5),
    weight_decay=0.0,
    batch_size=1024,
    max_epochs=100,
)


class SelfAttention(nn.Module):
    """Multi-head self-attention, a residual connection and layer norm.

    A feed-forward layer and an encoding of positions are not part of it.

    Parameters
    ----------
    width : int
        Number of features of a step.
    n_heads : int
        Number of heads. It must divide `width`.
    dropout : float, default=0.0
        Share of the attention's outputs that are dropped.
    """

    project: nn.Linear
    join: nn.Linear
    dropout: nn.Dropout
    norm: nn.LayerNorm

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % n_heads:
            raise ValueError(f"n_heads={n_heads} must divide the width {width}.")
        self.n_heads = n_heads
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.join.bias)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return the steps, each with what it attends to.

        Parameters
        ----------
        steps : Tensor of shape (B, n_steps, width)
            The sequences.
        mask : Tensor of bool of shape (B, n_steps)
            True where a step is not padding. Padding is not attended to.

        Returns
        -------
        Tensor of shape (B, n_steps, width)
            The changed steps.
        """
        n_trials, n_steps, width = steps.shape
        parts = self.project(steps).reshape(n_trials, n_steps, 3, self.n_heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, n_heads, n_steps, ·)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        found = self.join(found.transpose(1, 2).reshape(n_trials, n_steps, width))
        return self.norm(steps + self.dropout(found))


@register_network("muse")
class MuSeLSTM(nn.Module):
    """Projection, optional self-attention, recurrent layer and a regressor of two layers.

    Parameters
    ----------
    n_features : int
        Number of features of a step, over all feature sets: they are fused early, by concatenation.
    n_outputs : int
        Number of series to predict.
    width : int, default=64
        Number of units of the projection, of each direction of the recurrent layer and of the
        regressor.
    attention : bool, default=True
        Whether there is self-attention.
    n_attention_layers : int, default=1
        Number of self-attention layers.
    n_heads : int, default=8
        Number of heads of each self-attention layer.
    cell : {"lstm", "gru"}, default="lstm"
        Type of the recurrent units.
    bidirectional : bool, default=True
        Whether the recurrent layer has two directions.
    n_layers : int, default=1
        Number of recurrent layers.
    dropout : float, default=0.0
        Share of the regressor's hidden units that are dropped.
    attention_dropout, recurrent_dropout : float, default=0.0
        Share of the units dropped after attention, and between recurrent layers.
    first_output : float, default=0.0
        Initial value of the regressor's last bias.

    Notes
    -----
    With 24, 300, 324 and 389 features the network has 93,185, 110,849, 112,385 and 116,545
    parameters, as in the released code. Without a projection if `n_features` equals `width`.
    """

    project: nn.Module
    attend: nn.ModuleList
    recur: Recurrent
    regress: nn.Sequential
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("sequence-regression",),
        sizes=("n_features",),
        signals=(),
        features=(),
        recipes={"default": _RECIPE._replace(batch_size=32), "published": _RECIPE},
    )

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        *,
        width: int = 64,
        attention: bool = True,
        n_attention_layers: int = 1,
        n_heads: int = 8,
        cell: str = "lstm",
        bidirectional: bool = True,
        n_layers: int = 1,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        first_output: float = 0.0,
    ) -> None:
        super().__init__()
        self.project = nn.Identity()
        if n_features != width:
            self.project = nn.Linear(n_features, width, bias=False)
        self.attend = nn.ModuleList(
            SelfAttention(width, n_heads, attention_dropout)
            for _ in range(n_attention_layers if attention else 0)
        )
        self.recur = Recurrent(
            width,
            width,
            cell=cell,
            bidirectional=bidirectional,
            n_layers=n_layers,
            dropout=recurrent_dropout,
        )
        last = nn.Linear(width, n_outputs)
        nn.init.constant_(last.bias, first_output)
        hidden = nn.Linear(self.recur.n_outputs, width)
        self.regress = nn.Sequential(hidden, nn.ReLU(), nn.Dropout(dropout), last)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return the prediction for each step.

        Parameters
        ----------
        steps : Tensor of shape (B, n_steps, n_features)
            Padded sequences.
        mask : Tensor of bool of shape (B, n_steps)
            True where a step is not padding.

        Returns
        -------
        Tensor of shape (B, n_steps, n_outputs)
            The predictions.
        """
        steps = self.project(steps)
        for layer in self.attend:
            steps = layer(steps, mask)
        return self.regress(self.recur(steps, mask))

    def advance(self, steps: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Return the prediction for further steps of a stream, and the new states.

        Parameters
        ----------
        steps : Tensor of shape (B, n_steps, n_features)
            The next steps.
        states : list of tuple of Tensor, or None
            States after the steps before. None: these are the first steps.

        Returns
        -------
        predicted : Tensor of shape (B, n_steps, n_outputs)
            The predictions.
        states : list of tuple of Tensor
            The states after the last step.

        Raises
        ------
        ValueError
            If the network has attention or two directions: both need the steps that follow.
        """
        if len(self.attend) or len(self.recur.back):
            raise ValueError(
                "A network with attention or two directions cannot predict a stream, because each "
                "prediction depends on the steps that follow: set attention=False and "
                "bidirectional=False, or use predict on the whole sequence."
            )
        outputs, states = self.recur.advance(self.project(steps), states)
        return self.regress(outputs), states


class FusionLSTM(nn.Module):
    """Second-level recurrent network, from the predictions of several models to one prediction.

    Parameters
    ----------
    n_features : int
        Number of predictions for a step.
    n_outputs : int
        Number of series to predict.
    width : int, default=32
        Number of units of each direction.
    cell : {"lstm", "gru"}, default="lstm"
        Type of the recurrent units.
    bidirectional : bool, default=True
        Whether the recurrent layer has two directions.
    n_layers : int, default=1
        Number of recurrent layers.

    Notes
    -----
    With 5 features the network has 10,049 parameters, as in the released code.
    """

    recur: Recurrent
    regress: nn.Linear
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("sequence-regression",),
        sizes=("n_features",),
        signals=(),
        features=(),
        recipes={
            "default": Recipe(
                optimizer=torch.optim.Adam,
                lr=1e-3,
                lr_scheduler=_plateau(5),
                weight_decay=0.0,
                batch_size=64,
                max_epochs=20,
            )
        },
    )

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        *,
        width: int = 32,
        cell: str = "lstm",
        bidirectional: bool = True,
        n_layers: int = 1,
    ) -> None:
        super().__init__()
        self.recur = Recurrent(
            n_features, width, cell=cell, bidirectional=bidirectional, n_layers=n_layers
        )
        self.regress = nn.Linear(self.recur.n_outputs, n_outputs)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return the prediction for each step.

        Parameters
        ----------
        steps : Tensor of shape (B, n_steps, n_features)
            Padded sequences of predictions.
        mask : Tensor of bool of shape (B, n_steps)
            True where a step is not padding.

        Returns
        -------
        Tensor of shape (B, n_steps, n_outputs)
            The predictions.
        """
        return self.regress(self.recur(steps, mask))
