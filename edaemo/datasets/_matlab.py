"""Read variables of MATLAB files, and raise a ValueError or DatasetError for any bad file."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Sequence

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError, MatReadWarning

from edaemo.datasets._corpus import CorpusFiles

# Exceptions that a damaged file may raise, depending on the position of the damage.
_BAD_FILE = (
    MatReadError,
    MatReadWarning,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


def read_matlab(content: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file of version 4 to 7.

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
        If the content is not such a file, is truncated or damaged, or lacks a variable.
    """
    if not content:
        raise ValueError("is empty.")
    if not _is_whole(content):
        raise ValueError("is truncated.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", MatReadWarning)
            # The check of lengths is off because files of AMIGOS are longer than they declare.
            found = loadmat(
                io.BytesIO(content),
                variable_names=list(names),
                verify_compressed_data_integrity=False,
            )
    except NotImplementedError as error:  # scipy raises this for HDF5, the format of version 7.3
        raise ValueError(
            "is a MATLAB file of version 7.3: save it with -v7 as published."
        ) from error
    except _BAD_FILE as error:
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
