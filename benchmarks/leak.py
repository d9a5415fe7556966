"""Measure the share of accuracy under the published random split that is leakage.

The same pipelines are evaluated on the same recordings with three splits: at random (`trial`, as in
the published code), by subject (`subject`), and by subject and song (`subject+stimulus`). The
difference is the gain from having the subject, or the subject's songs, in the training data.

- hku956 and induced-stress, evaluation subjects, with labels by each subject's threshold and by a
  global threshold. Brackets show the 95 % interval over subjects, songs (not for the stages of the
  stress study) and seeds.
- generated studies (40 subjects, 20 songs, 20 trials of each subject) with fingerprints of subjects
  or of songs, with or without emotion in the signals. The tables show means over `--seeds` studies
  (standard deviation).

Scores are pooled balanced accuracies, which compare trials of the same fold. The mean over subjects
does not reflect differences between subjects in the share of high labels. Finished folds are kept
in --store, and the same call continues from there.

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
from edaemo.statistics import Binary, Outcome
from edaemo.statistics._crossed import Jackknife, LeftOut
from edaemo.statistics._scores import widen_by_repeats

PROTOCOLS = ("trial", "subject", "subject+stimulus")
# Study, target, threshold, protocols. The stages of the stress study cannot be held out as stimuli.
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
    """Evaluate one study; return the test trials by pipeline and protocol."""
    made = STUDIES[study]() if isinstance(study, str) else study
    table = evaluate(
        [name for name in args.pipelines if made.get("music") is not None or "music" not in name],
        made,
        target,
        list(protocols),
        thresholds=threshold,
        people="evaluation" if isinstance(study, str) else "all",
        n_splits=args.splits,
        n_repeats=args.repeats if isinstance(study, str) else 1,
        max_epochs=args.epochs,
        n_jobs=args.jobs,
        store=args.store,
    )
    if table["n_failed"].any():
        raise RuntimeError(table["error"].dropna().iloc[0])
    predictions = load_predictions(args.store, keys=newest_keys(args.store))
    predictions = predictions[
        (predictions["study"] == made.name) & (predictions["target"] == target)
    ]
    predictions = predictions[
        predictions["threshold"].isna() | (predictions["threshold"] == str(threshold))
    ]
    trials = {key: group for key, group in predictions.groupby(["pipeline", "protocol"])}
    for row in table.itertuples():
        tested = trials[row.pipeline, row.protocol]
        if not np.isclose((tested["label"] == tested["predicted"]).mean(), row.accuracy):
            raise RuntimeError(
                f"{args.store} has newer folds of {row.pipeline}: use another store."
            )
    names = [*REFERENCES, *args.pipelines]
    return {name: {p: trials[name, p] for p in protocols if (name, p) in trials} for name in names}


def score(trials: pd.DataFrame, covers: tuple[str, ...]) -> tuple[LeftOut, np.ndarray]:
    """Return the pooled balanced accuracy with its jackknife, and that of each repeat."""
    trials = trials.sort_values(["subject", "stimulus"], kind="stable")  # units in the same order
    parts = [trials, *(repeat for _, repeat in trials.groupby("repeat"))]
    of_all, *of_repeats = (
        Jackknife(
            Binary(),
            Outcome(part["label"].to_numpy(), part["predicted"].to_numpy()),
            {kind: part[kind].to_numpy() for kind in ("subject", "stimulus")},
            covers,
            folds=pd.factorize(part["fold"])[0],
            cross_validated=True,
        ).pooled("balanced_accuracy")
        for part in parts
    )
    return of_all, np.array([of_repeat.estimate for of_repeat in of_repeats])


def find_leaks(trials: dict[str, pd.DataFrame], covers: tuple[str, ...]) -> dict[str, tuple]:
    """Return the score of each protocol, and the difference of `trial` from each of the others."""
    scores = {protocol: score(tested, covers) for protocol, tested in trials.items()}
    found = {protocol: (*scores[protocol], (0.0, 1.0)) for protocol in scores}
    for protocol, (other, of_repeats) in scores.items():
        if protocol != "trial" and "trial" in scores:
            leaky, of_leaky_repeats = scores["trial"]
            without = {kind: leaky.without[kind] - other.without[kind] for kind in leaky.without}
            difference = LeftOut(leaky.estimate - other.estimate, without, leaky.inflation)
            found[f"leak to {protocol}"] = difference, of_leaky_repeats - of_repeats, (-1.0, 1.0)
    return found


def summarise_bundled(trials: dict, covers: tuple[str, ...]) -> pd.DataFrame:
    """Return the scores and leaks of each pipeline, with intervals over the units and seeds."""
    rows = {}
    for pipeline, by_protocol in trials.items():
        for what, (found, of_repeats, limits) in find_leaks(by_protocol, covers).items():
            ends = widen_by_repeats(found.estimate, found.interval(*limits), of_repeats, limits)
            rows[pipeline, what] = found.estimate, *ends, pd.Series(of_repeats).std()
    return make_frame(rows)


def summarise_generated(dials: dict, args: argparse.Namespace) -> pd.DataFrame:
    """Return means over studies, minus and plus one standard deviation."""
    samples: dict[tuple, list[float]] = {}
    for seed in range(args.seeds):
        study = make_music_listening(
            args.people, 20, 20, sampling_rate=8, duration=20, random_state=seed, **dials
        )
        study.name = f"generated, {sorted(dials.items())}, {args.people} people, seed {seed}"
        for pipeline, by_protocol in read(study, "arousal", "subject", PROTOCOLS, args).items():
            for what, (found, *_) in find_leaks(by_protocol, ("subject",)).items():
                samples.setdefault((pipeline, what), []).append(found.estimate)
    rows = {}
    for key, values in samples.items():
        mean, deviation = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else np.nan
        rows[key] = mean, mean - deviation, mean + deviation, deviation
    return make_frame(rows)


def make_frame(rows: dict) -> pd.DataFrame:
    """Return a frame indexed by pipeline and measure."""
    index = pd.MultiIndex.from_tuples(rows, names=["pipeline", "what"])
    return pd.DataFrame(list(rows.values()), index, columns=["value", "low", "high", "sd"])


def show(title: str, table: pd.DataFrame, over_people: bool) -> None:
    """Print one table; "part" is the leaked share of the score above chance."""
    cells: dict[str, dict[str, str]] = {}
    for (pipeline, what), (value, low, high, deviation) in table.iterrows():
        spread = f"[{low:.3f}, {high:.3f}]" if over_people else f"({deviation:.3f})"
        cells.setdefault(pipeline, {})[what] = f"{value:.3f} {spread}"
    for pipeline, row in cells.items():
        values = table.loc[pipeline]
        leaks = [what for what in values.index if what.startswith("leak")]
        if leaks:
            above = values.loc["trial", "low"] > 0.5
            score_above = values.loc["trial", "value"] - 0.5
            part = values.loc[leaks[-1], "value"] / score_above if above else None
            row["part"] = "-" if part is None else f"{100 * part:.0f} %"
        if over_people:
            over_seeds = [values.loc[what, "sd"] for what in values.index if what in PROTOCOLS]
            row["SD over seeds"] = ", ".join(f"{deviation:.3f}" for deviation in over_seeds)
    print(f"\n{title}\n")
    print(lay_out(pd.DataFrame.from_dict(cells, orient="index").fillna("-")))


def draw(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw the scores of every pipeline under each protocol, one panel per study."""
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
    """Draw the panel of one study."""
    names = list(table.index.unique("pipeline"))
    for i, protocol in enumerate(PROTOCOLS):
        part = table[table.index.get_level_values("what") == protocol]
        rows = [names.index(name) + 0.22 * (i - 1) for name in part.index.unique("pipeline")]
        error = [part["value"] - part["low"], part["high"] - part["value"]]
        settings = {"color": COLOURS[protocol], "markersize": 5, "capsize": 2, "label": protocol}
        axes.errorbar(part["value"], rows, xerr=error, fmt=MARKERS[protocol], **settings)
    axes.axvline(0.5, color="0.6", linestyle="--", linewidth=1, label="chance")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(title, fontsize="medium")


