"""A cache, shared within a process, of results that depend on a single trial."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


class TrialCache:
    """Cache of results by content of the trial; the least recently used are evicted first.

    Parameters
    ----------
    max_bytes : int
        Upper bound on the size of all cached results, in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held: OrderedDict[bytes, tuple[int, Any]] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()

    def get_many(
        self,
        signals: Sequence[np.ndarray],
        settings: tuple[Any, ...],
        compute: Callable[[list[int]], Sequence[T]],
        size: Callable[[T], int],
    ) -> list[T]:
        """Return the results for these signals; compute those that are not cached as one batch.

        Parameters
        ----------
        signals : sequence of ndarray
            The trials. dtype, shape and bytes of a trial are part of its key.
        settings : tuple
            Everything else that a result depends on; its ``repr`` is part of the key.
        compute : callable
            Takes the positions in `signals` of the missing results, ascending, without duplicate
            trials. Returns the results in that order. It is not called if all results are cached.
            It runs without the lock, so two threads may both compute a result.
        size : callable
            Returns the size of a result in bytes.
        """
        keys = [_key(signal, settings) for signal in signals]
        wanted: dict[bytes, int] = {}
        results: dict[bytes, T] = {}
        with self._lock:
            for place, key in enumerate(keys):
                if key in self._held:
                    self._held.move_to_end(key)
                    results[key] = self._held[key][1]
                else:
                    wanted.setdefault(key, place)
        if wanted:
            new = dict(zip(wanted, compute(list(wanted.values())), strict=True))
            results.update(new)
            with self._lock:
                for key, result in new.items():
                    self._keep(key, result, size(result))
        return [results[key] for key in keys]

    def _keep(self, key: bytes, result: object, n_bytes: int) -> None:
        """Store a result and evict the oldest ones; the caller must hold the lock."""
        if key not in self._held and n_bytes <= self.max_bytes:
            self._held[key] = (n_bytes, result)
            self._n_bytes += n_bytes
            while self._n_bytes > self.max_bytes:
                _, (freed, _) = self._held.popitem(last=False)
                self._n_bytes -= freed


def _key(signal: np.ndarray, settings: tuple[Any, ...]) -> bytes:
    head = f"{settings!r} {signal.dtype.str} {signal.shape}".encode()
    return hashlib.blake2b(head + np.ascontiguousarray(signal).tobytes()).digest()
