"""Joining the EDA block and the music block; the column layout that everyone else reads."""

from edaemo.fusion._union import MusicFeatureUnion

__all__ = ["MusicFeatureUnion"]
