"""scikit-learn estimators: network estimators based on skorch, baselines, and pipelines.

What needs torch is imported on first use.
"""

from typing import TYPE_CHECKING

from edaemo._torch import TrainingError, import_name
from edaemo.estimators._baselines import (
    LEAST_LEAF,
    SeriesMeanRegressor,
    StepwiseRegressor,
    StimulusMeanRegressor,
    StimulusPriorClassifier,
    SubjectMeanRegressor,
    SubjectPriorClassifier,
    make_duration_baseline,
    make_trial_order_baseline,
    make_trial_order_reversed,
    tree_on,
)
from edaemo.estimators._conformal import ConformalByPerson
from edaemo.estimators._personal import PersonalClassifier
from edaemo.estimators._pipelines import (
    make_boosting_baseline,
    make_level_baseline,
    make_logistic_baseline,
    make_minirocket,
    make_mlp_baseline,
    make_recommended,
    make_ridge_baseline,
    make_step_pipeline,
    make_svm_baseline,
    make_svr_baseline,
)

if TYPE_CHECKING:
    from edaemo.estimators._aimstf import AIMSTFClassifier
    from edaemo.estimators._classifier import NetworkClassifier
    from edaemo.estimators._cnn import CNNClassifier
    from edaemo.estimators._late_fusion import LateFusionRegressor
    from edaemo.estimators._maet import MAETClassifier
    from edaemo.estimators._muse import MuSeLSTMRegressor
    from edaemo.estimators._network import NetworkEstimator, find_device
    from edaemo.estimators._network_pipelines import (
        make_cnn_baseline,
        make_network_pipeline,
        make_rtcan,
    )
    from edaemo.estimators._regressor import NetworkRegressor
    from edaemo.estimators._rtcan import RTCANClassifier
    from edaemo.estimators._sequence import NetworkSequenceRegressor

_HOME = {
    "AIMSTFClassifier": "edaemo.estimators._aimstf",
    "CNNClassifier": "edaemo.estimators._cnn",
    "LateFusionRegressor": "edaemo.estimators._late_fusion",
    "MAETClassifier": "edaemo.estimators._maet",
    "MuSeLSTMRegressor": "edaemo.estimators._muse",
    "NetworkClassifier": "edaemo.estimators._classifier",
    "NetworkEstimator": "edaemo.estimators._network",
    "NetworkRegressor": "edaemo.estimators._regressor",
    "NetworkSequenceRegressor": "edaemo.estimators._sequence",
    "RTCANClassifier": "edaemo.estimators._rtcan",
    "find_device": "edaemo.estimators._network",
    "make_cnn_baseline": "edaemo.estimators._network_pipelines",
    "make_network_pipeline": "edaemo.estimators._network_pipelines",
    "make_rtcan": "edaemo.estimators._network_pipelines",
}

__all__ = [
    "LEAST_LEAF",
    "AIMSTFClassifier",
    "CNNClassifier",
    "ConformalByPerson",
    "LateFusionRegressor",
    "MAETClassifier",
    "MuSeLSTMRegressor",
    "NetworkClassifier",
    "NetworkEstimator",
    "NetworkRegressor",
    "NetworkSequenceRegressor",
    "PersonalClassifier",
    "RTCANClassifier",
    "SeriesMeanRegressor",
    "StepwiseRegressor",
    "StimulusMeanRegressor",
    "StimulusPriorClassifier",
    "SubjectMeanRegressor",
    "SubjectPriorClassifier",
    "TrainingError",
    "find_device",
    "make_boosting_baseline",
    "make_cnn_baseline",
    "make_duration_baseline",
    "make_level_baseline",
    "make_logistic_baseline",
    "make_minirocket",
    "make_mlp_baseline",
    "make_network_pipeline",
    "make_recommended",
    "make_ridge_baseline",
    "make_rtcan",
    "make_step_pipeline",
    "make_svm_baseline",
    "make_svr_baseline",
    "make_trial_order_baseline",
    "make_trial_order_reversed",
    "tree_on",
]


def __getattr__(name: str) -> object:
    return import_name(__name__, name, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
