"""Time RTCAN on one GPU at the size of PMEmo: ten folds, 100 epochs, 7,962 trials, 794 songs.

    CUBLAS_WORKSPACE_CONFIG=:4096:8 python benchmarks/speed_gpu.py

Trials are noise of 3 channels x 2500 samples. Each trial has one of 794 songs with 6373 features.
Speed and memory are those of the corpus; accuracies are meaningless. The script prints Markdown:

- the time of an epoch, trials per second and peak memory, for single precision and bfloat16, plain,
  compiled and with CUDA graphs;
- whether two deterministic fits end with the same weights;
- a profile of an epoch;
- the time of all folds with the fastest setting.

Sizes can be reduced, and `--device cpu` tests the script.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch
from skorch.callbacks import Callback
from torch.profiler import ProfilerActivity, profile

from edaemo import RTCANClassifier
from edaemo.model_selection import SubjectKFold

N_CHANS, N_TIMES, N_MUSIC, SONGS, PEOPLE = 3, 2500, 6373, 794, 457
WAYS = {
    "single precision": {},
    "bf16": {"amp": "bf16"},
    "bf16, compiled": {"amp": "bf16", "compile": True},
    "bf16, compiled, CUDA graphs": {"amp": "bf16", "compile": "reduce-overhead"},
}


class Clock(Callback):
    """Callback that records the end of each epoch."""

    def on_train_begin(self, net: object, **kwargs: object) -> None:
        """Record the start."""
        self.ends = [now(net.device)]

    def on_epoch_end(self, net: object, **kwargs: object) -> None:
        """Record the end of the epoch."""
        self.ends.append(now(net.device))


class Profile(Callback):
    """Callback that profiles the second epoch."""

    def on_epoch_begin(self, net: object, **kwargs: object) -> None:
        """Start the profile at the second epoch."""
        if len(net.history) == 2:
            kinds = [ProfilerActivity.CPU]
            if net.device != "cpu":
                kinds.append(ProfilerActivity.CUDA)
            self.profile = profile(activities=kinds)
            self.profile.start()

    def on_epoch_end(self, net: object, **kwargs: object) -> None:
        """Print the profile."""
        if len(net.history) == 2:
            self.profile.stop()
            by = "self_cuda_time_total" if net.device != "cpu" else "self_cpu_time_total"
            print("```")
            print(self.profile.key_averages().table(sort_by=by, row_limit=25))
            print("```")


def now(device: str) -> float:
    """Return the time after all work of the device is done."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def make_rows(n_trials: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, labels and subjects."""
    rng = np.random.default_rng(0)
    songs = rng.standard_normal((SONGS, N_MUSIC), dtype=np.float32)
    rows = np.empty((n_trials, N_CHANS * N_TIMES + N_MUSIC), np.float32)
    rows[:, : N_CHANS * N_TIMES] = rng.standard_normal((n_trials, N_CHANS * N_TIMES), np.float32)
    rows[:, N_CHANS * N_TIMES :] = songs[rng.integers(SONGS, size=n_trials)]
    return rows, rng.integers(2, size=n_trials), np.arange(n_trials) % PEOPLE


def make_model(arguments: argparse.Namespace, **settings: object) -> RTCANClassifier:
    """Return a classifier of the published architecture."""
    return RTCANClassifier(
        n_chans=N_CHANS,
        n_times=N_TIMES,
        architecture="published",
        batch_size=arguments.batch_size,
        device=arguments.device,
        random_state=0,
        **settings,
    )


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--trials", type=int, default=7962)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=256)
    arguments = parser.parse_args()
    on_gpu = arguments.device != "cpu"
    rows, labels, people = make_rows(arguments.trials)
    folds = list(SubjectKFold(arguments.folds).split(rows, labels, people))
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    print(f"{name}, torch {torch.__version__}, batches of {arguments.batch_size}.\n")
    print("| training | an epoch | trials per second | peak memory of the device |")
    print("|---|---|---|---|")
    training, epochs = folds[0][0], {}
    for way, settings in WAYS.items():
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        model = make_model(arguments, max_epochs=4, callbacks=[Clock()], **settings)
        model.fit(rows[training], labels[training])
        clock = next(item for _, item in model.net_.callbacks_ if isinstance(item, Clock))
        epochs[way] = min(np.diff(clock.ends)[1:])
        memory = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else float("nan")
        rate = len(training) / epochs[way]
        print(f"| {way} | {epochs[way]:.2f} s | {rate:.0f} | {memory:.0f} MB |", flush=True)
    if not on_gpu or "CUBLAS_WORKSPACE_CONFIG" in os.environ:
        states = []
        for _ in range(2):
            model = make_model(arguments, max_epochs=2, deterministic=True)
            states.append(model.fit(rows[training], labels[training]).net_.module_.state_dict())
        same = all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        print(f"\nTwo deterministic fits end with the same weights: {'yes' if same else 'NO'}.\n")
    fastest = min(epochs, key=epochs.get)
    make_model(arguments, max_epochs=2, callbacks=[Profile()], **WAYS[fastest]).fit(
        rows[training], labels[training]
    )
    start = now(arguments.device)
    for number, (training, test) in enumerate(folds):
        model = make_model(arguments, max_epochs=arguments.epochs, **WAYS[fastest])
        model.fit(rows[training], labels[training]).predict_proba(rows[test])
        print(f"fold {number + 1}: {now(arguments.device) - start:.1f} s", flush=True)
    print(
        f"\n{len(folds)} folds x {arguments.epochs} epochs x {arguments.trials} trials, {fastest}: "
        f"{now(arguments.device) - start:.1f} s."
    )


if __name__ == "__main__":
    main()
