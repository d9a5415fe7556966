"""How RTCANClassifier trains: the recipes, every setting of them, and what stops a training."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, LRScheduler

from edaemo import RTCANClassifier
from edaemo.estimators import TrainingError
from edaemo.training import Augmentation

NARROW = {"channels": (8, 8, 8, 8), "random_state": 0}
STILL = {"dropout": 0.0, "augmentation": {}}  # nothing but the batches is left to chance
N_CHANS, N_TIMES, N_MUSIC = 2, 40, 2


def make_rows(n: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two channels of 40 samples and two music features; class 1 has a bump in the first."""
    rng = np.random.default_rng(seed)
    y = np.tile([0, 1], n // 2)
    eda = rng.normal(size=(n, N_CHANS, N_TIMES))
    eda[y == 1, 0, 10:20] += 2.0
    music = rng.normal(size=(n, N_MUSIC))
    return np.hstack([eda.reshape(n, -1), music]).astype(np.float32), y


def fit(X, y, **settings) -> RTCANClassifier:
    return RTCANClassifier(n_chans=N_CHANS, n_times=N_TIMES, **NARROW | settings).fit(X, y)


class Begin(Callback):
    """Keeps the weights that training begins with."""

    kept: dict = {}  # noqa: RUF012

    def on_train_begin(self, net, **kwargs):
        Begin.kept = copy.deepcopy(net.module_.state_dict())


class Poison(Callback):
    """Makes a weight NaN when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            with torch.no_grad():
                net.module_.classify[0].weight[0, 0] = torch.nan


class Full(torch.optim.SGD):
    """Runs out of memory at its first step, as CUDA says it, or the CPU."""

    error: Exception = torch.OutOfMemoryError("CUDA out of memory.")

    def step(self, closure=None):
        raise self.error


class TestRecipes:
    def test_paper_is_section_5_1(self):
        X, y = make_rows()
        net = fit(X, y, recipe="paper", max_epochs=31).net_
        assert type(net.optimizer_) is torch.optim.SGD
        assert (net.optimizer_.defaults["momentum"], net.optimizer_.defaults["weight_decay"]) == (
            0,
            0,
        )
        rates = [epoch["event_lr"] for epoch in net.history]
        assert_allclose(rates, [1e-3] * 15 + [9e-4] * 15 + [8.1e-4])
        assert net.batch_size == 256
        assert isinstance(net.criterion_, torch.nn.CrossEntropyLoss)

    @pytest.mark.parametrize(("recipe", "deviation"), [("paper", 0.01), ("paper-variance", 0.1)])
    def test_paper_begins_with_normal_weights_in_both_readings(self, recipe, deviation):
        X, y = make_rows()
        fit(X, y, recipe=recipe, max_epochs=1, channels=(64,) * 4, callbacks=[Begin()])
        spread = {k: v.std() for k, v in Begin.kept.items() if k.endswith("weight") and v.ndim > 1}
        large = [name for name in spread if Begin.kept[name].numel() > 4000]
        assert len(large) > 10
        assert_allclose([spread[name] for name in large], deviation, rtol=0.05)

    @pytest.mark.parametrize(
        ("recipe", "lr", "decay", "epochs"),
        [
            ("published", 0.001, 0, 100),
            ("published-deap", 0.1, 0.001, 300),
            ("published-amigos", 0.001, 0.01, 1000),
        ],
    )
    def test_published_is_what_the_released_code_sets(self, recipe, lr, decay, epochs):
        X, y = make_rows()
        stop = [Stop()]
        net = fit(X, y, recipe=recipe, callbacks=stop).net_
        told = net.optimizer_.defaults
        assert type(net.optimizer_) is torch.optim.SGD
        assert (told["lr"], told["momentum"], told["weight_decay"]) == (lr, 0.9, decay)
        assert (net.batch_size, net.max_epochs) == (300, epochs)

    def test_recipe_that_there_is_not_is_an_error_that_says_which_there_are(self):
        with pytest.raises(ValueError, match="Unknown recipe 'papper': did you mean 'paper'"):
            fit(*make_rows(), recipe="papper")

    def test_recipes_train(self):
        X, y = make_rows(256)
        new, labels = make_rows(64, seed=1)
        model = fit(X, y, recipe="published", max_epochs=60, batch_size=32, lr=0.01)
        assert model.score(new, labels) > 0.8


class Stop(Callback):
    """Ends training with the first epoch."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


class TestSettings:
    def test_what_is_said_wins_over_the_recipe(self):
        X, y = make_rows()
        net = fit(X, y, recipe="paper", lr=0.01, batch_size=16, max_epochs=2, weight_decay=0.5).net_
        told = net.optimizer_.defaults
        assert (told["lr"], told["weight_decay"]) == (0.01, 0.5)
        assert len(net.history) == 2
        assert len(net.history[0, "batches"]) == 4

    def test_the_schedule_of_a_recipe_can_be_replaced_and_left_out(self):
        X, y = make_rows()
        halve = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
        net = fit(X, y, recipe="paper", max_epochs=3, lr_scheduler=halve).net_
        assert_allclose(net.history[:, "event_lr"], [1e-3, 5e-4, 2.5e-4])
        net = fit(X, y, recipe="paper", max_epochs=16, lr_scheduler="constant").net_
        assert net.optimizer_.param_groups[0]["lr"] == 1e-3
        net = fit(X, y, lr=0.01, max_epochs=4, lr_scheduler="cosine").net_
        falls = 0.005 * (1 + np.cos(np.pi * np.arange(4) / 4))
        assert_allclose(net.history[:, "event_lr"], falls)

    def test_an_optimizer_of_ones_own_comes_without_the_recipes_arguments(self):
        X, y = make_rows()
        told = fit(X, y, recipe="published-deap", optimizer=torch.optim.Adam, max_epochs=1).net_
        assert type(told.optimizer_) is torch.optim.Adam
        assert told.optimizer_.defaults["weight_decay"] == 0

    def test_first_loss_is_weighted_and_smoothed_cross_entropy(self):
        """One batch of all rows: its loss is that of the weights that training begins with."""
        X, y = make_rows()
        y = np.where(np.arange(len(y)) < 16, 1 - y, y)
        y[:8] = 0
        for setting, weight, smoothing in [
            ({"class_weight": {0: 3.0, 1: 0.5}}, [3.0, 0.5], 0.0),
            ({"class_weight": "balanced"}, len(y) / 2 / np.bincount(y), 0.0),
            ({"label_smoothing": 0.2, "class_weight": {}}, [1.0, 1.0], 0.2),
        ]:
            one = {"batch_size": len(y), "max_epochs": 1, "callbacks": [Begin()]} | STILL
            model = fit(X, y, **one, **setting)
            net = copy.deepcopy(model.net_.module_).train()
            net.load_state_dict(Begin.kept)
            with torch.no_grad():
                log_p = torch.log_softmax(net(torch.from_numpy(X)), dim=1).double().numpy()
            target = (1 - smoothing) * np.eye(2)[y] + smoothing / 2
            weighted = -(target * np.asarray(weight) * log_p).sum(axis=1)
            expected = weighted.sum() / np.asarray(weight)[y].sum()
            assert_allclose(model.net_.history[0, "train_loss"], expected, rtol=1e-4)

    def test_a_weight_for_no_class_is_an_error(self):
        X, y = make_rows()
        with pytest.raises(ValueError, match="not in class_weight"):
            fit(X, y, class_weight={0: 1.0, "high": 2.0})

    def test_clipped_gradients_move_weights_no_further_than_their_norm(self):
        X, y = make_rows()

        def moved(**settings):
            model = fit(
                X, y, optimizer=torch.optim.SGD, lr=1.0, max_epochs=1, batch_size=len(y),
                callbacks=[Begin()], **settings,
            )  # fmt: skip
            after = dict(model.net_.module_.named_parameters())
            squares = [((after[k] - Begin.kept[k]) ** 2).sum() for k in after]
            return float(torch.sqrt(sum(squares)).detach())

        assert_allclose(moved(gradient_clip=0.01), 0.01, rtol=1e-3)
        assert moved() == moved(gradient_clip=0) > 0.1

    def test_dropout_is_in_training_alone(self):
        X, y = make_rows()
        dropped, whole = (fit(X, y, dropout=share, max_epochs=2) for share in (0.5, 0.0))
        assert dropped.net_.history[0, "train_loss"] != whole.net_.history[0, "train_loss"]
        assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))

    def test_augmentation_is_in_training_alone_and_seeded(self):
        X, y = make_rows()
        seen = []

        class Look(Callback):
            def on_batch_begin(self, net, batch=None, training=False, **kwargs):
                seen.append((training, batch[0].numpy().copy()))

        subject = np.repeat(np.arange(8), 8)
        settings = {
            "augmentation": {"noise": 0.1, "scaling": 0.2, "time_shift": 0.1},
            "max_epochs": 2,
            "batch_size": 48,
        }
        model = RTCANClassifier(
            n_chans=N_CHANS, n_times=N_TIMES, validation_fraction=0.25, callbacks=[Look()],
            **settings, **NARROW,
        ).fit(X, y, subject)  # fmt: skip
        rows = {row.tobytes() for row in X}
        assert not any(row.tobytes() in rows for training, b in seen if training for row in b)
        assert all(row.tobytes() in rows for training, b in seen if not training for row in b)
        # The rows that are set aside are drawn again from the same seed.
        first = fit(X, y, **settings).predict_proba(X)
        assert_array_equal(fit(X, y, **settings).predict_proba(X), first)
        assert not np.array_equal(
            fit(X, y, **settings | {"augmentation": {}}).predict_proba(X), first
        )
        assert model.predict_proba(X).shape == (len(X), 2)

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"time_shfit": 0.1}, "Unknown augmentation 'time_shfit': did you mean 'time_shift'"),
            ({"time_shift": 1.0}, "from 0 to below 1"),
            ({"channel_drop": -0.1}, "from 0 to below 1"),
            ({"noise": "much"}, "got 'much'"),
            ({"scaling": float("nan")}, "got nan"),
        ],
    )
    def test_augmentation_that_makes_no_sense_is_an_error(self, asked, message):
        with pytest.raises(ValueError, match=message):
            fit(*make_rows(), augmentation=asked)


