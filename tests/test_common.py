"""scikit-learn's own checks over every estimator."""

import re
from inspect import signature

import numpy as np
import pytest
from outside_network import Line
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.benchmark import (
    StimulusMeanRegressor,
    StimulusPriorClassifier,
    SubjectMeanRegressor,
    SubjectPriorClassifier,
)
from edaemo.estimators import (
    AIMSTFClassifier,
    CNNClassifier,
    ConformalByPerson,
    MAETClassifier,
    NetworkClassifier,
    NetworkRegressor,
    PersonalClassifier,
)
from edaemo.features import EDAFeatureExtractor, EncoderFeatureExtractor, MiniRocket
from edaemo.networks import (
    DCNN,
    AlexNet2D,
    DeepVANetBio,
    FeatureCNN,
    InceptionTime,
    MachotCNN,
    ResSIN,
    TSception,
)
from edaemo.preprocessing import EDADecomposer, SubjectStandardizer


class SubjectStandardizerOfOne(SubjectStandardizer):
    """The checks give no subjects: here all rows are one person's."""

    def fit(self, X, y=None, *, subject=None):
        return super().fit(X, y, subject=np.zeros(_num_samples(X)))

    def partial_fit(self, X, y=None, *, subject=None):
        return super().partial_fit(X, y, subject=np.zeros(_num_samples(X)))

    def transform(self, X, *, subject=None):
        return super().transform(X, subject=np.zeros(_num_samples(X)))


class ConformalByTrial(ConformalByPerson):
    """The checks give no subjects: here each row is another person's."""

    def fit(self, X, y, *, subject=None):
        return super().fit(X, y, subject=np.arange(_num_samples(X)))


class PersonalClassifierOfOne(PersonalClassifier):
    """The checks give no subjects: here all rows are one person's."""

    def fit(self, X, y, *, subject=None):
        return super().fit(X, y, subject=np.zeros(_num_samples(X)))

    def predict_proba(self, X, *, subject=None):
        return super().predict_proba(X, subject=np.zeros(_num_samples(X)))


class Encode:
    """Stands in for a pre-trained encoder. The names of tests must not depend on its address."""

    def __call__(self, windows):
        return windows.reshape(len(windows), -1)[:, ::2]

    def __repr__(self):
        return "encode"


ESTIMATORS = [
    CvxEDATransformer(sampling_rate=4, trim_seconds=0),
    CvxEDATransformer(sampling_rate=4, trim_seconds=0, n_times=16, missing="interpolate"),
    EDADecomposer(sampling_rate=1),
    EDADecomposer(sampling_rate=1, method="highpass"),
    EDADecomposer(sampling_rate=1, method="median"),
    EDADecomposer(sampling_rate=1, method="smooth", missing="interpolate"),
    EDAFeatureExtractor(sampling_rate=1),
    EDAFeatureExtractor(sampling_rate=1, missing="interpolate"),
    EncoderFeatureExtractor(Encode(), 1, encoder_rate=2, window=3),
    EncoderFeatureExtractor(Encode(), 1, encoder_rate=1, window=3, missing="interpolate"),
    MiniRocket(n_features=84, n_chans=1),
    MusicFeatureUnion(),
    RTCANClassifier(n_chans=1, channels=(8, 8, 8, 8), max_epochs=30),
    CNNClassifier(n_filters=16, max_epochs=30),
    AIMSTFClassifier(embed_dim=16, dropout=0.0, lr=0.01, max_epochs=30, batch_size=16),
    MAETClassifier(embed_dim=16, depth=1, lr=0.01, max_epochs=30, batch_size=16),
    NetworkClassifier(FeatureCNN, module_params={"n_filters": 16}, max_epochs=30),
    *(
        NetworkClassifier(network, n_chans=1, max_epochs=12, lr=0.01)
        for network in (AlexNet2D, DCNN, DeepVANetBio, MachotCNN, ResSIN, TSception)
    ),
    NetworkClassifier(
        InceptionTime, module_params={"n_filters": 4}, n_chans=1, max_epochs=12, lr=0.01
    ),
    NetworkClassifier(Line, max_epochs=100, lr=0.05),
    NetworkRegressor(Line, max_epochs=100, lr=0.05),
    PersonalClassifierOfOne(LogisticRegression(), k=0),
    PersonalClassifierOfOne(LogisticRegression(), k=2, method="threshold", prior_sd=1.0),
    PersonalClassifierOfOne(LogisticRegression(), k=2, method="scale"),
    PersonalClassifierOfOne(LogisticRegression(), k=2, method="refit", weight=4),
    ConformalByTrial(LogisticRegression(), coverage=0.5),
    StimulusPriorClassifier(),
    StimulusMeanRegressor(),
    SubjectPriorClassifier(),
    SubjectMeanRegressor(),
    SubjectStandardizerOfOne(),
    SubjectStandardizerOfOne(unseen="global"),
    SubjectStandardizerOfOne(calibrate_on=5),
    # A personal threshold needs subjects, which the checks do not give: here is the one for all.
    SubjectThresholdRelabeler(threshold=0.0),
]

