"""Read numbers in text files."""

from __future__ import annotations

import numpy as np

# Texts that mark a missing sample in tables, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none")


def plain_number(text: str) -> str:
    """Return a text; raise a ValueError for 1_000, which only Python reads as 1000."""
    if "_" in text:
        raise ValueError(f"{text[:40]!r} is not a number.")
    return text


def read_number(text: str) -> float | None:
    """Return a number, NaN for a text in `MISSING`, or None for any other text."""
    if text.lower() in MISSING:
        return np.nan
    try:
        return float(plain_number(text))
    except ValueError:
        return None
