"""Music features: what openSMILE itself gives, whatever the way to it; PMEmo's own files."""

import doctest
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo import MusicFeatureUnion
from edaemo.features import MusicFeatureExtractor, _music, read_pmemo_features

ROOT = Path(__file__).parents[1]
RATE = 16000
COUNTS = {"ComParE_2016": 6373, "IS13": 6373, "eGeMAPSv02": 88, "emobase": 988}


def make_song(seed, rate=RATE, seconds=1.5, channels=1):
    """Give a chord with a beat in noise, float32 of shape (n_channels, n_samples)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(100, 900, size=3))
    beat = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(1, 4) * time)
    noise = rng.normal(scale=0.02, size=(channels, len(time)))
    return (0.15 * beat * chord + noise).astype(np.float32)


@pytest.fixture(scope="session")
def opensmile():
    """The package itself, whose numbers are expected."""
    reason = "openSMILE is not installed: pip install edaemo[music]"
    return pytest.importorskip("opensmile", reason=reason)


@pytest.fixture(scope="session")
def soundfile(opensmile):
    return pytest.importorskip("soundfile", reason="pip install edaemo[music]")


@pytest.fixture(scope="session")
def songs(soundfile, tmp_path_factory):
    """Paths of four songs, indexed by stimulus."""
    folder = tmp_path_factory.mktemp("songs")
    paths = {}
    for seed, stimulus in enumerate(["b", "a", "d", "c"]):
        paths[stimulus] = str(folder / f"{stimulus}.wav")
        soundfile.write(paths[stimulus], make_song(seed).T, RATE)
    return pd.Series(paths).rename_axis("stimulus")


@pytest.fixture
def no_computing(monkeypatch):
    def refuse(*args):
        raise AssertionError("a clip is computed that the cache has")

    monkeypatch.setattr(_music, "_describe", refuse)


def theirs(opensmile, feature_set, level="func", **settings):
    return opensmile.Smile(opensmile.FeatureSet[feature_set], level, **settings)


# --- the numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("feature_set", COUNTS)
def test_functionals_and_their_names_are_opensmiles(opensmile, songs, feature_set):
    given = MusicFeatureExtractor(feature_set).fit_transform(songs)
    expected = theirs(opensmile, feature_set).process_files(songs.to_list())
    assert given.shape == (4, COUNTS[feature_set])
    assert (given.dtypes == np.float32).all()
    assert list(given.columns) == list(expected.columns)
    pd.testing.assert_index_equal(given.index, songs.index)
    assert_allclose(given, expected, rtol=1e-6, atol=1e-6)
    assert np.isfinite(given.to_numpy()).all()


def test_is13_and_compare_2016_share_names_and_not_numbers(songs):
    is13 = MusicFeatureExtractor("IS13").fit_transform(songs)
    compare = MusicFeatureExtractor("ComParE_2016").fit_transform(songs)
    assert list(is13.columns) == list(compare.columns)
    assert not np.allclose(is13, compare, rtol=1e-2)


@pytest.mark.parametrize(
    ("ending", "format", "subtype"),
    [
        ("wav", "WAV", "PCM_16"),
        ("wav", "WAV", "FLOAT"),
        ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "VORBIS"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_mono_and_stereo(opensmile, soundfile, tmp_path, ending, format, subtype, channels):
    path = tmp_path / f"song.{ending}"
    song = make_song(1, 44100, channels=channels)
    soundfile.write(path, song.T, 44100, format=format, subtype=subtype)
    given = MusicFeatureExtractor("eGeMAPSv02").fit_transform([path])
    smile = theirs(opensmile, "eGeMAPSv02", channels=range(channels), mixdown=True)
    assert_allclose(given, smile.process_file(path), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000, 96000])
def test_sampling_rates(opensmile, rate):
    song = make_song(2, rate)[0]
    given = MusicFeatureExtractor("emobase", sampling_rate=rate).fit_transform([song])
    expected = theirs(opensmile, "emobase").process_signal(song, rate)
    assert_allclose(given, expected, rtol=1e-6, atol=1e-6)


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap_around(opensmile):
    song = 4 * make_song(3)[0]
    assert 1.2 < np.abs(song).max() < 4
    given = MusicFeatureExtractor("eGeMAPSv02", sampling_rate=RATE).fit_transform([song])
    smile = theirs(opensmile, "eGeMAPSv02")
    clipped = smile.process_signal(np.clip(song, -1, 1 - 2**-15), RATE)
    assert_allclose(given, clipped, rtol=1e-6, atol=1e-6)
    loudness = list(clipped.columns).index("loudness_sma3_amean")
    wrapped = smile.process_signal(song, RATE).to_numpy()
    assert wrapped[0, loudness] > 1.2 * given[0, loudness]


def test_wav_whose_header_miscounts_or_cannot_count_is_read(soundfile, tmp_path, songs):
    expected = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs[:1])
    whole = Path(songs.iloc[0]).read_bytes()
    for size in (len(whole), 2**32 - 1):
        (tmp_path / "song.wav").write_bytes(whole[:4] + size.to_bytes(4, "little") + whole[8:])
        given = MusicFeatureExtractor("eGeMAPSv02").fit_transform([tmp_path / "song.wav"])
        assert_array_equal(given, expected)


@pytest.mark.parametrize("feature_set", COUNTS)
@pytest.mark.parametrize(("hop", "rate"), [(1.0, 16000), (0.5, 22050)])
def test_lld_are_means_and_deviations_of_opensmiles_frames(opensmile, feature_set, hop, rate):
    """At 22,050 Hz openSMILE's frames lie 221 samples apart, which are not 10 ms."""
    song = make_song(4, rate, seconds=3.3)[0]
    extractor = MusicFeatureExtractor(feature_set, level="lld", hop=hop, sampling_rate=rate)
    given = extractor.fit_transform([song])
    levels = ["lld"] if feature_set == "eGeMAPSv02" else ["lld", "lld_de"]
    frames = [theirs(opensmile, feature_set, level).process_signal(song, rate) for level in levels]
    begin = frames[0].index.get_level_values("start").total_seconds() + 1e-9
    frames = [one.iloc[: len(begin)].reset_index(drop=True) for one in frames]  # more of deltas
    frames = pd.concat(frames, axis=1)
    expected = []
    for k in range(int(3.3 / hop)):
        second = frames[(begin >= k * hop) & (begin < k * hop + 1)]
        expected.append(np.r_[second.mean(), second.std(ddof=0)])
    assert_allclose(given, expected, rtol=1e-5, atol=1e-5)
    names = [f"{name}_{statistic}" for statistic in ("mean", "std") for name in frames.columns]
    assert list(given.columns) == names == list(extractor.get_feature_names_out())
    assert given.index.names == ["stimulus", "time"]
    assert_allclose(given.index.get_level_values("time"), np.arange(len(expected)) * hop)


