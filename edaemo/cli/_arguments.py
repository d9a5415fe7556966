"""What several commands ask of their arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module


def positive_number(text: str) -> float:
    """Return the number that a text says, if it is positive and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number


class CorporaHelp(str):
    """A help text in which ``%(corpora)s`` stands for the corpora.

    They are looked up when the help is printed: until then, nothing of edaemo is imported.
    """

    def __mod__(self, values: Mapping[str, object]) -> str:
        """Fill in the corpora beside what argparse fills in."""
        from edaemo.datasets import CORPORA

        names = ", ".join(CORPORA)
        return super().__mod__({**values, "corpora": names})

    def __add__(self, more: str) -> CorporaHelp:
        """Append what argparse says of the default."""
        return CorporaHelp(super().__add__(more))


def add_plugins(command: argparse.ArgumentParser, what: str) -> None:
    """Add the option --plugin, for modules that register `what`."""
    command.add_argument(
        "--plugin",
        nargs="+",
        default=[],
        metavar="MODULE",
        help=f"Python modules, found from the present folder too, that register {what} of your own",
    )


def import_plugins(modules: Sequence[str]) -> None:
    """Import the modules of --plugin; raise a ValueError for one that cannot be imported."""
    if modules:
        sys.path.append("")
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ValueError(f"--plugin {module}: {error}") from error
