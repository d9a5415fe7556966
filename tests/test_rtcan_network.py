"""The RTCAN network: both architectures, their switches, and the released code's checkpoints."""

import ast
import itertools
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.nn.functional import cross_entropy

from edaemo.networks import RTCAN, fast_paths, load_published_weights

ROOT = Path(__file__).parents[1]
TINY = {"channels": (4, 4, 6, 6), "reduction": 2}
SWITCHES = [
    {"sca": sca, "sca_res": sca_res, "rnta": rnta}
    for sca, sca_res, rnta in itertools.product([True, False], repeat=3)
]
# Biases of published that a batch norm (shallow, g, W) or softmax (phi) cancels in training.
CANCELLED = re.compile(r"shallow\.0\.bias|.*rnta\.(phi|g|project)\.bias")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """More threads take turns where others are busy, and some tests then take minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def give_every_number_a_part(net: nn.Module) -> nn.Module:
    """Draw weights, batch norms and their running statistics; in double precision, to predict."""
    torch.manual_seed(1)
    for name, value in net.double().state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(value, 0.5, 1.5)
        elif value.is_floating_point():
            nn.init.normal_(value, std=0.5)
    return net.eval()


# --- the networks written out: one trial, arrays of shape (filters, samples) ---------------------


def convolve(x, weight, bias=0.0, stride=1):
    width = weight.shape[2]
    padded = np.pad(x, [(0, 0), (width // 2, width // 2)])
    windows = sliding_window_view(padded, width, axis=1)[:, ::stride]
    return np.einsum("oik,ilk->ol", weight, windows) + np.reshape(bias, (-1, 1))


def relu(x):
    return np.maximum(x, 0)


class Written:
    """The arithmetic of both architectures, with the numbers of a network's state."""

    def __init__(self, net, sca, sca_res, rnta, depth=1, n_clips=3):
        self.at = {name: value.numpy() for name, value in net.state_dict().items()}
        self.sca, self.sca_res, self.rnta = sca, sca_res, rnta
        self.depth, self.n_clips = depth, n_clips

    def conv(self, x, name, stride=1):
        return convolve(x, self.at[f"{name}.weight"], self.at.get(f"{name}.bias", 0.0), stride)

    def norm(self, x, name):
        mean, var, gain, bias = (
            self.at[f"{name}.{kind}"][:, None]
            for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * gain + bias

    def channel_attention(self, x, name):
        hidden = relu(self.conv(x.mean(axis=1, keepdims=True), f"{name}.squeeze"))
        return x / (1 + np.exp(-self.conv(hidden, f"{name}.excite")))

    def nonlocal_attention(self, x, name, pool):
        theta, phi, g = (self.conv(x, f"{name}.{kind}") for kind in ("theta", "phi", "g"))
        if pool == 2:
            n = phi.shape[1] // 2 * 2
            phi, g = (np.maximum(values[:, :n:2], values[:, 1:n:2]) for values in (phi, g))
        scores = np.exp(theta.T @ phi)  # [i, j]: how much i takes of j
        weighted = (scores / scores.sum(axis=1, keepdims=True)) @ g.T
        return self.conv(weighted.T, f"{name}.project")

    def clips(self, x):
        edges = [i * x.shape[1] // self.n_clips for i in range(self.n_clips + 1)]
        return [x[:, start:stop] for start, stop in itertools.pairwise(edges)]

    def paper_attention(self, x):
        parts = []
        for part in self.clips(x):
            if self.sca:
                part = self.channel_attention(part, "attention.sca")
            if self.rnta:
                response = self.nonlocal_attention(part, "attention.rnta", pool=1)
                part = part + self.norm(response, "attention.rnta.norm")
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def published_attention(self, x):
        if self.rnta:
            name = "attention.rnta"
            x = np.concatenate(
                [
                    part + self.norm(self.nonlocal_attention(part, name, pool=2), f"{name}.norm")
                    for part in self.clips(x)
                ],
                axis=1,
            )
        return self.channel_attention(x, "attention.sca") if self.sca else x

    def unit(self, x, name, stride, shortcut):
        attended = self.channel_attention(x, f"{name}.sca") if self.sca_res else x
        y = relu(self.norm(self.conv(attended, f"{name}.convolve.0", stride), f"{name}.convolve.1"))
        if self.depth == 2:
            y = self.norm(self.conv(y, f"{name}.again.0"), f"{name}.again.1")
        if shortcut == "input":
            return relu(y + x)
        start = {"downsampled input": x, "downsampled attended": attended}[shortcut]
        return relu(y + self.downsample(start, f"{name}.shortcut", stride))

    def downsample(self, x, name, stride):
        return self.norm(self.conv(x, f"{name}.0", stride), f"{name}.1")

    def blocks(self, x, first, strides, last_stride, shortcut):
        for block, stride in enumerate(strides):
            x = self.unit(x, f"trunk.{first + 2 * block}", stride, shortcut)
            x = self.unit(x, f"trunk.{first + 2 * block + 1}", 1, "input")
        return self.downsample(x, f"trunk.{first + 8}", last_stride)

    def head(self, x):
        for layer in (0, 2, 4):
            x = self.at[f"classify.{layer}.weight"] @ x + self.at[f"classify.{layer}.bias"]
            x = x if layer == 4 else relu(x)
        return x

    def paper(self, eda, music):
        x = self.norm(self.conv(eda, "shallow.0", stride=2), "shallow.1")
        x = self.paper_attention(x)
        x = relu(self.norm(self.conv(x, "trunk.0.0"), "trunk.0.1"))
        padded = np.pad(x, [(0, 0), (1, 1)], constant_values=-np.inf)
        x = sliding_window_view(padded, 3, axis=1)[:, ::2].max(axis=2)
        x = self.blocks(x, 2, (1, 2, 2, 2), 1, "downsampled input")
        width = min(14, x.shape[1])
        n = x.shape[1] // width
        x = x[:, : n * width].reshape(len(x), n, width).mean(axis=2)
        return self.head(np.concatenate([x.ravel(), music]))

    def published(self, eda, music):
        x = self.norm(self.conv(eda, "shallow.0", stride=2), "shallow.1")
        x = self.published_attention(x) if self.sca or self.rnta else relu(x)
        x = self.blocks(x, 0, (2, 2, 2, 2), 3, "downsampled attended")
        x = sliding_window_view(x, 14, axis=1).mean(axis=2)
        logits = self.head(np.concatenate([x.ravel(), music]))
        return logits if len(music) else relu(logits)


def check_against_written(architecture, n_times, n_music=2, depth=1, n_clips=3, **switches):
    net = give_every_number_a_part(
        RTCAN(
            2,
            n_times,
            n_music,
            3,
            architecture=architecture,
            depth=depth,
            n_clips=n_clips,
            **switches,
            **TINY,
        )
    )
    X = torch.randn(2, 2 * n_times + n_music, dtype=torch.float64)
    written = getattr(Written(net, depth=depth, n_clips=n_clips, **switches), architecture)
    row = X[1].numpy()
    expected = written(row[: 2 * n_times].reshape(2, n_times), row[2 * n_times :])
    with torch.no_grad():
        assert_allclose(net(X)[1], expected, rtol=1e-9, atol=1e-9)
    return expected


class TestArithmetic:
    @pytest.mark.parametrize("switches", SWITCHES, ids=str)
    @pytest.mark.parametrize("depth", [1, 2])
    @pytest.mark.parametrize(("architecture", "n_times"), [("paper", 75), ("published", 1400)])
    def test_network_is_what_its_description_says(self, architecture, n_times, depth, switches):
        check_against_written(architecture, n_times, depth=depth, **switches)

    @pytest.mark.parametrize(("architecture", "n_times"), [("paper", 950), ("published", 1249)])
    @pytest.mark.parametrize("n_clips", [1, 2, 5])
    def test_clips_and_pooling_of_any_number(self, architecture, n_times, n_clips):
        check_against_written(architecture, n_times, n_clips=n_clips, **SWITCHES[0])

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    def test_attention_is_equations_8_and_10_to_13(self, architecture):
        net = RTCAN(1, 1249, 0, 2, architecture=architecture, **TINY)
        give_every_number_a_part(net)
        x = torch.randn(1, 4, 8, dtype=torch.float64)  # clips of 2, 3 and 3 samples
        written = Written(net, **SWITCHES[0])
        expected = getattr(written, f"{architecture}_attention")(x[0].numpy())
        assert_allclose(net.attention(x)[0].detach(), expected, atol=1e-12)

    @pytest.mark.parametrize(
        ("architecture", "n_music", "lowest"),
        [("paper", 0, -1e4), ("paper", 3, -1e4), ("published", 0, 0.0), ("published", 3, -1e4)],
    )
    def test_only_published_without_music_ends_in_a_relu(self, architecture, n_music, lowest):
        net = RTCAN(1, 1249, n_music, 2, architecture=architecture, **TINY).eval()
        nn.init.constant_(net.classify[4].bias, -1e4)
        logits = net(torch.randn(3, 1249 + n_music)).detach()
        assert_allclose(logits, np.full((3, 2), lowest), atol=100)

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    @pytest.mark.parametrize(("last_relu", "lowest"), [(True, 0.0), (False, -1e4)])
    def test_the_last_relu_can_be_switched(self, architecture, last_relu, lowest):
        net = RTCAN(1, 1249, 0, 2, architecture=architecture, last_relu=last_relu, **TINY).eval()
        nn.init.constant_(net.classify[4].bias, -1e4)
        logits = net(torch.randn(3, 1249)).detach()
        assert_allclose(logits, np.full((3, 2), lowest), atol=100)


class TestShifts:
    """What attention sees of a signal that is moved."""

    def attention(self, architecture, **switches):
        net = RTCAN(1, 1249, 0, 2, architecture=architecture, channels=(8,) * 4, **switches)
        return give_every_number_a_part(net).attention

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    @pytest.mark.parametrize("switches", [{"sca": True, "rnta": False}, {"rnta": True}], ids=str)
    def test_shift_by_a_clip_in_a_circle_shifts_the_output_by_a_clip(self, architecture, switches):
        attend = self.attention(architecture, **switches)
        x = torch.randn(2, 8, 30, dtype=torch.float64)
        torch.testing.assert_close(attend(x.roll(10, -1)), attend(x).roll(10, -1))

    @pytest.mark.parametrize(("architecture", "step"), [("paper", 3), ("published", 4)])
    def test_shift_within_each_clip_shifts_the_output_within_each_clip(self, architecture, step):
        # published pools phi and g over pairs of samples, so that steps are of two
        attend = self.attention(architecture)

        def shift(x):
            return torch.cat([part.roll(step, -1) for part in x.split(10, -1)], -1)

        x = torch.randn(2, 8, 30, dtype=torch.float64)
        torch.testing.assert_close(attend(shift(x)), shift(attend(x)))
        assert not torch.allclose(attend(x.roll(step, -1)), attend(x).roll(step, -1))

    @pytest.mark.parametrize(
        ("architecture", "switches", "elsewhere"),
        [
            ("paper", {"rnta": False}, False),
            ("paper", {"sca": False}, False),
            ("paper", {}, False),
            ("published", {"rnta": False}, True),
            ("published", {"sca": False}, False),
            ("published", {}, True),
        ],
    )
    @pytest.mark.parametrize("n_clips", [2, 3, 5])
    def test_raising_the_last_clip_changes(self, architecture, switches, elsewhere, n_clips):
        """The other clips too where SCA looks at the whole signal, else that clip alone."""
        attend = self.attention(architecture, n_clips=n_clips, **switches)
        x = torch.randn(2, 8, 30, dtype=torch.float64)
        start = 30 - 30 // n_clips
        raised = x.clone()
        raised[..., start:] += 1
        change = (attend(raised) - attend(x)).abs().amax(dim=(0, 1))
        assert (change[start:] > 1e-3).all()
        assert ((change[:start] > 1e-9) == elsewhere).all()


@pytest.fixture
def shapes():
    """Record the shape of what each named layer gives, in the order of the calls."""

    def record(net, X):
        given = {}
        for name, layer in net.named_modules():
            layer.register_forward_hook(
                lambda layer, args, out, name=name: given.setdefault(name, []).append(
                    tuple(out.shape[1:])
                )
            )
        with torch.no_grad(), fast_paths(False):  # the fast ways do the work of several layers
            net.eval()(X)
        return given

    return record


def count(*sizes, **settings):
    with torch.device("meta"):
        net = RTCAN(*sizes, **settings)
    return sum(value.numel() for value in net.parameters())


class TestSizes:
    @pytest.mark.parametrize("n_times", [1, 2, 7, 40, 128, 500])
    @pytest.mark.parametrize(("n_chans", "n_music", "n_outputs"), [(1, 0, 2), (3, 5, 4)])
    @pytest.mark.parametrize("n_clips", [1, 3, 10])
    def test_paper_takes_any_size(self, n_times, n_chans, n_music, n_outputs, n_clips):
        net = RTCAN(n_chans, n_times, n_music, n_outputs, n_clips=n_clips, **TINY)
        logits = net(torch.randn(3, n_chans * n_times + n_music))
        assert logits.shape == (3, n_outputs)
        assert torch.isfinite(logits).all()

    @pytest.mark.parametrize("n_times", [1249, 1250, 1344, 1345, 3001])
    def test_published_takes_any_size_from_1249_on(self, n_times):
        net = RTCAN(2, n_times, 1, 3, architecture="published", **TINY)
        assert net(torch.randn(2, 2 * n_times + 1)).shape == (2, 3)

    def test_published_has_the_lengths_of_the_released_code(self, shapes):
        net = RTCAN(3, 2500, 6373, 2, architecture="published")
        given = shapes(net, torch.randn(1, 3 * 2500 + 6373))
        lengths = [given[name][0][-1] for name in ("shallow", "attention")]
        lengths += [given[f"trunk.{unit}"][0][-1] for unit in range(9)]
        assert lengths == [1250, 1250, 625, 625, 313, 313, 157, 157, 79, 79, 27]
        assert given["pool"] == [(64, 14)]
        assert net.classify[0].in_features == 64 * 14 + 6373 == 7269

    @pytest.mark.parametrize(
        ("n_music", "form", "switches", "n_parameters"),
        [
            (6373, "large-corpus", {}, 2_034_602),
            (6373, "large-corpus", {"rnta": False}, 2_026_122),
            (6373, "small-corpus", {"sca": False}, 2_024_738),
            (0, "large-corpus", {}, 403_114),
            (0, "small-corpus", {}, 394_346),
            (0, "small-corpus", {"rnta": False}, 385_866),
            (0, "small-corpus", {"sca": False}, 393_250),
            (0, "small-corpus", {"sca": False, "rnta": False}, 384_706),
        ],
    )
    def test_published_has_as_many_parameters_as_the_released_code(
        self, n_music, form, switches, n_parameters
    ):
        """Counted in the released code, less a layer of 2570 that it never uses."""
        settings = {"architecture": "published", "form": form, **switches}
        assert count(3, 2500, n_music, 2, **settings) == n_parameters

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    def test_form_says_whether_residual_units_attend_and_sca_res_overrules_it(self, architecture):
        def names(**settings):
            return set(RTCAN(1, 1249, 0, 2, architecture=architecture, **settings).state_dict())

        large, small = names(form="large-corpus"), names(form="small-corpus")
        # 8 units, each with two convolutions of a weight and a bias
        assert len(large - small) == 8 * 4
        assert all(re.fullmatch(r"trunk\.\d+\.sca\..*", name) for name in large - small)
        assert small < large == names() == names(form="small-corpus", sca_res=True)
        assert small == names(sca_res=False)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"architecture": "released"}, "architecture must be one of"),
            ({"form": "large"}, "form must be one of"),
            ({"depth": 3}, "depth must be one of"),
            ({"init": "he"}, "init must be one of"),
            ({"channels": (64, 64, 64)}, "channels must be four"),
            ({"channels": (64, 64, 64, 0)}, "channels must be four"),
            ({"n_clips": 0}, "n_clips must be at least 1"),
            ({"reduction": 0}, "reduction must be at least 1"),
            ({"dropout": 1.0}, "dropout must be"),
            ({"dropout": -0.1}, "dropout must be"),
            ({"architecture": "published"}, "needs n_times of 1249 or more, got 1248.*resampled"),
        ],
    )
    def test_what_cannot_be_is_one_error(self, settings, message):
        with pytest.raises(ValueError, match=message):
            RTCAN(1, 1248, 0, 2, **settings)

    def test_published_refuses_clips_too_short_for_its_pooling(self):
        RTCAN(1, 1249, 0, 2, architecture="published", n_clips=312, **TINY)(torch.randn(2, 1249))
        with pytest.raises(ValueError, match="n_clips may be at most 312 for n_times of 1249"):
            RTCAN(1, 1249, 0, 2, architecture="published", n_clips=313)
        RTCAN(1, 1249, 0, 2, architecture="published", n_clips=313, rnta=False)

    def test_dropout_lies_between_the_linear_layers_and_by_default_nowhere(self):
        kinds = [type(layer) for layer in RTCAN(1, 9, 0, 2, dropout=0.5, **TINY).classify]
        both = [nn.Linear, nn.ReLU, nn.Dropout]
        assert kinds == [*both, *both, nn.Linear]
        assert not any(isinstance(layer, nn.Dropout) for layer in RTCAN(1, 9, 0, 2).modules())
        net = RTCAN(1, 9, 0, 2, dropout=0.5, **TINY)
        assert {layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)} == {0.5}


