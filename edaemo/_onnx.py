"""A trained net as an ONNX file, which runs without torch."""

from __future__ import annotations

import json
import logging
import os
import warnings
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn.pipeline
import torch
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import nn

from edaemo import __version__
from edaemo._safe_file import FileError, readable
from edaemo._whole_file import whole_file
from edaemo.estimators import NetworkEstimator
from edaemo.fusion import BlockUnion
from edaemo.training import torch_threads

TOLERANCE = 1e-5


def export_onnx(estimator: BaseEstimator, path: str | PathLike[str]) -> Path:
    """Write the network of a fitted estimator to an ONNX file, and what it needs to a JSON file.

    The ONNX file takes float32 rows of shape (n_trials, n_columns), any number of them, named
    ``rows``. It gives ``probability``, float32 of shape (n_trials, n_classes), or for a regressor
    ``prediction``, float32 of shape (n_trials, 1). Of sequences it takes each block by its name,
    float32 of shape (n_trials, n_steps, n_features), and gives (n_trials, n_steps). Before it is
    put in place it is run by onnxruntime on random inputs, 1 and 7 trials together, and compared
    with torch.

    Parameters
    ----------
    estimator : network estimator, such as RTCANClassifier, or a Pipeline that ends in one
        Fitted. Of a pipeline the last step alone is exported; the others have to be done before.
    path : path
        The ONNX file, by custom ``….onnx``.

    Returns
    -------
    Path
        The JSON file, of the same name with the suffix ``.json``: ``columns`` and ``layout`` of a
        row, ``before`` (the steps that come before the network with their parameters, and the means
        and scales of those that standardise), ``classes`` in the order of the probabilities (null
        for a regressor), and ``deviation``, the largest difference that was found.

    Raises
    ------
    ImportError
        Without onnx and onnxruntime: ``pip install edaemo[onnx]``.
    FileError
        If the estimator does not end in a network, a file cannot be written, or torch cannot
        export the network.
    RuntimeError
        If the answers differ by more than 1e-5, of their size where they are above 1; then no file
        is written.
    NotFittedError
        If it is not fitted.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(name)
        except ImportError as error:
            raise ImportError(f"export_onnx needs {name}: pip install edaemo[onnx]") from error
    before, last = _split(estimator)
    check_is_fitted(last, "net_")
    path = Path(path)
    beside = path.with_suffix(".json")
    if beside == path:
        raise FileError(f"{path}: .json is for the file beside it; name the network ….onnx.")
    network = last.to_module().cpu().eval()
    try:
        with torch_threads(last.n_threads), whole_file(path) as part:
            _write(network, last, part)
            deviation = _compare(network, last, part)
            facts = _describe(before, last, deviation)
            with whole_file(beside) as other:
                other.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}.") from error
    finally:
        last.net_.module_.to(last.net_.device)
    return beside


def _split(estimator: BaseEstimator) -> tuple[list[tuple[str, Any]], NetworkEstimator]:
    """Return the steps before the network, and the network's estimator."""
    before: list[tuple[str, Any]] = []
    last = estimator
    while isinstance(last, sklearn.pipeline.Pipeline):
        before += last.steps[:-1]
        last = last.steps[-1][1]
    if not isinstance(last, NetworkEstimator):
        raise FileError(
            f"{type(last).__name__} is not a network: export_onnx takes RTCANClassifier, "
            "NetworkClassifier and the like, or a Pipeline that ends in one."
        )
    return before, last


def _write(network: nn.Module, estimator: NetworkEstimator, path: Path) -> None:
    """Export in two steps, so that torch takes attention of three dimensions apart first."""
    inputs = {name: torch.from_numpy(one) for name, one in estimator.example_inputs(3).items()}
    free = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("steps", min=2)}
    # Sequences have three dimensions, and the second is their length.
    shapes = tuple({axis: free[axis] for axis in range(one.ndim - 1)} for one in inputs.values())
    talkative = logging.getLogger("torch.onnx")
    level = talkative.level
    talkative.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own parts
            program = torch.export.export(
                network, tuple(inputs.values()), dynamic_shapes=(shapes,), strict=True
            )
            exported = torch.onnx.export(
                program.run_decompositions(),
                dynamo=True,
                input_names=[*inputs],
                output_names=[estimator.answer],
                verbose=False,
            )
            assert exported is not None  # it is None of the older exporter alone
            exported.save(os.fspath(path), external_data=False)
    except (torch.onnx.errors.OnnxExporterError, torch._dynamo.exc.TorchDynamoException) as error:
        raise FileError(f"torch cannot export this network: {error}") from error
    finally:
        talkative.setLevel(level)


def _compare(network: nn.Module, estimator: NetworkEstimator, path: Path) -> float:
    """Return the largest difference between onnxruntime and torch; raise where it is too large."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    largest = 0.0
    for n in (1, 7):
        inputs = estimator.example_inputs(n)
        (found,) = session.run(None, inputs)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        difference = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
        largest = max(largest, float(difference.max()))
    if not largest <= TOLERANCE:
        raise RuntimeError(
            f"onnxruntime gives other answers than torch, by {largest:g}: the network was not "
            "exported."
        )
    return largest


def _describe(
    before: list[tuple[str, Any]], last: NetworkEstimator, deviation: float
) -> dict[str, Any]:
    inputs = [
        {"name": name, "dtype": "float32", "shape": ["any"] * (one.ndim - 1) + [one.shape[-1]]}
        for name, one in last.example_inputs(1).items()
    ]
    return {
        "edaemo": __version__,
        "input": inputs[0] if len(inputs) == 1 else inputs,
        "layout": readable(last.sizes_),
        "columns": readable(getattr(last, "feature_names_in_", None)),
        "before": [{"name": name, **_describe_step(step)} for name, step in before],
        "output": {"name": last.answer, "dtype": "float32"},
        "classes": readable(getattr(last, "classes_", None)),
        "deviation": deviation,
    }


def _describe_step(step: object) -> dict[str, Any]:
    """Give a step's class and parameters, those of steps inside it, and what it standardises by."""
    if not isinstance(step, BaseEstimator):
        return {"step": str(step)}
    said: dict[str, Any] = {"class": type(step).__name__}
    if isinstance(step, sklearn.pipeline.Pipeline):
        return {**said, "steps": [{"name": n, **_describe_step(one)} for n, one in step.steps]}
    parameters = step.get_params(deep=False)
    said["parameters"] = {name: _describe_value(value) for name, value in parameters.items()}
    if isinstance(step, BlockUnion) and hasattr(step, "music_scaler_"):
        said["music_scaler"] = _describe_step(step.music_scaler_)
    if isinstance(step, StandardScaler) and hasattr(step, "scale_"):
        said["mean"], said["scale"] = readable(step.mean_), readable(step.scale_)
    return said


def _describe_value(value: object) -> Any:
    if isinstance(value, pd.DataFrame):
        return f"DataFrame of {len(value)} rows and {value.shape[1]} columns"
    return _describe_step(value) if isinstance(value, BaseEstimator) else readable(value)
