"""Contexts that set torch's threads, seeds and deterministic algorithms."""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

import torch

from edaemo._shared_setting import SharedSetting

_DENORMAL = 1e-310
# Networks draw from torch's global generators: initial weights, dropout, the order of batches. Only
# one thread at a time may use them.
_generators = threading.RLock()
_single_precision = SharedSetting(torch.get_default_dtype, torch.set_default_dtype, torch.float32)
_only_deterministic = SharedSetting(
    lambda: (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    ),
    lambda setting: torch.use_deterministic_algorithms(setting[0], warn_only=setting[1]),
    (True, False),
)


def _release_in_child() -> None:
    """Make a new lock in a forked process, which does not have the thread that held the old one."""
    global _generators
    _generators = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Set the number of torch threads in this context, and restore it afterwards.

    Three settings belong to the calling thread: the number of OpenMP threads, the number of MKL
    threads, and whether the processor replaces denormal numbers by zero. Another library can set
    only one of them. Each can change the last digits of a result, so this context sets all three.
    The default dtype of torch, which belongs to the process, is float32 in this context: networks
    compute in single precision. The caller's default device, automatic mixed precision and
    inference mode do not reach into this context.

    Parameters
    ----------
    n_threads : int
        Number of threads.
    """
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    # Skip redundant calls; each slows the next operation by 0.1 ms.
    if before != n_threads or _mkl_threads() not in (n_threads, None):
        torch.set_num_threads(n_threads)
    if flushed:
        torch.set_flush_denormal(False)
    try:
        with _single_precision(), _without_modes():
            yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextmanager
def _without_modes() -> Iterator[None]:
    """Leave the modes of the calling thread that change where or how torch computes."""
    with ExitStack() as left:
        if torch.get_default_device().type != "cpu":
            left.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            left.enter_context(torch.inference_mode(False))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                left.enter_context(torch.autocast(kind, enabled=False))
        yield


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
    with _only_deterministic():
        yield


@contextmanager
def torch_seed(seed: int, device: str) -> Iterator[None]:
    """Seed torch in this context, and restore its generators afterwards.

    Other threads wait at this context and at `torch_generators` until it ends.

    Parameters
    ----------
    seed : int
        The seed.
    device : str
        The torch device.
    """
    # `manual_seed` seeds every CUDA device.
    cuda = range(torch.cuda.device_count()) if device.startswith("cuda") else []
    with torch_generators(list(cuda)):
        torch.manual_seed(seed)
        yield


@contextmanager
def torch_generators(cuda: list[int] | list[torch.device]) -> Iterator[None]:
    """Restore torch's generators after this context, which one thread at a time can enter.

    Parameters
    ----------
    cuda : list of int or of torch.device
        The CUDA devices whose generators are restored, too.
    """
    with _generators, torch.random.fork_rng(devices=cuda):
        yield
