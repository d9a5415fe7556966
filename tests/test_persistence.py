"""Models in files: what comes back, what is refused, and what becomes of damaged files."""

import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import imblearn.pipeline
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import sklearn
import skops.io
import torch
from imblearn.ensemble import BalancedRandomForestClassifier, EasyEnsembleClassifier
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, FeatureAgglomeration
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import (
    RFE,
    SelectKBest,
    VarianceThreshold,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import Callback, EpochScoring, EpochTimer, LRScheduler
from torch.nn.utils import prune

import edaemo
from edaemo import (
    CvxEDATransformer,
    MusicFeatureUnion,
    RTCANClassifier,
    SubjectThresholdRelabeler,
    export_onnx,
    load,
    save,
)
from edaemo._safe_file import ARRAYS, HEAD, FileError, read_archive, write_archive
from edaemo._torch import has_torch
from edaemo.benchmark import StimulusPriorClassifier, SubjectPriorClassifier, audit
from edaemo.datasets import make_continuous_listening, make_music_listening
from edaemo.estimators import CNNClassifier
from edaemo.evaluation._registry import INPUTS, PIPELINES_OF
from edaemo.features import EDAFeatureExtractor, MusicFeatureExtractor
from edaemo.persistence import FORMAT, describe
from edaemo.preprocessing import EDADecomposer, SubjectStandardizer
from edaemo.training import Checkpoint

# What the relabeler and the standardizer say of few trials is tested where it is due.
pytestmark = pytest.mark.filterwarnings("ignore:.*subjects:UserWarning")

EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_without_torch.py"
NARROW = {"channels": (8, 8, 8, 8), "max_epochs": 2, "random_state": 0}
RNG = np.random.default_rng(0)
N = 24
TRIALS = pd.DataFrame(
    {
        "subject": np.repeat(["p1", "p2", "p3", "p4"], 6),
        "stimulus": np.tile([11, 12, 13], 8),
        "trial": np.tile(range(6), 4),
        "eda": pd.Series([np.cumsum(RNG.normal(size=100)) for _ in range(N)]),
    }
)
RATINGS = pd.DataFrame(RNG.uniform(1, 9, size=(N, 2)), columns=["valence", "arousal"])
MUSIC = pd.DataFrame(RNG.normal(size=(3, 5)), index=[11, 12, 13], columns=list("abcde"))
ROWS = RNG.normal(size=(N, 16))
LABELS = np.tile(["calm", "tense"], N // 2)


def small_net(**settings: object) -> CNNClassifier:
    return CNNClassifier(**{"n_filters": 4, "max_epochs": 2, "random_state": 0} | settings)


def rtcan_chain() -> imblearn.pipeline.Pipeline:
    eda = CvxEDATransformer(sampling_rate=4, n_times=32)
    return imblearn.pipeline.Pipeline(
        [
            ("relabel", SubjectThresholdRelabeler(target="valence")),
            ("fuse", MusicFeatureUnion(eda=eda, music=MUSIC, reduce_music=PCA(2))),
            (
                "rtcan",
                RTCANClassifier(**NARROW, validation_fraction=0.3, class_weight="balanced"),
            ),
        ]
    )


@pytest.fixture(scope="module")
def chain() -> imblearn.pipeline.Pipeline:
    return rtcan_chain().fit(TRIALS, RATINGS)


@pytest.fixture(scope="module")
def net() -> CNNClassifier:
    return small_net().fit(ROWS, LABELS)


def again(estimator: BaseEstimator, folder: Path, **settings: object) -> BaseEstimator:
    path = folder / "model.edaemo"
    save(estimator, path)
    return load(path, **settings)


def assert_same(one: object, other: object) -> None:
    """Compare values, and estimators with all that they have learned, to the last bit and type."""
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, check_exact=True)
    elif isinstance(one, pd.Index):
        pd.testing.assert_index_equal(one, other, exact=True)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    elif isinstance(one, torch.nn.Module):
        assert_same(one.state_dict(), other.state_dict())
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif hasattr(one, "module_"):
        assert_same(one.module_, other.module_)
        assert_same(one.criterion_.weight, other.criterion_.weight)
        assert one.history.to_list() == other.history.to_list()
    elif isinstance(one, BaseEstimator):
        assert_same(vars(one), vars(other))
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif "MetadataRequest" in type(one).__name__:
        assert str(one) == str(other)
    elif not (isinstance(one, float) and np.isnan(one)):
        assert one == other or isinstance(one, LRScheduler)


TABLES = {
    "features and svm": make_pipeline(
        EDAFeatureExtractor(4),
        SubjectStandardizer(unseen="global"),
        StandardScaler().set_output(transform="pandas"),
        SVC(),
    ),
    "features and cnn": make_pipeline(
        MusicFeatureUnion(eda=EDAFeatureExtractor(4)), StandardScaler(), small_net()
    ),
    "components and pca": make_pipeline(
        MusicFeatureUnion(eda=EDADecomposer(4, method="highpass")), PCA(3), LogisticRegression()
    ),
    "music alone": make_pipeline(
        MusicFeatureUnion(eda="drop", music=MUSIC), LinearSVC(random_state=0)
    ),
    "stimulus prior": StimulusPriorClassifier(),
    "subject prior": SubjectPriorClassifier(),
}
NUMBERS = {
    "imputer": make_pipeline(SimpleImputer(), LogisticRegression()),
    "imputer with indicator": make_pipeline(SimpleImputer(add_indicator=True), SVC()),
    "select": make_pipeline(VarianceThreshold(), SelectKBest(k=3), SVC(class_weight="balanced")),
    "select by information": make_pipeline(SelectKBest(mutual_info_classif, k=3), LinearSVC()),
    "pca in pca": make_pipeline(make_pipeline(PCA(4)), "passthrough", PCA(2), SVC(kernel="linear")),
    "weights": make_pipeline(
        StandardScaler(), LogisticRegression(class_weight={"calm": 1, "tense": 2.5})
    ),
    "adam, a schedule": small_net(
        optimizer=torch.optim.Adam,
        optimizer_params={"betas": (0.8, 0.9)},
        lr_scheduler=LRScheduler("StepLR", step_size=1, gamma=0.5),
    ),
    "rtcan on an array": RTCANClassifier(n_chans=1, recipe="paper", **NARROW),
}


class TestRoundTrip:
    @pytest.mark.parametrize("name", TABLES)
    def test_pipeline_on_trials(self, name, tmp_path):
        model = clone(TABLES[name]).fit(TRIALS, LABELS)
        found = again(model, tmp_path)
        assert_same(model, found)
        for method in ("predict", "predict_proba", "decision_function"):
            if hasattr(model, method):
                assert_array_equal(getattr(model, method)(TRIALS), getattr(found, method)(TRIALS))

    @pytest.mark.parametrize("name", NUMBERS)
    def test_pipeline_on_numbers(self, name, tmp_path):
        model = clone(NUMBERS[name]).fit(ROWS, LABELS)
        found = again(model, tmp_path)
        assert_same(model, found)
        assert_array_equal(model.predict(ROWS), found.predict(ROWS))

    def test_whole_chain(self, chain, tmp_path):
        found = again(chain, tmp_path)
        assert_same(chain, found)
        assert_array_equal(chain.predict_proba(TRIALS), found.predict_proba(TRIALS))
        new = RATINGS.assign(subject=TRIALS["subject"].to_numpy())
        assert_array_equal(chain[0].relabel(new), found[0].relabel(new))

    @pytest.mark.same_bits
    def test_in_another_process(self, chain, tmp_path):
        save(chain, tmp_path / "model.edaemo")
        code = (
            "import sys, edaemo, numpy as np; from tests.test_persistence import TRIALS; "
            "np.save(sys.argv[2], edaemo.load(sys.argv[1]).predict_proba(TRIALS))"
        )
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / "model.edaemo", tmp_path / "p.npy"],
            check=True,
            cwd=EXAMPLE.parents[1],
        )
        assert_array_equal(np.load(tmp_path / "p.npy"), chain.predict_proba(TRIALS))

    @pytest.mark.parametrize(
        "labels",
        [
            [0, 1],
            [-1.0, 2.0],
            [False, True],
            ["ä", "b"],
            np.array(["2020-01-01", "2021-01-01"], "M8[s]"),
            np.array([3, 7], "i1"),
            np.array(["x", "y"], dtype=object),
        ],
    )
    def test_labels_of_any_type(self, labels, tmp_path):
        y = np.tile(labels, 4)
        model = small_net(max_epochs=1).fit(ROWS[:8], y)
        found = again(model, tmp_path)
        assert found.classes_.dtype == model.classes_.dtype
        assert_array_equal(model.predict(ROWS), found.predict(ROWS))

    def test_net_works_and_fits_again(self, net, tmp_path):
        found = again(net, tmp_path)
        assert found.net_.history[:, "train_loss"] == net.net_.history[:, "train_loss"]
        assert not found.net_.module_.training
        x = ROWS.astype(np.float32)
        assert_array_equal(net.net_.predict(x), found.net_.predict(x))
        assert_array_equal(found.fit(ROWS, LABELS).predict_proba(ROWS), net.predict_proba(ROWS))

    def test_loading_leaves_torchs_chance_alone(self, net, tmp_path):
        save(net, tmp_path / "m")
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        load(tmp_path / "m")
        assert torch.equal(torch.rand(3), expected)

    def test_transformer_alone_and_unfitted(self, tmp_path):
        assert_same(
            *[StandardScaler(with_mean=False), again(StandardScaler(with_mean=False), tmp_path)]
        )
        fitted = CvxEDATransformer(sampling_rate=4).fit(TRIALS)
        assert_same(fitted, again(fitted, tmp_path))

    def test_routing_requests_stay(self, tmp_path):
        with sklearn.config_context(enable_metadata_routing=True):
            model = SVC().set_fit_request(sample_weight=True).fit(ROWS, LABELS)
            ours = SubjectStandardizer().set_transform_request(subject=False)
            for one in (model, ours):
                assert_same(one.get_metadata_routing(), again(one, tmp_path).get_metadata_routing())

    def test_places_of_this_machine_are_left_out(self, tmp_path):
        model = make_pipeline(
            CvxEDATransformer(sampling_rate=4, n_times=16, memory=str(tmp_path / "kept")),
            MusicFeatureUnion(),
            small_net(checkpoint=tmp_path / "ck"),
            memory=str(tmp_path / "steps"),
        ).fit(TRIALS, LABELS)
        found = again(model, tmp_path)
        assert (found.memory, found[0].memory, found[-1].checkpoint) == (None, None, None)
        assert str(tmp_path).encode() not in (tmp_path / "model.edaemo").read_bytes()

    def test_nullable_music_predicts_the_same(self, tmp_path):
        music = MUSIC.astype("Float64")
        model = make_pipeline(MusicFeatureUnion(eda="drop", music=music), SVC()).fit(TRIALS, LABELS)
        found = again(model, tmp_path)
        assert_array_equal(model.decision_function(TRIALS), found.decision_function(TRIALS))


