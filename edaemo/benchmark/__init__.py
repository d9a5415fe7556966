"""Pipelines to compare, and their evaluation under protocols without leaks."""

from edaemo.benchmark._audit import audit
from edaemo.benchmark._baselines import (
    StimulusMeanRegressor,
    StimulusPriorClassifier,
    SubjectMeanRegressor,
    SubjectPriorClassifier,
    make_duration_baseline,
    make_time_baseline,
)
from edaemo.benchmark._calibration import Calibration, calibration
from edaemo.benchmark._compare import (
    CriticalDifference,
    PairedTest,
    ResampledTTest,
    compare_pipelines,
    corrected_resampled_t_test,
    critical_difference,
    paired_test,
)
from edaemo.benchmark._evaluate import evaluate
from edaemo.benchmark._keys import UnkeyableError
from edaemo.benchmark._permutation import (
    PermutationRefit,
    PermutationTest,
    permutation_refit,
    permutation_test,
    permutation_tests,
)
from edaemo.benchmark._pipelines import (
    make_boosting_baseline,
    make_cnn_baseline,
    make_logistic_baseline,
    make_ridge_baseline,
    make_rtcan,
    make_svm_baseline,
    make_svr_baseline,
)
from edaemo.benchmark._predictions import load_predictions, newest_keys
from edaemo.benchmark._registry import (
    PIPELINES,
    REGRESSORS,
    STUDIES,
    EvaluationError,
    register_pipeline,
    register_study,
)
from edaemo.benchmark._reproduce import (
    Reproduction,
    ReproductionSettings,
    reproduce_figure4,
    reproduce_table1,
    reproduce_table2,
    reproduce_table3,
    reproduce_table4,
    reproduce_table5,
)
from edaemo.benchmark._reproduce_layout import format_reproduction
from edaemo.benchmark._store import FoldRecord, ResultStore, StoreError
from edaemo.benchmark._summary import (
    classification_summary,
    regression_summary,
    summarise_predictions,
)
from edaemo.benchmark.report import write_report

__all__ = [
    "PIPELINES",
    "REGRESSORS",
    "STUDIES",
    "Calibration",
    "CriticalDifference",
    "EvaluationError",
    "FoldRecord",
    "PairedTest",
    "PermutationRefit",
    "PermutationTest",
    "Reproduction",
    "ReproductionSettings",
    "ResampledTTest",
    "ResultStore",
    "StimulusMeanRegressor",
    "StimulusPriorClassifier",
    "StoreError",
    "SubjectMeanRegressor",
    "SubjectPriorClassifier",
    "UnkeyableError",
    "audit",
    "calibration",
    "classification_summary",
    "compare_pipelines",
    "corrected_resampled_t_test",
    "critical_difference",
    "evaluate",
    "format_reproduction",
    "load_predictions",
    "make_boosting_baseline",
    "make_cnn_baseline",
    "make_duration_baseline",
    "make_logistic_baseline",
    "make_ridge_baseline",
    "make_rtcan",
    "make_svm_baseline",
    "make_svr_baseline",
    "make_time_baseline",
    "newest_keys",
    "paired_test",
    "permutation_refit",
    "permutation_test",
    "permutation_tests",
    "register_pipeline",
    "register_study",
    "regression_summary",
    "reproduce_figure4",
    "reproduce_table1",
    "reproduce_table2",
    "reproduce_table3",
    "reproduce_table4",
    "reproduce_table5",
    "summarise_predictions",
    "write_report",
]
