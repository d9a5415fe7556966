"""Declarations of networks: tasks, sizes, recipes, losses and layers.

A network declares these in its class attribute ``declaration``. A user's module without this
attribute has the defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict

import torch
from torch import nn

from edaemo._torch import Inputs

# The tasks that a network can declare.
TASKS = ("binary", "multiclass", "regression", "sequence-regression")
# Arguments of a network's constructor that are set from the data. Every network also has
# ``n_outputs``, the number of classes or of predicted numbers.
SIZES = ("n_features", "n_chans", "n_times", "n_music_features", "blocks", "n_groups")
CONSTANT, COSINE = "constant", "cosine"


class Recipe(NamedTuple):
    """Training settings of a network.

    Parameters
    ----------
    optimizer : type
        Class of a torch optimizer.
    optimizer_params : mapping
        Further arguments of the optimizer.
    lr : float
        Learning rate.
    lr_scheduler : "constant", "cosine", mapping or skorch.callbacks.LRScheduler
        A mapping holds ``policy``, a class of ``torch.optim.lr_scheduler``, and the arguments of
        that class.
    weight_decay : float or None
        Argument ``weight_decay`` of the optimizer. None: the default of the optimizer.
    batch_size, max_epochs : int
        Number of trials in a training step, and number of passes over the training trials.
    class_weight : mapping, "balanced" or None
        Weight of each class in the loss.
    label_smoothing : float
        Share by which the targets are moved towards equal probabilities.
    gradient_clip : float
        Maximum norm of the gradient; 0 for no limit.
    augmentation : mapping
        Names of random changes of the training batches, and their strengths.
    network : mapping
        Arguments of the network that concern its training, such as ``dropout``.
    """

    optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW
    optimizer_params: Mapping[str, Any] = {}
    lr: float = 1e-3
    lr_scheduler: Any = CONSTANT
    weight_decay: float | None = 0.01
    batch_size: int = 64
    max_epochs: int = 50
    class_weight: Mapping[str, Any] | str | None = None
    label_smoothing: float = 0.0
    gradient_clip: float = 0.0
    augmentation: Mapping[str, float] = {}
    network: Mapping[str, Any] = {}

    def but_for(self, **given: object) -> Recipe:
        """Return the recipe with other values.

        Parameters
        ----------
        **given : object
            New values by field. None keeps the value of the recipe. If there is an optimizer, the
            optimizer arguments of the recipe are dropped.

        Returns
        -------
        Recipe
            The changed recipe.
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
        """Return the arguments of the optimizer, except the learning rate.

        Returns
        -------
        dict of str to object
            The arguments by name.
        """
        decay = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        return {**self.optimizer_params, **decay}


class Layer(NamedTuple):
    """A layer that can be explained, with output of shape (B, n_filters, n_positions).

    Parameters
    ----------
    path : str
        Name of the submodule.
    strides : tuple of int
        Number of input samples per position, one value for each variant of the network that has
        another stride. Empty: computed from the numbers of samples and positions.
    offset : int
        Number of samples that the layer loses at each end, because its convolutions have no
        padding. The centre of position i is at sample offset + i * stride.
    """

    path: str
    strides: tuple[int, ...] = ()
    offset: int = 0


@dataclass(frozen=True)
class Declaration:
    """Declaration of a network.

    Parameters
    ----------
    tasks : tuple of str
        Tasks of the network, a subset of ``TASKS``.
    sizes : tuple of str or None
        Arguments of the constructor that are set from the data, a subset of ``SIZES``. None: all
        its arguments with a name in ``SIZES``.
    signals, features : tuple of str or None
        Names of the blocks of columns that the network takes, in the order of the columns, signals
        first. A signal can also be the column of that name in a trials table. None: the arguments
        of ``forward``, if they name blocks (``eda`` is a signal, all others are features);
        otherwise ``eda`` and ``music``, if the constructor takes their sizes.
    recipes : mapping from str to Recipe
        Recipes by name.
    recipe : str
        Name of the default recipe.
    losses : mapping from str to type
        Loss of the network for a task, which replaces the default loss of the task. It is a module
        whose ``forward`` takes the outputs of the network and the batch, and returns a scalar. A
        classification loss can take ``weight`` (of each class) and ``label_smoothing``.
    layers : mapping from str to Layer
        Layers that can be explained, in the order of the forward pass. If it is empty, every
        submodule can be explained, and its name is its path.
    groups : bool
        Whether the loss reads ``batch.group``. Training then requires the subjects.
    on_request : bool
        Whether a comparison of all pipelines leaves out those of the network. They are evaluated
        if they are named.

    Notes
    -----
    If ``forward`` takes one argument, it gets whole rows. If it takes several arguments, or
    ``**blocks``, it gets the named blocks. The ``forward`` of a sequence network also gets ``mask``
    if it has this argument. ``forward`` returns the prediction, or a tuple whose first
    item is the prediction; the loss can read the other items. A network that pads its signals with
    zeros at the end has an attribute ``n_padding``.
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
    on_request: bool = False


def declaration_of(network: type[nn.Module]) -> Declaration:
    """Return the declaration of a network's class, or the default declaration.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    Declaration
        The declaration.
    """
    return getattr(network, "declaration", Declaration())


def sizes_of(network: type[nn.Module]) -> tuple[str, ...]:
    """Return the constructor's arguments that are set from the data, except ``n_outputs``.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    tuple of str
        The names, a subset of ``SIZES``.
    """
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
    """Return the names of the signals and the features that a network takes.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    dict
        Keys ``signals`` and ``features``, each a tuple of names in the order of the columns.
    """
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


def inputs_of_pipeline(network: type[nn.Module]) -> Inputs:
    """Return the part of a network's declaration on which its pipelines depend.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    Inputs
        Its tasks, and the names of its blocks.
    """
    required = frozenset(needed_blocks(network))
    declared = declaration_of(network)
    return Inputs(
        declared.tasks,
        **blocks_of(network),
        required=required,
        on_request=declared.on_request,
    )


def takes_blocks(network: type[nn.Module]) -> bool:
    """Return whether ``forward`` takes named blocks instead of whole rows.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    bool
        True for named blocks.
    """
    return len(inputs_of(network)) != 1 or _takes_any(network)


def _takes_any(network: type[nn.Module]) -> bool:
    """Return whether ``forward`` takes ``**blocks``."""
    return any(arg.kind is arg.VAR_KEYWORD for arg in inputs_of(network).values())


def inputs_of(network: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """Return the arguments of ``forward``, except ``self`` and ``mask``.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    dict of str to inspect.Parameter
        The arguments by name.
    """
    _, *arguments = _parameters_of(network.forward)
    return {argument.name: argument for argument in arguments if argument.name != "mask"}


def needed_blocks(network: type[nn.Module]) -> set[str]:
    """Return the names of the blocks that ``forward`` requires.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    set of str
        The names.
    """
    if not takes_blocks(network):
        return set()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    arguments = inputs_of(network).values()
    return {arg.name for arg in arguments if arg.default is arg.empty and arg.kind not in variable}


@lru_cache(maxsize=256)
def _parameters_of(forward: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(forward).parameters.values())


def takes_mask(network: type[nn.Module]) -> bool:
    """Return whether ``forward`` takes ``mask``.

    Parameters
    ----------
    network : type
        Class of the network.

    Returns
    -------
    bool
        True if it does. The mask is True where a step is not padding.
    """
    return "mask" in inspect.signature(network.forward).parameters
