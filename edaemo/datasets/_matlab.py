"""Variables of MATLAB files, whatever is wrong with them said in one kind of error."""

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

# What a damaged file may raise, by the place of the damage.
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
        The file.
    names : sequence of str
        The variables; others are not read.

    Returns
    -------
    dict of str to ndarray
        A cell array is an array of objects.

    Raises
    ------
    ValueError
        If it is no such file, cut short, damaged, or lacks a variable.
    """
    if not content:
        raise ValueError("is empty.")
    if not _is_whole(content):
        raise ValueError("is cut short.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", MatReadWarning)
            # Without the check of lengths, as files of AMIGOS are longer than they say.
            found = loadmat(
                io.BytesIO(content),
                variable_names=list(names),
                verify_compressed_data_integrity=False,
            )
    except NotImplementedError as error:  # what scipy says of HDF5, which 7.3 is
        raise ValueError(
            "is a MATLAB file of version 7.3: save it with -v7 as published."
        ) from error
    except _BAD_FILE as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"is cut short, or no MATLAB file ({what[:80]}).") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"lacks the variables {missing}.")
    return {name: found[name] for name in names}


def read_variables(
    corpus: CorpusFiles, name: str, variables: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file of a corpus; what is wrong is an error that names it."""
    try:
        return read_matlab(corpus.read_bytes(name), variables)
    except ValueError as error:
        raise corpus.as_error(name, error) from error


def _is_whole(content: bytes) -> bool:
    """Say whether a file of version 5 to 7 ends where its last variable does; True for others.

    The decompression does not miss the end of a variable that was cut off.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        return True
    at = 128
    while at < len(content):
        tag = content[at : at + 8]
        at += 8 + (struct.unpack(f"{order}4xI", tag)[0] if len(tag) == 8 else 0)
    return at == len(content)
