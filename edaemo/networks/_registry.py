"""The networks that are known by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

NETWORKS: dict[str, type[nn.Module]] = {}

Network = TypeVar("Network", bound=type[nn.Module])


def register_network(name: str) -> Callable[[Network], Network]:
    """Return a decorator that makes a module's class a network that is known by a name.

    :func:`edaemo.benchmark.evaluate` and ``edaemo compare`` then have pipelines around it for each
    task that its ``declaration`` names. ``NAME-eda`` takes decomposed EDA, ``NAME-eda-music`` also
    takes the music, if the network has a block ``music``. A network of ``n_features`` takes the 128
    EDA features: ``NAME-eda``, and ``NAME-eda-person`` and ``NAME-eda-calibrated``, which
    standardise them by person. ``NAME`` takes the other blocks that the network names.

    Parameters
    ----------
    name : str
        Such as ``"rtcan"``. A class of the same module and name may be registered again, as when a
        cell of a notebook is run twice.

    Returns
    -------
    callable
        Takes the class and returns it.

    Raises
    ------
    ValueError
        If another class has the name.
    TypeError
        If the class is not a ``torch.nn.Module``.
    """

    def register(network: Network) -> Network:
        if not (isinstance(network, type) and issubclass(network, nn.Module)):
            raise TypeError(f"A network is a class of torch.nn.Module, got {network!r:.80}.")
        known = NETWORKS.get(name, network)
        if (known.__module__, known.__qualname__) != (network.__module__, network.__qualname__):
            raise ValueError(f"There is a network {name!r} already: choose another name.")
        NETWORKS[name] = network
        return network

    return register
