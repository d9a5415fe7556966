"""Settings of the whole process that several threads change to the same value at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class SharedSetting(Generic[_Value]):
    """A setting that has a value while at least one thread needs it, and then its earlier value.

    If each thread restored the value that it found, a thread could find the value that another
    thread has set, and restore it after the other thread has finished.

    Parameters
    ----------
    read : callable
        Returns the setting.
    write : callable
        Takes a value, and changes the setting to it.
    value : object
        The value that the threads need.
    """

    def __init__(
        self, read: Callable[[], _Value], write: Callable[[_Value], object], value: _Value
    ) -> None:
        self._read, self._write, self._value = read, write, value
        self._lock = threading.Lock()
        self._n_users = 0
        self._before: list[_Value] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Set the value in this context."""
        with self._lock:
            if self._n_users == 0:
                self._before = [self._read()]
                self._write(self._value)
            self._n_users += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_users -= 1
                if self._n_users == 0:
                    self._write(self._before.pop())
