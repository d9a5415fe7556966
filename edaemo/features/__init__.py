"""Features of a trial: its responses, those of its electrodermal activity, and of its music."""

from edaemo.features._encoder import EncoderFeatureExtractor
from edaemo.features._extractor import EDAFeatureExtractor
from edaemo.features._families import feature_families
from edaemo.features._minirocket import MiniRocket
from edaemo.features._music import MusicFeatureExtractor, read_pmemo_features
from edaemo.features._scr_table import scr_table

__all__ = [
    "EDAFeatureExtractor",
    "EncoderFeatureExtractor",
    "MiniRocket",
    "MusicFeatureExtractor",
    "feature_families",
    "read_pmemo_features",
    "scr_table",
]
