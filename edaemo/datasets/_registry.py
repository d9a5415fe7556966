"""The corpora that are known by name, and by what each is recognised."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sklearn.utils import Bunch

from edaemo._validation import suggest
from edaemo.datasets._corpus import DatasetError, Problems, holds, list_places, open_archives
from edaemo.datasets._e4 import EDA_FILE, load_e4
from edaemo.datasets._generated import NAME as GENERATED
from edaemo.datasets._read_trials import read_trials
from edaemo.datasets._specification import CorpusSpec


class OwnRecordings(NamedTuple):
    """A form of one's own recordings: no corpus, and read by a function of its own."""

    name: str
    read: Callable[..., Bunch]
    marker: re.Pattern[str]
    like: str


# Name → specification. A corpus of this package registers itself where it is defined.
CORPORA: dict[str, CorpusSpec] = {}
# A corpus may consist of sessions of an E4, so these are recognised last.
SESSIONS = OwnRecordings("e4", load_e4, EDA_FILE, "EDA.csv")
TABLE = OwnRecordings(
    "own study",
    read_trials,
    re.compile(r"\.(csv|parquet)$"),
    "a table with the columns subject, stimulus and file",
)
_OWN = {own.name: own for own in (SESSIONS, TABLE)}


def register_corpus(spec: CorpusSpec) -> CorpusSpec:
    """Let a corpus be known by its name.

    :func:`load_corpus`, ``edaemo datasets list`` and ``check``, and, where it has EDA,
    :func:`edaemo.benchmark.evaluate` and ``edaemo compare`` find it then.

    Parameters
    ----------
    spec : CorpusSpec

    Returns
    -------
    CorpusSpec
        `spec` itself.

    Raises
    ------
    DatasetError
        If the name or the folder is taken, the specification lacks a text, or an option of it has
        the name of a setting of all corpora.
    """
    if spec.name in {*CORPORA, *_OWN, GENERATED}:
        raise DatasetError(f"There is a corpus {spec.name!r} already: choose another name.")
    for other in CORPORA.values():
        if other.folder == spec.folder:
            raise DatasetError(
                f"{spec.name}: the folder {spec.folder!r} is that of {other.name}: choose another."
            )
    texts = ("name", "title", "description", "licence", "citation", "how_to_get")
    missing = [text for text in texts if not getattr(spec, text).strip()]
    if missing:
        raise DatasetError(f"The corpus {spec.name!r} lacks {', '.join(missing)}: say it.")
    reserved = sorted({"path", "window", "allow_partial", "cache"} & set(spec.options))
    if reserved:
        raise DatasetError(
            f"The corpus {spec.name!r}: no option of it can be called {', '.join(reserved)}, which "
            "all corpora have."
        )
    CORPORA[spec.name] = spec
    return spec


def find_corpus(name: str) -> CorpusSpec:
    """Return the specification of the corpus of this name.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if name not in CORPORA:
        raise DatasetError(f"There is no corpus {name!r}: {suggest(name, CORPORA)}")
    return CORPORA[name]


def find_study(name: str) -> CorpusSpec | OwnRecordings:
    """Return the corpus of this name, or "e4" or "own study".

    Raises
    ------
    DatasetError
        If there is none.
    """
    known = CORPORA | _OWN
    if name not in known:
        raise DatasetError(f"There is no study {name!r}: {suggest(name, known)}")
    return known[name]


def recognise(path: str | os.PathLike[str]) -> CorpusSpec | OwnRecordings:
    """Return the corpus that a folder or archive is, by what each is recognised by.

    Raises
    ------
    DatasetError
        If it is none, or more than one.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DatasetError(f"{place}: there is no such file or folder.")
    if place.is_file() and TABLE.marker.search(place.name):
        return TABLE
    found: list[CorpusSpec | OwnRecordings] = [
        spec for spec in CORPORA.values() if holds(place, spec.marker)
    ]
    if not found and holds(place, SESSIONS.marker):
        found = [SESSIONS]
    if len(found) > 1:
        names = " and ".join(known.name for known in found)
        raise DatasetError(f"{place} holds {names}: say which is meant (--study).")
    if found:
        return found[0]
    problems = Problems("a corpus", place, "")
    with open_archives(place, problems):
        unreadable = "".join(f"\n  {problem}" for problem in problems.found)
    every: list[CorpusSpec | OwnRecordings] = [*CORPORA.values(), *_OWN.values()]
    by = "".join(f"\n  {known.name}: {known.like}" for known in every)
    raise DatasetError(
        f"{place} is no corpus that is known, and holds no session of an E4. Looked for:{by}"
        + (f"\nArchives that cannot be read:{unreadable}" if unreadable else "")
    )


def find_places(spec: CorpusSpec) -> list[tuple[str, str]]:
    """Return where a corpus lies: what was searched, and the place, or why it is not there."""
    found = []
    for what, _, places in list_places(spec.folder):
        for place in places:
            try:
                there = holds(place, spec.marker)
            except DatasetError as error:  # an archive that is cut short
                found.append((what, str(error)))
            else:
                if there:
                    found.append((what, str(place)))
    return found
