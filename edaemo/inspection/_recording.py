"""What the plots of one recording share: reading it, marks of responses, shades of artefacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edaemo._layout import read_layout
from edaemo._validation import read_signals
from edaemo.decomposition import (
    RESOLUTION,
    Components,
    DecompositionMethod,
    check_sampling_rate,
    estimate_breathing,
    find_decomposition,
)
from edaemo.preprocessing import decompose_trials, signal_quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One recording: its components, its samples, or one row of a table.
Recording: TypeAlias = Components | ArrayLike | pd.Series | pd.DataFrame

MICROSIEMENS = "µS"
GREY = "0.3"
ONSET, PEAK, RECOVERY = "#3b7d3a", "#c25b17", "#7a3b8a"
ARTEFACT = "#d9a5a5"
# A component of at most this share of the recording's range holds rounding errors only.
VISIBLE = 1e-6


def read_parts(
    recording: Recording,
    sampling_rate: float,
    method: str | DecompositionMethod,
    *,
    breathing: str | None = None,
) -> tuple[np.ndarray, Components]:
    """Return a recording and its components; decompose it if they are not given.

    Parameters
    ----------
    recording : Components, Series, DataFrame or array-like
        As for `plot_decomposition`.
    sampling_rate : float
        Samples per second (Hz).
    method : str or DecompositionMethod
        Decomposition of raw samples.
    breathing : {"remove"} or None, default=None
        "remove": subtract the breathing from raw samples before they are decomposed.

    Returns
    -------
    ndarray of shape (n_samples,)
        The recording, with its breathing; missing samples are NaN. The sum of the components if
        only these are given.
    Components

    Raises
    ------
    ValueError
        If the recording has another form, or cannot be decomposed.
    """
    sampling_rate = check_sampling_rate(sampling_rate)
    if isinstance(recording, pd.DataFrame):
        if len(recording) != 1:
            raise ValueError(
                f"recording is a table of {len(recording)} rows: pass one row, such as "
                "trials.iloc[0]."
            )
        recording = recording.iloc[0]
    samples: object = recording
    if isinstance(recording, pd.Series):
        samples = recording.get("eda", recording)
        found = _find_channels(recording)
        if found is not None:
            recording = _read_channels(*found)
    if isinstance(recording, Components):
        return recording.phasic + recording.tonic + recording.residual, recording
    method = find_decomposition(method)
    method.check(sampling_rate)
    missing = "mask" if method.masks else "interpolate"
    signals = [np.asarray(samples)] if isinstance(samples, pd.Series) else [samples]
    ((raw, _),) = read_signals(None, pd.Series(signals, dtype=object), reset=None, missing="mask")
    ((filled, _),) = read_signals(None, pd.Series([raw]), reset=None, missing=missing)
    if breathing is not None:
        filled = filled - estimate_breathing(filled, sampling_rate)
    (trial,) = decompose_trials(
        [filled],
        sampling_rate,
        method,
        standardize=method.unit_variance,
        name=lambda row: "the recording",
    )
    return raw, trial.rescale()


def _find_channels(row: pd.Series) -> tuple[np.ndarray, Sequence[str]] | None:
    """Return the channels of a row of decomposed EDA and their names; None for raw EDA."""
    if "channels" in row.index and "eda" in row.index:
        return np.asarray(row["eda"], dtype=np.float64), row["channels"].split("|")
    if "eda" in row.index or not all(isinstance(name, str) for name in row.index):
        return None
    layout = read_layout(list(row.index), ("eda",), ())
    if layout is None:
        return None
    block = layout["eda"]
    values = row.to_numpy(dtype=np.float64)[block.columns]
    return values.reshape(block.shape), block.channels or ()


def _read_channels(channels: np.ndarray, names: Sequence[str]) -> Components:
    """Return the components that EDADecomposer has computed."""
    if not {"phasic", "tonic"} <= set(names) <= {"phasic", "tonic", "residual"}:
        raise ValueError(
            f"recording has the channels {list(names)}, but the plot needs phasic and tonic in the "
            "unit of the recording: pass the output of EDADecomposer, or raw samples."
        )
    parts = dict(zip(names, channels, strict=True))
    residual = parts.get("residual", np.zeros_like(parts["phasic"]))
    return Components(parts["phasic"], parts["tonic"], None, residual)


def is_visible(values: np.ndarray, recording: np.ndarray) -> bool:
    """Return whether a component is more than a rounding error of the recording."""
    known = recording[np.isfinite(recording)]
    smallest = max(VISIBLE * np.ptp(known), RESOLUTION * np.max(np.abs(known)))
    return bool(np.max(np.abs(values)) > smallest)


def mark_responses(
    axes: Axes, time: np.ndarray, values: np.ndarray, responses: pd.DataFrame
) -> None:
    """Mark onsets, peaks and half recoveries on a curve."""
    onsets, peaks = responses["onset_sample"], responses["peak_sample"]
    recoveries = responses["peak"] + responses["half_recovery_time"]
    recoveries = recoveries[recoveries.notna()].to_numpy()
    halves = np.interp(recoveries, time, values)
    axes.plot(time[onsets], values[onsets], "^", color=ONSET, ms=5, label="onset")
    axes.plot(time[peaks], values[peaks], "o", color=PEAK, ms=4, label="peak")
    axes.plot(recoveries, halves, "x", color=RECOVERY, ms=5, label="half recovery")


def shade_artefacts(axes: Iterable[Axes], recording: np.ndarray, sampling_rate: float) -> None:
    """Shade the samples in which `signal_quality` finds a defect; the recording is in µS."""
    positions = signal_quality([recording], sampling_rate)["positions"].iloc[0]
    defective = np.zeros(len(recording) + 1, dtype=bool)
    for ranges in positions.values():
        for start, stop in ranges:
            defective[start:stop] = True
    edges = np.flatnonzero(np.diff(defective, prepend=False))
    for panel in axes:
        label = "artefact"
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            ends = (np.array([start, stop]) - 0.5) / sampling_rate
            panel.axvspan(*ends, color=ARTEFACT, alpha=0.5, linewidth=1, zorder=0, label=label)
            label = "_nolegend_"
