"""Load Stress-Predict: EDA of the wrist in rests and stress tasks."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import Any

import numpy as np

from edaemo.datasets._cache import Reading
from edaemo.datasets._download import SUMS, Download
from edaemo.datasets._empatica import read_signal, read_tags, seconds_after
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import CorpusContent, CorpusSource, CorpusSpec
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 4.0
# Between the start of the recording and the first tag, then between one tag and the next.
STAGES = (
    *("baseline", "Stroop", "rest after Stroop", "interview", "rest after interview"),
    *("hyperventilation", "rest after hyperventilation"),
)
TASKS = ("Stroop", "interview", "hyperventilation")
PEOPLE = tuple(f"S{number:02d}" for number in range(1, 36))
UNUSABLE = {
    "S01": "the stages have another order than the tags of all others",
    "S06": "the tag at the start of the Stroop test is missing",
    "S17": "two tags are twelve hours early",
    "S18": "a tag is twelve hours early",
    "S30": "a tag is twelve hours early",
}
_SIGNAL = re.compile(r"(?:^|/)(S\d{2})/EDA\.csv$")
_TAGS = re.compile(r"(?:^|/)(S\d{2})/tags(?:_S\d{2})?\.csv$")


def _read_person(corpus: CorpusSource, subject: str, eda: str, tags: str) -> list[dict[str, Any]]:
    """Return the stages of one person."""
    signal = read_signal(corpus, eda)
    if signal.sampling_rate != SAMPLING_RATE:
        raise corpus.error(eda, f"gives {signal.sampling_rate:g} Hz, but 4 Hz is expected.")
    presses = seconds_after(corpus, tags, read_tags(corpus, tags), signal.start)
    if len(presses) < len(STAGES):
        raise corpus.error(
            tags, f"has {len(presses)} tags, but the first {len(STAGES)} separate the stages."
        )
    edges = [0.0, *presses[: len(STAGES)]]
    if np.min(np.diff(edges)) <= 0 or edges[-1] > signal.duration:
        raise corpus.error(tags, "has tags outside of the recording or without time between them.")
    return [
        {
            "subject": subject,
            "stimulus": stage,
            "trial": place,
            "eda": corpus.cut(
                signal.samples,
                round(start * SAMPLING_RATE),
                round(stop * SAMPLING_RATE),
                SAMPLING_RATE,
            ),
            "session_time": start,
        }
        for place, (stage, (start, stop)) in enumerate(zip(STAGES, pairwise(edges), strict=True))
    ]


def read_stress_predict(corpus: CorpusSource) -> CorpusContent:
    """Read the stages of all people with usable tags."""
    signals, tags = corpus.match(_SIGNAL), corpus.match(_TAGS)
    found = sorted({subject for (subject,) in signals})
    corpus.require(PEOPLE, found)
    rows: list[dict[str, Any]] = []
    for subject in found:
        if subject in UNUSABLE:
            continue
        if (subject,) not in tags:
            corpus.note(f"{subject} has EDA.csv, but no tags.csv. Get it, or remove the person.")
            continue
        with corpus.collect():
            rows += _read_person(corpus, subject, signals[subject,], tags[subject,])
    if not rows:
        corpus.note("No person has a recording with usable tags.")
    corpus.raise_all()
    reading = Reading.of_rows(rows, ("trial", "session_time"), {})
    tasks = [stage in TASKS for stage in reading.columns["stimulus"]]
    return CorpusContent.of(
        reading.columns,
        [],
        targets={"task": np.where(tasks, "task", "rest")},
        report={
            "people": len({row["subject"] for row in rows}),
            "rests": len(rows) - sum(tasks),
            "tasks": sum(tasks),
        },
        notes=[
            *(f"{who}: left out: {why}." for who, why in UNUSABLE.items() if who in found),
            "The questionnaire and the last rest have tags of three people only, and are not read.",
            "The baseline begins with the recording, so it holds the settling of the sensor.",
        ],
    )


SPEC = CorpusSpec(
    name="stress-predict",
    title="Stress-Predict: electrodermal activity in rests and stress tasks",
    description="""
