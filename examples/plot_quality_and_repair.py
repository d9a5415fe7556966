"""
Find artefacts and repair them
==============================

A generated study has artefacts at known positions. ``signal_quality`` finds them, and
``repair_signals`` replaces them before a decomposition. The true recording is known, so the picture
shows what a repair restores and what it does not.
"""

# %%
# A study with artefacts
# ----------------------
# Every trial has one artefact: a spike, lost contact, saturation, or coarse steps.
import numpy as np
from matplotlib import pyplot as plt

from edaemo.datasets import make_music_listening
from edaemo.preprocessing import repair_signals, signal_quality

study = make_music_listening(
    12, 8, 8, sampling_rate=8, duration=30, artefact_share=1.0, random_state=1
)
kinds = study.truth["artefact"]
print(kinds.value_counts().to_string())

# %%
# What is found
# -------------
# The table counts, for each kind of artefact, the trials with each defect. All spikes, losses of
# contact and saturations are found. A sensor without contact is also clipped. Steps of 0.02 µS
# are not a defect: the column ``quantization_step`` of the result has their size.
quality = signal_quality(study)
defects = ["n_spikes", "lost_contact_share", "saturated_share", "clipped_share"]
found = (quality[defects] > 0).groupby(kinds.to_numpy()).sum()
print(found.assign(trials=kinds.value_counts()).to_string())

# %%
# What a repair restores
# ----------------------
# Spikes, lost contact and clipped samples are replaced by a straight line, with 0.25 s around them.
# A line cannot restore responses that began during the artefact, and saturation is kept.
rate = study.sampling_rate
repaired = repair_signals(list(study.trials["eda"]), rate, "interpolate")


def true_recording(row: int) -> np.ndarray:
    """Return the recording of a trial without its artefact, in µS."""
    components = study.make_components(*study.truth.index[row])
    return components[["phasic", "tonic", "noise"]].sum(axis=1).to_numpy()


figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharex=True, layout="constrained")
for panel, kind in zip(axes, ("spike", "lost_contact", "saturated"), strict=True):
    row = int(np.flatnonzero(kinds == kind)[0])
    time = np.arange(len(study.trials["eda"][row])) / rate
    panel.plot(time, true_recording(row), color="0.75", linewidth=4, label="without artefact")
    panel.plot(time, study.trials["eda"][row], color="#D55E00", label="recorded")
    panel.plot(time, repaired[row].signal, "--", color="#0072B2", label="repaired")
    subject, trial = study.truth.index[row]
    share = repaired[row].replaced.mean()
    panel.set_title(
        f"{kind.replace('_', ' ')} ({subject}, trial {trial})\n{share:.0%} replaced",
        fontsize="medium",
    )
    panel.set_xlabel("time (s)")
axes[0].set_ylabel("EDA (µS)")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
