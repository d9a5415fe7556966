"""Load the induced-stress sessions: wrist EDA of 36 people (Hongn et al., 2025)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._download import SUMS, Download
from edaemo.datasets._empatica import FILES, E4Signal, read_signal, read_tags, seconds_after
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import CorpusContent, CorpusSource, CorpusSpec
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 4.0
RATING_RANGE = (0.0, 10.0)
PUBLISHED = {"people": 36, "stages": 252, "rest stages": 90, "task stages": 162}
RESTS = ("Baseline", "First Rest", "Second Rest")

# Stage → the tags, counted from 1, at which it begins and ends, in the order of the protocol.
V1_TAGS = {
    "Baseline": (1, 2),
    "Stroop": (3, 4),
    "First Rest": (4, 5),
    "TMCT": (5, 6),
    "Second Rest": (6, 7),
    "Real Opinion": (7, 8),
    "Opposite Opinion": (9, 10),
    "Subtract": (11, 12),
}
V2_TAGS = {
    "TMCT": (2, 3),
    "First Rest": (3, 4),
    "Real Opinion": (4, 5),
    "Opposite Opinion": (6, 7),
    "Second Rest": (7, 8),
    "Subtract": (8, 9),
}
# First letter of the person → ratings file, number of tags, stages, number of the first stage.
PROTOCOLS = {
    "S": ("Stress_Level_v1.csv", 13, V1_TAGS, 0),
    "f": ("Stress_Level_v2.csv", 9, V2_TAGS, 1),
}
VERSIONS = {"S": "V1", "f": "V2"}  # by the first letter of the person
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = (
    *("S06", "S09", "S10", "S12", "S14", "S16", "S17", "f01"),
    *("f02", "f03", "f08", "f09", "f10", "f11", "f13", "f15"),
    *("f17", "f18"),
)

# data_constraints.txt: "Duplicated raw values start in: EDA.csv: row 6,195". Rows count from 1, and
# the first two rows are the header. This is therefore the number of good samples.
S02_GOOD_SAMPLES = 6195 - 1 - 2


_FOLDER = "Wearable_Dataset/STRESS/"
_RECORDING = re.compile(r"(?P<recording>[Sf]\d{2}(_[ab])?)/(?P<file>[^/]+)")


def _recordings(corpus: CorpusFiles) -> dict[str, str]:
    """Return subject → folder of the recording that holds the stages."""
    recordings = {}
    for name in corpus.names:
        if not name.startswith(_FOLDER):
            continue
        match = _RECORDING.fullmatch(name.removeprefix(_FOLDER))
        if match is None or match["file"] not in FILES:
            corpus.note(
                f"{name} is not a file of this corpus, which has <person>/EDA.csv and tags.csv. "
                "Remove it."
            )
            continue
        subject, _, part = match["recording"].partition("_")
        if part and subject != "f14":
            corpus.note(f"{name} is not in a folder of this corpus: only f14 has parts. Remove it.")
        elif part != "a":
            recordings[subject] = f"{_FOLDER}{match['recording']}/"
    if not recordings:
        corpus.note(f"The folder {_FOLDER!r} holds no recording.")
    return dict(sorted(recordings.items()))


def _read_eda(corpus: CorpusFiles, name: str) -> E4Signal:
    """Return the recording, in microsiemens."""
    signal = read_signal(corpus, name)
    if signal.sampling_rate != SAMPLING_RATE:
        raise corpus.error(
            name, f"gives a sampling rate of {signal.sampling_rate:g} Hz, but 4 Hz is expected."
        )
    bad = np.flatnonzero(~np.isfinite(signal.samples))
    if len(bad):
        raise corpus.error(
            name, f"has no finite number in line {bad[0] + 3}: {signal.samples[bad[0]]}."
        )
    return signal


def _read_tags(corpus: CorpusFiles, name: str, n_tags: int) -> list[datetime]:
    times = read_tags(corpus, name)
    if not times:
        raise corpus.error(name, f"is empty, but its protocol has {n_tags} tags.")
    if len(times) != n_tags:
        raise corpus.error(name, f"has {len(times)} tags, but its protocol has {n_tags}.")
    return times


def _read_ratings(
    corpus: CorpusFiles, name: str, stages: Iterable[str]
) -> dict[str, dict[str, float]]:
    """Return subject → stage → self-reported stress, and note and skip invalid ratings."""
    ratings: dict[str, dict[str, float]] = {}
    for row in corpus.read_table(name, ("", *stages)):
        subject = row.pop("")
        if subject in ratings:
            corpus.note_file(name, f"has two rows of ratings for {subject}.")
            continue
        ratings[subject] = {}
        for stage, text in row.items():
            with corpus.collect():
                stress = corpus.number(name, text, f"stress of {subject} in {stage}")
                if not RATING_RANGE[0] <= stress <= RATING_RANGE[1]:
                    raise corpus.error(
                        name, f"has a stress of {stress} for {subject} in {stage}, outside 0 to 10."
                    )
                ratings[subject][stage] = stress
    return ratings


def _read_subject(
    corpus: CorpusSource, subject: str, folder: str
) -> tuple[list[dict[str, Any]], int]:
    """Return the stages of one person and the number of duplicated samples that were dropped."""
    _, n_tags, stages, first_place = PROTOCOLS[subject[0]]
    signal, times = None, None
    with corpus.collect():
        signal = _read_eda(corpus, folder + "EDA.csv")
    with corpus.collect():
        times = _read_tags(corpus, folder + "tags.csv", n_tags)
    if signal is None or times is None:
        return [], 0
    eda = signal.samples[:S02_GOOD_SAMPLES] if subject == "S02" else signal.samples
    tags = seconds_after(corpus, folder + "tags.csv", times, signal.start)
    rows = []
    for place, (stage, (first_tag, last_tag)) in enumerate(stages.items(), start=first_place):
        onset, end = tags[first_tag - 1], tags[last_tag - 1]
        if end <= onset:
            corpus.note_file(folder + "tags.csv", f"has a stage {stage} that does not last.")
        elif onset < 0 or round(end * SAMPLING_RATE) > len(eda):
            corpus.note_file(
                folder + "EDA.csv",
                f"has {len(eda) / SAMPLING_RATE:g} s of usable signal, but the stage {stage} "
                f"of {subject} runs from {onset:g} to {end:g} s according to tags.csv in the same "
                "folder.",
            )
        else:
            first, last = (round(edge * SAMPLING_RATE) for edge in (onset, end))
            rows.append(
                {
                    "subject": subject,
                    "stimulus": stage,
                    "trial": place,
                    "eda": corpus.cut(eda, first, last, SAMPLING_RATE),
                    "session_time": onset,
                    "version": VERSIONS[subject[0]],
                }
            )
    return rows, len(signal.samples) - len(eda)


def _note_fault(subject: str, folder: str, n_dropped: int) -> list[str]:
    """Return notes for the report on known faults in the recording of a person."""
    if subject == "S02":
        return [
            f"S02: {n_dropped} samples, from row 6,195 of EDA.csv on, were dropped: the signal is "
            "duplicated (data_constraints.txt)."
        ]
    if subject == "f07":
        return [
            "f07: the sensor dock was left on; the recording is kept because its EDA is valid "
            "(data_constraints.txt)."
        ]
    if subject == "f14":
        return [
            f"f14: read from {folder.split('/')[-2]}. session_time counts from its start. The "
            "baseline in f14_a is not used."
        ]
    return []


def _read_stages(
    corpus: CorpusSource, recordings: dict[str, str]
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Return all whole stages with ratings, the rated people without recording, and the notes."""
    ratings = {}
    for initial, (file, _, stages, _) in PROTOCOLS.items():
        with corpus.collect():
            ratings[initial] = _read_ratings(corpus, file, stages)
    rows, notes = [], []
    for subject, folder in recordings.items():
        subject_rows: list[dict[str, Any]] = []
        n_dropped = 0
        with corpus.collect():
            subject_rows, n_dropped = _read_subject(corpus, subject, folder)
        notes += _note_fault(subject, folder, n_dropped)
        if subject[0] not in ratings:  # the table is invalid, which is already noted
            continue
        rated = ratings[subject[0]].get(subject)
        if rated is None:
            corpus.note_file(PROTOCOLS[subject[0]][0], f"lacks ratings of {subject}.")
            continue
        rows += [{**row, "stress": rated.get(row["stimulus"], np.nan)} for row in subject_rows]
    absent = sorted({person for group in ratings.values() for person in group} - set(recordings))
    return rows, absent, notes


