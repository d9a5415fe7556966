"""
Emotion over time
=================

``MuSeLSTMRegressor`` predicts a number at each step of a trial, such as arousal twice per second.
In a generated study, the best possible concordance correlation (CCC) is known.
"""

# %%
# Signals, music and labels on one time axis
# ------------------------------------------
# ``StepAligner`` computes features of the EDA and the music at each label. Its parameter ``delay``
# is the time that people need to rate what they feel.
import numpy as np
from matplotlib import pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo.datasets import make_continuous_listening
from edaemo.estimators import MuSeLSTMRegressor, StepwiseRegressor
from edaemo.fusion import StepAligner
from edaemo.metrics import series_concordance

study = make_continuous_listening(20, 16, 8, random_state=0)
aligner = StepAligner(
    study.label_rate,
    sampling_rate=study.sampling_rate,
    music=study.music_steps,
    delay=study.label_delay,
    windows=[1.0, 4.0],
    statistics=("mean", "sd", "slope"),
)
X = aligner.fit_transform(study.trials)
print(X.iloc[:3][["eda", "music"]].map(np.shape).to_string())

# %%
# New people and new songs
# ------------------------
# Half of the people and of the songs are in training only; the others are in the test only. A
# constant prediction has a CCC of 0.
new_people = study.trials["subject"].isin(study.development)
new_songs = study.trials["stimulus"].isin(sorted(set(study.trials["stimulus"]))[::2])
train, test = (~new_people & ~new_songs).to_numpy(), (new_people & new_songs).to_numpy()
y = study.targets["arousal"]
columns = ["eda", "music"]
models = {
    "ridge": StepwiseRegressor(make_pipeline(StandardScaler(), Ridge()), columns),
    "MuSe": MuSeLSTMRegressor(columns=columns, max_epochs=20, random_state=0),
}
for model in models.values():
    model.fit(X[train], y[train])
predicted = {name: model.predict(X[test]) for name, model in models.items()}
score = {name: series_concordance(y[test], series) for name, series in predicted.items()}
print(f"{train.sum()} training trials, {test.sum()} test trials, CCC over all test steps")
print("\n".join(f"{name}: {ccc:.2f}" for name, ccc in score.items()))
print(f"best possible: {study.bounds.at['arousal', 'eda+music']:.2f}")

# %%
# Two test trials
# ---------------
# Both models follow the rating with some noise. On this small study, ridge regression and the
# network are close.
figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
time = np.arange(len(y.iloc[0])) / study.label_rate
for panel, place in zip(axes, (0, int(test.sum()) - 1), strict=True):
    panel.plot(time, y[test].iloc[place], color="0.3", linewidth=2.5, label="rated")
    panel.plot(time, predicted["MuSe"][place], color="#0072B2", label="MuSe")
    panel.plot(time, predicted["ridge"][place], "--", color="#D55E00", label="ridge")
    trial = study.trials[test].iloc[place]
    panel.set_title(f"person {trial['subject']}, song {trial['stimulus']}", fontsize="medium")
    panel.set_ylabel("arousal (1 to 9)")
axes[1].set_xlabel("time (s)")
axes[0].legend(ncols=3, frameon=False)
plt.show()
