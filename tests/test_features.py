"""EDAFeatureExtractor, and the batch of misses in the cache per trial."""

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.fft import dct
from scipy.signal import butter, periodogram, sosfiltfilt
from scipy.stats import kurtosis, skew, zscore
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_info, threadpool_limits

from edaemo import MusicFeatureUnion
from edaemo._cache import TrialCache
from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.decomposition import Bandpass, CvxEDA, DecompositionError, decompose
from edaemo.decomposition import _cvxeda as solving
from edaemo.features import EDAFeatureExtractor, _edaemo, _pmemo
from edaemo.features import _extractor as module
from edaemo.features._moments import moments
from edaemo.features._scr import find_responses
from edaemo.preprocessing import SignalQualityWarning, _decomposed, decompose_trials

DOCS = Path(__file__).parents[1] / "docs" / "features.md"
PRESETS = ["edaemo", "pmemo"]


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cache", TrialCache(max_bytes=2**26))


def bateman(since: np.ndarray) -> np.ndarray:
    """The shape of one SCR: up in 1.13 s, down again over several."""
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


def make_eda(n: int = 4, sampling_rate: float = 4, seconds: float = 25, seed: int = 0):
    """Slowly wandering signals with responses, in microsiemens."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sampling_rate)) / sampling_rate
    walk = np.cumsum(rng.normal(size=(n, len(time))), axis=1)
    level = 2 + 0.02 * walk / np.sqrt(sampling_rate)
    for row in level:
        for onset in rng.uniform(0, seconds, size=4):
            row += 0.5 * bateman(time - onset)
    return level


def make_table(signals: object) -> pd.DataFrame:
    n = len(signals)
    return pd.DataFrame(
        {
            "subject": [f"p{i // 2}" for i in range(n)],
            "stimulus": [f"song{i % 2}" for i in range(n)],
            "trial": range(n),
            "eda": pd.Series(list(signals), dtype=object),
        }
    )


def of_phasic(phasic: np.ndarray, sampling_rate: float, preset: object = _edaemo) -> dict:
    """Features of one phasic component by name, without the filter before them."""
    (values,) = preset.features(np.asarray(phasic, dtype=float)[None], sampling_rate)
    return dict(zip(preset.NAMES, values, strict=True))


def frame_of(extractor: EDAFeatureExtractor, X: object) -> pd.DataFrame:
    return pd.DataFrame(extractor.fit_transform(X), columns=extractor.get_feature_names_out())


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_there_are_128_different_names_in_blocks_of_6_7_6_9_and_100(preset):
    names = EDAFeatureExtractor(4, preset=preset).get_feature_names_out()
    assert len(names) == len(set(names)) == 128
    assert all(name.startswith("eda_") for name in names)
    words = [
        "scr_|[pP]eak|Rise|SumAreas",
        "",
        "spectrum|_f$",
        "band|[sS]ignalEnergy|Power",
        "mfcc|MFCC",
    ]
    for word, size, start in zip(words, (6, 7, 6, 9, 100), (0, 6, 13, 19, 28), strict=True):
        assert all(re.search(word, name) for name in names[start : start + size])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_documentation_has_a_row_for_every_feature(preset):
    rows = set(re.findall(r"^\| `(eda_[^`]+)`", DOCS.read_text(), re.MULTILINE))
    names = EDAFeatureExtractor(4, preset=preset).get_feature_names_out()
    if preset == "edaemo":
        assert set(names) <= rows
    else:
        assert {name for name in names if "MFCC" not in name} <= rows


# --- the phasic component ----------------------------------------------------------------------


def test_highpass_gives_neurokit2s_phasic_component_away_from_the_ends():
    time = np.arange(6000) / 50
    slow = 3 + 0.02 * time + 0.4 * np.sin(2 * np.pi * 0.03 * time)
    fast = 0.2 * np.sin(2 * np.pi * 0.21 * time) + 0.05 * np.sin(2 * np.pi * 4 * time)
    # neurokit2 0.2.13: eda_phasic(eda_clean(signal, 50), 50), every second from 50 s to 69 s
    expected = [-1e-06, -0.1129371, 0.1369088, -0.2404908, 0.1345842]
    expected += [-0.1608266, -0.0103743, 0.05128, -0.1593617, 0.2072401]
    given = Bandpass().phasic((slow + fast)[None], 50)[0, 2500:3500:100]
    np.testing.assert_allclose(given, expected, atol=2e-6)


def test_highpass_follows_butterworths_formula():
    # Twice through a Butterworth filter of order n: 1 / (1 + (cutoff / frequency)^(2 n)).
    time = np.arange(200 * 20) / 20
    for frequency, cutoff, order, power in (
        (0.05, 0.05, 2, 1),
        (0.2, 0.05, 2, 1),
        (3, 3, 4, -1),
        (4, 3, 4, -1),
    ):
        wave = np.sin(2 * np.pi * frequency * time)
        warped = np.tan(np.pi * np.array([cutoff, frequency]) / 20)  # of the bilinear transform
        gain = 1 / (1 + (warped[0] / warped[1]) ** (2 * order * power))
        given = Bandpass().phasic(wave[None], 20)[0, 1000:3000]
        np.testing.assert_allclose(np.std(given), gain * np.std(wave[1000:3000]), rtol=2e-3)


def test_slow_recordings_are_not_smoothed():
    wave = np.cos(np.pi * np.arange(400))  # at the Nyquist frequency
    given = Bandpass().phasic(wave[None], 4)[0]
    np.testing.assert_allclose(given[100:300], wave[100:300], atol=1e-2)


def test_a_short_window_has_about_the_phasic_component_of_the_whole_recording():
    signals = make_eda(200, seconds=120)
    whole = Bandpass().phasic(signals, 4)[:, 190:290]
    window = Bandpass().phasic(signals[:, 190:290], 4)
    plain = sosfiltfilt(butter(2, 0.05, "high", fs=4, output="sos"), signals[:, 190:290])
    error, plain_error = (np.median(np.std(x - whole, axis=1)) for x in (window, plain))
    assert error < 0.8 * plain_error
    assert error < 0.25 * np.median(np.std(whole, axis=1))


def test_cvxeda_gives_the_phasic_component_in_microsiemens():
    signal = make_eda(1)[0]
    expected = decompose(zscore(signal), 4.0).phasic * np.std(signal)
    (trial,) = decompose_trials([signal], 4.0, CvxEDA(), standardize=True)
    np.testing.assert_allclose(trial.scale * trial.result.phasic, expected)
    given = frame_of(EDAFeatureExtractor(4, decomposition="cvxeda"), signal[None])
    np.testing.assert_allclose(given["eda_mean"], np.mean(expected), rtol=1e-6)
    np.testing.assert_allclose(given["eda_std"], np.std(expected), rtol=1e-6)


@pytest.mark.parametrize("decomposition", ["highpass", "cvxeda"])
def test_amplitudes_grow_with_the_recording_and_no_offset_matters(decomposition):
    extractor = EDAFeatureExtractor(4, decomposition=decomposition)
    once, twice = (frame_of(extractor, X) for X in (make_eda(), 2 * make_eda() + 3))
    for name, factor in {
        "eda_scr_count": 1,
        "eda_scr_amplitude_mean": 2,
        "eda_scr_rise_time_mean": 1,
        "eda_scr_area_sum": 2,
        "eda_area": 2,
        "eda_std": 2,
        "eda_kurtosis": 1,
        "eda_derivative_negative_mean": 2,
        "eda_spectrum_mean": 2,
        "eda_spectrum_centroid": 1,
        "eda_band_power_0.1_0.2": 4,
        "eda_band_power_std": 4,
        "eda_band_power_share": 1,
    }.items():
        np.testing.assert_allclose(twice[name], factor * once[name], rtol=1e-4, err_msg=name)


# --- skin conductance responses ----------------------------------------------------------------


def test_one_response_has_its_closed_form_onset_peak_amplitude_and_area():
    time = np.arange(0, 40, 0.02)
    given = of_phasic(0.8 * bateman(time - 5), 50)
    top = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)  # where the slope is zero
    assert given["scr_count"] == 1
    np.testing.assert_allclose(given["scr_rise_time_mean"], top, atol=0.01)
    np.testing.assert_allclose(given["scr_amplitude_mean"], 0.8 * bateman(top), rtol=1e-4)
    np.testing.assert_allclose(given["scr_area_sum"], 0.8 * (2 - 0.7), rtol=1e-4)


def test_sums_and_means_are_those_of_all_responses():
    time = np.arange(0, 60, 0.02)
    sizes = (0.3, 1.0, 0.6)
    phasic = sum(size * bateman(time - on) for size, on in zip(sizes, (3, 20, 40), strict=True))
    given = of_phasic(phasic, 50)
    top = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)
    assert given["scr_count"] == 3
    np.testing.assert_allclose(given["scr_amplitude_sum"], 1.9 * bateman(top), rtol=1e-3)
    np.testing.assert_allclose(given["scr_amplitude_mean"], 1.9 / 3 * bateman(top), rtol=1e-3)
    np.testing.assert_allclose(given["scr_rise_time_sum"], 3 * top, atol=0.03)


def test_responses_are_those_neurokit2_finds():
    time = np.arange(160) / 4
    responses = ((3.1, 0.3), (11.4, 1.0), (19.2, 0.04), (23.7, 0.6), (27.3, 0.5))
    phasic = sum(size * bateman(time - onset) for onset, size in responses) - 0.001 * time
    found = find_responses(phasic[None])
    # neurokit2 0.2.13: eda_peaks(phasic, 4); the fourth of a hundred is too small in both
    assert found.onset.tolist() == [12, 45, 94, 109]
    assert found.peak.tolist() == [17, 50, 99, 113]
    expected = [0.10953348, 0.36558473, 0.21661033, 0.14367125]
    np.testing.assert_allclose(found.amplitude, expected, atol=1e-8)


def slow_responses(phasic: np.ndarray) -> list[tuple[int, int, float]]:
    """Walk along one trial and note each rise: (onset, peak, amplitude)."""
    rises, onset, peak, direction = [], None, None, 0
    for i in range(1, len(phasic)):
        if phasic[i] > phasic[i - 1]:
            if direction <= 0:
                onset = i - 1
            peak, direction = i, 1
        elif phasic[i] < phasic[i - 1]:
            if direction > 0:
                rises.append((onset, peak, phasic[peak] - phasic[onset]))
            direction = -1
    if direction > 0:
        rises.append((onset, peak, phasic[peak] - phasic[onset]))
    seen = [rise for rise in rises if rise[0] > 0 and rise[1] < len(phasic) - 1]
    largest = max((rise[2] for rise in seen), default=0)
    return [rise for rise in seen if rise[2] >= 0.1 * largest]


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_responses_are_those_of_a_walk_along_each_trial(decimals):
    rng = np.random.default_rng(decimals)
    batch = np.round(np.cumsum(rng.normal(size=(60, 80)), axis=1), decimals)  # level stretches
    found = find_responses(batch)
    for row, phasic in enumerate(batch):
        mine = found.trial == row
        given = zip(found.onset[mine], found.peak[mine], found.amplitude[mine], strict=True)
        assert list(given) == slow_responses(phasic)


@pytest.mark.parametrize(
    ("phasic", "onset_and_peak"),
    [
        ([0, 0, 1, 3, 1, 0], [(1, 3)]),
        ([0, 0, 1, 1, 3, 1, 0], [(1, 4)]),  # level on the way up
        ([0, 0, 1, 3, 3, 3, 1], [(1, 3)]),  # level top, as of a saturated recorder
        ([0, 0, 1, 3, 3, 3, 3], [(1, 3)]),  # saturated to the end
        ([1, 2, 3, 1, 0, 0, 0], []),  # began before the trial
        ([3, 1, 0, 0, 1, 2, 3], []),  # not over at its end
        ([0, 0, 0, 0, 0, 0, 0], []),
        ([3, 2, 2, 1, 1, 0, 0], []),
        ([5, 2, 2 + 1e-12, 2, 1, 0, 0], []),  # rounding
        ([9, 0, 10, 0, 1, 0, 0], [(1, 2), (3, 4)]),  # just a tenth
        ([9, 0, 10, 0, 0.9, 0, 0], [(1, 2)]),  # less than a tenth
        ([9, 0, 1, 0, 1, 0, 99], [(1, 2), (3, 4)]),  # an unfinished rise sets no measure
    ],
)
def test_a_response_begins_and_ends_within_the_trial(phasic, onset_and_peak):
    found = find_responses(np.array([phasic], dtype=float))
    assert list(zip(found.onset, found.peak, strict=True)) == onset_and_peak


def test_area_of_a_response_lies_above_its_onset_and_ends_at_the_next_onset():
    phasic = np.array([5, 1, 3, 2, 4, 0, 0, 0, 0.5], dtype=float)
    # 1 -> 3: above 1 lie 0, 2; then 2 -> 4: above 2 lie 0, 2, and what follows is below 2.
    assert of_phasic(phasic, 2)["scr_area_sum"] == (2 + 2) / 2


@pytest.mark.parametrize("preset", [_edaemo, _pmemo])
def test_trial_without_a_response_counts_zero(preset):
    given = of_phasic(np.exp(-np.arange(100) / 20), 4, preset)
    assert list(given.values())[:5] == [0, 0, 0, 0, 0]
    assert np.isfinite(list(given.values())).all()


# --- time --------------------------------------------------------------------------------------


def test_time_features_of_a_triangle_wave():
    # Up by 0.5 and down by 0.25 each quarter of a second, between -1 and 1.
    cycle = np.r_[np.arange(-1, 1, 0.5), np.arange(1, -1, -0.25)]
    given = of_phasic(np.r_[np.tile(cycle, 10), -1.0], 4)
    np.testing.assert_allclose(given["derivative_mean"], 0, atol=0.02)
    # one-sided slopes 2 and -1 µS/s; at a top (2 - 1) / 2, at a bottom the same
    np.testing.assert_allclose(given["derivative_negative_mean"], -1, atol=1e-12)
    np.testing.assert_allclose(given["area"], 30 * 0.5, rtol=0.01)
    np.testing.assert_allclose(given["skewness"], 0, atol=0.02)


def test_derivatives_of_a_parabola_in_microsiemens_per_second():
    time = np.arange(0, 20, 0.25)
    given = of_phasic((time - 5) ** 2, 4)
    slope = 2 * (time - 5)
    slope[0] += 0.25  # one-sided at the ends
    slope[-1] -= 0.25
    np.testing.assert_allclose(given["derivative_mean"], np.mean(slope))
    np.testing.assert_allclose(given["derivative_negative_mean"], np.mean(slope[slope < 0]))


def test_a_rise_alone_has_no_negative_derivative():
    assert of_phasic(np.arange(100.0), 4)["derivative_negative_mean"] == 0


def test_area_lies_around_the_mean():
    phasic = make_eda(1)[0]
    expected = np.trapezoid(np.abs(phasic - phasic.mean()), dx=0.25)
    np.testing.assert_allclose(of_phasic(phasic, 4)["area"], expected)
    np.testing.assert_allclose(of_phasic(phasic - 9, 4)["area"], expected)


def test_what_varies_by_rounding_does_not_vary():
    noise = np.random.default_rng(0).normal(size=(2, 50))
    for values, smallest in ((3 + 1e-13 * noise, 0.0), (1e-13 * noise, 1e-9)):
        _, spread, peakedness, skewness = moments(values, smallest=smallest)
        assert not np.any([spread, peakedness, skewness])
    _, spread, _, _ = moments(1e-13 * noise)
    np.testing.assert_allclose(spread, 1e-13 * np.std(noise, axis=1))


def test_frames_that_differ_by_rounding_have_no_spread():
    phasic = np.tile(np.sin(2 * np.pi * np.arange(4) / 4), 25)  # the same in every frame
    given = of_phasic(phasic, 4)
    for i in range(20):
        for statistic in ("std", "kurtosis", "skewness"):
            assert given[f"mfcc_{i:02d}_{statistic}"] == 0


def test_moments_are_scipys():
    for signal in make_eda(5):
        phasic = Bandpass().phasic(signal[None], 4)[0]
        given = of_phasic(phasic, 4)
        np.testing.assert_allclose(given["mean"], np.mean(phasic), rtol=1e-9)
        np.testing.assert_allclose(given["std"], np.std(phasic), rtol=1e-9)
        np.testing.assert_allclose(given["kurtosis"], kurtosis(phasic), rtol=1e-9)
        np.testing.assert_allclose(given["skewness"], skew(phasic), rtol=1e-9)


# --- spectrum and bands ------------------------------------------------------------------------


@pytest.mark.parametrize("n_samples", [100, 101])
def test_powers_sum_to_the_variance(n_samples):
    phasic = np.random.default_rng(0).normal(size=(3, n_samples))
    _, power = _edaemo.power_spectrum(phasic, 4)
    np.testing.assert_allclose(np.sum(power, axis=1), np.var(phasic, axis=1))


@pytest.mark.parametrize("n_samples", [30, 31])
def test_bands_hold_all_power_where_they_reach_the_nyquist_frequency(n_samples):
    phasic = np.random.default_rng(0).normal(size=n_samples)
    given = of_phasic(phasic, 1)
    bands = [value for name, value in given.items() if re.search(r"power_0\.\d_", name)]
    assert len(bands) == 5
    np.testing.assert_allclose(given["band_power_share"], 1)
    lost = np.fft.rfft(phasic - phasic.mean())[1]  # up to half a step above 0 Hz there is none
    assert np.abs(lost) > 0
    np.testing.assert_allclose(np.sum(bands), np.var(phasic))
    np.testing.assert_allclose(given["band_power_min"], np.min(bands))
    np.testing.assert_allclose(given["band_power_max"], np.max(bands))
    np.testing.assert_allclose(given["band_power_std"], np.std(bands))


@pytest.mark.parametrize("sampling_rate", [4, 50, 128])
def test_spectrum_of_a_sine_is_its_line(sampling_rate):
    time = np.arange(25 * sampling_rate) / sampling_rate
    given = of_phasic(0.3 * np.sin(2 * np.pi * 0.24 * time), sampling_rate)
    height = 0.3 * np.sqrt(25 / 2)  # a²/2 within 1/25 Hz, square root
    line = np.r_[height, np.zeros(49)]  # 50 frequencies up to 2 Hz
    np.testing.assert_allclose(given["spectrum_centroid"], 0.24, rtol=1e-6)
    np.testing.assert_allclose(given["spectrum_mean"], np.mean(line), rtol=1e-6)
    np.testing.assert_allclose(given["spectrum_std"], np.std(line), rtol=1e-6)
    np.testing.assert_allclose(given["spectrum_range"], height, rtol=1e-6)
    np.testing.assert_allclose(given["spectrum_kurtosis"], kurtosis(line), rtol=1e-6)
    np.testing.assert_allclose(given["spectrum_skewness"], skew(line), rtol=1e-6)
    np.testing.assert_allclose(given["band_power_0.2_0.3"], 0.3**2 / 2)
    np.testing.assert_allclose(given["band_power_max"], 0.3**2 / 2)
    np.testing.assert_allclose(given["band_power_share"], 1)
    for band in ("0.0_0.1", "0.1_0.2", "0.3_0.4", "0.4_0.5", "min"):
        np.testing.assert_allclose(given[f"band_power_{band}"], 0, atol=1e-15)


def test_a_line_on_the_edge_of_two_bands_is_shared():
    time = np.arange(100) / 4
    given = of_phasic(np.sin(2 * np.pi * 0.2 * time), 4)
    np.testing.assert_allclose(given["band_power_0.1_0.2"], 0.25)
    np.testing.assert_allclose(given["band_power_0.2_0.3"], 0.25)


def test_share_of_the_bands_is_that_of_slow_in_all_power():
    time = np.arange(100) / 4
    phasic = 2 * np.sin(2 * np.pi * 0.24 * time) + np.sin(2 * np.pi * 1.2 * time)
    np.testing.assert_allclose(of_phasic(phasic, 4)["band_power_share"], 4 / 5)


def test_spectral_density_is_scipys():
    for signal in make_eda(3, sampling_rate=10):
        phasic = Bandpass().phasic(signal[None], 10)[0]
        frequency, density = periodogram(phasic, 10, detrend="constant", scaling="density")
        kept = (frequency > 0) & (frequency <= 2)
        frequency, root = frequency[kept], np.sqrt(density[kept])
        given = of_phasic(phasic, 10)
        expected = np.average(frequency, weights=root)
        np.testing.assert_allclose(given["spectrum_centroid"], expected)
        np.testing.assert_allclose(given["spectrum_mean"], np.mean(root))
        np.testing.assert_allclose(given["spectrum_std"], np.std(root))
        np.testing.assert_allclose(given["spectrum_range"], np.ptp(root))
        np.testing.assert_allclose(given["spectrum_kurtosis"], kurtosis(root))
        np.testing.assert_allclose(given["spectrum_skewness"], skew(root))


def test_spectrum_bands_and_mfcc_do_not_grow_with_the_clip():
    noise = np.random.default_rng(0).normal(size=(300, 400))
    short, long = (_edaemo.features(noise[:, :n], 4).mean(axis=0) for n in (100, 400))
    names = list(_edaemo.NAMES)
    for name in ("spectrum_mean", "spectrum_std", "band_power_0.2_0.3", "mfcc_00_mean"):
        place = names.index(name)
        np.testing.assert_allclose(long[place], short[place], rtol=0.05, err_msg=name)


# --- cepstral coefficients ---------------------------------------------------------------------


def slow_mfcc(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
    """One trial, frame after frame and filter after filter; shape (20, n_frames)."""
    length = min(round(8 * sampling_rate), len(phasic) // 2)
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(length) / length))
    top = min(2, sampling_rate / 2)
    frequencies = np.linspace(0, top, 85)
    edges = np.linspace(0, top, 22)
    columns = []
    for start in range(0, len(phasic) - length + 1, max(1, length // 8)):
        frame = phasic[start : start + length] * window
        density = []
        for frequency in frequencies:
            wave = np.exp(-2j * np.pi * frequency * np.arange(length) / sampling_rate)
            density.append(2 * abs(np.sum(frame * wave)) ** 2 / sampling_rate / sum(window**2))
        levels = []
        for low, centre, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
            weights = np.interp(frequencies, [low, centre, high], [0, 1, 0], left=0, right=0)
            levels.append(10 * np.log10(1 + np.average(density, weights=weights) / 1e-10))
        columns.append(dct(levels, norm="ortho"))
    return np.array(columns).T


@pytest.mark.parametrize(("sampling_rate", "seconds"), [(4, 25), (20, 30), (3, 5)])
def test_mfcc_are_those_of_a_plain_loop_and_their_statistics_scipys(sampling_rate, seconds):
    signal = make_eda(1, sampling_rate, seconds)
    phasic = Bandpass().phasic(signal, sampling_rate)[0]
    given = of_phasic(phasic, sampling_rate)
    for i, coefficient in enumerate(slow_mfcc(phasic, sampling_rate)):
        for name, statistic in {
            "mean": np.mean,
            "std": np.std,
            "median": np.median,
            "kurtosis": kurtosis,
            "skewness": skew,
        }.items():
            expected = statistic(coefficient)
            label = f"mfcc_{i:02d}_{name}"
            np.testing.assert_allclose(given[label], expected, rtol=1e-6, atol=1e-8, err_msg=label)


def test_louder_by_6_db_moves_the_first_coefficient_alone():
    phasic = Bandpass().phasic(make_eda(1), 4)[0]
    once, twice = of_phasic(phasic, 4), of_phasic(2 * phasic, 4)
    by = np.sqrt(20) * 20 * np.log10(2)  # each of 20 filters, times the transform's first row
    np.testing.assert_allclose(twice["mfcc_00_mean"] - once["mfcc_00_mean"], by, atol=1e-2)
    for name in ("mfcc_00_std", "mfcc_01_mean", "mfcc_07_median", "mfcc_19_mean"):
        np.testing.assert_allclose(twice[name], once[name], atol=1e-2)


@pytest.mark.parametrize("sampling_rate", [1, 4, 50, 128])
def test_no_filter_is_empty_and_white_noise_is_flat(sampling_rate):
    noise = np.random.default_rng(1).normal(size=(100, 25 * sampling_rate))
    values = _edaemo.features(noise, sampling_rate).mean(axis=0)
    means = dict(zip(_edaemo.NAMES, values, strict=True))
    density = 10 * np.log10(2 / sampling_rate / 1e-10)  # of unit variance up to half the rate
    np.testing.assert_allclose(means["mfcc_00_mean"], np.sqrt(20) * density, rtol=0.05)
    assert max(abs(means[f"mfcc_{i:02d}_mean"]) for i in range(1, 20)) < 3


# --- the published definition ------------------------------------------------------------------


def test_published_features_are_those_of_the_notebooks_formulas():
    for signal in make_eda(3, sampling_rate=10, seconds=20):  # with a frequency at just 0.5 Hz
        scaled = (signal - signal.min()) / np.ptp(signal)
        phasic = Bandpass().phasic(scaled[None], 10)[0]
        given = frame_of(EDAFeatureExtractor(10, preset="pmemo"), signal[None]).iloc[0]
        magnitude = np.abs(np.fft.fft(phasic))
        axis = np.fft.fftfreq(len(phasic), 0.1)
        edges = [(0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4)]
        bands = [np.sum(magnitude[(a <= axis) & (axis < b)] ** 2) for a, b in edges]
        bands.append(np.sum(magnitude[(axis >= 0.4) & (axis <= 0.5)] ** 2))
        expected = {
            "SumAreas": np.trapezoid(phasic, dx=0.1),
            "meanEDA": np.mean(phasic),
            "stdEDA": np.std(phasic),
            "kurtEDA": kurtosis(phasic),
            "skewEDA": skew(phasic),
            "meanDerivative": np.mean(np.gradient(phasic)),
            "SMA_f": np.trapezoid(magnitude, x=axis),
            "meanEDA_f": np.mean(magnitude),
            "stdEDA_f": np.std(magnitude),
            "signalRange_f": np.ptp(magnitude),
            "kurtEDA_f": kurtosis(magnitude),
            "skewEDA_f": skew(magnitude),
            "signalEnergy": np.sum(bands),
            **{f"SpectralPower_band{i + 1}": band for i, band in enumerate(bands)},
            "minSpectralPower": np.min(bands),
            "maxSpectralPower": np.max(bands),
            "varSpectralPower": np.var(bands),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(given[f"eda_{name}"], value, rtol=1e-5, atol=1e-9)
        rises = slow_responses(phasic)
        assert given["eda_peakCount"] == len(rises)
        sizes = [rise[2] for rise in rises]
        times = [(rise[1] - rise[0]) / 10 for rise in rises]
        np.testing.assert_allclose(given["eda_SumPeakAmplitude"], np.sum(sizes), rtol=1e-6)
        np.testing.assert_allclose(given["eda_meanpeakAmplitude"], np.mean(sizes), rtol=1e-6)
        np.testing.assert_allclose(given["eda_SumRiseTime"], np.sum(times), rtol=1e-6)
        np.testing.assert_allclose(given["eda_MeanRiseTime"], np.mean(times), rtol=1e-6)


def test_published_faults_are_kept():
    frame = frame_of(EDAFeatureExtractor(4, preset="pmemo"), make_eda())
    assert (frame["eda_SumAreas"] == frame["eda_auc"]).all()
    assert (frame["eda_meanNegativeDerivative"] == -frame["eda_meanDerivative"]).all()
    louder = frame_of(EDAFeatureExtractor(4, preset="pmemo"), 5 * make_eda() + 1)
    np.testing.assert_allclose(louder, frame, rtol=1e-3, atol=1e-3)  # scaled away
    time = np.arange(400) / 4
    wave = np.sin(2 * np.pi * 0.24 * time)
    short, long = (of_phasic(wave[:n], 4, _pmemo)["signalEnergy"] for n in (100, 400))
    np.testing.assert_allclose(long, 16 * short)
    assert not frame.filter(regex="(std|kurt|skew)MFCC").to_numpy().any()  # of one frame


# librosa 0.11.0: librosa.feature.mfcc(y=signal, sr=rate, n_mfcc=20), one frame each
LIBROSA = {
    (2000, 50, 2): """
        -293.36199147 39.29930526 38.62420878 37.5165657 36.00216827 34.11617126 31.90217032
        29.41106264 26.69972226 23.82952731 20.86478057 17.87106732 14.91359576 12.05556556
        9.35660838 6.87134198 4.64807542 2.72769834 1.14278124 -0.08309227""",
    (100, 4, 0): """
        211.71469119 61.40518561 35.11186085 46.2646332 8.59566614 4.80340804 24.01493518
        -0.20520675 -6.7747483 11.8628053 -4.01356167 -12.19411703 4.26738364 -5.42418696
        -14.30545797 -0.14541054 -5.53802298 -14.1710931 -2.35028827 -4.47316587""",
}


@pytest.mark.parametrize(("n_samples", "sampling_rate", "frame"), LIBROSA)
def test_published_mfcc_are_librosas(n_samples, sampling_rate, frame):
    time = np.arange(n_samples) / sampling_rate
    signal = 0.3 * np.sin(2 * np.pi * 0.11 * time) + 0.05 * np.cos(2 * np.pi * 1.3 * time)
    signal += 0.2 * np.exp(-((time - time[-1] / 2) ** 2) / 2)
    given = _pmemo.mfcc(signal[None], sampling_rate)
    assert given.shape == (1, 20, 1 + n_samples // 512)
    expected = np.array(LIBROSA[n_samples, sampling_rate, frame].split(), dtype=float)
    np.testing.assert_allclose(given[0, :, frame], expected, atol=1e-6)


def test_published_mfcc_know_the_knee_of_the_mel_scale():
    # Slaney: 15 mel at 1 kHz, and from there 27 mel to 6.4 kHz.
    np.testing.assert_allclose(_pmemo._hz_to_mel(500), 7.5)
    np.testing.assert_allclose(_pmemo._hz_to_mel(6400), 42)
    np.testing.assert_allclose(_pmemo._mel_to_hz(np.array([7.5, 15, 42])), [500, 1000, 6400])


# --- batches and rates -------------------------------------------------------------------------


@pytest.mark.same_bits
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("sampling_rate", "seconds"), [(4, 25), (50, 40), (128, 60)])
def test_a_trial_has_the_same_numbers_to_the_bit_in_whatever_batch(preset, sampling_rate, seconds):
    signals = make_eda(13, sampling_rate, seconds)
    extractor = EDAFeatureExtractor(sampling_rate, preset=preset)

    def features(X: np.ndarray) -> np.ndarray:
        module._cache = TrialCache(max_bytes=0)
        return extractor.transform(X)

    together = features(signals)
    assert together.shape == (13, 128)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(np.vstack([features(row[None]) for row in signals]), together)
    np.testing.assert_array_equal(features(signals[::-1])[::-1], together)
    order = np.random.default_rng(0).permutation(13)
    np.testing.assert_array_equal(features(signals[order]), together[order])


@pytest.mark.same_bits
def test_numbers_do_not_depend_on_the_threads_that_are_there(monkeypatch):
    seen = []

    def counting(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        seen.extend(pool["num_threads"] for pool in pools)
        return features(phasic, sampling_rate)

    features = _edaemo.features
    monkeypatch.setattr(_edaemo, "features", counting)
    with threadpool_limits(2, user_api="blas"):
        EDAFeatureExtractor(4).transform(make_eda())
    assert set(seen) <= {1}


@pytest.mark.same_bits
def test_blocks_give_what_one_batch_gives(monkeypatch):
    signals = make_eda(13)
    expected = EDAFeatureExtractor(4).transform(signals)
    monkeypatch.setattr(module, "_cache", TrialCache(max_bytes=0))
    monkeypatch.setattr(module, "BLOCK", 350)
    np.testing.assert_array_equal(EDAFeatureExtractor(4).transform(signals), expected)


@pytest.mark.same_bits
def test_trials_of_unequal_length_are_each_what_they_are_alone():
    signals = [make_eda(1, 4, seconds, seed=i)[0] for i, seconds in enumerate((25, 30, 25, 2, 30))]
    cells = pd.Series(signals, dtype=object)
    extractor = EDAFeatureExtractor(4)
    together = extractor.fit_transform(cells)
    module._cache = TrialCache(max_bytes=0)
    alone = [extractor.transform(signal[None])[0] for signal in signals]
    np.testing.assert_array_equal(together, alone)


def test_a_feature_means_the_same_at_every_rate():
    def recorded(sampling_rate: int) -> np.ndarray:
        time = np.arange(40 * sampling_rate) / sampling_rate
        responses = ((6, 0.4), (15, 1.0), (27, 0.6))
        waves = 0.02 * np.sin(2 * np.pi * 0.7 * time)
        return 3 + sum(size * bateman(time - on) for on, size in responses) + waves

    frames = [
        frame_of(EDAFeatureExtractor(rate), recorded(rate)[None]).iloc[0] for rate in (4, 50, 128)
    ]
    for name, tolerance in {
        "eda_scr_amplitude_sum": 0.1,
        "eda_std": 0.02,
        "eda_area": 0.02,
        "eda_kurtosis": 0.05,
        "eda_derivative_negative_mean": 0.2,
        "eda_spectrum_mean": 0.05,
        "eda_spectrum_centroid": 0.15,
        "eda_band_power_0.1_0.2": 0.02,
        "eda_band_power_share": 0.02,
        "eda_mfcc_00_mean": 0.05,
        "eda_mfcc_01_mean": 0.1,
    }.items():
        values = [frame[name] for frame in frames]
        np.testing.assert_allclose(values, values[1], rtol=tolerance, err_msg=name)


# --- recordings that are odd -------------------------------------------------------------------


@pytest.mark.parametrize("decomposition", ["highpass", "cvxeda"])
@pytest.mark.parametrize("level", [0.0, 0.31, 1e5])
def test_flat_trial_has_all_features_zero(level, decomposition):
    signals = make_eda(3)
    signals[1] = level
    given = EDAFeatureExtractor(4, decomposition=decomposition).fit_transform(signals)
    assert not given[1].any()
    assert given[0].any()


def test_a_straight_line_is_tonic_and_its_features_are_zero():
    assert not EDAFeatureExtractor(4).fit_transform(np.linspace(1, 7, 100)[None]).any()


def test_flat_trial_of_the_published_definition_is_silent():
    given = frame_of(EDAFeatureExtractor(4, preset="pmemo"), np.full((1, 100), 3.0)).iloc[0]
    # -100 dB in all of 128 filters
    np.testing.assert_allclose(given["eda_meanMFCC[0]"], -100 * np.sqrt(128), rtol=1e-6)
    given = given.drop(["eda_meanMFCC[0]", "eda_medianMFCC[0]"])
    np.testing.assert_allclose(given, 0, atol=1e-10)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("decomposition", ["highpass", "cvxeda"])
def test_odd_trials_have_finite_features(preset, decomposition):
    signal = make_eda(1)[0]
    spikes, saturated, step, dead = (signal.copy() for _ in range(4))
    spikes[[20, 50, 51]] = [500, -300, 900]
    saturated[signal > np.quantile(signal, 0.3)] = np.quantile(signal, 0.3)
    step[60:] += 40
    dead[5:] = 0
    alternating = 2 + 0.001 * (-1.0) ** np.arange(100)
    ratios = np.stack([spikes, saturated, step, dead, alternating, 1e-12 * signal, 1e9 * signal])
    given = EDAFeatureExtractor(4, preset=preset, decomposition=decomposition).fit_transform(ratios)
    assert np.isfinite(given).all()
    # The alternating trial is noise, so cvxEDA finds no response in it.
    silent = [4] if (preset, decomposition) == ("edaemo", "cvxeda") else []
    assert np.flatnonzero(~given.any(axis=1)).tolist() == silent


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("n_samples", range(2, 24))
def test_short_trials_have_finite_features(preset, n_samples):
    given = EDAFeatureExtractor(1, preset=preset).fit_transform(make_eda(3, 1, n_samples))
    assert given.shape == (3, 128)
    assert np.isfinite(given).all()


# --- real recordings ---------------------------------------------------------------------------


@pytest.mark.parametrize("decomposition", ["highpass", "cvxeda"])
@pytest.mark.parametrize("load", [load_hku956, load_induced_stress])
def test_no_feature_is_constant_or_another_one_on_real_recordings(load, decomposition):
    study = load()
    extractor = EDAFeatureExtractor(study.sampling_rate, decomposition=decomposition)
    frame = extractor.fit_transform(study.trials)
    assert frame.shape == (len(study.trials), 128)
    values = frame.to_numpy(dtype=float)
    assert np.isfinite(values).all()
    assert all(len(np.unique(column)) > 20 or "count" in name for name, column in frame.items())
    assert (np.ptp(values, axis=0) > 0).all()
    standardized = zscore(values, axis=0)
    assert np.linalg.matrix_rank(standardized) == 128
    for unsigned in (standardized, np.abs(standardized)):
        assert len({column.round(6).tobytes() for column in unsigned.T}) == 128


# --- what goes in and comes out ----------------------------------------------------------------


def test_table_in_frame_out_with_the_identity_of_each_row():
    table = make_table(make_eda())
    table.index = [9, 7, 5, 3]
    extractor = EDAFeatureExtractor(4)
    frame = extractor.fit_transform(table)
    assert frame.index.names == ["subject", "stimulus", "trial"]
    assert frame.index.tolist() == list(
        zip(table["subject"], table["stimulus"], table["trial"], strict=True)
    )
    assert list(frame.columns) == list(extractor.get_feature_names_out())
    assert set(frame.dtypes) == {np.dtype("f4")}
    np.testing.assert_array_equal(frame, extractor.transform(make_eda()))
    some = extractor.transform(table.drop(columns=["stimulus", "trial"]))
    assert some.index.names == ["subject"]
    bare = extractor.transform(table[["eda"]])
    assert bare.index.tolist() == [9, 7, 5, 3]
    assert table["eda"].iloc[0].shape == (100,)


def test_array_series_object_array_and_frame_give_the_same_array():
    signals = make_eda()
    cells = np.empty(4, dtype=object)
    cells[:] = list(signals)
    series = pd.Series(list(signals), dtype=object)
    expected = EDAFeatureExtractor(4).fit_transform(signals)
    for form in (cells, cells[:, None], series, series.to_frame("signal"), signals.astype("f8")):
        given = EDAFeatureExtractor(4).fit_transform(form)
        assert isinstance(given, np.ndarray)
        np.testing.assert_array_equal(given, expected)


def test_set_output_names_the_columns():
    extractor = EDAFeatureExtractor(4).set_output(transform="pandas")
    frame = extractor.fit_transform(make_eda())
    assert list(frame.columns) == list(extractor.get_feature_names_out())
    table = make_table(make_eda())
    pd.testing.assert_index_equal(extractor.fit_transform(table).index, table.index)
    assert EDAFeatureExtractor(4).fit_transform(table).index.names == [
        "subject",
        "stimulus",
        "trial",
    ]


def test_it_needs_no_fit():
    extractor = EDAFeatureExtractor(4)
    try:
        check_is_fitted(extractor)
    except NotFittedError:
        pytest.fail("a stateless transformer counts as fitted")
    table = make_table(make_eda())
    pd.testing.assert_frame_equal(extractor.transform(table), extractor.fit_transform(table))
    # `fit` learns nothing but the lengths of its trials, for a warning.
    assert set(vars(extractor.fit(table))) == {*extractor.get_params(), "lengths_"}


def test_it_is_a_step_of_a_pipeline_and_of_the_union_with_music():
    table = make_table(make_eda())
    music = pd.DataFrame({"tempo": [90.0, 120.0]}, index=["song0", "song1"])
    frame = MusicFeatureUnion(eda=EDAFeatureExtractor(4), music=music).fit_transform(table)
    assert list(frame.columns) == [*EDAFeatureExtractor(4).get_feature_names_out(), "music_tempo"]
    assert frame.index.names == ["subject", "stimulus", "trial"]
    np.testing.assert_array_equal(frame.iloc[:, :128], EDAFeatureExtractor(4).transform(table))
    assert make_pipeline(EDAFeatureExtractor(4), StandardScaler()).fit_transform(table).shape == (
        4,
        128,
    )


def test_clone_and_pickle_give_the_same_numbers():
    extractor = EDAFeatureExtractor(4, decomposition="cvxeda", missing="interpolate")
    expected = extractor.fit_transform(make_eda())
    for other in (clone(extractor), pickle.loads(pickle.dumps(extractor))):
        assert other.get_params() == extractor.get_params()
        np.testing.assert_array_equal(other.transform(make_eda()), expected)


def test_tags_say_what_comes_in_and_out():
    assert EDAFeatureExtractor(4, missing="interpolate").__sklearn_tags__().input_tags.allow_nan
    tags = EDAFeatureExtractor(4).__sklearn_tags__()
    assert not tags.input_tags.allow_nan
    assert tags.transformer_tags.preserves_dtype == []


# --- errors ------------------------------------------------------------------------------------


def test_too_short_trial_is_named_with_the_minimum():
    table = make_table([*make_eda(2), np.ones(7)])
    for method in (EDAFeatureExtractor(4).fit, EDAFeatureExtractor(4).transform):
        with pytest.raises(
            ValueError, match=r"row 2 \(subject p1, stimulus song0.*7 samples.*2 s, .* 8 samples"
        ):
            method(table)


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_rate_that_does_not_reach_the_bands_is_an_error(method):
    with pytest.raises(
        ValueError, match=r"0\.9 Hz covers frequencies up to 0\.45 Hz.*at least 1\.0 Hz"
    ):
        getattr(EDAFeatureExtractor(0.9), method)(make_eda())


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"sampling_rate": -4},
        {"sampling_rate": np.inf},
        {"sampling_rate": np.nan},
        {"preset": "shukla"},
        {"decomposition": "sparse"},
        {"missing": "drop"},
    ],
)
def test_wrong_parameters_are_named(wrong, method):
    extractor = EDAFeatureExtractor(**{"sampling_rate": 4} | wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        getattr(extractor, method)(make_eda())


def test_missing_samples_are_named_or_interpolated():
    signals = make_eda()
    signals[2, 40:43] = np.nan
    signals[3, 0] = np.inf
    with pytest.raises(ValueError, match=r"row 2 \(subject p1.*3 of 100.*sample 40"):
        EDAFeatureExtractor(4).fit(make_table(signals))
    filled = signals.copy()
    filled[2, 40:43] = np.interp([40, 41, 42], [39, 43], signals[2, [39, 43]])
    filled[3, 0] = signals[3, 1]
    lenient = EDAFeatureExtractor(4, missing="interpolate")
    np.testing.assert_array_equal(lenient.fit_transform(signals), lenient.fit_transform(filled))


def test_trial_too_large_for_float32_is_named():
    signals = make_eda()
    signals[1] *= 1e30
    with pytest.raises(ValueError, match=r"row 1 \(subject p0.*float32.*microsiemens"):
        EDAFeatureExtractor(4).transform(make_table(signals))


def test_trial_on_which_cvxeda_fails_is_named(monkeypatch):
    signals = make_eda()
    bad = signals[2]

    def fail(trial: np.ndarray, *rest: object, **settings: object) -> object:
        if np.allclose(trial, bad):
            raise DecompositionError("no optimum", "stalled", 0.5)
        return original(trial, *rest, **settings)

    def fail_all(*arguments: object, **settings: object) -> list:
        raise DecompositionError("trial in row 0", "stalled", 0.5)

    original = solving.solve
    monkeypatch.setattr(solving, "solve", fail)
    monkeypatch.setattr(solving, "solve_many", fail_all)
    monkeypatch.setattr(_decomposed, "_cache", _decomposed.TrialCache(0))
    with pytest.raises(DecompositionError, match=r"row 2 \(subject p1.*no optimum"):
        EDAFeatureExtractor(4, decomposition="cvxeda").transform(make_table(signals))


def test_other_width_at_transform_is_an_error():
    extractor = EDAFeatureExtractor(4).fit(make_eda())
    with pytest.raises(ValueError, match="100 features"):
        extractor.transform(make_eda()[:, :90])


def test_failed_refit_leaves_the_extractor_as_it_was():
    extractor = EDAFeatureExtractor(4).fit(make_eda())
    with pytest.raises(ValueError, match="too few"):
        extractor.fit(make_eda()[:, :7])
    assert extractor.n_features_in_ == 100


# --- once in a process -------------------------------------------------------------------------


def test_each_trial_is_computed_once_in_a_process(monkeypatch):
    seen = []

    def counting(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
        seen.append(len(phasic))
        return features(phasic, sampling_rate)

    features = _edaemo.features
    monkeypatch.setattr(_edaemo, "features", counting)
    signals = make_eda(5)
    first = EDAFeatureExtractor(4).fit_transform(signals)
    again = EDAFeatureExtractor(4).fit(signals).transform(make_table(signals[::-1]))
    np.testing.assert_array_equal(again, first[::-1])
    assert seen == [5]
    EDAFeatureExtractor(4).transform(np.vstack([signals, make_eda(2, seed=1), signals[:2]]))
    assert seen == [5, 2]  # those not seen yet, as one batch
    EDAFeatureExtractor(5).transform(signals)
    EDAFeatureExtractor(4, decomposition="cvxeda").transform(signals)
    assert seen == [5, 2, 5, 5]
    published = EDAFeatureExtractor(4, preset="pmemo").transform(signals)
    assert seen == [5, 2, 5, 5]
    assert not np.allclose(published, first)


def test_what_the_cache_gives_cannot_be_changed_by_who_gets_it():
    extractor = EDAFeatureExtractor(4)
    first = extractor.fit_transform(make_eda())
    expected = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(extractor.transform(make_eda()), expected)


def test_cache_computes_the_misses_of_a_batch_once_and_in_order():
    cache = TrialCache(max_bytes=10**6)
    signals = [np.full(3, float(i)) for i in range(4)]
    asked = []

    def compute(places: list[int]) -> list[float]:
        asked.append(places)
        return [float(batch[place][0]) for place in places]

    batch = [signals[2], signals[0], signals[2]]
    assert cache.get_many(batch, ("a",), compute, lambda _: 1) == [2, 0, 2]
    batch = [signals[0], signals[3], signals[1], signals[3], signals[2]]
    assert cache.get_many(batch, ("a",), compute, lambda _: 1) == [0, 3, 1, 3, 2]
    assert cache.get_many(batch, ("a",), compute, lambda _: 1) == [0, 3, 1, 3, 2]
    assert cache.get_many([signals[3]], ("a",), compute, lambda _: 1) == [3]
    assert cache.get_many(batch[:1], ("b",), compute, lambda _: 1) == [0]
    assert asked == [[0, 1], [1, 2], [0]]


def test_cache_gives_a_batch_that_is_larger_than_it_holds():
    cache = TrialCache(max_bytes=2)
    signals = [np.full(3, float(i)) for i in range(4)]
    asked = []

    def compute(places: list[int]) -> list[float]:
        asked.append(places)
        return [float(signals[place][0]) for place in places]

    for _ in range(2):
        assert cache.get_many(signals, (), compute, lambda _: 1) == [0, 1, 2, 3]
    assert asked == [[0, 1, 2, 3], [0, 1]]  # the last two are held


def test_what_a_batch_asked_for_stays_longest():
    cache = TrialCache(max_bytes=2)
    first, second, third = (np.full(3, float(i)) for i in range(3))
    for signal in (first, second, first, third):
        cache.get_many([signal], (), lambda places: [0.0] * len(places), lambda _: 1)
    batch, asked = [first, second], []
    cache.get_many(batch, (), lambda places: asked.extend(places) or [0.0], lambda _: 1)
    assert asked == [1]  # the first was asked for again, so the second had to go


def test_a_batch_that_fails_leaves_nothing_in_the_cache():
    cache = TrialCache(max_bytes=100)

    def fail(places: list[int]) -> list[float]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.get_many([np.ones(2)], (), fail, lambda _: 1)
    assert cache.get_many([np.ones(2)], (), lambda _: [5.0], lambda _: 1) == [5.0]


def test_real_trials_pass_through_as_the_study_gives_them(few: Bunch):
    frame = EDAFeatureExtractor(few.sampling_rate).fit_transform(few.trials)
    assert frame.index.get_level_values("subject").tolist() == few.trials["subject"].tolist()
    assert (frame["eda_scr_amplitude_mean"] >= 0).all()
    in_total = frame["eda_scr_amplitude_mean"] * frame["eda_scr_count"]
    np.testing.assert_allclose(in_total, frame["eda_scr_amplitude_sum"], rtol=1e-5)


@pytest.mark.parametrize("preset", ["edaemo", "compact", "level", "pmemo"])
def test_flat_trials_are_counted_in_a_warning(preset):
    signals = 5 + 0.05 * np.random.default_rng(0).normal(size=(4, 100)).cumsum(axis=1)
    signals[1], signals[3] = 2.0, 0.0
    extractor = EDAFeatureExtractor(4, preset=preset)
    for _ in range(2):  # also if the features are in the cache
        with pytest.warns(SignalQualityWarning, match=r"2 of 4 trials are flat .*\[1, 3\]"):
            extractor.fit_transform(signals)
    extractor.transform(signals[[0, 2]])  # without a warning
