"""The comparison and the command line."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.utils import Bunch

from edaemo.benchmark import (
    MODELS,
    ComparisonError,
    StimulusPriorClassifier,
    _compare,
    compare,
    make_time_baseline,
)
from edaemo.benchmark._compare import make_labels
from edaemo.benchmark._scores import bootstrap_scores
from edaemo.cli import main
from edaemo.datasets import load_induced_stress

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

CHEAP = ["majority", "time", "stimulus-prior", "svm-music"]


@pytest.fixture
def small(few: Bunch) -> Bunch:
    """Six people of HKU956 as a study of its own."""
    return Bunch(
        name="small",
        trials=few.trials,
        ratings=few.ratings,
        targets={name: few.ratings[name] for name in ("arousal", "valence")},
        music=few.music,
        sampling_rate=few.sampling_rate,
        rating_range=(-10.0, 10.0),
    )


def run(study: Bunch, out: Path, **settings: object) -> pd.DataFrame:
    settings = {"models": CHEAP, "n_folds": 3, "n_jobs": 1, "max_epochs": 1} | settings
    return compare(study, "arousal", out=out, progress=False, **settings)


def test_scores_are_those_of_scikit_learn_on_the_pooled_predictions(small, tmp_path):
    table = run(small, tmp_path).set_index("model")
    predictions = pd.read_csv(tmp_path / "small" / "arousal" / "predictions.csv")
    assert list(table.index) == CHEAP
    for model, own in predictions.groupby("model"):
        assert len(own) == len(small.trials)
        for name, metric in [
            ("accuracy", accuracy_score),
            ("balanced_accuracy", balanced_accuracy_score),
            ("f1", f1_score),
        ]:
            assert_allclose(table.loc[model, name], metric(own["label"], own["predicted"]))
            low, high = table.loc[model, [f"{name}_low", f"{name}_high"]]
            assert low <= table.loc[model, name] <= high
    labels = predictions.query("model == 'time'")["label"]
    assert_allclose(table["majority_rate"], max(labels.mean(), 1 - labels.mean()))
    assert_allclose(table["n_people"], 6)
    stored = pd.read_csv(tmp_path / "small" / "arousal" / "table.csv", index_col="model")
    assert_allclose(stored["f1"], table["f1"])


def test_all_models_are_tested_on_the_same_folds_of_whole_people(small, tmp_path):
    run(small, tmp_path)
    folds: dict[str, set] = {}
    subject = small.trials["subject"].to_numpy()
    for file in (tmp_path / "small" / "arousal" / "folds").iterdir():
        record = json.loads(file.read_text())
        training, test = subject[record["training"]], subject[record["test"]]
        assert not set(training) & set(test)
        assert sorted(record["training"] + record["test"]) == list(range(len(subject)))
        folds.setdefault(record["model"], set()).add(tuple(record["test"]))
    assert set(folds) == set(CHEAP)
    assert all(tests == folds["majority"] for tests in folds.values())
    assert sorted(sum(folds["majority"], ())) == list(range(len(subject)))


def test_songs_seen_in_training_are_counted_for_models_that_know_the_song(small, tmp_path):
    table = run(small, tmp_path).set_index("model")
    people_in_fold = [
        set(small.trials["subject"].iloc[json.loads(f.read_text())["test"]])
        for f in (tmp_path / "small" / "arousal" / "folds").glob("majority-*")
    ]
    fold = {person: k for k, people in enumerate(people_in_fold) for person in people}
    heard_in = small.trials.groupby("stimulus")["subject"].agg(lambda s: len(set(s.map(fold))))
    assert table.loc["svm-music", "stimuli_seen"] == (heard_in > 1).sum()
    assert table.loc["svm-music", "n_stimuli"] == len(heard_in)
    assert pd.isna(table.loc["time", "stimuli_seen"])


def test_rtcan_in_worker_processes_gives_the_same_table(small, tmp_path):
    settings = {"models": ["rtcan-eda", "rtcan-eda-music"], "n_folds": 2}
    one = run(small, tmp_path / "one", n_jobs=1, **settings)
    two = run(small, tmp_path / "two", n_jobs=2, **settings)
    pd.testing.assert_frame_equal(one.drop(columns="fit_seconds"), two.drop(columns="fit_seconds"))


def test_each_trial_is_decomposed_once_for_all_folds_and_models(small, tmp_path, monkeypatch):
    from edaemo.preprocessing import _cvxeda

    calls = []
    original = _cvxeda.decompose_many

    def note(trials: list, *rest: object, **settings: object) -> list:
        calls.extend(trials)
        return original(trials, *rest, **settings)

    monkeypatch.setattr(_cvxeda, "_cache", _cvxeda.TrialCache(0))
    monkeypatch.setattr(_cvxeda, "decompose_many", note)
    run(small, tmp_path, models=["rtcan-eda", "rtcan-eda-music", "time"])
    assert len(calls) == len(small.trials)


def test_finished_folds_are_not_computed_again(small, tmp_path, monkeypatch):
    first = run(small, tmp_path)
    gone = sorted((tmp_path / "small" / "arousal" / "folds").glob("svm-music-1-*"))
    assert len(gone) == 1
    gone[0].unlink()
    computed = []
    original = _compare._run_fold

    def note(file: Path, *rest: object) -> None:
        computed.append(file)
        original(file, *rest)

    monkeypatch.setattr(_compare, "_run_fold", note)
    again = run(small, tmp_path)
    assert computed == gone
    pd.testing.assert_frame_equal(
        first.drop(columns="fit_seconds"), again.drop(columns="fit_seconds")
    )
    run(small, tmp_path, random_state=1)
    assert len(computed) == 1 + 12  # nothing stored under another seed is taken for this one's


def test_changed_data_are_never_answered_from_the_store(small, tmp_path, monkeypatch):
    run(small, tmp_path, models=["time"])
    computed = []
    monkeypatch.setattr(_compare, "_run_fold", lambda file, *rest: computed.append(file))
    small.trials = small.trials.assign(trial=small.trials["trial"] + 1)
    with pytest.raises(FileNotFoundError):
        run(small, tmp_path, models=["time"])
    assert len(computed) == 3


def test_spoilt_record_is_named(small, tmp_path):
    run(small, tmp_path, models=["time"])
    file = next((tmp_path / "small" / "arousal" / "folds").iterdir())
    file.write_text(file.read_text()[:100])
    with pytest.raises(ComparisonError, match=file.name):
        run(small, tmp_path, models=["time"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": ["svm"]}, "no model 'svm'"),
        ({"n_folds": 7}, "6 people"),
        ({"n_folds": 1}, "6 people"),
    ],
)
def test_what_cannot_be_compared_is_said(small, tmp_path, settings, message):
    with pytest.raises(ComparisonError, match=message):
        run(small, tmp_path, **settings)


def test_music_models_need_music_and_targets_must_exist(small, tmp_path):
    small.music = None
    with pytest.raises(ComparisonError, match="svm-music needs music, and small has none"):
        run(small, tmp_path)
    table = run(small, tmp_path, models=None, n_folds=2)
    assert len(table) == 16
    assert not table["model"].str.contains("music").any()
    assert table.set_index("model")["transductive"].sum() == 4
    with pytest.raises(ComparisonError, match=r"no target 'stress'.*arousal"):
        compare(small, "stress", out=tmp_path)


def test_labels_of_the_stress_study():
    study = load_induced_stress()
    task = make_labels(study, "task")
    assert task.sum() == 162
    assert not task[study.trials["stimulus"].isin(["Baseline", "First Rest", "Second Rest"])].any()
    stress = make_labels(study, "stress")
    assert_array_equal(stress, study.ratings["stress"] > 5)


def test_stimulus_that_gives_the_label_away_is_told(tmp_path):
    study = load_induced_stress()
    with pytest.warns(UserWarning, match="stimulus-prior is right by definition"):
        table = compare(
            study, "task", models=["stimulus-prior"], out=tmp_path, progress=False, n_jobs=1
        )
    assert table.loc[0, "accuracy"] == 1


class TestBaselines:
    def test_stimulus_prior_is_the_mean_label_of_the_song_among_training_people(self):
        song = pd.DataFrame({"stimulus": list("aaabbc")})
        model = StimulusPriorClassifier().fit(song, [1, 1, 0, 0, 0, 1])
        shares = model.predict_proba(pd.DataFrame({"stimulus": list("abcz")}))
        assert_allclose(shares[:, 1], [2 / 3, 0, 1, 3 / 6])
        # z was never met and the classes are even in training: the first class
        assert_array_equal(model.predict(pd.DataFrame({"stimulus": list("abcz")})), [1, 0, 1, 0])

    def test_tie_within_a_song_goes_to_the_class_more_frequent_in_training(self):
        song = pd.DataFrame({"stimulus": list("aabb")})
        model = StimulusPriorClassifier().fit(song, ["no", "yes", "yes", "yes"])
        assert list(model.predict(pd.DataFrame({"stimulus": ["a", "z"]}))) == ["yes", "yes"]

    def test_time_knows_the_place_in_the_session_and_nothing_else(self, small):
        y = make_labels(small, "arousal")
        expected = make_time_baseline().fit(small.trials, y).predict(small.trials)
        shuffled = small.trials.assign(
            **small.trials[["subject", "stimulus", "eda"]]
            .sample(frac=1, random_state=0)
            .reset_index(drop=True)
        )
        model = make_time_baseline().fit(shuffled, y)
        assert_array_equal(model.predict(shuffled), expected)
        assert len(np.unique(expected)) == 2
        by_place = pd.Series(expected).groupby(small.trials["trial"].to_numpy()).nunique()
        assert (by_place == 1).all()


class TestIntervals:
    def test_people_are_drawn_whole(self):
        """Four people all right, four all wrong: the interval is a binomial's of 8 draws."""
        subject = np.repeat(np.arange(8), 50)
        labels = np.tile([0, 1], 200)
        predicted = np.where(subject < 4, labels, 1 - labels)
        scores = bootstrap_scores(labels, predicted, subject, random_state=0)
        assert scores["accuracy"] == 0.5
        # P(at most 1 of 8) = 0.035, P(none) = 0.004: the 2.5th percentile is 1/8
        assert (scores["accuracy_low"], scores["accuracy_high"]) == (1 / 8, 7 / 8)

    def test_people_who_are_all_alike_leave_no_doubt(self):
        subject = np.repeat(np.arange(5), 4)
        labels, predicted = np.tile([0, 0, 1, 1], 5), np.tile([0, 1, 1, 1], 5)
        scores = bootstrap_scores(labels, predicted, subject, random_state=0)
        for name, score in [("accuracy", 0.75), ("balanced_accuracy", 0.75), ("f1", 0.8)]:
            values = [scores[name], scores[f"{name}_low"], scores[f"{name}_high"]]
            assert_allclose(values, score)

    def test_interval_agrees_with_plain_resampling(self):
        rng = np.random.default_rng(1)
        subject = rng.integers(12, size=300)
        labels = rng.integers(2, size=300)
        predicted = np.where(rng.random(300) < 0.5 + 0.03 * subject, labels, 1 - labels)
        scores = bootstrap_scores(labels, predicted, subject, random_state=0)
        rows = [np.flatnonzero(subject == person) for person in range(12)]
        draws = []
        for _ in range(2000):
            drawn = np.concatenate([rows[i] for i in rng.integers(12, size=12)])
            draws.append(f1_score(labels[drawn], predicted[drawn]))
        expected = np.percentile(draws, [2.5, 97.5])
        assert_allclose([scores["f1_low"], scores["f1_high"]], expected, atol=0.015)


