"""Load Freihaut & Göritz (2021): skin conductance in mouse tasks under high and low stress."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zipfile
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    GET_THE_REST,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
)
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 4.0
RATING_RANGE = (0.0, 4.0)
RATINGS = ("arousal", "valence", "stress")
SIGNALS, TRIALS = "eda_4hz.npz", "trials.csv"
_PREPARED = re.compile(r"(?:^|/)eda_4hz\.npz$")
# The release: one file for all people, with the pages of the experiment, and their resistances.
_EXPERIMENT = re.compile(r"(?:^|/)Raw_Data_Experiment\.json(?:\.gz)?$")
_RESISTANCE = re.compile(r"(?:^|/)Raw_Data_EDA/(\w+)\.csv$")
_TASK = re.compile(r"(HS|LS)_(DragDrop|FollowBox|PointClick|Drawing)")
_MARKER = re.compile(f"{_PREPARED.pattern}|{_EXPERIMENT.pattern}")
FINISHED, LAST = "phaseFinishedTimestamps", "BfiNeuroticism"
_LONGEST = 1 << 30  # bytes of the experiment when it is unpacked
# Ticks of 100 ns from the year 1 to 1970.
_EPOCH = 621_355_968_000_000_000
COLUMNS = ("subject", "trial", "condition", "task", "onset", "duration", *RATINGS, "development")
PUBLISHED = {"people": 52, "tasks": 416}
RELEASED = {"people": 53, "tasks": 424}
# Target, protocol and pipeline that were fixed on the development people before the other people
# were scored.
SCORED_ONCE = (("condition", "new-people", "recommended"),)


def _read_signals(corpus: CorpusFiles, name: str) -> dict[str, np.ndarray]:
    """Return the session of each person."""
    content = io.BytesIO(corpus.read_bytes(name))
    try:
        with np.load(content, allow_pickle=False) as arrays:
            signals = {name: arrays[name].astype(np.float64) for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise corpus.error(name, f"is not a readable file of arrays: {error}.") from error
    wrong = [person for person, eda in signals.items() if eda.ndim != 1]
    if wrong:
        raise corpus.error(name, f"holds arrays that are not 1-D: {wrong[:5]}.")
    return signals


def _read_row(
    corpus: CorpusSource,
    table: str,
    row: dict[str, str],
    line: int,
    signals: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Return one trial of the prepared table."""
    subject, where = row["subject"], f"line {line}"
    if subject not in signals:
        raise corpus.error(table, f"names {subject!r} in {where}, who has no array in {SIGNALS}.")
    if row["condition"] not in ("high", "low"):
        raise corpus.error(table, f"has the condition {row['condition']!r} in {where}.")
    if row["development"] not in ("0", "1"):
        raise corpus.error(table, f"has {row['development']!r} as development in {where}.")
    onset, duration = (
        corpus.number(table, row[name], f"{name} in {where}") for name in ("onset", "duration")
    )
    ratings = {
        name: corpus.rating(table, row[name], f"{name} in {where}", RATING_RANGE)
        if row[name]
        else np.nan
        for name in RATINGS
    }
    return {
        "subject": subject,
        "stimulus": row["task"],
        "trial": int(corpus.number(table, row["trial"], f"trial in {where}")),
        "eda": _cut(signals[subject], onset, duration, corpus, table, subject, f"task in {where}"),
        "session_time": onset,
        "condition": row["condition"],
        "development": row["development"] == "1",
        **ratings,
    }


def _cut(
    session: np.ndarray,
    onset: float,
    duration: float,
    corpus: CorpusSource,
    name: str,
    subject: str,
    what: str,
) -> np.ndarray:
    """Return the samples of a task; raise if it is not inside the session."""
    first, last = round(onset * SAMPLING_RATE), round((onset + duration) * SAMPLING_RATE)
    if not 0 <= first < last <= len(session):
        raise corpus.error(
            name,
            f"has a {what} from {onset:g} to {onset + duration:g} s, but the session of {subject} "
            f"lasts {len(session) / SAMPLING_RATE:g} s.",
        )
    return corpus.cut(session, first, last, SAMPLING_RATE)


