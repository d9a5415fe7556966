"""The cvxEDA problem as a quadratic program for cvxopt, as an independent reference solver."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from edaemo.decomposition._interior_point import Solution
from edaemo.decomposition._problem import Problem


def solve(
    problem: Problem,
    y: np.ndarray,
    alpha: float,
    tol: float,
    max_iter: int,
    certificate: bool,
) -> Solution:
    """Minimise over q = Ã⁻¹p̃ and theta subject to Ãq ≥ 0, the form of Greco et al. (2016).

    `y` has no linear trend and unit variance, `alpha` is α̃. The gap is always certified: the cost
    is negligible compared with cvxopt's time, and cvxopt defines its own gap differently.
    """
    del certificate
    try:
        from cvxopt import matrix, solvers, spmatrix
    except ImportError as error:
        raise ImportError(
            "solver='cvxopt' needs the package cvxopt: pip install edaemo[cvxopt]"
        ) from error

    def to_cvxopt(array: sparse.sparray) -> spmatrix:
        coo = array.tocoo()
        return spmatrix(coo.data.tolist(), coo.row.tolist(), coo.col.tolist(), coo.shape)

    n, m = len(y), len(problem.penalty)
    head = problem.head
    # q of the head has no effect; its penalty makes it 0.
    autoregression = sparse.block_diag(
        [sparse.eye_array(head), _lower_banded(1.0, problem.b1, problem.b2, n - head)]
    ).tocsr()
    averages = sparse.block_diag(
        [sparse.csr_array((head, head)), _lower_banded(1.0, 2.0, 1.0, n - head)]
    )
    columns, prices = problem.design, np.zeros(m)
    if problem.fades:  # one more column, with a price and a coefficient that is not negative
        columns = np.column_stack((columns, problem.rho0 ** np.arange(n)))
        penalties, prices = np.append(problem.penalty, 0.0), np.append(prices, problem.price[-1])
    else:
        penalties = problem.penalty
    seen = slice(None) if problem.missing is None else ~problem.missing
    model = sparse.hstack([averages, sparse.csr_array(columns)], format="csr")[seen]
    penalty = sparse.diags_array(np.concatenate((np.zeros(n), penalties)))
    total = np.concatenate((autoregression.T @ np.ones(n), prices))
    nonnegative = sparse.hstack([-autoregression, sparse.csr_array((n, len(prices)))])
    if problem.fades:
        last = sparse.csr_array(([-1.0], ([0], [n + m])), shape=(1, n + m + 1))
        nonnegative = sparse.vstack([nonnegative, last])
    bounds = np.zeros(nonnegative.shape[0])
    if problem.floor is not None:
        rows = sparse.hstack(
            [
                sparse.csr_array((len(problem.floor.rows), n)),
                sparse.csr_array(-problem.floor.rows),
                sparse.csr_array((len(problem.floor.rows), len(prices) - m)),
            ]
        )
        nonnegative = sparse.vstack([nonnegative, rows])
        bounds = np.concatenate((bounds, -problem.floor.level))
    try:
        result = solvers.qp(
            to_cvxopt(model.T @ model + penalty),
            matrix(alpha * total - model.T @ y[seen]),
            to_cvxopt(nonnegative),
            matrix(bounds),
            # Passed with the call, so that the user's global cvxopt options are not changed.
            options={
                "show_progress": False,
                "maxiters": max_iter,
                "abstol": tol,
                "reltol": tol,
                "feastol": tol,
            },
        )
    except (ArithmeticError, ValueError) as error:
        # The first system is singular. An infinite gap marks the failure.
        return Solution(
            np.zeros(len(problem.price)), np.zeros(m), np.inf, np.inf, 0, f"cvxopt failed: {error}"
        )
    x = np.array(result["x"]).ravel()
    driver = np.maximum(autoregression @ x[:n], 0.0)
    if problem.fades:
        driver = np.append(driver, max(x[-1], 0.0))
    theta = x[n : n + m]
    phasic, tonic = problem.split(driver, theta)
    residual = y - phasic - tonic
    n_driver = n + problem.fades
    multipliers = np.maximum(np.array(result["z"]).ravel()[n_driver:], 0.0)
    objective, gap = problem.certify(y, alpha, driver, theta, residual, multipliers)
    ended = f"cvxopt ended with status {result['status']!r}"
    return Solution(driver, theta, objective, gap, result["iterations"], ended)


def _lower_banded(c0: float, c1: float, c2: float, n: int) -> sparse.sparray:
    return sparse.diags_array([c0, c1, c2], offsets=[0, -1, -2], shape=(n, n), format="csr")
