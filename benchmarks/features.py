"""Time the 128 features for as many trials as PMEmo has, compared with NeuroKit2.

The script prints a Markdown table. Both libraries process the same generated recordings in one run,
alternately. NeuroKit2 processes only the first `--subset` recordings, because it takes them one by
one. Its features are `eda_process` and `eda_intervalrelated` of each trial, six numbers. If
`neurokit2` cannot be imported, the script prints a message and times only edaemo.

    python benchmarks/features.py
    python benchmarks/features.py --trials 1000 --seconds 60 --rate 128 --subset 20
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import warnings
from collections.abc import Callable
from time import perf_counter

import numpy as np

from edaemo._cache import TrialCache
from edaemo.features import EDAFeatureExtractor
from edaemo.features import _extractor as extractor_module


def make_recordings(n_trials: int, n_samples: int, sampling_rate: float) -> np.ndarray:
    """Return recordings in microsiemens: a drifting level, four responses and sensor noise."""
    rng = np.random.default_rng(0)
    time = np.arange(n_samples) / sampling_rate
    steps = rng.normal(scale=0.01 / np.sqrt(sampling_rate), size=(n_trials, n_samples))
    recordings = 5 + np.cumsum(steps, axis=1)
    for _ in range(4):
        since = np.clip(time - rng.uniform(0, time[-1], size=(n_trials, 1)), 0, None)
        size = rng.uniform(0.1, 1, size=(n_trials, 1))
        recordings += size * (np.exp(-since / 2) - np.exp(-since / 0.7))
    return recordings + rng.normal(scale=0.002, size=recordings.shape)


def edaemo_features(preset: str, decomposition: str, rate: float) -> Callable[[np.ndarray], None]:
    """Return a function that computes all trials in one call, with an empty cache."""
    extractor = EDAFeatureExtractor(rate, preset=preset, decomposition=decomposition)

    def compute(recordings: np.ndarray) -> None:
        extractor_module._cache = TrialCache(max_bytes=64 * 2**20)
        extractor.transform(recordings)

    return compute


def neurokit_features(rate: float) -> Callable[[np.ndarray], None]:
    """Return a function that computes one trial after the other with NeuroKit2."""
    import neurokit2

    def compute(recordings: np.ndarray) -> None:
        for recording in recordings:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                signals, _ = neurokit2.eda_process(recording, sampling_rate=rate)
                neurokit2.eda_intervalrelated(signals, sampling_rate=rate)

    return compute


def seconds_of(compute: Callable[[np.ndarray], None], recordings: np.ndarray) -> float:
    """Return the duration of a call in seconds."""
    start = perf_counter()
    compute(recordings)
    return perf_counter() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=7962)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument(
        "--subset", type=int, default=100, help="trials for NeuroKit2 and the ratio"
    )
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if not 1 <= args.subset <= args.trials or args.repeats < 1:
        parser.error("--subset must be from 1 to --trials, and --repeats at least 1")
    recordings = make_recordings(args.trials, round(args.seconds * args.rate), args.rate)
    subset = recordings[: args.subset]

    works = {
        f'edaemo, 128 features, preset="{preset}"': edaemo_features(preset, "highpass", args.rate)
        for preset in ("edaemo", "pmemo")
    }
    try:
        import neurokit2
    except ImportError as error:
        print(f"neurokit2 cannot be imported ({error}): only edaemo is timed.\n", file=sys.stderr)
        theirs = None
    else:
        theirs = f"NeuroKit2 {neurokit2.__version__}, 6 features"
        works[theirs] = neurokit_features(args.rate)

    for compute in works.values():
        compute(subset[:2])  # do not time imports and first calls
    in_subset: dict[str, list[float]] = {name: [] for name in works}
    in_full: dict[str, list[float]] = {name: [] for name in works if name != theirs}
    for _ in range(args.repeats):
        for name, compute in works.items():
            in_subset[name].append(seconds_of(compute, subset))
        for name, times in in_full.items():
            times.append(seconds_of(works[name], recordings))

    print(
        f"{args.trials} trials of {recordings.shape[1]} samples at {args.rate:g} Hz, highpass; "
        f"medians of {args.repeats} alternating runs; {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, numpy {np.__version__}.\n"
    )
    print(f"| features | all {args.trials} trials | first {args.subset} trials | ratio there |")
    print("|---|---|---|---|")
    for name in works:
        full = f"{np.median(in_full[name]):.2f} s" if name in in_full else "-"
        part = np.median(in_subset[name])
        ratio = "-"
        if theirs is not None:
            times = np.array(in_subset[theirs]) / np.array(in_subset[name])
            ratio = f"{np.median(times):.0f} times as fast" if name != theirs else "1"
        print(f"| {name} | {full} | {part:.3f} s | {ratio} |")


if __name__ == "__main__":
    main()
