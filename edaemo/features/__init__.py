"""Numbers that describe a trial: the 128 hand-crafted features of electrodermal activity."""

from edaemo.features._extractor import EDAFeatureExtractor

__all__ = ["EDAFeatureExtractor"]
