"""Runs in folders of others, runs that are killed, and disks that are full."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from edaemo.cli import main
from edaemo.preprocessing import _finished, decompose_files

PATIENCE = 120
ROOT = Path(__file__).parents[1]
# Modules that the process, its workers and their helpers import.
IMPORTED = (
    *("numpy", "scipy", "pandas", "sklearn", "joblib", "matplotlib", "torch", "skorch", "tqdm"),
    *("json", "random", "multiprocessing", "threading", "pickle", "sitecustomize", "edaemo"),
)


def start(code: str, folder: Path, *arguments: object) -> subprocess.Popen:
    """Start Python in a folder as the script ``edaemo`` does, without the folder on its path."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


COMMAND = "import sys; from edaemo.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A folder with modules that write a file when they are imported."""
    for name in IMPORTED:
        text = f"from pathlib import Path\nPath(__file__).with_name('ran-{name}').touch()\n"
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def ran(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("ran-*"))


def write_recordings(folder: Path, n: int, n_samples: int = 160) -> list[Path]:
    folder.mkdir(parents=True)
    files = []
    for number in range(n):
        steps = np.random.default_rng(number).normal(0, 0.02, size=n_samples)
        table = pd.DataFrame({"eda": 5 + np.cumsum(steps)})
        table.to_csv(folder / f"{number:03}.csv", index=False)
        files.append(folder / f"{number:03}.csv")
    return files


def test_a_foreign_module_is_run_if_the_folder_is_on_the_path(foreign):
    """The modules of the other tests would be run."""
    subprocess.run([sys.executable, "-c", "import tqdm"], cwd=foreign, check=False)
    assert "ran-tqdm" in ran(foreign)


def test_commands_and_their_workers_run_no_module_of_the_current_folder(foreign):
    write_recordings(foreign / "in", 4)
    arguments = ["decompose", "in", "out", "--sampling-rate", 4, "--jobs", 2, "--plot"]
    with start(COMMAND, foreign, *arguments) as process:
        printed, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert "4 of 4 files done" in printed
    assert ran(foreign) == []


def test_a_plugin_of_the_current_folder_is_imported_and_hides_no_library(foreign):
    (foreign / "my_plugin.py").write_text("open('plugin-ran', 'w').close()\n")
    write_recordings(foreign / "in", 2)
    arguments = ["decompose", "in", "out", "--sampling-rate", 4, "--jobs", 2]
    with start(COMMAND, foreign, *arguments, "--plugin", "my_plugin") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert (foreign / "plugin-ran").exists()
    assert ran(foreign) == []


def test_workers_of_folds_run_no_module_of_the_current_folder(foreign):
    code = """
import os
from joblib import delayed
from edaemo._processes import worker_processes
from edaemo.evaluation._worker import begin_worker
with worker_processes(2, begin=begin_worker, backend="loky") as pool:
    assert os.environ["PYTHONSAFEPATH"] == "1"
    print(len(set(pool(delayed(os.getpid)() for _ in range(40))) - {os.getpid()}) > 0)
print("PYTHONSAFEPATH" in os.environ)
"""
    with start(code, foreign) as process:
        printed, said = process.communicate(timeout=PATIENCE)
    assert printed.split() == ["True", "False"], said
    assert ran(foreign) == []


# Decompositions that are killed, and continued ------------------------------------------------


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    try:
        status = main(["decompose", *map(str, arguments)])
    except SystemExit as ended:
        status = ended.code
    return status, *capsys.readouterr()


def test_a_killed_decomposition_leaves_no_process_and_is_continued(tmp_path, capsys):
    write_recordings(tmp_path / "in", 150, 1200)
    arguments = [tmp_path / "in", tmp_path / "out", "--sampling-rate", 4]
    process = start(COMMAND, tmp_path, "decompose", *arguments, "--jobs", 2)
    end = time.monotonic() + PATIENCE
    while len(list(tmp_path.glob("out/*.csv"))) < 3:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    (tmp_path / "out" / ".000.csv.part").write_text("time,eda")  # as a worker that was killed
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*.csv")}
    assert 3 <= len(before) < 150
    status, printed, _ = run(capsys, *arguments)
    assert status == 0
    assert f"{len(before)} of 150 files were done before with the same settings" in printed
    assert "150 of 150 files done, 0 failed" in printed
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(tmp_path.glob("out/.*.part"))
    assert run(capsys, *arguments[:1], tmp_path / "whole", *arguments[2:])[0] == 0
    for path in tmp_path.glob("whole/*.csv"):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [["--setting", "alpha=0.01"], ["--repair", "interpolate"], ["--sampling-rate", "8"]],
    ids=["setting", "repair", "rate"],
)
def test_results_of_other_settings_are_not_taken_for_those_of_now(tmp_path, capsys, change):
    write_recordings(tmp_path / "in", 2)
    arguments = [tmp_path / "in", tmp_path / "out", "--sampling-rate", 4]
    assert run(capsys, *arguments)[0] == 0
    status, _, said = run(capsys, *arguments, *change)
    assert status == 2
    assert "2 of 2 outputs exist already" in said
    status, printed, _ = run(capsys, *arguments)
    assert (status, "2 of 2 files were done before" in printed) == (0, True)


