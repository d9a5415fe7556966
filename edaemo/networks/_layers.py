"""What RTCAN is made of: each layer as its equation says, and a faster way to the same.

Tensors are (B, C, L): B trials, C filters, L samples. In the fast way they lie in memory
time-major, all filters of one sample beside each other, and so as images of height one in torch's
channels-last format, for which its CPU convolutions are written. Who turns a tensor time-major
chooses the fast way: layers follow what they are given.

What a network learns and answers is the same either way but for rounding, and its parameters have
the same names. ``docs/performance.md`` has what the fast way is worth.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

# Trials whose attention is worked out together: their scores then stay in the processor's cache.
TOGETHER = 16
# Samples of all filters that are normed together, for the same reason.
ROWS = 4096

# Numbers that a processor's vectors take at a time, or a multiple: what is left over at the end of
# an array goes through another sigmoid.
VECTOR = 64

_ONEDNN = torch.backends.mkldnn.is_available()
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


def join(clips: Sequence[Tensor]) -> Tensor:
    """Put clips (B, C, …) together in time, and leave the layout as it is."""
    if len(clips) == 1:
        return clips[0]
    if is_time_major(clips[0]):
        return torch.cat([clip.mT for clip in clips], dim=1).mT
    return torch.cat(list(clips), dim=-1)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Convolve over time, and leave the layout as it is."""
    if not is_time_major(x):
        return F.conv1d(x, weight, bias, stride, padding)
    image, kernel = x.unsqueeze(2), weight.unsqueeze(2)
    if len(x) == 1 and x.is_cpu and _ONEDNN and not torch.compiler.is_compiling():
        # For a lone trial of few numbers F.conv2d has another routine, whose last digits differ.
        sizes = ((0, padding), (1, stride), (1, 1), 1)
        return torch.mkldnn_convolution(image, kernel, bias, *sizes).squeeze(2)
    return F.conv2d(image, kernel, bias, (1, stride), (0, padding)).squeeze(2)


class Convolution(nn.Conv1d):
    """A convolution over time that leaves the layout as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x of shape (B, C, L)."""
        return convolve(x, self.weight, self.bias, self.stride[0], self.padding[0])


class MaxPool(nn.MaxPool1d):
    """The largest of neighbouring samples; leaves the layout as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool x of shape (B, C, L)."""
        if not is_time_major(x):
            return super().forward(x)
        size, stride, padding = (1, self.kernel_size), (1, self.stride), (0, self.padding)
        return F.max_pool2d(x.unsqueeze(2), size, stride, padding).squeeze(2)


class ConvNorm(nn.Sequential):
    """A convolution, its batch norm and, if asked for, a ReLU.

    In evaluation the batch norm is a fixed scaling, and the fast way puts it into the convolution.
    """

    def __init__(self, convolution: nn.Conv1d, *, relu: bool = False) -> None:
        super().__init__(convolution, nn.BatchNorm1d(convolution.out_channels))
        if relu:
            self.append(nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Transform x of shape (B, C, L)."""
        convolution, norm, *relu = self
        if not is_time_major(x):
            x = norm(convolution(x))
        elif norm.training:
            x, mean, variance = _Norm.apply(
                convolution(x), norm.weight, norm.bias, norm.eps, bool(relu)
            )
            remember(norm, mean, variance)
            return x
        else:
            gain, shift = fixed_norm(norm)
            if convolution.bias is not None:
                shift = shift + gain * convolution.bias
            weight = gain.view(-1, 1, 1) * convolution.weight
            x = convolve(x, weight, shift, convolution.stride[0], convolution.padding[0])
        return F.relu(x, inplace=not torch.is_grad_enabled()) if relu else x


def remember(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics towards a batch's mean and unbiased variance."""
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance, norm.momentum)


