"""The command ``edaemo report``."""

from __future__ import annotations

import argparse


def add_report(commands: argparse._SubParsersAction) -> None:
    """Add it to the commands."""
    report = commands.add_parser(
        "report",
        help="write what a store of results holds as a page to look at, and tables for a paper",
        description="Write report.html (one file, no network needed), tables.md and tables.tex "
        "from a store that `edaemo compare` filled: what was compared and how, audit, scores, "
        "people, confusion, ROC, calibration, training and learning curves, pairwise tests, "
        "versions, and the commands that repeat it.",
        epilog="Exit status: 0; 2 for wrong arguments, an unusable store or a folder that cannot "
        "be written to; 130 after Ctrl-C.",
    )
    report.set_defaults(run=_report, interrupted="Nothing was written.")
    report.add_argument("store", metavar="STORE", help="the store, such as results/results.sqlite")
    report.add_argument("--out", required=True, metavar="DIR", help="folder for the three files")
    report.add_argument(
        "--person",
        nargs="+",
        default=[],
        metavar="ID",
        help="people whose ratings and thresholds are drawn (figure 3), from the study's ratings",
    )
    report.add_argument("--path", metavar="DIR", help="the corpus's original folder or zip")


def _report(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.report import write_report

    try:
        files = write_report(
            arguments.store, arguments.out, people=arguments.person, path=arguments.path
        )
    except OSError as error:
        parser.exit(2, f"edaemo: error: {error.strerror or error}\n")
    except ValueError as error:  # of the store's content, and of people
        parser.exit(2, f"edaemo: error: {error}\n")
    for file in files:
        print(file)
    return 0
