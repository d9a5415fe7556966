"""Load SEED-VII: 20 people who watched 80 clips for seven emotions (Jiang, 2024)."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval

from edaemo._child_process import ChildError, call_in_child
from edaemo._validation import IDENTITY
from edaemo.datasets._cache import Column, Reading, take_rows
from edaemo.datasets._corpus import CorpusFiles, DatasetError
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._matlab import read_variables
from edaemo.datasets._registry import register_corpus
from edaemo.datasets._specification import (
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    Option,
    choose_signals,
)
from edaemo.datasets._study import Study

WINDOW_SECONDS = 4.0
INTENSITY_RANGE = (0.0, 1.0)
PEOPLE = tuple(str(number) for number in range(1, 21))
# Emotions of the first ten clips of each session. The other ten have the same emotions in order.
_HALVES = (
    "happy neutral disgust sad anger anger sad disgust neutral happy",
    "anger sad fear neutral surprise surprise neutral fear sad anger",
    "happy surprise disgust fear anger anger fear disgust surprise happy",
    "disgust sad fear surprise happy happy surprise fear sad disgust",
)
EMOTIONS = tuple(emotion for half in _HALVES for emotion in 2 * half.split())
CLIPS_PER_SESSION = 20
BANDS = ("delta", "theta", "alpha", "beta", "gamma")
ELECTRODES = (
    *("FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8"),
    *("FT7", "FC5", "FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ"),
    *("C2", "C4", "C6", "T8", "TP7", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8", "P7"),
    *("P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8", "PO7", "PO5", "PO3", "POZ", "PO4", "PO6"),
    *("PO8", "CB1", "O1", "OZ", "O2", "CB2"),
)
N_EYE = 33
# Signal → its folder, and its channels.
SIGNALS = {
    "eeg_de": ("EEG_features", tuple(f"{band} {name}" for band in BANDS for name in ELECTRODES)),
    "eye": ("EYE_features", tuple(f"eye {number}" for number in range(1, N_EYE + 1))),
}
# Half of the people, drawn as `_development` describes.
DEVELOPMENT = ("2", "3", "4", "5", "7", "8", "12", "14", "15", "16")

_FILE = re.compile(r"(?:^|/)(EEG_features|EYE_features|continuous_labels)/(\d+)\.mat$")
_ORDER = re.compile(r"(?:^|/)emotion_label_and_stimuli_order\.xlsx$")


def read_seed_vii(
    corpus: CorpusSource, *, signals: tuple[str, ...], smoothed: bool, min_intensity: float | None
) -> CorpusContent:
    """Read the features and intensities of all people, clip by clip."""
    files = _find_files(corpus, signals)
    people = sorted({person for _, person in files}, key=int)
    corpus.require(PEOPLE, people, who="The people ", what="")
    unlabelled = [person for person in people if ("continuous_labels", person) not in files]
    if unlabelled and min_intensity is not None:
        corpus.note(
            f"min_intensity={min_intensity} needs continuous_labels/…mat of the people "
            f"{', '.join(unlabelled)}."
        )
    compared = _compare_order(corpus)
    reading = corpus.read(
        files.values(),
        [sorted(signals), smoothed],
        lambda: _read(corpus, files, people, signals, smoothed),
    )
    corpus.raise_all()
    columns, left_out = _filter(reading.columns, signals, min_intensity)
    intensity = columns["intensity"]
    if len(unlabelled) == len(people):
        del columns["intensity"]
    return CorpusContent(
        columns,
        ratings={"intensity": np.array([np.mean(windows) for windows in intensity])},
        targets={"emotion": [EMOTIONS[trial - 1] for trial in columns["trial"]]},
        left_out=left_out,
        report={
            "smoothed": smoothed,
            "min_intensity": min_intensity,
            "windows": sum(map(len, reading.columns["intensity"])),
            "windows_kept": sum(map(len, intensity)),
            "windows_cut": reading.facts["windows_cut"],
            "values_not_finite": reading.facts["not_finite"],
            "people_without_intensity": unlabelled,
        },
        notes=[
            "If the files of a clip differ by one window, the longer files are cut to the shortest "
            "(windows_cut). Values that are not finite become NaN.",
            compared,
            "The corpus has no EDA.",
        ],
    )


def _find_files(corpus: CorpusFiles, signals: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return (folder, person) → file, for people who have all signals."""
    folders = [SIGNALS[name][0] for name in signals]
    found = corpus.match(_FILE)
    used = {key: name for key, name in found.items() if key[0] in (*folders, "continuous_labels")}
    files: dict[tuple[str, str], str] = {}
    for (folder, person), name in used.items():
        missing = [other for other in folders if (other, person) not in used]
        if person not in PEOPLE:
            corpus.note(f"{name} is not a file of SEED-VII, which has people 1 to 20. Remove it.")
        elif missing:
            corpus.note(f"{missing[0]}/{person}.mat is missing, although {name} exists. Get it.")
        else:
            files[folder, person] = name
    return files


