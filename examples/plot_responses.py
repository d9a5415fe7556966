"""
Measure skin conductance responses
==================================

``scr_table`` counts and measures the responses of each trial. A generated study has a known number
of responses, so the counts can be compared with the truth.
"""

# %%
# One recording
# -------------
# Onset, peak and half recovery of each response in a real recording of 100 s.
import numpy as np
from matplotlib import pyplot as plt

from edaemo.datasets import load_induced_stress, make_music_listening
from edaemo.features import scr_table
from edaemo.inspection import plot_responses

stress = load_induced_stress(window=None)
trial = stress.trials.query("subject == 'S14' and trial == 3").iloc[0]
eda = trial.eda[: round(100 * stress.sampling_rate)]
figure, panel = plt.subplots(figsize=(9, 3), layout="constrained")
panel = plot_responses(eda, stress.sampling_rate, title="Person S14, mental arithmetic", ax=panel)

# %%
# A table of all trials
# ---------------------
# The first trials of the study, as a program for statistics reads them. ``amplitude_mean`` leaves
# trials without responses out; ``magnitude`` counts them as 0.
table = scr_table(stress)
columns = ["subject", "trial", "n_responses", "amplitude_mean", "magnitude", "tonic_level"]
print(table[columns].head(8).round(3).to_string(index=False))

# %%
# Counts compared with the truth
# ------------------------------
# A true response is a rise of the true phasic component. The generated people breathe, and a breath
# is a slow rise, like a small response. With ``breathing=None`` many breaths are counted (points
# far above the line). By default the breathing is estimated beneath the responses and subtracted
# first. cvxEDA misses responses in the most active trials. The generated breathing is regular; of
# irregular breathing a part remains.
study = make_music_listening(20, 20, 8, sampling_rate=10, duration=60.0, random_state=2)


def count_true(trial: tuple[str, int], smallest: float = 0.01) -> int:
    """Return the number of rises of the true phasic component by at least `smallest` µS."""
    phasic = study.make_components(*trial)["phasic"].to_numpy()
    turns = np.flatnonzero(np.diff(np.sign(np.diff(phasic)))) + 1
    return int((np.diff(phasic[np.r_[0, turns]]) >= smallest).sum())


true = np.array([count_true(trial) for trial in study.truth.index])
ways = {
    "bandpass, breathing kept": {"method": "bandpass", "breathing": None},
    "bandpass (default)": {"method": "bandpass"},
    "cvxeda": {"method": "cvxeda"},
}
figure, axes = plt.subplots(1, 3, figsize=(10, 4), sharex=True, sharey=True, layout="constrained")
for panel, (way, settings) in zip(axes, ways.items(), strict=True):
    counted = scr_table(study, min_amplitude=0, **settings)["n_responses"]
    jitter = np.random.default_rng(0).uniform(-0.25, 0.25, (2, len(true)))
    panel.axline((0, 0), slope=1, color="0.6", linewidth=1)
    panel.scatter(true + jitter[0], counted + jitter[1], s=8, alpha=0.5, color="#0072B2")
    panel.set_title(f"{way}: r = {np.corrcoef(true, counted)[0, 1]:.2f}", fontsize=11)
    panel.set_xlabel("true number per minute")
axes[0].set_ylabel("counted per minute")
plt.show()

# sphinx_gallery_thumbnail_number = 2
