"""A trial has the same probabilities, bit for bit, in whatever batch, order and thread it comes.

benchmarks/library_paths.py runs these tests with other kernels of torch's libraries.
"""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from edaemo import RTCANClassifier
from edaemo.estimators import CNNClassifier
from edaemo.networks import fast_paths
from edaemo.training import Feed, _row_groups, _torch, torch_threads
from edaemo.training._row_groups import ONE_BY_ONE, Way

pytestmark = pytest.mark.same_bits
N_ROWS = 70
SMALL = {"max_epochs": 1, "batch_size": 20, "random_state": 0}


def make_rows(n_columns, seed=0):
    rows = np.random.default_rng(seed).normal(size=(N_ROWS, n_columns)) + 0.3
    return rows.astype(np.float32)


def fit(model, n_columns):
    """A model whose every number has a part: RNTA begins with a gain of zero."""
    model.fit(make_rows(n_columns, seed=1)[:20], np.arange(20) % 3)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.net_.module_.named_parameters():
            if name.endswith("norm.weight"):
                value.uniform_(0.5, 1.5)
    return model


def way_of(model):
    (way,) = _row_groups._of_network[model.net_.module_].values()
    return way


def assert_same_answers(model, rows, sizes=(2, 3, 5, 8, 13, 16, 17, 24, 31, 33)):
    together = model.predict_proba(rows)
    assert len(np.unique(together[:, 0])) > 1
    one_by_one = np.concatenate([model.predict_proba(rows[[i]]) for i in range(17)])
    assert_array_equal(one_by_one, together[:17])
    assert_array_equal(model.predict_proba(rows[::-1]), together[::-1])
    order = np.random.default_rng(2).permutation(len(rows))
    assert_array_equal(model.predict_proba(rows[order]), together[order])
    for n in sizes:
        assert_array_equal(model.predict_proba(rows[n : 2 * n]), together[n : 2 * n])


@pytest.mark.parametrize("architecture", ["paper", "published"])
@pytest.mark.parametrize("channels", [(16, 16, 16, 16), (32, 32, 48, 64), (128, 64, 64, 16)])
@pytest.mark.parametrize(("n_chans", "n_times"), [(1, 128), (3, 150), (1, 200), (3, 1300)])
def test_few_rows_are_answered_as_many(architecture, channels, n_chans, n_times):
    if architecture == "published":
        n_times += 1250
    model = RTCANClassifier(
        n_chans=n_chans, n_times=n_times, architecture=architecture, channels=channels, **SMALL
    )
    width = n_chans * n_times + 3
    assert_same_answers(fit(model, width), make_rows(width))


@pytest.mark.parametrize("fast", [None, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"channels": (4, 4, 6, 6), "reduction": 2},
        {"channels": (16, 16, 16, 24)},
        {"sca": False, "n_times": 127},
        {"rnta": False, "sca_res": False},
        {"n_times": 5},
        {"form": "small-corpus", "depth": 2},
    ],
    ids=str,
)
def test_few_rows_are_answered_as_many_by_networks_of_other_sizes(settings, fast):
    settings = {"n_times": 140} | SMALL | settings
    width = 2 * settings["n_times"] + 5
    with fast_paths(fast):
        model = fit(RTCANClassifier(n_chans=2, **settings), width)
        assert_same_answers(model, make_rows(width))


@pytest.mark.parametrize(("n_features", "n_filters"), [(128, 64), (20, 4), (5, 3)])
def test_few_rows_are_answered_as_many_by_the_cnn(n_features, n_filters):
    model = fit(CNNClassifier(n_filters=n_filters, **SMALL), n_features)
    assert_same_answers(model, make_rows(n_features))


@pytest.mark.parametrize("channels", [(16, 16, 16, 16), (128, 64, 64, 16)])
def test_few_rows_are_answered_as_many_in_lower_precision(channels):
    model = RTCANClassifier(n_chans=3, n_times=200, channels=channels, amp="bf16", **SMALL)
    assert_same_answers(fit(model, 603), make_rows(603))


def test_few_rows_are_answered_as_many_on_two_threads():
    model = RTCANClassifier(n_chans=1, n_times=140, n_threads=2, **SMALL)
    assert_same_answers(fit(model, 140), make_rows(140)[:20], sizes=(2, 5))


MODELS = [RTCANClassifier(n_chans=1, n_times=140, **SMALL), CNNClassifier(**SMALL)]
LINEAR = torch.nn.functional.linear


def by_number(x, weight, bias=None):
    """Other last digits for each number of rows."""
    return LINEAR(x, weight, bias) * (1 + len(x) * 2.0**-22)


def by_number_if_few(x, weight, bias=None):
    """One number in one row is next to what it is in four rows or more."""
    y = LINEAR(x, weight, bias)
    if len(x) < 4:
        y[0, 0] = torch.nextafter(y[0, 0], torch.tensor(9.0))
    return y


def by_place(x, weight, bias=None):
    """Other last digits in each row."""
    return LINEAR(x, weight, bias) * (1 + torch.arange(len(x))[:, None] * 2.0**-22)


