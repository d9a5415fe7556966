"""Parameters that all network estimators share: their text and their constraints, written once.

An estimator lists them in its ``__init__``; `describe_parameters` puts their text in the place of a
line ``<shared parameters>`` of the class's docstring, in the order of the signature, and
`constrain` gives their constraints. A parameter whose default is None may be None.
"""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Mapping
from numbers import Integral, Real
from typing import NamedTuple

from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import LRScheduler

from edaemo.networks import CONSTANT, COSINE


class Parameter(NamedTuple):
    """Type, text and constraints of a parameter."""

    kind: str
    text: str
    constraints: list


_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
SHARED = {
    "n_chans": Parameter(
        "int",
        "Number of EDA channels in a row: `n_chans` channels of `n_times` samples, one after the "
        "other, then the music features. Column names such as those of "
        ":class:`edaemo.MusicFeatureUnion` tell all three, and a parameter that differs from them "
        "is an error. For a bare array one of the three may be None and is worked out from the "
        "others; `n_times` and `n_music_features` both None: the array holds no music.",
        [_AT_LEAST_ONE],
    ),
    "n_times": Parameter("int", "Samples of each EDA channel; see `n_chans`.", [_AT_LEAST_ONE]),
    "n_music_features": Parameter(
        "int",
        "Number of music features; see `n_chans`.",
        [Interval(Integral, 0, None, closed="left")],
    ),
    "max_epochs": Parameter("int", "Passes over the training trials.", [_AT_LEAST_ONE]),
    "batch_size": Parameter(
        "int",
        "Trials in a training step, at least 2.",
        [Interval(Integral, 2, None, closed="left")],
    ),
    "lr": Parameter("float", "Learning rate.", [Interval(Real, 0, None, closed="neither")]),
    "optimizer": Parameter(
        "type",
        "Class of a torch optimizer. Another optimizer than the recipe's comes without the "
        "recipe's `optimizer_params` and `weight_decay`.",
        [callable],
    ),
    "optimizer_params": Parameter(
        "dict", 'Further arguments of the optimizer, such as ``{"momentum": 0.9}``.', [dict]
    ),
    "lr_scheduler": Parameter(
        'skorch.callbacks.LRScheduler, "constant" or "cosine"',
        'Schedule of the learning rate; a copy of it is used. "cosine": half a cosine wave from '
        "`lr` down to 0 over `max_epochs`.",
        [LRScheduler, StrOptions({CONSTANT, COSINE})],
    ),
    "weight_decay": Parameter(
        "float",
        "The optimizer's argument of that name.",
        [Interval(Real, 0, None, closed="left")],
    ),
    "class_weight": Parameter(
        'dict or "balanced"',
        'Weight of each class in the loss; "balanced": inverse to its share of the training '
        "trials. None: as the recipe, which weights no class in every recipe of ours.",
        [dict, StrOptions({"balanced"})],
    ),
    "label_smoothing": Parameter(
        "float",
        "From 0 to below 1: how far the targets are moved towards equal probabilities.",
        [_SHARE],
    ),
    "dropout": Parameter(
        "float",
        "From 0 to below 1: share of the units that are dropped between the linear layers.",
        [_SHARE],
    ),
    "gradient_clip": Parameter(
        "float",
        "Largest norm of the gradient; 0 for no limit.",
        [Interval(Real, 0, None, closed="left")],
    ),
    "augmentation": Parameter(
        "dict",
        "Changes of the EDA in training, drawn again in every epoch: ``time_shift`` (moved by up "
        "to this share of its length, the ends repeated), ``scaling`` (all channels of a trial "
        "multiplied by exp of a normal variable with this standard deviation), ``noise`` "
        "(standard deviation of white noise), ``channel_drop`` (probability that a channel becomes "
        "zero; one stays). Music stays as it is; ``{}`` changes nothing.",
        [dict],
    ),
    "callbacks": Parameter(
        "list of skorch.callbacks.Callback",
        "Called during training, as in skorch: the objects themselves, not copies of them.",
        [list],
    ),
    "validation_fraction": Parameter(
        "float",
        "Share of the people in the training data that is set aside, whole people, to stop early: "
        "training ends when their loss has not improved for `patience` epochs, and the weights of "
        "the best epoch are kept. Needs subjects. None: all people train, for `max_epochs` epochs. "
        "The argument `validation` of `fit` names the rows instead, and wins over it.",
        [Interval(Real, 0, 1, closed="neither")],
    ),
    "patience": Parameter(
        "int",
        "Epochs without improvement before training stops; only where rows are set aside.",
        [_AT_LEAST_ONE],
    ),
    "device": Parameter(
        "str", 'A torch device; "auto" is CUDA where it is available, else the CPU.', [str]
    ),
    "n_threads": Parameter(
        "int",
        "torch threads while fitting and predicting. More of them change results in the last "
        "digits and are far slower on busy cores.",
        [_AT_LEAST_ONE],
    ),
    "amp": Parameter(
        '{"bf16"}',
        '"bf16": forward passes in bfloat16 where torch\'s autocast holds it safe. Faster in '
        "training and prediction; answers differ in the third digit (``docs/performance.md``).",
        [StrOptions({"bf16"})],
    ),
    "compile": Parameter(
        'bool or {"reduce-overhead", "max-autotune"}',
        "Whether the network goes through ``torch.compile``, in torch's default mode (True) or in "
        "another one; on CUDA both of these replay CUDA graphs. It needs a C++ compiler, and a "
        "minute before the first batch and the first prediction. On the CPU a single trial is "
        "answered sooner, and many trials one by one; ``docs/performance.md`` has what was "
        "measured.",
        ["boolean", StrOptions({"reduce-overhead", "max-autotune"})],
    ),
    "deterministic": Parameter(
        "bool",
        "Whether torch may use deterministic algorithms alone, on CUDA; on the CPU a fit is the "
        "same each time in any case.",
        ["boolean"],
    ),
    "random_state": Parameter(
        "int, RandomState instance or None",
        "Seeds the initial weights, the order of the batches and the people set aside. torch's "
        "generators outside the fit stay as they were.",
        ["random_state"],
    ),
    "verbose": Parameter("int", "Above 0, skorch prints a line for each epoch.", ["verbose"]),
    "checkpoint": Parameter(
        "path",
        "A file that is written after each epoch and removed when `fit` is done: where a fit was "
        "killed, the same `fit` goes on from its last epoch and ends with the weights of an "
        "unbroken one (``docs/files.md``). A file of another fit is an error. Callbacks are called "
        "from the epoch on at which training goes on.",
        [str, os.PathLike],
    ),
}
_MARK = "<shared parameters>"


