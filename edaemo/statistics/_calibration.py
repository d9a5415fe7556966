"""Probabilities, and whether they come true."""

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
    """How probabilities of 1 compare to shares of 1.

    Attributes
    ----------
    curve : DataFrame
        One row for each bin of probabilities that holds trials: ``n_trials``, ``n_people``,
        ``probability`` (mean), ``share`` (of 1), ``share_low``, ``share_high`` (95 % interval over
        people, NaN where some draw of people has no trial in the bin).
    expected_calibration_error : float
    slope, slope_low, slope_high : float
        Of the logistic regression of the label on the logit of the probability; 1 is right, below 1
        the probabilities are too extreme, 0 says nothing.
    intercept, intercept_low, intercept_high : float
        Of the same regression; 0 is right.
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
    """Compare out-of-fold probabilities to what came true.

    Parameters
    ----------
    y_true : array-like of shape (n_trials,)
        Labels, 0 and 1.
    probability : array-like of shape (n_trials,)
        Predicted probability of 1.
    subject : sequence of shape (n_trials,)
        Whose trial each is.
    n_bins : int, default=10
        Bins of equal width.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If lengths differ, labels are not 0 and 1, a probability or an id is missing.

    Notes
    -----
    Slope and intercept are Cox's (Biometrika 45(3/4), 1958), fitted by statsmodels, with intervals
    by Student's t from variances clustered by person; probabilities nearer than 1e-6 to 0 or 1
    count as that. They are NaN where all probabilities or all labels are alike, or where the
    probabilities part the labels without an error.
    """
    labels = read_classes(y_true, "y_true")
    said = read_probability(probability, len(labels))
    if said is None:
        raise ValueError("probability is missing for some trials.")
    whose = number_units(subject, len(labels), "subject")
    check_consistent_length(labels, said)
    return Calibration(
        _curve(labels, said, whose, n_bins, random_state),
        expected_calibration_error(labels, said, n_bins=n_bins),
        *_recalibrate(labels, said, whose),
    )


def _curve(
    labels: np.ndarray, probability: np.ndarray, whose: np.ndarray, n_bins: int, random_state: int
) -> pd.DataFrame:
    n_people = whose.max() + 1
    bins = find_bins(probability, n_bins)
    n_trials, n_high = np.zeros((2, n_people, n_bins))
    np.add.at(n_trials, (whose, bins), 1)
    np.add.at(n_high, (whose, bins), labels)
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


def _recalibrate(labels: np.ndarray, probability: np.ndarray, whose: np.ndarray) -> list[float]:
    """Give slope and intercept, each with its interval."""
    said = logit(np.clip(probability, _CLOSEST, 1 - _CLOSEST))
    high, low = said[labels == 1], said[labels == 0]
    parted = not len(high) or not len(low) or high.min() >= low.max() or high.max() <= low.min()
    if parted or np.ptp(said) < 1e-9 or whose.max() == 0:
        return [np.nan] * 6
    model = GLM(labels, np.column_stack([np.ones_like(said), said]), family=Binomial())
    fitted = model.fit(cov_type="cluster", cov_kwds={"groups": whose}, use_t=True)
    (a, b), (of_a, of_b) = fitted.params, fitted.conf_int()
    return [float(value) for value in (b, *of_b, a, *of_a)]
