"""signal_quality: faults at known places, and what clean recordings look like."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from edaemo.datasets import load_hku956, load_induced_stress
from edaemo.preprocessing import describe_quality, signal_quality

DOCS = Path(__file__).parents[1] / "docs" / "signal-quality.md"
RATE = 4
KINDS = {"missing", "saturated", "clipped", "spike", "lost_contact"}
SHARES = ["missing_share", "saturated_share", "clipped_share", "lost_contact_share"]


def bateman(since: np.ndarray) -> np.ndarray:
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


def clean_eda(seconds: float = 60, rate: float = RATE, level: float = 2.0) -> np.ndarray:
    """A level that drifts and three responses of up to 5 µS, written with an E4's steps."""
    time = np.arange(round(seconds * rate)) / rate
    eda = level + 0.003 * time + 0.05 * np.sin(time / 9)
    for onset, size in ((3.0, 1.0), (20.0, 9.0), (41.0, 0.2)):
        eda += size * bateman(time - onset)
    return np.round(eda / 0.001281) * 0.001281


def judge(eda: np.ndarray, rate: float = RATE, **thresholds: object) -> pd.Series:
    return signal_quality([eda], rate, **thresholds).iloc[0]


def faults(eda: np.ndarray, rate: float = RATE, **thresholds: object) -> dict:
    """The positions of each kind of fault that there is."""
    given = judge(eda, rate, **thresholds)["positions"]
    assert set(given) == KINDS
    return {kind: ranges for kind, ranges in given.items() if ranges}


def with_values(start: int, stop: int, values: object) -> np.ndarray:
    eda = clean_eda()
    eda[start:stop] = values
    return eda


@pytest.mark.parametrize("rate", [1, 2, 4, 32, 128])
@pytest.mark.parametrize("level", [0.2, 2.0, 40.0])
def test_clean_recording_has_no_fault(rate, level):
    eda = clean_eda(rate=rate, level=level)
    assert faults(eda, rate) == {}
    quality = judge(eda, rate)
    assert quality["n_samples"] == 60 * rate
    assert quality["flat"] is np.False_ or quality["flat"] is False
    assert (quality[SHARES] == 0).all()
    assert quality["n_spikes"] == 0


def test_columns_have_their_dtypes():
    quality = signal_quality([clean_eda(), np.zeros(240)], RATE)
    assert quality.dtypes.astype(str).to_dict() == {
        "n_samples": "int64",
        "missing_share": "float64",
        "flat": "bool",
        "saturated_share": "float64",
        "clipped_share": "float64",
        "n_spikes": "int64",
        "lost_contact_share": "float64",
        "quantization_step": "float64",
        "n_levels": "int64",
        "positions": "object",
    }
    start, stop = quality["positions"][1]["lost_contact"][0]
    assert (type(start), type(stop)) == (int, int)


# --- missing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 1e39])
def test_missing_samples_are_found(missing):
    eda = clean_eda()
    eda[[0, 50, 51, 239]] = missing
    assert faults(eda) == {"missing": [(0, 1), (50, 52), (239, 240)]}
    assert judge(eda)["missing_share"] == 4 / 240


def test_masked_samples_and_none_are_missing():
    eda = clean_eda()
    masked = np.ma.array(eda, mask=np.arange(240) < 6)
    listed = [None, *eda[1:]]
    cells = pd.Series([masked, listed], dtype=object)
    assert signal_quality(cells, RATE)["missing_share"].tolist() == [6 / 240, 1 / 240]


def test_trial_with_nothing_but_missing_samples_has_a_row():
    quality = judge(np.full(40, np.nan))
    assert quality["missing_share"] == 1
    assert not quality["flat"]
    assert (quality[SHARES[1:]] == 0).all()
    assert (quality["n_spikes"], quality["n_levels"]) == (0, 0)
    assert np.isnan(quality["quantization_step"])
    assert quality["positions"]["missing"] == [(0, 40)]


# --- flat --------------------------------------------------------------------------------------


