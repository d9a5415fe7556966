"""Read sheets of workbooks (Excel, OpenDocument) as text, so that one reader serves both."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

from edaemo._child_process import ChildError, call_in_child
from edaemo._child_readers import load_sheets
from edaemo.datasets._corpus import DatasetError

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def read_sheets(path: Path) -> dict[str, bytes]:
    """Return the sheets of a workbook that have cells, as comma-separated text in UTF-8.

    Parameters
    ----------
    path : Path
        A workbook of Excel or in the OpenDocument format.

    Returns
    -------
    dict of str to bytes
        Name of the sheet → its text. Dates and times are in ISO 8601.

    Raises
    ------
    DatasetError
        If the file is not a workbook, has a password or has no cells, or python-calamine is not
        installed.
    """
    try:
        import python_calamine  # noqa: F401
    except ImportError as error:
        needed = "pip install edaemo[spreadsheets]"
        raise DatasetError(f"{path}: workbooks need python-calamine: {needed}.") from error
    try:
        sheets = call_in_child(load_sheets, path.stat().st_size, str(path))
    except (ChildError, ValueError, OSError) as error:
        raise DatasetError(
            f"{path}: this is not a readable workbook: {error}. Save it again, or as CSV."
        ) from error
    if sheets is None:
        raise DatasetError(f"{path}: the workbook has a password. Save it without one.")
    texts = {name: _write(rows) for name, rows in sheets.items() if rows}
    if not texts:
        raise DatasetError(f"{path}: the workbook is empty.")
    return texts


def _write(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_cell(cell) for cell in row] for row in rows])
    return text.getvalue().encode()


def _cell(cell: object) -> object:
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return cell