def on_features(*steps: object) -> Pipeline:
    return make_pipeline(EDAFeatureExtractor(4), StandardScaler(), *steps)


BY_COLUMN = ColumnTransformer(
    [("eda", EDAFeatureExtractor(4), ["eda"]), ("place", "passthrough", ["trial"])]
)
COMPOSED_ON_TRIALS = {
    "calibrated network": CalibratedClassifierCV(on_features(small_net()), cv=2),
    "calibrated by isotonic": CalibratedClassifierCV(on_features(SVC()), cv=2, method="isotonic"),
    "vote of an svm and a network": VotingClassifier(
        [("svm", on_features(LogisticRegression())), ("net", on_features(small_net()))],
        voting="soft",
    ),
    "stack": StackingClassifier(
        [("bayes", on_features(GaussianNB())), ("net", on_features(small_net()))], cv=2
    ),
    "columns": make_pipeline(BY_COLUMN, StandardScaler(), SVC()),
    "union": make_pipeline(
        FeatureUnion(
            [("a", EDAFeatureExtractor(4)), ("b", EDAFeatureExtractor(4, method="median"))]
        ),
        StandardScaler(),
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
    ),
    "smote on features": imblearn.pipeline.make_pipeline(
        EDAFeatureExtractor(4), SMOTE(k_neighbors=2, random_state=0), StandardScaler(), SVC()
    ),
    "one-hot subjects": make_pipeline(
        ColumnTransformer([("who", OneHotEncoder(), ["subject", "stimulus"])]), SVC()
    ),
}
COMPOSED_ON_NUMBERS = {
    "oversampled": imblearn.pipeline.make_pipeline(RandomOverSampler(random_state=0), SVC()),
    "undersampled": imblearn.pipeline.make_pipeline(
        RandomUnderSampler(random_state=0), small_net()
    ),
    "balanced forest": BalancedRandomForestClassifier(5, random_state=0),
    "easy ensemble": EasyEnsembleClassifier(2, random_state=0),
    "forest": RandomForestClassifier(5, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=3, random_state=0),
    "adaboost": AdaBoostClassifier(n_estimators=3, random_state=0),
    "bag of networks": BaggingClassifier(small_net(), n_estimators=2, random_state=0),
    "bag on half of the columns": BaggingClassifier(
        max_features=0.5, n_estimators=3, random_state=0
    ),
    "one against one": OneVsOneClassifier(small_net()),
    "neighbours": KNeighborsClassifier(3, algorithm="kd_tree", leaf_size=2),
    "ball tree": KNeighborsClassifier(3, algorithm="ball_tree", leaf_size=2),
    "perceptron": MLPClassifier(max_iter=5, random_state=0),
    "forest on more columns": make_pipeline(
        PolynomialFeatures(), RandomForestClassifier(2, random_state=0)
    ),
    "eliminated": make_pipeline(RFE(SVC(kernel="linear"), n_features_to_select=3), SVC()),
    "regression scores": make_pipeline(SelectKBest(f_regression, k=3), SVC()),
    "search": GridSearchCV(
        make_pipeline(StandardScaler(), small_net()),
        {"cnnclassifier": [small_net(), small_net(max_epochs=1)]},
        cv=2,
    ),
}


