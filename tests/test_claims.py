"""What a table claims: chance, rivals, the family of tests, power, equivalence, and words."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import ttest_1samp, wilcoxon
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Bunch
from statsmodels.stats.multitest import multipletests

from edaemo.benchmark import (
    EvaluationError,
    classification_summary,
    evaluate,
    make_logistic_baseline,
    regression_summary,
    summarise_predictions,
    write_report,
)
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import CalibratedSubjectKFold, SubjectKFold
from edaemo.preprocessing import SubjectStandardizer
from edaemo.reproduction.rtcan._runs import score_rows
from edaemo.statistics import CLAIMS, describe_claims, format_table
from edaemo.statistics._claims import find_detectable, find_rivals, p_equivalent
from edaemo.statistics._crossed import Gains
from edaemo.statistics._tables import format_p

READS_EDA, READS_SIGNALS, MUSIC_HELPS = CLAIMS

people_and_folds = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40
)


def constants(trials: list[tuple[int, int, int]], values: list) -> tuple[np.ndarray, ...]:
    """Return people, folds, labels, and a prediction that is constant in each fold."""
    people, folds, labels = np.array(trials).T
    return people, folds, labels, np.array(values)[folds]


class TestChance:
    @given(people_and_folds, st.lists(st.integers(0, 1), min_size=4, max_size=4))
    @settings(deadline=None, max_examples=60)
    def test_two_classes(self, trials, predicted):
        """Folds with other larger classes, people in several folds, people of one class."""
        people, folds, labels, predicted = constants(trials, predicted)
        table = classification_summary(
            labels > 0, predicted, subject=people, fold=folds, probability=predicted / 2 + 0.1
        )
        for score, chance in [("balanced_accuracy", 0.5), ("roc_auc", 0.5), ("mcc", 0.0)]:
            for mean in ("pooled", "over_people", "over_folds"):
                value = table.loc[score, mean]
                assert np.isnan(value) or value == chance
        two_classes = [len({*(labels > 0)[folds == fold]}) == 2 for fold in range(4)]
        assert np.isnan(table.loc["balanced_accuracy", "pooled"]) == (not any(two_classes))

    @given(people_and_folds, st.lists(st.sampled_from("abc"), min_size=4, max_size=4))
    @settings(deadline=None, max_examples=60)
    def test_three_classes(self, trials, predicted):
        people, folds, labels, predicted = constants(trials, predicted)
        # One trial has all the classes in the table, in a fold of its own.
        extra = pd.DataFrame({"subject": [9] * 3, "fold": 9, "label": [*"abc"], "predicted": "c"})
        table = pd.DataFrame(
            {
                "subject": people,
                "fold": folds,
                "label": np.array([*"abc"])[labels],
                "predicted": predicted,
            }
        )
        table = pd.concat([table, extra]).assign(pipeline="constant", task="multiclass")
        table["probability"] = [np.eye(3)["abc".index(c)] * 0.4 + 0.2 for c in table["predicted"]]
        summary = summarise_predictions(table).set_index("score")
        for score, chance in [("balanced_accuracy", 1 / 3), ("roc_auc", 0.5)]:
            assert_allclose(summary.loc[score, ["pooled", "over_people"]].astype(float), chance)
            ends = summary.loc[score, ["pooled_low", "pooled_high"]].astype(float)
            assert_allclose(ends.dropna(), chance)

    @given(people_and_folds, st.lists(st.integers(0, 9), min_size=4, max_size=4))
    @settings(deadline=None, max_examples=60)
    def test_numbers(self, trials, predicted):
        people, folds, labels, predicted = constants(trials, predicted)
        table = regression_summary(labels * 1.7, predicted + 0.3, subject=people, fold=folds)
        for mean in ("pooled", "over_people", "over_folds"):
            value = table.loc["concordance_correlation", mean]
            assert np.isnan(value) or value == 0
        assert table.loc["pearson", ["pooled", "over_people"]].isna().all()

    def test_majority_of_folds_whose_larger_classes_differ(self):
        """Pooled over folds, scikit-learn's score of this constant is 0.4."""
        labels = np.repeat([1, 0, 1, 0], [3, 2, 2, 3])
        folds = np.repeat([0, 0, 1, 1], [3, 2, 2, 3])
        predicted = np.where(folds == 0, 0, 1)  # the larger class of the other fold
        recalls = [np.mean(predicted[labels == label] == label) for label in (0, 1)]
        assert_allclose(np.mean(recalls), 0.4)
        table = classification_summary(labels, predicted, subject=folds, fold=folds)
        columns = ["pooled", "pooled_low", "pooled_high", "over_people", "over_folds"]
        assert (table.loc["balanced_accuracy", columns] == 0.5).all()


