"""Find recordings that are copies of one another or that overlap in time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import maximum_filter1d
from scipy.spatial import cKDTree
from sklearn.utils import Bunch

from edaemo._validation import LARGEST, read_cell, read_rows, signal_cells

# A fingerprint: differences between the means of successive steps of a recording.
_STEPS = 16
_STEPS_IN_RECORDING = 192
_MOST_FINGERPRINTS = 200_000  # of all recordings together
_FEWEST_CHANGES = 3.0  # effective number of changes in a fingerprint
_NEIGHBOURS = 8
_SAME_FINGERPRINT = 0.02  # distance of fingerprints, vectors of norm 1
# A signature: the same for a whole recording, at any number of samples.
_PARTS, _MOST_PARTS = 24, 96
_SAMPLES_IN_PART = 8
_SAME_SIGNATURE, _SAME_COURSE = 0.8, 0.4
# A pair is a copy if the changes in the common stretch correlate at least so much, and fewer than
# so many pairs of this kind are expected by chance among all pairs and lags.
LEAST_CORRELATION = 0.9
MOST_BY_CHANCE = 1e-3
# All responses have the same form. So the changes of a signal without noise are less independent
# than their number and spectrum tell, and recordings with a few large responses at the same times
# correlate highly. Both numbers were chosen on generated recordings without noise.
_INDEPENDENT, _ALMOST_EQUAL = 0.4, 0.99
_FEWEST_SAMPLES = 16
_LARGEST_CHANGE = 2.0  # times the mean size of the changes
_LEAST_UNEXPLAINED = 2.0**-24  # a recorder has few digits, so equality is not unlimited evidence
_SPANS_OF_NOISY = 2, 4, 8
_SPAN_AT_OTHER_RATES = 2  # resampling changes single samples

_Candidate = tuple[int, int, int]  # two recordings and a lag


def find_copies(trials: object) -> pd.DataFrame:
    """Find recordings that are copies of one another or that overlap in time.

    A copy may be identical, have another gain and offset, be shifted or cut by any number of
    samples, or hold the whole recording with another number of samples (decimated or resampled). A
    copy of the whole recording may also have noise that is small next to its changes. Windows of
    one recording that overlap are found if they share about a fifth of their length. The time grows
    almost in proportion to the number of samples.

    Two recordings are a pair if the second differences in their common stretch correlate by at
    least 0.9, and if fewer than 0.001 such pairs are expected by chance among all pairs and lags of
    these recordings. Second differences hold the noise of the recorder, which two recordings of the
    same response do not share. In whole recordings whose courses are alike, the differences of
    means of 2, 4 or 8 samples are compared, too, since means have less noise. At other rates, the
    differences of means of two samples correlate. The chance takes into account how many samples in
    effect change, and for quantised recordings how many different changes there are. So a single
    step in a flat stretch is not evidence for a copy. Constant recordings are not copies of one
    another. Nor are sine waves and lines, unless they are identical to the last bit. Generated
    signals without noise can be copies by their formula.

    Parameters
    ----------
    trials : DataFrame, Series, array of shape (n_trials, n_samples) or Bunch
        A trials table (its column ``eda``), a Series, object array or one-column frame of signals,
        a 2-D array of numbers, or the Bunch of a loader. Missing samples are interpolated. Of a
        cell of shape (n_chans, n_times), the first channel is compared.

    Returns
    -------
    DataFrame of shape (n_pairs, 6)
        One row for each pair: ``first`` and ``second``, row numbers in `trials`, with first <
        second; ``kind``, "identical", "same rate" or "other rate"; ``lag``, the sample of
        ``first`` at the time of sample 0 of ``second`` ("other rate": 0); ``n_common``, length of
        the common stretch in samples (of the shorter recording, for "other rate");
        ``correlation``, 1 if identical. Each of k identical recordings is listed with the first
        of them only, and pairs of other kinds are listed for that first one only.

        ``attrs``: ``n_recordings``; ``n_pairs``, number of all pairs of different recordings that
        are not constant; ``n_constant``; ``n_short``, recordings that are too short to be compared
        unless they are identical.

    Raises
    ------
    ValueError
        If `trials` does not hold signals, or a signal does not hold real numbers.

    Notes
    -----
    Of a stretch that occurs more than eight times, some pairs may be missing. A part of a recording
    at another sampling rate is not found. Most copies of wrist recordings that were filtered,
    rounded more coarsely, or given noise of a recorder's step (0.001 µS) or more are not found, nor
    are those turned upside down or reversed; ``docs/near-copies.md`` has the shares.

    For random differences with n effective values, the chance of a correlation r is at most (1 −
    r²)^((n − 2) / 2). n is the smaller one of the participation ratios of the squared differences
    and of their power spectrum. At the same rate it is multiplied by 0.4 if r is below 0.99 or of
    means, because all responses have the same form. For quantised recordings the chance is at least
    2^(−H), where H is the entropy of the differences in bits.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.preprocessing import find_copies
    >>> eda = np.random.default_rng(0).normal(size=(3, 300)).cumsum(axis=1)
    >>> windows = [eda[0, :200], eda[1, :200], 2 * eda[0, 100:] + 1]
    >>> find_copies(windows)[["first", "second", "kind", "lag", "n_common"]]
       first  second       kind  lag  n_common
    0      0       2  same rate  100       100
    """
    signals = _read_signals(trials)
    constant = np.array([np.ptp(signal) == 0 for signal in signals], dtype=bool)
    identical, distinct = _group_identical(signals, constant)
    compared = [signals[row] for row in distinct]
    lengths = np.array([len(signal) for signal in compared], dtype=int)
    n_pairs = len(compared) * (len(compared) - 1) // 2
    rows: list[tuple[Any, ...]]
    rows = [(first, row, "identical", 0, len(signals[row]), 1.0) for first, row in identical]
    near = _find_near(compared, lengths, MOST_BY_CHANCE / n_pairs) if n_pairs else []
    rows += [(distinct[first], distinct[second], *about) for first, second, *about in near]
    columns = ["first", "second", "kind", "lag", "n_common", "correlation"]
    table = pd.DataFrame(sorted(rows), columns=columns)
    kinds = dict.fromkeys(["first", "second", "lag", "n_common"], np.int64)
    table = table.astype({**kinds, "correlation": np.float64})
    table.attrs = {
        "n_recordings": len(signals),
        "n_pairs": n_pairs,
        "n_constant": int(constant.sum()),
        "n_short": int(np.sum(lengths < _FEWEST_SAMPLES + 2)),
    }
    return table


def _read_signals(trials: object) -> list[np.ndarray]:
    """Return one finite 1-D signal for each trial; missing samples are interpolated."""
    if isinstance(trials, Bunch):
        trials = trials.trials
    if isinstance(trials, (list, tuple)):
        objects = np.empty(len(trials), dtype=object)
        objects[:] = trials
        trials = objects
    cells = signal_cells(trials)
    if cells is None:
        cells = read_rows("find_copies", trials, reset=None, finite=False)
    signals = []
    for row, cell in enumerate(cells):
        values = read_cell(trials, row, cell)
        signal = values.reshape(-1, values.shape[-1])[0]
        finite = np.abs(signal) <= LARGEST
        if not finite.all():
            place = np.arange(len(signal))
            known = place[finite] if finite.any() else place
            signal = np.interp(place, known, signal[finite] if finite.any() else 0.0 * known)
        signals.append(signal)
    return signals


def _group_identical(
    signals: Sequence[np.ndarray], constant: np.ndarray
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the pairs of a recording with the first identical one, and the distinct recordings."""
    first: dict[bytes, int] = {}
    identical = []
    for row in np.flatnonzero(~constant).tolist():
        digest = blake2b(np.ascontiguousarray(signals[row]).data, digest_size=16).digest()
        if first.setdefault(digest, row) != row:
            identical.append((first[digest], row))
    return identical, list(first.values())


