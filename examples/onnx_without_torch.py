"""A trained network without torch: rows of numbers in, the probability of each class out.

Where edaemo is installed, ``edaemo.export_onnx(model, "model.onnx")`` writes the network and, in
``model.json``, what a row holds and what must be done before. Here onnxruntime and numpy suffice:

    python onnx_without_torch.py model.onnx rows.csv

rows.csv has one trial in each line, columns as ``model.json`` says, and no header.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def predict(model: Path, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Give the probability of each class for rows of shape (n_trials, n_columns)."""
    said = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    n_columns = said["input"]["shape"][1]
    if rows.shape[1] != n_columns:
        raise ValueError(f"a row has {rows.shape[1]} columns, and the network takes {n_columns}.")
    network = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    asked, given = [said["output"]["name"]], {said["input"]["name"]: rows.astype(np.float32)}
    (probability,) = network.run(asked, given)
    return {str(label): probability[:, k] for k, label in enumerate(said["classes"])}


if __name__ == "__main__":
    table = np.loadtxt(sys.argv[2], delimiter=",", ndmin=2)
    shares = predict(Path(sys.argv[1]), table)
    print(",".join(f"probability_{label}" for label in shares))
    for row in zip(*shares.values(), strict=True):
        print(",".join(f"{share:.6f}" for share in row))
