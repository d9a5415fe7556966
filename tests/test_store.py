"""The store of results."""

import json
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from pandas.testing import assert_frame_equal

from edaemo.evaluation import _store
from edaemo.evaluation._store import SCHEMA_VERSION, FoldRecord, Member, ResultStore, StoreError

DONE = {
    "study": "hku956",
    "people": "evaluation",
    "target": "arousal",
    "threshold": "subject",
    "task": "binary",
    "artificial": False,
    "pipeline": "svm-eda",
    "protocol": "subject",
    "repeat": 0,
    "fold": 1,
    "settings": {"svm": {"C": 0.25}, "rows": [1, 2]},
    "versions": {"numpy": "2.4"},
    "seed": 0,
    "device": "cpu",
    "training_subjects": ["a", 7],
    "test_subjects": ["b"],
    "classes": [0, 1],
    "audit": {"n_trials": 2, "warnings": []},
    "scores": {"f1": 0.5},
    "fit_seconds": 1.5,
    "predict_seconds": 0.25,
}


def make_record(key: str = "k", n_trials: int = 2, **changes: object) -> FoldRecord:
    predictions = {
        "row": np.arange(n_trials),
        "subject": ["b"] * n_trials,
        "stimulus": [f"{i}.mp3" for i in range(n_trials)],
        "trial": np.arange(n_trials),
        "label": [i % 2 for i in range(n_trials)],
        "predicted": np.ones(n_trials, np.int8),
        "probability": [[0.25, 0.75]] * n_trials,
    }
    return FoldRecord(key=key, **{**DONE, "predictions": predictions, **changes})


def make_failed(key: str = "k", **changes: object) -> FoldRecord:
    changes = {"error": "ValueError: no", "predictions": None, "scores": None, **changes}
    return make_record(key, **changes)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "deep" / "results.sqlite"


@pytest.fixture
def filled(path) -> Path:
    """Give the path of a closed store with forty folds."""
    with ResultStore(path) as store:
        for i in range(40):
            store.add(make_record(f"k{i:02d}", n_trials=30 + i, fold=i))
    return path


def check_filled(path: Path, n_folds: int = 40) -> None:
    with ResultStore(path) as store:
        folds, predictions = store.folds(), store.predictions()
    assert folds["key"].tolist() == [f"k{i:02d}" for i in range(n_folds)]
    assert folds["settings"].tolist() == [DONE["settings"]] * n_folds
    lengths = predictions.groupby("key").size()
    assert lengths.tolist() == [30 + i for i in range(n_folds)]


# What goes in comes back -------------------------------------------------------------------------


def test_a_record_comes_back_as_it_went_in(path):
    record = make_record()
    with ResultStore(path) as store:
        assert store.add(record)
        (fold,) = store.folds().to_dict("records")
        predictions = store.predictions()
    created = pd.Timestamp(fold.pop("created"))
    assert abs(created - pd.Timestamp.now("UTC")) < pd.Timedelta("1min")
    rules = {"quality": None, "min_stability": None}
    assert fold == {**DONE, "key": "k", "status": "done", "error": None, **rules}
    expected = {
        "key": ["k", "k"],
        "row": [0, 1],
        "subject": ["b", "b"],
        "stimulus": ["0.mp3", "1.mp3"],
        "trial": [0, 1],
        "label": [0, 1],
        "predicted": [1, 1],
        "probability": [[0.25, 0.75]] * 2,
        "decision": [None, None],
    }
    assert_frame_equal(predictions, pd.DataFrame(expected))


