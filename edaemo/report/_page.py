"""Define the parts of a report, for all output formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

NOTHING = "-"


class Row(NamedTuple):
    """Cells of one row of a table; the first cell is the row header."""

    cells: Sequence[str]
    is_reference: bool = False


class Table(NamedTuple):
    """A table with a caption, a header for each column, and notes below the table."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


class Picture(NamedTuple):
    """A figure: its source as a data URI, its caption, and its alternative text."""

    source: str
    caption: str
    alt: str


class Confusion(NamedTuple):
    """Counts of trials, label by prediction, shape (k, k), and the names of the classes."""

    pipeline: str
    counts: np.ndarray
    classes: tuple[str, ...]


@dataclass
class Section:
    """A part of the report with a heading.

    A folded part shows only its heading until the reader opens it; in print it is unfolded.
    """

    title: str
    level: int = 2
    is_folded: bool = False
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # to be pasted into a paper


def number(value: float, digits: int = 3) -> str:
    """Return a number as text; a dash if it is NaN."""
    return NOTHING if np.isnan(value) else f"{value:.{digits}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """Return a number and its interval as text; without the interval if it is NaN."""
    if np.isnan(low) or np.isnan(high):
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def p_value(p: float) -> str:
    """Return a p value as text."""
    return "< 0.001" if p < 0.001 else number(p)
