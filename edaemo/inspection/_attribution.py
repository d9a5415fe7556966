"""What a network looked at: Grad-CAM, guided back-propagation, integrated gradients."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from edaemo._layout import EDA
from edaemo._validation import suggest
from edaemo.estimators import NetworkEstimator, NetworkSequenceRegressor
from edaemo.networks import Layer, declaration_of
from edaemo.training import OnRows, OnSequences, torch_threads

# The one "channel" of a network on features, which has no time axis.
FEATURES = ("features",)


@dataclass(frozen=True)
class Attribution:
    """What was given to a network, and how much each number of it weighs.

    Attributes
    ----------
    signals : ndarray of shape (n_trials, n_chans, n_times), float32
        The EDA as the network got it, z-scored after :class:`edaemo.CvxEDATransformer`. For the
        3-layer CNN one "channel", whose "samples" are the features in the order of the columns.
    weights : ndarray of shape (n_trials, n_chans, n_times), float32
        What the function that made it says: of either sign.
    channels : tuple of str
        Names of the channels, ``("original", "phasic", "tonic")`` for instance; ``"channel 0"`` and
        so on for a bare array; ``("features",)`` for the 3-layer CNN.
    target : ndarray of shape (n_trials,)
        The class, one of the estimator's labels, that was explained in each trial; None for the
        prediction of a regressor.
    """

    signals: np.ndarray
    weights: np.ndarray
    channels: tuple[str, ...]
    target: np.ndarray


@dataclass(frozen=True)
class GradCAM(Attribution):
    """Grad-CAM of a layer, and its way back to the channels; see :func:`grad_cam`.

    Attributes
    ----------
    signals, weights, channels, target
        As in :class:`Attribution`; the weights are those of guided back-propagation.
    layer : str
    cam : ndarray of shape (n_trials, n_times), float32
        The Grad-CAM map, at least 0.
    """

    layer: str
    cam: np.ndarray


@dataclass(frozen=True)
class IntegratedGradients(Attribution):
    """Shares of a logit; see :func:`integrated_gradients`.

    Attributes
    ----------
    signals, weights, channels, target
        As in :class:`Attribution`.
    music : ndarray of shape (n_trials, n_music_features), float32
        The weights of the music features.
    deviation : ndarray of shape (n_trials,), float32
        Sum of all weights of a trial, minus the difference of its logit from the baseline's. The
        integral is exact where it is 0.
    """

    music: np.ndarray
    deviation: np.ndarray


class _Asked(NamedTuple):
    """A question to a network: its copy, rows, and the place of the class in each row's logits."""

    estimator: NetworkEstimator
    network: OnRows
    rows: np.ndarray
    codes: np.ndarray


