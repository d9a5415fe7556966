"""How networks are trained: everything about it that is no layer, and the named recipes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import torch
from sklearn.base import clone
from skorch.callbacks import LRScheduler
from torch import Tensor

from edaemo._validation import suggest

CONSTANT, COSINE = "constant", "cosine"


class Recipe(NamedTuple):
    """How a network is trained; `RTCANClassifier` says what each of them means."""

    optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW
    optimizer_params: Mapping[str, Any] = {}
    lr: float = 1e-3
    lr_scheduler: LRScheduler | str = CONSTANT
    weight_decay: float | None = 0.01  # None: the optimizer's own
    batch_size: int = 64
    max_epochs: int = 50
    class_weight: Mapping | str | None = None
    label_smoothing: float = 0.0
    dropout: float = 0.0
    gradient_clip: float = 0.0
    augmentation: Mapping[str, float] = {}
    init: str = "torch"

    def but_for(self, **said: object) -> Recipe:
        """Give the recipe with those of `said` in place that are not None.

        An optimizer of one's own comes without the arguments that were meant for another.
        """
        said = {name: value for name, value in said.items() if value is not None}
        if "optimizer" in said:
            said = {"optimizer_params": {}, "weight_decay": None} | said
        return self._replace(**said)

    def make_schedule(self) -> LRScheduler | None:
        """Make the learning rate's schedule, where there is one."""
        if self.lr_scheduler == CONSTANT:
            return None
        if self.lr_scheduler == COSINE:
            return LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=self.max_epochs)
        return clone(self.lr_scheduler, safe=False)

    def optimizer_arguments(self) -> dict[str, Any]:
        """Give what the optimizer takes beside the learning rate."""
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return {**self.optimizer_params, **decay}


# The network and the numbers of Yin et al. 2022, section 5.1, which names no momentum, no weight
# decay and no number of epochs: none, none, and as many as the released code runs on PMEmo.
_PAPER = Recipe(
    optimizer=torch.optim.SGD,
    lr_scheduler=LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=15, gamma=0.9),
    weight_decay=0.0,
    batch_size=256,
    max_epochs=100,
    init="normal",
)
# What the released code does.
_PUBLISHED = Recipe(
    optimizer=torch.optim.SGD,
    optimizer_params={"momentum": 0.9},
    weight_decay=0.0,
    batch_size=300,
    max_epochs=100,
    init="published",
)
RECIPES = {
    # Chosen by benchmarks/rtcan_recipe.py.
    "default": Recipe(
        lr_scheduler=COSINE,
        weight_decay=0.1,
        max_epochs=20,
        dropout=0.5,
        augmentation={"time_shift": 0.2, "noise": 0.2, "scaling": 0.2},
    ),
    "paper": _PAPER,
    "published": _PUBLISHED,
    "published-deap": _PUBLISHED._replace(lr=0.1, weight_decay=0.001, max_epochs=300),
    "published-amigos": _PUBLISHED._replace(weight_decay=0.01, max_epochs=1000),
}


def find_recipe(name: object) -> Recipe:
    """Return the recipe of that name; raise a ValueError that says which there are."""
    if name in RECIPES:
        return RECIPES[name]
    raise ValueError(f"There is no recipe {name!r}: {suggest(name, RECIPES)}")


class Augmentation(NamedTuple):
    """Changes of a training batch that leave its emotion as it is.

    Parameters
    ----------
    n_chans, n_times : int
        How the first columns divide; those behind them, the music, stay as they are.
    time_shift : float
        Each trial is moved by a random part of its length, up to this share of it either way; the
        first or last sample fills what becomes free.
    scaling : float
        Each trial, all channels alike, is multiplied by exp(`scaling` · z), z standard normal.
    noise : float
        Standard deviation of white noise, in units of the channel.
    channel_drop : float
        Probability that a channel of a trial becomes zero; a trial keeps one channel at least.
    """

    n_chans: int
    n_times: int
    time_shift: float = 0.0
    scaling: float = 0.0
    noise: float = 0.0
    channel_drop: float = 0.0

    def __call__(self, X: Tensor) -> Tensor:
        """Change rows [EDA channel 0 | 1 | … | music]; chance is the device's global generator."""
        n, n_eda, there = len(X), self.n_chans * self.n_times, {"device": X.device}
        eda = X[:, :n_eda].reshape(n, self.n_chans, self.n_times)
        if most := round(self.time_shift * self.n_times):
            shift = torch.randint(-most, most + 1, (n, 1, 1), **there)
            source = (torch.arange(self.n_times, **there) - shift).clamp(0, self.n_times - 1)
            eda = eda.gather(2, source.expand(-1, self.n_chans, -1))
        if self.scaling:
            eda = eda * torch.exp(self.scaling * torch.randn(n, 1, 1, **there))
        if self.noise:
            eda = eda + self.noise * torch.randn(eda.shape, **there)
        if self.channel_drop:
            draw = torch.rand(n, self.n_chans, 1, **there)
            kept = (draw >= self.channel_drop) | (draw == draw.amax(dim=1, keepdim=True))
            eda = eda * kept
        return torch.cat([eda.reshape(n, n_eda), X[:, n_eda:]], dim=1)


CHANGES = Augmentation._fields[2:]


def check_augmentation(asked: Mapping[str, float]) -> None:
    """Raise a ValueError unless `asked` names changes of `Augmentation` and their strengths."""
    for name, strength in asked.items():
        if name not in CHANGES:
            raise ValueError(f"There is no augmentation {name!r}: {suggest(name, CHANGES)}")
        most = {"time_shift": 1.0, "channel_drop": 1.0}.get(name, float("inf"))
        number = isinstance(strength, Real) and not isinstance(strength, bool)
        if not (number and 0 <= strength < most):
            raise ValueError(
                f"augmentation {name!r} must be a number from 0 to below {most:g}, "
                f"got {strength!r}."
            )
