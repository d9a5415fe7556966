"""Fit printed text to the width of a terminal; files and pipes get it unchanged."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from edaemo._wrap import fold


def print_text(text: str) -> None:
    """Print text with Markdown tables, folded to the width of the terminal if there is one."""
    if sys.stdout.isatty():
        text = fold(text, shutil.get_terminal_size().columns)
    print(text)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return indented rows with aligned columns; the last column is wrapped in a terminal."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns[:-1]]
    start = 2 + sum(width + 2 for width in widths)
    space = shutil.get_terminal_size().columns - start if sys.stdout.isatty() else 0
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        last = textwrap.wrap(row[-1], space) if space >= 20 else [row[-1]]
        lines.append("  ".join(["", *cells, *last[:1]]).rstrip())
        lines += [" " * start + line for line in last[1:]]
    return "\n".join(lines)