def grad_cam(
    estimator: BaseEstimator, X: object, *, layer: str = "attention", target: object = None
) -> GradCAM:
    """Show what a layer of a network found for a class, over time and in each input channel.

    Two things about one layer, both by captum, each trial by itself:

    - ``cam``, 1-D Grad-CAM [1]_: with A_k(t) the layer's output for filter k at position t, y the
      class's logit and a_k the mean of dy/dA_k(t) over t, it is ReLU(sum_k a_k A_k(t)), laid
      out linearly from the middles of what the positions see to all samples, the first and last
      one held at the ends.
    - ``weights``, the paper's way of "inverse mapping" that map to the input [2]_: guided
      back-propagation [3]_ that starts at the layer's output and not at a class score. What goes
      back is the map itself, a_k ReLU(sum_j a_j A_j(t)) at filter k and position t (before it
      was laid out to all samples). Their sign says whether more of the channel there would raise or
      lower the map.

    Parameters
    ----------
    estimator : network estimator, such as RTCANClassifier, or a Pipeline that ends in one
        Fitted. The steps of a pipeline before the network transform X; what is explained is what
        they give.
    X : DataFrame or array of shape (n_trials, n_columns), or what the pipeline's ``predict`` takes
    layer : str, default="attention"
        One of the layers that the network declares: RTCANClassifier has "sca" and "rnta" as far as
        they are switched on, "attention" (both) and "trunk", CNNClassifier has "convolve". A
        network that declares none: the path of a submodule whose output has the shape (n_trials,
        n_filters, n_positions).
    target : label or None, default=None
        One of the estimator's classes, for all trials; None: for each trial the class that is
        predicted. A regressor has no classes, and its prediction is explained.

    Returns
    -------
    GradCAM

    Raises
    ------
    ImportError
        Without captum: ``pip install edaemo[inspection]``.
    TypeError
        If the estimator ends in no network, or a step before it cannot transform.
    ValueError
        If the network lacks the layer, `target` is no class, or X has other columns than those that
        were fitted.
    NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    The paper does not say which number is propagated back from an attention module. A sum of its
    outputs that does not know the class would be blind to all layers after the module, whatever
    they had learned; so the map is taken.

    Guided back-propagation sets negative gradients to zero at each ReLU on its way. captum does so
    for modules ``nn.ReLU`` only, and overlooks functions such as ``torch.relu``; here these run as
    such a module as long as captum looks on. In the paper's architecture the only ReLU between an
    attention module and the input is the one inside of SCA, and there is none before RNTA alone.

    A trial whose map is zero everywhere (nothing at this layer speaks for the class) has weights of
    zero. So has, in the published architecture without music, a class whose logit is zero: a ReLU
    is the last thing there. A map on "trunk" has one position for each 32 samples, 96 in the
    published architecture.

    It is done on a copy of the network, on `n_threads` of the estimator, without any draw from
    torch's generators: estimator and generators stay as they were, and a trial gets the same
    numbers in whatever batch it comes.

    Guided back-propagation hardly changes with the weights of the layers after the one it starts
    from [4]_; here it does so by a_k alone. `cam` and :func:`integrated_gradients` are the ones to
    ask what a network has learned.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
       gradient-based localization", ICCV 2017, equations 1 and 2.
    .. [2] G. Yin, S. Sun, D. Yu, D. Li, K. Zhang, "A multimodal framework for large-scale emotion
       recognition by fusing music and electrodermal activity signals", ACM TOMM 18 (2022), section
       5.3.3.
    .. [3] J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for simplicity: the
       all convolutional net", ICLR workshop 2015.
    .. [4] J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo import RTCANClassifier
    >>> from edaemo.inspection import grad_cam
    >>> X = np.random.default_rng(0).normal(size=(20, 3 * 64))
    >>> model = RTCANClassifier(n_chans=3, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> found = grad_cam(model, X[:5], layer="rnta")
    >>> found.cam.shape, found.weights.shape
    ((5, 64), (5, 3, 64))
    """
    attr = _captum()
    before, last = _split(estimator)
    if isinstance(last, NetworkSequenceRegressor):
        raise TypeError("grad_cam explains networks on rows; use integrated_gradients.")
    found = _find_layer(last, layer)
    asked = _ask(before, last, X, target)
    explain = partial(_explain_layer, attr, f"network.{found.path}")
    cams, weights = zip(*_each(asked, explain), strict=True)
    signals = _by_channel(asked, asked.rows)
    padding = getattr(asked.network.network, "n_padding", 0)
    n_times = signals.shape[-1]
    return GradCAM(
        signals=signals,
        weights=_by_channel(asked, np.concatenate(weights)),
        channels=_channel_names(asked),
        target=_targets(asked),
        layer=layer,
        cam=np.stack([_over_samples(cam, n_times, padding, found.strides) for cam in cams]),
    )


