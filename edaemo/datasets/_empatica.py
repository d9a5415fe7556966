"""Read the files of an Empatica E4 session."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._numbers import read_number
from edaemo.datasets._text import TextLayout, WrongWidthError, read_numbers_of

# Signal → its file, and its unit according to Empatica's info.txt.
SIGNALS = {
    "eda": ("EDA.csv", "microsiemens"),
    "bvp": ("BVP.csv", "as recorded"),
    "temperature": ("TEMP.csv", "degrees Celsius"),
    "heart_rate": ("HR.csv", "beats per minute"),
    "acceleration": ("ACC.csv", "1/64 g"),
}
CHANNELS = {"acceleration": ("x", "y", "z")}
# File of an E4 with the times of button presses.
TAGS = "tags.csv"
# All files that the folder of a session may hold.
FILES = {*(file for file, _ in SIGNALS.values()), "IBI.csv", TAGS, "info.txt"}
# A first line in this range is a time in unix seconds (1973 to 5138), or in unix milliseconds if
# it is in 1000 times this range, and not a conductance in microsiemens.
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
    """Parse a time in unix seconds or milliseconds (UTC) or ``YYYY-MM-DD hh:mm:ss``, else None.

    Numbers may have a decimal comma.
    """
    number = read_number(text.replace(",", "."))
    if number is not None:
        if UNIX_TIMES[0] * 1e3 <= number < UNIX_TIMES[1] * 1e3:
            number /= 1e3
        inside = UNIX_TIMES[0] <= number < UNIX_TIMES[1]
        return datetime.fromtimestamp(number, UTC) if inside else None
    try:
        return datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        return None


def _split_first(line: str) -> list[str]:
    """Return the cells of one of the first two lines; a comma may be the decimal sign."""
    line = line.strip()
    if re.fullmatch(r"\d+,\d+", line):
        return [line]
    return [cell.strip() for cell in re.split("[,;\t]", line) if cell.strip()]


def is_start(line: str) -> bool:
    """Return whether the first line of a file is a start time."""
    cells = _split_first(line)
    return bool(cells) and all(parse_time(cell) is not None for cell in cells)


def parse_signal(source: Path | bytes, file: str = "EDA.csv") -> E4Signal:
    """Parse a signal file: start time, sampling rate, then one sample in each line.

    Parameters
    ----------
    source : Path or bytes
        The file or its content.
    file : str, default="EDA.csv"
        Name of the file in an E4 session. It determines the number of columns.

    Raises
    ------
    ValueError
        If a line is invalid. The message names the line.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as lines:
        head = [lines.readline(10_000).decode("utf-8-sig", "replace").strip() for _ in range(3)]
    if not any(head):
        raise ValueError("it is empty.")
    if "\0" in head[0] or "\ufffd" in head[0]:
        raise ValueError("it is not a text file.")
    first, second = (_split_first(line) for line in head[:2])
    start = parse_time(first[0]) if is_start(head[0]) else None
    if start is None:
        raise ValueError(f"line 1 is not a start time: {', '.join(first)[:40]!r}.")
    rates = {read_number(cell.replace(",", ".")) for cell in second}
    rate = rates.pop() if len(rates) == 1 else None
    if rate is None or not 0 < rate <= HIGHEST_RATE:
        raise ValueError(
            f"line 1 is a start time, as in an E4's {file}, but line 2 is not a sampling rate: "
            f"{', '.join(sorted(set(second)))[:40]!r}."
        )
    n_columns = 3 if file == "ACC.csv" else 1
    comma = n_columns == 1 and re.fullmatch(r"-?\d+,\d+", head[2]) is not None
    layout = TextLayout(
        names=[""] * n_columns,
        units=[""] * n_columns,
        start=2,
        width=n_columns,
        delimiter="," if n_columns == 3 or not comma else None,
        decimal="," if comma else ".",
        encoding="utf-8-sig",
        header=False,
        numeric=[True] * n_columns,
        first=[""] * n_columns,
    )
    try:
        columns = read_numbers_of(source, layout, range(n_columns))
    except WrongWidthError as error:
        due = "one" if n_columns == 1 else "three"
        raise ValueError(
            f"line {error.line} holds {error.width} values, but an E4's {file} has {due}."
        ) from error
    except ValueError as error:
        if "no samples" in str(error):
            raise ValueError("the file is too short: it has no samples.") from error
        raise
    samples = [columns[i].to_numpy(dtype=np.float64) for i in range(n_columns)]
    return E4Signal(start, rate, samples[0] if n_columns == 1 else np.stack(samples))


def read_signal(corpus: CorpusFiles, name: str) -> E4Signal:
    """Read a signal file of a session; its name selects the signal, and errors name the file."""
    with corpus.on_disk(name) as path:
        try:
            return parse_signal(path, name.rpartition("/")[2])
        except ValueError as error:
            what = f"does not have the format of an E4: {error}"
            raise corpus.error(name, what) from error
        except OSError as error:
            raise corpus.error(name, f"cannot be read: {error.strerror or error}.") from error


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
