"""The files that an Empatica E4 session consists of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._numbers import read_number, read_numbers

# Signal → its file, and its unit as Empatica's info.txt says it.
SIGNALS = {
    "eda": ("EDA.csv", "microsiemens"),
    "bvp": ("BVP.csv", "as recorded"),
    "temperature": ("TEMP.csv", "degrees Celsius"),
    "heart_rate": ("HR.csv", "beats per minute"),
    "acceleration": ("ACC.csv", "1/64 g"),
}
CHANNELS = {"acceleration": ("x", "y", "z")}
TAGS = "tags.csv"
# All that a session's folder may hold.
FILES = {*(file for file, _ in SIGNALS.values()), "IBI.csv", TAGS, "info.txt"}
# A first line within is a time in unix seconds (1973 to 5138) and no conductance in microsiemens.
UNIX_TIMES = (1e8, 1e11)
# Hz; a second line above it is another time, as in a list of tags, and no rate.
HIGHEST_RATE = 1e5


class E4Signal(NamedTuple):
    """One signal of a session.

    Attributes
    ----------
    start : datetime
        Of the first sample; in UTC, and without a zone where the file has a date.
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
        """How long was recorded, in seconds."""
        return self.samples.shape[-1] / self.sampling_rate


def parse_time(text: str) -> datetime | None:
    """Return a time in unix seconds (UTC) or as ``YYYY-MM-DD hh:mm:ss``; None if it is none."""
    number = read_number(text)
    if number is not None:
        inside = UNIX_TIMES[0] <= number < UNIX_TIMES[1]
        return datetime.fromtimestamp(number, UTC) if inside else None
    try:
        return datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        return None


def is_start(row: Sequence[str]) -> bool:
    """Say whether a file whose first line has these cells begins with a start time."""
    cells = [cell for cell in row if cell]
    return bool(cells) and all(parse_time(cell) is not None for cell in cells)


def parse_signal(rows: Sequence[Sequence[str]], file: str = "EDA.csv") -> E4Signal:
    """Return what is in a file: start time, sampling rate, then a sample in each line.

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells of each line.
    file : str, default="EDA.csv"
        What the E4 calls it, which says how many columns it has.

    Raises
    ------
    ValueError
        If a line is not what it should be; the message says which.
    """
    first = [cell for cell in rows[0] if cell]
    start = parse_time(first[0]) if is_start(first) else None
    if start is None:
        raise ValueError(f"line 1 is no start time: {', '.join(first)[:40]!r}.")
    said = {cell for cell in rows[1] if cell} if len(rows) > 1 else set()
    rates = {read_number(cell) for cell in said}
    rate = rates.pop() if len(rates) == 1 else None
    if rate is None or not 0 < rate <= HIGHEST_RATE:
        raise ValueError(
            f"line 1 is a start time, as in an E4's {file}, but line 2 is no sampling rate: "
            f"{', '.join(sorted(said))[:40]!r}."
        )
    if len(rows) == 2:
        raise ValueError("the file is too short: it holds no samples.")
    n_columns = 3 if file == "ACC.csv" else 1
    columns: list[list[str]] = [[] for _ in range(n_columns)]
    for line, row in enumerate(rows[2:], start=3):
        cells = [cell for cell in row if cell] or [""] * n_columns
        if len(cells) != n_columns:
            due = "one" if n_columns == 1 else "three"
            raise ValueError(
                f"line {line} holds {len(cells)} values, where an E4's {file} has {due}."
            )
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    samples = [read_numbers(column, first_line=3) for column in columns]
    return E4Signal(start, rate, samples[0] if n_columns == 1 else np.stack(samples))


def read_signal(corpus: CorpusFiles, name: str) -> E4Signal:
    """Read a file of a session, known by its name; anything wrong is an error that names it."""
    rows = [[cell.strip() for cell in line.split(",")] for line in corpus.read_lines(name)]
    try:
        return parse_signal(rows, name.rpartition("/")[2])
    except ValueError as error:
        raise corpus.error(name, f"is not as an E4 writes it: {error}") from error


def read_tags(corpus: CorpusFiles, name: str) -> list[datetime]:
    """Return when the button was pressed; nothing for an empty file.

    Raises
    ------
    DatasetError
        If a line holds no time, or the times are of two forms or go back.
    """
    if not corpus.read_bytes(name).strip():
        return []
    times: list[datetime] = []
    for line, text in enumerate(corpus.read_lines(name), start=1):
        time = parse_time(text.strip())
        if time is None:
            raise corpus.error(name, f"has no time in line {line}: {text[:40]!r}.")
        if times and (time.tzinfo is None) != (times[0].tzinfo is None):
            raise corpus.error(name, f"gives a time of another form in line {line}: {text[:40]!r}.")
        if times and time < times[-1]:
            raise corpus.error(name, "has tags that do not follow one another in time.")
        times.append(time)
    return times


def seconds_after(
    corpus: CorpusFiles, name: str, times: Sequence[datetime], start: datetime
) -> list[float]:
    """Return times of a file in seconds from a start; an error where one of them has no zone."""
    if any((time.tzinfo is None) != (start.tzinfo is None) for time in times):
        raise corpus.error(
            name, "gives times in another time zone, or another form, than EDA.csv beside it."
        )
    seconds = [(time - start).total_seconds() for time in times]
    return seconds
