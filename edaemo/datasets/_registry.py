"""Register corpora by name, and recognise the corpus in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edaemo._validation import suggest
from edaemo.datasets._corpus import DatasetError, Problems, holds, list_places, open_archives
from edaemo.datasets._e4 import EDA_FILE, load_e4
from edaemo.datasets._generated import NAME as GENERATED
from edaemo.datasets._read_trials import read_trials
from edaemo.datasets._specification import CorpusSpec
from edaemo.datasets._study import Study


class OwnRecordings(NamedTuple):
    """A format of your own recordings, which are not a corpus, with the function that reads it."""

    name: str
    read: Callable[..., Study]
    marker: re.Pattern[str]
    like: str


# Name → specification. Each corpus of this package registers itself in its own module.
CORPORA: dict[str, CorpusSpec] = {}
# Sessions of an E4, as `load_e4` reads them. Corpora are recognised first, because a corpus may
# consist of E4 sessions.
SESSIONS = OwnRecordings("e4", load_e4, EDA_FILE, "EDA.csv")
# Studies of one table, as `read_trials` reads them.
TABLE = OwnRecordings(
    "own study",
    read_trials,
    re.compile(r"\.(csv|tsv|parquet|xlsx|xlsm|xlsb|xls|ods)$", re.IGNORECASE),
    "a table with the columns subject, stimulus and file",
)
_OWN = {recordings.name: recordings for recordings in (SESSIONS, TABLE)}


def register_corpus(spec: CorpusSpec) -> CorpusSpec:
    """Register a corpus by its name.

    After that, :func:`load_corpus` and ``edaemo datasets list`` and ``check`` find the corpus. If
    the corpus has EDA, :func:`edaemo.benchmark.evaluate` and ``edaemo compare`` find it too.

    Parameters
    ----------
    spec : CorpusSpec
        Specification of the corpus.

    Returns
    -------
    CorpusSpec
        `spec` itself.

    Raises
    ------
    DatasetError
        If another corpus has the name or the folder, the specification lacks a text, or one of its
        options has the name of a setting that all corpora have.
    """
    if spec.name in {*CORPORA, *_OWN, GENERATED}:
        raise DatasetError(f"A corpus {spec.name!r} exists already: choose another name.")
    for other in CORPORA.values():
        if other.folder == spec.folder:
            raise DatasetError(
                f"{spec.name}: {other.name} uses the folder {spec.folder!r} already: choose "
                "another folder."
            )
    texts = ("name", "title", "description", "licence", "citation", "how_to_get")
    missing = [text for text in texts if not getattr(spec, text).strip()]
    if missing:
        raise DatasetError(
            f"The specification of {spec.name!r} lacks {', '.join(missing)}: add a text."
        )
    reserved = sorted({"path", "window", "allow_partial", "cache"} & set(spec.options))
    if reserved:
        raise DatasetError(
            f"The corpus {spec.name!r} cannot have options called {', '.join(reserved)}: these are "
            "settings of all corpora. Rename the options."
        )
    CORPORA[spec.name] = spec
    return spec


def find_corpus(name: str) -> CorpusSpec:
    """Return the specification of the corpus with this name.

    Raises
    ------
    DatasetError
        If no corpus has this name.
    """
    if name not in CORPORA:
        raise DatasetError(f"Unknown corpus {name!r}: {suggest(name, CORPORA)}")
    return CORPORA[name]


def find_study(name: str) -> CorpusSpec | OwnRecordings:
    """Return the corpus with this name, or the recordings "e4" or "own study".

    Parameters
    ----------
    name : str
        Name of a corpus, "e4" or "own study".

    Returns
    -------
    CorpusSpec or OwnRecordings
        The corpus or the type of recordings.

    Raises
    ------
    DatasetError
        If no study has this name.
    """
    known = CORPORA | _OWN
    if name not in known:
        raise DatasetError(f"Unknown study {name!r}: {suggest(name, known)}")
    return known[name]


def recognise(path: str | os.PathLike[str]) -> CorpusSpec | OwnRecordings:
    """Return the corpus in a folder or archive, recognised by its marker.

    Parameters
    ----------
    path : path
        The folder, archive or table.

    Returns
    -------
    CorpusSpec or OwnRecordings
        The corpus or the type of recordings.

    Raises
    ------
    DatasetError
        If the place holds no known corpus, or more than one.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DatasetError(f"{place} does not exist.")
    if place.is_file() and TABLE.marker.search(place.name):
        return TABLE
    found: list[CorpusSpec | OwnRecordings] = [
        spec for spec in CORPORA.values() if holds(place, spec.marker)
    ]
    if not found and holds(place, SESSIONS.marker):
        found = [SESSIONS]
    if len(found) > 1:
        names = " and ".join(known.name for known in found)
        raise DatasetError(f"{place} holds {names}: choose one with --study.")
    if found:
        return found[0]
    problems = Problems("a corpus", place, "")
    with open_archives(place, problems):
        unreadable = "".join(f"\n  {problem}" for problem in problems.found)
    every: list[CorpusSpec | OwnRecordings] = [*CORPORA.values(), *_OWN.values()]
    by = "".join(f"\n  {known.name}: {known.like}" for known in every)
    raise DatasetError(
        f"{place} holds neither a known corpus nor a session of an E4. Searched for:{by}"
        + (f"\nUnreadable archives:{unreadable}" if unreadable else "")
    )


def find_places(spec: CorpusSpec) -> list[tuple[str, str]]:
    """Return the places in which a corpus was found.

    Parameters
    ----------
    spec : CorpusSpec
        The corpus.

    Returns
    -------
    list of (what, place)
        Description of the searched folder, and the place in it or its error.
    """
    found = []
    for what, _, places in list_places(spec.folder):
        for place in places:
            try:
                there = holds(place, spec.marker)
            except DatasetError as error:  # a truncated archive
                found.append((what, str(error)))
            else:
                if there:
                    found.append((what, str(place)))
    return found
