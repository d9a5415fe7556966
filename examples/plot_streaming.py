"""
Predict while the samples arrive
================================

With one direction and without attention, the MuSe model uses no later step. ``predict_stream``
predicts each chunk of a recording as it arrives, and returns the same numbers as ``predict`` for
the whole trial.
"""

# %%
# Features that do not look ahead
# -------------------------------
# A z-score over the trial would use later samples, so ``scale_trials=False``. The logarithm of the
# EDA makes the levels of people more similar. In this generated study, arousal is visible in the
# EDA only.
import numpy as np
from matplotlib import pyplot as plt

from edaemo.datasets import make_continuous_listening
from edaemo.estimators import MuSeLSTMRegressor
from edaemo.fusion import StepAligner
from edaemo.metrics import series_concordance

study = make_continuous_listening(24, 16, 8, music_share=0.0, eda_share=0.8, random_state=0)
trials = study.trials.assign(eda=study.trials["eda"].map(np.log))
aligner = StepAligner(
    study.label_rate,
    sampling_rate=study.sampling_rate,
    delay=study.label_delay,
    windows=[1.0, 4.0],
    statistics=("mean", "sd", "slope"),
    scale_trials=False,
)
X = aligner.fit_transform(trials)
y = study.targets["arousal"]
train = (~trials["subject"].isin(study.development)).to_numpy()

# %%
# The price of not looking ahead
# ------------------------------
# A model with both directions sees the whole trial before its first prediction.
SETTINGS = {"columns": ["eda"], "attention": False, "max_epochs": 20, "random_state": 0}
online = MuSeLSTMRegressor(bidirectional=False, **SETTINGS).fit(X[train], y[train])
offline = MuSeLSTMRegressor(bidirectional=True, **SETTINGS).fit(X[train], y[train])
for name, model in (("one direction", online), ("both directions", offline)):
    ccc = series_concordance(y[~train], model.predict(X[~train]))
    print(f"{name}: CCC {ccc:.2f} on {(~train).sum()} trials of new people")
print(f"best possible: {study.bounds.at['arousal', 'eda']:.2f}")

# %%
# A trial in chunks of ten seconds
# --------------------------------
# The recording grows by ten seconds at a time. Only the steps that are new are predicted; the state
# carries what was before.
row = int(np.flatnonzero(~train)[0])
trial = trials.iloc[[row]]
whole, rate = trial["eda"].iloc[0], study.sampling_rate
state, chunks = None, []
for end in np.arange(10, 61, 10):
    so_far = aligner.transform(trial.assign(eda=[whole[: int(end * rate)]]))
    n_done = sum(map(len, chunks))
    new_steps = so_far.assign(eda=[so_far["eda"].iloc[0][n_done:]])
    predicted, state = online.predict_stream(new_steps, state)
    chunks.append(predicted)
at_once = online.predict(X.iloc[[row]])[0]
print(f"largest difference from predict: {np.abs(np.concatenate(chunks) - at_once).max():.1e}")

# %%
# The picture
# -----------
# The prediction follows the rises and falls of the rating. It misses the level of this person,
# which cannot be known from the EDA.
figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
axes[0].plot(np.arange(len(whole)) / rate, np.exp(whole), color="0.3")
axes[0].set_ylabel("EDA (µS)")
axes[0].set_title(f"Person {trial['subject'].iloc[0]}, who is not in training", fontsize="medium")
axes[1].plot(np.arange(len(y[row])) / study.label_rate, y[row], color="0.3", label="rated")
start = 0.0
for place, chunk in enumerate(chunks):
    time = start + np.arange(len(chunk)) / study.label_rate
    colour, label = (("#0072B2", "predicted"), ("#D55E00", "next chunk"))[place % 2]
    axes[1].plot(time, chunk, ".-", color=colour, label=label if place < 2 else None)
    start += len(chunk) / study.label_rate
    for panel in axes:
        panel.axvline(start, color="0.8", zorder=0)
axes[1].set(xlabel="time (s)", ylabel="arousal (1 to 9)")
axes[1].legend(frameon=False, ncols=3)
plt.show()
