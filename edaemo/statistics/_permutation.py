"""Test against chance with labels permuted within each person."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.model_selection import permutation_test_score

from edaemo._sklearn import AnyEstimator
from edaemo.statistics._compare import task_with
from edaemo.statistics._crossed import STIMULUS, SUBJECT, Jackknife
from edaemo.statistics._predictions import fold_codes, hashable, split_cases
from edaemo.statistics._scores import adjust_holm, divide
from edaemo.statistics._summary import find_covers, has_several_parts, number_units
from edaemo.statistics._sums import (
    OF_CLASSES,
    OF_NUMBERS,
    OF_PROBABILITIES,
    Sums,
    score_classes,
    score_many_classes,
    score_numbers,
    sum_classes,
    sum_numbers,
)
from edaemo.statistics._tasks import (
    Multiclass,
    Outcome,
    SequenceRegression,
    Task,
    join_steps,
    read_classes,
    read_probability,
)

AVERAGES = ("people", "pooled")
# Scores that a permutation within people cannot change are not testable.
PERMUTABLE = tuple(
    name
    for name in (*OF_CLASSES, *OF_PROBABILITIES, *OF_NUMBERS)
    if name not in ("majority_rate", "calibration_in_the_large")
)
_LOWER_IS_BETTER = ("brier_score", "rmse")
_BLOCK = 1000
_COLUMNS = (
    *("score", "average", "observed", "null_mean", "p_value", "n_permutations"),
    *("n_people", "n_people_undefined", "test"),
)


class PermutationTest(NamedTuple):
    """A score, and its null distribution under permutations of labels within each person.

    Parameters
    ----------
    score : str
        Name of the score.
    average : str
        "people" or "pooled".
    observed : float
        The score of the predictions.
    p_value : float
        (1 + permutations at least as good) / (1 + permutations), one-sided; NaN if the score is
        undefined.
    n_permutations : int
        Number of permutations.
    null : ndarray of shape (n_permutations,)
        The score of each permutation.
    n_people, n_people_undefined : int
        Number of people, and number of people whose score is undefined. The mean over people does
        not include them.
    """

    score: str
    average: str
    observed: float
    p_value: float
    n_permutations: int
    null: np.ndarray
    n_people: int
    n_people_undefined: int


class PermutationRefit(NamedTuple):
    """Score of a pipeline, and its scores after fits to permuted labels.

    Parameters
    ----------
    observed : float
        Mean over folds.
    p_value : float
        (1 + permutations at least as good) / (1 + permutations), one-sided.
    n_permutations : int
        Number of permutations.
    null : ndarray of shape (n_permutations,)
        The score of each permutation.
    """

    observed: float
    p_value: float
    n_permutations: int
    null: np.ndarray


def permutation_test(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence[Any],
    trial: Sequence[Any] | None = None,
    score: str = "balanced_accuracy",
    average: str = "people",
    n_permutations: int = 10_000,
    random_state: int = 0,
) -> PermutationTest:
    """Test whether predictions are better than each person's share of high labels explains.

    Labels are permuted within each person. The out-of-fold predictions do not change, and no model
    is fitted again.

    Parameters
    ----------
    y_true : array-like of shape (n_trials,)
        0 and 1, other classes, numbers, or a series for each trial.
    y_pred : array-like of shape (n_trials,)
        Predicted classes, numbers or series; for ``roc_auc`` and ``brier_score`` the probability
        of 1.
    subject : sequence of shape (n_trials,)
        Subject of each trial.
    trial : sequence of shape (n_trials,) or None, default=None
        Id of each trial, if trials were predicted in several repeats. Rows with the same id always
        get the same label. None if each row is a different trial.
    score : str, default="balanced_accuracy"
        Other scores: ``accuracy``, ``f1``, ``f1_macro``, ``mcc``; ``roc_auc``, ``brier_score``;
        ``concordance_correlation``, ``pearson``, ``rmse``. For three or more classes: ``accuracy``,
        ``balanced_accuracy``, ``f1_macro`` and ``recall_…`` of each class.
    average : {"people", "pooled"}, default="people"
        The mean of people's scores, or the score of all trials together.
    n_permutations : int, default=10_000
        Number of random permutations, in addition to the observed order.
    random_state : int, default=0
        Seed of the permutations.

    Returns
    -------
    PermutationTest
        The score, the scores of the permutations, and p.

    Raises
    ------
    ValueError
        If a name is unknown, lengths differ, a value or an id is missing or invalid, a trial has
        two labels or two people, or some trials were predicted more often than others.

    Notes
    -----
    Each permutation keeps each person's share of high labels, so predictions of this share alone
    are not significant. The test treats the trials of a person as exchangeable. If labels and EDA
    both drift through the session, p may be small for this reason alone; compare with the row
    ``trial-order``. The labels of a series are shifted in a circle instead of permuted. With whole
    people held out and one fold, p is exact (Phipson & Smyth, Statistical Applications in Genetics
    and Molecular Biology 9(1), 2010). With several folds, the training labels of one fold are the
    test labels of another; only :func:`permutation_refit` takes this into account.
    """
    tables = [{"label": _as_column(y_true), "predicted": _as_column(y_pred)}]
    return _test(
        task_with(score, tables),
        y_true,
        y_pred,
        subject=subject,
        trial=trial,
        score=score,
        average=average,
        n_permutations=n_permutations,
        random_state=random_state,
    )


def _as_column(values: ArrayLike) -> pd.Series:
    """Return a Series with one cell for each trial."""
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    values = np.asarray(values) if not isinstance(values, list) else values
    return pd.Series(list(values) if len(np.shape(values[:1])) > 1 else values)


def _test(
    task: Task,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence[Any],
    trial: Sequence[Any] | None,
    score: str,
    average: str,
    n_permutations: int,
    random_state: int,
) -> PermutationTest:
    if score not in PERMUTABLE and not score.startswith("recall_"):
        raise ValueError(
            f"score={score!r} must be one of {list(PERMUTABLE)}, or recall_ and a class."
        )
    if average not in AVERAGES:
        raise ValueError(f"average={average!r} must be one of {list(AVERAGES)}.")
    if not isinstance(n_permutations, Integral) or n_permutations < 1:
        raise ValueError(f"n_permutations={n_permutations!r} must be an integer of at least 1.")
    outcome = _read(task, y_true, y_pred, score)
    subjects = number_units(subject, len(outcome.labels), "subject")
    n_trials = len(outcome.labels)
    which = (
        np.arange(n_trials) if trial is None else _number_trials(trial, subjects, outcome.labels)
    )
    if isinstance(task, SequenceRegression):
        outcome, subjects, which = _take_steps(outcome, subjects, which)
    true, predicted = outcome.labels, outcome.predicted
    if score in OF_NUMBERS:  # for precision
        true, predicted = true - true.mean(), predicted - true.mean()
    people = _by_person(true, _column(task, predicted, subjects, score, average), subjects, which)
    fixed = _fixed_sums(task, true, predicted, subjects, score)
    rng = np.random.default_rng(random_state)
    rearrange = _shift if isinstance(task, SequenceRegression) else _permute

    def scored(products: np.ndarray) -> np.ndarray:
        return _score(task, products, fixed, score, average)

    unpermuted = np.stack([_multiply(labels[None], column) for labels, column in people], axis=1)
    observed = scored(unpermuted)[0]
    sizes = [min(_BLOCK, n_permutations - done) for done in range(0, n_permutations, _BLOCK)]
    null = np.concatenate([scored(rearrange(people, size, rng)) for size in sizes])
    better = -1 if score in _LOWER_IS_BETTER else 1
    # Sums in a different order may differ in the last bits.
    n_as_good = np.sum(better * (null - observed) >= -1e-12)
    of_people = _score_people(task, unpermuted, fixed, score)
    return PermutationTest(
        score=score,
        average=average,
        observed=float(observed),
        p_value=np.nan if np.isnan(observed) else float((1 + n_as_good) / (1 + n_permutations)),
        n_permutations=n_permutations,
        null=null,
        n_people=len(people),
        n_people_undefined=int(np.isnan(of_people).sum()),
    )


def permutation_tests(
    predictions: pd.DataFrame,
    *,
    score: str = "balanced_accuracy",
    average: str = "people",
    n_permutations: int = 10_000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Test every pipeline of a table of predictions against permuted labels.

    Parameters
    ----------
    predictions : DataFrame
        Table of :func:`load_predictions`.
    score, average : str
        As in :func:`permutation_test`.
    n_permutations, random_state : int
        As in :func:`permutation_test`.

    Returns
    -------
    DataFrame
        One row for each case and pipeline: the columns of the case and ``pipeline``, the fields of
        :class:`PermutationTest` with ``null_mean`` in place of ``null``, ``test``, and ``p_holm``,
        adjusted for the pipelines of the case. ``test`` is "permutation", or "t": if the column
        ``covers`` of the table contains ``stimulus``, p is that of a one-sided t test over people
        and stimuli of the score against ``null_mean``, since the trials of a person with different
        stimuli are not exchangeable. Pipelines without probabilities have no AUC and no Brier
        score; their p is NaN.

    Raises
    ------
    ValueError
        If a column is missing, or as in :func:`permutation_test`.

    See Also
    --------
    permutation_refit : With models that are fitted again.
    summarise_predictions : Scores with intervals.

    Examples
    --------
    >>> from edaemo.benchmark import permutation_tests
    >>> people = np.repeat([f"p{number}" for number in range(6)], 4)
    >>> predictions = pd.DataFrame(
    ...     {"pipeline": "mine", "subject": people, "label": [0, 1] * 12, "predicted": [0, 1] * 12}
    ... )
    >>> table = permutation_tests(predictions, n_permutations=999)
    >>> float(table["p_value"].iloc[0]) <= 0.01
    True
    """
    tables = []
    for case, by_pipeline in split_cases(predictions):
        rows = []
        task = task_with(score, list(by_pipeline.values()))
        for pipeline, trials in by_pipeline.items():
            column = "probability" if score in OF_PROBABILITIES else "predicted"
            row: dict[str, Any] = {
                "score": score,
                "average": average,
                "n_permutations": n_permutations,
            }
            if column in trials and trials[column].notna().all():
                test = _test(
                    task,
                    trials["label"],
                    trials[column],
                    subject=trials["subject"].to_numpy(),
                    trial=trials.get("row"),
                    random_state=random_state,
                    **row,
                )
                row = test._asdict() | {"null_mean": test.null.mean(), "test": "permutation"}
                del row["null"]
                if STIMULUS in find_covers(trials):
                    p = _test_crossed(task, trials, score, average, row["null_mean"])
                    row |= {"p_value": p, "test": "t"}
            rows.append({**case, "pipeline": pipeline, **row})
        table = pd.DataFrame(rows).reindex(columns=[*case, "pipeline", *_COLUMNS])
        tables.append(table.assign(p_holm=adjust_holm(table["p_value"])))
    return pd.concat(tables, ignore_index=True)


