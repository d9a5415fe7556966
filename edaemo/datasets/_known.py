"""The corpora that there are loaders of, what each is known by, and where it is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from sklearn.utils import Bunch

from edaemo._validation import suggest
from edaemo.datasets import (
    _amigos,
    _deap,
    _e4,
    _hku956,
    _induced_stress,
    _mahnob_hci,
    _muse_car,
    _pmemo,
    _read_trials,
    _seed_vii,
)
from edaemo.datasets._corpus import DatasetError, Problems, holds, list_places, open_archives


class Known(NamedTuple):
    """A corpus, or a form of one's own recordings.

    `marker`: what it is known by, as `find_corpus` takes it; `like`: a file for messages.
    `folder`: its folder, or archive, in the places that are searched; None where there is no such.
    """

    name: str
    title: str
    load: Callable[..., Bunch]
    marker: str | re.Pattern[str]
    like: str
    folder: str | None
    licence: str
    citation: str
    how_to_get: str


def _make(
    module: ModuleType,
    load: Callable[..., Bunch],
    marker: str | re.Pattern[str],
    like: str | None = None,
    *,
    searched: bool = True,
) -> Known:
    return Known(
        module.NAME,
        module.DESCR.partition("\n")[0],
        load,
        marker,
        like or str(marker),
        getattr(module, "FOLDER", module.NAME) if searched else None,
        module.LICENCE,
        module.CITATION,
        module.HOW_TO_GET,
    )


# One entry for each corpus.
KNOWN = (
    _make(_hku956, _hku956.load_hku956, _hku956.RATINGS_FILE),
    _make(_induced_stress, _induced_stress.load_induced_stress, _induced_stress.MARKER),
    _make(_pmemo, _pmemo.load_pmemo, _pmemo._ANY, "EDA/1_EDA.csv"),
    _make(_deap, _deap.load_deap, _deap._SUBJECT, "s01.dat"),
    _make(_amigos, _amigos.load_amigos, _amigos._SUBJECT, "Data_Preprocessed_P01.mat"),
    _make(
        _mahnob_hci,
        _mahnob_hci.load_mahnob_hci,
        _mahnob_hci._RECORDING,
        "2/Part_1_S_Trial1_emotion.bdf",
    ),
    _make(_seed_vii, _seed_vii.load_seed_vii, _seed_vii._FILE, "EEG_features/1.mat"),
    _make(
        _muse_car,
        _muse_car.load_muse_car,
        _muse_car._FEATURES,
        "c1_muse_wild/feature_segments/label_aligned",
    ),
)
# A corpus may consist of sessions of an E4, so these come last.
SESSIONS = _make(_e4, _e4.load_e4, _e4.EDA_FILE, "EDA.csv", searched=False)
TABLE = _make(
    _read_trials,
    _read_trials.read_trials,
    re.compile(r"\.(csv|parquet)$"),
    "a table with the columns subject, stimulus and file",
    searched=False,
)


def find_known(name: str) -> Known:
    """Return the corpus of this name, or "e4" or "own study"."""
    known = {one.name: one for one in (*KNOWN, SESSIONS, TABLE)}
    if name not in known:
        raise DatasetError(f"There is no study {name!r}: {suggest(name, known)}")
    return known[name]


def recognise(path: str | os.PathLike[str]) -> Known:
    """Say which corpus a folder or archive is, by what each is known by.

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
    found = [one for one in KNOWN if holds(place, one.marker)]
    if not found and holds(place, SESSIONS.marker):
        found = [SESSIONS]
    if len(found) > 1:
        names = " and ".join(one.name for one in found)
        raise DatasetError(f"{place} holds {names}: say which is meant (--study).")
    if found:
        return found[0]
    problems = Problems("a corpus", place, "")
    with open_archives(place, problems):
        unreadable = "".join(f"\n  {problem}" for problem in problems.found)
    by = "".join(f"\n  {one.name}: {one.like}" for one in (*KNOWN, SESSIONS, TABLE))
    raise DatasetError(
        f"{place} is no corpus that is known, and holds no session of an E4. Looked for:{by}"
        + (f"\nArchives that cannot be read:{unreadable}" if unreadable else "")
    )


def find_places(known: Known) -> list[tuple[str, str]]:
    """Return where a corpus lies: what was searched, and the place, or why it is not there."""
    found = []
    for what, folder, places in list_places(known.folder):
        if folder is None:
            continue
        for place in places:
            try:
                there = holds(place, known.marker)
            except DatasetError as error:  # an archive that is cut short
                found.append((what, str(error)))
            else:
                if there:
                    found.append((what, str(place)))
    return found
