"""Finding and reading recordings of EDA that are files of their own: E4 exports, CSV, parquet."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from edaemo.datasets._corpus import DatasetError, _is_hidden
from edaemo.decomposition._problem import check_sampling_rate

SUFFIXES = (".csv", ".parquet")
# Columns that are the EDA by their name, in any case.
EDA_NAMES = ("eda", "gsr")
# What an E4 writes beside EDA.csv. Some of it has EDA.csv's very format, and is no EDA.
E4_OTHERS = ("ACC.csv", "BVP.csv", "HR.csv", "IBI.csv", "TEMP.csv", "tags.csv")
# How tables say that a sample is missing.
MISSING = ("", "na", "n/a", "nan", "null", "none")
# A first line within is a time in unix seconds (1973 to 5138) and no conductance in microsiemens.
UNIX_TIMES = (1e8, 1e11)
# Hz; a second line above it is another time, as in a list of tags, and no rate.
HIGHEST_RATE = 1e5


def read_recording(
    path: str | os.PathLike[str],
    *,
    sampling_rate: float | None = None,
    column: str | None = None,
) -> tuple[np.ndarray, float]:
    """Read one recording of EDA.

    Parameters
    ----------
    path : path
        A file that ends in ``.parquet``, or a comma-separated text file in UTF-8. Such a text is
        one of:

        - an E4's ``EDA.csv``, known by its content: the start time in the first line (UTC, in unix
          seconds or as ``YYYY-MM-DD hh:mm:ss``), the sampling rate in the second, then one sample
          in each line;
        - one column of numbers without a header;
        - a table with a header.
    sampling_rate : float or None, default=None
        Samples per second (Hz). An E4's file gives its own; all others need it.
    column : str or None, default=None
        Column of a table. None is the one named eda or gsr (in any case), else the only one that
        holds numbers. An E4's file has no named columns and is read without.

    Returns
    -------
    eda : ndarray of shape (n_samples,)
        The samples as they are, float64, in the unit of the file (µS for an E4); NaN where they
        are missing.
    sampling_rate : float
        In Hz.

    Raises
    ------
    DatasetError
        If the file is missing, empty or something else, if no column or several could be the EDA,
        or if the rate is not known or contradicts the file. The message begins with the path.
    ValueError
        If `sampling_rate` is no positive finite number.
    """
    path = Path(path)
    if sampling_rate is not None:
        sampling_rate = check_sampling_rate(sampling_rate)
    _check_file(path)
    if path.suffix.lower() == ".parquet":
        eda = _read_parquet(path, column)
    else:
        rows = _read_rows(path)
        start = [cell for cell in rows[0] if cell]
        if start and all(map(_is_start_time, start)):
            return _read_e4(path, rows, sampling_rate)
        eda = _read_csv(path, rows, column)
    if sampling_rate is None:
        raise DatasetError(
            f"{path}: the file does not say its sampling rate. Give sampling_rate (on the command "
            "line --sampling-rate), in Hz."
        )
    return eda, sampling_rate


def find_recordings(
    inputs: Sequence[str | os.PathLike[str]], *, leave_out: str | os.PathLike[str] | None = None
) -> list[tuple[Path, Path]]:
    """Find the files that inputs stand for.

    Parameters
    ----------
    inputs : sequence of path
        Files, taken as they are, whether they exist or not; and folders, searched at any depth for
        ``*.csv`` and ``*.parquet``. Hidden files are passed over, and so is what an E4 writes
        beside its EDA.csv.
    leave_out : path or None, default=None
        A folder not to look into, such as one for results. It may still be one of the inputs.

    Returns
    -------
    list of (path, relative path)
        In the order of the inputs, and by name in a folder. The relative path is the file's name,
        or for a file found in a folder its path from there.

    Raises
    ------
    DatasetError
        If a folder holds no recording.
    """
    found = []
    for given in map(Path, inputs):
        if not given.is_dir():
            found.append((given, Path(given.name)))
            continue
        inside = [
            (file, file.relative_to(given))
            for file in sorted(given.rglob("*"))
            if _is_recording(file, given) and not _is_below(file, leave_out, given)
        ]
        if not inside:
            raise DatasetError(f"{given} holds no recording: no *.csv and no *.parquet file.")
        found += inside
    return found


def _is_recording(file: Path, folder: Path) -> bool:
    if file.suffix.lower() not in SUFFIXES or not file.is_file():
        return False
    if _is_hidden(file.relative_to(folder).as_posix()):
        return False
    return file.name not in E4_OTHERS or not file.with_name("EDA.csv").exists()


def _is_below(file: Path, leave_out: str | os.PathLike[str] | None, folder: Path) -> bool:
    """Say whether a file of a folder is in the part of it to leave out."""
    if leave_out is None:
        return False
    left = Path(leave_out).resolve()
    return folder.resolve() in left.parents and left in file.resolve().parents


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DatasetError(f"{path}: this is a folder. Give a file.")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DatasetError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}.") from error
    if not size:
        raise DatasetError(f"{path}: the file is empty.")


def _read_rows(path: Path) -> list[list[str]]:
    """Return the cells of each line; blank lines at the end are not lines."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: this is no text in UTF-8.") from error
    except csv.Error as error:
        raise DatasetError(f"{path}: this is no comma-separated table: {error}.") from error
    while rows and (not rows[-1] or (len(rows[-1]) == 1 and rows[-1][0].isspace())):
        rows.pop()
    if not rows:
        raise DatasetError(f"{path}: the file is empty.")
    return [[cell.strip() for cell in row] for row in rows]


