"""Arrays of numbers out of pickles that nobody vouches for."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from typing import IO, Literal

import numpy as np

# What a pickle that is damaged, or made to do harm, may raise while it is read.
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
    """Read a pickled dict of numeric arrays, from Python 2 or 3, without running any of it.

    A pickle is a program: it may name any function of any module, and unpickling calls it. Here
    only names that stand for numpy's arrays are known, and what they stand for is this module's
    own code, which takes numbers alone; numpy's own unpickling, which trusts its input, is never
    called. Anything else that is named is refused before it is imported.

    Parameters
    ----------
    file : binary file
        Open for reading; of any protocol.

    Returns
    -------
    dict of str to ndarray
        Integers or floats, not to be written to: they share the memory that was read.

    Raises
    ------
    ValueError
        If it is cut short, no pickle, asks for anything but arrays of numbers, or holds no such
        dict.
    """
    try:
        content = _ArrayUnpickler(file, encoding="bytes").load()
    except _BAD_PICKLE as error:
        if isinstance(error, _RefusedError):
            raise ValueError(str(error)) from None
        what = str(error) or type(error).__name__
        raise ValueError(f"is cut short, or no pickle of arrays ({what[:80]}).") from error
    if not isinstance(content, dict):
        raise ValueError("holds no dict of arrays.")
    arrays = {}
    for key, value in content.items():
        value = value.values if isinstance(value, _Array) else value
        if not isinstance(key, (str, bytes)) or not isinstance(value, np.ndarray):
            raise ValueError("holds no dict of arrays.")
        arrays[_text(key)] = value
    return arrays


class _RefusedError(pickle.UnpicklingError):
    """A pickle asks for something that is not admitted."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ADMITTED:
            raise _RefusedError(
                f"asks for {module}.{name}, and nothing but numpy arrays is admitted: it was not "
                "run."
            )
        return _ADMITTED[module, name]


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, code: str | bytes, align: object = False, copy: object = True) -> None:
        self._code = _text(code)
        if re.fullmatch(r"[iu][1248]|f[248]", self._code) is None:
            raise _RefusedError(f"holds an array of {self._code!r}, and only numbers are admitted.")
        self._order = "="

    def __setstate__(self, state: tuple) -> None:
        _, order, *fields = state
        self._order = _text(order)
        if self._order not in ("<", ">", "=", "|") or any(one is not None for one in fields[:3]):
            raise _RefusedError("holds a structured array, and only numbers are admitted.")

    def as_numpy(self) -> np.dtype:
        return np.dtype(self._order + self._code)


class _Array:
    """Stands for numpy.ndarray."""

    values: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, content = state
        self.values = _from_bytes(content, dtype, shape, "F" if is_fortran else "C")


def _reconstruct(subtype: type, shape: object, code: object) -> _Array:
    """Stand for what numpy makes an empty array by, before its state is set."""
    if subtype is not _Array:
        raise _RefusedError("holds an array of a class of its own, and only arrays are admitted.")
    return _Array()


def _from_bytes(
    content: bytes | bytearray | str, dtype: _Dtype, shape: Sequence[int], order: Literal["C", "F"]
) -> np.ndarray:
    """Stand for what numpy makes an array of a buffer by (protocol 5)."""
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(content, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise _RefusedError("holds an array of objects, and only numbers are admitted.")
    return np.frombuffer(content, dtype.as_numpy()).reshape(shape, order=order)


def _encode(text: str, codec: str) -> bytes:
    """Stand for what Python 3 writes bytes by in protocols below 3."""
    if _text(codec) != "latin1":
        raise _RefusedError(f"asks for the codec {codec!r}, and latin1 alone is admitted.")
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
