"""Export of a trained network to an ONNX file, which runs without torch."""

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
from edaemo._sklearn import AnyEstimator
from edaemo._whole_file import whole_file
from edaemo.estimators import NetworkEstimator
from edaemo.fusion import BlockUnion
from edaemo.networks import Recurrent
from edaemo.training import torch_threads

TOLERANCE = 1e-5


def export_onnx(estimator: AnyEstimator, path: str | PathLike[str]) -> Path:
    """Write the network of a fitted estimator to an ONNX file, and a description to a JSON file.

    Input of the ONNX file: ``rows``, float32 of shape (n_trials, n_columns), any number of trials.
    Output: ``probability``, float32 of shape (n_trials, n_classes); for a regressor
    ``prediction``, float32 of shape (n_trials, 1). A sequence model has one input per block, with
    the block's name, float32 of shape (n_trials, n_steps, n_features), and an output of shape
    (n_trials, n_steps). Before the file appears under its name, onnxruntime runs it on random
    inputs, batches of 1 and of 7 trials, and the outputs are compared with those of torch.

    Parameters
    ----------
    estimator : network estimator, such as RTCANClassifier, or a Pipeline that ends in one
        Must be fitted. Only the last step of a pipeline is exported. Apply the other steps before
        running the ONNX file.
    path : path
        The ONNX file, usually ``….onnx``.

    Returns
    -------
    Path
        The JSON file: the name of the ONNX file, with ``.json`` instead of ``.onnx``, or after any
        other name. It holds ``columns`` and ``layout`` of a row; ``before``, the steps before the
        network with their parameters, and the means and scales of scalers; ``classes`` in the order
        of the probabilities (null for a regressor); and ``deviation``, the largest difference
        between onnxruntime and torch.

    Raises
    ------
    ImportError
        If onnx, onnxscript or onnxruntime is not installed: ``pip install edaemo[onnx]``.
    FileError
        If the estimator does not end in a network, a file cannot be written, a file of one of the
        names exists and `export_onnx` did not write it, or torch cannot export the network.
    RuntimeError
        If the outputs differ by more than 1e-5 (relative where an output is above 1). Then no file
        is written.
    NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    edaemo.save : A file that edaemo reads again.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import onnxruntime
    >>> from edaemo import RTCANClassifier, export_onnx
    >>> X = np.random.default_rng(0).normal(size=(8, 3 * 40)).astype(np.float32)
    >>> model = RTCANClassifier(n_chans=3, channels=(4, 4, 4, 4), max_epochs=1, random_state=0)
    >>> model = model.fit(X, [0, 1] * 4)
    >>> with TemporaryDirectory() as folder:
    ...     description = export_onnx(model, Path(folder) / "model.onnx")
    ...     network = onnxruntime.InferenceSession(description.with_suffix(".onnx"))
    ...     (probability,) = network.run(None, {network.get_inputs()[0].name: X})
    >>> bool(np.allclose(probability, model.predict_proba(X), atol=1e-5))
    True
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(name)
        except ImportError as error:
            raise ImportError(f"export_onnx needs {name}: pip install edaemo[onnx]") from error
    before, last = _split(estimator)
    check_is_fitted(last, "net_")
    path = Path(path)
    if path.suffix == ".json":
        raise FileError(
            f"{path}: the suffix .json is reserved for the description; call the network ….onnx."
        )
    # A name such as model-v1.0 has no suffix, although it has a dot.
    description = path.with_name(path.name.removesuffix(".onnx") + ".json")
    _check_replaceable(path, description)
    network = last.to_module().cpu().eval()
    try:
        with (
            torch_threads(last.n_threads),
            whole_file(description) as description_part,
            whole_file(path) as part,
        ):
            _write(network, last, part)
            deviation = _compare(network, last, part)
            content = _describe(before, last, deviation)
            description_part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}.") from error
    finally:
        last.net_.module_.to(last.net_.device)
    return description


def _check_replaceable(path: Path, description: Path) -> None:
    """Raise a FileError if one of the files exists and `export_onnx` did not write it."""
    try:
        for file in (path, description):
            if file.is_dir():
                raise FileError(f"{file}: cannot be written: it is a folder.")
        # The first field of every ONNX file is the version of the format, a number.
        is_onnx = not path.exists() or path.read_bytes()[:1] in (b"", b"\x08")
        known = not description.exists() or _is_description(description.read_bytes())
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}.") from error
    for file, ours in ((path, is_onnx), (description, known)):
        if not ours:
            raise FileError(
                f"{file}: this file exists, and export_onnx did not write it. Remove it, or use "
                "another name."
            )


def _is_description(content: bytes) -> bool:
    try:
        found = json.loads(content) if content else {"edaemo": "", "deviation": 0}
    except ValueError:
        return False
    return isinstance(found, dict) and {"edaemo", "deviation"} <= found.keys()


def _split(estimator: BaseEstimator) -> tuple[list[tuple[str, Any]], NetworkEstimator]:
    """Return the steps before the network, and the estimator of the network."""
    before: list[tuple[str, Any]] = []
    last = estimator
    while isinstance(last, sklearn.pipeline.Pipeline):
        before += last.steps[:-1]
        last = last.steps[-1][1]
    if not isinstance(last, NetworkEstimator):
        raise FileError(
            f"{type(last).__name__} is not a network: export_onnx takes RTCANClassifier, "
            "NetworkClassifier or similar, or a Pipeline that ends in one."
        )
    return before, last


def _write(network: nn.Module, estimator: NetworkEstimator, path: Path) -> None:
    """Write the ONNX file; the export has two steps, so that torch decomposes 3-D attention."""
    inputs = {
        name: torch.from_numpy(values) for name, values in estimator.example_inputs(3).items()
    }
    free = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("steps", min=2)}
    # Sequences have three dimensions, and the second is their length.
    shapes = tuple(
        {axis: free[axis] for axis in range(values.ndim - 1)} for values in inputs.values()
    )
    # Only without dynamo can torch export an operator of ONNX, as recurrent layers contain it.
    strict = not any(isinstance(module, Recurrent) for module in network.modules())
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about its own internals
            program = torch.export.export(
                network, tuple(inputs.values()), dynamic_shapes=(shapes,), strict=strict
            )
            exported = torch.onnx.export(
                program.run_decompositions(),
                dynamo=True,
                input_names=[*inputs],
                output_names=[estimator.answer],
                verbose=False,
            )
            assert exported is not None  # only the older exporter returns None
            exported.save(os.fspath(path), external_data=False)
    except (torch.onnx.errors.OnnxExporterError, torch._dynamo.exc.TorchDynamoException) as error:
        raise FileError(f"torch cannot export this network: {error}") from error
    finally:
        logger.setLevel(level)


def _compare(network: nn.Module, estimator: NetworkEstimator, path: Path) -> float:
    """Return the largest difference between onnxruntime and torch; raise if it is too large."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    largest = 0.0
    for n in (1, 7):
        inputs = estimator.example_inputs(n)
        (actual,) = session.run(None, inputs)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        difference = np.abs(actual - expected) / np.maximum(np.abs(expected), 1)
        largest = max(largest, float(difference.max()))
    if not largest <= TOLERANCE:
        raise RuntimeError(
            f"The outputs of onnxruntime and torch differ by {largest:g}: the network was not "
            "exported."
        )
    return largest