@validate_params(
    {"n_steps": [Interval(Integral, 1, None, closed="left")], "baseline": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def integrated_gradients(
    estimator: BaseEstimator,
    X: object,
    *,
    target: object = None,
    baseline: object = None,
    n_steps: int = 64,
) -> IntegratedGradients:
    """Divide the logit of a class among all numbers of a trial, EDA and music.

    The weight of a number is its distance from the baseline times the mean gradient of the logit on
    the straight line from the baseline to the trial [1]_, by captum. A trial's weights sum to its
    logit less the baseline's ("completeness").

    Parameters
    ----------
    estimator, X, target
        As for :func:`grad_cam`; also a NetworkSequenceRegressor, whose mean over the steps of a
        trial is divided. `signals` and `weights` then hold an array of shape (n_features, n_steps)
        for each trial.
    baseline : array-like of shape (n_columns,) or None, default=None
        What stands for "nothing" in the units of the network's input. None: zeros, which is the
        mean of what was standardised.
    n_steps : int, default=64
        Points on the line, by Gauss-Legendre; ``deviation`` says how good the integral is.

    Returns
    -------
    IntegratedGradients

    Raises
    ------
    ImportError, TypeError, ValueError, NotFittedError
        As :func:`grad_cam`; ValueError also if `baseline` has another number of columns, or numbers
        that are not finite.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    attr = _captum()
    before, last = _split(estimator)
    if isinstance(last, NetworkSequenceRegressor):
        if target is not None or baseline is not None:
            raise ValueError("Sequences have no classes, and their baseline is zero: give None.")
        return _integrate_sequences(attr, before, last, X, n_steps)
    start = _check_baseline(last, baseline)
    asked = _ask(before, last, X, target)
    explain = partial(_integrate, attr, start, n_steps)
    weights, deviation = map(np.concatenate, zip(*_each(asked, explain), strict=True))
    signals = _by_channel(asked, asked.rows)
    return IntegratedGradients(
        signals=signals,
        weights=_by_channel(asked, weights),
        channels=_channel_names(asked),
        target=_targets(asked),
        music=weights[:, signals[0].size :],
        deviation=deviation.astype(np.float32),
    )


def _captum() -> ModuleType:
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError(
            "What a network looked at is found by captum: pip install edaemo[inspection]"
        ) from error
    return captum.attr


def _split(estimator: BaseEstimator) -> tuple[list[TransformerMixin], NetworkEstimator]:
    """Return what comes before the network, checked, and the network's fitted estimator."""
    before, last = split_pipeline(estimator)
    if not isinstance(last, NetworkEstimator):
        raise TypeError(
            f"{type(last).__name__} is not a network: take RTCANClassifier, NetworkClassifier or "
            "the like, or a Pipeline that ends in one. For other estimators use "
            "feature_group_importance."
        )
    check_is_fitted(last, "net_")
    return before, last


def split_pipeline(estimator: BaseEstimator) -> tuple[list[TransformerMixin], BaseEstimator]:
    """Return what transforms X when the pipeline predicts, in order, and its last estimator.

    Raises
    ------
    TypeError
        If a step before the last one cannot transform.
    """
    before: list[TransformerMixin] = []
    last = estimator
    while isinstance(last, Pipeline):
        for name, step in last.steps[:-1]:
            if hasattr(step, "transform"):
                before.append(step)
            elif step not in (None, "passthrough") and not hasattr(step, "fit_resample"):
                # What resamples, imblearn's pipeline leaves out when it predicts.
                raise TypeError(
                    f"Step {name!r} of the pipeline, {type(step).__name__}, does not transform, so "
                    "what the last step is given cannot be told: give the last step itself and "
                    "its input."
                )
        last = last.steps[-1][1]
    return before, last


def _find_layer(estimator: NetworkEstimator, layer: str) -> Layer:
    """Return a layer of the network by its name; raise a ValueError where there is none."""
    network = estimator.net_.module_
    modules = {name: one for name, one in network.named_modules() if name}
    declared = declaration_of(type(network)).layers or {name: Layer(name) for name in modules}
    layers = {
        name: found
        for name, found in declared.items()
        if found.path in modules and not _is_empty(modules[found.path])
    }
    if layer not in layers:
        raise ValueError(
            f"This {type(estimator).__name__} has no layer {layer!r}: {suggest(layer, layers)}"
        )
    return layers[layer]


def _is_empty(module: nn.Module) -> bool:
    """Say whether it is what is left of an attention that is switched off altogether."""
    return isinstance(module, nn.Sequential) and not len(module)


def _ask(
    before: list[TransformerMixin], estimator: NetworkEstimator, X: object, target: object
) -> _Asked:
    """Check the question, and prepare rows and a copy of the network."""
    code = _find_code(estimator, target)
    for step in before:
        X = step.transform(X)
    # A copy that torch takes: a frame's numbers may be write-protected, or in another order.
    rows = np.array(estimator.read(X), order="C")
    net = estimator.net_
    network = copy.deepcopy(net.module_).eval().requires_grad_(False)
    asked = _Asked(estimator, OnRows(network, net.feed_), rows, np.full(len(rows), code))
    if code is None:
        predicted = _each(asked, lambda network, row, _: int(network(row).argmax()))
        asked = asked._replace(codes=np.array(predicted))
    return asked


def _find_code(estimator: NetworkEstimator, target: object) -> int | None:
    """Return the place of the class among the classes; None for the one that is predicted."""
    if target is None:
        return None
    classes = getattr(estimator, "classes_", np.array([]))  # a regressor has none
    same = [np.asarray(target).ndim == 0 and bool(known == target) for known in classes]
    if not any(same):
        raise ValueError(
            f"target={target!r} is not a class: it must be one of {classes.tolist()}, or None for "
            "the class that is predicted."
        )
    return same.index(True)


def _targets(asked: _Asked) -> np.ndarray:
    """Return the label of the class that is explained in each row; None without classes."""
    classes = getattr(asked.estimator, "classes_", None)
    return np.full(len(asked.codes), None) if classes is None else classes[asked.codes]


def _each(asked: _Asked, explain: Callable[[nn.Module, Tensor, int], Any]) -> list:
    """Explain one trial after the other, so that no trial's numbers depend on the others."""
    with torch_threads(asked.estimator.n_threads):
        rows = torch.tensor(asked.rows, device=asked.estimator.net_.device)
        return [
            explain(asked.network, row.requires_grad_(), code)
            for row, code in zip(rows.split(1), asked.codes.tolist(), strict=True)
        ]


def _explain_layer(
    attr: ModuleType, path: str, network: nn.Module, row: Tensor, code: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give the map of shape (n_positions,) and its way back to the row, (1, n_columns)."""
    layer = network.get_submodule(path)
    cam = attr.LayerGradCam(network, layer).attribute(row, target=code, relu_attributions=True)
    gradient = attr.LayerGradientXActivation(network, layer, multiply_by_inputs=False)
    importance = gradient.attribute(row, target=code).mean(dim=-1, keepdim=True)
    start = (importance * cam).detach()
    with warnings.catch_warnings():
        # That it sets hooks, and will remove them; all on our copy.
        warnings.filterwarnings("ignore", message="Setting backward hooks")
        guided = attr.GuidedBackprop(_UpTo(network, path)).attribute(
            row, additional_forward_args=start
        )
    return cam.detach().cpu().numpy()[0, 0], guided.detach().cpu().numpy()


class _UpTo(nn.Module):
    """A network up to one of its layers, whose output is weighed and summed up.

    Whatever calls a ReLU in the network, it is `relu` that runs, the only module here for captum to
    set its hooks on.
    """

    def __init__(self, network: nn.Module, path: str) -> None:
        super().__init__()
        self.held = (network,)  # in a tuple, and so no part of this module
        self.path = path
        self.relu = nn.ReLU()

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        """Give the weighted sum for each row, shape (B,); weights of the layer's shape."""
        outputs: list[Tensor] = []
        (network,) = self.held
        layer = network.get_submodule(self.path)
        handle = layer.register_forward_hook(lambda module, given, output: outputs.append(output))
        try:
            with _ReLUByModule(self.relu):
                network(rows)
        finally:
            handle.remove()
        return (outputs[0] * weights).sum(dim=(1, 2))


class _ReLUByModule(TorchFunctionMode):
    """Inside the block, each call of a ReLU function is a call of one module.

    Those that overwrite their argument (``torch.relu_``) are not among them: no network here calls
    one in evaluation.
    """

    FUNCTIONS = (F.relu, torch.relu, Tensor.relu)

    def __init__(self, module: nn.ReLU) -> None:
        super().__init__()
        self.module = module

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self.FUNCTIONS:
            # A copy: captum's hook is on the tensor, and must not see what else is made of it.
            return self.module(args[0].clone())
        return func(*args, **(kwargs or {}))


def _integrate(
    attr: ModuleType,
    baseline: np.ndarray,
    n_steps: int,
    network: nn.Module,
    row: Tensor,
    code: int,
) -> tuple[np.ndarray, np.ndarray]:
    weights, deviation = attr.IntegratedGradients(network).attribute(
        row,
        baselines=torch.tensor(baseline, device=row.device),
        target=code,
        n_steps=n_steps,
        return_convergence_delta=True,
    )
    return weights.detach().cpu().numpy(), deviation.detach().cpu().numpy()


def _integrate_sequences(
    attr: ModuleType,
    before: list[TransformerMixin],
    estimator: NetworkSequenceRegressor,
    X: object,
    n_steps: int,
) -> IntegratedGradients:
    """Divide the mean of the predicted steps among all numbers of a trial; the baseline is zero."""
    for step in before:
        X = step.transform(X)
    net = estimator.net_
    network = copy.deepcopy(OnSequences(net.module_, net.feed_)).eval().requires_grad_(False)
    gradients = attr.IntegratedGradients(lambda *blocks: network(*blocks).mean(1, keepdim=True))
    signals, weights, deviations = [], [], []
    for trial in estimator.read(X):
        blocks = tuple(
            torch.tensor(block[None], device=net.device).requires_grad_()
            for block in trial.values()
        )
        found, deviation = gradients.attribute(
            blocks, target=0, n_steps=n_steps, return_convergence_delta=True
        )
        signals.append(np.concatenate([*trial.values()], axis=1).T)
        weights.append(torch.cat(found, dim=2)[0].T.detach().cpu().numpy())
        deviations.append(deviation.detach().cpu().numpy())
    return IntegratedGradients(
        signals=_ragged(signals),
        weights=_ragged(weights),
        channels=tuple(f"{name} {i}" for name, (n,) in estimator.blocks_.items() for i in range(n)),
        target=np.full(len(signals), None),
        music=np.zeros((len(signals), 0), dtype=np.float32),
        deviation=np.concatenate(deviations).astype(np.float32),
    )


def _ragged(arrays: list[np.ndarray]) -> np.ndarray:
    """Return an array of objects, one for each trial."""
    objects = np.empty(len(arrays), dtype=object)
    objects[:] = arrays
    return objects


def _check_baseline(estimator: NetworkEstimator, baseline: object) -> np.ndarray:
    """Return the baseline as one row."""
    n_columns = estimator.n_features_in_
    if baseline is None:
        return np.zeros((1, n_columns), dtype=np.float32)
    row = np.array(baseline, dtype=np.float32)
    if row.shape != (n_columns,) or not np.isfinite(row).all():
        raise ValueError(
            f"baseline must be one finite number for each of the network's {n_columns} columns, "
            f"got an array of shape {row.shape}."
        )
    return row[None]


def _by_channel(asked: _Asked, rows: np.ndarray) -> np.ndarray:
    """Return the EDA of rows, shape (n_trials, n_columns), as (n_trials, n_chans, n_times)."""
    shape = asked.network.feed.shapes.get("eda")
    if shape is None:
        return rows[:, None]
    return rows[:, : math.prod(shape)].reshape(len(rows), *shape)


def _channel_names(asked: _Asked) -> tuple[str, ...]:
    shape = asked.network.feed.shapes.get("eda")
    if shape is None:
        return FEATURES
    n_chans, n_times = shape
    names = getattr(asked.estimator, "feature_names_in_", None)
    if names is None or not names[0].startswith(EDA):
        return tuple(f"channel {i}" for i in range(n_chans))
    first = names[: n_chans * n_times : n_times]
    return tuple(name.removeprefix(EDA).removesuffix("_0") for name in first)


def _over_samples(
    cam: np.ndarray, n_times: int, n_padding: int, strides: tuple[int, ...]
) -> np.ndarray:
    """Lay a map of shape (n_positions,) out to all samples, linearly between the positions.

    All convolutions and poolings have odd kernels, padded by half: what position i sees has its
    middle at sample i * stride. Where no stride is declared it is the smallest that fits.
    """
    length = n_times + n_padding
    known = (stride for stride in strides if -(-length // stride) == len(cam))
    stride = next(known, -(-length // len(cam)))
    at = np.arange(len(cam)) * stride
    return np.interp(np.arange(n_times), at, cam).astype(np.float32)
