"""
Tune inside the folds
=====================

A search over settings picks the best of many noisy scores. If that score is reported, it is above
chance even where nothing can be learned. A search inside each training fold is scored on people
that it has not seen.
"""

# %%
# Labels without information
# --------------------------
# The labels are coin flips, so every honest score is 0.5 on average.
import numpy as np
from matplotlib import pyplot as plt
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edaemo.datasets import make_music_listening
from edaemo.features import EDAFeatureExtractor

study = make_music_listening(15, 12, 8, sampling_rate=4, duration=25.0, random_state=0)
X = EDAFeatureExtractor(study.sampling_rate, preset="compact").fit_transform(study.trials)
subject = study.trials["subject"].to_numpy()
print(f"{X.shape[0]} trials of {len(set(subject))} people, {X.shape[1]} features")

# %%
# Two ways to report a tuned model
# --------------------------------
# ``best_score_`` is the mean over folds of the best setting, chosen by the same folds. The nested
# score chooses the setting again for each fold, by training people alone. People are held out in
# both; only the choice differs.
GRID = {"svc__C": [0.1, 1, 10, 100], "svc__gamma": [0.003, 0.03, 0.3]}
chosen, nested = [], []
for seed in range(5):
    y = np.random.default_rng(seed).integers(0, 2, len(X))
    folds = GroupKFold(3, shuffle=True, random_state=seed)
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVC()),
            GRID,
            cv=folds.set_split_request(groups="subject"),
            scoring="balanced_accuracy",
        )
        chosen.append(search.fit(X, y, subject=subject).best_score_)
        params = {"subject": subject}
        nested.append(cross_val_score(search, X, y, cv=folds, params=params).mean())
print(f"reported after the choice: {np.mean(chosen):.3f}; nested: {np.mean(nested):.3f}")

# %%
# The picture
# -----------
# Each line is one draw of the labels. The score that chose the setting is above chance in each.
# The nested score is lower, and near chance on average.
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.axhline(0.5, color="0.5", linestyle="--", label="chance")
for pair in zip(chosen, nested, strict=True):
    axes.plot([0, 1], pair, "o-", color="#0072B2", alpha=0.5, linewidth=1)
axes.plot([0, 1], [np.mean(chosen), np.mean(nested)], "D-", color="#D55E00", label="mean")
axes.set_xticks(
    [0, 1], ["the score that\nchose the setting", "score on people\nnot used to choose"]
)
axes.set(xlim=(-0.4, 1.4), ylabel="balanced accuracy", title="Labels are coin flips")
axes.legend(frameon=False)
plt.show()