class TestCommandLine:
    def test_prints_tables_and_writes_rows_and_figure(self, tmp_path, capsys):
        arguments = ["compare", "hku956", "--target", "arousal", "--models", *CHEAP]
        assert main([*arguments, "--folds", "3", "--jobs", "1", "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert "hku956, arousal: 30 people, 956 trials" in printed
        assert "songs seen in training" in printed
        assert "* Transductive" not in printed
        for model in CHEAP:
            assert f"\n| {model} " in printed
        place = tmp_path / "hku956" / "arousal"
        assert len(pd.read_csv(place / "table.csv")) == 4
        assert (place / "figure.png").read_bytes().startswith(b"\x89PNG")

    def test_transductive_models_are_marked(self, tmp_path, capsys):
        arguments = ["compare", "induced-stress", "--target", "task", "--jobs", "1"]
        models = ["logistic-eda-person", "logistic-eda-calibrated"]
        assert main([*arguments, "--models", *models, "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert "| logistic-eda-person * " in printed
        assert "| logistic-eda-calibrated |" in printed
        assert "* Transductive: all of a test person's unlabelled trials set the scale." in printed

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--target", "boredom"], "no target 'boredom'"),
            (["--models", "oracle"], "no model 'oracle'"),
            (["--path", "nowhere"], "path='nowhere' does not hold hku956"),
            (["--folds", "31"], "2 to 30 folds"),
        ],
    )
    def test_wrong_arguments_end_with_one_line(self, tmp_path, capsys, arguments, message):
        with pytest.raises(SystemExit) as ended:
            main(["compare", "hku956", "--out", str(tmp_path), *arguments])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.startswith("edaemo: error:")

    def test_ctrl_c_keeps_finished_folds_and_the_same_command_goes_on(self, tmp_path):
        command = [sys.executable, "-m", "edaemo.cli", "compare", "induced-stress", "--target"]
        command += ["task", "--models", "rtcan-eda", "--folds", "4", "--epochs", "6", "--out"]
        folds = tmp_path / "broken" / "induced-stress" / "task" / "folds"
        process = subprocess.Popen(
            [*command, str(tmp_path / "broken")],
            stdout=subprocess.PIPE,
            text=True,
            # A job in the background of a shell would ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and not list(folds.glob("rtcan-*")):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 130, printed
        assert "goes on from there" in printed
        kept = {file.name: file.stat().st_mtime_ns for file in folds.glob("rtcan-*")}
        assert 1 <= len(kept) < 4
        for place in ("broken", "whole"):
            subprocess.run([*command, str(tmp_path / place)], check=True, capture_output=True)
        after = {file.name: file.stat().st_mtime_ns for file in folds.glob("rtcan-*")}
        assert len(after) == 4
        assert kept.items() <= after.items()
        broken, whole = (
            pd.read_csv(tmp_path / place / "induced-stress" / "task" / "predictions.csv")
            for place in ("broken", "whole")
        )
        pd.testing.assert_frame_equal(broken, whole)

    def test_every_model_has_a_name_that_the_table_can_show(self):
        assert all(name == name.lower() and " " not in name for name in MODELS)