class _Norm(torch.autograd.Function):
    """Batch norm in training of a time-major tensor and, if asked for, the ReLU after it.

    torch's own for this layout adds up in single precision one row after the other, and is wrong by
    5e-5 after 320,000 of them; here a few thousand are added up at once, while they are in the
    cache. With d the derivatives, sums over samples and z = (x - m) / sigma:
    d x = gamma / sigma (d out - sum(d out) / n - z sum(z d out) / n).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, gamma: Tensor, beta: Tensor, eps: float, relu: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = x.mT.flatten(0, 1)
        n = len(rows)
        mean = rows.mean(0, dtype=gamma.dtype)
        variance = torch.zeros_like(mean)
        for some in rows.split(ROWS):
            variance += (some - mean).square_().sum(0)
        variance /= n
        inverse = torch.rsqrt(variance + eps)
        gain = gamma * inverse
        out = torch.empty_like(rows)
        for some, place in zip(rows.split(ROWS), out.split(ROWS), strict=True):
            torch.addcmul(beta - gain * mean, some, gain, out=place)
            if relu:
                place.relu_()
        ctx.save_for_backward(rows, out if relu else None, mean, inverse, gain)
        unbiased = variance * (n / max(n - 1, 1))
        ctx.mark_non_differentiable(mean, unbiased)
        return out.unflatten(0, (len(x), -1)).mT, mean, unbiased

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        rows, out, mean, inverse, gain = ctx.saved_tensors
        n = len(rows)
        of_x = torch.empty_like(rows)
        grads, parts, places = (t.split(ROWS) for t in (grad.mT.flatten(0, 1), rows, of_x))
        if out is not None:
            # What came through the ReLU, for now where the result will stand.
            for g, some_out, place in zip(grads, out.split(ROWS), places, strict=True):
                torch.ops.aten.threshold_backward(g, some_out, 0, grad_input=place)
            grads = places
        total, along = torch.zeros_like(mean), torch.zeros_like(mean)
        for g, some in zip(grads, parts, strict=True):
            total += g.sum(0, dtype=mean.dtype)
            along += (some - mean).mul_(g).sum(0)
        slope = -gain * inverse**2 * along / n
        constant = -gain * total / n - slope * mean
        for g, some, place in zip(grads, parts, places, strict=True):
            torch.addcmul(torch.addcmul(constant, some, slope), g, gain, out=place)
        return of_x.unflatten(0, (len(grad), -1)).mT, along * inverse, total, None, None


def fixed_norm(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Give the gain and the shift of each filter by which `norm` transforms in evaluation."""
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return gain, torch.addcmul(norm.bias, gain, norm.running_mean, value=-1)


