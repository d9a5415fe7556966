"""RTCANClassifier: the RTCAN-1D network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.helper import predefined_split

from edaemo._validation import is_trials_table, signal_cells, subject_ids, whole_or_nothing
from edaemo.estimators._training import Batches, Trials, torch_seed, torch_threads, train
from edaemo.fusion._layout import Layout, agree, infer_layout, read_layout
from edaemo.networks import RTCAN

# Every forward pass of a prediction has this many rows, zeros filled in: torch chooses its kernels
# by shape, and with one shape a trial's answer is the same to the last bit in whatever batch it
# comes. Smaller answers a single trial sooner, larger is no faster on long signals.
PREDICTED_TOGETHER = 8


class RTCANClassifier(ClassifierMixin, BaseEstimator):
    """RTCAN-1D on EDA, or on EDA and music: attention over time and channels, residual trunk.

    The network of [1]_, trained with cross-entropy on raw logits; see
    :class:`edaemo.networks.RTCAN` for its layers and for what the paper leaves open. Training runs
    in a skorch net, `net_`, whose optimizer, schedule and callbacks are yours to choose.

    Parameters
    ----------
    n_chans, n_times, n_music_features : int or None, default=None
        How one row divides: ``n_chans`` EDA channels of ``n_times`` samples, one after the other,
        then the music features. A DataFrame as :class:`edaemo.MusicFeatureUnion` makes says it by
        its column names, and a parameter that says otherwise is an error. For a bare array one of
        them may be left out and is worked out from the others; without `n_times` and
        `n_music_features` there is no music.
    channels : sequence of 4 int, default=(64, 64, 64, 64)
        Filters of the four stages of the residual trunk.
    n_clips : int, default=3
        Parts of the signal that attention looks at one by one.
    reduction : int, default=8
        Reduction of the channel attention's hidden layers.
    max_epochs : int, default=50
        Passes over the training trials.
    batch_size : int, default=64
        Trials in a training step, at least 2.
    lr : float, default=1e-3
        Learning rate.
    optimizer : type, default=torch.optim.AdamW
        A torch optimizer's class.
    optimizer_params : dict or None, default=None
        Further arguments of the optimizer, such as ``{"weight_decay": 0.01}``.
    lr_scheduler : skorch.callbacks.LRScheduler or None, default=None
        The learning rate's schedule; a copy of it is used.
    callbacks : list of skorch.callbacks.Callback or None, default=None
        Copies of them are called during training.
    validation_fraction : float or None, default=None
        Share of the people in the training data that is set aside, whole people each, to stop
        early: training ends when their loss has not improved for `patience` epochs, and the best
        epoch's weights are kept. Needs subjects. None trains on everybody for `max_epochs`.
    patience : int, default=10
        Epochs without improvement before training stops; only with `validation_fraction`.
    device : str, default="auto"
        A torch device; "auto" is CUDA where there is one, else the CPU.
    n_threads : int, default=1
        torch threads while fitting and predicting. More of them change results in the last digits
        and are far slower on busy cores.
    random_state : int, RandomState instance or None, default=None
        Seeds the initial weights, the order of the batches and the people set aside. torch's
        generators outside the fit are left as they were.
    verbose : int, default=0
        Above 0, skorch prints a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNet
        The trained net; ``net_.history`` holds the losses, ``net_.module_`` the network.
    validation_subjects_ : ndarray
        The people set aside; empty without `validation_fraction`.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in `fit`, where they were strings.

    Notes
    -----
    On one machine a trial gets the same probabilities in whatever batch it comes.

    References
    ----------
    .. [1] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo import RTCANClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> model = RTCANClassifier(n_chans=3, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    __metadata_request__fit = {"subject": True}  # noqa: RUF012

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_chans": [Interval(Integral, 1, None, closed="left"), None],
        "n_times": [Interval(Integral, 1, None, closed="left"), None],
        "n_music_features": [Interval(Integral, 0, None, closed="left"), None],
        "channels": ["array-like"],
        "n_clips": [Interval(Integral, 1, None, closed="left")],
        "reduction": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [callable],
        "optimizer_params": [dict, None],
        "lr_scheduler": "no_validation",
        "callbacks": [list, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        n_chans: int | None = None,
        n_times: int | None = None,
        n_music_features: int | None = None,
        channels: Sequence[int] = (64, 64, 64, 64),
        n_clips: int = 3,
        reduction: int = 8,
        max_epochs: int = 50,
        batch_size: int = 64,
        lr: float = 1e-3,
        optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW,
        optimizer_params: dict[str, Any] | None = None,
        lr_scheduler: object = None,
        callbacks: list | None = None,
        validation_fraction: float | None = None,
        patience: int = 10,
        device: str = "auto",
        n_threads: int = 1,
        random_state: object = None,
        verbose: int = 0,
    ) -> None:
        self.n_chans = n_chans
        self.n_times = n_times
        self.n_music_features = n_music_features
        self.channels = channels
        self.n_clips = n_clips
        self.reduction = reduction
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.lr_scheduler = lr_scheduler
        self.callbacks = callbacks
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object, y: object, subject: Sequence | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array of shape (n_trials, n_columns)
            Rows of finite numbers, ``[EDA channel 0 | channel 1 | … | music]``; used as float32.
        y : array-like of shape (n_trials,)
            Class labels of any type.
        subject : array-like of shape (n_trials,) or None, default=None
            Whose trial each row is; needed with `validation_fraction`, unless X is a frame whose
            index has a level ``subject``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the columns do not divide as said, there is one class only, lengths differ, values
            are NaN or infinite, or subjects are needed and absent. The estimator then stays as
            it was, also when training is interrupted.
        """
        with whole_or_nothing(self):
            _refuse_trials_table(X)
            rows, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
            check_classification_targets(y)
            layout = self._layout(X)
            subject = subject_ids(
                X,
                subject,
                n=len(rows),
                needed_by="validation_fraction" if self.validation_fraction else None,
            )
            self.classes_, codes = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"RTCANClassifier needs at least two classes; y holds one class only: "
                    f"{self.classes_[0]}."
                )
            seed = int(check_random_state(self.random_state).randint(2**31))
            training, validation = self._set_aside(subject, codes, seed)
            self.validation_subjects_ = (
                np.unique(subject[validation]) if len(validation) else (np.array([]))
            )
            device = self.device
            if device == "auto":
                device = "cuda" if torch.cuda.is_available() else "cpu"
            with torch_threads(self.n_threads), torch_seed(seed, device):
                held_out = Trials(rows[validation], codes[validation]) if len(validation) else None
                net = self._make_net(layout, device, held_out)
                train(net, rows[training], codes[training])
                net.train_split = None  # or the net would carry the validation trials along
            self.net_ = net
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
        _refuse_trials_table(X)
        rows = validate_data(self, X, dtype=np.float32, reset=False)
        n = len(rows)
        padded = np.zeros((-(-n // PREDICTED_TOGETHER) * PREDICTED_TOGETHER, rows.shape[1]), "f4")
        padded[:n] = rows
        with torch_threads(self.n_threads):
            logits = self.net_.forward(padded, training=False)[:n]
        return torch.softmax(logits.double(), dim=1).numpy()

    def predict(self, X: object) -> np.ndarray:
        """Give the most probable class of each trial, shape (n_trials,); X as in `fit`."""
        probability = self.predict_proba(X)
        return self.classes_[np.argmax(probability, axis=1)]

    def _layout(self, X: object) -> Layout:
        names = getattr(self, "feature_names_in_", None) if isinstance(X, pd.DataFrame) else None
        layout = None if names is None else read_layout(names)
        said = (self.n_chans, self.n_times, self.n_music_features)
        if layout is None:
            return infer_layout(self.n_features_in_, *said)
        agree(layout, n_chans=said[0], n_times=said[1], n_music_features=said[2])
        if layout.n_chans == 0:
            raise ValueError(
                "RTCANClassifier needs EDA, and the columns hold music alone: use an SVM on music "
                "(edaemo.benchmark.make_svm_baseline)."
            )
        return layout

    def _set_aside(
        self, subject: np.ndarray | None, codes: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Divide the rows into training rows and those of the people set aside."""
        everything = np.arange(len(codes))
        if self.validation_fraction is None:
            return everything, everything[:0]
        if len(np.unique(subject)) < 2:
            raise ValueError(
                "validation_fraction sets whole people aside, and there is one person only: "
                "leave it None, or give trials of more people."
            )
        split = GroupShuffleSplit(1, test_size=self.validation_fraction, random_state=seed)
        training, validation = next(split.split(everything, groups=subject))
        lost = np.setdiff1d(np.unique(codes), np.unique(codes[training]))
        if len(lost):
            raise ValueError(
                f"Setting people aside leaves no training trial of class {self.classes_[lost[0]]}"
                ": lower validation_fraction, or give trials of more people."
            )
        return training, validation

    def _make_net(self, layout: Layout, device: str, validation: Trials | None) -> NeuralNet:
        callbacks = [clone(callback, safe=False) for callback in self.callbacks or []]
        if self.lr_scheduler is not None:
            callbacks.append(clone(self.lr_scheduler, safe=False))
        if validation is not None:
            sink = print if self.verbose else _silent
            callbacks.append(EarlyStopping(patience=self.patience, load_best=True, sink=sink))
        optimizer = {f"optimizer__{k}": v for k, v in (self.optimizer_params or {}).items()}
        return NeuralNet(
            RTCAN,
            module__n_chans=layout.n_chans,
            module__n_times=layout.n_times,
            module__n_music_features=layout.n_music_features,
            module__n_outputs=len(self.classes_),
            module__channels=tuple(self.channels),
            module__n_clips=self.n_clips,
            module__reduction=self.reduction,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=self.optimizer,
            lr=self.lr,
            **optimizer,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            dataset=Trials,
            iterator_train=Batches,
            iterator_train__shuffle=True,
            iterator_valid=Batches,
            iterator_valid__batch_size=PREDICTED_TOGETHER,
            train_split=None if validation is None else predefined_split(validation),
            callbacks=callbacks,
            device=device,
            verbose=self.verbose,
        )


def _silent(message: str) -> None:
    """Take skorch's remark on early stopping where `verbose` is 0."""


def _refuse_trials_table(X: object) -> None:
    if is_trials_table(X) or signal_cells(X) is not None:
        raise ValueError(
            "RTCANClassifier takes rows of numbers: put MusicFeatureUnion(eda=CvxEDATransformer(…))"
            " before it in a Pipeline."
        )
