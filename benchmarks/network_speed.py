"""Compare training and prediction of MAET and AIMSTF with a plain PyTorch loop, on one CPU thread.

    python benchmarks/network_speed.py {maet,aimstf} [N_ROUNDS]

For MAET the data have the size of a part of SEED-VII: 1024 windows with 310 features of EEG and 33
of eye movements, and 7 classes. For AIMSTF they are 256 trials of the input of `evaluate`: three
channels of 128 samples of EDA, 100 features of music, and 2 classes. "loop" trains the same network
with the same loss and optimizer in a loop over slices of a tensor. Each measurement runs in a
process of its own. A round has one process of each kind, in random order, and ratios are computed
within a round. The script prints medians and ranges of the processor time of an epoch of training
and of a prediction of all trials, and the peak memory.
"""

from __future__ import annotations

import json
import math
import random
import resource
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from edaemo.estimators import AIMSTFClassifier, MAETClassifier
from edaemo.networks import AIMSTF, MAET
from edaemo.training import Batch, CrossEntropy, SpecificSharedLoss, cut_rows

N_EPOCHS = 3


class Case(NamedTuple):
    """A network with its data, its training, and the kinds of runs that are measured."""

    network: Any
    classifier: Any
    blocks: dict[str, tuple[int, ...]]
    n: int
    n_classes: int
    batch: int
    optimizer: Any
    decay: float
    loss: type[nn.Module]
    settings: dict[str, Any]
    kinds: tuple[str, ...]


CASES = {
    "maet": Case(
        *(MAET, MAETClassifier, {"eeg": (310,), "eye": (33,)}, 1024, 7, 64),
        *(torch.optim.AdamW, 0.05, CrossEntropy),
        {"modality_dropout": 0.0, "lr_scheduler": "constant"},
        ("loop", "classifier", "classifier, domain_loss", "classifier, half without eye"),
    ),
    "aimstf": Case(
        *(AIMSTF, AIMSTFClassifier, {"eda": (3, 128), "music": (100,)}, 256, 2, 64),
        *(torch.optim.Adam, 1e-4, SpecificSharedLoss),
        {"batch_size": 64},
        ("loop", "classifier", "classifier, half without music"),
    ),
}


def make_rows(case: Case, *, absent: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and classes; if `absent`, half of the rows lack the last modality."""
    rng = np.random.default_rng(0)
    sizes = [math.prod(shape) for shape in case.blocks.values()]
    X = rng.normal(size=(case.n, sum(sizes))).astype(np.float32)
    if absent:
        X[::2, -sizes[-1] :] = np.nan
    return X, rng.permutation(np.arange(case.n) % case.n_classes)


def run_loop(case: Case, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the seconds of an epoch and of a prediction, with a plain loop."""
    torch.manual_seed(0)
    net, loss = case.network(case.blocks, case.n_classes), case.loss()
    optimizer = case.optimizer(net.parameters(), lr=5e-4, weight_decay=case.decay)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)

    def step(which: Any) -> None:
        optimizer.zero_grad()
        outputs = net(**cut_rows(rows[which], case.blocks))
        loss(outputs, Batch(rows[which], labels[which])).backward()
        optimizer.step()

    step(slice(case.batch))  # as the other side: one batch before the measurement
    start = time.process_time()
    for _ in range(N_EPOCHS):
        for which in torch.randperm(case.n).split(case.batch):
            step(which)
    trained = time.process_time()
    net.eval()
    with torch.inference_mode():
        for part in rows.split(case.batch):
            net(**cut_rows(part, case.blocks)).softmax(dim=1)
    return (trained - start) / N_EPOCHS, time.process_time() - trained


def run_classifier(
    case: Case, X: np.ndarray, y: np.ndarray, **settings: Any
) -> tuple[float, float]:
    """Return the seconds of an epoch and of a prediction, with the classifier."""
    shapes = {name: shape if len(shape) > 1 else shape[0] for name, shape in case.blocks.items()}
    settings = {**case.settings, **settings, "max_epochs": N_EPOCHS, "random_state": 0}
    model = case.classifier(shapes, **settings)
    few = slice(case.batch)
    model.fit(X[few], y[few], subject=np.arange(case.batch) % 19)  # imports what it needs
    start = time.process_time()
    model.fit(X, y, subject=np.arange(case.n) % 19)
    trained = time.process_time()
    model.predict_proba(X[few])  # finds out once which batches give equal bits
    begin = time.process_time()
    model.predict_proba(X)
    return (trained - start) / N_EPOCHS, time.process_time() - begin


def measure(name: str, kind: str) -> dict[str, float]:
    """Return the measurements of one kind, in this process."""
    torch.set_num_threads(1)
    case = CASES[name]
    X, y = make_rows(case, absent="without" in kind)
    if kind == "loop":
        train, predict = run_loop(case, X, y)
    else:
        more = {"domain_loss": True} if "domain_loss" in kind else {}
        train, predict = run_classifier(case, X, y, **more)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"train": train, "predict": predict, "memory": memory}


def main(network: str, n_rounds: int) -> None:
    """Print the table."""
    rounds, kinds = [], CASES[network].kinds
    for seed in range(n_rounds):
        made = {}
        for kind in random.Random(seed).sample(kinds, len(kinds)):
            command = [sys.executable, __file__, "--do", network, kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            made[kind] = json.loads(done.stdout)
        rounds.append(made)
    print("| | epoch (s) | ratio | predict (s) | ratio | peak memory (MB) |")
    print("|---|---|---|---|---|---|")
    for kind in kinds:
        cells = []
        for name in ("train", "predict"):
            values = [made[kind][name] for made in rounds]
            ratios = [made[kind][name] / made["loop"][name] for made in rounds]
            cells.append(f"{statistics.median(values):.3f}")
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            cells.append("1" if kind == "loop" else ratio)
        memory = statistics.median(made[kind]["memory"] for made in rounds)
        print(f"| {kind} | {' | '.join(cells)} | {memory:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--do"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
