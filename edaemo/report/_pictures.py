"""Draw the figures of a report as images that are embedded in the page."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from io import BytesIO
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width
from urllib.parse import quote

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from edaemo.evaluation import LearningCurve
from edaemo.report._page import Picture, number
from edaemo.statistics import Calibration

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

# Blue, vermilion, bluish green (Okabe & Ito 2008), wine (Tol 2021) and black. They are distinct
# with all common kinds of colour vision, and each has a contrast of at least 3:1 on white. Lines
# also have different patterns.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#882255", "#000000")
PATTERNS = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
WIDTH = 4.8  # inches; text is still readable on a phone
N_CURVE = 60  # points of a ROC curve
MOST_DOTS = 2500  # as vectors; more are drawn as pixels
MOST_FOLDS = 10  # with a thin line for each loss curve
LONGEST = 28  # letters of a name at an axis
LETTER = 0.083  # inches, width of a wide letter at 9 points
STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",  # text in the reader's fonts, for all alphabets
    "text.parse_math": False,  # names are not formulas
    "svg.hashsalt": "edaemo",  # the same picture, byte for byte
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def embed(figure: Figure, caption: str, alt: str) -> Picture:
    """Return a figure as an image that is embedded in the page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = BytesIO()
    with _style(), warnings.catch_warnings():
        # Matplotlib only estimates the widths of these letters; it does not draw them.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        # savefig would draw the figure twice, the first time only for the layout.
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
    text = file.getvalue().decode()
    text = text[text.index("<svg") :]
    source = "data:image/svg+xml," + quote(text.replace("\n", " "), safe=" =:/;,()'-.")
    return Picture(source, caption, alt)


def draw_people(
    people: Mapping[str, np.ndarray],
    means: pd.DataFrame,
    references: set[str],
    score: str,
    chance: float,
) -> Picture:
    """Draw each person's score as a dot, with a row of dots for each pipeline.

    Parameters
    ----------
    people : mapping of str to ndarray of shape (n_people,)
        The scores by pipeline.
    means : DataFrame
        Index pipeline; ``over_people``, ``over_people_low``, ``over_people_high``.
    references : set of str
        Pipelines that are drawn in grey.
    score : str
        Title of the score.
    chance : float
        Score at chance.
    """
    n, n_dots = len(people), sum(map(len, people.values()))
    shown = [_shown(name) for name in people]
    figure = _figure(0.9 + 0.3 * n, left=0.15 + LETTER * max(map(_measure, shown)))
    with _style():
        axes = figure.add_subplot()
        axes.axvline(chance, color="0.35", linestyle="--", linewidth=1)
        rng = np.random.default_rng(0)
        for row, (name, scores) in enumerate(people.items()):
            axes.scatter(
                scores,
                row + rng.uniform(-0.28, 0.28, len(scores)),
                s=13,
                color="0.55" if name in references else COLOURS[0],
                alpha=0.55,
                linewidths=0,
                rasterized=n_dots > MOST_DOTS,
            )
        mean, low, high = (
            means[f"over_people{end}"][list(people)] for end in ("", "_low", "_high")
        )
        error = [(mean - low).clip(0).to_numpy(), (high - mean).clip(0).to_numpy()]
        axes.errorbar(mean, range(n), xerr=error, fmt="D", color="black", ms=4, capsize=3, lw=1.3)
        axes.set_yticks(range(n), shown)
        axes.set_ylim(n - 0.4, -0.6)
        axes.set_xlim(-0.03 if chance > 0 else -1.03, 1.03)  # a correlation may be negative
        axes.set_xlabel(f"{score} of a person")
    values = "; ".join(
        f"{name}, no person has a score"
        if np.isnan(scores).all()
        else f"{name} {number(mean[name], 2)}, people from {np.nanmin(scores):.2f} to "
        f"{np.nanmax(scores):.2f}"
        for name, scores in people.items()
    )
    caption = (
        "Each dot is one person; the diamond is the mean over people with its 95 % interval. "
        "Dashed: chance. Grey: rows that use no EDA. Vertical jitter only separates points."
    )
    return embed(figure, caption, f"{score[:1].upper()}{score[1:]} over people. Means: {values}.")


