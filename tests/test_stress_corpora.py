"""Stress-Predict, Freihaut & Göritz, WESAD, CEAP-360VR, CASE: small corpora, and the originals."""

import gzip
import io
import json
import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score
from test_corpora import write

from edaemo.datasets import (
    DatasetError,
    load_case,
    load_ceap360vr,
    load_freihaut_goeritz,
    load_oxazepam_scr,
    load_stress_predict,
    load_wesad,
)

ORIGINALS = Path(__file__).parents[2] / "shared" / "data"


def original(folder):
    place = ORIGINALS / folder
    if not place.is_dir():
        pytest.skip(f"the original files of {folder} are not beside this checkout")
    return place


# Stress-Predict

PRESSES = [10, 30, 60, 100, 150, 210, 280]  # seconds from the start


def e4(n=1200):
    return "1644227574.000000\n4.000000\n" + "".join(f"{i / 1000:.6f}\n" for i in range(n))


def presses(times):
    return "".join(f"{1644227574 + time}\n" for time in times)


@pytest.fixture
def small_stress_predict(tmp_path):
    files = {
        "Processed_data/Time_logs.xlsx": "not read",
        "Raw_data/S02/EDA.csv": e4(),
        "Raw_data/S02/tags_S02.csv": presses([*PRESSES, 290, 299]),
        "Raw_data/S17/EDA.csv": e4(),
        "Raw_data/S17/tags_S17.csv": presses([-5, *PRESSES]),
        "Raw_data/S35/EDA.csv": e4(),
        "Raw_data/S35/tags_S35.csv": presses(PRESSES),
    }
    return write(tmp_path / "small_stress_predict", files)


def test_stress_predict_is_cut_at_its_tags(small_stress_predict):
    study = load_stress_predict(small_stress_predict, window=None, allow_partial=True)
    trials = study.trials
    assert trials["subject"].tolist() == ["S02"] * 7 + ["S35"] * 7
    assert trials["duration"].tolist() == [10, 20, 30, 40, 50, 60, 70] * 2
    assert trials["session_time"].tolist()[:7] == [0, *PRESSES[:-1]]
    tasks = ["rest", "task", "rest", "task", "rest", "task", "rest"]
    assert study.targets["task"].tolist() == tasks * 2
    # 4 samples per second, 0.001 more in each.
    assert_allclose(trials["eda"][1], np.arange(40, 120) / 1000)
    assert study.report["people"] == 2
    assert any(note.startswith("S17: left out: two tags") for note in study.report["notes"])
    with pytest.raises(DatasetError, match=r"found 3 of 35 people"):
        load_stress_predict(small_stress_predict)
    write(small_stress_predict, {"Raw_data/S35/tags_S35.csv": presses(PRESSES[:-1])})
    with pytest.raises(DatasetError, match=r"tags_S35\.csv .*has 6 tags"):
        load_stress_predict(small_stress_predict, allow_partial=True)


def test_tags_of_the_original_agree_with_the_time_table():
    calamine = pytest.importorskip("python_calamine")
    place = original("stress_predict")
    study = load_stress_predict(place)
    assert (len(study.trials), study.trials["subject"].nunique()) == (210, 30)
    assert study.targets["task"].value_counts().to_dict() == {"rest": 120, "task": 90}
    rows = calamine.CalamineWorkbook.from_path(place / "time.xlsx").get_sheet_by_index(0)
    table = {row[0]: row for row in rows.to_python()[2:]}
    # Columns of the start times, under their names in the first row.
    columns = {"Stroop": 8, "rest after Stroop": 10, "interview": 12, "hyperventilation": 16}
    for _, trial in study.trials[study.trials["stimulus"].isin(columns)].iterrows():
        row = table[trial["subject"]]
        with (place / trial["subject"] / "EDA.csv").open() as file:
            start = datetime.fromtimestamp(float(file.readline()), UTC)
        begins = start + timedelta(seconds=trial["session_time"])
        clock = row[columns[trial["stimulus"]]]
        minutes = begins.hour * 60 + begins.minute + begins.second / 60
        noted = clock.hour * 60 + clock.minute
        apart = abs((minutes - noted + 360) % 720 - 360)  # a clock of twelve hours
        assert apart < 4, (trial["subject"], trial["stimulus"], apart)


