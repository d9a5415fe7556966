"""Features of a trial: 128 of electrodermal activity, and openSMILE's of the music."""

from edaemo.features._extractor import EDAFeatureExtractor
from edaemo.features._families import feature_families
from edaemo.features._music import MusicFeatureExtractor, read_pmemo_features

__all__ = [
    "EDAFeatureExtractor",
    "MusicFeatureExtractor",
    "feature_families",
    "read_pmemo_features",
]
