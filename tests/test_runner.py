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
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial, wraps
from pathlib import Path

import dask
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

# Processes that tests start import this file, also without torch.
from edaemo import CvxEDATransformer, benchmark
from edaemo.benchmark import (
    PIPELINES,
    STUDIES,
    EvaluationError,
    FoldRecord,
    ResultStore,
    evaluate,
    make_svm_baseline,
    register_pipeline,
    register_study,
)
from edaemo.cli import main
from edaemo.evaluation import _evaluate, _fold
from edaemo.evaluation._fold import claim, find_validation, may_use_gpu, run_fold
from edaemo.evaluation._registry import PipelineSpec
from edaemo.evaluation._targets import make_target
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import SubjectKFold, make_protocol

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

TESTS = Path(__file__).parent
FOLDS = {"n_splits": 3, "n_jobs": 1, "max_epochs": 1, "targets": "arousal"}
REFERENCES = ["majority", "trial-order", "duration", "stimulus-prior"]
PATIENCE = 120  # seconds until a test gives a process up

# Children are forked from one process that has imported it all, and has no threads.
children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["edaemo.evaluation", "edaemo.inspection", "sklearn.neighbors"])


# Importing `outside` registers what is in it; tests in other files are not to meet that.
GUESTS = [
    (known, {name: known.pop(name) for name in list(known) if name.startswith("my-")})
    for known in (PIPELINES, STUDIES)
]


def welcome() -> None:
    for known, guests in GUESTS:
        known.update(guests)


@pytest.fixture(scope="module", autouse=True)
def guests():
    welcome()
    yield
    for known, guests in GUESTS:
        for name in guests:
            del known[name]


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
    with ResultStore(store) as kept:
        return kept.predictions()


def created_in(store: Path) -> dict[str, str]:
    """Read key and time of what is stored, from outside, as it stands."""
    if not store.exists():
        return {}
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)) as connection:
        return dict(connection.execute("SELECT key, created FROM folds"))


def wait_until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def has_folds(store: Path, n: int, is_alive: Callable[[], bool]) -> bool:
    return len(created_in(store)) >= n or not is_alive()


# Stopped, and going on ----------------------------------------------------------------------------


@pytest.mark.usefixtures("slow_thread")
def test_an_error_between_folds_ends_the_workers_without_a_warning(study, store):
    def fail(fold: FoldRecord) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        evaluate(["svm-eda"], study, store=store, **FOLDS | {"n_jobs": 2, "on_fold": fail})
    assert len(created_in(store)) == 1


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
    welcome()
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
        wait_until(partial(has_folds, store, n, process.is_alive), "no fold")
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
    wait_until(partial(has_folds, store, 14, lambda: process.poll() is None), "no fold")
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert "Finished folds are stored: repeat the same command to resume." in said
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


def test_what_a_fold_warned_of_is_stored_and_said_once(study, store, tmp_path):
    for n_jobs, path in [(1, store), (2, tmp_path / "two")]:
        with pytest.warns(UserWarning, match="odd warned 3 times, first: an odd fit"):
            evaluate({"odd": outside.Warning_()}, study, store=path, **FOLDS | {"n_jobs": n_jobs})
        folds = folds_in(path)
        noted = [audit["warnings"] for audit in folds["audit"][folds["pipeline"] == "odd"]]
        assert noted == [["an odd fit"]] * 3


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_filters_of_warnings_change_no_fold(study, action):
    (job,) = jobs_of(study, {"odd": PipelineSpec(lambda study: outside.Warning_())})
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        result = run_fold(study.trials, job.work)
    assert (result["status"], result["warnings"]) == ("done", ["an odd fit"])