def answers(model: BaseEstimator, X: object) -> np.ndarray:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.decision_function(X)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestCompositions:
    """Estimators of scikit-learn and imbalanced-learn, with those of edaemo inside."""

    @pytest.mark.parametrize("name", [*COMPOSED_ON_TRIALS, *COMPOSED_ON_NUMBERS])
    def test_composition_predicts_the_same(self, name, tmp_path):
        X = TRIALS if name in COMPOSED_ON_TRIALS else ROWS
        labels = (np.arange(N) % 3 == 0).astype(int)  # unequal, so that a sampler changes them
        model = clone({**COMPOSED_ON_TRIALS, **COMPOSED_ON_NUMBERS}[name]).fit(X, labels)
        found = again(model, tmp_path)
        assert_array_equal(answers(model, X), answers(found, X))
        assert_array_equal(found.fit(X, labels).predict(X), model.predict(X))

    def test_best_estimator_of_a_search(self, tmp_path):
        search = GridSearchCV(on_features(SVC()), {"svc__C": [1.0, 2.0]}, scoring="accuracy", cv=2)
        best = search.fit(TRIALS, LABELS).best_estimator_
        assert_array_equal(answers(best, TRIALS), answers(again(best, tmp_path), TRIALS))

    @pytest.mark.parametrize(
        "last",
        [
            MultiOutputClassifier(small_net()),
            ClassifierChain(LogisticRegression()),
            RandomForestClassifier(2, random_state=0),
        ],
        ids=lambda last: type(last).__name__,
    )
    def test_two_labels_of_each_trial(self, last, tmp_path):
        """Such as valence and arousal."""
        labels = np.column_stack([np.arange(N) % 2, np.arange(N) % 3 == 0]).astype(int)
        model = clone(last).fit(ROWS, labels)
        assert_array_equal(again(model, tmp_path).predict(ROWS), model.predict(ROWS))
        said = describe(tmp_path / "model.edaemo")["classes"]
        assert said == {"values": [[0, 1], [0, 1]], "dtype": ["int64", "int64"]}

    def test_description_lists_the_parts(self, tmp_path):
        model = CalibratedClassifierCV(on_features(small_net()), cv=2).fit(TRIALS, LABELS)
        save(model, tmp_path / "m")
        said = describe(tmp_path / "m")
        assert said["classes"]["values"] == ["calm", "tense"]
        assert said["estimator"]["$estimator"] == "sklearn.calibration.CalibratedClassifierCV"
        assert said["estimator"]["parameters"]["cv"] == 2
        fitted = [part for part in said["estimator"]["parts"] if "net" in str(part)]
        assert {part["$estimator"] for part in fitted} == {"sklearn.pipeline.Pipeline"}
        assert len(said["training"]) == 2  # one network for each fold

    def test_folder_of_an_inner_pipeline_is_left_out(self, tmp_path):
        inner = make_pipeline(StandardScaler(), SVC(), memory=str(tmp_path / "steps"))
        model = VotingClassifier([("svm", inner)]).fit(ROWS, LABELS)
        assert again(model, tmp_path).estimators_[0].memory is None
        assert str(tmp_path).encode() not in (tmp_path / "model.edaemo").read_bytes()


SMALL_STUDY = make_music_listening(5, 6, 4, duration=12.0)
SMALL_CONTINUOUS = make_continuous_listening(5, 6, 4, duration=12.0)


@pytest.mark.filterwarnings("ignore::edaemo.preprocessing.SignalQualityWarning")
@pytest.mark.parametrize(
    ("task", "name"),
    [
        (task, name)
        for task, pipelines in PIPELINES_OF.items()
        for name in pipelines
        if not name.startswith("my-")  # registered by other test files
    ],
)
def test_every_registered_pipeline_can_be_saved(task, name, tmp_path):
    entry = PIPELINES_OF[task][name]
    # Some pipelines need a study with ratings over time.
    study, n_steps = (SMALL_CONTINUOUS, 24) if entry.fields else (SMALL_STUDY, 5)
    X, n = study.trials.assign(n_steps=n_steps), len(study.trials)
    if entry.input in INPUTS:
        X = INPUTS[entry.input](study.sampling_rate).fit_transform(study.trials)
    numbers = np.random.default_rng(0).normal(size=(n, n_steps))
    series = np.empty(n, dtype=object)
    series[:] = list(numbers)
    y = {
        "binary": np.arange(n) % 2,
        "multiclass": np.arange(n) % 3,
        "regression": numbers[:, 0],
        "sequence-regression": series,
    }[task]
    model = clone(entry.make(study))
    for parameter in model.get_params():
        if parameter.rpartition("__")[2] == "max_epochs":
            model.set_params(**{parameter: 1})
    model.fit(X, y)
    found = again(model, tmp_path)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    for one, other in zip(getattr(model, method)(X), getattr(found, method)(X), strict=True):
        assert_array_equal(one, other)


class TestReadBack:
    """`save` reads what it has written, and compares the networks."""

    def test_what_an_explainer_left_in_a_network_is_not_saved(self, tmp_path):
        """shap's DeepExplainer leaves parameters x and y in the modules if it is interrupted."""
        model = small_net().fit(ROWS, LABELS)
        expected = model.predict_proba(ROWS)
        for module in list(model.net_.module_.modules()):
            module.x = torch.nn.Parameter(torch.ones(3))
        assert_array_equal(again(model, tmp_path).predict_proba(ROWS), expected)

    @pytest.mark.parametrize("change", ["hook", "prune", "layer"])
    def test_network_that_was_changed_after_the_fit_is_refused(self, change, tmp_path):
        model = small_net().fit(ROWS, LABELS)
        again(model, tmp_path)
        before = (tmp_path / "model.edaemo").read_bytes()
        network = model.net_.module_
        layer = next(m for m in network.modules() if isinstance(m, torch.nn.Linear))
        if change == "hook":
            layer.register_forward_hook(lambda module, given, output: output + given[0].mean())
        elif change == "prune":
            prune.l1_unstructured(layer, "weight", amount=0.5)
        else:
            layer.weight = torch.nn.Parameter(torch.zeros(7, 7))
        said = {"hook": "predicts otherwise", "prune": "no weights .*weight", "layer": "read back"}
        with pytest.raises(FileError, match=f"(?s){said[change]}"):
            save(model, tmp_path / "model.edaemo")
        assert os.listdir(tmp_path) == ["model.edaemo"]
        assert (tmp_path / "model.edaemo").read_bytes() == before


