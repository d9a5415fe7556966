"""Compare training and prediction of MAETClassifier with a plain PyTorch loop, on one CPU thread.

    python benchmarks/maet_speed.py [N_ROUNDS]

The data have the size of a part of SEED-VII: 1024 windows with 310 features of EEG and 33 of eye
movements, and 7 classes. "loop" trains the same network with AdamW in a loop over slices of a
tensor. Each measurement runs in a process of its own. A round has one process of each kind, in
random order, and ratios are computed within a round. The script prints medians and ranges of the
processor time of an epoch of training and of a prediction of all windows, and the peak memory.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from torch.nn import functional as F

from edaemo.estimators import MAETClassifier
from edaemo.networks import MAET

N, BLOCKS, N_CLASSES, N_EPOCHS, BATCH = 1024, {"eeg": (310,), "eye": (33,)}, 7, 3, 64
KINDS = ("loop", "classifier", "classifier, domain_loss", "classifier, half without eye")


def make_rows(*, absent: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and classes; if `absent`, half of the rows lack the eye movements."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 343)).astype(np.float32)
    if absent:
        X[::2, 310:] = np.nan
    return X, rng.permutation(np.arange(N) % N_CLASSES)


def run_loop(X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the seconds of an epoch and of a prediction, with a plain loop."""
    torch.manual_seed(0)
    net = MAET(BLOCKS, N_CLASSES)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.05)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    F.cross_entropy(net(eeg=rows[:BATCH, :310], eye=rows[:BATCH, 310:]), labels[:BATCH]).backward()
    optimizer.step()  # as the other side: one batch before the measurement
    start = time.process_time()
    for _ in range(N_EPOCHS):
        order = torch.randperm(N)
        for which in order.split(BATCH):
            optimizer.zero_grad()
            eeg, eye = rows[which].split([310, 33], dim=1)
            F.cross_entropy(net(eeg=eeg, eye=eye), labels[which]).backward()
            optimizer.step()
    trained = time.process_time()
    net.eval()
    with torch.inference_mode():
        for part in rows.split(BATCH):
            eeg, eye = part.split([310, 33], dim=1)
            net(eeg=eeg, eye=eye).softmax(dim=1)
    return (trained - start) / N_EPOCHS, time.process_time() - trained


def run_classifier(X: np.ndarray, y: np.ndarray, *, domain_loss: bool) -> tuple[float, float]:
    """Return the seconds of an epoch and of a prediction, with the classifier."""
    model = MAETClassifier(
        {"eeg": 310, "eye": 33},
        modality_dropout=0.0,
        domain_loss=domain_loss,
        max_epochs=N_EPOCHS,
        lr_scheduler="constant",
        random_state=0,
    )
    model.fit(X[:BATCH], y[:BATCH], subject=np.arange(BATCH) % 19)  # imports what it needs
    start = time.process_time()
    model.fit(X, y, subject=np.arange(N) % 19)
    trained = time.process_time()
    model.predict_proba(X[:BATCH])  # finds out once which batches give equal bits
    begin = time.process_time()
    model.predict_proba(X)
    return (trained - start) / N_EPOCHS, time.process_time() - begin


def measure(kind: str) -> dict[str, float]:
    """Return the measurements of one kind, in this process."""
    torch.set_num_threads(1)
    X, y = make_rows(absent="without eye" in kind)
    if kind == "loop":
        train, predict = run_loop(X, y)
    else:
        train, predict = run_classifier(X, y, domain_loss="domain_loss" in kind)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"train": train, "predict": predict, "memory": memory}


def main(n_rounds: int) -> None:
    """Print the table."""
    rounds = []
    for seed in range(n_rounds):
        made = {}
        for kind in random.Random(seed).sample(KINDS, len(KINDS)):
            command = [sys.executable, __file__, "--do", kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            made[kind] = json.loads(done.stdout)
        rounds.append(made)
    print("| | epoch (s) | ratio | predict (s) | ratio | peak memory (MB) |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
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
        print(json.dumps(measure(sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
