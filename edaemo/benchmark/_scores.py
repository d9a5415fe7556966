"""Scores of pooled predictions, with intervals over people and tests between pipelines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import wilcoxon

N_DRAWS = 2000


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
        ``accuracy``, ``balanced_accuracy``, ``f1``, and for each ``…_low`` and ``…_high``, the
        2.5th and 97.5th percentile over the draws.
    """
    counts = _count(labels, predicted, subject)
    n_people = len(counts)
    rng = np.random.default_rng(random_state)
    drawn = rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=N_DRAWS)
    scores = _scores(counts.sum(axis=0))
    draws = _scores(np.einsum("dp,pij->dij", drawn, counts))
    told: dict[str, float] = {}
    for name, score in scores.items():
        low, high = np.percentile(draws[name], [2.5, 97.5])
        told |= {name: float(score), f"{name}_low": float(low), f"{name}_high": float(high)}
    return told


def score_predictions(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Give accuracy, balanced accuracy and F1 of binary predictions."""
    confusion = _count(labels, predicted, np.zeros(len(labels)))[0]
    return {name: float(score) for name, score in _scores(confusion).items()}


def score_people(labels: np.ndarray, predicted: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Give each person's balanced accuracy, shape (n_people,), in the order of their ids.

    Of a person whose labels are all of one class it is the share of right answers.
    """
    return _scores(_count(labels, predicted, subject))["balanced_accuracy"]


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
        people without a difference are left out, and 1 if none has any.
    """
    differences = np.round(scores - reference, 12)  # equal shares may differ in the last bit
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative="greater").pvalue)


def adjust_holm(p: Sequence[float]) -> np.ndarray:
    """Adjust p values for their number (Holm, Scandinavian Journal of Statistics 6(2), 1979)."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    stepped = p[order] * np.arange(len(p), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def _count(labels: np.ndarray, predicted: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Count label by prediction for each person, shape (n_people, 2, 2)."""
    people, whose = np.unique(subject, return_inverse=True)
    counts = np.zeros((len(people), 2, 2))
    np.add.at(counts, (whose, labels, predicted), 1)
    return counts


def _scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Score confusion matrices of shape (..., 2, 2), label by prediction.

    As in scikit-learn, a class without trials does not count for the balanced accuracy, and F1 is
    0 where it is undefined.
    """
    confusion = np.asarray(confusion, dtype=float)
    n_label = confusion.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    recall = np.divide(right, n_label, out=np.zeros_like(right), where=n_label > 0)
    true_positive = confusion[..., 1, 1]
    touched = 2 * true_positive + confusion[..., 0, 1] + confusion[..., 1, 0]
    return {
        "accuracy": right.sum(axis=-1) / n_label.sum(axis=-1),
        "balanced_accuracy": recall.sum(axis=-1) / (n_label > 0).sum(axis=-1),
        "f1": np.divide(
            2 * true_positive, touched, out=np.zeros_like(true_positive), where=touched > 0
        ),
    }
