"""Summaries, permutation tests, comparisons: worked values, other libraries, simulated nulls."""

from itertools import combinations, permutations, product
from math import comb
from time import sleep
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest, pearsonr, rankdata, t
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import calibration_curve
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GroupKFold
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.stats.multitest import multipletests

from edaemo.benchmark import (
    FoldRecord,
    ResultStore,
    calibration,
    classification_summary,
    compare_pipelines,
    corrected_resampled_t_test,
    critical_difference,
    evaluate,
    load_predictions,
    newest_keys,
    paired_test,
    permutation_refit,
    permutation_test,
    permutation_tests,
    regression_summary,
    summarise_predictions,
)
from edaemo.datasets import make_music_listening
from edaemo.inspection._critical_difference import plot_critical_difference
from edaemo.metrics import concordance_correlation, expected_calibration_error
from edaemo.model_selection._fewer_people import FewerPeople, FewerTrainingPeople
from edaemo.statistics._scores import (
    adjust_holm,
    draw_people,
    interval_over_people,
    signed_rank_p,
)

OF_CLASSES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "f1": f1_score,
    "f1_macro": lambda y, p: f1_score(y, p, average="macro"),
    "mcc": matthews_corrcoef,
}
OF_PROBABILITIES = {"roc_auc": roc_auc_score, "brier_score": brier_score_loss}
OF_NUMBERS = {
    "concordance_correlation": concordance_correlation,
    "pearson": lambda y, p: pearsonr(y, p).statistic,
    "rmse": root_mean_squared_error,
}
METRICS = OF_CLASSES | OF_PROBABILITIES | OF_NUMBERS

# Demšar, JMLR 7, 2006, table 6: AUC of C4.5 on 14 data sets, and with m, with cf, with both tuned.
# In the last row but one the table prints 0.975 twice and ranks the two 2 and 3.
DEMSAR = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


def is_nominal(n_found: int, n_studies: int, level: float = 0.05) -> bool:
    """Say whether the level lies in the 99.9 % interval of the rate that was found."""
    interval = binomtest(int(n_found), n_studies).proportion_ci(0.999)
    return interval.low <= level <= interval.high


@pytest.fixture
def predictions() -> dict[str, np.ndarray]:
    """300 trials of 12 people in five folds, told better than by chance."""
    rng = np.random.default_rng(1)
    subject = rng.integers(12, size=300)
    labels = rng.integers(2, size=300)
    probability = np.clip(np.round(0.6 * rng.random(300) + 0.3 * labels, 2), 0, 1)
    return {
        "labels": labels,
        "predicted": (probability > 0.4).astype(int),
        "probability": probability,
        "subject": np.array([f"p{i}" for i in subject]),
        "fold": subject % 5,
    }


def summarise(told: dict[str, np.ndarray]) -> pd.DataFrame:
    settings = {name: told[name] for name in ("subject", "probability", "fold")}
    return classification_summary(told["labels"], told["predicted"], **settings)


def pair_within(labels, predicted, folds) -> tuple[np.ndarray, np.ndarray]:
    """Return the sign of the difference of labels and predictions, of all pairs within folds."""
    first, second = np.triu_indices(len(labels), 1)
    same = np.asarray(folds)[first] == np.asarray(folds)[second]
    return tuple(
        np.sign(np.subtract(*np.asarray(values, float)[[first[same], second[same]]]))
        for values in (labels, predicted)
    )


def share_of_wins(labels, predicted, folds) -> float:
    """Count the pairs of two labels that are in the right order; ties count half."""
    of_label, of_prediction = pair_within(labels, predicted, folds)
    return 0.5 + (of_label * of_prediction).sum() / np.abs(of_label).sum() / 2


def rank_correlation(labels, predicted, folds) -> float:
    """Return Kendall's tau-b of all pairs within folds."""
    pairs = pair_within(labels, predicted, folds)
    return np.prod(pairs, axis=0).sum() / np.sqrt(np.prod(np.abs(pairs).sum(axis=1)))


WITHIN_FOLDS = {
    "balanced_accuracy": share_of_wins,
    "roc_auc": share_of_wins,
    "mcc": rank_correlation,
}


