"""MAET: one transformer for any subset of modalities.

Jiang, Liu, Zheng, Lu, "Multimodal adaptive emotion transformer with flexible modality inputs on a
novel dataset with continuous labels", ACM MM 2023. Shapes: B trials, M modalities, T tokens of all
modalities, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._declaration import COSINE, Declaration, Recipe
from edaemo.networks._domain import DomainHead
from edaemo.networks._head import Head
from edaemo.networks._modalities import embed_present, find_present
from edaemo.networks._registry import register_network

EPSILON = 1e-6  # of the layer norms
DEVIATION = 0.02  # of the initial weights
REVERSALS = ("every", "first")


class _TokenNorm(nn.BatchNorm1d):
    """A batch norm of the dimensions of tokens (B, T, D)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the normalised tokens."""
        if self.training and tokens.shape[0] * tokens.shape[1] == 1:
            # One token has no variance.
            return F.batch_norm(
                tokens.mT, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            ).mT
        return super().forward(tokens.mT).mT


class MultiViewEmbedding(nn.Module):
    """Embed features into tokens: a projection, multiplied by one gate for each view.

    With u = W x + b and g_k = sigmoid(V_k x + c_k), token k is u * g_k. A batch norm follows.

    Parameters
    ----------
    n_features, dim, n_views : int
        Number of features, of dimensions of a token, and of tokens.
    """

    def __init__(self, n_features: int, dim: int, n_views: int) -> None:
        super().__init__()
        self.project = Head(nn.Linear(n_features, dim))
        self.gate = Head(nn.Linear(n_features, n_views * dim))
        self.norm = _TokenNorm(dim)
        self.n_tokens = n_views

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, n_views, dim) for features (B, n_features)."""
        projected = self.project(x)
        gates = torch.sigmoid(self.gate(x)).unflatten(1, (self.n_tokens, -1))
        return self.norm(projected.unsqueeze(1) * gates)


