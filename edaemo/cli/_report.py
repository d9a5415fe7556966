"""Define the command ``edaemo report``."""

from __future__ import annotations

import argparse

from edaemo.cli._arguments import add_plugins, import_plugins


def add_report(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    report = commands.add_parser(
        "report",
        help="write a web page and tables for a paper from a store of results",
        description="Write report.html (one file, no network needed), tables.md and tables.tex "
        "from a store of `edaemo compare`. They contain the findings, the methods as text, "
        "comparisons, audit, scores, people, confusion matrices, ROC, calibration, training and "
        "learning curves, pairwise tests, versions, and the commands that reproduce the results.",
        epilog="Exit status: 0; 2 for wrong arguments, an unusable store or a folder that is not "
        "writable; 130 after Ctrl-C.",
    )
    report.set_defaults(run=_report, interrupted="Nothing was written.")
    report.add_argument("store", metavar="STORE", help="store, such as results/results.sqlite")
    report.add_argument("--out", required=True, metavar="DIR", help="folder for the files")
    report.add_argument(
        "--person",
        nargs="+",
        default=[],
        metavar="ID",
        help="people whose ratings and thresholds are drawn (figure 3)",
    )
    report.add_argument(
        "--model-card", metavar="PIPELINE", help="write model-card.md of this pipeline, too"
    )
    report.add_argument(
        "--data-sheet", metavar="STUDY", help="write data-sheet.md of this study, too"
    )
    report.add_argument("--path", metavar="DIR", help="original folder or zip of the corpus")
    add_plugins(report, "studies and pipelines")


def _report(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.report import write_report

    try:
        import_plugins(arguments.plugin)
        files = write_report(
            arguments.store,
            arguments.out,
            people=arguments.person,
            path=arguments.path,
            model_card=arguments.model_card,
            data_sheet=arguments.data_sheet,
        )
    except OSError as error:
        parser.exit(2, f"edaemo: error: {error.strerror or error}\n")
    except ValueError as error:  # about the contents of the store, or about people
        parser.exit(2, f"edaemo: error: {error}\n")
    for file in files:
        print(file)
    return 0
