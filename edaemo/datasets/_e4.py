"""Load your own sessions with an Empatica E4."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from edaemo._ids import name_some
from edaemo._validation import IDENTITY, suggest
from edaemo.datasets._assemble import assemble, join_left_out
from edaemo.datasets._corpus import (
    CorpusFiles,
    DatasetError,
    Problems,
    check_signals,
    open_archives,
)
from edaemo.datasets._empatica import (
    CHANNELS,
    SIGNALS,
    TAGS,
    E4Signal,
    read_signal,
    read_tags,
    seconds_after,
)
from edaemo.datasets._own_table import (
    Table,
    check_rating_range,
    read_ids,
    read_own_table,
    read_rating_columns,
    read_whole_numbers,
)
from edaemo.datasets._study import Study
from edaemo.datasets._units import EDA_UNITS, to_microsiemens
from edaemo.datasets._window import Window, check_window, context_of, cut_padded

NAME = "e4"
EDA_FILE = re.compile(r"(?:^|/)EDA\.csv$")
HOW_TO_GET = (
    "A session of an E4 is a folder or zip archive from E4 connect. It contains EDA.csv, tags.csv "
    "and other files."
)
OWN_REMEDY = "Export the session again, or remove it."
LICENCE = "Your own recordings: they belong to you and to the people who were recorded."
CITATION = "None: your own recordings."
DESCR = """Sessions of an Empatica E4

EDA in microsiemens at 4 Hz, cut into trials by the presses of the wristband's button (tags.csv).

What to know before believing a score:
- Only the table of ratings or the argument tags= states what happened between two presses.
- The length of a trial may identify its stimulus. Cut all trials to the same length (window=), or
  compare with the row `duration` of edaemo compare.
- If all people had the same order of stimuli, `trial` identifies the stimulus. Compare with the row
  `trial-order` of edaemo compare.
