"""The classes that may be in files of `edaemo.save`, and what they know after `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

Kind = TypeVar("Kind", bound=type)


class Saved(NamedTuple):
    """A class whose parameters and fitted attributes are written out, and these attributes."""

    kind: type
    state: tuple[str, ...]


SAVED: dict[str, Saved] = {}


def saved(name: str, *state: str) -> Callable[[Kind], Kind]:
    """Register an estimator's class for files.

    Parameters
    ----------
    name : str
        What files call it; it must stay the same as long as files of it are around.
    *state : str
        Attributes that it has after `fit`, but for a net. Without any: its class attribute
        ``state``.

    Returns
    -------
    callable
        Decorates the class.
    """

    def register(kind: Kind) -> Kind:
        SAVED[name] = Saved(kind, state or getattr(kind, "state", ()))
        return kind

    return register


def name_of(kind: type) -> str | None:
    """Return the name of a class in files; None where it is not registered."""
    return next((name for name, entry in SAVED.items() if entry.kind is kind), None)