def main() -> None:
    """Print the tables, and draw the figure."""
    register_pipeline("forest-level", make_forest)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipelines", nargs="+", default=list(PIPELINES))
    parser.add_argument("--only", choices=["bundled", "generated"], help="run only these studies")
    parser.add_argument("--seeds", type=int, default=5, help="generated studies of each kind")
    parser.add_argument("--repeats", type=int, default=5, help="repeats on bundled studies")
    parser.add_argument("--people", type=int, default=40, help="subjects of a generated study")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the networks")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("results/leak.sqlite"))
    parser.add_argument("--figure", type=Path, help="path of the figure")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    tables = {}
    for study, target, threshold, protocols in BUNDLED if args.only != "generated" else []:
        how = "" if study != "hku956" else f", threshold {threshold}"
        title = f"{study}, {target}{how}"
        covers = ("subject", "stimulus") if "subject+stimulus" in protocols else ("subject",)
        trials = read(study, target, threshold, protocols, args)
        tables[title] = summarise_bundled(trials, covers)
        show(title, tables[title], over_people=True)
    for title, dials in PLANTED.items() if args.only != "bundled" else []:
        tables[title] = summarise_generated(dials, args)
        show(f"{title}: {args.seeds} studies", tables[title], over_people=False)
    if args.figure is not None:
        draw(tables).savefig(args.figure, dpi=100)


if __name__ == "__main__":
    main()
