"""The key of a result."""

import copy
import functools
import importlib
import json
import math
import os
import pickle
import random
import runpy
import subprocess
import sys
import textwrap
from collections import OrderedDict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as SamplingPipeline
from scipy import sparse, special, stats
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler

from edaemo import CvxEDATransformer, MusicFeatureUnion
from edaemo._torch import has_torch
from edaemo.benchmark import make_rtcan, make_svm_baseline
from edaemo.evaluation import _keys
from edaemo.evaluation._keys import UnkeyableError, canonical, fingerprint, made_with
from edaemo.preprocessing import SubjectStandardizer

# Values ------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, -1.0, 0.5, math.inf, math.nan]),
    st.sampled_from(["", "0", "1", "nan", "!", "!tuple", "a", "\ud800"]),
    st.sampled_from([b"", b"1"]),
)
hashable = st.one_of(scalars, st.tuples(scalars), st.frozensets(scalars, max_size=2))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b", "!tuple", "!"]), inner, max_size=3),
        st.dictionaries(hashable, inner, max_size=2),
        st.frozensets(hashable, max_size=3),
    ),
    max_leaves=6,
)


def tell(value: object) -> object:
    """Write a value down in a way of its own: equal for equal values of equal types alone."""
    if isinstance(value, dict):
        return ["dict", sorted([repr([tell(k), tell(value[k])]) for k in value])]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [tell(part) for part in value]]
    if isinstance(value, frozenset):
        return ["frozenset", sorted(repr(tell(part)) for part in value)]
    return [type(value).__name__, repr(value)]


@settings(max_examples=400, deadline=None)
@given(values, values)
def test_keys_are_equal_where_values_and_their_types_are(first, second):
    assert (fingerprint(first) == fingerprint(second)) == (tell(first) == tell(second))


@settings(deadline=None)
@given(values)
def test_the_canonical_form_is_json_without_loss(value):
    form = canonical(value)
    assert json.loads(json.dumps(form, allow_nan=False)) == form


@settings(deadline=None)
@given(st.dictionaries(hashable, values, max_size=4), st.randoms())
def test_the_order_of_a_dict_does_not_matter(value, rng):
    pairs = list(value.items())
    rng.shuffle(pairs)
    assert fingerprint(dict(pairs)) == fingerprint(copy.deepcopy(value))


def test_a_dict_is_never_taken_for_another_type():
    for value in [(1,), {1}, b"1", math.nan, {1: 2}, SVC(), np.arange(3), pd.Series([1]), MUSIC]:
        differ([value, canonical(value)])


def test_numpy_scalars_are_their_python_twins():
    for scalar, twin in [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
        (np.complex64(1j), 1j),
        (np.float64("nan"), math.nan),
    ]:
        assert fingerprint(scalar) == fingerprint(twin)
    assert fingerprint(np.datetime64(1, "ns")) != fingerprint(1)
    assert fingerprint(np.datetime64(1, "ns")) != fingerprint(np.datetime64(2, "ns"))


def differ(values: list) -> None:
    assert len({fingerprint(value) for value in values}) == len(values)


def test_an_array_counts_with_its_dtype_shape_and_every_bit():
    a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    nudged = a.copy()
    nudged[1, 1] = np.nextafter(nudged[1, 1], 6)
    differ([a, nudged, a.astype(np.float32), a.reshape(3, 2), a.T, a.ravel(), a.tolist(), a[:1]])
    assert fingerprint(np.asfortranarray(a)) == fingerprint(a)
    assert fingerprint(a.T) == fingerprint(a.T.copy())


def test_arrays_of_any_dtype_are_told_apart():
    # Long ones are not in the array but somewhere in memory.
    texts = np.array(["a" * 1000, "b" * 1000, "c" * 1000], np.dtypes.StringDType())
    for first, second in [
        (np.array(["a", None], object), np.array(["b", None], object)),
        (texts, np.where(texts == texts[0], texts, texts[::-1])),
        (np.array([np.arange(3.0), 1], object), np.array([np.arange(3.0) + 1e-15, 1], object)),
        (np.array([1, 2], "M8[D]"), np.array([1, 3], "M8[D]")),
        (np.ma.masked_array([1, 2], [0, 1]), np.ma.masked_array([1, 2], [1, 0])),
        (sparse.csr_array(np.eye(3)), sparse.csr_array(2 * np.eye(3))),
        (np.array(1.0), np.array([1.0])),
        (np.array([(1, 2.0)], "i4,f8"), np.array([(1, 3.0)], "i4,f8")),
    ]:
        # numpy 2.0.0 crashes on a deep copy of texts.
        copied = first.copy() if first.dtype.kind == "T" else copy.deepcopy(first)
        assert fingerprint(first) == fingerprint(copied)
        differ([first, second])


