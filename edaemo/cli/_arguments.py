"""Define arguments that several commands share."""

from __future__ import annotations

import argparse
import sys
import warnings
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO


class HelpFormatter(argparse.HelpFormatter):
    """Add the default of each option to its help, if it has one and its help does not name it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, default = action.help, action.default
        if text is None or "default" in text or default == argparse.SUPPRESS:
            return text
        if default is None or default is False or default == []:
            return text
        if isinstance(default, list):
            return text + f" (default: {' '.join(map(str, default))})"
        return text + " (default: %(default)s)"


def positive_number(text: str) -> float:
    """Return the number of a text; raise if it is not positive and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number


def add_reading(command: argparse.ArgumentParser) -> None:
    """Add the options for reading recordings; see `reading_settings`."""
    group = command.add_argument_group(
        "reading", "What is not given is found by the content of each file."
    )
    group.add_argument(
        "--sampling-rate",
        type=positive_number,
        metavar="HZ",
        help="samples per second; not needed if the file contains it or has a column of times",
    )
    group.add_argument(
        "--column",
        metavar="NAME",
        help="column of the EDA (default: found by its name or unit)",
    )
    group.add_argument(
        "--unit",
        default="auto",
        metavar="UNIT",
        help="microsiemens, siemens, nanosiemens, ohm, kiloohm, megaohm or adc (default: the unit "
        "in the header, else microsiemens)",
    )
    group.add_argument(
        "--device",
        metavar="NAME",
        help="bitalino_rev, biosignalsplux or shimmer3: converts --unit adc to microsiemens",
    )
    group.add_argument(
        "--time",
        default="auto",
        metavar="NAME",
        help="column of the times; none ignores it (default: found by its name)",
    )
    group.add_argument(
        "--time-unit",
        default="auto",
        metavar="UNIT",
        help="s, ms, us, ns, min or h (default: found)",
    )
    group.add_argument(
        "--delimiter", metavar="SIGN", help="sign between columns; tab and space as words"
    )
    group.add_argument("--decimal", metavar="SIGN", help="decimal sign: . or ,")
    group.add_argument("--encoding", metavar="NAME", help="encoding of the text, such as cp1252")
    group.add_argument(
        "--skip-rows", type=int, metavar="N", help="lines before the header of the table"
    )
    group.add_argument("--sheet", metavar="NAME", help="sheet of a workbook")


def reading_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `edaemo.datasets.read_recording`; raise a ValueError if invalid."""
    from edaemo.datasets import EDA_UNITS, FileOptions

    if arguments.unit not in EDA_UNITS:
        raise ValueError(f"--unit must be one of {', '.join(EDA_UNITS)}, got {arguments.unit!r}.")
    words = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " "}
    options = FileOptions(
        time=None if arguments.time == "none" else arguments.time,
        time_unit=arguments.time_unit,
        device=arguments.device,
        delimiter=words.get(arguments.delimiter, arguments.delimiter),
        decimal=arguments.decimal,
        encoding=arguments.encoding,
        skip_rows=arguments.skip_rows,
        sheet=arguments.sheet,
    )
    return {
        "sampling_rate": arguments.sampling_rate,
        "column": arguments.column,
        "unit": arguments.unit,
        "options": options,
    }


@contextmanager
def print_notes(source: str | Path, file: TextIO) -> Iterator[None]:
    """Print each warning inside the with block once, as a note on a source."""
    with collect_notes() as notes:
        yield
    for note in notes:
        print(f"Note: {source}: " + note.removeprefix(f"{source}: "), file=file)


@contextmanager
def collect_notes() -> Iterator[list[str]]:
    """Yield a list, to which each warning inside the with block is added once at its end."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # joblib starts a process again whose memory has grown; no work is lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        yield notes
    notes += dict.fromkeys(str(warning.message) for warning in caught)


def print_errors(failed: Sequence[tuple[Path, str]], file: TextIO) -> None:
    """Print the errors of files; an error of many files once, with their number."""
    from edaemo._ids import group_messages

    pairs = [(path, message.removeprefix(f"{path}: ")) for path, message in failed]
    for line in group_messages(pairs):
        print(line, file=file)


def print_left_out(left_out: Mapping[Path, str], file: TextIO) -> None:
    """Print which files of a folder were left out because they hold no EDA, and why."""
    if left_out:
        files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
        print(f"Left out {files} without EDA:", file=file)
    for path, reason in left_out.items():
        print(f"  {path}: {reason}", file=file)


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
        help="settings of the method, such as tau0=3 for cvxeda, or window=8 for median",
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


def make_folder(out: Path) -> None:
    """Make a folder for results; raise a ValueError if no file can be written to it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out) as file:
            file.write(b"-")
            file.flush()
    except OSError as error:
        raise ValueError(
            f"{out}: cannot be written to ({error.strerror}): free some space, or pass a folder "
            "that you can write to."
        ) from error


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
    if modules and "" not in sys.path:
        sys.path.append("")
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise ValueError(f"--plugin {module}: {error}") from error
