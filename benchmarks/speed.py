"""Time RTCAN's training and prediction, compared with the released code, on one CPU thread.

    python benchmarks/speed.py RTCAN-1D --rounds 5

RTCAN-1D is a checkout of the released code (github.com/guanghaoyin/RTCAN-1D). It has no licence, so
it is not part of this repository. The network is the same in all measurements: the published
architecture with 3 channels of 2500 samples and 6373 music features. "plain" is edaemo's network
with its fast paths off. Each measurement runs in a separate process with one thread. A round has
one process of each kind, in random order, and ratios are computed within a round. The script prints
a Markdown table of medians and ranges over the rounds. "worker" is a process like those that
`evaluate` starts for its folds.

    python benchmarks/speed.py --stages

prints the time of each stage from raw EDA to the prediction of one trial, on one thread. This does
not need the released code.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

N_CHANS, N_TIMES, N_MUSIC = 3, 2500, 6373
RATE = 50
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

# (title, task, implementations; the first implementation is the reference of the ratios)
ROWS = [
    ("train, batch 64", "train 64", ["released", "plain", "fast", "fast worker"]),
    ("train, batch 256", "train 256", ["released", "plain", "fast", "fast worker"]),
    ("train, batch 64, bf16", "train 64", ["released", "released bf16", "fast bf16"]),
    ("train, the paper's architecture", "paper 64", ["plain", "fast"]),
    ("train, batch 64, compiled", "train 64", ["released", "compiled"]),
    (
        "predict 64 trials",
        "predict 64",
        ["released", "plain", "fast", "classifier", "classifier compiled"],
    ),
    ("predict 64 trials, bf16", "predict 64", ["released", "released bf16", "fast bf16"]),
    (
        "predict one trial",
        "predict 1",
        ["released", "fast", "classifier", "classifier compiled", "onnx"],
    ),
    (
        "one trial from raw EDA",
        "raw 1",
        ["decomposition and released", "decomposition and onnx", "pipeline"],
    ),
    ("small net, an epoch", "small", ["plain loop", "skorch"]),
]
FOLDS = ("two folds", "folds", ["one process", "two processes"])


def main() -> None:
    """Run all measurements, or, in a child process, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("released", type=Path, nargs="?", help="checkout of the released code")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only rows whose titles contain this text")
    parser.add_argument("--stages", action="store_true", help="only print the stages of one trial")
    parser.add_argument("--do", nargs=2, metavar=("WHAT", "WHO"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.do:
        what, who = arguments.do
        print(json.dumps(do(what, who, arguments.released)))
        return
    if arguments.stages:
        print_stages()
        return
    if arguments.released is None:
        parser.error("pass the checkout of the released code, or --stages")
    results: dict[tuple[str, str], list[dict]] = {}
    rows = [row for row in [*ROWS, FOLDS] if arguments.only in row[0]]
    jobs = {(what, who) for _, what, whos in rows for who in whos}
    for number in range(arguments.rounds):
        for what, who in random.Random(number).sample(sorted(jobs), len(jobs)):
            print(f"round {number + 1}: {what}, {who}", file=sys.stderr, flush=True)
            command = [sys.executable, __file__, str(arguments.released), "--do", what, who]
            done = subprocess.run(
                command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, check=True, text=True
            )
            results.setdefault((what, who), []).append(json.loads(done.stdout.splitlines()[-1]))
    print_table(rows, results, arguments.rounds)


def print_table(rows: list, results: dict, n_rounds: int) -> None:
    """Print a line for each measurement."""
    import torch

    print(
        f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, torch {torch.__version__}, {n_rounds} rounds, medians "
        "(least to greatest).\n"
    )
    print("| | by | time | ratio | trials per second | peak memory |")
    print("|---|---|---|---|---|---|")
    for title, what, whos in rows:
        first = results[what, whos[0]]
        for who in whos:
            runs = results[what, who]
            ratios = [a["seconds"] / b["seconds"] for a, b in zip(first, runs, strict=True)]
            ratio = "1" if who == whos[0] else f"{spread(ratios, '{:.2f}')}"
            seconds = [run["seconds"] * 1000 for run in runs]
            rate = statistics.median(run["trials"] / run["seconds"] for run in runs)
            memory = statistics.median(run["memory"] for run in runs)
            print(
                f"| {title} | {who} | {spread(seconds, '{:.4g}')} ms | {ratio} | {rate:.0f} | "
                f"{memory:.0f} MB |"
            )


def spread(values: list[float], form: str) -> str:
    """Format the median, the minimum and the maximum."""
    middle, low, high = (
        form.format(value) for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def do(what: str, who: str, released: Path) -> dict:
    """Run one measurement several times; return its median time in seconds."""
    warnings.simplefilter("ignore")
    import torch

    from edaemo.evaluation._worker import begin_worker

    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind, _, size = what.partition(" ")
    n = int(size or 1)
    if kind == "folds":
        seconds, trials = run_folds(2 if who == "two processes" else 1)
    else:
        make = {
            "train": train,
            "paper": train,
            "predict": predict,
            "raw": predict_raw,
            "small": train_small,
        }[kind]
        if who.endswith("worker"):
            begin_worker(os.getpid())
        if kind == "paper":
            SIZES["architecture"] = "paper"
        step, trials = make(who, n, released)
        quick = n == 1 and kind != "small"
        for _ in range(10 if quick else 1):
            step()
        times = []
        for _ in range(100 if quick else 4 if n > 100 else 7):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        seconds = statistics.median(times)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "trials": trials, "memory": memory}


def make_network(who: str, released: Path) -> tuple[Callable, Callable]:
    """Return the network of an implementation, and a function from rows to its arguments."""
    from edaemo.networks import RTCAN, fast_paths

    if who.startswith("released"):
        sys.path.insert(0, str(released))
        from model.PMEmo_model import Model

        def parts(rows):
            n_eda = N_CHANS * N_TIMES
            eda = rows[:, :n_eda].reshape(len(rows), N_CHANS, N_TIMES)
            return eda.contiguous(), rows[:, n_eda:].contiguous()

        return Model(use_music=True, use_attention=True, use_non_local=True), parts
    network = RTCAN(N_CHANS, N_TIMES, N_MUSIC, 2, **SIZES)
    if who == "compiled":
        network.compile()
    if who == "plain":
        FOR_GOOD.enter_context(fast_paths(False))
    return network, lambda rows: (rows,)


SIZES = {"architecture": "published"}
# Contexts that stay open until the process ends.
FOR_GOOD = contextlib.ExitStack()


def precision(who: str) -> contextlib.AbstractContextManager:
    """Return the autocast context of an implementation."""
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=who.endswith("bf16"))


def train(who: str, n: int, released: Path) -> tuple[Callable[[], None], int]:
    """Return a training step: forward, backward, SGD."""
    import torch

    network, parts = make_network(who, released)
    given = parts(torch.randn(n, N_CHANS * N_TIMES + N_MUSIC))
    labels = torch.arange(n) % 2
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=not who.startswith("fast"))  # as in edaemo's nets
        with precision(who):
            logits = network(*given)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step, n


