"""Time the search for copied and overlapping recordings, and count what it finds.

    python benchmarks/near_copies.py [--trials 8000] > docs/near-copies.md

The script prints Markdown tables. The first table is for the bundled corpora: no pair is a copy. In
the second table, recordings of these corpora are changed and added again; every pair of a recording
and its changed version should be found. Copies that were filtered, rounded or given the noise of a
recorder are mostly missed. The third table is for generated EDA of 30 s at 50 Hz
(`make_music_listening`, 20 to 56 s, is one row), with processor time in one thread. The fourth
table counts pairs in independent recordings without noise, whose responses have the same form.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.signal import resample
from threadpoolctl import threadpool_limits

from edaemo.datasets import load_hku956, load_induced_stress, make_music_listening
from edaemo.preprocessing import find_copies

RATE = 50
N_SAMPLES = 30 * RATE
# The emotion depends on the song only.
ONE_CAUSE = {
    "eda_informativeness": 0.0,
    "music_informativeness": 0.0,
    "subject_fingerprint": 0.0,
    "stimulus_fingerprint": 1.0,
    "time_drift": 0.0,
}


def at_rate(signal: np.ndarray, ratio: float) -> np.ndarray:
    """Resample a recording by linear interpolation."""
    return np.interp(np.arange(0, len(signal) - 1, 1 / ratio), np.arange(len(signal)), signal)


def noisy(size: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that adds other noise to each recording, of this deviation in µS."""

    def add_noise(signal: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(np.ascontiguousarray(signal).view(np.uint32))
        return signal + size * rng.normal(size=len(signal))

    return add_noise


def window(share: float, first: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that cuts one of two windows that overlap by a share of their length."""

    def cut(signal: np.ndarray) -> np.ndarray:
        length = round(len(signal) / (2 - share))
        return signal[:length] if first else signal[-length:]

    return cut


def same(signal: np.ndarray) -> np.ndarray:
    """Return the recording itself."""
    return signal


CHANGES: dict[str, tuple[Callable, Callable]] = {
    "with noise of 1e-9 µS": (same, noisy(1e-9)),
    "with noise of 0.0001 µS": (same, noisy(1e-4)),
    "with noise of 0.001 µS": (same, noisy(1e-3)),
    "with noise of 0.01 µS": (same, noisy(1e-2)),
    "times 2 plus 1": (same, lambda signal: 2 * signal + 1),
    "shifted by one sample": (lambda signal: signal[:-1], lambda signal: signal[1:]),
    "mean of 4 samples": (same, lambda signal: np.convolve(signal, np.full(4, 0.25), "valid")),
    "rounded to 0.01 µS": (same, lambda signal: np.round(signal, 2)),
    "windows that overlap by 50 %": (window(0.5, True), window(0.5, False)),
    "windows that overlap by 25 %": (window(0.25, True), window(0.25, False)),
    "every second sample": (same, lambda signal: signal[::2]),
    "4 Hz to 5 Hz, linear": (same, lambda signal: at_rate(signal, 5 / 4)),
    "4 Hz to 5 Hz, Fourier": (same, lambda signal: resample(signal, len(signal) * 5 // 4)),
}


def make_eda(n_trials: int, n_samples: int, random_state: int) -> list[np.ndarray]:
    """Generate EDA: a level that drifts, responses, noise of 0.002 µS, steps of 0.001 µS."""
    rng = np.random.default_rng(random_state)
    seconds = np.arange(n_samples) / RATE
    response = np.exp(-seconds / 2) - np.exp(-seconds / 0.7)
    size = 2 * n_samples
    trials = []
    for _ in range(n_trials):
        driver = np.zeros(n_samples)
        n_responses = rng.poisson(seconds[-1] / 10)
        driver[rng.integers(0, n_samples, n_responses)] = rng.uniform(0.05, 0.5, n_responses)
        phasic = np.fft.irfft(np.fft.rfft(driver, size) * np.fft.rfft(response, size), size)
        drift = rng.uniform(1, 10) + 0.002 * rng.normal(size=n_samples).cumsum()
        signal = drift + phasic[:n_samples] + 0.002 * rng.normal(size=n_samples)
        trials.append(np.round(signal, 3))
    return trials


def search(trials: Sequence[np.ndarray]) -> tuple[set[tuple[int, int]], float]:
    """Return the pairs found, and the seconds of processor time."""
    start = time.process_time()
    found = find_copies(list(trials))
    seconds = time.process_time() - start
    return set(zip(found["first"], found["second"], strict=True)), seconds


def print_row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |")


def print_head(text: str, *cells: str) -> None:
    """Print the text before a Markdown table, and the head of the table."""
    print(f"\n{text}\n")
    print_row(*cells)
    print_row(*("---" for _ in cells))


def compare_corpora() -> None:
    """Print the first two tables."""
    corpora = {
        "HKU956, first 25 s": load_hku956(),
        "HKU956, whole": load_hku956(window=None),
        "induced stress, first 25 s": load_induced_stress(),
        "induced stress, whole": load_induced_stress(window=None),
    }
    signals = {name: list(study.trials["eda"]) for name, study in corpora.items()}
    print_head(
        "In the bundled corpora:",
        *("corpus", "recordings", "pairs compared", "copies found", "seconds"),
    )
    for name, trials in signals.items():
        found, seconds = search(trials)
        n_pairs = len(trials) * (len(trials) - 1) // 2
        print_row(name, len(trials), f"{n_pairs:,}", len(found), f"{seconds:.1f}")
    print_head(
        "Each recording with more than two different values was changed and added again. The\n"
        "table has the share of these pairs that was found, and the number of false pairs of all\n"
        "columns:",
        *("added to the corpus", *(f"found, {name}" for name in signals), "false pairs"),
    )
    for change, (first, second) in CHANGES.items():
        shares, n_false = [], 0
        for trials in signals.values():
            varied = [trial for trial in trials if len(np.unique(trial)) > 2]
            n = len(varied)
            found, _ = search([*map(first, varied), *map(second, varied)])
            true = {(row, row + n) for row in range(n)}
            shares.append(f"{len(found & true) / n:.3f}")
            n_false += len(found - true)
        print_row(change, *shares, n_false)


def time_many(n_trials: int) -> None:
    """Print the third table."""
    print_head(
        "Generated EDA of 30 s at 50 Hz (of `make_music_listening()`: 20 to 56 s):",
        *("generated study", "recordings", "true pairs", "found", "false pairs", "seconds"),
    )
    for n in (n_trials // 4, n_trials // 2, n_trials):
        alone = make_eda(n, N_SAMPLES, 0)
        found, seconds = search(alone)
        print_row("all different", n, 0, 0, len(found), f"{seconds:.1f}")
    n_copied = n_trials // 20
    half = alone[: n_trials - n_copied]
    changes = {
        "one in twenty is a copy, times 2 plus 1": lambda signal: 2 * signal + 1,
        "one in twenty is decimated": lambda signal: signal[::2],
    }
    for name, change in changes.items():
        found, seconds = search([*half, *map(change, half[:n_copied])])
        true = {(row, row + len(half)) for row in range(n_copied)}
        counts = len(true), len(found & true), len(found - true)
        print_row(name, n_trials, *counts, f"{seconds:.1f}")
    for share in (0.5, 0.25):
        hop = round(N_SAMPLES * (1 - share))
        n_windows = 20
        long = make_eda(n_trials // n_windows, N_SAMPLES + (n_windows - 1) * hop, 1)
        cut = [s[k * hop : k * hop + N_SAMPLES] for s in long for k in range(n_windows)]
        found, seconds = search(cut)
        true = {(row, row + 1) for row in range(len(cut) - 1) if (row + 1) % n_windows}
        name = f"windows that overlap by {share:.0%}"
        counts = len(true), len(found & true), len(found - true)
        print_row(name, len(cut), *counts, f"{seconds:.1f}")
    study = list(make_music_listening().trials["eda"])
    found, seconds = search(study)
    print_row("make_music_listening()", len(study), 0, 0, len(found), f"{seconds:.1f}")


def count_false() -> None:
    """Print the fourth table: short studies without noise, and one emotion for each song."""
    print_head(
        "False pairs are most likely among recordings without noise whose responses have the same\n"
        "form. In 60 generated studies of 240 such recordings each:",
        *("recordings", "pairs compared", "false pairs"),
    )
    for rate, duration in ((8, 20), (8, 40), (4, 60), (8, (20, 56))):
        n_pairs = n_false = 0
        for seed in range(100, 160):
            study = make_music_listening(
                20,
                12,
                12,
                sampling_rate=rate,
                duration=duration,
                **ONE_CAUSE,
                random_state=seed,
            )
            found = find_copies(study.trials)
            n_pairs += found.attrs["n_pairs"]
            n_false += len(found)
        print_row(f"{duration} s at {rate} Hz", f"{n_pairs:,}", n_false)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=8000)
    arguments = parser.parse_args()
    print("# Copied and overlapping recordings\n")
    print("`edaemo.preprocessing.find_copies` finds copied and overlapping recordings. This page")
    print("is the output of `python benchmarks/near_copies.py`. A false pair is one that was found")
    print("but is not a copy. Seconds are processor time in one thread.")
    with threadpool_limits(1):
        compare_corpora()
        time_many(arguments.trials)
        count_false()


if __name__ == "__main__":
    main()
