"""The pipelines that are compared: what they learn, and from whom."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch

from edaemo import CvxEDATransformer, SubjectThresholdRelabeler
from edaemo.benchmark import (
    PIPELINES,
    make_boosting_baseline,
    make_cnn_baseline,
    make_logistic_baseline,
    make_rtcan,
    make_svm_baseline,
)
from edaemo.evaluation._cases import is_transductive
from edaemo.evaluation._keys import canonical
from edaemo.features import EDAFeatureExtractor
from edaemo.preprocessing import SubjectStandardizer

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

FEATURES = EDAFeatureExtractor(sampling_rate=4)
ON_FEATURES = {
    "svm": make_svm_baseline(eda=FEATURES),
    "logistic": make_logistic_baseline(eda=FEATURES),
    "boosting": make_boosting_baseline(eda=FEATURES, random_state=0),
    "cnn": make_cnn_baseline(eda=FEATURES, max_epochs=2, random_state=0),
}


@pytest.fixture(scope="module")
def y(few: Bunch) -> np.ndarray:
    return SubjectThresholdRelabeler(target="arousal").fit_relabel(few.ratings, subject=few.subject)


@pytest.mark.parametrize("pipe", ON_FEATURES.values(), ids=ON_FEATURES)
def test_baseline_goes_from_raw_trials_to_labels_with_people_held_out(pipe, few, y):
    scores = cross_validate(pipe, few.trials, y, groups=few.subject, cv=GroupKFold(3))
    assert np.isfinite(scores["test_score"]).all()
    joined = pipe[0].fit_transform(few.trials)
    assert joined.shape == (len(y), 128)


@pytest.mark.parametrize("pipe", ON_FEATURES.values(), ids=ON_FEATURES)
def test_features_are_standardised_on_the_training_trials_alone(pipe, few, y):
    training = (few.subject != few.subject[0]).to_numpy()
    pipe.fit(few.trials[training], y[training])
    scaled = pipe[:2].transform(few.trials[training])
    assert_allclose(scaled.mean(), 0, atol=1e-4)
    assert_allclose(scaled.std(ddof=0), 1, atol=1e-3)
    other = pipe[:2].transform(few.trials[~training])
    assert np.abs(other.mean()).max() > 0.1


def is_marked(pipeline: BaseEstimator) -> bool:
    return is_transductive({"pipeline": canonical(pipeline)})


def test_transductive_pipelines_are_those_that_standardise_a_person_by_all_trials(few):
    made = {name: entry.make(few) for name, entry in PIPELINES.items()}
    marked = {name for name, pipeline in made.items() if is_marked(pipeline)}
    of_features = {f"{name}-eda-person" for name in ("svm", "cnn", "logistic", "boosting")}
    assert marked == of_features | {"rtcan-eda-person", "recommended", "level-person"}


def of_person(**settings: object) -> Pipeline:
    return make_logistic_baseline(eda=make_pipeline(FEATURES, SubjectStandardizer(**settings)))


@pytest.mark.parametrize(
    ("pipeline", "is_one"),
    [
        (of_person(), True),
        (GridSearchCV(of_person(), {"logistic__C": [1.0]}), True),
        (VotingClassifier([("a", make_logistic_baseline(eda=FEATURES)), ("b", of_person())]), True),
        (CvxEDATransformer(4, n_times=16, scale="subject"), True),
        (of_person(calibrate_on=5), False),
        (of_person(unseen="global"), False),
        (of_person(rest=["baseline"]), False),
        (make_logistic_baseline(eda=FEATURES), False),
        (CvxEDATransformer(4, n_times=16), False),
    ],
)
def test_own_pipelines_are_marked_by_their_steps(pipeline, is_one):
    assert is_marked(pipeline) == is_one


def test_standardising_by_person_inside_a_pipeline_needs_no_routing(few, y):
    eda = make_pipeline(FEATURES, SubjectStandardizer())
    pipe = make_svm_baseline(eda=eda, music=few.music)
    scores = cross_validate(
        pipe, few.trials, y, groups=few.subject, cv=GroupKFold(3), error_score="raise"
    )
    assert np.isfinite(scores["test_score"]).all()
    joined = pipe[0].fit_transform(few.trials)
    eda_columns = joined.loc[:, joined.columns.str.startswith("eda_")]
    by_person = eda_columns.groupby(level="subject")
    assert_allclose(by_person.mean(), 0, atol=1e-4)
    assert list(joined.columns[128:]) == [f"music_{tag}" for tag in few.music.columns]


def test_svm_has_the_papers_settings_and_others_by_parameter(few):
    svm = make_svm_baseline(music=few.music)["svm"]
    assert (svm.kernel, svm.C) == ("linear", 0.25)
    svm = make_svm_baseline(music=few.music, kernel="rbf", C=2.0)["svm"]
    assert (svm.kernel, svm.C) == ("rbf", 2.0)


def test_cnn_sets_whole_people_aside_behind_the_scaler(few, y):
    pipe = ON_FEATURES["cnn"].set_params(cnn__validation_fraction=0.3)
    aside = pipe.fit(few.trials, y)["cnn"].validation_subjects_
    assert 1 <= len(aside) < few.subject.nunique()
    assert set(aside) < set(few.subject)


def test_rtcan_from_raw_trials_is_rtcan_from_a_decomposed_table(few, y):
    eda = CvxEDATransformer(sampling_rate=4, n_times=32)
    raw = make_rtcan(eda=eda, music=few.music, max_epochs=1, random_state=0)
    decomposed = make_rtcan(music=few.music, max_epochs=1, random_state=0)
    table = eda.fit_transform(few.trials)
    assert_array_equal(
        raw.fit(few.trials, y).predict_proba(few.trials),
        decomposed.fit(table, y).predict_proba(table),
    )


# tests/outside.py, if it was read before, has registered its own.
@pytest.mark.parametrize("name", [name for name in PIPELINES if not name.startswith("my-")])
def test_every_pipeline_that_has_a_name_is_a_classifier(name, few):
    pipe = PIPELINES[name].make(few)
    assert is_classifier(pipe)
    ours = ("no-signals", "signals", "unscaled-signals", "features", "compact")
    assert PIPELINES[name].input in ours
    assert name == name.lower()
    assert " " not in name
