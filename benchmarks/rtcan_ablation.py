"""Tables 5 and 4 of the RTCAN-1D paper, on a generated study and on HKU956's reported people.

Every variant of the paper's architecture, on EDA and music, people held out; the recipe is the
default one but for the number of epochs. The reference rows of `evaluate` stand below.

    python benchmarks/rtcan_ablation.py --jobs 2
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from edaemo.benchmark import evaluate, make_rtcan, register_pipeline
from edaemo.datasets import load_hku956, make_music_listening

TABLE_5 = {
    "Basic": (False, False, False),
    "Ra": (True, False, False),
    "Rb": (False, True, False),
    "Rc": (True, True, False),
    "Rd": (False, False, True),
    "Re": (False, True, True),
    "Rf": (True, True, True),
}
WIDTHS = {"64, 64, 64, 64": (64,) * 4, "64, 128, 256, 512": (64, 128, 256, 512)}
TABLE_4 = {
    f"d={depth}, c=[{name}]": {"depth": depth, "channels": width}
    for depth in (1, 2)
    for name, width in WIDTHS.items()
}
VARIANTS = TABLE_4 | {
    name: dict(zip(("sca_res", "sca", "rnta"), switches, strict=True))
    for name, switches in TABLE_5.items()
}
BELOW = ("majority", "time", "stimulus-prior", "svm-eda-music")


def make_variant(settings: dict, study: Bunch) -> Pipeline:
    """Make RTCAN on EDA and music with these switches."""
    rtcan = make_rtcan(music=study.music)
    return rtcan.set_params(**{f"rtcan__{name}": value for name, value in settings.items()})


def lay_out(table: pd.DataFrame, names: list[str]) -> str:
    """Lay out accuracy and F1 of both targets, in percent, and the balanced accuracy."""
    lines = [["", *(f"{target}: {score}" for target in ("valence", "arousal")
                    for score in ("accuracy / F1", "balanced [95 %]"))]]  # fmt: skip
    lines.append(["---"] * 5)
    for name in names:
        cells = []
        for target in ("valence", "arousal"):
            row = table.set_index(["target", "pipeline"]).loc[(target, name)]
            low, high = row["balanced_accuracy_low"], row["balanced_accuracy_high"]
            cells += [
                f"{100 * row['accuracy']:.2f} / {100 * row['f1']:.2f}",
                f"{100 * row['balanced_accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            ]
        lines.append([name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print both tables for both studies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    for name, settings in VARIANTS.items():
        settings = {**settings, "max_epochs": args.epochs}
        make = lambda study, settings=settings: make_variant(settings, study)  # noqa: E731
        register_pipeline(name, make, takes="signals", needs_music=True)
    studies = {
        "generated (artificial)": (
            make_music_listening(40, 100, 20, sampling_rate=8, duration=30, random_state=7),
            "all",
        ),
        "HKU956, reported people": (load_hku956(), "reported"),
    }
    for title, (study, people) in studies.items():
        with tempfile.TemporaryDirectory() as folder:
            table = evaluate(
                [*VARIANTS, *BELOW],
                study,
                ["valence", "arousal"],
                people=people,
                n_splits=args.folds,
                n_jobs=args.jobs,
                store=Path(folder) / "folds.sqlite",
            )
        if table["n_failed"].any():
            raise RuntimeError(table["error"].dropna().iloc[0])
        first = table.iloc[0]
        print(f"\n**{title}**: {first['n_people']} people, {first['n_trials']} trials, protocol")
        print(f"`subject`, {args.folds} folds, {args.epochs} epochs, EDA and music.\n")
        for names in (list(TABLE_5), [*TABLE_4, *BELOW]):
            print(lay_out(table, names) + "\n")


if __name__ == "__main__":
    main()
