"""Standardising by person: the values, the rules for few and new people, leaks, routing."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import zscore
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo import MusicFeatureUnion
from edaemo.preprocessing import SubjectStandardizer

PEOPLE = ["p0", "p1", "p2", "p3"]


def recordings(people=PEOPLE, n_trials=8, seed=0, dtype=np.float64):
    """Three features, each person at another level and range, people mixed with one another."""
    rng = np.random.default_rng(seed)
    subject = np.tile(people, n_trials)
    trial = np.repeat(np.arange(n_trials), len(people))
    level = dict(zip(people, rng.uniform(-20, 20, (len(people), 3)), strict=True))
    spread = dict(zip(people, rng.uniform(0.5, 5, (len(people), 3)), strict=True))
    values = [level[p] + spread[p] * rng.normal(size=3) for p in subject]
    index = pd.MultiIndex.from_arrays(
        [subject, [f"s{t}" for t in trial], trial], names=["subject", "stimulus", "trial"]
    )
    return pd.DataFrame(values, index=index, columns=["a", "b", "c"], dtype=dtype)


def by_person(X):
    return X.groupby("subject").transform(zscore)


def subjects_of(X):
    return X.index.get_level_values("subject").to_numpy()


def of(X, *people):
    return X[X.index.get_level_values("subject").isin(people)]


def first_trials(X, person, n):
    """Take this person's later trials away."""
    return X[(subjects_of(X) != person) | (X.index.get_level_values("trial") < n)]


def moved(X, person):
    X = X.copy()
    X[subjects_of(X) == person] = X * 50 - 1000
    return X


@pytest.fixture
def train():
    return recordings()


@pytest.fixture
def new():
    return recordings(["n0", "q1"], seed=1)  # one sorts before, one after those in training


# The values


def test_each_person_is_standardised_by_the_own_trials(train):
    assert_allclose(SubjectStandardizer().fit_transform(train), by_person(train), atol=1e-12)


@pytest.mark.parametrize("ids", [list, np.array, pd.Series, lambda s: pd.Categorical(s)])
def test_subjects_come_as_metadata(train, ids):
    subject = ids(subjects_of(train))
    standardizer = SubjectStandardizer()
    once = standardizer.fit_transform(train.to_numpy(), subject=subject)
    again = standardizer.transform(train.to_numpy(), subject=subject)
    assert type(once) is np.ndarray
    assert_allclose(once, by_person(train), atol=1e-12)
    assert_array_equal(once, again)


def test_metadata_win_over_the_index(train):
    wrong = train.set_axis(train.index.set_levels(["x"] * 4, level=0, verify_integrity=False))
    out = SubjectStandardizer().fit_transform(wrong, subject=subjects_of(train))
    assert_allclose(out, by_person(train), atol=1e-12)


def test_subjects_that_are_numbers_are_matched_by_value(train):
    subject = np.array([int(s[1]) for s in subjects_of(train)])
    standardizer = SubjectStandardizer(unseen="error").fit(train.to_numpy(), subject=subject)
    out = standardizer.transform(train.to_numpy(), subject=subject.astype(object))
    assert_allclose(out, by_person(train), atol=1e-12)


def test_the_learned_attributes(train):
    standardizer = SubjectStandardizer().fit(train)
    groups = train.groupby("subject")
    pd.testing.assert_frame_equal(standardizer.means_, groups.mean())
    pd.testing.assert_frame_equal(standardizer.scales_, groups.std(ddof=0))
    pooled = StandardScaler().fit(train.to_numpy())
    assert_allclose(standardizer.global_mean_, pooled.mean_)
    assert_allclose(standardizer.global_scale_, pooled.scale_)
    assert standardizer.n_features_in_ == 3
    assert list(standardizer.feature_names_in_) == ["a", "b", "c"]


def test_people_seen_in_fit_keep_what_was_learned(train):
    later = recordings(seed=5) + 100
    out = SubjectStandardizer().fit(train).transform(later)
    for person in PEOPLE:
        scaler = StandardScaler().fit(of(train, person).to_numpy())
        assert_allclose(of(out, person), scaler.transform(of(later, person).to_numpy()))


def test_row_order_does_not_matter(train, new):
    both = pd.concat([train, new])
    order = np.random.default_rng(3).permutation(len(both))
    straight = SubjectStandardizer().fit(train).transform(both)
    shuffled = SubjectStandardizer().fit(train.iloc[::-1]).transform(both.iloc[order])
    assert_allclose(shuffled, straight.iloc[order], rtol=1e-12, atol=1e-13)
    pd.testing.assert_index_equal(shuffled.index, straight.index[order])


