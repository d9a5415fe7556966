"""Weights of cvxEDA: the penalties as numbers, and a rule that follows a recording's noise."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter
from scipy.special import ndtri

from edaemo.decomposition._problem import check_sampling_rate, discretise

# Penalties on the tonic component in seconds, price of the initial state, and the two shares that
# enter alpha. They were chosen on generated studies (docs/decomposition.md).
GAMMA = 0.25
SLOPE = 0.5
FADING = 0.25
NOISE_SHARE = 0.5
SPREAD_SHARE = 0.03

# Noise is measured on averages over intervals of about a quarter of a second.
_RATE = 4.0  # Hz
# Constants of the filter whose inverse gives the driver for the measurement of noise, in seconds.
_CONSTANTS = 2.0, 0.7
_SMOOTH = 0.35  # s, standard deviation of the Gaussian that smooths this driver
_BLOCK = 12.0  # s, in which the tonic part of this driver hardly changes
_LOW, _MIDDLE = 0.05, 0.3  # quantiles of the driver that responses, which are positive, leave alone
_KEPT = 0.8  # share of the third differences, without the largest
# The lower quantiles of a driver with responses are wider than those of noise alone.
_RESPONSES = 0.7

# Share of recordings in which noise may cause a rise that counts.
_FALSE_RISES = 0.05

# Distance of the two quantiles of a standard normal variable.
_DISTANCE = ndtri(_MIDDLE) - ndtri(_LOW)
# Variance of a standard normal variable within its central share, and that of its third difference.
_END = ndtri(0.5 + _KEPT / 2)
_CENTRAL = 1 - 2 * _END * np.exp(-0.5 * _END**2) / np.sqrt(2 * np.pi) / _KEPT
_THIRD = 1 + 9 + 9 + 1


@dataclass(frozen=True)
class Weights:
    """The penalties of a decomposition, in the unit of the recording.

    The objective is ½‖residual‖² + alpha (Σ driver + sampling_rate · fading · initial)
    + ½ gamma ‖spline‖² + ½ slope rise², where ``initial`` is the height, at the first sample, of
    the part of the phasic component that fades from before the recording, and ``rise`` is the rise
    of the drift from knot to knot.

    Parameters
    ----------
    alpha : float
        Penalty on the driver; in the unit of the recording.
    gamma : float
        Penalty on the tonic spline.
    slope : float
        Penalty on the slope of the drift; 0 leaves it free.
    fading : float
        Price of the initial state: a height of 1 costs as much as an impulse of the driver with
        this integral. 0 means that the filter is at rest before the first sample.
    """

    alpha: float
    gamma: float
    slope: float = 0.0
    fading: float = 0.0

    def check(self) -> None:
        """Raise a ValueError if a number is out of its range."""
        for field in fields(self):
            value: float = getattr(self, field.name)
            least = field.name in ("alpha", "gamma")
            if (
                isinstance(value, bool)
                or not isinstance(value, Real)
                or not np.isfinite(value)
                or value < 0
                or (least and value == 0)
            ):
                raise ValueError(
                    f"weights.{field.name} must be a finite number "
                    f"{'above 0' if least else 'of at least 0'}, got {value!r}."
                )


def noise_weights(
    y: ArrayLike, sampling_rate: float, *, tau0: float = 2.0, tau1: float = 0.7
) -> Weights:
    """Return the weights that ``decompose(..., weights="noise")`` uses for a recording.

    White noise of standard deviation σ changes the correlation of a recording with the response h
    to one sample of the driver by ``σ|h|``, and its largest change among N independent places is
    about ``σ|h|√(2 ln N)`` (Donoho & Johnstone, Biometrika 81, 1994). A driver with less
    correlation is not distinguishable from noise. With s, the standard deviation of the recording
    around its line::

        alpha² = (0.5 σ |h| √(2 ln N))² + (0.03 s)²,    N = duration / tau1.

    The second term represents the error of the model, which is proportional to the responses.
    gamma = 0.25 · sampling_rate, slope = 0.5 · sampling_rate and fading = 0.25 do not depend on the
    recording. So the driver has the unit of the recording, in any unit; at another sampling rate,
    all terms of the objective change by the same factor.

    σ is the largest of three estimates:

    - from third differences of averages over a quarter of a second, without the largest 20 %;
    - from the driver that the inverse of the filter gives, smoothed: responses are positive, so
      the distance between its 5 % and 30 % quantiles within 12 s measures noise. This estimate
      includes noise at the frequencies of responses, such as breathing;
    - the rounding error of the sensor, its step divided by √12.

    Parameters
    ----------
    y : array-like of shape (n,)
        The recording; NaN and infinite samples are interpolated.
    sampling_rate : float
        Samples per second (Hz).
    tau0, tau1 : float
        Time constants in seconds.

    Returns
    -------
    Weights
        ``alpha`` is in the unit of y.

    Raises
    ------
    ValueError
        If y has another shape or fewer than two finite samples, or `tau0` equals `tau1`.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.decomposition import noise_weights
    >>> eda = 2 + 0.01 * np.random.default_rng(0).standard_normal(400)
    >>> in_microsiemens = noise_weights(eda, 4.0)
    >>> in_nanosiemens = noise_weights(1000 * eda, 4.0)
    >>> round(in_nanosiemens.alpha / in_microsiemens.alpha, 6)
    1000.0
    """
    rate = check_sampling_rate(sampling_rate)
    recording = np.asarray(y, dtype=np.float64)
    seen = np.flatnonzero(np.isfinite(recording))
    if recording.ndim != 1 or len(seen) < 2:
        raise ValueError(
            f"y must be one recording with at least two finite samples, got shape "
            f"{recording.shape} and {len(seen)} finite samples."
        )
    if tau0 == tau1:
        raise ValueError(f"tau0 and tau1 must differ, got {tau0!r} for both.")
    if len(seen) < len(recording):
        recording = np.interp(np.arange(len(recording)), seen, recording[seen])
    # Squares of extreme values would overflow.
    scale = float(np.abs(recording).max()) or 1.0
    recording = recording / scale
    averaged = samples_of_average(len(recording), rate)
    blocks = len(recording) // averaged
    means = recording[: blocks * averaged].reshape(blocks, averaged).sum(axis=1) / averaged
    noise = max(_from_differences(means), _from_driver(means, rate / averaged))
    noise = max(noise * np.sqrt(averaged), _step(recording) / np.sqrt(12))
    places = max(2.0, len(recording) / rate / min(tau0, tau1))
    detectable = noise * _response_norm(rate, tau0, tau1) * np.sqrt(2 * np.log(places))
    alpha = scale * np.hypot(NOISE_SHARE * detectable, SPREAD_SHARE * _spread(means))
    return Weights(float(max(alpha, np.finfo(np.float64).tiny)), GAMMA * rate, SLOPE * rate, FADING)


def samples_of_average(n_samples: int, sampling_rate: float) -> int:
    """Return the number of samples in a quarter of a second, at most an eighth of the recording."""
    return max(1, min(int(sampling_rate / _RATE), n_samples // 8))


def largest_rise_of_noise(y: np.ndarray, sampling_rate: float) -> float:
    """Return a rise that the noise of a recording exceeds in at most one of twenty recordings.

    The rises are those of averages over a quarter of a second. The difference of two averages with
    independent noise of standard deviation σ has √2 σ. It exceeds 2 σ √(ln(N / 0.05)) with a
    probability below 0.05 / N, the largest of N of them therefore with one below 0.05. N is the
    number of samples. σ is the larger of the estimate from third differences and the rounding
    error, as in `noise_weights`. Slow noise, such as breathing, is not part of it.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The recording, finite.
    sampling_rate : float
        Samples per second (Hz).

    Returns
    -------
    float
        In the unit of y.
    """
    averaged = samples_of_average(len(y), sampling_rate)
    blocks = len(y) // averaged
    means = y[: blocks * averaged].reshape(blocks, averaged).mean(axis=1)
    noise = max(_from_differences(means), _step(y) / np.sqrt(12 * averaged))
    return float(2 * noise * np.sqrt(np.log(len(y) / _FALSE_RISES)))


def _from_differences(means: np.ndarray) -> float:
    """Return the noise of averages from their third differences."""
    kept = int(_KEPT * (len(means) - 3))
    if kept < 1:
        return 0.0
    differences = np.sort(np.abs(np.diff(means, 3)))[:kept]
    variance = (differences * differences).sum() / len(differences)
    return float(np.sqrt(variance / (_CENTRAL * _THIRD)))


def _from_driver(means: np.ndarray, rate: float) -> float:
    """Return the noise of averages from the lower quantiles of the driver."""
    taps, spread = inverse_filter(rate)
    n = len(means) - len(taps) + 1
    blocks = max(1, round(n / (_BLOCK * rate)))
    size = n // blocks
    if size < 1 / _LOW:
        return 0.0
    driver = np.convolve(means - means[0], taps, "valid")[: blocks * size].reshape(blocks, size)
    driver = np.sort(driver, axis=1)
    low, middle = int(_LOW * size), int(_MIDDLE * size)
    distance = (driver[:, middle] - driver[:, low]).sum() / blocks
    return float(_RESPONSES * distance / spread)


@lru_cache(maxsize=16)
def inverse_filter(rate: float) -> tuple[np.ndarray, float]:
    """Return the smoothed inverse of the filter, and the quantile distance for unit noise."""
    phasic = discretise(rate, *_CONSTANTS)
    reach = max(1, round(3 * _SMOOTH * rate))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_SMOOTH * rate)) ** 2)
    taps = np.convolve([1.0, phasic.b1, phasic.b2], bell / bell.sum())
    return taps, float(np.sqrt((taps * taps).sum()) * _DISTANCE)


@lru_cache(maxsize=64)
def _response_norm(rate: float, tau0: float, tau1: float) -> float:
    """Return the norm of the response to one sample of the driver."""
    phasic = discretise(rate, tau0, tau1)
    impulse = np.zeros(3 + int(20 * max(tau0, tau1) * rate))
    impulse[0] = 1 / phasic.lead
    response = lfilter([1.0, 2.0, 1.0], [1.0, phasic.b1, phasic.b2], impulse)
    return float(np.sqrt((response * response).sum()))


def _spread(y: np.ndarray) -> float:
    """Return the standard deviation around the least-squares line."""
    time = np.arange(len(y)) - (len(y) - 1) / 2
    rest = y - y.mean()
    rest = rest - (time * rest).sum() / (time * time).sum() * time
    return float(np.sqrt((rest * rest).sum() / len(y)))


def _step(y: np.ndarray) -> float:
    """Return the smallest difference of two samples in a row; 0 if all are equal."""
    differences = np.abs(np.diff(y))
    if not len(differences):
        return 0.0
    changes = differences[differences > 1e-9 * differences.max()]
    return float(changes.min()) if len(changes) else 0.0
