"""What every classifier around a net shares: the fit, the rows set aside, the prediction."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from skorch.helper import predefined_split
from torch import nn

from edaemo._layout import Layout
from edaemo._validation import (
    check_labels,
    read_inputs,
    subject_ids,
    whole_or_nothing,
)
from edaemo.estimators._checkpoint import Checkpoint, describe_fit
from edaemo.estimators._recipes import Augmentation, Recipe
from edaemo.estimators._training import (
    Batches,
    FiniteLoss,
    Net,
    Trials,
    in_memory,
    torch_deterministic,
    torch_seed,
    torch_threads,
    train,
)

# Rows of a forward pass when validating, and when predicting with a network that is not known to
# treat a row alike in any batch: what they need stays in the processor's cache.
FEW_ROWS = 16
# Rows of a forward pass when predicting with a network that is.
PREDICTED_TOGETHER = 64


class NetClassifier(ClassifierMixin, BaseEstimator, ABC):
    """A classifier that trains a network in a skorch net; children say which network.

    A child's ``__init__`` takes the parameters of `_parameter_constraints` below and its own.
    """

    __metadata_request__fit = {"subject": True, "validation": True}  # noqa: RUF012

    _parameter_constraints: dict = {  # noqa: RUF012
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [callable],
        "optimizer_params": [dict, None],
        "lr_scheduler": [LRScheduler, None],
        "callbacks": [list, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
        "amp": [StrOptions({"bf16"}), None],
        "compile": ["boolean", StrOptions({"reduce-overhead", "max-autotune"})],
        "deterministic": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "checkpoint": [str, os.PathLike, None],
    }

    # The blocks of columns that the network tells apart, in their order; a signal may also come as
    # the column of that name of a table of decomposed trials.
    _blocks: ClassVar[dict[str, tuple[str, ...]]] = {"signals": (), "features": ()}

    @abstractmethod
    def _network(self) -> tuple[type[nn.Module], dict[str, Any]]:
        """Give the network's class and its arguments, but for ``n_outputs``; X has been checked."""

    def _find_layout(self) -> Layout | None:
        """Return how rows divide, by the names of their columns or else by the parameters."""
        return None

    @abstractmethod
    def _recipe(self) -> Recipe:
        """Say how the network is trained."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: object,
        y: object,
        subject: Sequence | None = None,
        validation: Sequence[bool] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            Rows of finite numbers as the class describes them; used as float32. Booleans count
            as 0 and 1.
        y : array-like of shape (n_trials,)
            Class labels of any one type, one for each row, in the order of the rows.
        subject : array-like of shape (n_trials,) or None, default=None
            Whose trial each row is; needed with `validation_fraction`, unless X is a frame whose
            index has a level ``subject``.
        validation : array-like of bool of shape (n_trials,) or None, default=None
            True for the rows to set aside, of whatever people or stimuli, in the order of the
            rows: they do not train, and their loss decides when training stops and which epoch's
            weights are kept. It wins over `validation_fraction`, which then has no effect, and
            needs no subjects.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of its range, the columns do not divide as said, y holds one
            class only, lengths differ, values are missing, infinite or no numbers, labels are
            missing or mixed in type, subjects are needed and absent, `validation` is not boolean
            or marks all rows or none, or a class is left without a training row. The estimator
            then stays as it was, also when training is interrupted.
        FileError
            If `checkpoint` is a file of another fit, is damaged, or cannot be written.
        TrainingError
            If the loss is no longer finite, or memory runs out.
        """
        with whole_or_nothing(self):
            device = _find_device(self.device)
            odd = [one for one in self.callbacks or [] if not isinstance(one, Callback)]
            if odd:
                raise ValueError(f"callbacks must be objects of skorch.callbacks, got {odd[0]!r}.")
            if self.callbacks and self.checkpoint is not None:
                raise ValueError(
                    "A checkpoint does not hold what callbacks remember: leave callbacks or "
                    "checkpoint None."
                )
            rows, layout = read_inputs(self, X, reset=True, min_rows=2, **self._blocks)
            y = check_labels(self, X, y)
            self._layout = self._find_layout() if layout is None else layout
            network, sizes = self._network()
            by_people = validation is None and self.validation_fraction is not None
            if by_people or validation is not None:
                needed_by = "validation_fraction" if by_people else None
                subject = subject_ids(X, subject, n=len(rows), needed_by=needed_by)
            self.classes_, codes = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"{type(self).__name__} needs at least two classes; y holds one class only: "
                    f"{self.classes_[0]}."
                )
            seed = int(check_random_state(self.random_state).randint(2**31))
            checkpoint = None if self.checkpoint is None else Checkpoint(Path(self.checkpoint))
            if checkpoint is not None and self.random_state is None:
                seed = checkpoint.seed(seed)
            aside = self._set_aside(subject, validation, codes, seed)
            self.validation_subjects_ = np.array([])
            if aside.any() and subject is not None:
                self.validation_subjects_ = pd.factorize(subject[aside], sort=True)[1]
            with (
                torch_threads(self.n_threads),
                torch_seed(seed, device),
                torch_deterministic(self.deterministic, device),
            ):
                # The CPU's memory holds X in any case.
                n_shared = 0 if device == "cpu" else sizes.get("n_music_features", 0)
                where = {"n_shared": n_shared, "device": device}
                held_out = Trials(rows[aside], codes[aside], **where) if aside.any() else None
                net = self._make_net(network, sizes, device, codes[~aside], held_out)
                if checkpoint is not None:
                    fit = describe_fit(self, sizes, device, seed, rows, codes, aside)
                    checkpoint.check(fit)
                    net.callbacks.append(checkpoint)
                train(net, Trials(rows[~aside], codes[~aside], **where), checkpoint)
                net.train_split = None  # or the net would carry the validation trials along
            self.net_ = net
        if checkpoint is not None:
            checkpoint.finish()
        return self

    def predict_proba(self, X: object) -> np.ndarray:
        """Give the probability of each class.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_trials, n_classes), float64
            Columns in the order of `classes_`.
        """
        check_is_fitted(self, "net_")
        rows = self._read(X)
        with (
            torch_threads(self.n_threads),
            torch_deterministic(self.deterministic, self.net_.device),
            in_memory(PREDICTED_TOGETHER),
        ):
            logits = self._logits(rows)
        return torch.softmax(logits.double(), dim=1).numpy()

    @torch.inference_mode()
    def _logits(self, rows: np.ndarray) -> torch.Tensor:
        """Give the logits of rows, to the last bit the same in whatever company a row comes."""
        net, network = self.net_, self.net_.module_
        together, multiple = _rows_at_once(net)
        if network.training:
            network.eval()
        logits = []
        for start in range(0, len(rows), together):
            some = torch.tensor(rows[start : start + together], device=net.device)
            if missing := -len(some) % multiple:
                some = nn.functional.pad(some, (0, 0, 0, missing))
            logits.append(net.infer(some).cpu())
        return torch.cat(logits)[: len(rows)]

    def _read(self, X: object) -> np.ndarray:
        """Read X as the rows that the network takes, checked against those of `fit`."""
        if not hasattr(self, "_layout"):  # it is not kept in a file
            self._layout = self._find_layout()
        return read_inputs(self, X, reset=False, fitted=self._layout, **self._blocks)[0]

    def predict(self, X: object) -> np.ndarray:
        """Give the most probable class of each trial, shape (n_trials,); X as in `fit`."""
        probability = self.predict_proba(X)
        return self.classes_[np.argmax(probability, axis=1)]

    def _set_aside(
        self,
        subject: np.ndarray | None,
        validation: Sequence[bool] | None,
        codes: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        """Mark the rows that do not train: those the caller chose, else those of some people."""
        if validation is not None:
            aside = _check_mask(validation, len(codes))
        elif self.validation_fraction is not None:
            aside = self._choose_people(subject, seed)
        else:
            return np.zeros(len(codes), dtype=bool)
        lost = np.setdiff1d(codes, codes[~aside])
        if len(lost):
            raise ValueError(
                "What is set aside for validation leaves no training trial of class "
                f"{self.classes_[lost[0]]}: set less aside, or give more trials."
            )
        return aside

    def _choose_people(self, subject: np.ndarray, seed: int) -> np.ndarray:
        """Mark all rows of a share of the people, drawn at random."""
        people = pd.factorize(subject, sort=True)[0]
        if people.max() < 1:
            raise ValueError(
                "validation_fraction sets whole people aside, and there is one person only: "
                "leave it None, or give trials of more people."
            )
        split = GroupShuffleSplit(1, test_size=self.validation_fraction, random_state=seed)
        _, chosen = next(split.split(people, groups=people))
        return np.isin(np.arange(len(people)), chosen)

    def _make_net(
        self,
        network: type[nn.Module],
        sizes: dict[str, Any],
        device: str,
        codes: np.ndarray,
        validation: Trials | None,
    ) -> NeuralNet:
        recipe = self._recipe()
        callbacks: list[Callback] = [FiniteLoss()]
        if recipe.gradient_clip:
            callbacks.append(GradientNormClipping(recipe.gradient_clip))
        # Before early stopping, which ends the epoch for those behind it.
        callbacks += [clone(callback, safe=False) for callback in self.callbacks or []]
        if (schedule := recipe.make_schedule()) is not None:
            callbacks.append(schedule)
        if validation is not None:
            sink = print if self.verbose else _silent
            callbacks.append(EarlyStopping(patience=self.patience, load_best=True, sink=sink))
        weight = None
        if recipe.class_weight is not None:
            weigh = compute_class_weight(
                recipe.class_weight, classes=self.classes_, y=self.classes_[codes]
            )
            weight = torch.as_tensor(weigh, dtype=torch.float32)
        augment = None
        if recipe.augmentation:
            augment = Augmentation(sizes["n_chans"], sizes["n_times"], **recipe.augmentation)
        return Net(
            network,
            amp=self.amp,
            fuse=self.compile,
            **{f"module__{name}": value for name, value in sizes.items()},
            module__n_outputs=len(self.classes_),
            criterion=torch.nn.CrossEntropyLoss,
            criterion__weight=weight,
            criterion__label_smoothing=recipe.label_smoothing,
            optimizer=recipe.optimizer,
            lr=recipe.lr,
            **{f"optimizer__{k}": v for k, v in recipe.optimizer_arguments().items()},
            max_epochs=recipe.max_epochs,
            batch_size=recipe.batch_size,
            dataset=Trials,
            iterator_train=Batches,
            iterator_train__shuffle=True,
            iterator_train__augment=augment,
            iterator_valid=Batches,
            iterator_valid__batch_size=FEW_ROWS,
            train_split=None if validation is None else predefined_split(validation),
            callbacks=callbacks,
            device=device,
            verbose=self.verbose,
        )


def _rows_at_once(net: Net) -> tuple[int, int]:
    """Say how many rows to predict at once, and of what their number must be a multiple.

    torch chooses its kernels by shape, and those of few rows may add up in another order. So each
    forward pass has the same number of rows, zeros filled in, unless the network treats them alike.
    On the CPU a compiled network answers one by one: of two shapes it makes two programs, and that
    of a lone row takes each of many no longer.
    """
    if net.fuse and torch.device(net.device).type == "cpu":
        return 1, 1
    if net.fuse or not getattr(net.module_, "treats_rows_alike", False):
        return FEW_ROWS, FEW_ROWS
    return PREDICTED_TOGETHER, FEW_ROWS if net.amp else 1


def _check_mask(validation: Sequence[bool], n: int) -> np.ndarray:
    """Return `validation` as an array that is True for some of the n rows and not for all."""
    mask = np.asarray(validation)
    if mask.dtype != bool or np.ma.is_masked(validation):
        raise ValueError("validation must be True or False for each row, no numbers and no gaps.")
    if mask.shape != (n,):
        raise ValueError(
            f"validation must hold one boolean for each of the {n} trials, got shape {mask.shape}."
        )
    if mask.all() or not mask.any():
        raise ValueError(
            f"validation is {bool(mask[0])} for all rows: mark some of them, or leave it None to "
            "train on all."
        )
    return mask


def _find_device(name: str) -> str:
    """Return the torch device that `name` means; raise a ValueError where there is none."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is no torch device: {error}") from None
    n_there = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= n_there:
        raise ValueError(f"device={name!r}, but torch sees {n_there} CUDA devices: use 'auto'.")
    return name


def _silent(message: str) -> None:
    """Take skorch's remark on early stopping where `verbose` is 0."""