def predict(who: str, n: int, released: Path) -> tuple[Callable[[], None], int]:
    """Return a prediction of n trials by a network, a classifier or an ONNX file."""
    import torch

    rows = torch.randn(n, N_CHANS * N_TIMES + N_MUSIC)
    if who.startswith("classifier") or who == "onnx":
        model = make_classifier(compile=who.endswith("compiled"))
        if who != "onnx":
            array = rows.numpy()
            return lambda: model.predict_proba(array), n
        run = make_session(model)
        return lambda: run(rows.numpy()), n
    network, parts = make_network(who, released)
    network.eval()
    given = parts(rows)

    def run_network() -> None:
        with torch.inference_mode(), precision(who):
            network(*given)

    return run_network, n


def make_classifier(**settings: object):
    """Return a classifier trained for one epoch on a few trials."""
    import numpy as np

    from edaemo import RTCANClassifier

    model = RTCANClassifier(
        n_chans=N_CHANS,
        n_times=N_TIMES,
        architecture="published",
        max_epochs=1,
        batch_size=8,
        random_state=0,
        **settings,
    )
    rows = np.random.default_rng(0).normal(size=(8, N_CHANS * N_TIMES + N_MUSIC))
    return model.fit(rows.astype("float32"), [0, 1] * 4)


