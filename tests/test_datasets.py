"""The loaders against what the publications say, small corpora written here, and the originals."""

import hashlib
import shutil
import warnings
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.utils import Bunch
from test_corpora import assert_patterns, problems_of

from edaemo.datasets import (
    DatasetError,
    _corpus,
    cut_window,
    load_hku956,
    load_induced_stress,
    select_people,
)

ROOT = Path(__file__).parents[1]
ORIGINALS = ROOT.parent / "shared" / "data"
HKU_ZIP = ROOT / "data" / "hku956" / "hku956.zip"
STRESS_ZIP = ROOT / "data" / "induced_stress" / "induced_stress.zip"
TAGS = ROOT / "data" / "mtg_jamendo_tags" / "hku956_songs_tags.tsv"
LOADERS = pytest.mark.parametrize("load", [load_hku956, load_induced_stress])


def original(folder):
    place = ORIGINALS / folder
    if not place.is_dir():
        pytest.skip(f"the original files of {folder} are not beside this checkout")
    return place


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("EDAEMO_DATA", raising=False)


@pytest.fixture(scope="module")
def hku():
    return load_hku956(HKU_ZIP)


@pytest.fixture(scope="module")
def stress():
    return load_induced_stress(STRESS_ZIP)


def write(root, files):
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def zipped(folder, target, *, within=""):
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, within + file.relative_to(folder).as_posix())
    return target


def ramp(n, start=0.0):
    """One number per line, as both corpora write their samples: 0.001 more on each line."""
    return "".join(f"{start + i / 1000:.6f}\n" for i in range(n))


HKU_RATINGS = """\
participant_id,song_no,song_id,valence_rating,valence,arousal_rating,arousal,play_duration
hku0002,0,77,-9.5,negative,9.9,positive,30
hku0001,1,5,4,positive,-3,negative,27
hku0001,10,77,0,neutral,1.5,positive,40
hku0001,2,77,-0.1,negative,0,neutral,31
"""
HKU_TAGS = (
    "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
    "track_0000077\tartist_1\talbum_1\t77/77.mp3\t100.0\tgenre---rock\tmood/theme---dark\n"
    "track_0000900\tartist_2\talbum_2\t00/900.mp3\t100.0\tgenre---pop\n"
)
SIGNALS = "1. physiological_signals"
FIRST = f"{SIGNALS}/hku0001/EDA/1_5.csv"


@pytest.fixture
def small_hku(tmp_path):
    return write(
        tmp_path / "small_hku",
        {
            "README": "not read",
            "3. AV_ratings.csv": HKU_RATINGS,
            "hku956_songs_tags.tsv": HKU_TAGS,
            FIRST: ramp(108),
            f"{SIGNALS}/hku0001/EDA/2_77.csv": ramp(124, 1),
            f"{SIGNALS}/hku0001/EDA/10_77.csv": ramp(160, 2).replace("\n", "\r\n"),
            f"{SIGNALS}/hku0002/EDA/0_77.csv": ramp(120, 3),
            f"{SIGNALS}/hku0002/BVP/0_77.csv": "of no interest",
        },
    )


V1 = ",Baseline,Stroop,First Rest,TMCT,Second Rest,Real Opinion,Opposite Opinion,Subtract\r\n"
V2 = ",Baseline,TMCT,First Rest,Real Opinion,Opposite Opinion,Second Rest,Subtract\r\n"
STRESS_V1 = V1 + "S02,2.00,4.00,2.00,2.00,2.00,4.00,5.00,10.00\r\n"
STRESS_V2 = V2 + "f07,1.00,4.00,1.00,3.00,1.00,1.00,3.00\r\nf14,1,8,2,3,7,1,9\r\n"
PEOPLE = "Wearable_Dataset/STRESS"
# One tag every 30 s from 10 s on.
TAGS_13 = """\
2013-02-20 18:00:10\r
2013-02-20 18:00:40\r
2013-02-20 18:01:10\r
2013-02-20 18:01:40\r
2013-02-20 18:02:10\r
2013-02-20 18:02:40\r
2013-02-20 18:03:10\r
2013-02-20 18:03:40\r
2013-02-20 18:04:10\r
2013-02-20 18:04:40\r
2013-02-20 18:05:10\r
2013-02-20 18:05:40\r
2013-02-20 18:06:10\r
"""
TAGS_9 = "".join(TAGS_13.splitlines(keepends=True)[:9])


def e4(n, start="2013-02-20 18:00:00"):
    """An EDA file of the E4 wristband."""
    return (f"{start}\n4.0\n" + ramp(n)).replace("\n", "\r\n")


@pytest.fixture
def small_stress(tmp_path):
    return write(
        tmp_path / "small_stress",
        {
            "data_constraints.txt": "\x95\tS02: duplicated".encode("latin-1"),
            "Stress_Level_v1.csv": STRESS_V1,
            "Stress_Level_v2.csv": STRESS_V2,
            f"{PEOPLE}/S02/EDA.csv": e4(6192 + 8),
            f"{PEOPLE}/S02/tags.csv": TAGS_13,
            f"{PEOPLE}/f07/EDA.csv": e4(1100),
            f"{PEOPLE}/f07/tags.csv": TAGS_9,
            f"{PEOPLE}/f07/TEMP.csv": "of no interest",
            f"{PEOPLE}/f14_a/EDA.csv": e4(40, "2013-02-20 17:00:00"),
            f"{PEOPLE}/f14_a/tags.csv": "",
            f"{PEOPLE}/f14_b/EDA.csv": e4(1200),
            f"{PEOPLE}/f14_b/tags.csv": TAGS_9,
        },
    )


def assert_same(one, other):
    pd.testing.assert_frame_equal(one.trials.drop(columns="eda"), other.trials.drop(columns="eda"))
    pd.testing.assert_frame_equal(one.ratings, other.ratings)
    assert len(one.trials) == len(other.trials) > 0
    for a, b in zip(one.trials["eda"], other.trials["eda"], strict=True):
        assert a.dtype == b.dtype == np.float64
        assert a.tobytes() == b.tobytes()


# What the publications and the description of the copies say


def test_hku956_has_30_people_956_trials_592_songs(hku):
    assert hku.trials["subject"].nunique() == 30
    assert len(hku.trials) == 956
    assert hku.trials["stimulus"].nunique() == 592
    assert (hku.report["people"], hku.report["trials"], hku.report["songs"]) == (30, 956, 592)
    per_person = hku.trials["subject"].value_counts()
    assert (per_person.min(), per_person.max()) == (16, 68)