"""


class _Stretch(NamedTuple):
    """A trial: a part of a session, in seconds from the start of its EDA."""

    stimulus: str | None
    onset: float
    end: float


class _Session(NamedTuple):
    """A session whose files were read."""

    subject: str
    name: str
    signals: dict[str, E4Signal]
    n_presses: int
    n_double: int
    stretches: list[_Stretch]

    @property
    def start(self) -> datetime:
        return self.signals["eda"].start


@validate_params(
    {
        "path": [str, os.PathLike],
        "tags": [StrOptions({"consecutive", "pairs", "ignore"}), Mapping],
        "ratings": [str, os.PathLike, pd.DataFrame, None],
        "columns": [Mapping, None],
        "rating_range": [tuple, list, None],
        "subjects": [Mapping, None],
        "signals": [tuple, list],
        "unit": [StrOptions({*EDA_UNITS} - {"adc"})],
        "double_press": [Interval(Real, 0, None, closed="left")],
        "window": "no_validation",
        "allow_partial": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_e4(
    path: str | os.PathLike[str],
    *,
    tags: str | Mapping[str, tuple[int, int]] = "consecutive",
    ratings: Table | None = None,
    columns: Mapping[str, str] | None = None,
    rating_range: tuple[float, float] | None = None,
    subjects: Mapping[str, str] | None = None,
    signals: Sequence[str] = ("eda",),
    unit: str = "auto",
    double_press: float = 1.0,
    window: Window = None,
    allow_partial: bool = False,
) -> Study:
    """Load sessions of an Empatica E4, cut into trials by the presses of its button.

    All files are checked. One error lists every problem.

    Parameters
    ----------
    path : path-like
        One session: a folder with ``EDA.csv`` and ``tags.csv``, or a zip archive of it. Or a folder
        or archive that holds sessions at any depth, unpacked or not. The first folder or archive
        below `path` names the person (``P01/…``, ``P01.zip``). If `path` is one session, its own
        name names the person.
    tags : {"consecutive", "pairs", "ignore"} or dict
        Presses that bound a trial. "consecutive": each press and the next one. "pairs": the first
        and second, the third and fourth, and so on. "ignore": no presses; the whole session is one
        trial. dict, for a fixed protocol: stimulus → (number of the press at its start, number of
        the press at its end), counted from 1, in the order of the trials.
    ratings : path-like, DataFrame or None
        CSV or parquet file, or frame, with the key columns ``subject`` and ``trial``, optionally
        ``stimulus``, and one numeric column for each rating.
    columns : dict or None, default=None
        Name of a column in `ratings` → the name that edaemo uses, such as
        ``{"participant": "subject"}``.
    rating_range : tuple (lowest, highest) or None
        Valid range of the ratings. None does not check them.
    subjects : dict or None
        Session name, as in ``report["sessions"]`` → person, if the person is not the first folder.
        A person may have several sessions.
    signals : sequence of {"eda", "bvp", "temperature", "heart_rate", "acceleration"}
        Signals to read. ``eda`` is required.
    unit : {"auto", "microsiemens", "siemens", "nanosiemens", "ohm", "kiloohm", "megaohm"}
        Unit of the samples in EDA.csv, which are converted to microsiemens. "auto" is microsiemens,
        in which an E4 records.
    double_press : float
        A press less than this many seconds after the press before it counts as the same press. 0
        keeps all presses. `tags` does not count the dropped presses.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`. A
        negative start keeps samples before the trial (`context`), NaN before the beginning of the
        session; not with ``tags="ignore"``.
    allow_partial : bool
        Accept sessions with too few presses for any trial, trials without ratings, and ratings
        without a trial. They are left out and listed in the report instead of raising an error.

    Returns
    -------
    Study
        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` (str),
        ``stimulus`` (str; from `ratings` or `tags`, else the number of the trial), ``trial`` (from
        1, over all sessions of a person in the order of time, int), ``session`` (str),
        ``session_time`` (seconds from the start of the session to the onset, float), ``eda`` (1-D
        float64 array in microsiemens, NaN where missing), a column for each other signal (float64,
        NaN before its recording starts and after it ends; acceleration of shape (3, n_samples)) and
        ``duration`` (seconds, before the window is cut, float).
        ``ratings`` : DataFrame with the same index, float; no columns if `ratings` is None.
        ``targets`` : dict, name → rating.
        ``music`` : None. You can set it to a frame with one row per stimulus.
        ``sampling_rate`` : of ``eda``, in Hz. ``sampling_rates`` : dict, signal → Hz.
        ``context`` : seconds before the trial with which each cell begins.
        ``rating_range`` : the argument. ``units``, ``channels`` : dicts, signal → unit, and signal
        → names of its channels.
        ``development`` : (). All people are evaluation people.
        ``report`` : dict of what was read, masked and left out, with reasons; ``sessions``,
        ``left_out`` and ``masked`` are DataFrames.
        ``name``, ``licence``, ``citation``, ``DESCR`` : str.

    Raises
    ------
    DatasetError
        If no session is found, or a file is invalid.
    ValueError
        If an argument is invalid, or the window is longer than every trial.

    Warns
    -----
    UserWarning
        If double presses were dropped, or trials are shorter than the window.

    Examples
    --------
    >>> study = load_e4("sessions", tags="pairs", ratings="ratings.csv")  # doctest: +SKIP
    """
    check_window(window, 0.0 if tags == "ignore" else np.inf)
    signals = check_signals(signals, SIGNALS)
    rating_range = check_rating_range(rating_range)
    if isinstance(tags, Mapping):
        tags = _check_protocol(tags)
    place = Path(path).expanduser()
    problems = Problems("sessions of an E4", place, HOW_TO_GET, OWN_REMEDY)
    if not place.exists():
        raise DatasetError(f"path={str(path)!r} does not exist. {HOW_TO_GET}")
    with open_archives(place, problems) as corpus:
        folders = _find_sessions(corpus, problems)
        people = _name_people(place, folders, subjects, problems)
        sessions = _read_sessions(
            corpus, folders, people, signals, unit, tags, double_press, problems
        )
    rates = _common_rates(sessions, signals, problems)
    if not allow_partial:
        _check_stretches(sessions, problems)
    rows = list(_make_rows(sessions, problems, context_of(window)))
    unread = {people[name] for name in set(folders) - {session.name for session in sessions}}
    rated = _join_ratings(rows, ratings, columns, rating_range, unread, problems)
    if not allow_partial:
        rated.check(problems)
    problems.raise_all()
    kept = [row for row in rows if _key(row) not in rated.unrated]
    if not kept:
        raise DatasetError(f"{place} has no {'rated ' if rows else ''}trial.")
    trials, (ratings_kept,), counted = assemble(
        {name: _column([row[name] for row in kept], name) for name in kept[0]},
        [
            {
                name: np.array([values[_key(row)] for row in kept])
                for name, values in rated.columns.items()
            }
        ],
        rates=rates,
        window=window,
    )
    counted["left_out"] = join_left_out(
        _list_unrated(rows, rated, rates["eda"], context_of(window)), counted["left_out"]
    )
    counted["trials"] = len(rows)
    doubles = sum(session.n_double for session in sessions)
    if doubles:
        named = name_some(session.name for session in sessions if session.n_double)
        warnings.warn(
            f"{doubles} presses within {double_press:g} s of the press before were dropped as "
            f"double presses: {named}.",
            UserWarning,
            stacklevel=3,
        )
    report = {
        "source": str(place),
        "tags": tags,
        "window": window,
        "people": len(set(people.values())),
        "sessions": _list_sessions(sessions),
        **counted,
        "ratings_without_trial": sorted(rated.unheard),
        "notes": [
            "Samples outside the two presses of a trial are not used.",
            f"Double presses dropped, within {double_press:g} s of the press before: {doubles}.",
        ],
    }
    return Study(
        name=NAME,
        artificial=False,
        trials=trials,
        ratings=ratings_kept,
        targets={name: ratings_kept[name] for name in rated.columns},
        music=None,
        sampling_rate=rates["eda"],
        context=context_of(window),
        sampling_rates={name: rates[name] for name in signals},
        rating_range=rating_range,
        units={name: SIGNALS[name][1] for name in signals},
        channels={name: CHANNELS.get(name, (name,)) for name in signals},
        development=(),
        licence=LICENCE,
        citation=CITATION,
        report=report,
        DESCR=DESCR,
    )


Key = tuple[str, int]


class _Rated(NamedTuple):
    """Ratings by name and trial, the trials without ratings, and the ratings without a trial."""

    columns: dict[str, dict[Key, float]]
    unrated: set[Key]
    unheard: set[Key]

    def check(self, problems: Problems) -> None:
        """Note the trials without ratings and the ratings without a trial."""
        for what, missing in (
            ("a rating is missing or incomplete", self.unrated),
            ("there are ratings but no such trial", self.unheard),
        ):
            if missing:
                trials = name_some(f"{subject} trial {trial}" for subject, trial in sorted(missing))
                problems.add(f"{trials}: {what}. Correct this, or pass allow_partial=True.")


def _key(row: Mapping[str, Any]) -> Key:
    return row["subject"], row["trial"]


def _column(cells: list[Any], name: str) -> list | np.ndarray:
    return np.array(cells) if name in ("trial", "session_time") else cells


def _check_protocol(tags: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    for stimulus, ends in tags.items():
        whole = isinstance(ends, (tuple, list)) and all(type(end) is int for end in ends)
        if (
            not isinstance(stimulus, str)
            or not whole
            or len(ends) != 2
            or not 0 < ends[0] < ends[1]
        ):
            raise ValueError(
                "tags must be stimulus (text) → (number of the press at its start, number of the "
                f"press at its end), counted from 1; got {stimulus!r}: {ends!r}."
            )
    if not tags:
        raise ValueError("tags={} is empty: name at least one stimulus.")
    return {stimulus: (first, last) for stimulus, (first, last) in tags.items()}


def _find_sessions(corpus: CorpusFiles, problems: Problems) -> dict[str, str]:
    """Return session → its folder, with a final slash unless the folder is the place itself.

    A session is named after its folder, without the ``.zip`` of archives, or after the place. An
    unpacked session is preferred to the same session in an archive.
    """
    found: dict[str, list[str]] = {}
    for name in corpus.names:
        if EDA_FILE.search(name):
            folder = name.removesuffix("EDA.csv")
            session = "/".join(_parts(folder)) or _name_place(corpus.place)
            found.setdefault(session, []).append(folder)
    if not found:
        problems.add("The folder or archive holds no EDA.csv.")
    chosen = {}
    for session, folders in found.items():
        chosen[session] = corpus.choose(folders, "session", "EDA.csv")
    return chosen


def _name_place(place: Path) -> str:
    """Return the name of a folder, or the name of an archive without its suffix."""
    whole = place.resolve()
    return whole.name if whole.is_dir() else whole.stem


def _parts(folder: str) -> list[str]:
    """Return the parts of a session's name; an archive and its top folder of that name are one."""
    parts: list[str] = []
    packed = ""
    for part in folder.split("/")[:-1]:
        if part == packed:
            continue
        packed = part[:-4] if part.lower().endswith(".zip") else ""
        parts.append(packed or part)
    return parts


