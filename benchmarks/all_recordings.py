"""Decompose every recording in a folder of corpora, and print the certified gaps.

    python benchmarks/all_recordings.py CORPORA

CORPORA contains the downloaded folders ``hku956``, ``physionet_wearable_stress`` and
``neurokit_bio``. The recordings are whole trials of the first, whole sessions of the second, and
the EDA columns of the third. Each recording is z-scored.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.datasets import load_hku956
from edaemo.decomposition import decompose_many


def recordings(corpora: Path) -> dict[str, tuple[float, list[np.ndarray]]]:
    """Return the sampling rate and the recordings of each corpus by name."""
    stress = sorted((corpora / "physionet_wearable_stress").rglob("EDA.csv"))
    neurokit = sorted((corpora / "neurokit_bio").rglob("*hz.csv"))
    tables = [table for table in map(pd.read_csv, neurokit) if "EDA" in table]
    return {
        "HKU956, whole trials": (
            4.0,
            list(load_hku956(corpora / "hku956", window=None).trials.eda),
        ),
        "induced stress, whole sessions": (4.0, [np.loadtxt(f, skiprows=2) for f in stress]),
        "NeuroKit": (100.0, [table["EDA"].to_numpy() for table in tables]),
    }


if __name__ == "__main__":
    print("| corpus | recordings | samples | optimal | inaccurate | largest certified gap |")
    print("|---|---|---|---|---|---|")
    for name, (rate, signals) in recordings(Path(sys.argv[1])).items():
        z_scored = [(x - x.mean()) / x.std() for x in signals]
        results = decompose_many(z_scored, rate, weights="published", n_jobs=2)
        optimal = sum(result.status == "optimal" for result in results)
        lengths = [len(x) for x in signals]
        print(
            f"| {name} | {len(results)} | {min(lengths)} to {max(lengths)} | {optimal} | "
            f"{len(results) - optimal} | {max(result.gap for result in results):.0e} |"
        )