class TestTraining:
    @pytest.mark.parametrize("channels", [(16,) * 4, (16, 16, 24, 32)], ids=str)
    @pytest.mark.parametrize("depth", [1, 2])
    @pytest.mark.parametrize("switches", SWITCHES, ids=str)
    @pytest.mark.parametrize(("architecture", "n_times"), [("paper", 64), ("published", 1249)])
    def test_every_combination_trains_every_parameter(
        self, architecture, n_times, switches, depth, channels
    ):
        torch.manual_seed(0)
        net = RTCAN(
            1,
            n_times,
            3,
            2,
            architecture=architecture,
            depth=depth,
            channels=channels,
            reduction=1,
            **switches,
        ).double()
        X = torch.randn(8, n_times + 3, dtype=torch.float64)
        y = torch.arange(8) % 2
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        losses = []
        for step in range(4):
            optimizer.zero_grad()
            loss = cross_entropy(net(X), y)
            loss.backward()
            losses.append(loss.item())
            if step:
                for name, value in net.named_parameters():
                    low, high = (0, 1e-12) if CANCELLED.fullmatch(name) else (1e-10, np.inf)
                    assert low <= value.grad.abs().max() < high, name
            optimizer.step()
        assert losses[-1] < losses[0]

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    @pytest.mark.parametrize("init", ["torch", "normal", "normal-variance", "published"])
    def test_learns_from_every_start(self, architecture, init):
        torch.manual_seed(0)
        X, y = torch.randn(32, 1250), torch.arange(32) % 2
        X[y == 1, 300:600] += 1.0
        net = RTCAN(1, 1249, 1, 2, architecture=architecture, init=init, channels=(16,) * 4)
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
        for _ in range(25):
            optimizer.zero_grad()
            loss = cross_entropy(net(X), y)
            loss.backward()
            optimizer.step()
        assert loss < 0.2  # ln 2 = 0.69 for a network that says nothing


