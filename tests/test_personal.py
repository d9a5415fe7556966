"""Classifiers that are adapted to a new person by the person's first labelled trials."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from outside_network import Line
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo import load, save
from edaemo.benchmark import evaluate
from edaemo.datasets import Study
from edaemo.estimators import NetworkClassifier, PersonalClassifier
from edaemo.model_selection import CalibratedSubjectKFold
from edaemo.preprocessing import SubjectStandardizer


def people_frame(n_people=12, n_trials=14, *, seed=0, offset=0.0, level=0.0):
    """Labels depend on x and on the person's own offset; x has a level of the person."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_people), n_trials)
    x = rng.normal(size=len(person))
    logit = 2 * x + offset * rng.normal(size=n_people)[person]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-logit))).astype(int)
    ids = pd.MultiIndex.from_arrays(
        [person, np.tile(np.arange(n_trials), n_people)], names=["subject", "trial"]
    )
    shown = x + level * rng.normal(size=n_people)[person]
    return pd.DataFrame({"x": shown}, index=ids), y


def first_trials(X, k, people):
    trial, subject = (X.index.get_level_values(name) for name in ("trial", "subject"))
    return np.asarray((trial < k) | ~subject.isin(people))


# --- the population and the new people


def test_without_labelled_trials_it_is_the_population_model():
    X, y = people_frame()
    model = PersonalClassifier(LogisticRegression(), k=0).fit(X, y)
    expected = LogisticRegression().fit(X, y)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert model.method_ == "population"


@pytest.mark.parametrize(
    ("method", "strength"),
    [
        ("threshold", {"prior_sd": 1.0}),
        ("scale", {}),
        ("refit", {"weight": 4}),
        ("choose", {"n_splits": 2, "prior_sd": 1.0, "weight": 2}),
    ],
)
def test_labelled_trials_of_new_people_do_not_change_the_population_model(method, strength):
    X, y = people_frame()
    known = first_trials(X, 4, [10, 11])
    of_population = np.asarray(X.index.get_level_values("subject") < 10)
    about = {"k": 4, "method": method, "random_state": 0, **strength}
    with_new = PersonalClassifier(LogisticRegression(), **about).fit(X[known], y[known])
    without = PersonalClassifier(LogisticRegression(), **about).fit(
        X[of_population], y[of_population]
    )
    assert_array_equal(with_new.estimator_.coef_, without.estimator_.coef_)
    assert without.method_ == with_new.method_
    part = X[of_population]
    assert_array_equal(with_new.predict_proba(part), without.predict_proba(part))


@pytest.mark.parametrize(
    ("method", "strength"),
    [("threshold", {"prior_sd": 1.0}), ("scale", {}), ("refit", {"weight": 4})],
)
def test_adapting_later_is_the_same_as_fitting_with_the_labelled_trials(method, strength):
    X, y = people_frame(offset=1.0, level=1.0)
    new = [10, 11]
    known = first_trials(X, 4, new)
    is_new = np.asarray(X.index.get_level_values("subject").isin(new))
    about = {"k": 4, "method": method, **strength}
    at_once = PersonalClassifier(LogisticRegression(), **about).fit(X[known], y[known])
    later = PersonalClassifier(LogisticRegression(), **about).fit(X[~is_new], y[~is_new])
    later.adapt(X[is_new], y[is_new])  # uses the first four trials of each person
    assert_allclose(later.predict_proba(X[is_new]), at_once.predict_proba(X[is_new]))
    assert at_once.known_people_ == later.known_people_


def test_the_first_trials_are_those_with_the_lowest_trial():
    X, y = people_frame(offset=1.0)
    is_new = np.asarray(X.index.get_level_values("subject") == 11)
    model = PersonalClassifier(LogisticRegression(), k=3, method="threshold", prior_sd=1.0)
    in_order = model.fit(X[~is_new], y[~is_new]).adapt(X[is_new], y[is_new]).offsets_[11]
    reverse = model.adapt(X[is_new][::-1], y[is_new][::-1]).offsets_[11]
    assert_array_equal(in_order, reverse)


# --- each method


