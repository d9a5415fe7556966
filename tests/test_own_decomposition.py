"""A decomposition from outside the package goes wherever those of the package go."""

import io
import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from edaemo import CvxEDATransformer, MusicFeatureUnion, load, save
from edaemo.cli import main
from edaemo.datasets import make_music_listening
from edaemo.decomposition import (
    Components,
    CvxEDA,
    DecompositionError,
    DecompositionMethod,
    Highpass,
    Median,
    Smooth,
    decompose,
    decompose_many,
    decomposition_names,
    find_decomposition,
    register_decomposition,
)
from edaemo.evaluation import PIPELINES, ResultStore, evaluate, register_input, register_pipeline
from edaemo.evaluation._registry import INPUTS
from edaemo.features import EDAFeatureExtractor
from edaemo.persistence import FileError
from edaemo.preprocessing import EDADecomposer


@register_decomposition("line")
@dataclass(frozen=True)
class Line(DecompositionMethod):
    """Tonic is a straight line through two samples; the driver counts up."""

    first: int = 0
    last: int = -1

    has_driver = True

    def check(self, sampling_rate: float) -> None:
        if self.first < 0:
            raise ValueError(f"first must not be negative, got {self.first!r}.")

    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
        place = np.arange(len(signal))
        if signal[self.first] == 666:
            raise DecompositionError("no line", "stalled", 0.5)
        slope = (signal[self.last] - signal[self.first]) / (place[self.last] - self.first)
        tonic = signal[self.first] + slope * (place - self.first)
        return Components(signal - tonic, tonic, place / sampling_rate, np.zeros_like(signal))


RATE = 4


def make_eda(n: int = 3, n_samples: int = 80) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 3 + 0.1 * np.cumsum(rng.normal(size=(n, n_samples)), axis=1)


def make_table(signals: np.ndarray) -> pd.DataFrame:
    n = len(signals)
    table = pd.DataFrame({"subject": [f"p{i // 2}" for i in range(n)], "stimulus": ["s"] * n})
    return table.assign(trial=range(n), eda=pd.Series(list(signals), dtype=object))


def around_line(signals: np.ndarray, first: int = 0) -> np.ndarray:
    """What `Line` leaves, by interpolation through its two samples."""
    last = signals.shape[1] - 1
    place = np.arange(last + 1)
    fits = [np.polyval(np.polyfit([first, last], row[[first, last]], 1), place) for row in signals]
    return signals - np.stack(fits)


# --- one class, all entries --------------------------------------------------------------------


@pytest.mark.parametrize(("method", "first"), [("line", 0), (Line(first=8), 8)])
def test_the_decomposer_splits_by_it(method, first):
    signals = make_eda()
    decomposer = EDADecomposer(RATE, method=method, components=("phasic", "tonic", "residual"))
    phasic, tonic, residual = np.split(decomposer.fit_transform(signals), 3, axis=1)
    expected = around_line(signals, first)
    np.testing.assert_allclose(phasic, expected, atol=1e-6)
    np.testing.assert_allclose(tonic, signals - expected, atol=1e-6)
    np.testing.assert_array_equal(residual, 0)


@pytest.mark.parametrize(("method", "first"), [("line", 0), (Line(first=8), 8)])
def test_the_transformer_makes_channels_by_it(method, first):
    signals = make_eda()
    transformer = CvxEDATransformer(
        RATE, method=method, components=("phasic", "driver"), trim_seconds=0
    )
    table = transformer.fit_transform(make_table(signals))
    expected = around_line(signals, first)
    for cell, row in zip(table["eda"], expected, strict=True):
        np.testing.assert_allclose(cell[0], (row - row.mean()) / row.std(), atol=1e-5)
        np.testing.assert_allclose(np.diff(cell[1]), np.diff(cell[1])[0], atol=1e-5)
    found = transformer.diagnostics_
    assert set(found["status"]) == {"optimal"}
    assert (found[["gap", "n_iter", "residual_rms"]] == 0).all().all()
    driver = np.arange(80)
    np.testing.assert_allclose(found["driver_density"], np.mean(driver > 0.01 * 79))


