"""Measure the calibration of predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t as student_t
from sklearn.utils import check_consistent_length

from edaemo.metrics import expected_calibration_error, find_bins
from edaemo.statistics._scores import divide, draw_people, interval_over_people
from edaemo.statistics._summary import number_units
from edaemo.statistics._tasks import read_classes, read_probability

_CLOSEST = 1e-6
_CONVERGED = 1e-10
_MOST_STEPS = 100


class Calibration(NamedTuple):
    """Predicted probabilities of class 1 compared with observed shares of class 1.

    Parameters
    ----------
    curve : DataFrame
        One row for each bin of probabilities that has trials: ``n_trials``, ``n_people``,
        ``probability`` (mean), ``share`` (of 1), ``share_low``, ``share_high`` (95 % interval over
        people, NaN if any draw of people has no trial in the bin).
    expected_calibration_error : float
        Mean absolute difference of probability and share over the bins, weighted by their trials.
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
    subject: Sequence[Any],
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
        The calibration curve, its error, and the slope and intercept with their intervals.

    Raises
    ------
    ValueError
        If lengths differ, labels are not 0 and 1, or a probability or an id is missing.

    See Also
    --------
    edaemo.metrics.expected_calibration_error : The error alone.

    Notes
    -----
    Slope and intercept are Cox's (Biometrika 45(3/4), 1958). Their intervals use variances that are
    clustered by person (Liang & Zeger, Biometrika 73(1), 1986), with the usual correction for few
    clusters, and Student's t with one degree of freedom less than people. Probabilities are clipped
    to [1e-6, 1 − 1e-6]. Slope and intercept are NaN if all probabilities or all labels are equal,
    or if the probabilities separate the labels perfectly.

    Examples
    --------
    >>> from edaemo.benchmark import calibration
    >>> rng = np.random.default_rng(0)
    >>> probability = rng.uniform(size=400)
    >>> label = (rng.uniform(size=400) < probability).astype(int)
    >>> result = calibration(label, probability, subject=np.repeat(range(20), 20))
    >>> bool(0.8 < result.slope < 1.2), bool(abs(result.intercept) < 0.3)
    (True, True)
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
    columns = np.column_stack([np.ones_like(logits), logits])
    estimate = _fit_logistic(columns, labels)
    low_ends, high_ends = _clustered_interval(columns, labels, subjects, estimate)
    (a, b), (a_low, b_low), (a_high, b_high) = estimate, low_ends, high_ends
    return [float(value) for value in (b, b_low, b_high, a, a_low, a_high)]


def _fit_logistic(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the maximum likelihood coefficients of a logistic regression, by Newton's method."""
    estimate = np.zeros(columns.shape[1])
    for _ in range(_MOST_STEPS):
        predicted = expit(columns @ estimate)
        curvature = columns.T @ (columns * (predicted * (1 - predicted))[:, None])
        step = np.linalg.solve(curvature, columns.T @ (labels - predicted))
        # The likelihood is concave, so halving a step that worsens it leads to the maximum.
        while _likelihood(columns, labels, estimate + step) < _likelihood(
            columns, labels, estimate
        ) and np.any(np.abs(step) > _CONVERGED):
            step /= 2
        estimate += step
        if np.all(np.abs(step) <= _CONVERGED * (1 + np.abs(estimate))):
            break
    return estimate


def _likelihood(columns: np.ndarray, labels: np.ndarray, estimate: np.ndarray) -> float:
    linear = columns @ estimate
    return float(np.sum(labels * linear - np.logaddexp(0, linear)))


def _clustered_interval(
    columns: np.ndarray, labels: np.ndarray, subjects: np.ndarray, estimate: np.ndarray
) -> np.ndarray:
    """Return the 95 % interval of each coefficient, shape (2, n_coefficients)."""
    n_trials, n_coefficients = columns.shape
    n_people = subjects.max() + 1
    predicted = expit(columns @ estimate)
    inverse = np.linalg.inv(columns.T @ (columns * (predicted * (1 - predicted))[:, None]))
    scores = np.zeros((n_people, n_coefficients))
    np.add.at(scores, subjects, columns * (labels - predicted)[:, None])
    few = n_people / (n_people - 1) * (n_trials - 1) / (n_trials - n_coefficients)
    variance = np.diag(few * inverse @ scores.T @ scores @ inverse)
    half = student_t.ppf(0.975, n_people - 1) * np.sqrt(variance)
    return np.array([estimate - half, estimate + half])
