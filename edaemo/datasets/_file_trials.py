"""Read the trials of a single recording, from its column of trials or an E4's button presses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._e4 import load_e4
from edaemo.datasets._empatica import TAGS
from edaemo.datasets._recordings import read_csv_rows, read_recording

TRIAL = "trial"  # column with the name of the trial


def read_file_trials(
    path: str | os.PathLike[str],
    *,
    sampling_rate: float | None = None,
    column: str | None = None,
    tags: str = "ignore",
) -> tuple[dict[str, np.ndarray], float]:
    """Read the trials of one recording.

    Parameters
    ----------
    path : path
        The file: CSV or parquet.
    sampling_rate : float or None
        As for `read_recording`.
    column : str or None
        As for `read_recording`.
    tags : {"consecutive", "pairs", "ignore"}, default="ignore"
        As for `load_e4`: how the button presses of an E4 session (``EDA.csv`` and ``tags.csv`` in
        one folder) delimit its trials. A session without a press is one trial.

    Returns
    -------
    trials : dict
        Name of the trial → EDA of shape (n_samples,). The name is the number of the trial, from 1,
        in an E4 session; the value of the column ``trial``, as text, in a table with that column;
        and "1" in all other files.
    sampling_rate : float
        In Hz.

    Raises
    ------
    DatasetError
        If the file cannot be read, the button presses of an E4 session delimit no trial, or the
        rows of a trial are not adjacent.
    """
    path = Path(path)
    eda, sampling_rate = read_recording(path, sampling_rate=sampling_rate, column=column)
    if tags != "ignore" and path.name == "EDA.csv" and _is_pressed(path.with_name(TAGS)):
        return _read_session(path.parent, tags), sampling_rate
    names = None if column == TRIAL else _read_trial_names(path)
    return ({"1": eda} if names is None else _split(path, names, eda)), sampling_rate


def _is_pressed(tags: Path) -> bool:
    """Return whether the session has button presses; False if ``tags.csv`` is missing."""
    return tags.is_file() and bool(tags.read_bytes().strip())


def _read_session(folder: Path, tags: str) -> dict[str, np.ndarray]:
    try:
        trials = load_e4(folder, tags=tags, allow_partial=True).trials
    except DatasetError as error:
        raise DatasetError(
            f"{error} Or use --tags ignore: the whole session is then one trial."
        ) from error
    # Folders below this one hold other sessions.
    of_session = trials[trials["session"] == folder.resolve().name]
    return dict(zip(of_session["trial"].astype(str), of_session["eda"], strict=True))


def _read_trial_names(path: Path) -> list[str] | None:
    """Return the column `trial` of a table, as text; None if it has no such column."""
    if path.suffix.lower() == ".parquet":
        table = pd.read_parquet(path)
        if TRIAL not in table.columns:
            return None
        values = table[TRIAL]
        return ["" if pd.isna(value) else str(value) for value in values]
    names, *rows = read_csv_rows(path)
    return [row[names.index(TRIAL)] for row in rows] if TRIAL in names else None


def _split(path: Path, names: list[str], eda: np.ndarray) -> dict[str, np.ndarray]:
    """Cut the samples where the name of the trial changes."""
    ends = [i for i in range(1, len(names)) if names[i] != names[i - 1]]
    starts = [0, *ends]
    trials: dict[str, np.ndarray] = {}
    for start, cut in zip(starts, np.split(eda, ends), strict=True):
        if not names[start]:
            raise DatasetError(f"{path}: row {start + 1} has no {TRIAL}. Fill it in.")
        if names[start] in trials:
            raise DatasetError(
                f"{path}: the rows of {TRIAL} {names[start]} are not adjacent: sort the rows by "
                f"{TRIAL} and time."
            )
        trials[names[start]] = cut
    return trials
