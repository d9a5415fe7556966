"""Sessions of an Empatica E4, written here as E4 connect writes them, and real ones."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_corpora import assert_patterns, problems_of, write, zipped

from edaemo.benchmark import evaluate
from edaemo.datasets import (
    DatasetError,
    load_e4,
    load_hku956,
    load_induced_stress,
    select_people,
)

STRESS = Path(__file__).parents[2] / "shared/data/physionet_wearable_stress/Wearable_Dataset/STRESS"
START = 1544027337.0


def column(values, rate, start=START, form="{:.6f}"):
    """A file of one signal: start in unix seconds (UTC), rate, one sample in a line."""
    return "".join(
        f"{line}\n" for line in (f"{start:.6f}", f"{rate:.6f}", *map(form.format, values))
    )


def session(seconds=100, presses=(10, 30, 50, 75), *, level=0.0, start=START, **other):
    """All files of one session. EDA counts 0.001 µS a sample up from `level`."""
    hr_start = f"{start + 10:.6f}"
    acceleration = [f"{start:.6f}, " * 2 + f"{start:.6f}", "32.000000, 32.000000, 32.000000"]
    acceleration += [f"{i % 128 - 64},{i % 7},63" for i in range(32 * seconds)]
    files = {
        "EDA.csv": column([level + i / 1000 for i in range(4 * seconds)], 4, start),
        "TEMP.csv": column([30 + i / 100 for i in range(4 * seconds)], 4, start, "{:.2f}"),
        "BVP.csv": column([i % 50 - 25 for i in range(64 * seconds)], 64, start, "{:.2f}"),
        # The heart rate begins ten seconds after everything else.
        "HR.csv": f"{hr_start}\n1.000000\n"
        + "".join(f"{60 + i:.2f}\n" for i in range(seconds - 10)),
        "ACC.csv": "\n".join(acceleration) + "\n",
        "IBI.csv": f"{start:.6f}, IBI\n12.296875,0.781250\n13.062500,0.765625\n",
        "tags.csv": "".join(f"{start + press:.2f}\n" for press in presses),
        "info.txt": ".csv files in this archive are in the following format:\n",
    }
    return {name: content for name, content in (files | other).items() if content is not None}


@pytest.fixture
def study(tmp_path):
    """Two people: one unpacked, one in the archive that E4 connect gives."""
    write(tmp_path / "study" / "P01", session())
    zipped(tmp_path / "study" / "P02.zip", session(level=2.0, start=START + 1000))
    return tmp_path / "study"


RATINGS = """\
subject,trial,stimulus,valence,arousal
P01,1,song a,1,9
P01,2,song b,2,8
P01,3,song c,3,7
P02,1,song b,4,6
P02,2,song a,5,5
P02,3,song c,6.5,4
"""


def test_stretches_between_presses_are_trials(study):
    read = load_e4(study)
    trials = read.trials
    assert trials["subject"].tolist() == ["P01"] * 3 + ["P02"] * 3
    assert trials["trial"].tolist() == [1, 2, 3] * 2
    assert trials["stimulus"].tolist() == ["1", "2", "3"] * 2
    assert trials["session_time"].tolist() == [10, 30, 50] * 2
    assert trials["duration"].tolist() == [20, 20, 25] * 2
    # 10 s are 40 samples of 0.001 µS each.
    assert [eda[0] for eda in trials["eda"]] == [0.04, 0.12, 0.2, 2.04, 2.12, 2.2]
    assert [len(eda) for eda in trials["eda"]] == [80, 80, 100] * 2
    assert trials["eda"][0][-1] == 0.119
    assert {eda.dtype for eda in trials["eda"]} == {np.dtype(np.float64)}
    assert (read.sampling_rate, read.units) == (4.0, {"eda": "microsiemens"})
    assert read.ratings.shape == (6, 0)
    assert (read.targets, read.music, read.rating_range) == ({}, None, None)
    assert read.report["people"] == 2


def test_pairs_of_presses_are_trials(study):
    trials = load_e4(study, tags="pairs").trials
    assert trials["trial"].tolist() == [1, 2] * 2
    assert trials["session_time"].tolist() == [10, 50] * 2
    assert trials["duration"].tolist() == [20, 25] * 2


def test_a_protocol_names_the_stretches(study):
    protocol = {"rest": (1, 2), "task": (2, 4)}
    trials = load_e4(study, tags=protocol).trials
    assert trials["stimulus"].tolist() == ["rest", "task"] * 2
    assert trials["trial"].tolist() == [1, 2] * 2
    assert trials["duration"].tolist() == [20, 45] * 2


def test_whole_sessions_need_no_presses(study):
    write(study, {"P01/tags.csv": "", "P03/EDA.csv": column([1.0] * 8, 4)})
    trials = load_e4(study, tags="ignore").trials
    assert trials["duration"].tolist() == [100, 100, 2]
    assert trials["eda"][1][0] == 2.0


def test_one_session_is_a_folder_or_an_archive(study, tmp_path):
    whole = load_e4(study).trials
    for place in (
        study / "P01",
        zipped(tmp_path / "P01.zip", session()),
        zipped(tmp_path / "more" / "P01.zip", {f"P01/{n}": c for n, c in session().items()}),
    ):
        trials = load_e4(place).trials
        assert trials["subject"].tolist() == trials["session"].tolist() == ["P01"] * 3
        assert [eda.tolist() for eda in trials["eda"]] == [e.tolist() for e in whole["eda"][:3]]


@pytest.mark.parametrize("within", ["", "study/"])
def test_one_archive_may_hold_all_sessions(study, tmp_path, within):
    files = {f"P01/{name}": content for name, content in session().items()}
    files |= {f"P02/{n}": c for n, c in session(level=2.0, start=START + 1000).items()}
    packed = zipped(tmp_path / "all" / "study.zip", {within + n: c for n, c in files.items()})
    one, other = load_e4(packed), load_e4(study)
    pd.testing.assert_frame_equal(
        one.trials.drop(columns=["eda", "session"]), other.trials.drop(columns=["eda", "session"])
    )


def test_other_signals_are_cut_at_the_same_times(study):
    names = ("eda", "temperature", "bvp", "heart_rate", "acceleration")
    read = load_e4(study, signals=names, window=(0, 5))
    assert read.sampling_rates == {
        "eda": 4.0,
        "temperature": 4.0,
        "bvp": 64.0,
        "heart_rate": 1.0,
        "acceleration": 32.0,
    }
    assert read.units["temperature"] == "degrees Celsius"
    assert read.units["acceleration"] == "1/64 g"
    second = read.trials.iloc[1]  # from 30 s on
    assert second["temperature"].tolist() == [30 + i / 100 for i in range(120, 140)]
    assert second["bvp"].tolist() == [i % 50 - 25 for i in range(1920, 2240)]
    # At 30 s the heart rate has run for 20 s.
    assert second["heart_rate"].tolist() == [80, 81, 82, 83, 84]
    assert second["acceleration"].shape == (3, 160)
    assert second["acceleration"][:, 0].tolist() == [960 % 128 - 64, 960 % 7, 63]


def test_what_was_not_yet_recorded_is_missing(tmp_path):
    write(tmp_path / "P01", session(presses=(4, 16, 95, 100)))
    first, _, last = load_e4(tmp_path / "P01", signals=("eda", "heart_rate")).trials["heart_rate"]
    assert np.isnan(first[:6]).all()
    assert first[6:].tolist() == [60, 61, 62, 63, 64, 65]
    assert last.tolist() == [145, 146, 147, 148, 149]
    short = session(presses=(90, 99))
    short["HR.csv"] = "\n".join(short["HR.csv"].splitlines()[:-4]) + "\n"
    write(tmp_path / "P02", short)
    (cell,) = load_e4(tmp_path / "P02", signals=("eda", "heart_rate")).trials["heart_rate"]
    assert cell[:6].tolist() == [140, 141, 142, 143, 144, 145]
    assert np.isnan(cell[6:]).all()
    assert len(cell) == 9


def test_missing_samples_are_masked_and_counted(study):
    lines = session()["EDA.csv"].splitlines()
    lines[2 + 41] = ""
    write(study, {"P01/EDA.csv": "\n".join(lines) + "\n"})
    read = load_e4(study)
    assert np.flatnonzero(np.isnan(read.trials["eda"][0])).tolist() == [1]
    assert read.report["masked_samples"] == 1


def test_sessions_of_one_person_are_numbered_in_time(tmp_path):
    write(tmp_path / "1 later", session(presses=(0, 20, 40), start=START + 500, level=7.0))
    write(tmp_path / "2 earlier", session(presses=(10, 30)))
    read = load_e4(tmp_path, subjects={"1 later": "Ada", "2 earlier": "Ada"})
    assert read.trials["subject"].tolist() == ["Ada"] * 3
    assert read.trials["trial"].tolist() == [1, 2, 3]
    assert read.trials["session"].tolist() == ["2 earlier", "1 later", "1 later"]
    assert read.trials["eda"][1][0] == 7.0
    table = read.report["sessions"].set_index("session")
    assert table.loc["1 later", "presses"] == 3
    assert table.loc["2 earlier", "trials"] == 1
    # 1544027337 is 16:28:57 UTC.
    assert table["start"].to_dict() == {
        "2 earlier": "2018-12-05 16:28:57+00:00",
        "1 later": "2018-12-05 16:37:17+00:00",
    }


def test_ratings_are_joined_on_person_and_trial(study, tmp_path):
    file = tmp_path / "ratings.csv"
    shuffled = RATINGS.splitlines()
    file.write_text("\n".join([shuffled[0], *shuffled[:0:-1]]) + "\n")
    read = load_e4(study, ratings=file, rating_range=(1, 9))
    assert read.ratings["valence"].tolist() == [1, 2, 3, 4, 5, 6.5]
    assert read.ratings["arousal"].tolist() == [9, 8, 7, 6, 5, 4]
    assert read.trials["stimulus"].tolist() == [f"song {x}" for x in "abcbac"]
    assert list(read.targets) == ["valence", "arousal"]
    assert read.rating_range == (1.0, 9.0)
    frame = pd.read_csv(file)
    frame["subject"] = frame["subject"].str.removeprefix("P0").astype(int)
    numbered = load_e4(study, ratings=frame, subjects={"P01": "1", "P02": "2"}, window=(0, 20))
    assert numbered.ratings["valence"].tolist() == [1, 2, 3, 4, 5, 6.5]


def test_one_error_says_all_that_is_wrong_with_ratings(study, tmp_path):
    wrong = RATINGS.replace("P01,2,song b,2,8", "P01,2,song b,12,8").replace("6.5", "much")
    wrong = wrong.replace("P02,1,song b,4,6\n", "P02,1,song b,,6\n") + "P09,1,song a,1,1\n"
    wrong += "P01,1,song a,1,9\nP01,x,song a,1,9\n"
    (tmp_path / "ratings.csv").write_text(wrong)
    said = problems_of(load_e4, study, ratings=tmp_path / "ratings.csv", rating_range=(1, 9))
    expected = [
        "row 2 of the table has 12 as valence, outside 1 to 9",
        "row 6 of the table has no finite number as valence: 'much'",
        "P02 trial 1, P02 trial 3: a rating is missing",
        "P09 trial 1: there are ratings but no such trial",
        "more than one row for P01 trial 1",
        "row 9 of the table has no whole number as trial: 'x'",
    ]
    assert_patterns(said, map(re.escape, expected))


def test_a_part_leaves_out_what_is_not_rated_or_not_there(study, tmp_path):
    lines = RATINGS.splitlines()
    (tmp_path / "ratings.csv").write_text("\n".join([*lines[:3], *lines[4:], "P09,1,x,1,1", ""]))
    write(study, {"P03/EDA.csv": session()["EDA.csv"], "P03/tags.csv": f"{START + 3}\n"})
    read = load_e4(study, ratings=tmp_path / "ratings.csv", allow_partial=True)
    assert read.trials["trial"].tolist() == [1, 2, 1, 2, 3]
    assert read.ratings["valence"].tolist() == [1, 2, 4, 5, 6.5]
    (left,) = read.report["left_out"].itertuples()
    assert (left.subject, left.trial, left.duration, left.reason) == ("P01", 3, 25.0, "not rated")
    assert read.report["ratings_without_trial"] == [("P09", 1)]
    assert read.report["trials"] == 6
    said = problems_of(load_e4, study, ratings=tmp_path / "ratings.csv")
    assert any("P03: too few presses" in line for line in said)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("subject,valence", "lacks the columns ['trial']"),
        ("subject,trial", "has no column besides"),
        ("subject,trial,valence,valence", "the columns ['valence'] more than once"),
        (
            "subject,trial,valence,session",
            "the columns ['session'], which the loader adds to the trials",
        ),
    ],
)
def test_table_of_ratings_with_other_columns_is_named(study, tmp_path, columns, said):
    row = ",".join(["P01", "1", "3", "3"][: columns.count(",") + 1])
    (tmp_path / "r.csv").write_text(f"{columns}\n{row}\n")
    assert any(said in line for line in problems_of(load_e4, study, ratings=tmp_path / "r.csv"))


def test_table_of_ratings_that_is_not_there_is_named(study, tmp_path):
    (said,) = problems_of(load_e4, study, ratings=tmp_path / "r.csv")
    assert "r.csv cannot be read: No such file" in said


def test_double_presses_count_once_and_are_said(tmp_path):
    write(tmp_path / "P01", session(presses=(10, 10.4, 30, 50, 50.9, 75)))
    with pytest.warns(UserWarning, match="2 presses within 1 s.*: P01"):
        read = load_e4(tmp_path)
    assert read.trials["session_time"].tolist() == [10, 30, 50]
    assert read.report["sessions"]["double_presses"].tolist() == [2]
    all_of_them = load_e4(tmp_path, double_press=0)
    assert len(all_of_them.trials) == 5


def test_uneven_presses_make_no_pairs(tmp_path):
    write(tmp_path / "P01", session(presses=(10, 30, 50)))
    (said,) = problems_of(load_e4, tmp_path, tags="pairs")
    assert "P01/tags.csv has 3 presses, but tags='pairs' needs an even number" in said


def test_one_error_says_all_that_is_wrong_with_sessions(study):
    good = session()
    write(study / "short", {"EDA.csv": "1544027337.0\n4.0\n", "tags.csv": good["tags.csv"]})
    write(study / "cut", session(**{"EDA.csv": good["EDA.csv"][:1500]}))
    write(study / "text", session(**{"EDA.csv": good["EDA.csv"].replace("0.045000", "off")}))
    twice = good["EDA.csv"].replace("4.000000", "8.000000", 1)
    write(study / "rate", session(presses=(10, 30), **{"EDA.csv": twice}))
    write(study / "other", {"EDA.csv": "hello\n", "tags.csv": "yesterday\n"})
    write(study / "late", session(presses=(10, 30, 101)))
    write(study / "soon", session(presses=(-2, 10)))
    write(study / "back", session(presses=(30, 10)))
    write(study / "date", session(**{"tags.csv": "2018-12-05 16:29:10\n2018-12-05 16:29:40\n"}))
    write(study / "few", session(presses=(10,)))
    (study / "few" / "ACC.csv").unlink()
    write(study / "none", session(**{"tags.csv": None}))
    (study / "half.zip").write_bytes(zipped(study / "whole.zip", good).read_bytes()[:-200])
    (study / "whole.zip").unlink()
    said = problems_of(load_e4, study)
    expected = [
        "short/EDA.csv does not have the format of an E4: the file is too short",
        "cut/tags.csv has presses 50, 75 s from the start of EDA.csv, which lasts 41 s",
        "text/EDA.csv does not have the format of an E4: line 48 does not hold a number: 'off'",
        "EDA.csv has different sampling rates in sessions: 4 Hz: P01",
        "other/EDA.csv does not have the format of an E4: line 1 is not a start time: 'hello'",
        "other/tags.csv has no time in line 1: 'yesterday'",
        "late/tags.csv has presses 101 s",
        "soon/tags.csv has presses -2 s from the start",
        "back/tags.csv has tags that are not in order of time",
        "date/tags.csv has times in another time zone or format",
        "few: too few presses for any trial",
        "none/tags.csv is missing",
        "half.zip is not a readable zip archive",
    ]
    assert_patterns(said, map(re.escape, expected))


def test_signal_that_is_asked_for_and_missing_is_named(study):
    (study / "P01" / "HR.csv").unlink()
    (said,) = problems_of(load_e4, study, signals=("eda", "heart_rate"))
    assert said.startswith("P01/HR.csv is missing")
    assert len(load_e4(study).trials) == 6


def test_trials_of_a_session_that_cannot_be_read_are_not_said_to_be_missing(study, tmp_path):
    (tmp_path / "ratings.csv").write_text(RATINGS + "P02,9,song a,1,1\n")
    zipped(study / "P02.zip", session(**{"EDA.csv": "hello\n"}))
    (said,) = problems_of(load_e4, study, ratings=tmp_path / "ratings.csv")
    assert said.startswith("P02.zip/EDA.csv does not have the format of an E4")


def test_sessions_that_overlap_are_named(study):
    write(study / "P03", session(start=START + 60))
    (said,) = problems_of(load_e4, study, subjects={"P03": "P01"})
    assert "P01 and P03, both of P01, overlap in time" in said


def test_a_session_that_lies_there_packed_and_unpacked_is_read_once(study):
    zipped(study / "P01.zip", session(level=9.0))
    assert load_e4(study).trials["eda"][0][0] == 0.04
    shutil.rmtree(study / "P01")
    assert load_e4(study).trials["eda"][0][0] == 9.04
    zipped(study / "P01.zip", {f"P01/{name}": x for name, x in session(level=8.0).items()})
    trials = load_e4(study).trials
    assert trials["eda"][0][0] == 8.04
    assert trials["session"].tolist() == ["P01"] * 3 + ["P02"] * 3


def test_people_in_a_folder_of_their_own_are_asked_for(study, tmp_path):
    (tmp_path / "outer").mkdir()
    study.rename(tmp_path / "outer" / "study")
    (said,) = problems_of(load_e4, tmp_path / "outer")
    assert "All 2 sessions are in one folder, study" in said
    assert len(load_e4(tmp_path / "outer" / "study").trials) == 6
    own = {"study/P01": "Ada", "study/P02": "Ada"}
    assert set(load_e4(tmp_path / "outer", subjects=own).trials["subject"]) == {"Ada"}


def test_folder_without_sessions_and_path_that_is_not_there_are_errors(tmp_path):
    with pytest.raises(DatasetError, match=r"holds no EDA\.csv"):
        load_e4(write(tmp_path / "empty", {"notes.txt": "x"}))
    with pytest.raises(DatasetError, match="does not exist"):
        load_e4(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tags": "each"}, "tags"),
        ({"tags": {}}, "is empty"),
        ({"tags": {"rest": (2, 2)}}, "counted from 1"),
        ({"tags": {"rest": (0, 2)}}, "counted from 1"),
        ({"signals": ("bvp",)}, "must name 'eda'"),
        ({"signals": ("eda", "ecg")}, "unknown signal 'ecg'"),
        ({"subjects": {"P9": "x"}}, "no session 'P9'"),
        ({"rating_range": (9, 1)}, "rating_range"),
        ({"double_press": -1}, "double_press"),
        ({"window": (5, 1)}, "window"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(study, settings, said):
    with pytest.raises(ValueError, match=said) as caught:
        load_e4(study, **settings)
    assert not isinstance(caught.value, DatasetError)


def test_a_protocol_that_needs_more_presses_is_an_error(study):
    said = problems_of(load_e4, study, tags={"rest": (1, 2), "task": (3, 5)})
    assert ["P01/tags.csv has 4 presses, but 'task' ends at press 5" in s for s in said] == [1, 0]


def test_window_cuts_and_leaves_out(study):
    with pytest.warns(UserWarning, match="4 of 6 trials"):
        read = load_e4(study, window=(0, 25))
    assert read.trials["trial"].tolist() == [3, 3]
    assert len(read.report["left_out"]) == 4


def test_sessions_can_be_compared(tmp_path):
    for person in range(4):
        level = np.random.default_rng(person).normal(5, 1, 4 * 200).cumsum() / 100 + 5
        files = session(200, range(5, 196, 10), start=START + 1000 * person)
        files["EDA.csv"] = column(level, 4, START + 1000 * person)
        write(tmp_path / f"P{person}", files)
    rows = [
        (f"P{p}", t, f"s{t % 6}", (t * 7 + p) % 9 + 1, t % 9 + 1)
        for p in range(4)
        for t in range(1, 20)
    ]
    table = pd.DataFrame(rows, columns=["subject", "trial", "stimulus", "arousal", "valence"])
    study = load_e4(tmp_path, ratings=table, rating_range=(1, 9), window=(0, 10))
    assert select_people(study, "all") is study
    result = evaluate(["majority", "logistic-eda"], study, "arousal", thresholds=[4.5], n_splits=2)
    assert set(result["pipeline"]) >= {"majority", "logistic-eda"}
    assert result["n_failed"].sum() == 0


def test_own_sessions_give_the_same_kind_of_bunch_as_a_corpus(study):
    corpus = load_hku956()
    for read in (load_e4(study), load_e4(study, window=(0, 20))):
        assert set(corpus) <= set(read)
        assert set(corpus.trials) <= set(read.trials)
        assert read.trials.index.equals(pd.RangeIndex(6))
        assert read.ratings.index.equals(read.trials.index)
        for name in ("subject", "stimulus", "trial", "duration"):
            assert read.trials[name].dtype == corpus.trials[name].dtype
        assert list(read.report["left_out"]) == list(corpus.report["left_out"])
        assert read.report["trials_kept"] == 6


# Real sessions


def test_real_sessions_are_those_that_induced_stress_reads():
    if not STRESS.is_dir():
        pytest.skip("the original sessions are not beside this checkout")
    known = load_induced_stress(STRESS.parents[1], window=None)
    people = {f"f14_{part}": "f14" for part in "ab"}
    read = load_e4(STRESS, subjects=people, allow_partial=True)
    table = read.report["sessions"]
    assert len(table) == 37
    assert table.set_index("session").loc["f14_a", "presses"] == 0
    assert table["presses"].value_counts().to_dict() == {13: 18, 9: 18, 0: 1}
    # Consecutive stages of the protocol are stretches between consecutive presses.
    stages = {"First Rest": {"S": 4, "f": 3}, "TMCT": {"S": 5, "f": 2}}
    for stage, number in stages.items():
        for row in known.trials[known.trials["stimulus"] == stage].itertuples():
            match = read.trials[
                (read.trials["subject"] == row.subject)
                & (read.trials["trial"] == number[row.subject[0]])
            ].iloc[0]
            assert match["session_time"] == row.session_time
            assert match["eda"].tobytes() == row.eda.tobytes()


def test_real_session_has_the_numbers_of_its_file():
    if not STRESS.is_dir():
        pytest.skip("the original sessions are not beside this checkout")
    read = load_e4(STRESS / "S01", tags={"Baseline": (1, 2)})
    (row,) = read.trials.itertuples()
    # The recording starts at 17:55:19, the presses are at 18:01:30 and 18:05:37.
    assert (row.subject, row.session_time, row.duration) == ("S01", 371.0, 247.0)
    lines = (STRESS / "S01" / "EDA.csv").read_text().split()[3:]  # a date is two words
    assert row.eda.tolist() == [float(x) for x in lines[371 * 4 : (371 + 247) * 4]]
