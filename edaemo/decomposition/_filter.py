"""Shared code of the filters: batches of equal length, least-squares lines, rounding errors.

In all filters the tonic component is the recording minus the phasic component.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import ceil
from numbers import Real

import numpy as np

from edaemo.decomposition._events import RESOLUTION
from edaemo.decomposition._method import DecompositionMethod
from edaemo.decomposition._problem import check_sampling_rate
from edaemo.decomposition._result import Components

BLOCK = 2**20  # samples per batch; bounds the memory


class Filter(DecompositionMethod):
    """Base class of decompositions that compute the phasic component by a filter.

    NaN samples are not accepted.
    """

    @abstractmethod
    def phasic(self, signals: np.ndarray, sampling_rate: float) -> np.ndarray:
        """Return the phasic components of recordings of equal length.

        Parameters
        ----------
        signals : ndarray of shape (n_trials, n_samples)
            Recordings, finite.
        sampling_rate : float
            Samples per second (Hz).

        Returns
        -------
        ndarray of shape (n_trials, n_samples)
            Phasic components, in the unit of the recordings.
        """

    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
        """Return the components of one recording."""
        return Components.from_phasic(signal, self.phasic(signal[None], sampling_rate)[0])

    def decompose_many(
        self, signals: Sequence[np.ndarray], sampling_rate: float, *, n_jobs: int | None = None
    ) -> list[Components]:
        """Return the components of several recordings; equal lengths are filtered together.

        numpy's loops over a batch are faster than processes, so `n_jobs` has no effect.
        """
        components: dict[int, Components] = {}
        lengths = np.array([len(signal) for signal in signals])
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            for block in np.array_split(places, ceil(len(places) * length / BLOCK)):
                batch = np.stack([signals[place] for place in block])
                phasic = self.phasic(batch, sampling_rate)
                for place, row in zip(block, phasic, strict=True):
                    components[place] = Components.from_phasic(signals[place], row)
        return [components[place] for place in range(len(signals))]


def check_number(name: str, value: float, *, below: float = np.inf) -> None:
    """Raise a ValueError unless a setting is a number above 0 and below `below`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < below:
        limit = "" if below == np.inf else f" and below {below:g}"
        raise ValueError(f"{name} must be a finite number above 0{limit}, got {value!r}.")


def check_cutoff(cutoff: float, sampling_rate: float) -> None:
    """Raise a ValueError unless the cutoff (Hz) is between 0 and half the sampling rate."""
    check_number("cutoff", cutoff, below=check_sampling_rate(sampling_rate) / 2)


def silence_rounding(phasic: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Set a phasic component to zero if it only holds rounding errors.

    The phasic component of a flat or linear trial is zero in exact arithmetic.

    Parameters
    ----------
    phasic : ndarray of shape (n_trials, n_samples)
        Computed phasic components.
    signals : ndarray of shape (n_trials, n_samples)
        The recordings.

    Returns
    -------
    ndarray of shape (n_trials, n_samples)
        The phasic components, with zeros in such trials.
    """
    loudest = np.max(np.abs(signals), axis=1, keepdims=True)
    # Divided by the peak, because squares of extreme values would overflow.
    relative = phasic / np.where(loudest > 0, loudest, 1.0)
    return np.where(np.std(relative, axis=1, keepdims=True) > RESOLUTION, phasic, 0.0)


def around_line(signals: np.ndarray) -> np.ndarray:
    """Subtract each recording's least-squares line; shape (n_trials, n_samples)."""
    time = np.linspace(-1, 1, signals.shape[1])
    slope = np.mean(signals * time, axis=1, keepdims=True) / np.mean(time**2)
    return signals - np.mean(signals, axis=1, keepdims=True) - slope * time
