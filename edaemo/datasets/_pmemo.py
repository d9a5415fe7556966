"""The loader of PMEmo: 794 songs, each heard by ten people or more (Zhang et al., 2018)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
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
from edaemo.datasets._window import Window
from edaemo.features import read_pmemo_features

SAMPLING_RATE = 50.0
RATING_RANGE = (0.0, 1.0)
VERSIONS = (2018, 2019)
PUBLISHED = {"songs": 794, "songs with ratings": 767}
# Which files of the 2018 release hold which listening.
LISTENINGS = {"A": ("A",), "V": ("V",), "both": ("A", "V")}
DIMENSIONS = {"A": "Arousal", "V": "Valence"}
RATINGS = ("valence", "arousal")
# Seconds from one sample to the next may be off by this share.
_CLOCK = 0.01
# Who is a development person is drawn from the id alone: the ids were not at hand, and so a person
# is on the same side in both releases and in any part of them.
_DRAW = "20261120"

_TRACES_2019 = re.compile(r"(?:^|/)EDA/(\d+)_EDA\.csv$")
_TRACES_2018 = re.compile(r"(?:^|/)EDA/(?:Arousal|Valence)/(\d+)_(\d{6})_([AV])\.csv$")
_RATINGS_2018 = re.compile(r"(?:^|/)Annotations/(?:Arousal|Valence)/(\d+)-([AV])\.csv$")
_RATINGS_2019 = re.compile(r"(?:^|/)static_annotations\.csv$")
_MUSIC = re.compile(r"(?:^|/)static_features\.csv$")
_ANY = re.compile(rf"{_TRACES_2019.pattern}|{_TRACES_2018.pattern}")
_IN_EDA = re.compile(r"(?:^|/)EDA/.*\.csv$")

RELABELLING = (
    "PMEmo's 2019 release has one rating of each song, the mean over its listeners, and no "
    "listener's own, so that nobody has a threshold. The 2018 release has the listeners' ratings: "
    "load_pmemo(version=2018). Or label by a fixed threshold, such as 0.5."
)


class _Trace(NamedTuple):
    """A recording: whose, of which song, in which listening (None: not known)."""

    subject: str
    song: str
    listening: str | None
    eda: np.ndarray


def read_pmemo(corpus: CorpusSource, *, version: str | int, listening: str) -> CorpusContent:
    """Read the recordings of a release, their ratings and the music features."""
    version = _find_version(corpus, version)
    if version == 2019 and listening != "A":
        raise DatasetError(
            f"listening={listening!r}: the 2019 release in {corpus.place} has one recording of "
            "each listener and song. The release of 2018 has one for each listening."
        )
    traces, rated = _find_files(corpus, version, listening)
    _check_songs(corpus, version, traces, rated)
    reading = corpus.read(
        [*traces.values(), *rated.values()],
        [version, listening],
        lambda: _read(corpus, version, listening, traces, rated),
    )
    facts = reading.facts
    if not corpus.allow_partial:
        _check_ratings(corpus, facts)
    songs = sorted(set(reading.columns.get("stimulus", ())), key=int)
    music = _read_music(corpus, songs)
    corpus.raise_all()
    people = {*reading.columns["subject"], *(row["subject"] for row in facts["left_out"])}
    no_music = f"static_features.csv is not in {corpus.place}: music is None."
    return CorpusContent.of(
        reading.columns,
        RATINGS,
        left_out=facts["left_out"],
        music=music,
        warnings=[no_music] if music is None else [],
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
            "EDA is as recorded; samples that are missing are NaN, those at a recording's end are "
            "not part of it.",
            "A recording without samples, or of one single value, is left out.",
            RELABELLING if version == 2019 else "Ratings are the listener's own.",
        ],
        more={
            "rating_level": "song" if version == 2019 else "listener",
            "version": version,
            "units": {"eda": facts["unit"]},
        },
    )


def _find_files(
    corpus: CorpusFiles, version: int, listening: str
) -> tuple[dict[tuple[str, ...], str], dict[tuple[str, ...], str]]:
    """Return the recordings and the files of ratings of a release."""
    if version == 2019:
        return (corpus.match(_TRACES_2019), corpus.match(_RATINGS_2019))
    found = corpus.match(_TRACES_2018)
    traces = {key: name for key, name in found.items() if key[2] in LISTENINGS[listening]}
    return traces, corpus.match(_RATINGS_2018)


def is_development(person: str) -> bool:
    """Say whether somebody is a development person, by the id alone: about half of them are."""
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
    """Note what is not there, as far as the files' names tell."""
    if version == 2019 and not rated:
        corpus.note("annotations/static_annotations.csv is missing: no song has a rating.")
    if version == 2018:
        for letter, dimension in DIMENSIONS.items():
            if not any(key[1] == letter for key in rated):
                corpus.note(f"Annotations/{dimension}/*-{letter}.csv are missing.")
    foreign = [n for n in corpus.names if _IN_EDA.search(n) and not _ANY.search(n)]
    if foreign:
        corpus.note(f"{_some(foreign)}: these are named as no recording of PMEmo. Take them away.")
    n_songs = len({key[0] for key in traces})
    if not corpus.allow_partial and n_songs != PUBLISHED["songs"]:
        corpus.note(f"{n_songs} of {PUBLISHED['songs']} songs have recordings. {GET_THE_REST}")