class PatchEmbedding(nn.Module):
    """Embed a signal into tokens: a projection of each patch of all channels, and a batch norm.

    Parameters
    ----------
    n_chans, n_times : int
        Number of channels and of samples. The end is padded with zeros to a whole patch.
    dim, patch_size : int
        Number of dimensions of a token, and of samples in a patch.
    """

    def __init__(self, n_chans: int, n_times: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(n_chans * patch_size, dim)
        self.norm = _TokenNorm(dim)
        self.patch_size = patch_size
        self.n_padding = -n_times % patch_size
        self.n_tokens = (n_times + self.n_padding) // patch_size

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, n_patches, dim) for a signal (B, n_chans, n_times)."""
        patches = F.pad(x, (0, self.n_padding)).unflatten(2, (self.n_tokens, self.patch_size))
        return self.norm(self.project(patches.transpose(1, 2).flatten(2)))


class Attention(nn.Module):
    """Multi-head self-attention; the queries and values have biases, the keys do not."""

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(dim, 3 * dim, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(dim))
        self.value_bias = nn.Parameter(torch.zeros(dim))
        self.project = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.n_heads = n_heads

    def forward(self, x: Tensor, read: Tensor, n_queries: int) -> Tensor:
        """Return (B, n_queries, D) for the first tokens of x; `read` (B, T) selects the keys."""
        query, key, value = self.query_key_value(x).chunk(3, dim=2)
        heads = (self.n_heads, -1)
        query = (query[:, :n_queries] + self.query_bias).unflatten(2, heads).transpose(1, 2)
        key = key.unflatten(2, heads).transpose(1, 2)
        value = (value + self.value_bias).unflatten(2, heads).transpose(1, 2)
        mask = read[:, None, None].expand(-1, -1, n_queries, -1)
        response = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.dropout(self.project(response.transpose(1, 2).flatten(2)))


def make_feed_forward(dim: int, n_hidden: int, dropout: float) -> nn.Sequential:
    """Make a layer norm and the feed-forward layers after it."""
    return nn.Sequential(
        nn.LayerNorm(dim, eps=EPSILON),
        nn.Linear(dim, n_hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(n_hidden, dim),
        nn.Dropout(dropout),
    )


class Block(nn.Module):
    """Attention over all present tokens, then feed-forward layers; both with LayerScale.

    Parameters
    ----------
    dim, n_heads : int
        Number of dimensions and of attention heads.
    lengths : list of int
        Number of tokens of each modality. Each modality has feed-forward layers of its own.
    shared : bool
        Whether trials with several modalities use feed-forward layers that all modalities share.
    n_hidden : int
        Number of hidden units of the feed-forward layers.
    n_prompts : int
        Number of learned tokens of each modality. Attention reads them in trials that have only
        this modality.
    layer_scale, dropout : float
        Initial gain of the two parts, and share of dropped units.
    """

    def __init__(
        self,
        dim: int,
        n_heads: int,
        lengths: list[int],
        *,
        shared: bool,
        n_hidden: int,
        n_prompts: int,
        layer_scale: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.lengths = lengths
        self.norm = nn.LayerNorm(dim, eps=EPSILON)
        self.attention = Attention(dim, n_heads, dropout)
        self.attention_gain = nn.Parameter(torch.full((dim,), layer_scale))
        self.feed_gain = nn.Parameter(torch.full((dim,), layer_scale))
        self.feed = nn.ModuleList(make_feed_forward(dim, n_hidden, dropout) for _ in lengths)
        self.shared = make_feed_forward(dim, n_hidden, dropout) if shared else None
        size = (len(lengths) * n_prompts, dim)
        self.prompts = nn.Parameter(torch.empty(size)) if n_prompts else None

    def forward(self, x: Tensor, read: Tensor, alone: Tensor) -> Tensor:
        """Return tokens (B, T, D).

        `read` (B, T + prompts) is True for the tokens that attention reads. `alone` (B,) is True
        for trials with one modality.
        """
        tokens = x
        if self.prompts is not None:
            tokens = torch.cat([x, self.prompts.expand(len(x), -1, -1)], dim=1)
        x = x + self.attention_gain * self.attention(self.norm(tokens), read, x.shape[1])
        return x + self.feed_gain * self._feed(x, alone)

    def _feed(self, x: Tensor, alone: Tensor) -> Tensor:
        if self.shared is None:
            return self._feed_each(x)
        if not torch.compiler.is_compiling():
            if not alone.any():
                return self.shared(x)
            if alone.all():
                return self._feed_each(x)
        return torch.where(alone[:, None, None], self._feed_each(x), self.shared(x))

    def _feed_each(self, x: Tensor) -> Tensor:
        parts = zip(self.feed, x.split(self.lengths, dim=1), strict=True)
        return torch.cat([feed(part) for feed, part in parts], dim=1)


class Fusion(nn.Module):
    """Average the class tokens, weighted by the softmax of their products with one vector."""

    vector: nn.Parameter

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.randn(dim))

    def weigh(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return the weight of each modality, (B, M); 0 if it is absent."""
        scores = (tokens * self.vector).sum(dim=2)
        return scores.masked_fill(~present, -torch.inf).softmax(dim=1)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return (B, D) for class tokens (B, M, D), of which those in `present` (B, M) count."""
        return (self.weigh(tokens, present).unsqueeze(2) * tokens).sum(dim=1)


@register_network("maet")
class MAET(nn.Module):
    """MAET: embeddings of each modality, transformer blocks, adaptive fusion, heads.

    A trial lacks a modality if the block of the modality is NaN. Each trial can lack other
    modalities. It needs at least one.

    Parameters
    ----------
    blocks : mapping from str to tuple of int
        Shape of each modality in a trial, in order: (n_features,), or (n_chans, n_times) for a
        signal. Features become `n_views` tokens, and a signal becomes one token for each patch.
    n_outputs : int
        Number of classes.
    n_groups : int or None, default=None
        Number of training subjects. In training, a :class:`DomainHead` then predicts the subject
        from class tokens. None: no such head.
    embed_dim : int, default=32
        Number of dimensions of a token.
    depth : int, default=3
        Number of transformer blocks.
    n_heads : int, default=4
        Number of attention heads, a divisor of `embed_dim`.
    n_views : int, default=5
        Number of tokens for the features of a modality.
    patch_size : int, default=16
        Number of samples in a patch of a signal.
    mixffn_start_layer_index : int, default=2
        Index of the first block in which a trial with several modalities uses feed-forward layers
        that all modalities share. In the blocks before it, and in trials with one modality, each
        modality has its own.
    feed_ratio : int, default=4
        Number of hidden units of the feed-forward layers, divided by `embed_dim`.
    layer_scale : float, default=0.1
        Initial gain of attention and feed-forward layers.
    n_prompts : int, default=0
        Number of learned tokens for each block and modality, for trials with one modality; the
        source uses 2.
    dropout : float, default=0.0
        Share of units dropped in training after attention and feed-forward layers.
    modality_dropout : float, default=0.0
        Probability that a present modality of a trial is left out in training. A trial keeps at
        least one modality.
    reversal : {"every", "first"}, default="every"
        Class tokens from which the subject is predicted: those of every present modality, or of
        the first present one only, as in the released code.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    With EEG (310 features), eye movements (33) and 7 classes, the network has the 139,541
    parameters of the released code; 141,224 with 19 subjects; 139,925 with two prompts. For its
    parameter counts, layers and losses the network follows a description of that code. Patches and
    `modality_dropout` are additions. Prompts are appended before the layer norm.

    A trial with one modality is classified from the mean of its tokens except the class token, with
    a head of the modality. A trial with several modalities is classified from the fusion of their
    class tokens. In a network of one modality, the shared layers, the fusion and the head of the
    fusion do not exist.
    """

    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass"),
        sizes=("blocks", "n_groups"),
        signals=(),
        features=("eda", "music"),
        # The source gives no optimiser, rate, batch size or number of epochs.
        recipes={"default": Recipe(lr_scheduler=COSINE, weight_decay=0.05, max_epochs=30)},
    )
    names: tuple[str, ...]
    lengths: list[int]
    class_places: list[int]
    modality_dropout: float
    reversal: str
    modality_of_token: Tensor
    modality_of_prompt: Tensor
    embed: nn.ModuleList
    class_token: nn.Parameter
    position: nn.Parameter
    modality_type: nn.Parameter
    tokens: nn.Identity
    blocks: nn.ModuleList
    norm: nn.LayerNorm
    heads: nn.ModuleList
    fuse: Fusion | None
    fused_head: Head | None
    domain: DomainHead | None

    def __init__(
        self,
        blocks: Mapping[str, tuple[int, ...]],
        n_outputs: int,
        n_groups: int | None = None,
        *,
        embed_dim: int = 32,
        depth: int = 3,
        n_heads: int = 4,
        n_views: int = 5,
        patch_size: int = 16,
        mixffn_start_layer_index: int = 2,
        feed_ratio: int = 4,
        layer_scale: float = 0.1,
        n_prompts: int = 0,
        dropout: float = 0.0,
        modality_dropout: float = 0.0,
        reversal: str = "every",
    ) -> None:
        super().__init__()
        if embed_dim % n_heads:
            raise ValueError(f"embed_dim={embed_dim} must be a multiple of n_heads={n_heads}.")
        if reversal not in REVERSALS:
            raise ValueError(f"reversal must be one of {REVERSALS}, got {reversal!r}.")
        if not blocks:
            raise ValueError("blocks is empty: MAET needs at least one modality.")
        self.names = tuple(blocks)
        self.modality_dropout, self.reversal = modality_dropout, reversal
        embeddings: list[MultiViewEmbedding | PatchEmbedding] = []
        for shape in blocks.values():
            if len(shape) == 1:
                embeddings.append(MultiViewEmbedding(shape[0], embed_dim, n_views))
            else:
                embeddings.append(PatchEmbedding(shape[0], shape[1], embed_dim, patch_size))
        self.embed = nn.ModuleList(embeddings)
        self.lengths = [1 + embed.n_tokens for embed in embeddings]
        self.class_places = [sum(self.lengths[:i]) for i in range(len(blocks))]
        several = len(blocks) > 1
        places = torch.arange(len(blocks))
        lengths = torch.tensor(self.lengths)
        of_token = places.repeat_interleave(lengths, output_size=sum(self.lengths))
        self.register_buffer("modality_of_token", of_token, persistent=False)
        of_prompt = places.repeat_interleave(n_prompts)
        self.register_buffer("modality_of_prompt", of_prompt, persistent=False)
        self.class_token = nn.Parameter(torch.empty(len(blocks), embed_dim))
        self.position = nn.Parameter(torch.empty(sum(self.lengths), embed_dim))
        self.modality_type = nn.Parameter(torch.empty(len(blocks), embed_dim))
        self.tokens = nn.Identity()  # so that tools can explain the tokens
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                n_heads,
                self.lengths,
                shared=several and layer >= mixffn_start_layer_index,
                n_hidden=feed_ratio * embed_dim,
                n_prompts=n_prompts,
                layer_scale=layer_scale,
                dropout=dropout,
            )
            for layer in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.heads = nn.ModuleList(Head(nn.Linear(embed_dim, n_outputs)) for _ in blocks)
        self.fuse = Fusion(embed_dim) if several else None
        self.fused_head = Head(nn.Linear(embed_dim, n_outputs)) if several else None
        self.domain = None if n_groups is None else DomainHead(embed_dim, n_groups)
        self._draw_weights()

    def _draw_weights(self) -> None:
        drawn: list[Tensor] = [self.class_token, self.position, self.modality_type]
        for module in self.modules():
            if isinstance(module, nn.Linear):
                drawn.append(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, Block) and module.prompts is not None:
                drawn.append(module.prompts)
        for weight in drawn:
            nn.init.trunc_normal_(weight, std=DEVIATION)

    def forward(self, **blocks: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Return the logits; in training with `n_groups`, also those of the subjects.

        Parameters
        ----------
        **blocks : Tensor of shape (B, n_features) or (B, n_chans, n_times)
            The modalities by name. NaN marks a trial that lacks the modality. A modality that is
            not passed is absent in all trials.

        Returns
        -------
        logits : Tensor of shape (B, n_outputs)
            Logits. NaN for a trial without any modality.
        domain_logits : Tensor of shape (B, n_tokens, n_groups)
            Logits of the subjects for each class token that the reversal uses; only in training.
        read : Tensor of bool of shape (B, n_tokens)
            True for the tokens of present modalities; only in training.
        """
        present = self._find_present(blocks)
        x = self._encode(blocks, present)
        classes = x[:, self.class_places]
        logits = self._classify(x, classes, present)
        if self.domain is None or not self.training:
            return logits
        read = present
        if self.reversal == "first":
            first = present.int().argmax(dim=1)
            classes = classes[torch.arange(len(x), device=x.device), first].unsqueeze(1)
            read = torch.ones_like(present[:, :1])
        return logits, self.domain(classes), read

    def weigh_modalities(self, **blocks: Tensor) -> Tensor:
        """Return the weight of each class token in the fusion.

        Parameters
        ----------
        **blocks : Tensor of shape (B, n_features) or (B, n_chans, n_times)
            As in `forward`.

        Returns
        -------
        Tensor of shape (B, n_modalities)
            The weights; 0 for absent modalities. They sum to 1.
        """
        present = self._find_present(blocks)
        if self.fuse is None:
            return present.float()
        return self.fuse.weigh(self._encode(blocks, present)[:, self.class_places], present)

    def _encode(self, blocks: Mapping[str, Tensor], present: Tensor) -> Tensor:
        """Return the tokens after all blocks, (B, T, D), of the modalities in `present` (B, M)."""
        x = self.tokens(self._embed(blocks, present))
        alone = present.sum(dim=1) == 1
        read = torch.cat(
            [
                present[:, self.modality_of_token],
                (present & alone[:, None])[:, self.modality_of_prompt],
            ],
            dim=1,
        )
        for block in self.blocks:
            x = block(x, read, alone)
        return self.norm(x)

    def _find_present(self, blocks: Mapping[str, Tensor]) -> Tensor:
        """Return which modalities each trial has, (B, M); draw those to leave out in training."""
        share = self.modality_dropout if self.training else 0.0
        return find_present(self.names, blocks, drop=share)

    def _embed(self, blocks: Mapping[str, Tensor], present: Tensor) -> Tensor:
        """Return the input tokens, (B, T, D); those of absent modalities are not read."""
        parts = []
        for i, (name, embed) in enumerate(zip(self.names, self.embed, strict=True)):
            n_tokens = self.lengths[i] - 1
            shape = (len(present), n_tokens, self.modality_type.shape[1])
            if name in blocks:
                views = embed_present(embed, blocks[name], present[:, i], shape)
            else:
                views = self.modality_type.new_zeros(shape)
            parts += [self.class_token[i].expand(len(present), 1, -1), views]
        types = self.modality_type[self.modality_of_token]
        return torch.cat(parts, dim=1) + (self.position + types)

    def _classify(self, x: Tensor, classes: Tensor, present: Tensor) -> Tensor:
        """Return the logits of trials with one modality, and of those with several."""
        parts = x.split(self.lengths, dim=1)
        single = torch.stack(
            [head(part[:, 1:].mean(dim=1)) for head, part in zip(self.heads, parts, strict=True)],
            dim=1,
        )
        single = torch.where(present.unsqueeze(2), single, 0).sum(dim=1)
        if self.fuse is None or self.fused_head is None:
            return torch.where(present, single, torch.nan)
        fused = self.fused_head(self.fuse(classes, present))
        alone = present.sum(dim=1, keepdim=True) == 1
        return torch.where(alone, single, fused)
