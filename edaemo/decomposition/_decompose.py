"""Public functions of cvxEDA: scaling, choice of solver, and acceptance of its result."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike

from edaemo.decomposition import _batch, _compiled, _cvxopt, _interior_point
from edaemo.decomposition._context import leave_out_context, trim_context
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
from edaemo.decomposition._weights import Weights

# Solvers aim at this share of `tol`. This costs one or two more iterations and is needed: near the
# optimum, the error of the split into phasic and tonic grows with the square root of the gap, while
# the objective hardly changes. On the 956 windows of HKU956 (25 s at 4 Hz) the largest error of the
# phasic component is 0.0075 standard deviations at a gap of 1e-8, 0.00016 at 1e-10, 0.00001 at
# 1e-11.
AIM = 1e-3

# Slack of steps of scipy at missing samples, in the order of attempts. The first needs about two
# iterations more than without missing samples. It is too small if a tiny penalty lets the phasic
# component grow large; the others are too large for the rounding at 1,000 Hz.
SLACKS = (1e5, 1e8, 1e12)

# Results with a larger certified gap are not acceptable and raise an error.
LOOSEST_GAP = 1e-4

# scipy solves problems that the compiled kernel cannot solve, unless the dense design has more
# elements than this (800 MB, and the same again for each of several copies).
_DENSE_ELEMENTS = 100_000_000

# Sums of larger samples could overflow; smaller deviations from a line count as zero.
LARGEST, LEAST = 1e300, 1e-290

# The tonic component counts as negative below this share of the largest sample.
BELOW = 1e-9

# Two samples determine constant and ramp; a free initial state needs four more.
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
    weights: str | Weights = "noise",
    context: float = 0.0,
    on_failure: str = "raise",
    missing: str = "raise",
) -> Decomposition:
    """Decompose a recording of electrodermal activity by cvxEDA.

    cvxEDA finds the driver p ≥ 0, the spline coefficients l and the drift d that minimise

        ½‖y - A⁻¹M p - B l - C d‖² + alpha Σp + ½ gamma ‖l‖²

    (Greco et al. 2016 [1]_). The filter starts at rest, and the last knot is at most half a knot
    distance after the end of the recording. The problem is convex with a unique solution: any
    solver that converges finds it.

    By default the penalties follow the noise of the recording (`weights`), the objective has two
    more terms, and the tonic component is not negative if no sample of y is, as in µS. With
    ``weights="published"`` the problem is as above. `alpha` and `gamma` are not scale
    free: multiplying y by a number changes the solution unless alpha is multiplied by the same
    number. Their defaults are meant for a z-scored recording; this function does not z-score y.

    Parameters
    ----------
    y : array-like of shape (n,)
        The recording: two or more finite real numbers, of any float or integer dtype and any unit;
        `missing` describes the treatment of NaN, infinite and masked samples.
    sampling_rate : float
        Samples per second (Hz).
    tau0, tau1 : float
        Time constants of the Bateman function in seconds, in either order, not equal, each longer
        than half a sample.
    delta_knot : float
        Distance of the knots of the tonic spline in seconds, at least one sample.
    alpha : float
        Penalty on the driver: a larger value makes it sparser.
    gamma : float
        Penalty on the tonic spline: a larger value makes it smoother.
    variant : {"reference", "neurokit"}
        One of two problems that are both called cvxEDA. ``"reference"`` is the problem of the
        authors' code of 2025: the filter is at rest before the first sample (p₋₁ = p₋₂ = 0), so the
        phasic component is never negative. ``"neurokit"`` is the problem of NeuroKit and of the
        authors' earlier code: A and M (equations 11 and 12 of [1]_) lack their first two rows. The
        phasic component is zero in the first two samples. From the third sample on, a free
        combination of exp(-t/tau0) and exp(-t/tau1), without penalty and of either sign, is added
        to it. The last knot is within the recording. It needs at least six samples.
    solver : {"auto", "compiled", "scipy", "cvxopt"}
        ``"scipy"`` is an interior point method written for this problem. ``"compiled"`` is the same
        method in C++, many times faster. ``"auto"`` is ``"compiled"`` if the kernel was built,
        otherwise ``"scipy"``. ``"cvxopt"`` passes the quadratic program to cvxopt (``pip install
        edaemo[cvxopt]``), which is slower and less accurate, but independent.

        ``"compiled"`` uses scipy for recordings with fewer than 16 samples, for knots less than 4
        samples apart, for ``variant="neurokit"``, for missing samples, for recordings whose tonic
        component would be negative, and for problems that the kernel does not solve to `tol`.
    tol : float
        Largest acceptable relative duality gap. The solver aims at a thousandth of it, because the
        split into phasic and tonic is less well determined than the objective.
    max_iter : int
        Maximum number of iterations, in each of up to three attempts if samples are missing.
    certificate : bool
        Whether `gap` is computed independently from the result. Without it the solution is the
        same, unless a solver computed a wrong gap.
    weights : {"noise", "published"} or Weights, default="noise"
        ``"noise"``: penalties that follow the noise of the recording (:func:`noise_weights`), so
        that the driver does not depend on the unit of y, except for its own unit.
        ``"published"``: the objective above, with `alpha` and `gamma`. A `Weights` object: its
        numbers, in the unit of y. "noise" and `Weights` have a price for the initial state and a
        penalty on the slope of the drift (see `Weights`); `alpha` and `gamma` must then have their
        defaults, and `variant` must be "reference".
    context : float, default=0
        Seconds at the beginning of y that are decomposed and then left out of the result, so that
        responses before the trial are part of the model. `phasic`, `tonic`, `driver` and `residual`
        begin after the context. All other attributes describe y with its context. Missing samples
        at the beginning of the context are left out, so that it is shorter.
    on_failure : {"raise", "nan"}
        Treatment of a recording that no solver can decompose: an error, or a `Decomposition` of NaN
        with status ``"failed"``. Invalid input always raises an error.
    missing : {"raise", "mask"}
        Treatment of samples that are NaN, infinite or masked (``numpy.ma``). "raise": an error.
        "mask": they have no weight. The objective then uses the residual of the other samples only,
        at least two of which are needed; the values of missing samples have no influence. In long
        gaps tonic returns to the drift and phasic to zero: the components are a guess there.
        "mask" cannot be combined with ``variant="neurokit"``, whose free initial state would be
        undetermined.

    Returns
    -------
    Decomposition
        Its `status` is ``"optimal"`` if the certified `gap` is at most `tol`. If `tol` cannot be
        reached (within `max_iter`, or because of rounding), the best iterate is returned with
        status ``"inaccurate"``, provided that its gap is at most 1e-4; a larger gap is a failure.
        A gap of g bounds the error: the sum of squares of the error of phasic + tonic is at most
        2 g times the objective.

    Raises
    ------
    ValueError
        If y has another shape or too few samples, has missing samples and `missing` is "raise", or
        a parameter is out of its range.
    ImportError
        If ``solver="cvxopt"`` and cvxopt is not installed, or ``solver="compiled"`` and the kernel
        was not built.
    DecompositionError
        If no iterate has a certified gap of at most 1e-4 (or `tol`, if that is larger).

    See Also
    --------
    decompose_many : Several recordings at once, in parallel.
    scr_events : Onset, peak and amplitude of each response.
    edaemo.preprocessing.EDADecomposer : The same as a step of a pipeline, with other methods too.
    edaemo.inspection.plot_decomposition : A picture of the result.

    Notes
    -----
    The least-squares line of y is subtracted first and added to the tonic component afterwards, and
    y is scaled; neither changes the problem. If a recording is a line up to rounding (1e-11 of its
    largest value, or 1e-290), the tonic component is that line and the phasic component is zero.

    Time and memory of the compiled solver are proportional to the number of samples: a fraction of
    a millisecond per trial, and about 160 bytes per sample in addition to input and output. For
    scipy they also grow with the number of knots in long recordings.

    References
    ----------
    .. [1] A. Greco, G. Valenza, A. Lanata, E. P. Scilingo, L. Citi, "cvxEDA: A Convex Optimization
       Approach to Electrodermal Activity Processing", IEEE Transactions on Biomedical Engineering
       63(4), 2016.

    Examples
    --------
    >>> from edaemo.decomposition import decompose, scr_events
    >>> time = np.arange(0, 40, 0.25)  # 40 s at 4 Hz
    >>> after = np.clip(time - 10, 0, None)
    >>> response = 0.5 * (np.exp(-after / 2) - np.exp(-after / 0.7))
    >>> parts = decompose(2 + response, sampling_rate=4)
    >>> bool(np.allclose(parts.phasic + parts.tonic + parts.residual, 2 + response))
    True
    >>> scr_events(parts.phasic, sampling_rate=4)["onset"].round(1).to_list()
    [9.8]
    """
    run = prepare_run(
        CvxEDASettings(
            tau0,
            tau1,
            delta_knot,
            alpha,
            gamma,
            variant,
            solver,
            tol,
            max_iter,
            certificate,
            weights,
        ),
        sampling_rate,
        on_failure=on_failure,
        missing=missing,
        context=context,
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
    weights: str | Weights = "noise",
    context: float = 0.0,
    on_failure: str = "raise",
    missing: str = "raise",
    progress: Callable[[int, int], object] | None = None,
) -> list[Decomposition]:
    """Decompose several recordings with the same sampling rate; see `decompose`.

    Parameters
    ----------
    trials : iterable of array-like
        The recordings, of any lengths; the rows of a two-dimensional array are recordings too.
    sampling_rate : float
        Samples per second (Hz), of all recordings.
    n_jobs : int or None
        Number of workers, as in joblib: None is 1, -1 is the number of cores. Workers are threads
        for the compiled solver and processes for the others. Results depend neither on it nor on
        the order of the trials nor on the other trials. Exception: above about 60 knots, the last
        bits of scipy's and cvxopt's results depend on the number of BLAS threads.
    tau0, tau1, delta_knot, alpha, gamma : float
        As in `decompose`.
    variant, solver : str
        As in `decompose`.
    tol : float
        As in `decompose`.
    max_iter : int
        As in `decompose`.
    certificate : bool
        As in `decompose`.
    weights : {"noise", "published"} or Weights
        As in `decompose`.
    context : float, default=0
        As in `decompose`, for each trial.
    on_failure : {"raise", "nan"}
        As in `decompose`; with ``"nan"``, one warning names all rows that failed.
    missing : {"raise", "mask"}
        As in `decompose`, for each trial independently.
    progress : callable or None
        Called as ``progress(n_done, n_total)`` in the calling thread after each trial.

    Returns
    -------
    list of Decomposition
        In the order of `trials`.

    Raises
    ------
    ValueError, ImportError, DecompositionError
        As in `decompose`; an error about a trial names its row, the first row if several fail.

    Warns
    -----
    DecompositionWarning
        If trials failed and ``on_failure="nan"``.

    See Also
    --------
    decompose : One recording; describes the parameters.

    Examples
    --------
    >>> from edaemo.decomposition import decompose_many
    >>> rng = np.random.default_rng(0)
    >>> trials = [2 + 0.01 * rng.standard_normal(n).cumsum() for n in (100, 80)]
    >>> [parts.phasic.shape for parts in decompose_many(trials, sampling_rate=4, n_jobs=2)]
    [(100,), (80,)]
    """
    run = prepare_run(
        CvxEDASettings(
            tau0,
            tau1,
            delta_knot,
            alpha,
            gamma,
            variant,
            solver,
            tol,
            max_iter,
            certificate,
            weights,
        ),
        sampling_rate,
        on_failure=on_failure,
        missing=missing,
        context=context,
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
    y, n_context = _check_recording(y, run)
    return leave_out_context(next(_decompose_all([y], run)), n_context)


def solve_many(
    trials: Iterable[ArrayLike],
    run: Run,
    *,
    n_jobs: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Decomposition]:
    """Decompose several recordings without warnings; see `decompose_many`."""
    trials, workers = list(trials), effective_n_jobs(n_jobs)
    in_parallel = _batch.in_threads if run.settings.solver == "compiled" else _batch.in_processes
    return in_parallel(_Rows(run), trials, max(1, min(workers, len(trials))), progress)


@dataclass(frozen=True)
class _Rows:
    """Callable for workers: decomposes a group of trials; its errors name the row."""

    run: Run

    def __call__(
        self,
        begin: int,
        trials: Sequence[ArrayLike],
        workspace: _compiled.Workspace | None = None,
        stop: ctypes.c_int32 | None = None,
    ) -> list[Decomposition]:
        checked: list[tuple[np.ndarray, int]] = []
        results: list[Decomposition] = []
        refused = None
        for row, y in enumerate(trials, begin):
            try:
                checked.append(_check_recording(y, self.run))
            except ValueError as error:
                # Raised after the earlier rows are done, so that the first faulty row is named.
                refused = ValueError(f"trial in row {row}: {error}")
                break
        try:
            recordings = [y for y, _ in checked]
            for result in _decompose_all(recordings, self.run, workspace, stop):
                n_context = checked[len(results)][1]
                # The number of results gives the row that failed.
                results.append(leave_out_context(result, n_context))
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
                result = Decomposition(*answer, "optimal")
            else:
                result = _decompose_python(y, run, tried=answer not in (None, _compiled.LINE))
            yield _hold_tonic(y, run, result)
        except DecompositionError:
            if run.on_failure == "raise":
                raise
            n = len(y)
            sizes = (n, n, n, n, _count_knots(n, run), 2)
            phasic, tonic, driver, residual, spline, drift = (
                np.full(size, np.nan) for size in sizes
            )
            yield Decomposition(
                *(phasic, tonic, driver, residual, spline, drift),
                *(np.nan, np.nan, np.nan, 0, "failed"),
            )


def _run_kernel(
    recordings: list[np.ndarray],
    run: Run,
    workspace: _compiled.Workspace,
    stop: ctypes.c_int32,
) -> list[_compiled.Answer | int | None]:
    """Return the kernel's answer or failure code; None for recordings that it cannot solve."""
    lanes = _compiled.widest()
    structures = [
        None
        if np.isnan(y).any()
        else _compiled.build_structure(len(y), *run.shape, lanes, *run.extras)
        for y in recordings
    ]
    taken = {i: structure for i, structure in enumerate(structures) if structure is not None}
    answers: list[_compiled.Answer | int | None] = [None] * len(recordings)
    if taken:
        solved = _compiled.solve(
            [*taken.values()],
            [recordings[i] for i in taken],
            [run.alpha(recordings[i]) for i in taken],
            tol=AIM * run.settings.tol,
            max_iter=run.settings.max_iter,
            certificate=run.settings.certificate,
            workspace=workspace,
            stop=stop,
        )
        for i, answer in zip(taken, solved, strict=True):
            answers[i] = answer
    return answers