def _find_near(
    signals: Sequence[np.ndarray], lengths: np.ndarray, by_chance: float
) -> list[tuple[int, int, str, int, int, float]]:
    """Return the pairs that are not identical, with kind, lag, common samples, correlation."""
    found: dict[tuple[int, int], tuple[str, int, int, float]] = {}
    for first, second, lag in _candidates_at_same_rate(signals, lengths):
        start = max(lag, 0)
        n = min(lengths[first] - start, lengths[second] + min(lag, 0))
        a = signals[first][start : start + n]
        b = signals[second][start - lag : start - lag + n]
        r = _correlation_of_copies(
            np.diff(a), np.diff(b)[None], 1, by_chance / (2 * np.median(lengths)), _ALMOST_EQUAL
        )
        if r > found.get((first, second), ("", 0, 0, 0.0))[-1]:
            found[first, second] = ("same rate", lag, n, r)
    for first, second in _candidates_of_same_course(signals, lengths):
        if (first, second) in found:
            continue
        short, long = sorted((first, second), key=lambda row: lengths[row])
        if not _same_course(signals[short], signals[long]):
            continue
        if lengths[short] == lengths[long]:
            kind = "same rate"
            r = _correlation_of_noisy_copies(signals[short], signals[long], by_chance)
        else:
            kind = "other rate"
            at_rate = _at_rate(signals, short, long)
            r = _correlation_of_copies(signals[short], at_rate, _SPAN_AT_OTHER_RATES, by_chance)
        if r > 0:
            found[first, second] = (kind, 0, lengths[short], r)
    return [(*pair, *about) for pair, about in found.items()]


