"""Print Tables 5 and 4 of the RTCAN-1D paper for a small generated study.

The tables are those of `edaemo reproduce table5` and `table4`. The study is small enough for two
cores: 40 people, 20 trials each, 30 s at 8 Hz.

    python benchmarks/rtcan_ablation.py --jobs 2
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from edaemo.benchmark import (
    ReproductionSettings,
    format_reproduction,
    reproduce_table4,
    reproduce_table5,
)
from edaemo.datasets import make_music_listening


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path("results/ablation.sqlite"))
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    study = make_music_listening(40, 100, 20, sampling_rate=8, duration=30, random_state=7)
    settings = ReproductionSettings(
        people="all",
        n_splits=args.folds,
        n_repeats=args.repeats,
        max_epochs=args.epochs,
        n_jobs=args.jobs,
        store=args.store,
    )
    for reproduce in (reproduce_table5, reproduce_table4):
        print(format_reproduction(reproduce(study, settings)), flush=True)


if __name__ == "__main__":
    main()
