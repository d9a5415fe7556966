"""Compute intervals and tests over people and stimuli, by leaving out one of them at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

from edaemo.statistics._scores import divide, signed_rank_p, subtract
from edaemo.statistics._sums import OF_NUMBERS, Sums, add_up, compare_within
from edaemo.statistics._tasks import PER_SEQUENCE, Outcome, Task

SUBJECT, STIMULUS = "subject", "stimulus"
# The trials of one person with one stimulus.
_CELL = "cell"
_SIGNED = ("mcc", "calibration_in_the_large", "concordance_correlation", "pearson")
_UNBOUNDED = ("rmse", "brier_score")
# Scores whose intervals are too narrow for cross-validated predictions, also after
# `inflate_variance`, since they depend on the level or scale of all predictions
# (`benchmarks/crossed_inference.py`).
TOO_NARROW = ("f1", "concordance_correlation")


def limits_of(score: str) -> tuple[float, float]:
    """Return the smallest and the largest possible value of a score."""
    name = score.removesuffix(PER_SEQUENCE)
    return -1.0 if name in _SIGNED else 0.0, np.inf if name in _UNBOUNDED else 1.0


def inflate_variance(score: str) -> float:
    """Return the factor of the variance of a cross-validated score given the fitted models.

    The variance given the models is too small, since each trial tests one model and trains others.
    Let linear models learn nothing. Then the sum of products of label and prediction has two equal
    terms for each pair of trials that train for each other, and twice the variance given the
    models: the factor for numbers is 2. If predictions are signs, the two terms have the
    correlation 2/π, that of the signs of normal variables: the factor for classes is 1 + 2/π. The
    factor is too large for models that learn much (``docs/statistics.md``).
    """
    return 2.0 if score.removesuffix(PER_SEQUENCE) in OF_NUMBERS else 1 + 2 / np.pi


class LeftOut(NamedTuple):
    """A score, and the scores without one person, one stimulus or one cell.

    Attributes
    ----------
    estimate : float
        The score of all trials.
    without : dict of str to ndarray of shape (n_units,)
        The score without each unit, by kind of unit: the covered ones of "subject" and "stimulus",
        and "cell" if both are covered.
    inflation : float
        Factor of the variance, for models with overlapping training sets.
    """

    estimate: float
    without: dict[str, np.ndarray]
    inflation: float = 1.0

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
            NaN if a factor has fewer than two units, or if the score is undefined without a unit.
        """
        variance = {kind: self._vary(kind) for kind in self.without}
        sizes = {kind: len(scores) for kind, scores in self.without.items()}
        over_cells = variance.pop(_CELL, 0.0)
        parts = np.array(list(variance.values()))
        df = np.array([sizes[kind] - 1.0 for kind in variance])
        total = max(parts.sum() - over_cells, parts.max())
        standard_error = float(np.sqrt(self.inflation * total))
        if not total:
            return 0.0, float(df.min())
        return standard_error, float(max(total**2 / np.sum(parts**2 / df), df.min()))

    def interval(self, lowest: float, highest: float) -> tuple[float, float]:
        """Return the 95 % interval of Student's t, cut at the limits of the score."""
        standard_error, df = self.spread()
        half = t.ppf(0.975, df) * standard_error
        ends = np.clip([self.estimate - half, self.estimate + half], lowest, highest)
        return float(ends[0]), float(ends[1])

    def p_above(self, value: float = 0.0) -> float:
        """Return p of the one-sided t test that the score is above `value`.

        It is at least 2^−n for the smaller number n of people and stimuli, as for the signs of n
        units, since a variance estimated from few units may be 0 by chance.
        """
        standard_error, df = self.spread()
        difference = self.estimate - value
        if np.isnan(standard_error):
            return np.nan
        smallest = 2.0 ** -min(len(scores) for scores in self.without.values())
        if standard_error == 0:
            return smallest if difference > 0 else 1.0
        return max(smallest, float(t.sf(difference / standard_error, df)))

    def p_below(self, value: float = 0.0) -> float:
        """Return p of the one-sided t test that the score is below `value`."""
        mirrored = {kind: -scores for kind, scores in self.without.items()}
        return LeftOut(-self.estimate, mirrored, self.inflation).p_above(-value)

    def p_different(self) -> float:
        """Return p of the two-sided t test that the score is not 0."""
        return float(np.minimum(1, 2 * np.minimum(self.p_above(), self.p_below())))

    def _vary(self, kind: str) -> float:
        scores = self.without[kind]
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
    covers : sequence of {"subject", "stimulus"}
        The units that are left out. If there are both, cells are left out too.
    folds : ndarray of int, shape (n_trials,), or None, default=None
        Fold of each trial, from 0. Trials are compared within folds only.
    cross_validated : bool, default=False
        Whether the predictions come from several models with overlapping training sets.
    """

    def __init__(
        self,
        task: Task,
        outcome: Outcome,
        ids: Mapping[str, Sequence[Any] | np.ndarray],
        covers: Sequence[str],
        *,
        folds: np.ndarray | None = None,
        cross_validated: bool = False,
    ) -> None:
        n_trials = len(outcome.labels)
        folds = np.zeros(n_trials, np.int64) if folds is None else folds
        self._cross_validated = cross_validated
        columns = {kind: pd.Index(np.asarray(ids[kind], dtype=object)) for kind in ids}
        people, self._who = columns[SUBJECT].factorize()
        by_fold = people * (folds.max() + 1) + folds
        if len(covers) > 1:
            columns[_CELL] = pd.MultiIndex.from_arrays([columns[SUBJECT], columns[STIMULUS]])
        everyone = np.zeros(n_trials, np.int64)
        self._names: dict[str, pd.Index] = {}
        self._pooled: dict[str, _Left] = {}
        self._people: dict[str, _Left] = {}
        for kind in [*covers, _CELL] if len(covers) > 1 else covers:
            units, self._names[kind] = columns[kind].factorize()
            self._pooled[kind] = _leave_out(task, outcome, units, folds, everyone)
            self._people[kind] = _leave_out(task, outcome, units, by_fold, people)

    def pooled(self, score: str, *, zero: bool = False) -> LeftOut:
        """Return the score of all trials; with `zero`, undefined scores are 0."""
        without = {}
        for kind, left in self._pooled.items():
            of_all, scores = left.of_groups[score][0], left.scores[score]
            if zero:
                of_all, scores = np.nan_to_num(of_all), np.nan_to_num(scores)
            without[kind] = scores
        return LeftOut(float(of_all), without, self._inflate(score))

    def over_people(self, score: str, *, minus: Jackknife | None = None) -> LeftOut:
        """Return the mean of people's scores; people without a score are left out.

        Parameters
        ----------
        score : str
        minus : Jackknife or None, default=None
            Another pipeline on the same trials. The scores of people are then differences.

        Returns
        -------
        LeftOut
        """
        without = {}
        for kind, left in self._people.items():
            before, after = left.of_groups[score], left.scores[score]
            if minus is not None:
                other_before, other_after = self._align(minus, kind, score)
                before, after = subtract(before, other_before), subtract(after, other_after)
            totals = np.array([np.nansum(before), np.sum(~np.isnan(before))])
            changes = np.nan_to_num([after, ~np.isnan(after)])
            changes -= np.nan_to_num([before, ~np.isnan(before)])[:, left.group]
            n_units = len(self._names[kind])
            total, n = (
                of_all + np.bincount(left.unit, change, minlength=n_units)
                for of_all, change in zip(totals, changes, strict=True)
            )
            without[kind] = divide(total, n)
        return LeftOut(float(divide(*totals)), without, self._inflate(score))

    def _inflate(self, score: str) -> float:
        return inflate_variance(score) if self._cross_validated else 1.0

    def each_person(self, score: str, minus: Jackknife, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Return each person's difference to another pipeline, and the same without each unit.

        Returns
        -------
        differences : ndarray of shape (n_people,)
        without : ndarray of shape (n_units, n_people)
        """
        left = self._people[kind]
        pairs = []
        other_before, other_after = self._align(minus, kind, score)
        for before, after in (
            (left.of_groups[score], left.scores[score]),
            (other_before, other_after),
        ):
            without = np.tile(before, (len(self._names[kind]), 1))
            without[left.unit, left.group] = after
            pairs.append(np.vstack([before, without]))
        differences = np.array([subtract(a, b) for a, b in zip(*pairs, strict=True)])
        return differences[0], differences[1:]

    def _align(self, other: Jackknife, kind: str, score: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of another pipeline in the order of this one's people and units."""
        left = other._people[kind]
        person = self._who.get_indexer(other._who)
        unit = self._names[kind].get_indexer(other._names[kind])
        order = np.lexsort((person[left.group], unit[left.unit]))
        return left.of_groups[score][np.argsort(person)], left.scores[score][order]


class PeopleScores(NamedTuple):
    """The tested score of each person, and its jackknife if the stimuli are a sample too."""

    score: str
    by_person: pd.Series
    jackknife: Jackknife | None = None

    def minus(self, other: PeopleScores) -> Gains:
        """Return the gains of people over another pipeline on the same trials."""
        against = other.by_person[self.by_person.index].to_numpy()
        gains = subtract(self.by_person.to_numpy(), against)
        crossed = None
        if self.jackknife is not None:
            crossed = self.jackknife.over_people(self.score, minus=other.jackknife)
        return Gains(gains[~np.isnan(gains)], crossed)


class Gains(NamedTuple):
    """Differences of people's scores, and their mean without each person, stimulus and cell.

    Attributes
    ----------
    of_people : ndarray of shape (n_people,)
        Without people whose difference is undefined.
    crossed : LeftOut or None
        None if stimuli are not covered.
    """

    of_people: np.ndarray
    crossed: LeftOut | None = None

    def p_above(self, value: float = 0.0) -> float:
        """Return p of the one-sided test that gains are above a value.

        Without stimuli, it is the signed-rank test; else the t test of the mean.
        """
        if self.crossed is not None:
            return self.crossed.p_above(value)
        values = np.full(len(self.of_people), value)
        return signed_rank_p(subtract(self.of_people, values), "greater")

    def p_below(self, value: float = 0.0) -> float:
        """Return p of the one-sided test that gains are below a value."""
        if self.crossed is not None:
            return self.crossed.p_below(value)
        values = np.full(len(self.of_people), value)
        return signed_rank_p(subtract(values, self.of_people), "greater")


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
    of_piece = task.sum_up(outcome, piece, False)
    rest = {name: of_stratum[stratum_of] - of_piece[name] for name, of_stratum in whole.items()}
    if "wins" in whole:
        involved = _count_wins(outcome, stratum, piece) - of_piece["wins"]
        rest["wins"] = whole["wins"][stratum_of] - involved
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