_TWO_COLUMNS = (
    "ratings are the two columns valence and arousal, and the check gives another number of them; "
    "test_relabel.py::test_ratings_without_two_axes_are_refused"
)
_BATCHES = (
    "repeated rows are shuffled into other batches than weighted rows; in a single batch they are "
    "the same, test_networks.py::TestWeights"
)
_MEAN_OVER_TIME = (
    "the check's two columns are two samples of a signal, whose order is lost in a mean over time; "
    "test_rivals.py::TestNetworks::test_a_planted_signal_is_found_in_people_who_are_held_out"
)
_WEIGHTS = dict.fromkeys(["check_sample_weight_equivalence_on_dense_data"], _BATCHES)
# By the class of the estimator, or of its network.
EXPECTED_FAILURES = {
    "TSception": _WEIGHTS | {"check_classifiers_train": _MEAN_OVER_TIME},
    "RTCANClassifier": _WEIGHTS,
    "CNNClassifier": _WEIGHTS,
    "AIMSTFClassifier": _WEIGHTS,
    "MAETClassifier": _WEIGHTS,
    "NetworkClassifier": _WEIGHTS,
    "NetworkRegressor": _WEIGHTS,
    "SubjectThresholdRelabeler": dict.fromkeys(
        [
            "check_dict_unchanged",
            "check_dont_overwrite_parameters",
            "check_dtype_object",
            "check_estimators_dtypes",
            "check_estimators_nan_inf",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_fit2d_1feature",
            "check_fit2d_1sample",
            "check_fit2d_predict1d",
            "check_fit_score_takes_y",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_n_features_in_after_fitting",
            "check_pipeline_consistency",
            "check_positive_only_tag_during_fit",
        ],
        _TWO_COLUMNS,
    ),
}


def expect_failures(estimator: BaseEstimator) -> dict[str, str]:
    network = getattr(getattr(estimator, "module", None), "__name__", "")
    return EXPECTED_FAILURES.get(network) or EXPECTED_FAILURES.get(type(estimator).__name__, {})


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    # Without torch, conftest.py puts stand-ins in the place of networks.
    [estimator for estimator in ESTIMATORS if isinstance(estimator, BaseEstimator)],
    expected_failed_checks=expect_failures,
)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: object) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "estimator",
    {type(e).__name__: e for e in ESTIMATORS if isinstance(e, BaseEstimator)}.values(),
    ids=lambda estimator: type(estimator).__name__,
)
def test_html_representation_shows_every_parameter(estimator: BaseEstimator) -> None:
    html = estimator_html_repr(estimator)
    cells = re.findall(r'<td class="param">(.*?)</td>', html, re.DOTALL)
    shown = {re.sub(r"<.*?>", "", cell, flags=re.DOTALL).split()[0] for cell in cells}
    assert set(signature(type(estimator)).parameters) <= shown
