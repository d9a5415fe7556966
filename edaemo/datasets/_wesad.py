"""Load WESAD: EDA of chest and wrist in a baseline, under stress, and in amusement."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval

from edaemo.datasets._cache import Reading
from edaemo.datasets._corpus import CorpusFiles
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    Option,
    choose,
)
from edaemo.datasets._study import Study
from edaemo.datasets._unpickle import read_pickled_tree
from edaemo.datasets._window import Window

# Hz, by the device.
RATES = {"wrist": 4.0, "chest": 700.0}
LABEL_RATE = 700.0
# Label → condition. 0 is not defined, 4 is meditation, and 5 to 7 are to be ignored.
CONDITIONS = {1: "baseline", 2: "stress", 3: "amusement"}
PEOPLE = tuple(f"S{number}" for number in range(2, 18) if number != 12)
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = ("S2", "S5", "S6", "S7", "S8", "S14", "S16")
_FILE = re.compile(r"(?:^|/)(S\d{1,2})\.pkl$")


def _read_person(corpus: CorpusFiles, name: str, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the EDA of a device, and the labels at 700 Hz."""
    with corpus.open(name) as file:
        try:
            content = read_pickled_tree(file)
        except ValueError as error:
            raise corpus.as_error(name, error) from error
    try:
        eda, labels = content["signal"][device]["EDA"], content["label"]
        eda = np.asarray(eda, dtype=np.float64).reshape(-1)
        labels = np.asarray(labels, dtype=np.int64).reshape(-1)
    except (LookupError, TypeError, ValueError) as error:
        raise corpus.error(
            name, f"has no signal of EDA of the {device}, or no labels (searched: {error})."
        ) from error
    seconds, labelled = len(eda) / RATES[device], len(labels) / LABEL_RATE
    if abs(seconds - labelled) > 1:
        raise corpus.error(
            name, f"has {seconds:g} s of EDA, but labels of {labelled:g} s: it may be truncated."
        )
    return eda, labels


def _cut(
    corpus: CorpusSource,
    subject: str,
    eda: np.ndarray,
    labels: np.ndarray,
    rate: float,
    segment: float | None,
) -> list[dict[str, Any]]:
    """Return the conditions of one person, in segments, in order of time."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    rows: list[dict[str, Any]] = []
    for first, last in pairwise(edges):
        condition = CONDITIONS.get(int(labels[first])) if last > first else None
        if condition is None:
            continue
        begin, end = first / LABEL_RATE, last / LABEL_RATE
        length = segment or end - begin
        for place in range(int((end - begin) / length + 1e-9)):
            onset = begin + place * length
            start, stop = round(onset * rate), round((onset + length) * rate)
            rows.append(
                {
                    "subject": subject,
                    "stimulus": condition,
                    "trial": len(rows),
                    "eda": corpus.cut(eda, start, stop, rate),
                    "session_time": onset,
                }
            )
    return rows


def read_wesad(corpus: CorpusSource, *, device: str, segment: float | None) -> CorpusContent:
    """Read the conditions of all people."""
    files = {subject: name for (subject,), name in corpus.match(_FILE).items()}
    found = [subject for subject in PEOPLE if subject in files]
    corpus.require(PEOPLE, found)
    rows: list[dict[str, Any]] = []
    for subject in found:
        with corpus.collect():
            eda, labels = _read_person(corpus, files[subject], device)
            cut = _cut(corpus, subject, eda, labels, RATES[device], segment)
            missing = sorted({*CONDITIONS.values()} - {row["stimulus"] for row in cut})
            if missing:
                raise corpus.error(files[subject], f"has no segment of {missing}.")
            rows += cut
    if not rows:
        corpus.note("No person has a recording.")
    corpus.raise_all()
    columns = Reading.of_rows(rows, ("trial", "session_time"), {}).columns
    return CorpusContent.of(
        columns,
        [],
        targets={"condition": columns["stimulus"]},
        notes=["Meditation and transitions are not read. The self-reports are not read."],
        more={"sampling_rate": RATES[device]},
    )


SPEC = CorpusSpec(
    name="wesad",
    title="WESAD: electrodermal activity in a baseline, under stress, and in amusement",
    description="""