def _name_people(
    place: Path,
    folders: Mapping[str, str],
    subjects: Mapping[str, str] | None,
    problems: Problems,
) -> dict[str, str]:
    """Return session → person."""
    for session in subjects or ():
        if session not in folders:
            raise ValueError(f"subjects: no session {session!r}; {suggest(session, folders)}")
    people = {}
    for session in folders:
        first, *more = session.split("/")
        # The top folder of an archive may repeat the name of the archive.
        repeats = more and not place.is_dir() and first == _name_place(place)
        people[session] = str((subjects or {}).get(session, more[0] if repeats else first))
    if (
        len(folders) > 1
        and len(set(people.values())) == 1
        and not set(folders) <= set(subjects or ())
    ):
        problems.add(
            f"All {len(folders)} sessions are in one folder, {people[session]}. If each folder in "
            "it is a person, pass it as path. If all sessions are of one person, pass subjects=."
        )
    return people


def _read_sessions(
    corpus: CorpusFiles,
    folders: Mapping[str, str],
    people: Mapping[str, str],
    signals: Sequence[str],
    unit: str,
    tags: str | Mapping[str, tuple[int, int]],
    double_press: float,
    problems: Problems,
) -> list[_Session]:
    """Read all sessions; note every problem, and leave out sessions that cannot be read."""
    sessions = []
    for session, folder in folders.items():
        read: dict[str, E4Signal] = {}
        for name in signals:
            with problems.collect():
                read[name] = read_signal(corpus, folder + SIGNALS[name][0])
        times: list[datetime] | None = None
        with problems.collect():
            times = [] if tags == "ignore" else read_tags(corpus, folder + TAGS)
        if times is None or set(read) != set(signals):
            continue
        if unit != "auto":
            eda = read["eda"]
            read["eda"] = eda._replace(samples=to_microsiemens(eda.samples, unit))
        with problems.collect():
            eda = read["eda"]
            for name, signal in read.items():
                if (signal.start.tzinfo is None) != (eda.start.tzinfo is None):
                    raise corpus.error(
                        folder + SIGNALS[name][0],
                        "has a start time in another format than EDA.csv.",
                    )
            presses = seconds_after(corpus, folder + TAGS, times, eda.start)
            single = _drop_double(presses, double_press)
            stretches = _stretch(corpus, folder, single, eda, tags)
            n_double = len(presses) - len(single)
            sessions.append(
                _Session(people[session], session, read, len(presses), n_double, stretches)
            )
    return sessions