class TestContent:
    def test_facts_are_for_reading(self, chain, tmp_path):
        folds = audit([(range(12), range(12, 24))], TRIALS, LABELS)
        save(chain, tmp_path / "m", audit=folds)
        said = describe(tmp_path / "m")
        assert said["versions"]["torch"] == version("torch")
        assert said["classes"] == {"values": [0, 1], "dtype": "int64"}
        assert said["input"]["n_columns"] == 3 * 32 + 2
        assert said["input"]["columns"][-1] == "music_pca1"
        (training,) = said["training"]
        layout = {key: training["network"][key] for key in ("n_chans", "n_times")}
        assert layout == {"n_chans": 3, "n_times": 32}
        assert training["epochs"] == len(training["train_loss"]) == len(training["valid_loss"]) == 2
        assert training["recipe"]["optimizer"] == "AdamW"
        assert training["seed"] == 0
        aside = training["validation_subjects"]
        assert training["n_training_rows"] == (~TRIALS["subject"].isin(aside)).sum() < N
        assert said["audit"][0]["subjects_shared"] == 0
        assert said["audit"][0]["n_training"] == 12

    def test_members_are_plain_formats(self, net, tmp_path):
        save(net, tmp_path / "m")
        with zipfile.ZipFile(tmp_path / "m") as archive:
            assert archive.testzip() is None
            weights = safetensors.numpy.load(archive.read("net0.safetensors"))
        for name, value in net.net_.module_.state_dict().items():
            assert_array_equal(weights[name], value.numpy())

    def test_no_file_is_left_beside_it(self, net, tmp_path):
        again(net, tmp_path)
        again(net, tmp_path)
        assert os.listdir(tmp_path) == ["model.edaemo"]


FILES = Path(__file__).parent / "files"


@pytest.mark.filterwarnings("ignore:.*saved with scikit-learn:UserWarning")
class TestFormat1:
    """Files that edaemo wrote before format 2, and what their models answered then."""

    @pytest.mark.parametrize("name", ["rtcan", "cnn", "stimulus-prior", "subject-prior"])
    def test_model_answers_as_it_did(self, name):
        expected = json.loads((FILES / "format1.json").read_text())[name]
        model = load(FILES / f"format1-{name}.edaemo")
        # Another processor decomposes and multiplies in other last digits.
        np.testing.assert_allclose(model.predict_proba(TRIALS), expected, atol=1e-3)

    def test_it_is_written_anew_in_the_present_format(self, tmp_path):
        model = load(FILES / "format1-rtcan.edaemo")
        found = again(model, tmp_path)
        assert_same(model, found)
        assert_array_equal(model.predict_proba(TRIALS), found.predict_proba(TRIALS))
        assert (
            model[-1].net_.criterion_.weight.tolist() == found[-1].net_.criterion_.weight.tolist()
        )
        assert len(describe(tmp_path / "model.edaemo")["training"]) == 1


class Foreign(BaseEstimator):
    def fit(self, X: object, y: object = None) -> "Foreign":
        return self


class Louder(StandardScaler):
    pass


class Mine(DecisionTreeClassifier):
    pass


class TestRefusals:
    @pytest.mark.parametrize(
        ("model", "said"),
        [
            (Pipeline([("mine", Foreign())]), "step 'mine'.*test_persistence.Foreign"),
            (Pipeline([("mine", Louder())]), "step 'mine'.*test_persistence.Louder"),
            (MusicFeatureUnion(eda=Foreign()), "MusicFeatureUnion: eda is a .*Foreign"),
            (MusicFeatureUnion(reduce_music=Foreign()), "reduce_music is a .*Foreign"),
            (MusicFeatureUnion(music=lambda s: MUSIC), "a callable.*as a DataFrame"),
            (MusicFeatureUnion(music=(Foreign(), {})), "an extractor.*as a DataFrame"),
            (SelectKBest(chi2), "SelectKBest holds a sklearn.*chi2"),
            (SimpleImputer(strategy=np.median), "SimpleImputer holds a numpy.median"),
            (
                Pipeline([("log", FunctionTransformer(np.log1p))]),
                r"step 'log' .* holds a numpy.*log1p",
            ),
            (BaggingClassifier(Mine()), "BaggingClassifier holds a .*test_persistence.Mine"),
            (
                GridSearchCV(SVC(), {"C": [1.0]}, cv=2, scoring="accuracy"),
                r"GridSearchCV holds a .*accuracy_score.*save best_estimator_",
            ),
            (
                TunedThresholdClassifierCV(LogisticRegression(), cv=2),
                r"balanced_accuracy_score.*save FixedThresholdClassifier\(FrozenEstimator",
            ),
            (Pipeline([("birch", Birch())]), "step 'birch' .*Birch are not supported"),
            (PCA(random_state=np.random.RandomState(0)), "PCA holds a .*RandomState"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_step_is_refused_by_name(self, model, said, tmp_path):
        if hasattr(model, "predict"):
            model.fit(ROWS, LABELS)
        with pytest.raises(FileError, match=said):
            save(model, tmp_path / "m")
        assert not os.listdir(tmp_path)

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"callbacks": [EpochTimer()]}, r"EpochTimer.*set_params\(callbacks=None\)"),
            ({"random_state": np.random.RandomState(0)}, r"set_params\(random_state=None\)"),
            (
                {"lr_scheduler": LRScheduler("LambdaLR", lr_lambda=lambda epoch: 1.0)},
                "lr_scheduler is .*lambda",
            ),
        ],
    )
    def test_code_in_parameters_of_a_net_is_refused(self, settings, said, tmp_path):
        model = small_net(**settings).fit(ROWS, LABELS)
        with pytest.raises(FileError, match=said):
            save(model, tmp_path / "m")
        model.set_params(**dict.fromkeys(settings))
        assert_array_equal(again(model, tmp_path).predict(ROWS), model.predict(ROWS))

    def test_optimizer_of_ones_own_is_refused(self, tmp_path):
        class Adam(torch.optim.Adam):
            pass

        with pytest.raises(FileError, match=r"optimizer is .*Adam.*torch\.optim"):
            save(small_net(optimizer=Adam).fit(ROWS, LABELS), tmp_path / "m")

    def test_unknown_attribute_is_refused(self, tmp_path):
        model = small_net().fit(ROWS, LABELS)
        model.note_ = "mine"
        with pytest.raises(FileError, match="'note_'"):
            save(model, tmp_path / "m")

    def test_unfitted_is_refused(self, tmp_path):
        with pytest.raises(NotFittedError):
            save(small_net(), tmp_path / "m")

    def test_other_columns_are_refused_after_loading(self, chain, net, tmp_path):
        with pytest.raises(ValueError, match=r"17 features.*16"):
            again(net, tmp_path).predict(np.ones((2, 17)))
        longer = again(chain, tmp_path)[-1]
        frame = pd.DataFrame(np.zeros((2, 98)), columns=[f"eda_original_{i}" for i in range(98)])
        with pytest.raises(ValueError, match="feature names should match"):
            longer.predict(frame)


@pytest.fixture
def file(net, tmp_path) -> Path:
    save(net, tmp_path / "model.edaemo")
    return tmp_path / "model.edaemo"


def rewrite(path: Path, **changes: object) -> None:
    """Edit the JSON of a file, or put other members in, and make the checksum fit."""
    members = read_archive(path, "model", FORMAT)
    for name, change in changes.items():
        if name == "head":
            head = json.loads(members[HEAD])
            change(head)
            members[HEAD] = json.dumps(head).encode()
        else:
            members[name] = change
    write_archive(path, "model", FORMAT, members)


