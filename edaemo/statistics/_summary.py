"""Compute all scores of out-of-fold predictions: pooled, over people, over folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edaemo.statistics._predictions import fold_codes, split_cases
from edaemo.statistics._scores import divide, draw_people, interval_over_people
from edaemo.statistics._sums import each, weigh
from edaemo.statistics._tasks import (
    OVER_PEOPLE,
    POOLED,
    Binary,
    Outcome,
    Regression,
    Task,
    find_task,
)

ENDS = ("", "_low", "_high")


def classification_summary(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence[Any],
    probability: ArrayLike | None = None,
    fold: Sequence[Any] | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Summarise binary out-of-fold predictions: each score pooled, over people, over folds.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
        Labels and predicted classes, 0 and 1; 1 is the positive class. If trials were predicted in
        several repeats, all predictions have the same weight.
    subject : sequence of shape (n_trials,)
        Subject of each trial.
    probability : array-like of shape (n_trials,) or None, default=None
        Predicted probability of 1. If it is None, or has any NaN, the scores of probabilities are
        NaN.
    fold : sequence of shape (n_trials,) or None, default=None
        Fold in which each trial was tested.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    DataFrame
        One row for each score, by name: ``accuracy``, ``balanced_accuracy``, ``f1``, ``f1_macro``,
        ``mcc``, ``majority_rate`` (accuracy of always predicting the larger class; over people,
        the larger class of each person), ``roc_auc``, ``brier_score``,
        ``calibration_in_the_large`` (mean probability minus share of 1). The columns are:

        ``pooled``, the score of all trials together; ``pooled_low``, ``pooled_high``, its 95 %
        interval. ``over_people``, the mean of the people's scores; ``over_people_low``,
        ``over_people_high``, its 95 % interval; ``n_people``; ``n_people_undefined``, the number of
        people whose score is undefined (AUC and MCC of one class, F1 without a 1 in labels and
        predictions) and who are not in the mean. ``over_folds``, the mean of the folds' scores;
        ``over_folds_sd``, ``n_folds``, ``n_folds_undefined``.

        The bootstrap for the intervals draws people with replacement, with all their trials. The
        intervals are expanded percentiles (:func:`interval_over_people`). They are NaN if a score
        was undefined in any draw.

    Raises
    ------
    ValueError
        If lengths differ, labels or predictions are not 0 and 1, or a subject is missing.

    Notes
    -----
    ``docs/statistics.md`` explains each value. The pooled AUC compares trials of different folds,
    but the probabilities of different models may have different scales. The mean over folds does
    not compare across folds. Neither does the mean over people if people are held out, since each
    person is then tested in one fold.
    """
    task = Binary()
    outcome = task.read(y_true, y_pred, probability)
    return Scores(task, outcome, subject, fold=fold, random_state=random_state).summary