# People not seen in fit


def test_new_people_are_standardised_by_their_own_trials(train, new):
    out = SubjectStandardizer(unseen="self").fit(train).transform(pd.concat([new, train]))
    assert_allclose(out, by_person(pd.concat([new, train])), atol=1e-12)


def test_new_people_are_standardised_by_the_training_trials(train, new):
    out = SubjectStandardizer(unseen="global").fit(train).transform(pd.concat([new, train]))
    expected = StandardScaler().fit(train.to_numpy()).transform(new.to_numpy())
    assert_allclose(of(out, "n0", "q1"), expected)
    assert_allclose(of(out, *PEOPLE), by_person(train), atol=1e-12)


def test_new_people_are_an_error_that_names_them(train, new):
    standardizer = SubjectStandardizer(unseen="error").fit(train)
    with pytest.raises(ValueError, match=r"2 of 6 subjects were not seen in fit: n0, q1\."):
        standardizer.transform(pd.concat([train, new]))
    assert_allclose(standardizer.transform(train), by_person(train), atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "transductive"),
    [
        ({}, True),
        ({"unseen": "global"}, False),
        ({"unseen": "error"}, False),
        ({"calibrate_on": 5}, False),
        ({"calibrate_on": 5, "unseen": "global"}, False),
    ],
)
def test_it_says_whether_it_is_transductive_and_is_it(train, new, parameters, transductive):
    standardizer = SubjectStandardizer(**parameters)
    assert standardizer.transductive is transductive
    if standardizer.unseen == "error":
        return
    standardizer.fit(train)
    seven = [standardizer.transform(new.iloc[:14])["a"] for _ in range(2)]
    eight = standardizer.transform(new)["a"].iloc[:14]
    assert_array_equal(*seven)
    assert (seven[0] != eight).all() == transductive
    assert (seven[0] != eight).any() == transductive


# Too few trials


def test_a_person_with_few_training_trials_gets_the_global_scale(train):
    train = first_trials(train, "p1", 4)
    with pytest.warns(UserWarning, match=r"1 of 4 subjects have fewer than 5 tr.*: p1\.") as caught:
        standardizer = SubjectStandardizer().fit(train)
    assert len(caught) == 1
    pooled = StandardScaler().fit(train.to_numpy())
    out = standardizer.transform(train)
    assert_allclose(of(out, "p1"), pooled.transform(of(train, "p1").to_numpy()))
    assert_allclose(of(out, "p0", "p2"), by_person(of(train, "p0", "p2")), atol=1e-12)
    assert_allclose(standardizer.means_.loc["p1"], pooled.mean_)
    # What was learned stays, although these would be enough:
    more = of(recordings(seed=9), "p1")
    assert_allclose(standardizer.transform(more), pooled.transform(more.to_numpy()))


def test_fit_transform_warns_once(train):
    train = first_trials(train, "p1", 4)
    with pytest.warns(UserWarning, match=r"Subjects: p1\.") as caught:
        SubjectStandardizer().fit_transform(train)
    assert len(caught) == 1


def test_a_new_person_with_few_trials_gets_the_global_scale(train, new):
    new = first_trials(new, "q1", 4)
    with pytest.warns(UserWarning, match=r"1 of 2 subjects have fewer than 5 tr.*: q1\.") as caught:
        out = SubjectStandardizer().fit(train).transform(new)
    assert len(caught) == 1
    assert_allclose(of(out, "n0"), by_person(of(new, "n0")), atol=1e-12)
    pooled = StandardScaler().fit(train.to_numpy())
    assert_allclose(of(out, "q1"), pooled.transform(of(new, "q1").to_numpy()))


def test_a_single_trial_of_a_new_person_is_no_row_of_zeros(train, new):
    with pytest.warns(UserWarning, match=r"1 of 1 subjects have fewer than 5 .*: n0\."):
        out = SubjectStandardizer().fit(train).transform(new.iloc[:1])
    assert (np.abs(out) > 1e-3).all(axis=None)


@pytest.mark.parametrize("n", [4, 5, 6])
def test_min_trials_is_enough(train, new, n):
    few = of(new, "n0").iloc[:5]
    standardizer = SubjectStandardizer(min_trials=n).fit(train)
    if n <= 5:
        assert_allclose(standardizer.transform(few), by_person(few), atol=1e-12)
        return
    with pytest.warns(UserWarning, match="fewer than 6 trials"):
        standardizer.transform(few)


