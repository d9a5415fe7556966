"""Decide whether the fast path is used, and set the layout by which layers recognise it.

In the fast path, tensors (B, C, L) of B trials, C filters and L samples are time-major in memory:
all filters of one sample are adjacent. This is the layout of images of height one in torch's
channels-last format, for which torch's CPU convolutions are optimised.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# False also if an environment variable limits oneDNN to AVX2.
_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512" and all(
    re.search("AVX512|AVX10|AMX|ALL|DEFAULT|^$", os.environ.get(name, "").upper())
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
)

# None: `prefers_fast` decides. EDAEMO_FAST_PATHS=0 and =1 are for tests and measurements.
_forced: bool | None = {"0": False, "1": True}.get(os.environ.get("EDAEMO_FAST_PATHS", ""))


@contextmanager
def fast_paths(on: bool | None) -> Iterator[None]:
    """Force the fast paths on or off in this context, for tests and measurements.

    Parameters
    ----------
    on : bool or None
        None: fast paths are on for CPUs with AVX-512, on which they were measured. They are off
        in export and in training under ``torch.compile``. Do not force them on other CPUs.
    """
    global _forced
    before, _forced = _forced, on
    try:
        yield
    finally:
        _forced = before


def prefers_fast(device: torch.device) -> bool:
    """Return whether a device uses the fast path.

    By default, only processors with AVX-512 use it. With AVX2, oneDNN 3.12 corrupts memory in one
    of these convolutions (1 x 1 with few filters, gradient of the weights).

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    bool
        True for the fast path.
    """
    if _is_traced():
        return False
    if _forced is not None:
        return _forced
    return device.type == "cpu" and _AVX512


def _is_traced() -> bool:
    """Return whether torch traces the layers for an export, or to compile with gradients."""
    if not torch.compiler.is_compiling():
        return False
    return torch.compiler.is_exporting() or torch.is_grad_enabled()


def time_major(x: Tensor) -> Tensor:
    """Return x of shape (B, C, L) in time-major layout."""
    return x.mT.contiguous().mT


def is_time_major(x: Tensor) -> bool:
    """Return whether x of shape (B, C, L) is time-major; gaps between its samples are allowed.

    A single sample counts as time-major.
    """
    if _is_traced():
        return False
    _, n_filters, length = x.shape
    return n_filters > 1 and x.stride(1) == 1 and (length == 1 or x.stride(2) >= n_filters)
