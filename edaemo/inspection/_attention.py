"""A figure of one trial and the attributions of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from edaemo.inspection._axes import use_axes
from edaemo.inspection._results import FEATURES, Attribution


class _Fill(TypedDict):
    """Fill style of the columns."""

    facecolor: str
    alpha: float


class _Style(TypedDict):
    """Line style of a curve."""

    color: str
    linewidth: float
    label: str


# As in the paper: red, blue and green for original, phasic and tonic, in the shades of Okabe & Ito,
# which people with any colour vision can distinguish.
COLOURS = {"original": "#D55E00", "phasic": "#0072B2", "tonic": "#009E73"}
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000")
COLUMN: _Fill = {"facecolor": "black", "alpha": 0.45}
WIDTH = 7.0  # inches, the text width of a page
MOST_COLUMNS = 80  # per panel; more cannot be distinguished in a third of a page


def plot_attention(
    attributions: Mapping[str, Attribution],
    sampling_rate: float,
    *,
    trial: int = 0,
    start: float = 0.0,
    raw: np.ndarray | None = None,
    raw_rate: float | None = None,
    ax: np.ndarray | list[Axes] | None = None,
) -> np.ndarray:
    """Draw the channels of one trial, and their weights as columns and as a heat map.

    The figure follows Figures 5 to 8 of [1]_. Each model has one column of panels. The upper panel
    shows the curves of the channels, and black columns behind them. The lower panel is a heat map
    with a row for each channel. Both show the absolute values of the weights, averaged over two
    samples (one position of an attention module). For long signals the average is over a larger
    even number of samples, so that there are at most 80 columns. Values are divided by the largest
    value in the panel. A black column is the mean over the channels. Weights of different networks
    have no common unit: compare the positions of high weights between panels, not their heights.

    Parameters
    ----------
    attributions : mapping from title to GradCAM or IntegratedGradients
        Attributions of networks on signals, in the order of the panels, for example of the
        channel, the temporal and the combined model. All must be of the same trials.
    sampling_rate : float
        Samples per second (Hz) of the channels in the input of the networks. For interpolated
        trials, this is ``n_times`` divided by the duration of the trial in seconds.
    trial : int, default=0
        Row of the trial.
    start : float, default=0.0
        Time in the trial, in seconds, of the first sample of the channels. Use 3 if
        :class:`edaemo.CvxEDATransformer` dropped the first 3 seconds.
    raw : ndarray of shape (n_samples,) or None, default=None
        The recording of the whole trial in microsiemens, drawn in an additional panel at the top.
    raw_rate : float or None, default=None
        Samples per second (Hz) of `raw`; None: `sampling_rate`.
    ax : sequence of Axes or None, default=None
        The axes to draw on, row by row; None: a new figure.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, of shape (2, n_models), or (3, n_models) with `raw`
        From top to bottom: recording, curves, heat map. Save the figure with
        ``axes[0, 0].figure.savefig(path)``. The scale of the columns and the colour bar are
        additional axes of the figure.

    Raises
    ------
    ValueError
        If `attributions` is empty, an attribution is of features instead of a signal, the
        attributions are not of the same trials, the trial does not exist, a rate is not positive,
        or `raw` is not a 1-D array of finite numbers.

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
    axes = use_axes(
        ax,
        n_rows,
        len(attributions),
        (WIDTH, 1.0 + 1.5 * n_rows),
        sharex=True,
        sharey="row",
        height_ratios=[0.8, 1.3, 0.8][-n_rows:],
    )
    time = start + np.arange(signals.shape[-1] + 1) / sampling_rate
    for column, (title, attribution) in zip(axes.T, attributions.items(), strict=True):
        if raw is not None:
            _draw_raw(column[0], raw, rates["raw_rate"])
        edges, share = _in_columns(time, attribution.weights[trial])
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
    bar = axes[-1, -1].inset_axes((1.05, 0, 0.06, 1))
    figure = axes[0, 0].figure
    figure.colorbar(heat, cax=bar, label="weight", ticks=[0, 0.5, 1])
    lines = [Line2D([], [], **_style(k, channels)) for k in range(len(channels))]
    columns = Patch(**COLUMN, label="weight (share of the panel's largest)")
    figure.legend(handles=[*lines, columns], loc="outside lower center", ncols=4, frameon=False)
    return axes


def _check(
    attributions: Mapping[str, Attribution], trial: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the signals and channel names of the trial; raise a ValueError if they differ."""
    if not attributions:
        raise ValueError("attributions is empty: pass at least one attribution.")
    title, first = next(iter(attributions.items()))
    for other, attribution in attributions.items():
        if attribution.channels == FEATURES:
            raise ValueError(
                f"{other!r} weighs features, which have no time axis: plot_attention draws "
                "networks on signals, such as RTCANClassifier."
            )
        same_channels = attribution.channels == first.channels
        if not same_channels or not np.array_equal(attribution.signals, first.signals):
            raise ValueError(
                f"{title!r} and {other!r} are not of the same trials: explain all networks on the "
                "same X."
            )
    n_trials = len(first.signals)
    if not 0 <= trial < n_trials:
        raise ValueError(
            f"trial={trial} does not exist: the attributions are of {n_trials} trials."
        )
    return first.signals[trial], first.channels


def _in_columns(time: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the column edges, and each channel's mean absolute weight in each column."""
    n_times = weights.shape[-1]
    width = 2 * -(-n_times // (2 * MOST_COLUMNS))
    starts = np.arange(0, n_times, width)
    ends = np.append(starts[1:], n_times)
    size = np.add.reduceat(np.abs(weights), starts, axis=-1) / (ends - starts)
    return time[np.append(starts, n_times)], _share_of_largest(size)


def _share_of_largest(size: np.ndarray) -> np.ndarray:
    return size / size.max() if size.any() else size


def _style(k: int, channels: tuple[str, ...]) -> _Style:
    """Return the line style of channel k."""
    colour = COLOURS.get(channels[k], OTHERS[k % len(OTHERS)])
    return {"color": colour, "linewidth": 1.2, "label": channels[k]}


def _draw_raw(axes: Axes, raw: np.ndarray, rate: float) -> None:
    raw = np.asarray(raw, dtype=float)
    if raw.ndim != 1 or not len(raw) or not np.isfinite(raw).all():
        raise ValueError(f"raw must be a 1-D array of finite numbers, got shape {raw.shape}.")
    axes.plot(np.arange(len(raw)) / rate, raw, color="0.3", linewidth=1.2)


def _draw_columns(axes: Axes, edges: np.ndarray, share: np.ndarray) -> Axes:
    """Draw columns on new axes behind `axes`, and return the new axes."""
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
    axes.set_facecolor("0.85")  # outside the channels
    return heat
