"""A figure of a comparison."""

from __future__ import annotations

from itertools import compress

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from edaemo.inspection._axes import use_axes
from edaemo.statistics import make_task


def plot_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the score of each model, its confidence interval over subjects, and chance.

    The score is the one that the statistical tests use, as the mean over people: balanced accuracy
    for classes, concordance correlation for numbers and series.

    Parameters
    ----------
    table : DataFrame
        Rows of the same study, target, threshold and protocol, as
        :func:`edaemo.benchmark.evaluate` returns them.
    ax : Axes or None, default=None
        The axes to draw on; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Save the figure with ``axes.figure.savefig(path)``.
    """
    n = len(table)
    axes = use_axes(ax, 1, 1, (7, 1.6 + 0.4 * n))[0, 0]
    task = make_task(table["task"].iloc[0])
    score, low, high = (table[task.tested_column + end].to_numpy() for end in ("", "_low", "_high"))
    error = [score - low, high - score]
    rows = range(n)
    axes.axvline(table["chance"].iloc[0], color="0.6", linestyle="--", linewidth=1, label="chance")
    axes.errorbar(score, rows, xerr=error, fmt="o", color="#1f5a8a", capsize=3)
    for row, value in compress(zip(rows, score, strict=True), np.isfinite(score)):
        axes.annotate(f"{value:.2f}", (value, row), (0, 6), textcoords="offset points", ha="center")
    axes.set_yticks(rows, table["pipeline"])
    axes.set_ylim(n - 0.4, -0.8)
    axes.set_xlabel(f"{task.tested_title}, mean over people with 95 % interval")
    first = table.iloc[0]
    held_out = f"protocol {first['protocol']}, {first['n_folds']} folds"
    if first["warning"]:
        held_out += f" ({first['warning']})"
    axes.set_title(
        f"{first['study']}{' (artificial)' if first['artificial'] else ''}, {first['target']}: "
        f"{first['n_people']} people, {first['n_trials']} "
        f"trials\n{held_out}",
        fontsize="medium",
    )
    axes.legend(loc="best", fontsize="small", frameon=False)
    return axes
