"""Define arguments that several commands share."""

from __future__ import annotations

import argparse
import sys
from ast import literal_eval
from collections.abc import Mapping, Sequence
from importlib import import_module


def positive_number(text: str) -> float:
    """Return the number of a text; raise if it is not positive and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number


def add_reading(command: argparse.ArgumentParser) -> None:
    """Add the options --sampling-rate and --column, for reading recordings."""
    command.add_argument(
        "--sampling-rate",
        type=positive_number,
        metavar="HZ",
        help="samples per second; the EDA.csv of an E4 contains it",
    )
    command.add_argument(
        "--column",
        metavar="NAME",
        help="column of the EDA (default: eda or gsr, else the only numerical column)",
    )


def add_method(command: argparse.ArgumentParser, default: str, *, repair: str) -> None:
    """Add --method, --setting, --plugin, --missing and --repair, with the default `repair`."""
    command.add_argument(
        "--method",
        default=default,
        metavar="NAME",
        help="cvxeda, highpass, bandpass, median, smooth, or one that a --plugin registers "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--setting",
        nargs="+",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="settings of the method, such as alpha=0.001 for cvxeda, or window=8 for median",
    )
    add_plugins(command, "decompositions")
    command.add_argument(
        "--missing",
        default="raise",
        choices=["raise", "interpolate", "mask"],
        help="missing samples: raise makes the file fail (default), interpolate fills them, mask "
        "gives them no weight in the decomposition (cvxeda and other methods with masks)",
    )
    command.add_argument(
        "--repair",
        default=repair,
        choices=["none", "interpolate", "mask"],
        help="artefacts (spikes, lost contact, clipped samples): none keeps them, "
        "interpolate replaces them, mask gives them no weight in the decomposition "
        "(default: %(default)s)",
    )


def read_repair(arguments: argparse.Namespace) -> str | None:
    """Return the value of --repair for the parameter `repair`."""
    return None if arguments.repair == "none" else arguments.repair


def _setting(text: str) -> tuple[str, object]:
    """Return name and value of ``name=value``; a value that is not a Python literal is text."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE: {text!r}")
    try:
        return name, literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


class CorporaHelp(str):
    """A help text in which ``%(corpora)s`` is replaced by the names of the corpora.

    The names are read when the help is printed, so that no command imports edaemo.datasets before.
    Set it as attribute ``help`` of an action: Python 3.14's `add_argument` formats its argument.
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
