"""The expected values come from dense matrices and cvxopt, from closed forms and from scipy."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space, toeplitz
from scipy.optimize import nnls
from scipy.signal import bilinear, lfilter

import edaemo.decomposition
from edaemo.decomposition import (
    Decomposition,
    DecompositionError,
    _compiled,
)
from edaemo.decomposition import _decompose as module
from edaemo.decomposition._problem import build_problem

# tests/test_weights.py has the weights that follow the noise.
decompose = partial(edaemo.decomposition.decompose, weights="published")
decompose_many = partial(edaemo.decomposition.decompose_many, weights="published")

DATA = Path(__file__).parents[1].parent / "shared" / "data"
ARRAYS = ("phasic", "tonic", "driver", "residual", "spline", "drift")


@pytest.fixture(params=["compiled", "scipy"], autouse=True)
def what_auto_is(request, monkeypatch):
    """Run every test with and without the compiled kernel."""
    if request.param == "scipy":
        monkeypatch.setattr(_compiled, "load", lambda: None)
    elif _compiled.load() is None:
        pytest.skip("the compiled kernel was not built")
    return request.param


def zscore(x):
    return (x - x.mean()) / x.std()


def bateman(sampling_rate, tau0=2.0, tau1=0.7):
    """Return the coefficients of the discrete Bateman filter, as scipy's bilinear makes them."""
    slow, fast = 1 / max(tau0, tau1), 1 / min(tau0, tau1)
    return bilinear([fast - slow], [1.0, slow + fast, slow * fast], sampling_rate)


def wearable(seed, n=100, sampling_rate=4.0):
    """Simulate a z-scored recording of a wristband: responses, drift, noise and coarse steps."""
    rng = np.random.default_rng(seed)
    nerve = (rng.random(n) < 0.2 / sampling_rate) * rng.exponential(sampling_rate, n)
    skin = lfilter(*bateman(sampling_rate), nerve)
    level = 0.3 * np.cumsum(rng.normal(size=n)) / np.sqrt(n)
    noise = 0.01 * rng.normal(size=n)
    return zscore(np.round((skin + level + noise) / 1.28e-3) * 1.28e-3)


