"""One recording and its components as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edaemo.decomposition import DecompositionMethod, scr_events
from edaemo.inspection._axes import use_axes
from edaemo.inspection._recording import (
    GREY,
    MICROSIEMENS,
    Recording,
    is_visible,
    mark_responses,
    read_parts,
    shade_artefacts,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TONIC, PHASIC, DRIVER = "#c25b17", "#1f5a8a", "#3b7d3a"


def plot_decomposition(
    recording: Recording,
    sampling_rate: float,
    *,
    method: str | DecompositionMethod = "cvxeda",
    signal: ArrayLike | None = None,
    responses: pd.DataFrame | None = None,
    unit: str = MICROSIEMENS,
    title: str = "",
    ax: Axes | np.ndarray | list[Axes] | None = None,
) -> np.ndarray:
    """Draw a recording with its tonic component, its phasic component and its driver.

    Onset, peak and half recovery of each skin conductance response are marked on the phasic
    component. In µS, the samples in which :func:`edaemo.preprocessing.signal_quality` finds a
    defect are shaded. A component that only holds rounding errors is not drawn.

    Parameters
    ----------
    recording : Components, Series, DataFrame or array-like of shape (n_samples,)
        One recording:

        - its components, as :func:`edaemo.decomposition.decompose` returns them;
        - raw samples, which are decomposed; missing samples (NaN) are gaps;
        - one row of a trials table, as a Series or a table of one row: raw, or from
          :class:`edaemo.preprocessing.EDADecomposer`;
        - one row of the output of `EDADecomposer` with ``set_output(transform="pandas")``. An array
          has no names, so its columns cannot be told apart.

        Without residual, the recording is the sum of phasic and tonic component, unless `signal` is
        given.
    sampling_rate : float
        Samples per second (Hz).
    method : str or DecompositionMethod, default="cvxeda"
        Decomposition of a recording that is not decomposed yet.
    signal : array-like of shape (n_samples,) or None, default=None
        The recording; None: the samples given, or the sum of the components.
    responses : DataFrame or None, default=None
        Skin conductance responses to mark, as :func:`edaemo.decomposition.scr_events` returns them.
        None: those that it finds with its default settings if `unit` is µS, otherwise none.
    unit : str, default="µS"
        Unit of the recording, for the labels.
    title : str, default=""
        Title above the recording.
    ax : sequence of Axes or None, default=None
        The axes to draw on: three, or two without a driver. None: a new figure.

    Returns
    -------
    ndarray of Axes of shape (2,) or (3,)
        From top to bottom. ``axes[0].figure`` is the figure.

    Raises
    ------
    ValueError
        If `recording` has another form or cannot be decomposed, `signal` has another length than
        the components, or `ax` has another number of axes.
    DecompositionError
        If cvxEDA finds no acceptable solution.

    Examples
    --------
    >>> from edaemo.datasets import load_hku956
    >>> from edaemo.decomposition import decompose
    >>> from edaemo.inspection import plot_decomposition
    >>> study = load_hku956()
    >>> axes = plot_decomposition(study.trials.iloc[7], study.sampling_rate)
    >>> eda = study.trials["eda"][7]
    >>> axes = plot_decomposition(decompose(eda, study.sampling_rate), study.sampling_rate)
    >>> axes[0].figure.savefig("decomposition.png")  # doctest: +SKIP
    """
    eda, parts = read_parts(recording, sampling_rate, method)
    if signal is not None:
        eda = np.asarray(signal, dtype=np.float64)
    if eda.shape != parts.phasic.shape:
        raise ValueError(
            f"signal has the shape {eda.shape}, and the components have "
            f"{parts.phasic.shape}: give the recording that was decomposed."
        )
    n_rows = 2 if parts.driver is None else 3
    axes = use_axes(ax, n_rows, 1, (7, 1.9 * n_rows), sharex=True).ravel()
    time = np.arange(len(eda)) / sampling_rate
    axes[0].plot(time, eda, color=GREY, label="EDA")
    axes[0].plot(time, parts.tonic, color=TONIC, label="tonic")
    axes[0].set_ylabel(f"EDA ({unit})")
    axes[0].set_title(title, fontsize="medium")
    axes[1].set_ylabel(f"phasic ({unit})")
    if not is_visible(parts.phasic, eda):
        _leave_empty(axes[1], axes[0])
    else:
        axes[1].plot(time, parts.phasic, color=PHASIC, label="phasic")
        if responses is None and unit == MICROSIEMENS:
            responses = scr_events(parts.phasic, sampling_rate, recording=eda)
        if responses is not None:
            mark_responses(axes[1], time, parts.phasic, responses)
            bottom, top = axes[1].get_ylim()
            axes[1].set_ylim(bottom, top + 0.2 * (top - bottom))  # room for the legend
            axes[1].legend(
                fontsize="small",
                frameon=False,
                loc="upper right",
                ncols=4,
                columnspacing=1,
                handlelength=1.2,
            )
    if parts.driver is not None:
        axes[2].set_ylabel(f"driver ({unit}/s)")
        if not is_visible(parts.driver / sampling_rate, eda):
            _leave_empty(axes[2], axes[0])
        else:
            axes[2].vlines(time, 0, parts.driver, color=DRIVER, linewidth=1)
    if unit == MICROSIEMENS:
        shade_artefacts(axes, eda, sampling_rate)
    axes[0].legend(fontsize="small", frameon=False, loc="best")
    axes[-1].set_xlabel("time (s)")
    return axes


def _leave_empty(panel: Axes, above: Axes) -> None:
    """Set the limits of a panel without a curve: the time of the panel above, and zero."""
    panel.set(xlim=above.get_xlim(), ylim=(-1, 1), yticks=[0])
