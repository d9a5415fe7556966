"""Compute scores of confusion matrices, bootstrap intervals over people, and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import norm, rankdata, t

N_DRAWS = 2000
# Scores that differ by less than this share of the largest score are equal except for rounding.
_ROUNDING = 1e-12


def p_above(scores: np.ndarray, reference: np.ndarray) -> float:
    """Test over people whether scores are above those of a reference on the same people.

    Parameters
    ----------
    scores, reference : ndarray of shape (n_people,)
        One score for each person, in the same order.

    Returns
    -------
    float
        p of the one-sided Wilcoxon signed-rank test. People without a difference or without a score
        are left out. 1 if all people are left out.
    """
    differences = subtract(scores, reference)
    return signed_rank_p(differences[~np.isnan(differences)], "greater")


def signed_rank_p(differences: np.ndarray, alternative: str) -> float:
    """Compute the exact p of the signed-rank test (Wilcoxon, Biometrics Bulletin 1(6), 1945).

    Differences of 0 are left out, and equal sizes get their average rank. The null distribution
    gives each of the 2^n assignments of signs to these ranks the same probability, for any n.

    Parameters
    ----------
    differences : ndarray of shape (n,)
        Finite differences. Sizes that are equal except for rounding must be equal, as `subtract`
        returns them.
    alternative : {"greater", "two-sided"}

    Returns
    -------
    float
        1 if all differences are 0. Two-sided: twice the smaller tail, at most 1.
    """
    differences = differences[differences != 0]
    # Average ranks are multiples of 1/2.
    ranks = np.round(2 * rankdata(np.abs(differences))).astype(np.int64)
    gains = int(ranks[differences > 0].sum())
    losses = int(ranks.sum()) - gains
    if alternative == "two-sided":
        return min(1.0, 2 * _share_of_signs(ranks, min(gains, losses)))
    # The distribution is symmetric, and only its lower half is computed.
    if gains >= losses:
        return _share_of_signs(ranks, losses)
    return 1 - _share_of_signs(ranks, gains - 1)


def _share_of_signs(ranks: np.ndarray, most: int) -> float:
    """Return the share of all choices of ranks whose sum is at most `most`; `ranks` are int > 0."""
    if most < 0:
        return 0.0
    shares = np.zeros(most + 1)  # of the choices from the ranks so far, by their sum
    shares[0] = 1.0
    reached = 0
    for rank in np.sort(ranks):
        end = min(reached + rank, most)
        if rank <= end:
            shares[rank : end + 1] += shares[: end + 1 - rank].copy()
        shares[: end + 1] /= 2
        reached = end
    return float(shares.sum())


def subtract(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Subtract scores so that differences of the same size are equal despite rounding errors.

    Two sizes are the same if they, or the sizes between them in order, differ by at most 1e-12 of
    the largest absolute score. The same rule decides which differences are 0.

    Parameters
    ----------
    a, b : ndarray of shape (n,)
        NaN if a score is undefined.

    Returns
    -------
    ndarray of shape (n,)
        a − b. Each size is replaced by the smallest of the sizes that are the same.
    """
    differences = a - b
    defined = np.flatnonzero(~np.isnan(differences))
    if not len(defined):
        return differences
    tolerance = _ROUNDING * np.max(np.abs([a[defined], b[defined]]))
    sizes = np.abs(differences[defined])
    order = np.argsort(sizes)
    ordered = np.concatenate([[0.0], sizes[order]])
    first = np.maximum.accumulate(
        np.where(np.diff(ordered) > tolerance, np.arange(1, len(ordered)), 0)
    )
    differences[defined[order]] = np.sign(differences[defined[order]]) * ordered[first]
    return differences


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


def widen(
    estimate: float,
    interval: tuple[float, float],
    factor: float,
    limits: tuple[float, float],
) -> tuple[float, float]:
    """Return an interval with both sides multiplied by a factor, cut at the limits of the score."""
    low, high = np.clip([estimate + factor * (end - estimate) for end in interval], *limits)
    return float(low), float(high)


