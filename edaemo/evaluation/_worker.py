"""Prepare the processes that work on folds, with settings that a user's process must not have."""

from __future__ import annotations

import ctypes
import os
import sys

from edaemo._processes import end_with

# The numbers of these glibc mallopt settings in malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def begin_worker(driver: int) -> None:
    """Prepare this process, which `driver` started, before torch is loaded.

    Waiting threads yield the CPU. The process keeps the memory that a training step frees for the
    next step. By default, glibc returns large tensors to the system at once, and the system has to
    clear every page again.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    end_with(driver)