class TestAreaWithinPerson:
    def test_it_is_scikit_learns_of_each_person_and_fold(self):
        rng = np.random.default_rng(0)
        people = np.repeat(np.arange(8), 20)
        labels = rng.integers(2, size=160)
        labels[people == 3] = 1
        probability = np.round(np.clip(0.3 * labels + 0.7 * rng.random(160), 0, 1), 1)  # ties
        table = classification_summary(
            labels, probability > 0.5, subject=people, probability=probability, fold=people % 3
        )
        areas = [
            roc_auc_score(labels[people == i], probability[people == i]) for i in range(8) if i != 3
        ]
        row = table.loc["roc_auc"]
        assert_allclose(row["over_people"], np.mean(areas))
        assert (row["n_people"], row["n_people_undefined"]) == (8, 1)
        assert row["over_people_low"] < row["over_people"] < row["over_people_high"]


def make_study(kind: str) -> Bunch:
    """Make 12 people who hear 16 songs, without an effect of the label on the EDA.

    With "length", a trial is high if it is longer than the person's median. With "song", the EDA of
    a song has its own height, and half of the songs are high for three people of four.
    """
    rng = np.random.default_rng(5)
    person, trial = np.indices((12, 16)).reshape(2, -1)
    song = np.concatenate([rng.permutation(16) for _ in range(12)])
    n_samples = rng.integers(40, 80, len(song)) if kind == "length" else np.full(len(song), 48)
    height = 1.0 + 0.1 * song if kind == "song" else np.full(len(song), 2.0)
    eda = [
        level + np.cumsum(rng.normal(0, 0.01, n))
        for level, n in zip(height, n_samples, strict=True)
    ]
    trials = pd.DataFrame(
        {
            "subject": [f"p{i:02d}" for i in person],
            "stimulus": [f"s{i:02d}" for i in song],
            "trial": trial,
            "duration": n_samples / 4,
            "eda": eda,
        }
    )
    median = trials.groupby("subject")["duration"].transform("median")
    high = trials["duration"] > median if kind == "length" else pd.Series(song >= 8)
    flipped = rng.random(len(song)) < (0.15 if kind == "length" else 0.25)
    label = high.to_numpy() ^ flipped
    return Bunch(
        name=kind,
        trials=trials,
        ratings=pd.DataFrame(index=trials.index),
        targets={"high": pd.Series(np.where(label, "yes", "no"))},
        sampling_rate=4.0,
        artificial=True,
    )


class Measure(TransformerMixin, BaseEstimator):
    """Return the number of samples and the mean of each trial's EDA."""

    def fit(self, X: pd.DataFrame, y: object = None) -> "Measure":
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        return np.array([[len(eda), np.mean(eda)] for eda in X["eda"]])


PIPELINES = {
    "svm": make_pipeline(Measure(), StandardScaler(), SVC()),
    "logistic": make_pipeline(Measure(), StandardScaler(), LogisticRegression()),
    "tree": make_pipeline(Measure(), DecisionTreeClassifier(max_depth=2, random_state=0)),
}
READERS = ("svm", "logistic")


def some(*names: str) -> dict[str, object]:
    return {name: PIPELINES[name] for name in names}


def run(study: Bunch, store: object, *names: str, **settings) -> pd.DataFrame:
    settings = {"n_splits": 3, "n_jobs": 1} | settings
    pipelines = some(*(names or READERS))
    return evaluate(pipelines, study, store=store, **settings).set_index("pipeline")


