"""Better than chance? Labels permuted within each person."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.model_selection import permutation_test_score
from sklearn.utils import check_consistent_length

from edaemo.statistics._predictions import split_cases
from edaemo.statistics._scores import adjust_holm, divide
from edaemo.statistics._summary import (
    number_units,
    read_classes,
    read_numbers,
    read_probability,
)
from edaemo.statistics._sums import (
    OF_CLASSES,
    OF_NUMBERS,
    OF_PROBABILITIES,
    Sums,
    score_classes,
    score_numbers,
    sum_classes,
    sum_numbers,
)

AVERAGES = ("people", "pooled")
# What permuting within people cannot change says nothing.
PERMUTABLE = tuple(
    name
    for name in (*OF_CLASSES, *OF_PROBABILITIES, *OF_NUMBERS)
    if name not in ("majority_rate", "calibration_in_the_large")
)
_LOWER_IS_BETTER = ("brier_score", "rmse")
_BLOCK = 1000
_COLUMNS = (
    *("score", "average", "observed", "null_mean", "p_value", "n_permutations"),
    *("n_people", "n_people_undefined"),
)


class PermutationTest(NamedTuple):
    """A score, and what it is when labels are permuted within each person.

    Attributes
    ----------
    score : str
    average : str
        "people" or "pooled".
    observed : float
    p_value : float
        (1 + permutations at least as good) / (1 + permutations), one-sided; NaN where the score is
        undefined.
    n_permutations : int
    null : ndarray of shape (n_permutations,)
        The score of each permutation.
    n_people, n_people_undefined : int
        People, and those of them whose score has no value; they are not in a mean over people.
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
    """What a pipeline scores, and what it scores fitted anew to permuted labels.

    Attributes
    ----------
    observed : float
        Mean over folds.
    p_value : float
        (1 + permutations at least as good) / (1 + permutations), one-sided.
    n_permutations : int
    null : ndarray of shape (n_permutations,)
    """

    observed: float
    p_value: float
    n_permutations: int
    null: np.ndarray


