"""What a corpus is: what is said of it once, and what reading it gives."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd
from sklearn.utils._param_validation import StrOptions

from edaemo.datasets._cache import CACHE, Column, Reading, read_through_cache
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._window import Window

MICROSIEMENS = "microsiemens"
OHM = "ohm"


class Option(NamedTuple):
    """A setting that the reader of a corpus takes beside those that all have.

    Attributes
    ----------
    default : object
        The value where the user gives none.
    constraints : list
        What is allowed, as scikit-learn's parameter constraints: types, tuples of values, ….
    """

    default: Any
    constraints: list[Any]


def choose(*values: str) -> Option:
    """Return an option with a closed list of words, the first of them the default."""
    return Option(values[0], [StrOptions(set(values))])


def choose_signals(*default: str) -> Option:
    """Return the option ``signals``: which columns of arrays are read."""
    return Option(default, [tuple, list])


# The option ``units`` of corpora whose EDA is not recorded in microsiemens.
UNITS = choose(MICROSIEMENS, "as_recorded")


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """The specification of a corpus: all that is known of it before its files are read.

    Attributes
    ----------
    name : str
        What it is called in tables and on the command line, in small letters.
    title : str
        One line, the proper name before a colon: ``"DEAP: physiological signals while …"``.
    description : str
        What stands in ``DESCR`` between the title and the licence: what was done, and what to know
        before believing a score.
    licence, citation, how_to_get : str
        Under which terms the data are, what to cite, and where they come from.
    marker : str or pattern
        What it is recognised by. A file at its root: the corpus is then one folder or one archive.
        Or a pattern that the path of some file ends in: files may then lie at any depth, loose or
        in any number of zip archives.
    read : callable
        Takes a :class:`CorpusSource` and, by name, each of `options`; returns a
        :class:`CorpusContent`.
    units : dict of str to str
        Signal (column of arrays) → its unit. With ``eda`` the corpus has EDA, and windows are cut
        out of its trials. EDA in ``"ohm"`` becomes microsiemens unless the option ``units`` is
        ``"as_recorded"``.
    sampling_rate : float or None
        Samples of the signals per second (Hz); None where the content says it.
    rating_range : tuple (lowest, highest) or None
        What ratings are within.
    targets : tuple of str
        The ratings, or other columns of the content, that are to be predicted.
    development : tuple of str, or callable
        The people on whom defaults may be decided, or what says of an id whether it is one.
    folder : str
        The corpus's folder, or archive without ``.zip``, in the places that are searched; by
        default `name`.
    like : str
        A file for messages; by default `marker`.
    loader : str
        The function that loads it, for messages; by default ``load_corpus``.
    stimuli : str
        What the stimuli are called in the report, where they are counted; "" counts none.
    channels : dict of str to tuple of str
        Signal → the names of its channels.
    options : dict of str to Option
        What `read` takes.
    window : tuple (start, stop), 'end' or None
        The default of what is cut out of each trial; see :func:`cut_window`.
    reader : int or None
        The version of `read`, raised when the same files are read as other numbers: part of the key
        of what is cached. None caches nothing.
    masked : bool
        Whether samples may be missing: those become NaN and are counted, and trials with fewer than
        two others are left out. False where `read` refuses them.
    artificial : bool
        Whether no person took part.
    """

    name: str
    title: str
    description: str
    licence: str
    citation: str
    how_to_get: str
    marker: str | re.Pattern[str]
    read: Callable[..., CorpusContent]
    units: Mapping[str, str]
    sampling_rate: float | None
    rating_range: tuple[float, float] | None
    targets: tuple[str, ...] = ("arousal", "valence")
    development: tuple[str, ...] | Callable[[str], bool] = ()
    folder: str = ""
    like: str = ""
    loader: str = ""
    stimuli: str = "stimuli"
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)
    window: Window = None
    reader: int | None = None
    masked: bool = True
    artificial: bool = False

    def __post_init__(self) -> None:
        """Fill in what follows from the rest; frozen afterwards."""
        marker = self.marker.pattern if isinstance(self.marker, re.Pattern) else self.marker
        made = {
            "folder": self.folder or self.name,
            "like": self.like or marker,
            "loader": self.loader or f"load_corpus({self.name!r})",
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def proper_name(self) -> str:
        """What the corpus is called in prose."""
        return self.title.partition(":")[0]

    @property
    def has_eda(self) -> bool:
        """Whether its trials have EDA."""
        return "eda" in self.units

    @property
    def settings(self) -> dict[str, Option]:
        """What can be set when it is loaded, beside ``path``."""
        made = dict(self.options)
        if self.has_eda:
            made["window"] = Option(self.window, ["no_validation"])
        made["allow_partial"] = Option(False, ["boolean"])
        if self.reader is not None:
            made["cache"] = Option(True, CACHE)
        return made

    @property
    def DESCR(self) -> str:
        """The text that a loaded study carries."""
        return (
            f"{self.title}\n\n{self.description.strip()}\n\n"
            f"Licence: {self.licence}\n\nCite: {self.citation}\n"
        )


@dataclass
class CorpusSource(CorpusFiles):
    """An opened corpus, as its reader gets it: its files, and how it is to be read.

    Attributes
    ----------
    spec : CorpusSpec
    allow_partial : bool
        Whether a part of the corpus will do.
    cache : bool or path
    kept : str
        Where what was read first came from, or why it was not kept.
    people : dict
        What the report says of people; see `require`.
    """

    spec: CorpusSpec
    allow_partial: bool = False
    cache: bool | str | os.PathLike[str] = False
    kept: str = ""
    people: dict[str, Any] = field(default_factory=dict)

    def read(self, names: Iterable[str], key: Sequence, read: Callable[[], Reading]) -> Reading:
        """Return what was kept of these files, else read and keep it.

        Parameters
        ----------
        names : iterable of str
            The files that `read` reads.
        key : sequence
            The options that the reading depends on, as JSON can say it.
        read : callable
            Returns the :class:`Reading`, and notes what is wrong.
        """
        settings = [self.spec.name, self.spec.reader, *key]
        reading, kept = read_through_cache(self, names, settings, read, self.cache)
        self.kept = self.kept or kept
        return reading

    def require(
        self, known: Sequence[str], found: Iterable[str], *, who: str = "", what: str = " people"
    ) -> list[str]:
        """Return the people who are not there; note them, unless a part will do.

        The report counts those who are there, and lists the others.
        """
        found = set(found)
        absent = [person for person in known if person not in found]
        self.people = {"people": len(found), "people_without_recording": absent}
        if absent and not self.allow_partial:
            self.note(
                f"{who}{', '.join(absent)} are missing: {len(known) - len(absent)} of "
                f"{len(known)}{what} are there. {GET_THE_REST}"
            )
        return absent

    def check_counts(
        self, found: Mapping[str, int], published: Mapping[str, int], absent: Sequence[str]
    ) -> None:
        """Note what is not all that was published, unless a part will do."""
        wrong = [
            f"{found[what]} of {n} {what}" for what, n in published.items() if found[what] != n
        ]
        if wrong and not self.allow_partial:
            who = f" People without a recording: {', '.join(absent)}." if absent else ""
            self.note(
                f"{self.place} does not hold the corpus as published: {', '.join(wrong)}."
                f"{who} {GET_THE_REST}"
            )


GET_THE_REST = "Get the rest, or pass allow_partial=True to read the part that is there."


@dataclass
class CorpusContent:
    """What was read of a corpus, whole trials in their order.

    Attributes
    ----------
    trials : dict of str to column
        The columns of the trials: ``subject``, ``stimulus``, ``trial``, a list of arrays for each
        signal, and more; without EDA also ``duration`` (seconds).
    ratings : dict of str to column
        The ratings, row by row as `trials`.
    targets : dict of str to column
        Targets that are no ratings.
    report : dict
        What the report says beside what all reports say; replaces that where both say it.
    notes : sequence of str
        Sentences for the report.
    left_out : sequence of dict
        Trials that are not in `trials`: ``subject``, ``stimulus``, ``trial``, ``duration`` and
        ``reason``. They count among the trials that were read.
    music : DataFrame or None
        One row for each stimulus.
    warnings : sequence of str
        What the user is warned of.
    own_thresholds : str
        Why nobody's own threshold can be computed of these ratings; "" where it can.
    more : dict
        Further fields of the study, such as ``units``; they replace those of the specification.
    """

    trials: Mapping[str, Column]
    ratings: Mapping[str, Column]
    targets: Mapping[str, Column] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    left_out: Sequence[Mapping[str, Any]] = ()
    music: pd.DataFrame | None = None
    warnings: Sequence[str] = ()
    own_thresholds: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, columns: Mapping[str, Column], ratings: Sequence[str], **said: Any
    ) -> CorpusContent:
        """Split the columns of a :class:`Reading` into trials and ratings."""
        trials = {name: column for name, column in columns.items() if name not in ratings}
        return cls(trials, {name: columns[name] for name in ratings}, **said)