def _compare_order(corpus: CorpusFiles) -> str:
    """Note if the spreadsheet of the corpus has other emotions; return what was compared."""
    name = corpus.match(_ORDER).get(())
    known = "The emotions of the clips follow the published order"
    sheet_name = "emotion_label_and_stimuli_order.xlsx"
    if name is None:
        return f"{known}. They were not compared with {sheet_name}, which is missing."
    try:
        import python_calamine  # noqa: F401
    except ImportError:
        return (
            f"{known}. They were not compared with {sheet_name}: "
            "pip install edaemo[spreadsheets] to compare them."
        )
    with corpus.collect():
        try:
            content = corpus.read_bytes(name)
            sheet = call_in_child(
                pd.read_excel,
                len(content),
                io.BytesIO(content),
                header=None,
                engine="calamine",
                dtype=str,
            )
        except (ChildError, ValueError, OSError) as error:
            raise corpus.error(name, f"cannot be read: {error}.") from error
        # Emotions are in rows 2, 4, 6 and 8, one row for each session, and in columns B to U.
        cells = sheet.reindex(index=range(1, 8, 2), columns=range(1, CLIPS_PER_SESSION + 1))
        found = [str(cell).strip().lower() for cell in cells.to_numpy().ravel()]
        other = [
            clip
            for clip, pair in enumerate(zip(found, EMOTIONS, strict=True), 1)
            if len({*pair}) > 1
        ]
        if other:
            raise corpus.error(
                name,
                f"has emotions that differ from the published ones for {len(other)} clips. The "
                f"first is clip {other[0]}: {found[other[0] - 1]!r}, not "
                f"{EMOTIONS[other[0] - 1]!r}.",
                "Remove the file to use the published order.",
            )
    return f"{known} and agree with {sheet_name}."


def _read(
    corpus: CorpusFiles,
    files: Mapping[tuple[str, str], str],
    people: Sequence[str],
    signals: Sequence[str],
    smoothed: bool,
) -> Reading:
    """Read all people, and note every problem."""
    rows: list[dict[str, Any]] = []
    facts = {"windows_cut": 0, "not_finite": 0}
    for person in people:
        arrays: dict[str, list[np.ndarray]] = {}
        for name in signals:
            prefix = "" if name == "eye" else "de_LDS_" if smoothed else "de_"
            shape = (N_EYE,) if name == "eye" else (len(BANDS), len(ELECTRODES))
            with corpus.collect():
                arrays[name] = _read_clips(corpus, files[SIGNALS[name][0], person], prefix, shape)
        if ("continuous_labels", person) in files:
            with corpus.collect():
                arrays["intensity"] = _read_intensity(corpus, files["continuous_labels", person])
        elif signals[0] in arrays:
            arrays["intensity"] = [np.full(cell.shape[1], np.nan) for cell in arrays[signals[0]]]
        if len(arrays) < len(signals) + 1:
            continue
        for clip in range(len(EMOTIONS)):
            with corpus.collect():
                clip_arrays = {name: cells[clip] for name, cells in arrays.items()}
                rows.append(_make_row(person, clip + 1, clip_arrays, facts))
    return Reading.of_rows(rows, ("trial", "session", "duration"), facts)


