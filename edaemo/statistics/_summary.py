"""Every score of out-of-fold predictions: pooled, over people and over folds, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edaemo.statistics._predictions import fold_codes, split_cases
from edaemo.statistics._scores import divide, draw_people, interval_over_people
from edaemo.statistics._sums import each, weigh
from edaemo.statistics._tasks import Binary, Outcome, Regression, Task, find_task


def classification_summary(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence,
    probability: ArrayLike | None = None,
    fold: Sequence | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Summarise binary out-of-fold predictions: each score pooled, over people, over folds.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
        Labels and predicted classes, 0 and 1; 1 is the positive class. Where trials were predicted
        in several repeats, each counts alike.
    subject : sequence of shape (n_trials,)
        Whose trial each is.
    probability : array-like of shape (n_trials,) or None, default=None
        Predicted probability of 1. None, or NaN anywhere: what needs it is NaN.
    fold : sequence of shape (n_trials,) or None, default=None
        In which fold each trial was tested.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    DataFrame
        One row for each score, by name: ``accuracy``, ``balanced_accuracy``, ``f1``, ``f1_macro``,
        ``mcc``, ``majority_rate`` (what calling everything the larger class gives; over people,
        each one's own larger class), ``roc_auc``, ``brier_score``, ``calibration_in_the_large``
        (mean probability minus share of 1). Its columns:

        ``pooled``, of all trials at once; ``pooled_low``, ``pooled_high``, its 95 % interval.
        ``over_people``, mean of each person's score, ``over_people_low``, ``over_people_high``;
        ``n_people``, and ``n_people_undefined``, whose score has no value (AUC and MCC of one
        class, F1 without a 1 in labels and predictions) and who are not in the mean.
        ``over_folds``, mean of each fold's score, ``over_folds_sd``, ``n_folds``,
        ``n_folds_undefined``.

        Intervals draw people with replacement, all trials of a person together; expanded
        percentiles (:func:`interval_over_people`), NaN if a score was undefined in any draw.

    Raises
    ------
    ValueError
        If lengths differ, labels or predictions are not 0 and 1, a subject is missing.

    Notes
    -----
    ``docs/statistics.md`` says what each figure means. The pooled AUC compares trials of different
    folds, whose models need not agree on the scale of their probabilities; the mean over folds and
    the mean over people (who are tested in one fold where people are held out) do not.
    """
    task = Binary()
    outcome = task.read(y_true, y_pred, probability)
    return summarise_outcome(task, outcome, subject, fold=fold, random_state=random_state)


def regression_summary(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence,
    fold: Sequence | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Summarise out-of-fold predictions of numbers: each score pooled, over people, over folds.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
        Ratings and predictions, in one unit.
    subject, fold, random_state
        As in :func:`classification_summary`.

    Returns
    -------
    DataFrame
        Columns as in :func:`classification_summary`, rows ``concordance_correlation``,
        ``pearson`` and ``rmse`` (in the unit of the ratings). Both correlations are undefined where
        a person's (fold's) ratings and predictions do not vary, Pearson's where either does not.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, a subject is missing.
    """
    task = Regression()
    outcome = task.read(y_true, y_pred)
    return summarise_outcome(task, outcome, subject, fold=fold, random_state=random_state)


def summarise_predictions(predictions: pd.DataFrame, *, random_state: int = 0) -> pd.DataFrame:
    """Summarise every pipeline of a table of predictions.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`load_predictions` gives it; ``pipeline``, ``subject``, ``label`` and ``predicted``
        are enough.
    random_state : int, default=0
        As in :func:`classification_summary`; all pipelines meet the same draws of people.

    Returns
    -------
    DataFrame
        One row for each case, pipeline and score: those columns, then those of
        :func:`classification_summary`. The scores are those of the task: of two classes as there;
        of several ``accuracy``, ``balanced_accuracy``, ``f1_macro``, ``majority_rate``,
        ``brier_score`` (summed over classes) and ``recall_…`` of each class; of numbers as in
        :func:`regression_summary`; of series the same over all steps one after another, and with
        ``…_per_sequence`` the mean over sequences of each one's own score.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    tables = [
        summarise_case(case, by_pipeline, random_state)
        for case, by_pipeline in split_cases(predictions)
    ]
    return pd.concat(tables, ignore_index=True)