def test_hku956_ratings_have_the_published_signs(hku):
    valence, arousal = hku.ratings["valence"], hku.ratings["arousal"]
    assert [(valence > 0).sum(), (valence < 0).sum(), (valence == 0).sum()] == [647, 283, 26]
    assert [(arousal > 0).sum(), (arousal < 0).sum(), (arousal == 0).sum()] == [571, 365, 20]
    assert (hku.ratings.min().min(), hku.ratings.max().max()) == (-9.5, 9.9)


def test_induced_stress_has_36_people_252_stages_90_rests(stress):
    assert stress.trials["subject"].nunique() == 36
    assert len(stress.trials) == 252
    assert stress.targets["task"].value_counts().to_dict() == {"task": 162, "rest": 90}
    assert [stress.report[what] for what in ("people", "trials", "rests", "tasks")] == [
        36,
        252,
        90,
        162,
    ]


def test_33_trials_repeat_a_song_and_the_key_is_unique(hku):
    assert hku.trials.duplicated(["subject", "stimulus"]).sum() == 33
    assert hku.report["repeat_listens"] == 33
    assert not hku.trials.duplicated(["subject", "stimulus", "trial"]).any()
    assert not hku.trials.duplicated(["subject", "trial"]).any()


def test_267_songs_have_tags_and_325_have_none(hku):
    assert hku.music.shape[0] == 592
    assert set(hku.music.index) == set(hku.trials["stimulus"])
    assert hku.music.index.name == "stimulus"
    assert (hku.music.dtypes == np.float32).all()
    assert hku.music["no_tags"].sum() == 325
    assert (hku.music.drop(columns="no_tags").sum(axis=1) > 0).sum() == 267
    assert ((hku.music == 0) | (hku.music == 1)).all(axis=None)
    tagged = hku.trials["stimulus"].map(hku.music["no_tags"]) == 0
    assert tagged.sum() == 515


def test_music_has_the_tags_that_the_file_has(hku):
    rows = [line.split("\t") for line in TAGS.read_text().splitlines()[1:]]
    for row in rows:
        song = str(int(row[0].removeprefix("track_")))
        assert set(hku.music.columns[hku.music.loc[song] == 1]) == set(row[5:])
    tags = list(hku.music.columns)[:-1]
    assert tags == sorted({tag for row in rows for tag in row[5:]})


@pytest.mark.parametrize("name", ["hku", "stress"])
def test_by_default_every_trial_has_100_samples(name, request):
    trials = request.getfixturevalue(name).trials
    assert {eda.shape for eda in trials["eda"]} == {(100,)}
    assert {eda.dtype for eda in trials["eda"]} == {np.dtype(np.float64)}


@pytest.mark.parametrize("name", ["hku", "stress"])
def test_bunch_is_aligned_and_sorted(name, request):
    data = request.getfixturevalue(name)
    assert isinstance(data.trials.index, pd.RangeIndex)
    for aligned in (data.ratings, *data.targets.values()):
        assert aligned.index.equals(data.trials.index)
    order = data.trials.sort_values(["subject", "trial"], kind="stable").index
    assert order.equals(data.trials.index)
    assert data.sampling_rate == 4.0
    assert data.report["left_out"].empty
    for text in (data.licence, data.citation, data.DESCR):
        assert len(text) > 50


def test_names_ranges_and_licences(hku, stress):
    assert (hku.name, stress.name) == ("hku956", "induced-stress")
    assert hku.rating_range == (-10, 10)
    assert stress.rating_range == (0, 10)
    assert "CC BY-NC 4.0" in hku.licence
    assert "CC BY-NC-SA 4.0" in hku.licence
    assert "ODC-By" in stress.licence
    assert "second-hand" in stress.licence
    assert "10.3390/app12189354" in hku.citation
    assert "10.1038/s41597-025-04845-9" in stress.citation
    assert stress.music is None


def test_descriptions_say_what_makes_scores_look_good(hku, stress):
    signed = hku.ratings["valence"] != 0
    told = roc_auc_score(hku.ratings["valence"][signed] > 0, hku.trials["duration"][signed])
    assert f"AUC of {told:.2f} for positive against negative valence" in hku.DESCR
    told = roc_auc_score(stress.targets["task"] == "rest", stress.trials["duration"])
    assert f"AUC of {told:.2f} for rest" in stress.DESCR
    assert "inferred" in stress.DESCR
    assert "encode this length" in stress.DESCR


def test_stages_of_both_protocols_in_their_own_order(stress):
    v1 = [
        ("Baseline", 0),
        ("Stroop", 1),
        ("First Rest", 2),
        ("TMCT", 3),
        ("Second Rest", 4),
        ("Real Opinion", 5),
        ("Opposite Opinion", 6),
        ("Subtract", 7),
    ]
    v2 = [
        ("TMCT", 1),
        ("First Rest", 2),
        ("Real Opinion", 3),
        ("Opposite Opinion", 4),
        ("Second Rest", 5),
        ("Subtract", 6),
    ]
    for subject, rows in stress.trials.groupby("subject"):
        stages = list(zip(rows["stimulus"], rows["trial"], strict=True))
        assert stages == (v1 if subject.startswith("S") else v2)
    rest = stress.trials["stimulus"].isin(["Baseline", "First Rest", "Second Rest"])
    assert ((stress.targets["task"] == "rest") == rest).all()


def test_session_time_is_from_recording_start_to_stage_onset(stress):
    # S01: the recording starts at 17:55:19; tags 1 and 3 are at 18:01:30 and 18:08:32.
    s01 = stress.trials[stress.trials["subject"] == "S01"].set_index("stimulus")["session_time"]
    assert s01["Baseline"] == 6 * 60 + 11
    assert s01["Stroop"] == 13 * 60 + 13
    # f14_b starts at 22:59:54; tag 2 is at 23:03:46.
    f14 = stress.trials[stress.trials["subject"] == "f14"].set_index("stimulus")["session_time"]
    assert f14["TMCT"] == 3 * 60 + 52


def test_stress_ratings_are_those_of_the_stage(stress):
    rated = stress.trials.assign(stress=stress.targets["stress"])
    rated = rated.set_index(["subject", "stimulus"])["stress"]
    assert rated["S01", "Stroop"] == 4.5
    assert rated["S08", "Second Rest"] == 1.5
    assert rated["f13", "TMCT"] == 10
    assert rated["f14", "Subtract"] == 9


# The compact copies and the originals


@pytest.mark.parametrize(
    ("archive", "folder", "n_files"),
    [(HKU_ZIP, "hku956", 958), (STRESS_ZIP, "physionet_wearable_stress", 76)],
)
def test_archives_hold_the_originals_byte_for_byte(archive, folder, n_files):
    place = original(folder)
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        for name in names:
            assert opened.read(name) == (place / name).read_bytes(), name
    assert len(names) == n_files


