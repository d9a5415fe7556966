"""The relabeler: the best partition, the rules, the errors, and its place in a pipeline."""

import itertools
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler

from edaemo.preprocessing import SubjectThresholdRelabeler
from edaemo.preprocessing._relabel import _two_means

FOUR = pd.DataFrame({"valence": [2.0, 3.0, 7.0, 8.0], "arousal": [1.0, 2.0, 8.0, 9.0]})


def scatter(points):
    return ((points - points.mean(axis=0)) ** 2).sum()


def best_of_all_bipartitions(points):
    masks = (
        np.array((*m, False)) for m in itertools.product((True, False), repeat=len(points) - 1)
    )
    return min(scatter(points[m]) + scatter(points[~m]) for m in masks if m.any())


def sse(points, centers):
    return ((points[:, None] - centers) ** 2).sum(axis=2).min(axis=1).sum()


def study(n_subjects=8, n_trials=12, seed=0):
    """Numeric X whose first column follows arousal, indexed by subject, and its ratings."""
    rng = np.random.default_rng(seed)
    subject = np.repeat([f"p{k}" for k in range(n_subjects)], n_trials)
    mood = rng.integers(0, 2, len(subject))
    offset = np.repeat(rng.uniform(-2, 2, n_subjects), n_trials)
    index = pd.MultiIndex.from_arrays(
        [subject, np.arange(len(subject))], names=["subject", "trial"]
    )
    x = mood[:, None] * [3.0, 0.0] + rng.normal(size=(len(subject), 2))
    rating = 5 + offset[:, None] + np.where(mood == 1, 2, -2)[:, None] * [0.6, 1.0]
    rating = rating + rng.uniform(-0.8, 0.8, (len(subject), 2))
    X = pd.DataFrame(x, index=index, columns=["a", "b"])
    return X, pd.DataFrame(rating, index=index, columns=["valence", "arousal"]), subject


# The partition


@pytest.mark.parametrize("n", range(2, 11))
@pytest.mark.parametrize("kind", ["continuous", "grid", "decimal"])
def test_two_means_is_the_global_optimum(n, kind):
    for seed in range(12 if n < 9 else 4):
        rng = np.random.default_rng([n, seed])
        points = {
            "continuous": rng.normal(size=(n, 2)),
            "grid": rng.integers(1, 5, (n, 2)).astype(float),
            "decimal": rng.uniform(-1, 1, (n, 2)).round(1),
        }[kind]
        if len(np.unique(points, axis=0)) < 2:
            continue
        found = _two_means(points)
        assert sse(points, found.centers) == pytest.approx(
            best_of_all_bipartitions(points), rel=1e-9, abs=1e-12
        )


@pytest.mark.parametrize("seed", range(10))
def test_two_means_is_at_least_as_good_as_kmeans(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(1, 9, (60, 2)) if seed % 2 else rng.integers(1, 10, (60, 2)).astype(float)
    kmeans = KMeans(2, n_init=50, random_state=seed).fit(points)
    assert sse(points, _two_means(points).centers) <= kmeans.inertia_ * (1 + 1e-12)


def test_two_means_counts_weights_as_repetitions():
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(9, 2)), rng.integers(1, 6, 9)
    weighted, repeated = _two_means(points, weights), _two_means(points.repeat(weights, axis=0))
    assert_array_equal(weighted.centers, repeated.centers)


@pytest.mark.parametrize("n", [4, 30])
def test_two_means_goes_through_its_points_in_chunks(monkeypatch, n):
    many = [np.random.default_rng(seed).normal(size=(n, 2)) for seed in range(20)]
    at_once = [_two_means(points).centers for points in many]
    for cells in (1, 3 * n):
        monkeypatch.setattr("edaemo.preprocessing._relabel._CELLS_AT_ONCE", cells)
        assert_array_equal([_two_means(points).centers for points in many], at_once)


def test_equal_optima_take_the_lowest_midpoint_and_warn():
    # Three points on the arousal axis, one step apart: {0, 1 | 2} and {0 | 1, 2} are equally good,
    # with midpoints 1.25 and 0.75.
    ratings = np.array([[4.0, 0.0], [4.0, 1.0], [4.0, 2.0]])
    relabeler = SubjectThresholdRelabeler()
    with pytest.warns(UserWarning, match="1 of 1 subjects have several equally good") as told:
        labels = relabeler.fit_relabel(ratings, subject=["a"] * 3)
    assert len(told) == 1
    assert relabeler.thresholds_.loc["a", "arousal"] == 0.75
    assert_array_equal(labels, [0, 1, 1])


