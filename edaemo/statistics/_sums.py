"""Compute scores from sums over trials, so that weights and permutations are vectorised.

A dict of sums holds arrays whose leading axes are units (people, folds), draws or permutations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from edaemo.statistics._scores import count_confusion, divide, score_confusion

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
    across : bool, default=True
        Whether to compare trials of different units too. If False, units cannot be added up.

    Returns
    -------
    dict
        Arrays of length n_units. ``wins`` has shape (n_units, n_units): the number of pairs of a 1
        of the first unit and a 0 of the second unit in which the 1 has the higher probability; ties
        count half. Without `across` it has shape (n_units,), for pairs within a unit.
    """
    sums = {"confusion": count_confusion(labels, predicted, unit)}
    if probability is not None:
        sums["wins"] = (_count_wins if across else _count_wins_within)(labels, probability, unit)
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

    Returns
    -------
    dict
        ``confusion``, shape (n_units, n_classes, n_classes). With probabilities also
        ``squared_error``, shape (n_units,), summed over classes (Brier, Monthly Weather Review
        78(1), 1950).
    """
    sums = {"confusion": count_confusion(labels, predicted, unit, n_classes)}
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
        added["wins"] = ((weights @ sums["wins"]) * weights).sum(axis=-1)
    return added


def each(sums: Sums) -> Sums:
    """Return the sums of each unit alone, with the pairs within the unit only."""
    if "wins" not in sums or sums["wins"].ndim == 1:
        return sums
    return sums | {"wins": np.diagonal(sums["wins"])}


def score_classes(sums: Sums) -> dict[str, np.ndarray]:
    """Return the scores of classifications; scores of probabilities are NaN without them."""
    confusion = sums["confusion"]
    scores = score_confusion(confusion)
    n_label = confusion.sum(axis=-1)
    for name, part, total in [
        ("roc_auc", "wins", n_label.prod(axis=-1)),
        ("brier_score", "squared_error", n_label.sum(axis=-1)),
        ("calibration_in_the_large", "excess", n_label.sum(axis=-1)),
    ]:
        scores[name] = divide(sums[part], total) if part in sums else np.full(total.shape, np.nan)
    return scores


def score_many_classes(sums: Sums, recalls: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the scores of three or more classes; `recalls` has the names of the recalls."""
    confusion = sums["confusion"]
    n_label = confusion.sum(axis=-1)
    n = n_label.sum(axis=-1)
    scores = score_confusion(confusion)
    error = (
        divide(sums["squared_error"], n) if "squared_error" in sums else np.full(n.shape, np.nan)
    )
    recall = divide(np.diagonal(confusion, axis1=-2, axis2=-1), n_label)
    of_class = {name: recall[..., i] for i, name in enumerate(recalls)}
    return scores | {"brier_score": error} | of_class


def score_numbers(sums: Sums) -> dict[str, np.ndarray]:
    """Return the scores of numerical predictions; NaN where the denominator is 0."""
    n = sums["n"]
    mean, mean_predicted = divide(sums["true"], n), divide(sums["predicted"], n)
    variance = _variance(divide(sums["true_squared"], n), mean)
    variance_predicted = _variance(divide(sums["predicted_squared"], n), mean_predicted)
    # The covariance with a constant is only a rounding error.
    varies = (variance > 0) & (variance_predicted > 0)
    covariance = np.where(varies, divide(sums["product"], n) - mean * mean_predicted, 0.0)
    scatter = variance + variance_predicted + (mean - mean_predicted) ** 2
    squared = sums["true_squared"] - 2 * sums["product"] + sums["predicted_squared"]
    return {
        "concordance_correlation": divide(2 * covariance, scatter),
        "pearson": divide(covariance, np.sqrt(variance * variance_predicted)),
        "rmse": np.sqrt(divide(np.maximum(squared, 0), n)),
    }


def _variance(mean_square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the variance; 0 if it is only a rounding error."""
    variance = mean_square - mean**2
    return np.where(variance > 1e-13 * mean_square, variance, 0.0)
