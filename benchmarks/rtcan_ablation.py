"""Print Tables 5 and 4 of the RTCAN-1D paper for a small generated study and for HKU956.

The tables are those of `edaemo reproduce table5` and `table4`. The generated study is small enough
for two cores. For HKU956, the bundled recordings of the evaluation subjects are used.

    python benchmarks/rtcan_ablation.py --jobs 2
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

from edaemo.benchmark import (
    ReproductionSettings,
    format_reproduction,
    reproduce_table4,
    reproduce_table5,
)
from edaemo.datasets import load_hku956, make_music_listening


def main() -> None:
    """Print both tables for both studies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    generated = make_music_listening(40, 100, 20, sampling_rate=8, duration=30, random_state=7)
    for study, people in [(generated, "all"), (load_hku956(), "evaluation")]:
        with tempfile.TemporaryDirectory() as folder:
            settings = ReproductionSettings(
                people=people,
                n_splits=args.folds,
                max_epochs=args.epochs,
                n_jobs=args.jobs,
                store=Path(folder) / "folds.sqlite",
            )
            for reproduce in (reproduce_table5, reproduce_table4):
                print(format_reproduction(reproduce(study, settings)))


if __name__ == "__main__":
    main()
