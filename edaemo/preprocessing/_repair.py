"""Repair of artefacts in raw recordings, for decompositions, features and responses alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from edaemo.decomposition import estimate_breathing
from edaemo.preprocessing._quality import signal_quality

# Values of the parameters `repair` and `breathing`, besides None.
REPAIRS = ("interpolate", "mask")
BREATHING = ("remove",)
# Keys of the positions in `signal_quality` that are artefacts. Saturation at the recording's own
# extremes is not among them: a quiet recording with coarse steps looks the same, and interpolation
# would give the same value.
ARTEFACTS = ("clipped", "spike", "lost_contact")
# Seconds before and after an artefact that count as part of it: the edges of a spike are often less
# steep than the limit of `signal_quality`.
MARGIN = 0.25


class Repaired(NamedTuple):
    """A recording without its artefacts.

    Parameters
    ----------
    signal : ndarray of float64 of shape (n_samples,)
        The recording. Samples of artefacts are interpolated, or NaN if they are masked.
    replaced : ndarray of bool of shape (n_samples,)
        Which samples were interpolated or masked.
    beyond_repair : bool
        Whether there are artefacts and fewer than two samples are free of them. The signal is then
        as recorded.
    """

    signal: np.ndarray
    replaced: np.ndarray
    beyond_repair: bool

    @property
    def n_repaired(self) -> int:
        """Number of replaced samples."""
        return int(self.replaced.sum())

    def leave_out(self, n_context: int) -> Repaired:
        """Return the recording without its first samples.

        Parameters
        ----------
        n_context : int
            Number of samples before the trial.

        Returns
        -------
        Repaired
            The rest.
        """
        return self._replace(signal=self.signal[n_context:], replaced=self.replaced[n_context:])


def repair_signals(
    signals: Sequence[np.ndarray], sampling_rate: float, repair: str | None
) -> list[Repaired]:
    """Replace the artefacts that `signal_quality` finds with its default thresholds.

    Artefacts are samples that are clipped, part of a spike or without contact, and the samples up
    to 0.25 s (at least one sample) before and after them.

    Parameters
    ----------
    signals : sequence of ndarray of float64 of shape (n_samples,)
        Recordings in µS; NaN for missing samples.
    sampling_rate : float
        Samples per second (Hz).
    repair : {"interpolate", "mask"} or None
        "interpolate": linear interpolation in time between the nearest samples without artefact
        (the nearest one at the ends). "mask": NaN. None: nothing is replaced. Missing samples
        remain missing.

    Returns
    -------
    list of Repaired
        The recordings, in order.
    """
    if repair is None:
        return [Repaired(signal, np.zeros(len(signal), bool), False) for signal in signals]
    cells = pd.Series(list(signals), dtype=object)
    margin = max(1, round(MARGIN * sampling_rate))
    return [
        _repair(signal, [ends for kind in ARTEFACTS for ends in positions[kind]], margin, repair)
        for signal, positions in zip(
            signals, signal_quality(cells, sampling_rate)["positions"], strict=True
        )
    ]


def remove_breathing(
    repaired: Sequence[Repaired], sampling_rate: float
) -> tuple[list[Repaired], list[np.ndarray]]:
    """Subtract the breathing that :func:`edaemo.decomposition.estimate_breathing` finds.

    Parameters
    ----------
    repaired : sequence of Repaired
        Recordings, in any unit.
    sampling_rate : float
        Samples per second (Hz).

    Returns
    -------
    calm : list of Repaired
        The recordings without their breathing.
    breathing : list of ndarray of float64 of shape (n_samples,)
        What was subtracted.
    """
    breathing = [estimate_breathing(repairs.signal, sampling_rate) for repairs in repaired]
    calm = [
        repairs._replace(signal=repairs.signal - of_trial)
        for repairs, of_trial in zip(repaired, breathing, strict=True)
    ]
    return calm, breathing


def _repair(
    signal: np.ndarray, artefacts: Sequence[tuple[int, int]], margin: int, repair: str
) -> Repaired:
    """Replace the samples of artefacts and of the margins around them."""
    seen = np.isfinite(signal)
    replaced = np.zeros(len(signal), bool)
    for start, stop in artefacts:
        replaced[max(0, start - margin) : stop + margin] = True
    replaced &= seen
    kept = np.flatnonzero(seen & ~replaced)
    if not replaced.any() or len(kept) < 2:
        return Repaired(signal, np.zeros(len(signal), bool), bool(replaced.any()))
    repaired = signal.copy()
    repaired[replaced] = np.nan
    if repair == "interpolate":
        repaired[replaced] = np.interp(np.flatnonzero(replaced), kept, signal[kept])
    return Repaired(repaired, replaced, False)


def describe_repairs(n_repaired: Sequence[int], beyond_repair: Sequence[bool]) -> list[str]:
    """Return sentences for a warning: what was repaired, and what could not be repaired.

    Parameters
    ----------
    n_repaired : sequence of int
        Number of replaced samples of each trial.
    beyond_repair : sequence of bool
        As in `Repaired`, of each trial.

    Returns
    -------
    list of str
        None, one or two sentences.
    """
    sentences = []
    n_trials = len(n_repaired)
    if rows := [row for row, n_samples in enumerate(n_repaired) if n_samples]:
        sentences.append(
            f"Artefacts were repaired in {len(rows)} of {n_trials} trials (first rows: "
            f"{rows[:3]}), {sum(n_repaired)} samples in all."
        )
    if lost := [row for row, is_lost in enumerate(beyond_repair) if is_lost]:
        sentences.append(
            f"{len(lost)} of {n_trials} trials (first rows: {lost[:3]}) have fewer than two "
            "samples without artefact and were not repaired: see signal_quality, and remove them."
        )
    return sentences
