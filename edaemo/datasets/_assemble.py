"""From what was read of a corpus to its trials, their ratings, and what was masked or left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions

from edaemo.datasets._cache import Column
from edaemo.datasets._corpus import DatasetError, cut_and_align
from edaemo.datasets._window import Window

# Of loaders whose recordings are in Ohm.
UNITS = {"units": [StrOptions({"microsiemens", "as_recorded"})]}
# What anything can be computed from; see `CvxEDATransformer(missing="mask")`.
FEWEST_SAMPLES = 2

_IDENTITY = ["subject", "stimulus", "trial"]


def _to_microsiemens(resistance: np.ndarray) -> None:
    """Turn Ohm into microsiemens, 1e6 / R, in place; what is no resistance (R <= 0) is NaN."""
    none = ~(resistance > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        np.divide(1e6, resistance, out=resistance)
    resistance[none] = np.nan
    _mask_infinite(resistance)


def _mask_infinite(eda: np.ndarray) -> None:
    """Put NaN in place of samples that are not finite."""
    eda[~np.isfinite(eda)] = np.nan


def name_units(signals: Iterable[str], units: str) -> dict[str, str]:
    """Return signal → unit, of loaders whose EDA is recorded in Ohm."""
    eda = "microsiemens" if units == "microsiemens" else "ohm"
    return {name: eda if name == "eda" else "as recorded" for name in signals}


def note_on_units(units: str) -> str:
    """Say for a report what was done with recordings in Ohm."""
    if units == "microsiemens":
        return "EDA is 1e6 / R of the recorded Ohm; samples at or below zero are masked (NaN)."
    return "EDA is as recorded, in Ohm; only samples that are not finite are masked (NaN)."


def assemble(
    columns: Mapping[str, Column],
    *,
    ratings: Sequence[str],
    others: Mapping[str, float],
    sampling_rate: float,
    window: Window,
    from_ohm: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Make the tables of a study.

    Parameters
    ----------
    columns : dict
        Of a `Reading`, its rows in order.
    ratings : sequence of str
        Those columns that make the ratings; all others make the trials.
    others : dict
        Signals beside ``eda`` → their rates in Hz.
    sampling_rate : float
        Of ``eda``, in Hz.
    window : tuple (start, stop), 'end' or None
        As :func:`cut_window` takes it.
    from_ohm : bool, default=False
        Whether ``eda`` becomes microsiemens.

    Returns
    -------
    trials, ratings : DataFrame
        Without the trials that are shorter than the window or have fewer than two samples in it
        that are not masked; numbered from 0.
    report : dict
        ``trials`` read and ``trials_kept``; ``left_out``, a DataFrame of the others with
        ``duration`` and ``reason``; ``masked_samples`` in the trials kept, and ``masked``, a
        DataFrame of the trials that have any, with ``n_masked`` and ``n_samples``.

    Raises
    ------
    DatasetError
        If no trial is left.
    """
    trials = pd.DataFrame(
        {
            name: pd.Series(column, dtype=object) if name in {"eda", *others} else column
            for name, column in columns.items()
            if name not in ratings
        }
    )
    rated = pd.DataFrame({name: columns[name] for name in ratings}, index=trials.index)
    n_read = len(trials)
    trials, rated, left_out = cut_and_align(trials, rated, sampling_rate, window, others)
    for eda in trials["eda"]:  # copies of what was read
        (_to_microsiemens if from_ohm else _mask_infinite)(eda)
    n_samples = np.array([len(eda) for eda in trials["eda"]], dtype=np.int64)
    n_masked = np.array([np.isnan(eda).sum() for eda in trials["eda"]], dtype=np.int64)
    usable = n_samples - n_masked >= FEWEST_SAMPLES
    if not usable.any():
        raise DatasetError(f"None of {len(trials)} trials has samples of EDA that can be used.")
    gone = trials.loc[~usable, [*_IDENTITY, "duration"]].assign(reason="no usable sample")
    counted = trials[_IDENTITY].assign(n_masked=n_masked, n_samples=n_samples)
    report = {
        "trials": n_read,
        "trials_kept": int(usable.sum()),
        "left_out": join_left_out(left_out, gone),
        "masked_samples": int(n_masked[usable].sum()),
        "masked": counted[usable & (n_masked > 0)].reset_index(drop=True),
    }
    if not usable.all():
        trials, rated = trials[usable], rated[usable]
    return trials.reset_index(drop=True), rated.reset_index(drop=True), report


def join_left_out(*parts: pd.DataFrame) -> pd.DataFrame:
    """Put lists of trials left out, each with its reason, under one another."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def take_trials(study: Bunch, rows: Sequence[int] | np.ndarray) -> Bunch:
    """Return a study with these rows of its tables alone, numbered anew."""

    def taken(table: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
        return table.iloc[rows].reset_index(drop=True)

    return Bunch(
        **{
            **study,
            "trials": taken(study.trials),
            "ratings": taken(study.ratings),
            "targets": {name: taken(values) for name, values in study.targets.items()},
        }
    )