def _drop_double(presses: Sequence[float], double_press: float) -> list[float]:
    """Return the presses that are not within `double_press` seconds of the press before."""
    return [
        press
        for place, press in enumerate(presses)
        if place == 0 or press - presses[place - 1] >= double_press
    ]


def _stretch(
    corpus: CorpusFiles,
    folder: str,
    presses: Sequence[float],
    eda: E4Signal,
    tags: str | Mapping[str, tuple[int, int]],
) -> list[_Stretch]:
    """Return the trials of a session; raise if the presses do not match `tags`."""
    n = len(presses)
    if tags == "ignore":
        return [_Stretch(None, 0.0, eda.duration)]
    last = eda.samples.shape[-1]
    outside = [p for p in presses if p < 0 or round(p * eda.sampling_rate) > last]
    if outside:
        raise corpus.error(
            folder + TAGS,
            f"has presses {', '.join(f'{p:g}' for p in outside[:5])} s from the start of EDA.csv, "
            f"which lasts {eda.duration:g} s.",
            "Remove these lines, or get the whole session.",
        )
    ends: list[tuple[str | None, int, int]]
    if isinstance(tags, str):
        step = 2 if tags == "pairs" else 1
        if n % step:
            raise corpus.error(
                folder + TAGS,
                f"has {n} presses, but tags='pairs' needs an even number.",
                "Remove the extra press, or set double_press.",
            )
        ends = [(None, place, place + 1) for place in range(0, n - 1, step)]
    else:
        most = max(tags, key=lambda stimulus: tags[stimulus][1])
        if n < tags[most][1]:
            raise corpus.error(
                folder + TAGS,
                f"has {n} presses, but {most!r} ends at press {tags[most][1]}.",
                "Remove the session, or set tags or double_press.",
            )
        ends = [(stimulus, first - 1, final - 1) for stimulus, (first, final) in tags.items()]
    return [_Stretch(stimulus, presses[first], presses[final]) for stimulus, first, final in ends]


