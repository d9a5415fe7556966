"""RTCANClassifier."""

import ctypes
import os
import pickle
import shutil
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from sysconfig import get_path

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from imblearn.under_sampling import RandomUnderSampler
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from skorch.callbacks import Callback, LRScheduler

from edaemo import MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo._layout import eda_names, music_names
from edaemo.estimators import CNNClassifier
from edaemo.training import Batches, Trials

NARROW = {"channels": (8, 8, 8, 8), "random_state": 0}
EARLY = {"max_epochs": 30, "lr": 0.01, "patience": 2}


def make_rows(n_people: int = 8, n_each: int = 10, n_times: int = 40, seed: int = 0) -> tuple:
    """Rows of two channels and two music features; class 1 has a bump in the first channel."""
    rng = np.random.default_rng(seed)
    n = n_people * n_each
    y = np.tile([0, 1], n // 2)
    eda = rng.normal(size=(n, 2, n_times))
    eda[y == 1, 0, 10:20] += 2.0
    values = np.hstack([eda.reshape(n, -1), rng.normal(size=(n, 2))]).astype(np.float32)
    subject = np.repeat([f"p{i}" for i in range(n_people)], n_each)
    index = pd.MultiIndex.from_arrays([subject, np.arange(n)], names=["subject", "trial"])
    names = eda_names(["a", "b"], n_times) + music_names(["m", "k"])
    return pd.DataFrame(values, index=index, columns=names), y, subject


class Count(Callback):
    """A callback of a user's."""

    def initialize(self):
        self.n_epochs_ = 0
        return self

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs_ += 1


class Interrupt(Callback):
    """Sends the process what Ctrl-C sends."""

    def on_batch_end(self, net, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def ctrl_c_interrupts():
    """Python's own handler; a job in the background of a shell would ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_by_another_handler() -> None:
    """A signal other than SIGINT, whose handler of the user's raises a KeyboardInterrupt."""

    def handle(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def interrupt_from_another_thread() -> None:
    """What notebooks and debuggers do: an exception for this thread, set by another one."""
    number = ctypes.c_ulong(threading.get_ident())
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(KeyboardInterrupt))


class InterruptAt(Callback):
    """Interrupts training in some hook of the first epoch, by some way."""

    def __init__(self, hook: str, way: Callable[[], None]) -> None:
        self.hook, self.way = hook, way

    def notify(self, hook: str) -> None:
        if hook == self.hook:
            self.way()

    def on_train_begin(self, net, **kwargs):
        self.notify("on_train_begin")

    def on_batch_end(self, net, **kwargs):
        self.notify("on_batch_end")

    def on_epoch_end(self, net, **kwargs):
        self.notify("on_epoch_end")


class StopsEarly(Callback):
    """Stops training as skorch's own EarlyStopping does."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


class TestClassifier:
    def test_learns_what_is_there_to_learn(self):
        X, y, _ = make_rows()
        new, labels, _ = make_rows(20, seed=1)
        model = RTCANClassifier(max_epochs=30, lr=0.01, **NARROW).fit(X, y)
        assert model.score(X, y) > 0.95
        assert model.score(new, labels) > 0.8

    def test_layout_is_read_from_the_column_names(self):
        X, y, _ = make_rows()
        net = RTCANClassifier(max_epochs=1, **NARROW).fit(X, y).net_.module_
        assert (net.n_chans, net.n_times, net.classify[0].in_features) == (2, 40, 8 + 2)

    @pytest.mark.parametrize("said", [{"n_chans": 3}, {"n_times": 20}, {"n_music_features": 0}])
    def test_parameter_that_disagrees_with_the_names_is_an_error(self, said):
        X, y, _ = make_rows()
        with pytest.raises(ValueError, match="but the column names give"):
            RTCANClassifier(**said, **NARROW).fit(X, y)

    def test_frame_and_array_of_the_same_numbers_give_the_same_answer(self):
        X, y, _ = make_rows()
        by_name = RTCANClassifier(max_epochs=2, **NARROW).fit(X, y).predict_proba(X)
        model = RTCANClassifier(max_epochs=2, n_chans=2, n_music_features=2, **NARROW)
        array = X.to_numpy()
        assert_array_equal(model.fit(array, y).predict_proba(array), by_name)

    def test_array_that_does_not_add_up_is_an_error(self):
        X, y, _ = make_rows()
        model = RTCANClassifier(n_chans=2, n_times=40, n_music_features=3, **NARROW)
        with pytest.raises(ValueError, match="must be the array's 82 columns"):
            model.fit(X.to_numpy(), y)

    @pytest.mark.same_bits
    def test_a_trial_gets_the_same_answer_in_whatever_batch_it_comes(self):
        X, y, _ = make_rows()
        model = RTCANClassifier(max_epochs=2, **NARROW).fit(X, y)
        together = model.predict_proba(X)
        one_by_one = np.vstack([model.predict_proba(X.iloc[[i]]) for i in range(len(X))])
        assert_array_equal(one_by_one, together)
        order = np.random.default_rng(0).permutation(len(X))
        assert_array_equal(model.predict_proba(X.iloc[order]), together[order])

    def test_same_seed_same_answer_and_torch_outside_is_left_alone(self):
        X, y, _ = make_rows()
        torch.manual_seed(7)
        expected_draw = torch.rand(1)
        torch.manual_seed(7)
        n_threads = torch.get_num_threads()
        first = RTCANClassifier(max_epochs=2, n_threads=2, **NARROW).fit(X, y).predict_proba(X)
        assert torch.rand(1) == expected_draw
        assert torch.get_num_threads() == n_threads
        torch.manual_seed(8)
        again = RTCANClassifier(max_epochs=2, n_threads=2, **NARROW).fit(X, y).predict_proba(X)
        assert_array_equal(first, again)
        other = RTCANClassifier(max_epochs=2, channels=(8, 8, 8, 8), random_state=1).fit(X, y)
        assert not np.array_equal(other.predict_proba(X), first)

    def test_labels_of_any_type_come_back(self):
        X, y, _ = make_rows()
        words = np.array(["low", "high"])[y]
        model = RTCANClassifier(max_epochs=30, lr=0.01, **NARROW).fit(X, words)
        assert list(model.classes_) == ["high", "low"]
        assert model.score(X, words) > 0.95

    def test_optimizer_schedule_and_callbacks_are_the_users(self):
        X, y, _ = make_rows()
        count = Count()
        schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
        model = RTCANClassifier(
            max_epochs=3,
            lr=0.01,
            optimizer=torch.optim.SGD,
            optimizer_params={"momentum": 0.9},
            lr_scheduler=schedule,
            callbacks=[count],
            **NARROW,
        ).fit(X, y)
        assert isinstance(model.net_.optimizer_, torch.optim.SGD)
        assert model.net_.optimizer_.defaults["momentum"] == 0.9
        rates = [epoch["event_lr"] for epoch in model.net_.history]
        np.testing.assert_allclose(rates, [0.01, 0.005, 0.0025])
        counted = [c.n_epochs_ for _, c in model.net_.callbacks_ if isinstance(c, Count)]
        assert counted == [3]
        assert count.n_epochs_ == 3  # the user's own object, as in skorch
        assert len(model.net_.history[:, "train_loss"]) == 3

    def test_validation_sets_whole_people_aside_and_keeps_the_best_epoch(self):
        X, y, subject = make_rows()
        settings = {"max_epochs": 40, "validation_fraction": 0.25, "patience": 2, **NARROW}
        model = RTCANClassifier(lr=0.01, **settings).fit(X, y)
        aside = model.validation_subjects_
        assert len(aside) == 2
        losses = model.net_.history[:, "valid_loss"]
        assert len(losses) < 40
        held_out = np.isin(subject, aside)
        chosen = model.predict_proba(X[held_out])[np.arange(held_out.sum()), y[held_out]]
        np.testing.assert_allclose(-np.log(chosen).mean(), min(losses), rtol=1e-4)
        by_metadata = RTCANClassifier(n_chans=2, n_music_features=2, lr=0.01, **settings)
        by_metadata.fit(X.to_numpy(), y, subject=subject)
        assert_array_equal(by_metadata.predict_proba(X.to_numpy()), model.predict_proba(X))

    def test_people_set_aside_do_not_train(self):
        X, y, subject = make_rows()
        settings = {"max_epochs": 2, "validation_fraction": 0.25, **NARROW}
        model = RTCANClassifier(**settings).fit(X, y)
        aside = np.isin(subject, model.validation_subjects_)
        flipped = np.where(aside, 1 - y, y)
        other = RTCANClassifier(**settings).fit(X, flipped)
        losses = model.net_.history[:, ("train_loss", "valid_loss")]
        other_losses = other.net_.history[:, ("train_loss", "valid_loss")]
        assert [loss for loss, _ in losses] == [loss for loss, _ in other_losses]
        assert losses != other_losses

    def test_validation_without_subjects_stops_and_says_so(self):
        X, y, subject = make_rows()
        model = RTCANClassifier(n_chans=2, n_music_features=2, validation_fraction=0.2, **NARROW)
        with pytest.raises(ValueError, match="validation_fraction needs to know the subject"):
            model.fit(X.to_numpy(), y)
        with pytest.raises(ValueError, match="one subject only"):
            model.fit(X.to_numpy(), y, subject=np.full(len(y), "p0"))
        model.set_params(max_epochs=1).fit(X.to_numpy(), y, subject)
        theirs = np.isin(subject, model.validation_subjects_).astype(int)
        with pytest.raises(ValueError, match="No training trial of class 1 is left"):
            model.fit(X.to_numpy(), theirs, subject)

    @pytest.mark.parametrize("wrong", [["p0"], [["p0"]] * 80, [None] * 80])
    def test_subjects_must_fit_the_trials(self, wrong):
        X, y, _ = make_rows()
        with pytest.raises(ValueError, match="subject"):
            RTCANClassifier(max_epochs=1, validation_fraction=0.2, **NARROW).fit(X, y, wrong)

    def test_one_class_is_an_error(self):
        X, y, _ = make_rows()
        with pytest.raises(ValueError, match="one class only: 1"):
            RTCANClassifier(**NARROW).fit(X, np.ones_like(y))

    def test_trials_table_and_music_alone_are_refused_with_the_way_out(self):
        X, y, _ = make_rows()
        table = pd.DataFrame({"subject": ["p"] * 4, "eda": pd.Series([np.ones(9)] * 4)})
        with pytest.raises(ValueError, match="put MusicFeatureUnion"):
            RTCANClassifier(**NARROW).fit(table, [0, 1, 0, 1])
        with pytest.raises(ValueError, match="needs EDA"):
            RTCANClassifier(**NARROW).fit(X[["music_m", "music_k"]], y)

    def test_nan_and_other_width_are_errors(self):
        X, y, _ = make_rows()
        model = RTCANClassifier(max_epochs=1, **NARROW).fit(X, y)
        with pytest.raises(ValueError, match="feature names"):
            model.predict(X.iloc[:, 1:])
        with pytest.raises(ValueError, match="NaN"):
            model.predict(X.assign(eda_a_0=np.nan))
        with pytest.raises(ValueError, match="infinity"):
            RTCANClassifier(**NARROW).fit(X.assign(eda_a_0=np.inf), y)

    @pytest.mark.usefixtures("ctrl_c_interrupts")
    def test_ctrl_c_stays_an_interruption_and_the_old_fit_stays_whole(self):
        X, y, _ = make_rows()
        model = RTCANClassifier(max_epochs=2, **NARROW).fit(X, y)
        before = model.predict_proba(X)
        handler = signal.getsignal(signal.SIGINT)
        model.set_params(callbacks=[Interrupt()])
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert signal.getsignal(signal.SIGINT) is handler
        assert_array_equal(model.predict_proba(X), before)
        fresh = clone(model)
        with pytest.raises(KeyboardInterrupt):
            fresh.fit(X, y)
        with pytest.raises(NotFittedError):
            fresh.predict(X)

    @pytest.mark.parametrize("hook", ["on_train_begin", "on_batch_end", "on_epoch_end"])
    @pytest.mark.parametrize(
        "way",
        [
            interrupt_by_another_handler,
            interrupt_from_another_thread,
            signal.default_int_handler,
        ],
        ids=["handler", "thread", "python"],
    )
    def test_whatever_raises_a_keyboard_interrupt_ends_the_fit_with_it(self, hook, way):
        X, y, _ = make_rows()
        model = RTCANClassifier(max_epochs=2, **NARROW).fit(X, y)
        before = model.predict_proba(X)
        if way is signal.default_int_handler:
            way = partial(way, signal.SIGINT, None)
        model.set_params(callbacks=[InterruptAt(hook, way)])
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert_array_equal(model.predict_proba(X), before)

    def test_an_alarm_at_any_moment_of_training_ends_the_fit(self):
        X, y, _ = make_rows()

        def handle(number, frame):
            raise KeyboardInterrupt

        handler = signal.signal(signal.SIGALRM, handle)
        try:
            for milliseconds in range(20, 120, 10):
                model = RTCANClassifier(max_epochs=10_000, **NARROW)
                with pytest.raises(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
                    model.fit(X, y)
                with pytest.raises(NotFittedError):
                    model.predict(X)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)

    def test_a_callback_may_stop_training_early(self):
        X, y, _ = make_rows()
        model = RTCANClassifier(max_epochs=9, callbacks=[StopsEarly()], **NARROW).fit(X, y)
        assert len(model.net_.history) == 1

    def test_failed_refit_leaves_the_fitted_model_as_it_was(self):
        X, y, _ = make_rows()
        model = RTCANClassifier(max_epochs=2, **NARROW).fit(X, y)
        before = model.predict_proba(X)
        with pytest.raises(ValueError, match="one class"):
            model.fit(X.iloc[:, :40], np.zeros_like(y))
        assert_array_equal(model.predict_proba(X), before)

    def test_pickle_gives_the_same_answers_and_carries_no_trials(self):
        X, y, _ = make_rows(40, n_times=1200)
        settings = {"max_epochs": 1, "validation_fraction": 0.5, **NARROW}
        model = RTCANClassifier(**settings).fit(X, y)
        stored = pickle.dumps(model)
        assert_array_equal(pickle.loads(stored).predict_proba(X), model.predict_proba(X))
        weights = sum(p.nbytes for p in model.net_.module_.parameters())
        # Weights, the optimizer's moments, the best epoch, and the schedule's own optimizer.
        assert len(stored) < 8 * weights + 200_000 < 0.75 * X.to_numpy().nbytes

    def test_a_single_row_left_over_does_not_break_batch_norm(self):
        X, y, _ = make_rows(5, 10, n_times=4)
        X, y = X.iloc[:49], y[:49]
        model = RTCANClassifier(max_epochs=1, batch_size=16, **NARROW).fit(X, y)
        sizes = [b["train_batch_size"] for b in model.net_.history[0, "batches"]]
        assert sizes == [16, 16, 17]


def weights_of(model: RTCANClassifier) -> list[np.ndarray]:
    return [value.numpy() for value in model.net_.module_.state_dict().values()]


def assert_same_model(one: RTCANClassifier, other: RTCANClassifier) -> None:
    assert len(one.net_.history) == len(other.net_.history)
    for first, second in zip(weights_of(one), weights_of(other), strict=True):
        assert_array_equal(first, second)


class TestValidationRows:
    @pytest.mark.parametrize(
        "model",
        [RTCANClassifier(**EARLY, **NARROW), CNNClassifier(**EARLY, n_filters=8, random_state=0)],
        ids=lambda model: type(model).__name__,
    )
    def test_rows_of_the_people_that_a_fraction_draws_train_the_same_weights(self, model):
        X, y, subject = make_rows()
        by_fraction = clone(model).set_params(validation_fraction=0.25).fit(X, y)
        mask = np.isin(subject, by_fraction.validation_subjects_)
        assert mask.sum() == 20
        assert_same_model(clone(model).fit(X, y, validation=mask), by_fraction)

    @pytest.mark.parametrize(
        "form",
        [list, pd.Series, lambda mask: pd.Series(mask, dtype="boolean")],
        ids=["list", "Series", "nullable"],
    )
    def test_any_container_of_booleans_will_do(self, form):
        X, y, subject = make_rows()
        mask = np.isin(subject, ["p2", "p5"])
        expected = RTCANClassifier(**EARLY, **NARROW).fit(X, y, validation=mask)
        assert_same_model(RTCANClassifier(**EARLY, **NARROW).fit(X, y, None, form(mask)), expected)

    def test_rows_may_cut_across_people_and_win_over_the_fraction(self):
        X, y, subject = make_rows()
        mask = np.arange(len(y)) % 10 < 2  # two trials of everybody
        model = RTCANClassifier(**EARLY, **NARROW).fit(X, y, validation=mask)
        losses = model.net_.history[:, "valid_loss"]
        assert len(losses) < EARLY["max_epochs"]
        probability = model.predict_proba(X[mask])[np.arange(mask.sum()), y[mask]]
        np.testing.assert_allclose(-np.log(probability).mean(), min(losses), rtol=1e-4)
        assert list(model.validation_subjects_) == sorted(set(subject))
        both = RTCANClassifier(validation_fraction=0.25, **EARLY, **NARROW)
        assert_same_model(both.fit(X, y, validation=mask), model)

    def test_rows_set_aside_do_not_train(self):
        X, y, _ = make_rows()
        mask = np.arange(len(y)) % 10 < 2
        losses, other_losses = (
            RTCANClassifier(max_epochs=2, **NARROW)
            .fit(X, labels, validation=mask)
            .net_.history[:, ("train_loss", "valid_loss")]
            for labels in (y, np.where(mask, 1 - y, y))
        )
        assert [loss for loss, _ in losses] == [loss for loss, _ in other_losses]
        assert losses != other_losses

    def test_subjects_are_not_needed_and_the_fraction_does_not_ask_for_them(self):
        X, y, subject = make_rows()
        mask = subject == "p3"
        settings = {"n_chans": 2, "n_music_features": 2, **EARLY, **NARROW}
        model = RTCANClassifier(validation_fraction=0.25, **settings)
        model.fit(X.to_numpy(), y, validation=mask)
        assert model.validation_subjects_.size == 0
        assert_same_model(model, RTCANClassifier(**EARLY, **NARROW).fit(X, y, validation=mask))
        model.fit(X.to_numpy(), y, subject, mask)
        assert list(model.validation_subjects_) == ["p3"]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda mask, y: mask[:-1], r"one boolean for each of the 80 trials.*\(79,\)"),
            (lambda mask, y: mask[:, None], r"one boolean for each.*\(80, 1\)"),
            (lambda mask, y: True, r"one boolean for each.*\(\)"),
            (lambda mask, y: mask.astype(int), "True or False for each row"),
            (lambda mask, y: np.flatnonzero(mask), "True or False for each row"),
            (lambda mask, y: [None, *mask[1:]], "True or False for each row"),
            (lambda mask, y: np.ma.array(mask, mask=mask), "True or False for each row"),
            (lambda mask, y: np.ones_like(mask), "is True for all rows"),
            (lambda mask, y: np.zeros_like(mask), "is False for all rows"),
            (lambda mask, y: y == 1, "No training trial of class 1 is left"),
        ],
    )
    def test_rows_that_make_no_sense_are_one_error_and_the_old_fit_stays(self, wrong, message):
        X, y, subject = make_rows()
        mask = subject == "p0"
        model = RTCANClassifier(max_epochs=1, **NARROW)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, validation=wrong(mask, y))
        assert not hasattr(model, "classes_")
        before = model.fit(X, y, validation=mask).predict_proba(X)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, validation=wrong(mask, y))
        assert_array_equal(model.predict_proba(X), before)
        assert list(model.validation_subjects_) == ["p0"]


@pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")
class TestValidationRowsInPipelines:
    @pytest.mark.parametrize("relabel", [False, True])
    def test_rows_reach_the_net_with_routing_on_and_off(self, few: Bunch, relabel):
        """Through scikit-learn's Pipeline, and through imbalanced-learn's with a relabeler."""
        mask = (few.trials["trial"] % 5 == 0).to_numpy()
        y = SubjectThresholdRelabeler().fit_relabel(few.ratings, subject=few.subject)
        steps = [("fuse", MusicFeatureUnion()), ("rtcan", RTCANClassifier(**EARLY, **NARROW))]
        target, kind = y, Pipeline
        if relabel:
            steps.insert(0, ("relabel", SubjectThresholdRelabeler()))
            target, kind = few.ratings, ImbalancedPipeline
        fused = MusicFeatureUnion().fit_transform(few.trials)
        expected = RTCANClassifier(**EARLY, **NARROW).fit(fused, y, validation=mask)
        plain = clone(kind(steps)).fit(few.trials, target, rtcan__validation=mask)
        assert_same_model(plain["rtcan"], expected)
        with config_context(enable_metadata_routing=True):
            routed = clone(kind(steps)).fit(few.trials, target, validation=mask)
            assert_same_model(routed["rtcan"], expected)
        assert len(expected.validation_subjects_) == 6

    def test_cross_validation_hands_each_fold_its_own_rows(self, few: Bunch):
        mask = (few.trials["trial"] % 5 == 0).to_numpy()
        y = SubjectThresholdRelabeler().fit_relabel(few.ratings, subject=few.subject)
        pipe = Pipeline([("fuse", MusicFeatureUnion()), ("rtcan", RTCANClassifier(**NARROW))])
        pipe.set_params(rtcan__max_epochs=3, rtcan__patience=1)
        settings = {"return_estimator": True, "return_indices": True}
        plain = cross_validate(
            pipe,
            few.trials,
            y,
            groups=few.subject,
            cv=GroupKFold(3),
            params={"rtcan__validation": mask},
            **settings,
        )
        with config_context(enable_metadata_routing=True):
            cv = GroupKFold(3).set_split_request(groups="subject")
            params = {"subject": few.subject, "validation": mask}
            routed = cross_validate(pipe, few.trials, y, cv=cv, params=params, **settings)
        for given in (plain, routed):
            for model, rows in zip(given["estimator"], given["indices"]["train"], strict=True):
                expected = clone(pipe["rtcan"]).fit(
                    MusicFeatureUnion().fit_transform(few.trials.iloc[rows]),
                    y[rows],
                    validation=mask[rows],
                )
                assert_same_model(model["rtcan"], expected)

    def test_a_sampler_that_drops_rows_is_told_to_the_user(self):
        X, y, subject = make_rows()
        y[:2] = 1
        chain = ImbalancedPipeline(
            [
                ("fewer", RandomUnderSampler(random_state=0)),
                ("rtcan", RTCANClassifier(max_epochs=1, **NARROW)),
            ]
        )
        with pytest.raises(ValueError, match="one boolean for each"):
            chain.fit(X, y, rtcan__validation=subject == "p0")


@pytest.mark.parametrize("shuffle", [False, True])
def test_songs_kept_once_give_the_same_batches(shuffle):
    rng = np.random.default_rng(0)
    songs = rng.normal(size=(3, 4)).astype(np.float32)
    heard = rng.integers(3, size=20)
    X = np.hstack([rng.normal(size=(20, 6)).astype(np.float32), songs[heard]])
    y = np.arange(20)
    batches = []
    for n_shared in (0, 4):
        trials = Trials(X, y, n_shared=n_shared)
        torch.manual_seed(0)
        batches.append([tuple(b) for b in Batches(trials, 7, shuffle=shuffle)])
        assert_array_equal(trials[5][0], X[5])
    assert trials.songs.shape == (3, 4)
    assert trials.signals.shape == (20, 6)
    for (rows, labels), (others, same) in zip(*batches, strict=True):
        assert_array_equal(rows, others)
        assert_array_equal(labels, same)
        assert_array_equal(rows, X[labels])


def test_answers_in_bf16_are_near_and_deterministic_ones_the_same():
    X, y, _ = make_rows()
    answers = {}
    for name, settings in {
        "plain": {},
        "bf16": {"amp": "bf16"},
        "deterministic": {"deterministic": True},
    }.items():
        model = RTCANClassifier(max_epochs=3, **NARROW, **settings).fit(X, y)
        answers[name] = model.predict_proba(X)
        alone = model.predict_proba(X.iloc[[3]])
        assert_array_equal(alone[0], answers[name][3])
    assert_array_equal(answers["deterministic"], answers["plain"])
    assert not np.array_equal(answers["bf16"], answers["plain"])
    np.testing.assert_allclose(answers["bf16"], answers["plain"], atol=0.05)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(
    shutil.which("g++") is None or not Path(get_path("include"), "Python.h").exists(),
    reason="torch.compile needs a C++ compiler and Python's headers",
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler uses it
@pytest.mark.parametrize("mode", [True, "reduce-overhead"])
def test_compiled_network_answers_as_it_does_uncompiled_and_with_the_weights_it_has(mode):
    torch.compiler.reset()  # torch stops compiling a function after some shapes in one process
    X, y, subject = make_rows(n_times=128)
    validation = np.isin(subject, ["p6", "p7"])
    # The compiler draws other numbers for dropout.
    settings = {"channels": (16,) * 4, "max_epochs": 2, "dropout": 0.0, "random_state": 0}
    plain, model = (
        RTCANClassifier(compile=compiled, **settings).fit(X, y, validation=validation)
        for compiled in (False, mode)
    )
    for loss in ("train_loss", "valid_loss"):
        losses = [one.net_.history[:, loss] for one in (plain, model)]
        np.testing.assert_allclose(*losses, rtol=1e-4)
    answers = model.predict_proba(X)
    for i in (0, 33):
        assert_array_equal(model.predict_proba(X.iloc[[i]])[0], answers[i])
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), answers)
    with torch.compiler.set_stance("force_eager"):
        assert not np.array_equal(again.predict_proba(X), answers)
        np.testing.assert_allclose(model.predict_proba(X), answers, atol=2e-6)
    model.net_.module_.classify[-1].bias.data[1] += 5.0
    shifted = model.predict_proba(X)
    assert (shifted[:, 1] > answers[:, 1] + 0.1).all()
    with torch.compiler.set_stance("force_eager"):
        np.testing.assert_allclose(model.predict_proba(X), shifted, atol=2e-6)
