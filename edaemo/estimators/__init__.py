"""scikit-learn estimators that own a skorch net around a network."""

from edaemo.estimators._rtcan import RTCANClassifier

__all__ = ["RTCANClassifier"]
