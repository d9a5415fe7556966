"""Audit folds: count what training and test share in each fold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, issparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import get_routing_for_object

from edaemo._ids import name_some, near_ids
from edaemo._validation import (
    IDENTITY,
    find_ids,
    n_rows,
    read_cell,
    signal_cells,
)
from edaemo.evaluation._nuisances import describe_nuisances, describe_order, measure_nuisances
from edaemo.evaluation._overlaps import NearCopies, read_windows
from edaemo.model_selection import Protocol, SubjectKFold, read_classes
from edaemo.preprocessing import find_copies

# What can be in training and test, by column of the audit: singular, plural, and name of the id.
_SHARED = {
    "trials_shared": ("trial", "trials", None),
    "subjects_shared": ("subject", "subjects", "subject"),
    "stimuli_shared": ("stimulus", "stimuli", "stimulus"),
    # If subjects are in both training and test, so are the people with whom they watched.
    "viewing_groups_shared": ("viewing group", "viewing groups", "subject"),
    "recordings_shared": ("identical recording", "identical recordings", None),
    "near_copies_shared": (
        "copied or overlapping recording",
        "copied or overlapping recordings",
        None,
    ),
    "windows_shared": ("overlapping window", "overlapping windows", None),
}
_NEAR = {
    "near_subjects_shared": ("subject", "subjects"),
    "near_stimuli_shared": ("stimulus", "stimuli"),
}
_FEWEST_FEATURES = 4  # different values in a row of music features that tell one song from another
_SAME_FEATURES = 1e-5  # difference of features, in parts of the largest value of the feature


def audit(
    cv: object,
    X: object,
    y: Sequence[Any] | np.ndarray | None,
    *,
    subject: Sequence[Any] | np.ndarray | None = None,
    stimulus: Sequence[Any] | np.ndarray | None = None,
    viewing_group: Sequence[Any] | np.ndarray | None = None,
    groups: Sequence[Any] | np.ndarray | pd.DataFrame | None = None,
    music: pd.DataFrame | Mapping[Any, str | Path] | None = None,
    sampling_rate: float | Sequence[float] | np.ndarray | None = None,
    copies: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Count what the training and test trials of each fold have in common.

    Parameters
    ----------
    cv : splitter or iterable of (training, test)
        A protocol of :mod:`edaemo.model_selection`, a splitter of scikit-learn (groups are the
        subjects), or the folds themselves: row numbers or masks.
    X : DataFrame or array-like with n rows
        Trials table, signals, or features. Columns ``recording``, ``start`` and ``stop`` of a table
        give the stretch of a continuous recording from which each trial was cut. Recordings of
        different subjects are different.
    y : array-like with n rows
        Labels or ratings. No classes are counted for ratings; `SubjectKFold.split` defines which
        arrays are ratings.
    subject, stimulus, viewing_group : array-like of shape (n,), default=None
        The subject of each trial, what was watched or heard, and who watched together. None: the
        column or index level of X with this name, else `groups`. Missing ids are not counted.
    groups : array-like of shape (n,) or (n, 2) or DataFrame, default=None
        The argument ``groups`` of the splitter. A protocol defines its meaning. For any other
        splitter, a one-dimensional array holds the subjects; if there are two columns, the splitter
        gets the subjects. None: the subjects.
    music : DataFrame, mapping of stimulus to path, or None, default=None
        Music features of each stimulus (the index), or its audio file. Stimuli with the same row of
        features (to within 1e-5 of the largest value of each feature), or the same content of the
        file, are one song under two ids.
    sampling_rate : float, array-like of shape (n,) or None, default=None
        Sampling rate of each trial in Hz. None: the column ``sampling_rate`` of X, if present.
    copies : DataFrame or None, default=None
        What :func:`edaemo.preprocessing.find_copies` returned for X. None: it is called if X holds
        signals. Pass it to audit the same trials several times.

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
        ``near_copies_shared``: number of test trials whose signal is a copy of the signal of a
        training trial, or overlaps with it, without being identical
        (:func:`edaemo.preprocessing.find_copies`). <NA> if X does not hold signals.
        ``windows_shared``: number of test trials whose time, from ``start`` to ``stop``, overlaps
        with that of a training trial of the same recording. <NA> without these columns.
        ``near_subjects_shared``, ``near_stimuli_shared``: number of ids in the test for which
        training has another id that may be the same one: a nearly equal id
        (1 and "1", "p0" and "p0 ", "P01" and "p1"), or another stimulus with the same music.

        ``n_subjects_test``, ``n_stimuli_test``; ``n_classes_training``, ``n_classes_test``; and for
        each class the fractions of the trials, ``share_training_<class>`` and
        ``share_test_<class>``.

        ``attrs`` of the table: ``verdict``, one sentence; ``nuisances``, a list with one dict for
        each property of a recording that is not its signal (length, missing samples, quantisation
        step, sampling rate, device, trial order), with its area under the ROC curve for the label
        (``auc``, ``auc_low``, ``auc_high``, ``label``; see docs/protocols.md); ``order``, a
        sentence on how well the place of a trial tells its class ("" if unknown); ``n_pairs``,
        number of pairs of recordings among which copies were looked for, and ``n_copies``, the
        pairs found.

    Raises
    ------
    ValueError
        If lengths differ, a signal is invalid, a window stops before it starts, or the splitter
        rejects the trials.

    Warns
    -----
    UserWarning
        If ids are nearly equal, or stimuli have the same music. The warning names them.

    See Also
    --------
    evaluate : Audits the folds of each evaluation.
    edaemo.preprocessing.find_copies : The pairs of copied or overlapping recordings.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> table = audit(KFold(2), np.eye(4), [0, 1, 0, 1], subject=["a", "b", "b", "c"])
    >>> table[["n_training", "n_test", "subjects_shared", "share_test_1"]]
       n_training  n_test  subjects_shared  share_test_1
    0           2       2                1           0.5
    1           2       2                1           0.5
    >>> table.attrs["verdict"]
    'Leak, in both training and test: 1 subject in 2 of 2 folds.'
    """
    n = n_rows(X)
    given = {"subject": subject, "stimulus": stimulus, "viewing_group": viewing_group}
    ids = {name: _find_ids(name, X, values, groups, cv) for name, values in given.items()}
    codes = {name: _codes(values) for name, values in ids.items()}
    recordings = _codes(_contents(X))
    if copies is None and _holds_signals(X):
        copies = find_copies(X)
    near_copies = NearCopies(copies, n)
    windows = read_windows(X, codes["subject"])
    near = {
        "subject": _join_near(ids["subject"]),
        "stimulus": _join_near(ids["stimulus"], _same_songs(music, ids["stimulus"])),
    }
    of_y, labels = read_classes(y) or (None, ())
    classes = None if of_y is None else of_y + 1
    if classes is not None and len(classes) != n:
        raise ValueError(f"y must have one label for each of the {n} trials, got {len(classes)}.")

    rows = []
    for fold, (training, test) in enumerate(_folds(cv, X, y, given, groups, ids["subject"])):
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
            "near_copies_shared": near_copies.count(training, test),
            "windows_shared": None if windows is None else windows.count(training, test),
            "near_subjects_shared": _count_near(codes["subject"], near["subject"], training, test),
            "near_stimuli_shared": _count_near(codes["stimulus"], near["stimulus"], training, test),
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
    table = table.astype({name: "Int64" for name in table if not name.startswith("share_")})
    nuisances = (
        pd.DataFrame(columns=["auc", "auc_low"])
        if of_y is None
        else measure_nuisances(X, of_y, labels, ids["subject"], sampling_rate)
    )
    table.attrs = {
        "nuisances": nuisances.to_dict("records"),
        "n_pairs": near_copies.n_pairs,
        "n_copies": near_copies.n_copies,
        "order": describe_order(X, of_y, ids["subject"]),
        "verdict": "",
    }
    table.attrs["verdict"] = _verdict(table, getattr(cv, "may_share", ()), nuisances)
    return table


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
        One line for each fold that leaks, such as "fold 2: 3 subjects, 1 identical recording in
        both training and test".

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> table = audit(KFold(2), np.eye(4), [0, 1, 0, 1], subject=["a", "b", "b", "c"])
    >>> leaks(table, may_share={"stimulus"})
    ['fold 0: 1 subject in both training and test', 'fold 1: 1 subject in both training and test']
    """
    counted = _choose_leaks(table, may_share)
    lines = []
    for fold, shared in zip(table["fold"], table[list(counted)].to_numpy(), strict=True):
        shares = [
            f"{n} {singular if n == 1 else plural}"
            for n, (singular, plural) in zip(shared, counted.values(), strict=True)
            if pd.notna(n) and n > 0
        ]
        if shares:
            lines.append(f"fold {fold}: {', '.join(shares)} in both training and test")
    return lines


def _choose_leaks(table: pd.DataFrame, may_share: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the columns of the audit that count leaks, and the singular and plural noun."""
    allowed = set(may_share)
    return {
        column: (singular, plural)
        for column, (singular, plural, name) in _SHARED.items()
        if column in table and (name is None or name not in allowed)
    }