def test_what_lies_between_the_fields_of_an_array_does_not_matter():
    dtype = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    first, second = np.zeros(1, dtype), np.full(16, 7, np.uint8).view(dtype)
    second["a"], second["b"] = 0, 0.0
    assert first.tobytes() != second.tobytes()
    assert fingerprint(first) == fingerprint(second)


def make_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject": pd.array(["a", "b"], "string"),
            "trial": [0, 1],
            "eda": [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])],
            "mood": pd.Categorical(["low", "high"], ["low", "high"]),
            "at": pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"),
            "n": pd.array([1, None], "Int64"),
        }
    )


def change_cell(table: pd.DataFrame) -> pd.DataFrame:
    table["eda"].iloc[1][2] = np.nextafter(5.0, 6.0)
    return table


@pytest.mark.parametrize(
    "change",
    [
        change_cell,
        lambda table: table[table.columns[::-1]],
        lambda table: table.iloc[::-1],
        lambda table: table.iloc[:1],
        lambda table: table.set_index("trial", drop=False),
        lambda table: table.rename(columns={"trial": "Trial"}),
        lambda table: table.rename_axis("row"),
        lambda table: table.astype({"trial": "int32"}),
        lambda table: table.astype({"subject": "category"}),
        lambda table: table.astype({"subject": object}),
        lambda table: table.astype({"n": object}),
        lambda table: table.assign(mood=table["mood"].cat.rename_categories(["high", "low"])),
        lambda table: table.assign(mood=table["mood"].cat.reorder_categories(["high", "low"])),
        lambda table: table.assign(mood=table["mood"].cat.add_categories("none")),
        lambda table: table.assign(mood=table["mood"].cat.as_ordered()),
        lambda table: table.assign(n=pd.array([1, 0], "Int64")),
        lambda table: table.assign(at=table["at"].dt.tz_convert("Europe/Rome")),
        lambda table: table["subject"],
        lambda table: pd.Index(table["subject"]),
    ],
)
def test_a_table_counts_with_everything_in_it(change):
    table = make_table()
    assert fingerprint(table) == fingerprint(make_table())
    assert fingerprint(change(make_table())) != fingerprint(table)


def test_a_series_counts_with_its_name():
    differ([pd.Series([1, 2], name="a"), pd.Series([1, 2], name="b"), pd.Series([1, 2])])


def test_missing_values_are_told_apart():
    differ([None, math.nan, pd.NA, pd.NaT, np.datetime64("NaT"), "nan"])


# Pipelines ---------------------------------------------------------------------------------------

MUSIC = pd.DataFrame({"tempo": [90.0, 120.0]}, index=pd.Index(["x", "y"], name="stimulus"))


def make_net(**parameters: object) -> Pipeline:
    return make_rtcan(music=MUSIC).set_params(
        rtcan__optimizer=torch.optim.SGD,
        rtcan__optimizer_params={"momentum": 0.9, "nesterov": True},
        rtcan__lr_scheduler=LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2),
        rtcan__callbacks=[EarlyStopping(patience=3), EpochScoring("accuracy", name="a")],
        **parameters,
    )


def make_columns() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("scale", StandardScaler(), make_column_selector(dtype_include=float)),
            ("log", FunctionTransformer(np.log1p), ["a"]),
        ]
    )


def make_search() -> GridSearchCV:
    return GridSearchCV(
        Pipeline([("columns", make_columns()), ("svm", SVC())]),
        {"svm__C": [0.1, 1.0], "svm": [SVC(), LogisticRegression()]},
        scoring=make_scorer(f1_score, average="macro"),
        cv=GroupKFold(3),
    )


def make_sampling() -> SamplingPipeline:
    return SamplingPipeline(
        [
            ("both", FeatureUnion([("one", StandardScaler()), ("two", "passthrough")])),
            ("more", RandomOverSampler(random_state=0)),
            ("forest", RandomForestClassifier(random_state=0)),
        ]
    )


