"""The public functions: checks, scaling, the choice of the solver and the verdict on its answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike

from edaemo.decomposition import _cvxopt, _interior_point
from edaemo.decomposition._problem import build_problem, check_sampling_rate

SOLVERS = {"scipy": _interior_point.solve, "cvxopt": _cvxopt.solve}

# Solvers aim at this part of `tol`. One or two iterations more are cheap, and needed: near the
# optimum the split into phasic and tonic moves with the square root of the gap, and the objective
# hardly notices. At a gap of 1e-8 the phasic component of some short real trials is still 0.007
# standard deviations off, at 1e-10 at most 0.0003.
AIM = 1e-2

# Beyond this certified gap a result is no answer any more, and an error takes its place.
LOOSEST_GAP = 1e-4

# Constant and ramp are told apart from two samples on.
MIN_SAMPLES = 2


class DecompositionError(RuntimeError):
    """No decomposition of acceptable accuracy was found.

    Attributes
    ----------
    status : str
        Why the solver stopped.
    gap : float
        The certified relative duality gap of the best iterate.
    """

    def __init__(self, message: str, status: str, gap: float) -> None:
        # All three are arguments of the base class so that worker processes can send the error.
        super().__init__(message, status, gap)
        self.status = status
        self.gap = gap

    def __str__(self) -> str:
        return self.args[0]


@dataclass(frozen=True, eq=False)
class Decomposition:
    """One recording taken apart: ``y == phasic + tonic + residual``. Everything is float64.

    Attributes
    ----------
    phasic : ndarray of shape (n,)
        Skin conductance responses, never negative; in the unit of y.
    tonic : ndarray of shape (n,)
        Skin conductance level, with the drift; in the unit of y.
    driver : ndarray of shape (n,)
        Sudomotor nerve activity (SMNA), never negative; in the unit of y per second. The phasic
        component is this driver through the filter (1/tau1 - 1/tau0)/((s + 1/tau0)(s + 1/tau1)),
        discretised by the bilinear transform and at rest before the first sample.
    residual : ndarray of shape (n,)
        What neither explains; in the unit of y.
    spline : ndarray of shape (n_knots,)
        Coefficients of the tonic splines of peak 1, centred on every round(delta_knot *
        sampling_rate)-th sample from the first on; in the unit of y.
    drift : ndarray of shape (2,)
        Coefficients of the constant 1 and of the ramp (i + 1)/n, i = 0, …, n - 1.
    objective : float
        ½‖residual‖² + alpha Σ driver + ½ gamma ‖spline‖², in the squared unit of y.
    gap : float
        Certified relative duality gap: how far the objective lies above the optimum at most,
        divided by the objective (or by 1e-5 n times the variance of y around its line if that is
        larger). It is computed afresh from the result by a feasible point of the dual problem, and
        never given as less than the rounding error of 2e-16; 0 for a line.
    n_iter : int
        Iterations of the solver.
    status : {"optimal", "inaccurate"}
        Whether `gap` is at most the `tol` asked for.
    """

    phasic: np.ndarray
    tonic: np.ndarray
    driver: np.ndarray
    residual: np.ndarray
    spline: np.ndarray
    drift: np.ndarray
    objective: float
    gap: float
    n_iter: int
    status: str


def decompose(
    y: ArrayLike,
    sampling_rate: float,
    *,
    tau0: float = 2.0,
    tau1: float = 0.7,
    delta_knot: float = 10.0,
    alpha: float = 8e-4,
    gamma: float = 1e-2,
    solver: str = "scipy",
    tol: float = 1e-8,
    max_iter: int = 60,
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
        The recording: two or more finite real numbers, of any float or integer dtype and any unit.
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
    solver : {"scipy", "cvxopt"}
        ``"scipy"`` is an interior point method written for this problem. ``"cvxopt"`` hands the
        plain quadratic program to cvxopt (``pip install edaemo[cvxopt]``), which is slower and less
        accurate, but independent.
    tol : float
        Relative duality gap to accept. The solver aims at a hundredth of it, because the split into
        phasic and tonic is less sharply determined than the objective.
    max_iter : int
        Iterations to spend at most.

    Returns
    -------
    Decomposition
        Its `status` is ``"optimal"`` if the certified `gap` is at most `tol`. If `tol` is out of
        reach (iterations spent, or rounding in the way), the best iterate found is returned with
        status ``"inaccurate"``, provided that its gap is at most 1e-4; anything worse is an error.
        A gap of g bounds the error: the sum of squares of the error of phasic + tonic is at most
        2 g times the objective.

    Raises
    ------
    ValueError
        If y has another shape, too few samples, or NaN or infinite ones, or a parameter is out of
        its range.
    ImportError
        If ``solver="cvxopt"`` and cvxopt is not installed.
    DecompositionError
        If no iterate has a certified gap of at most 1e-4 (or `tol`, if that is larger).

    Notes
    -----
    The least-squares line of y is taken off before and added to the tonic component afterwards,
    and y is scaled; both leave the problem the same. A recording that is a line to rounding (1e-11
    of its largest value) has that line as its tonic component and no phasic one.

    The time grows with the number of samples and, in long recordings, with the square of the
    number of knots as well: milliseconds for a trial, seconds for an hour at 4 Hz.

    References
    ----------
    .. [1] A. Greco, G. Valenza, A. Lanata, E. P. Scilingo, L. Citi, "cvxEDA: A Convex Optimization
       Approach to Electrodermal Activity Processing", IEEE Transactions on Biomedical Engineering
       63(4), 2016.
    """
    sampling_rate = _check_parameters(
        sampling_rate, tau0, tau1, delta_knot, alpha, gamma, solver, tol, max_iter
    )
    y = _check_recording(y)
    n = len(y)
    problem = build_problem(n, sampling_rate, tau0, tau1, delta_knot, gamma)
    line, drift = _fit_line(y)
    around_line = y - line
    peak = np.abs(around_line).max()
    if peak <= 1e-11 * np.abs(y).max():
        zero = np.zeros(n)
        objective = float(0.5 * (around_line * around_line).sum())
        spline = np.zeros(len(problem.penalty) - 2)
        return Decomposition(
            zero, line, zero.copy(), around_line, spline, drift, objective, 0.0, 0, "optimal"
        )

    # The peak first: squares of extreme values would leave the range of a float.
    scale = float(peak * (around_line / peak).std())
    found = SOLVERS[solver](
        problem, around_line / scale, alpha * problem.lead / scale, AIM * tol, max_iter
    )
    if not found.gap <= max(tol, LOOSEST_GAP):
        raise DecompositionError(
            f"cvxEDA did not converge: {found.ended}, and the certified relative gap is "
            f"{found.gap:.1e}, above {max(tol, LOOSEST_GAP):.1e}. Look at the recording for steps "
            "and at its scale (is it z-scored?), or raise max_iter.",
            found.ended,
            found.gap,
        )
    phasic = scale * problem.respond(found.driver)
    theta = scale * found.theta
    tonic = line + problem.baseline(theta)
    return Decomposition(
        phasic=phasic,
        tonic=tonic,
        driver=found.driver * (scale * problem.lead),
        residual=y - phasic - tonic,
        spline=theta[:-2],
        drift=drift + theta[-2:],
        objective=found.objective * scale**2,
        gap=found.gap,
        n_iter=found.n_iter,
        status="optimal" if found.gap <= tol else "inaccurate",
    )


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
    solver: str = "scipy",
    tol: float = 1e-8,
    max_iter: int = 60,
) -> list[Decomposition]:
    """Decompose each of several recordings of one sampling rate; see `decompose`.

    Parameters
    ----------
    trials : iterable of array-like
        The recordings, of any lengths; the rows of a two-dimensional array are recordings too.
    sampling_rate : float
        Samples per second (Hz), of all recordings.
    n_jobs : int or None
        Processes to share the work, as in joblib: None is 1, -1 is one for each core. The answers
        do not depend on it (beyond some 60 knots, their last bits do, by the threads of BLAS).
    tau0, tau1, delta_knot, alpha, gamma, solver, tol, max_iter
        As in `decompose`.

    Returns
    -------
    list of Decomposition
        In the order of `trials`.

    Raises
    ------
    ValueError, ImportError, DecompositionError
        As in `decompose`; what is wrong with one trial is said with its row.
    """
    _check_parameters(sampling_rate, tau0, tau1, delta_knot, alpha, gamma, solver, tol, max_iter)
    parameters = {
        "tau0": tau0,
        "tau1": tau1,
        "delta_knot": delta_knot,
        "alpha": alpha,
        "gamma": gamma,
        "solver": solver,
        "tol": tol,
        "max_iter": max_iter,
    }
    return Parallel(n_jobs=n_jobs)(
        delayed(_decompose_row)(row, y, sampling_rate, parameters) for row, y in enumerate(trials)
    )


