"""Features of the skin conductance level, of responses to the trial's onset, and of two spectra."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, detrend, sosfiltfilt, welch

from edaemo.decomposition import RESOLUTION, SMALLEST_US, Components, scr_events
from edaemo.features._edaemo import band_shares

LATENCY = 1.0, 4.0  # s after the onset of the trial
EDGE = 1.0  # s at the start and at the end of the trial: no response begins in the first second
# Posada-Quintero et al. (2016a): segments of 128 samples at 2 Hz under a Blackman window.
SEGMENT = 64.0  # s
SYMPATHETIC = 0.045, 0.25  # Hz
HIGHEST = 1.0  # Hz, half their sampling rate
# Posada-Quintero et al. (2016b): the time-varying index has the band from 0.08 to 0.24 Hz.
CENTRE, HALF_WIDTH = 0.16, 0.08  # Hz
PADDING = 30.0  # s

LEVEL_NAMES = (
    "level_mean",
    "level_start",
    "level_end",
    "level_min",
    "level_max",
    "level_range",
    "level_std",
    "level_slope",
    "level_change",
    "level_change_share",
)
ONSET_NAMES = (
    "onset_response",
    "onset_latency",
    "onset_magnitude",
    "onset_largest",
    "onset_level_change",
)
RESPONSE_NAMES = ("response_rate", "response_amplitude_mean", "response_amplitude_rate")
SYMPATHETIC_NAMES = (
    "edasymp_power",
    "edasymp_share",
    "tvsymp_mean",
    "tvsymp_max",
    "tvsymp_amplitude",
)
NAMES = (*LEVEL_NAMES, *ONSET_NAMES, *RESPONSE_NAMES, *SYMPATHETIC_NAMES)
FAMILIES = {
    "level": LEVEL_NAMES,
    "onset": ONSET_NAMES,
    "SCR": RESPONSE_NAMES,
    "sympathetic spectrum": SYMPATHETIC_NAMES,
}


def features(parts: Components, sampling_rate: float, context: np.ndarray) -> np.ndarray:
    """Compute the features `NAMES` of trials of equal length, shape (n_trials, 23)."""
    eda = parts.phasic + parts.tonic + np.nan_to_num(parts.residual)
    responses = [
        _response_features(*of_trial, sampling_rate)
        for of_trial in zip(eda, parts.phasic, context, strict=True)
    ]
    columns = [
        *_level_features(eda, parts.tonic, sampling_rate),
        *np.array(responses).T,
        *_edasymp(eda, sampling_rate),
        *_tvsymp(eda, sampling_rate),
    ]
    return np.stack(columns, axis=1)


def _level_features(eda: np.ndarray, tonic: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    n_samples = eda.shape[1]
    edge, quarter = max(1, round(EDGE * sampling_rate)), max(1, n_samples // 4)
    level = tonic.mean(axis=1)
    time = (np.arange(n_samples) - (n_samples - 1) / 2) / sampling_rate
    slope = (tonic - level[:, None]) @ time / (time @ time)
    change = tonic[:, -quarter:].mean(axis=1) - tonic[:, :quarter].mean(axis=1)
    low, high = eda.min(axis=1), eda.max(axis=1)
    share = np.where(level > 0, change / np.where(level > 0, level, 1.0), 0.0)
    start, end = eda[:, :edge].mean(axis=1), eda[:, -edge:].mean(axis=1)
    spread = eda.std(axis=1)
    return [level, start, end, low, high, high - low, spread, slope, change, share]


def _response_features(
    eda: np.ndarray, phasic: np.ndarray, context: np.ndarray, sampling_rate: float
) -> list[float]:
    """Return the features of one trial's responses, in the order of their names."""
    responses = scr_events(phasic, sampling_rate, min_amplitude_us=SMALLEST_US, recording=eda)
    onsets, amplitudes = responses["onset"].to_numpy(), responses["amplitude"].to_numpy()
    early = (onsets >= LATENCY[0]) & (onsets <= LATENCY[1])
    first, latency, largest = 0.0, 0.0, 0.0
    if early.any():
        first, latency, largest = amplitudes[early][0], onsets[early][0], amplitudes[early].max()
    start, stop = (round(end * sampling_rate) for end in LATENCY)
    edge = max(1, round(EDGE * sampling_rate))
    is_known = len(context) >= edge and np.isfinite(context[-edge:]).all()
    level = context[-edge:].mean() if is_known else eda[:edge].mean()
    change = eda[start : stop + 1].max() - level
    minutes = len(eda) / sampling_rate / 60
    mean = amplitudes.mean() if len(amplitudes) else 0.0
    of_onset = [float(early.any()), latency, first, largest, change]
    return [*of_onset, len(onsets) / minutes, mean, amplitudes.sum() / minutes]


def _edasymp(eda: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    """Return the power in the sympathetic band, and its share of the power up to 1 Hz."""
    n_samples = min(eda.shape[1], round(SEGMENT * sampling_rate))
    frequency, density = welch(
        eda, sampling_rate, window="blackman", nperseg=n_samples, detrend="linear", axis=1
    )
    width = sampling_rate / n_samples
    highest = min(HIGHEST, sampling_rate / 2)
    edges = np.array([0.0, *SYMPATHETIC, highest])
    shares = band_shares(frequency[1:], width, sampling_rate / 2, edges)
    powers = width * np.stack([np.sum(density[:, 1:] * share, axis=1) for share in shares.T])
    band, total = powers[1], powers.sum(axis=0)
    seen = total > (RESOLUTION * np.abs(eda).max(axis=1)) ** 2
    return [np.where(seen, band, 0.0), np.where(seen, band / np.where(seen, total, 1.0), 0.0)]


def _tvsymp(eda: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    """Return mean and maximum of the time-varying index, and the mean amplitude."""
    padding = round(PADDING * sampling_rate)
    rest = np.pad(detrend(eda, axis=1), ((0, 0), (padding, padding)), mode="edge")
    time = np.arange(rest.shape[1]) / sampling_rate
    shift = np.exp(-2j * np.pi * CENTRE * time)
    low_pass = butter(4, HALF_WIDTH, fs=sampling_rate, output="sos")
    demodulated = rest * shift
    real, imaginary = (
        sosfiltfilt(low_pass, part, axis=1, padtype=None)[:, padding:-padding]
        for part in (demodulated.real, demodulated.imag)
    )
    amplitude = 2 * np.hypot(real, imaginary)
    # The band's signal is the real part, shifted back.
    back = np.conj(shift[padding:-padding])
    spread = np.std(2 * ((real + 1j * imaginary) * back).real, axis=1)
    seen = spread > RESOLUTION * np.abs(eda).max(axis=1)
    index = np.where(seen[:, None], amplitude / np.where(seen, spread, 1.0)[:, None], 0.0)
    return [index.mean(axis=1), index.max(axis=1), np.where(seen, amplitude.mean(axis=1), 0.0)]
