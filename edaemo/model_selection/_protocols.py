"""Evaluation protocols: scikit-learn splitters by subject, stimulus or trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from math import ceil, sqrt
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from edaemo._sklearn import UNCHANGED, Request
from edaemo._validation import (
    distinct_values,
    find_ids,
    identity,
    n_rows,
    suggest,
    trial_order,
)

if TYPE_CHECKING:  # as in `edaemo._sklearn`
    from sklearn.utils.metadata_routing import MetadataRequest

    class BaseCrossValidator(ABC):
        """A splitter."""

        @abstractmethod
        def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
            """Return the number of folds."""

        def get_metadata_routing(self) -> MetadataRequest:  # noqa: B027
            """Return the metadata that `split` requests."""

else:
    from sklearn.model_selection import BaseCrossValidator

Kind = TypeVar("Kind", bound="Protocol")
Fold = tuple[np.ndarray, np.ndarray]  # rows of the training and of the test trials

_IDS = ("subject", "stimulus", "viewing_group")  # ids of a trial that `split` takes
# Columns of the trials that a protocol can read.
_COLUMNS = (*_IDS, "version", "development")
# Integers or text with more distinct values than this are ratings or names, and not classes.
_MOST_CLASSES = 20


class Share(NamedTuple):
    """The share of the subjects to which a protocol is applied."""

    protocol: str  # name of the protocol for all subjects
    percent: float
    of: str  # "of the people" or "of the training people"


class TrialCodes(NamedTuple):
    """Codes of the subject, stimulus and class of each trial, shape (n,), from 0.

    Parameters
    ----------
    people : ndarray of int or None
        Subjects with the same code must be on the same side of a split. None if the subjects are
        unknown.
    stimuli : ndarray of int or None
        Stimuli. None if they are unknown.
    classes : ndarray of int
        Classes to balance over the folds. All 0 without classes.
    names : Index or None
        Names of the subjects by code. None if viewing groups joined subjects.
    versions : ndarray of int or None, default=None
        Versions of the study. None if they are unknown or not used.
    development : ndarray of bool or None, default=None
        Whether the subject is a development person. None if it is unknown or not used.
    place : ndarray of int or None, default=None
        Place of each trial in the session of its subject, from 0. None if the protocol does not
        use it.
    """

    people: np.ndarray | None
    stimuli: np.ndarray | None
    classes: np.ndarray
    names: pd.Index | None
    versions: np.ndarray | None = None
    development: np.ndarray | None = None
    place: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> TrialCodes:
        """Return the codes of some trials.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers of the trials.

        Returns
        -------
        TrialCodes
            The codes of these trials.
        """
        ids = (self.people, self.stimuli, self.versions, self.development, self.place)
        people, stimuli, versions, development, place = (
            None if codes is None else codes[rows] for codes in ids
        )
        classes = self.classes[rows]
        return TrialCodes(people, stimuli, classes, self.names, versions, development, place)

    def units(self, kind: str) -> tuple[np.ndarray, str]:
        """Return the unit of each trial, and the plural noun for these units.

        Parameters
        ----------
        kind : {"subject", "stimulus", "trial"}
            Kind of unit.

        Returns
        -------
        units : ndarray of int of shape (n,)
            Unit of each trial.
        noun : str
            Such as "people".
        """
        if kind == "trial":
            return np.arange(len(self.classes)), "trials"
        if kind == "stimulus":
            units, noun = self.stimuli, "stimuli"
        else:
            joined = self.names is None
            units = self.people
            noun = "groups of people who watched together" if joined else "people"
        assert units is not None  # `uses` lists the ids that a protocol needs
        return units, noun


class Protocol(BaseCrossValidator):
    """Base class of the protocols.

    To add a protocol, set the attributes, implement `folds`, and register the class with
    `register_protocol`.

    Attributes
    ----------
    name : str
        Name in `make_protocol`, on the command line, in stores and in tables.
    summary : str
        Short description that begins with a verb, such as "hold out whole people".
    may_share : frozenset of {"subject", "stimulus"}
        Ids that can be on both sides of the split. Subjects of the same viewing group are on both
        sides only if subjects can be on both sides.
    warning : str
        Warning that is shown with every score; empty for no warning.
    uses : dict of str to bool
        Ids that it reads, out of "subject", "stimulus" and "viewing_group", and whether each is
        required. "viewing_group" must come after "subject". Also the columns "version" (the version
        of the study that the subject followed) and "development" (whether the subject is a
        development person), which are read from X only.
    unit : {"subject", "stimulus", "trial"} or None
        Unit that is held out. It is also the meaning of a one-dimensional ``groups=``.
    has_validation : bool
        Whether the protocol defines its own validation fold.
    uses_order : bool
        Whether it reads the order of the trials of a subject.
    share : Share or None
        Share of the subjects to which the protocol is applied; None for all subjects.
    trains_on_development : bool
        Whether it trains on the development people, and tests the others. `evaluate` then passes
        all people.
    """

    # Metadata routing passes these ids without a request by the user.
    __metadata_request__split: ClassVar[dict[str, Any]] = {
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
    uses_order: ClassVar[bool] = False
    share: ClassVar[Share | None] = None
    trains_on_development: ClassVar[bool] = False

    if TYPE_CHECKING:  # scikit-learn makes it from the arguments of `split`

        def set_split_request(
            self,
            *,
            groups: Request = UNCHANGED,
            subject: Request = UNCHANGED,
            stimulus: Request = UNCHANGED,
            viewing_group: Request = UNCHANGED,
        ) -> Self:
            """Set which ids `split` requests."""

    @property
    def covers(self) -> tuple[str, ...]:
        """Ids of which the score is meant for new ones, so that intervals and tests cover them.

        This is the unit, if it is an id, else the ids that are never on both sides of the split. A
        protocol without such ids, as "trial", covers subjects.
        """
        ids = ("subject", "stimulus")
        if self.unit in ids:
            return (self.unit,)
        return tuple(kind for kind in ids if kind not in self.may_share) or ("subject",)

    @classmethod
    def make(cls, n_splits: int, random_state: int) -> Self:
        """Make the protocol with the arguments of `make_protocol`.

        Parameters
        ----------
        n_splits : int
            Number of folds.
        random_state : int
            Seed of the folds.

        Returns
        -------
        Protocol
            The protocol.
        """
        construct: Callable[..., Self] = cls  # other arguments: the subclass overrides this method
        return construct(n_splits, random_state=random_state)

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> int | None:
        """Return the `n_splits` that gives `n_folds` folds, or None if `n_splits` is not used.

        Parameters
        ----------
        n_folds : int
            Number of folds of one repeat.
        n_people : int
            Number of subjects of the study.

        Returns
        -------
        int or None
            The value of `n_splits`.
        """
        return n_folds

    def split(
        self,
        X: object,
        y: Sequence[Any] | np.ndarray | None = None,
        groups: Sequence[Any] | np.ndarray | None = None,
        *,
        subject: Sequence[Any] | np.ndarray | None = None,
        stimulus: Sequence[Any] | np.ndarray | None = None,
        viewing_group: Sequence[Any] | np.ndarray | None = None,
    ) -> Iterator[Fold]:
        """Yield the rows of the training and test trials of each fold.

        An id is taken from the keyword argument of its name, else from `groups`, else from X.

        Parameters
        ----------
        X : DataFrame or array-like with n rows
            A trials table, or a frame whose index has levels ``subject`` and ``stimulus``, contains
            the ids. Any other X requires the keyword arguments or `groups`.
        y : array-like of shape (n,), default=None
            Labels. They are balanced over the folds as far as whole units allow. Only the numbers
            of trials are balanced if y is None, holds ratings of two axes, holds fractional
            numbers, or has more than 20 distinct values.
        groups : array-like of shape (n,) or (n, 2) or DataFrame, default=None
            Ids, for callers without metadata routing. A one-dimensional array holds the subjects
            (for protocol "stimulus": the stimuli). An array with two columns holds subject and
            stimulus. A DataFrame has columns with the names of the ids, including
            ``viewing_group`` if it is known.
        subject : array-like of shape (n,), default=None
            Subject of each trial.
        stimulus : array-like of shape (n,), default=None
            Stimulus of each trial.
        viewing_group : array-like of shape (n,), default=None
            Group in which the stimulus was watched; missing (None, NaN) if the subject was alone.
            Subjects who are connected by viewing groups, directly or through other subjects, stay
            on the same side.

        Returns
        -------
        iterator of (ndarray, ndarray)
            Row numbers, ascending. Every trial is tested exactly once.

        Raises
        ------
        ValueError
            If an id that the protocol requires is unknown or missing for a row; if lengths differ;
            if there are fewer units than folds; or if a block has no training trials.
        """
        ids = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
        return iter(self.folds(self._read(X, y, groups, ids)))

    def split_with_validation(
        self,
        X: object,
        y: Sequence[Any] | np.ndarray | None = None,
        groups: Sequence[Any] | np.ndarray | None = None,
        *,
        n_inner: int = 5,
        subject: Sequence[Any] | np.ndarray | None = None,
        stimulus: Sequence[Any] | np.ndarray | None = None,
        viewing_group: Sequence[Any] | np.ndarray | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield the rows of the training, validation and test trials of each fold.

        The validation trials are the first fold of ``inner(n_inner)`` on the training trials, so
        that validation holds out the same kind of unit as the test.

        Parameters
        ----------
        X, y, groups : array-like
            As in `split`.
        n_inner : int, default=5
            Number of folds of the training trials; one of them is for validation. "paper" defines
            its own validation fold and ignores this argument.
        subject, stimulus, viewing_group : array-like
            As in `split`.

        Returns
        -------
        iterator of (ndarray, ndarray, ndarray)
            Row numbers, ascending. The test trials are those of `split`.

        Raises
        ------
        ValueError
            As in `split`, and also if the training trials of a fold cannot be split.
        """
        ids = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
        return iter(self.folds_with_validation(self._read(X, y, groups, ids), n_inner))

    def get_n_splits(
        self,
        X: object = None,
        y: Sequence[Any] | np.ndarray | None = None,
        groups: Sequence[Any] | np.ndarray | None = None,
        *,
        subject: Sequence[Any] | np.ndarray | None = None,
        stimulus: Sequence[Any] | np.ndarray | None = None,
        viewing_group: Sequence[Any] | np.ndarray | None = None,
    ) -> int:
        """Return the number of folds of `split` for the same arguments.

        Parameters
        ----------
        X, y, groups : array-like
            As in `split`.
        subject, stimulus, viewing_group : array-like
            As in `split`.

        Returns
        -------
        int
            The number of folds.

        Raises
        ------
        ValueError
            As in `split`, and also without X if the number of folds depends on the trials.
        """
        if X is None:
            raise ValueError(
                f"The number of folds of {type(self).__name__} depends on the trials: pass X and "
                "the ids, as for split."
            )
        ids = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
        return len(self.folds(self._read(X, y, groups, ids)))

    def inner(self, n_splits: int) -> Protocol:
        """Make a splitter of the training trials that holds out the same kind of unit.

        Parameters
        ----------
        n_splits : int
            Number of folds.

        Returns
        -------
        Protocol
            The splitter.
        """
        return self.make(n_splits, getattr(self, "random_state", 0))

    def find_groups(self, X: object) -> np.ndarray | None:
        """Return the code of the unit of each trial, for splitters that take ``groups=``.

        Parameters
        ----------
        X : DataFrame with n rows
            As in `split`.

        Returns
        -------
        ndarray of int of shape (n,) or None
            Subjects who are connected by viewing groups have the same code. None if the protocol
            does not hold out whole units of one kind: then no groups suit it.

        Raises
        ------
        ValueError
            As in `split`, if an id is unknown or missing.
        """
        if self.unit in (None, "trial", *self.may_share):
            return None
        return self._read(X, None, None, dict.fromkeys(_IDS)).units(str(self.unit))[0]

    @abstractmethod
    def folds(self, trials: TrialCodes) -> list[Fold]:
        """Return the rows of each fold.

        Parameters
        ----------
        trials : TrialCodes
            Codes of the trials.

        Returns
        -------
        list of (ndarray, ndarray)
            Rows of the training and of the test trials, ascending. Every trial is in one test set.
        """

    def folds_with_validation(
        self, trials: TrialCodes, n_inner: int
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return the rows of each fold's training, validation and test trials.

        Parameters
        ----------
        trials : TrialCodes
            Codes of the trials.
        n_inner : int
            Number of folds of the training trials; one of them is for validation.

        Returns
        -------
        list of (ndarray, ndarray, ndarray)
            As in `folds`, with the rows of the validation trials in between.
        """
        inner, folds = self.inner(n_inner), []
        for fold, (rows, test) in enumerate(self.folds(trials)):
            try:
                training, validation = inner.folds(trials.take(rows))[0]
            except ValueError as error:
                raise ValueError(
                    f"The training trials of fold {fold} cannot be split for validation with "
                    f"n_inner={n_inner}. {error}"
                ) from error
            folds.append((rows[training], rows[validation], test))
        return folds

    def _read(
        self,
        X: object,
        y: Sequence[Any] | np.ndarray | None,
        groups: Sequence[Any] | np.ndarray | None,
        ids: dict[str, Sequence[Any] | np.ndarray | None],
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
            given = ids.get(name)
            if given is None and name in _IDS:
                given = self.ids_in_groups(groups, name)
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
            if name == "development":
                trials = trials._replace(development=np.asarray(known, dtype=bool))
                continue
            codes, names = pd.factorize(known, sort=True)
            if name == "subject":
                place = self._find_places(X, codes) if self.uses_order else None
                trials = trials._replace(people=codes, names=names, place=place)
            elif name == "stimulus":
                trials = trials._replace(stimuli=codes)
            elif name == "version":
                trials = trials._replace(versions=codes)
            else:
                people, _ = trials.units("subject")
                trials = trials._replace(people=_join(people, codes), names=None)
        return trials

    def _find_places(self, X: object, people: np.ndarray) -> np.ndarray:
        """Return the place of each trial in the session of its subject, from 0."""
        trial = trial_order(X, type(self).__name__)
        rows = np.argsort(people, kind="stable") if trial is None else np.lexsort([trial, people])
        place = pd.Series(people[rows], index=rows).groupby(people[rows]).cumcount()
        return place.sort_index().to_numpy()

    def ids_in_groups(
        self, groups: Sequence[Any] | np.ndarray | None, name: str
    ) -> np.ndarray | None:
        """Return the ids called `name` in the ``groups`` of `split`.

        Parameters
        ----------
        groups : array-like, DataFrame or None
            As `split` takes them.
        name : {"subject", "stimulus", "viewing_group"}
            Which ids.

        Returns
        -------
        ndarray of shape (n_trials,) or None
            None if `groups` does not hold these ids.
        """
        if groups is None:
            return None
        if isinstance(groups, pd.DataFrame):
            if all(identity(groups, name) is None for name in _IDS):
                raise ValueError(
                    f"groups must have one of the columns {_IDS}, got {list(groups.columns)}."
                )
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


# The registered protocols by name.
PROTOCOLS: dict[str, type[Protocol]] = {}


def register_protocol(protocol: type[Kind]) -> type[Kind]:
    """Register a protocol for `make_protocol`, `evaluate` and ``edaemo compare --protocol``.

    Parameters
    ----------
    protocol : subclass of Protocol
        Class with the attributes ``name``, ``summary``, ``may_share`` and ``uses``, and with
        `folds`.

    Returns
    -------
    subclass of Protocol
        The same class, so that this function can be a decorator.

    Raises
    ------
    ValueError
        If it is not such a class, an attribute is missing or invalid, or another protocol has the
        same name.

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
            raise ValueError(f"{title} has no attribute {attribute}: set it in the class.")
    for attribute, possible in (("may_share", _IDS[:2]), ("uses", _COLUMNS)):
        invalid = sorted(map(str, set(getattr(protocol, attribute)) - set(possible)))
        if invalid:
            raise ValueError(f"{title}.{attribute} holds {invalid}: allowed are {list(possible)}.")
    known = PROTOCOLS.get(protocol.name, protocol)
    # A module that is loaded again registers the same class again.
    if (known.__module__, known.__qualname__) != (protocol.__module__, title):
        raise ValueError(
            f"A protocol {protocol.name!r} is already registered: choose another name."
        )
    PROTOCOLS[protocol.name] = protocol
    return protocol


class _KFold(Protocol):
    """Base class of protocols with whole units in `n_splits` folds; each fold is the test once."""

    n_splits: int
    random_state: int

    def __init__(self, n_splits: int = 5, *, random_state: int = 0):
        if not isinstance(n_splits, Integral) or n_splits < 2:
            raise ValueError(
                f"n_splits must be an integer of at least 2, got {n_splits!r}, so that each test "
                "has training trials."
            )
        if not isinstance(random_state, Integral) or random_state < 0:
            raise ValueError(
                f"random_state must be an integer of at least 0, got {random_state!r}, so that "
                "every call returns the same folds."
            )
        self.n_splits = n_splits
        self.random_state = random_state

    def get_n_splits(
        self,
        X: object = None,
        y: Sequence[Any] | np.ndarray | None = None,
        groups: Sequence[Any] | np.ndarray | None = None,
        *,
        subject: Sequence[Any] | np.ndarray | None = None,
        stimulus: Sequence[Any] | np.ndarray | None = None,
        viewing_group: Sequence[Any] | np.ndarray | None = None,
    ) -> int:
        """Return n_splits. All arguments are ignored."""
        return self.n_splits

    def folds(self, trials: TrialCodes) -> list[Fold]:
        assert self.unit is not None  # subclasses without a unit override this method
        fold = self._allocate(trials, self.unit)
        return [sides(fold != k, fold == k) for k in range(self.n_splits)]

    def _allocate(self, trials: TrialCodes, unit: str, owner: str = "there are") -> np.ndarray:
        units, noun = trials.units(unit)
        n_units = len(np.unique(units))
        if n_units < self.n_splits:
            advice = f"use at most {n_units}" if n_units > 1 else "nothing can be held out"
            raise ValueError(f"n_splits={self.n_splits}, but {owner} {n_units} {noun}: {advice}.")
        return allocate(units, trials.classes, self.n_splits, self.random_state)


@register_protocol
class SubjectKFold(_KFold):
    """Hold out whole subjects, protocol "subject".

    Stimuli are on both sides of the split.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, from 2 to the number of subjects (or of groups of subjects who watched
        together). The numbers of subjects in two folds differ by at most one.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is invalid.

    Examples
    --------
    >>> for training, test in SubjectKFold(2).split([0] * 6, groups=["a", "a", "b", "b", "c", "d"]):
    ...     print(training, test)
    [0 1 5] [2 3 4]
    [2 3 4] [0 1 5]
    """

    name = "subject"
    summary = "hold out whole people"
    may_share: ClassVar[frozenset[str]] = frozenset({"stimulus"})
    uses: ClassVar[dict[str, bool]] = {"subject": True, "viewing_group": False}
    unit: ClassVar[str | None] = "subject"

    def inner(self, n_splits: int) -> SubjectKFold:
        """Make a splitter of the training trials that holds out whole subjects."""
        return SubjectKFold(n_splits, random_state=self.random_state)


@register_protocol
class LeaveOneSubjectOut(Protocol):
    """Hold out one subject at a time, protocol "subject-loso".

    Subjects who watched together are held out together. Stimuli are on both sides of the split.
    """

    name = "subject-loso"
    summary = "hold out one person at a time"
    may_share: ClassVar[frozenset[str]] = frozenset({"stimulus"})
    uses: ClassVar[dict[str, bool]] = SubjectKFold.uses
    unit: ClassVar[str | None] = "subject"

    @classmethod
    def make(cls, n_splits: int, random_state: int) -> Self:
        """Make the protocol, which has one fold per subject, and no seed."""
        return cls()

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> None:
        """Return None: the number of folds is the number of subjects."""

    def inner(self, n_splits: int) -> SubjectKFold:
        """Make a splitter of the training trials that holds out whole subjects."""
        return SubjectKFold(n_splits)

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, noun = trials.units("subject")
        codes = np.unique(people)
        if len(codes) < 2:
            raise ValueError(f"Leave-one-out needs at least 2 {noun}, got {len(codes)}.")
        return [sides(people != code, people == code) for code in codes]


@register_protocol
class SubjectStimulusKFold(_KFold):
    """Hold out subjects and stimuli at once, protocol "subject+stimulus".

    Subjects are divided into k folds, and stimuli are divided into k folds. Block (i, j) tests the
    trials of subjects in fold i with stimuli in fold j. It trains on the trials of other subjects
    with other stimuli. If every subject has every stimulus, the training set is a share of
    ``((k - 1) / k) ** 2`` of all trials, 64 % for five folds.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds of the subjects and of the stimuli, from 2 to the number of either. There
        are ``n_splits ** 2`` blocks, minus the blocks without test trials.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is invalid.
    """

    name = "subject+stimulus"
    summary = "hold out people and stimuli at once"
    may_share: ClassVar[frozenset[str]] = frozenset()
    uses: ClassVar[dict[str, bool]] = {"subject": True, "viewing_group": False, "stimulus": True}

    if not TYPE_CHECKING:  # type checkers read the same signature in _KFold
        get_n_splits = Protocol.get_n_splits

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> int:
        """Return the square root: each fold of subjects is crossed with each fold of stimuli."""
        return ceil(sqrt(n_folds))

    def folds(self, trials: TrialCodes) -> list[Fold]:
        people, stimuli = self._allocate(trials, "subject"), self._allocate(trials, "stimulus")
        folds = []
        for i, j in np.unique(np.stack([people, stimuli], axis=1), axis=0):
            training, test = sides((people != i) & (stimuli != j), (people == i) & (stimuli == j))
            if not len(training):
                units = (trials.take(test).units(kind)[0] for kind in ("subject", "stimulus"))
                n_people, n_stimuli = (len(np.unique(codes)) for codes in units)
                raise ValueError(
                    f"The {len(test)} trials of {n_people} people with {n_stimuli} stimuli leave "
                    "no training trials of other people with other stimuli. Use another number of "
                    "folds or another random_state, or hold out only people (SubjectKFold)."
                )
            folds.append((training, test))
        return folds


@register_protocol
class StimulusKFold(_KFold):
    """Hold out whole stimuli, protocol "stimulus".

    Subjects are on both sides of the split.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, from 2 to the number of stimuli.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is invalid.
    """

    name = "stimulus"
    summary = "hold out whole stimuli"
    may_share: ClassVar[frozenset[str]] = frozenset({"subject"})
    uses: ClassVar[dict[str, bool]] = {"stimulus": True}
    unit: ClassVar[str | None] = "stimulus"


@register_protocol
class WithinSubjectKFold(_KFold):
    """Train and test within each subject, protocol "within-subject".

    Each subject has `n_splits` folds. The folds of a subject follow one another. A fold holds whole
    stimuli if stimuli are known, else single trials.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds of each subject, from 2 to the smallest number of stimuli (or trials) of a
        subject.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is invalid.
    """

    name = "within-subject"
    summary = "train and test on the same person alone"
    may_share: ClassVar[frozenset[str]] = frozenset({"subject"})
    uses: ClassVar[dict[str, bool]] = {"subject": True, "stimulus": False}
    unit: ClassVar[str | None] = "subject"

    if not TYPE_CHECKING:  # type checkers read the same signature in _KFold
        get_n_splits = Protocol.get_n_splits

    @classmethod
    def n_splits_of(cls, n_folds: int, n_people: int) -> int:
        """Return the number of folds of one subject."""
        return n_folds // n_people

    def folds(self, trials: TrialCodes) -> list[Fold]:
        unit = "trial" if trials.stimuli is None else "stimulus"
        people, _ = trials.units("subject")
        assert trials.names is not None  # viewing groups are not used
        folds = []
        for person in np.unique(people):
            rows = np.flatnonzero(people == person)
            fold = self._allocate(trials.take(rows), unit, f"subject {trials.names[person]} has")
            folds += [(rows[fold != k], rows[fold == k]) for k in range(self.n_splits)]
        return folds


@register_protocol
class TrialKFold(_KFold):
    """Hold out trials at random, stratified by label, protocol "trial".

    Published results often use this split. Subjects and stimuli are on both sides of it, so a model
    can recognise the subjects and stimuli of the test trials instead of emotions.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, from 2 to the number of trials.
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If a parameter is invalid.
    """

    name = "trial"
    summary = "hold out trials at random, stratified by label"
    may_share: ClassVar[frozenset[str]] = frozenset({"subject", "stimulus"})
    warning = "leaks subjects and stimuli"
    uses: ClassVar[dict[str, bool]] = {}
    unit: ClassVar[str | None] = "trial"


@register_protocol
class PaperKFold(SubjectKFold):
    """Hold out subjects as in the RTCAN-1D paper, protocol "paper" [1]_.

    Subjects are divided into ten folds. One fold is the test. The next fold is for validation, and
    `split` excludes it from the training trials. The other eight folds are for training. Stimuli
    are on both sides.

    Parameters
    ----------
    random_state : int, default=0
        Seed of the folds.

    Raises
    ------
    ValueError
        If it is not an integer of at least 0.

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
        all_rows = np.arange(len(trials.classes))
        return [
            (np.setdiff1d(all_rows, np.union1d(validation, test)), validation, test)
            for validation, test in zip(validations, tests, strict=True)
        ]


def make_protocol(name: str, n_splits: int = 5, random_state: int = 0) -> Protocol:
    """Make a protocol by name.

    Parameters
    ----------
    name : str
        Name in ``PROTOCOLS``.
    n_splits : int, default=5
        Number of folds. Not used by "subject-loso", which has one fold per subject, and by "paper",
        which has ten.
    random_state : int, default=0
        Seed of the folds. Not used by "subject-loso".

    Returns
    -------
    Protocol
        The protocol.

    Raises
    ------
    ValueError
        If the protocol is unknown, or a parameter is invalid.

    Examples
    --------
    >>> make_protocol("subject+stimulus", n_splits=4)
    SubjectStimulusKFold(n_splits=4, random_state=0)
    """
    if name not in PROTOCOLS:
        raise ValueError(f"Unknown protocol {name!r}: {suggest(name, PROTOCOLS)}")
    return PROTOCOLS[name].make(n_splits, random_state)


def allocate(units: np.ndarray, classes: np.ndarray, n_splits: int, seed: int) -> np.ndarray:
    """Assign whole units to folds with similar numbers of trials and class shares.

    First, the units are shuffled, sorted by their most frequent class, and dealt to the folds. The
    numbers of units in two folds then differ by at most one. Second, each unit is swapped once with
    the unit that reduces the differences between folds most. The criterion is the sum of squares,
    over folds, of the fold's share of all trials and of its shares of each class. More rounds
    improve the balance little, and would give the same few folds for most seeds.

    scikit-learn's StratifiedGroupKFold does not accept ratings, and its folds differ in their
    numbers of groups. With 40 subjects of unequal trial numbers in five folds, they differ by 4.5
    groups on average, and by up to 10.

    Parameters
    ----------
    units : ndarray of int of shape (n,)
        The unit of each trial.
    classes : ndarray of int of shape (n,)
        The class of each trial, from 0.
    n_splits : int
        Number of folds, at most the number of units.
    seed : int
        Seed of the shuffling.

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
    for unit in order if n_units < len(units) else ():  # single trials are balanced already
        step = share[unit] - share
        change = (step * (step + load[fold] - load[fold[unit]])).sum(axis=1)
        other = change.argmin()
        if change[other] < -1e-12:
            load[fold[unit]] -= step[other]
            load[fold[other]] += step[other]
            fold[[unit, other]] = fold[[other, unit]]
    return fold[units]


def read_classes(y: Sequence[Any] | np.ndarray | None) -> tuple[np.ndarray, pd.Index] | None:
    """Return the class code of each trial, and the classes.

    Parameters
    ----------
    y : array-like or None
        Labels or ratings.

    Returns
    -------
    codes : ndarray of int of shape (n,)
        Number of the class of each trial, from 0.
    classes : Index
        The classes, sorted. If y does not hold classes, None is returned in place of both.
    """
    values = None if y is None else distinct_values(y)
    if values is None or values.shape[1:] not in ((), (1,)):
        return None
    values = values.ravel().astype(float if values.dtype.kind == "f" else values.dtype)
    if values.dtype.kind == "f" and not (values == np.round(values)).all():
        return None
    codes, classes = pd.factorize(values, sort=True, use_na_sentinel=False)
    return (codes, pd.Index(classes)) if len(classes) <= _MOST_CLASSES else None


def _join(people: np.ndarray, viewing_groups: np.ndarray) -> np.ndarray:
    """Return one code for subjects connected by viewing groups (code -1: watched alone)."""
    together = viewing_groups >= 0
    n_people = people.max() + 1
    n = n_people + viewing_groups.max(initial=-1) + 1
    edges = people[together], n_people + viewing_groups[together]
    graph = coo_array((np.ones(together.sum()), edges), shape=(n, n))
    return connected_components(graph, directed=False)[1][people]


def sides(training: np.ndarray, test: np.ndarray) -> Fold:
    """Return the row numbers of two masks."""
    return np.flatnonzero(training), np.flatnonzero(test)
