"""Files that appear whole under their name, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole_file(target: Path, part: Path | None = None) -> Iterator[Path]:
    """Give a path to write to; what was written gets its name once it is whole.

    Processes may write the same file at the same time: the last one stays. After an error, or if
    nothing was written, `target` is as it was and nothing is left beside it.

    Parameters
    ----------
    target : path
        The file.
    part : path or None, default=None
        Where to write, in the folder of `target`; None for a hidden name that nobody else uses.
    """
    if part is None:
        part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    with file_named_by_content(part, lambda whole: target):
        yield part


@contextmanager
def file_named_by_content(part: Path, name: Callable[[Path], Path]) -> Iterator[Path]:
    """Give `part` to write to; it gets the path that `name` makes of it once it is whole."""
    try:
        yield part
        os.replace(part, name(part))
    finally:
        part.unlink(missing_ok=True)
