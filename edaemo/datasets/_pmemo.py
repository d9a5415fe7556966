"""Load PMEmo: 794 songs, each heard by at least ten people (Zhang et al., 2018)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Options, StrOptions

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles, DatasetError
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    GET_THE_REST,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    Option,
    choose,
)
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 50.0
RATING_RANGE = (0.0, 1.0)
VERSIONS = (2018, 2019)
PUBLISHED = {"songs": 794, "songs with ratings": 767}
# Listening → its letters in the file names of the 2018 release.
LISTENINGS = {"A": ("A",), "V": ("V",), "both": ("A", "V")}
DIMENSIONS = {"A": "Arousal", "V": "Valence"}
RATINGS = ("valence", "arousal")
# Largest accepted relative error of the interval between samples.
_CLOCK = 0.01
# Ratings over time: two per second, from the fifteenth second of a song.
LABELS = {"label_rate": 2.0, "first_label": 15.0, "label_delay": 0.0}
# Seconds of music that a frame of the features over time describes, from its time in the file on.
FRAME = 1.0
# The ids were not available when this loader was written. The development people are therefore
# drawn by a hash of the id. So a person has the same role in both releases and in any part of them.
_DRAW = "20261120"

_TRACES_2019 = re.compile(r"(?:^|/)EDA/(\d+)_EDA\.csv$")
_TRACES_2018 = re.compile(r"(?:^|/)EDA/(?:Arousal|Valence)/(\d+)_(\d{6})_([AV])\.csv$")
_RATINGS_2018 = re.compile(r"(?:^|/)Annotations/(?:Arousal|Valence)/(\d+)-([AV])\.csv$")
_RATINGS_2019 = re.compile(r"(?:^|/)static_annotations\.csv$")
_DYNAMIC_2019 = re.compile(r"(?:^|/)dynamic_annotations\.csv$")
_MUSIC = re.compile(r"(?:^|/)static_features\.csv$")
_MUSIC_STEPS = re.compile(r"(?:^|/)dynamic_features\.csv$")
_FILES = {"music": "static_features.csv", "music_steps": "dynamic_features.csv"}
_ANY = re.compile(rf"{_TRACES_2019.pattern}|{_TRACES_2018.pattern}")
_IN_EDA = re.compile(r"(?:^|/)EDA/.*\.csv$")

RELABELLING = (
    "The 2019 release of PMEmo has one rating of each song, the mean over its listeners. It lacks "
    "the ratings of single listeners, so no threshold per listener can be computed. Load the 2018 "
    "release, which has them, with load_pmemo(version=2018), or use a fixed threshold such as 0.5."
)


class _Trace(NamedTuple):
    """A recording with its listener, song and listening (None if it is not known)."""

    subject: str
    song: str
    listening: str | None
    eda: np.ndarray


def read_pmemo(
    corpus: CorpusSource, *, version: str | int, listening: str, dynamic: bool
) -> CorpusContent:
    """Read the recordings of a release, their ratings and the music features."""
    version = _find_version(corpus, version)
    if version == 2019 and listening != "A":
        raise DatasetError(
            f"listening={listening!r}: the 2019 release in {corpus.place} has only one recording "
            "of each listener and song. Pass listening='A', or load the release of 2018, which has "
            "one for each listening."
        )
    traces, rated = _find_files(corpus, version, listening)
    _check_songs(corpus, version, traces, rated)
    over_time = _find_dynamic(corpus, version, rated) if dynamic else {}
    reading = corpus.read(
        sorted({*traces.values(), *rated.values(), *over_time.values()}),
        [version, listening, *(["dynamic"] if dynamic else [])],
        lambda: _read(corpus, version, listening, traces, rated, over_time),
    )
    facts = reading.facts
    if not corpus.allow_partial:
        _check_ratings(corpus, facts)
    songs = sorted(set(reading.columns.get("stimulus", ())), key=int)
    music = {"music": _read_music(corpus, songs, _MUSIC)}
    if dynamic:
        music["music_steps"] = _read_music(corpus, songs, _MUSIC_STEPS)
    corpus.raise_all()
    people = {*reading.columns["subject"], *(row["subject"] for row in facts["left_out"])}
    columns = dict(reading.columns)
    series = {name: columns.pop(_over_time(name)) for name in RATINGS if dynamic}
    return CorpusContent.of(
        columns,
        RATINGS,
        targets=series,
        left_out=facts["left_out"],
        music=music["music"],
        warnings=[
            f"{_FILES[name]} is not in {corpus.place}: {name} is None."
            for name, table in music.items()
            if table is None
        ],
        own_thresholds=RELABELLING if version == 2019 else "",
        report={
            "version": version,
            "listening": listening if version == 2018 else None,
            "people": len(people),
            "songs": facts["songs"],
            "unlabelled_songs": facts["unlabelled_songs"],
            "songs_without_recording": facts["songs_without_recording"],
        },
        notes=[
            "EDA is as recorded. Missing samples are NaN. Missing samples at the end of a "
            "recording are dropped.",
            "Recordings without samples, and constant recordings, are left out.",
            RELABELLING if version == 2019 else "Each rating is from one listener.",
        ],
        more={
            "rating_level": "song" if version == 2019 else "listener",
            "version": version,
            "units": {"eda": facts["unit"]},
            **({**LABELS, "music_steps": music["music_steps"]} if dynamic else {}),
        },
    )


def _over_time(rating: str) -> str:
    """Return the name of the column with a rating over time, before it becomes a target."""
    return f"dynamic_{rating}"


def _find_dynamic(
    corpus: CorpusSource, version: int, rated: dict[tuple[str, ...], str]
) -> dict[tuple[str, ...], str]:
    """Return the files with ratings over time; in the 2018 release also those of the whole."""
    if version == 2018:
        return rated
    found = corpus.match(_DYNAMIC_2019)
    if not found:
        corpus.note(
            "annotations/dynamic_annotations.csv, the ratings over time, is missing. Get it, or "
            "pass dynamic=False."
        )
    return found


def _find_files(
    corpus: CorpusFiles, version: int, listening: str
) -> tuple[dict[tuple[str, ...], str], dict[tuple[str, ...], str]]:
    """Return the recordings and the rating files of a release."""
    if version == 2019:
        return (corpus.match(_TRACES_2019), corpus.match(_RATINGS_2019))
    found = corpus.match(_TRACES_2018)
    traces = {key: name for key, name in found.items() if key[2] in LISTENINGS[listening]}
    return traces, corpus.match(_RATINGS_2018)


def is_development(person: str) -> bool:
    """Return whether a person is a development person, by a hash of the id; about half are."""
    return sha256(f"{_DRAW} {person}".encode()).digest()[0] % 2 == 0


def _find_version(corpus: CorpusFiles, version: str | int) -> int:
    found = [
        release
        for release, pattern in zip(VERSIONS, (_TRACES_2018, _TRACES_2019), strict=True)
        if any(pattern.search(name) for name in corpus.names)
    ]
    if version == "auto" and len(found) > 1:
        raise DatasetError(
            f"{corpus.place} holds both releases of PMEmo: pass version=2018 or version=2019."
        )
    if version != "auto" and version not in found:
        raise DatasetError(
            f"version={version}: {corpus.place} holds the release of {found[0]}. {SPEC.how_to_get}"
        )
    return next(release for release in found if version in ("auto", release))


def _check_songs(
    corpus: CorpusSource,
    version: int,
    traces: dict[tuple[str, ...], str],
    rated: dict[tuple[str, ...], str],
) -> None:
    """Note missing files and files with unknown names."""
    if version == 2019 and not rated:
        corpus.note(
            "annotations/static_annotations.csv, the ratings of all songs, is missing. Get it."
        )
    if version == 2018:
        for letter, dimension in DIMENSIONS.items():
            if not any(key[1] == letter for key in rated):
                corpus.note(f"Annotations/{dimension}/*-{letter}.csv are missing. Get them.")
    foreign = [n for n in corpus.names if _IN_EDA.search(n) and not _ANY.search(n)]
    if foreign:
        corpus.note(f"{_some(foreign)}: these are not named like recordings of PMEmo. Remove them.")
    n_songs = len({key[0] for key in traces})
    if not corpus.allow_partial and n_songs != PUBLISHED["songs"]:
        corpus.note(f"Only {n_songs} of {PUBLISHED['songs']} songs have recordings. {GET_THE_REST}")


def _check_ratings(corpus: CorpusFiles, facts: dict[str, Any]) -> None:
    """Note missing ratings, and songs with ratings but without any recording."""
    if facts["songs_with_ratings"] != PUBLISHED["songs with ratings"]:
        corpus.note(
            f"Only {facts['songs_with_ratings']} of {PUBLISHED['songs with ratings']} songs have "
            f"ratings. {GET_THE_REST}"
        )
    unheard = facts["songs_without_recording"]
    if unheard:
        corpus.note(f"{len(unheard)} songs with ratings have no recording: {_some(unheard)}.")


def _read(
    corpus: CorpusFiles,
    version: int,
    listening: str,
    traces: dict[tuple[str, ...], str],
    rated: dict[tuple[str, ...], str],
    over_time: dict[tuple[str, ...], str],
) -> Reading:
    """Read all recordings and their ratings, and note every problem."""
    ratings = _read_ratings(corpus, version, rated)
    series = _read_dynamic(corpus, version, over_time)
    units: set[str] = set()
    found: list[_Trace] = []
    for key, name in traces.items():
        with corpus.collect():
            if version == 2019:
                found += _read_song(corpus, name, key[0])
            else:
                eda, unit = _read_trace(corpus, name)
                units.add(unit)
                found.append(_Trace(key[1], key[0], key[2], eda))
    labelled = {song for song, _ in ratings}
    rows, left_out = [], []
    for trace in sorted(found, key=lambda t: (t.subject, int(t.song), t.listening or "")):
        rater = None if version == 2019 else trace.subject
        trace_ratings = ratings.get((trace.song, rater), {})
        row = {
            "subject": trace.subject,
            "stimulus": trace.song,
            "trial": int(listening == "both" and trace.listening == "V"),
        }
        reason = _reason_to_leave_out(trace, trace_ratings, labelled)
        if reason:
            left_out.append(row | {"duration": len(trace.eda) / SAMPLING_RATE, "reason": reason})
            continue
        if version == 2018:
            row["listening"] = trace.listening
        row |= {"eda": trace.eda} | {name: trace_ratings[name] for name in RATINGS}
        if over_time:
            known = series.get((trace.song, rater), {})
            row |= {_over_time(name): known.get(name, np.array([np.nan])) for name in RATINGS}
        rows.append(row)
    if not rows:
        corpus.note("No recording has a rating.")
    songs = {key[0] for key in traces}
    facts = {
        "songs": len(songs),
        "songs_with_ratings": len(labelled),
        "unlabelled_songs": sorted(songs - labelled, key=int),
        "songs_without_recording": sorted(labelled - songs, key=int),
        "unit": units.pop() if len(units) == 1 else "not documented",
        "left_out": left_out,
    }
    return Reading.of_rows(rows, ("trial", *RATINGS), facts)


def _read_ratings(
    corpus: CorpusFiles, version: int, rated: dict[tuple[str, ...], str]
) -> dict[tuple[str, str | None], dict[str, float]]:
    """Return (song, listener) → ratings. The listener is None for the mean of a song."""
    ratings: dict[tuple[str, str | None], dict[str, float]] = {}
    for key, name in rated.items():
        with corpus.collect():
            if version == 2019:
                ratings |= _read_song_ratings(corpus, name)
                continue
            song, letter = key
            for listener, value in _read_listener_ratings(corpus, name).items():
                ratings.setdefault((song, listener), {})[DIMENSIONS[letter].lower()] = value
    return ratings


def _read_dynamic(
    corpus: CorpusFiles, version: int, over_time: dict[tuple[str, ...], str]
) -> dict[tuple[str, str | None], dict[str, np.ndarray]]:
    """Return (song, listener) → ratings over time, NaN where a rating is missing.

    The first rating is that at `first_label`. The listener is None for the mean of a song.
    """
    series: dict[tuple[str, str | None], dict[str, np.ndarray]] = {}
    for key, name in over_time.items():
        with corpus.collect():
            if version == 2019:
                series |= _read_song_series(corpus, name)
                continue
            song, letter = key
            for listener, values in _read_listener_series(corpus, name).items():
                series.setdefault((song, listener), {})[DIMENSIONS[letter].lower()] = values
    return series


def _reason_to_leave_out(trace: _Trace, ratings: dict[str, float], labelled: set[str]) -> str:
    """Return why a recording cannot be used, or an empty text if it can."""
    seen = trace.eda[~np.isnan(trace.eda)]
    if not len(seen):
        return "no samples"
    if (seen == seen[0]).all():
        return "constant"
    if trace.song not in labelled:
        return "song without ratings"
    missing = [name for name in RATINGS if name not in ratings]
    return f"no rating of {' and '.join(missing)} by this listener" if missing else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _read_song(corpus: CorpusFiles, name: str, song: str) -> list[_Trace]:
    """Read a file of the 2019 release: time, and one column for each listener."""
    header, values = corpus.read_matrix(name)
    _check_time(corpus, name, header[0], values[:, 0])
    listeners = [column.strip()[-6:] for column in header[1:]]
    bad = [column for column in header[1:] if not re.fullmatch(r".*\d{6}", column.strip())]
    if bad or not listeners:
        raise corpus.error(name, f"has columns that do not name a listener by six digits: {bad}.")
    if len(set(listeners)) < len(listeners):
        twice = sorted({name for name in listeners if listeners.count(name) > 1})
        raise corpus.error(name, f"has duplicate listeners: {', '.join(twice)}.")
    return [
        _Trace(listener, song, None, _without_end(values[:, place]))
        for place, listener in enumerate(listeners, start=1)
    ]


def _read_trace(corpus: CorpusFiles, name: str) -> tuple[np.ndarray, str]:
    """Read a file of the 2018 release: the samples, and their unit from the column name."""
    header, values = corpus.read_matrix(name)
    columns = [column.strip().lower() for column in header]
    found = [place for place, column in enumerate(columns) if column.startswith("eda")]
    if len(found) != 1:
        raise corpus.error(name, f"has {len(found)} columns EDA…, but needs exactly one: {header}.")
    for place, column in enumerate(columns):
        if column.startswith("time"):
            _check_time(corpus, name, header[place], values[:, place])
    documented = "microsiemens" in columns[found[0]]
    return _without_end(values[:, found[0]]), "microsiemens" if documented else "not documented"


def _check_time(corpus: CorpusFiles, name: str, column: str, times: np.ndarray) -> None:
    """Raise unless the sampling rate of a column of seconds is 50 Hz."""
    if not column.strip().lower().startswith("time"):
        raise corpus.error(name, f"has the first column {column!r}, but 'time(s)' is expected.")
    step = np.median(np.diff(times)) if len(times) > 1 else 1 / SAMPLING_RATE
    if not abs(step * SAMPLING_RATE - 1) <= _CLOCK:
        raise corpus.error(
            name,
            f"has samples {step:g} s apart, but 50 Hz ({1 / SAMPLING_RATE:g} s) is expected.",
        )


def _without_end(samples: np.ndarray) -> np.ndarray:
    """Return a recording up to its last finite sample, without the padding of the column."""
    seen = np.flatnonzero(np.isfinite(samples))
    return samples[: seen[-1] + 1 if len(seen) else 0].copy()


def _read_song_ratings(
    corpus: CorpusFiles, name: str
) -> dict[tuple[str, str | None], dict[str, float]]:
    """Return (song, None) → mean ratings, for the 2019 release."""
    columns = {"valence": "Valence(mean)", "arousal": "Arousal(mean)"}
    ratings: dict[tuple[str, str | None], dict[str, float]] = {}
    for line, row in enumerate(corpus.read_table(name, ("musicId", *columns.values())), start=2):
        with corpus.collect():
            song = row["musicId"].strip()
            if not song.isdecimal():
                raise corpus.error(
                    name, f"has a musicId that is not a number in line {line}: {song!r}."
                )
            if (song, None) in ratings:
                raise corpus.error(name, f"repeats the song {song} in line {line}.")
            ratings[song, None] = {
                rating: corpus.rating(name, row[column], f"{column} of song {song}", RATING_RANGE)
                for rating, column in columns.items()
            }
    return ratings


def _read_listener_ratings(corpus: CorpusFiles, name: str) -> dict[str, float]:
    """Return listener → rating of the whole song, for the 2018 release."""
    ratings: dict[str, float] = {}
    for line, text in enumerate(corpus.read_lines(name)[1:], start=2):
        with corpus.collect():
            listener, *values = (cell.strip() for cell in text.split(","))
            listener = listener.removesuffix(".0")
            if re.fullmatch(r"\d{6}", listener) is None or not values:
                raise corpus.error(name, f"lacks a listener or a rating in line {line}.")
            if listener in ratings:
                raise corpus.error(name, f"has the listener {listener} twice.")
            ratings[listener] = corpus.rating(
                name, values[0], f"the rating of {listener}", RATING_RANGE
            )
    return ratings


def _read_song_series(
    corpus: CorpusFiles, name: str
) -> dict[tuple[str, str | None], dict[str, np.ndarray]]:
    """Return (song, None) → mean ratings over time, for the 2019 release."""
    columns = {"valence": "Valence(mean)", "arousal": "Arousal(mean)"}
    rows = corpus.read_table(name, ("musicId", "frameTime", *columns.values()))
    frames: dict[str, dict[int, tuple[float, ...]]] = {}
    for line, row in enumerate(rows, start=2):
        with corpus.collect():
            song = row["musicId"].strip()
            step = _find_step(corpus, name, row["frameTime"], f"in line {line}")
            values = tuple(
                corpus.rating(name, row[column], f"{column} in line {line}", RATING_RANGE)
                for column in columns.values()
            )
            if step in frames.get(song, {}):
                raise corpus.error(name, f"repeats a frame of song {song} in line {line}.")
            frames.setdefault(song, {})[step] = values
    series: dict[tuple[str, str | None], dict[str, np.ndarray]] = {}
    for song, known in frames.items():
        steps = np.full((max(known) + 1, len(columns)), np.nan)
        steps[[*known]] = [*known.values()]
        series[song, None] = dict(zip(columns, steps.T.copy(), strict=True))
    return series


def _find_step(corpus: CorpusFiles, name: str, text: str, where: str) -> int:
    """Return the number of the step at a time in seconds."""
    try:
        step = (float(text) - LABELS["first_label"]) * LABELS["label_rate"]
    except ValueError:
        step = np.nan
    if not (step >= 0 and abs(step - round(step)) < _CLOCK):
        raise corpus.error(
            name,
            f"has the frame time {text!r} {where}, but a multiple of 0.5 s from 15 s is expected.",
        )
    return round(step)


def _read_listener_series(corpus: CorpusFiles, name: str) -> dict[str, np.ndarray]:
    """Return listener → ratings over time, for the 2018 release."""
    header, *lines = corpus.read_lines(name)
    for place, cell in enumerate(header.split(",")[2:]):
        is_time = re.fullmatch(r"\s*\d+(\.\d+)?\s*", cell) is not None  # others are names
        if is_time and _find_step(corpus, name, cell, "in its header") != place:
            raise corpus.error(
                name, f"has the time {cell.strip()} s in its header out of order: 15, 15.5, … s."
            )
    series: dict[str, np.ndarray] = {}
    for line, text in enumerate(lines, start=2):
        with corpus.collect():
            listener, _, *cells = (cell.strip() for cell in text.split(","))
            what = f"the rating over time in line {line}"
            values = [
                corpus.rating(name, cell, what, RATING_RANGE) if cell else np.nan for cell in cells
            ]
            known = np.flatnonzero(~np.isnan(values))
            last = known[-1] + 1 if len(known) else 1
            series[listener.removesuffix(".0")] = np.array(values or [np.nan])[:last]
    return series


def _read_music(
    corpus: CorpusSource, songs: Sequence[str], pattern: re.Pattern[str]
) -> pd.DataFrame | None:
    """Return the music features of the songs in a file, or None if the file is missing.

    The index is the stimulus, and for features over time also the time. It is the end of the
    second that a row describes; the file has its start.
    """
    # Imported here, because it takes 30 MB that reading recordings does not need.
    from edaemo.features import read_pmemo_features

    name = corpus.match(pattern).get(())
    if name is None:
        return None

    def read() -> Reading:
        with corpus.on_disk(name) as path:
            try:
                table = read_pmemo_features(path)
            except ValueError as error:
                what = str(error).removeprefix(f"{path}: ")
                raise DatasetError(f"{name}: {what}") from error
        columns = {
            "stimulus": table.index.get_level_values("stimulus").tolist(),
            "features": list(table.to_numpy()),
        }
        if "time" in table.index.names:
            columns["time"] = table.index.get_level_values("time").to_numpy(dtype=float)
        return Reading(columns, {"names": table.columns.tolist()})

    with corpus.collect():
        reading = corpus.read([name], ["music"], read)
        stimuli = pd.Index(reading.columns["stimulus"], name="stimulus")
        index, known = stimuli, set(stimuli)
        if "time" in reading.columns:
            ends = pd.Index(reading.columns["time"], dtype=float, name="time") + FRAME
            index = pd.MultiIndex.from_arrays([stimuli, ends])
        music = pd.DataFrame(
            np.stack([*reading.columns["features"]]), index=index, columns=reading.facts["names"]
        )
        missing = [song for song in songs if song not in known]
        if missing:
            raise corpus.error(name, f"lacks features of {len(missing)} songs: {_some(missing)}.")
        return music.loc[list(songs)]
    return None


SPEC = CorpusSpec(
    name="pmemo",
    title="PMEmo: electrodermal activity while listening to music",
    description="""
