"""Find and read single recordings of EDA: E4 exports, CSV and parquet files."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edaemo.datasets._corpus import DatasetError, is_hidden
from edaemo.datasets._empatica import FILES, is_start, parse_signal
from edaemo.datasets._numbers import read_number, read_numbers
from edaemo.decomposition import check_sampling_rate

SUFFIXES = (".csv", ".parquet")
# Names of EDA columns, in upper or lower case.
EDA_NAMES = ("eda", "gsr")
# Files that an E4 writes next to EDA.csv. Some have the format of EDA.csv but do not hold EDA.
E4_OTHERS = FILES - {"EDA.csv"}


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

        - ``EDA.csv`` of an E4, recognised by its content: the start time in the first line (UTC, in
          unix seconds or as ``YYYY-MM-DD hh:mm:ss``), the sampling rate in the second line, then
          one sample in each line;
        - one column of numbers without a header;
        - a table with a header.
    sampling_rate : float or None, default=None
        Samples per second (Hz). Files of an E4 contain it; it is required for all other files.
    column : str or None, default=None
        Column of a table. None is the column named eda or gsr (in upper or lower case), or else the
        only numeric column. Files of an E4 have no named columns and ignore it.

    Returns
    -------
    eda : ndarray of shape (n_samples,)
        The unchanged samples, float64, in the unit of the file (µS for an E4); NaN where they are
        missing.
    sampling_rate : float
        In Hz.

    Raises
    ------
    DatasetError
        If the file is missing, empty or not a recording, if no column or several columns could be
        the EDA, or if the sampling rate is not known or contradicts the file. The message begins
        with the path.
    ValueError
        If `sampling_rate` is not a positive finite number.
    """
    signals, sampling_rate = read_columns(path, [column], sampling_rate=sampling_rate)
    return signals[0], sampling_rate


def read_columns(
    path: str | os.PathLike[str],
    columns: Sequence[str | None],
    *,
    sampling_rate: float | None = None,
) -> tuple[list[np.ndarray], float]:
    """Read several columns of one recording; see `read_recording` for the rest.

    Parameters
    ----------
    path : path
    columns : sequence of str or None
        Columns of a table. Files of an E4, and files without a header, have only one column.
    sampling_rate : float or None, default=None

    Returns
    -------
    signals : list of ndarray of shape (n_samples,)
    sampling_rate : float
    """
    path = Path(path)
    if sampling_rate is not None:
        sampling_rate = check_sampling_rate(sampling_rate)
    _check_file(path)
    if path.suffix.lower() == ".parquet":
        signals = _read_parquet(path, columns)
    else:
        rows = read_csv_rows(path)
        if is_start(rows[0]):
            if len(columns) > 1:
                raise DatasetError(
                    f"{path}: a file of an E4 holds one signal, but {len(columns)} are requested."
                )
            return _read_e4(path, rows, sampling_rate)
        signals = _read_csv(path, rows, columns)
    if sampling_rate is None:
        raise DatasetError(
            f"{path}: the file does not contain its sampling rate. Pass sampling_rate (on the "
            "command line --sampling-rate), in Hz."
        )
    return signals, sampling_rate


