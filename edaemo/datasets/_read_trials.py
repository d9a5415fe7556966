"""Read your own studies, with one file for each trial and one table."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from edaemo._ids import group_messages, name_some
from edaemo._validation import IDENTITY
from edaemo.datasets._assemble import assemble
from edaemo.datasets._cache import Column, take_rows
from edaemo.datasets._corpus import DatasetError, Problems
from edaemo.datasets._events import add_events
from edaemo.datasets._file_options import FileOptions, RecordingWarning
from edaemo.datasets._own_table import (
    Table,
    check_rating_range,
    read_column,
    read_ids,
    read_own_table,
    read_rating_columns,
    read_whole_numbers,
)
from edaemo.datasets._recordings import read_columns
from edaemo.datasets._spans import (
    Span,
    count_overlaps,
    cut_spans,
    find_events,
    find_windows,
    number_events,
)
from edaemo.datasets._study import Study
from edaemo.datasets._units import EDA_UNITS
from edaemo.datasets._window import Window, check_window, context_of
from edaemo.decomposition import check_sampling_rate

NAME = "own study"
COLUMNS = ("subject", "stimulus", "file")
# A column that may be absent → the column that replaces it.
UNLESS = {"stimulus": "events"}
RATED = ("valence", "arousal")
HOW_TO_GET = (
    "The table needs the columns subject, stimulus and file, and one row for each trial. Each file "
    "holds one trial. docs/datasets.md has an example."
)
LICENCE = "Your own recordings: they belong to you and to the people who were recorded."
CITATION = "None: your own recordings."
DESCR = """Your own study, from one file for each trial and one table

What to know before believing a score:
- The length of a trial may identify its stimulus. Cut all trials to the same length (window=), or
  compare with the row `duration` of edaemo compare.
- If the table has no column `trial`, the order of the trials is not known, and `trial` is 0 in all
  rows.