class TestInitialWeights:
    def drawn(self, **settings):
        """Weights of convolutions and linear layers by name, of a seed."""
        torch.manual_seed(0)
        net = RTCAN(3, 1249, 300, 2, architecture="published", **settings)
        layers = dict(net.named_modules())
        return {
            name: layer
            for name, layer in layers.items()
            if isinstance(layer, nn.Conv1d | nn.Linear)
        }

    def test_torch_leaves_them_as_pytorch_draws_them(self):
        """Uniform within 1 / sqrt(fan-in), weights and biases."""
        for layer in self.drawn().values():
            bound = layer.weight[0].numel() ** -0.5
            assert 0.9 * bound < layer.weight.abs().max() <= bound
            assert_allclose(layer.weight.std().item(), bound / 3**0.5, rtol=0.15)
            assert layer.bias is None or 0 < layer.bias.abs().max() <= bound

    @pytest.mark.parametrize(("init", "deviation"), [("normal", 0.01), ("normal-variance", 0.1)])
    def test_normal_is_section_5_1_in_both_readings(self, init, deviation):
        layers = self.drawn(init=init).values()
        drawn = torch.cat([layer.weight.flatten() for layer in layers])
        assert_allclose(drawn.std().item(), deviation, rtol=0.01)
        assert_allclose((drawn.abs() < deviation).float().mean().item(), 0.6827, atol=0.005)
        for layer in layers:
            assert_allclose(layer.weight.std().item(), deviation, rtol=0.15)
            assert layer.bias is None or not layer.bias.any()

    @pytest.mark.parametrize("attention", [True, False])
    @pytest.mark.parametrize("form", ["large-corpus", "small-corpus"])
    def test_published_draws_the_trunk_by_form_and_leaves_the_rest(self, form, attention):
        """Without attention the shallow convolution is one of the released code's trunk."""
        switches = {"sca": attention, "sca_res": True, "rnta": attention, "form": form}
        torchs, layers = self.drawn(**switches), self.drawn(init="published", **switches)
        standardized = []
        for name, layer in layers.items():
            if not name.startswith("trunk" if attention else ("trunk", "shallow")):
                assert_array_equal(layer.weight.detach(), torchs[name].weight.detach())
                continue
            n_out, n_in, width = layer.weight.shape
            fan = width * {"large-corpus": n_out, "small-corpus": n_in + n_out}[form]
            standardized.append(layer.weight.detach().flatten() * (fan / 2) ** 0.5)
            assert_allclose(standardized[-1].std().item(), 1, rtol=0.12)
            if layer.bias is not None:
                assert_array_equal(layer.bias.detach(), torchs[name].bias.detach())
        within = (torch.cat(standardized).abs() < 1).float().mean().item()
        assert_allclose(within, 0.6827, atol=0.005)  # normal; 0.58 were they uniform

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    @pytest.mark.parametrize("init", ["torch", "normal", "normal-variance", "published"])
    def test_temporal_attention_starts_as_the_identity(self, architecture, init):
        net = RTCAN(1, 1249, 0, 2, architecture=architecture, init=init, sca=False, **TINY)
        x = torch.randn(2, 4, 30)
        torch.testing.assert_close(net.attention(x), x)