def _candidates_at_same_rate(
    signals: Sequence[np.ndarray], lengths: np.ndarray
) -> list[_Candidate]:
    """Return pairs of recordings and lags at which they have the same fingerprint."""
    step = max(1, round(np.quantile(lengths, 0.1) / _STEPS_IN_RECORDING))
    gap = int(lengths.sum() / _MOST_FINGERPRINTS) // 2
    parts = [_fingerprints(signal, step, gap) for signal in signals]
    prints = np.concatenate([values for values, _ in parts])
    if not len(prints):
        return []
    owner = np.repeat(np.arange(len(parts)), [len(at) for _, at in parts])
    at = np.concatenate([positions for _, positions in parts])
    near = cKDTree(prints, compact_nodes=False, balanced_tree=False).query(
        prints, k=_NEIGHBOURS + 1, distance_upper_bound=_SAME_FINGERPRINT
    )[1]
    pairs = np.column_stack([np.repeat(np.arange(len(prints)), _NEIGHBOURS + 1), near.ravel()])
    pairs = pairs[pairs[:, 1] < len(prints)]
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    first, second = pairs[owner[pairs[:, 0]] < owner[pairs[:, 1]]].T
    lags = np.column_stack([owner[first], owner[second], at[first] - at[second]])
    return [(int(a), int(b), int(lag)) for a, b, lag in np.unique(lags, axis=0)]