def _test_crossed(
    task: Task, trials: pd.DataFrame, score: str, average: str, chance: float
) -> float:
    """Return p of the one-sided t test over people and stimuli against the score of chance."""
    probability = trials["probability"] if score in OF_PROBABILITIES else None
    outcome = task.read(trials["label"], trials["predicted"], probability)
    jackknife = Jackknife(
        task,
        outcome,
        {kind: trials[kind].to_numpy() for kind in (SUBJECT, STIMULUS)},
        find_covers(trials),
        cross_validated=has_several_parts(
            fold_codes(trials), trials.get("repeat"), trials[SUBJECT]
        ),
    )
    left = jackknife.over_people(score) if average == "people" else jackknife.pooled(score)
    return left.p_below(chance) if score in _LOWER_IS_BETTER else left.p_above(chance)


def permutation_refit(
    estimator: AnyEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    groups: Sequence[Any],
    cv: object,
    scoring: str = "balanced_accuracy",
    n_permutations: int = 1000,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> PermutationRefit:
    """Test a pipeline against fits of the same pipeline to labels permuted within each person.

    The test needs `n_permutations` cross-validations, so use it for fast pipelines.

    Parameters
    ----------
    estimator : classifier or regressor
        The pipeline; it is cloned before each fit.
    X : array-like or DataFrame with n_trials rows
        The trials.
    y : array-like of shape (n_trials,)
        Label of each trial.
    groups : sequence of shape (n_trials,)
        Subject of each trial. Labels are permuted within each subject. The splitter receives the
        groups too.
    cv : splitter
        For example ``make_protocol("subject")``.
    scoring : str, default="balanced_accuracy"
        Name of a scikit-learn scorer; greater is better.
    n_permutations : int, default=1000
        Number of random permutations, in addition to the observed order.
    random_state : int, default=0
        Seed of the permutations.
    n_jobs : int or None, default=None
        Number of processes, as in joblib.

    Returns
    -------
    PermutationRefit
        The score, the scores of the permutations, and p.

    Raises
    ------
    ValueError
        If `groups` has missing ids or a different length. Errors of the estimator are passed on.

    Notes
    -----
    The test is :func:`sklearn.model_selection.permutation_test_score`. A splitter that stratifies
    by labels makes different folds for each permutation.
    """
    y = np.asarray(y)
    subjects = number_units(groups, len(y), "groups")
    observed, null, p = permutation_test_score(
        estimator,
        X,
        y,
        groups=subjects,
        cv=cv,
        scoring=scoring,
        n_permutations=n_permutations,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    return PermutationRefit(float(observed), float(p), n_permutations, null)


def _read(task: Task, y_true: ArrayLike, y_pred: ArrayLike, score: str) -> Outcome:
    """Read labels, and predicted values or probabilities, depending on the score."""
    if score not in OF_PROBABILITIES:
        return task.read(y_true, y_pred)
    if isinstance(task, Multiclass):
        raise ValueError(f"score={score!r} cannot be tested for three or more classes.")
    true = read_classes(y_true, "y_true")
    probability = read_probability(y_pred, len(true))
    if probability is None:
        raise ValueError(f"{score} needs the probability of 1 of each trial as y_pred.")
    return Outcome(true, probability)


def _take_steps(
    outcome: Outcome, subjects: np.ndarray, which: np.ndarray
) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """Replace trials by their unmasked steps: labels, predictions, people and step numbers.

    Steps are numbered in the order of trials. The same step of a trial has the same number in every
    repeat.
    """
    true, predicted, trial = join_steps(outcome)
    before = np.searchsorted(trial, trial)  # index of the first step of the same trial
    position = np.arange(len(trial)) - before
    _, which = np.unique(which[trial] * (position.max() + 1) + position, return_inverse=True)
    return Outcome(true, predicted), subjects[trial], which


def _number_trials(trial: Sequence[Any], subjects: np.ndarray, true: np.ndarray) -> np.ndarray:
    which = number_units(trial, len(true), "trial")
    codes = pd.factorize(hashable(pd.Series(true)))[0]
    for values, what in ((subjects, "people"), (codes, "labels")):
        first = np.zeros(which.max() + 1, dtype=values.dtype)
        first[which] = values
        if (first[which] != values).any():
            odd = np.asarray(trial, dtype=object)[first[which] != values][0]
            raise ValueError(f"The trial {odd!r} has several {what}.")
    times = np.bincount(which)
    if times.min() != times.max():
        raise ValueError(
            f"Trials were predicted {times.min()} to {times.max()} times. Every trial must be "
            "predicted in every repeat."
        )
    return which


def _column(
    task: Task, predicted: np.ndarray, subjects: np.ndarray, score: str, average: str
) -> np.ndarray:
    """Return the factor of each label in the only sum that depends on the order of labels.

    The factor is the predicted number. For the AUC it is the rank of the probability, among the
    person's probabilities or among all. For three or more classes it is a one-hot row of the
    predicted class.
    """
    if isinstance(task, Multiclass):
        return np.eye(len(task.classes))[predicted]
    if score != "roc_auc":
        return predicted.astype(float)
    if average == "pooled":
        return rankdata(predicted)
    ranks = np.empty(len(predicted))
    for person in range(subjects.max() + 1):
        ranks[subjects == person] = rankdata(predicted[subjects == person])
    return ranks


def _by_person(
    true: np.ndarray, column: np.ndarray, subjects: np.ndarray, which: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each person the label of each trial, and its factors summed over repeats."""
    _, first = np.unique(which, return_index=True)
    summed = np.zeros((which.max() + 1, *column.shape[1:]))
    np.add.at(summed, which, column)
    rows = [np.flatnonzero(subjects[first] == person) for person in range(subjects.max() + 1)]
    return [(true[first][trials].astype(float), summed[trials]) for trials in rows]


def _permute(
    people: list[tuple[np.ndarray, np.ndarray]], n: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute each person's labels `n` times; return sums of label times factor by person."""
    products = []
    for labels, column in people:
        permuted = rng.permuted(np.broadcast_to(labels, (n, len(labels))), axis=1)
        products.append(_multiply(permuted, column))
    return np.stack(products, axis=1)


def _multiply(labels: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return the sums of label times factor for rows of labels; for classes the confusion."""
    if column.ndim == 1:
        return labels @ column
    return np.stack([(labels == k) @ column for k in range(column.shape[1])], axis=1)


def _shift(
    people: list[tuple[np.ndarray, np.ndarray]], n: int, rng: np.random.Generator
) -> np.ndarray:
    """Shift each person's labels in a circle `n` times; return sums of label times factor."""
    products = np.empty((n, len(people)))
    for person, (labels, column) in enumerate(people):
        spectrum = np.fft.rfft(column) * np.conj(np.fft.rfft(labels))
        of_shift = np.fft.irfft(spectrum, len(labels))
        of_shift[0] = labels @ column
        products[:, person] = of_shift[rng.integers(len(labels), size=n)]
    return products


def _fixed_sums(
    task: Task, true: np.ndarray, predicted: np.ndarray, subjects: np.ndarray, score: str
) -> Sums:
    """Return the sums by person that do not depend on the order of labels."""
    if isinstance(task, Multiclass):
        return {}
    if score in OF_NUMBERS:
        return sum_numbers(true, predicted, subjects)
    if score in OF_CLASSES:
        return sum_classes(true, predicted, None, subjects)
    squares = np.bincount(subjects, predicted**2 + true)
    return sum_classes(true, true, None, subjects) | {"squared_error": squares}


def _score(task: Task, products: np.ndarray, fixed: Sums, score: str, average: str) -> np.ndarray:
    """Return scores of permutations, (n,), from sums of label times factor by person."""
    if average == "people":
        of_people = _score_people(task, products, fixed, score)
        defined = ~np.isnan(of_people)
        return divide(np.where(defined, of_people, 0.0).sum(axis=1), defined.sum(axis=1))
    pooled = {name: of_person.sum(axis=0) for name, of_person in fixed.items()}
    return _score_people(task, products.sum(axis=1), pooled, score)


def _score_people(task: Task, products: np.ndarray, fixed: Sums, score: str) -> np.ndarray:
    if isinstance(task, Multiclass):
        return score_many_classes({"confusion": products}, task.recalls)[score]
    if score in OF_NUMBERS:
        return score_numbers(fixed | {"product": products})[score]
    confusion = fixed["confusion"]
    n_label, n_predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    if score == "roc_auc":
        n_high = n_label[..., 1]
        sums = {"confusion": confusion, "wins": products - n_high * (n_high + 1) / 2}
    elif score == "brier_score":
        squared_error = fixed["squared_error"] - 2 * products
        sums = {"confusion": confusion, "squared_error": squared_error}
    else:
        high = np.stack([n_label[..., 1] - products, products], axis=-1)
        sums = {"confusion": np.stack([n_predicted - high, high], axis=-2)}
    return score_classes(sums)[score]