def _hold_tonic(y: np.ndarray, run: Run, result: Decomposition) -> Decomposition:
    """Return the optimum whose tonic component is not negative, if no sample of y is.

    `result` is the optimum without this condition. If it does not meet the condition, scipy or
    cvxopt solves the problem again, with a lower bound at the samples below zero and at those up to
    half the distance of the knots from them, until no sample is below zero.
    """
    if run.settings.weights == "published" or not np.nanmin(y) >= 0:
        return result
    lowest = -BELOW * np.nanmax(y)
    held = np.zeros(len(y), bool)
    while (below := result.tonic < lowest).any() and not held[below].all():
        if len(y) * (_count_knots(len(y), run) + 2) > _DENSE_ELEMENTS:
            warnings.warn(
                f"The tonic component of a recording of {len(y)} samples falls to "
                f"{result.tonic.min():.3g}, below zero: it is too long for the solver that "
                "prevents this. Cut it into pieces.",
                DecompositionWarning,
                stacklevel=2,
            )
            return result
        reach = knot_step(run.settings.delta_knot, run.sampling_rate) // 2
        held |= np.convolve(below, np.ones(2 * reach + 1), "same")[: len(y)] > 0.5
        result = _decompose_python(y, run, tried=False, held=np.flatnonzero(held))
    return result


