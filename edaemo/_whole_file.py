"""Files that are written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole_file(target: Path, part: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `target` when writing has succeeded.

    Several processes may write the same file at the same time; the last rename wins. After an
    error, or if nothing was written, `target` is unchanged and the temporary file is removed.

    Parameters
    ----------
    target : path
        The final path.
    part : path or None, default=None
        The temporary path, in the folder of `target`; None for a hidden, unique name.
    """
    if part is None:
        part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    with file_named_by_content(part, lambda whole: target):
        yield part


@contextmanager
def file_named_by_content(part: Path, name: Callable[[Path], Path]) -> Iterator[Path]:
    """Yield `part` to write to; rename it to ``name(part)`` when writing has succeeded."""
    try:
        yield part
        os.replace(part, name(part))
    finally:
        part.unlink(missing_ok=True)
