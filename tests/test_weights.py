"""Weights that follow the noise, the free initial state, context, and fitted time constants.

The expected values come from dense matrices and cvxopt, from closed forms, and from the truth of
simulated recordings.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import toeplitz
from scipy.signal import bilinear, lfilter

import edaemo
from edaemo import CvxEDATransformer
from edaemo.cli import main
from edaemo.datasets import load_hku956, make_music_listening, select_people
from edaemo.decomposition import (
    CvxEDA,
    DecompositionWarning,
    Weights,
    _compiled,
    decompose,
    decompose_many,
    fit_time_constants,
    noise_weights,
)
from edaemo.features import EDAFeatureExtractor
from edaemo.preprocessing import EDADecomposer

WEIGHTS = Weights(alpha=0.02, gamma=1.5, slope=2.0, fading=0.3)
COMPONENTS = ("phasic", "tonic", "driver", "residual")

both = pytest.mark.parametrize("solver", ["compiled", "scipy"])


@pytest.fixture(autouse=True)
def skip_without_kernel(request):
    parameters = getattr(request.node, "callspec", None)
    compiled = parameters is not None and parameters.params.get("solver") == "compiled"
    if compiled and _compiled.load() is None:
        pytest.skip("the compiled kernel was not built")


def bateman(sampling_rate, tau0=2.0, tau1=0.7):
    slow, fast = 1 / tau0, 1 / tau1
    return bilinear([fast - slow], [1.0, slow + fast, slow * fast], sampling_rate)


def respond(times, sizes, seconds, sampling_rate, tau0=2.0, tau1=0.7):
    """Return the sum of continuous Bateman functions of peak 1."""
    t = np.arange(round(seconds * sampling_rate)) / sampling_rate
    top = np.log(tau0 / tau1) / (1 / tau1 - 1 / tau0)
    since = np.maximum(t[:, None] - np.asarray(times), 0)
    shape = np.exp(-since / tau0) - np.exp(-since / tau1)
    return shape / (np.exp(-top / tau0) - np.exp(-top / tau1)) @ np.asarray(sizes)


def record(seed, seconds=60.0, sampling_rate=4.0, noise=0.005, tau0=2.0, tau1=0.7):
    """Return a recording of six responses in µS, and its phasic component."""
    rng = np.random.default_rng(seed)
    times = seconds * (np.arange(6) + rng.uniform(0.2, 0.8, 6)) / 6 - 1
    phasic = respond(times, rng.uniform(0.2, 0.8, 6), seconds, sampling_rate, tau0, tau1)
    t = np.arange(len(phasic)) / sampling_rate
    return 4 + 0.1 * np.sin(t / 15) + phasic + noise * rng.standard_normal(len(t)), phasic


# ---------------------------------------------------------------- the optimum, from outside


def solve_dense(y, sampling_rate, weights, seen, delta_knot=10.0, tonic_above_zero=False):
    """Solve the problem of `Weights` with dense matrices and return phasic and objective."""
    cvxopt = pytest.importorskip("cvxopt")
    n, step = len(y), round(delta_knot * sampling_rate)
    impulse = np.zeros(n)
    impulse[0] = 1.0
    response = toeplitz(lfilter(*bateman(sampling_rate), impulse), np.zeros(n))
    pole = (2 - 1 / (2.0 * sampling_rate)) / (2 + 1 / (2.0 * sampling_rate))
    driven = np.column_stack((response, pole ** np.arange(n)))
    spline = np.convolve(*[np.convolve(np.ones(step), np.ones(step))] * 2)
    middle, knots = len(spline) // 2, np.arange(0, n + step // 2, step)
    padded = np.concatenate((np.zeros(3 * n), spline / spline.max(), np.zeros(3 * n)))
    tonic = [padded[3 * n + middle - k : 4 * n + middle - k] for k in knots]
    model = np.column_stack((driven, *tonic, np.ones(n), np.arange(1, n + 1) / n))
    m = len(knots)
    penalty = np.r_[np.zeros(n + 1), np.full(m, weights.gamma), 0, weights.slope * (step / n) ** 2]
    price = np.full(n, weights.alpha), weights.alpha * weights.fading * sampling_rate
    cost = np.r_[(*price, np.zeros(m + 2))]
    rows = model[seen]
    below = np.hstack((-np.eye(n + 1), np.zeros((n + 1, m + 2))))
    if tonic_above_zero:
        below = np.vstack((below, np.hstack((np.zeros((n, n + 1)), -model[:, n + 1 :]))))
    result = cvxopt.solvers.qp(
        cvxopt.matrix(rows.T @ rows + np.diag(penalty)),
        cvxopt.matrix(cost - rows.T @ y[seen]),
        cvxopt.matrix(below),
        cvxopt.matrix(np.zeros(len(below))),
        options={"show_progress": False, "abstol": 1e-13, "reltol": 1e-13, "feastol": 1e-10},
    )
    x = np.array(result["x"]).ravel()
    objective = 0.5 * np.sum((y - model @ x)[seen] ** 2) + cost @ x + 0.5 * penalty @ x**2
    return driven @ x[: n + 1], objective, x[n]


@both
@pytest.mark.parametrize(
    ("seconds", "sampling_rate"), [(12, 4.0), (30, 4.0), (55, 4.0), (25, 8.0), (9, 25.0)]
)
@pytest.mark.parametrize("weights", [WEIGHTS, Weights(2e-3, 0.3, slope=0.05, fading=2.0)])
def test_matches_a_dense_quadratic_program(solver, seconds, sampling_rate, weights):
    y, _ = record(3, seconds, sampling_rate)
    result = decompose(y, sampling_rate, weights=weights, solver=solver)
    phasic, objective, initial = solve_dense(y, sampling_rate, weights, np.ones(len(y), bool))
    assert result.status == "optimal"
    assert result.objective == pytest.approx(objective, rel=1e-6)
    assert_allclose(result.phasic, phasic, rtol=0, atol=1e-3)
    assert result.initial == pytest.approx(initial, abs=1e-3)


def begin_without_contact(seed, seconds=40, sampling_rate=4.0):
    """Return a recording in µS that is 0 for 5 s, then steps to responses on a level of 1.5 µS."""
    y, _ = record(seed, seconds, sampling_rate)
    y -= 2.5
    y[: round(5 * sampling_rate)] = 0.0
    return np.maximum(y, 0.0)


@both
@pytest.mark.parametrize("sampling_rate", [4.0, 10.0])
@pytest.mark.parametrize("weights", [WEIGHTS, Weights(2e-3, 0.3, fading=2.0)])
def test_tonic_above_zero_is_a_row_of_the_dense_problem(solver, sampling_rate, weights):
    y = begin_without_contact(7, 30, sampling_rate)
    result = decompose(y, sampling_rate, weights=weights, solver=solver)
    seen = np.ones(len(y), bool)
    phasic, objective, _ = solve_dense(y, sampling_rate, weights, seen, tonic_above_zero=True)
    assert (result.status, result.tonic.min() > -1e-9) == ("optimal", True)
    assert result.objective == pytest.approx(objective, rel=1e-6)
    assert_allclose(result.phasic, phasic, rtol=0, atol=1e-3)
    # The condition is active: the recording raised by 5 µS has a tonic component below 5 µS.
    free = decompose(y + 5, sampling_rate, weights=weights, solver=solver)
    assert free.tonic.min() < 5 - 1e-3
    assert free.objective < (1 - 1e-6) * result.objective


def test_masked_samples_and_a_lower_bound_go_together():
    y = begin_without_contact(8, 30)
    seen = np.ones(len(y), bool)
    seen[[10, 11, 12, 30, 31, 90]] = False
    result = decompose(np.where(seen, y, np.nan), 4.0, weights=WEIGHTS, missing="mask")
    _, objective, _ = solve_dense(y, 4.0, WEIGHTS, seen, tonic_above_zero=True)
    assert (result.status, result.tonic.min() > -1e-9) == ("optimal", True)
    assert result.objective == pytest.approx(objective, rel=1e-6)


@both
def test_the_tonic_component_is_not_negative_in_any_unit_with_a_zero(solver):
    for seed in range(6):
        y = begin_without_contact(seed)
        result = decompose(y, 4.0, solver=solver)
        assert result.status == "optimal"
        assert result.tonic.min() > -1e-9
        assert result.phasic.min() >= 0
        assert_allclose(result.phasic + result.tonic + result.residual, y, rtol=0, atol=1e-12)
        nanosiemens = decompose(1e3 * y, 4.0, solver=solver)
        assert_allclose(nanosiemens.tonic, 1e3 * result.tonic, rtol=0, atol=1e-2)
        # A recording with negative samples has no zero: a shift changes only the level.
        shifted, centred = (decompose(y + by, 4.0, solver=solver) for by in (9, -y.mean()))
        assert_allclose(centred.tonic + y.mean(), shifted.tonic - 9, rtol=0, atol=1e-4)


def test_a_bound_needs_no_change_of_the_published_problem():
    y = begin_without_contact(3)
    result, raised = (decompose(x, 4.0, weights="published") for x in (y, y + 5))
    assert_allclose(result.phasic, raised.phasic, rtol=0, atol=1e-6)
    assert raised.tonic.min() < 5


def test_a_recording_too_long_for_the_bound_keeps_its_optimum_with_a_warning(monkeypatch):
    if _compiled.load() is None:
        pytest.skip("the compiled kernel was not built")
    y = begin_without_contact(3)
    monkeypatch.setattr("edaemo.decomposition._decompose._DENSE_ELEMENTS", 500)
    with pytest.warns(DecompositionWarning, match="of 160 samples falls to -.*too long"):
        result = decompose(y, 4.0)
    assert result.tonic.min() < 0


def test_no_tonic_component_of_hku956_in_microsiemens_is_negative():
    """Without the bound, 8 of these 473 windows have one below zero, by up to 0.16 µS."""
    study = select_people(load_hku956(), "development")
    tonic = EDADecomposer(4, components=("tonic",)).fit_transform(study.trials)["eda"]
    assert len(tonic) == 473
    assert min(cell.min() for cell in tonic) > -1e-6


def test_masked_samples_are_rows_deleted_from_the_dense_problem():
    y, _ = record(4, 30)
    seen = np.ones(len(y), bool)
    seen[[0, 1, 2, 40, 41, 42, 43, 90]] = False
    result = decompose(np.where(seen, y, np.nan), 4.0, weights=WEIGHTS, missing="mask")
    phasic, objective, _ = solve_dense(y, 4.0, WEIGHTS, seen)
    assert result.objective == pytest.approx(objective, rel=1e-6)
    assert_allclose(result.phasic[seen], phasic[seen], rtol=0, atol=2e-3)


@pytest.mark.parametrize("weights", ["noise", WEIGHTS, Weights(0.01, 1.0, fading=0.2)])
def test_three_solvers_agree(weights):
    pytest.importorskip("cvxopt")
    y, _ = record(5, 40, 8.0)
    answers = [
        decompose(y, 8.0, weights=weights, solver=solver) for solver in ("auto", "scipy", "cvxopt")
    ]
    for answer in answers:
        assert answer.objective == pytest.approx(answers[0].objective, rel=1e-6)
        assert_allclose(answer.phasic, answers[0].phasic, rtol=0, atol=1e-3)


@both
def test_weights_without_new_parts_are_the_published_problem(solver):
    y, _ = record(6)
    numbers = Weights(alpha=8e-4, gamma=1e-2)
    one, other = (decompose(y, 4.0, solver=solver, weights=w) for w in ("published", numbers))
    for name in (*COMPONENTS, "objective", "gap", "initial"):
        assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.initial == 0


@both
def test_every_answer_is_certified_and_adds_up(solver):
    rng = np.random.default_rng(0)
    for seed in range(30):
        rate = float(rng.choice([1.0, 2.0, 4.0, 12.5, 50.0]))
        y, _ = record(seed, rng.uniform(20 / rate, 40), rate, noise=10 ** rng.uniform(-5, -1))
        result = decompose(y, rate, weights="noise", solver=solver)
        assert result.status == "optimal"
        assert result.initial >= 0
        assert result.driver.min() >= 0
        # So the tonic component is above the recording at most by its residual.
        assert result.phasic.min() >= 0
        assert_allclose(result.phasic + result.tonic + result.residual, y, rtol=0, atol=1e-12)


@pytest.mark.skipif(_compiled.load() is None, reason="the compiled kernel was not built")
def test_the_kernel_solves_long_and_short_recordings_itself(monkeypatch):
    monkeypatch.setattr("edaemo.decomposition._decompose._decompose_python", None)
    for lanes in {2, _compiled.widest()}:
        monkeypatch.setattr(_compiled, "widest", lambda lanes=lanes: lanes)
        for seed, (seconds, rate) in enumerate([(20, 4.0), (56, 50.0), (180, 50.0), (600, 4.0)]):
            y, _ = record(seed, seconds, rate)
            assert decompose(y, rate, weights="noise").gap <= 1e-8


@pytest.mark.parametrize("y", [np.full(60, 3.0), np.linspace(1, 2, 60), np.zeros(60)])
def test_a_line_has_no_phasic_component(y):
    result = decompose(y, 4.0, weights="noise")
    assert result.phasic.max() <= 1e-6
    assert_allclose(result.tonic, y, atol=1e-6)


# ---------------------------------------------------------------- what the weights are for


@both
def test_what_fades_from_before_is_not_driver(solver):
    t = np.arange(200) / 4.0
    y = 5 + 0.4 * np.exp(-t / 2.0) + 0.002 * np.random.default_rng(1).standard_normal(200)
    result = decompose(y, 4.0, weights="noise", solver=solver)
    assert result.initial == pytest.approx(0.4, rel=0.1)
    assert result.driver.sum() / 4 < 0.02
    published = decompose((y - y.mean()) / y.std(), 4.0, solver=solver, weights="published")
    assert published.driver.sum() / 4 * y.std() > 0.2


@pytest.mark.parametrize("factor", [1e-6, 1e3, 1e12])
def test_the_unit_changes_the_unit_of_the_driver_only(factor):
    y, _ = record(7)
    one, other = decompose(y, 4.0, weights="noise"), decompose(factor * y, 4.0, weights="noise")
    for name in COMPONENTS:
        size = np.abs(getattr(one, name)).max()
        assert_allclose(getattr(other, name) / factor, getattr(one, name), atol=1e-4 * size)


def test_a_z_scored_recording_has_the_same_driver():
    y, _ = record(8)
    one, other = (decompose(x, 4.0, weights="noise") for x in (y, (y - y.mean()) / y.std()))
    assert_allclose(other.driver * y.std(), one.driver, atol=1e-4 * one.driver.max())


def test_decimated_recordings_have_the_same_responses():
    """A recording at 50 Hz and its averages over 10 samples."""
    for seed in range(5):
        y, _ = record(seed, 60, 50.0, noise=0.01)
        fine = decompose(y, 50.0, weights="noise")
        coarse = decompose(y.reshape(-1, 10).mean(axis=1), 5.0, weights="noise")
        at_coarse = fine.phasic.reshape(-1, 10).mean(axis=1)
        assert np.corrcoef(at_coarse, coarse.phasic)[0, 1] > 0.995
        assert coarse.phasic.max() == pytest.approx(at_coarse.max(), rel=0.1)
        assert coarse.driver.sum() / 5 == pytest.approx(fine.driver.sum() / 50, rel=0.1)


def test_odd_and_even_samples_agree():
    for seed in range(5):
        y, _ = record(seed, 60, 8.0, noise=0.01)
        odd, even = (decompose(y[first::2], 4.0, weights="noise").phasic for first in (0, 1))
        assert np.corrcoef(odd, even)[0, 1] > 0.97


def test_components_are_near_the_truth_where_those_of_the_published_weights_are_not():
    found = {"noise": [], "published": []}
    for seed in range(20):
        y, phasic = record(seed, 30, noise=0.01)
        z = (y - y.mean()) / y.std()
        for weights, of_weights in found.items():
            parts = decompose(z, 4.0, weights=weights)
            of_weights.append(np.corrcoef(parts.phasic, phasic)[0, 1])
    assert np.median(found["noise"]) > 0.97
    assert np.quantile(found["noise"], 0.1) > 0.9
    assert np.median(found["published"]) < np.quantile(found["noise"], 0.1)


def test_noise_alone_has_hardly_any_phasic_component():
    rng = np.random.default_rng(2)
    ranges = [
        np.ptp(decompose(2 + rng.standard_normal(400), 4.0, weights="noise").phasic)
        for _ in range(20)
    ]
    assert np.median(ranges) < 0.5
    assert max(ranges) < 2.5


# ---------------------------------------------------------------- the estimate of noise


def response_norm(sampling_rate, tau0=2.0, tau1=0.7):
    impulse = np.zeros(round(60 * sampling_rate))
    impulse[0] = 1.0
    return np.linalg.norm(lfilter(*bateman(sampling_rate, tau0, tau1), impulse))


@pytest.mark.parametrize("sampling_rate", [4.0, 8.0, 50.0, 128.0])
def test_alpha_of_white_noise_is_its_closed_form(sampling_rate):
    n = round(600 * sampling_rate)
    noise = 0.01 * np.random.default_rng(3).standard_normal(n)
    weights = noise_weights(5 + noise, sampling_rate)
    detectable = 0.01 * response_norm(sampling_rate) * np.sqrt(2 * np.log(600 / 0.7))
    assert weights.alpha == pytest.approx(0.5 * detectable, rel=0.15)
    assert weights.gamma == 0.25 * sampling_rate
    assert weights.slope == 0.5 * sampling_rate


def test_alpha_of_slow_noise_is_larger_than_that_of_white_noise():
    """Breathing of 0.27 Hz hardly has third differences, but correlates with responses."""
    t, rng = np.arange(2400) / 4.0, np.random.default_rng(4)
    white = 0.001 * rng.standard_normal(2400)
    slow = white + 0.02 * np.sin(2 * np.pi * 0.27 * t)
    assert noise_weights(slow, 4.0).alpha > 5 * noise_weights(white, 4.0).alpha


def test_responses_and_spikes_hardly_change_alpha():
    rng = np.random.default_rng(5)
    noise = 0.02 * rng.standard_normal(480)
    phasic = respond([10, 40, 70, 95], [1, 0.7, 1.2, 0.9], 120, 4.0)
    spike = np.where(np.arange(480) == 200, 3.0, 0.0)
    alone = noise_weights(noise, 4.0).alpha
    assert noise_weights(noise + phasic, 4.0).alpha < 2.5 * alone
    assert noise_weights(noise + spike, 4.0).alpha < 2.5 * alone


def test_alpha_is_at_least_that_of_the_rounding_error_of_the_sensor():
    """A slow triangle in coarse steps: most differences are 0."""
    y = np.round(np.abs(np.arange(400) % 200 - 100) / 20) * 0.02
    detectable = 0.02 / np.sqrt(12) * response_norm(4.0) * np.sqrt(2 * np.log(100 / 0.7))
    assert noise_weights(y, 4.0).alpha >= 0.5 * detectable


def test_missing_samples_change_alpha_little():
    y, _ = record(9, 120)
    gaps = np.where(np.arange(len(y)) % 40 < 3, np.nan, y)
    assert noise_weights(gaps, 4.0).alpha == pytest.approx(noise_weights(y, 4.0).alpha, rel=0.3)


def test_noise_uses_the_numbers_of_noise_weights():
    y, _ = record(10)
    numbers = noise_weights(y, 4.0, tau0=3.0, tau1=0.6)
    one, other = (decompose(y, 4.0, tau0=3.0, tau1=0.6, weights=w) for w in ("noise", numbers))
    assert_array_equal(one.phasic, other.phasic)


# ---------------------------------------------------------------- context


@both
def test_context_is_decomposed_and_left_out(solver):
    y, _ = record(11, 70)
    whole = decompose(y, 4.0, weights="noise", solver=solver)
    cut = decompose(y, 4.0, weights="noise", solver=solver, context=10.0)
    for name in COMPONENTS:
        assert_array_equal(getattr(cut, name), getattr(whole, name)[40:])
    assert (cut.objective, cut.gap) == (whole.objective, whole.gap)
    assert_array_equal(cut.spline, whole.spline)


def test_context_in_batches_and_with_masks():
    recordings = [record(seed, 30 + seed)[0] for seed in range(3)]
    recordings[1][5:9] = np.nan
    results = decompose_many(recordings, 4.0, weights="noise", context=2.5, missing="mask")
    for y, result in zip(recordings, results, strict=True):
        assert [len(getattr(result, name)) for name in COMPONENTS] == [len(y) - 10] * 4


def test_with_context_a_rise_before_the_trial_is_not_a_response_of_the_trial():
    """The response begins 1 s before the trial and still rises at its first sample."""
    phasic = respond([14.0, 26.0], [1.0, 0.5], 40, 4.0)
    for seed in range(5):
        y = 3 + phasic + 0.005 * np.random.default_rng(seed).standard_normal(len(phasic))
        cut, whole = (
            decompose(y, 4.0, weights="noise", context=15),
            decompose(y[60:], 4.0, weights="noise"),
        )
        impulses = [parts.driver[:12].sum() / 4 for parts in (cut, whole)]
        assert impulses[0] < 0.1 * impulses[1]
        assert np.std(cut.phasic - phasic[60:]) < 0.05


@pytest.mark.parametrize("context", [-1.0, np.nan, True, "2"])
def test_context_is_a_number_of_seconds(context):
    with pytest.raises(ValueError, match="context must be a number of seconds"):
        decompose(record(0)[0], 4.0, context=context)


def test_context_that_leaves_nothing_is_an_error():
    with pytest.raises(ValueError, match="row 1: y has 40 samples, and the context takes 40"):
        decompose_many([np.arange(60.0) ** 2, np.arange(40.0) ** 2], 4.0, context=10)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weights": "other"}, "weights must be one of"),
        ({"weights": "noise", "alpha": 0.01}, "alpha=0.01 needs weights='published'"),
        ({"weights": WEIGHTS, "gamma": 1.0}, "gamma=1.0 needs weights='published'"),
        (
            {"weights": "noise", "variant": "neurokit"},
            "variant='neurokit' needs weights=",
        ),
        ({"weights": Weights(0.0, 1.0)}, "weights.alpha must be a finite number above 0"),
        ({"weights": Weights(1.0, 1.0, slope=-1.0)}, "weights.slope must be .* at least 0"),
        ({"weights": Weights(1.0, 1.0, fading=np.inf)}, "weights.fading must be"),
    ],
)
def test_weights_that_have_no_meaning_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        decompose(record(0)[0], 4.0, **parameters)


def test_batches_and_threads_give_the_same_answers():
    recordings = [record(seed, 20 + seed)[0] for seed in range(12)]
    alone = [decompose(y, 4.0, weights="noise") for y in recordings]
    together = decompose_many(recordings, 4.0, weights="noise", n_jobs=2)
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one.driver, other.driver)


@pytest.mark.parametrize("weights", ["noise", WEIGHTS])
def test_transformers_take_the_weights_and_can_be_saved(weights, tmp_path):
    trials = np.stack([record(seed)[0] for seed in range(3)])
    transformer = CvxEDATransformer(
        4,
        weights=weights,
        components=("phasic", "driver"),
        standardize_input=False,
        standardize_output=False,
        trim_seconds=0,
    ).fit(trials)
    expected = [decompose(y, 4.0, weights=weights) for y in trials]
    channels = transformer.transform(trials).reshape(3, 2, -1)
    assert_allclose(channels[:, 0], [parts.phasic for parts in expected], atol=1e-6)
    assert_allclose(channels[:, 1], [parts.driver for parts in expected], rtol=1e-6, atol=1e-6)
    edaemo.save(transformer, tmp_path / "transformer.edaemo")
    restored = edaemo.load(tmp_path / "transformer.edaemo")
    assert restored.weights == weights
    assert_array_equal(restored.transform(trials), transformer.transform(trials))


def test_decomposer_features_and_command_line_take_the_weights(tmp_path):
    y = record(12)[0]
    expected = decompose(y, 4.0, weights="noise")
    parts = EDADecomposer(4, method=CvxEDA(weights="noise")).fit_transform(y[None])[0]
    assert_allclose(parts, np.r_[expected.phasic, expected.tonic], atol=1e-4)

    by_noise, by_published, by_default = (
        EDAFeatureExtractor(4, method=method).fit_transform(y[None])
        for method in (CvxEDA(weights="noise"), CvxEDA(weights="published"), "cvxeda")
    )
    assert not np.allclose(by_noise, by_published)
    assert_array_equal(by_noise, by_default)

    pd.DataFrame({"time": np.arange(len(y)) / 4, "eda": y}).to_csv(tmp_path / "a.csv", index=False)
    out = tmp_path / "out"
    arguments = ["decompose", str(tmp_path / "a.csv"), str(out), "--setting", "weights=noise"]
    arguments += ["--sampling-rate", "4"]
    assert main(arguments) == 0
    assert_allclose(pd.read_csv(out / "a.csv")["phasic"], expected.phasic, atol=1e-4)


# ---------------------------------------------------------------- time constants


@pytest.mark.parametrize("sampling_rate", [4.0, 50.0])
@pytest.mark.parametrize("constants", [(1.2, 0.4), (2.8, 0.7), (5.0, 1.35)])
def test_time_constants_of_the_responses_are_found(constants, sampling_rate):
    slow, fast = constants
    recordings = [
        record(seed, 60, sampling_rate, 0.005, tau0=slow, tau1=fast)[0] for seed in range(3)
    ]
    tau0, tau1 = fit_time_constants(recordings, sampling_rate)
    assert abs(np.log(tau0 / slow)) < 0.35
    assert abs(np.log(tau1 / fast)) < 0.35


def test_recordings_without_responses_have_the_published_constants():
    assert fit_time_constants([np.linspace(1, 2, 200), np.ones(100)], 4.0) == (2.0, 0.7)


def test_time_constants_depend_neither_on_the_unit_nor_on_the_grid_order():
    y = record(3, 60, tau0=3.7, tau1=0.55)[0]
    expected = fit_time_constants([y], 4.0)
    assert fit_time_constants([1e3 * y], 4.0) == expected
    backwards = {"slow": (5.0, 3.7, 2.8, 2.0, 1.6, 1.2), "fast": (1.35, 1.0, 0.7, 0.55, 0.4)}
    assert fit_time_constants([y], 4.0, **backwards) == expected
    gap = np.where((np.arange(len(y)) > 50) & (np.arange(len(y)) < 54), np.nan, y)
    assert fit_time_constants([gap], 4.0) == expected


def test_time_constants_need_a_recording_and_a_grid():
    with pytest.raises(ValueError, match="at least one recording"):
        fit_time_constants([], 4.0)
    with pytest.raises(ValueError, match="at least one pair with a ratio of at least"):
        fit_time_constants([record(0)[0]], 4.0, slow=(1.0,), fast=(0.9,))


# ---------------------------------------------------------------- recordings of a wristband


def test_recordings_of_a_wristband_have_its_steps_range_and_movements():
    study = make_music_listening(12, 30, 10, sampling_rate=4, duration=25, device="wristband")
    steps = np.concatenate([eda / 0.00128 for eda in study.trials["eda"]])
    assert_allclose(steps, np.round(steps), atol=1e-6)
    ranges = [np.ptp(eda) for eda in study.trials["eda"]]
    # Middle half of the development people's windows in two corpora: 0.01 to 0.5 µS.
    assert 0.03 < np.median(ranges) < 0.3
    subject, trial = study.truth.index[0]
    parts = study.make_components(subject, trial)
    total = parts.drop(columns="driver").sum(axis=1)
    assert_allclose(total, study.trials["eda"][0], atol=1e-9)
    assert np.abs(parts["artefact"]).max() > 0
    assert study.report["arguments"]["device"] == "wristband"