def describe_parameters(cls: type) -> None:
    """Put the text of the shared parameters into the docstring of a class."""
    if not cls.__doc__ or _MARK not in cls.__doc__:
        return
    before, after = cls.__doc__.split(_MARK)
    indent = " " * (len(before) - len(before.rstrip(" ")))
    entries = []
    for argument in inspect.signature(cls).parameters.values():
        if argument.name in SHARED and f"{argument.name} : " not in before:
            kind, text, _ = SHARED[argument.name]
            if argument.default is None and not kind.endswith("None"):
                kind = f"{kind} or None"
            entries += [
                f"{argument.name} : {kind}, default={_name(argument.default)}",
                *textwrap.wrap(text, 92, initial_indent="    ", subsequent_indent="    "),
            ]
    cls.__doc__ = before.rstrip(" ") + textwrap.indent("\n".join(entries), indent) + after


def constrain(cls: type) -> dict[str, list]:
    """Return the constraints of those shared parameters that a class takes."""
    return {
        name: [*SHARED[name].constraints, *([None] if argument.default is None else [])]
        for name, argument in _arguments(cls).items()
        if name in SHARED
    }


def _arguments(cls: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def _name(default: object) -> str:
    if isinstance(default, type):
        home = default.__module__.rpartition(".")[0] if "." in default.__module__ else ""
        return f"{home}.{default.__name__}"
    return f'"{default}"' if isinstance(default, str) else repr(default)