def test_each_fold_arrives_when_it_is_done(study, tmp_path):
    """joblib would hand out several quick ones at once, and a slow one together with them."""
    waiting = PipelineSpec(lambda study: outside.Waiting(str(tmp_path / "go")))
    quick, slow = jobs_of(study, {"quick": PIPELINES["majority"], "slow": waiting})
    n_quick = 150
    many = [quick._replace(work=quick.work | {"key": str(i)}) for i in range(n_quick)]
    many.insert(140, slow)
    results = _evaluate._compute(many, _evaluate._prepare([quick, slow], 1, None, {}), 2, None)
    for _ in range(n_quick):
        assert next(results)["key"] != slow.work["key"]
    (tmp_path / "go").touch()
    (last,) = results
    assert (last["key"], last["status"]) == (slow.work["key"], "done")


def deaths(folder: Path, n: int) -> dict[str, outside.Killing]:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        (folder / str(i)).touch()
    return {"killing": outside.Killing(str(folder))}


def test_a_process_that_dies_ends_the_run_which_can_go_on(study, store, tmp_path):
    pipelines = deaths(tmp_path / "deaths", 1)
    with pytest.raises(EvaluationError, match=r"was killed.*repeat the same call"):
        evaluate(pipelines, study, store=store, **FOLDS | {"n_jobs": 2})
    kept = created_in(store)
    table = evaluate(pipelines, study, store=store, **FOLDS)
    assert not table["n_failed"].any()
    assert kept.items() <= created_in(store).items()


def run_and_tell(study: Bunch, store: Path, told: Path) -> None:
    welcome()
    evaluate("my-slow", study, store=store, **FOLDS).to_pickle(told)


def test_two_runs_at_once_share_a_store(study, store, tmp_path):
    files = [tmp_path / "one", tmp_path / "two"]
    processes = [children.Process(target=run_and_tell, args=(study, store, file)) for file in files]
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


# What is stored -----------------------------------------------------------------------------------


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
LOSO = {"protocols": "subject-loso"}
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
    # Here neither seed nor labels change the folds: there are as many as groups of people.
    "leave one out": (LOSO, None, 3 * ALL),
    "seed alone": (LOSO | {"random_state": 1}, None, 3 * ALL),
    "label alone": (LOSO, one_label_off, 3 * ALL),
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
    assert (
        "my-failing: 1 folds failed, first with ArithmeticError: nobody" in capsys.readouterr().out
    )
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


# From outside -------------------------------------------------------------------------------------


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
        """Put the registry back as it was after each test."""
        for known in (PIPELINES, STUDIES):
            monkeypatch.setitem(known, "new", None)
            del known["new"]

    def test_music_is_needed_and_told(self, study, store):
        register_pipeline(
            "new", lambda study: make_svm_baseline(music=study.music), needs_music=True
        )
        table = evaluate("new", study, store=store, **FOLDS).set_index("pipeline")
        assert table.loc["new", "knows_stimulus"]
        study.music = None
        with pytest.raises(EvaluationError, match="new needs music, and my-study has no music"):
            evaluate("new", study, store=store, **FOLDS)

    @pytest.mark.parametrize(
        ("arguments", "settings", "message"),
        [
            (("majority", DummyClassifier()), {}, "a pipeline 'majority' already"),
            (("new", DummyClassifier()), {"input": "signal"}, "input='signal' must be one of"),
            (("new", DummyClassifier), {}, "or a function that takes a study.*DummyClassifier"),
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


# Progress -----------------------------------------------------------------------------------------


def test_quiet_where_nobody_watches(study, store, capfd):
    evaluate("my-knn", study, store=store, **FOLDS)
    assert capfd.readouterr().err == ""


def test_a_bar_in_a_terminal_says_what_is_done_how_long_and_what_is_best(study, store, monkeypatch):
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 160))
    shown: list[bytes] = []
    reader = threading.Thread(target=lambda: shown.extend(iter(partial(read_terminal, ours), b"")))
    reader.start()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        evaluate({"mean": outside.MeanLevel()}, study, store=store, **FOLDS)
    reader.join(PATIENCE)
    os.close(ours)
    last = b"".join(shown).decode().split("\r")[-2]
    assert "100%" in last
    assert "15/15" in last
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d, .*fold", last)
    assert re.search(r"best so far 0\.\d\d: my-study, arousal, subject, \w+", last)


