"""The cvxEDA problem: filter, spline baseline, objective, and an independent lower bound.

Greco, Valenza, Lanata, Scilingo & Citi (2016), "cvxEDA: A Convex Optimization Approach to
Electrodermal Activity Processing", IEEE TBME 63(4), model a recording as

    y = phasic + tonic + residual,    phasic = A⁻¹ M driver,    tonic = B l + C d,

with the driver p ≥ 0, and minimise  ½‖residual‖² + α Σp + ½ γ‖l‖².  Weights other than the
published ones also have a penalty on the slope of C d. With the one-sample delay S, the bilinear
transform of the Bateman function gives

    A = a₀ Ã,    Ã = (1 - ρ₀S)(1 - ρ₁S) = 1 + b₁S + b₂S²,    M = (1 + S)² = 1 + 2S + S²,

all lower triangular with zero initial state. If the initial state is free, responses before the
recording leave the part x ρ₀ⁱ, x ≥ 0, in the phasic component: a driver before the first sample
leaves a mixture of this part and of the response to a driver at the first sample. Ã ρ₀ⁱ is
(1, -ρ₁, 0, …), so x is one more entry of the driver, at the end, with its own price.

With a `Floor`, the tonic component has a lower bound at some samples: K theta ≥ f, where K holds
rows of the design X = [B | C] and theta = (l, d).

Solvers work on p̃ = p/a₀ with α̃ = α a₀, so that every filter below has the leading coefficient 1,
and on theta.

Sums over samples use numpy's loops (``sum``, ``einsum``), not products of a matrix and a vector.
BLAS distributes such products over its threads. Their number differs in worker processes and would
change the last bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Real
from typing import NamedTuple, TypedDict

import numpy as np
from scipy.signal import lfilter

# Smallest denominator of a relative gap, as objective per sample of unit variance. With a smaller
# objective, the recording is explained up to rounding and a ratio would have no meaning.
OBJECTIVE_FLOOR = 1e-5

# Smallest gap that is reported.
ROUNDING = float(np.finfo(np.float64).eps)

# Larger designs are not cached, so that the cache stays below about 100 MB.
_CACHED_ELEMENTS = 250_000


def check_sampling_rate(sampling_rate: float) -> float:
    """Check a sampling rate.

    Parameters
    ----------
    sampling_rate : float
        Samples per second (Hz).

    Returns
    -------
    float
        The sampling rate.

    Raises
    ------
    ValueError
        If it is not a positive, finite number.
    """
    if (
        isinstance(sampling_rate, bool)
        or not isinstance(sampling_rate, Real)
        or not np.isfinite(sampling_rate)
        or sampling_rate <= 0
    ):
        raise ValueError(
            f"sampling_rate must be a positive number of samples per second (Hz), "
            f"got {sampling_rate!r}."
        )
    return float(sampling_rate)


class Floor(NamedTuple):
    """A lower bound of the tonic component at k samples: ``rows @ theta >= level``."""

    rows: np.ndarray  # (k, m)
    level: np.ndarray  # (k,)


@dataclass(frozen=True, eq=False)
class Problem:
    """The parts of the problem that do not depend on the recording.

    They depend on the length, the sampling rate, the parameters and the missing samples.

    Attributes
    ----------
    b1, b2 : float
        Coefficients of Ã.
    lead : float
        a₀, the leading coefficient of A.
    settle : float
        (1 - ρ₀)(1 - ρ₁), the gain of Ã for a constant.
    rho0, rho1 : float
        Decay per sample of the slow and of the fast exponential.
    price : ndarray of shape (n,) or (n + 1,)
        Penalty on each entry of the driver, over α̃: 1 for each sample, and the price of the initial
        state if that is free.
    head : int
        Number of samples at the start without filter and driver: 0, or 2 if the initial state is
        free.
    design : ndarray of shape (n, m)
        X: the splines, the constant, the ramp (i + 1)/n and, if the initial state is free, the
        responses of the filter to impulses in the two samples after the head. Rows of missing
        samples are 0.
    penalty : ndarray of shape (m,)
        γ for each spline, the penalty on the slope for the ramp, 0 for the other columns.
    free : ndarray of shape (1, 2 or 4, n)
        Orthonormal basis of the columns without penalty, as rows.
    filtered_design : ndarray of shape (n, m)
        Ã X, in Fortran order.
    paired_design : ndarray of shape (n, m // 2 + 1)
        Pairs of its columns as real and imaginary parts, with space for one more column, in
        Fortran order.
    filter_gram : ndarray of shape (3, n)
        ÃΣÃ' in the lower banded storage of LAPACK; Σ is 1, or `slack` at missing samples.
    missing : ndarray of shape (n,) or None
        Mask of the missing samples, whose residual has no weight; None if no sample is missing.
    slack : float
        Slack of a step of `_interior_point` at missing samples.
    floor : Floor or None
        Lower bound of the tonic component at some samples.
    """

    b1: float
    b2: float
    lead: float
    settle: float
    rho0: float
    rho1: float
    price: np.ndarray
    head: int
    design: np.ndarray
    penalty: np.ndarray
    free: np.ndarray
    filtered_design: np.ndarray
    paired_design: np.ndarray
    filter_gram: np.ndarray
    missing: np.ndarray | None = None
    slack: float = 1.0
    floor: Floor | None = None

    @property
    def n_observed(self) -> int:
        """The number of samples that are not missing."""
        return len(self.design) - (0 if self.missing is None else int(self.missing.sum()))

    def mask(self, missing: np.ndarray, slack: float) -> Problem:
        """Return the problem in which the residual of missing samples has no weight.

        Their design is set to 0. It has no influence, and would slow down steps of theta.
        """
        design = np.where(missing[:, None], 0.0, self.design)
        return replace(
            self,
            filter_gram=_filter_gram(np.where(missing, slack, 1.0), self.b1, self.b2, self.head),
            missing=missing,
            slack=slack,
            **_derive(design, self.penalty == 0, self.b1, self.b2, self.head),
        )

    def hold(self, samples: np.ndarray, level: float) -> Problem:
        """Return the problem with a lower bound of the tonic component at these samples."""
        return replace(self, floor=Floor(self.design[samples], np.full(len(samples), level)))

    # These methods leave the head unchanged; those of a driver set it to zero.

    def autoregress(self, x: np.ndarray) -> np.ndarray:
        """Return Ã x."""
        return _autoregress(x, self.b1, self.b2, self.head)

    def autoregress_transposed(self, x: np.ndarray) -> np.ndarray:
        """Return Ã' x."""
        out, behind = x.copy(), x[self.head :]
        out[self.head : -1] += self.b1 * behind[1:]
        out[self.head : -2] += self.b2 * behind[2:]
        return out

    def deregress(self, x: np.ndarray) -> np.ndarray:
        """Return Ã⁻¹ x."""
        out = x.copy()
        out[self.head :] = lfilter([1.0], [1.0, self.b1, self.b2], x[self.head :])
        return out

    def average(self, x: np.ndarray) -> np.ndarray:
        """Return M x = (1 + S)² x, and Ã of the part of the initial state."""
        x, initial = self._detach(x)
        out, behind = x.copy(), x[self.head :]
        out[: self.head] = 0
        out[self.head + 1 :] += 2 * behind[:-1]
        out[self.head + 2 :] += behind[:-2]
        if self.fades:
            out[:2] += initial * np.array([1.0, -self.rho1])
        return out

    def average_transposed(self, x: np.ndarray) -> np.ndarray:
        """Return the transposed operation of `average`."""
        out, behind = x.copy(), x[self.head :]
        out[: self.head] = 0
        out[self.head : -1] += 2 * behind[1:]
        out[self.head : -2] += behind[2:]
        return np.append(out, x[0] - self.rho1 * x[1]) if self.fades else out

    def respond(self, driver: np.ndarray) -> np.ndarray:
        """Return Ã⁻¹ M p̃, the response to a scaled driver."""
        driver, initial = self._detach(driver)
        out = np.zeros(len(driver))
        out[self.head :] = self._respond(driver[self.head :])
        return out + initial * self._decay() if self.fades else out

    @property
    def fades(self) -> bool:
        """Whether the driver ends with the free initial state."""
        return len(self.price) > len(self.design)

    def _detach(self, driver: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the driver of the samples, and the initial state."""
        return (driver[:-1], float(driver[-1])) if self.fades else (driver, 0.0)

    def _decay(self) -> np.ndarray:
        return self.rho0 ** np.arange(len(self.design))

    def _respond(self, driver: np.ndarray) -> np.ndarray:
        return lfilter([1.0, 2.0, 1.0], [1.0, self.b1, self.b2], driver)

    def split(self, driver: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the phasic component, with the free initial state, and the tonic component."""
        n_tonic = len(theta) - self.head
        initial = np.einsum("ij,j->i", self.design[:, n_tonic:], theta[n_tonic:])
        tonic = np.einsum("ij,j->i", self.design[:, :n_tonic], theta[:n_tonic])
        return (self.respond(driver) + initial if self.head else self.respond(driver)), tonic

    def certify(
        self,
        y: np.ndarray,
        alpha: float,
        driver: np.ndarray,
        theta: np.ndarray,
        dual: np.ndarray,
        multipliers: np.ndarray | None = None,
    ) -> tuple[float, float]:
        """Return the objective and an upper bound on its relative distance from the optimum.

        The dual of the problem is  max  y'e - ½‖e‖² - ‖B'e‖²/(2γ)  over all e with
        M'Ã'⁻¹e ≤ α̃ times the price and C'e = 0, where C holds the columns without penalty, and B
        the others. Any such e gives a lower bound on the optimum, regardless of its origin. A
        projection and a scaling make the solver's `dual` satisfy both conditions, so the bound does
        not rely on the solver's own gap. With a floor, K' times its multipliers w ≥ 0 joins B'e
        and C'e, and the objective of the dual has one more term, w'f.

        The gap is relative to the objective or, if that is smaller, to `OBJECTIVE_FLOOR` per
        sample; `y` has unit variance. The dual is 0 at missing samples.
        """
        phasic, tonic = self.split(driver, theta)
        residual = y - phasic - tonic
        if self.missing is not None:
            residual, dual = (np.where(self.missing, 0.0, x) for x in (residual, dual))
        objective = alpha * (self.price * driver).sum() + 0.5 * (
            (residual * residual).sum() + (self.penalty * theta * theta).sum()
        )
        for unit in self.free:
            dual = dual - (unit * dual).sum() * unit
        pull, lift = np.zeros(len(theta)), 0.0
        if self.floor is not None and multipliers is not None:
            pull = np.einsum("ij,i->j", self.floor.rows, multipliers)
            lift = float((multipliers * self.floor.level).sum())
            free = self.design[:, self.penalty == 0]
            gram = np.einsum("ij,ik->jk", free, free)
            share = np.linalg.solve(gram, pull[self.penalty == 0])
            dual = dual - np.einsum("ij,j->i", free, share)
        # M'Ã'⁻¹ is the phasic filter applied backwards in time.
        pressure = self._respond(dual[self.head :][::-1]).max()
        if self.fades:
            pressure = max(pressure, (self._decay() * dual).sum() / self.price[-1])
        scale = alpha / max(pressure, alpha)
        e = dual * scale
        splines = self.penalty > 0
        onto_splines = np.einsum("ij,i->j", self.design[:, splines], e)
        if self.floor is not None:
            onto_splines += scale * pull[splines]
        bound = (y * e).sum() - 0.5 * (
            (e * e).sum() + (onto_splines * onto_splines / self.penalty[splines]).sum()
        )
        bound += scale * lift
        gap = (objective - bound) / max(objective, OBJECTIVE_FLOOR * self.n_observed)
        if not np.isfinite(gap):
            return float(objective), np.inf
        return float(objective), max(float(gap), ROUNDING)


def _autoregress(x: np.ndarray, b1: float, b2: float, head: int) -> np.ndarray:
    """Return (1 + b1 S + b2 S²) x along the first axis, after the head."""
    out, behind = x.copy(), x[head:]
    out[head + 1 :] += b1 * behind[:-1]
    out[head + 2 :] += b2 * behind[:-2]
    return out


class _Derived(TypedDict):
    design: np.ndarray
    free: np.ndarray
    filtered_design: np.ndarray
    paired_design: np.ndarray


def _derive(design: np.ndarray, free: np.ndarray, b1: float, b2: float, head: int) -> _Derived:
    """Return the attributes of a problem that depend on its design and its free columns."""
    filtered = np.asfortranarray(_autoregress(design, b1, b2, head))
    n, m = design.shape
    paired = np.zeros((n, m // 2 + 1), np.complex128, order="F")
    paired.real[:, : (m + 1) // 2] = filtered[:, ::2]
    paired.imag[:, : m // 2] = filtered[:, 1::2]
    return {
        "design": np.asfortranarray(design),
        "free": np.ascontiguousarray(np.linalg.qr(design[:, free])[0].T),
        "filtered_design": filtered,
        "paired_design": paired,
    }


def _filter_gram(variance: np.ndarray, b1: float, b2: float, head: int) -> np.ndarray:
    """Return ÃΣÃ' for a diagonal Σ in the lower banded storage of LAPACK."""
    bands, behind = np.zeros((3, len(variance)), order="F"), variance[head:]
    bands[0] = variance
    bands[0, head + 1 :] += b1 * b1 * behind[:-1]
    bands[0, head + 2 :] += b2 * b2 * behind[:-2]
    bands[1, head:] = b1 * behind
    bands[1, head + 1 :] += b1 * b2 * behind[:-1]
    bands[2, head:] = b2 * behind
    return bands


def knot_step(delta_knot: float, sampling_rate: float) -> int:
    """Return the distance of the knots in samples.

    It is at most 1e12: larger distances give the same splines up to rounding, and integers of this
    size are still exact.
    """
    return round(min(delta_knot * sampling_rate, 1e12))


def place_knots(n: int, step: int, variant: str = "reference") -> np.ndarray:
    """Return the centres of the splines, in samples.

    The last centre is up to half a step after the end, or within the recording if `variant` is
    "neurokit".
    """
    return np.arange(0, n if variant == "neurokit" else n + step // 2, step)


def spline(distance: np.ndarray, step: int) -> np.ndarray:
    """Return the discrete cubic B-spline of peak 1 at a distance (in samples) from its knot.

    It is the convolution of four boxes of `step` samples. Its coefficients are those of
    ((1 - zˢ)/(1 - z))⁴; the rising half needs two terms of the binomial series.
    """

    def cubic(j: np.ndarray) -> np.ndarray:
        j = np.maximum(j, -1.0)
        return (j + 1) * (j + 2) * (j + 3) / 6

    def rise(distance: np.ndarray) -> np.ndarray:
        j = 2.0 * (step - 1) - distance
        return cubic(j) - 4 * cubic(j - step)

    return rise(distance) / rise(np.zeros(1))


@dataclass(frozen=True)
class Filter:
    """The phasic filter at a sampling rate: b₁, b₂, a₀, settle = (1 - ρ₀)(1 - ρ₁), ρ₀ and ρ₁."""

    b1: float
    b2: float
    lead: float
    settle: float
    rho0: float
    rho1: float


def discretise(sampling_rate: float, tau0: float, tau1: float) -> Filter:
    """Return the bilinear transform of the Bateman function."""
    slow, fast = 1 / max(tau0, tau1), 1 / min(tau0, tau1)
    delta = 1 / sampling_rate
    rho0, rho1 = ((2 - rate * delta) / (2 + rate * delta) for rate in (slow, fast))
    lead = (fast * delta + 2) * (slow * delta + 2) / ((fast - slow) * delta * delta)
    return Filter(-(rho0 + rho1), rho0 * rho1, lead, (1 - rho0) * (1 - rho1), rho0, rho1)


def _build(
    n: int,
    sampling_rate: float,
    tau0: float,
    tau1: float,
    delta_knot: float,
    gamma: float,
    variant: str,
    slope: float,
    fading: float,
) -> Problem:
    phasic = discretise(sampling_rate, tau0, tau1)
    b1, b2 = phasic.b1, phasic.b2

    step = knot_step(delta_knot, sampling_rate)
    splines = spline(np.abs(np.arange(n)[:, None] - place_knots(n, step, variant)), step)
    free = np.column_stack((np.ones(n), np.arange(1.0, n + 1) / n))
    head = 2 if variant == "neurokit" else 0
    if head:
        impulses = np.eye(n, 2, -2)
        free = np.hstack((free, lfilter([1.0], [1.0, b1, b2], impulses, axis=0)))

    penalty = np.repeat([gamma, 0.0], [splines.shape[1], free.shape[1]])
    penalty[splines.shape[1] + 1] = slope * (step / n) ** 2
    price = np.ones(n)
    if fading > 0:
        price = np.append(price, fading / phasic.lead)
    problem = Problem(
        b1=b1,
        b2=b2,
        lead=phasic.lead,
        settle=phasic.settle,
        rho0=phasic.rho0,
        rho1=phasic.rho1,
        price=price,
        head=head,
        penalty=penalty,
        filter_gram=_filter_gram(np.ones(n), b1, b2, head),
        **_derive(np.hstack((splines, free)), penalty == 0, b1, b2, head),
    )
    for shared in vars(problem).values():
        if isinstance(shared, np.ndarray):
            shared.flags.writeable = False
    return problem


_build_cached = lru_cache(maxsize=16)(_build)


def build_problem(
    n: int,
    sampling_rate: float,
    tau0: float,
    tau1: float,
    delta_knot: float,
    gamma: float,
    variant: str = "reference",
    slope: float = 0.0,
    fading: float = 0.0,
) -> Problem:
    """Return the problem for `n` samples.

    `slope` is the penalty on the square of the ramp's rise from knot to knot, and `fading` the
    price of the initial state over alpha (0: at rest). The other parameters are those of
    `decompose`.
    """
    elements = n * (n / (delta_knot * sampling_rate) + 3)
    build = _build_cached if elements <= _CACHED_ELEMENTS else _build
    return build(n, sampling_rate, tau0, tau1, delta_knot, gamma, variant, slope, fading)
