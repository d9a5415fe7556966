"""Plain torch modules, one file for each paper; they know no scikit-learn and no skorch."""

from edaemo.networks._cnn import FeatureCNN
from edaemo.networks._declaration import (
    CONSTANT,
    COSINE,
    TASKS,
    Declaration,
    Layer,
    Recipe,
    blocks_of,
    declaration_of,
    inputs_of,
    sizes_of,
    takes_blocks,
    takes_mask,
)
from edaemo.networks._layers import fast_paths
from edaemo.networks._published import load_published_weights
from edaemo.networks._rtcan import RTCAN

__all__ = [
    "CONSTANT",
    "COSINE",
    "RTCAN",
    "TASKS",
    "Declaration",
    "FeatureCNN",
    "Layer",
    "Recipe",
    "blocks_of",
    "declaration_of",
    "fast_paths",
    "inputs_of",
    "load_published_weights",
    "sizes_of",
    "takes_blocks",
    "takes_mask",
]
