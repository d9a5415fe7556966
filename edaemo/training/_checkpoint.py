"""Checkpoints, from which an interrupted fit continues."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import EarlyStopping, LRScheduler
from torch import nn
from torch.optim import Optimizer

from edaemo import __version__
from edaemo._safe_file import (
    ARRAYS,
    BROKEN,
    HEAD,
    Decoder,
    Encoder,
    FileError,
    edited,
    read_archive,
    readable,
    to_json,
    write_archive,
)
from edaemo.training._skorch import Callback, NeuralNet

FORMAT = 2
# Parameters that do not affect the weights, and `random_state`, whose seed is stored separately.
_FREE = ("checkpoint", "verbose", "random_state")
_STATE = ("facts", "history", "module", "criterion", "optimizer", "callbacks", "rng")
_STOPPING = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")

_Nested: TypeAlias = "np.ndarray | Mapping[str, _Nested] | Iterable[_Nested]"


class Checkpoint(Callback):
    """Callback that writes the state of training to a file after each epoch.

    It must be the last callback of the net, because it saves the state that the other callbacks
    have set, and restores this state after they have initialised it. Early stopping ends an epoch
    before this callback writes it. If the process is killed at that point, this epoch is repeated.

    The file contains the state of schedules and early stopping, the best scores, and the state of
    every callback with the methods ``state_dict`` and ``load_state_dict``. Other callbacks start
    without a state when training continues. ``net.history`` holds the earlier epochs.

    Parameters
    ----------
    path : Path
        The file. If it exists, it is read immediately.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}
        self.kept: dict[str, Any] | None = None
        self.done: bool = False
        if path.exists():
            self.kept = _read(path)

    def seed(self, drawn: int) -> int:
        """Return the seed of the fit.

        Parameters
        ----------
        drawn : int
            A seed that was drawn for this fit.

        Returns
        -------
        int
            The seed in the file; `drawn` without a file.
        """
        return drawn if self.kept is None else self.kept["facts"]["random_state's seed"]

    def check(self, facts: dict[str, Any]) -> None:
        """Store the facts of the fit.

        Parameters
        ----------
        facts : dict of str to object
            The facts, from `describe_fit`.

        Raises
        ------
        FileError
            If they differ from those in the file.
        """
        self.facts = json.loads(to_json(facts))
        if self.kept is None:
            return
        stored = self.kept["facts"]
        differing = [
            f"{name} ({_show(stored.get(name))} in the file, {_show(self.facts.get(name))} now)"
            for name in {**stored, **self.facts}
            if stored.get(name) != self.facts.get(name)
        ]
        if differing:
            raise FileError(
                f"{self.path}: this checkpoint is of another fit: {'; '.join(differing)}. Delete "
                "it to start again, pass another path, or repeat the fit that it belongs to."
            )

    def begin(self, net: NeuralNet) -> int:
        """Initialise the net, and restore its history.

        Parameters
        ----------
        net : NeuralNet
            The net.

        Returns
        -------
        int
            Number of remaining epochs.
        """
        net.initialize()
        if self.kept is not None:
            net.history.extend(self.kept["history"])
            # A schedule starts from the values in the optimizer.
            self._restore(net.optimizer_, self.kept["optimizer"])
        return net.max_epochs - len(net.history)

    def finish(self) -> None:
        """Remove the file, and do not write it again."""
        self.done = True
        self.kept = None
        self.path.unlink(missing_ok=True)

    def on_train_begin(self, net: NeuralNet, **kwargs: object) -> None:
        """Restore the state after the last epoch in the file.

        Parameters
        ----------
        net : NeuralNet
            The net.
        **kwargs : object
            Not used.
        """
        if self.kept is None:
            return
        self._restore(net.module_, self.kept["module"])
        self._restore(net.criterion_, self.kept["criterion"])
        self._restore(net.optimizer_, self.kept["optimizer"])
        try:
            for callback, state in zip(_others(net), self.kept["callbacks"], strict=True):
                _restore_callback(callback, state)
            torch.set_rng_state(self.kept["rng"])
            if self.kept["cuda_rng"] is not None:
                torch.cuda.set_rng_state(self.kept["cuda_rng"], net.device)
        except BROKEN as error:
            raise edited(self.path, error) from error

    def _restore(self, target: nn.Module | Optimizer, state: dict[str, Any]) -> None:
        try:
            target.load_state_dict(state)
        except BROKEN as error:
            raise edited(self.path, error) from error

    def on_epoch_end(self, net: NeuralNet, **kwargs: object) -> None:
        """Write the file.

        Parameters
        ----------
        net : NeuralNet
            The net.
        **kwargs : object
            Not used.
        """
        if self.done:
            return
        state = {
            "facts": self.facts,
            "history": net.history.to_list(),
            "module": net.module_.state_dict(),
            "criterion": net.criterion_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "callbacks": [_state_of(callback) for callback in _others(net)],
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(net.device) if "cuda" in net.device else None,
        }
        encoder = Encoder()
        head = to_json(encoder.encode(state, "the state of training"))
        members = {HEAD: head, ARRAYS: encoder.array_bytes()}
        write_archive(self.path, "checkpoint", FORMAT, members)


