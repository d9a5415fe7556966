"""Models of other work: networks of Table 6 and of AIMSTF's bases, InceptionTime, MiniRocket."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import nn

from edaemo import export_onnx
from edaemo.benchmark import PIPELINES, EvaluationError, evaluate, register_pipeline
from edaemo.datasets import make_music_listening
from edaemo.estimators import NetworkClassifier, NetworkRegressor
from edaemo.evaluation import _evaluate
from edaemo.evaluation._registry import GROUPS
from edaemo.features import MiniRocket
from edaemo.inspection import grad_cam, integrated_gradients
from edaemo.networks import (
    DCNN,
    NETWORKS,
    AlexNet2D,
    DeepVANetBio,
    InceptionTime,
    MachotCNN,
    ResSIN,
    TSception,
)

SMALL = {"n_filters": 8, "kernel_sizes": (9, 5, 3)}
# Networks by name, with arguments that make them quick.
RIVALS = {
    "alexnet2d": {},
    "dcnn": {},
    "deepvanet": {},
    "inceptiontime": SMALL,
    "machot": {},
    "ressin": {},
    "tsception": {},
}
N_CHANS, N_TIMES = 2, 48


def make_rows(n_people: int, n_each: int = 10, seed: int = 0) -> tuple:
    """Trials of people who differ in level and range; class 1 has a bump at a varying time."""
    rng = np.random.default_rng(seed)
    n = n_people * n_each
    y = np.arange(n) % 2
    subject = np.repeat(np.arange(n_people), n_each)
    start = rng.integers(8, 28, size=n)
    bump = np.exp(-(((np.arange(N_TIMES) - start[:, None]) / 4) ** 2))
    eda = rng.normal(size=(n, N_CHANS, N_TIMES)) * 0.5
    eda[:, 0] += 2 * y[:, None] * bump
    eda = eda * rng.uniform(0.7, 1.4, n_people)[subject, None, None]
    eda += rng.normal(size=(n_people, N_CHANS))[subject, :, None]
    names = [f"eda_{c}_{t}" for c in "ab" for t in range(N_TIMES)]
    return pd.DataFrame(eda.reshape(n, -1).astype(np.float32), columns=names), y, subject


def make_model(name: str, **settings: object) -> NetworkClassifier:
    return NetworkClassifier(
        NETWORKS[name], module_params=RIVALS[name], **{"random_state": 0} | settings
    )


@pytest.fixture(scope="module")
def fitted() -> dict[str, NetworkClassifier]:
    """Each network, trained on eight people."""
    X, y, _ = make_rows(8)
    settings = {"max_epochs": 40, "batch_size": 16, "lr": 0.003}
    return {name: make_model(name, **settings).fit(X, y) for name in RIVALS}


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


class TestSources:
    """Numbers that the sources give."""

    @pytest.mark.parametrize(("n_chans", "n"), [(40, 69305), (32, 68345), (8, 65465)])
    def test_parameters_of_deepvanet(self, n_chans, n):
        assert count(DeepVANetBio(n_chans, 128, 1)) == n

    def test_parameters_and_shapes_of_tsception(self):
        network = TSception(28, 512, 2).eval()
        assert count(network) == 12563
        shapes = {}
        for name in ("temporal_norm", "spatial_norm", "fuse"):
            network.get_submodule(name).register_forward_hook(
                lambda module, given, output, name=name: shapes.update({name: output.shape[1:]})
            )
        network(torch.zeros(3, 28 * 512))
        assert [scale.length for scale in network.temporal] == [56, 60, 62]
        assert shapes == {
            "temporal_norm": (15, 28, 178),
            "spatial_norm": (15, 3, 89),
            "fuse": (15, 1, 22),
        }

    def test_parameters_of_inceptiontime(self):
        """Counted by hand from figures 1 and 2 of the paper, with odd kernels."""
        per_filter = 32 * 32
        module = per_filter * (39 + 19 + 9) + 2 * 128
        first = 3 * 32 * 2 + module  # a bottleneck, and a convolution after the pooling
        later = 128 * 32 * 2 + module
        shortcuts = (3 + 128) * 128 + 2 * 2 * 128
        assert count(InceptionTime(3, 128, 2)) == first + 5 * later + shortcuts + 128 * 2 + 2

    def test_even_kernels_are_an_error(self):
        with pytest.raises(ValueError, match="odd numbers, got"):
            InceptionTime(1, 50, 2, kernel_sizes=(10, 5))


class TestNetworks:
    @pytest.mark.parametrize("name", RIVALS)
    def test_sixteen_trials_are_learned_by_heart(self, name):
        rng = np.random.default_rng(1)
        X, y = rng.normal(size=(16, N_CHANS * N_TIMES)), np.arange(16) % 2
        settings = {"n_chans": N_CHANS, "max_epochs": 150, "batch_size": 16, "lr": 0.003}
        assert make_model(name, **settings).fit(X, y).score(X, y) == 1

    @pytest.mark.parametrize("name", RIVALS)
    def test_a_planted_signal_is_found_in_people_who_are_held_out(self, name, fitted):
        X, y, _ = make_rows(6, seed=1)
        area = roc_auc_score(y, fitted[name].predict_proba(X)[:, 1])
        assert area > 0.85
        shuffled = np.random.default_rng(0).permutation(y)
        assert abs(roc_auc_score(shuffled, fitted[name].predict_proba(X)[:, 1]) - 0.5) < 0.2

    @pytest.mark.parametrize("name", RIVALS)
    def test_a_trial_is_answered_alike_in_any_batch(self, name, fitted):
        X, _, _ = make_rows(3, seed=2)
        alone = np.vstack([fitted[name].predict_proba(X.iloc[[i]]) for i in range(5)])
        assert_array_equal(alone, fitted[name].predict_proba(X)[:5])

    @pytest.mark.parametrize("n_times", [1, 7])
    @pytest.mark.parametrize("name", RIVALS)
    def test_short_signals_are_taken(self, name, n_times):
        X = np.random.default_rng(0).normal(size=(12, 3, n_times))
        model = make_model(name, max_epochs=1).fit(X, np.arange(12) % 3)
        assert_allclose(model.predict_proba(X).sum(axis=1), 1)

    @pytest.mark.parametrize("name", RIVALS)
    def test_onnx_has_the_same_probabilities(self, name, fitted, tmp_path):
        import onnxruntime

        X, _, _ = make_rows(2, seed=3)
        export_onnx(fitted[name], tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (found,) = session.run(["probability"], {"rows": X.to_numpy()})
        assert_allclose(found, fitted[name].predict_proba(X), atol=1e-5)

    @pytest.mark.parametrize("name", RIVALS)
    def test_attributions_add_up_and_are_where_the_signal_is(self, name, fitted):
        X, y, _ = make_rows(4, seed=4)
        found = integrated_gradients(fitted[name], X[y == 1], target=1, n_steps=128)
        sums = found.weights.sum(axis=(1, 2))
        assert np.abs(found.deviation).max() < 0.1 * np.abs(sums).max()
        by_channel = np.abs(found.weights).sum(axis=(0, 2))
        assert by_channel[0] > 1.5 * by_channel[1]

    def test_music_is_a_block_of_res_sin_alone(self):
        X, y, _ = make_rows(4)
        music = pd.DataFrame({"music_k": 2.0 * y - 1, "music_l": 0.0})
        both = pd.concat([X * 0, music], axis=1)
        model = make_model("ressin", max_epochs=30).fit(both, y)
        assert model.sizes_["n_music_features"] == 2
        assert model.score(both, y) == 1
        assert "ressin-eda-music" in PIPELINES
        others = {name for name in PIPELINES if name.split("-")[0] in RIVALS and "music" in name}
        assert others == {"ressin-eda-music"}

    def test_they_predict_ratings(self):
        X, y, _ = make_rows(6)
        for network in (DCNN, MachotCNN):
            model = NetworkRegressor(network, max_epochs=30, random_state=0)
            assert model.fit(X, 3.0 * y).score(X, 3.0 * y) > 0.5

    def test_an_image_has_the_samples_of_a_channel_row_by_row(self):
        for network in (AlexNet2D(2, 10, 2), ResSIN(2, 10, 0, 2)):
            images = network.fold(torch.arange(20.0).reshape(1, 2, 10))
            expected = np.zeros((2, 16))
            expected[:, :10] = np.arange(20).reshape(2, 10)
            assert_array_equal(images[0], expected.reshape(2, 4, 4))


class TestGradCAM:
    @pytest.mark.parametrize(
        ("network", "layer"),
        [
            (DCNN(1, 512, 2), "convolve"),
            (MachotCNN(1, 512, 2), "convolve"),
            (DeepVANetBio(1, 512, 2), "convolve"),
            (InceptionTime(1, 512, 2), "trunk"),
        ],
    )
    def test_positions_are_in_the_middle_of_what_they_see(self, network, layer):
        """Measured by gradients; a mean has the same place as a maximum, and sees all of it."""
        declared = network.declaration.layers[layer]
        for module in list(network.modules()):
            for name, part in list(module.named_children()):
                if isinstance(part, nn.MaxPool1d):
                    setattr(module, name, nn.AvgPool1d(3, stride=part.stride, padding=1))
        kept = []
        network.eval().get_submodule(layer).register_forward_hook(
            lambda module, given, output: kept.append(output)
        )
        X = torch.randn(64, 512, generator=torch.Generator().manual_seed(0)).requires_grad_()
        network(X)
        position = kept[0].shape[-1] // 2
        (gradient,) = torch.autograd.grad(kept[0][..., position].sum(), X)
        seen = np.flatnonzero(gradient.abs().sum(dim=0).numpy())
        centre = declared.offset + position * declared.strides[0]
        assert (seen[0] + seen[-1]) / 2 == centre

    def test_map_of_convolutions_without_padding_begins_after_the_samples_they_lose(self, fitted):
        X, _, _ = make_rows(1, seed=5)
        model = fitted["deepvanet"]
        found = grad_cam(model, X, layer="convolve", target=1).cam
        assert found.shape == (len(X), N_TIMES)
        network = model.net_.module_.eval()
        outputs = network.convolve(torch.tensor(X.to_numpy()).reshape(-1, N_CHANS, N_TIMES))
        outputs = outputs.detach().requires_grad_()
        logits = network.classify(outputs.flatten(1))
        (gradient,) = torch.autograd.grad(logits[:, 1].sum(), outputs)
        small = torch.relu((gradient.mean(dim=2, keepdim=True) * outputs).sum(dim=1)).detach()
        assert small.shape[1] == N_TIMES - 8
        expected = np.stack(
            [np.interp(np.arange(N_TIMES), 4 + np.arange(N_TIMES - 8), row) for row in small]
        )
        assert_allclose(found, expected, atol=1e-5 * expected.max())

    def test_layers_without_an_order_in_time_are_refused(self, fitted):
        X, _, _ = make_rows(1)
        for name, layer in [("tsception", "fuse"), ("ressin", "trunk"), ("alexnet2d", "convolve")]:
            with pytest.raises(ValueError, match=f"output of {layer} does not have the shape"):
                grad_cam(fitted[name], X, layer=layer)


class TestMiniRocket:
    def test_features_are_those_of_the_definition(self):
        """Each convolution written out as a sum over nine samples."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(6, 2, 41)).astype(np.float32)
        model = MiniRocket(n_features=84 * 8, max_dilations=4, random_state=1).fit(X)
        found = model.transform(X)
        assert found.shape == (6, 672)
        assert_array_equal(model.dilations_, [1, 2, 5])  # 2 ** (k / 3 * log2(40 / 8)), rounded down
        assert_array_equal(model.n_biases_, [4, 2, 2])
        column = 0
        for i, (dilation, n) in enumerate(zip(model.dilations_, model.n_biases_, strict=True)):
            for k, twos in enumerate(itertools.combinations(range(9), 3)):
                weights = np.where(np.isin(np.arange(9), twos), 2, -1)
                signal = X[:, model.channels_[i, k]].sum(axis=1)
                padded = np.pad(signal, ((0, 0), (4 * dilation, 4 * dilation)))
                outputs = np.array(
                    [
                        (padded[:, t : t + 8 * dilation + 1 : dilation] * weights).sum(axis=1)
                        for t in range(41)
                    ]
                ).T
                if (i + k) % 2:
                    outputs = outputs[:, 4 * dilation : 41 - 4 * dilation]
                for _ in range(n):
                    above = (outputs > model.biases_[column]).mean(axis=1)
                    # A sample that equals the bias in one order of summation may exceed it in
                    # another.
                    assert_allclose(found[:, column], above, atol=1.01 / outputs.shape[1])
                    assert (found[:, column] == above.astype(np.float32)).mean() > 0.6
                    column += 1
        assert column == 672

    def test_features_of_the_trial_behind_the_biases_are_spread_evenly(self):
        X = np.random.default_rng(0).normal(size=(1, 200))
        found = MiniRocket(n_chans=1, random_state=0).fit_transform(X)[0]
        assert len(found) == 9996
        assert_allclose(np.sort(found), np.linspace(0, 1, 9996), atol=0.03)

    def test_a_level_does_not_matter_without_padding(self):
        """The weights of a kernel add up to zero."""
        X = np.random.default_rng(0).normal(size=(4, 100))
        model = MiniRocket(n_features=84, n_chans=1, random_state=0).fit(X)
        unpadded = np.arange(84) % 2 == 1
        there, here = model.transform(X + 2.0**4), model.transform(X)
        assert np.abs(there - here)[:, unpadded].max() < 0.03
        assert np.abs(there - here)[:, ~unpadded].max() > 0.03

    def test_seeds_and_channels(self):
        X = np.random.default_rng(0).normal(size=(5, 4, 30))
        one, same, other = (
            MiniRocket(n_features=840, random_state=seed).fit(X) for seed in (0, 0, 1)
        )
        assert_array_equal(one.transform(X), same.transform(X))
        assert not np.array_equal(one.transform(X), other.transform(X))
        assert_array_equal(one.transform(X[:2]), one.transform(X)[:2])
        sizes = one.channels_.sum(axis=2)
        assert set(np.unique(sizes)) == {1, 2, 3, 4}
        assert (sizes == 1).mean() > 0.35  # log(2) / log(5) of them

    def test_a_table_keeps_the_ids_of_its_trials(self):
        table = make_input("minirocket-eda", make_rows(2)[0]).assign(subject="q")
        found = MiniRocket(n_features=84, random_state=0).fit_transform(table)
        assert list(found.index.unique("subject")) == ["q"]
        assert list(found.columns[:2]) == ["minirocket_0", "minirocket_1"]
        signals = np.stack(table["eda"])
        same = MiniRocket(n_features=84, random_state=0).fit_transform(signals)
        assert_array_equal(found, same)

    def test_errors(self):
        X = np.random.default_rng(0).normal(size=(5, 30))
        with pytest.raises(ValueError, match="set n_chans"):
            MiniRocket().fit(X)
        with pytest.raises(ValueError, match="must be the array's 30 columns"):
            MiniRocket(n_chans=4).fit(X)
        with pytest.raises(ValueError, match="n_chans=2, but the"):
            MiniRocket(n_chans=2).fit(X.reshape(5, 3, 10))
        model = MiniRocket(n_features=84).fit(X.reshape(5, 3, 10))
        with pytest.raises(ValueError, match=r"holds .*\(2, 15\).*was fitted with .*\(3, 10\)"):
            model.transform(X.reshape(5, 2, 15))
        with pytest.raises(ValueError, match="'n_features' parameter"):
            MiniRocket(n_features=83, n_chans=1).fit(X)


