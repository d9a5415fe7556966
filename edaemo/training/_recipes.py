"""Recipes, learning-rate schedules and augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import torch
from sklearn.base import clone
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from edaemo._validation import suggest
from edaemo.networks import CONSTANT, COSINE, Recipe, declaration_of


def find_recipe(name: str | None, network: type[nn.Module]) -> Recipe:
    """Return a recipe of a network.

    Parameters
    ----------
    name : str or None
        Name of the recipe; None for the default recipe.
    network : type
        Class of the network.

    Returns
    -------
    Recipe
        The recipe.

    Raises
    ------
    ValueError
        If the network has no such recipe. The message lists its recipes.
    """
    declared = declaration_of(network)
    if name is None:
        return declared.recipes[declared.recipe]
    if name in declared.recipes:
        return declared.recipes[name]
    raise ValueError(f"Unknown recipe {name!r}: {suggest(name, declared.recipes)}")


def make_schedule(recipe: Recipe) -> LRScheduler | None:
    """Make the schedule of the learning rate, or None for a constant rate.

    Parameters
    ----------
    recipe : Recipe
        The recipe.

    Returns
    -------
    LRScheduler or None
        A new schedule; None for a constant rate.
    """
    schedule = recipe.lr_scheduler
    if isinstance(schedule, LRScheduler):
        return clone(schedule, safe=False)
    if schedule == CONSTANT:
        return None
    if schedule == COSINE:
        return LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=recipe.max_epochs)
    return LRScheduler(**schedule)


class Augmentation(NamedTuple):
    """Random changes of the EDA in a training batch. The labels stay valid.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels and of samples per channel in the first columns. The columns after
        them, the music features, are not changed.
    time_shift : float
        Each trial is shifted left or right by a random share of its length, up to this value. The
        gap is filled with the first or last sample.
    scaling : float
        All channels of a trial are multiplied by exp(`scaling` · z), z standard normal.
    noise : float
        Standard deviation of added white noise, in units of the channel.
    channel_drop : float
        Probability that a channel of a trial is set to zero. A trial keeps at least one channel.
    """

    n_chans: int
    n_times: int
    time_shift: float = 0.0
    scaling: float = 0.0
    noise: float = 0.0
    channel_drop: float = 0.0

    def __call__(self, X: Tensor) -> Tensor:
        """Change rows [EDA channel 0 | 1 | … | music]; uses the global generator of the device."""
        n, n_eda, device = len(X), self.n_chans * self.n_times, X.device
        eda = X[:, :n_eda].reshape(n, self.n_chans, self.n_times)
        if most := round(self.time_shift * self.n_times):
            shift = torch.randint(-most, most + 1, (n, 1, 1), device=device)
            source = (torch.arange(self.n_times, device=device) - shift).clamp(0, self.n_times - 1)
            eda = eda.gather(2, source.expand(-1, self.n_chans, -1))
        if self.scaling:
            eda = eda * torch.exp(self.scaling * torch.randn(n, 1, 1, device=device))
        if self.noise:
            eda = eda + self.noise * torch.randn(eda.shape, device=device)
        if self.channel_drop:
            draw = torch.rand(n, self.n_chans, 1, device=device)
            kept = (draw >= self.channel_drop) | (draw == draw.amax(dim=1, keepdim=True))
            eda = eda * kept
        return torch.cat([eda.reshape(n, n_eda), X[:, n_eda:]], dim=1)


CHANGES = Augmentation._fields[2:]


def check_augmentation(strengths: Mapping[str, float]) -> None:
    """Raise a ValueError if a name is not a change of `Augmentation`, or a strength is invalid.

    Parameters
    ----------
    strengths : mapping of str to float
        Strength of each change, by name.
    """
    for name, strength in strengths.items():
        if name not in CHANGES:
            raise ValueError(f"Unknown augmentation {name!r}: {suggest(name, CHANGES)}")
        most = {"time_shift": 1.0, "channel_drop": 1.0}.get(name, float("inf"))
        number = isinstance(strength, Real) and not isinstance(strength, bool)
        if not (number and 0 <= strength < most):
            raise ValueError(
                f"augmentation {name!r} must be a number from 0 to below {most:g}, "
                f"got {strength!r}."
            )