def draw_probabilities(
    trials: Mapping[str, pd.DataFrame],
    auc: Mapping[str, float],
    calibrations: Mapping[str, Calibration],
) -> list[Picture]:
    """Draw ROC and calibration curves, with up to five pipelines in each figure."""
    pictures = []
    for start in range(0, len(trials), len(COLOURS)):
        names = list(trials)[start : start + len(COLOURS)]
        n_lines = -(-len(names) // 2)  # of the legend
        figure = _figure(4.4 + 0.18 * n_lines, bottom=0.52 + 0.18 * n_lines, top=0.25, between=0.3)
        with _style():
            grid = figure.add_gridspec(2, 2, height_ratios=(2, 1), hspace=0.45)
            roc, calibrated = (figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1]))
            counts = figure.add_subplot(grid[1, :])
            for axes in (roc, calibrated):
                axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
                axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
                axes.set_box_aspect(1)
            for style, name in zip(_styles(), names, strict=False):
                rows = trials[name]
                if rows["label"].nunique() < 2:
                    continue
                false, true, _ = roc_curve(rows["label"], rows["probability"])
                rates = np.linspace(0, 1, N_CURVE) if len(false) > N_CURVE else false
                if len(false) > N_CURVE:
                    true = np.interp(rates, false, true)
                label = f"{_shown(name)} ({number(auc[name], 2)})"
                roc.plot(rates, true, color=style[0], linestyle=style[1], label=label, lw=1.4)
                curve = calibrations[name].curve
                line = dict(zip(("color", "linestyle", "marker"), style, strict=True))
                calibrated.plot(curve["probability"], curve["share"], **line, lw=1.2, ms=3.5)
                counts.plot(curve["probability"], curve["n_trials"], **line, lw=1.2, ms=3.5)
            roc.set(xlabel="false positive rate", ylabel="true positive rate")
            calibrated.set(xlabel="predicted probability", ylabel="observed share of 1")
            counts.set(xlabel="predicted probability", ylabel="trials in the bin", yscale="log")
            counts.yaxis.set_major_formatter("{x:g}")
            counts.yaxis.set_minor_formatter("")
            for letter, axes in zip("abc", (roc, calibrated, counts), strict=True):
                axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
                axes.set_xlim(-0.05, 1.05)
                _letter(axes, letter)
            figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=8)
        areas = ", ".join(f"{name} {number(auc[name], 2)}" for name in names)
        caption = (
            "a: ROC of all trials together; in brackets the AUC within folds, which differs from "
            "the area under this curve if folds have different scales. b: calibration in ten bins "
            "of equal width; points on the thin line are perfectly calibrated. c: number of trials "
            "in each of these bins, over all repeats."
        )
        alt = f"ROC and calibration curves. AUC within folds: {areas}. Numbers: see the table."
        pictures.append(embed(figure, caption, alt))
    return pictures


def draw_training(
    losses: Mapping[str, list[dict[str, list[float]]]], loss: str = "cross-entropy (nats)"
) -> list[Picture]:
    """Draw the loss by epoch of every fold of each network, and the mean over folds.

    Parameters
    ----------
    losses : mapping of str to list of dict
        By pipeline, for each fold ``train_loss`` and, with early stopping, ``valid_loss``.
    loss : str, default="cross-entropy (nats)"
        Title of the loss, with its unit.
    """
    pictures = []
    names = {"train_loss": "training", "valid_loss": "validation"}
    for pipeline, folds in losses.items():
        figure = _figure(2.6)
        changes = []
        with _style():
            axes = figure.add_subplot()
            for (key, name), (colour, pattern, _) in zip(names.items(), _styles(), strict=False):
                curves = [fold[key] for fold in folds if fold.get(key)]
                if not curves:
                    continue
                for curve in curves[:MOST_FOLDS]:
                    axes.plot(range(1, len(curve) + 1), curve, color=colour, lw=0.5, alpha=0.3)
                padded = list(zip_longest(*curves, fillvalue=np.nan))
                mean = np.nanmean(np.array(padded, dtype=float), axis=1)
                epochs = range(1, len(mean) + 1)
                axes.plot(epochs, mean, color=colour, linestyle=pattern, lw=1.8, label=name)
                changes.append(f"{name} loss from {mean[0]:.3f} to {mean[-1]:.3f}")
            axes.set(xlabel="epoch", ylabel=loss)
            axes.locator_params(axis="x", integer=True)
            _fit_left(figure, axes)
            axes.legend(frameon=False, fontsize=8)
        caption = (
            f"{pipeline}: loss by epoch. Thin: each of {len(folds)} folds, {MOST_FOLDS} at most. "
            "Thick: mean over all folds that reached the epoch."
        )
        alt = f"Training curves of {pipeline}: mean {', '.join(changes)}."
        pictures.append(embed(figure, caption, alt))
    return pictures


