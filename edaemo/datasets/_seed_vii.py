"""The loader of SEED-VII: 20 people who watched 80 clips meant for seven emotions (Jiang, 2024)."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

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

WINDOW_SECONDS = 4.0
INTENSITY_RANGE = (0.0, 1.0)
PEOPLE = tuple(str(number) for number in range(1, 21))
# The first half of each session's 20 clips; the second half repeats it.
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
    "eeg_de": ("EEG_features", tuple(f"{band} {one}" for band in BANDS for one in ELECTRODES)),
    "eye": ("EYE_features", tuple(f"eye {number}" for number in range(1, N_EYE + 1))),
}
# Half of the people, drawn as `_development` says.
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
        ratings={"intensity": np.array([np.mean(one) for one in intensity])},
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
            "Where the files of a clip differ by one window, the longer ones are cut to the "
            "shortest (windows_cut); values that are not finite are NaN.",
            compared,
            "There is no EDA.",
        ],
    )


def _find_files(corpus: CorpusFiles, signals: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return (folder, person) → file, of people of whom all signals are there."""
    folders = [SIGNALS[name][0] for name in signals]
    found = corpus.match(_FILE)
    used = {key: name for key, name in found.items() if key[0] in (*folders, "continuous_labels")}
    files: dict[tuple[str, str], str] = {}
    for (folder, person), name in used.items():
        missing = [other for other in folders if (other, person) not in used]
        if person not in PEOPLE:
            corpus.note(f"{name} is no file of SEED-VII, which has people 1 to 20. Take it away.")
        elif missing:
            corpus.note(f"{name} is there, and {missing[0]}/{person}.mat is not. Get it.")
        else:
            files[folder, person] = name
    return files


def _compare_order(corpus: CorpusFiles) -> str:
    """Note if the corpus's own spreadsheet has other emotions; return what was compared."""
    name = corpus.match(_ORDER).get(())
    known = "The emotions of the clips are those of the published order"
    sheet_name = "emotion_label_and_stimuli_order.xlsx"
    if name is None:
        return f"{known}; {sheet_name} is not there to compare them with."
    try:
        from python_calamine import CalamineError
    except ImportError:
        return f"{known}; to compare them with {sheet_name} needs pip install edaemo[spreadsheets]."
    with corpus.collect():
        try:
            sheet = pd.read_excel(
                io.BytesIO(corpus.read_bytes(name)), header=None, engine="calamine", dtype=str
            )
        except (CalamineError, ValueError, OSError) as error:
            raise corpus.error(name, f"cannot be read: {error}.") from error
        # Emotions are in the rows 2, 4, 6 and 8, one for each session, and the columns B to U.
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
                f"has other emotions than published for {len(other)} clips, the first of them clip "
                f"{other[0]}: {found[other[0] - 1]!r}, not {EMOTIONS[other[0] - 1]!r}.",
                "Take it away to go by the published order.",
            )
    return f"{known}, and of {sheet_name}."


def _read(
    corpus: CorpusFiles,
    files: Mapping[tuple[str, str], str],
    people: Sequence[str],
    signals: Sequence[str],
    smoothed: bool,
) -> Reading:
    """Read all people, and note what is wrong."""
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
            arrays["intensity"] = [np.full(one.shape[1], np.nan) for one in arrays[signals[0]]]
        if len(arrays) < len(signals) + 1:
            continue
        for clip in range(len(EMOTIONS)):
            with corpus.collect():
                own = {name: cells[clip] for name, cells in arrays.items()}
                rows.append(_make_row(person, clip + 1, own, facts))
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
                f"has {variable} of shape {cell.shape}, where (n_windows, "
                f"{', '.join(map(str, shape))}) is due.",
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
                name, f"has {variable} of shape {cell.shape}, where one row of numbers is due."
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
    """Return the 80 variables of a file in the clips' order."""
    variables = [f"{prefix}{clip}" for clip in range(1, len(EMOTIONS) + 1)]
    cells = read_variables(corpus, name, variables)
    for variable, cell in cells.items():
        if cell.dtype.kind not in "iuf":
            raise corpus.error(name, f"has no numbers in {variable}.")
    return cells


