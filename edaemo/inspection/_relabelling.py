"""A figure of the ratings and thresholds of one subject."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from edaemo._validation import find_ids, suggest
from edaemo.inspection._axes import use_axes
from edaemo.preprocessing import AXES, SubjectThresholdRelabeler

LOW, HIGH = "#1f5a8a", "#c25b17"
DOT = 30  # area of one trial's dot, in points²
CENTRE, MIDPOINT = "X", "D"  # markers


def plot_relabelling(
    ratings: pd.DataFrame,
    person: Hashable,
    *,
    global_threshold: float,
    subject: Sequence[Any] | None = None,
    ax: Axes | np.ndarray | list[Axes] | None = None,
) -> np.ndarray:
    """Draw how the ratings of one subject are labelled low and high by the subject's threshold.

    The figure follows Figure 3 of [1]_. It shows the ratings in the plane of valence and arousal,
    the two centres of 2-means, their midpoint, and the line through the midpoint that separates low
    from high. For comparison, it also shows the global threshold. One panel is for arousal, the
    other for valence. The area of a dot is proportional to the number of trials with these ratings.

    Parameters
    ----------
    ratings : DataFrame or array of shape (n_trials, 2)
        Columns ``valence`` and ``arousal``, in this order in an array. Ratings of one subject or of
        all subjects.
    person : label
        Subject whose ratings are drawn.
    global_threshold : float
        The global threshold of both axes, in the unit of the ratings, such as 5 on a scale from 1
        to 9.
    subject : array-like of shape (n_trials,) or None, default=None
        Subject of each row. None: the column or index level ``subject`` of `ratings`.
    ax : sequence of two Axes or None, default=None
        The axes to draw on; None: a new figure.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, of shape (2,)
        Arousal, valence. Save the figure with ``axes[0].figure.savefig(path)``.

    Raises
    ------
    ValueError
        If the subject has no ratings, the subjects are unknown, `global_threshold` is not finite,
        or :class:`edaemo.SubjectThresholdRelabeler` raises a ValueError for the ratings.

    See Also
    --------
    edaemo.preprocessing.SubjectThresholdRelabeler : The labels.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022), section
       4.2.

    Examples
    --------
    >>> from edaemo.datasets import make_music_listening
    >>> from edaemo.inspection import plot_relabelling
    >>> study = make_music_listening(3, 20, 12, random_state=0)
    >>> axes = plot_relabelling(
    ...     study.ratings, "p1", global_threshold=5, subject=study.trials["subject"]
    ... )
    >>> print(axes[0].get_title())
    arousal: 6 high, 6 low
    3 of 12 change with the global threshold
    """
    ids = find_ids("subject", ratings, subject, needed_by="plot_relabelling")
    selected = np.array([subject_id == person for subject_id in ids])
    if not selected.any():
        raise ValueError(
            f"Subject {person!r} has no ratings: {suggest(person, map(str, set(ids)))}"
        )
    if not np.isfinite(global_threshold):
        raise ValueError(f"global_threshold must be a finite number, got {global_threshold!r}.")
    chosen = ratings[selected]
    relabeler = SubjectThresholdRelabeler("both", min_center_distance=0)
    quadrant = relabeler.fit(chosen, subject=ids[selected]).relabel(chosen, subject=ids[selected])
    points = np.asarray(
        chosen[list(AXES)] if isinstance(chosen, pd.DataFrame) else chosen, dtype=float
    )
    high = {"arousal": quadrant // 2 == 1, "valence": quadrant % 2 == 1}

    axes = use_axes(ax, 1, 2, (7, 4.6), sharex=True, sharey=True)[0]
    for panel, (axis, is_high) in zip(axes, high.items(), strict=True):
        line = panel.axhline if axis == "arousal" else panel.axvline
        line(relabeler.thresholds_.at[person, axis], color="black", linewidth=1.2)
        line(global_threshold, color="0.5", linewidth=1.2, linestyle="--")
        _draw_ratings(panel, points, is_high)
        _draw_markers(panel, relabeler.centers_.to_numpy(), CENTRE, 80)
        _draw_markers(panel, relabeler.thresholds_.loc[person].to_numpy()[None], MIDPOINT, 50)
        changed = (points[:, AXES.index(axis)] > global_threshold) != is_high
        panel.set_title(
            f"{axis}: {is_high.sum()} high, {(~is_high).sum()} low\n"
            f"{changed.sum()} of {len(points)} change with the global threshold",
            fontsize="medium",
        )
        panel.set_xlabel("valence rating")
        panel.margins(0.1)
    axes[0].set_ylabel("arousal rating")
    axes[0].figure.legend(
        handles=_handles(person), loc="outside lower center", ncols=3, frameon=False
    )
    return axes


def _draw_ratings(axes: Axes, points: np.ndarray, is_high: np.ndarray) -> None:
    """Draw a dot for each pair of ratings, with an area proportional to its count."""
    places, first, count = np.unique(points, axis=0, return_index=True, return_counts=True)
    colours = np.where(is_high[first], HIGH, LOW)
    valence, arousal = places.T
    axes.scatter(valence, arousal, s=DOT * count, c=colours, alpha=0.75, linewidths=0)


def _draw_markers(axes: Axes, points: np.ndarray, marker: str, area: float) -> None:
    """Draw black markers with an area in points² on top."""
    valence, arousal = points.T
    axes.scatter(
        valence, arousal, marker=marker, s=area, color="black", edgecolors="white", zorder=3
    )


def _handles(person: Hashable) -> list[Line2D]:
    """Return the handles of the legend; a dot has the area of one trial."""
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
