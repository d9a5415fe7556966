"""
How much a leaking split flatters
=================================

Many published accuracies come from a random split of trials: people and songs are then in training
and in test. This study is generated so that its EDA holds nothing about the emotion, only a
fingerprint of the song. A fair protocol must find nothing.
"""

# %%
# Recordings that depend on the song
# ----------------------------------
# The size of the responses depends on the song, in any mood. Listeners also agree on how the song
# feels. So a model that recognises the song can predict the rating, without any emotion in the EDA.
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from edaemo import SubjectThresholdRelabeler
from edaemo.benchmark import evaluate
from edaemo.datasets import load_induced_stress, make_music_listening
from edaemo.decomposition import decompose, scr_events
from edaemo.inspection import plot_decomposition
from edaemo.model_selection import make_protocol

study = make_music_listening(
    40,
    20,
    20,
    sampling_rate=4,
    duration=25.0,
    eda_informativeness=0.0,
    music_informativeness=0.0,
    subject_fingerprint=0.0,
    stimulus_fingerprint=1.0,
    time_drift=0.0,
    random_state=0,
)

# %%
# Three protocols
# ---------------
# The same linear SVM on the same recordings. Only the split differs.
PROTOCOLS = ("trial", "subject", "subject+stimulus")
for protocol in PROTOCOLS:
    print(f"{protocol}: {make_protocol(protocol, 3).summary}")
with TemporaryDirectory() as folder:
    table = evaluate(
        "svm-eda",
        study,
        "arousal",
        PROTOCOLS,
        people="all",
        n_splits=3,
        n_jobs=1,
        store=f"{folder}/results.sqlite",
    )
scores = table[table["pipeline"] == "svm-eda"].set_index("protocol").loc[list(PROTOCOLS)]
columns = ["balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"]
print(scores[columns].round(3).to_string())

# %%
# What the split hides
# --------------------
# Left: each dot is a trial. A song has a range of the EDA of its own, and its own share of high
# ratings. Right: the score is above chance if trials are split at random, and also if people are
# held out, since the test songs were heard in training. It is not above chance if people and songs
# are held out. Nothing was learned about emotion.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
high = SubjectThresholdRelabeler("arousal", min_center_distance=0).fit_relabel(
    study.ratings, subject=study.trials["subject"]
)
stimulus = study.trials["stimulus"].to_numpy()
share_high = pd.Series(high).groupby(stimulus).mean().sort_values()
place = share_high.index.get_indexer(stimulus)
spread = study.trials["eda"].map(np.ptp)
jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(place))
for label, name, colour in ((0, "low", "#0072B2"), (1, "high", "#D55E00")):
    rows = high == label
    left.scatter(
        (place + jitter)[rows], spread[rows], s=8, alpha=0.6, color=colour, label=f"{name} arousal"
    )
left.set(yscale="log", ylabel="range of the EDA in a trial (µS)")
left.set_xlabel("song, from the lowest to the highest share of high arousal")
left.set_xticks([])
left.set_title("Trials of 20 songs", fontsize="medium")
left.legend(loc="lower left", fontsize="small")


def draw_scores(axes: Axes, title: str) -> None:
    """Draw the score of each protocol with its interval."""
    score = scores["balanced_accuracy"]
    error = [score - scores["balanced_accuracy_low"], scores["balanced_accuracy_high"] - score]
    axes.errorbar(score, PROTOCOLS, xerr=error, fmt="o", color="#0072B2", capsize=4)
    for protocol, value in score.items():
        axes.annotate(f"{value:.2f}", (value, protocol), (0, 8), textcoords="offset points")
    axes.axvline(0.5, color="0.5", linestyle="--", label="chance")
    axes.set(xlim=(0.3, 0.8), ylim=(2.6, -0.6), ylabel="protocol")
    axes.set_xlabel("balanced accuracy (95 % interval)")
    axes.set_title(title, fontsize="medium")
    axes.legend(frameon=False)


draw_scores(right, "One linear SVM; the EDA holds no emotion")
plt.show()

# %%
# Next to a recording
# -------------------
# The two things that edaemo is for, in one picture, which the README shows: to find the responses
# in a recording (here two minutes of mental arithmetic, bundled), and to tell what a split hides.
stress = load_induced_stress(window=None)
rate = stress.sampling_rate
eda = stress.trials.query("subject == 'S14' and trial == 3")["eda"].iloc[0][: round(120 * rate)]
parts = decompose(eda, rate)
responses = scr_events(parts.phasic, rate, min_amplitude_us=0.05)

figure = plt.figure(figsize=(11, 4.6), layout="constrained")
((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(3, 2))
plot_decomposition(
    parts,
    rate,
    signal=eda,
    responses=responses,
    title="Wrist EDA during mental arithmetic (induced-stress, S14)",
    ax=left.subplots(3, 1, sharex=True),
)
draw_scores(right.subplots(), "One SVM; EDA depends on the song")
plt.show()
