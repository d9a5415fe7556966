"""Every score of out-of-fold predictions: pooled, over people and over folds, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    return Scores(task, outcome, subject, fold=fold, random_state=random_state).summary


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
    return Scores(task, outcome, subject, fold=fold, random_state=random_state).summary


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
    """Score the predictions of one pipeline of a case, as a table of predictions has them."""
    outcome = task.read(trials["label"], trials["predicted"], trials.get("probability"))
    subject, fold = trials["subject"].to_numpy(), fold_codes(trials)
    return Scores(task, outcome, subject, fold=fold, random_state=random_state)


def tabulate_scores(case: dict, scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Put the summaries of all pipelines of a case under one another."""
    tables = []
    for pipeline, scored in scores.items():
        table = scored.summary.reset_index()
        about = pd.DataFrame([{**case, "pipeline": pipeline}] * len(table))
        tables.append(pd.concat([about, table], axis=1))
    return pd.concat(tables, ignore_index=True)


def number_units(unit: Sequence | np.ndarray, n_trials: int, name: str) -> np.ndarray:
    """Give people or folds numbers from 0, in the order of appearance; refuse missing ones."""
    codes, _ = pd.factorize(pd.Series(unit, dtype=object), sort=False)
    if len(codes) != n_trials:
        raise ValueError(f"{name} must hold one id for each of {n_trials} trials: {len(codes)}.")
    if (codes < 0).any():
        raise ValueError(f"{name} is missing for {np.sum(codes < 0)} of {n_trials} trials.")
    return codes


class Scores:
    """The scores of one pipeline's predictions: of all trials, of draws of people, of each person.

    Everything is computed once, and `summary`, `columns` and `by_person` are made of it.

    Parameters
    ----------
    task : Task
    outcome : Outcome
        As `task` reads it.
    subject, fold, random_state
        As in :func:`classification_summary`.
    """

    def __init__(
        self,
        task: Task,
        outcome: Outcome,
        subject: Sequence | np.ndarray,
        *,
        fold: Sequence | np.ndarray | None = None,
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
        """Give each person's score that tests are about, by id in the order of appearance."""
        return pd.Series(self._of_people[self.task.tested], index=self._subjects)

    @property
    def columns(self) -> dict[str, float]:
        """Give the score columns of the table that ``evaluate`` returns."""
        row: dict[str, float] = {}
        for column, (score, of) in self.task.columns.items():
            if of == OVER_PEOPLE:
                values = self._over_people(score)
            else:
                values = self._over_trials(score, score in self.task.zero)
            names = (column + end for end in ENDS)
            row |= dict(zip(names, map(float, values), strict=True))
        return row

    @property
    def summary(self) -> pd.DataFrame:
        """Give one row for each score of the task; see :func:`classification_summary`."""
        rows = {}
        for score in self.task.scores:
            folds = self._of_folds.get(score, np.empty(0))
            told = folds[~np.isnan(folds)]
            rows[score] = {
                **_name(POOLED, self._over_trials(score)),
                **_name(OVER_PEOPLE, self._over_people(score)),
                "n_people": self._n_people,
                "n_people_undefined": np.isnan(self._of_people[score]).sum(),
                "over_folds": told.mean() if len(told) else np.nan,
                "over_folds_sd": told.std(ddof=1) if len(told) > 1 else np.nan,
                "n_folds": len(folds),
                "n_folds_undefined": np.isnan(folds).sum(),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")

    def _over_trials(self, score: str, zero: bool = False) -> tuple[float, float, float]:
        """Give a score of all trials, with its interval; 0 where undefined if that is asked."""
        pooled, draws = self._pooled[score], self._draws[score]
        if zero:
            pooled, draws = np.nan_to_num(pooled), np.nan_to_num(draws)
        return pooled[0], *interval_over_people(draws, self._n_people)

    def _over_people(self, score: str) -> tuple[float, float, float]:
        """Give the mean of people's scores, with its interval."""
        people = self._of_people[score]
        draws = average(people, self._drawn)
        mean = average(people, np.ones((1, self._n_people)))[0]
        return mean, *interval_over_people(draws, self._n_people)


def _name(of: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((of + end for end in ENDS), values, strict=True))


def average(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average scores that have a value, each as often as `weights` (n_draws, n_units) say."""
    told = ~np.isnan(scores)
    return divide(weights @ np.where(told, scores, 0.0), weights @ told)
