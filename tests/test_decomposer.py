"""EDADecomposer, and the filters that it splits recordings with."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from edaemo import MusicFeatureUnion
from edaemo.decomposition import Bandpass, CvxEDA, DecompositionError, decompose
from edaemo.decomposition import _cvxeda as solving
from edaemo.features import EDAFeatureExtractor
from edaemo.preprocessing import (
    EDADecomposer,
    SignalQualityWarning,
    _decomposed,
    decompose_trials,
)
from edaemo.preprocessing import _decomposer as module

METHODS = ["bandpass", "cvxeda", "highpass", "median", "smooth"]
ALL = ("phasic", "tonic", "residual")
every_method = pytest.mark.parametrize("method", METHODS)


def bateman(since: np.ndarray) -> np.ndarray:
    """The shape of one skin conductance response."""
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


def make_eda(n: int = 4, n_samples: int = 100, seed: int = 0) -> np.ndarray:
    """Slowly wandering signals with responses, in microsiemens at 4 Hz."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples) / 4
    level = 3 + 0.02 * np.cumsum(rng.normal(size=(n, n_samples)), axis=1)
    for row in level:
        for onset in rng.uniform(0, time[-1], size=4):
            row += 0.5 * bateman(time - onset)
    return level


def make_table(signals: object) -> pd.DataFrame:
    n = len(signals)
    return pd.DataFrame(
        {
            "subject": [f"p{i // 2}" for i in range(n)],
            "stimulus": ["song"] * n,
            "trial": range(n),
            "eda": pd.Series(list(signals), dtype=object),
        }
    )


def split(signals: np.ndarray, method: str, sampling_rate: float = 4) -> np.ndarray:
    """Give phasic, tonic and residual of each trial, shape (n_trials, 3, n_samples)."""
    decomposer = EDADecomposer(sampling_rate, method=method, components=ALL)
    return decomposer.fit_transform(signals).reshape(len(signals), 3, -1)


# --- what holds for every method ---------------------------------------------------------------


@every_method
def test_components_add_up_to_the_recording(method):
    signals = make_eda()
    parts = split(signals, method)
    np.testing.assert_allclose(parts.sum(axis=1), signals, rtol=0, atol=1e-6)
    assert np.std(parts[:, 0], axis=1).min() > 0.01
    assert (np.ptp(parts[:, 2], axis=1) > 0).all() == (method == "cvxeda")