def read_terminal(end: int) -> bytes:
    try:
        return os.read(end, 4096)
    except OSError:  # nobody writes to it any more
        return b""


# Devices ------------------------------------------------------------------------------------------


def hold(things: list[str], folder: Path, tell: object) -> None:
    tempfile.tempdir = str(folder)
    with claim(things) as place:
        tell.send(place)
        tell.recv()
    tell.send("released")


@pytest.fixture
def start_holder(tmp_path):
    """Let a process claim one of two things; gives it, and what it says."""
    started = []

    def start() -> tuple:
        ours, theirs = children.Pipe()
        process = children.Process(target=hold, args=(["a", "b"], tmp_path, theirs))
        process.start()
        theirs.close()
        started.append(process)
        return process, ours

    yield start
    for process in started:
        process.kill()
        process.join()


def said_by(holder: tuple) -> object:
    assert holder[1].poll(PATIENCE)
    return holder[1].recv()


def test_a_thing_is_held_by_one_process_until_it_lets_go_or_dies(start_holder):
    first, second = start_holder(), start_holder()
    places = [said_by(first), said_by(second)]
    assert sorted(places) == [0, 1]
    third = start_holder()
    assert not third[1].poll(0.5)
    first[1].send("let go")
    assert said_by(first) == "released"
    assert said_by(third) == places[0]
    fourth = start_holder()
    assert not fourth[1].poll(0.5)
    second[0].kill()
    assert said_by(fourth) == places[1]


def test_which_pipelines_run_on_a_gpu():
    assert may_use_gpu(benchmark.make_rtcan())
    assert may_use_gpu(make_pipeline(benchmark.make_cnn_baseline(eda="passthrough")))
    assert may_use_gpu(GridSearchCV(benchmark.make_rtcan(), {}))
    assert may_use_gpu(benchmark.make_rtcan().set_params(rtcan__device="cuda"))
    assert not may_use_gpu(benchmark.make_rtcan().set_params(rtcan__device="cpu"))
    assert not may_use_gpu(benchmark.make_rtcan().set_params(rtcan__device="cuda:0"))
    assert not may_use_gpu(make_svm_baseline())


