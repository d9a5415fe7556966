"""What several commands ask of their arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module


def positive_number(text: str) -> float:
    """Return the number that a text says, if it is positive and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number


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
    sys.path.insert(0, "")
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ValueError(f"--plugin {module}: {error}") from error
