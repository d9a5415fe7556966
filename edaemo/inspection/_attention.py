"""One trial and what networks looked at in it as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from edaemo.inspection._attribution import FEATURES, Attribution


class _Fill(TypedDict):
    """How columns are filled."""

    facecolor: str
    alpha: float


class _Style(TypedDict):
    """How a curve is drawn."""

    color: str
    linewidth: float
    label: str


# As in the paper: red, blue and green for original, phasic and tonic.
COLOURS = {"original": "#c0392b", "phasic": "#1f5a8a", "tonic": "#3b7d3a"}
OTHERS = ("#8e5ea2", "#c25b17", "#17807e", "#7a5230")
COLUMN: _Fill = {"facecolor": "black", "alpha": 0.45}
WIDTH = 7.0  # inches: the text of a page
MOST_COLUMNS = 80  # in a panel: more cannot be told apart in a third of a page


def plot_attention(
    attributions: Mapping[str, Attribution],
    sampling_rate: float,
    *,
    trial: int = 0,
    start: float = 0.0,
    raw: np.ndarray | None = None,
    raw_rate: float | None = None,
) -> np.ndarray:
    """Draw one trial's channels with their weights as columns, and the weights as a heat map.

    Figures 5 to 8 of [1]_, with the models side by side: above the curves of the channels and,
    behind them, black columns, below a heat map with a row for each channel. Drawn is the size of
    the weights, whatever their sign: means over two samples, for which a position of an attention
    module stands, or over more, an even number, so that there are at most 80 columns; and as a
    share of the largest in the same panel. A column is the mean over the channels. Weights of
    different networks have no common unit: panels can be compared by where they are high, not by
    how high.

    Parameters
    ----------
    attributions : mapping from title to GradCAM or IntegratedGradients
        Of networks on signals, in the order of the panels: of the channel, the temporal and the
        combined model for instance. All of them of the same trials.
    sampling_rate : float
        Samples per second (Hz) of the channels as the networks got them; where trials were
        interpolated, ``n_times`` divided by the trial's seconds.
    trial : int, default=0
        Row of the trial.
    start : float, default=0.0
        Seconds of the trial at the channels' first sample; 3 where
        :class:`edaemo.CvxEDATransformer` has dropped its first 3 seconds.
    raw : ndarray of shape (n_samples,) or None, default=None
        The recording of the whole trial in microsiemens, to be drawn above.
    raw_rate : float or None, default=None
        Samples per second (Hz) of `raw`; None: `sampling_rate`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, of shape (2, n_models), or (3, n_models) with `raw`
        From above: recording, curves, heat map. ``axes[0, 0].figure.savefig(path)`` saves them. The
        columns' scale, and the colour bar, are further axes of the figure.

    Raises
    ------
    ValueError
        If there is no attribution, one is of features instead of a signal, they are not of the
        same trials, there is no such trial, a rate is not positive, or `raw` is no 1-D array of
        finite numbers.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022).
    """
    signals, channels = _check(attributions, trial)
    rates = {
        "sampling_rate": sampling_rate,
        "raw_rate": sampling_rate if raw_rate is None else raw_rate,
    }
    for name, rate in rates.items():
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"{name} must be a positive number of Hz, got {rate!r}.")
    n_rows = 2 if raw is None else 3
    figure = Figure(figsize=(WIDTH, 1.0 + 1.5 * n_rows), layout="constrained")
    axes = figure.subplots(
        n_rows,
        len(attributions),
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=[0.8, 1.3, 0.8][-n_rows:],
    )
    time = start + np.arange(signals.shape[-1] + 1) / sampling_rate
    for column, (title, one) in zip(axes.T, attributions.items(), strict=True):
        if raw is not None:
            _draw_raw(column[0], raw, rates["raw_rate"])
        edges, share = _in_columns(time, one.weights[trial])
        scale = _draw_columns(column[-2], edges, share)
        scale.tick_params(labelright=column[-2] is axes[-2, -1])
        for k, signal in enumerate(signals):
            column[-2].plot(time[:-1], signal, **_style(k, channels))
        heat = _draw_heat(column[-1], edges, share, channels)
        column[0].set_title(title, fontsize="medium")
        column[-1].set_xlabel("time (s)")
        column[-1].set_xlim(start if raw is None else min(start, 0.0), time[-1])
    if raw is not None:
        axes[0, 0].set_ylabel("EDA (µS)")
    axes[-2, 0].set_ylabel("channels (z)")
    scale.set_ylabel("weight")
    beside = axes[-1, -1].inset_axes((1.05, 0, 0.06, 1))
    figure.colorbar(heat, cax=beside, label="weight", ticks=[0, 0.5, 1])
    lines = [Line2D([], [], **_style(k, channels)) for k in range(len(channels))]
    columns = Patch(**COLUMN, label="weight (share of the panel's largest)")
    figure.legend(handles=[*lines, columns], loc="outside lower center", ncols=4, frameon=False)
    return axes


def _check(
    attributions: Mapping[str, Attribution], trial: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the trial's signals and their names, which all attributions have in common."""
    if not attributions:
        raise ValueError("There is nothing to draw: give at least one attribution.")
    title, first = next(iter(attributions.items()))
    for other, one in attributions.items():
        if one.channels == FEATURES:
            raise ValueError(
                f"{other!r} weighs features, which have no time axis: plot_attention draws "
                "networks on signals, such as RTCANClassifier."
            )
        if one.channels != first.channels or not np.array_equal(one.signals, first.signals):
            raise ValueError(
                f"{title!r} and {other!r} are not of the same trials: ask all networks about one X."
            )
    n_trials = len(first.signals)
    if not 0 <= trial < n_trials:
        raise ValueError(f"There is no trial {trial}: the attributions are of {n_trials} trials.")
    return first.signals[trial], first.channels


