"""Load AMIGOS: 40 people who watched films, alone and in groups (Miranda-Correa, 2021)."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from edaemo._child_process import ChildError, call_in_child
from edaemo._validation import IDENTITY
from edaemo.datasets._assemble import note_on_units
from edaemo.datasets._cache import Column, Reading, take_rows
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._matlab import read_variables
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    GET_THE_REST,
    UNITS,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    choose,
    choose_signals,
)
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 128.0
RATING_RANGE = (1.0, 9.0)
PEOPLE = tuple(f"P{number:02d}" for number in range(1, 41))
# Positions of the videos in a file.
VIDEOS = {"short": range(16), "long": range(16, 20), "all": range(20)}
N_VIDEOS = 20
N_COLUMNS = 17
BASELINE = 640  # samples before the video
WITHOUT_LONG_VIDEOS = ("P08", "P24", "P28")
WITH_INVALID_CHANNELS = ("P09", "P12", "P21", "P22", "P23", "P24", "P33")
PUBLISHED = {"short": 40 * 16, "long": 37 * 4}
# In the order of the files: arousal comes first.
SCALES = ("arousal", "valence", "dominance", "liking", "familiarity")
EMOTIONS = ("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness")
RATINGS = ("valence", "arousal", "dominance", "liking", "familiarity", *EMOTIONS)
# Signal → its columns, counted from 0, and their names.
SIGNALS = {
    "eda": (slice(16, 17), ("GSR",)),
    "eeg": (
        slice(0, 14),
        (
            *("AF3", "F7", "F3", "FC5", "T7", "P7", "O1"),
            *("O2", "P8", "T8", "FC6", "F4", "F8", "AF4"),
        ),
    ),
    "ecg": (slice(14, 16), ("right arm", "left arm")),
}
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = (
    *("P08", "P09", "P10", "P12", "P14", "P16", "P17", "P18", "P20", "P25"),
    *("P26", "P27", "P30", "P31", "P32", "P35", "P36", "P38", "P39", "P40"),
)

_SUBJECT = re.compile(r"(?:^|/)Data_Preprocessed_(P\d\d)\.mat$")
_ORDER = re.compile(r"(?:^|/)Experiment_[Dd]ata\.(?:xlsx|xls|ods)$")
_SHEETS = {"short": "Short_Videos_Order", "long": "Long_Videos_Order"}
_VARIABLES = ("joined_data", "labels_selfassessment", "VideoIDs")


class _Sessions(NamedTuple):
    """The content of Experiment_Data.

    `places`: (subject, position of the video in the file) → position in the order of presentation,
    from 1. Short videos come before long ones. `groups`: subject → the people who watched the long
    videos together, or None.
    """

    places: dict[tuple[str, int], int]
    groups: dict[str, str | None]


def read_amigos(
    corpus: CorpusSource, *, videos: str, signals: tuple[str, ...], units: str, nan_subjects: str
) -> CorpusContent:
    """Read the trials of all people, in the order of presentation if it is known."""
    people = _find_people(corpus)
    absent = corpus.require(PEOPLE, people)
    sessions, unknown = _find_sessions(corpus)
    if unknown and videos != "short" and not corpus.allow_partial:
        corpus.note(
            f"{unknown}. Long videos need it because it lists who watched together. Add it, or "
            "pass allow_partial=True to read them without viewing groups."
        )
    reading = corpus.read(
        people.values(),
        [BASELINE, sorted(signals), videos],
        lambda: _read(corpus, people, signals, videos),
    )
    _check_order(corpus, reading, sessions)
    if not corpus.allow_partial and not absent:
        _check_counts(corpus, reading.facts["recorded"], videos)
    corpus.raise_all()
    places = {} if sessions is None else sessions.places
    incomplete = [
        {**row, "trial": places.get((row["subject"], row["place"]), 0)}
        for row in reading.facts["left_out"]
    ]
    columns, dropped = _order_and_drop(corpus, reading.columns, places, nan_subjects)
    if videos != "short":
        columns["viewing_group"] = _name_groups(columns, sessions)
    notes = [
        "The first 5 s of each trial are dropped, except those in the window; they were recorded "
        "before the video.",
        "P08, P24 and P28 saw no long videos. P32 saw them, but the ratings are missing.",
        f"P09, P12, P21, P22, P23, P24 and P33 have invalid channels: nan_subjects={nan_subjects!r}"
        ".",
        note_on_units(units),
    ]
    warnings = []
    if unknown:
        notes.append(f"{unknown}: the order of presentation and viewing groups are not known.")
        warnings.append(
            f"{unknown}: the order of presentation is not known, and trial is 0 in all rows."
        )
    return CorpusContent.of(
        columns,
        RATINGS,
        left_out=[*incomplete, *dropped],
        report={"trials": sum(reading.facts["recorded"].values())},
        notes=notes,
        warnings=warnings,
    )


def _find_people(corpus: CorpusFiles) -> dict[str, str]:
    """Return subject → file, in the order of the subjects."""
    people = {}
    for (subject,), name in sorted(corpus.match(_SUBJECT).items()):
        if subject in PEOPLE:
            people[subject] = name
        else:
            corpus.note(f"{name} is not a file of AMIGOS, which has P01 to P40. Remove it.")
    return people


def _check_counts(corpus: CorpusFiles, recorded: dict[str, int], videos: str) -> None:
    """Note if fewer trials were recorded than published."""
    wrong = [
        f"{recorded[length]} of {n} trials of {length} videos"
        for length, n in PUBLISHED.items()
        if videos in (length, "all") and recorded[length] != n
    ]
    if wrong:
        corpus.note(f"Found only {' and '.join(wrong)}. {GET_THE_REST}")


def _check_order(corpus: CorpusFiles, reading: Reading, sessions: _Sessions | None) -> None:
    """Note the people whom Experiment_Data, if present, does not list."""
    if sessions is None:
        return
    pairs = zip(*(reading.columns.get(name, ()) for name in ("subject", "place")), strict=True)
    unplaced = {subject for subject, at in pairs if (subject, int(at)) not in sessions.places}
    if unplaced:
        corpus.note(f"Experiment_Data has no order of videos for {', '.join(sorted(unplaced))}.")


def _read(
    corpus: CorpusSource, people: dict[str, str], signals: Iterable[str], videos: str
) -> Reading:
    """Read the trials of all people, and note every problem."""
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    recorded = {"short": 0, "long": 0}
    for subject, name in people.items():
        with corpus.collect():
            variables = _read_person(corpus, name)
            rated = False
            for place in VIDEOS[videos]:
                length = "short" if place in VIDEOS["short"] else "long"
                with corpus.collect():
                    stimulus = variables["VideoIDs"][place]
                    signal = _check_recording(corpus, name, place, variables["joined_data"][place])
                    ratings = _check_ratings(
                        corpus, name, place, variables["labels_selfassessment"][place]
                    )
                    recorded[length] += signal is not None
                    rated |= ratings is not None
                    if signal is None or ratings is None:
                        reason = "no recording" if signal is None else "no self-assessment"
                        left_out.append(
                            {
                                "subject": subject,
                                "stimulus": stimulus,
                                "place": place,
                                "duration": 0.0
                                if signal is None
                                else (len(signal) - BASELINE) / SAMPLING_RATE,
                                "reason": reason,
                            }
                        )
                        continue
                    rows.append(
                        {
                            "subject": subject,
                            "stimulus": stimulus,
                            "place": place,
                            "video_length": length,
                            **{column: _cut_signal(corpus, signal, column) for column in signals},
                            **ratings,
                        }
                    )
            if not rated and videos != "long":
                raise corpus.error(name, "has no ratings at all.")
    if not rows:
        corpus.note("No trial has both a recording and ratings.")
    facts = {"recorded": recorded, "left_out": left_out}
    return Reading.of_rows(rows, ("place", *RATINGS), facts)


def _read_person(corpus: CorpusFiles, name: str) -> dict[str, list[Any]]:
    """Return the 20 cells of each variable; VideoIDs as text."""
    cells: dict[str, list[Any]] = {}
    for variable, array in read_variables(corpus, name, _VARIABLES).items():
        if array.dtype != object or array.size != N_VIDEOS:
            raise corpus.error(
                name,
                f"has {variable} of shape {array.shape}, but a cell array of 20 cells is expected.",
            )
        cells[variable] = list(array.ravel())
    ids = ["".join(map(str, np.ravel(cell))).strip() for cell in cells["VideoIDs"]]
    if len(set(ids)) < N_VIDEOS or "" in ids:
        raise corpus.error(name, f"has empty or duplicate VideoIDs: {ids}.")
    cells["VideoIDs"] = ids
    return cells


def _check_recording(corpus: CorpusFiles, name: str, place: int, cell: object) -> np.ndarray | None:
    """Return the samples (n_samples, 17) of a cell, or None without a recording."""
    if not isinstance(cell, np.ndarray) or cell.dtype.kind not in "iuf":
        raise corpus.error(name, f"has no numbers in cell {place + 1} of joined_data.")
    if not cell.size:
        return None
    if cell.ndim != 2 or cell.shape[1] != N_COLUMNS or cell.shape[0] <= BASELINE:
        raise corpus.error(
            name,
            f"has an array of shape {cell.shape} in cell {place + 1} of joined_data, but more "
            f"than {BASELINE} samples of {N_COLUMNS} columns are expected.",
        )
    return cell


def _check_ratings(
    corpus: CorpusFiles, name: str, place: int, cell: object
) -> dict[str, float] | None:
    """Return the ratings of a video by name, or None without ratings."""
    known = (*SCALES, *EMOTIONS)
    if not isinstance(cell, np.ndarray) or cell.dtype.kind not in "iuf":
        raise corpus.error(name, f"has no numbers in cell {place + 1} of labels_selfassessment.")
    if not cell.size:
        return None
    if cell.size != len(known):
        raise corpus.error(
            name,
            f"has {cell.size} values in cell {place + 1} of labels_selfassessment, but "
            f"{len(known)} are expected.",
        )
    ratings = dict(zip(known, map(float, cell.ravel()), strict=True))
    if np.isnan(list(ratings.values())).all():
        return None
    outside = [
        f"{rating} is {value:g}"
        for rating, value in ratings.items()
        if not (
            RATING_RANGE[0] <= value <= RATING_RANGE[1] if rating in SCALES else value in (0, 1)
        )
    ]
    if outside:
        raise corpus.error(
            name,
            f"has ratings outside 1 to 9 (emotions: 0 or 1) for video {place + 1}: "
            f"{', '.join(outside)}.",
        )
    return {rating: ratings[rating] for rating in RATINGS}


def _cut_signal(corpus: CorpusSource, recording: np.ndarray, signal: str) -> np.ndarray:
    """Return one signal of the video and of the context, from a recording (samples, columns)."""
    columns, _ = SIGNALS[signal]
    cell = corpus.cut(recording[:, columns].T, BASELINE, len(recording), SAMPLING_RATE)
    if signal == "eda":
        return np.array(cell[0], dtype=np.float64)
    return np.array(cell, dtype=np.float32, order="C")


def _find_sessions(corpus: CorpusFiles) -> tuple[_Sessions | None, str]:
    """Read Experiment_Data. Return None and a reason if it is missing or cannot be read."""
    found = corpus.match(_ORDER).get(())
    if found is None:
        return None, f"The spreadsheet Experiment_Data is not in {corpus.place}"
    try:
        import python_calamine  # noqa: F401
    except ImportError:
        return None, f"{found} cannot be read without pip install edaemo[spreadsheets]"
    sessions = None
    with corpus.collect():
        sessions = _read_sessions(corpus, found)
    return sessions, ""


def _read_sessions(corpus: CorpusFiles, name: str) -> _Sessions:
    content = corpus.read_bytes(name)
    places: dict[tuple[str, int], int] = {}
    groups: dict[str, str | None] = {}
    for length, sheet in _SHEETS.items():
        for people, order in _read_order(corpus, name, content, length, sheet):
            for person in people:
                if (person, VIDEOS[length][0]) in places:
                    raise corpus.error(name, f"has {person} twice in the sheet {sheet}.")
                places |= {(person, video): place for place, video in enumerate(order, start=1)}
                if length == "long":
                    groups[person] = " ".join(people) if len(people) > 1 else None
    n_short = len(VIDEOS["short"])
    return _Sessions(
        {
            (person, video): place + (n_short if video >= n_short else 0)
            for (person, video), place in places.items()
        },
        groups,
    )


def _read_order(
    corpus: CorpusFiles, name: str, content: bytes, length: str, sheet: str
) -> list[tuple[list[str], list[int]]]:
    """Return, for each row of a sheet, the people and the ordered positions of their videos."""
    try:
        table = call_in_child(
            pd.read_excel,
            len(content),
            io.BytesIO(content),
            sheet_name=sheet,
            engine="calamine",
            dtype=str,
        )
    except (ChildError, ValueError, OSError) as error:
        raise corpus.error(name, f"has no sheet {sheet} that can be read: {error}.") from error
    people_in = [column for column in table.columns if str(column).startswith("UserID")]
    videos_in = [column for column in table.columns if "Video_Number" in str(column)]
    due = len(VIDEOS[length])
    if len(people_in) != 1 or len(videos_in) != due:
        raise corpus.error(
            name,
            f"has {len(people_in)} columns UserID… and {len(videos_in)} columns …Video_Number… in "
            f"the sheet {sheet}, but 1 and {due} are expected.",
        )
    table = table.dropna(subset=people_in)
    people = [_numbers(cell) for cell in table[people_in[0]]]
    videos = [[_numbers(cell) for cell in row] for row in table[videos_in].to_numpy()]
    # The files sort the videos by number. The number of the first long video does not matter.
    numbers = sorted({number for row in videos for cell in row for number in cell})
    rows = []
    for line, (ids, cells) in enumerate(zip(people, videos, strict=True), start=2):
        order = [numbers.index(cell[0]) for cell in cells if len(cell) == 1]
        if sorted(order) != list(range(due)) or not ids or not all(1 <= n <= 40 for n in ids):
            raise corpus.error(
                name, f"does not have people and {due} different videos in row {line} of {sheet}."
            )
        people_of_row = sorted(PEOPLE[number - 1] for number in ids)
        rows.append((people_of_row, [VIDEOS[length][place] for place in order]))
    return rows


def _numbers(cell: object) -> list[int]:
    """Return the whole numbers in a cell, such as 3, "3.0" or "7, 1, 2, 16"."""
    return [int(float(text)) for text in re.findall(r"\d+(?:\.0+)?", str(cell))]


def _order_and_drop(
    corpus: CorpusSource,
    columns: Mapping[str, Column],
    order: dict[tuple[str, int], int],
    nan_subjects: str,
) -> tuple[dict[str, Column], list[dict[str, Any]]]:
    """Sort the trials by subject and presentation; return those to keep and those to drop."""
    subjects, places = columns["subject"], columns["place"]
    keys = zip(subjects, map(int, places), strict=True)
    trials = np.array([order.get(key, 0) for key in keys], dtype=np.int64)
    in_order = np.lexsort((places, trials, subjects))
    drop = WITH_INVALID_CHANNELS if nan_subjects == "drop" else ()
    stays = [row for row in in_order if subjects[row] not in drop]
    gone = [row for row in in_order if subjects[row] in drop]
    made: dict[str, Column] = {
        "subject": subjects,
        "stimulus": columns["stimulus"],
        "trial": trials,
        **{name: column for name, column in columns.items() if name != "place"},
    }
    whose = {name: made[name] for name in IDENTITY}
    dropped = [
        {
            **{name: column[row] for name, column in whose.items()},
            "duration": len(made["eda"][row]) / SAMPLING_RATE - corpus.context,
            "reason": "invalid channels",
        }
        for row in gone
    ]
    return take_rows(made, stays), dropped


def _name_groups(columns: Mapping[str, Column], sessions: _Sessions | None) -> list[str | None]:
    """Return who watched each trial together, or None if one person watched or it is unknown."""
    groups = {} if sessions is None else sessions.groups
    return [
        groups.get(subject) if length == "long" else None
        for subject, length in zip(columns["subject"], columns["video_length"], strict=True)
    ]


SPEC = CorpusSpec(
    name="amigos",
    title="AMIGOS: physiological signals while watching films, alone and in groups",
    description="""