def test_the_warning_names_the_first_few_people(train):
    crowd = recordings([f"n{k}" for k in range(9)], n_trials=1)
    with pytest.warns(UserWarning, match=r"9 of 9 .*: n0, n1, n2, n3, n4 and 4 more\."):
        SubjectStandardizer().fit(train).transform(crowd)


def test_global_needs_no_trials_of_the_own_and_warns_of_nothing(train, new):
    SubjectStandardizer(unseen="global").fit(train).transform(new.iloc[:1])


# Columns that do not vary


def test_a_column_constant_for_a_person_has_the_own_mean_and_the_global_scale(train):
    train.loc[subjects_of(train) == "p2", "b"] = 7.5
    standardizer = SubjectStandardizer().fit(train)
    out = standardizer.transform(train)
    assert (of(out, "p2")["b"] == 0).all()
    assert_allclose(out[["a", "c"]], by_person(train[["a", "c"]]), atol=1e-12)
    later = of(train, "p2") + 1
    assert_allclose(standardizer.transform(later)["b"], 1 / np.std(train["b"]))


def test_a_column_constant_for_everybody_is_not_divided(train, new):
    train["b"] = 7.5
    new["b"] = 9.5
    standardizer = SubjectStandardizer(unseen="global").fit(train)
    assert (standardizer.transform(train)["b"] == 0).all()
    assert (standardizer.transform(new)["b"] == 2).all()
    assert standardizer.global_scale_[1] == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rounding_is_no_variation(train, dtype):
    train = train.astype(dtype)
    value = dtype(0.3)
    train.loc[subjects_of(train) == "p2", "b"] = np.resize(
        [value, np.nextafter(value, dtype(1))], 8
    )
    out = of(SubjectStandardizer().fit_transform(train), "p2")["b"]
    assert np.abs(out).max() < 1e-6


def test_small_variation_on_a_high_level_is_variation(train):
    slight = 1e6 + 1e-4 * train
    assert_allclose(SubjectStandardizer().fit_transform(slight), by_person(train), atol=1e-4)


# The first k trials


def expected_from_first(X, k):
    first = X.groupby("subject").head(k).groupby("subject")
    people = subjects_of(X)
    mean, std = first.mean().loc[people], first.std(ddof=0).loc[people]
    return (X.to_numpy() - mean.to_numpy()) / std.to_numpy()


def test_the_first_k_trials_set_the_scale_of_known_and_new_people(train, new):
    standardizer = SubjectStandardizer(calibrate_on=5).fit(train)
    for X in (train, new):
        assert_allclose(standardizer.transform(X), expected_from_first(X, 5), atol=1e-11)
    five = np.concatenate([of(train, person)[:5] for person in PEOPLE])
    assert_allclose(standardizer.global_mean_, five.mean(axis=0))
    assert_allclose(standardizer.global_scale_, five.std(axis=0))


def test_first_is_by_trial_and_not_by_row(train, new):
    straight = SubjectStandardizer(calibrate_on=5).fit(train)
    order = np.random.default_rng(2).permutation(len(train))
    shuffled = SubjectStandardizer(calibrate_on=5).fit(train.iloc[order])
    assert_array_equal(shuffled.means_, straight.means_)
    assert_array_equal(shuffled.global_scale_, straight.global_scale_)
    assert_array_equal(shuffled.transform(new.iloc[::-1])[::-1], straight.transform(new))


def test_first_is_by_number_and_not_by_digits(train):
    rows = of(recordings(n_trials=12), "p0")
    out = SubjectStandardizer(calibrate_on=5).fit(rows).transform(rows)
    assert_allclose(out, expected_from_first(rows, 5), atol=1e-11)


@pytest.mark.parametrize("where", ["index", "column", "objects", "time"])
def test_trial_is_read_from_the_index_a_column_or_as_time(train, where):
    expected = expected_from_first(train, 5)[::-1]
    X = train[::-1]
    if where == "column":
        X = X.reset_index(["subject", "trial"])
    elif where == "objects":
        X = X.reset_index().astype({"trial": object})
    elif where == "time":
        minutes = X.index.get_level_values("trial").to_numpy()
        time = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
        X = X.droplevel("trial").set_index(pd.Index(time, name="trial"), append=True)
    assert_allclose(SubjectStandardizer(calibrate_on=5).fit_transform(X), expected, atol=1e-11)


