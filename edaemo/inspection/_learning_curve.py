"""Scores against the share of the people, as a picture."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOURS = {"SVM": "#7a7a7a", "3-layer CNN": "#c2701e", "RTCAG": "#1f5a8a"}
_APART = 1.2  # percent of the people between the points of two models
_NAMES = {"accuracy": "accuracy", "f1": "F1", "balanced_accuracy": "balanced accuracy"}


class _Reproduction(Protocol):
    """What is read of a :class:`edaemo.benchmark.Reproduction`."""

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...


def plot_learning_curve(made: _Reproduction, *, score: str = "accuracy") -> Figure:
    """Draw a score of each model against the share of the people, one panel for each way.

    Parameters
    ----------
    made : Reproduction
        What :func:`edaemo.benchmark.reproduce_figure4` returns.
    score : {"accuracy", "f1", "balanced_accuracy"}, default="accuracy"
        The paper's figure is of the first.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig(path)``. Points with 95 % intervals over people; published
        numbers hollow, beside the shrinking set that they come from; a dotted line for the
        majority class. Points that could not be run are missing.

    Raises
    ------
    ValueError
        If there is no such score.
    """
    if score not in _NAMES:
        raise ValueError(f"score={score!r}: one of {list(_NAMES)}.")
    table = made.table[made.table["score"] == score]
    ways, targets = table["way"].unique(), table["target"].unique()
    figure = Figure(figsize=(4.4 * len(targets), 3.4 * len(ways)), layout="constrained")
    panels = figure.subplots(len(ways), len(targets), sharex=True, sharey=True, squeeze=False)
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
    return figure


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    shares = np.sort(table["percent"].unique())
    majority = table[table["method"] == "majority"].sort_values("percent")
    axes.plot(majority["percent"], majority["measured"], ":", color="black", label="majority class")
    models = table[~table["reference"]].groupby("method", sort=False)
    for place, (method, own) in enumerate(models):
        own = own.sort_values("percent")
        colour, x = _COLOURS[method], own["percent"] + _APART * (place - 1)
        error = [own["measured"] - own["low"], own["high"] - own["measured"]]
        axes.errorbar(
            x, own["measured"], yerr=error, fmt="o-", color=colour, capsize=3, label=method
        )
        if (own["published"].notna() & (own["percent"] < 100)).any():
            whose = own["published_of"].dropna().iloc[0]
            label = f"{method}, published ({whose})"
            axes.plot(x, own["published"], "o--", mfc="none", color=colour, alpha=0.7, label=label)
    axes.set_xticks(shares)