15 people with an Empatica E4 on the wrist (EDA at 4 Hz) and a RespiBAN on the chest (EDA at 700
Hz), both in microsiemens: a baseline, the Trier social stress test, and amusing videos. Each
condition is cut into consecutive segments.

What to know before believing a score:
- The conditions follow each other in few orders, so the time in the session partly tells the
  condition. Compare with baselines that use it alone.
- Segments of one condition of a person are not independent. Hold out whole people.
- No original was available when this loader was written. The format is that of the authors' readme,
  as cited by programs that read it.

Licence: not read; see the page of the download.
""",
    licence=(
        "The terms were not available when this loader was written: read them on the page of the "
        "download, archive.ics.uci.edu/dataset/465, before use."
    ),
    citation=(
        "Schmidt, P.; Reiss, A.; Duerichen, R.; Marberger, C.; Van Laerhoven, K. Introducing "
        "WESAD, a Multimodal Dataset for Wearable Stress and Affect Detection. ICMI 2018. "
        "doi:10.1145/3242969.3242985"
    ),
    how_to_get="Get WESAD.zip from archive.ics.uci.edu/dataset/465 and unpack it.",
    marker=re.compile(r"(?:^|/)(S\d{1,2})/\1\.pkl$"),
    like="WESAD/S2/S2.pkl",
    read=read_wesad,
    units={"eda": "microsiemens"},
    sampling_rate=RATES["wrist"],
    rating_range=None,
    targets=("condition",),
    development=DEVELOPMENT,
    loader="load_wesad",
    stimuli="",
    options={
        "device": choose("wrist", "chest"),
        "segment": Option(60.0, [Interval(Real, 0, None, closed="neither"), None]),
    },
    context=np.inf,
)
register_corpus(SPEC)


def load_wesad(
    path: str | os.PathLike[str] | None = None,
    *,
    device: str = "wrist",
    segment: float | None = 60.0,
    window: Window = None,
    allow_partial: bool = False,
) -> Study:
    """Load WESAD: EDA of 15 people in three conditions.

    The pickles are read without running code in them.

    Parameters
    ----------
    path : path-like or None
        The folder of the corpus, with ``S2/S2.pkl`` and so on, or a zip archive of it. None
        searches the places that :func:`load_corpus` lists.
    device : {"wrist", "chest"}
        The E4 on the wrist (4 Hz) or the RespiBAN on the chest (700 Hz).
    segment : float or None
        Length of the consecutive trials into which each condition is cut, in seconds. The rest at
        the end is left out. None: each condition is one trial.
    window : tuple (start, stop), 'end' or None
        Part of each trial to keep. It is cut before every other step. See :func:`cut_window`.
        A negative start keeps samples before it: see :func:`load_corpus`.
    allow_partial : bool
        Accept a corpus without some of the 15 people.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per segment by subject and time: ``subject`` (str),
        ``stimulus`` (the condition, str), ``trial`` (int), ``eda`` (1-D float64 array in
        microsiemens), ``session_time`` (seconds from the start of the recording to the onset of the
        trial, float) and ``duration`` (seconds, float).
        ``ratings`` : DataFrame without columns.
        ``targets`` : dict, ``"condition"`` → Series of ``"baseline"``, ``"stress"`` and
        ``"amusement"``.
        ``sampling_rate`` : 4.0 or 700.0 Hz. ``rating_range`` : None.
        ``development`` : the 7 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`.

    References
    ----------
    Schmidt, P., Reiss, A., Duerichen, R., Marberger, C., & Van Laerhoven, K. (2018). Introducing
    WESAD, a multimodal dataset for wearable stress and affect detection. ICMI 2018.
    doi:10.1145/3242969.3242985
    """
    return load_corpus(
        SPEC, path, device=device, segment=segment, window=window, allow_partial=allow_partial
    )
