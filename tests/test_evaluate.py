"""The evaluation: protocols, reference rows, labels, people, and what cannot be evaluated."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import Bunch

from edaemo import SubjectThresholdRelabeler
from edaemo.benchmark import (
    PIPELINES,
    EvaluationError,
    ResultStore,
    evaluate,
    make_svm_baseline,
)
from edaemo.datasets import load_induced_stress, select_people
from edaemo.evaluation._targets import make_target
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import SubjectKFold
from edaemo.statistics import Binary, format_table, score_trials
from edaemo.statistics._scores import adjust_holm, p_above
from edaemo.statistics._tables import format_p

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*exactly on the arousal threshold:UserWarning"),
]

REFERENCES = ["majority", "trial-order", "duration", "stimulus-prior"]


@pytest.fixture
def small(few: Bunch) -> Bunch:
    """Six people of HKU956 as a study of its own, without development people."""
    return Bunch(
        name="small",
        trials=few.trials.copy(),
        ratings=few.ratings,
        targets={name: few.ratings[name] for name in ("arousal", "valence")},
        music=few.music,
        sampling_rate=few.sampling_rate,
        rating_range=(-10.0, 10.0),
    )


@pytest.fixture
def run(tmp_path):
    def run(
        study: Bunch, pipelines: object = "svm-music", protocols: object = "subject", **settings
    ) -> pd.DataFrame:
        settings = {"targets": "arousal", "n_splits": 3, "n_jobs": 1, "max_epochs": 1} | settings
        return evaluate(pipelines, study, protocols=protocols, store=tmp_path / "s", **settings)

    return run


@pytest.fixture
def stored(tmp_path):
    def stored() -> tuple[pd.DataFrame, pd.DataFrame]:
        with ResultStore(tmp_path / "s") as store:
            folds, predictions = store.folds(), store.predictions()
        return folds, predictions.merge(folds[["key", "pipeline", "protocol", "repeat"]], on="key")

    return stored


def average_folds(predictions: pd.DataFrame) -> float:
    """Return the mean over folds of scikit-learn's score, weighted by pairs of high and low."""
    scores, n_pairs = [], []
    for _, fold in predictions.groupby("key"):
        labels = fold["label"].astype(int)
        scores.append(balanced_accuracy_score(labels, fold["predicted"]))
        n_pairs.append(labels.sum() * (1 - labels).sum())
    return np.average(scores, weights=n_pairs)


