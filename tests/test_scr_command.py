"""The command ``edaemo scr``."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edaemo.cli import main
from edaemo.features import scr_table

RATE = 4


def record(pulses: dict[float, float], seconds: float = 60.0) -> np.ndarray:
    """A recording of 2 µS with a pulse of this size at each onset (s)."""
    time = np.arange(round(seconds * RATE)) / RATE
    since = {onset: np.clip(time - onset, 0, None) for onset in pulses}
    shapes = {onset: np.exp(-s / 2) - np.exp(-s / 0.7) for onset, s in since.items()}
    return 2 + sum(size * shapes[onset] for onset, size in pulses.items())


ONE, TWO = record({12.0: 0.6, 40.0: 0.9}), record({22.0: 0.5})


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def write_table(path: Path, eda: np.ndarray) -> Path:
    return write(path, ["eda", *map(str, eda)])


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of `edaemo scr`."""
    try:
        status = main(["scr", *map(str, arguments)])
    except SystemExit as ended:
        status = ended.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An E4 session, a table, and a table with trials, in a folder."""
    write(tmp_path / "in" / "S01" / "EDA.csv", ["1544027337.0", "4.0", *map(str, ONE)])
    write_table(tmp_path / "in" / "b.csv", TWO)
    trials = [f"rest,{x}" for x in ONE[:120]] + [f"task,{x}" for x in TWO[:120]]
    write(tmp_path / "in" / "c.csv", ["trial,eda", *trials])
    return tmp_path / "in"


def test_a_row_for_each_file_or_trial(folder, tmp_path, capsys):
    out = tmp_path / "made" / "scr.csv"
    status, printed, said = run(capsys, folder, out, "--sampling-rate", RATE)
    assert (status, said) == (0, "")
    assert f"3 of 3 files done, 0 failed: {out}" in printed
    table = pd.read_csv(out, dtype={"trial": str})
    files = [str(folder / name) for name in ("S01/EDA.csv", "b.csv", "c.csv", "c.csv")]
    assert table["file"].tolist() == files
    assert table["trial"].tolist() == ["1", "1", "rest", "task"]
    cells = pd.Series([ONE, TWO, ONE[:120], TWO[:120]])
    expected = scr_table(cells, RATE).drop(columns="trial")
    expected["flat"] = expected["flat"].astype(int)
    pd.testing.assert_frame_equal(table.drop(columns=["file", "trial"]), expected, rtol=1e-12)
    assert table["latency"].tolist() == [12.0, 22.0, 12.0, 22.0]


def test_settings_reach_the_table(folder, tmp_path, capsys):
    arguments = (folder / "b.csv", tmp_path / "scr.csv", "--sampling-rate", RATE)
    assert run(capsys, *arguments, "--min-amplitude", 0.3)[0] == 0
    found = pd.read_csv(tmp_path / "scr.csv")
    assert found["n_responses"].tolist() == [0]  # the pulse is 0.18 µS high
    options = ("--method", "median", "--setting", "window=30", "--min-amplitude", 0.15)
    assert run(capsys, *arguments, *options, "--overwrite")[0] == 0
    found = pd.read_csv(tmp_path / "scr.csv")
    assert found["amplitude_sum"][0] == pytest.approx(TWO.max() - 2, abs=1e-3)


def test_a_row_for_each_event(folder, tmp_path, capsys):
    events = write(
        tmp_path / "events.csv",
        [
            "file,trial,onset,event",
            "S01/EDA.csv,,38,loud",
            "S01/EDA.csv,,10.0,soft",
            f"{folder / 'c.csv'},task,20.5,a",
            f"{folder / 'c.csv'},rest,20.5,b",
            f"{folder / 'c.csv'},rest,28,c",
        ],
    )
    out = tmp_path / "scr.csv"
    arguments = (folder, out, "--sampling-rate", RATE, "--events", events)
    status, printed, said = run(capsys, *arguments)
    assert (status, said) == (0, "")
    assert f"Note: {folder / 'b.csv'}: {events} has no event of this file." in printed
    table = pd.read_csv(out, dtype={"trial": str})
    assert table["event"].tolist() == ["loud", "soft", "a", "b", "c"]
    assert table["trial"].tolist() == ["1", "1", "task", "rest", "rest"]
    assert table["complete"].tolist() == [1, 1, 1, 1, 0]
    assert table["response"].tolist()[:4] == [1, 1, 1, 0]
    assert table["first_latency"].tolist()[:3] == [2.0, 2.0, 1.5]
    assert table["magnitude"].tolist()[3] == 0.0
    assert out.read_text().splitlines()[-1].endswith("c,28.0,0" + "," * 24)  # nothing is 0
    # Another window and another baseline.
    run(capsys, *arguments, "--overwrite", "--latency", 0, 1.75, "--baseline", 5)
    other = pd.read_csv(out)
    assert other["response"].tolist() == [0, 0, 1, 0, 0]
    expected = scr_table(ONE[None], RATE, events=[38, 10], latency=(0, 1.75), baseline=5)
    np.testing.assert_allclose(other["baseline_level"][:2], expected["baseline_level"])


def test_bad_files_do_not_stop_the_others(folder, tmp_path, capsys):
    write(folder / "a.csv", ["eda", "1", "nan", "2"])
    write(folder / "d.csv", ["trial,eda", "x,1", "x,2", "y,1"])
    text = write(tmp_path / "e.csv", ["hello", "world"])
    gone = tmp_path / "gone.csv"
    out = tmp_path / "scr.csv"
    status, printed, said = run(capsys, folder, text, gone, out, "--sampling-rate", RATE)
    assert status == 1
    assert "3 of 7 files done, 4 failed" in printed
    assert len(pd.read_csv(out)) == 4
    lines = dict(line.split(": ", 1) for line in said.splitlines())
    assert "1 of 3 samples are missing" in lines[str(folder / "a.csv")]
    assert "row 1 (trial y): only 1 of 1 samples" in lines[str(folder / "d.csv")]
    assert "no column holds numbers" in lines[str(text)]
    assert "does not exist" in lines[str(gone)]


def test_without_a_good_file_there_is_no_table(folder, tmp_path, capsys):
    out = tmp_path / "scr.csv"
    status, printed, said = run(capsys, folder / "b.csv", out)
    assert status == 1
    assert "0 of 1 files done, 1 failed" in printed
    assert "--sampling-rate" in said
    assert not out.exists()


def test_an_earlier_table_is_replaced_only_on_demand_and_never_a_recording(
    folder, tmp_path, capsys
):
    out = folder / "scr.csv"
    arguments = (folder, out, "--sampling-rate", RATE)
    assert run(capsys, *arguments)[0] == 0
    before = out.read_bytes()
    status, _, said = run(capsys, *arguments)
    assert (status, "exists already" in said) == (2, True)
    assert run(capsys, *arguments, "--overwrite")[0] == 0  # and is not read as a recording
    assert out.read_bytes() == before
    recording = folder / "b.csv"
    kept = recording.read_bytes()
    status, _, said = run(capsys, folder, recording, "--sampling-rate", RATE, "--overwrite")
    assert (status, "is not a table of edaemo scr" in said) == (2, True)
    assert recording.read_bytes() == kept
    status, _, said = run(capsys, recording, folder, "--sampling-rate", RATE)
    assert (status, "is a folder" in said) == (2, True)


def test_events_may_be_those_in_the_recordings(folder, tmp_path, capsys):
    session, out = folder / "S01", tmp_path / "scr.csv"
    write(session / "tags.csv", ["1544027347.0", "1544027375.0"])  # 10 and 38 s after the start
    status, _, said = run(capsys, session / "EDA.csv", out, "--events", "recording")
    assert (status, said) == (0, "")
    table = pd.read_csv(out)
    assert table["onset"].tolist() == [10, 38]
    assert table["first_latency"].tolist() == [2.0, 2.0]  # the pulses are at 12 and 40 s
    (session / "tags.csv").write_text("")
    arguments = (session / "EDA.csv", out, "--events", "recording", "--overwrite")
    status, _, said = run(capsys, *arguments)
    assert (status, said) == (1, f"{session / 'EDA.csv'}: the recording has no events.\n")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,time", "b.csv,1"], "column 'onset' is missing"),
        (["file,onset"], "the table has no events"),
        (["file,onset", "b.csv,1", "x.csv,1"], "line 3: 0 recordings are named 'x.csv'"),
        (["file,onset", "b.csv,soon"], "line 2: 'soon' is not an onset in seconds"),
        (["file,onset", "b.csv,nan"], "line 2: 'nan' is not an onset in seconds"),
    ],
)
def test_events_that_cannot_be_placed_end_with_2(folder, tmp_path, capsys, lines, message):
    events, out = write(tmp_path / "events.csv", lines), tmp_path / "scr.csv"
    status, _, said = run(capsys, folder, out, "--sampling-rate", RATE, "--events", events)
    assert status == 2
    assert f"{events}: {message}" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,onset", "c.csv,1"], "the file has 2 trials. Add a column trial"),
        (["file,onset,trial", "b.csv,1,", "c.csv,1,tusk"], "line 3: trial 'tusk' is not one of"),
    ],
)
def test_events_of_an_unknown_trial_fail_their_file(folder, tmp_path, capsys, lines, message):
    events = write(folder / "events.csv", [*lines, *(["b.csv,9,"] if "trial" in lines[0] else [])])
    out = tmp_path / "scr.csv"
    status, _, said = run(capsys, folder, out, "--sampling-rate", RATE, "--events", events)
    assert status == 1
    assert said.startswith(f"{folder / 'c.csv'}: ")
    assert message in said
    assert said.count("\n") == 1  # events.csv itself is not taken for a recording


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latency", "4", "1"], "--latency must be two times"),
        (["--latency", "1", "nan"], "--latency must be two times"),
        (["--latency", "1"], "expected 2 arguments"),
        (["--baseline", "0"], "--baseline"),
        (["--min-amplitude", "-1"], "--min-amplitude must be 0 or more"),
        (["--method", "bandpas"], "did you mean 'bandpass'"),
        (["--setting", "window=8"], "has no setting 'window'"),
        (["--missing", "drop"], "--missing"),
    ],
)
def test_wrong_arguments_end_with_2(folder, tmp_path, capsys, arguments, message):
    out = tmp_path / "scr.csv"
    status, _, said = run(capsys, folder, out, "--sampling-rate", RATE, *arguments)
    assert status == 2
    assert message in said
    assert not out.exists()


def test_a_window_of_no_sample_fails_the_files(folder, tmp_path, capsys):
    events = write(tmp_path / "events.csv", ["file,onset", "b.csv,20"])
    arguments = (folder / "b.csv", tmp_path / "scr.csv", "--sampling-rate", RATE)
    options = ("--events", events, "--latency", 1, 1.1)
    status, _, said = run(capsys, *arguments, *options)
    assert status == 1
    assert said.startswith(f"{folder / 'b.csv'}: latency covers 0.1 s, less than one sample")


def test_a_note_on_many_files_is_printed_once(tmp_path, capsys):
    for name in "abcdef":
        lines = [f"{i / 4};{5 + 0.1 * (i % 7):.2f}".replace(".", ",") for i in range(120)]
        write(tmp_path / "in" / f"{name}.csv", ["time;EDA (uS)", *lines])
    status, printed, said = run(capsys, tmp_path / "in", tmp_path / "scr.csv")
    assert (status, said) == (0, "")
    assert printed.count("delimiter ;") == 1
    assert "Note: 6 files (" in printed
