"""Load MuSe-CaR: car reviews with continuous valence and arousal (Stappen, 2021)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from edaemo._validation import suggest
from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles, DatasetError
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    GET_THE_REST,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    choose_signals,
)
from edaemo.datasets._study import Study

RATING_RANGE = (-1.0, 1.0)
LABELS = ("valence", "arousal")
PARTITIONS = ("train", "devel", "test")
# Largest accepted share of the steps of a video that not all of its files have.
_UNMATCHED = 0.05

_FEATURES = re.compile(r"(?:^|/)c1_muse_wild/feature_segments/label_aligned/([^/]+)/(\d+)\.csv$")
_LABELS = re.compile(r"(?:^|/)c1_muse_wild/label_segments/(valence|arousal)/(\d+)\.csv$")
_PARTITION = re.compile(r"(?:^|/)partition\.csv$")


def read_muse_car(corpus: CorpusSource, *, signals: Sequence[str]) -> CorpusContent:
    """Read features and labels of all videos, step by step."""
    signals = tuple(dict.fromkeys(signals))
    features = corpus.match(_FEATURES)
    _check_signals(signals, {folder for folder, _ in features})
    features = {key: name for key, name in features.items() if key[0] in signals}
    labels = corpus.match(_LABELS)
    table = corpus.match(_PARTITION).get(())
    partitions, absent = _find_videos(corpus, table, features, labels, signals)
    reading = corpus.read(
        [name for key, name in [*features.items(), *labels.items()] if key[1] in partitions],
        [list(signals), partitions],
        lambda: _read(corpus, partitions, features, labels, signals),
    )
    corpus.raise_all()
    facts, columns = reading.facts, dict(reading.columns)
    n_steps = [len(time) for time in columns["time"]]
    columns["duration"] = np.array([n / facts["sampling_rate"] for n in n_steps])
    means = {name: np.array([np.mean(cell) for cell in columns[name]]) for name in LABELS}
    hidden = np.isnan([*means.values()]).any(axis=0)
    return CorpusContent(
        columns,
        ratings=means,
        targets={name: columns[name] for name in LABELS},
        report={
            "partitions": {name: [*columns["partition"]].count(name) for name in PARTITIONS},
            "videos_without_files": absent,
            "videos_without_labels": [
                columns["stimulus"][row] for row in np.where(hidden)[0].tolist()
            ],
            "steps": sum(n_steps),
            "steps_dropped": facts["steps_dropped"],
            "values_not_finite": facts["not_finite"],
        },
        notes=[
            "Empty or constant labels of the test partition are withheld by the organisers and are "
            "NaN.",
            "Steps that are missing in a file of the video are dropped (steps_dropped).",
            "The corpus has no EDA.",
        ],
        more={
            "sampling_rate": facts["sampling_rate"],
            "label_rate": facts["sampling_rate"],
            "first_label": 0.0,
            "label_delay": 0.0,
            "units": dict.fromkeys(signals, "as recorded"),
            "channels": {name: tuple(names) for name, names in facts["channels"].items()},
            "development": tuple(
                video for video, partition in partitions.items() if partition != "test"
            ),
        },
    )


def _check_signals(signals: tuple[str, ...], known: set[str]) -> None:
    for name in signals:
        if name not in known:
            raise ValueError(
                f"signals={signals!r}: features {name!r} do not exist; "
                f"{suggest(name, sorted(known))}"
            )
    if not signals:
        raise ValueError(f"signals={signals!r} is empty: choose from {sorted(known)}.")


def _find_videos(
    corpus: CorpusSource,
    table: str | None,
    features: Mapping[tuple[str, ...], str],
    labels: Mapping[tuple[str, ...], str],
    signals: Sequence[str],
) -> tuple[dict[str, str], list[str]]:
    """Return video → partition of the videos to read, in order, and the videos without files."""
    listed: dict[str, str] = {}
    if table is None:
        corpus.note("partition.csv, which lists the videos of train, devel and test, is missing.")
    else:
        with corpus.collect():
            listed = _read_partition(corpus, table)
    there = {video for _, video in (*features, *labels)}
    if table is not None:
        for video in sorted(there - set(listed), key=int):
            corpus.note(f"Video {video} is not in {table}: its partition is not known.")
    absent = sorted(set(listed) - there, key=int)
    if absent and not corpus.allow_partial:
        corpus.note(
            f"{len(absent)} of {len(listed)} videos of {table} are missing: {', '.join(absent[:5])}"
            f"{', …' if len(absent) > 5 else ''}. {GET_THE_REST}"
        )
    whole = {}
    for video in sorted(
        there & set(listed), key=lambda video: (PARTITIONS.index(listed[video]), int(video))
    ):
        missing = [f"{name}/{video}.csv" for name in signals if (name, video) not in features]
        if listed[video] != "test":  # labels of the test partition are withheld
            missing += [f"{name}/{video}.csv" for name in LABELS if (name, video) not in labels]
        if missing:
            corpus.note(f"Video {video} ({listed[video]}) lacks {', '.join(missing)}.")
        else:
            whole[video] = listed[video]
    return whole, absent


def _read_partition(corpus: CorpusFiles, name: str) -> dict[str, str]:
    """Return video → partition. A video may be listed twice, but only in the same partition."""
    listed: dict[str, str] = {}
    for line, row in enumerate(corpus.read_table(name, ("id", "partition")), start=2):
        with corpus.collect():
            video, partition = row["id"].strip(), row["partition"].strip()
            if not video.isdecimal() or partition not in PARTITIONS:
                raise corpus.error(
                    name,
                    f"has {video!r} and {partition!r} in line {line}, but a number and one of "
                    f"{[*PARTITIONS]} are expected.",
                )
            if listed.setdefault(video, partition) != partition:
                raise corpus.error(
                    name, f"lists video {video} in {listed[video]} and in {partition}."
                )
    return listed


def _read(
    corpus: CorpusFiles,
    partitions: Mapping[str, str],
    features: Mapping[tuple[str, ...], str],
    labels: Mapping[tuple[str, ...], str],
    signals: Sequence[str],
) -> Reading:
    """Read all videos, and note every problem."""
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {"steps_dropped": 0, "not_finite": 0, "channels": {}}
    steps: dict[str, float] = {}
    for video, partition in partitions.items():
        with corpus.collect():
            tables = {name: _read_steps(corpus, features[name, video]) for name in signals}
            for name in LABELS:
                if (name, video) in labels:
                    tables[name] = _read_labels(corpus, labels[name, video], partition)
            for name in signals:
                names = facts["channels"].setdefault(name, list(tables[name].columns))
                if names != list(tables[name].columns):
                    raise corpus.error(
                        features[name, video],
                        "has different columns from the first file of this feature set.",
                    )
            index = _join(video, tables, facts)
            steps[video] = float(np.median(np.diff(index.get_level_values(0)))) / 1000
            rows.append(_make_row(video, partition, tables, index, signals, facts))
    if len(set(steps.values())) > 1:
        named = ", ".join(f"{video}: {step:g} s" for video, step in [*steps.items()][:5])
        corpus.note(f"The videos have different step lengths: {named}, …")
    facts["sampling_rate"] = 1 / next(iter(steps.values()), np.nan)
    return Reading.of_rows(rows, ("trial",), facts)


def _read_steps(corpus: CorpusFiles, name: str) -> pd.DataFrame:
    """Return a table of steps, indexed by time (ms) and segment."""
    header, values = corpus.read_matrix(name)
    columns = [column.strip() for column in header]
    missing = [key for key in ("timestamp", "segment_id") if key not in columns]
    if missing or len(set(columns)) < len(columns) or len(columns) < 3:
        raise corpus.error(
            name,
            "must have the columns timestamp, segment_id and more, each once; it has "
            f"{', '.join(columns[:5])}{', …' if len(columns) > 5 else ''}.",
        )
    table = pd.DataFrame(values, columns=columns)
    times = table["timestamp"]
    if table[["timestamp", "segment_id"]].isna().any(axis=None) or len(times) < 2:
        raise corpus.error(
            name, "has steps without a time stamp or segment, or fewer than two steps."
        )
    if not (times.is_monotonic_increasing and times.is_unique):
        raise corpus.error(name, "has time stamps that repeat or are not in order.")
    return table.set_index(["timestamp", "segment_id"])


def _read_labels(corpus: CorpusFiles, name: str, partition: str) -> pd.DataFrame:
    """Return a table with the single column value, all NaN if the labels are withheld."""
    table = _read_steps(corpus, name)
    if "value" not in table.columns:
        raise corpus.error(name, f"has no column 'value', but {list(table.columns)}.")
    table = table[["value"]]
    values = table["value"]
    if partition == "test" and values.nunique() < 2:
        return table.assign(value=np.nan)
    lowest, highest = RATING_RANGE
    wrong = values[~values.between(lowest, highest)]
    if len(wrong):
        raise corpus.error(
            name,
            f"has {len(wrong)} values missing or outside {lowest:g} to {highest:g}. The first "
            f"({wrong.iloc[0]:g}) is at {wrong.index[0][0]:g} ms.",
        )
    return table


def _join(video: str, tables: Mapping[str, pd.DataFrame], facts: dict[str, Any]) -> pd.MultiIndex:
    """Return the steps that all tables have; count the other steps in `facts`."""
    indices = [table.index for table in tables.values()]
    common, every = indices[0], indices[0]
    for index in indices[1:]:
        common, every = common.intersection(index), every.union(index)
    n_dropped = len(every) - len(common)
    if n_dropped > _UNMATCHED * len(every) or len(common) < 2:
        lengths = {name: len(table) for name, table in tables.items()}
        raise DatasetError(
            f"Video {video}: its files share only {len(common)} of {len(every)} steps (time stamp "
            f"and segment): {lengths}. Download these files again."
        )
    facts["steps_dropped"] += n_dropped
    return common


def _make_row(
    video: str,
    partition: str,
    tables: Mapping[str, pd.DataFrame],
    index: pd.MultiIndex,
    signals: Sequence[str],
    facts: dict[str, Any],
) -> dict[str, Any]:
    cells = {}
    for name in signals:
        cell = np.array(tables[name].loc[index].to_numpy().T, dtype=np.float32, order="C")
        facts["not_finite"] += int((~np.isfinite(cell)).sum())
        cell[~np.isfinite(cell)] = np.nan
        cells[name] = cell
    for name in LABELS:
        known = name in tables
        values = tables[name]["value"].loc[index] if known else np.full(len(index), np.nan)
        cells[name] = np.array(values, dtype=np.float64)
    return {
        "subject": video,
        "stimulus": video,
        "trial": 0,
        "partition": partition,
        **cells,
        "time": np.array(index.get_level_values(0), dtype=np.float64) / 1000,
        "segment": np.array(index.get_level_values(1), dtype=np.int64),
    }


SPEC = CorpusSpec(
    name="muse-car",
    title="MuSe-CaR: videos of car reviews with continuous valence and arousal",
    description="""
