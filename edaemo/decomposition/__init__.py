"""Convex decomposition of electrodermal activity (cvxEDA) into phasic and tonic components.

This package stands on its own: it needs numpy, scipy and joblib, and takes plain arrays.
"""

from edaemo.decomposition._decompose import (
    Decomposition,
    DecompositionError,
    decompose,
    decompose_many,
)

__all__ = ["Decomposition", "DecompositionError", "decompose", "decompose_many"]
