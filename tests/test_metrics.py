"""Measures that scikit-learn lacks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import pearsonr
from sklearn.calibration import calibration_curve

from edaemo.metrics import (
    concordance_correlation,
    expected_calibration_error,
    series_concordance,
)

# Peak expiratory flow of 17 people by two meters, first measurements (l/min): Bland & Altman, The
# Lancet 327, 1986.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_concordance_of_two_flow_meters_is_the_published_one():
    """0.943: Steichen & Cox, Stata Technical Bulletin 43, 1998, sg84, on the same measurements."""
    assert round(concordance_correlation(WRIGHT, MINI), 3) == 0.943


def test_concordance_is_that_of_torchmetrics_for_equal_means():
    """torchmetrics 1.9.0, `concordance_corrcoef`; for other means it has n - 1 in place of n."""
    true = np.array([0.1, 0.4, 0.35, 0.8, 0.9, 0.55, 0.2, 0.65])
    predicted = np.array([0.2, 0.3, 0.5, 0.6, 1.1, 0.4, 0.25, 0.7])
    both = np.stack([true, true[::-1] ** 2], axis=1)
    given = np.stack([predicted, 0.8 * predicted[::-1]], axis=1)
    given += both.mean(axis=0) - given.mean(axis=0)
    found = concordance_correlation(both, given, multioutput="raw_values")
    assert_allclose(found, [0.8727952966328166, 0.8839798659476765], rtol=1e-12)


def test_concordance_by_hand():
    """Sums of squares 29.1875 and 35.1875, of products 31.5625, means 0.25 apart, n = 4."""
    value = concordance_correlation([3, -0.5, 2, 7], [2.5, 0, 2, 8])
    assert_allclose(value, 2 * 31.5625 / (29.1875 + 35.1875 + 4 * 0.25**2))


def test_concordance_is_pearson_times_lins_bias_correction():
    """Lin 1989, p. 258: C_b = 2 / (v + 1/v + u²), scale shift v, location shift u."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    y = 3 + 2 * x + rng.normal(size=50)
    v, u = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    expected = pearsonr(x, y).statistic * 2 / (v + 1 / v + u**2)
    assert_allclose(concordance_correlation(x, y), expected)
    assert_allclose(concordance_correlation(y, x), expected)


def test_concordance_at_its_ends():
    x = np.arange(5.0)
    assert concordance_correlation(x, x) == 1
    assert_allclose(concordance_correlation(x, 4 - x), -1)
    assert concordance_correlation(x, np.full(5, 2.0)) == 0
    assert np.isnan(concordance_correlation([1, 1], [1, 1]))


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        ([1, 2], [1], "inconsistent numbers of samples"),
        ([1, np.nan], [1, 2], "y_true contains NaN"),
        ([[1, 2]], [[1]], r"shape \(n_trials,\)"),
    ],
)
def test_concordance_refuses_what_is_no_pair_of_columns(x, y, match):
    with pytest.raises(ValueError, match=match):
        concordance_correlation(x, y)


def test_concordance_of_weighted_rows_is_that_of_repeated_rows():
    weight = np.arange(len(WRIGHT)) % 3
    repeated = [np.repeat(values, weight) for values in (WRIGHT, MINI)]
    found = concordance_correlation(WRIGHT, MINI, sample_weight=weight)
    assert_allclose(found, concordance_correlation(*repeated))
    with pytest.raises(ValueError, match="sample_weight must hold 17 numbers"):
        concordance_correlation(WRIGHT, MINI, sample_weight=np.zeros(17))


def test_concordance_of_several_outputs():
    x = np.arange(5.0)
    true = np.column_stack([WRIGHT[:5], x])
    predicted = np.column_stack([MINI[:5], 4 - x])
    raw = concordance_correlation(true, predicted, multioutput="raw_values")
    assert_allclose(raw, [concordance_correlation(WRIGHT[:5], MINI[:5]), -1])
    assert_allclose(concordance_correlation(true, predicted), raw.mean())
    with pytest.raises(ValueError, match="multioutput must be"):
        concordance_correlation(true, predicted, multioutput="sum")


def test_concordance_per_sequence_is_the_mean_of_those_that_are_defined():
    sequence = ["b"] * 4 + ["a"] * 10 + ["c"] * 3 + ["d"] * 2
    true, predicted = np.r_[WRIGHT, 1, 1], np.r_[MINI, 1, 1]
    each = [
        concordance_correlation(true[s], predicted[s]) for s in np.split(np.arange(17), [4, 14])
    ]
    found = concordance_correlation(true, predicted, sequence=sequence)
    assert_allclose(found, np.mean(each))
    weight = np.repeat([1.0, 2.0, 1.0], [4, 10, 5])
    found = concordance_correlation(true, predicted, sequence=sequence, sample_weight=weight)
    assert_allclose(found, np.average(each, weights=[4, 20, 3]))


def test_concordance_of_series_leaves_out_steps_without_label():
    true = [[1.0, 2.0, np.nan, 4.0], [3.0, 1.0]]
    predicted = [[1.5, 2.0, 9.0, 3.0], [2.0, 2.0]]
    flat = ([1, 2, 4, 3, 1], [1.5, 2, 3, 2, 2])
    assert_allclose(series_concordance(true, predicted), concordance_correlation(*flat))
    # In the first series: means 7/3 and 6.5/3, sums of squares 14/3 and 7/6, of products 7/3. The
    # second prediction is constant.
    first = 2 * (7 / 3) / (14 / 3 + 7 / 6 + 3 * (0.5 / 3) ** 2)
    assert_allclose(series_concordance(true, predicted, per_sequence=True), first / 2)
    found = series_concordance(true, predicted, sample_weight=[2, 1])
    assert_allclose(found, concordance_correlation(*flat, sample_weight=[2, 2, 2, 1, 1]))
    with pytest.raises(ValueError, match=r"Trial 1: y_true has the shape \(2,\)"):
        series_concordance(true, [predicted[0], [1.0]])


def test_calibration_error_is_that_of_scikit_learns_curve():
    rng = np.random.default_rng(0)
    probability = rng.random(400)
    labels = rng.random(400) < probability**2
    share, mean = calibration_curve(labels, probability, n_bins=7)
    weight = np.histogram(probability, np.linspace(0, 1, 8))[0] / 400
    expected = np.sum(weight * np.abs(share - mean))
    assert_allclose(expected_calibration_error(labels, probability, n_bins=7), expected)


def test_ends_and_edges_have_a_bin():
    assert_allclose(expected_calibration_error([1, 0], [1.0, 0.95]), np.abs(1.95 - 1) / 2)
    assert_allclose(expected_calibration_error([1, 0], [0.5, 0.45], n_bins=2), np.abs(0.95 - 1) / 2)
    assert_allclose(expected_calibration_error([0, 0], [0.0, 0.0]), 0)


@pytest.mark.parametrize(
    ("labels", "probability", "settings", "match"),
    [
        ([0, 2], [0.1, 0.2], {}, "only 0 and 1"),
        ([0, 1], [0.1, 1.2], {}, r"\[0, 1\]"),
        ([0, 1], [0.1, 0.2], {"n_bins": 0}, "n_bins"),
    ],
)
def test_calibration_error_refuses_what_are_no_probabilities(labels, probability, settings, match):
    with pytest.raises(ValueError, match=match):
        expected_calibration_error(labels, probability, **settings)