def test_tags_are_the_original_byte_for_byte():
    place = original("hku956_mtg_jamendo_tags")
    assert TAGS.read_bytes() == (place / TAGS.name).read_bytes()


@pytest.mark.parametrize("archive", [HKU_ZIP, STRESS_ZIP])
def test_archives_are_small_and_reproducible(archive):
    assert archive.stat().st_size < 2 * 2**20
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
    names = [member.filename for member in members]
    assert names == sorted(names)
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.compress_type for member in members} == {zipfile.ZIP_DEFLATED}
    assert not any("personality" in name or "subject-info" in name for name in names)
    assert not any("original_song_audio" in name for name in names)


@pytest.mark.parametrize("file", [HKU_ZIP, STRESS_ZIP, TAGS], ids=lambda file: file.name)
def test_readme_gives_the_hash_and_a_licence_is_beside_each_file(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest in (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert (file.parent / "LICENSE.md").is_file()


@pytest.mark.parametrize("window", [(0.0, 25.0), "end", None])
@pytest.mark.parametrize(
    ("load", "archive", "folder"),
    [
        (load_hku956, HKU_ZIP, "hku956"),
        (load_induced_stress, STRESS_ZIP, "physionet_wearable_stress"),
    ],
)
def test_archive_and_original_folder_give_the_same(load, archive, folder, window):
    place = original(folder)
    assert_same(load(archive, window=window), load(place, window=window))


def test_samples_are_those_of_the_file(hku):
    with zipfile.ZipFile(HKU_ZIP) as opened:
        lines = opened.read(f"{SIGNALS}/hku1903/EDA/0_262957.csv").decode().split()
    row = hku.trials[(hku.trials["subject"] == "hku1903") & (hku.trials["trial"] == 0)].iloc[0]
    assert row["stimulus"] == "262957"
    assert row["eda"].tolist() == [float(line) for line in lines[:100]]


def test_duration_is_the_length_of_the_whole_file_in_hku956(hku):
    with zipfile.ZipFile(HKU_ZIP) as opened:
        for row in hku.trials.itertuples():
            name = f"{SIGNALS}/{row.subject}/EDA/{row.trial}_{row.stimulus}.csv"
            assert row.duration == len(opened.read(name).split()) / 4
    assert (hku.trials["duration"].min(), hku.trials["duration"].max()) == (27, 329)


def test_duration_is_the_time_between_the_tags_of_the_stage_in_induced_stress(stress):
    tags_of = {
        "S": [(1, 2), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (9, 10), (11, 12)],
        "f": [(2, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)],
    }
    with zipfile.ZipFile(STRESS_ZIP) as opened:
        for subject, rows in stress.trials.groupby("subject"):
            folder = "f14_b" if subject == "f14" else subject
            lines = opened.read(f"{PEOPLE}/{folder}/tags.csv").decode().split("\n")
            tags = [datetime.fromisoformat(line.strip()) for line in lines if line.strip()]
            expected = [
                (tags[end - 1] - tags[begin - 1]).total_seconds()
                for begin, end in tags_of[subject[0]]
            ]
            assert rows["duration"].tolist() == expected
    by_stage = stress.trials.groupby(stress.targets["task"])["duration"].agg(["min", "max"])
    assert by_stage.loc["rest"].tolist() == [163, 1169]
    assert by_stage.loc["task"].tolist() == [26, 452]


@LOADERS
def test_duration_is_of_the_whole_trial_whatever_the_window(load):
    whole = load(window=None).trials
    assert whole["duration"].dtype == np.float64
    assert whole["duration"].tolist() == [len(eda) / 4 for eda in whole["eda"]]
    for window in ((5, 20), "end"):
        pd.testing.assert_series_equal(load(window=window).trials["duration"], whole["duration"])


def test_whole_trials_last_as_long_as_they_were_played():
    with zipfile.ZipFile(HKU_ZIP) as opened, opened.open("3. AV_ratings.csv") as file:
        ratings = pd.read_csv(file).set_index(["participant_id", "song_no"])
    trials = load_hku956(HKU_ZIP, window=None).trials
    keys = zip(trials["subject"], trials["trial"], strict=True)
    played = [ratings.loc[key, "play_duration"] for key in keys]
    assert [len(eda) / 4 for eda in trials["eda"]] == played


# Development people


@pytest.mark.parametrize(("name", "n"), [("hku", 15), ("stress", 18)])
def test_development_people_are_the_drawn_half(name, n, request):
    data = request.getfixturevalue(name)
    people = sorted(set(data.trials["subject"]))
    drawn = np.random.default_rng(20261120).permutation(people)[: len(people) // 2]
    assert data.development == tuple(sorted(drawn))
    assert len(data.development) == n == len(people) - n


def keyed(data):
    """Every trial's samples, ratings and targets by subject and trial; columns side by side."""
    targets = pd.DataFrame(data.targets).add_prefix("target_")
    table = pd.concat([data.trials, data.ratings, targets], axis=1)
    assert len(table) == len(data.trials) == len(data.ratings)
    return table.assign(eda=[eda.tobytes() for eda in table["eda"]]).set_index(["subject", "trial"])


@pytest.mark.parametrize("name", ["hku", "stress"])
def test_development_and_reported_people_share_nobody_and_are_everybody(name, request):
    data = request.getfixturevalue(name)
    development, reported = (select_people(data, who) for who in ("development", "evaluation"))
    assert set(development.trials["subject"]) == set(data.development)
    assert not set(reported.trials["subject"]) & set(data.development)
    assert len(development.trials) + len(reported.trials) == len(data.trials)
    whole = keyed(data)
    for part in (development, reported):
        for aligned in (part.trials, part.ratings, *part.targets.values()):
            assert aligned.index.equals(pd.RangeIndex(len(part.trials)))
        rows = keyed(part)
        pd.testing.assert_frame_equal(rows, whole[whole.index.isin(rows.index)])
    assert select_people(data, "all") is data


def test_what_is_not_about_people_is_kept_and_the_selection_is_told(hku):
    before = keyed(hku)
    part = select_people(hku, "development")
    assert set(part) == set(hku)
    cut = {"trials", "ratings", "targets", "report", "DESCR"}
    assert all(part[key] is hku[key] for key in set(hku) - cut)
    told = f"Only the development people: 15 of 30, {len(part.trials)} of 956 trials."
    assert part.report["selected"] == told
    assert part.DESCR.startswith(hku.DESCR)
    assert told in part.DESCR
    assert "selected" not in hku.report
    pd.testing.assert_frame_equal(keyed(hku), before)


def test_without_a_list_of_development_people_all_are_reported(ramps):
    ratings = pd.DataFrame({"valence": [1.0, 2.0, 3.0]}, index=ramps.index)
    own = Bunch(trials=ramps, ratings=ratings, targets={"valence": ratings["valence"]})
    assert keyed(select_people(own, "evaluation")).equals(keyed(own))
    with pytest.raises(ValueError, match="no development people among its 2"):
        select_people(own, "development")


def test_people_are_chosen_by_three_words(hku):
    with pytest.raises(ValueError, match="people"):
        select_people(hku, "hku1903")
    with pytest.raises(ValueError, match="study"):
        select_people(hku.trials, "all")


# Known faults of the induced-stress recordings


def test_s02_row_6195_is_where_its_signal_begins_again():
    with zipfile.ZipFile(STRESS_ZIP) as opened:
        rows = opened.read(f"{PEOPLE}/S02/EDA.csv").decode().splitlines()
    assert rows[2:][:6192] == rows[6194:]


def test_s02_samples_from_row_6195_on_are_dropped(stress, small_stress):
    assert any("S02: 6192 samples" in note for note in stress.report["notes"])
    small = load_induced_stress(small_stress, allow_partial=True)
    assert any("S02: 8 samples" in note for note in small.report["notes"])


def test_s02_stage_in_the_duplicated_signal_is_an_error(small_stress):
    # 6192 samples are 1548 s, from 18:00:00 to 18:25:48.
    late = TAGS_13.replace("18:05:40", "18:25:49").replace("18:06:10", "18:26:10")
    write(small_stress, {f"{PEOPLE}/S02/tags.csv": late, f"{PEOPLE}/S02/EDA.csv": e4(12384)})
    with pytest.raises(DatasetError, match=r"S02/EDA\.csv.*Subtract"):
        load_induced_stress(small_stress, allow_partial=True)


def test_f07_is_kept_and_its_sensor_dock_reported(stress):
    assert (stress.trials["subject"] == "f07").sum() == 6
    assert any("f07" in note and "dock" in note for note in stress.report["notes"])


def test_f14_is_read_from_its_second_part(stress, small_stress):
    assert any("f14_b" in note and "f14_a" in note for note in stress.report["notes"])
    small = load_induced_stress(small_stress, allow_partial=True)
    f14 = small.trials[small.trials["subject"] == "f14"]
    # In f14_b TMCT runs from tag 2, 40 s after its start: sample 160, of value 0.160.
    assert f14.iloc[0]["eda"][0] == 0.160
    assert f14["session_time"].tolist() == [40, 70, 100, 160, 190, 220]
    shutil.rmtree(small_stress / PEOPLE / "f14_a")
    assert_same(load_induced_stress(small_stress, allow_partial=True), small)


# Windows


@pytest.fixture
def ramps():
    """Trials of 20, 26 and 30 s at 4 Hz whose samples count from 0."""
    lengths = [80, 104, 120]
    table = pd.DataFrame(
        {
            "subject": ["a", "a", "b"],
            "stimulus": ["x", "y", "x"],
            "trial": [0, 1, 0],
            "eda": pd.Series([np.arange(n, dtype=float) for n in lengths], dtype=object),
        }
    )
    return table.set_index(pd.Index([7, 8, 9]))


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((0, 20), [(0, 79), (0, 79), (0, 79)]),
        ((2.5, 10.0), [(10, 39), (10, 39), (10, 39)]),
        (None, [(0, 79), (0, 103), (0, 119)]),
    ],
)
def test_window_takes_the_samples_from_start_up_to_stop(ramps, window, expected):
    cut = cut_window(ramps, 4.0, window)
    assert [(eda[0], eda[-1]) for eda in cut["eda"]] == expected
    assert list(cut.index) == [7, 8, 9]


def test_window_end_takes_the_last_25_seconds(ramps):
    cut = cut_window(ramps.loc[[8, 9]], 4.0, "end")
    assert [(eda[0], eda[-1], len(eda)) for eda in cut["eda"]] == [(4, 103, 100), (20, 119, 100)]


@pytest.mark.parametrize("window", [(0, 25), (5, 25), "end"])
def test_a_trial_of_exactly_25_seconds_fits_and_one_sample_fewer_does_not(window):
    cells = pd.Series([np.zeros(100), np.zeros(99), np.zeros(101)], dtype=object)
    with pytest.warns(UserWarning, match="1 of 3 trials"):
        cut = cut_window(pd.DataFrame({"eda": cells}), 4.0, window)
    assert list(cut.index) == [0, 2]


def test_too_short_trials_are_left_out_with_one_warning_that_names_them(ramps):
    with pytest.warns(UserWarning) as caught:
        cut = cut_window(ramps, 4.0, (0, 28))
    assert list(cut.index) == [9]
    assert len(caught) == 1
    said = str(caught[0].message)
    assert "2 of 3 trials" in said
    assert "subject a, stimulus x, trial 0" in said
    assert "subject a, stimulus y, trial 1" in said


def test_warning_names_only_the_first_few(ramps):
    many = pd.concat([ramps.iloc[[0]]] * 50 + [ramps.iloc[[2]]], ignore_index=True)
    many["trial"] = range(51)
    with pytest.warns(UserWarning, match="50 of 51") as caught:
        assert len(cut_window(many, 4.0, "end")) == 1
    said = str(caught[0].message)
    assert "trial 0" in said
    assert "trial 49" not in said


def test_no_trial_long_enough_is_an_error(ramps):
    with pytest.raises(ValueError, match="shorter than the window"):
        cut_window(ramps, 4.0, (0, 31))


@pytest.mark.parametrize(
    "window",
    [
        (5, 5),
        (10, 5),
        (-1, 5),
        (0, float("inf")),
        (float("nan"), 5),
        (0, True),
        ("0", "5"),
        (0, 5, 10),
        5,
        "start",
        "",
        (1.0, 1.01),
    ],
)
def test_window_that_makes_no_sense_is_an_error(ramps, window):
    with pytest.raises(ValueError, match="window"):
        cut_window(ramps, 4.0, window)


@pytest.mark.parametrize("rate", [0, -4, float("nan"), True, "4"])
def test_sampling_rate_must_be_a_positive_number(ramps, rate):
    with pytest.raises(ValueError, match="sampling_rate"):
        cut_window(ramps, rate, "end")


def test_cut_window_needs_1d_cells_in_a_column_eda(ramps):
    with pytest.raises(ValueError, match="column 'eda'"):
        cut_window(ramps.drop(columns="eda"), 4.0, None)
    ramps["eda"] = pd.Series([np.zeros(4), np.zeros((3, 4)), np.zeros(4)], index=ramps.index)
    with pytest.raises(ValueError, match=r"row 1 \(subject a, stimulus y.*1-D"):
        cut_window(ramps, 4.0, None)


@pytest.mark.parametrize("window", [(0, 15), "end", None])
def test_cells_share_no_memory_with_the_whole_trial(ramps, window):
    whole = ramps.loc[[8, 9]]
    before = [eda.copy() for eda in whole["eda"]]
    cut = cut_window(whole, 4.0, window)
    for eda, old in zip(cut["eda"], whole["eda"], strict=True):
        assert eda.base is None
        assert not np.shares_memory(eda, old)
        eda[:] = -1
    for old, kept in zip(whole["eda"], before, strict=True):
        np.testing.assert_array_equal(old, kept)


@pytest.mark.parametrize("window", [(0, 25), (3, 9), "end"])
def test_what_is_outside_the_window_has_no_influence(window):
    rng = np.random.default_rng(0)
    whole = [rng.normal(size=n) for n in (104, 300, 131)]
    if window == "end":
        first = [len(eda) - 100 for eda in whole]
        last = [len(eda) for eda in whole]
    else:
        first, last = [4 * window[0]] * 3, [4 * window[1]] * 3
    altered, shortened = [], []
    for eda, a, b in zip(whole, first, last, strict=True):
        other = np.full(len(eda), np.nan)
        other[a:b] = eda[a:b]
        altered.append(other)
        shortened.append(eda[a:] if window == "end" else eda[:b])

    def cut(cells):
        table = pd.DataFrame({"eda": pd.Series(cells, dtype=object)})
        return [eda.tobytes() for eda in cut_window(table, 4.0, window)["eda"]]

    assert cut(altered) == cut(whole)
    assert cut(shortened) == cut(whole)


def test_samples_after_25_seconds_do_not_change_what_hku956_loads(small_hku):
    before = load_hku956(small_hku, allow_partial=True)
    for name, n in {"2_77": 124, "10_77": 160}.items():
        file = small_hku / SIGNALS / "hku0001" / "EDA" / f"{name}.csv"
        kept = file.read_text().splitlines()[:100]
        file.write_text("\n".join(kept + ["9.9"] * (n - 100)) + "\n")
    assert_same(load_hku956(small_hku, allow_partial=True), before)


def test_samples_after_25_seconds_do_not_change_what_induced_stress_loads(small_stress):
    before = load_induced_stress(small_stress, allow_partial=True)
    # In f07 Second Rest runs from tag 7 at 190 s to tag 8 at 220 s: alter 215 to 220 s.
    file = small_stress / PEOPLE / "f07" / "EDA.csv"
    lines = file.read_text().splitlines()
    lines[2 + 4 * 215 : 2 + 4 * 220] = ["9.9"] * 20
    file.write_text("\n".join(lines) + "\n")
    assert_same(load_induced_stress(small_stress, allow_partial=True), before)
    changed = load_induced_stress(small_stress, allow_partial=True, window="end")
    f07 = changed.trials[changed.trials["subject"] == "f07"].set_index("stimulus")["eda"]
    assert f07["Second Rest"][-20:].tolist() == [9.9] * 20


def test_trials_left_out_are_reported_and_their_ratings_go_with_them(small_hku):
    with pytest.warns(UserWarning, match="2 of 4 trials"):
        data = load_hku956(small_hku, window=(0, 31), allow_partial=True)
    keys = data.trials[["subject", "trial"]].to_numpy().tolist()
    assert keys == [["hku0001", 2], ["hku0001", 10]]
    assert data.ratings["valence"].tolist() == [-0.1, 0]
    assert data.targets["arousal"].tolist() == [0, 1.5]
    assert isinstance(data.trials.index, pd.RangeIndex)
    left_out = data.report["left_out"]
    assert left_out[["subject", "stimulus", "trial"]].to_numpy().tolist() == [
        ["hku0001", "5", 1],
        ["hku0002", "77", 0],
    ]
    assert left_out["duration"].tolist() == [27, 30]
    assert data.trials["duration"].tolist() == [31, 40]
    assert (data.report["trials"], data.report["trials_kept"]) == (4, 2)
    assert set(data.music.index) == {"5", "77"}


def test_a_longer_window_leaves_out_stages_that_are_shorter():
    with pytest.warns(UserWarning) as caught:
        data = load_induced_stress(STRESS_ZIP, window=(0, 60))
    assert len(caught) == 1
    # Rests, TMCT and Stroop last longer than that; opinions and subtraction, but one, do not.
    # The one is the subtraction of f15: tags 8 and 9 are 65 s apart.
    short = data.report["left_out"]
    assert set(short["stimulus"]) == {"Real Opinion", "Opposite Opinion", "Subtract"}
    assert len(short) == 36 * 3 - 1
    assert len(data.trials) == 252 - len(short)
    assert {len(eda) for eda in data.trials["eda"]} == {240}


# Small corpora, and where corpora are looked for


def test_small_hku_corpus_is_read_as_written(small_hku):
    data = load_hku956(small_hku, window=None, allow_partial=True)
    keys = data.trials[["subject", "stimulus", "trial"]].to_numpy().tolist()
    assert keys == [
        ["hku0001", "5", 1],
        ["hku0001", "77", 2],
        ["hku0001", "77", 10],
        ["hku0002", "77", 0],
    ]
    assert [len(eda) for eda in data.trials["eda"]] == [108, 124, 160, 120]
    assert [eda[1] for eda in data.trials["eda"]] == [0.001, 1.001, 2.001, 3.001]
    assert data.ratings["valence"].tolist() == [4, -0.1, 0, -9.5]
    assert data.ratings["arousal"].tolist() == [-3, 0, 1.5, 9.9]
    tags = ["genre---pop", "genre---rock", "mood/theme---dark", "no_tags"]
    assert list(data.music.columns) == tags
    assert data.music.loc["77"].tolist() == [0, 1, 1, 0]
    assert data.music.loc["5"].tolist() == [0, 0, 0, 1]
    assert data.report["repeat_listens"] == 1


def test_small_stress_corpus_is_read_as_written(small_stress):
    data = load_induced_stress(small_stress, window=None, allow_partial=True)
    s02 = data.trials[data.trials["subject"] == "S02"].set_index("stimulus")
    # Tags are 30 s apart from 10 s on; Opposite Opinion begins at tag 9, Subtract at tag 11.
    onsets = [10, 70, 100, 130, 160, 190, 250, 310]
    assert s02["session_time"].tolist() == onsets
    assert [eda[0] for eda in s02["eda"]] == [onset * 4 / 1000 for onset in onsets]
    assert {len(eda) for eda in s02["eda"]} == {120}
    assert data.ratings["stress"].tolist()[:8] == [2, 4, 2, 2, 2, 4, 5, 10]


def test_folder_with_a_space_in_physiological_signals_is_read(small_hku):
    # The corpus's README writes the name so.
    expected = load_hku956(small_hku, allow_partial=True)
    (small_hku / SIGNALS).rename(small_hku / "1. physiological signals")
    assert_same(load_hku956(small_hku, allow_partial=True), expected)


def test_hidden_files_of_the_operating_system_are_passed_over(small_hku):
    write(small_hku, {f"{SIGNALS}/hku0001/EDA/.DS_Store": b"\x00\xff"})
    assert len(load_hku956(small_hku, allow_partial=True).trials) == 4


@pytest.mark.parametrize("form", ["folder", "zip", "zip in folder"])
def test_edaemo_data_is_looked_in_before_the_repository(
    form, small_hku, small_stress, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    for name, folder in (("hku956", small_hku), ("induced_stress", small_stress)):
        if form == "folder":
            shutil.copytree(folder, home / name)
        else:
            target = home / name if form == "zip in folder" else home
            target.mkdir(parents=True, exist_ok=True)
            zipped(folder, target / f"{name}.zip")
    monkeypatch.setenv("EDAEMO_DATA", str(home))
    assert len(load_hku956(allow_partial=True).trials) == 4
    assert len(load_induced_stress(allow_partial=True).trials) == 8 + 6 + 6


def test_music_tags_are_looked_for_in_edaemo_data(small_hku, tmp_path, monkeypatch):
    (small_hku / "hku956_songs_tags.tsv").unlink()
    place = "hku956_mtg_jamendo_tags/hku956_songs_tags.tsv"
    write(tmp_path / "home", {place: HKU_TAGS.replace("genre---rock", "genre---jazz")})
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path / "home"))
    music = load_hku956(small_hku, allow_partial=True).music
    assert music.loc["77", "genre---jazz"] == 1


