"""The figures of a report, as pictures that lie in the page."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from io import BytesIO
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING
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

    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

# Blue, vermilion, bluish green (Okabe & Ito 2008), wine (Tol 2021) and black: told apart by all
# common kinds of colour vision, each at least 3:1 on white; lines differ in their pattern as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#882255", "#000000")
PATTERNS = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
WIDTH = 4.8  # inches: on a phone the letters are still read
N_CURVE = 60  # points of a ROC curve
MOST_DOTS = 2500  # in vectors
MOST_FOLDS = 10  # whose losses are drawn one by one
LONGEST = 28  # letters of a name beside an axis
LETTER = 0.083  # inches, a wide one of 9 points
STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",  # letters of all alphabets, by the fonts of who looks at it
    "text.parse_math": False,  # names are names
    "svg.hashsalt": "edaemo",  # the same picture, byte for byte
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def embed(figure: Figure, caption: str, alt: str) -> Picture:
    """Turn a figure into a picture that lies in the page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = BytesIO()
    with _style(), warnings.catch_warnings():
        # Their widths are guessed then; they are not drawn by matplotlib.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        # savefig would draw all of it twice, the first time for the layout alone.
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
    """Draw each person's score, a row of dots for each pipeline.

    Parameters
    ----------
    people : mapping of str to ndarray of shape (n_people,)
        The scores by pipeline.
    means : DataFrame
        Index pipeline; ``over_people``, ``over_people_low``, ``over_people_high``.
    references : set of str
        Pipelines that are drawn in grey.
    score : str
        What it is called.
    chance : float
        What it is where nothing is known.
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
        error = [(mean - low).clip(0), (high - mean).clip(0)]
        axes.errorbar(mean, range(n), xerr=error, fmt="D", color="black", ms=4, capsize=3, lw=1.3)
        axes.set_yticks(range(n), shown)
        axes.set_ylim(n - 0.4, -0.6)
        axes.set_xlim(-0.03 if chance > 0 else -1.03, 1.03)  # a correlation may be negative
        axes.set_xlabel(f"{score} of a person")
    said = "; ".join(
        f"{name} {number(mean[name], 2)}, people from {np.nanmin(scores):.2f} to "
        f"{np.nanmax(scores):.2f}"
        for name, scores in people.items()
    )
    caption = (
        "Each dot is one person; the diamond is the mean over people with its 95 % interval. "
        "Dashed: chance. Grey: rows that need no EDA. Up and down in a row means nothing."
    )
    return embed(figure, caption, f"{score[:1].upper()}{score[1:]} over people. Means: {said}.")


def draw_probabilities(
    trials: Mapping[str, pd.DataFrame],
    auc: Mapping[str, float],
    calibrations: Mapping[str, Calibration],
) -> list[Picture]:
    """Draw ROC and calibration curves, five pipelines to a picture."""
    pictures = []
    for start in range(0, len(trials), len(COLOURS)):
        names = list(trials)[start : start + len(COLOURS)]
        n_lines = -(-len(names) // 2)  # of the legend
        figure = _figure(2.67 + 0.18 * n_lines, bottom=0.52 + 0.18 * n_lines, between=0.3)
        with _style():
            roc, calibrated = figure.subplots(1, 2)
            for axes in (roc, calibrated):
                axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
                axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
                axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
                axes.set_box_aspect(1)
            for style, name in zip(_styles(), names, strict=False):
                told = trials[name]
                if told["label"].nunique() < 2:
                    continue
                false, true, _ = roc_curve(told["label"], told["probability"])
                places = np.linspace(0, 1, N_CURVE) if len(false) > N_CURVE else false
                if len(false) > N_CURVE:
                    true = np.interp(places, false, true)
                label = f"{_shown(name)} ({number(auc[name], 2)})"
                roc.plot(places, true, color=style[0], linestyle=style[1], label=label, lw=1.4)
                curve = calibrations[name].curve
                calibrated.plot(
                    curve["probability"],
                    curve["share"],
                    **dict(zip(("color", "linestyle", "marker"), style, strict=True)),
                    lw=1.2,
                    ms=3.5,
                )
            roc.set(xlabel="false positive rate", ylabel="true positive rate")
            calibrated.set(xlabel="predicted probability", ylabel="share that came true")
            figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=8)
        said = ", ".join(f"{name} {number(auc[name], 2)}" for name in names)
        caption = (
            "Left, ROC of all trials pooled, the area under it in brackets; right, calibration in "
            "ten bins, on the thin line where probabilities come true."
        )
        alt = f"ROC and calibration curves. Area under the curve: {said}. Numbers: the table below."
        pictures.append(embed(figure, caption, alt))
    return pictures


def draw_training(
    losses: Mapping[str, list[dict[str, list[float]]]], loss: str = "cross-entropy"
) -> list[Picture]:
    """Draw the loss by epoch of every fold of each network, and the mean over folds.

    Parameters
    ----------
    losses : mapping of str to list of dict
        By pipeline, for each fold ``train_loss`` and, where it stopped early, ``valid_loss``.
    loss : str, default="cross-entropy"
        What it is called.
    """
    pictures = []
    names = {"train_loss": "training", "valid_loss": "validation"}
    for pipeline, folds in losses.items():
        figure = _figure(2.6)
        said = []
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
                said.append(f"{name} loss from {mean[0]:.3f} to {mean[-1]:.3f}")
            axes.set(xlabel="epoch", ylabel=loss)
            axes.locator_params(axis="x", integer=True)
            axes.legend(frameon=False, fontsize=8)
        caption = (
            f"{pipeline}: loss by epoch of {len(folds)} folds (thin, {MOST_FOLDS} at most) and its "
            "mean over those that still trained (thick)."
        )
        alt = f"Training curves of {pipeline}: mean {', '.join(said)}."
        pictures.append(embed(figure, caption, alt))
    return pictures


def draw_shares(curve: LearningCurve) -> Picture:
    """Draw the score against the number of people that a fold trains on."""
    curves, score = curve.points, curve.task.tested_title
    n_lines = -(-curves["pipeline"].nunique() // 2)  # of the legend
    figure = _figure(3.2 + 0.18 * n_lines, bottom=0.55 + 0.18 * n_lines)
    said = []
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
            said.append(f"{name}: " + ", ".join(f"{s:.2f} of {n:.0f} people" for n, s in points))
        axes.set(xlabel="people that a fold trains on", ylabel=score)
        figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=8)
    caption = f"{curve.name}: {score} with its 95 % interval over people; dashed: chance."
    return embed(figure, caption, f"Learning curves. {'; '.join(said)}.")


def draw_ratings(ratings: pd.DataFrame, person: Hashable, middle: float, study: str) -> Picture:
    """Draw one person's ratings and thresholds, Figure 3 of the RTCAN-1D paper."""
    from edaemo.inspection import plot_relabelling

    with _style():
        axes = plot_relabelling(ratings, person, global_threshold=middle)
    said = "; ".join(panel.get_title().replace("\n", ", ") for panel in axes)
    caption = (
        f"{study}, {person}: ratings in the plane of valence and arousal, the two centres of "
        f"2-means and the threshold between them; dashed the middle of the scale, {middle:g}."
    )
    return embed(axes[0].figure, caption, f"Ratings of {person}. {said}.")


def _figure(
    height: float, *, left: float = 0.6, bottom: float = 0.5, between: float = 0.2
) -> Figure:
    """Make an empty figure with these margins, in inches, and room between panels.

    Matplotlib would find margins itself, in half of the time that a report takes, by the widths of
    letters in a font that is not the reader's.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=150)
    places = {"left": left / WIDTH, "right": 1 - 0.15 / WIDTH}
    places |= {"bottom": bottom / height, "top": 1 - 0.1 / height}
    figure.subplots_adjust(**places, wspace=between)
    return figure


def _measure(text: str) -> int:
    """Count letters, wide ones twice."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _style() -> AbstractContextManager[None]:
    from matplotlib import rc_context

    return rc_context(STYLE)


def _styles() -> list[tuple]:
    return list(zip(COLOURS, PATTERNS, MARKERS, strict=True))


def _shown(name: str) -> str:
    """Shorten a name, and let matplotlib show in legends what begins with _."""
    short = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    return f" {short}" if short.startswith("_") else short