def _count(recordings: Iterable[str]) -> dict[str, int]:
    """Return the numbers of people and stages, to compare with the publication."""
    stages = [stage for subject in recordings for stage in PROTOCOLS[subject[0]][2]]
    n_rests = sum(stage in RESTS for stage in stages)
    return {
        "people": len(set(recordings)),
        "stages": len(stages),
        "rest stages": n_rests,
        "task stages": len(stages) - n_rests,
    }


def read_induced_stress(corpus: CorpusSource) -> CorpusContent:
    """Read all stages and their ratings, and check the counts."""
    recordings = _recordings(corpus)
    rows, absent, notes = _read_stages(corpus, recordings)
    counts = _count(recordings)
    if recordings:
        corpus.check_counts(counts, PUBLISHED, absent)
    corpus.raise_all()
    reading = Reading.of_rows(rows, ("trial", "session_time", "stress"), {})
    rests = [stage in RESTS for stage in reading.columns["stimulus"]]
    return CorpusContent.of(
        reading.columns,
        ["stress"],
        targets={"task": np.where(rests, "rest", "task")},
        report={
            "people": counts["people"],
            "trials": counts["stages"],
            "rests": counts["rest stages"],
            "tasks": counts["task stages"],
            "people_without_recording": absent,
        },
        notes=[
            *notes,
            "The tags at which a stage begins and ends are inferred from the time between tags.",
            "The baseline of protocol V2 (people f*) has ratings but no clear boundaries, and is "
            "not read.",
            "Signals other than EDA are not read.",
        ],
    )


