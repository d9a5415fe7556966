"""Compare pipelines with paired tests over people and over folds, and with ranks over studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import f, friedmanchisquare, rankdata, studentized_range, t

from edaemo.statistics._crossed import (
    STIMULUS,
    SUBJECT,
    Jackknife,
    LeftOut,
    inflate_variance,
)
from edaemo.statistics._predictions import fold_codes, hashable, split_cases
from edaemo.statistics._scores import (
    adjust_holm,
    divide,
    draw_people,
    interval_over_people,
    signed_rank_p,
    subtract,
    widen,
)
from edaemo.statistics._summary import (
    find_covers,
    has_several_parts,
    make_jackknife,
    number_units,
    score_units,
)
from edaemo.statistics._sums import OF_CLASSES, OF_NUMBERS, OF_PROBABILITIES
from edaemo.statistics._tasks import (
    PER_SEQUENCE,
    Binary,
    Multiclass,
    Regression,
    Task,
    find_task,
)


class PairedTest(NamedTuple):
    """Difference of two pipelines over the same people.

    Parameters
    ----------
    difference, difference_low, difference_high : float
        Mean of a − b over people, and its 95 % interval.
    rank_biserial, rank_biserial_low, rank_biserial_high : float
        Matched-pairs rank-biserial correlation: (rank sum of people with a above b − rank sum of
        people with a below b) / (sum of both), in [−1, 1]; 0 if all differences are 0.
    p_value : float
        Exact p of the two-sided Wilcoxon signed-rank test; 1 if all differences are 0.
    n_people, n_people_undefined : int
        Number of people, and number of people for whom a score is undefined; these are left out.
    """

    difference: float
    difference_low: float
    difference_high: float
    rank_biserial: float
    rank_biserial_low: float
    rank_biserial_high: float
    p_value: float
    n_people: int
    n_people_undefined: int


class ResampledTTest(NamedTuple):
    """Outcome of the corrected resampled t-test, two-sided.

    Parameters
    ----------
    statistic : float
        Student's t of the mean difference over folds.
    p_value : float
        Two-sided p.
    df : int
        Degrees of freedom.
    """

    statistic: float
    p_value: float
    df: int


class CriticalDifference(NamedTuple):
    """Ranks of pipelines over studies, and tests of their differences.

    Parameters
    ----------
    average_ranks : Series
        Average rank by pipeline, the best first; 1 is best.
    critical_difference : float
        Two pipelines differ significantly in the Nemenyi test at `alpha` if their average ranks
        differ by at least this value.
    groups : list of tuple of str
        Largest sets of at least two pipelines without a significant difference between any two.
    p_nemenyi : DataFrame of shape (n_pipelines, n_pipelines)
        The p of each pair, adjusted for all pairs; 1 on the diagonal.
    friedman_statistic, p_friedman : float
        Chi² of the Friedman test, corrected for ties.
    iman_davenport_statistic, p_iman_davenport : float
        F on (k − 1, (k − 1)(n − 1)) degrees of freedom, computed from this chi²; less conservative.
    alpha : float
        Level of the Nemenyi test.
    n_studies : int
        Number of studies.
    """

    average_ranks: pd.Series
    critical_difference: float
    groups: list[tuple[str, ...]]
    p_nemenyi: pd.DataFrame
    friedman_statistic: float
    p_friedman: float
    iman_davenport_statistic: float
    p_iman_davenport: float
    alpha: float
    n_studies: int


class _Scored(NamedTuple):
    """Scores of one pipeline for each person and fold, and the average size of a fold.

    `crossed` has the scores without each person and stimulus; None if stimuli are not covered.
    """

    people: np.ndarray
    crossed: Jackknife | None
    folds: np.ndarray
    n_training: float | None
    n_test: float


def paired_test(a: ArrayLike, b: ArrayLike, *, random_state: int = 0) -> PairedTest:
    """Compare two pipelines by their scores for the same people.

    Parameters
    ----------
    a, b : array-like of shape (n_people,)
        One score for each person, in the same order; NaN if it is undefined.
    random_state : int, default=0
        Seed of the 2000 draws of people.

    Returns
    -------
    PairedTest
        Mean difference, effect size and p, with intervals.

    Raises
    ------
    ValueError
        If lengths differ.

    Notes
    -----
    The test is Wilcoxon's (Biometrics Bulletin 1(6), 1945). People without a difference are left
    out, and equal differences get their average rank. p is exact for any number of people: it
    counts the assignments of signs to these ranks. Two differences are equal if their sizes differ
    by at most 1e-12 of the largest score. The effect size is Kerby's (Comprehensive Psychology 3,
    2014). The intervals are those of :func:`classification_summary` without folds. The test treats
    people as independent, but they are independent only given the fitted models. For two equally
    good pipelines, p <= 0.05 occurred twice as often as it should (``docs/statistics.md``). Use
    :func:`corrected_resampled_t_test` as well.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"a and b must have one score for each person, got shapes {a.shape} and {b.shape}."
        )
    return _pair(a, b, random_state)


