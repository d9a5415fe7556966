"""Networks from outside the package, one class each, which the tests trust by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edaemo.networks import Declaration, Layer, Recipe
from edaemo.training import Batch, CrossEntropy


class Line(nn.Module):
    """One linear layer: in a full batch the loss of two equal rows is that of one of weight 2."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, rows: Tensor) -> Tensor:
        return self.linear(rows)


class Tiny(nn.Module):
    """A convolution over EDA, whose mean over time is joined with the music. Declares nothing."""

    def __init__(self, n_chans: int, n_music_features: int, n_outputs: int, width: int = 4) -> None:
        super().__init__()
        self.convolve = nn.Sequential(nn.Conv1d(n_chans, width, 5, stride=2, padding=2), nn.ReLU())
        self.classify = nn.Linear(width + n_music_features, n_outputs)

    def forward(self, eda: Tensor, music: Tensor) -> Tensor:
        return self.classify(torch.cat([self.convolve(eda).mean(dim=-1), music], dim=1))


class Adversarial(CrossEntropy):
    """Cross-entropy, and that of the people, whose gradient the network has reversed."""

    def forward(self, outputs: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        known = batch.group >= 0
        people = nn.functional.cross_entropy(outputs[1][known], batch.group[known], reduction="sum")
        return super().forward(outputs, batch) + people / max(int(known.sum()), 1)


class Reverse(torch.autograd.Function):
    """The identity, whose gradient is reversed."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return -gradient


class Domain(nn.Module):
    """Features from which people cannot be told apart: a head for them with reversed gradient."""

    declaration = Declaration(
        tasks=("binary", "multiclass"),
        sizes=("n_features", "n_groups"),
        recipes={"default": Recipe(lr=0.01, max_epochs=5, batch_size=16)},
        losses={"binary": Adversarial, "multiclass": Adversarial},
        layers={"embed": Layer("embed")},
        groups=True,
    )

    def __init__(self, n_features: int, n_groups: int, n_outputs: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU())
        self.classify = nn.Linear(8, n_outputs)
        self.tell = nn.Linear(8, n_groups)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        features = self.embed(rows)
        return self.classify(features), self.tell(Reverse.apply(features))


class Steps(nn.Module):
    """A number for each step from its features and those of the steps beside it, by two blocks."""

    declaration = Declaration(
        tasks=("sequence-regression",), recipes={"default": Recipe(lr=0.05, batch_size=8)}
    )

    def __init__(self, blocks: dict, n_outputs: int) -> None:
        super().__init__()
        (n_voice,), (n_face,) = blocks["voice"], blocks["face"]
        self.convolve = nn.Conv1d(n_voice + n_face, n_outputs, 3, padding=1)

    def forward(self, voice: Tensor, face: Tensor, mask: Tensor) -> Tensor:
        joined = torch.cat([voice, face], dim=-1) * mask.unsqueeze(-1)
        return self.convolve(joined.mT).mT
