"""Plain torch modules, one file for each paper; they know no scikit-learn and no skorch."""

from edaemo.networks._cnn import FeatureCNN
from edaemo.networks._layers import fast_paths
from edaemo.networks._published import load_published_weights
from edaemo.networks._rtcan import RTCAN

__all__ = ["RTCAN", "FeatureCNN", "fast_paths", "load_published_weights"]