class TestTable:
    def test_scores_are_those_of_the_pooled_predictions(self, small, run, stored):
        table = run(small).set_index("pipeline")
        assert list(table.index) == [*REFERENCES, "svm-music"]
        for name, own in stored()[1].groupby("pipeline"):
            assert sorted(own["row"]) == list(range(len(small.trials)))
            expected = average_folds(own)
            assert_allclose(table.loc[name, "balanced_accuracy"], expected)
            each = own.astype({"label": int}).groupby("subject")
            by_person = each.apply(
                lambda one: recall_score(one["label"], one["predicted"], average="macro")
            )
            assert_allclose(table.loc[name, "balanced_accuracy_by_person"], by_person.mean())
        assert (table["n_people"] == 6).all()
        assert (table["n_failed"] == 0).all()
        share = own["label"].mean()
        assert_allclose(table["majority_rate"], max(share, 1 - share))

    def test_what_needs_no_eda_is_in_every_table(self, small, run):
        told = {"subject": 0, "stimulus": 1, "trial": 1, "subject+stimulus": 0}
        table = run(small, "svm-music", list(told))
        for protocol, sees_person in told.items():
            rows = list(table.loc[table["protocol"] == protocol, "pipeline"])
            assert set(REFERENCES) <= set(rows)
            assert ("subject-prior" in rows) == sees_person

    def test_duration_takes_part_where_lengths_differ(self, small, run):
        small.trials = small.trials.assign(duration=25.0)
        assert "duration" not in set(run(small)["pipeline"])

    def test_what_leaks_says_so_wherever_it_is_shown(self, small, run, stored):
        table = run(small, "svm-music", "trial")
        assert (table["warning"] == "leaks subjects and stimuli").all()
        assert "leaks subjects and stimuli" in format_table(table)
        assert all(said["warning"] == "leaks subjects and stimuli" for said in stored()[0]["audit"])
        clean = run(small)
        assert (clean["warning"] == "").all()
        assert "leaks" not in format_table(clean)

    def test_songs_seen_in_training_are_counted(self, small, run, stored):
        table = run(small, ["svm-music"], ["subject", "subject+stimulus"])
        table = table.set_index(["protocol", "pipeline"])
        _, predictions = stored()
        own = predictions.query("pipeline == 'svm-music' and protocol == 'subject'")
        fold = own.set_index("subject")["key"].to_dict()
        heard = small.trials.groupby("stimulus")["subject"].agg(lambda s: len({fold[i] for i in s}))
        assert table.loc[("subject", "svm-music"), "stimuli_seen"] == (heard > 1).sum()
        assert table.loc[("subject", "svm-music"), "n_stimuli"] == len(heard)
        assert table.loc[("subject+stimulus", "svm-music"), "stimuli_seen"] == 0
        assert pd.isna(table.loc[("subject", "trial-order"), "stimuli_seen"])
        said = format_table(table.reset_index().query("protocol == 'subject'"))
        assert "songs seen in training" in said
        assert f"{(heard > 1).sum()} of {len(heard)}" in said

    def test_rows_that_a_protocol_costs_are_reported(self, small, run):
        table = run(small, "svm-music", "subject+stimulus")
        row = table.iloc[0]
        assert row["n_training"] + row["left_out"] < row["n_trials"]
        assert row["left_out"] > 0.2 * row["n_trials"]
        assert f"{row['left_out']:.0f} are on neither side" in format_table(table)

    def test_verdicts_follow_from_the_tests_over_people(self, small, run, stored):
        pipelines = ["logistic-eda", "svm-eda", "svm-music", "svm-eda-music"]
        table = run(small, pipelines).set_index("pipeline")
        by_person = {
            name: score_trials(
                Binary(), own[["label", "predicted", "subject"]]
            ).by_person.to_numpy()
            for name, own in stored()[1].groupby("pipeline")
        }
        for reference in REFERENCES:
            p = adjust_holm([p_above(by_person[name], by_person[reference]) for name in pipelines])
            assert_allclose(table.loc[pipelines, f"p_above_{reference.replace('-', '_')}"], p)
        assert table["reads_eda"].notna().sum() == 3 and table["music_helps"].notna().sum() == 2
        assert table.loc[REFERENCES, "reads_eda"].isna().all()
        eda, music = [*REFERENCES, "svm-music"], [*REFERENCES, "logistic-eda", "svm-eda"]
        rivals = {
            **{("reads_eda", name): eda for name in ("logistic-eda", "svm-eda", "svm-eda-music")},
            ("music_helps", "svm-music"): REFERENCES,
            ("music_helps", "svm-eda-music"): music,
        }
        alone = {
            (claim, name): max(p_above(by_person[name], by_person[rival]) for rival in of)
            for (claim, name), of in rivals.items()
        }
        for (claim, name), p in zip(alone, adjust_holm(list(alone.values())), strict=True):
            assert_allclose(table.loc[name, f"p_{claim}_alone"], alone[claim, name])
            assert_allclose(table.loc[name, f"p_{claim}"], p)
        assert (table["family"] == ", ".join(pipelines)).all() and (
            table["family_added"] == ""
        ).all()

    def test_above_time_alone_is_not_reading_eda(self, run):
        """Where `trial-order` is below chance, what guesses is above it and yet reads nothing."""
        study = select_people(load_induced_stress(), "evaluation")
        table = run(study, ["logistic-eda"], "within-subject", targets="task", n_splits=5)
        row = table.set_index("pipeline").loc["logistic-eda"]
        assert row["p_above_trial_order"] < 0.05
        assert row["p_above_majority"] > 0.05
        assert not row["reads_eda"]

    def test_repeats_use_other_folds_and_seeds_and_are_pooled(self, small, run, stored):
        table = run(small, "cnn-eda", "trial", n_repeats=2, n_splits=2).set_index("pipeline")
        folds, predictions = stored()
        own = predictions[predictions["pipeline"] == "cnn-eda"]
        assert len(own) == 2 * len(small.trials)
        first, second = (
            set(rows.groupby("key")["row"].agg(tuple)) for _, rows in own.groupby("repeat")
        )
        assert first.isdisjoint(second)
        assert sorted(set(folds["seed"])) == [0, 1]
        assert_allclose(table.loc["cnn-eda", "balanced_accuracy"], average_folds(own))
        assert (table["n_repeats"] == 2).all()


