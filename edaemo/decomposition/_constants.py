"""Time constants of skin conductance responses, fitted to recordings of one person."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from edaemo.decomposition._decompose import solve_many
from edaemo.decomposition._problem import check_sampling_rate
from edaemo.decomposition._result import Decomposition
from edaemo.decomposition._settings import CvxEDASettings, prepare_run

SLOW = 1.2, 1.6, 2.0, 2.8, 3.7, 5.0  # s
FAST = 0.4, 0.55, 0.7, 1.0, 1.35  # s
PUBLISHED = 2.0, 0.7  # s

# Closer pairs have nearly the same shape as a pair in between.
_LEAST_RATIO = 1.3
# Recordings are averaged to this rate (Hz) or a little more: a search at 50 Hz would take six times
# as long, and the shortest constant is three samples.
_RATE = 8.0
# Noise of neighbouring samples is not independent at higher rates (Hz).
_INDEPENDENT = 4.0
# Samples whose driver reaches this share of the largest count as parameters of the model.
_ACTIVE = 0.01
# The split needs less precision than a decomposition that is returned.
_TOLERANCE = 1e-5


def fit_time_constants(
    recordings: Iterable[ArrayLike],
    sampling_rate: float,
    *,
    slow: Iterable[float] = SLOW,
    fast: Iterable[float] = FAST,
    n_jobs: int | None = None,
) -> tuple[float, float]:
    """Return the time constants that explain the recordings of one person best.

    Each pair of the grid decomposes each recording with ``weights="noise"``. The pair with the
    smallest sum over recordings of the Bayesian information criterion

        n ln(mean squared residual) + k ln n

    is returned. k is the number of driver samples above 1 % of the largest, and one more for each
    run of such samples, its time. With wrong constants, each response needs additional driver
    samples. n and k count samples at 4 Hz. The criterion assumes white noise.

    One recording is enough if it has several responses. Recordings without responses have no
    influence; if no recording has a response, the constants are the pair of the grid that is
    nearest to the published pair, 2.0 and 0.7 s.

    Parameters
    ----------
    recordings : iterable of array-like
        Recordings, in any unit. NaN samples are interpolated.
    sampling_rate : float
        Samples per second (Hz).
    slow, fast : iterable of float
        The grid, in seconds. Pairs with a ratio below 1.3 are left out.
    n_jobs : int or None, default=None
        Number of threads, as in joblib.

    Returns
    -------
    tau0, tau1 : float
        Slow and fast constant in seconds, for ``decompose(tau0=…, tau1=…)``.

    Raises
    ------
    ValueError
        If `recordings` is empty, or all pairs of the grid have a ratio below 1.3.

    Notes
    -----
    The time is that of ``len(slow) * len(fast)`` decompositions of each recording at 8 Hz.

    References
    ----------
    .. [1] G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6(2), 1978.
    """
    rate = check_sampling_rate(sampling_rate)
    averaged = max(1, int(rate / _RATE))
    shortened = [_average(recording, averaged) for recording in recordings]
    rate /= averaged
    pairs = [pair for pair in product(slow, fast) if pair[0] >= _LEAST_RATIO * pair[1]]
    if not shortened or not pairs:
        missing = "recording" if not shortened else f"pair with a ratio of at least {_LEAST_RATIO}"
        raise ValueError(f"fit_time_constants needs at least one {missing}.")
    pairs.sort(key=lambda pair: abs(np.log(np.divide(pair, PUBLISHED))).sum())
    totals = []
    for tau0, tau1 in pairs:
        settings = CvxEDASettings(tau0, tau1, tol=_TOLERANCE, certificate=False, weights="noise")
        run = prepare_run(settings, rate, on_failure="raise", missing="raise")
        results = solve_many(shortened, run, n_jobs=n_jobs)
        totals.append(sum(_criterion(result, rate) for result in results))
    tau0, tau1 = pairs[int(np.argmin(totals))]
    return float(tau0), float(tau1)


def _average(recording: ArrayLike, averaged: int) -> np.ndarray:
    y = np.asarray(recording, dtype=np.float64)
    seen = np.flatnonzero(np.isfinite(y))
    if 0 < len(seen) < len(y):
        y = np.interp(np.arange(len(y)), seen, y[seen])
    n = len(y) // averaged
    return y[: n * averaged].reshape(n, averaged).mean(axis=1)


def _criterion(result: Decomposition, rate: float) -> float:
    """Return the information criterion of one recording; 0 without responses."""
    peak = result.driver.max()
    if not peak > 0:
        return 0.0
    active = result.driver > _ACTIVE * peak
    share = min(1.0, _INDEPENDENT / rate)
    n = share * len(active)
    runs = np.count_nonzero(np.diff(active, prepend=False) & active)
    size = share * np.count_nonzero(active) + runs
    return float(n * np.log(np.mean(result.residual**2)) + size * np.log(n))
