"""Calibration of probabilities."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length


def expected_calibration_error(y_true: ArrayLike, y_prob: ArrayLike, *, n_bins: int = 10) -> float:
    """Give how far probabilities are from the shares that come true, on average over trials.

    Parameters
    ----------
    y_true : array-like of shape (n_trials,)
        0 or 1.
    y_prob : array-like of shape (n_trials,)
        Predicted probability of 1.
    n_bins : int, default=10
        Bins of equal width; what lies on an edge belongs to the lower one, as in scikit-learn.

    Returns
    -------
    float
        Sum over bins of (share of the trials in the bin) × |mean probability − share of 1|, in
        [0, 1] (Naeini, Cooper & Hauskrecht, AAAI 2015, eq. 1). It is above 0 for finitely many
        trials even of a perfectly calibrated model: the fewer the trials the more so.

    Raises
    ------
    ValueError
        If lengths differ, there is no trial, labels are not 0 and 1, or probabilities not in
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
        raise ValueError("y_true must hold 0 and 1 alone.")
    if probability.min() < 0 or probability.max() > 1:
        raise ValueError("y_prob must lie in [0, 1].")
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins must be an integer of at least 1, got {n_bins!r}.")
    bins = find_bins(probability, n_bins)
    gaps = np.bincount(bins, probability - labels, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(labels))


def find_bins(probability: np.ndarray, n_bins: int) -> np.ndarray:
    """Say in which bin of equal width each probability lies, on an edge in the lower one."""
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], probability)
