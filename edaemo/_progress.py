"""Show the progress of long work: a bar, or lines where a bar cannot be drawn."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm.auto import tqdm
from tqdm.std import tqdm as terminal_tqdm

# Seconds between two lines of progress in a file or a pipe.
SECONDS_BETWEEN_LINES = 30


class _Lines:
    """A file for tqdm that writes each state of the bar as a line of its own."""

    def __init__(self, target: TextIO) -> None:
        self._target = target
        self._last = ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line not in ("", self._last):
            self._target.write(line + "\n")
            self._last = line

    def flush(self) -> None:
        self._target.flush()


def progress_bar(total: int, *, initial: int = 0, unit: str, shown: bool | None) -> tqdm[Any]:
    """Return a bar of tqdm on standard error, to be used in a ``with`` statement.

    A notebook and a terminal show a bar. A file or a pipe gets a line every 30 s and,
    if the work took longer than that, at the end.

    Parameters
    ----------
    total, initial : int
        Steps of the whole work, and steps that are already done.
    unit : str
        Name of a step.
    shown : bool or None
        Whether to show the progress; None: only in a terminal or a notebook.

    Returns
    -------
    tqdm
    """
    in_notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
    drawn = in_notebook or sys.stderr.isatty()
    if drawn or not shown:
        hidden = not drawn if shown is None else not shown
        return tqdm(total=total, initial=initial, unit=unit, disable=hidden)
    return terminal_tqdm(
        total=total,
        initial=initial,
        unit=unit,
        file=_Lines(sys.stderr),
        delay=SECONDS_BETWEEN_LINES,
        mininterval=SECONDS_BETWEEN_LINES,
        maxinterval=SECONDS_BETWEEN_LINES,
        bar_format="{n_fmt} of {total_fmt} {unit}s, {elapsed}{postfix}",
    )