def test_lld_of_clips_of_different_lengths_are_indexed_by_stimulus_and_time(soundfile, tmp_path):
    paths = {7: tmp_path / "long.wav", 3: tmp_path / "short.wav"}
    soundfile.write(paths[7], make_song(0, seconds=3.9).T, RATE)
    soundfile.write(paths[3], make_song(1, seconds=1.0).T, RATE)
    X = pd.Series(paths).rename_axis("song")
    given = MusicFeatureExtractor("eGeMAPSv02", level="lld").fit_transform(X)
    assert given.index.to_list() == [(7, 0.0), (7, 1.0), (7, 2.0), (3, 0.0)]
    assert given.index.names == ["song", "time"]
    alone = MusicFeatureExtractor("eGeMAPSv02", level="lld").fit_transform(X[[3]])
    pd.testing.assert_frame_equal(given.loc[[3]], alone)


@pytest.mark.parametrize(("start", "stop"), [(0.5, 1.25), (0.5, None), (0, 1.0)])
def test_start_and_stop_cut_the_clip(opensmile, songs, start, stop):
    extractor = MusicFeatureExtractor("eGeMAPSv02", start=start, stop=stop)
    given = extractor.fit_transform(songs[:1])
    smile = theirs(opensmile, "eGeMAPSv02")
    expected = smile.process_file(songs.iloc[0], start=start, end=stop)
    assert_allclose(given, expected, rtol=1e-6, atol=1e-6)
    assert extractor.report_["seconds"].item() == (1.5 if stop is None else stop) - start


def test_a_clip_that_ends_before_stop_is_described_up_to_its_end(songs):
    given = MusicFeatureExtractor("eGeMAPSv02", stop=60).fit_transform(songs)
    assert_array_equal(given, MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs))


def test_time_of_lld_counts_from_the_beginning_of_the_clip(opensmile):
    extractor = MusicFeatureExtractor(
        "eGeMAPSv02", level="lld", hop=0.5, start=1.5, sampling_rate=RATE
    )
    given = extractor.fit_transform([make_song(0, seconds=3)[0]])
    assert given.index.get_level_values("time").to_list() == [1.5, 2.0, 2.5]


