"""Compute all scores of out-of-fold predictions: pooled, over people, over folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edaemo._ids import warn_of_near_ids
from edaemo.statistics._crossed import (
    STIMULUS,
    SUBJECT,
    Jackknife,
    PeopleScores,
    inflate_variance,
    limits_of,
)
from edaemo.statistics._predictions import fold_codes, split_cases
from edaemo.statistics._scores import (
    divide,
    draw_people,
    interval_over_people,
    widen,
    widen_by_repeats,
)
from edaemo.statistics._sums import Sums, add_up, compare_within, weigh
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
    repeat: Sequence[Any] | None = None,
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
        Fold in which each trial was tested; different folds of different repeats.
    repeat : sequence of shape (n_trials,) or None, default=None
        Repeat of each prediction, with its folds and seed. None: one repeat.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    DataFrame
        One row for each score, by name: ``accuracy``, ``balanced_accuracy``, ``f1``, ``f1_macro``,
        ``mcc``, ``majority_rate`` (accuracy of always predicting the larger class; over people,
        the larger class of each person), ``roc_auc``, ``brier_score``,
        ``calibration_in_the_large`` (mean probability minus share of 1). The columns are:

        ``pooled``, the score of all trials; ``pooled_low``, ``pooled_high``, its 95 % interval.
        ``over_people``, the mean of the people's scores; ``over_people_low``, ``over_people_high``,
        its 95 % interval; ``n_people``; ``n_people_undefined``, the number of people whose score is
        undefined (balanced accuracy, AUC and MCC of one class, F1 without a 1 in labels and
        predictions) and who are not in the mean. ``over_folds``, the mean of the folds' scores;
        ``over_folds_sd``, ``n_folds``, ``n_folds_undefined``. ``over_repeats_sd``, the standard
        deviation of the pooled score over repeats (NaN with one), and ``n_repeats``.

        The bootstrap for the intervals draws people with replacement, with all their trials. The
        intervals are expanded percentiles (:func:`interval_over_people`). They are NaN if a score
        was undefined in any draw. With several folds, both sides are longer by the square root of
        1 + 2/π for scores of classes and of 2 for scores of numbers, since models of different
        folds share training trials. Repeats of one fixed split are one fold in this sense. With
        several repeats, both sides also hold the spread over repeats (``docs/statistics.md``).

    Raises
    ------
    ValueError
        If lengths differ, labels or predictions are not 0 and 1, or a subject is missing.

    Notes
    -----
    ``docs/statistics.md`` explains each value. Balanced accuracy, MCC and AUC compare trials of the
    same fold only, so that a prediction that is constant in each fold has the score of chance.
    """
    task = Binary()
    outcome = task.read(y_true, y_pred, probability)
    return Scores(
        task, outcome, subject, fold=fold, repeat=repeat, random_state=random_state
    ).summary