def permutation_test(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    subject: Sequence,
    trial: Sequence | None = None,
    score: str = "balanced_accuracy",
    average: str = "people",
    n_permutations: int = 10_000,
    random_state: int = 0,
) -> PermutationTest:
    """Test whether out-of-fold predictions know more than how often each person says high.

    Labels are permuted within each person, predictions stay; nothing is fitted again.

    Parameters
    ----------
    y_true : array-like of shape (n_trials,)
        0 and 1, or numbers.
    y_pred : array-like of shape (n_trials,)
        Predicted classes; for ``roc_auc`` and ``brier_score`` the probability of 1; else numbers.
    subject : sequence of shape (n_trials,)
        Whose trial each is.
    trial : sequence of shape (n_trials,) or None, default=None
        Which trial a row is about, where trials were predicted in several repeats: rows with the
        same id keep having the same label. None if each row is a trial of its own.
    score : str, default="balanced_accuracy"
        Also ``accuracy``, ``f1``, ``f1_macro``, ``mcc``; ``roc_auc``, ``brier_score``;
        ``concordance_correlation``, ``pearson``, ``rmse``.
    average : {"people", "pooled"}, default="people"
        The mean of people's scores, or the score of all trials at once.
    n_permutations : int, default=10_000
        Random ones, in addition to the order as it is.
    random_state : int, default=0

    Returns
    -------
    PermutationTest

    Raises
    ------
    ValueError
        If a name is unknown, lengths differ, a value or an id is missing or of the wrong kind, a
        trial has two labels or two people, or trials were predicted unequally often.

    Notes
    -----
    Each permutation keeps everyone's share of high labels, so knowing that share is no evidence,
    and trials of a person count as exchangeable: where labels and EDA both drift through the
    session, a small p may say no more than that (compare with the row ``time``). With whole people
    held out and one fold, p is exact (Phipson & Smyth, Statistical Applications in Genetics and
    Molecular Biology 9(1), 2010); over several folds the training labels of one are the test labels
    of another, which only :func:`permutation_refit` takes into account.
    """
    if score not in PERMUTABLE:
        raise ValueError(f"score={score!r}: one of {list(PERMUTABLE)}.")
    if average not in AVERAGES:
        raise ValueError(f"average={average!r}: one of {list(AVERAGES)}.")
    if not isinstance(n_permutations, Integral) or n_permutations < 1:
        raise ValueError(f"n_permutations={n_permutations!r}: an integer of at least 1.")
    true, predicted = _read(y_true, y_pred, score)
    whose = number_units(subject, len(true), "subject")
    which = np.arange(len(true)) if trial is None else _number_trials(trial, whose, true)
    people = _by_person(true, _column(predicted, whose, score, average), whose, which)
    fixed = _fixed_sums(true, predicted, whose, score)
    rng = np.random.default_rng(random_state)

    def scored(products: np.ndarray) -> np.ndarray:
        return _score(products, fixed, score, average)

    as_it_is = np.array([[labels @ column for labels, column in people]])
    observed = scored(as_it_is)[0]
    sizes = [min(_BLOCK, n_permutations - done) for done in range(0, n_permutations, _BLOCK)]
    null = np.concatenate([scored(_permute(people, size, rng)) for size in sizes])
    better = -1 if score in _LOWER_IS_BETTER else 1
    # Sums in another order may differ in the last bits.
    n_as_good = np.sum(better * (null - observed) >= -1e-12)
    of_people = _score_people(as_it_is, fixed, score)
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
        As :func:`load_predictions` gives it.
    score, average, n_permutations, random_state
        As in :func:`permutation_test`.

    Returns
    -------
    DataFrame
        One row for each case and pipeline: those columns, the fields of :class:`PermutationTest`
        with ``null_mean`` in place of ``null``, and ``p_holm``, adjusted for the pipelines of the
        case. Pipelines without probabilities have no AUC and no Brier score, and p is NaN.

    Raises
    ------
    ValueError
        If a column is missing, or as in :func:`permutation_test`.
    """
    tables = []
    for case, by_pipeline in split_cases(predictions):
        rows = []
        for pipeline, trials in by_pipeline.items():
            column = "probability" if score in OF_PROBABILITIES else "predicted"
            told = {"score": score, "average": average, "n_permutations": n_permutations}
            if column in trials and trials[column].notna().all():
                test = permutation_test(
                    trials["label"],
                    trials[column],
                    subject=trials["subject"].to_numpy(),
                    trial=trials.get("row"),
                    random_state=random_state,
                    **told,
                )
                told = test._asdict() | {"null_mean": test.null.mean()}
                del told["null"]
            rows.append({**case, "pipeline": pipeline, **told})
        table = pd.DataFrame(rows).reindex(columns=[*case, "pipeline", *_COLUMNS])
        tables.append(table.assign(p_holm=adjust_holm(table["p_value"])))
    return pd.concat(tables, ignore_index=True)


def permutation_refit(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    groups: Sequence,
    cv: object,
    scoring: str = "balanced_accuracy",
    n_permutations: int = 1000,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> PermutationRefit:
    """Test a pipeline against itself, split and fitted anew to labels permuted within each person.

    For cheap pipelines: the price is `n_permutations` cross-validations.

    Parameters
    ----------
    estimator : classifier or regressor
    X : array-like or DataFrame with n_trials rows
    y : array-like of shape (n_trials,)
    groups : sequence of shape (n_trials,)
        Whose trial each is: labels are permuted within each, and the splitter gets them too.
    cv : splitter
        Such as ``make_protocol("subject")``.
    scoring : str, default="balanced_accuracy"
        Name of a scorer of scikit-learn, greater being better.
    n_permutations : int, default=1000
    random_state : int, default=0
    n_jobs : int or None, default=None

    Returns
    -------
    PermutationRefit

    Raises
    ------
    ValueError
        If `groups` has missing ids or another length; or whatever the estimator raises.

    Notes
    -----
    :func:`sklearn.model_selection.permutation_test_score` does it. A splitter that balances folds
    by the labels splits each permutation its own way.
    """
    y = np.asarray(y)
    whose = number_units(groups, len(y), "groups")
    observed, null, p = permutation_test_score(
        estimator,
        X,
        y,
        groups=whose,
        cv=cv,
        scoring=scoring,
        n_permutations=n_permutations,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    return PermutationRefit(float(observed), float(p), n_permutations, null)


def _read(y_true: ArrayLike, y_pred: ArrayLike, score: str) -> tuple[np.ndarray, np.ndarray]:
    read = read_numbers if score in OF_NUMBERS else read_classes
    true = read(y_true, "y_true")
    if score in OF_PROBABILITIES:
        predicted = read_probability(y_pred, len(true))
        if predicted is None:
            raise ValueError(f"{score} needs the probability of 1 of each trial as y_pred.")
    else:
        predicted = read(y_pred, "y_pred")
    check_consistent_length(true, predicted)
    if score in OF_NUMBERS:  # for precision
        return true - true.mean(), predicted - true.mean()
    return true, predicted


def _number_trials(trial: Sequence, whose: np.ndarray, true: np.ndarray) -> np.ndarray:
    which = number_units(trial, len(true), "trial")
    for values, what in ((whose, "people"), (true, "labels")):
        first = np.zeros(which.max() + 1, dtype=values.dtype)
        first[which] = values
        if (first[which] != values).any():
            odd = np.asarray(trial, dtype=object)[first[which] != values][0]
            raise ValueError(f"The trial {odd!r} has several {what}.")
    times = np.bincount(which)
    if times.min() != times.max():
        raise ValueError(
            f"Trials were predicted {times.min()} to {times.max()} times: all of them must be "
            "predicted in every repeat."
        )
    return which


def _column(predicted: np.ndarray, whose: np.ndarray, score: str, average: str) -> np.ndarray:
    """Give what a trial adds to the one sum that depends on the order of labels, if its label is 1.

    In general, what its label is multiplied by: the number that was predicted; for the AUC the rank
    of the probability, among the person's own or among all.
    """
    if score != "roc_auc":
        return predicted.astype(float)
    if average == "pooled":
        return rankdata(predicted)
    ranks = np.empty(len(predicted))
    for person in range(whose.max() + 1):
        ranks[whose == person] = rankdata(predicted[whose == person])
    return ranks


def _by_person(
    true: np.ndarray, column: np.ndarray, whose: np.ndarray, which: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give each person's labels and summed columns, one for each trial, over its repeats."""
    _, first = np.unique(which, return_index=True)
    summed = np.bincount(which, column)
    rows = [np.flatnonzero(whose[first] == person) for person in range(whose.max() + 1)]
    return [(true[first][own].astype(float), summed[own]) for own in rows]


