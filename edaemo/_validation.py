"""Checks that rooms share: identity of trials, their signals, whole-or-nothing fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

IDENTITY = ("subject", "stimulus", "trial")


def identity(X: object, name: str) -> np.ndarray | None:
    """Return the column or index level called `name` of a frame or Series, or None."""
    if isinstance(X, pd.DataFrame) and name in X.columns:
        return X[name].to_numpy()
    if isinstance(X, (pd.DataFrame, pd.Series)) and name in X.index.names:
        return X.index.get_level_values(name).to_numpy()
    return None


def subject_ids(
    X: object, subject: Sequence | None, *, n: int, needed_by: str | None
) -> np.ndarray | None:
    """Find out whose row each row of X is.

    Parameters
    ----------
    X : object
        A trials table (column ``subject``), a frame whose index has a level ``subject``, or
        anything else, which knows no subjects.
    subject : sequence of length n or None
        The ids as metadata; they win over those in X.
    n : int
        Number of trials.
    needed_by : str or None
        What cannot go on without subjects, for the error; None where they are optional.

    Returns
    -------
    ndarray of shape (n,) or None
    """
    ids = identity(X, "subject") if subject is None else np.asarray(subject)
    if ids is None:
        if needed_by is None:
            return None
        raise ValueError(
            f"{needed_by} needs to know the subject of each trial: pass subject=, or a table with "
            "a column or an index level named 'subject'."
        )
    if ids.ndim != 1 or len(ids) != n:
        raise ValueError(
            f"subject must hold one id for each of the {n} trials, got shape {ids.shape}."
        )
    if pd.isna(ids).any():
        raise ValueError(f"subject is missing for trial {int(np.flatnonzero(pd.isna(ids))[0])}.")
    return ids


def name_trial(X: object, row: int) -> str:
    """Name one trial in an error: its row and, where X knows them, subject, stimulus, trial."""
    known = ((key, identity(X, key)) for key in IDENTITY)
    said = ", ".join(f"{key} {values[row]}" for key, values in known if values is not None)
    return f"row {row} ({said})" if said else f"row {row}"


@contextmanager
def whole_or_nothing(estimator: object) -> Iterator[None]:
    """Give the estimator back as it was if its fit ends in an error or is interrupted."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def is_trials_table(X: object) -> bool:
    """Say whether X is a trials table: a frame whose column ``eda`` holds signals."""
    return isinstance(X, pd.DataFrame) and "eda" in X.columns and X["eda"].dtype == object


def signal_cells(X: object) -> np.ndarray | None:
    """Return the cells of X, an object array with one signal for each trial, or None.

    Understood are a trials table, and a Series, a one-column frame or an object array whose
    cells are arrays. None means that X is something else: numbers, to be checked as such.
    """
    if is_trials_table(X):
        return X["eda"].to_numpy()
    if isinstance(X, pd.DataFrame) and X.shape[1] == 1:
        X = X.iloc[:, 0]
    cells = X.to_numpy() if isinstance(X, pd.Series) else X
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.size == 0:
        return None
    if cells.ndim == 2 and cells.shape[1] == 1:
        cells = cells[:, 0]
    if cells.ndim != 1 or not all(isinstance(cell, (np.ndarray, list, tuple)) for cell in cells):
        return None
    return cells


def read_signals(
    estimator: BaseEstimator, X: object, *, reset: bool | None, missing: str
) -> list[tuple[np.ndarray, int]]:
    """Read the signal of each trial and treat missing samples.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose number of columns a 2-D array is checked against.
    X : object
        A trials table; a Series, object array or one-column frame of 1-D signals; or a 2-D array of
        numbers.
    reset : bool or None
        Whether the number of columns of a 2-D array is learned (True), checked (False) or left
        alone (None).
    missing : {"raise", "interpolate"}
        What becomes of NaN and infinite samples: an error, or linear interpolation between finite
        neighbours, the nearest one at the ends.

    Returns
    -------
    list of (ndarray of shape (n_samples,), int)
        Each trial's samples, float64, and how many of them were missing.

    Raises
    ------
    ValueError
        If X is none of these, a cell is no 1-D signal, samples are missing where they may not be,
        or a trial has none at all. The error names the trial.
    """
    cells = signal_cells(X)
    if cells is None:
        if isinstance(X, pd.DataFrame) and any(map(pd.api.types.is_object_dtype, X.dtypes)):
            raise ValueError(
                "X is no trials table: it has no column 'eda' with a 1-D signal in each cell. "
                f"Its columns are {list(X.columns)}."
            )
        if reset is None:
            cells = np.asarray(X, dtype=np.float64)
        else:
            finite = missing == "raise"
            cells = validate_data(
                estimator, X, reset=reset, dtype=np.float64, ensure_all_finite=finite
            )
    return [_read_signal(X, row, cell, missing) for row, cell in enumerate(cells)]


def _read_signal(X: object, row: int, cell: object, missing: str) -> tuple[np.ndarray, int]:
    signal = np.asarray(cell, dtype=np.float64)
    if signal.ndim != 1:
        raise ValueError(
            f"{name_trial(X, row)}: each trial's EDA must be a 1-D signal, got an array of shape "
            f"{signal.shape}."
        )
    finite = np.isfinite(signal)
    n_missing = int(np.sum(~finite))
    if not n_missing:
        return signal, 0
    if missing == "raise" or n_missing == len(signal):
        or_fill = "." if n_missing == len(signal) else ", or set missing='interpolate'."
        raise ValueError(
            f"{name_trial(X, row)}: {n_missing} of {len(signal)} samples are NaN or infinite, the "
            f"first at sample {int(np.argmin(finite))}. Leave the trial out{or_fill}"
        )
    place = np.arange(len(signal))
    return np.interp(place, place[finite], signal[finite]), n_missing
