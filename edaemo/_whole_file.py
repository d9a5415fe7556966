"""Files that are written completely or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole_file(target: Path, part: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `target` when writing has succeeded.

    Several processes may write the same file at the same time; the last rename wins. After an
    error, or if nothing was written, `target` is unchanged and the temporary file is removed. An
    existing file keeps its permissions, and a symbolic link keeps its place: the file to which it
    points is replaced.

    Parameters
    ----------
    target : path
        The final path.
    part : path or None, default=None
        The temporary path, in the folder of `target`; None for a hidden, unique name.
    """
    if target.is_symlink():
        target = target.resolve()
    if part is None:
        part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    with file_named_by_content(part, lambda whole: target):
        yield part
        if target.is_file() and part.is_file():
            part.chmod(stat.S_IMODE(target.stat().st_mode))


@contextmanager
def file_named_by_content(part: Path, name: Callable[[Path], Path]) -> Iterator[Path]:
    """Yield `part` to write to; rename it to ``name(part)`` when writing has succeeded."""
    try:
        yield part
        os.replace(part, name(part))
    finally:
        part.unlink(missing_ok=True)


def safe_name(name: str) -> str:
    """Return a name that is one part of a path, different for different names.

    Letters, digits, spaces and ``_.,=+()-`` are kept. All other characters, and a dot at the
    beginning, become ``%`` and their bytes in hexadecimal digits. A name of more than 150 bytes is
    cut, and ends with a digest of the whole name.
    """
    safe = re.sub(r"^\.|[^\w .,=+()-]|[. ]$", lambda found: _escape(found[0]), name) or "%"
    if len(safe.encode()) <= 150:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{safe.encode()[:130].decode(errors='ignore')}%{digest}"


def _escape(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
