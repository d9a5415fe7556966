"""
A generated listener
====================

``make_music_listening`` generates people who listen to songs and rate them. The truth is known: the
driver of the skin conductance, the components of each recording, and the felt emotion.
"""

# %%
# One trial of one listener
# -------------------------
# The song itself is synthesised, too. With a strong ``stimulus_fingerprint``, many responses follow
# the accents of the song.
import numpy as np
from matplotlib import pyplot as plt

from edaemo import SubjectThresholdRelabeler
from edaemo.datasets import make_music_listening

study = make_music_listening(
    6, 30, 20, subject_fingerprint=0.3, stimulus_fingerprint=0.6, random_state=5
)
subject, trial = "p4", 10
known = study.truth.loc[(subject, trial)]
print(known[["stimulus", "felt_valence", "felt_arousal", "response_rate", "latency"]].to_string())
parts = study.make_components(subject, trial)
time = parts.index

audio = study.make_audio(known.stimulus)
frames = audio[: len(audio) // 8000 * 8000].reshape(-1, 8000)  # frames of 0.5 s
loudness = 10 * np.log10(np.mean(frames.astype(float) ** 2, axis=1) + 1e-10)
accents = study.songs.at[known.stimulus, "accents"]

# %%
# From the song to the rating
# ---------------------------
# Left, from top to bottom: loudness and accents of the song; the driver, with one latency after
# each accent; the phasic component; the recording. Right: the ratings of all trials of this person,
# and the thresholds that separate low from high.
figure = plt.figure(figsize=(11, 7), layout="constrained")
grid = figure.add_gridspec(4, 2, width_ratios=[1.9, 1])
song, driver, phasic, eda = (figure.add_subplot(grid[row, 0]) for row in range(4))
song.plot(0.25 + 0.5 * np.arange(len(loudness)), loudness, color="0.3", linewidth=1)
song.vlines(accents, *song.get_ylim(), color="#c25b17", linestyle=":", label="accent")
song.set_ylabel("song (dB)")
song.set_title(f"song {known.stimulus}, trial {trial} of {subject}", fontsize="medium")
sizes = parts["driver"] / study.sampling_rate
driver.vlines(time[sizes > 0], 0, sizes[sizes > 0], color="#3b7d3a")
driver.vlines(
    accents + known.latency,
    0,
    sizes.max(),
    color="#c25b17",
    linestyle=":",
    label=f"accent + latency of {known.latency:.1f} s",
)
driver.set_ylabel("driver (µS)")
phasic.plot(time, parts["phasic"], color="#1f5a8a")
phasic.set_ylabel("phasic (µS)")
eda.plot(time, parts.drop(columns="driver").sum(axis=1), color="0.3", label="EDA")
eda.plot(time, parts["tonic"], color="#c25b17", label="tonic")
eda.set_ylabel("EDA (µS)")
eda.set_xlabel("time (s)")
for axes in (song, driver, eda):
    axes.legend(loc="upper right", fontsize="small", frameon=False)
for axes in (song, driver, phasic, eda):
    axes.set_xlim(0, known.duration)
    axes.set_ylim(top=axes.get_ylim()[1] + 0.35 * np.ptp(axes.get_ylim()))

of_subject = (study.trials["subject"] == subject).to_numpy()
ratings = study.ratings[of_subject]
this = ratings[(study.trials["trial"] == trial)[of_subject].to_numpy()]
thresholds = SubjectThresholdRelabeler(min_center_distance=0).fit(
    ratings, subject=study.trials["subject"][of_subject]
)
middle = thresholds.thresholds_.loc[subject]
plane = figure.add_subplot(grid[:, 1])
points, count = np.unique(ratings.to_numpy(), axis=0, return_counts=True)
plane.scatter(*points.T, s=40 * count, color="0.6", label=f"the {len(ratings)} trials of {subject}")
plane.scatter(*this.to_numpy().T, s=90, color="#1f5a8a", label="this trial")
plane.axvline(middle["valence"], color="#c25b17", linestyle="--", label=f"threshold of {subject}")
plane.axhline(middle["arousal"], color="#c25b17", linestyle="--")
plane.set(xlim=(0.5, 9.5), ylim=(0.5, 9.5), aspect="equal", xticks=range(1, 10))
plane.set(yticks=range(1, 10), xlabel="valence rating", ylabel="arousal rating")
figure.legend(*plane.get_legend_handles_labels(), loc="outside lower right", ncols=3)
plt.show()