def _verdict(table: pd.DataFrame, may_share: Iterable[str], nuisances: pd.DataFrame) -> str:
    """Return one sentence: what leaks, which ids may be the same, and what tells the label."""
    counted = _choose_leaks(table, may_share)
    leaking = [
        _describe_count(table[column], *nouns)
        for column, nouns in counted.items()
        if (table[column] > 0).any()
    ]
    parts = (
        [f"Leak, in both training and test: {', '.join(leaking)}"]
        if leaking
        else [_describe_clean(table, counted)]
    )
    for column, nouns in _NEAR.items():
        if (table[column] > 0).any():
            parts.append(f"{_describe_count(table[column], *nouns)} may be under two ids")
    telling = describe_nuisances(nuisances)
    if telling:
        parts.append(f"the label can be predicted without the signal, from {', '.join(telling)}")
    return "; ".join(parts) + "."


def _describe_count(column: pd.Series, singular: str, plural: str) -> str:
    """Return the largest count of a column, and in how many folds the count is not 0."""
    counts = column[column > 0]
    most = counts.max()
    return (
        f"{'' if (counts == most).all() else 'up to '}{most} {singular if most == 1 else plural} "
        f"in {len(counts)} of {len(column)} folds"
    )


def _describe_clean(table: pd.DataFrame, counted: Mapping[str, tuple[str, str]]) -> str:
    """Describe that nothing leaks, what was looked at, and what is unknown."""
    known = [plural for column, (_, plural) in counted.items() if table[column].notna().any()]
    unknown = [plural for column, (_, plural) in counted.items() if table[column].isna().all()]
    allowed = [
        _SHARED[column][1]
        for column in _SHARED
        if column not in counted and (table[column] > 0).any()
    ]
    n_pairs = table.attrs["n_pairs"]
    pairs = "" if n_pairs is None else f" ({n_pairs:,} pairs of recordings compared)"
    shared = f", shared by design: {', '.join(allowed)}" if allowed else ""
    beside = f", unknown: {', '.join(unknown)}" if unknown else ""
    return f"No leak found among {', '.join(known)}{pairs}{shared}{beside}"


