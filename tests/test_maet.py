"""MAET, its classifier, and training against the recognition of subjects."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf, log_softmax, softmax
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch.nn import functional as F

from edaemo import MusicFeatureUnion, RTCANClassifier, load, save
from edaemo.estimators import MAETClassifier
from edaemo.features import EDAFeatureExtractor
from edaemo.networks import MAET, RTCAN, DomainHead
from edaemo.training import Batch, DomainCrossEntropy

SEED_VII = {"eeg": (310,), "eye": (33,)}
THREE = {"eda": (2, 10), "music": (4,), "eye": (3,)}
SMALL = {"embed_dim": 8, "n_heads": 2, "patch_size": 4}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_network(blocks=THREE, n_outputs=3, **settings) -> MAET:
    """A network in double precision whose every number differs from its neutral value."""
    torch.manual_seed(1)
    net = MAET(blocks, n_outputs, **SMALL | settings).double()
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            torch.nn.init.uniform_(value, 0.5, 1.5)
        elif value.is_floating_point():
            torch.nn.init.normal_(value, std=0.5)
    return net.eval()


def draw(n, blocks=THREE, seed=0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(n, *shape, generator=generator, dtype=torch.float64)
        for name, shape in blocks.items()
    }


# --- the equations written out for one trial, from the description of the system -----------------


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def layer_norm(w, name, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def embed(w, i, x, n_dims):
    if x.ndim == 1:
        gates = 1 / (1 + np.exp(-linear(w, f"embed.{i}.gate.0", x))).reshape(-1, n_dims)
        tokens = linear(w, f"embed.{i}.project.0", x) * gates
    else:
        padded = np.pad(x, [(0, 0), (0, -x.shape[1] % 4)])
        patches = [padded[:, s : s + 4].ravel() for s in range(0, padded.shape[1], 4)]
        tokens = linear(w, f"embed.{i}.project", np.array(patches))
    norm = {k: w[f"embed.{i}.norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias")}
    scaled = (tokens - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
    return scaled * norm["weight"] + norm["bias"]


def attend(w, name, x, n_heads):
    query, key, value = np.split(x @ w[f"{name}.query_key_value.weight"].T, 3, axis=1)
    query, value = query + w[f"{name}.query_bias"], value + w[f"{name}.value_bias"]
    heads = zip(*(np.split(part, n_heads, axis=1) for part in (query, key, value)), strict=True)
    out = [softmax(q @ k.T / np.sqrt(k.shape[1]), axis=1) @ v for q, k, v in heads]
    return linear(w, f"{name}.project", np.concatenate(out, axis=1))


def feed_forward(w, name, x):
    hidden = linear(w, f"{name}.1", layer_norm(w, f"{name}.0", x))
    return linear(w, f"{name}.4", hidden * (1 + erf(hidden / np.sqrt(2))) / 2)


def predict_one(net, trial, *, depth=3, n_heads=2, first_shared=2, n_prompts=0):
    """Logits of one trial, a dict of the modalities that it has."""
    w = {name: value.numpy() for name, value in net.state_dict().items()}
    names, n_dims = list(net.names), len(w["norm.weight"])
    parts, start = [], 0
    for i, length in enumerate(net.lengths):
        if names[i] in trial:
            views = embed(w, i, trial[names[i]], n_dims)
            tokens = np.vstack([w["class_token"][i], views])
            tokens = tokens + w["position"][start : start + length] + w["modality_type"][i]
            parts.append((i, tokens))
        start += length
    for layer in range(depth):
        name = f"blocks.{layer}"
        x = np.vstack([tokens for _, tokens in parts])
        read = x
        if len(parts) == 1 and n_prompts:
            mine = parts[0][0] * n_prompts
            read = np.vstack([x, w[f"{name}.prompts"][mine : mine + n_prompts]])
        attended = attend(w, f"{name}.attention", layer_norm(w, f"{name}.norm", read), n_heads)
        x = x + w[f"{name}.attention_gain"] * attended[: len(x)]
        if len(parts) > 1 and layer >= first_shared:
            fed = feed_forward(w, f"{name}.shared", x)
        else:
            ends = np.cumsum([len(tokens) for _, tokens in parts])[:-1]
            split = zip(parts, np.split(x, ends), strict=True)
            fed = np.vstack([feed_forward(w, f"{name}.feed.{i}", part) for (i, _), part in split])
        x = x + w[f"{name}.feed_gain"] * fed
        ends = np.cumsum([len(tokens) for _, tokens in parts])[:-1]
        parts = [(i, part) for (i, _), part in zip(parts, np.split(x, ends), strict=True)]
    parts = [(i, layer_norm(w, "norm", part)) for i, part in parts]
    if len(parts) == 1:
        ((i, tokens),) = parts
        return linear(w, f"heads.{i}.0", tokens[1:].mean(axis=0))
    classes = np.array([tokens[0] for _, tokens in parts])
    return linear(w, "fused_head.0", softmax(classes @ w["fuse.vector"]) @ classes)


SUBSETS = [
    *(["eda"], ["music"], ["eye"], ["eda", "music"], ["eda", "eye"], ["music", "eye"]),
    ["eda", "music", "eye"],
]


class TestNetwork:
    @pytest.mark.parametrize(
        ("settings", "n_parameters"),
        [({}, 139_541), ({"n_groups": 19}, 141_224), ({"n_prompts": 2}, 139_925)],
    )
    def test_number_of_parameters_is_the_published_one(self, settings, n_parameters):
        net = MAET(SEED_VII, 7, **settings)
        assert sum(weight.numel() for weight in net.parameters()) == n_parameters

    @pytest.mark.parametrize("subset", SUBSETS)
    @pytest.mark.parametrize("n_prompts", [0, 2])
    def test_logits_of_each_subset_follow_the_equations(self, subset, n_prompts):
        net = make_network(n_prompts=n_prompts)
        blocks = draw(1)
        given = {name: blocks[name] for name in subset}
        trial = {name: block[0].numpy() for name, block in given.items()}
        expected = predict_one(net, trial, n_prompts=n_prompts)
        with torch.no_grad():
            assert_allclose(net(**given)[0].numpy(), expected, atol=1e-10)

    @pytest.mark.parametrize("training", [False, True])
    def test_mixed_batch_is_each_trial_for_itself(self, training):
        net, blocks = make_network(), draw(len(SUBSETS))
        for row, subset in enumerate(SUBSETS):
            for name in set(THREE) - set(subset):
                blocks[name][row] = torch.nan
        if training:  # except for the batch norms, whose statistics are those of the batch
            net.train()
            for part in net.embed:
                part.norm.eval()
        with torch.no_grad():
            logits = net(**blocks).numpy()
        net.eval()
        for row, subset in enumerate(SUBSETS):
            trial = {name: blocks[name][row].numpy() for name in subset}
            assert_allclose(logits[row], predict_one(net, trial), atol=1e-10)

    def test_absent_trials_do_not_count_in_the_batch_norm(self):
        with_absent, without = make_network(), make_network()
        blocks = draw(9)
        blocks["music"][4:] = torch.nan
        with_absent.train()(**blocks)
        without.train()(music=blocks["music"][:4])
        for name in ("running_mean", "running_var"):
            found, expected = (getattr(net.embed[1].norm, name) for net in (with_absent, without))
            assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)

    def test_trial_without_any_modality_has_no_prediction(self):
        for blocks in (THREE, {"eda": (3,)}):
            nothing = {
                name: torch.full((2, *shape), torch.nan, dtype=torch.float64)
                for name, shape in blocks.items()
            }
            assert make_network(blocks)(**nothing).isnan().all()

    def test_gradients_are_finite_where_modalities_are_absent(self):
        net, blocks = make_network().train(), draw(6)
        blocks["music"][:3] = torch.nan
        blocks["eda"][2:5] = torch.nan
        net(**blocks).square().sum().backward()
        gradients = {name: w.grad for name, w in net.named_parameters() if w.grad is not None}
        assert set(gradients) == set(dict(net.named_parameters()))
        for name, gradient in gradients.items():
            assert gradient.isfinite().all(), name
            # No trial has EDA alone or music alone; only such trials use these layers.
            unused = name.startswith(("heads.0", "heads.1", "blocks.2.feed.0", "blocks.2.feed.1"))
            assert gradient.any() == (not unused), name

    def test_modality_dropout_leaves_out_its_share_and_keeps_one(self):
        net, blocks = make_network(modality_dropout=0.5).train(), draw(4000)
        blocks["eye"][:2000] = torch.nan
        seen = []
        net.fuse.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
        torch.manual_seed(0)
        net(**blocks)
        present = seen[0].double()
        assert (present.sum(dim=1) >= 1).all()
        assert not present[:2000, 2].any()
        # Of two: kept with 1/2, and if both draws are below 1/2, the larger one is kept as well.
        assert_allclose(present[:2000, :2].mean().item(), 1 / 2 + 1 / 4 / 2, atol=0.02)
        assert_allclose(present[2000:].mean().item(), 1 / 2 + 1 / 8 / 3, atol=0.02)
        net.eval()(**blocks)
        assert seen[1][2000:].all()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"n_heads": 3}, "must be a multiple of n_heads=3"),
            ({"reversal": "last"}, "reversal must be one of"),
            ({"blocks": {}}, "at least one modality"),
        ],
    )
    def test_impossible_settings_are_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            MAET(**{"blocks": THREE, "n_outputs": 2, **SMALL, **settings})
        with pytest.raises(TypeError, match=r"has the modalities .*, got 'ecg'"):
            make_network()(ecg=torch.zeros(1, 4))


def make_trials(n=120, *, seed=0, n_subjects=6) -> tuple[pd.DataFrame, np.ndarray]:
    """EDA features tell class 0 from the others, and music tells class 2 from the others."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    eda, music = rng.normal(size=(n, 5)), rng.normal(size=(n, 4))
    eda[:, 0] += np.where(y == 0, 4, -4)
    music[:, 1] += np.where(y == 2, 4, -4)
    names = [*(f"eda_{i}" for i in range(5)), *(f"music_{i}" for i in range(4))]
    index = pd.MultiIndex.from_arrays(
        [np.arange(n) % n_subjects, np.arange(n), np.arange(n)],
        names=["subject", "stimulus", "trial"],
    )
    return pd.DataFrame(np.hstack([eda, music]), index=index, columns=names), y


