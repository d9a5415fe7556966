"""SCA and RNTA of time-major tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from edaemo.networks._fast._convolution import Context, convolve, fixed_norm, remember
from edaemo.networks._fast._switch import is_time_major
from edaemo.networks._layers import (
    ResidualTemporalAttention,
    SignalChannelAttention,
    clip_lengths,
    join,
    scale_clips,
)

# Number of trials whose attention is computed together, so that their scores fit in the cache.
TOGETHER = 16

# A multiple of the vector length of the processor. torch computes the sigmoid of the remainder at
# the end of an array with another routine.
VECTOR = 64


def channel_attention(layer: SignalChannelAttention, x: Tensor) -> Tensor:
    """Weight the filters of x of shape (B, C, L)."""
    lengths = clip_lengths(x.shape[-1], layer.n_clips)
    if layer.training and torch.is_grad_enabled():
        layers = (layer.squeeze, layer.excite)
        matrices = [t for layer in layers for t in (layer.weight.squeeze(-1), layer.bias)]
        return _Attended.apply(x, *matrices, lengths)
    mean = _clip_means(x, lengths)
    scores = _multiply_each(F.relu(_multiply_each(mean, layer.squeeze)), layer.excite)
    return _join_in_layout(scale_clips(x, _sigmoid(scores).mT, lengths))


def temporal_attention(layer: ResidualTemporalAttention, x: Tensor) -> Tensor:
    """Apply RNTA to x of shape (B, C, L)."""
    clips = clip_lengths(x.shape[-1], layer.n_clips)
    responses = [layer._respond(_embed(layer, part), clips).mT for part in x.split(TOGETHER)]
    response = join(responses, dim=0).mT
    if layer.training:
        return _add_normed(layer, x, response, clips if layer.published else [x.shape[-1]])
    gain, shift = fixed_norm(layer.norm)
    if layer.project.bias is not None:
        shift = shift + gain * layer.project.bias
    return x + convolve(response, gain.view(-1, 1, 1) * layer.project.weight, shift)


def _clip_means(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """Average x of shape (B, C, L) over each clip, to (B, n_clips, C)."""
    if len(lengths) == 1:
        return x.mT.mean(dim=1, keepdim=True)
    return torch.stack([clip.mean(dim=-1) for clip in x.split(lengths, dim=-1)], dim=1)


def _multiply_each(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """Apply a convolution of kernel 1 to each trial of x (B, n, C) separately.

    In a joint product, the last digits for a trial would depend on the number of trials.
    """
    assert layer.bias is not None  # the layers of SCA have a bias
    weights = layer.weight.squeeze(-1).mT.expand(len(x), -1, -1)
    return torch.baddbmm(layer.bias, x, weights)


def _sigmoid(scores: Tensor) -> Tensor:
    """Return the sigmoid of padded scores, so that it does not depend on a score's position."""
    if not (left_over := scores.numel() % VECTOR):
        return torch.sigmoid(scores)
    filled = F.pad(scores.flatten(), (0, VECTOR - left_over))
    return torch.sigmoid(filled)[: scores.numel()].view_as(scores)


def _join_in_layout(clips: Sequence[Tensor]) -> Tensor:
    """Join clips (B, C, …) in time and keep their layout; a gradient can have either layout."""
    if len(clips) > 1 and is_time_major(clips[0]):
        return join([clip.mT for clip in clips], dim=1).mT
    return join(clips)


class _ContextOfClips(Context):
    lengths: Sequence[int]