class TestLabels:
    def test_each_person_has_a_threshold_unless_a_number_is_given(self, small, run, stored):
        table = run(small, "svm-music", thresholds=["subject", 5.0])
        assert list(table.drop_duplicates("threshold")["threshold"]) == ["subject", 5.0]
        folds, _ = stored()
        with_number = set(folds.loc[folds["threshold"] == "5.0", "key"])
        _, predictions = stored()
        chosen = predictions["key"].isin(with_number) & (predictions["pipeline"] == "trial-order")
        own = predictions[chosen].sort_values("row")
        assert_array_equal(own["label"].astype(bool), small.ratings["arousal"] > 5)
        expected = SubjectThresholdRelabeler(target="arousal").fit_relabel(
            small.ratings, subject=small.trials["subject"]
        )
        chosen = ~predictions["key"].isin(with_number) & (predictions["pipeline"] == "trial-order")
        assert_array_equal(predictions[chosen].sort_values("row")["label"], expected)
        assert "above 5.0" in format_table(table[table["threshold"] == 5.0])

    def test_classes_and_other_ratings(self):
        study = load_induced_stress()
        task = make_target(study, "task", None).labels
        assert task.sum() == 162
        rests = study.trials["stimulus"].isin(["Baseline", "First Rest", "Second Rest"])
        assert not task[rests].any()
        stress = make_target(study, "stress", None).labels
        assert_array_equal(stress, study.ratings["stress"] > 5)

    def test_threshold_that_leaves_one_class_is_refused(self, small, run):
        with pytest.raises(ValueError, match=r"get the label 0 for target='arousal'"):
            run(small, thresholds=10.0)


class TestPeople:
    def test_development_people_and_the_others(self, small, run, stored):
        people = tuple(small.trials["subject"].unique())
        small.development = people[:2]
        for asked, expected in [
            ("evaluation", people[2:]),
            ("development", people[:2]),
            ("all", people),
        ]:
            table = run(small, people=asked, n_splits=2)
            assert (table["people"] == asked).all()
            assert (table["n_people"] == len(expected)).all()
        folds, _ = stored()
        for asked, own in folds.groupby("people"):
            met = set(own["training_subjects"].sum()) | set(own["test_subjects"].sum())
            assert met == set(
                {"evaluation": people[2:], "development": people[:2]}.get(asked, people)
            )

    def test_bundled_studies_report_half_of_their_people(self, run):
        table = run("induced-stress", "trial-order", targets="task")
        assert (table["n_people"] == 18).all()


