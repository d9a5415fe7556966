"""scikit-learn estimators: network estimators based on skorch, baselines, and pipelines."""

from edaemo.estimators._baselines import (
    LEAST_LEAF,
    SeriesMeanRegressor,
    StimulusMeanRegressor,
    StimulusPriorClassifier,
    SubjectMeanRegressor,
    SubjectPriorClassifier,
    make_duration_baseline,
    make_trial_order_baseline,
    tree_on,
)
from edaemo.estimators._classifier import NetworkClassifier
from edaemo.estimators._cnn import CNNClassifier
from edaemo.estimators._network import NetworkEstimator, find_device
from edaemo.estimators._pipelines import (
    make_boosting_baseline,
    make_cnn_baseline,
    make_logistic_baseline,
    make_network_pipeline,
    make_ridge_baseline,
    make_rtcan,
    make_svm_baseline,
    make_svr_baseline,
)
from edaemo.estimators._regressor import NetworkRegressor
from edaemo.estimators._rtcan import RTCANClassifier
from edaemo.estimators._sequence import NetworkSequenceRegressor
from edaemo.training import TrainingError

__all__ = [
    "LEAST_LEAF",
    "CNNClassifier",
    "NetworkClassifier",
    "NetworkEstimator",
    "NetworkRegressor",
    "NetworkSequenceRegressor",
    "RTCANClassifier",
    "SeriesMeanRegressor",
    "StimulusMeanRegressor",
    "StimulusPriorClassifier",
    "SubjectMeanRegressor",
    "SubjectPriorClassifier",
    "TrainingError",
    "find_device",
    "make_boosting_baseline",
    "make_cnn_baseline",
    "make_duration_baseline",
    "make_logistic_baseline",
    "make_network_pipeline",
    "make_ridge_baseline",
    "make_rtcan",
    "make_svm_baseline",
    "make_svr_baseline",
    "make_trial_order_baseline",
    "tree_on",
]
