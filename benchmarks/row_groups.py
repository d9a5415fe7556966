"""Time sizes of forward passes, and the test that chooses them.

    python benchmarks/row_groups.py

The networks are the published RTCAN with 3 channels of 2500 samples and 6373 music features, the
paper's RTCAN with 3 x 128, and the 3-layer CNN, on one thread. Each round times all alternatives.
The table shows medians over the rounds. The first alternative is the one chosen on this machine.
"""

from __future__ import annotations

import statistics
import time
import warnings

import numpy as np

from edaemo import RTCANClassifier
from edaemo.estimators import CNNClassifier
from edaemo.training import _row_groups
from edaemo.training._row_groups import ONE_BY_ONE, Way

SETTINGS = {"max_epochs": 1, "batch_size": 8, "random_state": 0}
MODELS = {
    "RTCAN, 3 x 2500, music": (
        RTCANClassifier(n_chans=3, n_times=2500, architecture="published", **SETTINGS),
        3 * 2500 + 6373,
    ),
    "RTCAN, 3 x 128": (RTCANClassifier(n_chans=3, n_times=128, **SETTINGS), 3 * 128),
    "CNN, 128 features": (CNNClassifier(**SETTINGS), 128),
}
# Linear layers padded to sixteen rows (Intel processors); always sixteen rows; one row at a time.
OTHERS = [Way((16, 1, 2, 4, 8, 64), 16), Way((16,), 16), ONE_BY_ONE]
ROUNDS = 15


def main() -> None:
    """Measure and print a Markdown table."""
    warnings.simplefilter("ignore")
    print("| network | rows per pass; linear layers padded to | one trial | 64 trials |")
    print("|---|---|---|---|")
    for title, (model, n_columns) in MODELS.items():
        rows = np.random.default_rng(0).normal(size=(64, n_columns)).astype(np.float32)
        model.fit(rows[:16], [0, 1] * 8)
        first = clock(lambda model=model, rows=rows: model.predict_proba(rows[:1]))
        known = _row_groups._of_network[model.net_.module_]
        ((setting, chosen),) = known.items()
        ways = [chosen, *(way for way in OTHERS if way != chosen)]
        times: dict[tuple[Way, int], list[float]] = {}
        for _ in range(ROUNDS):
            for way in ways:
                known[setting] = way
                for n in (1, 64):
                    repeats = 10 if n == 1 else 1
                    model.predict_proba(rows[:n])
                    taken = clock(
                        lambda n=n, repeats=repeats, model=model, rows=rows: [
                            model.predict_proba(rows[:n]) for _ in range(repeats)
                        ]
                    )
                    times.setdefault((way, n), []).append(taken / repeats)
        for way in ways:
            single, batch = (statistics.median(times[way, n]) for n in (1, 64))
            sizes = ", ".join(map(str, sorted(way.sizes)))
            note = "chosen: " if way == chosen else ""
            print(
                f"| {title} | {note}{sizes}; {way.least_rows} | {single:.2f} ms | {batch:.1f} ms |"
            )
        trial = first - statistics.median(times[chosen, 1])
        print(f"| {title} | the test, once per process | {trial:.0f} ms | |")


def clock(call) -> float:
    """Return the duration of a call in milliseconds."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
