"""cvxEDA's public functions: scaling, the solvers, and the verdict on an answer."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike

from edaemo.decomposition import _batch, _compiled, _cvxopt, _interior_point
from edaemo.decomposition._interior_point import Solution
from edaemo.decomposition._problem import (
    Problem,
    build_problem,
    knot_step,
    place_knots,
)
from edaemo.decomposition._result import (
    Decomposition,
    DecompositionError,
    DecompositionWarning,
)
from edaemo.decomposition._settings import CvxEDASettings, Run, prepare_run

# Solvers aim at this part of `tol`. An iteration or two more are cheap, and needed: near the
# optimum the split into phasic and tonic moves with the square root of the gap, and the objective
# hardly notices. On the 956 windows of HKU956 (25 s at 4 Hz) the phasic component is up to 0.0075
# standard deviations off at a gap of 1e-8, 0.00016 at 1e-10, 0.00001 at 1e-11.
AIM = 1e-3

# How far steps of scipy may move where samples are missing, in the order of trying. The first takes
# some two iterations more than without missing samples; it is too little where next to no penalty
# lets the phasic component climb, and the others too much for rounding at 1,000 Hz.
SLACKS = (1e5, 1e8, 1e12)

# Beyond this certified gap a result is no answer any more, and an error takes its place.
LOOSEST_GAP = 1e-4

# What the compiled kernel does not solve, scipy does if its dense design has no more elements than
# this (800 MB, and as much again for each of some copies).
_DENSE_ELEMENTS = 100_000_000

# Sums of larger samples could overflow, and smaller deviations from a line count as none.
LARGEST, LEAST = 1e300, 1e-290

# Constant and ramp are told apart from two samples on; a free initial state takes four more.
MIN_SAMPLES = {"reference": 2, "neurokit": 6}


def decompose(
    y: ArrayLike,
    sampling_rate: float,
    *,
    tau0: float = 2.0,
    tau1: float = 0.7,
    delta_knot: float = 10.0,
    alpha: float = 8e-4,
    gamma: float = 1e-2,
    variant: str = "reference",
    solver: str = "auto",
    tol: float = 1e-8,
    max_iter: int = 100,
    certificate: bool = True,
    on_failure: str = "raise",
    missing: str = "raise",
) -> Decomposition:
    """Take a recording of electrodermal activity apart by cvxEDA.

    Finds the driver p ≥ 0, the spline coefficients l and the drift d that minimise

        ½‖y - A⁻¹M p - B l - C d‖² + alpha Σp + ½ gamma ‖l‖²

    (Greco et al. 2016 [1]_; the filter starts at rest, and the last knot is kept when it lies up to
    half a knot distance behind the recording). The problem is convex: there is one answer, and any
    solver that converges finds it.

    `alpha` and `gamma` are not scale free. Multiplying y by a number changes the answer unless
    alpha is multiplied by the same number, and the defaults are meant for a z-scored recording;
    in microsiemens they would penalise a person with small responses more than one with large
    ones. This is why `CvxEDATransformer` z-scores each trial first; this function takes y as it is.

    Parameters
    ----------
    y : array-like of shape (n,)
        The recording: two or more finite real numbers, of any float or integer dtype and any unit;
        see `missing` for NaN, infinite and masked ones.
    sampling_rate : float
        Samples per second (Hz).
    tau0, tau1 : float
        Time constants of the Bateman function in seconds, in either order, not equal, each more
        than half a sample long.
    delta_knot : float
        Distance of the knots of the tonic spline in seconds, at least one sample.
    alpha : float
        Penalty on the driver: larger is sparser.
    gamma : float
        Penalty on the tonic spline: larger is smoother.
    variant : {"reference", "neurokit"}
        Which of two problems that both go by the name of cvxEDA. ``"reference"`` is that of the
        authors' code of 2025: the filter is at rest before the first sample (p₋₁ = p₋₂ = 0), so the
        phasic component is never negative. ``"neurokit"`` is that of NeuroKit, and of the authors'
        code before: A and M (equations 11 and 12 of [1]_) lack their first two rows. There is no
        phasic component in the first two samples, and from the third on a free combination of
        exp(-t/tau0) and exp(-t/tau1), without a penalty and of either sign, is added to it; and the
        last knot lies in the recording. It takes six or more samples.
    solver : {"auto", "compiled", "scipy", "cvxopt"}
        ``"scipy"`` is an interior point method written for this problem. ``"compiled"`` is the same
        method in C++, many times faster. ``"auto"`` is ``"compiled"`` where it was built and
        ``"scipy"`` elsewhere. ``"cvxopt"`` hands the plain quadratic program to cvxopt (``pip
        install edaemo[cvxopt]``), which is slower and less accurate, but independent.

        ``"compiled"`` leaves to scipy what has fewer than 16 samples or knots less than 4 samples
        apart, ``variant="neurokit"``, missing samples, and what it does not solve to `tol`.
    tol : float
        Relative duality gap to accept. The solver aims at a thousandth of it, because the split
        into phasic and tonic is less sharply determined than the objective.
    max_iter : int
        Iterations to spend at most, in each of up to three attempts where samples are missing.
    certificate : bool
        Whether `gap` is computed afresh from the result. The answer is the same without, unless a
        solver was wrong about its own gap.
    on_failure : {"raise", "nan"}
        Whether a recording that no solver takes apart is an error or a `Decomposition` of NaN, with
        status ``"failed"``. A bad input is always an error.
    missing : {"raise", "mask"}
        What becomes of samples that are NaN, infinite or masked (``numpy.ma``): an error, or they
        have no weight. Then the residual in the objective is that of the other samples alone, of
        which there must be two; what stands in place of the missing ones has no influence. In long
        gaps tonic goes back to the drift and phasic to zero: there the components are a guess. Not
        with ``variant="neurokit"``, whose free initial state nothing would hold.

    Returns
    -------
    Decomposition
        Its `status` is ``"optimal"`` if the certified `gap` is at most `tol`. If `tol` is out of
        reach (iterations spent, or rounding in the way), the best iterate found is returned with
        status ``"inaccurate"``, provided that its gap is at most 1e-4; anything worse is a failure.
        A gap of g bounds the error: the sum of squares of the error of phasic + tonic is at most
        2 g times the objective.

    Raises
    ------
    ValueError
        If y has another shape, too few samples, or missing ones that may not be, or a parameter is
        out of its range.
    ImportError
        If ``solver="cvxopt"`` and cvxopt is not installed, or ``solver="compiled"`` and the kernel
        was not built.
    DecompositionError
        If no iterate has a certified gap of at most 1e-4 (or `tol`, if that is larger).

    Notes
    -----
    The least-squares line of y is taken off before and added to the tonic component afterwards,
    and y is scaled; both leave the problem the same. A recording that is a line to rounding (1e-11
    of its largest value, or 1e-290) has that line as its tonic component and no phasic one.

    The compiled solver's time and memory grow in proportion to the number of samples: a fraction of
    a millisecond for a trial, some 160 bytes a sample beside input and output. Those of scipy grow,
    in long recordings, with the number of knots as well.

    References
    ----------
    .. [1] A. Greco, G. Valenza, A. Lanata, E. P. Scilingo, L. Citi, "cvxEDA: A Convex Optimization
       Approach to Electrodermal Activity Processing", IEEE Transactions on Biomedical Engineering
       63(4), 2016.
    """
    run = prepare_run(
        CvxEDASettings(
            tau0, tau1, delta_knot, alpha, gamma, variant, solver, tol, max_iter, certificate
        ),
        sampling_rate,
        on_failure=on_failure,
        missing=missing,
    )
    return solve(y, run)


def decompose_many(
    trials: Iterable[ArrayLike],
    sampling_rate: float,
    *,
    n_jobs: int | None = None,
    tau0: float = 2.0,
    tau1: float = 0.7,
    delta_knot: float = 10.0,
    alpha: float = 8e-4,
    gamma: float = 1e-2,
    variant: str = "reference",
    solver: str = "auto",
    tol: float = 1e-8,
    max_iter: int = 100,
    certificate: bool = True,
    on_failure: str = "raise",
    missing: str = "raise",
    progress: Callable[[int, int], object] | None = None,
) -> list[Decomposition]:
    """Decompose each of several recordings of one sampling rate; see `decompose`.

    Parameters
    ----------
    trials : iterable of array-like
        The recordings, of any lengths; the rows of a two-dimensional array are recordings too.
    sampling_rate : float
        Samples per second (Hz), of all recordings.
    n_jobs : int or None
        How many work side by side, as in joblib: None is 1, -1 is one for each core. They are
        threads for the compiled solver and processes for the others. The answers do not depend on
        it, nor on the order or the company of the trials (beyond some 60 knots, the last bits of
        scipy's and cvxopt's do, by the threads of BLAS).
    tau0, tau1, delta_knot, alpha, gamma, variant, solver, tol, max_iter, certificate
        As in `decompose`.
    on_failure : {"raise", "nan"}
        As in `decompose`; with ``"nan"``, one warning names all the rows that failed.
    missing : {"raise", "mask"}
        As in `decompose`, in each trial by itself.
    progress : callable or None
        Called as ``progress(n_done, n_total)`` in the calling thread for each trial that is done.

    Returns
    -------
    list of Decomposition
        In the order of `trials`.

    Raises
    ------
    ValueError, ImportError, DecompositionError
        As in `decompose`; what is wrong with one trial is said with its row, the first one where
        there are several.

    Warns
    -----
    DecompositionWarning
        If trials failed and ``on_failure="nan"``.
    """
    run = prepare_run(
        CvxEDASettings(
            tau0, tau1, delta_knot, alpha, gamma, variant, solver, tol, max_iter, certificate
        ),
        sampling_rate,
        on_failure=on_failure,
        missing=missing,
    )
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be callable or None, got {progress!r}.")
    results = solve_many(trials, run, n_jobs=n_jobs, progress=progress)
    failed = [row for row, result in enumerate(results) if result.status == "failed"]
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(results)} trials could not be decomposed and are NaN: rows "
            f"{', '.join(map(str, failed))}.",
            DecompositionWarning,
            stacklevel=2,
        )
    return results


def solve(y: ArrayLike, run: Run) -> Decomposition:
    """Decompose one recording; see `decompose`."""
    return next(_decompose_all([_check_recording(y, run)], run))


def solve_many(
    trials: Iterable[ArrayLike],
    run: Run,
    *,
    n_jobs: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Decomposition]:
    """Decompose each of several recordings; see `decompose_many`. It warns of nothing."""
    trials, workers = list(trials), effective_n_jobs(n_jobs)
    side_by_side = _batch.in_threads if run.settings.solver == "compiled" else _batch.in_processes
    return side_by_side(_Rows(run), trials, max(1, min(workers, len(trials))), progress)


@dataclass(frozen=True)
class _Rows:
    """Decomposes some trials, and says which row is at fault; what goes to worker processes."""

    run: Run

    def __call__(
        self,
        begin: int,
        trials: Sequence[ArrayLike],
        workspace: _compiled.Workspace | None = None,
        stop: ctypes.c_int32 | None = None,
    ) -> list[Decomposition]:
        checked, results, refused = [], [], None
        for row, y in enumerate(trials, begin):
            try:
                checked.append(_check_recording(y, self.run))
            except ValueError as error:
                # Only after those before it: the first row at fault is the one to name.
                refused = ValueError(f"trial in row {row}: {error}")
                break
        try:
            for result in _decompose_all(checked, self.run, workspace, stop):
                results.append(result)  # their number says which one failed
        except DecompositionError as error:
            message = f"trial in row {begin + len(results)}: {error}"
            raise DecompositionError(message, error.status, error.gap) from error
        if refused is not None:
            raise refused
        return results


def _decompose_all(
    recordings: list[np.ndarray],
    run: Run,
    workspace: _compiled.Workspace | None = None,
    stop: ctypes.c_int32 | None = None,
) -> Iterator[Decomposition]:
    """Yield the decomposition of each checked recording."""
    answers: list[_compiled.Answer | int | None] = [None] * len(recordings)
    if run.settings.solver == "compiled":
        answers = _run_kernel(
            recordings,
            run,
            _compiled.Workspace() if workspace is None else workspace,
            ctypes.c_int32(0) if stop is None else stop,
        )
    for y, answer in zip(recordings, answers, strict=True):
        try:
            if isinstance(answer, _compiled.Answer) and answer.gap <= run.settings.tol:
                yield Decomposition(*answer, "optimal")
            else:
                yield _decompose_python(y, run, tried=answer not in (None, _compiled.LINE))
        except DecompositionError:
            if run.on_failure == "raise":
                raise
            n = len(y)
            sizes = (n, n, n, n, _count_knots(n, run), 2)
            phasic, tonic, driver, residual, spline, drift = (
                np.full(size, np.nan) for size in sizes
            )
            yield Decomposition(
                *(phasic, tonic, driver, residual, spline, drift), np.nan, np.nan, 0, "failed"
            )


def _run_kernel(
    recordings: list[np.ndarray],
    run: Run,
    workspace: _compiled.Workspace,
    stop: ctypes.c_int32,
) -> list[_compiled.Answer | int | None]:
    """Return None for what the kernel does not take, else its answer or why there is none."""
    lanes = _compiled.widest()
    structures = [
        None if np.isnan(y).any() else _compiled.build_structure(len(y), *run.shape, lanes)
        for y in recordings
    ]
    taken = {i: structure for i, structure in enumerate(structures) if structure is not None}
    answers: list[_compiled.Answer | int | None] = [None] * len(recordings)
    if taken:
        found = _compiled.solve(
            [*taken.values()],
            [recordings[i] for i in taken],
            run.settings.alpha,
            tol=AIM * run.settings.tol,
            max_iter=run.settings.max_iter,
            certificate=run.settings.certificate,
            workspace=workspace,
            stop=stop,
        )
        for i, answer in zip(taken, found, strict=True):
            answers[i] = answer
    return answers


def _decompose_python(y: np.ndarray, run: Run, *, tried: bool) -> Decomposition:
    """Decompose by scipy or cvxopt; `tried` if the compiled kernel has failed on it."""
    knots = _count_knots(len(y), run)
    missing = np.isnan(y)
    line, drift = _fit_line(y, ~missing)
    around_line = np.where(missing, 0.0, y - line)
    peak = np.abs(around_line).max()
    if peak <= max(1e-11 * np.abs(y[~missing]).max(), LEAST):
        zero = np.zeros(len(y))
        objective = float(0.5 * (around_line * around_line).sum())
        spline = np.zeros(knots)
        return Decomposition(
            zero, line, zero.copy(), y - line, spline, drift, objective, 0.0, 0, "optimal"
        )

    masked = bool(missing.any())
    handed_over = tried or (masked and run.settings.solver == "compiled")
    if handed_over and len(y) * (knots + 2) > _DENSE_ELEMENTS:
        why = f"the compiled solver {'did not converge' if tried else 'masks no samples'}"
        raise DecompositionError(
            f"cvxEDA has no answer: {why}, and {len(y)} samples with {knots} knots are too many "
            "for scipy. Cut the recording into pieces, look at it for steps and at its scale (is "
            "it z-scored?), or interpolate what is missing.",
            why,
            np.inf,
        )
    problem = build_problem(len(y), *run.shape)
    # The peak first: squares of extreme values would leave the range of a float.
    scale = float(peak * (around_line[~missing] / peak).std())
    found = _solve_python(problem, around_line / scale, scale, missing, run)
    accepted = max(run.settings.tol, LOOSEST_GAP)
    if not found.gap <= accepted:
        raise DecompositionError(
            f"cvxEDA did not converge: {found.ended}, and the certified relative gap is "
            f"{found.gap:.1e}, above {accepted:.1e}. Look at the recording for steps "
            "and at its scale (is it z-scored?), or raise max_iter.",
            found.ended,
            found.gap,
        )
    phasic, tonic = problem.split(found.driver, found.theta)
    phasic, tonic, theta = scale * phasic, line + scale * tonic, scale * found.theta
    found.driver[: problem.head] = 0
    return Decomposition(
        phasic=phasic,
        tonic=tonic,
        driver=found.driver * (scale * problem.lead),
        residual=y - phasic - tonic,
        spline=theta[:knots],
        drift=drift + theta[knots : knots + 2],
        objective=found.objective * scale**2,
        gap=found.gap,
        n_iter=found.n_iter,
        status="optimal" if found.gap <= run.settings.tol else "inaccurate",
    )


def _solve_python(
    problem: Problem, y: np.ndarray, scale: float, missing: np.ndarray, run: Run
) -> Solution:
    """Solve for a recording that was divided by `scale`, by scipy or cvxopt."""
    solve = _cvxopt.solve if run.settings.solver == "cvxopt" else _interior_point.solve

    def attempt(problem: Problem) -> Solution:
        return solve(
            problem,
            y,
            run.settings.alpha * problem.lead / scale,
            AIM * run.settings.tol,
            run.settings.max_iter,
            run.settings.certificate,
        )

    if not missing.any():
        return attempt(problem)
    attempts = []
    for slack in SLACKS:
        attempts.append(attempt(problem.mask(missing, slack)))
        if attempts[-1].gap <= run.settings.tol or run.settings.solver == "cvxopt":
            break
    return min(attempts, key=lambda found: found.gap)


def _count_knots(n: int, run: Run) -> int:
    step = knot_step(run.settings.delta_knot, run.sampling_rate)
    return len(place_knots(n, step, run.settings.variant))


def _check_recording(y: ArrayLike, run: Run) -> np.ndarray:
    """Return the recording as a contiguous float64 array, NaN where it is missing."""
    mask, y = np.ma.getmask(y), np.asarray(y)
    if y.ndim != 1:
        raise ValueError(
            f"y must be one recording, a 1-D array, got shape {y.shape}; decompose_many takes "
            "several."
        )
    if y.dtype.kind not in "iuf":
        raise ValueError(f"y must hold real numbers, got dtype {y.dtype}.")
    least = MIN_SAMPLES[run.settings.variant]
    if len(y) < least:
        raise ValueError(f"y must have at least {least} samples, got {len(y)}.")
    y = np.ascontiguousarray(y, dtype=np.float64)
    if mask.any():
        y = np.where(mask, np.nan, y)
    peak = np.abs(y).max()
    if peak <= LARGEST:
        return y
    bad = ~np.isfinite(y)
    n_bad = int(bad.sum())
    if n_bad and run.missing == "raise":
        raise ValueError(
            f"y has {n_bad} NaN, infinite or masked samples of {len(y)}, the first at index "
            f"{int(np.argmax(bad))}. Interpolate short gaps, give them no weight by "
            "missing='mask', or cut or drop the trial."
        )
    if len(y) - n_bad < least:
        raise ValueError(
            f"y must have at least {least} samples that are not missing, got {len(y) - n_bad} of "
            f"{len(y)}."
        )
    peak = np.abs(y[~bad]).max()
    if peak <= LARGEST:
        return np.where(bad, np.nan, y)
    raise ValueError(
        f"y has samples up to {peak:.0e}, and sums of more than {LARGEST:.0e} are out of the range "
        "of a float: give it in another unit."
    )


def _fit_line(y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the line of least squares and its coefficients of 1 and of the ramp (i + 1)/n."""
    ramp = np.arange(1.0, len(y) + 1) / len(y)
    y, middle = y[seen], ramp[seen].mean()
    mean, centred = y.mean(), ramp[seen] - middle
    slope = (centred * (y - mean)).sum() / (centred * centred).sum()
    return mean + slope * (ramp - middle), np.array([mean - slope * middle, slope])