def test_flat_is_a_span_below_its_threshold():
    eda = 2 + np.tile([0.0, 0.004, 0.008], 40)
    assert judge(eda)["flat"]
    assert not judge(eda, flat_range=0.007)["flat"]
    assert not judge(2 + np.tile([0.0, 0.0, 0.011], 40))["flat"]
    eda[::2] = np.nan
    assert judge(eda)["flat"]


def test_flat_trial_is_not_saturated_by_its_own_extremes():
    assert faults(np.full(100, 2.0)) == {}
    assert judge(np.full(100, 2.0))["flat"]
    everywhere = [(0, 100)]
    assert faults(np.full(100, 100.0)) == {"saturated": everywhere, "clipped": everywhere}


# --- saturated and clipped ----------------------------------------------------------------------


def test_saturation_is_an_extreme_held_for_its_time():
    eda = with_values(100, 108, 9.0)  # 2 s above everything else; up and down are no spikes
    assert faults(eda, max_slope=np.inf, drop_share=0.99) == {"saturated": [(100, 108)]}
    assert judge(eda)["saturated_share"] == 8 / 240
    assert faults(with_values(100, 107, 9.0), max_slope=np.inf, drop_share=0.99) == {}
    assert faults(eda, max_slope=np.inf, drop_share=0.99, stuck_seconds=2.25) == {}


def test_saturation_at_the_lower_extreme_and_in_parts():
    eda = clean_eda()
    eda[60:70] = eda[180:195] = 1.2
    assert faults(eda) == {"saturated": [(60, 70), (180, 195)]}
    eda[64] = np.nan  # neither part lasts 2 s any more
    assert faults(eda) == {"missing": [(64, 65)], "saturated": [(180, 195)]}


def test_value_held_between_the_extremes_is_not_saturated():
    assert faults(with_values(60, 100, 2.5)) == {}


def test_saturation_at_the_end_of_the_range_need_not_be_the_largest_sample():
    eda = clean_eda() / 2
    eda[100:110] = 5.0
    eda[200] = 5.2
    settings = {"max_slope": np.inf, "drop_share": 0.99, "recording_range": (0.01, 5.0)}
    found = faults(eda, **settings)
    assert found["saturated"] == [(100, 110)]
    assert found["clipped"] == [(100, 110), (200, 201)]
    assert judge(eda, **settings)["clipped_share"] == 11 / 240


def test_clipped_are_samples_at_both_ends_of_the_range():
    eda = clean_eda(level=1.0)
    low, high = np.sort(eda)[[4, -3]]
    expected = (eda <= low) | (eda >= high)
    given = faults(eda, recording_range=(low, high))
    assert given.keys() == {"clipped"}
    held = np.concatenate([np.arange(*place) for place in given["clipped"]])
    np.testing.assert_array_equal(held, np.flatnonzero(expected))
    assert judge(with_values(30, 31, 100.0))["positions"]["clipped"] == [(30, 31)]
    assert judge(with_values(30, 31, 99.9))["positions"]["clipped"] == []
    assert judge(with_values(30, 31, 0.01))["positions"]["clipped"] == [(30, 31)]
    assert judge(with_values(30, 31, 0.011))["positions"]["clipped"] == []


# --- spikes ------------------------------------------------------------------------------------


def test_spikes_are_counted_and_lie_where_the_artefact_is():
    eda = clean_eda()
    eda[50] += 5  # one sample
    eda[150:153] += 4  # three samples, there and back within a second
    assert faults(eda) == {"spike": [(50, 51), (150, 153)]}
    assert judge(eda)["n_spikes"] == 2


def test_step_to_another_level_is_one_spike_of_one_sample():
    eda = clean_eda()
    eda[150:] += 4
    assert faults(eda) == {"spike": [(150, 151)]}


def test_steepness_is_in_microsiemens_per_second():
    eda = 3 + 0.001 * np.arange(240)
    eda[100] += 2.6  # 10.4 µS/s at 4 Hz
    assert faults(eda) == {"spike": [(100, 101)]}
    assert faults(eda, max_slope=10.5) == {}
    assert faults(eda, 3.8) == {}
    eda[100] = 5.5  # 9.6 µS/s
    assert faults(eda) == {}
    assert faults(eda, max_slope=9.5) == {"spike": [(100, 101)]}


