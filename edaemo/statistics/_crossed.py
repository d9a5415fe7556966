"""Compute intervals and tests over people and stimuli, by leaving out one of them at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

from edaemo.statistics._scores import ACROSS_FOLDS, divide
from edaemo.statistics._sums import Sums, add_up, compare_within
from edaemo.statistics._tasks import PER_SEQUENCE, Outcome, Task

SUBJECT, STIMULUS = "subject", "stimulus"
# The trials of one person with one stimulus.
_CELL = "cell"
_SIGNED = ("mcc", "calibration_in_the_large", "concordance_correlation", "pearson")
_UNBOUNDED = ("rmse", "brier_score")


class LeftOut(NamedTuple):
    """A score, and the scores without one person, one stimulus or one cell.

    Attributes
    ----------
    estimate : float
        The score of all trials.
    without : dict of str to Series
        For "subject", "stimulus" and "cell", as far as they are covered: the score without each
        one, by id.
    inflation : float
        Factor of the variance, for models of overlapping training sets.
    """

    estimate: float
    without: dict[str, pd.Series]
    inflation: float = 1.0

    def minus(self, other: LeftOut) -> LeftOut:
        """Return the difference of the scores of two pipelines on the same trials."""
        without = {
            kind: scores - other.without[kind].reindex(scores.index)
            for kind, scores in self.without.items()
        }
        return LeftOut(self.estimate - other.estimate, without, self.inflation)

    def spread(self) -> tuple[float, float]:
        """Return the standard error and its degrees of freedom.

        The variance over one kind of unit is that of the jackknife. The variance over people and
        stimuli is the sum of both minus the variance over cells, which both contain (Cameron,
        Gelbach & Miller, Journal of Business & Economic Statistics 29(2), 2011), but at least the
        larger of both (MacKinnon, Nielsen & Webb, arXiv:2406.08880, 2024). The degrees of freedom
        are those of Satterthwaite (Biometrics Bulletin 2(6), 1946).

        Returns
        -------
        standard_error, df : float
            NaN with fewer than two units of a kind, or if the score is undefined without a unit.
        """
        variance = {kind: self._vary(kind) for kind in self.without}
        sizes = {kind: len(scores) for kind, scores in self.without.items()}
        over_cells = variance.pop(_CELL, 0.0)
        parts = np.array(list(variance.values()))
        df = np.array([sizes[kind] - 1.0 for kind in variance])
        total = max(parts.sum() - over_cells, parts.max())
        standard_error = float(np.sqrt(self.inflation * total))
        if len(parts) == 1 or not parts.any():
            return standard_error, float(df.min())
        return standard_error, float(max(parts.sum() ** 2 / np.sum(parts**2 / df), df.min()))

    def interval(self, score: str) -> tuple[float, float]:
        """Return the 95 % interval of Student's t, cut at the limits of the score."""
        standard_error, df = self.spread()
        half = t.ppf(0.975, df) * standard_error
        name = score.removesuffix(PER_SEQUENCE)
        lowest, highest = -1.0 if name in _SIGNED else 0.0, np.inf if name in _UNBOUNDED else 1.0
        ends = np.clip([self.estimate - half, self.estimate + half], lowest, highest)
        return float(ends[0]), float(ends[1])

    def p_above(self, value: float = 0.0) -> float:
        """Return p of the one-sided t test that the score is above `value`."""
        standard_error, df = self.spread()
        difference = self.estimate - value
        if standard_error == 0:
            return 1.0 if difference <= 0 else 0.0
        return float(t.sf(difference / standard_error, df))

    def p_different(self) -> float:
        """Return p of the two-sided t test that the score is 0."""
        above = self.p_above()
        return above if np.isnan(above) else min(1.0, 2 * min(above, 1 - above))

    def _vary(self, kind: str) -> float:
        scores = self.without[kind].to_numpy()
        n = len(scores)
        return np.nan if n < 2 else float((n - 1) / n * np.sum((scores - self.estimate) ** 2))