class TestAugmentation:
    """On a ramp, so that a shift is a difference in value."""

    @pytest.fixture
    def rows(self):
        ramp = torch.arange(N_TIMES, dtype=torch.float32)
        eda = torch.stack([ramp, 100 + 2 * ramp]).reshape(-1)
        return torch.cat([eda, torch.tensor([7.0, 8.0])]).repeat(500, 1)

    def change(self, rows, **strength):
        torch.manual_seed(0)
        changed = Augmentation(N_CHANS, N_TIMES, **strength)(rows)
        assert_array_equal(changed[:, -2:], rows[:, -2:])  # the music
        return changed[:, :-2].reshape(len(rows), N_CHANS, N_TIMES).numpy()

    def test_nothing_is_changed_unless_asked_for(self, rows):
        assert_array_equal(self.change(rows), rows[:, :-2].reshape(-1, N_CHANS, N_TIMES))

    def test_time_shift_moves_both_channels_alike_and_repeats_the_ends(self, rows):
        first, second = self.change(rows, time_shift=0.1).transpose(1, 0, 2)
        shift = 20 - first[:, 20]
        assert set(shift) == set(range(-4, 5))
        assert_array_equal(second, 100 + 2 * first)
        ramp = np.arange(N_TIMES)
        for moved, values in zip(shift, first, strict=True):
            assert_array_equal(values, np.clip(ramp - moved, 0, N_TIMES - 1))

    def test_scaling_keeps_the_channels_in_proportion(self, rows):
        changed = self.change(rows, scaling=0.3)
        gain = changed[:, 1, 0] / 100
        assert_allclose(np.log(gain).std(), 0.3, rtol=0.1)
        assert_allclose(np.log(gain).mean(), 0, atol=0.05)
        assert_allclose(changed, gain[:, None, None] * self.change(rows), rtol=1e-5)

    def test_noise_is_white(self, rows):
        noise = self.change(rows, noise=0.5) - self.change(rows)
        assert_allclose(noise.std(axis=0), 0.5, rtol=0.2)
        assert abs(np.corrcoef(noise[:, 0, 3], noise[:, 0, 4])[0, 1]) < 0.15
        assert abs(np.corrcoef(noise[:, 0, 3], noise[:, 1, 3])[0, 1]) < 0.15

    def test_a_trial_keeps_one_channel_at_least(self, rows):
        gone = (self.change(rows + 1, channel_drop=0.6) == 0).all(axis=2)
        assert not gone.all(axis=1).any()
        # Either is dropped with 0.6; where both would be, one is spared.
        assert_allclose(gone.mean(axis=0), 0.6 - 0.36 / 2, atol=0.06)