def _make_row(
    person: str, clip: int, arrays: Mapping[str, np.ndarray], facts: dict[str, int]
) -> dict[str, Any]:
    """Bring the arrays of a clip to one number of windows; count in `facts` what that takes."""
    lengths = {name: array.shape[-1] for name, array in arrays.items()}
    n_windows = min(lengths.values())
    if max(lengths.values()) - n_windows > 1:
        raise DatasetError(
            f"Person {person}, clip {clip}: the files differ in their number of windows: {lengths}."
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
    """Keep the windows of at least this intensity; return the trials with any, and the others."""
    if min_intensity is None:
        return dict(columns), []
    keep = [intensity >= min_intensity for intensity in columns["intensity"]]
    rows = [row for row, kept in enumerate(keep) if kept.any()]
    if not rows:
        raise DatasetError(f"min_intensity={min_intensity} leaves no window of any trial.")
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
    title="SEED-VII: EEG and eye movements while watching clips meant for seven emotions",
    description="""
20 people each watched the same 80 clips in four sessions, 1,600 trials. There is no electrodermal
activity. The published features are read, one value for each window of 4 seconds: differential
entropy of 62 electrodes in five bands, and 33 numbers of the eyes. The class of a trial is the
emotion that its clip was meant for. The intensity is what the person said afterwards, going through
the clip again, of how strongly that emotion was felt (continuous label).

What to know before believing a score:
- The class belongs to the clip: whoever knows the clip knows the class, and the order of the clips
  is the same for all. Only protocols that hold stimuli out ask for more.
- de_LDS was smoothed over the whole trial, forth and back: windows of one trial are not independent
  of one another. So they stay together here, in one row.
- In the eye features, what lightness does to the pupil was estimated from all people together.
- The names in the files of intensity, one value per 4-second window, and their range, 0 to 1, are
  known from a program that reads them and from the authors' description; the authors do not say at
  which intensity they filtered (min_intensity).

Whoever uses SEED-VII has signed its licence: academic research alone, not to be passed on.
""",
    licence=(
        "SEED-VII's licence agreement with Shanghai Jiao Tong University: academic research "
        "alone, not to be passed on; each user signs it."
    ),
    citation=(
        "Jiang, W.-B.; Liu, X.-H.; Zheng, W.-L.; Lu, B.-L. SEED-VII: A Multimodal Dataset of Six "
        "Basic Emotions with Continuous Labels for Emotion Recognition. IEEE Transactions on "
        "Affective Computing 2024. doi:10.1109/TAFFC.2024.3485057"
    ),
    how_to_get=(
        "SEED-VII is to be had from its authors after signing a licence agreement: "
        "https://bcmi.sjtu.edu.cn/home/seed/seed-vii.html. The folders EEG_features, "
        "EYE_features and continuous_labels are read, unpacked or not."
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
) -> Bunch:
    """Load SEED-VII: features of EEG and eyes of 20 people in 1,600 trials of watching clips.

    There is no EDA, and so no column ``eda``: what works on EDA, and ``edaemo compare``, do not
    apply. All files are checked, and one error says all that is wrong.

    Parameters
    ----------
    path : path-like or None
        The folder with ``EEG_features/1.mat`` … ``20.mat``, ``EYE_features`` and
        ``continuous_labels`` at any depth, or with zip archives of them; or one such archive. None
        looks where :func:`load_corpus` does.
    signals : sequence of {"eeg_de", "eye"}
        What is read.
    smoothed : bool
        Whether ``eeg_de`` is de_LDS, smoothed over the trial, or de, as computed of each window.
    min_intensity : float from 0 to 1, or None
        Keep the windows of at least this intensity, as the authors did with a threshold that they
        do not give. Trials without any are left out. None keeps all.
    allow_partial : bool
        Read some of the 20 people. Every other check stays.
    cache : bool or path-like
        Whether, and where, what was read is kept for the next time.

    Returns
    -------
    Bunch
        What :func:`load_corpus` says; of this corpus:

        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject`` ("1" to "20"),
        ``stimulus`` (the clip, "1" to "80"), ``trial`` (its place in the order of presentation, 1
        to 80, the same for all), ``session`` (1 to 4), ``eeg_de`` (float32 array of shape (310,
        n_windows), band by band; ``channels`` names the rows), ``eye`` (float32 array of shape (33,
        n_windows)), ``intensity`` (float64 array of shape (n_windows,), 0 to 1, NaN where it is not
        known; only where some file has it) and ``duration`` (seconds of all windows of the clip,
        float).
        ``ratings`` : DataFrame with the same index; ``intensity``, the mean over the windows kept,
        0 to 1, NaN where it is not known.
        ``targets`` : dict, ``"emotion"`` → Series of "happy", "surprise", "neutral", "disgust",
        "fear", "sad" or "anger".
        ``sampling_rate`` : 0.25 Hz, of all signals. ``rating_range`` : (0.0, 1.0).
        ``units``, ``channels`` : dict, signal → "as recorded", names of its rows.
        ``development`` : the 10 people on whom defaults may be decided.

    Raises
    ------
    DatasetError, ValueError
        See :func:`load_corpus`; also if `min_intensity` leaves nothing.

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
