"""Protocols on a share of the subjects, drawn in nested subsets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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

# Names of the protocols below in old stores, whose folds have no share.
_NAME = re.compile(r"(.+), ([\d.]+) % (of the people|of the training people)")
_DRAW = 4  # makes these draws independent of the folds, which have the same seed


def draw_rows(people: np.ndarray, percent: float, seed: int) -> np.ndarray:
    """Draw a share of the subjects; draws with the same seed are nested.

    Parameters
    ----------
    people : ndarray of shape (n_trials,)
        Subject of each trial.
    percent : float
        Share of the subjects in percent. The number of subjects is rounded; it is at least 1.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of int
        Row numbers of the trials of the drawn subjects, ascending.
    """
    order = np.random.default_rng([_DRAW, seed]).permutation(np.unique(people))
    drawn = order[: max(1, round(percent / 100 * len(order)))]
    return np.flatnonzero(np.isin(people, drawn))


def _write_name(share: Share) -> str:
    return f"{share.protocol}, {share.percent:g} % {share.of}"


def share_of(audit: Mapping[str, Any] | None, protocol: str | None) -> Share | None:
    """Return the share of the subjects in a stored fold, or None for all subjects.

    Parameters
    ----------
    audit : dict or None
        Stored facts of the data of the fold. Its key ``share`` holds the share. For folds stored
        before 2026-11-29, which lack this key, the share is read from `protocol`.
    protocol : str or None
        Name of the protocol of the fold.

    Returns
    -------
    Share or None
        The share; None for all subjects.
    """
    if audit and "share" in audit:
        return None if audit["share"] is None else Share(**audit["share"])
    match = _NAME.fullmatch(protocol or "")
    return None if match is None else Share(match[1], float(match[2]), match[3])


def covers_of(audit: Mapping[str, Any] | None, protocol: str | None) -> tuple[str, ...]:
    """Return the ids that intervals and tests of a stored fold cover.

    Parameters
    ----------
    audit : dict or None
        Stored facts of the data of the fold. Its key ``covers`` holds the ids. For folds stored
        before 2026-11-29, which lack this key, the ids are those of the registered protocol, or of
        an unregistered one the ids that are never on both sides.
    protocol : str or None
        Name of the protocol of the fold.

    Returns
    -------
    tuple of {"subject", "stimulus"}
        One or both ids.
    """
    if audit and "covers" in audit:
        return tuple(audit["covers"])
    share = share_of(audit, protocol)
    name = protocol if share is None else share.protocol
    if name in PROTOCOLS:
        return make_protocol(name).covers
    shared = (audit or {}).get("may_share", ["stimulus"])
    return tuple(kind for kind in ("subject", "stimulus") if kind not in shared) or ("subject",)


class FewerTrainingPeople(SubjectKFold):
    """Hold out whole subjects, and train each fold on a share of the other subjects.

    The test sets are those of :class:`SubjectKFold`.

    Parameters
    ----------
    n_splits : int, default=5
        As for SubjectKFold.
    percent : float, default=100
        Share of the training subjects of each fold, in percent. Draws with the same seed are
        nested.
    random_state : int, default=0
        Seed of the folds and of the draws.
    """

    def __init__(self, n_splits: int = 5, *, percent: float = 100, random_state: int = 0):
        super().__init__(n_splits, random_state=random_state)
        self.percent = percent

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the protocol in stores and tables."""
        return _write_name(self.share)

    @property
    def share(self) -> Share:  # type: ignore[override]
        """Share of the training subjects of each fold."""
        return Share("subject", self.percent, "of the training people")

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, _ = trials.units("subject")
        folds = []
        for training, test in super().folds(trials):
            drawn = draw_rows(people[training], self.percent, self.random_state)
            folds.append((training[drawn], test))
        return folds


class FewerPeople(Protocol):
    """Apply a protocol to a share of the subjects; training and test set shrink together.

    Parameters
    ----------
    protocol : str, default="subject"
        Name of a protocol in ``PROTOCOLS``.
    n_splits : int, default=5
        Number of folds of the protocol.
    percent : float, default=100
        Share of the subjects in percent. Draws with the same seed are nested.
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
        """Name of the protocol in stores and tables."""
        return _write_name(self.share)

    @property
    def share(self) -> Share:  # type: ignore[override]
        """Share of the subjects in all folds."""
        return Share(self.protocol, self.percent, "of the people")

    @property
    def uses(self) -> dict[str, bool]:  # type: ignore[override]
        """Ids that the protocol reads, and the subjects."""
        return {"subject": True} | PROTOCOLS[self.protocol].uses

    @property
    def may_share(self) -> frozenset[str]:  # type: ignore[override]
        """Ids that can be on both sides of the split, as for the protocol."""
        return PROTOCOLS[self.protocol].may_share

    @property
    def covers(self) -> tuple[str, ...]:
        """Ids that intervals and tests cover, as for the protocol."""
        return make_protocol(self.protocol, self.n_splits, self.random_state).covers

    @property
    def warning(self) -> str:  # type: ignore[override]
        """Warning that is shown with every score, as for the protocol."""
        return PROTOCOLS[self.protocol].warning

    def inner(self, n_splits: int) -> Protocol:
        """Make a splitter of the training trials that holds out the same kind of unit."""
        return make_protocol(self.protocol, self.n_splits, self.random_state).inner(n_splits)

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, _ = trials.units("subject")
        rows = draw_rows(people, self.percent, self.random_state)
        within = make_protocol(self.protocol, self.n_splits, self.random_state)
        return [(rows[training], rows[test]) for training, test in within.folds(trials.take(rows))]
