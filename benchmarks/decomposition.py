"""Compare the speed of the decomposition with the reference implementation, as Markdown tables.

Usage: ``EDAEMO_CVXEDA=/path/to/cvxEDA python benchmarks/decomposition.py [--quick]``. The path is a
checkout of https://github.com/lciti/cvxEDA. Its licence is GPL-3, so this repository does
not include it. cvxopt must be installed. Without the checkout, only edaemo is timed.

All measurements run in one process and are interleaved. In each round, every alternative gets the
same few trials, and ratios are computed within a round. The tables show the median over the rounds
and, in brackets, the minimum and the maximum. For missing samples, the whole trial and the masked
trial are timed alternately. The last two columns are the median over the trials of the root mean
square difference between the hidden samples and the model, in standard deviations of the trial.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from scipy.signal import bilinear, lfilter

import edaemo.decomposition
from edaemo.decomposition import _compiled

# The problem of the reference implementation; one row has the default weights.
decompose = partial(edaemo.decomposition.decompose, weights="published")
decompose_many = partial(edaemo.decomposition.decompose_many, weights="published")

ROUNDS = 8


def simulate(seed: int, n: int, sampling_rate: float) -> np.ndarray:
    """Make a z-scored trial with 3 to 15 responses per minute, drift, noise and ADC steps."""
    rng = np.random.default_rng(seed)
    slow, fast = 1 / 2.0, 1 / 0.7
    skin = bilinear([fast - slow], [1.0, slow + fast, slow * fast], sampling_rate)
    per_minute = rng.uniform(3, 15)
    nerve = (rng.random(n) < per_minute / 60 / sampling_rate) * rng.exponential(sampling_rate, n)
    y = lfilter(*skin, nerve) + 0.5 * np.cumsum(rng.normal(size=n)) / np.sqrt(n)
    y += (0.0, 0.01, 0.03)[seed % 3] * rng.normal(size=n)
    step = (0.0, 1e-3, 5e-3)[seed // 3 % 3]
    if step:
        y = np.round(y / step) * step
    return (y - y.mean()) / y.std()


def find_reference() -> Callable[[np.ndarray, float], object] | None:
    """Return the reference implementation; print a message and return None if it is missing."""
    given = os.environ.get("EDAEMO_CVXEDA")
    if not given:
        print("EDAEMO_CVXEDA is not set: the reference is skipped.\n")
        return None
    path = next(Path(given).expanduser().rglob("cvxEDA.py"), None)
    if path is None:
        print(f"No cvxEDA.py below EDAEMO_CVXEDA={given}: the reference is skipped.\n")
        return None
    sys.path.insert(0, str(path.parent))
    from cvxEDA import cvxEDA

    return lambda y, rate: cvxEDA(y, 1 / rate, options={"show_progress": False})


@contextmanager
def lanes(count: int):
    """Set the number of segments that the kernel processes at a time."""
    widest = _compiled.widest
    _compiled.widest = lambda: count
    try:
        yield
    finally:
        _compiled.widest = widest


def ours(**parameters: object) -> Callable[[list[np.ndarray], float], object]:
    """Return a function that decomposes trials with these parameters."""
    return lambda trials, rate: decompose_many(trials, rate, **parameters)


def in_two_lanes(trials: list[np.ndarray], rate: float) -> object:
    """Decompose with two lanes, as on a processor without AVX2."""
    with lanes(2):
        return decompose_many(trials, rate)


def clock(run: Callable[[], object]) -> float:
    """Return the duration of a call in seconds."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def spread(values: np.ndarray, form: str) -> str:
    """Format the median, the minimum and the maximum."""
    low, middle, high = (format(v, form) for v in np.quantile(values, [0, 0.5, 1]))
    return f"{middle} ({low} to {high})"


def compare(n: int, rate: float, count: int, reference: Callable | None) -> None:
    """Print the table of all alternatives on `count` trials of `n` samples."""
    trials = [simulate(seed, n, rate) for seed in range(count)]
    runs = {
        "compiled": ours(),
        "compiled, no certificate": ours(certificate=False),
        "compiled, weights from the noise": ours(weights="noise"),
        "compiled, two threads": ours(n_jobs=2),
        f"compiled, two lanes of {_compiled.widest()}": in_two_lanes,
        "scipy": ours(solver="scipy"),
    }
    if reference is not None:
        runs = {"reference": lambda trials, r: [reference(y, r) for y in trials], **runs}
    for run in runs.values():
        run(trials[:2], rate)
    seconds = {name: [] for name in runs}
    for k in range(ROUNDS):
        subset = trials[k::ROUNDS]
        for name, run in runs.items():
            # Fast alternatives get the trials five times, to take long enough for the clock.
            batch = subset if name in ("reference", "scipy") else 5 * subset
            seconds[name].append(clock(lambda run=run, batch=batch: run(batch, rate)) / len(batch))
    print(f"\n{count} trials of {n} samples at {rate:g} Hz\n")
    print("| | ms per trial | times the reference's speed |")
    print("|---|---|---|")
    for name, times in seconds.items():
        times = np.array(times)
        ratio = "" if reference is None else spread(np.array(seconds["reference"]) / times, ".3g")
        print(f"| {name} | {spread(times * 1e3, '.3g')} | {ratio} |")
    gaps = np.array([r.gap for r in decompose_many(trials, rate)])
    print(f"\nCertified gap: median {np.median(gaps):.0e}, largest {gaps.max():.0e}.")


