"""Contexts that set torch's threads, seeds and deterministic algorithms."""

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
    """Set the number of torch threads in this context, and restore it afterwards.

    Three settings belong to the calling thread: the number of OpenMP threads, the number of MKL
    threads, and whether the processor replaces denormal numbers by zero. Another library can set
    only one of them. Each can change the last digits of a result, so this context sets all three.
    The default dtype of torch, which belongs to the process, is float32 in this context: networks
    compute in single precision.

    Parameters
    ----------
    n_threads : int
        Number of threads.
    """
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    dtype = torch.get_default_dtype()
    # Skip redundant calls; each slows the next operation by 0.1 ms.
    if before != n_threads or _mkl_threads() not in (n_threads, None):
        torch.set_num_threads(n_threads)
    if flushed:
        torch.set_flush_denormal(False)
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if flushed:
            torch.set_flush_denormal(True)
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _flushes_denormals() -> bool:
    """Return whether the processor replaces denormal numbers by zero in this thread."""
    return _DENORMAL * 1.0 == 0.0


def _mkl_threads() -> int | None:
    """Return the number of MKL threads in this thread, or None if torch does not use MKL."""
    return _mkl_counter()()


@cache
def _mkl_counter() -> Callable[[], int | None]:
    """Return the MKL function that counts threads, or else a parser of torch's printed settings.

    The parser adds 0.07 ms to the prediction of a single trial.
    """
    try:
        return ctypes.PyDLL(f"{torch.__path__[0]}/lib/libtorch_cpu.so").MKL_Get_Max_Threads
    except (OSError, AttributeError):
        return _read_mkl_threads


def _read_mkl_threads() -> int | None:
    match = re.search(r"mkl_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info())
    return int(match[1]) if match else None


@contextmanager
def torch_deterministic(on: bool, device: str) -> Iterator[None]:
    """Restrict torch to deterministic algorithms in this context, if `on`.

    Parameters
    ----------
    on : bool
        Whether to restrict torch.
    device : str
        The torch device.

    Raises
    ------
    ValueError
        If CUDA lacks the environment variable that deterministic algorithms need.
    """
    if not on:
        yield
        return
    if device.startswith("cuda") and "CUBLAS_WORKSPACE_CONFIG" not in os.environ:
        raise ValueError(
            "deterministic=True on CUDA needs the environment variable "
            "CUBLAS_WORKSPACE_CONFIG=:4096:8. Set it before Python starts."
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
    """Seed torch in this context, and restore its generators afterwards.

    Parameters
    ----------
    seed : int
        The seed.
    device : str
        The torch device.
    """
    # `manual_seed` seeds every CUDA device.
    cuda = range(torch.cuda.device_count()) if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=list(cuda)):
        torch.manual_seed(seed)
        yield
