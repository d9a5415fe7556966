"""Studies of one's own: a table and a file for each trial; and signals put beside the EDA."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch
from test_corpora import assert_patterns, problems_of

from edaemo.benchmark import evaluate
from edaemo.datasets import (
    DatasetError,
    RecordingWarning,
    add_signal,
    load_hku956,
    read_trials,
    select_people,
)

TABLE = """\
subject,stimulus,trial,file,valence,arousal,group
b,song 2,1,b/1.csv,3,4,control
a,song 1,2,a-2.csv,1,2,patient
a,song 2,1,a-1.parquet,5,6.5,patient
"""


def samples(n, start, step=0.01):
    return [round(start + i * step, 6) for i in range(n)]


def write_csv(path, n=40, start=1.0, more=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"{i / 8},{value},{-i}" for i, value in enumerate(samples(n, start)))
    path.write_text("t,EDA,pulse\n" + "\n".join(rows) + "\n" + more)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "trials.csv").write_text(TABLE)
    write_csv(tmp_path / "b" / "1.csv", 48, 3.0)
    write_csv(tmp_path / "a-2.csv", 40, 2.0)
    pytest.importorskip("pyarrow")
    pd.DataFrame({"EDA": samples(56, 1.0), "pulse": range(56)}).to_parquet(tmp_path / "a-1.parquet")
    return tmp_path / "trials.csv"


def test_trials_are_those_of_the_files(table):
    study = read_trials(table, sampling_rate=8, rating_range=(1, 9), name="mine")
    trials = study.trials
    assert list(trials.columns) == ["subject", "stimulus", "trial", "group", "eda", "duration"]
    assert trials["subject"].tolist() == ["a", "a", "b"]
    assert trials["trial"].tolist() == [1, 2, 1]
    assert trials["stimulus"].tolist() == ["song 2", "song 1", "song 2"]
    assert trials["group"].tolist() == ["patient", "patient", "control"]
    assert [len(eda) for eda in trials["eda"]] == [56, 40, 48]
    assert [eda[:2].tolist() for eda in trials["eda"]] == [[1, 1.01], [2, 2.01], [3, 3.01]]
    assert trials["duration"].tolist() == [7, 5, 6]
    assert study.ratings.to_numpy().tolist() == [[5, 6.5], [1, 2], [3, 4]]
    assert list(study.ratings) == ["valence", "arousal"]
    assert study.targets["arousal"].tolist() == [6.5, 2, 4]
    assert (study.name, study.sampling_rate, study.rating_range) == ("mine", 8.0, (1.0, 9.0))
    assert study.units == {"eda": "microsiemens"}
    assert (study.report["people"], study.report["stimuli"], study.report["trials"]) == (2, 2, 3)
    assert set(load_hku956()) <= set(study)


def test_classes_are_targets_and_no_columns_of_the_trials(table):
    study = read_trials(table, classes=("group",), sampling_rate=8)
    assert study.targets["group"].tolist() == ["patient", "patient", "control"]
    assert "group" not in study.trials
    assert list(study.targets) == ["valence", "arousal", "group"]
    alone = read_trials(table, ratings=(), classes=("group",), sampling_rate=8)
    assert list(alone.targets) == ["group"]


def test_ratings_are_those_of_valence_and_arousal_that_the_table_has(table):
    frame = pd.read_csv(table).drop(columns="valence")
    study = read_trials(frame, sampling_rate=8, folder=table.parent)
    assert list(study.targets) == ["arousal"]
    with pytest.raises(DatasetError, match="neither valence nor arousal; it has"):
        read_trials(frame.drop(columns="arousal"), sampling_rate=8, folder=table.parent)
    frame = frame.drop(columns="arousal")
    study = read_trials(frame, classes=("group",), sampling_rate=8, folder=table.parent)
    assert list(study.targets) == ["group"]
    assert study.ratings.shape == (3, 0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"classes": ("subject",)}, "none of them can be called 'subject'"),
        ({"ratings": ("arousal",), "classes": ("arousal",)}, "'arousal' is in ratings and in"),
        ({"classes": ("mood",)}, r"lacks the columns \['mood'\]"),
    ],
)
def test_classes_that_cannot_be_read_are_an_error(table, asked, message):
    with pytest.raises(ValueError, match=message):
        read_trials(table, sampling_rate=8, **asked)


def test_signals_are_the_columns_that_are_named(table):
    named = read_trials(table, signals={"eda": "EDA", "bvp": "pulse"}, sampling_rate=8)
    assert named.trials["bvp"][1][:3].tolist() == [0, -1, -2]
    assert [len(cell) for cell in named.trials["bvp"]] == [56, 40, 48]
    alike = read_trials(table, sampling_rate=8)  # the column is called EDA
    assert alike.trials["eda"][0].tolist() == named.trials["eda"][0].tolist()
    cut = read_trials(table, signals={"eda": "EDA", "bvp": "pulse"}, sampling_rate=8, window=(1, 2))
    assert cut.trials["bvp"][1].tolist() == [-8, -9, -10, -11, -12, -13, -14, -15]


def test_a_sequence_names_columns_that_are_called_like_the_signals(tmp_path):
    frame = pd.DataFrame({"subject": ["a"], "stimulus": ["x"], "file": ["one.csv"], "valence": [1]})
    (tmp_path / "one.csv").write_text("eda,temperature\n1,30\n2,31\n3,32\n")
    study = read_trials(
        frame,
        signals=("eda", "temperature"),
        ratings=("valence",),
        sampling_rate=1,
        folder=tmp_path,
    )
    assert study.trials["temperature"][0].tolist() == [30, 31, 32]
    assert study.trials["trial"].tolist() == [0]
    assert any("order" in note for note in study.report["notes"])


def test_files_of_an_e4_give_their_own_rate(tmp_path):
    (tmp_path / "EDA.csv").write_text("1544027337.000000\n4.000000\n" + "0.5\n" * 20)
    frame = pd.DataFrame({"subject": [1], "stimulus": [7], "file": ["EDA.csv"]})
    study = read_trials(frame, ratings=(), folder=tmp_path)
    assert (study.sampling_rate, len(study.trials["eda"][0])) == (4.0, 20)
    assert study.trials["subject"].tolist() == ["1"]
    assert (study.ratings.shape, study.targets) == ((1, 0), {})


def test_ohm_become_microsiemens_and_what_is_no_resistance_is_masked(tmp_path):
    (tmp_path / "r.csv").write_text("eda\n500000\n0\n250000\n-3\n1e6\n")
    frame = pd.DataFrame({"subject": ["a"], "stimulus": ["x"], "file": ["r.csv"]})
    study = read_trials(frame, ratings=(), folder=tmp_path, sampling_rate=1, unit="ohm")
    np.testing.assert_array_equal(study.trials["eda"][0], [2, np.nan, 4, np.nan, 1])
    assert study.report["masked_samples"] == 2


def test_columns_of_numbers_go_along_as_numbers(table):
    lines = table.read_text().splitlines()
    values = ["session_time", "12.5", "", "30"]
    rows = [f"{line},{value}" for line, value in zip(lines, values, strict=True)]
    table.write_text("\n".join(rows) + "\n")
    times = read_trials(table, sampling_rate=8).trials["session_time"]
    assert times.dtype == np.float64
    np.testing.assert_array_equal(times, [30, np.nan, 12.5])


def test_a_table_may_be_parquet_or_a_frame(table, tmp_path):
    frame = pd.read_csv(table)
    frame.to_parquet(tmp_path / "trials.parquet")
    expected = read_trials(table, sampling_rate=8)
    for other, settings in ((tmp_path / "trials.parquet", {}), (frame, {"folder": tmp_path})):
        study = read_trials(other, sampling_rate=8, **settings)
        pd.testing.assert_frame_equal(
            study.trials.drop(columns="eda"), expected.trials.drop(columns="eda")
        )
        pd.testing.assert_frame_equal(study.ratings, expected.ratings)


def test_one_error_says_all_that_is_wrong(table, tmp_path):
    write_csv(tmp_path / "text.csv", 8, more="8,off,0\n")
    (tmp_path / "empty.csv").write_text("")
    table.write_text(
        TABLE
        + "b,song 3,2,text.csv,1,1,x\n"
        + "b,song 3,3,gone.csv,10,1,x\n"
        + "b,song 3,4,empty.csv,much,1,x\n"
        + "c,song 3,1,a-2.csv,,1,x\n"
        + "b,song 1,1,b/1.csv,1,1,x\n"
        + ",song 1,1.5,c.csv,1,1,x\n"
    )
    said = problems_of(
        read_trials, table, sampling_rate=8, signals={"eda": "EDA"}, rating_range=(1, 9)
    )
    expected = [
        r"text\.csv: line 10 does not hold a number: 'off'",
        r"gone\.csv: this file does not exist",
        r"empty\.csv: the file is empty",
        r"row 5 of the table has 10 as valence, outside 1 to 9",
        r"row 6 of the table has no finite number as valence: 'much'",
        r"more than one row for b trial 1\. Keep one",
        r"a-2\.csv is the file of 2 trials",
        r"b/1\.csv is the file of 2 trials",
        r"row 9 of the table has no subject",
        r"row 9 of the table has no whole number as trial: '1\.5'",
        r"c\.csv: this file does not exist",
    ]
    assert_patterns(said, expected)


def test_trials_without_a_rating_are_kept_and_named(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["subject,stimulus,file,valence,arousal"]
    for person in range(6):
        for song in range(6):
            file = f"{person}-{song}.csv"
            np.savetxt(tmp_path / file, rng.normal(5, 1, 40), header="EDA (uS)", comments="")
            arousal = "" if (person, song) in [(0, 2), (3, 5)] else str(1 + 7 * (song % 2))
            lines.append(f"p{person},s{song},{file},{1 + song},{arousal}")
    (tmp_path / "trials.csv").write_text("\n".join(lines))
    with pytest.warns(RecordingWarning, match="2 of 36 trials have no arousal: p0 s2") as caught:
        study = read_trials(tmp_path / "trials.csv", sampling_rate=4)
    assert len(caught) == 1 and "p3 s5 (row 24)" in str(caught[0].message)
    assert len(study.trials) == 36
    assert study.ratings["arousal"].isna().sum() == 2
    assert any("2 of 36 trials have no arousal" in note for note in study.report["notes"])
    table = evaluate("majority", study, "arousal", n_splits=2, n_jobs=1)
    assert (table["n_trials"].iloc[0], table["n_missing"].iloc[0]) == (34, 2)
    empty = [line.rsplit(",", 1)[0] + "," for line in lines[1:]]
    (tmp_path / "trials.csv").write_text("\n".join([lines[0], *empty]))
    with pytest.raises(DatasetError, match="No trial has a number as arousal"):
        read_trials(tmp_path / "trials.csv", sampling_rate=4)


def test_columns_that_are_missing_renamed_or_taken_are_named(table):
    table.write_text(TABLE.replace("valence", "pleasure").replace("group", "duration"))
    rated = ("valence", "arousal")
    said = problems_of(read_trials, table, ratings=rated, sampling_rate=8)
    assert any("lacks the columns ['valence']; it has ['subject'" in line for line in said)
    assert any(
        "the columns ['duration'], which the loader adds to the trials" in line for line in said
    )
    table.write_text(TABLE.replace("stimulus", "song"))
    with pytest.raises(DatasetError, match=r"trials\.csv lacks the columns \['stimulus'\]"):
        read_trials(table, sampling_rate=8)


def test_ids_that_look_like_nothing_or_like_numbers_stay_as_they_are(table):
    table.write_text(TABLE.replace("song 1", "NA").replace("\na,", "\n007,"))
    trials = read_trials(table, sampling_rate=8).trials
    assert trials["subject"].tolist() == ["007", "007", "b"]
    assert trials["stimulus"].tolist() == ["song 2", "NA", "song 2"]


def test_a_stimulus_met_twice_needs_the_column_trial(table):
    frame = pd.read_csv(table).drop(columns="trial").replace("song 1", "song 2")
    with pytest.raises(DatasetError, match=r"row for a stimulus song 2\. Add a column trial"):
        read_trials(frame, sampling_rate=8, folder=table.parent)


def test_different_rates_are_named(tmp_path):
    for name, rate in {"x.csv": 4, "y.csv": 8}.items():
        (tmp_path / name).write_text(f"1544027337.0\n{rate}.0\n" + "1\n" * 9)
    frame = pd.DataFrame({"subject": "a", "stimulus": ["p", "q"], "file": ["x.csv", "y.csv"]})
    with pytest.raises(DatasetError, match=r"different sampling rates: 4 Hz: x\.csv; 8 Hz: y\.csv"):
        read_trials(frame, ratings=(), folder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"signals": ("bvp",)}, "must name 'eda'"),
        ({"signals": {"eda": None, "bvp": None}}, "column of every other signal"),
        ({"signals": {"eda": "EDA", "trial": "t"}}, "a signal cannot be called 'trial'"),
        ({"signals": {"eda": 3}}, "as text"),
        ({"ratings": ("valence", "trial")}, "none of them can be called 'trial'"),
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"rating_range": (1,)}, "rating_range"),
        ({"unit": "volt"}, "unit"),
        ({"window": "middle"}, "window"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(table, settings, said):
    with pytest.raises(ValueError, match=said) as caught:
        read_trials(table, **({"sampling_rate": 8} | settings))
    assert not isinstance(caught.value, DatasetError)


def test_table_that_is_none_is_named(tmp_path):
    (tmp_path / "ragged.csv").write_text("subject,stimulus,file\na,b,c,d\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "rows.csv").write_text("subject,stimulus,file\n")
    (tmp_path / "twice.csv").write_text("subject,stimulus,file,file\na,b,c,d\n")
    for name, said in {
        "ragged": "more fields",
        "empty": "not a valid table",
        "rows": "no rows",
        "twice": "more than once",
        "gone": "cannot be read",
    }.items():
        with pytest.raises(DatasetError, match=rf"{name}\.csv.*{said}"):
            read_trials(tmp_path / f"{name}.csv", ratings=(), sampling_rate=8)


def test_own_study_can_be_compared(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for person in "abcd":
        for trial in range(8):
            file = f"{person}{trial}.csv"
            level = 5 + rng.normal(0, 0.05, 80).cumsum()
            (tmp_path / file).write_text("eda\n" + "\n".join(f"{v:.4f}" for v in level) + "\n")
            rows.append((person, f"s{trial}", trial + 1, file, *rng.uniform(1, 9, 2)))
    frame = pd.DataFrame(
        rows, columns=["subject", "stimulus", "trial", "file", "valence", "arousal"]
    )
    study = read_trials(frame, folder=tmp_path, sampling_rate=8, rating_range=(1, 9))
    table = evaluate(["majority", "logistic-eda"], study, "valence", thresholds=[5.0], n_splits=2)
    assert table["n_failed"].sum() == 0
    assert set(table["study"]) == {"own study"}


# Signals beside the EDA


@pytest.fixture
def study(table):
    return read_trials(table, sampling_rate=8)


def faces(study, rate=5, **changes):
    """Frames (n, 3, 4, 4) of each trial; every number of a frame is its place."""
    made = {}
    for row in study.trials.itertuples():
        n = round(row.duration * rate)
        frames = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1) * np.ones((1, 3, 4, 4), np.uint8)
        made[row.subject, row.stimulus, row.trial] = frames
    return made


def test_faces_become_a_column_like_eda(study):
    seen = add_signal(study, "face", faces(study), sampling_rate=5)
    assert [cell.shape for cell in seen.trials["face"]] == [(n, 3, 4, 4) for n in (35, 25, 30)]
    assert seen.trials["face"][0][:, 0, 0, 0].tolist() == list(range(35))
    assert seen.sampling_rates == {"face": 5.0}
    assert "face" not in study.trials
    pd.testing.assert_frame_equal(seen.trials[list(study.trials)], study.trials)
    few = select_people(Bunch(**{**seen, "development": ("a",)}), "development")
    assert [len(cell) for cell in few.trials["face"]] == [35, 25]


def test_faces_are_cut_to_the_window_of_the_study(table):
    whole = read_trials(table, sampling_rate=8)
    arrays = faces(whole)
    part = read_trials(table, sampling_rate=8, window=(1, 3))
    seen = add_signal(part, "face", arrays, sampling_rate=5)
    assert [cell[:, 0, 0, 0].tolist() for cell in seen.trials["face"]] == [list(range(5, 15))] * 3
    with pytest.warns(UserWarning, match="1 of 3 trials"):
        longer = read_trials(table, sampling_rate=8, window=(0, 6))
    # The trial that the window leaves out has an array all the same.
    assert len(add_signal(longer, "face", arrays, sampling_rate=5).trials) == 2


def test_the_end_of_a_trial_is_that_of_its_eda(tmp_path):
    (tmp_path / "long.csv").write_text("eda\n" + "1\n2\n" * 30)
    frame = pd.DataFrame({"subject": ["a"], "stimulus": ["x"], "file": ["long.csv"]})
    study = read_trials(frame, ratings=(), folder=tmp_path, sampling_rate=2, window="end")
    frames = np.arange(302)[:, None]  # 30 s are 300 frames
    seen = add_signal(study, "face", {("a", "x", 0): frames}, sampling_rate=10)
    assert seen.trials["face"][0][:, 0].tolist() == list(range(50, 300))


def test_trials_without_faces_are_named_or_dropped(study):
    arrays = faces(study)
    del arrays["a", "song 1", 2]
    with pytest.raises(DatasetError, match=r"1 of 3 trials.*subject a, stimulus song 1, trial 2"):
        add_signal(study, "face", arrays, sampling_rate=5)
    seen = add_signal(study, "face", arrays, sampling_rate=5, missing="drop")
    assert seen.trials["trial"].tolist() == [1, 1]
    assert seen.trials.index.tolist() == [0, 1]
    assert seen.ratings["valence"].tolist() == [5, 3]
    assert seen.targets["arousal"].tolist() == [6.5, 4]
    (left,) = seen.report["left_out"].itertuples()
    assert (left.subject, left.trial, left.duration, left.reason) == ("a", 2, 5.0, "no face")
    assert len(study.report["left_out"]) == 0
    with pytest.raises(DatasetError, match="No trial has an array"):
        add_signal(study, "face", {}, sampling_rate=5, missing="drop")


def test_one_error_says_all_that_is_wrong_with_faces(study):
    arrays = faces(study)
    arrays["a", "song 2", 1] = arrays["a", "song 2", 1][:-5]
    arrays["a", "song 1", 2] = arrays["a", "song 1", 2].astype(float)
    arrays["b", "song 2", 1] = np.array(["x"] * 30)
    arrays["b", "song 2", "1"] = arrays["a", "song 2", 1]
    with pytest.raises(DatasetError) as caught:
        add_signal(study, "face", arrays, sampling_rate=5)
    said = str(caught.value)
    for words in (
        "subject a, stimulus song 2, trial 1: 30 frames last 6 s at 5 Hz, but the trial lasts 7 s",
        "subject b, stimulus song 2, trial 1: needs a numeric array",
        "1 arrays belong to no trial of the study: ('b', 'song 2', '1')",
    ):
        assert words in said
    arrays = faces(study)
    arrays["a", "song 1", 2] = arrays["a", "song 1", 2][:, :, :2]
    with pytest.raises(DatasetError, match=r"frames of uint8 \(3, 2, 4\), but the first.*3, 4, 4"):
        add_signal(study, "face", arrays, sampling_rate=5)
    arrays = {key: frames.astype(float) for key, frames in faces(study).items()}
    arrays["a", "song 1", 2][3, 0, 0, 0] = np.nan
    with pytest.raises(DatasetError, match="song 1, trial 2: has values that are not finite"):
        add_signal(study, "face", arrays, sampling_rate=5)


def test_a_little_longer_or_shorter_is_let_through_as_said(study):
    arrays = {key: np.concatenate([frames, frames[:2]]) for key, frames in faces(study).items()}
    seen = add_signal(study, "face", arrays, sampling_rate=5)
    assert [len(cell) for cell in seen.trials["face"]] == [35, 25, 30]
    with pytest.raises(DatasetError, match=r"27 frames last 5\.4 s"):
        add_signal(study, "face", arrays, sampling_rate=5, tolerance=0.3)


def test_frames_that_end_before_the_window_does_are_named(table):
    arrays = faces(read_trials(table, sampling_rate=8))
    arrays["a", "song 1", 2] = arrays["a", "song 1", 2][:-2]  # 4.6 of 5 s
    study = read_trials(table, sampling_rate=8, window=(0, 5))
    with pytest.raises(
        DatasetError, match="song 1, trial 2: has 23 frames, but the window needs 25"
    ):
        add_signal(study, "face", arrays, sampling_rate=5)


@pytest.mark.parametrize("name", ["eda", "subject", "group", "my face", ""])
def test_name_that_is_taken_or_none_is_an_error(study, name):
    with pytest.raises(ValueError, match="name="):
        add_signal(study, name, faces(study), sampling_rate=5)


def test_memory_mapped_faces_stay_on_disk(study, tmp_path):
    arrays = {}
    for at, (key, frames) in enumerate(faces(study).items()):
        np.save(tmp_path / f"{at}.npy", frames)
        arrays[key] = np.load(tmp_path / f"{at}.npy", mmap_mode="r")
    seen = add_signal(study, "face", arrays, sampling_rate=5)
    assert all(isinstance(cell, np.memmap) for cell in seen.trials["face"])


def test_faces_go_beside_a_corpus_and_through_a_split():
    study = load_hku956()
    arrays = {
        (row.subject, row.stimulus, row.trial): np.full((round(row.duration) * 2, 3, 2, 2), at)
        for at, row in enumerate(study.trials.itertuples())
        if row.subject != "hku1903"
    }
    seen = add_signal(study, "face", arrays, sampling_rate=2, missing="drop")
    assert seen.trials["subject"].nunique() == 29
    assert {cell.shape for cell in seen.trials["face"]} == {(50, 3, 2, 2)}  # 25 s
    kept = study.trials[study.trials["subject"] != "hku1903"]
    assert [cell[0, 0, 0, 0] for cell in seen.trials["face"]] == kept.index.tolist()
    assert seen.trials["stimulus"].tolist() == kept["stimulus"].tolist()
    assert seen.ratings["valence"].tolist() == study.ratings["valence"][kept.index].tolist()
    reported = select_people(seen, "evaluation").trials
    assert not set(reported["subject"]) & set(study.development)
    assert {cell.shape for cell in reported["face"]} == {(50, 3, 2, 2)}


def write_long(folder):
    """Two recordings of 100 s at 4 Hz; each sample is its time in seconds."""
    for name in ("a", "b"):
        rows = (f"{i / 4},{i / 4}" for i in range(400))
        (folder / f"{name}.csv").write_text("time,eda\n" + "\n".join(rows) + "\n")


EVENTS = """\
subject;file;onset;duration;stimulus;valence
a;a.csv;50;10;x;3
a;a.csv;20,5;5;y;4
a;a.csv;95;10;z;5
b;b.csv;1;2;x;6
"""


def test_events_are_cut_out_of_one_long_recording(tmp_path):
    write_long(tmp_path)
    (tmp_path / "events.csv").write_text(EVENTS)
    with pytest.warns(UserWarning, match=r"1 of 4 trials are not inside .*: a\.csv at 95 s"):
        study = read_trials(tmp_path / "events.csv", baseline=2)
    trials = study.trials
    assert trials["trial"].tolist() == [1, 2, 1]
    assert trials["stimulus"].tolist() == ["y", "x", "x"]
    assert trials["recording"].tolist() == ["a.csv", "a.csv", "b.csv"]
    assert trials[["start", "stop", "duration"]].to_numpy().tolist() == [
        [20.5, 25.5, 5],
        [50, 60, 10],
        [1, 3, 2],
    ]
    assert [(eda[0], eda[-1], len(eda)) for eda in trials["eda"]] == [
        (20.5, 25.25, 20),
        (50, 59.75, 40),
        (1, 2.75, 8),
    ]
    assert trials["eda_before"][0].tolist() == [18.5 + i / 4 for i in range(8)]
    np.testing.assert_array_equal(trials["eda_before"][2], [np.nan] * 4 + [0, 0.25, 0.5, 0.75])
    assert study.ratings["valence"].tolist() == [4, 3, 6]
    assert study.report["outside"].to_numpy().tolist() == [["a", "a.csv", 95, 105]]
    assert study.report["overlaps"] == 0


def test_a_window_around_the_onset_may_begin_before_it(tmp_path):
    write_long(tmp_path)
    (tmp_path / "events.csv").write_text(EVENTS.replace("95", "53"))
    study = read_trials(tmp_path / "events.csv", window=(-1, 4))
    assert [eda[0] for eda in study.trials["eda"]] == [19.5, 49, 52, 0]
    assert {len(eda) for eda in study.trials["eda"]} == {20}
    assert study.report["overlaps"] == 1
    with pytest.raises(ValueError, match="must be \\(start, stop\\) in seconds from the onset"):
        read_trials(tmp_path / "events.csv", window=(4, -1))
    (tmp_path / "bare.csv").write_text("subject,file,onset,stimulus,valence\na,a.csv,5,x,1\n")
    with pytest.raises(DatasetError, match="Add the column duration"):
        read_trials(tmp_path / "bare.csv")


def test_sliding_windows_name_their_recording_and_span(tmp_path):
    write_long(tmp_path)
    (tmp_path / "t.csv").write_text("subject,stimulus,file,valence\na,day,a.csv,2\nb,day,b.csv,7\n")
    study = read_trials(tmp_path / "t.csv", length=40, step=20)
    assert study.trials["start"].tolist() == [0, 20, 40, 60] * 2
    assert study.trials["stop"].tolist() == [40, 60, 80, 100] * 2
    assert study.trials["recording"].tolist() == ["a.csv"] * 4 + ["b.csv"] * 4
    assert study.trials["trial"].tolist() == [1, 2, 3, 4] * 2
    assert [eda[0] for eda in study.trials["eda"]] == [0, 20, 40, 60] * 2
    assert study.targets["valence"].tolist() == [2] * 4 + [7] * 4
    assert study.report["overlaps"] == 6
    assert len(read_trials(tmp_path / "t.csv", length=40).trials) == 4
