"""The comparison as a picture."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure


def plot_comparison(table: pd.DataFrame) -> Figure:
    """Draw each model's balanced accuracy with its interval over people, beside chance.

    Parameters
    ----------
    table : DataFrame
        As :func:`edaemo.benchmark.compare` returns it.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig(path)``.
    """
    n = len(table)
    figure = Figure(figsize=(7, 1.6 + 0.4 * n), layout="constrained")
    axes = figure.add_subplot()
    score, low, high = (
        table[f"balanced_accuracy{end}"].to_numpy() for end in ("", "_low", "_high")
    )
    error = [score - low, high - score]
    rows = range(n)
    axes.axvline(0.5, color="0.6", linestyle="--", linewidth=1, label="chance")
    axes.errorbar(score, rows, xerr=error, fmt="o", color="#1f5a8a", capsize=3)
    for row, value in zip(rows, score, strict=True):
        axes.annotate(f"{value:.2f}", (value, row), (0, 6), textcoords="offset points", ha="center")
    axes.set_yticks(rows, table["model"])
    axes.set_ylim(n - 0.4, -0.8)
    axes.set_xlabel("balanced accuracy, 95 % bootstrap interval over people")
    first = table.iloc[0]
    axes.set_title(
        f"{first['study']}, {first['target']}: {first['n_people']} people, {first['n_trials']} "
        f"trials, {first['n_folds']} folds of whole people",
        fontsize="medium",
    )
    axes.legend(loc="best", fontsize="small", frameon=False)
    return figure