def _number(text: str) -> float | None:
    """Return a number, NaN for what says that it is missing, None for anything else."""
    if text.lower() in MISSING:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(path: Path, cells: Sequence[str], first_line: int) -> np.ndarray:
    values = [_number(cell) for cell in cells]
    if None in values:
        at = values.index(None)
        raise DatasetError(
            f"{path}: line {first_line + at} holds no number: {cells[at][:40]!r}. Columns are "
            "separated by commas, decimals by points."
        )
    if not values:
        raise DatasetError(f"{path}: the file holds no samples.")
    return np.array(values, dtype=np.float64)


def _is_start_time(text: str) -> bool:
    number = _number(text)
    if number is not None:
        return UNIX_TIMES[0] <= number < UNIX_TIMES[1]
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return ":" in text


def _read_e4(
    path: Path, rows: list[list[str]], sampling_rate: float | None
) -> tuple[np.ndarray, float]:
    if path.name in E4_OTHERS:
        raise DatasetError(f"{path}: this is no EDA: an E4 records it in EDA.csv.")
    said = {cell for cell in rows[1] if cell} if len(rows) > 1 else set()
    rates = {_number(cell) for cell in said}
    rate = rates.pop() if len(rates) == 1 else None
    if rate is None or not 0 < rate <= HIGHEST_RATE:
        raise DatasetError(
            f"{path}: line 1 is a start time, as in an E4's EDA.csv, but line 2 is no sampling "
            f"rate: {', '.join(sorted(said))[:40]!r}."
        )
    if sampling_rate not in (None, rate):
        raise DatasetError(
            f"{path}: line 2 says {rate:g} Hz, but the sampling rate given is {sampling_rate:g} "
            "Hz. Give the true one, or none."
        )
    samples = []
    for line, row in enumerate(rows[2:], start=3):
        cells = [cell for cell in row if cell]
        if len(cells) > 1:
            raise DatasetError(
                f"{path}: line {line} holds {len(cells)} values, where an E4's EDA.csv has one."
            )
        samples.append(cells[0] if cells else "")
    return _numbers(path, samples, first_line=3), rate


def _read_csv(path: Path, rows: list[list[str]], column: str | None) -> np.ndarray:
    first = rows[0]
    if not any(first) or any(cell and _number(cell) is not None for cell in first):
        width = max(map(len, rows))
        if width > 1:
            raise DatasetError(
                f"{path}: {width} columns and no header. Name the columns in a first line."
            )
        if column is not None:
            raise DatasetError(f"{path}: there is no header, so no column is named {column!r}.")
        return _numbers(path, [cell for row in rows for cell in row or [""]], first_line=1)
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(first) and (row or len(first) > 1):
            raise DatasetError(
                f"{path}: line {line} has {len(row)} columns, the header has {len(first)}."
            )
    table = [[row[i] if row else "" for row in rows[1:]] for i in range(len(first))]

    def holds_numbers(i: int) -> bool:
        values = [_number(cell) for cell in table[i]]
        return None not in values and not np.isnan(values).all()

    chosen = _choose(path, first, holds_numbers, column)
    return _numbers(path, table[chosen], first_line=2)


def _choose(
    path: Path, names: Sequence[str], holds_numbers: Callable[[int], bool], column: str | None
) -> int:
    """Return the place of the column that holds the EDA."""
    places = range(len(names))
    if column is not None:
        found = [i for i in places if names[i] == column]
        wrong = f"no column is named {column!r}."
    else:
        found = [i for i in places if names[i].lower() in EDA_NAMES]
        found = found or [i for i in places if holds_numbers(i)]
        wrong = "no column holds numbers."
    if found:
        wrong = "more than one column may be the EDA: name one by column (--column)."
        if len({names[i] for i in found}) < len(found):
            wrong = f"more than one column is named {names[found[0]]!r}: rename one."
    if len(found) != 1:
        raise DatasetError(f"{path}: {wrong} The columns are {list(names)}.")
    return found[0]


def _read_parquet(path: Path, column: str | None) -> np.ndarray:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        needed = "pip install edaemo[parquet]"
        raise DatasetError(f"{path}: parquet needs pyarrow: {needed}.") from error
    try:
        with parquet.ParquetFile(path) as file:
            # What pandas keeps of an index without a name is no column of the recording.
            fields = [
                field
                for field in file.schema_arrow
                if not re.fullmatch(r"__index_level_\d+__", field.name)
            ]
            plain = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in fields]
            i = _choose(path, [field.name for field in fields], plain.__getitem__, column)
            if not plain[i]:
                raise DatasetError(
                    f"{path}: column {fields[i].name!r} holds {fields[i].type} and no numbers."
                )
            values = file.read(columns=[fields[i].name]).column(0).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: this is no readable parquet file: {error}") from error
    if not len(values):
        raise DatasetError(f"{path}: the file holds no samples.")
    return values.astype(np.float64)