def _pair(a: np.ndarray, b: np.ndarray, random_state: int, factor: float = 1.0) -> PairedTest:
    """Compare scores of people; the sides of the intervals are multiplied by a factor."""
    differences = subtract(a, b)
    n_undefined = int(np.isnan(differences).sum())
    differences = differences[~np.isnan(differences)]
    n = len(differences)
    if n == 0:
        nan = np.nan
        return PairedTest(nan, nan, nan, nan, nan, nan, nan, len(a), n_undefined)
    once, drawn = np.ones((1, n)), draw_people(n, random_state)
    effects = []
    for effect, limits in ((_mean, (-np.inf, np.inf)), (_rank_biserial, (-1.0, 1.0))):
        draws = effect(differences, drawn)
        estimate = float(effect(differences, once)[0])
        effects.append((estimate, *widen(estimate, interval_over_people(draws, n), factor, limits)))
    return PairedTest(
        *effects[0], *effects[1], signed_rank_p(differences, "two-sided"), len(a), n_undefined
    )


def corrected_resampled_t_test(
    differences: ArrayLike, *, n_training: float, n_test: float
) -> ResampledTTest:
    """Compare two pipelines by their scores on the same folds.

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
        Difference of the two scores on each fold of all repeats.
    n_training, n_test : float
        Average number of training and test trials of a fold.

    Returns
    -------
    ResampledTTest
        If all differences are 0, the statistic is 0 and p is 1.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or a difference is not finite.

    Notes
    -----
    t = mean / sqrt((1/k + n_test/n_training) variance), k − 1 degrees of freedom (Nadeau & Bengio,
    Machine Learning 52, 2003, section 4.2; for repeated cross-validation Bouckaert & Frank, PAKDD
    2004). The correction replaces the correlation between folds that share training trials, which
    cannot be estimated. It assumes that fold scores differ only by chance.
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 1 or len(d) < 2 or not np.isfinite(d).all():
        raise ValueError(f"At least two finite differences are needed, one for each fold, got {d}.")
    if not (n_training > 0 and n_test > 0):
        raise ValueError(f"n_training={n_training} and n_test={n_test} must be above 0.")
    df = len(d) - 1
    spread = np.sqrt((1 / len(d) + n_test / n_training) * d.var(ddof=1))
    if spread == 0:
        same = d[0] == 0
        return ResampledTTest(0.0 if same else np.sign(d[0]) * np.inf, 1.0 if same else 0.0, df)
    statistic = d.mean() / spread
    return ResampledTTest(float(statistic), float(2 * t.sf(abs(statistic), df)), df)


def compare_pipelines(
    predictions: pd.DataFrame, *, score: str = "balanced_accuracy", random_state: int = 0
) -> pd.DataFrame:
    """Compare all pairs of pipelines, over people and over folds.

    Parameters
    ----------
    predictions : DataFrame
        Table of :func:`load_predictions`. All pipelines of a case must have been tested on the same
        trials.
    score : str, default="balanced_accuracy"
        A score of :func:`summarise_predictions` for this task, except ``majority_rate``.
    random_state : int, default=0
        Seed of the draws of people.

    Returns
    -------
    DataFrame
        One row for each case and pair: the columns of the case; ``a``, ``b``, the pipelines;
        ``score``; the fields of :class:`PairedTest` (a − b; a lower Brier score or RMSE is better),
        with its p as ``p_wilcoxon``; ``p_wilcoxon_holm``, adjusted for all pairs of the case. If
        the column ``covers`` of the table contains ``stimulus``, the intervals cover stimuli too,
        and p is that of a t test of the mean difference (``p_crossed``, ``p_crossed_holm``).
        ``p_wilcoxon`` is then NaN, since it holds for these stimuli only. Over folds:
        ``fold_difference`` (mean), ``n_folds``, ``n_folds_undefined`` (not in the mean), and ``t``,
        ``p_t``, ``p_t_holm`` of the corrected resampled t-test. These are NaN with fewer than two
        folds, with repeats of one fixed split, or if the table has no ``fold`` or no
        ``n_training``.

    Raises
    ------
    ValueError
        If the score is unknown or does not fit the task, a column is missing, or two pipelines were
        tested on different trials.

    See Also
    --------
    summarise_predictions : Scores with intervals.
    paired_test : The test over people.

    Examples
    --------
    >>> from edaemo.benchmark import compare_pipelines
    >>> people = np.repeat([f"p{number}" for number in range(8)], 4)
    >>> label = np.tile([0, 1], 16)
    >>> better = np.where(np.arange(32) % 8 < 1, 1 - label, label)
    >>> worse = np.where(np.arange(32) % 4 < 2, 1 - label, label)
    >>> labels = pd.DataFrame({"subject": people, "label": label})
    >>> predictions = pd.concat(
    ...     [
    ...         labels.assign(pipeline="better", predicted=better),
    ...         labels.assign(pipeline="worse", predicted=worse),
    ...     ]
    ... )
    >>> compare_pipelines(predictions)["p_wilcoxon"].to_list()  # 2 / 2^8
    [0.0078125]
    """
    per_sequence = [name + PER_SEQUENCE for name in OF_NUMBERS]
    known = (*OF_CLASSES, *OF_PROBABILITIES, *OF_NUMBERS, *per_sequence)
    comparable = [name for name in known if name != "majority_rate"]
    if score not in comparable and not score.startswith("recall_"):
        raise ValueError(f"score={score!r} must be one of {comparable}, or recall_ and a class.")
    tables = [
        compare_case(case, by_pipeline, score, random_state)
        for case, by_pipeline in split_cases(predictions)
    ]
    return pd.concat(tables, ignore_index=True)


def compare_case(
    case: dict[str, Any], by_pipeline: dict[str, pd.DataFrame], score: str, random_state: int = 0
) -> pd.DataFrame:
    """Compare all pairs of pipelines of one case; see :func:`compare_pipelines`.

    Parameters
    ----------
    case : dict of str to object
        Columns that identify the case, such as ``study`` and ``target``.
    by_pipeline : dict of str to DataFrame
        Rows of the table of predictions by pipeline, all of the same trials.
    score : str
        Name of the score.
    random_state : int, default=0
        Seed of the draws of people.

    Returns
    -------
    DataFrame
        One row for each pair of pipelines, with the columns of :func:`compare_pipelines`.
    """
    _refuse_other_trials(case, by_pipeline)
    task = task_with(score, list(by_pipeline.values()))
    scored = {name: _score_units(task, trials, score) for name, trials in by_pipeline.items()}
    rows = []
    for a, b in combinations(by_pipeline, 2):
        test = _test_people(scored[a], scored[b], score, random_state)._asdict()
        p = test.pop("p_value")
        is_crossed = scored[a].crossed is not None
        names = {**case, "a": a, "b": b, "score": score}
        tests = {
            "p_wilcoxon": np.nan if is_crossed else p,
            "p_crossed": p if is_crossed else np.nan,
            **_test_folds(scored[a], scored[b]),
        }
        rows.append({**names, **test, **tests})
    table = pd.DataFrame(rows)
    for p in ("p_wilcoxon", "p_crossed", "p_t"):
        if rows:
            table[f"{p}_holm"] = adjust_holm(table[p])
    return table


def _test_people(a: _Scored, b: _Scored, score: str, random_state: int) -> PairedTest:
    """Compare the scores of people; over stimuli too if these are covered."""
    if a.crossed is None or b.crossed is None:
        factor = inflate_variance(score) ** 0.5 if len(a.folds) > 1 else 1.0
        return _pair(a.people, b.people, random_state, factor)
    mean = a.crossed.over_people(score, minus=b.crossed)
    kinds = [kind for kind in mean.without if kind in (SUBJECT, STIMULUS)]
    without = {}
    for kind in kinds:
        of_people, rows = a.crossed.each_person(score, b.crossed, kind)
        without[kind] = np.array([_correlate_ranks(differences) for differences in rows])
    correlation = LeftOut(_correlate_ranks(of_people), without, mean.inflation)
    return PairedTest(
        mean.estimate,
        *mean.interval(-np.inf, np.inf),
        correlation.estimate,
        *correlation.interval(-1, 1),
        mean.p_different(),
        len(of_people),
        int(np.isnan(of_people).sum()),
    )


def _correlate_ranks(differences: np.ndarray) -> float:
    """Return the matched-pairs rank-biserial correlation of one set of people."""
    differences = differences[~np.isnan(differences) & (differences != 0)]
    ranks = rankdata(np.abs(differences))
    return float(divide(np.sum(ranks * np.sign(differences)), ranks.sum(), 0.0))


def critical_difference(
    scores: pd.DataFrame, *, alpha: float = 0.05, greater_is_better: bool = True
) -> CriticalDifference:
    """Compute ranks of pipelines over studies, Friedman's test and Nemenyi's test.

    Parameters
    ----------
    scores : DataFrame of shape (n_studies, n_pipelines)
        One score of each pipeline on each study. Studies must be independent: two targets or
        protocols of the same people are not two studies.
    alpha : float, default=0.05
        Level of the Nemenyi test.
    greater_is_better : bool, default=True
        Whether the best pipeline has the greatest score.

    Returns
    -------
    CriticalDifference
        Ranks, critical difference, and the p of both tests.

    Raises
    ------
    ValueError
        If there are fewer than two studies or three pipelines, or a score is missing.

    Notes
    -----
    After Demšar (Journal of Machine Learning Research 7, 2006, section 3.2.2): CD = q sqrt(k (k +
    1) / (6 n)), where q is the quantile of the studentized range divided by sqrt 2. Equal scores
    get their average rank. Friedman's chi² is computed by scipy, which corrects for ties; Demšar's
    formula does not.
    """
    n, k = scores.shape
    if n < 2 or k < 3:
        raise ValueError(
            f"scores has {n} studies and {k} pipelines. At least two studies and three pipelines "
            "are needed. For two pipelines, use paired_test."
        )
    missing = np.argwhere(scores.isna().to_numpy())
    if len(missing):
        study, pipeline = scores.index[missing[0, 0]], scores.columns[missing[0, 1]]
        raise ValueError(f"The score of {pipeline!r} on {study!r} is missing.")
    values = np.round(scores.to_numpy(dtype=float), 12)
    ranks = rankdata(-values if greater_is_better else values, axis=1)
    average = pd.Series(ranks.mean(axis=0), scores.columns).sort_values(kind="stable")
    unit = np.sqrt(k * (k + 1) / (6 * n))
    threshold = studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * unit
    gaps = np.abs(np.subtract.outer(average.to_numpy(), average.to_numpy()))
    p = studentized_range.sf(gaps / unit * np.sqrt(2), k, np.inf)
    np.fill_diagonal(p, 1.0)
    chi2, p_chi2, statistic, p_statistic = _friedman(ranks)
    return CriticalDifference(
        average_ranks=average,
        critical_difference=float(threshold),
        groups=_group(average, threshold),
        p_nemenyi=pd.DataFrame(p, average.index, average.index),
        friedman_statistic=chi2,
        p_friedman=p_chi2,
        iman_davenport_statistic=statistic,
        p_iman_davenport=p_statistic,
        alpha=alpha,
        n_studies=n,
    )


def _mean(differences: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ differences / weights.sum(axis=1)


def _rank_biserial(differences: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the matched-pairs rank-biserial correlation of each draw, shape (n_draws,)."""
    weights = weights * (differences != 0)
    size = np.abs(differences)
    below = (size < size[:, None]) + 0.5 * (size == size[:, None])
    ranks = weights @ below.T + 0.5  # average ranks, weighted by the draws
    sums = (weights * ranks).sum(axis=1)
    return divide((weights * ranks * np.sign(differences)).sum(axis=1), sums, 0.0)


