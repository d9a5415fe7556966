"""MusicFeatureUnion and the column layout."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, load, save
from edaemo._layout import (
    Block,
    eda_names,
    feature_names,
    infer_layout,
    make_layout,
    music_names,
    read_layout,
    signal_names,
    sizes,
)
from edaemo.features import MusicFeatureExtractor
from edaemo.fusion import BlockUnion


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


def trials_of(stimuli: list[str]) -> pd.DataFrame:
    return make_trials(len(stimuli)).assign(stimulus=stimuli)


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
    with pytest.raises(ValueError, match="leave no block"):
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


@pytest.mark.parametrize("reduce_music", [None, PCA(1)])
def test_missing_music_is_nan_and_changes_no_other_row(music, reduce_music):
    strange = make_trials().assign(stimulus=["z", "a", None, "b", "b", "a"])
    impute, missing = (
        MusicFeatureUnion(music=music, handle_unknown=how, reduce_music=reduce_music).fit(strange)
        for how in ("impute", "missing")
    )
    for joined, expected in (
        (missing.transform(strange), impute.transform(strange)),
        (missing.fit_transform(strange), impute.fit_transform(strange)),
    ):
        of_music = joined.columns.str.startswith("music_")
        unknown = np.isin(np.arange(len(strange)), [0, 2])
        assert joined.loc[unknown, of_music].isna().all(axis=None)
        assert_array_equal(joined[~unknown], expected[~unknown])
        assert_array_equal(joined.loc[:, ~of_music], expected.loc[:, ~of_music])


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
        with pytest.raises(ValueError, match="does not have the stimulus"):
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
    assert read_layout(names) == {
        "eda": Block("eda", 6, n_chans=2, n_times=3, channels=("phasic", "tonic_2"), start=0),
        "music": Block("music", 2, start=6),
    }
    assert read_layout(["x0", "x1"]) is None


def test_blocks_of_any_name_are_read_and_cut_their_columns_out_of_the_rows():
    names = [
        *signal_names("eda", ["original"], 2),
        *signal_names("eeg", ["Fp1", "Fp2"], 3),
        *feature_names("eeg_de", ["delta", "theta"]),
        *feature_names("eye", ["pupil_0"]),
    ]
    assert names[4:] == ["eeg_Fp1_2", "eeg_Fp2_0", "eeg_Fp2_1", "eeg_Fp2_2", *names[8:]]
    assert names[8:] == ["eeg_de_delta", "eeg_de_theta", "eye_pupil_0"]
    layout = read_layout(names, ("eda", "eeg"), ("eeg_de", "eye", "face"))
    assert {name: block.shape for name, block in layout.items()} == {
        "eda": (1, 2),
        "eeg": (2, 3),
        "eeg_de": (2,),
        "eye": (1,),
    }
    row = np.array(names)
    for name, block in layout.items():
        assert all(column.startswith(name) for column in row[block.columns])
    assert row[layout["eeg"].columns].reshape(layout["eeg"].shape)[1, 0] == "eeg_Fp2_0"
    with pytest.raises(ValueError, match=r"all EDA .* and then all eye .*got eye before EDA"):
        read_layout([names[-1], *names[:2]], ("eda",), ("eye",))


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
        ((3, None, None), (3, 4, 0)),
        ((None, 4, None), None),
        ((None, 4, 0), (3, 4, 0)),
        ((3, 2, None), (3, 2, 6)),
        ((3, None, 6), (3, 2, 6)),
        ((2, 4, 4), (2, 4, 4)),
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
        n_chans, n_times, n_music = layout
        blocks = [Block.signal("eda", n_chans, n_times), Block.features("music", n_music)]
        assert infer_layout(12, *said) == make_layout(blocks)
        assert tuple(sizes(infer_layout(12, *said)).values()) == layout


class TestMusicFromElsewhere:
    """Music as a callable, or as files and an extractor."""

    class Loudness(TransformerMixin, BaseEstimator):
        """A transformer of files: their size and the number of their name's letters."""

        seen: ClassVar[list] = []

        def fit(self, X, y=None):
            return self

        def transform(self, X):
            type(self).seen += list(X)
            sizes = [[float(Path(file).stat().st_size), len(Path(file).name)] for file in X]
            return pd.DataFrame(sizes, index=X.index, columns=["size", "letters"])

        def get_feature_names_out(self, input_features=None):
            return np.array(["size", "letters"], dtype=object)

    def test_extractor_reads_the_files_of_the_stimuli_that_are_met(self, tmp_path):
        files = {}
        for i, name in enumerate(["a", "b", "c"]):
            files[name] = tmp_path / f"{name * (i + 1)}.wav"
            files[name].write_bytes(b"x" * 10 * (i + 1))
        trials = trials_of(["a", "b", "a"])
        self.Loudness.seen.clear()
        union = MusicFeatureUnion(music=(self.Loudness(), files), standardize_music=False)
        joined = union.fit_transform(trials)
        assert_array_equal(joined["music_size"], [10, 20, 10])
        assert set(self.Loudness.seen) == {files["a"], files["b"]}
        assert_array_equal(union.transform(trials_of(["c"]))["music_size"], [30])
        series = MusicFeatureUnion(music=(self.Loudness(), pd.Series(files)))
        assert series.fit_transform(trials).shape == joined.shape
        with pytest.raises(ValueError, match=r"no row for stimulus 'v'"):
            union.transform(trials_of(["a", "v"]))

    def test_callable_is_asked_for_the_stimuli_that_are_met(self, music):
        asked = []

        def look_up(stimuli):
            asked.append(list(stimuli))
            return music.loc[[one for one in stimuli if one in music.index]]

        trials = trials_of(["a", "b", "a"])
        joined = MusicFeatureUnion(music=look_up).fit_transform(trials)
        pd.testing.assert_frame_equal(joined, MusicFeatureUnion(music=music).fit_transform(trials))
        assert asked == [["a", "b"]]

    @pytest.mark.parametrize(
        ("give", "message"),
        [
            (lambda stimuli: 3, "returned int: it must return a DataFrame"),
            (lambda stimuli: pd.DataFrame(index=stimuli), "2 stimuli and 0 features"),
        ],
    )
    def test_callable_that_gives_no_music_is_an_error(self, give, message):
        with pytest.raises(ValueError, match=message):
            MusicFeatureUnion(music=give).fit(trials_of(["a", "b"]))

    def test_features_that_change_after_fit_are_an_error(self, music):
        given = [music, music[["tempo"]]]
        union = MusicFeatureUnion(music=lambda stimuli: given.pop(0)).fit(trials_of(["a", "b"]))
        with pytest.raises(ValueError, match="the same features each time"):
            union.transform(trials_of(["a"]))

    @pytest.mark.parametrize("music", [(1, 2), (StandardScaler(),)])
    def test_tuple_that_is_no_extractor_and_files_is_an_error(self, music):
        with pytest.raises(ValueError, match=r"\(extractor, files\)"):
            MusicFeatureUnion(music=music).fit(trials_of(["a"]))


