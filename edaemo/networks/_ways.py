"""Where faster ways through layers are registered, so that a layer's own file is its equations.

``networks/_fast`` registers them. They stand beside the classes and not in the instances, so what
is copied, saved, compiled or exported does not hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn


class FastWay(NamedTuple):
    """A function of layer and input, and whether it is for a given input."""

    fits: Callable[[Tensor], bool]
    forward: Callable[[Any, Tensor], Tensor]


FAST_WAYS: dict[type[nn.Module], FastWay] = {}


def fast_way(layer: type[nn.Module], x: Tensor) -> Callable[[Any, Tensor], Tensor] | None:
    """Return the function that does a layer's work on x faster, or None for its equations.

    Parameters
    ----------
    layer : type
        The class whose `forward` asks: a subclass without its own `forward` has the same way.
    x : Tensor
        What `forward` is given.
    """
    way = FAST_WAYS.get(layer)
    return way.forward if way is not None and way.fits(x) else None
