"""Load HKU956: wrist EDA of 30 people who listened to 592 songs (Hu, Li & Liu, 2022)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import ENVIRONMENT, CorpusFiles, open_folder, search_folders
from edaemo.datasets._download import SUMS, Download
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import CorpusContent, CorpusSource, CorpusSpec
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window

SAMPLING_RATE = 4.0
RATING_RANGE = (-10.0, 10.0)
PUBLISHED = {"people": 30, "trials": 956, "songs": 592}
RATINGS = ("valence", "arousal")
RATINGS_FILE = "3. AV_ratings.csv"
TAGS_FILE = "hku956_songs_tags.tsv"
TAGS_FOLDERS = ("hku956_mtg_jamendo_tags", "mtg_jamendo_tags")


# Half of the people, drawn as `_development` describes.
DEVELOPMENT = (
    *("hku1906", "hku1908", "hku1909", "hku1914", "hku1916", "hku1917", "hku1918", "hku1919"),
    *("hku1923", "hku1926", "hku1927", "hku1928", "hku1929", "hku1930", "hku1931"),
)

_SIGNAL_FILE = re.compile(r"1\. physiological[_ ]signals/(?P<within>.*)", re.DOTALL)
_EDA_FILE = re.compile(r"(?P<subject>hku\d+)/EDA/(?P<trial>\d+)_(?P<stimulus>\d+)\.csv")
_OTHER_SIGNAL = re.compile(r"hku\d+/(BVP|HR|IBI|TEMP)/[^/]+")
_TRACK = re.compile(r"track_0*(\d+)")

Key = tuple[str, int]


class _Rating(NamedTuple):
    """A row of the ratings file, by its columns."""

    song_id: str
    valence_rating: float
    arousal_rating: float
    play_duration: float


def _eda_files(corpus: CorpusFiles) -> dict[Key, tuple[str, str]]:
    """Return (subject, song_no) → (file, song_id) of every EDA file."""
    files: dict[Key, tuple[str, str]] = {}
    for name in corpus.names:
        signal = _SIGNAL_FILE.fullmatch(name)
        if signal is None or _OTHER_SIGNAL.fullmatch(signal["within"]):
            continue
        eda = _EDA_FILE.fullmatch(signal["within"])
        if eda is None:
            corpus.note(
                f"{name} is not a file of this corpus, which has "
                "<person>/EDA/<song_no>_<song_id>.csv. Remove it."
            )
            continue
        key = eda["subject"], int(eda["trial"])
        if key in files:
            corpus.note_file(name, f"has the person and song_no of {files[key][0]}.")
            continue
        files[key] = name, eda["stimulus"]
    if not files:
        corpus.note("The folder '1. physiological_signals' holds no EDA file of HKU956.")
    return files


def _read_ratings(corpus: CorpusFiles) -> dict[Key, _Rating | None]:
    """Return the rating of every (subject, song_no), or None if the rating is invalid."""
    identity = ("participant_id", "song_no", "song_id")
    ratings: dict[Key, _Rating | None] = {}
    for row in corpus.read_table(RATINGS_FILE, identity + _Rating._fields[1:]):
        if not (row["song_no"].isdecimal() and row["song_id"].isdecimal()):
            corpus.note_file(
                RATINGS_FILE,
                f"has a song_no or song_id that is not a whole number: {row['participant_id']}, "
                f"{row['song_no']!r}, {row['song_id']!r}.",
            )
            continue
        key = row["participant_id"], int(row["song_no"])
        who = f"participant_id {key[0]}, song_no {key[1]}"
        if key in ratings:
            corpus.note_file(RATINGS_FILE, f"has two ratings of {who}.")
        else:
            ratings[key] = _read_rating(corpus, row, who)
    return ratings


def _read_rating(corpus: CorpusFiles, row: dict[str, str], who: str) -> _Rating | None:
    values = []
    for column in _Rating._fields[1:]:
        with corpus.collect():
            value = corpus.number(RATINGS_FILE, row[column], f"{column} of {who}")
            rated = column != "play_duration"
            if rated and not RATING_RANGE[0] <= value <= RATING_RANGE[1]:
                raise corpus.error(
                    RATINGS_FILE, f"has the rating {value:g} for {who}, outside -10 to 10."
                )
            values.append(value)
    return _Rating(row["song_id"], *values) if len(values) == len(_Rating._fields) - 1 else None


def _check_files(
    corpus: CorpusFiles, files: Mapping[Key, tuple[str, str]], ratings: Mapping[Key, _Rating | None]
) -> None:
    """Note ratings without a recording, if the person has other recordings."""
    recorded = {subject for subject, _ in files}
    for (subject, song_no), rating in ratings.items():
        if subject in recorded and (subject, song_no) not in files:
            song_id = "<song_id>" if rating is None else rating.song_id
            corpus.note_file(
                f"{subject}/EDA/{song_no}_{song_id}.csv",
                f"is missing, although {RATINGS_FILE} has its rating.",
                f"Get the corpus again, or remove {subject} and pass allow_partial=True.",
            )


def _read_trials(
    corpus: CorpusFiles,
    files: Mapping[Key, tuple[str, str]],
    ratings: Mapping[Key, _Rating | None] | None,
) -> list[dict[str, Any]]:
    """Return all whole trials with their ratings. If `ratings` is None, only check the files."""
    rows = []
    for (subject, song_no), (name, song_id) in sorted(files.items()):
        with corpus.collect():
            eda = corpus.numbers(name, corpus.read_lines(name))
            if ratings is None:
                continue
            if (subject, song_no) not in ratings:
                raise corpus.error(name, f"has no rating in {RATINGS_FILE}.")
            rating = ratings[subject, song_no]
            if rating is None:
                continue
            if rating.song_id != song_id:
                raise corpus.error(
                    name, f"belongs to song {rating.song_id} according to {RATINGS_FILE}."
                )
            if len(eda) / SAMPLING_RATE != rating.play_duration:
                raise corpus.error(
                    name,
                    f"has {len(eda)} samples at 4 Hz, but {RATINGS_FILE} gives a play_duration "
                    f"of {rating.play_duration:g} s.",
                )
            rows.append(
                {
                    "subject": subject,
                    "stimulus": song_id,
                    "trial": song_no,
                    "eda": eda,
                    "valence": rating.valence_rating,
                    "arousal": rating.arousal_rating,
                }
            )
    return rows


def _tags_file(corpus: CorpusFiles) -> tuple[CorpusFiles, str] | None:
    """Return the tags file: from the folder of the corpus, else from the searched folders."""
    inside = [name for name in corpus.names if "/" not in name and name.endswith("songs_tags.tsv")]
    if inside:
        return corpus, inside[0]
    for folder in search_folders():
        for place in (folder / name for name in TAGS_FOLDERS):
            if (place / TAGS_FILE).is_file():
                return open_folder(place, corpus.problems), TAGS_FILE
    return None


def _read_music(corpus: CorpusFiles, name: str, songs: list[str]) -> pd.DataFrame:
    """Return, for each song, one 0/1 column per tag of the file and the column `no_tags`."""
    header, *lines = corpus.read_lines(name)
    columns = header.split("\t")
    if columns[0] != "TRACK_ID" or columns[-1] != "TAGS":
        raise corpus.error(name, "is not a table of MTG-Jamendo: TRACK_ID … TAGS is expected.")
    tags: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=2):
        fields = line.split("\t")
        track = _TRACK.fullmatch(fields[0])
        if track is None or len(fields) < len(columns) or "" in fields[len(columns) - 1 :]:
            corpus.note_file(name, f"lacks a track with tags in line {number}.")
        elif track[1] in tags:
            corpus.note_file(name, f"repeats the track {fields[0]} in line {number}.")
        else:
            tags[track[1]] = fields[len(columns) - 1 :]
    every_tag = sorted({tag for of_track in tags.values() for tag in of_track})
    music = pd.DataFrame(
        np.zeros((len(songs), len(every_tag) + 1), dtype=np.float32),
        index=pd.Index(songs, name="stimulus"),
        columns=[*every_tag, "no_tags"],
    )
    for song in songs:
        music.loc[song, tags.get(song, ["no_tags"])] = 1.0
    return music


def read_hku956(corpus: CorpusSource) -> CorpusContent:
    """Read all trials, their ratings and the songs' tags, and check the counts."""
    files = _eda_files(corpus)
    rated = None
    with corpus.collect():
        rated = _read_ratings(corpus)
        _check_files(corpus, files, rated)
    rows = _read_trials(corpus, files, rated)
    people = {subject for subject, _ in files}
    absent = sorted({subject for subject, _ in rated or ()} - people)
    songs = sorted({song for _, song in files.values()})
    counts = {"people": len(people), "trials": len(files), "songs": len(songs)}
    if files:
        corpus.check_counts(counts, PUBLISHED, absent)
    tags = _tags_file(corpus)
    music = None
    if tags is not None:
        with corpus.collect():
            music = _read_music(*tags, songs)
    corpus.raise_all()
    missing = (
        f"No music tags found: music is None. Put {TAGS_FILE} into the folder of the corpus, or "
        f"into {TAGS_FOLDERS[0]} in the folder that {ENVIRONMENT} names."
    )
    heard = {(row["subject"], row["stimulus"]) for row in rows}
    reading = Reading.of_rows(rows, ("trial", *RATINGS), {})
    return CorpusContent.of(
        reading.columns,
        RATINGS,
        music=music,
        warnings=[missing] if tags is None else [],
        report={
            "tags_source": None if tags is None else f"{tags[0].place}: {tags[1]}",
            **counts,
            "repeat_listens": len(rows) - len(heard),
            "songs_with_tags": 0 if music is None else int((music["no_tags"] == 0).sum()),
            "people_without_recording": absent,
        },
        notes=[
            "The columns subject and trial identify a trial: a person may hear a song twice.",
            "Signals other than EDA are not read.",
        ],
    )


