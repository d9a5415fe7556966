"""Check the weights of cvxEDA on recordings that edaemo did not generate.

    python benchmarks/decomposition_checks.py neurokit --python ENV/bin/python
    python benchmarks/decomposition_checks.py corpora DATA
    python benchmarks/decomposition_checks.py breathing DATA

neurokit: recordings of NeuroKit2's simulator, whose responses rise within half a second, in an
environment ENV with neurokit2. Half of the recordings have no
response. The table shows the correlation with the true phasic component, and the number of driver
impulses of at least 0.01 µS for each true response.

corpora: development people of HKU956, of the induced-stress study and of Freihaut & Goeritz (2021)
in the folder DATA. For each window of 25 s, the decompositions are checked for cancellation (the
range of the phasic component is more than twice that of the recording) and for a tonic component
below zero. Events: a response to the beginning of a song, stage or task starts 1 to 4 s after it.
The table shows the driver events per minute in these 3 s and from 7 to 25 s. The recordings of the
induced-stress study are decomposed without and with a context of 15 s before the beginning, those
of Freihaut & Goeritz with it. Odd and even: the correlation of the phasic components of the odd and
of the even samples (2 Hz each), median over windows whose range is at least 0.05 µS.

breathing: the same windows. The table shows in how many windows `estimate_breathing` finds
breathing, how high it is, and the responses that `scr_events` finds per minute, early and late,
with and without this breathing.
"""

from __future__ import annotations

import argparse
import io
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from generated_decomposition import correlation, impulses, print_table, z_score

from edaemo.datasets import load_hku956, load_induced_stress, select_people
from edaemo.decomposition import (
    Bandpass,
    Decomposition,
    Highpass,
    decompose,
    estimate_breathing,
    fit_time_constants,
    scr_events,
    trim_context,
)

WINDOW = 25.0  # s
CONTEXT = 15.0  # s, of Freihaut & Goeritz
RATE = 4.0  # Hz
EARLY, LATE = (1.0, 4.0), (7.0, 25.0)  # s
VISIBLE = 0.05  # µS
SMALLEST = 0.01  # µS, of an impulse's response
LEAST = 1e-6  # µS, below which a tonic component counts as negative
PEAK = 0.369  # of the response to an impulse of 1, with the published constants

THEIRS = """
import io, sys
import numpy as np
import neurokit2 as nk

held = io.BytesIO()
made = {}
for seed in range(40):
    for count in (0, 6):
        given = dict(duration=60, sampling_rate=100, scr_number=count, random_state=seed)
        made[f"{seed} {count} eda"] = nk.eda_simulate(noise=0.01, drift=-0.005, **given)
        made[f"{seed} {count} phasic"] = nk.eda_simulate(noise=0, drift=0, **given) - 1
np.savez(held, version=nk.__version__, **made)
sys.stdout.buffer.write(held.getvalue())
"""


def by_weights(y: np.ndarray, rate: float, context: float = 0.0) -> dict[str, Decomposition]:
    """Decompose a recording with both weights; components of z-scores in the unit of y."""
    return {
        "published, z-scored": decompose(z_score(y), rate, weights="published", context=context),
        "noise": decompose(y, rate, weights="noise", context=context),
    }


def check_neurokit(python: str) -> None:
    """Print the table of NeuroKit2's simulated recordings."""
    done = subprocess.run([python, "-c", THEIRS], stdout=subprocess.PIPE, check=True)
    with np.load(io.BytesIO(done.stdout)) as held:
        made = dict(held)
    version = str(made.pop("version"))
    rows = []
    for name in (name for name in made if name.endswith("eda")):
        seed, count, _ = name.split()
        for averaged in (25, 2):
            eda, phasic = (
                made[f"{seed} {count} {part}"].reshape(-1, averaged).mean(axis=1)
                for part in ("eda", "phasic")
            )
            rate = 100 / averaged
            constants = fit_time_constants([eda], rate)
            fitted = decompose(eda, rate, tau0=constants[0], tau1=constants[1], weights="noise")
            ways = by_weights(eda, rate) | {"noise, constants of the recording": fitted}
            for way, parts in ways.items():
                unit = eda.std() if "z-scored" in way else 1.0
                size = unit * PEAK * np.convolve(parts.driver, np.ones(round(rate)), "same") / rate
                times = impulses(parts.driver, rate, 0.0)
                kept = size[np.round(times * rate).astype(int)] >= SMALLEST
                rows.append(
                    {
                        "way": way,
                        "rate": f"{rate:g} Hz",
                        "true": int(count),
                        "found": np.count_nonzero(kept),
                        "r": correlation(parts.phasic, phasic),
                    }
                )
            highpass = Highpass().phasic(eda[None], rate)[0]
            rows.append(
                {"way": "high-pass", "rate": f"{rate:g} Hz", "true": int(count)}
                | {"found": np.nan, "r": correlation(highpass, phasic)}
            )
    table = pd.DataFrame(rows)
    print(f"40 recordings of 60 s with 6 responses, 40 without, NeuroKit2 {version}\n")
    cells = []
    for (rate, way), of_way in table.groupby(["rate", "way"], sort=False):
        some, none = of_way[of_way["true"] > 0], of_way[of_way["true"] == 0]
        cells.append(
            [
                f"{rate}, {way}",
                f"{some['r'].median():.3f} ({some['r'].quantile(0.1):.2f})",
                f"{some['found'].sum() / some['true'].sum():.2f}",
                f"{none['found'].mean():.2f}",
            ]
        )
    print_table(["", "phasic r (10th percentile)", "found per true", "found without"], cells)


