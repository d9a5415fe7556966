"""AIMSTF, its loss and its classifier."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from scipy.stats import moment
from sklearn.model_selection import GroupKFold, cross_val_predict

from edaemo import load, save
from edaemo.estimators import AIMSTFClassifier
from edaemo.networks import AIMSTF
from edaemo.training import Batch, SpecificSharedLoss

SOURCE = {"eeg": (32, 128), "face": (5, 3, 64, 64)}
BOTH = {"eda": (2, 20), "music": (4,)}
THREE = {"eda": (2, 20), "music": (4,), "face": (2, 1, 21, 22)}
SMALL = {"n_filters": 8, "depth": 3, "n_heads": 2, "embed_dim": 8}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_network(blocks=BOTH, n_outputs=3, **settings) -> AIMSTF:
    """A network in double precision whose every number differs from its neutral value."""
    torch.manual_seed(1)
    net = AIMSTF(blocks, n_outputs, **SMALL | settings).double()
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            torch.nn.init.uniform_(value, 0.5, 1.5)
        elif value.is_floating_point():
            torch.nn.init.normal_(value, std=0.3)
    return net.eval()


def draw(n, blocks=BOTH, seed=0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(n, *shape, generator=generator, dtype=torch.float64)
        for name, shape in blocks.items()
    }


# --- the equations written out for one trial, from the description of the system -----------------


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def convolve(w, name, x, padding=0):
    """Correlate x (channels, length) with each kernel."""
    kernels, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    padded = np.pad(x, [(0, 0), (padding, padding)])
    return np.array(
        [
            sum(np.correlate(row, k, "valid") for row, k in zip(padded, kernel, strict=True)) + b
            for kernel, b in zip(kernels, bias, strict=True)
        ]
    )


def norm(w, name, x):
    scaled = (x - w[f"{name}.running_mean"][:, None]) / np.sqrt(
        w[f"{name}.running_var"][:, None] + 1e-5
    )
    return scaled * w[f"{name}.weight"][:, None] + w[f"{name}.bias"][:, None]


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def conv_norm(w, name, x):
    return leaky(norm(w, f"{name}.1", convolve(w, f"{name}.0", x, padding=1)))


def average(x, window):
    n = x.shape[1] // window
    return x[:, : n * window].reshape(len(x), n, window).mean(axis=2)


def attend(w, name, tokens, n_heads):
    parts = np.split(linear(w, f"{name}.query_key_value", tokens), 3, axis=1)
    heads = zip(*(np.split(part, n_heads, axis=1) for part in parts), strict=True)
    out = [softmax(q @ k.T / np.sqrt(k.shape[1]), axis=1) @ v for q, k, v in heads]
    return linear(w, f"{name}.project", np.concatenate(out, axis=1))


def encode_signal(w, name, x, *, published, n_heads=2, depth=3):
    n = x.shape[1]
    scales = [
        average(leaky(convolve(w, f"{name}.scales.scales.{i}.0", x)), -(-n // 64)) for i in range(3)
    ]
    states = [norm(w, f"{name}.scales.norm", np.hstack(scales))]
    for level in range(depth):
        at, x = f"{name}.levels.{level}", states[-1]
        temporal = conv_norm(w, f"{at}.temporal", x)
        tokens = temporal if published else temporal.T
        attended = attend(w, f"{at}.attention", tokens, n_heads)
        spatial = conv_norm(w, f"{at}.spatial", x.T).T
        hidden = np.maximum(convolve(w, f"{at}.squeeze.squeeze", spatial.mean(1)[:, None]), 0)
        scale = expit(convolve(w, f"{at}.squeeze.excite", hidden))
        y = (attended if published else attended.T) + spatial * scale
        similarity = [(s * y).sum() / np.sqrt((s**2).sum() * (y**2).sum()) for s in states]
        weights = 1 - (np.array(similarity) if level == 0 else softmax(similarity))
        earlier = sum(weight * state for weight, state in zip(weights, states, strict=True))
        gate = f"{name}.gates.{level}"
        u = expit(convolve(w, f"{gate}.update", np.vstack([earlier, y]), padding=1))
        h = conv_norm(w, f"{gate}.current", y)
        c = np.tanh(convolve(w, f"{gate}.candidate", earlier, padding=1))
        states.append(y + conv_norm(w, f"{gate}.join", u * h + (1 - u) * c))
    out = linear(w, f"{name}.project.0", states[-1].ravel())
    return out if published else np.maximum(out, 0)


def convolve_image(w, name, x, padding):
    kernels, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return np.einsum("chwij,kcij->khw", windows, kernels) + bias[:, None, None]


def pool_image(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return windows.max(axis=(3, 4))[:, ::2, ::2]


def encode_video(w, name, frames, *, published):
    hidden = cell = 0
    for x in frames:
        for i, padding in enumerate((0, 0, 1)):
            x = pool_image(np.maximum(convolve_image(w, f"{name}.convolve.{3 * i}", x, padding), 0))
        state = np.concatenate([x, np.broadcast_to(hidden, x.shape)])
        gates = np.split(convolve_image(w, f"{name}.gates", state, 1), 4)
        enter, forget, leave = map(expit, gates[:3])
        cell = forget * cell + enter * np.tanh(gates[3])
        hidden = leave * np.tanh(cell)
    out = linear(w, f"{name}.project.0", hidden.ravel())
    return out if published else np.maximum(out, 0)


def predict_one(net, trial, *, published=False):
    """Logits and weights of the fusion of one trial, a dict of the modalities that it has."""
    w = {name: value.numpy() for name, value in net.state_dict().items()}
    bend = (lambda x: x) if published else (lambda x: np.maximum(x, 0))
    last = (lambda x: x) if published else np.tanh
    where = (0, 1) if published else (0, 2)

    def project(name, x):
        return last(linear(w, f"{name}.{where[1]}", bend(linear(w, f"{name}.{where[0]}", x))))

    parts, common = {}, {}
    for i, name in enumerate(net.names):
        if name not in trial:
            continue
        x = trial[name]
        if x.ndim == 1:
            features = np.maximum(linear(w, f"encoders.{i}.0", x), 0)
        else:
            encode = encode_signal if x.ndim == 2 else encode_video
            features = encode(w, f"encoders.{i}", x, published=published)
        parts[i], common[i] = project(f"specific.{i}", features), project("common", features)
    n = len(net.names)
    mean = np.mean([*common.values()], axis=0)
    joined = np.concatenate([common.get(i, mean) for i in range(n)])
    parts[n] = bend(linear(w, "join.0", joined))
    zeros = np.zeros_like(parts[n])
    vectors = np.array([parts.get(i, zeros) for i in range(n + 1)])
    last_layer = "fuse.score.1" if published else "fuse.score.2"
    scored = [vectors.ravel()] * (n + 1) if published else vectors
    scores = np.array(
        [last(linear(w, "fuse.score.0", x)) @ w[f"{last_layer}.weight"][0] for x in scored]
    )
    scores = np.where([i in parts for i in range(n + 1)], scores, -np.inf)
    weights = softmax(scores)
    x = (weights[:, None] * vectors).ravel()
    for layer in (0, 2) if published else (0, 3):
        x = bend(linear(w, f"classify.{layer}", x))
    return linear(w, f"classify.{4 if published else 6}", x), weights


class TestNetwork:
    def test_number_of_parameters_is_the_published_one(self):
        net = AIMSTF(SOURCE, 4, architecture="published")
        count = [sum(w.numel() for w in part.parameters()) for part in (net, *net.encoders)]
        assert count == [3_473_109, 1_566_320, 1_863_360]

    @pytest.mark.parametrize("architecture", ["mended", "published"])
    @pytest.mark.parametrize("subset", [["eda", "music", "face"], ["eda", "face"], ["music"]])
    def test_logits_and_weights_follow_the_equations(self, architecture, subset):
        net = make_network(THREE, architecture=architecture)
        blocks = draw(2, THREE)
        given = {name: blocks[name] for name in subset}
        with torch.no_grad():
            logits, weights = net(**given).numpy(), net.weigh_modalities(**given).numpy()
        for row in range(2):
            trial = {name: block[row].numpy() for name, block in given.items()}
            expected = predict_one(net, trial, published=architecture == "published")
            assert_allclose(logits[row], expected[0], atol=1e-10)
            assert_allclose(weights[row], expected[1], atol=1e-10)

    @pytest.mark.parametrize("n_times", [1, 7, 64, 65, 128, 200])
    def test_any_length_of_signal_has_at_most_some_140_steps(self, n_times):
        blocks = {"eda": (3, n_times), "eeg": (2, n_times)}
        net = AIMSTF(blocks, 2, **SMALL | {"depth": 1}).eval()
        signals = {name: torch.randn(2, *shape) for name, shape in blocks.items()}
        assert net(**signals).isfinite().all()
        assert net.encoders[0].scales.n_steps <= 140

    def test_mixed_batch_is_each_trial_for_itself(self):
        net, blocks = make_network(THREE), draw(7, THREE)
        present = [p for p in product([True, False], repeat=3) if any(p)]
        for row, there in enumerate(present):
            for name, is_there in zip(THREE, there, strict=True):
                if not is_there:
                    blocks[name][row] = torch.nan
        with torch.no_grad():
            logits = net(**blocks).numpy()
        for row, there in enumerate(present):
            names = [name for name, is_there in zip(THREE, there, strict=True) if is_there]
            trial = {name: blocks[name][row].numpy() for name in names}
            assert_allclose(logits[row], predict_one(net, trial)[0], atol=1e-10)

    def test_weights_of_the_fusion_differ_between_trials_except_in_the_published_code(self):
        blocks = draw(20)
        for architecture, share in (("mended", None), ("published", 1 / 3)):
            with torch.no_grad():
                weights = make_network(architecture=architecture).weigh_modalities(**blocks)
            assert_allclose(weights.sum(dim=1), 1)
            if share is None:
                assert (weights.std(dim=0) > 1e-4).all()
            else:
                assert_allclose(weights, share)

    def test_gates_differ_between_trials_and_lie_between_0_and_1(self):
        net, opened = make_network(), []
        for gate in net.encoders[0].gates:
            gate.update.register_forward_hook(lambda *args: opened.append(args[2].sigmoid()))
        net(**draw(20))
        assert len(opened) == 3
        for gate in opened:
            assert ((gate > 0) & (gate < 1)).all()
            assert (gate.std(dim=0) > 0.01).float().mean() > 0.9

    def test_absent_trials_do_not_count_in_the_batch_norms(self):
        with_absent, without = (make_network(attention_dropout=0.0) for _ in range(2))
        blocks = draw(9)
        blocks["eda"][4:] = torch.nan
        with_absent.train()(**blocks)
        without.train()(eda=blocks["eda"][:4])
        for found, expected in zip(
            with_absent.encoders[0].buffers(), without.encoders[0].buffers(), strict=True
        ):
            assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)

    def test_trial_without_any_modality_has_no_prediction(self):
        nothing = {name: block * torch.nan for name, block in draw(2).items()}
        assert make_network()(**nothing).isnan().all()

    def test_every_layer_learns(self):
        net, blocks = make_network(THREE, dropout=0.0).train(), draw(6, THREE)
        for level in net.encoders[0].levels:
            level.squeeze.squeeze.bias.data += 3  # so that no ReLU is off in all trials
        blocks["music"][:2] = torch.nan
        logits, specific, common, present = net(**blocks)
        (logits.square().sum() + specific.square().sum() + common.square().sum()).backward()
        assert present.tolist() == [[True, row > 1, True] for row in range(6)]
        for name, weight in net.named_parameters():
            assert weight.grad.isfinite().all(), name
            # A constant before a batch norm, and the same number in each score, change nothing.
            cancelled = name.endswith("bias") and (
                "query_key_value" in name or ".0.bias" in name or name == "fuse.score.2.bias"
            )
            assert weight.grad.abs().max() > 1e-12 or cancelled, name

    def test_modality_dropout_keeps_one_modality(self):
        net = make_network(modality_dropout=0.5, depth=1).train()
        present = net(**draw(2000))[3].double()
        assert (present.sum(dim=1) >= 1).all()
        # Kept with 1/2, and the larger draw is kept if both are below 1/2.
        assert_allclose(present.mean(), 1 / 2 + 1 / 4 / 2, atol=0.02)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"n_heads": 3}, "must be a multiple of n_heads=3"),
            ({"embed_dim": 6}, "must be a multiple of 4"),
            ({"architecture": "paper"}, "architecture must be one of"),
            ({"blocks": {}}, "at least one modality"),
            ({"blocks": {"face": (5, 3, 64, 20)}}, "64 x 20 pixels: it needs at least 21"),
            (
                {"blocks": {"eda": (1, 21)}, "architecture": "published", "n_heads": 4},
                "must divide the number of steps",
            ),
        ],
    )
    def test_impossible_settings_are_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            AIMSTF(**{"blocks": BOTH, "n_outputs": 2, **SMALL, **settings})
        with pytest.raises(TypeError, match=r"has the modalities .*, got 'ecg'"):
            make_network()(ecg=torch.zeros(1, 4))


# --- the loss ------------------------------------------------------------------------------------


def difference_by_hand(one, other):
    """The square of each pair of features, summed over the trials, averaged over the pairs."""
    total = 0.0
    for i, j in product(range(one.shape[1]), range(other.shape[1])):
        products = [
            p[i] / np.sqrt(sum(p**2)) * q[j] / np.sqrt(sum(q**2))
            for p, q in zip(one, other, strict=True)
        ]
        total += sum(products) ** 2
    return total / (one.shape[1] * other.shape[1])


def discrepancy_by_hand(one, other, n_moments):
    gaps = [np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) / 2]
    for order in range(2, n_moments + 1):
        apart = moment(one, order, axis=0) - moment(other, order, axis=0)
        gaps.append(np.linalg.norm(apart) / 2**order)
    return sum(gaps)


class TestLoss:
    def draw(self, n=6):
        rng = np.random.default_rng(0)
        specific, common = rng.uniform(-1, 1, size=(2, n, 2, 4))
        return rng.normal(size=(n, 3)), specific, common, rng.integers(3, size=n)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_loss_by_hand(self, weighted):
        logits, specific, common, y = self.draw()
        present = np.array([[1, 1], [1, 1], [1, 0], [0, 1], [1, 1], [1, 1]], dtype=bool)
        # A trial of weight 2 counts as two trials, one of weight 0 as none.
        counts = np.array([1, 2, 1, 2, 0, 1]) if weighted else np.ones(6, dtype=int)
        loss = SpecificSharedLoss(alpha=0.3, beta=0.7, gamma=0.2, n_moments=4)
        outputs = tuple(map(torch.tensor, (logits, specific, common, present)))
        weight = torch.tensor(counts, dtype=torch.float64) if weighted else None
        found = loss(outputs, Batch(None, torch.tensor(y), weight=weight)).item()

        rows = np.repeat(np.arange(6), counts)
        expected = -log_softmax(logits, axis=1)[rows, y[rows]].mean()
        s, c, there = specific[rows], common[rows], present[rows]
        for i in (0, 1):
            expected += 0.3 * difference_by_hand(s[there[:, i], i], c[there[:, i], i])
        both = there.all(axis=1)
        expected += 0.2 * difference_by_hand(s[both, 0], s[both, 1])
        expected += 0.7 * discrepancy_by_hand(c[there[:, 0], 0], c[there[:, 1], 1], 4)
        assert_allclose(found, expected, rtol=1e-12)
        assert_allclose(
            loss(outputs[0], Batch(None, torch.tensor(y), weight=weight)).item(),
            -log_softmax(logits, axis=1)[rows, y[rows]].mean(),
        )

    def test_discrepancy_of_a_worked_example(self):
        """x = (0, 1), y = (1/2, 1/2): equal means, variances 1/4 and 0, so 1/4 / 2² = 1/16."""
        x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [0.5]])
        loss = SpecificSharedLoss(alpha=0.0, beta=1.0, gamma=0.0, n_moments=2)
        common = torch.stack([x, y], dim=1)
        outputs = (torch.zeros(2, 2), common, common, torch.ones(2, 2, dtype=torch.bool))
        target = torch.tensor([0, 1])
        assert_allclose(loss(outputs, Batch(None, target)).item() - np.log(2), 1 / 16, rtol=1e-5)
        shifted = torch.stack([x, x + 0.5], dim=1)  # the first-order term: 1/2 / 2
        found = loss((outputs[0], shifted, shifted, outputs[3]), Batch(None, target)).item()
        assert_allclose(found - np.log(2), 1 / 4, rtol=1e-5)

    def test_gradients_of_equal_features_are_finite(self):
        features = torch.full((4, 2, 3), 0.5, requires_grad=True)
        zeros = torch.zeros(4, 2, 3, requires_grad=True)
        there = torch.ones(4, 2, dtype=torch.bool)
        outputs = (torch.zeros(4, 2), zeros, features, there)
        SpecificSharedLoss()(outputs, Batch(None, torch.zeros(4, dtype=torch.int64))).backward()
        assert features.grad.isfinite().all()
        assert zeros.grad.isfinite().all()

    def test_a_modality_that_no_trial_of_a_batch_has_adds_nothing(self):
        logits, specific, common, y = self.draw()
        there = np.tile([True, False], (6, 1))
        outputs = tuple(map(torch.tensor, (logits, specific, common, there)))
        loss = SpecificSharedLoss(alpha=1.0)
        cross_entropy = -log_softmax(logits, axis=1)[np.arange(6), y].mean()
        expected = cross_entropy + difference_by_hand(specific[:, 0], common[:, 0])
        assert_allclose(loss(outputs, Batch(None, torch.tensor(y))).item(), expected)


# --- the classifier ------------------------------------------------------------------------------

SHAPES = {"eda": (2, 32), "music": 4}
QUICK = {
    "n_filters": 8,
    "depth": 1,
    "embed_dim": 32,
    "dropout": 0.1,
    "lr": 0.005,
    "batch_size": 24,
    "max_epochs": 20,
    "random_state": 0,
}
EDA = [f"eda_{channel}_{sample}" for channel in ("phasic", "tonic") for sample in range(32)]
MUSIC = [f"music_{i}" for i in range(4)]


def make_trials(n=192, *, seed=0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four classes: EDA tells 2 and 3 from 0 and 1, music tells the odd from the even ones."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    eda, music = rng.normal(size=(n, 2, 32)), rng.normal(size=(n, 4))
    eda[y >= 2, 0, 10:18] += 1.5
    music[:, 1] += np.where(y % 2, 2, -2)
    index = pd.MultiIndex.from_arrays(
        [np.arange(n) // 4 % 8, np.arange(n), np.arange(n)],
        names=["subject", "stimulus", "trial"],
    )
    X = pd.DataFrame(np.hstack([eda.reshape(n, -1), music]), index=index, columns=EDA + MUSIC)
    return X, y


@pytest.fixture(scope="module")
def fitted():
    X, y = make_trials()
    mixed = X.copy()
    mixed.loc[mixed.index[:24], EDA] = np.nan
    mixed.loc[mixed.index[24:48], MUSIC] = np.nan
    return AIMSTFClassifier(**QUICK).fit(mixed, y)


class TestClassifier:
    @pytest.mark.parametrize("n_classes", [2, 4])
    def test_planted_signal_is_found_in_held_out_people(self, n_classes):
        X, y = make_trials()
        target = y if n_classes == 4 else y // 2  # two classes: those of the EDA
        people = X.index.get_level_values("subject")
        model = AIMSTFClassifier(**QUICK | {"max_epochs": 12 if n_classes == 2 else 20})
        found = cross_val_predict(model, X, target, cv=GroupKFold(2), groups=people)
        # The response is 1.5 deviations high for 8 samples, the music is 2 deviations from 0.
        assert (found == target).mean() > 0.8

    def test_signals_of_eda_and_eeg(self):
        X, y = make_trials(96)
        X = X.rename(columns={name: f"eeg_{name[4:]}" for name in EDA[32:]})[
            EDA[:32] + [f"eeg_{name[4:]}" for name in EDA[32:]]
        ]
        model = AIMSTFClassifier({"eda": "signal", "eeg": "signal"}, **QUICK).fit(X, y >= 2)
        assert model.blocks_ == {"eda": (1, 32), "eeg": (1, 32)}
        assert model.score(X, y >= 2) > 0.9

    def test_faces_are_arrays_of_pixels(self):
        rng = np.random.default_rng(0)
        y = np.arange(40) % 2
        faces = rng.normal(size=(40, 2, 1, 22, 22))
        faces[y == 1, :, :, 5:15, 5:15] += 2
        X = np.hstack([rng.normal(size=(40, 2 * 16)), faces.reshape(40, -1)])
        shapes = {"eeg": (2, 16), "face": (2, 1, 22, 22)}
        settings = {**QUICK, "dropout": 0.0, "batch_size": 10}
        model = AIMSTFClassifier(shapes, **settings).fit(X, y)
        assert model.blocks_ == shapes
        assert model.score(X, y) > 0.9
        with pytest.raises(ValueError, match="must add up to"):
            AIMSTFClassifier({**shapes, "face": (2, 1, 22, 23)}, **QUICK).fit(X, y)
        names = [*(f"eeg_c{c}_{t}" for c in range(2) for t in range(16))]
        named = pd.DataFrame(X, columns=names + [f"face_{i}" for i in range(968)])
        by_name = AIMSTFClassifier(
            {"eeg": "signal", "face": (2, 1, 22, 22)}, **QUICK | {"max_epochs": 1}
        )
        assert by_name.fit(named, y).blocks_ == shapes
        by_name.set_params(modalities={"eeg": "signal", "face": (2, 1, 22, 23)})
        with pytest.raises(ValueError, match=r"face.*gives the shape \(2, 1, 22, 23\)"):
            by_name.fit(named, y)

    @pytest.mark.parametrize("n_classes", [2, 4])
    def test_sixteen_trials_are_learned_by_heart(self, n_classes):
        rng = np.random.default_rng(3)
        X, y = rng.normal(size=(16, 68)), rng.permutation(np.arange(16) % n_classes)
        settings = {**QUICK, "dropout": 0.0, "attention_dropout": 0.0, "max_epochs": 150}
        assert AIMSTFClassifier(SHAPES, **settings).fit(X, y).score(X, y) == 1.0

    def test_fusion_follows_the_modality_that_tells_the_class(self):
        """In every other pair of trials the EDA tells the class, in the others the music does."""

        def draw_trials(seed):
            rng = np.random.default_rng(seed)
            y, by_music = np.arange(160) % 2, np.arange(160) // 2 % 2
            eda, music = 0.3 * rng.normal(size=(160, 2, 32)), 0.3 * rng.normal(size=(160, 4))
            eda[by_music == 0, 0] += np.where(y[by_music == 0], 2, -2)[:, None]
            music[by_music == 1, 1] += np.where(y[by_music == 1], 3, -3)
            return np.hstack([eda.reshape(160, -1), music]), y, by_music == 1

        X, y, _ = draw_trials(0)
        model = AIMSTFClassifier(SHAPES, **QUICK).fit(X, y)
        X, y, by_music = draw_trials(1)
        assert model.score(X, y) > 0.95
        rows = torch.tensor(X, dtype=torch.float32)
        blocks = {"eda": rows[:, :64].reshape(-1, 2, 32), "music": rows[:, 64:]}
        with torch.no_grad():
            weights = model.net_.module_.eval().weigh_modalities(**blocks).numpy()
        assert weights[~by_music, 0].mean() > weights[by_music, 0].mean() + 0.2
        assert weights[by_music, 1].mean() > weights[~by_music, 1].mean() + 0.2

    def test_a_trial_has_the_same_prediction_in_any_batch(self, fitted):
        X, _ = make_trials(40, seed=2)
        mixed = X.copy()
        mixed.loc[mixed.index[::3], EDA] = np.nan
        mixed.loc[mixed.index[1::3], MUSIC] = np.nan
        found = fitted.predict_proba(mixed)
        assert_array_equal(found[::3], fitted.predict_proba(X[MUSIC])[::3])
        assert_array_equal(found[1::3], fitted.predict_proba(X[EDA])[1::3])
        assert_array_equal(found[::-1], fitted.predict_proba(mixed[::-1]))
        for row in (0, 1, 2):
            assert_array_equal(fitted.predict_proba(mixed[row : row + 1])[0], found[row])

    def test_published_architecture_predicts_a_trial_by_itself_too(self):
        X, y = make_trials(40)
        settings = {**QUICK, "n_heads": 1, "max_epochs": 1}
        model = AIMSTFClassifier(architecture="published", **settings).fit(X, y)
        found = model.predict_proba(X)
        assert_array_equal(found[:1], model.predict_proba(X[:1]))
        assert_array_equal(found[::-1], model.predict_proba(X[::-1]))

    def test_each_modality_alone_scores_what_it_can_know(self, fitted):
        """Each tells two pairs of the four classes apart: at best 1 of 2 trials alone."""
        X, y = make_trials(200, seed=1)
        eda, music = fitted.predict(X[EDA]), fitted.predict(X[MUSIC])
        assert ((eda >= 2) == (y >= 2)).mean() > 0.8
        assert (music % 2 == y % 2).mean() > 0.9
        assert 0.3 < (eda == y).mean() < 0.7
        assert 0.3 < (music == y).mean() < 0.7
        assert fitted.score(X, y) > 0.75

    def test_a_modality_never_seen_alone_is_refused_alone(self):
        X, y = make_trials(32)
        model = AIMSTFClassifier(**QUICK | {"max_epochs": 1}).fit(X, y)
        assert model.trained_alone_ == ()
        with pytest.raises(ValueError, match=r"has EDA only, but no training trial"):
            model.predict(X[EDA])
        model.set_params(modality_dropout=0.3).fit(X, y)
        assert model.trained_alone_ == ("eda", "music")
        model.predict(X[EDA])
        alone = AIMSTFClassifier(**QUICK | {"max_epochs": 1}).fit(X[EDA], y)
        assert alone.blocks_ == {"eda": (2, 32)}
        alone.predict(X[EDA])

    def test_terms_of_the_loss_change_the_training(self):
        X, y = make_trials(48)
        settings = {**QUICK, "max_epochs": 2}
        weights = {
            name: AIMSTFClassifier(**settings, **changed).fit(X, y).net_.module_.common[0].weight
            for name, changed in {
                "default": {},
                "alpha": {"alpha": 0.0},
                "beta": {"beta": 0.0},
                "gamma": {"gamma": 0.0},
                "n_moments": {"n_moments": 2},
            }.items()
        }
        for name in ("alpha", "beta", "gamma", "n_moments"):
            assert not torch.equal(weights["default"], weights[name]), name

    def test_moment_discrepancy_draws_shared_features_together(self):
        X, y = make_trials(96)
        gaps = {}
        for beta in (0.0, 5.0):
            model = AIMSTFClassifier(beta=beta, **QUICK).fit(X, y)
            net, rows = model.net_.module_.eval(), torch.tensor(X.to_numpy(np.float32))
            with torch.no_grad():
                _, common, _ = net._encode(
                    {"eda": rows[:, :64].reshape(-1, 2, 32), "music": rows[:, 64:]}
                )
            gaps[beta] = discrepancy_by_hand(common[:, 0].numpy(), common[:, 1].numpy(), 5)
        assert gaps[5.0] < gaps[0.0] / 2

    def test_validation_loss_is_that_of_the_classes(self):
        X, y = make_trials(64)
        aside = X.index.get_level_values("subject") == 5
        model = AIMSTFClassifier(**QUICK | {"max_epochs": 2}).fit(X, y, validation=aside)
        best = int(np.argmin(model.net_.history[:, "valid_loss"]))
        probability = model.predict_proba(X[aside])[np.arange(aside.sum()), y[aside]]
        assert_allclose(
            -np.log(probability).mean(), model.net_.history[best, "valid_loss"], rtol=1e-5
        )

    def test_save_and_load(self, fitted, tmp_path):
        X, _ = make_trials(20, seed=4)
        save(fitted, tmp_path / "m")
        loaded = load(tmp_path / "m")
        assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
        assert_array_equal(loaded.predict_proba(X[MUSIC]), fitted.predict_proba(X[MUSIC]))
        faces = {"eda": (1, 8), "face": (1, 1, 21, 21)}
        rows = np.random.default_rng(0).normal(size=(8, 8 + 441))
        model = AIMSTFClassifier(faces, **QUICK | {"max_epochs": 1}).fit(rows, [0, 1] * 4)
        save(model, tmp_path / "faces")
        assert load(tmp_path / "faces").blocks_ == faces
        assert_array_equal(load(tmp_path / "faces").predict(rows), model.predict(rows))

    def test_onnx_predicts_trials_that_lack_modalities(self, fitted, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        from edaemo import export_onnx

        X, _ = make_trials(7, seed=5)
        X.loc[X.index[0], EDA], X.loc[X.index[1], MUSIC] = np.nan, np.nan
        export_onnx(fitted, tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (found,) = session.run(None, {"rows": X.to_numpy(np.float32)})
        assert_allclose(found, fitted.predict_proba(X), atol=1e-5)

    def test_attribution_finds_the_response_and_the_feature(self, fitted):
        pytest.importorskip("captum")
        from edaemo.inspection import grad_cam, integrated_gradients

        X, y = make_trials(32, seed=6)
        # From a trial without a response to those with one, and class 2 against class 0.
        found = integrated_gradients(fitted, X[y == 2], target=2)
        assert found.weights.shape == (8, 2, 32)
        assert found.music.shape == (8, 4)
        share = np.abs(found.weights).mean(axis=0)
        assert share[0, 10:18].mean() > 2 * share[1].mean()
        music = np.abs(found.music).mean(axis=0)
        assert music[1] > 3 * np.delete(music, 1).max()
        finer = integrated_gradients(fitted, X[y == 2][:2], target=2, n_steps=1024)
        assert np.abs(finer.deviation).max() < 0.05
        cam = grad_cam(fitted, X[y == 2], layer="convolve", target=2)
        assert cam.cam.shape == (8, 32)
        assert (cam.cam >= 0).all()


@pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")
def test_evaluation_has_rows_for_eda_and_for_eda_with_music(tmp_path):
    from edaemo.benchmark import evaluate
    from edaemo.datasets import make_music_listening

    study = make_music_listening(6, 8, 8, sampling_rate=4, duration=15, random_state=0)
    names = ["aimstf-eda", "aimstf-eda-music"]
    settings = {"people": "all", "n_splits": 2, "max_epochs": 1, "n_jobs": 1}
    table = evaluate(names, study, "arousal", **settings, store=tmp_path / "s")
    rows = table.set_index("pipeline").loc[names]
    assert (rows["n_failed"] == 0).all()
