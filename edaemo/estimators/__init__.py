"""scikit-learn estimators that own a skorch net around a network."""

from edaemo.estimators._cnn import CNNClassifier
from edaemo.estimators._rtcan import RTCANClassifier

__all__ = ["CNNClassifier", "RTCANClassifier"]
