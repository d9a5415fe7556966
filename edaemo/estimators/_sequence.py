"""NetworkSequenceRegressor: a network that predicts a number for each step of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from edaemo._saved import saved
from edaemo._validation import as_copied, name_trial, plain_numbers
from edaemo.estimators._network import Answer, Data, Loss, NetworkEstimator
from edaemo.estimators._regressor import target_scale
from edaemo.metrics import concordance_correlation
from edaemo.networks import declaration_of, inputs_of, takes_blocks
from edaemo.training import (
    Concordance,
    OnSequences,
    RegressorNet,
    Sequences,
    in_memory,
    prediction_of,
    torch_deterministic,
    torch_threads,
)

# Name of the only block if X is not a table.
ONLY = "sequence"


@saved("edaemo.estimators.NetworkSequenceRegressor")
class NetworkSequenceRegressor(NetworkEstimator):
    """A regressor around any torch module that predicts a series for each trial.

    The loss is one minus the concordance correlation of each sequence, or the loss that the module
    declares. Sequences may differ in length: batches are padded. The loss ignores padding and
    steps whose label in y is NaN.

    Parameters
    ----------
    module : type
        Class of a ``torch.nn.Module``. Its constructor takes ``n_outputs``, here 1. It may also
        take ``n_features``, ``blocks`` and ``n_groups``. Its ``forward`` takes one tensor of shape
        (n_trials, n_steps, n_features), or each named block as an argument. If it has an argument
        ``mask``, it also gets a mask of shape (n_trials, n_steps), True where a step is not
        padding. It returns a tensor of shape (n_trials, n_steps) or (n_trials, n_steps, 1), or a
        tuple whose first item is this tensor.
    module_params : dict or None, default=None
        Further arguments of the constructor of `module`.
    columns : list of str or None, default=None
        Columns of the trials table that hold the sequences. Each column is a block. None: the
        columns that the module declares, or else the arguments of its ``forward``.
    recipe : str or None, default=None
        Name of a recipe that the module declares. The recipe sets every training parameter below
        that is None. None: the module's default recipe. A module that declares no recipe is trained
        with AdamW, a learning rate of 0.001, batches of 64 and 50 epochs.
    scale_target : bool, default=True
        Whether the network is trained on standardised targets: y minus its mean, divided by its
        standard deviation, both over all steps of the training trials. Predictions are always in
        the units of y.
    <shared parameters>

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    target_mean_, target_scale_ : float
        Mean and standard deviation of the training trials' steps; 0 and 1 without `scale_target`.
    sizes_ : dict
        Arguments of the network that were set from the data.
    blocks_ : dict
        Name of each block, and a tuple that holds its number of features.
    validation_subjects_ : ndarray
        Subjects of the trials set aside. Empty if no trials are set aside or the subjects are
        unknown.
    n_features_in_ : int
        Number of features of a step, summed over all blocks.

    Notes
    -----
    Trials are predicted one by one, so the prediction for a trial does not depend on the other
    trials.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from edaemo.estimators import NetworkSequenceRegressor
    >>> class Steps(nn.Sequential):
    ...     def __init__(self, n_features, n_outputs):
    ...         super().__init__(nn.Linear(n_features, n_outputs))
    ...     def forward(self, steps):
    ...         return super().forward(steps)
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n_steps, 3)) for n_steps in (5, 8, 6, 9)]
    >>> y = [sequence[:, 0] for sequence in X]
    >>> model = NetworkSequenceRegressor(Steps, max_epochs=2, random_state=0).fit(X, y)
    >>> [len(series) for series in model.predict(X)]
    [5, 8, 6, 9]
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "module": [type],
        "module_params": [dict, None],
        "columns": [list, None],
        "recipe": [str, None],
        "scale_target": ["boolean"],
    }
    target_mean_: float
    target_scale_: float
    state: ClassVar[tuple[str, ...]] = ("target_mean_", "target_scale_", *NetworkEstimator.state)
    answer = "prediction"
    _net_type = RegressorNet
    _task = "sequence-regression"
    _n_outputs = 1
    blocks_: dict[str, tuple[int, ...]]

    def __init__(
        self,
        module: type[nn.Module],
        *,
        module_params: dict[str, Any] | None = None,
        columns: list[str] | None = None,
        recipe: str | None = None,
        scale_target: bool = True,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: type[torch.optim.Optimizer] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        weight_decay: float | None = None,
        gradient_clip: float | None = None,
        callbacks: list[Any] | None = None,
        validation_fraction: float | None = None,
        patience: int = 10,
        device: str = "auto",
        n_threads: int = 1,
        amp: str | None = None,
        compile: bool | str = False,
        deterministic: bool = False,
        random_state: object = None,
        verbose: int = 0,
        checkpoint: str | PathLike[str] | None = None,
    ) -> None:
        self._keep_parameters(locals())

    def predict(self, X: object) -> np.ndarray:
        """Return the prediction for each step of each trial.

        Parameters
        ----------
        X : DataFrame, or sequence of arrays of shape (n_steps, n_features)
            As in `fit`.

        Returns
        -------
        ndarray of object of shape (n_trials,)
            Each an array of shape (n_steps,), float64.
        """
        check_is_fitted(self, "net_")
        sequences = Sequences(_by_block(self.read(X)), device=self.net_.device)
        net = self.net_
        net.module_.eval()
        with (
            torch_threads(self.n_threads),
            torch_deterministic(self.deterministic, net.device),
            in_memory(1),
            torch.inference_mode(),
        ):
            predicted = [
                self._answer(prediction_of(net.infer(sequences.batch(slice(i, i + 1)))).double())
                for i in range(len(sequences))
            ]
        return _objects([series.reshape(-1).cpu().numpy() for series in predicted])

    def score(self, X: object, y: Sequence[np.ndarray]) -> float:
        """Return the concordance correlation over the steps of all trials together.

        Parameters
        ----------
        X : DataFrame
            As in `fit`.
        y : sequence of arrays of shape (n_steps,)
            As in `fit`.

        Returns
        -------
        float
            The concordance correlation coefficient of the steps with a label.
        """
        labels, predicted = np.concatenate([*y]), np.concatenate([*self.predict(X)])
        labelled = ~np.isnan(labels)
        return concordance_correlation(labels[labelled], predicted[labelled])

    def to_module(self) -> nn.Module:
        """Return the fitted network as a torch module from sequences to predictions.

        Returns
        -------
        Module
            Its arguments are the named blocks in order, float32 tensors of shape (n_trials,
            n_steps, n_features). It returns (n_trials, n_steps) in the units of y. It shares the
            weights of the network.
        """
        check_is_fitted(self, "net_")
        return Answer(OnSequences(self.net_.module_, self.net_.feed_), self._answer)

    def example_inputs(self, n: int) -> dict[str, np.ndarray]:
        """Return random inputs of `n` trials for `to_module`, by the names of its arguments."""
        rng = np.random.default_rng(0)
        return {
            name: rng.normal(size=(n, 9 + n, *shape)).astype(np.float32)
            for name, shape in self.blocks_.items()
        }

    def read(self, X: object) -> np.ndarray:
        """Return the named blocks of each trial; X as in `fit`."""
        trials, shapes = self._read_blocks(X)
        if shapes != self.blocks_:
            raise ValueError(
                f"The blocks of X are {shapes}, but {type(self).__name__} was fitted with "
                f"{self.blocks_}: pass the same blocks and features."
            )
        return trials

    def _learn_rows(self, X: object) -> np.ndarray:
        trials, self.blocks_ = self._read_blocks(X)
        self._layout = None
        self.n_features_in_: int = sum(n_features for (n_features,) in self.blocks_.values())
        return trials

    def _read_blocks(self, X: object) -> tuple[np.ndarray, dict[str, tuple[int, ...]]]:
        """Return a dict of blocks for each trial, and the shape of each block."""
        cells = {name: column for name, column in self._find_columns(X).items() if len(column)}
        if not cells:
            raise ValueError("X holds no trials: a minimum of 1 is required.")
        blocks = {
            name: [_read_sequence(X, row, name, cell) for row, cell in enumerate(column)]
            for name, column in cells.items()
        }
        shapes = {name: column[0].shape[1:] for name, column in blocks.items()}
        rows = zip(*blocks.values(), strict=True)
        trials = [dict(zip(blocks, row, strict=True)) for row in rows]
        for row, trial in enumerate(trials):
            for name, block in trial.items():
                if block.shape[1:] != shapes[name]:
                    raise ValueError(
                        f"{name_trial(X, row)}: {name} has {block.shape[1]} features per step, but "
                        f"row 0 has {shapes[name][0]}."
                    )
            lengths = {name: len(block) for name, block in trial.items()}
            if len(set(lengths.values())) > 1:
                raise ValueError(
                    f"{name_trial(X, row)}: the blocks differ in their numbers of steps: {lengths}."
                )
        return _objects(trials), shapes

    def _find_columns(self, X: Any) -> dict[str, Sequence[Any]]:
        """Return the cells of each block, one cell per trial."""
        if not isinstance(X, pd.DataFrame):
            return {ONLY: X}
        declared = declaration_of(self._network)
        names = self.columns or (*(declared.signals or ()), *(declared.features or ()))
        if not names and takes_blocks(self._network):
            names = tuple(inputs_of(self._network))
        if not names:
            raise ValueError(
                f"{type(self).__name__} cannot tell which columns hold the sequences: set "
                f"columns=. The table has {list(X.columns)}."
            )
        missing = [name for name in names if name not in X.columns]
        if missing:
            raise ValueError(
                f"{type(self).__name__} needs column {missing[0]}: the table has {list(X.columns)}."
            )
        return {name: list(X[name]) for name in names}

    def _read_target(self, X: object, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but y is None.")
        lengths = [len(next(iter(trial.values()))) for trial in self._read_blocks(X)[0]]
        if len(y) != len(lengths):
            raise ValueError(f"X holds {len(lengths)} trials, but y holds {len(y)} series.")
        series = []
        for row, cell in enumerate(y):
            values = np.asarray(plain_numbers(cell, f"{name_trial(X, row)}: y", booleans=False))
            labels = values.astype(np.float64)
            if labels.shape != (lengths[row],) or np.isinf(labels).any():
                raise ValueError(
                    f"{name_trial(X, row)}: y must hold a finite number or NaN for each of the "
                    f"{lengths[row]} steps, got an array of shape {labels.shape}."
                )
            if np.isnan(labels).all():
                raise ValueError(
                    f"{name_trial(X, row)}: y is NaN at every step. Remove this trial."
                )
            series.append(labels)
        return _objects(series)

    def _check_training(self, data: Data) -> None:
        if not data.training.any():
            raise ValueError(
                "No training trial is left: all are set aside or have a weight of zero."
            )
        steps = np.array([len(series) for series in data.target])
        labels = np.concatenate([*data.target])
        flat = data._replace(
            target=labels,
            training=np.repeat(data.training, steps) & ~np.isnan(labels),
            weight=None if data.weight is None else np.repeat(data.weight, steps),
        )
        scale = self.scale_target
        self.target_mean_, self.target_scale_ = target_scale(flat) if scale else (0.0, 1.0)

    def _encode(self, data: Data) -> np.ndarray:
        scaled = [(series - self.target_mean_) / self.target_scale_ for series in data.target]
        return _objects([series.astype(np.float32) for series in scaled])

    def _make_loss(self, data: Data | None) -> Loss:
        return Loss(declaration_of(self._network).losses.get(self._task, Concordance), {})

    def _answer(self, predicted: Tensor) -> Tensor:
        return predicted * self.target_scale_ + self.target_mean_

    def _find_layout(self) -> None:
        """Return None: sequences have no columns."""

    def _net_options(self) -> dict[str, Any]:
        return {"dataset": Sequences}

    def _make_dataset(self, data: Data, which: np.ndarray, device: str) -> Sequences:
        return Sequences(
            _by_block(data.rows[which]),
            self._encode(data)[which],
            group=data.groups(which),
            weight=None if data.weight is None else data.weight[which],
            device=device,
        )


def _read_sequence(X: object, row: int, name: str, cell: object) -> np.ndarray:
    """Return one trial's sequence as float32 of shape (n_steps, n_features)."""
    values = np.asarray(plain_numbers(cell, f"{name_trial(X, row)}: {name}", booleans=True))
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name_trial(X, row)}: {name} must have the shape (n_steps, n_features), got "
            f"{values.shape}."
        )
    values = as_copied(values, np.float32)
    if not np.isfinite(values).all():
        step, feature = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"{name_trial(X, row)}: {name} holds NaN or infinity, or numbers too large for "
            f"float32, first at step {step}, feature {feature}. Replace these values, or remove "
            "the trial."
        )
    return values


def _by_block(trials: np.ndarray) -> Mapping[str, list[np.ndarray]]:
    return {name: [trial[name] for trial in trials] for name in trials[0]}


def _objects(values: Sequence[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
