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
    return [*arguments, "--out", str(out), *more]


N_FOLDS = 2 * 4 * 6  # of the command: repeats, folds, pipelines and references


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What the command predicts that nothing stops, in one process."""
    out = tmp_path_factory.mktemp("unbroken")
    assert main(command(out, "--jobs", "1")) == 0
    return predictions_in(out / "results.sqlite")


def run_command(arguments: list[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(main(arguments))


def lines_of(capsys: pytest.CaptureFixture) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.filterwarnings("ignore:my-guess warned")
def test_killed_again_and_again_nothing_stored_is_lost_or_done_twice(
    unbroken, store, tmp_path, capsys
):
    kept: dict[str, str] = {}
    for n in (1, 20):
        process = children.Process(target=run_command, args=(command(tmp_path, "--jobs", "2"),))
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
    assert main(command(tmp_path, "--jobs", "1", "--json")) == 0
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
    assert "Finished folds are kept: the same command goes on from there." in printed
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    kept = created_in(store)
    assert 14 <= len(kept) < N_FOLDS
    capsys.readouterr()
    assert main(command(tmp_path, "--jobs", "1", "--json")) == 0
    computed = [line for line in lines_of(capsys) if "fold" in line]
    assert len(computed) == N_FOLDS - len(kept)
    assert kept.items() <= created_in(store).items()
    assert_frame_equal(predictions_in(store), unbroken)


def test_a_process_that_dies_ends_the_run_which_can_go_on(study, store, tmp_path):
    folder = tmp_path / "deaths"
    folder.mkdir()
    (folder / "one").touch()
    pipelines = {"killing": outside.Killing(str(folder))}
    with pytest.raises(EvaluationError, match=r"was killed.*the same call goes on"):
        evaluate(pipelines, study, store=store, **FOLDS | {"n_jobs": 2})
    kept = created_in(store)
    table = evaluate(pipelines, study, store=store, **FOLDS)
    assert not table["n_failed"].any()
    assert kept.items() <= created_in(store).items()


def run_and_tell(study: Bunch, store: Path, told: Path) -> None:
    evaluate("my-slow", study, store=store, **FOLDS).to_pickle(told)


def test_two_runs_at_once_share_a_store(study, store, tmp_path):
    files = [tmp_path / "one", tmp_path / "two"]
    processes = [
        children.Process(target=run_and_tell, args=(study, store, file)) for file in files
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    one, two = map(pd.read_pickle, files)
    assert_frame_equal(one, two)
    folds = folds_in(store)
    assert len(folds) == 3 * 5
    assert not folds.duplicated(["pipeline", "fold"]).any()


# What is stored ------------------------------------------------------------------------------------


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let folds be guessed instead of computed; collects their keys."""
    keys = []

    def guess(X: pd.DataFrame, job: dict) -> dict:
        keys.append(job["key"])
        return {
            "key": job["key"],
            "status": "done",
            "warnings": [],
            "scores": {"balanced_accuracy": 0.5},
            "predicted": np.zeros(len(job["test"]), int),
            "probability": None,
            "fit_seconds": 0.0,
            "predict_seconds": 0.0,
            "device": "cpu",
        }

    monkeypatch.setattr(_evaluate, "run_fold", guess)
    return keys


def mine(C: float = 1.0, preset: str = "edaemo") -> dict:
    features = EDAFeatureExtractor(sampling_rate=4, preset=preset)
    return {"mine": make_pipeline(make_svm_baseline(eda=features, C=C))}


def one_sample_off(study: Bunch) -> None:
    study.trials.at[7, "eda"] = study.trials.at[7, "eda"] + np.eye(80)[40] * 1e-12


def one_label_off(study: Bunch) -> None:
    study.ratings.loc[7, "arousal"] = 10 - study.ratings.loc[7, "arousal"]


def one_person_less(study: Bunch) -> None:
    study.development = ("p7",)


def other_rate(study: Bunch) -> None:
    study.sampling_rate = 8.0


def other_music(study: Bunch) -> None:
    study.music.iloc[0, 0] += 1e-12


ALL = 2 * 6  # folds of two pipelines and four references
OTHERS = {
    "epochs": ({"max_epochs": 2}, None, 2),
    "seed": ({"random_state": 1}, None, ALL),
    "folds": ({"n_splits": 3}, None, 18),
    "repeats": ({"n_repeats": 2}, None, ALL),
    "protocol": ({"protocols": "stimulus"}, None, ALL + 2),
    "target": ({"targets": "valence"}, None, ALL),
    "threshold": ({"thresholds": 5.0}, None, ALL),
    "people": ({"people": "all"}, None, ALL),
    "parameter": ({"pipelines": ["cnn-eda", mine(C=2.0)]}, None, 2),
    "deep parameter": ({"pipelines": ["cnn-eda", mine(preset="pmemo")]}, None, 2),
    "one sample": ({}, one_sample_off, ALL),
    "one label": ({}, one_label_off, ALL),
    "one person": ({}, one_person_less, ALL),
    "sampling rate": ({}, other_rate, ALL),
    "music": ({}, other_music, ALL),
}


def test_what_was_computed_otherwise_is_never_met_again(store, computed):
    base = {"pipelines": ["cnn-eda", mine()], "store": store, **FOLDS, "n_splits": 2}
    evaluate(studies=outside.make_study(), **base)
    assert len(computed) == ALL
    for what, (settings, change, n_new) in OTHERS.items():
        before = created_in(store)
        for n_expected in (n_new, 0):
            study = outside.make_study()
            if change is not None:
                change(study)
            computed.clear()
            evaluate(studies=study, **base | settings)
            assert len(computed) == n_expected, what
            assert before.keys().isdisjoint(computed), what
        after = created_in(store)
        assert before.items() <= after.items(), what
        assert len(after) == len(before) + n_new, what
    computed.clear()
    evaluate(studies=outside.make_study(), **base)
    assert not computed


