"""RTCAN with a time-major signal; in prediction it runs a few trials at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from edaemo.networks._fast._attention import TOGETHER
from edaemo.networks._fast._switch import prefers_fast, time_major
from edaemo.networks._rtcan import RTCAN


def is_for_rows(X: Tensor) -> bool:
    """Return whether rows X use the fast path."""
    return prefers_fast(X.device)


def rtcan(network: RTCAN, X: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """Compute the outputs for rows [EDA channel 0 | 1 | … | music].

    Under ``torch.inference_mode``, all layers after the first one run on a few trials at a time.
    Forward hooks of these layers are called for each group of trials.
    """
    eda, music = network._divide(X)
    # The layouts of a single filter are the same, so the layout is set again after the layer.
    x = time_major(network.shallow(time_major(eda)))
    at_once = network.training or torch.compiler.is_compiling() or len(x) <= TOGETHER
    if at_once or not torch.is_inference_mode_enabled():
        return network._finish(x, music)
    # The activations of a few trials fit in the cache. The larger x keeps glibc from returning
    # their memory to the system, from which the next group would have to request it again.
    groups = zip(x.split(TOGETHER), music.split(TOGETHER), strict=True)
    parts = [torch.cat([network._pool(part), songs], dim=1) for part, songs in groups]
    return torch.cat([network.classify(part) for part in parts])