def _check_ratings(corpus: CorpusFiles, facts: dict[str, Any]) -> None:
    """Note the ratings that are not there, and those of songs that nobody was recorded with."""
    if facts["songs_with_ratings"] != PUBLISHED["songs with ratings"]:
        corpus.note(
            f"{facts['songs_with_ratings']} of {PUBLISHED['songs with ratings']} songs have "
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
) -> Reading:
    """Read all recordings and their ratings, and note what is wrong."""
    ratings = _read_ratings(corpus, version, rated)
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
    for trace in sorted(found, key=lambda one: (one.subject, int(one.song), one.listening or "")):
        own = ratings.get((trace.song, None if version == 2019 else trace.subject), {})
        row = {
            "subject": trace.subject,
            "stimulus": trace.song,
            "trial": int(listening == "both" and trace.listening == "V"),
        }
        reason = _reason_to_leave_out(trace, own, labelled)
        if reason:
            left_out.append(row | {"duration": len(trace.eda) / SAMPLING_RATE, "reason": reason})
            continue
        if version == 2018:
            row["listening"] = trace.listening
        rows.append(row | {"eda": trace.eda} | {name: own[name] for name in RATINGS})
    if not rows:
        corpus.note("There is no recording with a rating.")
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
    """Return (song, listener) → ratings; the listener is None where it is the song's mean."""
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


def _reason_to_leave_out(trace: _Trace, own: dict[str, float], labelled: set[str]) -> str:
    """Say why a recording cannot be used; nothing if it can."""
    seen = trace.eda[~np.isnan(trace.eda)]
    if not len(seen):
        return "no samples"
    if (seen == seen[0]).all():
        return "constant"
    if trace.song not in labelled:
        return "song without ratings"
    missing = [name for name in RATINGS if name not in own]
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
        raise corpus.error(name, f"has columns that name no listener by six digits: {bad}.")
    if len(set(listeners)) < len(listeners):
        twice = sorted({one for one in listeners if listeners.count(one) > 1})
        raise corpus.error(name, f"has listeners twice: {', '.join(twice)}.")
    return [
        _Trace(listener, song, None, _without_end(values[:, place]))
        for place, listener in enumerate(listeners, start=1)
    ]


def _read_trace(corpus: CorpusFiles, name: str) -> tuple[np.ndarray, str]:
    """Read a file of the 2018 release: samples, and their unit where the column's name says it."""
    header, values = corpus.read_matrix(name)
    columns = [column.strip().lower() for column in header]
    found = [place for place, column in enumerate(columns) if column.startswith("eda")]
    if len(found) != 1:
        raise corpus.error(name, f"has {len(found)} columns EDA…, where one is due: {header}.")
    for place, column in enumerate(columns):
        if column.startswith("time"):
            _check_time(corpus, name, header[place], values[:, place])
    says = "microsiemens" in columns[found[0]]
    return _without_end(values[:, found[0]]), "microsiemens" if says else "not documented"