def read_windows(data: Path) -> dict[str, list[tuple[np.ndarray, float]]]:
    """Return the windows of development people, each with its seconds of context."""
    stress = data / "physionet_wearable_stress"
    studies = {
        "HKU956": load_hku956(data / "hku956"),
        "induced stress": load_induced_stress(stress),
        "induced stress, with context": load_induced_stress(stress, window=(-CONTEXT, WINDOW)),
    }
    windows: dict[str, list[tuple[np.ndarray, float]]] = {}
    for name, study in studies.items():
        chosen = select_people(study, "development")
        trimmed = [trim_context(y, round(study.context * RATE)) for y in chosen.trials["eda"]]
        windows[name] = [(y, n_context / RATE) for y, n_context in trimmed]
    tasks = pd.read_csv(data / "freihaut_goeritz" / "trials.csv")
    cut = []
    with np.load(data / "freihaut_goeritz" / "eda_4hz.npz") as sessions:
        for task in tasks[tasks["development"] == 1].itertuples():
            begin = round((task.onset - CONTEXT) * RATE)
            cut.append(sessions[task.subject][begin : begin + round((CONTEXT + WINDOW) * RATE)])
    windows["Freihaut & Goeritz"] = [(np.asarray(y, float), CONTEXT) for y in cut]
    return windows


def per_minute(times: list[np.ndarray], ends: tuple[float, float]) -> float:
    """Return the events per minute between two times in s."""
    counts = [np.count_nonzero((t >= ends[0]) & (t < ends[1])) for t in times]
    return 60 * np.mean(counts) / (ends[1] - ends[0])


def check_corpora(data: Path) -> None:
    """Print the table of development people's windows."""
    cells = []
    for name, windows in read_windows(data).items():
        found: dict[str, list[Decomposition]] = {}
        for y, context in windows:
            for way, parts in by_weights(y, RATE, context).items():
                found.setdefault(way, []).append(parts)
        visible = [y for y, _ in windows if np.ptp(y) >= VISIBLE]
        halves = [[by_weights(y[first::2], RATE / 2) for first in (0, 1)] for y in visible]
        for way, decomposed in found.items():
            times = [impulses(parts.driver, RATE) for parts in decomposed]
            cancels = [np.ptp(p.phasic) > 2 * np.ptp(p.phasic + p.tonic) for p in decomposed]
            negative = np.nan
            if way == "noise":
                negative = np.mean([parts.tonic.min() < -LEAST for parts in decomposed])
            agreement = [correlation(odd[way].phasic, even[way].phasic) for odd, even in halves]
            early, late = per_minute(times, EARLY), per_minute(times, LATE)
            cells.append(
                [
                    f"{name}, {way}",
                    f"{len(windows)}",
                    f"{100 * np.mean(cancels):.1f} %",
                    "-" if np.isnan(negative) else f"{100 * negative:.1f} %",
                    f"{early:.1f}, {late:.1f}",
                    f"{early / late:.2f}",
                    f"{np.median(agreement):.3f}",
                ]
            )
    head = ["", "windows", "cancellation", "tonic below 0", "events a minute, early, late"]
    print_table([*head, "early / late", "odd and even"], cells)


def check_breathing(data: Path) -> None:
    """Print the table of breathing in development people's windows."""
    cells = []
    for name, windows in read_windows(data).items():
        found = [estimate_breathing(y, RATE) for y, _ in windows]
        heights = np.array([2 * np.sqrt(2) * np.std(breathing) for breathing in found])
        row = [name, f"{len(windows)}", f"{100 * np.mean(heights > 0):.0f} %"]
        row.append(f"{np.median(heights[heights > 0]):.4f}")
        for share in (0, 1):
            times = [
                find_onsets(y - share * breathing) - context
                for (y, context), breathing in zip(windows, found, strict=True)
            ]
            early, late = per_minute(times, EARLY), per_minute(times, LATE)
            row.append(f"{early:.1f}, {late:.1f}; {early / late:.2f}")
        cells.append(row)
    head = ["", "windows", "with breathing", "its height in µS"]
    print_table([*head, "early, late; ratio", "the same, breathing removed"], cells)


def find_onsets(y: np.ndarray) -> np.ndarray:
    """Return the onsets of the responses that `scr_table` counts by default, in s."""
    phasic = Bandpass().decompose(y, RATE).phasic
    return scr_events(phasic, RATE, recording=y)["onset"].to_numpy()


def main() -> None:
    """Run one of the checks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    checks = parser.add_subparsers(dest="check", required=True)
    neurokit = checks.add_parser("neurokit")
    neurokit.add_argument("--python", required=True, help="path of a Python with neurokit2")
    for name in ("corpora", "breathing"):
        checks.add_parser(name).add_argument("data", type=Path)
    args = parser.parse_args()
    if args.check == "neurokit":
        check_neurokit(args.python)
    elif args.check == "corpora":
        check_corpora(args.data)
    else:
        check_breathing(args.data)


if __name__ == "__main__":
    main()
