"""Read and check your own tables of trials and ratings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from edaemo.datasets._corpus import DatasetError, Problems
from edaemo.datasets._numbers import read_number

Table: TypeAlias = str | os.PathLike[str] | pd.DataFrame


def read_own_table(table: Table, columns: Sequence[str], what: str) -> pd.DataFrame:
    """Return a table, which must have at least these columns. All cells of a CSV file are text.

    Raises
    ------
    DatasetError
        If the table cannot be read, has no row, lacks a column or has a duplicate column.
    """
    frame = table if isinstance(table, pd.DataFrame) else _read_file(Path(table), what)
    where = what if isinstance(table, pd.DataFrame) else f"{what} {table}"
    names = list(frame.columns)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise DatasetError(f"The {where} has the columns {twice} more than once.")
    missing = [column for column in columns if column not in names]
    if missing:
        raise DatasetError(f"The {where} lacks the columns {missing}; it has {names}.")
    if not len(frame):
        raise DatasetError(f"The {where} has no rows.")
    return frame.reset_index(drop=True)


def _read_file(path: Path, what: str) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, encoding="utf-8-sig")
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ImportError as error:
        needed = "pip install edaemo[parquet]"
        raise DatasetError(f"The {what} {path}: parquet needs pyarrow: {needed}.") from error
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"The {what} {path} cannot be read: {reason}.") from error
    except ValueError as error:
        raise DatasetError(f"The {what} {path} is not a valid table: {error}.") from error
    if isinstance(frame.index, pd.RangeIndex):
        # pandas renames duplicate columns. This restores the names of the file.
        frame.columns = [str(name).strip() for name in header.iloc[0]]
        return frame.apply(lambda column: column.str.strip())
    raise DatasetError(f"The {what} {path} has more fields in its rows than in its header.")


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
            problems.add(f"row {row + 1} of the table has no whole number as {column}: {cell!r}.")
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
                problems.add(f"row {row} of the table has no finite number as {name}: {cell!r}.")
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
