"""Pictures of data and results."""

from edaemo.inspection._comparison import plot_comparison
from edaemo.inspection._decomposition import plot_decomposition

__all__ = ["plot_comparison", "plot_decomposition"]