EDA, MUSIC = [f"eda_{i}" for i in range(5)], [f"music_{i}" for i in range(4)]
QUICK = {
    "embed_dim": 16,
    "n_heads": 2,
    "lr": 0.005,
    "max_epochs": 15,
    "batch_size": 16,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def fitted():
    X, y = make_trials()
    mixed = X.copy()
    mixed.iloc[:25, :5] = np.nan
    mixed.iloc[25:50, 5:] = np.nan
    modalities = {"eda": "features", "music": "features"}
    return MAETClassifier(modalities, modality_dropout=0.3, **QUICK).fit(mixed, y)


class TestClassifier:
    def test_each_subset_scores_what_it_can_know(self, fitted):
        """Each modality tells one class of three from the others: at best 2 of 3 trials alone."""
        X, y = make_trials(300, seed=1)
        scores = {
            "both": fitted.score(X, y),
            "eda": fitted.score(X[EDA], y),
            "music": fitted.score(X[MUSIC], y),
        }
        assert scores["both"] > 0.97
        assert 0.57 < scores["eda"] < 0.77
        assert 0.57 < scores["music"] < 0.77
        eda, music = fitted.predict(X[EDA]), fitted.predict(X[MUSIC])
        assert (eda[y == 0] == 0).mean() > 0.97
        assert (eda[y != 0] != 0).mean() > 0.97
        assert (music[y == 2] == 2).mean() > 0.97
        assert (music[y != 2] != 2).mean() > 0.97

    def test_absent_columns_are_columns_of_nan_in_any_batch(self, fitted):
        X, _ = make_trials(40, seed=2)
        mixed = X.copy()
        mixed.iloc[::3, :5] = np.nan
        mixed.iloc[1::3, 5:] = np.nan
        found = fitted.predict_proba(mixed)
        assert_array_equal(found[::3], fitted.predict_proba(X[MUSIC])[::3])
        assert_array_equal(found[1::3], fitted.predict_proba(X[EDA])[1::3])
        assert_array_equal(found[2::3], fitted.predict_proba(X)[2::3])
        for row in (0, 1, 2):
            assert_array_equal(fitted.predict_proba(mixed[row : row + 1])[0], found[row])

    def test_part_of_a_modality_and_no_modality_are_refused(self, fitted):
        X, y = make_trials(12)
        part, nothing = X.copy(), X.copy()
        part.iloc[4, 2] = np.nan
        nothing.iloc[5] = np.nan
        infinite = X.copy()
        infinite.iloc[0, 0] = np.inf
        never = X.copy()
        never[MUSIC] = np.nan
        for call in (fitted.predict, lambda X: MAETClassifier(**QUICK).fit(X, y)):
            with pytest.raises(ValueError, match=r"NaN in 1 of 5 columns of EDA in .*subject 4"):
                call(part)
            with pytest.raises(ValueError, match=r"only NaN in .*subject 5"):
                call(nothing)
            with pytest.raises(ValueError, match="too large for float32, in 1 places"):
                call(infinite)
        with pytest.raises(ValueError, match="All trials lack music"):
            MAETClassifier(**QUICK).fit(never, y)
        with pytest.raises(ValueError, match="feature names"):
            fitted.predict(X[EDA[:3] + MUSIC])

    def test_a_modality_never_seen_alone_is_refused_alone(self):
        X, y = make_trials(30)
        settings = {**QUICK, "max_epochs": 1, "modality_dropout": 0}
        X.iloc[:3, :5] = np.nan  # music alone
        model = MAETClassifier(**settings).fit(X, y)
        assert model.trained_alone_ == ("music",)
        model.predict(X[MUSIC])
        with pytest.raises(ValueError, match=r"subject 3.* has EDA only, but no training trial"):
            model.predict(X[3:][EDA])
        assert MAETClassifier(**settings).fit(X[EDA][3:], y[3:]).trained_alone_ == ("eda",)

    def test_modalities_are_named_or_counted(self):
        X, y = make_trials(60)
        settings = {**QUICK, "max_epochs": 1}
        named = MAETClassifier(**settings).fit(X, y)
        counted = MAETClassifier({"eda": 5, "music": 4}, **settings).fit(X.to_numpy(), y)
        assert named.blocks_ == counted.blocks_ == {"eda": (5,), "music": (4,)}
        assert_array_equal(named.predict_proba(X), counted.predict_proba(X.to_numpy()))
        alone = MAETClassifier({"eda": "features", "music": "features"}, **settings)
        assert alone.fit(X[EDA], y).blocks_ == {"eda": (5,)}
        assert MAETClassifier(**settings).fit(X.to_numpy(), y).blocks_ == {"features": (9,)}
        for modalities, message in [
            ({"eda": 5, "music": 3}, "must add up to"),
            ({"eda": 5, "music": "features"}, "must then give all their sizes"),
            ({"eda": "patches"}, "a number of features"),
            ({"eda": 0}, "a number of features"),
            ({"eda": 5, "eeg": (2, 2)}, "signals before features"),
            ({}, "modalities is empty"),
        ]:
            with pytest.raises(ValueError, match=message):
                MAETClassifier(modalities, **settings).fit(X.to_numpy(), y)
        with pytest.raises(ValueError, match=r"no name of a column begins with .*'edx'"):
            MAETClassifier({"edx": "features"}, **settings).fit(X, y)
        with pytest.raises(ValueError, match="the columns of X have"):
            MAETClassifier({"eda": 4, "music": 4}, **settings).fit(X, y)

    def test_a_signal_is_a_modality_of_patches(self):
        rng = np.random.default_rng(0)
        y = np.arange(80) % 2
        signal = rng.normal(size=(80, 2, 24))
        signal[y == 1, 1, 8:16] += 3  # one patch of one channel
        X = np.hstack([signal.reshape(80, -1), rng.normal(size=(80, 4))])
        settings = {**QUICK, "max_epochs": 40}
        model = MAETClassifier({"eda": (2, 24), "music": 4}, patch_size=8, **settings).fit(X, y)
        assert model.net_.module_.lengths == [1 + 3, 1 + 5]
        assert model.score(X, y) > 0.95
        X[:, 48:] = np.nan
        assert model.score(X, y) > 0.95

    @pytest.mark.parametrize("subset", [EDA, EDA + MUSIC])
    def test_sixteen_trials_are_learned_by_heart(self, subset):
        X, _ = make_trials(16, seed=3)
        y = np.random.default_rng(3).permutation(np.arange(16) % 2)
        model = MAETClassifier(modality_dropout=0, lr=0.01, max_epochs=200, random_state=0)
        model.fit(X[subset], y)
        assert model.score(X[subset], y) == 1.0

    def test_save_and_load(self, fitted, tmp_path):
        X, _ = make_trials(20, seed=4)
        save(fitted, tmp_path / "m")
        loaded = load(tmp_path / "m")
        assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
        assert_array_equal(loaded.predict_proba(X[MUSIC]), fitted.predict_proba(X[MUSIC]))

    def test_onnx_predicts_trials_that_lack_modalities(self, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        from edaemo import export_onnx

        X, y = make_trials(7, seed=5)
        X.iloc[0, :5], X.iloc[1, 5:] = np.nan, np.nan
        small = {**QUICK, "max_epochs": 1, "embed_dim": 4, "depth": 1, "n_prompts": 1}
        fitted = MAETClassifier(mixffn_start_layer_index=0, **small).fit(X, y)
        export_onnx(fitted, tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (found,) = session.run(None, {"rows": X.to_numpy(np.float32)})
        assert_allclose(found, fitted.predict_proba(X), atol=1e-5)


# --- training against the recognition of subjects ------------------------------------------------


class Record(Callback):
    """Keeps the strength of the reversal and the smoothing of each epoch."""

    def __init__(self):
        self.seen = []

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            head = net.module_.domain
            self.seen.append((head.strength.item(), net.criterion_.smoothing))


class TestDomains:
    @pytest.mark.parametrize("strength", [0.0, 0.3])
    def test_head_reverses_the_gradient_of_its_input_alone(self, strength):
        torch.manual_seed(0)
        head = DomainHead(4, 3)
        features = torch.randn(5, 4, requires_grad=True)
        head.strength.fill_(strength)
        reversed_logits = head(features)
        plain = features.detach().requires_grad_()
        logits = F.linear(
            F.gelu(F.linear(plain, head.hidden.weight, head.hidden.bias)),
            head.classify.weight,
            head.classify.bias,
        )
        assert_array_equal(reversed_logits.detach(), logits.detach())
        logits.square().sum().backward()
        of_head = head.hidden.weight.grad.clone()
        head.zero_grad()
        reversed_logits.square().sum().backward()
        assert_allclose(features.grad, -strength * plain.grad, rtol=1e-6)
        assert_allclose(head.hidden.weight.grad, of_head, rtol=1e-6)

    def test_loss_by_hand(self):
        """Smoothed loss = epsilon * mean(-log p) + (1 - epsilon) * NLL, mean over the tokens."""
        rng = np.random.default_rng(0)
        logits, domains = rng.normal(size=(4, 2)), rng.normal(size=(4, 3, 5))
        read = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 1], [1, 0, 1]], dtype=bool)
        y, group, weight = np.array([0, 1, 1, 0]), np.array([4, 0, 2, 2]), np.array([1, 2, 0.5, 1])
        loss = DomainCrossEntropy()
        loss.smoothing = 0.3
        outputs = tuple(map(torch.tensor, (logits, domains, read)))
        found = loss(outputs, Batch(None, torch.tensor(y), group=torch.tensor(group)))
        classes = -log_softmax(logits, axis=1)[np.arange(4), y]
        surprise = -log_softmax(domains, axis=2)
        hit = surprise[np.arange(4), :, group]
        smoothed = 0.3 * surprise.mean(axis=2) + 0.7 * hit
        by_trial = [smoothed[row][read[row]].mean() for row in range(4)]
        assert_allclose(found.item(), np.mean(classes) + np.mean(by_trial))
        batch = Batch(None, torch.tensor(y), group=torch.tensor(group), weight=torch.tensor(weight))
        expected = np.average(classes, weights=weight) + np.average(by_trial, weights=weight)
        assert_allclose(loss(outputs, batch).item(), expected)
        assert_allclose(loss(outputs[0], batch).item(), np.average(classes, weights=weight))

    def test_loss_of_two_subjects_is_that_of_skada(self):
        """skada 0.6.0: DANNLoss() of sigmoid(z), which adds the mean of both domains.

        Its loss is 1.4627886806179111, with the gradients below.
        """
        z = torch.tensor(
            [-1.5, 0.25, 0.5, 2.0, 0.75, -0.5, 1.0, 3.0], dtype=torch.float64, requires_grad=True
        )
        group = torch.tensor([0] * 4 + [1] * 4)
        domains = torch.stack([torch.zeros_like(z), z], dim=1).unsqueeze(1)
        logits = torch.zeros(8, 2, dtype=torch.float64)
        read = torch.ones(8, 1, dtype=torch.bool)
        loss = DomainCrossEntropy()((logits, domains, read), Batch(None, group, group=group))
        assert_allclose(loss.item() - math.log(2), 1.4627886806179111 / 2, rtol=1e-12)
        loss.backward()
        gradient = [
            *(0.04560638095158909, 0.14054412522144952, 0.15561483280046362, 0.22019926949447058),
            *(-0.08020532520615176, -0.15561483280046362, -0.06723535534249878),
            -0.011856468294391659,
        ]
        assert_allclose(z.grad.numpy(), np.array(gradient) / 2, rtol=1e-12)

    @pytest.mark.parametrize(
        ("reversal", "tokens"),
        [
            ("every", [[0, 1, 2], [1, 2], [2], [0, 2]]),
            ("first", [[0], [1], [2], [0]]),
        ],
    )
    def test_reversed_class_tokens_are_those_of_present_modalities(self, reversal, tokens):
        net, blocks = make_network(n_groups=4, reversal=reversal).train(), draw(4)
        blocks["eda"][1:3] = torch.nan
        blocks["music"][2:] = torch.nan
        classes = []
        net.fuse.register_forward_pre_hook(lambda module, args: classes.append(args[0]))
        _, domains, read = net(**blocks)
        expected = net.domain(classes[0])
        for row, modalities in enumerate(tokens):
            assert_allclose(
                domains[row][read[row]].detach(), expected[row, modalities].detach(), rtol=1e-12
            )
        assert isinstance(net.eval()(**blocks), torch.Tensor)

    @pytest.mark.parametrize("kind", ["maet", "rtcan"])
    def test_schedules_are_those_of_the_source(self, kind):
        X, y = make_trials(40, n_subjects=4)
        record = Record()
        settings = {"domain_loss": True, "max_epochs": 5, "callbacks": [record], "random_state": 0}
        if kind == "maet":
            model = MAETClassifier(batch_size=40, **settings)
        else:
            X = X.rename(columns={f"eda_{i}": f"eda_x_{i}" for i in range(5)})
            model = RTCANClassifier(channels=(4, 4, 4, 4), batch_size=40, **settings)
        model.fit(X, y)
        assert model.sizes_["n_groups"] == 4
        alpha = [2 / (1 + math.exp(-10 * e / 5)) - 1 for e in range(5)]
        epsilon = [3 / 4 * e / 5 for e in range(5)]
        assert_allclose(record.seen, list(zip(alpha, epsilon, strict=True)), rtol=1e-6, atol=1e-8)

    def test_people_come_from_metadata_and_new_ones_are_predicted(self, tmp_path):
        X, y = make_trials(60)
        subject = X.index.get_level_values("subject").to_numpy().astype(str)
        model = MAETClassifier(domain_loss=True, **QUICK)
        with pytest.raises(ValueError, match="domain_loss needs to know the subject"):
            model.fit(X.to_numpy(), y)
        with pytest.raises(ValueError, match="at least two subjects"):
            model.fit(X, y, subject=["a"] * 60)
        model.fit(X, y, subject=subject)
        new, labels = make_trials(90, seed=7)
        new.index = new.index.set_levels([f"new {i}" for i in range(6)], level="subject")
        assert model.score(new, labels) > 0.9
        save(model, tmp_path / "m")
        assert_array_equal(load(tmp_path / "m").predict_proba(new), model.predict_proba(new))

    def test_without_domain_loss_subjects_add_no_head(self):
        X, y = make_trials(60)
        for settings in ({}, {"validation_fraction": 0.3}):
            model = MAETClassifier(**QUICK | {"max_epochs": 2}, **settings).fit(X, y)
            assert "n_groups" not in model.sizes_
            assert model.net_.module_.domain is None

    def test_validation_loss_is_that_of_the_classes(self):
        X, y = make_trials(90)
        aside = X.index.get_level_values("subject") == 5
        model = MAETClassifier(domain_loss=True, **QUICK | {"max_epochs": 2})
        model.fit(X, y, validation=aside)
        best = int(np.argmin(model.net_.history[:, "valid_loss"]))
        probability = model.predict_proba(X[aside])[np.arange(aside.sum()), y[aside]]
        assert_allclose(
            -np.log(probability).mean(), model.net_.history[best, "valid_loss"], rtol=1e-5
        )

    def test_reversal_hides_the_subject_from_the_features(self):
        """The class tokens of RTCAN's and MAET's kind: here RTCAN's pooled features."""
        net = RTCAN(2, 64, 3, 2, channels=(4, 4, 4, 4), n_groups=5).train()
        outputs = net(torch.randn(6, 2 * 64 + 3))
        assert [part.shape for part in outputs] == [(6, 2), (6, 1, 5), (6, 1)]
        pooled = []
        net.domain.register_forward_pre_hook(lambda module, args: pooled.append(args[0]))
        net(torch.randn(6, 2 * 64 + 3))
        assert pooled[0].shape[1] == net.classify[0].in_features - 3  # without the music

    @pytest.mark.parametrize("weight", [None, 1 + np.arange(40) % 3])
    def test_history_has_both_parts_of_the_loss(self, weight):
        X, y = make_trials(40, n_subjects=4)
        settings = {**QUICK, "modality_dropout": 0, "max_epochs": 12}
        model = MAETClassifier(domain_loss=True, **settings).fit(X, y, sample_weight=weight)
        history = model.net_.history
        assert_allclose(
            np.add(history[:, "class_loss"], history[:, "domain_loss"]),
            history[:, "train_loss"],
            rtol=1e-6,
        )
        # The weights are drawn with a deviation of 0.02, so the first logits are almost 0.
        first = history[0, "batches", 0]
        assert_allclose(first["class_loss"], math.log(3), rtol=0.02)
        assert_allclose(first["domain_loss"], math.log(4), rtol=0.02)
        assert history[-1, "class_loss"] < 0.6 * history[0, "class_loss"]

    def test_history_without_domain_loss_has_no_parts(self):
        X, y = make_trials(30)
        model = MAETClassifier(**QUICK | {"max_epochs": 1}).fit(X, y)
        assert "domain_loss" not in model.net_.history[0]


