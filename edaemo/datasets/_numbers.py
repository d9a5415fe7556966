"""Numbers in text files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# How tables say that a sample is missing.
MISSING = ("", "na", "n/a", "nan", "null", "none")


def read_number(text: str) -> float | None:
    """Return a number, NaN for what says that it is missing, None for anything else."""
    if text.lower() in MISSING:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return None


def read_numbers(cells: Sequence[str], first_line: int) -> np.ndarray:
    """Return one number for each line as float64, NaN where it is missing.

    Raises
    ------
    ValueError
        If a line holds something else, or there is none; the message begins with "line" or "the
        file".
    """
    values = [read_number(cell) for cell in cells]
    if None in values:
        at = values.index(None)
        raise ValueError(
            f"line {first_line + at} holds no number: {cells[at][:40]!r}. Columns are separated by "
            "commas, decimals by points."
        )
    if not values:
        raise ValueError("the file holds no samples.")
    return np.array(values, dtype=np.float64)
