"""scr_events: the SCRs of one phasic waveform."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from edaemo.decomposition._events import find_responses, scr_events

DTYPES = {
    "onset": "float64",
    "peak": "float64",
    "amplitude": "float64",
    "rise_time": "float64",
    "half_recovery_time": "float64",
    "onset_sample": "int64",
    "peak_sample": "int64",
}
TOP = np.log(2 / 0.7) / (1 / 0.7 - 1 / 2)  # where the slope of bateman is zero


def bateman(since: np.ndarray | float) -> np.ndarray:
    """The shape of one SCR."""
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


HALF = brentq(lambda since: bateman(since) - bateman(TOP) / 2, TOP, 20) - TOP


@pytest.mark.parametrize("sampling_rate", [2, 4, 50, 1000])
def test_pulses_have_the_times_and_amplitudes_of_their_formula(sampling_rate):
    onsets, sizes = np.array([5.0, 65.0, 125.0]), np.array([0.6, 2.0, 1.1])
    time = np.arange(150 * sampling_rate) / sampling_rate
    phasic = sum(size * bateman(time - on) for on, size in zip(onsets, sizes, strict=True))
    events = scr_events(phasic, sampling_rate)
    sample = 1 / sampling_rate
    np.testing.assert_allclose(events["onset"], onsets, atol=1e-9)
    np.testing.assert_allclose(events["peak"], onsets + TOP, atol=sample / 2)
    np.testing.assert_allclose(events["rise_time"], TOP, atol=sample / 2)
    np.testing.assert_allclose(events["amplitude"], sizes * bateman(TOP), rtol=0.2 * sample**2)
    # from the sample that is the peak, whose height is a little less than the formula's
    exact = onsets + TOP + HALF - events["peak"]
    np.testing.assert_allclose(events["half_recovery_time"], exact, atol=0.3 * sample**2 + 1e-6)


def test_triangle_crosses_its_half_between_two_samples():
    # Up by 1 a sample from 2 to 8, down by 0.75 to -1: half of the rise is 5, 4 steps down.
    phasic = np.r_[2, 2, np.arange(3, 9), 8 - 0.75 * np.arange(1, 13)]
    events = scr_events(phasic, 4)
    expected = [[0.25, 1.75, 6, 1.5, 1, 1, 7]]
    assert events.to_numpy().tolist() == expected
    down = np.r_[2, 2, np.arange(3, 9), 7, 5.5, 4.5, 3]  # 5 lies halfway from 5.5 to 4.5
    assert scr_events(down, 4)["half_recovery_time"].tolist() == [2.5 / 4]


@pytest.mark.parametrize(
    ("phasic", "samples"),
    [
        ([0, 0, 4, 3, 2, 1, 0], [2]),  # on a sample
        ([0, 0, 4, 3, 2], [2]),  # on the last sample
        ([0, 0, 4, 3, 2.5, 2.1], [np.nan]),  # not within the trial
        ([0, 0, 4, 3, 2, 4, 1, 0], [2, 4 / 3 - 1]),  # just by the next onset; 3 on the way to 1
        ([0, 0, 4, 3, 2.1, 4, 0, 0], [np.nan, (4 - 3.05) / 4]),  # not before the next onset
        ([0, 0, 4, 3, 3, 1, 0], [2.5]),  # level on the way down
        ([0, 0, 4, 4, 2, 0], [2]),  # counted from the first sample of a level top
        ([0, 0, 40, 30, 28, 29, 15, 10], [3 + 9 / 14]),  # a rise too small to count ends nothing
        ([0, 0, 4, 1, 3, 0.5, 0], [2 / 3, (3 - 2) / 2.5]),  # the first crossing of more than one
        ([0, 0, 40, 19, 22, 10, 0], [20 / 21]),  # the same where the second rise does not count
    ],
)
def test_half_recovery_is_the_first_crossing_before_the_next_onset(phasic, samples):
    np.testing.assert_allclose(scr_events(phasic, 2)["half_recovery_time"] * 2, samples)


def test_events_are_those_neurokit2_finds():
    time = np.arange(400) / 10
    pulses = ((2.33, 0.4), (9.07, 1.2), (17.4, 0.03), (22.85, 0.7), (25.1, 0.5), (33.2, 0.9))
    phasic = sum(size * bateman(time - onset) for onset, size in pulses) - 0.002 * time
    events = scr_events(phasic, 10)
    # neurokit2 0.2.13: eda_peaks(phasic, 10); the third pulse is too small in both
    assert events["onset_sample"].tolist() == [23, 90, 228, 251, 332]
    assert events["peak_sample"].tolist() == [34, 102, 240, 259, 343]
    amplitude = [0.145329626, 0.4343891354, 0.2546245434, 0.1180007499, 0.3247174716]
    np.testing.assert_allclose(events["amplitude"], amplitude, atol=1e-9)
    np.testing.assert_allclose(events["rise_time"], [1.1, 1.2, 1.2, 0.8, 1.1])
    later = np.array([2.1, 2.1, np.nan, 1.0, 2.1]) - events["half_recovery_time"]
    assert np.isnan(later[2])  # cut off by the fourth
    rest = later.drop(index=2)
    assert ((rest >= 0) & (rest < 0.1)).all()  # theirs is the sample after the crossing


def test_min_amplitude_is_a_share_of_the_largest():
    phasic = [0, 0, 10, 0, 1, 0, 5, 0]
    peaks = {share: list(scr_events(phasic, 1, min_amplitude=share)["peak"]) for share in (0, 1)}
    assert peaks == {0: [2, 4, 6], 1: [2]}
    assert list(scr_events(phasic, 1)["peak"]) == [2, 4, 6]  # just a tenth
    assert list(scr_events(phasic, 1, min_amplitude=0.11)["peak"]) == [2, 6]
    assert list(scr_events(phasic, 1, min_amplitude=0.5)["peak"]) == [2, 6]


@pytest.mark.parametrize("rounding", [1e-16, 1e-15, 1e-12, 1e-10])
@pytest.mark.parametrize("seed", range(5))
def test_rounding_before_a_response_does_not_hide_it(rounding, seed):
    """A rise of rounding errors from the first sample on would be joined with the first SCR."""
    phasic = bateman(np.arange(200) / 10 - 3) + bateman(np.arange(200) / 10 - 11)
    expected = scr_events(phasic, 10)
    assert expected["onset"].tolist() == [3.0, 11.0]
    errors = np.cumsum(np.random.default_rng(seed).uniform(0, rounding, 30))
    phasic[:30] = errors - errors[-1]
    events = scr_events(phasic, 10)
    assert events["onset_sample"].tolist() == expected["onset_sample"].tolist()
    np.testing.assert_allclose(events["amplitude"], expected["amplitude"], rtol=1e-8)


def test_an_amplitude_below_the_least_in_microsiemens_does_not_count():
    phasic = np.array([0, 0, 0.012, 0, 0.009, 0, 0.02, 0])
    assert list(scr_events(phasic, 1)["peak"]) == [2, 6]
    assert list(scr_events(phasic, 1, min_amplitude_us=0.015)["peak"]) == [6]
    assert list(scr_events(phasic, 1, min_amplitude_us=None)["peak"]) == [2, 4, 6]
    assert list(scr_events(phasic, 1, min_amplitude_us=0, min_amplitude=0.5)["peak"]) == [2, 6]


def test_noise_of_a_nanosiemens_is_not_a_response():
    noise = np.random.default_rng(0).normal(0, 0.001, 400)
    assert scr_events(noise, 4).empty
    assert len(scr_events(noise, 4, min_amplitude_us=None)) > 50


@pytest.mark.parametrize("amplitude", [-0.01, np.nan, np.inf, True, "0.01"])
def test_least_amplitude_out_of_range_is_refused(amplitude):
    with pytest.raises(ValueError, match="min_amplitude_us must be 0 or a positive number"):
        scr_events([0, 0, 1, 0], 4, min_amplitude_us=amplitude)


def test_rounding_is_no_response_even_where_every_share_counts():
    assert scr_events([5, 2, 2 + 1e-12, 2, 1, 0], 4, min_amplitude=0).empty


@pytest.mark.parametrize(
    "phasic",
    [
        [1.0],
        [1.0, 2.0],
        [0.0, 1.0, 0.0],  # the onset would be the first sample
        np.zeros(100),
        np.full(100, 3.3),
        np.arange(100),
        -np.arange(100),
        np.exp(-np.arange(100) / 20),
        [0, 0, 1, 2],  # not over at the end
    ],
)
def test_without_a_response_the_frame_is_empty_with_the_same_columns_and_dtypes(phasic):
    events = scr_events(phasic, 4)
    assert len(events) == 0
    assert events.dtypes.astype(str).to_dict() == DTYPES
    some = scr_events([0, 0, 1, 0], 4)
    assert len(some) == 1
    assert some.dtypes.astype(str).to_dict() == DTYPES
    assert list(events.columns) == list(some.columns) == list(DTYPES)
    assert len(pd.concat([events, some])) == 1


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_events_are_ordered_and_lie_within_the_waveform(decimals):
    rng = np.random.default_rng(decimals)
    for _ in range(50):
        phasic = np.round(np.cumsum(rng.normal(size=60)), decimals)  # with level stretches
        events = scr_events(phasic, 4, min_amplitude=0)
        onset, peak = events["onset_sample"].to_numpy(), events["peak_sample"].to_numpy()
        assert (onset >= 1).all()
        assert (peak <= 58).all()
        assert (onset < peak).all()
        assert (peak[:-1] <= onset[1:]).all()
        half = phasic[onset] + (phasic[peak] - phasic[onset]) / 2
        at = peak + events["half_recovery_time"].to_numpy() * 4
        end = np.append(onset, 59)[1:]
        never = np.isnan(at)
        for i in np.flatnonzero(never):
            assert phasic[peak[i] : end[i] + 1].min() > half[i]
        assert (at[~never] <= end[~never]).all()
        np.testing.assert_allclose(
            np.interp(at[~never], np.arange(60), phasic), half[~never], atol=1e-12
        )


def test_shared_core_finds_in_a_batch_what_it_finds_in_each_waveform():
    batch = np.cumsum(np.random.default_rng(0).normal(size=(20, 100)), axis=1)
    batch[3] = 0
    found = find_responses(batch)
    for row, phasic in enumerate(batch):
        events = scr_events(phasic, 4)
        assert found.onset[found.trial == row].tolist() == events["onset_sample"].tolist()
        assert found.peak[found.trial == row].tolist() == events["peak_sample"].tolist()
        assert found.amplitude[found.trial == row].tolist() == events["amplitude"].tolist()
    counts = [len(scr_events(phasic, 4)) for phasic in batch]
    assert found.count().tolist() == counts
    assert found.count()[3] == 0
    assert found.total(found.amplitude)[3] == 0


@pytest.mark.parametrize("as_type", [list, pd.Series, np.float32, np.int16, np.float16])
def test_any_real_numbers_make_a_waveform(as_type):
    phasic = [0, 0, 1, 2, 4, 3, 1, 0, 0]
    given = as_type(phasic) if as_type in (list, pd.Series) else np.array(phasic, dtype=as_type)
    pd.testing.assert_frame_equal(scr_events(given, 4), scr_events(np.array(phasic, float), 4))


def test_waveform_is_left_as_it_was():
    phasic = np.array([0, 0, 1, 2, 4, 3, 1, 0.0])
    phasic.setflags(write=False)
    scr_events(phasic, 4)


@pytest.mark.parametrize(
    ("phasic", "said"),
    [
        ([0, 1, np.nan, 0, np.inf], r"2 NaN or infinite samples.* of 5, the first at index 2"),
        ([0, 1, -np.inf], "index 2"),
        ([0, 1e39, 0], "beyond float32.* index 1"),
        (np.ma.masked_equal([0, 1, 2, 0], 2), "masked"),
        ([], "no samples"),
        (np.zeros((2, 50)), r"1-D array, got shape \(2, 50\)"),
        (3.0, r"shape \(\)"),
        (["0", "1"], "real numbers, got dtype <U1"),
        ([True, False], "real numbers, got dtype bool"),
        ([1j, 0], "real numbers, got dtype complex128"),
        ([None, 1.0], "real numbers, got dtype object"),
    ],
)
def test_what_is_no_waveform_is_refused(phasic, said):
    with pytest.raises(ValueError, match=said):
        scr_events(phasic, 4)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan, True, "0.1", None])
def test_min_amplitude_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="min_amplitude must be a share"):
        scr_events([0, 0, 1, 0], 4, min_amplitude=share)


@pytest.mark.parametrize("rate", [0, -4, np.nan, np.inf, "4", None, True])
def test_sampling_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="sampling_rate must be a positive number"):
        scr_events([0, 0, 1, 0], rate)


@pytest.mark.parametrize(("steps", "n_events"), [(1, 0), (2, 3), (3, 3)])
@pytest.mark.parametrize("ramp", [False, True])
def test_rises_by_one_step_of_the_recorder_are_its_noise(steps, n_events, ramp):
    # 400 samples: 2 σ √(ln 400) with σ = step/√12 is 1.41 steps.
    blips = np.zeros(400)
    for start in (100, 200, 300):
        blips[start : start + 8] = steps
    level = (np.arange(400) + 10) // 40 if ramp else np.arange(400) >= 350  # rises step by step
    recording = 0.5 * (blips + level)
    events = scr_events(0.5 * blips, 4, min_amplitude_us=None, recording=recording)
    assert len(events) == n_events
    assert len(scr_events(0.5 * blips, 4, min_amplitude_us=None)) == 3


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_what_the_recording_does_not_show_is_left_out(scale):
    time = np.arange(320) / 4
    true, false = bateman(time - 10), bateman(time - 40)
    phasic = scale * (true + false)
    recording = scale * (5 + 0.05 * time + true)
    options = {"min_amplitude_us": 0.01 * scale}
    events = scr_events(phasic, 4, recording=recording, **options)
    assert events["onset"].tolist() == [10.0]
    holed = recording.copy()
    holed[[40, 200]] = np.nan  # at the onset, and far from it
    assert scr_events(phasic, 4, recording=holed, **options)["onset"].tolist() == [10.0]


@pytest.mark.parametrize(
    ("recording", "message"),
    [(np.ones(5), "shape of phasic"), (np.full(4, np.nan), "0 finite samples")],
)
def test_a_recording_of_another_shape_or_without_samples_is_refused(recording, message):
    with pytest.raises(ValueError, match=message):
        scr_events([0, 0, 1, 0], 4, recording=recording)


def test_the_module_takes_neither_pandas_nor_scikit_learn_before_it_is_called():
    code = (
        "import sys\nfrom edaemo.decomposition import _events\n"
        "print(sorted({'pandas', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