def _in_columns(time: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the edges of columns, and the mean size of the weights in each, for each channel."""
    n_times = weights.shape[-1]
    width = 2 * -(-n_times // (2 * MOST_COLUMNS))
    starts = np.arange(0, n_times, width)
    ends = np.append(starts[1:], n_times)
    size = np.add.reduceat(np.abs(weights), starts, axis=-1) / (ends - starts)
    return time[np.append(starts, n_times)], _share_of_largest(size)


def _share_of_largest(size: np.ndarray) -> np.ndarray:
    return size / size.max() if size.any() else size


def _style(k: int, channels: tuple[str, ...]) -> _Style:
    """Say how the curve of channel k is drawn."""
    colour = COLOURS.get(channels[k], OTHERS[k % len(OTHERS)])
    return {"color": colour, "linewidth": 1.2, "label": channels[k]}


def _draw_raw(axes: Axes, raw: np.ndarray, rate: float) -> None:
    raw = np.asarray(raw, dtype=float)
    if raw.ndim != 1 or not len(raw) or not np.isfinite(raw).all():
        raise ValueError(f"raw must be a 1-D array of finite numbers, got shape {raw.shape}.")
    axes.plot(np.arange(len(raw)) / rate, raw, color="0.3", linewidth=1.2)


def _draw_columns(axes: Axes, edges: np.ndarray, share: np.ndarray) -> Axes:
    """Draw columns behind what will be drawn on the axes; return their own axes."""
    behind = axes.twinx()
    behind.stairs(_share_of_largest(share.mean(axis=0)), edges, fill=True, **COLUMN)
    behind.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    return behind


def _draw_heat(
    axes: Axes, edges: np.ndarray, share: np.ndarray, channels: tuple[str, ...]
) -> QuadMesh:
    rows = np.arange(len(channels) + 1)
    heat = axes.pcolormesh(edges, rows, share, cmap="inferno", vmin=0, vmax=1, rasterized=True)
    axes.set_ylim(len(channels), 0)
    axes.set_yticks(rows[:-1] + 0.5, channels)
    axes.set_facecolor("0.85")  # where there is no channel
    return heat
