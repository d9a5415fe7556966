"""What every estimator around a network shares: the fit, the rows set aside, the prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from skorch.helper import predefined_split
from skorch.history import History
from torch import Tensor, nn

from edaemo._layout import Block, Layout, agree, infer_layout, make_layout, read_layout, sizes
from edaemo._validation import find_ids, read_inputs, whole_or_nothing
from edaemo.estimators._aside import check_mask, choose_people
from edaemo.estimators._parameters import constrain, describe_parameters
from edaemo.networks import (
    Recipe,
    blocks_of,
    declaration_of,
    filled_up,
    sizes_of,
    takes_blocks,
)
from edaemo.training import (
    Augmentation,
    Batches,
    Blocks,
    Checkpoint,
    FiniteLoss,
    Net,
    OnRows,
    Sequences,
    Trials,
    check_augmentation,
    describe_fit,
    find_recipe,
    find_way,
    in_memory,
    make_schedule,
    prediction_of,
    torch_deterministic,
    torch_seed,
    torch_threads,
    train,
)

# Rows of a forward pass when validating: what they need stays in the processor's cache.
FEW_ROWS = 16
# The most rows of a forward pass when predicting.
PREDICTED_TOGETHER = 64
# The sizes that a row's layout tells, and the parameters of an estimator that tell the layout.
_BY_LAYOUT = {"n_chans", "n_times", "n_music_features", "blocks"}
_TELLING = ("n_chans", "n_times", "n_music_features")


class Loss(NamedTuple):
    """A loss: its class and its arguments."""

    kind: type[nn.Module]
    arguments: Mapping[str, Any]


class NetworkEstimator(BaseEstimator, ABC):
    """An estimator that trains a network in a skorch net; children say of what task.

    A child's ``__init__`` lists its parameters, those of `SHARED` among them, and passes
    ``locals()`` to `_keep_parameters`. One for a certain network sets `network` and says by
    `_network_params` how its parameters become the network's; others have the parameters `module`
    and `module_params`.
    """

    __metadata_request__fit = {"subject": True, "validation": True}  # noqa: RUF012
    _parameter_constraints: dict = {}  # noqa: RUF012

    network: ClassVar[type[nn.Module] | None] = None
    # What an estimator knows after `fit`, but for the net.
    state: ClassVar[tuple[str, ...]] = (
        "validation_subjects_",
        "sizes_",
        "blocks_",
        "n_features_in_",
        "feature_names_in_",
    )
    # Name of what the network answers.
    answer: ClassVar[str]
    _net_type: ClassVar[type[Net]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        describe_parameters(cls)
        taken = cls._get_param_names()
        own = {key: one for key, one in cls._parameter_constraints.items() if key in taken}
        cls._parameter_constraints = {**constrain(cls), **own}

    def _keep_parameters(self, given: Mapping[str, Any]) -> None:
        """Keep the arguments of ``__init__``, given as its ``locals()``."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    @abstractmethod
    def _read_target(self, X: object, y: object) -> np.ndarray:
        """Return the target of each row, and learn what belongs to it."""

    @abstractmethod
    def _check_training(self, data: Data) -> None:
        """Learn what belongs to the target; a ValueError if the rows cannot be learned from."""

    @abstractmethod
    def _encode(self, data: Data) -> np.ndarray:
        """Return the targets of all rows as the loss reads them."""

    @abstractmethod
    def _make_loss(self, data: Data | None) -> Loss:
        """Return the loss; without data one without weights, for a net that predicts."""

    @property
    @abstractmethod
    def _task(self) -> str:
        """The task of the fit."""

    @property
    @abstractmethod
    def _n_outputs(self) -> int:
        """Numbers that the network predicts for a trial."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: object,
        y: object,
        subject: Sequence | None = None,
        validation: Sequence[bool] | None = None,
        sample_weight: Sequence[float] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            Rows of finite numbers as the class describes them; used as float32. Booleans count
            as 0 and 1.
        y : array-like of shape (n_trials,)
            The target of each row, in the order of the rows: class labels of any one type, or
            numbers.
        subject : array-like of shape (n_trials,) or None, default=None
            Whose trial each row is; needed with `validation_fraction`, unless X is a frame whose
            index has a level ``subject``.
        validation : array-like of bool of shape (n_trials,) or None, default=None
            True for the rows to set aside, of whatever people or stimuli, in the order of the
            rows: they do not train, and their loss decides when training stops and which epoch's
            weights are kept. It wins over `validation_fraction`, which then has no effect, and
            needs no subjects.
        sample_weight : array-like of shape (n_trials,) or None, default=None
            Weight of each row in the loss, at least 0: a row of weight 2 counts in its batch as two
            rows, a row of weight 0 takes no part. None: 1 each.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of its range, the columns do not divide as given, y holds one
            class only, lengths differ, values are missing, infinite or not numbers, labels are
            missing or mixed in type, subjects are needed and absent, `validation` is not boolean
            or marks all rows or none, or a class is left without a training row. The estimator
            then stays as it was, also when training is interrupted.
        FileError
            If `checkpoint` is a file of another fit, is damaged, or cannot be written.
        TrainingError
            If the loss is no longer finite, or memory runs out.
        """
        with whole_or_nothing(self):
            device = find_device(self.device)
            check_callbacks(self.callbacks)
            rows = self._learn_rows(X)
            target = self._read_target(X, y)
            weight = _check_weight(sample_weight, len(rows))
            people = self._find_subjects(X, subject, validation)
            seed = int(check_random_state(self.random_state).randint(2**31))
            checkpoint = None if self.checkpoint is None else Checkpoint(Path(self.checkpoint))
            if checkpoint is not None and self.random_state is None:
                seed = checkpoint.seed(seed)
            aside = self._set_aside(people, validation, len(rows), seed)
            counts = np.ones(len(rows), dtype=bool) if weight is None else weight > 0
            data = Data(rows, target, weight, counts & ~aside, counts & aside, people)
            self._check_training(data)
            self._check_task()
            self.sizes_ = self._find_sizes(data.n_groups)
            with (
                torch_threads(self.n_threads),
                torch_seed(seed, device),
                torch_deterministic(self.deterministic, device),
            ):
                net = self._make_net(device, self._make_loss(data))
                if data.aside.any():
                    self._stop_early(net, self._make_dataset(data, data.aside, device))
                if checkpoint is not None:
                    checkpoint.check(describe_fit(self, device, seed, rows, target, aside, weight))
                    net.callbacks.append(checkpoint)
                train(net, self._make_dataset(data, data.training, device), checkpoint)
                net.train_split = None  # or the net would carry the validation trials along
            self.net_ = net
        if checkpoint is not None:
            checkpoint.finish()
        return self

    def to_module(self) -> nn.Module:
        """Return the fitted network as a torch module from rows to answers.

        Returns
        -------
        Module
            Takes a float32 tensor of shape (n_trials, n_columns) and returns, for a classifier, the
            probabilities of the classes in the order of `classes_`, for a regressor the predictions
            in the units of y, shape (n_trials, 1). It shares the network's weights.
        """
        check_is_fitted(self, "net_")
        return Answer(OnRows(self.net_.module_, self.net_.feed_), self._answer)

    def describe_network(self) -> dict[str, Any]:
        """Return the facts of the fit that a file is to tell its readers."""
        history = self.net_.history.to_list()
        recipe = self._recipe()
        last = history[-1]["batches"] if history else []
        return {
            "network": {**recipe.network, **self.sizes_},
            "epochs": len(history),
            "train_loss": [epoch.get("train_loss") for epoch in history],
            "valid_loss": [epoch.get("valid_loss") for epoch in history],
            "recipe": recipe._asdict(),
            "seed": self.random_state,
            "validation_subjects": self.validation_subjects_,
            "n_training_rows": sum(batch.get("train_batch_size", 0) for batch in last),
        }

    def give_network(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's weights, and what else `take_network` needs."""
        net = self.net_
        weights = {key: value.cpu().contiguous() for key, value in net.module_.state_dict().items()}
        loss = dict(net.criterion_.state_dict())
        return weights, {"loss": loss, "history": net.history.to_list()}

    def take_network(
        self, weights: Mapping[str, Tensor], loss: Mapping[str, Tensor], history: list
    ) -> None:
        """Make the net anew from what `give_network` gave; all other attributes are there."""
        self._layout = self._find_layout()
        if not hasattr(self, "sizes_"):  # files of format 1
            self.blocks_ = shapes_of(self._layout)
            self.sizes_ = self._find_sizes()
        kind, arguments = self._make_loss(None)
        arguments = {name: loss.get(name, value) for name, value in arguments.items()}
        net = self._make_net(find_device(self.device), Loss(kind, arguments))
        with torch_threads(self.n_threads), torch_seed(0, net.device):
            net.initialize()
        net.module_.load_state_dict(weights)
        net.module_.eval()
        net.criterion_.load_state_dict(loss)
        net.history = History(history)
        self.net_ = net

    def example_inputs(self, n: int) -> dict[str, np.ndarray]:
        """Return random inputs of `n` trials for `to_module`, by the names of its arguments."""
        rng = np.random.default_rng(0)
        return {"rows": rng.normal(size=(n, self.n_features_in_)).astype(np.float32)}

    @abstractmethod
    def _answer(self, predicted: torch.Tensor) -> torch.Tensor:
        """Return what users get for the network's predictions of shape (n_trials, n_outputs)."""

    def _predict_rows(self, X: object) -> torch.Tensor:
        """Return the answers for X in double precision."""
        check_is_fitted(self, "net_")
        rows = self.read(X)
        with (
            torch_threads(self.n_threads),
            torch_deterministic(self.deterministic, self.net_.device),
            in_memory(PREDICTED_TOGETHER),
        ):
            predicted = self._logits(rows)
        return self._answer(predicted.double())

    @torch.inference_mode()
    def _logits(self, rows: np.ndarray) -> torch.Tensor:
        """Return the logits of rows, equal bit for bit whatever rows come with a row."""
        net, network = self.net_, self.net_.module_
        rows = np.ascontiguousarray(rows)
        if network.training:
            network.eval()
        way = find_way(
            network,
            net.made_of,
            rows.shape[1],
            self.n_threads,
            net.precision,
            feed=net.feed_,
            compiled=bool(net.fuse),
        )
        logits, start = [], 0
        with filled_up(way.least_rows):
            for size in way.passes(len(rows)):
                some = torch.tensor(rows[start : start + size], device=net.device)
                if missing := size - len(some):
                    some = nn.functional.pad(some, (0, 0, 0, missing))
                logits.append(prediction_of(net.infer(some)).cpu())
                start += size
        return torch.cat(logits)[: len(rows)]

    @property
    def _network(self) -> type[nn.Module]:
        return self.module if self.network is None else self.network

    def _network_params(self) -> dict[str, Any]:
        """Return the network's arguments that the data do not decide."""
        return dict(self.module_params or {})

    def _recipe(self) -> Recipe:
        """Return how the network is trained."""
        recipe = find_recipe(getattr(self, "recipe", None), self._network)
        given = {name: getattr(self, name, None) for name in Recipe._fields}
        recipe = recipe.but_for(**given | {"network": self._network_params()})
        check_augmentation(recipe.augmentation)
        return recipe

    def read(self, X: object) -> np.ndarray:
        """Return X as the float32 rows that the fitted network takes; X as in `fit`."""
        blocks = blocks_of(self._network)
        return read_inputs(self, X, reset=False, fitted=self._layout, **blocks)[0]

    def _learn_rows(self, X: object) -> np.ndarray:
        """Return X as float32 rows, and learn how they divide."""
        blocks = blocks_of(self._network)
        rows, layout = read_inputs(self, X, reset=True, min_rows=2, **blocks)
        self.blocks_ = shapes_of(layout)
        self._layout = layout = self._find_layout()
        self.blocks_ = shapes_of(layout)
        if layout is None:
            return rows
        source = "column names" if hasattr(self, "feature_names_in_") else "array's shapes"
        agree(layout, source, **self._told_sizes())
        if "eda" not in layout and "eda" in blocks["signals"]:
            raise ValueError(
                f"{type(self).__name__} needs EDA, and the columns hold music alone: use an SVM on "
                "music (edaemo.benchmark.make_svm_baseline)."
            )
        return rows

    def _told_sizes(self) -> dict[str, int | None]:
        """Return what the parameters say of the layout."""
        return {name: getattr(self, name, None) for name in _TELLING}

    def _find_layout(self) -> Layout | None:
        """Return how a row divides; None where the network does not tell columns apart."""
        network = self._network
        blocks = blocks_of(network)
        names = getattr(self, "feature_names_in_", None)
        layout = None if names is None else read_layout(names, **blocks)
        if layout is not None:
            return layout
        if shapes := getattr(self, "blocks_", None):
            return make_layout(
                Block.signal(name, *shape) if len(shape) == 2 else Block.features(name, *shape)
                for name, shape in shapes.items()
            )
        if _BY_LAYOUT & set(sizes_of(network)) or takes_blocks(network):
            return infer_layout(self.n_features_in_, **self._told_sizes())
        return None

    def _check_task(self) -> None:
        """Raise a ValueError if the network declares that it cannot do the task."""
        tasks = declaration_of(self._network).tasks
        if self._task not in tasks:
            raise ValueError(
                f"{self._network.__name__} is a network for {', '.join(tasks)}, not for "
                f"{self._task}: use another estimator or another network."
            )

    def _find_subjects(
        self, X: object, subject: Sequence | None, validation: Sequence[bool] | None
    ) -> np.ndarray | None:
        """Return whose rows they are, where that matters."""
        needed_by = None
        if declaration_of(self._network).groups:
            needed_by = self._network.__name__
        elif validation is None and self.validation_fraction is not None:
            needed_by = "validation_fraction"
        if needed_by is None and validation is None:
            return None
        return find_ids("subject", X, subject, needed_by=needed_by)

    def _set_aside(
        self,
        subject: np.ndarray | None,
        validation: Sequence[bool] | None,
        n: int,
        seed: int,
    ) -> np.ndarray:
        """Mark the rows that do not train: those the caller chose, else those of some people."""
        aside = np.zeros(n, dtype=bool)
        if validation is not None:
            aside = check_mask(validation, n)
        elif self.validation_fraction is not None:
            assert subject is not None  # `_find_subjects` has refused what has none
            aside = choose_people(subject, self.validation_fraction, seed)
        self.validation_subjects_ = np.array([])
        if aside.any() and subject is not None:
            self.validation_subjects_ = pd.factorize(subject[aside], sort=True)[1]
        return aside

    def _find_sizes(self, n_groups: int | None = None) -> dict[str, Any]:
        """Return the network's arguments that the data decide, but ``n_outputs``."""
        known: dict[str, Any] = {
            "n_features": self.n_features_in_,
            "n_groups": n_groups,
            "blocks": self.blocks_,
        }
        if self._layout is not None:
            known |= sizes(self._layout)
        return {name: known[name] for name in sizes_of(self._network)}

    def _make_net(self, device: str, loss: Loss) -> Net:
        """Make the skorch net."""
        recipe = self._recipe()
        callbacks: list[Callback] = [FiniteLoss()]
        if recipe.gradient_clip:
            callbacks.append(GradientNormClipping(recipe.gradient_clip))
        # Before early stopping, which ends the epoch for those behind it.
        callbacks += self.callbacks or []
        if (schedule := make_schedule(recipe)) is not None:
            callbacks.append(schedule)
        augment = None
        if recipe.augmentation:
            shape = (self.blocks_ or {}).get("eda", ())
            if len(shape) != 2:
                raise ValueError(
                    "augmentation changes EDA signals, and the rows hold none: give {}."
                )
            n_chans, n_times = shape
            augment = Augmentation(n_chans, n_times, **recipe.augmentation)
        arguments = {**recipe.network, **self.sizes_, "n_outputs": self._n_outputs}
        return self._net_type(
            self._network,
            amp=self.amp,
            fuse=self.compile,
            shapes=self.blocks_,
            **{f"module__{name}": value for name, value in arguments.items()},
            criterion=loss.kind,
            **{f"criterion__{name}": value for name, value in loss.arguments.items()},
            optimizer=recipe.optimizer,
            lr=recipe.lr,
            **{f"optimizer__{k}": v for k, v in recipe.optimizer_arguments().items()},
            max_epochs=recipe.max_epochs,
            batch_size=recipe.batch_size,
            dataset__device=device,
            iterator_train=Batches,
            iterator_train__shuffle=True,
            iterator_train__augment=augment,
            iterator_valid=Batches,
            iterator_valid__batch_size=FEW_ROWS,
            train_split=None,
            callbacks=callbacks,
            device=device,
            verbose=self.verbose,
            **self._net_options(),
        )

    def _net_options(self) -> dict[str, Any]:
        """Return further arguments of the net."""
        return {"dataset": Trials, "dataset__shapes": self.blocks_}

    def _stop_early(self, net: Net, held_out: Trials | Sequences) -> None:
        """Let the loss of trials that do not train decide when training stops."""
        sink = print if self.verbose else _silent
        net.callbacks.append(EarlyStopping(patience=self.patience, load_best=True, sink=sink))
        net.train_split = predefined_split(held_out)

    def _make_dataset(self, data: Data, which: np.ndarray, device: str) -> Trials | Sequences:
        """Return the rows marked in `which` as the net's data set."""
        # The CPU's memory holds X in any case.
        n_shared = 0 if device == "cpu" else _n_last(self.blocks_, "music")
        return Trials(
            data.rows[which],
            self._encode(data)[which],
            group=data.groups(which),
            weight=None if data.weight is None else data.weight[which],
            shapes=self.blocks_,
            n_shared=n_shared,
            device=device,
        )


class Data(NamedTuple):
    """What a network learns from.

    `training` and `aside` mark the rows that train, and those by which training stops early.
    """

    rows: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    training: np.ndarray
    aside: np.ndarray
    subject: np.ndarray | None

    @property
    def n_groups(self) -> int | None:
        """Number of people who train."""
        return None if self.subject is None else len(pd.unique(self.subject[self.training]))

    def groups(self, which: np.ndarray) -> np.ndarray | None:
        """Return the codes of the people of some rows; -1 for people who do not train."""
        if self.subject is None:
            return None
        people = pd.Index(pd.factorize(self.subject[self.training], sort=True)[1])
        return people.get_indexer(self.subject[which])


def shapes_of(layout: Layout | None) -> dict[str, tuple[int, ...]] | None:
    """Return the names and shapes of a row's blocks."""
    return None if layout is None else {name: block.shape for name, block in layout.items()}


def _n_last(blocks: Blocks | None, name: str) -> int:
    """Return the number of columns of a block if it is the last one, else 0."""
    return sum(blocks[name]) if blocks and [*blocks][-1] == name else 0


class Answer(nn.Module):
    """A network and what becomes of its predictions."""

    def __init__(self, network: nn.Module, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.answer = network, answer

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the answers for rows, or for the blocks of sequences."""
        return self.answer(self.network(*inputs))


def _check_weight(sample_weight: Sequence[float] | None, n: int) -> np.ndarray | None:
    """Return the weights as float32, one for each of the n rows."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight must hold one number for each of the {n} trials, got shape "
            f"{weight.shape}."
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("sample_weight must be finite and not negative.")
    if not weight.any():
        raise ValueError("sample_weight is zero for all trials: no trial is left to train on.")
    return weight.astype(np.float32)


def check_callbacks(callbacks: Sequence | None) -> None:
    """Raise a ValueError unless they are what skorch takes as callbacks."""
    for item in callbacks or []:
        callback = item[1] if isinstance(item, tuple | list) and len(item) == 2 else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(f"callbacks must be objects of skorch.callbacks, got {item!r}.")


def find_device(name: str) -> str:
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