def test_steep_changes_further_apart_are_two_spikes():
    eda = clean_eda()
    eda[150:156] += 4  # there and back in 1.5 s
    assert faults(eda) == {"spike": [(150, 151), (156, 157)]}
    assert faults(eda, spike_seconds=1.5) == {"spike": [(150, 156)]}
    assert faults(eda, spike_seconds=1.25) == {"spike": [(150, 151), (156, 157)]}


def test_no_slope_is_taken_across_missing_samples():
    eda = clean_eda()
    eda[150:] += 4
    eda[149] = np.nan
    assert faults(eda) == {"missing": [(149, 150)]}


# --- lost contact ------------------------------------------------------------------------------


def test_samples_near_zero_have_lost_contact():
    eda = clean_eda(level=0.5) / 8  # so low that no step to it is a sudden drop
    eda[30:40] = np.linspace(0.049, 0.045, 10)
    assert faults(eda, drop_share=0.9) == {"lost_contact": [(30, 40)]}
    assert judge(eda, drop_share=0.9)["lost_contact_share"] == 10 / 240
    assert faults(eda, drop_share=0.9, contact_level=0.0449) == {}


def test_sudden_drop_lasts_until_half_of_the_level_is_back():
    eda = with_values(150, 170, np.linspace(0.3, 0.6, 20))
    eda[170] = 0.45 * eda[149]  # not yet back
    assert faults(eda) == {"lost_contact": [(150, 171)]}
    assert faults(eda, drop_share=0.9) == {}
    # a fall to 0.3 of the level is no drop by more than 0.8 of it
    assert faults(with_values(150, 170, 0.3 * eda[149] + 0.001 * np.arange(20))) == {
        "lost_contact": [(150, 170)]
    }
    assert faults(with_values(150, 170, 0.3 * eda[149]), drop_share=0.8, stuck_seconds=99) == {}


def test_drop_without_return_lasts_to_the_end_and_missing_samples_do_not_count():
    eda = with_values(200, 240, 0.4 + 0.001 * np.arange(40))
    eda[210:215] = np.nan
    assert faults(eda) == {"missing": [(210, 215)], "lost_contact": [(200, 210), (215, 240)]}
    assert judge(eda)["lost_contact_share"] == 35 / 240


def test_end_of_a_spike_is_no_drop():
    eda = with_values(150, 153, 20.0)
    assert faults(eda) == {"spike": [(150, 153)]}


def test_level_is_that_of_the_time_before():
    eda = 2 + 0.001 * np.arange(240)
    eda[120:136] = 20 + 0.001 * np.arange(16)  # 4 s of 20 µS, and back
    eda[136:] -= 0.1
    assert faults(eda, max_slope=np.inf, level_seconds=9) == {}
    shorter = faults(eda, max_slope=np.inf, level_seconds=5)
    assert shorter == {"lost_contact": [(136, 240)]}


def test_drop_may_take_its_time():
    eda = np.full(240, 3.0) + 0.001 * np.arange(240)
    eda[100:105] = [2.0, 1.3, 0.9, 0.6, 0.4]  # never by half from sample to sample
    eda[105:120] = 0.4
    settings = {"stuck_seconds": 99, "max_slope": np.inf}
    assert faults(eda, **settings) == {}
    within_half_a_second = faults(eda, drop_seconds=0.5, **settings)
    assert within_half_a_second == {"lost_contact": [(101, 120)]}


def test_drop_at_a_high_rate_begins_with_its_first_sample_below():
    eda = clean_eda(rate=128)
    eda[5000:5400] = 0.2 + 0.0001 * np.arange(400)
    assert faults(eda, 128, max_slope=np.inf) == {"lost_contact": [(5000, 5400)]}


@pytest.mark.parametrize(("place", "lost"), [(1, []), (2, []), (3, [(3, 240)])])
def test_three_samples_make_a_level(place, lost):
    eda = 0.5 + 0.001 * np.arange(240)
    eda[:place] = 2
    assert judge(eda)["positions"]["lost_contact"] == lost


def test_faults_of_one_trial_do_not_touch_another():
    eda = [clean_eda(), with_values(200, 240, 0.0), clean_eda()]
    quality = signal_quality(eda, RATE)
    assert quality["lost_contact_share"].tolist() == [0, 40 / 240, 0]
    assert quality["saturated_share"].tolist() == [0, 40 / 240, 0]


