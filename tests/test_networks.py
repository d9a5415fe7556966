"""Networks of any kind: callbacks, weights, and modules from outside the package."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from outside_network import Domain, Line, Steps, Tiny
from scipy.optimize import minimize
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from skorch.callbacks import Checkpoint as SkorchCheckpoint

from edaemo import RTCANClassifier, export_onnx, load, save
from edaemo._safe_file import FileError
from edaemo.benchmark import (
    PIPELINES,
    REGRESSORS,
    SEQUENCE_REGRESSORS,
    ResultStore,
    evaluate,
    register_pipeline,
)
from edaemo.datasets import make_music_listening
from edaemo.estimators import (
    CNNClassifier,
    NetworkClassifier,
    NetworkRegressor,
    NetworkSequenceRegressor,
)
from edaemo.inspection import grad_cam, integrated_gradients
from edaemo.metrics import concordance_correlation
from edaemo.networks import NETWORKS, RTCAN, FeatureCNN, register_network

N_TIMES, N_MUSIC = 24, 2
FULL = {"batch_size": 10**6, "optimizer": torch.optim.SGD, "lr": 0.1, "random_state": 0}


def make_rows(n_people: int = 6, n_each: int = 10, seed: int = 0) -> tuple:
    """Two channels and two music features; class 1 has a bump in the first channel."""
    rng = np.random.default_rng(seed)
    n = n_people * n_each
    y = np.tile(["calm", "tense"], n // 2)
    eda = rng.normal(size=(n, 2, N_TIMES))
    eda[y == "tense", 0, 8:16] += 3.0
    values = np.hstack([eda.reshape(n, -1), rng.normal(size=(n, N_MUSIC))]).astype(np.float32)
    subject = np.repeat([f"p{i}" for i in range(n_people)], n_each)
    names = [f"eda_{c}_{t}" for c in "ab" for t in range(N_TIMES)] + ["music_k", "music_l"]
    index = pd.MultiIndex.from_arrays([subject, np.arange(n)], names=["subject", "trial"])
    return pd.DataFrame(values, index=index, columns=names), y, subject


LEARNS = {"max_epochs": 8, "lr": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def model() -> NetworkClassifier:
    X, y, _ = make_rows()
    return NetworkClassifier(Tiny, module_params={"width": 6}, **LEARNS).fit(X, y)


def weights_of(model: BaseEstimator) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in model.net_.module_.state_dict().items()}


class Locked(Callback):
    """Holds a lock, which cannot be copied, and writes into a list of the user's."""

    def __init__(self, written: list) -> None:
        self.written, self.lock = written, threading.Lock()

    def on_epoch_end(self, net, **kwargs):
        with self.lock:
            self.written.append(len(net.history))


