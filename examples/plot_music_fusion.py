"""
Join music with the electrodermal activity
==========================================

``MusicFeatureUnion`` joins the columns of the EDA with features of the music. In a generated study,
both carry a part of the emotion, and the best possible score with each is known.
"""

# %%
# One table of both
# -----------------
# The names of the columns hold the layout, and the index holds subject, stimulus and trial. Music
# is standardised over the training stimuli of each fold.
from tempfile import TemporaryDirectory

from matplotlib import pyplot as plt

from edaemo import MusicFeatureUnion
from edaemo.benchmark import evaluate
from edaemo.datasets import make_music_listening
from edaemo.features import EDAFeatureExtractor

study = make_music_listening(30, 60, 20, sampling_rate=8, duration=25.0, random_state=0)
union = MusicFeatureUnion(
    eda=EDAFeatureExtractor(study.sampling_rate, preset="compact"), music=study.music
)
X = union.fit_transform(study.trials)
print(X.iloc[:3, [0, 1, -2, -1]].round(2).to_string())
print(f"{X.shape[0]} trials, {X.shape[1]} columns")

# %%
# EDA, music, and both
# --------------------
# The same linear SVM on the features of each input. People and songs are held out, so that no model
# can know a test song from training.
PIPELINES = ["svm-eda", "svm-music", "svm-eda-music"]
with TemporaryDirectory() as folder:
    table = evaluate(
        PIPELINES,
        study,
        "arousal",
        "subject+stimulus",
        people="all",
        n_splits=3,
        n_jobs=1,
        store=f"{folder}/results.sqlite",
    ).set_index("pipeline")
bounds = study.bayes_rate(1000)["balanced_accuracy"]["arousal"]
print(bounds.round(3).to_string())

# %%
# Score and best possible score
# -----------------------------
# Dots: score on new people and new songs. Orange lines: the best possible score with this input.
# Reference rows use no EDA and no music. The score with both inputs is the highest, but its
# interval overlaps with the others: 30 people are too few to show the gain.
rows = table.loc[["majority", "trial-order", *PIPELINES]]
score = rows["balanced_accuracy_by_person"]
error = [
    score - rows["balanced_accuracy_by_person_low"],
    rows["balanced_accuracy_by_person_high"] - score,
]
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.axvline(0.5, color="0.5", linestyle="--", label="chance")
for name, source in zip(PIPELINES, ("eda", "music", "both"), strict=True):
    place = list(rows.index).index(name)
    axes.vlines(bounds[source], place - 0.3, place + 0.3, color="#D55E00", linewidth=3)
axes.vlines([], 0, 0, color="#D55E00", linewidth=3, label="best possible")
axes.errorbar(score, rows.index, xerr=error, fmt="o", color="#0072B2", capsize=4, label="score")
axes.invert_yaxis()
axes.set_xlabel("balanced accuracy, mean over people (95 % interval)")
axes.set_title(f"Arousal of {study.trials['subject'].nunique()} generated listeners", fontsize=11)
axes.legend(frameon=False)
plt.show()
