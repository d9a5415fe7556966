"""Compute the concordance correlation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length


@overload
def concordance_correlation(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: Literal["uniform_average"] = "uniform_average",
    sequence: ArrayLike | None = None,
) -> float: ...


@overload
def concordance_correlation(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: Literal["raw_values"],
    sequence: ArrayLike | None = None,
) -> np.ndarray: ...


def concordance_correlation(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: Literal["uniform_average", "raw_values"] = "uniform_average",
    sequence: ArrayLike | None = None,
) -> float | np.ndarray:
    """Return Lin's concordance correlation coefficient: how close pairs are to the line y = x.

    Unlike Pearson's correlation, it decreases if the predictions are shifted or scaled.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,) or (n_trials, n_outputs)
        Numbers in the same unit. The result does not depend on the order of the arguments.
    sample_weight : array-like of shape (n_trials,) or None, default=None
        Weight of each row, at least 0. A row of weight 2 counts as two rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        With several outputs: "uniform_average" for the mean of their coefficients, "raw_values" for
        the coefficient of each output.
    sequence : array-like of shape (n_trials,) or None, default=None
        Sequence of each row, such as the trial of each step. The coefficient is computed for each
        sequence. The result is the mean over the sequences for which it is defined, weighted by the
        sums of their weights if `sample_weight` is given. None: all rows are one sequence.

    Returns
    -------
    float, or ndarray of shape (n_outputs,)
        2 cov / (var + var + (difference of the means)²), in [-1, 1], with moments that divide by n
        (Lin, Biometrics 45(1), 1989, p. 258). NaN if both are the same constant.

    Raises
    ------
    ValueError
        If lengths differ, there are 0 trials, a value is not finite, or all weights are 0.

    Examples
    --------
    >>> round(concordance_correlation([1, 2, 3], [1, 2, 3]), 3)
    1.0
    >>> round(concordance_correlation([1, 2, 3], [2, 3, 4]), 3)  # Pearson's is 1
    0.571
    >>> true, predicted, trial = [1, 2, 3, 1, 2, 3], [1, 2, 3, 2, 3, 4], [0, 0, 0, 1, 1, 1]
    >>> round(concordance_correlation(true, predicted, sequence=trial), 3)
    0.786
    """
    true, predicted = (
        check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
        for values, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    )
    check_consistent_length(true, predicted)
    if true.shape != predicted.shape or true.ndim > 2:
        raise ValueError(
            "y_true and y_pred must have the shape (n_trials,) or (n_trials, n_outputs), got "
            f"{true.shape} and {predicted.shape}."
        )
    if multioutput not in ("uniform_average", "raw_values"):
        raise ValueError(
            f"multioutput must be 'uniform_average' or 'raw_values', got {multioutput!r}."
        )
    weight = _check_weight(sample_weight, len(true))
    codes = np.zeros(len(true), dtype=np.intp)
    if sequence is not None:
        check_consistent_length(true, sequence)
        codes = np.unique(np.asarray(sequence), return_inverse=True)[1]
    columns = [part.reshape(len(true), -1).T for part in (true, predicted)]
    weighted = sample_weight is not None
    values = np.array(
        [_mean_over_sequences(x, y, weight, codes, weighted) for x, y in zip(*columns, strict=True)]
    )
    return values if multioutput == "raw_values" else float(values.mean())


def _check_weight(sample_weight: ArrayLike | None, n: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (n,) or (weight < 0).any() or not weight.any():
        raise ValueError(
            f"sample_weight must hold {n} numbers of at least 0 that are not all 0, got an array "
            f"of shape {weight.shape}."
        )
    return weight


def _mean_over_sequences(
    true: np.ndarray, predicted: np.ndarray, weight: np.ndarray, codes: np.ndarray, weighted: bool
) -> float:
    """Return the mean coefficient of the sequences for which it is defined, or NaN."""
    total = np.bincount(codes, weight)
    least = np.where(total > 0, total, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(codes, weight * values) / least

    mean_true, mean_predicted = mean(true), mean(predicted)
    from_true, from_predicted = true - mean_true[codes], predicted - mean_predicted[codes]
    scatter = mean(from_true**2) + mean(from_predicted**2) + (mean_true - mean_predicted) ** 2
    known = (scatter > 0) & (total > 0)
    if not known.any():
        return np.nan
    values = 2 * mean(from_true * from_predicted)[known] / scatter[known]
    return float(np.average(values, weights=total[known] if weighted else None))


def series_concordance(
    y_true: Sequence[ArrayLike] | np.ndarray,
    y_pred: Sequence[ArrayLike] | np.ndarray,
    *,
    sample_weight: ArrayLike | None = None,
    per_sequence: bool = False,
) -> float:
    """Return the concordance correlation of series, of all their steps or of each series.

    Parameters
    ----------
    y_true : sequence of n_trials arrays of shape (n_steps,) or (n_steps, n_targets)
        Labels; NaN where a step has no label. These steps are not used.
    y_pred : sequence of n_trials arrays of the same shapes
        Predictions.
    sample_weight : array-like of shape (n_trials,) or None, default=None
        Weight of each trial. Each of its steps has this weight.
    per_sequence : bool, default=False
        Whether to return the mean of the coefficients of the series. If not, the coefficient is
        that of all steps of all series.

    Returns
    -------
    float
        The coefficient; with several targets, the mean over the targets.

    Raises
    ------
    ValueError
        If numbers of trials or steps differ, a prediction is not finite, or a target has no label.

    Examples
    --------
    >>> series_concordance([[1, 2, 3], [5, 6, float("nan")]], [[1, 2, 3], [5, 6, 7]])
    1.0
    """
    check_consistent_length(y_true, y_pred)
    true, predicted = ([np.asarray(cell, dtype=float) for cell in y] for y in (y_true, y_pred))
    for row, (label, found) in enumerate(zip(true, predicted, strict=True)):
        if label.shape != found.shape:
            raise ValueError(
                f"Trial {row}: y_true has the shape {label.shape}, but y_pred {found.shape}."
            )
    steps = np.array([len(label) for label in true])
    trial = np.repeat(np.arange(len(true)), steps)
    weight = None if sample_weight is None else np.repeat(np.asarray(sample_weight), steps)
    labels, answers = (np.concatenate(y).reshape(len(trial), -1) for y in (true, predicted))
    values = []
    for target, answer in zip(labels.T, answers.T, strict=True):
        known = ~np.isnan(target)
        values.append(
            concordance_correlation(
                target[known],
                answer[known],
                sample_weight=None if weight is None else weight[known],
                sequence=trial[known] if per_sequence else None,
            )
        )
    return float(np.mean(values))