class TestDocumentation:
    """docs/models.md, against the networks themselves."""

    TEXT = (ROOT / "docs/models.md").read_text(encoding="utf-8")

    def rows(self, start, heading=""):
        """Cells of the table whose header begins with `start`, after a heading."""
        lines = self.TEXT[self.TEXT.index(heading) :].splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith(f"| {start}"))
        table = itertools.takewhile(lambda line: line.startswith("|"), lines[first + 2 :])
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]

    @pytest.mark.parametrize("architecture", ["paper", "published"])
    def test_every_layer_is_listed_as_it_is(self, architecture, shapes):
        *rows, total = self.rows("layer", f'## Layers of `architecture="{architecture}"`')
        net = RTCAN(3, 2500, 6373, 2, architecture=architecture)
        given = shapes(net, torch.randn(1, 3 * 2500 + 6373))
        layers = {
            name: layer
            for name, layer in net.named_modules()
            if not list(layer.children()) and not isinstance(layer, nn.ReLU | nn.Identity)
        }
        assert [row[0] for row in rows] == [f"`{name}`" for name in given if name in layers]
        assert layers.keys() <= given.keys()
        for (_, kind, sizes, kernel, stride, length, n_parameters), name in zip(
            rows, (name for name in given if name in layers), strict=True
        ):
            layer = layers[name]
            torchs = next(one for one in type(layer).mro() if one.__module__.startswith("torch."))
            assert kind == torchs.__name__
            own = [value.numel() for value in layer.parameters()]
            assert n_parameters == (str(sum(own)) if own else "")
            lengths = [str(shape[1]) for shape in given[name] if len(shape) == 2]
            assert length == ", ".join(lengths)
            moves = kind in ("Conv1d", "MaxPool1d", "AvgPool1d")
            for said, attribute in [(kernel, "kernel_size"), (stride, "stride")]:
                assert said == (str(np.ravel(getattr(layer, attribute))[0]) if moves else "")
            weight = getattr(layer, "weight", None)
            if weight is None:
                assert sizes == ""
            elif weight.ndim == 1:
                assert sizes == str(len(weight))
            else:
                assert sizes == f"{weight.shape[1]} → {weight.shape[0]}"
        assert int(total[-1]) == sum(int(row[-1]) for row in rows if row[-1])
        assert int(total[-1]) == sum(value.numel() for value in net.parameters())

    def test_tables_4_and_5_have_these_parameters(self):
        kinds = list(itertools.product(["paper", "published"], [6373, 0]))
        fifth = self.rows("Table 5")
        assert [row[0] for row in fifth] == ["Basic", "Ra", "Rb", "Rc", "Rd", "Re", "Rf"]
        asked = []
        for _, *switches, a, b, c, d in fifth:
            names = ("sca_res", "sca", "rnta")
            asked.append((dict(zip(names, map("yes".__eq__, switches), strict=True)), a, b, c, d))
        for depth, channels, a, b, c, d in self.rows("Table 4"):
            channels = ast.literal_eval(f"({channels})")
            asked.append(({"depth": int(depth), "channels": channels}, a, b, c, d))
        assert len(asked) == 7 + 4
        for settings, *said in asked:
            found = [count(3, 2500, n, 2, architecture=kind, **settings) for kind, n in kinds]
            assert found == list(map(int, said)), settings


