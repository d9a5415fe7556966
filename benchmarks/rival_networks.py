"""Measure training, prediction and memory of the models of other work, next to RTCAN.

    python benchmarks/rival_networks.py [N_ROUNDS]

The data are N trials with three channels of 128 samples, the input of `evaluate`, and random
labels. Each measurement runs in a process of its own, on one CPU thread. A round has one process of
each model, in random order; ratios are to RTCAN of the same round. The script prints the number of
parameters, medians and ranges of the processor time of an epoch of training (batches of 64) and of
a prediction of all trials, and the peak memory of the process. For MiniRocket, the time of training
is that of its features and of the search for the strength of the penalty.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from edaemo import RTCANClassifier
from edaemo.estimators import NetworkClassifier, make_minirocket
from edaemo.networks import NETWORKS

N, N_CHANS, N_TIMES, N_EPOCHS, BATCH = 512, 3, 128, 2, 64
REFERENCE = "rtcan"
MODELS = (
    REFERENCE,
    "alexnet2d",
    "dcnn",
    "machot",
    "ressin",
    "deepvanet",
    "tsception",
    "inceptiontime",
    "minirocket",
)


def make_model(name: str) -> Any:
    """Return the model, which trains for N_EPOCHS if it is a network."""
    if name == "minirocket":
        return make_minirocket(random_state=0)[1:]  # an array has no step that joins blocks
    settings = {"n_chans": N_CHANS, "max_epochs": N_EPOCHS, "batch_size": BATCH, "random_state": 0}
    if name == REFERENCE:
        return RTCANClassifier(**settings)
    return NetworkClassifier(NETWORKS[name], **settings)


def measure(name: str) -> dict[str, float]:
    """Train and predict; return times in seconds, memory in MB and the number of parameters."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, N_CHANS, N_TIMES)).astype(np.float32)
    y = rng.permutation(np.arange(N) % 2)
    make_model(name).fit(X[:BATCH], y[:BATCH])  # imports what it needs
    start = time.process_time()
    model = make_model(name).fit(X, y)
    trained = time.process_time()
    model.predict(X)
    is_network = hasattr(model, "net_")
    weights = model.net_.module_.parameters() if is_network else ()
    return {
        "parameters": sum(weight.numel() for weight in weights),
        "train": (trained - start) / (N_EPOCHS if is_network else 1),
        "predict": time.process_time() - trained,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run the rounds, and print a Markdown table."""
    if len(sys.argv) == 3 and sys.argv[1] == "--model":
        print(json.dumps(measure(sys.argv[2])))
        return
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[dict[str, float]]] = {name: [] for name in MODELS}
    for round_ in range(n_rounds):
        for name in random.Random(round_).sample(MODELS, len(MODELS)):
            command = [sys.executable, __file__, "--model", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout))
    print("| model | parameters | epoch | ratio | prediction | ratio | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        cells = [name, f"{runs[0]['parameters']:,}" if runs[0]["parameters"] else "-"]
        for what in ("train", "predict"):
            pairs = zip(runs, found[REFERENCE], strict=True)
            ratios = [run[what] / reference[what] for run, reference in pairs]
            cells += [f"{statistics.median(run[what] for run in runs):.2f} s", spread(ratios)]
        cells.append(f"{statistics.median(run['memory'] for run in runs):.0f} MB")
        print(f"| {' | '.join(cells)} |")


def spread(values: list[float]) -> str:
    """Return median, minimum and maximum."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