40 people each watched 16 short film extracts alone. 37 of them also watched 4 long extracts: 17
people alone and 20 in five groups of four. There are 788 trials. The people rated arousal, valence,
dominance, liking and familiarity from 1 to 9. They also marked which of seven emotions they had
felt. The preprocessed files at 128 Hz are read. The first 5 seconds of a trial were recorded before
the video and are dropped, unless the window starts before the video.

What to know before believing a score:
- The authors do not document the unit of the skin response. Public loaders agree that it is
  resistance in Ohm. It is therefore converted to conductance, 1e6 / R, unless
  units="as_recorded". Samples at or below zero are not valid resistances and become NaN. The report
  has their number.
- The duration of a trial identifies the video. Features of whole trials can therefore encode the
  video. By default only the first 25 seconds of each trial are used.
- People who watched together influence each other. The column `viewing_group` lists them. The
  protocols of edaemo.model_selection hold such people out together.
- All people watched the same videos. Holding out people does not hold out videos.
- P08, P24 and P28 saw no long videos. P32 saw them, but the ratings are missing. P09, P12, P21,
  P22, P23, P24 and P33 have channels that are NaN or otherwise invalid. Some publications leave
  these people out (nan_subjects="drop"), which leaves 33 people and 528 short trials. Other
  publications keep them.
