"""Load CASE: skin conductance while watching videos with continuous annotations."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import CorpusContent, CorpusSource, CorpusSpec
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 1000.0
RATING_RANGE = (0.5, 9.5)
# The emotional videos. Other numbers are the start, the end, and the blue screens between them.
VIDEOS = tuple(range(1, 9))
PEOPLE = tuple(f"sub_{number}" for number in range(1, 31))
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = (
    *("sub_2", "sub_4", "sub_5", "sub_6", "sub_7", "sub_8", "sub_12", "sub_14"),
    *("sub_15", "sub_21", "sub_22", "sub_23", "sub_24", "sub_28", "sub_30"),
)
_SIGNALS = re.compile(r"(?:^|/)interpolated/physiological/(sub_\d+)\.csv$")
_ANNOTATIONS = re.compile(r"(?:^|/)interpolated/annotations/(sub_\d+)\.csv$")


def _read_columns(corpus: CorpusFiles, name: str, columns: list[str]) -> dict[str, np.ndarray]:
    """Return columns of numbers of a comma-separated file, and check the order of its times."""
    with corpus.open(name) as file:
        try:
            table = pd.read_csv(file, usecols=columns, dtype=np.float64)
        except (ValueError, pd.errors.ParserError) as error:
            what = " ".join(str(error).split())[:200]
            raise corpus.error(name, f"does not hold numbers in {columns}: {what}.") from error
    found = {column: table[column].to_numpy() for column in columns}
    if len(table) < 2 or not np.all(np.diff(found[columns[0]]) > 0):
        raise corpus.error(name, f"has no rows in order of {columns[0]!r}: it may be truncated.")
    return found


def _find_videos(corpus: CorpusFiles, name: str, shown: np.ndarray) -> dict[int, slice]:
    """Return the rows of each emotional video, in the order in which they were watched."""
    edges = [0, *(np.flatnonzero(np.diff(shown)) + 1).tolist(), len(shown)]
    runs = [
        (int(shown[first]), slice(first, last))
        for first, last in pairwise(edges)
        if shown[first] in VIDEOS
    ]
    if sorted(video for video, _ in runs) != [*VIDEOS]:
        raise corpus.error(
            name,
            f"must have each of the videos 1 to 8 once; it has {[video for video, _ in runs]}.",
        )
    return dict(runs)


def _read_person(
    corpus: CorpusSource, subject: str, signals: str, annotations: str
) -> list[dict[str, Any]]:
    """Return the videos of one person in the order in which they were watched."""
    recorded = _read_columns(corpus, signals, ["daqtime", "gsr", "video"])
    step = float(np.median(np.diff(recorded["daqtime"])))
    if abs(step - 1) > 0.01:
        raise corpus.error(signals, f"has steps of {step:g} ms, but 1 ms is expected.")
    rated = _read_columns(corpus, annotations, ["jstime", "valence", "arousal", "video"])
    rated_in = _find_videos(corpus, annotations, rated["video"])
    rows = []
    videos = _find_videos(corpus, signals, recorded["video"])
    for place, (video, inside) in enumerate(videos.items()):
        ratings = {
            name: float(np.mean(rated[name][rated_in[video]])) for name in ("valence", "arousal")
        }
        for name, rating in ratings.items():
            if not RATING_RANGE[0] <= rating <= RATING_RANGE[1]:
                raise corpus.error(
                    annotations,
                    f"has {rating:g} as mean {name} of video {video}, outside 0.5 to 9.5.",
                )
        rows.append(
            {
                "subject": subject,
                "stimulus": str(video),
                "trial": place,
                "eda": corpus.cut(recorded["gsr"], inside.start, inside.stop, SAMPLING_RATE),
                "session_time": float(recorded["daqtime"][inside.start]) / 1000,
                **ratings,
            }
        )
    return rows


def read_case(corpus: CorpusSource) -> CorpusContent:
    """Read the videos and mean annotations of all people."""
    signals, annotations = corpus.match(_SIGNALS), corpus.match(_ANNOTATIONS)
    found = [subject for subject in PEOPLE if (subject,) in signals]
    corpus.require(PEOPLE, found)
    rows: list[dict[str, Any]] = []
    for subject in found:
        if (subject,) not in annotations:
            corpus.note(f"{subject} has no file interpolated/annotations/{subject}.csv. Get it.")
            continue
        with corpus.collect():
            rows += _read_person(corpus, subject, signals[subject,], annotations[subject,])
    if not rows:
        corpus.note("No person has a recording with annotations.")
    corpus.raise_all()
    reading = Reading.of_rows(rows, ("trial", "session_time", "valence", "arousal"), {})
    return CorpusContent.of(
        reading.columns,
        ["valence", "arousal"],
        notes=[
            "The ratings are means of the continuous annotations over each video.",
            "The start, the end and the blue screens between the videos are not read.",
        ],
    )


SPEC = CorpusSpec(
    name="case",
    title="CASE: skin conductance while watching videos with continuous annotations",
    description="""
