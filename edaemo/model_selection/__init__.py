"""Splitters and scorers that know whose trial it is."""

from edaemo.model_selection._fewer_people import (
    SHARE,
    FewerPeople,
    FewerTrainingPeople,
)
from edaemo.model_selection._protocols import (
    PROTOCOLS,
    LeaveOneSubjectOut,
    PaperKFold,
    StimulusKFold,
    SubjectKFold,
    SubjectStimulusKFold,
    TrialKFold,
    WithinSubjectKFold,
    make_protocol,
)
from edaemo.model_selection._scorers import SubjectThresholdScorer

__all__ = [
    "PROTOCOLS",
    "SHARE",
    "FewerPeople",
    "FewerTrainingPeople",
    "LeaveOneSubjectOut",
    "PaperKFold",
    "StimulusKFold",
    "SubjectKFold",
    "SubjectStimulusKFold",
    "SubjectThresholdScorer",
    "TrialKFold",
    "WithinSubjectKFold",
    "make_protocol",
]
