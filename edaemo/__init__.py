"""Emotion recognition from electrodermal activity (EDA) and music, fairly evaluated.

The names below are imported on first use, so that ``import edaemo`` imports neither torch nor
scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edaemo.estimators import RTCANClassifier
    from edaemo.fusion import MusicFeatureUnion
    from edaemo.persistence import export_onnx, load, save
    from edaemo.preprocessing import CvxEDATransformer, SubjectThresholdRelabeler

# Version of edaemo.
__version__ = "0.1.0.dev0"

_HOME = {
    "CvxEDATransformer": "edaemo.preprocessing",
    "SubjectThresholdRelabeler": "edaemo.preprocessing",
    "MusicFeatureUnion": "edaemo.fusion",
    "RTCANClassifier": "edaemo.estimators",
    "export_onnx": "edaemo.persistence",
    "load": "edaemo.persistence",
    "save": "edaemo.persistence",
}

__all__ = [
    "CvxEDATransformer",
    "MusicFeatureUnion",
    "RTCANClassifier",
    "SubjectThresholdRelabeler",
    "__version__",
    "export_onnx",
    "load",
    "save",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'edaemo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
