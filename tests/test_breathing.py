"""Breathing in recordings: what is found, what is removed, and what is left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from edaemo.cli import main
from edaemo.decomposition import estimate_breathing
from edaemo.features import scr_table
from edaemo.inspection import plot_responses
from edaemo.preprocessing import CvxEDATransformer, EDADecomposer


def respond(time: np.ndarray, onset: float, slow: float = 2.0, fast: float = 0.7) -> np.ndarray:
    """Return a Bateman function of height 1 that starts at `onset`."""
    since = np.maximum(time - onset, 0.0)
    peak = np.log(slow / fast) / (1 / fast - 1 / slow)
    return (np.exp(-since / slow) - np.exp(-since / fast)) / (
        np.exp(-peak / slow) - np.exp(-peak / fast)
    )


def record(
    seconds: float,
    rate: float,
    *,
    onsets: tuple[float, ...] = (),
    breath: float = 0.0,
    frequency: float = 0.27,
    noise: float = 0.001,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a recording in µS, with responses of 0.3 µS, and its breathing."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    breathing = breath / 2 * np.sin(2 * np.pi * (frequency * time + rng.random()))
    level = 4 + 0.003 * time + 0.1 * np.sin(2 * np.pi * time / 90)
    responses = sum((0.3 * respond(time, onset) for onset in onsets), np.zeros(len(time)))
    return level + responses + breathing + noise * rng.standard_normal(len(time)), breathing


IRREGULAR = tuple(np.cumsum([7.0, 9, 4, 16, 6, 11, 5, 13, 8, 19, 4, 12, 7, 15, 10, 6]))


@pytest.mark.parametrize("rate", [2.0, 4.0, 15.5, 50.0])
@pytest.mark.parametrize("frequency", [0.15, 0.27, 0.5])
def test_a_regular_breath_is_found_beneath_responses(rate, frequency):
    eda, breathing = record(
        180, rate, onsets=IRREGULAR, breath=0.06, frequency=frequency, noise=0.002
    )
    rest = breathing - estimate_breathing(eda, rate)
    assert np.std(rest) < 0.25 * np.std(breathing)


def test_the_unit_does_not_matter():
    eda, _ = record(60, 4, onsets=(12.0, 30.0), breath=0.04)
    found = estimate_breathing(eda, 4)
    assert np.ptp(found) > 0.03
    np.testing.assert_allclose(estimate_breathing(1000 * eda, 4), 1000 * found, rtol=1e-6)
    np.testing.assert_allclose(estimate_breathing(eda + 1, 4), found, atol=1e-3 * np.ptp(found))


def test_height_and_phase_may_change_slowly():
    rate, time = 4.0, np.arange(720) / 4
    phase = 2 * np.pi * 0.25 * time + np.sin(2 * np.pi * time / 120)
    breathing = (0.02 + 0.01 * np.sin(2 * np.pi * time / 100)) * np.sin(phase)
    noise = 0.001 * np.random.default_rng(0).standard_normal(len(time))
    rest = breathing - estimate_breathing(3 + breathing + noise, rate)
    assert np.std(rest) < 0.35 * np.std(breathing)


def test_long_recordings_may_change_their_rate_of_breathing():
    first, early = record(300, 4, breath=0.05, frequency=0.2)
    second, late = record(300, 4, breath=0.05, frequency=0.35, seed=1)
    second = second - second[0] + first[-1]
    found = estimate_breathing(np.concatenate([first, second]), 4)
    rest = np.concatenate([early, late]) - found
    away = np.r_[0:800, 1600:2400]  # without the windows that hold both rates
    assert np.std(rest[away]) < 0.15 * np.std(early)


@pytest.mark.parametrize("slow", [2.0, 4.0])
def test_responses_at_unequal_intervals_are_not_breathing(slow):
    time = np.arange(720) / 4
    for seed in range(10):
        rng = np.random.default_rng(seed)
        onsets = np.cumsum(rng.uniform(4, 16, 16))
        eda = 3 + sum(0.2 * respond(time, onset, slow, slow / 3) for onset in onsets)
        eda = eda + 0.002 * rng.standard_normal(len(time))
        assert np.ptp(estimate_breathing(eda, 4)) < 0.02


@pytest.mark.parametrize("interval", [15.0, 20.0])
def test_responses_at_long_equal_intervals_are_not_breathing(interval):
    onsets = tuple(np.arange(5, 178, interval))
    eda, _ = record(180, 4, onsets=onsets, noise=0.003)
    assert np.ptp(estimate_breathing(eda, 4)) < 0.01


@pytest.mark.parametrize(
    ("eda", "rate"),
    [
        (np.sin(np.arange(56.0)), 4.0),  # 14 s
        (np.sin(np.arange(100.0)), 1.5),  # too few samples for a fast breath
        (np.full(400, 5.0), 4.0),
        (np.arange(400.0), 4.0),
        (np.full(400, np.nan), 4.0),
        (np.zeros(0), 4.0),
    ],
    ids=["short", "slow", "constant", "line", "missing", "empty"],
)
def test_no_breathing_where_none_can_be_found(eda, rate):
    found = estimate_breathing(eda, rate)
    assert found.shape == eda.shape
    assert not found.any()


def test_missing_samples_are_bridged():
    eda, breathing = record(120, 4, breath=0.05)
    eda[100:110] = np.nan
    rest = breathing - estimate_breathing(eda, 4)
    assert np.isfinite(rest).all()
    assert np.std(rest) < 0.2 * np.std(breathing)


@pytest.mark.parametrize("size", [1e-300, 1e-12, 1e12, 1e300])
def test_extreme_units(size):
    eda, _ = record(60, 4, breath=0.05)
    expected = estimate_breathing(eda, 4)
    np.testing.assert_allclose(estimate_breathing(size * eda, 4) / size, expected, rtol=1e-6)


@pytest.mark.parametrize("y", [np.zeros((2, 100)), 1.0])
def test_one_recording_is_expected(y):
    with pytest.raises(ValueError, match="one recording"):
        estimate_breathing(y, 4)


@pytest.mark.parametrize("context", [0.0, 10.0])
def test_transformers_decompose_what_is_left(context):
    eda, breathing = record(70, 4, onsets=(8.0, 25.0, 44.0), breath=0.06)
    calm = eda - estimate_breathing(eda, 4)
    n_context = round(context * 4)
    settings = {"sampling_rate": 4, "context": context}
    removed = EDADecomposer(method="highpass", breathing="remove", **settings).transform(eda[None])
    np.testing.assert_allclose(
        removed.reshape(2, -1).sum(axis=0), (eda - breathing)[n_context:], atol=0.02
    )
    channels = CvxEDATransformer(breathing="remove", **settings).fit_transform(eda[None])
    np.testing.assert_array_equal(channels, CvxEDATransformer(**settings).fit_transform(calm[None]))


class TestTable:
    def test_breaths_are_not_counted(self):
        eda, _ = record(180, 4, onsets=IRREGULAR, breath=0.06, noise=0.002)
        kept = scr_table(eda[None], 4, breathing=None)
        removed = scr_table(eda[None], 4)
        assert kept["n_responses"][0] > 30
        assert kept["breathing_height"][0] == 0
        assert removed["n_responses"][0] == len(IRREGULAR)
        assert removed["breathing_height"][0] == pytest.approx(0.06, rel=0.15)
        assert removed["amplitude_mean"][0] == pytest.approx(0.3, rel=0.2)

    def test_nothing_is_counted_where_nothing_happens(self):
        counts = []
        for seed in range(20):
            eda, _ = record(180, 4, breath=0.05, noise=0.003, seed=seed)
            counts.append(scr_table(eda[None], 4)["n_responses"][0])
        assert np.count_nonzero(counts) <= 2

    def test_rows_for_events_keep_it_by_default(self):
        eda, _ = record(60, 4, onsets=(21.5,), breath=0.06)
        kept = scr_table(eda[None], 4, events=[20.0, 40.0])
        removed = scr_table(eda[None], 4, events=[20.0, 40.0], breathing="remove")
        assert kept["breathing_height"].tolist() == [0, 0]
        assert kept["response"].tolist() == [True, True]
        assert removed["response"].tolist() == [True, False]
        assert (removed["breathing_height"] > 0.04).all()

    def test_missing_samples_stay_masked(self):
        eda, _ = record(120, 4, onsets=(30.0, 70.0), breath=0.05)
        eda[200:204] = np.nan
        table = scr_table(eda[None], 4, method="cvxeda", missing="mask")
        assert table["n_responses"][0] == 2

    def test_an_unknown_treatment_is_an_error(self):
        with pytest.raises(ValueError, match="breathing"):
            scr_table(np.zeros((1, 100)), 4, breathing="keep")

    def test_command(self, tmp_path, capsys):
        eda, _ = record(120, 4, onsets=(30.0, 70.0), breath=0.05)
        pd.DataFrame({"eda": eda}).to_csv(tmp_path / "a.csv", index=False)
        counts = {}
        for treatment in ("auto", "keep"):
            out = tmp_path / f"{treatment}.csv"
            arguments = ["scr", str(tmp_path / "a.csv"), str(out), "--sampling-rate", "4"]
            assert main([*arguments, "--breathing", treatment]) == 0
            counts[treatment] = pd.read_csv(out)["n_responses"][0]
        assert counts["auto"] == 2
        assert counts["keep"] > 20
        printed = capsys.readouterr().out
        assert printed.count("breathing was removed from 1 rows") == 1


def test_the_picture_marks_what_the_table_counts():
    eda, _ = record(180, 4, onsets=IRREGULAR, breath=0.06, noise=0.002)
    marks = {}
    for breathing in ("remove", None):
        axes = plot_responses(eda, 4, breathing=breathing)
        curves = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
        np.testing.assert_array_equal(curves["EDA"][:, 1], eda)
        marks[breathing] = len(curves["onset"])
        plt.close(axes.figure)
    for breathing, n_marked in marks.items():
        table = scr_table(eda[None], 4, breathing=breathing)
        assert table["n_responses"][0] == n_marked
    assert marks["remove"] == len(IRREGULAR) < marks[None]
    with pytest.raises(ValueError, match="breathing must be"):
        plot_responses(eda, 4, breathing="keep")
