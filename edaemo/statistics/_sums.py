"""Compute scores from sums over trials, so that weights and permutations are vectorised.

A dict of sums holds arrays whose leading axes are units (people, folds), draws or permutations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from edaemo.statistics._scores import (
    count_confusion,
    divide,
    pair_trials,
    score_confusion,
    score_pairs,
)

Sums = dict[str, np.ndarray]

OF_CLASSES = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "mcc", "majority_rate")
OF_PROBABILITIES = ("roc_auc", "brier_score", "calibration_in_the_large")
OF_NUMBERS = ("concordance_correlation", "pearson", "rmse")


def sum_classes(
    labels: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray | None,
    unit: np.ndarray,
    *,
    decision: np.ndarray | None = None,
    across: bool = True,
) -> Sums:
    """Compute the sums of binary classifications by unit.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n_trials,)
        0 or 1.
    probability : ndarray of shape (n_trials,) or None
        Predicted probability of 1, or None.
    unit : ndarray of int, shape (n_trials,)
        Unit of each trial, from 0 to n_units − 1; each unit has at least one trial.
    decision : ndarray of shape (n_trials,) or None, default=None
        Decision values, which order the trials without probabilities.
    across : bool, default=True
        Whether to compare trials of different units too. If False, units cannot be added up.

    Returns
    -------
    dict
        Arrays of length n_units. ``wins`` has shape (n_units, n_units): the number of pairs of a 1
        of the first unit and a 0 of the second unit in which the 1 has the higher probability (or
        decision value); ties count half. Without `across` it has shape (n_units,), for pairs within
        a unit.
    """
    sums = {"confusion": count_confusion(labels, predicted, unit)}
    order = decision if probability is None else probability
    if order is not None:
        sums["wins"] = (_count_wins if across else _count_wins_within)(labels, order, unit)
    if probability is not None:
        sums["squared_error"] = np.bincount(unit, (probability - labels) ** 2)
        sums["excess"] = np.bincount(unit, probability - labels)
    return sums


def _count_wins(labels: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> np.ndarray:
    high = np.flatnonzero(labels == 1)
    high = high[np.argsort(probability[high])]  # sorted queries are faster in searchsorted
    unit_of_high, of_high = unit[high], probability[high]
    low = np.flatnonzero(labels != 1)
    low = low[np.lexsort((probability[low], unit[low]))]
    n_units = unit.max() + 1
    ends = np.cumsum(np.bincount(unit[low], minlength=n_units))
    wins = np.zeros((n_units, n_units))
    for other, of_low in enumerate(np.split(probability[low], ends[:-1])):
        below = np.searchsorted(of_low, of_high, "left") + np.searchsorted(of_low, of_high, "right")
        wins[:, other] = np.bincount(unit_of_high, below / 2, minlength=n_units)
    return wins


def _count_wins_within(labels: np.ndarray, probability: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Count wins within each unit: the rank sum of its 1s minus the smallest such sum."""
    level = np.unique(probability, return_inverse=True)[1]
    ranks = rankdata(unit * (level.max() + 1) + level)  # unit by unit
    n, n_high = np.bincount(unit), np.bincount(unit, labels)
    before = np.cumsum(n) - n
    return np.bincount(unit, ranks * labels) - n_high * before - n_high * (n_high + 1) / 2


def sum_many_classes(
    labels: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray | None,
    unit: np.ndarray,
    n_classes: int,
    *,
    decision: np.ndarray | None = None,
    across: bool = True,
) -> Sums:
    """Compute the sums of classifications into three or more classes by unit.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n_trials,)
        From 0 to n_classes − 1.
    probability : ndarray of shape (n_trials, n_classes) or None
    unit : ndarray of int, shape (n_trials,)
        Unit of each trial, from 0 to n_units − 1; each unit has at least one trial.
    n_classes : int
    decision : ndarray of shape (n_trials, n_classes) or None, default=None
    across : bool, default=True
        As in `sum_classes`.

    Returns
    -------
    dict
        ``confusion``, shape (n_units, n_classes, n_classes). With probabilities also
        ``squared_error``, shape (n_units,), summed over classes (Brier, Monthly Weather Review
        78(1), 1950). With probabilities or decision values also ``wins``, as in `sum_classes` with
        a last axis for the classes, each against all others.
    """
    sums = {"confusion": count_confusion(labels, predicted, unit, n_classes)}
    order = decision if probability is None else probability
    if order is not None:
        count = _count_wins if across else _count_wins_within
        of_class = [count((labels == i).astype(int), order[:, i], unit) for i in range(n_classes)]
        sums["wins"] = np.stack(of_class, axis=-1)
    if probability is not None:
        wrong = probability - np.eye(n_classes)[labels]
        sums["squared_error"] = np.bincount(unit, (wrong**2).sum(axis=1))
    return sums


