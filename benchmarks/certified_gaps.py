"""Measure the distance of the default decomposition from the optimum.

    python benchmarks/certified_gaps.py NEUROKIT_BIO

NEUROKIT_BIO is the folder of NeuroKit's two example recordings (100 Hz). The script needs
neurokit2, which pins pandas below 3: use a separate environment with edaemo and neurokit2.

The script uses three sets of recordings, all z-scored:

- 64 recordings simulated by neurokit2, with 3 to 15 responses per minute, noise of 0, 0.01 or 0.03,
  and converter steps of 0, 1e-3 or 5e-3. Half are 40 s at 50 Hz, half are 60 s at 128 Hz. The seeds
  are 0 to 63.
- 64 windows of real recordings: 16 each of HKU956 and induced stress (25 s at 4 Hz), and 32 of
  NeuroKit (40 s at 100 Hz).
- 60 generated recordings of 10 s to 1 h at 4 to 1,000 Hz, with amplitudes of 1e-6 to 1e6
  microsiemens.

It prints the certified gap at the default tolerance, and the largest difference of the phasic
component from a solution at 1e-10, in standard deviations of the recording.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.decomposition import decompose


def simulated() -> list[tuple[np.ndarray, float]]:
    """Simulate 64 recordings with neurokit2."""
    import neurokit2

    recordings = []
    for seed in range(64):
        rng = np.random.default_rng(seed)
        rate, seconds = ((50, 40), (128, 60))[seed % 2]
        n_responses = max(1, round(rng.uniform(3, 15) * seconds / 60))
        noise, step = (0.0, 0.01, 0.03)[seed % 3], (0.0, 1e-3, 5e-3)[seed // 3 % 3]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eda = neurokit2.eda_simulate(
                duration=seconds,
                sampling_rate=rate,
                scr_number=n_responses,
                noise=noise,
                random_state=seed,
            )
        recordings.append((np.round(eda / step) * step if step else eda, float(rate)))
    return recordings


def real(neurokit_bio: Path) -> list[tuple[np.ndarray, float]]:
    """Return 64 windows of real recordings."""
    recordings = []
    for study in (load_hku956(), load_induced_stress()):
        rows = np.linspace(0, len(study.trials) - 1, 16).astype(int)
        recordings += [(study.trials["eda"].iloc[row], 4.0) for row in rows]
    tables = [pd.read_csv(file) for file in sorted(neurokit_bio.rglob("*hz.csv"))]
    for eda in (table["EDA"].to_numpy() for table in tables if "EDA" in table):
        starts = np.linspace(0, len(eda) - 4000, 16).astype(int)
        recordings += [(eda[start : start + 4000], 100.0) for start in starts]
    return recordings


def sweep() -> list[tuple[np.ndarray, float]]:
    """Generate recordings of 10 s to 1 h, at 4 to 1,000 Hz, with three amplitudes."""
    recordings = []
    for rate in (4.0, 16.0, 64.0, 256.0, 1000.0):
        for seconds in (10, 60, 600, 3600):
            rng = np.random.default_rng(seconds)
            n = int(rate * seconds)
            time = np.arange(n) / rate
            eda = 5 + np.cumsum(rng.normal(scale=0.02 / np.sqrt(rate), size=n))
            for onset in rng.uniform(0, seconds, size=max(1, seconds // 8)):
                since = np.clip(time - onset, 0, None)
                eda += rng.uniform(0.1, 1) * (np.exp(-since / 2) - np.exp(-since / 0.7))
            recordings += [(amplitude * eda, rate) for amplitude in (1e-6, 1.0, 1e6)]
    return recordings


def main() -> None:
    """Print the table."""
    print("| recordings | gap: median | largest | phasic: median | largest | not optimal |")
    print("|---|---|---|---|---|---|")
    for name, recordings in (
        ("64 simulated", simulated()),
        ("64 real windows", real(Path(sys.argv[1]))),
        ("60 of 10 s to 1 h, 4 to 1,000 Hz", sweep()),
    ):
        gaps, differences, missed = [], [], 0
        for recording, rate in recordings:
            z = (recording - recording.mean()) / recording.std()
            default, exact = (
                decompose(z, rate, weights="published", tol=tol) for tol in (1e-8, 1e-10)
            )
            gaps.append(default.gap)
            differences.append(np.max(np.abs(default.phasic - exact.phasic)))
            missed += default.status != "optimal"
        print(
            f"| {name} | {np.median(gaps):.0e} | {max(gaps):.0e} | {np.median(differences):.0e} | "
            f"{max(differences):.0e} | {missed} |"
        )


if __name__ == "__main__":
    main()