class TestWhatStopsTraining:
    def test_loss_that_is_no_number_is_one_error_that_says_when(self):
        X, y = make_rows()
        model = fit(X, y, max_epochs=2)
        before = model.predict_proba(X)
        model.set_params(callbacks=[Poison(epoch=3)], max_epochs=5)
        with pytest.raises(TrainingError, match=r"became nan in epoch 3: lower lr"):
            model.fit(X, y)
        assert_array_equal(model.predict_proba(X), before)

    def test_loss_beyond_all_bounds_is_an_error_too(self):
        X, y = make_rows()
        with pytest.raises(TrainingError, match=r"became (inf|nan) in epoch"):
            fit(X, y, optimizer=torch.optim.SGD, lr=1e30, max_epochs=50)

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory."),
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
            MemoryError(),
        ],
    )
    def test_memory_that_runs_out_is_one_error_that_says_what_to_lower(self, monkeypatch, error):
        monkeypatch.setattr(Full, "error", error)
        with pytest.raises(TrainingError, match="with 16 trials at once: lower batch_size"):
            fit(*make_rows(), optimizer=Full, batch_size=16)

    def test_other_errors_stay_what_they_are(self, monkeypatch):
        monkeypatch.setattr(Full, "error", RuntimeError("shapes differ"))
        with pytest.raises(RuntimeError, match="shapes differ") as raised:
            fit(*make_rows(), optimizer=Full)
        assert raised.type is RuntimeError


