"""CvxEDATransformer."""

import numpy as np
import pandas as pd
import pytest
from joblib import Memory
from scipy.stats import zscore

from edaemo import CvxEDATransformer
from edaemo.decomposition import DecompositionError, decompose
from edaemo.decomposition import _cvxeda as solving
from edaemo.preprocessing import SignalQualityWarning
from edaemo.preprocessing import _decomposed as module


def make_eda(n: int = 4, n_samples: int = 100, seed: int = 0) -> np.ndarray:
    """Slowly wandering signals with responses, in microsiemens."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples) / 4
    level = 2 + 0.02 * np.cumsum(rng.normal(size=(n, n_samples)), axis=1)
    for row in level:
        for onset in rng.uniform(0, time[-1], size=4):
            since = np.clip(time - onset, 0, None)
            row += 0.5 * (np.exp(-since / 2) - np.exp(-since / 0.7))
    return level


def make_table(signals: np.ndarray) -> pd.DataFrame:
    n = len(signals)
    return pd.DataFrame(
        {
            "subject": [f"p{i // 2}" for i in range(n)],
            "stimulus": ["song"] * n,
            "trial": range(n),
            "eda": pd.Series(list(signals), dtype=object),
        }
    )


def test_steps_come_in_the_order_of_the_paper():
    signal = make_eda(1)[0]
    z = zscore(signal)
    parts = decompose(z, 4.0)
    place = np.linspace(0, 87, 120)  # 100 samples less the 12 of the first three seconds
    expected = np.stack(
        [np.interp(place, np.arange(88), zscore(c)[12:]) for c in (z, parts.phasic, parts.tonic)]
    )
    given = CvxEDATransformer(sampling_rate=4, n_times=120).fit_transform(signal[None])
    np.testing.assert_allclose(given.reshape(3, 120), expected, rtol=1e-5, atol=1e-5)


def test_each_step_is_a_parameter():
    signal = make_eda(1)[0]
    plain = CvxEDATransformer(
        sampling_rate=4,
        components=("original", "phasic", "tonic", "residual", "driver"),
        standardize_input=False,
        standardize_output=False,
        trim_seconds=0,
        tau0=3.0,
        tau1=0.5,
        delta_knot=5.0,
        alpha=1e-3,
        gamma=1e-1,
        weights="published",
    )
    constants = {"tau0": 3.0, "tau1": 0.5, "delta_knot": 5.0}
    parts = decompose(signal, 4.0, alpha=1e-3, gamma=1e-1, weights="published", **constants)
    given = plain.fit_transform(signal[None]).reshape(5, 100)
    expected = [signal, parts.phasic, parts.tonic, parts.residual, parts.driver]
    np.testing.assert_allclose(given, np.stack(expected), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sampling_rate", [4, 50, 128])
def test_works_at_the_rate_of_a_wristband_as_at_that_of_a_laboratory(sampling_rate):
    n = 20 * sampling_rate
    slow = make_eda(2, 80)
    signals = [np.interp(np.linspace(0, 79, n), np.arange(80), row) for row in slow]
    given = CvxEDATransformer(sampling_rate=sampling_rate, n_times=32).fit(np.stack(signals))
    assert (given.diagnostics_["status"] == "optimal").all()
    assert given.transform(np.stack(signals)).shape == (2, 96)


def test_table_in_table_out_with_cells_of_channels():
    table = make_table(make_eda()).assign(session_time=[1.0, 2.0, 3.0, 4.0])
    table.index = [9, 7, 5, 3]
    given = CvxEDATransformer(sampling_rate=4, n_times=30).fit_transform(table)
    assert list(given.index) == [9, 7, 5, 3]
    assert given["session_time"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert {cell.shape for cell in given["eda"]} == {(3, 30)}
    assert {cell.dtype for cell in given["eda"]} == {np.dtype("f4")}
    assert set(given["channels"]) == {"original|phasic|tonic"}
    assert table["eda"].iloc[0].shape == (100,)  # the table that came in is left alone


def test_series_object_array_frame_and_array_give_the_same_numbers():
    signals = make_eda()
    cells = np.empty(4, dtype=object)
    cells[:] = list(signals)
    series = pd.Series(list(signals), dtype=object)
    forms = [cells, cells[:, None], series, series.to_frame("eda"), series.to_frame("signal")]
    transformer = CvxEDATransformer(sampling_rate=4, n_times=30)
    expected = transformer.fit_transform(signals)
    assert expected.shape == (4, 90)
    for form in forms:
        given = transformer.fit_transform(form)
        np.testing.assert_array_equal(np.asarray(given), expected)
    assert list(transformer.fit_transform(series.to_frame("eda")).columns) == list(
        transformer.fit(signals).get_feature_names_out()
    )


def test_unequal_lengths_are_brought_to_n_times():
    cells = pd.Series([make_eda(1, 100)[0], make_eda(1, 140)[0]], dtype=object)
    stretch = CvxEDATransformer(sampling_rate=4, n_times=30, lengths="stretch")
    assert stretch.fit_transform(cells).shape == (2, 90)
    alone = CvxEDATransformer(sampling_rate=4, n_times=30)
    for row in (0, 1):
        expected = alone.fit_transform(cells.iloc[[row]])[0]
        np.testing.assert_array_equal(stretch.fit_transform(cells)[row], expected)
    with pytest.raises(ValueError, match=r"row 1: the trials differ in length.*n_times"):
        CvxEDATransformer(sampling_rate=4).fit_transform(cells.rename("x").iloc[[0, 1]])


def wave(seconds: float, rate: float, hum: float = 0.0) -> np.ndarray:
    """EDA of slow waves, and hum of 50 Hz with this amplitude."""
    time = np.arange(round(seconds * rate)) / rate
    slow = 2 + 0.3 * np.sin(time / 2) + 0.2 * np.cos(time / 3.3) + 0.01 * time
    return slow + hum * np.sin(2 * np.pi * 50 * time + 0.4)


@pytest.mark.parametrize("hum", [0.02, 0.1, 0.3])
def test_hum_does_not_appear_in_fewer_samples(hum):
    transformer = CvxEDATransformer(sampling_rate=128, n_times=88)
    clean = transformer.fit_transform(wave(25, 128)[None]).reshape(3, 88)
    given = transformer.fit_transform(wave(25, 128, hum)[None]).reshape(3, 88)
    for channel in range(3):
        assert np.corrcoef(clean[channel], given[channel])[0, 1] >= 0.99
    assert np.corrcoef(clean[0], given[0])[0, 1] >= 0.9999


@pytest.mark.parametrize("rate", [8, 50, 128, 1000])
def test_slow_waves_have_the_same_samples_at_every_rate(rate):
    settings = {"components": ("original",), "n_times": 88, "standardize_output": False}
    settings |= {"standardize_input": False, "method": "highpass"}
    given = CvxEDATransformer(sampling_rate=rate, **settings).fit_transform(wave(25, rate)[None])
    time = np.linspace(3, 25 - 1 / rate, 88)
    expected = 2 + 0.3 * np.sin(time / 2) + 0.2 * np.cos(time / 3.3) + 0.01 * time
    np.testing.assert_allclose(given[0], expected, atol=0.01)
    np.testing.assert_allclose(given[0, 5:-5], expected[5:-5], atol=1e-3)


class TestLengths:
    LONG = wave(35, 4)

    def cells(self, *n_samples: int) -> pd.Series:
        return pd.Series([self.LONG[:n] for n in n_samples], dtype=object)

    def test_lengths_that_differ_by_more_than_a_twentieth_are_an_error_that_states_them(self):
        transformer = CvxEDATransformer(sampling_rate=4, n_times=30)
        assert transformer.fit_transform(self.cells(100, 95)).shape == (2, 90)
        with pytest.raises(ValueError, match=r"row 1: 94 samples \(23.5 s\).*94 to 100 samples"):
            transformer.fit(self.cells(100, 94))
        with pytest.raises(ValueError, match=r"lengths='crop', 'pad' or 'stretch'"):
            transformer.fit(self.cells(100, 94))
        transformer.fit(self.cells(100, 97))
        assert transformer.transform(self.cells(102, 98)).shape == (2, 90)
        with pytest.raises(ValueError, match=r"row 1: 103 samples.*those of fit included, have 97"):
            transformer.transform(self.cells(100, 103))
        table = CvxEDATransformer(sampling_rate=4).fit_transform(
            make_table([self.LONG[:100], self.LONG])
        )
        assert [cell.shape for cell in table["eda"]] == [(3, 88), (3, 128)]  # nothing is stretched

    @pytest.mark.parametrize("n_times", [None, 40, 120])
    def test_crop_keeps_the_beginning_of_every_trial(self, n_times):
        settings = {"standardize_input": False, "standardize_output": False, "method": "median"}
        settings |= {"components": ("original",), "n_times": n_times}
        crop = CvxEDATransformer(4, lengths="crop", **settings).fit(self.cells(140, 100, 120))
        assert crop.lengths_ == (100, 140)
        given = crop.transform(self.cells(140, 110))
        assert given.shape == (2, n_times or 88)
        assert list(crop.get_feature_names_out())[-1] == f"eda_original_{(n_times or 88) - 1}"
        place = np.linspace(12, 99, n_times or 88)
        expected = np.interp(place, np.arange(140), self.LONG)
        for row in given:
            np.testing.assert_allclose(row, expected, atol=0.01)
        with pytest.raises(ValueError, match=r"row 0: 99 samples.*error with lengths='crop'"):
            crop.transform(self.cells(99))

    @pytest.mark.parametrize("n_times", [None, 40, 200])
    def test_pad_repeats_the_last_sample(self, n_times):
        settings = {"standardize_input": False, "standardize_output": False, "method": "median"}
        settings |= {"components": ("original",), "n_times": n_times}
        pad = CvxEDATransformer(4, lengths="pad", **settings).fit(self.cells(140, 100, 120))
        given = pad.transform(self.cells(140, 100))
        assert given.shape == (2, n_times or 128)
        place = np.linspace(12, 139, n_times or 128)
        expected = np.interp(place, np.arange(140), self.LONG)
        np.testing.assert_allclose(given[0], expected, atol=0.02)
        expected = np.interp(place, np.arange(100), self.LONG[:100])
        np.testing.assert_allclose(given[1], expected, atol=0.02)
        with pytest.raises(ValueError, match=r"row 0: 142 samples.*error with lengths='pad'"):
            pad.transform(pd.Series([wave(35.5, 4)], dtype=object))

    def test_equal_trials_are_the_same_in_every_way(self):
        signals = make_eda()
        expected = CvxEDATransformer(sampling_rate=4, n_times=30).fit_transform(signals)
        for lengths in ("stretch", "crop", "pad"):
            transformer = CvxEDATransformer(sampling_rate=4, n_times=30, lengths=lengths)
            np.testing.assert_array_equal(transformer.fit_transform(signals), expected)


def test_a_trial_does_not_depend_on_the_others():
    signals = make_eda()
    transformer = CvxEDATransformer(sampling_rate=4, n_times=30)
    together = transformer.fit_transform(signals)
    alone = transformer.fit(signals[2:]).transform(signals[1:2])
    np.testing.assert_array_equal(alone[0], together[1])


def test_offset_and_unit_of_the_recording_do_not_matter():
    signals = make_eda()
    transformer = CvxEDATransformer(sampling_rate=4, n_times=30)
    expected = transformer.fit_transform(signals)
    np.testing.assert_allclose(transformer.fit_transform(1000 * signals + 5), expected, atol=1e-3)


def test_feature_names_say_component_and_sample():
    transformer = CvxEDATransformer(sampling_rate=4, n_times=2, components=("tonic",))
    names = transformer.fit(make_eda()).get_feature_names_out()
    assert list(names) == ["eda_tonic_0", "eda_tonic_1"]
    frame = transformer.set_output(transform="pandas").fit_transform(make_eda())
    assert list(frame.columns) == ["eda_tonic_0", "eda_tonic_1"]


def test_set_output_leaves_a_table_alone():
    table = make_table(make_eda())
    transformer = CvxEDATransformer(sampling_rate=4, n_times=30)
    expected = transformer.fit_transform(table)
    given = transformer.set_output(transform="pandas").fit_transform(table)
    assert list(given.columns) == list(expected.columns)
    assert list(transformer.transform(table).columns) == list(expected.columns)
    with pytest.raises(AttributeError, match="fitted to a trials table"):
        transformer.get_feature_names_out()


def test_diagnostics_say_what_the_solver_and_the_signal_did():
    transformer = CvxEDATransformer(sampling_rate=4, n_times=30)
    signals = make_eda()
    table = transformer.fit(signals).diagnostics_
    parts = [decompose(zscore(signal), 4.0) for signal in signals]
    np.testing.assert_allclose(table["gap"], [p.gap for p in parts])
    expected = [np.sqrt(np.mean(p.residual**2)) for p in parts]
    np.testing.assert_allclose(table["residual_rms"], expected, rtol=1e-6)
    shares = [
        np.mean(p.residual**2) / np.var(zscore(s)) for p, s in zip(parts, signals, strict=True)
    ]
    np.testing.assert_allclose(table["residual_share"], shares, rtol=1e-6)
    active = [np.count_nonzero(p.driver > p.driver.max() / 100) / 100 for p in parts]
    np.testing.assert_allclose(table["driver_density"], active)
    wider = [np.ptp(p.phasic) > 2 * np.ptp(zscore(s)) for p, s in zip(parts, signals, strict=True)]
    assert table["cancellation"].tolist() == wider
    pd.testing.assert_frame_equal(
        transformer.diagnose(signals[1:]), table[1:].reset_index(drop=True)
    )


def test_cancellation_is_warned_of_once_with_its_count():
    # A steep ramp down: the spline climbs away from it and the phasic part makes good.
    signals = make_eda(12, 100, seed=3)
    transformer = CvxEDATransformer(sampling_rate=4, weights="published")
    with pytest.warns(SignalQualityWarning) as caught:
        transformer.fit(signals)
    n = int(transformer.diagnostics_["cancellation"].sum())
    assert n > 0
    assert len(caught) == 1
    assert f"In {n} of 12 trials the range of the phasic component" in str(caught[0].message)


def test_flat_trial_gives_zeros_and_a_warning():
    signals = make_eda(3)
    signals[1] = 0.31
    transformer = CvxEDATransformer(sampling_rate=4, n_times=20)
    with pytest.warns(SignalQualityWarning, match=r"1 of 3 trials are flat \(first rows: \[1\]\)"):
        given = transformer.fit_transform(signals)
    assert not given[1].any()
    assert given[0].any()
    flat = transformer.diagnostics_.loc[1]
    assert (flat["residual_share"], flat["driver_density"], flat["cancellation"]) == (0, 0, False)
    with pytest.warns(SignalQualityWarning, match="1 of 3 trials are flat"):
        transformer.transform(signals)


def test_missing_samples_are_named_or_interpolated():
    signals = make_eda()
    signals[2, 40:43] = np.nan
    signals[3, 0] = np.inf
    table = make_table(signals)
    with pytest.raises(ValueError, match=r"row 2 \(subject p1.*3 of 100.*sample 40.*interpolate"):
        CvxEDATransformer(sampling_rate=4).fit(table)
    filled = signals.copy()
    filled[2, 40:43] = np.interp([40, 41, 42], [39, 43], signals[2, [39, 43]])
    filled[3, 0] = signals[3, 1]
    lenient = CvxEDATransformer(sampling_rate=4, n_times=30, missing="interpolate")
    np.testing.assert_array_equal(lenient.fit_transform(signals), lenient.fit_transform(filled))
    assert lenient.fit(signals).diagnostics_["n_missing"].tolist() == [0, 0, 3, 1]


def test_masked_samples_have_no_weight_and_every_channel_has_a_number_there():
    signals = make_eda()
    signals[2, 40:60], signals[3, :2] = np.nan, np.inf
    given = CvxEDATransformer(
        sampling_rate=4,
        missing="mask",
        trim_seconds=0,
        components=("original", "phasic", "tonic", "driver", "residual"),
    )
    channels = given.fit_transform(make_table(signals))["eda"]
    assert given.diagnostics_["n_missing"].tolist() == [0, 0, 20, 2]
    for signal, cell in zip(signals, channels, strict=True):
        seen = np.isfinite(signal)
        scaled = np.full(100, np.nan)
        scaled[seen] = zscore(signal[seen])
        result = decompose(scaled, 4, missing="mask")
        place = np.arange(100)
        expected = [
            np.interp(place, place[seen], scaled[seen]),
            result.phasic,
            result.tonic,
            result.driver,
            np.where(seen, result.residual, 0.0),
        ]
        for own, full in zip(cell, expected, strict=True):
            own_scale = (full - full[seen].mean()) / full[seen].std()
            np.testing.assert_allclose(own, own_scale, rtol=0, atol=1e-5)
        residual = result.residual[seen]
        row = given.diagnose(pd.Series([signal])).iloc[0]
        assert row["residual_rms"] == pytest.approx(np.sqrt(np.mean(residual**2)))
        assert row["residual_share"] == pytest.approx(np.mean(residual**2))


def test_a_mask_of_nothing_changes_no_channel():
    signals = make_eda()
    plain, masked = (CvxEDATransformer(4, n_times=30, missing=m) for m in ("raise", "mask"))
    np.testing.assert_array_equal(masked.fit_transform(signals), plain.fit_transform(signals))


def test_masked_and_interpolated_are_two_things_for_the_cache():
    signals = make_eda()
    signals[:, 40:60] = np.nan
    outputs = [
        CvxEDATransformer(4, missing=missing).fit_transform(signals)
        for missing in ("mask", "interpolate", "mask")
    ]
    np.testing.assert_array_equal(outputs[0], outputs[2])
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1


def test_a_flat_trial_with_missing_samples_is_zeros():
    signals = make_eda(2)
    signals[1], signals[1, 7] = 3.7, np.nan
    with pytest.warns(SignalQualityWarning, match="1 of 2 trials are flat"):
        channels = CvxEDATransformer(4, missing="mask").fit_transform(make_table(signals))["eda"]
    assert not channels[1].any()


def test_two_samples_are_the_least_to_mask_the_others():
    signals = make_eda(2)
    signals[1, 1:] = np.nan
    with pytest.raises(
        ValueError, match=r"row 1 \(subject p0.*: only 1 of 100 samples are not missing"
    ):
        CvxEDATransformer(sampling_rate=4, missing="mask").fit(make_table(signals))


@pytest.mark.parametrize("missing", ["raise", "interpolate", "mask"])
def test_trial_without_a_single_sample_is_named(missing):
    signals = make_eda()
    signals[1] = np.nan
    with pytest.raises(ValueError, match=r"row 1 \(subject p0, stimulus song, trial 1\)"):
        CvxEDATransformer(sampling_rate=4, missing=missing).fit(make_table(signals))


def test_trial_too_short_for_the_method_is_named():
    cells = pd.Series([make_eda(1)[0], np.ones(13)], dtype=object)
    table = make_table(make_eda(2)).assign(eda=cells)
    with pytest.raises(ValueError, match=r"row 1 \(subject p0.*13 samples.*drops 12 of them"):
        CvxEDATransformer(sampling_rate=4, n_times=20).fit(table)


@pytest.mark.parametrize("sampling_rate", [0, -4, np.nan, np.inf, "4"])
def test_sampling_rate_must_be_positive(sampling_rate):
    with pytest.raises(ValueError, match="sampling_rate"):
        CvxEDATransformer(sampling_rate=sampling_rate).fit(make_eda())


def test_unknown_columns_components_and_cells_are_named():
    table = make_table(make_eda())
    with pytest.raises(ValueError, match=r"no column 'eda'.*gsr"):
        CvxEDATransformer(sampling_rate=4).fit(table.rename(columns={"eda": "gsr"}))
    with pytest.raises(ValueError, match="components"):
        CvxEDATransformer(sampling_rate=4, components=("phasic", "scr")).fit(table)
    table.at[1, "eda"] = np.zeros((2, 100))
    with pytest.raises(ValueError, match=r"row 1 .*1-D"):
        CvxEDATransformer(sampling_rate=4).fit(table)


def test_other_width_at_transform_is_an_error():
    transformer = CvxEDATransformer(sampling_rate=4, n_times=20).fit(make_eda(2, 100))
    with pytest.raises(ValueError, match="100 features"):
        transformer.transform(make_eda(2, 101))


def test_failed_refit_leaves_the_fitted_transformer_as_it_was():
    transformer = CvxEDATransformer(sampling_rate=4).fit(make_eda())
    before = transformer.diagnostics_
    with pytest.raises(ValueError, match="too few"):
        transformer.fit(make_eda(2, 13))
    assert transformer.diagnostics_ is before
    assert transformer.n_features_in_ == 100


def test_each_trial_is_decomposed_once_in_a_process(monkeypatch):
    signals = make_eda(5, 90, seed=11)
    calls = []

    def note(trials: list, *rest: object, **settings: object) -> list:
        calls.extend(trials)
        return original(trials, *rest, **settings)

    original = solving.solve_many
    monkeypatch.setattr(solving, "solve_many", note)
    for n_times in (20, 30):
        CvxEDATransformer(sampling_rate=4, n_times=n_times).fit(signals).transform(signals)
    assert len(calls) == 5
    CvxEDATransformer(sampling_rate=4, tau0=2.1).fit(signals[:2])
    assert len(calls) == 7


@pytest.mark.filterwarnings("ignore:Persisting input arguments took")  # on a busy machine
@pytest.mark.parametrize("as_path", [True, False])
def test_memory_keeps_each_trial_on_disk_by_its_content(as_path, monkeypatch, tmp_path):
    signals = make_eda(5, 90, seed=14)
    expected = CvxEDATransformer(sampling_rate=4, n_times=20).fit_transform(signals)
    memory = str(tmp_path) if as_path else Memory(tmp_path, verbose=0)
    kept = []
    for rows in ([0, 1, 2], [2, 3, 4, 0]):
        # As another process would begin.
        monkeypatch.setattr(module, "_cache", module.TrialCache(0))
        transformer = CvxEDATransformer(sampling_rate=4, n_times=20, memory=memory, n_jobs=2)
        np.testing.assert_array_equal(transformer.fit_transform(signals[rows]), expected[rows])
        kept.append(len(list(tmp_path.rglob("output.pkl"))))
    assert kept == [3, 5]


@pytest.mark.same_bits
def test_n_jobs_changes_nothing(monkeypatch):
    signals = make_eda(40, 90, seed=12)
    monkeypatch.setattr(module, "_cache", module.TrialCache(0))
    one, two = (
        CvxEDATransformer(sampling_rate=4, n_times=20, n_jobs=n).fit_transform(signals)
        for n in (None, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_trial_that_the_solver_fails_on_is_named(monkeypatch):
    signals = make_eda(3, 90, seed=13)
    bad = zscore(signals[1])

    def fail_on_second(trial: np.ndarray, *rest: object, **settings: object) -> object:
        if np.allclose(trial, bad):
            raise DecompositionError("cvxEDA did not converge", "max_iter", 1.0)
        return original(trial, *rest, **settings)

    def fail(trials: list, *rest: object, **settings: object) -> list:
        return [fail_on_second(trial, *rest) for trial in trials]

    original = solving.solve
    monkeypatch.setattr(solving, "solve", fail_on_second)
    monkeypatch.setattr(solving, "solve_many", fail)
    with pytest.raises(
        DecompositionError, match=r"row 1 \(subject p0, .*did not converge"
    ) as found:
        CvxEDATransformer(sampling_rate=4).fit(make_table(signals))
    assert found.value.gap == 1.0


def test_solver_cvxopt_agrees():
    pytest.importorskip("cvxopt")
    signals = make_eda(2)
    ours = CvxEDATransformer(sampling_rate=4).fit_transform(signals)
    theirs = CvxEDATransformer(sampling_rate=4, solver="cvxopt").fit_transform(signals)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_channels_on_the_scale_of_the_subject_keep_the_level():
    rng = np.random.default_rng(0)
    levels = np.array([2.0, 5.0, 3.0, 4.0, 6.0, 20.0, 50.0, 30.0, 40.0, 60.0])
    cells = [level + np.cumsum(rng.normal(0, 0.1, 100)) for level in levels]
    table = make_table(cells).assign(subject=["a"] * 5 + ["b"] * 5, trial=[*range(5)] * 2)
    settings = {"sampling_rate": 4, "n_times": 64, "trim_seconds": 1.0}
    plain = CvxEDATransformer(scale=None, **settings).fit_transform(table)["eda"]
    original, _, tonic = np.stack(list(plain)).swapaxes(0, 1)
    raw = np.array([np.interp(np.linspace(4, 99, 64), np.arange(100), cell) for cell in cells])
    assert np.abs(original - raw).std() < 0.1  # in µS, after the anti-alias filter
    np.testing.assert_allclose(tonic.mean(axis=1), levels, atol=2)
    transformer = CvxEDATransformer(scale="subject", **settings).fit(table)
    scaled = np.stack(list(transformer.transform(table)["eda"]))
    for rows in (slice(5), slice(5, 10)):
        given = np.stack(list(plain))[rows]
        mean, std = (f(given, axis=(0, 2), keepdims=True) for f in (np.mean, np.std))
        np.testing.assert_allclose(scaled[rows], (given - mean) / std, rtol=1e-4, atol=1e-5)
    alone = transformer.transform(table.iloc[[1]])["eda"].iloc[0]  # a subject of fit
    np.testing.assert_allclose(alone, scaled[1], atol=1e-6)
    by_trial = np.stack(list(CvxEDATransformer(**settings).fit_transform(table)["eda"]))
    lost, kept = (channels[:, 0].mean(axis=1).std() for channels in (by_trial, scaled))
    assert lost < 0.2 < 0.9 < kept


def test_scale_that_does_not_suit_is_refused():
    signals = np.stack(make_eda())
    with pytest.raises(ValueError, match="scale='subject' needs a trials table"):
        CvxEDATransformer(4, scale="subject").fit(signals)
    for scale in ("subject", None):
        with pytest.raises(ValueError, match="needs standardize_output=True"):
            CvxEDATransformer(4, scale=scale, standardize_output=False).fit(make_table(make_eda()))