def _read_prepared(corpus: CorpusSource, name: str) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the trials of the prepared table, which is next to the arrays, and its people."""
    signals = _read_signals(corpus, name)
    table = f"{name.removesuffix(SIGNALS)}{TRIALS}"
    rows: list[dict[str, Any]] = []
    for line, row in enumerate(corpus.read_table(table, COLUMNS), start=2):
        with corpus.collect():
            rows.append(_read_row(corpus, table, row, line, signals))
    rows.sort(key=lambda row: (row["subject"], row["trial"]))
    keys = [(row["subject"], row["trial"]) for row in rows]
    if len({*keys}) < len(keys):
        corpus.note_file(table, "has a trial of a person more than once.")
    return rows, {*signals}


def _read_experiment(corpus: CorpusFiles, name: str) -> dict[str, Any]:
    """Return person → page → content of the experiment, without the tracks of the mouse."""
    content = corpus.read_bytes(name)
    if content.startswith(b"version https://git-lfs"):
        raise corpus.error(
            name, "is a pointer of Git LFS, not the file.", "Get the file with git lfs pull."
        )
    try:
        if name.endswith(".gz"):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(_LONGEST)
        # The tracks are lists. Dropped at once, because all of them would need gigabytes.
        pages = json.loads(
            content,
            object_hook=lambda found: {
                key: value for key, value in found.items() if not isinstance(value, list)
            },
        )
    except (ValueError, OSError, EOFError) as error:
        raise corpus.error(name, f"is not a readable JSON file: {error}.") from error
    if not isinstance(pages, dict):
        raise corpus.error(name, "holds no people.")
    return pages


def _read_session(corpus: CorpusFiles, name: str) -> tuple[np.ndarray, float]:
    """Return the EDA of a session at 4 Hz, and its start in unix seconds.

    As in the prepared arrays: the mean of five resistances around each sample, converted to
    microsiemens, and interpolated. Resistances that are not above zero are missing.
    """
    try:
        table = pd.read_csv(
            io.BytesIO(corpus.read_bytes(name)),
            sep=";",
            usecols=["UniversalTimestamp", "EDA"],
            dtype={"UniversalTimestamp": np.int64, "EDA": np.float64},
        )
    except ValueError as error:
        raise corpus.error(
            name, f"is not a table with UniversalTimestamp and EDA: {error}."
        ) from error
    seconds = (table["UniversalTimestamp"].to_numpy() - _EPOCH) / 1e7
    if len(seconds) < 2 or np.any(np.diff(seconds) <= 0):
        raise corpus.error(name, "has less than two samples, or times that are not in order.")
    there = table["EDA"].to_numpy() > 0
    mean = table["EDA"].where(there).rolling(5, center=True, min_periods=1).mean().to_numpy()
    if not there.any():
        raise corpus.error(name, "has no resistance above zero.")
    grid = seconds[0] + np.arange(int((seconds[-1] - seconds[0]) * SAMPLING_RATE) + 1) / 4
    eda = np.interp(grid, seconds[there], 1000 / mean[there])
    nearest = np.minimum(np.searchsorted(seconds, grid), len(seconds) - 1)
    return np.where(there[nearest], eda, np.nan), float(seconds[0])


def _read_person(
    corpus: CorpusSource, experiment: str, subject: str, pages: dict[str, Any], file: str
) -> list[dict[str, Any]]:
    """Return the tasks of one person of the release.

    A task begins when the page before it is finished, as in the code of the authors.
    """
    eda, start = _read_session(corpus, file)
    finished = sorted(_find_page(pages, FINISHED).items(), key=lambda page: page[1])
    rows: list[dict[str, Any]] = []
    for (_, begin), (page, end) in pairwise(finished):
        task = _TASK.fullmatch(page)
        if task is None:
            continue
        onset, duration = begin / 1000 - start, (end - begin) / 1000
        rated = {
            **_find_page(pages, f"{task[1]}_SAM_{task[2]}"),
            **_find_page(pages, f"{task[1]}_Mdbf"),
        }
        ratings = {
            name: corpus.rating(experiment, str(rated[key]), f"{key} of {subject}", RATING_RANGE)
            if key in rated
            else np.nan
            for name, key in zip(RATINGS, ("samArousal", "samValence", "stress"), strict=True)
        }
        rows.append(
            {
                "subject": subject,
                "stimulus": task[2],
                "trial": len(rows),
                "eda": _cut(eda, onset, duration, corpus, experiment, subject, f"page {page}"),
                "session_time": onset,
                "condition": {"HS": "high", "LS": "low"}[task[1]],
                "development": False,
                **ratings,
            }
        )
    return rows


def _find_page(pages: Any, name: str) -> dict[str, Any]:
    """Return the content of a page; {} if the person has no such page."""
    page = pages.get(name) if isinstance(pages, dict) else None
    return page if isinstance(page, dict) else {}


def _read_release(corpus: CorpusSource, experiment: str) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the tasks of all people who finished the experiment, and these people."""
    files = corpus.match(_RESISTANCE)
    rows: list[dict[str, Any]] = []
    people = set()
    for person, pages in _read_experiment(corpus, experiment).items():
        if LAST not in _find_page(pages, FINISHED):
            continue
        subject = str(_find_page(pages, "MetaData").get("physioDataId", person))
        people.add(subject)
        if (subject,) not in files:
            if not corpus.allow_partial:
                corpus.note(f"{subject} has no file Raw_Data_EDA/{subject}.csv. {GET_THE_REST}")
            continue
        with corpus.collect():
            rows += _read_person(corpus, experiment, subject, pages, files[subject,])
    return sorted(rows, key=lambda row: (row["subject"], row["trial"])), people


