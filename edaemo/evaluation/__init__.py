"""Evaluate pipelines under protocols without leaks: plan, folds, store, keys, audit."""

from edaemo.evaluation._audit import audit
from edaemo.evaluation._cases import Case, find_settings, make_cases
from edaemo.evaluation._evaluate import evaluate
from edaemo.evaluation._keys import UnkeyableError
from edaemo.evaluation._learning_curves import LearningCurve, is_share, make_learning_curves
from edaemo.evaluation._predictions import (
    choose_newest,
    load_predictions,
    newest_keys,
    read_complete,
)
from edaemo.evaluation._registry import (
    PIPELINES,
    PIPELINES_OF,
    REGRESSORS,
    SEQUENCE_REGRESSORS,
    STUDIES,
    EvaluationError,
    PipelineSpec,
    find,
    load_continuous,
    make_step_model,
    register_input,
    register_pipeline,
    register_study,
)
from edaemo.evaluation._store import FoldRecord, ResultStore, StoreError
from edaemo.evaluation._targets import require_ratings

__all__ = [
    "PIPELINES",
    "PIPELINES_OF",
    "REGRESSORS",
    "SEQUENCE_REGRESSORS",
    "STUDIES",
    "Case",
    "EvaluationError",
    "FoldRecord",
    "LearningCurve",
    "PipelineSpec",
    "ResultStore",
    "StoreError",
    "UnkeyableError",
    "audit",
    "choose_newest",
    "evaluate",
    "find",
    "find_settings",
    "is_share",
    "load_continuous",
    "load_predictions",
    "make_cases",
    "make_learning_curves",
    "make_step_model",
    "newest_keys",
    "read_complete",
    "register_input",
    "register_pipeline",
    "register_study",
    "require_ratings",
]
