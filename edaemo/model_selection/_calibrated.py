"""A protocol for new people who have labelled some trials."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

import numpy as np

from edaemo.model_selection._protocols import (
    Fold,
    SubjectKFold,
    TrialCodes,
    register_protocol,
    sides,
)


@register_protocol
class CalibratedSubjectKFold(SubjectKFold):
    """Hold out subjects except for their first k trials, protocol "subject-calibrated".

    The first k trials of each test subject are in training, with their labels, and are not in the
    test. The score is for a new person who has labelled k trials. Stimuli are on both sides of the
    split. Subjects with few trials, without a trial to test, are always in training.

    With another `k` or `first_tested` than the default, the name states them, as in
    "subject-calibrated, k = 2".

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, as for SubjectKFold. For the same seed and `first_tested`, the test trials
        of a fold do not depend on `k`.
    k : int, default=5
        Number of labelled trials of each test subject in training, at least 0. The first trials
        are those with the lowest ``trial`` of X, or in the order of the rows if X has no such
        column or index level.
    first_tested : int or None, default=None
        The first trial that is tested, counted from 0, at least `k`. Trials between are in neither
        set. Set it to the largest k of several protocols that are compared on the same test trials.
        None: `k`.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is invalid.

    Examples
    --------
    >>> cv = CalibratedSubjectKFold(2, k=1)
    >>> for training, test in cv.split([0] * 6, groups=["a", "a", "a", "b", "b", "b"]):
    ...     print(training, test)
    [0 3 4 5] [1 2]
    [0 1 2 3] [4 5]
    """

    k: int
    first_tested: int | None

    name = "subject-calibrated"
    summary = "hold out people except for their first k labelled trials"
    may_share: ClassVar[frozenset[str]] = frozenset({"subject", "stimulus"})
    uses_order: ClassVar[bool] = True
    warning = "trains on the first k labelled trials of each test person"

    def __init__(
        self,
        n_splits: int = 5,
        *,
        k: int = 5,
        first_tested: int | None = None,
        random_state: int = 0,
    ):
        super().__init__(n_splits, random_state=random_state)
        if not isinstance(k, Integral) or k < 0:
            raise ValueError(f"k must be an integer of at least 0, got {k!r}.")
        if first_tested is not None and (
            not isinstance(first_tested, Integral) or first_tested < k
        ):
            raise ValueError(
                f"first_tested must be an integer of at least k={k}, got {first_tested!r}, so that "
                "the labelled trials are not tested."
            )
        self.k = k
        self.first_tested = first_tested
        if (k, first_tested) != (5, None):
            # Stores and tables tell protocols apart by their names.
            after = "" if first_tested is None else f", tested after {first_tested}"
            vars(self)["name"] = f"{self.name}, k = {k}{after}"

    def inner(self, n_splits: int) -> CalibratedSubjectKFold:
        """Make a splitter of the training trials with the same `k` and `first_tested`."""
        return CalibratedSubjectKFold(
            n_splits, k=self.k, first_tested=self.first_tested, random_state=self.random_state
        )

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, place = trials.units("subject")[0], trials.place
        assert place is not None  # `uses_order`
        first_tested = self.k if self.first_tested is None else self.first_tested
        tested = place >= first_tested
        has_test = np.flatnonzero(np.isin(people, people[tested]))
        if not len(has_test):
            raise ValueError(
                f"No subject has more than {first_tested} trials, so that nothing is tested: lower "
                "k or first_tested."
            )
        fold = np.full(len(people), -1)
        fold[has_test] = self._allocate(trials.take(has_test), "subject")
        return [
            sides((fold != number) | (place < self.k), (fold == number) & tested)
            for number in range(self.n_splits)
        ]
