"""Load MAHNOB-HCI: 27 people who watched 20 film extracts (Soleymani, 2012)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from edaemo.datasets._assemble import to_microsiemens
from edaemo.datasets._bdf import check_mne, read_bdf
from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    GET_THE_REST,
    UNITS,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    choose_signals,
)
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 256.0
RATING_RANGE = (1.0, 9.0)
PEOPLE = tuple(str(number) for number in range(1, 31) if number not in (12, 15, 26))
N_TRIALS = 527
EEG = (
    *("Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1"),
    *("Oz", "Pz", "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2"),
    *("P4", "P8", "PO4", "O2"),
)
# Signal → labels of its channels.
SIGNALS = {
    "eda": ("GSR1",),
    "eeg": EEG,
    "ecg": ("EXG1", "EXG2", "EXG3"),
    "respiration": ("Resp",),
    "temperature": ("Temp",),
}
# Rating → attribute of session.xml.
SCALES = {
    "valence": "feltVlnc",
    "arousal": "feltArsl",
    "control": "feltCtrl",
    "predictability": "feltPred",
}
EMOTIONS = {
    **dict(enumerate(("neutral", "anger", "disgust", "fear", "joy", "sadness", "surprise"))),
    **{11: "amusement", 12: "anxiety"},
}
# Unit of GSR1 in the header of a recording, in lower case → its size in microsiemens. None for
# resistance, which is inverted.
CONDUCTANCE = {"ohm": None, "ns": 1e-3, "us": 1.0, "µs": 1.0}
# 13 of the 27 people, drawn as `_development` describes.
DEVELOPMENT = ("3", "4", "7", "8", "13", "16", "21", "23", "24", "25", "27", "29", "30")

_SESSION = re.compile(r"(?:^|/)(\d+)/session\.xml$")
_RECORDING = re.compile(r"(?:^|/)(\d+)/Part_(\d+)_S_Trial(\d+)_emotion\.bdf$")
_ANY_RECORDING = re.compile(r"(?:^|/)(\d+)/[^/]*\.bdf$")
_TRIGGER = "Status"


def read_mahnob_hci(corpus: CorpusSource, *, signals: tuple[str, ...], units: str) -> CorpusContent:
    """Read the trials of all people; the header of each recording has the unit of its EDA."""
    sessions = corpus.match(_SESSION)
    recordings = _find_recordings(corpus, sessions)
    reading = corpus.read(
        [*recordings.values(), *(sessions[key[:1]] for key in recordings)],
        [SAMPLING_RATE, sorted(signals)],
        lambda: _read(corpus, recordings, sessions, signals),
    )
    people = {person for _, person, _ in recordings}
    corpus.require(PEOPLE, people, who="The participants ")
    if len(recordings) != N_TRIALS and not corpus.allow_partial:
        corpus.note(
            f"Found only {len(recordings)} of {N_TRIALS} recordings of films. {GET_THE_REST}"
        )
    columns = dict(reading.columns)
    recorded_in = columns.pop("eda_unit", [])
    if units == "microsiemens":
        _check_units(corpus, recorded_in)
    corpus.raise_all()
    if units == "microsiemens":
        pairs = zip(columns["eda"], recorded_in, strict=True)
        columns["eda"] = [_convert(eda, unit) for eda, unit in pairs]
    recorded_units = sorted(set(recorded_in))
    recorded = {match[1] for name in corpus.names if (match := _ANY_RECORDING.search(name))}
    silent = sorted((number for (number,) in sessions if number not in recorded), key=int)
    return CorpusContent.of(
        columns,
        (*SCALES, "emotion"),
        left_out=reading.facts["left_out"],
        report={
            "recorded_units": recorded_units,
            "sessions_without_recording": silent,
            "neutral_recordings": sum(
                "_N_Trial" in name for name in corpus.names if name.endswith(".bdf")
            ),
        },
        notes=[
            "Samples outside the two triggers of the channel Status are dropped, except those in "
            "the window: about 30 s before the film and 30 s after it.",
            "According to the headers of the recordings, the unit of the skin response is "
            f"{' and '.join(recorded_units)}. "
            + (
                "It is converted to microsiemens. Samples at or below zero are masked (NaN)."
                if units == "microsiemens"
                else "It is not converted. Only samples that are not finite are masked (NaN)."
            ),
            "Recordings of the neutral clips (named N) are not read.",
        ],
        more={
            "units": {
                **{name: reading.facts["units"][name] for name in signals},
                "eda": units if units == "microsiemens" else " or ".join(recorded_units),
            }
        },
    )


def _find_recordings(
    corpus: CorpusFiles, sessions: Mapping[tuple[str, ...], str]
) -> dict[tuple[str, ...], str]:
    """Return (session, person, trial) → recording, by person and trial."""
    found = corpus.match(_RECORDING)
    seen: dict[str, str] = {}
    for (session, person, _), name in found.items():
        if (session,) not in sessions:
            corpus.note(f"{name} has no session.xml in its folder: its ratings are not known.")
        if int(person) not in range(1, 31):
            corpus.note(f"{name} is not a file of MAHNOB-HCI, which has people 1 to 30.")
        if session in seen:
            corpus.note(
                f"{seen[session]} and {name} belong to the same session: keep the right one."
            )
        seen[session] = name
    kept = {key: name for key, name in found.items() if key[:1] in sessions}
    return dict(sorted(kept.items(), key=lambda item: (int(item[0][1]), int(item[0][2]))))


def _check_units(corpus: CorpusFiles, recorded_in: Iterable[str]) -> None:
    unknown = sorted({unit for unit in recorded_in if unit.lower() not in CONDUCTANCE})
    if unknown:
        corpus.note(
            f"Headers of recordings give the unit of GSR1 as {unknown}, which is neither "
            "resistance (Ohm) nor conductance (nS, uS). Pass units='as_recorded' to read it "
            "unconverted."
        )


def _convert(eda: np.ndarray, unit: str) -> np.ndarray:
    """Return conductance in microsiemens, with NaN for samples at or below zero."""
    factor = CONDUCTANCE[unit.lower()]
    made = eda.copy()
    if factor is None:
        to_microsiemens(made)
    else:
        made[~(made > 0)] = np.nan
        made *= factor
    return made


def _read(
    corpus: CorpusSource,
    recordings: Mapping[tuple[str, ...], str],
    sessions: Mapping[tuple[str, ...], str],
    signals: Iterable[str],
) -> Reading:
    """Read all recordings, and note every problem."""
    check_mne()
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    units: dict[str, str] = {}
    met: dict[tuple[str, str], str] = {}
    for (session, person, number), name in recordings.items():
        with corpus.collect():
            about, ratings = _read_session(corpus, sessions[session,], person)
            trial: dict[str, Any] = {"subject": about["subject"], "stimulus": about["stimulus"]}
            trial["trial"] = int(number)
            for key in ("stimulus", "trial"):
                twice = met.setdefault((about["subject"], f"{key} {trial[key]}"), name)
                if twice != name:
                    raise corpus.error(
                        name,
                        f"and {twice} are both participant {person}'s {key} {trial[key]}.",
                        "Keep the right one.",
                    )
            cells, signal_units = _read_recording(corpus, name, signals)
            if cells is None or ratings is None:
                duration = 0.0
                if cells is not None:
                    duration = len(cells["eda"]) / SAMPLING_RATE - corpus.context
                reason = "no self-assessment" if ratings is None else "no start and end of the film"
                left_out.append({**trial, "duration": duration, "reason": reason})
                continue
            units |= signal_units
            trial |= {"session": session, "eda_unit": signal_units["eda"]}
            rows.append({**trial, **cells, **ratings})
    unrated = {row["subject"] for row in left_out if row["reason"] == "no self-assessment"}
    for person in sorted(unrated - {row["subject"] for row in rows}, key=int):
        corpus.note(f"Participant {person} has no ratings at all.")
    if not rows:
        corpus.note("No trial has both a recording and ratings.")
    return Reading.of_rows(rows, ("trial", *SCALES), {"left_out": left_out, "units": units})


def _read_session(
    corpus: CorpusFiles, name: str, person: str
) -> tuple[dict[str, str], dict[str, Any] | None]:
    """Return subject and stimulus of a session, and its ratings or None without ratings."""
    try:
        root = ElementTree.fromstring(corpus.read_bytes(name))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise corpus.error(name, f"is truncated or is not XML: {error}.") from error
    subject = root.find("subject")
    whose = None if subject is None else subject.get("id")
    if whose != person:
        raise corpus.error(
            name, f"names subject {whose!r}, but its recording is of participant {person}."
        )
    stimulus = root.get("mediaFile", "").strip().lower()
    if not stimulus:
        raise corpus.error(name, "lacks the attribute mediaFile, the film that was shown.")
    about = {"subject": person, "stimulus": stimulus}
    given = {rating: root.get(key, "").strip() for rating, key in SCALES.items()}
    emotion = root.get("feltEmo", "").strip()
    if not any(given.values()):
        return about, None
    ratings: dict[str, Any] = {
        rating: corpus.number(name, text, SCALES[rating]) for rating, text in given.items()
    }
    outside = [
        f"{SCALES[rating]} is {value:g}"
        for rating, value in ratings.items()
        if not RATING_RANGE[0] <= value <= RATING_RANGE[1]
    ]
    if outside:
        raise corpus.error(name, f"has ratings outside 1 to 9: {', '.join(outside)}.")
    if not emotion.isdecimal() or int(emotion) not in EMOTIONS:
        raise corpus.error(name, f"has {emotion!r} as feltEmo, but {[*EMOTIONS]} are the codes.")
    return about, {**ratings, "emotion": EMOTIONS[int(emotion)]}


def _read_recording(
    corpus: CorpusSource, name: str, signals: Iterable[str]
) -> tuple[dict[str, np.ndarray] | None, dict[str, str]]:
    """Return each signal of the film and the context, or None without its triggers, and units."""
    wanted = [label for signal in signals for label in SIGNALS[signal]]
    data, units = read_bdf(corpus, name, wanted, trigger=_TRIGGER, sampling_rate=SAMPLING_RATE)
    signal_units = {signal: units[SIGNALS[signal][0]] for signal in signals}
    # A trigger is a change away from the most frequent value of the channel.
    status = data[_TRIGGER]
    away = status != np.bincount(status).argmax()
    starts = np.flatnonzero(away[1:] & ~away[:-1]) + 1
    if len(starts) != 2:
        return None, signal_units
    first, last = starts.tolist()
    cells = {}
    for signal in signals:
        labels = SIGNALS[signal]
        cell = np.array([corpus.cut(data[label], first, last, SAMPLING_RATE) for label in labels])
        cell = cell if len(cell) > 1 else cell[0]
        cells[signal] = cell if signal == "eda" else cell.astype(np.float32)
    return cells, signal_units


SPEC = CorpusSpec(
    name="mahnob-hci",
    title="MAHNOB-HCI: physiological signals while watching extracts of films",
    description="""