# --- levels ------------------------------------------------------------------------------------


def test_quantization_step_and_levels():
    quality = judge(1.5 + 0.001281 * np.array([0, 3, 5, 6, 5, 3, 0]))
    np.testing.assert_allclose(quality["quantization_step"], 0.001281, rtol=1e-9)
    assert quality["n_levels"] == 4
    quality = judge(np.array([0.1 + 0.2, 0.3, 0.5, np.nan]))  # 0.1 + 0.2 is 0.3, written otherwise
    assert quality["n_levels"] == 2
    np.testing.assert_allclose(quality["quantization_step"], 0.2)
    quality = judge(np.full(10, 3.0))
    assert quality["n_levels"] == 1
    assert np.isnan(quality["quantization_step"])


# --- containers, identity, errors ---------------------------------------------------------------


def make_table() -> pd.DataFrame:
    signals = [clean_eda(), clean_eda(30), with_values(20, 30, np.nan)]
    return pd.DataFrame(
        {
            "subject": ["a", "a", "b"],
            "stimulus": [7, 8, 7],
            "trial": [1, 2, 1],
            "eda": pd.Series(signals, dtype=object),
        },
        index=[30, 10, 20],
    ).assign(eda=lambda table: pd.Series(signals, index=table.index, dtype=object))


def test_index_is_the_identity_where_it_is_known():
    table = make_table()
    quality = signal_quality(table, RATE)
    assert quality.index.names == ["subject", "stimulus", "trial"]
    assert quality.index.tolist() == [("a", 7, 1), ("a", 8, 2), ("b", 7, 1)]
    assert quality["n_samples"].tolist() == [240, 120, 240]
    assert quality["missing_share"].tolist() == [0, 0, 10 / 240]
    part = signal_quality(table[["subject", "eda"]], RATE)
    assert part.index.names == ["subject"]
    moved = signal_quality(table.set_index(["trial", "subject"])["eda"], RATE)
    assert moved.index.names == ["subject", "trial"]


def test_index_is_that_of_the_container_where_no_identity_is_known():
    eda = make_table()["eda"]
    assert signal_quality(eda, RATE).index.tolist() == [30, 10, 20]
    assert signal_quality(eda.to_frame(), RATE).index.tolist() == [30, 10, 20]
    assert signal_quality(eda.to_numpy(), RATE).index.tolist() == [0, 1, 2]


def test_every_container_gives_the_same():
    rows = np.stack([clean_eda(), with_values(20, 30, np.nan), with_values(50, 90, 0.0)])
    cells = np.empty(3, dtype=object)
    cells[:] = list(rows)
    expected = signal_quality(rows, RATE)
    given = [rows.tolist(), cells, pd.Series(list(cells)), pd.DataFrame(rows)]
    given.append(pd.DataFrame({"eda": pd.Series(list(cells))}))
    for trials in given:
        pd.testing.assert_frame_equal(signal_quality(trials, RATE), expected)


def test_loaders_bunch_knows_its_rate():
    study = Bunch(trials=make_table(), sampling_rate=4.0)
    expected = signal_quality(study.trials, 4.0)
    pd.testing.assert_frame_equal(signal_quality(study), expected)
    held = Bunch(trials=[with_values(100, 108, 1.0)], sampling_rate=4.0)
    assert signal_quality(held)["saturated_share"][0] > 0
    assert signal_quality(held, 3.0)["saturated_share"][0] > 0
    assert signal_quality(held, 5.0)["saturated_share"][0] == 0  # 1.6 s there
    with pytest.raises(ValueError, match="sampling_rate is missing"):
        signal_quality(study.trials)


