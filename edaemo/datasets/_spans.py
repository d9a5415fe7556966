"""Cut trials out of long recordings: events with an onset, or sliding windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from edaemo._ids import name_some
from edaemo.datasets._corpus import DatasetError, Problems
from edaemo.datasets._own_table import read_rating_columns
from edaemo.datasets._window import cut_padded


class Span(NamedTuple):
    """A part of a recording: the row of the table, and its start and stop in seconds."""

    row: int
    start: float
    stop: float


def number_events(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of events with a column trial, by the order of the onsets of a subject."""
    if "trial" in frame.columns or "onset" not in frame.columns:
        return frame
    onsets = pd.to_numeric(frame["onset"], errors="coerce")
    order = frame.assign(onset=onsets).groupby("subject", sort=False)["onset"]
    return frame.assign(trial=order.rank(method="first").fillna(0).astype(int))


def find_events(
    frame: pd.DataFrame, span: tuple[float, float] | None, problems: Problems
) -> list[Span]:
    """Return the span of each event: `span` seconds around its onset, or its duration.

    Parameters
    ----------
    frame : DataFrame
        With a column ``onset`` and, if `span` is None, ``duration``, in seconds.
    span : tuple (start, stop) or None
        Seconds from the onset, which may be negative.
    problems : Problems
        Collects onsets and durations that are missing.
    """
    if span is None and "duration" not in frame.columns:
        raise DatasetError(
            "The table of trials has onset but no duration. Add the column duration (seconds), or "
            "pass window=(start, stop) (--window), in seconds from the onset."
        )
    names = ["onset"] if span is not None else ["onset", "duration"]
    times = read_rating_columns(frame, names, None, problems)
    for name in names:
        missing = np.flatnonzero(np.isnan(times[name]))
        if len(missing):
            rows = name_some(row + 1 for row in missing)
            problems.add(f"{len(missing)} rows have no {name}: rows {rows}. Fill it in.")
    if span is None and len(short := np.flatnonzero(times["duration"] <= 0)):
        problems.add(
            f"{len(short)} events have a duration of 0 or less: rows "
            f"{name_some(row + 1 for row in short)}. Pass window=(start, stop) (--window), in "
            "seconds from the onset."
        )
    starts = times["onset"] + (span[0] if span is not None else 0.0)
    stops = times["onset"] + (span[1] if span is not None else times["duration"])
    return [Span(row, *pair) for row, pair in enumerate(zip(starts, stops, strict=True))]


def find_windows(durations: Sequence[float], length: float, step: float) -> list[Span]:
    """Return windows of `length` seconds, each `step` seconds after the one before it.

    Parameters
    ----------
    durations : sequence of float
        Of the recordings, in seconds. Only whole windows are returned.
    """
    return [
        Span(row, float(start), float(start + length))
        for row, duration in enumerate(durations)
        for start in np.arange(0.0, duration - length + 1e-9, step)
    ]


def cut_spans(
    spans: Sequence[Span],
    cells: Mapping[str, Sequence[np.ndarray]],
    sampling_rate: float,
    baseline: float,
    context: float = 0.0,
) -> tuple[list[Span], dict[str, list[np.ndarray]], list[Span]]:
    """Cut spans out of recordings.

    Parameters
    ----------
    spans : sequence of Span
        Parts of recordings, each a trial and the context before it.
    cells : dict
        Signal → one recording for each row of the table.
    sampling_rate : float
        In Hz.
    baseline : float
        Seconds before each span that are kept too, as ``eda_before``. They are NaN before the
        beginning of the recording.
    context : float, default=0.0
        Seconds of each span before its trial. They are NaN before the beginning of the recording.

    Returns
    -------
    kept : list of Span
        Spans whose trials are inside their recordings.
    cut : dict
        Signal → one array for each kept span.
    outside : list of Span
        Spans whose trials are not inside their recordings.
    """
    kept, outside = [], []
    cut: dict[str, list[np.ndarray]] = {name: [] for name in cells}
    n_before, n_context = round(baseline * sampling_rate), round(context * sampling_rate)
    if n_before:
        cut["eda_before"] = []
    for span in spans:
        onset, last = (round(end * sampling_rate) for end in (span.start + context, span.stop))
        first = onset - n_context
        if not (onset >= 0 and max(first, 0) < last <= len(cells["eda"][span.row])):
            outside.append(span)
            continue
        kept.append(span)
        for name, recordings in cells.items():
            cut[name].append(cut_padded(recordings[span.row], first, last))
        if n_before:
            cut["eda_before"].append(cut_padded(cells["eda"][span.row], first - n_before, first))
    return kept, cut, outside


def count_overlaps(spans: Sequence[Span], recordings: Sequence[str]) -> int:
    """Return how many spans begin before the span before them in the same recording ends."""
    in_order = sorted(spans, key=lambda span: (recordings[span.row], span.start))
    return sum(
        recordings[earlier.row] == recordings[later.row] and later.start < earlier.stop - 1e-9
        for earlier, later in pairwise(in_order)
    )