# Freihaut & Göritz

COLUMNS = "subject,trial,condition,task,onset,duration,heart_rate_difference,arousal,valence,stress"


@pytest.fixture
def small_freihaut(tmp_path):
    signals = io.BytesIO()
    np.savez(signals, fg02=np.arange(400, dtype=np.float32), fg01=np.ones(200, dtype=np.float32))
    lines = [
        f"{COLUMNS},development",
        "fg02,1,low,Drawing,50.0,20,,4,0,1,1",
        "fg02,0,high,DragDrop,10.26,12.5,0.0,3,2,,1",
        "fg01,0,low,FollowBox,0,50,0.0,1,2,3,0",
    ]
    files = {"eda_4hz.npz": signals.getvalue(), "trials.csv": "\n".join(lines) + "\n"}
    return write(tmp_path / "small_freihaut", files)


def test_freihaut_goeritz_is_cut_by_its_table(small_freihaut):
    study = load_freihaut_goeritz(small_freihaut, window=None, allow_partial=True)
    assert study.trials["subject"].tolist() == ["fg01", "fg02", "fg02"]
    assert study.trials["stimulus"].tolist() == ["FollowBox", "DragDrop", "Drawing"]
    assert_array_equal(study.trials["eda"][1], np.arange(41, 91))  # 10.26 to 22.76 s
    assert_array_equal(study.trials["eda"][2], np.arange(200, 280))
    assert study.targets["condition"].tolist() == ["low", "high", "low"]
    assert study.ratings["arousal"].tolist() == [1, 3, 4]
    assert_array_equal(study.ratings["stress"], [3, np.nan, 1])
    assert study.development == ("fg02",)
    with pytest.raises(DatasetError, match=r"2 of 52 people, 3 of 416 tasks"):
        load_freihaut_goeritz(small_freihaut)
    table = small_freihaut / "trials.csv"
    for old, new, said in (
        ("50.0,20,", "90.0,20,", r"line 2 from 90 to 110 s, but the session of fg02 lasts 100 s"),
        (",4,0,1,1", ",5,0,1,1", r"has 5 as arousal in line 2, outside 0 to 4"),
        ("fg01,0", "fg09,0", r"names 'fg09' in line 4"),
        (",low,Dr", ",mid,Dr", r"condition 'mid' in line 2"),
    ):
        text = table.read_text()
        table.write_text(text.replace(old, new))
        with pytest.raises(DatasetError, match=said):
            load_freihaut_goeritz(small_freihaut, allow_partial=True)
        table.write_text(text)


START = 1_558_079_565_000  # ms


