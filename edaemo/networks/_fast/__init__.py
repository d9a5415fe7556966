"""Fast implementations of RTCAN and its layers.

Importing this package registers them. The fast path of RTCAN makes the signal time-major. Each
layer uses its fast implementation if its input is time-major, and its equations otherwise.

Both implementations give the same training and predictions, except for rounding, and their
parameters have the same names. ``docs/performance.md`` lists the speed-up.
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
