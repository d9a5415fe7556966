"""MusicFeatureUnion and the column layout."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from edaemo import CvxEDATransformer, MusicFeatureUnion
from edaemo.fusion._layout import Layout, eda_names, infer_layout, music_names, read_layout


def make_trials(n: int = 6, n_samples: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "subject": [f"p{i // 3}" for i in range(n)],
            "stimulus": ["ab"[i % 2] for i in range(n)],
            "trial": range(n),
            "eda": pd.Series(list(rng.normal(size=(n, n_samples))), dtype=object),
        }
    )


@pytest.fixture
def music() -> pd.DataFrame:
    return pd.DataFrame({"tempo": [90.0, 120.0, 7.0], "loud": [1.0, 3.0, 8.0]}, index=list("abc"))


def test_table_becomes_a_float32_frame_with_identity_index_and_speaking_columns(music):
    trials = make_trials()
    joined = MusicFeatureUnion(music=music).fit_transform(trials)
    assert isinstance(joined, pd.DataFrame)
    assert (joined.dtypes == np.float32).all()
    assert joined.index.names == ["subject", "stimulus", "trial"]
    assert list(joined.index[4]) == ["p1", "a", 4]
    assert list(joined.columns) == [
        "eda_original_0",
        "eda_original_1",
        "eda_original_2",
        "eda_original_3",
        "music_tempo",
        "music_loud",
    ]
    expected = np.stack(list(trials["eda"])).astype(np.float32)
    np.testing.assert_array_equal(joined.iloc[:, :4], expected)


def test_music_is_standardised_over_the_training_trials_alone(music):
    trials = make_trials(5)  # three trials with a, two with b; none with c
    union = MusicFeatureUnion(eda="drop", music=music).fit(trials)
    reference = StandardScaler().fit(music.loc[trials["stimulus"]].to_numpy())
    met_c = trials.assign(stimulus="c")
    expected = reference.transform(music.loc[["c"] * 5].to_numpy())
    np.testing.assert_allclose(union.transform(met_c), expected, rtol=1e-6)


def test_eda_alone_and_music_alone_are_one_parameter_away(music):
    trials = make_trials()
    both = MusicFeatureUnion(music=music).fit_transform(trials)
    eda = MusicFeatureUnion(music=None).fit_transform(trials)
    alone = MusicFeatureUnion(eda="drop", music=music).fit_transform(trials)
    pd.testing.assert_frame_equal(pd.concat([eda, alone], axis=1), both)


def test_nothing_at_all_is_an_error():
    with pytest.raises(ValueError, match="leave nothing"):
        MusicFeatureUnion(eda="drop").fit(make_trials())


def test_channels_of_cvxeda_come_one_after_the_other_and_are_named():
    trials = make_trials(3, 100)
    cvxeda = CvxEDATransformer(sampling_rate=4, n_times=8, components=("tonic", "original"))
    table = cvxeda.fit_transform(trials)
    joined = MusicFeatureUnion().fit_transform(table)
    assert list(joined.columns) == [f"eda_{c}_{i}" for c in ("tonic", "original") for i in range(8)]
    np.testing.assert_array_equal(joined.iloc[1, 8:], table["eda"][1][1])
    inside = MusicFeatureUnion(eda=cvxeda).fit_transform(trials)
    pd.testing.assert_frame_equal(inside, joined)


def test_unknown_stimulus_is_named_or_gets_the_training_mean(music):
    trials = make_trials()
    union = MusicFeatureUnion(music=music).fit(trials)
    strange = trials.assign(stimulus=["a", "z", "b", "z", "a", "b"])
    with pytest.raises(ValueError, match=r"row 1 \(subject p0, stimulus z, trial 1\).*'z'"):
        union.transform(strange)
    imputed = MusicFeatureUnion(music=music, handle_unknown="impute").fit(trials)
    joined = imputed.transform(strange)
    np.testing.assert_allclose(joined.loc[("p0", "z", 1), ["music_tempo", "music_loud"]], 0)
    known = trials.iloc[[0, 2, 4, 5]].assign(stimulus=list("abab"))
    np.testing.assert_array_equal(joined.iloc[[0, 2, 4, 5]], union.transform(known))


def test_imputed_row_is_the_mean_also_without_standardising(music):
    trials = make_trials(5)
    union = MusicFeatureUnion(
        eda="drop", music=music, handle_unknown="impute", standardize_music=False
    ).fit(trials)
    joined = union.transform(trials.assign(stimulus=["a", "z", "b", "c", "a"]))
    mean = music.loc[trials["stimulus"]].mean().to_numpy()
    np.testing.assert_allclose(joined.iloc[1], mean, rtol=1e-6)
    np.testing.assert_allclose(joined.iloc[3], music.loc["c"], rtol=1e-6)


def test_stimulus_ids_of_another_type_are_recognised_in_the_error():
    music = pd.DataFrame({"tempo": [1.0, 2.0]}, index=["1", "2"])
    trials = make_trials(2).assign(stimulus=[1, 2])
    with pytest.raises(ValueError, match="as another type"):
        MusicFeatureUnion(music=music).fit(trials)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: pd.concat([m, m.loc[["b"]]]), "more than one row for stimulus 'b'"),
        (lambda m: m.assign(loud=[1.0, np.nan, 2.0]), "stimulus 'b', feature 'loud'"),
        (lambda m: m.assign(loud=[1.0, np.inf, 2.0]), "stimulus 'b', feature 'loud'"),
        (lambda m: m.assign(artist=["x", "y", "z"]), "column 'artist'"),
    ],
)
def test_bad_music_is_named(music, spoil, message):
    with pytest.raises(ValueError, match=message):
        MusicFeatureUnion(music=spoil(music)).fit(make_trials())


def test_music_without_stimuli_is_an_error(music):
    for X in (np.zeros((3, 4)), make_trials().drop(columns="stimulus")):
        with pytest.raises(ValueError, match="does not say the stimulus"):
            MusicFeatureUnion(music=music).fit(X)


def test_array_gives_an_array():
    X = np.arange(6.0).reshape(2, 3)
    joined = MusicFeatureUnion().fit_transform(X)
    assert isinstance(joined, np.ndarray)
    assert joined.dtype == np.float32
    np.testing.assert_array_equal(joined, X)


def test_frame_of_numbers_is_joined_by_its_index(music):
    trials = make_trials()
    numbers = MusicFeatureUnion().fit_transform(trials)
    both = MusicFeatureUnion(music=music).fit_transform(numbers)
    pd.testing.assert_frame_equal(both, MusicFeatureUnion(music=music).fit_transform(trials))


def test_trials_of_unequal_length_are_named():
    trials = make_trials()
    trials.at[3, "eda"] = np.zeros(5)
    with pytest.raises(ValueError, match=r"row 3 \(subject p1, stimulus b, trial 3\)"):
        MusicFeatureUnion().fit(trials)


def test_nan_in_raw_signals_is_named():
    trials = make_trials()
    trials.at[2, "eda"] = np.array([0.0, np.nan, 1.0, 2.0])
    with pytest.raises(ValueError, match=r"row 2 \(subject p0, stimulus a, trial 2\).*NaN"):
        MusicFeatureUnion().fit(trials)


def test_another_width_at_transform_is_an_error():
    union = MusicFeatureUnion().fit(make_trials(n_samples=4))
    with pytest.raises(ValueError, match="5 columns, MusicFeatureUnion was fitted with 4"):
        union.transform(make_trials(n_samples=5))


def test_failed_refit_leaves_the_fitted_union_as_it_was(music):
    trials = make_trials()
    union = MusicFeatureUnion(music=music).fit(trials)
    before = union.transform(trials)
    with pytest.raises(ValueError, match="no row for stimulus"):
        union.fit(trials.assign(stimulus="z"))
    pd.testing.assert_frame_equal(union.transform(trials), before)


def test_layout_is_read_back_from_the_names():
    names = eda_names(["phasic", "tonic_2"], 3) + music_names(["F0_mean", 7])
    assert read_layout(names) == Layout(n_chans=2, n_times=3, n_music_features=2)
    assert read_layout(["x0", "x1"]) is None


@pytest.mark.parametrize(
    "names",
    [
        ["eda_a_0", "eda_a_2"],
        ["eda_a_1", "eda_a_0"],
        ["eda_a_0", "eda_b_0", "eda_a_1", "eda_b_1"],
        ["eda_a_0", "eda_a_1", "eda_b_0"],
        ["music_x", "eda_a_0"],
        ["eda_a_0", "tempo"],
        ["eda_mean"],
    ],
)
def test_names_that_are_no_layout_are_refused(names):
    with pytest.raises(ValueError, match=r"olumn|differ"):
        read_layout(names)


@pytest.mark.parametrize(
    ("said", "layout"),
    [
        ((3, None, None), Layout(3, 4, 0)),
        ((None, 4, None), None),
        ((None, 4, 0), Layout(3, 4, 0)),
        ((3, 2, None), Layout(3, 2, 6)),
        ((3, None, 6), Layout(3, 2, 6)),
        ((2, 4, 4), Layout(2, 4, 4)),
        ((2, 4, 5), None),
        ((5, None, None), None),
        ((None, None, None), None),
        ((None, None, 6), None),
        ((4, 4, None), None),
        ((1, None, 12), None),
    ],
)
def test_layout_of_a_bare_array_of_12_columns_adds_up_or_is_refused(said, layout):
    if layout is None:
        with pytest.raises(ValueError, match="n_chans"):
            infer_layout(12, *said)
    else:
        assert infer_layout(12, *said) == layout
