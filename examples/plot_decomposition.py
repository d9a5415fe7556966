"""Decompose bundled recordings with weights that follow the noise, and as published.

Writes ``decomposition.png``, recordings with responses in µS, and ``decomposition-published.png``,
where the components of the second and fourth recording cancel: the pictures of
docs/decomposition.md.
"""

import numpy as np
from matplotlib import pyplot as plt

from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.decomposition import decompose, scr_events
from edaemo.inspection import plot_decomposition

SMALLEST = 0.02  # µS, of a response that is marked
studies = load_hku956(window=(0.0, 60.0)), load_induced_stress(window=(0.0, 60.0))
rate = studies[0].sampling_rate

# The first recording of each person with at least three responses; two people of each study.
good = []
for study in studies:
    by_person = {}
    for trial in study.trials.itertuples():
        parts = decompose(trial.eda, rate)
        responses = scr_events(parts.phasic, rate, min_amplitude_us=SMALLEST)
        if len(responses) >= 3:
            title = f"{study.name}, {trial.subject}, trial {trial.trial}"
            by_person.setdefault(trial.subject, (title, trial.eda, parts, responses))
    good += list(by_person.values())[:2]
figure, axes = plt.subplots(3, len(good), figsize=(16, 6), layout="constrained")
for column, (title, eda, parts, responses) in zip(axes.T, good, strict=True):
    plot_decomposition(parts, rate, signal=eda, responses=responses, title=title, ax=column)
figure.savefig("decomposition.png", dpi=100)

recordings = []
for study in studies:
    by_kind = {}
    for trial in study.trials.itertuples():
        z_scores = (trial.eda - trial.eda.mean()) / trial.eda.std()
        parts = decompose(z_scores, rate, weights="published")
        cancels = bool(np.ptp(parts.phasic) > 2 * np.ptp(z_scores))
        title = f"{study.name}, {trial.subject}, trial {trial.trial}"
        title += "\nphasic and tonic cancel" if cancels else "\ncomponents within the signal"
        by_kind.setdefault(cancels, (title, z_scores, parts))
    recordings += [by_kind[False], by_kind[True]]
figure, axes = plt.subplots(3, len(recordings), figsize=(16, 6), layout="constrained")
for column, (title, z_scores, parts) in zip(axes.T, recordings, strict=True):
    plot_decomposition(parts, rate, signal=z_scores, unit="z-score", title=title, ax=column)
figure.savefig("decomposition-published.png", dpi=100)
