"""Define the specification of a corpus and the content that its reader returns."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from edaemo.datasets._cache import CACHE, Column, Reading, read_through_cache
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._download import Download
from edaemo.datasets._window import Window, cut_padded

MICROSIEMENS = "microsiemens"
OHM = "ohm"


class Option(NamedTuple):
    """A setting of one corpus, in addition to the settings of all corpora.

    Parameters
    ----------
    default : object
        The default value.
    constraints : list
        Valid values, as parameter constraints of scikit-learn: types, tuples of values, ….
    """

    default: Any
    constraints: list[Any]


def choose(*values: str) -> Option:
    """Return an option with a fixed list of words. The first word is the default."""
    return Option(values[0], [StrOptions(set(values))])


def choose_signals(*default: str) -> Option:
    """Return the option ``signals``: the columns of arrays to read."""
    return Option(default, [tuple, list])


# The option ``units`` of corpora whose EDA is not recorded in microsiemens.
UNITS = choose(MICROSIEMENS, "as_recorded")


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """The specification of a corpus: everything known before its files are read.

    Parameters
    ----------
    name : str
        Name in tables and on the command line, in lower case.
    title : str
        One line, with the proper name before a colon: ``"DEAP: physiological signals while …"``.
    description : str
        Text of ``DESCR`` between the title and the licence: a description of the study, and what
        to know before believing a score.
    licence, citation, how_to_get : str
        Terms of use of the data, publication to cite, and source of the data.
    marker : str or pattern
        Name or pattern of a file that identifies the corpus. A name is a file at the root: the
        corpus is then one folder or one archive. A pattern matches the end of the path of a file:
        files may then be at any depth, loose or in any number of zip archives.
    read : callable
        Function that takes a :class:`CorpusSource` and each of `options` by keyword, and returns a
        :class:`CorpusContent`.
    units : dict of str to str
        Signal (column of arrays) → unit. If ``eda`` is a key, the corpus has EDA and windows are
        cut out of its trials. EDA in ``"ohm"`` is converted to microsiemens unless the option
        ``units`` is ``"as_recorded"``.
    sampling_rate : float or None
        Samples of the signals per second (Hz); None if the content defines it.
    rating_range : tuple (lowest, highest) or None
        Range of the ratings.
    targets : tuple of str
        Ratings, or other columns of the content, to predict.
    development : tuple of str, or callable
        People whose data may be used to choose defaults, or a function that returns whether an id
        is one of them.
    folder : str
        Name of the folder, or of the archive without ``.zip``, in the searched places; by default
        `name`.
    like : str
        Example of a file name for messages; by default `marker`.
    loader : str
        Name of the loader for messages; by default ``load_corpus``.
    stimuli : str
        Word for the stimuli in the report, which counts them; "" does not count them.
    channels : dict of str to tuple of str
        Signal → names of its channels.
    options : dict of str to Option
        Options of `read`.
    window : tuple (start, stop), 'end' or None
        Default window; see :func:`cut_window`.
    context : float
        Longest time before a trial, in seconds, that `read` can return: infinity for whole
        recordings. The cells that `read` returns begin ``source.context`` seconds before the trial
        (:meth:`CorpusSource.cut`).
    reader : int or None
        Version of `read`, part of the key of the cache. Increase it when `read` returns other
        values for the same files. None disables the cache.
    masked : bool
        True if samples may be missing: these become NaN and are counted, and trials with fewer than
        two valid samples are left out. False if `read` rejects missing samples.
    artificial : bool
        True if the data were generated, without any person.
    download : Download or None
        The public files of a corpus whose licence allows their distribution.
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
    context: float = 0.0
    reader: int | None = None
    masked: bool = True
    artificial: bool = False
    download: Download | None = None

    def __post_init__(self) -> None:
        """Fill in the attributes that depend on other attributes."""
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
        """Name of the corpus in messages."""
        return self.title.partition(":")[0]

    @property
    def has_eda(self) -> bool:
        """Whether the trials have EDA."""
        return "eda" in self.units

    @property
    def settings(self) -> dict[str, Option]:
        """Settings of the loader, except ``path``."""
        made = dict(self.options)
        if self.has_eda:
            made["window"] = Option(self.window, ["no_validation"])
        made["allow_partial"] = Option(False, ["boolean"])
        if self.reader is not None:
            made["cache"] = Option(True, CACHE)
        if self.download is not None:
            made["download"] = Option(False, ["boolean"])
        return made

    @property
    def DESCR(self) -> str:
        """Description of a loaded study."""
        return (
            f"{self.title}\n\n{self.description.strip()}\n\n"
            f"Licence: {self.licence}\n\nCite: {self.citation}\n"
        )


