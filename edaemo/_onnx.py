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
from torch import Tensor, nn

from edaemo import __version__
from edaemo._safe_file import FileError, readable
from edaemo._whole_file import whole_file
from edaemo.estimators._base import NetClassifier
from edaemo.estimators._training import torch_threads
from edaemo.fusion import MusicFeatureUnion

TOLERANCE = 1e-5
INPUT, OUTPUT = "rows", "probability"


class _Probability(nn.Module):
    """A network and the softmax of its logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> Tensor:
        return torch.softmax(self.network(rows), dim=1)


def export_onnx(estimator: BaseEstimator, path: str | PathLike[str]) -> Path:
    """Write the network of a fitted classifier to an ONNX file, and beside it what it needs.

    The file takes float32 rows of shape (n_trials, n_columns), any number of them, named ``rows``,
    and gives ``probability``, float32 of shape (n_trials, n_classes). Before it is put in place it
    is run by onnxruntime on random rows, 1 and 7 together, and compared with torch.

    Parameters
    ----------
    estimator : RTCANClassifier, CNNClassifier, or a Pipeline that ends in one
        Fitted. Of a pipeline the last step alone is exported; the others have to be done before.
    path : path
        The ONNX file, by custom ``….onnx``.

    Returns
    -------
    Path
        The file beside it, of the same name and ``.json`` instead of the suffix: ``columns`` or
        ``layout`` of a row, ``before`` (the steps that come before the network with their
        parameters, and the means and scales of those that standardise), ``classes`` in the order
        of the probabilities, and ``deviation``, the largest difference that was found.

    Raises
    ------
    ImportError
        Without onnx and onnxruntime: ``pip install edaemo[onnx]``.
    FileError
        If the estimator does not end in a network, a file cannot be written, or torch cannot
        export the network.
    RuntimeError
        If the probabilities differ by more than 1e-5; then no file is written.
    NotFittedError
        If it is not fitted.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(name)
        except ImportError as error:
            raise ImportError(f"export_onnx needs {name}: pip install edaemo[onnx]") from error
    before, classifier = _split(estimator)
    check_is_fitted(classifier, "net_")
    path = Path(path)
    beside = path.with_suffix(".json")
    if beside == path:
        raise FileError(f"{path}: .json is for the file beside it; name the network ….onnx.")
    network = _Probability(classifier.net_.module_).cpu().eval()
    try:
        with torch_threads(classifier.n_threads), whole_file(path) as part:
            _write(network, classifier.n_features_in_, part)
            deviation = _compare(network, classifier.n_features_in_, part)
            said = _describe(before, classifier, deviation)
            with whole_file(beside) as other:
                other.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}.") from error
    finally:
        classifier.net_.module_.to(classifier.net_.device)
    return beside


def _split(estimator: BaseEstimator) -> tuple[list[tuple[str, Any]], NetClassifier]:
    """Return the steps before the network, and the network's classifier."""
    before: list[tuple[str, Any]] = []
    last = estimator
    while isinstance(last, sklearn.pipeline.Pipeline):
        before += last.steps[:-1]
        last = last.steps[-1][1]
    if not isinstance(last, NetClassifier):
        raise FileError(
            f"{type(last).__name__} is no network: export_onnx takes RTCANClassifier, "
            "CNNClassifier, or a Pipeline that ends in one."
        )
    return before, last


def _write(network: nn.Module, n_columns: int, path: Path) -> None:
    """Export in two steps, so that torch takes attention of three dimensions apart first."""
    rows = torch.zeros(3, n_columns)
    batch = torch.export.Dim("batch", min=1)
    talkative = logging.getLogger("torch.onnx")
    level = talkative.level
    talkative.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own parts
            program = torch.export.export(
                network, (rows,), dynamic_shapes=({0: batch},), strict=True
            )
            exported = torch.onnx.export(
                program.run_decompositions(),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
            exported.save(os.fspath(path), external_data=False)
    except (torch.onnx.errors.OnnxExporterError, torch._dynamo.exc.TorchDynamoException) as error:
        raise FileError(f"torch cannot export this network: {error}") from error
    finally:
        talkative.setLevel(level)


def _compare(network: nn.Module, n_columns: int, path: Path) -> float:
    """Return the largest difference between onnxruntime and torch; raise where it is too large."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    largest = 0.0
    for n in (1, 7):
        rows = rng.normal(size=(n, n_columns)).astype(np.float32)
        (found,) = session.run([OUTPUT], {INPUT: rows})
        with torch.no_grad():
            expected = network(torch.from_numpy(rows)).numpy()
        largest = max(largest, float(np.abs(found - expected).max()))
    if not largest <= TOLERANCE:
        raise RuntimeError(
            f"onnxruntime gives other probabilities than torch, by {largest:g}: the network was "
            "not exported."
        )
    return largest


def _describe(
    before: list[tuple[str, Any]], classifier: NetClassifier, deviation: float
) -> dict[str, Any]:
    layout = {
        name: value
        for name, value in classifier._network(None)[1].items()
        if name in ("n_chans", "n_times", "n_music_features", "n_features")
    }
    return {
        "edaemo": __version__,
        "input": {"name": INPUT, "dtype": "float32", "shape": ["any", classifier.n_features_in_]},
        "layout": layout,
        "columns": readable(getattr(classifier, "feature_names_in_", None)),
        "before": [{"name": name, **_describe_step(step)} for name, step in before],
        "output": {"name": OUTPUT, "dtype": "float32"},
        "classes": readable(classifier.classes_),
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
    if isinstance(step, MusicFeatureUnion) and hasattr(step, "music_scaler_"):
        said["music_scaler"] = _describe_step(step.music_scaler_)
    if isinstance(step, StandardScaler) and hasattr(step, "scale_"):
        said["mean"], said["scale"] = readable(step.mean_), readable(step.scale_)
    return said


def _describe_value(value: object) -> Any:
    if isinstance(value, pd.DataFrame):
        return f"DataFrame of {len(value)} rows and {value.shape[1]} columns"
    return _describe_step(value) if isinstance(value, BaseEstimator) else readable(value)