def _fingerprints(signal: np.ndarray, step: int, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the fingerprints of a recording, (n, 16), and their positions.

    They are at all positions, or at those with the largest change within `gap` samples. Gain and
    offset do not change them. A shift of the recording shifts them.
    """
    sums = np.concatenate([[0.0], np.cumsum(signal - signal.mean())])
    changes = (sums[2 * step :] - 2 * sums[step:-step] + sums[: -2 * step]) / step
    width = (_STEPS - 1) * step + 1
    if len(changes) < width:
        return np.empty((0, _STEPS)), np.empty(0, dtype=int)
    at = np.arange(len(changes) - width + 1)
    if gap:
        size = np.abs(changes)
        middle = at + width // 2
        largest = maximum_filter1d(size, 2 * gap + 1, mode="constant")[middle]
        at = at[(size[middle] == largest) & (largest > 0)]
    values = changes[at[:, None] + np.arange(0, width, step)]
    values -= values.mean(axis=1, keepdims=True)
    power = (values**2).sum(axis=1)
    # Without `signal.mean()` rounding errors of the sums would be changes of a flat stretch.
    changing = power > (1e-9 * np.abs(signal).max()) ** 2
    values, power, at = values[changing], power[changing], at[changing]
    kept = power**2 > _FEWEST_CHANGES * (values**4).sum(axis=1)
    return values[kept] / np.sqrt(power[kept])[:, None], at[kept]


def _candidates_of_same_course(
    signals: Sequence[np.ndarray], lengths: np.ndarray
) -> list[tuple[int, int]]:
    """Return pairs of recordings whose whole courses are alike."""
    long = np.flatnonzero(lengths >= _PARTS)
    signatures = np.array([_signature(signals[row]) for row in long.tolist()]).reshape(
        -1, _PARTS - 1
    )
    near = cKDTree(signatures).query(
        signatures, k=_NEIGHBOURS + 1, distance_upper_bound=_SAME_SIGNATURE
    )[1]
    pairs = np.column_stack([np.repeat(np.arange(len(long)), _NEIGHBOURS + 1), near.ravel()])
    pairs = np.sort(long[pairs[pairs[:, 1] < len(long)]], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    return [(int(first), int(second)) for first, second in pairs]


def _signature(signal: np.ndarray, n_parts: int = _PARTS) -> np.ndarray:
    """Return the changes between the means of equal parts of a recording, norm 1."""
    sums = np.concatenate([[0.0], np.cumsum(signal - signal.mean())])
    ends = np.linspace(0, len(signal), n_parts + 1)
    changes = np.diff(np.diff(np.interp(ends, np.arange(len(sums)), sums)))
    changes -= changes.mean()
    norm = np.sqrt((changes**2).sum())
    # A straight line has no course; far from everything, it has no neighbour.
    return changes / norm if norm > 1e-9 * np.abs(signal).max() else np.full(len(changes), 9.0)


def _same_course(short: np.ndarray, long: np.ndarray) -> bool:
    """Return whether two long recordings are alike in more parts, too; short ones always are."""
    n_parts = min(len(short) // _SAMPLES_IN_PART, _MOST_PARTS)
    if n_parts < _PARTS:
        return True
    apart = _signature(short, n_parts) - _signature(long, n_parts)
    return bool(apart @ apart <= _SAME_COURSE**2)


def _at_rate(signals: Sequence[np.ndarray], short: int, long: int) -> np.ndarray:
    """Return the longer recording at the times of the shorter one's samples, for several rates.

    The ratio of the rates is near that of the numbers of samples, or a whole number. The first
    sample may be up to one sample of the shorter recording earlier or later.
    """
    n, m = len(signals[short]), len(signals[long])
    ratios = np.append(np.linspace(m - 1.5, m + 1.5, 13) / n, max(1, round(m / n)))
    delays = np.linspace(-1, 1, 9) * m / n
    times = ratios[:, None, None] * np.arange(n) + delays[:, None]
    return np.interp(times.reshape(-1, n), np.arange(m), signals[long])


def _correlation_of_noisy_copies(signal: np.ndarray, other: np.ndarray, by_chance: float) -> float:
    """Return the correlation of the changes of two recordings at lag 0; 0 if not of copies.

    Means of several samples have less noise, but their changes are never independent.
    """
    for span in _SPANS_OF_NOISY:
        chance = by_chance / len(_SPANS_OF_NOISY)
        r = _correlation_of_copies(signal, other[None], span, chance, np.inf)
        if r > 0:
            return r
    return 0.0


def _correlation_of_copies(
    signal: np.ndarray,
    others: np.ndarray,
    span: int,
    by_chance: float,
    independent_from: float = LEAST_CORRELATION,
) -> float:
    """Return the highest correlation of the changes of two recordings; 0 if not of copies.

    `others`, shape (n, n_samples), holds the second recording at n different lags or rates.
    Changes are those between the means of `span` samples. They count as independent from the
    correlation `independent_from` on.
    """
    if len(signal) < _FEWEST_SAMPLES:
        return 0.0
    a, b = _changes(signal[None], span), _changes(others, span)
    power = (a**2).sum() * (b**2).sum(axis=1)
    r = np.divide(b @ a[0], np.sqrt(power), out=np.zeros(len(b)), where=power > 0)
    best = int(r.argmax())
    if r[best] < LEAST_CORRELATION:
        return 0.0
    pair = (a[0], b[best])
    independent = 1.0 if r[best] >= independent_from else _INDEPENDENT
    unexplained = max(1.0 - r[best] ** 2, _LEAST_UNEXPLAINED)
    log2_chance = max(
        (independent * min(map(_count_effective, pair)) - 2) / 2 * np.log2(unexplained),
        -min(map(_count_bits, pair)),
    )
    return float(r[best]) if log2_chance < np.log2(by_chance / len(b)) else 0.0


def _changes(signals: np.ndarray, span: int) -> np.ndarray:
    """Return the changes of signals, (n, n_changes), of mean 0.

    They are cut at twice their mean size, so that one artefact does not outweigh the others.
    """
    n = signals.shape[1] - span + 1
    means = np.mean([signals[:, first : first + n] for first in range(span)], axis=0)
    changes = means[:, span:] - means[:, :-span]
    changes -= changes.mean(axis=1, keepdims=True)
    size = np.abs(changes).mean(axis=1, keepdims=True)
    changes = np.clip(changes, -_LARGEST_CHANGE * size, _LARGEST_CHANGE * size)
    return changes - changes.mean(axis=1, keepdims=True)


def _count_effective(changes: np.ndarray) -> float:
    """Return the effective number of independent changes, from their sizes and their spectrum."""
    squares = changes**2
    power = np.abs(np.fft.rfft(changes)) ** 2
    return float(
        min(squares.sum() ** 2 / (squares**2).sum(), 2 * power.sum() ** 2 / (power**2).sum())
    )


def _count_bits(changes: np.ndarray) -> float:
    """Return the entropy of the changes in bits; changes within 1e-3 of their spread are equal."""
    levels = np.round(changes / (1e-3 * changes.std()))
    counts = np.unique(levels, return_counts=True)[1]
    return float(-(counts * np.log2(counts / len(changes))).sum())
