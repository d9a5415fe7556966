"""RTCAN-1D: residual temporal and channel attention over EDA, fused with music.

Yin, Sun, Yu, Li, Zhang, "A multimodal framework for large-scale emotion recognition by fusing music
and electrodermal activity signals", ACM TOMM 18 (2022), sections 3.1 and 3.2. Equation numbers are
the paper's. Shapes: B trials, C filters, L samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._declaration import COSINE, Declaration, Layer, Recipe
from edaemo.networks._head import Head, make_head
from edaemo.networks._layers import (
    ConvNorm,
    Convolution,
    MaxPool,
    ResidualTemporalAttention,
    SignalChannelAttention,
)
from edaemo.networks._registry import register_network
from edaemo.networks._ways import fast_way

# Window of the average pooling in samples, as in the figure and in the released code.
POOL = 14
# Input samples per sample of the trunk's output: five layers of stride 2; "published" has another
# layer of stride 3.
STEP = {"paper": 2**5, "published": 2**5 * 3}

# The settings of section 5.1. The paper does not give momentum, weight decay or the number of
# epochs. Here: no momentum, no decay, and the number of epochs of the released code on PMEmo.
_PAPER = Recipe(
    optimizer=torch.optim.SGD,
    lr_scheduler={"policy": torch.optim.lr_scheduler.StepLR, "step_size": 15, "gamma": 0.9},
    weight_decay=0.0,
    batch_size=256,
    max_epochs=100,
    network={"init": "normal"},
)
_INITS = ("torch", "normal", "normal-variance", "published")
# The settings of the released code.
_PUBLISHED = Recipe(
    optimizer=torch.optim.SGD,
    optimizer_params={"momentum": 0.9},
    weight_decay=0.0,
    batch_size=300,
    max_epochs=100,
    network={"init": "published"},
)
DECLARATION = Declaration(
    tasks=("binary", "multiclass", "regression"),
    sizes=("n_chans", "n_times", "n_music_features"),
    signals=("eda",),
    features=("music",),
    recipes={
        # Chosen by benchmarks/rtcan_recipe.py.
        "default": Recipe(
            lr_scheduler=COSINE,
            weight_decay=0.1,
            max_epochs=20,
            augmentation={"time_shift": 0.2, "noise": 0.2, "scaling": 0.2},
            class_weight="balanced",
            network={"dropout": 0.5},
        ),
        "paper": _PAPER,
        "paper-variance": _PAPER._replace(network={"init": "normal-variance"}),
        "published": _PUBLISHED,
        "published-deap": _PUBLISHED._replace(lr=0.1, weight_decay=0.001, max_epochs=300),
        "published-amigos": _PUBLISHED._replace(weight_decay=0.01, max_epochs=1000),
    },
    layers={
        "sca": Layer("attention.sca", (2,)),
        "rnta": Layer("attention.rnta", (2,)),
        "attention": Layer("attention", (2,)),
        "trunk": Layer("trunk", tuple(STEP.values())),
    },
)


class ResidualUnit(nn.Module):
    """A residual unit: SCA and convolutions, with a shortcut.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input and output filters.
    stride : int or None
        Stride of the first convolution and of the downsampling in the shortcut. None: the stride
        is 1, and the shortcut is the identity.
    depth : {1, 2}
        d of Table 4 of the paper. 1: convolution, batch norm, ReLU. 2: the same, then another
        convolution and batch norm, as in the basic block of ResNet-18.
    sca : bool
        Whether SCA precedes the first convolution (SCA_Res of Table 5).
    reduction : int
        Reduction of SCA.
    attended_shortcut : bool
        Whether the shortcut begins after SCA. If False, it begins before SCA.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        stride: int | None,
        *,
        depth: int,
        sca: bool,
        reduction: int,
        attended_shortcut: bool,
    ) -> None:
        super().__init__()
        self.attended_shortcut = attended_shortcut
        self.sca = SignalChannelAttention(n_in, reduction) if sca else nn.Identity()
        first = Convolution(n_in, n_out, 3, stride=stride or 1, padding=1, bias=False)
        self.convolve = ConvNorm(first, relu=True)
        again = Convolution(n_out, n_out, 3, padding=1, bias=False)
        self.again = ConvNorm(again) if depth == 2 else nn.Identity()
        self.shortcut = nn.Identity() if stride is None else make_downsample(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Transform x of shape (B, n_in, L) to (B, n_out, ceil(L / stride))."""
        attended = self.sca(x)
        shortcut = self.shortcut(attended if self.attended_shortcut else x)
        total = self.again(self.convolve(attended)) + shortcut
        # In evaluation with gradients, keep the layer outputs intact for hooks that read them.
        return F.relu(total, inplace=self.training or not torch.is_grad_enabled())


def make_downsample(n_in: int, n_out: int, stride: int) -> ConvNorm:
    """Make the "Downsample" layer of the figure: a convolution of kernel 1 and its batch norm."""
    return ConvNorm(Convolution(n_in, n_out, 1, stride=stride, bias=False))


def make_blocks(
    channels: Sequence[int],
    strides: Sequence[int],
    last_stride: int,
    *,
    depth: int,
    sca: bool,
    reduction: int,
    attended_shortcut: bool,
) -> list[nn.Module]:
    """Make four blocks of two residual units each, then a downsampling layer.

    The shortcut of the first unit of each block is downsampled.
    """
    unit = partial(ResidualUnit, depth=depth, sca=sca, reduction=reduction)
    units: list[nn.Module] = []
    width = channels[0]
    for n_out, stride in zip(channels, strides, strict=True):
        units += [
            unit(width, n_out, stride, attended_shortcut=attended_shortcut),
            unit(n_out, n_out, None, attended_shortcut=False),
        ]
        width = n_out
    return [*units, make_downsample(width, width, last_stride)]


def make_paper_layers(
    n_chans: int,
    channels: Sequence[int],
    *,
    sca: bool,
    sca_res: bool,
    rnta: bool,
    depth: int,
    n_clips: int,
    reduction: int,
) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
    """Make the shallow features (3), attention (4) and residual features (5) of figure 2."""
    width = channels[0]
    shallow = ConvNorm(Convolution(n_chans, width, 7, stride=2, padding=3, bias=False))
    attention = nn.Sequential()
    if sca:
        attention.add_module("sca", SignalChannelAttention(width, reduction, n_clips))
    if rnta:
        attention.add_module("rnta", ResidualTemporalAttention(width, n_clips, published=False))
    trunk = nn.Sequential(
        ConvNorm(Convolution(width, width, 7, padding=3, bias=False), relu=True),
        MaxPool(3, stride=2, padding=1),
        *make_blocks(
            channels,
            (1, 2, 2, 2),
            1,
            depth=depth,
            sca=sca_res,
            reduction=reduction,
            attended_shortcut=False,
        ),
    )
    return shallow, attention, trunk


def make_published_layers(
    n_chans: int,
    channels: Sequence[int],
    *,
    sca: bool,
    sca_res: bool,
    rnta: bool,
    depth: int,
    n_clips: int,
    reduction: int,
) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
    """Make the same three parts as in the released code."""
    width = channels[0]
    attended = sca or rnta
    first = Convolution(n_chans, width, 7, stride=2, padding=3, bias=attended)
    shallow = ConvNorm(first, relu=not attended)
    attention = nn.Sequential()
    if rnta:
        attention.add_module("rnta", ResidualTemporalAttention(width, n_clips, published=True))
    if sca:
        attention.add_module("sca", SignalChannelAttention(width, reduction))
    trunk = nn.Sequential(
        *make_blocks(
            channels,
            (2, 2, 2, 2),
            3,
            depth=depth,
            sca=sca_res,
            reduction=reduction,
            attended_shortcut=True,
        )
    )
    return shallow, attention, trunk


@register_network("rtcan")
class RTCAN(nn.Module):
    """RTCAN-1D: shallow convolution, attention within clips, residual trunk, fusion, classifier.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels, and number of samples of each. ``architecture="paper"`` takes any
        length; signals too short for `n_clips` parts are padded with zeros at the end.
        ``architecture="published"`` needs 1249 samples or more.
    n_music_features : int
        Number of music features; 0 for EDA without music.
    n_outputs : int
        Number of classes.
    architecture : {"paper", "published"}, default="paper"
        "paper": the network of the paper's text, equations and figures. "published": the network
        in the code that its authors released, which differs in many places (see Notes).
    form : {"large-corpus", "small-corpus"}, default="large-corpus"
        "large-corpus": SCA in the residual units, as for PMEmo. "small-corpus": no SCA there, as
        for DEAP and AMIGOS.
    sca : bool, default=True
        Whether signal channel attention is applied to the shallow features.
    sca_res : bool or None, default=None
        Whether signal channel attention is applied in the residual units. None: `form` decides.
    rnta : bool, default=True
        Whether residual non-local temporal attention is applied to the shallow features.
    depth : {1, 2}, default=1
        Number of convolutions in a residual unit, d of Table 4.
    channels : sequence of 4 int, default=(64, 64, 64, 64)
        Number of filters in each of the four blocks of the trunk, c of Table 4. The layers before
        the blocks have as many filters as the first block. The downsampling after the blocks has as
        many as the last block.
    n_clips : int, default=3
        Number of parts of the signal (latency, rise, recovery). Attention is computed within each
        part: by `sca` and `rnta` of "paper", and by `rnta` of "published".
    reduction : int, default=8
        Number of filters divided by the number of units in the hidden layers of SCA. These layers
        have at least one unit.
    dropout : float, default=0.0
        Share of units dropped in training after each hidden linear layer. Neither the paper nor
        the released code uses dropout.
    last_relu : bool or None, default=None
        Whether a ReLU follows the last linear layer, the third ReLU of equation 7. None: only in
        the published architecture without music, as in the released code.
    init : {"torch", "normal", "normal-variance", "published"}, default="torch"
        Initial weights.

        - "torch": the defaults of PyTorch.
        - "normal": section 5.1, "N(0, 0.01)", with 0.01 as the standard deviation. Each weight of
          a convolution or linear layer is drawn from this distribution, and each bias is zero.
        - "normal-variance": the same with 0.01 as the variance, a standard deviation of 0.1.
        - "published": as in the released code. The weights of the trunk's convolutions are normal
          with variance 2 / fan-out in the large-corpus form, and Xavier normal in the small-corpus
          form. The same holds for the shallow convolution if both `sca` and `rnta` are False. All
          other weights are the defaults of PyTorch.

        In all four, batch norms start with gain 1 and bias 0; the norm in RNTA starts with gain 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or if the signal is too short for the published
        architecture.

    Notes
    -----
    ``docs/models.md`` lists the layers of both architectures, with lengths and numbers of
    parameters.

    *Paper.* The layers are: shallow convolution and batch norm; SCA, then RNTA, on each clip; the
    "Res1D" unit of kernel 7 and max pooling; four blocks of two residual units, in which the
    shortcut of the first unit is downsampled; another downsampling; average pooling; three linear
    layers. Some details are missing in the paper, or the paper contradicts itself. The choices here
    are:

    - Strides are those of ResNet-18, the backbone: 2 in the shallow convolution, in the max pooling
      and in the first unit of blocks 2 to 4. The other two downsamplings of the figure have 1.
    - "Res1D" is a convolution, a batch norm and a ReLU. In the figure, its name lacks the "CA" of
      the other units, and the figure shows no sum.
    - The window of the average pooling is 14 samples, or the whole signal if it is shorter. Windows
      do not overlap. The samples after the last window are dropped (9 of 79 samples for a signal of
      2500 samples).
    - A ReLU follows each sum, as in ResNet-18 and in the released code. The figure shows none.
    - SCA has no ReLU before its sigmoid, as in equation 8. The figure shows a ReLU, but weights
      "between 0 to 1" need negative inputs. Each filter has one weight per clip, as in the squeeze
      and excitation block that the paper cites.
    - Clip i begins at ``i * L // n_clips``, as in the released code.
    - The batch norm of RNTA is applied to the joined clips, so its statistics are those of all
      clips. Its gain starts at zero, as in Wang et al. 2018, who introduced the block.
    - Only the convolutions of SCA have a bias. Equations 10 to 12 have no bias, and a batch norm
      cancels the bias of a convolution before it.
    - The softmax of equation 7 is part of the loss. The ReLU between the softmax and the last layer
      is left out by default (`last_relu`). It sets negative logits to zero, where the gradient is
      zero, and the released code with music has no such ReLU.
    - The value 0.01 in section 5.1 may be a standard deviation or a variance: `init` has both.

    *Published.* The differences in the released code are:

    - RNTA precedes SCA.
    - RNTA and its batch norm are applied to each clip. Its phi and g are max-pooled.
    - SCA is computed over the whole signal.
    - The "Res1D" unit and the max pooling are missing.
    - The stride is 2 in each block and 3 in the last downsampling.
    - The average pooling has a stride of one sample.
    - A shortcut with downsampling begins after SCA.
    - Without `sca` and `rnta`, the shallow convolution has no bias, and a ReLU follows it.

    With music, the released code ends in a softmax, and its loss applies a second softmax. Here the
    softmax is left out, and the network returns raw logits. Without music, the released code ends
    in a ReLU, which is kept: logits are never negative, and a trial whose logits are all zero has
    no gradient. The biases of the shallow convolution and of RNTA's phi, g and W have no effect in
    training, because batch norm and softmax cancel them. Combinations that the released code lacks
    follow the same rules.
    """

    declaration: ClassVar[Declaration] = DECLARATION
    n_chans: int
    n_times: int
    n_padding: int
    shallow: nn.Sequential
    attention: nn.Sequential
    trunk: nn.Sequential
    pool: nn.AvgPool1d
    classify: Head

    def __init__(
        self,
        n_chans: int,
        n_times: int,
        n_music_features: int,
        n_outputs: int,
        *,
        architecture: str = "paper",
        form: str = "large-corpus",
        sca: bool = True,
        sca_res: bool | None = None,
        rnta: bool = True,
        depth: int = 1,
        channels: Sequence[int] = (64, 64, 64, 64),
        n_clips: int = 3,
        reduction: int = 8,
        dropout: float = 0.0,
        last_relu: bool | None = None,
        init: str = "torch",
    ) -> None:
        super().__init__()
        _check_option("architecture", architecture, ("paper", "published"))
        _check_option("form", form, ("large-corpus", "small-corpus"))
        _check_option("depth", depth, (1, 2))
        _check_option("init", init, _INITS)
        if len(channels) != 4 or min(channels) < 1:
            raise ValueError(f"channels must be four positive numbers, got {channels!r}.")
        for name, value in [("n_clips", n_clips), ("reduction", reduction)]:
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and less than 1, got {dropout!r}.")
        published = architecture == "published"
        if published:
            _check_published_length(n_times, n_clips if rnta else 1)
        self.n_chans, self.n_times = n_chans, n_times
        self.n_padding = 0
        if not published and (sca or rnta):
            # The stride-2 convolution returns ceil(n / 2) samples; attention needs one per clip.
            self.n_padding = max(2 * n_clips - 1 - n_times, 0)
        make_layers = make_published_layers if published else make_paper_layers
        self.shallow, self.attention, self.trunk = make_layers(
            n_chans,
            channels,
            sca=sca,
            sca_res=form == "large-corpus" if sca_res is None else sca_res,
            rnta=rnta,
            depth=depth,
            n_clips=n_clips,
            reduction=reduction,
        )
        length = _ceil_div(n_times + self.n_padding, STEP[architecture])
        window = min(POOL, length)
        stride = 1 if published else window
        self.pool = nn.AvgPool1d(window, stride)
        n_eda = channels[-1] * ((length - window) // stride + 1)
        self.classify = make_head(n_eda + n_music_features, n_outputs, dropout=dropout)
        if published and n_music_features == 0 if last_relu is None else last_relu:
            self.classify.append(nn.ReLU())
        if init in ("normal", "normal-variance"):
            _draw_normal(self, 0.01 if init == "normal" else 0.1)
        elif init == "published":
            drawn = [self.trunk] if sca or rnta else [self.shallow, self.trunk]
            _draw_published(drawn, xavier=form == "small-corpus")

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits.

        Under ``torch.inference_mode``, the fast path (``networks/_fast``) runs all layers after the
        first one on a few trials at a time. Forward hooks of these layers are called for each group
        of trials.

        Parameters
        ----------
        X : Tensor of shape (B, n_columns)
            Rows [EDA channel 0 | 1 | … | music].

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Logits.
        """
        if fast := fast_way(RTCAN, X):
            return fast(self, X)
        eda, music = self._divide(X)
        return self._finish(self.shallow(eda), music)

    def _divide(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Divide rows into EDA (B, n_chans, L), padded, and music (B, n_music_features)."""
        n_eda = self.n_chans * self.n_times
        eda = X[:, :n_eda].reshape(len(X), self.n_chans, self.n_times)
        if self.n_padding:
            eda = F.pad(eda, (0, self.n_padding))
        return eda, X[:, n_eda:]

    def _finish(self, x: Tensor, music: Tensor) -> Tensor:
        """Return logits for shallow features (B, C, L) and music (B, n_music_features)."""
        x = self.pool(self.trunk(self.attention(x))).flatten(1)
        return self.classify(torch.cat([x, music], dim=1))


def _check_option(name: str, value: object, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {known}, got {value!r}.")


def _ceil_div(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _check_published_length(n_times: int, n_clips: int) -> None:
    """Raise a ValueError if average pooling, or max pooling in a clip, would have no samples."""
    shortest = STEP["published"] * (POOL - 1) + 1
    if n_times < shortest:
        raise ValueError(
            f'architecture="published" needs n_times of {shortest} or more, got {n_times}: use '
            'longer or resampled signals, or architecture="paper".'
        )
    most = _ceil_div(n_times, 2) // 2
    if n_clips > most:
        raise ValueError(
            f'architecture="published" with rnta needs clips of two samples or more: n_clips may '
            f"be at most {most} for n_times of {n_times}, got {n_clips}."
        )


def _draw_normal(net: nn.Module, deviation: float) -> None:
    for layer in net.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _draw_published(nets: Sequence[nn.Module], *, xavier: bool) -> None:
    for layer in (layer for net in nets for layer in net.modules()):
        if isinstance(layer, nn.Conv1d) and xavier:
            nn.init.xavier_normal_(layer.weight)
        elif isinstance(layer, nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
