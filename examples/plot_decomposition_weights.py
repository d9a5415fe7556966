"""
cvxEDA with weights by the noise, and as published
==================================================

The published weights of cvxEDA are two numbers for z-scored recordings. They do not depend on the
noise. In many wrist recordings, phasic and tonic component then cancel.
"""

# %%
# Weights that follow the noise
# -----------------------------
# The first recording of each person with at least three responses, for two people of each bundled
# study. The components are in µS and stay within the range of the recording.
import warnings

import numpy as np
from matplotlib import pyplot as plt

from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.decomposition import decompose, scr_events
from edaemo.inspection import plot_decomposition

SMALLEST = 0.02  # µS, of a response that is marked

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*shorter than the window")
    studies = load_hku956(window=(0.0, 60.0)), load_induced_stress(window=(0.0, 60.0))
rate = studies[0].sampling_rate

good = []
for study in studies:
    by_person = {}
    for trial in study.trials.itertuples():
        if trial.subject in by_person:
            continue
        parts = decompose(trial.eda, rate)
        responses = scr_events(parts.phasic, rate, min_amplitude_us=SMALLEST)
        if len(responses) >= 3:
            title = f"{study.name}, {trial.subject}, trial {trial.trial}"
            by_person[trial.subject] = (title, trial.eda, parts, responses)
    good += list(by_person.values())[:2]

figure, axes = plt.subplots(3, len(good), figsize=(16, 6), layout="constrained")
for column, (title, eda, parts, responses) in zip(axes.T, good, strict=True):
    plot_decomposition(parts, rate, signal=eda, responses=responses, title=title, ax=column)

# %%
# Published weights
# -----------------
# The same method with the weights of the paper, on z-scored recordings. The second and the fourth
# recording have little activity: the phasic component spans more than twice the range of the
# recording, and the tonic component cancels it.
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
        if len(by_kind) == 2:
            break
    recordings += [by_kind[False], by_kind[True]]

figure, axes = plt.subplots(3, len(recordings), figsize=(16, 6), layout="constrained")
for column, (title, z_scores, parts) in zip(axes.T, recordings, strict=True):
    plot_decomposition(parts, rate, signal=z_scores, unit="z-score", title=title, ax=column)
plt.show()