def draw_shares(curve: LearningCurve) -> Picture:
    """Draw the score against the number of training people of a fold."""
    curves, score = curve.points, curve.task.tested_title
    n_lines = -(-curves["pipeline"].nunique() // 2)  # of the legend
    figure = _figure(3.2 + 0.18 * n_lines, bottom=0.55 + 0.18 * n_lines)
    changes = []
    with _style():
        axes = figure.add_subplot()
        axes.axhline(curve.task.chance, color="0.35", linestyle="--", linewidth=1)
        by_pipeline = curves.sort_values("n_training_people").groupby("pipeline", sort=False)
        for (name, rows), style in zip(by_pipeline, cycle(_styles())):
            axes.errorbar(
                rows["n_training_people"],
                rows["score"],
                yerr=[
                    (rows["score"] - rows["low"]).clip(0),
                    (rows["high"] - rows["score"]).clip(0),
                ],
                label=_shown(name),
                capsize=2,
                ms=4,
                lw=1.2,
                **dict(zip(("color", "linestyle", "marker"), style, strict=True)),
            )
            points = zip(rows["n_training_people"], rows["score"], strict=True)
            changes.append(f"{name}: " + ", ".join(f"{s:.2f} of {n:.0f} people" for n, s in points))
        axes.set(xlabel="training people of a fold", ylabel=score)
        _fit_left(figure, axes)
        figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=8)
    caption = f"{curve.name}: {score} with its 95 % interval. Dashed: chance."
    return embed(figure, caption, f"Learning curves. {'; '.join(changes)}.")


def draw_ratings(ratings: pd.DataFrame, person: Hashable, middle: float, study: str) -> Picture:
    """Draw one person's ratings and thresholds, Figure 3 of the RTCAN-1D paper."""
    from matplotlib.figure import Figure

    from edaemo.inspection import plot_relabelling

    with _style():
        figure = Figure(figsize=(7, 4.6), layout="constrained")
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        plot_relabelling(ratings, person, global_threshold=middle, ax=axes)
        for letter, panel in zip("ab", axes, strict=True):
            _letter(panel, letter)
    titles = "; ".join(panel.get_title().replace("\n", ", ") for panel in axes)
    caption = (
        f"{study}, {person}: ratings of valence and arousal in points of the scale, the two "
        "centres of 2-means, and the threshold between the centres. a: labels of arousal; b: "
        f"labels of valence. Dashed: the middle of the scale, {middle:g}."
    )
    return embed(figure, caption, f"Ratings of {person}. {titles}.")


def _figure(
    height: float,
    *,
    left: float = 0.6,
    bottom: float = 0.5,
    top: float = 0.1,
    between: float = 0.2,
) -> Figure:
    """Return an empty figure with these margins, in inches, and this space between panels.

    Automatic margins of matplotlib would take half of the time of a report. They would also use the
    widths of letters in a font that is not the reader's.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=150)
    margins = {"left": left / WIDTH, "right": 1 - 0.15 / WIDTH}
    margins |= {"bottom": bottom / height, "top": 1 - top / height}
    figure.subplots_adjust(**margins, wspace=between)
    return figure


def _letter(axes: Axes, letter: str) -> None:
    """Write the letter of a panel above its upper left corner."""
    axes.set_title(letter, loc="left", fontsize=10, fontweight="bold")


def _fit_left(figure: Figure, axes: Axes) -> None:
    """Widen the left margin to the longest number at the y axis and the title of the axis."""
    ticks = axes.yaxis.get_major_formatter().format_ticks(list(axes.get_yticks()))
    figure.subplots_adjust(left=(0.4 + LETTER * max(map(len, ticks))) / WIDTH)


def _measure(text: str) -> int:
    """Return the number of letters; a wide letter counts twice."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _style() -> AbstractContextManager[None]:
    from matplotlib import rc_context

    return rc_context(STYLE)


def _styles() -> list[tuple[Any, ...]]:
    return list(zip(COLOURS, PATTERNS, MARKERS, strict=True))


def _shown(name: str) -> str:
    """Return a shortened name; a space precedes _ so that matplotlib shows it in legends."""
    short = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    return f" {short}" if short.startswith("_") else short