class TestRivals:
    def test_they_follow_from_what_the_rows_declare(self):
        uses = {
            "majority": (),
            "duration": (),
            "svm-music": ("music",),
            "svm-eda": ("eda",),
            "svm-eda-music": ("eda", "music"),
            "eeg-net": ("eeg",),
            "all-net": ("eda", "eeg"),
        }

        def rivals(pipeline, claim):
            return find_rivals(uses, uses, pipeline, claim)

        free = ["majority", "duration"]
        assert rivals("svm-eda", READS_EDA) == [*free, "svm-music"]
        assert rivals("svm-eda-music", READS_EDA) == [*free, "svm-music"]
        assert rivals("all-net", READS_EDA) == [*free, "svm-music", "eeg-net"]
        assert rivals("eeg-net", READS_SIGNALS) == [*free, "svm-music"]
        assert rivals("svm-music", MUSIC_HELPS) == free
        assert rivals("svm-eda-music", MUSIC_HELPS) == [*free, "svm-eda"]
        assert not READS_SIGNALS.inputs(uses["all-net"]) and not READS_EDA.inputs(uses["eeg-net"])

    @pytest.mark.parametrize(("kind", "row"), [("length", "duration"), ("song", "stimulus-prior")])
    def test_what_a_row_without_eda_reaches_is_not_read_from_eda(self, tmp_path, kind, row):
        """Each pipeline is above the larger class and the trial order, and that is not enough."""
        table = run(make_study(kind), tmp_path / "s")
        score = table["balanced_accuracy_by_person"]
        assert score["svm"] > 0.55 and score[row] > 0.7
        assert table.loc["svm", ["p_above_majority", "p_above_trial_order"]].max() < 0.05
        assert not table.loc[list(READERS), "reads_eda"].any()
        assert (table.loc[list(READERS), "nearest_reads_eda"] == row).all()
        assert f"EDA: not shown above {row}" in describe_claims(table.loc["svm"])


@pytest.fixture(scope="module")
def length() -> Bunch:
    return make_study("length")


class TestFamily:
    def test_p_does_not_depend_on_the_rows_that_are_displayed(self, length, tmp_path):
        both = run(length, tmp_path / "s")
        alone = run(length, tmp_path / "s", "svm")
        assert list(alone.index) == [*both.index[:-2], "svm"]
        columns = [
            name for name in both if name.startswith(("p_", "nearest", "detectable", "n_cl"))
        ]
        pd.testing.assert_series_equal(alone.loc["svm", columns], both.loc["svm", columns])
        assert set(alone["family"]) == set(both["family"]) == {"svm, logistic"}

    def test_a_later_pipeline_enlarges_it_and_the_table_says_so(self, length, tmp_path):
        first = run(length, tmp_path / "s", "svm")
        second = run(length, tmp_path / "s", "logistic")
        assert (first["n_claims"].max(), second["n_claims"].max()) == (1, 2)
        assert "Family of tests: 1 claim about svm." in format_table(first.reset_index())
        assert set(second["family"]) == {"svm, logistic"}
        text = format_table(second.reset_index())
        assert "Family of tests: 2 claims about svm, logistic." in text
        assert "Added to the family after its first evaluation: logistic." in text
        again = run(length, tmp_path / "s", "svm").loc["svm"]
        alone = [first.loc["svm", "p_reads_eda"], second.loc["logistic", "p_reads_eda_alone"]]
        assert_allclose(again["p_reads_eda"], multipletests(alone, method="holm")[1][0])

    def test_a_table_with_a_width_has_the_same_content_in_shorter_lines(self, length, tmp_path):
        table = run(length, tmp_path / "s").reset_index()
        whole, folded = format_table(table), format_table(table, width=60)
        assert max(map(len, folded.split("\n"))) <= 60 < max(map(len, whole.split("\n")))
        without_spaces = "".join(folded.split())
        for line in whole.split("\n"):
            is_row = line.startswith("|")
            parts = (
                [cell for cell in line.split("|") if set(cell) - set("- ")] if is_row else [line]
            )
            assert all("".join(part.split()) in without_spaces for part in parts)
        with pytest.raises(ValueError, match="width must be None or a whole number"):
            format_table(table, width=19)

    def test_pipelines_that_are_only_declared_count(self, length, tmp_path):
        declared = run(length, tmp_path / "s", "svm", family=some("logistic", "tree"))
        row = declared.loc["svm"]
        assert row["n_claims"] == 3
        assert_allclose(row["p_reads_eda"], min(1, 3 * row["p_reads_eda_alone"]))
        assert row["family_added"] == ""
        later = run(length, tmp_path / "s", "logistic")
        assert (later["family_added"] == "").all() and later["n_claims"].max() == 3

    def test_other_folds_have_a_family_of_their_own(self, length, tmp_path):
        run(length, tmp_path / "s", "svm")
        assert run(length, tmp_path / "s", "logistic", n_splits=4)["n_claims"].max() == 1

    def test_the_report_reads_the_stored_family(self, length, tmp_path):
        table = run(length, tmp_path / "s", "svm", family=some("tree"))
        text = write_report(tmp_path / "s", tmp_path / "report")[1].read_text()
        assert "Family of tests: 2 claims about tree, svm." in text
        assert f"{format_p(table.loc['svm', 'p_reads_eda'])} (duration)" in text

    def test_unknown_members_and_margins_are_refused(self, length, tmp_path):
        with pytest.raises(EvaluationError, match="Unknown pipeline 'svm-ead'"):
            run(length, tmp_path / "s", "svm", family="svm-ead")
        with pytest.raises(EvaluationError, match="margin=0 must be"):
            run(length, tmp_path / "s", "svm", margin=0)


