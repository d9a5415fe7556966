"""Read and check your own tables of trials and ratings."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from edaemo._child_process import ChildError, call_in_child
from edaemo._validation import name_some, suggest
from edaemo.datasets._corpus import DatasetError, Problems
from edaemo.datasets._numbers import read_number
from edaemo.datasets._text import HEAD, find_encoding
from edaemo.datasets._workbook import WORKBOOKS, read_sheets

_MOST_COLUMNS = 10_000
# A number with a decimal comma, in a table whose columns another sign separates.
_COMMA = re.compile(r"^\s*(-?\d+),(\d+)\s*$")

Table: TypeAlias = str | os.PathLike[str] | pd.DataFrame


def read_own_table(
    table: Table,
    columns: Sequence[str],
    what: str,
    rename: Mapping[str, str] | None = None,
    unless: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return a table, which must have at least these columns. All cells of a CSV file are text.

    `rename` maps names in the table to names of edaemo; `unless` maps columns to columns with which
    they may be absent.

    Raises
    ------
    DatasetError
        If the table cannot be read, has no row, lacks a column or has a duplicate column.
    """
    frame = table if isinstance(table, pd.DataFrame) else _read_file(Path(table), what)
    where = what if isinstance(table, pd.DataFrame) else f"{what} {table}"
    for name in rename or {}:
        if name not in frame.columns:
            raise DatasetError(
                f"The {where} has no column {name!r}, which columns= names. "
                f"{suggest(name, map(str, frame.columns))}"
            )
    frame = frame.rename(columns=dict(rename or {}))
    names = list(frame.columns)
    twice = sorted(str(name) for name, count in Counter(names).items() if count > 1)
    if twice:
        raise DatasetError(f"The {where} has the columns {name_some(twice)} more than once.")
    replaced = [column for column, other in (unless or {}).items() if other in names]
    missing = [column for column in columns if column not in (*names, *replaced)]
    if missing:
        raise DatasetError(
            f"The {where} lacks the columns {missing}; it has {name_some(names)}."
            f"{_suggest_columns(missing, names)}"
        )
    if not len(frame):
        raise DatasetError(f"The {where} has no rows.")
    return frame.reset_index(drop=True)


# Words for the columns that people call otherwise.
_OTHER_NAMES = {
    "subject": ("participant", "person", "id", "pid", "proband", "vp", "sub", "user"),
    "stimulus": ("song", "video", "clip", "condition", "stim", "item", "trial_type"),
    "file": ("filename", "path", "recording"),
    "trial": ("order", "block", "number"),
    "onset": ("start", "begin", "time"),
}


def _suggest_columns(missing: Sequence[str], names: Sequence[Any]) -> str:
    """Return a sentence with the argument columns= that may name the missing columns."""
    likely = {}
    for column in missing:
        known = (column, *_OTHER_NAMES.get(column, ()))
        for name in (text for text in map(str, names) if len(text) <= 60):
            words = re.findall("[a-z]+", name.lower())
            if name not in likely and any(get_close_matches(w, known, 1, 0.85) for w in words):
                likely[name] = column
                break
    return f" If these are the columns, pass columns={likely}." if likely else ""


def _read_file(path: Path, what: str) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow  # noqa: F401

            size = path.stat().st_size
            return call_in_child(pd.read_parquet, size, path, page_checksum_verification=True)
        if path.suffix.lower() in WORKBOOKS:
            sheets = read_sheets(path)
            if len(sheets) > 1:
                raise DatasetError(
                    f"The {what} {path} has several sheets with cells: {name_some(sheets)}. Keep "
                    "one."
                )
            content = next(iter(sheets.values()))
        else:
            content = path.read_bytes()
        settings = {**_find_dialect(path, content), "dtype": str, "keep_default_na": False}
        n_columns = content.partition(b"\n")[0].count(settings["sep"].encode()) + 1
        if n_columns > _MOST_COLUMNS:
            raise DatasetError(
                f"The {what} {path} has {n_columns} columns, and may have {_MOST_COLUMNS}. Pass a "
                "table with one row for each trial, and signals in files of their own."
            )
        header = pd.read_csv(io.BytesIO(content), header=None, nrows=1, **settings)
        frame = pd.read_csv(io.BytesIO(content), **settings)
    except DatasetError:
        raise
    except ImportError as error:
        needed = "pip install edaemo[parquet]"
        raise DatasetError(f"The {what} {path}: parquet needs pyarrow: {needed}.") from error
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"The {what} {path} cannot be read: {reason}.") from error
    except (ChildError, ValueError) as error:
        raise DatasetError(f"The {what} {path} is not a valid table: {error}.") from error
    if isinstance(frame.index, pd.RangeIndex):
        # pandas renames duplicate columns. This restores the names of the file.
        frame.columns = [str(name).strip() for name in header.iloc[0]]
        frame = frame.apply(lambda column: column.str.strip())
        return _read_commas(frame) if settings["sep"] != "," else frame
    raise DatasetError(f"The {what} {path} has more fields in its rows than in its header.")


