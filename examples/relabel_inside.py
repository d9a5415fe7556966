"""
Relabel inside the pipeline
===========================

The input of this pipeline is ratings, and each fold computes its labels.

Metadata routing passes the subjects to the relabeler, to RTCAN's inner split and to the scorer. The
scorer computes the labels of held-out subjects from their own ratings.
"""

from imblearn.pipeline import Pipeline
from sklearn import config_context
from sklearn.model_selection import GroupKFold, cross_validate

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import load_hku956
from edaemo.model_selection import SubjectThresholdScorer

study = load_hku956()
subject = study.trials["subject"]
chain = Pipeline(
    [
        ("relabel", SubjectThresholdRelabeler(target="arousal")),
        ("cvxeda", CvxEDATransformer(sampling_rate=study.sampling_rate, n_times=128)),
        ("music", MusicFeatureUnion(music=study.music)),
        ("rtcan", RTCANClassifier(max_epochs=5, validation_fraction=0.2, random_state=0)),
    ]
)
with config_context(enable_metadata_routing=True):
    scores = cross_validate(
        chain,
        study.trials,
        study.ratings,
        params={"subject": subject},
        cv=GroupKFold(5).set_split_request(groups="subject"),
        scoring=SubjectThresholdScorer("balanced_accuracy", target="arousal"),
    )
print("balanced accuracy, fold by fold:", scores["test_score"].round(3))
