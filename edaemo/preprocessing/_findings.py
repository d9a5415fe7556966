"""Findings on the quality of one raw recording, as sentences and as a mask of usable samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edaemo.preprocessing._quality import signal_quality

# The sensor has settled when it first reaches this share of the level; see `describe_quality`.
SETTLED = 0.9
# Longest settling of a sensor, and the time that determines the level after it, in seconds.
LONGEST_SETTLING = 15.0
LEVEL_SECONDS = 30.0
# Kinds of `signal_quality` → words for messages. A sample of several kinds is of the first of them:
# a run of zeros is a loss of contact, not a saturated recorder.
_KINDS = {
    "missing": "are missing",
    "lost_contact": "are without contact to the skin",
    "saturated": "are saturated",
}


@dataclass(frozen=True)
class RecordingQuality:
    """Quality of one recording.

    Parameters
    ----------
    usable : ndarray of shape (n_samples,)
        Of dtype bool; False for samples that are missing, without contact, saturated or from the
        settling of the sensor, and for all samples of a flat recording.
    findings : tuple of str
        A sentence for each defect.
    """

    usable: np.ndarray
    findings: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of usable samples."""
        return float(np.mean(self.usable))


def describe_quality(eda: np.ndarray, sampling_rate: float) -> RecordingQuality:
    """Return the findings of `signal_quality` for one recording, and its usable samples.

    Sensors settle after they are switched on: the first sample of an Empatica E4 is 0, and the next
    seconds rise to the level of the skin. A recording settles if its first sample is below half of
    the level of the next 30 s, up to the sample that first reaches 90 % of this level, if it does
    so within 15 s. A sample is counted once: as missing, else as without contact, else as
    saturated.

    Parameters
    ----------
    eda : ndarray of shape (n_samples,)
        Raw recording in microsiemens; NaN where samples are missing.
    sampling_rate : float
        In Hz.

    Returns
    -------
    RecordingQuality
        The usable samples and the findings.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.preprocessing import describe_quality
    >>> eda = np.concatenate([[0.0, 0.8, 1.6], 2 + 0.1 * np.sin(np.arange(200) / 9)])
    >>> found = describe_quality(eda, 4)
    >>> found.findings
    ('the first sample is 0.', 'the sensor settles during the first 0.75 s.')
    >>> int(np.sum(~found.usable))
    3
    """
    row = signal_quality([eda], sampling_rate).iloc[0]
    usable = np.ones(len(eda), dtype=bool)
    findings = []
    if eda[0] == 0:
        usable[0] = False
        findings.append("the first sample is 0.")
    n_settling = _count_settling(eda, sampling_rate)
    if n_settling > 1:
        usable[:n_settling] = False
        findings.append(f"the sensor settles during the first {n_settling / sampling_rate:.3g} s.")
    counted = np.zeros(len(eda), dtype=bool)
    for kind, words in _KINDS.items():
        bad = np.zeros(len(eda), dtype=bool)
        for start, stop in row["positions"][kind]:
            bad[start:stop] = stop > max(n_settling, 1)
        bad &= ~counted
        if bad.any():
            findings.append(f"{np.mean(bad):.1%} of the samples {words}.")
        counted |= bad
    usable &= ~counted
    if row["flat"]:
        usable[:] = False
        findings.append("flat: the samples vary by less than 0.01 µS.")
    return RecordingQuality(usable, tuple(findings))


def _count_settling(eda: np.ndarray, sampling_rate: float) -> int:
    """Return the number of samples at the beginning while the sensor settles."""
    first = eda[: max(2, round((LONGEST_SETTLING + LEVEL_SECONDS) * sampling_rate))]
    finite = first[np.isfinite(first)]
    level = float(np.median(finite)) if len(finite) else 0.0
    if not eda[0] < level / 2:
        return 0
    reached = np.flatnonzero(first >= SETTLED * level)
    settled = len(reached) > 0 and reached[0] <= LONGEST_SETTLING * sampling_rate
    return int(reached[0]) if settled else 0
