"""The registry of networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from edaemo._torch import NETWORKS

Network = TypeVar("Network", bound=type[nn.Module])


def register_network(name: str) -> Callable[[Network], Network]:
    """Return a class decorator that registers a network by name.

    :func:`edaemo.benchmark.evaluate` and ``edaemo compare`` then have pipelines with this network
    for each task of its ``declaration``. The input of ``NAME-eda`` is decomposed EDA. The input of
    ``NAME-eda-music`` is EDA and music, if the network has a block ``music``. The input of ``NAME``
    is the other blocks that the network names. If ``eda`` is a block of features, it holds the 128
    EDA features. A network of ``n_features`` takes the 128 EDA features in ``NAME-eda``;
    ``NAME-eda-person`` also standardises them by subject.

    Parameters
    ----------
    name : str
        Name of the network, such as ``"rtcan"``. A class of the same module and name can be
        registered again, for example if a cell of a notebook runs twice.

    Returns
    -------
    callable
        The decorator. It returns the class unchanged.

    Raises
    ------
    ValueError
        If another class is registered under this name.
    TypeError
        If the class is not a ``torch.nn.Module``.
    """

    def register(network: Network) -> Network:
        if not (isinstance(network, type) and issubclass(network, nn.Module)):
            raise TypeError(f"A network must be a class of torch.nn.Module, got {network!r:.80}.")
        known = NETWORKS.get(name, network)
        if (known.__module__, known.__qualname__) != (network.__module__, network.__qualname__):
            raise ValueError(f"A network {name!r} is already registered: choose another name.")
        NETWORKS[name] = network
        return network

    return register