def make_input(name: str, X: pd.DataFrame) -> pd.DataFrame:
    """Return the signals, or features in which the bump shows: each signal, centred and sorted."""
    signals = X.to_numpy().reshape(len(X), N_CHANS, N_TIMES)
    if PIPELINES[name].input == "features":
        features = np.sort(signals[:, 0] - signals[:, 0].mean(axis=1, keepdims=True), axis=1)
        return pd.DataFrame(features, columns=[f"eda_{i}" for i in range(N_TIMES)])
    table = pd.DataFrame({"subject": "p", "channels": "original|phasic"}, index=range(len(X)))
    table["eda"] = pd.Series(list(signals), dtype=object)
    return table


@pytest.mark.parametrize("name", ["minirocket-eda", "mlp-eda", "svm-rbf-eda"])
def test_a_planted_signal_is_found_by_rows_without_a_network(name):
    X, y, _ = make_rows(8)
    test, truth, _ = make_rows(6, seed=1)
    model = clone(PIPELINES[name].make(None))
    for parameter in model.get_params():
        if parameter.endswith("random_state"):
            model.set_params(**{parameter: 0})
    if name == "minirocket-eda":
        model.set_params(minirocket__n_features=840)
    model.fit(make_input(name, X), y)
    assert model.score(make_input(name, test), truth) > 0.75


