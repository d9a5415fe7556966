"""Figures of data and results, and explanations of fitted estimators."""

from edaemo.inspection._attention import plot_attention
from edaemo.inspection._attribution import (
    Attribution,
    GradCAM,
    IntegratedGradients,
    grad_cam,
    integrated_gradients,
)
from edaemo.inspection._axes import save_figure
from edaemo.inspection._comparison import plot_comparison
from edaemo.inspection._critical_difference import plot_critical_difference
from edaemo.inspection._decomposition import plot_decomposition
from edaemo.inspection._importance import feature_group_importance
from edaemo.inspection._learning_curve import plot_learning_curve
from edaemo.inspection._relabelling import plot_relabelling
from edaemo.inspection._responses import plot_responses

__all__ = [
    "Attribution",
    "GradCAM",
    "IntegratedGradients",
    "feature_group_importance",
    "grad_cam",
    "integrated_gradients",
    "plot_attention",
    "plot_comparison",
    "plot_critical_difference",
    "plot_decomposition",
    "plot_learning_curve",
    "plot_relabelling",
    "plot_responses",
    "save_figure",
]