- The files sort the trials by video. The column `trial` is the order of presentation, from the
  spreadsheet Experiment_Data. Without the spreadsheet, `trial` is 0 in all rows.

Each user of AMIGOS must sign its licence: academic research only, no redistribution.
""",
    licence=(
        "End user licence agreement of AMIGOS: academic research only, no redistribution. Each "
        "user must sign it."
    ),
    citation=(
        "Miranda-Correa, J. A.; Abadi, M. K.; Sebe, N.; Patras, I. AMIGOS: A Dataset for Affect, "
        "Personality and Mood Research on Individuals and Groups. IEEE Transactions on Affective "
        "Computing 2021, 12, 479-493. doi:10.1109/TAFFC.2018.2884461"
    ),
    how_to_get=(
        "AMIGOS is available from its authors after signing an end user licence agreement: "
        "https://www.eecs.qmul.ac.uk/mmv/datasets/amigos/. Put the preprocessed MATLAB files and "
        "the spreadsheet Experiment_Data, unpacked or not, into one folder."
    ),
    marker=_SUBJECT,
    read=read_amigos,
    units={name: "ohm" if name == "eda" else "as recorded" for name in SIGNALS},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=DEVELOPMENT,
    like="Data_Preprocessed_P01.mat",
    loader="load_amigos",
    stimuli="videos",
    channels={name: names for name, (_, names) in SIGNALS.items()},
    options={
        "videos": choose(*VIDEOS),
        "signals": choose_signals("eda"),
        "units": UNITS,
        "nan_subjects": choose("keep", "drop"),
    },
    window=(0.0, 25.0),
    context=BASELINE / SAMPLING_RATE,
    reader=1,
)
register_corpus(SPEC)


def load_amigos(
    path: str | os.PathLike[str] | None = None,
    *,
    videos: str = "short",
    signals: tuple[str, ...] = ("eda",),
    units: str = "microsiemens",
    nan_subjects: str = "keep",
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Study:
    """Load AMIGOS: EDA of 40 people in 640 trials of short films and 148 of long ones.

    The preprocessed MATLAB files are read. The first 640 samples of each trial (5 s) were recorded
    before the video; only those in the window are kept. All files are checked. One error lists
    every problem.

    Parameters
    ----------
    path : path-like or None
        The folder with ``Data_Preprocessed_P01.mat`` … ``P40.mat`` and the spreadsheet
        ``Experiment_Data`` at any depth, or with the zip archives as downloaded; or one such
        archive. None searches the places that :func:`load_corpus` lists.
    videos : {"short", "long", "all"}
        Trials to read: those of the 16 short videos, of the 4 long videos, or both.
    signals : tuple of {"eda", "eeg", "ecg"}
        Signals to read. ``eda`` is required.
    units : {"microsiemens", "as_recorded"}
        EDA as conductance in microsiemens, or the values of the files, presumably Ohm.
    nan_subjects : {"keep", "drop"}
        Keep or drop P09, P12, P21, P22, P23, P24 and P33, who have invalid channels.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept missing people or videos and list them in the report. Without the spreadsheet, long
        videos then have no viewing groups. All other checks remain.
    cache : bool or path-like
        Whether to cache the data that were read, and in which folder.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` ("P01"),
        ``stimulus`` (VideoIDs, str), ``trial`` (the order of presentation: short videos 1 to 16,
        long videos 17 to 20; 0 in all rows if it is not known), ``video_length`` ("short" or
        "long"), ``viewing_group`` (the people who watched together, such as "P01 P02 P07 P16"; None
        for people who watched alone; only with long videos), ``eda`` (1-D float64 array in
        microsiemens, NaN where masked, 3,200 samples by default), a column for each other signal
        (float32 arrays of shape (n_channels, n_samples) as recorded; ``channels`` names the
        channels) and ``duration`` (seconds of the whole video, before the window is cut, float).
        ``ratings`` : DataFrame with the same index; ``valence``, ``arousal``, ``dominance``,
        ``liking`` and ``familiarity``, float, 1 to 9; ``neutral``, ``disgust``, ``happiness``,
        ``surprise``, ``anger``, ``fear`` and ``sadness``, 0.0 or 1.0.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the ratings.
        ``sampling_rate`` : 128.0 Hz, for all signals. ``rating_range`` : (1.0, 9.0), for the first
        five ratings.
        ``units``, ``channels`` : dicts, signal → unit, and signal → names of its channels.
        ``development`` : the 20 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`. For long videos also if the spreadsheet ``Experiment_Data`` with
        the viewing groups is missing.

    Warns
    -----
    UserWarning
        See :func:`load_corpus`. Also if the order of presentation is not known.

    References
    ----------
    Miranda-Correa, J. A., Abadi, M. K., Sebe, N., & Patras, I. (2021). AMIGOS: a dataset for
    affect, personality and mood research on individuals and groups. IEEE Transactions on Affective
    Computing, 12(2), 479-493.
    """
    return load_corpus(
        SPEC,
        path,
        videos=videos,
        signals=signals,
        units=units,
        nan_subjects=nan_subjects,
        window=window,
        allow_partial=allow_partial,
        cache=cache,
    )
