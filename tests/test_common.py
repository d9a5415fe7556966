"""scikit-learn's own checks over every estimator."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier
from edaemo.benchmark import StimulusPriorClassifier

ESTIMATORS = [
    CvxEDATransformer(sampling_rate=4, trim_seconds=0),
    CvxEDATransformer(sampling_rate=4, trim_seconds=0, n_times=16, missing="interpolate"),
    MusicFeatureUnion(),
    RTCANClassifier(n_chans=1, channels=(8, 8, 8, 8), max_epochs=30),
    StimulusPriorClassifier(),
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: object) -> None:
    check(estimator)