@pytest.fixture
def freihaut_release(tmp_path):
    """Three people, one of whom did not finish, in the layout that the authors' code reads.

    Each task lasts 20 s, after 10 s of arithmetic and before 5 s of ratings. The resistance is 500
    in the block of high stress and 250 in that of low stress.
    """
    tasks = ["PointClick", "PatternTyping", "Drawing", "DragDrop", "FollowBox"]
    finished, now = {"UserId": START + 1000}, START + 1000
    pages = {"MetaData": {"physioDataId": "3CDPvC116", "condition": 0, "taskOrder": [{"phase": 1}]}}
    for block in ("HS", "LS"):
        for place, task in enumerate(tasks):
            for page, seconds in (
                (f"Mental_Arithmetic_{task}", 10),
                (task, 20),
                (f"SAM_{task}", 5),
            ):
                now += 1000 * seconds
                finished[f"{block}_{page}"] = now
            pages[f"{block}_SAM_{task}"] = {"samArousal": place, "samValence": 4 - place}
            pages[f"{block}_{task}"] = [{"x": 1, "y": 2, "timestamp": now}] * 3
        pages[f"{block}_Mdbf"] = {"stress": 4 if block == "HS" else 1, "MDBF_gut": 2}
    pages["phaseFinishedTimestamps"] = {**finished, "BfiNeuroticism": now + 2000}
    n = 20 * 360
    ticks = 621_355_968_000_000_000 + 10_000 * START + 500_000 * np.arange(n)
    resistance = np.where(np.arange(n) < 20 * 176, 500, 250)
    resistance[20 * 300 : 20 * 310] = 0
    lines = [f"{t};17.05.2019 09:52:45;{r}" for t, r in zip(ticks, resistance, strict=True)]
    table = "\n".join(["UniversalTimestamp;LocalTimestamp;EDA", *lines]) + "\n"
    people = {
        "uid3": {**pages, "phaseFinishedTimestamps": finished, "MetaData": {}},
        "uid2": {**pages, "MetaData": {"physioDataId": "V6TlsM319"}},
        "uid1": pages,
    }
    files = {
        "Datasets/Raw_Data_Experiment.json.gz": gzip.compress(json.dumps(people).encode()),
        "Datasets/Raw_Data_EDA/3CDPvC116.csv": table,
        "Datasets/Raw_Data_EDA/V6TlsM319.csv": table,
    }
    return write(tmp_path / "freihaut_release", files)


def test_the_release_of_freihaut_goeritz_is_cut_at_its_pages(freihaut_release):
    study = load_freihaut_goeritz(freihaut_release, window=None, allow_partial=True)
    trials = study.trials
    assert trials["subject"].tolist() == ["3CDPvC116"] * 8 + ["V6TlsM319"] * 8
    trials = trials[:8]
    assert trials["stimulus"].tolist() == ["PointClick", "Drawing", "DragDrop", "FollowBox"] * 2
    # PatternTyping, a task with the keyboard, is not read.
    assert trials["session_time"].tolist() == [11, 81, 116, 151, 186, 256, 291, 326]
    assert trials["duration"].tolist() == [20] * 8
    assert study.targets["condition"].tolist() == (["high"] * 4 + ["low"] * 4) * 2
    assert study.ratings["arousal"].tolist() == [0, 2, 3, 4] * 4
    assert study.ratings["valence"].tolist() == [4, 2, 1, 0] * 4
    assert study.ratings["stress"].tolist() == ([4] * 4 + [1] * 4) * 2
    assert (study.development, study.scored_once) == ((), ())
    assert set(trials["version"]) == {"high stress first"}
    for trial, eda in enumerate(trials["eda"]):
        missing = np.isnan(eda)
        assert_allclose(eda[~missing], 2.0 if trial < 4 else 4.0, rtol=1e-12)
        assert len(eda) == 80
        assert missing.sum() == (40 if trial == 6 else 0)  # 300 to 310 s
    with pytest.raises(DatasetError, match=r"2 of 53 people, 16 of 424 tasks"):
        load_freihaut_goeritz(freihaut_release)
    experiment = freihaut_release / "Datasets" / "Raw_Data_Experiment.json.gz"
    people = json.loads(gzip.decompress(experiment.read_bytes()))
    people["uid1"]["HS_SAM_Drawing"]["samArousal"] = 7
    people["uid2"]["MetaData"]["physioDataId"] = "other1"
    experiment.write_bytes(gzip.compress(json.dumps(people).encode()))
    with pytest.raises(DatasetError, match=r"(?s)has 7 as samArousal of 3CDPvC116.*outside 0 to 4"):
        load_freihaut_goeritz(freihaut_release, allow_partial=True)
    with pytest.raises(DatasetError, match="other1 has no file Raw_Data_EDA/other1"):
        load_freihaut_goeritz(freihaut_release)
    for bad, said in (
        (b"version https://git-lfs.github.com/spec/v1", r"is a pointer of Git LFS"),
        (gzip.compress(b"[1"), "is not a readable JSON file"),
        (b"{}", "is not a readable JSON file"),
    ):
        experiment.write_bytes(bad)
        with pytest.raises(DatasetError, match=said):
            load_freihaut_goeritz(freihaut_release)


