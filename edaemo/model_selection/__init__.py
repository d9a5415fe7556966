"""Splitters and scorers that know whose trial it is."""

from edaemo.model_selection._scorers import SubjectThresholdScorer

__all__ = ["SubjectThresholdScorer"]