def read_freihaut_goeritz(corpus: CorpusSource) -> CorpusContent:
    """Read the tasks of all people, from the prepared table or else from the release."""
    prepared, released = corpus.match(_PREPARED), corpus.match(_EXPERIMENT)
    if prepared:
        (rows, known), published = _read_prepared(corpus, prepared[()]), PUBLISHED
        onsets = "The windows of the tasks were found by the published means of the signal."
    else:
        (rows, known), published = _read_release(corpus, released[()]), RELEASED
        onsets = "Read from the release, which has no development people."
    people = {row["subject"] for row in rows}
    first: dict[str, str] = {}
    for row in rows:
        row["version"] = f"{first.setdefault(row['subject'], row['condition'])} stress first"
    counts = {"people": len(people), "tasks": len(rows)}
    if not corpus.problems.found:
        corpus.check_counts(counts, published, sorted(known - people))
    corpus.raise_all()
    columns = Reading.of_rows(rows, ("trial", "session_time", *RATINGS), {}).columns
    condition, developed = columns.pop("condition"), columns.pop("development")
    development = dict(zip(columns["subject"], developed, strict=True))
    return CorpusContent.of(
        columns,
        RATINGS,
        targets={"condition": condition},
        report=counts,
        notes=[
            "The EDA is 1000 / R of the recorded resistance, taken for kiloohm; the authors do not "
            "state the unit.",
            onsets,
        ],
        more={
            "development": tuple(sorted(who for who, used in development.items() if used)),
            # The release does not name its development people: no score of it has a verdict.
            "scored_once": SCORED_ONCE if prepared else (),
        },
    )


