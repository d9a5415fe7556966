"""What an estimator takes: tables of decomposed trials, 3-D arrays, rows; and views of arrays."""

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.pipeline import make_pipeline
from test_common import ESTIMATORS

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo._layout import Block
from edaemo._validation import read_inputs
from edaemo.datasets import make_music_listening
from edaemo.estimators import (
    CNNClassifier,
    ConformalByPerson,
    PersonalClassifier,
    make_recommended,
)
from edaemo.features import EDAFeatureExtractor, scr_table
from edaemo.model_selection import SubjectKFold
from edaemo.preprocessing import EDADecomposer, SubjectStandardizer, signal_quality

N = 8
Y = np.array([0, 1] * (N // 2))
SMALL = {"channels": (8, 8, 8, 8), "max_epochs": 1, "random_state": 0}


def make_table(n_samples: int = 60, **columns: object) -> pd.DataFrame:
    level = 5 + np.cumsum(np.random.default_rng(0).normal(size=(N, n_samples)), axis=1)
    return pd.DataFrame(
        {
            "subject": np.repeat(["a", "b"], N // 2),
            "stimulus": np.tile(["s", "t"], N // 2),
            "trial": np.arange(N),
            "eda": pd.Series(list(level), dtype=object),
            **columns,
        }
    )


def cells(*shape: int, n: int = N, seed: int = 1) -> pd.Series:
    values = np.random.default_rng(seed).normal(size=(n, *shape))
    return pd.Series(list(values), dtype=object)


class TestTablesAndArrays:
    def test_rtcan_follows_cvxeda_without_a_union_and_answers_as_with_one(self):
        trials = make_table()
        alone = make_pipeline(CvxEDATransformer(4), RTCANClassifier(**SMALL))
        joined = make_pipeline(
            MusicFeatureUnion(eda=CvxEDATransformer(4)), RTCANClassifier(**SMALL)
        )
        assert_array_equal(
            alone.fit(trials, Y).predict_proba(trials), joined.fit(trials, Y).predict_proba(trials)
        )
        names = alone[-1].feature_names_in_
        assert [names[0], names[-1]] == ["eda_original_0", "eda_tonic_47"]  # 3 of 15 s are trimmed
        # What the union makes is what the table holds, so one model takes both.
        rows = joined[0].transform(trials)
        assert_array_equal(alone[-1].predict_proba(rows), joined.predict_proba(trials))

    def test_people_of_a_table_are_set_aside_by_its_column(self):
        decomposed = CvxEDATransformer(4).fit_transform(make_table())
        model = RTCANClassifier(validation_fraction=0.5, **SMALL).fit(decomposed, Y)
        assert set(model.validation_subjects_) < {"a", "b"}

    def test_3d_array_is_the_2d_array_of_the_same_numbers(self):
        cube = np.stack(cells(2, 40)).astype(np.float32)
        flat = RTCANClassifier(n_chans=2, **SMALL).fit(cube.reshape(N, -1), Y)
        expected = flat.predict_proba(cube.reshape(N, -1))
        for given in (cube, list(cube), cube.astype(np.float64)):
            model = RTCANClassifier(**SMALL).fit(given, Y)
            assert_array_equal(model.predict_proba(given), expected)
            assert model.n_features_in_ == 80
        with pytest.raises(ValueError, match=r"holds \{'eda': \(4, 20\)\}.*fitted with.*\(2, 40\)"):
            model.predict(cube.reshape(N, 4, 20))
        with pytest.raises(ValueError, match="n_chans=3, but the array's shapes give 2"):
            RTCANClassifier(n_chans=3, **SMALL).fit(cube, Y)

    def test_table_of_other_channels_or_samples_than_in_fit_is_an_error(self):
        table = EDADecomposer(4).fit_transform(make_table())
        model = RTCANClassifier(**SMALL).fit(table, Y)
        with pytest.raises(ValueError, match=r"\(2, 48\).*fitted with.*\(2, 60\)"):
            model.predict(EDADecomposer(4).fit_transform(make_table(48)))
        turned = EDADecomposer(4, components=("tonic", "phasic")).fit_transform(make_table())
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(turned)

    @pytest.mark.parametrize(
        "eda",
        [
            pd.Series([np.ones((3, 50 + row)) for row in range(N)], dtype=object),
            pd.Series([np.ones(50) for row in range(N)], dtype=object),
            cells(3, 4, 5),
        ],
    )
    def test_table_that_is_not_decomposed_to_one_shape_says_the_way_out(self, eda):
        for model in (RTCANClassifier(**SMALL), CNNClassifier()):
            with pytest.raises(ValueError, match="takes rows of numbers: put MusicFeatureUnion"):
                model.fit(make_table(eda=eda), Y)
        with pytest.raises(ValueError, match=r"CvxEDATransformer\(n_times=…\)"):
            RTCANClassifier(**SMALL).fit(make_table(eda=eda), Y)

    def test_table_without_the_signal_says_what_is_needed_and_what_there_is(self):
        table = make_table(face=cells(2, 5), eye=cells(3, 7)).drop(columns="eda")
        with pytest.raises(ValueError, match="needs column eda: the table has face, eye"):
            RTCANClassifier(**SMALL).fit(table, Y)

    def test_missing_samples_of_a_cell_are_named(self):
        table = CvxEDATransformer(4).fit_transform(make_table())
        table["eda"].iloc[2][1, 3] = np.nan
        with pytest.raises(ValueError, match=r"row 2 \(subject a, stimulus s, trial 2\).*NaN"):
            RTCANClassifier(**SMALL).fit(table, Y)


class TestSeveralSignals:
    def test_signals_of_a_table_come_one_after_the_other_with_their_blocks(self):
        table = make_table(eda=cells(2, 3), eeg=cells(4, 5, seed=2))
        table = table.assign(channels="phasic|tonic")
        blocks = {"signals": ("eda", "eeg"), "features": ()}
        rows, layout = read_inputs(BaseEstimator(), table, reset=True, **blocks)
        assert rows.shape == (N, 26)
        assert rows.dtype == np.float32
        assert list(layout.values()) == [
            Block("eda", 6, 2, 3, ("phasic", "tonic")),
            Block("eeg", 20, 4, 5, ("0", "1", "2", "3"), start=6),
        ]
        for name, block in layout.items():
            expected = np.stack(table[name]).astype(np.float32)
            assert_array_equal(rows[:, block.columns].reshape(N, *block.shape), expected)

    def test_layout_is_the_same_from_a_table_and_from_the_names_of_its_rows(self):
        table = make_table(eda=cells(2, 3), eeg=cells(4, 5, seed=2), eeg_channels="A1|A2|Fz|Oz")
        table = table.assign(channels="phasic|tonic")
        blocks = {"signals": ("eda", "eeg"), "features": ("eye",)}
        fitted = BaseEstimator()
        rows, layout = read_inputs(fitted, table, reset=True, **blocks)
        assert fitted.feature_names_in_[-1] == "eeg_Oz_4"
        frame = pd.DataFrame(rows, columns=fitted.feature_names_in_)
        again, from_names = read_inputs(BaseEstimator(), frame, reset=True, **blocks)
        assert from_names == layout
        assert_array_equal(again, rows)
        again, _ = read_inputs(fitted, table, reset=False, fitted=layout, **blocks)
        assert_array_equal(again, rows)

    def test_missing_signal_is_named_beside_those_that_are_there(self):
        with pytest.raises(ValueError, match="needs column eeg_de: the table has eda, faces"):
            read_inputs(
                BaseEstimator(),
                make_table(faces=cells(2, 3)),
                reset=True,
                signals=("eda", "eeg_de"),
            )


# Views

HOLDING = {  # each makes an array that equals X, and holds it in another way
    "rows reversed": lambda X, path: X[::-1].copy()[::-1],
    "columns reversed": lambda X, path: X[:, ::-1].copy()[:, ::-1] if X.ndim == 2 else X,
    "transposed": lambda X, path: X.T.copy().T,
    "every second row": lambda X, path: np.repeat(X, 2, axis=0)[::2],
    "every second column": lambda X, path: np.repeat(X, 2, axis=-1)[..., ::2],
    "read-only": lambda X, path: read_only(X),
    "other byte order": lambda X, path: X.astype(X.dtype.newbyteorder(">")),
    "memory-mapped": lambda X, path: memory_map(X, path),
    "memory-mapped, reversed": lambda X, path: memory_map(X[::-1], path)[::-1],
    "not aligned": lambda X, path: not_aligned(X),
}
METHODS = (
    "transform",
    "predict",
    "predict_proba",
    "relabel",
    "fit_transform",
    "fit_resample",
    "fit_relabel",
    "score",
)


def read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_map(X: np.ndarray, path: Path) -> np.ndarray:
    np.save(path / "held.npy", X)
    return np.load(path / "held.npy", mmap_mode="r")


def not_aligned(X: np.ndarray) -> np.ndarray:
    """Hold each number behind one odd byte."""
    packed = np.zeros(X.shape, dtype=[("odd", "u1"), ("number", X.dtype)])
    packed["number"] = X
    return packed["number"]


def try_all(estimator: BaseEstimator, X: np.ndarray, y: np.ndarray) -> dict[str, object]:
    """Fit, and give what every method makes of X."""
    fitted = clone(estimator)
    small = {"max_epochs": 1, "random_state": 0}
    fitted.set_params(**{k: small[k] for k in small if k in fitted.get_params()})
    if isinstance(fitted, SubjectThresholdRelabeler):
        fitted.fit(X)
    else:
        fitted.fit(X, y)
    results = {}
    for name in METHODS:
        if hasattr(fitted, name):
            takes_y = name in ("fit_transform", "fit_resample", "score")
            results[name] = getattr(fitted, name)(*((X, y) if takes_y else (X,)))
    return results


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("holding", HOLDING)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_every_view_gives_the_numbers_of_its_copy(estimator, holding, dtype, tmp_path):
    rng = np.random.default_rng(0)
    X, y = (5 + np.cumsum(rng.normal(size=(N, 48)), axis=1)).astype(dtype), Y.copy()
    if is_regressor(estimator):
        y = rng.normal(size=N).astype(dtype)
    if isinstance(estimator, SubjectThresholdRelabeler):
        X, y = rng.normal(size=(N, 2)).astype(dtype), rng.normal(size=(N, 2)).astype(dtype)
    view = HOLDING[holding](X, tmp_path)
    (tmp_path / "y").mkdir()
    of_view = HOLDING[holding](y, tmp_path / "y")
    assert_array_equal(view, X)
    expected, given = try_all(estimator, X, y), try_all(estimator, view, of_view)
    assert expected.keys() == given.keys()
    assert len(expected) >= 1
    for name, result in expected.items():
        if name == "fit_resample":  # X comes out as it went in
            result, given[name] = result[1], given[name][1]
        # Classifiers of scikit-learn in ours round differently in another layout of memory.
        atol = 1e-3 if isinstance(estimator, PersonalClassifier | ConformalByPerson) else 0
        assert_allclose(np.asarray(given[name]), np.asarray(result), 0, atol, err_msg=name)


@pytest.mark.parametrize("holding", HOLDING)
def test_cells_and_subjects_that_are_views_give_the_numbers_of_their_copies(holding, tmp_path):
    trials = make_table()
    table = trials.copy()
    for row, cell in enumerate(trials["eda"]):
        (tmp_path / str(row)).mkdir()
        table.at[row, "eda"] = HOLDING[holding](cell, tmp_path / str(row))
    for make in (CvxEDATransformer, EDADecomposer, EDAFeatureExtractor):
        expected, given = (make(4).fit_transform(X) for X in (trials, table))
        if "eda" in expected:
            expected, given = (np.stack(X["eda"]) for X in (expected, given))
        assert_array_equal(np.asarray(given), np.asarray(expected))
    X, subject = np.random.default_rng(0).normal(size=(N, 3)), np.array([1, 1, 1, 1, 2, 2, 2, 2])
    for make in (
        lambda ids: SubjectStandardizer(min_trials=2).fit_transform(X, subject=ids),
        lambda ids: SubjectThresholdRelabeler(min_center_distance=0).fit_relabel(
            X[:, :2], subject=ids
        ),
        lambda ids: np.concatenate([test for _, test in SubjectKFold(2).split(X, subject=ids)]),
    ):
        assert_array_equal(make(HOLDING[holding](subject, tmp_path)), make(subject))


def test_examples_on_the_page_about_inputs_run():
    page = Path(__file__).parents[1] / "docs" / "input.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 5


def test_a_repeated_index_changes_no_number():
    study = make_music_listening(6, 8, 8, sampling_rate=4, duration=20, random_state=0)
    repeated = study.trials.set_axis(np.zeros(len(study.trials), int))
    y = (study.ratings["arousal"] > 5).to_numpy()
    by_person = make_pipeline(EDAFeatureExtractor(4), SubjectStandardizer())
    joined = make_pipeline(CvxEDATransformer(4, n_times=16), MusicFeatureUnion(music=study.music))
    for compute in [
        lambda trials: by_person.fit_transform(trials),
        lambda trials: joined.fit_transform(trials),
        lambda trials: make_recommended(4).fit(trials, y).predict_proba(trials),
        lambda trials: scr_table(trials, sampling_rate=4).select_dtypes("number"),
        lambda trials: signal_quality(trials, 4).select_dtypes("number"),
    ]:
        assert_array_equal(np.asarray(compute(repeated)), np.asarray(compute(study.trials)))
