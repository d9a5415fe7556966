"""Explanations of networks: Grad-CAM, guided back-propagation, integrated gradients."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from functools import partial
from numbers import Integral
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from edaemo._layout import EDA
from edaemo._sklearn import AnyEstimator, AnyTransformer
from edaemo._validation import suggest
from edaemo.estimators import NetworkEstimator, NetworkSequenceRegressor
from edaemo.inspection._importance import split_pipeline
from edaemo.inspection._results import (
    FEATURES,
    GradCAM,
    IntegratedGradients,
    ModalityAttribution,
)
from edaemo.networks import AIMSTF, MAET, Layer, declaration_of
from edaemo.training import Blocks, OnRows, OnSequences, cut_rows, torch_threads


class _Task(NamedTuple):
    """The copy of a network, the rows to explain, and the index of the class for each row."""

    estimator: NetworkEstimator
    network: OnRows
    rows: np.ndarray
    codes: np.ndarray


def grad_cam(
    estimator: AnyEstimator, X: object, *, layer: str = "attention", target: object = None
) -> GradCAM:
    """Compute the Grad-CAM map of a layer for a class, and map it to the input channels.

    The function computes two results for a layer, with captum and separately for each trial:

    - ``cam``, 1-D Grad-CAM [1]_. With A_k(t) the output of the layer for filter k at position t, y
      the logit of the class and a_k the mean of dy/dA_k(t) over t, the map is
      ReLU(sum_k a_k A_k(t)). It is interpolated linearly to all samples, from the centres of the
      receptive fields of the positions. The first and the last value are repeated at the ends.
    - ``weights``, the paper's "inverse mapping" of that map to the input [2]_. This is guided
      back-propagation [3]_ that starts at the output of the layer, and not at a class score. It
      propagates the map itself, a_k ReLU(sum_j a_j A_j(t)) at filter k and position t, before the
      interpolation. A positive weight means that a higher value of the channel increases the map;
      a negative weight means that it decreases the map.

    Parameters
    ----------
    estimator : network estimator, such as RTCANClassifier, or a Pipeline that ends in one
        A fitted estimator. The steps of a pipeline before the network transform X, and their
        output is explained.
    X : DataFrame or array of shape (n_trials, n_columns)
        Input of the network, or of the pipeline's ``predict``.
    layer : str, default="attention"
        A layer that the network declares. RTCANClassifier has "sca" and "rnta" (if they are
        switched on), "attention" (both) and "trunk". CNNClassifier has "convolve". For a network
        that declares no layers: the path of a submodule whose output has the shape (n_trials,
        n_filters, n_positions).
    target : label or None, default=None
        The class to explain in all trials. None: the predicted class of each trial. For a
        regressor, which has no classes, the prediction is explained.

    Returns
    -------
    GradCAM
        The map and the weights of each trial.

    Raises
    ------
    ImportError
        If captum is not installed: ``pip install edaemo[inspection]``.
    TypeError
        If the last step is not a network, or an earlier step has no ``transform``.
    ValueError
        If the network does not have the layer, `target` is not a class, or the columns of X differ
        from those in `fit`.
    NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    The paper does not specify which value is propagated back from an attention module. A sum of the
    outputs of the module would not depend on the class, and would ignore all layers after the
    module. This function propagates the map instead.

    Guided back-propagation sets negative gradients to zero at each ReLU that it passes. captum does
    this only for ``nn.ReLU`` modules, and not for functions such as ``torch.relu``. This function
    runs them as modules during the computation. In the paper's architecture, the only ReLU between
    an attention module and the input is inside SCA. Without SCA, no ReLU precedes RNTA.

    If the map of a trial is zero everywhere, its weights are zero. In this case the output of the
    layer does not support the class. In the published architecture without music, the weights are
    also zero for a class whose logit is zero, because the last layer is a ReLU. A map on "trunk"
    has one position for every 32 samples, or 96 in the published architecture.

    The computation uses a copy of the network, the `n_threads` of the estimator, and no random
    numbers. The estimator and torch's generators are unchanged. The result for a trial does not
    depend on the other trials.

    Guided back-propagation depends little on the weights of the layers after its starting layer
    [4]_; here it depends on them only through a_k. To study what a network has learned, use `cam`
    or :func:`integrated_gradients`.

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
    >>> result = grad_cam(model, X[:5], layer="rnta")
    >>> result.cam.shape, result.weights.shape
    ((5, 64), (5, 3, 64))
    """
    attr = _captum()
    before, last = _split(estimator)
    if isinstance(last, NetworkSequenceRegressor):
        raise TypeError("grad_cam explains networks on rows; use integrated_gradients.")
    located = _find_layer(last, layer)
    task = _prepare(before, last, X, target)
    explain = partial(_explain_layer, attr, f"network.{located.path}")
    cams, weights = zip(*_for_each(task, explain), strict=True)
    signals = _by_channel(task, task.rows)
    padding = getattr(task.network.network, "n_padding", 0)
    n_times = signals.shape[-1]
    return GradCAM(
        signals=signals,
        weights=_by_channel(task, np.concatenate(weights)),
        channels=_channel_names(task),
        target=_targets(task),
        layer=layer,
        cam=np.stack([_over_samples(cam, n_times, padding, located) for cam in cams]),
    )


@validate_params(
    {"n_steps": [Interval(Integral, 1, None, closed="left")]}, prefer_skip_nested_validation=True
)
def modality_attribution(
    estimator: AnyEstimator, X: object, *, target: object = None, n_steps: int = 64
) -> ModalityAttribution:
    """Attribute the logit of a class to the modalities of a network, such as EDA and music.

    These are integrated gradients [1]_ from a trial of zeros, with the same modalities, to the
    trial. captum computes them. The weight of a modality is the sum over all of its inputs. The
    weights of a trial sum to its logit minus the logit of the zeros, so they show which modality
    decided. For MAET the gradients are integrated from the tokens of the zeros to the tokens of the
    trial, and the weight of a modality is the sum over its tokens.

    Parameters
    ----------
    estimator : network estimator, such as MAETClassifier, or a Pipeline that ends in one
        A fitted estimator, as for :func:`grad_cam`. Its modalities are the named blocks of a row,
        such as "eda" and "music" for RTCANClassifier, or those of AIMSTFClassifier.
    X : DataFrame or array of shape (n_trials, n_columns)
        As for :func:`grad_cam`. Trials can lack modalities if the estimator allows it.
    target : label or None, default=None
        The class to explain in all trials. None: the predicted class of each trial.
    n_steps : int, default=64
        As for :func:`integrated_gradients`.

    Returns
    -------
    ModalityAttribution
        The weights of each trial.

    Raises
    ------
    ImportError, TypeError, ValueError, NotFittedError
        As :func:`grad_cam`.

    Notes
    -----
    The zeros are the mean of standardised data. For other data, a modality has a weight even if it
    is the same in all trials.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    attr = _captum()
    before, last = _split(estimator)
    if isinstance(last, NetworkSequenceRegressor):
        raise TypeError("modality_attribution explains networks on rows; use integrated_gradients.")
    task = _prepare(before, last, X, target)
    network = task.network.network
    names = tuple(_modalities_of(task.network.feed.shapes, task.rows.shape[1]))
    if isinstance(network, MAET):
        explain, place = _explain_tokens, network.modality_of_token.cpu().numpy()
    else:
        explain, place = _explain_blocks, np.arange(len(names))
    parts = zip(*_for_each(task, partial(explain, attr, n_steps)), strict=True)
    tokens, fusion, deviation = map(np.concatenate, parts)
    weights = [tokens[:, place == number].sum(axis=1) for number in range(len(names))]
    return ModalityAttribution(
        modalities=names,
        weights=np.stack(weights, axis=1),
        tokens=tokens,
        modality_of_token=np.array(names)[place],
        fusion=fusion,
        target=_targets(task),
        deviation=deviation.astype(np.float32),
    )