def _refuse_other_trials(case: dict[str, Any], by_pipeline: dict[str, pd.DataFrame]) -> None:
    table = pd.concat(list(by_pipeline.values()))
    names = [name for name in ("repeat", "fold", "row", "subject", "label") if name in table]
    codes = [pd.factorize(hashable(table[name]), use_na_sentinel=False)[0] for name in names]
    ends = np.cumsum([len(trials) for trials in by_pipeline.values()])
    parts = np.split(np.column_stack(codes), ends[:-1])
    tested = {
        pipeline: rows[np.lexsort(rows.T)]
        for pipeline, rows in zip(by_pipeline, parts, strict=True)
    }
    first = next(iter(tested))
    for pipeline, rows in tested.items():
        if not np.array_equal(rows, tested[first]):
            about = ", ".join(str(value) for value in case.values() if not pd.isna(value))
            raise ValueError(
                f"{about or 'The table'}: {first} and {pipeline} were not tested on the same folds "
                "of the same trials, so they cannot be compared. Remove one of them."
            )


def task_with(score: str, tables: Sequence[Mapping[str, pd.Series]]) -> Task:
    """Return the task of a case if it has the score, else the simplest task with this score.

    For two classes coded 0 and 1, the scores of numerical predictions are defined too. For other
    labels, the returned task raises an error when it reads them.
    """
    task = find_task(tables)
    if score in task.scores:
        return task
    if score in OF_NUMBERS:
        return Regression()
    if isinstance(task, Multiclass):
        raise ValueError(f"score={score!r} must be one of {list(task.scores)} for these classes.")
    return Binary()