def test_edaemo_data_without_the_corpus_leads_on_to_the_repository(tmp_path, monkeypatch, hku):
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path))
    assert_same(load_hku956(), hku)


def test_without_music_tags_music_is_none_and_a_warning_says_so(small_hku, tmp_path, monkeypatch):
    monkeypatch.setattr(_corpus, "REPOSITORY_DATA", tmp_path / "gone")
    (small_hku / "hku956_songs_tags.tsv").unlink()
    with pytest.warns(UserWarning, match="No music tags"):
        data = load_hku956(small_hku, allow_partial=True)
    assert data.music is None
    assert data.report["tags_source"] is None
    assert len(data.trials) == 4


@LOADERS
def test_file_that_is_no_zip_is_named(load, tmp_path, monkeypatch):
    (tmp_path / "junk.zip").write_bytes(b"\x00\x01junk")
    with pytest.raises(DatasetError, match=r"junk\.zip is not a readable zip"):
        load(tmp_path / "junk.zip")
    name = "hku956.zip" if load is load_hku956 else "induced_stress.zip"
    (tmp_path / name).write_bytes(HKU_ZIP.read_bytes()[:100_000])
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=name):
        load()


def test_damaged_member_of_a_zip_is_named(small_hku, tmp_path):
    archive = zipped(small_hku, tmp_path / "corpus.zip")
    content = archive.read_bytes()
    assert content.count(b"2.003000") == 1
    archive.write_bytes(content.replace(b"2.003000", b"2.004000"))
    with pytest.raises(DatasetError, match=r"10_77\.csv.*unpacked"):
        load_hku956(archive, allow_partial=True)


