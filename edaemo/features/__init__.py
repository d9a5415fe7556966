"""Features of a trial: its responses, 128 of electrodermal activity, and openSMILE's of music."""

from edaemo.features._encoder import EncoderFeatureExtractor
from edaemo.features._extractor import EDAFeatureExtractor
from edaemo.features._families import feature_families
from edaemo.features._music import MusicFeatureExtractor, read_pmemo_features
from edaemo.features._scr_table import scr_table

__all__ = [
    "EDAFeatureExtractor",
    "EncoderFeatureExtractor",
    "MusicFeatureExtractor",
    "feature_families",
    "read_pmemo_features",
    "scr_table",
]