class TestClassificationSummary:
    def test_scores_are_those_of_scikit_learn(self, predictions):
        table = summarise(predictions)
        frame = pd.DataFrame(predictions)
        together = summarise(predictions | {"fold": None})
        for name, metric in (OF_CLASSES | OF_PROBABILITIES).items():
            column = "probability" if name in OF_PROBABILITIES else "predicted"
            for unit, groups in [
                ("pooled", np.zeros(300)),
                ("over_people", "subject"),
                ("over_folds", "fold"),
            ]:
                each = [metric(own["labels"], own[column]) for _, own in frame.groupby(groups)]
                if unit == "pooled":
                    assert_allclose(together.loc[name, unit], np.mean(each), err_msg=name)
                    if name in WITHIN_FOLDS:
                        within = WITHIN_FOLDS[name]
                        each = [within(frame["labels"], frame[column], frame["fold"])]
                assert_allclose(table.loc[name, unit], np.mean(each), err_msg=f"{name} {unit}")
            assert_allclose(table.loc[name, "over_folds_sd"], np.std(each, ddof=1))
        excess = np.mean(predictions["probability"] - predictions["labels"])
        assert_allclose(table.loc["calibration_in_the_large", "pooled"], excess)
        n_high = predictions["labels"].sum()
        assert_allclose(table.loc["majority_rate", "pooled"], max(n_high, 300 - n_high) / 300)

    def test_what_has_no_value_is_counted_and_not_averaged(self, predictions):
        frame = pd.DataFrame(predictions)
        frame.loc[frame["subject"] == "p3", "labels"] = 0
        frame.loc[frame["subject"] == "p3", "predicted"] = 0
        table = summarise({name: frame[name].to_numpy() for name in frame})
        undefined = table["n_people_undefined"]
        missing = ["roc_auc", "mcc", "f1", "balanced_accuracy"]
        assert undefined[missing].tolist() == [1, 1, 1, 1]
        assert undefined.drop(missing).eq(0).all()
        others = frame[frame["subject"] != "p3"].groupby("subject")
        each = [roc_auc_score(own["labels"], own["probability"]) for _, own in others]
        assert_allclose(table.loc["roc_auc", "over_people"], np.mean(each))
        assert table["n_people"].eq(12).all()
        assert (
            table.loc["accuracy", "over_people"]
            > others.apply(lambda own: accuracy_score(own["labels"], own["predicted"])).mean()
        )

    def test_a_score_that_is_undefined_everywhere_is_nan(self):
        table = classification_summary([1, 1, 1, 1], [0, 1, 1, 1], subject=[1, 1, 2, 2])
        assert table.loc[["mcc", "roc_auc", "brier_score"], "pooled"].isna().all()
        assert table.loc["mcc", "n_people_undefined"] == 2
        assert table.loc["accuracy", "pooled"] == 0.75

    @pytest.mark.parametrize("probability", [None, "partly"])
    def test_without_probabilities_nothing_is_made_of_them(self, predictions, probability):
        if probability:
            probability = np.where(np.arange(300) < 5, np.nan, predictions["probability"])
        predictions["probability"] = probability
        table = summarise(predictions)
        unknown = ["roc_auc", "brier_score", "calibration_in_the_large"]
        assert table.loc[unknown, ["pooled", "over_people", "over_folds"]].isna().all(axis=None)
        assert table.drop(unknown)[["pooled", "over_people", "over_folds"]].notna().all(axis=None)

    def test_intervals_are_those_of_resampled_people(self, predictions):
        table = summarise(predictions)
        rows = [np.flatnonzero(predictions["subject"] == i) for i in set(predictions["subject"])]
        rng = np.random.default_rng(2)
        labels, probability = predictions["labels"], predictions["probability"]
        fold = predictions["fold"]
        draws = []
        for _ in range(1000):
            drawn = np.concatenate([rows[i] for i in rng.integers(12, size=12)])
            draws.append(share_of_wins(labels[drawn], probability[drawn], fold[drawn]))
        # Φ(−t(0.975; 11) sqrt(12 / 11)) = Φ(−2.2988) = 0.01076
        expected = np.quantile(draws, [0.01076, 1 - 0.01076])
        told = table.loc["roc_auc", ["pooled_low", "pooled_high"]].to_numpy(float)
        # Models of several folds: both sides are longer by sqrt(1 + 2 / π).
        told = table.loc["roc_auc", "pooled"] + (told - table.loc["roc_auc", "pooled"]) / 1.2793
        assert_allclose(told, expected, atol=0.012)

    def test_intervals_over_people_cover_as_often_as_they_say(self):
        """400 studies of eight people, whose expected accuracies are 0.62 on average."""
        rng = np.random.default_rng(4)
        subject = np.repeat(np.arange(8), 25)
        covered = {"pooled": 0, "over_people": 0}
        for _ in range(400):
            skill = np.clip(rng.normal(0.62, 0.12, size=8), 0, 1)
            labels = rng.integers(2, size=200)
            right = rng.random(200) < skill[subject]
            table = classification_summary(
                labels, np.where(right, labels, 1 - labels), subject=subject
            )
            row = table.loc["accuracy"]
            for of in covered:
                covered[of] += row[f"{of}_low"] <= 0.62 <= row[f"{of}_high"]
        assert all(is_nominal(n, 400, 0.95) for n in covered.values()), covered

    def test_plain_percentiles_would_cover_too_rarely_with_eight_people(self):
        """Why the percentiles are expanded: Student's interval is t(7) sqrt(8/7) / 1.96 as wide."""
        rng = np.random.default_rng(5)
        means = rng.normal(size=(2000, 8))
        drawn = draw_people(8, 0)
        plain = expanded = 0
        for own in means[:400]:
            draws = drawn @ own / 8
            low, high = np.percentile(draws, [2.5, 97.5])
            plain += low <= 0 <= high
            low, high = interval_over_people(draws, 8)
            expanded += low <= 0 <= high
        assert not is_nominal(plain, 400, 0.95)
        assert is_nominal(expanded, 400, 0.95)

    def test_one_person_gives_no_interval(self):
        table = classification_summary([0, 1], [0, 1], subject=["a", "a"])
        assert table.loc["accuracy", "pooled"] == 1
        assert table[["pooled_low", "over_people_high"]].isna().all(axis=None)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"labels": [0, 2, 1]}, "y_true must be 0 or 1"),
            ({"predicted": [0, 1]}, "inconsistent numbers"),
            ({"probability": [0.1, 0.2]}, "probability must have"),
            ({"probability": [0.1, 0.2, 1.2]}, r"\[0, 1\]"),
            ({"subject": ["a", None, "b"]}, "subject is missing for 1 of 3"),
            ({"fold": [0]}, "fold must have one id for each of 3"),
        ],
    )
    def test_what_cannot_be_summarised_is_said(self, change, match):
        told = {"labels": [0, 1, 1], "predicted": [0, 1, 0], "subject": list("aab")}
        told |= {"probability": None, "fold": None} | change
        with pytest.raises(ValueError, match=match):
            summarise(told)


def correlate_within(score: str, y: np.ndarray, predicted: np.ndarray, fold: np.ndarray) -> float:
    """Score numbers around the means of their folds."""
    frame = pd.DataFrame({"y": y, "predicted": predicted})
    means = frame.groupby(fold).transform("mean")
    if score == "rmse":
        return root_mean_squared_error(y, predicted)
    if score == "pearson":
        return pearsonr(*(frame - means).to_numpy().T).statistic
    shift = np.sum((means["y"] - means["predicted"]) ** 2)
    scatter = ((frame - means) ** 2).sum().sum() + shift
    return 2 * (frame - means).prod(axis=1).sum() / scatter


def test_regression_scores_are_those_of_other_libraries():
    rng = np.random.default_rng(3)
    subject, fold = rng.integers(9, size=200), rng.integers(4, size=200)
    y = 5 + rng.normal(size=200)
    predicted = 4 + 0.5 * (y - 5) + rng.normal(size=200)
    table = regression_summary(y, predicted, subject=subject, fold=fold)
    together = regression_summary(y, predicted, subject=subject)
    for name, metric in OF_NUMBERS.items():
        assert_allclose(together.loc[name, "pooled"], metric(y, predicted))
        for groups, found in [(subject, together["over_people"]), (fold, table["over_folds"])]:
            each = [metric(y[groups == i], predicted[groups == i]) for i in np.unique(groups)]
            assert_allclose(found[name], np.mean(each), err_msg=name)
        assert_allclose(table.loc[name, "pooled"], correlate_within(name, y, predicted, fold))
        each = [
            correlate_within(name, *(column[subject == i] for column in (y, predicted, fold)))
            for i in range(9)
        ]
        assert_allclose(table.loc[name, "over_people"], np.mean(each), err_msg=name)
    assert (table["pooled_low"] < table["pooled"]).all()
    y[subject == 2] = 5.3
    undefined = regression_summary(y, predicted, subject=subject)["n_people_undefined"]
    assert undefined.to_dict() == {"concordance_correlation": 0, "pearson": 1, "rmse": 0}