SPEC = CorpusSpec(
    name="hku956",
    title="HKU956: electrodermal activity while listening to music",
    description="""
30 people listened to music within 40 minutes with an Empatica E4 on the wrist. There are 956 trials
of 592 songs. In 33 trials the person had already heard the song. EDA is in microsiemens at 4 Hz.
For each song the person rated the induced valence and arousal from -10 to 10.

The songs are Jamendo tracks. 267 of the 592 songs have tags (genre, instrument, mood or theme) in
MTG-Jamendo. The other 325 songs have the value 1 in the column `no_tags`. Tags are not audio
features. The corpus has neither audio nor audio features.

What to know before believing a score:
- Listeners may skip a song, so they determine the length of a trial. The length alone (the column
  `duration`) gives an AUC of 0.57 for positive against negative valence, without the 26 neutral
  trials. The default window, the first 25 seconds, hides the length. `window="end"` and
  `window=None` do not hide it.
- Several people heard the same songs, so holding out people does not hold out songs.
- Nine trials never exceed 0.05 microsiemens, and 24 trials hardly vary. They are kept.
- Each person has 16 to 68 trials. The share of positive valence ranges from 0.12 to 0.97 across
  people.

EDA and ratings are CC BY-NC 4.0, the tags CC BY-NC-SA 4.0. Commercial use of either is not allowed.
""",
    licence=(
        "EDA and ratings: CC BY-NC 4.0 (non-commercial use, with credit to the authors). Music "
        "tags: CC BY-NC-SA 4.0, from the metadata of MTG-Jamendo."
    ),
    citation=(
        "Hu, X.; Li, F.; Liu, R. Detecting Music-Induced Emotion Based on Acoustic Analysis and "
        "Physiological Sensing: A Multimodal Approach. Applied Sciences 2022, 12, 9354. "
        "doi:10.3390/app12189354"
    ),
    how_to_get="Get HKU956 from the HKU DataHub, figshare id 21080821 (CC BY-NC 4.0).",
    marker=RATINGS_FILE,
    read=read_hku956,
    units={"eda": "microsiemens"},
    sampling_rate=SAMPLING_RATE,
    rating_range=RATING_RANGE,
    development=DEVELOPMENT,
    loader="load_hku956",
    stimuli="songs",
    window=(0.0, 25.0),
    masked=False,
    download=Download(
        "https://raw.githubusercontent.com/pp121200z/music-emotion-probing-interactive/"
        "dc7f07a202c58115f2c17e1343265a9ca734fa7f/data/HKU956/",
        SUMS / "hku956.sha256",
    ),
)
register_corpus(SPEC)