class TestNotShown:
    @pytest.mark.parametrize(("n_people", "level"), [(15, 0.05), (15, 0.05 / 13), (40, 0.01)])
    def test_the_detectable_gain_is_found_as_often_as_stated(self, n_people, level):
        """400 studies with this mean gain: 80 % of the tests find it, within sampling error."""
        rng = np.random.default_rng(1)
        shape = rng.normal(size=(400, n_people))
        gains = np.linspace(-1, 1, n_people)
        gain = find_detectable(gains, level=level) / gains.std(ddof=1)
        found = [wilcoxon(row + gain, alternative="greater").pvalue < level for row in shape]
        assert 0.72 < np.mean(found) < 0.87

    def test_it_is_that_of_the_t_test_with_fewer_people(self):
        """Power of a t-test by simulation, for a level of 0.05 and 200 people."""
        rng = np.random.default_rng(0)
        gain = find_detectable(np.linspace(-1, 1, 200)) / np.linspace(-1, 1, 200).std(ddof=1)
        draws = rng.normal(gain * np.sqrt(np.pi / 3), size=(4000, 191)) * 1
        p = ttest_1samp(draws, 0, axis=1, alternative="greater").pvalue
        assert np.mean(p < 0.05) > 0.8

    def test_few_people_can_show_nothing(self):
        assert find_detectable(np.array([0.1, 0.2, 0.3, 0.4])) == np.inf  # 1/16 is above 0.05
        assert np.isfinite(find_detectable(np.array([0.1, 0.2, 0.3, 0.4, 0.5])))
        assert np.isnan(find_detectable(np.zeros(15)))

    def test_equivalence_is_two_tests_of_scipy(self):
        rng = np.random.default_rng(2)
        gains = rng.normal(0.005, 0.03, 20)
        expected = max(
            wilcoxon(gains - 0.05, alternative="less").pvalue,
            wilcoxon(gains + 0.05, alternative="greater").pvalue,
        )
        assert_allclose(p_equivalent(Gains(gains), 0.05), expected)
        assert p_equivalent(Gains(gains + 0.05), 0.05) > 0.05

    def test_the_table_says_what_could_have_been_found(self, length, tmp_path):
        table = run(length, tmp_path / "s", margin=0.07)
        text = format_table(table.reset_index())
        effect = table.loc[list(READERS), "detectable_reads_eda"].median()
        assert f"with 12 people and 192 trials, a gain of {effect:.3f} over each" in text
        assert "Shown to be within 0.07 of majority (two one-sided tests, p < 0.05 after" in text

    @pytest.mark.parametrize(
        ("n_scored", "words"), [(0, "No person has a score"), (2, "With 2 of 12")]
    )
    def test_people_with_one_class_are_not_counted(self, length, tmp_path, n_scored, words):
        """A label that is a trait of the person is the same in all trials of a person."""
        number, trial = length.trials["subject"].str[1:].astype(int), length.trials["trial"]
        label = np.where(number < n_scored, trial % 2, number % 2)
        changed = Bunch(**{**length, "targets": {"trait": pd.Series(label).map({0: "a", 1: "b"})}})
        text = format_table(run(changed, tmp_path / "s", "svm").reset_index())
        assert f"none of 1. {words}" in text
        page = write_report(tmp_path / "s", tmp_path / "report")[0].read_text()
        assert ("svm, no person has a score" in page) == (n_scored == 0)


