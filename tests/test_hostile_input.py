"""Everything that can be wrong with input: one error that says what and where, or a stated rule.

The tables below are crossed with the list of estimators; a new estimator is one line in ESTIMATORS.
"""

import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from outside_network import Line
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import FunctionTransformer

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.benchmark import StimulusPriorClassifier, SubjectMeanRegressor
from edaemo.datasets import DatasetError, cut_window, load_hku956, load_induced_stress
from edaemo.estimators import (
    CNNClassifier,
    ConformalByPerson,
    LateFusionRegressor,
    MAETClassifier,
    NetworkClassifier,
    NetworkRegressor,
    NetworkSequenceRegressor,
    PersonalClassifier,
)
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import SubjectThresholdScorer
from edaemo.networks import MuSeLSTM
from edaemo.preprocessing import SignalQualityWarning, SubjectStandardizer

N = 8
SUBJECT = np.repeat(["a", "b"], N // 2)
STIMULUS = np.tile(["s", "t", "u", "v"], N // 4)
Y = np.array([0, 1] * (N // 2))


def wander(n: int = N, n_samples: int = 60) -> np.ndarray:
    """Slow signals of whole numbers below 200, which every numeric type can hold."""
    rng = np.random.default_rng(0)
    level = 100 + np.cumsum(rng.integers(-3, 4, size=(n, n_samples)), axis=1)
    return level.astype(np.float64)


SIGNALS = wander()
RATINGS = np.random.default_rng(1).permutation(np.arange(1.0, 2 * N + 1)).reshape(N, 2)


class Always(ClassifierMixin, BaseEstimator):
    """Answers 1."""

    classes_ = np.array([0, 1])

    def predict(self, X):
        return np.ones(len(X), dtype=int)


@dataclass(frozen=True)
class Case:
    """An estimator, what its X is, and how it is fitted and used."""

    takes: str  # "signals", "numbers" or "ratings"
    make: Callable[[], Any]
    fit: Callable[[Any, Any], Any]
    use: Callable[[Any, Any], Any]


def transforms(takes: str, make: Callable) -> Case:
    return Case(takes, make, lambda e, X: e.fit(X), lambda e, X: e.transform(X))


def classifies(make: Callable) -> Case:
    return Case("numbers", make, lambda e, X: e.fit(X, Y), lambda e, X: e.predict_proba(X))


ESTIMATORS = {
    "cvxeda": transforms("signals", lambda: CvxEDATransformer(4)),
    "union of cvxeda": transforms("signals", lambda: MusicFeatureUnion(eda=CvxEDATransformer(4))),
    "features": transforms("signals", lambda: EDAFeatureExtractor(4)),
    "union": transforms("numbers", MusicFeatureUnion),
    "rtcan": classifies(
        lambda: RTCANClassifier(n_chans=1, channels=(8, 8, 8, 8), max_epochs=1, random_state=0)
    ),
    "cnn": classifies(lambda: CNNClassifier(n_filters=4, max_epochs=1, random_state=0)),
    "stimulus-prior": classifies(StimulusPriorClassifier),
    "standardizer": Case(
        "numbers",
        lambda: SubjectStandardizer(min_trials=2),
        lambda e, X: e.fit(X, subject=SUBJECT),
        lambda e, X: e.transform(X, subject=SUBJECT),
    ),
    "relabeler": Case(
        "ratings",
        SubjectThresholdRelabeler,
        lambda e, X: e.fit(X, subject=SUBJECT),
        lambda e, X: e.relabel(X, subject=SUBJECT),
    ),
    "scorer": Case(
        "ratings",
        SubjectThresholdScorer,
        lambda e, X: e(Always(), SIGNALS, X, SUBJECT),
        lambda e, X: e(Always(), SIGNALS, X, SUBJECT),
    ),
}


def good(case: Case) -> np.ndarray:
    return RATINGS if case.takes == "ratings" else SIGNALS


def frame(X: np.ndarray) -> pd.DataFrame:
    names = ["valence", "arousal"] if X.shape[1] == 2 else [f"c{i}" for i in range(X.shape[1])]
    return pd.DataFrame(X, columns=names)


def table(signals: object = SIGNALS, **columns: object) -> pd.DataFrame:
    cells = pd.Series(list(signals), dtype=object)
    known = {"subject": SUBJECT, "stimulus": STIMULUS, "trial": np.arange(N)}
    return pd.DataFrame({key: known[key][: len(cells)] for key in known} | {"eda": cells} | columns)


def numbers_of(result: object) -> np.ndarray:
    if isinstance(result, pd.DataFrame) and "eda" in result:
        result = np.stack([cell.ravel() for cell in result["eda"]])
    return np.asarray(result, dtype=np.float64)


def error_of(call: Callable, *args: object, **kwargs: object) -> str:
    """Return the message of the one error that the call must end in: no chain, no warning."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*args, **kwargs)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return str(error)


def to_polars(data: object) -> object:
    return pytest.importorskip("polars").DataFrame(data)


def arrow_frame(X: np.ndarray) -> pd.DataFrame:
    pytest.importorskip("pyarrow")
    return frame(X).astype("double[pyarrow]")


def read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def put(X: np.ndarray, value: object, dtype: object = None) -> np.ndarray:
    """Put a value into the second column of the third row."""
    X = X.astype(dtype or X.dtype)
    X[2, 1] = value
    return X


def mask_one(X: np.ndarray) -> np.ma.MaskedArray:
    mask = np.zeros(X.shape, dtype=bool)
    mask[2, 1] = True
    return np.ma.array(X, mask=mask)


# What gives the same result as the plain float64 array

SAME = {
    "float16": lambda X: X.astype(np.float16),
    "float32": lambda X: X.astype(np.float32),
    "long double": lambda X: X.astype(np.longdouble),
    "other byte order": lambda X: X.astype(">f8"),
    "int64": lambda X: X.astype(np.int64),
    "uint8": lambda X: X.astype(np.uint8),
    "objects": lambda X: X.astype(object),
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "rows backwards in memory": lambda X: X[::-1].copy()[::-1],
    "lists": lambda X: X.tolist(),
    "tuple of arrays": lambda X: tuple(X),
    "masked array without a mask": lambda X: np.ma.array(X),
    "torch tensor": torch.tensor,
    "DataFrame": frame,
    "DataFrame of objects": lambda X: frame(X).astype(object),
    "DataFrame of mixed types": lambda X: frame(X).astype({frame(X).columns[0]: int}),
    "DataFrame with a duplicated index": lambda X: frame(X).set_axis([0] * len(X)),
    "nullable Float64": lambda X: frame(X).astype("Float64"),
    "nullable Int64": lambda X: frame(X).astype("Int64"),
    "pyarrow doubles": arrow_frame,
}


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_numeric_form_gives_what_float64_gives(name, form):
    case = ESTIMATORS[name]
    X = good(case)
    results = []
    for given in (X, SAME[form](X)):
        estimator = case.make()
        fitted = case.fit(estimator, given)
        results.append(numbers_of(case.use(estimator, given)))
        assert isinstance(fitted, float | type(estimator))
    # The standardizer computes with float32 where it is given that.
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6 if name == "standardizer" else 0)


@pytest.mark.parametrize("name", [n for n, c in ESTIMATORS.items() if c.takes != "ratings"])
def test_polars_frame_of_numbers_is_read_as_an_array(name):
    case, results = ESTIMATORS[name], []
    for given in (SIGNALS, to_polars(SIGNALS)):
        results.append(numbers_of(case.use(case.fit(case.make(), given), given)))
    np.testing.assert_array_equal(results[1], results[0])


# What is one error, in fit and afterwards

MISSING = r"row 2\b"
REFUSED = {
    "text": (lambda X: np.full(X.shape, "high"), "text"),
    "numbers as text": (lambda X: X.astype(str), r"text.*astype\(float\)"),
    "numbers as bytes": (lambda X: X.astype("S8"), "bytes"),
    "text among objects": (lambda X: put(X, "off", object), r"text.*\[2, 1\].*'off'"),
    "text column": (lambda X: frame(X).astype({frame(X).columns[1]: str}), "column '(c1|arousal)'"),
    "nullable text": (lambda X: frame(X).astype("string"), "column '(c0|valence)'.*text"),
    "complex": (lambda X: X + 1j, "[Cc]omplex"),
    "complex without an imaginary part": (lambda X: X + 0j, "[Cc]omplex"),
    "complex among objects": (lambda X: put(X, 1j, object), r"[Cc]omplex.*\[2, 1\]"),
    "complex column": (
        lambda X: frame(X).astype({frame(X).columns[1]: complex}),
        "column '.*omplex",
    ),
    "dates": (lambda X: X.astype("M8[s]"), "dates"),
    "durations": (lambda X: frame(X).astype("m8[s]"), "durations"),
    "records": (lambda X: frame(X).to_records(index=False), "records"),
    "dict among objects": (lambda X: put(X, {"a": 1}, object), "'dict'"),
    "array in a cell": (lambda X: put(X, np.ones(3), object), r"arrays in its cells.*'eda'"),
    "1-D": (lambda X: X[0], r"1D array|shape \(2,\)"),
    "3-D": (lambda X: X[:, None], r"dim 3|shape \(8, 1, 2\)"),
    "4-D": (lambda X: X[:, None, None], r"dim 4|shape \(8, 1, 1, 2\)"),
    "no rows": (lambda X: X[:0], "minimum of [12] is required"),
    "no columns": (lambda X: X[:, :0], r"0 feature|shape \(8, 0\)"),
    "rows of unequal length": (lambda X: [X[0], X[1][:-1], *X[2:]], "rows of .* differ in length"),
    "sparse": (scipy.sparse.csr_array, "[Ss]parse"),
    "NaN": (lambda X: put(X, np.nan), MISSING),
    "infinity": (lambda X: put(X, np.inf), MISSING),
    "beyond float32": (lambda X: put(X, -1e39), MISSING),
    "None among objects": (lambda X: put(X, None, object), MISSING),
    "masked": (mask_one, MISSING),
    "masked integers": (lambda X: mask_one(X.astype(int)), MISSING),
    "list of masked arrays": (lambda X: list(mask_one(X)), MISSING),
    "NA": (lambda X: frame(X).astype("Float64").mask(mask_one(X).mask), MISSING),
    "NA among integers": (lambda X: frame(X).astype("Int64").mask(mask_one(X).mask), MISSING),
    "column twice": (lambda X: frame(X).iloc[:, [0, 1, 1]], "more than one column '(c1|arousal)'"),
}


# A network of signals takes trials of channels and samples: test_inputs.py.
TAKEN = {("rtcan", "3-D")}


@pytest.mark.parametrize(
    ("name", "form"), [case for case in product(ESTIMATORS, REFUSED) if case not in TAKEN]
)
def test_what_is_no_number_is_one_error_and_leaves_nothing_half_fitted(name, form):
    case = ESTIMATORS[name]
    spoil, message = REFUSED[form]
    bad = spoil(good(case))
    estimator = case.make()
    before = vars(estimator).copy()
    said = error_of(case.fit, estimator, bad)
    assert re.search(message, said), said
    assert vars(estimator) == before
    case.fit(estimator, frame(good(case)) if isinstance(bad, pd.DataFrame) else good(case))
    said = error_of(case.use, estimator, bad)
    assert re.search(message, said), said


@pytest.mark.parametrize("name", ESTIMATORS)
def test_booleans_are_0_and_1_among_features_and_no_signal_and_no_rating(name):
    case = ESTIMATORS[name]
    X = good(case) > np.median(good(case))
    for given in (X, X.astype(object), frame(X), frame(X).astype("boolean")):
        if case.takes == "numbers":
            fitted = case.fit(case.make(), X.astype(float))
            np.testing.assert_array_equal(case.use(fitted, X), case.use(fitted, X.astype(float)))
        else:
            assert "booleans" in error_of(case.fit, case.make(), given)


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"standardizer", "relabeler", "scorer"}))
@pytest.mark.parametrize("key", ["subject", "trial"])
def test_identities_among_the_numbers_are_no_features(name, key):
    case = ESTIMATORS[name]
    said = error_of(case.fit, case.make(), frame(SIGNALS).assign(**{key: np.arange(N)}))
    assert key in said
    assert "set_index" in said


# Signals in cells

SAME_CELL = {
    "float16": lambda cell: cell.astype(np.float16),
    "integers": lambda cell: cell.astype(int),
    "read-only": read_only,
    "reversed twice": lambda cell: cell[::-1].copy()[::-1],
    "list": list,
    "tuple": tuple,
    "objects": lambda cell: cell.astype(object),
    "masked array without a mask": lambda cell: np.ma.array(cell),
    "Series": lambda cell: pd.Series(cell, index=[0] * len(cell)),
    "nullable Series": lambda cell: pd.Series(cell, dtype="Float64"),
    "torch tensor": torch.tensor,
}
TABLES = {
    "cvxeda": lambda: CvxEDATransformer(4),
    "union of cvxeda": lambda: MusicFeatureUnion(eda=CvxEDATransformer(4)),
    "union": MusicFeatureUnion,
    "features": lambda: EDAFeatureExtractor(4),
}


@pytest.mark.parametrize("form", SAME_CELL)
@pytest.mark.parametrize("name", TABLES)
def test_every_numeric_form_of_a_cell_gives_what_float64_gives(name, form):
    given = [SAME_CELL[form](cell) for cell in SIGNALS]
    results = [TABLES[name]().fit_transform(table(cells)) for cells in (SIGNALS, given)]
    np.testing.assert_array_equal(numbers_of(results[1]), numbers_of(results[0]))


@pytest.mark.parametrize("name", TABLES)
def test_lists_of_pyarrow_are_cells(name):
    arrow = pytest.importorskip("pyarrow")
    listed = pd.ArrowDtype(arrow.list_(arrow.float64()))
    given = table().assign(eda=pd.Series(SIGNALS.tolist(), dtype=listed))
    results = [TABLES[name]().fit_transform(X) for X in (table(), given)]
    np.testing.assert_array_equal(numbers_of(results[1]), numbers_of(results[0]))


ONE = SIGNALS[1]
FOURTH = np.isin(ONE, ONE[3])
REFUSED_CELL = {
    "None": (None, "None"),
    "NaN for a signal": (np.nan, "nan"),
    "NA for a signal": (pd.NA, "NA"),
    "no samples": (ONE[:0], "signal"),
    "text for a signal": ("lost", "text"),
    "text": (ONE.astype(str), "text"),
    "text among samples": ([*ONE[1:], "off"], "text"),
    "complex": (ONE + 1j, "[Cc]omplex"),
    "booleans": (ONE > 100, "booleans"),
    "dates": (ONE.astype("M8[s]"), "dates"),
    "3-D": (ONE.reshape(2, 5, 6), "shape"),
    "another signal's channels": (ONE.reshape(2, 30), "shape"),
    "ragged": ([[1.0, 2.0], [3.0]], "differ in length"),
    "NaN": (np.where(FOURTH, np.nan, ONE), "NaN"),
    "masked": (np.ma.masked_equal(ONE, ONE[3]), "masked"),
    "nullable with NA": (pd.Series(ONE, dtype="Float64").mask(FOURTH), "NaN"),
    "None among samples": ([*ONE[1:], None], "NaN"),
    "beyond float32": (ONE * 1e38, "infinite"),
}


@pytest.mark.parametrize("form", REFUSED_CELL)
@pytest.mark.parametrize("name", TABLES)
def test_bad_cell_is_one_error_that_names_the_trial(name, form):
    cell, message = REFUSED_CELL[form]
    cells = [*SIGNALS[:1], cell, *SIGNALS[2:]]
    transformer = TABLES[name]()
    before = vars(transformer).copy()
    said = error_of(transformer.fit, table(cells))
    assert re.search(rf"row 1 \(subject a, stimulus t, trial 1\).*{message}", said), said
    assert vars(transformer) == before


@pytest.mark.parametrize(
    "hole",
    [
        lambda X: put(X, np.nan),
        lambda X: put(X, np.inf),
        lambda X: put(X, None, object),
        mask_one,
        lambda X: frame(X).astype("Float64").mask(mask_one(X).mask),
        lambda X: frame(X).astype("Int64").mask(mask_one(X).mask),
        lambda X: table([*X[:2], mask_one(X)[2], *X[3:]]),
        lambda X: table([*X[:2], pd.Series(put(X, np.nan)[2], dtype="Float64"), *X[3:]]),
    ],
)
@pytest.mark.parametrize("estimator", [CvxEDATransformer, EDAFeatureExtractor])
def test_whatever_is_missing_is_interpolated_alike(estimator, hole):
    filled = put(SIGNALS, (SIGNALS[2, 0] + SIGNALS[2, 2]) / 2)
    lenient = estimator(4, missing="interpolate")
    given = hole(SIGNALS)
    plain = table(filled) if isinstance(given, pd.DataFrame) and "eda" in given else filled
    results = [numbers_of(lenient.fit_transform(X)) for X in (plain, given)]
    np.testing.assert_array_equal(results[1], results[0])


@pytest.mark.parametrize("name", TABLES)
def test_table_without_trials_or_with_two_columns_eda_is_one_error(name):
    assert "minimum of 1" in error_of(TABLES[name]().fit, table().iloc[:0])
    twice = pd.concat([table(), table()[["eda"]]], axis=1)
    assert "more than one column 'eda'" in error_of(TABLES[name]().fit, twice)


@pytest.mark.parametrize("name", TABLES)
def test_duplicated_index_of_a_table_mixes_no_rows_up(name):
    labels = [0, 0, 1, 1, 0, 2, 2, 0]
    expected, given = (TABLES[name]().fit_transform(X) for X in (table(), table().set_axis(labels)))
    np.testing.assert_array_equal(numbers_of(given), numbers_of(expected))
    if "eda" in given:
        assert given["trial"].tolist() == list(range(N))
        assert given.index.tolist() == labels


def test_duplicated_index_of_ratings_mixes_no_people_up():
    ratings = frame(RATINGS).assign(subject=SUBJECT)
    expected = SubjectThresholdRelabeler().fit_relabel(ratings)
    X = table().set_axis([1] * N)
    _, given = SubjectThresholdRelabeler().fit_resample(X, ratings.set_axis([0] * N))
    np.testing.assert_array_equal(given, expected)


def test_window_of_a_table_with_a_duplicated_index_is_an_error_as_ratings_could_not_follow():
    assert "reset_index" in error_of(cut_window, table().set_axis([0] * N), 4, (0, 5))


def test_window_keeps_the_mask_of_a_signal():
    cut = cut_window(table([*SIGNALS[:2], mask_one(SIGNALS)[2]]), 4, (0, 5))
    assert cut["eda"][2].mask.sum() == 1


# Tables of other libraries

READERS = {
    **{name: lambda X, make=make: make().fit(X) for name, make in TABLES.items()},
    "stimulus-prior": lambda X: StimulusPriorClassifier().fit(X, Y),
    "rtcan": lambda X: RTCANClassifier(n_chans=1).fit(X, Y),
    "cnn": lambda X: CNNClassifier().fit(X, Y),
    "music": lambda X: MusicFeatureUnion(eda="drop", music=music()).fit(X),
    "relabeler": lambda X: SubjectThresholdRelabeler().fit_resample(X, frame(RATINGS)),
    "scorer": lambda X: SubjectThresholdScorer()(Always(), X, RATINGS),
    "window": lambda X: cut_window(X, 4, (0, 5)),
}


def music(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"tempo": [90.0, 120.0, 60.0, 70.0]} | columns, index=list("stuv"))


@pytest.mark.parametrize("name", READERS)
def test_trials_table_of_polars_is_one_error_that_says_the_way_out(name):
    data = {"subject": list(SUBJECT), "stimulus": list(STIMULUS), "eda": SIGNALS.tolist()}
    assert ".to_pandas()" in error_of(READERS[name], to_polars(data))


def test_ratings_of_polars_are_an_error_and_never_read_by_their_place():
    swapped = to_polars({"arousal": RATINGS[:, 1], "valence": RATINGS[:, 0]})
    said = error_of(SubjectThresholdRelabeler().fit, swapped, subject=SUBJECT)
    assert ".to_pandas()" in said
    with pytest.raises(ValueError, match="to_pandas"):
        SubjectThresholdScorer()(Always(), SIGNALS, swapped, SUBJECT)


def test_networks_read_the_layout_from_the_columns_of_a_polars_frame():
    joined = MusicFeatureUnion(music=music()).fit_transform(table())
    settings = {"channels": (8, 8, 8, 8), "max_epochs": 1, "random_state": 0}
    expected = RTCANClassifier(**settings).fit(joined, Y).predict_proba(joined)
    given = to_polars({name: joined[name].to_numpy() for name in joined})
    np.testing.assert_array_equal(
        RTCANClassifier(**settings).fit(given, Y).predict_proba(given), expected
    )


# Recordings as they go wrong


def hostile_recordings() -> dict[str, np.ndarray]:
    """Twenty-five seconds at 4 Hz, in microsiemens."""
    rng = np.random.default_rng(2)
    time = np.arange(100) / 4
    eda = 2 + 0.02 * np.cumsum(rng.normal(size=100))
    for onset in (3, 9, 16):
        since = np.clip(time - onset, 0, None)
        eda = eda + np.exp(-since / 2) - np.exp(-since / 0.7)
    at_once = np.where(time < 12, 0.0, 5.0)
    return {
        "saturated": np.minimum(eda, np.quantile(eda, 0.5)),
        "saturated all along": np.full(100, 60.0),
        "clipped on both sides": np.clip(eda, *np.quantile(eda, [0.3, 0.6])),
        "spiked": eda + 50.0 * (np.arange(100) % 33 == 20),
        "spiked by ten thousand": eda + 1e4 * (np.arange(100) == 50),
        "one spike in silence": 1.0 * (np.arange(100) == 50),
        "quantised to three levels": np.round(eda),
        "quantised to one step": at_once,
        "contact lost": np.where(time > 10, 0.0, eda),
        "contact lost and found": np.where((time > 8) & (time < 15), 0.0, eda),
        "contact flickering": eda * (np.arange(100) % 2),
        "never any contact": np.zeros(100),
        "no contact but noise of the last bit": 1e-3 * (np.arange(100) % 2) * 2**-20,
        "stuck": np.full(100, eda[0]),
        "negative": -eda,
        "ramp": time,
        "tiny": eda * 1e-12,
        "large": eda * 1e12,
        "on a high offset": eda + 1e6,
    }


@pytest.mark.parametrize("kind", hostile_recordings())
def test_hostile_recording_is_decomposed_to_finite_channels_or_named(kind):
    signal = hostile_recordings()[kind][None]
    transformer = CvxEDATransformer(
        4, components=("original", "phasic", "tonic", "driver", "residual")
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        channels = transformer.fit_transform(signal)
    assert np.isfinite(channels).all()
    told = " ".join(str(one.message) for one in caught)
    assert {one.category for one in caught} <= {SignalQualityWarning}
    found = transformer.diagnostics_.iloc[0]
    assert found["status"] == "optimal" or "miss the solver's tolerance" in told
    assert found["flat"] == ("flat" in told) == (np.ptp(signal) <= 1e-12 * np.abs(signal).max())


@pytest.mark.parametrize("kind", hostile_recordings())
@pytest.mark.parametrize("decomposition", ["highpass", "cvxeda"])
def test_hostile_recording_has_finite_features(kind, decomposition):
    signal = hostile_recordings()[kind][None]
    features = EDAFeatureExtractor(4, decomposition=decomposition).fit_transform(signal)
    assert np.isfinite(features).all()


# Labels

CLASSIFIERS = {
    name: case.make
    for name, case in ESTIMATORS.items()
    if name in ("rtcan", "cnn", "stimulus-prior")
}
WORDS = np.array(["low", "high"])[Y]
LABELS = {
    "integers": Y,
    "negative": np.where(Y, 1, -1),
    "uint8": Y.astype(np.uint8),
    "whole floats": Y.astype(float),
    "float16": Y.astype(np.float16),
    "text": WORDS,
    "objects": WORDS.astype(object),
    "list": list(WORDS),
    "booleans": Y.astype(bool),
    "booleans among objects": Y.astype(bool).astype(object),
    "integers among objects": Y.astype(object),
    "three classes": np.arange(N) % 3,
    "four words": np.array(list("abcd") * 2),
    "Series with another index": pd.Series(WORDS, index=range(N, 0, -1)),
    "nullable integers": pd.Series(Y, dtype="Int64"),
    "nullable booleans": pd.Series(Y.astype(bool), dtype="boolean"),
    "nullable text": pd.Series(WORDS, dtype="string"),
    "categories": pd.Series(WORDS, dtype="category"),
    "masked array without a mask": np.ma.array(Y),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_of_any_one_type_come_back_as_they_were_in_the_order_of_the_rows(name, kind):
    y = LABELS[kind]
    plain = np.asarray(y).tolist()
    codes = np.unique(plain, return_inverse=True)[1]
    expected = CLASSIFIERS[name]().fit(SIGNALS, codes).predict_proba(SIGNALS)
    model = CLASSIFIERS[name]().fit(SIGNALS, y)
    assert model.classes_.tolist() == sorted(set(plain))
    assert {type(label) for label in model.classes_.tolist()} == {type(plain[0])}
    np.testing.assert_array_equal(model.predict_proba(SIGNALS), expected)
    assert set(model.predict(SIGNALS).tolist()) <= set(plain)


REFUSED_LABELS = {
    "continuous": (np.linspace(0, 1, N), "Unknown label type: continuous"),
    "NaN": (np.where(np.arange(N) == 3, np.nan, Y), "row 3"),
    "infinity": (np.where(np.arange(N) == 3, np.inf, Y), "row 3"),
    "NaN in a list of words": ([*WORDS[:3], np.nan, *WORDS[4:]], "row 3"),
    "None": ([*WORDS[:3], None, *WORDS[4:]], "row 3"),
    "NA": (pd.Series(WORDS, dtype="string").mask(np.arange(N) == 3), "row 3"),
    "NA among integers": (pd.Series(Y, dtype="Int64").mask(np.arange(N) == 3), "row 3"),
    "category missing": (pd.Series(WORDS, dtype="category").mask(np.arange(N) == 3), "row 3"),
    "masked": (np.ma.array(Y, mask=np.arange(N) == 3), "row 3"),
    "numbers and words in a list": ([0, "high"] * (N // 2), "mixes"),
    "numbers and words": (np.array([0, "high"] * (N // 2), dtype=object), "mixes"),
    "two columns": (np.c_[Y, Y], "1d array"),
    "a table of ratings": (frame(RATINGS), "1d array"),
    "too few": (Y[:-1], r"inconsistent numbers of samples: \[8, 7\]"),
    "none": ([], "inconsistent numbers of samples"),
    "absent": (None, "requires y"),
    "complex": (Y + 1j, "[Cc]omplex"),
    "bytes": (WORDS.astype("S"), "bytes"),
    "one for all": (1, "1d array"),
}


@pytest.mark.parametrize("kind", REFUSED_LABELS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_is_no_label_is_one_error(name, kind):
    y, message = REFUSED_LABELS[kind]
    model = CLASSIFIERS[name]()
    before = vars(model).copy()
    said = error_of(model.fit, SIGNALS, y)
    assert re.search(message, said), said
    assert vars(model) == before


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_column_of_labels_is_taken_with_a_warning(name):
    expected = CLASSIFIERS[name]().fit(SIGNALS, Y).predict_proba(SIGNALS)
    for y in (Y[:, None], pd.DataFrame({"y": Y})):
        with pytest.warns(DataConversionWarning, match="column-vector"):
            model = CLASSIFIERS[name]().fit(SIGNALS, y)
        np.testing.assert_array_equal(model.predict_proba(SIGNALS), expected)


@pytest.mark.parametrize("name", ["rtcan", "cnn"])
def test_one_class_is_an_error_for_networks(name):
    assert "one class only: low" in error_of(CLASSIFIERS[name]().fit, SIGNALS, ["low"] * N)


def test_one_class_is_always_the_answer_of_the_stimulus_prior():
    model = StimulusPriorClassifier().fit(SIGNALS, ["low"] * N)
    assert set(model.predict(SIGNALS + 1)) == {"low"}
    assert (model.predict_proba(SIGNALS) == 1).all()


# A single row


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"standardizer", "relabeler", "scorer"}))
def test_a_single_row_gets_what_it_gets_among_others(name):
    case = ESTIMATORS[name]
    fitted = case.fit(case.make(), SIGNALS)
    expected = numbers_of(case.use(fitted, SIGNALS))[3:4]
    np.testing.assert_array_equal(numbers_of(case.use(fitted, SIGNALS[3:4])), expected)


@pytest.mark.parametrize("name", ["cvxeda", "union of cvxeda", "features", "union"])
def test_fit_to_a_single_row_works_where_nothing_is_learned_from_others(name):
    case = ESTIMATORS[name]
    fitted = case.fit(case.make(), SIGNALS[:1])
    expected = numbers_of(case.use(case.fit(case.make(), SIGNALS), SIGNALS))
    np.testing.assert_array_equal(numbers_of(case.use(fitted, SIGNALS)), expected)


@pytest.mark.parametrize("name", ["rtcan", "cnn"])
def test_fit_to_a_single_row_is_an_error_for_networks(name):
    said = error_of(CLASSIFIERS[name]().fit, SIGNALS[:1], Y[:1])
    assert "1 sample" in said
    assert "minimum of 2" in said


# People

SUBJECTS = {
    "text": np.repeat(["a", "b", "c", "d"], 2),
    "numbers": np.repeat([4, 7, 11, 30], 2),
    "floats": np.repeat([0.5, 1.0, 1.5, 2.0], 2),
    "list": ["a", "a", "b", "b", "c", "c", "d", "d"],
    "list of numbers and text": [1, 1, "1", "1", 2.5, 2.5, "x", "x"],
    "objects of numbers and text": np.array([1, 1, "1", "1", 2.5, 2.5, "x", "x"], dtype=object),
    "categories": pd.Categorical(list("aabbccdd")),
    "nullable integers": pd.Series(np.repeat([1, 2, 3, 4], 2), dtype="Int64"),
    "nullable text": pd.Series(list("aabbccdd"), dtype="string"),
    "Series with another index": pd.Series(list("aabbccdd"), index=range(N, 0, -1)),
    "dates": pd.Series(pd.date_range("2020", periods=4).repeat(2)),
    "masked array without a mask": np.ma.array(np.repeat([1, 2, 3, 4], 2)),
}
ASKING = {
    "rtcan": lambda subject: RTCANClassifier(
        n_chans=1, channels=(8, 8, 8, 8), max_epochs=1, random_state=0, validation_fraction=0.3
    ).fit(SIGNALS, Y, subject=subject),
    "cnn": lambda subject: CNNClassifier(
        n_filters=4, max_epochs=1, random_state=0, validation_fraction=0.3
    ).fit(SIGNALS, Y, subject=subject),
    "relabeler": lambda subject: SubjectThresholdRelabeler().fit(RATINGS, subject=subject),
    "standardizer": lambda subject: SubjectStandardizer(min_trials=2).fit(SIGNALS, subject=subject),
}


@pytest.mark.filterwarnings("ignore:Some ids of subject are nearly equal")
@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("name", ASKING)
def test_four_people_are_four_whatever_their_ids_are(name, kind):
    fitted = ASKING[name](SUBJECTS[kind])
    if name in ("rtcan", "cnn"):
        assert len(fitted.validation_subjects_) == 2
        assert set(pd.Index(fitted.validation_subjects_)) < set(pd.Index(SUBJECTS[kind]))
    else:
        assert len(fitted.thresholds_ if name == "relabeler" else fitted.means_) == 4


REFUSED_SUBJECTS = {
    "NaN": (np.array([1.0, 1, 1, np.nan, 2, 2, 2, 2]), "missing for row 3"),
    "NaN in a list of text": (["a", "a", "a", np.nan, "b", "b", "b", "b"], "missing for row 3"),
    "None": (["a", "a", "a", None, "b", "b", "b", "b"], "missing for row 3"),
    "NA": (pd.Series([1, 1, 1, pd.NA, 2, 2, 2, 2], dtype="Int64"), "missing for row 3"),
    "masked": (np.ma.array(np.repeat([1, 2], 4), mask=np.arange(N) == 3), "missing for row 3"),
    "too few": (SUBJECT[:-1], r"one id for each of the 8 trials, got shape \(7,\)"),
    "one for all": ("a", "one id for each of the 8 trials"),
    "a frame": (pd.DataFrame({"subject": SUBJECT}), r"got shape \(8, 1\)"),
    "pairs": ([("a", 1)] * N, r"got shape \(8, 2\)"),
}


@pytest.mark.parametrize("kind", REFUSED_SUBJECTS)
@pytest.mark.parametrize("name", ASKING)
def test_people_who_are_unknown_are_one_error(name, kind):
    subject, message = REFUSED_SUBJECTS[kind]
    said = error_of(ASKING[name], subject)
    assert re.search(message, said), said


def test_two_columns_subject_are_one_error():
    ratings = pd.concat([frame(RATINGS), pd.DataFrame({"subject": SUBJECT})], axis=1)
    ratings = pd.concat([ratings, ratings[["subject"]]], axis=1)
    assert "more than one column 'subject'" in error_of(SubjectThresholdRelabeler().fit, ratings)


def test_person_with_one_trial_is_all_low_and_told():
    subject = [*"aaaaaaa", "alone"]
    with pytest.warns(UserWarning, match=r"1 of 2 subjects gave all trials the same.*alone"):
        labels = SubjectThresholdRelabeler().fit_relabel(RATINGS, subject=subject)
    assert labels[-1] == 0


@pytest.mark.parametrize("name", ["rtcan", "cnn"])
def test_person_with_one_trial_may_be_set_aside(name):
    fitted = ASKING[name]([*"aaaabbb", "alone"])
    assert len(fitted.validation_subjects_) == 1


def test_ratings_have_no_range_of_their_own():
    inside = SubjectThresholdRelabeler().fit_relabel(RATINGS, subject=SUBJECT)
    outside = SubjectThresholdRelabeler().fit_relabel(1000 * RATINGS - 5e5, subject=SUBJECT)
    np.testing.assert_array_equal(outside, inside)


# Music and stimuli

STIMULUS_MISSING = table(stimulus=["s", "t", np.nan, "v", *STIMULUS[4:]])


def test_trial_without_a_stimulus_is_named_or_gets_the_mean():
    union = MusicFeatureUnion(eda="drop", music=music())
    assert re.search(r"row 2 .*trial 2.*stimulus nan", error_of(union.fit, STIMULUS_MISSING))
    imputed = union.set_params(handle_unknown="impute").fit_transform(STIMULUS_MISSING)
    assert imputed.iloc[2].tolist() == pytest.approx([0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (music().set_axis(["s", "t", "u", np.nan]), "The stimulus of row 3 of music is missing"),
        (music().set_axis(["s", "t", "t", "v"]), "more than one row for stimulus 't'"),
        (music(loud=[1, 2, np.nan, 4]), "stimulus 'u', feature 'loud'"),
        (music(loud=pd.array([1, 2, pd.NA, 4])), "stimulus 'u', feature 'loud'"),
        (music(loud=[1.0, 1e39, 2.0, 3.0]), "stimulus 't', feature 'loud'"),
        (music(loud=["1", "2", "3", "4"]), "column 'loud' of music holds text"),
        (music(loud=np.arange(4) + 1j), "column 'loud' of music holds complex"),
        (music(loud=pd.date_range("2020", periods=4)), "column 'loud' of music holds dates"),
        (pd.concat([music(), music()], axis=1), "music has more than one column 'tempo'"),
        (music()[[]], "4 stimuli and 0 features"),
        (music()[:0], "0 stimuli and 1 features"),
        (music()[:2], "row 2 .*no row for stimulus 'u'"),
    ],
)
def test_bad_music_is_one_error_that_names_the_stimulus_or_feature(bad, message):
    union = MusicFeatureUnion(music=bad)
    before = vars(union).copy()
    said = error_of(union.fit, table())
    assert re.search(message, said), said
    assert vars(union) == before


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", "Int64", "boolean", object])
def test_music_of_any_numeric_type_is_joined_alike(dtype):
    tags = music(rock=[1, 0, 0, 1], tempo=[0, 1, 1, 1])
    results = [
        MusicFeatureUnion(music=tags.astype(kind)).fit_transform(table()) for kind in (float, dtype)
    ]
    pd.testing.assert_frame_equal(results[1], results[0])


def test_transformer_of_a_union_must_give_finite_rows_one_for_each_trial():
    for made, message in [
        (lambda X: X[:-1], "7 rows for 8 trials"),
        (lambda X: put(X, np.nan), "row 2, column 1"),
        (lambda X: X.astype(str), "text"),
    ]:
        union = MusicFeatureUnion(eda=FunctionTransformer(made))
        assert re.search(message, error_of(union.fit, SIGNALS))


def test_stimulus_prior_knows_no_missing_stimulus():
    model = StimulusPriorClassifier()
    assert "stimulus is missing for row 2" in error_of(model.fit, STIMULUS_MISSING, Y)
    model.fit(table(), Y)
    assert "stimulus is missing for row 2" in error_of(model.predict, STIMULUS_MISSING)


# Parameters

PARAMETERS = {
    "cvxeda": {
        "sampling_rate": [0, np.nan, np.inf, "4", None, True, 1j],
        "n_times": [1, 2.0, True, "60"],
        "components": ["phasic", (), ("phasic", "phasic"), ("scr",), (1,), None],
        "standardize_input": ["yes", None, 1],
        "standardize_output": ["yes"],
        "trim_seconds": [-1, np.nan, np.inf, None, 1e9],
        "tau0": [0, 0.7, np.inf, 1e-9],
        "tau1": [-1, 2.0, None],
        "delta_knot": [0, 0.1, np.inf],
        "alpha": [0, np.nan, "8e-4"],
        "gamma": [-1, np.inf],
        "missing": ["drop", None],
        "solver": ["ecos", None],
    },
    "features": {
        "sampling_rate": [0, np.nan, "4", None],
        "decomposition": ["ica", 3],
        "preset": ["rtcan", None],
        "missing": ["mask"],
    },
    "union": {
        "eda": ["none", None, 3, CvxEDATransformer],
        "music": [{}, "songs", pd.Series([1.0])],
        "standardize_music": ["yes"],
        "handle_unknown": ["ignore"],
    },
    "rtcan": {
        "n_chans": [0, 1.0, "3", 7],
        "n_times": [0, 61],
        "n_music_features": [-1, 60],
        "channels": [(), "64", 64, (8, 0), (8.0, 8.0), None],
        "n_clips": [0],
        "reduction": [0],
        "max_epochs": [0, 1.5],
        "batch_size": [1],
        "lr": [0, np.nan, "1e-3"],
        "optimizer": ["adam"],
        "optimizer_params": [[1]],
        "lr_scheduler": ["step", 5],
        "callbacks": ["x", [3], ["stop"]],
        "validation_fraction": [0, 1, np.nan],
        "patience": [0],
        "device": ["tpu", "cuda:99", 0],
        "n_threads": [0],
        "random_state": ["a", -1],
        "verbose": [-1],
    },
    "cnn": {"n_filters": [0, 1.5], "device": ["tpu"], "callbacks": [[3]]},
    "standardizer": {"unseen": ["ask", None], "min_trials": [1, 2.0], "calibrate_on": [1, "all"]},
    "relabeler": {
        "target": ["dominance", None],
        "threshold": ["median", None, np.nan, np.inf],
        "min_center_distance": [-1, np.nan, None],
    },
}


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        pytest.param(name, parameter, value, id=f"{name}-{parameter}-{i}")
        for name, parameters in PARAMETERS.items()
        for parameter, values in parameters.items()
        for i, value in enumerate(values)
    ],
)
def test_unknown_value_of_a_parameter_is_one_error_that_names_it(name, parameter, value):
    case = ESTIMATORS[name]
    estimator = case.make()
    setattr(estimator, parameter, value)
    before = vars(estimator).copy()
    said = error_of(case.fit, estimator, good(case))
    if value is CvxEDATransformer:
        assert "instance of scikit-learn estimator instead of a class" in said
    else:
        assert parameter in said
    assert vars(estimator) == before


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "scorer"])
def test_unknown_name_of_a_parameter_is_one_error(name):
    estimator = ESTIMATORS[name].make()
    assert "smoothing" in error_of(estimator.set_params, smoothing=1)
    said = error_of(type(estimator), **estimator.get_params(deep=False), smoothing=1)
    assert "smoothing" in said or "takes no arguments" in said


@pytest.mark.parametrize(
    ("metric", "settings"),
    [("acuracy", {}), (5, {}), ("accuracy", {"target": "x"}), ("accuracy", {"threshold": "x"})],
)
def test_unknown_parameter_of_the_scorer_is_one_error(metric, settings):
    with pytest.raises(ValueError, match=r"acuracy|5|target|threshold"):
        SubjectThresholdScorer(metric, **settings)


# Loaders; bad files are in test_datasets.py


@pytest.mark.parametrize("load", [load_hku956, load_induced_stress])
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("path", 5),
        ("path", b"data"),
        ("path", ["data"]),
        ("path", ""),
        ("path", "no/such/folder"),
        ("window", "start"),
        ("window", (0, 25, 50)),
        ("window", 25),
        ("window", (0, np.nan)),
        ("allow_partial", "no"),
        ("allow_partial", None),
        ("sampling_rate", 4),
    ],
)
def test_bad_argument_of_a_loader_is_one_error_that_names_it(load, parameter, value):
    assert parameter in error_of(load, **{parameter: value})


def rated(tmp_path, content: str):
    place = tmp_path / "hku956.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("3. AV_ratings.csv", content)
    return place


HEADER = "participant_id,song_no,song_id,valence_rating,arousal_rating,play_duration"


def test_encrypted_archive_is_named(tmp_path):
    place = rated(tmp_path, HEADER)
    content = bytearray(place.read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(start) + flags] |= 1
    place.write_bytes(content)
    with pytest.raises(DatasetError, match=r"hku956\.zip(.|\n)*AV_ratings\.csv.*encrypted"):
        load_hku956(place)


def test_column_that_a_file_has_twice_is_named(tmp_path):
    place = rated(tmp_path, HEADER + ",valence_rating\nhku1,0,5,1,1,30,9\n")
    with pytest.raises(DatasetError, match=r"AV_ratings\.csv.*'valence_rating'.* more than once"):
        load_hku956(place)


@pytest.mark.parametrize("rating", ["-10.01", "11", "inf", "nan", "high", ""])
def test_rating_outside_the_stated_range_is_named(tmp_path, rating):
    place = rated(tmp_path, f"{HEADER}\nhku1,0,5,{rating},1,30\n")
    with pytest.raises(DatasetError, match=r"AV_ratings\.csv.*hku1, song_no 0"):
        load_hku956(place)


ROW = np.random.default_rng(2).normal(size=(N, 12))
SEQUENCES = [np.random.default_rng(row).normal(size=(9, 3)) for row in range(N)]
PREDICTORS = {
    "rtcan": (
        RTCANClassifier(n_chans=1, channels=(8, 8, 8, 8), max_epochs=1, random_state=0),
        (ROW, Y),
    ),
    "cnn": (CNNClassifier(n_filters=4, max_epochs=1, random_state=0), (ROW, Y)),
    "maet": (MAETClassifier({"eda": 12}, embed_dim=8, max_epochs=1, random_state=0), (ROW, Y)),
    "classifier": (NetworkClassifier(Line, max_epochs=1, random_state=0), (ROW, Y)),
    "regressor": (NetworkRegressor(Line, max_epochs=1, random_state=0), (ROW, ROW[:, 0])),
    "sequences": (
        NetworkSequenceRegressor(
            MuSeLSTM, standardize=True, max_epochs=1, batch_size=4, random_state=0
        ),
        (SEQUENCES, [steps[:, 0] for steps in SEQUENCES]),
    ),
    "fusion": (
        LateFusionRegressor(
            {
                name: NetworkSequenceRegressor(MuSeLSTM, max_epochs=1, random_state=seed)
                for seed, name in enumerate("ab")
            },
            final_estimator=NetworkSequenceRegressor(MuSeLSTM, max_epochs=1, random_state=0),
            n_splits=2,
        ),
        (SEQUENCES, [steps[:, 0] for steps in SEQUENCES], SUBJECT),
    ),
    "stimulus-prior": (StimulusPriorClassifier(), (ROW, Y)),
    "subject-mean": (SubjectMeanRegressor(), (ROW, ROW[:, 0])),
}


@pytest.mark.parametrize("scale", [1e10, 1e20, 1e37])
@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_trial_of_enormous_values_gets_a_finite_prediction_or_an_error_that_names_it(name, scale):
    model, data = PREDICTORS[name]
    fitted = clone(model).fit(*data)
    X = [rows * (scale if row == 5 else 1.0) for row, rows in enumerate(data[0])]
    X = np.array(X) if isinstance(data[0], np.ndarray) else X
    try:
        predicted = fitted.predict(X)
        shares = fitted.predict_proba(X) if hasattr(fitted, "predict_proba") else 0.0
    except ValueError as error:
        assert re.search(r"\brow 5\b", str(error))
    else:
        series = np.concatenate([*predicted]) if predicted.dtype == object else predicted
        assert np.isfinite(series).all() and np.isfinite(shares).all()


class Undecided(ClassifierMixin, BaseEstimator):
    """A user's classifier whose probabilities are NaN for large values."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.where(np.abs(X).max(axis=1, keepdims=True) > 1e9, np.nan, 0.5).repeat(2, axis=1)


@pytest.mark.parametrize(
    "predict",
    [
        PersonalClassifier(Undecided(), k=0).fit(ROW, Y, subject=SUBJECT).predict,
        ConformalByPerson(Undecided(), coverage=0.4).fit(ROW, Y, subject=SUBJECT).predict,
        ConformalByPerson(Undecided(), coverage=0.4).fit(ROW, Y, subject=SUBJECT).predict_set,
    ],
    ids=["personal", "conformal", "set"],
)
def test_a_class_is_not_chosen_by_probabilities_that_are_not_finite(predict):
    X = ROW.copy()
    X[5] *= 1e20
    with pytest.raises(ValueError, match="for 1 of 8 trials: row 5"):
        predict(X, subject=SUBJECT)


def test_a_network_whose_weights_are_not_finite_does_not_predict_the_first_class():
    X = pd.DataFrame(ROW, index=pd.Index(SUBJECT, name="subject"))
    fitted = CNNClassifier(n_filters=4, max_epochs=1, random_state=0).fit(X, Y)
    with torch.no_grad():
        next(fitted.net_.module_.parameters()).fill_(np.nan)
    message = r"for 8 of 8 trials: row 0 \(subject a\);.* and 3 more.*fit again with a lower lr"
    with pytest.raises(ValueError, match=message):
        fitted.predict(X)
    with pytest.raises(ValueError, match=message):
        fitted.predict_proba(X)
