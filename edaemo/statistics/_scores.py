"""Scores out of sums over trials, so that people can be drawn, and tests between pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import norm, t, wilcoxon

N_DRAWS = 2000
# What every table shows, and every fold is stored with.
SCORES = ("accuracy", "balanced_accuracy", "f1")


def bootstrap_scores(
    labels: np.ndarray, predicted: np.ndarray, subject: np.ndarray, *, random_state: int
) -> dict[str, float]:
    """Score binary predictions, and draw people anew to see how far the scores depend on them.

    Parameters
    ----------
    labels, predicted : ndarray of shape (n_trials,)
        Classes 0 and 1; 1 is the positive one.
    subject : ndarray of shape (n_trials,)
        Whose trial each is. People are drawn with replacement, all trials of a person together;
        where a trial was predicted in several repeats, each counts alike.
    random_state : int
        Seed of the 2000 draws.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy``, ``f1``, and for each ``…_low`` and ``…_high``, its
        95 % interval (:func:`interval_over_people`). F1 is 0 where it is undefined.
    """
    counts = count_confusion(labels, predicted, subject)
    drawn = draw_people(len(counts), random_state)
    scores = score_confusion(counts.sum(axis=0))
    draws = score_confusion(np.einsum("dp,pij->dij", drawn, counts))
    told: dict[str, float] = {}
    for name in SCORES:
        low, high = interval_over_people(np.nan_to_num(draws[name]), len(counts))
        score = float(np.nan_to_num(scores[name]))
        told |= {name: score, f"{name}_low": low, f"{name}_high": high}
    return told


def score_predictions(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Give accuracy, balanced accuracy and F1 (0 where it is undefined) of binary predictions."""
    scores = score_confusion(count_confusion(labels, predicted, np.zeros(len(labels)))[0])
    return {name: float(np.nan_to_num(scores[name])) for name in SCORES}


def score_people(labels: np.ndarray, predicted: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Give each person's balanced accuracy, shape (n_people,), in the order of their ids.

    Of a person whose labels are all of one class it is the share of right answers.
    """
    return score_confusion(count_confusion(labels, predicted, subject))["balanced_accuracy"]


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


def count_confusion(labels: np.ndarray, predicted: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Count label by prediction for each person or other unit, shape (n_units, 2, 2)."""
    units, which = np.unique(unit, return_inverse=True)
    cell = 4 * which + 2 * labels + predicted
    return np.bincount(cell, minlength=4 * len(units)).reshape(-1, 2, 2).astype(float)


def score_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Score confusion matrices of shape (..., 2, 2), label by prediction.

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
    determinant = right.prod(axis=-1) - confusion[..., 0, 1] * confusion[..., 1, 0]
    margins = np.sqrt(n_label.prod(axis=-1) * n_predicted.prod(axis=-1))
    return {
        "accuracy": divide(right.sum(axis=-1), n),
        "balanced_accuracy": divide(recall.sum(axis=-1), (n_label > 0).sum(axis=-1)),
        "f1": np.where(touched[..., 1], f1[..., 1], np.nan),
        "f1_macro": divide(f1.sum(axis=-1), touched.sum(axis=-1)),
        "mcc": np.where(n_label.all(axis=-1), divide(determinant, margins, 0.0), np.nan),
        "majority_rate": divide(n_label.max(axis=-1), n),
    }


def divide(a: np.ndarray, b: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Divide where the divisor is not 0."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), b)
    return np.divide(a, b, out=np.full(a.shape, otherwise), where=b != 0)