@pytest.mark.parametrize(("method", "first"), [("line", 0), (Line(first=8), 8)])
def test_the_features_are_of_its_phasic_component(method, first):
    signals = make_eda()
    extractor = EDAFeatureExtractor(RATE, method=method).set_output(transform="pandas")
    given = extractor.fit_transform(signals)
    expected = around_line(signals, first)
    np.testing.assert_allclose(given["eda_mean"], expected.mean(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(given["eda_std"], expected.std(axis=1), rtol=1e-5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with this module beside a recording, where commands are run."""
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    pd.DataFrame({"eda": make_eda(1)[0]}).to_csv("recording.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(("first", "jobs"), [(0, 1), (8, 2)])
def test_the_command_takes_it_from_a_plugin_with_its_settings(folder, first, jobs):
    files = ["recording.csv"]
    if jobs == 2:
        pd.DataFrame({"eda": make_eda(2)[1]}).to_csv("second.csv", index=False)
        files.append("second.csv")
    command = [sys.executable, "-m", "edaemo.cli", "decompose", *files, "out"]
    command += ["--sampling-rate", str(RATE), "--method", "line", "--setting", f"first={first}"]
    command += ["--plugin", "test_own_decomposition", "--jobs", str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv("out/recording.csv")
    assert list(table) == ["time", "eda", "phasic", "tonic", "driver", "residual", "quality"]
    np.testing.assert_allclose(table["phasic"], around_line(make_eda(1), first)[0], atol=1e-12)
    np.testing.assert_allclose(table["driver"], table["time"])


def test_a_saved_model_answers_as_before(folder):
    signals, labels = make_eda(6), [0, 1] * 3
    table = make_table(signals)
    model = make_pipeline(
        EDADecomposer(RATE, method=Line(first=8)), MusicFeatureUnion(), LogisticRegression()
    )
    expected = model.fit(table, labels).predict_proba(table)
    save(model, "model.edaemo")
    again = load("model.edaemo")
    assert again[0].method == Line(first=8)
    np.testing.assert_array_equal(again.predict_proba(table), expected)

    command = [sys.executable, "-m", "edaemo.cli", "predict", "model.edaemo", "recording.csv"]
    command += ["--sampling-rate", str(RATE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "decomposition 'line' is not registered: import the module" in done.stderr
    plugin = [*command, "--plugin", "test_own_decomposition"]
    done = subprocess.run(plugin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = pd.read_csv(io.StringIO(done.stdout), converters={"probability_0": float})
    assert answer["probability_0"].tolist() == [expected[0, 0]]


@pytest.mark.parametrize("method", ["line", Line(first=8)])
@pytest.mark.parametrize("cls", [CvxEDATransformer, EDADecomposer, EDAFeatureExtractor])
def test_save_and_load_keep_the_method(cls, method, tmp_path):
    signals = make_eda()
    estimator = cls(RATE, method=method).fit(signals)
    save(estimator, tmp_path / "step.edaemo")
    again = load(tmp_path / "step.edaemo")
    assert again.method == method
    np.testing.assert_array_equal(again.transform(signals), estimator.transform(signals))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_pipeline_is_evaluated_on_it(tmp_path, monkeypatch, n_jobs):
    study = make_music_listening(6, 8, 6, sampling_rate=RATE, duration=20.0, random_state=0)
    chosen = {}
    by_name = make_pipeline(EDAFeatureExtractor(RATE, method="line"), KNeighborsClassifier())
    for registered in (INPUTS, PIPELINES):  # whatever is added goes again
        for name in ("lines", "on-lines", "by-name"):
            monkeypatch.setitem(registered, name, None)
            del registered[name]
    register_input("lines", lambda rate: EDAFeatureExtractor(rate, **chosen))
    register_pipeline("on-lines", KNeighborsClassifier(), input="lines")
    register_pipeline("by-name", by_name)
    settings = {"n_splits": 2, "n_jobs": n_jobs, "progress": False}
    settings |= {"people": "all", "thresholds": 5.5}
    counts = []
    for method in ("line", Line(first=8)):
        chosen["method"] = method
        evaluate(["on-lines", "by-name"], study, "arousal", store=tmp_path / "store", **settings)
        with ResultStore(tmp_path / "store") as store:
            folds = store.folds().sort_values("fold")
            trials = store.predictions().merge(folds[["key", "pipeline"]], on="key")
        assert set(folds["status"]) == {"done"}
        counts.append([int(sum(folds["pipeline"] == name)) for name in ("on-lines", "by-name")])
        if len(counts) == 1:
            by_row = trials.set_index(["pipeline", "row"]).sort_index()["probability"]
            assert by_row["on-lines"].tolist() == by_row["by-name"].tolist()
    # Another method is another input; of the other pipeline nothing is computed again.
    assert counts == [[2, 2], [4, 2]]


def answer_elsewhere(estimator: object, signals: np.ndarray) -> np.ndarray:
    return estimator.fit_transform(signals)


@pytest.mark.parametrize("method", ["line", Line(first=8)])
@pytest.mark.parametrize("cls", [CvxEDATransformer, EDADecomposer, EDAFeatureExtractor])
def test_another_process_knows_it_too(cls, method):
    signals = make_eda()
    estimator = cls(RATE, method=method)
    (given,) = Parallel(n_jobs=2)([delayed(answer_elsewhere)(estimator, signals)])
    np.testing.assert_array_equal(given, estimator.fit_transform(signals))
    assert pickle.loads(pickle.dumps(estimator)).method == method
    assert clone(estimator).method == method


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        CvxEDATransformer(RATE, method="line", trim_seconds=0),
        EDADecomposer(1, method=Line()),
        EDAFeatureExtractor(1, method="line"),
    ]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_many_are_as_one_by_one(n_jobs):
    signals = [*make_eda(3), make_eda(1, 50)[0]]
    published = CvxEDA(alpha=2e-3, weights="published")
    for method in (Line(first=3), published, Median(2.0), Highpass(0.1), Smooth(0.1)):
        many = method.decompose_many(signals, RATE, n_jobs=n_jobs)
        for signal, found in zip(signals, many, strict=True):
            alone = method.decompose(signal, RATE)
            np.testing.assert_allclose(found.phasic, alone.phasic, rtol=0, atol=1e-12)
            np.testing.assert_allclose(found.phasic + found.tonic + found.residual, signal)


# --- the method's settings ---------------------------------------------------------------------


def test_settings_of_cvxeda_are_those_of_decompose():
    signal = make_eda(1)[0]
    settings = {"tau0": 3.0, "tau1": 0.5, "delta_knot": 8.0, "alpha": 4e-4, "gamma": 2e-2}
    settings["weights"] = "published"
    expected = decompose(signal, RATE, **settings)
    found = CvxEDA(**settings).decompose(signal, RATE)
    for part in ("phasic", "tonic", "driver", "residual", "spline", "drift"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    assert found.objective == expected.objective
    by_hand = CvxEDATransformer(RATE, **settings).fit_transform([signal])
    by_object = CvxEDATransformer(RATE, method=CvxEDA(**settings)).fit_transform([signal])
    np.testing.assert_array_equal(by_object, by_hand)


def test_defaults_are_written_alike_everywhere():
    default = CvxEDA()
    for function in (decompose, decompose_many):
        assert function.__kwdefaults__.items() >= vars(default).items()
    transformer = CvxEDATransformer(RATE).get_params()
    shared = transformer.keys() & vars(default).keys()
    assert {name: transformer[name] for name in shared} == {n: vars(default)[n] for n in shared}
    assert len(shared) == 7


def test_neurokits_variant_is_at_hand():
    signal = make_eda(1)[0]
    scaled = (signal - signal.mean()) / signal.std()
    settings = {"variant": "neurokit", "weights": "published"}
    expected = signal.std() * decompose(scaled, RATE, **settings).phasic
    method = CvxEDA(**settings)
    given = EDADecomposer(RATE, method=method, components=("phasic",)).fit_transform([signal])
    np.testing.assert_allclose(given[0], expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"variant='neurokit'.*needs every sample"):
        EDADecomposer(RATE, method=method, missing="mask").fit([signal])


def test_a_longer_window_takes_more_for_phasic():
    wave = np.sin(2 * np.pi * 0.1 * np.arange(400) / RATE)[None]
    spread = [
        np.std(EDADecomposer(RATE, method=Median(window), components=("phasic",)).transform(wave))
        for window in (2.0, 4.0, 8.0)
    ]
    assert spread[0] < spread[1] < spread[2]


@pytest.mark.parametrize("method", [Highpass(0.2), Smooth(0.2)])
def test_half_of_a_wave_at_the_cutoff_is_phasic(method):
    wave = np.sin(2 * np.pi * 0.2 * np.arange(4000) / RATE)
    found = method.decompose(wave, RATE).phasic[1000:3000]
    np.testing.assert_allclose(np.std(found), 0.5 * np.std(wave), rtol=1e-2)


def test_methods_can_be_searched_over():
    transformer = EDADecomposer(RATE).set_params(method=Median(2.0))
    with pytest.raises(FrozenInstanceError):
        transformer.method.window = 3.0
    assert "Median(window=2.0)" in repr(transformer)


def test_settings_of_cvxeda_with_another_method_are_an_error():
    transformer = CvxEDATransformer(RATE, method="median", alpha=1e-3)
    with pytest.raises(ValueError, match=r"alpha=0.001 is a setting of method='cvxeda'.*'median'"):
        transformer.fit(make_eda())


def test_a_driver_that_the_method_lacks_is_an_error():
    transformer = CvxEDATransformer(RATE, method="median", components=("phasic", "driver"))
    with pytest.raises(ValueError, match=r"'driver', which method='median' does not compute"):
        transformer.fit(make_eda())


# --- the extractor's earlier name --------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "method"), [("highpass", "bandpass"), ("cvxeda", "cvxeda"), (None, "bandpass")]
)
def test_decomposition_is_the_earlier_name_of_method(earlier, method):
    signals = np.repeat(make_eda(), 10, axis=1)
    given = EDAFeatureExtractor(10 * RATE, decomposition=earlier).fit_transform(signals)
    expected = EDAFeatureExtractor(10 * RATE, method=method).fit_transform(signals)
    np.testing.assert_array_equal(given, expected)
    plain = EDAFeatureExtractor(10 * RATE, method="highpass").fit_transform(signals)
    assert not np.allclose(plain, expected)


def test_two_names_that_differ_are_an_error():
    extractor = EDAFeatureExtractor(RATE, method="median", decomposition="highpass")
    with pytest.raises(ValueError, match=r"older name .* differ: set method only"):
        extractor.fit(make_eda())


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [CvxEDATransformer, EDADecomposer, EDAFeatureExtractor])
def test_an_unknown_name_says_what_is_near_and_what_to_do(cls):
    with pytest.raises(ValueError, match=r"method='medain' is not registered: did you mean 'med"):
        cls(RATE, method="medain").fit(make_eda())
    with pytest.raises(ValueError, match=r"There are \['bandpass', .*register_decomposition"):
        cls(RATE, method="xyz").fit(make_eda())


def test_the_command_refuses_unknown_methods_settings_and_plugins(folder, capsys):
    for asked, words in (
        (["--method", "medain"], "did you mean 'median'"),
        (["--setting", "width=3"], "method='cvxeda' has no setting 'width': it has tau0, tau1"),
        (["--plugin", "no_such_module"], "--plugin no_such_module: No module"),
        (["--setting", "alpha"], "must be NAME=VALUE"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["decompose", "recording.csv", "out", "--sampling-rate", "4", *asked])
        assert ended.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("cutoff=3", "cutoff must be a finite number above 0 and below 2, got 3"),
        ("cutoff=high", "cutoff must be a finite number above 0 and below 2, got 'high'"),
    ],
)
def test_a_setting_out_of_its_range_fails_the_file(folder, capsys, setting, words):
    asked = ["--sampling-rate", "4", "--method", "highpass", "--setting", setting]
    assert main(["decompose", "recording.csv", "out", *asked]) == 1
    assert f"recording.csv: {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Median(0), "window must be a finite number above 0"),
        (Highpass(2.0), "cutoff must be a finite number above 0 and below 2"),
        (Smooth(-1), "cutoff must be"),
        (CvxEDA(tau0=0.7), "tau0 and tau1 must differ"),
        (Line(first=-1), "first must not be negative"),
    ],
)
@pytest.mark.parametrize("cls", [CvxEDATransformer, EDADecomposer, EDAFeatureExtractor])
def test_settings_out_of_range_blame_no_trial(cls, method, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        cls(RATE, method=method).fit(make_table(make_eda()))


@pytest.mark.parametrize("cls", [CvxEDATransformer, EDADecomposer, EDAFeatureExtractor])
def test_a_trial_on_which_it_fails_is_named(cls):
    signals = make_eda()
    signals[1, 0] = 666.0
    with pytest.raises(DecompositionError, match=r"row 1 \(subject p0, .*\): no line") as found:
        # Not z-scored, so that the method meets the number.
        settings = {"standardize_input": False} if cls is CvxEDATransformer else {}
        cls(RATE, method="line", **settings).fit(make_table(signals)).transform(make_table(signals))
    assert found.value.status == "stalled"


@register_decomposition("broken")
@dataclass(frozen=True)
class Broken(DecompositionMethod):
    """Gives what no decomposition may give."""

    how: str = "short"

    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
        phasic = signal - signal.mean()
        if self.how == "short":
            phasic = phasic[1:]
            return Components(phasic, signal, None, signal)
        if self.how == "nan":
            phasic[3] = np.nan
        return Components.from_phasic(signal, phasic)


@pytest.mark.parametrize(
    ("how", "words"),
    [("short", r"of shape \(79,\); it must have shape \(80,\)"), ("nan", "with NaN")],
)
def test_components_that_are_none_are_refused_with_the_trial(how, words):
    with pytest.raises(ValueError, match=rf"row 0 \(subject p0.*Broken\(how='{how}'\).*{words}"):
        EDADecomposer(RATE, method=Broken(how)).fit_transform(make_table(make_eda()))


def test_names_are_taken_once():
    with pytest.raises(ValueError, match=r"CvxEDA is registered as 'cvxeda' already"):

        @register_decomposition("cvxeda")
        @dataclass(frozen=True)
        class Other(Line):
            pass

    assert type(find_decomposition("cvxeda")) is CvxEDA


def test_what_is_no_frozen_dataclass_with_defaults_is_refused():
    class Plain(DecompositionMethod):
        pass

    @dataclass(frozen=True)
    class Asking(Line):
        needed: float = field(kw_only=True)

    @dataclass(frozen=True)
    class Abstract(DecompositionMethod):
        pass

    for cls, words in (
        (Plain, "must be a frozen dataclass"),
        (int, "does not derive"),
        (Asking, "must have defaults: .*needed"),
        (Abstract, "must implement all abstract methods.*decompose"),
    ):
        with pytest.raises(TypeError, match=words):
            register_decomposition("refused")(cls)
    assert "refused" not in decomposition_names()


def test_a_class_that_is_not_registered_is_refused(tmp_path):
    @dataclass(frozen=True)
    class Nameless(Line):
        pass

    with pytest.raises(ValueError, match="is not registered: decorate it"):
        EDADecomposer(RATE, method=Nameless()).fit(make_eda())
    with pytest.raises(FileError, match="is not registered: decorate it"):
        save(EDADecomposer(RATE, method=Nameless()), tmp_path / "step.edaemo")


def test_a_class_that_is_registered_anew_is_computed_anew():
    signals = make_eda()

    def define(share: float) -> None:
        @register_decomposition("share")
        @dataclass(frozen=True)
        class Share(DecompositionMethod):
            def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
                return Components.from_phasic(signal, share * signal)

    for share in (0.25, 0.5):
        define(share)
        given = EDADecomposer(RATE, method="share", components=("phasic",)).fit_transform(signals)
        np.testing.assert_allclose(given, share * signals, rtol=1e-6)
