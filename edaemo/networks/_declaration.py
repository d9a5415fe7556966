"""What the rest of the package knows of a network: tasks, sizes, recipes, losses, layers.

A network declares it in its own file, as the class attribute ``declaration``. A module of a user's
that declares nothing has the defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict

import torch
from torch import nn

TASKS = ("binary", "multiclass", "regression", "sequence-regression")
# Arguments of a network's constructor that the data decide. ``n_outputs``, the number of classes
# or of numbers that are predicted, is one of every network.
SIZES = ("n_features", "n_chans", "n_times", "n_music_features", "blocks", "n_groups")
CONSTANT, COSINE = "constant", "cosine"


class Recipe(NamedTuple):
    """How a network is trained.

    Attributes
    ----------
    optimizer : type
        Class of a torch optimizer.
    optimizer_params : mapping
        Further arguments of the optimizer.
    lr : float
        Learning rate.
    lr_scheduler : "constant", "cosine", mapping or skorch.callbacks.LRScheduler
        A mapping holds ``policy``, a class of ``torch.optim.lr_scheduler``, and its arguments.
    weight_decay : float or None
        The optimizer's argument of that name; None: the optimizer's default.
    batch_size, max_epochs : int
    class_weight : mapping, "balanced" or None
        Weight of each class in the loss.
    label_smoothing : float
    gradient_clip : float
        Largest norm of the gradient; 0 for no limit.
    augmentation : mapping
        Changes of the training batches and their strengths.
    network : mapping
        Arguments of the network that belong to its training, such as ``dropout``.
    """

    optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW
    optimizer_params: Mapping[str, Any] = {}
    lr: float = 1e-3
    lr_scheduler: Any = CONSTANT
    weight_decay: float | None = 0.01
    batch_size: int = 64
    max_epochs: int = 50
    class_weight: Mapping | str | None = None
    label_smoothing: float = 0.0
    gradient_clip: float = 0.0
    augmentation: Mapping[str, float] = {}
    network: Mapping[str, Any] = {}

    def but_for(self, **given: object) -> Recipe:
        """Return the recipe with those values of `given` that are not None.

        Another optimizer comes without the arguments that were meant for the recipe's.
        """
        changes: dict[str, Any] = {
            name: value for name, value in given.items() if value is not None
        }
        if "optimizer" in changes:
            changes = {"optimizer_params": {}, "weight_decay": None} | changes
        if "network" in changes:
            changes["network"] = {**self.network, **changes["network"]}
        return self._replace(**changes)

    def optimizer_arguments(self) -> dict[str, Any]:
        """Return the optimizer's arguments besides the learning rate."""
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return {**self.optimizer_params, **decay}


class Layer(NamedTuple):
    """A layer that can be explained: its output is (B, n_filters, n_positions).

    Attributes
    ----------
    path : str
        Name of the submodule.
    strides : tuple of int
        Samples of the input for one position, for each form of the network that has another. Empty:
        worked out from the numbers of samples and positions.
    """

    path: str
    strides: tuple[int, ...] = ()


@dataclass(frozen=True)
class Declaration:
    """What a network's file declares.

    Attributes
    ----------
    tasks : tuple of str
        Of ``TASKS``, those that the network can do.
    sizes : tuple of str or None
        Of ``SIZES``, the arguments of the constructor that the data decide; None: those of its
        arguments that have one of these names.
    signals, features : tuple of str or None
        Names of the blocks of columns that the network takes, in the order of the columns, signals
        first; a signal may also come as the column of that name of a table of trials. None: by the
        arguments of ``forward``, where they name blocks (``eda`` is a signal, all others are
        features), else ``eda`` and ``music`` where the constructor asks for their sizes.
    recipes : mapping from str to Recipe
    recipe : str
        Name of the default recipe.
    losses : mapping from str to type
        For a task the loss of the network, in the place of the task's: a module whose ``forward``
        takes the network's outputs and the batch and returns a scalar. A classification loss may
        take ``weight`` (of each class) and ``label_smoothing``.
    layers : mapping from str to Layer
        Layers that can be explained, in the order of the forward pass. Without any, every submodule
        can be asked for by its path.
    groups : bool
        Whether the loss reads ``batch.group``, so that training needs the subjects.

    Notes
    -----
    A network whose ``forward`` takes one argument gets the whole rows; one that takes several, or
    ``**blocks``, gets the named blocks. A sequence network also gets ``mask`` if it takes it. What
    ``forward`` returns is the prediction, or a tuple that begins with it; the loss reads the rest.
    A network that pads its signals with zeros at the end has an attribute ``n_padding``.
    """

    tasks: tuple[str, ...] = TASKS
    sizes: tuple[str, ...] | None = None
    signals: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    recipes: Mapping[str, Recipe] = field(default_factory=lambda: {"default": Recipe()})
    recipe: str = "default"
    losses: Mapping[str, type[nn.Module]] = field(default_factory=dict)
    layers: Mapping[str, Layer] = field(default_factory=dict)
    groups: bool = False


def declaration_of(network: type[nn.Module]) -> Declaration:
    """Return what a network's class declares, or the defaults."""
    return getattr(network, "declaration", Declaration())


def sizes_of(network: type[nn.Module]) -> tuple[str, ...]:
    """Return the names of the constructor's arguments that the data decide, but ``n_outputs``."""
    declared = declaration_of(network).sizes
    if declared is not None:
        return declared
    arguments = inspect.signature(network).parameters
    return tuple(name for name in SIZES if name in arguments)


class BlockNames(TypedDict):
    """Names of the blocks that a network takes."""

    signals: tuple[str, ...]
    features: tuple[str, ...]


def blocks_of(network: type[nn.Module]) -> BlockNames:
    """Return the names of the blocks that a network tells apart, its signals and its features."""
    declared = declaration_of(network)
    signals, features = declared.signals, declared.features
    named = tuple(inputs_of(network)) if takes_blocks(network) else ()
    if named and _takes_any(network):
        named = ("eda", "music")
    if not named and set(SIZES[1:5]) & set(sizes_of(network)):
        named = ("eda", "music")
    if signals is None:
        signals = tuple(name for name in named if name == "eda")
    if features is None:
        features = tuple(name for name in named if name not in signals)
    return {"signals": signals, "features": features}


def takes_blocks(network: type[nn.Module]) -> bool:
    """Return whether ``forward`` takes named blocks and not whole rows."""
    return len(inputs_of(network)) != 1 or _takes_any(network)


def _takes_any(network: type[nn.Module]) -> bool:
    """Return whether ``forward`` takes ``**blocks``."""
    return any(one.kind is one.VAR_KEYWORD for one in inputs_of(network).values())


def inputs_of(network: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """Return the arguments of ``forward``, but ``self`` and ``mask``."""
    _, *arguments = _parameters_of(network.forward)
    return {argument.name: argument for argument in arguments if argument.name != "mask"}


def needed_blocks(network: type[nn.Module]) -> set[str]:
    """Return the names of the blocks that ``forward`` cannot do without."""
    if not takes_blocks(network):
        return set()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    arguments = inputs_of(network).values()
    return {one.name for one in arguments if one.default is one.empty and one.kind not in variable}


@lru_cache(maxsize=256)
def _parameters_of(forward: Callable) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(forward).parameters.values())


def takes_mask(network: type[nn.Module]) -> bool:
    """Return whether ``forward`` takes ``mask``, which is True where a step is not padding."""
    return "mask" in inspect.signature(network.forward).parameters