class TestCallbacks:
    """As in plain skorch."""

    def test_a_users_object_is_called_itself(self):
        X, y, _ = make_rows()
        written: list[int] = []
        CNNClassifier(n_filters=2, max_epochs=3, callbacks=[Locked(written)]).fit(X, y)
        assert written == [1, 2, 3]

    @pytest.mark.parametrize("form", [lambda one: ("mine", one), lambda one: one])
    def test_named_ones_and_classes_are_taken(self, form):
        X, y, _ = make_rows()
        scoring = EpochScoring("roc_auc", lower_is_better=False, on_train=True, name="area")
        model = CNNClassifier(n_filters=2, max_epochs=2, callbacks=[form(scoring), Silent]).fit(
            X, y
        )
        assert len(model.net_.history[:, "area"]) == 2
        assert sum(type(one) is Silent for _, one in model.net_.callbacks_) == 1

    @pytest.mark.parametrize("odd", ["mine", ("mine", 3), object])
    def test_what_is_none_is_an_error(self, odd):
        with pytest.raises(ValueError, match="callbacks must be objects of skorch"):
            CNNClassifier(callbacks=[odd]).fit(*make_rows()[:2])

    def test_scores_of_an_epoch_are_those_of_its_predictions(self):
        """The last epoch's, with the weights that remain: so those of the fitted model."""
        X, y, subject = make_rows()
        held_out = np.isin(subject, ["p0", "p3"])
        callbacks = [
            EpochScoring("accuracy", lower_is_better=False, name="right"),
            EpochScoring("roc_auc", lower_is_better=False, name="area"),
            EpochScoring("neg_log_loss", lower_is_better=False, use_caching=False, name="log"),
        ]
        model = RTCANClassifier(
            channels=(8,) * 4, max_epochs=3, lr=1e-4, callbacks=callbacks, random_state=0
        ).fit(X, y, validation=held_out)
        best = int(np.argmin(model.net_.history[:, "valid_loss"]))
        found = model.net_.history[best]
        probability = model.predict_proba(X[held_out])[:, 1]
        truth = y[held_out] == "tense"
        assert_allclose(found["right"], accuracy_score(truth, probability > 0.5))
        assert_allclose(found["valid_acc"], found["right"])
        assert_allclose(found["area"], roc_auc_score(truth, probability))
        assert_allclose(-found["log"], found["valid_loss"], rtol=1e-5)

    def test_skorchs_checkpoint_keeps_the_best_epoch(self, tmp_path):
        X, y, subject = make_rows()
        best = SkorchCheckpoint(monitor="valid_acc_best", dirname=tmp_path, f_history=None)
        model = CNNClassifier(n_filters=2, max_epochs=4, callbacks=[best], random_state=0)
        model.fit(X, y, validation=np.isin(subject, ["p1"]))
        assert (tmp_path / "params.pt").exists()
        assert set(torch.load(tmp_path / "params.pt")) == set(weights_of(model))

    @pytest.mark.parametrize(
        "callback",
        [
            EarlyStopping(patience=2),
            SkorchCheckpoint(dirname="unused"),
            LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
        ],
        ids=lambda callback: type(callback).__name__,
    )
    def test_a_monitor_without_validation_trials_is_one_clear_error(self, callback, tmp_path):
        X, y, subject = make_rows()
        if hasattr(callback, "dirname"):
            callback.dirname = str(tmp_path)
        model = CNNClassifier(n_filters=2, max_epochs=2, callbacks=[callback], random_state=0)
        with pytest.raises(ValueError, match=r"no trials are set aside .*validation_fraction"):
            model.fit(X, y)
        model.fit(X, y, validation=np.isin(subject, ["p1"]))

    def test_a_second_schedule_may_be_a_callback(self):
        X, y, _ = make_rows()
        halve = LRScheduler("StepLR", step_size=1, gamma=0.5, event_name="rate")
        model = CNNClassifier(n_filters=2, max_epochs=3, lr=0.1, callbacks=[halve]).fit(X, y)
        assert_allclose(model.net_.history[:, "rate"], [0.1, 0.05, 0.025])

    def test_the_net_is_a_classifier_for_skorch(self):
        X, y, _ = make_rows()
        model = CNNClassifier(n_filters=2, max_epochs=1, random_state=0).fit(X, y)
        rows = X.to_numpy(copy=True)
        assert_array_equal(model.classes_[model.net_.predict(rows)], model.predict(X))
        assert_allclose(model.net_.predict_proba(rows), model.predict_proba(X), atol=1e-6)
        assert_array_equal(model.net_.classes_, [0, 1])


class Silent(Callback):
    """Does nothing."""


class TestWeights:
    def test_weights_are_repetitions(self):
        X, y, _ = make_rows()
        X = X.to_numpy()
        times = np.random.default_rng(0).integers(0, 4, size=len(X))
        settings = FULL | {"max_epochs": 20, "class_weight": "balanced", "label_smoothing": 0.1}
        weighted = NetworkClassifier(Line, **settings).fit(X, y, sample_weight=times)
        repeated = NetworkClassifier(Line, **settings).fit(
            np.repeat(X, times, 0), np.repeat(y, times)
        )
        plain = NetworkClassifier(Line, **settings).fit(X, y)
        for name, value in weights_of(weighted).items():
            assert_allclose(value, weights_of(repeated)[name], atol=1e-5)
            assert np.abs(value - weights_of(plain)[name]).max() > 1e-3

    def test_it_is_the_weighted_logistic_regression(self):
        """Trained to the end; the L2 penalty is weight decay, on the intercepts as well."""
        rng = np.random.default_rng(1)
        X = rng.normal(size=(60, 3))
        y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
        weight = rng.uniform(0.1, 3, 60)

        def loss(flat: np.ndarray) -> float:
            logits = X @ flat[:6].reshape(3, 2) + flat[6:]
            picked = logits[np.arange(60), y] - np.logaddexp(*logits.T)
            return -(weight * picked).sum() / weight.sum() + 0.05 * (flat**2).sum() / 2

        best = minimize(loss, np.zeros(8)).x
        model = NetworkClassifier(
            Line, **FULL | {"max_epochs": 400, "lr": 1.0, "weight_decay": 0.05}
        ).fit(X, y, sample_weight=weight)
        found = weights_of(model)
        assert_allclose(found["linear.weight"].T, best[:6].reshape(3, 2), atol=1e-3)
        assert_allclose(found["linear.bias"], best[6:], atol=1e-3)

    def test_a_regressors_weights_are_repetitions(self):
        X = np.random.default_rng(0).normal(size=(40, 3))
        y = 5 + X @ [1.0, 2.0, 0.5]
        times = np.random.default_rng(1).integers(0, 3, size=40)
        settings = FULL | {"max_epochs": 200}
        weighted = NetworkRegressor(Line, **settings).fit(X, y, sample_weight=times)
        repeated = NetworkRegressor(Line, **settings).fit(
            np.repeat(X, times, 0), np.repeat(y, times)
        )
        assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-4)
        assert_allclose(weighted.predict(X), y, atol=0.05)
        assert_allclose(weighted.target_mean_, np.average(y, weights=times))

    def test_routing_takes_them_where_they_are_asked_for(self):
        X, y, _ = make_rows()
        weight = np.where(np.arange(len(y)) % 3 == 0, 5.0, 1.0)
        net = CNNClassifier(n_filters=2, max_epochs=2, random_state=0)
        pipe = make_pipeline(StandardScaler(), net)
        with config_context(enable_metadata_routing=True):
            with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
                pipe.fit(X, y, sample_weight=weight)
            asks = make_pipeline(
                StandardScaler().set_fit_request(sample_weight=False),
                clone(net).set_fit_request(sample_weight=True),
            )
            routed = asks.fit(X, y, sample_weight=weight)
        scaled = StandardScaler().fit_transform(X)
        expected = clone(net).fit(scaled, y, sample_weight=weight)
        assert_array_equal(routed[-1].predict_proba(scaled), expected.predict_proba(scaled))
        assert not np.array_equal(
            expected.predict_proba(scaled), clone(net).fit(scaled, y).predict_proba(scaled)
        )

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda n: np.ones(n - 1), "one number for each of the 60 trials"),
            (lambda n: np.full(n, np.nan), "finite and not negative"),
            (lambda n: np.full(n, -1.0), "finite and not negative"),
            (lambda n: np.tile([0.0, 1.0], n // 2), "No training trial of class calm is left"),
        ],
    )
    def test_weights_that_make_no_sense_are_one_error(self, wrong, message):
        X, y, _ = make_rows()
        with pytest.raises(ValueError, match=message):
            CNNClassifier(n_filters=2).fit(X, y, sample_weight=wrong(len(y)))


