"""A primal-dual interior point method for the cvxEDA problem, on banded Cholesky factors.

In the notation of `_problem`, with the residual written as e = Ã'v, the optimum satisfies

    (1) M'v + z = α̃,   z ≥ 0        (2) ÃÃ'v + M p̃ + ÃX theta = Ãy
    (3) (ÃX)'v = Γ theta            (4) p̃ᵢzᵢ = 0,   p̃ ≥ 0

Each Newton step eliminates p̃ and z. The remaining system in v has the pentadiagonal matrix
T = ÃÃ' + M diag(p̃/z) M', bordered by the few columns of ÃX. This form is used instead of one in the
driver, because T is bounded below by ÃÃ' for any barrier. In M'M + A'DA, the matrix of a general
solver, D swamps the data near the optimum. The steps are Mehrotra's predictor and corrector (SIAM
J. Optim. 2(4), 1992).

With a floor K theta ≥ f, the slack s = K theta - f > 0 and its multiplier w > 0 join (3), which
becomes (ÃX)'v + K'w = Γ theta, and (4), with sᵢwᵢ = 0. They are eliminated like p̃ and z:
K'diag(w/s)K joins Γ in the Schur complement. The first point does not satisfy (3) then. Its
mismatch shrinks with each step, and counts in the gap.

A missing sample of y is a free variable, which requires eᵢ = 0. Each step starts from the value
that p̃ explains at present and penalises a change by ½/slack times its square: ÃΣÃ' replaces ÃÃ' in
T. A point that no longer moves has no penalty, so the limit is exact (Rockafellar's proximal point
algorithm, SIAM J. Control Optim. 14(5), 1976), and T stays pentadiagonal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, lapack

from edaemo.decomposition._problem import OBJECTIVE_FLOOR, ROUNDING, Problem

# Steps aim at no less than this share of the requested gap. If z falls by many orders of magnitude
# at once, p̃/z becomes so large that rounding errors dominate T.
LEAST = 1e-2

# Steps aim at no more than this share of the current gap, even if the predictor predicts less
# progress. That saves one step in thirty.
MOST = 0.1


@dataclass(frozen=True, eq=False)
class Solution:
    """Result of a solver: the scaled driver p̃, theta, and their quality.

    `gap` is the certified gap, or the solver's own gap without certificate. `ended` is a text that
    explains why the solver stopped.
    """

    driver: np.ndarray
    theta: np.ndarray
    objective: float
    gap: float
    n_iter: int
    ended: str


class _NewtonSystem:
    """The factored Newton equations at one iterate, and f = L⁻¹b for the predictor's b."""

    def __init__(
        self,
        problem: Problem,
        weight: np.ndarray,
        b: np.ndarray,
        border_b: np.ndarray,
        stiffness: np.ndarray,
    ) -> None:
        bands = problem.filter_gram.copy(order="F")
        if problem.fades:
            initial, weight = weight[-1], weight[:-1]
            bands[0, :2] += initial * np.array([1.0, problem.rho1**2])
            bands[1, 0] -= initial * problem.rho1
        weight = weight.copy()
        weight[: problem.head] = 0
        twice = 2 * weight
        bands[0] += weight
        bands[0, 1:] += 4 * weight[:-1]
        bands[0, 2:] += weight[:-2]
        bands[1] += twice
        bands[1, 1:] += twice[:-1]
        bands[2] += weight
        self.factor, info = lapack.dpbtrf(bands, lower=1, overwrite_ab=1)
        if info:
            raise LinAlgError(f"row {info} of the banded matrix has no Cholesky factor")

        columns = self._solve_columns(problem, b)
        # The product with all columns is faster than with the border only: their number is even.
        products, m = columns @ columns.T, len(border_b)
        self.border, self.f = columns[:m], columns[m]
        self.border_b, self.onto = border_b, products[m, :m]
        schur = products[:m, :m].copy()
        schur.flat[:: m + 1] += problem.penalty
        if problem.floor is not None:
            rows = problem.floor.rows
            schur += np.einsum("ij,ik->jk", rows * stiffness[:, None], rows)
        self.schur, info = lapack.dpotrf(schur, overwrite_a=1)
        if info:
            raise LinAlgError(f"row {info} of the Schur complement has no Cholesky factor")

    def _solve_columns(self, problem: Problem, b: np.ndarray) -> np.ndarray:
        """Return L⁻¹ times each column of ÃX and times b, as rows; a row of zeros may follow.

        LAPACK calls BLAS for each row of each column, and the calls take longer than the
        arithmetic. Two columns as real and imaginary part take the same time as one column.
        """
        n, m = problem.filtered_design.shape
        pairs = problem.paired_design.copy(order="F")
        pairs.T.view(np.float64)[m // 2, m % 2 :: 2] = b
        factor = self.factor.astype(np.complex128)
        pairs = lapack.ztbtrs(factor, pairs, uplo="L", overwrite_b=1)[0]
        return pairs.T.view(np.float64).reshape(-1, n, 2).swapaxes(1, 2).reshape(-1, n)

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the predictor's steps of v and theta."""
        return self._finish(self.f, self.onto, self.border_b)

    def solve(self, b: np.ndarray, pull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps of v and theta; `pull` is added to the mismatch of (3)."""
        f = lapack.dtbtrs(self.factor, b[:, None], uplo="L")[0][:, 0]
        return self._finish(f, np.einsum("ij,j->i", self.border, f), self.border_b + pull)

    def _finish(
        self, f: np.ndarray, onto: np.ndarray, border_b: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        d_theta = lapack.dpotrs(self.schur, onto + border_b)[0]
        f = f - np.einsum("ij,i->j", self.border, d_theta)
        d_v = lapack.dtbtrs(self.factor, f[:, None], uplo="L", trans="T", overwrite_b=1)[0][:, 0]
        return d_v, d_theta


# p, z, v, theta, s, w; the last two are empty without floor
_Point = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class _Iterate:
    """A point that satisfies (1), with its mismatches in (2) and (3) and its complementarity gap.

    Without a floor, the mismatch in (3) is only rounding and does not count in the gap.
    """

    def __init__(
        self,
        problem: Problem,
        y: np.ndarray,
        target: np.ndarray,
        alpha: float,
        p: np.ndarray,
        z: np.ndarray,
        v: np.ndarray,
        theta: np.ndarray,
        s: np.ndarray,
        w: np.ndarray,
    ) -> None:
        self.p, self.z, self.v, self.theta, self.s, self.w = p, z, v, theta, s, w
        self.residual = problem.autoregress_transposed(v)
        if problem.missing is not None:
            explained = problem.respond(p) + (1 - problem.slack) * self.residual
            target = problem.autoregress(np.where(problem.missing, explained, y))
        self.unexplained = target - problem.autoregress(self.residual)
        self.unexplained -= np.einsum("ij,j->i", problem.filtered_design, theta)
        self.mismatch = self.unexplained - problem.average(p)
        self.pz = p * z
        self.border_b = np.einsum("ij,i->j", problem.filtered_design, v) - problem.penalty * theta
        self.sw = s * w
        self.gap = self.pz.sum()
        self.unbalanced = 0.0
        if problem.floor is not None:
            self.gap += self.sw.sum()
            unbalanced = self.border_b + np.einsum("ij,i->j", problem.floor.rows, w)
            self.unbalanced = abs((theta * unbalanced).sum())
        self.objective = alpha * (problem.price * p).sum() + 0.5 * (
            (self.residual * self.residual).sum() + (problem.penalty * theta * theta).sum()
        )

        self.floor = max(self.objective, OBJECTIVE_FLOOR * problem.n_observed)

    def relative_gap(self, problem: Problem, tol: float) -> float:
        """Return the relative gap from (4), plus the gap from the mismatch in (2).

        The part ½‖d‖² is skipped if the rest exceeds `tol`. With d = Ã⁻¹ mismatch the residual is
        e + d, and the objective exceeds that of e by v'mismatch + ½‖d‖².
        """
        gap = (self.gap + abs((self.v * self.mismatch).sum()) + self.unbalanced) / self.floor
        if gap <= tol:
            d = problem.deregress(self.mismatch)
            gap += 0.5 * (d * d).sum() / self.floor
        return gap


def _step(problem: Problem, now: _Iterate, tol: float) -> _Point:
    """Return p, z, v, theta, s, w after one predictor and corrector step from `now`."""
    p, z, s, w = now.p, now.z, now.s, now.w
    n_pairs = len(p) + len(s)
    mu = now.gap / n_pairs
    rows = np.zeros((0, len(now.theta))) if problem.floor is None else problem.floor.rows
    system = _NewtonSystem(problem, p / z, now.unexplained, now.border_b, w / s)

    # Predictor: aims at complementarity 0. Steps of p, z, s and w are relative to them.
    d_v, d_theta = system.predict()
    d_z = -problem.average_transposed(d_v) / z
    d_s = np.einsum("ij,j->i", rows, d_theta) / s
    smallest, largest = min(d_z.min(), d_s.min(initial=0)), max(d_z.max(), d_s.max(initial=-1))
    length = 1 / max(1.0, -smallest, 1 + largest)
    second_order, second_of_s = d_z * (1 + d_z), d_s * (1 + d_s)
    curvature = (now.pz * second_order).sum() + (now.sw * second_of_s).sum()
    gap_ahead = (1 - length) * now.gap - length * length * curvature
    share = min((gap_ahead / now.gap) ** 3, MOST)
    centre = max(share * mu, min(mu, LEAST * tol * now.floor / n_pairs))

    # Corrector: aims at complementarity `centre` and includes the predictor's second order.
    aim = p * (1 - second_order) - centre / z
    pull = np.einsum("ij,i->j", rows, w * second_of_s + centre / s)
    d_v, d_theta = system.solve(now.mismatch + problem.average(aim), pull)
    d_z = -problem.average_transposed(d_v) / z
    d_p = second_order - 1 + centre / now.pz - d_z
    d_s = np.einsum("ij,j->i", rows, d_theta) / s
    d_w = second_of_s - 1 + centre / now.sw - d_s
    furthest = max(-d_z.min(), -d_p.min(), *(-d.min(initial=0) for d in (d_s, d_w)))
    if not np.isfinite(furthest):
        raise LinAlgError("the Newton step is not finite")
    fraction = min(max(0.99, 1 - mu), 0.999)
    length = 1.0 if furthest <= fraction else fraction / furthest
    # Multiplication keeps p and z positive, and keeps the relative precision of small entries.
    return (
        p * (1 + length * d_p),
        z * (1 + length * d_z),
        now.v + length * d_v,
        now.theta + length * d_theta,
        s * (1 + length * d_s),
        w * (1 + length * d_w),
    )


def solve(
    problem: Problem,
    y: np.ndarray,
    alpha: float,
    tol: float,
    max_iter: int,
    certificate: bool,
) -> Solution:
    """Return the minimum for `y`; `alpha` is α̃.

    `y` has no linear trend and unit variance, with 0 for missing samples. The solver stops when the
    gap is at most `tol`; the gap is certified if `certificate` is true. If the solver cannot reach
    `tol`, it returns the best of the last iterates: if rounding errors spoil a factor, the last
    iterate may be worse than earlier ones.
    """
    target = problem.autoregress(y)
    price, m = problem.price, len(problem.penalty)
    # This point and every step from it satisfy (1) and, without floor, (3). If α̃ is large, p̃ starts
    # so small that the penalty alone does not exceed ½‖y‖².
    p = np.full(len(price), min(30 * problem.settle / 4, 0.5 / alpha))
    if problem.fades:
        p[-1] = min(1.0, 0.5 / (alpha * price[-1]))
    z = alpha * price
    # theta = 0 is above the floor, because the mean of y is.
    s = np.empty(0) if problem.floor is None else -problem.floor.level
    point: _Point = p, z, np.zeros(len(y)), np.zeros(m), s, (p * z).mean() / s
    recent: deque[_Iterate] = deque(maxlen=4)

    def conclude(iterate: _Iterate, n_iter: int, ended: str) -> Solution:
        p, theta = iterate.p, iterate.theta
        if not certificate:
            gap = iterate.relative_gap(problem, np.inf)
            gap = max(float(gap), ROUNDING) if np.isfinite(gap) else np.inf
            return Solution(p, theta, iterate.objective, gap, n_iter, ended)
        objective, gap = problem.certify(y, alpha, p, theta, iterate.residual, iterate.w)
        return Solution(p, theta, objective, gap, n_iter, ended)

    # After an overflow the step is not finite, which `_step` reports.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for n_iter in range(max_iter + 1):
            iterate = _Iterate(problem, y, target, alpha, *point)
            recent.append(iterate)
            if iterate.relative_gap(problem, tol) <= tol:
                solution = conclude(iterate, n_iter, "the gap reached tol")
                if solution.gap <= tol:
                    return solution
            if n_iter == max_iter:
                ended = f"max_iter={max_iter} iterations were used"
                break
            try:
                point = _step(problem, iterate, tol)
            except LinAlgError as error:
                ended = f"rounding stopped iteration {n_iter + 1}: {error}"
                break
        return min((conclude(i, n_iter, ended) for i in recent), key=lambda s: s.gap)