ids = st.lists(
    st.one_of(
        st.integers(-(2**70), 2**70),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.sampled_from([None, pd.NA, math.nan, math.inf, 1.5, True, "NA", "nan", "ä\0"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=100)
@given(ids)
def test_ids_of_any_kind_come_back_with_their_types(tmp_path_factory, values):
    record = make_record(
        n_trials=len(values),
        test_subjects=values,
        predictions={
            "row": range(len(values)),
            **{name: values for name in ("subject", "stimulus", "trial", "label", "predicted")},
        },
    )
    with ResultStore(tmp_path_factory.mktemp("ids") / "store") as store:
        store.add(record)
        found = store.predictions()
        subjects = store.folds()["test_subjects"][0]
    expected = [(type(value), repr(value)) for value in values]
    assert [(type(value), repr(value)) for value in subjects] == expected
    for name in ("subject", "stimulus", "trial", "label", "predicted"):
        column = found[name].tolist()
        assert [(type(value), repr(value)) for value in column] == expected
    assert found["probability"].tolist() == [None] * len(values)


@pytest.mark.parametrize(
    "column",
    [
        np.array([1, 2], np.int8),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, 2], index=[7, 8]),
        [np.int64(1), np.uint8(2)],
        np.array([1, 2], object),
        range(1, 3),
        pd.Index([1, 2]),
    ],
)
def test_columns_of_any_container_are_taken(path, column):
    record = make_record(n_trials=2)
    record.predictions.update(trial=column, probability=np.array([[0, 1], [0.5, 0.5]], np.float32))
    for predictions in (record.predictions, _as_frame(record.predictions)):
        with ResultStore(path) as store:
            store.add(make_record(type(predictions).__name__, predictions=predictions))
    with ResultStore(path) as store:
        found = store.predictions()
    assert found["trial"].tolist() == [1, 2] * 2
    assert found["trial"].dtype == np.int64
    assert found["probability"].tolist() == [[0.0, 1.0], [0.5, 0.5]] * 2


def _as_frame(columns: dict) -> pd.DataFrame:
    return pd.DataFrame({name: list(column) for name, column in columns.items()})


def test_missing_ids_and_integers_live_in_one_column(path):
    with ResultStore(path) as store:
        store.add(make_record("a", predictions={**make_record().predictions, "trial": [1, None]}))
        store.add(make_record("b", fold=2, predictions=make_record().predictions))
        found = store.predictions()["trial"].tolist()
    assert found == [1, None, 0, 1]
    assert [type(trial) for trial in found] == [int, type(None), int, int]


def test_numpy_scalars_and_undefined_scores_are_taken(path):
    scores = {"f1": np.float32(0.5), "auc": math.nan, "n": np.int64(3), "by": {"x": [np.bool_(1)]}}
    record = make_record(
        scores=scores, seed=np.int64(7), fold=np.uint8(3), fit_seconds=np.float32(0.5)
    )
    with ResultStore(path) as store:
        store.add(record)
        fold = store.folds().iloc[0]
    assert math.isnan(fold["scores"].pop("auc"))
    assert fold["scores"] == {"f1": 0.5, "n": 3, "by": {"x": [True]}}
    assert (fold["seed"], fold["fold"], fold["fit_seconds"]) == (7, 3, 0.5)


@pytest.mark.parametrize(
    "changes, what",
    [
        ({"key": ""}, "key must be a str"),
        ({"study": 3}, "study must be a str"),
        ({"pipeline": "\ud800"}, "surrogates not allowed"),
        ({"test_subjects": ["\ud800"]}, "surrogates not allowed"),
        ({"fold": 1.5}, "'float' object cannot be interpreted as an integer"),
        ({"seed": 2**63}, "seed is too large"),
        ({"fit_seconds": "fast"}, "could not convert"),
        ({"scores": {0: 0.5}}, "scores has the name 0, which is not a str"),
        ({"audit": [{"a": {1: 2}}]}, r"audit\['a'\] has the name 1"),
        ({"settings": {"file": sys.stdout}}, "settings holds <.*(TextIOWrapper|EncodedFile)"),
        ({"test_subjects": [pd.Timestamp(0)]}, "test_subjects holds Timestamp"),
        ({"test_subjects": [np.datetime64(1, "ns")]}, "test_subjects holds np.datetime64"),
        ({"predictions": None}, "it has neither predictions nor an error"),
        ({"predictions": {"row": [1]}}, r"lack the columns \['subject', 'stimulus'"),
        ({"predictions": make_record().predictions | {"label": [1]}}, "differ in length"),
        ({"predictions": make_record().predictions | {"label": [{1}, 2]}}, r"holds \{1\}, a set"),
    ],
)
def test_what_could_not_come_back_is_refused(path, changes, what):
    with ResultStore(path) as store:
        record = make_record(**{"key": "k", **changes})
        with pytest.raises(StoreError, match=rf"^{path}: cannot store the record .*: .*{what}"):
            store.add(record)
        assert store.folds().empty
        assert store.add(make_record())


def test_an_empty_store_has_its_columns(path):
    with ResultStore(path) as store:
        folds, predictions = store.folds(), store.predictions()
    assert folds.empty and predictions.empty
    assert {"key", "status", *DONE} <= set(folds)
    assert list(predictions) == ["key", *_store._TRIAL, "probability", "decision"]


def test_keys_choose(path):
    with ResultStore(path) as store:
        for key in "abc":
            store.add(make_record(key, repeat="cba".index(key)))
        store.add(make_failed("d", repeat=9))
        assert store.done(["a", "d", "x"]) == {"a"}
        assert store.done(f"{i}" for i in range(100_000)) == set()
        assert store.done([]) == set()
        assert store.folds(["a", "d", "b"])["key"].tolist() == ["b", "a", "d"]
        assert store.folds([]).empty
        assert store.predictions(["a", "d"])["key"].tolist() == ["a", "a"]
        assert store.predictions()["key"].tolist() == [*"ccbbaa"]


def test_the_first_done_record_stands_and_a_failed_one_gives_way(path):
    with ResultStore(path) as store:

        def found() -> tuple:
            fold = store.folds().iloc[0]
            return fold["status"], fold["error"], fold["seed"], len(store.predictions())

        assert store.add(make_failed(seed=1))
        assert store.done(["k"]) == set()
        assert found() == ("failed", "ValueError: no", 1, 0)
        assert store.add(make_failed(seed=2, error="again"))
        assert found() == ("failed", "again", 2, 0)
        assert store.add(make_record(seed=3, n_trials=5))
        assert found() == ("done", None, 3, 5)
        assert not store.add(make_failed(seed=4))
        assert not store.add(make_record(seed=5))
        assert found() == ("done", None, 3, 5)


def test_a_closed_store_says_so(path):
    with ResultStore(path) as store:
        store.close()
    with pytest.raises(StoreError, match="closed database"):
        store.add(make_record())


@pytest.mark.parametrize("name", [":memory:", "a b?c#d%20.sqlite", "ä.sqlite", "file:x"])
def test_any_name_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for place in (name, tmp_path / name):
        with ResultStore(place) as store:
            store.add(make_record())
    assert [file.name for file in tmp_path.iterdir()] == [name]


# Files that are no store -------------------------------------------------------------------------


def refuse(path: Path, what: str, **settings: object) -> None:
    with pytest.raises(StoreError, match=rf"^{path}: .*{what}"):
        ResultStore(path, **settings).close()


def test_a_folder_is_refused(tmp_path):
    refuse(tmp_path, "is a folder: pass the path of a file")


def test_a_file_where_a_folder_should_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    refuse(tmp_path / "file" / "store", "folder that you can write to")


@pytest.mark.parametrize("content", ["", "SQLite format 3\0", "text, " * 100, "{" * 100])
def test_a_file_of_another_kind_is_refused_and_stays(tmp_path, content):
    file = tmp_path / "notes"
    file.write_text(content)
    refuse(file, "(empty or cut short|not a store): pass another path")
    assert file.read_text() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_database_of_another_program_is_refused_and_stays(tmp_path):
    file = tmp_path / "bookmarks"
    with closing(sqlite3.connect(file)) as other:
        other.executescript("CREATE TABLE folds (key); INSERT INTO folds VALUES ('x');")
    before = file.read_bytes()
    refuse(file, "database of another program: pass another path")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("version, age", [(0, "an older"), (99, "a newer")])
def test_a_store_of_another_version_is_refused_and_stays(filled, version, age):
    with closing(sqlite3.connect(filled)) as other:
        other.execute(f"PRAGMA user_version = {version}")
    before = filled.read_bytes()
    advice = f"use {age} edaemo, or pass another path"
    refuse(filled, f"{age} edaemo made it .store version {version}; .*: {advice}")
    assert filled.read_bytes() == before


def test_a_store_that_was_cut_short_says_so_wherever_it_was_cut(filled):
    whole = filled.read_bytes()
    places = random.Random(0).sample(range(len(whole)), 40)
    for n in [0, 1, 99, 100, 101, 4095, 4096, 4097, 8192, len(whole) - 4096, len(whole) - 1]:
        places.append(n)
    for n in places:
        filled.write_bytes(whole[:n])
        refuse(filled, "(empty or cut short|is damaged): ")
        assert filled.read_bytes() == whole[:n]
    filled.write_bytes(whole)
    check_filled(filled)


@pytest.mark.parametrize("end", ["", "-wal"])
def test_what_a_killed_run_left_and_was_cut_short_never_gives_wrong_folds(filled, end):
    left = filled.parent / "left"
    with ResultStore(filled) as store:
        for i in range(40, 50):
            store.add(make_record(f"k{i:02d}", n_trials=30 + i, fold=i))
        whole = [Path(f"{filled}{end}").read_bytes() for end in ("", "-wal")]
    n_bytes = len(whole[end == "-wal"])
    outcomes = set()
    for n in [*random.Random(0).sample(range(n_bytes), 60), n_bytes - 4096, n_bytes - 1, n_bytes]:
        for content, name in zip(whole, ["", "-wal"], strict=True):
            Path(f"{left}{name}").write_bytes(content[:n] if name == end else content)
        try:
            with ResultStore(left) as store:
                n_folds = len(store.folds())
        except StoreError as error:
            assert str(error).startswith(f"{left}: ")
            outcomes.add("refused")
            Path(f"{left}-wal").unlink(missing_ok=True)
        else:
            check_filled(left, n_folds)
            outcomes.add(n_folds)
    # A log that was cut cannot be told from one of a run that was killed earlier.
    assert outcomes == {"refused", 50} if end == "" else outcomes == set(range(40, 51))


def test_a_store_with_foreign_bytes_never_gives_wrong_folds(filled):
    """Whatever is overwritten, what comes is an error or the folds as they were."""
    whole = filled.read_bytes()
    with ResultStore(filled) as store:
        expected = store.folds().drop(columns="created"), store.predictions()
    rng = random.Random(0)
    n_refused = 0
    for _ in range(40):
        place = rng.randrange(4096, len(whole) - 600)
        filled.write_bytes(whole[:place] + rng.randbytes(600) + whole[place + 600 :])
        try:
            with ResultStore(filled) as store:
                found = store.predictions()
                store.folds()
        except StoreError as error:
            assert str(error).startswith(f"{filled}: ")
            n_refused += 1
        else:
            assert_frame_equal(found, expected[1])
    assert n_refused > 20


def test_a_log_without_its_store_is_not_taken_for_that_of_a_new_one(tmp_path):
    path = tmp_path / "store"
    with ResultStore(path) as store:
        store.add(make_record())
        shutil.copy(f"{path}-wal", tmp_path / "log")
    path.unlink()
    shutil.move(tmp_path / "log", f"{path}-wal")
    advice = "restore the store, or delete store-wal"
    refuse(path, f"the file is missing, but store-wal exists: {advice}")
    Path(f"{path}-wal").unlink()
    with ResultStore(path) as store:
        assert store.folds().empty


def test_a_store_that_another_process_locks_says_so_in_time(filled):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        refuse(filled, "another process has locked it: wait", timeout=0.3)
        assert 0.2 < time.monotonic() - start < 5


def test_reading_goes_on_while_another_process_writes(filled):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ResultStore(filled, timeout=0.3) as store:
            with pytest.raises(StoreError, match=rf"^{filled}: another process has locked it"):
                store.add(make_record("new"))
            assert store.folds(["k03"])["fold"].tolist() == [3]
            assert len(store.predictions(["k03"])) == 33
            other.execute("ROLLBACK")
            assert store.add(make_record("new"))


def test_a_store_opens_while_another_process_reads_what_it_was_before(filled):
    with ResultStore(filled) as store, closing(sqlite3.connect(filled)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM folds").fetchone()
        for i in range(40, 60):
            store.add(make_record(f"k{i:02d}", n_trials=30 + i, fold=i))
        check_filled(filled, 60)
        assert other.execute("SELECT count(*) FROM folds").fetchone() == (40,)


def test_a_store_that_another_process_makes_meanwhile_is_kept(path, monkeypatch):
    make = _store._make

    def make_later(fresh: Path, journal: str) -> None:
        monkeypatch.setattr(_store, "_make", make)
        with ResultStore(path) as other:
            other.add(make_record("of the other"))
        make(fresh, journal)

    monkeypatch.setattr(_store, "_make", make_later)
    with ResultStore(path) as store:
        assert store.done(["of the other"])


def test_a_lock_that_ends_in_time_is_waited_for(filled):
    code = """
        import sqlite3, time
        other = sqlite3.connect(sys.argv[1], isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        print("locked", flush=True)
        time.sleep(0.5)
        other.execute("ROLLBACK")
    """
    with start(code, filled) as other:
        assert other.stdout.readline() == "locked\n"
        check_filled(filled)


# Trouble on the way ------------------------------------------------------------------------------


LIGHT = """
import sys, types, edaemo
evaluation = types.ModuleType("edaemo.evaluation")  # without torch, which takes seconds
evaluation.__path__ = [edaemo.__path__[0] + "/evaluation"]
sys.modules["edaemo.evaluation"] = evaluation
import test_store as t
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    """Start Python code in a process of its own, which sees this module as `t`."""
    path = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", LIGHT + textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        text=True,
    )


ADD = """
    path, first, last, step, seed = sys.argv[1], *map(int, sys.argv[2:])
    with t.ResultStore(path) as store:
        print("open", flush=True)
        for i in range(first, last, step):
            store.add(t.make_record(f"k{i:02d}", n_trials=30 + i, fold=i, seed=seed))
            print(i, flush=True)
"""


KILL_TEN = """
    import os, random, time
    path, rng = sys.argv[1], random.Random(0)

    def add(first, told):
        with t.ResultStore(path) as store:
            for i in range(first, 100_000):
                store.add(t.make_record(f"k{i:05d}", n_trials=30 + i, fold=i))
                os.write(told, b"%d\\n" % i)

    n_known = 0
    for _ in range(10):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            add(n_known, write)
        os.close(write)
        time.sleep(rng.uniform(0.02, 0.2))
        os.kill(child, 9)
        os.waitpid(child, 0)
        with open(read) as told:
            n_told = max([n_known, *(int(line) + 1 for line in told)])
        with t.ResultStore(path, timeout=1) as store:
            folds, lengths = store.folds(), store.predictions().groupby("key").size()
        # The one in work when it was killed may be there, or not.
        n_known = len(folds)
        assert n_known in (n_told, n_told + 1), (n_known, n_told)
        assert folds["fold"].tolist() == list(range(n_known))
        assert lengths.tolist() == [30 + i for i in range(n_known)]
    print(n_known)
"""


def test_no_record_is_lost_when_a_run_is_killed(path):
    """kill -9 at ten moments; whatever add() had returned for is there, whole."""
    with start(KILL_TEN, path) as run:
        assert int(run.stdout.read()) > 10
    assert run.returncode == 0


KILL_EVERYWHERE = """
    import os, pathlib

    def make(path, n_lines):
        seen = []

        def trace(frame, event, argument):
            if frame.f_code.co_filename == t._store.__file__:
                seen.append(event)
                if len(seen) == n_lines:
                    os.kill(os.getpid(), 9)
                return trace

        sys.settrace(trace)
        t.ResultStore(path).close()
        os._exit(0)

    killed = 0
    for n_lines in range(1, 400):
        path = pathlib.Path(sys.argv[1], f"{n_lines}.sqlite")
        child = os.fork()
        if not child:
            make(path, n_lines)
        status = os.waitpid(child, 0)[1]
        with t.ResultStore(path) as store:
            assert store.add(t.make_record())
        if status == 0:
            break
        killed += 1
    print(killed)
"""


def test_a_store_is_whole_or_not_there_when_its_making_is_killed(tmp_path):
    with start(KILL_EVERYWHERE, tmp_path) as run:
        assert 40 < int(run.stdout.read()) < 398
    assert run.returncode == 0


@pytest.mark.parametrize("exists", [True, False])
def test_two_processes_add_at_the_same_time(path, exists):
    if exists:
        ResultStore(path).close()
    with start(ADD, path, 0, 200, 1, 1) as one, start(ADD, path, 260, 60, -1, 2) as two:
        assert one.wait() == two.wait() == 0
    with ResultStore(path) as store:
        folds, lengths = store.folds(), store.predictions().groupby("key").size()
    assert sorted(folds["fold"]) == list(range(261))
    assert set(folds["seed"]) == {1, 2}
    assert sorted(lengths) == [30 + i for i in range(261)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_reader_sees_whole_folds_while_a_run_writes(path):
    with start(ADD, path, 0, 150, 1, 0) as run, ResultStore(path) as store:
        counts = []
        while run.poll() is None or not counts:
            counts.append(len(store.done(f"k{i:02d}" for i in range(150))))
            lengths = store.predictions().groupby("key").size()
            assert sorted(lengths) == [30 + i for i in range(len(lengths))]
        assert run.returncode == 0
        assert counts == sorted(counts)
        assert len(store.folds()) == 150


def test_no_space_left_loses_nothing(filled):
    code = """
        import resource, signal
        from pathlib import Path
        assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
        path = Path(sys.argv[1])
        store = t.ResultStore(path)
        free, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20_000, hard))
        for i in range(40, 100):
            try:
                store.add(t.make_record(f"k{i}", n_trials=30 + i, fold=i))
            except t.StoreError as error:
                print(error)
                break
        try:
            t.ResultStore(path.with_name("new")).close()
        except t.StoreError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
        print(store.add(t.make_record(f"k{i}", n_trials=30 + i, fold=i)), i)
        store.close()
    """
    with start(code, filled) as run:
        full, *_, again = run.stdout.read().splitlines()
    assert run.returncode == 0
    assert full.startswith(f"{filled}: ")
    assert "Finished folds are safe: free some space, and run again." in full
    added, i = again.split()
    assert added == "True"
    check_filled(filled, int(i) + 1)


def test_no_space_left_for_a_new_store_leaves_nothing_behind(tmp_path):
    code = """
        import resource
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
        try:
            t.ResultStore(sys.argv[1])
        except t.StoreError as error:
            print(error)
    """
    with start(code, tmp_path / "store") as run:
        assert run.stdout.read().startswith(f"{tmp_path / 'store'}: ")
    assert list(tmp_path.iterdir()) == []


READ_ONLY = """
    import os
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    for path in sys.argv[1:]:
        try:
            with t.ResultStore(path) as store:
                print(len(store.folds()), len(store.predictions()))
                store.add(t.make_record("new"))
        except t.StoreError as error:
            print(error)
