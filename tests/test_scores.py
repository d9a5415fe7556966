"""Scores, intervals over people, and tests between pipelines."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, permutation_test, rankdata, t, wilcoxon
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from edaemo.statistics import Binary, Outcome, Scores
from edaemo.statistics._scores import (
    adjust_holm,
    draw_people,
    p_above,
    signed_rank_p,
    subtract,
)


def bootstrap_scores(labels, predicted, subject, *, random_state) -> dict[str, float]:
    outcome = Binary().read(labels, predicted)
    return Scores(Binary(), outcome, subject, random_state=random_state).columns


def score_people(labels, predicted, subject) -> np.ndarray:
    """Score each person, in the order of their ids."""
    scores = Scores(Binary(), Outcome(labels, predicted), subject)
    return scores.by_person.sort_index().to_numpy(float)


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and whose, of 12 people of whom the later ones are told better."""
    rng = np.random.default_rng(1)
    subject = rng.integers(12, size=300)
    labels = rng.integers(2, size=300)
    return labels, np.where(rng.random(300) < 0.5 + 0.03 * subject, labels, 1 - labels), subject


def test_scores_are_those_of_scikit_learn(predictions):
    labels, predicted, subject = predictions
    scores = bootstrap_scores(labels, predicted, subject, random_state=0)
    for name, metric in [
        ("accuracy", accuracy_score),
        ("balanced_accuracy", balanced_accuracy_score),
        ("f1", f1_score),
    ]:
        assert_allclose(scores[name], metric(labels, predicted))
        assert_allclose(Binary().score_fold(labels, predicted)[name], metric(labels, predicted))
        assert scores[f"{name}_low"] <= scores[name] <= scores[f"{name}_high"]
    by_person = [
        balanced_accuracy_score(labels[subject == i], predicted[subject == i]) for i in range(12)
    ]
    assert_allclose(score_people(labels, predicted, subject), by_person)


def test_repeats_of_the_same_predictions_change_nothing(predictions):
    once = bootstrap_scores(*predictions, random_state=0)
    thrice = bootstrap_scores(*(np.tile(one, 3) for one in predictions), random_state=0)
    assert_allclose(list(once.values()), list(thrice.values()))


def test_people_are_drawn_whole():
    """Four people all right, four all wrong: the interval is a binomial's of 8 draws."""
    subject = np.repeat(np.arange(8), 50)
    labels = np.tile([0, 1], 200)
    predicted = np.where(subject < 4, labels, 1 - labels)
    scores = bootstrap_scores(labels, predicted, subject, random_state=0)
    assert scores["accuracy"] == 0.5
    # P(at most 1 of 8) = 0.035, P(none) = 0.004: between them, the 0.57th percentile is 1/8
    assert (scores["accuracy_low"], scores["accuracy_high"]) == (1 / 8, 7 / 8)


def test_people_who_are_all_alike_leave_no_doubt():
    subject = np.repeat(np.arange(5), 4)
    labels, predicted = np.tile([0, 0, 1, 1], 5), np.tile([0, 1, 1, 1], 5)
    scores = bootstrap_scores(labels, predicted, subject, random_state=0)
    for name, score in [("accuracy", 0.75), ("balanced_accuracy", 0.75), ("f1", 0.8)]:
        assert_allclose([scores[name], scores[f"{name}_low"], scores[f"{name}_high"]], score)


def test_interval_agrees_with_plain_resampling(predictions):
    labels, predicted, subject = predictions
    rng = np.random.default_rng(2)
    scores = bootstrap_scores(labels, predicted, subject, random_state=0)
    rows = [np.flatnonzero(subject == person) for person in range(12)]
    draws = []
    for _ in range(2000):
        drawn = np.concatenate([rows[i] for i in rng.integers(12, size=12)])
        draws.append(f1_score(labels[drawn], predicted[drawn]))
    level = norm.cdf(np.sqrt(12 / 11) * t.ppf(0.025, 11))  # Hesterberg 2015, section 5.3
    expected = np.quantile(draws, [level, 1 - level])
    assert_allclose([scores["f1_low"], scores["f1_high"]], expected, atol=0.015)


def test_one_person_has_no_interval():
    labels, predicted = np.array([0, 1, 1]), np.array([0, 1, 0])
    scores = bootstrap_scores(labels, predicted, np.zeros(3), random_state=0)
    assert scores["accuracy"] == 2 / 3
    assert np.isnan([scores["accuracy_low"], scores["f1_high"]]).all()


def test_draws_are_made_once_and_cannot_be_changed():
    drawn = draw_people(7, 3)
    assert draw_people(7, 3) is drawn
    assert not np.array_equal(draw_people(7, 4), drawn)
    assert (drawn.sum(axis=1) == 7).all()
    with pytest.raises(ValueError, match="read-only"):
        drawn[0] = 0


def test_person_with_one_class_has_no_score():
    """A constant prediction would have 0 or 1, and not chance."""
    assert np.isnan(score_people(np.ones(4, int), np.array([1, 1, 1, 0]), np.zeros(4))).all()


def test_wilcoxon_counts_the_signed_ranks():
    """Five people all better: p = 1 / 2^5, the exact distribution's smallest value."""
    assert_allclose(p_above(np.linspace(0.6, 0.9, 5), np.full(5, 0.5)), 1 / 32)
    assert_allclose(p_above(np.full(5, 0.5), np.linspace(0.6, 0.9, 5)), 1)
    assert p_above(np.full(5, 0.5), np.full(5, 0.5)) == 1
    rng = np.random.default_rng(0)
    a, b = rng.random(20), rng.random(20)
    assert_allclose(p_above(a, b), wilcoxon(a, b, alternative="greater").pvalue)


