"""Load DEAP: 32 people who watched 40 music videos (Koelstra et al., 2012)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from edaemo.datasets._assemble import note_on_units
from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._matlab import read_variables
from edaemo.datasets._numbers import MISSING
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    UNITS,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    choose_signals,
)
from edaemo.datasets._study import Study
from edaemo.datasets._unpickle import read_pickled_arrays
from edaemo.datasets._window import Window

SAMPLING_RATE = 128.0
RATING_RANGE = (1.0, 9.0)
FAMILIARITY_RANGE = (1.0, 5.0)
PEOPLE = tuple(f"s{number:02d}" for number in range(1, 33))
N_VIDEOS = 40
N_CHANNELS = 40
# Number of samples in a trial → number of samples before the video.
BASELINES = {8064: 384, 7680: 0}
LABELS = ("valence", "arousal", "dominance", "liking")  # in the order of the files
RATINGS = (*LABELS, "familiarity")
EEG = (
    *("Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1"),
    *("Oz", "Pz", "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2"),
    *("P4", "P8", "PO4", "O2"),
)
# Signal → its channels, counted from 0, and their names.
SIGNALS = {
    "eda": (slice(36, 37), ("GSR",)),
    "eeg": (slice(0, 32), EEG),
    "eog": (slice(32, 34), ("hEOG", "vEOG")),
    "emg": (slice(34, 36), ("zEMG", "tEMG")),
    "respiration": (slice(37, 38), ("respiration belt",)),
    "bvp": (slice(38, 39), ("plethysmograph",)),
    "temperature": (slice(39, 40), ("temperature",)),
}
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = (
    *("s04", "s06", "s07", "s12", "s14", "s15", "s16", "s17"),
    *("s20", "s21", "s25", "s26", "s27", "s28", "s29", "s31"),
)

_SUBJECT = re.compile(r"(?:^|/)(s\d\d)\.(dat|mat)$")
_RATINGS = re.compile(r"(?:^|/)participant_ratings\.csv$")
_RATINGS_COLUMNS = ("Participant_id", "Trial", "Experiment_id", "Start_time")
# The table has ratings with two decimals.
_ROUNDING = 0.0051


class _Presentation(NamedTuple):
    """A row of participant_ratings.csv."""

    trial: int
    start_time: float
    familiarity: float
    ratings: tuple[float, ...]


def read_deap(corpus: CorpusSource, *, signals: tuple[str, ...], units: str) -> CorpusContent:
    """Read the trials of all people, in the order of presentation if it is known."""
    people = _find_people(corpus)
    table = corpus.match(_RATINGS).get(())
    corpus.require(PEOPLE, people)
    reading = corpus.read(
        {name for name in (*people.values(), table) if name is not None},
        [SAMPLING_RATE, sorted(signals)],
        lambda: _read(corpus, people, table, signals),
    )
    corpus.raise_all()
    columns = dict(reading.columns)
    familiar = {
        subject
        for subject, value in zip(columns["subject"], columns["familiarity"], strict=True)
        if not np.isnan(value)
    }
    notes = [
        "Samples before the video are dropped, except those in the window: 3 s of trials with "
        "8,064 samples, none of trials with 7,680.",
        "The published familiarity ratings lack participants 2, 15 and 23.",
        note_on_units(units),
    ]
    warnings = []
    if table is None:
        del columns["session_time"]
        notes.append("participant_ratings.csv is missing: trial and familiarity are not known.")
        warnings.append(
            f"participant_ratings.csv is not in {corpus.place}: the order of presentation is not "
            "known, and trial is 0 in all rows. DEAP's metadata_csv.zip contains the file."
        )
    return CorpusContent.of(
        columns,
        RATINGS,
        report={
            "people_without_familiarity": sorted(set(columns["subject"]) - familiar),
            "samples_before_the_video": reading.facts["baselines"],
        },
        notes=notes,
        warnings=warnings,
    )


def _find_people(corpus: CorpusFiles) -> dict[str, str]:
    """Return subject → file, in the order of the subjects. Prefer pickles to MATLAB files."""
    found = corpus.match(_SUBJECT)
    people: dict[str, str] = {}
    for (subject, suffix), name in found.items():
        if subject not in PEOPLE:
            corpus.note(f"{name} is not a file of DEAP, which has s01 to s32. Remove it.")
        elif subject not in people or suffix == "dat":
            people[subject] = name
    return dict(sorted(people.items()))


def _read(
    corpus: CorpusSource, people: dict[str, str], table: str | None, signals: Iterable[str]
) -> Reading:
    """Read all people, and note every problem."""
    presented = None
    if table is not None:
        with corpus.collect():
            presented = _read_presentations(corpus, table)
    rows: list[dict[str, Any]] = []
    baselines: dict[str, int] = {}
    for subject, name in people.items():
        with corpus.collect():
            data, labels = _read_person(corpus, name)
            baseline = BASELINES[data.shape[2]]
            baselines[f"{baseline} samples"] = baselines.get(f"{baseline} samples", 0) + 1
            person_rows = [
                _make_row(
                    corpus,
                    subject,
                    video,
                    (presented or {}).get((subject, video)),
                    labels,
                    data,
                    signals,
                )
                for video in range(1, N_VIDEOS + 1)
            ]
            rows += sorted(person_rows, key=lambda row: row["trial"])
            del data
            if table is not None and presented is not None:
                _compare_ratings(corpus, name, table, subject, labels, presented)
    return Reading.of_rows(rows, ("trial", "session_time", *RATINGS), {"baselines": baselines})


def _make_row(
    corpus: CorpusSource,
    subject: str,
    video: int,
    known: _Presentation | None,
    labels: np.ndarray,
    data: np.ndarray,
    signals: Iterable[str],
) -> dict[str, Any]:
    baseline = BASELINES[data.shape[2]]
    return {
        "subject": subject,
        "stimulus": str(video),
        "trial": known.trial if known else 0,
        **{signal: _cut_signal(corpus, data[video - 1], signal, baseline) for signal in signals},
        "session_time": known.start_time if known else np.nan,
        **{label: float(value) for label, value in zip(LABELS, labels[video - 1], strict=True)},
        "familiarity": known.familiarity if known else np.nan,
    }


def _read_person(corpus: CorpusFiles, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return data (40 videos, 40 channels, n_samples) and labels (40 videos, 4) of a person."""
    if name.endswith(".mat"):
        arrays = read_variables(corpus, name, ("data", "labels"))
    else:
        try:
            with corpus.open(name) as file:
                arrays = read_pickled_arrays(file)
        except ValueError as error:
            raise corpus.as_error(name, error) from error
    missing = [key for key in ("data", "labels") if key not in arrays]
    if missing:
        raise corpus.error(name, f"lacks {missing}.")
    data, labels = arrays["data"], arrays["labels"]
    if any(array.dtype.kind not in "iuf" for array in (data, labels)):
        raise corpus.error(name, "holds values that are not numbers.")
    shapes = [(N_VIDEOS, N_CHANNELS, n_samples) for n_samples in BASELINES]
    if data.shape not in shapes:
        raise corpus.error(
            name,
            f"has data of shape {data.shape}, but {' or '.join(map(str, shapes))} is expected.",
        )
    if labels.shape != (N_VIDEOS, len(LABELS)):
        raise corpus.error(
            name, f"has labels of shape {labels.shape}, but {(N_VIDEOS, len(LABELS))} is expected."
        )
    lowest, highest = RATING_RANGE
    wrong = np.argwhere(~((labels >= lowest) & (labels <= highest)))
    if len(wrong):
        first_ones = ", ".join(
            f"{LABELS[column]} of video {row + 1} is {labels[row, column]:g}"
            for row, column in wrong[:5]
        )
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise corpus.error(name, f"has ratings outside 1 to 9: {first_ones}{more}.")
    return data, labels