class TestDamage:
    def test_every_flipped_byte_is_noticed(self, tmp_path):
        save(StandardScaler().fit(ROWS[:, :2]), tmp_path / "m")
        whole = (tmp_path / "m").read_bytes()
        ends = [*range(60), *range(len(whole) - 300, len(whole))]
        for place in {*ends, *range(0, len(whole), 11)}:
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            (tmp_path / "m").write_bytes(changed)
            with pytest.raises(FileError, match=r"damaged|another kind"):
                read_archive(tmp_path / "m", "model", FORMAT)

    @pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
    def test_cut_short(self, file, share):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(
            FileError, match=r"model\.edaemo: the file is damaged: it was truncated"
        ):
            load(file)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello " * 99, b"\x80\x04."])
    def test_foreign(self, file, content):
        file.write_bytes(content)
        with pytest.raises(FileError, match="not an edaemo model, but another kind of file"):
            load(file)

    def test_zip_of_somebody_else(self, file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(FileError, match="another kind of file"):
            load(file)

    def test_newer_format(self, file):
        write_archive(file, "model", 3, {HEAD: b"what only edaemo 9 understands"})
        for read in (load, describe):
            with pytest.raises(FileError, match=r"format 3, written by a newer edaemo.*--upgrade"):
                read(file)

    def test_missing_or_a_folder(self, tmp_path):
        with pytest.raises(FileError, match=r"nowhere: cannot be read: No such file"):
            load(tmp_path / "nowhere")
        with pytest.raises(FileError, match="cannot be read: Is a directory"):
            load(tmp_path)

    def test_where_nothing_can_be_written(self, net, file):
        with pytest.raises(FileError, match="cannot be written: Not a directory"):
            save(net, file / "model.edaemo")
        with pytest.raises(FileError, match="cannot be written: No such file"):
            save(net, file.parent / "no" / "folder")

    def test_full_disk_leaves_the_old_file(self, net, file):
        before = file.read_bytes()
        code = (
            "import sys, edaemo, resource; model = edaemo.load(sys.argv[1]); "
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2},) * 2); "
            "edaemo.save(model, sys.argv[1])"
        )
        done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True)
        assert done.returncode == 1
        assert "model.edaemo: cannot be written: File too large." in done.stderr
        assert file.read_bytes() == before
        assert os.listdir(file.parent) == [file.name]


class TestEdited:
    """Files whose checksum was made to fit again."""

    @pytest.mark.parametrize(
        "name", ["os.system", "builtins.eval", "sklearn.tree.DecisionTreeClassifier", "edaemo"]
    )
    def test_class_that_is_not_on_the_list(self, file, name):
        rewrite(file, head=lambda head: head["estimator"].update({"$estimator": name}))
        with pytest.raises(FileError, match=f"'{name}' is not trusted"):
            load(file)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"checkpoint": "/etc/passwd"}, "checkpoint="),
            ({"n_filters": -1}, "n_filters"),
            ({"surprise": 1}, "surprise"),
            ({"optimizer": {"$optimizer": "eval"}}, "eval"),
            ({"optimizer": {"$call": "eval"}}, "call"),
            ({"lr_scheduler": {"$schedule": "x", "parameters": {"$dict": []}}}, "'x'"),
            ({"n_filters": 8}, "size mismatch"),
        ],
    )
    def test_parameters(self, file, change, said):
        rewrite(file, head=lambda head: head["estimator"]["parameters"].update(change))
        with pytest.raises(FileError, match=f"(?s)edaemo did not write this file.*{said}"):
            load(file)

    def test_folder_of_pickles_is_not_opened(self, tmp_path):
        save(CvxEDATransformer(sampling_rate=4).fit(TRIALS), tmp_path / "m")
        rewrite(
            tmp_path / "m", head=lambda head: head["estimator"]["parameters"].update(memory="x")
        )
        with pytest.raises(FileError, match="memory='x'"):
            load(tmp_path / "m")

    def test_state_that_the_class_lacks(self, file):
        rewrite(file, head=lambda head: head["estimator"]["state"].update(predict=1))
        with pytest.raises(FileError, match="has no 'predict'"):
            load(file)

    def test_lacking_parts(self, file):
        rewrite(file, head=lambda head: head["estimator"]["net"].update(weights="other"))
        with pytest.raises(FileError, match="edaemo did not write this file"):
            load(file)
        rewrite(file, **{HEAD: b"[" * 10**5})
        with pytest.raises(FileError, match="edaemo did not write this file"):
            load(file)

    def edit_skops(self, path: Path, old: str, new: str) -> None:
        members = read_archive(path, "model", FORMAT)
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(members["part0.skops"])) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        schema, n_changed = re.subn(old, new, parts["schema.json"].decode())
        assert n_changed == 1
        parts["schema.json"] = schema.encode()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        rewrite(path, **{"part0.skops": buffer.getvalue()})

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (
                r'"f_classif",\s+"__module__": "sklearn[\w.]+"',
                '"system", "__module__": "posix"',
            ),
            # These two skops itself trusts.
            ('"f_classif"', '"chi2"'),
            ('"SelectKBest"', '"SelectFdr"'),
            ('"__loader__": "FunctionNode"', '"__loader__": "MethodNode"'),
            ('"protocol": 2', '"protocol": 0'),
        ],
    )
    def test_function_in_scikit_learns_part(self, tmp_path, old, new):
        save(SelectKBest(k=2).fit(ROWS, LABELS), tmp_path / "m")
        self.edit_skops(tmp_path / "m", old, new)
        with pytest.raises(FileError, match="is not allowed"):
            load(tmp_path / "m")

    def test_other_estimator_in_its_place(self, tmp_path):
        save(StandardScaler().fit(ROWS), tmp_path / "m")
        rewrite(tmp_path / "m", **{"part0.skops": skops.io.dumps(PCA(2).fit(ROWS))})
        with pytest.raises(FileError, match=r"PCA is in the place of .*StandardScaler"):
            load(tmp_path / "m")
        forest = RandomForestClassifier(1).fit(ROWS, LABELS)
        rewrite(tmp_path / "m", **{"part0.skops": skops.io.dumps(forest)})
        with pytest.raises(FileError, match="is not allowed"):
            load(tmp_path / "m")

    def change_part(self, path: Path, change: object) -> None:
        """Edit the schema of scikit-learn's part."""
        members = read_archive(path, "model", FORMAT)
        with zipfile.ZipFile(io.BytesIO(members["part0.skops"])) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        schema = json.loads(parts["schema.json"])
        change(schema)
        parts["schema.json"] = json.dumps(schema).encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        rewrite(path, **{"part0.skops": buffer.getvalue()})

    @pytest.mark.parametrize(
        ("loader", "module", "name"),
        [
            ("LossNode", "posix", "system"),
            ("LossNode", "sklearn.tree._classes", "DecisionTreeClassifier"),
            ("ObjectNode", "subprocess", "Popen"),
            ("ObjectNode", "tests.test_persistence", "Foreign"),
            ("ObjectNode", "sklearn.utils._testing", "TempMemmap"),
            ("ObjectNode", "sklearn.datasets._base", "RemoteFileMetadata"),
            ("ObjectNode", "sklearn.base", "warnings"),
            ("ObjectNode", "sklearn.svm", "SVC"),  # not where it is defined
            ("FunctionNode", "numpy", "load"),
            ("FunctionNode", "sklearn.datasets._base", "load_files"),
            ("TypeNode", "builtins", "eval"),
            ("ConstructorFromReduceNode", "sklearn.utils.parallel", "Parallel"),
            ("PartialNode", "functools", "partial"),
            ("OperatorFuncNode", "operator", "methodcaller"),
            ("CachedNode", None, None),
        ],
    )
    def test_no_code_in_a_part_of_scikit_learn(self, loader, module, name, tmp_path):
        save(SVC().fit(ROWS, LABELS), tmp_path / "m")

        def change(schema: dict) -> None:
            node = {"__loader__": loader, "__module__": module, "__class__": name, "content": {}}
            schema["content"]["content"]["C"] = node

        self.change_part(tmp_path / "m", change)
        with pytest.raises(FileError, match="is not allowed"):
            load(tmp_path / "m")

    def test_folder_of_pickles_in_a_part_is_not_opened(self, tmp_path):
        model = FeatureAgglomeration(2, pooling_func=f_classif).fit(ROWS)
        save(model, tmp_path / "m")

        def change(schema: dict) -> None:
            schema["content"]["content"]["memory"]["content"] = json.dumps(str(tmp_path))

        self.change_part(tmp_path / "m", change)
        assert load(tmp_path / "m").memory is None

    @pytest.mark.parametrize(
        ("model", "edit"),
        [
            (DecisionTreeClassifier(random_state=0), lambda t: t.children_left.__setitem__(0, 99)),
            (DecisionTreeClassifier(random_state=0), lambda t: t.children_right.__setitem__(0, 0)),
            (DecisionTreeClassifier(random_state=0), lambda t: t.children_left.__setitem__(0, -5)),
            (DecisionTreeClassifier(random_state=0), lambda t: t.feature.__setitem__(0, 10**6)),
        ],
        ids=["after the end", "a circle", "before the start", "another column"],
    )
    def test_tree_that_would_read_foreign_memory(self, model, edit, tmp_path):
        """skops refuses trees for this reason; scikit-learn crashes when they predict."""
        model = clone(model).fit(ROWS, LABELS)
        save(model, tmp_path / "m")
        edit(model.tree_)
        part = skops.io.dumps(model)
        rewrite(tmp_path / "m", **{"part0.skops": part})
        with pytest.raises(FileError, match=r"edaemo did not write this file.*(tree|node)"):
            load(tmp_path / "m")

    def test_boosted_tree_that_would_read_foreign_memory(self, tmp_path):
        model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2).fit(ROWS, LABELS)
        save(model, tmp_path / "m")
        for field, value in [("left", 10**6), ("right", 0), ("feature_idx", 16)]:
            nodes = model._predictors[0][0].nodes
            before = nodes.copy()
            nodes[field][0] = value
            rewrite(tmp_path / "m", **{"part0.skops": skops.io.dumps(model)})
            with pytest.raises(FileError, match=r"edaemo did not write this file.*(tree|node)"):
                load(tmp_path / "m")
            nodes[:] = before

    def test_trees_with_more_columns_than_their_forest(self, tmp_path):
        model = RandomForestClassifier(2, random_state=0).fit(ROWS, LABELS)
        save(model, tmp_path / "m")
        model.n_features_in_ = 2
        rewrite(tmp_path / "m", **{"part0.skops": skops.io.dumps(model)})
        with pytest.raises(FileError, match="a tree reads 16 columns of 2"):
            load(tmp_path / "m")

    def test_device_that_is_not_here(self, net, file):
        rewrite(file, head=lambda head: head["estimator"]["parameters"].update(device="cuda:99"))
        with pytest.raises(FileError, match=r"cuda:99.*load it with device='auto'"):
            load(file)
        assert_array_equal(load(file, device="cpu").predict(ROWS), net.predict(ROWS))