def _describe(
    before: list[tuple[str, Any]], last: NetworkEstimator, deviation: float
) -> dict[str, Any]:
    inputs = [
        {
            "name": name,
            "dtype": "float32",
            "shape": ["any"] * (values.ndim - 1) + [values.shape[-1]],
        }
        for name, values in last.example_inputs(1).items()
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
    """Return class and parameters of a step and its inner steps, and means and scales of scalers.

    The result is written as JSON.
    """
    if not isinstance(step, BaseEstimator):
        return {"step": str(step)}
    description: dict[str, Any] = {"class": type(step).__name__}
    if isinstance(step, sklearn.pipeline.Pipeline):
        return {
            **description,
            "steps": [{"name": name, **_describe_step(inner)} for name, inner in step.steps],
        }
    parameters = step.get_params(deep=False)
    description["parameters"] = {name: _describe_value(value) for name, value in parameters.items()}
    if isinstance(step, BlockUnion) and hasattr(step, "music_scaler_"):
        description["music_scaler"] = _describe_step(step.music_scaler_)
    if isinstance(step, StandardScaler) and hasattr(step, "scale_"):
        description["mean"], description["scale"] = readable(step.mean_), readable(step.scale_)
    return description


def _describe_value(value: object) -> Any:
    if isinstance(value, pd.DataFrame):
        return f"DataFrame of {len(value)} rows and {value.shape[1]} columns"
    return _describe_step(value) if isinstance(value, BaseEstimator) else readable(value)