The choruses of 794 songs. 457 people took part, and at least ten of them heard each song. The
corpus has electrodermal activity at 50 Hz, and ratings of valence and arousal, here from 0 to 1 in
nine steps. 767 songs have ratings.

There are two releases. The release of 2018 has the ratings of each listener. It has one recording
of the listening in which arousal was rated, and one of the listening in which valence was rated.
The release of 2019 has one recording of each listener and song. Its ratings are only the mean over
the listeners of a song. A class from this mean describes the song, not the listener. A threshold
from the ratings of one person cannot be computed.

What to know before believing a score:
- The unit of the recordings is not documented. In the release of 2018 the column name contains
  microsiemens. It is not known whether the values are raw or z-scored. They are not converted.
- The duration of a trial identifies the song. Features of whole trials can therefore encode the
  song. By default only the first 25 seconds of each trial are used; shorter songs are left out.
- Many people heard each song. Holding out people does not hold out songs. In the release of 2019
  all listeners of a song have the same label, so a model that recognises the song knows the label.
  Only the protocols stimulus and subject+stimulus prevent this.
- The order of listening is not known, so `trial` is 0 in all rows. With listening="both", `trial`
  separates the two listenings (0 arousal, 1 valence).
- Some recordings are missing or constant, and 27 songs have no ratings. They are left out and
  listed in the report.
