"""One fold of one pipeline, in whatever process it runs."""

from __future__ import annotations

import getpass
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from threadpoolctl import threadpool_limits

from edaemo.evaluation._keys import made_with
from edaemo.statistics import Task

# Warnings, torch's generator and its number of threads belong to the whole process, and a Dask
# worker may have several threads.
_alone = threading.Lock()


def run_fold(X: pd.DataFrame, job: dict) -> dict:
    """Fit a pipeline on a fold's training trials, and predict its test trials.

    Parameters
    ----------
    X : DataFrame with n_trials rows
        What the pipeline takes, for the whole study.
    job : dict
        ``key``; ``estimator``; ``task``; ``labels`` (n_trials,), as the task has them; the row
        numbers ``training``, ``validation`` (empty where the estimator takes none) and ``test``;
        ``made_with``, the versions that the result is stored under. A dict and no class, so that a
        Dask cluster ships it with the task and does not lose it with one worker.

    Returns
    -------
    dict
        ``key``; ``warnings``, the first from each place in the code; ``status`` "done" with
        ``scores``, ``predicted``, ``probability`` (None where the estimator gives none),
        ``fit_seconds``, ``predict_seconds``, ``device`` and ``losses`` (None without a network); or
        "failed" with ``error``, whatever the pipeline raised.
    """
    with _alone, warnings.catch_warnings(record=True) as notes:
        # The same in every process, whatever its filters: only what is said to users.
        warnings.simplefilter("default")
        for kind in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        try:
            result = {"status": "done", **_fit_and_predict(X, job)}
        except Exception as error:  # noqa: BLE001  a pipeline may raise anything; it is stored
            result = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    said: dict[tuple[str, int], str] = {}
    for note in notes:
        said.setdefault((note.filename, note.lineno), str(note.message))
    return {"key": job["key"], "warnings": list(said.values()), **result}


def end_with(driver: int) -> None:
    """Let this process end when the one that started it has; what was killed cannot see to it."""

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    if os.getpid() != driver:
        threading.Thread(target=watch, daemon=True).start()


def _fit_and_predict(X: pd.DataFrame, job: dict) -> dict:
    if made_with() != job["made_with"]:
        raise RuntimeError(
            "this process runs other versions than the one that asked: install the same edaemo "
            "and the same libraries on all workers."
        )
    task, labels, test = job["task"], job["labels"], job["test"]
    learned = np.concatenate([job["training"], job["validation"]])
    with threadpool_limits(1), _claimed_device(clone(job["estimator"])) as estimator:
        settings = {}
        if len(job["validation"]):
            aside = np.repeat([False, True], [len(job["training"]), len(job["validation"])])
            takes = find_validation(estimator)
            assert takes is not None  # else no rows are set aside
            settings[takes] = aside
        start = time.perf_counter()
        estimator.fit(X.iloc[learned], labels[learned], **settings)
        fitted = time.perf_counter()
        predicted = np.asarray(estimator.predict(X.iloc[test]))
        probability = None
        if task.has_classes and hasattr(estimator, "predict_proba"):
            probability = np.asarray(estimator.predict_proba(X.iloc[test]))
            probability = _arrange(estimator, probability, task, len(test))
        predicted_at = time.perf_counter()
        device, losses = _device_of(estimator), _losses_of(estimator)
    predicted = task.check_predicted(predicted, labels[test])
    scores = task.score_fold(labels[test], predicted)
    return {
        "scores": scores,
        "predicted": predicted,
        "probability": probability,
        "fit_seconds": fitted - start,
        "predict_seconds": predicted_at - fitted,
        "device": device,
        "losses": losses,
    }


def _arrange(
    estimator: ClassifierMixin, probability: np.ndarray, task: Task, n_trials: int
) -> np.ndarray:
    """Return one probability for each class; 0 of a class that training did not have."""
    n_classes = len(task.classes)
    known = getattr(estimator, "classes_", range(n_classes))
    if n_classes > 2 and probability.shape == (n_trials, len(known)) and len(known) < n_classes:
        whole = np.zeros((n_trials, n_classes))
        whole[:, np.asarray(known, dtype=np.int64)] = probability
        return whole
    if probability.shape != (n_trials, n_classes):
        count = "two" if n_classes == 2 else n_classes
        raise ValueError(
            f"predict_proba gave shape {probability.shape} for {n_trials} trials of {count} "
            "classes."
        )
    return probability


def find_validation(estimator: ClassifierMixin) -> str | None:
    """Return the name by which `fit` takes rows set aside for validation, or None."""
    prefix, last = _last_step(estimator)
    takes = (
        hasattr(last, "fit")
        and "validation" in signature(last.fit).parameters
        and hasattr(last, "validation_fraction")
    )
    return f"{prefix}validation" if takes else None


def _last_step(estimator: ClassifierMixin) -> tuple[str, ClassifierMixin]:
    """Return what stands at the end of pipelines, also of one in another, and how it is reached."""
    prefix = ""
    while hasattr(estimator, "steps"):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def _free_devices(estimator: BaseEstimator) -> list[str]:
    """Name the parameters that leave the choice of the device open."""
    return [
        name
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "device"
        and isinstance(value, str)
        and value in ("auto", "cuda")
    ]


def may_use_gpu(estimator: BaseEstimator) -> bool:
    """Say whether the estimator runs on a CUDA device where there is one."""
    return bool(_free_devices(estimator))


@contextmanager
def _claimed_device(estimator: BaseEstimator) -> Iterator[BaseEstimator]:
    """Give the estimator a CUDA device of its own, if it may use one and there are any."""
    names = _free_devices(estimator)
    devices = cuda_devices() if names else {}
    if not devices:
        yield estimator
        return
    with claim(list(devices.values())) as place:
        yield estimator.set_params(**dict.fromkeys(names, list(devices)[place]))


def cuda_devices() -> dict[str, str]:
    """Return the CUDA devices of this machine, and what identifies each in every process."""
    import torch

    n_devices = torch.cuda.device_count()
    return {f"cuda:{i}": str(torch.cuda.get_device_properties(i).uuid) for i in range(n_devices)}


@contextmanager
def claim(things: list[str]) -> Iterator[int]:
    """Wait for one of the things that no other process of this user holds; give its place."""
    folder = Path(tempfile.gettempdir())
    locks = [FileLock(folder / f"edaemo-{getpass.getuser()}-{thing}.lock") for thing in things]
    while True:
        for place, lock in enumerate(locks):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield place
            finally:
                lock.release()
            return
        time.sleep(0.05)


def _device_of(estimator: ClassifierMixin) -> str:
    _, last = _last_step(estimator)
    return str(getattr(getattr(last, "net_", None), "device", "cpu"))


def _losses_of(estimator: ClassifierMixin) -> dict[str, list[float]] | None:
    """Give a network's loss in each epoch, of its training trials and of those set aside."""
    _, last = _last_step(estimator)
    history = getattr(getattr(last, "net_", None), "history", None)
    if not history:
        return None
    names = [name for name in ("train_loss", "valid_loss") if name in history[-1]]
    return {name: [float(epoch[name]) for epoch in history] for name in names}