def long_recordings(quick: bool) -> None:
    """Print time and memory of single long recordings."""
    print("\nLong recordings at 128 Hz in one piece, one core\n")
    print("| samples | | ms | ns per sample and iteration | bytes per sample |")
    print("|---|---|---|---|---|")
    for n, name in [(7680, "1 min"), (107_520, "14 min"), (460_800, "1 h"), (1_843_200, "4 h")]:
        if quick and n > 200_000:
            continue
        y = simulate(1, n, 128.0)
        result = decompose(y, 128.0)
        times = np.array([clock(lambda y=y: decompose(y, 128.0)) for _ in range(5)])
        structure = _compiled.build_structure(
            n, 128.0, 2.0, 0.7, 10.0, 1e-2, "reference", _compiled.widest()
        )
        each = 1e9 * np.median(times) / n / result.n_iter
        print(
            f"| {n} | {name} | {spread(times * 1e3, '.3g')} | {each:.1f} "
            f"| {structure.workspace_bytes / n:.0f} |"
        )


def hide(n: int, rate: float, kind: str, seed: int) -> np.ndarray:
    """Return a mask of the samples of a trial to hide."""
    rng, hidden = np.random.default_rng(seed), np.zeros(n, dtype=bool)
    if kind == "a tenth":
        hidden[rng.choice(n, n // 10, replace=False)] = True
    else:
        length = round(float(kind.split()[0]) * rate)
        begin = rng.integers(n // 5, 4 * n // 5 - length)
        hidden[begin : begin + length] = True
    return hidden


def missing_samples(n: int, rate: float, count: int) -> None:
    """Print the cost of masking, and the error of phasic + tonic at the hidden samples."""
    print(f"\nMissing samples, {count} trials of {n} samples at {rate:g} Hz, scipy\n")
    print("| missing | time relative to the whole trial | largest gap | masked | interpolated |")
    print("|---|---|---|---|---|")
    for kind in ("a tenth", "1 s", "3 s"):
        ratios, gaps, masked, filled = [], [], [], []
        for seed in range(count):
            y, hidden = simulate(seed, n, rate), hide(n, rate, kind, seed)
            holed, place = np.where(hidden, np.nan, y), np.arange(n)
            line = np.interp(place, place[~hidden], y[~hidden])
            whole = clock(lambda y=y: decompose(y, rate, solver="scipy"))
            result = decompose(holed, rate, missing="mask")
            taken = clock(lambda y=holed: decompose(y, rate, solver="scipy", missing="mask"))
            ratios.append(taken / whole)
            gaps.append(result.gap)
            for parts, errors in ((result, masked), (decompose(line, rate), filled)):
                errors.append(np.sqrt(np.mean((parts.phasic + parts.tonic - y)[hidden] ** 2)))
        print(
            f"| {kind} | {spread(np.array(ratios), '.2f')} | {max(gaps):.0e} "
            f"| {np.median(masked):.2g} | {np.median(filled):.2g} |"
        )


def large_batch(count: int) -> None:
    """Print the time for a corpus of the size of PMEmo."""
    trials = [simulate(seed, 2000, 50.0) for seed in range(count)]
    print(f"\n{count} trials of 2000 samples at 50 Hz\n")
    print("| threads | s |")
    print("|---|---|")
    for n_jobs in (1, 2):
        seconds = clock(lambda n_jobs=n_jobs: decompose_many(trials, 50.0, n_jobs=n_jobs))
        print(f"| {n_jobs} | {seconds:.2f} |")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few trials, and no recordings of an hour or more"
    )
    quick = parser.parse_args().quick
    if _compiled.load() is None:
        sys.exit("The compiled kernel is missing: nothing to measure.")
    reference = find_reference()
    count = ROUNDS if quick else 64
    compare(2000, 50.0, count, reference)
    compare(7680, 128.0, count, reference)
    long_recordings(quick)
    missing_samples(2000, 50.0, count)
    large_batch(200 if quick else 7962)


if __name__ == "__main__":
    main()
