"""NetworkSequenceRegressor: a network that predicts a number for each step of a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from edaemo._saved import saved
from edaemo._validation import as_copied, check_predicted, name_trial, plain_numbers
from edaemo.estimators._network import Answer, Data, Loss, NetworkEstimator
from edaemo.estimators._regressor import target_scale
from edaemo.metrics import series_concordance
from edaemo.networks import declaration_of, inputs_of, takes_blocks
from edaemo.training import (
    Checkpoint,
    Concordance,
    Net,
    OnSequences,
    RegressorNet,
    Sequences,
    StepError,
    drop_single_target,
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

    Sequences may differ in length: batches are padded. The loss ignores padding and steps whose
    label in y is NaN. Each trial of y has the shape (n_steps,), or (n_steps, n_targets) to train
    one network on several targets, such as valence and arousal.

    Parameters
    ----------
    module : type
        Class of a ``torch.nn.Module``. Its constructor takes ``n_outputs``, the number of targets.
        It may also take ``n_features``, ``blocks`` and ``n_groups``. Its ``forward`` takes one
        tensor of shape (n_trials, n_steps, n_features), or each named block as an argument. If it
        has an argument ``mask``, it also gets a mask of shape (n_trials, n_steps), True where a
        step is not padding. It returns a tensor of shape (n_trials, n_steps) or (n_trials, n_steps,
        n_outputs), or a tuple whose first item is this tensor.
    module_params : dict or None, default=None
        Further arguments of the constructor of `module`.
    recipe : str or None, default=None
        Name of a recipe that the module declares. The recipe sets every training parameter below
        that is None. None: the module's default recipe. A module that declares no recipe is trained
        with AdamW, a learning rate of 0.001, batches of 64 and 50 epochs.
    <shared parameters>

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    n_targets_ : int or None
        Number of targets of a step. None if each trial of y has the shape (n_steps,).
    target_mean_, target_scale_ : float or ndarray of shape (n_targets,)
        Mean and standard deviation of the training trials' steps; 0 and 1 without `scale_target`.
    block_means_, block_scales_ : dict
        Mean and standard deviation of each feature, by block. Empty without `standardize`.
    seed_losses_ : ndarray of shape (n_seeds,)
        The lowest validation loss of the network of each seed. Empty if no trials are set aside.
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
        "recipe": [str, None],
    }
    target_mean_: float | np.ndarray
    target_scale_: float | np.ndarray
    block_means_: dict[str, np.ndarray]
    block_scales_: dict[str, np.ndarray]
    seed_losses_: np.ndarray
    # Files of models with one target do not hold it.
    n_targets_: int | None = None
    state: ClassVar[tuple[str, ...]] = (
        "target_mean_",
        "target_scale_",
        "block_means_",
        "block_scales_",
        "seed_losses_",
        "n_targets_",
        *NetworkEstimator.state,
    )
    answer = "prediction"
    _net_type = RegressorNet
    _task = "sequence-regression"
    blocks_: dict[str, tuple[int, ...]]

    def __init__(
        self,
        module: type[nn.Module],
        *,
        module_params: dict[str, Any] | None = None,
        recipe: str | None = None,
        columns: list[str] | None = None,
        segment: str | None = None,
        standardize: bool = False,
        scale_target: bool = True,
        loss: str | None = None,
        smoothing: int = 1,
        window: int | None = None,
        hop: int | None = None,
        max_steps: int | None = None,
        n_seeds: int = 1,
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

    @property
    def _n_outputs(self) -> int:
        return self.n_targets_ or 1

    def predict(self, X: object) -> np.ndarray:
        """Return the prediction for each step of each trial.

        Parameters
        ----------
        X : DataFrame, or sequence of arrays of shape (n_steps, n_features)
            As in `fit`.

        Returns
        -------
        ndarray of object of shape (n_trials,)
            Each an array of shape (n_steps,) or (n_steps, n_targets), float64.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or the prediction for a trial is not finite, because its values
            are too large for single precision. The error names the trials.
        """
        check_is_fitted(self, "net_")
        trials = self._read_fitted(X)
        with self._predicting():
            predicted = [self._predict_trial(trial) for trial in trials]
        check_predicted(X, np.array([np.isfinite(series).all() for series in predicted]))
        return _objects(predicted)

    @contextmanager
    def _predicting(self) -> Iterator[None]:
        net = self.net_
        net.module_.eval()
        with (
            torch_threads(self.n_threads),
            torch_deterministic(self.deterministic, net.device),
            in_memory(1),
            torch.inference_mode(),
        ):
            yield

    def _predict_trial(self, trial: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the prediction for a trial: as a whole, or the mean of overlapping windows."""
        n_steps = len(next(iter(trial.values())))
        length = n_steps if self.max_steps is None else int(self.max_steps)
        windows = [
            (start, self._predict_steps({k: part[start:stop] for k, part in trial.items()}))
            for start, stop in cut_windows(n_steps, length, max(1, length // 2))
        ]
        total = np.zeros((n_steps, *windows[0][1].shape[1:]))
        count = np.zeros((n_steps, *[1] * (total.ndim - 1)))
        for start, predicted in windows:
            total[start : start + len(predicted)] += predicted
            count[start : start + len(predicted)] += 1
        return total / count

    def _predict_steps(self, trial: Mapping[str, np.ndarray]) -> np.ndarray:
        batch = Sequences(
            {name: [part] for name, part in trial.items()},
            scales=self._scales(),
            device=self.net_.device,
        ).batch(slice(0, 1))
        return self._in_units(prediction_of(self.net_.infer(batch)))

    def _in_units(self, predicted: Tensor) -> np.ndarray:
        """Return the prediction for one trial in the units of y."""
        return self._answer(drop_single_target(predicted).double())[0].cpu().numpy()

    def predict_stream(self, chunk: object, state: Any = None) -> tuple[np.ndarray, Any]:
        """Return the prediction for the next steps of one trial, and the state after them.

        The predictions of all chunks, one after another, are those of `predict` for the whole
        trial. The network must have a method ``advance``, as MuSeLSTM with one direction and
        without attention.

        Parameters
        ----------
        chunk : DataFrame of one row, or sequence of one array of shape (n_steps, n_features)
            The next steps, as a trial in `predict`.
        state : object, default=None
            The state that the call for the chunk before returned. None: the trial begins.

        Returns
        -------
        predicted : ndarray of shape (n_steps,) or (n_steps, n_targets)
            The predictions, float64.
        state : object
            The state after the last step.

        Raises
        ------
        ValueError
            If `chunk` does not hold exactly one trial, or if the network needs later steps for a
            prediction.

        Examples
        --------
        >>> import numpy as np
        >>> from edaemo.estimators import MuSeLSTMRegressor
        >>> trial = np.random.default_rng(0).normal(size=(50, 3))
        >>> model = MuSeLSTMRegressor(attention=False, bidirectional=False, max_epochs=1)
        >>> model = model.fit([trial, trial], [trial[:, 0]] * 2)
        >>> first, state = model.predict_stream([trial[:20]])
        >>> rest, state = model.predict_stream([trial[20:]], state)
        >>> np.allclose(np.r_[first, rest], model.predict([trial])[0])
        True
        """
        check_is_fitted(self, "net_")
        trials = self.read(chunk)
        if len(trials) != 1:
            raise ValueError(f"chunk must hold the steps of one trial, got {len(trials)} trials.")
        network = self.net_.module_
        if not hasattr(network, "advance"):
            raise ValueError(
                f"{type(network).__name__} cannot predict a stream, because it has no method "
                "advance: use predict on the whole trial."
            )
        device = self.net_.device
        blocks = [torch.as_tensor(block, device=device)[None] for block in trials[0].values()]
        with self._predicting(), self.net_.precision():
            predicted, state = network.advance(torch.cat(blocks, dim=-1), state)
        series = self._in_units(predicted.float())
        check_predicted(chunk, np.array([np.isfinite(series).all()]))
        return series, state

    def score(
        self,
        X: object,
        y: Sequence[np.ndarray],
        sample_weight: Sequence[float] | None = None,
    ) -> float:
        """Return the concordance correlation over the steps of all trials together.

        Parameters
        ----------
        X : DataFrame
            As in `fit`.
        y : sequence of arrays of shape (n_steps,) or (n_steps, n_targets)
            As in `fit`.
        sample_weight : array-like of shape (n_trials,) or None, default=None
            Weight of each trial. Each of its steps has this weight.

        Returns
        -------
        float
            The concordance correlation coefficient of the steps with a label; with several targets,
            the mean over the targets.
        """
        return series_concordance(y, self.predict(X), sample_weight=sample_weight)

    def to_module(self) -> nn.Module:
        """Return the fitted network as a torch module from sequences to predictions.

        Returns
        -------
        Module
            Its arguments are the named blocks in order, float32 tensors of shape (n_trials,
            n_steps, n_features), before they are standardised. It returns (n_trials, n_steps) or
            (n_trials, n_steps, n_targets) in the units of y. It shares the weights of the network.
        """
        check_is_fitted(self, "net_")
        network: nn.Module = OnSequences(self.net_.module_, self.net_.feed_)
        if self.standardize:
            network = _Standardized(
                network, self.block_means_, self.block_scales_, self.net_.device
            )
        return Answer(network, self._answer)

    def example_inputs(self, n: int) -> dict[str, np.ndarray]:
        """Return random inputs of `n` trials for `to_module`, by the names of its arguments."""
        rng = np.random.default_rng(0)
        return {
            name: rng.normal(size=(n, 9 + n, *shape)).astype(np.float32)
            for name, shape in self.blocks_.items()
        }

    def read(self, X: object) -> np.ndarray:
        """Return the named blocks of each trial, standardised if `standardize`; X as in `fit`."""
        trials = self._read_fitted(X)
        for trial in trials:
            for name, (mean, scale) in self._scales().items():
                trial[name] = (trial[name] - mean) / scale
        return trials

    def _read_fitted(self, X: object) -> np.ndarray:
        """Return the named blocks of each trial, not standardised, and check their shapes."""
        trials, shapes = self._read_blocks(X)
        if shapes != self.blocks_:
            raise ValueError(
                f"The blocks of X are {shapes}, but {type(self).__name__} was fitted with "
                f"{self.blocks_}: pass the same blocks and features."
            )
        return trials

    def _scales(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return mean and standard deviation of each block; empty without `standardize`."""
        if not self.standardize:
            return {}
        return {name: (mean, self.block_scales_[name]) for name, mean in self.block_means_.items()}

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
            if self.segment is not None:
                raise ValueError(f"segment={self.segment!r} names a column: pass a trials table.")
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
        needed = names if self.segment is None else [*names, self.segment]
        missing = [name for name in needed if name not in X.columns]
        if missing:
            raise ValueError(
                f"{type(self).__name__} needs column {missing[0]}: the table has {list(X.columns)}."
            )
        cells: dict[str, Sequence[Any]] = {name: list(X[name]) for name in names}
        if self.segment is not None:
            cells[self.segment] = [_as_feature(cell) for cell in X[self.segment]]
        return cells

    def _read_target(self, X: object, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but y is None.")
        lengths = [len(cell) for cell in next(iter(self._find_columns(X).values()))]
        if len(y) != len(lengths):
            raise ValueError(f"X holds {len(lengths)} trials, but y holds {len(y)} series.")
        series = [self._read_series(X, row, cell, lengths[row]) for row, cell in enumerate(y)]
        shapes = [labels.shape[1:] for labels in series]
        if differs := next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None):
            raise ValueError(
                f"{name_trial(X, differs)}: y has the shape {series[differs].shape}, but row 0 has "
                f"{series[0].shape}: all trials must have the same number of targets."
            )
        self.n_targets_ = shapes[0][0] if shapes[0] else None
        return _objects(series)

    def _read_series(self, X: object, row: int, cell: object, n_steps: int) -> np.ndarray:
        """Return the labels of one trial, shape (n_steps,) or (n_steps, n_targets)."""
        values = np.asarray(plain_numbers(cell, f"{name_trial(X, row)}: y", booleans=False))
        labels = values.astype(np.float64)
        shape = (n_steps, *labels.shape[1:2])
        if labels.shape != shape or not labels.size or np.isinf(labels).any():
            raise ValueError(
                f"{name_trial(X, row)}: y must hold a finite number or NaN for each of the "
                f"{n_steps} steps, got an array of shape {labels.shape}."
            )
        if np.isnan(labels).all():
            raise ValueError(f"{name_trial(X, row)}: y is NaN at every step. Remove this trial.")
        return labels

    def _check_training(self, data: Data) -> None:
        if not data.training.any():
            raise ValueError(
                "No training trial is left: all are set aside or have a weight of zero."
            )
        self.target_mean_, self.target_scale_ = 0.0, 1.0
        if self.scale_target:
            self.target_mean_, self.target_scale_ = self._scale_of_target(data)
        self.block_means_, self.block_scales_ = {}, {}
        if self.standardize:
            for name in self.blocks_:
                steps = [trial[name] for trial in data.rows[data.training]]
                mean, spread = _mean_and_spread(steps)
                self.block_means_[name] = mean.astype(np.float32)
                self.block_scales_[name] = np.where(spread > 0, spread, 1).astype(np.float32)
        if self.window is None and self.hop is not None:
            raise ValueError(f"hop={self.hop} requires window, which is None.")
        if self.window is not None and self.hop is not None and self.hop > self.window:
            raise ValueError(
                f"hop={self.hop} is above window={self.window}: steps between two windows would "
                "not be used."
            )
        if self.smoothing % 2 == 0:
            raise ValueError(f"smoothing must be an odd number of steps, got {self.smoothing}.")
        if self.n_seeds > 1 and not data.aside.any():
            raise ValueError(
                f"n_seeds={self.n_seeds} keeps the network with the lowest validation loss, but no "
                "trials are set aside: set validation_fraction, or pass validation to fit."
            )

    def _scale_of_target(self, data: Data) -> tuple[Any, Any]:
        """Return mean and standard deviation of the labels; arrays for several targets."""
        steps = np.array([len(series) for series in data.target])
        labels = np.concatenate([*data.target])
        training = np.repeat(data.training, steps)
        weight = None if data.weight is None else np.repeat(data.weight, steps)
        scales = []
        for target in labels.reshape(len(labels), -1).T:
            known = training & ~np.isnan(target)
            if not known.any():
                raise ValueError("A target has no label in any training trial. Remove this target.")
            scales.append(target_scale(data._replace(target=target, training=known, weight=weight)))
        if self.n_targets_ is None:
            return scales[0]
        means, spreads = np.array(scales).T
        return means, spreads

    def _train(self, data: Data, device: str, seed: int, checkpoint: Checkpoint | None) -> Net:
        """Return the net with the lowest validation loss of those of all seeds."""
        nets, others = [], []
        for place in range(self.n_seeds):
            part = checkpoint
            if checkpoint is not None and place:
                part = Checkpoint(checkpoint.path.with_name(f"{checkpoint.path.name}.{place}"))
                others.append(part)
            nets.append(super()._train(data, device, seed + place, part))
        for other in others:
            other.finish()
        losses = [min(net.history[:, "valid_loss"]) for net in nets] if data.aside.any() else []
        self.seed_losses_ = np.array(losses)
        return nets[int(np.argmin(losses)) if losses else 0]

    def _encode(self, data: Data) -> np.ndarray:
        scaled = [(series - self.target_mean_) / self.target_scale_ for series in data.target]
        return _objects([series.astype(np.float32) for series in scaled])

    def _make_loss(self, data: Data | None) -> Loss:
        if self.loss is not None:
            return _LOSSES[self.loss]
        return Loss(declaration_of(self._network).losses.get(self._task, Concordance), {})

    def _answer(self, predicted: Tensor) -> Tensor:
        scale, mean = (
            torch.as_tensor(value, dtype=predicted.dtype, device=predicted.device)
            for value in (self.target_scale_, self.target_mean_)
        )
        return predicted * scale + mean

    def _find_layout(self) -> None:
        """Return None: sequences have no columns."""

    def _net_options(self) -> dict[str, Any]:
        return {"dataset": Sequences}

    def _make_dataset(self, data: Data, which: np.ndarray, device: str) -> Sequences:
        trials, target = data.rows[which], self._encode(data)[which]
        source = np.arange(len(trials))
        if which is data.training:
            target = _objects([_smoothed(series, int(self.smoothing)) for series in target])
            if self.window is not None:
                trials, target, source = self._cut(trials, target)
        group, weight = data.groups(which), data.weight
        return Sequences(
            _by_block(trials),
            target,
            group=None if group is None else group[source],
            weight=None if weight is None else weight[which][source],
            scales=self._scales(),
            device=device,
        )

    def _cut(
        self, trials: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the windows of all trials that hold a label, and the index of their trials."""
        hop = max(1, self.window // 2) if self.hop is None else self.hop
        windows = [
            (row, slice(start, stop))
            for row, series in enumerate(target)
            for start, stop in cut_windows(len(series), int(self.window), int(hop))
            if not np.isnan(series[start:stop]).all()
        ]
        parts = [
            {name: block[steps] for name, block in trials[row].items()} for row, steps in windows
        ]
        labels = [target[row][steps] for row, steps in windows]
        return _objects(parts), _objects(labels), np.array([row for row, _ in windows])


_LOSSES = {
    "ccc": Loss(Concordance, {}),
    "ccc-concatenated": Loss(Concordance, {"per_sequence": False}),
    "mse": Loss(StepError, {"power": 2}),
    "l1": Loss(StepError, {"power": 1}),
}


class _Standardized(nn.Module):
    """Standardise the features of the blocks before a network."""

    def __init__(
        self,
        network: nn.Module,
        means: Mapping[str, np.ndarray],
        scales: Mapping[str, np.ndarray],
        device: str,
    ) -> None:
        super().__init__()
        self.network = network
        for place, name in enumerate(means):
            self.register_buffer(f"mean_{place}", torch.tensor(means[name], device=device))
            self.register_buffer(f"scale_{place}", torch.tensor(scales[name], device=device))

    def forward(self, *blocks: Tensor) -> Tensor:
        """Return the output of the network for standardised blocks."""
        scaled = [
            (block - getattr(self, f"mean_{place}")) / getattr(self, f"scale_{place}")
            for place, block in enumerate(blocks)
        ]
        return self.network(*scaled)


def _mean_and_spread(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature over all steps, without joining them."""
    n_steps = sum(map(len, sequences))
    mean = np.sum([steps.sum(axis=0, dtype=np.float64) for steps in sequences], axis=0) / n_steps
    squares = np.sum([np.square(steps - mean).sum(axis=0) for steps in sequences], axis=0)
    return mean, np.sqrt(squares / n_steps)


def cut_windows(n_steps: int, length: int, hop: int) -> list[tuple[int, int]]:
    """Return start and stop of each window; the last one ends with the sequence."""
    last = max(0, -(-(n_steps - length) // hop)) * hop
    return [(start, min(start + length, n_steps)) for start in range(0, last + 1, hop)]


def _smoothed(series: np.ndarray, n_steps: int) -> np.ndarray:
    """Return the centred moving average of the labels; steps without a label are left out."""
    if n_steps == 1:
        return series
    width = [(n_steps // 2, n_steps // 2)] + [(0, 0)] * (series.ndim - 1)
    padded = np.pad(series, width, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, n_steps, axis=0)
    known = ~np.isnan(around)
    total = np.where(known, around, 0).sum(axis=-1)
    mean = total / np.maximum(known.sum(axis=-1), 1)
    return np.where(np.isnan(series), np.nan, mean).astype(np.float32)


def _as_feature(cell: object) -> np.ndarray:
    """Return a number for each step as one feature, shape (n_steps, 1)."""
    values = np.asarray(cell)
    return values[:, None] if values.ndim == 1 else values


def _read_sequence(X: object, row: int, name: str, cell: object) -> np.ndarray:
    """Return one trial's sequence as float32 of shape (n_steps, n_features)."""
    values = np.asarray(plain_numbers(cell, f"{name_trial(X, row)}: {name}", booleans=True))
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name_trial(X, row)}: {name} must have the shape (n_steps, n_features), got "
            f"{values.shape}. edaemo.fusion.StepAligner computes the features of each step of a "
            "signal."
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
