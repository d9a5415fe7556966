"""Compare the training of MuSeLSTMRegressor with a plain PyTorch loop of the same network.

    python benchmarks/muse_training.py            # one process; the table of docs/performance.md

Both train the network of 110,849 parameters (300 features, bidirectional LSTM, self-attention) on
the same 1,000 sequences of 100 to 200 steps, in batches of 32, with Adam and one minus the
concordance correlation of each sequence. The plain loop uses torch's own layers: nn.Linear,
nn.MultiheadAttention, nn.LSTM on packed sequences, and a DataLoader. Epochs of both alternate. The
time is that of the process on one thread, with all checks of `fit`. Memory is the peak of a process
above that with the data (Linux), in one epoch and in the prediction of all sequences, one by one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

from edaemo.estimators import MuSeLSTMRegressor

N_FEATURES, BATCH = 300, 32


class Plain(nn.Module):
    """The same network of torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(N_FEATURES, 64, bias=False)
        self.attend = nn.MultiheadAttention(64, 8, batch_first=True)
        self.norm = nn.LayerNorm(64)
        self.recur = nn.LSTM(64, 64, batch_first=True, bidirectional=True)
        self.regress = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the prediction for each step."""
        steps = self.project(steps)
        padding = torch.arange(steps.shape[1]) >= lengths[:, None]
        found, _ = self.attend(steps, steps, steps, key_padding_mask=padding, need_weights=False)
        steps = self.norm(steps + found)
        packed = pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.recur(packed)[0], batch_first=True)
        return self.regress(outputs).squeeze(-1)


def ccc_loss(predicted: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return one minus the concordance correlation of each sequence, averaged."""
    mask = (torch.arange(y.shape[1]) < lengths[:, None]).float()
    n = mask.sum(1)
    mean_y, mean_p = (y * mask).sum(1) / n, (predicted * mask).sum(1) / n
    from_y, from_p = (y - mean_y[:, None]) * mask, (predicted - mean_p[:, None]) * mask
    variances = (from_y.square().sum(1) + from_p.square().sum(1)) / n
    spread = variances + (mean_y - mean_p).square()
    return (1 - 2 * (from_y * from_p).sum(1) / n / spread).mean()


def collate(items: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    """Pad a batch."""
    X, y = zip(*items, strict=True)
    lengths = torch.tensor([len(series) for series in y])
    return pad_sequence(list(X), batch_first=True), pad_sequence(list(y), batch_first=True), lengths


def plain_epochs(X: list[np.ndarray], y: list[np.ndarray], n_epochs: int) -> float:
    """Return the seconds of the process for the training of the plain loop."""
    data = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in zip(X, y, strict=True)]
    torch.manual_seed(0)
    network = Plain()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    start = time.process_time()
    for _ in range(n_epochs):
        for steps, labels, lengths in DataLoader(data, BATCH, shuffle=True, collate_fn=collate):
            optimizer.zero_grad()
            ccc_loss(network(steps, lengths), labels, lengths).backward()
            optimizer.step()
    return time.process_time() - start


def our_epochs(X: list[np.ndarray], y: list[np.ndarray], n_epochs: int) -> float:
    """Return the seconds of the process for `fit`, with all its checks."""
    model = MuSeLSTMRegressor(max_epochs=n_epochs, batch_size=BATCH, random_state=0, device="cpu")
    start = time.process_time()
    model.fit(X, y)
    return time.process_time() - start


def plain_prediction(X: list[np.ndarray], y: list[np.ndarray]) -> Callable[[], object]:
    """Return a function that predicts all sequences with the plain network."""
    network = Plain().eval()

    @torch.inference_mode()
    def predict() -> list[np.ndarray]:
        sequences = (torch.from_numpy(cell)[None] for cell in X)
        return [network(part, torch.tensor([part.shape[1]])).numpy() for part in sequences]

    return predict


def our_prediction(X: list[np.ndarray], y: list[np.ndarray]) -> Callable[[], object]:
    """Return a function that predicts all sequences with MuSeLSTMRegressor."""
    model = MuSeLSTMRegressor(max_epochs=1, batch_size=4, random_state=0, device="cpu")
    model.fit(X[:4], y[:4])
    return lambda: model.predict(X)


def peak_memory(n_sequences: int, *, of: Callable[..., object], predicts: bool) -> float:
    """Return the peak memory of one epoch or of a prediction, in MB above that with the data."""
    X, y = make_sequences(n_sequences)
    work = of(X, y) if predicts else partial(of, X, y, 1)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begins the peak again
    before = memory_of_process("VmRSS")
    work()
    return memory_of_process("VmHWM") - before


def memory_of_process(name: str) -> float:
    """Return a field of Linux's table of this process, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def make_sequences(n: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return sequences and labels."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 201, size=n)
    X = [rng.normal(size=(length, N_FEATURES)).astype(np.float32) for length in lengths]
    return X, [(cell[:, 0] + rng.normal(size=len(cell))).astype(np.float32) for cell in X]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    X, y = make_sequences(arguments.sequences)
    plain_epochs(X[:BATCH], y[:BATCH], 1), our_epochs(X[:BATCH], y[:BATCH], 1)
    pairs = [(plain_epochs(X, y, 1), our_epochs(X, y, 1)) for _ in range(arguments.rounds)]
    plain, ours = np.median(pairs, axis=0)
    print(f"| {arguments.sequences} sequences, one epoch | plain PyTorch loop | edaemo | ratio |")
    print("|---|---|---|---|")
    print(f"| processor time, s | {plain:.1f} | {ours:.1f} | {ours / plain:.2f} |")
    for what, kinds, predicts in (
        ("training", (plain_epochs, our_epochs), False),
        ("prediction", (plain_prediction, our_prediction), True),
    ):
        memory = []
        for kind in kinds:
            # A new process each, so that no memory of another one is reused.
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                job = partial(peak_memory, arguments.sequences, of=kind, predicts=predicts)
                memory.append(pool.submit(job).result())
        print(
            f"| peak memory of {what} above the data, MB | {memory[0]:.0f} | {memory[1]:.0f} "
            f"| {memory[1] / memory[0]:.2f} |"
        )


if __name__ == "__main__":
    main()
