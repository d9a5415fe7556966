"""Base class of the network estimators: fitting, validation rows and prediction."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from skorch.helper import predefined_split
from skorch.history import History
from torch import Tensor, nn

from edaemo._layout import Block, Layout, agree, infer_layout, make_layout, read_layout, sizes
from edaemo._sklearn import UNCHANGED, BaseEstimator, Request
from edaemo._validation import (
    SAMPLED,
    as_plain,
    check_predicted,
    find_ids,
    read_inputs,
    whole_or_nothing,
    without_gradient,
)
from edaemo.estimators._aside import check_mask, choose_people
from edaemo.estimators._parameters import constrain, describe_parameters
from edaemo.networks import (
    BlockNames,
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
    DomainSchedule,
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

# Rows in a forward pass of validation: their activations fit in the processor's cache.
FEW_ROWS = 16
# Maximum number of rows in a forward pass of prediction.
PREDICTED_TOGETHER = 64
# Network arguments that depend on the layout of a row.
_BY_LAYOUT = {"n_chans", "n_times", "n_music_features", "blocks"}
# Estimator parameters that define the layout of a row.
_LAYOUT_PARAMETERS = ("n_chans", "n_times", "n_music_features")


class Loss(NamedTuple):
    """Class and arguments of a loss."""

    kind: type[nn.Module]
    arguments: Mapping[str, Any]


class NetworkEstimator(BaseEstimator, ABC):
    """Base class of estimators that train a network in a skorch net; subclasses define the task.

    The ``__init__`` of a subclass lists its parameters, including those of `SHARED` that it takes,
    and passes ``locals()`` to `_keep_parameters`. A subclass for one network sets `network`, and
    its `_network_params` returns the arguments of that network. Other subclasses have the
    parameters `module` and `module_params`.
    """

    __metadata_request__fit = {"subject": True, "validation": True}  # noqa: RUF012
    _parameter_constraints: dict[str, Any] = {}  # noqa: RUF012

    network: ClassVar[type[nn.Module] | None] = None
    # Fitted attributes, except the net.
    state: ClassVar[tuple[str, ...]] = (
        "validation_subjects_",
        "sizes_",
        "blocks_",
        "n_features_in_",
        "feature_names_in_",
    )
    # Name of the output of the estimator.
    answer: ClassVar[str]
    _net_type: ClassVar[type[Net]]
    net_: Net
    sizes_: dict[str, Any]
    blocks_: dict[str, tuple[int, ...]] | None
    validation_subjects_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a parameter; `_keep_parameters` stores them."""

        def set_fit_request(
            self,
            *,
            subject: Request = UNCHANGED,
            validation: Request = UNCHANGED,
            sample_weight: Request = UNCHANGED,
        ) -> Self:
            """Set which metadata `fit` requests."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        describe_parameters(cls)
        taken = cls._get_param_names()
        constraints = {k: v for k, v in cls._parameter_constraints.items() if k in taken}
        cls._parameter_constraints = {**constrain(cls), **constraints}

    def _keep_parameters(self, given: Mapping[str, Any]) -> None:
        """Store the arguments of ``__init__`` as attributes; `given` is its ``locals()``."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    @abstractmethod
    def _read_target(self, X: object, y: object) -> np.ndarray:
        """Return the target of each row, and set the attributes that depend on the targets."""

    @abstractmethod
    def _check_training(self, data: Data) -> None:
        """Set the attributes that depend on the training targets.

        Raise a ValueError if training on these rows is impossible.
        """

    @abstractmethod
    def _encode(self, data: Data) -> np.ndarray:
        """Return the targets of all rows in the form that the loss takes."""

    @abstractmethod
    def _make_loss(self, data: Data | None) -> Loss:
        """Return the loss. Without data the loss has no weights; this is enough to predict."""

    @property
    @abstractmethod
    def _task(self) -> str:
        """Name of the task, one of ``TASKS``."""

    @property
    @abstractmethod
    def _n_outputs(self) -> int:
        """Number of outputs of the network for a trial."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``optimizer_params__momentum`` sets one key of a dict.

        Parameters
        ----------
        **params : dict
            As for other estimators. ``<parameter>__<key>`` sets a key of a parameter that is a
            dict, and keeps its other keys.

        Returns
        -------
        self
            This estimator.
        """
        nested: dict[str, dict[str, Any]] = {}
        for name in list(params):
            parameter, _, key = name.partition("__")
            if key and dict in self._parameter_constraints.get(parameter, ()):
                nested.setdefault(parameter, {})[key] = params.pop(name)
        super().set_params(**params)
        for parameter, values in nested.items():
            setattr(self, parameter, {**(getattr(self, parameter) or {}), **values})
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: object,
        y: object,
        subject: Sequence[Any] | None = None,
        validation: Sequence[bool] | None = None,
        sample_weight: Sequence[float] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            Rows of finite numbers, as the class describes them. They are converted to float32.
            Booleans are converted to 0 and 1.
        y : array-like of shape (n_trials,)
            The target of each row, in the order of the rows: class labels, all of the same type,
            or numbers.
        subject : array-like of shape (n_trials,) or None, default=None
            Subject of each row. Required with `validation_fraction` and `domain_loss`, unless X is
            a frame whose index has a level ``subject``.
        validation : array-like of bool of shape (n_trials,) or None, default=None
            True for the rows to set aside, in the order of the rows. They can be rows of any
            subjects and stimuli, and subjects are not required. These rows are not used for
            training. Their loss decides when training stops and which epoch's weights are kept.
            If `validation` is given, `validation_fraction` has no effect.
        sample_weight : array-like of shape (n_trials,) or None, default=None
            Weight of each row in the loss, at least 0. A row of weight 2 counts as two rows in its
            batch. A row of weight 0 is not used. None: every row has weight 1.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range; if the columns do not match the given sizes; if y
            holds one class only; if lengths differ; if values are missing, infinite or not numbers;
            if labels are missing or mixed in type; if subjects are required and missing; if
            `validation` is not boolean, or marks all rows or no row; or if a class has no training
            row. After an error or an interrupt, the estimator is unchanged.
        FileError
            If `checkpoint` belongs to another fit, is damaged, or cannot be written.
        TrainingError
            If the loss is not finite, or if memory runs out.
        """
        with whole_or_nothing(self):
            device = find_device(self.device)
            check_callbacks(self.callbacks)
            rows = self._learn_rows(X)
            target = self._read_target(X, y)
            weight = _check_weight(sample_weight, len(rows))
            subjects = self._find_subjects(X, subject, validation)
            seed = int(check_random_state(self.random_state).randint(2**31))
            checkpoint = None if self.checkpoint is None else Checkpoint(Path(self.checkpoint))
            if checkpoint is not None and self.random_state is None:
                seed = checkpoint.seed(seed)
            aside = self._set_aside(subjects, validation, len(rows), seed)
            counts = np.ones(len(rows), dtype=bool) if weight is None else weight > 0
            data = Data(rows, target, weight, counts & ~aside, counts & aside, subjects)
            self._check_training(data)
            self._check_task()
            self._check_domains(data)
            self.sizes_ = self._find_sizes(data.n_groups if self._reads_subjects else None)
            self.net_ = self._train(data, device, seed, checkpoint)
        if checkpoint is not None:
            checkpoint.finish()
        return self

    def _train(self, data: Data, device: str, seed: int, checkpoint: Checkpoint | None) -> Net:
        """Return a net that was trained from a seed."""
        with (
            torch_threads(self.n_threads),
            torch_seed(seed, device),
            torch_deterministic(self.deterministic, device),
        ):
            net = self._make_net(device, self._make_loss(data))
            if data.aside.any():
                self._stop_early(net, self._make_dataset(data, data.aside, device))
            if checkpoint is not None:
                facts = describe_fit(
                    self, device, seed, data.rows, data.target, data.aside, data.weight
                )
                checkpoint.check(facts)
                net.callbacks.append(checkpoint)
            train(net, self._make_dataset(data, data.training, device), checkpoint)
            net.train_split = None  # drop the validation trials from the net
        return net

    def _continue(self, data: Data, epochs: int, lr: float | None) -> Net:
        """Return a net with the weights of the fitted one, trained further."""
        weights, others = self.give_network()
        seed = int(check_random_state(self.random_state).randint(2**31))
        net = self._make_like(others["loss"])
        net.module_.load_state_dict(weights)
        net.criterion_.load_state_dict(others["loss"])
        net.history = History(others["history"])
        if lr is not None:
            net.set_params(lr=lr)
        with (
            torch_threads(self.n_threads),
            torch_seed(seed, net.device),
            torch_deterministic(self.deterministic, net.device),
        ):
            train(net, self._make_dataset(data, data.training, net.device), epochs=epochs)
        return net

    def to_module(self) -> nn.Module:
        """Return the fitted network as a torch module that maps rows to predictions.

        Returns
        -------
        Module
            Its argument is a float32 tensor of shape (n_trials, n_columns). A classifier's module
            returns the class probabilities in the order of `classes_`. A regressor's module returns
            the predictions in the units of y, shape (n_trials, 1). It shares the weights of the
            network.
        """
        check_is_fitted(self, "net_")
        return Answer(OnRows(self.net_.module_, self.net_.feed_), self._answer)

    def describe_network(self) -> dict[str, Any]:
        """Return the facts of the fit that are stored in a model file.

        Returns
        -------
        dict of str to object
            The facts, such as the recipe and the losses of the epochs.
        """
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
        """Return the weights of the network, and the other arguments of `take_network`.

        Only the weights of the class of the network are returned. A tool that explains
        predictions may have left others in the modules.

        Returns
        -------
        weights : dict of str to Tensor
            The weights, on the CPU.
        others : dict of str to object
            ``loss`` and ``history``.

        Raises
        ------
        KeyError
            If the network lacks weights of its class.
        """
        net = self.net_
        loss = dict(net.criterion_.state_dict())
        there = net.module_.state_dict()
        names = self._make_like(loss).module_.state_dict()
        weights = {name: there[name].cpu().contiguous() for name in names}
        return weights, {"loss": loss, "history": net.history.to_list()}

    def take_network(
        self, weights: Mapping[str, Tensor], loss: Mapping[str, Tensor], history: list[Any]
    ) -> None:
        """Rebuild the net from the output of `give_network`.

        All other fitted attributes must be set already.

        Parameters
        ----------
        weights : mapping of str to Tensor
            The weights of the network.
        loss : mapping of str to Tensor
            The state of the loss.
        history : list
            The history of the net.
        """
        self._layout = self._find_layout()
        if not hasattr(self, "sizes_"):  # files of format 1
            self.blocks_ = shapes_of(self._layout)
            self.sizes_ = self._find_sizes()
        self._check_sizes(weights)
        net = self._make_like(loss)
        net.module_.load_state_dict(weights)
        net.module_.eval()
        net.criterion_.load_state_dict(loss)
        net.history = History(history)
        self.net_ = net

    def _check_sizes(self, weights: Mapping[str, Tensor]) -> None:
        """Raise a ValueError if a network of edaemo has other weights, before it takes memory."""
        if not self._network.__module__.startswith("edaemo."):
            return
        arguments = {**self._recipe().network, **self.sizes_, "n_outputs": self._n_outputs}
        with torch.device("meta"), torch_seed(0, "cpu"):
            expected = self._network(**arguments).state_dict()
        for name, values in expected.items():
            if name in weights and weights[name].shape != values.shape:
                raise ValueError(
                    f"size mismatch: {name} has the shape {tuple(weights[name].shape)}, but the "
                    f"parameters need {tuple(values.shape)}"
                )

    def _make_like(self, loss: Mapping[str, Tensor]) -> Net:
        """Make a net like that of the fit, with new weights; `loss` holds the state of its loss."""
        kind, arguments = self._make_loss(None)
        arguments = {name: loss.get(name, value) for name, value in arguments.items()}
        net = self._make_net(find_device(self.device), Loss(kind, arguments))
        with torch_threads(self.n_threads), torch_seed(0, net.device):
            net.initialize()
        return net

    def predicts_like(self, other: NetworkEstimator) -> bool:
        """Return whether another network has equal outputs for random inputs.

        Parameters
        ----------
        other : NetworkEstimator
            A fitted estimator of the same class.

        Returns
        -------
        bool
            True if the outputs differ only by rounding, as on a GPU.
        """
        inputs = [torch.from_numpy(values) for values in self.example_inputs(4).values()]
        outputs = []
        for estimator in (self, other):
            module, device = estimator.to_module(), estimator.net_.device
            was_training = module.training
            with (
                torch.no_grad(),
                torch_seed(0, device),
                torch_threads(estimator.n_threads),
                torch.compiler.set_stance("force_eager"),  # compiling takes a minute
            ):
                outputs.append(module.eval()(*(values.to(device) for values in inputs)))
            module.train(was_training)
        return torch.allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-6, equal_nan=True)

    def example_inputs(self, n: int) -> dict[str, np.ndarray]:
        """Return random inputs for `to_module`.

        Parameters
        ----------
        n : int
            Number of trials.

        Returns
        -------
        dict of str to ndarray
            Arrays of float32 by the names of the module's arguments.
        """
        rng = np.random.default_rng(0)
        return {"rows": rng.normal(size=(n, self.n_features_in_)).astype(np.float32)}

    @abstractmethod
    def _answer(self, predicted: torch.Tensor) -> torch.Tensor:
        """Convert the outputs of the network, (n_trials, n_outputs), to the estimator's output."""

    def _predict_rows(self, X: object) -> torch.Tensor:
        """Return the predictions for X in double precision; raise an error if one is not finite."""
        check_is_fitted(self, "net_")
        rows = self.read(X)
        with (
            torch_threads(self.n_threads),
            torch_deterministic(self.deterministic, self.net_.device),
            in_memory(PREDICTED_TOGETHER),
        ):
            logits = self._logits(rows)
        predicted = self._answer(logits.double())
        check_predicted(X, predicted.isfinite().flatten(1).all(dim=1).numpy())
        return predicted

    @torch.inference_mode()
    def _logits(self, rows: np.ndarray) -> torch.Tensor:
        """Return the logits of rows.

        The logits of a row are bit-for-bit the same, regardless of the other rows.
        """
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
                batch = torch.tensor(rows[start : start + size], device=net.device)
                if missing := size - len(batch):
                    batch = nn.functional.pad(batch, (0, 0, 0, missing))
                logits.append(prediction_of(net.infer(batch)).cpu())
                start += size
        return torch.cat(logits)[: len(rows)]

    @property
    def _network(self) -> type[nn.Module]:
        return self.module if self.network is None else self.network

    def _network_params(self) -> dict[str, Any]:
        """Return the network's arguments that are not set from the data."""
        return dict(self.module_params or {})

    def _recipe(self) -> Recipe:
        """Return the recipe, changed by the parameters that are not None."""
        recipe = find_recipe(getattr(self, "recipe", None), self._network)
        given = {name: as_plain(getattr(self, name, None)) for name in Recipe._fields}
        recipe = recipe.but_for(**given | {"network": self._network_params()})
        check_augmentation(recipe.augmentation)
        return recipe

    def read(self, X: object) -> np.ndarray:
        """Convert X to the input that the fitted network takes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of float32 of shape (n_trials, n_columns)
            The rows.
        """
        blocks = self._block_names()
        return read_inputs(self, X, reset=False, fitted=self._layout, **blocks)[0]

    def _block_names(self) -> BlockNames:
        """Return the names of the blocks that the estimator takes."""
        return blocks_of(self._network)

    def _learn_rows(self, X: object) -> np.ndarray:
        """Convert X to float32 rows, and set their layout."""
        blocks = self._block_names()
        rows, layout = read_inputs(self, X, reset=True, min_rows=2, **blocks)
        self.blocks_ = shapes_of(layout)
        self._layout = layout = self._find_layout()
        self.blocks_ = shapes_of(layout)
        if layout is None:
            return rows
        source = "column names" if hasattr(self, "feature_names_in_") else "array's shapes"
        agree(layout, source, **self._given_sizes())
        if "eda" not in layout and "eda" in blocks["signals"]:
            raise ValueError(
                f"{type(self).__name__} needs EDA, but the columns hold music only: use an SVM on "
                "music (edaemo.benchmark.make_svm_baseline)."
            )
        return rows

    def _given_sizes(self) -> dict[str, int | None]:
        """Return the sizes of the layout that the parameters give."""
        return {name: as_plain(getattr(self, name, None)) for name in _LAYOUT_PARAMETERS}

    def _find_layout(self) -> Layout | None:
        """Return the layout of a row, or None if the network does not use blocks."""
        network = self._network
        blocks = self._block_names()
        names = getattr(self, "feature_names_in_", None)
        layout = None if names is None else read_layout(names, **blocks)
        if layout is not None:
            return layout
        if shapes := getattr(self, "blocks_", None):
            return make_layout(
                Block.signal(name, *shape)
                if len(shape) == 2
                else Block.features(name, math.prod(shape))
                for name, shape in shapes.items()
            )
        if _BY_LAYOUT & set(sizes_of(network)) or takes_blocks(network):
            return infer_layout(self.n_features_in_, **self._given_sizes())
        return None

    def _check_task(self) -> None:
        """Raise a ValueError if the network does not declare the task."""
        tasks = declaration_of(self._network).tasks
        if self._task not in tasks:
            raise ValueError(
                f"{self._network.__name__} is a network for {', '.join(tasks)}, not for "
                f"{self._task}: use another estimator or another network."
            )

    @property
    def _reads_subjects(self) -> bool:
        """Whether the loss reads the subject of each trial."""
        return declaration_of(self._network).groups or getattr(self, "domain_loss", False)

    def _check_domains(self, data: Data) -> None:
        """Raise a ValueError if `domain_loss` is set and all training trials are one subject's."""
        if getattr(self, "domain_loss", False) and data.n_groups == 1:
            raise ValueError(
                "domain_loss needs training trials of at least two subjects, but all are of one "
                "subject: leave it False."
            )

    def _find_subjects(
        self, X: object, subject: Sequence[Any] | None, validation: Sequence[bool] | None
    ) -> np.ndarray | None:
        """Return the subject of each row, or None if subjects are not needed and not known."""
        needed_by = None
        if declaration_of(self._network).groups:
            needed_by = self._network.__name__
        elif self._reads_subjects:
            needed_by = "domain_loss"
        elif validation is None and self.validation_fraction is not None:
            needed_by = "validation_fraction"
        if needed_by is None and validation is None:
            return None
        return find_ids("subject", X, subject, needed_by=needed_by, in_order=True)

    def _set_aside(
        self,
        subject: np.ndarray | None,
        validation: Sequence[bool] | None,
        n: int,
        seed: int,
    ) -> np.ndarray:
        """Mark the rows set aside: those in `validation`, or all rows of some random subjects."""
        aside = np.zeros(n, dtype=bool)
        if validation is not None:
            aside = check_mask(validation, n)
        elif self.validation_fraction is not None:
            assert subject is not None  # `_find_subjects` raised an error otherwise
            aside = choose_people(subject, self.validation_fraction, seed)
        self.validation_subjects_ = np.array([])
        if aside.any() and subject is not None:
            self.validation_subjects_ = pd.factorize(subject[aside], sort=True)[1]
        return aside

    def _find_sizes(self, n_groups: int | None = None) -> dict[str, Any]:
        """Return the network's arguments that are set from the data, except ``n_outputs``."""
        known: dict[str, Any] = {
            "n_features": self.n_features_in_,
            "n_groups": n_groups,
            "blocks": self.blocks_,
        }
        if self._layout is not None:
            known |= sizes(self._layout)
        taken = {name: known[name] for name in sizes_of(self._network)}
        if n_groups is None and not declaration_of(self._network).groups:
            taken.pop("n_groups", None)
        return taken

    def _make_net(self, device: str, loss: Loss) -> Net:
        """Make the skorch net."""
        recipe = self._recipe()
        callbacks: list[Callback] = [FiniteLoss()]
        if recipe.gradient_clip:
            callbacks.append(GradientNormClipping(recipe.gradient_clip))
        # Before early stopping, which ends the epoch for the callbacks after it.
        callbacks += self.callbacks or []
        if getattr(self, "domain_loss", False):
            callbacks.append(DomainSchedule())
        if (schedule := make_schedule(recipe)) is not None:
            callbacks.append(schedule)
        augment = None
        if recipe.augmentation:
            shape = (self.blocks_ or {}).get("eda", ())
            if len(shape) != 2:
                raise ValueError(
                    "augmentation changes EDA signals, but the rows hold no EDA: "
                    "set augmentation={}."
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
        """Stop training early by the loss of held-out trials."""
        sink = print if self.verbose else _silent
        net.callbacks.append(EarlyStopping(patience=self.patience, load_best=True, sink=sink))
        net.train_split = predefined_split(held_out)

    def _make_dataset(self, data: Data, which: np.ndarray, device: str) -> Trials | Sequences:
        """Return the rows marked in `which` as a data set of the net."""
        # On the CPU, X is in memory anyway.
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
    """The data of a fit.

    `training` marks the training rows. `aside` marks the validation rows for early stopping.
    """

    rows: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    training: np.ndarray
    aside: np.ndarray
    subject: np.ndarray | None

    @property
    def n_groups(self) -> int | None:
        """Number of subjects in the training rows."""
        return None if self.subject is None else len(pd.unique(self.subject[self.training]))

    def groups(self, which: np.ndarray) -> np.ndarray | None:
        """Return the subject codes of some rows; -1 for subjects without training rows."""
        if self.subject is None:
            return None
        subjects = pd.Index(pd.factorize(self.subject[self.training], sort=True)[1])
        return subjects.get_indexer(self.subject[which])


def shapes_of(layout: Layout | None) -> dict[str, tuple[int, ...]] | None:
    """Return the names and shapes of the blocks in a row."""
    return None if layout is None else {name: block.shape for name, block in layout.items()}


def _n_last(blocks: Blocks | None, name: str) -> int:
    """Return the number of columns of a block if it is the last one, else 0."""
    return sum(blocks[name]) if blocks and [*blocks][-1] == name else 0


class Answer(nn.Module):
    """A network followed by the conversion of its outputs to predictions."""

    def __init__(self, network: nn.Module, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.answer = network, answer

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the predictions for rows, or for the blocks of sequences."""
        return self.answer(self.network(*inputs))


def _check_weight(sample_weight: Sequence[float] | None, n: int) -> np.ndarray | None:
    """Return the weights as float32, one for each of the n rows."""
    if sample_weight is None:
        return None
    weight = np.asarray(without_gradient(sample_weight), dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight must hold one number for each of the {n} trials, got shape "
            f"{weight.shape}. {SAMPLED}"
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError("sample_weight must be finite and not negative.")
    if not weight.any():
        raise ValueError("sample_weight is zero for all trials: no training trial is left.")
    return weight.astype(np.float32)


def check_callbacks(callbacks: Sequence[Any] | None) -> None:
    """Raise a ValueError if an item is not a skorch callback."""
    for item in callbacks or []:
        callback = item[1] if isinstance(item, tuple | list) and len(item) == 2 else item
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(f"callbacks must be objects of skorch.callbacks, got {item!r}.")


def find_device(name: str) -> str:
    """Return the torch device with this name.

    Parameters
    ----------
    name : str
        A torch device, or "auto".

    Returns
    -------
    str
        Name of the device.

    Raises
    ------
    ValueError
        If the device does not exist.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is not a torch device: {error}") from None
    n_devices = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= n_devices:
        raise ValueError(f"device={name!r}, but torch finds {n_devices} CUDA devices: use 'auto'.")
    return name


def _silent(message: str) -> None:
    """Discard skorch's message on early stopping, if `verbose` is 0."""
