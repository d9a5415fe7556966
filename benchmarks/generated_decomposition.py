"""Compare estimated components and driver events of a generated study with the true ones.

    python benchmarks/generated_decomposition.py
    python benchmarks/generated_decomposition.py --weights --seed 1     # docs/decomposition.md

The script prints Markdown tables. Recordings are whole trials of `make_music_listening`. The input
of cvxEDA is z-scored, and its time constants are the published ones (2.0 and 0.7 s), unless the
name of a row states otherwise.

Components: Pearson's correlation between the estimated and the true waveform of each trial. It is 0
if the estimated waveform is constant.

Driver events: local maxima of the driver that reach a share of its largest value (the threshold).
Of two maxima less than 1 s apart, only the larger is used. If the model does not fit a response
exactly, the driver has a large sample with small samples before and after it. The largest sample is
then on time, and the first sample is too early. True events are found in the true driver in the
same way, without a threshold. Estimated and true events are matched one to one, in the order of
time, so that the number of matches is maximal and matched events differ by at most a tolerance.
Sensitivity is the matched share of the true events. Positive predictive value (PPV) is the matched
share of the estimated events. Both are computed over all events of all trials. Chance: the same
number of events at random times of the trial.

With `--weights` the script compares the weights of cvxEDA instead, also on recordings of a
wristband (`make_music_listening(device="wristband")`), of which it uses the trials whose largest
response has at least 0.01 µS. The size of an event is then the integral of the driver within 0.5 s
of its maximum, because a driver of few samples has maxima of very different heights.

Decibels: the ratio of the variance of the true phasic component to the variance of the noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice, product
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy
from scipy.signal import butter, fftconvolve, find_peaks, sosfiltfilt

import edaemo
from edaemo.datasets import make_music_listening
from edaemo.decomposition import (
    Components,
    Decomposition,
    Weights,
    decompose,
    estimate_breathing,
    fit_time_constants,
    scr_events,
)
from edaemo.preprocessing import EDADecomposer

RECORDINGS = {
    "180 s, 50 Hz": (50.0, 180.0),
    "180 s, 4 Hz": (4.0, 180.0),
    "20 to 56 s, 50 Hz": (50.0, (20.0, 56.0)),
    "20 to 56 s, 4 Hz": (4.0, (20.0, 56.0)),
}
WRISTBAND = {
    "wristband, 180 s, 4 Hz": (4.0, 180.0),
    "wristband, 20 to 56 s, 4 Hz": (4.0, (20.0, 56.0)),
}
PUBLISHED = 2.0, 0.7  # s
GAP = 1.0  # s
SHARES = 0.01, 0.05, 0.1, 0.2
SHARE = 0.2
SHARE_OF_IMPULSE = 0.08  # chosen on the seed 1001
FIXED = Weights(alpha=0.01, gamma=1.0)  # µS
VISIBLE = 0.01  # µS
TOLERANCES = 0.5, 0.25  # s
TOLERANCE = TOLERANCES[0]
LARGE = 0.05  # µS
DECIBELS = 40, 30, 20, 10
HIGHEST = 1.0  # Hz, cut-off of the low-pass before the search for rises from trough to peak
MIRRORED = -0.9  # correlation of the estimated phasic with the estimated tonic component


class Trial(NamedTuple):
    """One recording and its parts in µS, the driver in µS/s, and the true time constants in s."""

    eda: np.ndarray
    phasic: np.ndarray
    earlier: np.ndarray  # part of phasic, from responses before the trial
    tonic: np.ndarray
    driver: np.ndarray
    constants: tuple[float, float]
    per_minute: float

    def without(self, *, noise: bool = False, earlier: bool = False) -> np.ndarray:
        """Return the EDA without noise, without responses before the trial, or without both."""
        clean = self.phasic + self.tonic if noise else self.eda
        return clean - self.earlier if earlier else clean


def make_trials(
    sampling_rate: float,
    duration: float | tuple,
    people: int,
    trials: int,
    seed: int,
    device: str = "laboratory",
) -> Iterator[Trial]:
    """Make a study and yield its trials, one person after the other."""
    study = make_music_listening(
        people,
        trials,
        trials,
        sampling_rate=sampling_rate,
        duration=duration,
        device=device,
        random_state=seed,
    )
    for eda, ((subject, trial), known) in zip(
        study.trials["eda"], study.truth.iterrows(), strict=True
    ):
        parts = study.make_components(subject, trial)
        phasic, tonic, driver = (parts[name].to_numpy() for name in ("phasic", "tonic", "driver"))
        constants = known.slow_constant, known.fast_constant
        earlier = phasic - respond(driver, *constants, sampling_rate)
        yield Trial(eda, phasic, earlier, tonic, driver, constants, known.response_rate)


def respond(driver: np.ndarray, slow: float, fast: float, sampling_rate: float) -> np.ndarray:
    """Convolve a driver with the Bateman function of peak 1 in docs/generated.md."""
    peak = np.log(slow / fast) / (1 / fast - 1 / slow)
    time = np.arange(len(driver)) / sampling_rate
    bateman = (np.exp(-time / slow) - np.exp(-time / fast)) / (
        np.exp(-peak / slow) - np.exp(-peak / fast)
    )
    return fftconvolve(driver, bateman)[: len(driver)] / sampling_rate


def z_score(eda: np.ndarray) -> np.ndarray:
    """Scale a recording to mean 0 and standard deviation 1."""
    return (eda - eda.mean()) / eda.std()


def inputs(trial: Trial) -> dict[str, tuple[np.ndarray, tuple[float, float]]]:
    """Return the inputs of cvxEDA: recordings and time constants."""
    quiet, rested = trial.without(noise=True), trial.without(earlier=True)
    return {
        "cvxEDA": (z_score(trial.eda), PUBLISHED),
        "in µS": (trial.eda, PUBLISHED),
        "true constants": (z_score(trial.eda), trial.constants),
        "true constants, in µS": (trial.eda, trial.constants),
        "no noise": (z_score(quiet), PUBLISHED),
        "no response before the trial": (z_score(rested), PUBLISHED),
        "all three: constants, noise, before": (
            z_score(trial.without(noise=True, earlier=True)),
            trial.constants,
        ),
    }


def split(
    eda: np.ndarray, sampling_rate: float, constants: tuple[float, float] = PUBLISHED
) -> Decomposition:
    """Decompose one recording by the published weights, without scaling."""
    slow, fast = constants
    return decompose(eda, sampling_rate, tau0=slow, tau1=fast, weights="published")


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Pearson's correlation, or 0 if x or y is constant."""
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0


