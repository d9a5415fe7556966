"""Unions of blocks of columns, and the features of each step of a trial."""

from edaemo.fusion._blocks import BlockUnion
from edaemo.fusion._steps import STATISTICS, StepAligner
from edaemo.fusion._union import MusicFeatureUnion

__all__ = ["STATISTICS", "BlockUnion", "MusicFeatureUnion", "StepAligner"]