class TestFineTuning:
    def fitted(self, **parameters):
        rng = np.random.default_rng(3)
        X = rng.normal(size=(30, 2)).astype(np.float32)
        y = np.where(X[:, 0] + rng.normal(size=30) / 4 > 0, "up", "down")
        model = NetworkClassifier(Line, **{**FULL, "max_epochs": 5, **parameters})
        return model.fit(X, y), X, y

    def test_an_epoch_is_a_step_along_the_gradient_of_the_further_trials(self):
        model, X, y = self.fitted()
        weights, _ = model.give_network()
        before = np.c_[weights["linear.weight"], weights["linear.bias"]].astype(np.float64)
        rows = np.c_[X[:7], np.ones(7)].astype(np.float64)
        p = np.exp(rows @ before.T)
        p /= p.sum(axis=1, keepdims=True)
        hits = (y[:7, None] == np.array(["down", "up"])).astype(np.float64)
        gradient = (p - hits).T @ rows / 7
        model.fine_tune(X[:7], y[:7], lr=0.05)
        weights, _ = model.give_network()
        after = np.c_[weights["linear.weight"], weights["linear.bias"]]
        assert_allclose(after, before - 0.05 * gradient, atol=1e-6)
        assert len(model.net_.history) == 6

    def test_trials_of_one_class_are_enough(self):
        model, X, _ = self.fitted()
        before = model.predict_proba(X)[:, 1]
        model.fine_tune(X[:3], ["up"] * 3, epochs=3)
        assert (model.predict_proba(X)[:, 1].mean() > before.mean()) and model.classes_[1] == "up"

    def test_early_stopping_and_its_validation_are_not_continued(self):
        person = np.repeat(np.arange(6), 5)
        rng = np.random.default_rng(0)
        model = NetworkClassifier(Line, validation_fraction=0.3, **FULL, max_epochs=4)
        model.fit(rng.normal(size=(30, 2)), [0, 1] * 15, subject=person)
        n_epochs = len(model.net_.history)
        model.fine_tune(rng.normal(size=(4, 2)), [0, 1, 1, 1], epochs=3)
        assert len(model.net_.history) == n_epochs + 3

    def test_after_an_error_the_network_is_unchanged(self):
        model, X, y = self.fitted()
        before = model.predict_proba(X)
        for arguments, about, message in (
            ((X, ["up", "left"] * 15), {}, "label 'left' was not in fit"),
            ((X[:, :1], y), {}, "1 features"),
            ((X, y), {"epochs": 0}, "must be above 0"),
            ((X, y), {"lr": -1.0}, "must be above 0"),
        ):
            with pytest.raises(ValueError, match=message):
                model.fine_tune(*arguments, **about)
        assert_array_equal(model.predict_proba(X), before)