def load_hku956(
    path: str | os.PathLike[str] | None = None,
    *,
    window: Window = (0.0, 25.0),
    allow_partial: bool = False,
    download: bool = False,
) -> Study:
    """Load HKU956: EDA of 30 people in 956 trials of listening to 592 songs.

    All files are checked, and the counts are compared with the publication. One error lists every
    problem.

    Parameters
    ----------
    path : path-like or None
        The original folder of the corpus or a zip archive of it. None searches the places that
        :func:`load_corpus` lists. The music tags (``*songs_tags.tsv``) are not part of the corpus.
        They are searched in `path`, then in the same three places.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
    allow_partial : bool
        Accept an incomplete corpus: people with ratings but without any recording are listed in
        the report instead of raising an error. All other checks remain.
    download : bool
        Download the corpus into the cache of the user, if no searched place holds it; see
        :func:`load_corpus`. The music tags are not downloaded.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` (str),
        ``stimulus`` (song_id, str), ``trial`` (song_no, the listening order, int), ``eda``
        (1-D float64 array in microsiemens, 100 samples by default) and ``duration`` (seconds of
        the whole trial, before the window is cut, float).
        ``ratings`` : DataFrame with the same index; ``valence`` and ``arousal``, float, -10 to 10.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the ratings.
        ``music`` : float32 DataFrame, one row per song (index ``stimulus``), one 0/1 column per
        tag and ``no_tags``. Without tags it is None, with a warning.
        ``sampling_rate`` : 4.0 Hz. ``rating_range`` : (-10.0, 10.0).
        ``development`` : the 15 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    Warns
    -----
    UserWarning
        See :func:`load_corpus`. Also if no tags are found.

    See Also
    --------
    load_corpus : Any corpus by its name.
    edaemo.evaluation.evaluate : Evaluate pipelines on it.

    References
    ----------
    Hu, X., Li, F., & Liu, R. (2022). Detecting music-induced emotion based on acoustic analysis
    and physiological sensing: a multimodal approach. Applied Sciences, 12, 9354.
    """
    return load_corpus(SPEC, path, window=window, allow_partial=allow_partial, download=download)
