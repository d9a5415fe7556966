"""One recording and its components as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edaemo.decomposition import Components
from edaemo.inspection._axes import use_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TONIC, PHASIC, DRIVER = "#c25b17", "#1f5a8a", "#3b7d3a"


def plot_decomposition(
    components: Components,
    sampling_rate: float,
    *,
    signal: ArrayLike | None = None,
    responses: pd.DataFrame | None = None,
    unit: str = "µS",
    title: str = "",
    ax: Axes | np.ndarray | list[Axes] | None = None,
) -> np.ndarray:
    """Draw a recording with its tonic component, its phasic component and its driver.

    Parameters
    ----------
    components : Components
        What :func:`edaemo.decomposition.decompose` returned.
    sampling_rate : float
        Samples per second (Hz).
    signal : array-like of shape (n_samples,) or None, default=None
        The recording; None: the sum of the components.
    responses : DataFrame or None, default=None
        Skin conductance responses to mark on the phasic component, as
        :func:`edaemo.decomposition.scr_events` returns them.
    unit : str, default="µS"
        Unit of the recording, for the labels.
    title : str, default=""
        Title above the recording.
    ax : sequence of Axes or None, default=None
        The axes to draw on: three, or two where `components` has no driver. None: a new figure.

    Returns
    -------
    ndarray of Axes of shape (2,) or (3,)
        From top to bottom. ``axes[0].figure`` is the figure.

    Raises
    ------
    ValueError
        If `signal` has another length than the components, or `ax` another number of axes.

    Examples
    --------
    >>> from edaemo.datasets import load_hku956
    >>> from edaemo.decomposition import decompose, scr_events
    >>> from edaemo.inspection import plot_decomposition
    >>> study = load_hku956()
    >>> eda, rate = study.trials["eda"][7], study.sampling_rate
    >>> parts = decompose(eda, rate)
    >>> axes = plot_decomposition(
    ...     parts, rate, signal=eda, responses=scr_events(parts.phasic, rate)
    ... )
    >>> axes[0].figure.savefig("decomposition.png")  # doctest: +SKIP
    """
    recording = components.phasic + components.tonic + components.residual
    if signal is not None:
        recording = np.asarray(signal, dtype=np.float64)
    if recording.shape != components.phasic.shape:
        raise ValueError(
            f"signal has the shape {recording.shape}, and the components have "
            f"{components.phasic.shape}: give the recording that was decomposed."
        )
    n_rows = 2 if components.driver is None else 3
    axes = use_axes(ax, n_rows, 1, (7, 1.9 * n_rows), sharex=True).ravel()
    time = np.arange(len(recording)) / sampling_rate
    axes[0].plot(time, recording, color="0.3", label="EDA")
    axes[0].plot(time, components.tonic, color=TONIC, label="tonic")
    axes[0].set_ylabel(f"EDA ({unit})")
    axes[0].set_title(title, fontsize="medium")
    axes[1].plot(time, components.phasic, color=PHASIC, label="phasic")
    axes[1].set_ylabel(f"phasic ({unit})")
    if responses is not None:
        onsets, peaks = responses["onset_sample"], responses["peak_sample"]
        axes[1].plot(time[onsets], components.phasic[onsets], "^", color="0.3", ms=4, label="onset")
        axes[1].plot(time[peaks], components.phasic[peaks], "o", color="0.3", ms=4, label="peak")
    if components.driver is not None:
        axes[2].vlines(time, 0, components.driver, color=DRIVER, linewidth=1)
        axes[2].set_ylabel(f"driver ({unit}/s)")
    for labelled in axes[: 2 if responses is not None else 1]:
        labelled.legend(fontsize="small", frameon=False, loc="best")
    axes[-1].set_xlabel("time (s)")
    return axes
