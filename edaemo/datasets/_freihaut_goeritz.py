"""Load Freihaut & Göritz (2021): skin conductance in mouse tasks under high and low stress."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

import numpy as np

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import CorpusContent, CorpusSource, CorpusSpec
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 4.0
RATING_RANGE = (0.0, 4.0)
RATINGS = ("arousal", "valence", "stress")
SIGNALS, TRIALS = "eda_4hz.npz", "trials.csv"
COLUMNS = ("subject", "trial", "condition", "task", "onset", "duration", *RATINGS, "development")
PUBLISHED = {"people": 52, "tasks": 416}
# Target, protocol and pipeline that were fixed on the development people before the other people
# were scored.
SCORED_ONCE = (("condition", "new-people", "recommended"),)


def _read_signals(corpus: CorpusFiles) -> dict[str, np.ndarray]:
    """Return the session of each person."""
    content = io.BytesIO(corpus.read_bytes(SIGNALS))
    try:
        with np.load(content, allow_pickle=False) as arrays:
            signals = {name: arrays[name].astype(np.float64) for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise corpus.error(SIGNALS, f"is not a readable file of arrays: {error}.") from error
    wrong = [name for name, eda in signals.items() if eda.ndim != 1]
    if wrong:
        raise corpus.error(SIGNALS, f"holds arrays that are not 1-D: {wrong[:5]}.")
    return signals


def _read_row(
    corpus: CorpusSource, row: dict[str, str], line: int, signals: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return one trial."""
    subject, where = row["subject"], f"line {line}"
    if subject not in signals:
        raise corpus.error(TRIALS, f"names {subject!r} in {where}, who has no array in {SIGNALS}.")
    if row["condition"] not in ("high", "low"):
        raise corpus.error(TRIALS, f"has the condition {row['condition']!r} in {where}.")
    if row["development"] not in ("0", "1"):
        raise corpus.error(TRIALS, f"has {row['development']!r} as development in {where}.")
    onset, duration = (
        corpus.number(TRIALS, row[name], f"{name} in {where}") for name in ("onset", "duration")
    )
    first, last = round(onset * SAMPLING_RATE), round((onset + duration) * SAMPLING_RATE)
    if not 0 <= first < last <= len(signals[subject]):
        raise corpus.error(
            TRIALS,
            f"has a task in {where} from {onset:g} to {onset + duration:g} s, but the session of "
            f"{subject} lasts {len(signals[subject]) / SAMPLING_RATE:g} s.",
        )
    ratings = {
        name: corpus.rating(TRIALS, row[name], f"{name} in {where}", RATING_RANGE)
        if row[name]
        else np.nan
        for name in RATINGS
    }
    return {
        "subject": subject,
        "stimulus": row["task"],
        "trial": int(corpus.number(TRIALS, row["trial"], f"trial in {where}")),
        "eda": corpus.cut(signals[subject], first, last, SAMPLING_RATE),
        "session_time": onset,
        "condition": row["condition"],
        "development": row["development"] == "1",
        **ratings,
    }


def read_freihaut_goeritz(corpus: CorpusSource) -> CorpusContent:
    """Read the tasks of all people."""
    signals = _read_signals(corpus)
    rows: list[dict[str, Any]] = []
    for line, row in enumerate(corpus.read_table(TRIALS, COLUMNS), start=2):
        with corpus.collect():
            rows.append(_read_row(corpus, row, line, signals))
    rows.sort(key=lambda row: (row["subject"], row["trial"]))
    keys = [(row["subject"], row["trial"]) for row in rows]
    if len({*keys}) < len(keys):
        corpus.note_file(TRIALS, "has a trial of a person more than once.")
    first: dict[str, str] = {}
    for row in rows:
        row["version"] = f"{first.setdefault(row['subject'], row['condition'])} stress first"
    people = {*first}
    counts = {"people": len(people), "tasks": len(rows)}
    if not corpus.problems.found:
        corpus.check_counts(counts, PUBLISHED, sorted(signals.keys() - people))
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
            "The windows of the tasks were found by the published means of the signal.",
        ],
        more={
            "development": tuple(sorted(who for who, used in development.items() if used)),
            "scored_once": SCORED_ONCE,
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
- The file with the onsets of the tasks was not available. Each window was found by an exact match
  with the published mean of rolling medians. Heart rates, which were not used, agree in 91 % of 393
  windows within 0.05 beats per minute, and in 97 % within 1.
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
        "3941808). This loader reads a table prepared from them: eda_4hz.npz (an array per person) "
        "and trials.csv."
    ),
    marker=SIGNALS,
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
    """Load the prepared table of Freihaut and Göritz: EDA of 52 people in 416 mouse tasks.

    Parameters
    ----------
    path : path-like or None
        The folder with ``eda_4hz.npz`` (one 1-D array per person, in microsiemens at 4 Hz) and
        ``trials.csv`` (subject, trial, condition, task, onset, duration, arousal, valence, stress,
        development), or a zip archive of it. None searches the places that :func:`load_corpus`
        lists.
    window : tuple (start, stop), 'end' or None
        Part of each task to keep. It is cut before every other step. See :func:`cut_window`.
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
        ``development`` : the people with development 1 in the table. ``scored_once`` : target,
        protocol and pipeline of the only scores of the other people that have a verdict.

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
