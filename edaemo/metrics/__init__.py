"""Measure agreement and calibration with metrics that scikit-learn does not have."""

from edaemo.metrics._calibration import expected_calibration_error, find_bins
from edaemo.metrics._concordance import concordance_correlation, series_concordance

__all__ = [
    "concordance_correlation",
    "expected_calibration_error",
    "find_bins",
    "series_concordance",
]
