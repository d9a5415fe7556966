"""Files that appear whole under their name, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole_file(target: Path | Callable[[Path], Path], part: Path | None = None) -> Iterator[Path]:
    """Give a path to write to; what was written gets its name once it is whole.

    Processes may write the same file at the same time: the last one stays. After an error, or if
    nothing was written, `target` is as it was and nothing is left beside it.

    Parameters
    ----------
    target : path or callable
        The file; or what takes the path of the whole content and gives the file's name, for files
        that are named by their content. Then `part` is needed.
    part : path or None, default=None
        Where to write, in the folder of `target`; None for a hidden name that nobody else uses.
    """
    if part is None:
        part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        yield part
        os.replace(part, target(part) if callable(target) else target)
    finally:
        part.unlink(missing_ok=True)
