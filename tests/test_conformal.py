"""Prediction sets whose coverage holds for new people."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from edaemo import load, save
from edaemo.estimators import ConformalByPerson
from edaemo.preprocessing import SubjectStandardizer


class Given(ClassifierMixin, BaseEstimator):
    """X holds the probability of class 1."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.asarray(X)[:, 0]
        return np.column_stack([1 - p, p])


FROZEN = FrozenEstimator(Given().fit([[0.5]] * 2, [0, 1]))


def calibrated(scores: list[list[float]], **parameters: object) -> ConformalByPerson:
    """Calibrate on people whose trials have these scores; all trials are of class 1."""
    people = np.repeat(np.arange(len(scores)), [len(own) for own in scores])
    X = 1 - np.concatenate(scores)[:, None]
    model = ConformalByPerson(FROZEN, calibration_fraction=None, **parameters)
    return model.fit(X, np.ones(len(X), dtype=int), subject=people)


def study(rng: np.random.Generator, n_people: int, n_trials: int, effect: float) -> tuple:
    """Labels that depend on a feature, and on the person's own offset."""
    person = np.repeat(np.arange(n_people), n_trials)
    x = rng.normal(size=len(person))
    logit = 1.5 * x + effect * rng.normal(size=n_people)[person]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-logit))).astype(int)
    return x[:, None], y, person


def test_one_trial_per_person_is_split_conformal_prediction() -> None:
    scores = np.random.default_rng(0).random(37)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        rank = int(np.ceil(38 * coverage))  # of Vovk et al., Algorithmic learning, 2005
        expected = np.sort(scores)[rank - 1]
        model = calibrated([[score] for score in scores], coverage=coverage)
        assert model.quantile_ == pytest.approx(expected)


def test_a_person_with_many_trials_weighs_as_much_as_one_with_few() -> None:
    # Weights: 1/4 for 0.2; 1/8 for 0.1 and 0.6; 1/16 for 0.3, 0.4, 0.5, 0.7; 1/4 for infinity.
    people = [[0.2], [0.1, 0.6], [0.3, 0.4, 0.5, 0.7]]
    for coverage, expected in [(0.12, 0.1), (0.37, 0.2), (0.43, 0.3), (0.6, 0.6), (0.75, 0.7)]:
        assert calibrated(people, coverage=coverage).quantile_ == pytest.approx(expected)


def test_nine_people_are_enough_for_nine_tenths_and_eight_are_not() -> None:
    people = [[k / 10, k / 20] for k in range(1, 10)]
    assert calibrated(people, coverage=0.9).quantile_ == pytest.approx(0.9)
    with pytest.warns(UserWarning, match="8 people are in calibration.*at least 9 people"):
        model = calibrated(people[:8], coverage=0.9)
    assert model.predict_set([[0.0], [1.0]]).all()


def test_average_coverage_over_every_choice_of_the_new_person() -> None:
    """Exchangeable people: each of them is the new one in turn."""
    rng = np.random.default_rng(1)
    people = [list(rng.beta(a, 2, size=n)) for n, a in enumerate(rng.gamma(2, size=12), start=1)]
    for coverage in (0.5, 0.75, 0.9):
        covered = [
            np.mean(
                np.array(people[new])
                <= calibrated(people[:new] + people[new + 1 :], coverage=coverage).quantile_ + 1e-12
            )
            for new in range(12)
        ]
        assert np.mean(covered) >= coverage


def test_share_of_people_whose_own_coverage_is_reached() -> None:
    """Each of four people is the new one in turn: the share holds exactly."""
    rng = np.random.default_rng(2)
    people = [list(rng.beta(a, 2, size=10)) for a in rng.gamma(2, size=7)]
    reached = []
    for chosen in itertools.combinations(range(7), 4):
        for new in chosen:
            old = [people[k] for k in chosen if k != new]
            model = calibrated(old, coverage=0.8, person_share=0.75)
            reached.append(np.mean(np.array(people[new]) <= model.quantile_ + 1e-12) >= 0.8)
    assert np.mean(reached) == pytest.approx(0.75)