def widen_by_repeats(
    estimate: float,
    interval: tuple[float, float],
    of_repeats: np.ndarray,
    limits: tuple[float, float],
) -> tuple[float, float]:
    """Return an interval that also holds the repeats, whose mean the score is.

    Parameters
    ----------
    estimate : float
        The score.
    interval : tuple of float
        Its interval for these repeats.
    of_repeats : ndarray of shape (n_repeats,)
        The score of each repeat.
    limits : tuple of float
        The smallest and the largest possible value.

    Returns
    -------
    low, high : float
        Each side is the root of the sum of two squares: its own length, and the half-width of
        Student's interval for the mean of the repeats. With one repeat, `interval` itself.
    """
    n = len(of_repeats)
    if n < 2:
        return interval
    half = t.ppf(0.975, n - 1) * of_repeats.std(ddof=1) / np.sqrt(n)
    low, high = (np.hypot(end - estimate, half) for end in interval)
    low, high = np.clip([estimate - low, estimate + high], *limits)
    return float(low), float(high)


def count_confusion(
    labels: np.ndarray, predicted: np.ndarray, unit: np.ndarray, n_classes: int = 2
) -> np.ndarray:
    """Return the confusion matrix of each person or other unit, shape (n_units, k, k)."""
    units, which = np.unique(unit, return_inverse=True)
    cell = (n_classes * which + labels) * n_classes + predicted
    counts = np.bincount(cell, minlength=n_classes**2 * len(units))
    return counts.reshape(-1, n_classes, n_classes).astype(float)


def pair_trials(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Count pairs of trials of two classes within each stratum; the counts can be added up.

    Parameters
    ----------
    confusion : ndarray of shape (..., k, k)
        Confusion matrix (label by prediction) of each stratum.

    Returns
    -------
    dict
        ``pairs``, shape (..., k, k): the number of pairs of a trial of class i and a trial of class
        j; 0 for i = j. ``gained``, shape (..., k, k): the pairs in which only the trial of class i
        is predicted as i, minus the pairs in which only the trial of class j is. A prediction that
        is the same for all trials of a stratum gains 0. ``pairs_predicted``, shape (...): the pairs
        of trials with two different predictions.
    """
    n_label, n_predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    among_others = np.swapaxes(confusion, -2, -1)  # [i, j]: trials of class j predicted as i
    gained = right[..., :, None] * n_label[..., None, :] - among_others * n_label[..., :, None]
    between = 1 - np.eye(confusion.shape[-1])
    squares = (n_predicted**2).sum(axis=-1)
    return {
        "pairs": n_label[..., :, None] * n_label[..., None, :] * between,
        "gained": gained,
        "pairs_predicted": (n_predicted.sum(axis=-1) ** 2 - squares) / 2,
    }


def score_pairs(paired: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the balanced accuracy, and for two classes MCC, of the counts of `pair_trials`.

    Within one stratum that has all classes, both are the usual scores, since the mean of gained /
    pairs over pairs of classes is (balanced accuracy - 1/k) / (1 - 1/k), and MCC is the rank
    correlation tau-b of two columns of 0 and 1. A pair of classes that no stratum has together is
    left out. Both are NaN if no stratum has two classes. MCC is 0 if no stratum has two different
    predictions.
    """
    pairs, gained = paired["pairs"], paired["gained"]
    k = pairs.shape[-1]
    gain = divide(gained, pairs, 0.0).sum(axis=(-2, -1))
    above = divide(gain, (pairs > 0).sum(axis=(-2, -1)))
    scores = {"balanced_accuracy": 1 / k + (1 - 1 / k) * above}
    if k > 2:
        return scores
    n_pairs = pairs[..., 0, 1]
    mcc = divide(gained[..., 0, 1], np.sqrt(n_pairs * paired["pairs_predicted"]), 0.0)
    return scores | {"mcc": np.where(n_pairs > 0, mcc, np.nan)}


def score_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Compute scores of confusion matrices (label by prediction), shape (..., k, k).

    F1 is only computed for k = 2. As in scikit-learn, the macro F1 ignores a class that is neither
    label nor prediction. F1 is NaN if the positive class is neither label nor prediction. All
    scores are NaN without trials.
    """
    confusion = np.asarray(confusion, dtype=float)
    n_label, n_predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    n = n_label.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    f1 = divide(2 * right, n_label + n_predicted, 0.0)
    occurs = n_label + n_predicted > 0
    scores = {
        "accuracy": divide(right.sum(axis=-1), n),
        "f1_macro": divide(f1.sum(axis=-1), occurs.sum(axis=-1)),
        "majority_rate": divide(n_label.max(axis=-1), n),
    }
    if confusion.shape[-1] > 2:
        return scores
    return scores | {"f1": np.where(occurs[..., 1], f1[..., 1], np.nan)}


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
