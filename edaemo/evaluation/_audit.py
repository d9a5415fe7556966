"""Audit folds: count what training and test share in each fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import get_routing_for_object

from edaemo._validation import IDENTITY, find_ids, n_rows, read_cell, signal_cells
from edaemo.model_selection import Protocol, read_classes

# What can be in training and test, by column of the audit: singular, plural, and name of the id.
_SHARED = {
    "trials_shared": ("trial", "trials", None),
    "subjects_shared": ("subject", "subjects", "subject"),
    "stimuli_shared": ("stimulus", "stimuli", "stimulus"),
    # If subjects are in both training and test, so are the people with whom they watched.
    "viewing_groups_shared": ("viewing group", "viewing groups", "subject"),
    "recordings_shared": ("identical recording", "identical recordings", None),
}


def audit(
    cv: object,
    X: object,
    y: Sequence[Any] | np.ndarray | None,
    *,
    subject: Sequence[Any] | np.ndarray | None = None,
    stimulus: Sequence[Any] | np.ndarray | None = None,
    viewing_group: Sequence[Any] | np.ndarray | None = None,
) -> pd.DataFrame:
    """Count what the training and test trials of each fold have in common.

    Parameters
    ----------
    cv : splitter or iterable of (training, test)
        A protocol of :mod:`edaemo.model_selection`, a splitter of scikit-learn (groups are the
        subjects), or the folds themselves: row numbers or masks.
    X : DataFrame or array-like with n rows
        Trials table, signals, or features.
    y : array-like with n rows
        Labels or ratings. No classes are counted for ratings; `SubjectKFold.split` defines which
        arrays are ratings.
    subject, stimulus, viewing_group : array-like of shape (n,), default=None
        The subject of each trial, what was watched or heard, and who watched together. None: the
        column or index level of X with this name. Missing ids are not counted.

    Returns
    -------
    DataFrame of shape (n_folds, n_columns)
        One row for each fold.

        ``fold``, from 0; ``n_training``, ``n_test``; ``n_left_out``, the trials that are in
        neither.

        ``trials_shared``, ``subjects_shared``, ``stimuli_shared``, ``viewing_groups_shared``: how
        many are in both test and training; <NA> if they are unknown.
        ``recordings_shared``: number of test trials whose content is identical, to the last bit, to
        the content of a training trial. The content is the signal if X is a table, Series or object
        array of signals, and the row if X is a numerical array or DataFrame. Constant rows and
        signals do not count. <NA> for any other X, such as a trials table without ``eda``.

        ``n_subjects_test``, ``n_stimuli_test``; ``n_classes_training``, ``n_classes_test``; and for
        each class the fractions of the trials, ``share_training_<class>`` and
        ``share_test_<class>``.

    Raises
    ------
    ValueError
        If lengths differ, a signal is invalid, or the splitter rejects the trials.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> table = audit(KFold(2), np.eye(4), [0, 1, 0, 1], subject=["a", "b", "b", "c"])
    >>> table[["n_training", "n_test", "subjects_shared", "share_test_1"]]
       n_training  n_test  subjects_shared  share_test_1
    0           2       2                1           0.5
    1           2       2                1           0.5
    """
    n = n_rows(X)
    given = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
    ids = {name: find_ids(name, X, values, may_miss=True) for name, values in given.items()}
    codes = {name: _codes(values) for name, values in ids.items()}
    recordings = _codes(_contents(X))
    of_y, labels = read_classes(y) or (None, ())
    classes = None if of_y is None else of_y + 1
    if classes is not None and len(classes) != n:
        raise ValueError(f"y must have one label for each of the {n} trials, got {len(classes)}.")

    rows = []
    for fold, (training, test) in enumerate(_folds(cv, X, y, given, ids["subject"])):
        training, test = np.arange(n)[training], np.arange(n)[test]
        sides = np.bincount(training, minlength=n) > 0, np.bincount(test, minlength=n) > 0
        row = {
            "fold": fold,
            "n_training": len(training),
            "n_test": len(test),
            "n_left_out": n - np.sum(sides[0] | sides[1]),
            "trials_shared": np.sum(sides[0] & sides[1]),
            "subjects_shared": _count(codes["subject"], training, test),
            "stimuli_shared": _count(codes["stimulus"], training, test),
            "viewing_groups_shared": _count(codes["viewing_group"], training, test),
            "recordings_shared": _count_seen(recordings, training, test),
            "n_subjects_test": _count(codes["subject"], test),
            "n_stimuli_test": _count(codes["stimulus"], test),
            "n_classes_training": _count(classes, training),
            "n_classes_test": _count(classes, test),
        }
        if classes is not None:
            for code, label in enumerate(labels, start=1):
                row[f"share_training_{label}"] = _share(classes[training] == code)
                row[f"share_test_{label}"] = _share(classes[test] == code)
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.astype({name: "Int64" for name in table if not name.startswith("share_")})


def leaks(table: pd.DataFrame, may_share: Iterable[str]) -> list[str]:
    """Return the leaks that the name of a protocol does not announce.

    Parameters
    ----------
    table : DataFrame
        As `audit` returns it.
    may_share : iterable of {"subject", "stimulus"}
        What may be in both training and test; the attribute ``may_share`` of a protocol. Identical
        recordings, and trials in both training and test, are always leaks.

    Returns
    -------
    list of str
        One line for each fold that leaks, such as "fold 2: 3 subjects, 1 identical recording on
        both sides".

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> table = audit(KFold(2), np.eye(4), [0, 1, 0, 1], subject=["a", "b", "b", "c"])
    >>> leaks(table, may_share={"stimulus"})
    ['fold 0: 1 subject on both sides', 'fold 1: 1 subject on both sides']
    """
    counted = {
        column: (singular, plural)
        for column, (singular, plural, name) in _SHARED.items()
        if name is None or name not in set(may_share)
    }
    lines = []
    for fold, shared in zip(table["fold"], table[list(counted)].to_numpy(), strict=True):
        shares = [
            f"{n} {singular if n == 1 else plural}"
            for n, (singular, plural) in zip(shared, counted.values(), strict=True)
            if pd.notna(n) and n > 0
        ]
        if shares:
            lines.append(f"fold {fold}: {', '.join(shares)} on both sides")
    return lines


def _folds(
    cv: object,
    X: object,
    y: Sequence[Any] | np.ndarray | None,
    given: dict[str, Sequence[Any] | np.ndarray | None],
    subject: np.ndarray | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if isinstance(cv, Protocol):
        return cv.split(X, y, **given)
    splitter = check_cv(cv)
    if "groups" in get_routing_for_object(splitter).split.requests:
        return splitter.split(X, y, subject)
    return splitter.split(X, y)


def _codes(values: object) -> np.ndarray | None:
    """Return codes from 1; 0 for missing values."""
    return None if values is None else pd.factorize(values)[0] + 1


def _present(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return for each code from 1 whether it occurs in these rows."""
    return np.bincount(codes[rows], minlength=codes.max(initial=0) + 1)[1:] > 0


