"""Compute the concordance correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return Lin's concordance correlation coefficient: how close pairs are to the line y = x.

    Unlike Pearson's correlation, it decreases if the predictions are shifted or scaled.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
        Numbers in the same unit. The result does not depend on the order of the arguments.

    Returns
    -------
    float
        2 cov / (var + var + (difference of the means)²), in [-1, 1], with moments that divide by n
        (Lin, Biometrics 45(1), 1989, p. 258). NaN if both are the same constant.

    Raises
    ------
    ValueError
        If lengths differ, there are 0 trials, or a value is not finite.

    Examples
    --------
    >>> round(concordance_correlation([1, 2, 3], [1, 2, 3]), 3)
    1.0
    >>> round(concordance_correlation([1, 2, 3], [2, 3, 4]), 3)  # Pearson's is 1
    0.571
    """
    true, predicted = (
        check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
        for values, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    )
    check_consistent_length(true, predicted)
    if true.ndim != 1 or predicted.ndim != 1:
        raise ValueError(
            "y_true and y_pred must have the shape (n_trials,), got "
            f"{true.shape} and {predicted.shape}."
        )
    covariance = np.cov(true, predicted, ddof=0)
    scatter = np.trace(covariance) + (true.mean() - predicted.mean()) ** 2
    return float(2 * covariance[0, 1] / scatter) if scatter > 0 else np.nan
