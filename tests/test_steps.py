"""Signals, music and labels of different rates on one clock."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edaemo import load, save
from edaemo.fusion import StepAligner

RATE, LABEL_RATE = 8.0, 2.0


def make_trials(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lengths = (80, 121)
    table = pd.DataFrame(
        {"subject": ["a", "b"], "stimulus": ["s", "t"], "trial": 0, "n_steps": [20, 31]}
    )
    table["eda"] = pd.Series([rng.normal(size=length).cumsum() for length in lengths])
    table["eye"] = pd.Series([rng.normal(size=(2, length)) for length in lengths])
    return table


def samples(values: np.ndarray, rate: float, start: float, stop: float) -> np.ndarray:
    """Return the samples in (start, stop], one by one."""
    return np.array([v for i, v in enumerate(values) if start < i / rate <= stop])


@pytest.mark.parametrize(("first", "delay"), [(0.0, 0.0), (1.5, 0.0), (0.0, 2.25), (2.0, 1.25)])
def test_windows_end_at_the_time_that_a_label_describes(first, delay):
    trials = make_trials()
    aligner = StepAligner(
        LABEL_RATE,
        sampling_rate=RATE,
        first_label=first,
        delay=delay,
        windows=(0.5, 3.0),
        statistics=("mean", "sd", "slope"),
        scale_trials=False,
    )
    found = aligner.fit_transform(trials)
    for row, n_steps in enumerate(trials["n_steps"]):
        eda = trials["eda"][row]
        assert found["eda"][row].shape == (n_steps, 6)
        for step in range(n_steps):
            end = first + step / LABEL_RATE - delay
            for place, length in ((0, 0.5), (3, 3.0)):
                inside = samples(eda, RATE, end - length, end)
                mean, sd, slope = found["eda"][row][step, place : place + 3]
                if not len(inside):
                    nearest = eda[0] if end < 0 else eda[-1]
                    assert_allclose([mean, sd, slope], [nearest, 0, 0], rtol=1e-5)
                    continue
                assert_allclose(mean, inside.mean(), rtol=1e-4, atol=1e-4)
                assert_allclose(sd, inside.std(), atol=1e-4)
                expected = 0.0
                if len(inside) > 1:
                    expected = np.polyfit(np.arange(len(inside)) / RATE, inside, 1)[0]
                assert_allclose(slope, expected, rtol=1e-3, atol=1e-3)


def test_delay_shifts_the_features_by_its_seconds():
    trials = make_trials()
    settings = {"sampling_rate": RATE, "scale_trials": False}
    plain = StepAligner(LABEL_RATE, **settings).fit_transform(trials)
    later = StepAligner(LABEL_RATE, delay=3.0, **settings).fit_transform(trials)
    for row in (0, 1):
        assert_array_equal(later["eda"][row][6:], plain["eda"][row][:-6])


def test_no_sample_after_the_step_is_used():
    trials = make_trials()
    aligner = StepAligner(LABEL_RATE, sampling_rate=RATE, scale_trials=False)
    before = aligner.fit_transform(trials)["eda"][0]
    trials["eda"][0][41:] = 1000  # after 5 s
    after = aligner.transform(trials)["eda"][0]
    assert_array_equal(after[:11], before[:11])
    assert (after[11:] != before[11:]).all()


def test_slow_signals_are_interpolated_and_missing_samples_are_left_out():
    trials = make_trials().iloc[:1].assign(n_steps=9)
    trials["eda"] = pd.Series([np.array([0.0, 10.0, np.nan, 30.0])])
    aligner = StepAligner(LABEL_RATE, sampling_rate=1.0, scale_trials=False)
    found = aligner.fit_transform(trials)["eda"][0][:, 0]
    # At 0.5 s a window of 0.5 s holds no sample; after 3 s the last sample is held.
    assert_allclose(found, [0, 5, 10, 15, 20, 25, 30, 30, 30])


def test_channels_are_z_scored_over_the_trial():
    trials = make_trials()
    aligner = StepAligner(RATE, sampling_rate=RATE, signals=("eye",))
    found = aligner.fit_transform(trials.drop(columns="n_steps"))
    assert aligner.n_channels_ == {"eye": 2}
    for row in (0, 1):
        eye = trials["eye"][row]
        expected = (eye - eye.mean(axis=1, keepdims=True)) / eye.std(axis=1, keepdims=True)
        assert_allclose(found["eye"][row], expected.T, rtol=1e-4, atol=1e-5)
    assert "eda" not in found


def test_music_is_that_of_the_stimulus(tmp_path):
    trials = make_trials()
    index = pd.MultiIndex.from_product([["t", "s"], [2.0, 0.0, 1.0]], names=["stimulus", "time"])
    music = pd.DataFrame({"loud": [2.0, 0, 1, 12, 10, 11]}, index=index)
    aligner = StepAligner(1.0, sampling_rate=RATE, music=music)
    aligner.fit(trials.assign(n_steps=4))
    found = aligner.transform(trials.assign(n_steps=4))
    assert found["music"][0].ravel().tolist() == [10, 11, 12, 12]
    assert found["music"][1].ravel().tolist() == [0, 1, 2, 2]
    save(aligner, tmp_path / "m")
    again = load(tmp_path / "m").transform(trials.assign(n_steps=4))
    assert_array_equal(again["music"][0], found["music"][0])
    trials.loc[1, "stimulus"] = "u"
    with pytest.raises(ValueError, match=r"stimulus u.*has no frame in music"):
        aligner.transform(trials)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistics": ("median",)}, "statistics must be some of"),
        ({"windows": (0.0,)}, "windows must be positive"),
        ({"signals": ("eeg",)}, "no column 'eeg'"),
        ({"signals": ()}, "signals is empty"),
        ({"music": pd.DataFrame({"a": [1.0]})}, "levels stimulus and time"),
        ({"sampling_rate": {"eye": 8.0}}, "no rate of the signal 'eda'"),
        ({"label_rate": 0}, "label_rate"),
        ({"delay": -1.0}, "delay"),
    ],
)
def test_parameters_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        StepAligner(**{"label_rate": 2.0, **options}).fit_transform(make_trials())


def test_trials_that_make_no_sense():
    trials = make_trials()
    aligner = StepAligner(2.0, sampling_rate=RATE).fit(trials)
    with pytest.raises(ValueError, match=r"row 1 .*eda has 2 channels, but 1 in fit"):
        aligner.transform(trials.assign(eda=[trials["eda"][0], trials["eye"][1]]))
    with pytest.raises(ValueError, match=r"row 0 .*a channel without a finite sample"):
        aligner.transform(trials.assign(eda=trials["eda"].map(lambda cell: cell * np.nan)))
    late = StepAligner(2.0, sampling_rate=RATE, first_label=12.0)
    with pytest.raises(ValueError, match=r"row 0 .*ends before its first label"):
        late.fit_transform(trials.drop(columns="n_steps"))


def test_missing_values_of_music():
    trials = make_trials().iloc[:1].assign(n_steps=3, stimulus="s")
    index = pd.MultiIndex.from_product([["s"], [0.0, 1.0, 2.0]], names=["stimulus", "time"])
    music = pd.DataFrame({"loud": [4.0, np.inf, 8.0], "key": [1.0, 2.0, 3.0]}, index=index)
    aligner = StepAligner(1.0, sampling_rate=RATE, music=music).fit(trials)
    # Interpolated at 1 s between its neighbours.
    assert aligner.transform(trials)["music"].iloc[0].tolist() == [[4, 1], [6, 2], [8, 3]]
    music["key"] = np.nan
    with pytest.raises(ValueError, match="no finite value of 'key' for the stimulus 's'"):
        StepAligner(1.0, sampling_rate=RATE, music=music).fit_transform(trials)
