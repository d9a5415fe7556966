"""Pictures of data and results."""

from edaemo.inspection._comparison import plot_comparison

__all__ = ["plot_comparison"]