def _cut_signal(corpus: CorpusSource, trial: np.ndarray, signal: str, baseline: int) -> np.ndarray:
    """Return one signal of the video and of the context, from all samples of a trial."""
    channels, names = SIGNALS[signal]
    cell = corpus.cut(trial[channels], baseline, trial.shape[1], SAMPLING_RATE)
    if signal == "eda":
        return np.array(cell[0], dtype=np.float64)
    return np.array(cell if len(names) > 1 else cell[0], dtype=np.float32)


def _read_presentations(corpus: CorpusFiles, table: str) -> dict[tuple[str, int], _Presentation]:
    """Return (subject, stimulus) → row of participant_ratings.csv."""
    names = [label.capitalize() for label in LABELS]
    found: dict[tuple[str, int], _Presentation] = {}
    order: set[tuple[str, int]] = set()
    for line, row in enumerate(
        corpus.read_table(table, (*_RATINGS_COLUMNS, *names, "Familiarity")), start=2
    ):
        with corpus.collect():
            person, trial, video = (
                _whole_number(corpus, table, row[column], f"{column} in line {line}", most)
                for column, most in zip(
                    _RATINGS_COLUMNS, (len(PEOPLE), N_VIDEOS, N_VIDEOS), strict=False
                )
            )
            key = PEOPLE[person - 1], video
            if key in found or (key[0], trial) in order:
                raise corpus.error(
                    table, f"lists participant {person} twice with a video or trial (line {line})."
                )
            order.add((key[0], trial))
            ratings = tuple(
                corpus.rating(table, row[name], f"{name} in line {line}", RATING_RANGE)
                for name in names
            )
            given = row["Familiarity"].strip()
            found[key] = _Presentation(
                trial,
                corpus.number(table, row["Start_time"], f"Start_time in line {line}") / 1e6,
                np.nan
                if given.lower() in MISSING
                else corpus.rating(table, given, f"Familiarity in line {line}", FAMILIARITY_RANGE),
                ratings,
            )
    return found


