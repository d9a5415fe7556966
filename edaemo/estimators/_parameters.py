"""Descriptions and constraints of the parameters that the network estimators share.

An estimator lists these parameters in its ``__init__``. `describe_parameters` replaces the line
``<shared parameters>`` in the docstring of the class by their descriptions, in the order of the
signature. `constrain` returns their constraints. A parameter whose default is None may be None.
"""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import LRScheduler

from edaemo.networks import CONSTANT, COSINE


class Parameter(NamedTuple):
    """Type, description and constraints of a parameter."""

    kind: str
    text: str
    constraints: list[Any]


_AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
SHARED = {
    "n_chans": Parameter(
        "int",
        "Number of EDA channels in a row. A row holds `n_chans` channels of `n_times` samples, one "
        "after the other, then the music features. Column names such as those of "
        ":class:`edaemo.MusicFeatureUnion` define `n_chans`, `n_times` and `n_music_features`; a "
        "parameter that differs from the column names is an error. For an array without column "
        "names, one of the three may be None and is computed from the others. If `n_times` and "
        "`n_music_features` are both None, the array holds no music.",
        [_AT_LEAST_ONE],
    ),
    "n_times": Parameter(
        "int", "Number of samples of each EDA channel; see `n_chans`.", [_AT_LEAST_ONE]
    ),
    "n_music_features": Parameter(
        "int",
        "Number of music features; see `n_chans`.",
        [Interval(Integral, 0, None, closed="left")],
    ),
    "max_epochs": Parameter("int", "Number of passes over the training trials.", [_AT_LEAST_ONE]),
    "batch_size": Parameter(
        "int",
        "Number of trials in a training step, at least 2.",
        [Interval(Integral, 2, None, closed="left")],
    ),
    "lr": Parameter("float", "Learning rate.", [Interval(Real, 0, None, closed="neither")]),
    "optimizer": Parameter(
        "type",
        "Class of a torch optimizer. If it is given, the `optimizer_params` and `weight_decay` of "
        "the recipe are not used.",
        [callable],
    ),
    "optimizer_params": Parameter(
        "dict", 'Further arguments of the optimizer, such as ``{"momentum": 0.9}``.', [dict]
    ),
    "lr_scheduler": Parameter(
        'skorch.callbacks.LRScheduler, "constant" or "cosine"',
        'Schedule of the learning rate. A copy of the object is used. "cosine": half a cosine wave '
        "from `lr` down to 0 over `max_epochs`.",
        [LRScheduler, StrOptions({CONSTANT, COSINE})],
    ),
    "weight_decay": Parameter(
        "float",
        "Argument ``weight_decay`` of the optimizer.",
        [Interval(Real, 0, None, closed="left")],
    ),
    "class_weight": Parameter(
        'dict or "balanced"',
        'Weight of each class in the loss. "balanced": inversely proportional to the share of the '
        "class in the training trials. ``{}``: equal weights. None: as in the recipe. RTCAN's "
        "default recipe is balanced, the published ones are not weighted.",
        [dict, StrOptions({"balanced"})],
    ),
    "label_smoothing": Parameter(
        "float",
        "From 0 to below 1: share by which the targets are moved towards equal probabilities.",
        [_SHARE],
    ),
    "dropout": Parameter(
        "float",
        "From 0 to below 1: share of the units that are dropped after each hidden linear layer.",
        [_SHARE],
    ),
    "domain_loss": Parameter(
        "bool",
        "Whether the network is also trained against recognising the subject. In training, a head "
        "predicts the subject from inner features, and its gradient is reversed before them "
        "(``docs/models.md``). Subjects are required in `fit`, and not in prediction. The "
        "schedules are those of the released code of MAET.",
        ["boolean"],
    ),
    "columns": Parameter(
        "list of str",
        "Columns of the trials table that hold the sequences. Each column is a block, or feature "
        "set. None: the columns that the network declares, or else the arguments of its "
        "``forward``.",
        [list],
    ),
    "segment": Parameter(
        "str",
        "Column of the trials table with a number for each step, such as the id of the segment of "
        "a video. It is one more feature.",
        [str],
    ),
    "standardize": Parameter(
        "bool",
        "Whether each feature is standardised, with its mean and standard deviation over the steps "
        "of the training trials.",
        ["boolean"],
    ),
    "scale_target": Parameter(
        "bool",
        "Whether the network is trained on standardised targets: y minus its mean, divided by its "
        "standard deviation, both over all steps of the training trials. Predictions are always "
        "in the units of y.",
        ["boolean"],
    ),
    "loss": Parameter(
        '{"ccc", "ccc-concatenated", "mse", "l1"}',
        '"ccc": one minus the concordance correlation of each sequence. "ccc-concatenated": of all '
        'steps of the batch. "mse", "l1": mean squared or absolute error of the steps of each '
        'sequence. None: the loss that the network declares, or else "ccc".',
        [StrOptions({"ccc", "ccc-concatenated", "mse", "l1"})],
    ),
    "smoothing": Parameter(
        "int",
        "Number of steps over which the labels of the training trials are averaged, an odd number. "
        "1: none.",
        [_AT_LEAST_ONE],
    ),
    "window": Parameter(
        "int",
        "Number of steps of the windows into which the training trials are cut. The last window of "
        "a trial may be shorter. Windows without a label are left out. None: whole trials. Trials "
        "that are set aside, and trials to predict, are not cut.",
        [_AT_LEAST_ONE],
    ),
    "hop": Parameter(
        "int",
        "Number of steps from the start of a window to the start of the next one, at most "
        "`window`. None: half of `window`.",
        [_AT_LEAST_ONE],
    ),
    "max_steps": Parameter(
        "int",
        "Maximum number of steps that are predicted at once. A longer trial is predicted in "
        "windows of this length, each of which overlaps half of the one before. Where windows "
        "overlap, their predictions are averaged. None: no limit.",
        [Interval(Integral, 2, None, closed="left")],
    ),
    "n_seeds": Parameter(
        "int",
        "Number of networks to train, each from another seed. The network with the lowest loss on "
        "the trials that are set aside is kept. More than 1 requires `validation_fraction`, or "
        "`validation` in `fit`.",
        [_AT_LEAST_ONE],
    ),
    "gradient_clip": Parameter(
        "float",
        "Maximum norm of the gradient; 0 for no limit.",
        [Interval(Real, 0, None, closed="left")],
    ),
    "augmentation": Parameter(
        "dict",
        "Random changes of the EDA in training, drawn again in every epoch. ``time_shift``: shift "
        "by up to this share of the length; the end samples are repeated. ``scaling``: multiply "
        "all channels of a trial by exp of a normal variable with this standard deviation. "
        "``noise``: add white noise with this standard deviation. ``channel_drop``: probability "
        "that a channel is set to zero; at least one channel is kept. Music is not changed. "
        "``{}`` changes nothing.",
        [dict],
    ),
    "callbacks": Parameter(
        "list of skorch.callbacks.Callback",
        "Callbacks of skorch, called during training. The objects are used without a copy.",
        [list],
    ),
    "validation_fraction": Parameter(
        "float",
        "Share of the training subjects that are set aside for early stopping, with all their "
        "trials. Training ends when their loss has not improved for `patience` epochs, and the "
        "weights of the best epoch are kept. Subjects are required. None: all subjects train, for "
        "`max_epochs` epochs. If `fit` gets the argument `validation`, this parameter has no "
        "effect.",
        [Interval(Real, 0, 1, closed="neither")],
    ),
    "patience": Parameter(
        "int",
        "Number of epochs without improvement before training stops. Used only if rows are set "
        "aside.",
        [_AT_LEAST_ONE],
    ),
    "device": Parameter(
        "str", 'A torch device. "auto": CUDA if it is available, else the CPU.', [str]
    ),
    "n_threads": Parameter(
        "int",
        "Number of torch threads in `fit` and prediction. More threads change results in the last "
        "digits, and are much slower if the cores are busy.",
        [_AT_LEAST_ONE],
    ),
    "amp": Parameter(
        '{"bf16"}',
        '"bf16": forward passes use bfloat16 in the operations that torch\'s autocast selects. '
        "Training and prediction are faster. Predictions differ in the third digit "
        "(``docs/performance.md``).",
        [StrOptions({"bf16"})],
    ),
    "compile": Parameter(
        'bool or {"reduce-overhead", "max-autotune"}',
        "Whether to compile the network with ``torch.compile``. True: torch's default mode. A "
        "string: the mode of that name; on CUDA both of these modes replay CUDA graphs. It needs a "
        "C++ compiler, and takes about a minute before the first batch and before the first "
        "prediction. On the CPU, single trials are predicted faster; a batch of trials is "
        "predicted one trial at a time. ``docs/performance.md`` lists the measured times.",
        ["boolean", StrOptions({"reduce-overhead", "max-autotune"})],
    ),
    "deterministic": Parameter(
        "bool",
        "Whether torch uses only deterministic algorithms on CUDA. On the CPU a fit is always "
        "reproducible.",
        ["boolean"],
    ),
    "random_state": Parameter(
        "int, RandomState instance or None",
        "Seed of the initial weights, the order of the batches and the subjects set aside. The "
        "state of torch's global generators is restored after the fit.",
        ["random_state"],
    ),
    "verbose": Parameter("int", "If above 0, skorch prints a line for each epoch.", ["verbose"]),
    "checkpoint": Parameter(
        "path",
        "Path of a file that is written after each epoch and removed when `fit` is done. If a fit "
        "was interrupted, the same call of `fit` continues from the last epoch in the file. The "
        "final weights are those of an uninterrupted fit (``docs/files.md``). A file of another "
        "fit is an error. Callbacks are called only for the epochs after the continuation.",
        [str, os.PathLike],
    ),
}
_MARK = "<shared parameters>"


def describe_parameters(cls: type) -> None:
    """Insert the descriptions of the shared parameters into the docstring of a class."""
    if not cls.__doc__ or _MARK not in cls.__doc__:
        return
    before, after = cls.__doc__.split(_MARK)
    indent = " " * (len(before) - len(before.rstrip(" ")))
    entries = []
    for argument in inspect.signature(cls).parameters.values():
        described = re.search(rf"^\s*{argument.name} : ", before, re.MULTILINE)
        if argument.name in SHARED and not described:
            kind, text, _ = SHARED[argument.name]
            if argument.default is None and not kind.endswith("None"):
                kind = f"{kind} or None"
            entries += [
                f"{argument.name} : {kind}, default={_name(argument.default)}",
                *textwrap.wrap(text, 92, initial_indent="    ", subsequent_indent="    "),
            ]
    cls.__doc__ = before.rstrip(" ") + textwrap.indent("\n".join(entries), indent) + after


def constrain(cls: type) -> dict[str, list[Any]]:
    """Return the constraints of the shared parameters in the signature of a class."""
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
