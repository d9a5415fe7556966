"""
Event-related responses
=======================

Does the skin respond to an event? ``scr_table(events=…)`` measures each event, and a comparison
with other times of the same trials shows what the events add.
"""

# %%
# Events and control times
# ------------------------
# Generated listeners respond to the accents of a song with their latency. In each song, every
# accent is an event, and as many random times are controls. A response belongs to an event if it
# begins 1 to 4 s after the event.
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.stats import wilcoxon

from edaemo.datasets import make_music_listening
from edaemo.features import scr_table

study = make_music_listening(
    16,
    10,
    8,
    sampling_rate=16,
    duration=60.0,
    subject_fingerprint=0.3,
    stimulus_fingerprint=0.5,
    random_state=3,
)
generator = np.random.default_rng(0)
events = pd.concat(
    pd.DataFrame({"stimulus": stimulus, "event": event, "onset": onsets})
    for stimulus, accents in study.songs["accents"].items()
    for event, onsets in (
        ("accent", accents),
        ("control", np.sort(generator.uniform(3, 55, len(accents)))),
    )
)
in_trials = study.trials[["subject", "stimulus", "trial"]].merge(events, on="stimulus")
table = scr_table(study, events=in_trials)
table = table[table["complete"]]
columns = ["subject", "stimulus", "event", "onset", "response", "magnitude"]
print(table[columns].head(6).round(2).to_string(index=False))

# %%
# Magnitude by person
# -------------------
# The magnitude is 0 if the event has no response, so its mean includes all events. The test
# compares two means of each person, and not single events.
magnitude = table.astype({"magnitude": float}).pivot_table("magnitude", "subject", "event")
test = wilcoxon(magnitude["accent"], magnitude["control"])
responded = table.groupby("event")["response"].mean().astype(float)
print(f"share of events with a response: {responded.round(2).to_dict()}")
print(f"magnitude, {len(magnitude)} people: p = {test.pvalue:.2g} (Wilcoxon, two-sided)")

# %%
# The average response
# --------------------
# EDA from 2 s before to 10 s after an event, minus its mean before the event; mean over people with
# its standard error. The accents raise the EDA after 2 to 3 s. Many control times are followed by a
# response, too, but at no common time, so their average has no response. A share of events with a
# response therefore means little without control times.
rate = study.sampling_rate
before, after = 2 * rate, 10 * rate
eda = study.trials.set_index(["subject", "trial"])["eda"]
curves = {"accent": {}, "control": {}}
for row in in_trials.itertuples():
    start = round(row.onset * rate)
    recording = eda[row.subject, row.trial]
    if before <= start < len(recording) - after:
        part = recording[int(start - before) : int(start + after)]
        curves[row.event].setdefault(row.subject, []).append(part - part[: int(before)].mean())

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), width_ratios=(3, 2), layout="constrained"
)
time = np.arange(-before, after) / rate
colours = {"accent": "#0072B2", "control": "#D55E00"}
for event, by_person in curves.items():
    means = np.array([np.mean(parts, axis=0) for parts in by_person.values()])
    mean, error = means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(len(means))
    left.fill_between(time, mean - error, mean + error, color=colours[event], alpha=0.25)
    left.plot(time, mean, color=colours[event], label=event)
left.axvline(0, color="0.6", linestyle="--", linewidth=1)
left.set(xlabel="time after the event (s)", ylabel="change of EDA (µS)", title="Average EDA")
left.legend(frameon=False)
for values in magnitude[["control", "accent"]].to_numpy():
    right.plot([0, 1], values, "o-", color="0.5", markersize=4, linewidth=1)
right.plot([0, 1], magnitude[["control", "accent"]].mean(), "D-", color="black", label="mean")
right.set_xticks([0, 1], ["control", "accent"])
right.set(xlim=(-0.3, 1.3), ylabel="magnitude (µS)", title="Each person")
right.legend(frameon=False)
plt.show()