def _whole_number(corpus: CorpusFiles, name: str, text: str, what: str, most: int) -> int:
    value = corpus.number(name, text, what)
    if value != int(value) or not 1 <= value <= most:
        raise corpus.error(name, f"has {text!r} as {what}, but 1 to {most} is expected.")
    return int(value)


def _compare_ratings(
    corpus: CorpusFiles,
    name: str,
    table: str,
    subject: str,
    labels: np.ndarray,
    presented: dict[tuple[str, int], _Presentation],
) -> None:
    """Raise unless the table has all 40 videos of this person, with the ratings of the file."""
    keys = [(subject, video) for video in range(1, N_VIDEOS + 1)]
    ratings = [presented[key].ratings for key in keys if key in presented]
    if len(ratings) < N_VIDEOS:
        raise corpus.error(table, f"rates only {len(ratings)} of the 40 videos for {subject}.")
    apart = np.abs(labels - np.array(ratings)).max(axis=1) > _ROUNDING
    if apart.any():
        videos = ", ".join(str(row + 1) for row in np.flatnonzero(apart)[:5])
        raise corpus.error(
            name,
            f"has different ratings from {table} for {apart.sum()} of 40 videos (Experiment_id "
            f"{videos}{', …' if apart.sum() > 5 else ''}).",
        )