def test_results_do_not_depend_on_n_jobs_order_or_repetition(songs):
    one = MusicFeatureExtractor("IS13", n_jobs=1).fit_transform(songs)
    pd.testing.assert_frame_equal(MusicFeatureExtractor("IS13").fit_transform(songs), one)
    two = MusicFeatureExtractor("IS13", n_jobs=2).fit_transform(songs[::-1])
    pd.testing.assert_frame_equal(two, one[::-1])


def test_relative_paths_and_cache_hold_after_a_change_of_folder(songs, tmp_path, monkeypatch):
    """Processes may be older than the change."""
    expected = MusicFeatureExtractor("eGeMAPSv02", n_jobs=2).fit_transform(songs)
    monkeypatch.chdir(Path(songs.iloc[0]).parent)
    names = songs.map(lambda path: Path(path).name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for cache in ("~/cache", os.path.relpath(tmp_path / "other")):
        extractor = MusicFeatureExtractor("eGeMAPSv02", n_jobs=2, cache=cache)
        pd.testing.assert_frame_equal(extractor.fit_transform(names), expected)
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert len(list((tmp_path / "other").iterdir())) == 4


def test_threads_of_one_process_give_the_same(songs):
    """openSMILE's developers advise against threads."""
    expected = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs)
    given = [None] * 3

    def work(place):
        given[place] = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in given:
        pd.testing.assert_frame_equal(one, expected)


# --- what comes in and what goes out -------------------------------------------------------------


def test_paths_come_in_any_container(songs):
    songs = songs[:2]
    extractor = MusicFeatureExtractor("eGeMAPSv02")
    frame = extractor.fit_transform(songs)
    frames = [songs.to_frame("path"), songs.map(Path), songs.astype(object)]
    for X in frames:
        pd.testing.assert_frame_equal(extractor.fit_transform(X), frame)
    arrays = [songs.to_list(), tuple(songs), songs.to_numpy(dtype=object)]
    arrays += [songs.to_numpy(dtype=str), songs.to_numpy(dtype=object)[:, None]]
    for X in arrays:
        given = extractor.fit_transform(X)
        assert isinstance(given, np.ndarray)
        assert given.dtype == np.float32
        assert_array_equal(given, frame)


def test_arrays_give_what_their_file_gives(songs, soundfile):
    songs = songs[:2]
    from_files = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs)
    audio = songs.map(lambda path: soundfile.read(path, dtype="float32")[0])
    extractor = MusicFeatureExtractor("eGeMAPSv02", sampling_rate=np.int64(RATE))
    pd.testing.assert_frame_equal(extractor.fit_transform(audio), from_files)
    two_channels = [np.stack([clip, clip]).astype(np.float64) for clip in audio]
    for X in (list(audio), np.stack(list(audio)), audio.to_numpy(), two_channels):
        assert_array_equal(extractor.fit_transform(X), from_files)
    mixed = [songs.iloc[0], *audio[1:]]
    assert_array_equal(extractor.fit_transform(mixed), from_files)


def test_set_output(songs):
    extractor = MusicFeatureExtractor("eGeMAPSv02")
    frame = extractor.fit_transform(songs)
    pandas = clone(extractor).set_output(transform="pandas")
    pd.testing.assert_frame_equal(pandas.fit_transform(songs), frame)
    pd.testing.assert_frame_equal(
        pandas.fit_transform(songs.to_list()), frame.reset_index(drop=True)
    )
    lld = clone(extractor).set_params(level="lld").set_output(transform="pandas")
    assert list(lld.fit_transform(songs).columns) == list(lld.get_feature_names_out())


def test_clone_pickle_and_parameters(songs, tmp_path):
    extractor = MusicFeatureExtractor("emobase", stop=1.0, cache=tmp_path, n_jobs=1).fit(songs)
    copy = clone(extractor)
    assert copy.get_params() == extractor.get_params()
    expected = extractor.transform(songs)
    pd.testing.assert_frame_equal(copy.transform(songs), expected)
    again = pickle.loads(pickle.dumps(extractor))
    pd.testing.assert_frame_equal(again.transform(songs), expected)