class TestPipelines:
    def test_an_object_takes_raw_trials_and_goes_by_its_class_or_name(self, small, run):
        features = EDAFeatureExtractor(sampling_rate=small.sampling_rate)
        by_hand = make_svm_baseline(eda=features)
        table = run(small, [{"mine": by_hand}, "svm-eda"]).set_index("pipeline")
        scores = ["accuracy", "balanced_accuracy", "f1"]
        assert_allclose(
            table.loc["mine", scores].astype(float), table.loc["svm-eda", scores].astype(float)
        )
        assert "Pipeline" in set(run(small, make_svm_baseline(eda=features))["pipeline"])

    def test_music_in_an_object_is_noticed(self, small, run):
        table = run(small, {"mine": make_svm_baseline(music=small.music)}).set_index("pipeline")
        assert pd.notna(table.loc["mine", "p_above_stimulus_prior"])
        assert pd.notna(table.loc["mine", "stimuli_seen"])

    def test_without_predict_proba_there_are_no_probabilities(self, small, run, stored):
        features = EDAFeatureExtractor(sampling_rate=small.sampling_rate)
        pipelines = {
            "no": make_pipeline(features, SVC()),
            "yes": make_pipeline(features, LogisticRegression(max_iter=5000)),
        }
        table = run(small, pipelines).set_index("pipeline")
        assert table.loc[["no", "yes"], "balanced_accuracy"].notna().all()
        _, predictions = stored()
        by_pipeline = predictions.groupby("pipeline")["probability"]
        assert by_pipeline.get_group("no").isna().all()
        assert_allclose([sum(p) for p in by_pipeline.get_group("yes")], 1)

    def test_all_that_the_study_has_the_data_for(self, small, run):
        small.music = None
        table = run(small, None, n_splits=2)
        assert not table["pipeline"].str.contains("music").any()
        usual = [name for name, entry in PIPELINES.items() if not entry.on_request]
        with_music = [name for name in usual if "music" in name]
        assert len(with_music) == 4
        # and subject-prior, and trial-order-reversed, since there is one order only
        assert len(table) == len(usual) - len(with_music) - 2
        assert set(table.loc[table["transductive"], "pipeline"]) == {
            *(f"{name}-eda-person" for name in ("svm", "cnn", "logistic", "boosting")),
            "recommended",
            "level-person",
        }

    @pytest.mark.same_bits
    def test_worker_processes_give_the_same_table(self, small, run, tmp_path):
        pipelines = ["rtcan-eda", "rtcan-eda-music", "logistic-eda"]
        one = run(small, pipelines, n_splits=2)
        settings = {"n_splits": 2, "max_epochs": 1}
        two = evaluate(pipelines, small, "arousal", store=tmp_path / "two", n_jobs=2, **settings)
        pd.testing.assert_frame_equal(
            one.drop(columns="fit_seconds"), two.drop(columns="fit_seconds")
        )

    def test_each_trial_is_decomposed_once_for_all(self, small, run, monkeypatch):
        from edaemo.decomposition import _cvxeda
        from edaemo.preprocessing import _decomposed

        calls = []
        original = _cvxeda.solve_many

        def note(trials: list, *rest: object, **settings: object) -> list:
            calls.extend(trials)
            return original(trials, *rest, **settings)

        monkeypatch.setattr(_decomposed, "_cache", _decomposed.TrialCache(0))
        monkeypatch.setattr(_cvxeda, "solve_many", note)
        run(small, ["rtcan-eda", "rtcan-eda-music"], ["subject", "stimulus"], n_splits=2)
        assert len(calls) == len(small.trials)


class TestProtocols:
    @pytest.mark.parametrize("viewing_group", [False, True])
    def test_units_stay_on_one_side(self, small, run, stored, viewing_group):
        people = sorted(small.trials["subject"].unique())
        if viewing_group:
            groups = dict(zip(people, ["a", "a", "b", "b", None, None], strict=True))
            small.trials = small.trials.assign(viewing_group=small.trials["subject"].map(groups))
        run(small)
        folds, _ = stored()
        for training, test in zip(folds["training_subjects"], folds["test_subjects"], strict=True):
            assert not set(training) & set(test)
            if viewing_group:
                assert (people[0] in test) == (people[1] in test)
                assert (people[2] in test) == (people[3] in test)

    def test_all_pipelines_are_tested_on_the_same_trials(self, small, run, stored):
        run(small, ["svm-music", "logistic-eda"], ["subject", "subject+stimulus"])
        _, predictions = stored()
        for _, own in predictions.groupby("protocol"):
            tests = own.groupby(["pipeline", "key"])["row"].agg(frozenset)
            by_pipeline = tests.groupby(level="pipeline").agg(frozenset)
            assert len(set(by_pipeline)) == 1

    def test_splitter_objects_are_taken_too(self, small, run):
        named, given = run(small), run(small, protocols=SubjectKFold(3))
        pd.testing.assert_frame_equal(named, given)

    def test_the_audit_is_stored(self, small, run, stored):
        run(small)
        told = pd.DataFrame(stored()[0]["audit"].tolist())
        assert (told["subjects_shared"] == 0).all()
        assert (told["n_training"] + told["n_test"] == len(small.trials)).all()
        assert (told["recordings_shared"] == 0).all()