The sub-challenge MuSe-Wild of 2020: features of sound, picture and speech at each step of a video,
and valence and arousal from -1 to 1 as annotators judged them. The corpus has no electrodermal
activity and no other physiology. The loader reads the features that are aligned with the labels,
and the official partition of the videos into train, devel and test.

What to know before believing a score:
- The labels are continuous. A trial is a whole video, and its target is an array.
- The organisers withhold the labels of the test partition. Empty or constant labels of this
  partition become NaN.
- The files do not name the speakers, so `subject` is the number of the video. A speaker may appear
  in several videos. Only the authors of the official partition know whether it separates speakers.
- The step length is read from the time stamps. Later rounds of the challenge have one label every
  250 ms.

Each user of MuSe-CaR must sign its licence: academic research only, no redistribution.
""",
    licence=(
        "End user licence agreement of MuSe-CaR: academic research only, no redistribution. Each "
        "user must sign it."
    ),
    citation=(
        "Stappen, L.; Baird, A.; Schumann, L.; Schuller, B. The Multimodal Sentiment Analysis in "
        "Real Life Media Dataset: Detecting Emotion, Sentiment and Trust in Car Reviews. IEEE "
        "Transactions on Affective Computing 2021. doi:10.1109/TAFFC.2021.3097002"
    ),
    how_to_get=(
        "MuSe-CaR is available from its authors after signing an end user licence agreement: "
        "https://www.muse-challenge.org/. Get the package of MuSe-Wild 2020: the folder "
        "c1_muse_wild with feature_segments/label_aligned and label_segments, and partition.csv, "
        "unpacked or not."
    ),
    marker=_FEATURES,
    read=read_muse_car,
    units={},  # set by the reader from the folders that are read
    sampling_rate=None,  # computed from the time stamps
    rating_range=RATING_RANGE,
    like="c1_muse_wild/feature_segments/label_aligned",
    loader="load_muse_car",
    stimuli="videos",
    options={"signals": choose_signals("egemaps")},
    reader=1,
)
register_corpus(SPEC)


def load_muse_car(
    path: str | os.PathLike[str] | None = None,
    *,
    signals: Sequence[str] = ("egemaps",),
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Study:
    """Load MuSe-CaR: aligned features and continuous valence and arousal of videos of car reviews.

    The corpus has no EDA and no column ``eda``. Methods for EDA, and ``edaemo compare``, do not
    apply. All files are checked. One error lists every problem.

    Parameters
    ----------
    path : path-like or None
        The folder with ``c1_muse_wild/feature_segments/label_aligned/<signal>/<video>.csv``,
        ``c1_muse_wild/label_segments/{valence,arousal}/<video>.csv`` and ``partition.csv`` at any
        depth, or with zip archives of them; or one such archive. None searches the places that
        :func:`load_corpus` lists.
    signals : sequence of str
        Features to read, by the names of their folders, such as "egemaps" or "fasttext".
    allow_partial : bool
        Accept missing videos of ``partition.csv`` and list them in the report. All other checks
        remain.
    cache : bool or path-like
        Whether to cache the data that were read, and in which folder.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per video, train before devel before test: ``subject`` and
        ``stimulus`` (both the video's number, str), ``trial`` (0), ``partition`` ("train", "devel"
        or "test"), a column for each signal (float32 array of shape (n_features, n_steps);
        ``channels`` names the rows), ``time`` (float64 array of shape (n_steps,), seconds from the
        start of the video), ``segment`` (int64 array of shape (n_steps,), the segment of speech
        that a step belongs to), ``valence`` and ``arousal`` (float64 arrays of shape (n_steps,), -1
        to 1, NaN if they are withheld) and ``duration`` (seconds of all steps, float).
        ``ratings`` : DataFrame with the same index; ``valence`` and ``arousal``, the means over a
        video, NaN if they are withheld.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of the arrays in ``trials``.
        ``sampling_rate`` : steps per second (Hz), from the time stamps. ``rating_range`` : (-1.0,
        1.0).
        ``units``, ``channels`` : dicts, signal → "as recorded", and signal → names of its rows.
        ``development`` : tuple of the videos of train and devel, which may be used to choose
        defaults (:func:`select_people`).

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Stappen, L., Baird, A., Rizos, G., et al. (2020). MuSe 2020 challenge and workshop: multimodal
    sentiment analysis, emotion-target engagement and trustworthiness detection in real-life media.
    Proceedings of the 1st International on Multimodal Sentiment Analysis in Real-life Media
    Challenge and Workshop, 35-44.
    """
    return load_corpus(SPEC, path, signals=signals, allow_partial=allow_partial, cache=cache)