def test_pipeline_and_column_transformer(songs):
    features = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs)
    pipe = make_pipeline(MusicFeatureExtractor("eGeMAPSv02"), StandardScaler())
    expected = StandardScaler().fit_transform(features)
    assert_allclose(pipe.fit_transform(songs), expected)
    assert list(pipe.get_feature_names_out()) == list(features.columns)

    table = pd.DataFrame({"path": songs, "tempo": [90.0, 120.0, 100.0, 80.0]})
    for column in ("path", ["path"]):
        both = ColumnTransformer(
            [
                ("music", MusicFeatureExtractor("eGeMAPSv02"), column),
                ("tempo", "passthrough", ["tempo"]),
            ],
            verbose_feature_names_out=False,
        )
        assert_allclose(both.fit_transform(table), features.assign(tempo=table["tempo"]))
        given = both.set_output(transform="pandas").fit_transform(table)
        assert list(given.columns) == [*features.columns, "tempo"]
        assert list(given.index) == list(songs.index)


def test_features_join_trials_by_stimulus(songs):
    music = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs)
    trials = pd.DataFrame({"subject": [1, 1, 2], "stimulus": ["d", "b", "d"], "trial": [0, 1, 0]})
    trials["eda"] = [np.ones(4), np.ones(4), np.ones(4)]
    union = MusicFeatureUnion(music=music, standardize_music=False)
    joined = union.fit_transform(trials)
    assert_array_equal(joined.iloc[:, 4:], music.loc[["d", "b", "d"]])
    assert joined.columns[4] == f"music_{music.columns[0]}"


def test_sampling_rates_that_differ_are_warned_of(soundfile, tmp_path):
    for rate in (16000, 22050):
        soundfile.write(tmp_path / f"{rate}.wav", make_song(0, rate).T, rate)
    paths = [tmp_path / "16000.wav", tmp_path / "22050.wav", tmp_path / "16000.wav"]
    extractor = MusicFeatureExtractor("eGeMAPSv02")
    with pytest.warns(UserWarning, match="2 at 16000 Hz, 1 at 22050 Hz"):
        extractor.fit_transform(paths)
    assert extractor.report_["sampling_rate"].to_list() == [16000, 22050, 16000]


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_in_a_terminal_counts_clips(songs, capsys, monkeypatch, progress):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    MusicFeatureExtractor("eGeMAPSv02", progress=progress).fit_transform(songs)
    assert ("4/4" in capsys.readouterr().err) == progress


# --- the cache -----------------------------------------------------------------------------------


def test_cache_gives_what_was_computed(songs, tmp_path, monkeypatch):
    cache = tmp_path / "new" / "cache"
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=cache)
    expected = extractor.fit_transform(songs)
    assert not extractor.report_["cached"].any()
    renamed = tmp_path / "renamed.wav"
    renamed.write_bytes(Path(songs["a"]).read_bytes())
    monkeypatch.setattr(_music, "_describe", None)  # whatever is computed now fails
    pd.testing.assert_frame_equal(extractor.fit_transform(songs), expected)
    assert extractor.report_["cached"].all()
    assert_array_equal(extractor.fit_transform([renamed]), expected.loc[["a"]])


def test_only_what_the_cache_lacks_is_computed_and_each_content_once(songs, tmp_path, monkeypatch):
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=tmp_path)
    extractor.fit_transform(songs[["a", "b"]])
    computed = []
    describe = _music._describe
    monkeypatch.setattr(
        _music, "_describe", lambda *args: computed.append(args[0]) or describe(*args)
    )
    given = extractor.fit_transform(songs[["c", "a", "c", "d"]])
    assert computed == [Path(songs[one]).read_bytes() for one in "cd"]
    assert extractor.report_["cached"].to_list() == [False, True, False, False]
    assert_array_equal(given.iloc[0], given.iloc[2])


@pytest.mark.parametrize(
    "changed",
    [
        {"feature_set": "emobase"},
        {"level": "lld"},
        {"start": 0.25},
        {"stop": 1.0},
        {"level": "lld", "hop": 0.5},
        {"sampling_rate": 8000},
    ],
)
def test_cache_knows_every_parameter_that_counts(tmp_path, changed):
    pytest.importorskip("opensmile", reason="pip install edaemo[music]")
    song = [make_song(0, seconds=2.0)[0]]
    settings = {"feature_set": "eGeMAPSv02", "sampling_rate": RATE, "cache": tmp_path}
    for _ in range(2):
        first = MusicFeatureExtractor(**settings).fit_transform(song)
        other = MusicFeatureExtractor(**(settings | changed)).fit_transform(song)
        alone = MusicFeatureExtractor(**(settings | changed | {"cache": None}))
        assert_array_equal(other, alone.fit_transform(song))
        assert other.shape != first.shape or not np.allclose(other, first)


