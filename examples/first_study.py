"""
A first study
=============

Predict arousal from wrist EDA and music tags, and score it on five folds of held-out subjects.
"""

from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import Pipeline

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import load_hku956

study = load_hku956()
subject = study.trials["subject"]
y = SubjectThresholdRelabeler(target="arousal").fit_relabel(study.ratings, subject=subject)
eda = CvxEDATransformer(sampling_rate=study.sampling_rate, n_times=128)
pipe = Pipeline(
    [
        ("fuse", MusicFeatureUnion(eda=eda, music=study.music)),
        ("rtcan", RTCANClassifier(max_epochs=5, random_state=0)),
    ]
)
probability = pipe.fit(study.trials, y).predict_proba(study.trials)
scores = cross_validate(
    pipe,
    study.trials,
    y,
    groups=subject,
    cv=GroupKFold(5),
    scoring=("balanced_accuracy", "f1"),
    n_jobs=2,
)
print("balanced accuracy, fold by fold:", scores["test_balanced_accuracy"].round(3))