class TestRepeats:
    """Twelve people, of whose 20 trials each repeat predicts as many correctly."""

    def predictions(self, *shares, covers="subject"):
        tables = []
        for repeat, share in enumerate(shares):
            for person in range(12):
                wrong = np.arange(10) >= 10 * share
                predicted = np.r_[wrong, ~wrong].astype(int)
                tables.append(
                    pd.DataFrame(
                        {
                            "pipeline": "net",
                            "repeat": repeat,
                            "fold": person % 3,
                            "subject": f"p{person:02d}",
                            "stimulus": [f"s{i}" for i in range(20)],
                            "covers": covers,
                            "label": [0] * 10 + [1] * 10,
                            "predicted": predicted,
                        }
                    )
                )
        return pd.concat(tables, ignore_index=True)

    def test_people_who_are_all_alike_leave_the_interval_of_student(self):
        given = [0.9, 0.8, 0.7]
        half = t.ppf(0.975, 2) * np.std(given, ddof=1) / np.sqrt(3)
        table = summarise_predictions(self.predictions(*given)).set_index("score")
        for score in ("accuracy", "balanced_accuracy"):
            row = table.loc[score]
            for mean in ("pooled", "over_people"):
                assert_allclose(row[mean], 0.8)
                assert_allclose([row[f"{mean}_low"], row[f"{mean}_high"]], [0.8 - half, 1.0])
            assert_allclose(row["over_repeats_sd"], 0.1)
            assert row["n_repeats"] == 3
        assert 0.8 + half > 1

    def test_one_repeat_has_no_spread(self):
        table = summarise_predictions(self.predictions(0.8)).set_index("score")
        row = table.loc["accuracy"]
        assert_allclose([row["over_people_low"], row["over_people_high"]], [0.8, 0.8])
        assert np.isnan(row["over_repeats_sd"])

    def test_intervals_over_stimuli_hold_repeats_too(self):
        alone = summarise_predictions(self.predictions(0.8, 0.8, covers="subject+stimulus"))
        both = summarise_predictions(self.predictions(0.9, 0.7, covers="subject+stimulus"))
        one, two = (table.set_index("score").loc["accuracy"] for table in (alone, both))
        assert one["over_repeats_sd"] == 0
        assert_allclose(two["over_repeats_sd"], 0.2 / np.sqrt(2))
        # Student's quantile for two repeats is 12.7.
        assert two["over_people_low"] == 0
        assert one["over_people_low"] > 0.4

    @pytest.mark.parametrize("covers", ["subject", "subject+stimulus"])
    def test_repeats_of_one_fixed_split_share_no_training_trials(self, predictions, covers):
        once = pd.DataFrame(
            {
                "pipeline": "net",
                "fold": 0,
                "repeat": 0,
                "subject": predictions["subject"],
                "stimulus": np.arange(len(predictions["labels"])) % 7,
                "covers": covers,
                "label": predictions["labels"],
                "predicted": predictions["predicted"],
                "n_training": 100,
            }
        )
        again = pd.concat([once, once.assign(repeat=1)])
        ends = ["pooled_low", "pooled_high", "over_people_low", "over_people_high"]
        single, same = (summarise_predictions(rows).set_index("score") for rows in (once, again))
        assert_allclose(same[ends], single[ends])

        if covers != "subject":
            p_values = [
                permutation_tests(rows, n_permutations=20)["p_value"] for rows in (once, again)
            ]
            assert_allclose(*p_values)

        # Repeats with other test people: people who test one model train the other one.
        half = once["subject"].isin(pd.unique(once["subject"])[::2])
        others = pd.concat([once[half], once[~half].assign(repeat=1)])
        apart = summarise_predictions(others).set_index("score")
        folds = summarise_predictions(others.assign(repeat=0, fold=1 * ~half)).set_index("score")
        lengths = [
            table.loc["accuracy", "pooled_high"] - table.loc["accuracy", "pooled_low"]
            for table in (single, folds, apart)
        ]
        assert lengths[1] > 1.2 * lengths[0]
        assert lengths[2] >= lengths[1]

        # Seeds of one split differ less than splits, so a test over them claims too much.
        guess = again.assign(pipeline="guess", predicted=1)
        assert np.isnan(compare_pipelines(pd.concat([again, guess]))["p_t"].iloc[0])


class TestCalibration:
    def test_curve_is_scikit_learns(self, predictions):
        told = calibration(
            predictions["labels"], predictions["probability"], subject=predictions["subject"]
        )
        share, mean = calibration_curve(
            predictions["labels"], predictions["probability"], n_bins=10
        )
        assert_allclose(told.curve["share"], share)
        assert_allclose(told.curve["probability"], mean)
        assert told.curve["n_trials"].sum() == 300
        assert_allclose(
            told.expected_calibration_error,
            expected_calibration_error(predictions["labels"], predictions["probability"]),
        )

    @pytest.mark.parametrize("seed", range(4))
    def test_slope_intercept_and_intervals_are_those_of_statsmodels(self, seed):
        rng = np.random.default_rng(seed)
        n = 60 + 150 * seed
        people = np.unique(rng.integers(0, 4 + 3 * seed, n), return_inverse=True)[1]
        probability = rng.beta(0.5, 0.5, n) if seed % 2 else rng.uniform(0.2, 0.8, n)
        labels = (rng.random(n) < 0.7 * probability + 0.15).astype(int)
        found = calibration(labels, probability, subject=people)
        clipped = np.clip(probability, 1e-6, 1 - 1e-6)
        columns = np.column_stack([np.ones(n), np.log(clipped / (1 - clipped))])
        fitted = GLM(labels, columns, family=Binomial()).fit(
            cov_type="cluster", cov_kwds={"groups": people}, use_t=True
        )
        (intercept, slope), (of_intercept, of_slope) = fitted.params, fitted.conf_int()
        assert_allclose([found.slope, found.slope_low, found.slope_high], [slope, *of_slope])
        assert_allclose(
            [found.intercept, found.intercept_low, found.intercept_high],
            [intercept, *of_intercept],
            atol=1e-9,
        )

    # C=inf means without penalty; scikit-learn 1.8 warns of it.
    @pytest.mark.filterwarnings("ignore:Setting penalty=None will ignore the C")
    def test_slope_and_intercept_are_found(self):
        """Labels drawn at logit = 0.3 + 0.5 logit(probability): too extreme by a factor of two."""
        rng = np.random.default_rng(0)
        probability = rng.uniform(0.02, 0.98, size=4000)
        logit = 0.3 + 0.5 * np.log(probability / (1 - probability))
        labels = rng.random(4000) < 1 / (1 + np.exp(-logit))
        told = calibration(labels.astype(int), probability, subject=np.arange(4000) % 50)
        assert told.slope_low < 0.5 < told.slope_high and told.slope_high - told.slope_low < 0.2
        assert told.intercept_low < 0.3 < told.intercept_high
        x = np.log(probability / (1 - probability))[:, None]
        plain = LogisticRegression(C=np.inf, tol=1e-8).fit(x, labels)
        assert_allclose(
            [told.slope, told.intercept], [plain.coef_[0, 0], plain.intercept_[0]], rtol=1e-4
        )

    def test_more_of_the_same_of_each_person_is_no_more_certain(self, predictions):
        labels, probability = predictions["labels"], predictions["probability"]
        subject = predictions["subject"]
        once = calibration(labels, probability, subject=subject)
        many = calibration(np.tile(labels, 9), np.tile(probability, 9), subject=np.tile(subject, 9))
        for end in ("slope", "slope_low", "slope_high", "intercept_low"):
            assert_allclose(getattr(many, end), getattr(once, end), rtol=0.02)
        assert_allclose(many.curve["share_low"], once.curve["share_low"])

    @pytest.mark.parametrize(
        "probability", [[0.4, 0.4, 0.4, 0.4], [0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1]]
    )
    def test_where_no_slope_is_determined_it_is_nan(self, probability):
        told = calibration([0, 0, 1, 1], probability, subject=[1, 2, 1, 2])
        assert np.isnan(told.slope) and np.isnan(told.intercept_low)