def _decompose_python(
    y: np.ndarray, run: Run, *, tried: bool, held: np.ndarray | None = None
) -> Decomposition:
    """Decompose by scipy or cvxopt.

    `tried` is true if the compiled kernel has failed. At the samples `held`, the tonic component is
    not below zero.
    """
    knots = _count_knots(len(y), run)
    missing = np.isnan(y)
    line, drift = _fit_line(y, ~missing)
    around_line = np.where(missing, 0.0, y - line)
    peak = np.abs(around_line).max()
    if peak <= max(1e-11 * np.abs(y[~missing]).max(), LEAST):
        zero = np.zeros(len(y))
        with np.errstate(over="ignore"):  # of recordings above 1e154, whose objective is inf
            objective = float(0.5 * (around_line * around_line).sum())
        spline = np.zeros(knots)
        return Decomposition(
            zero, line, zero.copy(), y - line, spline, drift, 0.0, objective, 0.0, 0, "optimal"
        )
    if run.extras.slope or held is not None:  # the line has a cost, or may be below zero
        drift = np.array([y[~missing].mean(), 0.0])
        line = np.full(len(y), drift[0])
        around_line = np.where(missing, 0.0, y - line)
        peak = np.abs(around_line).max()

    masked = bool(missing.any())
    handed_over = tried or (masked and run.settings.solver == "compiled")
    if handed_over and len(y) * (knots + 2) > _DENSE_ELEMENTS:
        why = f"the compiled solver {'did not converge' if tried else 'cannot mask samples'}"
        raise DecompositionError(
            f"cvxEDA found no solution: {why}, and {len(y)} samples with {knots} knots are too "
            "many for scipy. Cut the recording into pieces, check it for steps and check its scale "
            "(is it z-scored?), or interpolate missing samples.",
            why,
            np.inf,
        )
    problem = build_problem(len(y), *run.shape, *run.extras)
    # Divide by the peak first: squares of extreme values would overflow.
    scale = float(peak * (around_line[~missing] / peak).std())
    alpha = run.alpha(y) * problem.lead / scale
    if held is not None:
        problem = problem.hold(held, -drift[0] / scale)
    solution = _solve_python(problem, around_line / scale, alpha, missing, run)
    accepted = max(run.settings.tol, LOOSEST_GAP)
    if not solution.gap <= accepted:
        raise DecompositionError(
            f"cvxEDA did not converge: {solution.ended}, and the certified relative gap is "
            f"{solution.gap:.1e}, above {accepted:.1e}. Check the recording for steps and check "
            "its scale (is it z-scored?), or increase max_iter.",
            solution.ended,
            solution.gap,
        )
    phasic, tonic = problem.split(solution.driver, solution.theta)
    phasic, tonic, theta = scale * phasic, line + scale * tonic, scale * solution.theta
    driver = solution.driver[: len(y)]
    driver[: problem.head] = 0
    return Decomposition(
        phasic=phasic,
        tonic=tonic,
        driver=driver * (scale * problem.lead),
        residual=y - phasic - tonic,
        spline=theta[:knots],
        drift=drift + theta[knots : knots + 2],
        initial=scale * float(solution.driver[-1]) if problem.fades else 0.0,
        objective=solution.objective * scale * scale,  # inf if it exceeds float64
        gap=solution.gap,
        n_iter=solution.n_iter,
        status="optimal" if solution.gap <= run.settings.tol else "inaccurate",
    )