@pytest.mark.parametrize("changed", ["recording", "result"])
def test_a_recording_or_result_that_was_changed_is_not_skipped(tmp_path, capsys, changed):
    write_recordings(tmp_path / "in", 2)
    arguments = [tmp_path / "in", tmp_path / "out", "--sampling-rate", 4]
    assert run(capsys, *arguments)[0] == 0
    path = tmp_path / {"recording": "in", "result": "out"}[changed] / "001.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"5.", b"4.", 1))
    assert path.read_bytes() != content
    status, _, said = run(capsys, *arguments)
    assert status == 2
    assert "1 of 2 outputs exist already" in said and "out/001.csv" in said


def test_notes_of_skipped_files_are_printed_again_and_a_lost_result_is_computed(tmp_path, capsys):
    files = write_recordings(tmp_path / "in", 2)
    pd.DataFrame({"eda": np.full(160, 5.0)}).to_csv(files[1], index=False)
    arguments = [tmp_path / "in", tmp_path / "out", "--sampling-rate", 4]
    first = run(capsys, *arguments)[1].splitlines()
    assert any("constant" in line for line in first)
    (tmp_path / "out" / "000.csv").unlink()
    with (tmp_path / "out" / _finished.NAME).open("a") as record:
        record.write('{"output": "000')  # as on a full disk
    second = run(capsys, *arguments)[1].splitlines()
    assert [line for line in second if line.startswith("Note")] == first[:-1]
    assert second[-2].startswith("1 of 2 files were done before")
    third = run(capsys, *arguments)[1].splitlines()
    assert third[-2].startswith("2 of 2 files were done before")


def test_a_full_disk_is_one_error_and_the_same_command_continues(tmp_path, capsys, monkeypatch):
    files = write_recordings(tmp_path / "in", 6)
    to_csv = pd.DataFrame.to_csv

    def fill(table: pd.DataFrame, path: Path, **settings: object) -> None:
        if len(list(tmp_path.glob("out/*.csv"))) == 2:
            raise OSError(28, "No space left on device")
        to_csv(table, path, **settings)

    monkeypatch.setattr(pd.DataFrame, "to_csv", fill)
    arguments = [tmp_path / "in", tmp_path / "out", "--sampling-rate", 4]
    status, printed, said = run(capsys, *arguments)
    assert status == 1
    assert "2 of 6 files done, 1 failed" in printed
    error, rest = said.splitlines()
    assert error.startswith(f"{files[2]}: ") and "No space left" in error
    assert rest.startswith("3 files were not tried") and "repeat the same command" in rest
    monkeypatch.setattr(pd.DataFrame, "to_csv", to_csv)
    status, printed, _ = run(capsys, *arguments)
    assert status == 0
    assert "2 of 6 files were done before" in printed


@pytest.mark.usefixtures("slow_thread")
def test_a_full_disk_ends_the_workers_without_a_warning(tmp_path):
    def read(path: Path) -> tuple[np.ndarray, float]:
        raise OSError(28, "No space left on device")

    plan = [(Path(f"{name}.csv"), tmp_path / f"{name}.csv") for name in range(20)]
    outcomes = decompose_files(plan, read, n_jobs=2)
    states = [outcome.state for outcome in outcomes]
    assert states.count("failed") == 1
    assert states.count("not tried") == 19


@pytest.mark.parametrize(
    "command",
    [
        ["decompose", "in", "OUT", "--sampling-rate", "4"],
        ["compare", "generated", "--out", "OUT"],
        ["compare", "generated", "--out", "OUT", "--store", "store.sqlite"],
        ["reproduce", "table1", "generated", "--out", "OUT"],
    ],
    ids=["decompose", "compare", "compare with store", "reproduce"],
)
def test_an_out_that_cannot_be_written_to_is_one_error_before_anything_is_done(
    tmp_path, capsys, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    write_recordings(tmp_path / "in", 1)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main([word.replace("OUT", "file/out") for word in command])
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert len(said) == 1
    assert said[0].startswith("edaemo: error: file/out")
    assert not (tmp_path / "store.sqlite").exists()


def test_a_table_that_cannot_be_written_is_one_error(capsys, monkeypatch):
    def fail(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device", "table.csv")

    monkeypatch.setattr("edaemo.cli._compare._evaluate", fail)
    with pytest.raises(SystemExit) as ended:
        main(["compare"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "edaemo: error: table.csv: No space left on device\n"
