"""Load CEAP-360VR: EDA of the wrist while watching videos in virtual reality."""

from __future__ import annotations

import json
import os
import re
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
RATING_RANGE = (1.0, 9.0)
VIDEOS = tuple(f"V{number}" for number in range(1, 9))
PEOPLE = tuple(f"P{number}" for number in range(1, 33))
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = (
    *("P2", "P4", "P5", "P6", "P8", "P12", "P14", "P15"),
    *("P21", "P22", "P23", "P24", "P27", "P28", "P31", "P32"),
)
_SIGNALS = re.compile(r"(?:^|/)(P\d{1,2})_Physio_RawData\.json$")
_RATINGS = re.compile(r"(?:^|/)(P\d{1,2})_Questionnaire_Data\.json$")


def _read_list(corpus: CorpusFiles, name: str, outer: str) -> dict[str, Any]:
    """Return the only entry of a list in a JSON file."""
    try:
        (entry,) = json.loads(corpus.read_text(name))[outer]
    except (ValueError, LookupError, TypeError) as error:
        raise corpus.error(name, f"does not hold one entry of {outer!r} ({error}).") from error
    return entry


def _read_eda(corpus: CorpusFiles, name: str) -> dict[str, np.ndarray]:
    """Return video → EDA."""
    entry = _read_list(corpus, name, "Physio_RawData")
    try:
        videos = {
            video["VideoID"]: np.array(
                [(sample["TimeStamp"], sample["EDA"]) for sample in video["EDA_RawData"]],
                dtype=np.float64,
            ).reshape(-1, 2)
            for video in entry["Video_Physio_RawData"]
        }
    except (LookupError, TypeError, ValueError) as error:
        raise corpus.error(name, f"has a video without times and EDA: {error}.") from error
    for video, samples in videos.items():
        times = samples[:, 0]
        rate = (len(times) - 1) / np.ptp(times) if len(times) > 1 and np.ptp(times) else 0.0
        if np.any(np.diff(times) <= 0) or abs(rate / SAMPLING_RATE - 1) > 0.05:
            raise corpus.error(
                name,
                f"has EDA of {video} that is not in order of time, or is not at 4 Hz: {rate:g} Hz.",
            )
    return {video: samples[:, 1] for video, samples in videos.items()}


def _read_ratings(
    corpus: CorpusFiles, name: str
) -> tuple[list[str], dict[str, tuple[float, float]]]:
    """Return the videos in the order in which they were watched, and the ratings of each."""
    entry = _read_list(corpus, name, "QuestionnaireData")
    try:
        order = [f"V{number}" for number in entry["VideoOrder"].split()]
        ratings = {
            video["VideoID"]: (
                corpus.rating(name, str(video["ValenceValue"]), "valence", RATING_RANGE),
                corpus.rating(name, str(video["ArousalValue"]), "arousal", RATING_RANGE),
            )
            for video in entry["Video_SAMRating_VideoTime_Data"]
        }
    except (LookupError, TypeError, AttributeError) as error:
        raise corpus.error(
            name, f"lacks the order or the ratings of the videos: {error}."
        ) from error
    if sorted(order) != sorted(VIDEOS) or set(ratings) != set(VIDEOS):
        raise corpus.error(name, f"must have an order and ratings of the videos {[*VIDEOS]}.")
    return order, ratings


def _read_person(
    corpus: CorpusFiles, subject: str, signals: str, questionnaire: str
) -> list[dict[str, Any]]:
    """Return the videos of one person in the order in which they were watched."""
    eda = _read_eda(corpus, signals)
    order, ratings = _read_ratings(corpus, questionnaire)
    missing = [video for video in order if video not in eda]
    if missing:
        raise corpus.error(signals, f"has no EDA of the videos {missing}.")
    return [
        {
            "subject": subject,
            "stimulus": video,
            "trial": place,
            "eda": eda[video],
            "valence": ratings[video][0],
            "arousal": ratings[video][1],
        }
        for place, video in enumerate(order)
    ]


