"""
Save a model, load it, and run it without torch
===============================================

``save`` writes a fitted pipeline to a file without code, ``load`` reads it, and ``export_onnx``
writes the network for onnxruntime. All three predict the same.
"""

# %%
# Fit a pipeline
# --------------
# From raw EDA to a network: does the person rest or work on a task? Half of the people train it.
# A click on a step of the display shows its parameters.
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
from matplotlib import pyplot as plt
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import edaemo
from edaemo.datasets import load_induced_stress
from edaemo.estimators import CNNClassifier
from edaemo.features import EDAFeatureExtractor

study = load_induced_stress()
y = study.targets["task"].to_numpy()
train = study.trials["subject"].isin(study.development).to_numpy()
pipeline = Pipeline(
    [
        ("features", EDAFeatureExtractor(study.sampling_rate)),
        ("scale", StandardScaler().set_output(transform="pandas")),
        ("cnn", CNNClassifier(n_filters=16, max_epochs=20, random_state=0)),
    ]
)
pipeline.fit(study.trials[train], y[train])

# %%
# Save and load
# -------------
# The probabilities of the loaded pipeline are the same to the last bit.
new_people = study.trials[~train]
probability = pipeline.predict_proba(new_people)
folder = TemporaryDirectory()
path = Path(folder.name) / "stress.edaemo"
edaemo.save(pipeline, path)
loaded = edaemo.load(path).predict_proba(new_people)
print(f"{path.stat().st_size / 1000:.0f} kB; equal: {np.array_equal(loaded, probability)}")

# %%
# ONNX
# ----
# The ONNX file holds the network. A JSON file describes the columns of its input and the steps
# before it. The example ``onnx_without_torch.py`` needs numpy and onnxruntime only.
network = Path(folder.name) / "stress.onnx"
description_file = edaemo.export_onnx(pipeline, network)
description = json.loads(description_file.read_text(encoding="utf-8"))
print("input:", description["input"]["shape"], "classes:", description["classes"])
print("steps before:", [step["class"] for step in description["before"]])
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
rows = pipeline[:-1].transform(new_people).to_numpy(np.float32)
(by_onnx,) = session.run(None, {description["input"]["name"]: rows})
print(f"largest difference from torch: {np.abs(by_onnx - probability).max():.0e}")
folder.cleanup()

# %%
# The session of a new person
# ---------------------------
# The three predictions coincide, so the files are right. This does not mean that the model is: five
# of the eight stages of this person are recognised.
person = new_people["subject"].iloc[0]
rows_of_person = (new_people["subject"] == person).to_numpy()
is_task = y[~train][rows_of_person] == "task"
column = list(pipeline.classes_).index("task")
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
place = np.arange(rows_of_person.sum())
axes.bar(place[is_task], 1, width=1, color="0.9", label="task")
for values, marker, size, colour, name in (
    (probability, "o", 13, "#0072B2", "fitted"),
    (loaded, "s", 7, "#D55E00", "loaded"),
    (by_onnx, "x", 7, "black", "ONNX"),
):
    style = {"marker": marker, "ms": size, "mfc": "none", "mew": 1.5, "linestyle": ""}
    axes.plot(place, values[rows_of_person, column], color=colour, label=name, **style)
axes.axhline(0.5, color="0.5", linestyle="--", linewidth=1)
axes.set_xticks(place, new_people["stimulus"][rows_of_person], rotation=20, ha="right")
axes.set(
    ylim=(0, 1.25),
    yticks=[0, 0.5, 1],
    ylabel="probability of a task",
    title=f"Person {person}, not in training",
)
axes.legend(ncols=4, loc="upper center", frameon=False)
plt.show()
