"""Define the command ``edaemo scr``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edaemo.cli._arguments import (
    add_method,
    add_reading,
    collect_notes,
    import_plugins,
    positive_number,
    print_errors,
    print_left_out,
    read_repair,
    reading_settings,
)
from edaemo.cli._output import escape, to_csv

if TYPE_CHECKING:
    import pandas as pd

    from edaemo.decomposition import DecompositionMethod

# Beginning of the first line of a result.
HEADER = "file,trial,"
# Value of --events for the events in the recordings.
IN_RECORDING = "recording"


def add_scr(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    scr = commands.add_parser(
        "scr",
        help="write a table of skin conductance responses, for R or SPSS",
        description="Write a table of the skin conductance responses in recordings of EDA (E4, "
        "text, parquet and other files), in microsiemens. It has one row for each file; for each "
        "trial of a table with a column trial; or, with --events, for each event. The columns are "
        "those of edaemo.features.scr_table, after file and trial. A yes is 1, a no is 0, a "
        "missing value is empty.",
        epilog="Exit status: 0 if all files were analysed, 1 if some failed, 2 for wrong "
        "arguments, 130 after Ctrl-C.",
    )
    scr.set_defaults(run=_scr, interrupted="No table was written.")
    scr.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="recordings, or folders to search at any depth; their files without EDA are left out",
    )
    scr.add_argument("out", metavar="OUT.csv", help="file for the table")
    add_reading(scr)
    scr.add_argument(
        "--events",
        metavar="CSV",
        help="a CSV with one row for each event and the columns file (as given, or its path below "
        "a folder IN), onset (seconds from the first sample of the file or trial), optionally "
        "event (a name) and, for files with several trials, trial; or the word recording, for the "
        "events in the recordings: markers of XDF, BrainVision and AcqKnowledge, annotations of "
        "EDF, presses of an E4",
    )
    scr.add_argument(
        "--latency",
        nargs=2,
        type=float,
        default=[1.0, 4.0],
        metavar=("A", "B"),
        help="seconds after the event between which its response begins (default: 1 4)",
    )
    scr.add_argument(
        "--baseline",
        type=positive_number,
        default=2.0,
        metavar="S",
        help="seconds before the event that are its baseline (default: 2)",
    )
    scr.add_argument(
        "--min-amplitude",
        type=float,
        default=0.01,
        metavar="US",
        help="smallest amplitude of a response, in microsiemens (default: 0.01)",
    )
    add_method(scr, "bandpass", repair="interpolate")
    scr.add_argument(
        "--breathing",
        default="auto",
        choices=["auto", "remove", "keep"],
        help="breathing in the recordings: remove subtracts it, keep leaves it; auto (default) "
        "removes it without --events",
    )
    scr.add_argument("--overwrite", action="store_true", help="replace an earlier table")


def _scr(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.decomposition import find_decomposition

    out = Path(arguments.out)
    try:
        _check_numbers(arguments)
        import_plugins(arguments.plugin)
        method = find_decomposition(arguments.method, dict(arguments.setting))
        settings = reading_settings(arguments)
        found, left_out = _find(arguments, settings)
        events = None
        if arguments.events not in (None, IN_RECORDING):
            events = _read_events(Path(arguments.events), found)
    except (ValueError, OSError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    tables, failed = _measure_files(found, events, arguments, settings, method)
    if tables:
        try:
            _write(tables, out)
        except OSError as error:
            parser.exit(2, f"edaemo: error: {out}: cannot be written: {error}\n")
    n_done = len(found) - len(failed)
    print_left_out(left_out, sys.stdout)
    print(f"{n_done} of {len(found)} files done, {len(failed)} failed: {out}")
    if n_repaired := sum(int((table["repaired_share"] > 0).sum()) for table in tables):
        print(f"Note: {n_repaired} rows have repaired samples, see repaired_share.")
    if n_breathing := sum(int((table["breathing_height"] > 0).sum()) for table in tables):
        print(f"Note: breathing was removed from {n_breathing} rows, see breathing_height.")
    sys.stdout.flush()
    print_errors(failed, sys.stderr)
    return 1 if failed else 0


def _check_numbers(arguments: argparse.Namespace) -> None:
    """Raise a ValueError if --latency or --min-amplitude is out of its range."""
    if not 0 <= arguments.min_amplitude < float("inf"):
        raise ValueError(f"--min-amplitude must be 0 or more, got {arguments.min_amplitude:g}.")
    earliest, latest = arguments.latency
    if not 0 <= earliest < latest < float("inf"):
        raise ValueError(
            "--latency must be two times from 0 on, the earlier first, got "
            f"{earliest:g} {latest:g}."
        )


def _measure_files(
    found: Sequence[tuple[Path, Path]],
    events: dict[Path, pd.DataFrame] | None,
    arguments: argparse.Namespace,
    settings: dict[str, Any],
    method: DecompositionMethod,
) -> tuple[list[pd.DataFrame], list[tuple[Path, str]]]:
    """Return the tables of the recordings, and the path and error of each that failed."""
    from edaemo._ids import group_messages
    from edaemo._progress import progress_bar
    from edaemo.decomposition import DecompositionError

    notes: list[tuple[Path, str]] = []
    tables: list[pd.DataFrame] = []
    failed: list[tuple[Path, str]] = []
    with progress_bar(len(found), unit="file", shown=True) as bar:
        for file, _ in found:
            if events is None or file in events:
                try:
                    of_file = None if events is None else events[file]
                    table, of_table = _measure(file, of_file, arguments, settings, method)
                    tables.append(table)
                    notes += [(file, note.removeprefix(f"{file}: ")) for note in of_table]
                except MemoryError:
                    failed.append((file, "not enough memory for a recording of this length."))
                except (ValueError, DecompositionError, OSError, ImportError) as error:
                    failed.append((file, " ".join(str(error).split())))
            else:
                notes.append((file, f"{arguments.events} has no event of this file."))
            bar.update()
    for line in group_messages(notes):
        print(f"Note: {line}")
    return tables, failed


def _find(
    arguments: argparse.Namespace, settings: dict[str, Any]
) -> tuple[list[tuple[Path, Path]], dict[Path, str]]:
    """Return what `choose_recordings` does, each file once; check that OUT can be written."""
    from edaemo.datasets import choose_recordings

    out = Path(arguments.out)
    if out.is_dir():
        raise ValueError(f"{out} is a folder: give a file for the table.")
    if out.exists():
        if not arguments.overwrite:
            raise ValueError(f"{out} exists already. Pass --overwrite, or use another name.")
        with out.open("rb") as table:
            if table.read(len(HEADER)) != HEADER.encode():
                raise ValueError(f"{out} is not a table of edaemo scr. Use another name.")
    # Folders of recordings may hold the events and an earlier table.
    others = {Path(other).resolve() for other in (out, arguments.events or out)}
    found: dict[Path, tuple[Path, Path]] = {}
    chosen, left_out = choose_recordings(
        arguments.inputs, column=arguments.column, options=settings["options"]
    )
    for file, relative in chosen:
        if file.resolve() not in others:
            found.setdefault(file.resolve(), (file, relative))
    if not found:
        raise ValueError("the arguments IN hold no recording.")
    left_out = {file: why for file, why in left_out.items() if file.resolve() not in others}
    return list(found.values()), left_out


def _read_events(path: Path, found: Sequence[tuple[Path, Path]]) -> dict[Path, pd.DataFrame]:
    """Return the events of each recording that has any: line, onset, and event and trial."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if missing := [name for name in ("file", "onset") if name not in table.columns]:
        raise ValueError(
            f"{path}: column {missing[0]!r} is missing: it needs file and onset. Its columns are "
            f"{list(table.columns)}."
        )
    if table.empty:
        raise ValueError(f"{path}: the table has no events.")
    named: dict[str, list[Path]] = {}
    for file, relative in found:
        for name in {str(file), relative.as_posix()}:
            named.setdefault(name, []).append(file)
    files, onsets = [], []
    for line, (name, onset) in enumerate(zip(table["file"], table["onset"], strict=True), start=2):
        matches = named.get(name, [])
        if len(matches) != 1:
            raise ValueError(
                f"{path}: line {line}: {len(matches)} recordings are named {name!r}, it must be 1: "
                "write the path that is given to the command."
            )
        files.append(matches[0])
        onsets.append(_read_onset(onset, f"{path}: line {line}"))
    table = table.assign(onset=onsets, line=range(2, len(table) + 2))
    kept = [name for name in ("line", "trial", "event", "onset") if name in table.columns]
    by_file = table[kept].groupby(pd.Series(files, index=table.index), sort=False)
    return {file: rows for file, rows in by_file}