def test_the_threshold_is_that_of_a_penalised_logistic_regression_with_an_offset():
    """With a constant population model, scikit-learn can fit the same: C is the variance."""
    labels = np.array([1, 1, 1, 0, 1])
    X = pd.DataFrame({"x": np.zeros(45)}, index=pd.Index(np.repeat(range(9), 5), name="subject"))
    y = np.tile([0, 1], 45)[:40]
    for sd, balanced in product((0.5, 2.0), (False, True)):
        about = {"method": "threshold", "prior_sd": sd, "balanced": balanced}
        model = PersonalClassifier(LogisticRegression(), k=4, **about)
        model.fit(X[:40], y)
        p = model.predict_proba(X[:1])[0, 1]
        assert p == pytest.approx(0.5, abs=1e-6)
        model.set_params(k=5).adapt(X[40:], labels)
        oracle = LogisticRegression(
            C=sd**2,
            fit_intercept=False,
            tol=1e-10,
            class_weight="balanced" if balanced else None,
        )
        shift = oracle.fit(np.ones((5, 1)), labels).coef_[0, 0]
        adapted = model.predict_proba(X[40:41])[0]
        assert np.log(adapted[1] / adapted[0]) == pytest.approx(shift, abs=1e-5)


def test_the_threshold_of_three_classes_is_the_best_on_a_grid():
    rng = np.random.default_rng(0)
    person, y = np.repeat(np.arange(10), 12), np.tile([0, 1, 2], 40)
    X = pd.DataFrame(rng.normal(size=(120, 2)) + y[:, None], columns=["a", "b"],
                     index=pd.Index(person, name="subject"))  # fmt: skip
    about = {"method": "threshold", "prior_sd": 1.5, "balanced": False}
    model = PersonalClassifier(LogisticRegression(), k=6, **about).fit(X[:108], y[:108])
    before = np.log(model.estimator_.predict_proba(X[108:114]))
    labels = np.array([2, 2, 0, 2, 2, 1])
    offset = model.adapt(X[108:114], labels).offsets_[9]

    def loss(b):
        shifted = before + b
        shifted = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -shifted[np.arange(6), labels].sum() + b @ b / 1.5**2

    steps = np.linspace(-1.5, 1.5, 61)
    grid = [np.array([a, b, -a - b]) for a in steps for b in steps]
    best = min(grid, key=loss)
    assert np.abs(offset - best).max() < 0.05
    assert loss(offset) <= loss(best)


def test_the_scale_is_that_of_the_first_trials_in_training_too():
    X, y = people_frame(level=3.0)
    known = first_trials(X, 5, [10, 11])
    model = PersonalClassifier(LogisticRegression(), k=5, method="scale").fit(X[known], y[known])

    def standardised(frame):
        by_hand = []
        for _, rows in frame.groupby(level="subject"):
            first = rows["x"].to_numpy()[:5]
            by_hand.append((rows["x"].to_numpy() - first.mean()) / first.std())
        return np.concatenate(by_hand)[:, None]

    population = np.asarray(X.index.get_level_values("subject") < 10)
    oracle = LogisticRegression().fit(standardised(X[population]), y[population])
    assert_allclose(
        model.predict_proba(X[~population]), oracle.predict_proba(standardised(X[~population]))
    )


def test_a_refit_counts_each_labelled_trial_as_often_as_its_weight():
    X, y = people_frame(offset=2.0)
    known = first_trials(X, 4, [11])
    population = np.asarray(X.index.get_level_values("subject") < 11)
    model = PersonalClassifier(LogisticRegression(), k=4, method="refit", weight=7)
    model.fit(X[known], y[known])
    weight = np.where(population, 1, 7)[known]
    oracle = LogisticRegression().fit(X[known], y[known], sample_weight=weight)
    assert_allclose(
        model.predict_proba(X[~population]), oracle.predict_proba(X[~population]), atol=1e-4
    )


def test_an_update_continues_the_training_of_the_population_model():
    X, y = people_frame()
    known = first_trials(X, 4, [11])
    is_new = np.asarray(X.index.get_level_values("subject") == 11)
    inside = SGDClassifier(loss="log_loss", random_state=0)
    model = PersonalClassifier(inside, k=4, method="update", weight=3).fit(X[known], y[known])
    oracle = SGDClassifier(loss="log_loss", random_state=0).fit(X[~is_new], y[~is_new])
    before = oracle.coef_.copy()
    for _ in range(3):
        oracle.partial_fit(X[is_new][:4], y[is_new][:4])
    assert_array_equal(model.predict_proba(X[is_new]), oracle.predict_proba(X[is_new]))
    assert_array_equal(model.estimator_.coef_, before)
    with pytest.raises(ValueError, match="partial_fit, which LogisticRegression does not have"):
        PersonalClassifier(LogisticRegression(), method="update").fit(X, y)