class TestOtherVersions:
    """Files of other versions; those that were tried are in docs/files.md."""

    def other(self, path: Path, **versions: str) -> None:
        named = {name.replace("_", "-"): version for name, version in versions.items()}
        rewrite(path, head=lambda head: head["versions"].update(named))

    def test_one_warning_names_both(self, tmp_path):
        model = make_pipeline(StandardScaler(), SimpleImputer(), small_net()).fit(ROWS, LABELS)
        save(model, tmp_path / "m")
        self.other(tmp_path / "m", scikit_learn="1.7.2", torch="2.9.1")
        with pytest.warns(UserWarning) as caught:
            loaded = load(tmp_path / "m")
        (said,) = (str(one.message) for one in caught)
        assert said.startswith(f"{tmp_path / 'm'}: saved with")
        assert f"scikit-learn 1.7.2 (installed: {sklearn.__version__})" in said
        assert f"torch 2.9.1 (installed: {version('torch')})" in said
        assert_array_equal(loaded.predict_proba(ROWS), model.predict_proba(ROWS))

    def test_nothing_is_said_of_what_the_model_does_not_hold(self, net, tmp_path):
        save(net, tmp_path / "net")
        self.other(tmp_path / "net", scikit_learn="1.7.2", pandas="2.0.0", skops="0.14.0")
        load(tmp_path / "net")  # a warning would be an error
        save(StandardScaler().fit(ROWS), tmp_path / "scaler")
        self.other(tmp_path / "scaler", torch="2.9.1")
        load(tmp_path / "scaler")
        # The same release, built for another device.
        self.other(tmp_path / "net", torch=version("torch").partition("+")[0] + "+cu999")
        load(tmp_path / "net")

    def test_scikit_learns_own_warnings_are_one_of_ours(self, tmp_path, monkeypatch):
        """Here the parts themselves are of another version, as scikit-learn writes it into them."""
        model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(ROWS, LABELS)
        with monkeypatch.context() as older:
            older.setattr("sklearn.base.__version__", "1.7.2")
            save(model, tmp_path / "m")
        self.other(tmp_path / "m", scikit_learn="1.7.2")
        with pytest.warns(UserWarning, match=r"scikit-learn 1\.7\.2") as caught:
            load(tmp_path / "m")
        assert len(caught) == 1

    def test_parameter_that_is_gone_has_its_default(self, tmp_path):
        """As `probability` of an SVC, which scikit-learn 1.9 has and 1.8 does not know as such."""
        model = SVC().fit(ROWS, LABELS).set_params(shrinking="deprecated")
        save(model, tmp_path / "m")
        loaded = load(tmp_path / "m")
        assert loaded.shrinking is True
        assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))

    def test_parameter_that_is_not_known_here(self, tmp_path):
        model = SVC().fit(ROWS, LABELS)
        save(model, tmp_path / "m")
        newer = skops.io.dumps(model.set_params(gamma="newest"))
        rewrite(tmp_path / "m", **{"part0.skops": newer})
        with pytest.raises(FileError, match=r"edaemo did not write this file.*gamma") as caught:
            load(tmp_path / "m")
        assert "saved with" not in str(caught.value)
        self.other(tmp_path / "m", scikit_learn="9.9.0")
        said = rf"gamma.*scikit-learn 9\.9\.0 \(installed: {re.escape(sklearn.__version__)}\)"
        with pytest.raises(FileError, match=f"(?s){said}"):
            load(tmp_path / "m")


