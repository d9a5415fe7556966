"""Modalities that a trial can lack: NaN in the block of a modality marks its absence.

Shapes: B trials, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


def find_present(names: Sequence[str], blocks: Mapping[str, Tensor], *, drop: float) -> Tensor:
    """Return which modalities each trial has, (B, M).

    Parameters
    ----------
    names : sequence of str
        The modalities of the network.
    blocks : mapping from str to Tensor of shape (B, ...)
        Those that are passed. NaN marks a trial that lacks the modality.
    drop : float
        Probability that a present modality of a trial is left out. A trial keeps at least one.

    Raises
    ------
    TypeError
        If a block is not a modality of the network.
    """
    if unknown := sorted(set(blocks) - set(names)):
        raise TypeError(f"The network has the modalities {tuple(names)}, got {unknown[0]!r}.")
    first = next(iter(blocks.values()))
    absent = torch.zeros(len(first), dtype=torch.bool, device=first.device)
    present = torch.stack(
        [
            ~blocks[name].flatten(1).isnan().any(dim=1) if name in blocks else absent
            for name in names
        ],
        dim=1,
    )
    if drop:
        draw = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
        kept = (draw >= drop) | (draw == draw.amax(dim=1, keepdim=True))
        present = present & kept
    return present


def embed_present(
    embed: nn.Module, block: Tensor, present: Tensor, shape: tuple[int, ...]
) -> Tensor:
    """Return the output of a modality's layers, `shape`; zeros where it is absent in training.

    Absent trials do not affect the batch norms in training. In evaluation, the layers receive zeros
    for them, and their output is not to be read.

    Parameters
    ----------
    embed : Module
        Layers of the modality.
    block : Tensor of shape (B, ...)
        Its input; NaN in absent trials.
    present : Tensor of bool of shape (B,)
        Which trials have the modality.
    shape : tuple of int
        Shape of the output, (B, ...).
    """
    filled = torch.where(present.reshape(-1, *[1] * (block.ndim - 1)), block, 0)
    if not embed.training or bool(present.all()):
        return embed(filled)
    if not present.any():
        return filled.new_zeros(shape)
    embedded = embed(filled[present])
    return embedded.new_zeros(shape).index_put((present.nonzero().squeeze(1),), embedded)