def _decompose_row(
    row: int, y: ArrayLike, sampling_rate: float, parameters: dict[str, object]
) -> Decomposition:
    try:
        return decompose(y, sampling_rate, **parameters)
    except DecompositionError as error:
        raise DecompositionError(f"trial in row {row}: {error}", error.status, error.gap) from error
    except ValueError as error:
        raise ValueError(f"trial in row {row}: {error}") from error


def _check_recording(y: ArrayLike) -> np.ndarray:
    """Return the recording as a contiguous float64 array."""
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(
            f"y must be one recording, a 1-D array, got shape {y.shape}; decompose_many takes "
            "several."
        )
    if y.dtype.kind not in "iuf":
        raise ValueError(f"y must hold real numbers, got dtype {y.dtype}.")
    if len(y) < MIN_SAMPLES:
        raise ValueError(f"y must have at least {MIN_SAMPLES} samples, got {len(y)}.")
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise ValueError(
            f"y has {len(bad)} NaN or infinite samples of {len(y)}, the first at index {bad[0]}. "
            "Interpolate short gaps, or cut or drop the trial, before decomposing."
        )
    return np.ascontiguousarray(y, dtype=np.float64)


def _check_parameters(
    sampling_rate: float,
    tau0: float,
    tau1: float,
    delta_knot: float,
    alpha: float,
    gamma: float,
    solver: str,
    tol: float,
    max_iter: int,
) -> float:
    """Refuse parameters out of range; return the sampling rate as a float."""
    sampling_rate = check_sampling_rate(sampling_rate)
    positive = {
        "tau0": tau0,
        "tau1": tau1,
        "delta_knot": delta_knot,
        "alpha": alpha,
        "gamma": gamma,
        "tol": tol,
    }
    for name, value in positive.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, Real)
            or not np.isfinite(value)
            or value <= 0
        ):
            raise ValueError(f"{name} must be a positive finite number, got {value!r}.")
    if isinstance(max_iter, bool) or not isinstance(max_iter, Integral) or max_iter < 1:
        raise ValueError(f"max_iter must be a positive integer, got {max_iter!r}.")
    if solver not in list(SOLVERS):
        raise ValueError(f"solver must be one of {sorted(SOLVERS)}, got {solver!r}.")
    if tau0 == tau1:
        raise ValueError(
            f"tau0 and tau1 must differ, got {tau0!r} for both: the Bateman function of equal time "
            "constants is zero."
        )
    if min(tau0, tau1) * sampling_rate <= 0.5:
        raise ValueError(
            f"tau0={tau0!r} s and tau1={tau1!r} s must both be longer than half a sample, which is "
            f"{0.5 / sampling_rate:g} s at {sampling_rate:g} Hz."
        )
    if delta_knot * sampling_rate < 1:
        raise ValueError(
            f"delta_knot={delta_knot!r} s must be at least one sample, which is "
            f"{1 / sampling_rate:g} s at {sampling_rate:g} Hz."
        )
    return sampling_rate


def _fit_line(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares line of y and its coefficients of 1 and of the ramp (i + 1)/n."""
    ramp = np.arange(1.0, len(y) + 1) / len(y)
    centred = ramp - ramp.mean()
    mean = y.mean()
    slope = (centred * (y - mean)).sum() / (centred * centred).sum()
    return mean + slope * centred, np.array([mean - slope * ramp.mean(), slope])