class TestNamedNetworks:
    def test_a_network_of_ours_as_a_module_is_its_named_classifier(self):
        X, y, _ = make_rows()
        small = {"channels": (8,) * 4}
        settings = {"max_epochs": 2, "random_state": 0}
        named = RTCANClassifier(**small, **settings).fit(X, y)
        by_module = NetworkClassifier(RTCAN, module_params=small, **settings).fit(X, y)
        assert_array_equal(by_module.predict_proba(X), named.predict_proba(X))
        assert by_module.net_.max_epochs == 2
        default = NetworkClassifier(RTCAN)._recipe()
        assert default.max_epochs == RTCANClassifier()._recipe().max_epochs == 20

    def test_a_recipe_that_the_network_does_not_declare_is_an_error(self):
        with pytest.raises(ValueError, match="Unknown recipe 'papper': did you mean 'paper'"):
            NetworkClassifier(RTCAN, recipe="papper").fit(*make_rows()[:2])

    def test_a_task_that_the_network_cannot_do_is_an_error(self):
        X, _, subject = make_rows()
        with pytest.raises(ValueError, match="Domain is a network for binary, multiclass, not for"):
            NetworkRegressor(Domain).fit(X, np.arange(len(X)), subject)

    def test_a_block_that_the_columns_lack_is_an_error(self):
        X, y, _ = make_rows()
        with pytest.raises(ValueError, match="Tiny needs the block 'music', but the columns hold"):
            NetworkClassifier(Tiny).fit(X.iloc[:, : 2 * N_TIMES], y)