@pytest.mark.parametrize("known", [None, "equal"])
def test_first_is_by_row_where_trial_is_unknown_or_equal(train, known):
    X, subject = train.to_numpy(), subjects_of(train)
    if known:
        X = train.set_axis(pd.Index(np.zeros(len(train), dtype=int), name="trial"))
    out = SubjectStandardizer(calibrate_on=5).fit_transform(X, subject=subject)
    assert_allclose(out, expected_from_first(train, 5), atol=1e-11)


def test_fewer_than_k_trials_get_the_global_scale(train, new):
    standardizer = SubjectStandardizer(calibrate_on=6).fit(train)
    short = first_trials(new, "q1", 5)
    with pytest.warns(UserWarning, match=r"1 of 2 subjects have fewer than 6 trials.*: q1\."):
        out = standardizer.transform(short)
    expected = (of(short, "q1") - standardizer.global_mean_) / standardizer.global_scale_
    assert_allclose(of(out, "q1"), expected)
    with pytest.warns(UserWarning, match=r"1 of 4 subjects have fewer than 6 trials.*: p0\."):
        SubjectStandardizer(calibrate_on=6).fit(first_trials(train, "p0", 5))


def test_exactly_k_trials_set_the_scale(train, new):
    standardizer = SubjectStandardizer(calibrate_on=8).fit(train)
    assert_allclose(standardizer.transform(new), by_person(new), atol=1e-12)


@pytest.mark.parametrize("calibrate_on", [4, 2])
def test_calibrating_on_fewer_than_min_trials_is_refused(train, calibrate_on):
    with pytest.raises(ValueError, match=rf"calibrate_on={calibrate_on} .*min_trials=5"):
        SubjectStandardizer(calibrate_on=calibrate_on).fit(train)
    SubjectStandardizer(calibrate_on=calibrate_on, min_trials=2).fit(train)


def test_trials_without_an_order_are_refused_where_it_matters(train):
    words = train.set_axis(train.index.set_levels([f"t{k}" for k in range(8)], level="trial"))
    SubjectStandardizer().fit(words)
    with pytest.raises(ValueError, match=r"needs the order of each subject's trials.*'t0'"):
        SubjectStandardizer(calibrate_on=5).fit(words)
    gap = train.reset_index()
    gap.loc[3, "trial"] = np.nan
    gap = gap.drop(columns="stimulus")
    SubjectStandardizer().fit(gap)
    with pytest.raises(ValueError, match=r"row 3 \(subject p3, trial nan\): trial is missing"):
        SubjectStandardizer(calibrate_on=5).fit(gap)


# What must not leak


@pytest.mark.parametrize("parameters", [{}, {"unseen": "global"}, {"calibrate_on": 5}])
def test_a_test_persons_rows_change_nothing_for_others(train, new, parameters):
    standardizer = SubjectStandardizer(**parameters).fit(train)
    changed = moved(new, "q1")
    before = standardizer.transform(pd.concat([train, new]))
    after = standardizer.transform(pd.concat([train, changed]))
    others = [*PEOPLE, "n0"]
    assert_array_equal(of(after, *others), of(before, *others))
    if "calibrate_on" in parameters or "unseen" in parameters:
        alone = standardizer.transform(of(changed, "q1"))
        assert_array_equal(alone, of(after, "q1"))


def test_training_people_change_nothing_for_one_another(train):
    before = SubjectStandardizer().fit_transform(train)
    after = SubjectStandardizer().fit_transform(moved(train, "p3"))
    assert_array_equal(of(after, "p0", "p1", "p2"), of(before, "p0", "p1", "p2"))


@pytest.mark.parametrize("constant", [False, True])
def test_rows_after_the_kth_change_nothing_before_them(train, new, constant):
    if constant:  # then the global scale steps in, and that must not know the later rows either
        first = train.index.get_level_values("trial") < 5
        train.loc[first & (subjects_of(train) == "p0"), "a"] = 3.0
        new.iloc[:10, 0] = 3.0
    later = [X.index.get_level_values("trial") >= 5 for X in (train, new)]
    out = []
    for factor in (1, 37):
        X, Z = train.copy(), new.copy()
        X[later[0]] *= factor
        Z[later[1]] *= factor
        standardizer = SubjectStandardizer(calibrate_on=5)
        out.append([standardizer.fit_transform(X), standardizer.transform(Z)])
    for before, after, behind in zip(*out, later, strict=True):
        assert_array_equal(after[~behind], before[~behind])
        assert (after[behind] != before[behind]).all(axis=None)
    cut = SubjectStandardizer(calibrate_on=5).fit(train[~later[0]])
    assert_array_equal(cut.transform(new[~later[1]]), out[0][1][~later[1]])


