"""Convex decomposition of electrodermal activity (cvxEDA) into phasic and tonic components.

It takes plain arrays and knows nothing of trials tables, scikit-learn or networks.
"""

from edaemo.decomposition._decompose import (
    Decomposition,
    DecompositionError,
    DecompositionWarning,
    decompose,
    decompose_many,
)
from edaemo.decomposition._events import scr_events

__all__ = [
    "Decomposition",
    "DecompositionError",
    "DecompositionWarning",
    "decompose",
    "decompose_many",
    "scr_events",
]