@dataclass
class CorpusSource(CorpusFiles):
    """An opened corpus, as passed to its reader: the files and the settings.

    Parameters
    ----------
    place : Path
        Folder or archive of the corpus.
    files : dict
        Path in the original layout → file.
    problems : Problems
        Problems found so far, for one error.
    spec : CorpusSpec
        Specification of the corpus.
    allow_partial : bool
        Whether an incomplete corpus is accepted.
    cache : bool or path
        The setting ``cache`` of the loader.
    kept : str
        Source of the data of the first `read`, or the reason why they were not cached.
    people : dict
        Fields of the report on people; see `require`.
    context : float
        Seconds before each trial with which its cells must begin; see `cut`.
    """

    spec: CorpusSpec
    allow_partial: bool = False
    cache: bool | str | os.PathLike[str] = False
    kept: str = ""
    people: dict[str, Any] = field(default_factory=dict)
    context: float = 0.0

    def cut(self, recording: np.ndarray, first: int, last: int, sampling_rate: float) -> np.ndarray:
        """Return the samples of a trial and of the `context` before it.

        Parameters
        ----------
        recording : ndarray of shape (..., n_samples)
            The recording.
        first, last : int
            First sample of the trial, and the first one after it.
        sampling_rate : float
            In Hz.

        Returns
        -------
        ndarray
            A copy; NaN before the beginning of the recording.
        """
        return cut_padded(recording, first - round(self.context * sampling_rate), last)

    def read(
        self, names: Iterable[str], key: Sequence[Any], read: Callable[[], Reading]
    ) -> Reading:
        """Return the cached data of these files, or read and cache them.

        Parameters
        ----------
        names : iterable of str
            Names of the files that `read` reads.
        key : sequence
            Options that the result depends on, in a form that JSON can store.
        read : callable
            Function that returns the :class:`Reading` and notes problems.

        Returns
        -------
        Reading
            The data of the files.
        """
        settings = [self.spec.name, self.spec.reader, *key]
        if self.context:
            settings.append({"context": self.context})
        reading, kept = read_through_cache(self, names, settings, read, self.cache)
        self.kept = self.kept or kept
        return reading

    def require(
        self, known: Sequence[str], found: Iterable[str], *, who: str = "", what: str = " people"
    ) -> list[str]:
        """Return the missing people; note them unless `allow_partial` is set.

        The report counts the people who are present and lists the missing people.

        Parameters
        ----------
        known : sequence of str
            The people of the publication.
        found : iterable of str
            The people who are present.
        who : str, default=""
            Text before the names, for messages.
        what : str, default=" people"
            Text after the counts, for messages.

        Returns
        -------
        list of str
            The missing people, in the order of `known`.
        """
        found = set(found)
        absent = [person for person in known if person not in found]
        self.people = {"people": len(found), "people_without_recording": absent}
        if absent and not self.allow_partial:
            self.note(
                f"{who}{', '.join(absent)} are missing: found {len(known) - len(absent)} of "
                f"{len(known)}{what}. {GET_THE_REST}"
            )
        return absent

    def check_counts(
        self, found: Mapping[str, int], published: Mapping[str, int], absent: Sequence[str]
    ) -> None:
        """Note counts that differ from the publication, unless `allow_partial` is set.

        Parameters
        ----------
        found, published : mapping of str to int
            Counts by the word for what is counted.
        absent : sequence of str
            People without a recording, for messages.
        """
        wrong = [
            f"{found[what]} of {n} {what}" for what, n in published.items() if found[what] != n
        ]
        if wrong and not self.allow_partial:
            who = f" People without a recording: {', '.join(absent)}." if absent else ""
            self.note(
                f"{self.place} does not hold the corpus as published: {', '.join(wrong)}."
                f"{who} {GET_THE_REST}"
            )


GET_THE_REST = "Get the missing part, or pass allow_partial=True to read the available part."


@dataclass
class CorpusContent:
    """The content of a corpus, with whole trials in order.

    Parameters
    ----------
    trials : dict of str to column
        Columns of the trials: ``subject``, ``stimulus``, ``trial``, a list of arrays for each
        signal, and more; without EDA also ``duration`` (seconds).
    ratings : dict of str to column
        Ratings, with the rows of `trials`.
    targets : dict of str to column
        Targets that are not ratings.
    report : dict
        Additional fields of the report. They replace common fields with the same key.
    notes : sequence of str
        Sentences for the report.
    left_out : sequence of dict
        Trials that are not in `trials`: ``subject``, ``stimulus``, ``trial``, ``duration`` and
        ``reason``. They count as trials that were read.
    music : DataFrame or None
        Music features, one row for each stimulus.
    warnings : sequence of str
        Messages of warnings for the user.
    own_thresholds : str
        Reason why no threshold per person can be computed from these ratings; "" if it can.
    more : dict
        Further fields of the study, such as ``units``. They replace fields of the specification.
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
        cls, columns: Mapping[str, Column], ratings: Sequence[str], **fields: Any
    ) -> CorpusContent:
        """Split the columns of a :class:`Reading` into trials and ratings.

        Parameters
        ----------
        columns : dict of str to column
            The columns.
        ratings : sequence of str
            Names of the columns that are ratings.
        **fields : object
            The other fields.

        Returns
        -------
        CorpusContent
            The content.
        """
        trials = {name: column for name, column in columns.items() if name not in ratings}
        return cls(trials, {name: columns[name] for name in ratings}, **fields)
