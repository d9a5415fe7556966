"""Measure the calibration of probabilities."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length


def expected_calibration_error(y_true: ArrayLike, y_prob: ArrayLike, *, n_bins: int = 10) -> float:
    """Return the mean gap over trials between probabilities and observed shares of 1.

    Parameters
    ----------
    y_true : array-like of shape (n_trials,)
        0 or 1.
    y_prob : array-like of shape (n_trials,)
        Predicted probability of 1.
    n_bins : int, default=10
        Number of bins of equal width. A value on an edge is in the lower bin, as in scikit-learn.

    Returns
    -------
    float
        Sum over bins of (share of the trials in the bin) × ``|mean probability − share of 1|``, in
        [0, 1] (Naeini, Cooper & Hauskrecht, AAAI 2015, eq. 1). Even for a perfectly calibrated
        model it is above 0, and it increases when there are fewer trials.

    Raises
    ------
    ValueError
        If lengths differ, there are 0 trials, labels are not 0 and 1, or probabilities are not in
        [0, 1].

    Examples
    --------
    >>> expected_calibration_error([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75])
    0.25
    """
    labels, probability = (
        check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
        for values, name in ((y_true, "y_true"), (y_prob, "y_prob"))
    )
    check_consistent_length(labels, probability)
    if not np.isin(labels, [0, 1]).all():
        raise ValueError("y_true must contain only 0 and 1.")
    if probability.min() < 0 or probability.max() > 1:
        raise ValueError("y_prob must be in [0, 1].")
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins must be an integer of at least 1, got {n_bins!r}.")
    bins = find_bins(probability, n_bins)
    gaps = np.bincount(bins, probability - labels, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(labels))


def find_bins(probability: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the bin of each probability.

    Parameters
    ----------
    probability : ndarray of shape (n_trials,)
        Probabilities.
    n_bins : int
        Number of bins of equal width.

    Returns
    -------
    ndarray of int of shape (n_trials,)
        Number of the bin from 0; the lower bin for a value on an edge.
    """
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], probability)
