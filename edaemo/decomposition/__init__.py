"""Decompositions of electrodermal activity into phasic and tonic components, such as cvxEDA.

The functions take arrays. They do not depend on trials tables, scikit-learn or networks. Each
decomposition is a file in this folder that registers a class with `register_decomposition`. All
functions and classes with a parameter ``method`` can then use it.
"""

from importlib import import_module
from pkgutil import iter_modules

from edaemo.decomposition._breathing import estimate_breathing
from edaemo.decomposition._compiled import kernel_facts
from edaemo.decomposition._constants import fit_time_constants
from edaemo.decomposition._context import leave_out_context, trim_context
from edaemo.decomposition._cvxeda import CvxEDA
from edaemo.decomposition._decompose import decompose, decompose_many
from edaemo.decomposition._events import (
    RESOLUTION,
    SMALLEST_US,
    Responses,
    find_responses,
    find_rises,
    scr_events,
)
from edaemo.decomposition._filter import Filter, silence_rounding
from edaemo.decomposition._highpass import Bandpass, Highpass
from edaemo.decomposition._median import Median
from edaemo.decomposition._method import (
    DecompositionMethod,
    adopt_class,
    decomposition_names,
    find_decomposition,
    find_own_class,
    register_decomposition,
)
from edaemo.decomposition._problem import check_sampling_rate
from edaemo.decomposition._result import (
    Components,
    Decomposition,
    DecompositionError,
    DecompositionWarning,
)
from edaemo.decomposition._smooth import Smooth
from edaemo.decomposition._weights import Weights, noise_weights

__all__ = [
    "RESOLUTION",
    "SMALLEST_US",
    "Bandpass",
    "Components",
    "CvxEDA",
    "Decomposition",
    "DecompositionError",
    "DecompositionMethod",
    "DecompositionWarning",
    "Filter",
    "Highpass",
    "Median",
    "Responses",
    "Smooth",
    "Weights",
    "adopt_class",
    "check_sampling_rate",
    "decompose",
    "decompose_many",
    "decomposition_names",
    "estimate_breathing",
    "find_decomposition",
    "find_own_class",
    "find_responses",
    "find_rises",
    "fit_time_constants",
    "kernel_facts",
    "leave_out_context",
    "noise_weights",
    "register_decomposition",
    "scr_events",
    "silence_rounding",
    "trim_context",
]

# Import the other files too, so that they register their decompositions.
for _module in iter_modules(__path__):
    if not _module.name.startswith("_kernel"):
        import_module(f"{__name__}.{_module.name}")
