"""NetworkClassifier: a network that predicts classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from edaemo._saved import saved
from edaemo._sklearn import ClassifierMixin
from edaemo._validation import check_labels, whole_or_nothing
from edaemo.estimators._network import Data, Loss, NetworkEstimator
from edaemo.networks import declaration_of
from edaemo.training import ClassifierNet, CrossEntropy, DomainCrossEntropy, Net


@saved("edaemo.estimators.NetworkClassifier")
class NetworkClassifier(ClassifierMixin, NetworkEstimator):
    """A classifier around any torch module, trained with cross-entropy on raw logits.

    Training runs in a skorch net, `net_`. You can choose its optimizer, schedule and callbacks.
    ``docs/models.md`` shows how to declare your own network.

    Parameters
    ----------
    module : type
        Class of a ``torch.nn.Module``. Its constructor takes ``n_outputs``, the number of classes.
        It may also take ``n_features``, ``n_chans``, ``n_times``, ``n_music_features``, ``blocks``
        and ``n_groups``. Its ``forward`` takes one tensor of shape (n_trials, n_columns), or each
        named block as an argument: ``eda`` of shape (n_trials, n_chans, n_times) and ``music`` of
        shape (n_trials, n_music_features). It returns logits of shape (n_trials, n_outputs), or a
        tuple whose first item is the logits.
    module_params : dict or None, default=None
        Further arguments of the constructor of `module`.
    recipe : str or None, default=None
        Name of a recipe that the module declares. The recipe sets every training parameter below
        that is None. None: the module's default recipe. A module that declares no recipe is trained
        with AdamW, a learning rate of 0.001, batches of 64 and 50 epochs.
    <shared parameters>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network. Its
        classes are indices into `classes_`.
    sizes_ : dict
        Arguments of the network that were set from the data.
    blocks_ : dict or None
        Names and shapes of the blocks in a row; None if the network does not use blocks.
    validation_subjects_ : ndarray
        Subjects of the rows set aside. Empty if no rows are set aside or the subjects are unknown.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    Notes
    -----
    On one machine, the probabilities of a trial do not depend on the other trials in the batch, if
    the module treats each trial of a batch separately in evaluation.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from edaemo.estimators import NetworkClassifier
    >>> class Line(nn.Sequential):
    ...     def __init__(self, n_features, n_outputs):
    ...         super().__init__(nn.Linear(n_features, n_outputs))
    ...     def forward(self, rows):
    ...         return super().forward(rows)
    >>> X = np.random.default_rng(0).normal(size=(20, 8))
    >>> model = NetworkClassifier(Line, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "module": [type],
        "module_params": [dict, None],
        "recipe": [str, None],
    }
    classes_: np.ndarray
    net_: Net
    state: ClassVar[tuple[str, ...]] = ("classes_", *NetworkEstimator.state)
    answer = "probability"
    _net_type = ClassifierNet

    def __init__(
        self,
        module: type[nn.Module],
        *,
        module_params: dict[str, Any] | None = None,
        recipe: str | None = None,
        n_chans: int | None = None,
        n_times: int | None = None,
        n_music_features: int | None = None,
        max_epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: type[torch.optim.Optimizer] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        weight_decay: float | None = None,
        class_weight: Mapping[str, Any] | str | None = None,
        label_smoothing: float | None = None,
        gradient_clip: float | None = None,
        augmentation: dict[str, float] | None = None,
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

    def predict_proba(self, X: object) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials, n_classes), float64
            Columns in the order of `classes_`.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or the prediction for a trial is not finite, because its values
            are too large for single precision. The error names the trials.
        """
        return self._predict_rows(X).numpy()

    def predict(self, X: object) -> np.ndarray:
        """Return the most probable class of each trial.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_trials,)
            Labels of the type of `classes_`.

        Raises
        ------
        ValueError
            If X is not as in `fit`, or the prediction for a trial is not finite, because its values
            are too large for single precision. The error names the trials.
        """
        probability = self.predict_proba(X)
        return self.classes_[np.argmax(probability, axis=1)]

    def fine_tune(self, X: object, y: object, *, epochs: int = 1, lr: float | None = None) -> Self:
        """Continue the training of the fitted network on further trials, with all its weights.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            As in `fit`, all of them for training.
        y : array-like of shape (n_trials,)
            Labels; each must be in `classes_`. Not all classes need to occur.
        epochs : int, default=1
            Number of epochs, at least 1. Early stopping is off.
        lr : float or None, default=None
            Learning rate; None: that of the recipe. The state of the optimizer is new.

        Returns
        -------
        self
            The estimator with changed weights.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `epochs` or `lr` is not above 0, a label is unknown, X is not as in `fit`, or the
            loss reads the subjects. After an error, the estimator is unchanged.
        """
        check_is_fitted(self, "net_")
        if epochs < 1 or (lr is not None and not 0 < lr < np.inf):
            raise ValueError(f"epochs={epochs} and lr={lr} must be above 0.")
        if self._reads_subjects:
            raise ValueError("A network whose loss reads the subjects cannot be fine-tuned.")
        rows, labels = self.read(X), check_labels(self, X, y)
        codes = pd.Index(self.classes_).get_indexer(pd.Index(labels))
        if (codes < 0).any():
            strange = labels[codes < 0].tolist()[0]
            raise ValueError(
                f"The label {strange!r} was not in fit, only {self.classes_.tolist()}: remove its "
                "trials, or fit again."
            )
        every = np.ones(len(rows), dtype=bool)
        data = Data(rows, codes, None, every, ~every, None)
        with whole_or_nothing(self):
            self.net_ = self._continue(data, epochs, lr)
        return self

    def _answer(self, predicted: Tensor) -> Tensor:
        return torch.softmax(predicted, dim=1)

    @property
    def _task(self) -> str:
        return "binary" if len(self.classes_) == 2 else "multiclass"

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _net_options(self) -> dict[str, Any]:
        return super()._net_options() | {"classes": np.arange(len(self.classes_))}

    def _read_target(self, X: object, y: object) -> np.ndarray:
        self.classes_, codes = np.unique(check_labels(self, X, y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes; y holds one class only: "
                f"{self.classes_[0]}."
            )
        return codes

    def _check_training(self, data: Data) -> None:
        lost = np.setdiff1d(data.target, data.target[data.training])
        if len(lost):
            raise ValueError(
                f"No training trial of class {self.classes_[lost[0]]} is left: all its trials are "
                "set aside for validation or have a weight of zero. Set fewer trials aside, or "
                "pass more trials."
            )

    def _encode(self, data: Data) -> np.ndarray:
        return data.target

    def _make_loss(self, data: Data | None) -> Loss:
        recipe = self._recipe()
        weight = None
        if recipe.class_weight is not None and data is not None:
            share = None if data.weight is None else data.weight[data.training]
            weigh = compute_class_weight(
                recipe.class_weight,
                classes=self.classes_,
                y=self.classes_[data.target[data.training]],
                sample_weight=share,
            )
            for label, value in zip(self.classes_, weigh, strict=True):
                if not 0 < value < np.inf:
                    raise ValueError(
                        f"class_weight has {value!r:.40} for class {label!r:.40}: it must be a "
                        "positive finite number. To leave a class out, leave out its trials."
                    )
            weight = torch.as_tensor(weigh, dtype=torch.float32)
        default = DomainCrossEntropy if getattr(self, "domain_loss", False) else CrossEntropy
        kind = declaration_of(self._network).losses.get(self._task, default)
        arguments = {"weight": weight, "label_smoothing": recipe.label_smoothing}
        taken = inspect.signature(kind).parameters
        for name, requested in {
            "weight": weight is not None,
            "label_smoothing": recipe.label_smoothing > 0,
        }.items():
            if requested and name not in taken:
                raise ValueError(
                    f"The loss of {self._network.__name__}, {kind.__name__}, has no argument "
                    f"{name}: leave {name} None."
                )
        return Loss(kind, {name: value for name, value in arguments.items() if name in taken})