def make_session(model: object) -> Callable:
    """Export a classifier and return a function that runs it on one thread."""
    import onnxruntime

    import edaemo

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        edaemo.export_onnx(model, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    return lambda rows: session.run(["probability"], {"rows": rows})


def predict_raw(who: str, n: int, released: Path) -> tuple[Callable[[], None], int]:
    """Return a prediction of a trial of 50 s at 50 Hz: decomposition, z-scores, music, network."""
    import torch
    from sklearn.pipeline import make_pipeline

    before, known, trials = make_trials(N_MUSIC, 200)
    remaining = iter(trials)
    if who == "pipeline":
        pipe = make_pipeline(*[step for _, step in before.steps], make_unfitted())
        pipe.fit(known, [0, 1] * 8)
        return lambda: pipe.predict_proba(next(remaining)), 1
    rows = before.fit_transform(known)
    if who.endswith("onnx"):
        model = make_unfitted().fit(rows, [0, 1] * 8)
        run = make_session(model)
        return lambda: run(before.transform(next(remaining)).to_numpy("float32")), 1
    network, parts = make_network("released", released)
    network.eval()

    def run_network() -> None:
        row = torch.from_numpy(before.transform(next(remaining)).to_numpy("float32"))
        with torch.inference_mode():
            network(*parts(row))

    return run_network, 1


def make_trials(n_music: int, n: int) -> tuple:
    """Return the steps before a network, a table of 16 trials, and n other trials.

    Trials are 50 s at 50 Hz.
    """
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import make_pipeline

    from edaemo import CvxEDATransformer, MusicFeatureUnion

    rng = np.random.default_rng(0)
    seconds = np.arange(N_TIMES) / RATE
    tables = []
    for i in range(16 + n):  # all are different, because the decomposition has a cache
        onset, size = rng.uniform(2, 40), rng.uniform(0.2, 1)
        since = np.clip(seconds - onset, 0, None)
        signal = (
            4 + np.cumsum(rng.normal(scale=0.002, size=N_TIMES))
            + size * (np.exp(-since / 2) - np.exp(-since / 0.7))
        )  # fmt: skip
        table = pd.DataFrame({"subject": ["p"], "stimulus": [f"s{i % 8}"], "trial": [i]})
        table["eda"] = pd.Series([signal], dtype=object)
        tables.append(table)
    music = None
    if n_music:
        music = pd.DataFrame(rng.normal(size=(8, n_music)), index=[f"s{i}" for i in range(8)])
        music.columns = [f"m{i}" for i in range(n_music)]
    before = make_pipeline(
        CvxEDATransformer(sampling_rate=RATE, n_times=N_TIMES), MusicFeatureUnion(music=music)
    )
    return before, pd.concat(tables[:16], ignore_index=True), tables[16:]


def print_stages(n: int = 300) -> None:
    """Print the time of each stage of one trial, for three numbers of music features."""
    import torch
    from sklearn.pipeline import make_pipeline

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("| music features | stage | least, ms | median, ms |")
    print("|---|---|---|---|")
    for n_music in (0, 300, N_MUSIC):
        before, known, trials = make_trials(n_music, 3 * n + 20)
        remaining = iter(trials)
        channels, union = (step for _, step in before.steps)
        pipe = make_pipeline(channels, union, make_unfitted()).fit(known, [0, 1] * 8)
        classifier, run = pipe[-1], make_session(pipe)
        times: dict[str, list[float]] = {}

        def timed(stage: str, work: Callable, given: object, times: dict = times) -> object:
            start = time.perf_counter()
            made = work(given)
            times.setdefault(stage, []).append(1000 * (time.perf_counter() - start))
            return made

        def through_onnx(trial: object, before: Callable = before.transform, run=run) -> object:
            return run(before(trial).to_numpy("float32"))

        for i in range(n + 20):
            if i == 20:  # discard the first rounds, which are slower
                times.clear()
            table = timed("CvxEDATransformer", channels.transform, next(remaining))
            frame = timed("MusicFeatureUnion", union.transform, table)
            timed("network, ONNX", run, frame.to_numpy("float32"))
            timed("RTCANClassifier", classifier.predict_proba, frame)
        for _ in range(n):
            timed("**all, with ONNX**", through_onnx, next(remaining))
        for _ in range(n):
            timed("**all, Pipeline**", pipe.predict_proba, next(remaining))
        for stage, spent in times.items():
            print(f"| {n_music} | {stage} | {min(spent):.2f} | {statistics.median(spent):.2f} |")


def make_unfitted():
    """Return a classifier for frames, whose column names define the layout."""
    from edaemo import RTCANClassifier

    return RTCANClassifier(architecture="published", max_epochs=1, batch_size=8, random_state=0)


def train_small(who: str, n: int, released: Path) -> tuple[Callable[[], None], int]:
    """Return an epoch of a small network, in which the overhead around the network dominates."""
    import numpy as np
    import torch

    from edaemo.estimators import CNNClassifier
    from edaemo.networks import FeatureCNN
    from edaemo.training import Trials

    trials, width, size = 2048, 128, 64
    rows = np.random.default_rng(0).normal(size=(trials, width)).astype("float32")
    labels = np.arange(trials) % 2
    if who == "skorch":
        model = CNNClassifier(max_epochs=1, batch_size=size, random_state=0).fit(rows, labels)
        data = Trials(rows, labels)
        return lambda: model.net_.partial_fit(data, y=None, epochs=1), trials
    network = FeatureCNN(width, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    X, y = torch.from_numpy(rows), torch.from_numpy(labels)

    def epoch() -> None:
        network.train()
        total = 0.0
        for which in torch.randperm(trials).split(size):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(X[which]), y[which])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(which)

    return epoch, trials


def run_folds(n_jobs: int) -> tuple[float, int]:
    """Time two folds of RTCAN in `evaluate`."""
    from edaemo.benchmark import evaluate
    from edaemo.datasets import make_music_listening

    study = make_music_listening(20, 20, 16, sampling_rate=8, duration=60.0, random_state=7)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"n_splits": 2, "max_epochs": 120, "progress": False, "n_jobs": n_jobs}
        evaluate(
            ["majority"], study, "arousal", store=f"{folder}/a.sqlite", **settings
        )  # starts processes
        start = time.perf_counter()
        evaluate(["rtcan-eda-music"], study, "arousal", store=f"{folder}/b.sqlite", **settings)
        return time.perf_counter() - start, 120 * len(study.trials)


if __name__ == "__main__":
    main()
