"""What a network looked at, how much a group of features counts, and the pictures of both."""

import copy
import sys
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import spearmanr
from scipy.stats import t as student_t
from sklearn.base import ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn
from torch.nn import functional as F

from edaemo import MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo._layout import eda_names, music_names
from edaemo._torch import NETWORKS
from edaemo.benchmark import make_cnn_baseline, make_svm_baseline
from edaemo.estimators import (
    AIMSTFClassifier,
    CNNClassifier,
    MAETClassifier,
    NetworkClassifier,
)
from edaemo.features import EDAFeatureExtractor
from edaemo.inspection import (
    feature_group_importance,
    grad_cam,
    integrated_gradients,
    modality_attribution,
    plot_attention,
    plot_relabelling,
)
from edaemo.inspection._attribution import _explain_layer
from edaemo.networks import RTCAN, FeatureCNN, declaration_of

CHANNELS = ("original", "phasic", "tonic")
STRETCH = slice(40, 56)  # samples of the phasic channel that hold the label, of 64


def make_rows(n: int = 24, n_times: int = 32, n_music: int = 2, seed: int = 0) -> tuple:
    """Rows of three channels and music; "high" has a bump in the phasic channel."""
    rng = np.random.default_rng(seed)
    y = np.tile(["low", "high"], n // 2)
    eda = rng.normal(size=(n, 3, n_times))
    eda[y == "high", 1, 8:16] += 2
    values = np.hstack([eda.reshape(n, -1), rng.normal(size=(n, n_music))]).astype(np.float32)
    names = eda_names(CHANNELS, n_times) + music_names([f"m{i}" for i in range(n_music)])
    index = pd.MultiIndex.from_product([["a", "b"], range(n // 2)], names=["subject", "trial"])
    return pd.DataFrame(values, columns=names, index=index), y


def fit_rtcan(X: object, y: object, **settings: object) -> RTCANClassifier:
    given = {"channels": (4, 4, 4, 4), "max_epochs": 4, "lr": 0.01, "random_state": 0} | settings
    return RTCANClassifier(**given).fit(X, y)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return make_rows()[0]


@pytest.fixture(scope="module")
def rtcan(rows: pd.DataFrame) -> RTCANClassifier:
    return fit_rtcan(rows, make_rows()[1])


@pytest.fixture(scope="module")
def cnn() -> CNNClassifier:
    X = np.random.default_rng(0).normal(size=(20, 40))
    return CNNClassifier(max_epochs=2, n_filters=4, random_state=0).fit(X, [0, 1] * 10)


def double(estimator: RTCANClassifier) -> RTCAN:
    """The network in double precision, for expected values."""
    return copy.deepcopy(estimator.net_.module_).double().eval().requires_grad_(False)


def shallow_and_attention(network: RTCAN, X: pd.DataFrame) -> torch.Tensor:
    eda = torch.tensor(X.to_numpy(float)[:, : network.n_chans * network.n_times])
    eda = eda.reshape(len(X), network.n_chans, network.n_times)
    return network.attention(network.shallow(eda))


def numpy_cam(network: RTCAN, X: pd.DataFrame, code: int) -> tuple[np.ndarray, np.ndarray]:
    """Selvaraju et al. 2017, equations 1 and 2, gradients by central differences.

    Gives the importance of each filter, (n, K), and the map of "attention", (n, L).
    """
    at = shallow_and_attention(network, X)
    music = torch.tensor(X.to_numpy(float)[:, network.n_chans * network.n_times :])

    def logit(activation: torch.Tensor) -> np.ndarray:
        pooled = network.pool(network.trunk(activation)).flatten(1)
        return network.classify(torch.cat([pooled, music], dim=1)).numpy()[:, code]

    gradient, step = np.zeros(at.shape), 1e-6
    for k, t in np.ndindex(*at.shape[1:]):
        nudge = torch.zeros_like(at)
        nudge[:, k, t] = step
        gradient[:, k, t] = (logit(at + nudge) - logit(at - nudge)) / (2 * step)
    importance = gradient.mean(axis=2)
    return importance, np.maximum(np.einsum("nk,nkt->nt", importance, at.numpy()), 0)


class TestGradCAM:
    def test_map_is_selvarajus_formula(self, rtcan, rows):
        _, small = numpy_cam(double(rtcan), rows, code=1)
        assert (small.max(axis=1) > 0).sum() > 10
        # The shallow convolution's stride is 2: position i stands at sample 2 i, a sample between
        # two positions has their mean, the last one what the last position has.
        expected = np.zeros((len(rows), 32))
        expected[:, ::2] = small
        expected[:, 1:-1:2] = (small[:, :-1] + small[:, 1:]) / 2
        expected[:, -1] = small[:, -1]
        found = grad_cam(rtcan, rows, layer="attention", target=rtcan.classes_[1])
        assert_allclose(found.cam, expected, atol=1e-4 * expected.max(), rtol=0)
        assert found.layer == "attention"

    @pytest.mark.parametrize(
        ("network", "layer", "stride"),
        [
            (RTCAN(1, 512, 0, 2, sca=False, rnta=False, sca_res=False), "shallow", 2),
            (RTCAN(1, 512, 0, 2, sca=False, rnta=False, sca_res=False), "trunk", 32),
            (
                RTCAN(
                    1, 1920, 0, 2, sca=False, rnta=False, sca_res=False, architecture="published"
                ),
                "trunk",
                96,
            ),
            (FeatureCNN(128, 2), "convolve", 8),
        ],
    )
    def test_positions_stand_in_the_middle_of_what_they_see(self, network, layer, stride):
        """Where the input can change a position at all, measured; the map is laid out so."""
        kept = []
        network.eval().get_submodule(layer).register_forward_hook(
            lambda module, given, output: kept.append(output)
        )
        n_times = getattr(network, "n_times", 128)
        x = torch.randn(64, n_times, generator=torch.Generator().manual_seed(0))
        x.requires_grad_()
        network(x)
        position = kept[0].shape[-1] // 2
        (gradient,) = torch.autograd.grad(kept[0][..., position].sum(), x)
        seen = np.flatnonzero(gradient.abs().sum(dim=0).numpy())
        assert (seen[0] + seen[-1]) / 2 == position * stride

    def test_map_of_the_trunk_is_laid_out_by_its_stride(self):
        X, y = make_rows(n_times=80, n_music=0)
        found = grad_cam(fit_rtcan(X, y), X, layer="trunk", target="low").cam
        first, second, third = found[:, 0], found[:, 32], found[:, 64]
        assert found.max() > 0
        assert_allclose(found[:, 8], 0.75 * first + 0.25 * second, rtol=1e-5, atol=1e-12)
        assert_allclose(found[:, 48], (second + third) / 2, rtol=1e-5, atol=1e-12)
        assert_array_equal(found[:, 64:], np.repeat(third[:, None], 16, axis=1))

    def test_signals_too_short_for_the_clips(self):
        """Three samples are padded to five; the map has three again."""
        X, y = make_rows(n_times=3, n_music=0)
        found = grad_cam(fit_rtcan(X, y), X)
        assert found.cam.shape == (24, 3)
        assert found.weights.shape == (24, 3, 3)

    @pytest.mark.parametrize("layer", ["sca", "rnta", "attention", "trunk"])
    @pytest.mark.parametrize("architecture", ["paper", "published"])
    def test_every_layer_of_both_architectures(self, layer, architecture):
        n_times = 1249 if architecture == "published" else 40
        X = np.random.default_rng(0).normal(size=(4, 3 * n_times + 2)).astype(np.float32)
        sizes = {"n_chans": 3, "n_times": n_times}
        model = fit_rtcan(X, [0, 1, 0, 1], **sizes, architecture=architecture, max_epochs=1)
        found = [grad_cam(model, X, layer=layer, target=target) for target in (0, 1)]
        assert all(one.cam.shape == (4, n_times) for one in found)
        assert all(one.weights.shape == (4, 3, n_times) for one in found)
        assert all(np.isfinite(one.weights).all() and (one.cam >= 0).all() for one in found)
        assert any(one.weights.any() for one in found)
        assert found[0].channels == ("channel 0", "channel 1", "channel 2")

    def test_last_attention_module_is_attention_itself(self, rtcan, rows):
        assert_array_equal(
            grad_cam(rtcan, rows, layer="rnta").weights, grad_cam(rtcan, rows).weights
        )

    def test_of_the_cnn_over_its_features(self, cnn):
        X = np.random.default_rng(1).normal(size=(3, 40)).astype(np.float32)
        found = grad_cam(cnn, X, layer="convolve", target=0)
        assert found.cam.shape == (3, 40)
        assert found.weights.shape == (3, 1, 40)
        assert found.channels == ("features",)
        assert_array_equal(found.signals[:, 0], X)


class Forked(nn.Module):
    """h = (x, -x), a ReLU, the difference of its two rows, and some of h's first row as well."""

    def __init__(self, relu: object, direct: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.relu, self.direct = relu, direct

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x = rows[:, None, :]
        h = torch.cat([x, -x], dim=1)
        left, right = self.relu(h).split(1, dim=1)
        return self.layer(left - right + self.direct * h[:, :1]).sum(dim=1)


class Fixed:
    """Stands in for what says where to start in captum: the map and its gradient are given."""

    def __init__(self, start: torch.Tensor) -> None:
        from captum.attr import GuidedBackprop

        self.GuidedBackprop, self.start = GuidedBackprop, start

    def LayerGradCam(self, network: nn.Module, layer: nn.Module) -> "Fixed":
        return self

    def LayerGradientXActivation(self, *layer: object, multiply_by_inputs: bool) -> "Ones":
        return Ones()

    def attribute(self, row: torch.Tensor, target: int, relu_attributions: bool) -> torch.Tensor:
        return self.start


class Ones:
    def attribute(self, row: torch.Tensor, target: int) -> torch.Tensor:
        return torch.ones(1, 1, row.shape[1])


class TestGuidedBackPropagation:
    RELUS = (F.relu, torch.relu, torch.Tensor.relu, nn.ReLU())

    @pytest.mark.parametrize("relu", RELUS)
    def test_negative_gradients_end_at_a_relu_however_it_is_called(self, relu):
        """By hand: x = (1, -1, 2, -2) lets left, right, left, right pass.

        What goes back is (1, 1, -1, -1), and to "right" its negative. Of it +1 meets left at the
        first, +1 right at the last sample, whose input is -x; -1 ends at the two others. The plain
        gradient is (1, 1, -1, -1).
        """
        row = torch.tensor([[1.0, -1.0, 2.0, -2.0]], requires_grad=True)
        start = torch.tensor([[[1.0, 1.0, -1.0, -1.0]]])
        _, back = _explain_layer(Fixed(start), "layer", Forked(relu), row, 0)
        assert_array_equal(back, [[1.0, 0.0, 0.0, -1.0]])

    @pytest.mark.parametrize("relu", RELUS)
    def test_what_goes_round_the_relu_is_left_alone(self, relu):
        """As above; the ReLU's input also goes its own way, -2 times: (-2, -2, 2, 2) is added."""
        row = torch.tensor([[1.0, -1.0, 2.0, -2.0]], requires_grad=True)
        start = torch.tensor([[[1.0, 1.0, -1.0, -1.0]]])
        _, back = _explain_layer(Fixed(start), "layer", Forked(relu, direct=-2.0), row, 0)
        assert_array_equal(back, [[-1.0, -2.0, 2.0, 1.0]])

    def test_from_channel_attention_to_the_three_channels(self, rows):
        """SCA by hand, in numpy and double precision, from the map back to the channels."""
        model = fit_rtcan(rows, make_rows()[1], rnta=False, n_clips=1, reduction=1)
        rng = np.random.default_rng(0)
        attention = model.net_.module_.attention.sca
        with torch.no_grad():  # so that the ReLU inside of it meets gradients of both signs
            for conv in (attention.squeeze, attention.excite):
                conv.weight.copy_(torch.from_numpy(rng.normal(size=conv.weight.shape)))
        network = double(model)
        importance, cam = numpy_cam(network, rows, code=0)
        start = importance[:, :, None] * cam[:, None, :]

        attention = network.attention.sca
        squeeze, excite = (c.weight.numpy()[..., 0] for c in (attention.squeeze, attention.excite))
        eda = rows.to_numpy(float)[:, :96].reshape(-1, 3, 32)
        x = network.shallow(torch.tensor(eda)).numpy()
        before = x.mean(axis=2) @ squeeze.T + attention.squeeze.bias.numpy()
        gate = np.maximum(before, 0) @ excite.T + attention.excite.bias.numpy()
        gate = 1 / (1 + np.exp(-gate))
        at_gate = (start * x).sum(axis=2) * gate * (1 - gate)
        at_hidden = at_gate @ excite
        assert ((at_hidden < 0) & (before > 0)).any()  # else nothing were guided
        back = []
        for hidden in (np.maximum(at_hidden, 0), at_hidden):
            at_mean = (hidden * (before > 0)) @ squeeze / x.shape[2]
            at_shallow = start * gate[:, :, None] + at_mean[:, :, None]
            conv, norm = network.shallow
            gain = (norm.weight / (norm.running_var + norm.eps).sqrt()).numpy()
            at_shallow = torch.from_numpy(at_shallow * gain[:, None])
            back.append(
                F.conv_transpose1d(
                    at_shallow, conv.weight, stride=2, padding=3, output_padding=1
                ).numpy()
            )
        guided, plain = back
        found = grad_cam(model, rows, layer="sca", target=model.classes_[0]).weights
        assert_allclose(found, guided, rtol=0, atol=1e-4 * np.abs(guided).max())
        assert np.abs(found - plain).max() > 1e-2 * np.abs(guided).max()


def make_planted(carrier: str, n_trials: int = 96) -> tuple[pd.DataFrame, np.ndarray]:
    """EDA of 32 samples and 4 features of music, of which one tells the class."""
    rng = np.random.default_rng(5)
    y = np.arange(n_trials) % 2
    eda, music = rng.normal(size=(n_trials, 32)), rng.normal(size=(n_trials, 4))
    if carrier == "eda":
        eda[:, 10:20] += 1.5 * (2 * y[:, None] - 1)
    else:
        music[:, 2] += 2.5 * (2 * y - 1)
    columns = [f"eda_phasic_{i}" for i in range(32)] + [f"music_f{i}" for i in range(4)]
    return pd.DataFrame(np.hstack([eda, music]).astype(np.float32), columns=columns), y


QUICK = {"max_epochs": 25, "batch_size": 16, "lr": 0.005, "random_state": 0}
BIMODAL = {
    "RTCAN": lambda: RTCANClassifier(channels=(4, 4, 4, 4), **QUICK),
    "AIMSTF": lambda: AIMSTFClassifier(
        n_filters=8, depth=1, n_heads=2, embed_dim=32, dropout=0.1, modality_dropout=0.2, **QUICK
    ),
    "MAET": lambda: MAETClassifier(
        {"eda": "signal", "music": "features"}, embed_dim=16, depth=1, n_heads=2, **QUICK
    ),
}


@cache
def fit_bimodal(name: str, carrier: str) -> ClassifierMixin:
    X, y = make_planted(carrier)
    return BIMODAL[name]().fit(X[:64], y[:64])


class TestModalities:
    @pytest.mark.parametrize("carrier", ["eda", "music"])
    @pytest.mark.parametrize("name", BIMODAL)
    def test_the_modality_that_carries_the_class_decides(self, name, carrier):
        X, y = make_planted(carrier)
        model = fit_bimodal(name, carrier)
        assert model.score(X[64:], y[64:]) > 0.8
        found = modality_attribution(model, X[64:], target=1)
        assert found.modalities == ("eda", "music")
        share = np.abs(found.weights).mean(axis=0)
        assert share[found.modalities.index(carrier)] > 2 * share.min()
        # The weights are for class 1 in trials of class 1, and against it in the others.
        signed = found.weights[:, found.modalities.index(carrier)]
        assert signed[y[64:] == 1].mean() > signed[y[64:] == 0].mean() + share.min()

    @pytest.mark.parametrize("name", BIMODAL)
    def test_weights_sum_to_the_logit_less_that_of_zeros(self, name):
        X, _ = make_planted("music")
        model = fit_bimodal(name, "music")
        rows, total = X[:6], []
        for target in model.classes_:
            found = modality_attribution(model, rows, target=target, n_steps=256)
            total.append(found.weights.sum(axis=1) - found.deviation)
        # For two classes the difference of the logits is the log odds.
        probability = model.predict_proba(pd.concat([rows, 0 * rows[:1]]))
        odds = np.log(probability[:, 1] / probability[:, 0])
        assert np.ptp(odds) > 0.1
        assert_allclose(total[1] - total[0], odds[:-1] - odds[-1], atol=1e-4)
        assert np.abs(found.deviation).max() < 0.05 * np.ptp(odds) + 1e-4
        if name != "MAET":  # which is explained from its tokens
            by_input = integrated_gradients(model, rows, target=target, n_steps=256)
            both = [by_input.weights.sum(axis=(1, 2)), by_input.music.sum(axis=1)]
            assert_allclose(found.weights, np.stack(both, axis=1), atol=1e-5)

    def test_an_absent_modality_of_aimstf_has_no_weight(self):
        X, y = make_planted("eda")
        model = BIMODAL["AIMSTF"]().set_params(max_epochs=2)
        model.set_params(modalities={"eda": "signal", "music": "features"}).fit(X, y)
        rows = X[:3].copy()
        rows.iloc[0, :32], rows.iloc[1, 32:] = np.nan, np.nan
        found = modality_attribution(model, rows, target=1)
        assert (found.weights == 0).tolist() == [[True, False], [False, True], [False, False]]
        assert_allclose(found.fusion.sum(axis=1), 1, rtol=1e-5)
        assert (found.fusion == 0).tolist() == [
            [True, False, False],
            [False, True, False],
            [False, False, False],
        ]

    def test_one_modality_has_the_whole_sum(self, cnn):
        X = np.random.default_rng(1).normal(size=(3, 40))
        found = modality_attribution(cnn, X, target=1)
        expected = integrated_gradients(cnn, X, target=1).weights.sum(axis=(1, 2))
        assert_allclose(found.weights[:, 0], expected, atol=1e-5)
        assert found.fusion.shape == (3, 0)

    @pytest.mark.parametrize("name", sorted(NETWORKS))
    def test_every_network_on_rows_has_attributions(self, name):
        """The steps of MuSe are explained in tests/test_networks.py."""
        network = NETWORKS[name]
        if declaration_of(network).tasks == ("sequence-regression",):
            return
        X, y = make_planted("eda", 16)
        takes_music = "music" in declaration_of(network).features
        X = X if takes_music else X[[column for column in X if column.startswith("eda")]]
        model = NetworkClassifier(network, max_epochs=1, random_state=0).fit(X, y)
        found = modality_attribution(model, X[:2])
        assert found.weights.shape == (2, 1 + takes_music)
        gradients = integrated_gradients(model, X[:2])
        for part in (found.weights, gradients.weights, gradients.music):
            assert np.isfinite(part).all()
        assert np.abs(gradients.weights).max() > 0


class TestIntegratedGradients:
    def test_weights_sum_to_the_logit_less_the_baselines(self, rtcan, rows):
        """For two classes the difference of the logits is the log odds of `predict_proba`."""
        rows = rows.iloc[:8]
        baseline = np.random.default_rng(3).normal(size=rows.shape[1]).astype(np.float32)
        for start in (None, baseline):
            total = []
            for target in rtcan.classes_:
                found = integrated_gradients(
                    rtcan, rows, target=target, baseline=start, n_steps=200
                )
                total.append(found.weights.sum(axis=(1, 2)) + found.music.sum(axis=1))
            at = np.zeros(rows.shape[1]) if start is None else start
            probability = rtcan.predict_proba(
                pd.concat([rows, pd.DataFrame([at], columns=rows.columns).astype("f4")])
            )
            odds = np.log(probability[:, 1] / probability[:, 0])
            expected = odds[:-1] - odds[-1]
            assert np.ptp(expected) > 0.1
            assert_allclose(total[1] - total[0], expected, atol=0.01 * np.ptp(expected))

    def test_deviation_says_what_too_few_steps_leave(self, rtcan, rows):
        coarse = integrated_gradients(rtcan, rows, n_steps=1)
        fine = integrated_gradients(rtcan, rows, n_steps=300)
        assert np.abs(fine.deviation).max() < 0.2 * np.abs(coarse.deviation).max()
        lost = (coarse.weights - fine.weights).sum(axis=(1, 2))
        lost += (coarse.music - fine.music).sum(axis=1)
        assert_allclose(lost, coarse.deviation - fine.deviation, atol=1e-4)

    def test_of_a_linear_network_are_weight_times_input(self, rtcan, rows):
        """All that acts on music made linear, EDA left out: the weights are known."""
        model = copy.deepcopy(rtcan)
        classify = model.net_.module_.classify
        linear = [layer for layer in classify if isinstance(layer, nn.Linear)]
        n_music = 2
        with torch.no_grad():
            for layer in linear:
                layer.weight.zero_()
                layer.bias.fill_(100.0)  # so that no ReLU is ever closed
            linear[0].weight[0, -n_music:] = torch.tensor([2.0, -1.0])
            linear[1].weight[0, 0] = 3.0
            linear[2].weight[0, 0] = 0.5
        found = integrated_gradients(model, rows, target=model.classes_[0])
        expected = rows.to_numpy()[:, -n_music:] * np.array([2.0, -1.0]) * 3.0 * 0.5
        assert_allclose(found.music, expected, rtol=1e-4, atol=1e-5)
        assert not found.weights.any()

    def test_of_the_cnn(self, cnn):
        X = np.random.default_rng(1).normal(size=(3, 40)).astype(np.float32)
        found = integrated_gradients(cnn, X, target=1, n_steps=200)
        assert found.weights.shape == (3, 1, 40)
        assert found.music.shape == (3, 0)
        assert np.abs(found.deviation).max() < 0.05 * np.abs(found.weights.sum(axis=2)).max()


EXPLAIN = {
    "grad_cam": grad_cam,
    "integrated_gradients": lambda model, X, **asked: integrated_gradients(
        model, X, n_steps=8, **asked
    ),
}
BOTH = pytest.mark.parametrize("explain", EXPLAIN.values(), ids=EXPLAIN)


class TestWhatIsAsked:
    @pytest.mark.same_bits
    @BOTH
    def test_a_trial_has_the_same_weights_in_whatever_batch(self, rtcan, rows, explain):
        whole = explain(rtcan, rows)
        backwards = explain(rtcan, rows.iloc[::-1])
        alone = explain(rtcan, rows.iloc[[5]])
        assert_array_equal(backwards.weights[::-1], whole.weights)
        assert_array_equal(alone.weights[0], whole.weights[5])
        assert len(np.unique(whole.weights[:, 1, 9])) > 1

    @BOTH
    def test_nothing_is_left_behind(self, rtcan, rows, explain):
        model = copy.deepcopy(rtcan)
        network = model.net_.module_
        network.train()
        network.trunk.eval()
        network.classify.requires_grad_(False)
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

        def state() -> list:
            modules = list(network.modules())
            return [
                [module.training for module in modules],
                [len(getattr(module, hook)) for module in modules for hook in hooks],
                [parameter.requires_grad for parameter in network.parameters()],
                [parameter.grad is None for parameter in network.parameters()],
                {name: value.tolist() for name, value in network.state_dict().items()},
                torch.random.get_rng_state().tolist(),
                torch.get_num_threads(),
                torch.is_grad_enabled(),
            ]

        before = state()
        with torch.no_grad():
            found = explain(model, rows)
        assert state() == before
        assert_array_equal(found.weights, explain(rtcan, rows).weights)

    @pytest.mark.same_bits
    @BOTH
    def test_it_runs_on_the_estimators_threads(self, rtcan, rows, explain):
        model = copy.deepcopy(rtcan).set_params(n_threads=2)
        used = []
        model.net_.module_.register_forward_hook(
            lambda *given: used.append(torch.get_num_threads())
        )
        explain(model, rows.iloc[:2], target="low")
        assert set(used) == {2}

    @BOTH
    def test_without_a_target_the_predicted_class_is_explained(self, rtcan, rows, explain):
        predicted = rtcan.predict(rows)
        assert set(predicted) == {"low", "high"}
        free = explain(rtcan, rows)
        assert_array_equal(free.target, predicted)
        for target in ("low", "high"):
            told = explain(rtcan, rows, target=target)
            assert set(told.target) == {target}
            same = predicted == target
            assert_array_equal(told.weights[same], free.weights[same])
            assert (told.weights[~same] != free.weights[~same]).any()

    @BOTH
    def test_channels_and_signals_are_those_of_the_columns(self, rtcan, rows, explain):
        found = explain(rtcan, rows)
        assert found.channels == CHANNELS
        expected = rows[[f"eda_phasic_{i}" for i in range(32)]].to_numpy()
        assert_array_equal(found.signals[:, 1], expected)

    @BOTH
    def test_pipeline_is_its_steps_one_after_the_other(self, rows, explain):
        y = make_rows()[1]
        scale = StandardScaler().set_output(transform="pandas")
        pipe = make_pipeline(scale, make_pipeline("passthrough", RTCANClassifier()))
        pipe.set_params(pipeline__rtcanclassifier__channels=(4, 4, 4, 4))
        pipe.set_params(pipeline__rtcanclassifier__max_epochs=1)
        pipe.set_params(pipeline__rtcanclassifier__random_state=0).fit(rows, y)
        by_hand = explain(pipe[-1][-1], pipe[0].transform(rows))
        assert_array_equal(explain(pipe, rows).weights, by_hand.weights)
        assert_allclose(by_hand.signals.mean(axis=0), 0, atol=1e-5)

    def test_chain_with_relabelling_inside(self, rows):
        ratings = np.random.default_rng(0).normal(size=(len(rows), 2))
        chain = ImbalancedPipeline(
            [
                ("relabel", SubjectThresholdRelabeler(min_center_distance=0)),
                ("rtcan", RTCANClassifier(channels=(4, 4, 4, 4), max_epochs=1, random_state=0)),
            ]
        ).fit(rows, ratings)
        assert_array_equal(grad_cam(chain, rows).weights, grad_cam(chain[-1], rows).weights)


def make_stretch_study(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Noise in three channels; class 1 is higher in one stretch of the phasic channel."""
    rng = np.random.default_rng(seed)
    y = np.tile([0, 1], n // 2)
    eda = rng.normal(size=(n, 3, 64))
    eda[y == 1, 1, STRETCH] += 4
    return pd.DataFrame(eda.reshape(n, -1).astype("f4"), columns=eda_names(CHANNELS, 64)), y


@pytest.fixture(scope="module")
def stretch_models() -> dict[str, list[RTCANClassifier]]:
    """Networks trained on the labels, and on the labels shuffled, each on a study of its own."""
    settings = {"channels": (8, 8, 8, 8), "max_epochs": 10, "weight_decay": 1.0}
    models: dict[str, list[RTCANClassifier]] = {"labels": [], "shuffled": []}
    for seed in range(8):
        X, y = make_stretch_study(300, seed)
        models["labels"].append(fit_rtcan(X, y, **settings, random_state=seed))
        shuffled = np.random.default_rng(seed).permutation(y)
        models["shuffled"].append(fit_rtcan(X, shuffled, **settings, random_state=seed))
    return models


@pytest.fixture(scope="module")
def held_out() -> pd.DataFrame:
    X, y = make_stretch_study(16, seed=1000)
    return X[y == 1]


METHODS = ("integrated", "weights", "cam")
# What an attribution must not be, which the checks below have to find out. Adebayo et al. 2018
# compare with the edges of a picture, which no network made; and whoever starts the way back with
# the sum of a module's outputs asks nothing above the module.
BROKEN = ("edges", "blind")


def evidence(model: RTCANClassifier, X: pd.DataFrame) -> dict[str, np.ndarray]:
    """What speaks for class 1, by each method and broken one, (n, 3, 64), of "cam" (n, 64)."""
    found = grad_cam(model, X, target=1)
    network = copy.deepcopy(model.net_.module_)
    eda = torch.tensor(found.signals, requires_grad=True)
    network.attention(network.shallow(eda)).sum().backward()
    return {
        "integrated": integrated_gradients(model, X, target=1, n_steps=12).weights,
        "weights": found.weights,
        "cam": found.cam,
        "edges": np.abs(np.diff(found.signals, prepend=0)),
        "blind": eda.grad.numpy(),
    }


def share_in_stretch(of: dict[str, np.ndarray], method: str) -> float:
    """How much of what speaks for the class lies in the stretch, and in the phasic channel."""
    positive = np.maximum(of[method], 0)
    return (positive if method == "cam" else positive[:, 1])[:, STRETCH].sum() / positive.sum()


def interval(values: list[float]) -> tuple[float, float]:
    """Student's interval of 95 % of the mean, over networks."""
    half = student_t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


def correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation with the signs kept, by trial; 0 with a map that is zero throughout.

    With the sizes alone even two random networks are alike (0.4) by integrated gradients, which
    hold the input as a factor.
    """
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(one, other, strict=True)]
    return np.mean([spearmanr(a, b).statistic if a.any() and b.any() else 0.0 for a, b in pairs])


def randomise(model: RTCANClassifier, part: str, seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in model.net_.module_.get_submodule(part).modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()


def depends_on_the_layers(stages: list[list[float]], trained: list[float]) -> bool:
    """Judge how alike attributions stay, by stage and network, as layers are randomised.

    At no stage may the interval reach 0.6 (the same network with a twentieth of noise on its
    weights has 0.9); and from where "attention" is random too, whose output is asked, it may not
    reach what networks share that were trained on other draws of the same study.
    """
    upper = [interval(stage)[1] for stage in stages]
    return max(upper) < 0.6 and max(upper[2:]) < np.mean(trained)


class TestSanity:
    """Networks are the units: one alone may be an exception (docs/explanations.md)."""

    def test_most_of_what_speaks_for_the_label_lies_where_it_was_put(
        self, stretch_models, held_out
    ):
        """The stretch is a quarter of the time, and a twelfth of all numbers."""
        of = {
            labels: [evidence(model, held_out) for model in models]
            for labels, models in stretch_models.items()
        }

        def holds(method: str) -> bool:
            found = {
                labels: [share_in_stretch(one, method) for one in several]
                for labels, several in of.items()
            }
            more = np.subtract(found["labels"], found["shuffled"])
            much_more = np.mean(found["labels"]) > 1.4 * np.mean(found["shuffled"])
            mostly = np.mean(found["labels"]) > 0.5 and np.greater(found["labels"], 0.5).sum() >= 6
            return mostly and interval(more)[0] > 0 and much_more

        assert {method: holds(method) for method in METHODS} == dict.fromkeys(METHODS, True)
        assert {method: holds(method) for method in BROKEN} == dict.fromkeys(BROKEN, False)

    def test_attributions_change_as_the_layers_are_randomised_from_the_top(
        self, stretch_models, held_out
    ):
        """Adebayo et al. 2018, cascading randomisation."""
        X, parts = held_out.iloc[:1], ("classify", "trunk", "attention", "shallow")
        models = stretch_models["labels"]
        original = [evidence(model, X) for model in models]
        again = evidence(copy.deepcopy(models[0]), X)
        # By method and stage for each network the mean over draws. One draw of the classifier may
        # turn the whole map round or leave it, so these are many; the others differ less.
        alike: dict[str, list] = {method: [[] for _ in parts] for method in again}
        for seed, (model, was) in enumerate(zip(models, original, strict=True)):
            found: dict[str, list] = {method: [[] for _ in parts] for method in again}
            for draw in range(12):
                random = copy.deepcopy(model)
                for stage, part in enumerate(parts if draw < 3 else parts[:1]):
                    randomise(random, part, seed=100 * seed + draw)
                    for method, now in evidence(random, X).items():
                        found[method][stage].append(correlate(was[method], now))
            for method, stages in found.items():
                for stage, draws in enumerate(stages):
                    alike[method][stage].append(np.mean(draws))

        def holds(method: str) -> bool:
            trained = [correlate(a[method], b[method]) for a, b in combinations(original, 2)]
            return depends_on_the_layers(alike[method], trained)

        for method in again:
            assert_array_equal(again[method], original[0][method])
        assert {method: holds(method) for method in METHODS} == dict.fromkeys(METHODS, True)
        assert {method: holds(method) for method in BROKEN} == dict.fromkeys(BROKEN, False)
        # Shares of a logit have nothing left of the trained network's below the classifier.
        assert (np.abs([np.mean(stage) for stage in alike["integrated"][1:]]) < 0.15).all()


def make_feature_study(n: int = 80, preset: str = "edaemo") -> tuple[pd.DataFrame, np.ndarray]:
    """The 128 columns and two of music, noise; the label is in the power of bands and in music."""
    rng = np.random.default_rng(0)
    names = [*EDAFeatureExtractor(4, preset=preset).get_feature_names_out(), "music_a", "music_b"]
    index = pd.MultiIndex.from_product([["a", "b"], range(n // 2)], names=["subject", "trial"])
    X = pd.DataFrame(rng.normal(size=(n, 130)), columns=names, index=index)
    y = np.tile([0, 1], n // 2)
    X.iloc[y == 1, 19:28] += 1.5
    X.loc[y == 1, "music_a"] += 1.0
    return X, y


SIZES = {"SCR": 6, "time": 7, "spectrum": 6, "band power": 9, "cepstrum": 100, "music": 2}


class TestFeatureGroups:
    @pytest.mark.parametrize("preset", ["edaemo", "pmemo"])
    def test_svm_is_asked_by_the_families_of_the_128(self, preset):
        X, y = make_feature_study(preset=preset)
        svm = make_svm_baseline(eda="passthrough").fit(X, y)
        found = feature_group_importance(svm, X, y, random_state=0)
        assert dict(found["n_columns"]) == SIZES
        assert (found["score"] == svm.score(X, y)).all()  # balanced: as many of each class
        assert found["mean"].idxmax() == "band power"
        assert found["mean"]["band power"] > 0.1

    def test_other_pipelines_are_asked_the_same(self, rtcan, rows, stretch_models):
        X, y = make_feature_study()
        cnn = make_cnn_baseline(eda="passthrough", max_epochs=15, random_state=0)
        cnn.fit(X.drop(columns=["music_a", "music_b"]), y)
        found = feature_group_importance(cnn, X.iloc[:, :128], y, random_state=0)
        assert list(found.index) == list(SIZES)[:-1]
        assert found["mean"].idxmax() == "band power"
        assert dict(feature_group_importance(rtcan, rows, make_rows()[1])["n_columns"]) == {
            "eda_original": 32,
            "eda_phasic": 32,
            "eda_tonic": 32,
            "music": 2,
        }
        X, y = make_stretch_study(60, seed=1)
        found = feature_group_importance(stretch_models["labels"][0], X, y, random_state=0)
        assert found["mean"]["eda_phasic"] > 0.3
        assert (found["mean"].drop("eda_phasic") < 0.1).all()

    def test_groups_of_one_column_are_scikit_learns_own(self):
        X, y = make_feature_study()
        X = X[["eda_mean", "music_a", "eda_band_power_max", "music_b"]]
        svm = SVC(kernel="linear").fit(X, y)
        asked = {"scoring": "roc_auc", "n_repeats": 4, "random_state": 7}
        groups = {name: [name] for name in X.columns[::-1]}
        found = feature_group_importance(svm, X, y, groups=groups, **asked)
        expected = permutation_importance(svm, X, y, **asked)
        assert_allclose(found["mean"], expected.importances_mean[::-1])
        assert_allclose(found["std"], expected.importances_std[::-1])

    def test_columns_that_say_the_same_are_shuffled_together(self):
        """Five copies of one column: each alone can be spared, all together are everything."""
        rng = np.random.default_rng(0)
        y = np.tile([0, 1], 100)
        X = np.repeat((y + 0.1 * rng.normal(size=200))[:, None], 5, axis=1)
        model = LogisticRegression().fit(X, y)
        found = feature_group_importance(model, X, y, groups={"all": range(5)}, random_state=0)
        single = feature_group_importance(model, X, y, groups={"one": [0]}, random_state=0)
        assert found["mean"]["all"] == pytest.approx(0.5, abs=0.1)
        assert single["mean"]["one"] < 0.05

    def test_x_and_the_answer_of_the_estimator_stay_as_they_are(self):
        X, y = make_feature_study()
        svm = make_svm_baseline(eda="passthrough").fit(X, y)
        before = X.copy()
        first, second = (feature_group_importance(svm, X, y, random_state=3) for _ in range(2))
        pd.testing.assert_frame_equal(X, before)
        pd.testing.assert_frame_equal(first, second)


def visible_texts(figure) -> list[tuple[str, object]]:
    """Every text that is drawn, with where it is, in pixels."""
    FigureCanvasAgg(figure).draw()
    renderer = figure.canvas.get_renderer()
    texts = [
        text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()
    ]
    # Ticks that sharing hides, or that lie outside of the axes' range, are not drawn.
    drawn = []
    for axes in figure.get_axes():
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    texts = [one for one in texts if one not in (tick.label1, tick.label2)]
    for text in texts:
        drawn.append((text.get_text(), text.get_window_extent(renderer)))
    return drawn


def assert_legible(figure) -> None:
    texts = visible_texts(figure)
    assert len(texts) > 10
    page = figure.bbox
    for k, (text, box) in enumerate(texts):
        assert box.x0 >= page.x0 and box.x1 <= page.x1, text
        assert box.y0 >= page.y0 and box.y1 <= page.y1, text
        for other, its in texts[k + 1 :]:
            assert not box.overlaps(its), (text, other)
    smallest = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text())
    assert smallest >= 8  # points, on a figure of the width of a page's text
    assert figure.get_figwidth() <= 7


@pytest.fixture(scope="module")
def attributions(rtcan: RTCANClassifier, rows: pd.DataFrame) -> dict:
    found = grad_cam(rtcan, rows)
    gradients = integrated_gradients(rtcan, rows, n_steps=4)
    return {"channel attention": found, "temporal attention": gradients, "both": found}


class TestPlotAttention:
    RATE = 8.0

    def test_panels_hold_the_trial_in_seconds_and_z_units(self, attributions):
        raw = np.linspace(2.0, 3.0, 28)
        axes = plot_attention(attributions, self.RATE, trial=3, start=3.0, raw=raw, raw_rate=4.0)
        assert axes.shape == (3, 3)
        (recording,) = axes[0, 1].lines
        assert_array_equal(recording.get_ydata(), raw)
        assert_array_equal(recording.get_xdata(), np.arange(28) / 4)
        signals = attributions["both"].signals[3]
        for curves in axes[1]:
            for line, signal in zip(curves.lines, signals, strict=True):
                assert_array_equal(line.get_ydata(), signal)
                assert_array_equal(line.get_xdata(), 3 + np.arange(32) / 8)
        assert [one.get_title() for one in axes[0]] == list(attributions)
        assert [one.get_xlabel() for one in axes[2]] == ["time (s)"] * 3
        labels = [one.get_ylabel() for one in axes[:, 0]]
        assert labels == ["EDA (µS)", "channels (z)", ""]
        assert [tick.get_text() for tick in axes[2, 0].get_yticklabels()] == list(CHANNELS)
        assert_allclose(axes[1, 0].get_xlim(), (0, 7))

    def test_columns_and_heat_map_are_the_weights(self, attributions):
        axes = plot_attention(attributions, self.RATE, trial=3)
        size = np.abs(attributions["temporal attention"].weights[3])
        pairs = (size[:, ::2] + size[:, 1::2]) / 2
        (heat,) = axes[1, 1].collections
        assert_allclose(heat.get_array(), pairs / pairs.max(), rtol=1e-5)
        (behind,) = (
            one
            for one in axes[0, 0].figure.axes
            if one.patches and one.bbox.bounds == axes[0, 1].bbox.bounds
        )
        columns = behind.patches[0].get_data()
        mean = pairs.mean(axis=0)
        assert_allclose(columns.values, mean / mean.max(), rtol=1e-5)
        assert_allclose(columns.edges, np.arange(0, 33, 2) / 8)

    def test_long_trials_have_at_most_80_columns(self):
        X = np.random.default_rng(0).normal(size=(4, 3 * 700)).astype(np.float32)
        found = grad_cam(fit_rtcan(X, [0, 1, 0, 1], n_chans=3, max_epochs=1), X)
        axes = plot_attention({"model": found}, 50.0)
        (heat,) = axes[1, 0].collections
        assert heat.get_array().shape == (3, 70)  # of ten samples: 700 / 80, the next even number

    def test_it_is_legible_at_page_width(self, attributions):
        raw = np.random.default_rng(0).normal(5, 1, size=28)
        axes = plot_attention(attributions, self.RATE, start=3.0, raw=raw, raw_rate=4.0)
        assert_legible(axes[0, 0].figure)

    def test_weights_of_zero_are_drawn(self, rtcan, rows):
        found = grad_cam(rtcan, rows)
        nothing = type(found)(**vars(found) | {"weights": np.zeros_like(found.weights)})
        axes = plot_attention({"nothing": nothing}, self.RATE)
        FigureCanvasAgg(axes[0, 0].figure).draw()
        assert not axes[1, 0].collections[0].get_array().any()

    def test_bad_input(self, attributions, rtcan, rows, cnn):
        with pytest.raises(ValueError, match="at least one attribution"):
            plot_attention({}, 8.0)
        with pytest.raises(ValueError, match="trial=24 does not exist: the attributions are of 24"):
            plot_attention(attributions, 8.0, trial=24)
        with pytest.raises(ValueError, match="sampling_rate must be a positive"):
            plot_attention(attributions, 0.0)
        with pytest.raises(ValueError, match="raw_rate must be a positive"):
            plot_attention(attributions, 8.0, raw=np.ones(9), raw_rate=0.0)
        with pytest.raises(ValueError, match="raw must be a 1-D array of finite"):
            plot_attention(attributions, 8.0, raw=np.array([1.0, np.nan]))
        other = grad_cam(rtcan, rows + 1)
        with pytest.raises(ValueError, match="'both' and 'other' are not of the same trials"):
            plot_attention({"both": attributions["both"], "other": other}, 8.0)
        of_features = grad_cam(cnn, np.zeros((1, 40), np.float32), layer="convolve")
        with pytest.raises(ValueError, match="weighs features, which have no time axis"):
            plot_attention({"cnn": of_features}, 8.0)

    @pytest.mark.filterwarnings("ignore::edaemo.preprocessing.SignalQualityWarning")
    def test_example_runs_as_it_stands(self, tmp_path, draw):
        given = draw("plot_attention", "attention-arousal", "attention-valence")
        for target in ("arousal", "valence"):
            picture = (tmp_path / f"attention-{target}.png").read_bytes()
            assert picture.startswith(b"\x89PNG")
            assert len(picture) < 200_000
        for number in plt.get_fignums():
            assert_legible(plt.figure(number))
        assert all(score > 0.55 for score in given["scores"].values())


class TestPlotRelabelling:
    # By hand: 2-means parts the first two from the last two; centres (2.5, 1.5) and (7.5, 8.5),
    # midpoint (5, 5). A threshold of 7.5 for everybody would call the third trial's valence low.
    RATINGS = pd.DataFrame({"valence": [2, 3, 7, 8, 1, 9], "arousal": [1, 2, 8, 9, 5, 6]})
    SUBJECT = ("p1", "p1", "p1", "p1", "p2", "p2")

    def test_centres_midpoint_and_both_thresholds(self):
        axes = plot_relabelling(self.RATINGS, "p1", global_threshold=7.5, subject=self.SUBJECT)
        arousal, valence = axes
        own, everybody = arousal.lines
        assert_array_equal(own.get_ydata(), [5, 5])
        assert_array_equal(everybody.get_ydata(), [7.5, 7.5])
        own, everybody = valence.lines
        assert_array_equal(own.get_xdata(), [5, 5])
        assert_array_equal(everybody.get_xdata(), [7.5, 7.5])
        for panel in axes:
            ratings, centres, midpoint = panel.collections
            assert_array_equal(ratings.get_offsets(), [[2, 1], [3, 2], [7, 8], [8, 9]])
            assert_array_equal(centres.get_offsets(), [[2.5, 1.5], [7.5, 8.5]])
            assert_array_equal(midpoint.get_offsets(), [[5, 5]])
            low, _, high, _ = ratings.get_facecolors().tolist()
            assert low != high
        assert (
            arousal.get_title() == "arousal: 2 high, 2 low\n0 of 4 change with the global threshold"
        )
        assert (
            valence.get_title() == "valence: 2 high, 2 low\n1 of 4 change with the global threshold"
        )
        assert [one.get_xlabel() for one in axes] == ["valence rating"] * 2
        assert arousal.get_ylabel() == "arousal rating"

    def test_a_dot_is_as_large_as_its_ratings_are_frequent(self):
        ratings = self.RATINGS.iloc[[0, 0, 0, 1, 2, 3]]
        axes = plot_relabelling(ratings, "a", global_threshold=5, subject=["a"] * 6)
        sizes = axes[0].collections[0].get_sizes()
        assert_array_equal(sizes / sizes[1], [3, 1, 1, 1])

    def test_array_and_column_say_the_same(self):
        table = self.RATINGS.assign(subject=self.SUBJECT)
        named = plot_relabelling(table, "p1", global_threshold=5)
        array = plot_relabelling(
            self.RATINGS.to_numpy(), "p1", global_threshold=5, subject=self.SUBJECT
        )
        for one, other in zip(named, array, strict=True):
            assert one.get_title() == other.get_title()

    def test_bad_input(self):
        with pytest.raises(ValueError, match="'p3' has no ratings: did you mean 'p"):
            plot_relabelling(self.RATINGS, "p3", global_threshold=5, subject=self.SUBJECT)
        with pytest.raises(ValueError, match="plot_relabelling needs to know the subject"):
            plot_relabelling(self.RATINGS, "p1", global_threshold=5)
        with pytest.raises(ValueError, match="global_threshold must be a finite number"):
            plot_relabelling(self.RATINGS, "p1", global_threshold=np.nan, subject=self.SUBJECT)
        with pytest.raises(ValueError, match="no column 'arousal'"):
            plot_relabelling(
                self.RATINGS[["valence"]], "p1", global_threshold=5, subject=self.SUBJECT
            )

    def test_example_runs_as_it_stands(self, tmp_path, draw):
        given = draw("plot_relabelling", "relabelling")
        assert (tmp_path / "relabelling.png").read_bytes().startswith(b"\x89PNG")
        assert_legible(given["axes"][0].figure)


class TestBadInput:
    def test_layer_that_the_model_lacks(self, rtcan, rows, cnn):
        with pytest.raises(
            ValueError, match="RTCANClassifier has no layer 'scaa': did you mean 'sca'"
        ):
            grad_cam(rtcan, rows, layer="scaa")
        with pytest.raises(ValueError, match=r"no layer 'trunk': there are \['convolve'\]"):
            grad_cam(cnn, np.zeros((1, 40)), layer="trunk")
        X, y = make_rows()
        without = fit_rtcan(X, y, sca=False, max_epochs=1)
        with pytest.raises(ValueError, match=r"no layer 'sca'"):
            grad_cam(without, X, layer="sca")
        assert grad_cam(without, X, layer="rnta").layer == "rnta"
        bare = fit_rtcan(X, y, sca=False, rnta=False, max_epochs=1)
        with pytest.raises(ValueError, match=r"no layer 'attention': there are \['trunk'\]"):
            grad_cam(bare, X)

    @BOTH
    def test_x_of_another_layout(self, rtcan, rows, explain):
        with pytest.raises(ValueError, match="feature names should match"):
            explain(rtcan, rows[rows.columns[::-1]])
        trials = pd.DataFrame({"subject": ["a"], "stimulus": ["s"], "trial": [0]})
        trials["eda"] = pd.Series([np.arange(32.0)])
        with pytest.raises(ValueError, match="takes rows of numbers: put MusicFeatureUnion"):
            explain(rtcan, trials)
        with pytest.raises(ValueError, match="NaN or infinity"):
            explain(rtcan, rows.where(rows > 0))

    def test_array_of_another_width(self, cnn):
        with pytest.raises(
            ValueError, match="X has 39 features, but CNNClassifier is expecting 40"
        ):
            grad_cam(cnn, np.zeros((1, 39)), layer="convolve")
        with pytest.raises(
            ValueError, match="X has 39 features, but CNNClassifier is expecting 40"
        ):
            integrated_gradients(cnn, np.zeros((1, 39)))

    @BOTH
    def test_captum_missing(self, rtcan, rows, explain, monkeypatch):
        monkeypatch.setitem(sys.modules, "captum", None)
        with pytest.raises(ImportError, match=r"pip install edaemo\[inspection\]$") as caught:
            explain(rtcan, rows)
        assert "\n" not in str(caught.value)

    @BOTH
    @pytest.mark.parametrize("target", ["middle", 0, ["low"], np.nan])
    def test_target_that_is_no_class(self, rtcan, rows, explain, target):
        with pytest.raises(
            ValueError, match=r"is not a class: it must be one of \['high', 'low'\]"
        ):
            explain(rtcan, rows, target=target)

    @BOTH
    def test_unfitted(self, rows, explain):
        with pytest.raises(NotFittedError):
            explain(RTCANClassifier(), rows)
        with pytest.raises(NotFittedError):
            explain(make_pipeline(StandardScaler(), CNNClassifier()), rows)
        with pytest.raises(NotFittedError):
            feature_group_importance(make_pipeline(StandardScaler(), SVC()), rows, [0, 1] * 12)

    @BOTH
    def test_no_network(self, rows, explain):
        y = make_rows()[1]
        with pytest.raises(TypeError, match="SVC is not a network: use a network estimator"):
            explain(SVC().fit(rows, y), rows)
        with pytest.raises(TypeError, match=r"SVC is not a network.*feature_group_importance"):
            explain(make_svm_baseline(eda="passthrough").fit(rows, y), rows)

    @BOTH
    def test_pipeline_with_a_step_that_cannot_transform(self, rtcan, rows, explain):
        y = make_rows()[1]
        pipe = Pipeline([("svm", SVC().fit(rows, y)), ("rtcan", rtcan)])
        with pytest.raises(TypeError, match="Step 'svm' of the pipeline, SVC, does not transform"):
            explain(pipe, rows)
        with pytest.raises(TypeError, match="Step 'svm'"):
            feature_group_importance(pipe, rows, y)

    def test_pipeline_on_trials_without_their_music(self):
        """What a step before the network refuses is its own error."""
        trials = pd.DataFrame({"subject": ["a"] * 4, "stimulus": list("stst"), "trial": range(4)})
        trials["eda"] = pd.Series(list(np.random.default_rng(0).normal(size=(4, 16))))
        music = pd.DataFrame({"tempo": [90.0, 120.0]}, index=["s", "t"])
        pipe = make_pipeline(
            MusicFeatureUnion(music=music),
            RTCANClassifier(channels=(4, 4, 4, 4), max_epochs=1, random_state=0),
        ).fit(trials, [0, 1, 0, 1])
        assert grad_cam(pipe, trials).channels == ("original",)
        with pytest.raises(ValueError, match="music has no row for stimulus 'u'"):
            grad_cam(pipe, trials.replace({"stimulus": {"t": "u"}}))

    def test_baseline_and_steps(self, rtcan, rows):
        for baseline in (np.zeros(5), np.full(98, np.nan)):
            with pytest.raises(ValueError, match="a finite number for each of the network's 98"):
                integrated_gradients(rtcan, rows, baseline=baseline)
        with pytest.raises(ValueError, match="'n_steps' parameter"):
            integrated_gradients(rtcan, rows, n_steps=0)

    def test_groups(self):
        X, y = make_feature_study()
        svm = SVC().fit(X, y)
        with pytest.raises(ValueError, match="The columns of X have no known names"):
            feature_group_importance(SVC().fit(X.to_numpy(), y), X.to_numpy(), y)
        with pytest.raises(
            ValueError, match=r"contains the column 'eda_mea', .*did you mean 'eda_mean'"
        ):
            feature_group_importance(svm, X, y, groups={"a": ["eda_mea"]})
        with pytest.raises(ValueError, match="'eda_mean' is in the groups 'a' and 'b'"):
            feature_group_importance(svm, X, y, groups={"a": ["eda_mean"], "b": ["eda_mean"]})
        with pytest.raises(ValueError, match="Group 'a' must be a list of columns"):
            feature_group_importance(svm, X, y, groups={"a": "eda_mean"})
        with pytest.raises(ValueError, match="groups is empty"):
            feature_group_importance(svm, X, y, groups={})
        renamed = X.rename(columns={"eda_mean": "eda_average"})
        with pytest.raises(ValueError, match=r"'eda_scr_count' is not a sample.*Set groups=\.$"):
            feature_group_importance(svm, renamed, y)
        renamed = X.rename(columns={"eda_mean": "average"})
        with pytest.raises(ValueError, match=r"1 columns are neither EDA .* first 'average'"):
            feature_group_importance(svm, renamed, y)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            feature_group_importance(svm, X, y[:-1])
