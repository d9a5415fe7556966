"""Pipelines to compare, and the comparison."""

from edaemo.benchmark._baselines import StimulusPriorClassifier, make_time_baseline
from edaemo.benchmark._compare import MODELS, ComparisonError, compare
from edaemo.benchmark._pipelines import (
    make_boosting_baseline,
    make_cnn_baseline,
    make_logistic_baseline,
    make_rtcan,
    make_svm_baseline,
)

__all__ = [
    "MODELS",
    "ComparisonError",
    "StimulusPriorClassifier",
    "compare",
    "make_boosting_baseline",
    "make_cnn_baseline",
    "make_logistic_baseline",
    "make_rtcan",
    "make_svm_baseline",
    "make_time_baseline",
]
