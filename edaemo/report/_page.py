"""What a report is made of, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

NOTHING = "-"


class Row(NamedTuple):
    """Cells of a table; the first says what the row is about."""

    cells: Sequence[str]
    is_reference: bool = False


class Table(NamedTuple):
    """A table with its caption, a name for each column, and what has to be said below it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


class Picture(NamedTuple):
    """A figure: its source as a data URI, what stands below it, and what it shows in words."""

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
    """A part of the report under a heading of its own."""

    title: str
    level: int = 2
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def number(value: float, digits: int = 3) -> str:
    """Write a number, or a dash where there is none."""
    return NOTHING if np.isnan(value) else f"{value:.{digits}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """Write a number with its interval, where it has one."""
    if np.isnan(low) or np.isnan(high):
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def p_value(p: float) -> str:
    """Write a p value."""
    return "< 0.001" if p < 0.001 else number(p)
