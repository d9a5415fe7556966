"""Protocols that hold out a version of the study, or all people outside of the development set."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from edaemo.model_selection._protocols import (
    Fold,
    Protocol,
    SubjectKFold,
    TrialCodes,
    register_protocol,
)


class _ByPeople(Protocol):
    """Base class of protocols whose folds follow from a column, with whole people on one side."""

    may_share: ClassVar[frozenset[str]] = frozenset({"stimulus"})
    unit: ClassVar[str | None] = "subject"

    @classmethod
    def make(cls, n_splits: int, random_state: int) -> Self:
        """Make the protocol, which has neither a number of folds nor a seed."""
        return cls()

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> None:
        """Return None: the folds follow from a column of the trials."""

    def inner(self, n_splits: int) -> SubjectKFold:
        """Make a splitter of the training trials that holds out whole subjects."""
        return SubjectKFold(n_splits)


@register_protocol
class ConditionHeldOut(_ByPeople):
    """Hold out one version of a study at a time, protocol "condition-held-out".

    A version is what differs between groups of people: the order of blocks, or the version of the
    experiment. The column ``version`` of the trials names it. Each fold tests the trials of one
    version and trains on the trials of other people with other versions. A rule that only knows the
    order of the trials then does not transfer from training to test. Stimuli are on both sides.
    """

    name = "condition-held-out"
    summary = "hold out one version of the study, such as an order of blocks"
    uses: ClassVar[dict[str, bool]] = {"subject": True, "viewing_group": False, "version": True}

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, versions = trials.units("subject")[0], trials.versions
        assert versions is not None  # `uses` requires it
        codes = np.unique(versions)
        if len(codes) < 2:
            raise ValueError("All trials have the same version, so none can be held out.")
        folds = []
        for code in codes:
            test = versions == code
            training = ~np.isin(people, people[test])
            if not training.any():
                raise ValueError(
                    "All people have trials of the same version, so no people with other versions "
                    "are left for training. Use a protocol that holds out people."
                )
            folds.append((np.flatnonzero(training), np.flatnonzero(test)))
        return folds


@register_protocol
class NewPeople(_ByPeople):
    """Train on the development people and test on all others, protocol "new-people".

    There is one fold. The column ``development`` of the trials, true or false, states who was used
    to choose the pipelines; `evaluate` adds it. Stimuli are on both sides. Unlike with the other
    protocols, the training trials are never tested.
    """

    name = "new-people"
    summary = "train on the development people and test on all others"
    uses: ClassVar[dict[str, bool]] = {
        "subject": True,
        "viewing_group": False,
        "development": True,
    }
    trains_on_development = True

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, development = trials.units("subject")[0], trials.development
        assert development is not None  # `uses` requires it
        test = ~development
        training = development & ~np.isin(people, people[test])
        if not training.any() or not test.any():
            missing = "other" if training.any() else "development"
            raise ValueError(f"The study has no {missing} people, so it cannot be split.")
        return [(np.flatnonzero(training), np.flatnonzero(test))]
