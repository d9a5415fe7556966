"""EDAFeatureExtractor(preset="level"): closed forms at several rates, and NeuroKit2's figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from edaemo.features import EDAFeatureExtractor, feature_families
from edaemo.preprocessing import SignalQualityWarning

TESTS = Path(__file__).parent
RATES = [4, 50, 500]
TOP = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)


def bateman(since: np.ndarray | float) -> np.ndarray:
    """The shape of one SCR."""
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


def seconds(duration: float, rate: float) -> np.ndarray:
    return np.arange(round(duration * rate)) / rate


def features_of(eda: np.ndarray, rate: float, **options: object) -> pd.Series:
    extractor = EDAFeatureExtractor(rate, preset="level", **options)
    table = extractor.set_output(transform="pandas").fit_transform(eda[None])
    return table.iloc[0].rename(lambda name: name.removeprefix("eda_")).astype(float)


@pytest.mark.parametrize("rate", RATES)
def test_a_straight_line_has_its_level_and_slope_and_nothing_else(rate):
    time = seconds(40, rate)
    values = features_of(5 - 0.05 * time, rate)
    sample = 1 / rate
    assert values["level_mean"] == pytest.approx(5 - 0.05 * (40 - sample) / 2)
    assert values["level_start"] == pytest.approx(5 - 0.05 * (1 - sample) / 2)
    assert values["level_end"] == pytest.approx(5 - 0.05 * (39 + (1 - sample) / 2))
    assert values["level_max"] == pytest.approx(5)
    assert values["level_min"] == pytest.approx(5 - 0.05 * (40 - sample))
    assert values["level_range"] == pytest.approx(0.05 * (40 - sample))
    # The variance of n equidistant numbers is (n² - 1)/12 of their squared distance.
    assert values["level_std"] == pytest.approx(0.05 * sample * np.sqrt((len(time) ** 2 - 1) / 12))
    assert values["level_slope"] == pytest.approx(-0.05)
    assert values["level_change"] == pytest.approx(-0.05 * 30)  # between the outer quarters
    share = values["level_change"] / values["level_mean"]
    assert values["level_change_share"] == pytest.approx(share)
    assert values["onset_level_change"] == pytest.approx(-0.05 * (1 - (1 - sample) / 2), rel=1e-4)
    others = values.drop([name for name in values.index if "level" in name])
    assert (others == 0).all()


@pytest.mark.parametrize("rate", RATES)
def test_response_to_the_onset_of_the_trial(rate):
    time = seconds(60, rate)
    eda = 2 + (0.6 * bateman(time - 2.5) + 0.3 * bateman(time - 30)) / bateman(TOP)
    values = features_of(eda, rate, method="highpass")
    assert values["onset_response"] == 1
    assert values["onset_latency"] == pytest.approx(2.5, abs=1 / rate)
    assert values["onset_magnitude"] == values["onset_largest"] == pytest.approx(0.6, rel=0.05)
    window = 0.6 * bateman(min(TOP, 1.5)) / bateman(TOP)  # up to 4 s after the onset
    assert values["onset_level_change"] == pytest.approx(window, rel=0.05)
    assert values["response_rate"] == pytest.approx(2)
    assert values["response_amplitude_mean"] == pytest.approx(0.45, rel=0.05)
    assert values["response_amplitude_rate"] == pytest.approx(0.9, rel=0.05)
    late = features_of(np.roll(eda, round(2.5 * rate)), rate, method="highpass")  # at 5 s
    assert (
        late[["onset_response", "onset_latency", "onset_magnitude", "onset_largest"]] == 0
    ).all()
    assert late["response_rate"] == pytest.approx(2)


@pytest.mark.parametrize("rate", [2, 4, 50, 500])
@pytest.mark.parametrize(("frequency", "within"), [(0.1, True), (0.2, True), (0.5, False)])
def test_sympathetic_power_of_a_sine_is_half_its_squared_amplitude(rate, frequency, within):
    inside = float(within)
    eda = 3 + 0.3 * np.sin(2 * np.pi * frequency * seconds(192, rate))
    values = features_of(eda, rate)
    assert values["edasymp_power"] == pytest.approx(0.045 * inside, rel=2e-3, abs=1e-8)
    assert values["edasymp_share"] == pytest.approx(inside, abs=2e-3)


def test_share_is_that_of_the_power_up_to_1_hertz():
    time = seconds(192, 8)
    waves = {0.02: 0.2, 0.15: 0.4, 0.7: 0.1, 2.0: 0.3}  # Hz: µS
    eda = 3 + sum(size * np.sin(2 * np.pi * hertz * time) for hertz, size in waves.items())
    power = {hertz: size**2 / 2 for hertz, size in waves.items()}
    values = features_of(eda, 8)
    assert values["edasymp_power"] == pytest.approx(power[0.15], rel=0.02)
    expected = power[0.15] / (power[0.02] + power[0.15] + power[0.7])
    assert values["edasymp_share"] == pytest.approx(expected, abs=0.02)


def test_sympathetic_power_agrees_with_neurokit2():
    """neurokit2 0.3.0: nk.eda_sympathetic(eda, sampling_rate=25, method="posada").

    Its Chebyshev low-pass with 1 dB ripple takes up to 21 % of the power: for sines of 0.3 µS at
    0.1 and 0.2 Hz it has 0.0406 and 0.0418 instead of 0.045.
    """
    eda = np.loadtxt(TESTS / "data" / "simulated_eda.csv")
    theirs = 0.016915198442565445
    assert 0.79 < theirs / features_of(eda, 25)["edasymp_power"] < 1


@pytest.mark.parametrize("rate", [2, 4, 50])
def test_time_varying_index_follows_the_amplitude(rate):
    time = seconds(300, rate)
    sine = 0.3 * np.sin(2 * np.pi * 0.16 * time)
    values = features_of(3 + sine, rate)
    # A sine of unit variance has the amplitude √2.
    assert values["tvsymp_mean"] == pytest.approx(np.sqrt(2), rel=0.01)
    assert values["tvsymp_amplitude"] == pytest.approx(0.3, rel=0.01)
    doubled = features_of(3 + sine * np.where(time < 150, 1, 2), rate)
    assert doubled["tvsymp_amplitude"] == pytest.approx(0.45, rel=0.02)
    # Amplitudes 1 and 2 have the variance (1 + 4)/4.
    assert doubled["tvsymp_max"] == pytest.approx(2 / np.sqrt(1.25), rel=0.1)
    assert features_of(3 + 5 * sine, rate)["tvsymp_mean"] == pytest.approx(values["tvsymp_mean"])


def table_of_docs() -> dict[str, str]:
    """Name → last cell but one, the effect of a factor, of the table in docs/features.md."""
    text = (TESTS.parent / "docs" / "features.md").read_text()
    part = text.split('## The features of `preset="level"`')[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| `eda_")]
    return {cells[0].strip().strip("`"): cells[3].strip() for cells in rows}


def test_docs_name_every_feature_and_its_dependence_on_the_scale():
    rng = np.random.default_rng(0)
    time = seconds(60, 4)
    pulses = sum(bateman(time - onset) for onset in (2.0, 20.0, 41.0))
    eda = 4 + 0.4 * pulses + 0.05 * np.cumsum(rng.standard_normal(240)) / 4
    once, thrice = features_of(eda, 4), features_of(3 * eda, 4)
    expected = {"same": 1, "by factor": 3, "by factor²": 9}
    documented = table_of_docs()
    assert list(documented) == ["eda_" + name for name in once.index]
    for name, effect in documented.items():
        key = name.removeprefix("eda_")
        assert thrice[key] == pytest.approx(expected[effect] * once[key], rel=1e-4), name
        assert once[key] != 0, name


def test_families_and_names_of_the_presets_are_distinct():
    families = feature_families()
    names = [
        EDAFeatureExtractor(4, preset=preset).get_feature_names_out().tolist()
        for preset in ("edaemo", "pmemo", "level", "compact")
    ]
    assert [len(own) for own in names] == [128, 128, 23, 20]
    assert len(families) == 128 + 128 + 23 + 20
    assert set(families) == {name for own in names for name in own}
    assert families["eda_level_slope"] == "level"
    assert families["eda_edasymp_power"] == "sympathetic spectrum"


@pytest.mark.parametrize("method", ["bandpass", "cvxeda", "median"])
@pytest.mark.parametrize(("rate", "n_samples"), [(1, 2), (4, 8), (4, 13), (128, 256)])
def test_short_and_flat_trials_have_finite_features(method, rate, n_samples):
    flat = features_of(np.full(n_samples, 2.0), rate, method=method)
    assert np.isfinite(flat).all()
    assert (
        flat.drop(["level_mean", "level_start", "level_end", "level_min", "level_max"]) == 0
    ).all()
    wild = np.random.default_rng(0).standard_normal(n_samples)
    assert np.isfinite(features_of(wild, rate, method=method)).all()


@pytest.mark.parametrize("preset", ["edaemo", "pmemo", "level"])
@pytest.mark.parametrize(("method", "repair"), [("bandpass", "interpolate"), ("cvxeda", "mask")])
def test_repaired_spike_changes_the_features_little(preset, method, repair):
    time = seconds(60, 4)
    eda = 4 + 0.5 * sum(bateman(time - onset) for onset in (5.0, 20.0, 41.0))
    spoilt = eda.copy()
    spoilt[140:142] += 6
    extractor = EDAFeatureExtractor(4, preset=preset, method=method, repair=repair)
    clean = extractor.fit_transform(eda[None])
    with pytest.warns(SignalQualityWarning, match=r"repaired in 1 of 1 trials .*, 4 samples"):
        repaired = extractor.fit_transform(spoilt[None])
    as_recorded = EDAFeatureExtractor(4, preset=preset, method=method).fit_transform(spoilt[None])
    distance, without = np.abs(repaired - clean).mean(), np.abs(as_recorded - clean).mean()
    assert distance < 0.05 * without
    whole = EDAFeatureExtractor(4, preset=preset, method=method).fit_transform(eda[None])
    assert_allclose(clean, whole)


def test_extractor_masks_only_where_the_method_can():
    with pytest.raises(ValueError, match="repair='mask' needs method='cvxeda'"):
        EDAFeatureExtractor(4, repair="mask").fit(np.ones((1, 100)))
