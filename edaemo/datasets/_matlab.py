"""Read variables of MATLAB files, and raise a ValueError or DatasetError for any bad file."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from edaemo._child_process import ChildError, call_in_child
from edaemo._child_readers import load_matlab
from edaemo.datasets._corpus import CorpusFiles

# Version and byte order in the header of files of version 7.3, which are HDF5.
_HDF5 = (b"\x00\x02IM", b"\x02\x00MI")


def read_matlab(content: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file of version 4 to 7, in a child process.

    Parameters
    ----------
    content : bytes
        Content of the file.
    names : sequence of str
        Names of the variables to read.

    Returns
    -------
    dict of str to ndarray
        Name → array. A cell array becomes an array of objects.

    Raises
    ------
    ValueError
        If the content is not such a file, is truncated or damaged, lacks a variable, or makes the
        library crash, hang or exceed its memory.
    """
    if not content:
        raise ValueError("is empty.")
    if not _is_whole(content):
        raise ValueError("is truncated.")
    if content[124:128] in _HDF5:
        raise ValueError("is a MATLAB file of version 7.3: save it with -v7 as published.")
    try:
        found = call_in_child(load_matlab, len(content), content, names)
    except (ChildError, ValueError, OSError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"is truncated or is not a MATLAB file ({what[:80]}).") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"lacks the variables {missing}.")
    return {name: found[name] for name in names}


def read_variables(
    corpus: CorpusFiles, name: str, variables: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file of a corpus; errors name the file."""
    try:
        return read_matlab(corpus.read_bytes(name), variables)
    except ValueError as error:
        raise corpus.as_error(name, error) from error


def _is_whole(content: bytes) -> bool:
    """Return whether a file of version 5 to 7 ends with its last variable; True for other files.

    The check is needed because the decompression does not notice a truncated variable.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        return True
    at = 128
    while at < len(content):
        tag = content[at : at + 8]
        at += 8 + (struct.unpack(f"{order}4xI", tag)[0] if len(tag) == 8 else 0)
    return at == len(content)