@pytest.mark.parametrize(
    "make, changes",
    [
        (
            lambda: make_svm_baseline(eda=SubjectStandardizer(), music=MUSIC),
            {
                "svm__C": 0.5,
                "svm__class_weight": {0: 1.0, 1: 2.0},
                "fuse__eda": SubjectStandardizer(calibrate_on=5),
                "fuse__music": MUSIC + 1e-14,
                "scale__with_mean": False,
            },
        ),
        (
            make_net,
            {
                "rtcan__channels": [64, 64, 64, 64],
                "rtcan__optimizer": torch.optim.AdamW,
                "rtcan__optimizer_params": {"momentum": 0.9, "nesterov": False},
                "rtcan__lr_scheduler__step_size": 3,
                "rtcan__lr_scheduler": LRScheduler(torch.optim.lr_scheduler.ExponentialLR),
                "rtcan__callbacks": [EpochScoring("accuracy", name="a"), EarlyStopping(patience=3)],
                "rtcan__random_state": 0,
            },
        ),
        (
            make_search,
            {
                "estimator__svm__kernel": "linear",
                "estimator__columns__scale__with_std": False,
                "estimator__columns__log__func": np.log,
                "estimator__columns__remainder": "passthrough",
                "param_grid": {"svm__C": [0.1, 1.0], "svm": [SVC(), LogisticRegression(C=2)]},
                "scoring": make_scorer(f1_score, average="micro"),
                "cv": GroupKFold(4),
            },
        ),
        (
            make_sampling,
            {
                "both__one__with_std": False,
                "both__transformer_weights": {"one": 2.0},
                "more__random_state": 1,
                "forest__n_estimators": 7,
            },
        ),
    ],
)
def test_every_parameter_however_deep_changes_the_key(make, changes):
    key = fingerprint(make())
    assert fingerprint(make()) == fingerprint(clone(make())) == key
    assert fingerprint({"pipeline": make()}) != key
    keys = {fingerprint(make().set_params(**{name: changes[name]})) for name in changes}
    assert len(keys - {key}) == len(changes)


def test_what_a_pipeline_has_learnt_is_no_part_of_its_key():
    fresh = make_svm_baseline(eda="passthrough")
    table = pd.DataFrame({"eda_mean": np.arange(6.0), "eda_std": np.ones(6)})
    fitted = clone(fresh).fit(table, [0, 1] * 3)
    assert fingerprint({"models": [fitted]}) == fingerprint({"models": [fresh]})


def test_what_a_frozen_estimator_has_learnt_is_part_of_its_key():
    X, y = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3)

    def make(shift: int) -> Pipeline:
        forest = RandomForestClassifier(3, random_state=0).fit(X, (y + shift) % 2)
        return Pipeline([("first", "passthrough"), ("forest", FrozenEstimator(forest))])

    assert fingerprint(make(0)) == fingerprint(make(0))
    assert fingerprint(make(0)) != fingerprint(make(1))


def test_output_containers_and_metadata_requests_are_part_of_the_key():
    plain, pandas = StandardScaler(), StandardScaler().set_output(transform="pandas")
    differ([plain, pandas])
    with config_context(enable_metadata_routing=True):
        for make, ask in [
            (LogisticRegression, LogisticRegression.set_fit_request),
            (lambda: make_scorer(f1_score), lambda scorer, **k: scorer.set_score_request(**k)),
        ]:
            asking = [ask(make(), sample_weight=answer) for answer in (True, False, "weight")]
            differ([make(), *asking])


def test_distributions_of_a_search_are_told_apart():
    def make(distribution: object) -> RandomizedSearchCV:
        return RandomizedSearchCV(SVC(), {"C": distribution}, random_state=0)

    loguniform = make(stats.loguniform(1, 2))
    assert fingerprint(loguniform) == fingerprint(make(stats.loguniform(1, 2)))
    differ([loguniform, make(stats.loguniform(1, 3)), make(stats.uniform(1, 2))])