SPEC = CorpusSpec(
    name="freihaut-goeritz",
    title="Freihaut and Göritz (2021): skin conductance in mouse tasks under high and low stress",
    description="""
52 people did four tasks with the mouse (DragDrop, FollowBox, PointClick, Drawing) in a block of
high stress and in a block of low stress, 416 tasks in all. After each task they rated arousal and
valence, after each block stress, in five steps (0 to 4). 29 people had the block of high stress
first.

What to know before believing a score:
- The unit is not stated by the authors: the EDA is 1000 / R with the recorded R taken for kiloohm.
  The sensor saturates at a resistance of 700.
- The signals were recorded at 20 Hz, and are a rolling mean of five samples, interpolated to 4 Hz.
- Of the prepared table: the file with the onsets of the tasks was not available. Each window was
  found by an exact match with the published mean of rolling medians. Heart rates, which were not
  used, agree in 91 % of 393 windows within 0.05 beats per minute, and in 97 % within 1. The
  prepared table lacks one of the 53 people of the release.
- Tasks last 20.5 to 68.5 seconds: the first 20 seconds of each are used by default, after 5 seconds
  of context before the onset.
- The rating of stress belongs to the block: it is the same for four tasks.
- The order of the blocks (the column `version`) is balanced over all people, not within the people
  who are not development people: 15 of these 23 had high stress first.
- The pipeline `recommended` was chosen on the development people, and then scored once on the
  others. Any other score of these people is a second look, without verdict.

Licence: GPL-3.0, as the repository of the authors, which holds the data.
""",
    licence=(
        "GPL-3.0, the licence of the authors' repository, which holds the data: "
        "github.com/Freihaut/Freihaut_Goeritz-2021-Study_Files-Mouse."
    ),
    citation=(
        "Freihaut, P.; Göritz, A. S. Using the computer mouse for stress measurement - An "
        "empirical investigation and critical review. International Journal of Human-Computer "
        "Studies 2021, 145, 102520. doi:10.1016/j.ijhcs.2020.102520"
    ),
    how_to_get=(
        "The signals are in github.com/Freihaut/Freihaut_Goeritz-2021-Study_Files-Mouse (Zenodo "
        "3941808): get the folder Datasets, with Raw_Data_Experiment.json.gz and Raw_Data_EDA. A "
        "table prepared from them is read too: eda_4hz.npz (an array per person) and trials.csv."
    ),
    marker=_MARKER,
    like=SIGNALS,
    read=read_freihaut_goeritz,
    units={"eda": "microsiemens"},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    targets=("condition", *RATINGS),
    folder="freihaut_goeritz",
    loader="load_freihaut_goeritz",
    stimuli="",
    window=(-5.0, 20.0),
    context=np.inf,
)
register_corpus(SPEC)


def load_freihaut_goeritz(
    path: str | os.PathLike[str] | None = None,
    *,
    window: Window = (-5.0, 20.0),
    allow_partial: bool = False,
) -> Study:
    """Load Freihaut and Göritz: EDA of people in mouse tasks under high and low stress.

    Parameters
    ----------
    path : path-like or None
        The release: a folder with ``Raw_Data_Experiment.json`` (or ``.json.gz``) and
        ``Raw_Data_EDA``. Or the table prepared from it: a folder with ``eda_4hz.npz`` (one 1-D
        array per person, in microsiemens at 4 Hz) and ``trials.csv`` (subject, trial, condition,
        task, onset, duration, arousal, valence, stress, development). Or a zip archive of either.
        The prepared table is read if both are there. None searches the places that
        :func:`load_corpus` lists.
    window : tuple (start, stop), 'end' or None
        Part of each task to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept other counts of people and tasks than the published ones.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per task by subject and trial: ``subject`` (str),
        ``stimulus`` (the task, str), ``trial`` (its place in the session, int), ``eda`` (1-D
        float64 array in microsiemens), ``session_time`` (seconds from the start of the recording to
        the onset of the task, float), ``duration`` (seconds of the whole task, float) and
        ``version`` ("high stress first" or "low stress first", str).
        ``ratings`` : DataFrame; ``arousal``, ``valence`` and ``stress``, float, 0 to 4; NaN if
        missing.
        ``targets`` : dict, ``"condition"`` → Series of ``"high"`` or ``"low"``, and the ratings.
        ``sampling_rate`` : 4.0 Hz. ``rating_range`` : (0.0, 4.0).
        ``development`` : the people with development 1 in the prepared table; () for the release.
        ``scored_once`` : target, protocol and pipeline of the only scores of the other people that
        have a verdict; () for the release, whose scores have no verdict.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Freihaut, P., & Göritz, A. S. (2021). Using the computer mouse for stress measurement – An
    empirical investigation and critical review. International Journal of Human-Computer Studies,
    145, 102520. doi:10.1016/j.ijhcs.2020.102520
    """
    return load_corpus(SPEC, path, window=window, allow_partial=allow_partial)
