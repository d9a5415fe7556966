"""Read the trials of a single recording, from its column of trials or an E4's button presses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edaemo.datasets._corpus import DatasetError, open_archives
from edaemo.datasets._e4 import load_e4
from edaemo.datasets._empatica import TAGS
from edaemo.datasets._file_options import FileOptions
from edaemo.datasets._recordings import place_rows, read_rows

TRIAL = "trial"  # column with the name of the trial


def read_file_trials(
    path: str | os.PathLike[str],
    *,
    sampling_rate: float | None = None,
    column: str | None = None,
    unit: str = "auto",
    options: FileOptions | None = None,
    tags: str = "ignore",
) -> tuple[dict[str, np.ndarray], float]:
    """Read the trials of one recording.

    Parameters
    ----------
    path : path
        The file, in a format of `read_recording`.
    sampling_rate : float or None, default=None
        As for `read_recording`.
    column : str or None, default=None
        As for `read_recording`.
    unit : str, default="auto"
        As for `read_recording`.
    options : FileOptions or None, default=None
        As for `read_recording`.
    tags : {"consecutive", "pairs", "ignore"}, default="ignore"
        As for `load_e4`: how the button presses of an E4 session (``EDA.csv`` and ``tags.csv`` in
        one folder or zip archive) delimit its trials. A session without a press is one trial.

    Returns
    -------
    trials : dict
        Name of the trial → EDA of shape (n_samples,) in microsiemens. The name is the number of the
        trial, from 1, in an E4 session; the value of the column ``trial``, as text, in a table with
        that column; and "1" in all other files.
    sampling_rate : float
        In Hz.

    Raises
    ------
    DatasetError
        If the file cannot be read, the button presses of an E4 session delimit no trial, or the
        rows of a trial are not adjacent.
    """
    path = Path(path)
    named = None if column == TRIAL else TRIAL
    rows = read_rows(
        path, [column], sampling_rate=sampling_rate, unit=unit, options=options, trial=named
    )
    if tags != "ignore" and rows.sampling_rate is not None and _is_pressed(path):
        session = path if path.suffix.lower() == ".zip" else path.parent
        return _read_session(session, tags), rows.sampling_rate
    if rows.trials is None:
        (eda,), rate = place_rows(path, rows)
        return {"1": eda}, rate
    trials, rates = {}, set()
    for name, inside in _find_stretches(path, rows.trials).items():
        (trials[name],), rate = place_rows(path, rows, inside)
        rates.add(rate)
    if len(rates) > 1:
        raise DatasetError(
            f"{path}: its trials have different sampling rates: {sorted(rates)} Hz. Pass "
            "sampling_rate, or write one file for each rate."
        )
    return trials, rates.pop()


def _is_pressed(path: Path) -> bool:
    """Return whether a recording is of an E4 session with button presses."""
    if path.suffix.lower() == ".zip":
        with open_archives(path) as archive:
            names = [name for name in archive.names if f"/{name}".endswith(f"/{TAGS}")]
            return any(archive.read_bytes(name).strip() for name in names)
    tags = path.with_name(TAGS)
    return path.name == "EDA.csv" and tags.is_file() and bool(tags.read_bytes().strip())


def _read_session(folder: Path, tags: str) -> dict[str, np.ndarray]:
    try:
        trials = load_e4(folder, tags=tags, allow_partial=True).trials
    except DatasetError as error:
        raise DatasetError(
            f"{error} Or use --tags ignore: the whole session is then one trial."
        ) from error
    # Folders below this one hold other sessions.
    whole = folder.resolve()
    of_session = trials[trials["session"] == (whole.name if whole.is_dir() else whole.stem)]
    return dict(zip(of_session["trial"].astype(str), of_session["eda"], strict=True))


def _find_stretches(path: Path, names: list[str]) -> dict[str, slice]:
    """Return trial → its rows; raise if the rows of a trial are not adjacent."""
    ends = [i for i in range(1, len(names)) if names[i] != names[i - 1]]
    found: dict[str, slice] = {}
    for start, stop in zip([0, *ends], [*ends, len(names)], strict=True):
        if not names[start]:
            raise DatasetError(f"{path}: row {start + 1} has no {TRIAL}. Fill it in.")
        if names[start] in found:
            raise DatasetError(
                f"{path}: the rows of {TRIAL} {names[start]} are not adjacent: sort the rows by "
                f"{TRIAL} and time."
            )
        found[names[start]] = slice(start, stop)
    return found
