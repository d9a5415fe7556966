"""The fast ways of RTCAN's layers give what the plain ways give, and learn what they learn."""

import copy
import itertools

import pytest
import torch
from torch import nn

from edaemo.networks import RTCAN, fast_paths
from edaemo.networks._fast._switch import is_time_major
from edaemo.networks._layers import SignalChannelAttention

pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="the fast ways are for processors with AVX-512",
)
SWITCHES = [
    {"sca": sca, "sca_res": sca_res, "rnta": rnta}
    for sca, sca_res, rnta in itertools.product([True, False], repeat=3)
]
SMALL = {"channels": (4, 4, 6, 6), "reduction": 2}
LENGTH = {"paper": 130, "published": 1260}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(architecture, n_times=None, n_chans=2, n_music=3, dtype=torch.float64, **settings):
    """A network whose every number has a part: RNTA begins with a gain of zero."""
    torch.manual_seed(0)
    n_times = n_times or LENGTH[architecture]
    net = RTCAN(n_chans, n_times, n_music, 3, architecture=architecture, **(SMALL | settings))
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("norm.weight"):
                value.uniform_(0.5, 1.5)
    return net.to(dtype)


def rows_for(net, n, dtype=torch.float64):
    torch.manual_seed(1)
    width = net.n_chans * net.n_times + 3
    return torch.randn(n, width, dtype=dtype) + 0.3  # no mean of zero


def learn(net, rows, *, fast, steps=2, amp=False):
    """Logits, the gradient of every number, and the state, after so many steps."""
    net = copy.deepcopy(net).train()
    rows = rows.clone().requires_grad_()
    labels = torch.arange(len(rows)) % 3
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    found = {}
    with fast_paths(fast):
        for step in range(steps):
            optimizer.zero_grad()
            rows.grad = None
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
                logits = net(rows)
            nn.functional.cross_entropy(logits, labels).backward()
            found[f"logits {step}"] = logits.detach()
            found[f"rows {step}"] = rows.grad.clone()
            for name, value in net.named_parameters():
                found[f"{name} {step}"] = value.grad.clone()
            optimizer.step()
        found |= {f"{name} state": value.clone() for name, value in net.state_dict().items()}
        net.eval()
        with torch.no_grad():
            found["predicted"] = net(rows)
        found["predicted with gradients"] = net(rows).detach()
    return found


def assert_alike(plain, fast, tolerance):
    """Equal within the tolerance of the largest number of its kind."""
    assert plain.keys() == fast.keys()
    for name, value in plain.items():
        scale = max(value.abs().max().item(), 1.0)
        torch.testing.assert_close(
            fast[name], value, rtol=0, atol=tolerance * scale, msg=lambda text, n=name: n + text
        )


CASES = [
    *[(kind, switches) for kind in LENGTH for switches in SWITCHES],
    *[(kind, {"depth": 2}) for kind in LENGTH],
    *[(kind, {"n_clips": n}) for kind in LENGTH for n in (1, 2, 5)],
    *[(kind, {"channels": (1, 2, 3, 1)}) for kind in LENGTH],
    *[(kind, {"n_chans": 1}) for kind in LENGTH],
    ("paper", {"n_times": 3}),
    ("paper", {"n_times": 40, "n_clips": 10}),
]


@pytest.mark.parametrize(("architecture", "settings"), CASES, ids=str)
@pytest.mark.parametrize("n", [2, 19])
def test_double_precision_is_equal_to_1e_12(architecture, settings, n):
    net = make(architecture, **settings)
    rows = rows_for(net, n)
    assert_alike(learn(net, rows, fast=False), learn(net, rows, fast=True), 1e-12)


@pytest.mark.parametrize("architecture", LENGTH)
@pytest.mark.parametrize("channels", [(4, 4, 6, 6), (64, 64, 64, 64)])
def test_single_precision_is_equal_to_1e_5(architecture, channels):
    net = make(architecture, channels=channels, dtype=torch.float32)
    rows = rows_for(net, 20, torch.float32)
    plain, fast = (learn(net, rows, fast=way, steps=1) for way in (False, True))
    assert_alike(plain, fast, 1e-5)


def test_signals_that_stand_still_are_equal_too():
    """Of two samples alike each is the larger; which one learns must not hang on the way."""
    net = make("published")
    rows = rows_for(net, 6)
    rows[:, : net.n_chans * net.n_times] = torch.arange(6, dtype=torch.float64)[:, None]
    assert_alike(learn(net, rows, fast=False), learn(net, rows, fast=True), 1e-12)


@pytest.mark.parametrize("architecture", LENGTH)
def test_the_fast_way_is_taken_and_left(architecture):
    """Else the tests above compare a thing with itself."""
    net = make(architecture, dtype=torch.float32)
    rows = rows_for(net, 4, torch.float32)
    called = []
    for name, layer in net.named_modules():
        if name.endswith("shallow.1"):
            layer.register_forward_hook(lambda *_: called.append(1))
    for fast, times in [(False, 1), (True, 0), (None, 0)]:
        called.clear()
        with fast_paths(fast):
            net(rows)
        assert len(called) == times


@pytest.mark.parametrize("architecture", LENGTH)
@pytest.mark.parametrize("settings", [{}, {"sca": False}, {"rnta": False, "sca_res": False}])
def test_gradient_is_that_of_finite_differences(architecture, settings):
    """The two gradients written by hand, against differences of the loss itself."""
    net = make(architecture, **settings).train()
    attend = net.attention
    x = torch.randn(4, 4, 12, dtype=torch.float64).mT.contiguous().mT.requires_grad_()
    weights = torch.randn(4, 4, 12, dtype=torch.float64)
    with fast_paths(True):
        assert torch.autograd.gradcheck(lambda x: (attend(x) * weights).sum(), x)


@pytest.mark.parametrize("architecture", LENGTH)
def test_bfloat16_is_no_further_from_single_precision_than_plainly(architecture):
    net = make(architecture, channels=(32, 32, 32, 32), dtype=torch.float32)
    rows = rows_for(net, 20, torch.float32)
    exact = learn(net, rows, fast=False, steps=1)
    gradient = torch.cat([exact[f"{name} 0"].ravel() for name, _ in net.named_parameters()])
    away = {}
    for fast in (False, True):
        found = learn(net, rows, fast=fast, steps=1, amp=True)
        assert found["logits 0"].dtype == torch.bfloat16
        ours = torch.cat([found[f"{name} 0"].ravel() for name, _ in net.named_parameters()])
        assert ours.dtype == torch.float32
        away[fast] = [
            ((ours - gradient).norm() / gradient.norm()).item(),
            (found["logits 0"].float() - exact["logits 0"]).norm().item(),
        ]
    assert 0 < away[True][0] < 1.3 * away[False][0] < 0.6
    assert 0 < away[True][1] < 1.3 * away[False][1] < 0.6


@pytest.mark.parametrize("architecture", LENGTH)
def test_exported_networks_are_plain(architecture):
    net = make(architecture, dtype=torch.float32).eval()
    rows = rows_for(net, 3, torch.float32)
    program = torch.export.export(net, (rows,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(rows), net(rows), rtol=1e-5, atol=1e-5)
    assert not [node for node in program.graph.nodes if "conv2d" in str(node.target)]


@pytest.mark.parametrize("n_clips", [1, 3])
def test_attention_over_filters_keeps_the_layout(n_clips):
    layer = SignalChannelAttention(8, 2, n_clips)
    signal = torch.randn(4, 30, 8).mT
    for training in (True, False):
        assert is_time_major(layer.train(training)(signal))
