"""Compare the speed of this version with another one, interleaved in one run.

    python benchmarks/versions.py OTHER_PYTHON [--rounds 5]

OTHER_PYTHON is the interpreter of an environment in which the other version is installed. Each
measurement is a process of its own with one thread. Prints a Markdown table of median times and of
the median ratio, this version to the other (least to greatest).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from statistics import median

MEASURE = """
import json, time
start = time.perf_counter()
import edaemo
results = {"import edaemo": time.perf_counter() - start}

import numpy as np
from edaemo import RTCANClassifier
from edaemo.decomposition import decompose
from edaemo.estimators import CNNClassifier
from edaemo.features import EDAFeatureExtractor


def least(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


rng = np.random.default_rng(0)
walks = np.cumsum(rng.normal(0, 0.01, (64, 2000)), axis=1) + 5.0
results["decompose 64 trials of 2,000 samples"] = least(
    lambda: [decompose(walk, 50.0) for walk in walks], 5
)
features = EDAFeatureExtractor(sampling_rate=50).fit(walks)
results["128 features of 64 trials of 2,000 samples"] = least(
    lambda: features.transform(walks + rng.normal()), 5  # signals that no cache holds
)
networks = {
    "RTCAN 3 x 2,500 with 6,373 music features": (
        RTCANClassifier(
            n_chans=3, n_times=2500, architecture="published", max_epochs=1, batch_size=8,
            random_state=0,
        ),
        13873,
    ),
    "RTCAN 3 x 128": (
        RTCANClassifier(n_chans=3, n_times=128, max_epochs=1, batch_size=8, random_state=0), 384
    ),
    "CNN": (CNNClassifier(max_epochs=1, batch_size=8, random_state=0), 128),
}
for name, (model, width) in networks.items():
    X = rng.normal(size=(64, width)).astype("float32")
    model.fit(X[:16], [0, 1] * 8)
    for n, repeats in ((1, 150), (64, 12)):
        model.predict_proba(X[:n])
        time_of_n = least(lambda: model.predict_proba(X[:n]), repeats)
        results[f"{name}: predict {n} trial{'s' * (n > 1)}"] = time_of_n
    model.set_params(batch_size=64, max_epochs=2 if width > 1000 else 20)
    results[f"{name}: fit 64 trials"] = least(lambda: model.fit(X, [0, 1] * 32), 1)
print(json.dumps(results))
"""


def main() -> None:
    """Measure both versions in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other", help="Python of the environment of the other version")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rounds = [(measure(arguments.other), measure(sys.executable)) for _ in range(arguments.rounds)]
    print("| | other version | this version | ratio |\n|---|---|---|---|")
    for name in rounds[0][1]:
        other, this = ([times[i][name] for times in rounds] for i in (0, 1))
        ratios = [b / a for a, b in zip(other, this, strict=True)]
        print(
            f"| {name} | {1000 * median(other):.4g} ms | {1000 * median(this):.4g} ms "
            f"| {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


def measure(python: str) -> dict[str, float]:
    """Return the times in seconds of one process, by what was measured."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", MEASURE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