def make_recordings(n=16) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Trials with 30 s of EDA at 4 Hz and songs with music; both tell the class."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    trials = pd.DataFrame({"subject": np.arange(n) % 4, "stimulus": [f"s{i}" for i in range(n)]})
    trials["trial"] = 0
    slope = np.where(y, 0.1, -0.1)[:, None] * np.arange(120) / 4
    trials["eda"] = pd.Series([*(5 + slope + 0.01 * rng.normal(size=(n, 120)))], dtype=object)
    music = pd.DataFrame({"tempo": 90 + 30.0 * y, "key": rng.normal(size=n)}, trials["stimulus"])
    return trials, music, y


@pytest.fixture(scope="module")
def fitted_pipeline():
    trials, music, y = make_recordings()
    trials.at[1, "eda"] = None
    trials.at[4, "eda"] = np.full(120, np.nan)
    union = MusicFeatureUnion(
        eda=EDAFeatureExtractor(4.0, handle_absent="missing"),
        music=music.drop("s3"),
        handle_unknown="missing",
    )
    maet = MAETClassifier(**QUICK)
    return make_pipeline(union, StandardScaler().set_output(transform="pandas"), maet).fit(
        trials, y
    )


class TestAbsentRecordings:
    def test_trials_without_a_recording_are_predicted_from_the_music(self, fitted_pipeline):
        trials, _, y = make_recordings()
        whole = fitted_pipeline.predict_proba(trials)
        for absent in (None, np.nan, pd.NA, [], np.full(9, np.nan), np.ma.masked_all(7)):
            cells = [absent if row in (0, 7) else cell for row, cell in enumerate(trials["eda"])]
            given = trials.assign(eda=pd.Series([*cells], dtype=object))
            rows = fitted_pipeline[:-1].transform(given)
            eda = rows.loc[:, rows.columns.str.startswith("eda_")]
            assert eda.iloc[[0, 7]].isna().to_numpy().all()
            found = fitted_pipeline.predict_proba(given)
            music = rows.loc[:, rows.columns.str.startswith("music_")]
            assert_array_equal(found[[0, 7]], fitted_pipeline[-1].predict_proba(music.iloc[[0, 7]]))
            kept = np.setdiff1d(np.arange(16), [0, 7])
            assert_array_equal(found[kept], whole[kept])
        nobody = trials.assign(eda=None).drop(index=3)  # the song of trial 3 has no music
        assert fitted_pipeline.score(nobody, np.delete(y, 3)) > 0.9

    def test_trials_without_any_modality_are_named(self, fitted_pipeline):
        trials, _, _ = make_recordings()
        trials.at[3, "eda"] = None  # its song has no music
        with pytest.raises(ValueError, match=r"only NaN in .*stimulus s3"):
            fitted_pipeline.predict(trials)

    def test_absent_recordings_are_errors_otherwise(self):
        trials, music, _ = make_recordings()
        trials.at[1, "eda"] = np.full(120, np.nan)
        with pytest.raises(ValueError, match=r"stimulus s1.*120 of 120 samples are missing"):
            EDAFeatureExtractor(4.0).fit_transform(trials)
        extractor = EDAFeatureExtractor(4.0, handle_absent="missing")
        features = extractor.fit_transform(trials)
        assert features.isna().all(axis=1).tolist() == [row == 1 for row in range(16)]
        assert_array_equal(features.drop(index=features.index[1]).isna(), False)
        with pytest.raises(ValueError, match=r"NaN"):
            MusicFeatureUnion(eda=extractor, music=music).fit(trials)
        trials.at[2, "eda"] = np.array([1.0, np.nan, *np.ones(118)])
        with pytest.raises(ValueError, match=r"stimulus s2.*1 of 120 samples are missing"):
            extractor.fit_transform(trials)
        trials.at[2, "eda"] = np.ones(3)
        with pytest.raises(ValueError, match=r"stimulus s2.*3 samples .* are too few"):
            extractor.fit_transform(trials)

    def test_a_row_that_is_nan_in_part_is_an_error(self):
        X, _ = make_trials(6)
        X = X[EDA]
        X.iloc[2] = np.nan
        union = MusicFeatureUnion(handle_unknown="missing")
        assert np.isnan(union.fit_transform(X)).all(axis=1).tolist() == [r == 2 for r in range(6)]
        X.iloc[3, 1] = np.nan
        with pytest.raises(ValueError, match=r"subject 3.*1 of 5 columns of EDA are NaN"):
            union.transform(X)