def _find_events(file: Path, settings: dict[str, Any]) -> pd.DataFrame:
    """Return the events in a recording, as `_read_events` does."""
    from edaemo.datasets import read_events

    events = read_events(file, column=settings["column"], options=settings["options"])
    if events.empty:
        raise ValueError(f"{file}: the recording has no events.")
    named = events.rename(columns={"stimulus": "event"})
    return named.assign(line=range(1, len(named) + 1))[["line", "event", "onset"]]


def _read_onset(text: str, where: str) -> float:
    try:
        onset = float(text.replace("_", "?"))  # only Python reads 1_000 as 1000
    except ValueError:
        onset = float("nan")
    if not isfinite(onset):
        raise ValueError(f"{where}: {text!r} is not an onset in seconds.")
    return onset


def _measure(
    file: Path,
    events: pd.DataFrame | None,
    arguments: argparse.Namespace,
    settings: dict[str, Any],
    method: DecompositionMethod,
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of one recording, and the notes on its file."""
    import pandas as pd

    from edaemo.datasets import read_file_trials
    from edaemo.features import scr_table

    with collect_notes() as notes:
        cells, rate = read_file_trials(file, **settings)
        if arguments.events == IN_RECORDING:
            events = _find_events(file, settings)
    trials = pd.DataFrame({"trial": list(cells)}, dtype=str)
    trials["eda"] = pd.Series(list(cells.values()), dtype=object)
    table = scr_table(
        trials,
        rate,
        method=method,
        events=None if events is None else _name_trials(events, list(cells), arguments.events),
        latency=tuple(arguments.latency),
        baseline=arguments.baseline,
        min_amplitude_us=arguments.min_amplitude,
        missing=arguments.missing,
        repair=read_repair(arguments),
        breathing=None if arguments.breathing == "keep" else arguments.breathing,
    )
    table.insert(0, "file", escape(str(file)))
    return table, notes


def _name_trials(events: pd.DataFrame, names: Sequence[str], path: str) -> pd.DataFrame:
    """Return the events with a trial of their recording; raise a ValueError if it is unknown."""
    if len(names) == 1:
        given = events.get("trial", "")
        events = events.assign(trial=given).replace({"trial": {"": names[0]}})
    elif "trial" not in events.columns:
        raise ValueError(
            f"the file has {len(names)} trials. Add a column trial to {path}, with one of the "
            f"trials {list(names)} for each event."
        )
    for line, trial in zip(events["line"], events["trial"], strict=True):
        if trial not in names:
            raise ValueError(
                f"{path}: line {line}: trial {trial!r} is not one of {list(names)}, the trials of "
                "this file."
            )
    return events


def _write(tables: Sequence[pd.DataFrame], out: Path) -> None:
    """Write the rows of all recordings; yes and no become 1 and 0."""
    import pandas as pd

    from edaemo._whole_file import whole_file

    table = pd.concat(tables, ignore_index=True)
    logical = table.select_dtypes(["bool", "boolean"]).columns
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as part:
        part.write_text(to_csv(table.astype(dict.fromkeys(logical, "Int64"))), encoding="utf-8")