- The music features come from openSMILE 2. Commercial use is not allowed.
""",
    licence=(
        "The data have no licence. The authors ask users to cite the paper. Their code is under "
        "the MIT licence. The music features were made with openSMILE: no commercial use."
    ),
    citation=(
        "Zhang, K.; Zhang, H.; Li, S.; Yang, C.; Sun, L. The PMEmo Dataset for Music Emotion "
        "Recognition. ICMR 2018, 135-142. doi:10.1145/3206025.3206037"
    ),
    how_to_get=(
        "PMEmo is free to download: https://github.com/HuiZhangDB/PMEmo links to both releases. "
        "The release of 2018 has the ratings of each listener. The release of 2019 has the mean "
        "rating of each song."
    ),
    marker=_ANY,
    read=read_pmemo,
    units={"eda": "not documented"},  # the 2018 release may name it; see _read_trace
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=is_development,
    like="EDA/1_EDA.csv",
    loader="load_pmemo",
    stimuli="songs",
    options={
        "version": Option("auto", [StrOptions({"auto"}), Options(int, set(VERSIONS))]),
        "listening": choose(*LISTENINGS),
        "dynamic": Option(False, ["boolean"]),
    },
    window=(0.0, 25.0),
    reader=1,
)
register_corpus(SPEC)


def load_pmemo(
    path: str | os.PathLike[str] | None = None,
    *,
    version: str | int = "auto",
    listening: str = "A",
    dynamic: bool = False,
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Study:
    """Load PMEmo: EDA of people who listened to the choruses of 794 songs.

    All files are checked. One error lists every problem.

    Parameters
    ----------
    path : path-like or None
        A folder with the folder of a release, such as ``PMEmo2019``, at any depth, or with the zip
        archives as downloaded; or one such archive. None searches the places that
        :func:`load_corpus` lists.
    version : {"auto", 2018, 2019}
        The release. "auto" finds it by ``EDA/Arousal`` (2018) or ``EDA/1_EDA.csv`` (2019).
    listening : {"A", "V", "both"}
        Recordings of the 2018 release to read: "A", the listening in which arousal was rated; "V",
        the listening in which valence was rated; or "both", as two trials. The 2019 release has one
        recording and does not document its listening (only "A" is accepted).
    dynamic : bool
        Whether the targets are the ratings over time, two per second from 15 s on. In the 2018
        release they are those of the listener, in the 2019 release the means of the song. The
        window is also cut out of them; the default window leaves 20 ratings. The music features
        over time are then read, too.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
    allow_partial : bool
        Accept missing songs. All other checks remain.
    cache : bool or path-like
        Whether to cache the data that were read, and in which folder.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per trial by subject and song: ``subject`` (six digits,
        str), ``stimulus`` (musicId, str), ``trial`` (0; 1 for the listening in which valence was
        rated, with ``listening="both"``), ``listening`` ("A" or "V"; 2018 only), ``eda`` (1-D
        float64 array as recorded, NaN where a sample is missing, 1,250 samples by default) and
        ``duration`` (seconds, before the window is cut, float).
        ``ratings`` : DataFrame with the same index; ``valence`` and ``arousal``, float, 0 to 1. In
        the 2018 release ratings of the listener, in the 2019 release means of the song.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the ratings. With `dynamic`,
        Series of 1-D arrays, NaN where a rating is missing; ``label_rate`` (Hz), ``first_label``
        (seconds after the start of the EDA) and ``label_delay`` (0.0 s) describe their times.
        ``music`` : float32 DataFrame, one row per song (index ``stimulus``), the 6,373 columns of
        :func:`edaemo.features.read_pmemo_features`. Without ``static_features.csv`` it is None,
        with a warning.
        ``music_steps`` : only with `dynamic`; float32 DataFrame with the index (``stimulus``,
        ``time``), the 260 columns of ``dynamic_features.csv`` every 0.5 s. A row describes one
        second of music, and ``time`` is the end of this second, in seconds after the start of the
        EDA. Without the file it is None, with a warning.
        ``sampling_rate`` : 50.0 Hz. ``rating_range`` : (0.0, 1.0).
        ``rating_level`` : "listener" (2018) or "song" (2019). ``version`` : 2018 or 2019.
        ``units`` : dict, ``"eda"`` → "microsiemens" if the column names contain it, else "not
        documented".
        ``development`` : tuple of about half of the people in the study. Their data may be used to
        choose defaults; tables report the other people (:func:`select_people`).

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    Warns
    -----
    UserWarning
        See :func:`load_corpus`. Also if the music features are missing.

    References
    ----------
    Zhang, K., Zhang, H., Li, S., Yang, C., & Sun, L. (2018). The PMEmo dataset for music emotion
    recognition. ICMR 2018, 135-142.
    """
    return load_corpus(
        SPEC,
        path,
        version=version,
        listening=listening,
        dynamic=dynamic,
        window=window,
        allow_partial=allow_partial,
        cache=cache,
    )