def test_functions_and_classes_are_told_apart_by_name():
    differ(
        [
            *(np.log, np.log1p, special.expit, special.logit, np.mean, math.sqrt, len, str.lower),
            *(SVC, torch.optim.Adam, torch.optim.AdamW, torch.float32, torch.device("cpu")),
            functools.partial(f1_score, average="macro"),
            functools.partial(f1_score, average="micro"),
            functools.partial(f1_score, "macro"),
            functools.partial(make_scorer, average="macro"),
            "abc".join,
            "abd".join,
            SVC().set_params,
            SVC(C=2).set_params,
        ]
    )


def test_the_key_holds_the_release_of_each_library():
    assert canonical(SVC)["code"] == f"scikit-learn {version('scikit-learn')}"
    assert canonical(torch.optim.Adam)["code"] == f"torch {version('torch')}"
    assert canonical(print)["code"].startswith("python 3.")
    assert canonical(CvxEDATransformer)["code"] == f"edaemo {made_with()['edaemo']}"


def make_layers() -> list[torch.nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [torch.nn.Linear(2, 2), torch.nn.Tanh()]


def test_a_network_counts_with_its_weights_and_the_order_of_its_layers():
    def net(*order: int) -> torch.nn.Module:
        layers = make_layers()
        return torch.nn.Sequential(OrderedDict((f"layer{i}", layers[i]) for i in order))

    nudged, frozen = net(0, 1), net(0, 1)
    with torch.no_grad():
        nudged.layer0.weight[0, 0] += 1e-6
    frozen.layer0.weight.requires_grad_(False)
    assert fingerprint(net(0, 1)) == fingerprint(net(0, 1))
    differ([net(0, 1), net(1, 0), nudged, frozen])
    differ([torch.ones(2), torch.ones(2, dtype=torch.bfloat16), torch.zeros(2), torch.ones(2, 1)])


# What has no key ---------------------------------------------------------------------------------


def make_local() -> list:
    class Local(SVC):
        pass

    def local(a, b):
        return a @ b.T

    return [Local(), local, functools.partial(local, 1), [Local]]


@pytest.mark.parametrize("kernel", [lambda a, b: a @ b.T, *make_local()])
def test_lambdas_and_local_definitions_are_refused(kernel):
    pipeline = Pipeline([("scale", "passthrough"), ("svm", SVC(kernel=kernel))])
    with pytest.raises(UnkeyableError, match=r"^svm__kernel.* top level of a module\.$"):
        fingerprint(pipeline)


def test_two_lambdas_never_share_a_key():
    """Moabb issue 194: their repr is the same but for an address, and the address is used again."""
    for power in (1, 2):
        with pytest.raises(UnkeyableError, match="lambda"):
            fingerprint(FunctionTransformer(lambda x, power=power: x**power))


@pytest.mark.parametrize(
    "generator",
    [
        np.random.RandomState(0),
        np.random.default_rng(0),
        np.random.PCG64(0),
        random.Random(0),
        torch.Generator(),
        np.random.rand,
        random.random,
    ],
)
def test_random_generators_are_refused(generator):
    search = make_search().set_params(estimator__svm__random_state=generator)
    with pytest.raises(UnkeyableError, match=r"^estimator__svm__random_state.*an int as seed"):
        fingerprint(search)


def test_what_has_no_content_is_refused():
    cycle: list = []
    cycle.append(cycle)
    with open(os.devnull) as file:
        for value in [file, object(), (i for i in []), sys.stdout, cycle]:
            with pytest.raises(UnkeyableError, match=r"^svm__kernel"):
                fingerprint(Pipeline([("svm", SVC(kernel=value))]))


def test_the_error_names_the_place():
    for place, value in {
        "models[1]__rtcan__callbacks[1]__sink": {
            "models": [
                SVC(),
                make_net().set_params(
                    rtcan__callbacks=[EarlyStopping(), EarlyStopping(sink=lambda text: None)]
                ),
            ]
        },
        "columns__log__func": Pipeline(
            [("columns", make_columns().set_params(log__func=lambda x: x))]
        ),
        "The value": object(),
        "['a']": {"a": object(), 1: 2},
    }.items():
        with pytest.raises(UnkeyableError) as caught:
            fingerprint(value)
        assert str(caught.value).startswith(f"{place}: "), caught.value


class Stubborn(BaseEstimator):
    def __init__(self, layers=()):
        self.layers = list(layers)


def test_an_estimator_that_scikit_learn_cannot_clone_is_refused():
    with pytest.raises(UnkeyableError, match=r"^net: scikit-learn cannot clone it"):
        fingerprint({"net": Stubborn()})


def test_the_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(UnkeyableError("svm__kernel: no")))
    assert isinstance(error, ValueError) and str(error) == "svm__kernel: no"


