"""Plot the components of four bundled recordings; in two of them, phasic and tonic cancel.

Writes ``decomposition.png``, the picture of docs/decomposition.md.
"""

import numpy as np

from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.decomposition import decompose
from edaemo.inspection import plot_decomposition

recordings = []
for study in (load_hku956(window=(0.0, 60.0)), load_induced_stress(window=(0.0, 60.0))):
    cancelling = {}
    for trial in study.trials.itertuples():
        signal = (trial.eda - trial.eda.mean()) / trial.eda.std()
        parts = decompose(signal, study.sampling_rate)
        cancels = bool(np.ptp(parts.phasic) > 2 * np.ptp(signal))
        title = f"{study.name}, {trial.subject}, trial {trial.trial}"
        title += "\nphasic and tonic cancel" if cancels else "\ncomponents within the signal"
        cancelling.setdefault(cancels, (title, signal, parts))
    recordings += [cancelling[False], cancelling[True]]
figure = plot_decomposition(recordings, sampling_rate=4.0)
figure.savefig("decomposition.png", dpi=100)
