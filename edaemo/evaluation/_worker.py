"""How the processes begin that work on folds: what is set here would be rude in a user's own."""

from __future__ import annotations

import ctypes
import os
import sys

from edaemo.evaluation._fold import end_with

# Of malloc.h: glibc's mallopt knows the settings by these numbers.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def begin_worker(driver: int) -> None:
    """Prepare this process, which `driver` started, before torch is loaded.

    Threads that wait let others compute. Memory that a training step gives back is kept for the
    next one: glibc would return large tensors to the system at once, and the system clears every
    page anew.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    end_with(driver)