def test_the_original_of_freihaut_goeritz_has_what_its_page_says():
    study = load_freihaut_goeritz(original("freihaut_goeritz"), window=None)
    trials, condition = study.trials, study.targets["condition"]
    assert (len(trials), trials["subject"].nunique()) == (416, 52)
    assert condition.value_counts().to_dict() == {"high": 208, "low": 208}
    first = condition[trials.groupby("subject")["trial"].idxmin()]
    assert first.value_counts().to_dict() == {"high": 29, "low": 23}
    assert trials["stimulus"].value_counts().to_dict() == dict.fromkeys(
        ["DragDrop", "FollowBox", "PointClick", "Drawing"], 104
    )


# WESAD


def wesad(order=(1, 2, 3), n=30, **changes):
    """A pickle with conditions of n seconds and transitions of 5 s between them."""
    labels = np.concatenate([np.repeat([0, label], [5 * 700, n * 700]) for label in order])
    seconds = len(labels) // 700
    wrist = {"EDA": np.arange(4.0 * seconds)[:, None], "ACC": np.zeros((seconds * 32, 3))}
    chest = {"EDA": np.arange(700 * seconds, dtype=np.float32)[:, None]}
    content = {
        "signal": {"chest": chest, "wrist": wrist},
        "label": labels.astype(np.int32),
        "subject": "S2",
    }
    return pickle.dumps({**content, **changes}, protocol=2)


@pytest.fixture
def small_wesad(tmp_path):
    files = {"S2/S2.pkl": wesad(), "S17/S17.pkl": wesad((1, 4, 3, 7, 2)), "S2/S2_quest.csv": "x"}
    return write(tmp_path / "small_wesad", files)


def test_wesad_is_cut_into_segments_of_its_conditions(small_wesad):
    study = load_wesad(small_wesad, segment=12, allow_partial=True)
    trials = study.trials
    assert trials["subject"].tolist() == ["S2"] * 6 + ["S17"] * 6
    assert trials["stimulus"].tolist()[:6] == ["baseline"] * 2 + ["stress"] * 2 + ["amusement"] * 2
    assert trials["stimulus"].tolist()[6:] == ["baseline"] * 2 + ["amusement"] * 2 + ["stress"] * 2
    assert trials["session_time"].tolist()[:6] == [5, 17, 40, 52, 75, 87]
    assert_array_equal(trials["eda"][3], np.arange(4 * 52, 4 * 64))
    assert study.sampling_rate == 4
    assert study.targets["condition"].tolist() == trials["stimulus"].tolist()
    whole = load_wesad(small_wesad, device="chest", segment=None, allow_partial=True)
    assert whole.sampling_rate == 700
    assert whole.trials["duration"].tolist() == [30] * 6
    assert_array_equal(whole.trials["eda"][0], np.arange(5 * 700, 35 * 700))


class Malicious:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wesad(subject=Malicious()), r"S2\.pkl .*(posix|nt)\.system, but only numpy arrays"),
        (wesad(signal={"chest": [1, 2]}), "does not hold a dict of arrays"),
        (wesad(signal={"chest": {}}), "has no signal of EDA of the wrist"),
        (wesad(label=np.ones(7000)), "but labels of 10 s: it may be truncated"),
        (wesad(order=(1, 3)), r"has no segment of \['stress'\]"),
        (wesad()[:5000], "is truncated or is not a pickle"),
        (b"text", "is truncated or is not a pickle"),
    ],
)
def test_wesad_that_is_damaged_or_runs_code_is_refused(small_wesad, content, said):
    write(small_wesad, {"S2/S2.pkl": content})
    with pytest.raises(DatasetError, match=said):
        load_wesad(small_wesad, segment=10, allow_partial=True)


# CEAP-360VR


