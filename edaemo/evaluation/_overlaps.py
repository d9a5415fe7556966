"""Count the test trials that overlap with training trials: copies, and windows in time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from edaemo._validation import identity, name_trial


class NearCopies:
    """Pairs of recordings that are copies but not identical, by `find_copies`."""

    def __init__(self, copies: pd.DataFrame | None, n: int) -> None:
        self._is_known = copies is not None
        self.n_pairs = self.n_copies = None
        if copies is None:
            return
        self.n_pairs, self.n_copies = copies.attrs.get("n_pairs"), len(copies)
        pairs = copies[["first", "second"]].to_numpy()
        is_identical = (copies["kind"] == "identical").to_numpy()
        identical = _as_graph(pairs[is_identical], n)
        self._recording = connected_components(identical, directed=False)[1]
        near = _as_graph(self._recording[pairs[~is_identical]], n)
        self._near = near + near.T

    def count(self, training: np.ndarray, test: np.ndarray) -> int | None:
        """Count the test trials that have a copy in training; None if copies are unknown."""
        if not self._is_known:
            return None
        in_training = np.zeros(self._near.shape[0])
        in_training[self._recording[training]] = 1
        return int(((self._near @ in_training)[self._recording[test]] > 0).sum())


def _as_graph(pairs: np.ndarray, n: int) -> csr_array:
    """Return the adjacency matrix of pairs, shape (n_pairs, 2), of n nodes."""
    return coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n)).tocsr()


class Windows:
    """Stretches of continuous recordings: start and stop as ranks, ordered by recording."""

    def __init__(self, recording: np.ndarray, start: np.ndarray, stop: np.ndarray) -> None:
        ranks = np.unique(np.concatenate([start, stop]), return_inverse=True)[1]
        base = recording * (len(ranks) + 1)
        self._start, self._stop = base + ranks[: len(start)], base + ranks[len(start) :]
        self._known = recording > 0

    def count(self, training: np.ndarray, test: np.ndarray) -> int:
        """Count the test trials whose window overlaps with a window in training."""
        training, test = training[self._known[training]], test[self._known[test]]
        if not len(training):
            return 0
        order = training[np.argsort(self._start[training], kind="stable")]
        latest_stop = np.append(-1, np.maximum.accumulate(self._stop[order]))
        n_started = np.searchsorted(self._start[order], self._stop[test], "left")
        return int((latest_stop[n_started] > self._start[test]).sum())


def read_windows(X: object, subject: np.ndarray | None) -> Windows | None:
    """Return the windows of the trials; None without columns recording, start and stop."""
    recording, start, stop = (identity(X, name) for name in ("recording", "start", "stop"))
    if recording is None or start is None or stop is None:
        return None
    ends = [
        pd.to_numeric(pd.Series(end), errors="raise").to_numpy(np.float64) for end in (start, stop)
    ]
    wrong = np.flatnonzero(ends[1] < ends[0])
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{name_trial(X, row)}: its window stops at {stop[row]}, before it starts at "
            f"{start[row]}. Correct the columns start and stop."
        )
    of_recording = pd.factorize(recording)[0]
    of_subject = np.zeros(len(of_recording), int) if subject is None else subject
    code = of_recording * (of_subject.max(initial=0) + 1) + of_subject + 1
    known = (of_recording >= 0) & ~np.isnan(ends).any(axis=0)
    return Windows(np.where(known, code, 0), *np.nan_to_num(ends))
