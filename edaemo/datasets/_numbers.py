"""Read numbers in text files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Texts that mark a missing sample in tables, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none")


def read_number(text: str) -> float | None:
    """Return a number, NaN for a text in `MISSING`, or None for any other text."""
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
        If a line does not hold a number, or `cells` is empty. The message begins with "line" or
        "the file".
    """
    values = [read_number(cell) for cell in cells]
    if None in values:
        at = values.index(None)
        raise ValueError(
            f"line {first_line + at} does not hold a number: {cells[at][:40]!r}. Separate columns "
            "by commas, and write decimals with a point."
        )
    if not values:
        raise ValueError("the file has no samples.")
    return np.array(values, dtype=np.float64)