class Killed(Exception):
    pass


def kill_after(n_epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Checkpoint.on_epoch_end

    def stop(self: Checkpoint, net: object, **kwargs: object) -> None:
        write(self, net, **kwargs)
        if len(net.history) == n_epochs:
            raise Killed

    monkeypatch.setattr(Checkpoint, "on_epoch_end", stop)


class Epochs(Callback):
    """Keeps the numbers of the epochs that it saw."""

    def initialize(self) -> "Epochs":
        self.seen: list[int] = []
        return self

    def on_epoch_end(self, net: object, **kwargs: object) -> None:
        self.seen.append(len(net.history))


class Remembering(Epochs):
    """Gives its state to a checkpoint, and takes it back."""

    def state_dict(self) -> dict:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict) -> None:
        self.seen = state["seen"]


def losses(history: list[dict]) -> list[dict]:
    """Return a history without its times."""
    return [{key: epoch[key] for key in epoch if key != "dur"} for epoch in history]


SUBJECT = np.repeat(list("abcdef"), 4)
FIT = """
import os, signal, sys
import numpy as np
from edaemo import RTCANClassifier
from edaemo.training import Checkpoint
from tests.test_persistence import ROWS, LABELS, SUBJECT, STOPPING
from edaemo import _whole_file
write, replace = Checkpoint.on_epoch_end, os.replace
def killed(self, net, **kwargs):
    if len(net.history) == 4:  # while the file is written
        os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
    write(self, net, **kwargs)
Checkpoint.on_epoch_end = killed
RTCANClassifier(**STOPPING, checkpoint=sys.argv[1]).fit(ROWS, LABELS, subject=SUBJECT)
"""
STOPPING = NARROW | {
    "n_chans": 1,
    "max_epochs": 40,
    "validation_fraction": 0.3,
    "patience": 3,
    "lr": 0.02,
}


