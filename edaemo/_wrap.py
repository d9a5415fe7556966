"""Fold text with Markdown tables to a width."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby


def fold(text: str, width: int) -> str:
    """Fold text with Markdown tables to lines of at most `width` characters.

    A table that is too wide becomes several tables, one below the other, each with the first
    column of the whole. A single column that is too wide is not divided.

    Parameters
    ----------
    text : str
        Lines of text and of Markdown tables.
    width : int
        Greatest number of characters in a line.

    Returns
    -------
    str
        The folded text.
    """
    lines: list[str] = []
    for is_table, part in groupby(text.split("\n"), lambda line: line.startswith("|")):
        folded = _fold_table if is_table else _wrap
        lines += folded(list(part), width)
    return "\n".join(lines)


def _wrap(lines: list[str], width: int) -> list[str]:
    wrapped: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip(" -*")))
        wrapped += textwrap.wrap(line, width, subsequent_indent=indent) or [""]
    return wrapped


def _fold_table(lines: list[str], width: int) -> list[str]:
    """Return the lines of a table, as several tables if it is too wide."""
    if max(map(len, lines)) <= width:
        return lines
    rows = [[cell.strip() for cell in _CELLS.split(line.strip("| "))] for line in lines]
    n_columns = max(map(len, rows))
    rows = [row + [""] * (n_columns - len(row)) for row in rows]
    is_rule = [all(set(cell) <= set("-:") for cell in row) for row in rows]
    widths = [
        max(len(row[i]) for row, rule in zip(rows, is_rule, strict=True) if not rule)
        for i in range(n_columns)
    ]
    folded: list[str] = []
    for columns in _groups(widths, width):
        folded += [""] if folded else []
        for row, rule in zip(rows, is_rule, strict=True):
            cells = ("-" * widths[i] if rule else row[i].ljust(widths[i]) for i in columns)
            folded.append(f"| {' | '.join(cells)} |")
    return folded


# Columns are divided by "|", except by "\|".
_CELLS = re.compile(r"(?<!\\)\|")


def _groups(widths: list[int], width: int) -> list[list[int]]:
    """Divide the columns of a table into groups that fit, each with the first column."""
    groups = [[0]]
    for i in range(1, len(widths)):
        group = [*groups[-1], i]
        needed = sum(widths[j] + 3 for j in group) + 1
        if needed > width and len(groups[-1]) > 1:
            groups.append([0, i])
        else:
            groups[-1] = group
    return groups
