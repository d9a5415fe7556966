"""The command ``edaemo decompose``, and the reading and writing behind it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edaemo.cli import main
from edaemo.datasets import DatasetError
from edaemo.datasets._recordings import find_recordings, read_recording
from edaemo.decomposition import DecompositionError, decompose
from edaemo.preprocessing import _files, _finished

# What is said of a file's layout is tested in test_recordings.py.
pytestmark = pytest.mark.filterwarnings("ignore::edaemo.datasets.RecordingWarning")

# Eight seconds at 4 Hz with two responses.
LINES = """
0.412031 0.410750 0.413312 0.415874 0.432530 0.478654 0.541430 0.599081
0.640079 0.661858 0.668264 0.663139 0.649047 0.631110 0.610611 0.591393
0.573456 0.558082 0.546552 0.535021 0.527334 0.589111 0.683923 0.752110
0.790541 0.803352 0.798228 0.781573 0.758511 0.734168 0.711107 0.690608
"""
SAMPLES = LINES.split()
EDA = np.array([float(sample) for sample in SAMPLES])
COLUMNS = ["time", "eda", "phasic", "tonic", "driver", "residual", "quality"]
E4_DATE = "\r\n".join(["2013-02-20 17:55:19", "4.0", *SAMPLES, ""])
E4_UNIX = "\n".join(["1544027337.000000", "4.000000", *SAMPLES, ""])
E4_COLUMNS = "\n".join(["1544027337.00, 1544027337.00", "4.000000, 4.000000", *SAMPLES, ""])
TABLE = "\n".join(["eda", *SAMPLES, ""])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of `edaemo decompose`."""
    try:
        status = main(["decompose", *map(str, arguments)])
    except SystemExit as ended:
        status = ended.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def files_in(folder: Path) -> list[str]:
    """Return all files below a folder, hidden ones too, except the record of finished files."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _finished.NAME)
    return sorted(path.relative_to(folder).as_posix() for path in files)


class TestReading:
    @pytest.mark.parametrize("text", [E4_DATE, E4_UNIX, E4_COLUMNS, "\ufeff" + E4_DATE])
    def test_e4_gives_samples_and_its_own_rate(self, tmp_path, text):
        for rate in (None, 4):
            eda, own = read_recording(write(tmp_path / "EDA.csv", text), sampling_rate=rate)
            assert_array_equal(eda, EDA)
            assert eda.dtype == np.float64
            assert own == 4.0

    @pytest.mark.parametrize(
        ("lines", "column"),
        [
            (SAMPLES, None),
            (["conductance", *SAMPLES], None),
            (["2013-02-20", *SAMPLES], None),
            (["when,conductance", *(f"12:00,{one}" for one in SAMPLES)], None),
            (["time,EDA,hr", *(f"{i / 8},{one},60" for i, one in enumerate(SAMPLES))], None),
            (["time, Gsr", *(f"{i / 8}, {one}" for i, one in enumerate(SAMPLES))], None),
            (["a,b", *(f"{i},{one}" for i, one in enumerate(SAMPLES))], "b"),
            (["eda,left", *(f"{i},{one}" for i, one in enumerate(SAMPLES))], "left"),
        ],
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n"])
    def test_csv_variants(self, tmp_path, lines, column, end):
        newline = "\r\n" if end == "\r\n" else "\n"
        file = write(tmp_path / "a.csv", newline.join(lines) + end)
        eda, rate = read_recording(file, sampling_rate=8, column=column)
        assert_array_equal(eda, EDA)
        assert rate == 8.0

    def test_what_says_missing_is_missing(self, tmp_path):
        file = write(tmp_path / "a.csv", 'eda\n1\n\nNaN\nNA\n""\n2\n""\n')
        eda, _ = read_recording(file, sampling_rate=4)
        assert_array_equal(eda, [1, np.nan, np.nan, np.nan, np.nan, 2, np.nan])
        file = write(tmp_path / "a.csv", "\n1\n\n2\n")
        eda, _ = read_recording(file, sampling_rate=4)
        assert_array_equal(eda, [np.nan, 1, np.nan, 2])
        file = write(tmp_path / "EDA.csv", "1544027337.0\n4.0\n1\nnan\n\n2\n")
        assert_array_equal(read_recording(file)[0], [1, np.nan, np.nan, 2])

    @pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "Int64", "float64[pyarrow]"])
    def test_parquet_gives_the_numbers_of_its_column(self, tmp_path, dtype):
        file = tmp_path / "a.parquet"
        values = pd.Series([3, 1, 2], dtype=dtype, index=[5, 6, 8])
        pd.DataFrame({"name": ["a", "b", "c"], "skin": values}, index=[5, 6, 8]).to_parquet(file)
        eda, rate = read_recording(file, sampling_rate=16)
        assert_array_equal(eda, [3.0, 1.0, 2.0])
        assert eda.dtype == np.float64
        assert rate == 16.0

    def test_parquet_nulls_are_missing(self, tmp_path):
        pd.DataFrame({"eda": pd.Series([3, None, 2], dtype="Int64")}).to_parquet(
            tmp_path / "a.parquet"
        )
        eda, _ = read_recording(tmp_path / "a.parquet", sampling_rate=16)
        assert_array_equal(eda, [3, np.nan, 2])

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("a.csv", "", "empty"),
            ("a.csv", "\n \n", "empty"),
            ("a.csv", "eda\n", "no samples"),
            ("a.csv", "eda\n1\nx7\n", "line 3 does not hold a number: 'x7'"),
            ("a.csv", "0.5;1\n0.6;2\n", "2 columns and no header"),
            ("a.csv", "1,2\n3,4\n", "2 columns and no header"),
            ("a.csv", "eda,t\n1,2\n3\n", "line 3 has 1 columns, the header has 2"),
            ("a.csv", "eda,gsr\n1,2\n", "more than one column may be the EDA"),
            ("a.csv", "a,b\n1,2\n", "The columns are ['a', 'b']"),
            ("a.csv", "eda,eda\n1,2\n", "more than one column is named 'eda'"),
            ("a.csv", 'eda\n"1" 2\n', "not a comma-separated table"),
            ("EDA.csv", "2013-02-20 17:55:19\n4.0\n", "no samples"),
            ("EDA.csv", "2013-02-20 17:55:19\n", "line 2 is not a sampling rate"),
            ("EDA.csv", "2013-02-20 17:55:19\r\nx\r\n1\r\n", "line 2 is not a sampling rate: 'x'"),
            ("EDA.csv", "1544027337.0\n0\n1\n", "line 2 is not a sampling rate: '0'"),
            ("EDA.csv", "1544027337.0\n4.0\n1,2,3\n", "line 3 holds 3 values"),
            ("t.csv", "1544027337.0\n1544027399.0\n", "line 2 is not a sampling rate"),
            ("TEMP.csv", E4_UNIX, "this is not EDA"),
            ("a.parquet", "no such thing", "not a readable parquet file"),
        ],
    )
    def test_foreign_files_are_errors_that_begin_with_the_path(self, tmp_path, name, text, said):
        file = write(tmp_path / name, text)
        with pytest.raises(DatasetError) as raised:
            read_recording(file, sampling_rate=4)
        assert str(raised.value).startswith(f"{file}: ")
        assert said in str(raised.value)

    def test_bytes_missing_files_and_folders_are_errors(self, tmp_path):
        (tmp_path / "a.csv").write_bytes(b"\x81\x93")
        (tmp_path / "folder.csv").mkdir()
        for name, said in (
            ("a.csv", "not a text in UTF-8"),
            ("none.csv", "does not exist"),
            ("folder.csv", "a folder"),
        ):
            with pytest.raises(DatasetError, match=f"{name}: .*{said}"):
                read_recording(tmp_path / name, sampling_rate=4)

    def test_a_column_must_be_there_and_hold_numbers(self, tmp_path):
        table = write(tmp_path / "a.csv", "a,b\n1,x\n")
        with pytest.raises(DatasetError, match=r"no column is named 'c'.*\['a', 'b'\]"):
            read_recording(table, sampling_rate=4, column="c")
        with pytest.raises(DatasetError, match="line 2 does not hold a number: 'x'"):
            read_recording(table, sampling_rate=4, column="b")
        with pytest.raises(DatasetError, match="no header, so no column is named 'a'"):
            read_recording(write(tmp_path / "b.csv", "1\n2\n"), sampling_rate=4, column="a")
        frame = pd.DataFrame({"eda": [[1.0, 2.0]], "text": ["x"], "yes": [True], "n": [1]})
        frame.to_parquet(tmp_path / "a.parquet")
        for column, holds in ((None, "list"), ("text", "string"), ("yes", "bool")):
            with pytest.raises(DatasetError, match=f"holds .*{holds}.*, not numbers"):
                read_recording(tmp_path / "a.parquet", sampling_rate=4, column=column)

    def test_an_unknown_rate_and_a_contradicted_one_are_errors(self, tmp_path):
        with pytest.raises(DatasetError, match=r"a\.csv: .*sampling rate.*--sampling-rate"):
            read_recording(write(tmp_path / "a.csv", TABLE))
        with pytest.raises(DatasetError, match=r"EDA\.csv: line 2 gives 4 Hz, but .* 32 Hz"):
            read_recording(write(tmp_path / "EDA.csv", E4_UNIX), sampling_rate=32)
        with pytest.raises(ValueError, match="sampling_rate"):
            read_recording(tmp_path / "EDA.csv", sampling_rate=-1)


class TestFinding:
    def test_folders_are_searched_at_any_depth_for_recordings_only(self, tmp_path):
        for name in ("EDA.csv", "ACC.csv", "BVP.csv", "HR.csv", "IBI.csv", "TEMP.csv", "tags.csv"):
            write(tmp_path / "S01" / "deep" / name, E4_DATE)
        for name in ("b.CSV", "c.parquet", "notes.md", ".hidden.csv", "._EDA.csv", "lone/HR.csv"):
            write(tmp_path / name, TABLE)
        found = [relative.as_posix() for _, relative in find_recordings([tmp_path])]
        assert sorted(found) == ["S01/deep/EDA.csv", "b.CSV", "c.parquet", "lone/HR.csv"]
        assert all(path == tmp_path / relative for path, relative in find_recordings([tmp_path]))

    def test_the_folder_for_results_is_not_searched(self, tmp_path):
        write(tmp_path / "a.csv", TABLE)
        write(tmp_path / "out" / "a.csv", TABLE)
        for out, n in ((tmp_path / "out", 1), (tmp_path, 2), (tmp_path.parent, 2), (None, 2)):
            assert len(find_recordings([tmp_path], leave_out=out)) == n
        assert len(find_recordings([tmp_path / "out"], leave_out=tmp_path)) == 1

    def test_a_folder_without_recordings_is_an_error(self, tmp_path, capsys):
        write(tmp_path / "in" / "notes.txt", "")
        status, _, said = run(capsys, tmp_path / "in", tmp_path / "out")
        assert status == 2
        assert "holds no recording" in said


class TestResult:
    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_components_add_up_to_the_input_and_are_those_of_the_z_scored_one(
        self, tmp_path, capsys, suffix
    ):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        assert run(capsys, file, tmp_path / "out", "--format", suffix)[0] == 0
        path = tmp_path / "out" / f"EDA.{suffix}"
        result = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
        assert list(result) == COLUMNS
        assert set(result.dtypes.astype(str)) == {"float64"}
        assert_array_equal(result["time"], np.arange(32) / 4)
        assert_array_equal(result["eda"], EDA)
        total = result["phasic"] + result["tonic"] + result["residual"]
        assert_allclose(total, EDA, rtol=0, atol=1e-14)
        own = decompose((EDA - EDA.mean()) / EDA.std(), 4.0)
        assert_allclose(result["phasic"], EDA.std() * own.phasic, rtol=1e-9, atol=1e-12)
        assert_allclose(result["driver"], EDA.std() * own.driver, rtol=1e-9, atol=1e-12)
        assert_allclose(result["tonic"], EDA.mean() + EDA.std() * own.tonic, rtol=1e-9)
        assert result["phasic"].max() > 0.05

    def test_all_kinds_of_files_with_the_same_samples_have_the_same_result(self, tmp_path, capsys):
        write(tmp_path / "in" / "unix" / "EDA.csv", E4_UNIX)
        write(tmp_path / "in" / "date" / "EDA.csv", E4_DATE)
        write(tmp_path / "in" / "plain_eda.csv", "\n".join(SAMPLES))
        rows = (f"{i / 4},{one},1" for i, one in enumerate(SAMPLES))
        write(tmp_path / "in" / "table.csv", "\n".join(["t,eda,x", *rows]))
        pd.DataFrame({"eda": EDA, "x": 1.0}).to_parquet(tmp_path / "in" / "b.parquet")
        arguments = (tmp_path / "in", tmp_path / "out", "--sampling-rate", 4, "--jobs", 2)
        status, printed, said = run(capsys, *arguments)
        assert (status, said) == (0, "")
        assert "5 of 5 files done, 0 failed" in printed
        assert files_in(tmp_path / "out") == [
            "b.csv",
            "date/EDA.csv",
            "plain_eda.csv",
            "table.csv",
            "unix/EDA.csv",
        ]
        assert len({(tmp_path / "out" / f).read_text() for f in files_in(tmp_path / "out")}) == 1

    def test_a_column_given_is_the_one_decomposed(self, tmp_path, capsys):
        rows = (f"{i},{one}" for i, one in enumerate(SAMPLES))
        file = write(tmp_path / "a.csv", "\n".join(["eda,left", *rows]))
        run(capsys, file, tmp_path / "out", "--sampling-rate", 4, "--column", "left")
        assert_array_equal(pd.read_csv(tmp_path / "out" / "a.csv")["eda"], EDA)

    def test_a_constant_recording_is_all_tonic_and_a_note_says_so(self, tmp_path, capsys):
        file = write(tmp_path / "a.csv", "eda\n" + "0.7\n" * 40)
        status, printed, _ = run(capsys, file, tmp_path / "out", "--sampling-rate", 4)
        assert status == 0
        assert f"Note: {file}: constant" in printed
        result = pd.read_csv(tmp_path / "out" / "a.csv")
        assert_allclose(result["tonic"], 0.7, rtol=1e-15)
        assert not result[["phasic", "driver"]].to_numpy().any()

    def test_missing_samples_are_an_error_or_interpolated(self, tmp_path, capsys):
        holed = [*SAMPLES]
        holed[9], holed[10], holed[31] = "nan", "", "inf"
        file = write(tmp_path / "a.csv", "\n".join(["eda", *holed]))
        arguments = (file, tmp_path / "out", "--sampling-rate", 4)
        status, _, said = run(capsys, *arguments)
        assert status == 1
        assert said.startswith(f"{file}: 3 of 32 samples are missing")
        assert "sample 9," in said
        status, printed, _ = run(capsys, *arguments, "--missing", "interpolate")
        assert status == 0
        assert f"Note: {file}: 3 of 32 samples were interpolated." in printed
        result = pd.read_csv(tmp_path / "out" / "a.csv")
        known = np.isfinite(result["eda"])
        assert list(np.flatnonzero(~known)) == [9, 10, 31]
        total = (result["phasic"] + result["tonic"] + result["residual"]).to_numpy()
        assert_allclose(total[known], EDA[known], rtol=0, atol=1e-14)
        between = EDA[8] + (EDA[11] - EDA[8]) * np.array([1, 2]) / 3
        assert_allclose(total[[9, 10, 31]], [*between, EDA[30]], rtol=0, atol=1e-14)

    def test_masked_samples_have_no_weight_and_no_residual(self, tmp_path, capsys):
        holed = [*SAMPLES]
        holed[9], holed[10], holed[31] = "nan", "", "inf"
        file = write(tmp_path / "a.csv", "\n".join(["eda", *holed]))
        arguments = (file, tmp_path / "out", "--sampling-rate", 4, "--missing", "mask")
        status, printed, _ = run(capsys, *arguments)
        assert status == 0
        assert f"Note: {file}: 3 of 32 samples were masked." in printed
        result = pd.read_csv(tmp_path / "out" / "a.csv")
        known = np.isfinite(result["eda"].to_numpy())
        assert list(np.flatnonzero(~known)) == [9, 10, 31]
        assert_array_equal(result["residual"].isna(), ~known)
        assert np.isfinite(result[["phasic", "tonic", "driver"]]).all(axis=None)
        mean, spread = EDA[known].mean(), EDA[known].std()
        own = decompose(np.where(known, (EDA - mean) / spread, np.nan), 4.0, missing="mask")
        assert_allclose(result["phasic"], spread * own.phasic, rtol=1e-9, atol=1e-12)
        assert_allclose(result["tonic"], mean + spread * own.tonic, rtol=1e-9)
        total = (result["phasic"] + result["tonic"] + result["residual"]).to_numpy()
        assert_allclose(total[known], EDA[known], rtol=0, atol=1e-14)


class TestManyFiles:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_bad_files_do_not_stop_the_others(self, tmp_path, capsys, jobs):
        bad = {
            "b": ("eda\n1\nnan\n2\n", "sample 1,"),
            "c": ("", "empty"),
            "d": ("eda\n0.5\n", "too short: 1 sample"),
            "e": ("hello\nworld\n", "no column holds numbers"),
            "g": ("eda\nnan\nnan\n", "all samples are missing"),
        }
        good = [write(tmp_path / f"{name}.csv", TABLE) for name in "afh"]
        files = sorted([*good, *(write(tmp_path / f"{n}.csv", bad[n][0]) for n in bad)])
        files.insert(2, tmp_path / "gone.csv")
        arguments = (*files, tmp_path / "out", "--sampling-rate", 4, "--jobs", jobs)
        status, printed, said = run(capsys, *arguments)
        assert status == 1
        assert "3 of 9 files done, 6 failed" in printed
        assert files_in(tmp_path / "out") == ["a.csv", "f.csv", "h.csv"]
        lines = said.splitlines()
        assert [line.split(": ")[0] for line in lines] == [
            str(file) for file in files if file not in good
        ]
        for line in lines:
            name = Path(line.split(": ")[0]).stem
            assert bad.get(name, ("", "does not exist"))[1] in line

    def test_only_the_files_whose_rate_is_wrong_or_unknown_fail(self, tmp_path, capsys):
        write(tmp_path / "in" / "E4" / "EDA.csv", E4_UNIX)
        write(tmp_path / "in" / "plain.csv", TABLE)
        status, _, said = run(capsys, tmp_path / "in", tmp_path / "a")
        assert status == 1
        assert said.startswith(f"{tmp_path / 'in' / 'plain.csv'}: ")
        assert files_in(tmp_path / "a") == ["E4/EDA.csv"]
        status, _, said = run(capsys, tmp_path / "in", tmp_path / "b", "--sampling-rate", "8")
        assert status == 1
        assert "4 Hz" in said
        assert "8 Hz" in said
        assert files_in(tmp_path / "b") == ["plain.csv"]

    def test_a_dead_worker_is_reported_for_the_files_without_an_answer(self, tmp_path):
        def die(path: Path) -> tuple[np.ndarray, float]:
            (tmp_path / f".{path.name}.part").write_text("time,eda")
            os.kill(os.getpid(), signal.SIGKILL)

        plan = [(Path(f"{name}.csv"), tmp_path / f"{name}.csv") for name in "ab"]
        outcomes = _files.decompose_files(plan, die, n_jobs=2)
        assert [outcome.source for outcome in outcomes] == [Path("a.csv"), Path("b.csv")]
        for outcome in outcomes:
            assert outcome.error.startswith(f"{outcome.source}: a worker process died")
        assert files_in(tmp_path) == []

    def test_outcomes_are_in_the_order_of_the_files_whichever_is_done_first(self, tmp_path):
        def read(path: Path) -> tuple[np.ndarray, float]:
            time.sleep(1.0 if path.name == "a.csv" else 0.0)
            return EDA, 4.0

        plan = [(Path(f"{name}.csv"), tmp_path / f"{name}.csv") for name in "abc"]
        outcomes = _files.decompose_files(plan, read, n_jobs=2)
        assert [outcome.source.name for outcome in outcomes] == ["a.csv", "b.csv", "c.csv"]

    def test_running_out_of_memory_fails_that_file_alone(self, tmp_path):
        def read(path: Path) -> tuple[np.ndarray, float]:
            if path.name == "b.csv":
                raise MemoryError
            return EDA, 4.0

        plan = [(Path(f"{name}.csv"), tmp_path / f"{name}.csv") for name in "abc"]
        outcomes = _files.decompose_files(plan, read)
        assert [outcome.error is None for outcome in outcomes] == [True, False, True]
        assert outcomes[1].error.startswith("b.csv: not enough memory")

    def test_the_bar_is_quiet_where_stderr_is_no_terminal(self, tmp_path, capsys, monkeypatch):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        assert run(capsys, file, tmp_path / "quiet")[2] == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert "1/1" in run(capsys, file, tmp_path / "loud")[2]


class TestOutputs:
    def test_two_inputs_with_one_output_are_refused_before_anything_is_done(self, tmp_path, capsys):
        first = write(tmp_path / "S01" / "EDA.csv", E4_DATE)
        second = write(tmp_path / "S02" / "EDA.csv", E4_DATE)
        status, _, said = run(capsys, first, second, tmp_path / "out")
        assert status == 2
        assert str(first) in said
        assert str(second) in said
        assert not (tmp_path / "out").exists()
        other = write(tmp_path / "S01" / "EDA.parquet", "")
        assert run(capsys, first, other, tmp_path / "out")[0] == 2
        assert run(capsys, first, first, tmp_path / "out")[0] == 2
        other.unlink()
        assert run(capsys, tmp_path, tmp_path / "out")[0] == 0
        assert files_in(tmp_path / "out") == ["S01/EDA.csv", "S02/EDA.csv"]

    def test_existing_outputs_are_replaced_only_when_told_to(self, tmp_path, capsys):
        files = [write(tmp_path / f"{name}.csv", TABLE) for name in "ab"]
        old = write(tmp_path / "out" / "b.csv", "old")
        arguments = (*files, tmp_path / "out", "--sampling-rate", 4)
        status, _, said = run(capsys, *arguments)
        assert status == 2
        assert str(old) in said
        assert "--overwrite" in said
        assert files_in(tmp_path / "out") == ["b.csv"]
        assert old.read_text() == "old"
        assert run(capsys, *arguments, "--overwrite")[0] == 0
        assert list(pd.read_csv(old)) == COLUMNS

    def test_results_inside_the_folder_given_are_not_taken_for_recordings(self, tmp_path, capsys):
        write(tmp_path / "S01" / "EDA.csv", E4_DATE)
        for _ in range(2):
            assert run(capsys, tmp_path, tmp_path / "out", "--overwrite")[0] == 0
            assert files_in(tmp_path / "out") == ["S01/EDA.csv"]

    def test_a_decomposition_that_fails_is_said_of_its_file(self, tmp_path, capsys, monkeypatch):
        def fail(*arguments: object, **settings: object) -> None:
            raise DecompositionError("cvxEDA did not converge: spent", "spent", 1.0)

        for name in ("solve", "solve_many"):
            monkeypatch.setattr(f"edaemo.decomposition._cvxeda.{name}", fail)
        file = write(tmp_path / "EDA.csv", E4_DATE.replace("0.69", "0.99"))
        status, _, said = run(capsys, file, tmp_path / "out")
        assert status == 1
        assert said == f"{file}: cvxEDA did not converge: spent\n"
        assert files_in(tmp_path / "out") == []

    def test_the_function_refuses_an_existing_output_too(self, tmp_path):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        old = write(tmp_path / "old.csv", "old")
        with pytest.raises(FileExistsError, match="exists already"):
            _files.decompose_file(file, old, read_recording)
        assert old.read_text() == "old"

    def test_recordings_are_never_overwritten(self, tmp_path, capsys):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        for given in (file, tmp_path):
            status, _, said = run(capsys, given, tmp_path, "--overwrite")
            assert status == 2
            assert "is itself a recording" in said
        assert file.read_bytes() == E4_DATE.encode()

    def test_a_file_in_the_place_of_the_folder_is_refused(self, tmp_path, capsys):
        files = [write(tmp_path / f"{name}.csv", TABLE) for name in "ab"]
        status, _, said = run(capsys, *files, "--sampling-rate", 4)
        assert status == 2
        assert "b.csv is a file" in said
        assert files[1].read_text() == TABLE

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_a_write_that_breaks_off_leaves_the_old_output_and_nothing_else(
        self, tmp_path, capsys, monkeypatch, suffix
    ):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        old = write(tmp_path / "out" / f"EDA.{suffix}", "old")

        def write_half(table: pd.DataFrame, path: Path, **settings: object) -> None:
            Path(path).write_text("time,eda\n0.0,0.4")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pd.DataFrame, f"to_{suffix}", write_half)
        arguments = (file, tmp_path / "out", "--overwrite", "--format", suffix)
        status, _, said = run(capsys, *arguments)
        assert status == 1
        assert said.startswith(f"{file}: ")
        assert "No space left" in said
        assert files_in(tmp_path / "out") == [f"EDA.{suffix}"]
        assert old.read_text() == "old"
        with pytest.raises(OSError, match="No space left"):
            _files.decompose_file(file, old, read_recording, overwrite=True)
        assert files_in(tmp_path / "out") == [f"EDA.{suffix}"]

    def test_an_output_that_cannot_be_written_fails_alone(self, tmp_path, capsys):
        for name in ("S01", "S02"):
            write(tmp_path / "in" / name / "EDA.csv", E4_DATE)
        write(tmp_path / "out" / "S01", "a file where a folder should be")
        status, _, said = run(capsys, tmp_path / "in", tmp_path / "out")
        assert status == 1
        assert said.startswith(str(tmp_path / "in" / "S01" / "EDA.csv"))
        assert files_in(tmp_path / "out") == ["S01", "S02/EDA.csv"]


class TestCommand:
    def test_what_holds_of_many_files_is_printed_once(self, tmp_path, capsys):
        eda = "".join(f"{2 + i % 7 / 10}\n" for i in range(60))
        for i in range(7):
            write(tmp_path / "in" / f"{i}.csv", f"eda\n{eda}")
            write(tmp_path / "in" / f"e4_{i}" / "EDA.csv", f"1600000000\n4\n0.0\n{eda}")
        for i in range(3):
            write(tmp_path / "in" / f"empty{i}.csv", "")
        status, out, err = run(
            capsys, tmp_path / "in", tmp_path / "out", "--method", "highpass", "--jobs", 1
        )
        assert status == 1
        notes = [line for line in out.splitlines() if "the first sample is 0." in line]
        assert len(notes) == 1
        assert notes[0].startswith("Note: 7 files (")
        lines = [line for line in err.splitlines() if ": " in line]
        assert [line.endswith("the file is empty.") for line in lines].count(True) == 3
        (line,) = (line for line in lines if "does not contain its sampling rate" in line)
        first = ", ".join(str(tmp_path / "in" / f"{i}.csv") for i in range(5))
        assert line.startswith(f"7 files ({first} and 2 more): the file does not contain")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--sampling-rate", "0"],
            ["--sampling-rate", "-4"],
            ["--sampling-rate", "nan"],
            ["--sampling-rate", "four"],
            ["--jobs", "0"],
            ["--jobs", "-3"],
            ["--format", "xlsx"],
            ["--missing", "drop"],
        ],
    )
    def test_wrong_arguments_end_with_2(self, tmp_path, capsys, arguments):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        status, _, said = run(capsys, file, tmp_path / "out", *arguments)
        assert status == 2
        assert arguments[0] in said
        assert not (tmp_path / "out").exists()

    def test_without_pyarrow_one_line_says_what_to_install(self, tmp_path, capsys, monkeypatch):
        file = write(tmp_path / "EDA.csv", E4_DATE)
        pd.DataFrame({"eda": EDA}).to_parquet(tmp_path / "a.parquet")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        status, _, said = run(capsys, file, tmp_path / "out", "--format", "parquet")
        assert status == 2
        assert "pip install edaemo[parquet]" in said
        assert not (tmp_path / "out").exists()
        arguments = (tmp_path / "a.parquet", file, tmp_path / "out", "--sampling-rate", 4)
        status, _, said = run(capsys, *arguments)
        assert status == 1
        assert said.count("\n") == 1
        assert said.startswith(f"{tmp_path / 'a.parquet'}: ")
        assert "pip install edaemo[parquet]" in said
        assert files_in(tmp_path / "out") == ["EDA.csv"]

    def test_version_and_help_take_no_numpy(self):
        for argument in ("'--version'", "'decompose', '--help'"):
            code = (
                "import sys\nfrom edaemo.cli import main\n"
                f"try: main([{argument}])\n"
                "except SystemExit: print('\\n', sorted({'numpy', 'pandas'} & set(sys.modules)))"
            )
            printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert printed.stdout.strip().endswith("[]")

    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_ctrl_c_keeps_finished_files_and_leaves_no_partial_one(self, tmp_path, jobs):
        out = tmp_path / "out"
        # So many that it takes seconds.
        for name in range(400):
            write(tmp_path / "in" / f"{name:03}.csv", "eda\n" + "\n".join(SAMPLES * 20))
        command = [sys.executable, "-m", "edaemo.cli", "decompose", tmp_path / "in", out]
        process = subprocess.Popen(
            [*command, "--sampling-rate", "4", "--jobs", jobs],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A job in the background of a shell would ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and not list(out.glob("*.csv")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers as well
        _, said = process.communicate(timeout=120)
        assert process.returncode == 130, said
        assert "Interrupted. Finished files are complete" in said
        assert 1 <= len(files_in(out)) < 400
        for name in files_in(out):
            assert name.endswith(".csv")
            assert not name.startswith(".")
            assert len(pd.read_csv(out / name)) == 640


@pytest.mark.parametrize(("method", "form"), [("cvxeda", "csv"), ("highpass", "parquet")])
def test_a_picture_is_drawn_next_to_each_result(tmp_path, capsys, method, form):
    time = np.arange(400) / 4
    wave = 5 + 0.3 * np.sin(time / 3) + 0.01 * time
    write(tmp_path / "in" / "a" / "one.csv", "eda\n" + "\n".join(map(str, wave)))
    write(tmp_path / "in" / "bad.csv", "eda\nx\n")
    status, _, _ = run(
        capsys,
        *(tmp_path / "in", tmp_path / "out", "--sampling-rate", 4),
        *("--method", method, "--format", form, "--plot"),
    )
    assert status == 1
    assert files_in(tmp_path / "out") == ["a/one." + form, "a/one.png"]
    assert (tmp_path / "out" / "a" / "one.png").read_bytes().startswith(b"\x89PNG")
