"""Estimators inside compositions of scikit-learn, and input from other libraries."""

import json
from typing import ClassVar

import imblearn.pipeline
import numpy as np
import outside
import pandas as pd
import pytest
import sklearn
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from numpy.testing import assert_array_equal
from packaging.version import Version
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostClassifier, StackingClassifier
from sklearn.feature_selection import RFECV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    ParameterGrid,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.benchmark import EvaluationError, ResultStore, audit, evaluate
from edaemo.decomposition import decompose
from edaemo.estimators import CNNClassifier
from edaemo.features import EDAFeatureExtractor
from edaemo.fusion import BlockUnion
from edaemo.model_selection import make_protocol
from edaemo.preprocessing import EDADecomposer, SubjectStandardizer, signal_quality

RNG = np.random.default_rng(0)
N = 24
SIGNALS = np.cumsum(RNG.normal(size=(N, 100)), axis=1)
TRIALS = pd.DataFrame(
    {
        "subject": np.repeat(["p1", "p2", "p3", "p4"], 6),
        "stimulus": np.tile([11, 12, 13], 8),
        "trial": np.tile(range(6), 4),
        "eda": pd.Series(list(SIGNALS)),
        "age": np.repeat([20.0, 30.0, 40.0, 50.0], 6),
    }
).set_axis(np.arange(300, 300 + N))
Y = np.tile([0, 1], N // 2)
ROWS = RNG.normal(size=(N, 16)).astype(np.float32)
FEATURES = EDAFeatureExtractor(4)
IDS = ["subject", "stimulus", "trial"]


def small_net(**settings: object) -> CNNClassifier:
    return CNNClassifier(**{"n_filters": 4, "max_epochs": 2, "random_state": 0} | settings)


def small_rtcan(**settings: object) -> RTCANClassifier:
    narrow = {"channels": (8, 8, 8, 8), "max_epochs": 1, "random_state": 0}
    return RTCANClassifier(**narrow | settings)


class TestPandasOutput:
    """scikit-learn joins frames by index, so each transformer has to keep the index of X."""

    AGE = ColumnTransformer([("age", "passthrough", ["age"])])

    @pytest.mark.parametrize(
        "ours",
        [
            FEATURES,
            MusicFeatureUnion(eda=CvxEDATransformer(4, n_times=32)),
            BlockUnion({"eda": FEATURES}),
        ],
        ids=["features", "music union", "block union"],
    )
    @pytest.mark.parametrize("by", ["set_output", "config"])
    def test_union_and_columns_keep_the_index(self, ours, by):
        columns = [*IDS, "eda"]
        compositions = [
            FeatureUnion([("ours", ours), ("age", self.AGE)]),
            ColumnTransformer([("ours", ours, columns), ("age", "passthrough", ["age"])]),
        ]
        plain = np.asarray(clone(ours).fit_transform(TRIALS))
        for composition in compositions:
            config = {"transform_output": "pandas"} if by == "config" else {}
            if by == "set_output":
                composition = clone(composition).set_output(transform="pandas")
            with sklearn.config_context(**config):
                joined = composition.fit_transform(TRIALS)
                again = composition.transform(TRIALS[::-1])
            pd.testing.assert_index_equal(joined.index, TRIALS.index)
            pd.testing.assert_index_equal(again.index, TRIALS.index[::-1])
            assert_array_equal(joined.iloc[:, :-1].to_numpy(), plain)
            assert joined.iloc[:, -1].tolist() == TRIALS["age"].tolist()

    def test_ids_in_the_index_stay_in_the_index(self):
        pipe = make_pipeline(clone(FEATURES), SubjectStandardizer())
        expected = clone(pipe).fit_transform(TRIALS)
        table = TRIALS.set_index(IDS)
        found = pipe.set_output(transform="pandas").fit_transform(table)
        pd.testing.assert_index_equal(found.index, table.index)
        assert_array_equal(found.to_numpy(), expected.to_numpy())

    def test_without_set_output_the_index_holds_the_ids(self):
        assert FEATURES.fit_transform(TRIALS).index.names == IDS

    def test_ids_that_set_output_removed_are_an_error(self):
        pipe = make_pipeline(clone(FEATURES), SubjectStandardizer())
        pipe.set_output(transform="pandas")
        with pytest.raises(ValueError, match=r"subject of each trial.*index level"):
            pipe.fit(TRIALS)


class TestSignalsInAColumnTransformer:
    @pytest.mark.parametrize(
        "ours", [CvxEDATransformer(4, n_times=32), EDADecomposer(4), FEATURES], ids=str
    )
    def test_rows_of_numbers_go_into_an_svm(self, ours):
        columns = ColumnTransformer([("ours", clone(ours), ["eda"])])
        expected = clone(ours).fit_transform(SIGNALS)
        assert_array_equal(columns.fit_transform(TRIALS), expected)
        model = make_pipeline(columns, SVC()).fit(TRIALS, Y)
        assert_array_equal(model.predict(TRIALS), SVC().fit(expected, Y).predict(expected))
        frame = columns.set_output(transform="pandas").fit_transform(TRIALS)
        pd.testing.assert_index_equal(frame.index, TRIALS.index)
        names = clone(ours).fit(SIGNALS).get_feature_names_out()
        assert list(frame.columns) == [f"ours__{name}" for name in names]

    def test_network_reads_the_layout_from_the_names(self):
        columns = ColumnTransformer(
            [("cvx", CvxEDATransformer(4, n_times=32), ["eda"])], verbose_feature_names_out=False
        ).set_output(transform="pandas")
        fitted = make_pipeline(columns, small_rtcan()).fit(TRIALS, Y)[-1]
        assert fitted.sizes_["n_chans"] == 3
        assert fitted.sizes_["n_times"] == 32


class TestRawVector:
    """A pipeline that was fitted to a trials table."""

    PIPE = make_pipeline(MusicFeatureUnion(eda=CvxEDATransformer(4, n_times=32)), small_rtcan())

    @pytest.mark.parametrize(
        "X", [SIGNALS[0], SIGNALS[:1], [SIGNALS[0]], TRIALS["eda"], TRIALS.iloc[0]]
    )
    def test_other_input_is_one_clear_error(self, X):
        model = clone(self.PIPE).fit(TRIALS, Y)
        with pytest.raises(ValueError, match=r"was fitted to a trials table, but X is a .*eda"):
            model.predict(X)
        one = pd.DataFrame({"eda": [SIGNALS[0]]})
        assert_array_equal(model.predict_proba(one), model.predict_proba(TRIALS[:1]))

    @pytest.mark.parametrize("ours", [CvxEDATransformer(4), EDADecomposer(4), FEATURES], ids=str)
    def test_one_signal_is_not_a_batch(self, ours):
        for X in (SIGNALS[0], list(SIGNALS[0]), pd.Series(SIGNALS[0])):
            with pytest.raises(ValueError, match=r"one signal of 100 samples.*\(n_trials, n_sa"):
                clone(ours).fit(X)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("model", [small_net(), small_rtcan(n_chans=1)], ids=str)
def test_torchs_default_dtype_changes_nothing(model, double):
    found = clone(model).fit(ROWS, Y).predict_proba(ROWS)
    assert torch.get_default_dtype() == torch.float64
    torch.set_default_dtype(torch.float32)
    assert_array_equal(found, clone(model).fit(ROWS, Y).predict_proba(ROWS))


@pytest.mark.parametrize(
    "mode",
    [
        lambda: torch.device("meta"),  # as if a CUDA device were the default
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        torch.inference_mode,
        torch.no_grad,
    ],
    ids=["default device", "autocast", "inference mode", "no gradients"],
)
@pytest.mark.parametrize("model", [small_net(), small_rtcan(n_chans=1)], ids=str)
def test_modes_of_the_caller_change_nothing(model, mode):
    expected = clone(model).fit(ROWS, Y).predict_proba(ROWS)
    with mode():
        found = clone(model).fit(ROWS, Y).predict_proba(ROWS)
    assert_array_equal(found, expected)


class TestSamplerBeforeMetadata:
    """imbalanced-learn resamples rows; their metadata stay as they were."""

    FEW = (np.arange(N) < 6).astype(int)
    SUBJECT = TRIALS["subject"].to_numpy()

    def pipe(self, sampler: BaseEstimator, last: BaseEstimator) -> imblearn.pipeline.Pipeline:
        return imblearn.pipeline.make_pipeline(sampler, last)

    @pytest.mark.parametrize("name", ["subject", "validation", "sample_weight"])
    def test_error_names_the_sampler(self, name):
        net = small_net(validation_fraction=0.3 if name == "subject" else None)
        given = {
            "subject": self.SUBJECT,
            "validation": np.arange(N) % 4 == 0,
            "sample_weight": np.ones(N),
        }[name]
        with sklearn.config_context(enable_metadata_routing=True):
            net = net.set_fit_request(sample_weight=True)
            pipe = self.pipe(RandomOverSampler(random_state=0), net)
            with pytest.raises(ValueError, match=rf"(?s){name} must hold one.*36 trials.*sampler"):
                pipe.fit(ROWS, self.FEW, **{name: given})

    def test_rows_in_another_order_are_not_taken_for_those_of_the_metadata(self):
        """Of equal classes, the sampler keeps all rows but sorts them by class."""
        table = FEATURES.fit_transform(TRIALS)
        net = small_net(validation_fraction=0.3)
        pipe = self.pipe(RandomUnderSampler(random_state=0), net)
        with (
            sklearn.config_context(enable_metadata_routing=True),
            pytest.raises(ValueError, match=r"subject= holds the ids of X in another order.*samp"),
        ):
            pipe.fit(table, Y, subject=self.SUBJECT)
        aside = pipe.fit(table, Y)[-1].validation_subjects_  # from the index
        assert set(aside) < set(self.SUBJECT)


class TestPolars:
    pl = pytest.importorskip("polars")

    def frame(self) -> object:
        columns = {name: TRIALS[name].tolist() for name in IDS}
        return self.pl.DataFrame({**columns, "eda": [list(cell) for cell in SIGNALS]})

    @pytest.mark.parametrize(
        "use",
        [
            CvxEDATransformer(4).fit_transform,
            EDADecomposer(4).fit_transform,
            FEATURES.fit_transform,
            MusicFeatureUnion().fit_transform,
            MusicFeatureUnion(eda=FEATURES).fit_transform,
            SubjectStandardizer().fit_transform,
            lambda X: small_rtcan().fit(X, Y),
            lambda X: signal_quality(X, 4),
            lambda X: audit("subject", X, Y),
            ColumnTransformer([("eda", FEATURES, ["eda"])]).fit_transform,
            TestRawVector.PIPE.fit(TRIALS, Y).predict,
            lambda X: SubjectThresholdRelabeler(target="arousal").fit(X.rename({"eda": "arousal"})),
        ],
    )
    def test_frame_is_one_clear_error(self, use):
        with pytest.raises(ValueError, match=r"polars frame with a column .*\.to_pandas\(\)"):
            use(self.frame())

    def test_pandas_copy_works(self):
        found = FEATURES.fit_transform(self.frame().to_pandas())
        assert_array_equal(found.to_numpy(), FEATURES.fit_transform(TRIALS).to_numpy())

    def test_study_is_one_clear_error(self, tmp_path):
        study = outside.make_study(n_people=4)
        study["trials"] = self.frame()
        with pytest.raises(EvaluationError, match=r"trials of the study .* polars.*to_pandas"):
            evaluate("svm-eda", study, "arousal", store=tmp_path / "s.sqlite")


class TestTensors:
    """Tensors are read like arrays, also those that require gradients."""

    @pytest.mark.parametrize(
        "model",
        [small_net(), small_rtcan(n_chans=1), SubjectStandardizer(), MusicFeatureUnion()],
        ids=lambda model: type(model).__name__,
    )
    def test_rows(self, model):
        given = {} if hasattr(model, "predict") else {"subject": TRIALS["subject"].to_numpy()}
        given = given if isinstance(model, SubjectStandardizer) else {}
        answers = []
        for X in (ROWS, torch.tensor(ROWS), torch.tensor(ROWS, requires_grad=True)):
            fitted = clone(model).fit(X, Y, **given)
            answer = fitted.predict_proba if hasattr(model, "predict") else fitted.transform
            answers.append(answer(X, **given))
        for answer in answers[1:]:
            assert_array_equal(answer, answers[0])

    @pytest.mark.parametrize("ours", [CvxEDATransformer(4), EDADecomposer(4), FEATURES], ids=str)
    def test_signals(self, ours):
        expected = clone(ours).fit_transform(SIGNALS)
        tensor = torch.tensor(SIGNALS, requires_grad=True)
        signals = np.empty(len(tensor), dtype=object)
        for row, signal in enumerate(tensor):  # pandas 2.2 cannot read a list of such tensors
            signals[row] = signal
        cells = pd.Series(signals, index=TRIALS.index)
        for X in (tensor, list(tensor), cells, cells.to_frame("eda")):
            assert_array_equal(np.asarray(clone(ours).fit_transform(X)), expected)
        table = clone(ours).fit_transform(TRIALS.assign(eda=cells))
        assert_array_equal(
            np.stack([np.ravel(cell) for cell in table["eda"]]) if "eda" in table else table,
            expected,
        )

    def test_one_recording_and_its_quality(self):
        tensor = torch.tensor(SIGNALS, requires_grad=True)
        assert_array_equal(decompose(tensor[0], 4).phasic, decompose(SIGNALS[0], 4).phasic)
        pd.testing.assert_frame_equal(signal_quality(tensor, 4), signal_quality(SIGNALS, 4))

    def test_half_precision_of_torch(self):
        rows = torch.tensor(ROWS).bfloat16()
        model = small_net().fit(ROWS, Y)
        assert_array_equal(model.predict_proba(rows), model.predict_proba(rows.float()))


class TestSearchOverADict:
    GRID: ClassVar = {"optimizer_params__momentum": [0.0, 0.9]}

    def test_search_trains_with_each_value(self):
        net = small_net(
            optimizer=torch.optim.SGD,
            lr=0.05,
            optimizer_params={"dampening": 0.1},
        )
        search = GridSearchCV(net, self.GRID, cv=2, scoring="neg_log_loss").fit(ROWS, Y)
        expected = [
            cross_val_score(
                clone(net).set_params(optimizer_params={"dampening": 0.1, "momentum": momentum}),
                ROWS,
                Y,
                cv=2,
                scoring="neg_log_loss",
            ).mean()
            for momentum in (0.0, 0.9)
        ]
        assert search.cv_results_["mean_test_score"].tolist() == expected
        assert expected[0] != expected[1]
        assert net.optimizer_params == {"dampening": 0.1}  # the user's dict is unchanged

    def test_inside_a_pipeline_and_beside_the_dict(self):
        pipe = make_pipeline(StandardScaler(), small_net())
        (first, second) = ParameterGrid({f"cnnclassifier__{k}": v for k, v in self.GRID.items()})
        assert pipe.set_params(**first)[-1].optimizer_params == {"momentum": 0.0}
        assert pipe.set_params(**second)[-1].optimizer_params == {"momentum": 0.9}
        both = {"optimizer_params": {"nesterov": True}, "optimizer_params__momentum": 0.5}
        assert small_net().set_params(**both).optimizer_params == {
            "nesterov": True,
            "momentum": 0.5,
        }
        with pytest.raises(ValueError, match="Invalid parameter 'optimizer_parameters'"):
            small_net().set_params(optimizer_parameters__momentum=0.9)


TOGETHER = {"p0": "a", "p1": "a", "p2": "b", "p3": "b"}  # people of outside.make_study


class TestGroupsOfASearch:
    SETTINGS: ClassVar = {
        "targets": "arousal",
        "n_splits": 2,
        "n_jobs": 1,
        "progress": False,
    }

    def search(self, cv: object) -> BaseEstimator:
        search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=cv)
        return make_pipeline(EDAFeatureExtractor(sampling_rate=4), search)

    @pytest.mark.parametrize("unit", ["subject", "stimulus"])
    @pytest.mark.parametrize("cv", [GroupKFold(2), LeaveOneGroupOut()], ids=str)
    def test_inner_folds_hold_out_the_unit_of_the_protocol(self, unit, cv, tmp_path, monkeypatch):
        study = outside.make_study(n_people=8)
        seen = []

        def split(self, X, y=None, groups=None):
            seen.append((X.index.get_level_values(unit), groups))
            return original(self, X, y, groups)

        original = type(cv).split
        monkeypatch.setattr(type(cv), "split", split)
        table = evaluate(
            {"search": self.search(cv)},
            study,
            protocols=unit,
            store=tmp_path / "s.sqlite",
            **self.SETTINGS,
        )
        assert not table["n_failed"].any(), table["error"].iloc[-1]
        assert len(seen) == 2
        for ids, groups in seen:
            units = [TOGETHER.get(name, name) for name in ids]
            assert_array_equal(pd.factorize(np.array(units))[0], pd.factorize(groups)[0])

    @pytest.mark.parametrize("unit", ["subject", "stimulus"])
    @pytest.mark.parametrize(
        "split",
        [
            GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=2),
            CalibratedClassifierCV(KNeighborsClassifier(), cv=2),
            pytest.param(
                make_pipeline(RFECV(LogisticRegression(), cv=2, step=20), KNeighborsClassifier()),
                marks=pytest.mark.skipif(
                    Version(sklearn.__version__) < Version("1.9"),
                    reason="scikit-learn 1.8 cannot pass metadata to fit_transform of RFECV",
                ),
            ),
        ],
        ids=lambda split: type(split).__name__,
    )
    def test_ids_reach_splits_behind_a_scaler(self, unit, split, tmp_path, monkeypatch):
        """StandardScaler returns an array, which has no ids."""
        seen = []
        protocol = type(make_protocol(unit))

        def folds(self, trials):
            found = original(self, trials)
            seen.append((trials.people if unit == "subject" else trials.stimuli, found))
            return found

        original = protocol.folds
        monkeypatch.setattr(protocol, "folds", folds)
        model = make_pipeline(EDAFeatureExtractor(4), StandardScaler(), split)
        table = evaluate(
            {"split": model},
            outside.make_study(n_people=8),
            protocols=unit,
            store=tmp_path / "s.sqlite",
            **self.SETTINGS,
        )
        assert not table["n_failed"].any(), table["error"].iloc[-1]
        n_trials = max(len(units) for units, _ in seen)
        inner = [(units, found) for units, found in seen if len(units) < n_trials]
        assert len(inner) == 2
        for units, found in inner:
            for training, test in found:
                assert set(units[training]).isdisjoint(units[test])

    @pytest.mark.parametrize(
        "model",
        [
            StackingClassifier([("knn", KNeighborsClassifier())], cv=GroupKFold(2)),
            # scikit-learn has no metadata routing for it.
            AdaBoostClassifier(GridSearchCV(LogisticRegression(), {"C": [1]}, cv=GroupKFold(2))),
        ],
        ids=lambda model: type(model).__name__,
    )
    def test_an_estimator_that_passes_no_groups_on_is_an_error(self, model, tmp_path):
        with pytest.raises(EvaluationError, match="needs groups, but its estimator does not pass"):
            evaluate(
                {"model": make_pipeline(EDAFeatureExtractor(4), model)},
                outside.make_study(n_people=8),
                store=tmp_path / "s.sqlite",
                **self.SETTINGS,
            )

    @pytest.mark.parametrize("cv", [2, GroupKFold(2)], ids=str)
    def test_a_sampler_before_a_search_is_an_error(self, cv, tmp_path):
        search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=cv)
        sampler = RandomOverSampler(random_state=0)
        model = imblearn.pipeline.make_pipeline(EDAFeatureExtractor(4), sampler, search)
        with pytest.raises(EvaluationError, match=r"'gridsearchcv' splits .*'randomoversampler'"):
            evaluate(
                {"mine": model},
                outside.make_study(n_people=8),
                store=tmp_path / "s.sqlite",
                **self.SETTINGS,
            )

    @pytest.mark.parametrize("protocol", ["trial", "subject+stimulus", "within-subject"])
    def test_protocol_without_whole_groups_is_an_error(self, protocol, tmp_path):
        with pytest.raises(EvaluationError, match=r"gridsearchcv__cv=GroupKFold.* needs groups"):
            evaluate(
                {"search": self.search(GroupKFold(2))},
                outside.make_study(n_people=8),
                protocols=protocol,
                store=tmp_path / "s.sqlite",
                **self.SETTINGS,
            )

    def test_splitter_is_part_of_the_settings(self, tmp_path):
        store = tmp_path / "s.sqlite"
        study = outside.make_study(n_people=8)
        evaluate({"search": self.search(GroupKFold(2))}, study, store=store, **self.SETTINGS)
        with ResultStore(store) as kept:
            folds = kept.folds().query("pipeline == 'search'")
        assert "GroupKFold" in json.dumps(folds["settings"].iloc[0]["parameters"])
