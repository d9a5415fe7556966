"""What predictions say: scores with intervals over people, tests, comparisons, calibration."""

from edaemo.statistics._calibration import Calibration, calibration
from edaemo.statistics._compare import (
    CriticalDifference,
    PairedTest,
    ResampledTTest,
    compare_case,
    compare_pipelines,
    corrected_resampled_t_test,
    critical_difference,
    paired_test,
)
from edaemo.statistics._permutation import (
    PermutationRefit,
    PermutationTest,
    permutation_refit,
    permutation_test,
    permutation_tests,
)
from edaemo.statistics._predictions import CASE, NUMBERS, fold_codes, split_cases
from edaemo.statistics._scores import (
    SCORES,
    count_confusion,
    divide,
    draw_people,
    interval_over_people,
    score_people,
    score_predictions,
)
from edaemo.statistics._summary import (
    classification_summary,
    regression_summary,
    summarise_case,
    summarise_predictions,
)
from edaemo.statistics._sums import score_numbers, sum_numbers
from edaemo.statistics._tables import (
    LEVEL,
    RATINGS,
    Kind,
    describe,
    format_table,
    kind_of,
    make_table,
    p_column,
    verdicts,
)

__all__ = [
    "CASE",
    "LEVEL",
    "NUMBERS",
    "RATINGS",
    "SCORES",
    "Calibration",
    "CriticalDifference",
    "Kind",
    "PairedTest",
    "PermutationRefit",
    "PermutationTest",
    "ResampledTTest",
    "calibration",
    "classification_summary",
    "compare_case",
    "compare_pipelines",
    "corrected_resampled_t_test",
    "count_confusion",
    "critical_difference",
    "describe",
    "divide",
    "draw_people",
    "fold_codes",
    "format_table",
    "interval_over_people",
    "kind_of",
    "make_table",
    "p_column",
    "paired_test",
    "permutation_refit",
    "permutation_test",
    "permutation_tests",
    "regression_summary",
    "score_numbers",
    "score_people",
    "score_predictions",
    "split_cases",
    "sum_numbers",
    "summarise_case",
    "summarise_predictions",
    "verdicts",
]