def _score_units(task: Task, trials: pd.DataFrame, score: str) -> _Scored:
    """Compute the score of each person and fold, in the same order for all pipelines."""
    probability = trials.get("probability") if score in OF_PROBABILITIES else None
    outcome = task.read(trials["label"], trials["predicted"], probability, ("label", "predicted"))

    def score_each(units: np.ndarray, folds: np.ndarray | None = None) -> np.ndarray:
        scores = score_units(task, outcome, units, folds)
        if score not in scores:
            raise ValueError(f"score={score!r} must be one of {list(task.scores)} here.")
        return scores[score]

    people = number_units(trials["subject"], len(trials), "subject", sort=True)
    folds = fold_codes(trials)
    of_people = score_each(people, folds)
    subject, stimulus = trials["subject"].to_numpy(), trials.get("stimulus")
    several = has_several_parts(folds, trials.get("repeat"), subject)
    crossed = make_jackknife(task, outcome, subject, stimulus, find_covers(trials), folds, several)
    if folds is None:
        return _Scored(of_people, crossed, np.empty(0), None, np.nan)
    n_training = None
    if "n_training" in trials and several:
        _, first = np.unique(folds, return_index=True)
        n_training = trials["n_training"].iloc[first].mean()
    n_test = np.bincount(folds).mean()
    return _Scored(of_people, crossed, score_each(folds), n_training, n_test)