def test_dataset_error_is_a_value_error():
    assert issubclass(DatasetError, ValueError)


# Parts of a corpus


def test_part_of_hku956_is_an_error_that_says_what_is_missing(small_hku):
    with pytest.raises(DatasetError) as caught:
        load_hku956(small_hku)
    for words in ("2 of 30 people", "4 of 956 trials", "2 of 592 songs", "allow_partial=True"):
        assert words in str(caught.value)


def test_part_of_induced_stress_is_an_error_that_says_what_is_missing(small_stress):
    with pytest.raises(DatasetError) as caught:
        load_induced_stress(small_stress)
    for words in ("3 of 36 people", "20 of 252 stages", "7 of 90 rest", "allow_partial=True"):
        assert words in str(caught.value)


def test_people_without_any_recording_are_named(small_hku, small_stress):
    for load, root, person, rest in (
        (load_hku956, small_hku, f"{SIGNALS}/hku0001", {"hku0002"}),
        (load_induced_stress, small_stress, f"{PEOPLE}/f07", {"S02", "f14"}),
    ):
        shutil.rmtree(root / person)
        name = person.split("/")[-1]
        with pytest.raises(DatasetError, match=name):
            load(root)
        data = load(root, allow_partial=True)
        assert set(data.trials["subject"]) == rest
        assert data.report["people_without_recording"] == [name]


