"""Splitters and scorers that take the subject of each trial into account."""

from edaemo.model_selection._calibrated import CalibratedSubjectKFold
from edaemo.model_selection._fewer_people import (
    FewerPeople,
    FewerTrainingPeople,
    covers_of,
    draw_rows,
    share_of,
)
from edaemo.model_selection._held_out import ConditionHeldOut, NewPeople
from edaemo.model_selection._protocols import (
    PROTOCOLS,
    LeaveOneSubjectOut,
    PaperKFold,
    Protocol,
    StimulusKFold,
    SubjectKFold,
    SubjectStimulusKFold,
    TrialCodes,
    TrialKFold,
    WithinSubjectKFold,
    make_protocol,
    read_classes,
    register_protocol,
)
from edaemo.model_selection._scorers import (
    ConcordanceScorer,
    SubjectThresholdScorer,
    get_scorer,
)

__all__ = [
    "PROTOCOLS",
    "CalibratedSubjectKFold",
    "ConcordanceScorer",
    "ConditionHeldOut",
    "FewerPeople",
    "FewerTrainingPeople",
    "LeaveOneSubjectOut",
    "NewPeople",
    "PaperKFold",
    "Protocol",
    "StimulusKFold",
    "SubjectKFold",
    "SubjectStimulusKFold",
    "SubjectThresholdScorer",
    "TrialCodes",
    "TrialKFold",
    "WithinSubjectKFold",
    "covers_of",
    "draw_rows",
    "get_scorer",
    "make_protocol",
    "read_classes",
    "register_protocol",
    "share_of",
]