def _read_clips(
    corpus: CorpusFiles, name: str, prefix: str, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Return the features of each clip, float32 of shape (n_features, n_windows)."""
    cells = _read_variables(corpus, name, prefix)
    clips = []
    for variable, cell in cells.items():
        if cell.ndim != 1 + len(shape) or cell.shape[1:] != shape or not len(cell):
            raise corpus.error(
                name,
                f"has {variable} of shape {cell.shape}, but (n_windows, "
                f"{', '.join(map(str, shape))}) is expected.",
            )
        clips.append(np.array(cell.reshape(len(cell), -1).T, dtype=np.float32, order="C"))
    return clips


def _read_intensity(corpus: CorpusFiles, name: str) -> list[np.ndarray]:
    """Return the intensity of each clip, float64 of shape (n_windows,)."""
    lowest, highest = INTENSITY_RANGE
    clips = []
    for variable, cell in _read_variables(corpus, name, "").items():
        values = np.array(cell.ravel(), dtype=np.float64)
        if cell.ndim > 2 or max(cell.shape, default=0) != values.size or not values.size:
            raise corpus.error(
                name, f"has {variable} of shape {cell.shape}, but one row of numbers is expected."
            )
        if not ((values >= lowest) & (values <= highest)).all():
            raise corpus.error(
                name,
                f"has intensities outside 0 to 1 in {variable}: {values.min():g} to "
                f"{values.max():g}.",
            )
        clips.append(values)
    return clips


def _read_variables(corpus: CorpusFiles, name: str, prefix: str) -> dict[str, np.ndarray]:
    """Return the 80 variables of a file in the order of the clips."""
    variables = [f"{prefix}{clip}" for clip in range(1, len(EMOTIONS) + 1)]
    cells = read_variables(corpus, name, variables)
    for variable, cell in cells.items():
        if cell.dtype.kind not in "iuf":
            raise corpus.error(name, f"has no numbers in {variable}.")
    return cells


def _make_row(
    person: str, clip: int, arrays: Mapping[str, np.ndarray], facts: dict[str, int]
) -> dict[str, Any]:
    """Cut the arrays of a clip to the same number of windows; count the cuts in `facts`."""
    lengths = {name: array.shape[-1] for name, array in arrays.items()}
    n_windows = min(lengths.values())
    if max(lengths.values()) - n_windows > 1:
        raise DatasetError(
            f"Person {person}, clip {clip}: the files have different numbers of windows: {lengths}."
        )
    facts["windows_cut"] += sum(lengths.values()) - len(lengths) * n_windows
    cut = {}
    for name, array in arrays.items():
        cut[name] = np.ascontiguousarray(array[..., :n_windows])
        if name in SIGNALS:
            bad = ~np.isfinite(cut[name])
            facts["not_finite"] += int(bad.sum())
            cut[name][bad] = np.nan
    return {
        "subject": person,
        "stimulus": str(clip),
        "trial": clip,
        "session": (clip - 1) // CLIPS_PER_SESSION + 1,
        **cut,
        "duration": n_windows * WINDOW_SECONDS,
    }


def _filter(
    columns: Mapping[str, Column], signals: Sequence[str], min_intensity: float | None
) -> tuple[dict[str, Column], list[dict[str, Any]]]:
    """Keep windows of at least this intensity; return trials that have any, and the others."""
    if min_intensity is None:
        return dict(columns), []
    keep = [intensity >= min_intensity for intensity in columns["intensity"]]
    rows = [row for row, kept in enumerate(keep) if kept.any()]
    if not rows:
        raise DatasetError(
            f"min_intensity={min_intensity} leaves no window in any trial. Choose a lower value."
        )
    made = take_rows(columns, rows)
    for name in (*signals, "intensity"):
        made[name] = [cell[..., keep[row]] for cell, row in zip(made[name], rows, strict=True)]
    left_out = [
        {
            **{name: columns[name][row] for name in (*IDENTITY, "duration")},
            "reason": f"no window of intensity {min_intensity} or more",
        }
        for row, kept in enumerate(keep)
        if not kept.any()
    ]
    return made, left_out


SPEC = CorpusSpec(
    name="seed-vii",
    title="SEED-VII: EEG and eye movements while watching clips for seven emotions",
    description="""
20 people each watched the same 80 clips in four sessions. There are 1,600 trials and no
electrodermal activity. The published features are read, one value for each window of 4 seconds:
differential entropy of 62 electrodes in five bands, and 33 features of the eyes. The class of a
trial is the emotion that its clip was chosen for. The intensity is a continuous label: after the
clip, the person went through it again and rated how strongly that emotion was felt.

What to know before believing a score:
- The class belongs to the clip, so a model that recognises the clip knows the class. The order of
  the clips is the same for all people. Only protocols that hold out stimuli prevent this.
- de_LDS was smoothed over the whole trial, forward and backward. Windows of one trial are therefore
  not independent. They stay together here, in one row.
- The effect of brightness on the pupil, in the eye features, was estimated from all people
  together.
- The variable names of the intensity files, with one value per 4-second window, and the range of
  the values, 0 to 1, come from a program that reads the files and from the authors' description.
  The authors do not state the threshold with which they filtered by intensity (min_intensity).

Each user of SEED-VII must sign its licence: academic research only, no redistribution.
""",
    licence=(
        "Licence agreement of SEED-VII with Shanghai Jiao Tong University: academic research only, "
        "no redistribution. Each user must sign it."
    ),
    citation=(
        "Jiang, W.-B.; Liu, X.-H.; Zheng, W.-L.; Lu, B.-L. SEED-VII: A Multimodal Dataset of Six "
        "Basic Emotions with Continuous Labels for Emotion Recognition. IEEE Transactions on "
        "Affective Computing 2024. doi:10.1109/TAFFC.2024.3485057"
    ),
    how_to_get=(
        "SEED-VII is available from its authors after signing a licence agreement: "
        "https://bcmi.sjtu.edu.cn/home/seed/seed-vii.html. Get the folders EEG_features, "
        "EYE_features and continuous_labels, unpacked or not."
    ),
    marker=_FILE,
    read=read_seed_vii,
    units=dict.fromkeys(SIGNALS, "as recorded"),
    sampling_rate=1 / WINDOW_SECONDS,
    rating_range=INTENSITY_RANGE,
    targets=("emotion",),
    development=DEVELOPMENT,
    like="EEG_features/1.mat",
    loader="load_seed_vii",
    stimuli="clips",
    channels={name: names for name, (_, names) in SIGNALS.items()},
    options={
        "signals": choose_signals(*SIGNALS),
        "smoothed": Option(True, ["boolean"]),
        "min_intensity": Option(None, [Interval(Real, *INTENSITY_RANGE, closed="both"), None]),
    },
    reader=1,
)
register_corpus(SPEC)


def load_seed_vii(
    path: str | os.PathLike[str] | None = None,
    *,
    signals: Sequence[str] = ("eeg_de", "eye"),
    smoothed: bool = True,
    min_intensity: float | None = None,
    allow_partial: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> Study:
    """Load SEED-VII: features of EEG and eyes of 20 people in 1,600 trials of watching clips.

    The corpus has no EDA and no column ``eda``. Methods for EDA, and ``edaemo compare``, do not
    apply. All files are checked. One error lists every problem.

    Parameters
    ----------
    path : path-like or None
        The folder with ``EEG_features/1.mat`` … ``20.mat``, ``EYE_features`` and
        ``continuous_labels`` at any depth, or with zip archives of them; or one such archive. None
        searches the places that :func:`load_corpus` lists.
    signals : sequence of {"eeg_de", "eye"}
        Signals to read.
    smoothed : bool
        Whether ``eeg_de`` is de_LDS, smoothed over the trial, or de, computed for each window.
    min_intensity : float from 0 to 1, or None
        Keep windows of at least this intensity. The authors did so too, but do not state their
        threshold. Trials without such a window are left out. None keeps all windows.
    allow_partial : bool
        Accept missing people. All other checks remain.
    cache : bool or path-like
        Whether to cache the data that were read, and in which folder.

    Returns
    -------
    Study
        The fields that :func:`load_corpus` describes. For this corpus:

        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` ("1" to "20"),
        ``stimulus`` (the clip, "1" to "80"), ``trial`` (the order of presentation, 1 to 80, the
        same for all people), ``session`` (1 to 4), ``eeg_de`` (float32 array of shape (310,
        n_windows), band by band; ``channels`` names the rows), ``eye`` (float32 array of shape (33,
        n_windows)), ``intensity`` (float64 array of shape (n_windows,), 0 to 1, NaN if it is not
        known; the column exists only if at least one file has intensities) and ``duration``
        (seconds of all windows of the clip, float).
        ``ratings`` : DataFrame with the same index; ``intensity``, the mean over the windows kept,
        0 to 1, NaN if it is not known.
        ``targets`` : dict, ``"emotion"`` → Series of "happy", "surprise", "neutral", "disgust",
        "fear", "sad" or "anger".
        ``sampling_rate`` : 0.25 Hz, for all signals. ``rating_range`` : (0.0, 1.0).
        ``units``, ``channels`` : dicts, signal → "as recorded", and signal → names of its rows.
        ``development`` : the 10 people whose data may be used to choose defaults.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`. Also if `min_intensity` leaves no window.

    References
    ----------
    Jiang, W.-B., Liu, X.-H., Zheng, W.-L., & Lu, B.-L. (2024). SEED-VII: a multimodal dataset of
    six basic emotions with continuous labels for emotion recognition. IEEE Transactions on
    Affective Computing.
    """
    return load_corpus(
        SPEC,
        path,
        signals=signals,
        smoothed=smoothed,
        min_intensity=min_intensity,
        allow_partial=allow_partial,
        cache=cache,
    )