def _count(codes: np.ndarray | None, *sides: np.ndarray) -> int | None:
    """Count the codes that are present on every side."""
    if codes is None:
        return None
    return int(np.all([_present(codes, rows) for rows in sides], axis=0).sum())


def _count_seen(codes: np.ndarray | None, training: np.ndarray, test: np.ndarray) -> int | None:
    """Count the test rows whose code is also in training."""
    if codes is None:
        return None
    return int(np.append(False, _present(codes, training))[codes[test]].sum())


def _share(hit: np.ndarray) -> float:
    return float(hit.mean()) if len(hit) else np.nan


def _contents(X: object) -> np.ndarray | None:
    """Return a digest of each row, None for constant rows; return None if X has no content."""
    cells = signal_cells(X)
    values: Iterable[np.ndarray]
    if cells is not None:
        values = (read_cell(None, row, cell) for row, cell in enumerate(cells))
    elif isinstance(X, pd.DataFrame) and not set(IDENTITY).isdisjoint(X.columns):
        return None
    else:
        array = np.asarray(X)
        if array.ndim < 2 or array.dtype.kind not in "biuf":
            return None
        values = array.reshape(len(array), -1).astype(np.float64)
    return np.array([_digest(row_values) for row_values in values], dtype=object)


def _digest(values: np.ndarray) -> bytes | None:
    finite = values[np.isfinite(values)]
    if not finite.size or np.ptp(finite) == 0:
        return None
    return blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()
