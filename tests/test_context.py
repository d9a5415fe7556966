"""Samples before the trial: which loaders supply them, and what each step does with them.

The expected samples are the formulas that wrote the files. The expected components come from the
decomposition of the whole recording and from closed forms.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_corpora import home as home  # a user without data or cache, for all tests
from test_corpora import short_deap as short_deap
from test_corpora import small_amigos as small_amigos
from test_corpora import small_deap as small_deap
from test_datasets import small_stress as small_stress
from test_e4 import study as e4_study
from test_read_trials import write_long
from test_seed_corpora import mahnob as mahnob
from test_seed_corpora import written_mahnob as written_mahnob
from test_stress_corpora import small_case as small_case
from test_stress_corpora import small_freihaut as small_freihaut
from test_stress_corpora import small_stress_predict as small_stress_predict
from test_stress_corpora import small_wesad as small_wesad
from test_weights import respond

import edaemo.datasets
from edaemo import CvxEDATransformer
from edaemo.benchmark import evaluate
from edaemo.datasets import (
    CORPORA,
    add_signal,
    cut_window,
    load_e4,
    read_trials,
)
from edaemo.decomposition import decompose
from edaemo.features import EDAFeatureExtractor, scr_table
from edaemo.preprocessing import EDADecomposer, signal_quality

e4_study = e4_study

# Corpus → fixture, window, and the value of the first sample of the context of its second trial,
# which follows from the formula in the fixture.
WITH_CONTEXT = {
    # 0.001 µS a sample; the stage begins at 10 s.
    "stress-predict": ("small_stress_predict", (-2, 5), (10 - 2) * 4 / 1000),
    # Samples are counted; the task begins at 10.26 s, which is sample 41.
    "freihaut-goeritz": ("small_freihaut", (-2, 5), 41 - 8),
    # Samples are counted; the segments begin 5 s after the start and last 10 s.
    "wesad": ("small_wesad", (-2, 5), (5 + 10 - 2) * 4),
    # The blue screen before the second video is 11 and ends at 350 ms.
    "case": ("small_case", (-0.05, 0.1), 11 + 300e-6),
    # S02: TMCT begins 340 s after the start, at sample 1360; 0.001 µS a sample.
    "induced-stress": ("small_stress", (-2, 5), None),
    # Ohm of person 1 and video 17, the second in the order of presentation, 8 samples before it.
    "deap": ("small_deap", (-0.0625, 0.1), None),
    "amigos": ("small_amigos", (-5, 0.1), None),
    "mahnob-hci": ("mahnob", (-1, 2), None),
}
WITHOUT_CONTEXT = sorted(
    name for name, spec in CORPORA.items() if spec.has_eda and name not in WITH_CONTEXT
)
SETTINGS = {"wesad": {"segment": 10.0}}


def load(name, request, **settings):
    fixture, window, first = WITH_CONTEXT[name]
    place = request.getfixturevalue(fixture)
    loader = getattr(edaemo.datasets, CORPORA[name].loader)
    shared = {"allow_partial": True, **SETTINGS.get(name, {})}
    return window, first, lambda window: loader(place, window=window, **shared, **settings)


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_context_is_before_the_same_trial(name, request):
    (start, stop), first, load_with = load(name, request)
    plain, longer = load_with((0, stop)), load_with((start, stop))
    n_context = round(-start * longer.sampling_rate)
    assert (plain.context, longer.context) == (0, -start)
    pd.testing.assert_frame_equal(
        plain.trials.drop(columns="eda"), longer.trials.drop(columns="eda")
    )
    for cell, trial in zip(longer.trials["eda"], plain.trials["eda"], strict=True):
        assert len(cell) == n_context + len(trial)
        assert_array_equal(cell[n_context:], trial)
    assert longer.report.get("masked_samples") == plain.report.get("masked_samples")
    lacking = longer.report["missing_context"]
    counted = [int(np.isnan(cell[:n_context]).sum()) for cell in longer.trials["eda"]]
    assert lacking["n_missing"].tolist() == [n for n in counted if n]
    assert "missing_context" not in plain.report
    if first is not None:
        assert longer.trials["eda"][1][0] == pytest.approx(first, abs=1e-12)


def test_context_before_the_recording_is_missing_and_counted(small_stress_predict):
    study = edaemo.datasets.load_stress_predict(
        small_stress_predict, window=(-15, 5), allow_partial=True
    )
    baseline, stroop = study.trials["eda"][0], study.trials["eda"][1]
    assert_array_equal(baseline[:60], np.full(60, np.nan))  # the recording begins with it
    assert_array_equal(stroop[:20], np.full(20, np.nan))  # it begins 10 s later
    assert_allclose(stroop[20:], np.arange(60) / 1000)
    lacking = study.report["missing_context"]
    assert lacking[["subject", "stimulus", "n_missing", "n_samples"]].to_numpy().tolist() == [
        ["S02", "baseline", 60, 60],
        ["S02", "Stroop", 20, 60],
        ["S35", "baseline", 60, 60],
        ["S35", "Stroop", 20, 60],
    ]


def test_context_of_deap_and_amigos_is_what_their_files_have(small_deap, small_amigos):
    """Person 2 of DEAP has 16 samples a trial, none of them before the video."""
    rate = 128
    study = edaemo.datasets.load_deap(
        small_deap, window=(-8 / rate, 8 / rate), allow_partial=True, units="as_recorded"
    )
    for row in study.trials.itertuples():
        before = 10_000 + 1_000 * int(row.subject[1:]) + 100 * int(row.stimulus)
        expected = before + np.arange(-8.0, 8.0)
        if row.subject == "s02":
            expected[:8] = np.nan
        assert_array_equal(row.eda, expected)
    assert study.report["missing_context"]["n_missing"].tolist() == [8] * 40
    study = edaemo.datasets.load_amigos(
        small_amigos, window=(-0.5, 0.1), allow_partial=True, units="as_recorded"
    )
    # Sample k of a cell is 5000 + 400 person + 20 place + k modulo 17; the video begins at 640.
    assert_array_equal(
        np.unique([cell - cell[0] for cell in study.trials["eda"]], axis=0),
        [(np.arange(640 - 64, 640 + 13) % 17) - (640 - 64) % 17],
    )


def test_context_and_trial_share_a_cache_entry_with_nothing_else(small_deap, home):
    settings = {"allow_partial": True, "cache": home / "cache", "units": "as_recorded"}
    loads = [
        edaemo.datasets.load_deap(small_deap, window=window, **settings)
        for window in [(0, 0.1), (-0.0625, 0.1), (-0.03125, 0.1), (-0.0625, 0.1)]
    ]
    assert [len(study.trials["eda"][0]) for study in loads] == [13, 21, 17, 21]
    assert_array_equal(loads[1].trials["eda"][0], loads[3].trials["eda"][0])
    assert_array_equal(loads[1].trials["eda"][0][4:], loads[2].trials["eda"][0])


@pytest.mark.parametrize("name", WITHOUT_CONTEXT)
def test_corpora_without_samples_before_the_trial_refuse(name, tmp_path):
    loader = getattr(edaemo.datasets, CORPORA[name].loader)
    with pytest.raises(ValueError, match=r"starts 10 s before .* hold no samples before each"):
        loader(tmp_path, window=(-10, 25))


def test_start_before_the_samples_of_the_files_is_an_error(tmp_path):
    for loader, most in (("load_deap", 3), ("load_amigos", 5), ("load_mahnob_hci", 30)):
        with pytest.raises(ValueError, match=rf"at most {most} s before .* at least -{most}"):
            getattr(edaemo.datasets, loader)(tmp_path, window=(-most - 0.5, 25))
    with pytest.raises(ValueError, match=r"start < stop and 0 < stop"):
        edaemo.datasets.load_wesad(tmp_path, window=(-10, -5))
    trials = pd.DataFrame({"eda": [np.arange(100.0)]})
    with pytest.raises(ValueError, match="have no samples before their start"):
        cut_window(trials, 4, (-1, 5))


def test_context_of_an_e4_is_that_of_all_its_signals(e4_study):
    study = load_e4(e4_study, signals=("eda", "bvp", "heart_rate"), window=(-12, 5))
    first = study.trials.iloc[0]  # begins 10 s after the start
    assert_allclose(first["eda"], np.r_[[np.nan] * 8, np.arange(60) / 1000], atol=1e-12)
    bvp = np.arange(15 * 64) % 50 - 25
    assert_array_equal(first["bvp"], np.r_[[np.nan] * 128, bvp])
    assert_array_equal(first["heart_rate"], np.r_[[np.nan] * 12, 60 + np.arange(5)])
    assert (study.context, first["duration"]) == (12, 20)
    assert study.report["missing_context"]["n_missing"].tolist() == [8, 8]
    with pytest.raises(ValueError, match="have no samples before their start"):
        load_e4(e4_study, tags="ignore", window=(-12, 5))


def test_events_and_sliding_windows_have_a_context(tmp_path):
    """Each sample is its time in seconds."""
    write_long(tmp_path)
    (tmp_path / "events.csv").write_text(
        "subject,file,onset,stimulus,valence\na,a.csv,50,x,3\na,a.csv,4,y,4\n"
    )
    study = read_trials(tmp_path / "events.csv", window=(-10, 5), baseline=1)
    early, late = study.trials["eda"]
    assert_array_equal(early, np.r_[[np.nan] * 24, np.arange(36) / 4])
    assert_array_equal(late, 40 + np.arange(60) / 4)
    assert_array_equal(study.trials["eda_before"][1], 39 + np.arange(4) / 4)
    assert study.trials[["start", "stop", "duration"]].to_numpy().tolist() == [
        [-6, 9, 5],
        [40, 55, 5],
    ]
    assert study.context == 10
    assert "10 s before each trial" in repr(study)
    assert study.report["missing_context"]["n_missing"].tolist() == [24]
    table = pd.DataFrame({"subject": ["a"], "stimulus": ["day"], "file": ["a.csv"], "valence": [1]})
    study = read_trials(table, folder=tmp_path, length=40, window=(-10, 20))
    assert_array_equal(study.trials["eda"][0], np.r_[[np.nan] * 40, np.arange(80) / 4])
    assert_array_equal(study.trials["eda"][1], 30 + np.arange(120) / 4)
    assert study.trials["duration"].tolist() == [40, 40]
    assert study.report["overlaps"] == 1
    with pytest.raises(ValueError, match="have no samples before their start"):
        read_trials(table, folder=tmp_path, window=(-10, 20))
    with pytest.raises(ValueError, match=r"0 < stop, or None\. baseline="):
        read_trials(tmp_path / "events.csv", window=(-10, -5))


def test_arrays_that_begin_with_the_trials_do_not_fit_a_context(tmp_path):
    write_long(tmp_path)
    table = pd.DataFrame({"subject": ["a"], "stimulus": ["day"], "file": ["a.csv"], "valence": [1]})
    study = read_trials(table, folder=tmp_path, length=40, window=(-10, 20))
    with pytest.raises(ValueError, match="begin 10 s before their trials"):
        add_signal(study, "face", {}, sampling_rate=1)


# Decompositions


def recordings(n=4, n_missing=0):
    """Trials of 30 s after 20 s of context at 4 Hz, in µS, each with a response at its onset."""
    rng = np.random.default_rng(5)
    cells = []
    for row in range(n):
        phasic = respond([8.0, 18.5, 33.0], [0.4, 0.8 + 0.1 * row, 0.5], 50, 4.0)
        cells.append(2.0 + 0.3 * row + phasic + 0.003 * rng.standard_normal(200))
        cells[-1][:n_missing] = np.nan
    return cells


def test_missing_samples_at_the_start_of_a_context_are_left_out():
    cell = recordings(1)[0]
    cut = decompose(np.r_[[np.nan] * 30, cell[30:]], 4.0, context=20)
    expected = decompose(cell[30:], 4.0, context=12.5)
    assert_array_equal(cut.phasic, expected.phasic)
    assert_array_equal(
        decompose(np.r_[[np.nan] * 80, cell[80:]], 4.0, context=20).phasic,
        decompose(cell[80:], 4.0).phasic,
    )
    with pytest.raises(ValueError, match="y has 1 NaN"):
        decompose(np.r_[cell[:40], np.nan, cell[41:]], 4.0, context=20)


@pytest.mark.parametrize("method", ["cvxeda", "highpass", "median"])
def test_components_with_context_are_those_of_the_whole_recording(method):
    """In µS: phasic and tonic of the trial, as if the whole recording had been decomposed."""
    cells = recordings()
    decomposer = EDADecomposer(4, method=method)
    whole = decomposer.fit_transform(np.stack(cells)).reshape(4, 2, 200)
    cut = EDADecomposer(4, method=method, context=20).fit_transform(np.stack(cells))
    assert_allclose(cut.reshape(4, 2, 120), whole[:, :, 80:], atol=2e-5)
    table = pd.DataFrame({"subject": 1, "stimulus": 1, "trial": range(4), "eda": cells})
    of_table = EDADecomposer(4, method=method, context=20).fit_transform(table)["eda"]
    assert_array_equal(np.stack(of_table), cut.reshape(4, 2, 120))


def test_with_context_what_fades_from_before_is_not_a_response():
    """A response 1.5 s before the trial still rises at its onset."""
    cells = np.stack(recordings())
    parts = CvxEDATransformer(4, components=("driver",), trim_seconds=0, standardize_output=False)
    with_context = parts.set_params(context=20).fit_transform(cells)
    assert with_context.shape == (4, 120)
    alone = parts.set_params(context=0).fit_transform(cells[:, 80:])
    # The first two seconds hold only the end of the response; the next one is 13 s later.
    assert with_context[:, :8].sum() < 0.1 * alone[:, :8].sum()
    original = CvxEDATransformer(4, components=("original",), trim_seconds=0, context=20)
    channels = original.fit_transform(cells)
    assert_allclose(channels.mean(axis=1), 0, atol=1e-6)
    assert_allclose(channels.std(axis=1), 1, atol=1e-5)
    assert original.diagnostics_["n_missing"].tolist() == [0] * 4


def test_short_context_is_no_missing_sample():
    cells = recordings(2, n_missing=50)
    for transformer in (
        EDADecomposer(4, context=20),
        EDADecomposer(4, method="bandpass", context=20),
        CvxEDATransformer(4, context=20, repair="interpolate"),
        EDAFeatureExtractor(4, context=20),
        EDAFeatureExtractor(4, method="cvxeda", preset="level", context=20),
    ):
        rows = transformer.fit_transform(np.stack(cells))
        assert np.isfinite(rows).all()
        holes = np.stack(cells)
        holes[0, 60:63] = np.nan
        transformer.set_params(repair=None)
        with pytest.raises(ValueError, match="row 0: 3 of 150 samples are missing"):
            transformer.fit(holes)


def test_features_with_context_describe_the_trial():
    cells = np.stack(recordings())
    settings = {"sampling_rate": 4, "preset": "level", "method": "cvxeda"}
    names = list(EDAFeatureExtractor(**settings).get_feature_names_out())
    values = EDAFeatureExtractor(**settings, context=20).fit_transform(cells)
    trials = cells[:, 80:]
    column = dict(zip(names, values.T, strict=True))
    assert_allclose(column["eda_level_min"], trials.min(axis=1), rtol=1e-5)
    assert_allclose(column["eda_level_start"], trials[:, :4].mean(axis=1), rtol=1e-5)
    change = trials[:, 4:17].max(axis=1) - cells[:, 76:80].mean(axis=1)
    assert_allclose(column["eda_onset_level_change"], change, atol=1e-5)
    # The only response of each trial begins 13 s after its onset.
    assert_allclose(column["eda_response_rate"], 60 / 30)
    assert column["eda_onset_response"].tolist() == [0] * 4
    with pytest.raises(ValueError, match="context=20 does not suit preset='pmemo'"):
        EDAFeatureExtractor(4, preset="pmemo", context=20).fit(cells)


def test_events_at_the_onset_have_a_baseline_in_the_context():
    """One response of 0.6 µS, 2 s after the onset, on a level that is 1 µS."""
    phasic = respond([22.0], [0.6], 50, 4.0)
    study = edaemo.datasets.Study(
        trials=pd.DataFrame({"subject": [1], "stimulus": [1], "trial": [1], "eda": [1 + phasic]}),
        sampling_rate=4.0,
        context=20.0,
    )
    table = scr_table(study, method="cvxeda", events=[0.0, -10.0])
    assert table["onset"].tolist() == [0, -10]
    assert table["response"].tolist() == [True, False]
    assert table["baseline_level"].tolist() == pytest.approx([1, 1])
    assert table["level_change"][0] == pytest.approx(phasic[84:97].max())
    assert table["first_latency"][0] == pytest.approx(2, abs=0.5)
    alone = scr_table(study.trials["eda"].map(lambda eda: eda[80:]), 4, events=[0.0])
    assert np.isnan(alone["baseline_level"][0])
    study.trials["eda"] = [np.r_[[np.nan] * 60, 1 + phasic[60:]]]
    short = scr_table(study, method="cvxeda", events=[0.0, -10.0])
    assert short["complete"].tolist() == [True, False]
    assert short["missing_share"][0] == 0
    assert short["baseline_level"][0] == pytest.approx(1)


def test_rows_for_trials_describe_the_trials_alone():
    cells = recordings(2, n_missing=20)
    table = scr_table(np.stack(cells), 4, method="cvxeda", context=20)
    assert table["duration"].tolist() == [30, 30]
    assert table["n_responses"].tolist() == [1, 1]
    assert table["latency"].tolist() == pytest.approx([13, 13], abs=0.6)
    assert table["missing_share"].tolist() == [0, 0]
    spike = np.stack(recordings(1))
    spike[0, 40] += 30
    assert scr_table(spike, 4, context=20)["n_spikes"].tolist() == [0]
    assert scr_table(spike, 4, context=20)["repaired_share"].tolist() == [0]
    assert signal_quality(spike, 4, context=20)["n_samples"].tolist() == [120]
    with pytest.raises(ValueError, match="the context takes 200: none is left"):
        signal_quality(spike, 4, context=50)


def test_evaluation_passes_the_context_on_and_keeps_it_in_its_keys(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        {
            "subject": person,
            "stimulus": str(trial % 2),
            "trial": trial,
            "eda": 2
            + respond([6.0, 20.0], [0.5, 0.2 + trial % 2], 40, 4.0)
            + 0.01 * rng.standard_normal(160),
        }
        for person in range(4)
        for trial in range(4)
    ]
    trials = pd.DataFrame(rows)
    ratings = pd.DataFrame({"valence": [1.0 + 4 * (row["trial"] % 2) for row in rows]})
    ratings["arousal"] = ratings["valence"]
    study = edaemo.datasets.Study(
        name="with context",
        trials=trials,
        ratings=ratings,
        targets={"valence": ratings["valence"]},
        sampling_rate=4.0,
    )
    seen = []
    transform = EDAFeatureExtractor.transform

    def spy(extractor, X):
        seen.append(extractor.context)
        return transform(extractor, X)

    monkeypatch.setattr(EDAFeatureExtractor, "transform", spy)
    settings = {"n_splits": 2, "n_jobs": 1, "store": tmp_path / "s.sqlite", "progress": False}
    for context, expected in ((10.0, [10.0]), (0.0, [10.0, 0.0]), (10.0, [10.0, 0.0])):
        study.context = context
        evaluate("svm-eda", study, **settings)
        assert seen == expected  # the third call finds the folds of the first in the store
