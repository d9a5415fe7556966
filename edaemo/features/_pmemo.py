"""The 128 features as defined by the notebook published with PMEmo, including its errors."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from edaemo.features import _edaemo
from edaemo.features._cepstrum import dct_matrix, hann, over_frames, triangles
from edaemo.features._moments import moments
from edaemo.features._scr import find_responses, scr_statistics

N_FFT, HOP, N_MELS, N_COEFFICIENTS = 2048, 512, 128, 20
AMIN, TOP_DB = 1e-10, 80.0

NAMES = (
    *("peakCount", "meanpeakAmplitude", "MeanRiseTime"),
    *("SumPeakAmplitude", "SumRiseTime", "SumAreas"),
    *("auc", "meanEDA", "stdEDA", "kurtEDA", "skewEDA", "meanDerivative", "meanNegativeDerivative"),
    *("SMA_f", "meanEDA_f", "stdEDA_f", "signalRange_f", "kurtEDA_f", "skewEDA_f"),
    "signalEnergy",
    *(f"SpectralPower_band{band}" for band in range(1, 6)),
    *("minSpectralPower", "maxSpectralPower", "varSpectralPower"),
    *(
        f"{statistic}MFCC[{i}]"
        for i in range(N_COEFFICIENTS)
        for statistic in ("mean", "std", "median", "kurt", "skew")
    ),
)

# The families are those of the other preset, in the same order.
_SIZES = [len(names) for names in _edaemo.FAMILIES.values()]
FAMILIES = {
    family: NAMES[stop - size : stop]
    for family, size, stop in zip(_edaemo.FAMILIES, _SIZES, accumulate(_SIZES), strict=True)
}


def scale(signals: np.ndarray) -> np.ndarray:
    """Scale each recording to 0 to 1; a flat one becomes zeros. NaN, masked samples, stay NaN."""
    low = np.nanmin(signals, axis=1, keepdims=True)
    span = np.nanmax(signals, axis=1, keepdims=True) - low
    return (signals - low) / np.where(span > 0, span, 1.0)


def features(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Compute the features `NAMES` of trials of equal length, shape (n_trials, 128)."""
    area = np.trapezoid(phasic, dx=1 / sampling_rate, axis=1)
    slope = np.mean(np.gradient(phasic, axis=1), axis=1)
    columns = [
        *scr_statistics(phasic, find_responses(phasic), sampling_rate),
        area,
        area,
        *moments(phasic),
        slope,
        -slope,
        *_spectrum_features(phasic, sampling_rate),
    ]
    return np.hstack([np.stack(columns, axis=1), over_frames(mfcc(phasic, sampling_rate))])


def _spectrum_features(phasic: np.ndarray, sampling_rate: float) -> list[np.ndarray]:
    magnitude = np.abs(np.fft.fft(phasic, axis=1))
    frequency = np.fft.fftfreq(phasic.shape[1], 1 / sampling_rate)
    # In the middle, the axis jumps from the highest frequency to the lowest.
    area = np.trapezoid(magnitude, x=frequency, axis=1)
    mean, spread, kurtosis, skewness = moments(magnitude)
    edges = [(0.0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, np.nextafter(0.5, 1))]
    energy = magnitude**2
    bands = np.stack(
        [np.sum(energy[:, (frequency >= low) & (frequency < high)], axis=1) for low, high in edges],
        axis=1,
    )
    return [
        area,
        mean,
        spread,
        np.max(magnitude, axis=1) - np.min(magnitude, axis=1),
        kurtosis,
        skewness,
        np.sum(energy[:, (frequency >= 0) & (frequency <= 0.5)], axis=1),
        *bands.T,
        np.min(bands, axis=1),
        np.max(bands, axis=1),
        np.var(bands, axis=1),
    ]


def mfcc(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Compute mel-frequency cepstral coefficients, shape (n_trials, 20, n_frames).

    The settings are those that librosa documents as defaults for 20 coefficients: centred frames
    of 2048 samples, 512 apart, zero-padded at the ends; a Hann window; the power under 128
    triangles of equal area on Slaney's mel scale from 0 Hz to the Nyquist frequency; levels in dB,
    at least -100 and at most 80 below the trial's maximum; an orthonormal cosine transform of
    type II.
    """
    padded = np.pad(phasic, ((0, 0), (N_FFT // 2, N_FFT // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=1)[:, ::HOP]
    spectrum = np.fft.rfft(frames * hann(N_FFT), axis=2)
    frequency = np.fft.rfftfreq(N_FFT, 1 / sampling_rate)
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(sampling_rate / 2), N_MELS + 2))
    filters = triangles(frequency, edges) * 2 / (edges[2:] - edges[:-2])
    power = (spectrum.real**2 + spectrum.imag**2) @ filters
    level = 10 * np.log10(np.maximum(power, AMIN))
    level = np.maximum(level, np.max(level, axis=(1, 2), keepdims=True) - TOP_DB)
    return np.swapaxes(level @ dct_matrix(N_MELS, N_COEFFICIENTS), 1, 2)


# Slaney's mel scale: linear up to 1 kHz (15 mel); above, 27 mel per factor of 6.4.
_KNEE_HZ, _KNEE_MEL, _OCTAVE = 1000.0, 15.0, np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz * _KNEE_MEL / _KNEE_HZ
    return _KNEE_MEL + np.log(hz / _KNEE_HZ) / _OCTAVE


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = _KNEE_HZ * np.exp(_OCTAVE * (mel - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _KNEE_HZ / _KNEE_MEL, above)
