"""A recurrent layer for padded sequences, which torch can export to ONNX at any length."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# For each layer and direction, the states after the last step.
States = list[tuple[Tensor, ...]]
_CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}
# Order of the gates of ONNX in the weights of torch: LSTM i, f, g, o and i, o, f, c; GRU r, z, n
# and z, r, h.
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}


class Recurrent(nn.Module):
    """LSTM or GRU, in one direction or both, over sequences that are padded at the end.

    The second direction starts at the last step of each sequence that is not padding, so the
    outputs of the other steps do not depend on the number of padded steps.

    Parameters
    ----------
    n_features : int
        Number of features of a step.
    n_units : int
        Number of units of each direction.
    cell : {"lstm", "gru"}, default="lstm"
        Type of the units.
    bidirectional : bool, default=True
        Whether there is a second direction, from the last step to the first.
    n_layers : int, default=1
        Number of layers.
    dropout : float, default=0.0
        Share of the outputs that are dropped between two layers.
    """

    there: nn.ModuleList
    back: nn.ModuleList
    dropout: nn.Dropout

    def __init__(
        self,
        n_features: int,
        n_units: int,
        *,
        cell: str = "lstm",
        bidirectional: bool = True,
        n_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if cell not in _CELLS:
            raise ValueError(f"cell must be one of {sorted(_CELLS)}, got {cell!r}.")
        self.cell = cell
        self.n_outputs: int = n_units * (1 + bidirectional)
        widths = [n_features] + [self.n_outputs] * (n_layers - 1)
        there = [_CELLS[cell](width, n_units, batch_first=True) for width in widths]
        back = [_CELLS[cell](width, n_units, batch_first=True) for width in widths * bidirectional]
        # The layers in both directions; `back` is empty for one direction.
        self.there, self.back = nn.ModuleList(there), nn.ModuleList(back)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return the outputs of the last layer.

        Parameters
        ----------
        steps : Tensor of shape (B, n_steps, n_features)
            Padded sequences.
        mask : Tensor of bool of shape (B, n_steps)
            True where a step is not padding.

        Returns
        -------
        Tensor of shape (B, n_steps, n_outputs)
            The outputs of both directions.
        """
        order = _reversed_order(mask)[:, :, None]
        for place, there in enumerate(self.there):
            if place:
                steps = self.dropout(steps)
            outputs = self._run(there, steps)
            if len(self.back):
                turned = steps.gather(1, order.expand(-1, -1, steps.shape[2]))
                found = self._run(self.back[place], turned)
                found = found.gather(1, order.expand(-1, -1, found.shape[2]))
                outputs = torch.cat([outputs, found], dim=-1)
            steps = outputs
        return steps

    def advance(self, steps: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Return the outputs for further steps, and the new states; only for one direction.

        Parameters
        ----------
        steps : Tensor of shape (B, n_steps, n_features)
            The next steps, without padding.
        states : list of tuple of Tensor, or None
            States after the steps before. None: these are the first steps.

        Returns
        -------
        outputs : Tensor of shape (B, n_steps, n_outputs)
            The outputs.
        states : list of tuple of Tensor
            The states after the last step.
        """
        after: States = []
        for place, layer in enumerate(self.there):
            before = None
            if states is not None:
                before = states[place] if self.cell == "lstm" else states[place][0]
            steps, state = layer(steps, before)
            after.append(state if self.cell == "lstm" else (state,))
        return steps, after

    def _run(self, layer: nn.Module, steps: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            assert isinstance(layer, nn.LSTM | nn.GRU)
            return _as_onnx(layer, self.cell, steps)
        return layer(steps)[0]


def _reversed_order(mask: Tensor) -> Tensor:
    """Return the indices that reverse each sequence and leave its padding in place."""
    steps = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - steps, steps)


def _as_onnx(layer: nn.LSTM | nn.GRU, cell: str, steps: Tensor) -> Tensor:
    """Return the outputs as an operator of ONNX; torch's own operator has a fixed length."""

    def arrange(values: Tensor | nn.Module) -> Tensor:
        assert isinstance(values, Tensor)
        gates = values.reshape(len(_GATES[cell]), layer.hidden_size, -1)
        return torch.cat([gates[gate] for gate in _GATES[cell]]).unsqueeze(0)

    biases = torch.cat(
        [arrange(layer.bias_ih_l0).squeeze(-1), arrange(layer.bias_hh_l0).squeeze(-1)], dim=1
    )
    attributes: dict[str, Any] = {"hidden_size": layer.hidden_size}
    if cell == "gru":
        attributes["linear_before_reset"] = 1  # as torch does
    outputs = torch.onnx.ops.symbolic(
        cell.upper(),
        (steps.transpose(0, 1), arrange(layer.weight_ih_l0), arrange(layer.weight_hh_l0), biases),
        attributes,
        dtype=torch.float32,
        shape=(steps.shape[1], 1, steps.shape[0], layer.hidden_size),
        version=14,
    )
    return outputs.squeeze(1).transpose(0, 1)
