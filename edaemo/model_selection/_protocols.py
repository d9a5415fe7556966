"""Evaluation protocols: scikit-learn splitters that know whose trial it is, and which stimulus."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from numbers import Integral
from typing import ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import BaseCrossValidator

from edaemo._validation import distinct_values, find_ids, identity, n_rows, suggest

Fold = tuple[np.ndarray, np.ndarray]  # rows of the training and of the test trials

_IDS = ("subject", "stimulus", "viewing_group")  # what a protocol may read of a trial
# Whole numbers or text with more values than this are ratings or names, not classes to balance.
_MOST_CLASSES = 20


class Share(NamedTuple):
    """The share of the people that a protocol is carried out on."""

    protocol: str  # name of the protocol for all people
    percent: float
    of: str  # "of the people" or "of the training people"


class TrialCodes(NamedTuple):
    """What a protocol knows of each trial: codes of shape (n,) that count from 0.

    Attributes
    ----------
    people : ndarray of int or None
        One code for those who must stay on one side together; None where subjects are unknown.
    stimuli : ndarray of int or None
    classes : ndarray of int
        Classes to balance over the folds; all 0 where there are none.
    names : Index or None
        Names of the people by code; None where viewing groups joined them.
    """

    people: np.ndarray | None
    stimuli: np.ndarray | None
    classes: np.ndarray
    names: pd.Index | None

    def take(self, rows: np.ndarray) -> TrialCodes:
        """Return what is known of some trials."""
        people, stimuli = (None if of is None else of[rows] for of in (self.people, self.stimuli))
        return TrialCodes(people, stimuli, self.classes[rows], self.names)

    def units(self, kind: str) -> tuple[np.ndarray, str]:
        """Return the unit of each trial, and what such units are called."""
        if kind == "trial":
            return np.arange(len(self.classes)), "trials"
        if kind == "stimulus":
            units, called = self.stimuli, "stimuli"
        else:
            joined = self.names is None
            units = self.people
            called = "groups of people who watched together" if joined else "people"
        assert units is not None  # a protocol asks for what it needs, by its `uses`
        return units, called


class Protocol(BaseCrossValidator):
    """Base of the protocols: whose a trial is, and validation inside the training set.

    A protocol of one's own sets the attributes, gives `folds`, and becomes known by
    `register_protocol`.

    Attributes
    ----------
    name : str
        What `make_protocol`, the command line, the store and the tables call it.
    summary : str
        What it holds out, in a few words with a verb: "hold out whole people".
    may_share : frozenset of {"subject", "stimulus"}
        What it shares between the two sides of the split, as its name announces. People who share a
        viewing group cross only where subjects do.
    warning : str
        What has to be said wherever a score is shown; empty if nothing.
    uses : dict of str to bool
        The ids that it reads out of "subject", "stimulus" and "viewing_group", and whether each is
        needed. "viewing_group" comes after "subject".
    unit : {"subject", "stimulus", "trial"} or None
        What it holds out, and what ``groups=`` of one dimension holds.
    has_validation : bool
        Whether it sets a validation fold of its own aside.
    share : Share or None
        The share of the people it is carried out on; None for all.
    """

    # Routing hands the ids over with no call by the user; all protocols take the same.
    __metadata_request__split: ClassVar[dict] = {
        "groups": True,
        "subject": True,
        "stimulus": True,
        "viewing_group": True,
    }

    name: ClassVar[str]
    summary: ClassVar[str]
    may_share: ClassVar[frozenset[str]]
    warning: ClassVar[str] = ""
    uses: ClassVar[dict[str, bool]]
    unit: ClassVar[str | None] = None
    has_validation: ClassVar[bool] = False
    share: ClassVar[Share | None] = None

    @classmethod
    def make(cls, n_splits: int, random_state: int) -> Self:
        """Make the protocol, as `make_protocol` does by its name."""
        return cls(n_splits, random_state=random_state)

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> int | None:
        """Return the `n_splits` that gave so many folds; None where it has no say in that.

        Parameters
        ----------
        n_folds : int
            Folds of one repeat.
        n_people : int
            People of the study.
        """
        return n_folds

    def split(
        self,
        X: object,
        y: Sequence | np.ndarray | None = None,
        groups: Sequence | np.ndarray | None = None,
        *,
        subject: Sequence | np.ndarray | None = None,
        stimulus: Sequence | np.ndarray | None = None,
        viewing_group: Sequence | np.ndarray | None = None,
    ) -> Iterator[Fold]:
        """Give the rows of each fold's training and test trials.

        An id is looked for in the keyword of its name, then in `groups`, then in X.

        Parameters
        ----------
        X : DataFrame or array-like with n rows
            A trials table or a frame whose index has levels ``subject`` and ``stimulus`` says whose
            trials they are; anything else needs the keywords or `groups`.
        y : array-like of shape (n,), default=None
            Labels, balanced over the folds as far as whole units allow. With None, ratings of two
            axes, fractional numbers or more than 20 different values, the numbers of trials alone
            are balanced.
        groups : array-like of shape (n,) or (n, 2) or DataFrame, default=None
            For callers without metadata routing. One dimension holds the subjects (for "stimulus":
            the stimuli); two columns hold subject and stimulus; a DataFrame names them, and
            ``viewing_group`` where known.
        subject : array-like of shape (n,), default=None
            Whose trial it is.
        stimulus : array-like of shape (n,), default=None
            What was watched or heard.
        viewing_group : array-like of shape (n,), default=None
            Who watched together; missing (None, NaN) for one who was alone. People joined by
            viewing groups, directly or through others, stay on one side.

        Returns
        -------
        iterator of (ndarray, ndarray)
            Row numbers, ascending. Every trial is tested exactly once.

        Raises
        ------
        ValueError
            If an id that the protocol needs is not known, or missing for a row; if lengths differ;
            if there are fewer units than folds, or a block is left without training trials.
        """
        ids = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
        return iter(self.folds(self._read(X, y, groups, ids)))

    def split_with_validation(
        self,
        X: object,
        y: Sequence | np.ndarray | None = None,
        groups: Sequence | np.ndarray | None = None,
        *,
        n_inner: int = 5,
        subject: Sequence | np.ndarray | None = None,
        stimulus: Sequence | np.ndarray | None = None,
        viewing_group: Sequence | np.ndarray | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Give each fold's training, validation and test trials.

        Validation is held out of the training trials as the test is held out of all: it is the
        first fold of ``inner(n_inner)`` there.

        Parameters
        ----------
        X, y, groups, subject, stimulus, viewing_group
            As in `split`.
        n_inner : int, default=5
            Validation takes one of so many folds of the training trials. "paper" has a validation
            fold of its own and ignores it.

        Returns
        -------
        iterator of (ndarray, ndarray, ndarray)
            Row numbers, ascending; the tests are those of `split`.

        Raises
        ------
        ValueError
            As in `split`, also for the training trials of a fold.
        """
        ids = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
        return iter(self.folds_with_validation(self._read(X, y, groups, ids), n_inner))

    def get_n_splits(
        self,
        X: object = None,
        y: Sequence | np.ndarray | None = None,
        groups: Sequence | np.ndarray | None = None,
        *,
        subject: Sequence | np.ndarray | None = None,
        stimulus: Sequence | np.ndarray | None = None,
        viewing_group: Sequence | np.ndarray | None = None,
    ) -> int:
        """Count the folds that `split` gives for the same arguments.

        Raises
        ------
        ValueError
            As in `split`, and without X where the number depends on the trials.
        """
        if X is None:
            raise ValueError(
                f"How many folds {type(self).__name__} has depends on the trials: give X, and the "
                "ids, as to split."
            )
        ids = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
        return len(self.folds(self._read(X, y, groups, ids)))

    def inner(self, n_splits: int) -> Protocol:
        """Make the splitter that holds the same kind of unit out of the training trials.

        Parameters
        ----------
        n_splits : int
            Its folds.

        Returns
        -------
        Protocol
        """
        return self.make(n_splits, getattr(self, "random_state", 0))

    @abstractmethod
    def folds(self, trials: TrialCodes) -> list[Fold]:
        """Return the rows of each fold.

        Parameters
        ----------
        trials : TrialCodes
            What `split` has read of the trials.

        Returns
        -------
        list of (ndarray, ndarray)
            Rows of the training and of the test trials, ascending. Every trial is tested once.
        """

    def folds_with_validation(
        self, trials: TrialCodes, n_inner: int
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return the rows of each fold's training, validation and test trials; see `folds`."""
        inner, folds = self.inner(n_inner), []
        for fold, (rows, test) in enumerate(self.folds(trials)):
            try:
                training, validation = inner.folds(trials.take(rows))[0]
            except ValueError as error:
                raise ValueError(
                    f"The training trials of fold {fold} allow no validation with n_inner="
                    f"{n_inner}. {error}"
                ) from error
            folds.append((rows[training], rows[validation], test))
        return folds

    def _read(
        self,
        X: object,
        y: Sequence | np.ndarray | None,
        groups: Sequence | np.ndarray | None,
        ids: dict[str, Sequence | np.ndarray | None],
    ) -> TrialCodes:
        n = n_rows(X)
        for name, given in {"y": y, "groups": groups, **ids}.items():
            if given is not None and np.shape(given)[:1] != (n,):
                raise ValueError(
                    f"{name} must hold one value for each of the {n} trials, got shape "
                    f"{np.shape(given)}."
                )
        classes = read_classes(y)
        trials = TrialCodes(None, None, np.zeros(n, int) if classes is None else classes[0], None)
        for name, needed in self.uses.items():
            given = self._from_groups(groups, name) if ids[name] is None else ids[name]
            known = find_ids(
                name,
                X,
                given,
                needed_by=type(self).__name__ if needed else None,
                or_pass="groups=",
                may_miss=name == "viewing_group",
            )
            if known is None:
                continue
            codes, names = pd.factorize(known, sort=True)
            if name == "subject":
                trials = trials._replace(people=codes, names=names)
            elif name == "stimulus":
                trials = trials._replace(stimuli=codes)
            else:
                people, _ = trials.units("subject")
                trials = trials._replace(people=_join(people, codes), names=None)
        return trials

    def _from_groups(self, groups: Sequence | np.ndarray | None, name: str) -> np.ndarray | None:
        """Return the ids called `name` out of groups, or None."""
        if groups is None:
            return None
        if isinstance(groups, pd.DataFrame):
            if all(identity(groups, name) is None for name in _IDS):
                raise ValueError(f"groups has none of the columns {_IDS}: {list(groups.columns)}.")
            return identity(groups, name)
        values = distinct_values(groups)
        if values.ndim == 2 and values.shape[1] == 2:
            return {"subject": values[:, 0], "stimulus": values[:, 1]}.get(name)
        if values.ndim == 1 and self.unit is not None:
            return values if name == self.unit else None
        raise ValueError(
            f"groups for {type(self).__name__} must be a DataFrame with columns 'subject' and "
            f"'stimulus' or an array of shape (n, 2), subject first; got shape {values.shape}."
        )


# The protocols that are known by name.
PROTOCOLS: dict[str, type[Protocol]] = {}


def register_protocol(protocol: type[Protocol]) -> type[Protocol]:
    """Let `make_protocol`, `evaluate` and ``edaemo compare --protocol`` know a protocol by name.

    Parameters
    ----------
    protocol : subclass of Protocol
        With its attributes ``name``, ``summary``, ``may_share`` and ``uses``, and with `folds`.

    Returns
    -------
    subclass of Protocol
        The same, so that this serves as a decorator.

    Raises
    ------
    ValueError
        If it is no such class, an attribute is absent or none of what it may be, or another
        protocol has the name.

    Examples
    --------
    >>> @register_protocol
    ... class Halves(SubjectKFold):
    ...     '''Hold out half of the people.'''
    ...     name, summary = "halves", "hold out half of the people"
    ...
    ...     @classmethod
    ...     def make(cls, n_splits, random_state):
    ...         return cls(2, random_state=random_state)
    >>> make_protocol("halves", random_state=3)
    Halves(n_splits=2, random_state=3)
    >>> del PROTOCOLS["halves"]
    """
    if not (isinstance(protocol, type) and issubclass(protocol, Protocol)):
        raise ValueError(f"A protocol must be a subclass of Protocol, got {protocol!r:.80}.")
    title = protocol.__qualname__
    for attribute in ("name", "summary", "may_share", "uses"):
        if not hasattr(protocol, attribute):
            raise ValueError(f"{title} does not say its {attribute}: set it in the class.")
    for attribute, possible in (("may_share", _IDS[:2]), ("uses", _IDS)):
        strange = sorted(map(str, set(getattr(protocol, attribute)) - set(possible)))
        if strange:
            raise ValueError(f"{title}.{attribute} holds {strange}: it may hold {list(possible)}.")
    known = PROTOCOLS.get(protocol.name, protocol)
    # A module that is loaded again brings the same class in again.
    if (known.__module__, known.__qualname__) != (protocol.__module__, title):
        raise ValueError(f"There is a protocol {protocol.name!r} already: choose another name.")
    PROTOCOLS[protocol.name] = protocol
    return protocol


class _KFold(Protocol):
    """Whole units in n_splits folds, each of which is the test once."""

    n_splits: int
    random_state: int

    def __init__(self, n_splits: int = 5, *, random_state: int = 0):
        if not isinstance(n_splits, Integral) or n_splits < 2:
            raise ValueError(
                f"n_splits={n_splits!r}: give a whole number of at least 2, so that each test has "
                "trials to train on."
            )
        if not isinstance(random_state, Integral) or random_state < 0:
            raise ValueError(
                f"random_state={random_state!r}: give a whole number of at least 0, so that every "
                "call gives the same folds."
            )
        self.n_splits = n_splits
        self.random_state = random_state

    def get_n_splits(
        self,
        X: object = None,
        y: Sequence | np.ndarray | None = None,
        groups: Sequence | np.ndarray | None = None,
        *,
        subject: Sequence | np.ndarray | None = None,
        stimulus: Sequence | np.ndarray | None = None,
        viewing_group: Sequence | np.ndarray | None = None,
    ) -> int:
        """Return n_splits; all arguments are ignored."""
        return self.n_splits

    def folds(self, trials: TrialCodes) -> list[Fold]:
        assert self.unit is not None  # a subclass without one gives its own folds
        fold = self._allocate(trials, self.unit)
        return [_sides(fold != k, fold == k) for k in range(self.n_splits)]

    def _allocate(self, trials: TrialCodes, unit: str, whose: str = "there are") -> np.ndarray:
        units, called = trials.units(unit)
        n_units = len(np.unique(units))
        if n_units < self.n_splits:
            least = f"give at most {n_units}" if n_units > 1 else "nothing can be held out"
            raise ValueError(f"n_splits={self.n_splits}, but {whose} {n_units} {called}: {least}.")
        return allocate(units, trials.classes, self.n_splits, self.random_state)


@register_protocol
class SubjectKFold(_KFold):
    """Hold out whole people, protocol "subject".

    Stimuli are on both sides of the split.

    Parameters
    ----------
    n_splits : int, default=5
        Folds; at least 2, at most as many as people (or groups of people who watched together).
        The numbers of people in two folds differ by one at most.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is none of the above.

    Examples
    --------
    >>> for training, test in SubjectKFold(2).split([0] * 6, groups=["a", "a", "b", "b", "c", "d"]):
    ...     print(training, test)
    [0 1 5] [2 3 4]
    [2 3 4] [0 1 5]
    """

    name = "subject"
    summary = "hold out whole people"
    may_share = frozenset({"stimulus"})
    uses: ClassVar = {"subject": True, "viewing_group": False}
    unit = "subject"

    def inner(self, n_splits: int) -> SubjectKFold:
        """Make the splitter that holds whole people out of the training trials."""
        return SubjectKFold(n_splits, random_state=self.random_state)


@register_protocol
class LeaveOneSubjectOut(Protocol):
    """Hold out one person at a time, protocol "subject-loso".

    People who watched together are held out together. Stimuli are on both sides of the split.
    """

    name = "subject-loso"
    summary = "hold out one person at a time"
    may_share = frozenset({"stimulus"})
    uses: ClassVar = SubjectKFold.uses
    unit = "subject"

    @classmethod
    def make(cls, n_splits: int, random_state: int) -> Self:
        """Make the protocol, which has as many folds as people, and no seed."""
        return cls()

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> None:
        """Return None: the people are the folds."""

    def inner(self, n_splits: int) -> SubjectKFold:
        """Make the splitter that holds whole people out of the training trials."""
        return SubjectKFold(n_splits)

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, called = trials.units("subject")
        codes = np.unique(people)
        if len(codes) < 2:
            raise ValueError(f"To leave one out takes at least 2 {called}, got {len(codes)}.")
        return [_sides(people != code, people == code) for code in codes]


@register_protocol
class SubjectStimulusKFold(_KFold):
    """Hold out people and stimuli at once, protocol "subject+stimulus".

    People are in k folds, and so are stimuli. Block (i, j) tests the trials of people in fold i
    with stimuli in fold j, and trains on the trials of other people with other stimuli: with all
    people crossed with all stimuli, on a share of ``((k - 1) / k) ** 2``, 64 % for five folds.

    Parameters
    ----------
    n_splits : int, default=5
        Folds of the people and of the stimuli; at least 2, at most as many as there are. Blocks in
        which there is nothing to test are left out; without such there are ``n_splits ** 2``.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is none of the above.
    """

    name = "subject+stimulus"
    summary = "hold out people and stimuli at once"
    may_share = frozenset()
    uses: ClassVar = {"subject": True, "viewing_group": False, "stimulus": True}

    get_n_splits = Protocol.get_n_splits

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> int:
        """Return the root: each part of the people comes with each part of the stimuli."""
        return ceil(sqrt(n_folds))

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, stimuli = self._allocate(trials, "subject"), self._allocate(trials, "stimulus")
        folds = []
        for i, j in np.unique(np.stack([people, stimuli], axis=1), axis=0):
            training, test = _sides((people != i) & (stimuli != j), (people == i) & (stimuli == j))
            if not len(training):
                units = (trials.take(test).units(kind)[0] for kind in ("subject", "stimulus"))
                n_people, n_stimuli = (len(np.unique(codes)) for codes in units)
                raise ValueError(
                    f"The {len(test)} trials of {n_people} people with {n_stimuli} stimuli leave "
                    "no trials of other people with other stimuli to train on: give another number "
                    "of folds or another random_state, or hold out people alone (SubjectKFold)."
                )
            folds.append((training, test))
        return folds


@register_protocol
class StimulusKFold(_KFold):
    """Hold out whole stimuli, protocol "stimulus".

    People are on both sides of the split.

    Parameters
    ----------
    n_splits : int, default=5
        Folds; at least 2, at most as many as stimuli.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is none of the above.
    """

    name = "stimulus"
    summary = "hold out whole stimuli"
    may_share = frozenset({"subject"})
    uses: ClassVar = {"stimulus": True}
    unit = "stimulus"


@register_protocol
class WithinSubjectKFold(_KFold):
    """Train and test on the same person alone, protocol "within-subject".

    There are n_splits folds for each person, one person after the other. A fold holds whole
    stimuli where stimuli are known, else single trials.

    Parameters
    ----------
    n_splits : int, default=5
        Folds of each person; at least 2, at most as many as each person's stimuli (or trials).
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is none of the above.
    """

    name = "within-subject"
    summary = "train and test on the same person alone"
    may_share = frozenset({"subject"})
    uses: ClassVar = {"subject": True, "stimulus": False}
    unit = "subject"

    get_n_splits = Protocol.get_n_splits

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> int:
        """Return the folds of one person."""
        return n_folds // n_people

    def folds(self, trials: TrialCodes) -> list[Fold]:
        unit = "trial" if trials.stimuli is None else "stimulus"
        people, _ = trials.units("subject")
        assert trials.names is not None  # no viewing groups are read
        folds = []
        for person in np.unique(people):
            own = np.flatnonzero(people == person)
            fold = self._allocate(trials.take(own), unit, f"subject {trials.names[person]} has")
            folds += [(own[fold != k], own[fold == k]) for k in range(self.n_splits)]
        return folds


@register_protocol
class TrialKFold(_KFold):
    """Hold out trials at random, stratified by label, protocol "trial".

    Published results often come from such a split. Subjects and stimuli are on both sides of it, so
    a model may recognise the test trials' people and songs rather than emotions.

    Parameters
    ----------
    n_splits : int, default=5
        Folds; at least 2, at most as many as trials.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is none of the above.
    """

    name = "trial"
    summary = "hold out trials at random, stratified by label"
    may_share = frozenset({"subject", "stimulus"})
    warning = "leaks subjects and stimuli"
    uses: ClassVar = {}
    unit = "trial"


@register_protocol
class PaperKFold(SubjectKFold):
    """Hold out people as the RTCAN-1D paper says, protocol "paper" [1]_.

    People are in ten folds. One is the test; the next is for validation, and `split` leaves it out
    of the training trials; the other eight are for training. Stimuli are on both sides.

    Parameters
    ----------
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If it is no whole number of at least 0.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022).
    """

    name = "paper"
    summary = "hold out people as the RTCAN-1D paper says"

    has_validation = True

    def __init__(self, *, random_state: int = 0):
        super().__init__(10, random_state=random_state)

    @classmethod
    def make(cls, n_splits: int, random_state: int) -> Self:
        """Make the protocol, which has ten folds."""
        return cls(random_state=random_state)

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> None:
        """Return None: there are always ten folds."""

    def folds(self, trials: TrialCodes) -> list[Fold]:
        return [(training, test) for training, _, test in self.folds_with_validation(trials, 0)]

    def folds_with_validation(
        self, trials: TrialCodes, n_inner: int
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        tests = [test for _, test in super().folds(trials)]
        validations = [*tests[1:], tests[0]]
        everyone = np.arange(len(trials.classes))
        return [
            (np.setdiff1d(everyone, np.union1d(validation, test)), validation, test)
            for validation, test in zip(validations, tests, strict=True)
        ]


def make_protocol(name: str, n_splits: int = 5, random_state: int = 0) -> Protocol:
    """Make a protocol by its name.

    Parameters
    ----------
    name : str
        One of ``PROTOCOLS``.
    n_splits : int, default=5
        Its folds; "subject-loso" has as many as people, and "paper" has ten.
    random_state : int, default=0
        Its seed; "subject-loso" has none.

    Returns
    -------
    Protocol

    Raises
    ------
    ValueError
        If there is no such protocol, or a parameter is none of the above.

    Examples
    --------
    >>> make_protocol("subject+stimulus", n_splits=4)
    SubjectStimulusKFold(n_splits=4, random_state=0)
    """
    if name not in PROTOCOLS:
        raise ValueError(f"There is no protocol {name!r}: {suggest(name, PROTOCOLS)}")
    return PROTOCOLS[name].make(n_splits, random_state)


def allocate(units: np.ndarray, classes: np.ndarray, n_splits: int, seed: int) -> np.ndarray:
    """Put whole units into folds that are alike in their trials and classes.

    The units are dealt out at random, those with the same most frequent class after one another,
    so that the numbers of units in two folds differ by one at most. Then each unit in turn changes
    places with the one that makes the folds most alike, by the sum of squares, over folds, of the
    fold's share of all trials and of its shares of each class. Going on after one round gains
    little and would lead from most seeds to the same few folds.

    scikit-learn's StratifiedGroupKFold refuses ratings, and its folds differ in their numbers of
    groups: with 40 people of unequal trial numbers in five folds by 4.5 on average, up to 10.

    Parameters
    ----------
    units : ndarray of int of shape (n,)
        The unit of each trial.
    classes : ndarray of int of shape (n,)
        The class of each trial, from 0.
    n_splits : int
        Folds; no more than units.
    seed : int
        Of the deal.

    Returns
    -------
    ndarray of int of shape (n,)
        The fold of each trial's unit.
    """
    _, units = np.unique(units, return_inverse=True)
    n_units = units.max() + 1
    counts = np.zeros((n_units, 2 + classes.max()))  # of all trials, then of each class
    counts[:, 0] = np.bincount(units)
    np.add.at(counts, (units, 1 + classes), 1)
    share = counts / np.maximum(counts.sum(axis=0), 1)

    order = np.random.default_rng(seed).permutation(n_units)
    order = order[np.argsort(counts[order, 1:].argmax(axis=1), kind="stable")]
    fold = np.empty(n_units, dtype=np.int64)
    fold[order] = np.arange(n_units) % n_splits
    load = np.zeros((n_splits, share.shape[1]))
    np.add.at(load, fold, share)
    for unit in order if n_units < len(units) else ():  # single trials are dealt out well
        step = share[unit] - share
        change = (step * (step + load[fold] - load[fold[unit]])).sum(axis=1)
        other = change.argmin()
        if change[other] < -1e-12:
            load[fold[unit]] -= step[other]
            load[fold[other]] += step[other]
            fold[[unit, other]] = fold[[other, unit]]
    return fold[units]


def read_classes(y: Sequence | np.ndarray | None) -> tuple[np.ndarray, pd.Index] | None:
    """Return the class of each trial as a code, and the classes; None where y holds none."""
    values = None if y is None else distinct_values(y)
    if values is None or values.shape[1:] not in ((), (1,)):
        return None
    values = values.ravel().astype(float if values.dtype.kind == "f" else values.dtype)
    if values.dtype.kind == "f" and not (values == np.round(values)).all():
        return None
    codes, classes = pd.factorize(values, sort=True, use_na_sentinel=False)
    return (codes, pd.Index(classes)) if len(classes) <= _MOST_CLASSES else None


def _join(people: np.ndarray, viewing_groups: np.ndarray) -> np.ndarray:
    """Give people who are connected by viewing groups (code -1: watched alone) one code."""
    together = viewing_groups >= 0
    n_people = people.max() + 1
    n = n_people + viewing_groups.max(initial=-1) + 1
    edges = people[together], n_people + viewing_groups[together]
    graph = coo_array((np.ones(together.sum()), edges), shape=(n, n))
    return connected_components(graph, directed=False)[1][people]


def _sides(training: np.ndarray, test: np.ndarray) -> Fold:
    return np.flatnonzero(training), np.flatnonzero(test)
