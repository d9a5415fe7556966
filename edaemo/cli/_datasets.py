"""Define the commands ``edaemo datasets list`` and ``edaemo datasets check``."""

from __future__ import annotations

import argparse
from typing import Any

from edaemo.cli._arguments import add_plugins, add_reading, import_plugins, reading_settings
from edaemo.cli._terminal import align, print_text

# The arguments that only a table of trials and its files need.
_OF_TABLES = ("ratings", "classes", "window")
_OF_FILES = (
    *("sampling_rate", "column", "unit", "device", "time", "time_unit", "delimiter", "decimal"),
    *("encoding", "skip_rows", "sheet"),
)


def add_datasets(commands: argparse._SubParsersAction) -> None:
    """Add the commands to the parser."""
    datasets = commands.add_parser(
        "datasets",
        help="list the supported corpora and their folders, or check a folder",
        description="List the supported corpora, where they are and how to get them, or check the "
        "contents of a folder.",
    )
    actions = datasets.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser(
        "list", help="list the corpora with folder, licence, citation and source"
    )
    show.set_defaults(run=_list, interrupted="Nothing was changed.")
    check = actions.add_parser(
        "check",
        help="list the contents of a folder, its errors, and the trials that are left out",
        description="List the contents of the folder or zip archive of a corpus, of E4 sessions, "
        "or of a table of trials. Also list the errors in the files, and the trials that the "
        "loader leaves out.",
        epilog="Exit status: 0; 1 if there are errors in the files; 2 for wrong arguments or an "
        "unknown folder; 130 after Ctrl-C.",
    )
    check.set_defaults(run=_check, interrupted="Nothing was changed.")
    check.add_argument("path", metavar="PATH", help="folder, zip archive, or table of trials")
    check.add_argument(
        "--study", metavar="NAME", help="name of the corpus (default: recognised by its files)"
    )
    for command in (show, check):
        add_plugins(command, "corpora")
    table = check.add_argument_group("table of trials", "As in edaemo.datasets.read_trials.")
    table.add_argument(
        "--ratings",
        nargs="+",
        metavar="NAME",
        help="columns with ratings, which are numbers (default: valence and arousal)",
    )
    table.add_argument("--classes", nargs="+", metavar="NAME", help="columns with classes")
    table.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("START", "STOP"),
        help="part of each trial in seconds; for events, from the onset",
    )
    add_reading(check)


def _list(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import CORPORA, SESSIONS, TABLE, find_places, list_places

    try:
        import_plugins(arguments.plugin)
    except ValueError as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    print("Places, in order of search:")
    places = [("path= (--path)", "if given, no other place is searched")]
    places += [(what, str(folder or "not set")) for what, folder, _ in list_places("")]
    print(align(places))
    for spec in CORPORA.values():
        found = find_places(spec)
        here = [("found in", f"{what}: {place}") for what, place in found]
        print_text(f"\n{spec.name}: {spec.title.partition(': ')[2] or spec.title}")
        print(
            align(
                [
                    *(here or [("found in", "no place")]),
                    ("loader", spec.loader),
                    ("licence", spec.licence),
                    ("cite", spec.citation),
                    ("available from", spec.how_to_get),
                ]
            )
        )
    loaders = " and ".join(format_.read.__name__ for format_ in (SESSIONS, TABLE))
    print(f"\nLoaders for your recordings: {loaders}.")
    return 0


def _check(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import TABLE, DatasetError, check_folder, find_study, recognise

    try:
        import_plugins(arguments.plugin)
        known = (
            recognise(arguments.path) if arguments.study is None else find_study(arguments.study)
        )
        for name in (*_OF_TABLES, *_OF_FILES):
            if known is not TABLE and getattr(arguments, name) not in (None, "auto"):
                why = (
                    f"the files of {known.name} contain it"
                    if name in _OF_FILES
                    else f"it is for a table of trials, and {arguments.path} is {known.name}"
                )
                raise DatasetError(f"Remove --{name.replace('_', '-')}: {why}.")
        findings = check_folder(
            known, arguments.path, _table_settings(arguments) if known is TABLE else None
        )
    except (ValueError, ImportError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    how = f"recognised by {known.like}" if arguments.study is None else "from --study"
    print_text(f"{arguments.path}: {known.name} ({how})")
    if findings.found:
        print(f"\n{align(findings.found)}")
    if findings.left_out:
        left_out = [("reason", "trials", "which"), *findings.left_out]
        print(f"\nLeft out by default:\n{align(left_out)}")
    for note in findings.notes:
        print_text(f"\nNote: {note}" if note is findings.notes[0] else f"Note: {note}")
    if findings.wrong:
        print_text(f"\nErrors:\n{findings.wrong}")
    return 1 if findings.wrong else 0


def _table_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `edaemo.datasets.read_trials`."""
    settings = reading_settings(arguments)
    settings["signals"] = {"eda": settings.pop("column")}
    settings["ratings"] = arguments.ratings
    settings["classes"] = arguments.classes or ()
    if arguments.window is not None:
        settings["window"] = tuple(arguments.window)
    return settings