class _Attended(torch.autograd.Function):
    """SCA in training. Its gradient reads the signal twice; autograd's reads it five times.

    With out = w x and w of the mean m of x: d x = w d out + d m / L, d w = sum of x d out.
    """

    @staticmethod
    def forward(
        ctx: _ContextOfClips,
        x: Tensor,
        squeeze: Tensor,
        b1: Tensor,
        excite: Tensor,
        b2: Tensor,
        lengths: Sequence[int],
    ) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            mean = _clip_means(x, lengths).to(squeeze.dtype)
            hidden = F.relu(F.linear(mean, squeeze, b1))
            weights = torch.sigmoid(F.linear(hidden, excite, b2))
        ctx.lengths = lengths
        ctx.save_for_backward(x, mean, hidden, weights, squeeze, excite)
        return _join_in_layout(scale_clips(x, weights.mT.to(x.dtype), lengths))

    @staticmethod
    @once_differentiable
    def backward(ctx: _ContextOfClips, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, hidden, weights, squeeze, excite = ctx.saved_tensors
        products = [  # a few trials at a time, so that the products fit in the cache
            torch.stack([c.sum(-1) for c in (a * b).split(ctx.lengths, dim=-1)], dim=1)
            for a, b in zip(grad.split(TOGETHER // 2), x.split(TOGETHER // 2), strict=True)
        ]
        before_sigmoid = torch.cat(products).to(weights.dtype) * weights * (1 - weights)
        before_relu = (before_sigmoid @ excite) * (hidden > 0)
        sizes = torch.tensor(ctx.lengths, dtype=weights.dtype, device=x.device)
        of_mean = (before_relu @ squeeze / sizes[:, None]).mT.to(x.dtype).split(1, dim=-1)
        clips = grad.split(ctx.lengths, dim=-1)
        by = weights.mT.to(x.dtype).split(1, dim=-1)
        of_x = [torch.addcmul(m, g, w) for g, w, m in zip(clips, by, of_mean, strict=True)]
        return (
            _join_in_layout(of_x),
            before_relu.flatten(0, 1).T @ mean.flatten(0, 1),
            before_relu.sum((0, 1)),
            before_sigmoid.flatten(0, 1).T @ hidden.flatten(0, 1),
            before_sigmoid.sum((0, 1)),
            None,
        )


def _embed(layer: ResidualTemporalAttention, x: Tensor) -> Tensor:
    """Return theta, phi and g of x (B, C, L), concatenated, from one convolution."""
    layers = (layer.theta, layer.phi, layer.g)
    biases = [part.bias for part in layers if part.bias is not None]
    weight = torch.cat([part.weight for part in layers])
    return convolve(x, weight, torch.cat(biases) if biases else None)


def _add_normed(
    layer: ResidualTemporalAttention, x: Tensor, response: Tensor, lengths: Sequence[int]
) -> Tensor:
    """Add the projected response, normed over each stretch, and update the running statistics."""
    norm, project = layer.norm, layer.project
    weight = project.weight.squeeze(-1)
    bias = torch.zeros_like(norm.bias) if project.bias is None else project.bias
    out, *statistics = _AddNormed.apply(
        x, response, weight, bias, norm.weight, norm.bias, norm.eps, lengths
    )
    for mean, variance in zip(statistics[::2], statistics[1::2], strict=True):
        remember(norm, mean, variance)
    return out


def _moments(y: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean and covariance of the filters of y (B, D, L), and the number of samples."""
    n = len(y) * y.shape[-1]
    mean = y.mean((0, 2), dtype=torch.promote_types(y.dtype, torch.float32))
    covariance = mean.new_zeros(len(mean), len(mean))
    for part in y.mT.split(TOGETHER):
        centred = (part - mean).flatten(0, 1)
        covariance.addmm_(centred.T, centred)
    return mean, covariance / n, n


class _ContextOfStretches(_ContextOfClips):
    # For each stretch: mean and covariance of y, 1 / sigma, V and the number of samples.
    stretches: list[tuple[Tensor, Tensor, Tensor, Tensor, int]]


class _AddNormed(torch.autograd.Function):
    """x + BN(W y + b) in training, without computing W y.

    Batch norm needs only the mean and the variance of W y + b. These are W m + b and the diagonal
    of W C W', for mean m and covariance C of y, which has half the filters. The norm is then a
    scaling that can be included in W: out = x + V (y - m) + beta with V = diag(gamma / sigma) W.

    Backward, with P = sum of (d out)(y - m)' over samples and q the diagonal of P W':
    d gamma = q / sigma, d variance = -gamma q / (2 sigma³), d W = diag(gamma / sigma) P +
    2 diag(d variance) W C, and d y = V' d out - its mean + 2 / n W' diag(d variance) W (y - m).
    """

    @staticmethod
    def forward(
        ctx: _ContextOfStretches,
        x: Tensor,
        y: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        lengths: Sequence[int],
    ) -> tuple[Tensor, ...]:
        out = torch.empty_like(x)
        ctx.stretches = []
        statistics: list[Tensor] = []
        parts = [t.split(lengths, dim=-1) for t in (x, y, out)]
        with torch.autocast(x.device.type, enabled=False):
            for x_part, y_part, out_part in zip(*parts, strict=True):
                mean, covariance, n = _moments(y_part)
                variance = ((weight @ covariance) * weight).sum(dim=1)
                inverse = torch.rsqrt(variance + eps)
                scaled = (gamma * inverse)[:, None] * weight
                added = _project(y_part, scaled, beta - scaled @ mean)
                torch.add(x_part, added, out=out_part)
                ctx.stretches.append((mean, covariance, inverse, scaled, n))
                statistics += [weight @ mean + bias, variance * (n / max(n - 1, 1))]
        ctx.lengths = lengths
        ctx.save_for_backward(y, weight, gamma)
        ctx.mark_non_differentiable(*statistics)
        return out, *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: _ContextOfStretches, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        y, weight, gamma = ctx.saved_tensors
        of_weight, of_y = torch.zeros_like(weight), torch.empty_like(y)
        of_gamma, of_beta = torch.zeros_like(gamma), torch.zeros_like(gamma)
        parts = [t.split(ctx.lengths, dim=-1) for t in (grad, y, of_y)]
        for g, y_part, out, stretch in zip(*parts, ctx.stretches, strict=True):
            mean, covariance, inverse, scaled, n = stretch
            total, products = torch.zeros_like(gamma), torch.zeros_like(weight)
            for a, b in zip(g.mT.split(TOGETHER), y_part.mT.split(TOGETHER), strict=True):
                rows = a.flatten(0, 1).to(weight.dtype)
                total += rows.sum(0)
                products.addmm_(rows.T, b.flatten(0, 1).to(weight.dtype))
            products -= torch.outer(total, mean)
            along = (products * weight).sum(dim=1)
            of_variance = -0.5 * inverse**3 * gamma * along
            of_gamma += inverse * along
            of_beta += total
            of_weight += (gamma * inverse)[:, None] * products
            of_weight += 2 * of_variance[:, None] * (weight @ covariance)
            spread = (2 / n) * (weight.T @ (of_variance[:, None] * weight))
            constant = -(spread @ mean) - (total @ scaled) / n
            torch.add(_project(g, scaled.T, constant), _project(y_part, spread), out=out)
        # The bias shifts the mean that batch norm subtracts.
        return grad, of_y, of_weight, torch.zeros_like(of_beta), of_gamma, of_beta, None, None


def _project(y: Tensor, matrix: Tensor, constant: Tensor | None = None) -> Tensor:
    """Multiply each sample of y (B, D, L) by a matrix, in the precision of y."""
    constant = None if constant is None else constant.to(y.dtype)
    return convolve(y, matrix.to(y.dtype).unsqueeze(-1), constant)