def by_last_place(x, weight, bias=None):
    """One number in the last of sixteen rows is next to what it is elsewhere."""
    y = LINEAR(x, weight, bias)
    if len(x) >= 16:
        y[15, 0] = torch.nextafter(y[15, 0], torch.tensor(9.0))
    return y


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("linear", "may_have_several"),
    [(by_number, True), (by_number_if_few, True), (by_place, False), (by_last_place, False)],
)
def test_a_linear_layer_that_rounds_otherwise_is_noticed(
    model, linear, may_have_several, monkeypatch
):
    fitted = fit(copy.deepcopy(model), 140)
    monkeypatch.setattr(_row_groups, "_found", {})
    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    assert_same_answers(fitted, make_rows(140), sizes=(2, 3, 16, 33))
    way = way_of(fitted)
    if not may_have_several:
        assert way == ONE_BY_ONE
    elif linear is by_number:
        # What the layer is given is filled up to sixteen rows, or each row comes by itself.
        assert way.least_rows == 16 or way == ONE_BY_ONE


def row_by_row(x, weight, bias=None):
    return torch.cat([LINEAR(row, weight, bias) for row in x.split(1)])


def test_where_rows_are_treated_alike_several_are_given_at_once(monkeypatch):
    """Else the test above could pass because nothing ever passes."""
    monkeypatch.setattr(_row_groups, "_found", {})
    monkeypatch.setattr(torch.nn.functional, "linear", row_by_row)
    assert 16 in way_of(fit_and_predict(MODELS[1])).sizes


def fit_and_predict(model):
    fitted = fit(copy.deepcopy(model), 140)
    fitted.predict_proba(make_rows(140))
    return fitted


class Refuses(torch.nn.Module):
    """A network for one row at a time."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, X):
        if len(X) > 1:
            raise RuntimeError("one row at a time")
        return self.linear(X)


class Constant(torch.nn.Module):
    """A network whose answers tell nothing of how it adds up."""

    def forward(self, X):
        return X.new_zeros(len(X), 2)


@pytest.mark.parametrize("network", [Refuses(), Constant()])
def test_a_network_that_cannot_be_tried_gets_one_row_at_a_time(network):
    way = _row_groups.find_way(
        network.eval(),
        lambda: (type(network),),
        3,
        1,
        torch.inference_mode,
        feed=Feed.of(type(network), None),
        compiled=False,
    )
    assert way == ONE_BY_ONE


def test_the_trial_leaves_network_hooks_and_chance_alone():
    called = []
    model = fit(RTCANClassifier(n_chans=1, n_times=130, **SMALL), 130)
    network = model.net_.module_
    network.register_forward_hook(lambda *_: called.append(1))
    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    model.predict_proba(make_rows(130)[:1])
    assert torch.rand(1) == expected
    assert len(called) == 1
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_is_tried_once_for_each_setting(monkeypatch):
    tried = []
    find = _row_groups._Trial.find
    monkeypatch.setattr(_row_groups._Trial, "find", lambda self: tried.append(1) or find(self))
    monkeypatch.setattr(_row_groups, "_found", {})
    model, other = (fit(CNNClassifier(n_filters=8, **SMALL), 30) for _ in range(2))
    for _ in range(2):
        model.predict_proba(make_rows(30))
        other.predict_proba(make_rows(30))
    assert len(tried) == 1
    model.n_threads = 2
    model.predict_proba(make_rows(30))
    assert len(tried) == 2
    fit(CNNClassifier(n_filters=9, **SMALL), 30).predict_proba(make_rows(30))
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("sizes", "n", "passes"),
    [
        ((1,), 3, (1, 1, 1)),
        ((16,), 17, (16, 16)),
        ((16, 1), 15, (16,)),
        ((16, 1), 35, (16, 16, 1, 1, 1)),
        ((16, 1, 2, 4, 8, 64), 64 + 33, (64, 16, 16, 1)),
        ((16, 2, 4, 8, 64), 1, (2,)),
    ],
)
def test_rows_are_split_into_passes_of_known_sizes(sizes, n, passes):
    assert Way(sizes).passes(n) == passes


def in_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def mkl_threads():
    lines = torch.__config__.parallel_info().splitlines()
    counts = [line.split(" : ")[1] for line in lines if "mkl_get_max_threads" in line]
    return int(counts[0]) if counts else None


def test_all_kinds_of_threads_are_set_in_the_thread_that_computes():
    """threadpoolctl sets OpenMP's number of threads and cannot see that of torch's own MKL."""

    def work():
        torch.set_num_threads(2)
        with threadpool_limits(1), torch_threads(1):
            assert torch.get_num_threads() == 1
            return mkl_threads()

    assert in_thread(work) in (1, None)


def test_both_ways_to_read_mkls_number_of_threads_agree():
    for n in (1, 2):
        read = in_thread(lambda n=n: (torch.set_num_threads(n), _torch._mkl_threads())[1])
        said = in_thread(lambda n=n: (torch.set_num_threads(n), _torch._read_mkl_threads())[1])
        assert read == said


def test_the_number_of_threads_is_put_back():
    def work():
        torch.set_num_threads(2)
        with torch_threads(1):
            assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    assert in_thread(work) == 2


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="the processor knows no such mode")
def test_denormal_numbers_are_kept_in_the_thread_that_computes():
    small = torch.tensor([1e-310], dtype=torch.float64)

    def work():
        torch.set_flush_denormal(True)
        with torch_threads(1):
            inside = (small * 1.0).item()
        return inside, (small * 1.0).item()

    assert in_thread(work) == (1e-310, 0.0)


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_in_another_thread_with_other_settings_is_the_same(model):
    rows = make_rows(140)
    labels = np.arange(N_ROWS) % 2
    expected = copy.deepcopy(model).fit(rows, labels).predict_proba(rows)

    def work():
        torch.set_num_threads(2)
        torch.set_flush_denormal(True)
        with threadpool_limits(1):
            return copy.deepcopy(model).fit(rows, labels).predict_proba(rows)

    assert_array_equal(in_thread(work), expected)