def filtered(trial: Trial, sampling_rate: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return phasic and tonic components of simpler methods."""
    components = {}
    for method in ("highpass", "smooth", "median"):
        parts = EDADecomposer(sampling_rate, method=method).transform(trial.eda[None])
        components[f"EDADecomposer, {method}"] = tuple(parts.reshape(2, -1).astype(float))
    samples = np.arange(len(trial.eda))
    line = np.polynomial.Polynomial.fit(samples, trial.eda, 1)(samples)
    components["the recording; its straight line"] = trial.eda, line
    return components


def compare(
    phasic: np.ndarray, tonic: np.ndarray, trial: Trial, sampling_rate: float, rested: bool
) -> dict:
    """Return the correlations with the true components, and the properties of the trial."""
    noise = np.std(trial.eda - trial.phasic - trial.tonic)
    return {
        "phasic": correlation(phasic, trial.phasic - trial.earlier if rested else trial.phasic),
        "tonic": correlation(tonic, trial.tonic),
        "cancels": np.ptp(phasic) > 2 * np.ptp(phasic + tonic),
        "mirrored": correlation(phasic, tonic) < MIRRORED,
        "events": len(driver_events(trial.driver, sampling_rate)[0]),
        "decibels": 20 * np.log10(np.std(trial.phasic) / noise),
    }


def driver_events(
    driver: np.ndarray, sampling_rate: float, share: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the times of the events of a driver in s, and their sizes in µS."""
    peaks, _ = find_peaks(
        np.pad(driver, 1), height=share * driver.max(), distance=GAP * sampling_rate
    )
    return (peaks - 1) / sampling_rate, driver[peaks - 1] / sampling_rate


def match(found: np.ndarray, true: np.ndarray, tolerance: float) -> list[tuple[int, int]]:
    """Match as many times as possible of two ascending lists, at most `tolerance` apart."""
    pairs, i, j = [], 0, 0
    while i < len(found) and j < len(true):
        if abs(found[i] - true[j]) <= tolerance + 1e-9:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return pairs


def rises(eda: np.ndarray, sampling_rate: float, share: float) -> np.ndarray:
    """Return the onsets in s of rises from trough to peak in the smoothed recording."""
    low = butter(4, HIGHEST, fs=sampling_rate, output="sos")
    smooth = sosfiltfilt(low, eda, padlen=round(3 * sampling_rate))
    return scr_events(smooth, sampling_rate, min_amplitude=share, min_amplitude_us=None)[
        "onset"
    ].to_numpy()


def add_noise(trial: Trial, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise with a variance below that of the phasic component by `decibels`."""
    spread = np.std(trial.phasic) * 10 ** (-decibels / 20)
    return trial.eda + spread * rng.standard_normal(len(trial.eda))


def count(
    found: np.ndarray, trial: Trial, sampling_rate: float, rng: np.random.Generator
) -> list[dict]:
    """Count matches of the estimated with the true events, one row for each tolerance."""
    true, size = driver_events(trial.driver, sampling_rate)
    anywhere = np.sort(rng.random(len(found)) * len(trial.eda) / sampling_rate)
    rows = []
    for tolerance in TOLERANCES:
        pairs = match(found, true, tolerance)
        rows.append(
            {
                "tolerance": tolerance,
                "per_minute": trial.per_minute,
                "true": len(true),
                "large": np.count_nonzero(size > LARGE),
                "found": len(found),
                "matched": len(pairs),
                "matched_large": sum(size[j] > LARGE for _, j in pairs),
                "by_chance": len(match(anywhere, true, tolerance)),
            }
        )
    return rows


def measure(
    trial: Trial, sampling_rate: float, rng: np.random.Generator
) -> tuple[list[dict], list[dict]]:
    """Return the rows of `compare` and of `count` for one trial."""
    given = inputs(trial)
    found = {way: split(eda, sampling_rate, constants) for way, (eda, constants) in given.items()}
    components = {way: (parts.phasic, parts.tonic) for way, parts in found.items()}
    components |= filtered(trial, sampling_rate)
    for decibels in DECIBELS:
        noisy = z_score(add_noise(trial, decibels, rng))
        found[f"and white noise at {decibels} dB"] = split(noisy, sampling_rate)
    events = {
        (way, share): driver_events(parts.driver, sampling_rate, share)[0]
        for way, parts in found.items()
        for share in (SHARES if way == "cvxEDA" else [SHARE])
    } | {("trough to peak", share): rises(trial.eda, sampling_rate, share) for share in SHARES}
    return [
        {"way": way} | compare(*parts, trial, sampling_rate, rested="before" in way)
        for way, parts in components.items()
    ], [
        {"way": way, "share": share} | row
        for (way, share), times in events.items()
        for row in count(times, trial, sampling_rate, rng)
    ]


def rates(counts: pd.DataFrame) -> dict[str, float]:
    """Return sensitivity and PPV from counts, and their chance levels."""
    total = counts.sum(numeric_only=True)
    return {
        "sensitivity": total.matched / total.true,
        "of large": total.matched_large / total.large,
        "PPV": total.matched / total.found,
        "sensitivity by chance": total.by_chance / total.true,
        "PPV by chance": total.by_chance / total.found,
        "found per true": total.found / total.true,
    }


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    print()


def impulses(
    driver: np.ndarray, sampling_rate: float, share: float = SHARE_OF_IMPULSE
) -> np.ndarray:
    """Return the times in s of events whose impulse reaches a share of the largest."""
    window = np.ones(2 * round(GAP / 2 * sampling_rate) + 1)
    impulse = np.convolve(driver, window, "same")
    times, _ = driver_events(driver, sampling_rate)
    size = impulse[np.round(times * sampling_rate).astype(int)]
    return times[size >= share * size.max(initial=0.0)]


def by_weights(
    trial: Trial, sampling_rate: float, of_person: tuple[float, float]
) -> dict[str, Components]:
    """Decompose a trial with the weights that are compared; rows of bounds know the truth."""
    of_recording = fit_time_constants([trial.eda], sampling_rate)
    calm = trial.eda - estimate_breathing(trial.eda, sampling_rate)
    of_calm = fit_time_constants([calm], sampling_rate)
    rested, ideal = trial.without(earlier=True), trial.without(noise=True, earlier=True)
    phasic, tonic = filtered(trial, sampling_rate)["EDADecomposer, highpass"]
    given = {
        "fixed weights in µS": (trial.eda, PUBLISHED, FIXED),
        "noise": (trial.eda, PUBLISHED, "noise"),
        "noise, constants of the person": (trial.eda, of_person, "noise"),
        "noise, constants of the recording": (trial.eda, of_recording, "noise"),
        "the same, breathing removed first": (calm, of_calm, "noise"),
        "bound: true constants": (trial.eda, trial.constants, "noise"),
        "bound: and no response before the trial": (rested, trial.constants, "noise"),
        "bound: and no noise": (ideal, trial.constants, "noise"),
    }
    return {
        "high-pass": Components(phasic, tonic, None, np.zeros_like(phasic)),
        "published, z-scored": split(z_score(trial.eda), sampling_rate),
    } | {
        way: decompose(eda, sampling_rate, tau0=slow, tau1=fast, weights=weights)
        for way, (eda, (slow, fast), weights) in given.items()
    }


def measure_weights(
    trial: Trial, sampling_rate: float, of_person: tuple[float, float]
) -> list[dict]:
    """Return one row for each way of `by_weights`."""
    true, _ = driver_events(trial.driver, sampling_rate)
    rows = []
    for way, parts in by_weights(trial, sampling_rate, of_person).items():
        rested = "before" in way or "no noise" in way
        row = compare(parts.phasic, parts.tonic, trial, sampling_rate, rested)
        if parts.driver is not None:
            found = impulses(parts.driver, sampling_rate)
            row |= {"found": len(found), "matched": len(match(found, true, TOLERANCE))}
        rows.append({"way": way} | row)
    return rows


def print_weights(rows: pd.DataFrame) -> None:
    """Print components and events by weights."""
    kinds = rows["kind"].unique()
    trials = rows[rows["way"] == "noise"].groupby("kind", sort=False).size()
    print(f"Trials: {'; '.join(f'{kind}: {count}' for kind, count in trials.items())}\n")
    for part in ("phasic", "tonic"):
        print(f"Correlation with the true {part} component, median over trials (10th percentile):")
        print()
        table = [
            [
                way,
                *(
                    f"{values.median():.3f} ({values.quantile(0.1):.2f})"
                    for values in (of_way.loc[of_way["kind"] == kind, part] for kind in kinds)
                ),
            ]
            for way, of_way in rows.groupby("way", sort=False)
        ]
        print_table(["", *kinds], table)
    print(
        f"Driver events within {TOLERANCE:g} s, impulse of at least {SHARE_OF_IMPULSE:g} of the "
        "largest: sensitivity, PPV:"
    )
    print()
    table = []
    for way, of_way in rows.dropna(subset="found").groupby("way", sort=False):
        total = of_way.groupby("kind", sort=False)[["events", "found", "matched"]].sum()
        sensitivity, ppv = total["matched"] / total["events"], total["matched"] / total["found"]
        table.append([way, *(f"{sensitivity[kind]:.3f}, {ppv[kind]:.3f}" for kind in kinds)])
    print_table(["", *kinds], table)


def compare_weights(people: int, trials: int, seed: int) -> pd.DataFrame:
    """Decompose the trials of all kinds of recordings with all weights."""
    rows = []
    for kind, (sampling_rate, duration) in (RECORDINGS | WRISTBAND).items():
        device = "wristband" if kind in WRISTBAND else "laboratory"
        made = make_trials(sampling_rate, duration, people, trials, seed, device)
        while of_person := list(islice(made, trials)):
            constants = fit_time_constants([trial.eda for trial in of_person], sampling_rate)
            for trial in of_person:
                visible = driver_events(trial.driver, sampling_rate)[1].max() >= VISIBLE
                if kind in WRISTBAND and not visible:
                    continue
                measured = measure_weights(trial, sampling_rate, constants)
                rows += [{"kind": kind} | row for row in measured]
    return pd.DataFrame(rows)


def print_components(components: pd.DataFrame) -> None:
    """Print correlations by method and by group of trials."""

    def spread(values: pd.Series) -> str:
        return f"{values.median():.3f} ({values.quantile(0.1):.2f})"

    for part in ("phasic", "tonic"):
        print(f"Correlation with the true {part} component, median over trials (10th percentile):")
        print()
        rows = [
            [way, *(spread(of_way.loc[of_way["kind"] == kind, part]) for kind in RECORDINGS)]
            for way, of_way in components.groupby("way", sort=False)
        ]
        print_table(["", *RECORDINGS], rows)
    published = components[components["way"] == "cvxEDA"]
    groups = {
        "all": published["events"] > 0,
        "phasic spans more than twice what the recording does": published["cancels"],
        f"phasic and tonic are mirrored (r < {MIRRORED:g})": published["mirrored"],
        "one or two responses": published["events"] <= 2,
        "noise at 25 dB or more": published["decibels"] >= 25,
        "noise at 10 dB or less": published["decibels"] <= 10,
    }
    print("cvxEDA, groups of trials: share of trials; median correlation of phasic, of tonic:")
    print()
    rows = []
    for name, members in groups.items():
        cells = []
        for kind in RECORDINGS:
            of_kind = published["kind"] == kind
            group = published[of_kind & members]
            cells.append(
                f"{len(group) / of_kind.sum():.3f}; {group['phasic'].median():.2f}, "
                f"{group['tonic'].median():.2f}"
                if len(group)
                else "none"
            )
        rows.append([name, *cells])
    print_table(["", *RECORDINGS], rows)
    noise = published.groupby("kind", sort=False)["decibels"].median()
    each = "; ".join(f"{kind}: {decibels:.0f} dB" for kind, decibels in noise.items())
    print(f"Their own noise (breathing and sensor), median: {each}\n")


def print_events(counts: pd.DataFrame) -> None:
    """Print sensitivity and PPV by threshold, by method and by response rate."""
    near = counts[counts["tolerance"] == TOLERANCE]
    published = counts[counts["way"] == "cvxEDA"]
    print("Driver events of cvxEDA by threshold and tolerance; by chance in brackets:")
    print()
    rows = []
    for kind, share in product(RECORDINGS, SHARES):
        chosen = published[(published["kind"] == kind) & (published["share"] == share)]
        wide, narrow = (rates(chosen[chosen["tolerance"] == seconds]) for seconds in TOLERANCES)
        rows.append(
            [
                kind,
                f"{share:g}",
                f"{wide['found per true']:.2f}",
                f"{wide['sensitivity']:.3f} ({wide['sensitivity by chance']:.2f})",
                f"{wide['of large']:.3f}",
                f"{wide['PPV']:.3f} ({wide['PPV by chance']:.2f})",
                f"{narrow['sensitivity']:.3f} ({narrow['sensitivity by chance']:.2f})",
                f"{narrow['PPV']:.3f} ({narrow['PPV by chance']:.2f})",
            ]
        )
    first, second = TOLERANCES
    print_table(
        [
            "recordings",
            "threshold",
            "found per true",
            f"sensitivity, {first:g} s",
            f"of those above {LARGE:g} µS",
            f"PPV, {first:g} s",
            f"sensitivity, {second:g} s",
            f"PPV, {second:g} s",
        ],
        rows,
    )

    print(f"By input, within {TOLERANCE:g} s: sensitivity, PPV")
    print()
    rows = []
    for (way, share), of_way in near.groupby(["way", "share"], sort=False):
        if way == "cvxEDA" and share != SHARE:
            continue
        pairs = [rates(of_way[of_way["kind"] == kind]) for kind in RECORDINGS]
        cells = [f"{pair['sensitivity']:.3f}, {pair['PPV']:.3f}" for pair in pairs]
        rows.append([f"{way}, threshold {share:g}", *cells])
    print_table(["", *RECORDINGS], rows)

    print(
        f"cvxEDA by the rate of responses, threshold {SHARE:g}, within {TOLERANCE:g} s: "
        "sensitivity (chance), PPV (chance)"
    )
    print()
    chosen = near[(near["way"] == "cvxEDA") & (near["share"] == SHARE)]
    density = pd.cut(chosen["per_minute"], [0, 4, 7, 12, np.inf])
    names = ["below 4 a minute", "4 to 7", "7 to 12", "above 12"]
    rows = []
    for name, members in zip(names, density.cat.categories, strict=True):
        cells = []
        for kind in RECORDINGS:
            of_kind = rates(chosen[(density == members) & (chosen["kind"] == kind)])
            cells.append(
                f"{of_kind['sensitivity']:.3f} ({of_kind['sensitivity by chance']:.2f}), "
                f"{of_kind['PPV']:.3f} ({of_kind['PPV by chance']:.2f})"
            )
        rows.append([name, *cells])
    print_table(["", *RECORDINGS], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--trials", type=int, default=20, help="trials of each subject")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", action="store_true", help="compare the weights of cvxEDA")
    args = parser.parse_args()
    print(
        f"`python benchmarks/generated_decomposition.py{' --weights' if args.weights else ''} "
        f"--people {args.people} --trials {args.trials} --seed {args.seed}`, edaemo "
        f"{edaemo.__version__}, numpy {np.__version__}, scipy {scipy.__version__}\n"
    )
    if args.weights:
        print_weights(compare_weights(args.people, args.trials, args.seed))
        return
    components, counts = [], []
    for kind, (sampling_rate, duration) in RECORDINGS.items():
        rng = np.random.default_rng(args.seed)
        for trial in make_trials(sampling_rate, duration, args.people, args.trials, args.seed):
            of_trial = measure(trial, sampling_rate, rng)
            components += [{"kind": kind} | row for row in of_trial[0]]
            counts += [{"kind": kind} | row for row in of_trial[1]]
    print_components(pd.DataFrame(components))
    print_events(pd.DataFrame(counts))


if __name__ == "__main__":
    main()
