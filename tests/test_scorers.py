"""The scorer that labels held-out ratings as the relabeler does."""

import pickle

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate

from edaemo.metrics import concordance_correlation
from edaemo.model_selection import (
    SubjectKFold,
    SubjectThresholdScorer,
    get_scorer,
    make_protocol,
)
from edaemo.preprocessing import SubjectThresholdRelabeler


@pytest.fixture
def study():
    """X (index level subject) that half follows arousal, ratings, subjects."""
    rng = np.random.default_rng(1)
    subject = np.repeat([f"p{k}" for k in range(8)], 12)
    mood = rng.integers(0, 2, 96)
    rating = 5 + np.repeat(rng.uniform(-3, 3, 8), 12)[:, None] + np.where(mood, 2, -2)[:, None]
    rating = rating + rng.uniform(-1.5, 1.5, (96, 2))
    index = pd.Index(subject, name="subject")
    X = pd.DataFrame(mood[:, None] + rng.normal(size=(96, 3)), index=index, columns=list("abc"))
    return X, pd.DataFrame(rating, index=index, columns=["valence", "arousal"]), subject


def pipeline():
    return make_pipeline(SubjectThresholdRelabeler(min_center_distance=0), LogisticRegression())


def by_hand(X, ratings, subject, metric=balanced_accuracy_score, target="arousal"):
    """Score each fold with labels made before the split: whole people, so the same labels."""
    labels = SubjectThresholdRelabeler(target, min_center_distance=0).fit_relabel(ratings)
    scores = []
    for train, test in GroupKFold(4).split(X, groups=subject):
        model = LogisticRegression().fit(X.iloc[train], labels[train])
        scores.append(metric(labels[test], model.predict(X.iloc[test])))
    return scores


def test_cross_validate_without_routing_equals_the_hand_made_scores(study):
    X, ratings, subject = study
    got = cross_validate(
        pipeline(),
        X,
        ratings,
        groups=subject,
        cv=GroupKFold(4),
        scoring=SubjectThresholdScorer(),
        error_score="raise",
    )["test_score"]
    assert_array_equal(got, by_hand(X, ratings, subject))
    assert len(set(got)) > 1


@pytest.mark.same_bits
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validate_with_routing_equals_the_hand_made_scores(study, n_jobs):
    X, ratings, subject = study
    with config_context(enable_metadata_routing=True):
        got = cross_validate(
            pipeline(),
            X.to_numpy(),
            ratings.to_numpy(),
            params={"subject": subject},
            cv=GroupKFold(4).set_split_request(groups="subject"),
            scoring=SubjectThresholdScorer(),
            return_train_score=True,
            n_jobs=n_jobs,
            error_score="raise",
        )
    assert_array_equal(got["test_score"], by_hand(X, ratings, subject))
    assert np.isfinite(got["train_score"]).all()


@pytest.mark.parametrize("routing", [False, True])
def test_dict_of_scorers(study, routing):
    X, ratings, subject = study
    scoring = {
        "accuracy": SubjectThresholdScorer("accuracy"),
        "f1": SubjectThresholdScorer(make_scorer(f1_score, average="macro")),
    }
    with config_context(enable_metadata_routing=routing):
        cv = GroupKFold(4)
        if routing:
            X_in, y = X.to_numpy(), ratings.to_numpy()
            who = {"params": {"subject": subject}}
            cv.set_split_request(groups="subject")
        else:
            X_in, y, who = X, ratings, {"groups": subject}
        got = cross_validate(
            pipeline(), X_in, y, cv=cv, scoring=scoring, error_score="raise", **who
        )
    assert_array_equal(got["test_accuracy"], by_hand(X, ratings, subject, accuracy_score))
    assert_array_equal(
        got["test_f1"],
        by_hand(X, ratings, subject, lambda y, p: f1_score(y, p, average="macro")),
    )


