"""Layers of RTCAN, implemented as in the equations of the paper.

Tensors are (B, C, L): B trials, C filters, L samples. Layers that call ``fast_way`` have a faster
implementation in ``networks/_fast``, with the same results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._ways import fast_way


class Convolution(nn.Conv1d):
    """A convolution over time."""

    padding: tuple[int, ...]  # never "same" or "valid"

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x of shape (B, C, L)."""
        if fast := fast_way(Convolution, x):
            return fast(self, x)
        return super().forward(x)


class MaxPool(nn.MaxPool1d):
    """Max pooling over neighbouring samples."""

    kernel_size: int
    stride: int
    padding: int

    def forward(self, x: Tensor) -> Tensor:
        """Pool x of shape (B, C, L)."""
        if fast := fast_way(MaxPool, x):
            return fast(self, x)
        return super().forward(x)


class Norm(nn.BatchNorm1d):
    """A batch norm that always has running statistics."""

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor


class ConvNorm(nn.Sequential):
    """A convolution, its batch norm and, if `relu`, a ReLU."""

    def __init__(self, convolution: Convolution, *, relu: bool = False) -> None:
        super().__init__(convolution, Norm(convolution.out_channels))
        if relu:
            self.append(nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Transform x of shape (B, C, L)."""
        if fast := fast_way(ConvNorm, x):
            return fast(self, x)
        convolution, norm, *relu = self
        x = norm(convolution(x))
        return F.relu(x, inplace=not torch.is_grad_enabled()) if relu else x


def clip_lengths(length: int, n_clips: int) -> list[int]:
    """Return the lengths of the clips; clip i begins at ``i * length // n_clips``."""
    starts = [i * length // n_clips for i in range(n_clips + 1)]
    return [stop - start for start, stop in pairwise(starts)]


def join(clips: Sequence[Tensor], dim: int = -1) -> Tensor:
    """Join clips along a dimension; return a single clip without a copy."""
    return clips[0] if len(clips) == 1 else torch.cat(list(clips), dim=dim)


def scale_clips(x: Tensor, weights: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """Multiply each clip of x (B, C, L) by its weights (B, C, n_clips)."""
    if len(lengths) == 1:
        return [x * weights]
    clips = zip(x.split(lengths, dim=-1), weights.split(1, dim=-1), strict=True)
    return [clip * weight for clip, weight in clips]


class SignalChannelAttention(nn.Module):
    """SCA, equation 8: weight each filter by a function of the mean of each filter.

    Parameters
    ----------
    n_filters : int
    reduction : int
        The hidden layer has ``n_filters // reduction`` units, at least one.
    n_clips : int, default=1
        Number of parts of the signal. Each part has its own weights. L >= n_clips.
    """

    def __init__(self, n_filters: int, reduction: int, n_clips: int = 1) -> None:
        super().__init__()
        n_hidden = max(n_filters // reduction, 1)
        self.squeeze = nn.Conv1d(n_filters, n_hidden, 1)
        self.excite = nn.Conv1d(n_hidden, n_filters, 1)
        self.n_clips = n_clips

    def forward(self, x: Tensor) -> Tensor:
        """Weight the filters of x of shape (B, C, L)."""
        if fast := fast_way(SignalChannelAttention, x):
            return fast(self, x)
        lengths = clip_lengths(x.shape[-1], self.n_clips)
        clips = x.split(lengths, dim=-1)
        mean = torch.stack([clip.mean(dim=-1) for clip in clips], dim=-1)
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(mean))))
        return join(scale_clips(x, weights, lengths))


class ResidualTemporalAttention(nn.Module):
    """RNTA, equations 10 to 13: self-attention over time, added to the input.

    The attention is an embedded Gaussian, ``softmax(theta' phi) g`` over time without a scale,
    computed within each clip. A convolution and its batch norm follow. The gain of the norm starts
    at zero, so RNTA starts as the identity, as in Wang et al. 2018 and in the released code. The
    paper does not specify the start.

    Parameters
    ----------
    n_filters : int
    n_clips : int
        Number of parts of the signal, L >= n_clips.
    published : bool
        False: as in the paper. Its equations have no biases, and the batch norm is computed over
        all clips joined. Its average pooling of phi and g has a kernel of one sample, which has no
        effect, and is left out. True: as in the released code. It has biases, max pooling over
        pairs of samples of phi and g, and a batch norm of each clip.
    """

    def __init__(self, n_filters: int, n_clips: int, *, published: bool) -> None:
        super().__init__()
        n_inner = max(n_filters // 2, 1)
        self.theta = nn.Conv1d(n_filters, n_inner, 1, bias=published)
        self.phi = nn.Conv1d(n_filters, n_inner, 1, bias=published)
        self.g = nn.Conv1d(n_filters, n_inner, 1, bias=published)
        self.project = Convolution(n_inner, n_filters, 1, bias=published)
        self.norm = Norm(n_filters)
        nn.init.zeros_(self.norm.weight)
        self.pool = MaxPool(2) if published else nn.Identity()
        self.n_clips, self.published = n_clips, published

    def forward(self, x: Tensor) -> Tensor:
        """Apply RNTA to x of shape (B, C, L)."""
        if fast := fast_way(ResidualTemporalAttention, x):
            return fast(self, x)
        clips = clip_lengths(x.shape[-1], self.n_clips)
        normed = clips if self.published else [x.shape[-1]]
        embedded = torch.cat([self.theta(x), self.phi(x), self.g(x)], dim=1)
        responses = self._respond(embedded, clips).contiguous().split(normed, dim=-1)
        return x + join([self.norm(self.project(response)) for response in responses])

    def _respond(self, embedded: Tensor, clips: Sequence[int]) -> Tensor:
        """Return the response (B, C / 2, L) to theta, phi and g, embedded (B, 3 C / 2, L)."""
        n_inner = self.theta.out_channels
        responses = []
        # (B, L, filters) from here on, so that the gradients of the clips are also time-major.
        for clip in embedded.mT.split(clips, dim=1):
            query, rest = clip.split([n_inner, 2 * n_inner], dim=2)
            key, value = self.pool(rest.mT).mT.split(n_inner, dim=2)
            responses.append(_attend(query, key, value))
        return torch.cat(responses, dim=1).mT


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute ``softmax(query key') value``; each argument has the shape (B, L, D)."""
    slow = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if slow or torch.compiler.is_exporting():
        # torch's fused attention takes 1.5 times as long in bfloat16 as in float32. Its export
        # checks for rows that are fully masked, which makes ONNX Runtime a fifth slower.
        return torch.softmax(query @ key.mT, dim=-1) @ value
    query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)