def test_content_that_changed_under_the_same_name_is_computed(soundfile, tmp_path):
    path, cache = tmp_path / "song.wav", tmp_path / "cache"
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=cache)
    answers = []
    for seed in (0, 1):
        soundfile.write(path, make_song(seed).T, RATE)
        answers.append(extractor.fit_transform([path]))
    assert not np.allclose(*answers)


def test_another_version_of_opensmile_is_another_entry(opensmile, songs, tmp_path, monkeypatch):
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=tmp_path)
    extractor.fit_transform(songs)
    monkeypatch.setattr(opensmile, "__version__", "2.99")
    extractor.fit_transform(songs)
    assert not extractor.report_["cached"].any()


@pytest.mark.parametrize("damage", [b"", b"short", "cut", "flipped"])
def test_damaged_entry_is_computed_again(songs, tmp_path, damage):
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=tmp_path)
    expected = extractor.fit_transform(songs[:1])
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    if damage == "cut":
        damage = whole[:-10]
    elif damage == "flipped":
        damage = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
    entry.write_bytes(damage)
    pd.testing.assert_frame_equal(extractor.fit_transform(songs[:1]), expected)
    assert not extractor.report_["cached"].any()
    assert entry.read_bytes() == whole


def test_processes_share_a_cache_and_leave_whole_entries_only(songs, tmp_path):
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=tmp_path, n_jobs=2)
    expected = extractor.fit_transform(songs)
    assert len(list(tmp_path.iterdir())) == 4
    pd.testing.assert_frame_equal(extractor.fit_transform(songs), expected)
    assert extractor.report_["cached"].all()


def test_interrupted_writing_leaves_no_entry(songs, tmp_path, monkeypatch):
    def die(path, content):
        with path.open("wb") as file:
            file.write(content[:50])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", die)
    extractor = MusicFeatureExtractor("eGeMAPSv02", cache=tmp_path)
    with pytest.raises(OSError, match=r"cache=.* cannot be used: No space left.*Free disk space"):
        extractor.fit_transform(songs)
    assert list(tmp_path.iterdir()) == []


