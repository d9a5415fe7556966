"""How much of an accuracy under the published random split is leak.

The same pipelines on the same recordings, split at random (`trial`, which the published code does),
by person (`subject`), and by person and song (`subject+stimulus`). The difference is what a
pipeline gained from having met the person, or the person's songs, in training.

- hku956 and induced-stress, reported people, labels by each person's own threshold and by one for
  all. Brackets: 95 % interval, people drawn anew, the same ones on both sides of a difference.
- generated studies (40 people, 20 songs, 20 trials each) where fingerprints of people or of songs
  are planted, alone or beside an emotion that can be read: means over `--seeds` studies (standard
  deviation).

Scores are pooled balanced accuracies, since the mean over people is blind to who says high how
often. Finished folds are kept in --store; the same call goes on from there.

    python benchmarks/leak.py --figure docs/leak.png
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from generated_null import NOTHING, lay_out, make_forest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.utils import Bunch

from edaemo.benchmark import STUDIES, evaluate, load_predictions, newest_keys, register_pipeline
from edaemo.datasets import make_music_listening
from edaemo.statistics._scores import (
    count_confusion,
    draw_people,
    interval_over_people,
    score_confusion,
)

PROTOCOLS = ("trial", "subject", "subject+stimulus")
# Study, target, threshold, protocols; stages of the stress study are no stimuli to hold out.
BUNDLED = [
    *product(["hku956"], ["arousal", "valence"], ["subject", 0.0], [PROTOCOLS]),
    ("induced-stress", "stress", "subject", PROTOCOLS[:2]),
]
PLANTED = {
    "artificial, fingerprints of people": NOTHING | {"subject_fingerprint": 1.0},
    "artificial, fingerprints of songs": NOTHING | {"stimulus_fingerprint": 1.0},
    "artificial, emotion and fingerprints of people": {"subject_fingerprint": 0.98},
    "artificial, emotion and fingerprints of songs": {
        "stimulus_fingerprint": 0.9,
        "subject_fingerprint": 0.05,
    },
}
PIPELINES = ("forest-level", "svm-eda", "svm-music", "cnn-eda", "rtcan-eda", "rtcan-eda-music")
REFERENCES = ("trial-order", "subject-prior", "stimulus-prior")
COLOURS = {"trial": "#b3402a", "subject": "#1f5a8a", "subject+stimulus": "#4b8f4b"}
MARKERS = {"trial": "o", "subject": "s", "subject+stimulus": "^"}


def read(
    study: str | Bunch, target: str, threshold: object, protocols: tuple, args: object
) -> dict:
    """Evaluate one study; give the trials tested by pipeline and protocol."""
    made = STUDIES[study]() if isinstance(study, str) else study
    table = evaluate(
        [name for name in args.pipelines if made.get("music") is not None or "music" not in name],
        made,
        target,
        list(protocols),
        thresholds=threshold,
        people="evaluation" if isinstance(study, str) else "all",
        n_splits=args.splits,
        max_epochs=args.epochs,
        n_jobs=args.jobs,
        store=args.store,
    )
    if table["n_failed"].any():
        raise RuntimeError(table["error"].dropna().iloc[0])
    told = load_predictions(args.store, keys=newest_keys(args.store))
    told = told[(told["study"] == made.name) & (told["target"] == target)]
    told = told[told["threshold"].isna() | (told["threshold"] == str(threshold))]
    trials = {key: own for key, own in told.groupby(["pipeline", "protocol"])}
    for row in table.itertuples():
        own = trials[row.pipeline, row.protocol]
        if not np.isclose((own["label"] == own["predicted"]).mean(), row.accuracy):
            raise RuntimeError(f"{args.store} has newer folds of {row.pipeline}: give another.")
    names = [*REFERENCES, *args.pipelines]
    return {name: {p: trials[name, p] for p in protocols if (name, p) in trials} for name in names}


def score(trials: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Give pooled balanced accuracy by protocol: of all people, then of each draw of people."""
    scores = {}
    for protocol, own in trials.items():
        labels, predicted = (own[name].to_numpy(np.int64) for name in ("label", "predicted"))
        counts = count_confusion(labels, predicted, own["subject"].to_numpy())
        drawn = np.vstack([np.ones(len(counts)), draw_people(len(counts), 0)])
        total = np.einsum("dp,pij->dij", drawn, counts)
        scores[protocol] = score_confusion(total)["balanced_accuracy"]
    return scores


