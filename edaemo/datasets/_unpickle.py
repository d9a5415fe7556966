"""Read arrays of numbers from untrusted pickles, without running code in them."""

from __future__ import annotations

import codecs
import pickletools
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Literal

import numpy as np

# Exceptions that a damaged or malicious pickle may raise while it is read.
_BAD_PICKLE = (
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)
# Limits, far above those of the published files: they bound time, memory and recursion.
_MOST_OPERATIONS = 100_000
_LONGEST_TEXT = 1000
_LONGEST_TUPLE = 64
_DEEPEST_DICT = 8


def read_pickled_arrays(file: IO[bytes]) -> dict[str, np.ndarray]:
    """Read a pickled dict of numeric arrays, from Python 2 or 3, without running code in it.

    A pickle is a program. It may name any function of any module, and unpickling calls that
    function. This reader does not use Python's unpickler. It interprets only those operations that
    write dicts, texts, whole numbers, tuples and numpy arrays, and maps the names that pickled
    arrays use to code of this module, which accepts only numbers. It rejects any other operation or
    name. The number of operations, and the sizes and depths of values, have limits.

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
        content = _Interpreter(file.read()).run()
        if not isinstance(content, dict):
            raise _RefusedError("does not hold a dict of arrays.")
        return _read_tree(content)
    except _RefusedError:
        raise
    except _BAD_PICKLE as error:
        what = str(error) or type(error).__name__
        raise ValueError(f"is truncated or is not a pickle of arrays ({what[:80]}).") from error


def _read_tree(content: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    """Convert the values of a dict that was interpreted; a dict inside itself is too deep."""
    if depth > _DEEPEST_DICT:
        raise _RefusedError(f"holds dicts in more than {_DEEPEST_DICT} levels.")
    tree: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, _Array):
            tree[key] = value.values
        elif isinstance(value, dict):
            tree[key] = _read_tree(value, depth + 1)
        elif isinstance(value, (str, bytes)):
            tree[key] = _short_text(value)
        else:
            raise _RefusedError("does not hold a dict of arrays.")
    return tree


class _RefusedError(ValueError):
    """A pickle contains something that is not allowed."""


class _Dtype:
    """Replace numpy.dtype."""

    def __init__(self, code: str | bytes, align: object = False, copy: object = True) -> None:
        self._code = _short_text(code)
        if re.fullmatch(r"[iu][1248]|f[248]", self._code) is None:
            raise _RefusedError(
                f"holds an array of {self._code[:40]!r}, but only numbers are allowed."
            )
        self._order = "="

    def set_state(self, state: tuple[Any, ...]) -> None:
        _, order, *fields = state
        self._order = _short_text(order)
        structured = any(field is not None for field in fields[:3])
        if self._order not in ("<", ">", "=", "|") or structured:
            raise _RefusedError("holds a structured array, but only numbers are allowed.")

    def as_numpy(self) -> np.dtype:
        return np.dtype(self._order + self._code)


class _Array:
    """Replace numpy.ndarray."""

    values: np.ndarray

    def set_state(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        self.values = _from_bytes(content, dtype, shape, "F" if is_fortran else "C").values


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:
    """Replace the function with which numpy creates an empty array before it sets its state."""
    if subtype is not _Array:
        raise _RefusedError("holds an array of a subclass, but only plain arrays are allowed.")
    return _Array()


def _from_bytes(
    content: object, dtype: object, shape: tuple[int, ...], order: Literal["C", "F"]
) -> _Array:
    """Replace the function with which numpy creates an array from a buffer (protocol 5)."""
    if not isinstance(content, bytes) or not isinstance(dtype, _Dtype):
        raise _RefusedError("holds an array of objects, but only numbers are allowed.")
    array = _Array()
    array.values = np.frombuffer(content, dtype.as_numpy()).reshape(shape, order=order)
    return array


def _short_text(value: object) -> str:
    """Return a text of limited length; raise for any other value."""
    if not isinstance(value, (str, bytes)) or len(value) > _LONGEST_TEXT:
        raise _RefusedError(
            f"needs a text of at most {_LONGEST_TEXT} characters, where it has a "
            f"{type(value).__name__}."
        )
    return value.decode("latin1") if isinstance(value, bytes) else value


_ENCODE = object()  # replaces the function with which Python 3 writes bytes in protocols below 3
_MARK = object()
_NAMES = {operation.code: operation.name for operation in pickletools.opcodes}
_ADMITTED: Mapping[tuple[str, str], object] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_bytes,
    ("numpy._core.numeric", "_frombuffer"): _from_bytes,
    ("_codecs", "encode"): _ENCODE,
}


class _Interpreter:
    """Run the operations of a pickle that write arrays; each takes time and memory of its size."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._placed: set[int] = set()  # ids of the dicts that are in another dict
        self._n_encoded = 0

    def run(self) -> object:
        """Return the value of the pickle."""
        for _ in range(_MOST_OPERATIONS):
            code = self.take(1).decode("latin1")
            if code == ".":
                return self._stack.pop()
            if code in _OPERATIONS:
                _OPERATIONS[code](self)
            elif code in _NAMES:
                raise _RefusedError(
                    f"does not hold a dict of arrays: it has a {_NAMES[code]}, but only numbers "
                    "are allowed."
                )
            else:
                raise ValueError(f"byte {self._at} is not an operation")
        raise _RefusedError(f"has more than {_MOST_OPERATIONS} operations.")

    def take(self, size: int) -> bytes:
        """Return the next bytes of the file."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._content):
            raise EOFError(f"the file ends before byte {self._at}")
        return self._content[start : self._at]

    def take_line(self) -> bytes:
        """Return the bytes before the next end of line."""
        end = self._content.find(b"\n", self._at)
        if end < 0:
            raise EOFError("the last line has no end")
        line = self._content[self._at : end]
        self._at = end + 1
        return line

    def take_int(self, size: int, *, signed: bool = False) -> int:
        """Return a number of `size` bytes."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def take_int_line(self) -> int:
        """Return the number in the next line."""
        line = self.take_line()
        if len(line) > 21:
            raise ValueError(f"a whole number of {len(line)} digits")
        return int(line.removesuffix(b"L"))

    def take_sized(self, width: int) -> bytes:
        """Return bytes that follow their number, which has `width` bytes."""
        return self.take(self.take_int(width))

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def push_long(self) -> None:
        """Put a number of up to 8 bytes on the stack."""
        size = self.take_int(1)
        if size > 8:
            raise ValueError(f"a whole number of {size} bytes")
        self.push(self.take_int(size, signed=True))

    def push_quoted(self) -> None:
        """Put the bytes of a quoted text of Python 2 on the stack."""
        line = self.take_line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError("a text without quotes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of unknown escapes
            self.push(codecs.escape_decode(line[1:-1])[0])

    def pop_marked(self) -> list[Any]:
        """Remove the values above the last mark, and the mark; return the values."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def push_tuple(self, values: Sequence[Any]) -> None:
        """Put a tuple on the stack, which may hold tuples of single values, as arrays need."""
        inside = [part for value in values if isinstance(value, tuple) for part in value]
        if len(values) > _LONGEST_TUPLE or any(isinstance(part, tuple) for part in inside):
            raise _RefusedError(
                f"holds a tuple of more than {_LONGEST_TUPLE} elements or of 3 levels, which no "
                "array has."
            )
        self.push(tuple(values))

    def push_last(self, n: int) -> None:
        """Replace the last `n` values by a tuple of them."""
        if len(self._stack) < n:
            raise ValueError("a value is missing")
        values = self._stack[-n:]
        del self._stack[-n:]
        self.push_tuple(values)

    def push_dict(self, values: Sequence[Any]) -> None:
        """Put a dict on the stack."""
        self.push({})
        self.add_items(values)

    def add_items(self, values: Sequence[Any]) -> None:
        """Add keys and values to the dict on the stack; a dict may only be in one place."""
        items = self._stack[-1]
        if not isinstance(items, dict) or len(values) % 2:
            raise ValueError("items without a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(value, dict) and id(value) in self._placed:
                raise _RefusedError("holds the same dict in two places.")
            if isinstance(value, dict):
                self._placed.add(id(value))
            items[_short_text(key)] = value

    def add_item(self) -> None:
        """Add the key and the value on the stack to the dict below them."""
        value, key = self._stack.pop(), self._stack.pop()
        self.add_items([key, value])

    def push_name(self, module: object, name: object) -> None:
        """Put what replaces a function or class of numpy on the stack."""
        named = _short_text(module), _short_text(name)
        if named not in _ADMITTED:
            raise _RefusedError(
                f"asks for {'.'.join(named)[:80]}, but only numpy arrays are allowed: it was not "
                "run."
            )
        self.push(_ADMITTED[named])

    def push_named_on_stack(self) -> None:
        """Put what replaces a function on the stack, whose module and name are there."""
        name, module = self._stack.pop(), self._stack.pop()
        self.push_name(module, name)

    def call(self) -> None:
        """Replace a function and its arguments on the stack by its result."""
        arguments, function = self._stack.pop(), self._stack.pop()
        if function is _ENCODE:
            self.push(self._encode(*arguments))
        elif function in (_Dtype, _reconstruct, _from_bytes):
            self.push(function(*arguments))
        else:
            raise ValueError("a call of a value")

    def _encode(self, text: object, codec: object) -> bytes:
        if not isinstance(text, str) or _short_text(codec) != "latin1":
            raise _RefusedError("asks for a codec, but only latin1 is allowed.")
        self._n_encoded += len(text)
        if self._n_encoded > len(self._content):
            raise _RefusedError("encodes one text several times.")
        return text.encode("latin1")

    def build(self) -> None:
        """Set the state of the dtype or array on the stack."""
        state, value = self._stack.pop(), self._stack[-1]
        if not isinstance(value, (_Dtype, _Array)):
            raise ValueError("a state of another value")
        value.set_state(state)

    def put(self, key: int) -> None:
        """Remember the value on the stack."""
        self._memo[key] = self._stack[-1]

    def remember(self) -> None:
        """Remember the value on the stack under the next number."""
        self.put(len(self._memo))

    def get(self, key: int) -> None:
        """Put a remembered value on the stack."""
        self.push(self._memo[key])


# The operations of pickles that write arrays, by their code in the file (see pickletools).
_OPERATIONS: Mapping[str, Callable[[_Interpreter], object]] = {
    "\x80": lambda m: m.take(1),  # protocol
    "\x95": lambda m: m.take(8),  # frame
    "(": lambda m: m.push(_MARK),
    "N": lambda m: m.push(None),
    "\x88": lambda m: m.push(True),
    "\x89": lambda m: m.push(False),
    "I": lambda m: m.push(m.take_int_line()),  # also 00 and 01, which are false and true
    "L": lambda m: m.push(m.take_int_line()),
    "J": lambda m: m.push(m.take_int(4, signed=True)),
    "K": lambda m: m.push(m.take_int(1)),
    "M": lambda m: m.push(m.take_int(2)),
    "\x8a": lambda m: m.push_long(),
    "S": lambda m: m.push_quoted(),
    "T": lambda m: m.push(m.take_sized(4)),
    "U": lambda m: m.push(m.take_sized(1)),
    "V": lambda m: m.push(m.take_line().decode("raw-unicode-escape")),
    "X": lambda m: m.push(m.take_sized(4).decode()),
    "\x8c": lambda m: m.push(m.take_sized(1).decode()),
    "\x8d": lambda m: m.push(m.take_sized(8).decode()),
    "B": lambda m: m.push(m.take_sized(4)),
    "C": lambda m: m.push(m.take_sized(1)),
    "\x8e": lambda m: m.push(m.take_sized(8)),
    "\x96": lambda m: m.push(m.take_sized(8)),
    ")": lambda m: m.push(()),
    "t": lambda m: m.push_tuple(m.pop_marked()),
    "\x85": lambda m: m.push_last(1),
    "\x86": lambda m: m.push_last(2),
    "\x87": lambda m: m.push_last(3),
    "}": lambda m: m.push({}),
    "d": lambda m: m.push_dict(m.pop_marked()),
    "s": lambda m: m.add_item(),
    "u": lambda m: m.add_items(m.pop_marked()),
    "c": lambda m: m.push_name(m.take_line(), m.take_line()),
    "\x93": lambda m: m.push_named_on_stack(),
    "R": lambda m: m.call(),
    "b": lambda m: m.build(),
    "p": lambda m: m.put(m.take_int_line()),
    "q": lambda m: m.put(m.take_int(1)),
    "r": lambda m: m.put(m.take_int(4)),
    "\x94": lambda m: m.remember(),
    "g": lambda m: m.get(m.take_int_line()),
    "h": lambda m: m.get(m.take_int(1)),
    "j": lambda m: m.get(m.take_int(4)),
}