class TestCheckpoint:
    @pytest.mark.skipif(not has_torch(), reason="needs torch")
    def test_killed_fit_ends_with_the_weights_of_an_unbroken_one(self, tmp_path):
        path = tmp_path / "ck"
        done = subprocess.run([sys.executable, "-c", FIT, path], cwd=EXAMPLE.parents[1])
        assert done.returncode == -signal.SIGKILL
        left = os.listdir(tmp_path)
        assert len(left) == 2  # and what was being written
        assert len(Checkpoint(path).kept["history"]) == 3
        unbroken = RTCANClassifier(**STOPPING).fit(ROWS, LABELS, subject=SUBJECT)
        resumed = RTCANClassifier(**STOPPING, checkpoint=path).fit(ROWS, LABELS, subject=SUBJECT)
        assert 4 < len(unbroken.net_.history) < 40  # stopped early, after the kill
        assert_same(unbroken.net_.module_, resumed.net_.module_)
        assert losses(unbroken.net_.history) == losses(resumed.net_.history)
        assert_array_equal(unbroken.predict_proba(ROWS), resumed.predict_proba(ROWS))
        assert not path.exists()

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"recipe": "paper", "lr_scheduler": LRScheduler("StepLR", step_size=1)},
            {"recipe": "published", "class_weight": "balanced"},
            {
                "optimizer": torch.optim.Adam,
                "lr_scheduler": LRScheduler(
                    torch.optim.lr_scheduler.OneCycleLR,
                    max_lr=0.1,
                    total_steps=50,
                    step_every="batch",
                ),
            },
            {"lr_scheduler": LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0)},
        ],
        ids=["cosine", "steps", "momentum", "one cycle", "plateau"],
    )
    def test_optimizer_and_schedule_go_on(self, settings, tmp_path, monkeypatch):
        settings = NARROW | {"n_chans": 1, "max_epochs": 4, "batch_size": 8} | settings
        unbroken = RTCANClassifier(**settings).fit(ROWS, LABELS)
        broken = RTCANClassifier(**settings, checkpoint=tmp_path / "ck")
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(2, patch)
            broken.fit(ROWS, LABELS)
        assert not hasattr(broken, "net_")
        broken.fit(ROWS, LABELS)
        assert_same(unbroken.net_.module_, broken.net_.module_)
        assert losses(unbroken.net_.history) == losses(broken.net_.history)

    def test_without_a_seed_the_files_own_is_taken(self, tmp_path, monkeypatch):
        model = small_net(random_state=None, checkpoint=str(tmp_path / "ck"))
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(1, patch)
            model.fit(ROWS, LABELS)
        first = Checkpoint(tmp_path / "ck").kept["history"]
        model.fit(ROWS, LABELS)
        assert model.net_.history.to_list()[:1] == first
        assert len(model.net_.history) == 2

    def test_killed_after_the_last_epoch(self, tmp_path, monkeypatch):
        model = small_net(checkpoint=tmp_path / "ck")
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(2, patch)
            model.fit(ROWS, LABELS)
        model.fit(ROWS, LABELS)
        assert_array_equal(
            model.predict_proba(ROWS), small_net().fit(ROWS, LABELS).predict_proba(ROWS)
        )

    @pytest.mark.parametrize(
        ("settings", "X", "y", "said"),
        [
            ({"max_epochs": 9}, ROWS, LABELS, r"max_epochs \(2 in the file, 9 now\)\."),
            ({"optimizer": torch.optim.SGD}, ROWS, LABELS, "optimizer .'AdamW'.*'SGD'"),
            ({"random_state": 1}, ROWS, LABELS, "random_state's seed"),
            ({}, ROWS + 1e-9, LABELS, None),
            ({}, ROWS * 2, LABELS, "content of X"),
            ({}, ROWS[:-2], LABELS[:-2], "shape of X"),
            ({}, ROWS, LABELS[::-1], "; y|: y"),
            ({}, ROWS, np.where(LABELS == "calm", "a", "b"), "classes"),
        ],
    )
    def test_checkpoint_of_another_fit_is_refused(
        self, settings, X, y, said, tmp_path, monkeypatch
    ):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(1, patch)
            small_net(checkpoint=tmp_path / "ck").fit(ROWS, LABELS)
        before = (tmp_path / "ck").read_bytes()
        other = small_net(**settings, checkpoint=tmp_path / "ck")
        if said is None:  # the same once it is float32
            X = ROWS.astype(np.float32)
            other.fit(X, y)
            return
        with pytest.raises(FileError, match=f"of another fit: .*{said}"):
            other.fit(X, y)
        assert (tmp_path / "ck").read_bytes() == before

    def test_another_network_is_refused(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(1, patch)
            small_net(checkpoint=tmp_path / "ck").fit(ROWS, LABELS)
        with pytest.raises(FileError, match=r"class .'CNNClassifier'.*'RTCANClassifier'"):
            RTCANClassifier(n_chans=1, **NARROW, checkpoint=tmp_path / "ck").fit(ROWS, LABELS)
        with pytest.raises(FileError, match="is an edaemo checkpoint, but an edaemo model"):
            load(tmp_path / "ck")

    def test_damaged_checkpoint_is_refused(self, file):
        with pytest.raises(FileError, match="edaemo model, but an edaemo checkpoint"):
            small_net(checkpoint=file).fit(ROWS, LABELS)
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(FileError, match="damaged"):
            small_net(checkpoint=file).fit(ROWS, LABELS)
        write_archive(file, "checkpoint", 1, {HEAD: b"{}", ARRAYS: safetensors.numpy.save({})})
        with pytest.raises(FileError, match="edaemo did not write this file"):
            small_net(checkpoint=file).fit(ROWS, LABELS)

    def test_checkpoint_that_cannot_be_written(self, file):
        with pytest.raises(FileError, match="cannot be written"):
            small_net(checkpoint=file / "ck").fit(ROWS, LABELS)

    def test_callbacks_beside_it_see_the_epochs_that_are_run(self, tmp_path, monkeypatch):
        """One that keeps its state goes on with it, another begins where training goes on."""
        settings = {"max_epochs": 4, "validation_fraction": 0.3, "patience": 9}
        fit = {"subject": SUBJECT}
        unbroken = [Epochs(), Remembering(), EpochScoring("accuracy", name="told")]
        plain = small_net(callbacks=unbroken, **settings).fit(ROWS, LABELS, **fit)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(3, patch)
            killed = [Epochs(), Remembering(), EpochScoring("accuracy", name="told")]
            small_net(callbacks=killed, checkpoint=tmp_path / "ck", **settings).fit(
                ROWS, LABELS, **fit
            )
        seen, kept, scoring = Epochs(), Remembering(), EpochScoring("accuracy", name="told")
        resumed = small_net(
            callbacks=[seen, kept, scoring], checkpoint=tmp_path / "ck", **settings
        ).fit(ROWS, LABELS, **fit)
        assert_same(plain.net_.module_, resumed.net_.module_)
        assert losses(plain.net_.history) == losses(resumed.net_.history)
        assert (unbroken[0].seen, seen.seen) == ([1, 2, 3, 4], [4])
        assert kept.seen == unbroken[1].seen == [1, 2, 3, 4]
        assert scoring.best_score_ == unbroken[2].best_score_

    def test_other_callbacks_are_another_fit(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(1, patch)
            small_net(callbacks=[Epochs()], checkpoint=tmp_path / "ck").fit(ROWS, LABELS)
        with pytest.raises(FileError, match=r"callbacks .*Epochs.*None"):
            small_net(checkpoint=tmp_path / "ck").fit(ROWS, LABELS)

    def test_second_fit_begins_anew_and_the_net_writes_no_more(self, net, tmp_path):
        model = small_net(checkpoint=tmp_path / "ck")
        for _ in range(2):
            assert_array_equal(model.fit(ROWS, LABELS).predict_proba(ROWS), net.predict_proba(ROWS))
        model.net_.partial_fit(ROWS.astype(np.float32), y=None)
        assert not os.listdir(tmp_path)


class TestONNX:
    def test_whole_pipeline_without_torch(self, chain, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        beside = export_onnx(chain, tmp_path / "m.onnx")
        rows = chain[1].transform(TRIALS)
        expected = chain.predict_proba(TRIALS)
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for n in (1, 2, 5, N):
            (found,) = session.run(None, {"rows": rows.to_numpy()[:n]})
            np.testing.assert_allclose(found, expected[:n], atol=1e-5)
        said = json.loads(beside.read_text())
        assert said["layout"] == {"n_chans": 3, "n_times": 32, "n_music_features": 2}
        assert said["columns"] == list(rows.columns)
        assert said["classes"] == [0, 1]
        assert [step["class"] for step in said["before"]] == [
            "SubjectThresholdRelabeler",
            "MusicFeatureUnion",
        ]
        fuse = said["before"][1]
        assert fuse["parameters"]["eda"]["parameters"]["sampling_rate"] == 4
        assert_array_equal(fuse["music_scaler"]["mean"], chain[1].music_scaler_.mean_)
        assert 0 <= said["deviation"] <= 1e-5
        assert sorted(os.listdir(tmp_path)) == ["m.json", "m.onnx"]

        np.savetxt(tmp_path / "rows.csv", rows.to_numpy(), delimiter=",", fmt="%.9g")
        banned = ("torch", "edaemo", "sklearn", "skorch", "pandas", "scipy")
        code = (
            f"import sys, runpy; sys.modules.update(dict.fromkeys({banned})); "
            "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        command = [sys.executable, "-c", code, EXAMPLE, tmp_path / "m.onnx", tmp_path / "rows.csv"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        table = pd.read_csv(io.StringIO(done.stdout))
        assert list(table.columns) == ["probability_0", "probability_1"]
        np.testing.assert_allclose(table, expected, atol=2e-5)

    def test_example_refuses_rows_of_another_layout(self, net, tmp_path):
        export_onnx(net, tmp_path / "m.onnx")
        predict = runpy.run_path(str(EXAMPLE))["predict"]
        with pytest.raises(ValueError, match="3 columns, but the network takes 16"):
            predict(tmp_path / "m.onnx", np.zeros((1, 3)))
        found = predict(tmp_path / "m.onnx", ROWS)
        np.testing.assert_allclose(found["tense"], net.predict_proba(ROWS)[:, 1], atol=1e-5)

    @pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
    def test_missing_extra_is_one_clear_line(self, net, name, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            ImportError, match=rf"^export_onnx needs {name}: pip install edaemo\[onnx\]$"
        ):
            export_onnx(net, tmp_path / "m.onnx")

    def test_network_that_differs_is_not_written(self, net, tmp_path, monkeypatch):
        monkeypatch.setattr("edaemo._onnx.TOLERANCE", -1.0)
        with pytest.raises(RuntimeError, match="outputs of onnxruntime and torch differ"):
            export_onnx(net, tmp_path / "m.onnx")
        assert not os.listdir(tmp_path)

    def test_what_is_no_network_is_refused(self, tmp_path):
        with pytest.raises(FileError, match="SVC is not a network"):
            export_onnx(make_pipeline(StandardScaler(), SVC()).fit(ROWS, LABELS), tmp_path / "m")
        with pytest.raises(NotFittedError):
            export_onnx(small_net(), tmp_path / "m.onnx")

    def test_where_nothing_can_be_written(self, net, file):
        with pytest.raises(FileError, match="cannot be written"):
            export_onnx(net, file / "m.onnx")
        with pytest.raises(FileError, match=r"suffix \.json is reserved for the description"):
            export_onnx(net, file.parent / "m.json")


def test_public_names():
    assert edaemo.save is save
    assert {"save", "load", "export_onnx"} <= set(edaemo.__all__)


def test_extractor_of_music_gives_the_same_after_loading(tmp_path):
    pytest.importorskip("opensmile")
    clips = [np.sin(np.arange(16000) * pitch) for pitch in (0.05, 0.1)]
    model = MusicFeatureExtractor("eGeMAPSv02", sampling_rate=16000, cache=tmp_path / "cache")
    expected = model.fit_transform(clips)
    save(model, tmp_path / "model.edaemo")
    found = load(tmp_path / "model.edaemo")
    assert found.get_params() == model.get_params() | {"cache": None}
    assert_array_equal(found.transform(clips), expected)
