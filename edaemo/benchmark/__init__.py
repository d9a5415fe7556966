"""Pipelines to compare, and their evaluation under protocols without leaks."""

from edaemo.benchmark._audit import audit
from edaemo.benchmark._baselines import (
    StimulusPriorClassifier,
    SubjectPriorClassifier,
    make_duration_baseline,
    make_time_baseline,
)
from edaemo.benchmark._evaluate import evaluate
from edaemo.benchmark._keys import UnkeyableError
from edaemo.benchmark._pipelines import (
    make_boosting_baseline,
    make_cnn_baseline,
    make_logistic_baseline,
    make_rtcan,
    make_svm_baseline,
)
from edaemo.benchmark._registry import (
    PIPELINES,
    STUDIES,
    EvaluationError,
    register_pipeline,
    register_study,
)
from edaemo.benchmark._store import FoldRecord, ResultStore, StoreError

__all__ = [
    "PIPELINES",
    "STUDIES",
    "EvaluationError",
    "FoldRecord",
    "ResultStore",
    "StimulusPriorClassifier",
    "StoreError",
    "SubjectPriorClassifier",
    "UnkeyableError",
    "audit",
    "evaluate",
    "make_boosting_baseline",
    "make_cnn_baseline",
    "make_duration_baseline",
    "make_logistic_baseline",
    "make_rtcan",
    "make_svm_baseline",
    "make_time_baseline",
    "register_pipeline",
    "register_study",
]