@every_method
def test_table_in_table_out_with_cells_of_components_in_the_order_of_the_rows(method):
    signals = make_eda()
    table = make_table(signals).assign(session_time=[1.0, 2.0, 3.0, 4.0])
    table.index = [9, 7, 7, 3]
    given = EDADecomposer(4, method=method).fit_transform(table)
    assert list(given.index) == [9, 7, 7, 3]
    assert given["session_time"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert {cell.shape for cell in given["eda"]} == {(2, 100)}
    assert {cell.dtype for cell in given["eda"]} == {np.dtype("f4")}
    assert set(given["channels"]) == {"phasic|tonic"}
    for cell, signal in zip(given["eda"], signals, strict=True):
        np.testing.assert_allclose(cell[0] + cell[1], signal, atol=0.1)  # within the residual
    assert list(table.columns) == ["subject", "stimulus", "trial", "eda", "session_time"]
    assert table["eda"].iloc[0].shape == (100,)  # the table that came in is left alone


@every_method
def test_table_series_frames_and_array_give_the_same_numbers(method):
    signals = make_eda()
    decomposer = EDADecomposer(4, method=method)
    expected = decomposer.fit_transform(signals)
    assert expected.shape == (4, 200)
    assert expected.dtype == np.float32
    series = pd.Series(list(signals), dtype=object)
    cells = series.to_numpy()
    for form in (make_table(signals), series, cells, cells[:, None], series.to_frame("signal")):
        given = decomposer.fit_transform(form)
        if isinstance(given, pd.DataFrame):
            given = np.stack([cell.ravel() for cell in given["eda"]])
        np.testing.assert_array_equal(given, expected)


@every_method
def test_components_come_in_the_order_asked_for(method):
    signals = make_eda()
    parts = split(signals, method)
    given = EDADecomposer(4, method=method, components=["tonic", "phasic"]).fit_transform(signals)
    np.testing.assert_array_equal(given, np.hstack([parts[:, 1], parts[:, 0]]))


@every_method
def test_an_offset_is_all_tonic(method):
    signals = make_eda()
    parts, lifted = split(signals, method), split(signals + 5, method)
    np.testing.assert_allclose(lifted[:, [0, 2]], parts[:, [0, 2]], rtol=0, atol=1e-6)
    np.testing.assert_allclose(lifted[:, 1], parts[:, 1] + 5, rtol=0, atol=2e-6)


@every_method
def test_nanosiemens_in_nanosiemens_out(method):
    signals = make_eda()
    parts, in_nano = split(signals, method), split(1000 * signals, method)
    np.testing.assert_allclose(in_nano, 1000 * parts, rtol=0, atol=1e-3)


@every_method
def test_a_flat_trial_is_all_tonic_and_warned_of(method):
    signals = make_eda(3)
    signals[1] = 0.31
    decomposer = EDADecomposer(4, method=method, components=ALL).fit(signals)
    with pytest.warns(SignalQualityWarning, match=r"1 of 3 trials \(first rows: \[1\]\) are flat"):
        phasic, tonic, residual = decomposer.transform(signals)[1].reshape(3, -1)
    np.testing.assert_array_equal(phasic, 0)
    np.testing.assert_array_equal(residual, 0)
    np.testing.assert_array_equal(tonic, np.float32(0.31))


@every_method
def test_the_rounding_of_a_flat_trial_is_no_phasic_component(method):
    signals = 3 + 1e-9 * make_eda(2)
    phasic, tonic = np.split(EDADecomposer(4, method=method).fit_transform(signals), 2, axis=1)
    np.testing.assert_array_equal(phasic, 0)
    np.testing.assert_array_equal(tonic, 3)


@every_method
@pytest.mark.parametrize("slope", [0.3, -0.3])
def test_a_straight_line_is_all_tonic_up_to_its_ends(method, slope):
    line = 9 + slope * np.arange(100) / 4
    phasic, tonic, _ = split(line[None], method)[0]
    np.testing.assert_allclose(phasic, 0, atol=1e-9)
    np.testing.assert_allclose(tonic, line, rtol=1e-6)


@every_method
def test_a_trial_does_not_depend_on_the_others(method):
    signals = make_eda()
    decomposer = EDADecomposer(4, method=method)
    together = decomposer.fit_transform(signals)
    for row, signal in enumerate(signals):
        np.testing.assert_array_equal(decomposer.fit_transform(signal[None])[0], together[row])
    unfitted = clone(decomposer).transform(signals[::-1])
    np.testing.assert_array_equal(unfitted, together[::-1])


@every_method
def test_trials_of_unequal_length_fit_a_table_and_no_array(method):
    signals = [make_eda(1, 100)[0], make_eda(1, 140)[0]]
    decomposer = EDADecomposer(4, method=method)
    given = decomposer.fit_transform(make_table(signals))
    assert [cell.shape for cell in given["eda"]] == [(2, 100), (2, 140)]
    with pytest.raises(ValueError, match=r"row 1: 140 samples, but .* have 100.*table"):
        decomposer.fit_transform(pd.Series(signals))
    with pytest.raises(ValueError, match=r"rows of X differ in length"):
        decomposer.fit([list(signal) for signal in signals])
    decomposer.fit(pd.Series(signals[:1]))
    with pytest.raises(ValueError, match=r"row 0: 140 samples, but .*fit have 100"):
        decomposer.transform(pd.Series(signals[1:]))


@every_method
@pytest.mark.parametrize("sampling_rate", [1, 4, 2.5, 128])
def test_a_trial_of_two_seconds_is_split_and_a_shorter_one_named(method, sampling_rate):
    shortest = round(2 * sampling_rate)
    signals = make_eda(2, shortest)
    parts = split(signals, method, sampling_rate)
    np.testing.assert_allclose(parts.sum(axis=1), signals, rtol=0, atol=1e-6)
    table = make_table([signals[0], signals[1, :-1]])
    decomposer = EDADecomposer(sampling_rate, method=method)
    message = rf"row 1 \(subject p0, stimulus song, trial 1\): {shortest - 1} samples.* 2 s, which"
    for call in (decomposer.fit, decomposer.transform):
        with pytest.raises(ValueError, match=message):
            call(table)
    assert not hasattr(decomposer, "n_times_")


@every_method
def test_missing_samples_are_named_or_interpolated(method):
    signals = make_eda()
    signals[2, 40:43] = np.nan
    signals[3, 0] = np.inf
    with pytest.raises(ValueError, match=r"row 2 \(subject p1.*3 of 100.*sample 40.*interpolate"):
        EDADecomposer(4, method=method).fit(make_table(signals))
    filled = signals.copy()
    filled[2, 40:43] = np.interp([40, 41, 42], [39, 43], signals[2, [39, 43]])
    filled[3, 0] = signals[3, 1]
    lenient = EDADecomposer(4, method=method, missing="interpolate")
    np.testing.assert_array_equal(lenient.fit_transform(signals), lenient.fit_transform(filled))


def test_masked_samples_have_no_weight_and_components_add_up_where_there_are_samples():
    signals = make_eda()
    seen = np.ones(100, dtype=bool)
    seen[40:60] = False
    signals[2, ~seen] = np.nan
    decomposer = EDADecomposer(4, missing="mask", components=("phasic", "tonic", "residual"))
    phasic, tonic, residual = decomposer.fit_transform(make_table(signals))["eda"][2]
    signal = signals[2]
    mean, spread = signal[seen].mean(), signal[seen].std()
    result = decompose((signal - mean) / spread, 4, missing="mask")
    np.testing.assert_allclose(phasic, spread * result.phasic, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tonic, spread * result.tonic + mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((phasic + tonic + residual)[seen], signal[seen], rtol=1e-5)
    assert not residual[~seen].any()
    assert residual[seen].any()


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"cvxeda"}))
def test_a_filter_masks_no_samples(method):
    decomposer = EDADecomposer(4, method=method, missing="mask")
    with pytest.raises(ValueError, match=rf"needs method='cvxeda', got '{method}'.*interpolate"):
        decomposer.fit(make_eda())


