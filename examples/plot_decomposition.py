"""Decompose four bundled recordings: components within the signal, and components that cancel.

Writes ``decomposition.png``, the picture of docs/decomposition.md.
"""

import numpy as np
from matplotlib import pyplot as plt

from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.decomposition import decompose
from edaemo.inspection import plot_decomposition

recordings = []
for study in (load_hku956(window=(0.0, 60.0)), load_induced_stress(window=(0.0, 60.0))):
    by_kind = {}
    for trial in study.trials.itertuples():
        signal = (trial.eda - trial.eda.mean()) / trial.eda.std()
        parts = decompose(signal, study.sampling_rate)
        cancels = bool(np.ptp(parts.phasic) > 2 * np.ptp(signal))
        title = f"{study.name}, {trial.subject}, trial {trial.trial}"
        title += "\nphasic and tonic cancel" if cancels else "\ncomponents within the signal"
        by_kind.setdefault(cancels, (title, signal, parts))
    recordings += [by_kind[False], by_kind[True]]
figure, axes = plt.subplots(3, len(recordings), figsize=(16, 6), layout="constrained")
for column, (title, signal, parts) in zip(axes.T, recordings, strict=True):
    plot_decomposition(
        parts, study.sampling_rate, signal=signal, unit="z-score", title=title, ax=column
    )
figure.savefig("decomposition.png", dpi=100)