def arrange(labels: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """List every order of labels within people, (n_orders, n_trials); equal ones count as often."""
    rows = [np.flatnonzero(subject == person) for person in np.unique(subject)]
    orders = []
    for chosen in product(*[permutations(own) for own in rows]):
        order = np.empty(len(labels), int)
        for own, taken in zip(rows, chosen, strict=True):
            order[own] = taken
        orders.append(labels[order])
    return np.array(orders)


class TestPermutationTest:
    @pytest.mark.parametrize("average", ["people", "pooled"])
    @pytest.mark.parametrize("score", METRICS)
    def test_p_is_that_of_all_permutations(self, score, average):
        """Three people with 3! · 4! · 2! orders, each scored by scikit-learn or scipy."""
        subject = np.array([0, 1, 1, 0, 2, 1, 0, 1, 2])
        labels = np.array([0, 1, 0, 1, 1, 0, 1, 1, 0])
        if score in OF_NUMBERS:
            labels = labels + np.array([0.1, 0.3, 0.9, 0.4, 0.6, 0.2, 0.8, 0.5, 0.7])
            predicted = np.array([0.2, 0.9, 0.4, 0.5, 0.8, 0.1, 0.6, 0.3, 0.7])
        elif score in OF_PROBABILITIES:
            predicted = np.array([0.2, 0.9, 0.4, 0.5, 0.8, 0.4, 0.6, 0.3, 0.7])
        else:
            predicted = np.array([0, 1, 0, 1, 1, 0, 0, 0, 1])
        found, of = np.unique(arrange(labels, subject), axis=0, return_inverse=True)

        def measure(order: np.ndarray) -> float:
            groups = np.unique(subject) if average == "people" else [...]
            rows = [subject == one if one is not ... else slice(None) for one in groups]
            return np.mean([METRICS[score](order[own], predicted[own]) for own in rows])

        # numpy 2.0 returns the inverse as a column.
        every = np.array([measure(order) for order in found])[of.ravel()]
        better = -1 if score in ("brier_score", "rmse") else 1
        observed = measure(labels)
        p = np.mean(better * (every - observed) >= -1e-12)
        test = permutation_test(
            labels, predicted, subject=subject, score=score, average=average, n_permutations=20_000
        )
        assert_allclose(test.observed, observed)
        assert_allclose(test.p_value, p, atol=4 * np.sqrt(p * (1 - p) / 20_000) + 1e-4)
        assert_allclose(test.null.mean(), every.mean(), atol=4 * every.std() / np.sqrt(20_000))
        assert {*np.round(test.null, 9)} <= {*np.round(every, 9)}

    def test_the_smallest_p_is_one_in_all(self):
        subject = np.repeat(np.arange(10), 20)
        labels = np.tile([0, 1], 100)
        test = permutation_test(labels, labels, subject=subject, n_permutations=99)
        assert (test.p_value, test.n_permutations, len(test.null)) == (0.01, 99, 99)

    def test_knowing_how_often_each_person_says_high_is_no_evidence(self):
        rng = np.random.default_rng(0)
        subject = np.repeat(np.arange(20), 30)
        share = np.where(np.arange(20) < 10, 0.8, 0.2)
        labels = (rng.random(600) < share[subject]).astype(int)
        told = (share[subject] > 0.5).astype(int)
        assert accuracy_score(labels, told) > 0.75
        for average in ("people", "pooled"):
            test = permutation_test(
                labels, told, subject=subject, average=average, n_permutations=99
            )
            assert test.p_value == 1

    def test_repeats_of_the_same_predictions_change_nothing(self, predictions):
        labels, subject = predictions["labels"], predictions["subject"]
        for score, column in [("balanced_accuracy", "predicted"), ("roc_auc", "probability")]:
            settings = {"score": score, "n_permutations": 500}
            once = permutation_test(labels, predictions[column], subject=subject, **settings)
            twice = permutation_test(
                np.tile(labels, 2),
                np.tile(predictions[column], 2),
                subject=np.tile(subject, 2),
                trial=np.tile(np.arange(300), 2),
                **settings,
            )
            assert_allclose(twice.null, once.null)
            assert twice.p_value == once.p_value

    def test_people_of_one_class_are_counted(self):
        labels = [1, 1, 0, 1, 0, 1]
        test = permutation_test(
            labels, [0.2, 0.4, 0.1, 0.8, 0.3, 0.2], subject=[0, 0, 1, 1, 2, 2], score="roc_auc"
        )
        assert (test.n_people, test.n_people_undefined, test.observed) == (3, 1, 0.5)
        nothing = permutation_test([1, 1], [0.2, 0.4], subject=[0, 0], score="roc_auc")
        assert np.isnan(nothing.p_value) and nothing.n_people_undefined == 1

    def test_false_positives_are_as_rare_as_stated(self):
        """400 studies in which predictions and labels know each person's habits and no more."""
        rng = np.random.default_rng(6)
        subject = np.repeat(np.arange(10), 12)
        found = {"people": 0, "pooled": 0}
        for _ in range(400):
            habit, guess = rng.beta(3, 3, size=(2, 10))[:, subject]
            guess = (habit + guess) / 2
            labels = (rng.random(120) < habit).astype(int)
            predicted = (rng.random(120) < guess).astype(int)
            for average in found:
                test = permutation_test(
                    labels, predicted, subject=subject, average=average, n_permutations=99
                )
                found[average] += test.p_value <= 0.05
        assert all(is_nominal(n, 400) for n in found.values()), found

    def test_predictions_of_pipelines_that_were_fitted_give_few_false_positives(self):
        """200 studies of nothing, whole people held out in five folds."""
        rng = np.random.default_rng(7)
        subject = np.repeat(np.arange(15), 20)
        found = 0
        for _ in range(200):
            labels = (rng.random(300) < rng.beta(4, 4, size=15)[subject]).astype(int)
            body = rng.normal(size=(15, 8))[subject] + rng.normal(size=(300, 8))
            predicted = np.empty(300, int)
            for fold in range(5):
                test = subject % 5 == fold
                predicted[test] = Ridge().fit(body[~test], labels[~test]).predict(body[test])
            told = permutation_test(labels, predicted, subject=subject, n_permutations=99)
            found += told.p_value <= 0.05
        assert is_nominal(found, 200), found

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"score": "majority_rate"}, "score='majority_rate' must be one of"),
            ({"average": "folds"}, "average='folds' must be one of"),
            ({"n_permutations": 0}, "at least 1"),
            ({"y_pred": [0, 1, 2]}, "y_pred must be 0 or 1"),
            ({"trial": list("xyy"), "y_true": [0, 1, 0]}, "trial 'y' has several labels"),
            ({"trial": list("xyx"), "y_true": [0, 1, 0]}, "trial 'x' has several people"),
            ({"trial": [1, 2, 2]}, "predicted 1 to 2 times"),
            ({"subject": [None, 0, 0]}, "subject is missing"),
            ({"score": "roc_auc", "y_pred": [0.1, np.nan, 0.2]}, "needs the probability"),
        ],
    )
    def test_what_cannot_be_tested_is_said(self, change, match):
        told = {"y_true": [0, 1, 1], "y_pred": [0, 1, 1], "subject": ["a", "b", "b"]} | change
        with pytest.raises(ValueError, match=match):
            permutation_test(told.pop("y_true"), told.pop("y_pred"), **told)