def test_a_network_in_a_pipeline_is_fine_tuned(tmp_path):
    X, y = people_frame(offset=2.0)
    known = first_trials(X, 4, [11])
    is_new = np.asarray(X.index.get_level_values("subject") == 11)
    scale = StandardScaler().set_output(transform="pandas")
    network = NetworkClassifier(Line, max_epochs=3, batch_size=8, lr=0.1, random_state=0)
    inside = make_pipeline(scale, network)
    model = PersonalClassifier(inside, k=4, method="update", weight=5).fit(X[known], y[known])
    oracle = clone(inside).fit(X[~is_new], y[~is_new])
    before = oracle.predict_proba(X[is_new])
    oracle[-1].fine_tune(oracle[0].transform(X[is_new][:4]), y[is_new][:4], epochs=5)
    assert_array_equal(model.predict_proba(X[is_new]), oracle.predict_proba(X[is_new]))
    assert_array_equal(model.estimator_.predict_proba(X[is_new]), before)
    assert np.abs(oracle.predict_proba(X[is_new]) - before).max() > 0.01
    save(model, tmp_path / "tuned.edaemo")
    loaded = load(tmp_path / "tuned.edaemo", trusted=["outside_network.Line"])
    assert_array_equal(loaded.predict_proba(X[is_new]), model.predict_proba(X[is_new]))


# --- the choice


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"offset": 4.0}, "threshold"),
        ({"level": 6.0}, "scale"),
        ({}, "population"),
    ],
)
def test_people_wise_validation_chooses_what_the_people_differ_in(about, expected):
    X, y = people_frame(40, 20, seed=1, **about)
    about = {"weight": 2, "n_splits": 2, "balanced": False, "random_state": 0}
    model = PersonalClassifier(LogisticRegression(), k=8, **about).fit(X, y)
    assert model.method_ == expected
    best = model.losses_.loc[model.losses_["loss"].idxmin()]
    assert (best["method"], len(model.losses_)) == (expected, 6)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_losses_are_those_of_whole_people_without_their_labelled_trials(balanced):
    X, y = people_frame(10, 9, offset=1.0)
    about = {"k": 3, "n_splits": 10, "weight": 2, "prior_sd": 1.0}  # leave one person out
    model = PersonalClassifier(LogisticRegression(), **about, balanced=balanced).fit(X, y)
    subject = X.index.get_level_values("subject")
    trial = X.index.get_level_values("trial")
    expected = []
    for person in range(10):
        training = np.asarray(subject != person)
        rest = np.asarray((subject == person) & (trial >= 3))
        p = LogisticRegression().fit(X[training], y[training]).predict_proba(X[rest])
        losses = pd.Series(-np.log(p[np.arange(6), y[rest]]))
        by_class = losses.groupby(y[rest]).mean()
        expected.append(by_class.mean() if balanced else losses.mean())
    losses = model.losses_.set_index("method")["loss"]
    assert losses["population"] == pytest.approx(np.mean(expected))


# --- with scikit-learn and evaluate


def test_it_works_in_cross_validation_and_searches_and_the_labelled_trials_help():
    X, y = people_frame(20, 15, offset=4.0)
    scores = {}
    for k in (0, 5):
        about = {"method": "threshold", "prior_sd": 2.0, "balanced": False}
        model = PersonalClassifier(LogisticRegression(), k=k, **about)
        cv = CalibratedSubjectKFold(4, k=k, first_tested=5)
        scores[k] = cross_validate(model, X, y, cv=cv, error_score="raise")["test_score"].mean()
    assert scores[5] > scores[0] + 0.05
    grid = {"prior_sd": [0.01, 2.0]}
    model = PersonalClassifier(LogisticRegression(), **about)
    search = GridSearchCV(model, grid, cv=CalibratedSubjectKFold(4), error_score="raise")
    assert search.fit(X, y).best_params_ == {"prior_sd": 2.0}


