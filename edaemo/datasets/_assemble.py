"""Assemble trials, ratings and counts of masked and omitted data from the columns of a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from edaemo._sklearn import AnyBunch
from edaemo._validation import IDENTITY
from edaemo.datasets._cache import Column, holds_arrays
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._study import Study
from edaemo.datasets._window import Window, context_of, cut_samples, window_samples

# Smallest number of valid samples for any computation; see `CvxEDATransformer(missing="mask")`.
FEWEST_SAMPLES = 2
_WHOSE = [*IDENTITY]
LEFT_OUT = [*IDENTITY, "duration", "reason"]


def to_microsiemens(resistance: np.ndarray) -> None:
    """Convert Ohm to microsiemens, 1e6 / R, in place; invalid resistances (R <= 0) become NaN."""
    invalid = ~(resistance > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        np.divide(1e6, resistance, out=resistance)
    resistance[invalid] = np.nan
    mask_infinite(resistance)


def mask_infinite(eda: np.ndarray) -> None:
    """Replace samples that are not finite by NaN, in place."""
    eda[~np.isfinite(eda)] = np.nan


def note_on_units(units: str) -> str:
    """Return the note for a report on recordings in Ohm."""
    if units == "microsiemens":
        return "EDA is 1e6 / R, with R the recorded Ohm. Samples at or below zero are masked (NaN)."
    return "EDA is as recorded, in Ohm. Only samples that are not finite are masked (NaN)."


def make_table(columns: Mapping[str, Column], n_rows: int) -> pd.DataFrame:
    """Return columns as a table, with one array per cell for columns of arrays."""
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=object) if holds_arrays(column) else column
            for name, column in columns.items()
        },
        index=pd.RangeIndex(n_rows),
    )


def assemble(
    trials: Mapping[str, Column],
    tables: Sequence[Mapping[str, Column]],
    *,
    rates: Mapping[str, float],
    window: Window,
    context: float | None = None,
    from_ohm: bool = False,
    masked: bool = True,
) -> tuple[pd.DataFrame, list[pd.DataFrame], dict[str, Any]]:
    """Assemble the tables of a study, and cut the window out of its trials.

    Parameters
    ----------
    trials : dict
        Columns of the trials, with rows in order; ``eda`` is required.
    tables : sequence of dict
        Columns of further tables with the same rows as the trials, such as ratings.
    rates : dict
        Signal → rate in Hz; ``eda`` is required.
    window : tuple (start, stop), 'end' or None
        The window; see :func:`cut_window`.
    context : float or None, default=None
        Seconds before the trial with which the cells begin, NaN where nothing was recorded. None:
        those before the trial in the window.
    from_ohm : bool, default=False
        Whether to convert ``eda`` from Ohm to microsiemens.
    masked : bool, default=True
        Whether to count invalid samples and set them to NaN, and to leave out trials with fewer
        than two valid samples.

    Returns
    -------
    trials : DataFrame
        The trials kept, with an index from 0 and with ``duration``, the seconds before the cut.
    tables : list of DataFrame
        The tables, with the same rows as the trials.
    report : dict
        ``trials``, the number read, and ``trials_kept``. ``left_out``, a DataFrame of the other
        trials with ``duration`` and ``reason``. If `masked`, also ``masked_samples``, the number in
        the trials kept, and ``masked``, a DataFrame of the trials with masked samples, with
        ``n_masked`` and ``n_samples``; neither counts the context. With context also
        ``missing_context``, a DataFrame of the trials kept whose context lacks samples, with
        ``n_missing`` and ``n_samples`` of the context.

    Raises
    ------
    DatasetError
        If no trial has usable EDA.
    ValueError
        If every trial is shorter than the window.
    """
    n_read = len(trials["eda"])
    context = context_of(window) if context is None else context
    n_context = round(context * rates["eda"])
    whole = make_table(trials, n_read)
    whole["duration"] = [(len(eda) - n_context) / rates["eda"] for eda in whole["eda"]]
    kept = _cut(whole, rates, window, context)
    short = whole.drop(index=kept.index)[[*IDENTITY, "duration"]].reset_index(drop=True)
    report = {"left_out": short.assign(reason="shorter than the window")}
    if masked:
        kept, counted, unusable = _mask(kept, from_ohm, n_context)
        report |= {**counted, "left_out": join_left_out(report["left_out"], unusable)}
    if n_context:
        n_missing = np.array([np.isnan(eda[:n_context]).sum() for eda in kept["eda"]])
        lacking = kept[_WHOSE].assign(n_missing=n_missing, n_samples=n_context)
        report["missing_context"] = lacking[n_missing > 0].reset_index(drop=True)
    aligned = [make_table(table, n_read).loc[kept.index].reset_index(drop=True) for table in tables]
    return (
        kept.reset_index(drop=True),
        aligned,
        {"trials": n_read, "trials_kept": len(kept), **report},
    )


def _cut(
    whole: pd.DataFrame, rates: Mapping[str, float], window: Window, context: float
) -> pd.DataFrame:
    """Cut the same window out of all signals, along the last axis of each cell."""
    cut = cut_samples(whole, *window_samples(window, rates["eda"], context=context), window)
    for name in rates.keys() - {"eda"}:
        samples, _ = window_samples(window, rates[name], context=context)
        # Copy the part, because a view would keep the whole recording in memory.
        cells = [cell if window is None else cell[..., samples].copy() for cell in cut[name]]
        cut[name] = pd.Series(cells, index=cut.index, dtype=object)
    return cut


def _mask(
    trials: pd.DataFrame, from_ohm: bool, n_context: int
) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Mask invalid samples in place; return usable trials, counts, and unusable trials."""
    for eda in trials["eda"]:  # these arrays are copies
        (to_microsiemens if from_ohm else mask_infinite)(eda)
    n_samples = np.array([len(eda) - n_context for eda in trials["eda"]], dtype=np.int64)
    n_masked = np.array([np.isnan(eda[n_context:]).sum() for eda in trials["eda"]], dtype=np.int64)
    usable = n_samples - n_masked >= FEWEST_SAMPLES
    if not usable.any():
        raise DatasetError(f"None of {len(trials)} trials has two or more valid EDA samples.")
    counted = trials[_WHOSE].assign(n_masked=n_masked, n_samples=n_samples)
    counts = {
        "masked_samples": int(n_masked[usable].sum()),
        "masked": counted[usable & (n_masked > 0)].reset_index(drop=True),
    }
    unusable = trials.loc[~usable, [*IDENTITY, "duration"]].assign(reason="no usable sample")
    return trials[usable], counts, unusable


def join_left_out(*parts: pd.DataFrame) -> pd.DataFrame:
    """Concatenate tables of omitted trials and their reasons."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def take_trials(study: AnyBunch, rows: Sequence[int] | np.ndarray) -> Study:
    """Return a study with only these rows of its tables, with a new index from 0."""

    def taken(table: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
        return table.iloc[rows].reset_index(drop=True)

    return Study(
        **{
            **study,
            "trials": taken(study.trials),
            "ratings": taken(study.ratings),
            "targets": {name: taken(values) for name, values in study.targets.items()},
        }
    )