def sum_numbers(y_true: np.ndarray, y_pred: np.ndarray, unit: np.ndarray, n_units: int = 0) -> Sums:
    """Compute the sums of numerical predictions by unit.

    The mean of `y_true` is subtracted from labels and predictions, for precision. All sums of a
    unit without numbers are 0. `n_units` is the minimum number of units.
    """
    centre = y_true.mean()
    true, predicted = y_true - centre, y_pred - centre

    def add_up(values: np.ndarray | None) -> np.ndarray:
        return np.bincount(unit, values, minlength=n_units)

    return {
        "n": add_up(None).astype(float),
        "true": add_up(true),
        "predicted": add_up(predicted),
        "true_squared": add_up(true**2),
        "predicted_squared": add_up(predicted**2),
        "product": add_up(true * predicted),
    }


def sum_series(y_true: np.ndarray, y_pred: np.ndarray, trial: np.ndarray, unit: np.ndarray) -> Sums:
    """Compute the sums of predicted series by unit, over steps and over series.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_steps,)
        All steps that are not masked, series by series.
    trial : ndarray of int, shape (n_steps,)
        Number of the series of each step, from 0 to n_trials − 1.
    unit : ndarray of int, shape (n_trials,)
        Unit of each trial, from 0 to n_units − 1; each unit has at least one trial.

    Returns
    -------
    dict
        The sums of `sum_numbers` over steps. For each score also ``…_sum``, its sum over the
        series in which it is defined, and ``…_n``, the number of these series.
    """
    sums = sum_numbers(y_true, y_pred, unit[trial], unit.max() + 1)
    of_series = score_numbers(sum_numbers(y_true, y_pred, trial, len(unit)))
    for name in OF_NUMBERS:
        defined = ~np.isnan(of_series[name])
        sums[f"{name}_sum"] = np.bincount(unit, np.where(defined, of_series[name], 0.0))
        sums[f"{name}_n"] = np.bincount(unit, defined)
    return sums


def weigh(sums: Sums, weights: np.ndarray) -> Sums:
    """Return the sums over units, weighted by `weights` of shape (n_draws, n_units)."""
    weights = np.asarray(weights, dtype=float)
    added = {
        name: np.tensordot(weights, of_unit, axes=1)
        for name, of_unit in sums.items()
        if name != "wins"
    }
    if "wins" in sums:
        partly = np.tensordot(weights, sums["wins"], axes=1)
        added["wins"] = np.einsum("dp...,dp->d...", partly, weights)
    return added


def compare_within(sums: Sums) -> Sums:
    """Return sums of strata that can be added up, with comparisons within each stratum only.

    Scores that compare trials with each other (balanced accuracy, MCC, AUC, concordance, Pearson's
    correlation) compare trials of one stratum, such as a fold: a prediction that is constant in
    each stratum then has the score of chance, also if the constants differ between strata.

    Parameters
    ----------
    sums : dict
        Sums of each stratum alone, with its own pairs only.

    Returns
    -------
    dict
        For classes the counts of `pair_trials` in addition. For numbers ``covariance``,
        ``variance``, ``variance_predicted`` and ``scatter`` (times the number of trials, around the
        means of the stratum) and ``squared``, in place of sums that depend on an origin.
    """
    if "confusion" in sums:
        return sums | pair_trials(sums["confusion"])
    return {name: of_stratum for name, of_stratum in sums.items() if name not in _OF_ORIGIN} | (
        _centre(sums)
    )


