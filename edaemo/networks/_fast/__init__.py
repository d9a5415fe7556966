"""Faster ways through RTCAN and its layers, to the same but for rounding.

Importing this package registers them. RTCAN's turns the signal time-major, and each layer that is
given a time-major tensor takes its own, so tensors of another layout go through the equations.

What a network learns and answers is the same either way but for rounding, and its parameters have
the same names. ``docs/performance.md`` has what the fast way is worth.
"""

from edaemo.networks._fast._attention import channel_attention, temporal_attention
from edaemo.networks._fast._convolution import conv_norm, convolution, max_pool
from edaemo.networks._fast._rtcan import is_for_rows, rtcan
from edaemo.networks._fast._switch import fast_paths, is_time_major, prefers_fast
from edaemo.networks._layers import (
    ConvNorm,
    Convolution,
    MaxPool,
    ResidualTemporalAttention,
    SignalChannelAttention,
)
from edaemo.networks._rtcan import RTCAN
from edaemo.networks._ways import FAST_WAYS, FastWay

__all__ = ["fast_paths", "prefers_fast"]

FAST_WAYS |= {
    Convolution: FastWay(is_time_major, convolution),
    MaxPool: FastWay(is_time_major, max_pool),
    ConvNorm: FastWay(is_time_major, conv_norm),
    SignalChannelAttention: FastWay(is_time_major, channel_attention),
    ResidualTemporalAttention: FastWay(is_time_major, temporal_attention),
    RTCAN: FastWay(is_for_rows, rtcan),
}