def _folds(
    cv: object,
    X: object,
    y: Sequence[Any] | np.ndarray | None,
    given: dict[str, Sequence[Any] | np.ndarray | None],
    groups: Sequence[Any] | np.ndarray | pd.DataFrame | None,
    subject: np.ndarray | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if isinstance(cv, Protocol):
        return cv.split(X, y, groups, **given)
    splitter = check_cv(cv)
    if "groups" in get_routing_for_object(splitter).split.requests:
        has_columns = groups is None or np.ndim(groups) > 1  # subjects, and perhaps stimuli
        return splitter.split(X, y, subject if has_columns else groups)
    return splitter.split(X, y)


def _find_ids(
    name: str,
    X: object,
    given: Sequence[Any] | np.ndarray | None,
    groups: Sequence[Any] | np.ndarray | pd.DataFrame | None,
    cv: object,
) -> np.ndarray | None:
    """Return the ids of the trials: as given, else those of X, else those in groups."""
    ids = find_ids(name, X, given, may_miss=True)
    if ids is not None or groups is None:
        return ids
    reader = cv if isinstance(cv, Protocol) else SubjectKFold()
    return find_ids(name, X, reader.ids_in_groups(groups, name), may_miss=True)


def _join_near(ids: np.ndarray | None, groups: Sequence[Sequence[Any]] = ()) -> np.ndarray | None:
    """Return the code of each trial's id; nearly equal ids, and those of a group, have one code."""
    if ids is None:
        return None
    codes, names = pd.factorize(ids)
    edges = [
        (names.get_loc(group[0]), names.get_loc(other))
        for names in [pd.Index(names, dtype=object)]
        for group in [*near_ids(ids), *groups]
        for other in group[1:]
    ]
    first, second = np.array(edges, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(names), len(names)))
    joined = connected_components(graph, directed=False)[1]
    return np.append(joined + 1, 0)[codes]