def ceap(person, order):
    """The files of one person; EDA of the video n is n + i / 1000."""
    videos = [f"V{n}" for n in range(1, 9)]
    signals = [
        {
            "VideoID": f"V{n}",
            "EDA_RawData": [{"TimeStamp": i / 4, "EDA": n + i / 1000} for i in range(20)],
            "HR_RawData": [],
        }
        for n in range(1, 9)
    ]
    ratings = [
        {"VideoID": video, "ValenceValue": n, "ArousalValue": 9 - n}
        for n, video in enumerate(videos, start=1)
    ]
    physio = {"ParticipantID": person, "Video_Physio_RawData": signals}
    asked = {"VideoOrder": order, "Video_SAMRating_VideoTime_Data": ratings}
    return {
        f"5_PhysioData/Raw/{person}_Physio_RawData.json": json.dumps({"Physio_RawData": [physio]}),
        f"2_QuestionnaireData/{person}_Questionnaire_Data.json": json.dumps(
            {"QuestionnaireData": [{"ParticipantID": person, **asked}]}
        ),
    }


@pytest.fixture
def small_ceap(tmp_path):
    files = ceap("P2", "8 7 6 5 1 4 2 3 ") | ceap("P10", "1 2 3 4 5 6 7 8 ")
    return write(tmp_path / "small_ceap", files)


def test_ceap360vr_has_videos_in_the_order_of_the_person(small_ceap):
    study = load_ceap360vr(small_ceap, window=None, allow_partial=True)
    assert study.trials["subject"].tolist() == ["P2"] * 8 + ["P10"] * 8
    assert study.trials["stimulus"].tolist()[:8] == [f"V{n}" for n in (8, 7, 6, 5, 1, 4, 2, 3)]
    assert study.trials["trial"].tolist() == [*range(8)] * 2
    assert_array_equal(study.trials["eda"][2], 6 + np.arange(20) / 1000)
    assert study.ratings["valence"].tolist()[:8] == [8, 7, 6, 5, 1, 4, 2, 3]
    assert (study.ratings["valence"] + study.ratings["arousal"] == 9).all()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"ValenceValue": 3', '"ValenceValue": 12', "has 12 as valence, outside 1 to 9"),
        ("8 7 6 5 1 4 2 3", "8 7 6 5 1 4 2", "must have an order and ratings of the videos"),
        ('"TimeStamp": 0.25', '"TimeStamp": 7', "is not in order of time"),
        ('"VideoID": "V3", "EDA', '"VideoID": "V9", "EDA', r"has no EDA of the videos \['V3'\]"),
        ('"EDA": 3.001', '"EDA": "high"', "a video without times and EDA"),
        ('{"Physio_RawData": [', '{"Other": [', "does not hold one entry of 'Physio_RawData'"),
    ],
)
def test_ceap360vr_that_is_damaged_is_one_error(small_ceap, old, new, said):
    for name, text in ceap("P2", "8 7 6 5 1 4 2 3 ").items():
        write(small_ceap, {name: text.replace(old, new, 1)})
    with pytest.raises(DatasetError, match=said):
        load_ceap360vr(small_ceap, allow_partial=True, window=None)


# CASE


def case(order, n=200):
    """Both files of one person: videos of n ms, blue screens (11) of 50 ms between them."""
    shown = np.concatenate([[10] * 50, *([*[11] * 50, *[video] * n] for video in order), [12] * 50])
    time = np.arange(len(shown))
    gsr = shown + time / 1e6
    names = "daqtime,ecg,bvp,gsr,rsp,skt,emg_zygo,emg_coru,emg_trap,video"
    rows = [f"{t},0,0,{x:.6f},0,0,0,0,0,{v}" for t, x, v in zip(time, gsr, shown, strict=True)]
    every = slice(0, None, 50)  # 20 Hz
    annotated = [
        f"{t},{v if v < 9 else 5},{9 - v if v < 9 else 5},{v}"
        for t, v in zip(time[every], shown[every], strict=True)
    ]
    head = "jstime,valence,arousal,video"
    return "\n".join([names, *rows]) + "\n", "\n".join([head, *annotated]) + "\n"