@pytest.mark.parametrize("routing", [False, True])
def test_grid_search(study, routing):
    X, ratings, subject = study
    grid = {"logisticregression__C": [1e-6, 1.0]}
    with config_context(enable_metadata_routing=routing):
        cv = GroupKFold(4)
        if routing:
            cv.set_split_request(groups="subject")
        search = GridSearchCV(
            pipeline(), grid, cv=cv, scoring=SubjectThresholdScorer(), error_score="raise"
        )
        if routing:
            search.fit(X.to_numpy(), ratings.to_numpy(), subject=subject)
            score = search.score(X.to_numpy(), ratings.to_numpy(), subject=subject)
        else:
            search.fit(X, ratings, groups=subject)
            score = search.score(X, ratings)
    expected = by_hand(X, ratings, subject)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(np.mean(expected))
    assert 0.5 < score <= 1


@pytest.mark.parametrize("routing", [False, True])
def test_sklearn_accuracy_against_raw_ratings_is_never_zero(study, routing):
    X, ratings, _ = study
    with (
        config_context(enable_metadata_routing=routing),
        pytest.warns(UserWarning, match="multiou"),
    ):
        scores = cross_validate(pipeline(), X, ratings, scoring="accuracy", cv=3)["test_score"]
    assert np.isnan(scores).all()


@pytest.mark.parametrize("target", ["valence", "both"])
def test_target_is_the_relabelers(study, target):
    X, ratings, _ = study
    labels = SubjectThresholdRelabeler(target, min_center_distance=0).fit_relabel(ratings)
    model = LogisticRegression().fit(X, labels)
    scorer = SubjectThresholdScorer("accuracy", target=target)
    assert scorer(model, X, ratings) == accuracy_score(labels, model.predict(X))


def test_numeric_threshold_needs_no_subjects(study):
    X, ratings, _ = study
    labels = (ratings["arousal"] > 4.5).to_numpy().astype(int)
    model = LogisticRegression().fit(X.to_numpy(), labels)
    score = SubjectThresholdScorer(threshold=4.5)(model, X.to_numpy(), ratings.to_numpy())
    assert score == balanced_accuracy_score(labels, model.predict(X.to_numpy()))


def test_scores_that_need_probabilities(study):
    X, ratings, _ = study
    labels = SubjectThresholdRelabeler(min_center_distance=0).fit_relabel(ratings)
    model = LogisticRegression().fit(X, labels)
    assert SubjectThresholdScorer("roc_auc")(model, X, ratings) > 0.6
    assert SubjectThresholdScorer("neg_log_loss")(model, X, ratings) < 0


def test_one_class_is_left_to_the_metric():
    X, ratings = np.zeros((3, 1)), [[1, 2], [3, 4], [2, 2]]
    model = DummyClassifier(strategy="constant", constant=1).fit(X, [0, 1, 1])
    assert SubjectThresholdScorer("accuracy", threshold=0)(model, X, ratings) == 1.0
    assert SubjectThresholdScorer("accuracy", threshold=9)(model, X, ratings) == 0.0


def test_what_cannot_be_relabelled_is_the_relabelers_error(study):
    X, ratings, subject = study
    model = DummyClassifier().fit(X, np.arange(96) % 2)
    scorer = SubjectThresholdScorer()
    with pytest.raises(ValueError, match="both are needed"):
        scorer(model, X, ratings["arousal"])
    with pytest.raises(ValueError, match="both are needed"):
        scorer(model, X, np.arange(96) % 2)
    with pytest.raises(ValueError, match="ratings are missing"):
        scorer(model, X, None)
    with pytest.raises(ValueError, match="pass subject="):
        scorer(model, X.to_numpy(), ratings.to_numpy())
    with pytest.raises(ValueError, match="one id for each of the 96 trials"):
        scorer(model, X, ratings, subject=subject[:50])
    with pytest.raises(ValueError, match="name different subjects"):
        scorer(model, X, ratings.iloc[::-1])


def test_rating_on_a_held_out_threshold_is_told():
    X, ratings = np.zeros((3, 1)), [[0.0, 0.0], [1.0, 5.0], [1.0, 9.0]]
    model = DummyClassifier(strategy="constant", constant=1).fit(X, [0, 1, 1])
    with pytest.warns(UserWarning, match="exactly on the arousal threshold"):
        score = SubjectThresholdScorer("accuracy", threshold=5)(model, X, ratings)
    assert score == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "params",
    [
        {"metric": "acuracy"},
        {"metric": accuracy_score},
        {"metric": None},
        {"metric": ["accuracy"]},
        {"target": "dominance"},
        {"threshold": "median"},
    ],
)
def test_wrong_parameters_are_refused_at_construction(params):
    with pytest.raises(ValueError):
        SubjectThresholdScorer(**params)


