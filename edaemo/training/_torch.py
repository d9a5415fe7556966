"""The state of torch inside a fit or a prediction: threads, seeds, deterministic algorithms."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

_DENORMAL = 1e-310


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch compute with so many threads inside the block, and as before after it.

    The numbers of threads of OpenMP and of MKL, and whether the processor takes denormal numbers
    for zero, belong to the thread that this is called in, and another library may have set one of
    them alone. Each can change the last digits of a result, so all three are set.
    """
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    # Setting again what is set slows the next operation by a tenth of a millisecond.
    if before != n_threads or _mkl_threads() not in (n_threads, None):
        torch.set_num_threads(n_threads)
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _flushes_denormals() -> bool:
    """Say whether the processor takes denormal numbers for zero in this thread."""
    return _DENORMAL * 1.0 == 0.0


def _mkl_threads() -> int | None:
    """Return MKL's number of threads in this thread; None where torch does not use MKL."""
    return _mkl_counter()()


@cache
def _mkl_counter() -> Callable[[], int | None]:
    """Return the function of torch's own MKL that counts its threads, else what torch prints of it.

    To have torch print it costs a lone prediction 0.07 ms.
    """
    try:
        return ctypes.PyDLL(f"{torch.__path__[0]}/lib/libtorch_cpu.so").MKL_Get_Max_Threads
    except (OSError, AttributeError):
        return _read_mkl_threads


def _read_mkl_threads() -> int | None:
    found = re.search(r"mkl_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info())
    return int(found[1]) if found else None


@contextmanager
def torch_deterministic(on: bool, device: str) -> Iterator[None]:
    """Let torch use deterministic algorithms alone inside the block, if `on`."""
    if not on:
        yield
        return
    if device.startswith("cuda") and "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        raise ValueError(
            "deterministic=True on CUDA needs the environment variable "
            "CUBLAS_WORKSPACE_CONFIG=:4096:8, set before Python starts."
        )
    before = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warned)


@contextmanager
def torch_seed(seed: int, device: str) -> Iterator[None]:
    """Seed torch inside the block; its generators outside go on as if nothing had been drawn."""
    # manual_seed seeds every CUDA device.
    cuda = range(torch.cuda.device_count()) if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=list(cuda)):
        torch.manual_seed(seed)
        yield
