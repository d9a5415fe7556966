"""RTCAN with its signal turned time-major, in prediction a few trials at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from edaemo.networks._fast._attention import TOGETHER
from edaemo.networks._fast._switch import prefers_fast, time_major
from edaemo.networks._rtcan import RTCAN


def is_for_rows(X: Tensor) -> bool:
    """Tell whether rows X take the fast way."""
    return prefers_fast(X.device)


def rtcan(network: RTCAN, X: Tensor) -> Tensor:
    """Compute logits of shape (B, n_outputs) for rows [EDA channel 0 | 1 | … | music].

    Under ``torch.inference_mode`` all layers behind the first one take a few trials at a time, and
    their forward hooks are called for each of these groups.
    """
    eda, music = network._divide(X)
    # One filter lies the same way either way, so the layout is made sure of twice.
    x = time_major(network.shallow(time_major(eda)))
    at_once = network.training or torch.compiler.is_compiling() or len(x) <= TOGETHER
    if at_once or not torch.is_inference_mode_enabled():
        return network._finish(x, music)
    # A few trials stay in the cache; the larger x keeps glibc from returning to the system what
    # they needed, which the next would have to ask for again.
    groups = zip(x.split(TOGETHER), music.split(TOGETHER), strict=True)
    return torch.cat([network._finish(*group) for group in groups])
