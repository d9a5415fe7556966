"""
Run a network without torch
===========================

The network takes rows of numbers and returns the probabilities of the classes.

On a computer with edaemo, ``edaemo.export_onnx(model, "model.onnx")`` writes the network. It also
writes ``model.json``, which describes the columns of a row and the steps before the network. This
script needs only onnxruntime and numpy::

    python onnx_without_torch.py model.onnx rows.csv

rows.csv has one trial per line, the columns listed in ``model.json``, and no header.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def predict(model: Path, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the probability of each class for rows of shape (n_trials, n_columns)."""
    description = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    n_columns = description["input"]["shape"][1]
    if rows.shape[1] != n_columns:
        raise ValueError(f"a row has {rows.shape[1]} columns, but the network takes {n_columns}.")
    network = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs = [description["output"]["name"]]
    inputs = {description["input"]["name"]: rows.astype(np.float32)}
    (probability,) = network.run(outputs, inputs)
    return {str(label): probability[:, k] for k, label in enumerate(description["classes"])}


if __name__ == "__main__":
    table = np.loadtxt(sys.argv[2], delimiter=",", ndmin=2)
    probabilities = predict(Path(sys.argv[1]), table)
    print(",".join(f"probability_{label}" for label in probabilities))
    for row in zip(*probabilities.values(), strict=True):
        print(",".join(f"{probability:.6f}" for probability in row))