def test_subjects_are_routed():
    X, y = people_frame(offset=1.0, level=1.0)
    known = first_trials(X, 5, [10, 11])
    rows, person = X.to_numpy(), X.index.get_level_values("subject").to_numpy()
    inside = make_pipeline(SubjectStandardizer(unseen="global"), LogisticRegression())
    model = PersonalClassifier(inside, method="threshold", prior_sd=1.0)
    expected = model.fit(X[known], y[known]).predict_proba(X)
    with config_context(enable_metadata_routing=True):
        model.fit(rows[known], y[known], subject=person[known])
        assert_allclose(model.predict_proba(rows, subject=person), expected)
        plain = PersonalClassifier(LogisticRegression(), method="threshold", prior_sd=1.0)
        cross_validate(
            plain, rows, y, cv=CalibratedSubjectKFold(3), params={"subject": person},
            error_score="raise",
        )  # fmt: skip


def test_evaluate_scores_what_comes_after_the_labelled_trials(tmp_path):
    X, y = people_frame(15, 10, offset=4.0)
    trials = X.reset_index().assign(stimulus=lambda table: table["trial"])
    study = Study(name="offsets", trials=trials, ratings=pd.DataFrame({"high": y}),
                  targets={"high": pd.Series(y.astype(bool))})  # fmt: skip

    inside = make_pipeline(make_column_transformer(("passthrough", ["x"])), LogisticRegression())
    model = PersonalClassifier(inside, k=4, method="threshold", prior_sd=2.0)
    cv = CalibratedSubjectKFold(3, k=4)
    table = evaluate({"personal": model}, study, protocols=cv, n_jobs=1,
                     store=tmp_path / "results.sqlite")  # fmt: skip
    rows = table.set_index("pipeline")
    assert rows.loc["personal", "n_trials"] == 15 * 6
    assert rows.loc["personal", "warning"] == cv.warning
    assert rows.loc["personal", "covers"] == "subject"
    assert "subject-prior" in rows.index  # the person's own share of labels, without the signal
    expected = [
        balanced_accuracy_score(
            y[test], model.fit(trials.iloc[training], y[training]).predict(trials.iloc[test])
        )
        for training, test in cv.split(trials, y)
    ]
    assert rows.loc["personal", "balanced_accuracy"] == pytest.approx(np.mean(expected), abs=0.03)


@pytest.mark.parametrize(
    ("method", "strength"),
    [("threshold", {"prior_sd": 1.0}), ("scale", {}), ("refit", {"weight": 2})],
)
def test_a_saved_model_predicts_the_same_and_adapts_further(tmp_path, method, strength):
    X, y = people_frame(offset=1.0, level=1.0)
    known = first_trials(X, 5, [10, 11])
    inside = make_pipeline(StandardScaler(), LogisticRegression())
    model = PersonalClassifier(inside, method=method, random_state=0, **strength)
    save(model.fit(X[known], y[known]), tmp_path / "personal.edaemo")
    loaded = load(tmp_path / "personal.edaemo")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    new = X.rename(index={0: 99}, level="subject")[:5]
    for one in (loaded, model):
        one.adapt(new, y[:5])
    assert_array_equal(loaded.predict_proba(new), model.predict_proba(new))


# --- errors


def test_people_without_labelled_trials_are_named_in_a_warning():
    X, y = people_frame()
    model = PersonalClassifier(LogisticRegression(), method="threshold").fit(X[:140], y[:140])
    with pytest.warns(UserWarning, match="2 people have no labelled trials.*10, 11"):
        predicted = model.predict_proba(X)
    assert_array_equal(predicted, model.estimator_.predict_proba(X))


def test_errors_say_what_to_do():
    X, y = people_frame(4, 4)
    with pytest.raises(ValueError, match=r"No subject has more than k=5 trials.*lower k"):
        PersonalClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="4 subjects have more than k=2 trials: lower n_splits"):
        PersonalClassifier(LogisticRegression(), k=2).fit(X, y)
    with pytest.raises(ValueError, match="scale' needs k of at least 2"):
        PersonalClassifier(LogisticRegression(), k=1, method="scale").fit(X, y)
    with pytest.raises(ValueError, match="weight must be one or more integers above 0"):
        PersonalClassifier(LogisticRegression(), k=1, weight=[1, 0.5], n_splits=2).fit(X, y)
    model = PersonalClassifier(LogisticRegression(), k=2, method="threshold", prior_sd=1.0)
    model.fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="label 7 of subject 9 is not among"):
        model.adapt(X[:2], [1, 7], subject=[8, 9])
    assert vars(model) == before
    with pytest.raises(ValueError, match="k=0 uses no labelled trials"):
        PersonalClassifier(LogisticRegression(), k=0).fit(X, y).adapt(X, y)