# --- the released code's checkpoints -------------------------------------------------------------

# What the released code (guanghaoyin/RTCAN-1D, commit d3541975, no licence, none of it here) gave.
# Its modules for PMEmo ("music", "eda") and DEAP ("small") were built with and without their two
# attentions, filled with `released_state` below (loaded under their own names), and fed with
# `released_input`. Of each variant the file holds
#   names   "name shape" of all tensors of the module's state_dict, sorted
#   eval    the output of its last linear layer, before softmax or ReLU, after model.eval()
#   train   the same after model.double().train(): batch norms take the batch's statistics
RELEASED = np.load(ROOT / "tests/data/rtcan_released.npz")
VARIANTS = {
    "music": {"sca": True, "sca_res": True, "rnta": True},
    "music-sca": {"sca": True, "sca_res": True, "rnta": False},
    "music-rnta": {"sca": False, "sca_res": False, "rnta": True},
    "eda": {"sca": True, "sca_res": True, "rnta": True},
    "small": {"sca": True, "sca_res": False, "rnta": True},
    "small-sca": {"sca": True, "sca_res": False, "rnta": False},
    "small-rnta": {"sca": False, "sca_res": False, "rnta": True},
    "small-base": {"sca": False, "sca_res": False, "rnta": False},
}


def released_state(variant):
    """Weights by a formula, so that only names and shapes need to be stored."""
    state = {}
    for position, line in enumerate(RELEASED[f"{variant}/names"]):
        name, shape = line.split(" ", 1)
        shape = ast.literal_eval(shape)
        values = np.random.default_rng(position).random(shape)
        if name.endswith("num_batches_tracked"):
            values = np.int64(7)
        elif name.endswith("running_var"):
            values = (0.5 + values).astype(np.float32)
        elif len(shape) == 1:  # gains of batch norms are positive
            values = (values - 0.5 * (not name.endswith("weight"))).astype(np.float32)
        else:
            values = ((2 * values - 1) * np.sqrt(6 / np.prod(shape[1:]))).astype(np.float32)
        state[name] = torch.from_numpy(np.asarray(values))
    return state


