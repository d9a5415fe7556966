"""One person's ratings and thresholds as a picture."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edaemo._validation import find_ids, suggest
from edaemo.preprocessing import AXES, SubjectThresholdRelabeler

LOW, HIGH = "#1f5a8a", "#c25b17"
DOT = 30  # area of one trial's dot, in points²
CENTRE, MIDPOINT = "X", "D"  # markers


def plot_relabelling(
    ratings: pd.DataFrame,
    person: Hashable,
    *,
    global_threshold: float,
    subject: Sequence | None = None,
) -> np.ndarray:
    """Draw how one person's ratings become low and high, by the person's own threshold.

    Figure 3 of [1]_: the ratings in the plane of valence and arousal, the two centres of 2-means,
    their midpoint, and the line through it that parts low from high; and, for comparison, the
    threshold that is the same for everybody. One panel for arousal, one for valence. The area of a
    dot is the number of trials with these ratings.

    Parameters
    ----------
    ratings : DataFrame or array of shape (n_trials, 2)
        Columns ``valence`` and ``arousal``, valence first in an array; of one person or of all.
    person : label
        Whose ratings are drawn.
    global_threshold : float
        The threshold for everybody on both axes, in the unit of the ratings: 5 on a scale from 1 to
        9.
    subject : array-like of shape (n_trials,) or None, default=None
        Whose ratings each row holds; when None, the column or index level ``subject``.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, of shape (2,)
        Arousal, valence. ``axes[0].figure.savefig(path)`` saves them.

    Raises
    ------
    ValueError
        If the person has no ratings here, subjects are not known, `global_threshold` is not finite,
        or :class:`edaemo.SubjectThresholdRelabeler` refuses the ratings.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022), section
       4.2.
    """
    ids = find_ids("subject", ratings, subject, needed_by="plot_relabelling")
    mine = np.array([one == person for one in ids])
    if not mine.any():
        raise ValueError(f"{person!r} has no ratings here: {suggest(person, map(str, set(ids)))}")
    if not np.isfinite(global_threshold):
        raise ValueError(f"global_threshold must be a finite number, got {global_threshold!r}.")
    own = ratings[mine]
    relabeler = SubjectThresholdRelabeler("both", min_center_distance=0)
    quadrant = relabeler.fit(own, subject=ids[mine]).relabel(own, subject=ids[mine])
    points = np.asarray(own[list(AXES)] if isinstance(own, pd.DataFrame) else own, dtype=float)
    high = {"arousal": quadrant // 2 == 1, "valence": quadrant % 2 == 1}

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for panel, (axis, is_high) in zip(axes, high.items(), strict=True):
        line = panel.axhline if axis == "arousal" else panel.axvline
        line(relabeler.thresholds_.at[person, axis], color="black", linewidth=1.2)
        line(global_threshold, color="0.5", linewidth=1.2, linestyle="--")
        _draw_ratings(panel, points, is_high)
        _draw_signs(panel, relabeler.centers_.to_numpy(), CENTRE, 80)
        _draw_signs(panel, relabeler.thresholds_.loc[person].to_numpy()[None], MIDPOINT, 50)
        turned = (points[:, AXES.index(axis)] > global_threshold) != is_high
        panel.set_title(
            f"{axis}: {is_high.sum()} high, {(~is_high).sum()} low\n"
            f"{turned.sum()} of {len(points)} differ by the global one",
            fontsize="medium",
        )
        panel.set_xlabel("valence rating")
        panel.margins(0.1)
    axes[0].set_ylabel("arousal rating")
    figure.legend(handles=_handles(person), loc="outside lower center", ncols=3, frameon=False)
    return axes


def _draw_ratings(axes: Axes, points: np.ndarray, is_high: np.ndarray) -> None:
    """Draw a dot for each pair of ratings, as large as it was frequent."""
    places, first, count = np.unique(points, axis=0, return_index=True, return_counts=True)
    colours = np.where(is_high[first], HIGH, LOW)
    valence, arousal = places.T
    axes.scatter(valence, arousal, s=DOT * count, c=colours, alpha=0.75, linewidths=0)


def _draw_signs(axes: Axes, points: np.ndarray, marker: str, area: float) -> None:
    """Draw black signs of an area in points² above all else."""
    valence, arousal = points.T
    axes.scatter(
        valence, arousal, marker=marker, s=area, color="black", edgecolors="white", zorder=3
    )


def _handles(person: Hashable) -> list[Line2D]:
    """Say what is what; a dot is that of one trial."""
    no_line = partial(Line2D, [], [], linestyle="")
    dot = partial(no_line, marker="o", markersize=DOT**0.5, alpha=0.75, markeredgewidth=0)
    sign = partial(no_line, markersize=7, color="black")
    return [
        dot(color=HIGH, label="high"),
        dot(color=LOW, label="low"),
        sign(marker=CENTRE, label="centres"),
        sign(marker=MIDPOINT, label="midpoint"),
        Line2D([], [], color="black", label=f"threshold of {person}"),
        Line2D([], [], color="0.5", linestyle="--", label="global threshold"),
    ]
