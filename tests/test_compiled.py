"""The compiled kernel: expected values come from the scipy core, which has tests of its own."""

import ctypes
import importlib.util
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edaemo.decomposition
from edaemo.decomposition import (
    DecompositionError,
    DecompositionWarning,
    _compiled,
)
from edaemo.decomposition import _decompose as module
from edaemo.decomposition._problem import build_problem

# tests/test_weights.py has the weights that follow the noise.
decompose = partial(edaemo.decomposition.decompose, weights="published")
decompose_many = partial(edaemo.decomposition.decompose_many, weights="published")

ROOT = Path(__file__).parents[1]
ARRAYS = ("phasic", "tonic", "driver", "residual", "spline", "drift")
DEFAULTS = {"tau0": 2.0, "tau1": 0.7, "delta_knot": 10.0, "gamma": 1e-2, "variant": "reference"}

built = pytest.mark.skipif(_compiled.load() is None, reason="the compiled kernel was not built")


def simulate(seed, n, sampling_rate, noise=0.01, step=1e-3):
    """Responses of two exponentials, drift, noise and an ADC's steps, z-scored."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / sampling_rate
    y = 0.3 * np.cumsum(rng.normal(size=n)) / np.sqrt(n) + noise * rng.normal(size=n)
    for onset in rng.uniform(-5, t[-1], max(1, int(t[-1] / 6))):
        since = np.maximum(t - onset, 0)
        y += rng.exponential() * (np.exp(-since / 2) - np.exp(-since / 0.7))
    y = np.round(y / step) * step
    return (y - y.mean()) / y.std() if y.std() > 0 else y


def call(y, sampling_rate, *, alpha=8e-4, tol=1e-10, lanes=None, workspace=None, stop=0, **given):
    """Call the kernel itself."""
    parameters = {**DEFAULTS, **given}
    structure = _compiled.build_structure(
        len(y), sampling_rate, *parameters.values(), lanes or _compiled.widest()
    )
    (answer,) = _compiled.solve(
        [structure],
        [y],
        alpha,
        tol=tol,
        max_iter=60,
        certificate=True,
        workspace=workspace or _compiled.Workspace(),
        stop=ctypes.c_int32(stop),
    )
    return answer


def assert_identical(one, other):
    assert (one.n_iter, one.gap, one.objective) == (other.n_iter, other.gap, other.objective)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


def assert_same_answer(one, other, y):
    spread = max(y.std(), 1e-3 * np.abs(y).max())
    floor = 1e-5 * len(y) * y.var()
    assert abs(one.objective - other.objective) <= 1e-8 * max(other.objective, floor)
    np.testing.assert_allclose(
        one.phasic + one.tonic, other.phasic + other.tonic, rtol=0, atol=1e-4 * spread
    )


# ---------------------------------------------------------------- the same answer as scipy's


@built
@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize(
    ("n", "sampling_rate"),
    [
        (n, rate)
        for rate, lengths in {
            4: (16, 17, 41, 100, 167, 1200),
            12.5: (500,),
            25.6: (1499,),
            31: (333,),
            50: (2000,),
            128: (3001,),
            1000: (4000,),
        }.items()
        for n in lengths
    ],
)
def test_equals_scipy_at_any_length_and_rate_with_any_number_of_lanes(
    n, sampling_rate, lanes, monkeypatch
):
    if lanes > _compiled.widest():
        pytest.skip("the processor has no AVX2")
    monkeypatch.setattr(_compiled, "widest", lambda: lanes)
    if n >= 60:  # in shorter ones rounding may stop it before its aim, and scipy tries again
        monkeypatch.setattr(module, "_decompose_python", None)
    y = simulate(n, n, sampling_rate)
    result = decompose(y, sampling_rate, solver="compiled")
    monkeypatch.undo()
    expected = decompose(y, sampling_rate, solver="scipy")
    assert result.status == "optimal"
    assert result.objective == pytest.approx(expected.objective, rel=1e-9)
    np.testing.assert_allclose(result.phasic, expected.phasic, rtol=0, atol=5e-5)
    np.testing.assert_allclose(result.tonic, expected.tonic, rtol=0, atol=5e-5)
    assert len(result.spline) == len(expected.spline)
    # Splines reach some gamma past the edges and are less sharply determined than their sum.
    np.testing.assert_allclose(result.drift, expected.drift, rtol=0, atol=1e-2)


@built
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(2, 600),
    sampling_rate=st.sampled_from([4.0, 8.0, 15.5, 32.0, 50.0, 128.0, 1000.0]),
    tau0=st.floats(0.5, 6.0),
    ratio=st.floats(1.05, 8.0),
    delta_knot=st.floats(0.3, 40.0),
    alpha=st.floats(-6, 0).map(lambda x: 10**x),
    gamma=st.floats(-5, 2).map(lambda x: 10**x),
    seed=st.integers(0, 10**6),
)
def test_equals_scipy_with_any_parameters(
    n, sampling_rate, tau0, ratio, delta_knot, alpha, gamma, seed
):
    parameters = {
        "tau0": tau0,
        "tau1": tau0 / ratio,
        "delta_knot": delta_knot,
        "alpha": alpha,
        "gamma": gamma,
    }
    y = simulate(seed, n, sampling_rate)
    if min(tau0, tau0 / ratio) * sampling_rate <= 0.5:
        return
    result = decompose(y, sampling_rate, solver="compiled", **parameters)
    expected = decompose(y, sampling_rate, solver="scipy", **parameters)
    assert result.status == "optimal"
    assert_same_answer(result, expected, y)
    assert (result.phasic >= 0).all()
    assert (result.driver >= 0).all()
    total = result.phasic + result.tonic + result.residual
    np.testing.assert_allclose(total, y, rtol=0, atol=1e-12 * max(1, np.abs(result.phasic).max()))


@built
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    scale=st.floats(-6, 6).map(lambda x: 10**x),
    offset=st.floats(-100, 100),
    slope=st.floats(-100, 100),
    seed=st.integers(0, 100),
)
def test_scale_offset_and_slope_behave_as_the_mathematics_says(scale, offset, slope, seed):
    y = simulate(seed, 300, 8.0)
    line = offset + slope * np.arange(300) / 300
    one = decompose(y, 8.0, solver="compiled")
    other = decompose(scale * (y + line), 8.0, alpha=scale * 8e-4, solver="compiled")
    np.testing.assert_allclose(other.phasic / scale, one.phasic, rtol=0, atol=1e-5)
    np.testing.assert_allclose(other.tonic / scale - line, one.tonic, rtol=0, atol=1e-5)
    assert other.objective / scale**2 == pytest.approx(one.objective, rel=1e-8)


@built
def test_its_certificate_bounds_its_error_and_has_a_twin_in_python():
    for seed in range(6):
        y = simulate(seed, 700, 16.0)
        problem = build_problem(700, 16.0, *DEFAULTS.values())
        exact = decompose(y, 16.0, solver="scipy", tol=1e-11).objective
        for tol in (1e-1, 1e-3, 1e-5, 1e-7):
            rough = call(y, 16.0, tol=tol)
            excess = (rough.objective - exact) / rough.objective
            assert -1e-11 <= excess <= rough.gap <= 10 * tol
        # Near the optimum the residual is the dual point that the kernel takes.
        theta = np.concatenate((rough.spline, rough.drift))
        objective, gap = problem.certify(
            y, 8e-4 * problem.lead, rough.driver / problem.lead, theta, rough.residual
        )
        assert rough.objective == pytest.approx(objective, rel=1e-9)
        assert rough.gap == pytest.approx(gap, rel=0.5, abs=1e-8)


@built
def test_the_certificate_does_not_change_the_answer():
    for n in (60, 900):
        y = simulate(n, n, 8.0)
        with_it = decompose(y, 8.0, solver="compiled")
        without = decompose(y, 8.0, solver="compiled", certificate=False)
        assert without.status == "optimal"
        assert 0 < without.gap <= 1e-8
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(with_it, name), getattr(without, name))


def test_scipy_without_a_certificate_gives_its_own_gap():
    y = simulate(0, 200, 4.0)
    result = decompose(y, 4.0, solver="scipy", certificate=False)
    expected = decompose(y, 4.0, solver="scipy")
    assert result.status == "optimal"
    assert 0 < result.gap <= 1e-8
    np.testing.assert_allclose(result.phasic, expected.phasic, rtol=0, atol=5e-5)


@built
@pytest.mark.parametrize("sampling_rate", [4.0, 50.0, 128.0, 1000.0])
def test_memory_is_linear_in_the_length(sampling_rate):
    shape = (sampling_rate, *DEFAULTS.values(), _compiled.widest())
    for n in (20_000, 200_000):
        assert _compiled.build_structure(n, *shape).workspace_bytes < 200 * n


@built
def test_a_long_recording_with_a_hundred_knots_equals_scipy():
    y = simulate(1, 4000, 4.0)
    result, expected = decompose(y, 4.0), decompose(y, 4.0, solver="scipy")
    assert len(result.spline) == 101
    assert_same_answer(result, expected, y)
    np.testing.assert_allclose(result.phasic, expected.phasic, rtol=0, atol=5e-5)


# ---------------------------------------------------------------- what it leaves to scipy


@built
@pytest.mark.parametrize(("n", "delta_knot"), [(15, 10.0), (100, 0.75)])
def test_short_recordings_and_dense_knots_go_to_scipy(n, delta_knot):
    build = _compiled.build_structure
    assert build(n, 4.0, 2.0, 0.7, delta_knot, 1e-2, "reference", 2) is None
    assert build(n + 1, 4.0, 2.0, 0.7, delta_knot + 0.25, 1e-2, "reference", 2) is not None
    y = simulate(0, n, 4.0)
    for solver in ("auto", "compiled"):
        assert_identical(
            decompose(y, 4.0, delta_knot=delta_knot, solver=solver),
            decompose(y, 4.0, delta_knot=delta_knot, solver="scipy"),
        )


@built
def test_missing_samples_go_to_scipy_unless_there_are_too_many(monkeypatch):
    y = simulate(0, 200, 4.0)
    y[50:60] = np.nan
    for solver in ("auto", "compiled"):
        assert_identical(
            decompose(y, 4.0, missing="mask", solver=solver),
            decompose(y, 4.0, missing="mask", solver="scipy"),
        )
    monkeypatch.setattr(module, "_DENSE_ELEMENTS", 100)
    with pytest.raises(
        DecompositionError, match=r"cannot mask samples, and 200 .* too many for scipy"
    ):
        decompose(y, 4.0, missing="mask")
    decompose(y, 4.0, missing="mask", solver="scipy")


@built
@pytest.mark.parametrize("ended", ["not definite", "gap above tol"])
def test_what_it_does_not_solve_scipy_tries_again(ended, monkeypatch):
    y = simulate(0, 200, 4.0)
    answer = call(y, 4.0)._replace(gap=1e-3)
    failure = answer if ended == "gap above tol" else _compiled.NOT_DEFINITE
    monkeypatch.setattr(_compiled, "solve", lambda *_, **__: [failure])
    assert_identical(decompose(y, 4.0), decompose(y, 4.0, solver="scipy"))
    monkeypatch.setattr(module, "_DENSE_ELEMENTS", 100)
    if ended == "not definite":
        with pytest.raises(DecompositionError, match="too many for scipy"):
            decompose(y, 4.0)


@built
@pytest.mark.parametrize(
    "y",
    [
        np.full(100, 3.7),
        np.linspace(-2, 5, 100),
        np.full(100, 5e-324),
        1e-310 * np.arange(100.0) ** 2,
        1e300 * np.sin(np.arange(100.0)),
        1e-300 * np.sin(np.arange(100.0)),
    ],
    ids=["constant", "ramp", "least double", "denormals", "huge", "tiny"],
)
def test_extreme_numbers_are_decomposed_as_by_scipy_or_refused_as_by_scipy(y):
    try:
        expected = decompose(y, 4.0, solver="scipy")
    except DecompositionError as error:
        with pytest.raises(DecompositionError) as caught:
            decompose(y, 4.0, solver="compiled")
        assert caught.value.status == error.status
        return
    result = decompose(y, 4.0, solver="compiled")
    assert result.status == expected.status
    np.testing.assert_allclose(result.tonic, expected.tonic, rtol=1e-6, atol=1e-6 * np.ptp(y))


@built
def test_denormal_numbers_are_what_they_were_after_a_call():
    call(simulate(0, 200, 4.0), 4.0)
    assert (np.array([1e-310]) * 0.5)[0] > 0


# ---------------------------------------------------------------- bit for bit


@pytest.mark.same_bits
@built
def test_bit_identical_in_any_number_of_threads_order_and_company():
    lengths = [100, 2000, 167, 100, 40, 900, 16, 7, 100, 333] * 3
    trials = [simulate(seed, n, 20.0) for seed, n in enumerate(lengths)]
    alone = [decompose(y, 20.0) for y in trials]
    for n_jobs in (1, 2, 5, -1):
        for one, other in zip(alone, decompose_many(trials, 20.0, n_jobs=n_jobs), strict=True):
            assert_identical(one, other)
    backwards = decompose_many(trials[::-1], 20.0, n_jobs=2)[::-1]
    for one, other in zip(alone, backwards, strict=True):
        assert_identical(one, other)


@pytest.mark.same_bits
@pytest.mark.parametrize("solver", ["auto", "scipy"])
def test_masked_trials_are_bit_identical_in_any_company_and_change_no_other(solver):
    trials = [simulate(seed, n, 20.0) for seed, n in enumerate([100, 400, 100, 40, 333])]
    for k in (1, 3):
        trials[k][5 * k : 20] = np.nan
    alone = [decompose(y, 20.0, missing="mask", solver=solver) for y in trials]
    assert_identical(alone[0], decompose(trials[0], 20.0, solver=solver))
    for n_jobs in (1, 2):
        together = decompose_many(trials, 20.0, n_jobs=n_jobs, missing="mask", solver=solver)
        for one, other in zip(alone, together, strict=True):
            assert_identical(one, other)
    backwards = decompose_many(trials[::-1], 20.0, missing="mask", solver=solver)[::-1]
    for one, other in zip(alone, backwards, strict=True):
        assert_identical(one, other)


@built
def test_nothing_of_the_workspace_s_past_is_in_an_answer():
    y, workspace = simulate(0, 333, 20.0), _compiled.Workspace()
    clean = call(y, 20.0)
    workspace.reserve(10_000_000)
    for rubbish in (0xFF, 0x7F):
        workspace._memory[:] = rubbish
        assert_identical(clean, call(y, 20.0, workspace=workspace))


@built
def test_answers_may_be_changed_without_changing_later_ones():
    y = simulate(0, 100, 4.0)
    first = decompose(y, 4.0)
    kept = first.tonic.copy()
    first.tonic[:] = first.spline[:] = np.nan
    np.testing.assert_array_equal(decompose(y, 4.0).tonic, kept)


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("solver", ["auto", "scipy"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_counts_to_the_number_of_trials_in_the_calling_thread(solver, n_jobs):
    seen = []

    def progress(n_done, n_total):
        seen.append((n_done, n_total, threading.current_thread()))

    decompose_many(np.zeros((5, 20)), 4.0, n_jobs=n_jobs, solver=solver, progress=progress)
    assert seen == [(k, 5, threading.main_thread()) for k in range(1, 6)]
    with pytest.raises(ValueError, match="progress must be callable or None, got 3"):
        decompose_many([], 4.0, progress=3)


@pytest.mark.parametrize("solver", ["auto", "scipy"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_failures_are_nan_with_one_warning_or_the_first_one_is_raised(solver, n_jobs):
    good, bad = np.arange(50.0), simulate(0, 50, 4.0)
    trials = [good, bad, good, bad, good]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = decompose_many(
            trials, 4.0, max_iter=2, solver=solver, n_jobs=n_jobs, on_failure="nan"
        )
    (warning,) = (w for w in caught if issubclass(w.category, DecompositionWarning))
    assert str(warning.message) == "2 of 5 trials could not be decomposed and are NaN: rows 1, 3."
    assert warning.filename == __file__
    assert [r.status for r in results] == ["optimal", "failed", "optimal", "failed", "optimal"]
    for name in ARRAYS:
        assert getattr(results[1], name).shape == getattr(results[0], name).shape
        assert np.isnan(getattr(results[1], name)).all()
    assert np.isnan(results[1].gap)
    assert np.isnan(results[1].objective)
    with pytest.raises(DecompositionError, match=r"row 1: .*did not converge"):
        decompose_many(trials, 4.0, max_iter=2, solver=solver, n_jobs=n_jobs)


def test_one_failure_by_choice_is_nan_or_raised_and_bad_input_always_raised():
    y = simulate(0, 50, 4.0)
    assert decompose(y, 4.0, max_iter=2, on_failure="nan").status == "failed"
    with pytest.raises(DecompositionError):
        decompose(y, 4.0, max_iter=2)
    y[3] = np.nan
    with pytest.raises(ValueError, match="1 NaN"):
        decompose(y, 4.0, on_failure="nan")
    with pytest.raises(ValueError, match=r"^on_failure must be one of"):
        decompose(y, 4.0, on_failure="ignore")
    with pytest.raises(ValueError, match=r"^certificate must be one of"):
        decompose(y, 4.0, certificate="yes")


@built
def test_the_lowest_of_several_bad_rows_is_named_by_threads():
    broken = np.full(50, np.nan)
    for _ in range(20):
        with pytest.raises(ValueError, match="trial in row 2: "):
            decompose_many(
                [simulate(0, 2000, 50.0), np.zeros(50), broken, broken, broken], 50.0, n_jobs=4
            )


@built
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_what_progress_raises_ends_the_batch_and_its_threads(n_jobs):
    def progress(n_done, n_total):
        if n_done == 3:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        decompose_many(np.zeros((1000, 50)), 4.0, n_jobs=n_jobs, progress=progress)
    assert threading.active_count() == before


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
from edaemo.decomposition import decompose_many

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs otherwise
trial = np.random.default_rng(0).normal(size=400_000).cumsum()
trials, began = [trial / trial.std()] * 500, threading.Event()

def interrupt():
    began.wait()
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

killer = threading.Thread(target=interrupt)
killer.start()
count = []
def progress(n_done, n_total):
    count.append(n_done)
    began.set()
try:
    decompose_many(trials, 128.0, n_jobs=int(sys.argv[1]), progress=progress)
except KeyboardInterrupt:
    killer.join()
    print("interrupted", len(count), threading.active_count())
"""


