"""Time `edaemo report` on a made-up store of 10,000 rows.

python benchmarks/report_speed.py [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

from edaemo.benchmark import FoldRecord, ResultStore, write_report
from edaemo.evaluation._keys import canonical, made_with
from edaemo.evaluation._registry import PIPELINES

N_PEOPLE, N_STIMULI, N_FOLDS, N_REPEATS = 25, 20, 5, 10
STUDIES = [f"made-up-{i}" for i in range(5)]
TARGETS = ["arousal", "valence"]
PROTOCOLS = ["subject", "trial"]
# Probability that each pipeline is right.
SKILL = {
    "majority": None,
    "trial-order": 0.5,
    "stimulus-prior": 0.58,
    "svm-eda": 0.52,
    "cnn-eda": 0.53,
    "logistic-eda": 0.55,
    "boosting-eda": 0.54,
    "svm-eda-person": 0.6,
    "rtcan-eda": 0.56,
    "boosting-eda-person": 0.62,
}


def main() -> None:
    """Write the store, and time the report twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder",
        type=Path,
        help="folder to keep the store and the report (default: both are deleted)",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        path = folder / "made-up.sqlite"
        if not path.exists():
            write_store(path)
        with ResultStore(path) as store:
            print(f"{len(store.folds())} folds, {path.stat().st_size / 1e6:.0f} MB")
        for _ in range(2):
            start = time.perf_counter()
            cpu = time.process_time()
            written = write_report(path, folder / "report")
            print(
                f"report in {time.perf_counter() - start:.1f} s, "
                f"{time.process_time() - cpu:.1f} s of processor time; "
                + ", ".join(f"{file.name} {file.stat().st_size / 1e6:.2f} MB" for file in written)
            )


def write_store(path: Path) -> None:
    """Write 10,000 folds with 100 trials each."""
    rng = np.random.default_rng(0)
    with ResultStore(path) as store:
        # The store does not have to survive a power failure.
        store._connection.execute("PRAGMA synchronous = OFF")
        for study, target, protocol in product(STUDIES, TARGETS, PROTOCOLS):
            subject = np.repeat([f"person-{i:02d}" for i in range(N_PEOPLE)], N_STIMULI)
            label = rng.integers(0, 2, len(subject))
            for repeat in range(N_REPEATS):
                unit = np.repeat(rng.permutation(N_PEOPLE), N_STIMULI) % N_FOLDS
                for pipeline, fold in product(SKILL, range(N_FOLDS)):
                    test = np.flatnonzero(unit == fold)
                    ids = (study, target, protocol, pipeline, repeat, fold)
                    store.add(make_fold(ids, subject, label, test, rng))


def make_fold(
    ids: tuple, subject: np.ndarray, label: np.ndarray, test: np.ndarray, rng: object
) -> FoldRecord:
    """Make up the predictions of one fold."""
    *_, pipeline, repeat, fold = ids
    probability = np.clip(rng.normal(0.5, 0.15, len(test)), 0.01, 0.99)
    if SKILL[pipeline] is None:
        probability = np.ones(len(test))
    else:
        wrong = (probability > 0.5) != label[test]
        flipped = wrong & (rng.random(len(test)) < 2 * SKILL[pipeline] - 1)
        probability[flipped] = 1 - probability[flipped]
    names = ("study", "target", "protocol", "pipeline", "repeat", "fold")
    facts = dict(zip(names, ids, strict=True)) | {"people": "all", "threshold": "subject"}
    settings = {
        **facts,
        "seed": repeat,
        "takes": PIPELINES[pipeline].input,
        "parameters": parameters(pipeline),
        "made_with": VERSIONS,
        "rows": {name: "0" * 64 for name in ("training", "validation", "test")},
    }
    losses = {"train_loss": [0.7, 0.6, 0.55, 0.52], "valid_loss": [0.7, 0.66, 0.65, 0.66]}
    n = len(subject)
    return FoldRecord(
        **facts,
        key="/".join(map(str, ids)),
        settings=settings,
        versions=VERSIONS,
        seed=repeat,
        device="cpu",
        classes=[0, 1],
        training_subjects=sorted(set(subject) - set(subject[test])),
        test_subjects=sorted(set(subject[test])),
        scores={"accuracy": float(np.mean((probability > 0.5) == label[test]))},
        audit={
            "fold": fold,
            "n_training": n - len(test),
            "n_test": len(test),
            "n_left_out": 0,
            "subjects_shared": 0,
            "stimuli_shared": N_STIMULI,
            "recordings_shared": 0,
            "warning": "",
            "warnings": [],
            "losses": losses if pipeline == "rtcan-eda" else None,
        },
        predictions={
            "row": test,
            "subject": subject[test],
            "stimulus": test % N_STIMULI,
            "trial": test % N_STIMULI,
            "label": label[test],
            "predicted": (probability > 0.5).astype(int),
            "probability": np.column_stack([1 - probability, probability]),
        },
        fit_seconds=1.0,
        predict_seconds=0.1,
    )


VERSIONS = made_with()
_PARAMETERS: dict[str, object] = {}


def parameters(pipeline: str) -> object:
    """Return the parameters of a pipeline as `evaluate` stores them."""
    if pipeline not in _PARAMETERS:
        _PARAMETERS[pipeline] = canonical(PIPELINES[pipeline].make(None))
    return _PARAMETERS[pipeline]


if __name__ == "__main__":
    main()
