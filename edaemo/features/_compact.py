"""Twenty features of level, slope, responses and variation, for short windows after an onset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import butter, sosfiltfilt

from edaemo.decomposition import Components, find_responses

RATE = 4.0  # Hz, at which the features are computed
SMOOTH = 1.0  # Hz, cutoff of the low-pass
ANTI_ALIAS = 1.6  # Hz, cutoff of the low-pass before the rate is reduced
PADDING = 10.0  # s
BEFORE = 5.0  # s before the onset that are the reference of the level
FEWEST_BEFORE = 1.0  # s of valid samples before the onset
# Offsets that keep the logarithms finite.
LEVEL, LOWEST, RISE, VARIATION = 0.05, 1e-3, 0.01, 1e-3  # µS (the last also µS/s)
SLOPE = 0.01  # µS/s, below which the transformed slope is nearly linear
AMPLITUDES = 0.01, 0.05  # µS
FIRST_AMPLITUDE, FIRST_ONSET = 0.005, (1.0, 5.0)  # µS; s after the onset of the trial

LEVEL_NAMES = (
    "log_level",
    "log_level_min",
    "log_level_q1",
    "log_level_q2",
    "log_level_q3",
    "log_level_q4",
    "log_change",
)
SLOPE_NAMES = ("slope", "relative_slope", "log_rising", "log_falling", "log_relative_rising")
RESPONSE_NAMES = (
    "log_rise",
    "responses_0.01",
    "amplitude_0.01",
    "responses_0.05",
    "amplitude_0.05",
    "first_response",
)
VARIATION_NAMES = ("log_std", "log_phasic_std")
NAMES = (*LEVEL_NAMES, *SLOPE_NAMES, *RESPONSE_NAMES, *VARIATION_NAMES)
FAMILIES = {
    "level": LEVEL_NAMES,
    "slope": SLOPE_NAMES,
    "SCR": RESPONSE_NAMES,
    "variation": VARIATION_NAMES,
}


def features(parts: Components, sampling_rate: float, before: np.ndarray) -> np.ndarray:
    """Compute the features `NAMES` of trials of equal length.

    Parameters
    ----------
    parts : Components
        Components of the trials, from the onset on, each of shape (n_trials, n_samples), in µS.
    sampling_rate : float
        Samples per second (Hz).
    before : ndarray of shape (n_trials, n_before)
        The recording before the onset, in µS; n_before may be 0, and samples may be NaN.

    Returns
    -------
    ndarray of float64 of shape (n_trials, 20)
        The features.
    """
    recording = parts.phasic + parts.tonic + np.nan_to_num(parts.residual)
    eda, phasic = (_smooth(_resample(x, sampling_rate)) for x in (recording, parts.phasic))
    mean = np.maximum(eda.mean(axis=1), LOWEST)
    reference = _reference(before, sampling_rate, eda[:, 0])
    columns = [
        *_level_features(eda, mean, reference),
        *_slope_features(eda, mean),
        *_response_features(eda, reference),
        np.log(eda.std(axis=1) + VARIATION),
        np.log(phasic.std(axis=1) + VARIATION),
    ]
    return np.stack(columns, axis=1)


def _resample(signals: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Return the signals at `RATE`, with the first sample at the same time."""
    if sampling_rate == RATE:
        return signals
    if sampling_rate > RATE:
        signals = _low_pass(signals, sampling_rate, 8, ANTI_ALIAS)
    n_samples = signals.shape[1]
    n_resampled = max(2, int(n_samples * RATE / sampling_rate + 1e-6))
    place = np.minimum(np.arange(n_resampled) * sampling_rate / RATE, n_samples - 1)
    left = np.minimum(place.astype(int), max(n_samples - 2, 0))
    share = place - left
    at_left, at_right = (np.take(signals, side, axis=1) for side in (left, left + 1))
    return at_left * (1 - share) + at_right * share


def _smooth(signals: np.ndarray) -> np.ndarray:
    return _low_pass(signals, RATE, 2, SMOOTH)


def _low_pass(signals: np.ndarray, sampling_rate: float, order: int, cutoff: float) -> np.ndarray:
    """Filter forwards and backwards; the signals are extended by their first and last value."""
    padding = round(PADDING * sampling_rate)
    padded = np.pad(signals, ((0, 0), (padding, padding)), mode="edge")
    sections = butter(order, cutoff, fs=sampling_rate, output="sos")
    filtered = sosfiltfilt(sections, padded, axis=1, padtype=None)[:, padding:-padding]
    return np.ascontiguousarray(filtered)  # sums over a row do not depend on the other rows


def _reference(before: np.ndarray, sampling_rate: float, first: np.ndarray) -> np.ndarray:
    """Return the mean level before the onset; `first` where fewer than 1 s is known."""
    last = before[:, max(0, before.shape[1] - round(BEFORE * sampling_rate)) :]
    known = np.isfinite(last)
    count = known.sum(axis=1)
    mean = np.where(known, last, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count >= round(FEWEST_BEFORE * sampling_rate), mean, first)


def _log(level: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(level, LOWEST) + LEVEL)


def _level_features(
    eda: np.ndarray, mean: np.ndarray, reference: np.ndarray
) -> Sequence[np.ndarray]:
    quarter = max(1, eda.shape[1] // 4)
    starts = np.minimum(np.arange(4) * quarter, eda.shape[1] - 1)
    quarters = [eda[:, start : start + quarter].mean(axis=1) for start in starts]
    level = _log(mean)
    return [
        level,
        _log(eda.min(axis=1)),
        *(_log(of_quarter) - level for of_quarter in quarters),
        level - _log(reference),
    ]


def _slope_features(eda: np.ndarray, mean: np.ndarray) -> Sequence[np.ndarray]:
    time = (np.arange(eda.shape[1]) - (eda.shape[1] - 1) / 2) / RATE
    slope = np.sum(eda * time, axis=1) / np.sum(time**2)
    change = np.diff(eda, axis=1) * RATE
    rising = np.maximum(change, 0).mean(axis=1)
    falling = np.maximum(-change, 0).mean(axis=1)
    return [
        np.arcsinh(slope / SLOPE),
        np.arcsinh(20 * slope / mean),
        np.log(rising + VARIATION),
        np.log(falling + VARIATION),
        np.log(rising / mean + VARIATION),
    ]


def _response_features(eda: np.ndarray, reference: np.ndarray) -> Sequence[np.ndarray]:
    minutes = eda.shape[1] / RATE / 60
    columns = [np.log(np.maximum(eda.max(axis=1) - reference, 0) + RISE)]
    for amplitude in AMPLITUDES:
        responses = find_responses(eda, min_amplitude=0.0, min_amplitude_us=amplitude)
        columns.append(responses.count() / minutes)
        columns.append(np.sqrt(responses.total(responses.amplitude)))
    early = find_responses(eda, min_amplitude=0.0, min_amplitude_us=FIRST_AMPLITUDE)
    start, stop = (end * RATE for end in FIRST_ONSET)
    early = early.select((early.onset >= start) & (early.onset <= stop))
    largest = np.zeros(len(eda))
    np.maximum.at(largest, early.trial, early.amplitude)
    return [*columns, np.sqrt(largest)]
