"""Read numbers in text files."""

from __future__ import annotations

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
