"""Mean, standard deviation, kurtosis and skewness along the last axis, also of constants."""

from __future__ import annotations

import numpy as np

from edaemo.decomposition import RESOLUTION


def moments(
    values: np.ndarray, *, smallest: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation (ddof 0), excess kurtosis and skewness (both biased).

    Values count as constant if their standard deviation is at most `smallest`, or at most 1e-9 of
    their largest absolute value. Standard deviation, kurtosis and skewness are then 0.
    """
    mean = np.mean(values, axis=-1, keepdims=True)
    spread = np.sqrt(np.mean((values - mean) ** 2, axis=-1, keepdims=True))
    level = np.max(np.abs(values), axis=-1, keepdims=True)
    varies = spread > np.maximum(RESOLUTION * level, smallest)
    z = np.where(varies, (values - mean) / np.where(varies, spread, 1.0), 0.0)
    square = z * z
    kurtosis = np.where(varies[..., 0], np.mean(square * square, axis=-1) - 3.0, 0.0)
    skewness = np.mean(square * z, axis=-1)
    return mean[..., 0], np.where(varies, spread, 0.0)[..., 0], kurtosis, skewness
