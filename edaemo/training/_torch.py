"""The state of torch inside a fit or a prediction: threads, seeds, deterministic algorithms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch use so many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    # To set what is set slows what comes next by a tenth of a millisecond.
    if before != n_threads:
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


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