def _common_rates(
    sessions: Sequence[_Session], signals: Sequence[str], problems: Problems
) -> dict[str, float]:
    """Return signal → Hz, and note signals whose rate differs between sessions."""
    rates = {}
    for name in signals:
        by_rate: dict[float, list[str]] = {}
        for session in sessions:
            by_rate.setdefault(session.signals[name].sampling_rate, []).append(session.name)
        if len(by_rate) > 1:
            listed = "; ".join(
                f"{rate:g} Hz: {name_some(names)}" for rate, names in by_rate.items()
            )
            problems.add(f"{SIGNALS[name][0]} has different sampling rates in sessions: {listed}.")
        rates[name] = next(iter(by_rate), np.nan)
    return rates


def _make_rows(
    sessions: Sequence[_Session], problems: Problems, context: float
) -> Iterator[dict[str, Any]]:
    """Yield the trials by person and time; note sessions of one person that overlap."""
    sessions_of: dict[str, list[_Session]] = {}
    for session in sessions:
        sessions_of.setdefault(session.subject, []).append(session)
    for subject, in_order in sorted(sessions_of.items()):
        if len({session.start.tzinfo is None for session in in_order}) > 1:
            problems.add(
                f"{name_some(s.name for s in in_order)}: the sessions of {subject} have start "
                "times in two formats, so their order is not known."
            )
            continue
        in_order.sort(key=lambda session: session.start)
        for earlier, later in pairwise(in_order):
            apart = (later.start - earlier.start).total_seconds()
            if apart < earlier.signals["eda"].duration:
                problems.add(
                    f"{earlier.name} and {later.name}, both of {subject}, overlap in time: keep one"
                    ", or pass subjects= to name the person of each."
                )
        parts = [(session, stretch) for session in in_order for stretch in session.stretches]
        for trial, (session, stretch) in enumerate(parts, start=1):
            yield _make_row(subject, trial, session, stretch, context)


def _make_row(
    subject: str, trial: int, session: _Session, stretch: _Stretch, context: float
) -> dict[str, Any]:
    """Return a trial; its signals begin `context` seconds before it."""
    eda = session.signals["eda"]
    first, last = (round(end * eda.sampling_rate) for end in (stretch.onset, stretch.end))
    seconds = (last - first) / eda.sampling_rate
    others = {
        name: _cut(signal, eda.start, first / eda.sampling_rate, seconds, context)
        for name, signal in session.signals.items()
        if name != "eda"
    }
    return {
        "subject": subject,
        "stimulus": stretch.stimulus or str(trial),
        "trial": trial,
        "session": session.name,
        "session_time": stretch.onset,
        "eda": cut_padded(eda.samples, first - round(context * eda.sampling_rate), last),
        **others,
    }