def make_row(p: float, alone: float, low: float, high: float, **about: object) -> pd.Series:
    """Make a row of a table in which the claim holds if p and the interval say so."""
    holds = p < 0.05 and low > 0.5
    row = {"n_failed": 0, "reference": False, "uses": "eda", "task": "binary", "margin": 0.05}
    row |= {"p_reads_eda": p, "p_reads_eda_alone": alone, "nearest_reads_eda": "majority"}
    row |= {"balanced_accuracy_by_person_low": low, "balanced_accuracy_by_person_high": high}
    return pd.Series(
        row | {"reads_eda": holds, "equivalent": pd.NA, "p_equivalent": np.nan} | about
    )


class TestWords:
    @pytest.mark.parametrize(
        ("p", "alone"),
        [
            (p, alone)
            for p in (0.0004, 0.0496, 0.04996, 0.05, 0.05004, 0.0504, 0.3, 1.0)
            for alone in (0.0001, 0.0496, 0.05, 0.0504, 0.3)
            if alone <= p  # an adjusted p is not smaller
        ],
    )
    @pytest.mark.parametrize("low", [0.45, 0.4996, 0.5, 0.5004, 0.55])
    def test_they_agree_with_p_and_interval_at_all_edges(self, p, alone, low):
        text = describe_claims(make_row(p, alone, low, 0.65))
        printed = [float(x) for x in re.findall(r"= (\d\.\d+)", text)]
        is_shown = text.startswith("EDA: above every row without EDA")
        assert is_shown == (p < 0.05 and low > 0.5)
        assert is_shown or text.startswith("EDA: not shown above majority")
        assert "at chance" not in text
        # The printed p is on the side of 0.05 that the words are on.
        if printed:
            assert (printed[0] < 0.05) == (p < 0.05)
        if not is_shown and p < 0.05:
            assert "but the interval includes chance" in text
        if not is_shown and low > 0.5:
            # An interval without chance beside "not shown" has its reason: the family, or the test.
            assert ("without adjustment" in text) == (alone < 0.05)
            assert ("although the interval excludes chance" in text) == (alone >= 0.05)

    def test_a_reproduced_table_has_the_words_of_the_comparison(self, length, tmp_path):
        table = run(length, tmp_path / "s").reset_index()
        both = pd.concat([table.assign(target=name) for name in ("valence", "arousal")])
        for pipeline in ("svm", "duration"):
            row = table[table["pipeline"] == pipeline].iloc[0]
            made = score_rows(both, "subject", pipeline, {}, None)
            assert {part["note"] for part in made} == {describe_claims(row)}
            balanced = [part for part in made if part["score"] == "balanced_accuracy"]
            expected = 100 * row[["balanced_accuracy_by_person", "balanced_accuracy_by_person_low"]]
            assert [balanced[0]["measured"], balanced[0]["low"]] == list(expected)

    def test_all_kinds_of_rows_have_words(self):
        family = describe_claims(make_row(0.0512, 0.0043, 0.504, 0.647))
        assert family == "EDA: not shown above majority (p = 0.051, without adjustment p = 0.004)"
        assert describe_claims(make_row(1, 1, 0, 1, reference=True)) == "uses no EDA"
        failed = make_row(1, 1, 0, 1, n_failed=2, error="ValueError: no")
        assert describe_claims(failed) == "2 folds failed, first with ValueError: no"
        equal = make_row(0.4, 0.4, 0.48, 0.53, equivalent=True, p_equivalent=0.01)
        assert describe_claims(equal).endswith("; within 0.05 of majority (p = 0.010)")
        untested = make_row(np.nan, np.nan, 0.4, 0.6)
        assert "not tested, since a row without EDA has no scores" in describe_claims(untested)

    @pytest.mark.parametrize(
        ("p", "text"),
        [
            (0.0496, "0.0496"),
            (0.05, "0.050"),
            (0.0504, "0.0504"),
            (0.2, "0.200"),
            (1e-5, "< 0.001"),
        ],
    )
    def test_p_is_never_rounded_to_the_level(self, p, text):
        assert format_p(p) == text