def regression_summary(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence[Any],
    fold: Sequence[Any] | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Summarise out-of-fold predictions of numbers: each score pooled, over people, over folds.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
        Ratings and predictions, in the same unit.
    subject, fold : sequence of shape (n_trials,)
        As in :func:`classification_summary`.
    random_state : int, default=0
        As in :func:`classification_summary`.

    Returns
    -------
    DataFrame
        Columns as in :func:`classification_summary`, rows ``concordance_correlation``,
        ``pearson`` and ``rmse`` (in the unit of the ratings). The concordance correlation of a
        person or fold is undefined if all its ratings and predictions are the same number.
        Pearson's correlation is undefined if the ratings or the predictions do not vary.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, or a subject is missing.
    """
    task = Regression()
    outcome = task.read(y_true, y_pred)
    return Scores(task, outcome, subject, fold=fold, random_state=random_state).summary


def summarise_predictions(predictions: pd.DataFrame, *, random_state: int = 0) -> pd.DataFrame:
    """Summarise every pipeline of a table of predictions.

    Parameters
    ----------
    predictions : DataFrame
        Table of :func:`load_predictions`; ``pipeline``, ``subject``, ``label`` and ``predicted``
        are enough.
    random_state : int, default=0
        As in :func:`classification_summary`; all pipelines share the same draws of people.

    Returns
    -------
    DataFrame
        One row for each case, pipeline and score: these columns, then those of
        :func:`classification_summary`. The scores depend on the task. Two classes: as in
        :func:`classification_summary`. More than two classes: ``accuracy``, ``balanced_accuracy``,
        ``f1_macro``, ``majority_rate``, ``brier_score`` (summed over classes) and ``recall_…`` of
        each class. Numbers: as in :func:`regression_summary`. Series: the same scores over all
        concatenated steps, and ``…_per_sequence``, the mean of the scores of the sequences.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    tables = []
    for case, by_pipeline in split_cases(predictions):
        task = find_task(list(by_pipeline.values()))
        scores = {
            pipeline: score_trials(task, trials, random_state)
            for pipeline, trials in by_pipeline.items()
        }
        tables.append(tabulate_scores(case, scores))
    return pd.concat(tables, ignore_index=True)


def score_trials(task: Task, trials: pd.DataFrame, random_state: int = 0) -> Scores:
    """Return the scores of one pipeline, from its rows of a table of predictions.

    Parameters
    ----------
    task : Task
        The task of the target.
    trials : DataFrame
        Rows of a table of predictions.
    random_state : int, default=0
        Seed of the draws of people.

    Returns
    -------
    Scores
        The scores of these rows.
    """
    outcome = task.read(trials["label"], trials["predicted"], trials.get("probability"))
    subject, fold = trials["subject"].to_numpy(), fold_codes(trials)
    return Scores(task, outcome, subject, fold=fold, random_state=random_state)


def tabulate_scores(case: dict[str, Any], scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Concatenate the summaries of all pipelines of a case.

    Parameters
    ----------
    case : dict of str to object
        Columns of the case, with their values.
    scores : mapping of str to Scores
        Scores by pipeline.

    Returns
    -------
    DataFrame
        One row for each pipeline and score; see :func:`summarise_predictions`.
    """
    tables = []
    for pipeline, scored in scores.items():
        table = scored.summary.reset_index()
        about = pd.DataFrame([{**case, "pipeline": pipeline}] * len(table))
        tables.append(pd.concat([about, table], axis=1))
    return pd.concat(tables, ignore_index=True)


def number_units(unit: Sequence[Any] | np.ndarray, n_trials: int, name: str) -> np.ndarray:
    """Return codes of people or folds from 0, by first appearance; raise for missing ids."""
    codes, _ = pd.factorize(pd.Series(unit, dtype=object), sort=False)
    if len(codes) != n_trials:
        raise ValueError(
            f"{name} must have one id for each of {n_trials} trials, got {len(codes)}."
        )
    if (codes < 0).any():
        raise ValueError(f"{name} is missing for {np.sum(codes < 0)} of {n_trials} trials.")
    return codes


class Scores:
    """The scores of one pipeline's predictions: pooled, for draws of people, for each person.

    All scores are computed once; `summary`, `columns` and `by_person` select from them.

    Parameters
    ----------
    task : Task
        The task of the target.
    outcome : Outcome
        Labels and predictions, as returned by `task.read`.
    subject, fold : sequence of shape (n_trials,)
        As in :func:`classification_summary`.
    random_state : int, default=0
        As in :func:`classification_summary`.
    """

    def __init__(
        self,
        task: Task,
        outcome: Outcome,
        subject: Sequence[Any] | np.ndarray,
        *,
        fold: Sequence[Any] | np.ndarray | None = None,
        random_state: int = 0,
    ) -> None:
        n_trials = len(outcome.labels)
        sums = task.sum_up(outcome, number_units(subject, n_trials, "subject"), True)
        self.task = task
        self._subjects = pd.unique(pd.Series(subject, dtype=object))
        self._n_people = len(self._subjects)
        self._drawn = draw_people(self._n_people, random_state)
        self._of_people = task.score(each(sums))
        self._pooled = task.score(weigh(sums, np.ones((1, self._n_people))))
        self._draws = task.score(weigh(sums, self._drawn))
        self._of_folds: dict[str, np.ndarray] = {}
        if fold is not None:
            folds = number_units(fold, n_trials, "fold")
            self._of_folds = task.score(each(task.sum_up(outcome, folds, False)))

    @property
    def by_person(self) -> pd.Series:
        """Return each person's value of the tested score, by id in the order of appearance."""
        return pd.Series(self._of_people[self.task.tested], index=self._subjects)

    @property
    def columns(self) -> dict[str, float]:
        """Return the score columns of the table that ``evaluate`` returns."""
        row: dict[str, float] = {}
        for column, (score, average_over) in self.task.columns.items():
            if average_over == OVER_PEOPLE:
                values = self._over_people(score)
            else:
                values = self._over_trials(score, score in self.task.zero)
            names = (column + end for end in ENDS)
            row |= dict(zip(names, map(float, values), strict=True))
        return row

    @property
    def summary(self) -> pd.DataFrame:
        """Return one row for each score of the task; see :func:`classification_summary`."""
        rows = {}
        for score in self.task.scores:
            folds = self._of_folds.get(score, np.empty(0))
            defined = folds[~np.isnan(folds)]
            rows[score] = {
                **_name(POOLED, self._over_trials(score)),
                **_name(OVER_PEOPLE, self._over_people(score)),
                "n_people": self._n_people,
                "n_people_undefined": np.isnan(self._of_people[score]).sum(),
                "over_folds": defined.mean() if len(defined) else np.nan,
                "over_folds_sd": defined.std(ddof=1) if len(defined) > 1 else np.nan,
                "n_folds": len(folds),
                "n_folds_undefined": np.isnan(folds).sum(),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")

    def _over_trials(self, score: str, zero: bool = False) -> tuple[float, float, float]:
        """Return a score of all trials and its interval; with `zero`, undefined scores are 0."""
        pooled, draws = self._pooled[score], self._draws[score]
        if zero:
            pooled, draws = np.nan_to_num(pooled), np.nan_to_num(draws)
        return pooled[0], *interval_over_people(draws, self._n_people)

    def _over_people(self, score: str) -> tuple[float, float, float]:
        """Return the mean of people's scores and its interval."""
        people = self._of_people[score]
        draws = average(people, self._drawn)
        mean = average(people, np.ones((1, self._n_people)))[0]
        return mean, *interval_over_people(draws, self._n_people)


def _name(prefix: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((prefix + end for end in ENDS), values, strict=True))


def average(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of defined scores, weighted by `weights` of shape (n_draws, n_units)."""
    defined = ~np.isnan(scores)
    return divide(weights @ np.where(defined, scores, 0.0), weights @ defined)