35 people with an Empatica E4 on the wrist, EDA in microsiemens at 4 Hz: a baseline, the Stroop
test, an interview and hyperventilation, with a rest after each. 30 people have usable tags: 210
stages, 120 rests and 90 tasks. The people gave no ratings of the stages.

What to know before believing a score:
- The order of the stages is the same for all people, so the number of the stage tells its label,
  and the time in the session partly does. Compare with baselines that use them alone.
- The tags separate the stages: the authors' time table, in minutes, agrees with them within four
  minutes. The baseline runs from the start of the recording and includes questionnaires.
- The lengths of the stages differ: the first 25 seconds of each are used by default.
- All people were looked at while recipes were explored, so all are development people.

Licence: MIT, as in the repository of the authors.
""",
    licence="MIT, as in the authors' repository github.com/italha-d/Stress-Predict-Dataset.",
    citation=(
        "Iqbal, T.; Simpkin, A. J.; Roshan, D.; Glynn, N.; Killilea, J.; Walsh, J.; et al. "
        "Stress Monitoring Using Wearable Sensors: A Pilot Study and Stress-Predict Dataset. "
        "Sensors 2022, 22(21), 8135. doi:10.3390/s22218135"
    ),
    how_to_get="Get github.com/italha-d/Stress-Predict-Dataset (with the folder Raw_data).",
    marker=re.compile(r"(?:^|/)(?:time|Time_logs)\.xlsx$"),
    like="Processed_data/Time_logs.xlsx",
    read=read_stress_predict,
    units={"eda": "microsiemens"},
    sampling_rate=SAMPLING_RATE,
    rating_range=None,
    targets=("task",),
    development=tuple(person for person in PEOPLE if person not in UNUSABLE),
    folder="stress_predict",
    loader="load_stress_predict",
    stimuli="",
    window=(0.0, 25.0),
    context=np.inf,
    download=Download(
        "https://raw.githubusercontent.com/italha-d/Stress-Predict-Dataset/"
        "f49d2eae603f90c3f0140fbbbae7c0480d651023/",
        SUMS / "stress_predict.sha256",
    ),
)
register_corpus(SPEC)


def load_stress_predict(
    path: str | os.PathLike[str] | None = None,
    *,
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    download: bool = False,
) -> Study:
    """Load Stress-Predict: EDA of 30 people in 210 rests and stress tasks.

    Parameters
    ----------
    path : path-like or None
        The folder of the corpus as the authors publish it (``Raw_data/S02/EDA.csv`` and
        ``tags_S02.csv``, ``Processed_data/Time_logs.xlsx``), or a zip archive of it. None searches
        the places that :func:`load_corpus` lists.
    window : tuple (start, stop), 'end' or None
        Part of each stage to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept a corpus without some of the 35 people.
    download : bool
        Download the corpus into the cache of the user, if no searched place holds it; see
        :func:`load_corpus`.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per stage by subject and trial: ``subject`` (str),
        ``stimulus`` (the stage, str), ``trial`` (0 to 6, int), ``eda`` (1-D float64 array in
        microsiemens), ``session_time`` (seconds from the start of the recording to the onset of the
        stage, float) and ``duration`` (seconds of the whole stage, float).
        ``ratings`` : DataFrame without columns.
        ``targets`` : dict, ``"task"`` → Series of ``"rest"`` or ``"task"``.
        ``sampling_rate`` : 4.0 Hz. ``rating_range`` : None.
        ``development`` : all people; see the description.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Iqbal, T., et al. (2022). Stress monitoring using wearable sensors: A pilot study and
    Stress-Predict dataset. Sensors, 22(21), 8135. doi:10.3390/s22218135
    """
    return load_corpus(SPEC, path, window=window, allow_partial=allow_partial, download=download)