@pytest.mark.filterwarnings("ignore:.*standard deviation of 0:UserWarning")
def test_calibration_trials_are_marked(length, tmp_path):
    """The first trials of a person set the scale of these same trials, which are scored."""
    scale = SubjectStandardizer(calibrate_on=5)
    features = EDAFeatureExtractor(length.sampling_rate, missing="interpolate")
    own = {
        "calibrated": make_pipeline(features, make_logistic_baseline(eda=scale)),
        "own": make_pipeline(features, make_logistic_baseline(eda=SubjectStandardizer())),
    }
    names = ["logistic-eda", "logistic-eda-person", own]
    rows = evaluate(names, length, store=tmp_path / "s", n_splits=2, n_jobs=1)
    trials = rows.set_index("pipeline")["calibration_trials"]
    assert trials["calibrated"] == trials.sum() == 5
    text = format_table(rows)
    assert "| calibrated †          |" in text and "| logistic-eda-person * |" in text
    assert "| own *                 |" in text
    assert "† Partly transductive: the first 5 trials of a test person" in text
    markdown = write_report(tmp_path / "s", tmp_path / "report")[1].read_text()
    assert "calibrated †" in markdown and "† Partly transductive" in markdown
    assert r"own \*" in markdown


def test_no_prediction_of_a_calibrated_person_depends_on_another_tested_trial():
    """The first five trials of a person, which are not tested, set the scale of the others."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(6), 9)
    index = pd.MultiIndex.from_arrays(
        [people, np.tile(np.arange(9), 6)], names=["subject", "trial"]
    )
    labels = np.tile([0, 1, 1, 0, 1, 0, 0, 1, 0], 6)
    X = pd.DataFrame(rng.normal(size=(54, 2)), index=index, columns=["a", "b"])
    depends = {}
    for name, protocol in {
        "subject": SubjectKFold(3),
        "subject-calibrated": CalibratedSubjectKFold(3, k=5),
    }.items():
        training, test = next(iter(protocol.split(X)))
        changed = X.copy()
        changed.iloc[test[-1]] += 10
        model = make_logistic_baseline(eda=SubjectStandardizer())
        model.fit(X.iloc[training], labels[training])
        before, after = (model.predict_proba(x.iloc[test])[:-1] for x in (X, changed))
        depends[name] = not np.array_equal(before, after)
    assert depends == {"subject": True, "subject-calibrated": False}


def test_a_later_calibration_trial_changes_the_features_of_the_first():
    """Why rows are marked: the fourth trial of a person moves the first one."""
    features = np.random.default_rng(0).normal(size=(8, 2))
    changed = features.copy()
    changed[3] += 1
    scale = SubjectStandardizer(calibrate_on=5)
    rows = {"subject": ["p"] * 8}
    first, second = (scale.fit(x, **rows).transform(x, **rows)[0] for x in (features, changed))
    assert not np.allclose(first, second)
