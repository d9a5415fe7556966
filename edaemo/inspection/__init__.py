"""Figures of data and results, and explanations of fitted estimators.

What needs torch is imported on first use.
"""

from typing import TYPE_CHECKING

from edaemo._torch import import_name
from edaemo.inspection._attention import plot_attention
from edaemo.inspection._axes import save_figure
from edaemo.inspection._comparison import plot_comparison
from edaemo.inspection._critical_difference import plot_critical_difference
from edaemo.inspection._decomposition import plot_decomposition
from edaemo.inspection._importance import feature_group_importance
from edaemo.inspection._learning_curve import plot_learning_curve
from edaemo.inspection._relabelling import plot_relabelling
from edaemo.inspection._responses import plot_responses
from edaemo.inspection._results import (
    Attribution,
    GradCAM,
    IntegratedGradients,
    ModalityAttribution,
)

if TYPE_CHECKING:
    from edaemo.inspection._attribution import (
        grad_cam,
        integrated_gradients,
        modality_attribution,
    )

_HOME = {
    "grad_cam": "edaemo.inspection._attribution",
    "integrated_gradients": "edaemo.inspection._attribution",
    "modality_attribution": "edaemo.inspection._attribution",
}

__all__ = [
    "Attribution",
    "GradCAM",
    "IntegratedGradients",
    "ModalityAttribution",
    "feature_group_importance",
    "grad_cam",
    "integrated_gradients",
    "modality_attribution",
    "plot_attention",
    "plot_comparison",
    "plot_critical_difference",
    "plot_decomposition",
    "plot_learning_curve",
    "plot_relabelling",
    "plot_responses",
    "save_figure",
]


def __getattr__(name: str) -> object:
    return import_name(__name__, name, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
