"""Parse the command line, call the library and print, with one module for each command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import edaemo
from edaemo.cli._compare import add_compare
from edaemo.cli._datasets import add_datasets
from edaemo.cli._decompose import add_decompose
from edaemo.cli._describe import add_describe
from edaemo.cli._output import printable_output
from edaemo.cli._predict import add_predict
from edaemo.cli._report import add_report
from edaemo.cli._reproduce import add_reproduce
from edaemo.cli._scr import add_scr


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``edaemo``.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None for the arguments of the process.

    Returns
    -------
    int
        Exit status: 0; 1 if folds of ``compare`` failed, if files of ``decompose``, ``scr`` or
        ``predict`` failed, or if ``datasets check`` found errors; 130 after Ctrl-C; 141 if the
        reader of its output has closed the pipe. The process exits with 2 after wrong arguments,
        unreadable data, or if a result cannot be written.
    """
    with printable_output():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    parser = _make_parser()
    arguments = parser.parse_args(argv)
    try:
        status = arguments.run(arguments, parser)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of standard output has closed it, as `head` does. The interpreter would
        # complain again when it flushes the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a process that the signal SIGPIPE ends
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        parser.exit(2, f"edaemo: error: {where}{error.strerror or error}\n")
    except KeyboardInterrupt:
        print(f"\nInterrupted. {arguments.interrupted}", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edaemo", description=edaemo.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=edaemo.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_compare(commands)
    add_report(commands)
    add_decompose(commands)
    add_scr(commands)
    add_predict(commands)
    add_describe(commands)
    add_reproduce(commands)
    add_datasets(commands)
    return parser