class TestOutside:
    """One module of a user's, which declares nothing, through everything."""

    def test_it_learns_and_answers_alike_in_any_batch(self, model):
        X, y, _ = make_rows(seed=1)
        assert model.score(X, y) > 0.8
        assert model.sizes_ == {"n_chans": 2, "n_music_features": 2}
        assert model.blocks_ == {"eda": (2, N_TIMES), "music": (2,)}
        alone = np.vstack([model.predict_proba(X.iloc[[i]]) for i in range(20)])
        assert_array_equal(alone, model.predict_proba(X)[:20])

    def test_an_array_divides_by_the_parameters(self, model):
        X, y, _ = make_rows()
        by_number = NetworkClassifier(
            Tiny, module_params={"width": 6}, n_chans=2, n_music_features=2, **LEARNS
        ).fit(X.to_numpy(), y)
        assert_array_equal(by_number.predict_proba(X.to_numpy()), model.predict_proba(X))

    def test_people_are_set_aside_whole(self):
        X, y, subject = make_rows()
        settings = LEARNS | {"validation_fraction": 0.3, "max_epochs": 40, "patience": 2}
        model = NetworkClassifier(Tiny, **settings).fit(X, y)
        assert 1 <= len(model.validation_subjects_) < 6
        aside = np.isin(subject, model.validation_subjects_)
        chosen = model.predict_proba(X[aside])[np.arange(aside.sum()), (y[aside] == "tense") * 1]
        assert_allclose(-np.log(chosen).mean(), min(model.net_.history[:, "valid_loss"]), rtol=1e-4)

    def test_a_checkpoint_goes_on(self, tmp_path):
        X, y, _ = make_rows()
        model = NetworkClassifier(Tiny, checkpoint=tmp_path / "ck", **LEARNS)
        with pytest.raises(Killed):
            clone(model).set_params(callbacks=[Kill(3)]).fit(X, y)
        model.set_params(callbacks=[Kill(None)]).fit(X, y)
        unbroken = NetworkClassifier(Tiny, **LEARNS).fit(X, y)
        assert_array_equal(model.predict_proba(X), unbroken.predict_proba(X))
        assert not (tmp_path / "ck").exists()

    def test_it_is_loaded_where_it_is_trusted_by_name(self, model, tmp_path):
        X, _, _ = make_rows()
        name = f"{Tiny.__module__}.Tiny"
        save(make_pipeline(model), tmp_path / "m")
        with pytest.raises(FileError, match=rf"'{name}' is not trusted.*trusted=\['{name}'\]"):
            load(tmp_path / "m")
        for other in (["outside_network.Line"], [name.upper()], ["outside_network"]):
            with pytest.raises(FileError, match="is not trusted"):
                load(tmp_path / "m", trusted=other)
        with pytest.raises(TypeError, match="list of names"):
            load(tmp_path / "m", trusted=name)
        found = load(tmp_path / "m", trusted=[name])[-1]
        assert_array_equal(found.predict_proba(X), model.predict_proba(X))
        assert found.sizes_ == model.sizes_
        assert found.module is Tiny
        assert_array_equal(found.fit(X, make_rows()[1]).predict_proba(X), model.predict_proba(X))

    def test_nothing_is_imported_unless_it_is_trusted(self, model, tmp_path):
        save(model, tmp_path / "m")
        code = (
            "import sys; sys.path.insert(0, sys.argv[2]); import edaemo\n"
            "try: edaemo.load(sys.argv[1])\n"
            "except ValueError: print('outside_network' in sys.modules)\n"
            "edaemo.load(sys.argv[1], trusted=['outside_network.Tiny'])\n"
            "print('outside_network' in sys.modules)"
        )
        command = [sys.executable, "-c", code, tmp_path / "m", Path(__file__).parent]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "True"]

    def test_a_trusted_name_must_be_a_network(self, model, tmp_path, monkeypatch):
        save(model, tmp_path / "m")
        monkeypatch.setattr("outside_network.Tiny", print)
        with pytest.raises(FileError, match=r"'outside_network\.Tiny' is not a Module"):
            load(tmp_path / "m", trusted=["outside_network.Tiny"])
        monkeypatch.delattr("outside_network.Tiny")
        with pytest.raises(FileError, match="cannot be imported"):
            load(tmp_path / "m", trusted=["outside_network.Tiny"])

    def test_a_class_that_cannot_be_imported_is_not_saved(self, tmp_path):
        class Local(Line):
            pass

        X, y, _ = make_rows()
        model = NetworkClassifier(Local, max_epochs=1).fit(X, y)
        with pytest.raises(FileError, match=r"module is .*cannot be imported by its name"):
            save(model, tmp_path / "m")

    def test_onnx(self, model, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        X, _, _ = make_rows()
        beside = export_onnx(model, tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (found,) = session.run(["probability"], {"rows": X.to_numpy()})
        assert_allclose(found, model.predict_proba(X), atol=1e-5)
        facts = json.loads(beside.read_text())
        assert facts["classes"] == ["calm", "tense"]
        assert facts["layout"] == {"n_chans": 2, "n_music_features": 2}

    def test_attributions_are_those_of_the_formula(self, model):
        pytest.importorskip("captum")
        X, _, _ = make_rows()
        found = grad_cam(model, X, layer="convolve", target="tense")
        net = model.net_.module_
        eda = torch.tensor(X.to_numpy()[:, : 2 * N_TIMES]).reshape(-1, 2, N_TIMES)
        maps = net.convolve(eda).detach().numpy()
        # The mean over time goes into a linear layer: its weights are the importance of filters.
        importance = net.classify.weight[1, :6].detach().numpy() / maps.shape[-1]
        expected = np.maximum(np.einsum("k,nkt->nt", importance, maps), 0)
        assert_allclose(found.cam[:, ::2], expected, atol=1e-6)
        assert found.channels == ("a", "b")
        gradients = integrated_gradients(model, X, target="tense")
        assert_allclose(gradients.deviation, 0, atol=0.01)
        assert gradients.signals.shape == (len(X), 2, N_TIMES)
        bump = np.abs(gradients.weights[::2, 0, 8:16]).mean()
        assert bump > 0
        with pytest.raises(ValueError, match="has no layer 'convolv': did you mean"):
            grad_cam(model, X, layer="convolv")

    def test_a_grid_searches_its_own_parameters(self):
        X, y, subject = make_rows()
        grid = {"lr": [1e-9, 0.05], "module_params": [{"width": 2}]}
        net = NetworkClassifier(Tiny, max_epochs=8, random_state=0)
        search = GridSearchCV(net, grid, cv=GroupKFold(2)).fit(X, y, groups=subject)
        assert search.best_params_["lr"] == 0.05
        assert search.best_estimator_.net_.module_.classify.in_features == 2 + N_MUSIC


@pytest.fixture
def registered():
    """Two pipelines around a module of a user's, known by name inside the test."""
    learns = {"module": Line, "max_epochs": 5, "lr": 0.05}
    scaled = StandardScaler().set_output(transform="pandas")
    register_pipeline(
        "my-net", make_pipeline(scaled, NetworkClassifier(**learns)), input="features"
    )
    register_pipeline(
        "my-net",
        make_pipeline(scaled, NetworkRegressor(**learns)),
        input="features",
        task="regression",
    )
    yield
    del PIPELINES["my-net"], REGRESSORS["my-net"]


@pytest.mark.usefixtures("registered")
@pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")
def test_it_is_evaluated_by_name_as_a_classifier_and_as_a_regressor(tmp_path):
    study = make_music_listening(6, 8, 8, sampling_rate=4, duration=15, random_state=0)
    settings = {"people": "all", "n_splits": 3, "n_jobs": 1, "store": tmp_path / "s.sqlite"}
    classes = evaluate("my-net", study, "arousal", **settings)
    ratings = evaluate("my-net", study, "arousal", thresholds="none", **settings)
    for table in (classes, ratings):
        row = table.set_index("pipeline").loc["my-net"]
        assert row["n_failed"] == 0
    with ResultStore(tmp_path / "s.sqlite") as store:
        folds = store.folds().query("pipeline == 'my-net'")
    assert len(folds) == 6
    assert (folds["status"] == "done").all()


@pytest.fixture
def known_networks():
    """Networks from outside the package, known by name inside the test."""
    for network in (Line, Tiny, Steps):
        register_network(network.__name__.lower())(network)
    yield
    for network in (Line, Tiny, Steps):
        del NETWORKS[network.__name__.lower()]


@pytest.mark.usefixtures("known_networks")
@pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")
class TestKnownByName:
    """A registered network takes part in every task that it declares, by what it takes."""

    def test_pipelines_follow_from_the_declaration(self):
        of_line = {"line-eda", "line-eda-person"}
        for known in (PIPELINES, REGRESSORS):
            assert of_line | {"tiny-eda-music", "rtcan-eda", "rtcan-eda-music"} <= set(known)
            assert "tiny-eda" not in known  # it cannot do without music
        assert {
            name for name in SEQUENCE_REGRESSORS if not SEQUENCE_REGRESSORS[name].reference
        } >= {
            "tiny",
            "steps",
        }
        assert SEQUENCE_REGRESSORS["steps"].needs == ("voice", "face")
        assert REGRESSORS["tiny-eda-music"].needs_music

    def test_they_classify_and_predict_ratings(self, tmp_path):
        study = make_music_listening(6, 8, 8, sampling_rate=4, duration=15, random_state=0)
        names = ["line-eda", "line-eda-person", "tiny-eda-music", "cnn-eda"]
        settings = {"people": "all", "n_splits": 3, "max_epochs": 2, "n_jobs": 1}
        for thresholds in ("subject", "none"):
            table = evaluate(
                names, study, "arousal", thresholds=thresholds, **settings, store=tmp_path / "s"
            ).set_index("pipeline")
            assert (table.loc[names, "n_failed"] == 0).all()
            assert table.loc["line-eda-person", "transductive"]
        with ResultStore(tmp_path / "s") as store:
            folds = store.folds().query("pipeline == 'tiny-eda-music'")
        assert [len(audit["losses"]["train_loss"]) for audit in folds["audit"]] == [2] * 6

    def test_a_series_for_each_trial_is_learned_and_unlabelled_steps_do_not_count(self, tmp_path):
        trials, series = make_sequences(48)
        for labels in series[::3]:
            labels[1:3] = np.nan
        trials = trials.assign(trial=np.arange(48) % 8, stimulus=np.arange(48) % 8)
        study = Bunch(
            name="voices",
            trials=trials,
            ratings=pd.DataFrame(index=trials.index),
            targets={"course": pd.Series(series, dtype=object)},
        )
        table = evaluate(
            "steps", study, "course", n_splits=3, max_epochs=60, n_jobs=1, store=tmp_path / "s"
        ).set_index("pipeline")
        assert table.loc["steps", "n_failed"] == 0
        assert table.loc["steps", "concordance_correlation"] > 0.5
        assert table.loc["mean", "concordance_correlation"] < 0.05

    def test_a_name_belongs_to_one_network(self):
        with pytest.raises(ValueError, match="A network 'rtcan' is already registered"):
            register_network("rtcan")(Line)
        with pytest.raises(TypeError, match="a class of torch"):
            register_network("new")(lambda x: x)


class Killed(Exception):
    pass


class Kill(Callback):
    """Ends the fit as a kill would, once an epoch has begun; None: never."""

    def __init__(self, epoch: int | None) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Killed


class TestDeclared:
    """A module with a loss of its own, which reads who the people are."""

    def test_an_adversarial_head_is_a_loss(self, tmp_path):
        X, y, _ = make_rows()
        model = NetworkClassifier(Domain, random_state=0).fit(X, y)
        assert model.sizes_ == {"n_features": X.shape[1], "n_groups": 6}
        assert (model.net_.max_epochs, model.net_.lr, model.net_.batch_size) == (5, 0.01, 16)
        assert model.net_.module_.tell.out_features == 6
        save(model, tmp_path / "m")
        found = load(tmp_path / "m", trusted=["outside_network.Domain"])
        assert_array_equal(found.predict_proba(X), model.predict_proba(X))
        with pytest.raises(ValueError, match="Domain needs to know the subject of each trial"):
            NetworkClassifier(Domain).fit(X.to_numpy(), y)

    def test_first_loss_is_the_sum_of_both(self):
        X, y, subject = make_rows()
        settings = {"max_epochs": 1, "batch_size": 60, "random_state": 0}
        model = NetworkClassifier(Domain, callbacks=[Begin()], **settings).fit(X, y)
        net = Domain(X.shape[1], 6, 2)
        net.load_state_dict(Begin.kept)
        logits, people = (one.detach().double() for one in net(torch.tensor(X.to_numpy())))
        codes = np.searchsorted(["calm", "tense"], y), np.unique(subject, return_inverse=True)[1]
        expected = sum(
            -torch.log_softmax(scores, 1)[np.arange(60), code].mean()
            for scores, code in zip((logits, people), codes, strict=True)
        )
        assert_allclose(model.net_.history[0, "train_loss"], float(expected), rtol=1e-5)

    def test_people_set_aside_have_no_code(self):
        X, y, _ = make_rows()
        seen = Groups()
        NetworkClassifier(
            Domain, validation_fraction=0.3, max_epochs=1, callbacks=[seen], random_state=0
        ).fit(X, y)
        assert seen.aside == {-1}
        assert seen.training == set(range(len(seen.training)))
        assert 1 < len(seen.training) < 6

    def test_class_weights_and_smoothing_reach_the_loss(self):
        X, y, _ = make_rows()
        weighted = NetworkClassifier(
            Domain, class_weight={"calm": 1.0, "tense": 3.0}, label_smoothing=0.1
        ).fit(X, y)
        assert weighted.net_.criterion_.weight.tolist() == [1.0, 3.0]
        assert weighted.net_.criterion_.label_smoothing == 0.1


class Begin(Callback):
    """Keeps the weights that training begins with."""

    kept: dict = {}  # noqa: RUF012

    def on_train_begin(self, net, **kwargs):
        Begin.kept = {name: value.clone() for name, value in net.module_.state_dict().items()}


class Groups(Callback):
    """Keeps the codes of the people that batches hold."""

    def initialize(self):
        self.training, self.aside = set(), set()
        return self

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        (self.training if training else self.aside).update(batch.group.tolist())


class TestRegressor:
    def test_least_squares_is_found(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(80, 4))
        y = 50 + 10 * (X @ [1.0, -2.0, 0.5, 0.0]) + rng.normal(size=80)
        expected = np.linalg.lstsq(np.c_[X, np.ones(80)], y, rcond=None)[0]
        settings = FULL | {"max_epochs": 300, "weight_decay": 0.0}
        model = NetworkRegressor(Line, **settings).fit(X, y)
        assert_allclose(model.predict(X), np.c_[X, np.ones(80)] @ expected, atol=0.01)
        unscaled = NetworkRegressor(Line, scale_target=False, **settings).fit(X, y)
        assert_allclose(unscaled.predict(X), model.predict(X), atol=0.1)
        assert (unscaled.target_mean_, unscaled.target_scale_) == (0.0, 1.0)

    def test_file_onnx_and_attribution(self, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        pytest.importorskip("captum")
        X, y, _ = make_rows()
        rating = 100 + 20 * (y == "tense")
        model = NetworkRegressor(Tiny, max_epochs=30, lr=0.02, random_state=0).fit(X, rating)
        assert model.score(X, rating) > 0.5
        save(model, tmp_path / "m")
        found = load(tmp_path / "m", trusted=["outside_network.Tiny"])
        assert_array_equal(found.predict(X), model.predict(X))
        export_onnx(model, tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (answers,) = session.run(["prediction"], {"rows": X.to_numpy()})
        assert_allclose(answers[:, 0], model.predict(X), rtol=1e-5)
        gradients = integrated_gradients(model, X.iloc[:5])
        assert gradients.target.tolist() == [None] * 5
        assert_allclose(gradients.deviation, 0, atol=0.02)
        with pytest.raises(ValueError, match="target=1 is not a class"):
            grad_cam(model, X, layer="convolve", target=1)

    def test_ours_predict_ratings_too(self):
        X, y, _ = make_rows()
        rating = 3.0 * (y == "tense")
        for network in (FeatureCNN, RTCAN):
            model = NetworkRegressor(network, max_epochs=40, random_state=0)
            assert model.fit(X, rating).score(X, rating) > 0.3


def make_sequences(n: int = 24, seed: int = 0) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Trials of 6 to 20 steps; the target is linear in a step's features and the one before."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 20, size=n)
    voice = [rng.normal(size=(length, 3)) for length in lengths]
    face = [rng.normal(size=(length, 2)) for length in lengths]
    y = [
        30 + 5 * (v[:, 0] - 0.5 * f[:, 1] + 0.5 * np.r_[0, v[:-1, 2]])
        for v, f in zip(voice, face, strict=True)
    ]
    table = pd.DataFrame({"subject": np.repeat([f"p{i}" for i in range(6)], n // 6)})
    for name, cells in (("voice", voice), ("face", face)):
        table[name] = pd.Series(cells, dtype=object)
    return table, y


class TestSequences:
    SETTINGS = {"max_epochs": 60, "lr": 0.05, "batch_size": 8, "random_state": 0}  # noqa: RUF012

    def test_a_linear_series_is_found_and_a_trial_is_alone(self):
        X, y = make_sequences()
        model = NetworkSequenceRegressor(Steps, **self.SETTINGS).fit(X, y)
        assert model.blocks_ == {"voice": (3,), "face": (2,)}
        new, expected = make_sequences(seed=1)
        found = model.predict(new)
        assert [len(one) for one in found] == [len(one) for one in expected]
        assert model.score(new, expected) > 0.95
        together = concordance_correlation(np.concatenate(expected), np.concatenate([*found]))
        assert_allclose(model.score(new, expected), together)
        for i in (0, 5):
            assert_array_equal(model.predict(new.iloc[[i]])[0], found[i])

    @pytest.mark.parametrize("unlabelled", [[], [0, 3]])
    def test_loss_is_one_minus_concordance_of_labelled_steps(self, unlabelled):
        X, y = make_sequences(6)
        for series in y[::2]:
            series[unlabelled] = np.nan
        settings = {"max_epochs": 1, "batch_size": 6, "scale_target": False, "random_state": 0}
        model = NetworkSequenceRegressor(Steps, callbacks=[Begin()], **settings).fit(X, y)
        net = Steps({"voice": (3,), "face": (2,)}, 1)
        net.load_state_dict(Begin.kept)
        each = []
        for row, series in zip(X.itertuples(), y, strict=True):
            parts = [
                torch.tensor(cell[None], dtype=torch.float32) for cell in (row.voice, row.face)
            ]
            said = net(*parts, torch.ones(1, len(series), dtype=torch.bool))
            labelled = ~np.isnan(series)
            said = said.detach().numpy().ravel()
            each.append(concordance_correlation(series[labelled], said[labelled]))
        assert_allclose(model.net_.history[0, "train_loss"], 1 - np.mean(each), rtol=1e-4)

    def test_people_checkpoint_and_file(self, tmp_path):
        X, y = make_sequences()
        settings = self.SETTINGS | {"validation_fraction": 0.3, "max_epochs": 8, "patience": 3}
        model = NetworkSequenceRegressor(Steps, checkpoint=tmp_path / "ck", **settings)
        with pytest.raises(Killed):
            clone(model).set_params(callbacks=[Kill(4)]).fit(X, y)
        model.set_params(callbacks=[Kill(None)]).fit(X, y)
        model.set_params(callbacks=None, checkpoint=None)
        unbroken = NetworkSequenceRegressor(Steps, **settings).fit(X, y)
        assert 1 <= len(unbroken.validation_subjects_) < 6
        save(model, tmp_path / "m")
        found = load(tmp_path / "m", trusted=["outside_network.Steps"])
        for one, other, same in zip(
            model.predict(X), found.predict(X), unbroken.predict(X), strict=True
        ):
            assert_array_equal(one, other)
            assert_array_equal(one, same)

    def test_onnx_takes_sequences_of_any_length(self, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        X, y = make_sequences()
        model = NetworkSequenceRegressor(Steps, **self.SETTINGS | {"max_epochs": 2}).fit(X, y)
        export_onnx(model, tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for i in (0, 3):
            given = {name: X[name][i][None].astype(np.float32) for name in ("voice", "face")}
            (found,) = session.run(["prediction"], given)
            assert_allclose(found[0], model.predict(X.iloc[[i]])[0], rtol=1e-5)

    def test_integrated_gradients_of_the_mean_over_steps(self):
        pytest.importorskip("captum")
        X, y = make_sequences()
        model = NetworkSequenceRegressor(Steps, **self.SETTINGS | {"max_epochs": 2}).fit(X, y)
        found = integrated_gradients(model, X.iloc[:3])
        assert found.channels == ("voice 0", "voice 1", "voice 2", "face 0", "face 1")
        weight = model.net_.module_.convolve.weight.detach().numpy()[0]
        for i in range(3):
            steps = np.hstack([X["voice"][i], X["face"][i]]).T
            assert_allclose(found.signals[i], steps, rtol=1e-6)
            # A step counts for itself and for the steps beside it, if they are there.
            n_steps = steps.shape[1]
            counts = np.full((5, n_steps), weight.sum(axis=1)[:, None])
            counts[:, 0] -= weight[:, 2]
            counts[:, -1] -= weight[:, 0]
            assert_allclose(found.weights[i], counts * steps / n_steps, atol=1e-5)
        with pytest.raises(TypeError, match="grad_cam explains networks on rows"):
            grad_cam(model, X, layer="convolve")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda X, y: (X.drop(columns="face"), y), "needs column face: the table has"),
            (lambda X, y: (X, y[:-1]), "X holds 24 trials, but y holds 23 series"),
            (lambda X, y: (X, [y[0][:-1], *y[1:]]), r"row 0 .*a finite number or NaN for each"),
            (lambda X, y: (X, [y[0] * np.inf, *y[1:]]), r"row 0 .*a finite number or NaN"),
            (lambda X, y: (X, [y[0], y[1] * np.nan, *y[2:]]), r"row 1 .*is NaN at every step"),
            (lambda X, y: (X.assign(face=X["voice"].map(lambda v: v[1:])), y), "differ in their"),
            (lambda X, y: (X.assign(face=X["face"].map(lambda f: f * np.nan)), y), "holds NaN"),
            (lambda X, y: (X.assign(face=X["face"].map(lambda f: f[:, 0])), y), r"\(n_steps, n_fe"),
        ],
    )
    def test_what_makes_no_sense_is_one_error(self, change, message):
        with pytest.raises(ValueError, match=message):
            NetworkSequenceRegressor(Steps).fit(*change(*make_sequences()))