def _same_songs(
    music: pd.DataFrame | Mapping[Any, str | Path] | None, stimulus: np.ndarray | None
) -> list[list[Any]]:
    """Return the groups of stimuli with the same music; warn about them."""
    if music is None or stimulus is None:
        return []
    known = music.index if isinstance(music, pd.DataFrame) else music
    names = [name for name in pd.unique(stimulus) if name in known]
    if isinstance(music, pd.DataFrame):
        features = music[~music.index.duplicated()].loc[names]
        same = _group_equal_rows(features.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        same = _group_equal_files([music[name] for name in names])
    groups = [[names[row] for row in rows] for rows in same]
    if groups:
        pairs = name_some(" and ".join(map(repr, group)) for group in groups)
        warnings.warn(
            f"Some stimuli have the same music under several ids: {pairs}. They count as "
            "different. Write one id for one song.",
            UserWarning,
            stacklevel=3,
        )
    return groups


def _group_equal_files(paths: Sequence[str | Path]) -> list[list[int]]:
    """Return the groups of files with the same content."""
    groups: dict[bytes, list[int]] = {}
    for place, path in enumerate(paths):
        digest = blake2b(Path(path).read_bytes(), digest_size=16).digest()
        groups.setdefault(digest, []).append(place)
    return [places for places in groups.values() if len(places) > 1]


def _group_equal_rows(features: np.ndarray) -> list[list[int]]:
    """Return the groups of rows that are equal except for rounding.

    Rows with few different values are in no group: many songs have the same tags.
    """
    features = np.where(np.isfinite(features), features, np.nan)
    is_telling = [len(np.unique(row[np.isfinite(row)])) >= _FEWEST_FEATURES for row in features]
    rows = np.flatnonzero(is_telling)
    if len(rows) < 2:
        return []
    features = features[rows]
    scale = np.nan_to_num(np.nanmax(np.abs(features), axis=0, initial=0.0))
    scaled = np.nan_to_num(features / np.where(scale > 0, scale, 1.0))
    # Rows that are nearly equal are near each other in a few directions, too.
    directions = np.random.default_rng(0).normal(size=(scaled.shape[1], 8))
    places = scaled @ directions / np.sqrt(len(directions))
    pairs = [
        pair
        for pair in cKDTree(places).query_pairs(10 * _SAME_FEATURES)
        if np.abs(scaled[pair[0]] - scaled[pair[1]]).max() <= _SAME_FEATURES
        and (np.isnan(features[pair[0]]) == np.isnan(features[pair[1]])).all()
    ]
    first, second = np.array(sorted(pairs), dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(rows), len(rows)))
    joined = connected_components(graph, directed=False)[1]
    groups = [rows[joined == code].tolist() for code in pd.unique(joined[[*first, *second]])]
    return sorted(groups)


def _count_near(
    codes: np.ndarray | None, joined: np.ndarray | None, training: np.ndarray, test: np.ndarray
) -> int | None:
    """Count the ids of the test for which training has another id with the same joined code."""
    if codes is None or joined is None:
        return None
    if codes.max(initial=0) == joined.max(initial=0):  # each id has its own code
        return 0
    ids_in_training = pd.DataFrame({"id": codes[training], "joined": joined[training]})
    ids_in_test = pd.DataFrame({"id": codes[test], "joined": joined[test]})
    pairs = (
        ids_in_test[ids_in_test["id"] > 0]
        .drop_duplicates()
        .merge(ids_in_training.drop_duplicates(), on="joined")
    )
    return int(pairs.loc[pairs["id_x"] != pairs["id_y"], "id_x"].nunique())


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


def _holds_signals(X: object) -> bool:
    """Return whether near-copies can be looked for: cells with signals, or an array of numbers."""
    if signal_cells(X) is not None:
        return True
    if isinstance(X, (pd.DataFrame, pd.Series)) or issparse(X):
        return False
    array = np.asarray(X)
    return array.ndim == 2 and array.dtype.kind in "iuf" and len(array) > 0


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
