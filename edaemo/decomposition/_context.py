"""Samples before a trial that are decomposed with it and left out of the result."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from edaemo.decomposition._result import Components

Parts = TypeVar("Parts", bound=Components)


def trim_context(signal: np.ndarray, n_context: int) -> tuple[np.ndarray, int]:
    """Return a recording without the missing samples at its beginning, if these are context.

    Parameters
    ----------
    signal : ndarray of shape (n_samples,)
        Context and trial; missing samples are NaN or infinite.
    n_context : int
        Number of samples before the trial.

    Returns
    -------
    signal : ndarray
        The recording from the first sample of the context that is not missing, or from the trial.
    n_context : int
        Number of samples before the trial that are left.
    """
    missing = ~np.isfinite(signal[:n_context])
    n_missing = len(missing) if missing.all() else int(np.argmin(missing))
    return signal[n_missing:], n_context - n_missing


def leave_out_context(parts: Parts, n_context: int) -> Parts:
    """Return components without their first samples.

    Parameters
    ----------
    parts : Components
        The components of context and trial.
    n_context : int
        Number of samples before the trial.

    Returns
    -------
    Components
        Those of the trial, of the class of `parts`.
    """
    if not n_context:
        return parts
    series = {name: getattr(parts, name) for name in ("phasic", "tonic", "driver", "residual")}
    cut = {name: x[n_context:].copy() for name, x in series.items() if x is not None}
    return replace(parts, **cut)