@built
@pytest.mark.skipif(os.name == "nt", reason="SIGINT comes otherwise there")
@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_ctrl_c_ends_a_long_batch_and_leaves_no_thread(n_jobs):
    assert signal.getsignal(signal.SIGINT) is not None
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, n_jobs], capture_output=True, text=True, timeout=100
    )
    word, count, threads = done.stdout.split()
    assert (word, threads) == ("interrupted", "1"), done.stderr
    assert int(count) < 100


@built
def test_the_kernel_stops_when_asked_to():
    with pytest.raises(_compiled.Stopped):
        call(simulate(0, 2000, 50.0), 50.0, stop=1)


@built
def test_the_kernel_uses_the_wide_registers_where_the_system_lists_them():
    try:
        cpu = Path("/proc/cpuinfo").read_text()
    except OSError:
        pytest.skip("only Linux lists the instructions of the processor in a file")
    flags = re.search(r"^(flags|Features)\s*: (.*)$", cpu, re.MULTILINE)[2].split()
    assert _compiled.kernel_facts()["avx2"] == ({"avx2", "fma"} <= set(flags))


# ---------------------------------------------------------------- without the kernel


@pytest.fixture
def fresh_load():
    _compiled.load.cache_clear()
    yield
    _compiled.load.cache_clear()