def describe_fit(
    estimator: BaseEstimator,
    device: str,
    seed: int,
    rows: np.ndarray,
    y: np.ndarray,
    aside: np.ndarray,
    weight: np.ndarray | None,
) -> dict[str, Any]:
    """Return the facts that identify a fit.

    Training does not continue from a checkpoint with other facts.

    Parameters
    ----------
    estimator : NetworkEstimator
        The estimator.
    device : str
        The torch device.
    seed : int
        Seed of the fit.
    rows : ndarray of shape (n_trials, n_columns)
        Input of the network.
    y : ndarray of shape (n_trials,)
        Targets.
    aside : ndarray of bool of shape (n_trials,)
        The rows set aside for validation.
    weight : ndarray of shape (n_trials,) or None
        Weight of each row.

    Returns
    -------
    dict of str to object
        The facts, in a form that JSON can store.
    """
    parameters = estimator.get_params(deep=False)
    if parameters["callbacks"]:
        parameters["callbacks"] = [_name_callback(item) for item in parameters["callbacks"]]
    return {
        "class": type(estimator).__name__,
        "edaemo": __version__,
        "torch": version("torch"),
        **{name: readable(value) for name, value in parameters.items() if name not in _FREE},
        "device": device,
        "random_state's seed": seed,
        "network": readable(estimator.sizes_),
        "classes": readable(getattr(estimator, "classes_", None)),
        "shape of X": list(rows.shape),
        "content of X": _digest(rows),
        "y": _digest(y),
        "rows set aside": _digest(aside),
        "sample_weight": None if weight is None else _digest(weight),
    }


def _name_callback(callback: object) -> str:
    """Return the class name of a callback: an instance, a class, or a pair (name, callback)."""
    if isinstance(callback, tuple | list):
        callback = callback[1]
    return (callback if isinstance(callback, type) else type(callback)).__name__


def _read(path: Path) -> dict[str, Any]:
    members = read_archive(path, "checkpoint", FORMAT)
    try:
        state = Decoder(members[ARRAYS]).decode(json.loads(members[HEAD]))
        if missing := [name for name in _STATE if name not in state]:
            raise ValueError(f"{missing[0]} is missing")
        return state
    except BROKEN as error:
        raise edited(path, error) from error


def _others(net: NeuralNet) -> list[Callback]:
    """Return the callbacks of the net, except the checkpoint."""
    return [callback for _, callback in net.callbacks_ if not isinstance(callback, Checkpoint)]


def _state_of(callback: Any) -> Any:
    """Return the state of a callback, or None if it has no state to restore."""
    if isinstance(callback, LRScheduler):
        return callback.lr_scheduler_.state_dict()
    if isinstance(callback, EarlyStopping):
        return {name: getattr(callback, name) for name in _STOPPING}
    if hasattr(callback, "load_state_dict"):
        return callback.state_dict()
    return getattr(callback, "best_score_", None)


def _restore_callback(callback: Any, state: Any) -> None:
    if isinstance(callback, LRScheduler):
        callback.lr_scheduler_.load_state_dict(state)
    elif isinstance(callback, EarlyStopping):
        for name in _STOPPING:
            setattr(callback, name, state[name])
    elif hasattr(callback, "load_state_dict"):
        callback.load_state_dict(state)
    elif hasattr(callback, "best_score_"):
        callback.best_score_ = state


def _digest(values: np.ndarray) -> str:
    """Return a digest of numbers, or of objects that are arrays or dicts of arrays."""
    sha = hashlib.sha256()
    for array in _arrays(values):
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def _arrays(values: _Nested) -> Iterator[np.ndarray]:
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, np.ndarray) and values.dtype != object:
        yield values
        return
    for value in values:
        yield from _arrays(value)


def _show(value: object) -> str:
    return f"{value!r:.60}"
