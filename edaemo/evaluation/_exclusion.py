"""Exclude trials by a declared rule on the quality of their signals."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np

from edaemo._sklearn import AnyBunch
from edaemo._validation import suggest
from edaemo.evaluation._registry import EvaluationError
from edaemo.preprocessing import DEFECTS, signal_quality

FLAGGED = "flagged"


class Exclusion(NamedTuple):
    """A rule and the trials that it excludes.

    `rule` is the text of the rule, as on the command line. `limits` holds the largest value that a
    trial may have, by column of `signal_quality`. `excluded` has shape (n_trials, n_limits) and
    marks the values above their limits.
    """

    rule: str
    limits: dict[str, float]
    excluded: np.ndarray

    def keep(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows that are not excluded."""
        return rows[~self.excluded[rows].any(axis=1)]

    def count_defects(self, rows: np.ndarray) -> dict[str, int]:
        """Return how many of the rows are above each limit; a row may be above several."""
        counts = self.excluded[rows].sum(axis=0)
        return {name: int(n) for name, n in zip(self.limits, counts, strict=True) if n}


def make_exclusion(study: AnyBunch, rule: object) -> Exclusion | None:
    """Apply a rule to the trials of a study.

    Parameters
    ----------
    study : Bunch
        As a loader returns it.
    rule : None, "flagged", str or mapping of str to float
        As for `evaluate`.

    Returns
    -------
    Exclusion or None
        None if `rule` is None.

    Raises
    ------
    EvaluationError
        If the rule is not valid, or the study has no EDA or no sampling rate.
    """
    if rule is None:
        return None
    limits = _read_rule(rule)
    if "eda" not in study.trials or study.get("sampling_rate") is None:
        raise EvaluationError(
            f"quality={rule!r} needs EDA and its sampling rate: {study.name} lacks them."
        )
    values = signal_quality(study)[list(limits)].to_numpy(dtype=np.float64)
    return Exclusion(_name_rule(limits), limits, values > np.array(list(limits.values())))


def describe_counts(counts: Mapping[str, int]) -> str:
    """Return the counts of an exclusion as text, such as "242 flat, 65 lost_contact_share"."""
    return ", ".join(f"{n} {name}" for name, n in counts.items())


def _read_rule(rule: object) -> dict[str, float]:
    """Return the limits of a rule, in the order of `DEFECTS`."""
    if rule == FLAGGED:
        return dict.fromkeys(DEFECTS, 0.0)
    if isinstance(rule, str):
        rule = dict(part.partition("=")[::2] for part in rule.split(","))
    if not isinstance(rule, Mapping) or not rule:
        raise EvaluationError(
            f"quality={rule!r:.80} must be None, {FLAGGED!r}, or limits such as "
            '{"flat": 0, "lost_contact_share": 0.5}.'
        )
    limits: dict[str, float] = {}
    for name, limit in rule.items():
        if name not in DEFECTS:
            raise EvaluationError(
                f"quality names {name!r}, which signal_quality does not count: "
                f"{suggest(name, DEFECTS)}"
            )
        limits[name] = _read_limit(name, limit)
    return {name: limits[name] for name in DEFECTS if name in limits}


def _read_limit(name: str, limit: object) -> float:
    try:
        number = float(limit) if isinstance(limit, Real | str) else np.nan
    except ValueError:
        number = np.nan
    if not 0 <= number < np.inf:
        raise EvaluationError(f"quality: the limit of {name} must be at least 0, got {limit!r}.")
    return number


def _name_rule(limits: Mapping[str, float]) -> str:
    """Return the text from which `_read_rule` reads the same limits."""
    if limits == dict.fromkeys(DEFECTS, 0.0):
        return FLAGGED
    return ",".join(f"{name}={limit:g}" for name, limit in limits.items())
