"""RTCAN-1D: residual temporal and channel attention over EDA, fused with music.

Yin, Sun, Yu, Li, Zhang, "A multimodal framework for large-scale emotion recognition by fusing music
and electrodermal activity signals", ACM TOMM 18 (2022), sections 3.1 and 3.2. Equation numbers are
the paper's. Shapes: B trials, C filters, L samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._head import make_head


class SignalChannelAttention(nn.Module):
    """SCA, equation 8: weigh each filter by what the signal holds on average.

    Parameters
    ----------
    n_filters : int
    reduction : int
        The hidden layer has ``n_filters // reduction`` units, at least one.
    """

    def __init__(self, n_filters: int, reduction: int) -> None:
        super().__init__()
        n_hidden = max(n_filters // reduction, 1)
        self.squeeze = nn.Linear(n_filters, n_hidden)
        self.excite = nn.Linear(n_hidden, n_filters)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh x of shape (B, C, L)."""
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=-1)))))
        return x * weight.unsqueeze(-1)


class NonlocalAttention(nn.Module):
    """The non-local operation of RNTA, equations 10 to 12, and the convolution of W in 13.

    Embedded Gaussian: ``softmax(theta' phi) g`` over time, without a scale. The average pooling of
    equation 10 has a kernel of one sample, which changes nothing, and is left out.
    """

    def __init__(self, n_filters: int) -> None:
        super().__init__()
        n_inner = max(n_filters // 2, 1)
        self.theta = nn.Conv1d(n_filters, n_inner, 1)
        self.phi = nn.Conv1d(n_filters, n_inner, 1)
        self.g = nn.Conv1d(n_filters, n_inner, 1)
        self.project = nn.Conv1d(n_inner, n_filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Give the filtered response to x of shape (B, C, L)."""
        query, key, value = (embed(x).mT for embed in (self.theta, self.phi, self.g))
        return self.project(F.scaled_dot_product_attention(query, key, value, scale=1.0).mT)


class ClippedAttention(nn.Module):
    """SCA, then RNTA, on each of `n_clips` parts of the signal with the same weights (13).

    The batch norm of W sees the parts joined again, so its statistics are those of all parts; its
    gain starts at zero, so that RNTA starts as the identity (Wang et al. 2018; the paper leaves
    the start open).
    """

    def __init__(self, n_filters: int, n_clips: int, reduction: int) -> None:
        super().__init__()
        self.n_clips = n_clips
        self.sca = SignalChannelAttention(n_filters, reduction)
        self.rnta = NonlocalAttention(n_filters)
        self.norm = nn.BatchNorm1d(n_filters)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Reweigh x of shape (B, C, L), L >= n_clips."""
        parts = [self.sca(part) for part in x.tensor_split(self.n_clips, dim=-1)]
        response = torch.cat([self.rnta(part) for part in parts], dim=-1)
        return torch.cat(parts, dim=-1) + self.norm(response)


class ResidualUnit(nn.Module):
    """SCA, one convolution, batch norm, ReLU, around a shortcut: d = 1 of the paper's Table 4.

    Where the shape changes, the shortcut is a 1 x 1 convolution with batch norm.
    """

    def __init__(
        self, n_in: int, n_out: int, *, kernel_size: int, stride: int, reduction: int
    ) -> None:
        super().__init__()
        self.sca = SignalChannelAttention(n_in, reduction)
        self.conv = nn.Conv1d(
            n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.BatchNorm1d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv1d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm1d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Transform x of shape (B, n_in, L) to (B, n_out, ceil(L / stride))."""
        return F.relu(F.relu(self.norm(self.conv(self.sca(x)))) + self.shortcut(x))


class RTCAN(nn.Module):
    """RTCAN-1D: shallow convolution, clipped attention, residual trunk, fusion, classifier.

    Parameters
    ----------
    n_chans, n_times : int
        EDA channels and samples of each. Signals too short for `n_clips` parts are padded with
        zeros at their end.
    n_music_features : int
        Zero for EDA alone.
    n_outputs : int
        Number of classes.
    channels : sequence of int, default=(64, 64, 64, 64)
        Filters of the four stages of the trunk; the shallow convolution has as many as the first.
    n_clips : int, default=3
        Parts of the signal that attention looks at one by one (latency, rise, recovery).
    reduction : int, default=8
        Of the channel attention's hidden layers.

    Notes
    -----
    Left open by the paper, chosen here: strides (2 in the shallow convolution, the pooling after
    the first unit, and the first unit of stages 2 to 4, as in ResNet-18, the paper's backbone);
    the final pooling spans at most 14 samples and does not overlap; the last layer gives raw
    logits, for a cross-entropy that takes the softmax itself. PyTorch's own initial weights.
    """

    def __init__(
        self,
        n_chans: int,
        n_times: int,
        n_music_features: int,
        n_outputs: int,
        *,
        channels: Sequence[int] = (64, 64, 64, 64),
        n_clips: int = 3,
        reduction: int = 8,
    ) -> None:
        super().__init__()
        self.n_chans, self.n_times = n_chans, n_times
        # The stride-2 convolution makes ceil(n / 2) samples; attention needs one for each clip.
        self.n_padding = max(2 * n_clips - 1 - n_times, 0)
        width = channels[0]
        self.shallow = nn.Sequential(
            nn.Conv1d(n_chans, width, 7, stride=2, padding=3), nn.BatchNorm1d(width)
        )
        self.attention = ClippedAttention(width, n_clips, reduction)
        units: list[nn.Module] = [
            ResidualUnit(width, width, kernel_size=7, stride=1, reduction=reduction),
            nn.MaxPool1d(3, stride=2, padding=1),
        ]
        for stage, n_out in enumerate(channels):
            stride = 1 if stage == 0 else 2
            units.append(
                ResidualUnit(width, n_out, kernel_size=3, stride=stride, reduction=reduction)
            )
            units.append(ResidualUnit(n_out, n_out, kernel_size=3, stride=1, reduction=reduction))
            width = n_out
        self.trunk = nn.Sequential(*units)
        length = n_times + self.n_padding
        for _ in range(1 + 1 + len(channels) - 1):  # shallow, max pooling, stages 2 to 4
            length = -(-length // 2)
        self.pool = nn.AvgPool1d(min(14, length))
        n_eda = width * (length // min(14, length))
        self.classify = make_head(n_eda + n_music_features, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Give logits of shape (B, n_outputs) for rows [EDA channel 0 | 1 | … | music]."""
        n_eda = self.n_chans * self.n_times
        eda = X[:, :n_eda].reshape(len(X), self.n_chans, self.n_times)
        x = self.shallow(F.pad(eda, (0, self.n_padding)))
        x = self.pool(self.trunk(self.attention(x))).flatten(1)
        return self.classify(torch.cat([x, X[:, n_eda:]], dim=1))