def test_original_without_one_person_is_a_part(tmp_path):
    with zipfile.ZipFile(HKU_ZIP) as whole, zipfile.ZipFile(tmp_path / "part.zip", "w") as part:
        for name in whole.namelist():
            if "/hku1910/" not in name:
                part.writestr(name, whole.read(name))
    with pytest.raises(DatasetError, match=r"29 of 30 people, 927 of 956 trials.*hku1910"):
        load_hku956(tmp_path / "part.zip")
    assert len(load_hku956(tmp_path / "part.zip", allow_partial=True).trials) == 956 - 29


@LOADERS
def test_corpus_without_any_recording_is_an_error_even_as_a_part(load, small_hku, small_stress):
    root, signals = (
        (small_hku, SIGNALS) if load is load_hku956 else (small_stress, "Wearable_Dataset")
    )
    shutil.rmtree(root / signals)
    with pytest.raises(DatasetError, match="holds no"):
        load(root, allow_partial=True)


# Bad files

RATINGS = "3. AV_ratings.csv"
BAD_HKU = {
    "binary junk": (FIRST, bytes(range(256)), r"1_5\.csv.*not a text file"),
    "empty file": (FIRST, "", r"1_5\.csv.*is empty"),
    "truncated file": (FIRST, ramp(50), r"1_5\.csv.*50 samples.*27 s"),
    "too long a file": (FIRST, ramp(109), r"1_5\.csv.*109 samples"),
    "text for a number": (FIRST, "0.1\nsensor off\n" + ramp(106), r"1_5\.csv.*line 2.*sensor off"),
    "nan": (FIRST, ramp(107) + "nan\n", r"1_5\.csv.*line 108.*nan"),
    "infinity": (FIRST, "inf\n" + ramp(107), r"1_5\.csv.*line 1\b.*inf"),
    "blank line": (FIRST, "0.1\n\n" + ramp(106), r"1_5\.csv.*line 2"),
    "two columns": (FIRST, "0.1,0.2\n" * 108, r"1_5\.csv.*line 1"),
    "foreign name": (f"{SIGNALS}/hku0001/EDA/notes.csv", "1", r"hku0001/EDA/notes\.csv"),
    "foreign file": (f"{SIGNALS}/hku0001/notes.txt", "1", r"hku0001/notes\.txt"),
    "foreign folder": (f"{SIGNALS}/other/EDA/0_5.csv", "1", r"other/EDA/0_5\.csv"),
    "no rating": (f"{SIGNALS}/hku0002/EDA/3_5.csv", ramp(108), r"hku0002/EDA/3_5\.csv.*no rating"),
    "same trial twice": (f"{SIGNALS}/hku0001/EDA/1_77.csv", ramp(108), "the person and song_no of"),
    "no table": (RATINGS, "hello\n", r"AV_ratings\.csv.*lacks the columns"),
    "junk for ratings": (RATINGS, b"\xff\xfe\x00", r"AV_ratings\.csv.*not a text file"),
    "open quote": (RATINGS, HKU_RATINGS + '"hku0002,', r"AV_ratings\.csv.*not a comma-separated"),
    "short row": (RATINGS, HKU_RATINGS + "hku0002,1\n", r"AV_ratings\.csv.*line 6"),
    "missing rating": (
        RATINGS,
        HKU_RATINGS.replace(",-9.5,", ",,"),
        r"AV_ratings\.csv.*valence_rating of participant_id hku0002, song_no 0",
    ),
    "rating out of range": (RATINGS, HKU_RATINGS.replace("-9.5", "-10.5"), r"AV_ratings.*hku0002"),
    "rated twice": (
        RATINGS,
        HKU_RATINGS + "hku0002,0,5,1,positive,1,positive,30\n",
        r"AV_ratings\.csv.*two ratings of participant_id hku0002, song_no 0",
    ),
    "song is another": (RATINGS, HKU_RATINGS.replace("hku0001,1,5,", "hku0001,1,6,"), r"1_5\.csv"),
    "song_no no number": (RATINGS, HKU_RATINGS.replace("hku0002,0,", "hku0002,x,"), "AV_ratings"),
    "duration is another": (RATINGS, HKU_RATINGS.replace("negative,27", "negative,28"), r"1_5\.cs"),
    "tags are no tags": ("hku956_songs_tags.tsv", "a\tb\n1\t2\n", "hku956_songs_tags"),
    "line without tags": (
        "hku956_songs_tags.tsv",
        HKU_TAGS + "track_0000005\ta\tb\tc\t1.0\n",
        r"hku956_songs_tags\.tsv.*line 4",
    ),
    "track twice": ("hku956_songs_tags.tsv", HKU_TAGS * 2, r"hku956_songs_tags\.tsv"),
}