def test_failed_folds_are_recorded_and_only_they_are_tried_again(
    store, tmp_path, monkeypatch, capsys
):
    arguments = ["compare", "my-study", "--plugin", "outside", "--pipelines", "my-failing"]
    arguments += ["--target", "arousal", "--folds", "3", "--jobs", "1", "--out", str(tmp_path)]
    monkeypatch.setenv("OUTSIDE_FAILS", "yes")
    assert main(arguments) == 1
    assert "my-failing: 1 folds failed, first with ArithmeticError: nobody" in capsys.readouterr().out
    folds = folds_in(store)
    failed = folds["status"] == "failed"
    assert failed.sum() == 1
    assert list(folds["error"][failed]) == ["ArithmeticError: nobody is p7"]
    assert "p7" in folds["test_subjects"][failed].iloc[0]
    assert len(folds) == 3 * 5
    table = pd.read_csv(tmp_path / "my-study/arousal/subject/table.csv", index_col="pipeline")
    assert list(table["n_failed"]) == [0, 0, 0, 0, 1]
    assert table.loc["my-failing", "error"] == "ArithmeticError: nobody is p7"
    scores = ["accuracy", "balanced_accuracy", "f1"]
    assert table.loc["my-failing", scores].isna().all()
    assert table.loc[REFERENCES, scores].notna().all(axis=None)
    kept = created_in(store)

    assert main(arguments) == 1
    again = {key for key, created in created_in(store).items() if kept[key] != created}
    assert again == set(folds["key"][failed])

    monkeypatch.delenv("OUTSIDE_FAILS")
    assert main(arguments) == 0
    now = created_in(store)
    assert {key for key in now if kept[key] != now[key]} == set(folds["key"][failed])
    assert (folds_in(store)["status"] == "done").all()


def test_what_a_fold_warned_of_is_stored_and_said_once(study, store, tmp_path):
    for n_jobs, path in [(1, store), (2, tmp_path / "two")]:
        with pytest.warns(UserWarning, match="odd warned 3 times, first: an odd fit"):
            evaluate({"odd": outside.Warning_()}, study, store=path, **FOLDS | {"n_jobs": n_jobs})
        folds = folds_in(path)
        noted = [audit["warnings"] for audit in folds["audit"][folds["pipeline"] == "odd"]]
        assert noted == [["an odd fit"]] * 3


# From outside --------------------------------------------------------------------------------------


def test_a_study_and_a_pipeline_from_outside_and_lines_of_json(tmp_path):
    command = [sys.executable, "-m", "edaemo.cli", "compare", "my-study", "--plugin", "outside"]
    command += ["--pipelines", "my-knn", "--folds", "3", "--jobs", "1", "--json"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    told = pd.DataFrame([line["fold"] for line in lines if "fold" in line])
    stored = folds_in(tmp_path / "results.sqlite")
    columns = ["target", "threshold", "protocol", "pipeline", "repeat", "fold", "fit_seconds"]
    assert_frame_equal(
        *(table[columns].sort_values(columns, ignore_index=True) for table in (told, stored))
    )
    rows = [line["row"] for line in lines if "row" in line]
    names = [*REFERENCES, "my-knn"]
    assert [(row["target"], row["pipeline"]) for row in rows] == [
        (target, name) for target in ("arousal", "valence") for name in names
    ]
    assert all({"study", "protocol", "balanced_accuracy", "n_failed"} <= set(row) for row in rows)
    assert len(told) == 3 * len(rows)


class TestRegistration:
    @pytest.fixture(autouse=True)
    def forgotten(self, monkeypatch):
        for known in (PIPELINES, STUDIES):
            monkeypatch.setattr(_evaluate, "PIPELINES", dict(PIPELINES))
        before = [dict(known) for known in (PIPELINES, STUDIES)]
        yield
        for known, names in zip((PIPELINES, STUDIES), before, strict=True):
            known.clear()
            known.update(names)

    def test_music_is_needed_and_told(self, study, store):
        register_pipeline("m", lambda study: make_svm_baseline(music=study.music), needs_music=True)
        table = evaluate("m", study, store=store, **FOLDS).set_index("pipeline")
        assert table.loc["m", "knows_stimulus"]
        study.music = None
        with pytest.raises(EvaluationError, match="m needs music, and my-study has none"):
            evaluate("m", study, store=store, **FOLDS)

    @pytest.mark.parametrize(
        ("arguments", "settings", "message"),
        [
            (("majority", DummyClassifier()), {}, "a pipeline 'majority' already"),
            (("new", DummyClassifier()), {"takes": "signal"}, "takes='signal': one of"),
            (("new", DummyClassifier), {}, "or a function that makes one.*DummyClassifier"),
            (("new", "knn"), {}, "must be a scikit-learn classifier.*'knn'"),
        ],
    )
    def test_a_pipeline_that_cannot_be_registered(self, arguments, settings, message):
        with pytest.raises(EvaluationError, match=message):
            register_pipeline(*arguments, **settings)
        assert "new" not in PIPELINES

    def test_a_study_that_cannot_be_registered(self):
        with pytest.raises(EvaluationError, match="a study 'hku956' already"):
            register_study("hku956", outside.make_study)
