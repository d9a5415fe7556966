"""A figure of recordings and their components."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from edaemo.decomposition import Decomposition


def plot_decomposition(
    recordings: list[tuple[str, np.ndarray, Decomposition]], sampling_rate: float
) -> Figure:
    """Draw recordings, one per column: original with tonic, phasic, driver.

    Parameters
    ----------
    recordings : list of (title, signal of shape (n_samples,), Decomposition)
        Each signal must be the input of its decomposition.
    sampling_rate : float
        Samples per second (Hz).

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig(path)``.
    """
    figure = Figure(figsize=(4 * len(recordings), 6), layout="constrained")
    axes = figure.subplots(3, len(recordings), sharex="col", squeeze=False)
    for column, (title, signal, parts) in zip(axes.T, recordings, strict=True):
        time = np.arange(len(signal)) / sampling_rate
        column[0].plot(time, signal, color="0.3", label="original")
        column[0].plot(time, parts.tonic, color="#c25b17", label="tonic")
        column[1].plot(time, parts.phasic, color="#1f5a8a")
        column[2].vlines(time, 0, parts.driver, color="#3b7d3a", linewidth=1)
        column[0].set_title(title, fontsize="medium")
        column[2].set_xlabel("time (s)")
    for row, name in zip(axes, ("original and tonic", "phasic", "driver"), strict=True):
        row[0].set_ylabel(name)
    axes[0, 0].legend(fontsize="small", frameon=False)
    return figure
