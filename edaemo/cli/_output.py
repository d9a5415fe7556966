"""Output in which names, of files or in files, are only text: to terminals and in CSV files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    import pandas as pd

# Control characters except tab and end of line, halves of characters, and changes of the direction
# of the text. A return is kept only at the beginning, where progress bars write it.
_UNPRINTABLE = re.compile(
    "(?!^)\r(?!\n)|[\0-\b\v\f\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)
# Characters with which a formula begins in spreadsheets.
_FORMULA = re.compile(r"^\s*[=+\-@]|^[\t\r]")


class _Printable:
    """A text stream that replaces characters which could control a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; return the number of characters written."""
        text = escape(text)
        encoding = self._stream.encoding or "utf-8"
        return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


@contextmanager
def printable_output() -> Iterator[None]:
    """Replace, in the with block, what could control a terminal in all that is printed."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Printable(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def escape(text: str) -> str:
    r"""Return a text in which control characters are written as in Python, such as ``\x1b``."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV; text cells that would be formulas begin with a quote.

    Characters that are not text, such as bytes of names that are not UTF-8, are escaped.
    """
    import pandas as pd

    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    plain = {name: table[name].map(_plain_cell, na_action="ignore") for name in texts}
    return table.assign(**plain).to_csv(index=False)


def _plain_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return escape("'" + cell if _FORMULA.match(cell) else cell)
