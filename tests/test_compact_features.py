"""EDAFeatureExtractor(preset="compact"): closed forms, equal at all sampling rates."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edaemo.features import EDAFeatureExtractor

DOCS = Path(__file__).parents[1] / "docs" / "features.md"
RATES = [1, 4, 50, 1000]
TOP = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)


def bateman(since: np.ndarray | float) -> np.ndarray:
    """The shape of one SCR with amplitude 1."""
    since = np.clip(since, 0, None)
    return (np.exp(-since / 2) - np.exp(-since / 0.7)) / (np.exp(-TOP / 2) - np.exp(-TOP / 0.7))


def seconds(duration: float, rate: float, start: float = 0.0) -> np.ndarray:
    return np.arange(round(start * rate), round((start + duration) * rate)) / rate


def features_of(eda: np.ndarray, rate: float, **options: object) -> pd.DataFrame:
    extractor = EDAFeatureExtractor(rate, preset="compact", **options)
    table = extractor.set_output(transform="pandas").fit_transform(np.atleast_2d(eda))
    return table.rename(columns=lambda name: name.removeprefix("eda_")).astype(float)


@pytest.mark.parametrize("rate", [*RATES, 2000])
def test_a_constant_has_its_level_and_nothing_else(rate):
    values = features_of(np.full(round(20 * rate), 3.0), rate).iloc[0]
    for name in ("log_level", "log_level_min"):
        assert values.pop(name) == pytest.approx(np.log(3.05))
    for name in ("log_std", "log_phasic_std", "log_rising", "log_falling", "log_relative_rising"):
        assert values.pop(name) == pytest.approx(np.log(1e-3), abs=1e-5)
    assert values.pop("log_rise") == pytest.approx(np.log(0.01), abs=1e-5)
    assert len(values) == 12
    assert_allclose(values, 0, atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_a_straight_line_has_its_slope_and_the_levels_of_its_quarters(rate):
    values = features_of(2 + 0.05 * seconds(60, rate), rate).iloc[0]
    assert values["log_level"] == pytest.approx(np.log(3.5 + 0.05), abs=0.01)
    assert values["slope"] == pytest.approx(np.arcsinh(5), abs=0.01)
    assert values["relative_slope"] == pytest.approx(np.arcsinh(1 / 3.5), abs=0.01)
    assert values["log_rising"] == pytest.approx(np.log(0.05 + 1e-3), abs=0.02)
    assert values["log_falling"] == pytest.approx(np.log(1e-3), abs=0.03)
    assert values["log_relative_rising"] == pytest.approx(np.log(0.05 / 3.5 + 1e-3), abs=0.03)
    quarters = values[[f"log_level_q{k}" for k in (1, 2, 3, 4)]]
    expected = np.log(2 + 0.75 * np.array([0.5, 1.5, 2.5, 3.5]) + 0.05) - np.log(3.55)
    assert_allclose(quarters, expected, atol=0.01)
    # The variance of a uniform distribution on an interval of 3 is 9/12.
    assert values["log_std"] == pytest.approx(np.log(np.sqrt(0.75)), abs=0.01)
    assert values["log_level_min"] == pytest.approx(np.log(2.05), abs=0.01)
    assert values["log_rise"] == pytest.approx(np.log(3.0 + 0.01), abs=0.02)
    assert values["responses_0.01"] == values["first_response"] == 0


@pytest.mark.parametrize("rate", [4, 50, 1000])
def test_responses_are_counted_from_both_amplitudes_on(rate):
    time = seconds(60, rate)
    eda = 2 + 0.6 * bateman(time - 2.5) + 0.03 * bateman(time - 25) + 0.3 * bateman(time - 40)
    values = features_of(eda, rate).iloc[0]
    assert values["responses_0.01"] == 3
    assert values["responses_0.05"] == 2
    assert values["amplitude_0.01"] == pytest.approx(np.sqrt(0.93), rel=0.03)
    assert values["amplitude_0.05"] == pytest.approx(np.sqrt(0.9), rel=0.03)
    assert values["first_response"] == pytest.approx(np.sqrt(0.6), rel=0.03)
    assert values["log_rise"] == pytest.approx(np.log(0.6 + 0.01), abs=0.06)
    late = features_of(np.roll(eda, round(5 * rate)), rate).iloc[0]
    assert late["responses_0.05"] == 2
    assert late["first_response"] == 0


@pytest.mark.parametrize("rate", RATES)
def test_level_before_the_onset_is_the_reference_of_change_and_rise(rate):
    time = seconds(30, rate, start=-10)
    eda = np.where(time < -5, 9.0, np.where(time < 0, 2.0, 3.0))  # only the last 5 s count
    values = features_of(eda, rate, context=10.0, method="highpass" if rate > 1 else "median")
    assert values["log_level"][0] == pytest.approx(np.log(3.05))
    assert values["log_change"][0] == pytest.approx(np.log(3.05 / 2.05))
    assert values["log_rise"][0] == pytest.approx(np.log(1.01))
    unknown = features_of(np.where(time < 0, np.nan, eda), rate, context=10, missing="interpolate")
    assert unknown["log_change"][0] == pytest.approx(0, abs=1e-6)


def draw_trials(rate: float, n_trials: int = 40) -> np.ndarray:
    """Draw the same trials of 20 s at any rate: drift, waves below 0.3 Hz and responses."""
    rng = np.random.default_rng(1)
    time, trials = seconds(20, rate), []
    for _ in range(n_trials):
        level, drift = rng.lognormal(1, 0.8), rng.normal(0, 0.02)
        waves = [
            rng.normal(0, 0.03) * np.sin(2 * np.pi * (rng.uniform(0.02, 0.3) * time + rng.random()))
            for _ in range(3)
        ]
        onsets, sizes = rng.uniform(-5, 20, 4), rng.lognormal(-1.5, 0.8, 4)
        pulses = sizes * bateman(time[:, None] - onsets)
        trials.append(level + drift * time + sum(waves) + pulses.sum(axis=1))
    return np.array(trials)


@pytest.mark.parametrize("rate", [50, 1000])
def test_features_do_not_depend_on_the_sampling_rate(rate):
    slow, fast = features_of(draw_trials(4), 4), features_of(draw_trials(rate), rate)
    distance = (slow - fast).abs()
    counts = distance[["responses_0.01", "responses_0.05"]] / 3  # per 20 s
    assert counts.max().max() <= 1 + 1e-6
    others = distance.drop(columns=counts.columns)
    # A response near the limit of 0.005 µS or at 1 or 5 s may be found at one of the rates only.
    assert others.mean().div(slow.std()).max() < 0.05
    assert others.quantile(0.9).div(slow.std()).max() < 0.05


def test_docs_hold_the_difference_of_every_feature_between_rates():
    slow, fast = (features_of(draw_trials(rate, 200), rate) for rate in (4, 50))
    counts = ["responses_0.01", "responses_0.05"]
    assert ((slow - fast)[counts] / 3).abs().max().max() <= 1 + 1e-6
    distance = (slow - fast).abs() / slow.std()
    part = DOCS.read_text().split("**Other rates.**")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("| `eda_")]
    documented = {name.strip(" `"): [float(cell) for cell in cells] for name, *cells in rows}
    assert list(documented) == [f"eda_{name}" for name in distance]
    for name, values in distance.items():
        median, high, largest, n_above = documented[f"eda_{name}"]
        assert values.median() == pytest.approx(median, abs=1e-3)
        assert values.quantile(0.9) == pytest.approx(high, abs=1e-3)
        assert values.max() == pytest.approx(largest, abs=0.02)
        assert (values > 0.05).sum() == n_above
        assert median < 0.005 and high < 0.025 and n_above <= 10


def test_a_factor_shifts_logarithms_of_a_high_level():
    eda = 100 * draw_trials(4, 5)
    once, twice = features_of(eda, 4), features_of(2 * eda, 4)
    for name in ("log_level", "log_level_min", "log_std"):
        assert_allclose(twice[name] - once[name], np.log(2), atol=2e-3)
    for name in ("log_change", "log_level_q1", "relative_slope"):
        assert_allclose(twice[name], once[name], atol=1e-3)


@pytest.mark.parametrize("context", [0.0, 3.0])
@pytest.mark.parametrize(("rate", "n_samples"), [(1, 2), (4, 8), (4, 13), (2000, 4000)])
def test_any_trial_has_finite_features(rate, n_samples, context):
    rng = np.random.default_rng(0)
    shape = n_samples + round(context * rate)
    for scale in (0.0, 1.0, 1e-12, 1e6, -1e6):
        wild = scale * rng.standard_normal((3, shape))
        assert np.isfinite(features_of(wild, rate, context=context)).all(axis=None)


def test_a_trial_has_the_same_features_in_every_batch():
    trials = draw_trials(50, 7)
    together = EDAFeatureExtractor(50, preset="compact", context=2.0).transform(trials)
    for row in range(7):
        # Another constant first, so that the cache of trials does not answer.
        alone = EDAFeatureExtractor(50, preset="compact", context=2.0 + 1e-9 * (row + 1))
        assert_array_equal(alone.transform(trials[[row]])[0], together[row])


@pytest.mark.parametrize("preset", ["edaemo", "level", "compact"])
def test_context_is_no_part_of_the_trial(preset):
    time = seconds(45, 4, start=-15)
    eda = 3 + 0.3 * bateman(time - 8) + 0.02 * np.sin(time)
    spike = np.where((time > -12) & (time < -11), eda + 50, eda)
    options = {"preset": preset, "method": "median"}  # a filter with a short memory
    extractor = EDAFeatureExtractor(4, context=15.0, **options)
    assert_allclose(extractor.transform(spike[None]), extractor.transform(eda[None]), atol=1e-3)
    shape = extractor.transform(eda[None]).shape
    assert shape == EDAFeatureExtractor(4, **options).transform(eda[None, 60:]).shape
    with pytest.raises(ValueError, match=r"2 s after a context of 15 s, which are 68 samples"):
        extractor.transform(eda[None, :67])


def test_docs_name_every_feature():
    part = DOCS.read_text().split('## The features of `preset="compact"`')[1]
    part = part.split("**Other rates.**")[0]
    rows = [line for line in part.splitlines() if line.startswith("| `eda_")]
    names = EDAFeatureExtractor(4, preset="compact").get_feature_names_out().tolist()
    assert [row.split("`")[1] for row in rows] == names
