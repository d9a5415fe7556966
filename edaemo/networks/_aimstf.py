"""AIMSTF-SSFF: signals at several levels, and features that modalities share or do not share.

Sun, Chen, "Bimodal emotion recognition based on adaptive integration of multi-level
spatial-temporal features and specific-shared feature fusion", Journal of Electronics & Information
Technology 46(2), 2024, doi:10.11999/JEIT231110. Written from a description of the released code,
which has no licence. Shapes: B trials, M modalities, C filters, L steps, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._declaration import Declaration, Layer, Recipe
from edaemo.networks._head import Head
from edaemo.networks._layers import SignalChannelAttention
from edaemo.networks._modalities import embed_present, find_present
from edaemo.networks._registry import register_network

ARCHITECTURES = ("mended", "published")
# The kernels of the multi-scale convolutions, as parts of the signal: 64, 32, 16 of 128 samples.
PARTS = (2, 4, 8)
# Samples are averaged so that a longer signal does not have many more steps: pairs of 128 samples.
MOST_POSITIONS = 64
REDUCTION = 4  # of the squeeze-and-excitation over filters
N_COLOUR_FILTERS = (32, 64, 128)
LEAST_SIZE = 21  # pixels of a video frame that the convolutions and poolings need


def convolve(n_filters: int, n_outputs: int) -> nn.Sequential:
    """Make a convolution over three positions, a batch norm and a leaky ReLU."""
    convolution = nn.Conv1d(n_filters, n_outputs, 3, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm1d(n_outputs), nn.LeakyReLU())


class MultiScale(nn.Module):
    """Convolutions with three lengths of kernel, whose averaged outputs are joined in time.

    Parameters
    ----------
    n_chans, n_times, n_filters : int
        Number of channels, samples and filters.
    """

    def __init__(self, n_chans: int, n_times: int, n_filters: int) -> None:
        super().__init__()
        kernels = [max(n_times // part, 1) for part in PARTS]
        window = -(-n_times // MOST_POSITIONS)
        self.scales = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n_chans, n_filters, kernel), nn.LeakyReLU(), nn.AvgPool1d(window)
            )
            for kernel in kernels
        )
        self.norm = nn.BatchNorm1d(n_filters)
        self.n_steps = sum((n_times - kernel + 1) // window for kernel in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, L) for a signal (B, n_chans, n_times)."""
        return self.norm(torch.cat([scale(x) for scale in self.scales], dim=2))


class Attention(nn.Module):
    """Multi-head self-attention among the tokens of a trial, (B, T, D)."""

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.n_heads, self.dropout = n_heads, dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what each token reads from all tokens of its trial."""
        parts = self.query_key_value(tokens).unflatten(2, (3, self.n_heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, n_heads, T, ·)
        dropout = self.dropout if self.training else 0.0
        response = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.project(response.transpose(1, 2).flatten(2))


class TemporalSpatial(nn.Module):
    """The two flows of a level: attention over time, and convolutions across filters; their sum.

    Parameters
    ----------
    n_filters, n_steps, n_heads : int
        Number of filters, of steps, and of attention heads.
    dropout : float
        Share of the attention weights that are dropped in training.
    published : bool
        False: the tokens of attention are the steps of a trial. True: they are its filters, with a
        dimension for each step, as the sizes of the released code are.
    """

    def __init__(
        self, n_filters: int, n_steps: int, n_heads: int, *, dropout: float, published: bool
    ) -> None:
        super().__init__()
        self.temporal = convolve(n_filters, n_filters)
        self.attention = Attention(n_steps if published else n_filters, n_heads, dropout)
        self.spatial = convolve(n_steps, n_steps)
        self.squeeze = SignalChannelAttention(n_filters, REDUCTION)
        # The released code makes these layers and does not use them; they count as parameters.
        self.unused = nn.ModuleList()
        if published:
            self.unused.extend(
                [nn.Linear(n_filters, 2 * n_filters), nn.Linear(n_filters, n_filters)]
            )
        self.published = published

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, L) for x (B, C, L)."""
        temporal = self.temporal(x)
        attended = self.attention(temporal) if self.published else self.attention(temporal.mT).mT
        return attended + self.squeeze(self.spatial(x.mT).mT)