class TestRefused:
    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"pipelines": "svm-musik"}, "Unknown pipeline 'svm-musik': did you mean 'svm-music'"),
            ({"studies": "hku965"}, "Unknown study 'hku965': did you mean 'hku956'"),
            ({"studies": 3}, "A study must be a name"),
            ({"targets": "boredom"}, "Unknown target of small 'boredom'.*arousal"),
            ({"protocols": "subjects"}, "Unknown protocol 'subjects': did you mean 'subject'"),
            ({"protocols": KFold(3)}, "A protocol must be a name"),
            ({"people": "some"}, "people='some' must be one of"),
            ({"n_splits": 7}, "n_splits=7, but there are 6 people"),
            ({"n_splits": 1}, "n_splits must be an integer of at least 2, got 1"),
            ({"n_repeats": 0}, "n_repeats=0"),
            ({"n_repeats": 1.5}, "n_repeats=1.5 must be an integer of at least 1"),
            ({"max_epochs": 0}, "max_epochs=0 must be an integer of at least 1"),
            ({"random_state": None}, "random_state=None must be an integer of at least 0"),
            ({"min_stability": "0.5"}, "min_stability='0.5' must be from 0 to 1"),
            ({"margin": "0.05"}, "margin='0.05' must be a number above 0"),
            ({"pipelines": SVC}, "A pipeline must be a scikit-learn classifier"),
            ({"pipelines": {"trial-order": SVC()}}, "a pipeline 'trial-order' already"),
            ({"pipelines": [SVC(), SVC(C=2)]}, "There is a pipeline 'SVC' already"),
            ({"studies": Bunch(name="empty", trials=pd.DataFrame())}, "'empty' has no ratings"),
        ],
    )
    def test_what_cannot_be_evaluated_is_said(self, small, tmp_path, asked, message):
        settings = {"pipelines": "svm-music", "studies": small, "targets": "arousal"} | asked
        with pytest.raises(ValueError, match=message):
            evaluate(**settings, store=tmp_path / "s")
        assert not (tmp_path / "s").exists()

    def test_subject_and_stimulus_needs_stimuli(self, small, run):
        small.trials = small.trials.drop(columns="stimulus")
        with pytest.raises(ValueError, match="needs to know the stimulus of each trial"):
            run(small, "logistic-eda", "subject+stimulus")
        assert "stimulus-prior" not in set(run(small, "logistic-eda")["pipeline"])

    def test_music_pipelines_need_music(self, small, run):
        small.music = None
        with pytest.raises(EvaluationError, match="svm-music needs music, and small has no music"):
            run(small)

    def test_fold_that_would_train_on_one_class_is_named(self, small, run):
        """All high ratings are one person's: nobody else can teach what high is."""
        subject = small.trials["subject"]
        small.targets = {"odd": pd.Series(np.where(subject == subject[0], "high", "a low one"))}
        with pytest.raises(EvaluationError, match=r"in 1 of 3 folds.*all of one class"):
            run(small, targets="odd")

    def test_identical_recordings_on_both_sides_are_refused(self, small, run, tmp_path):
        people = small.trials["subject"].unique()
        first = [np.flatnonzero(small.trials["subject"] == person)[0] for person in people[:4]]
        for row in first[1:]:
            small.trials.at[row, "eda"] = small.trials.at[first[0], "eda"].copy()
        with pytest.raises(EvaluationError, match=r"identical recordings? in both"):
            run(small)
        assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "several", [np.array, pd.Index, pd.Series, lambda names: {names[0]: 0}.keys()]
)
def test_names_in_any_sequence(small, run, several):
    names = {"targets": several(["arousal"]), "protocols": several(["subject"])}
    expected = run(small, "svm-music")
    pd.testing.assert_frame_equal(run(small, several(["svm-music"]), **names), expected)


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "< 0.001"), (0.0, "< 0.001"), (0.0316, "0.032"), (np.nan, "-")]
)
def test_a_p_value_is_never_zero(p, text):
    assert format_p(p) == text