def test_repr_pickle_and_clone_inside_a_search():
    scorer = SubjectThresholdScorer("f1", target="valence", threshold=5)
    assert repr(scorer) == "SubjectThresholdScorer('f1', target='valence', threshold=5)"
    assert repr(pickle.loads(pickle.dumps(scorer))) == repr(scorer)
    search = GridSearchCV(LogisticRegression(), {}, scoring=scorer)
    assert repr(clone(search).scoring) == repr(scorer)


def test_unrequested_metadata_is_refused(study):
    X, ratings, subject = study
    with config_context(enable_metadata_routing=True), pytest.raises(TypeError, match="stimulus"):
        cross_validate(
            pipeline(),
            X,
            ratings,
            params={"subject": subject, "stimulus": subject},
            scoring=SubjectThresholdScorer(),
        )


# --- people cut in two


def scores(study, protocol, *, routing=False, estimator=None, scoring=None, **kwargs):
    X, ratings, subject = study
    with config_context(enable_metadata_routing=routing):
        given = {"params": {"subject": subject}} if routing else {}
        return cross_validate(
            pipeline() if estimator is None else estimator,
            X.to_numpy() if routing else X,
            ratings,
            cv=protocol,
            scoring=SubjectThresholdScorer() if scoring is None else scoring,
            error_score="raise",
            **given,
            **kwargs,
        )


@pytest.fixture
def with_songs(study):
    """The study with an index level stimulus: everybody heard the same twelve."""
    X, ratings, subject = study
    songs = pd.Index(list("abcdefghijkl") * 8, name="stimulus")
    index = pd.MultiIndex.from_arrays([X.index, songs])
    return X.set_axis(index), ratings.set_axis(index), subject


@pytest.mark.parametrize("name", ["trial", "within-subject", "stimulus"])
def test_splits_that_cut_people_in_two_are_refused(with_songs, name):
    with pytest.raises(ValueError, match=r"subjects have some .*: p\d.*Hold out whole subjects"):
        scores(with_songs, make_protocol(name, 3))


@pytest.mark.parametrize("name", ["trial", "within-subject"])
def test_halves_are_refused_though_they_are_of_one_length(study, name):
    with pytest.raises(ValueError, match=r"p\d"):
        scores(study, make_protocol(name, 2))


@pytest.mark.parametrize("routing", [False, True])
def test_refused_with_routing_in_a_search_and_with_memory(study, routing, tmp_path):
    protocol = make_protocol("trial", 3)
    cached = make_pipeline(*[step for _, step in pipeline().steps], memory=str(tmp_path))
    whole = GridSearchCV(
        pipeline(), {}, cv=SubjectKFold(2), scoring=SubjectThresholdScorer(), error_score="raise"
    )
    for estimator in (None, cached, make_pipeline(pipeline()), whole):
        with pytest.raises(ValueError, match="Hold out whole subjects"):
            scores(study, protocol, routing=routing, estimator=estimator)


def test_one_person_cut_in_two_is_named(study):
    X, ratings, subject = study
    training = np.flatnonzero(subject != "p7")
    model = pipeline().fit(X.iloc[training], ratings.iloc[training])
    rest = np.flatnonzero((subject == "p7") | ((subject == "p3") & (np.arange(96) % 2 == 0)))
    with pytest.raises(ValueError, match=r"1 of 2 subjects .*: p3\. "):
        SubjectThresholdScorer()(model, X.iloc[rest], ratings.iloc[rest])


@pytest.mark.parametrize("routing", [False, True])
def test_train_scores_and_whole_people_are_let_through(study, routing):
    got = scores(study, SubjectKFold(4), routing=routing, return_train_score=True)
    assert np.isfinite(got["train_score"]).all()
    X, ratings, subject = study
    model = pipeline().fit(X, ratings)
    scorer, shuffled = SubjectThresholdScorer(), np.random.default_rng(0).permutation(96)
    expected = scorer(model, X, ratings)
    assert scorer(model, X.iloc[shuffled], ratings.iloc[shuffled]) == pytest.approx(expected)
    two = np.isin(subject, ["p1", "p5"])
    assert np.isfinite(scorer(model, X[two], ratings[two]))