def test_a_pipeline_gets_the_device_that_is_free(study, store, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for module in (_evaluate, _fold):
        monkeypatch.setattr(module, "cuda_devices", lambda: {"cuda:0": "a", "cuda:1": "b"})
    monkeypatch.setattr(_evaluate, "worker_processes", in_this_process)
    with claim(["a"]):
        evaluate({"net": make_pipeline(outside.Watched())}, study, store=store, **FOLDS)
    folds = folds_in(store).set_index("pipeline")
    assert list(folds.loc["net", "device"]) == ["cuda:1"] * 3
    assert (folds.loc[REFERENCES, "device"] == "cpu").all()
    # The stored parameters are those asked for: another machine's results are the same rows.
    assert "cuda" not in json.dumps(folds.loc["net", "settings"].iloc[0]["parameters"])


def in_this_process(n_jobs: int, **settings: object) -> AbstractContextManager:
    return nullcontext(lambda tasks: (function(*args, **named) for function, args, named in tasks))


# What reaches a fit -------------------------------------------------------------------------------


def jobs_of(study: Bunch, entries: dict[str, PipelineSpec]) -> list:
    target = make_target(study, "arousal", "subject")
    data = _evaluate._fingerprint_data(study)
    case = _evaluate._Case(study, data, "arousal", "subject", "subject", target)
    settings = _evaluate._Settings("evaluation", 2, 1, 1, 0, 0.0)
    jobs = _evaluate._plan(case, entries, settings, None)
    return [job for job in jobs if job.settings["fold"] == 0]


def predict_probe(study: Bunch, jobs: list, probe: str) -> dict[str, tuple]:
    """Give what each pipeline says of one of the people held out."""
    jobs = [job._replace(case=job.case._replace(study=study)) for job in jobs]
    inputs = _evaluate._prepare(jobs, 1, None, {})
    told = {}
    for job in jobs:
        result = run_fold(inputs[_evaluate._input_of(job)], job.work)
        assert result["status"] == "done", result
        own = (study.trials["subject"].iloc[job.work["test"]] == probe).to_numpy()
        probability = result["probability"]
        told[job.settings["pipeline"]] = (
            result["predicted"][own],
            None if probability is None else probability[own],
        )
    return told


def poison(study: Bunch, jobs: list, probe: str) -> tuple[Bunch, list]:
    """Put garbage for all that was held out, and its labels, but for the probe's."""
    rng = np.random.default_rng(1)
    test = jobs[0].work["test"]
    rows = test[(study.trials["subject"].iloc[test] != probe).to_numpy()]
    assert len(rows) >= 12
    trials, labels = study.trials.copy(), jobs[0].work["labels"].copy()
    for row in rows:
        trials.at[row, "eda"] = 1e3 + 1e3 * rng.random(80)
    trials.loc[rows, "duration"] = 1e6
    trials.loc[rows, "trial"] = rng.permutation(1000)[: len(rows)]
    trials.loc[rows, ["stimulus", "version"]] = "s0"
    labels[rows] = 1 - labels[rows]
    poisoned = Bunch(**{**study, "trials": trials})
    return poisoned, [job._replace(work={**job.work, "labels": labels}) for job in jobs]


def changed_by_poison(entries: dict[str, PipelineSpec]) -> set[str]:
    study = outside.make_study()
    study.trials["version"] = (pd.factorize(study.trials["subject"])[0] % 2).astype(str)
    jobs = jobs_of(study, entries)
    assert {job.settings["pipeline"] for job in jobs} == set(entries)
    subjects = study.trials["subject"].iloc[jobs[0].work["test"]]
    probe = subjects.iloc[0]
    clean = predict_probe(study, jobs, probe)
    spoilt = predict_probe(*poison(study, jobs, probe), probe)
    return {name for name in entries if not all(map(np.array_equal, clean[name], spoilt[name]))}


def test_nothing_of_the_people_held_out_reaches_the_answers_for_another():
    ours = {name: entry for name, entry in PIPELINES.items() if not name.startswith("my-")}
    del ours["subject-prior"]  # takes no part where people are held out
    assert len(ours) >= 20
    assert not changed_by_poison(ours)


def test_a_pipeline_that_looks_at_them_is_found_out():
    peeking = outside.Peeking()
    assert changed_by_poison({"peeking": PipelineSpec(lambda study: peeking)}) == {"peeking"}


# Validation inside the training set ---------------------------------------------------------------

UNITS = {
    "subject": ["subject"],
    "subject-loso": ["subject"],
    "stimulus": ["stimulus"],
    "subject+stimulus": ["subject", "stimulus"],
    "within-subject": ["stimulus"],
    "trial": [],
    "paper": ["subject"],
}


@pytest.mark.parametrize("protocol", UNITS)
def test_validation_holds_out_what_the_protocol_does(protocol, store, monkeypatch):
    study = outside.make_study(n_people=12 if protocol == "paper" else 8)
    watched = Pipeline([("a", Pipeline([("b", outside.Watched(validation_fraction=0.5))]))])
    monkeypatch.setattr(outside.Watched, "fits", [])
    table = evaluate({"net": watched}, study, protocols=protocol, store=store, **FOLDS)
    assert not table["n_failed"].any(), table["error"].iloc[-1]
    splitter = make_protocol(protocol, 3)
    labels = make_target(study, "arousal", "subject").labels
    folds = list(splitter.split(study.trials, labels))
    assert len(outside.Watched.fits) == len(folds)
    for i, ((X, aside), (training, test)) in enumerate(
        zip(outside.Watched.fits, folds, strict=True)
    ):
        fit, validation = X.index[~aside], X.index[aside]
        assert len(validation)
        assert not set(X.index) & set(test)
        if protocol == "paper":
            assert_array_equal(fit, training)
            assert_array_equal(validation, folds[(i + 1) % 10][1])
        else:
            assert set(X.index) <= set(training)
        ids = study.trials
        for name in UNITS[protocol]:
            assert set(ids.loc[fit, name]).isdisjoint(ids.loc[validation, name])
            assert set(ids.loc[test, name]).isdisjoint(ids.loc[X.index, name])
    told = folds_in(store).query("pipeline == 'net'")["audit"].iloc[0]
    X, aside = outside.Watched.fits[0]
    assert told["validation_subjects"] == list(X["subject"][aside].unique())


def test_without_a_fraction_nothing_is_set_aside_but_under_paper(store, monkeypatch):
    study = outside.make_study(n_people=12)
    for protocol, expected in [("subject", False), ("paper", True)]:
        monkeypatch.setattr(outside.Watched, "fits", [])
        evaluate({"net": outside.Watched()}, study, protocols=protocol, store=store, **FOLDS)
        assert all((aside is not None) == expected for _, aside in outside.Watched.fits)


def test_nets_take_validation_rows_through_their_pipelines(study, store):
    assert find_validation(benchmark.make_rtcan()) == "rtcan__validation"
    assert find_validation(make_svm_baseline()) is None
    features = EDAFeatureExtractor(sampling_rate=4)
    cnn = benchmark.make_cnn_baseline(eda=features, max_epochs=1).set_params(
        cnn__validation_fraction=0.3
    )
    table = evaluate({"cnn": cnn}, study, protocols="stimulus", store=store, **FOLDS)
    assert not table["n_failed"].any(), table["error"].iloc[-1]


@pytest.mark.parametrize(
    ("protocol", "inner", "weaker"),
    [
        ("subject", "SubjectKFold", KFold(2)),
        ("stimulus", "StimulusKFold", KFold(2)),
        ("subject+stimulus", "SubjectStimulusKFold", SubjectKFold(2)),
    ],
)
def test_a_search_is_split_as_the_protocol_splits(protocol, inner, weaker, store):
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 2]}, cv=2)
    pipe = make_pipeline(EDAFeatureExtractor(sampling_rate=4), search)
    study = outside.make_study(n_people=12)
    settings = {"protocols": protocol, "store": store, **FOLDS}
    table = evaluate({"search": pipe}, study, **settings)
    assert not table["n_failed"].any(), table["error"].iloc[-1]
    told = folds_in(store).query("pipeline == 'search'")["settings"]
    assert f"edaemo.model_selection._protocols.{inner}" in json.dumps(told.iloc[0]["parameters"])
    stored = created_in(store)
    with pytest.raises(EvaluationError, match=r"gridsearchcv__cv=.*may hold out less"):
        evaluate({"search": pipe.set_params(gridsearchcv__cv=weaker)}, study, **settings)
    assert created_in(store) == stored


