"""scr_table: responses of trials and to events, against formulas and against NeuroKit2."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq, minimize_scalar
from sklearn.utils import Bunch

from edaemo.decomposition import (
    Components,
    CvxEDA,
    DecompositionMethod,
    register_decomposition,
)
from edaemo.features import scr_table

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data"
RATES = [4, 50, 1000, 2000]
LEVEL, SLOPE = 5.0, 0.02  # µS, µS/s
TOP = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)  # where the slope of bateman is zero


def bateman(since: np.ndarray | float) -> np.ndarray:
    """The shape of one SCR."""
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


HIGH = float(bateman(TOP))
HALF = brentq(lambda since: bateman(since) - HIGH / 2, TOP, 20) - TOP


@register_decomposition("known level of test_scr_table")
@dataclass(frozen=True)
class KnownLevel(DecompositionMethod):
    """Phasic is the recording minus the straight line that the test has added."""

    level: float = LEVEL
    slope: float = SLOPE

    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
        line = self.level + self.slope * np.arange(len(signal)) / sampling_rate
        return Components.from_phasic(signal, signal - line)


def record(pulses: dict[float, float], rate: float, seconds: float = 80.0) -> np.ndarray:
    """A straight line with a pulse of this amplitude (µS) at each onset (s)."""
    time = np.arange(round(seconds * rate)) / rate
    rises = sum(size / HIGH * bateman(time - onset) for onset, size in pulses.items())
    return LEVEL + SLOPE * time + rises


def table_of(eda: np.ndarray, rate: float = 4, **options: object) -> pd.DataFrame:
    return scr_table(eda[None], rate, method=KnownLevel(), **options)


@pytest.mark.parametrize("rate", RATES)
def test_a_trial_has_the_measures_of_its_formula(rate):
    eda = record({10.0: 0.6, 35.0: 0.2, 60.0: 0.1}, rate)
    row = table_of(eda, rate).iloc[0]
    sample = 1 / rate
    assert row["duration"] == 80.0
    assert row["n_responses"] == 3
    assert row["response_rate"] == pytest.approx(3 / (80 / 60))
    assert row["amplitude_sum"] == pytest.approx(0.9, rel=0.2 * sample**2 + 1e-5)
    assert row["amplitude_mean"] == row["magnitude"] == row["amplitude_sum"] / 3
    assert row["latency"] == 10.0
    assert row["rise_time_mean"] == pytest.approx(TOP, abs=sample / 2)
    assert row["half_recovery_time_mean"] == pytest.approx(HALF, abs=sample / 2 + 1e-4)
    assert row["tonic_level"] == pytest.approx(LEVEL + SLOPE * (80 - sample) / 2)
    assert row["tonic_slope"] == pytest.approx(SLOPE)
    assert np.isnan(row["iscr"])  # the method has no driver


@pytest.mark.parametrize("rate", RATES)
def test_events_have_the_measures_of_their_formula(rate):
    eda = record({12.0: 0.6, 33.5: 0.3, 50.5: 0.02}, rate)
    events = table_of(eda, rate, events=[10, 31, 50, 65])
    sample = 1 / rate
    assert events["complete"].all()
    assert events["response"].tolist() == [True, True, False, False]
    assert events["n_responses"].tolist() == [1, 1, 0, 0]
    near = {"rtol": 0.2 * sample**2 + 1e-4}
    assert_allclose(events["first_amplitude"], [0.6, 0.3, np.nan, np.nan], **near)
    assert_allclose(events["magnitude"], [0.6, 0.3, 0, 0], **near)
    assert_allclose(events["first_latency"], [2.0, 2.5, np.nan, np.nan])
    assert_allclose(events["first_rise_time"][:2], TOP, atol=sample / 2)
    assert_allclose(events["first_half_recovery_time"][:2], HALF, atol=sample / 2 + 1e-3)
    # Before each event the recording is the line, up to what is left of earlier pulses.
    before = LEVEL + SLOPE * (events["onset"] - 1 - sample / 2)
    assert_allclose(events["baseline_level"], before, atol=1e-3)
    window = LEVEL + SLOPE * (events["onset"] + 2.5)
    assert_allclose(events["tonic_level"], window)
    assert_allclose(events["tonic_slope"], SLOPE)
    assert_allclose(events["amplitude_sum"], events["magnitude"])
    for name in ("amplitude", "latency", "rise_time", "half_recovery_time"):  # one response each
        assert_allclose(events[f"largest_{name}"], events[f"first_{name}"])
    change = [0.6, 0.3, 0.02 / HIGH * bateman(0.5 + sample / 2), 0.0]
    rise = SLOPE * (np.array([2 + TOP, 2.5 + TOP, 1.0 + TOP, 4.0]) + 1 + sample / 2)
    assert_allclose(events["level_change"][[0, 1, 3]], (change + rise)[[0, 1, 3]], atol=0.02)


def test_first_and_largest_response_may_differ():
    eda = record({12.0: 0.1, 13.75: 0.5}, 50)
    row = table_of(eda, 50, events=[10.0]).iloc[0]
    assert row["n_responses"] == 2
    assert row["first_latency"] == 2.0
    assert row["magnitude"] == row["first_amplitude"] == pytest.approx(0.1, rel=1e-3)
    # The second rises from what is left of the first.
    left = 0.1 / HIGH * bateman(1.75)
    assert row["largest_latency"] == pytest.approx(3.75, abs=0.021)
    assert row["largest_amplitude"] == pytest.approx(0.5, abs=left)
    assert np.isnan(row["first_half_recovery_time"])
    assert row["amplitude_sum"] == row["first_amplitude"] + row["largest_amplitude"]
    assert row["largest_rise_time"] == pytest.approx(TOP, abs=0.1)

    def height(since: float) -> float:  # since the onset of the second
        return (0.1 * bateman(since + 1.75) + 0.5 * bateman(since)) / HIGH

    top = minimize_scalar(lambda since: -height(since), (0.5, TOP, 3)).x
    half = (height(0) + height(top)) / 2
    recovery = brentq(lambda since: height(since) - half, top, 20) - top
    assert row["largest_half_recovery_time"] == pytest.approx(recovery, abs=0.02)


@pytest.mark.parametrize(("latency", "belongs"), [(0.75, 0), (1.0, 1), (4.0, 1), (4.25, 0)])
@pytest.mark.parametrize("onset", [20.0, 20.25, 33.0])
def test_both_ends_of_the_window_belong_to_it(latency, belongs, onset):
    eda = record({onset + latency: 0.3}, 4)
    assert table_of(eda, events=[onset])["n_responses"].tolist() == [belongs]


@pytest.mark.parametrize(("latency", "belongs"), [((0, 1), 0), ((0, 2), 1), ((2, 5), 1)])
def test_the_window_is_the_one_given(latency, belongs):
    eda = record({22.0: 0.3}, 4)
    assert table_of(eda, events=[20], latency=latency)["n_responses"].tolist() == [belongs]


def test_a_window_that_is_not_wholly_recorded_is_missing_and_not_zero():
    eda = record({20.0: 0.3}, 4, seconds=40)
    events = table_of(eda, events=[-1.25, -1.0, 1.0, 2.0, 36.0, 36.25, 400.0])
    complete = [False, True, True, True, True, False, False]
    assert events["complete"].tolist() == complete
    measured = events.columns[list(events.columns).index("complete") + 1 :]
    assert events.loc[~events["complete"], measured].isna().all(axis=None)
    assert events.loc[events["complete"], "magnitude"].tolist() == [0.0] * 4
    assert events.loc[events["complete"], "response"].tolist() == [False] * 4
    # Two seconds before the onset must be recorded, too.
    assert events["baseline_level"].isna().tolist() == [True, True, True, False, False, True, True]
    assert (events["level_change"].isna() == events["baseline_level"].isna()).all()


def test_a_response_whose_peak_is_not_recorded_is_missing_and_not_zero():
    for seconds, complete in ((40.0, False), (42.0, True)):  # it rises from 39 s to 40.1 s
        eda = record({39.0: 0.3}, 4, seconds=seconds)
        events = table_of(eda, events=[20.0, 36.0])
        assert events["complete"].tolist() == [True, complete]
        assert events["magnitude"].isna().tolist() == [False, not complete]
    # A rise that is too small to count does not make the event incomplete.
    slight = table_of(record({39.0: 0.008}, 4, seconds=40), events=[36.0]).iloc[0]
    assert slight["complete"]
    assert slight["magnitude"] == 0.0


def test_trial_without_response_has_magnitude_zero_and_no_amplitude():
    row = table_of(record({}, 4), min_amplitude_us=0.0).iloc[0]
    assert (row["n_responses"], row["amplitude_sum"], row["magnitude"]) == (0, 0.0, 0.0)
    undefined = ["amplitude_mean", "latency", "rise_time_mean", "half_recovery_time_mean"]
    assert row[undefined].isna().all()


@pytest.mark.parametrize("method", ["bandpass", "highpass", "median", "smooth", "cvxeda"])
def test_flat_trial_and_straight_line_have_no_response_by_any_method(method):
    trials = np.stack([np.full(200, 0.7), record({}, 4, seconds=50)])
    table = scr_table(trials, 4, method=method, min_amplitude_us=1e-6)
    assert table["n_responses"].tolist() == [0, 0]
    assert_allclose(table["tonic_level"], [0.7, LEVEL + SLOPE * 49.75 / 2], rtol=1e-6)
    assert_allclose(table["tonic_slope"], [0, SLOPE], atol=1e-6)
    assert table["flat"].tolist() == [True, False]


@pytest.mark.parametrize("method", ["bandpass", "highpass", "smooth"])
@pytest.mark.parametrize("rate", [4, 32, 200])
@pytest.mark.parametrize("slope", [-0.02, 0.0, 0.02])
def test_undershoot_of_a_filter_is_not_a_second_response(method, rate, slope):
    time = np.arange(round(80 * rate)) / rate
    eda = LEVEL + slope * time + 0.6 / HIGH * bateman(time - 20)
    table = scr_table(eda[None], rate, method=method)
    assert table["n_responses"].tolist() == [1]
    # The low-pass of "bandpass" begins to rise before the recording.
    assert table["latency"][0] == pytest.approx(20, abs=1 / rate + 0.1 * (method == "bandpass"))
    assert table["amplitude_sum"][0] == pytest.approx(0.6, rel=0.05)


@pytest.mark.parametrize("rate", [4, 50])
def test_noise_alone_has_no_responses(rate):
    noise = 0.02 * np.random.default_rng(0).standard_normal((20, 180 * rate))
    counts = scr_table(LEVEL + noise, rate)["n_responses"]
    assert (counts == 0).mean() >= 0.8
    assert counts.max() <= 3  # 599 for each at 50 Hz, before the recording had to rise


@pytest.mark.parametrize("taus", [(2.0, 0.7), (4.0, 0.5)])
def test_iscr_is_the_area_under_the_phasic_activity(taus):
    slow, fast = taus
    time = np.arange(600) / 10
    pulses = {8.0: 0.6, 30.0: 0.3}

    def pulse(since: np.ndarray) -> np.ndarray:
        since = np.clip(since, 0, None)
        return np.exp(-since / slow) - np.exp(-since / fast)

    eda = LEVEL + sum(size * pulse(time - onset) for onset, size in pulses.items())
    # The larger penalty of the weights that follow the noise costs a little area.
    for weights, error in (("published", 0.006), ("noise", 0.009)):
        method = CvxEDA(tau0=slow, tau1=fast, weights=weights)
        trial = scr_table(eda[None], 10, method=method)
        assert trial["iscr"][0] == pytest.approx(0.9 * (slow - fast), rel=0.02)
        events = scr_table(eda[None], 10, method=method, events=[6, 28, 50])
        assert_allclose(events["iscr"] / (slow - fast), [0.6, 0.3, 0], atol=error)


def test_amplitudes_follow_the_unit_of_the_recording():
    eda = record({10.0: 0.6, 35.0: 0.2}, 4)
    table = scr_table(np.stack([eda, 1000 * eda]), 4, method="cvxeda", min_amplitude_us=None)
    columns = ["amplitude_sum", "magnitude", "tonic_level", "tonic_slope", "iscr"]
    assert_allclose(1000 * table.loc[0, columns].astype(float), table.loc[1, columns].astype(float))


def test_measures_agree_with_neurokit2_on_its_simulated_recording():
    """Figures of neurokit2 0.3.0, from the recording in tests/data and these lines.

    eda = nk.eda_simulate(duration=80, sampling_rate=25, scr_number=6, noise=0.005, drift=-0.01,
                          random_state=1)  # five decimals are in the file
    signals, info = nk.eda_process(eda, sampling_rate=25)
    epochs = nk.epochs_create(signals, events=[int(25 * onset) for onset in ONSETS],
                              sampling_rate=25, epochs_start=0, epochs_end=7)
    nk.eda_eventrelated(epochs); nk.eda_intervalrelated(signals, sampling_rate=25)
    """
    eda = np.loadtxt(DATA / "simulated_eda.csv")
    onsets = [12.0, 20.0, 25.0, 38.0, 45.0, 51.0, 64.5]
    events = scr_table(eda[None], 25, events=onsets)
    assert events["response"].tolist() == [True, False, True, True, False, True, True]  # EDA_SCR
    seen = events["response"].to_numpy(dtype=bool)
    amplitude = [1.0182194438, 1.0200434454, 1.0275297482, 1.014986353, 1.0161703684]
    assert_allclose(events["first_amplitude"][seen], amplitude, rtol=2e-4)  # SCR_Peak_Amplitude
    assert_allclose(events["first_rise_time"][seen], 0.36)  # SCR_RiseTime
    recovery = np.array([0.56, 0.56, 0.52, 0.52, 0.56])  # SCR_RecoveryTime, of a later sample
    assert_allclose(events["first_half_recovery_time"][seen], recovery - 0.02, atol=0.021)
    onset_samples = np.array([342, 675, 1015, 1346, 1697])  # info["SCR_Onsets"]
    assert_allclose((events["onset"] + events["first_latency"])[seen], onset_samples / 25)
    trial = scr_table(eda[None], 25).iloc[0]
    assert trial["n_responses"] == 6  # SCR_Peaks_N
    assert trial["amplitude_mean"] == pytest.approx(1.0199305306, rel=3e-4)


def test_magnitudes_are_those_of_the_example_in_the_documentation_of_neurokit2():
    """Its page "Event-related Analysis": the largest amplitude 0 to 6 s after each of four images.

    The page prints SCR_Magnitude for the images at these samples of bio_eventrelated_100hz: two
    negative ones with a response, and two neutral ones without.
    """
    file = SHARED / "neurokit_bio" / "data" / "bio_eventrelated_100hz.csv"
    if not file.exists():
        pytest.skip("the recordings of NeuroKit are not beside this checkout")
    eda = pd.read_csv(file)["EDA"].to_numpy()
    onsets = np.array([1024, 4957, 9224, 12984]) / 100
    events = scr_table(eda[None], 100, events=onsets, latency=(0, 6))
    printed = [3.114808, 0.0, 0.0, 1.675922]
    assert_allclose(events["magnitude"], printed, rtol=5e-4)
    assert_allclose(
        events["largest_amplitude"], [printed[0], np.nan, np.nan, printed[3]], rtol=5e-4
    )


def canonical_response(rate: float) -> np.ndarray:
    """The skin conductance response function of PsPM (Bach et al. 2010), with peak 1.

    A Gaussian is convolved with two exponentials; the constants are those of PsPM 6.1.
    """
    time = np.arange(0, 90, 1 / rate)
    gaussian = np.exp(-((time - 3.0745) ** 2) / (2 * 0.7013**2))
    decay = np.exp(-0.3176 * time) + np.exp(-0.0708 * time)
    response = np.convolve(gaussian, decay)[: len(time)]
    return response / response.max()


@pytest.mark.parametrize("rate", [4, 50])
@pytest.mark.parametrize("method", ["bandpass", "cvxeda"])
def test_every_response_of_the_shape_of_pspm_counts_once(method, rate):
    """It is another shape than that of cvxEDA: the decay has time constants of 3 and 14 s."""
    rng = np.random.default_rng(0)
    n_samples, recordings = 180 * rate, []
    for _ in range(5):
        driver = np.zeros(n_samples)
        onsets = 20 * np.arange(8) + rng.uniform(3, 15, 8)
        driver[(onsets * rate).astype(int)] = rng.uniform(0.2, 0.8, 8)
        phasic = np.convolve(driver, canonical_response(rate))[:n_samples]
        drift = 0.1 * np.sin(np.arange(n_samples) / rate / 30)
        recordings.append(5 + drift + phasic + 0.003 * rng.standard_normal(n_samples))
    table = scr_table(np.stack(recordings), rate, method=method)
    assert table["n_responses"].tolist() == [8] * 5


FOUR = {10.0: 0.3, 25.0: 0.5, 40.0: 0.2, 60.0: 0.4}


class TestRepair:
    @pytest.mark.parametrize(
        ("method", "repair"), [("bandpass", "interpolate"), ("cvxeda", "mask")]
    )
    @pytest.mark.parametrize("rate", [4, 50])
    def test_one_spike_of_6_microsiemens_does_not_displace_four_responses(
        self, method, repair, rate
    ):
        eda = record(FOUR, rate)
        spoilt = eda.copy()
        spoilt[round(50 * rate) : round(50.4 * rate)] += 6
        options = {"method": method, "repair": repair}
        whole, row = (scr_table(eda[None], rate, **options).iloc[0] for eda in (eda, spoilt))
        assert row["n_responses"] == whole["n_responses"] == 4
        for name in ("amplitude_sum", "magnitude", "latency", "tonic_level", "rise_time_mean"):
            assert row[name] == pytest.approx(whole[name], rel=0.02), name
        assert row["n_spikes"] == 1
        assert row["repaired_share"] == pytest.approx(0.9 / 80, abs=2 / (80 * rate))
        assert whole["repaired_share"] == 0
        # The spike counts if nothing is repaired, and hides others.
        as_recorded = scr_table(spoilt[None], rate, method=method, repair=None).iloc[0]
        assert abs(as_recorded["amplitude_sum"] - whole["amplitude_sum"]) > 0.2
        assert as_recorded["repaired_share"] == 0

    def test_repaired_samples_are_counted_in_the_window_of_their_event(self):
        eda = record(FOUR, 4)
        eda[132] += 6  # 33 s; a quarter of a second on each side is replaced, too
        events = scr_table(eda[None], 4, events=[30.0, 31.75, 50.0])
        assert_allclose(events["repaired_share"], [3 / 13, 3 / 13, 0])
        eda[136] += 6
        events = scr_table(eda[None], 4, events=[32.25], latency=(0.5, 1.5))
        assert_allclose(events["repaired_share"], [1.0])

    def test_trial_without_sound_samples_is_measured_as_recorded(self):
        eda = record({10.0: 0.6}, 4) - LEVEL - 3.0  # below zero throughout
        row = scr_table(eda[None], 4).iloc[0]
        assert np.isnan(row["repaired_share"])
        assert row["lost_contact_share"] > 0.9
        assert row["amplitude_sum"] == scr_table(eda[None], 4, repair=None)["amplitude_sum"][0]

    def test_a_filter_cannot_mask(self):
        with pytest.raises(ValueError, match="repair='mask' needs method='cvxeda'"):
            scr_table(record({}, 4)[None], 4, repair="mask")


class TestQuality:
    def test_defects_of_a_trial_are_those_of_signal_quality(self):
        eda = record({20.0: 0.3}, 4)
        eda[100], eda[200:220] = np.nan, 0.0
        row = scr_table(eda[None], 4, missing="interpolate").iloc[0]
        assert row["missing_share"] == 1 / 320
        assert row["lost_contact_share"] == 20 / 320
        assert (row["flat"], row["saturated_share"], row["n_spikes"]) == (False, 20 / 320, 2)

    def test_defects_are_counted_in_the_window_of_their_event(self):
        eda = record({}, 4)
        eda[44:46] = np.nan  # 11.0 and 11.25 s
        eda[90:94] = 0.01  # 22.5 to 23.25 s
        eda[132] += 6  # 33 s
        events = table_of(eda, events=[8.0, 10.25, 20.0, 30.0, 50.0], missing="interpolate")
        assert_allclose(events["missing_share"], [2 / 13, 1 / 13, 0, 0, 0])
        assert_allclose(events["lost_contact_share"], [0, 0, 4 / 13, 0, 0])
        assert events["n_spikes"].tolist() == [0, 0, 1, 1, 0]  # down and up within a second
        assert events["flat"].tolist() == [False] * 5  # the line rises by 0.06 µS
        assert (events["saturated_share"] == 0).all()

    def test_a_window_may_be_flat_in_a_trial_that_is_not(self):
        eda = np.round(record({20.0: 0.3}, 4) - SLOPE * np.arange(320) / 4, 3)
        assert table_of(eda, events=[18.0, 50.0])["flat"].tolist() == [False, True]

    def test_missing_samples_are_an_error_interpolated_or_masked(self):
        eda = record({20.0: 0.3, 50.0: 0.3}, 4)
        holed = eda.copy()
        holed[120:124] = np.nan
        with pytest.raises(ValueError, match="row 0: 4 of 320 samples are missing"):
            scr_table(holed[None], 4)
        with pytest.raises(ValueError, match="missing='mask' needs method='cvxeda'"):
            scr_table(holed[None], 4, missing="mask")
        whole = scr_table(eda[None], 4, method="cvxeda").iloc[0]
        for missing in ("interpolate", "mask"):
            row = scr_table(holed[None], 4, method="cvxeda", missing=missing).iloc[0]
            assert row["missing_share"] == 4 / 320
            assert row["amplitude_sum"] == pytest.approx(whole["amplitude_sum"], rel=0.01)
        events = scr_table(
            holed[None], 4, method="cvxeda", missing="mask", events=[28, 29], latency=(2, 2.75)
        )
        assert events["missing_share"].tolist() == [1.0, 0.0]
        assert events["level_change"].isna().tolist() == [True, False]


@pytest.fixture
def trials() -> pd.DataFrame:
    """Two people with two trials each; the response of the n-th trial is at 10 n s."""
    cells = [record({10.0 * trial: 0.1 * trial}, 4, 70 + trial) for trial in range(1, 5)]
    table = pd.DataFrame(
        {"subject": ["a", "a", "b", "b"], "stimulus": ["x", "y", "y", "x"], "trial": [0, 1, 0, 1]},
        index=[7, 5, 3, 1],
    )
    return table.assign(eda=pd.Series(cells, index=table.index))


class TestForms:
    def test_ids_are_columns_in_the_order_of_the_trials(self, trials):
        table = scr_table(trials, 4)
        assert list(table.columns[:3]) == ["subject", "stimulus", "trial"]
        assert table.index.equals(pd.RangeIndex(4))
        for key in ("subject", "stimulus", "trial"):
            assert table[key].tolist() == trials[key].tolist()
        assert table["latency"].tolist() == [10.0, 20.0, 30.0, 40.0]
        study = Bunch(trials=trials, sampling_rate=4)
        pd.testing.assert_frame_equal(scr_table(study), table)
        indexed = trials.set_index(["subject", "trial"]).drop(columns="stimulus")
        assert list(scr_table(indexed, 4).columns[:3]) == ["subject", "trial", "duration"]

    def test_without_ids_trial_is_the_index_or_the_row(self, trials):
        series = trials["eda"]
        assert scr_table(series, 4)["trial"].tolist() == [7, 5, 3, 1]
        array = np.stack([cell[:280] for cell in series])
        assert scr_table(array, 4)["trial"].tolist() == [0, 1, 2, 3]
        events = pd.DataFrame({"trial": [3, 7], "onset": [28, 8]})
        table = scr_table(series, 4, events=events)
        assert table["first_latency"].tolist() == [2.0, 2.0]

    def test_columns_have_one_type_in_every_table(self, trials):
        trial_types = scr_table(trials, 4).dtypes
        assert trial_types[["n_responses", "n_spikes"]].eq("int64").all()
        assert str(trial_types["flat"]) == "bool"
        for onsets in ([20.0], [400.0], [20.0, 400.0]):
            types = scr_table(trials, 4, events=onsets).dtypes.astype(str)
            assert types[["response", "flat"]].eq("boolean").all()
            assert types[["n_responses", "n_spikes"]].eq("Int64").all()
            assert types["complete"] == "bool"
            counts = ["subject", "stimulus", "trial", "event", "n_responses", "n_spikes"]
            others = types.drop([*counts, "response", "flat", "complete"])
            assert others.eq("float64").all()


class TestEvents:
    def test_onsets_of_a_sequence_apply_to_every_trial(self, trials):
        table = scr_table(trials, 4, events=(8, 18.0, 28))
        assert table["subject"].tolist() == list("aaaaaabbbbbb")
        assert table["event"].tolist() == [0, 1, 2] * 4
        assert table["onset"].tolist() == [8.0, 18.0, 28.0] * 4
        responses = table["response"].to_numpy(dtype=bool).reshape(4, 3)
        assert responses.tolist() == [
            [True, False, False],
            [False, True, False],
            [False, False, True],
            [False, False, False],
        ]

    def test_events_of_a_table_keep_their_order_and_names(self, trials):
        events = pd.DataFrame(
            {"trial": [1, 0, 0, 1], "subject": list("bbaa"), "onset": [38.0, 28, 8, 18]},
            index=[9, 9, 2, 1],
        )
        table = scr_table(trials, 4, events=events)
        assert table["subject"].tolist() == list("bbaa")
        assert table["stimulus"].tolist() == ["x", "y", "x", "y"]
        assert table["first_latency"].tolist() == [2.0] * 4
        assert table["event"].tolist() == [0, 0, 0, 0]
        named = scr_table(trials, 4, events=events.assign(event=list("wxyz")))
        assert named["event"].tolist() == list("wxyz")
        twice = scr_table(trials, 4, events=pd.concat([events, events]))
        assert twice["event"].tolist() == [0] * 4 + [1] * 4

    def test_fewer_ids_are_enough_if_they_identify_the_trial(self, trials):
        some = trials.iloc[:2]
        events = pd.DataFrame({"stimulus": ["y"], "onset": [18.0]})
        assert scr_table(some, 4, events=events)["trial"].tolist() == [1]
        one = scr_table(trials.iloc[:1], 4, events=pd.DataFrame({"onset": [8.0, 20]}))
        assert one["response"].tolist() == [True, False]

    @pytest.mark.parametrize(
        ("events", "message"),
        [
            ({"subject": ["a"]}, r"events has no column 'onset'.*\['subject'\]"),
            ({"subject": ["b"], "onset": [1.0]}, r"row 0 \(subject b\): 2 trials.*stimulus or tri"),
            ({"onset": [1.0]}, r"row 0: 4 trials have these ids: add subject or stimulus or trial"),
            (
                {"subject": ["a", "c"], "trial": [0, 0], "onset": [1.0, 2]},
                r"events, row 1 \(subject c, trial 0\): no trial has these ids",
            ),
            ({"subject": ["a"], "trial": ["0"], "onset": [1.0]}, "'1' are different ids"),
            (
                {"subject": ["a", "a"], "trial": [0, 1], "onset": [1.0, np.nan]},
                "events, row 1: the onset is nan",
            ),
            ({"subject": ["a"], "trial": [0], "onset": ["1.0"]}, "holds text"),
            ({"subject": [], "trial": [], "onset": []}, "at least one row"),
        ],
    )
    def test_events_that_do_not_belong_to_one_trial_are_errors(self, trials, events, message):
        with pytest.raises(ValueError, match=message):
            scr_table(trials, 4, events=pd.DataFrame(events))

    def test_ids_that_the_trials_lack_are_an_error(self, trials):
        events = pd.DataFrame({"subject": ["a"], "trial": [7], "onset": [1.0]})
        with pytest.raises(ValueError, match=r"ids of the subject, but .* only \['trial'\]"):
            scr_table(trials["eda"], 4, events=events)

    @pytest.mark.parametrize(
        ("events", "message"),
        [
            ([], "at least one onset"),
            ([[1.0, 2.0]], r"shape \(1, 2\)"),
            ([1.0, np.inf], "events, row 1: the onset is inf"),
            (["1.0"], "events holds text"),
            ([True], "events holds booleans"),
        ],
    )
    def test_onsets_that_are_not_numbers_are_errors(self, trials, events, message):
        with pytest.raises(ValueError, match=message):
            scr_table(trials, 4, events=events)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": (4.0, 1.0)}, r"latency must be \(earliest, latest\) in seconds"),
        ({"latency": (-1.0, 4.0)}, "from 0 on"),
        ({"latency": (1.0,)}, "latency must be"),
        ({"latency": (1.0, np.nan)}, "latency must be"),
        ({"latency": (1.0, 1.2)}, "latency covers 0.2 s, less than one sample"),
        ({"baseline": 0.1}, "baseline covers 0.1 s, less than one sample"),
        ({"baseline": 0.0}, "The 'baseline' parameter"),
        ({"min_amplitude": 2.0}, "The 'min_amplitude' parameter"),
        ({"min_amplitude_us": -0.1}, "The 'min_amplitude_us' parameter"),
        ({"method": "bandpas"}, "did you mean 'bandpass'"),
        ({"missing": "drop"}, "The 'missing' parameter"),
    ],
)
def test_settings_out_of_range_are_errors(trials, options, message):
    with pytest.raises(ValueError, match=message):
        scr_table(trials, 4, events=[10.0], **options)


def test_input_that_is_not_usable_names_the_trial(trials):
    with pytest.raises(ValueError, match="sampling_rate is missing"):
        scr_table(trials)
    short = trials.copy()
    short["eda"] = pd.Series([*trials["eda"][:3], np.array([1.0])], index=trials.index)
    with pytest.raises(ValueError, match=r"row 3 \(subject b, stimulus x, trial 1\): only 1 of 1"):
        scr_table(short, 4)