def _cut(
    signal: E4Signal, start: datetime, onset: float, seconds: float, context: float
) -> np.ndarray:
    """Return `seconds` of a signal from `start` + `onset` on, and `context` seconds before them.

    It is NaN where it was not recorded.
    """
    first = round((onset - (signal.start - start).total_seconds()) * signal.sampling_rate)
    last = first + round(seconds * signal.sampling_rate)
    return cut_padded(signal.samples, first - round(context * signal.sampling_rate), last)


def _check_stretches(sessions: Sequence[_Session], problems: Problems) -> None:
    """Note the sessions that have too few presses for any trial."""
    empty = [session.name for session in sessions if not session.stretches]
    if empty:
        problems.add(
            f"{name_some(empty)}: too few presses for any trial. Remove these sessions, or pass "
            "allow_partial=True."
        )


def _join_ratings(
    rows: Sequence[dict[str, Any]],
    table: Table | None,
    columns: Mapping[str, str] | None,
    rating_range: tuple[float, float] | None,
    unread: set[str],
    problems: Problems,
) -> _Rated:
    """Return the ratings of each trial, and set the stimulus of each trial from the table.

    The trials of people in `unread` are not known. Nothing of these people is noted as missing.
    """
    frame = None
    if table is not None:
        with problems.collect():
            frame = read_own_table(table, ("subject", "trial"), "table of ratings", columns)
    if frame is None:
        return _Rated({}, set(), set())
    subjects = read_ids(frame, "subject", problems)
    keys = list(zip(subjects, read_whole_numbers(frame, "trial", problems), strict=True))
    twice = sorted(key for key, n in Counter(keys).items() if n > 1)
    if twice:
        repeated = name_some(f"{subject} trial {trial}" for subject, trial in twice)
        problems.add(f"The table of ratings has more than one row for {repeated}. Keep one row.")
    names = [name for name in frame.columns if name not in ("subject", "trial", "stimulus")]
    if not names:
        problems.add("The table of ratings has no column besides subject, trial and stimulus.")
    taken = sorted({"session", "session_time", "duration", *SIGNALS} & set(names))
    if taken:
        problems.add(
            f"The table of ratings has the columns {taken}, which the loader adds to the trials. "
            "Rename them."
        )
    values = read_rating_columns(frame, names, rating_range, problems)
    if "stimulus" in frame.columns:
        stimuli = dict(zip(keys, read_ids(frame, "stimulus", problems), strict=True))
        for row in rows:
            row["stimulus"] = stimuli.get(_key(row), row["stimulus"])
    ratings = np.reshape([*values.values()], (len(names), len(keys)))
    missing = np.any(np.isnan(ratings), axis=0)
    complete = {key for key, lacks in zip(keys, missing, strict=True) if not lacks}
    there = {_key(row) for row in rows}
    known = {(subject, trial) for subject, trial in keys if subject and trial >= 0}
    return _Rated(
        {str(name): dict(zip(keys, values[name], strict=True)) for name in names},
        {key for key in there - complete if key[0] not in unread},
        {key for key in known - there if key[0] not in unread},
    )


def _list_unrated(
    rows: Sequence[dict[str, Any]], rated: _Rated, rate: float, context: float
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (*(row[name] for name in IDENTITY), len(row["eda"]) / rate - context, "not rated")
            for row in rows
            if _key(row) in rated.unrated
        ],
        columns=[*IDENTITY, "duration", "reason"],
    )


def _list_sessions(sessions: Sequence[_Session]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session": [session.name for session in sessions],
            "subject": [session.subject for session in sessions],
            "start": [session.start.isoformat(sep=" ") for session in sessions],
            "duration": [session.signals["eda"].duration for session in sessions],
            "presses": [session.n_presses for session in sessions],
            "double_presses": [session.n_double for session in sessions],
            "trials": [len(session.stretches) for session in sessions],
        }
    )