def enumerate_signs(differences: np.ndarray) -> tuple[float, float]:
    """Return the one-sided and the two-sided p from all assignments of signs."""
    differences = differences[differences != 0]
    ranks = rankdata(np.abs(differences))
    signs = np.array(list(product([0, 1], repeat=len(ranks))))
    sums = signs @ ranks
    gains = ranks @ (differences > 0)
    greater, less = np.mean(sums >= gains), np.mean(sums <= gains)
    return greater, min(1.0, 2 * min(greater, less))


EVERY_FOURTH_NEGATIVE = 0.01 * np.arange(1, 15) * np.where(np.arange(14) % 4 == 0, -1, 1)


@pytest.mark.parametrize(
    ("differences", "two_sided", "greater"),
    [
        # 2 / 2^4 and 1 / 2^4: the 16 people without a difference do not count.
        (np.repeat([0.1, 0], [4, 16]), 0.125, 0.0625),
        # The binomial distribution of 15 signs: P(at least 11) = 1941 / 2^15.
        (np.repeat([0.2, -0.2], [11, 4]), 2 * 1941 / 2**15, 1941 / 2**15),
        # scipy's exact distribution without ties and zeros.
        (EVERY_FOURTH_NEGATIVE, 0.1353, 0.0676),
        (np.append(EVERY_FOURTH_NEGATIVE, 0), 0.1353, 0.0676),
        (-EVERY_FOURTH_NEGATIVE, 0.1353, 0.9406),
    ],
)
def test_signed_rank_test_is_exact_with_zeros_and_ties(differences, two_sided, greater):
    assert_allclose(signed_rank_p(differences, "two-sided"), two_sided, atol=5e-5)
    assert_allclose(signed_rank_p(differences, "greater"), greater, atol=5e-5)


@pytest.mark.parametrize("n", range(1, 13))
def test_signed_rank_test_agrees_with_all_assignments_of_signs(n):
    rng = np.random.default_rng(n)
    for _ in range(10):
        differences = rng.integers(-3, 5, size=n).astype(float)  # ties and zeros
        greater, two_sided = enumerate_signs(differences)
        assert_allclose(signed_rank_p(differences, "greater"), greater)
        assert_allclose(signed_rank_p(differences, "two-sided"), two_sided)


def test_signed_rank_test_agrees_with_scipys_exact_permutation_of_signs():
    """scipy permutes the signs of zeros too, which have rank 0 here, so they change nothing."""
    differences = np.random.default_rng(3).integers(-4, 6, size=13).astype(float)

    def sum_ranks(d: np.ndarray) -> float:
        kept = d != 0
        return float(np.sum(rankdata(np.abs(d[kept])) * np.sign(d[kept])))

    for alternative in ("greater", "two-sided"):
        exact = permutation_test(
            (differences,), sum_ranks, permutation_type="samples", alternative=alternative
        )
        assert len(exact.null_distribution) == 2**13
        assert_allclose(signed_rank_p(differences, alternative), exact.pvalue)


@pytest.mark.parametrize("n", [14, 50, 51, 200])
def test_signed_rank_test_is_exact_for_many_people(n):
    differences = np.random.default_rng(n).normal(0.2, 1, size=n)
    for alternative in ("greater", "two-sided"):
        exact = wilcoxon(differences, alternative=alternative, method="exact").pvalue
        assert_allclose(signed_rank_p(differences, alternative), exact, rtol=1e-9)


def test_scores_that_are_equal_except_for_rounding_have_no_difference():
    assert p_above(np.array([0.1 + 0.2, 0.7]), np.array([0.3, 0.7])) == 1
    assert p_above(np.array([0.1 + 0.2, 0.7]) * 1e9, np.array([0.3, 0.7]) * 1e9) == 1
    assert p_above(np.array([2e-13, 3e-13]), np.array([1e-13, 1e-13])) == 0.25


def test_differences_that_are_equal_except_for_rounding_are_ties():
    """0.3 - 0.2, 0.8 - 0.7 and 0.1 differ in the last bits; scipy ranks them as different."""
    a, b = np.array([0.3, 0.8, 0.1, 0.2, 0.9]), np.array([0.2, 0.7, 0.2, 0.3, 0.4])
    assert len(np.unique(np.abs(a - b))) > 2
    # Ranks 2.5 (four times) and 5: with two losses, 10 of 32 sums are at most 5.
    assert_allclose(p_above(a, b), enumerate_signs(np.array([1.0, 1, -1, -1, 5]))[0])
    assert_allclose(subtract(a, b), [0.1, 0.1, -0.1, -0.1, 0.5])
    assert len(np.unique(np.abs(subtract(a, b)))) == 2
    assert np.isnan(subtract(np.array([np.nan, 1.0]), np.array([1.0, 1.0]))[0])


def test_holm_on_a_worked_example():
    """Four p values and their adjusted ones, as step-down by 4, 3, 2, 1 gives them by hand."""
    assert_allclose(adjust_holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(adjust_holm([0.6, 0.7]), [1, 1])
    assert len(adjust_holm([])) == 0


def test_false_positives_of_the_test_over_people_are_as_rare_as_stated():
    """1,000 null studies of 15 people: the share of p < 0.05 lies in its own 99.9 % interval."""
    rng = np.random.default_rng(3)
    p = [p_above(*rng.normal(size=(2, 15))) for _ in range(1000)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 1000)
