"""When the fast way is taken, and the layout that tells a layer so.

In the fast way tensors (B, C, L), of B trials, C filters and L samples, lie in memory time-major,
all filters of one sample beside each other, and so as images of height one in torch's channels-last
format, for which its CPU convolutions are written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# Also where oneDNN was told to use no more than AVX2.
_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512" and all(
    re.search("AVX512|AVX10|AMX|ALL|DEFAULT|^$", os.environ.get(name, "").upper())
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
)

# None: as `prefers_fast` says. EDAEMO_FAST_PATHS=0 and =1 are for tests and measurements.
_forced: bool | None = {"0": False, "1": True}.get(os.environ.get("EDAEMO_FAST_PATHS", ""))


@contextmanager
def fast_paths(on: bool | None) -> Iterator[None]:
    """Force the fast ways on or off inside the block, for tests and measurements.

    Parameters
    ----------
    on : bool or None
        None: on CPUs with AVX-512, where they were measured, and not in export nor in training
        under ``torch.compile``. On others they must not be forced.
    """
    global _forced
    before, _forced = _forced, on
    try:
        yield
    finally:
        _forced = before


def prefers_fast(device: torch.device) -> bool:
    """Say whether to work in the fast way on a device.

    By itself on processors with AVX-512 alone: with AVX2, oneDNN 3.12 damages memory in one of
    these convolutions (1 x 1 with few filters, gradient of the weights).
    """
    if _is_traced():
        return False
    if _forced is not None:
        return _forced
    return device.type == "cpu" and _AVX512


def _is_traced() -> bool:
    """Say whether torch looks for the plain layers: in an export, or to compile with gradients."""
    if not torch.compiler.is_compiling():
        return False
    return torch.compiler.is_exporting() or torch.is_grad_enabled()


def time_major(x: Tensor) -> Tensor:
    """Lay x of shape (B, C, L) out time-major."""
    return x.mT.contiguous().mT


def is_time_major(x: Tensor) -> bool:
    """Say whether x of shape (B, C, L) lies time-major, whatever lies between its samples.

    A single sample lies both ways, and counts as time-major.
    """
    if _is_traced():
        return False
    _, n_filters, length = x.shape
    return n_filters > 1 and x.stride(1) == 1 and (length == 1 or x.stride(2) >= n_filters)
