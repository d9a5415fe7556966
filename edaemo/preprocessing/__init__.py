"""Transformers of trials, and labels from each subject's own ratings."""

from edaemo.preprocessing._cvxeda import CvxEDATransformer
from edaemo.preprocessing._decomposed import (
    DecomposedTrial,
    DecomposingMixin,
    SignalQualityWarning,
    check_masking,
    decompose_trials,
)
from edaemo.preprocessing._decomposer import EDADecomposer
from edaemo.preprocessing._files import decompose_files, plan_outputs
from edaemo.preprocessing._quality import signal_quality
from edaemo.preprocessing._relabel import AXES, SubjectThresholdRelabeler, check_ratings
from edaemo.preprocessing._standardize import SubjectStandardizer

__all__ = [
    "AXES",
    "CvxEDATransformer",
    "DecomposedTrial",
    "DecomposingMixin",
    "EDADecomposer",
    "SignalQualityWarning",
    "SubjectStandardizer",
    "SubjectThresholdRelabeler",
    "check_masking",
    "check_ratings",
    "decompose_files",
    "decompose_trials",
    "plan_outputs",
    "signal_quality",
]