def _solve_python(
    problem: Problem, y: np.ndarray, alpha: float, missing: np.ndarray, run: Run
) -> Solution:
    """Solve the problem of a recording of unit variance, by scipy or cvxopt; `alpha` is α̃."""
    solve = _cvxopt.solve if run.settings.solver == "cvxopt" else _interior_point.solve

    def attempt(problem: Problem) -> Solution:
        return solve(
            problem,
            y,
            alpha,
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
    return min(attempts, key=lambda solution: solution.gap)


def _count_knots(n: int, run: Run) -> int:
    step = knot_step(run.settings.delta_knot, run.sampling_rate)
    return len(place_knots(n, step, run.settings.variant))


def _check_recording(y: ArrayLike, run: Run) -> tuple[np.ndarray, int]:
    """Return the recording, contiguous float64 with NaN for missing samples, and its context."""
    if hasattr(y, "detach"):  # a torch tensor, perhaps with a gradient or on a GPU
        y = y.detach().cpu()
    mask, y = np.ma.getmask(y), np.asarray(y)
    if y.ndim != 1:
        raise ValueError(
            f"y must be one recording, a 1-D array, got shape {y.shape}; use decompose_many for "
            "several recordings."
        )
    if y.dtype.kind not in "iuf":
        raise ValueError(f"y must hold real numbers, got dtype {y.dtype}.")
    least = MIN_SAMPLES[run.settings.variant]
    if len(y) < least:
        raise ValueError(f"y must have at least {least} samples, got {len(y)}.")
    if len(y) <= run.context:
        raise ValueError(
            f"y has {len(y)} samples, and the context takes {run.context} of them: at least one "
            "must remain. Use a shorter context, or remove the trial."
        )
    y = np.ascontiguousarray(y, dtype=np.float64)
    if mask.any():
        y = np.where(mask, np.nan, y)
    y, n_context = trim_context(y, run.context)
    if len(y) < least:
        raise ValueError(f"y must have at least {least} samples after its context, got {len(y)}.")
    peak = np.abs(y).max()
    if peak <= LARGEST:
        return y, n_context
    bad = ~np.isfinite(y)
    n_bad = int(bad.sum())
    if n_bad and run.missing == "raise":
        raise ValueError(
            f"y has {n_bad} NaN, infinite or masked samples of {len(y)}, the first at index "
            f"{int(np.argmax(bad))}. Interpolate short gaps, give these samples no weight with "
            "missing='mask', or cut or remove the trial."
        )
    if len(y) - n_bad < least:
        raise ValueError(
            f"y must have at least {least} samples that are not missing, got {len(y) - n_bad} of "
            f"{len(y)}."
        )
    peak = np.abs(y[~bad]).max()
    if peak <= LARGEST:
        return np.where(bad, np.nan, y), n_context
    raise ValueError(
        f"y has samples up to {peak:.0e}; above {LARGEST:.0e} sums are out of the range of a "
        "float: use another unit."
    )


def _fit_line(y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares line and its coefficients of 1 and of the ramp (i + 1)/n."""
    ramp = np.arange(1.0, len(y) + 1) / len(y)
    y, middle = y[seen], ramp[seen].mean()
    mean, centred = y.mean(), ramp[seen] - middle
    slope = (centred * (y - mean)).sum() / (centred * centred).sum()
    return mean + slope * (ramp - middle), np.array([mean - slope * middle, slope])