@pytest.mark.same_bits
def test_folds_in_two_threads_of_one_process_do_not_mix():
    """A Dask worker may have several: torch's generator belongs to the process."""
    study = outside.make_study()
    entry = PIPELINES["cnn-eda"]
    jobs = jobs_of(study, {"cnn-eda": entry})
    (X,) = _evaluate._prepare(jobs, 1, None, {}).values()
    expected = run_fold(X, jobs[0].work)["probability"]
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(run_fold(X, jobs[0].work))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        assert_array_equal(result["probability"], expected)


# On a cluster -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


def not_here(function: Callable) -> Callable:
    """Refuse to run in this process; elsewhere it is what it was."""

    @wraps(function)
    def refuse(*args: object, **settings: object) -> None:
        raise AssertionError("this process should let others work")

    return refuse


@pytest.mark.same_bits
@pytest.mark.filterwarnings("ignore:In .* trials the range of the phasic:UserWarning")
def test_a_cluster_gives_the_same_and_this_process_alone_writes(
    study, store, tmp_path, cluster, monkeypatch
):
    pipelines = ["rtcan-eda", "svm-eda-music", {"mean": outside.MeanLevel()}]
    here = evaluate(pipelines, study, store=tmp_path / "here", **FOLDS)
    monkeypatch.setattr(_evaluate, "TRIALS_PER_TASK", 12)
    monkeypatch.setattr(_fold, "_fit_and_predict", not_here(_fold._fit_and_predict))
    for step in (CvxEDATransformer, EDAFeatureExtractor):
        monkeypatch.setattr(step, "fit_transform", not_here(step.fit_transform))
    workers = [psutil.Process(worker.pid) for worker in cluster.workers.values()]
    opened = set()

    def look(record: FoldRecord) -> None:
        opened.update(file.path for worker in workers for file in worker.open_files())

    settings = FOLDS | {"scheduler": cluster.scheduler_address, "on_fold": look}
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "50 kB"}):
        there = evaluate(pipelines, study, store=store, **settings)
    assert_frame_equal(*(table.drop(columns="fit_seconds") for table in (here, there)))
    assert_frame_equal(predictions_in(store), predictions_in(tmp_path / "here"))
    assert opened
    assert not [path for path in opened if path.startswith(str(store))]