def _read_commas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts with decimal points in the columns whose cells are all numbers."""
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i].str.replace(_COMMA, r"\1.\2", regex=True)
        if all(read_number(cell) is not None for cell in column):
            frame.isetitem(i, column)
    return frame


def _find_dialect(path: Path, content: bytes) -> dict[str, Any]:
    """Return encoding and delimiter of a table, for pandas; the delimiter is the header's."""
    if not content.strip():
        return {"encoding": "utf-8", "sep": ","}  # pandas raises the error
    encoding = find_encoding(path, content[:HEAD])
    first = content[:HEAD].decode(encoding, "replace").lstrip("\ufeff").split("\n")[0]
    return {"encoding": encoding, "sep": max(",;\t", key=first.count)}  # the first of equals


def read_ids(frame: pd.DataFrame, column: str, problems: Problems) -> list[str]:
    """Return ids as text; note the rows without an id."""
    ids = ["" if pd.isna(value) else str(value).strip() for value in frame[column]]
    for row, value in enumerate(ids):
        if not value:
            problems.add(f"row {row + 1} of the table has no {column}. Add it.")
    return ids


def read_whole_numbers(frame: pd.DataFrame, column: str, problems: Problems) -> list[int]:
    """Return whole numbers; note the rows without a whole number, and set them to -1."""
    numbers = []
    for row, value in enumerate(_numbers(frame[column])):
        if value is not None and np.isfinite(value) and value == int(value):
            numbers.append(int(value))
        else:
            cell = frame[column].iloc[row]
            problems.add(
                f"row {row + 1} of the table has no whole number as {column}: {cell!r:.60}."
            )
            numbers.append(-1)
    return numbers


def read_rating_columns(
    frame: pd.DataFrame,
    names: Iterable[str],
    rating_range: tuple[float, float] | None,
    problems: Problems,
) -> dict[str, np.ndarray]:
    """Return ratings as float64, NaN for empty cells; note invalid and out-of-range ratings."""
    ratings = {}
    for name in names:
        values = []
        for row, value in enumerate(_numbers(frame[name]), start=1):
            if value is None or np.isinf(value):
                cell = frame[name].iloc[row - 1]
                problems.add(
                    f"row {row} of the table has no finite number as {name}: {cell!r:.60}."
                )
            elif rating_range is not None and not (
                np.isnan(value) or rating_range[0] <= value <= rating_range[1]
            ):
                lowest, highest = rating_range
                problems.add(
                    f"row {row} of the table has {value:g} as {name}, outside {lowest:g} to "
                    f"{highest:g}."
                )
            values.append(np.nan if value is None else value)
        ratings[name] = np.array(values, dtype=np.float64)
    return ratings


def read_column(column: pd.Series) -> list[Any] | np.ndarray:
    """Return a column as float64 if all of its cells are numbers or empty, else unchanged."""
    numbers = _numbers(column)
    values = np.array(numbers, dtype=np.float64)
    return column.to_list() if None in numbers or np.isnan(values).all() else values


def check_rating_range(rating_range: Sequence[float] | None) -> tuple[float, float] | None:
    """Return (lowest, highest) as floats, or None."""
    if rating_range is None:
        return None
    ends = list(rating_range)
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in ends)
    if len(ends) != 2 or not numbers or not ends[0] < ends[1]:
        raise ValueError(f"rating_range must be (lowest, highest) or None, got {rating_range!r}.")
    return float(ends[0]), float(ends[1])


def _numbers(column: pd.Series) -> list[float | None]:
    """Return a number for each cell: NaN for an empty cell, None for any other content."""
    return [_number(cell) for cell in column]


def _number(cell: object) -> float | None:
    if isinstance(cell, str):
        return read_number(cell.strip())
    if isinstance(cell, Real) and not isinstance(cell, (bool, np.bool_)):
        return float(cell)
    return np.nan if cell is None or cell is pd.NA else None
