"""Unions of blocks of columns: EDA, music, and any other signals or features of a trial."""

from edaemo.fusion._blocks import BlockUnion
from edaemo.fusion._union import MusicFeatureUnion

__all__ = ["BlockUnion", "MusicFeatureUnion"]