class Jackknife:
    """Scores of one pipeline without each person, stimulus and cell.

    Parameters
    ----------
    task : Task
    outcome : Outcome
        Labels and predictions, as returned by `task.read`.
    ids : mapping of str to sequence of shape (n_trials,)
        ``subject`` and ``stimulus`` of each trial.
    folds : ndarray of int, shape (n_trials,), or None
        Fold of each trial, from 0. Trials are compared within folds only.
    covers : sequence of {"subject", "stimulus"}
        The units that are left out. If there are both, cells are left out too.
    """

    def __init__(
        self,
        task: Task,
        outcome: Outcome,
        ids: Mapping[str, Sequence[Any] | np.ndarray],
        folds: np.ndarray | None,
        covers: Sequence[str],
    ) -> None:
        n_trials = len(outcome.labels)
        folds = np.zeros(n_trials, np.int64) if folds is None else folds
        self.inflation = ACROSS_FOLDS if folds.max() > 0 else 1.0
        columns = {kind: pd.Index(np.asarray(ids[kind], dtype=object)) for kind in ids}
        people = columns[SUBJECT].factorize()[0]
        by_fold = people * (folds.max() + 1) + folds
        if len(covers) > 1:
            columns[_CELL] = pd.MultiIndex.from_arrays([columns[SUBJECT], columns[STIMULUS]])
        everyone = np.zeros(n_trials, np.int64)
        self._names: dict[str, pd.Index] = {}
        self._pooled: dict[str, dict[str, np.ndarray]] = {}
        self._people: dict[str, _Left] = {}
        for kind in [*covers, _CELL] if len(covers) > 1 else covers:
            units, self._names[kind] = columns[kind].factorize()
            pooled = _leave_out(task, outcome, units, folds, everyone)
            self._all, self._pooled[kind] = pooled.of_groups, pooled.scores
            self._people[kind] = _leave_out(task, outcome, units, by_fold, people)

    def pooled(self, score: str, *, zero: bool = False) -> LeftOut:
        """Return the score of all trials; with `zero`, undefined scores are 0."""
        of_all = self._all[score][0]
        without = {
            kind: pd.Series(np.nan_to_num(of[score]) if zero else of[score], self._names[kind])
            for kind, of in self._pooled.items()
        }
        return LeftOut(np.nan_to_num(of_all) if zero else of_all, without, self.inflation)

    def over_people(self, score: str) -> LeftOut:
        """Return the mean of people's scores; people without a score are left out."""
        without = {}
        for kind, left in self._people.items():
            before, after = left.of_groups[score], left.scores[score]
            totals = np.array([np.nansum(before), np.sum(~np.isnan(before))])
            changes = np.nan_to_num([after, ~np.isnan(after)])
            changes -= np.nan_to_num([before, ~np.isnan(before)])[:, left.group]
            n_units = len(self._names[kind])
            total, n = (
                of_all + np.bincount(left.unit, change, minlength=n_units)
                for of_all, change in zip(totals, changes, strict=True)
            )
            without[kind] = pd.Series(divide(total, n), self._names[kind])
        return LeftOut(float(divide(*totals)), without, self.inflation)


class _Left(NamedTuple):
    """Scores of groups of trials, and of each group without each of its units.

    `unit`, `group` and the arrays of `scores` have one element for each unit of each group.
    `of_groups` has arrays with one element for each group.
    """

    unit: np.ndarray
    group: np.ndarray
    scores: dict[str, np.ndarray]
    of_groups: dict[str, np.ndarray]


def _leave_out(
    task: Task, outcome: Outcome, unit: np.ndarray, stratum: np.ndarray, group: np.ndarray
) -> _Left:
    """Compute the scores of each group of trials without each unit, from sums by stratum.

    All arguments but the first two are codes of the trials, from 0. Trials are compared within
    strata only. All trials of a stratum are of the same group.
    """
    _, stratum = np.unique(stratum, return_inverse=True)
    n_strata, n_groups = stratum.max() + 1, group.max() + 1
    group_of = np.zeros(n_strata, np.int64)
    group_of[stratum] = group
    whole = task.sum_up(outcome, stratum, False)
    compared = compare_within(whole)
    totals = add_up(compared, group_of, n_groups)

    pieces, piece = np.unique(unit * n_strata + stratum, return_inverse=True)
    unit_of, stratum_of = np.divmod(pieces, n_strata)
    own = task.sum_up(outcome, piece, False)
    rest = {name: of_stratum[stratum_of] - own[name] for name, of_stratum in whole.items()}
    if "wins" in whole:  # the pairs within the unit were subtracted twice
        rest["wins"] = whole["wins"][stratum_of] + own["wins"] - _count_wins(outcome, stratum, piece)
    change = {
        name: values - compared[name][stratum_of] for name, values in compare_within(rest).items()
    }
    keys, pair = np.unique(unit_of * n_groups + group_of[stratum_of], return_inverse=True)
    units, groups = np.divmod(keys, n_groups)
    left: Sums = {
        name: totals[name][groups] + values
        for name, values in add_up(change, pair, len(keys)).items()
    }
    return _Left(units, groups, task.score(left), task.score(totals))


def _count_wins(outcome: Outcome, stratum: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """Count the wins in all pairs of a stratum with a trial of each piece.

    A pair within a piece counts twice.
    """
    order = outcome.decision if outcome.probability is None else outcome.probability
    assert order is not None
    if order.ndim == 1:
        return np.bincount(piece, _count_wins_of_trials(outcome.labels == 1, order, stratum))
    of_class = [
        np.bincount(piece, _count_wins_of_trials(outcome.labels == i, order[:, i], stratum))
        for i in range(order.shape[1])
    ]
    return np.stack(of_class, axis=-1)


def _count_wins_of_trials(high: np.ndarray, order: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Count the pairs of each trial with the other class in its stratum that are in order."""
    level = np.unique(order, return_inverse=True)[1]
    keys = stratum * (level.max() + 1) + level  # stratum by stratum
    ranks = rankdata(keys)
    wins = np.empty(len(keys))
    for of_class in (high, ~high):
        n_others = np.bincount(stratum[~of_class], minlength=stratum.max() + 1)
        before = (np.cumsum(n_others) - n_others)[stratum[of_class]]
        # Others of a lower or equal key, equal ones half, in this stratum or an earlier one.
        below = ranks[of_class] - rankdata(keys[of_class]) - before
        wins[of_class] = below if of_class is high else n_others[stratum[of_class]] - below
    return wins