def _modalities_of(shapes: Blocks, n_columns: int) -> Blocks:
    """Return the blocks of a row; a network on features has a single one without a name."""
    return shapes or {name: (n_columns,) for name in FEATURES}


def _explain_blocks(
    attr: ModuleType, n_steps: int, network: OnRows, row: Tensor, code: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the weights of the blocks, those of the fusion, and the error of the sum."""
    absent, shapes = row.isnan(), _modalities_of(network.feed.shapes, row.shape[1])
    zeros = torch.where(absent, torch.nan, 0.0)
    weights = attr.IntegratedGradients(network).attribute(
        row, baselines=zeros, target=code, n_steps=n_steps
    )
    blocks = cut_rows(weights.masked_fill(absent, 0.0), shapes).values()
    of_block = torch.stack([block.flatten(1).sum(dim=1) for block in blocks], dim=1)
    with torch.no_grad():
        error = of_block.sum(dim=1) - (network(row) - network(zeros))[:, code]
        shares = (
            network.network.weigh_modalities(**cut_rows(row, shapes))
            if isinstance(network.network, AIMSTF)
            else of_block.new_zeros(len(row), 0)
        )
    summed, weighed, missed = (part.detach().cpu().numpy() for part in (of_block, shares, error))
    return summed, weighed, missed


def _explain_tokens(
    attr: ModuleType, n_steps: int, network: OnRows, row: Tensor, code: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the weights of the tokens, the weights of the fusion, and the error of the sum."""
    maet = network.network
    assert isinstance(maet, MAET)
    weights, deviation = attr.LayerIntegratedGradients(network, maet.tokens).attribute(
        row,
        baselines=torch.where(row.isnan(), torch.nan, 0.0),
        target=code,
        n_steps=n_steps,
        return_convergence_delta=True,
    )
    shares = maet.weigh_modalities(**cut_rows(row, network.feed.shapes))
    parts = (weights.sum(dim=2), shares, deviation)
    tokens, fusion, error = (part.detach().cpu().numpy() for part in parts)
    return tokens, fusion, error


@validate_params(
    {"n_steps": [Interval(Integral, 1, None, closed="left")], "baseline": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def integrated_gradients(
    estimator: AnyEstimator,
    X: object,
    *,
    target: object = None,
    baseline: object = None,
    n_steps: int = 64,
) -> IntegratedGradients:
    """Attribute the logit of a class to all inputs of a trial, EDA and music.

    The weight of an input is its difference from the baseline, multiplied by the mean gradient of
    the logit on the straight line from the baseline to the trial [1]_. captum computes it. The
    weights of a trial sum to its logit minus the logit of the baseline ("completeness").

    Parameters
    ----------
    estimator : network estimator, or a Pipeline that ends in one
        As for :func:`grad_cam`.
    X : DataFrame or array of shape (n_trials, n_columns)
        As for :func:`grad_cam`.
    target : label or None, default=None
        As for :func:`grad_cam`. The estimator can also be a NetworkSequenceRegressor, for which the
        mean prediction over the steps of a trial is explained. Then `signals` and `weights` hold an
        array of shape (n_features, n_steps) for each trial.
    baseline : array-like of shape (n_columns,) or None, default=None
        Reference input, in the units of the network's input. None: zeros, which is the mean of
        standardised data.
    n_steps : int, default=64
        Number of points on the line (Gauss-Legendre). ``deviation`` is the error of the integral.

    Returns
    -------
    IntegratedGradients
        The weights of each trial.

    Raises
    ------
    ImportError, TypeError, ValueError, NotFittedError
        As :func:`grad_cam`. A ValueError is also raised if `baseline` has a wrong number of columns
        or values that are not finite.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    attr = _captum()
    before, last = _split(estimator)
    if isinstance(last, NetworkSequenceRegressor):
        if target is not None or baseline is not None:
            raise ValueError("target and baseline must be None for a sequence regressor.")
        return _integrate_sequences(attr, before, last, X, n_steps)
    start = _check_baseline(last, baseline)
    task = _prepare(before, last, X, target)
    explain = partial(_integrate, attr, start, n_steps)
    weights, deviation = map(np.concatenate, zip(*_for_each(task, explain), strict=True))
    signals = _by_channel(task, task.rows)
    return IntegratedGradients(
        signals=signals,
        weights=_by_channel(task, weights),
        channels=_channel_names(task),
        target=_targets(task),
        music=weights[:, signals[0].size :],
        deviation=deviation.astype(np.float32),
    )


def _captum() -> ModuleType:
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError(
            "Explanations of networks need captum: pip install edaemo[inspection]"
        ) from error
    return captum.attr


def _split(estimator: AnyEstimator) -> tuple[list[AnyTransformer], NetworkEstimator]:
    """Return the steps before the network, and the fitted estimator of the network."""
    before, last = split_pipeline(estimator)
    if not isinstance(last, NetworkEstimator):
        raise TypeError(
            f"{type(last).__name__} is not a network: use a network estimator, such as "
            "RTCANClassifier or NetworkClassifier, or a Pipeline that ends in one. For other "
            "estimators use feature_group_importance."
        )
    check_is_fitted(last, "net_")
    return before, last


def _find_layer(estimator: NetworkEstimator, layer: str) -> Layer:
    """Return a layer of the network by name; raise a ValueError if it does not exist."""
    network = estimator.net_.module_
    modules = {name: module for name, module in network.named_modules() if name}
    declared = declaration_of(type(network)).layers or {name: Layer(name) for name in modules}
    layers = {
        name: entry
        for name, entry in declared.items()
        if entry.path in modules and not _is_empty(modules[entry.path])
    }
    if layer not in layers:
        raise ValueError(
            f"This {type(estimator).__name__} has no layer {layer!r}: {suggest(layer, layers)}"
        )
    return layers[layer]


def _is_empty(module: nn.Module) -> bool:
    """Return whether a module is an empty sequence, as attention is if it is switched off."""
    return isinstance(module, nn.Sequential) and not len(module)


def _prepare(
    before: list[AnyTransformer], estimator: NetworkEstimator, X: object, target: object
) -> _Task:
    """Check the arguments, and prepare the rows and a copy of the network."""
    code = _find_code(estimator, target)
    for step in before:
        X = step.transform(X)
    # A copy for torch: the values of a frame can be write-protected, or in another order.
    rows = np.array(estimator.read(X), order="C")
    net = estimator.net_
    network = copy.deepcopy(net.module_).eval().requires_grad_(False)
    task = _Task(estimator, OnRows(network, net.feed_), rows, np.full(len(rows), code))
    if code is None:
        predicted = _for_each(task, lambda network, row, _: int(network(row).argmax()))
        task = task._replace(codes=np.array(predicted))
    return task


def _find_code(estimator: NetworkEstimator, target: object) -> int | None:
    """Return the index of the class, or None for the predicted class."""
    if target is None:
        return None
    classes = getattr(estimator, "classes_", np.array([]))  # a regressor has no classes
    same = [np.asarray(target).ndim == 0 and bool(known == target) for known in classes]
    if not any(same):
        raise ValueError(
            f"target={target!r} is not a class: it must be one of {classes.tolist()}, or None for "
            "the predicted class."
        )
    return same.index(True)


def _targets(task: _Task) -> np.ndarray:
    """Return the label of the explained class in each row; None without classes."""
    classes = getattr(task.estimator, "classes_", None)
    return np.full(len(task.codes), None) if classes is None else classes[task.codes]


def _for_each(task: _Task, explain: Callable[[nn.Module, Tensor, int], Any]) -> list[Any]:
    """Explain the trials one by one, so that a result does not depend on other trials."""
    with torch_threads(task.estimator.n_threads):
        rows = torch.tensor(task.rows, device=task.estimator.net_.device)
        return [
            explain(task.network, row.requires_grad_(), code)
            for row, code in zip(rows.split(1), task.codes.tolist(), strict=True)
        ]


def _explain_layer(
    attr: ModuleType, path: str, network: nn.Module, row: Tensor, code: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the map, shape (n_positions,), and its mapping to the row, (1, n_columns)."""
    layer = network.get_submodule(path)
    cam = attr.LayerGradCam(network, layer).attribute(row, target=code, relu_attributions=True)
    if cam.ndim != 3:
        raise ValueError(
            f"The output of {path.removeprefix('network.')} does not have the shape (n_trials, "
            "n_filters, n_positions) with positions in time: choose another layer, or use "
            "integrated_gradients."
        )
    gradient = attr.LayerGradientXActivation(network, layer, multiply_by_inputs=False)
    importance = gradient.attribute(row, target=code).mean(dim=-1, keepdim=True)
    start = (importance * cam).detach()
    with warnings.catch_warnings():
        # captum warns that it sets hooks; they are set on the copy, and removed.
        warnings.filterwarnings("ignore", message="Setting backward hooks")
        guided = attr.GuidedBackprop(_UpTo(network, path)).attribute(
            row, additional_forward_args=start
        )
    return cam.detach().cpu().numpy()[0, 0], guided.detach().cpu().numpy()


class _UpTo(nn.Module):
    """A network up to one of its layers, followed by a weighted sum of the layer's output.

    Every ReLU in the network runs as the module `relu`. It is the only module here on which captum
    sets hooks.
    """

    def __init__(self, network: nn.Module, path: str) -> None:
        super().__init__()
        self.held = (network,)  # in a tuple, so that it is not a submodule
        self.path = path
        self.relu = nn.ReLU()

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum for each row, shape (B,); `weights` has the layer's shape."""
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
    """A context in which each call of a ReLU function calls one module instead.

    In-place functions such as ``torch.relu_`` are not included, because the networks here do not
    call them in evaluation.
    """

    FUNCTIONS = (F.relu, torch.relu, Tensor.relu)

    def __init__(self, module: nn.ReLU) -> None:
        super().__init__()
        self.module = module

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[Any, ...],
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in self.FUNCTIONS:
            # A copy: captum's hook on the tensor must not see its other uses.
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
    before: list[AnyTransformer],
    estimator: NetworkSequenceRegressor,
    X: object,
    n_steps: int,
) -> IntegratedGradients:
    """Attribute the mean of the predicted steps to all inputs; the baseline is zero."""
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
        parts, deviation = gradients.attribute(
            blocks, target=0, n_steps=n_steps, return_convergence_delta=True
        )
        signals.append(np.concatenate([*trial.values()], axis=1).T)
        weights.append(torch.cat(parts, dim=2)[0].T.detach().cpu().numpy())
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
    """Return an array of dtype object with one array for each trial."""
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
            f"baseline must hold a finite number for each of the network's {n_columns} columns, "
            f"got an array of shape {row.shape}."
        )
    return row[None]


def _by_channel(task: _Task, rows: np.ndarray) -> np.ndarray:
    """Return the EDA of rows, shape (n_trials, n_columns), as (n_trials, n_chans, n_times)."""
    shape = _eda_shape(task)
    if shape is None:
        return rows[:, None]
    return rows[:, : math.prod(shape)].reshape(len(rows), *shape)


def _eda_shape(task: _Task) -> tuple[int, int] | None:
    """Return (n_chans, n_times) if rows are [EDA | music], else None. Features are one channel."""
    shapes = task.network.feed.shapes
    if [*shapes] not in (["eda"], ["eda", "music"]):
        return None
    first, *others = shapes["eda"]
    return (first, others[0]) if others else (1, first)


def _channel_names(task: _Task) -> tuple[str, ...]:
    shape = _eda_shape(task)
    if shape is None or len(task.network.feed.shapes["eda"]) == 1:
        return FEATURES
    n_chans, n_times = shape
    names = getattr(task.estimator, "feature_names_in_", None)
    if names is None or not names[0].startswith(EDA):
        return tuple(f"channel {i}" for i in range(n_chans))
    first = names[: n_chans * n_times : n_times]
    return tuple(name.removeprefix(EDA).removesuffix("_0") for name in first)


def _over_samples(cam: np.ndarray, n_times: int, n_padding: int, layer: Layer) -> np.ndarray:
    """Interpolate a map of shape (n_positions,) linearly to all samples.

    All convolutions and poolings have odd kernels, with padding of half the kernel or, if the layer
    has an offset, without padding. So the receptive field of position i has its centre at sample
    offset + i * stride. If no stride is declared, the smallest possible stride is used.
    """
    length = n_times + n_padding - 2 * layer.offset
    known = (stride for stride in layer.strides if -(-length // stride) == len(cam))
    stride = next(known, -(-length // len(cam)))
    centres = layer.offset + np.arange(len(cam)) * stride
    return np.interp(np.arange(n_times), centres, cam).astype(np.float32)