def regression_summary(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence[Any],
    fold: Sequence[Any] | None = None,
    repeat: Sequence[Any] | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Summarise out-of-fold predictions of numbers: each score pooled, over people, over folds.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
        Ratings and predictions, in the same unit.
    subject, fold, repeat : sequence of shape (n_trials,)
        As in :func:`classification_summary`.
    random_state : int, default=0
        As in :func:`classification_summary`.

    Returns
    -------
    DataFrame
        Columns as in :func:`classification_summary`, rows ``concordance_correlation``,
        ``pearson`` and ``rmse`` (in the unit of the ratings). The correlations use deviations from
        the means of the folds. The concordance correlation of a
        person or fold is undefined if all its ratings and predictions are the same number.
        Pearson's correlation is undefined if the ratings or the predictions do not vary.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, or a subject is missing.
    """
    task = Regression()
    outcome = task.read(y_true, y_pred)
    return Scores(
        task, outcome, subject, fold=fold, repeat=repeat, random_state=random_state
    ).summary


def summarise_predictions(predictions: pd.DataFrame, *, random_state: int = 0) -> pd.DataFrame:
    """Summarise every pipeline of a table of predictions.

    Parameters
    ----------
    predictions : DataFrame
        Table of :func:`load_predictions`; ``pipeline``, ``subject``, ``label`` and ``predicted``
        are enough. ``covers`` (``subject``, ``stimulus`` or ``subject+stimulus``) states what the
        intervals cover. Without this column they cover people.
    random_state : int, default=0
        As in :func:`classification_summary`; all pipelines share the same draws of people.

    Returns
    -------
    DataFrame
        One row for each case, pipeline and score: these columns, then those of
        :func:`classification_summary`. The scores depend on the task. Two classes: as in
        :func:`classification_summary`. More than two classes: ``accuracy``, ``balanced_accuracy``,
        ``f1_macro``, ``majority_rate``, ``roc_auc``, ``brier_score`` (summed over classes) and
        ``recall_…`` of each class. Numbers: as in :func:`regression_summary`. Series: the same
        scores over all concatenated steps, and ``…_per_sequence``, the mean of the scores of the
        sequences. Intervals that cover stimuli are those of a jackknife over people and stimuli,
        or over stimuli (``docs/statistics.md``).

    Raises
    ------
    ValueError
        If a column or a stimulus is missing, or ``covers`` is invalid.

    See Also
    --------
    compare_pipelines : Differences between pipelines.
    permutation_tests : Tests against chance over people.
    edaemo.evaluation.load_predictions : The predictions of a store.

    Examples
    --------
    >>> from edaemo.benchmark import summarise_predictions
    >>> predictions = pd.DataFrame(
    ...     {
    ...         "pipeline": "mine",
    ...         "subject": ["a"] * 4 + ["b"] * 4,
    ...         "label": [0, 1] * 4,
    ...         "predicted": [0, 1, 0, 1, 0, 1, 1, 0],
    ...     }
    ... )
    >>> table = summarise_predictions(predictions)
    >>> table.set_index("score").loc[["accuracy", "mcc"], "pooled"].to_list()
    [0.75, 0.5]
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


def score_people(task: Task, trials: pd.DataFrame) -> PeopleScores:
    """Return each person's tested score of one pipeline, as `Scores.people` does.

    Parameters
    ----------
    task : Task
        The task of the target.
    trials : DataFrame
        Rows of a table of predictions.

    Returns
    -------
    PeopleScores
        The score ``task.tested`` of each person, for tests against another pipeline.
    """
    outcome, subject, folds = _read(task, trials), trials["subject"].to_numpy(), fold_codes(trials)
    units = number_units(subject, len(trials), "subject")
    scores = score_units(task, outcome, units, folds)[task.tested]
    stimulus, covers = trials.get("stimulus"), find_covers(trials)
    several = has_several_parts(folds, trials.get("repeat"), subject)
    return PeopleScores(
        task.tested,
        pd.Series(scores, index=pd.unique(pd.Series(subject, dtype=object))),
        make_jackknife(task, outcome, subject, stimulus, covers, folds, several),
    )


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
    return Scores(
        task,
        _read(task, trials),
        trials["subject"].to_numpy(),
        fold=fold_codes(trials),
        repeat=trials.get("repeat"),
        stimulus=trials.get("stimulus"),
        covers=find_covers(trials),
        random_state=random_state,
    )


def find_covers(trials: pd.DataFrame) -> tuple[str, ...]:
    """Return what intervals and tests cover, "subject" and "stimulus", from a table's ``covers``.

    Trials without stimuli have no stimuli to cover. Without the column, only people are covered.
    """
    given = trials["covers"].unique() if "covers" in trials else [SUBJECT]
    covers = tuple(str(given[0]).split("+"))
    if len(given) > 1 or not {SUBJECT, STIMULUS}.issuperset(covers):
        raise ValueError(
            f"The column covers of one case must be 'subject', 'stimulus' or 'subject+stimulus' in "
            f"all rows, got {list(given)}."
        )
    if "stimulus" not in trials or trials["stimulus"].isna().all():
        return (SUBJECT,)
    return covers


def make_jackknife(
    task: Task,
    outcome: Outcome,
    subject: Sequence[Any] | np.ndarray,
    stimulus: Sequence[Any] | np.ndarray | None,
    covers: Sequence[str],
    folds: np.ndarray | None,
    cross_validated: bool,
) -> Jackknife | None:
    """Return the scores without each person and stimulus; None if only people are covered."""
    if STIMULUS not in covers:
        return None
    if stimulus is None:
        raise ValueError(f"covers={covers!r} needs the stimulus of each trial.")
    number_units(stimulus, len(outcome.labels), STIMULUS)
    ids = {SUBJECT: subject, STIMULUS: np.asarray(stimulus, dtype=object)}
    return Jackknife(task, outcome, ids, covers, folds=folds, cross_validated=cross_validated)


def has_several_parts(
    folds: np.ndarray | None,
    repeat: Sequence[Any] | np.ndarray | pd.Series | None,
    subject: Sequence[Any] | np.ndarray | pd.Series,
) -> bool:
    """Return whether models of different folds were tested on different trials.

    If all folds have the same test trials, as in repeats of one fixed split, no test trial trains
    another model. With one fold in each repeat, test trials are the same if each person has equally
    many.
    """
    n_folds = 1 if folds is None else int(folds.max()) + 1
    if folds is None or n_folds == 1:
        return False
    if repeat is None or n_folds > len(pd.unique(pd.Series(repeat))):
        return True
    n_trials = pd.crosstab(folds, pd.factorize(pd.Series(subject))[0]).to_numpy()
    return bool((n_trials != n_trials[0]).any())


def _read(task: Task, trials: pd.DataFrame) -> Outcome:
    return task.read(
        trials["label"],
        trials["predicted"],
        trials.get("probability"),
        decision=trials.get("decision"),
    )


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


def number_units(
    unit: Sequence[Any] | np.ndarray | pd.Series, n_trials: int, name: str, *, sort: bool = False
) -> np.ndarray:
    """Return codes of people or folds from 0, by first appearance or sorted by id.

    Missing ids are an error, and nearly equal ids of people are named in a warning.
    """
    codes, _ = pd.factorize(pd.Series(unit, dtype=object), sort=sort)
    if len(codes) != n_trials:
        raise ValueError(
            f"{name} must have one id for each of {n_trials} trials, got {len(codes)}."
        )
    if (codes < 0).any():
        raise ValueError(f"{name} is missing for {np.sum(codes < 0)} of {n_trials} trials.")
    if name == "subject":
        warn_of_near_ids(name, unit)
    return codes


def score_units(
    task: Task, outcome: Outcome, units: np.ndarray, folds: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compute the scores of each person or other unit; trials are compared within folds only.

    Parameters
    ----------
    task : Task
    outcome : Outcome
    units, folds : ndarray of int, shape (n_trials,)
        Unit and fold of each trial, from 0. None: all trials are of one fold.

    Returns
    -------
    dict
        Arrays of length n_units.
    """
    n_folds = 1 if folds is None else folds.max() + 1
    strata, stratum = np.unique(
        units * n_folds + (0 if folds is None else folds), return_inverse=True
    )
    sums = compare_within(task.sum_up(outcome, stratum, False))
    return task.score(add_up(sums, strata // n_folds, units.max() + 1))


def _add_folds(
    task: Task,
    outcome: Outcome,
    subjects: np.ndarray,
    folds: np.ndarray | None,
    weights: np.ndarray,
) -> Sums:
    """Return the sums over all folds, for each draw of people, shape (n_draws, n_people)."""
    folds = np.zeros(len(subjects), int) if folds is None else folds
    order = np.argsort(folds, kind="stable")
    added: Sums = {}
    for rows in np.split(order, np.cumsum(np.bincount(folds))[:-1]):
        people, person = np.unique(subjects[rows], return_inverse=True)
        sums = task.sum_up(outcome.take(rows), person, True)
        drawn = compare_within(weigh(sums, weights[:, people]))
        added = {name: added.get(name, 0) + values for name, values in drawn.items()}
    return added


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
    repeat : sequence of shape (n_trials,) or None, default=None
        Repeat in which each trial was predicted.
    stimulus : sequence of shape (n_trials,) or None, default=None
        Stimulus of each trial.
    covers : sequence of {"subject", "stimulus"}, default=("subject",)
        What intervals and tests cover. With "stimulus", intervals are those of the jackknife
        (`LeftOut.spread`) in place of the bootstrap.
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
        repeat: Sequence[Any] | np.ndarray | pd.Series | None = None,
        stimulus: Sequence[Any] | np.ndarray | None = None,
        covers: Sequence[str] = (SUBJECT,),
        random_state: int = 0,
    ) -> None:
        n_trials = len(outcome.labels)
        subjects = number_units(subject, n_trials, "subject")
        folds = None if fold is None else number_units(fold, n_trials, "fold")
        self.task = task
        self._subjects = pd.unique(pd.Series(subject, dtype=object))
        self._n_people = len(self._subjects)
        self._drawn = draw_people(self._n_people, random_state)
        self.cross_validated: bool = has_several_parts(folds, repeat, subject)
        self._jackknife = make_jackknife(
            task, outcome, subject, stimulus, covers, folds, self.cross_validated
        )
        weights = np.ones((1, self._n_people))
        if self._jackknife is None:
            weights = np.vstack([weights, self._drawn])
        self._of_people = score_units(task, outcome, subjects, folds)
        of_all = task.score(_add_folds(task, outcome, subjects, folds, weights))
        self._pooled = {name: values[:1] for name, values in of_all.items()}
        self._draws = {name: values[1:] for name, values in of_all.items()}
        self._of_folds: dict[str, np.ndarray] = {}
        if folds is not None:
            self._of_folds = score_units(task, outcome, folds)
        repeats = np.zeros(n_trials, int)
        if repeat is not None:
            repeats = number_units(repeat, n_trials, "repeat")
        self._n_repeats = int(repeats.max()) + 1
        self._of_repeats: dict[str, np.ndarray] = {}
        self._people_of_repeats: dict[str, np.ndarray] = {}
        if self._n_repeats > 1:
            self._of_repeats = score_units(task, outcome, repeats, folds)
            units = np.unique(repeats * self._n_people + subjects, return_inverse=True)
            of_people = score_units(task, outcome, units[1], folds)
            self._people_of_repeats = {
                name: _average_by(units[0] // self._n_people, values)
                for name, values in of_people.items()
            }

    @property
    def by_person(self) -> pd.Series:
        """Return each person's value of the tested score, by id in the order of appearance."""
        return pd.Series(self._of_people[self.task.tested], index=self._subjects)

    @property
    def people(self) -> PeopleScores:
        """Return each person's value of the tested score, for tests against another pipeline."""
        return PeopleScores(self.task.tested, self.by_person, self._jackknife)

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
        row[f"{self.task.tested_column}_sd"] = _deviate(
            self._people_of_repeats.get(self.task.tested, np.empty(0))
        )
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
                "over_repeats_sd": _deviate(self._of_repeats.get(score, np.empty(0))),
                "n_repeats": self._n_repeats,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")

    def _over_trials(self, score: str, zero: bool = False) -> tuple[float, float, float]:
        """Return a score of all trials and its interval; with `zero`, undefined scores are 0."""
        pooled, draws = self._pooled[score], self._draws[score]
        if zero:
            pooled, draws = np.nan_to_num(pooled), np.nan_to_num(draws)
        if self._jackknife is not None:
            interval = self._jackknife.pooled(score, zero=zero).interval(*limits_of(score))
        else:
            interval = self._interval(score, pooled[0], draws)
        of_repeats = self._of_repeats.get(score, np.empty(0))
        of_repeats = np.nan_to_num(of_repeats) if zero else of_repeats
        return pooled[0], *widen_by_repeats(pooled[0], interval, of_repeats, limits_of(score))

    def _over_people(self, score: str) -> tuple[float, float, float]:
        """Return the mean of people's scores and its interval."""
        people = self._of_people[score]
        mean = average(people, np.ones((1, self._n_people)))[0]
        if self._jackknife is not None:
            interval = self._jackknife.over_people(score).interval(*limits_of(score))
        else:
            interval = self._interval(score, mean, average(people, self._drawn))
        of_repeats = self._people_of_repeats.get(score, np.empty(0))
        return mean, *widen_by_repeats(mean, interval, of_repeats, limits_of(score))

    def _interval(self, score: str, estimate: float, draws: np.ndarray) -> tuple[float, float]:
        """Return the interval over people."""
        interval = interval_over_people(draws, self._n_people)
        if not self.cross_validated:
            return interval
        return widen(estimate, interval, inflate_variance(score) ** 0.5, limits_of(score))


def _name(prefix: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((prefix + end for end in ENDS), values, strict=True))


def _average_by(group: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the mean of the defined scores of each group."""
    defined = ~np.isnan(scores)
    totals = np.bincount(group, np.where(defined, scores, 0.0))
    return divide(totals, np.bincount(group, defined))


def _deviate(of_repeats: np.ndarray) -> float:
    """Return the standard deviation over repeats; NaN with fewer than two."""
    return float(of_repeats.std(ddof=1)) if len(of_repeats) > 1 else np.nan


def average(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of defined scores, weighted by `weights` of shape (n_draws, n_units)."""
    defined = ~np.isnan(scores)
    return divide(weights @ np.where(defined, scores, 0.0), weights @ defined)
