"""Repair of artefacts: the same samples for decompositions, transformers, files and features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from edaemo import CvxEDATransformer
from edaemo.cli import main
from edaemo.datasets import make_music_listening
from edaemo.preprocessing import (
    EDADecomposer,
    SignalQualityWarning,
    repair_signals,
    signal_quality,
)

RATE = 4
TIME = np.arange(240) / RATE


def bateman(since: np.ndarray) -> np.ndarray:
    """The shape of one SCR."""
    since = np.clip(since, 0, None)
    return np.exp(-since / 2) - np.exp(-since / 0.7)


EDA = 3 + 0.01 * TIME + 0.5 * sum(bateman(TIME - onset) for onset in (5.0, 20.0, 41.0))
SPOILT = EDA.copy()
SPOILT[120:122] += 6
REPLACED = slice(119, 123)  # the spike, and a quarter of a second on each side
LINE = np.interp(np.arange(119, 123), [118, 123], EDA[[118, 123]])


def repair(signal: np.ndarray, how: str | None, rate: float = RATE):
    return repair_signals([signal], rate, how)[0]


def test_a_spike_and_its_edges_are_replaced_by_a_line():
    repaired = repair(SPOILT, "interpolate")
    expected = EDA.copy()
    expected[REPLACED] = LINE
    assert_allclose(repaired.signal, expected)
    assert_array_equal(np.flatnonzero(repaired.replaced), np.arange(119, 123))
    assert repaired.n_repaired == 4
    assert not repaired.beyond_repair
    masked = repair(SPOILT, "mask")
    assert_array_equal(np.isnan(masked.signal), masked.replaced)
    assert_array_equal(masked.replaced, repaired.replaced)
    assert_array_equal(repair(SPOILT, None).signal, SPOILT)
    assert repair(SPOILT, None).n_repaired == 0


def test_a_sound_recording_is_not_changed():
    assert repair(EDA, "interpolate").signal is EDA
    assert repair(EDA, "mask").n_repaired == 0


@pytest.mark.parametrize("rate", [4, 50, 500])
def test_the_margin_is_a_quarter_of_a_second_at_any_rate(rate):
    eda = 3 + 0.01 * np.arange(60 * rate) / rate
    eda[30 * rate : round(30.5 * rate)] = 0.0  # lost contact
    replaced = np.flatnonzero(repair(eda, "interpolate", rate).replaced)
    margin = round(0.25 * rate)
    assert_array_equal(replaced, np.arange(30 * rate - margin, round(30.5 * rate) + margin))


def test_artefacts_at_the_ends_take_the_nearest_sound_sample():
    eda = EDA.copy()
    eda[:5] = eda[-3:] = 0.0
    repaired = repair(eda, "interpolate").signal
    # The return of the contact is a steep change, which counts as a spike of one sample.
    assert_array_equal(repaired[:8], np.full(8, EDA[7]))
    assert_array_equal(repaired[-4:], np.full(4, EDA[-5]))


def test_missing_samples_stay_missing_and_do_not_count():
    eda = SPOILT.copy()
    eda[[117, 118]] = np.nan
    repaired = repair(eda, "interpolate")
    assert_array_equal(np.flatnonzero(np.isnan(repaired.signal)), [117, 118])
    assert_array_equal(np.flatnonzero(repaired.replaced), np.arange(119, 123))
    line = np.interp(np.arange(119, 123), [116, 123], EDA[[116, 123]])
    assert_allclose(repaired.signal[119:123], line)


@pytest.mark.parametrize("how", ["interpolate", "mask"])
def test_a_recording_without_sound_samples_stays_and_is_reported(how):
    eda = 0.02 + 1e-4 * np.arange(240)
    eda[0] = 3.0
    repaired = repair(eda, how)
    assert repaired.beyond_repair
    assert_array_equal(repaired.signal, eda)
    transformer = CvxEDATransformer(RATE, repair=how)
    with pytest.warns(SignalQualityWarning, match=r"1 of 2 trials \(first rows: \[1\]\) have few"):
        transformer.fit(np.stack([EDA, eda]))
    assert transformer.diagnostics_["beyond_repair"].tolist() == [False, True]
    assert transformer.diagnostics_["n_repaired"].tolist() == [0, 0]
    with pytest.warns(SignalQualityWarning, match="were not repaired"):
        EDADecomposer(RATE, repair=how).fit_transform(eda[None])


def test_generated_spikes_and_lost_contact_are_where_the_repair_is():
    study = make_music_listening(
        10, 10, 10, sampling_rate=50.0, duration=30.0, artefact_share=1.0, random_state=5
    )
    cells = [np.asarray(cell) for cell in study.trials["eda"]]
    n_seen = 0
    for kind in ("spike", "lost_contact"):
        for row in np.flatnonzero(study.truth["artefact"] == kind):
            parts = study.make_components(*study.truth.index[row])
            true = np.flatnonzero(parts["artefact"].abs() > 0.5)
            replaced = repair(cells[row], "interpolate", 50.0).replaced
            assert replaced[true].all(), (kind, row)
            assert replaced.sum() <= len(true) + 50, (kind, row)
            n_seen += 1
    assert n_seen > 20


@pytest.mark.parametrize("how", ["interpolate", "mask"])
def test_transformers_decompose_the_repaired_recording(how):
    filled = np.where(np.arange(240) == 119, np.nan, EDA)
    filled[119:123] = np.nan
    options = {"method": "cvxeda"}
    with pytest.warns(SignalQualityWarning, match=r"repaired in 1 of 1 trials .* 4 samples in all"):
        spoilt = EDADecomposer(RATE, repair=how, **options).fit_transform(SPOILT[None])
    missing = EDADecomposer(RATE, missing=how, **options).fit_transform(filled[None])
    assert_array_equal(spoilt, missing)
    transformer = CvxEDATransformer(RATE, repair=how, **options)
    with pytest.warns(SignalQualityWarning, match="repaired in 1 of 1"):
        channels = transformer.fit_transform(SPOILT[None])
    assert transformer.diagnostics_["n_repaired"].tolist() == [4]
    assert_array_equal(
        channels, CvxEDATransformer(RATE, missing=how, **options).fit_transform(filled[None])
    )


def test_filters_cannot_mask():
    for estimator in (
        EDADecomposer(RATE, method="median", repair="mask"),
        CvxEDATransformer(RATE, method="highpass", repair="mask"),
    ):
        with pytest.raises(ValueError, match="repair='mask' needs method='cvxeda'"):
            estimator.fit(EDA[None])


@pytest.mark.parametrize("how", ["interpolate", "mask"])
def test_decomposed_file_adds_up_to_the_samples_as_read(tmp_path: Path, capsys, how):
    source = tmp_path / "a.csv"
    pd.DataFrame({"eda": SPOILT}).to_csv(source, index=False)
    arguments = ["decompose", str(source), str(tmp_path / "out"), "--sampling-rate", str(RATE)]
    assert main([*arguments, "--repair", how]) == 0
    assert "artefacts: 4 of 240 samples were repaired." in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "a.csv")
    assert_allclose(table[["phasic", "tonic", "residual"]].sum(axis=1), SPOILT, atol=1e-9)
    assert (table["residual"].iloc[120:122] > 5).all()
    assert np.ptp(table["phasic"]) < 0.5
    assert main([*arguments, "--overwrite"]) == 0
    assert "artefacts" not in capsys.readouterr().out


def test_scr_command_repairs_and_reports(tmp_path: Path, capsys):
    source = tmp_path / "a.csv"
    pd.DataFrame({"eda": SPOILT}).to_csv(source, index=False)
    out = tmp_path / "scr.csv"
    arguments = ["scr", str(source), str(out), "--sampling-rate", str(RATE)]
    assert main(arguments) == 0
    assert "Note: 1 rows have repaired samples" in capsys.readouterr().out
    table = pd.read_csv(out, converters={"repaired_share": float})
    assert table["n_responses"].tolist() == [3]
    assert table["repaired_share"].tolist() == [4 / 240]
    assert main([*arguments, "--repair", "none", "--overwrite"]) == 0
    assert "repaired" not in capsys.readouterr().out
    assert pd.read_csv(out)["n_responses"].tolist() != [3]


def test_defects_that_are_kept_are_steps_and_saturation():
    step = EDA + 1.0 * (TIME >= 30)
    assert signal_quality([step], RATE)["n_spikes"].iloc[0] == 0
    assert_array_equal(repair(step, "interpolate").signal, step)
    stuck = np.minimum(EDA, EDA.max() - 0.1)
    assert_array_equal(repair(stuck, "interpolate").signal, stuck)