27 people each watched up to 20 film extracts of 34 to 117 seconds. There are 527 trials. The people
rated valence, arousal, control and predictability from 1 to 9, and named an emotion. The recordings
at 256 Hz begin 30 seconds before the film and end 30 seconds after it. Only the samples between the
two triggers of the channel Status are read, and those before them in the window.

What to know before believing a score:
- No available publication documents the unit of the skin response. BioSemi amplifiers record Ohm
  (couplers made before mid-2005) or nanosiemens. The header of each recording names its unit, and
  the loader relies only on the header. A header with another unit is an error, unless
  units="as_recorded".
- The duration of a trial identifies the film. Features of whole trials can therefore encode the
  film. By default only the first 25 seconds of each trial are used.
- All people watched the same films. Holding out people does not hold out films.
- A short neutral clip was shown before each film (recordings named N). These recordings are not
  read.
- Participants 12, 15 and 26 have no recordings. Participants 3, 9 and 16 lack some recordings.

Each user of MAHNOB-HCI must sign its licence: academic research only, no redistribution.
""",
    licence=(
        "End user licence agreement of MAHNOB-HCI: academic research only, no redistribution. Each "
        "user must sign it."
    ),
    citation=(
        "Soleymani, M.; Lichtenauer, J.; Pun, T.; Pantic, M. A Multimodal Database for Affect "
        "Recognition and Implicit Tagging. IEEE Transactions on Affective Computing 2012, 3, "
        "42-55. doi:10.1109/T-AFFC.2011.25"
    ),
    how_to_get=(
        "MAHNOB-HCI is available from its authors after signing an end user licence agreement: "
        "https://mahnob-db.eu/hci-tagging/. Get the physiological recordings of the emotion "
        "elicitation: the folder Sessions with one folder for each session, unpacked or not."
    ),
    marker=_RECORDING,
    read=read_mahnob_hci,
    units=dict.fromkeys(SIGNALS, "as in the header of each recording"),
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=DEVELOPMENT,
    like="2/Part_1_S_Trial1_emotion.bdf",
    loader="load_mahnob_hci",
    stimuli="films",
    channels=SIGNALS,
    options={"signals": choose_signals("eda"), "units": UNITS},
    window=(0.0, 25.0),
    context=30.0,
    reader=1,
)
register_corpus(SPEC)


def load_mahnob_hci(
    path: str | os.PathLike[str] | None = None,
    *,
    signals: tuple[str, ...] = ("eda",),
    units: str = "microsiemens",
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Study:
    """Load MAHNOB-HCI: EDA of 27 people in 527 trials of watching 20 extracts of films.

    MNE reads the recordings (bdf): ``pip install edaemo[bdf]``. All files are checked. One error
    lists every problem.

    Parameters
    ----------
    path : path-like or None
        The folder with ``Sessions/<number>/session.xml`` and
        ``Sessions/<number>/Part_<person>_S_Trial<n>_emotion.bdf`` at any depth, or with zip
        archives of it; or one such archive. None searches the places that :func:`load_corpus`
        lists.
    signals : tuple of {"eda", "eeg", "ecg", "respiration", "temperature"}
        Signals to read. ``eda`` is required.
    units : {"microsiemens", "as_recorded"}
        EDA as conductance in microsiemens, or the values of the recordings. The headers of the
        recordings state whether these are in Ohm or nanosiemens.
    window : tuple (start, stop), 'end' or None
        Part of each film to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept missing people or trials, and list the missing people in the report. All other checks
        remain.
    cache : bool or path-like
        Whether to cache the data that were read, and in which folder.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` ("1" to "30"),
        ``stimulus`` (mediaFile in lower case, such as "69.avi"), ``trial`` (the order of
        presentation, from the file name of the recording), ``session`` (the number of its folder,
        str), ``eda`` (1-D float64 array in microsiemens, NaN where masked, 6,400 samples by
        default), a column for each other signal (float32 arrays as recorded, 1-D, or of shape
        (n_channels, n_samples) if the signal has more than one channel; ``channels`` names the
        channels) and ``duration`` (seconds of the whole film, before the window is cut, float).
        ``ratings`` : DataFrame with the same index; ``valence``, ``arousal``, ``control`` and
        ``predictability``, float, 1 to 9; ``emotion``, str.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the ratings.
        ``sampling_rate`` : 256.0 Hz, for all signals. ``rating_range`` : (1.0, 9.0).
        ``units``, ``channels`` : dicts, signal → unit (for ``eda`` as requested, for other signals
        from the headers of the recordings), and signal → names of its channels.
        ``development`` : the 13 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`. Also if recordings must be read and MNE is not installed.

    References
    ----------
    Soleymani, M., Lichtenauer, J., Pun, T., & Pantic, M. (2012). A multimodal database for affect
    recognition and implicit tagging. IEEE Transactions on Affective Computing, 3(1), 42-55.
    """
    return load_corpus(
        SPEC,
        path,
        signals=signals,
        units=units,
        window=window,
        allow_partial=allow_partial,
        cache=cache,
    )