30 people watched eight emotional videos, with blue screens of two minutes between them, and
annotated valence and arousal with a joystick at the same time, from 0.5 to 9.5: 240 trials. Skin
conductance in microsiemens at 1000 Hz, as interpolated by the authors.

What to know before believing a score:
- The rating of a trial is the mean of its continuous annotation, not a rating after the video.
- Eight videos only: hold out the videos, too, and compare with the mean rating of a video.
- The joystick was moved during the recording, and may have changed the skin conductance.
- No original was available when this loader was written. The format is that of the authors' readme
  files.

Licence: not read; see the page of the download.
""",
    licence=(
        "The terms were not available when this loader was written: read them on the page of the "
        "download before use."
    ),
    citation=(
        "Sharma, K.; Castellini, C.; van den Broek, E. L.; Albu-Schaeffer, A.; Schwenker, F. A "
        "dataset of continuous affect annotations and physiological signals for emotion analysis. "
        "Scientific Data 2019, 6, 196. doi:10.1038/s41597-019-0209-0"
    ),
    how_to_get="Get gitlab.com/karan-shr/case_dataset, or CASE_full on figshare (8869157).",
    marker=_SIGNALS,
    like="CASE_full/data/interpolated/physiological/sub_1.csv",
    read=read_case,
    units={"eda": "microsiemens"},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=DEVELOPMENT,
    loader="load_case",
    stimuli="videos",
    window=(0.0, 25.0),
    context=np.inf,
)
register_corpus(SPEC)


def load_case(
    path: str | os.PathLike[str] | None = None,
    *,
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
) -> Study:
    """Load CASE: skin conductance of 30 people who watched eight videos.

    Parameters
    ----------
    path : path-like or None
        The folder of the corpus, with ``data/interpolated/physiological`` and
        ``data/interpolated/annotations``, or a zip archive of it. None searches the places that
        :func:`load_corpus` lists.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept a corpus without some of the 30 people.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per video by subject and trial: ``subject`` (str),
        ``stimulus`` (the number of the video, ``"1"`` to ``"8"``), ``trial`` (its place in the
        session, int), ``eda`` (1-D float64 array in microsiemens), ``session_time`` (seconds from
        the start of the recording to the onset of the video, float) and ``duration`` (seconds of
        the whole video, float).
        ``ratings`` : DataFrame; ``valence`` and ``arousal``, means over the video, float, 0.5 to
        9.5.
        ``sampling_rate`` : 1000.0 Hz. ``rating_range`` : (0.5, 9.5).
        ``development`` : the 15 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Sharma, K., Castellini, C., van den Broek, E. L., Albu-Schaeffer, A., & Schwenker, F. (2019). A
    dataset of continuous affect annotations and physiological signals for emotion analysis.
    Scientific Data, 6, 196. doi:10.1038/s41597-019-0209-0
    """
    return load_corpus(SPEC, path, window=window, allow_partial=allow_partial)
