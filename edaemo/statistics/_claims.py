"""Test what a table claims about its pipelines: that they read EDA, and that music helps.

A pipeline declares what it uses. A claim compares it with every row that could reach its score
without the claimed input. The claim holds only if the pipeline is above all of these rows. All
claims about the pipelines of a family are adjusted together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import nct, t

from edaemo.statistics._crossed import Gains, LeftOut, PeopleScores
from edaemo.statistics._scores import adjust_holm

# Level of significance of all tests, after the correction by Holm.
LEVEL = 0.05
POWER = 0.8
_MOST_PEOPLE = 1_000_000


class Claim(NamedTuple):
    """A claim about a pipeline: its column in a table, its words, and the claimed input."""

    column: str
    title: str
    what: str
    without: str

    def inputs(self, used: Collection[str]) -> set[str]:
        """Return the inputs that the claim is about, of those that a pipeline uses."""
        if self.column == "reads_signals":  # a pipeline that uses EDA has a claim about EDA
            return set() if "eda" in used else set(used) - {"music"}
        return set(used) & {"eda" if self.column == "reads_eda" else "music"}


# The claims about a pipeline that tables test.
CLAIMS = (
    Claim("reads_eda", "Reads EDA", "EDA", "without EDA"),
    Claim("reads_signals", "Reads other signals", "signals", "without signals"),
    Claim("music_helps", "Music helps", "music", "without music"),
)


class _Tested(NamedTuple):
    """A claim about one pipeline: the rows it is compared with, the largest p, and its row."""

    pipeline: str
    claim: Claim
    rivals: list[str]
    p: float
    nearest: str | None


def find_rivals(
    uses: Mapping[str, Sequence[str]], rows: Collection[str], pipeline: str, claim: Claim
) -> list[str]:
    """Return the rows that a pipeline must be above, so that a claim about it holds.

    Parameters
    ----------
    uses : mapping of str to sequence of str
        What each row uses: names of signals, such as "eda", and "music".
    rows : collection of str
        The rows that are compared.
    pipeline : str
    claim : Claim

    Returns
    -------
    list of str
        Every row that uses neither the claimed input nor a signal that the pipeline does not use.
        Music is not a signal, since it is known without a recording: EDA may only tell which song
        was heard.
    """
    others = {*uses[pipeline], "music"} - claim.inputs(uses[pipeline])
    return [row for row in rows if others.issuperset(uses[row])]


def judge(
    uses: Mapping[str, Sequence[str]],
    people: Mapping[str, PeopleScores],
    *,
    rows: Collection[str],
    tested: Sequence[str],
    references: Sequence[str],
    chance_row: str,
    margin: float,
) -> pd.DataFrame:
    """Test all claims about the pipelines of a family, and their equivalence to chance.

    Parameters
    ----------
    uses : mapping of str to sequence of str
        What each row and each pipeline of the family uses.
    people : mapping of str to PeopleScores
        Scores of people, for each row without failed folds.
    rows : collection of str
        The rows that a pipeline may be compared with. If a rival among them has no scores, the
        claim is not tested.
    tested : sequence of str
        The pipelines of the family. A pipeline without scores counts in the adjustment.
    references : sequence of str
        The rows that use no signal and no music.
    chance_row : str
        The row that uses no input.
    margin : float
        Margin of the equivalence test, in the unit of the score.

    Returns
    -------
    DataFrame
        One row for each tested pipeline, by name. For each claim ``p_…``, the largest p over its
        rivals, adjusted by Holm for all claims of the family; ``p_…_alone``, without adjustment;
        ``nearest_…``, the rival with the largest p; ``detectable_…``, see `find_detectable`;
        ``needed_…``, see `find_needed`, for the gain over this rival. They are missing if a claim
        does not apply or is not tested. ``p_equivalent``, and for each reference ``p_above_…``,
        adjusted by Holm for all pipelines of the family. ``n_claims``, the number of claims of the
        family.
    """

    @cache
    def above(name: str, rival: str) -> float:
        """Return p of a row above another one; NaN if one has no scores."""
        if name not in people or rival not in people:
            return np.nan
        return people[name].minus(people[rival]).p_above()

    def test(name: str, claim: Claim) -> _Tested:
        rivals = find_rivals(uses, rows, name, claim)
        p = [above(name, row) for row in rivals]
        if not rivals or np.isnan(p).any():
            return _Tested(name, claim, rivals, np.nan, None)
        means = [people[row].by_person.mean() for row in rivals]
        largest = max(zip(p, means, rivals, strict=True))  # of equal p, the row with more
        return _Tested(name, claim, rivals, largest[0], largest[2])

    claims = [test(name, claim) for name in tested for claim in CLAIMS if claim.inputs(uses[name])]
    found: dict[str, dict[str, object]] = {name: {"n_claims": len(claims)} for name in tested}
    adjusted = _adjust([tested_claim.p for tested_claim in claims])
    for (name, claim, rivals, p, nearest), p_holm in zip(claims, adjusted, strict=True):
        found[name] |= {
            f"p_{claim.column}": p_holm,
            f"p_{claim.column}_alone": p,
            f"nearest_{claim.column}": nearest,
            f"detectable_{claim.column}": np.nan
            if nearest is None
            else _detect(people, name, rivals, LEVEL / len(claims)),
            f"needed_{claim.column}": np.nan
            if nearest is None
            else find_needed(
                people[name].minus(people[nearest]).of_people, level=LEVEL / len(claims)
            ),
        }
    for row in references:
        column = p_column(row)
        for name, p in zip(tested, _adjust([above(name, row) for name in tested]), strict=True):
            found[name][column] = p
    equivalent = _adjust([_p_equivalent(people, name, chance_row, margin) for name in tested])
    for name, p in zip(tested, equivalent, strict=True):
        found[name]["p_equivalent"] = p
    forms = ("p_{}", "p_{}_alone", "nearest_{}", "detectable_{}", "needed_{}")
    columns = [form.format(claim.column) for claim in CLAIMS for form in forms]
    columns += ["n_claims", "p_equivalent", *map(p_column, references)]
    index = pd.Index(list(found), dtype=object)
    return pd.DataFrame(list(found.values()), index=index, columns=columns)


def p_column(reference: str) -> str:
    """Return the column name of the tests against a reference row."""
    return f"p_above_{reference.replace('-', '_')}"


def _adjust(p: Sequence[float]) -> np.ndarray:
    """Adjust by Holm; a test that was not possible counts, and stays NaN."""
    counted = [1.0 if np.isnan(value) else value for value in p]
    return np.where(np.isnan(p), np.nan, adjust_holm(counted))


def _detect(
    people: Mapping[str, PeopleScores], name: str, rivals: Sequence[str], level: float
) -> float:
    """Return a gain over all rivals that is found with at least the probability `POWER`."""
    power = 1 - (1 - POWER) / len(rivals)  # the gains over all rivals must be found together
    gains = [people[name].minus(people[rival]) for rival in rivals]
    effects = [
        find_detectable(gain.of_people, level=level, power=power)
        if gain.crossed is None
        else _find_detectable_mean(gain.crossed, level, power)
        for gain in gains
    ]
    return float(np.max(effects))  # NaN if one is NaN


def _find_detectable_mean(gain: LeftOut, level: float, power: float) -> float:
    """Return the smallest mean gain that the t test over people and stimuli finds.

    It is infinite or NaN as in `find_detectable`.
    """
    standard_error, df = gain.spread()
    if 2.0 ** -min(len(scores) for scores in gain.without.values()) >= level:
        return np.inf
    return np.nan if standard_error == 0 else _find_shift(level, power, df) * standard_error


def find_detectable(gains: np.ndarray, *, level: float = LEVEL, power: float = POWER) -> float:
    """Return the smallest mean gain that the one-sided signed-rank test finds.

    Parameters
    ----------
    gains : ndarray of shape (n_people,)
        Gain of each person; only the standard deviation is used.
    level : float, default=0.05
        Level of the test.
    power : float, default=0.8
        Probability that the gain is found.

    Returns
    -------
    float
        From the noncentral t distribution with 3/π times as many people, since this is the relative
        efficiency of the signed-rank test for normal gains (Lehmann, Nonparametrics, 1975, section
        2.4). Infinite if there are so few people that the smallest p, 2^−n, is not below the level.
        NaN if the gains do not vary, so that their spread is unknown.
    """
    n = len(gains)
    if 2.0**-n >= level:
        return np.inf
    deviation = gains.std(ddof=1)
    if deviation == 0:
        return np.nan
    return _find_shift(level, power, n - 1) * deviation / float(np.sqrt(n * 3 / np.pi))


def find_needed(gains: np.ndarray, *, level: float = LEVEL, power: float = POWER) -> float:
    """Return how many people a study needs to find the mean of these gains.

    Parameters
    ----------
    gains : ndarray of shape (n_people,)
        Gain of each person. Their mean and standard deviation are taken for the true ones.
    level : float, default=0.05
        Level of the test.
    power : float, default=0.8
        Probability that the gain is found.

    Returns
    -------
    float
        The smallest number of people for which `find_detectable` is at most the mean gain. Infinite
        if the mean is not above 0, or if more than a million people are needed. NaN if the gains do
        not vary, or with fewer than two people.
    """
    if len(gains) < 2 or gains.std(ddof=1) == 0:
        return np.nan
    mean, deviation = gains.mean(), gains.std(ddof=1)
    if mean <= 0:
        return np.inf
    fewest = int(np.floor(-np.log2(level))) + 1  # as in `find_detectable`

    def finds(n: int) -> bool:
        return _find_shift(level, power, n - 1) * deviation <= mean * np.sqrt(n * 3 / np.pi)

    high = fewest
    while not finds(high):
        high *= 2
        if high > _MOST_PEOPLE:
            return np.inf
    low = max(fewest, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if finds(middle) else (middle + 1, high)
    return float(high)


def _find_shift(level: float, power: float, df: float) -> float:
    """Return the mean that a one-sided t test finds, in standard errors."""
    threshold = t.ppf(1 - level, df)
    return float(brentq(lambda x: nct.cdf(threshold, df, x) - (1 - power), 0, 2 * threshold + 10))


def _p_equivalent(
    people: Mapping[str, PeopleScores], name: str, chance_row: str, margin: float
) -> float:
    if name not in people or chance_row not in people:
        return np.nan
    return p_equivalent(people[name].minus(people[chance_row]), margin)


def p_equivalent(gains: Gains, margin: float) -> float:
    """Return p of two one-sided tests that the gain is between −margin and margin.

    It is the larger p of the two tests (Schuirmann, Journal of Pharmacokinetics and
    Biopharmaceutics 15(6), 1987).
    """
    return max(gains.p_below(margin), gains.p_above(-margin))
