"""The 128 features as defined by edaemo."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from edaemo.features._cepstrum import HIGHEST, N_COEFFICIENTS, cepstrum, over_frames
from edaemo.features._moments import moments
from edaemo.features._scr import SMALLEST_US, area_above_onset, find_responses, scr_statistics

BAND_EDGES = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])  # Hz

SCR_NAMES = (
    "scr_count",
    "scr_amplitude_mean",
    "scr_rise_time_mean",
    "scr_amplitude_sum",
    "scr_rise_time_sum",
    "scr_area_sum",
)
TIME_NAMES = (
    "area",
    "mean",
    "std",
    "kurtosis",
    "skewness",
    "derivative_mean",
    "derivative_negative_mean",
)
SPECTRUM_NAMES = (
    "spectrum_centroid",
    "spectrum_mean",
    "spectrum_std",
    "spectrum_range",
    "spectrum_kurtosis",
    "spectrum_skewness",
)
BAND_NAMES = (
    "band_power_share",
    *(f"band_power_{low}_{high}" for low, high in pairwise(BAND_EDGES)),
    "band_power_min",
    "band_power_max",
    "band_power_std",
)
MFCC_NAMES = tuple(
    f"mfcc_{i:02d}_{statistic}"
    for i in range(N_COEFFICIENTS)
    for statistic in ("mean", "std", "median", "kurtosis", "skewness")
)
NAMES = (*SCR_NAMES, *TIME_NAMES, *SPECTRUM_NAMES, *BAND_NAMES, *MFCC_NAMES)
FAMILIES = {
    "SCR": SCR_NAMES,
    "time": TIME_NAMES,
    "spectrum": SPECTRUM_NAMES,
    "band power": BAND_NAMES,
    "cepstrum": MFCC_NAMES,
}


def features(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Compute the features `NAMES` of trials of equal length, shape (n_trials, 128)."""
    columns = [
        *_scr_features(phasic, sampling_rate),
        *_time_features(phasic, sampling_rate),
        *_spectrum_features(phasic, sampling_rate),
    ]
    coefficients = over_frames(cepstrum(phasic, sampling_rate))
    return np.hstack([np.stack(columns, axis=1), coefficients])


def _scr_features(phasic: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    responses = find_responses(phasic, min_amplitude_us=SMALLEST_US)
    area = area_above_onset(phasic, responses, sampling_rate)
    return [*scr_statistics(phasic, responses, sampling_rate), area]


def _time_features(phasic: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    slope = np.gradient(phasic, 1 / sampling_rate, axis=1)
    falls = np.sum(slope < 0, axis=1)
    fall = np.sum(np.minimum(slope, 0.0), axis=1) / np.maximum(falls, 1)
    around = phasic - np.mean(phasic, axis=1, keepdims=True)
    area = np.trapezoid(np.abs(around), dx=1 / sampling_rate, axis=1)
    return [area, *moments(phasic), np.mean(slope, axis=1), fall]


def power_spectrum(phasic: np.ndarray, sampling_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies above 0 Hz, in Hz, and the variance at each of them.

    The variances sum to the variance of the trial's samples for any length (Parseval).
    """
    n_samples = phasic.shape[1]
    spectrum = np.fft.rfft(phasic, axis=1)[:, 1:]
    power = 2 * (spectrum.real**2 + spectrum.imag**2) / n_samples**2
    if n_samples % 2 == 0:
        power[:, -1] /= 2  # the Nyquist frequency has no negative counterpart
    return np.fft.rfftfreq(n_samples, 1 / sampling_rate)[1:], power


def band_shares(
    frequency: np.ndarray, width: float, nyquist: float, edges: np.ndarray = BAND_EDGES
) -> np.ndarray:
    """Return the share of each frequency's power in each band, shape (n_frequencies, n_bands).

    The power of a frequency is spread evenly over `width` Hz around it; that of the Nyquist
    frequency over the half below it. A band that covers part of this range gets that part.
    """
    low = frequency[:, None] - width / 2
    high = np.minimum(frequency[:, None] + width / 2, nyquist)
    inside = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return np.maximum(inside, 0.0) / (high - low)


def _spectrum_features(phasic: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    frequency, power = power_spectrum(phasic, sampling_rate)
    width = sampling_rate / phasic.shape[1]
    kept = frequency <= HIGHEST
    density = np.sqrt(power[:, kept] / width)
    total = np.sum(density, axis=1)
    centroid = np.sum(density * frequency[kept], axis=1) / np.where(total > 0, total, 1.0)
    mean, spread, kurtosis, skewness = moments(density)
    span = np.max(density, axis=1) - np.min(density, axis=1)

    shares = band_shares(frequency, width, sampling_rate / 2)
    bands = np.stack([np.sum(power * share, axis=1) for share in shares.T], axis=1)
    variance = np.sum(power, axis=1)
    share = np.sum(bands, axis=1) / np.where(variance > 0, variance, 1.0)
    return [
        centroid,
        mean,
        spread,
        span,
        kurtosis,
        skewness,
        share,
        *bands.T,
        np.min(bands, axis=1),
        np.max(bands, axis=1),
        np.std(bands, axis=1),
    ]
