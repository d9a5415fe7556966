"""Fit and test one pipeline on one fold, in any process."""

from __future__ import annotations

import getpass
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from threadpoolctl import threadpool_limits

from edaemo.evaluation._keys import made_with
from edaemo.model_selection import Protocol
from edaemo.statistics import Task

# Warnings, torch's generator and torch's number of threads are global to the process. A Dask worker
# may have several threads.
_alone = threading.Lock()


def run_fold(X: pd.DataFrame, job: dict[str, Any]) -> dict:
    """Fit a pipeline on the training trials of a fold, and predict the test trials.

    Parameters
    ----------
    X : DataFrame with n_trials rows
        The input of the pipeline, for all trials of the study.
    job : dict
        ``key``; ``estimator``; ``task``; ``labels`` (n_trials,), in the task's form; the row
        numbers ``training``, ``validation`` (empty if the estimator takes no validation rows) and
        ``test``; ``metadata``, the ids of each trial (n_trials,) that metadata routing passes to
        the splitters of searches in the estimator, by name; ``made_with``, the versions that are
        stored with the result. It is a dict and not a class, so that a Dask cluster sends it with
        the task and does not lose it with a worker.

    Returns
    -------
    dict
        ``key``; ``warnings``, the first warning of each line of code; ``warning_counts``, the
        number of warnings of each of these lines; ``status``. With status
        "done": ``scores``, ``predicted``, ``probability`` (None if the estimator has no
        probabilities), ``decision`` (None if it has probabilities or no decision function),
        ``fit_seconds``, ``predict_seconds``, ``device`` and ``losses`` (None
        without a network). With status "failed": ``error``, the exception of the pipeline.
    """
    with _alone, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # the same filters in every process
        try:
            result = {"status": "done", **_fit_and_predict(X, job)}
        except Exception as error:  # noqa: BLE001  a pipeline may raise any error; it is stored
            result = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    noted = count_warnings(caught)
    return {
        "key": job["key"],
        "warnings": list(noted),
        "warning_counts": list(noted.values()),
        **result,
    }


def count_warnings(caught: Iterable[warnings.WarningMessage]) -> dict[str, int]:
    """Return the first warning of each line of code, and the number of warnings of this line.

    Warnings for developers are left out.
    """
    by_line: dict[tuple[str, int], list[str]] = {}
    for_developers = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)
    for note in caught:
        if not issubclass(note.category, for_developers):
            by_line.setdefault((note.filename, note.lineno), []).append(str(note.message))
    return {texts[0]: len(texts) for texts in by_line.values()}


@contextmanager
def noted_warnings() -> Iterator[dict[str, int]]:
    """Yield a dict that receives the warnings in this context; afterwards issue them again."""
    noted: dict[str, int] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield noted
    noted.update(count_warnings(caught))
    modules = {getattr(module, "__file__", None): name for name, module in sys.modules.items()}
    for note in caught:
        module = modules.get(note.filename)  # filters may name it
        warnings.warn_explicit(note.message, note.category, note.filename, note.lineno, module)


def _fit_and_predict(X: pd.DataFrame, job: dict[str, Any]) -> dict:
    if made_with() != job["made_with"]:
        raise RuntimeError(
            "this process has other versions than the process that called evaluate. Install the "
            "same edaemo and the same libraries on all workers."
        )
    task, labels, test = job["task"], job["labels"], job["test"]
    learned = np.concatenate([job["training"], job["validation"]])
    with threadpool_limits(1), _claimed_device(clone(job["estimator"])) as estimator:
        settings = {}
        if len(job["validation"]):
            is_validation = np.repeat([False, True], [len(job["training"]), len(job["validation"])])
            argument = find_validation(estimator)
            assert argument is not None  # otherwise no rows are held out
            settings[argument] = is_validation
        metadata = {name: values[learned] for name, values in job["metadata"].items()}
        if metadata:
            settings = {name.rpartition("__")[2]: value for name, value in settings.items()}
        start = time.perf_counter()
        with config_context(enable_metadata_routing=bool(metadata)):
            estimator.fit(X.iloc[learned], labels[learned], **settings, **metadata)
        fitted = time.perf_counter()
        predicted = np.asarray(estimator.predict(X.iloc[test]))
        probability = None
        if task.has_classes and hasattr(estimator, "predict_proba"):
            probability = np.asarray(estimator.predict_proba(X.iloc[test]))
            probability = _arrange(estimator, probability, task, len(test))
        decision = _decide(estimator, X.iloc[test], task) if probability is None else None
        predicted_at = time.perf_counter()
        device, losses = _device_of(estimator), _losses_of(estimator)
    predicted = task.check_predicted(predicted, labels[test])
    scores = task.score_fold(labels[test], predicted)
    return {
        "scores": scores,
        "predicted": predicted,
        "probability": probability,
        "decision": decision,
        "fit_seconds": fitted - start,
        "predict_seconds": predicted_at - fitted,
        "device": device,
        "losses": losses,
    }