SPEC = CorpusSpec(
    name="induced-stress",
    title="Induced stress: electrodermal activity in rests and stress tasks",
    description="""
The stress protocol of the PhysioNet "Wearable Device Dataset from Induced Stress and Structured
Exercise Sessions": 36 people with an Empatica E4 on the wrist, EDA in microsiemens at 4 Hz.
People S* followed protocol V1 (baseline, Stroop, rest, TMCT, rest, real opinion, opposite opinion,
subtraction). People f* followed protocol V2 (no Stroop, opinions between the rests). After each
stage they rated their stress from 0 to 10. There are 252 stages: 90 rests and 162 tasks.

What to know before believing a score:
- The button presses (tags) at which a stage begins and ends are inferred from the time between
  tags, because the authors' mapping was not available. The baseline of V2 has ratings but no clear
  boundaries, and is left out.
- Rests last 163 to 1169 s, tasks 26 to 452 s. Features of whole stages, or of `window="end"`, can
  encode this length. The length alone (the column `duration`) gives an AUC of 0.97 for rest. By
  default only the first 25 seconds of each stage are used.
- The order of the stages is fixed, so the time in the session partly separates rest from task. A
  baseline can use the column `session_time` alone to measure this.
- S02: the signal is duplicated from row 6,195 of the file on. These samples are dropped.
  f07: the sensor dock was left on. The authors consider the EDA valid. f14: the connection was
  lost. The stages are read from the second recording, f14_b. The baseline in f14_a is not used.

Licence: ODC-By 1.0 according to a second-hand statement. Confirm it at PhysioNet.
""",
    licence=(
        "Open Data Commons Attribution License v1.0 (ODC-By 1.0), according to a second-hand "
        "statement: the copy that was read has no licence text, and the publisher's page was not "
        "checked."
    ),
    citation=(
        "Hongn, A.; Bosch, F.; Prado, L. E.; Ferrández, J. M.; Bonomini, M. P. Wearable "
        "Physiological Signals under Acute Stress and Exercise Conditions. Scientific Data 2025. "
        "doi:10.1038/s41597-025-04845-9"
    ),
    how_to_get=(
        "Get the PhysioNet data set 'Wearable Device Dataset from Induced Stress and "
        "Structured Exercise Sessions' (doi:10.1038/s41597-025-04845-9)."
    ),
    marker="Stress_Level_v1.csv",
    read=read_induced_stress,
    units={"eda": "microsiemens"},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    targets=("task", "stress"),
    development=DEVELOPMENT,
    folder="induced_stress",
    loader="load_induced_stress",
    stimuli="",
    window=(0.0, 25.0),
    context=np.inf,
    masked=False,
    download=Download(
        "https://physionet.org/files/wearable-device-dataset/1.0.1/",
        SUMS / "induced_stress.sha256",
    ),
)
register_corpus(SPEC)


def load_induced_stress(
    path: str | os.PathLike[str] | None = None,
    *,
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    download: bool = False,
) -> Study:
    """Load the induced-stress sessions: EDA of 36 people in 252 rests and stress tasks.

    All files are checked, and the counts are compared with the publication. One error lists every
    problem. The tags at which a stage begins and ends are inferred from the time between tags.

    Parameters
    ----------
    path : path-like or None
        The original folder of the corpus (with ``Stress_Level_v1.csv`` and ``Wearable_Dataset``) or
        a zip archive of it. None searches the places that :func:`load_corpus` lists.
    window : tuple (start, stop), 'end' or None
        Part of each stage to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept an incomplete corpus: people with ratings but without any recording are listed in
        the report instead of raising an error. All other checks remain.
    download : bool
        Download the corpus into the cache of the user, if no searched place holds it; see
        :func:`load_corpus`.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per stage by subject and trial: ``subject`` (str),
        ``stimulus`` (the stage as in the ratings files, str), ``trial`` (the number of the stage in
        the protocol, Baseline 0, int), ``eda`` (1-D float64 array in microsiemens, 100 samples by
        default), ``session_time`` (seconds from the start of the recording to the onset of the
        whole stage, float), ``version`` (of the protocol, "V1" or "V2", str) and ``duration``
        (seconds of the whole stage, before the window is cut, float).
        ``ratings`` : DataFrame with the same index; ``stress``, float, 0 to 10.
        ``targets`` : dict, ``"task"`` → Series of ``"rest"`` or ``"task"``, ``"stress"`` → Series
        of the ratings.
        ``sampling_rate`` : 4.0 Hz. ``rating_range`` : (0.0, 10.0).
        ``development`` : the 18 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Hongn, A., Bosch, F., Prado, L. E., Ferrández, J. M., & Bonomini, M. P. (2025). Wearable
    physiological signals under acute stress and exercise conditions. Scientific Data.
    doi:10.1038/s41597-025-04845-9
    """
    return load_corpus(SPEC, path, window=window, allow_partial=allow_partial, download=download)
