"""Plain torch modules, one file for each paper; they know no scikit-learn and no skorch."""

from edaemo.networks._cnn import FeatureCNN
from edaemo.networks._head import Head, filled_up
from edaemo.networks._layers import fast_paths, prefers_fast
from edaemo.networks._published import load_published_weights
from edaemo.networks._rtcan import RTCAN

__all__ = [
    "RTCAN",
    "FeatureCNN",
    "Head",
    "fast_paths",
    "filled_up",
    "load_published_weights",
    "prefers_fast",
]
