"""Cepstral coefficients of the phasic component over short frames, and their statistics."""

from __future__ import annotations

import numpy as np

from edaemo.features._moments import moments

N_COEFFICIENTS = 20
FRAME = 8.0  # seconds
HIGHEST = 2.0  # Hz
POINTS = 4  # frequencies between the centres of two neighbouring filters
FLOOR = 1e-10  # µS²/Hz
# Smaller differences between frames (in dB) are rounding errors.
RESOLUTION_DB = 1e-9


def dct_matrix(n: int, n_coefficients: int) -> np.ndarray:
    """Return the orthonormal discrete cosine transform of type II, shape (n, n_coefficients)."""
    order = np.arange(n_coefficients)
    cosines = np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * order / n)
    return cosines * np.sqrt(np.where(order == 0, 1.0, 2.0) / n)


def triangles(points: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return triangular filters of height 1 at `points`, shape (n_points, n_edges - 2)."""
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    up = (points[:, None] - low) / (centre - low)
    down = (high - points[:, None]) / (high - centre)
    return np.maximum(0.0, np.minimum(up, down))


def frames_of(n_samples: int, sampling_rate: float) -> tuple[int, int]:
    """Return the length of a frame and the distance between frames, in samples."""
    length = max(1, min(round(FRAME * sampling_rate), n_samples // 2))
    return length, max(1, length // 8)


def hann(length: int) -> np.ndarray:
    """Return the periodic Hann window, shape (length,); the window of length 1 is 1."""
    if length == 1:
        return np.ones(1)
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def cepstrum(phasic: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Compute the cepstral coefficients, shape (n_trials, 20, n_frames), in dB.

    Frames do not extend beyond the trial. For each frame, the spectral density is computed at 85
    frequencies from 0 to 2 Hz (or the Nyquist frequency) and averaged under 20 triangular filters.
    The coefficients are the cosine transform of 10 log10(1 + density / 1e-10 µS²/Hz). The mel
    scale is linear below 1 kHz, so the filters are equally spaced in Hz. The density is evaluated
    directly at the frequencies, not at the bins of a short FFT, so that no filter is empty.
    """
    length, hop = frames_of(phasic.shape[1], sampling_rate)
    highest = min(HIGHEST, sampling_rate / 2)
    edges = np.linspace(0, highest, N_COEFFICIENTS + 2)
    frequency = np.linspace(0, highest, POINTS * (N_COEFFICIENTS + 1) + 1)
    window = hann(length)
    angle = 2 * np.pi * np.arange(length)[:, None] * frequency / sampling_rate
    waves = window[:, None] * np.hstack([np.cos(angle), np.sin(angle)])
    filters = triangles(frequency, edges)
    filters = filters / np.sum(filters, axis=0) * 2 / (sampling_rate * np.sum(window**2))

    frames = np.lib.stride_tricks.sliding_window_view(phasic, length, axis=1)[:, ::hop]
    # One matrix product per trial: the rounding does not depend on the batch.
    spectrum = np.ascontiguousarray(frames) @ waves
    real, imaginary = spectrum[..., : len(frequency)], spectrum[..., len(frequency) :]
    density = (real**2 + imaginary**2) @ filters
    level = 10 * np.log10(1 + density / FLOOR)
    return np.swapaxes(level @ dct_matrix(N_COEFFICIENTS, N_COEFFICIENTS), 1, 2)


def over_frames(coefficients: np.ndarray) -> np.ndarray:
    """Return mean, std, median, kurtosis, skewness over frames, one coefficient after the other.

    Parameters
    ----------
    coefficients : ndarray of shape (n_trials, n_coefficients, n_frames)

    Returns
    -------
    ndarray of shape (n_trials, 5 * n_coefficients)
    """
    coefficients = np.ascontiguousarray(coefficients)
    mean, spread, kurtosis, skewness = moments(coefficients, smallest=RESOLUTION_DB)
    median = np.median(coefficients, axis=-1)
    statistics = np.stack([mean, spread, median, kurtosis, skewness], axis=-1)
    return statistics.reshape(len(coefficients), -1)