def test_equal_optima_compare_valence_after_arousal():
    # The same three points along valence; arousal midpoints are equal.
    ratings = np.array([[0.0, 4.0], [1.0, 4.0], [2.0, 4.0]])
    relabeler = SubjectThresholdRelabeler("valence")
    with pytest.warns(UserWarning, match="equally good"):
        relabeler.fit(ratings, subject=["a"] * 3)
    assert relabeler.thresholds_.loc["a", "valence"] == 0.75
    # Nobody who asks for arousal needs to hear of it.
    SubjectThresholdRelabeler("arousal", min_center_distance=0).fit(ratings, subject=["a"] * 3)


def test_equal_optima_compare_arousal_before_valence():
    ratings = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    relabeler = SubjectThresholdRelabeler("valence")
    with pytest.warns(UserWarning, match="equally good"):
        relabeler.fit(ratings, subject=["a"] * 3)
    assert relabeler.thresholds_.loc["a"].to_dict() == {"valence": 1.25, "arousal": 0.75}


def test_equal_optima_with_the_same_threshold_do_not_warn():
    # A square falls into halves in two ways, both with the midpoint in its middle.
    ratings = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    relabeler = SubjectThresholdRelabeler(min_center_distance=0)
    assert_array_equal(relabeler.fit_relabel(ratings, subject=["a"] * 4), [0, 1, 0, 1])
    assert_array_equal(relabeler.thresholds_, [[0.5, 0.5]])