def test_cache_that_is_a_file_is_an_error(songs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file' cannot be used"):
        MusicFeatureExtractor(cache=tmp_path / "file").fit_transform(songs)


# --- clips that cannot be described --------------------------------------------------------------


@pytest.fixture
def bad(soundfile, tmp_path, songs):
    """Files that cannot be described, and what the error must say."""
    song = make_song(0, seconds=2.0).T
    for ending in ("wav", "flac", "ogg"):
        soundfile.write(tmp_path / f"whole.{ending}", song, RATE)
        whole = (tmp_path / f"whole.{ending}").read_bytes()
        (tmp_path / f"cut.{ending}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("not music" * 1000)
    soundfile.write(tmp_path / "silent.wav", np.zeros((RATE, 2)), RATE)
    soundfile.write(tmp_path / "level.wav", np.full(RATE, 0.5), RATE)
    soundfile.write(tmp_path / "opposite.wav", song * [1, -1], RATE)
    soundfile.write(tmp_path / "faint.wav", 1e-7 * song, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", song[:1000], RATE)
    soundfile.write(tmp_path / "nothing.wav", song[:0], RATE)
    soundfile.write(tmp_path / "slow.wav", song, 2000)
    soundfile.write(tmp_path / "loud.wav", 30000 * song, RATE, subtype="FLOAT")
    said = {
        "missing.wav": "cannot be read.*No such file.*Check the path",
        "": "cannot be read.*Is a directory",
        "cut.wav": "truncated. Download it again",
        "cut.flac": "not readable as audio.*Convert it to WAV",
        "cut.ogg": "truncated. Download it again",
        "empty.mp3": "the file is empty. Download it again",
        "text.mp3": "not readable as audio.*Convert it to WAV",
        "silent.wav": "silent: all its samples are equal. Remove the clip",
        "level.wav": "silent: all its samples are equal",
        "opposite.wav": "silent: all its samples are equal",
        "faint.wav": "silent: all its samples are equal",
        "short.wav": "0.0625 s are too short, the minimum is 0.1 s",
        "nothing.wav": "0 s are too short",
        "slow.wav": "sampling rate is 2000 Hz; the minimum is 4000 Hz",
        "loud.wav": "reach .*: full scale is 1. Divide",
    }
    return {str(tmp_path / name): what for name, what in said.items()}


def test_bad_file_is_an_error_that_names_it_and_says_what_to_do(bad, songs):
    for path, what in bad.items():
        X = pd.Series({"fine": songs.iloc[0], "x7": path}).rename_axis("stimulus")
        expected = rf"row 1 \(stimulus x7\): {re.escape(str(Path(path)))}/?: .*{what}"
        with pytest.raises(ValueError, match=expected):
            MusicFeatureExtractor("eGeMAPSv02").fit_transform(X)


def test_bad_files_become_nan_and_the_report_says_why(bad, songs):
    X = pd.Series([songs["a"], *bad, songs["b"]])
    extractor = MusicFeatureExtractor("eGeMAPSv02", on_error="nan", n_jobs=2)
    given = extractor.fit_transform(X)
    fine = MusicFeatureExtractor("eGeMAPSv02").fit_transform(songs[["a", "b"]])
    assert_array_equal(given.iloc[[0, -1]], fine)
    assert given.iloc[1:-1].isna().all(axis=None)
    report = extractor.report_
    assert report["clip"].to_list() == X.to_list()
    assert report["error"].isna().to_list() == [True, *[False] * len(bad), True]
    for reason, what in zip(report["error"][1:-1], bad.values(), strict=True):
        assert re.search(what, reason)
    assert report["seconds"].to_list()[0] == 1.5
    assert report["sampling_rate"].isna().sum() == len(bad)

    lld = MusicFeatureExtractor("eGeMAPSv02", level="lld", on_error="nan").fit_transform(X)
    assert lld.isna().all(axis=1).sum() == len(bad)
    assert set(lld.index.get_level_values(0)) == set(X.index)


def test_missing_files_are_found_before_anything_is_computed(songs, no_computing):
    with pytest.raises(ValueError, match=r"row 4: gone\.wav: it cannot be read"):
        MusicFeatureExtractor().fit_transform([*songs, "gone.wav"])


def test_first_bad_clip_is_named_whatever_n_jobs(songs, soundfile, tmp_path):
    for name, level in (("one", 0.1), ("two", 0.2)):
        soundfile.write(tmp_path / f"{name}.wav", np.full(RATE, level), RATE)
    X = [songs.iloc[0], tmp_path / "one.wav", tmp_path / "two.wav", *songs]
    for n_jobs in (1, 2):
        extractor = MusicFeatureExtractor("eGeMAPSv02", n_jobs=n_jobs, cache=tmp_path / "cache")
        with pytest.raises(ValueError, match=r"row 1: .*one\.wav: it is silent"):
            extractor.fit_transform(X)
        assert not hasattr(extractor, "report_")
        assert not list((tmp_path / "cache").glob("*.part"))


def test_nothing_is_computed_after_a_bad_clip(songs, monkeypatch):
    computed = []

    def fail(*args):
        computed.append(args)
        raise ValueError("it is bad")

    monkeypatch.setattr(_music, "_describe", fail)
    with pytest.raises(ValueError, match=r"row 0 \(stimulus b\): .*: it is bad"):
        MusicFeatureExtractor().fit_transform(songs)
    assert len(computed) == 1


@pytest.mark.parametrize(
    ("clip", "what"),
    [
        (np.r_[make_song(0)[0], np.nan], "holds NaN or infinite samples"),
        (np.r_[make_song(0)[0], -np.inf], "holds NaN or infinite samples"),
        (1e300 * make_song(0)[0].astype(float), "holds NaN or infinite samples"),
        ((make_song(0)[0] * 32768).astype(np.int16), "samples are int16: pass floats from -1 to 1"),
        (make_song(0)[0] * 32768, "full scale is 1. Divide"),
        (make_song(0, channels=2).T, r"shape \(24000, 2\) is not \(n_channels, n_samples\)"),
        (make_song(0)[None], r"shape \(1, 1, 24000\) is not"),
        (np.zeros(0), "0 s are too short"),
        (np.array(["a", "b"]), "holds text"),
        (np.ma.masked_less(make_song(0)[0], 0), "holds NaN or infinite samples"),
        (None, "neither a path nor an array"),
        (7, "neither a path nor an array"),
        (np.nan, "neither a path nor an array"),
    ],
)
def test_arrays_that_are_no_audio_are_errors(opensmile, clip, what):
    extractor = MusicFeatureExtractor("eGeMAPSv02", sampling_rate=RATE)
    X = [make_song(1)[0], clip]
    with pytest.raises(ValueError, match=f"row 1: .*{what}"):
        extractor.fit_transform(X)
    given = extractor.set_params(on_error="nan").fit_transform(X)
    assert np.isnan(given).all(axis=1).tolist() == [False, True]


def test_lld_need_one_hop(opensmile):
    extractor = MusicFeatureExtractor("eGeMAPSv02", level="lld", sampling_rate=RATE)
    with pytest.raises(ValueError, match=r"0\.9 s are too short, the minimum is 1 s"):
        extractor.fit_transform([make_song(0, seconds=0.9)[0]])


def test_clip_that_ends_before_start_is_an_error(songs):
    with pytest.raises(ValueError, match=r"0 s are too short, .* \(from start=2 on\)"):
        MusicFeatureExtractor(start=2).fit_transform(songs)


def test_array_without_a_sampling_rate_is_an_error(opensmile):
    with pytest.raises(ValueError, match="set sampling_rate="):
        MusicFeatureExtractor().fit_transform([make_song(0)[0]])


@pytest.mark.parametrize(
    ("X", "what"),
    [
        ("song.wav", "X is one path, 'song.wav': put it into a list"),
        (Path("song.wav"), "put it into a list"),
        ([], "X holds no clips: a minimum of 1"),
        (
            pd.DataFrame({"path": ["a"], "title": ["b"]}),
            r"columns \['path', 'title'\]: pass only the column",
        ),
        (np.zeros(100), "put it into a list if it is one clip"),
    ],
)
def test_what_is_no_list_of_clips_is_an_error_in_fit(X, what):
    with pytest.raises(ValueError, match=what):
        MusicFeatureExtractor().fit(X)


@pytest.mark.parametrize(
    "wrong",
    [
        {"feature_set": "ComParE"},
        {"level": "frames"},
        {"hop": 0},
        {"hop": 2.0},
        {"start": -1.0},
        {"stop": 0},
        {"stop": np.inf},
        {"start": 5, "stop": 5},
        {"sampling_rate": 100},
        {"sampling_rate": 44100.5},
        {"on_error": "ignore"},
        {"cache": 7},
        {"progress": "yes"},
    ],
)
def test_parameters_out_of_their_range_are_errors(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MusicFeatureExtractor(**wrong).fit(["song.wav"])


# --- the extra -----------------------------------------------------------------------------------


def test_import_takes_no_opensmile_and_a_missing_extra_is_one_clear_line(monkeypatch):
    code = "import sys, edaemo.features; print({'opensmile', 'soundfile'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.strip() == "set()"
    _music._smile.cache_clear()
    monkeypatch.setitem(sys.modules, "opensmile", None)
    extractor = MusicFeatureExtractor()
    for call in (lambda: extractor.fit_transform([__file__]), extractor.get_feature_names_out):
        with pytest.raises(ImportError, match=r"^Music .*: pip install edaemo\[music\]$"):
            call()


def test_example_of_the_docstring(opensmile):
    text = MusicFeatureExtractor.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "example", None, None)
    assert doctest.DocTestRunner().run(example).failed == 0


# --- PMEmo's own files ---------------------------------------------------------------------------


def write_pmemo(path, columns, rows):
    lines = [",".join(map(str, row)) for row in [columns, *rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def static(tmp_path):
    """Two songs as in PMEmo2019/features/static_features.csv."""
    rng = np.random.default_rng(0)
    names = _music._static_names()
    rows = [[song, *rng.normal(size=len(names)).round(6)] for song in (1, 1000)]
    return ["musicId", *names], rows


@pytest.fixture
def dynamic():
    """Two songs as in PMEmo2019/features/dynamic_features.csv, which has the older names."""
    rng = np.random.default_rng(0)
    names = [name.replace("mfcc_", "pcm_fftMag_mfcc_") for name in _music._dynamic_names()]
    rows = [
        [song, frame / 2, *rng.normal(size=len(names)).round(6), "?"]
        for song in (4, 1)
        for frame in range(3)
    ]
    return ["musicId", "frameTime", *names, "class"], rows


def test_examples_of_the_document_run_as_they_stand(songs, static, dynamic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("chorus").symlink_to(Path(songs.iloc[0]).parent)
    Path("PMEmo2019/features").mkdir(parents=True)
    write_pmemo(Path("PMEmo2019/features/static_features.csv"), *static)
    write_pmemo(Path("PMEmo2019/features/dynamic_features.csv"), *dynamic)
    text = (ROOT / "docs/music.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    given = {}
    for block in blocks:
        exec(block, given)
        if "music-cache" in block:
            assert given["music"].shape == (4, 6373)
            assert list(given["music"].index) == ["a", "b", "c", "d"]
        assert "dynamic" not in given or given["dynamic"].index.names == ["stimulus", "time"]
    assert list(given["music"].index) == ["1", "1000"]


def test_names_of_pmemos_features_are_opensmiles(opensmile):
    assert _music._static_names() == theirs(opensmile, "IS13").feature_names
    lld = MusicFeatureExtractor("IS13", level="lld").get_feature_names_out()
    assert _music._dynamic_names() == list(lld)


def test_pmemo_static_features(static, tmp_path):
    columns, rows = static
    given = read_pmemo_features(write_pmemo(tmp_path / "static_features.csv", columns, rows))
    assert given.shape == (2, 6373)
    assert list(given.index) == ["1", "1000"]
    assert given.index.name == "stimulus"
    assert (given.dtypes == np.float32).all()
    assert columns[1] == given.columns[0] == "audspec_lengthL1norm_sma_range"
    assert columns[-1] == given.columns[-1] == "mfcc_sma_de[14]_stddevFallingSlope"
    assert_array_equal(given, np.array([row[1:] for row in rows], dtype=np.float32))


def test_pmemo_dynamic_features(dynamic, tmp_path):
    columns, rows = dynamic
    given = read_pmemo_features(write_pmemo(tmp_path / "dynamic_features.csv", columns, rows))
    assert given.shape == (6, 260)
    assert given.index.names == ["stimulus", "time"]
    assert given.index.to_list() == [(song, t) for song in ("4", "1") for t in (0.0, 0.5, 1.0)]
    assert {"F0final_sma_mean", "mfcc_sma_de[14]_std"} <= set(given.columns)
    assert_array_equal(given, np.array([row[2:-1] for row in rows], dtype=np.float32))


def test_pmemo_columns_are_matched_by_name_not_by_place(static, tmp_path):
    columns, rows = static
    expected = read_pmemo_features(write_pmemo(tmp_path / "one.csv", columns, rows))
    order = np.random.default_rng(0).permutation(len(columns))
    shuffled = [[row[place] for place in order] for row in [columns, *rows]]
    given = read_pmemo_features(write_pmemo(tmp_path / "two.csv", shuffled[0], shuffled[1:]))
    pd.testing.assert_frame_equal(given, expected)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c[:-1], r"missing: 1 \('mfcc_sma_de\[14\]_stddevFallingSlope'\)"),
        (lambda c: [*c[:-1], c[5]], r"missing: 1 .*, duplicated: 1 \('audspec_.*'\)"),
        (lambda c: [*c[:-1], "tempo"], r"missing: 1 .*, unknown: 1 \('tempo'\)"),
        (lambda c: ["id", *c[1:]], r"missing: 1 \('musicId'\), unknown: 1 \('id'\)"),
        (
            lambda c: [f"f{place}" for place in range(6374)],
            r"missing: 6374 .*unknown: 6374 \('f0'\)",
        ),
        (lambda c: [*c, "extra"], r"unknown: 1 \('extra'\)"),
    ],
)
def test_pmemo_columns_that_are_wrong_are_one_error(static, tmp_path, change, what):
    columns, rows = static
    columns = change(columns)
    rows = [[*row, 0.0][: len(columns)] for row in rows]
    path = write_pmemo(tmp_path / "static_features.csv", columns, rows)
    with pytest.raises(ValueError, match=rf"static_features\.csv: .*{what}.*Download"):
        read_pmemo_features(path)


def test_pmemo_rows_that_are_wrong_are_errors(static, dynamic, tmp_path):
    path = tmp_path / "features.csv"
    columns, rows = static
    with pytest.raises(ValueError, match="has no rows"):
        read_pmemo_features(write_pmemo(path, columns, []))
    with pytest.raises(ValueError, match="missing: 6374"):
        read_pmemo_features(write_pmemo(path, [], []))
    with pytest.raises(ValueError, match=r"data row 2 .* repeats an earlier one: 1"):
        read_pmemo_features(write_pmemo(path, columns, [*rows, rows[0]]))
    with pytest.raises(ValueError, match="data row 1 has no musicId"):
        read_pmemo_features(write_pmemo(path, columns, [rows[0], ["", *rows[1][1:]]]))
    with pytest.raises(ValueError, match=r"column 'audspec.*maxPos' is not numeric"):
        read_pmemo_features(write_pmemo(path, columns, [[*rows[0][:2], "x", *rows[0][3:]]]))
    with pytest.raises(ValueError, match=r"features.csv: .*Expected 6374 .*Download"):
        read_pmemo_features(write_pmemo(path, columns, [rows[0], [*rows[1], 1.0]]))
    columns, rows = dynamic
    with pytest.raises(ValueError, match=r"data row 6 .* repeats an earlier one: 4, 0\.5"):
        read_pmemo_features(write_pmemo(path, columns, [*rows, rows[1]]))
