"""scikit-learn estimators that own a skorch net around a network."""

from edaemo.estimators._cnn import CNNClassifier
from edaemo.estimators._rtcan import RTCANClassifier
from edaemo.estimators._training import TrainingError

__all__ = ["CNNClassifier", "RTCANClassifier", "TrainingError"]
