"""The registry of fast implementations, which keeps them out of the files with the equations.

``networks/_fast`` registers them. They belong to classes and not to instances, so copied, saved,
compiled and exported modules do not contain them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn


class FastWay(NamedTuple):
    """A fast implementation of ``forward(layer, x)``, and a test of whether it applies to x."""

    fits: Callable[[Tensor], bool]
    forward: Callable[[Any, Tensor], Any]


FAST_WAYS: dict[type[nn.Module], FastWay] = {}


def fast_way(layer: type[nn.Module], x: Tensor) -> Callable[[Any, Tensor], Any] | None:
    """Return the fast implementation of a layer for x, or None.

    Parameters
    ----------
    layer : type
        Class that defines the calling `forward`. A subclass that inherits `forward` has the same
        fast implementation.
    x : Tensor
        Input of `forward`.
    """
    way = FAST_WAYS.get(layer)
    return way.forward if way is not None and way.fits(x) else None
