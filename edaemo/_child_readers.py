"""Readers of files by libraries written in C, for `call_in_child`; each imports its library."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def load_matlab(content: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Return variables of a MATLAB file by scipy, whose warnings are errors."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", MatReadWarning)
        # The check of lengths is off because files of AMIGOS are longer than they declare.
        return loadmat(
            io.BytesIO(content),
            variable_names=list(names),
            verify_compressed_data_integrity=False,
        )


def load_sheets(path: str) -> dict[str, list[list[Any]]] | None:
    """Return the cells of the sheets of a workbook by calamine; None if it has a password."""
    import python_calamine as calamine

    try:
        with calamine.CalamineWorkbook.from_path(path) as workbook:
            return {
                name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=True)
                for name in workbook.sheet_names
            }
    except calamine.PasswordError:
        return None


def load_parquet(path: str, columns: Sequence[str]) -> pa.Table:
    """Return columns of a parquet file by pyarrow, which verifies the checksums of the pages."""
    from pyarrow import parquet

    return parquet.read_table(path, columns=[*columns], page_checksum_verification=True)