@pytest.mark.parametrize("kind", ["continuous", "grid", "zero"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_row_order_changes_nothing(kind):
    rng = np.random.default_rng(3)
    size = (120, 2)
    points = rng.integers(1, 6, size) * 0.1 if kind == "grid" else rng.uniform(1, 9, size)
    if kind == "zero":
        points[:, 0] = rng.choice([0.0, -0.0], 120)
    subject = rng.choice(["a", "b", "c"], 120)
    first = SubjectThresholdRelabeler("both")
    labels = first.fit_relabel(points, subject=subject)
    for _ in range(10):
        order = rng.permutation(120)
        other = SubjectThresholdRelabeler("both")
        assert_array_equal(other.fit_relabel(points[order], subject=subject[order]), labels[order])
        for name in ("thresholds_", "centers_"):
            one, two = getattr(first, name), getattr(other, name)
            assert one.index.equals(two.index)
            assert one.to_numpy().tobytes() == two.to_numpy().tobytes()


# Labels


def test_worked_example():
    relabeler = SubjectThresholdRelabeler().fit(FOUR, subject=["p1"] * 4)
    # centres (2.5, 1.5) and (7.5, 8.5), midpoint (5, 5)
    assert relabeler.thresholds_.loc["p1"].to_dict() == {"valence": 5.0, "arousal": 5.0}
    assert relabeler.centers_.loc[("p1", "low")].to_dict() == {"valence": 2.5, "arousal": 1.5}
    assert relabeler.centers_.loc[("p1", "high")].to_dict() == {"valence": 7.5, "arousal": 8.5}
    assert relabeler.class_balance_.loc["arousal"].to_dict() == {
        "n": 4,
        "n_high": 2,
        "share_high": 0.5,
    }
    assert relabeler.n_features_in_ == 2
    labels = relabeler.relabel(FOUR, subject=["p1"] * 4)
    assert labels.dtype == np.int64
    assert_array_equal(labels, [0, 0, 1, 1])


def test_thresholds_are_personal():
    ratings = pd.concat([FOUR, FOUR + 4])
    relabeler = SubjectThresholdRelabeler()
    labels = relabeler.fit_relabel(ratings, subject=["p1"] * 4 + ["p2"] * 4)
    assert_array_equal(labels, [0, 0, 1, 1] * 2)
    assert_array_equal(relabeler.thresholds_["arousal"], [5.0, 9.0])


def test_centers_are_ordered_on_the_target_axis():
    ratings = pd.DataFrame({"valence": [8.0, 7.0, 3.0, 2.0], "arousal": [1.0, 2.0, 8.0, 9.0]})
    for target, low in [("arousal", 7.5), ("valence", 2.5), ("both", 7.5)]:
        relabeler = SubjectThresholdRelabeler(target).fit(ratings, subject=["a"] * 4)
        assert relabeler.centers_.loc[("a", "low"), "valence"] == low


def test_target_both_names_the_quadrants():
    ratings = np.array([[1, 1], [9, 1], [1, 9], [9, 9], [1.0, 1.0]])  # valence, arousal
    relabeler = SubjectThresholdRelabeler("both", threshold=5)
    assert_array_equal(relabeler.fit_relabel(ratings), [0, 1, 2, 3, 0])


@pytest.mark.parametrize("target", ["arousal", "valence", "both"])
def test_columns_are_found_by_name(target):
    # A table like that of AMIGOS: arousal first, and more columns than are needed.
    _, ratings, subject = study()
    ratings["valence"] = ratings["valence"].to_numpy()[::-1]
    table = ratings.assign(dominance="no number")[["arousal", "dominance", "valence"]]
    relabeler = SubjectThresholdRelabeler(target, min_center_distance=0)
    expected = relabeler.fit_relabel(ratings.to_numpy(), subject=subject)
    assert_array_equal(relabeler.fit_relabel(table, subject=subject), expected)


def test_subjects_come_from_column_or_index():
    _, ratings, subject = study()
    expected = SubjectThresholdRelabeler().fit_relabel(ratings.to_numpy(), subject=subject)
    in_column = ratings.reset_index(drop=True).assign(subject=subject)
    for table in (ratings, in_column):
        assert_array_equal(SubjectThresholdRelabeler().fit_relabel(table), expected)


def test_relabel_keeps_known_thresholds_and_learns_new_ones():
    relabeler = SubjectThresholdRelabeler().fit(FOUR, subject=["p1"] * 4)
    before = relabeler.thresholds_.copy()
    ratings = pd.concat([FOUR + 4.5, FOUR + 4.5])
    labels = relabeler.relabel(ratings, subject=["p1"] * 4 + ["new"] * 4)
    # p1 is cut at 5: 5.5, 6.5, 12.5, 13.5 are all high; the new person is cut at 9.5.
    assert_array_equal(labels, [1, 1, 1, 1, 0, 0, 1, 1])
    pd.testing.assert_frame_equal(relabeler.thresholds_, before)


def test_relabel_may_return_one_class():
    relabeler = SubjectThresholdRelabeler().fit(FOUR, subject=["p1"] * 4)
    assert_array_equal(relabeler.relabel(FOUR.iloc[:2], subject=["p1"] * 2), [0, 0])


def test_number_is_one_threshold_for_all():
    ratings = pd.concat([FOUR, FOUR + 6])
    expected = [0, 0, 1, 1, 1, 1, 1, 1]
    without = SubjectThresholdRelabeler(threshold=5.5)
    assert_array_equal(without.fit_relabel(ratings), expected)
    assert_array_equal(without.relabel(ratings, subject=list("aaaabbbb")), expected)
    assert without.thresholds_.loc["everyone"].tolist() == [5.5, 5.5]
    assert without.centers_.empty
    named = SubjectThresholdRelabeler(threshold=5.5)
    assert_array_equal(named.fit_relabel(ratings, subject=list("aaaabbbb")), expected)
    assert named.thresholds_.index.tolist() == ["a", "b"]


@pytest.mark.filterwarnings("ignore:Some ids of subject are nearly equal")
def test_subject_ids_of_mixed_types():
    ids = np.array([1] * 4 + ["1"] * 4 + ["x"] * 4, dtype=object)
    ratings = pd.concat([FOUR, FOUR + 4, FOUR + 8])
    relabeler = SubjectThresholdRelabeler()
    assert_array_equal(relabeler.fit_relabel(ratings, subject=ids), [0, 0, 1, 1] * 3)
    assert relabeler.thresholds_["arousal"].to_dict() == {1: 5.0, "1": 9.0, "x": 13.0}


# Rules and their warnings


def test_rating_on_the_threshold_is_low_and_told():
    ratings = np.array([[2, 1], [2, 1], [8, 8.5], [8, 9.5], [8, 5.0]])
    # 2-means: {(2, 1) twice} and the rest, centres (2, 1) and (8, 23 / 3)
    relabeler = SubjectThresholdRelabeler().fit(ratings, subject=["a"] * 5)
    on = np.array([[0.0, (1 + 23 / 3) / 2], [0.0, 9.0]])
    with pytest.warns(
        UserWarning, match=r"1 of 2 ratings are exactly on the arousal .* a\."
    ) as told:
        labels = relabeler.relabel(on, subject=["a", "a"])
    assert len(told) == 1
    assert_array_equal(labels, [0, 1])
    balance = SubjectThresholdRelabeler(threshold=8).fit(ratings).class_balance_
    assert balance["n_high"].to_dict() == {"valence": 0, "arousal": 2}


def test_tie_survives_rounding():
    # In exact arithmetic the centres are 0.2 / 3 and 0.6 - 0.2 / 3, the midpoint is 0.3.
    arousal = [0.0, 0.1, 0.1, 0.5, 0.5, 0.6]
    ratings = np.column_stack([arousal, arousal])
    relabeler = SubjectThresholdRelabeler().fit(ratings, subject=["a"] * 6)
    for rating in (0.3, 0.1 + 0.2, 0.9 - 0.6):
        with pytest.warns(UserWarning, match="exactly on"):
            assert relabeler.relabel([[0.0, rating]], subject=["a"]) == [0]


def test_tie_on_the_other_axis_is_not_told():
    # Valence never varies, so all of it lies on the valence threshold (though 3 * 0.1 / 3 > 0.1).
    ratings = np.column_stack([[0.1] * 6, [1.0, 2.0, 1.0, 8.0, 9.0, 8.0]])
    subject = ["a"] * 6
    SubjectThresholdRelabeler("arousal").fit_relabel(ratings, subject=subject)
    relabeler = SubjectThresholdRelabeler("valence", min_center_distance=0)
    relabeler.fit(ratings, subject=subject)
    with pytest.warns(UserWarning, match="6 of 6 ratings are exactly on the valence"):
        assert_array_equal(relabeler.relabel(ratings, subject=subject), [0] * 6)


def test_one_distinct_point_is_all_low_and_told_once():
    ratings = pd.concat([FOUR, FOUR * 0 + 0.1])
    relabeler = SubjectThresholdRelabeler()
    with pytest.warns(UserWarning, match="1 of 2 subjects gave all trials the same") as told:
        labels = relabeler.fit_relabel(ratings, subject=["a"] * 4 + ["flat"] * 4)
    assert len(told) == 1
    assert_array_equal(labels, [0, 0, 1, 1, 0, 0, 0, 0])
    assert relabeler.thresholds_.loc["flat"].tolist() == [0.1, 0.1]
    assert relabeler.centers_.loc["flat"].to_numpy().tolist() == [[0.1, 0.1]] * 2


def test_close_centres_are_told_and_keep_their_threshold():
    close = FOUR.assign(arousal=[5.0, 5.2, 5.4, 5.6])
    ratings = pd.concat(
        [FOUR, close]
    )  # arousal spans 8, so the limit is 0.8; centres are 0.4 apart
    subject = ["a"] * 4 + ["b"] * 4
    relabeler = SubjectThresholdRelabeler()
    with pytest.warns(
        UserWarning, match=r"1 of 2 subjects have centres .* arousal: .* b\."
    ) as told:
        labels = relabeler.fit_relabel(ratings, subject=subject)
    assert len(told) == 1
    assert relabeler.thresholds_.loc["b", "arousal"] == pytest.approx(5.3)
    assert_array_equal(labels, [0, 0, 1, 1] * 2)
    assert relabeler.rating_span_.to_dict() == {"valence": 6.0, "arousal": 8.0}
    # The limit on valence is a share of the span of valence, 6: 0.5 apart is more than 0.42.
    other = pd.concat([FOUR, FOUR.assign(valence=[5.0, 5.2, 5.5, 5.7])])
    SubjectThresholdRelabeler("valence", min_center_distance=0.07).fit(other, subject=subject)
    # Not so on valence, not below the limit, and not when nothing was asked for.
    for params in (
        {"target": "valence"},
        {"min_center_distance": 0.049},
        {"min_center_distance": 0},
    ):
        SubjectThresholdRelabeler(**params).fit(ratings, subject=subject)


def test_warning_names_the_first_few_subjects():
    subject = np.repeat([f"s{k}" for k in range(8)], 2)
    ratings = np.repeat(np.arange(16.0).reshape(8, 2), 2, axis=0)
    with pytest.warns(UserWarning, match=r"8 of 8 .*: s0, s1, s2, s3, s4 and 3 more\."):
        SubjectThresholdRelabeler().fit(ratings, subject=subject)


# Errors


@pytest.mark.parametrize(
    ("ratings", "says"),
    [
        (None, "ratings are missing"),
        ([1.0, 2.0, 3.0, 4.0], r"shape \(4,\).*both are needed"),
        (FOUR["arousal"], r"shape \(4,\).*both are needed"),
        (np.zeros((4, 1)), r"shape \(4, 1\).*both are needed"),
        (np.zeros((4, 3)), r"shape \(4, 3\).*both are needed"),
        (np.zeros((4, 2, 1)), "both are needed"),
        (FOUR.rename(columns={"valence": "pleasure"}), "no column 'valence';.*'pleasure'"),
        (FOUR.set_axis([0, 1], axis=1), "no column 'valence' and no column 'arousal'"),
        (FOUR.assign(arousal="high"), "high"),
        (FOUR.iloc[:0], "minimum of 1 is required"),
    ],
)
@pytest.mark.parametrize("threshold", ["subject", 5.0])
def test_ratings_without_two_axes_are_refused(ratings, says, threshold):
    relabeler = SubjectThresholdRelabeler(threshold=threshold)
    with pytest.raises(ValueError, match=says):
        relabeler.fit(ratings, subject=["a"] * 4)
    assert not hasattr(relabeler, "thresholds_")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_rating_is_named(value):
    ratings = FOUR.copy()
    ratings.loc[2, "valence"] = value
    with pytest.raises(ValueError, match=rf"valence rating of row 2 \(subject c\) is {value}"):
        SubjectThresholdRelabeler().fit(ratings, subject=list("abcd"))


def test_unknown_subjects_are_refused():
    with pytest.raises(ValueError, match="pass subject="):
        SubjectThresholdRelabeler().fit(FOUR)
    with pytest.raises(ValueError, match="pass subject="):
        SubjectThresholdRelabeler().fit_resample(np.zeros((4, 1)), FOUR)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one id for each of the 4 trials"):
        SubjectThresholdRelabeler().fit(FOUR, subject=["a"] * 3)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SubjectThresholdRelabeler().fit_resample(np.zeros((5, 1)), FOUR, subject=["a"] * 4)
    with pytest.raises(ValueError, match="one id for each of the 4 trials"):
        SubjectThresholdRelabeler().fit_resample(np.zeros((4, 1)), FOUR, subject=["a"] * 5)


def test_tables_in_different_order_are_refused():
    X, ratings, subject = study()
    swapped = ratings.iloc[::-1]
    with pytest.raises(ValueError, match="name different subjects, first in row 0: 'p0' and 'p7'"):
        SubjectThresholdRelabeler().fit_resample(X, swapped)
    SubjectThresholdRelabeler().fit_resample(X, swapped, subject=subject[::-1])


def test_one_class_over_everybody_is_refused_and_leaves_nothing_behind():
    relabeler = SubjectThresholdRelabeler(threshold=100.0)
    for relabel in (
        lambda: relabeler.fit_relabel(FOUR),
        lambda: relabeler.fit_resample(np.zeros((4, 1)), FOUR),
    ):
        with pytest.raises(ValueError, match="All 4 trials get the label 0"):
            relabel()
        assert not hasattr(relabeler, "thresholds_")


def test_failed_fit_keeps_the_former_one():
    relabeler = SubjectThresholdRelabeler().fit(FOUR, subject=["a"] * 4)
    with pytest.raises(ValueError, match="All 2 trials"), pytest.warns(UserWarning, match="same"):
        relabeler.fit_relabel(FOUR.iloc[:2] * 0, subject=["b"] * 2)
    assert relabeler.thresholds_.index.tolist() == ["a"]


def test_relabel_before_fit_is_refused():
    with pytest.raises(NotFittedError):
        SubjectThresholdRelabeler().relabel(FOUR, subject=["a"] * 4)


@pytest.mark.parametrize(
    "params",
    [
        {"target": "dominance"},
        {"threshold": "median"},
        {"threshold": np.nan},
        {"threshold": None},
        {"min_center_distance": -1},
    ],
)
def test_wrong_parameters_are_refused(params):
    for method in ("fit", "fit_relabel"):
        with pytest.raises(ValueError, match=next(iter(params))):
            getattr(SubjectThresholdRelabeler(**params), method)(FOUR, subject=["a"] * 4)


# In a pipeline


def test_there_is_no_transform_beside_fit_resample():
    for method in ("transform", "fit_transform"):
        assert not hasattr(SubjectThresholdRelabeler, method)


def test_fit_resample_returns_x_itself_and_the_labels():
    X, ratings, subject = study()
    expected = SubjectThresholdRelabeler().fit_relabel(ratings)
    for table, y in [
        (X, ratings),  # index of X and of the ratings
        (X, ratings.to_numpy()),  # index of X
        (X.reset_index(), ratings.to_numpy()),  # column of X
        (X.to_numpy(), ratings),  # index of the ratings
    ]:
        out, labels = SubjectThresholdRelabeler().fit_resample(table, y)
        assert out is table
        assert_array_equal(labels, expected)
    out, labels = SubjectThresholdRelabeler().fit_resample(
        X.to_numpy(), ratings.to_numpy(), subject=subject
    )
    assert_array_equal(labels, expected)


def test_pipeline_with_and_without_routing_agree():
    X, ratings, subject = study()
    labels = SubjectThresholdRelabeler().fit_relabel(ratings)
    expected = LogisticRegression().fit(StandardScaler().fit_transform(X), labels)
    pipe = make_pipeline(SubjectThresholdRelabeler(), StandardScaler(), LogisticRegression())

    pipe.fit(X, ratings)
    assert_array_equal(pipe[-1].coef_, expected.coef_)
    assert accuracy_score(labels, pipe.predict(X)) > 0.8

    with config_context(enable_metadata_routing=True):
        routed = clone(pipe).fit(X.to_numpy(), ratings.to_numpy(), subject=subject)
        late = make_pipeline(StandardScaler(), SubjectThresholdRelabeler(), LogisticRegression())
        late.fit(X.to_numpy(), ratings.to_numpy(), subject=subject)
    assert_array_equal(routed[-1].coef_, expected.coef_)
    assert_array_equal(late[-1].coef_, expected.coef_)


def test_pipeline_takes_subjects_from_a_column_with_and_without_routing():
    X, ratings, subject = study()
    table = X.reset_index(drop=True).assign(subject=[int(name[1:]) for name in subject])
    ratings = ratings.reset_index(drop=True)
    for routing in (False, True):
        with config_context(enable_metadata_routing=routing):
            pipe = make_pipeline(SubjectThresholdRelabeler(), LogisticRegression())
            pipe.fit(table, ratings)
        assert_array_equal(
            pipe[0].thresholds_.to_numpy(),
            SubjectThresholdRelabeler().fit(ratings, subject=subject).thresholds_.to_numpy(),
        )


def test_pipeline_of_an_array_without_routing_is_an_error():
    X, ratings, subject = study()
    pipe = make_pipeline(SubjectThresholdRelabeler(), LogisticRegression())
    step = "subjectthresholdrelabeler__subject"  # imbalanced-learn takes this and drops it
    with pytest.raises(ValueError, match="pass subject="):
        pipe.fit(X.to_numpy(), ratings.to_numpy(), **{step: subject})


def test_raw_ratings_against_labels_never_score_zero():
    X, ratings, _ = study()
    pipe = make_pipeline(SubjectThresholdRelabeler(), LogisticRegression()).fit(X, ratings)
    with pytest.raises(ValueError, match="multioutput"):
        pipe.score(X, ratings)


def test_routing_works_when_edaemo_is_imported_first():
    code = (
        "from edaemo.preprocessing import SubjectThresholdRelabeler as R\n"
        "assert R().get_metadata_routing().fit_resample.requests == {'subject': True}\n"
        "assert hasattr(R, 'set_fit_resample_request')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_clone_and_pickle():
    _, ratings, _ = study()
    relabeler = SubjectThresholdRelabeler("both", min_center_distance=0).fit(ratings)
    again = pickle.loads(pickle.dumps(relabeler))
    assert_array_equal(again.relabel(ratings), relabeler.relabel(ratings))
    assert clone(relabeler).get_params() == relabeler.get_params()


# Stability and separation


def stability_by_kmeans(points, label, axis, n_draws, seed):
    """Count kept labels with scikit-learn's 2-means, on the same draws."""
    n = len(points)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
    kept = np.zeros(n)
    for counts in draws:
        drawn = np.repeat(points, counts, axis=0)
        middle = KMeans(2, n_init=20, random_state=0).fit(drawn).cluster_centers_.mean(axis=0)
        kept += (points[:, axis] > middle[axis]) == label
    return kept / n_draws


@pytest.mark.parametrize("target", ["valence", "arousal"])
def test_stability_is_the_share_of_draws_that_keep_the_label(target):
    rng = np.random.default_rng(4)
    ratings = pd.DataFrame(rng.normal(size=(24, 2)), columns=["valence", "arousal"])
    subject = np.repeat(["a", "b"], 12)
    relabeler = SubjectThresholdRelabeler(target, min_center_distance=0)
    labels = relabeler.fit_relabel(ratings, subject=subject)
    stable = relabeler.stability(ratings, subject=subject, n_draws=25, random_state=7)
    axis = ["valence", "arousal"].index(target)
    for person in "ab":
        rows = subject == person
        expected = stability_by_kmeans(ratings.to_numpy()[rows], labels[rows], axis, 25, 7)
        assert stable[rows] == pytest.approx(expected)
    assert stable.min() < 0.9


def test_stability_of_clear_groups_is_one_except_for_what_lies_between():
    low = np.arange(5.0)[:, None] * [0.1, 0.2]
    points = np.concatenate([low, low + 10, [[5.4, 5.4]]])
    relabeler = SubjectThresholdRelabeler()
    relabeler.fit(points, subject=np.zeros(11))
    stable = relabeler.stability(points, subject=np.zeros(11))
    assert (stable[:-1] > 0.99).all()
    assert 0.3 < stable[-1] < 0.99


def test_stability_of_quadrants_is_that_of_both_axes():
    rng = np.random.default_rng(2)
    ratings = pd.DataFrame(rng.normal(size=(15, 2)), columns=["valence", "arousal"])
    subject = np.zeros(15)
    of = {
        target: SubjectThresholdRelabeler(target, min_center_distance=0)
        .fit(ratings, subject=subject)
        .stability(ratings, subject=subject)
        for target in ("valence", "arousal", "both")
    }
    assert (of["both"] <= np.minimum(of["valence"], of["arousal"]) + 1e-12).all()
    assert (of["both"] >= of["valence"] + of["arousal"] - 1 - 1e-12).all()


def test_stability_does_not_depend_on_other_subjects_or_the_number_type():
    _, ratings, subject = study()
    relabeler = SubjectThresholdRelabeler().fit(ratings)
    stable = relabeler.stability(ratings)
    one = subject == "p3"
    assert_array_equal(relabeler.stability(ratings[one]), stable[one])
    assert_array_equal(relabeler.stability(ratings, n_draws=np.int64(200)), stable)
    assert (relabeler.stability(ratings, random_state=1) != stable).any()


def test_stability_of_equal_ratings_and_of_a_fixed_threshold():
    with pytest.warns(UserWarning, match="the same ratings"):
        relabeler = SubjectThresholdRelabeler().fit(np.ones((4, 2)), subject=[1] * 4)
    assert_array_equal(relabeler.stability(np.ones((4, 2)), subject=[1] * 4), np.ones(4))
    fixed = SubjectThresholdRelabeler(threshold=5.0).fit(FOUR)
    assert_array_equal(fixed.stability(FOUR), np.ones(4))
    assert fixed.separation(FOUR).shape == (0, 2)
    with pytest.raises(ValueError, match="n_draws must be at least 1, got 0"):
        fixed.stability(FOUR, n_draws=0)
    with pytest.raises(NotFittedError):
        SubjectThresholdRelabeler().stability(FOUR)


def test_separation_by_hand():
    # Centres (2.5, 1.5) and (7.5, 8.5); every rating is 0.5 from its centre on each axis.
    relabeler = SubjectThresholdRelabeler().fit(FOUR, subject=["p"] * 4)
    separation = relabeler.separation(FOUR, subject=["p"] * 4)
    assert separation.loc["p"].to_dict() == {"valence": 10.0, "arousal": 14.0}
    two = np.array([[1.0, 1.0], [1.0, 3.0]])
    relabeler = SubjectThresholdRelabeler().fit(two, subject=[0, 0])
    assert relabeler.separation(two, subject=[0, 0]).loc[0].tolist() == [0.0, np.inf]
    with pytest.raises(ValueError, match="not in fit: q"):
        relabeler.separation(two, subject=["q", "q"])
