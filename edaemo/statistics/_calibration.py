"""Measure the calibration of predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit
from sklearn.utils import check_consistent_length
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from edaemo.metrics import expected_calibration_error, find_bins
from edaemo.statistics._scores import divide, draw_people, interval_over_people
from edaemo.statistics._summary import number_units
from edaemo.statistics._tasks import read_classes, read_probability

_CLOSEST = 1e-6


class Calibration(NamedTuple):
    """Predicted probabilities of class 1 compared with observed shares of class 1.

    Attributes
    ----------
    curve : DataFrame
        One row for each bin of probabilities that has trials: ``n_trials``, ``n_people``,
        ``probability`` (mean), ``share`` (of 1), ``share_low``, ``share_high`` (95 % interval over
        people, NaN if any draw of people has no trial in the bin).
    expected_calibration_error : float
    slope, slope_low, slope_high : float
        Slope of the logistic regression of the label on the logit of the probability, and its
        interval. 1 is perfect. Below 1 the probabilities are too extreme. At 0 they are
        uninformative.
    intercept, intercept_low, intercept_high : float
        Intercept of the same regression, and its interval; 0 is perfect.
    """

    curve: pd.DataFrame
    expected_calibration_error: float
    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    intercept_low: float
    intercept_high: float


def calibration(
    y_true: ArrayLike,
    probability: ArrayLike,
    *,
    subject: Sequence,
    n_bins: int = 10,
    random_state: int = 0,
) -> Calibration:
    """Compare out-of-fold probabilities with the labels.

    Parameters
    ----------
    y_true : array-like of shape (n_trials,)
        Labels, 0 and 1.
    probability : array-like of shape (n_trials,)
        Predicted probability of 1.
    subject : sequence of shape (n_trials,)
        Subject of each trial.
    n_bins : int, default=10
        Number of bins of equal width.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If lengths differ, labels are not 0 and 1, or a probability or an id is missing.

    Notes
    -----
    Slope and intercept are Cox's (Biometrika 45(3/4), 1958), fitted by statsmodels. Their intervals
    use Student's t and variances clustered by person. Probabilities are clipped to
    [1e-6, 1 − 1e-6]. Slope and intercept are NaN if all probabilities or all labels are equal, or
    if the probabilities separate the labels perfectly.
    """
    labels = read_classes(y_true, "y_true")
    values = read_probability(probability, len(labels))
    if values is None:
        raise ValueError("probability is missing for some trials. Remove these trials.")
    subjects = number_units(subject, len(labels), "subject")
    check_consistent_length(labels, values)
    return Calibration(
        _curve(labels, values, subjects, n_bins, random_state),
        expected_calibration_error(labels, values, n_bins=n_bins),
        *_recalibrate(labels, values, subjects),
    )


def _curve(
    labels: np.ndarray,
    probability: np.ndarray,
    subjects: np.ndarray,
    n_bins: int,
    random_state: int,
) -> pd.DataFrame:
    n_people = subjects.max() + 1
    bins = find_bins(probability, n_bins)
    n_trials, n_high = np.zeros((2, n_people, n_bins))
    np.add.at(n_trials, (subjects, bins), 1)
    np.add.at(n_high, (subjects, bins), labels)
    drawn = draw_people(n_people, random_state)
    draws = divide(drawn @ n_high, drawn @ n_trials)
    total = n_trials.sum(axis=0)
    rows = []
    for k in np.flatnonzero(total):
        low, high = interval_over_people(draws[:, k], n_people)
        rows.append(
            {
                "n_trials": int(total[k]),
                "n_people": int((n_trials[:, k] > 0).sum()),
                "probability": probability[bins == k].mean(),
                "share": n_high[:, k].sum() / total[k],
                "share_low": low,
                "share_high": high,
            }
        )
    return pd.DataFrame(rows)


def _recalibrate(labels: np.ndarray, probability: np.ndarray, subjects: np.ndarray) -> list[float]:
    """Return slope and intercept, each with its interval."""
    logits = logit(np.clip(probability, _CLOSEST, 1 - _CLOSEST))
    high, low = logits[labels == 1], logits[labels == 0]
    separated = not len(high) or not len(low) or high.min() >= low.max() or high.max() <= low.min()
    if separated or np.ptp(logits) < 1e-9 or subjects.max() == 0:
        return [np.nan] * 6
    model = GLM(labels, np.column_stack([np.ones_like(logits), logits]), family=Binomial())
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": subjects}, use_t=True)
    (a, b), (ends_a, ends_b) = fitted.params, fitted.conf_int()
    return [float(value) for value in (b, *ends_b, a, *ends_a)]