"""


@validate_params(
    {
        "table": [str, os.PathLike, pd.DataFrame],
        "signals": [Mapping, tuple, list],
        "ratings": [tuple, list, None],
        "classes": [tuple, list],
        "sampling_rate": "no_validation",
        "rating_range": [tuple, list, None],
        "folder": [str, os.PathLike, None],
        "unit": [StrOptions({*EDA_UNITS})],
        "columns": [Mapping, None],
        "options": [FileOptions, None],
        "name": [str],
        "window": "no_validation",
        "baseline": [Interval(Real, 0, None, closed="left")],
        "length": [Interval(Real, 0, None, closed="neither"), None],
        "step": [Interval(Real, 0, None, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def read_trials(
    table: Table,
    *,
    signals: Mapping[str, str | None] | Sequence[str] = ("eda",),
    ratings: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    sampling_rate: float | None = None,
    rating_range: tuple[float, float] | None = None,
    folder: str | os.PathLike[str] | None = None,
    unit: str = "auto",
    columns: Mapping[str, str] | None = None,
    options: FileOptions | None = None,
    name: str = NAME,
    window: Window = None,
    baseline: float = 0.0,
    length: float | None = None,
    step: float | None = None,
) -> Study:
    """Read your own study: one table, and a file for each trial or one long recording per person.

    If the table has a column ``onset``, its rows are events in long recordings, and the trials are
    cut out of them. If it has a column ``events``, the onsets are those in files of events. With
    `length`, each recording is cut into sliding windows.

    All files and rows are checked. One error lists every problem.

    Parameters
    ----------
    table : path-like or DataFrame
        CSV or parquet file, or frame, with a row for each trial and the columns ``subject``,
        ``stimulus``, ``file`` and those of `ratings`. ``trial`` (a whole number, the order of
        presentation) is optional, but required if a person had the same stimulus twice. Other
        columns are copied to the trials, numeric columns as float. Events also need ``onset``, in
        seconds from the first sample, and ``duration`` or a `window`; their ``trial`` is by default
        the order of the onsets of a person, and several events may have the same file. Instead of
        ``onset`` and ``duration``, the column ``events`` may name files that :func:`read_events`
        reads: the recording itself, or a table such as ``events.tsv`` of BIDS. Each row is then the
        event whose label is its ``stimulus``; rows with the same label, and rows of button presses,
        follow the order of ``trial`` or of the table. Without the column ``stimulus``, each event
        of a file is a trial, with the ratings of the file's row.
    signals : dict or sequence of str
        Signal → its column in the files. A sequence names signals whose columns have the same
        names. ``eda`` is required. If ``eda`` is the only name of a sequence, or its column is
        None, its column is the one named eda or gsr, or the only numeric column. A file may also be
        ``EDA.csv`` of an E4, or a single column without a header.
    ratings : sequence of str or None, default=None
        Columns of the table that hold ratings, which are numbers; () for none. None: those of
        ``valence`` and ``arousal`` that the table has, at least one unless there are `classes`.
    classes : sequence of str, default=()
        Columns of the table that hold classes to predict: text, booleans or whole numbers. They
        become targets and are not columns of the trials.
    sampling_rate : float or None
        Samples per second (Hz) of all signals; not needed if the files contain it or have a column
        of times.
    rating_range : tuple (lowest, highest) or None
        Valid range of the ratings. None does not check them.
    folder : path-like or None
        Folder that the paths in ``file`` are relative to. None is the folder of the table file, or
        the current folder if `table` is a frame.
    unit : {"auto", "microsiemens", "siemens", "nanosiemens", "ohm", "kiloohm", "megaohm", "adc"}
        Unit of ``eda`` in the files. It is converted to microsiemens; values at or below zero,
        which are not valid resistances, become NaN. "auto" is the unit in the header of each file,
        else microsiemens. "adc": readings of a converter, of the device in `options`.
    columns : dict or None, default=None
        Name of a column in the table → the name that edaemo uses, such as
        ``{"participant": "subject"}``.
    options : FileOptions or None, default=None
        Format of the files, where it must not be found by their content.
    name : str
        Name of the study in tables.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`. For
        events: seconds from the onset; None is the duration of the event. For events and sliding
        windows, a negative start keeps samples before the trial (`context`), NaN before the
        beginning of the recording.
    baseline : float
        Seconds before each cell, with its context, that are kept as column ``eda_before``, NaN
        before the beginning of the recording.
    length, step : float or None
        Sliding windows: their length, and the time from one to the next, in seconds. Ratings and
        classes are those of the recording. A `step` of None is the `length`.

    Returns
    -------
    Study
        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` and ``stimulus``
        (str), ``trial`` (int; 0 if the table has no such column), the other columns of the table
        except ``file``, ``eda`` (1-D float64 array in microsiemens, NaN where missing), a column
        for each other signal (float64) and ``duration`` (seconds, before the window is cut, float).
        Events and sliding windows have the columns ``recording`` (its file), ``start`` and ``stop``
        (of the cell with its context, in seconds from the first sample of the recording).
        ``ratings`` : DataFrame with the same index, float.
        ``targets`` : dict, name → rating or class.
        ``music`` : None. You can set it to a frame with one row per stimulus.
        ``sampling_rate`` : of all signals, in Hz. ``rating_range`` : the argument.
        ``context`` : seconds before the trial with which each cell begins.
        ``units`` : dict, signal → unit. ``development`` : (). All people are evaluation people.
        ``report`` : dict of what was read, masked and left out, with reasons; ``left_out`` and
        ``masked`` are DataFrames. For events and sliding windows: ``outside``, a DataFrame of those
        outside of their recording, which are left out, and ``overlaps``, the number of trials that
        begin before the one before them in the recording ends. With the column ``events``:
        ``unused_events``, the number of events that no row names. With a context also
        ``missing_context``, a DataFrame of the trials whose context lacks samples.
        ``name``, ``licence``, ``citation``, ``DESCR`` : str.

    Raises
    ------
    DatasetError
        If the table or a file is invalid: a column or file is missing, a trial occurs twice, no
        trial has a rating, a rating is out of range, or a file is not a recording.
    ValueError
        If an argument is invalid, or the window is longer than every trial.

    Warns
    -----
    UserWarning
        If trials are shorter than the window.
    RecordingWarning
        As in `read_recording`; once for all files with the same remark. And if some trials have no
        rating: it is NaN, and evaluations that need it leave these trials out.

    See Also
    --------
    load_e4 : Sessions of an Empatica E4.
    read_recording : One recording.
    edaemo.evaluation.evaluate : Evaluate the study.

    Examples
    --------
    >>> study = read_trials("study/trials.csv", sampling_rate=4)  # doctest: +SKIP
    """
    of_signals = _check_columns(signals)
    for what, names in (("ratings", ratings or ()), ("classes", classes)):
        if taken := sorted({*COLUMNS, *of_signals, "trial", "duration"} & set(names)):
            raise ValueError(f"{what}={names!r}: none of them can be called {taken[0]!r}.")
    if both := sorted(set(ratings or ()) & set(classes)):
        raise ValueError(f"{both[0]!r} is in ratings and in classes: remove it from one of them.")
    rating_range = check_rating_range(rating_range)
    if sampling_rate is not None:
        sampling_rate = check_sampling_rate(sampling_rate)
    is_frame = isinstance(table, pd.DataFrame)
    place = Path("the table") if is_frame else Path(table).expanduser()
    if folder is None:
        folder = Path() if is_frame else place.parent
    folder = Path(folder).expanduser()
    frame = read_own_table(table, COLUMNS, "table of trials", columns, unless=UNLESS)
    problems = Problems("your own study", place, HOW_TO_GET)
    counts: dict[str, Any] = {}
    if "events" in frame.columns and "onset" not in frame.columns:
        eda = {"column": of_signals["eda"], "options": options}
        frame, counts["unused_events"] = add_events(frame, folder, eda, problems)
        problems.raise_all()
    spans: list[Span] | None = None
    if "onset" in frame.columns:
        _check_span(window, length)
        spans = find_events(number_events(frame), window, problems)  # type: ignore[arg-type]
        frame = number_events(frame).drop(columns="duration", errors="ignore")
    else:
        check_window(window, 0.0 if length is None else np.inf)
    if ratings is None:
        ratings = [name for name in RATED if name in frame.columns and name not in classes]
        if not ratings and not classes:
            problems.add(
                f"The table has neither valence nor arousal; it has {list(frame.columns)}. Name "
                "the columns to predict: ratings=[…] (--ratings) for numbers, classes=[…] "
                "(--classes) for classes."
            )
    rows = _read_rows(frame, of_signals, ratings, problems)
    missing = [name for name in (*ratings, *classes) if name not in frame.columns]
    if missing:
        problems.add(f"The table lacks the columns {missing}; it has {list(frame.columns)}.")
    there = [rating for rating in ratings if rating in frame.columns]
    rated = read_rating_columns(frame, there, rating_range, problems)
    gaps = _find_gaps(rated, rows, problems)
    cells, rates = _read_files(
        frame,
        of_signals,
        folder,
        {"sampling_rate": sampling_rate, "unit": unit, "options": options},
        problems,
        shared=spans is not None,
    )
    problems.raise_all()
    for gap in gaps:
        warnings.warn(f"{place}: {gap}", RecordingWarning, stacklevel=2)
    notes = (
        [] if "trial" in frame.columns else ["The order of the trials is not known: trial is 0."]
    )
    context = context_of(window)
    if length is not None:
        durations = [len(eda) / rates[0] for eda in cells["eda"]]
        spans, notes = find_windows(durations, length, step or length), []
        spans = [span._replace(start=span.start - context) for span in spans]
    if spans is not None:
        before = {"baseline": baseline, "context": context}
        rows, rated, cells, found = _cut(frame, spans, rows, rated, cells, rates[0], before)
        counts |= found
        if length is not None:
            rows["trial"] = _number(rows["subject"])
    in_order = np.lexsort((rows["trial"], rows["subject"]))
    trials, (ratings_kept,), counted = assemble(
        take_rows({**rows, **cells}, in_order),
        [take_rows(rated, in_order)],
        rates=dict.fromkeys(of_signals, rates[0]),
        window=window if spans is None or length is not None else None,
        context=context,
    )
    report = {
        "source": str(place),
        "window": window,
        "people": len(set(rows["subject"])),
        "stimuli": len(set(rows["stimulus"])),
        **counted,
        **counts,
        "notes": [*notes, *gaps],
    }
    labels = {name: trials.pop(name) for name in classes}
    return Study(
        name=name,
        artificial=False,
        trials=trials,
        ratings=ratings_kept,
        targets={**{rating: ratings_kept[rating] for rating in rated}, **labels},
        music=None,
        sampling_rate=rates[0],
        context=context,
        rating_range=rating_range,
        units={
            signal: "microsiemens" if signal == "eda" else "as recorded" for signal in of_signals
        },
        development=(),
        licence=LICENCE,
        citation=CITATION,
        report=report,
        DESCR=DESCR,
    )


def _check_span(window: Window, length: float | None) -> None:
    """Raise a ValueError if the window of events is not two finite numbers in order."""
    if length is not None:
        raise ValueError("length is for recordings without events: remove the column onset.")
    if window is None:
        return
    ends = [*window] if not isinstance(window, str) else []
    if len(ends) != 2 or not np.isfinite(ends).all() or not ends[0] < ends[1] or ends[1] <= 0:
        raise ValueError(
            f"window={window!r}: for a table with onset, it must be (start, stop) in seconds from "
            "the onset with start < stop and 0 < stop, or None. baseline= keeps samples before it."
        )


def _cut(
    frame: pd.DataFrame,
    spans: Sequence[Span],
    rows: Mapping[str, Column],
    rated: Mapping[str, np.ndarray],
    cells: Mapping[str, list[np.ndarray]],
    sampling_rate: float,
    before: Mapping[str, float],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[np.ndarray]], dict[str, Any]]:
    """Return the columns, ratings and signals of the spans, and counts for the report.

    `before` holds the arguments `baseline` and `context` of `cut_spans`.
    """
    kept, cut, outside = cut_spans(spans, cells, sampling_rate, **before)
    files = [str(file) for file in frame["file"]]
    lost = pd.DataFrame(
        [(rows["subject"][s.row], files[s.row], s.start, s.stop) for s in outside],
        columns=["subject", "recording", "start", "stop"],
    )
    if not kept:
        raise DatasetError(f"None of {len(spans)} trials is inside its recording.")
    if outside:
        warnings.warn(
            f"{len(outside)} of {len(spans)} trials are not inside their recording and are left "
            f"out: {name_some(f'{files[s.row]} at {s.start:g} s' for s in outside)}.",
            UserWarning,
            stacklevel=4,
        )
    take = [span.row for span in kept]
    places = {
        "recording": [files[row] for row in take],
        "start": np.array([span.start for span in kept]),
        "stop": np.array([span.stop for span in kept]),
    }
    counts = {"outside": lost, "overlaps": count_overlaps(kept, files)}
    return {**take_rows(rows, take), **places}, take_rows(rated, take), cut, counts


def _number(subjects: Column) -> np.ndarray:
    """Return the number of each row among those of its subject, from 1."""
    return pd.Series(subjects).groupby(pd.Series(subjects)).cumcount().to_numpy() + 1


def _check_columns(signals: Mapping[str, str | None] | Sequence[str]) -> dict[str, str | None]:
    """Return signal → column of the files; None if the column must be found in the file."""
    if isinstance(signals, Mapping):
        columns = dict(signals)
    else:
        columns = {signal: signal for signal in signals} if len(signals) > 1 else {}
        columns = columns or {signal: None for signal in signals}
    texts = [*columns, *(column for column in columns.values() if column is not None)]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"signals={signals!r} must name signals and columns as text.")
    taken = sorted({*IDENTITY, "file", "duration"} & set(columns))
    if taken:
        raise ValueError(f"signals={signals!r}: a signal cannot be called {taken[0]!r}.")
    unnamed = [signal for signal, column in columns.items() if column is None and signal != "eda"]
    if "eda" not in columns or unnamed:
        raise ValueError(
            f"signals={signals!r} must name 'eda', and the column of every other signal."
        )
    return columns


def _read_rows(
    frame: pd.DataFrame,
    columns: Mapping[str, str | None],
    ratings: Sequence[str],
    problems: Problems,
) -> dict[str, list[Any] | np.ndarray]:
    """Return the columns of the trials except the signals; note their problems."""
    made = sorted({*columns, "duration"} & set(frame.columns))
    if made:
        problems.add(
            f"The table has the columns {made}, which the loader adds to the trials: rename them."
        )
    subjects, stimuli = (read_ids(frame, name, problems) for name in ("subject", "stimulus"))
    known = "trial" in frame.columns
    trials = read_whole_numbers(frame, "trial", problems) if known else [0] * len(frame)
    keys = Counter(zip(subjects, trials if known else stimuli, strict=True))
    twice = [key for key, n in keys.items() if n > 1 and key[0] and key[1] not in ("", -1)]
    if twice:
        what = "trial" if known else "stimulus"
        repeated = name_some(f"{subject} {what} {value}" for subject, value in twice)
        remedy = "Keep one row." if known else "Add a column trial with the order of presentation."
        problems.add(f"The table has more than one row for {repeated}. {remedy}")
    others = [c for c in frame.columns if c not in (*IDENTITY, *ratings, *made, "file")]
    return {
        "subject": subjects,
        "stimulus": stimuli,
        "trial": np.array(trials),
        **{str(column): read_column(frame[column]) for column in others},
    }


def _find_gaps(
    rated: Mapping[str, np.ndarray], rows: Mapping[str, Any], problems: Problems
) -> list[str]:
    """Return a sentence for each rating that some trials lack; note a rating that all lack."""
    gaps = []
    for rating, values in rated.items():
        missing = np.flatnonzero(np.isnan(values))
        if len(missing) == len(values):
            problems.add(
                f"No trial has a number as {rating}: fill the column, or remove it; if it holds "
                "classes, name it in classes=[…] (--classes)."
            )
        elif len(missing):
            unrated = name_some(
                f"{rows['subject'][row]} {rows['stimulus'][row]} (row {row + 1})" for row in missing
            )
            gaps.append(
                f"{len(missing)} of {len(values)} trials have no {rating}: {unrated}. Evaluations "
                "that need it leave them out."
            )
    return gaps


def _read_files(
    frame: pd.DataFrame,
    columns: Mapping[str, str | None],
    folder: Path,
    settings: Mapping[str, Any],
    problems: Problems,
    shared: bool,
) -> tuple[dict[str, list[np.ndarray]], list[float]]:
    """Return the signals by name and row, and the distinct sampling rates; note more than one.

    Each file is read once. If files are not `shared`, a file of several rows is a problem.
    A warning is given once for all files with the same one; so is an error of four or more files.
    """
    cells: dict[str, list[np.ndarray]] = {signal: [] for signal in columns}
    of_rate: dict[float, list[str]] = {}
    files = read_ids(frame, "file", problems)
    repeated = () if shared else sorted({file for file in files if files.count(file) > 1 and file})
    for file in repeated:
        problems.add(
            f"{file} is the file of {files.count(file)} trials: give each trial its own file, or "
            "add the column onset (seconds) for trials of one long recording."
        )
    notes: list[tuple[str, str]] = []
    wrong: list[tuple[Path, str]] = []
    signals_of: dict[str, list[np.ndarray]] = {}
    for file in dict.fromkeys(filter(None, files)):
        path = folder / file
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                read, rate = read_columns(path, list(columns.values()), **settings)
        except DatasetError as error:
            wrong.append((path, str(error).removeprefix(f"{path}: ")))
            continue
        for warning in caught:
            notes.append((file, str(warning.message).removeprefix(f"{path}: ")))
        of_rate.setdefault(rate, []).append(file)
        signals_of[file] = read
    for file in files:
        for signal, samples in zip(columns, signals_of.get(file, ()), strict=False):
            cells[signal].append(samples)
    for problem in group_messages(wrong):
        problems.add(problem)
    for note in group_messages(notes, several=2):
        warnings.warn(note, RecordingWarning, stacklevel=4)
    if len(of_rate) > 1:
        listed = "; ".join(f"{rate:g} Hz: {name_some(names)}" for rate, names in of_rate.items())
        problems.add(
            f"The files have different sampling rates: {listed}. Resample them to the same rate."
        )
    return cells, list(of_rate)