def find_recordings(
    inputs: Sequence[str | os.PathLike[str]], *, leave_out: str | os.PathLike[str] | None = None
) -> list[tuple[Path, Path]]:
    """Find the recordings in files and folders.

    Parameters
    ----------
    inputs : sequence of path
        Files and folders. Files are returned without any check, even if they do not exist. Folders
        are searched at any depth for ``*.csv`` and ``*.parquet``. Hidden files, and the files that
        an E4 writes next to its EDA.csv, are skipped.
    leave_out : path or None, default=None
        A folder to skip, such as the folder for results. It may still be one of the inputs.

    Returns
    -------
    list of (path, relative path)
        Files in the order of the inputs, and sorted by name in a folder. The relative path is the
        name of the file, or, for a file found in a folder, its path relative to that folder.

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
            raise DatasetError(f"{given} holds no recording, that is, no *.csv or *.parquet file.")
        found += inside
    return found


def _is_recording(file: Path, folder: Path) -> bool:
    if file.suffix.lower() not in SUFFIXES or not file.is_file():
        return False
    if is_hidden(file.relative_to(folder).as_posix()):
        return False
    return file.name not in E4_OTHERS or not file.with_name("EDA.csv").exists()


def _is_below(file: Path, leave_out: str | os.PathLike[str] | None, folder: Path) -> bool:
    """Return whether a file is in the folder to leave out, if that is inside the input folder."""
    if leave_out is None:
        return False
    left = Path(leave_out).resolve()
    return folder.resolve() in left.parents and left in file.resolve().parents


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DatasetError(f"{path}: this is a folder. Pass a file.")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DatasetError(f"{path}: this file does not exist.") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}.") from error
    if not size:
        raise DatasetError(f"{path}: the file is empty.")


def read_csv_rows(path: Path) -> list[list[str]]:
    """Return the cells of each line of a comma-separated file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.

    Returns
    -------
    list of list of str
        The cells without surrounding space, and without blank lines at the end.

    Raises
    ------
    DatasetError
        If the file cannot be read, is empty, or is not a comma-separated table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: this is not a text in UTF-8.") from error
    except csv.Error as error:
        raise DatasetError(f"{path}: this is not a comma-separated table: {error}.") from error
    while rows and (not rows[-1] or (len(rows[-1]) == 1 and rows[-1][0].isspace())):
        rows.pop()
    if not rows:
        raise DatasetError(f"{path}: the file is empty.")
    return [[cell.strip() for cell in row] for row in rows]


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the path to the message of a ValueError raised inside the with block."""
    try:
        yield
    except DatasetError:
        raise
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


def _read_e4(
    path: Path, rows: list[list[str]], sampling_rate: float | None
) -> tuple[list[np.ndarray], float]:
    if path.name in E4_OTHERS:
        raise DatasetError(f"{path}: this is not EDA. Use EDA.csv, in which an E4 records it.")
    with _naming(path):
        signal = parse_signal(rows)
    if sampling_rate not in (None, signal.sampling_rate):
        raise DatasetError(
            f"{path}: line 2 gives {signal.sampling_rate:g} Hz, but sampling_rate is "
            f"{sampling_rate:g} Hz. Pass the correct rate, or do not pass it."
        )
    return [signal.samples], signal.sampling_rate


def _read_csv(path: Path, rows: list[list[str]], columns: Sequence[str | None]) -> list[np.ndarray]:
    first = rows[0]
    if not any(first) or any(cell and read_number(cell) is not None for cell in first):
        width = max(map(len, rows))
        if width > 1:
            raise DatasetError(
                f"{path}: {width} columns and no header. Add a first line with the column names."
            )
        for column in columns:
            if column is not None:
                raise DatasetError(
                    f"{path}: the file has no header, so no column is named {column!r}."
                )
        with _naming(path):
            samples = read_numbers([cell for row in rows for cell in row or [""]], first_line=1)
        return [samples for _ in columns]
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(first) and (row or len(first) > 1):
            raise DatasetError(
                f"{path}: line {line} has {len(row)} columns, the header has {len(first)}."
            )
    table = [[row[i] if row else "" for row in rows[1:]] for i in range(len(first))]

    def holds_numbers(i: int) -> bool:
        values = [read_number(cell) for cell in table[i]]
        return None not in values and not np.isnan(np.array(values, dtype=np.float64)).all()

    chosen = [_choose(path, first, holds_numbers, column) for column in columns]
    with _naming(path):
        return [read_numbers(table[i], first_line=2) for i in chosen]


def _choose(
    path: Path, names: Sequence[str], holds_numbers: Callable[[int], bool], column: str | None
) -> int:
    """Return the position of the column that holds the EDA."""
    places = range(len(names))
    if column is not None:
        found = [i for i in places if names[i] == column]
        wrong = f"no column is named {column!r}."
    else:
        found = [i for i in places if names[i].lower() in EDA_NAMES]
        found = found or [i for i in places if holds_numbers(i)]
        wrong = "no column holds numbers."
    if found:
        wrong = "more than one column may be the EDA: choose one with column (--column)."
        if len({names[i] for i in found}) < len(found):
            wrong = f"more than one column is named {names[found[0]]!r}: rename one."
    if len(found) != 1:
        raise DatasetError(f"{path}: {wrong} The columns are {list(names)}.")
    return found[0]


def _read_parquet(path: Path, columns: Sequence[str | None]) -> list[np.ndarray]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        needed = "pip install edaemo[parquet]"
        raise DatasetError(f"{path}: parquet needs pyarrow: {needed}.") from error
    try:
        with parquet.ParquetFile(path) as file:
            # pandas stores an unnamed index as such a field. It is not a column of the recording.
            fields = [
                field
                for field in file.schema_arrow
                if not re.fullmatch(r"__index_level_\d+__", field.name)
            ]
            plain = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in fields]
            chosen = [
                fields[_choose(path, [field.name for field in fields], plain.__getitem__, column)]
                for column in columns
            ]
            for field in chosen:
                if not plain[fields.index(field)]:
                    raise DatasetError(
                        f"{path}: column {field.name!r} holds {field.type}, not numbers."
                    )
            table = file.read(columns=[field.name for field in chosen])
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: this is not a readable parquet file: {error}") from error
    if not len(table):
        raise DatasetError(f"{path}: the file has no samples.")
    return [table.column(field.name).to_numpy().astype(np.float64) for field in chosen]