def released_input(variant):
    rng = np.random.default_rng(1000)
    eda, music = 2 * rng.random((4, 3 * 2500)) - 1, 2 * rng.random((4, 6373)) - 1
    rows = np.hstack([eda, music]) if variant.startswith("music") else eda
    return torch.from_numpy(rows.astype(np.float32))


@pytest.fixture(params=[True, False], ids=["zip", "before PyTorch 1.6"])
def checkpoint(tmp_path, request):
    """Write a checkpoint in either of PyTorch's formats."""
    path = tmp_path / "PMEmo.pt"

    def write(state):
        torch.save(state, path, _use_new_zipfile_serialization=request.param)
        return path

    return write


class TestReleasedCheckpoints:
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_same_input_gives_the_same_output_as_the_released_code(self, variant, tmp_path):
        torch.save(released_state(variant), tmp_path / "checkpoint.pt")
        net = load_published_weights(tmp_path / "checkpoint.pt")
        assert not net.training
        given = []
        net.classify[4].register_forward_hook(
            lambda layer, args, out: given.append(out.numpy().copy())
        )
        X = released_input(variant)
        with torch.no_grad():
            out = net(X)
            net.double().train()(X.double())
        expected, in_training = RELEASED[f"{variant}/eval"], RELEASED[f"{variant}/train"]
        assert_allclose(given[0], expected, atol=1e-5)
        assert_allclose(given[1], in_training, atol=1e-10)
        last = expected if variant.startswith("music") else np.maximum(expected, 0)
        assert_allclose(out, last, atol=1e-5)

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_switches_are_read_from_the_file(self, variant, tmp_path):
        torch.save(released_state(variant), tmp_path / "checkpoint.pt")
        net = load_published_weights(tmp_path / "checkpoint.pt")
        n_music = 6373 if variant.startswith("music") else 0
        fresh = RTCAN(3, 2500, n_music, 2, architecture="published", **VARIANTS[variant])
        assert str(net) == str(fresh)
        assert (net.n_chans, net.n_times) == (3, 2500)

    def test_channels_and_classes_are_read_and_length_is_said(self, checkpoint):
        state = released_state("small-base")
        state["Res_sub.conv1.weight"] = torch.zeros(64, 5, 7)
        state["regression.4.weight"], state["regression.4.bias"] = torch.ones(4, 128), torch.ones(4)
        net = load_published_weights(checkpoint(state), n_times=2592)
        assert net(torch.randn(2, 5 * 2592)).shape == (2, 4)

    @pytest.mark.parametrize("n_times", [2496, 2593])
    def test_other_lengths_are_one_error(self, checkpoint, n_times):
        """Also 2496, where 64 inputs are left over that could be taken for music."""
        path = checkpoint(released_state("small"))
        with pytest.raises(ValueError, match=rf"PMEmo\.pt.* takes 896 .*n_times={n_times}"):
            load_published_weights(path, n_times=n_times)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda state: state.pop("origin_block.0.weight"), "first or last"),
            (lambda state: state.pop("regression.4.weight"), "first or last"),
            (lambda state: state.update({"regression.0.weight": torch.ones(3)}), "first or last"),
            (
                lambda state: state.pop("Non_local.non_local.phi.0.bias"),
                "Non_local.non_local.phi.0.bias is missing",
            ),
            (lambda state: state.update(other=torch.ones(3)), "other is unknown"),
            (
                lambda state: state.update({"regression.2.bias": torch.ones(1)}),
                r"regression.2.bias has shape \(1,\), expected \(128,\)",
            ),
            (lambda state: state.update(epoch=3), "does not hold a dict of named tensors"),
            (
                lambda state: state.update({3: torch.ones(3)}),
                "does not hold a dict of named tensors",
            ),
        ],
    )
    def test_foreign_tensors_are_one_error(self, checkpoint, change, message):
        state = released_state("small")
        change(state)
        with pytest.raises(ValueError, match=rf"PMEmo\.pt is not .*: .*{message}"):
            load_published_weights(checkpoint(state))

    def test_network_of_ours_and_a_pickled_model_are_foreign_and_the_way_out_is_said(
        self, checkpoint
    ):
        net = RTCAN(3, 1249, 0, 2, architecture="published", **TINY)
        for content in (net.state_dict(), net, [torch.ones(3)]):
            path = checkpoint(content)
            with pytest.raises(ValueError, match=r"PMEmo\.pt is not .*model\.state_dict"):
                load_published_weights(path)

    def test_nothing_in_the_file_is_run(self, checkpoint, tmp_path):
        class Harm:
            def __reduce__(self):
                return Path.touch, (tmp_path / "harm",)

        path = checkpoint({**released_state("small"), "other": Harm()})
        with pytest.raises(ValueError, match=r"PMEmo\.pt is not a complete checkpoint"):
            load_published_weights(path)
        assert not (tmp_path / "harm").exists()

    def test_file_cut_short_is_one_error(self, checkpoint):
        path = checkpoint(released_state("small"))
        whole = path.read_bytes()
        for length in [0, 1, 3, 50, 200, 1000, len(whole) // 2, len(whole) - 1]:
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=r"PMEmo\.pt is not a complete checkpoint"):
                load_published_weights(path)

    @pytest.mark.parametrize("content", [b"subject,arousal\n1,2\n", b"{}", pickle.dumps({"a": 1})])
    def test_foreign_file_is_one_error(self, tmp_path, content):
        path = tmp_path / "labels.csv"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"labels\.csv is not a complete checkpoint"):
            load_published_weights(path)

    def test_missing_file_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
            load_published_weights(tmp_path / "nowhere.pt")
