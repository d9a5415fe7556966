"""The runner: what stops it, what is stored, who computes, and what reaches a fit."""

import json
import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import outside
import pandas as pd
import psutil
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch

from edaemo.benchmark import (
    PIPELINES,
    STUDIES,
    EvaluationError,
    ResultStore,
    _evaluate,
    _fold,
    evaluate,
    make_cnn_baseline,
    make_rtcan,
    make_svm_baseline,
    register_pipeline,
    register_study,
)
from edaemo.benchmark._fold import claim, find_validation, may_use_gpu, run_fold
from edaemo.benchmark._registry import Entry
from edaemo.cli import main
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import SubjectKFold, make_protocol

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

TESTS = Path(__file__).parent
FOLDS = {"n_splits": 3, "n_jobs": 1, "max_epochs": 1, "targets": "arousal"}
REFERENCES = ["majority", "time", "duration", "stimulus-prior"]
PATIENCE = 120  # seconds until a test gives a process up

# Children are forked from one process that has imported it all, and has no threads.
children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["edaemo.benchmark", "edaemo.inspection", "sklearn.neighbors"])


@pytest.fixture
def study() -> Bunch:
    return outside.make_study()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def folds_in(store: Path) -> pd.DataFrame:
    with ResultStore(store) as kept:
        return kept.folds()


def predictions_in(store: Path) -> pd.DataFrame:
    """What was predicted, by what it depends on and not by what it was computed with."""
    with ResultStore(store) as kept:
        return kept.predictions()


def created_in(store: Path) -> dict[str, str]:
    """Read key and time of what is stored, from outside, as it stands."""
    if not store.exists():
        return {}
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)) as connection:
        return dict(connection.execute("SELECT key, created FROM folds"))


def wait_until(true: object, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def without_times(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="fit_seconds")


# Stopped, and going on ----------------------------------------------------------------------------


def command(out: Path, *more: str) -> list[str]:
    arguments = ["compare", "my-study", "--plugin", "outside", "--target", "arousal"]
    arguments += ["--pipelines", "my-slow", "my-guess", "--folds", "4", "--repeats", "2"]
    return [*arguments, "--json", "--out", str(out), *more]


N_FOLDS = 2 * 4 * 6  # of the command: repeats, folds, pipelines and references


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What the command predicts that nothing stops, in one process."""
    out = tmp_path_factory.mktemp("unbroken")
    assert main(command(out, "--jobs", "1")) == 0
    return predictions_in(out / "results.sqlite")


def run_command(arguments: list[str], printed: Path) -> None:
    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        sys.exit(main(arguments))


def lines_of(capsys: pytest.CaptureFixture) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.filterwarnings("ignore:my-guess warned")
def test_killed_again_and_again_nothing_stored_is_lost_or_done_twice(
    unbroken, store, tmp_path, capsys
):
    kept: dict[str, str] = {}
    for n in (1, 14, 30):
        process = children.Process(
            target=run_command, args=(command(tmp_path, "--jobs", "2"), tmp_path / "out")
        )
        process.start()
        wait_until(lambda n=n: len(created_in(store)) >= n or not process.is_alive(), "no fold")
        workers = psutil.Process(process.pid).children(recursive=True)
        before = created_in(store)
        process.kill()
        process.join()
        assert kept.items() <= before.items()
        kept = created_in(store)
        assert before.items() <= kept.items()
        assert n <= len(kept) < N_FOLDS
        assert workers
        _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive
    capsys.readouterr()
    assert main(command(tmp_path, "--jobs", "1")) == 0
    computed = [line for line in lines_of(capsys) if "fold" in line]
    assert len(computed) == N_FOLDS - len(kept)
    after = created_in(store)
    assert len(after) == N_FOLDS
    assert kept.items() <= after.items()
    assert_frame_equal(predictions_in(store), unbroken)


def test_ctrl_c_keeps_finished_folds_and_the_same_command_goes_on(
    unbroken, store, tmp_path, capsys
):
    process = subprocess.Popen(
        [sys.executable, "-m", "edaemo.cli", *command(tmp_path, "--jobs", "2")],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal, where all processes of the command get it; a job in the background of
        # a shell would ignore it.
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until(lambda: len(created_in(store)) >= 14 or process.poll() is not None, "no fold")
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    printed, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert "Finished folds are kept: the same command goes on from there." in said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    kept = created_in(store)
    told = [json.loads(line) for line in printed.splitlines()]
    assert 14 <= len(told) <= len(kept) < N_FOLDS
    capsys.readouterr()
    assert main(command(tmp_path, "--jobs", "1")) == 0
    computed = [line for line in lines_of(capsys) if "fold" in line]
    assert len(computed) == N_FOLDS - len(kept)
    assert kept.items() <= created_in(store).items()
    assert_frame_equal(predictions_in(store), unbroken)