def _decide(estimator: ClassifierMixin, X: pd.DataFrame, task: Task) -> np.ndarray | None:
    """Return the decision values, which order trials if an estimator has no probabilities.

    Returns
    -------
    ndarray of shape (n_trials,) or (n_trials, n_classes), or None
        For two classes the value of class 1; 0 for a class without training trials. None if the
        estimator has no decision value for each class, such as one for each pair of classes.
    """
    if not task.has_classes or not hasattr(estimator, "decision_function"):
        return None
    n_classes, settings = len(task.classes), estimator.get_params(deep=True).items()
    known = getattr(estimator, "classes_", range(n_classes))
    is_paired = any(
        name.rpartition("__")[2] == "decision_function_shape" and value == "ovo"
        for name, value in settings
    )
    values = np.asarray(estimator.decision_function(X), dtype=np.float64)
    if n_classes == 2:
        return values if values.shape == (len(X),) else None
    if len(known) == 2 and values.shape == (len(X),):
        values = np.column_stack([-values, values])
    elif is_paired or values.shape != (len(X), len(known)):
        return None
    whole = np.zeros((len(X), n_classes))
    whole[:, np.asarray(known, dtype=np.int64)] = values
    return whole


def _arrange(
    estimator: ClassifierMixin, probability: np.ndarray, task: Task, n_trials: int
) -> np.ndarray:
    """Return one probability for each class; 0 for a class without training trials."""
    n_classes = len(task.classes)
    known = getattr(estimator, "classes_", range(n_classes))
    if n_classes > 2 and probability.shape == (n_trials, len(known)) and len(known) < n_classes:
        whole = np.zeros((n_trials, n_classes))
        whole[:, np.asarray(known, dtype=np.int64)] = probability
        return whole
    if probability.shape != (n_trials, n_classes):
        count = "two" if n_classes == 2 else n_classes
        raise ValueError(
            f"predict_proba returned shape {probability.shape} for {n_trials} trials of {count} "
            "classes."
        )
    return probability


def takes_groups(splitter: object) -> bool:
    """Return whether a splitter of scikit-learn, such as GroupKFold, needs ``groups=``."""
    if isinstance(splitter, Protocol) or not hasattr(splitter, "get_metadata_routing"):
        return False
    return splitter.get_metadata_routing().split.requests.get("groups") is True


def find_validation(estimator: ClassifierMixin) -> str | None:
    """Return the argument by which `fit` takes the mask of validation rows, or None."""
    prefix, last = _last_step(estimator)
    takes = (
        hasattr(last, "fit")
        and "validation" in signature(last.fit).parameters
        and hasattr(last, "validation_fraction")
    )
    return f"{prefix}validation" if takes else None


def _last_step(estimator: ClassifierMixin) -> tuple[str, ClassifierMixin]:
    """Return the parameter prefix and the last step of a pipeline, also of nested pipelines."""
    prefix = ""
    while hasattr(estimator, "steps"):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def _free_devices(estimator: BaseEstimator) -> list[str]:
    """Return the names of the parameters that do not fix the device."""
    return [
        name
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "device"
        and isinstance(value, str)
        and value in ("auto", "cuda")
    ]


def may_use_gpu(estimator: BaseEstimator) -> bool:
    """Return whether the estimator runs on a CUDA device if the machine has one."""
    return bool(_free_devices(estimator))


@contextmanager
def _claimed_device(estimator: BaseEstimator) -> Iterator[BaseEstimator]:
    """Claim a CUDA device for the estimator, if it may use one and the machine has one."""
    names = _free_devices(estimator)
    devices = cuda_devices() if names else {}
    if not devices:
        yield estimator
        return
    with claim(list(devices.values())) as place:
        yield estimator.set_params(**dict.fromkeys(names, list(devices)[place]))


def cuda_devices() -> dict[str, str]:
    """Return the CUDA devices of this machine, and the UUID of each device."""
    import torch

    n_devices = torch.cuda.device_count()
    return {f"cuda:{i}": str(torch.cuda.get_device_properties(i).uuid) for i in range(n_devices)}


@contextmanager
def claim(things: list[str]) -> Iterator[int]:
    """Wait until a thing is not locked by another process of this user; yield its index."""
    folder = Path(tempfile.gettempdir())
    locks = [FileLock(folder / f"edaemo-{getpass.getuser()}-{thing}.lock") for thing in things]
    while True:
        for index, lock in enumerate(locks):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield index
            finally:
                lock.release()
            return
        time.sleep(0.05)


def _device_of(estimator: ClassifierMixin) -> str:
    _, last = _last_step(estimator)
    return str(getattr(getattr(last, "net_", None), "device", "cpu"))


def _losses_of(estimator: ClassifierMixin) -> dict[str, list[float]] | None:
    """Return a network's training and validation loss in each epoch, or None."""
    _, last = _last_step(estimator)
    history = getattr(getattr(last, "net_", None), "history", None)
    if not history:
        return None
    names = [name for name in ("train_loss", "valid_loss") if name in history[-1]]
    return {name: [float(epoch[name]) for epoch in history] for name in names}