def summarise_case(
    case: dict, by_pipeline: dict[str, pd.DataFrame], random_state: int = 0
) -> pd.DataFrame:
    """Do what :func:`summarise_predictions` does for one case."""
    task = find_task(list(by_pipeline.values()))
    tables = []
    for pipeline, trials in by_pipeline.items():
        outcome = task.read(trials["label"], trials["predicted"], trials.get("probability"))
        subject, fold = trials["subject"].to_numpy(), fold_codes(trials)
        table = summarise_outcome(
            task, outcome, subject, fold=fold, random_state=random_state
        ).reset_index()
        about = pd.DataFrame([{**case, "pipeline": pipeline}] * len(table))
        tables.append(pd.concat([about, table], axis=1))
    return pd.concat(tables, ignore_index=True)


def number_units(unit: Sequence, n_trials: int, name: str) -> np.ndarray:
    """Give people or folds numbers from 0, in the order of appearance; refuse missing ones."""
    codes, _ = pd.factorize(pd.Series(unit, dtype=object), sort=False)
    if len(codes) != n_trials:
        raise ValueError(f"{name} must hold one id for each of {n_trials} trials: {len(codes)}.")
    if (codes < 0).any():
        raise ValueError(f"{name} is missing for {np.sum(codes < 0)} of {n_trials} trials.")
    return codes


def summarise_outcome(
    task: Task,
    outcome: Outcome,
    subject: Sequence,
    *,
    fold: Sequence | None = None,
    random_state: int = 0,
    zero: Sequence[str] = (),
) -> pd.DataFrame:
    """Summarise predictions of any task; those of `zero` count as 0 where they are undefined.

    Parameters
    ----------
    task : Task
    outcome : Outcome
        As `task` reads it.
    subject, fold, random_state
        As in :func:`classification_summary`.
    zero : sequence of str, default=()
        Scores that count as 0 in the pooled columns where they are undefined.

    Returns
    -------
    DataFrame
        One row for each score of the task; columns as in :func:`classification_summary`.
    """
    n_trials = len(outcome.labels)
    score = task.score
    sums = task.sum_up(outcome, number_units(subject, n_trials, "subject"), True)
    of_people = score(each(sums))
    n_people = len(next(iter(of_people.values())))
    drawn = draw_people(n_people, random_state)
    pooled, draws = score(weigh(sums, np.ones((1, n_people)))), score(weigh(sums, drawn))
    for name in zero:
        pooled[name], draws[name] = np.nan_to_num(pooled[name]), np.nan_to_num(draws[name])
    of_folds = {}
    if fold is not None:
        folds = number_units(fold, n_trials, "fold")
        of_folds = score(each(task.sum_up(outcome, folds, False)))
    rows = {}
    for name in pooled:
        low, high = interval_over_people(draws[name], n_people)
        people = of_people[name]
        people_low, people_high = interval_over_people(average(people, drawn), n_people)
        folds = of_folds.get(name, np.empty(0))
        told = folds[~np.isnan(folds)]
        rows[name] = {
            "pooled": pooled[name][0],
            "pooled_low": low,
            "pooled_high": high,
            "over_people": average(people, np.ones((1, n_people)))[0],
            "over_people_low": people_low,
            "over_people_high": people_high,
            "n_people": n_people,
            "n_people_undefined": np.isnan(people).sum(),
            "over_folds": told.mean() if len(told) else np.nan,
            "over_folds_sd": told.std(ddof=1) if len(told) > 1 else np.nan,
            "n_folds": len(folds),
            "n_folds_undefined": np.isnan(folds).sum(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("score").loc[list(task.scores)]


def average(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average scores that have a value, each as often as `weights` (n_draws, n_units) say."""
    told = ~np.isnan(scores)
    return divide(weights @ np.where(told, scores, 0.0), weights @ told)