def _check_time(corpus: CorpusFiles, name: str, column: str, times: np.ndarray) -> None:
    """Raise unless a column of seconds tells 50 Hz."""
    if not column.strip().lower().startswith("time"):
        raise corpus.error(name, f"has the first column {column!r}, where 'time(s)' is due.")
    step = np.median(np.diff(times)) if len(times) > 1 else 1 / SAMPLING_RATE
    if not abs(step * SAMPLING_RATE - 1) <= _CLOCK:
        raise corpus.error(
            name, f"has samples {step:g} s apart, where 50 Hz ({1 / SAMPLING_RATE:g} s) is due."
        )


def _without_end(samples: np.ndarray) -> np.ndarray:
    """Return a recording up to its last sample: what fills a column up is not part of it."""
    seen = np.flatnonzero(np.isfinite(samples))
    return samples[: seen[-1] + 1 if len(seen) else 0].copy()


def _read_song_ratings(
    corpus: CorpusFiles, name: str
) -> dict[tuple[str, str | None], dict[str, float]]:
    """Return (song, None) → mean ratings, of the 2019 release."""
    columns = {"valence": "Valence(mean)", "arousal": "Arousal(mean)"}
    ratings: dict[tuple[str, str | None], dict[str, float]] = {}
    for line, row in enumerate(corpus.read_table(name, ("musicId", *columns.values())), start=2):
        with corpus.collect():
            song = row["musicId"].strip()
            if not song.isdecimal():
                raise corpus.error(name, f"has no number as musicId in line {line}: {song!r}.")
            if (song, None) in ratings:
                raise corpus.error(name, f"has the song {song} twice, again in line {line}.")
            ratings[song, None] = {
                rating: corpus.rating(name, row[column], f"{column} of song {song}", RATING_RANGE)
                for rating, column in columns.items()
            }
    return ratings


def _read_listener_ratings(corpus: CorpusFiles, name: str) -> dict[str, float]:
    """Return listener → the rating of the whole song, of the 2018 release."""
    ratings: dict[str, float] = {}
    for line, text in enumerate(corpus.read_lines(name)[1:], start=2):
        with corpus.collect():
            listener, *values = (cell.strip() for cell in text.split(","))
            listener = listener.removesuffix(".0")
            if re.fullmatch(r"\d{6}", listener) is None or not values:
                raise corpus.error(name, f"has no listener and rating in line {line}.")
            if listener in ratings:
                raise corpus.error(name, f"has the listener {listener} twice.")
            ratings[listener] = corpus.rating(
                name, values[0], f"the rating of {listener}", RATING_RANGE
            )
    return ratings


def _read_music(corpus: CorpusSource, songs: Sequence[str]) -> pd.DataFrame | None:
    """Return the music features of the songs; None where there are none."""
    name = corpus.match(_MUSIC).get(())
    if name is None:
        return None

    def read() -> Reading:
        with corpus.on_disk(name) as path:
            try:
                table = read_pmemo_features(path)
            except ValueError as error:
                what = str(error).removeprefix(f"{path}: ")
                raise DatasetError(f"{name}: {what}") from error
        columns = {"stimulus": table.index.tolist(), "features": list(table.to_numpy())}
        return Reading(columns, {"names": table.columns.tolist()})

    with corpus.collect():
        reading = corpus.read([name], ["music"], read)
        music = pd.DataFrame(
            np.stack([*reading.columns["features"]]),
            index=pd.Index(reading.columns["stimulus"], name="stimulus"),
            columns=reading.facts["names"],
        )
        missing = [song for song in songs if song not in music.index]
        if missing:
            raise corpus.error(name, f"has no features of {len(missing)} songs: {_some(missing)}.")
        return music.loc[list(songs)]
    return None


