"""The command line: parses, calls the library, prints. One module for each command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import edaemo
from edaemo.cli._compare import add_compare
from edaemo.cli._datasets import add_datasets
from edaemo.cli._decompose import add_decompose
from edaemo.cli._predict import add_predict
from edaemo.cli._report import add_report
from edaemo.cli._reproduce import add_reproduce


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``edaemo``.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None for those of the process.

    Returns
    -------
    int
        Exit status: 0; 1 if some of the folds of ``compare`` or of the files given to ``decompose``
        or ``predict`` failed, or if ``datasets check`` found something wrong; 130 after Ctrl-C.
        Wrong arguments and unreadable data exit with 2.
    """
    parser = _make_parser()
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments, parser)
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
    add_predict(commands)
    add_reproduce(commands)
    add_datasets(commands)
    return parser