def test_without_calibration_later_rows_do_change_earlier_ones(train):
    changed = train.copy()
    changed.iloc[-4:] += 50
    before, after = (SubjectStandardizer().fit_transform(X) for X in (train, changed))
    assert (before.iloc[:4] != after.iloc[:4]).all(axis=None)


@pytest.mark.parametrize(
    ("parameters", "person"),
    [
        ({}, "p1"),
        ({"calibrate_on": 5}, "p1"),
        ({"unseen": "error"}, "p1"),
        ({"unseen": "global"}, "n0"),
        ({"unseen": "global", "calibrate_on": 5}, "n0"),
    ],
)
def test_one_trial_alone_is_as_among_others(train, new, parameters, person):
    standardizer = SubjectStandardizer(**parameters).fit(train)
    X = train if person == "p1" else new
    together = standardizer.transform(X)
    for row in np.flatnonzero(subjects_of(X) == person):
        assert_array_equal(standardizer.transform(X.iloc[[row]]), together.iloc[[row]])


def test_one_trial_alone_of_a_new_person_is_not_as_among_others_by_default(train, new):
    standardizer = SubjectStandardizer().fit(train)
    with pytest.warns(UserWarning, match="fewer than 5 trials"):
        alone = standardizer.transform(new.iloc[[0]])
    assert (np.abs(alone - standardizer.transform(new).iloc[[0]]) > 1e-3).all(axis=None)


