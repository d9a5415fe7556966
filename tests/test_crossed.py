"""Intervals and tests over people and stimuli: other libraries, refits by hand, simulations."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.stats import binomtest, ttest_1samp, ttest_rel
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from edaemo.benchmark import (
    compare_pipelines,
    evaluate,
    load_predictions,
    permutation_tests,
    summarise_predictions,
)
from edaemo.datasets import make_music_listening
from edaemo.model_selection import PROTOCOLS, covers_of, make_protocol
from edaemo.model_selection._fewer_people import FewerPeople, FewerTrainingPeople
from edaemo.statistics import (
    Binary,
    Multiclass,
    Outcome,
    Regression,
    Scores,
    SequenceRegression,
    Task,
    format_table,
)
from edaemo.statistics._crossed import Jackknife, LeftOut

BOTH = ("subject", "stimulus")


def cross(n_people: int, n_songs: int) -> dict[str, np.ndarray]:
    """Return the person and the song of each trial of a fully crossed study."""
    return dict(zip(BOTH, np.divmod(np.arange(n_people * n_songs), n_songs), strict=True))


def draw_outcome(name: str, n: int, rng: np.random.Generator) -> tuple[Task, Outcome]:
    """Draw labels and predictions of a task."""
    task = {"regression": Regression, "sequence-regression": SequenceRegression}.get(name, Binary)()
    if name == "binary":
        labels = rng.integers(2, size=n)
        probability = np.round(np.clip(0.3 * labels + 0.7 * rng.random(n), 0, 1), 1)
        return task, task.read(labels, (probability > 0.5).astype(int), probability)
    if name == "multiclass":
        probability = rng.dirichlet(np.ones(3), n)
        task = Multiclass([0, 1, 2])
        return task, task.read(rng.integers(3, size=n), probability.argmax(axis=1), probability)
    if name == "regression":
        labels = rng.normal(size=n)
        return task, task.read(labels, 0.3 * labels + rng.normal(size=n))
    series = [rng.normal(size=size) for size in rng.integers(3, 9, size=n)]
    return task, task.read(series, [0.3 * one + rng.normal(size=len(one)) for one in series])


class TestLeftOut:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "regression", "sequence-regression"])
    def test_scores_without_a_unit_are_those_of_the_other_trials(self, name):
        """People and songs in blocks, as in subject+stimulus; some cells are empty."""
        rng = np.random.default_rng(3)
        person, song = (column[rng.random(63) < 0.8] for column in cross(7, 9).values())
        person, song = (np.resize(column, 50) for column in (person, song))
        folds = person % 3 * 2 + song % 2
        task, outcome = draw_outcome(name, len(person), rng)
        ids = dict(zip(BOTH, (person, song), strict=True))
        jackknife = Jackknife(task, outcome, ids, BOTH, folds=folds)
        cells = pd.MultiIndex.from_arrays([person, song])
        for kind, units in {"subject": person, "stimulus": song, "cell": cells}.items():
            for i, unit in enumerate(pd.unique(units)):
                if i % 3:
                    continue
                kept = np.array([other != unit for other in units])
                others = Outcome(*(None if of is None else of[kept] for of in outcome))
                summary = Scores(task, others, person[kept], fold=folds[kept]).summary
                for score in task.scores:
                    for average in ("pooled", "over_people"):
                        left = getattr(jackknife, average)(score).without[kind][i]
                        message = f"{score} {average} without {kind} {unit}"
                        assert_allclose(left, summary.loc[score, average], err_msg=message)

    def test_areas_without_a_person_are_those_of_scikit_learn(self):
        rng = np.random.default_rng(4)
        ids = cross(6, 8)
        task, outcome = draw_outcome("binary", 48, rng)
        left = Jackknife(task, outcome, ids, BOTH).pooled("roc_auc")
        for kind in BOTH:
            for unit, area in enumerate(left.without[kind]):
                kept = ids[kind] != unit
                expected = roc_auc_score(outcome.labels[kept], outcome.probability[kept])
                assert_allclose(area, expected)

    def test_variance_of_a_mean_is_the_two_way_clustered_one_of_statsmodels(self):
        rng = np.random.default_rng(5)
        ids = cross(9, 14)
        skill = (
            0.6 + 0.5 * rng.normal(size=9)[ids["subject"]] + rng.normal(size=14)[ids["stimulus"]]
        )
        right = (rng.normal(size=126) < skill).astype(int)
        jackknife = Jackknife(Binary(), Outcome(np.ones(126, int), right), ids, BOTH)
        groups = np.column_stack([ids["subject"], ids["stimulus"]])
        model = sm.OLS(right.astype(float), np.ones(126))
        two_way = model.fit(cov_type="cluster", cov_kwds={"groups": groups})
        left = jackknife.pooled("accuracy")
        standard_error, df = left.spread()
        assert_allclose(standard_error, two_way.bse[0])
        variances = [
            model.fit(cov_type="cluster", cov_kwds={"groups": column}).bse[0] ** 2
            for column in groups.T
        ]
        # Satterthwaite's degrees of freedom, at least those of the smaller number of units.
        expected = two_way.bse[0] ** 4 / (variances[0] ** 2 / 8 + variances[1] ** 2 / 13)
        assert_allclose(df, max(expected, 8))
        half = student_t.ppf(0.975, df) * standard_error
        low, high = left.interval(0, 1)
        assert_allclose([low, high], [right.mean() - half, right.mean() + half])
        # The mean over people is the same, but a cell counts as a part of its person.
        assert_allclose(jackknife.over_people("accuracy").spread()[0], standard_error, rtol=0.02)

    def test_over_songs_alone_it_is_the_t_test_of_songs(self):
        rng = np.random.default_rng(6)
        ids = cross(8, 12)
        labels = rng.integers(2, size=96)
        right = np.where(rng.random(96) < 0.65, labels, 1 - labels)
        jackknife = Jackknife(Binary(), Outcome(labels, right), ids, ("stimulus",))
        left = jackknife.pooled("accuracy")
        of_songs = (labels == right).reshape(8, 12).mean(axis=0)
        test = ttest_1samp(of_songs, 0.5, alternative="greater")
        assert_allclose(left.p_above(0.5), test.pvalue)
        assert_allclose(left.p_below(0.5), 1 - test.pvalue)
        assert_allclose(left.interval(0, 1), ttest_1samp(of_songs, 0.5).confidence_interval())

    def test_differences_of_two_pipelines_are_paired(self):
        """Songs in another order of rows, and the paired t test of songs."""
        rng = np.random.default_rng(7)
        ids = cross(8, 12)
        labels = rng.integers(2, size=96)
        a, b = (np.where(rng.random(96) < share, labels, 1 - labels) for share in (0.7, 0.6))
        first = Jackknife(Binary(), Outcome(labels, a), ids, ("stimulus",))
        order = rng.permutation(96)
        second = Jackknife(
            Binary(),
            Outcome(labels[order], b[order]),
            {kind: of[order] for kind, of in ids.items()},
            ("stimulus",),
        )
        of_songs = [(labels == of).reshape(8, 12).mean(axis=0) for of in (a, b)]
        gain = first.over_people("accuracy", minus=second)
        assert_allclose(gain.estimate, np.mean(of_songs[0] - of_songs[1]))
        assert_allclose(gain.p_different(), ttest_rel(*of_songs).pvalue)

    @pytest.mark.parametrize(
        ("name", "score", "factor"),
        [("regression", "rmse", 2), ("binary", "accuracy", 1.6366), ("binary", "roc_auc", 1.6366)],
    )
    def test_models_of_several_folds_have_a_larger_variance(self, name, score, factor):
        """By 2 for numbers, by 1 + 2 / π for classes (a simulation of it is below)."""
        task, outcome = draw_outcome(name, 60, np.random.default_rng(8))
        ids = cross(6, 10)
        once, several = (
            Jackknife(task, outcome, ids, BOTH, cross_validated=several).pooled(score).spread()
            for several in (False, True)
        )
        assert_allclose(several[0] ** 2, factor * once[0] ** 2, rtol=1e-4)

    def test_variance_across_folds_is_that_of_models_that_learn_nothing(self):
        """2,000 studies of 100 trials in ten folds; models are sums of label times feature.

        The products of label and prediction have mean 0, so their squares add up to the variance
        given the models.
        """
        rng = np.random.default_rng(1)
        same = np.equal.outer(np.arange(100) % 10, np.arange(100) % 10)
        ratios = {}
        for name, sign in (("numbers", lambda x: x), ("classes", np.sign)):
            sums, squares = [], []
            for _ in range(2000):
                features, labels = rng.normal(size=(100, 8)), rng.choice([-1, 1], size=100)
                products = labels * sign(np.where(same, 0, features @ features.T) @ labels)
                sums.append(products.sum())
                squares.append(np.sum(products**2))
            ratios[name] = np.var(sums) / np.mean(squares)
        # The standard error of a ratio is sqrt(2 / 2000) of it.
        assert_allclose(ratios["numbers"], 2, rtol=0.1)
        assert_allclose(ratios["classes"], 1 + 2 / np.pi, rtol=0.1)

    def test_variance_is_at_least_that_over_people_or_songs(self):
        """Two-way clustering may give a negative variance, for example of alternating cells."""
        ids = cross(6, 6)
        right = (ids["subject"] + ids["stimulus"]) % 2
        left = Jackknife(Binary(), Outcome(np.ones(36, int), right), ids, BOTH).pooled("accuracy")
        assert left.spread()[0] == 0
        uneven = right.copy()
        uneven[:2] = 1
        left = Jackknife(Binary(), Outcome(np.ones(36, int), uneven), ids, BOTH).pooled("accuracy")
        of_people = uneven.reshape(6, 6).mean(axis=1)
        assert_allclose(left.spread()[0], of_people.std(ddof=1) / np.sqrt(6))

    def test_p_is_never_smaller_than_that_of_the_signs(self):
        """Perfect predictions of three people with five songs have no spread: p = 1 / 2^3."""
        labels = np.tile([0, 1, 0, 1, 1], 3)
        left = Jackknife(Binary(), Outcome(labels, labels), cross(3, 5), BOTH).pooled("accuracy")
        assert left.p_above(0.5) == 1 / 8 and left.p_above(1) == 1 and left.p_below(0.5) == 1
        assert left.interval(0, 1) == (1, 1)

    def test_intervals_end_at_the_limits_of_a_score(self):
        labels = np.tile([0, 1, 0, 1, 1], 3)
        predicted = labels.copy()
        predicted[0] = 1
        scores = Scores(
            Binary(), Outcome(labels, predicted), np.repeat([0, 1, 2], 5),
            stimulus=np.tile(np.arange(5), 3), covers=BOTH,
        )  # fmt: skip
        row = scores.summary.loc["accuracy"]
        assert row["pooled"] == 14 / 15 and row["pooled_high"] == 1 and row["pooled_low"] < 0.85

    def test_one_song_gives_no_interval_and_no_p(self):
        left = Jackknife(
            Binary(), Outcome(np.array([0, 1, 1]), np.array([0, 1, 0])), cross(3, 1), BOTH
        ).pooled("accuracy")
        assert np.isnan([*left.interval(0, 1), left.p_above(0.5), left.p_different()]).all()

    @pytest.mark.parametrize("n_songs", [12, 40])
    def test_intervals_cover_new_people_with_new_songs(self, n_songs):
        """200 studies of 15 people; the chance of a right answer is 0.5 + 0.15 (person + song)."""
        rng = np.random.default_rng(n_songs + 1)
        ids = cross(15, n_songs)
        covered = 0
        for _ in range(200):
            person, song = rng.uniform(-1, 1, 15), rng.uniform(-1, 1, n_songs)
            skill = 0.5 + 0.15 * (person[ids["subject"]] + song[ids["stimulus"]])
            right = (rng.random(len(skill)) < skill).astype(int)
            left = Jackknife(Binary(), Outcome(np.ones(len(right), int), right), ids, BOTH)
            low, high = left.pooled("accuracy").interval(0, 1)
            covered += low <= 0.5 <= high
        interval = binomtest(covered, 200).proportion_ci(0.999)
        assert interval.low <= 0.95 <= interval.high, covered


class TestProtocols:
    @pytest.mark.parametrize(
        ("name", "covers"),
        [
            ("subject", ("subject",)),
            ("subject-loso", ("subject",)),
            ("paper", ("subject",)),
            ("stimulus", ("stimulus",)),
            ("subject+stimulus", BOTH),
            ("within-subject", ("subject",)),
            ("trial", ("subject",)),
        ],
    )
    def test_protocols_state_what_their_scores_cover(self, name, covers):
        assert make_protocol(name).covers == covers
        assert covers_of({"covers": list(covers)}, "gone") == covers
        assert covers_of(None, name) == covers  # stores of older versions
        assert FewerPeople(name, percent=50).covers == covers
        assert covers_of(None, f"{name}, 50 % of the people") == covers

    def test_protocols_that_are_not_registered_cover_what_they_do_not_share(self):
        assert FewerTrainingPeople(percent=50).covers == ("subject",)
        assert covers_of({"may_share": []}, "gone") == BOTH
        assert covers_of({"may_share": ["subject"]}, "gone") == ("stimulus",)
        assert covers_of({}, "gone") == ("subject",)
        assert set(PROTOCOLS) >= {"subject", "stimulus"}


@pytest.fixture(scope="module")
def crossed(tmp_path_factory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table and the predictions of a small study, people and songs held out together."""
    path = tmp_path_factory.mktemp("store") / "results.sqlite"
    study = make_music_listening(8, 10, 8, sampling_rate=8, duration=10, random_state=3)
    settings = {"people": "all", "n_splits": 2, "n_jobs": 1, "store": path}
    table = evaluate(
        ["svm-music", "logistic-eda"], study, "arousal", "subject+stimulus", **settings
    )
    return table, load_predictions(path)