@pytest.mark.parametrize("case", BAD_HKU)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_bad_file_of_hku956_is_named(case, form, small_hku, tmp_path):
    file, content, message = BAD_HKU[case]
    place = write(small_hku, {file: content})
    if form == "zip":
        place = zipped(place, tmp_path / "corpus.zip")
    with pytest.raises(DatasetError, match=message) as caught:
        load_hku956(place, allow_partial=True)
    assert str(place) in str(caught.value)


def test_rating_without_its_file_is_an_error_even_in_a_part(small_hku):
    (small_hku / FIRST).unlink()
    with pytest.raises(DatasetError, match=r"hku0001/EDA/1_5\.csv.*is missing"):
        load_hku956(small_hku, allow_partial=True)


F07 = f"{PEOPLE}/f07"
BAD_STRESS = {
    "binary junk": (f"{F07}/EDA.csv", bytes(range(256)), r"f07/EDA\.csv.*not a text file"),
    "empty file": (f"{F07}/EDA.csv", "", r"f07/EDA\.csv.*is empty"),
    "only a header": (f"{F07}/EDA.csv", "2013-02-20 18:00:00\r\n4.0\r\n", r"f07/EDA\.csv.*short"),
    "truncated file": (f"{F07}/EDA.csv", e4(800), r"f07/EDA\.csv.*200 s.*Second Rest of f07"),
    "other rate": (f"{F07}/EDA.csv", e4(1100).replace("4.0", "8.0", 1), r"f07/EDA\.csv.*8 Hz"),
    "no rate": (f"{F07}/EDA.csv", e4(1100).replace("4.0", "four", 1), r"f07/EDA\.csv.*four"),
    "no start": (f"{F07}/EDA.csv", e4(1100, "once"), r"f07/EDA\.csv.*once"),
    "late start": (f"{F07}/EDA.csv", e4(1100, "2013-02-20 18:00:50"), r"f07/EDA\.csv.*TMCT of f07"),
    "text for a number": (f"{F07}/EDA.csv", e4(9) + "off\n" + ramp(1100), r"f07/EDA.*line 12.*off"),
    "nan": (f"{F07}/EDA.csv", e4(1100) + "nan\n", r"f07/EDA\.csv.*nan"),
    "too few tags": (f"{F07}/tags.csv", TAGS_9[:-21], r"f07/tags\.csv.*8 tags.*9"),
    "too many tags": (f"{F07}/tags.csv", TAGS_13, r"f07/tags\.csv.*13 tags.*9"),
    "too few tags in V1": (f"{PEOPLE}/S02/tags.csv", TAGS_9, r"S02/tags\.csv.*9 tags.*13"),
    "no tags": (f"{F07}/tags.csv", "", r"f07/tags\.csv.*is empty"),
    "no time": (f"{F07}/tags.csv", TAGS_9.replace("2013-02-20 18:00:40", "x"), r"f07/tags.*line 2"),
    "disorder": (f"{F07}/tags.csv", TAGS_9.replace("18:00:40", "18:09:00"), r"f07/tags\.csv"),
    "mixed zones": (f"{F07}/tags.csv", TAGS_9.replace("\r", "+00:00\r"), r"f07/tags.*time zone"),
    "foreign file": (f"{F07}/notes.txt", "hello", r"f07/notes\.txt"),
    "foreign folder": (f"{PEOPLE}/X01/EDA.csv", e4(1100), r"X01/EDA\.csv"),
    "part of another": (f"{PEOPLE}/S03_b/EDA.csv", e4(1100), r"S03_b/EDA\.csv"),
    "no ratings": (f"{PEOPLE}/f01/EDA.csv", e4(1100), r"Stress_Level_v2\.csv.*f01"),
    "missing rating": (
        "Stress_Level_v1.csv",
        STRESS_V1.replace("10.00", ""),
        r"Stress_Level_v1\.csv.*S02 in Subtract",
    ),
    "rating out of range": (
        "Stress_Level_v1.csv",
        STRESS_V1.replace("10.00", "10.50"),
        r"Stress_Level_v1\.csv.*S02 in Subtract",
    ),
    "rated twice": ("Stress_Level_v2.csv", STRESS_V2 + "f07,1,1,1,1,1,1,1\r\n", r"_v2\.csv.*f07"),
    "stage without ratings": (
        "Stress_Level_v2.csv",
        STRESS_V2.replace("TMCT", "Maths"),
        r"Stress_Level_v2\.csv.*TMCT",
    ),
    "junk for ratings": ("Stress_Level_v2.csv", b"\xff\xfe\x00", r"_v2\.csv.*not a text file"),
}


