"""The critical-difference diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from edaemo.inspection._axes import use_axes

if TYPE_CHECKING:
    from edaemo.statistics import CriticalDifference


def plot_critical_difference(result: CriticalDifference, *, ax: Axes | None = None) -> Axes:
    """Draw average ranks of pipelines over studies; bars join pipelines without a difference.

    Parameters
    ----------
    result : CriticalDifference
        The result of :func:`edaemo.benchmark.critical_difference`.
    ax : Axes or None, default=None
        The axes to draw on; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        ``axes.figure`` is the figure. It follows Demšar (Journal of Machine
        Learning Research 7, 2006, figure 1). The axis shows the average ranks. The best rank, 1, is
        on the left.
    """
    ranks = result.average_ranks
    k = len(ranks)
    n_left = (k + 1) // 2
    bars_end = 0.35 * (len(result.groups) + 1)
    size = (8, 1.6 + 0.35 * (n_left + len(result.groups)))
    axes = use_axes(ax, 1, 1, size)[0, 0]
    axes.set_xlim(1, k)
    axes.set_ylim(bars_end + n_left, -1.4)
    axes.xaxis.set_ticks_position("top")
    axes.set_xticks(range(1, k + 1))
    axes.set_yticks([])
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.spines["top"].set_position(("data", 0))
    for place, (name, rank) in enumerate(ranks.items()):
        left = place < n_left
        height = bars_end + (place if left else k - 1 - place) + 0.4
        _label(axes, f"{name} ({rank:.2f})", rank, height, 1 if left else k, left)
    for row, group in enumerate(result.groups, start=1):
        ends = np.array([ranks[group[0]] - 0.03, ranks[group[-1]] + 0.03])
        axes.plot(ends, [0.35 * row] * 2, color="black", linewidth=4, solid_capstyle="butt")
    distance = min(result.critical_difference, k - 1)
    axes.plot([1, 1 + distance], [-1.0] * 2, color="black", marker="|", linewidth=1)
    axes.text(1 + distance / 2, -1.1, f"CD = {result.critical_difference:.2f}", ha="center")
    axes.set_title(
        f"Average ranks over {result.n_studies} studies, Nemenyi test at {result.alpha:g}; "
        f"Friedman p = {result.p_friedman:.3g}",
        fontsize="medium",
        pad=18,
    )
    return axes


def _label(axes: Axes, text: str, rank: float, height: float, end: float, left: bool) -> None:
    """Draw a line from a rank on the axis to the name of the pipeline."""
    axes.plot([rank, rank, end], [0, height, height], color="0.3", linewidth=1, clip_on=False)
    axes.annotate(
        text,
        (end, height),
        (-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        annotation_clip=False,
    )