@pytest.fixture(scope="module")
def study():
    return make_music_listening(6, 8, 6, sampling_rate=4, duration=10, random_state=3)


class TestGroup:
    @pytest.fixture
    def chosen(self, monkeypatch):
        """Return the names of the pipelines that a call selects, without running them."""
        names: list[str] = []

        def stop(case, entries, *rest):
            names.extend(name for name, entry in entries.items() if not entry.reference)
            raise StopIteration

        monkeypatch.setattr(_evaluate, "_plan", stop)

        def choose(*arguments, **settings):
            names.clear()
            with pytest.raises((StopIteration, RuntimeError)):
                evaluate(*arguments, people="all", **settings)
            return names

        return choose

    def test_all_pipelines_are_those_that_are_not_on_request(self, study, chosen):
        names = chosen(None, study, "arousal")
        assert {"svm-eda", "cnn-eda", "rtcan-eda-music"} < set(names)
        assert not {name for name in names if PIPELINES[name].on_request}
        assert not {name.partition("-")[0] for name in names} & {*RIVALS, "mlp", "minirocket"}

    def test_a_group_is_what_the_study_has_the_data_for(self, study, chosen):
        assert chosen("table6", study, "arousal") == list(GROUPS["table6"])
        assert chosen(["boosting-eda", "table6"], study, "arousal")[0] == "boosting-eda"
        study = type(study)(**{**study, "music": None})
        without = [name for name in GROUPS["table6"] if "music" not in name]
        assert chosen("table6", study, "arousal") == without
        of_ratings = chosen("table6", study, "arousal", thresholds="none")
        assert of_ratings == [name for name in without if name.split("-")[0] in {*RIVALS, "rtcan"}]

    def test_networks_are_left_out_without_torch(self, study, chosen, monkeypatch):
        monkeypatch.setattr(_evaluate, "has_torch", lambda: False)
        with pytest.warns(UserWarning, match="They are alexnet2d-eda, dcnn-eda, .*ressin-eda-mus"):
            names = chosen("table6", study, "arousal")
        assert names == ["svm-eda", "svm-rbf-eda", "mlp-eda", "minirocket-eda"]

    def test_a_study_without_eda_is_an_error(self, study):
        study = type(study)(**{**study, "trials": study.trials.drop(columns="eda"), "music": None})
        with pytest.raises(EvaluationError, match="group 'table6' has no pipeline for generated"):
            evaluate("table6", study, "arousal", people="all")

    def test_the_name_of_a_group_is_not_free(self, study):
        with pytest.raises(EvaluationError, match="There is a pipeline 'table6' already"):
            register_pipeline("table6", NetworkClassifier(DCNN))
        with pytest.raises(EvaluationError, match="'tabel6': did you mean 'table6'"):
            evaluate("tabel6", study, "arousal", people="all")

    def test_every_member_is_registered(self):
        assert set(GROUPS["table6"]) <= set(PIPELINES)
        rivals = {name for name in PIPELINES if name.partition("-")[0] in RIVALS}
        assert rivals < set(GROUPS["table6"])
        assert all(PIPELINES[name].on_request for name in rivals)