def clip_lengths(length: int, n_clips: int) -> list[int]:
    """Divide so many samples into clips; clip i begins at ``i * length // n_clips``."""
    starts = [i * length // n_clips for i in range(n_clips + 1)]
    return [stop - start for start, stop in pairwise(starts)]


class SignalChannelAttention(nn.Module):
    """SCA, equation 8: weigh each filter by what the signal holds on average.

    Parameters
    ----------
    n_filters : int
    reduction : int
        The hidden layer has ``n_filters // reduction`` units, at least one.
    n_clips : int, default=1
        Parts of the signal that are weighed one by one, L >= n_clips.
    """

    def __init__(self, n_filters: int, reduction: int, n_clips: int = 1) -> None:
        super().__init__()
        n_hidden = max(n_filters // reduction, 1)
        self.squeeze = nn.Conv1d(n_filters, n_hidden, 1)
        self.excite = nn.Conv1d(n_hidden, n_filters, 1)
        self.n_clips = n_clips

    def forward(self, x: Tensor) -> Tensor:
        """Weigh x of shape (B, C, L)."""
        lengths = clip_lengths(x.shape[-1], self.n_clips)
        if not is_time_major(x):
            clips = x.split(lengths, dim=-1)
            mean = torch.stack([clip.mean(dim=-1) for clip in clips], dim=-1)
            weights = torch.sigmoid(self.excite(F.relu(self.squeeze(mean))))
            return _scale_clips(x, weights, lengths)
        if self.training and torch.is_grad_enabled():
            layers = (self.squeeze, self.excite)
            matrices = [one for layer in layers for one in (layer.weight.squeeze(-1), layer.bias)]
            return _Attended.apply(x, *matrices, lengths)
        mean = _clip_means(x, lengths)
        scores = _times_each(F.relu(_times_each(mean, self.squeeze)), self.excite)
        return _scale_clips(x, _sigmoid(scores).mT, lengths)


def _clip_means(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """Average x of shape (B, C, L) over each clip, to (B, n_clips, C)."""
    if len(lengths) == 1:
        return x.mT.mean(dim=1, keepdim=True)
    return torch.stack([clip.mean(dim=-1) for clip in x.split(lengths, dim=-1)], dim=1)


def _times_each(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """Put each trial of x (B, n, C) by itself through a convolution of kernel 1.

    In a product of all trials at once a trial's last digits would hang on how many there are.
    """
    weights = layer.weight.squeeze(-1).mT.expand(len(x), -1, -1)
    return torch.baddbmm(layer.bias, x, weights)


def _sigmoid(scores: Tensor) -> Tensor:
    """Give the sigmoid, which works on whole vectors alone: the same wherever a number stands."""
    if not (left_over := scores.numel() % VECTOR):
        return torch.sigmoid(scores)
    filled = F.pad(scores.flatten(), (0, VECTOR - left_over))
    return torch.sigmoid(filled)[: scores.numel()].view_as(scores)


def _scale_clips(x: Tensor, weights: Tensor, lengths: Sequence[int]) -> Tensor:
    """Multiply each clip of x (B, C, L) by its weights (B, C, n_clips)."""
    if len(lengths) == 1:
        return x * weights
    clips = zip(x.split(lengths, dim=-1), weights.split(1, dim=-1), strict=True)
    return join([clip * weight for clip, weight in clips])


class _Attended(torch.autograd.Function):
    """SCA in training, whose gradient goes over the signal twice where autograd's goes five times.

    With out = w x and w of the mean m of x: d x = w d out + d m / L, d w = sum of x d out.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
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
        return _scale_clips(x, weights.mT.to(x.dtype), lengths)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, hidden, weights, squeeze, excite = ctx.saved_tensors
        products = [  # a few trials at once: the products stay in the cache
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
            join(of_x),
            before_relu.flatten(0, 1).T @ mean.flatten(0, 1),
            before_relu.sum((0, 1)),
            before_sigmoid.flatten(0, 1).T @ hidden.flatten(0, 1),
            before_sigmoid.sum((0, 1)),
            None,
        )


class ResidualTemporalAttention(nn.Module):
    """RNTA, equations 10 to 13: what was found by looking over time is added to the input.

    Embedded Gaussian, ``softmax(theta' phi) g`` over time without a scale, in each clip by itself;
    then a convolution and its batch norm. The norm's gain starts at zero, so that RNTA starts as
    the identity (Wang et al. 2018, and the released code; the paper leaves the start open).

    Parameters
    ----------
    n_filters : int
    n_clips : int
        Parts of the signal, L >= n_clips.
    published : bool
        The paper's average pooling of phi and g has a kernel of one sample, which changes nothing
        and is left out, its equations have no biases, and the batch norm is of all clips joined
        again. The released code has biases, takes the larger of each two samples of phi and g, and
        norms each clip by itself.
    """

    def __init__(self, n_filters: int, n_clips: int, *, published: bool) -> None:
        super().__init__()
        n_inner = max(n_filters // 2, 1)
        self.theta = nn.Conv1d(n_filters, n_inner, 1, bias=published)
        self.phi = nn.Conv1d(n_filters, n_inner, 1, bias=published)
        self.g = nn.Conv1d(n_filters, n_inner, 1, bias=published)
        self.project = Convolution(n_inner, n_filters, 1, bias=published)
        self.norm = nn.BatchNorm1d(n_filters)
        nn.init.zeros_(self.norm.weight)
        self.pool = MaxPool(2) if published else nn.Identity()
        self.n_clips, self.published = n_clips, published

    def forward(self, x: Tensor) -> Tensor:
        """Reweigh x of shape (B, C, L)."""
        clips = clip_lengths(x.shape[-1], self.n_clips)
        normed = clips if self.published else [x.shape[-1]]
        if not is_time_major(x):
            responses = self._respond(x, clips).contiguous().split(normed, dim=-1)
            return x + join([self.norm(self.project(one)) for one in responses])
        some = [self._respond(some, clips).mT for some in x.split(TOGETHER)]
        response = (some[0] if len(some) == 1 else torch.cat(some)).mT
        if self.training:
            return self._add_normed(x, response, normed)
        gain, shift = fixed_norm(self.norm)
        if self.project.bias is not None:
            shift = shift + gain * self.project.bias
        return x + convolve(response, gain.view(-1, 1, 1) * self.project.weight, shift)

    def _respond(self, x: Tensor, clips: Sequence[int]) -> Tensor:
        """Give the filtered response (B, C / 2, L) to x."""
        layers, size = (self.theta, self.phi, self.g), self.theta.out_channels
        if is_time_major(x):
            bias = torch.cat([layer.bias for layer in layers]) if self.published else None
            embedded = convolve(x, torch.cat([layer.weight for layer in layers]), bias)
        else:
            embedded = torch.cat([layer(x) for layer in layers], dim=1)
        responses = []
        # (B, L, filters) from here on, so that autograd joins what was split time-major too.
        for clip in embedded.mT.split(clips, dim=1):
            query, rest = clip.split([size, 2 * size], dim=2)
            key, value = self.pool(rest.mT).mT.split(size, dim=2)
            responses.append(_attend(query, key, value))
        return torch.cat(responses, dim=1).mT

    def _add_normed(self, x: Tensor, response: Tensor, lengths: Sequence[int]) -> Tensor:
        """Add the projected response, normed over each stretch, and remember its statistics."""
        norm, project = self.norm, self.project
        weight = project.weight.squeeze(-1)
        bias = torch.zeros_like(norm.bias) if project.bias is None else project.bias
        out, *statistics = _AddNormed.apply(
            x, response, weight, bias, norm.weight, norm.bias, norm.eps, lengths
        )
        for mean, variance in zip(statistics[::2], statistics[1::2], strict=True):
            remember(norm, mean, variance)
        return out


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Give ``softmax(query key') value`` of (B, L, D) each."""
    slow = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if slow or torch.compiler.is_exporting():
        # torch's fused attention takes half as long again in bfloat16 as in float32, and an export
        # of it looks for rows that are masked altogether, which costs ONNX Runtime a fifth.
        return torch.softmax(query @ key.mT, dim=-1) @ value
    with_head = [one.unsqueeze(1) for one in (query, key, value)]
    return F.scaled_dot_product_attention(*with_head, scale=1.0).squeeze(1)


def _moments(y: Tensor) -> tuple[Tensor, Tensor, int]:
    """Give mean and covariance of the filters of y (B, D, L), and the number of samples."""
    n = len(y) * y.shape[-1]
    mean = y.mean((0, 2), dtype=torch.promote_types(y.dtype, torch.float32))
    covariance = mean.new_zeros(len(mean), len(mean))
    for some in y.mT.split(TOGETHER):
        centred = (some - mean).flatten(0, 1)
        covariance.addmm_(centred.T, centred)
    return mean, covariance / n, n


class _AddNormed(torch.autograd.Function):
    """x + BN(W y + b) in training, without ever making W y.

    Batch norm needs mean and variance of W y + b alone, which are W m + b and the diagonal of
    W C W' for mean m and covariance C of y, of half the filters. With them it is a scaling, which
    W takes in: out = x + V (y - m) + beta with V = diag(gamma / sigma) W.

    Backward, with P = sum of (d out)(y - m)' over samples and q the diagonal of P W':
    d gamma = q / sigma, d variance = -gamma q / (2 sigma³), d W = diag(gamma / sigma) P +
    2 diag(d variance) W C, and d y = V' d out - its mean + 2 / n W' diag(d variance) W (y - m).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
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
        ctx.stretches, statistics = [], []
        parts = [one.split(lengths, dim=-1) for one in (x, y, out)]
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
    def backward(ctx: FunctionCtx, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        y, weight, gamma = ctx.saved_tensors
        of_weight, of_y = torch.zeros_like(weight), torch.empty_like(y)
        of_gamma, of_beta = torch.zeros_like(gamma), torch.zeros_like(gamma)
        parts = [one.split(ctx.lengths, dim=-1) for one in (grad, y, of_y)]
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