class Gate(nn.Module):
    """Mix the features of a level with those of the levels before it, and add them to the level.

    With the gate u = σ(conv [e, y]), h = conv y and c = tanh(conv e), for the earlier features e
    and the features y of the level, the result is y + conv(u h + (1 - u) c).
    """

    def __init__(self, n_filters: int) -> None:
        super().__init__()
        n_hidden = max(3 * n_filters // 4, 1)
        self.update = nn.Conv1d(2 * n_filters, n_hidden, 3, padding=1)
        self.current = convolve(n_filters, n_hidden)
        self.candidate = nn.Conv1d(n_filters, n_hidden, 3, padding=1)
        self.join = convolve(n_hidden, n_filters)

    def open(self, earlier: Tensor, y: Tensor) -> Tensor:
        """Return the gate u, (B, n_hidden, L), between 0 and 1."""
        return torch.sigmoid(self.update(torch.cat([earlier, y], dim=1)))

    def forward(self, earlier: Tensor, y: Tensor) -> Tensor:
        """Return (B, C, L) for the earlier features and those of the level, each (B, C, L)."""
        gate = self.open(earlier, y)
        candidate = torch.tanh(self.candidate(earlier))
        return y + self.join(gate * self.current(y) + (1 - gate) * candidate)


def weigh_levels(earlier: Sequence[Tensor], y: Tensor) -> Tensor:
    """Return the weights (B, n_levels) of earlier levels, large for those that differ from y.

    A weight is one minus the softmax of the cosine similarities of the levels with y. With a single
    earlier level it is one minus the similarity. The similarity is that of all features of a trial.

    Parameters
    ----------
    earlier : sequence of Tensor of shape (B, C, L)
        Features of the levels before.
    y : Tensor of shape (B, C, L)
        Features of the level.
    """
    levels = torch.stack(list(earlier), dim=1).flatten(2)
    similarity = F.cosine_similarity(levels, y.flatten(1).unsqueeze(1), dim=2)
    return 1 - (similarity if len(earlier) == 1 else similarity.softmax(dim=1))


class SignalEncoder(nn.Module):
    """Features of a signal: multi-scale convolutions, then levels of two flows and a gate.

    Parameters
    ----------
    n_chans, n_times : int
        Number of channels and samples.
    n_features : int
        Number of features D that it returns.
    n_filters, depth, n_heads : int
        Number of filters, of levels, and of attention heads.
    dropout : float
        Share of the attention weights that are dropped in training.
    published : bool
        Whether there is attention among filters, and no ReLU after the last layer.
    """

    def __init__(
        self,
        n_chans: int,
        n_times: int,
        n_features: int,
        *,
        n_filters: int,
        depth: int,
        n_heads: int,
        dropout: float,
        published: bool,
    ) -> None:
        super().__init__()
        self.scales = MultiScale(n_chans, n_times, n_filters)
        n_steps = self.scales.n_steps
        if published and n_steps % n_heads:
            raise ValueError(
                f"In the published architecture n_heads={n_heads} must divide the number of steps, "
                f"which is {n_steps} for {n_times} samples: choose another number of samples."
            )
        self.levels = nn.ModuleList(
            TemporalSpatial(n_filters, n_steps, n_heads, dropout=dropout, published=published)
            for _ in range(depth)
        )
        self.gates = nn.ModuleList(Gate(n_filters) for _ in range(depth))
        self.project = Head(*linear(n_filters * n_steps, n_features, published=published))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) for a signal (B, n_chans, n_times)."""
        states = [self.scales(x)]
        for level, gate in zip(self.levels, self.gates, strict=True):
            y = level(states[-1])
            weights = weigh_levels(states, y)[:, :, None, None]
            earlier = (weights * torch.stack(states, dim=1)).sum(dim=1)
            states.append(gate(earlier, y))
        return self.project(states[-1].flatten(1))


class VideoEncoder(nn.Module):
    """Features of video frames: convolutions of each frame, and a convolutional LSTM over frames.

    Parameters
    ----------
    shape : tuple of 4 int
        Number of frames, of colours, and of rows and columns of pixels.
    n_features : int
        Number of features D that it returns.
    published : bool
        Whether the ReLU after the last layer is left out.
    """

    def __init__(self, shape: tuple[int, ...], n_features: int, *, published: bool) -> None:
        super().__init__()
        _, n_colours, *sizes = shape
        if min(sizes) < LEAST_SIZE:
            raise ValueError(
                f"A video frame has {sizes[0]} x {sizes[1]} pixels: it needs at least {LEAST_SIZE} "
                "in each direction."
            )
        layers: list[nn.Module] = []
        for n_filters, padding in zip(N_COLOUR_FILTERS, (0, 0, 1), strict=True):
            convolution = nn.Conv2d(n_colours, n_filters, 3, padding=padding)
            layers += [convolution, nn.ReLU(), nn.MaxPool2d(3, 2)]
            sizes = [(size + 2 * padding - 2 - 3) // 2 + 1 for size in sizes]
            n_colours = n_filters
        self.convolve = nn.Sequential(*layers)
        self.gates = nn.Conv2d(2 * n_colours, 4 * n_colours, 3, padding=1)
        n_inner = n_colours * sizes[0] * sizes[1]
        self.project = Head(*linear(n_inner, n_features, published=published))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) for frames (B, n_frames, n_colours, height, width)."""
        frames = self.convolve(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        hidden = cell = torch.zeros_like(frames[:, 0])
        for frame in frames.unbind(dim=1):
            gates = self.gates(torch.cat([frame, hidden], dim=1))
            enter, forget, leave, new = gates.chunk(4, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            hidden = torch.sigmoid(leave) * torch.tanh(cell)
        return self.project(hidden.flatten(1))


def linear(n_features: int, n_outputs: int, *, published: bool) -> list[nn.Module]:
    """Return a linear layer, and a ReLU after it in the mended architecture."""
    layer = nn.Linear(n_features, n_outputs)
    return [layer] if published else [layer, nn.ReLU()]


def make_projection(n_features: int, n_outputs: int, *, published: bool) -> Head:
    """Make two linear layers to `n_outputs` features; in the mended architecture from -1 to 1."""
    n_hidden = 2 * n_outputs
    layers = [
        *linear(n_features, n_hidden, published=published),
        nn.Linear(n_hidden, n_outputs),
    ]
    return Head(*layers) if published else Head(*layers, nn.Tanh())


class Fusion(nn.Module):
    """Weigh the specific features of each modality and the shared features, and join them.

    Parameters
    ----------
    n_parts, n_features : int
        Number of feature vectors, and their length.
    published : bool
        False: the score of a vector is computed from this vector. True: from all of them joined, by
        the same layers for each vector, so that all weights are equal, as in the released code.
    """

    score: nn.Sequential
    published: bool

    def __init__(self, n_parts: int, n_features: int, *, published: bool) -> None:
        super().__init__()
        n_scored = n_parts * n_features if published else n_features
        activation = [] if published else [nn.Tanh()]
        self.score = nn.Sequential(
            nn.Linear(n_scored, n_features), *activation, nn.Linear(n_features, 1)
        )
        self.published = published

    def weigh(self, parts: Tensor, present: Tensor) -> Tensor:
        """Return the weights (B, n_parts) of vectors (B, n_parts, D); 0 for absent ones."""
        scored = parts.flatten(1).unsqueeze(1).expand(-1, parts.shape[1], -1)
        scores = self.score(scored if self.published else parts).squeeze(2)
        return scores.masked_fill(~present, -torch.inf).softmax(dim=1)

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """Return (B, n_parts * D) for vectors (B, n_parts, D), of which `present` are used."""
        return (self.weigh(parts, present).unsqueeze(2) * parts).flatten(1)


# That of the released scripts for 5 folds.
_RECIPE = Recipe(
    optimizer=torch.optim.Adam, lr=5e-4, weight_decay=1e-4, batch_size=120, max_epochs=100
)


@register_network("aimstf")
class AIMSTF(nn.Module):
    """AIMSTF-SSFF: an encoder of each modality, specific and shared features, and their fusion.

    A trial lacks a modality if the block of the modality is NaN. It needs at least one.

    Parameters
    ----------
    blocks : mapping from str to tuple of int
        Shape of each modality in a trial, in order: (n_chans, n_times) for a signal, (n_features,)
        for features, or (n_frames, n_colours, height, width) for video frames. The source has two
        modalities, EEG and faces. With a single modality, no other one has shared features.
    n_outputs : int
        Number of classes.
    architecture : {"mended", "published"}, default="mended"
        "published": layers and sizes of the released code, see the notes.
    n_filters : int, default=32
        Number of filters of a signal; the source has 32 electrodes and 32 filters.
    depth : int, default=6
        Number of levels of a signal.
    n_heads : int, default=4
        Number of attention heads, a divisor of `n_filters`.
    embed_dim : int, default=128
        Number of features of a modality, a multiple of 4. Specific and shared features are a
        quarter of it.
    dropout : float, default=0.5
        Share of units dropped in training, in the layers after the shared features and before the
        classes.
    attention_dropout : float, default=0.2
        Share of attention weights dropped in training.
    modality_dropout : float, default=0.0
        Probability that a present modality of a trial is left out in training; an addition. A trial
        keeps at least one modality.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or a video frame is too small.

    Notes
    -----
    With EEG (32 channels, 128 samples), faces (5 frames of 3 x 64 x 64) and 4 classes, the
    published architecture has the 3,473,109 parameters of the released code, 1,566,320 of them in
    the encoder of EEG. 19,008 of these belong to layers that the released code makes and does not
    use.

    The released code has these errors, which the mended architecture does not have:

    - Its attention receives (B, C, L) as (tokens, batch, dimensions). A prediction thus depends on
      the other trials in the batch. Here the tokens are the steps of one trial. In
      ``architecture="published"`` they are the filters of one trial, which have the dimensions of
      the released layers.
    - The scores of the three vectors in the fusion come from the same layers on the same input, so
      that each weight is one third. Here the score of a vector comes from this vector.
    - No activation follows the linear layers, so two of them are one. Here a ReLU follows each,
      and the specific and shared features end in a tanh, because the central moment discrepancy
      compares features of a limited range.

    The description leaves open, and is our choice: over which features the similarity of two levels
    is computed; the tanh in the score; one linear layer and a ReLU for a modality of features,
    which the source does not have; kernels and averages in proportion to the length of the signal.
    If a trial lacks a modality, the mean of the shared features of its others takes the place of
    the absent ones.
    """

    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass"),
        sizes=("blocks",),
        signals=("eda",),
        features=("music",),
        recipes={
            "default": _RECIPE,
            "per-subject": _RECIPE._replace(lr=1e-4, batch_size=64, max_epochs=50),
        },
        # The steps after it join three scales, so they do not have one time axis.
        layers={"convolve": Layer("encoders.0.scales.scales.2")},
        on_request=True,
    )
    names: tuple[str, ...]
    modality_dropout: float
    embed_dim: int
    encoders: nn.ModuleList
    specific: nn.ModuleList
    common: Head
    join: Head
    fuse: Fusion
    classify: Head

    def __init__(
        self,
        blocks: Mapping[str, tuple[int, ...]],
        n_outputs: int,
        *,
        architecture: str = "mended",
        n_filters: int = 32,
        depth: int = 6,
        n_heads: int = 4,
        embed_dim: int = 128,
        dropout: float = 0.5,
        attention_dropout: float = 0.2,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {ARCHITECTURES}, got {architecture!r}.")
        if n_filters % n_heads:
            raise ValueError(f"n_filters={n_filters} must be a multiple of n_heads={n_heads}.")
        if embed_dim < 4 or embed_dim % 4:
            raise ValueError(f"embed_dim={embed_dim} must be a multiple of 4.")
        if not blocks:
            raise ValueError("blocks is empty: AIMSTF needs at least one modality.")
        self.names, self.modality_dropout = tuple(blocks), modality_dropout
        self.embed_dim = embed_dim
        published = architecture == "published"
        encoders: list[nn.Module] = []
        for shape in blocks.values():
            if len(shape) == 1:
                encoders.append(Head(nn.Linear(shape[0], embed_dim), nn.ReLU()))
            elif len(shape) == 2:
                encoder = SignalEncoder(
                    *shape,
                    embed_dim,
                    n_filters=n_filters,
                    depth=depth,
                    n_heads=n_heads,
                    dropout=attention_dropout,
                    published=published,
                )
                encoders.append(encoder)
            else:
                encoders.append(VideoEncoder(shape, embed_dim, published=published))
        self.encoders = nn.ModuleList(encoders)
        n_parts, n_shared = len(blocks) + 1, embed_dim // 4
        self.specific = nn.ModuleList(
            make_projection(embed_dim, n_shared, published=published) for _ in blocks
        )
        self.common = make_projection(embed_dim, n_shared, published=published)
        drop = nn.Dropout(dropout)
        n_joined, n_hidden = len(blocks) * n_shared, n_parts * n_shared // 2
        self.join = Head(*linear(n_joined, n_shared, published=published), drop)
        self.fuse = Fusion(n_parts, n_shared, published=published)
        self.classify = Head(
            *linear(n_parts * n_shared, n_hidden, published=published),
            drop,
            *linear(n_hidden, n_hidden, published=published),
            drop,
            nn.Linear(n_hidden, n_outputs),
        )

    def forward(self, **blocks: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the logits; in training also the features that the losses compare.

        Parameters
        ----------
        **blocks : Tensor of shape (B, `*shape`)
            The modalities by name. NaN marks a trial that lacks the modality. A modality that is
            not passed is absent in all trials.

        Returns
        -------
        logits : Tensor of shape (B, n_outputs)
            Logits. NaN for a trial without any modality.
        specific, common : Tensor of shape (B, M, D)
            The specific and the shared features of each modality; only in training.
        present : Tensor of bool of shape (B, M)
            True for modalities that the trial has; only in training.
        """
        specific, common, present = self._encode(blocks)
        parts, read = self._join(specific, common, present)
        logits = self.classify(self.fuse(parts, read))
        if not self.training:
            return logits
        return logits, specific, common, present

    def weigh_modalities(self, **blocks: Tensor) -> Tensor:
        """Return the weights of the fusion.

        Parameters
        ----------
        **blocks : Tensor of shape (B, `*shape`)
            As in `forward`.

        Returns
        -------
        Tensor of shape (B, M + 1)
            The weight of the specific features of each modality, 0 if it is absent, and of the
            shared features. They sum to 1.
        """
        return self.fuse.weigh(*self._join(*self._encode(blocks)))

    def _encode(self, blocks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return specific and shared features, (B, M, D), and which modalities are present."""
        share = self.modality_dropout if self.training else 0.0
        present = find_present(self.names, blocks, drop=share)
        shape, example = (len(present), self.embed_dim), next(iter(blocks.values()))
        features = [
            embed_present(encoder, blocks[name], present[:, i], shape)
            if name in blocks
            else example.new_zeros(shape)
            for i, (name, encoder) in enumerate(zip(self.names, self.encoders, strict=True))
        ]
        each = zip(self.specific, features, strict=True)
        specific = torch.stack([project(x) for project, x in each], dim=1)
        common = torch.stack([self.common(x) for x in features], dim=1)
        return specific, common, present

    def _join(self, specific: Tensor, common: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors to fuse, (B, M + 1, D), and which of them are present."""
        there = present.unsqueeze(2)
        # 0 / 0: a trial without any modality has no prediction.
        mean = torch.where(there, common, 0).sum(dim=1, keepdim=True) / there.sum(
            dim=1, keepdim=True
        )
        joined = self.join(torch.where(there, common, mean).flatten(1))
        parts = torch.cat([specific, joined.unsqueeze(1)], dim=1)
        return parts, torch.cat([present, torch.ones_like(present[:, :1])], dim=1)
