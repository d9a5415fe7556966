"""Three classes, one number and a series a trial, from evaluation to report, with and without EDA.

The best possible scores of these studies are known, since their noise is drawn here.
"""

import sys
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import pearsonr
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.utils import Bunch

from edaemo import SubjectThresholdRelabeler
from edaemo.benchmark import (
    PIPELINES,
    REGRESSORS,
    SEQUENCE_REGRESSORS,
    STUDIES,
    EvaluationError,
    ResultStore,
    compare_pipelines,
    critical_difference,
    evaluate,
    load_predictions,
    newest_keys,
    permutation_test,
    permutation_tests,
    register_pipeline,
    summarise_predictions,
    write_report,
)
from edaemo.cli import main
from edaemo.evaluation._targets import make_target
from edaemo.metrics import concordance_correlation
from edaemo.statistics import SequenceRegression, find_task, format_table

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

N_PEOPLE, N_TRIALS = 12, 12
CLASSES = ("calm", "happy", "sad")


def make_study(path: object = None) -> Bunch:
    """Make people whose faces show their mood, which is what `clear` says of four trials in five.

    A face is (n_steps, 2): two noisy views of `course`, around -2, 0 or 2 by mood. `level` is its
    mean with noise of half the spread; of `drawn` and `shuffled` a face shows nothing.
    """
    rng = np.random.default_rng(0)
    person, trial = np.indices((N_PEOPLE, N_TRIALS)).reshape(2, -1)
    n = len(person)
    mood = rng.permuted(np.tile(np.arange(3), (N_PEOPLE, N_TRIALS // 3)), axis=1).ravel()
    lengths = rng.integers(20, 40, n)
    course = [
        np.cumsum(rng.normal(0, 0.1, length)) + 2.0 * (m - 1)
        for m, length in zip(mood, lengths, strict=True)
    ]
    faces = [c[:, None] + rng.normal(0, 0.05, (len(c), 2)) for c in course]
    for series in course[::7]:
        series[3:6] = np.nan  # nobody rated these steps
    stimulus = rng.permuted(np.tile(range(N_TRIALS), (N_PEOPLE, 1)), axis=1)
    trials = pd.DataFrame(
        {
            "subject": [f"p{i:02d}" for i in person],
            "stimulus": [f"s{i}" for i in stimulus.ravel()],
            "trial": trial,
            "faces": faces,
        }
    )
    said = np.where(rng.random(n) < 0.2, (mood + rng.integers(1, 3, n)) % 3, mood)
    mean = np.array([face.mean() for face in faces])
    targets = {
        "clear": pd.Series(np.array(CLASSES)[said]),
        "drawn": pd.Series(np.array(CLASSES)[rng.integers(3, size=n)]),
        "level": pd.Series(mean + rng.normal(0, mean.std() / 2, n)),
        "course": pd.Series(course, dtype=object),
        "shuffled": pd.Series([rng.normal(size=length) for length in lengths], dtype=object),
    }
    return Bunch(
        name="moods",
        trials=trials,
        ratings=pd.DataFrame(index=trials.index),
        targets=targets,
        artificial=True,
        best=balanced_accuracy_score(said, mood),
    )


class MoodClassifier(ClassifierMixin, BaseEstimator):
    """Say by the nearest centre of the true moods: what `clear` was made from."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "MoodClassifier":
        self.classes_ = np.unique(y)
        self.model_ = LogisticRegression().fit(_mean_faces(X), y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return self.model_.predict_proba(_mean_faces(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.model_.predict(_mean_faces(X))


class LevelRegressor(RegressorMixin, BaseEstimator):
    """Fit a line to the mean of each face."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "LevelRegressor":
        self.model_ = LinearRegression().fit(_mean_faces(X), y)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.model_.predict(_mean_faces(X))


class StepRegressor(RegressorMixin, BaseEstimator):
    """Fit a line to each step of a face; steps without a label teach nothing."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "StepRegressor":
        steps, labels = np.concatenate(list(X["faces"])), np.concatenate(list(y))
        told = ~np.isnan(labels)
        self.model_ = LinearRegression().fit(steps[told], labels[told])
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        predicted = np.empty(len(X), dtype=object)
        predicted[:] = [self.model_.predict(face) for face in X["faces"]]
        return predicted


class Short(StepRegressor):
    """Forget the last step."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        predicted = super().predict(X)
        predicted[:] = [series[:-1] for series in predicted]
        return predicted


def _mean_faces(X: pd.DataFrame) -> np.ndarray:
    return np.array([face.mean(axis=0) for face in X["faces"]])


@pytest.fixture(scope="module")
def study() -> Bunch:
    return make_study()


def run(study: Bunch, store: object, target: object, pipelines: object, **settings) -> pd.DataFrame:
    settings = {"n_splits": 3, "n_jobs": 1} | settings
    return evaluate(pipelines, study, target, store=store, **settings)


@pytest.fixture(scope="module")
def classes(study, tmp_path_factory) -> tuple[object, pd.DataFrame]:
    store = tmp_path_factory.mktemp("classes") / "s"
    return store, run(study, store, ["clear", "drawn"], {"mood": MoodClassifier()}, n_repeats=2)


@pytest.fixture(scope="module")
def series(study, tmp_path_factory) -> tuple[object, pd.DataFrame]:
    store = tmp_path_factory.mktemp("series") / "s"
    pipelines = {"steps": StepRegressor()}
    return store, run(study, store, ["course", "shuffled"], pipelines, n_repeats=2)


def compare_within_folds(predictions: pd.DataFrame) -> float:
    """Return the mean over pairs of classes of the difference of two shares, weighted by pairs.

    The shares are those of the trials of a class, and of the trials of another class in the same
    fold, that are predicted as the first class.
    """
    gains = []
    for one, other in permutations(CLASSES, 2):
        differences, n_pairs = [], []
        for _, fold in predictions.groupby(["repeat", "fold"]):
            shares = (fold["predicted"] == one).groupby(fold["label"]).mean()
            sizes = fold["label"].value_counts()
            differences.append(shares[one] - shares[other])
            n_pairs.append(sizes[one] * sizes[other])
        gains.append(np.average(differences, weights=n_pairs))
    return 1 / 3 + 2 / 3 * np.mean(gains)


class TestThreeClasses:
    def test_the_best_score_is_reached_and_what_is_drawn_is_at_one_third(self, study, classes):
        table = classes[1].set_index(["target", "pipeline"])
        clear, drawn = table.loc[("clear", "mood")], table.loc[("drawn", "mood")]
        assert_allclose(clear["balanced_accuracy"], study.best, atol=0.04)
        assert 0.2 < drawn["balanced_accuracy"] < 0.47  # 288 draws at 1/3: five standard errors
        for target in ("clear", "drawn"):
            assert_allclose(table.loc[(target, "majority"), "balanced_accuracy"], 1 / 3, atol=1e-15)
        share = study.targets["clear"].value_counts(normalize=True).max()
        assert_allclose(table.loc[("clear", "majority"), "majority_rate"], share)
        assert_allclose(table["chance"], 1 / 3)
        assert (table["task"] == "multiclass").all()
        assert clear["p_above_majority"] < 0.01 and clear["reads_signals"]
        assert pd.isna(clear["reads_eda"])  # the study has faces and no EDA
        assert drawn["p_above_majority"] > 0.01

    def test_scores_are_those_of_scikit_learn(self, classes):
        predictions = load_predictions(classes[0]).query("target == 'clear' and pipeline == 'mood'")
        labels, predicted = predictions["label"], predictions["predicted"]
        assert set(labels) == set(CLASSES)
        row = classes[1].query("target == 'clear' and pipeline == 'mood'").iloc[0]
        summary = summarise_predictions(predictions).set_index("score")
        expected = {
            "balanced_accuracy": compare_within_folds(predictions),
            "f1_macro": f1_score(labels, predicted, average="macro"),
            **{
                f"recall_{name}": value
                for name, value in zip(
                    CLASSES,
                    recall_score(labels, predicted, average=None, labels=CLASSES),
                    strict=True,
                )
            },
        }
        for name, value in expected.items():
            assert_allclose([row[name], summary.loc[name, "pooled"]], value)
            assert row[f"{name}_low"] <= value <= row[f"{name}_high"]
        probability = np.stack(predictions["probability"])
        assert probability.shape == (len(labels), 3)
        brier = brier_score_loss(labels, probability, labels=CLASSES, scale_by_half=False)
        assert_allclose(summary.loc["brier_score", "pooled"], brier)
        by_person = [
            balanced_accuracy_score(own["label"], own["predicted"])
            for _, own in predictions.groupby("subject")
        ]
        assert_allclose(row["balanced_accuracy_by_person"], np.mean(by_person))

    def test_a_class_that_training_lacks_has_probability_zero(self, study, tmp_path):
        labels = study.targets["clear"].mask(study.trials["subject"] != "p00", "happy")
        labels[study.trials["subject"] == "p01"] = study.targets["clear"]
        changed = Bunch(**{**study, "targets": {"odd": labels.replace("happy", "a lot")}})
        two = changed.targets["odd"].where(study.trials["subject"] != "p00", "unique")
        two[(study.trials["subject"] == "p00") & (study.trials["trial"] < 2)] = "a lot"
        changed.targets["odd"] = two
        run(changed, tmp_path / "s", "odd", {"mood": MoodClassifier()}, n_splits=12)
        predictions = load_predictions(tmp_path / "s").query("pipeline == 'mood'")
        alone = predictions.query("subject == 'p00'")
        names = sorted(set(two))
        assert len(names) > 2
        place = names.index("unique")
        assert (np.stack(alone["probability"])[:, place] == 0).all()
        assert_allclose(np.stack(alone["probability"]).sum(axis=1), 1)

    def test_tests_over_people(self, classes):
        predictions = load_predictions(classes[0])
        tests = permutation_tests(predictions, n_permutations=199)
        tests = tests.set_index(["target", "pipeline"])
        assert tests.loc[("clear", "mood"), "p_value"] == 1 / 200
        assert tests.loc[("clear", "majority"), "p_value"] == 1
        assert tests.loc[("drawn", "mood"), "p_value"] > 0.01
        clear = predictions.query("target == 'clear'")
        pairs = compare_pipelines(clear).set_index(["a", "b"])
        assert pairs.loc[("majority", "mood"), "difference"] < -0.4
        recall = compare_pipelines(clear, score="recall_sad").set_index(["a", "b"])
        assert recall.loc[("majority", "mood"), "p_wilcoxon"] < 0.05
        areas = compare_pipelines(clear, score="roc_auc").set_index(["a", "b"])
        each = [
            roc_auc_score(
                own["label"], np.stack(own["probability"]), multi_class="ovr", labels=CLASSES
            )
            for _, own in clear.query("pipeline == 'mood'").groupby(["subject", "repeat"])
        ]
        assert_allclose(areas.loc[("majority", "mood"), "difference"], 0.5 - np.mean(each))
        with pytest.raises(ValueError, match=r"must be one of .* for these classes"):
            compare_pipelines(clear, score="mcc")

    def test_permuted_labels_give_the_null_of_plain_permuting(self):
        """The null against a loop that permutes and scores with scikit-learn."""
        rng = np.random.default_rng(1)
        subject = np.repeat(np.arange(3), 20)
        labels = rng.choice(CLASSES, 60)
        predicted = np.where(rng.random(60) < 0.3, labels, rng.choice(CLASSES, 60))
        settings = {"subject": subject, "score": "f1_macro", "average": "pooled"}
        test = permutation_test(labels, predicted, n_permutations=2000, **settings)
        assert_allclose(test.observed, f1_score(labels, predicted, average="macro"))
        plain = []
        for _ in range(500):
            permuted = labels.copy()
            for person in range(3):
                own = subject == person
                permuted[own] = rng.permutation(labels[own])
            plain.append(f1_score(permuted, predicted, average="macro"))
        assert_allclose(test.null.mean(), np.mean(plain), atol=0.01)
        assert_allclose(test.null.std(), np.std(plain), rtol=0.15)

    def test_studies_are_ranked(self, classes):
        summary = summarise_predictions(load_predictions(classes[0]))
        summary = summary.query("score == 'balanced_accuracy'")
        scores = summary.set_index(["target", "pipeline"])["over_people"].unstack()  # noqa: PD010
        ranks = critical_difference(scores).average_ranks
        assert ranks["mood"] < ranks["majority"]

    def test_the_report_has_the_matrix_of_all_classes(self, classes, tmp_path):
        page, markdown, _ = write_report(classes[0], tmp_path)
        text = markdown.read_text()
        predictions = load_predictions(classes[0]).query("target == 'clear' and pipeline == 'mood'")
        counts = confusion_matrix(predictions["label"], predictions["predicted"], labels=CLASSES)
        assert (
            "| Pipeline | Class | predicted as calm | predicted as happy | predicted as sad |"
            in text
        )
        for name, row in zip(CLASSES, counts, strict=True):
            assert f"| mood | {name} | {' | '.join(map(str, row))} |" in text
        assert "Recall of happy" in text
        assert "3 classes, majority class" in text
        assert "The study moods is ARTIFICIAL" in text
        assert "ROC and calibration" not in page.read_text()

    def test_it_is_laid_out_for_a_terminal(self, classes):
        text = format_table(classes[1].query("target == 'clear'"))
        assert "| macro F1 " in text and "| recall of sad " in text
        assert "nan" not in text


class TestOneNumber:
    def test_the_best_score_is_reached(self, study, tmp_path):
        """Noise of half the signal's spread leaves a correlation of 2 / sqrt(5)."""
        table = run(
            study, tmp_path / "s", "level", {"line": LevelRegressor()}, thresholds="none"
        ).set_index("pipeline")
        assert_allclose(table.loc["line", "pearson"], 2 / np.sqrt(5), atol=0.05)
        assert abs(table.loc["mean", "concordance_correlation"]) < 0.1
        assert table.loc["line", "p_above_mean"] < 0.01
        assert (table["chance"] == 0).all()


class TestSeries:
    def test_what_is_shown_is_found_and_what_is_drawn_is_not(self, series):
        table = series[1].set_index(["target", "pipeline"])
        assert list(table.loc["course"].index) == ["mean", "step-mean", "stimulus-mean", "steps"]
        # Two views with noise of 0.05 leave an error of 0.05 / sqrt(2).
        assert_allclose(table.loc[("course", "steps"), "rmse"], 0.05 / np.sqrt(2), rtol=0.1)
        assert table.loc[("course", "steps"), "concordance_correlation"] > 0.99
        assert table.loc[("course", "steps"), "concordance_correlation_per_sequence"] > 0.95
        assert table.loc[("course", "steps"), "reads_signals"]
        assert abs(table.loc[("shuffled", "steps"), "concordance_correlation"]) < 0.1
        assert not table.loc[("shuffled", "steps"), "reads_signals"]
        assert abs(table.loc[("course", "mean"), "concordance_correlation"]) < 0.1
        assert (table["task"] == "sequence-regression").all()
        assert table["threshold"].isna().all()

    def test_scores_are_of_all_steps_that_count_and_of_each_sequence(self, series):
        predictions = load_predictions(series[0]).query(
            "target == 'course' and pipeline == 'step-mean'"
        )
        row = series[1].query("target == 'course' and pipeline == 'step-mean'").iloc[0]
        pairs = [
            (true[~np.isnan(true)], said[~np.isnan(true)])
            for true, said in zip(predictions["label"], predictions["predicted"], strict=True)
        ]
        assert sum(len(one) for one, _ in pairs) < sum(map(len, predictions["label"]))
        true, said = (np.concatenate(one) for one in zip(*pairs, strict=True))
        steps = predictions["repeat"].astype(str) + "/" + predictions["fold"].astype(str)
        fold = np.repeat(steps, [len(one) for one, _ in pairs])
        frame = pd.DataFrame({"true": true, "said": said})
        means = frame.groupby(fold.to_numpy()).transform("mean")
        centred = frame - means
        shift = ((means["true"] - means["said"]) ** 2).sum()
        agreement = (
            2 * (centred["true"] * centred["said"]).sum() / ((centred**2).sum().sum() + shift)
        )
        assert_allclose(row["concordance_correlation"], agreement)
        assert_allclose(row["pearson"], pearsonr(centred["true"], centred["said"])[0])
        assert_allclose(row["rmse"], root_mean_squared_error(true, said))
        each = [concordance_correlation(*pair) for pair in pairs]
        assert_allclose(row["concordance_correlation_per_sequence"], np.mean(each))
        each = [root_mean_squared_error(*pair) for pair in pairs]
        assert_allclose(row["rmse_per_sequence"], np.mean(each))
        summary = summarise_predictions(predictions).set_index("score")
        assert_allclose(summary.loc["rmse", "pooled"], row["rmse"])
        by_person = [
            concordance_correlation(
                *(np.concatenate([pairs[i][k] for i in rows]) for k in range(2))
            )
            for rows in predictions.reset_index().groupby("subject").indices.values()
        ]
        assert_allclose(row["concordance_correlation_by_person"], np.mean(by_person))

    def test_a_masked_step_changes_nothing_whatever_is_predicted_there(self):
        task = SequenceRegression()
        true = [np.array([1.0, np.nan, 3.0, 2.0]), np.array([0.0, 1.0])]
        scores = []
        for value in (0.0, 100.0):
            outcome = task.read(true, [np.array([1.5, value, 2.0, 2.0]), np.array([0.5, 1.0])])
            scores.append(task.score(task.sum_up(outcome, np.array([0, 0]))))
        assert scores[0].keys() == scores[1].keys()
        for name in scores[0]:
            assert_array_equal(scores[0][name], scores[1][name])

    def test_tests_over_people(self, series):
        predictions = load_predictions(series[0])
        score = "concordance_correlation"
        tests = permutation_tests(predictions, score=score, n_permutations=199)
        tests = tests.set_index(["target", "pipeline"])
        assert tests.loc[("course", "steps"), "p_value"] == 1 / 200
        assert tests.loc[("shuffled", "steps"), "p_value"] > 0.01
        pairs = compare_pipelines(predictions.query("target == 'course'"), score=score)
        pairs = pairs.set_index(["a", "b"])
        assert pairs.loc[("step-mean", "steps"), "difference"] < -0.5
        assert pairs.loc[("step-mean", "steps"), "p_t"] < 0.05
        per_sequence = compare_pipelines(
            predictions.query("target == 'course'"), score="rmse_per_sequence"
        ).set_index(["a", "b"])
        assert per_sequence.loc[("step-mean", "steps"), "difference"] > 0

    def test_shifts_keep_the_course_of_the_labels(self):
        """The null against a loop that rolls the joined series of each person."""
        rng = np.random.default_rng(0)
        labels = [np.cumsum(rng.normal(size=n)) for n in (12, 9, 15)]
        predicted = [series + rng.normal(size=len(series)) for series in labels]
        labels[0][2] = np.nan
        subject = ["a", "a", "b"]
        settings = {"subject": subject, "score": "pearson"}
        test = permutation_test(labels, predicted, n_permutations=4000, **settings)
        people = []
        for rows in ([0, 1], [2]):
            true = np.concatenate([labels[i] for i in rows])
            said = np.concatenate([predicted[i] for i in rows])[~np.isnan(true)]
            true = true[~np.isnan(true)]
            rolled = [pearsonr(np.roll(true, k), said)[0] for k in range(len(true))]
            people.append(rolled)
        assert_allclose(test.observed, np.mean([rolled[0] for rolled in people]))
        every = np.add.outer(*people).ravel() / 2
        assert_allclose(test.null.mean(), every.mean(), atol=0.02)
        assert_allclose(test.null.std(), every.std(), rtol=0.05)
        possible = np.sort(every)
        near = np.searchsorted(possible, test.null).clip(1, len(possible) - 1)
        gap = np.minimum(abs(possible[near] - test.null), abs(possible[near - 1] - test.null))
        assert gap.max() < 1e-9

    def test_the_report_shows_them(self, series, tmp_path):
        page, markdown, _ = write_report(series[0], tmp_path)
        text = markdown.read_text()
        assert "| Pipeline | CCC | Mean over people | CCC per sequence |" in text
        assert "steps, " in text and "on average" in text
        assert "Confusion" not in page.read_text()

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_series_of_a_wrong_length_fail_the_fold(self, study, tmp_path, n_jobs):
        table = run(study, tmp_path / "s", "course", {"short": Short()}, n_splits=2, n_jobs=n_jobs)
        row = table.set_index("pipeline").loc["short"]
        assert row["n_failed"] == 2
        assert "A sequence regressor must return one finite number for each step" in row["error"]
        assert np.isnan(row["rmse"])

    def test_reference_rows_average_the_training_series(self):
        y = np.empty(3, dtype=object)
        y[:] = [np.array([1.0, 3.0]), np.array([3.0, np.nan, 8.0]), np.array([2.0])]
        X = pd.DataFrame({"stimulus": ["a", "a", "b"], "n_steps": [2, 3, 1]})
        asked = pd.DataFrame({"stimulus": ["a", "c"], "n_steps": [4, 2]})
        mean = (1 + 3 + 3 + 8 + 2) / 5
        expected = {
            "mean": [[mean] * 4, [mean] * 2],
            "step-mean": [[2.0, 3.0, 8.0, mean], [2.0, 3.0]],
            "stimulus-mean": [[2.0, 3.0, 8.0, mean], [mean] * 2],
        }
        for name, series in expected.items():
            said = SEQUENCE_REGRESSORS[name].make(None).fit(X, y).predict(asked)
            for one, other in zip(said, series, strict=True):
                assert_allclose(one, other)


class TestWithoutEda:
    def test_all_that_has_the_data_takes_part(self, study, tmp_path, monkeypatch):
        for name in [name for name in PIPELINES if name.startswith("my-")]:
            monkeypatch.delitem(PIPELINES, name)  # other tests have added it
        table = run(study, tmp_path / "s", "clear", None)
        assert set(table["pipeline"]) == {"majority", "trial-order", "stimulus-prior"}

    def test_a_pipeline_without_its_columns_is_refused_before_anything_runs(self, study, tmp_path):
        with pytest.raises(EvaluationError, match="svm-eda needs column eda: the study has faces"):
            run(study, tmp_path / "s", "clear", "svm-eda")
        register_pipeline("my-eeg", MoodClassifier(), needs=("faces", "eeg_de"))
        try:
            with pytest.raises(
                EvaluationError, match="my-eeg needs column eeg_de: the study has faces"
            ):
                run(study, tmp_path / "s", "clear", "my-eeg")
            assert "my-eeg" not in set(run(study, tmp_path / "t", "clear", None)["pipeline"])
        finally:
            del PIPELINES["my-eeg"]
        assert not (tmp_path / "s").exists()

    def test_features_need_a_sampling_rate(self, study, tmp_path):
        trials = study.trials.rename(columns={"faces": "eda"})
        with pytest.raises(EvaluationError, match="moods has no sampling_rate"):
            run(Bunch(**{**study, "trials": trials}), tmp_path / "s", "clear", "svm-eda")


def test_all_tasks_lie_in_one_store_and_one_report(study, tmp_path):
    path = tmp_path / "s"
    run(study, path, "clear", {"mood": MoodClassifier()})
    run(study, path, "course", {"steps": StepRegressor()})
    run(study, path, "level", {"line": LevelRegressor()}, thresholds="none")
    two = Bunch(**{**study, "targets": {"two": study.targets["clear"].replace("sad", "calm")}})
    run(two, path, "two", {"mood": MoodClassifier()})
    predictions = load_predictions(path, keys=newest_keys(path))
    tasks = predictions.groupby("target")["task"].unique().map(list).to_dict()
    assert tasks == {
        "clear": ["multiclass"],
        "course": ["sequence-regression"],
        "level": ["regression"],
        "two": ["binary"],
    }
    scores = summarise_predictions(predictions).groupby("target")["score"].unique()
    assert "roc_auc" in scores["two"] and "recall_sad" in scores["clear"]
    assert find_task([predictions.query("target == 'course'")]).name == "sequence-regression"
    assert "rmse_per_sequence" in scores["course"] and "rmse_per_sequence" not in scores["level"]
    text = write_report(path, tmp_path / "report")[1].read_text()
    for name in ("moods, clear, subject", "moods, course, subject", "moods, level as rated"):
        assert f"Scores: {name}" in text
    with ResultStore(path) as store:
        folds = store.folds()
    assert folds["artificial"].all()
    assert {tuple(row) for row in folds.query("target == 'clear'")["classes"]} == {CLASSES}


@pytest.fixture
def plugin(monkeypatch) -> str:
    """Name a module that registers them, and forget all of it afterwards."""
    registered = {
        "moods": STUDIES,
        "my-mood": PIPELINES,
        "my-line": REGRESSORS,
        "my-steps": SEQUENCE_REGRESSORS,
    }
    for name, known in registered.items():
        monkeypatch.setitem(known, name, None)
        del known[name]
    monkeypatch.delitem(sys.modules, "outside_tasks", raising=False)
    return "outside_tasks"


def test_the_command_compares_them(plugin, tmp_path, capsys):
    arguments = ["compare", "moods", "--plugin", plugin, "--jobs", "1", "--folds", "3"]
    pipelines = {"clear": "my-mood", "course": "my-steps"}
    for target, name in pipelines.items():
        asked = ["--target", target, "--pipelines", name, "--out", str(tmp_path)]
        assert main([*arguments, *asked]) == 0
        printed = capsys.readouterr().out
        assert f"moods, {target}: 12 people" in printed.replace("12 evaluation people", "12 people")
        assert "This study is ARTIFICIAL" in printed
        table = pd.read_csv(tmp_path / "moods" / target / "subject" / "table.csv")
        assert name in set(table["pipeline"])
        figure = (tmp_path / "moods" / target / "subject" / "figure.png").read_bytes()
        assert figure.startswith(b"\x89PNG")
    asked = ["--target", "level", "--threshold", "none", "--pipelines", "my-line"]
    assert main([*arguments, *asked, "--out", str(tmp_path)]) == 0
    assert "| my-line " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*arguments, "--target", "clear", "--pipelines", "my-steps"])
    said = capsys.readouterr().err
    assert "my-steps is a sequence regressor, but the targets are classes" in said


class TestLabels:
    @pytest.fixture
    def rated(self, study) -> Bunch:
        """The same people with ratings of valence and arousal."""
        rng = np.random.default_rng(3)
        ratings = pd.DataFrame(
            rng.uniform(1, 9, (len(study.trials), 2)), columns=["valence", "arousal"]
        )
        targets = {name: ratings[name] for name in ratings}
        return Bunch(
            **{**study, "ratings": ratings, "targets": targets, "rating_range": (1.0, 9.0)}
        )

    def test_a_missing_class_is_not_a_class(self, study, tmp_path):
        labels = study.targets["clear"].astype(object)
        labels[[0, 5, 20]] = [None, np.nan, pd.NA]
        changed = Bunch(**{**study, "targets": {"clear": labels}})
        target = make_target(changed, "clear", None)
        assert target.task.classes == CLASSES
        assert set(range(len(labels))) - set(target.rows) == {0, 5, 20}
        table = run(changed, tmp_path / "s", "clear", {"mood": MoodClassifier()})
        assert (table["n_missing"] == 3).all() and (table["n_trials"] == len(labels) - 3).all()
        assert "3 trials without a label are left out." in format_table(table)
        assert not {0, 5, 20} & set(load_predictions(tmp_path / "s")["row"])
        text = write_report(tmp_path / "s", tmp_path / "report")[1].read_text()
        assert "3 trials without a label are left out." in text
        with pytest.raises(EvaluationError, match=r"rating of row 0 \(subject p00.*is missing"):
            run(changed, tmp_path / "t", "clear", None, missing_ratings="raise")

    def test_a_trial_is_left_out_of_the_target_that_it_lacks_alone(self, rated, tmp_path):
        rated.ratings.loc[[1, 2], "valence"] = np.nan
        table = run(rated, tmp_path / "s", None, None).query("pipeline == 'majority'")
        n = table.set_index("target")["n_trials"]
        assert n["valence"] == len(rated.trials) - 2 and n["arousal"] == len(rated.trials)

    def test_thresholds_come_from_the_trials_with_both_ratings(self, rated):
        rated.ratings.loc[[1, 2], "valence"] = np.nan
        target = make_target(rated, "arousal", "subject")
        complete = rated.ratings.notna().all(axis=1)
        relabeler = SubjectThresholdRelabeler(target="arousal").fit(
            rated.ratings[complete], subject=rated.trials["subject"][complete]
        )
        threshold = rated.trials["subject"].map(relabeler.thresholds_["arousal"])
        assert_array_equal(target.labels == 1, rated.ratings["arousal"] > threshold)
        assert len(target.rows) == len(rated.trials)

    def test_a_person_without_any_rating_is_left_out(self, rated):
        first = rated.trials["subject"] == "p00"
        rated.ratings.loc[first, "valence"] = np.nan
        target = make_target(rated, "arousal", "subject")
        assert_array_equal(target.rows, np.flatnonzero(~first))

    def test_complete_labels_are_those_of_the_relabeler(self, rated):
        expected = SubjectThresholdRelabeler(target="valence").fit_relabel(
            rated.ratings, subject=rated.trials["subject"]
        )
        assert_array_equal(make_target(rated, "valence", "subject").labels, expected)

    @pytest.mark.parametrize(
        ("values", "task", "classes"),
        [
            ([True, False] * 72, "binary", (0, 1)),
            (pd.array([True, False, None, True] * 36, dtype="boolean"), "binary", (0, 1)),
            (pd.Categorical([3, 1, 2] * 48), "multiclass", (1, 2, 3)),
            (["yes", "no", None] * 48, "binary", (0, 1)),
            ([1, 9, 5, 7] * 36, "binary", (0, 1)),
            (pd.array([1, None, 5, 7] * 36, dtype="Int64"), "binary", (0, 1)),
        ],
    )
    def test_labels_of_each_kind(self, rated, values, task, classes):
        rated.targets = {"given": pd.Series(values)}
        rated.ratings = rated.ratings.assign(given=rated.targets["given"])
        target = make_target(rated, "given", None)
        assert target.task.name == task
        assert tuple(target.task.classes) == classes
        assert_array_equal(target.rows, np.flatnonzero(pd.Series(values).notna()))

    def test_whole_numbers_that_may_be_codes_of_classes_are_said_to_be_ratings(self, rated):
        rated.targets = {"emotion": pd.Series([1, 2, 3, 4, 5, 6, 7, 2] * 18)}
        with pytest.warns(UserWarning, match="holds whole numbers.*: high above 5, the middle"):
            target = make_target(rated, "emotion", None)
        assert_array_equal(target.labels, [0, 0, 0, 0, 0, 1, 1, 0] * 18)
        rated.targets["emotion"] = rated.targets["emotion"].astype(str)
        assert make_target(rated, "emotion", None).task.name == "multiclass"
        rated.targets["emotion"] = pd.Series([1, 2, 3] * 48)
        with pytest.raises(EvaluationError, match=r"all ratings are at or below 5,.*as text"):
            make_target(rated, "emotion", None)

    @pytest.mark.parametrize("blank", ["", "  ", "nan", "NaN", "<NA>"])
    @pytest.mark.parametrize("dtype", [object, "string", "category"])
    def test_blank_text_is_a_missing_label(self, rated, blank, dtype):
        """As from an empty cell, or from NaN that was converted to text."""
        rated.targets = {"given": pd.Series(["calm", blank, "tense", "bored"] * 36, dtype=dtype)}
        target = make_target(rated, "given", None)
        assert target.task.classes == ("bored", "calm", "tense")
        assert_array_equal(target.rows, np.flatnonzero(np.arange(144) % 4 != 1))

    def test_classes_that_are_nearly_equal_are_named(self, rated):
        rated.targets = {"given": pd.Series(["calm", "Calm ", "tense"] * 48)}
        with pytest.warns(UserWarning, match="of class are nearly equal.*'Calm ' and 'calm'"):
            target = make_target(rated, "given", None)
        assert target.task.classes == ("Calm ", "calm", "tense")

    @pytest.mark.parametrize(
        ("name", "threshold"), [("arousal", "subject"), ("arousal", 5.0), ("given", None)]
    )
    @pytest.mark.parametrize("code", [0, -1, 99, 999])
    def test_a_rating_outside_its_range_is_an_error(self, rated, name, threshold, code):
        """Often a code for a missing rating, which would also move the person's threshold."""
        rated.ratings.loc[7, "arousal"] = code
        rated.targets = {name: rated.ratings["arousal"].rename(name)}
        match = rf"rating {name} of row 7 \(.* is {code}, outside rating_range \(1, 9\).* NaN if"
        with pytest.raises(EvaluationError, match=match):
            make_target(rated, name, threshold)

    def test_booleans_are_true_or_not(self, rated):
        rated.targets = {"given": pd.Series([True, False] * 72)}
        assert_array_equal(make_target(rated, "given", None).labels, [1, 0] * 72)

    @pytest.mark.parametrize(
        ("values", "threshold", "match"),
        [
            ([None] * 144, None, "the labels of all 144 trials are missing"),
            (["a"] * 144, None, "has only one class"),
            ([1, "a"] * 72, None, "holds mixed-integer values, such as 1. Use only numbers"),
            ([1.0, np.inf] * 72, "none", r"the rating of row 1 \(.*is infinite"),
            ([True, False] * 72, "none", "holds classes .True, False., but thresholds='none'"),
            ([np.ones((2, 2))] * 144, None, r"the series of row 0 .* has shape \(2, 2\)"),
            ([np.zeros(3)] * 144, None, "all steps are 0"),
            ([np.zeros(3), 4.0] * 72, None, r"label of row 1 .* is 4.0, but others are series"),
        ],
    )
    def test_what_cannot_be_a_label_is_said_once(self, rated, values, threshold, match):
        rated.targets = {"given": pd.Series(values, dtype=object)}
        with pytest.raises(EvaluationError, match=match):
            make_target(rated, "given", threshold)

    def test_the_threshold_of_a_person_needs_both_ratings(self, rated):
        rated.ratings = rated.ratings[["arousal"]]
        rated.targets = {"arousal": rated.ratings["arousal"]}
        with pytest.raises(EvaluationError, match="has no ratings of valence"):
            make_target(rated, "arousal", "subject")
        labels = make_target(rated, "arousal", 5.0).labels
        assert_array_equal(labels, rated.ratings["arousal"] > 5.0)
        assert make_target(rated, "arousal", "none").task.name == "regression"

    def test_numbers_need_a_range_to_be_parted(self, rated):
        rated.targets, rated.rating_range = {"given": pd.Series([1, 2, 3] * 48)}, None
        with pytest.raises(EvaluationError, match="the study has no rating_range, whose middle"):
            make_target(rated, "given", None)
        assert make_target(rated, "given", "none").task.name == "regression"

    @pytest.mark.parametrize(
        ("threshold", "match"),
        [
            (
                "subject",
                r"'arousal'.* needs valence and arousal, .* no ratings of valence ",
            ),
            (5.0, None),
            ("none", None),
        ],
    )
    def test_only_a_threshold_of_each_subject_needs_both_ratings(self, rated, threshold, match):
        both = make_target(rated, "arousal", 5.0)
        rated.ratings = rated.ratings[["arousal"]]
        if match is not None:
            with pytest.raises(EvaluationError, match=match):
                make_target(rated, "arousal", threshold)
        elif threshold == 5.0:
            target = make_target(rated, "arousal", threshold)
            assert_array_equal(target.labels, rated.ratings["arousal"] > 5)
            assert_array_equal(target.rows, both.rows)
        else:
            target = make_target(rated, "arousal", threshold)
            assert_array_equal(target.labels, rated.ratings["arousal"])

    @pytest.mark.parametrize("threshold", ["subject", 5.0])
    def test_a_target_that_the_ratings_lack_is_named_with_those_there_are(self, rated, threshold):
        rated.ratings = rated.ratings[["valence"]]
        with pytest.raises(EvaluationError, match=r"ratings of arousal \(its targets: .*valence"):
            make_target(rated, "arousal", threshold)

    @pytest.mark.parametrize(
        ("changed", "match"),
        [
            ({"ratings": None}, "ratings of .* must be a frame with a row for each trial.*None"),
            ({"targets": ["arousal"]}, "targets of .* must be a dict, name → labels.*'arousal'"),
            ({"targets": {}}, "with one entry or more; got {}"),
            ({"targets": {"given": [0, 1] * 72}}, "'given' must be a Series with a label for each"),
            ({"targets": {"given": pd.Series([0, 1] * 70)}}, "but 140 and 144 rows have different"),
            ({"targets": {"given": pd.Series([0, 1] * 72)[::-1]}}, "but 144 and 144 rows have dif"),
        ],
    )
    def test_labels_must_be_those_of_the_trials(self, rated, tmp_path, changed, match):
        rated.update(changed)
        with pytest.raises(EvaluationError, match=match):
            evaluate("majority", rated, store=tmp_path / "store")
        assert not (tmp_path / "store").exists()
