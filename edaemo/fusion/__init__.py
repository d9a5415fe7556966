"""Joining blocks of columns: EDA, music, and any other signal or feature of a trial."""

from edaemo.fusion._blocks import BlockUnion
from edaemo.fusion._union import MusicFeatureUnion

__all__ = ["BlockUnion", "MusicFeatureUnion"]
