"""Convolution, pooling and batch norm of time-major tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from edaemo.networks._fast._switch import is_time_major
from edaemo.networks._layers import ConvNorm, Convolution, MaxPool, Norm

# Number of samples of all filters that are normed together, so that they fit in the cache.
ROWS = 4096

_ONEDNN = torch.backends.mkldnn.is_available()


def convolution(layer: Convolution, x: Tensor) -> Tensor:
    """Convolve x of shape (B, C, L)."""
    return _convolve_image(x, layer.weight, layer.bias, layer.stride[0], layer.padding[0])


def max_pool(layer: MaxPool, x: Tensor) -> Tensor:
    """Pool x of shape (B, C, L)."""
    size, stride, padding = (1, layer.kernel_size), (1, layer.stride), (0, layer.padding)
    return F.max_pool2d(x.unsqueeze(2), size, stride, padding).squeeze(2)


def conv_norm(layer: ConvNorm, x: Tensor) -> Tensor:
    """Apply the convolution and the norm to x (B, C, L); in evaluation, fuse them."""
    inner: Convolution
    norm: Norm
    inner, norm, *relu = layer  # type: ignore[assignment]
    if norm.training:
        x, mean, variance = _Norm.apply(inner(x), norm.weight, norm.bias, norm.eps, bool(relu))
        remember(norm, mean, variance)
        return x
    gain, shift = fixed_norm(norm)
    if inner.bias is not None:
        shift = shift + gain * inner.bias
    weight = gain.view(-1, 1, 1) * inner.weight
    x = _convolve_image(x, weight, shift, inner.stride[0], inner.padding[0])
    return F.relu(x, inplace=not torch.is_grad_enabled()) if relu else x


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """Convolve over time and keep the layout."""
    if not is_time_major(x):
        return F.conv1d(x, weight, bias, stride, padding)
    return _convolve_image(x, weight, bias, stride, padding)


def _convolve_image(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
) -> Tensor:
    """Convolve a time-major x, which is an image in channels-last format."""
    image, kernel = x.unsqueeze(2), weight.unsqueeze(2)
    if len(x) == 1 and x.is_cpu and _ONEDNN and not torch.compiler.is_compiling():
        # For a single small trial, F.conv2d uses another routine, whose last digits differ.
        sizes = ((0, padding), (1, stride), (1, 1), 1)
        return torch.mkldnn_convolution(image, kernel, bias, *sizes).squeeze(2)
    return F.conv2d(image, kernel, bias, (1, stride), (0, padding)).squeeze(2)


def remember(norm: Norm, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics by the mean and the unbiased variance of a batch."""
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance, norm.momentum)


class Context(FunctionCtx):
    """The context that torch passes to `forward` and `backward`."""

    saved_tensors: tuple[Tensor, ...]


class _Norm(torch.autograd.Function):
    """Batch norm of a time-major tensor in training and, if `relu`, the ReLU after it.

    torch's batch norm for this layout adds one row after the other in single precision, and is
    wrong by 5e-5 after 320,000 rows. Here a few thousand rows are summed at a time, while they are
    in the cache. With d the derivatives, sums over samples and z = (x - m) / sigma:
    d x = gamma / sigma (d out - sum(d out) / n - z sum(z d out) / n).
    """

    @staticmethod
    def forward(
        ctx: Context, x: Tensor, gamma: Tensor, beta: Tensor, eps: float, relu: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = x.mT.flatten(0, 1)
        n = len(rows)
        mean = rows.mean(0, dtype=gamma.dtype)
        variance = torch.zeros_like(mean)
        for part in rows.split(ROWS):
            variance += (part - mean).square_().sum(0)
        variance /= n
        inverse = torch.rsqrt(variance + eps)
        gain = gamma * inverse
        out = torch.empty_like(rows)
        for part, result in zip(rows.split(ROWS), out.split(ROWS), strict=True):
            torch.addcmul(beta - gain * mean, part, gain, out=result)
            if relu:
                result.relu_()
        ctx.save_for_backward(rows, mean, inverse, gain, *([out] if relu else []))
        unbiased = variance * (n / max(n - 1, 1))
        ctx.mark_non_differentiable(mean, unbiased)
        return out.unflatten(0, (len(x), -1)).mT, mean, unbiased

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        rows, mean, inverse, gain, *rectified = ctx.saved_tensors
        n = len(rows)
        of_x = torch.empty_like(rows)
        grads, parts, results = (t.split(ROWS) for t in (grad.mT.flatten(0, 1), rows, of_x))
        if rectified:
            # Gradients of the ReLU, stored temporarily in the result.
            for g, part_out, result in zip(grads, rectified[0].split(ROWS), results, strict=True):
                torch.ops.aten.threshold_backward(g, part_out, 0, grad_input=result)
            grads = results
        total, along = torch.zeros_like(mean), torch.zeros_like(mean)
        for g, part in zip(grads, parts, strict=True):
            total += g.sum(0, dtype=mean.dtype)
            along += (part - mean).mul_(g).sum(0)
        slope = -gain * inverse**2 * along / n
        constant = -gain * total / n - slope * mean
        for g, part, result in zip(grads, parts, results, strict=True):
            torch.addcmul(torch.addcmul(constant, part, slope), g, gain, out=result)
        return of_x.unflatten(0, (len(grad), -1)).mT, along * inverse, total, None, None


def fixed_norm(norm: Norm) -> tuple[Tensor, Tensor]:
    """Return the gain and the shift that `norm` applies to each filter in evaluation."""
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return gain, torch.addcmul(norm.bias, gain, norm.running_mean, value=-1)
