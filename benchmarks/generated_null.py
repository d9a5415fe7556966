"""Score pipelines on generated studies without emotion, and with fingerprints only.

The EDA and the music of these studies carry no information about emotion.

- nothing: all dials are 0. There are 16 subjects, 20 songs and 20 trials of each subject. Every
  pipeline runs under every protocol that needs no groups of subjects, on `--seeds` studies. A study
  is one draw, so each cell is tested over studies: a two-sided t-test of the balanced accuracy
  (mean over subjects) against 0.5, with Holm's correction over all cells. "!" marks p below 0.05.
- fingerprints: first subjects, then songs have fingerprints at full strength. All other dials are
  0. There are 40 subjects. The score is the balanced accuracy over all trials, because the mean
  over subjects does not reflect differences between subjects in the share of high labels.

Cells are means over studies (standard deviation).

    python benchmarks/generated_null.py nothing
    python benchmarks/generated_null.py nothing --seeds 40 --protocols subject trial
    python benchmarks/generated_null.py fingerprints
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from edaemo.benchmark import PIPELINES, evaluate, make_rtcan, register_pipeline
from edaemo.datasets import make_music_listening
from edaemo.model_selection import PROTOCOLS
from edaemo.statistics._scores import adjust_holm

NOTHING = {
    "eda_informativeness": 0,
    "music_informativeness": 0,
    "subject_fingerprint": 0,
    "stimulus_fingerprint": 0,
    "time_drift": 0,
}
FINGERPRINTS = {
    "people": ({"subject_fingerprint": 1.0}, ["trial", "subject"]),
    "songs": ({"stimulus_fingerprint": 1.0}, ["trial", "subject", "subject+stimulus"]),
}
N_SPLITS = 3
# The others need groups of people: conditions, and people of the development.
OF_NOTHING = [name for name in PROTOCOLS if name not in ("condition-held-out", "new-people")]


def describe(trials: pd.DataFrame) -> np.ndarray:
    """Return level, activity, slope and roughness of each recording, (n_trials, 4)."""
    rows = [
        (np.log(x.mean()), np.log(x.std()), x[-1] - x[0], np.log(np.std(np.diff(x, 2))))
        for x in trials["eda"]
    ]
    return np.array(rows)


def make_forest(study: Bunch) -> object:
    """Make a forest on four numbers of each recording; unlike z-scores, they keep the level."""
    forest = RandomForestClassifier(100, min_samples_leaf=3)
    return make_pipeline(FunctionTransformer(describe), forest)


def make_unchecked(study: Bunch) -> object:
    """Make RTCAN without regularisation, so that it can memorise its training trials."""
    rtcan = make_rtcan(music=study.music, max_epochs=20)
    return rtcan.set_params(rtcan__dropout=0.0, rtcan__augmentation={}, rtcan__weight_decay=0.0)


def make_study(seed: int, n_people: int, dials: dict) -> Bunch:
    """Make a study in which only `dials` carry information."""
    study = make_music_listening(
        n_people, 20, 20, sampling_rate=8, duration=20, random_state=seed, **NOTHING | dials
    )
    study.name = f"seed {seed}"
    return study


def lay_out(cells: pd.DataFrame) -> str:
    """Format a frame of text as a Markdown table."""
    rows = [["", *cells.columns], ["---"] * (1 + len(cells.columns))]
    rows += [[name, *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def score(
    seeds: range, n_people: int, dials: dict, protocols: list[str], args: object
) -> pd.DataFrame:
    """Evaluate all pipelines on each study, and return the concatenated tables."""
    tables = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            table = evaluate(
                args.pipelines,
                make_study(seed, n_people, dials),
                "arousal",
                protocols,
                people="all",
                n_splits=N_SPLITS,
                max_epochs=args.epochs,
                n_jobs=args.jobs,
                random_state=seed,
                store=Path(folder) / "folds.sqlite",
            )
        if table["n_failed"].any():
            raise RuntimeError(table["error"].dropna().iloc[0])
        tables.append(table.assign(seed=seed))
    return pd.concat(tables)


def lay_out_scores(table: pd.DataFrame, score: str, mark: pd.Series | None = None) -> str:
    """Format a table of pipelines by protocols: mean and standard deviation over studies."""
    by_cell = table.groupby(["pipeline", "protocol"], sort=False)[score]
    cells = by_cell.agg(lambda scores: f"{scores.mean():.3f} ({scores.std():.3f})").reset_index()
    if mark is not None:
        cells.iloc[:, -1] += np.where(mark.to_numpy(), " !", "")
    wide = cells.pivot_table(
        index="pipeline", columns="protocol", aggfunc="first", fill_value="-", sort=False
    )
    return lay_out(wide.droplevel(0, axis=1))


def find_nothing(args: argparse.Namespace) -> None:
    """Print the scores on studies without information, and their tests."""
    table = score(range(args.seeds), 16, {}, args.protocols, args)
    varied = table.groupby(["pipeline", "protocol"], sort=False)["balanced_accuracy_by_person"]
    p = varied.agg(lambda scores: ttest_1samp(scores, 0.5).pvalue if scores.std() > 0 else 1.0)
    adjusted = pd.Series(adjust_holm(p.to_numpy()), p.index)
    print(f"Nothing to find, {args.seeds} studies\n")
    print(lay_out_scores(table, "balanced_accuracy_by_person", adjusted < 0.05))
    print(f"\n{len(p)} cells; smallest p {p.min():.4f}, after Holm {adjusted.min():.2f}; ", end="")
    print(f"below 0.05 before Holm: {(p < 0.05).sum()} ({0.05 * len(p):.0f} expected)")


def find_fingerprints(args: argparse.Namespace) -> None:
    """Print the scores on studies with fingerprints only."""
    for planted, (dials, protocols) in FINGERPRINTS.items():
        print(f"\nFingerprints of {planted} alone, {args.seeds} studies\n")
        table = score(range(args.seeds), 40, dials, protocols, args)
        print(lay_out_scores(table, "balanced_accuracy"))


def main() -> None:
    """Print the tables."""
    register_pipeline("forest-level", make_forest)
    register_pipeline("rtcan-unchecked", make_unchecked, input="signals", needs_music=True)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["nothing", "fingerprints"])
    parser.add_argument("--pipelines", nargs="+", default=list(PIPELINES))
    parser.add_argument("--protocols", nargs="+", default=OF_NOTHING, help="of the part nothing")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5, help="epochs of the networks")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    {"nothing": find_nothing, "fingerprints": find_fingerprints}[args.part](args)


if __name__ == "__main__":
    main()
