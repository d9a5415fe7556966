"""Estimate breathing in a recording: a regular oscillation beneath the responses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import detrend

from edaemo.decomposition._problem import check_sampling_rate
from edaemo.decomposition._weights import inverse_filter, samples_of_average

SLOWEST, FASTEST = 0.1, 0.6  # Hz
LOWEST_RATE = 2.0  # Hz
SHORTEST = 15.0  # s

# Chosen on generated recordings, with regular and with irregular breathing (docs/responses.md).
_QUANTILE = 0.2
_LEVEL = 15.0  # s between the knots of the level
_HEIGHT = 12.0  # s between the knots of height and phase
_STIFFNESS = 0.3
_LEAST_GAIN = 5.0  # s

_WINDOW = 180.0  # s with one frequency
_CANDIDATES = 4  # peaks of the spectrum that are tried
_CLIP = 2.5  # median absolute residuals
_STEPS = 0.2, 0.1, 0.05  # of the frequency, in units of the inverse duration
_COARSE, _FINE = 8, 30  # iterations of a regression
_SMALLEST = 1e-3  # residual with the largest weight, in median absolute residuals


def estimate_breathing(y: ArrayLike, sampling_rate: float) -> np.ndarray:
    """Return the part of a recording that breathing causes, to be subtracted from it.

    The inverse of cvxEDA's filter, smoothed, turns a recording into an approximate driver
    (:func:`noise_weights` uses the same one). In this driver a response is short and positive, and
    breathing remains an oscillation. A level with a knot every 15 s and an oscillation between
    0.1 and 0.6 Hz are fitted to it by quantile regression [1]_ at 0.2: the fit follows what is
    beneath the responses. The frequency is constant over windows of about 180 s, which overlap by
    half; height and phase may change slowly, with a knot every 12 s. If the oscillation reduces the
    loss of the fit by a share of less than 5 s / duration, the window has no breathing.

    A regular oscillation is removed nearly completely. If rate or depth change from breath to
    breath, a part remains. ``docs/responses.md`` has the measurements.

    Parameters
    ----------
    y : array-like of shape (n,)
        The recording, in any unit; NaN and infinite samples are interpolated.
    sampling_rate : float
        Samples per second (Hz).

    Returns
    -------
    ndarray of float64 of shape (n,)
        In the unit of y. It is 0 where no breathing is found, and for recordings that are shorter
        than 15 s, have a sampling rate below 2 Hz or fewer than two finite samples.

    Raises
    ------
    ValueError
        If y has another shape, or the sampling rate is not a positive number.

    References
    ----------
    .. [1] R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978), 33-50.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.decomposition import estimate_breathing
    >>> time = np.arange(240) / 4
    >>> breathing = 0.02 * np.sin(2 * np.pi * 0.25 * time)
    >>> eda = 2 + breathing + 0.5 * np.exp(-np.maximum(time - 20, 0) / 3) * (time > 20)
    >>> rest = breathing - estimate_breathing(eda, 4)
    >>> bool(np.std(rest) < 0.1 * np.std(breathing))
    True
    """
    rate = check_sampling_rate(sampling_rate)
    recording = np.asarray(y, dtype=np.float64)
    if recording.ndim != 1:
        raise ValueError(f"y must be one recording, got shape {recording.shape}.")
    n_samples = len(recording)
    breathing = np.zeros(n_samples)
    seen = np.flatnonzero(np.isfinite(recording))
    if n_samples < SHORTEST * rate or rate < LOWEST_RATE or len(seen) < 2:
        return breathing
    if len(seen) < n_samples:
        recording = np.interp(np.arange(n_samples), seen, recording[seen])
    scale = float(np.abs(recording).max()) or 1.0
    recording = detrend(recording / scale)
    n_halves = max(2, round(2 * n_samples / (_WINDOW * rate)))
    edges = np.linspace(0, n_samples, n_halves + 1).astype(int)
    weight = np.zeros(n_samples)
    for start, stop in zip(edges[:-2], edges[2:], strict=True):
        place = np.arange(1, stop - start + 1)
        fading = np.minimum(place, place[::-1])  # so that one window blends into the next
        breathing[start:stop] += fading * _in_window(recording[start:stop], rate)
        weight[start:stop] += fading
    return scale * breathing / weight


def _in_window(recording: np.ndarray, rate: float) -> np.ndarray:
    """Return the breathing in a window; its frequency is constant."""
    n_averaged = samples_of_average(len(recording), rate)
    n_means = len(recording) // n_averaged
    means = recording[: n_means * n_averaged].reshape(n_means, n_averaged).mean(axis=1)
    rate_of_means = rate / n_averaged
    time = np.arange(n_means) / rate_of_means
    taps = inverse_filter(rate_of_means)[0]

    def filtered(columns: np.ndarray) -> np.ndarray:
        return np.stack([np.convolve(column, taps, "valid") for column in columns.T], axis=1)

    driver = filtered(means[:, None])[:, 0]
    level = filtered(_hats(time, time[-1], _LEVEL))
    _, flat_loss, rest = _regress(level, driver, _FINE)
    spread = float(np.median(np.abs(rest)))
    if spread <= 1e-9 * np.abs(driver).max():
        return np.zeros(len(recording))

    def loss(frequency: float) -> float:
        columns = np.hstack([level, filtered(_waves(time, frequency))])
        return _regress(columns, driver, _COARSE)[1]

    seconds = len(driver) / rate_of_means
    limit = _CLIP * spread
    frequency, least = _search(
        loss, _spectral_peaks(np.clip(rest, -limit, limit), rate_of_means), seconds
    )
    if (1 - least / flat_loss) * seconds < _LEAST_GAIN:
        return np.zeros(len(recording))

    hats = _hats(time, time[-1], _HEIGHT)
    waves = _waves(time, frequency)
    columns = np.hstack([level, *(filtered(hats * waves[:, [i]]) for i in (0, 1))])
    n_level, n_hats = level.shape[1], hats.shape[1]
    change = np.diff(np.eye(n_hats), axis=0)
    gain = np.median(np.abs(filtered(waves)))
    stiffness = _STIFFNESS * len(driver) / n_hats * gain**2 / spread
    penalty = np.zeros((columns.shape[1], columns.shape[1]))
    for i in (n_level, n_level + n_hats):
        penalty[i : i + n_hats, i : i + n_hats] = stiffness * change.T @ change
    found = _regress(columns, driver, _FINE, penalty)[0]

    at_samples = (np.arange(len(recording)) - (n_averaged - 1) / 2) / rate
    hats, waves = _hats(at_samples, time[-1], _HEIGHT), _waves(at_samples, frequency)
    cosine, sine = found[n_level : n_level + n_hats], found[n_level + n_hats :]
    # An average over several samples reduces the height of a wave.
    kept = np.sinc(frequency / rate_of_means) / np.sinc(frequency / rate)
    return (hats @ cosine * waves[:, 0] + hats @ sine * waves[:, 1]) / kept


def _hats(time: np.ndarray, end: float, spacing: float) -> np.ndarray:
    """Return linear B-splines with knots from 0 to `end`, one in each column."""
    n_knots = round(end / spacing) + 1
    if n_knots == 1:
        return np.ones((len(time), 1))
    place = np.clip(time, 0, end) * (n_knots - 1) / end
    return np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(n_knots)))


def _waves(time: np.ndarray, frequency: float) -> np.ndarray:
    """Return a cosine and a sine, one in each column."""
    angle = 2 * np.pi * frequency * time
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _spectral_peaks(rest: np.ndarray, rate: float) -> list[float]:
    """Return the frequencies (Hz) of the highest peaks of the spectrum."""
    tapered = (rest - rest.mean()) * np.hanning(len(rest))
    length = 8 * 2 ** int(np.ceil(np.log2(len(rest))))
    power = np.abs(np.fft.rfft(tapered, length)) ** 2
    frequency = np.fft.rfftfreq(length, 1 / rate)
    middle = slice(1, -1)
    peaks = 1 + np.flatnonzero(
        (power[middle] >= power[:-2])
        & (power[middle] >= power[2:])
        & (frequency[middle] >= SLOWEST)
        & (frequency[middle] <= FASTEST)
    )
    highest = peaks[np.argsort(-power[peaks], kind="stable")][:_CANDIDATES]
    return frequency[highest].tolist()


def _search(
    loss: Callable[[float], float], candidates: list[float], seconds: float
) -> tuple[float, float]:
    """Return the frequency with the least loss near the candidates, and this loss."""
    losses = {frequency: loss(frequency) for frequency in candidates}
    if not losses:
        return 0.0, np.inf
    best = min(losses, key=losses.__getitem__)
    for step in _STEPS:
        for frequency in (best - step / seconds, best + step / seconds):
            losses[frequency] = loss(frequency)
        best = min(losses, key=losses.__getitem__)
    return best, losses[best]


def _regress(
    columns: np.ndarray, values: np.ndarray, n_iter: int, penalty: np.ndarray | None = None
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return coefficients, loss and residuals of a quantile regression.

    The regression is done by repeated weighted least squares, with a quadratic penalty on the
    coefficients.
    """
    found = np.zeros(columns.shape[1])
    weights, smallest = np.ones(len(values)), 0.0
    rest = values
    for iteration in range(n_iter):
        normal = columns.T @ (columns * weights[:, None])
        if penalty is not None:
            normal += penalty
        normal[np.diag_indices_from(normal)] += 1e-10 * np.trace(normal) / len(normal)
        before, found = found, np.linalg.solve(normal, columns.T @ (weights * values))
        rest = values - columns @ found
        if iteration == 0:
            smallest = max(_SMALLEST * float(np.median(np.abs(rest))), np.finfo(float).tiny)
        weights = np.where(rest > 0, _QUANTILE, 1 - _QUANTILE) / np.maximum(np.abs(rest), smallest)
        if np.abs(found - before).max() <= 1e-3 * np.abs(found).max():
            break
    return found, float(np.sum(np.where(rest > 0, _QUANTILE, _QUANTILE - 1) * rest)), rest