def dense_problem(n, sampling_rate, delta_knot=10.0):
    """Assemble R (driver to phasic), B and C as dense matrices."""
    impulse = np.zeros(n)
    impulse[0] = 1.0
    response = toeplitz(lfilter(*bateman(sampling_rate), impulse), np.zeros(n))
    step = round(delta_knot * sampling_rate)
    box = np.ones(step)
    spline = np.convolve(np.convolve(box, box), np.convolve(box, box))
    spline /= spline.max()
    middle = len(spline) // 2
    knots = np.arange(0, n + step // 2, step)
    padded = [np.concatenate((np.zeros(n + k), spline, np.zeros(2 * n))) for k in knots]
    B = np.column_stack([p[n + middle : 2 * n + middle] for p in padded])
    C = np.column_stack((np.ones(n), np.arange(1, n + 1) / n))
    return SimpleNamespace(R=response, B=B, C=C)


def objective_of(dense, y, driver, spline, drift, alpha=8e-4, gamma=1e-2):
    e = y - dense.R @ driver - dense.B @ spline - dense.C @ drift
    return 0.5 * e @ e + alpha * driver.sum() + 0.5 * gamma * spline @ spline


def solve_dense_qp(y, sampling_rate, alpha=8e-4, gamma=1e-2):
    """Solve in the driver itself, with nothing banded, and return driver, phasic, objective."""
    cvxopt = pytest.importorskip("cvxopt")
    n = len(y)
    dense = dense_problem(n, sampling_rate)
    model = np.hstack((dense.R, dense.B, dense.C))
    knots = dense.B.shape[1]
    P = model.T @ model + np.diag(np.repeat([0.0, gamma, 0.0], [n, knots, 2]))
    q = np.repeat([alpha, 0.0], [n, knots + 2]) - model.T @ y
    G = np.hstack((-np.eye(n), np.zeros((n, knots + 2))))
    result = cvxopt.solvers.qp(
        *map(cvxopt.matrix, (P, q, G, np.zeros(n))),
        options={"show_progress": False, "abstol": 1e-13, "reltol": 1e-13, "feastol": 1e-10},
    )
    x = np.array(result["x"]).ravel()
    driver, spline, drift = np.maximum(x[:n], 0), x[n:-2], x[-2:]
    return dense.R @ driver, objective_of(dense, y, driver, spline, drift, alpha, gamma)


def read_hku956(count):
    files = sorted(DATA.glob("hku956/1. physiological_signals/*/EDA/*.csv"))
    if not files:
        pytest.skip("the HKU956 recordings are not here")
    return [zscore(np.loadtxt(f, max_rows=100)) for f in files[:: len(files) // count]]


def read_neurokit(name):
    file = DATA / "neurokit_bio" / "data" / name
    if not file.exists():
        pytest.skip("the neurokit recordings are not here")
    column = file.read_text().splitlines()[0].split(",").index("EDA")
    eda = np.loadtxt(file, delimiter=",", skiprows=1, usecols=column, max_rows=9000)
    return zscore(eda[3000:])


def assert_sound(result, y):
    """Check what holds for every decomposition."""
    assert result.status == "optimal"
    assert 0 <= result.gap <= 1e-8
    assert (result.phasic >= 0).all()
    assert (result.driver >= 0).all()
    size = np.abs(y).max()
    total = result.phasic + result.tonic + result.residual
    np.testing.assert_allclose(total, y, rtol=0, atol=1e-13 * size)
    for name in ARRAYS:
        assert getattr(result, name).dtype == np.float64, name
        assert np.isfinite(getattr(result, name)).all(), name


def assert_identical(one, other):
    assert (one.n_iter, one.gap, one.objective) == (other.n_iter, other.gap, other.objective)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


# ---------------------------------------------------------------- the optimum, from outside


@pytest.mark.parametrize(("n", "sampling_rate"), [(100, 4.0), (167, 4.0), (120, 8.0), (300, 50.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_matches_dense_qp_of_cvxopt_on_simulated_recordings(n, sampling_rate, seed):
    y = wearable(seed + n, n, sampling_rate)
    result = decompose(y, sampling_rate)
    phasic, objective = solve_dense_qp(y, sampling_rate)
    assert result.objective == pytest.approx(objective, rel=1e-6)
    np.testing.assert_allclose(result.phasic, phasic, rtol=0, atol=5e-4)
    assert_sound(result, y)


def test_matches_dense_qp_of_cvxopt_on_real_wristband_trials():
    for y in read_hku956(12):
        result = decompose(y, 4.0)
        phasic, objective = solve_dense_qp(y, 4.0)
        assert result.objective == pytest.approx(objective, rel=1e-6)
        np.testing.assert_allclose(result.phasic, phasic, rtol=0, atol=5e-4)
        assert_sound(result, y)


@pytest.mark.parametrize(
    ("alpha", "gamma"), [(8e-2, 1e-2), (8e-5, 1e-2), (8e-4, 1.0), (8e-4, 1e-5)]
)
def test_matches_dense_qp_of_cvxopt_with_other_penalties(alpha, gamma):
    y = wearable(5)
    result = decompose(y, 4.0, alpha=alpha, gamma=gamma)
    phasic, objective = solve_dense_qp(y, 4.0, alpha, gamma)
    assert result.objective == pytest.approx(objective, rel=1e-6)
    np.testing.assert_allclose(result.phasic, phasic, rtol=0, atol=5e-4)


@pytest.mark.parametrize("name", ["bio_eventrelated_100hz.csv", "bio_resting_8min_100hz.csv"])
def test_solvers_agree_on_a_minute_at_100_hz(name):
    pytest.importorskip("cvxopt")
    y = read_neurokit(name)
    ours, reference = decompose(y, 100.0), decompose(y, 100.0, solver="cvxopt")
    assert_sound(ours, y)
    assert ours.objective == pytest.approx(reference.objective, rel=1e-6)
    np.testing.assert_allclose(ours.phasic, reference.phasic, rtol=0, atol=5e-4)


@pytest.mark.parametrize(("n", "sampling_rate"), [(3, 4.0), (100, 4.0), (500, 50.0)])
def test_solvers_agree_on_simulated_recordings(n, sampling_rate):
    pytest.importorskip("cvxopt")
    y = wearable(3, n, sampling_rate)
    ours, reference = decompose(y, sampling_rate), decompose(y, sampling_rate, solver="cvxopt")
    assert ours.objective == pytest.approx(reference.objective, rel=1e-6)
    np.testing.assert_allclose(ours.phasic, reference.phasic, rtol=0, atol=5e-4)
    np.testing.assert_allclose(ours.tonic, reference.tonic, rtol=0, atol=5e-4)


def solve_by_active_set(y, dense, alpha=8e-4, gamma=1e-2):
    """Change the set of samples with a driver, one at a time, until the KKT conditions hold."""
    free = np.hstack([dense.B, dense.C])
    penalty = np.diag(np.r_[np.full(dense.B.shape[1], gamma), 0.0, 0.0])
    active = np.zeros(len(y), dtype=bool)
    for _ in range(500):
        G = np.hstack([dense.R[:, active], free])
        k = active.sum()
        hessian = G.T @ G
        hessian[k:, k:] += penalty
        x = np.linalg.solve(hessian, G.T @ y - np.r_[np.full(k, alpha), np.zeros(len(penalty))])
        driver = np.zeros(len(y))
        driver[active] = x[:k]
        price = alpha - dense.R.T @ (y - G @ x)
        if k and x[:k].min() < 0:
            active[np.argmin(driver)] = False
        elif price.min() < -1e-10:
            active[np.argmin(price)] = True
        else:
            return driver, x[k:-2], x[-2:]
    raise AssertionError("the active set does not settle")


@pytest.mark.parametrize("n", [30, 60, 90])
@pytest.mark.parametrize("seed", range(3))
def test_matches_a_dense_active_set_method_on_small_problems(n, seed):
    y, dense = wearable(seed, n), dense_problem(n, 4.0)
    driver, spline, drift = solve_by_active_set(y, dense)
    given = decompose(y, 4.0)
    expected = objective_of(dense, y, driver, spline, drift)
    assert given.objective == pytest.approx(expected, rel=1e-9)
    assert np.abs(given.phasic - dense.R @ driver).max() < 5e-5


@pytest.mark.parametrize("seed", range(8))
def test_objective_is_never_above_that_of_cvxopt(seed):
    pytest.importorskip("cvxopt")
    rng = np.random.default_rng(seed)
    y = zscore(rng.normal(size=int(rng.integers(20, 400))).cumsum())
    theirs = decompose(y, 4.0, solver="cvxopt").objective
    assert decompose(y, 4.0).objective <= theirs * (1 + 1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_meets_the_kkt_conditions_in_dense_matrices(seed):
    y, alpha, gamma = wearable(seed), 8e-4, 1e-2
    result = decompose(y, 4.0)
    dense = dense_problem(len(y), 4.0)
    e = result.residual
    slack = alpha - dense.R.T @ e
    assert slack.min() >= -1e-4 * alpha
    assert abs(result.driver @ slack) <= 1e-6 * result.objective
    np.testing.assert_allclose(dense.B.T @ e, gamma * result.spline, rtol=0, atol=1e-7)
    np.testing.assert_allclose(dense.C.T @ e, 0, rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        result.tonic, dense.B @ result.spline + dense.C @ result.drift, rtol=0, atol=1e-12
    )
    objective = objective_of(dense, y, result.driver, result.spline, result.drift)
    assert result.objective == pytest.approx(objective, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_decomposition_is_better_than_a_dual_bound_says(seed):
    y, alpha, gamma = wearable(seed), 8e-4, 1e-2
    result = decompose(y, 4.0)
    dense = dense_problem(len(y), 4.0)
    # A dual point made of the residual: orthogonal to C, and small enough for R'e <= alpha.
    e = result.residual - dense.C @ np.linalg.lstsq(dense.C, result.residual)[0]
    e *= min(1.0, alpha / (dense.R.T @ e).max())
    onto = dense.B.T @ e
    bound = y @ e - 0.5 * e @ e - 0.5 * onto @ onto / gamma
    assert bound <= result.objective * (1 + 1e-12)
    assert result.objective - bound <= 1e-4 * result.objective


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize(
    "y",
    [
        np.zeros(50),
        np.full(50, 3.7),
        np.linspace(-2.0, 5.0, 50),
        1e6 - 3.0 * np.arange(50),
        5.0 + 1e-12 * np.random.default_rng(0).normal(size=50),
        np.array([0.3, 0.9]),
    ],
    ids=["zero", "constant", "rising", "falling far from 0", "rounding noise", "two samples"],
)
def test_a_line_is_all_tonic(y):
    result = decompose(y, 4.0)
    assert (result.phasic == 0).all()
    assert (result.driver == 0).all()
    np.testing.assert_allclose(result.tonic, y, rtol=1e-10, atol=1e-12)
    ramp = np.arange(1, len(y) + 1) / len(y)
    np.testing.assert_allclose(result.drift[0] + result.drift[1] * ramp, y, rtol=1e-10, atol=1e-12)
    assert_sound(result, y)


@pytest.mark.parametrize(("sampling_rate", "tau0", "tau1"), [(4, 2, 0.7), (50, 0.5, 3.0)])
def test_phasic_is_the_driver_through_the_bilinear_bateman_filter(sampling_rate, tau0, tau1):
    y = wearable(1, 200, sampling_rate)
    result = decompose(y, sampling_rate, tau0=tau0, tau1=tau1)
    assert result.driver.max() > 0.01
    filtered = lfilter(*bateman(sampling_rate, tau0, tau1), result.driver)
    np.testing.assert_allclose(result.phasic, filtered, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 0.05, 40.0, 1e5])
def test_scaling_signal_and_alpha_scales_the_answer(scale):
    y = wearable(2)
    one, scaled = decompose(y, 4.0), decompose(scale * y, 4.0, alpha=scale * 8e-4)
    for name in ARRAYS:
        expected = scale * getattr(one, name)
        np.testing.assert_allclose(
            getattr(scaled, name), expected, rtol=0, atol=1e-3 * np.abs(expected).max()
        )
    np.testing.assert_allclose(scaled.phasic, scale * one.phasic, rtol=0, atol=1e-5 * scale)
    assert scaled.objective == pytest.approx(scale**2 * one.objective, rel=1e-7)


def test_the_penalties_are_not_scale_free():
    y = wearable(2)
    assert np.abs(decompose(100 * y, 4.0).phasic / 100 - decompose(y, 4.0).phasic).max() > 0.01


def test_adding_a_line_changes_the_tonic_component_by_that_line():
    y, line = wearable(4), 7.0 - 0.3 * np.arange(100)
    plain, lifted = decompose(y, 4.0), decompose(y + line, 4.0)
    np.testing.assert_allclose(lifted.phasic, plain.phasic, rtol=0, atol=1e-6)
    np.testing.assert_allclose(lifted.tonic, plain.tonic + line, rtol=0, atol=1e-6)


def test_a_response_is_found_where_it_happened():
    nerve = np.zeros(240)
    nerve[80] = 4.0
    y = lfilter(*bateman(4.0), nerve)
    result = decompose(y, 4.0, alpha=1e-5)
    assert result.driver[79:82].sum() > 0.95 * result.driver.sum()
    # The sum over samples estimates 4.0, in the unit of y per second.
    assert result.driver.sum() == pytest.approx(4.0, rel=0.05)
    np.testing.assert_allclose(result.phasic, y, rtol=0, atol=0.02 * y.max())


def test_a_huge_alpha_leaves_no_phasic_component():
    y = wearable(6)
    dense = dense_problem(100, 4.0)
    model = np.hstack((dense.B, dense.C))
    penalty = np.diag(np.repeat([1e-2, 0.0], [dense.B.shape[1], 2]))
    ridge = model @ np.linalg.solve(model.T @ model + penalty, model.T @ y)
    result = decompose(y, 4.0, alpha=1e3)
    assert result.phasic.max() < 1e-6
    np.testing.assert_allclose(result.tonic, ridge, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- missing samples


def gaps(n, kind, seed=0):
    """Return where samples are missing."""
    rng = np.random.default_rng(seed)
    missing = np.zeros(n, dtype=bool)
    if kind == "one":
        missing[n // 3] = True
    elif kind == "a tenth":
        missing[rng.choice(n, n // 10, replace=False)] = True
    elif kind == "half":
        missing[rng.choice(n, n // 2, replace=False)] = True
    elif kind == "the middle":
        missing[n // 4 : 3 * n // 4] = True
    elif kind == "start":
        missing[: n // 4] = True
    elif kind == "end":
        missing[-n // 4 :] = True
    else:
        missing[:] = True
        missing[rng.choice(n, 6, replace=False)] = False
    return missing


every_gap = pytest.mark.parametrize(
    "kind", ["one", "a tenth", "half", "the middle", "start", "end", "all but six"]
)


def without(dense, missing):
    """Delete the rows of the missing samples."""
    return SimpleNamespace(R=dense.R[~missing], B=dense.B[~missing], C=dense.C[~missing])


def solve_by_nnls(y, dense, alpha=8e-4, gamma=1e-2):
    """Solve the dual, a least distance under R'e <= alpha and C'e = 0 (Lawson and Hanson, 1974)."""
    basis = null_space(dense.C.T)
    metric = np.eye(len(y)) + dense.B @ dense.B.T / gamma
    root = np.linalg.cholesky(basis.T @ metric @ basis)
    centre = np.linalg.solve(root, basis.T @ y)
    to_e = basis @ np.linalg.inv(root).T
    press = dense.R.T @ to_e
    system = np.vstack([-press.T, press @ centre - alpha])
    target = np.r_[np.zeros(len(centre)), 1.0]
    x = nnls(system, target, maxiter=10_000)[0]
    rest = system @ x - target
    e = to_e @ (centre - rest[:-1] / rest[-1])
    driver, spline = -x / rest[-1], dense.B.T @ e / gamma
    drift = np.linalg.lstsq(dense.C, y - e - dense.R @ driver - dense.B @ spline)[0]
    return driver, spline, drift


@every_gap
@pytest.mark.parametrize("n", [30, 90, 160])
def test_masked_samples_are_rows_deleted_from_the_dense_problem(n, kind):
    y, dense, missing = wearable(n, n), dense_problem(n, 4.0), gaps(n, kind)
    left = without(dense, missing)
    driver, spline, drift = solve_by_nnls(y[~missing], left)
    result = decompose(np.where(missing, np.nan, y), 4.0, missing="mask")
    expected = objective_of(left, y[~missing], driver, spline, drift)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(result.phasic, dense.R @ driver, rtol=0, atol=5e-5)
    tonic = dense.B @ spline + dense.C @ drift
    np.testing.assert_allclose(result.tonic, tonic, rtol=0, atol=2e-4)


@every_gap
@pytest.mark.parametrize(("n", "sampling_rate"), [(150, 4.0), (2000, 50.0), (3000, 1000.0)])
def test_masked_recordings_add_up_where_they_are_known(n, sampling_rate, kind):
    y, missing = wearable(n, n, sampling_rate), gaps(n, kind)
    result = decompose(np.where(missing, np.nan, y), sampling_rate, missing="mask")
    assert result.status == "optimal"
    assert 0 <= result.gap <= 1e-8
    assert (result.phasic >= 0).all()
    assert (result.driver >= 0).all()
    assert np.isfinite(result.phasic + result.tonic).all()
    np.testing.assert_array_equal(np.isnan(result.residual), missing)
    total = (result.phasic + result.tonic + result.residual)[~missing]
    np.testing.assert_allclose(total, y[~missing], rtol=0, atol=1e-12 * np.abs(result.tonic).max())
    filtered = lfilter(*bateman(sampling_rate), result.driver)
    np.testing.assert_allclose(result.phasic, filtered, rtol=1e-9, atol=1e-12)


@every_gap
def test_the_gap_of_a_masked_recording_is_bounded_by_a_dense_dual_point_without_its_rows(kind):
    n, alpha, gamma = 120, 8e-4, 1e-2
    y, missing = wearable(2, n), gaps(n, kind)
    left = without(dense_problem(n, 4.0), missing)
    result = decompose(np.where(missing, np.nan, y), 4.0, missing="mask")
    e = result.residual[~missing]
    e = e - left.C @ np.linalg.lstsq(left.C, e)[0]
    e *= min(1.0, alpha / (left.R.T @ e).max())
    onto = left.B.T @ e
    bound = y[~missing] @ e - 0.5 * e @ e - 0.5 * onto @ onto / gamma
    assert bound <= result.objective * (1 + 1e-12)
    assert result.objective - bound <= 1e-4 * result.objective


@every_gap
def test_solvers_agree_on_masked_recordings(kind):
    pytest.importorskip("cvxopt")
    y = np.where(gaps(300, kind), np.nan, wearable(3, 300, 10.0))
    ours = decompose(y, 10.0, missing="mask")
    reference = decompose(y, 10.0, missing="mask", solver="cvxopt")
    assert ours.objective == pytest.approx(reference.objective, rel=1e-6)
    np.testing.assert_allclose(ours.phasic, reference.phasic, rtol=0, atol=5e-4)
    np.testing.assert_allclose(ours.tonic, reference.tonic, rtol=0, atol=5e-4)


@pytest.mark.parametrize("solver", ["auto", "cvxopt"])
def test_what_stands_in_place_of_missing_samples_has_no_influence(solver):
    if solver == "cvxopt":
        pytest.importorskip("cvxopt")
    y, missing = wearable(4), gaps(100, "a tenth")
    expected = decompose(np.where(missing, np.nan, y), 4.0, missing="mask", solver=solver)
    for filling in (np.inf, -np.inf, 1e5, 1e300):
        given = np.ma.array(np.where(missing, filling, y), mask=missing)
        assert_identical(decompose(given, 4.0, missing="mask", solver=solver), expected)
    with pytest.raises(ValueError, match="10 NaN, infinite or masked samples of 100"):
        decompose(np.ma.array(y, mask=missing), 4.0)


def test_a_mask_of_nothing_changes_nothing():
    y = wearable(5, 400)
    for form in (y, np.ma.array(y, mask=np.zeros(400, dtype=bool))):
        assert_identical(decompose(form, 4.0, missing="mask"), decompose(y, 4.0))


def test_in_a_long_gap_tonic_is_the_drift_and_phasic_dies_away():
    y = wearable(7, 1200)
    y[300:900] = np.nan
    result = decompose(y, 4.0, missing="mask")
    drift = result.drift[0] + result.drift[1] * np.arange(1, 1201) / 1200
    np.testing.assert_allclose(result.tonic[500:700], drift[500:700], rtol=0, atol=1e-9)
    assert result.phasic[500:700].max() < 1e-6
    assert result.phasic[:300].max() > 0.5


@pytest.mark.parametrize("seen", [[3, 90], [0, 1], list(range(40, 90))])
def test_a_line_with_gaps_is_all_tonic(seen):
    line = 5.0 - 0.3 * np.arange(100)
    y = np.full(100, np.nan)
    y[seen] = line[seen]
    result = decompose(y, 4.0, missing="mask")
    assert (result.phasic == 0).all()
    np.testing.assert_allclose(result.tonic, line, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.isnan(result.residual), np.isnan(y))


@pytest.mark.parametrize("n_seen", [0, 1])
def test_fewer_than_two_samples_left_are_an_error(n_seen):
    y = np.full(100, np.nan)
    y[5 : 5 + n_seen] = 1.0
    with pytest.raises(ValueError, match=f"2 samples that are not missing, got {n_seen} of 100"):
        decompose(y, 4.0, missing="mask")
    with pytest.raises(ValueError, match=r"trial in row 1: .*not missing"):
        decompose_many([wearable(0), y], 4.0, missing="mask")


def test_masked_samples_of_a_number_too_large_are_still_an_error():
    y = wearable(0)
    y[3], y[4] = np.nan, 1e301
    with pytest.raises(ValueError, match=r"samples up to 1e\+301"):
        decompose(y, 4.0, missing="mask")


def test_a_next_to_vanishing_penalty_takes_longer_steps_into_the_gaps(monkeypatch):
    y = np.where(gaps(200, "half"), np.nan, wearable(8, 200, 32.0))
    result = decompose(y, 32.0, alpha=1e-6, missing="mask")
    assert result.status == "optimal"
    monkeypatch.setattr(module, "SLACKS", (1e5,))
    with pytest.raises(DecompositionError):
        decompose(y, 32.0, alpha=1e-6, missing="mask")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(4, 400),
    sampling_rate=st.sampled_from([4.0, 15.5, 50.0, 128.0]),
    share=st.floats(0, 0.95),
    run=st.integers(1, 100),
    seed=st.integers(0, 10**6),
)
def test_any_mask_is_certified(n, sampling_rate, share, run, seed):
    rng = np.random.default_rng(seed)
    missing = np.repeat(rng.random(n // run + 1) < share, run)[:n]
    missing[rng.choice(n, 2, replace=False)] = False
    y = np.where(missing, np.nan, wearable(seed, n, sampling_rate))
    result = decompose(y, sampling_rate, missing="mask")
    assert result.status == "optimal"
    assert (result.driver >= 0).all()
    np.testing.assert_array_equal(np.isnan(result.residual), missing)
    without_certificate = decompose(y, sampling_rate, missing="mask", certificate=False)
    assert without_certificate.gap <= 1e-8
    assert without_certificate.objective == pytest.approx(result.objective, rel=1e-7, abs=1e-9)


# ---------------------------------------------------------------- NeuroKit's problem

# Every sixth sample of what neurokit2 0.2.13 makes of `responses()` at 4 Hz:
# nk.eda_phasic(responses(), sampling_rate=4, method="cvxeda"), solved by cvxopt to 1e-4 or so.
NEUROKIT_PHASIC = [
    0.000000,
    -0.077783,
    1.223311,
    1.130430,
    0.764273,
    2.240025,
    2.168020,
    1.531762,
    3.268785,
    4.589537,
    3.838823,
    2.310366,
    1.410359,
    1.219175,
    3.473462,
    2.186230,
    1.290694,
]
NEUROKIT_TONIC = [
    -0.912647,
    -1.111158,
    -1.322320,
    -1.534253,
    -1.735082,
    -1.912926,
    -2.055907,
    -2.152262,
    -2.199255,
    -2.208266,
    -2.191804,
    -2.162375,
    -2.132489,
    -2.114652,
    -2.120592,
    -2.152274,
    -2.205414,
]


def responses():
    """Make a recording without random numbers, one of its responses cut off by the start."""
    t = np.arange(100) / 4
    y = 0.2 * np.sin(0.11 * t)
    for k, onset in enumerate((-1.0, 2.3, 6.9, 11.2, 13.0, 19.5)):
        since = np.maximum(t - onset, 0)
        y += (1.0 + 0.3 * k) * (np.exp(-since / 2) - np.exp(-since / 0.7))
    return zscore(np.round(y + 0.004 * np.sin(97.0 * t * t), 3))


@pytest.mark.parametrize("solver", ["auto", "cvxopt"])
def test_the_variant_neurokit_equals_neurokits_output(solver):
    if solver == "cvxopt":
        pytest.importorskip("cvxopt")
    y = responses()
    result = decompose(y, 4.0, variant="neurokit", solver=solver)
    np.testing.assert_allclose(result.phasic[::6], NEUROKIT_PHASIC, rtol=0, atol=1e-4)
    np.testing.assert_allclose(result.tonic[::6], NEUROKIT_TONIC, rtol=0, atol=1e-4)
    assert np.abs(decompose(y, 4.0).phasic[::6] - NEUROKIT_PHASIC).max() > 0.1


@pytest.mark.parametrize(("n", "sampling_rate"), [(6, 4.0), (41, 4.0), (300, 50.0), (2000, 128.0)])
def test_the_variant_neurokit_has_a_free_initial_state_behind_two_samples(n, sampling_rate):
    y = wearable(n, n, sampling_rate)
    result = decompose(y, sampling_rate, variant="neurokit")
    assert result.status == "optimal"
    assert (result.driver >= 0).all()
    assert (result.driver[:2] == 0).all()
    assert (result.phasic[:2] == 0).all()
    total = result.phasic + result.tonic + result.residual
    np.testing.assert_allclose(total, y, rtol=0, atol=1e-12 * max(1, np.abs(result.phasic).max()))
    # From the fifth sample on, the difference equation of the filter holds.
    b, a = bateman(sampling_rate)
    left = np.convolve(result.phasic[2:], a)[2 : n - 2]
    right = np.convolve(result.driver[2:], b)[2 : n - 2]
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-11 * np.abs(result.phasic).max())
    # It has what the reference's problem has, but for a knot behind the end, and more freedom.
    same_knots = len(result.spline) == len(decompose(y, sampling_rate).spline)
    assert same_knots or len(result.spline) == len(decompose(y, sampling_rate).spline) - 1


@pytest.mark.parametrize("seed", range(3))
def test_solvers_agree_on_the_variant_neurokit(seed):
    pytest.importorskip("cvxopt")
    y = wearable(seed, 200, 8.0)
    ours = decompose(y, 8.0, variant="neurokit")
    reference = decompose(y, 8.0, variant="neurokit", solver="cvxopt")
    assert ours.objective == pytest.approx(reference.objective, rel=1e-6)
    np.testing.assert_allclose(ours.phasic, reference.phasic, rtol=0, atol=1e-3)


def test_the_variant_neurokit_takes_six_samples_and_no_other_name():
    with pytest.raises(ValueError, match="at least 6 samples, got 5"):
        decompose(np.arange(5.0), 4.0, variant="neurokit")
    with pytest.raises(ValueError, match="row 1: y must have at least 6 samples, got 5"):
        decompose_many([np.arange(6.0), np.arange(5.0)], 4.0, variant="neurokit")
    with pytest.raises(ValueError, match=r"^variant must be one of \['neurokit', 'reference'\]"):
        decompose(np.arange(9.0), 4.0, variant="biosppy")


# ---------------------------------------------------------------- rates, lengths, inputs


@pytest.mark.parametrize("sampling_rate", [4, 8, 32, 50, 128, 1000])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 100, 3000])
def test_any_length_at_any_rate(n, sampling_rate):
    y = np.random.default_rng(n).normal(size=n).cumsum()
    y = zscore(y)
    result = decompose(y, sampling_rate)
    assert_sound(result, y)
    assert len(result.phasic) == len(result.tonic) == len(result.driver) == n


@pytest.mark.parametrize("make", [np.random.Generator.normal, np.random.Generator.exponential])
def test_z_scored_noise_at_128_hz_converges(make):
    y = zscore(make(np.random.default_rng(0), size=7680))
    assert_sound(decompose(y, 128.0), y)


@pytest.mark.parametrize(
    "y",
    [
        np.repeat([0.0, 1.0], 50),
        np.eye(100)[50],
        -np.eye(100)[50],
        np.clip(wearable(0), -0.5, 0.5),
        np.round(wearable(0)),
        np.where(np.arange(100) % 17 == 0, 0.0, 5 + wearable(0)),
    ],
    ids=["step", "spike", "dip", "saturated", "quantised", "dropouts"],
)
def test_artefacts_are_decomposed_too(y):
    assert_sound(decompose(y, 4.0), y)


def test_a_knot_distance_of_one_sample_and_one_beyond_the_recording():
    y = wearable(1)
    one = decompose(y, 4.0, delta_knot=0.25)
    assert len(one.spline) == 100
    assert_sound(one, y)
    far = decompose(y, 4.0, delta_knot=1e9)
    assert len(far.spline) == 1
    assert_sound(far, y)


def test_a_long_recording_is_not_cut():
    y = wearable(0, 4000, 4.0)
    assert_sound(decompose(y, 4.0), y)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.longdouble, np.int16, np.uint8, ">f4"]
)
def test_takes_any_real_dtype(dtype):
    values = np.round(40 * (wearable(0) - wearable(0).min())).astype(dtype)
    result = decompose(values, 4.0)
    expected = decompose(values.astype(np.float64), 4.0)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


def test_takes_lists_strides_and_read_only_arrays_and_leaves_them_alone():
    y = wearable(0)
    expected = decompose(y, 4.0).phasic
    wide = np.zeros((100, 3))
    wide[:, 1] = y
    kept = y.copy()
    kept.flags.writeable = False
    for form in (y.tolist(), wide[:, 1], y[::-1].copy()[::-1], kept):
        np.testing.assert_array_equal(decompose(form, 4.0).phasic, expected)
    np.testing.assert_array_equal(kept, wearable(0))


def test_the_order_of_the_time_constants_does_not_matter():
    y = wearable(0)
    np.testing.assert_array_equal(
        decompose(y, 4.0, tau0=0.7, tau1=2.0).phasic, decompose(y, 4.0).phasic
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_samples_are_named(bad):
    y = wearable(0)
    y[[31, 60]] = bad
    with pytest.raises(
        ValueError,
        match=r"2 NaN, infinite or masked .* of 100, the first at index 31.*missing='mask', or cut",
    ):
        decompose(y, 4.0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], "at least 2 samples, got 0"),
        ([0.0, 1e301, 0.0], r"samples up to 1e\+301.* another unit"),
        ([1.0], "at least 2 samples, got 1"),
        (3.0, r"1-D array, got shape \(\)"),
        (np.zeros((4, 9)), r"1-D array, got shape \(4, 9\).*decompose_many"),
        (["a", "b", "c"], "real numbers, got dtype <U1"),
        ([1j, 2, 3], "real numbers, got dtype complex128"),
        ([True, False, True], "real numbers, got dtype bool"),
        ([None, 1.0, 2.0], "real numbers, got dtype object"),
    ],
)
def test_what_is_no_recording_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        decompose(y, 4.0)


@pytest.mark.parametrize("function", [decompose, lambda y, *a, **k: decompose_many([y], *a, **k)])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sampling_rate": 0}, "^sampling_rate must be"),
        ({"sampling_rate": -4.0}, "^sampling_rate must be"),
        ({"tau0": 0.7}, "^tau0 and tau1 must differ"),
        ({"tau0": 0.0}, "^tau0 must be a positive"),
        ({"tau1": -1.0}, "^tau1 must be a positive"),
        ({"tau1": 0.1}, "longer than half a sample, which is 0.125 s at 4 Hz"),
        ({"delta_knot": 0.2}, "^delta_knot=0.2 s must be at least one sample, which is 0.25 s"),
        ({"delta_knot": np.inf}, "^delta_knot must be"),
        ({"alpha": 0}, "^alpha must be a positive"),
        ({"alpha": "8e-4"}, "^alpha must be a positive"),
        ({"gamma": np.nan}, "^gamma must be a positive"),
        ({"tol": 0.0}, "^tol must be a positive"),
        ({"max_iter": 0}, "^max_iter must be"),
        ({"max_iter": 2.5}, "^max_iter must be"),
        ({"solver": "quadprog"}, r"^solver must be one of \['auto', .*'scipy'\], got 'quadprog'"),
        ({"missing": "drop"}, r"^missing must be one of \['mask', 'raise'\], got 'drop'"),
        ({"missing": "mask", "variant": "neurokit"}, "needs variant='reference'"),
    ],
)
def test_bad_parameters_are_refused(function, parameters, message):
    with pytest.raises(ValueError, match=message):
        function(wearable(0), **{"sampling_rate": 4.0, **parameters})


# ---------------------------------------------------------------- what did not converge


def test_the_gap_of_an_inaccurate_answer_bounds_its_error():
    y = wearable(1)
    exact = decompose(y, 4.0, tol=1e-11)
    seen = set()
    for max_iter in range(1, 15):
        try:
            result = decompose(y, 4.0, max_iter=max_iter)
        except DecompositionError as error:
            seen.add("error")
            assert error.gap > 1e-4
            assert error.status == f"max_iter={max_iter} iterations were used"
            assert error.status in str(error)
            continue
        seen.add(result.status)
        excess = (result.objective - exact.objective) / result.objective
        assert -1e-11 <= excess <= result.gap
        assert (result.gap <= 1e-8) == (result.status == "optimal")
        assert result.gap <= 1e-4
        both = result.phasic + result.tonic - exact.phasic - exact.tonic
        assert both @ both <= 2 * (result.gap + 1e-10) * result.objective
    assert seen == {"error", "inaccurate", "optimal"}


@pytest.mark.parametrize("max_iter", [9, 10, 11])
def test_the_gap_bounds_the_error_of_cvxopt_too(max_iter):
    pytest.importorskip("cvxopt")
    y = wearable(1)
    exact = decompose(y, 4.0, tol=1e-11)
    rough = decompose(y, 4.0, solver="cvxopt", max_iter=max_iter)
    excess = (rough.objective - exact.objective) / rough.objective
    assert rough.status == "inaccurate"
    assert -1e-11 <= excess <= rough.gap


@pytest.mark.parametrize("shape", ["residual", "trebled", "noise", "drift"])
def test_the_certificate_holds_whatever_dual_point_it_is_given(shape):
    # Far from 0, where a dual point that is not orthogonal to the drift would promise too much.
    y, alpha = wearable(1) - 5, 8e-4
    exact, rough = decompose(y, 4.0, tol=1e-11), decompose(y, 4.0, max_iter=9)
    dual = {
        "residual": rough.residual,
        "trebled": 3 * exact.residual,
        "noise": np.random.default_rng(0).normal(size=100),
        "drift": exact.residual - 0.5,
    }[shape]
    problem = build_problem(100, 4.0, 2.0, 0.7, 10.0, 1e-2)
    theta = np.concatenate((rough.spline, rough.drift))
    objective, gap = problem.certify(
        y, alpha * problem.lead, rough.driver / problem.lead, theta, dual
    )
    assert objective == pytest.approx(rough.objective, rel=1e-9)
    assert gap >= (objective - exact.objective) / objective > 0


@pytest.mark.parametrize("seed", [6, 9, 26, 28])
def test_an_unreachable_tolerance_returns_the_best_iterate(seed):
    # Rounding ends these with a last iterate that is useless.
    y = wearable(seed, 300, 1000.0)
    result = decompose(y, 1000.0, tol=1e-17)
    assert result.status == "inaccurate"
    assert result.gap <= 1e-12


def test_a_vanishing_alpha_is_an_answer_or_an_error_but_not_silent():
    # Noise many orders larger than the defaults are meant for.
    noise = np.random.default_rng(0).normal(size=100)
    assert decompose(1e12 * noise, 4.0).status == "optimal"
    with pytest.raises(DecompositionError, match=r"rounding stopped iteration .* z-scored"):
        decompose(1e30 * noise, 4.0)


def test_cvxopt_that_ends_as_unknown_is_not_silent():
    pytest.importorskip("cvxopt")
    y = wearable(1)
    with pytest.raises(DecompositionError, match="cvxopt ended with status 'unknown'") as caught:
        decompose(y, 4.0, solver="cvxopt", max_iter=3)
    assert caught.value.gap > 1e-4
    rough = decompose(y, 4.0, solver="cvxopt", max_iter=10)
    assert rough.status == "inaccurate"
    assert 1e-8 < rough.gap <= 1e-4


@pytest.mark.parametrize("failure", [ArithmeticError("18"), ValueError("Rank(A) < p")])
def test_cvxopt_that_fails_is_a_decomposition_error(monkeypatch, failure):
    cvxopt = pytest.importorskip("cvxopt")

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(cvxopt.solvers, "qp", fail)
    with pytest.raises(DecompositionError, match="cvxopt failed"):
        decompose(wearable(1), 4.0, solver="cvxopt")


def test_missing_cvxopt_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxopt", None)
    with pytest.raises(ImportError, match=r"pip install edaemo\[cvxopt\]"):
        decompose(wearable(0), 4.0, solver="cvxopt")
    assert decompose(wearable(0), 4.0).status == "optimal"


def test_the_options_of_cvxopt_stay_the_users(monkeypatch, capsys):
    cvxopt = pytest.importorskip("cvxopt")
    options = {"maxiters": 1, "show_progress": True}
    monkeypatch.setattr(cvxopt.solvers, "options", options)
    assert decompose(wearable(0), 4.0, solver="cvxopt").gap < 1e-6
    assert options == {"maxiters": 1, "show_progress": True}
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------- same input, same output


@pytest.mark.same_bits
def test_the_same_answer_bit_for_bit_alone_after_others_and_in_threads():
    trials = [wearable(seed, n) for seed, n in enumerate([100, 167, 100, 40, 900, 100])]
    alone = [decompose(y, 4.0) for y in trials]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda y: decompose(y, 4.0), 4 * trials))
    for one, other in zip(4 * alone, together, strict=True):
        assert_identical(one, other)


def test_results_may_be_changed_without_changing_later_ones():
    y = wearable(0)
    first = decompose(y, 4.0)
    kept = first.tonic.copy()
    for name in ARRAYS:
        getattr(first, name)[:] = np.nan
    assert not build_problem(100, 4.0, 2.0, 0.7, 10.0, 1e-2).design.flags.writeable
    np.testing.assert_array_equal(decompose(y, 4.0).tonic, kept)


@pytest.mark.same_bits
def test_many_keeps_the_order_and_equals_one_by_one_in_any_number_of_processes():
    trials = [wearable(seed, n, 50.0) for seed, n in enumerate([100, 2000, 167])]
    parameters = {"tau0": 3.0, "tau1": 0.5, "delta_knot": 5.0, "alpha": 1e-3, "gamma": 2e-2}
    expected = [decompose(y, 50.0, **parameters) for y in trials]
    for n_jobs in (None, 2):
        results = decompose_many(trials, 50.0, n_jobs=n_jobs, **parameters)
        assert isinstance(results, list)
        for one, other in zip(expected, results, strict=True):
            assert isinstance(other, Decomposition)
            assert_identical(one, other)


def test_many_passes_solver_tolerance_and_iterations_on():
    pytest.importorskip("cvxopt")
    y = wearable(1)
    (rough,) = decompose_many([y], 4.0, solver="cvxopt", tol=1e-3, max_iter=50)
    assert_identical(rough, decompose(y, 4.0, solver="cvxopt", tol=1e-3, max_iter=50))
    assert rough.gap != decompose(y, 4.0, solver="cvxopt").gap
    with pytest.raises(DecompositionError, match="max_iter=2 "):
        decompose_many([y], 4.0, max_iter=2)


def test_many_takes_the_rows_of_an_array_and_an_empty_list():
    rows = np.array([wearable(0), wearable(1)])
    for one, y in zip(decompose_many(rows, 4.0), rows, strict=True):
        assert_identical(one, decompose(y, 4.0))
    assert decompose_many([], 4.0) == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_many_names_the_row_of_the_trial_in_an_error(n_jobs):
    broken = wearable(1)
    broken[7] = np.nan
    with pytest.raises(ValueError, match=r"row 1: y has 1 NaN, .* index 7"):
        decompose_many([wearable(0), broken], 4.0, n_jobs=n_jobs)
    with pytest.raises(DecompositionError, match=r"row 1: .*did not converge") as caught:
        decompose_many([np.zeros(9), wearable(0)], 4.0, n_jobs=n_jobs, max_iter=2)
    assert caught.value.gap > 1e-4
    with pytest.raises(ValueError, match=r"row \d+: y must be one recording"):
        decompose_many(wearable(0), 4.0, n_jobs=n_jobs)


def test_the_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(DecompositionError("said", "why", 0.5)))
    assert (str(error), error.status, error.gap) == ("said", "why", 0.5)