def read_ceap360vr(corpus: CorpusSource) -> CorpusContent:
    """Read the videos and ratings of all people."""
    signals, questionnaires = corpus.match(_SIGNALS), corpus.match(_RATINGS)
    found = [subject for subject in PEOPLE if (subject,) in signals]
    corpus.require(PEOPLE, found)
    rows: list[dict[str, Any]] = []
    for subject in found:
        if (subject,) not in questionnaires:
            corpus.note(f"{subject} has EDA, but no {subject}_Questionnaire_Data.json. Get it.")
            continue
        with corpus.collect():
            rows += _read_person(corpus, subject, signals[subject,], questionnaires[subject,])
    if not rows:
        corpus.note("No person has a recording with ratings.")
    corpus.raise_all()
    reading = Reading.of_rows(rows, ("trial", "valence", "arousal"), {})
    return CorpusContent.of(
        reading.columns,
        ["valence", "arousal"],
        notes=["The continuous annotations, and signals other than EDA, are not read."],
    )


SPEC = CorpusSpec(
    name="ceap-360vr",
    title="CEAP-360VR: electrodermal activity while watching videos in virtual reality",
    description="""
32 people with an Empatica E4 on the wrist (EDA in microsiemens at 4 Hz) watched eight videos of 60
seconds in a head-mounted display. After each video they rated valence and arousal from 1 to 9: 256
trials. They also annotated valence and arousal continuously with a joystick, which is not read.

What to know before believing a score:
- Eight videos only: hold out the videos, too, and compare with the mean rating of a video.
- The joystick was moved during the recording, and may have changed the EDA.
- No original recording was available when this loader was written: the ratings are read as in the
  authors' files, the recordings as in programs that read them.

Licence: CC BY-NC 4.0.
""",
    licence=(
        "Creative Commons Attribution-NonCommercial 4.0 (CC BY-NC 4.0), as in the authors' "
        "repository."
    ),
    citation=(
        "Xue, T.; El Ali, A.; Zhang, T.; Ding, G.; Cesar, P. CEAP-360VR: A Continuous "
        "Physiological and Behavioral Emotion Annotation Dataset for 360° Videos. IEEE "
        "Transactions on Multimedia 2021. doi:10.1109/TMM.2021.3124080"
    ),
    how_to_get="Get github.com/cwi-dis/CEAP-360VR-Dataset.",
    marker=_SIGNALS,
    like="CEAP-360VR/5_PhysioData/Raw/P1_Physio_RawData.json",
    read=read_ceap360vr,
    units={"eda": "microsiemens"},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=DEVELOPMENT,
    loader="load_ceap360vr",
    stimuli="videos",
    window=(0.0, 25.0),
)
register_corpus(SPEC)


def load_ceap360vr(
    path: str | os.PathLike[str] | None = None,
    *,
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
) -> Study:
    """Load CEAP-360VR: EDA of 32 people who watched eight videos in virtual reality.

    Parameters
    ----------
    path : path-like or None
        The folder of the corpus, with ``5_PhysioData/Raw`` and ``2_QuestionnaireData``, or a zip
        archive of it. None searches the places that :func:`load_corpus` lists.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
    allow_partial : bool
        Accept a corpus without some of the 32 people.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per video by subject and trial: ``subject`` (str),
        ``stimulus`` (the video, ``"V1"`` to ``"V8"``), ``trial`` (its place in the session, int),
        ``eda`` (1-D float64 array in microsiemens) and ``duration`` (seconds of the whole video,
        float).
        ``ratings`` : DataFrame; ``valence`` and ``arousal``, float, 1 to 9.
        ``sampling_rate`` : 4.0 Hz. ``rating_range`` : (1.0, 9.0).
        ``development`` : the 16 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Xue, T., El Ali, A., Zhang, T., Ding, G., & Cesar, P. (2021). CEAP-360VR: A continuous
    physiological and behavioral emotion annotation dataset for 360° videos. IEEE Transactions on
    Multimedia. doi:10.1109/TMM.2021.3124080
    """
    return load_corpus(SPEC, path, window=window, allow_partial=allow_partial)