def test_what_is_lost_with_a_worker_is_done_again(study, store, tmp_path, cluster):
    """Both die, so that nothing is left of what they had been sent."""
    pipelines = ["svm-eda-music", deaths(tmp_path / "deaths", 2)]
    settings = FOLDS | {"scheduler": cluster.scheduler_address}
    there = evaluate(pipelines, study, store=store, **settings)
    assert not list((tmp_path / "deaths").iterdir())
    here = evaluate(pipelines, study, store=tmp_path / "here", **FOLDS)
    assert not there["n_failed"].any()
    assert_frame_equal(*(table.drop(columns="fit_seconds") for table in (here, there)))
    assert_frame_equal(predictions_in(store), predictions_in(tmp_path / "here"))


def test_a_fold_that_kills_every_worker_is_a_failed_one(
    study, store, tmp_path, cluster, monkeypatch
):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    pipelines = deaths(tmp_path / "deaths", 1)
    settings = FOLDS | {"scheduler": cluster.scheduler_address}
    table = evaluate(pipelines, study, store=store, **settings).set_index("pipeline")
    assert table.loc["killing", "n_failed"] >= 1
    assert table.loc["killing", "error"].startswith("KilledWorker: ")
    assert len(folds_in(store)) == 15
    assert not evaluate(pipelines, study, store=store, **FOLDS)["n_failed"].any()


def test_a_scheduler_that_is_gone_leaves_what_was_finished(study, store, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(_evaluate, "CONNECT_SECONDS", 1)
    settings = {"n_workers": 1, "processes": False, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(**settings) as cluster:

        def close(record: FoldRecord) -> None:
            cluster.close()

        settings = FOLDS | {"scheduler": cluster.scheduler_address, "on_fold": close}
        with pytest.raises(EvaluationError, match=r"scheduler was lost.*repeat the same call"):
            evaluate("my-slow", study, store=store, **settings)
    assert 1 <= len(created_in(store)) < 15


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://here"])
def test_a_scheduler_that_does_not_answer_is_named(study, store, address, monkeypatch):
    monkeypatch.setattr(_evaluate, "CONNECT_SECONDS", 0.2)
    with pytest.raises(EvaluationError, match=f"No Dask scheduler answers at {address} within 0.2"):
        evaluate("my-knn", study, store=store, scheduler=address, **FOLDS)


def test_a_scheduler_without_workers_is_named(study, store, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(_evaluate, "CONNECT_SECONDS", 0.2)
    with LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty:
        message = f"scheduler at {empty.scheduler_address} has no workers"
        with pytest.raises(EvaluationError, match=message):
            evaluate("my-knn", study, store=store, scheduler=empty.scheduler_address, **FOLDS)


def test_what_a_cluster_needs_is_said(study, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EvaluationError, match=r"pip install edaemo\[distributed\]"):
        evaluate("my-knn", study, store=store, scheduler="tcp://127.0.0.1:1", **FOLDS)
