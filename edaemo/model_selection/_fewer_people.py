"""Fewer people: nested draws, with the test people fixed, or out of a set that shrinks."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from edaemo.model_selection._protocols import (
    PROTOCOLS,
    Fold,
    Protocol,
    Share,
    SubjectKFold,
    TrialCodes,
    make_protocol,
)

# What the protocols below were called when a fold was stored without its share.
_NAME = re.compile(r"(.+), ([\d.]+) % (of the people|of the training people)")
_DRAW = 4  # sets the draws apart from the deal of the folds, which has the same seed


def draw_rows(people: np.ndarray, percent: float, seed: int) -> np.ndarray:
    """Draw people; those of a smaller percentage are among those of a larger.

    Parameters
    ----------
    people : ndarray of shape (n_trials,)
        Whose trial each is.
    percent : float
        How many of them, in percent, rounded to whole people; one at least.
    seed : int

    Returns
    -------
    ndarray of int
        Rows of the trials of the people drawn, ascending.
    """
    order = np.random.default_rng([_DRAW, seed]).permutation(np.unique(people))
    drawn = order[: max(1, round(percent / 100 * len(order)))]
    return np.flatnonzero(np.isin(people, drawn))


def _write_name(share: Share) -> str:
    return f"{share.protocol}, {share.percent:g} % {share.of}"


def share_of(audit: Mapping | None, protocol: str | None) -> Share | None:
    """Return the share of the people that a stored fold was evaluated on; None for all.

    Parameters
    ----------
    audit : dict or None
        What is stored of the fold's data; ``share`` in it says so. Folds stored before 2026-11-29
        have none: there the name of the protocol says so.
    protocol : str or None
        What the fold's protocol is called.
    """
    if audit and "share" in audit:
        return None if audit["share"] is None else Share(**audit["share"])
    found = _NAME.fullmatch(protocol or "")
    return None if found is None else Share(found[1], float(found[2]), found[3])


class FewerTrainingPeople(SubjectKFold):
    """Hold out whole people, each fold's test staying what it is, and train on some of the others.

    Parameters
    ----------
    n_splits : int, default=5
        As of SubjectKFold.
    percent : float, default=100
        Of each fold's training people. Draws of the same seed are nested.
    random_state : int, default=0
        Seed of the folds and of the draws.
    """

    def __init__(self, n_splits: int = 5, *, percent: float = 100, random_state: int = 0):
        super().__init__(n_splits, random_state=random_state)
        self.percent = percent

    @property
    def name(self) -> str:  # type: ignore[override]
        """What the store and the tables call it."""
        return _write_name(self.share)

    @property
    def share(self) -> Share:  # type: ignore[override]
        """The share of the people that each fold trains on."""
        return Share("subject", self.percent, "of the training people")

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, _ = trials.units("subject")
        folds = []
        for training, test in super().folds(trials):
            drawn = draw_rows(people[training], self.percent, self.random_state)
            folds.append((training[drawn], test))
        return folds


class FewerPeople(Protocol):
    """Another protocol on some of the people alone: the test shrinks with the training set.

    Parameters
    ----------
    protocol : str, default="subject"
        A name out of ``PROTOCOLS``.
    n_splits : int, default=5
        Its folds.
    percent : float, default=100
        Of the people. Draws of the same seed are nested.
    random_state : int, default=0
        Seed of the folds and of the draws.
    """

    def __init__(
        self,
        protocol: str = "subject",
        n_splits: int = 5,
        *,
        percent: float = 100,
        random_state: int = 0,
    ):
        self.protocol = protocol
        self.n_splits = n_splits
        self.percent = percent
        self.random_state = random_state

    @property
    def name(self) -> str:  # type: ignore[override]
        """What the store and the tables call it."""
        return _write_name(self.share)

    @property
    def share(self) -> Share:  # type: ignore[override]
        """The share of the people that take part."""
        return Share(self.protocol, self.percent, "of the people")

    @property
    def uses(self) -> dict[str, bool]:  # type: ignore[override]
        """The ids that it reads: those of the protocol, and the people."""
        return {"subject": True} | PROTOCOLS[self.protocol].uses

    @property
    def may_share(self) -> frozenset[str]:  # type: ignore[override]
        """What may be on both sides, as of the protocol."""
        return PROTOCOLS[self.protocol].may_share

    @property
    def warning(self) -> str:  # type: ignore[override]
        """What has to be said of it, as of the protocol."""
        return PROTOCOLS[self.protocol].warning

    def inner(self, n_splits: int) -> Protocol:
        """Make the splitter that holds the same kind of unit out of the training trials."""
        return make_protocol(self.protocol, self.n_splits, self.random_state).inner(n_splits)

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, _ = trials.units("subject")
        rows = draw_rows(people, self.percent, self.random_state)
        within = make_protocol(self.protocol, self.n_splits, self.random_state)
        return [(rows[training], rows[test]) for training, test in within.folds(trials.take(rows))]