def test_a_missing_kernel_is_said_once_and_is_an_error_only_by_name(
    fresh_load, monkeypatch, caplog
):
    monkeypatch.setattr(_compiled, "find_spec", lambda _: None)
    y = simulate(0, 100, 4.0)
    with caplog.at_level(logging.WARNING, logger="edaemo"):
        for _ in range(3):
            assert_identical(decompose(y, 4.0), decompose(y, 4.0, solver="scipy"))
        with pytest.raises(ImportError, match="solver='compiled' needs the compiled kernel"):
            decompose(y, 4.0, solver="compiled")
        with pytest.raises(ImportError, match=r"C\+\+ compiler"):
            decompose_many([y], 4.0, solver="compiled")
    (record,) = caplog.records
    assert "the compiled kernel is missing" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("problem", ["another version of the sources", "cannot be loaded"])
def test_a_kernel_that_does_not_fit_is_as_good_as_missing(
    problem, fresh_load, monkeypatch, caplog, tmp_path
):
    if problem == "another version of the sources":
        if importlib.util.find_spec("edaemo.decomposition._kernel") is None:
            pytest.skip("the compiled kernel was not built")
        monkeypatch.setattr(_compiled, "ABI", -1)
    else:
        (tmp_path / "broken.so").write_bytes(b"no library")
        spec = importlib.util.spec_from_loader("broken", None, origin=str(tmp_path / "broken.so"))
        monkeypatch.setattr(_compiled, "find_spec", lambda _: spec)
    with caplog.at_level(logging.WARNING, logger="edaemo"):
        assert decompose(simulate(0, 100, 4.0), 4.0).status == "optimal"
    assert problem in caplog.text


