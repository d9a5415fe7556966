"""Transformers of trials, and labels from each subject's own ratings."""

from edaemo.preprocessing._copies import find_copies
from edaemo.preprocessing._cvxeda import CvxEDATransformer
from edaemo.preprocessing._decomposed import (
    DecomposedTrial,
    DecomposingMixin,
    SignalQualityWarning,
    check_masking,
    decompose_trials,
    is_flat,
)
from edaemo.preprocessing._decomposer import EDADecomposer
from edaemo.preprocessing._files import Outcome, decompose_files, plan_outputs
from edaemo.preprocessing._findings import RecordingQuality, describe_quality
from edaemo.preprocessing._finished import FinishedFiles
from edaemo.preprocessing._quality import (
    DEFECTS,
    count_levels,
    find_context,
    signal_quality,
    unpack_study,
)
from edaemo.preprocessing._relabel import AXES, SubjectThresholdRelabeler, check_ratings
from edaemo.preprocessing._repair import (
    REPAIRS,
    Repaired,
    describe_repairs,
    remove_breathing,
    repair_signals,
)
from edaemo.preprocessing._standardize import SubjectStandardizer

__all__ = [
    "AXES",
    "DEFECTS",
    "REPAIRS",
    "CvxEDATransformer",
    "DecomposedTrial",
    "DecomposingMixin",
    "EDADecomposer",
    "FinishedFiles",
    "Outcome",
    "RecordingQuality",
    "Repaired",
    "SignalQualityWarning",
    "SubjectStandardizer",
    "SubjectThresholdRelabeler",
    "check_masking",
    "check_ratings",
    "count_levels",
    "decompose_files",
    "decompose_trials",
    "describe_quality",
    "describe_repairs",
    "find_context",
    "find_copies",
    "is_flat",
    "plan_outputs",
    "remove_breathing",
    "repair_signals",
    "signal_quality",
    "unpack_study",
]