def _permute(
    people: list[tuple[np.ndarray, np.ndarray]], n: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute each person's labels `n` times: sums of label times column, (n, n_people)."""
    products = np.empty((n, len(people)))
    for person, (labels, column) in enumerate(people):
        permuted = rng.permuted(np.broadcast_to(labels, (n, len(labels))), axis=1)
        products[:, person] = permuted @ column
    return products


def _fixed_sums(true: np.ndarray, predicted: np.ndarray, whose: np.ndarray, score: str) -> Sums:
    """Sum up by person what does not depend on the order of labels."""
    if score in OF_NUMBERS:
        return sum_numbers(true, predicted, whose)
    if score in OF_CLASSES:
        return sum_classes(true, predicted, None, whose)
    squares = np.bincount(whose, predicted**2 + true)
    return sum_classes(true, true, None, whose) | {"squared_error": squares}


def _score(products: np.ndarray, fixed: Sums, score: str, average: str) -> np.ndarray:
    """Score permutations, (n,), from the sums of label times column, (n, n_people)."""
    if average == "people":
        of_people = _score_people(products, fixed, score)
        told = ~np.isnan(of_people)
        return divide(np.where(told, of_people, 0.0).sum(axis=1), told.sum(axis=1))
    pooled = {name: of_person.sum(axis=0) for name, of_person in fixed.items()}
    return _score_people(products.sum(axis=1), pooled, score)


def _score_people(products: np.ndarray, fixed: Sums, score: str) -> np.ndarray:
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
