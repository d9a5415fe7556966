"""Define arguments that several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module


def positive_number(text: str) -> float:
    """Return the number of a text; raise if it is not positive and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number


class CorporaHelp(str):
    """A help text in which ``%(corpora)s`` is replaced by the names of the corpora.

    The names are read when the help is printed, so that no command imports edaemo.datasets before.
    """

    def __mod__(self, values: Mapping[str, object]) -> str:
        """Replace ``%(corpora)s`` and the fields of argparse."""
        from edaemo.datasets import CORPORA

        names = ", ".join(CORPORA)
        return super().__mod__({**values, "corpora": names})

    def __add__(self, more: str) -> CorporaHelp:
        """Append the text of argparse about the default."""
        return CorporaHelp(super().__add__(more))


def add_plugins(command: argparse.ArgumentParser, what: str) -> None:
    """Add the option --plugin, for modules that register `what`."""
    command.add_argument(
        "--plugin",
        nargs="+",
        default=[],
        metavar="MODULE",
        help=f"Python modules that register your {what}; the current folder is searched too",
    )


def import_plugins(modules: Sequence[str]) -> None:
    """Import the modules of --plugin; raise a ValueError if a module cannot be imported."""
    if modules:
        sys.path.append("")
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ValueError(f"--plugin {module}: {error}") from error
