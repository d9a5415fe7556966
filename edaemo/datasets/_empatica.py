"""Read the files of an Empatica E4 session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._numbers import read_number, read_numbers

# Signal → its file, and its unit according to Empatica's info.txt.
SIGNALS = {
    "eda": ("EDA.csv", "microsiemens"),
    "bvp": ("BVP.csv", "as recorded"),
    "temperature": ("TEMP.csv", "degrees Celsius"),
    "heart_rate": ("HR.csv", "beats per minute"),
    "acceleration": ("ACC.csv", "1/64 g"),
}
CHANNELS = {"acceleration": ("x", "y", "z")}
TAGS = "tags.csv"
# All files that the folder of a session may hold.
FILES = {*(file for file, _ in SIGNALS.values()), "IBI.csv", TAGS, "info.txt"}
# A first line in this range is a time in unix seconds (1973 to 5138), not a conductance in
# microsiemens.
UNIX_TIMES = (1e8, 1e11)
# Hz. A second line above this value is another time, as in a list of tags, and not a rate.
HIGHEST_RATE = 1e5


class E4Signal(NamedTuple):
    """One signal of a session.

    Attributes
    ----------
    start : datetime
        Time of the first sample. In UTC if the file has unix seconds; without a time zone if the
        file has a date.
    sampling_rate : float
        In Hz.
    samples : ndarray of shape (n_samples,), or (3, n_samples) of acceleration
        In the file's unit, float64; NaN where they are missing.
    """

    start: datetime
    sampling_rate: float
    samples: np.ndarray

    @property
    def duration(self) -> float:
        """Length of the recording, in seconds."""
        return self.samples.shape[-1] / self.sampling_rate


def parse_time(text: str) -> datetime | None:
    """Parse a time in unix seconds (UTC) or as ``YYYY-MM-DD hh:mm:ss``; None for other text."""
    number = read_number(text)
    if number is not None:
        inside = UNIX_TIMES[0] <= number < UNIX_TIMES[1]
        return datetime.fromtimestamp(number, UTC) if inside else None
    try:
        return datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        return None


def is_start(row: Sequence[str]) -> bool:
    """Return whether the first line of a file, split into cells, is a start time."""
    cells = [cell for cell in row if cell]
    return bool(cells) and all(parse_time(cell) is not None for cell in cells)


def parse_signal(rows: Sequence[Sequence[str]], file: str = "EDA.csv") -> E4Signal:
    """Parse a signal file: start time, sampling rate, then one sample in each line.

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells of each line.
    file : str, default="EDA.csv"
        Name of the file in an E4 session. It determines the number of columns.

    Raises
    ------
    ValueError
        If a line is invalid. The message names the line.
    """
    first = [cell for cell in rows[0] if cell]
    start = parse_time(first[0]) if is_start(first) else None
    if start is None:
        raise ValueError(f"line 1 is not a start time: {', '.join(first)[:40]!r}.")
    second = {cell for cell in rows[1] if cell} if len(rows) > 1 else set()
    rates = {read_number(cell) for cell in second}
    rate = rates.pop() if len(rates) == 1 else None
    if rate is None or not 0 < rate <= HIGHEST_RATE:
        raise ValueError(
            f"line 1 is a start time, as in an E4's {file}, but line 2 is not a sampling rate: "
            f"{', '.join(sorted(second))[:40]!r}."
        )
    if len(rows) == 2:
        raise ValueError("the file is too short: it has no samples.")
    n_columns = 3 if file == "ACC.csv" else 1
    columns: list[list[str]] = [[] for _ in range(n_columns)]
    for line, row in enumerate(rows[2:], start=3):
        cells = [cell for cell in row if cell] or [""] * n_columns
        if len(cells) != n_columns:
            due = "one" if n_columns == 1 else "three"
            raise ValueError(
                f"line {line} holds {len(cells)} values, but an E4's {file} has {due}."
            )
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    samples = [read_numbers(column, first_line=3) for column in columns]
    return E4Signal(start, rate, samples[0] if n_columns == 1 else np.stack(samples))


def read_signal(corpus: CorpusFiles, name: str) -> E4Signal:
    """Read a signal file of a session; its name selects the signal, and errors name the file."""
    rows = [[cell.strip() for cell in line.split(",")] for line in corpus.read_lines(name)]
    try:
        return parse_signal(rows, name.rpartition("/")[2])
    except ValueError as error:
        raise corpus.error(name, f"does not have the format of an E4: {error}") from error


def read_tags(corpus: CorpusFiles, name: str) -> list[datetime]:
    """Return the times of the button presses; an empty list for an empty file.

    Raises
    ------
    DatasetError
        If a line does not hold a time, or the times have two formats or are not in order.
    """
    if not corpus.read_bytes(name).strip():
        return []
    times: list[datetime] = []
    for line, text in enumerate(corpus.read_lines(name), start=1):
        time = parse_time(text.strip())
        if time is None:
            raise corpus.error(name, f"has no time in line {line}: {text[:40]!r}.")
        if times and (time.tzinfo is None) != (times[0].tzinfo is None):
            raise corpus.error(name, f"has a time in another format in line {line}: {text[:40]!r}.")
        if times and time < times[-1]:
            raise corpus.error(name, "has tags that are not in order of time.")
        times.append(time)
    return times


def seconds_after(
    corpus: CorpusFiles, name: str, times: Sequence[datetime], start: datetime
) -> list[float]:
    """Return times in seconds from a start; raise if the formats of times and start differ."""
    if any((time.tzinfo is None) != (start.tzinfo is None) for time in times):
        raise corpus.error(
            name, "has times in another time zone or format than EDA.csv in the same folder."
        )
    seconds = [(time - start).total_seconds() for time in times]
    return seconds