def test_trials_are_left_as_they_were():
    table = make_table()
    before = [cell.copy() for cell in table["eda"]]
    signal_quality(table, RATE)
    for cell, was in zip(table["eda"], before, strict=True):
        np.testing.assert_array_equal(cell, was)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (np.array([]), "not a 1-D signal"),
        ([], "not a 1-D signal"),
        (None, "not a 1-D signal"),
        (np.zeros((3, 50)), r"1-D signal, got an array of shape \(3, 50\)"),
        (["a", "b"], "text"),
        ([True, False], "booleans"),
    ],
)
def test_what_is_no_recording_is_refused_by_its_name(cell, said):
    table = make_table()
    table["eda"] = pd.Series([clean_eda(), cell, clean_eda()], index=table.index, dtype=object)
    who = r"row 1 \(subject a, stimulus 8, trial 2\).*"
    with pytest.raises(ValueError, match=who + said):
        signal_quality(table, RATE)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (make_table().iloc[:0], "The input holds no trials"),
        ([], "Expected 2D array"),
        (np.zeros((0, 10)), "0 sample"),
        (clean_eda(), "1D array"),
        ([clean_eda(), clean_eda(30)], "differ in length"),
        (make_table().drop(columns="eda"), "subject"),
    ],
)
def test_what_holds_no_trials_is_refused(trials, said):
    with pytest.raises(ValueError, match=said):
        signal_quality(trials, RATE)


@pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf, "4", True])
def test_sampling_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="sampling_rate must be a positive number"):
        signal_quality([clean_eda()], rate)


@pytest.mark.parametrize("bounds", [(1, 1), (2, 1), (0, 1, 2), (0,), (np.nan, 1), ("0", "1")])
def test_recording_range_out_of_order_is_refused(bounds):
    with pytest.raises(ValueError, match=r"recording_range must be \(lowest, highest\)"):
        signal_quality([clean_eda()], RATE, recording_range=bounds)


@pytest.mark.parametrize(
    "name",
    [
        "flat_range",
        "stuck_seconds",
        "max_slope",
        "spike_seconds",
        "contact_level",
        "drop_share",
        "drop_seconds",
        "level_seconds",
    ],
)
@pytest.mark.parametrize("value", [-1, np.nan, "1", None])
def test_threshold_out_of_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of signal_quality"):
        signal_quality([clean_eda()], RATE, **{name: value})


@pytest.mark.parametrize(
    "name", ["flat_range", "stuck_seconds", "max_slope", "spike_seconds", "drop_seconds"]
)
def test_threshold_may_be_infinite(name):
    signal_quality([clean_eda(), with_values(100, 120, 0.1)], RATE, **{name: np.inf})


# --- findings for one recording ------------------------------------------------------------------


def test_samples_of_two_kinds_are_found_once():
    eda = clean_eda()
    eda[40:60] = 0.0  # without contact, and equal for 5 s at the smallest value
    eda[-16:] = 100.0  # the upper end of the range, for 4 s
    eda[200:206] = np.nan
    found = describe_quality(eda, RATE)
    assert found.findings == (
        "2.5% of the samples are missing.",
        "8.3% of the samples are without contact to the skin.",
        "6.7% of the samples are saturated.",
    )
    bad = [*range(40, 60), *range(200, 206), *range(224, 240)]
    assert np.flatnonzero(~found.usable).tolist() == bad


# --- the corpora, as in docs/signal-quality.md ---------------------------------------------------


@pytest.mark.parametrize(
    ("name", "load", "said", "window"),
    [
        ("HKU956", load_hku956, "first 25 s", (0.0, 25.0)),
        ("HKU956", load_hku956, "whole", None),
        ("induced-stress", load_induced_stress, "first 25 s", (0.0, 25.0)),
        ("induced-stress", load_induced_stress, "whole", None),
    ],
)
def test_documented_counts_of_the_corpora_are_what_is_found(name, load, said, window):
    quality = signal_quality(load(window=window))
    lost = quality["lost_contact_share"]
    columns = [
        quality["missing_share"] > 0,
        quality["flat"],
        quality["saturated_share"] > 0,
        quality["clipped_share"] > 0,
        quality["n_spikes"] > 0,
        lost > 0,
    ]
    counts = [int(column.sum()) for column in columns]
    none = int((~np.any(columns, axis=0)).sum())
    cells = [name, said, len(quality), *counts, int((lost > 0.5).sum()), none]
    assert f"| {' | '.join(map(str, cells))} |" in DOCS.read_text(encoding="utf-8")