# Other processes, other code ---------------------------------------------------------------------


def run(code: str, folder: Path, hash_seed: int = 0) -> list[str]:
    """Run code in a process of its own, in a folder, and give the lines that it prints."""
    path = os.pathsep.join([str(folder), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(not has_torch(), reason="needs torch")
def test_another_process_with_another_hash_seed_gives_the_same_key(tmp_path):
    (tmp_path / "others.py").write_text(Path(__file__).read_text())
    code = """
        import others as t
        for value in [
            t.make_table(), t.make_net(), t.make_search(), t.make_sampling(), t.make_layers(),
            {"b": 1, "a": {"x", "y", "z", "w", ("t", 1)}, 3: frozenset("abcdef")}, t.Stubborn,
        ]:
            print(t.fingerprint(value))
    """
    first, second = (run(code, tmp_path, seed) for seed in (1, 2))
    assert first == second
    assert first[:4] == [
        fingerprint(make()) for make in (make_table, make_net, make_search, make_sampling)
    ]
    assert len(set(first)) == 7


OWN = {
    "own_model.py": """
        from sklearn.svm import SVC
        import own_shared.tools

        class Model(SVC):
            def fit(self, X, y):
                from own_late import scale
                return super().fit(scale(X), y)

        def kernel(a, b):
            return a @ b.T
    """,
    "own_late.py": "from own_shared import FACTOR\n\ndef scale(X):\n    return X * FACTOR\n",
    "own_shared/__init__.py": "FACTOR = 2\n",
    "own_shared/tools.py": "from . import deeper\n",
    "own_shared/deeper.py": (
        "import own_model\nimport own_far.inner.end\n"
        "def never():\n    import own_folders.without.init.end\n"
    ),
    "own_far/__init__.py": "",
    "own_far/inner/__init__.py": "",
    "own_far/inner/end.py": "",
    "own_folders/without/init/end.py": "",
    "own_other.py": "x = 1\n",
}


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """Give a folder with modules that no library released."""
    for name, code in OWN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forget_own()


def forget_own() -> None:
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def own_keys() -> list[str]:
    forget_own()
    model = importlib.import_module("own_model")
    return [fingerprint(value) for value in (model.Model(), model.Model, model, [model.kernel])]


def test_a_changed_module_of_ones_own_changes_the_key(own):
    before = own_keys()
    assert len(set(before)) == 4
    (own / "own_other.py").write_text("x = 2\n")
    assert own_keys() == before
    for name in set(OWN) - {"own_other.py"}:
        (own / name).write_text((own / name).read_text() + "\n# changed\n")
        after = own_keys()
        assert not set(after) & set(before)
        before = after


SCRIPT = """
from sklearn.svm import SVC
import own_late
from edaemo.evaluation._keys import fingerprint
FACTOR = 2
UNUSED = 1

def scale(X):
    return own_late.scale(X) * FACTOR if len(X) else again(X)

def again(X):
    return scale(X)

class Model(SVC):
    def fit(self, X, y):
        return super().fit(scale(X), y)

key = fingerprint([Model(C=3), scale])
print(key)
"""


def test_what_a_script_defines_counts_with_all_that_it_uses_there(own):
    def run_script(code: str) -> str:
        (own / "script.py").write_text(code)
        return runpy.run_path(str(own / "script.py"), run_name="__main__")["key"]

    before = run_script(SCRIPT)
    assert run_script(SCRIPT.replace("UNUSED = 1", "UNUSED = 2")) == before
    for old, new in [("FACTOR = 2", "FACTOR = 3"), ("if len", "if 1+len"), ("C=3", "C=4")]:
        assert run_script(SCRIPT.replace(old, new)) != before
    started = "import subprocess, sys; subprocess.run([sys.executable, 'script.py'])"
    run_script(SCRIPT)
    assert run(started, own) == [before]
    (own / "own_late.py").write_text(OWN["own_late.py"] + "\n# changed\n")
    forget_own()
    assert run_script(SCRIPT) != before


def test_a_session_without_source_is_refused(tmp_path):
    code = """
        from edaemo.evaluation._keys import fingerprint

        # Python 3.13 knows the source of `-c`.
        exec(compile("def scale(X): return X", "<typed>", "exec"))
        try:
            fingerprint({"func": scale})
        except ValueError as error:
            print(error)
    """
    (line,) = run(code, tmp_path)
    assert line.startswith("func: scale is defined in __main__, and its source is not available")


def test_the_code_that_is_loaded_counts_not_the_file_as_it_is_now(tmp_path, monkeypatch):
    (tmp_path / "loaded_once.py").write_text("def f(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("loaded_once")
    before = fingerprint(module.f)
    (tmp_path / "loaded_once.py").write_text("def f(x):\n    return x + 100\n")
    assert fingerprint(module.f) == before
    old = module.f
    importlib.reload(module)
    assert fingerprint(module.f) != before
    with pytest.raises(UnkeyableError, match=r"loaded_once\.f cannot be found by this name"):
        fingerprint(old)


def test_a_module_without_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "soon_gone.py").write_text("def f(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    f = importlib.import_module("soon_gone").f
    (tmp_path / "soon_gone.py").unlink()
    with pytest.raises(UnkeyableError, match="soon_gone cannot be read"):
        fingerprint({"f": f})


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """Give a folder for installed packages."""
    (tmp_path / "site-packages").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    _keys._distributions.cache_clear()
    yield tmp_path / "site-packages"
    _keys._distributions.cache_clear()
    forget_own()


@pytest.mark.parametrize("origin", ["index", "here", "elsewhere"])
def test_a_package_counts_by_its_release_unless_it_was_installed_from_a_folder(site, origin):
    """conda's packages name a folder too, that of the machine where they were built."""
    record = site / "own_released-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: own-released\nVersion: 1.0\n")
    (record / "top_level.txt").write_text("own_released\n")
    if origin != "index":
        folder = site if origin == "here" else site / "gone"
        direct = {"url": folder.as_uri(), "dir_info": {}}
        (record / "direct_url.json").write_text(json.dumps(direct))
    codes = []
    for content in ("", "# changed\n"):
        forget_own()
        (site / "own_released.py").write_text(f"{content}def f(x):\n    return x\n")
        codes.append(canonical(importlib.import_module("own_released").f)["code"])
    if origin == "here":
        assert codes[0] != codes[1]
        assert "own" not in codes[0]
    else:
        assert codes == ["own-released 1.0"] * 2


# What everything was made with -------------------------------------------------------------------


def test_made_with_names_our_sources_and_the_libraries():
    found = made_with()
    assert found["torch"] == version("torch")
    assert found["imbalanced-learn"] == version("imbalanced-learn")
    assert found["decomposition"] in ("compiled", "scipy")
    assert (found["avx2"] is None) == (found["decomposition"] == "scipy")
    assert json.loads(json.dumps(found)) == found == made_with()


def test_the_digest_of_our_sources_covers_the_kernel(tmp_path, monkeypatch):
    digest = _keys._own_digest.__wrapped__
    (tmp_path / "inner").mkdir()
    monkeypatch.setattr(_keys.edaemo, "__file__", str(tmp_path / "__init__.py"))
    found = [digest()]
    for name in ("__init__.py", "inner/kernel.cpp", "inner/kernel.h", "inner/kernel.hpp"):
        (tmp_path / name).write_text("1")
        found.append(digest())
    (tmp_path / "inner" / "kernel.hpp").write_text("2")
    found.append(digest())
    assert len(set(found)) == 6
    (tmp_path / "notes.txt").write_text("1")
    assert digest() == found[-1]


def test_a_study_has_one_key(few):
    data = {"trials": few.trials, "ratings": few.ratings, "music": few.music}
    key = fingerprint(data)
    assert fingerprint(copy.deepcopy(data)) == key
    few = few.trials.copy()
    few["eda"] = [cell.copy() for cell in few["eda"]]
    few["eda"].iloc[3][5] = np.nextafter(few["eda"].iloc[3][5], np.inf)
    assert fingerprint({**data, "trials": few}) != key


def test_the_union_takes_its_music_by_content():
    differ([MusicFeatureUnion(music=MUSIC), MusicFeatureUnion(music=MUSIC[::-1])])