def find_leaks(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the scores, and what `trial` has above each of the others."""
    others = [protocol for protocol in scores if protocol != "trial" and "trial" in scores]
    return scores | {f"leak to {p}": scores["trial"] - scores[p] for p in others}


def summarise_bundled(trials: dict) -> pd.DataFrame:
    """Give each pipeline's scores and leaks, with their intervals over people."""
    rows = {}
    for pipeline, by_protocol in trials.items():
        for what, values in find_leaks(score(by_protocol)).items():
            n_people = by_protocol[what.removeprefix("leak to ")]["subject"].nunique()
            rows[pipeline, what] = values[0], *interval_over_people(values[1:], n_people)
    return make_frame(rows)


def summarise_generated(dials: dict, args: argparse.Namespace) -> pd.DataFrame:
    """Give means over studies, and one standard deviation to either side."""
    found: dict[tuple, list[float]] = {}
    for seed in range(args.seeds):
        study = make_music_listening(
            args.people, 20, 20, sampling_rate=8, duration=20, random_state=seed, **dials
        )
        study.name = f"generated, {sorted(dials.items())}, {args.people} people, seed {seed}"
        for pipeline, by_protocol in read(study, "arousal", "subject", PROTOCOLS, args).items():
            for what, values in find_leaks(score(by_protocol)).items():
                found.setdefault((pipeline, what), []).append(values[0])
    rows = {}
    for key, values in found.items():
        mean, deviation = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else np.nan
        rows[key] = mean, mean - deviation, mean + deviation
    return make_frame(rows)


def make_frame(rows: dict) -> pd.DataFrame:
    """Index by pipeline and what was measured."""
    index = pd.MultiIndex.from_tuples(rows, names=["pipeline", "what"])
    return pd.DataFrame(list(rows.values()), index, columns=["value", "low", "high"])


def show(title: str, table: pd.DataFrame, over_people: bool) -> None:
    """Print one table; the last column says which part of what is above chance is leak."""
    cells: dict[str, dict[str, str]] = {}
    for (pipeline, what), (value, low, high) in table.iterrows():
        spread = f"[{low:.3f}, {high:.3f}]" if over_people else f"({value - low:.3f})"
        cells.setdefault(pipeline, {})[what] = f"{value:.3f} {spread}"
    for pipeline, row in cells.items():
        of = table.loc[pipeline]
        leaks = [what for what in of.index if what.startswith("leak")]
        if leaks:
            above = of.loc["trial", "low"] > 0.5
            part = of.loc[leaks[-1], "value"] / (of.loc["trial", "value"] - 0.5) if above else None
            row["part"] = "-" if part is None else f"{100 * part:.0f} %"
    print(f"\n{title}\n")
    print(lay_out(pd.DataFrame.from_dict(cells, orient="index").fillna("-")))


def draw(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw every pipeline's scores under each protocol, one panel for each study."""
    n_columns = 2
    n_rows = -(-len(tables) // n_columns)
    n_pipelines = max(len(table.index.unique("pipeline")) for table in tables.values())
    size = (5.2 * n_columns, n_rows * (0.9 + 0.34 * n_pipelines) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False).ravel()
    for axes in panels[len(tables) :]:
        axes.set_axis_off()
    for axes, (title, table) in zip(panels, tables.items(), strict=False):
        draw_panel(axes, title, table)
    for axes in panels[: len(tables)][-n_columns:]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("balanced accuracy", fontsize="small")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def draw_panel(axes: Axes, title: str, table: pd.DataFrame) -> None:
    """Draw one study."""
    names = list(table.index.unique("pipeline"))
    for place, protocol in enumerate(PROTOCOLS):
        own = table[table.index.get_level_values("what") == protocol]
        rows = [names.index(name) + 0.22 * (place - 1) for name in own.index.unique("pipeline")]
        error = [own["value"] - own["low"], own["high"] - own["value"]]
        settings = {"color": COLOURS[protocol], "markersize": 5, "capsize": 2, "label": protocol}
        axes.errorbar(own["value"], rows, xerr=error, fmt=MARKERS[protocol], **settings)
    axes.axvline(0.5, color="0.6", linestyle="--", linewidth=1, label="chance")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(title, fontsize="medium")


def main() -> None:
    """Print the tables, and draw the figure."""
    register_pipeline("forest-level", make_forest)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipelines", nargs="+", default=list(PIPELINES))
    parser.add_argument("--only", choices=["bundled", "generated"], help="leave the other out")
    parser.add_argument("--seeds", type=int, default=3, help="generated studies of each kind")
    parser.add_argument("--people", type=int, default=40, help="of a generated study")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="of the networks")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("results/leak.sqlite"))
    parser.add_argument("--figure", type=Path, help="where the figure goes")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    tables = {}
    for study, target, threshold, protocols in BUNDLED if args.only != "generated" else []:
        how = "" if study != "hku956" else f", threshold {threshold}"
        title = f"{study}, {target}{how}"
        tables[title] = summarise_bundled(read(study, target, threshold, protocols, args))
        show(title, tables[title], over_people=True)
    for title, dials in PLANTED.items() if args.only != "bundled" else []:
        tables[title] = summarise_generated(dials, args)
        show(f"{title}: {args.seeds} studies", tables[title], over_people=False)
    if args.figure is not None:
        draw(tables).savefig(args.figure, dpi=100)


if __name__ == "__main__":
    main()