class TestArchitecture:
    def test_every_switch_reaches_the_network(self):
        X, y = make_rows()

        def count(**settings):
            net = fit(X, y, max_epochs=1, **settings).net_.module_
            return sum(p.numel() for p in net.parameters())

        plain = count()
        assert count(form="small-corpus") == count(sca_res=False) < plain
        assert count(form="small-corpus", sca_res=True) == plain
        for setting in ({"sca": False}, {"rnta": False}, {"reduction": 4}, {"depth": 2},
                        {"channels": (8, 16, 16, 8)}):  # fmt: skip
            assert count(**setting) != plain
        assert count(n_clips=5) == plain

    def test_published_needs_long_signals_and_says_so(self):
        X, y = make_rows()
        with pytest.raises(ValueError, match="n_times of 1249 or more, got 40"):
            fit(X, y, architecture="published")
        long = np.random.default_rng(0).normal(size=(4, 1249)).astype(np.float32)
        model = RTCANClassifier(n_chans=1, architecture="published", max_epochs=1, **NARROW)
        assert model.fit(long, [0, 1, 0, 1]).net_.module_.classify[0].in_features == 8

    @pytest.mark.parametrize("n_classes", [3, 5])
    def test_more_classes(self, n_classes):
        X, _ = make_rows(60)
        model = fit(X, np.arange(60) % n_classes, max_epochs=1)
        assert model.predict_proba(X).shape == (60, n_classes)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
class TestCUDA:
    def test_auto_is_cuda_and_learns_what_the_cpu_learns(self):
        X, y = make_rows(256)
        new, labels = make_rows(64, seed=1)
        settings = {"lr": 0.01, "max_epochs": 20}
        there, here = fit(X, y, **settings), fit(X, y, device="cpu", **settings)
        assert next(there.net_.module_.parameters()).is_cuda
        assert min(there.score(new, labels), here.score(new, labels)) > 0.8

    def test_same_weights_same_answer_as_on_the_cpu(self):
        X, y = make_rows()
        model = fit(X, y, max_epochs=1)
        on_gpu = model.predict_proba(X)
        model.net_.set_params(device="cpu")
        model.net_.module_.cpu()
        assert_allclose(model.predict_proba(X), on_gpu, atol=1e-5)

    @pytest.mark.same_bits
    def test_a_trial_gets_the_same_answer_in_whatever_batch_it_comes(self):
        X, y = make_rows()
        model = fit(X, y, max_epochs=1)
        one_by_one = np.vstack([model.predict_proba(X[[i]]) for i in range(len(X))])
        assert_array_equal(one_by_one, model.predict_proba(X))

    def test_memory_that_runs_out_is_one_error(self):
        X = np.zeros((64, 3 * 2**22), dtype=np.float32)
        with pytest.raises(TrainingError, match="lower batch_size"):
            RTCANClassifier(n_chans=3, channels=(512,) * 4, batch_size=64).fit(X, [0, 1] * 32)