class TestTables:
    def test_table_and_summary_have_the_same_intervals(self, crossed):
        table, predictions = crossed
        assert predictions["covers"].eq("subject+stimulus").all()
        summary = summarise_predictions(predictions).set_index(["pipeline", "score"])
        people = summarise_predictions(predictions.drop(columns="covers"))
        people = people.set_index(["pipeline", "score"])
        column = "balanced_accuracy_by_person"
        for _, row in table.iterrows():
            key = (row["pipeline"], "balanced_accuracy")
            ends = summary.loc[key, ["over_people_low", "over_people_high"]]
            assert_allclose(row[[f"{column}_low", f"{column}_high"]].astype(float), ends)
            assert summary.loc[key, "pooled"] == people.loc[key, "pooled"]
        key = ("logistic-eda", "balanced_accuracy")
        assert summary.loc[key, "pooled_low"] != people.loc[key, "pooled_low"]

    def test_tests_of_the_table_are_those_over_people_and_songs(self, crossed):
        table, predictions = crossed
        rows = dict(list(predictions.groupby("pipeline")))
        scores = []
        for name in ("logistic-eda", "majority"):
            of = rows[name]
            outcome = Outcome(of["label"].to_numpy(), of["predicted"].to_numpy())
            ids = {kind: of[kind].to_numpy() for kind in BOTH}
            folds = pd.factorize(of["fold"])[0]
            scores.append(
                Jackknife(Binary(), outcome, ids, BOTH, folds=folds, cross_validated=True)
            )
        gain = scores[0].over_people("balanced_accuracy", minus=scores[1])
        pairs = compare_pipelines(predictions).set_index(["a", "b"])
        pair = next(name for name in pairs.index if set(name) == {"logistic-eda", "majority"})
        sign = 1 if pair[0] == "logistic-eda" else -1
        assert_allclose(pairs.loc[pair, "difference"], sign * gain.estimate)
        assert_allclose(pairs.loc[pair, "p_crossed"], gain.p_different())
        assert pairs["p_wilcoxon"].isna().all() and pairs["p_crossed_holm"].notna().all()
        assert (pairs["rank_biserial_low"] <= pairs["rank_biserial"]).all()
        tests = permutation_tests(predictions, n_permutations=200).set_index("pipeline")
        assert tests["test"].eq("t").all()
        assert tests.loc["majority", "p_value"] > 0.05
        row = table.set_index("pipeline").loc["logistic-eda"]
        # Two tests over people and songs, in a family of two pipelines (Holm).
        assert row["p_above_majority"] >= gain.p_above() - 1e-12

    def test_captions_name_what_is_covered(self, crossed):
        text = " ".join(format_table(crossed[0]).split())
        assert "95 % jackknife interval over people and songs, widened because" in text
        assert "over people and songs, one-sided t, p < 0.05 after Holm" in text

    def test_trials_without_stimuli_cover_people_only(self, crossed):
        predictions = crossed[1]
        expected = summarise_predictions(predictions.drop(columns="covers"))
        without = summarise_predictions(predictions.assign(stimulus=None))
        pd.testing.assert_frame_equal(without, expected)
        with pytest.raises(ValueError, match="column covers of one case must be 'subject'"):
            summarise_predictions(predictions.assign(covers="song"))
        missing = predictions.copy()
        missing.loc[3, "stimulus"] = None
        with pytest.raises(ValueError, match="stimulus is missing for 1 of"):
            summarise_predictions(missing)


def test_null_studies_with_songs_are_rarely_significant():
    """60 studies of 12 people x 20 songs; predictions and labels have independent song effects."""
    rng = np.random.default_rng(9)
    ids = cross(12, 20)
    found = fixed = 0
    for _ in range(60):
        labels, predicted = (
            (rng.normal(size=20)[ids["stimulus"]] + 0.5 * rng.normal(size=240) > 0).astype(int)
            for _ in range(2)
        )
        outcome = Outcome(labels, predicted)
        people = Jackknife(Binary(), outcome, ids, ("subject",)).over_people("balanced_accuracy")
        both = Jackknife(Binary(), outcome, ids, BOTH).over_people("balanced_accuracy")
        fixed += people.p_above(0.5) <= 0.05
        found += both.p_above(0.5) <= 0.05
    assert binomtest(int(fixed), 60, 0.05, alternative="greater").pvalue < 0.001
    assert binomtest(int(found), 60, 0.05, alternative="greater").pvalue > 0.01
    assert isinstance(people, LeftOut)
