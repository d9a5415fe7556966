"""Compute scores of confusion matrices, bootstrap intervals over people, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import norm, t, wilcoxon

N_DRAWS = 2000


def p_above(scores: np.ndarray, reference: np.ndarray) -> float:
    """Test over people whether scores are above those of a reference on the same people.

    Parameters
    ----------
    scores, reference : ndarray of shape (n_people,)
        One score for each person, in the same order.

    Returns
    -------
    float
        p of the one-sided Wilcoxon signed-rank test (Wilcoxon, Biometrics Bulletin 1(6), 1945).
        People without a difference or without a score are left out. 1 if all people are left out.
    """
    differences = subtract(scores, reference)
    return signed_rank_p(differences[~np.isnan(differences)], "greater")


def signed_rank_p(differences: np.ndarray, alternative: str) -> float:
    """Return p of the Wilcoxon signed-rank test; 1 if all differences are 0."""
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative=alternative).pvalue)


def subtract(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Subtract scores, rounded to 12 digits, since equal fractions may differ in the last bit."""
    return np.round(a - b, 12)


def adjust_holm(p: Sequence[float]) -> np.ndarray:
    """Adjust p values for multiple tests (Holm, Scandinavian Journal of Statistics 6(2), 1979).

    A NaN, which is the p of a test that was not possible, stays NaN and does not count.
    """
    # The version of statsmodels collects garbage at each call: 0.15 s with torch loaded.
    given = np.asarray(p, dtype=float)
    order = np.argsort(given)  # NaN last
    n = np.sum(~np.isnan(given))
    adjusted = np.empty_like(given)
    stepped = given[order] * np.maximum(n - np.arange(len(given)), 1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


@lru_cache(maxsize=2)  # pipelines of a study share the draws; 7 MB for 457 people
def draw_people(n_people: int, random_state: int) -> np.ndarray:
    """Draw people with replacement.

    Calls with the same arguments return the same array, which is read-only.

    Parameters
    ----------
    n_people : int
        Number of people, and of people in each draw.
    random_state : int
        Seed of the draws.

    Returns
    -------
    ndarray of shape (2000, n_people)
        How often each person occurs in each draw.
    """
    rng = np.random.default_rng(random_state)
    drawn = rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=N_DRAWS)
    drawn.flags.writeable = False
    return drawn


def interval_over_people(draws: np.ndarray, n_people: int) -> tuple[float, float]:
    """Return the expanded 95 % percentile interval of a score over draws of people.

    Plain percentile intervals are too narrow for few people. The expanded levels correct for the
    normal distribution in place of Student's t, and for the variance with 1/n in place of 1/(n − 1)
    (Hesterberg, The American Statistician 69(4), 2015, section 5.3).

    Parameters
    ----------
    draws : ndarray of shape (n_draws,)
        The score of each draw of people.
    n_people : int
        Number of people.

    Returns
    -------
    low, high : float
        NaN if the score is undefined in any draw, or with fewer than two people.
    """
    if n_people < 2:
        return np.nan, np.nan
    level = _expanded_level(n_people)
    low, high = np.quantile(draws, [level, 1 - level])
    return float(low), float(high)


@lru_cache(maxsize=64)  # scipy's distributions take as long as the quantiles
def _expanded_level(n_people: int) -> float:
    return float(norm.cdf(np.sqrt(n_people / (n_people - 1)) * t.ppf(0.025, n_people - 1)))


def count_confusion(
    labels: np.ndarray, predicted: np.ndarray, unit: np.ndarray, n_classes: int = 2
) -> np.ndarray:
    """Return the confusion matrix of each person or other unit, shape (n_units, k, k)."""
    units, which = np.unique(unit, return_inverse=True)
    cell = (n_classes * which + labels) * n_classes + predicted
    counts = np.bincount(cell, minlength=n_classes**2 * len(units))
    return counts.reshape(-1, n_classes, n_classes).astype(float)


def score_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Compute scores of confusion matrices (label by prediction), shape (..., k, k).

    F1 and MCC are only computed for k = 2. As in scikit-learn, the balanced accuracy ignores a
    class without trials, the macro F1 ignores a class that is neither label nor prediction, and MCC
    is 0 if all predictions are equal. F1 is NaN if the positive class is neither label nor
    prediction. MCC is NaN if all labels are of one class. All scores are NaN without trials.
    """
    confusion = np.asarray(confusion, dtype=float)
    n_label, n_predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    n = n_label.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    recall = divide(right, n_label, 0.0)
    f1 = divide(2 * right, n_label + n_predicted, 0.0)
    occurs = n_label + n_predicted > 0
    scores = {
        "accuracy": divide(right.sum(axis=-1), n),
        "balanced_accuracy": divide(recall.sum(axis=-1), (n_label > 0).sum(axis=-1)),
        "f1_macro": divide(f1.sum(axis=-1), occurs.sum(axis=-1)),
        "majority_rate": divide(n_label.max(axis=-1), n),
    }
    if confusion.shape[-1] > 2:
        return scores
    determinant = right.prod(axis=-1) - confusion[..., 0, 1] * confusion[..., 1, 0]
    margins = np.sqrt(n_label.prod(axis=-1) * n_predicted.prod(axis=-1))
    return scores | {
        "f1": np.where(occurs[..., 1], f1[..., 1], np.nan),
        "mcc": np.where(n_label.all(axis=-1), divide(determinant, margins, 0.0), np.nan),
    }


def divide(a: np.ndarray, b: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Return a / b, and `otherwise` where b is 0.

    Parameters
    ----------
    a, b : ndarray
        Numerator and denominator, of shapes that numpy can broadcast.
    otherwise : float, default=nan
        Value where the denominator is 0.

    Returns
    -------
    ndarray of float64
        The quotients.
    """
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), b)
    return np.divide(a, b, out=np.full(a.shape, otherwise), where=b != 0)