SPEC = CorpusSpec(
    name="deap",
    title="DEAP: physiological signals while watching music videos",
    description="""
32 people each watched the same 40 one-minute extracts of music videos. There are 1,280 trials. The
people rated valence, arousal, dominance and liking from 1 to 9. The preprocessed archive at 128 Hz
is read. A trial has 63 seconds. Its first 3 seconds were recorded before the video and are dropped,
unless the window starts before the video.

What to know before believing a score:
- According to the authors, the galvanic skin response is skin resistance in Ohm; they converted the
  recordings that were in another unit. It is converted to conductance, 1e6 / R, unless
  units="as_recorded". Samples at or below zero are neither a valid resistance nor a valid
  conductance and become NaN. The report has their number. The signals of this archive were
  filtered, so such samples are not rare.
- All people watched the same videos. Holding out people does not hold out videos.
- The files sort the trials by video. The column `trial` is the order of presentation, from
  participant_ratings.csv. Without that file, `trial` is 0 in all rows.
- Familiarity is missing for participants 2, 15 and 23.
- The corpus contains no music, because the videos are not part of it.

Each user of DEAP must sign its licence: academic research only, no redistribution.
""",
    licence=(
        "End user licence agreement of DEAP: academic research only, no redistribution. Each user "
        "must sign it."
    ),
    citation=(
        "Koelstra, S.; Muehl, C.; Soleymani, M.; Lee, J.-S.; Yazdani, A.; Ebrahimi, T.; Pun, T.; "
        "Nijholt, A.; Patras, I. DEAP: A Database for Emotion Analysis Using Physiological "
        "Signals. IEEE Transactions on Affective Computing 2012, 3, 18-31. "
        "doi:10.1109/T-AFFC.2011.15"
    ),
    how_to_get=(
        "DEAP is available from its authors after signing an end user licence agreement: "
        "https://www.eecs.qmul.ac.uk/mmv/datasets/deap/. Put data_preprocessed_python.zip (or "
        "data_preprocessed_matlab.zip) and metadata_csv.zip, unpacked or not, into one folder."
    ),
    marker=_SUBJECT,
    read=read_deap,
    units={name: "ohm" if name == "eda" else "as recorded" for name in SIGNALS},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=DEVELOPMENT,
    like="s01.dat",
    loader="load_deap",
    stimuli="videos",
    channels={name: names for name, (_, names) in SIGNALS.items()},
    options={"signals": choose_signals("eda"), "units": UNITS},
    context=max(BASELINES.values()) / SAMPLING_RATE,
    reader=1,
)
register_corpus(SPEC)


def load_deap(
    path: str | os.PathLike[str] | None = None,
    *,
    signals: tuple[str, ...] = ("eda",),
    units: str = "microsiemens",
    window: Window = None,
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Study:
    """Load DEAP: EDA of 32 people in 1,280 trials of watching 40 music videos.

    The preprocessed files are read, as Python pickles or MATLAB files. A trial has 8,064 samples
    (of the first 384, before the video, only those in the window are kept) or 7,680 samples.
    Pickles are read without running any code in them. All files are checked. One error lists every
    problem.

    Parameters
    ----------
    path : path-like or None
        The folder with ``s01.dat`` … ``s32.dat`` (or ``.mat``) and ``participant_ratings.csv`` at
        any depth, or with the zip archives as downloaded; or one such archive. None searches the
        places that :func:`load_corpus` lists.
    signals : tuple of {"eda", "eeg", "eog", "emg", "respiration", "bvp", "temperature"}
        Signals to read. ``eda`` is required.
    units : {"microsiemens", "as_recorded"}
        EDA as conductance in microsiemens, or the values of the files in Ohm.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
        None keeps the whole minute of every video.
    allow_partial : bool
        Accept missing people and list them in the report. All other checks remain.
    cache : bool or path-like
        Whether to cache the data that were read, and in which folder.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` ("s01"),
        ``stimulus`` (Experiment_id, "1" to "40"), ``trial`` (the order of presentation, 1 to 40; 0
        in all rows if it is not known), ``eda`` (1-D float64 array of 7,680 samples, in
        microsiemens; NaN where masked), a column for each other signal (float32 arrays as recorded,
        1-D, or of shape (n_channels, n_samples) if the signal has more than one channel;
        ``channels`` names the channels), ``session_time`` (seconds from the start of the experiment
        to the video, float; only if it is known) and ``duration`` (seconds, before the window is
        cut, float).
        ``ratings`` : DataFrame with the same index; ``valence``, ``arousal``, ``dominance`` and
        ``liking``, float, 1 to 9; ``familiarity``, float, 1 to 5, NaN if it is not known.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the ratings.
        ``sampling_rate`` : 128.0 Hz, for all signals. ``rating_range`` : (1.0, 9.0).
        ``units``, ``channels`` : dicts, signal → unit, and signal → names of its channels.
        ``development`` : the 16 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    Warns
    -----
    UserWarning
        See :func:`load_corpus`. Also if ``participant_ratings.csv`` is missing.

    References
    ----------
    Koelstra, S., et al. (2012). DEAP: a database for emotion analysis using physiological signals.
    IEEE Transactions on Affective Computing, 3(1), 18-31.
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
