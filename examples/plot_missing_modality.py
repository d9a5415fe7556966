"""
Predict without one of the modalities
=====================================

Sensors fail. ``MAETClassifier`` is a transformer over the modalities that a trial has. In training
it drops modalities at random, so it can predict from EDA alone, music alone, or both.
"""

# %%
# Features of EDA and music
# -------------------------
# The labels are low and high by each person's own threshold.
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo import MusicFeatureUnion, SubjectThresholdRelabeler
from edaemo.datasets import make_music_listening
from edaemo.estimators import MAETClassifier
from edaemo.features import EDAFeatureExtractor

study = make_music_listening(32, 60, 20, sampling_rate=8, duration=25.0, random_state=0)
subject = study.trials["subject"]
y = SubjectThresholdRelabeler("arousal", min_center_distance=0).fit_relabel(
    study.ratings, subject=subject
)
X = MusicFeatureUnion(
    eda=EDAFeatureExtractor(study.sampling_rate, preset="compact"), music=study.music
).fit_transform(study.trials)
new_people = subject.isin(study.development).to_numpy()

# %%
# One model for all cases
# -----------------------
# Half of the people train the network, the others are in the test. All training trials have both
# modalities; the parameter ``modality_dropout`` leaves one out in some of them.
model = make_pipeline(
    StandardScaler().set_output(transform="pandas"),
    MAETClassifier({"eda": "features", "music": "features"}, random_state=0),
)
model.fit(X[~new_people], y[~new_people])

# %%
# Three tests of the same trials
# ------------------------------
# A missing modality is NaN in all its columns, or not in the table.
test = X[new_people]
columns_of = {
    name: [column for column in X if column.startswith(f"{name}_")] for name in ("eda", "music")
}
cases = {
    "EDA and music": test,
    "EDA only": test.assign(**dict.fromkeys(columns_of["music"], np.nan)),
    "music only": test.assign(**dict.fromkeys(columns_of["eda"], np.nan)),
}
scores = {}
for name, rows in cases.items():
    outcome = pd.DataFrame({"label": y[new_people], "predicted": model.predict(rows)})
    scores[name] = [
        balanced_accuracy_score(trials["label"], trials["predicted"])
        for _, trials in outcome.groupby(subject[new_people].to_numpy())
    ]
scores = pd.DataFrame(scores)
print(scores.describe().loc[["count", "mean", "std"]].round(3).to_string())

# %%
# The picture
# -----------
# Each dot is a person who was not in training. Without music or without EDA, the same network still
# predicts above chance. Here the EDA adds nothing to the music: the network relies on the songs,
# which it heard in training.
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
generator = np.random.default_rng(0)
for place, (_, values) in enumerate(scores.items()):
    jitter = generator.uniform(-0.15, 0.15, len(values))
    axes.scatter(values, place + jitter, s=18, color="#0072B2", alpha=0.5)
    error = 1.96 * values.sem()
    axes.errorbar(values.mean(), place, xerr=error, fmt="D", color="#D55E00", capsize=5, zorder=3)
axes.axvline(0.5, color="0.5", linestyle="--", label="chance")
axes.set_yticks(range(3), scores)
axes.invert_yaxis()
axes.set_xlabel("balanced accuracy of a person; mean with 95 % interval")
axes.set_title("Arousal of new generated listeners, one network", fontsize="medium")
axes.legend(frameon=False)
plt.show()