@pytest.mark.parametrize("case", BAD_STRESS)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_bad_file_of_induced_stress_is_named(case, form, small_stress, tmp_path):
    file, content, message = BAD_STRESS[case]
    place = write(small_stress, {file: content})
    if form == "zip":
        place = zipped(place, tmp_path / "corpus.zip")
    with pytest.raises(DatasetError, match=message) as caught:
        load_induced_stress(place, allow_partial=True)
    assert str(place) in str(caught.value)


@pytest.mark.parametrize("file", [f"{F07}/EDA.csv", f"{F07}/tags.csv", "Stress_Level_v2.csv"])
def test_missing_file_of_induced_stress_is_named(file, small_stress):
    (small_stress / file).unlink()
    with pytest.raises(DatasetError, match=rf"{file}.*is missing"):
        load_induced_stress(small_stress, allow_partial=True)


def test_one_error_says_all_that_is_wrong_with_hku956(small_hku):
    ratings = HKU_RATINGS.replace("-9.5", "-10.5").replace(",1.5,", ",x,").replace("27", "28")
    ratings += "hku0001,2,77,1,x,1,x,31\nhku0003,a,77,1,x,1,x,31\nhku0001,3,9,1,x,1,x,31\n"
    write(
        small_hku,
        {
            RATINGS: ratings,
            f"{SIGNALS}/hku0001/EDA/2_77.csv": "0.1\noff\n",
            f"{SIGNALS}/hku0002/EDA/4_5.csv": ramp(108),
            f"{SIGNALS}/hku0002/EDA/notes.csv": "1",
            f"{SIGNALS}/hku0002/EDA/4_6.csv": "",
            "hku956_songs_tags.tsv": HKU_TAGS + "x\ty\n" + HKU_TAGS.splitlines()[1] + "\n",
        },
    )
    assert_patterns(
        problems_of(load_hku956, small_hku, allow_partial=True),
        [
            r"has the rating -10\.5 for participant_id hku0002, song_no 0, outside",
            r"arousal_rating of participant_id hku0001, song_no 10, got 'x'",
            r"hku0001/EDA/1_5\.csv has 108 samples.*28 s",
            r"two ratings of participant_id hku0001, song_no 2",
            r"not a whole number: hku0003, 'a', '77'",
            r"hku0001/EDA/3_9\.csv is missing, although",
            r"hku0001/EDA/2_77\.csv needs a finite number as line 2, got 'off'",
            r"hku0002/EDA/4_5\.csv has no rating",
            r"hku0002/EDA/notes\.csv is not a file of this corpus",
            r"hku0002/EDA/4_6\.csv has the person and song_no of",
            r"songs_tags\.tsv lacks a track with tags in line 4",
            r"songs_tags\.tsv repeats the track track_0000077 in line 5",
        ],
    )


def test_table_without_a_column_hides_nothing_else_of_hku956(small_hku):
    write(small_hku, {RATINGS: HKU_RATINGS.replace("arousal_rating", "excitement"), FIRST: "off"})
    assert_patterns(
        problems_of(load_hku956, small_hku, allow_partial=True),
        [r"lacks the columns \['arousal_rating'\]", r"1_5\.csv needs a finite number"],
    )


def test_one_error_says_all_that_is_wrong_with_induced_stress(small_stress):
    write(
        small_stress,
        {
            "Stress_Level_v1.csv": STRESS_V1.replace("10.00", "10.50").replace("5.00", "much"),
            "Stress_Level_v2.csv": STRESS_V2.replace("f14", "f15") + "f07,1,1,1,1,1,1,1\r\n",
            f"{PEOPLE}/S02/EDA.csv": e4(900),
            f"{F07}/EDA.csv": e4(1100).replace("4.0", "8.0", 1),
            f"{F07}/tags.csv": TAGS_9.replace("18:00:40", "never"),
            f"{PEOPLE}/f14_b/tags.csv": TAGS_9.replace("18:02:10", "18:01:40"),
            f"{PEOPLE}/X01/EDA.csv": "x",
            f"{PEOPLE}/S03_b/EDA.csv": "x",
        },
    )
    assert_patterns(
        problems_of(load_induced_stress, small_stress, allow_partial=True),
        [
            r"_v1\.csv has a stress of 10\.5 for S02 in Subtract",
            r"_v1\.csv needs a finite number as stress of S02 in Opposite Opinion, got 'much'",
            r"_v2\.csv has two rows of ratings for f07",
            r"_v2\.csv lacks ratings of f14",
            r"S02/EDA\.csv has 225 s of usable signal.*Opposite Opinion of S02",
            r"S02/EDA\.csv has 225 s of usable signal.*Subtract of S02",
            r"f07/EDA\.csv gives a sampling rate of 8 Hz",
            r"f07/tags\.csv has no time in line 2",
            r"f14_b/tags\.csv has a stage Real Opinion that does not last",
            r"X01/EDA\.csv is not a file of this corpus",
            r"S03_b/EDA\.csv is not in a folder",
        ],
    )


def test_one_file_too_few_among_whole_originals_is_named(tmp_path):
    gone = f"{SIGNALS}/hku1932/EDA/0_"
    with zipfile.ZipFile(HKU_ZIP) as whole, zipfile.ZipFile(tmp_path / "most.zip", "w") as most:
        for name in whole.namelist():
            if not name.startswith(gone):
                most.writestr(name, whole.read(name))
    with pytest.raises(DatasetError, match=r"hku1932/EDA/0_\d+\.csv"):
        load_hku956(tmp_path / "most.zip", allow_partial=True)


def test_whole_corpora_load_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_hku956(window="end")
        load_induced_stress(window="end")
