"""Scores of pooled predictions, with intervals over people."""

from __future__ import annotations

import numpy as np

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
        Whose trial each is. People are drawn with replacement, all trials of a person together.
    random_state : int
        Seed of the 2000 draws.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy``, ``f1``, and for each ``…_low`` and ``…_high``, the
        2.5th and 97.5th percentile over the draws.
    """
    people, whose = np.unique(subject, return_inverse=True)
    counts = np.zeros((len(people), 2, 2))
    np.add.at(counts, (whose, labels, predicted), 1)
    rng = np.random.default_rng(random_state)
    drawn = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=N_DRAWS)
    scores = _scores(counts.sum(axis=0))
    draws = _scores(np.einsum("dp,pij->dij", drawn, counts))
    told: dict[str, float] = {}
    for name, score in scores.items():
        low, high = np.percentile(draws[name], [2.5, 97.5])
        told |= {name: float(score), f"{name}_low": float(low), f"{name}_high": float(high)}
    return told


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
