"""One recording and its skin conductance responses as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edaemo.decomposition import SMALLEST_US, DecompositionMethod, scr_events
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


def plot_responses(
    recording: Recording,
    sampling_rate: float,
    *,
    method: str | DecompositionMethod = "bandpass",
    min_amplitude: float = 0.1,
    min_amplitude_us: float = SMALLEST_US,
    breathing: str | None = "remove",
    unit: str = MICROSIEMENS,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a recording with onset, peak and half recovery of each skin conductance response.

    The responses are those of :func:`edaemo.decomposition.scr_events` on the phasic component, as
    in :func:`edaemo.features.scr_table`; the marks are drawn on the recording. The samples in which
    :func:`edaemo.preprocessing.signal_quality` finds a defect are shaded.

    Parameters
    ----------
    recording : array-like of shape (n_samples,), Series, DataFrame or Components
        As for :func:`plot_decomposition`.
    sampling_rate : float
        Samples per second (Hz).
    method : str or DecompositionMethod, default="bandpass"
        Decomposition of a recording that is not decomposed yet.
    min_amplitude : float, default=0.1
        Minimum amplitude of a response as a share of the largest.
    min_amplitude_us : float, default=0.01
        Minimum amplitude of a response in µS; has no effect if `unit` is another one.
    breathing : {"remove"} or None, default="remove"
        "remove": the responses are those without the breathing that
        :func:`edaemo.decomposition.estimate_breathing` finds, as in `scr_table`; the recording is
        drawn with it. Has no effect on a recording that is decomposed already.
    unit : str, default="µS"
        Unit of the recording. The limits of `signal_quality` are in µS, so artefacts are shaded
        only in this unit.
    title : str, default=""
        Title above the recording.
    ax : Axes or None, default=None
        The axes to draw on; None: a new figure.

    Returns
    -------
    Axes
        The axes that were drawn on.

    Raises
    ------
    ValueError
        If `recording` has another form or cannot be decomposed, or a limit is out of its range.
    DecompositionError
        If cvxEDA finds no acceptable solution.

    Examples
    --------
    >>> from edaemo.datasets import load_induced_stress
    >>> from edaemo.inspection import plot_responses
    >>> study = load_induced_stress()
    >>> axes = plot_responses(study.trials.iloc[4], study.sampling_rate)
    >>> axes.figure.savefig("responses.png")  # doctest: +SKIP
    """
    if breathing not in ("remove", None):
        raise ValueError(f"breathing must be 'remove' or None, got {breathing!r}.")
    eda, parts = read_parts(recording, sampling_rate, method, breathing=breathing)
    decomposed = np.where(np.isfinite(eda), parts.phasic + parts.tonic + parts.residual, np.nan)
    in_microsiemens = unit == MICROSIEMENS
    phasic = parts.phasic if is_visible(parts.phasic, eda) else np.zeros_like(parts.phasic)
    responses = scr_events(
        phasic,
        sampling_rate,
        min_amplitude=min_amplitude,
        min_amplitude_us=min_amplitude_us if in_microsiemens else None,
        recording=decomposed,
    )
    axes: Axes = use_axes(ax, 1, 1, (7, 2.6))[0, 0]
    time = np.arange(len(eda)) / sampling_rate
    axes.plot(time, eda, color=GREY, linewidth=1, label="EDA")
    mark_responses(axes, time, eda, responses)
    if in_microsiemens:
        shade_artefacts([axes], eda, sampling_rate)
    axes.set(xlabel="time (s)", ylabel=f"EDA ({unit})")
    axes.set_title(title, fontsize="medium")
    axes.legend(fontsize="small", frameon=False, loc="best")
    return axes