class TestStableLabels:
    def test_unstable_trials_are_left_out_and_counted(self, small, run, stored):
        relabeler = SubjectThresholdRelabeler().fit(small.ratings, subject=small.trials["subject"])
        stable = relabeler.stability(small.ratings, subject=small.trials["subject"]) >= 0.9
        assert 0 < stable.sum() < len(stable)
        table = run(small, "svm-music", min_stability=0.9)
        assert (table["n_unstable"] == (~stable).sum()).all()
        assert (table["n_trials"] == stable.sum()).all()
        assert (table["n_missing"] == 0).all()
        text = format_table(table)
        assert (
            f"{(~stable).sum()} trials are left out, because their label is stable in less" in text
        )
        folds, predictions = stored()
        tested = predictions[predictions["pipeline"] == "svm-music"]["row"]
        assert sorted(tested) == np.flatnonzero(stable).tolist()
        assert all(settings["min_stability"] == 0.9 for settings in folds["settings"])
        assert all(audit["n_unstable"] == (~stable).sum() for audit in folds["audit"])

    def test_the_labels_are_those_of_all_ratings(self, small, run, stored):
        run(small, "svm-music", min_stability=0.9)
        _, predictions = stored()
        labels = SubjectThresholdRelabeler().fit_relabel(
            small.ratings, subject=small.trials["subject"]
        )
        assert_array_equal(predictions["label"], labels[predictions["row"]])

    def test_without_the_rule_nothing_changes(self, small, run, stored):
        run(small, "svm-music")
        folds, _ = stored()
        keys = set(folds["key"])
        assert not any("min_stability" in settings for settings in folds["settings"])
        run(small, "svm-music", min_stability=0.0)
        assert set(stored()[0]["key"]) == keys
        run(small, "svm-music", min_stability=0.9)
        assert len(set(stored()[0]["key"])) == 2 * len(keys)

    @pytest.mark.parametrize("least", [-0.1, 1.1])
    def test_a_share_outside_its_range_is_an_error(self, small, run, least):
        with pytest.raises(EvaluationError, match=f"min_stability={least} must be from 0 to 1"):
            run(small, min_stability=least)

    def test_fixed_thresholds_are_stable(self, small, run):
        table = run(small, "svm-music", thresholds=0.0, min_stability=0.9)
        assert (table["n_unstable"] == 0).all()


class TestAudit:
    def test_the_verdict_is_in_the_table_the_text_and_the_store(self, small, run, stored):
        table = run(small, "svm-music")
        (verdict,) = table["audit"].unique()
        n = len(small.trials)
        assert f"({n * (n - 1) // 2:,} pairs of recordings compared)" in verdict
        assert f"Audit: {verdict}" in format_table(table)
        assert {audit["verdict"] for audit in stored()[0]["audit"]} == {verdict}
        assert stored()[0]["audit"].iloc[0]["nuisances"][0]["nuisance"] == "quantisation step"

    @pytest.mark.parametrize("change", [lambda eda: 2 * eda + 1, lambda eda: eda[::2]])
    def test_a_near_copy_of_another_person_is_named_and_does_not_end_the_evaluation(
        self, small, run, change
    ):
        trials = small.trials.copy()
        first = trials["subject"] == trials["subject"].iloc[0]
        rows = [int(np.flatnonzero(first)[0]), int(np.flatnonzero(~first)[0])]
        cells = trials["eda"].tolist()
        cells[rows[0]] = 5 + np.random.default_rng(0).normal(size=100).cumsum() / 100
        cells[rows[1]] = change(cells[rows[0]])
        copied = Bunch(**{**small, "trials": trials.assign(eda=cells)})
        with pytest.warns(UserWarning, match="1 copied or overlapping recording.*find_copies"):
            table = run(copied, "svm-music", n_splits=6)
        assert table["n_failed"].sum() == 0
        assert "1 copied or overlapping recording" in table["audit"].iloc[0]