def test_a_threshold_for_everybody_may_be_used_under_any_split(study):
    everybody = make_pipeline(SubjectThresholdRelabeler(threshold=5), LogisticRegression())
    got = scores(
        study,
        make_protocol("trial", 3),
        estimator=everybody,
        scoring=SubjectThresholdScorer(threshold=5),
    )
    assert np.isfinite(got["test_score"]).all()


def test_labels_made_before_the_split_may_be_used_under_any_split(study):
    X, ratings, _ = study
    labels = SubjectThresholdRelabeler(min_center_distance=0).fit_relabel(ratings)
    got = cross_validate(LogisticRegression(), X, labels, cv=make_protocol("trial", 3))
    assert (got["test_score"] > 0.5).all()


def test_the_digest_tells_whether_ratings_are_the_same():
    def digest(ratings, subject):
        return SubjectThresholdRelabeler(threshold=5).fit(ratings, subject=subject).ratings_digest_

    ratings = np.array([[1.0, 2], [3, 4], [5, 6], [0, 8], [9, 9]])
    first = digest(ratings, ["b", "b", "a", "b", "a"])
    assert first.index.tolist() == ["a", "b"]
    order = [3, 4, 2, 0, 1]
    assert digest(ratings[order], np.array(["b", "b", "a", "b", "a"])[order]).equals(first)
    assert digest(ratings - 0.0 * ratings, ["b", "b", "a", "b", "a"]).equals(first)
    other = ratings.copy()
    other[0] = [2, 1]
    assert (digest(other, ["b", "b", "a", "b", "a"]) == first).tolist() == [True, False]
    zeros = np.array([[0.0, 1], [-0.0, 1]])
    assert len(set(digest(zeros, [1, 2]))) == 1
    assert digest(ratings[[0, 0]], [1, 1]).iloc[0] != digest(ratings[[0]], [1]).iloc[0]


class TestConcordanceByName:
    """`get_scorer` returns the scorers of the concordance correlation and of scikit-learn."""

    X = np.arange(12.0)[:, None]

    def test_of_numbers(self):
        rng = np.random.default_rng(0)
        y = self.X[:, 0] + rng.normal(size=12)
        scores = cross_validate(
            LinearRegression(), self.X, y, scoring=get_scorer("concordance_correlation"), cv=3
        )["test_score"]
        for score, (train, test) in zip(scores, KFold(3).split(self.X), strict=True):
            predicted = LinearRegression().fit(self.X[train], y[train]).predict(self.X[test])
            assert_allclose(score, concordance_correlation(y[test], predicted))

    def test_of_series(self):
        class Half:
            def predict(self, X):
                return np.array([0.5 * np.asarray(row) for row in X], dtype=object)

        y = [np.array([1.0, 2.0, np.nan]), np.array([4.0, 8.0])]
        X = [np.array([1.0, 2.0, 3.0]), np.array([4.0, 8.0])]
        together = concordance_correlation([1, 2, 4, 8], [0.5, 1, 2, 4])
        assert_allclose(get_scorer("concordance_correlation")(Half(), X, y), together)
        each = [concordance_correlation([1, 2], [0.5, 1]), concordance_correlation([4, 8], [2, 4])]
        scorer = get_scorer("concordance_correlation_per_sequence")
        assert_allclose(scorer(Half(), X, y), np.mean(each))
        found = scorer(Half(), X, y, sample_weight=[3, 0])
        assert_allclose(found, each[0])

    def test_unknown_and_wrong(self):
        X, y = self.X, self.X[:, 0] ** 2
        model = LinearRegression().fit(X, y)
        assert_allclose(get_scorer("r2")(model, X, y), model.score(X, y))
        with pytest.raises(ValueError, match=r"Unknown scorer 'concordance': .*concordance_corr"):
            get_scorer("concordance")
        model = LinearRegression().fit(self.X, self.X[:, 0])
        with pytest.raises(ValueError, match="y holds numbers"):
            get_scorer("concordance_correlation_per_sequence")(model, self.X, self.X[:, 0])
