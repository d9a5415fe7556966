"""Registry of the classes that `edaemo.save` can write, and of their fitted attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

Kind = TypeVar("Kind", bound=type)


class Saved(NamedTuple):
    """A class that can be saved, and the names of its fitted attributes."""

    kind: type
    state: tuple[str, ...]


SAVED: dict[str, Saved] = {}


def saved(name: str, *state: str) -> Callable[[Kind], Kind]:
    """Return a decorator that registers the class of an estimator for `edaemo.save`.

    Parameters
    ----------
    name : str
        Name of the class in files. It must not change, or older files cannot be read.
    *state : str
        Attributes that the estimator has after `fit`, except a network. By default those in its
        class attribute ``state``.

    Returns
    -------
    callable
        Decorator of the class.
    """

    def register(kind: Kind) -> Kind:
        SAVED[name] = Saved(kind, state or getattr(kind, "state", ()))
        return kind

    return register


def name_of(kind: type) -> str | None:
    """Return the name of a class in files; None if the class is not registered."""
    return next((name for name, entry in SAVED.items() if entry.kind is kind), None)