@pytest.fixture
def small_case(tmp_path):
    files = {}
    for person, order in (("sub_2", (8, 1, 7, 2, 6, 3, 5, 4)), ("sub_11", range(1, 9))):
        signals, annotations = case(order)
        files[f"data/interpolated/physiological/{person}.csv"] = signals
        files[f"data/interpolated/annotations/{person}.csv"] = annotations
    return write(tmp_path / "small_case", files)


def test_case_has_the_emotional_videos_and_their_mean_annotations(small_case):
    study = load_case(small_case, window=None, allow_partial=True)
    assert study.trials["subject"].tolist() == ["sub_2"] * 8 + ["sub_11"] * 8
    assert study.trials["stimulus"].tolist()[:8] == [*"81726354"]
    assert study.trials["duration"].tolist() == [0.2] * 16
    # The second video begins after the start, two blue screens and the first video.
    assert study.trials["session_time"][1] == 0.35
    assert_allclose(study.trials["eda"][1], 1 + np.arange(350, 550) / 1e6, rtol=1e-12)
    assert study.ratings["valence"].tolist()[:8] == [8, 1, 7, 2, 6, 3, 5, 4]
    assert study.ratings["arousal"].tolist()[:8] == [1, 8, 2, 7, 3, 6, 4, 5]


@pytest.mark.parametrize(
    ("folder", "change", "said"),
    [
        ("physiological", lambda text: text[: len(text) // 2], "each of the videos 1 to 8 once"),
        ("physiological", lambda text: text.replace("gsr", "scr"), "does not hold numbers in"),
        ("physiological", lambda text: text.replace("\n7,", "\n70,"), "in order of 'daqtime'"),
        ("annotations", lambda text: text.replace(",8,", ",80,"), "outside 0.5 to 9.5"),
        ("annotations", lambda text: text.replace(",8,", ",x,"), "does not hold numbers in"),
    ],
)
def test_case_that_is_damaged_is_one_error(small_case, folder, change, said):
    file = small_case / "data" / "interpolated" / folder / "sub_2.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(DatasetError, match=said):
        load_case(small_case, allow_partial=True, window=None)


# Oxazepam: responses to shocks


def test_responses_to_shocks_are_read(tmp_path):
    head = '"Subject","Condition","Stimulus","SCR"\n'
    rows = '"9","Self","High","0.25"\n"9","Other","Low",NA\n"10","Self","Low","0"\n'
    write(tmp_path, {"SCR.csv": head + rows})
    table = load_oxazepam_scr(tmp_path)
    assert table.to_dict("list") == {
        "subject": ["9", "10"],
        "condition": ["Self", "Self"],
        "stimulus": ["High", "Low"],
        "amplitude": [0.25, 0.0],
    }
    assert table.attrs["n_missing"] == 1
    for old, new, said in (
        ("High", "Middle", "has 'Middle' as Stimulus in line 2"),
        ("0.25", "much", "SCR in line 2"),
        ('"SCR"', '"EDA"', r"lacks the columns \['SCR'\]"),
    ):
        write(tmp_path, {"SCR.csv": (head + rows).replace(old, new)})
        with pytest.raises(DatasetError, match=said):
            load_oxazepam_scr(tmp_path)
    with pytest.raises(DatasetError, match=r"has no SCR\.csv\. Get SCR\.csv of"):
        load_oxazepam_scr(tmp_path / "other")


def test_one_response_tells_own_shocks_better_than_watched_ones():
    """The values are those of the notes beside the file, found without edaemo."""
    table = load_oxazepam_scr(original("oxazepam_scr"))
    assert (len(table), table["subject"].nunique(), table.attrs["n_missing"]) == (2676, 67, 444)
    for condition, expected in (("Self", 0.886), ("Other", 0.620)):
        people = table[table["condition"] == condition].groupby("subject")
        areas = [roc_auc_score(own["stimulus"] == "High", own["amplitude"]) for _, own in people]
        assert np.mean(areas) == pytest.approx(expected, abs=0.0006)
