"""The commands ``edaemo datasets list`` and ``edaemo datasets check``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edaemo.cli._arguments import positive_number


def add_datasets(commands: argparse._SubParsersAction) -> None:
    """Add them to the commands."""
    datasets = commands.add_parser(
        "datasets",
        help="say which corpora are known and where they are, and check a folder",
        description="Say which corpora are known, where they are and how to get them; or what a "
        "folder holds and what is wrong with it.",
    )
    actions = datasets.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser(
        "list", help="the corpora, where each is, its licence, citation and source"
    )
    show.set_defaults(run=_list, interrupted="Nothing was changed.")
    check = actions.add_parser(
        "check",
        help="what a folder holds, what is wrong with it, and what would be left out",
        description="Say what the folder or zip archive of a corpus, sessions of an E4, or a table "
        "of trials hold, what is wrong with them, and which trials the loader leaves out.",
        epilog="Exit status: 0; 1 if something is wrong with it; 2 for wrong arguments or a folder "
        "that is not known; 130 after Ctrl-C.",
    )
    check.set_defaults(run=_check, interrupted="Nothing was changed.")
    check.add_argument("path", metavar="PATH", help="folder, zip archive, or table of trials")
    check.add_argument(
        "--study", metavar="NAME", help="which corpus it is (default: known by its files)"
    )
    check.add_argument(
        "--sampling-rate",
        type=positive_number,
        metavar="HZ",
        help="samples per second of the files that a table of trials names",
    )


def _list(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import CORPORA, SESSIONS, TABLE, find_places, list_places

    print("Places, in order:")
    places = [("path= (--path)", "as given; nothing else is looked at then")]
    places += [(what, str(folder or "not set")) for what, folder, _ in list_places("")]
    print(_format(places))
    for spec in CORPORA.values():
        found = find_places(spec)
        here = [("found in", f"{what}: {place}") for what, place in found]
        print(f"\n{spec.name}: {spec.title.partition(': ')[2] or spec.title}")
        print(
            _format(
                [
                    *(here or [("found in", "none of them")]),
                    ("loader", spec.loader),
                    ("licence", spec.licence),
                    ("cite", spec.citation),
                    ("to be had", spec.how_to_get),
                ]
            )
        )
    own = " and ".join(own.read.__name__ for own in (SESSIONS, TABLE))
    print(f"\nRecordings of your own: {own}.")
    return 0


def _check(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import TABLE, DatasetError, check_folder, find_study, recognise

    try:
        known = (
            recognise(arguments.path) if arguments.study is None else find_study(arguments.study)
        )
        if arguments.sampling_rate is not None and known is not TABLE:
            raise DatasetError(f"--sampling-rate: the files of {known.name} say it themselves.")
        findings = check_folder(known, arguments.path, arguments.sampling_rate)
    except (DatasetError, ImportError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    how = f"known by {known.like}" if arguments.study is None else "as was said"
    print(f"{arguments.path}: {known.name} ({how})")
    if findings.found:
        print(f"\n{_format(findings.found)}")
    if findings.left_out:
        print(
            f"\nLeft out by default:\n{_format([('why', 'trials', 'which'), *findings.left_out])}"
        )
    for note in findings.notes:
        print(f"\nNote: {note}" if note is findings.notes[0] else f"Note: {note}")
    if findings.wrong:
        print(f"\nWrong:\n{findings.wrong}")
    return 1 if findings.wrong else 0


def _format(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(f"  {line}" for line in lines)