@every_method
def test_hostile_recordings_are_split_into_finite_components_that_add_up(method):
    eda = make_eda(1)[0]
    place = np.arange(100)
    hostile = {
        "clipped": np.clip(eda, 3.0, 3.1),
        "spiked": eda + 50 * (place == 40),
        "quantised": np.round(eda, 1),
        "contact lost": np.where((place > 40) & (place < 60), 0.0, eda),
        "flickering": eda * (place % 2),
        "zeros": np.zeros(100),
        "negative": -eda,
        "tiny": eda * 1e-12,
        "large": eda * 1e12,
    }
    table = make_table(list(hostile.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SignalQualityWarning)
        given = EDADecomposer(4, method=method, components=ALL).fit_transform(table)
    for kind, cell, signal in zip(hostile, given["eda"], hostile.values(), strict=True):
        rounding = 1e-6 * np.abs(cell).max()
        np.testing.assert_allclose(cell.sum(axis=0), signal, rtol=0, atol=rounding, err_msg=kind)


@every_method
def test_components_beyond_float32_name_the_trial(method):
    signals = make_eda()
    signals[2] = 3.4e38 * np.sign(np.sin(np.arange(100)))
    if method == "cvxeda":
        method = CvxEDA(weights="published")
    with pytest.raises(ValueError, match=r"row 2: .*exceeds float32"):
        EDADecomposer(4, method=method).fit_transform(signals)


@every_method
def test_feature_names_say_component_and_sample(method):
    decomposer = EDADecomposer(4, method=method).set_output(transform="pandas")
    frame = decomposer.fit_transform(make_eda(2, 8))
    assert list(frame.columns) == [f"eda_{part}_{i}" for part in ALL[:2] for i in range(8)]
    with pytest.raises(NotFittedError):
        clone(decomposer).get_feature_names_out()


@every_method
def test_set_output_leaves_a_table_a_table(method):
    table = make_table(make_eda())
    decomposer = EDADecomposer(4, method=method)
    expected = decomposer.fit_transform(table)
    given = decomposer.set_output(transform="pandas").fit_transform(table)
    assert list(given.columns) == list(expected.columns)
    assert set(given["channels"]) == {"phasic|tonic"}
    with pytest.raises(AttributeError, match="fitted to a trials table"):
        decomposer.get_feature_names_out()


@every_method
def test_the_union_names_the_channels_of_the_table(method):
    table = make_table(make_eda(2, 8))
    joined = make_pipeline(EDADecomposer(4, method=method), MusicFeatureUnion()).fit_transform(
        table
    )
    assert list(joined.columns) == [f"eda_{part}_{i}" for part in ALL[:2] for i in range(8)]


# --- what each method is -----------------------------------------------------------------------


def test_cvxeda_is_that_of_the_z_scored_trial_scaled_back():
    signals = make_eda()
    for signal, (phasic, tonic, residual) in zip(signals, split(signals, "cvxeda"), strict=True):
        parts, scale = decompose(zscore(signal), 4.0), np.std(signal)
        np.testing.assert_allclose(phasic, scale * parts.phasic, atol=1e-6)
        np.testing.assert_allclose(residual, scale * parts.residual, atol=1e-6)
        np.testing.assert_allclose(tonic, scale * parts.tonic + np.mean(signal), atol=1e-6)


def test_what_is_odd_about_trials_is_said_once_with_counts_and_rows(monkeypatch):
    signals = make_eda(12, seed=3)
    signals[0] = 1.0
    cancels = []
    for row, signal in enumerate(signals[1:], start=1):
        phasic = decompose(zscore(signal), 4.0, weights="published").phasic
        if np.ptp(phasic) > 2 * np.ptp(zscore(signal)):
            cancels.append(row)
    assert cancels

    def inaccurate(*arguments, **settings):
        trials = decompose_trials(*arguments, **settings)
        trials[2] = replace(trials[2], result=replace(trials[2].result, status="inaccurate"))
        return trials

    monkeypatch.setattr(module, "decompose_trials", inaccurate)
    with pytest.warns(SignalQualityWarning) as caught:
        EDADecomposer(4, method=CvxEDA(weights="published")).fit_transform(signals)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert "1 of 12 trials (first rows: [0]) are flat" in said
    assert "1 of 12 trials (first rows: [2]) miss the tolerance" in said
    assert f"{len(cancels)} of 12 trials (first rows: {cancels[:3]}) have a phasic" in said


def test_a_failure_of_cvxeda_names_the_trial(monkeypatch):
    def fail(*arguments, **settings):
        raise DecompositionError("no answer", "stalled", 0.5)

    monkeypatch.setattr(solving, "solve", fail)
    monkeypatch.setattr(solving, "solve_many", fail)
    monkeypatch.setattr(_decomposed, "_cache", _decomposed.TrialCache(0))
    with pytest.raises(DecompositionError, match=r"row 0 \(subject p0.*\): no answer") as caught:
        EDADecomposer(4).fit_transform(make_table(make_eda()))
    assert (caught.value.status, caught.value.gap) == ("stalled", 0.5)


def recording_for_neurokit2() -> np.ndarray:
    """120 s at 50 Hz: level, drift, a slow wave and eight responses."""
    time = np.arange(6000) / 50
    eda = 3 + 0.02 * time + 0.4 * np.sin(2 * np.pi * 0.03 * time)
    for k, onset in enumerate([12, 31, 44, 52, 58, 63, 77, 95]):
        eda += (0.3 + 0.05 * k) * bateman(time - onset)
    return eda


# neurokit2 0.2.13: eda_phasic(eda, 50, method=…), every 0.9 s from 52.6 s on
NEUROKIT2 = {
    "highpass": [
        *[0.045406, 0.048844, -0.001987, -0.050777, -0.08795, -0.114636, -0.133343, 0.034802],
        *[0.012215, -0.036241, -0.074117, -0.097188, 0.031862, 0.092488, 0.05714, 0.019902],
    ],
    "median": [  # there "smoothmedian"
        *[0.051505, 0.049705, 0.0, 0.0, -0.005273, -0.027906, -0.032595, 0.0],
        *[0.00535, -0.00683, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ],
}


@pytest.mark.parametrize(("method", "tolerance"), [("highpass", 2e-5), ("median", 1e-6)])
def test_filters_agree_with_neurokit2_away_from_the_ends(method, tolerance):
    phasic = split(recording_for_neurokit2()[None], method, 50)[0, 0]
    at = slice(2630, 2630 + 16 * 45, 45)
    np.testing.assert_allclose(phasic[at], NEUROKIT2[method], rtol=0, atol=tolerance)


@pytest.mark.parametrize("sampling_rate", [4, 2.5, 10, 1.25])
def test_median_is_that_of_four_seconds_with_the_ends_repeated(sampling_rate):
    width = {4: 17, 2.5: 11, 10: 41, 1.25: 5}[sampling_rate]  # 16, 10, 40 made odd, and 5
    signal = make_eda(1, 120)[0]
    padded = np.r_[np.repeat(signal[0], width), signal, np.repeat(signal[-1], width)]
    expected = [
        np.median(padded[i + width - width // 2 : i + width + width // 2 + 1]) for i in range(120)
    ]
    tonic = split(signal[None], "median", sampling_rate)[0, 1]
    np.testing.assert_allclose(tonic, expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["highpass", "smooth"])
def test_half_of_a_wave_at_0_05_hz_is_phasic(method):
    time = np.arange(400 * 10) / 10
    wave = np.cos(2 * np.pi * 0.05 * time)
    phasic = split(2 + wave[None], method, 10)[0, 0, 1500:2500]
    np.testing.assert_allclose(phasic, wave[1500:2500] / 2, atol=1e-3)


@pytest.mark.parametrize("frequency", [0.01, 0.03, 0.1])
def test_smooth_and_highpass_have_their_closed_forms_gain(frequency):
    time = np.arange(4000 * 4) / 4
    wave = np.cos(2 * np.pi * frequency * time)
    tonic_of_gaussian = 0.5 ** ((frequency / 0.05) ** 2)
    warped = np.tan(np.pi * np.array([0.05, frequency]) / 4)  # of the bilinear transform
    phasic_of_butterworth = 1 / (1 + (warped[0] / warped[1]) ** 4)
    middle = slice(7000, 9000)
    for method, gain in (("smooth", 1 - tonic_of_gaussian), ("highpass", phasic_of_butterworth)):
        phasic = split(wave[None], method)[0, 0]
        np.testing.assert_allclose(phasic[middle], gain * wave[middle], atol=1e-3)


@pytest.mark.parametrize(
    ("method", "sampling_rate", "share"),
    [
        ("cvxeda", 4, 0.87),
        ("cvxeda", 50, 0.99),
        ("highpass", 50, 0.96),
        ("smooth", 50, 0.96),
        ("median", 50, 0.3),
    ],
)
def test_of_a_lone_responses_rise_as_much_is_phasic_as_the_docstring_says(
    method, sampling_rate, share
):
    time = np.arange(60 * sampling_rate) / sampling_rate
    response = bateman(time - 25)
    onset, peak = 25 * sampling_rate, np.argmax(response)
    phasic = split(2 + response[None], method, sampling_rate)[0, 0]
    assert (phasic[peak] - phasic[onset]) / response[peak] == pytest.approx(share, abs=0.02)
    assert (phasic.min() < -0.2 * response[peak]) == (method in ("highpass", "smooth"))


def test_smooth_is_scipys_gaussian_around_the_line():
    signals = make_eda(2, 200)
    time = np.arange(200)
    for signal, (_, tonic, _) in zip(signals, split(signals, "smooth"), strict=True):
        line = np.polyval(np.polyfit(time, signal, 1), time)
        level = gaussian_filter1d(signal - line, 4 * 3.748, mode="nearest", truncate=60 / 14.992)
        np.testing.assert_allclose(tonic, line + level, atol=1e-4)


def test_highpass_is_that_of_the_features_where_these_smooth_nothing():
    signals = make_eda()
    expected = Bandpass().phasic(signals, 4.0)
    np.testing.assert_array_equal(split(signals, "highpass")[:, 0], expected.astype(np.float32))
    names = list(EDAFeatureExtractor(4).get_feature_names_out())
    spread = EDAFeatureExtractor(4).fit_transform(signals)[:, names.index("eda_std")]
    np.testing.assert_allclose(spread, np.std(expected, axis=1), rtol=1e-6)


# --- parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"sampling_rate": 0.9}, "sampling_rate"),
        ({"sampling_rate": np.nan}, "sampling_rate"),
        ({"sampling_rate": np.inf}, "sampling_rate"),
        ({"sampling_rate": True}, "sampling_rate"),
        ({"sampling_rate": "4"}, "sampling_rate"),
        ({"method": "sparseda"}, "method.*cvxeda"),
        ({"missing": "drop"}, "missing.*interpolate"),
        ({"components": ("phasic", "scr")}, "components.*residual.*scr"),
        ({"components": ("phasic", "phasic")}, "components"),
        ({"components": ()}, "components"),
        ({"components": "phasic"}, "components"),
    ],
)
def test_parameters_out_of_range_are_named_and_change_nothing(parameters, message):
    decomposer = EDADecomposer(4, method="median").fit(make_eda())
    decomposer.set_params(**parameters)
    before = vars(decomposer).copy()
    for call in (decomposer.fit, decomposer.transform):
        with pytest.raises(ValueError, match=message):
            call(make_eda(2, 50))
    assert vars(decomposer) == before


def test_failed_refit_leaves_the_fitted_decomposer_as_it_was():
    decomposer = EDADecomposer(4).fit(make_eda())
    with pytest.raises(ValueError, match="too few"):
        decomposer.fit(make_eda(2, 7))
    assert decomposer.n_features_in_ == decomposer.n_times_ == 100


def test_other_width_at_transform_and_split_trials_are_errors():
    decomposer = EDADecomposer(4, method="median").fit(make_eda(2, 100))
    with pytest.raises(ValueError, match="100 features"):
        decomposer.transform(make_eda(2, 101))
    table = decomposer.transform(make_table(make_eda()))
    with pytest.raises(ValueError, match=r"row 0 .*must be a 1-D signal"):
        decomposer.transform(table)
