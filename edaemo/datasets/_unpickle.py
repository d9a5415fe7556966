"""Read arrays of numbers from untrusted pickles, without running code in them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from typing import IO, Any, Literal

import numpy as np

# Exceptions that a damaged or malicious pickle may raise while it is read.
_BAD_PICKLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_pickled_arrays(file: IO[bytes]) -> dict[str, np.ndarray]:
    """Read a pickled dict of numeric arrays, from Python 2 or 3, without running code in it.

    A pickle is a program. It may name any function of any module, and unpickling calls that
    function. This reader only accepts the names that pickled numpy arrays use. It maps these names
    to code of this module, which accepts only numbers. It never calls the unpickling code of numpy,
    which trusts its input. Any other name is rejected before it is imported.

    Parameters
    ----------
    file : binary file
        File open for reading, with a pickle of any protocol.

    Returns
    -------
    dict of str to ndarray
        Read-only arrays of integers or floats, which share the memory of the bytes that were read.

    Raises
    ------
    ValueError
        If the file is truncated, is not a pickle, contains anything other than numeric arrays, or
        does not hold such a dict.
    """
    arrays = {}
    for key, value in read_pickled_tree(file).items():
        if not isinstance(value, np.ndarray):
            raise ValueError("does not hold a dict of arrays.")
        arrays[key] = value
    return arrays


def read_pickled_tree(file: IO[bytes]) -> dict[str, Any]:
    """Read a pickled dict of numeric arrays, texts and such dicts, without running code in it.

    The reader is as strict as `read_pickled_arrays`.

    Parameters
    ----------
    file : binary file
        File open for reading, with a pickle of any protocol.

    Returns
    -------
    dict of str to ndarray, str or dict
        As in the file; arrays are read-only.

    Raises
    ------
    ValueError
        If the file is truncated, is not a pickle, or contains anything else.
    """
    try:
        content = _ArrayUnpickler(file, encoding="bytes").load()
        if not isinstance(content, dict):
            raise _RefusedError("does not hold a dict of arrays.")
        return _read_tree(content)
    except _BAD_PICKLE as error:
        if isinstance(error, _RefusedError):
            raise ValueError(str(error)) from None
        what = str(error) or type(error).__name__
        raise ValueError(f"is truncated or is not a pickle of arrays ({what[:80]}).") from error


def _read_tree(content: dict[Any, Any]) -> dict[str, Any]:
    """Convert the values of a dict that was unpickled; a dict inside itself is too deep."""
    tree: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, _Array):
            value = value.values
        elif isinstance(value, dict):
            value = _read_tree(value)
        elif isinstance(value, (str, bytes)):
            value = _text(value)
        if not isinstance(key, (str, bytes)) or not isinstance(value, (np.ndarray, dict, str)):
            raise _RefusedError("does not hold a dict of arrays.")
        tree[_text(key)] = value
    return tree


class _RefusedError(pickle.UnpicklingError):
    """A pickle contains something that is not allowed."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ADMITTED:
            raise _RefusedError(
                f"asks for {module}.{name}, but only numpy arrays are allowed: it was not run."
            )
        return _ADMITTED[module, name]


class _Dtype:
    """Replace numpy.dtype."""

    def __init__(self, code: str | bytes, align: object = False, copy: object = True) -> None:
        self._code = _text(code)
        if re.fullmatch(r"[iu][1248]|f[248]", self._code) is None:
            raise _RefusedError(f"holds an array of {self._code!r}, but only numbers are allowed.")
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *fields = state
        self._order = _text(order)
        structured = any(field is not None for field in fields[:3])
        if self._order not in ("<", ">", "=", "|") or structured:
            raise _RefusedError("holds a structured array, but only numbers are allowed.")

    def as_numpy(self) -> np.dtype:
        return np.dtype(self._order + self._code)


class _Array:
    """Replace numpy.ndarray."""

    values: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        self.values = _from_bytes(content, dtype, shape, "F" if is_fortran else "C")


def _reconstruct(subtype: type, shape: object, code: object) -> _Array:
    """Replace the function with which numpy creates an empty array before it sets its state."""
    if subtype is not _Array:
        raise _RefusedError("holds an array of a subclass, but only plain arrays are allowed.")
    return _Array()


def _from_bytes(
    content: bytes | bytearray | str, dtype: _Dtype, shape: Sequence[int], order: Literal["C", "F"]
) -> np.ndarray:
    """Replace the function with which numpy creates an array from a buffer (protocol 5)."""
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(content, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise _RefusedError("holds an array of objects, but only numbers are allowed.")
    return np.frombuffer(content, dtype.as_numpy()).reshape(shape, order=order)


def _encode(text: str, codec: str) -> bytes:
    """Replace the function with which Python 3 writes bytes in protocols below 3."""
    if _text(codec) != "latin1":
        raise _RefusedError(f"asks for the codec {codec!r}, but only latin1 is allowed.")
    return text.encode("latin1")


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


_ADMITTED: Mapping[tuple[str, str], object] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_bytes,
    ("numpy._core.numeric", "_frombuffer"): _from_bytes,
    ("_codecs", "encode"): _encode,
}