# What goes in and comes out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("frame", [True, False])
def test_floats_keep_their_precision(dtype, frame):
    X = recordings(dtype=dtype)
    standardizer = SubjectStandardizer()
    out = standardizer.fit_transform(X if frame else X.to_numpy(), subject=subjects_of(X))
    assert np.dtype(dtype).name in standardizer.__sklearn_tags__().transformer_tags.preserves_dtype
    assert set(np.asarray(out.dtypes if frame else [out.dtype])) == {np.dtype(dtype)}
    assert_allclose(out, by_person(X.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_float32_is_summed_up_in_float64():
    X = (recordings(dtype=np.float32) + 3000).astype(np.float32)
    exact = by_person(X.astype(np.float64))
    assert_allclose(SubjectStandardizer().fit_transform(X), exact, rtol=1e-6, atol=1e-7)


def test_whole_numbers_and_lists_become_float64():
    out = SubjectStandardizer(min_trials=2).fit_transform([[1], [3], [5]], subject=list("aaa"))
    assert out.dtype == np.float64
    assert_allclose(out.ravel(), zscore([1, 3, 5]))


def test_a_frame_that_knows_identities_keeps_index_and_columns(train):
    before = train.copy()
    out = SubjectStandardizer().fit_transform(train)
    pd.testing.assert_index_equal(out.index, train.index)
    pd.testing.assert_index_equal(out.columns, train.columns)
    pd.testing.assert_frame_equal(train, before)


def test_identity_columns_become_the_index_and_no_features(train):
    X = train.reset_index()
    standardizer = SubjectStandardizer().fit(X)
    assert standardizer.n_features_in_ == 3
    assert list(standardizer.get_feature_names_out()) == ["a", "b", "c"]
    out = standardizer.transform(X)
    pd.testing.assert_frame_equal(out, standardizer.transform(train))
    pd.testing.assert_index_equal(out.index, train.index)


def test_a_frame_without_identities_gives_an_array(train):
    X = train.reset_index(drop=True)
    out = SubjectStandardizer().fit_transform(X, subject=subjects_of(train))
    assert type(out) is np.ndarray
    assert_allclose(out, by_person(train), atol=1e-12)


def test_set_output(train):
    standardizer = SubjectStandardizer().set_output(transform="pandas")
    X, subject = train.to_numpy(), subjects_of(train)
    out = standardizer.fit_transform(X, subject=subject)
    assert list(out.columns) == ["x0", "x1", "x2"]
    pd.testing.assert_frame_equal(out, standardizer.transform(X, subject=subject))
    pd.testing.assert_frame_equal(
        SubjectStandardizer().set_output(transform="pandas").fit_transform(train),
        SubjectStandardizer().fit_transform(train),
    )


def test_it_follows_music_feature_union():
    rng = np.random.default_rng(0)
    trials = recordings().index.to_frame(index=False)
    trials["eda"] = list(rng.normal(size=(len(trials), 4)) + 5)
    music = pd.DataFrame({"tempo": rng.normal(size=8)}, index=[f"s{t}" for t in range(8)])
    fused = MusicFeatureUnion(music=music).fit_transform(trials)
    out = make_pipeline(MusicFeatureUnion(music=music), SubjectStandardizer()).fit_transform(trials)
    assert (out.dtypes == np.float32).all()
    pd.testing.assert_index_equal(out.index, fused.index)
    pd.testing.assert_index_equal(out.columns, fused.columns)
    assert_allclose(out, by_person(fused.astype(np.float64)), atol=1e-5)


def test_it_survives_clone_and_pickle(train, new):
    standardizer = SubjectStandardizer(unseen="global", min_trials=3, calibrate_on=4)
    assert clone(standardizer).get_params() == standardizer.get_params()
    standardizer.fit(train)
    again = pickle.loads(pickle.dumps(standardizer))
    assert_array_equal(again.transform(new), standardizer.transform(new))


# Range, shift, resting trials


def test_range_correction_maps_minimum_and_maximum_to_0_and_1(train, new):
    standardizer = SubjectStandardizer(scale="range").fit(train)
    for X in (train, new):
        people = X.groupby("subject")
        low, high = people.transform("min"), people.transform("max")
        assert_allclose(standardizer.transform(X), (X - low) / (high - low), atol=1e-12)
    # As in Lykken et al. (1966): (4 - 2) / (10 - 2) for a range of 2 to 10.
    values = SubjectStandardizer(scale="range", min_trials=2).fit_transform(
        [[2.0], [4.0], [10.0]], subject=list("aaa")
    )
    assert_allclose(values.ravel(), [0, 0.25, 1])


def test_change_from_the_resting_baseline(train, new):
    rest = SubjectStandardizer(scale="shift", rest=["s0", "s3"])
    out = rest.fit(train).transform(new)
    resting = new[new.index.get_level_values("stimulus").isin(["s0", "s3"])]
    baseline = resting.groupby("subject").mean()
    expected = new - baseline.loc[subjects_of(new)].to_numpy()
    assert_allclose(out, expected, atol=1e-12)
    # The other trials change nothing, so the first k need not be left out.
    later = new.index.get_level_values("trial") > 3
    changed = new.copy()
    changed[later] *= 7
    assert_array_equal(rest.transform(changed)[~later], out[~later])
    with pytest.warns(UserWarning, match="1 of 2 subjects have fewer than 1 resting trials"):
        rest.transform(new.drop(resting.loc[["n0"]].index))
    with pytest.raises(ValueError, match="No trial has a stimulus of rest="):
        SubjectStandardizer(rest=["Baseline"]).fit(train)
    with pytest.raises(ValueError, match="both name trials"):
        SubjectStandardizer(rest=["s0"], calibrate_on=5).fit(train)


@pytest.mark.parametrize(
    ("parameters", "source", "transductive"),
    [
        ({}, "all trials", True),
        ({"scale": "range"}, "all trials", True),
        ({"calibrate_on": 5}, "first trials", False),
        ({"rest": ["s0"]}, "resting trials", False),
        ({"unseen": "global"}, "training trials", False),
    ],
)
def test_it_states_which_trials_set_the_scale(parameters, source, transductive):
    standardizer = SubjectStandardizer(**parameters)
    assert (standardizer.scale_from, standardizer.transductive) == (source, transductive)


# Signals


def signals(n_chans=None, seed=0):
    """A trials table of two people, with trials of unequal length."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"subject": ["a"] * 6 + ["b"] * 6, "stimulus": [*"rstuvw"] * 2, "trial": [*range(6)] * 2}
    )
    lengths = rng.integers(5, 9, 12)
    shapes = [(n,) if n_chans is None else (n_chans, n) for n in lengths]
    cells = [rng.normal(10 * (k >= 6), 1 + (k >= 6), shape) for k, shape in enumerate(shapes)]
    return table.assign(eda=pd.Series(cells, dtype=object))


@pytest.mark.parametrize("n_chans", [None, 3])
@pytest.mark.parametrize("scale", ["z", "range"])
def test_signals_are_standardised_over_all_samples_of_a_person(n_chans, scale):
    table = signals(n_chans)
    out = SubjectStandardizer(scale=scale).fit_transform(table)
    assert list(out.columns) == list(table.columns)
    for person in "ab":
        rows = table["subject"] == person
        given, found = (np.concatenate(list(X.loc[rows, "eda"]), axis=-1) for X in (table, out))
        origin = given.mean(-1) if scale == "z" else given.min(-1)
        width = given.std(-1) if scale == "z" else np.ptp(given, axis=-1)
        expected = (given - np.expand_dims(origin, -1)) / np.expand_dims(width, -1)
        assert_allclose(found, expected, atol=1e-12)


def test_signals_keep_their_container_and_their_missing_samples():
    table = signals()
    table["eda"][2][1] = np.nan
    expected = SubjectStandardizer().fit_transform(table)["eda"]
    assert np.isnan(expected[2][1]) and np.isfinite(np.delete(expected[2], 1)).all()
    for X in (table["eda"], table["eda"].to_numpy()):
        out = SubjectStandardizer().fit_transform(X, subject=table["subject"])
        assert type(out) is type(X)
        for cell, other in zip(out, expected, strict=True):
            assert_array_equal(cell, other)
    single = table.assign(eda=[cell.astype(np.float32) for cell in table["eda"]])
    assert SubjectStandardizer().fit_transform(single)["eda"][0].dtype == np.float32
    wide = SubjectStandardizer().set_output(transform="pandas").fit_transform(table)
    pd.testing.assert_frame_equal(wide, SubjectStandardizer().fit_transform(table))


def test_infinite_samples_of_signals_are_refused():
    table = signals()
    table["eda"][2][1] = np.inf
    with pytest.raises(ValueError, match=r"row 2 \(subject a.*infinite samples"):
        SubjectStandardizer().fit(table)


def test_signals_can_be_set_by_the_first_or_the_resting_trials():
    table = signals()
    own = table["subject"] == "a"
    for parameters, setting in (
        ({"calibrate_on": 5}, table["trial"] < 5),
        ({"rest": ["t"]}, table["stimulus"] == "t"),
    ):
        out = SubjectStandardizer(**parameters).fit_transform(table)
        samples = np.concatenate(list(table.loc[own & setting, "eda"]))
        expected = (table["eda"][5] - samples.mean()) / samples.std()
        assert_allclose(out["eda"][5], expected, atol=1e-12)


# Errors


NO_SUBJECTS = "SubjectStandardizer needs to know the subject of each trial"


def test_it_needs_subjects_in_fit_and_in_transform(train):
    X, subject = train.to_numpy(), subjects_of(train)
    standardizer = SubjectStandardizer()
    with pytest.raises(ValueError, match=NO_SUBJECTS):
        standardizer.fit(X)
    with pytest.raises(ValueError, match=NO_SUBJECTS):
        standardizer.fit_transform(X)
    standardizer.fit(X, subject=subject)
    with pytest.raises(ValueError, match=NO_SUBJECTS):
        standardizer.transform(X)


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, s: (X * np.nan, s), "NaN"),
        (lambda X, s: (X + np.inf, s), "infinity"),
        (lambda X, s: (X, s[:-1]), r"one id for each of the 32 trials, got shape \(31,\)"),
        (lambda X, s: (X, s[:, None]), r"got shape \(32, 1\)"),
        (lambda X, s: (X, [*s[:5], None, *s[6:]]), "subject is missing for row 5"),
        (lambda X, s: (X[:, 0], s), "Expected 2D array"),
        (lambda X, s: (X.astype(str) + "?", s), "holds text"),
        (lambda X, s: (pd.Series([*X[:-1], X[:2]]), s), r"channels, but \d are expected"),
    ],
)
def test_bad_input_is_refused_and_leaves_it_as_it_was(train, method, spoil, message):
    standardizer = SubjectStandardizer(min_trials=2)
    standardizer.fit(train.to_numpy()[:, :1], subject=subjects_of(train))
    if method == "transform":
        standardizer.fit(train.to_numpy(), subject=subjects_of(train))
    before = vars(standardizer).copy()
    X, subject = spoil(train.to_numpy(), subjects_of(train))
    with pytest.raises(ValueError, match=message):
        getattr(standardizer, method)(X, subject=subject)
    assert vars(standardizer).keys() == before.keys()
    assert all(vars(standardizer)[key] is before[key] for key in before)


@pytest.mark.parametrize(
    "parameters",
    [
        {"unseen": "mean"},
        {"min_trials": 1},
        {"min_trials": 2.5},
        {"calibrate_on": 1},
        {"calibrate_on": "first"},
        {"scale": "log"},
        {"rest": 3},
    ],
)
def test_unknown_parameter_values_are_refused(train, parameters):
    with pytest.raises(ValueError, match=rf"The '{next(iter(parameters))}' parameter"):
        SubjectStandardizer(**parameters).fit(train)


def test_another_number_of_columns_is_refused(train):
    standardizer = SubjectStandardizer().fit(train.to_numpy(), subject=subjects_of(train))
    with pytest.raises(ValueError, match="expecting 3 features"):
        standardizer.transform(train.to_numpy()[:, :2], subject=subjects_of(train))


def test_transform_before_fit_is_refused(train):
    with pytest.raises(NotFittedError):
        SubjectStandardizer().transform(train)


# Pipelines and cross-validation


@pytest.fixture
def problem():
    """People whose levels drown the answer unless each is standardised."""
    X = recordings([f"p{k}" for k in range(9)], n_trials=10, seed=4)
    answer = np.random.default_rng(4).integers(0, 2, len(X))
    X["a"] += 4 * answer
    return X, answer


def expected_scores(X, y):
    """Whole people are held out, so standardising everybody beforehand comes to the same."""
    cv = GroupKFold(3)
    everybody = by_person(X).to_numpy()
    return cross_validate(LogisticRegression(), everybody, y, groups=subjects_of(X), cv=cv)[
        "test_score"
    ]


def pipeline(**parameters):
    return make_pipeline(SubjectStandardizer(**parameters), LogisticRegression())


def routed(X, y, subject, scoring):
    with config_context(enable_metadata_routing=True):
        cv = GroupKFold(3).set_split_request(groups="subject")
        return cross_validate(
            pipeline(),
            X,
            y,
            cv=cv,
            params={"subject": subject},
            scoring=scoring,
            error_score="raise",
        )["test_score"]


def test_the_problem_needs_standardising(problem):
    X, y = problem
    assert expected_scores(X, y).mean() > 0.75


@pytest.mark.parametrize("scoring", [None, "accuracy"])
def test_frames_are_scored_with_routing_and_without(problem, scoring):
    X, y = problem
    off = cross_validate(pipeline(), X, y, groups=subjects_of(X), cv=GroupKFold(3), scoring=scoring)
    assert_array_equal(off["test_score"], expected_scores(X, y))
    assert_array_equal(routed(X, y, subjects_of(X), scoring), expected_scores(X, y))


def test_routed_subjects_reach_fit_and_transform_of_arrays(problem):
    X, y = problem
    scores = routed(X.to_numpy(), y, subjects_of(X), None)
    assert_array_equal(scores, expected_scores(X, y))


def test_arrays_are_an_error_where_the_scorer_hands_no_subjects_on(problem):
    X, y = problem
    with pytest.raises(ValueError, match=NO_SUBJECTS):
        routed(X.to_numpy(), y, subjects_of(X), "accuracy")
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match=NO_SUBJECTS),
    ):
        cv = GroupKFold(3).set_split_request(groups="subject")
        cross_val_predict(pipeline(), X.to_numpy(), y, cv=cv, params={"subject": subjects_of(X)})


def test_arrays_without_routing_are_an_error(problem):
    X, y = problem
    with pytest.raises(ValueError, match=NO_SUBJECTS):
        pipeline().fit(X.to_numpy(), y)


def test_further_subjects_get_scales_of_their_own_and_the_others_keep_theirs():
    level = np.array([[1.0], [3.0], [20.0], [24.0], [7.0], [9.0], [100.0]])
    standardizer = SubjectStandardizer(min_trials=2, unseen="error")
    standardizer.partial_fit(level[:4], subject=["a", "a", "b", "b"])  # the same as fit
    standardizer.partial_fit(level[4:6], subject=["c", "c"])
    together = standardizer.transform(level, subject=["a", "a", "b", "b", "c", "c", "a"])
    assert_array_equal(together.ravel(), [-1, 1, -1, 1, -1, 1, 98])
    assert standardizer.global_mean_ == 12  # of a and b
    calibrated = SubjectStandardizer(min_trials=2, calibrate_on=2).fit(level[:4], subject=[*"aabb"])
    calibrated.partial_fit(level[4:], subject=["c", "c", "c"])  # 7 and 9 set the scale
    assert_array_equal(calibrated.transform([[10.0]], subject=["c"]), [[2.0]])
    standardizer.partial_fit(level[2:4], subject=["c", "c"])  # measured again
    assert_array_equal(standardizer.transform(level[2:4], subject=["c", "c"]).ravel(), [-1, 1])