def _test_folds(a: _Scored, b: _Scored) -> dict[str, float]:
    differences = subtract(a.folds, b.folds)
    defined = differences[~np.isnan(differences)]
    row = {
        "fold_difference": defined.mean() if len(defined) else np.nan,
        "n_folds": len(differences),
        "n_folds_undefined": len(differences) - len(defined),
        "t": np.nan,
        "p_t": np.nan,
    }
    if len(defined) < 2 or a.n_training is None:
        return row
    test = corrected_resampled_t_test(defined, n_training=a.n_training, n_test=a.n_test)
    return row | {"t": test.statistic, "p_t": test.p_value}


def _friedman(ranks: np.ndarray) -> tuple[float, float, float, float]:
    """Return Friedman's chi² and p, and Iman and Davenport's F and p."""
    n, k = ranks.shape
    if (ranks == ranks[0, 0]).all():  # all scores are equal in every study
        return 0.0, 1.0, 0.0, 1.0
    chi2, p = friedmanchisquare(*ranks.T)
    rest = n * (k - 1) - chi2
    statistic = (n - 1) * chi2 / rest if rest > 1e-9 else np.inf
    return float(chi2), float(p), float(statistic), float(f.sf(statistic, k - 1, (k - 1) * (n - 1)))


def _group(average: pd.Series, threshold: float) -> list[tuple[str, ...]]:
    """Return the largest sets whose average ranks span less than the critical difference."""
    values = average.to_numpy()
    ends = [int(np.flatnonzero(values - start < threshold)[-1]) for start in values]
    runs = [(i, end) for i, end in enumerate(ends) if end > i and (i == 0 or ends[i - 1] < end)]
    return [tuple(average.index[i : end + 1]) for i, end in runs]