class TestReducedMusic:
    def test_reduction_is_fitted_on_the_training_trials(self):
        """Of two held-out halves of songs the features differ, and only one half was seen."""
        rng = np.random.default_rng(0)
        songs = [f"s{i}" for i in range(40)]
        music = pd.DataFrame(rng.normal(size=(40, 6)), index=songs, columns=list("abcdef"))
        music.loc[songs[20:], "a"] *= 100
        trials = trials_of(songs[:20] * 2)
        union = MusicFeatureUnion(music=music, reduce_music=PCA(2)).fit(trials)
        expected = PCA(2).fit(StandardScaler().fit_transform(music.iloc[:20]).astype(np.float32))
        assert_allclose(
            union.music_reducer_.explained_variance_ratio_, expected.explained_variance_ratio_, 1e-4
        )
        joined = union.transform(trials)
        assert list(joined.columns[-2:]) == ["music_pca0", "music_pca1"]
        assert joined.dtypes.eq(np.float32).all()

    def test_selection_uses_the_labels_and_keeps_the_names(self):
        rng = np.random.default_rng(0)
        songs = [f"s{i}" for i in range(30)]
        music = pd.DataFrame(rng.normal(size=(30, 5)), index=songs, columns=list("abcde"))
        y = (music["d"] > 0).to_numpy()
        union = MusicFeatureUnion(eda="drop", music=music, reduce_music=SelectKBest(k=1))
        joined = union.fit_transform(trials_of(songs), y)
        assert list(joined.columns) == ["music_d"]
        pipe = make_pipeline(union, VarianceThreshold())
        assert pipe.fit(trials_of(songs), y)[-1].n_features_in_ == 1

    def test_inside_a_column_transformer_and_as_html(self, music):
        trials = trials_of(["a", "b", "a"])
        union = MusicFeatureUnion(music=music, reduce_music=PCA(1))
        columns = ColumnTransformer([("both", union, list(trials.columns))])
        joined = columns.set_output(transform="pandas").fit_transform(trials)
        assert joined.columns[-1] == "both__music_pca0"
        assert list(columns.get_feature_names_out()) == list(joined.columns)
        assert "MusicFeatureUnion" in union._repr_html_()
        assert "PCA" in union._repr_html_()


