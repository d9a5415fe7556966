"""A figure of scores against the share of the subjects."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from edaemo.inspection._axes import use_axes

_COLOURS = {"SVM": "#7a7a7a", "3-layer CNN": "#c2701e", "RTCAG": "#1f5a8a"}
_APART = 1.2  # horizontal distance between the points of two models, in percent of the subjects
_NAMES = {"accuracy": "accuracy", "f1": "F1", "balanced_accuracy": "balanced accuracy"}


class _Reproduction(Protocol):
    """The attributes of :class:`edaemo.benchmark.Reproduction` that the figure needs."""

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...


def plot_learning_curve(
    made: _Reproduction,
    *,
    score: str = "accuracy",
    ax: Axes | np.ndarray | list[Axes] | None = None,
) -> np.ndarray:
    """Draw a score of each model against the share of the subjects, one panel per protocol.

    Parameters
    ----------
    made : Reproduction
        The result of :func:`edaemo.benchmark.reproduce_figure4`.
    score : {"accuracy", "f1", "balanced_accuracy"}, default="accuracy"
        The score. The paper's figure shows accuracy.
    ax : sequence of Axes or None, default=None
        The axes to draw on, row by row; None: a new figure.

    Returns
    -------
    ndarray of Axes of shape (n_protocols, n_targets)
        Save the figure with ``axes[0, 0].figure.savefig(path)``. Points have 95 % intervals over
        subjects. Hollow points are published numbers; they are shown with the shrinking set, from
        which they come. The dotted line is the majority class. Points that could not be computed
        are missing.

    Raises
    ------
    ValueError
        If the score is unknown, or `ax` holds another number of axes.
    """
    if score not in _NAMES:
        raise ValueError(f"score must be one of {list(_NAMES)}, got {score!r}.")
    table = made.table[made.table["score"] == score]
    ways, targets = table["way"].unique(), table["target"].unique()
    size = (4.4 * len(targets), 3.4 * len(ways))
    panels = use_axes(ax, len(ways), len(targets), size, sharex=True, sharey=True)
    figure = panels[0, 0].figure
    for row, way in zip(panels, ways, strict=True):
        for axes, target in zip(row, targets, strict=True):
            _draw(axes, table[(table["way"] == way) & (table["target"] == target)])
            axes.set_title(f"{target}, {way}", fontsize="medium")
        row[0].set_ylabel(f"{_NAMES[score]} (%)")
    for axes in panels[-1]:
        axes.set_xlabel("share of the people (%)")
    dataset = table.loc[table["percent"] == 100, "dataset"].iloc[0]
    artificial = any("ARTIFICIAL" in remark for remark in made.remarks)
    figure.suptitle(f"{dataset}{' (artificial)' * artificial}: EDA alone, whole people held out")
    entries = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    return panels


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    shares = np.sort(table["percent"].unique())
    majority = table[table["method"] == "majority"].sort_values("percent")
    axes.plot(majority["percent"], majority["measured"], ":", color="black", label="majority class")
    models = table[~table["reference"]].groupby("method", sort=False)
    for i, (method, points) in enumerate(models):
        points = points.sort_values("percent")
        colour, x = _COLOURS[method], points["percent"] + _APART * (i - 1)
        error = [points["measured"] - points["low"], points["high"] - points["measured"]]
        axes.errorbar(
            x, points["measured"], yerr=error, fmt="o-", color=colour, capsize=3, label=method
        )
        if (points["published"].notna() & (points["percent"] < 100)).any():
            source = points["published_of"].dropna().iloc[0]
            label = f"{method}, published ({source})"
            axes.plot(
                x, points["published"], "o--", mfc="none", color=colour, alpha=0.7, label=label
            )
    axes.set_xticks(shares)
