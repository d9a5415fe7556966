"""Read the events of a recording: markers, annotations, button presses, and tables of events."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edaemo._validation import suggest
from edaemo.datasets._channels import Event, choose_channel
from edaemo.datasets._corpus import DatasetError, Problems, open_archives
from edaemo.datasets._e4 import OWN_REMEDY
from edaemo.datasets._empatica import TAGS, parse_signal, read_tags, seconds_after
from edaemo.datasets._file_options import FileOptions
from edaemo.datasets._own_table import read_ids, read_own_table, read_rating_columns
from edaemo.datasets._recordings import check_file, naming, open_file

# Columns of a table of events that hold the label, the first one that is there.
LABELS = ("stimulus", "trial_type", "label", "value")
_COLUMNS = ["onset", "duration", "stimulus"]


def read_events(
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    options: FileOptions | None = None,
) -> pd.DataFrame:
    """Read the events in a recording or in a table of events.

    Parameters
    ----------
    path : path
        A recording with events: LabStreamingLayer (``.xdf``: streams of markers), EDF+ or BDF+
        (annotations; of BioSemi also the triggers of the channel ``Status``), BrainVision
        (``.vhdr``: markers), AcqKnowledge (``.acq``: event markers), EmbracePlus (``.avro``:
        button presses) or E4 (``tags.csv``, or a zip archive of the session: button presses). Or a
        table with the column ``onset``, such as ``events.tsv`` of BIDS.
    column : str or None, default=None
        Channel of the EDA in a recording, as for `read_recording`. The channels of a file may have
        different starts.
    options : FileOptions or None, default=None
        As for `read_recording`.

    Returns
    -------
    DataFrame
        A row for each event, in the order of onsets, with the columns ``onset`` (seconds from the
        first sample of the EDA, float), ``duration`` (seconds, float; 0 if not in the file) and
        ``stimulus`` (the label of the event, str; "" for button presses). Runs of spaces in labels
        are one space. In a table, the label is the column ``stimulus``, ``trial_type``, ``label``
        or ``value``.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its format has no events.

    Examples
    --------
    >>> events = read_events("P01/markers.xdf")  # doctest: +SKIP
    """
    path = Path(path)
    is_session = path.name == "EDA.csv" and path.with_name(TAGS).is_file()
    if is_session or path.name == TAGS or path.suffix.lower() == ".zip":
        events = _read_presses(path)
    elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
        events = _read_table(path)
    else:
        check_file(path)
        file = open_file(path, options or FileOptions())
        if file.read_events is None:
            raise DatasetError(
                f"{path}: files of this format have no events that can be read. Write a table with "
                "the columns onset (seconds from the first sample), duration and stimulus."
            )
        start = file.channels[choose_channel(file, path, column)[0]].start
        events = [event._replace(onset=event.onset - start) for event in file.read_events()]
    tidy = [event._replace(label=" ".join(event.label.split())) for event in events]
    return pd.DataFrame(sorted(tidy), columns=_COLUMNS).astype(
        {"onset": float, "duration": float, "stimulus": str}
    )


def _read_presses(path: Path) -> list[Event]:
    """Read the button presses of an E4: tags.csv next to EDA.csv, or both in a zip archive."""
    check_file(path)
    is_packed = path.suffix.lower() == ".zip"
    place = path if is_packed else path.parent
    problems = Problems("a session of an E4", place, "", OWN_REMEDY)
    with open_archives(place, problems) as session:
        # Folders below that of loose files hold other sessions.
        names = [name for name in session.names if is_packed or "/" not in name]
        found = [name for name in names if f"/{name}".endswith((f"/{TAGS}", "/EDA.csv"))]
        if [name.rpartition("/")[2] for name in sorted(found)] != ["EDA.csv", TAGS]:
            raise DatasetError(f"{path}: the session must hold one EDA.csv and one {TAGS}: {found}")
        eda, tags = sorted(found)
        with naming(path):
            start = parse_signal(session.read_bytes(eda)).start
        presses = seconds_after(session, tags, read_tags(session, tags), start)
    return [Event(press, 0.0, "") for press in presses]


def _read_table(path: Path) -> list[Event]:
    """Read a table of events, such as events.tsv of BIDS."""
    problems = Problems("a table of events", path, "")
    frame = read_own_table(path, ["onset"], "table of events")
    times = read_rating_columns(
        frame, [name for name in ("onset", "duration") if name in frame.columns], None, problems
    )
    for row in np.flatnonzero(np.isnan(times["onset"])):
        problems.add(f"row {row + 1} of the table has no onset. Fill it in.")
    problems.raise_all()
    durations = np.nan_to_num(times.get("duration", np.zeros(len(frame))))
    name = next((name for name in LABELS if name in frame.columns), None)
    labels = [""] * len(frame) if name is None else read_ids(frame, name, problems)
    return list(map(Event, times["onset"], durations, labels))


def add_events(
    frame: pd.DataFrame, folder: Path, settings: Mapping[str, Any], problems: Problems
) -> tuple[pd.DataFrame, int]:
    """Return a table of trials with the onset and duration of each, from files of events.

    Parameters
    ----------
    frame : DataFrame
        With the columns ``file`` and ``events``, both files. With the column ``stimulus``, each row
        is the event with this label; the rows of one label are in the order of ``trial`` if there
        is such a column, else of the table. Without it, each event is a row.
    folder : Path
        That the paths are relative to.
    settings : dict
        Arguments of `read_events`.
    problems : Problems
        Collects unreadable files, and stimuli whose numbers of rows and events differ.

    Returns
    -------
    frame : DataFrame
        With the columns ``onset``, ``duration`` and ``stimulus``, without ``events``.
    n_unused : int
        Number of events that no row of the table names.
    """
    pieces, n_unused = [], 0
    places = [read_ids(frame, name, problems) for name in ("file", "events")]
    for (file, events), rows in frame.groupby(places, sort=False):
        if not file or not events:
            continue
        try:
            found = read_events(folder / str(events), **settings)
        except DatasetError as error:
            problems.add(str(error))
            continue
        if "stimulus" not in frame.columns:
            if len(rows) > 1:
                problems.add(
                    f"{file} is the file of {len(rows)} rows: add the column stimulus, whose "
                    "values are labels of its events, or keep one row."
                )
            pieces.append(_repeat(rows.iloc[0], found))
        elif (matched := _match(rows, found, folder / str(events), problems)) is not None:
            pieces.append(matched)
            n_unused += len(found) - len(matched)
    whole = pd.concat(pieces) if pieces else frame.iloc[:0]
    return whole.sort_index(kind="stable").drop(columns="events").reset_index(drop=True), n_unused


def _repeat(row: pd.Series, found: pd.DataFrame) -> pd.DataFrame:
    """Return a row of the table for each event."""
    repeated = pd.DataFrame([row] * len(found), columns=row.index)
    return repeated.assign(**{name: found[name].to_numpy() for name in _COLUMNS})


def _match(
    rows: pd.DataFrame, found: pd.DataFrame, path: Path, problems: Problems
) -> pd.DataFrame | None:
    """Return the rows of one recording with the onsets of their events; note what differs."""
    if "trial" in rows.columns:
        rows = rows.iloc[np.argsort(pd.to_numeric(rows["trial"], errors="coerce"), kind="stable")]
    unlabelled = not found["stimulus"].astype(bool).any()
    wanted = [" ".join(str(name).split()) for name in rows["stimulus"]]
    labels = [""] * len(rows) if unlabelled else wanted
    places: list[int] = []
    for label in dict.fromkeys(labels):
        events = np.flatnonzero(found["stimulus"] == label)
        if len(events) != labels.count(label):
            problems.add(_describe(path, label, labels.count(label), found["stimulus"].to_list()))
            return None
    queues = {label: iter(np.flatnonzero(found["stimulus"] == label)) for label in {*labels}}
    places = [int(next(queues[label])) for label in labels]
    times = found.iloc[places]
    return rows.assign(onset=times["onset"].to_numpy(), duration=times["duration"].to_numpy())


def _describe(path: Path, label: str, n_rows: int, labels: Sequence[str]) -> str:
    """Return the problem of a label that has another number of events than rows."""
    what = f"{n_rows} rows of the table" + f" have the stimulus {label!r}" * bool(label)
    others = [*dict.fromkeys(filter(None, labels))]
    if label in labels or not others:
        return (
            f"{path}: {what}, but the file has {labels.count(label)} such events. Write a row for "
            "each event, or write the onsets into the table (column onset)."
        )
    return f"{path}: {what}, but no event has this label: {suggest(label, others)}"