def add_up(strata: Sums, group: np.ndarray, n_groups: int) -> Sums:
    """Return the sums of strata by group, from `compare_within`; `group` has shape (n_strata,)."""
    added = {name: np.zeros((n_groups, *of.shape[1:])) for name, of in strata.items()}
    for name, of_stratum in strata.items():
        np.add.at(added[name], group, of_stratum)
    return added


def score_classes(sums: Sums) -> dict[str, np.ndarray]:
    """Return the scores of classifications; scores of probabilities are NaN without them."""
    sums = sums if "pairs" in sums else compare_within(sums)
    n = sums["confusion"].sum(axis=(-2, -1))
    scores = score_confusion(sums["confusion"]) | score_pairs(sums)
    for name, part, total in [
        ("roc_auc", "wins", sums["pairs"][..., 0, 1]),
        ("brier_score", "squared_error", n),
        ("calibration_in_the_large", "excess", n),
    ]:
        scores[name] = divide(sums[part], total) if part in sums else np.full(total.shape, np.nan)
    return scores


def score_many_classes(sums: Sums, recalls: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the scores of three or more classes; `recalls` has the names of the recalls.

    The AUC is the mean over classes of the AUC of a class against all others (macro one-vs-rest);
    a class that no stratum has together with another is left out.
    """
    sums = sums if "pairs" in sums else compare_within(sums)
    confusion = sums["confusion"]
    n_label = confusion.sum(axis=-1)
    n = n_label.sum(axis=-1)
    scores = score_confusion(confusion) | score_pairs(sums)
    scores |= dict.fromkeys(("roc_auc", "brier_score"), np.full(n.shape, np.nan))
    if "squared_error" in sums:
        scores["brier_score"] = divide(sums["squared_error"], n)
    if "wins" in sums:
        against_others = sums["pairs"].sum(axis=-1)
        areas = divide(sums["wins"], against_others, 0.0).sum(axis=-1)
        scores["roc_auc"] = divide(areas, (against_others > 0).sum(axis=-1))
    recall = divide(np.diagonal(confusion, axis1=-2, axis2=-1), n_label)
    return scores | {name: recall[..., i] for i, name in enumerate(recalls)}


def score_numbers(sums: Sums) -> dict[str, np.ndarray]:
    """Return the scores of numerical predictions; NaN where the denominator is 0."""
    sums = sums if "scatter" in sums else compare_within(sums)
    spread = np.sqrt(sums["variance"] * sums["variance_predicted"])
    return {
        "concordance_correlation": divide(2 * sums["covariance"], sums["scatter"]),
        "pearson": divide(sums["covariance"], spread),
        "rmse": np.sqrt(divide(sums["squared"], sums["n"])),
    }


_OF_ORIGIN = ("true", "predicted", "true_squared", "predicted_squared", "product")


def _centre(sums: Sums) -> Sums:
    """Return sums of squares and products around the means of each stratum; 0 without numbers."""
    n = sums["n"]
    mean, mean_predicted = divide(sums["true"], n, 0.0), divide(sums["predicted"], n, 0.0)
    variance = _variance(divide(sums["true_squared"], n, 0.0), mean)
    variance_predicted = _variance(divide(sums["predicted_squared"], n, 0.0), mean_predicted)
    # The covariance with a constant is only a rounding error.
    varies = (variance > 0) & (variance_predicted > 0)
    covariance = divide(sums["product"], n, 0.0) - mean * mean_predicted
    squared = sums["true_squared"] - 2 * sums["product"] + sums["predicted_squared"]
    return {
        "covariance": n * np.where(varies, covariance, 0.0),
        "variance": n * variance,
        "variance_predicted": n * variance_predicted,
        "scatter": n * (variance + variance_predicted + (mean - mean_predicted) ** 2),
        "squared": np.maximum(squared, 0),
    }


def _variance(mean_square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the variance; 0 if it is only a rounding error."""
    variance = mean_square - mean**2
    return np.where(variance > 1e-13 * mean_square, variance, 0.0)
