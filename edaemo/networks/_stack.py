"""Convolutions over time, each followed by pooling: the trunk of plain convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def make_stack(
    n_chans: int, n_times: int, widths: Sequence[int], kernel_size: int
) -> tuple[nn.Sequential, int]:
    """Return convolutions with batch norm, ReLU and max pooling, and the number of their outputs.

    Each pooling halves the number of samples, rounded up. The kernels are odd, so the centre of
    position i is at sample i * 2 ** len(widths).
    """
    layers: list[nn.Module] = []
    for n_filters in widths:
        layers += [
            nn.Conv1d(n_chans, n_filters, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm1d(n_filters),
            nn.ReLU(),
            nn.MaxPool1d(3, stride=2, padding=1),
        ]
        n_chans, n_times = n_filters, -(-n_times // 2)
    return nn.Sequential(*layers), n_chans * n_times
