"""
The attention of a network
==========================

Grad-CAM of RTCAN's attention modules shows at which times and in which channels a network finds
evidence for a class. The pictures follow Figures 5 to 8 of the RTCAN-1D paper (Yin, Sun, Yu, Li &
Zhang 2022).
"""

# %%
# Three networks
# --------------
# Rb, Rd and Re of the paper's Table 5: channel attention, temporal attention, and both. They are
# trained on half of the people of a generated study whose EDA is very informative.
import warnings

from matplotlib import pyplot as plt
from sklearn.metrics import balanced_accuracy_score

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import make_music_listening
from edaemo.inspection import grad_cam, plot_attention

RATE, TRIM = 8, 3.0  # Hz, s
MODELS = {
    "channel attention": {"sca": True, "rnta": False},
    "temporal attention": {"sca": False, "rnta": True},
    "channel and temporal": {"sca": True, "rnta": True},
}

study = make_music_listening(
    20, 60, 20, sampling_rate=RATE, duration=24, eda_informativeness=1.0, random_state=0
)
subject = study.trials["subject"]
channels = CvxEDATransformer(sampling_rate=RATE, trim_seconds=TRIM)
X = MusicFeatureUnion(eda=channels).fit_transform(study.trials)
train = subject.isin(study.development).to_numpy()
shown = int((~train).argmax())  # the first trial of the first held-out subject
scores = {}


def draw(target: str) -> None:
    """Train the three networks on a target, and draw their attention in the shown trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about subjects whose ratings do not form two groups
        y = SubjectThresholdRelabeler(target).fit_relabel(study.ratings, subject=subject)
    importance = {}
    for title, attention in MODELS.items():
        model = RTCANClassifier(
            form="small-corpus", channels=(16, 16, 16, 16), random_state=0, **attention
        ).fit(X[train], y[train])
        scores[target, title] = balanced_accuracy_score(y[~train], model.predict(X[~train]))
        importance[f"{title}\nbalanced accuracy {scores[target, title]:.2f}"] = grad_cam(
            model, X.iloc[[shown]], layer="attention", target=1
        )
    axes = plot_attention(importance, RATE, start=TRIM, raw=study.trials.loc[shown, "eda"])
    trial = study.trials.loc[shown]
    axes[0, 0].figure.suptitle(
        f"Generated trial {trial['trial']} of {trial['subject']}: evidence for high {target} "
        f"(rated {study.ratings.loc[shown, target]:.0f} of 9, {'high' if y[shown] else 'low'})",
        fontsize="medium",
    )


# %%
# Arousal
# -------
# From top to bottom: the recording, the three channels with the weights as columns, and the weights
# by channel. Balanced accuracy is that of people who are not in training.
draw("arousal")

# %%
# Valence, the same trial
# -----------------------
# All networks put their weight on skin conductance responses. The pictures do not show that one
# kind of attention is better: they change with the seed as much as with the kind of attention.
draw("valence")
plt.show()