def test_sets_of_trials_of_known_people_cover_too_few_trials_of_new_people() -> None:
    rng = np.random.default_rng(3)
    by_person, by_trial = [], []
    for repeat in range(40):
        X, y, person = study(rng, 24, 15, 3.0)
        old = person < 20
        about = {"coverage": 0.9, "random_state": repeat}
        for covered, units in ((by_person, person), (by_trial, np.arange(len(person)))):
            model = ConformalByPerson(LogisticRegression(), **about)
            sets = model.fit(X[old], y[old], subject=units[old]).predict_set(X[~old])
            covered.append(np.mean(sets[np.arange(len(sets)), y[~old]]))
    error = np.std(by_person) / np.sqrt(40)
    assert np.mean(by_person) > 0.9 - 2 * error
    assert np.mean(by_trial) < np.mean(by_person) - 0.02


def test_a_class_without_training_trials_is_never_covered() -> None:
    with pytest.warns(UserWarning, match="their classes in training"):
        model = ConformalByPerson(FROZEN, calibration_fraction=None, coverage=0.5)
        model.fit([[0.9]] * 4, [2, 2, 2, 1], subject=[0, 1, 2, 3])
    assert model.quantile_ == np.inf


def test_people_are_set_aside_whole_and_the_others_train() -> None:
    X, y, person = study(np.random.default_rng(4), 10, 6, 0.0)

    class Watched(LogisticRegression):
        def fit(self, X, y):
            self.seen_ = X.index.get_level_values("subject").unique()
            return super().fit(X, y)

    frame = pd.DataFrame(X, columns=["x"], index=pd.Index(person, name="subject"))
    model = ConformalByPerson(
        Watched(), coverage=0.5, calibration_fraction=0.3, random_state=0
    ).fit(frame, y)
    assert len(model.estimator_.seen_) == 7
    assert model.n_calibration_people_ == 3
    assert list(model.feature_names_in_) == ["x"]


def test_subjects_are_routed_to_the_classifier_inside() -> None:
    X, y, person = study(np.random.default_rng(5), 12, 6, 1.0)
    inside = make_pipeline(SubjectStandardizer(unseen="global"), LogisticRegression())
    model = ConformalByPerson(inside, coverage=0.5, random_state=0)
    with config_context(enable_metadata_routing=True):
        fitted = model.fit(X, y, subject=person)
        sets = fitted.predict_set(X, subject=person)
        cv = GroupKFold(3).set_split_request(groups="subject")
        plain = ConformalByPerson(LogisticRegression(), coverage=0.5)
        cross_validate(plain, X, y, cv=cv, params={"subject": person}, error_score="raise")
    frame = pd.DataFrame(X, index=pd.Index(person, name="subject"), columns=["x"])
    again = model.fit(frame, y)
    np.testing.assert_array_equal(again.predict_set(frame), sets)


def test_saved_sets_are_the_same(tmp_path) -> None:
    X, y, person = study(np.random.default_rng(6), 20, 5, 1.0)
    model = ConformalByPerson(LogisticRegression(), coverage=0.8, random_state=0)
    save(model.fit(X, y, subject=person), tmp_path / "sets.edaemo")
    loaded = load(tmp_path / "sets.edaemo")
    np.testing.assert_array_equal(loaded.predict_set(X), model.predict_set(X))
    assert loaded.quantile_ == model.quantile_


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ConformalByPerson(LogisticRegression(), calibration_fraction=None), "FrozenEstimator"),
        (ConformalByPerson(FROZEN), "needs calibration_fraction=None"),
    ],
)
def test_a_fitted_classifier_and_no_calibration_fraction_belong_together(model, message) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit([[0.0]] * 4, [0, 1, 0, 1], subject=[0, 0, 1, 1])


def test_one_person_is_an_error_that_names_the_parameter() -> None:
    with pytest.raises(ValueError, match="calibration_fraction sets whole subjects aside"):
        ConformalByPerson(LogisticRegression()).fit([[0.0], [1.0]], [0, 1], subject=["a", "a"])
