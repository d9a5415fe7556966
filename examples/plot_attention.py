"""Plot the attention of three networks in one trial: channel, temporal, and both together.

Writes ``attention-arousal.png`` and ``attention-valence.png``, pictures of docs/explanations.md.
"""

import warnings

from sklearn.metrics import balanced_accuracy_score

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import make_music_listening
from edaemo.inspection import grad_cam, plot_attention

RATE, TRIM = 8, 3.0  # Hz, s
MODELS = {  # Rb, Rd and Re of the paper's Table 5
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
for target in ("arousal", "valence"):
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
    figure = axes[0, 0].figure
    trial = study.trials.loc[shown]
    figure.suptitle(
        f"Generated trial {trial['trial']} of {trial['subject']}: evidence for high {target} "
        f"(rated {study.ratings.loc[shown, target]:.0f} of 9, {'high' if y[shown] else 'low'})",
        fontsize="medium",
    )
    figure.savefig(f"attention-{target}.png", dpi=110)