class Ridge(ClassifierMixin, BaseEstimator):
    """Least squares on 0 and 1, in a tenth of a millisecond."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        X = np.column_stack([np.ones(len(X)), X])
        self.coef_ = np.linalg.solve(X.T @ X + np.eye(X.shape[1]), X.T @ (2 * y - 1))
        return self

    def predict(self, X):
        return (np.column_stack([np.ones(len(X)), X]) @ self.coef_ > 0).astype(int)


class Spy(DummyClassifier):
    """Keeps the labels that it was fitted to."""

    seen: ClassVar[list] = []

    def fit(self, X, y):
        self.seen.append((np.asarray(X)[:, 0], np.asarray(y)))
        return super().fit(X, y)


class TestPermutationRefit:
    def test_labels_stay_with_their_person(self):
        rng = np.random.default_rng(0)
        subject = np.repeat(list("abcd"), 10)
        y = (np.arange(40) < 13).astype(int)
        X = np.column_stack([np.repeat(range(4), 10), rng.normal(size=40)])
        Spy.seen.clear()
        permutation_refit(Spy(), X, y, groups=subject, cv=GroupKFold(2), n_permutations=5)
        orders = set()
        for whose, labels in Spy.seen:
            orders.add(tuple(labels))
            for person in np.unique(whose):
                assert labels[whose == person].sum() == [10, 3, 0, 0][int(person)]
        assert len(Spy.seen) == 12 and len(orders) > 3

    def test_what_is_there_is_found(self):
        rng = np.random.default_rng(0)
        subject, y = np.repeat(range(8), 10), np.tile([0, 1], 40)
        X = rng.normal(size=(80, 3)) + y[:, None]
        test = permutation_refit(Ridge(), X, y, groups=subject, cv=GroupKFold(4), n_permutations=49)
        assert (test.p_value, test.n_permutations) == (1 / 50, 49)
        assert test.observed > 0.7 and abs(test.null.mean() - 0.5) < 0.03

    def test_false_positives_are_as_rare_as_stated(self):
        rng = np.random.default_rng(8)
        subject = np.repeat(np.arange(9), 10)
        found = 0
        for study in range(100):
            y = (rng.random(90) < rng.beta(4, 4, size=9)[subject]).astype(int)
            X = rng.normal(size=(9, 3))[subject] + rng.normal(size=(90, 3))
            test = permutation_refit(
                Ridge(),
                X,
                y,
                groups=subject,
                cv=GroupKFold(2),
                n_permutations=19,
                random_state=study,
            )
            found += test.p_value <= 0.05
        assert is_nominal(found, 100), found

    def test_missing_people_are_said(self):
        with pytest.raises(ValueError, match="groups is missing for 1 of 2"):
            permutation_refit(Ridge(), [[1], [2]], [0, 1], groups=[1, None], cv=GroupKFold(2))


class TestPairs:
    def test_darwins_maize(self):
        """Differences of 15 pairs (Fisher, The Design of Experiments, 1935): T = 24, p = 0.041."""
        d = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75])
        test = paired_test(d, np.zeros(15))
        assert_allclose(test.p_value, 0.041260, atol=1e-6)
        # 15 · 16 / 2 = 120 = 96 + 24
        assert_allclose(test.rank_biserial, (96 - 24) / 120)
        assert_allclose(test.difference, d.mean())
        assert test.rank_biserial_low < 0.6 < test.rank_biserial_high <= 1

    def test_effect_sizes_are_drawn_over_people(self):
        rng = np.random.default_rng(0)
        a, b = rng.integers(1, 9, size=(2, 20)) / 8
        test = paired_test(a, b)
        effects = []
        for drawn in rng.integers(20, size=(2000, 20)):
            d = (a - b)[drawn]
            d = d[d != 0]
            ranks = rankdata(np.abs(d))
            effects.append((ranks * np.sign(d)).sum() / ranks.sum())
        expected = np.quantile(effects, [0.0159, 1 - 0.0159])  # Φ(−t(0.975; 19) sqrt(20/19))
        assert_allclose([test.rank_biserial_low, test.rank_biserial_high], expected, atol=0.05)

    @pytest.mark.parametrize(
        ("gains", "losses", "zeros", "p"), [(4, 0, 16, 0.1250), (11, 4, 0, 0.1185)]
    )
    def test_p_is_exact_with_equal_differences(self, gains, losses, zeros, p):
        """Worked by hand: 2 / 2^4, and twice P(at least 11 of 15 signs) = 1941 / 2^15."""
        a = np.repeat([0.7, 0.5, 0.6], [gains, losses, zeros])
        test = paired_test(a, np.full(len(a), 0.6))
        assert_allclose(test.p_value, p, atol=5e-5)

    def test_no_difference_and_people_without_a_score(self):
        same = paired_test([0.5, 0.6, np.nan], [0.5, 0.6, 0.7])
        assert (same.difference, same.rank_biserial, same.p_value) == (0, 0, 1)
        assert (same.n_people, same.n_people_undefined) == (3, 1)
        nobody = paired_test([np.nan], [1.0])
        assert np.isnan(nobody.p_value) and nobody.n_people_undefined == 1
        with pytest.raises(ValueError, match="a and b must have one score"):
            paired_test([1, 2], [1])

    def test_holm_on_demsars_example(self):
        """Demšar 2006, section 3.2.2: p 0.016, 0.019, 0.607; a p that is missing does not count."""
        adjusted = adjust_holm([0.607, 0.016, np.nan, 0.019])
        assert_allclose(adjusted, [0.607, 0.048, np.nan, 0.048])

    def test_holm_is_that_of_statsmodels(self):
        p = np.random.default_rng(0).random(40) ** 3
        assert_allclose(adjust_holm(p), multipletests(p, method="holm")[1])

    def test_false_positives_of_all_pairs_are_held_by_holm(self):
        """400 studies, 15 people, four pipelines that are equally good on the same trials."""
        rng = np.random.default_rng(9)
        one = any_ = 0
        for _ in range(400):
            scores = rng.normal(size=15) + rng.normal(size=(4, 15))
            p = [signed_rank_p(a - b, "two-sided") for a, b in combinations(scores, 2)]
            one += p[0] <= 0.05
            any_ += (adjust_holm(p) <= 0.05).any()
        assert is_nominal(one, 400), one
        assert binomtest(any_, 400, 0.05, alternative="greater").pvalue > 0.001, any_


class TestCorrectedResampledT:
    def test_value_of_scikit_learns_documentation(self):
        """ "Statistical comparison of models using grid search": t 2.611, corrected 0.750, p 0.227.

        The differences of AUC between the RBF and the linear kernel on its 100 splits, 90 to 10.
        """
        d = np.repeat([-0.12, -0.08, -0.04, 0, 0.04, 0.08, 0.2], [1, 2, 10, 53, 29, 4, 1])
        assert_allclose(d.mean() / d.std(ddof=1) * 10, 2.611, atol=5e-4)
        test = corrected_resampled_t_test(d, n_training=90, n_test=10)
        assert_allclose(test.statistic, 0.750, atol=5e-4)
        assert_allclose(test.p_value / 2, 0.227, atol=5e-4)
        assert test.df == 99

    def test_without_spread(self):
        sizes = {"n_training": 8, "n_test": 2}
        assert corrected_resampled_t_test([0, 0, 0], **sizes)[:2] == (0, 1)
        assert corrected_resampled_t_test([-1, -1], **sizes)[:2] == (-np.inf, 0)

    @pytest.mark.parametrize(
        ("d", "n_test", "match"),
        [([1], 1, "At least two"), ([1, np.nan], 1, "finite"), ([1, 2], 0, "above 0")],
    )
    def test_what_cannot_be_tested_is_said(self, d, n_test, match):
        with pytest.raises(ValueError, match=match):
            corrected_resampled_t_test(d, n_training=4, n_test=n_test)

    def test_false_positives_over_folds_are_no_more_than_stated(self):
        """800 studies, two pipelines that read equally good features; the plain t-test is unfit."""
        rng = np.random.default_rng(10)
        subject = np.repeat(np.arange(15), 20)
        corrected = plain = 0
        for _ in range(800):
            y = rng.integers(2, size=300)
            two = 0.25 * (2 * y - 1)[:, None] + rng.normal(size=(2, 15, 8))[:, subject]
            two = two + rng.normal(size=(2, 300, 8))
            d = []
            for fold in range(5):
                test = subject % 5 == fold
                a, b = (Ridge().fit(X[~test], y[~test]).score(X[test], y[test]) for X in two)
                d.append(a - b)
            corrected += corrected_resampled_t_test(d, n_training=240, n_test=60).p_value <= 0.05
            plain += corrected_resampled_t_test(d, n_training=1e9, n_test=60).p_value <= 0.05
        assert binomtest(corrected, 800, 0.05, alternative="greater").pvalue > 0.001, corrected
        assert not is_nominal(plain, 800), plain


class TestCriticalDifference:
    def test_demsars_worked_example(self):
        """Section 3.2.2 and figure 1a: ranks, chi² 9.28, F 3.69, CD 1.25 at 0.05, 1.12 at 0.10."""
        told = critical_difference(DEMSAR)
        assert_allclose(told.average_ranks[DEMSAR.columns], [3.143, 2.0, 2.893, 1.964], atol=5e-4)
        assert round(told.critical_difference, 2) == 1.25
        assert round(critical_difference(DEMSAR, alpha=0.1).critical_difference, 2) == 1.12
        # He does not correct for ties: one of 4 and three of 2, sum t³ − t = 78 of 14 · 60.
        plain = told.friedman_statistic * (1 - 78 / (14 * 60))
        assert round(plain, 2) == 9.28
        assert round(13 * plain / (14 * 3 - plain), 2) == 3.69

    def test_what_demsar_tells_apart(self):
        """No two at 0.05 (distance 1.179); C4.5 from both with m at 0.10."""
        assert critical_difference(DEMSAR).groups == [("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")]
        told = critical_difference(DEMSAR, alpha=0.1)
        assert told.groups == [("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5")]
        apart = told.p_nemenyi.loc["C4.5"] < 0.1
        assert apart[apart].index.tolist() == ["C4.5+m+cf", "C4.5+m"]

    @pytest.mark.parametrize(
        ("alpha", "table"),
        [
            (0.05, [2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
            (0.10, [2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
        ],
    )
    def test_quantiles_are_those_of_demsars_table(self, alpha, table):
        """Table 5a, for 3 to 10 classifiers."""
        rng = np.random.default_rng(0)
        for k, q in enumerate(table, start=3):
            told = critical_difference(pd.DataFrame(rng.random((6, k))), alpha=alpha)
            assert_allclose(told.critical_difference / np.sqrt(k * (k + 1) / 36), q, atol=2e-3)

    def test_f_is_the_analysis_of_variance_of_the_ranks(self):
        """Iman & Davenport's F is that of pipelines in a two-way layout of the ranks, with ties."""
        ranks = rankdata(-DEMSAR.to_numpy(), axis=1)
        between = 14 * np.sum((ranks.mean(axis=0) - 2.5) ** 2) / 3
        within = np.sum((ranks - ranks.mean(axis=0)) ** 2) / (13 * 3)
        told = critical_difference(DEMSAR)
        assert_allclose(told.iman_davenport_statistic, between / within)
        assert told.p_iman_davenport < told.p_friedman < 0.05

    def test_lower_may_be_better(self):
        told = critical_difference(-DEMSAR, greater_is_better=False)
        assert_allclose(told.average_ranks, critical_difference(DEMSAR).average_ranks)

    def test_all_alike_and_all_in_order(self):
        alike = critical_difference(pd.DataFrame(np.ones((5, 3))))
        assert (alike.p_friedman, alike.p_iman_davenport) == (1, 1)
        assert alike.p_nemenyi.eq(1).all(axis=None)
        ordered = critical_difference(pd.DataFrame(np.tile([1.0, 2, 3], (9, 1))))
        assert ordered.iman_davenport_statistic == np.inf and ordered.p_iman_davenport == 0
        assert ordered.groups == [(2, 1), (1, 0)]

    def test_false_positives_are_no_more_than_stated(self):
        """300 sets of ten studies: the largest distance of four pipelines that are alike."""
        rng = np.random.default_rng(11)
        threshold = critical_difference(pd.DataFrame(rng.random((10, 4)))).critical_difference
        scores = rng.normal(size=(4000, 10, 1)) + rng.normal(size=(4000, 10, 4))
        average = rankdata(scores, axis=2).mean(axis=1)
        found = np.sum(np.ptp(average, axis=1) >= threshold)
        assert binomtest(int(found), 4000, 0.05, alternative="greater").pvalue > 0.001
        assert found > 0.03 * 4000

    @pytest.mark.parametrize(
        ("scores", "match"),
        [
            (DEMSAR.iloc[:1], "1 studies and 4 pipelines"),
            (DEMSAR.iloc[:, :2], "paired_test"),
            (DEMSAR.replace(0.590, np.nan), "'C4.5\\+cf' on 1 is missing"),
        ],
    )
    def test_what_cannot_be_ranked_is_said(self, scores, match):
        with pytest.raises(ValueError, match=match):
            critical_difference(scores)

    def test_diagram_shows_ranks_bars_and_distance(self):
        told = critical_difference(DEMSAR, alpha=0.1)
        axes = plot_critical_difference(told)
        texts = [text.get_text() for text in axes.texts]
        assert {"C4.5 (3.14)", "C4.5+m+cf (1.96)", "CD = 1.12"} <= {*texts}
        bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 4]
        assert_allclose(bars, [[1.964, 2.893], [2.893, 3.143]], atol=0.031)
        stems = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 3]
        assert_allclose(sorted(stems), [1.964, 2.0, 2.893, 3.143], atol=5e-4)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Two pipelines and the reference rows on a small study, in two repeats."""
    path = tmp_path_factory.mktemp("store") / "results.sqlite"
    study = make_music_listening(8, 10, 8, sampling_rate=8, duration=10, random_state=3)
    settings = {"people": "all", "n_splits": 4, "n_repeats": 2, "n_jobs": 1, "store": path}
    return path, evaluate(["svm-music", "logistic-eda"], study, "arousal", **settings)


def make_record(key: str, fold: int = 0, **changes) -> FoldRecord:
    """Make a fold of two that tests two of four trials."""
    rows = [2 * fold, 2 * fold + 1]
    told = {
        "key": key,
        **dict.fromkeys(("study", "people", "target", "protocol", "pipeline"), "x"),
        "threshold": None,
        "repeat": 0,
        "fold": fold,
        "seed": 0,
        "settings": {"seed": 0, "repeat": 0, "fold": fold, "rows": str(rows), "parameters": "C=1"},
        "versions": {},
        "audit": {"n_training": 2, "n_test": 2, "n_left_out": 0},
        "predictions": {
            "row": rows,
            "subject": [f"p{fold}"] * 2,
            "stimulus": [None, None],
            "trial": [None, None],
            "label": [0, 1],
            "predicted": [0, 1],
        },
    }
    return FoldRecord(**told | changes)


@pytest.fixture
def kept(tmp_path):
    with ResultStore(tmp_path / "results.sqlite") as store:
        store.add(make_record("a", 0))
        store.add(make_record("b", 1))
        yield store


class TestStoredPredictions:
    def test_summary_agrees_with_the_table(self, evaluated):
        path, table = evaluated
        predictions = load_predictions(path)
        told = summarise_predictions(predictions).set_index(["pipeline", "score"])
        table = table.set_index("pipeline")
        assert {*told.index.get_level_values("pipeline")} == {*table.index}
        for name, row in table.iterrows():
            for score in ("accuracy", "balanced_accuracy", "f1"):
                of = told.loc[(name, score)]
                assert_allclose(of["pooled"], row[score])
                if score != "f1" or name != "majority":  # in a draw F1 may have no value
                    ends = of[["pooled_low", "pooled_high"]].astype(float)
                    assert_allclose(row[[f"{score}_low", f"{score}_high"]].astype(float), ends)
            by_person = told.loc[(name, "balanced_accuracy"), "over_people"]
            assert_allclose(by_person, row["balanced_accuracy_by_person"])
            assert_allclose(told.loc[(name, "majority_rate"), "pooled"], row["majority_rate"])
            assert told.loc[(name, "accuracy"), "n_folds"] == 8
        assert predictions.groupby(["pipeline", "repeat"]).size().eq(64).all()
        assert predictions["n_training"].eq(48).all()
        # Support vectors give decision values and no probabilities, the logistic regression does.
        unknown = told["pooled"].isna()
        assert (
            unknown[("svm-music", "brier_score")] and not unknown[("logistic-eda", "brier_score")]
        )
        assert not unknown[[("svm-music", "roc_auc"), ("logistic-eda", "roc_auc")]].any()
        for name, column in [("svm-music", "decision"), ("logistic-eda", "probability")]:
            own = predictions[predictions["pipeline"] == name]
            areas = [
                share_of_wins(of["label"], of[column], of["repeat"])
                for _, of in own.groupby("subject")
            ]
            assert_allclose(told.loc[(name, "roc_auc"), "over_people"], np.mean(areas))
            assert_allclose(table.loc[name, "roc_auc_by_person"], np.mean(areas))

    def test_pipelines_are_tested_against_permuted_labels(self, evaluated):
        predictions = load_predictions(evaluated[0])
        table = permutation_tests(predictions, n_permutations=500).set_index("pipeline")
        own = predictions[predictions["pipeline"] == "svm-music"]
        alone = permutation_test(
            own["label"],
            own["predicted"],
            subject=own["subject"],
            trial=own["row"],
            n_permutations=500,
        )
        row = table.loc["svm-music"]
        assert row["p_value"] == alone.p_value and row["n_permutations"] == 500
        assert_allclose(row["null_mean"], alone.null.mean())
        assert table.loc["majority", "p_value"] == 1
        assert_allclose(table["p_holm"], adjust_holm(table["p_value"]))
        areas = permutation_tests(predictions, score="roc_auc", n_permutations=50)
        areas = areas.set_index("pipeline")["p_value"]
        assert np.isnan(areas["svm-music"]) and areas["logistic-eda"] > 0

    def test_all_pairs_are_compared(self, evaluated):
        path, table = evaluated
        predictions = load_predictions(path)
        pairs = compare_pipelines(predictions)
        n = len(table)
        assert len(pairs) == comb(n, 2)
        row = pairs.set_index(["a", "b"]).loc[("majority", "svm-music")]
        own = predictions[predictions["pipeline"] == "svm-music"]
        each = own.groupby("subject").apply(
            lambda trials: balanced_accuracy_score(trials["label"], trials["predicted"]),
            include_groups=False,
        )
        test = paired_test(np.full(8, 0.5), each)
        assert_allclose(row["difference"], 0.5 - each.mean())
        assert (row["p_wilcoxon"], row["n_people"]) == (test.p_value, 8)
        folds = own.groupby(["repeat", "fold"]).apply(
            lambda trials: balanced_accuracy_score(trials["label"], trials["predicted"]),
            include_groups=False,
        )
        over_folds = corrected_resampled_t_test(0.5 - folds, n_training=48, n_test=16)
        assert_allclose([row["t"], row["p_t"]], over_folds[:2])
        assert_allclose(pairs["p_wilcoxon_holm"], adjust_holm(pairs["p_wilcoxon"]))
        assert_allclose(pairs["p_t_holm"], adjust_holm(pairs["p_t"]))

    def test_order_of_rows_does_not_matter(self, evaluated):
        predictions = load_predictions(evaluated[0])
        shuffled = predictions.sample(frac=1, random_state=0)
        shuffled = shuffled.sort_values(
            "pipeline",
            key=lambda of: of.map(
                {name: i for i, name in enumerate(predictions["pipeline"].unique())}
            ),
            kind="stable",
        )
        pd.testing.assert_frame_equal(compare_pipelines(shuffled), compare_pipelines(predictions))

    def test_plain_tables_are_enough(self, predictions):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(predictions).rename(columns={"labels": "label"})
        frame = frame[["subject", "label", "predicted"]]
        other = frame.assign(predicted=rng.integers(2, size=300), pipeline="coin")
        both = pd.concat([frame.assign(pipeline="model"), other])
        assert len(summarise_predictions(both)) == 18
        row = compare_pipelines(both).loc[0]
        assert row["difference"] > 0 and row["n_folds"] == 0 and np.isnan(row["p_t"])
        p = permutation_tests(both, n_permutations=99).set_index("pipeline")["p_value"]
        assert p["model"] == 0.01 < p["coin"]

    def test_only_what_was_tested_alike_is_paired(self, evaluated):
        predictions = load_predictions(evaluated[0])
        gone = (predictions["pipeline"] == "trial-order") & (predictions["row"] == 3)
        with pytest.raises(ValueError, match="logistic-eda and trial-order were not tested on"):
            compare_pipelines(predictions[~gone])
        with pytest.raises(ValueError, match="score='majority_rate' must be one of"):
            compare_pipelines(predictions, score="majority_rate")
        with pytest.raises(ValueError, match="no column 'label'"):
            summarise_predictions(predictions.drop(columns="label"))

    def test_a_pipeline_with_a_failed_fold_is_left_out_and_named(self, kept):
        kept.add(make_record("c", 0, pipeline="y"))
        kept.add(make_record("d", 1, pipeline="y", predictions=None, error="ValueError: no"))
        with pytest.warns(UserWarning, match="x, y is left out: 1 of 2 folds failed, ValueError"):
            assert load_predictions(kept)["pipeline"].unique().tolist() == ["x"]

    def test_a_pipeline_that_was_not_finished_is_left_out_and_named(self, kept):
        kept.add(make_record("c", 0, pipeline="y"))
        with pytest.warns(UserWarning, match="2 of 4 trials were tested"):
            assert len(load_predictions(kept)) == 4
        with (
            pytest.warns(UserWarning, match="2 of 4 trials"),
            pytest.raises(ValueError, match="no pipeline has all its folds"),
        ):
            load_predictions(kept, keys=["c"])

    def test_other_settings_are_not_mixed_and_the_newest_can_be_chosen(self, kept):
        settings = make_record("c").settings | {"parameters": "C=2"}
        sleep(0.01)  # what was stored when is known to the millisecond
        kept.add(make_record("c", 0, settings=settings))
        kept.add(make_record("d", 1, settings=settings | {"fold": 1}))
        with pytest.raises(ValueError, match="x, x, x, x, x more than once"):
            load_predictions(kept)
        assert len(load_predictions(kept, keys=["a", "b"])) == 4
        assert sorted(newest_keys(kept)) == ["c", "d"]
        assert len(load_predictions(kept, keys=newest_keys(kept))) == 4

    def test_repeats_of_one_run_are_one_run(self, kept):
        for key, fold in [("c", 0), ("d", 1)]:
            record = make_record(key, fold)
            settings = dict(record.settings) | {"repeat": 1, "seed": 1}
            kept.add(make_record(key, fold, repeat=1, seed=1, settings=settings))
        assert sorted(newest_keys(kept)) == ["a", "b", "c", "d"]
        assert len(load_predictions(kept)) == 8

    def test_repeats_of_pipelines_that_are_seeded_are_one_run(self, evaluated):
        """Each repeat gives support vectors and trees a seed of its own."""
        with ResultStore(evaluated[0]) as store:
            assert sorted(newest_keys(store)) == sorted(store.folds()["key"])

    def test_two_numbers_of_folds_are_told_apart(self, tmp_path):
        path = tmp_path / "results.sqlite"
        study = make_music_listening(8, 6, 4, sampling_rate=4, duration=10, random_state=0)
        settings = {"thresholds": 4.9, "people": "all", "n_jobs": 1, "store": path}
        for n_splits in (4, 2):
            sleep(0.01)  # what was stored when is known to the millisecond
            evaluate("svm-music", study, "arousal", n_splits=n_splits, **settings)
        with pytest.raises(ValueError, match="settings, versions or numbers of folds"):
            load_predictions(path)
        newest = load_predictions(path, keys=newest_keys(path))
        assert newest.groupby("pipeline")["fold"].agg(set).map(len).eq(2).all()
        assert newest.groupby("pipeline").size().eq(32).all()

    def test_a_fold_that_is_missing_is_counted(self, kept):
        """Stores say how many folds there were; trials would not tell where none is left out."""
        audit = {"n_training": 1, "n_test": 2, "n_left_out": 0, "n_folds": 2}
        kept.add(make_record("c", 0, pipeline="y", audit=audit))
        with pytest.warns(UserWarning, match="x, y is left out: 1 of 2 folds were evaluated"):
            assert load_predictions(kept)["pipeline"].unique().tolist() == ["x"]

    @pytest.mark.parametrize("says_folds", [True, False], ids=["now", "older"])
    def test_shares_of_the_people_are_finished_when_all_of_the_share_was_tested(
        self, tmp_path, says_folds
    ):
        """Figure 4's folds: half of eight trials are of nobody in the share."""
        audit = {"n_training": 2, "n_test": 2, "n_left_out": 4}
        audit |= {"n_folds": 2} if says_folds else {}
        told = {"protocol": "subject, 50 % of the people", "audit": audit}
        with ResultStore(tmp_path / "results.sqlite") as store:
            store.add(make_record("a", 0, **told))
            with (
                pytest.warns(UserWarning, match=r"1 of 2 folds|2 of 4 trials"),
                pytest.raises(ValueError, match="no pipeline has all its folds"),
            ):
                load_predictions(store)
            store.add(make_record("b", 1, **told))
            assert len(load_predictions(store)) == 4
            # Another repeat draws people with other numbers of trials.
            fewer = {"n_training": 0, "n_test": 2, "n_left_out": 6, "n_folds": 1}
            fewer = {name: fewer[name] for name in audit}
            store.add(make_record("c", 0, **told | {"repeat": 1, "audit": fewer}))
            assert len(load_predictions(store)) == 6

    def test_shares_that_figure_4_stored_load(self, tmp_path):
        study = make_music_listening(10, 8, 8, sampling_rate=4, duration=10, random_state=0)
        path = tmp_path / "results.sqlite"
        protocols = [FewerPeople(n_splits=2, percent=80), FewerTrainingPeople(2, percent=80)]
        settings = {"thresholds": 4.9, "people": "all", "n_jobs": 1, "n_repeats": 2}
        evaluate("svm-music", study, "arousal", protocols, **settings, store=path)
        sizes = load_predictions(path).groupby("protocol").size()
        n_pipelines = 4  # three that need no EDA
        assert sizes["subject, 80 % of the people"] == 2 * n_pipelines * 64
        assert sizes["subject, 80 % of the training people"] == 2 * n_pipelines * 80

    def test_an_empty_store_is_said(self, tmp_path):
        with pytest.raises(ValueError, match="has no such folds: run `edaemo compare`"):
            load_predictions(tmp_path / "new.sqlite")