class TestSamplersBehind:
    """imbalanced-learn draws rows again, and does not draw the metadata with them."""

    def make(self, n=24):
        trials = trials_of(["a", "b"] * (n // 2))
        trials["subject"] = np.repeat(list("abcdef"), n // 6)
        return trials, (np.arange(n) < 6).astype(int)

    @pytest.mark.parametrize("sampler", [RandomOverSampler(random_state=0), SMOTE(k_neighbors=2)])
    def test_classifier_that_sets_nobody_aside_takes_the_new_rows(self, music, sampler):
        trials, y = self.make()
        net = RTCANClassifier(max_epochs=1, random_state=0)
        pipe = make_imblearn_pipeline(MusicFeatureUnion(music=music), sampler, net)
        assert pipe.fit(trials, y).predict(trials).shape == (24,)

    def test_people_set_aside_behind_a_sampler_are_one_error(self, music):
        trials, y = self.make()
        net = RTCANClassifier(max_epochs=1, validation_fraction=0.3)
        pipe = make_imblearn_pipeline(
            MusicFeatureUnion(music=music), RandomOverSampler(random_state=0), net
        )
        with (
            config_context(enable_metadata_routing=True),
            pytest.raises(ValueError, match="RandomOverSampler"),
        ):
            pipe.fit(trials, y, subject=trials["subject"].to_numpy())


def test_opensmile_on_audio_files_inside_a_pipeline(tmp_path):
    """Songs on disk in, a fitted classifier out; nothing is read for songs that are not met."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("opensmile")
    time = np.arange(16_000) / 16_000
    files = {}
    for i, name in enumerate("abc"):
        files[name] = tmp_path / f"{name}.wav"
        soundfile.write(files[name], 0.3 * np.sin(2 * np.pi * 220 * (i + 1) * time), 16_000)
    files["gone"] = tmp_path / "gone.wav"
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=tmp_path / "cache")
    union = MusicFeatureUnion(music=(extractor, files))
    trials = trials_of(["a", "b", "c", "a"])
    joined = union.fit_transform(trials)
    assert joined.shape == (4, 4 + 88)
    assert joined.iloc[0, 4:].equals(joined.iloc[3, 4:])
    pipe = make_pipeline(union, LogisticRegression())
    assert pipe.fit(trials, [0, 1, 1, 0]).predict(trials).tolist() == [0, 1, 1, 0]
    late = MusicFeatureUnion(
        music=(extractor.set_params(on_error="nan"), files), handle_unknown="impute"
    )
    assert (late.fit_transform(trials_of(["a", "b", "gone"])).iloc[2, 4:] == 0).all()
    over_time = MusicFeatureUnion(music=(MusicFeatureExtractor("eGeMAPSv02", level="lld"), files))
    with pytest.raises(ValueError, match="needs one row per file"):
        over_time.fit(trials_of(["a", "b"]))


class Means(TransformerMixin, BaseEstimator):
    """Make the mean of each channel of the column ``face``."""

    def fit(self, X, y=None):
        self.n_ = X["face"].iloc[0].shape[0]
        return self

    def transform(self, X):
        return np.stack([cell.mean(axis=1) for cell in X["face"]])

    def get_feature_names_out(self, input_features=None):
        return np.array([f"mean{i}" for i in range(self.n_)], dtype=object)


class TestBlockUnion:
    def make(self, n: int = 6) -> pd.DataFrame:
        rng = np.random.default_rng(2)
        cells = {
            "eeg_de": list(rng.normal(size=(n, 2, 3))),
            "eye": list(rng.normal(size=(n, 4))),
            "face": [rng.normal(size=(2, length)) for length in range(3, 3 + n)],
        }
        table = make_trials(n).assign(eeg_de_channels="Fp1|Fp2")
        return table.assign(**{k: pd.Series(v, dtype=object) for k, v in cells.items()})

    def test_columns_are_named_after_their_blocks_and_hold_their_numbers(self, music):
        trials = self.make()
        blocks = {"eda": "passthrough", "eeg_de": "passthrough", "face": Means()}
        joined = BlockUnion(blocks, music=music).fit_transform(trials)
        layout = read_layout(joined.columns, ("eda", "eeg_de"), ("face", "music"))
        assert {name: block.shape for name, block in layout.items()} == {
            "eda": (1, 4),
            "eeg_de": (2, 3),
            "face": (2,),
            "music": (2,),
        }
        assert list(joined.columns[10:]) == [
            "face_mean0",
            "face_mean1",
            "music_tempo",
            "music_loud",
        ]
        assert layout["eeg_de"].channels == ("Fp1", "Fp2")
        eeg = joined.to_numpy()[:, layout["eeg_de"].columns].reshape(-1, 2, 3)
        assert_array_equal(eeg, np.stack(trials["eeg_de"]).astype(np.float32))
        assert_allclose(joined["face_mean1"].iloc[3], trials["face"][3][1].mean(), rtol=1e-6)
        assert (joined.dtypes == np.float32).all()
        assert list(joined.index[4]) == ["p1", "a", 4]

    def test_it_is_the_music_union_where_the_blocks_are_eda(self, music):
        trials = make_trials(n_samples=60)
        for eda in ("passthrough", CvxEDATransformer(4)):
            pd.testing.assert_frame_equal(
                BlockUnion({"eda": eda}, music=music).fit_transform(trials),
                MusicFeatureUnion(eda=eda, music=music).fit_transform(trials),
            )

    def test_study_without_eda_is_joined(self):
        trials = self.make().drop(columns="eda")
        joined = BlockUnion({"eye": "passthrough"}).fit_transform(trials)
        assert list(joined.columns) == [f"eye_original_{i}" for i in range(4)]
        assert_array_equal(joined, np.stack(trials["eye"]).astype(np.float32))

    def test_saved_union_gives_the_same_rows(self, music, tmp_path):
        trials = self.make()
        union = BlockUnion({"eda": CvxEDATransformer(1, trim_seconds=0)}, music=music).fit(trials)
        save(union, tmp_path / "union.edaemo")
        pd.testing.assert_frame_equal(
            load(tmp_path / "union.edaemo").transform(trials), union.transform(trials)
        )

    @pytest.mark.parametrize(
        ("blocks", "message"),
        [
            ({"eeg": "passthrough"}, "needs column eeg: X has eda, eeg_de, eye, face"),
            ({"face": "passthrough"}, "row 1 .*its face has shape"),
            ({"music": "passthrough"}, "cannot be called 'music'"),
            ({"eye": "drop"}, r"blocks\['eye'\] must be a transformer or 'passthrough'"),
            ({}, "blocks is empty"),
        ],
    )
    def test_what_cannot_be_joined_is_named(self, blocks, message):
        with pytest.raises(ValueError, match=message):
            BlockUnion(blocks).fit(self.make())

    def test_another_length_at_transform_names_the_block(self):
        trials = self.make()
        union = BlockUnion({"eda": "passthrough", "eye": "passthrough"}).fit(trials)
        trials["eye"] = pd.Series([np.ones(5)] * len(trials), dtype=object)
        with pytest.raises(ValueError, match=r"The eye block has 5 columns, BlockUnion .* with 4"):
            union.transform(trials)


# --- one trial at a time -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        {"subject": ["p1", "é"], "trial": [0, 1]},
        {"subject": [7, 8], "trial": ["x", "y"]},
        {"subject": [1, "1"], "trial": [True, False]},
        {"subject": ["p1", None], "trial": [2.5, 3.0]},
        {"subject": pd.to_datetime(["2020-01-01", "2021-01-01"]), "trial": [0, 1]},
    ],
)
def test_a_lone_trial_has_the_row_and_the_index_that_it_has_among_others(music, ids):
    trials = make_trials(2).assign(**ids)
    union = MusicFeatureUnion(music=music).fit(trials)
    together = union.transform(trials)
    for row in range(2):
        alone = union.transform(trials.iloc[[row]])
        assert_array_equal(alone, together.iloc[[row]])
        assert list(alone.columns) == list(together.columns)
        known = [trials[name].iloc[[row]].to_numpy() for name in ("subject", "stimulus", "trial")]
        expected = pd.MultiIndex.from_arrays(known, names=["subject", "stimulus", "trial"])
        pd.testing.assert_index_equal(alone.index, expected, exact=True)
        assert [level.dtype for level in alone.index.levels] == [
            level.dtype for level in expected.levels
        ]


def test_a_song_that_is_spoilt_after_fit_is_an_error_once_it_is_needed(music):
    trials = make_trials()
    union = MusicFeatureUnion(music=music).fit(trials)
    expected = union.transform(trials)
    music.loc["c", "tempo"] = np.nan  # nobody listens to it
    pd.testing.assert_frame_equal(union.transform(trials), expected)
    music.loc["b", "loud"] = np.inf
    pd.testing.assert_frame_equal(union.transform(trials.iloc[[0]]), expected.iloc[[0]])
    with pytest.raises(ValueError, match="NaN or infinite values: stimulus 'b', feature 'loud'"):
        union.transform(trials)
    with pytest.raises(ValueError, match="stimulus 'b', feature 'loud'"):
        MusicFeatureUnion(music=music).fit(trials)


def test_columns_in_another_order_are_no_more_those_of_fit(music):
    trials = make_trials()
    union = MusicFeatureUnion(music=lambda wanted: music[columns])
    columns = ["tempo", "loud"]
    union.fit(trials)
    columns = ["loud", "tempo"]
    with pytest.raises(ValueError, match="it must return the same features each time"):
        union.transform(trials)


def test_a_pipeline_that_ends_in_a_union_without_music_knows_that_it_is_fitted():
    trials = make_trials(n_samples=40)
    steps = make_pipeline(CvxEDATransformer(4, trim_seconds=0), MusicFeatureUnion())
    pd.testing.assert_frame_equal(steps.fit(trials).transform(trials), steps.fit_transform(trials))