"""


def test_what_cannot_be_written_to_is_read_and_takes_no_record(tmp_path, filled):
    def copy(name: str) -> Path:
        (tmp_path / name).mkdir()
        return shutil.copy(filled, tmp_path / name / "store")

    file, folder, absent, hidden = (copy(name) for name in ("file", "folder", "absent", "hidden"))
    file.chmod(0o444)
    file.parent.chmod(0o777)
    folder.chmod(0o666)
    folder.parent.chmod(0o555)
    absent.unlink()
    absent.parent.chmod(0o555)
    hidden.chmod(0o000)
    places = [file, folder, absent, hidden]
    reachable = tmp_path
    while os.getuid() == 0 and reachable != Path("/tmp") and reachable != reachable.parent:
        reachable.chmod(reachable.stat().st_mode | 0o055)  # for whom the child becomes
        reachable = reachable.parent
    with start(READ_ONLY, *places) as run:
        lines = run.stdout.read().splitlines()
    for path in places:
        path.parent.chmod(0o777)
    assert run.returncode == 0
    n_trials = sum(30 + i for i in range(40))
    assert lines[0] == lines[2] == f"40 {n_trials}"
    errors = [lines[1], *lines[3:]]
    assert len(errors) == 4
    for line, path, what in zip(
        errors, places, ["writable", "writable", "writable", "can write to"], strict=True
    ):
        assert line.startswith(f"{path}: ") and what in line
    check_filled(folder)


def test_without_shared_memory_it_falls_back_to_a_rollback_journal(tmp_path, monkeypatch):
    """A folder in the place of the file of shared memory, as on a drive that has none."""
    monkeypatch.setattr(_store, "uuid4", lambda: type("", (), {"hex": "0"}))
    fresh = tmp_path / ".store.0-shm"
    make = _store._make

    def make_hindered(path: Path, journal: str) -> None:
        if journal == "WAL":
            fresh.mkdir()
        try:
            make(path, journal)
        finally:
            if journal == "WAL":
                fresh.rmdir()

    monkeypatch.setattr(_store, "_make", make_hindered)
    with ResultStore(tmp_path / "store") as store:
        store.add(make_record())
        assert not Path(f"{store.path}-wal").exists()
        (journal,) = store._connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = store._connection.execute("PRAGMA synchronous").fetchone()
    assert (journal, synchronous) == ("delete", 3)
    assert [file.name for file in tmp_path.iterdir()] == ["store"]
    with ResultStore(tmp_path / "store") as store:
        assert store.done(["k"]) == {"k"}


def test_a_store_waits_for_the_disk_at_each_commit(path):
    with ResultStore(path) as store:
        (journal,) = store._connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = store._connection.execute("PRAGMA synchronous").fetchone()
    assert (journal, synchronous) == ("wal", 3)


def test_a_file_system_without_hard_links_will_do(path, monkeypatch):
    def link(*arguments: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", link)
    for _ in range(2):
        with ResultStore(path) as store:
            store.add(make_record())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_interrupted_add_leaves_nothing(path, monkeypatch):
    with ResultStore(path) as store:

        def interrupt(record: FoldRecord) -> dict:
            raise KeyboardInterrupt

        encode: Callable = _store._encode
        monkeypatch.setattr(_store, "_encode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.add(make_record())
        monkeypatch.setattr(_store, "_encode", encode)
        assert store.folds().empty
        assert store.add(make_record())


def test_settings_are_readable_with_plain_sqlite(path):
    with ResultStore(path) as store:
        store.add(make_record())
    with closing(sqlite3.connect(path)) as other:
        (text,) = other.execute("SELECT settings FROM folds WHERE pipeline = 'svm-eda'").fetchone()
    assert json.loads(text) == DONE["settings"]


# Stores that were changed --------------------------------------------------------------------


def test_a_flipped_bit_is_an_error_or_changes_no_fold(filled):
    whole = filled.read_bytes()
    with ResultStore(filled) as store:
        store.declare("comparison", {"svm-eda": Member(("eda",), ("k00",))})
        expected = store.folds(), store.predictions(), store.family("comparison")
    whole = filled.read_bytes()
    rng = random.Random(0)
    n_refused = 0
    for _ in range(150):
        content = bytearray(whole)
        content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        filled.write_bytes(content)
        try:
            with ResultStore(filled) as store:
                found = store.folds(), store.predictions(), store.family("comparison")
        except StoreError as error:
            assert str(error).startswith(f"{filled}: ")
            n_refused += 1
        else:
            assert_frame_equal(found[0], expected[0])
            assert_frame_equal(found[1], expected[1])
            assert found[2] == expected[2]
    assert n_refused > 60  # the others are in unused bytes


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE folds SET scores = replace(scores, '0.', '1.') WHERE key = 'k07'",
        "UPDATE folds SET predictions = (SELECT predictions FROM folds WHERE key = 'k08') "
        "WHERE key = 'k07'",
        "UPDATE folds SET fold = '7' WHERE key = 'k07'",
        "DELETE FROM folds WHERE key = 'k07'",
        "DELETE FROM checksums WHERE id = 'k07'",
        "INSERT INTO folds (key, status) VALUES ('k077', 'failed')",
        "UPDATE families SET keys = '[\"k07\"]'",
    ],
)
def test_a_row_that_was_changed_added_or_removed_is_named(filled, change):
    with ResultStore(filled) as store:
        store.declare("comparison", {"k07": Member(("eda",), ("k00",))})
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        assert other.execute(change).rowcount == 1
    refuse(filled, "is damaged: restore a copy.*k07")


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("CREATE TRIGGER spy AFTER INSERT ON folds BEGIN DELETE FROM folds; END", "trigger 'spy'"),
        ("CREATE VIEW spy AS SELECT * FROM folds", "view 'spy'"),
        ("CREATE TABLE spy (a)", "table 'spy'"),
        ("CREATE INDEX spy ON folds (abs(fold))", "index 'spy'"),
        ("ALTER TABLE folds ADD COLUMN spy AS (abs(fold))", "table 'folds'"),
    ],
)
def test_what_edaemo_did_not_make_is_refused_and_runs_nothing(filled, statement, what):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute(statement)
    before = filled.read_bytes()
    refuse(filled, what)
    assert filled.read_bytes() == before


def test_a_view_in_the_place_of_the_folds_is_refused(filled):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("ALTER TABLE folds RENAME TO hidden")
        other.execute("CREATE VIEW folds AS SELECT * FROM hidden")
    refuse(filled, "which edaemo did not make")


WITHOUT_LABELS = {name: [1, 2] for name in ("row", "subject", "stimulus", "trial", "predicted")}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, None) for name in ("key", "settings", "versions", "scores", "classes", "audit")),
        ("predictions", None),
        ("settings", "[]"),
        ("training_subjects", "{}"),
        ("scores", "3"),
        ("scores", "[" * 100_000),
        ("key", b"k07"),
        ("predictions", zlib.compress(b"[]")),
        ("predictions", zlib.compress(b"{}")),
        ("predictions", zlib.compress(json.dumps(WITHOUT_LABELS).encode())),
        ("predictions", zlib.compress(json.dumps(WITHOUT_LABELS | {"label": [1]}).encode())),
        ("predictions", zlib.compress(json.dumps(WITHOUT_LABELS | {"label": None}).encode())),
    ],
)
def test_missing_values_and_short_predictions_are_errors(filled, column, value):
    """In a store without checksums, as edaemo made it before version 5."""
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute(f"UPDATE folds SET {column} = ? WHERE key = 'k07'", (value,))
        other.execute("PRAGMA user_version = 4")
    with ResultStore(filled) as store, pytest.raises(StoreError, match="is damaged: restore"):
        store.folds()
        store.predictions()


def test_folds_are_read_when_the_disk_is_full(filled):
    code = """
        import resource
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        with t.ResultStore(sys.argv[1]) as store:
            os_write = __import__("os").write
            os_write(1, f"{len(store.folds())} {len(store.done(['k01']))}\\n".encode())
            try:
                store.add(t.make_record("new"))
            except t.StoreError as error:
                os_write(1, str(error).encode())
    """
    with start(code, filled) as run:
        counts, error = run.stdout.read().split("\n", 1)
    assert run.returncode == 0
    assert counts == "40 1"
    assert error.startswith(f"{filled}: ") and "cannot be written" in error
    check_filled(filled)


def test_folds_in_the_log_of_a_killed_run_are_read_when_the_disk_is_full(filled):
    code = """
        import os
        store = t.ResultStore(sys.argv[1])
        store.add(t.make_record("k40", n_trials=70, fold=40))
        os.kill(os.getpid(), 9)
    """
    with start(code, filled) as run:
        run.wait()
    assert Path(f"{filled}-wal").stat().st_size > 0
    Path(f"{filled}-shm").unlink()
    code = """
        import os, resource
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        store = t.ResultStore(sys.argv[1])
        os.write(1, str(len(store.folds())).encode())
    """
    with start(code, filled) as run:
        assert run.stdout.read() == "41"
    check_filled(filled, 41)


def test_an_old_store_that_cannot_be_written_to_is_read(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    path = Path(shutil.copy(OLD, folder))
    before = path.read_bytes()
    code = """
        import os, resource
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        with t.ResultStore(sys.argv[1]) as store:
            os.write(1, " ".join(sorted(set(store.folds()["people"]))).encode())
    """
    with start(code, path) as run:
        assert run.stdout.read() == "all"
    assert path.read_bytes() == before


# Stores of version 1 ------------------------------------------------------------------------------

# Made by edaemo as it was before tasks: eight people of `outside.make_study`, two folds, "my-knn"
# on arousal above each person's threshold and "my-line" on arousal as rated; beside it the tables
# that `evaluate` returned then.
OLD = Path(__file__).parent / "data" / "store_v1.sqlite"
OLD_TABLES = json.loads(OLD.with_suffix(".json").read_text())


@pytest.fixture
def old(tmp_path) -> Path:
    return Path(shutil.copy(OLD, tmp_path))


def contents(path: Path) -> tuple[int, list[tuple]]:
    with closing(sqlite3.connect(path)) as file:
        names = [row[1] for row in file.execute("PRAGMA table_info(folds)")]
        names = [name for name in names if name not in ("task", "artificial")]
        rows = file.execute(f"SELECT {', '.join(names)} FROM folds ORDER BY key").fetchall()
        return file.execute("PRAGMA user_version").fetchone()[0], rows


def with_names_of_now(rows: list[tuple]) -> list[tuple]:
    """Rename the row that was called "time" before version 3."""
    return [tuple("trial-order" if v == "time" else v for v in row) for row in rows]


def test_a_store_of_version_1_is_opened_and_only_names_change(old):
    version, before = contents(old)
    assert version == 1 and len(before) == 20
    for _ in range(2):
        with ResultStore(old) as store:
            folds = store.folds()
        assert contents(old) == (SCHEMA_VERSION, with_names_of_now(before))
    assert folds["task"].tolist() == [
        "regression" if threshold == "none" else "binary" for threshold in folds["threshold"]
    ]
    assert not folds["artificial"].any()


def test_two_processes_may_open_a_store_of_version_1_at_once(old):
    before = contents(old)[1]
    code = """
        with t.ResultStore(sys.argv[1]) as store:
            print(len(store.folds()), flush=True)
    """
    with start(code, old) as one, start(code, old) as two:
        assert one.stdout.read() == two.stdout.read() == "20\n"
    assert contents(old) == (SCHEMA_VERSION, with_names_of_now(before))


def test_rows_and_people_of_version_2_get_the_names_of_now(tmp_path):
    path = tmp_path / "s.sqlite"
    with ResultStore(path) as store:
        store.add(make_record("a", pipeline="time", people="reported"))
        store.add(make_record("b", pipeline="time", task="sequence-regression"))
        store.add(make_record("c", pipeline="svm-eda", people="development"))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA user_version = 2")
    with ResultStore(path) as store:
        folds = store.folds().set_index("key").sort_index()
        assert len(store.predictions()) == 6
    assert folds["pipeline"].tolist() == ["trial-order", "step-mean", "svm-eda"]
    assert folds.loc[["a", "c"], "people"].tolist() == ["evaluation", "development"]


def test_an_old_store_takes_new_folds(old):
    with ResultStore(old) as store:
        assert store.add(make_record("new", task="multiclass", artificial=True))
        folds = store.folds(["new"])
        assert folds["task"].tolist() == ["multiclass"] and folds["artificial"].tolist() == [True]
        assert len(store.predictions(["new"])) == 2


def test_names_of_studies_that_were_generated_are_known_of_old_stores(old):
    with closing(sqlite3.connect(old, isolation_level=None)) as file:
        file.execute("UPDATE folds SET study = 'generated' WHERE threshold = 'none'")
    with ResultStore(old) as store:
        folds = store.folds()
    assert (folds["artificial"] == (folds["threshold"] == "none")).all()


# Trials of different folds were compared when the tables were made, and are not now.
COMPARED = ("balanced_accuracy", "concordance_correlation", "pearson")


def test_an_old_store_is_summarised_as_it_was(old, tmp_path):
    from edaemo.benchmark import load_predictions, summarise_predictions, write_report

    predictions = load_predictions(old)
    scores = summarise_predictions(predictions).set_index(["task", "pipeline", "score"])
    names = {
        "binary": ["accuracy", "balanced_accuracy", "f1"],
        "regression": ["concordance_correlation", "pearson", "rmse"],
    }
    for task, table in OLD_TABLES.items():
        assert [row["pipeline"] for row in table][-1] in ("my-knn", "my-line")
        for row in table:
            for name in names[task]:
                pipeline = "trial-order" if row["pipeline"] == "time" else row["pipeline"]
                found = scores.loc[(task, pipeline, name), "pooled"]
                expected = np.nan if row[name] is None else row[name]
                if name in COMPARED:
                    found = scores.loc[(task, pipeline, name), "over_people"]
                    expected = row[f"{name}_by_person"]
                    expected = np.nan if expected is None else expected
                np.testing.assert_allclose(found, expected, rtol=1e-9, equal_nan=True)
    text = write_report(old, tmp_path / "report")[1].read_text()
    assert "my-study, arousal, subject" in text and "my-study, arousal as rated, subject" in text


@pytest.mark.skipif(
    Version(pd.__version__) < Version("3"),
    reason="the store is of pandas 3, whose columns of text have another dtype and so other keys",
)
@pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")
def test_an_evaluation_goes_on_from_an_old_store(old, monkeypatch):
    """The same code and libraries given, every key of an old fold is found again."""
    import outside
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsClassifier

    from edaemo.benchmark import PIPELINES, REGRESSORS, evaluate, register_pipeline
    from edaemo.evaluation import _evaluate, _fold, _keys

    with ResultStore(old) as store:
        folds = store.folds()
    codes = dict(named_code(folds["settings"].tolist()))
    made_with = folds["versions"].iloc[0]
    for module in (_evaluate, _fold):
        monkeypatch.setattr(module, "made_with", lambda: made_with)
    code_of = _keys._code

    def old_code(module: str, path: str) -> str:
        module = _keys.FORMER.get(module, module)
        return codes[module] if module in codes else code_of(module, path)

    monkeypatch.setattr(_keys, "_code", old_code)
    for known, name in ((PIPELINES, "my-knn"), (REGRESSORS, "my-line")):
        monkeypatch.setitem(known, name, None)
        del known[name]
    register_pipeline("my-knn", KNeighborsClassifier(3), input="features")
    register_pipeline("my-line", LinearRegression(), input="features", task="regression")
    study, computed = outside.make_study(), []
    settings = {"people": "all", "n_splits": 2, "n_jobs": 1, "store": old}
    settings["on_fold"] = computed.append
    asked = {"binary": ("my-knn", "subject"), "regression": ("my-line", "none")}
    for task, (pipeline, threshold) in asked.items():
        table = evaluate(pipeline, study, "arousal", thresholds=threshold, **settings)
        assert computed == []
        rows = json.loads(table.to_json(orient="records", double_precision=15))
        for row, expected in zip(rows, OLD_TABLES[task], strict=True):
            if expected["pipeline"] == "time":
                expected["pipeline"] = "trial-order"
            expected["p_above_trial_order"] = expected.pop("p_above_time")
            for name in (name + end for name in COMPARED for end in ("", "_low", "_high")):
                expected.pop(name, None)
            widen_intervals(expected)
            for name in ("p_above_stimulus_prior", "p_above_stimulus_mean"):
                # Pipelines that do not know the stimulus were not tested against these rows.
                if expected.pop(name, 1.0) is None and not row["reference"]:
                    assert 0 < row[name] <= 1
            for name, value in expected.items():
                is_number = isinstance(value, float)
                assert row[name] == (pytest.approx(value, rel=1e-9) if is_number else value), name
    assert len(evaluate("my-knn", study, "valence", **settings)) == 5
    assert len(computed) == 10


def widen_intervals(row: dict[str, object]) -> None:
    """Widen the intervals of an old table, as `docs/statistics.md` says of several folds."""
    lowest = {"concordance_correlation_by_person": -1, "pearson_by_person": -1}
    for name in [name.removesuffix("_low") for name in row if name.endswith("_low")]:
        is_number = name.startswith(("concordance", "pearson", "rmse"))
        factor = np.sqrt(2 if is_number else 1 + 2 / np.pi)
        for end in ("_low", "_high"):
            if row[name + end] is not None:
                side = row[name] + factor * (row[name + end] - row[name])
                highest = np.inf if name.startswith("rmse") else 1
                row[name + end] = float(np.clip(side, lowest.get(name, 0), highest))


def named_code(value: object):
    """Find all classes and functions in settings, with what stands for their code."""
    if isinstance(value, dict):
        if "!name" in value:
            yield value["!name"].rpartition(".")[0], value["code"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from named_code(part)