class TestAttribution:
    def test_weights_add_up_and_name_the_modality_that_decided(self, fitted):
        pytest.importorskip("captum")
        from edaemo.inspection import integrated_gradients, modality_attribution

        X, y = make_trials(30, seed=8)
        X.iloc[0, :5], X.iloc[1, 5:] = np.nan, np.nan
        found = modality_attribution(fitted, X, target=0)
        assert found.modalities == ("eda", "music")
        assert found.modality_of_token.tolist() == ["eda"] * 6 + ["music"] * 6
        assert_allclose(found.weights.sum(axis=1), found.tokens.sum(axis=1), atol=1e-5)
        module = fitted.to_module().network.eval()
        rows = torch.tensor(X.to_numpy(np.float32))
        with torch.no_grad():
            gain = module(rows)[:, 0] - module(torch.where(rows.isnan(), torch.nan, 0.0))[:, 0]
        total = found.weights.sum(axis=1)
        assert_allclose(total - found.deviation, gain.numpy(), atol=1e-4)
        finer = modality_attribution(fitted, X, target=0, n_steps=128)
        assert_allclose(finer.weights.sum(axis=1), gain.numpy(), atol=0.1)
        assert_allclose(found.tokens[:, [0, 6]], 0, atol=1e-7)  # the class tokens
        assert found.weights[0, 0] == 0
        assert found.weights[1, 1] == 0
        assert_allclose(found.fusion.sum(axis=1), 1, rtol=1e-5)
        assert found.fusion[:2].tolist() == [[0, 1], [1, 0]]
        # Where only EDA tells the classes apart, it decides.
        labels = (y > 0).astype(int)
        of_eda = MAETClassifier(**QUICK).fit(X[2:], labels[2:])
        share = np.abs(modality_attribution(of_eda, X[2:]).weights).mean(axis=0)
        assert share[0] > 3 * share[1]
        by_column = integrated_gradients(fitted, X[2:], target=0)
        assert by_column.weights.shape == (28, 1, 5)
        assert by_column.music.shape == (28, 4)


@pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")
def test_evaluation_has_rows_for_eda_and_for_eda_with_music(tmp_path):
    from edaemo.benchmark import evaluate
    from edaemo.datasets import make_music_listening

    study = make_music_listening(6, 8, 8, sampling_rate=4, duration=15, random_state=0)
    names = ["maet-eda", "maet-eda-music"]
    settings = {"people": "all", "n_splits": 2, "max_epochs": 2, "n_jobs": 1}
    table = evaluate(names, study, "arousal", **settings, store=tmp_path / "s")
    rows = table.set_index("pipeline").loc[names]
    assert (rows["n_failed"] == 0).all()
