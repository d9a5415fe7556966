"""Scores out of sums over trials, so that people can be drawn, and tests between pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import norm, t, wilcoxon

N_DRAWS = 2000


def p_above(scores: np.ndarray, reference: np.ndarray) -> float:
    """Test over people whether the scores are above those of a reference on the same people.

    Parameters
    ----------
    scores, reference : ndarray of shape (n_people,)
        One score for each person, in the same order.

    Returns
    -------
    float
        p of the one-sided Wilcoxon signed-rank test (Wilcoxon, Biometrics Bulletin 1(6), 1945);
        people without a difference, or without a score, are left out, and 1 if none has any.
    """
    differences = subtract(scores, reference)
    return signed_rank_p(differences[~np.isnan(differences)], "greater")


def signed_rank_p(differences: np.ndarray, alternative: str) -> float:
    """Give p of the Wilcoxon signed-rank test; 1 if there is no difference at all."""
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative=alternative).pvalue)


def subtract(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Subtract scores; equal shares may differ in the last bit, and are no difference."""
    return np.round(a - b, 12)


def adjust_holm(p: Sequence[float]) -> np.ndarray:
    """Adjust p values for their number (Holm, Scandinavian Journal of Statistics 6(2), 1979).

    A p that is NaN, of a test that could not be made, stays NaN and does not count.
    """
    # statsmodels has it too, and collects garbage at each call: 0.15 s with torch loaded.
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)  # NaN last
    n = np.sum(~np.isnan(p))
    adjusted = np.empty_like(p)
    stepped = p[order] * np.maximum(n - np.arange(len(p)), 1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


@lru_cache(maxsize=2)  # all pipelines of a study meet the same draws; of 457 people 7 MB
def draw_people(n_people: int, random_state: int) -> np.ndarray:
    """Draw people with replacement: how often each is in a draw, shape (2000, n_people).

    Draws of the same numbers are the same array, which cannot be written to.
    """
    rng = np.random.default_rng(random_state)
    drawn = rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=N_DRAWS)
    drawn.flags.writeable = False
    return drawn


def interval_over_people(draws: np.ndarray, n_people: int) -> tuple[float, float]:
    """Give the expanded percentile interval at 95 % of a score over draws of people.

    Plain percentiles are too narrow for few people, as the normal distribution is beside Student's
    and the variance with 1/n beside that with 1/(n − 1); the levels are moved by just that
    (Hesterberg, The American Statistician 69(4), 2015, section 5.3).

    Parameters
    ----------
    draws : ndarray of shape (n_draws,)
    n_people : int

    Returns
    -------
    low, high : float
        NaN if the score is undefined in any draw, or there are fewer than two people.
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
    """Count label by prediction for each person or other unit, shape (n_units, k, k)."""
    units, which = np.unique(unit, return_inverse=True)
    cell = (n_classes * which + labels) * n_classes + predicted
    counts = np.bincount(cell, minlength=n_classes**2 * len(units))
    return counts.reshape(-1, n_classes, n_classes).astype(float)


def score_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Score confusion matrices of shape (..., k, k), label by prediction; F1 and MCC for k = 2.

    As in scikit-learn, a class without trials counts neither for the balanced accuracy, nor, where
    it was not predicted either, for the macro F1, and MCC is 0 where all predictions are alike. F1
    is NaN where the positive class is neither label nor prediction, MCC where labels are of one
    class, everything where there is no trial.
    """
    confusion = np.asarray(confusion, dtype=float)
    n_label, n_predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    n = n_label.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    recall = divide(right, n_label, 0.0)
    f1 = divide(2 * right, n_label + n_predicted, 0.0)
    touched = n_label + n_predicted > 0
    scores = {
        "accuracy": divide(right.sum(axis=-1), n),
        "balanced_accuracy": divide(recall.sum(axis=-1), (n_label > 0).sum(axis=-1)),
        "f1_macro": divide(f1.sum(axis=-1), touched.sum(axis=-1)),
        "majority_rate": divide(n_label.max(axis=-1), n),
    }
    if confusion.shape[-1] > 2:
        return scores
    determinant = right.prod(axis=-1) - confusion[..., 0, 1] * confusion[..., 1, 0]
    margins = np.sqrt(n_label.prod(axis=-1) * n_predicted.prod(axis=-1))
    return scores | {
        "f1": np.where(touched[..., 1], f1[..., 1], np.nan),
        "mcc": np.where(n_label.all(axis=-1), divide(determinant, margins, 0.0), np.nan),
    }


def divide(a: np.ndarray, b: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Divide where the divisor is not 0."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), b)
    return np.divide(a, b, out=np.full(a.shape, otherwise), where=b != 0)