def test_without_a_compiler_the_build_succeeds_and_says_so_in_one_line(tmp_path):
    pytest.importorskip("setuptools")
    if not (ROOT / "setup.py").exists():
        pytest.skip("no sources here")
    nowhere = str(tmp_path / "no-compiler")
    where = ["--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp")]
    built = subprocess.run(
        [sys.executable, "setup.py", "build_ext", *where],
        cwd=ROOT,
        env={**os.environ, "CC": nowhere, "CXX": nowhere},
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in (built.stdout + built.stderr).splitlines() if "edaemo:" in line]
    assert len(said) == 1
    assert "the compiled kernel is left out" in said[0]
    assert not list(tmp_path.rglob("_kernel*.so"))


# ---------------------------------------------------------------- nasty input


@built
@pytest.mark.parametrize("weights", ["noise", "published"])
def test_three_hundred_nasty_inputs_end_with_a_certificate_or_a_clear_error(weights, monkeypatch):
    path = ROOT / "benchmarks" / "nasty_decompositions.py"
    spec = importlib.util.spec_from_file_location("nasty_decompositions", path)
    nasty = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, nasty)
    spec.loader.exec_module(nasty)
    verdicts = [nasty.judge(nasty.generate(seed, weights)) for seed in range(300)]
    outcomes = [v.outcome for v in verdicts]
    assert set(outcomes) <= {"certified", "inaccurate", "error"}, outcomes
    assert outcomes.count("certified") >= 295
