"""Names of networks, and imports of torch on first use.

Only code that trains or runs a network imports torch and skorch.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import nn

PACKAGES = ("torch", "skorch")
NEEDS_TORCH = "torch: pip install torch skorch"


class TrainingError(RuntimeError):
    """Training failed: the loss is not finite, or memory ran out."""


class Inputs(NamedTuple):
    """The part of a network's declaration on which its pipelines depend.

    `signals` and `features` are the names of the blocks that the network takes; `required`, those
    that it cannot do without. `on_request` is True if a comparison of all pipelines leaves it out.
    """

    tasks: tuple[str, ...]
    signals: tuple[str, ...]
    features: tuple[str, ...]
    required: frozenset[str]
    on_request: bool = False


_TRIAL_TASKS = ("binary", "multiclass", "regression")
# A network on EDA signals whose pipelines are evaluated if they are named.
_ON_REQUEST = Inputs(_TRIAL_TASKS, ("eda",), (), frozenset(), on_request=True)
# The networks of edaemo, in the order of their rows in tables. Their pipelines thus have names, and
# reports on their results are complete, where torch is not installed. A test compares them with the
# declarations in edaemo.networks.
OWN_NETWORKS = {
    "cnn": Inputs(_TRIAL_TASKS, (), (), frozenset()),
    "rtcan": Inputs(_TRIAL_TASKS, ("eda",), ("music",), frozenset()),
    "maet": Inputs(("binary", "multiclass"), (), ("eda", "music"), frozenset()),
    "aimstf": Inputs(("binary", "multiclass"), ("eda",), ("music",), frozenset(), on_request=True),
    "muse": Inputs(("sequence-regression",), (), (), frozenset()),
    "alexnet2d": _ON_REQUEST,
    "dcnn": _ON_REQUEST,
    "machot": _ON_REQUEST,
    "ressin": _ON_REQUEST._replace(features=("music",)),
    "deepvanet": _ON_REQUEST,
    "tsception": _ON_REQUEST,
    "inceptiontime": _ON_REQUEST,
}
# All registered networks, by name.
NETWORKS: dict[str, type[nn.Module]] = {}


def has_torch() -> bool:
    """Return whether torch and skorch are installed."""
    return all(find_spec(name) is not None for name in PACKAGES)


def loaded_class(module: str, name: str) -> type[Any] | tuple[()]:
    """Return a class of torch or skorch for `isinstance`, without importing anything.

    Objects of the class exist only if its module was imported. Otherwise return an empty tuple, of
    which nothing is an instance.
    """
    return getattr(sys.modules.get(module), name, ())


def import_name(package: str, name: str, homes: Mapping[str, str]) -> Any:
    """Import a public name of a package when it is first used.

    Parameters
    ----------
    package : str
        Name of the package.
    name : str
        The public name.
    homes : mapping of str to str
        Module of each public name that is imported late.

    Raises
    ------
    AttributeError
        If `homes` does not have the name.
    ImportError
        If torch or skorch is not installed; the message contains the command that installs them.
    """
    if name not in homes:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    try:
        return getattr(import_module(homes[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        raise ImportError(f"{name} needs {NEEDS_TORCH}") from error
