"""Joining blocks of columns: EDA, music, and any other signal or feature of a trial."""

from edaemo.fusion._music_union import MusicFeatureUnion
from edaemo.fusion._union import BlockUnion

__all__ = ["BlockUnion", "MusicFeatureUnion"]