SPEC = CorpusSpec(
    name="pmemo",
    title="PMEmo: electrodermal activity while listening to music",
    description="""
The choruses of 794 songs, each heard by ten people or more of 457, with electrodermal activity at
50 Hz, and ratings of valence and arousal, here from 0 to 1 (nine steps). 767 songs have ratings.

There are two releases. That of 2018 has each listener's own ratings, and one recording for the
listening in which arousal was rated and one for that in which valence was. That of 2019 has one
recording of each listener and song, and of the ratings only the mean over the listeners of a song:
a class of it says something of the song, not of the listener, and no threshold can be had of a
person's own ratings.

What to know before believing a score:
- The unit of the recordings is not documented. In the release of 2018 the column's name says
  microsiemens; whether the values are raw or z-scored is not known. They stay as recorded.
- How long a trial lasts says which song it was, so whatever is computed of whole trials may know
  the song. By default each is cut to its first 25 seconds; shorter songs are left out.
- Each song was heard by many people: holding people out does not hold songs out. In the release of
  2019 all listeners of a song have one label, so whoever knows the song knows the label; only the
  protocols stimulus and subject+stimulus ask for more.
- The order of listening is not known: `trial` is 0 throughout, and with listening="both" it tells
  the two listenings apart (0 arousal, 1 valence).
- Some recordings are missing or constant, and 27 songs have no ratings: they are left out and
  listed in the report.
- The music features, of openSMILE 2, may not be used commercially.
""",
    licence=(
        "The data carry no licence of their own; the authors ask to cite the paper. Their code "
        "is under the MIT licence. The music features were made with openSMILE: no commercial "
        "use."
    ),
    citation=(
        "Zhang, K.; Zhang, H.; Li, S.; Yang, C.; Sun, L. The PMEmo Dataset for Music Emotion "
        "Recognition. ICMR 2018, 135-142. doi:10.1145/3206025.3206037"
    ),
    how_to_get=(
        "PMEmo is free to download: https://github.com/HuiZhangDB/PMEmo links to both releases. "
        "The release of 2018 has each listener's ratings, that of 2019 the mean of each song."
    ),
    marker=_ANY,
    read=read_pmemo,
    units={"eda": "not documented"},  # but for those of 2018
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=is_development,
    like="EDA/1_EDA.csv",
    loader="load_pmemo",
    stimuli="songs",
    options={
        "version": Option("auto", [StrOptions({"auto"}), Options(int, set(VERSIONS))]),
        "listening": choose(*LISTENINGS),
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
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Bunch:
    """Load PMEmo: EDA of people who listened to the choruses of 794 songs.

    All files are checked, and one error says all that is wrong.

    Parameters
    ----------
    path : path-like or None
        The folder of a release (``PMEmo2019`` and the like) at any depth, or with the zip archives
        as they are downloaded; or one such archive. None looks where :func:`load_corpus` does.
    version : {"auto", 2018, 2019}
        The release; "auto" is the one that is there, known by ``EDA/Arousal`` (2018) or
        ``EDA/1_EDA.csv`` (2019).
    listening : {"A", "V", "both"}
        Which recordings of the 2018 release are read: of the listening in which arousal was rated,
        of that in which valence was, or both, as two trials. The 2019 release has one recording,
        and does not say which ("A" only).
    window : tuple (start, stop), 'end' or None
        What is cut out of each trial before anything else: see :func:`cut_window`.
    allow_partial : bool
        Read some of the songs. Every other check stays.
    cache : bool or path-like
        Whether, and where, what was read is kept for the next time.

    Returns
    -------
    Bunch
        What :func:`load_corpus` says; of this corpus:

        ``trials`` : DataFrame, one row per trial by subject and song: ``subject`` (six digits,
        str), ``stimulus`` (musicId, str), ``trial`` (0; 1 for the listening in which valence was
        rated, with ``listening="both"``), ``listening`` ("A" or "V"; 2018 only), ``eda`` (1-D
        float64 array as recorded, NaN where a sample is missing, 1,250 samples by default) and
        ``duration`` (seconds, before the window is cut, float).
        ``ratings`` : DataFrame with the same index; ``valence`` and ``arousal``, float, 0 to 1. Of
        2018 the listener's own; of 2019 the song's mean.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the ratings.
        ``music`` : float32 DataFrame, one row per song (index ``stimulus``), the 6,373 columns of
        :func:`edaemo.features.read_pmemo_features`; None, with a warning, without
        ``static_features.csv``.
        ``sampling_rate`` : 50.0 Hz. ``rating_range`` : (0.0, 1.0).
        ``rating_level`` : "listener" (2018) or "song" (2019). ``version`` : 2018 or 2019.
        ``units`` : dict, ``"eda"`` → "microsiemens" where the files say so, or "not documented".
        ``development`` : tuple of the people, about half of those here, on whom defaults may be
        decided; tables report the others (:func:`select_people`).

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    Warns
    -----
    UserWarning
        See :func:`load_corpus`; also if there are no music features.

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
        window=window,
        allow_partial=allow_partial,
        cache=cache,
    )
