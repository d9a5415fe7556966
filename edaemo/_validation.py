"""Shared input checks: ids of trials, numbers, signals, labels, and fits that fail cleanly."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, TypeGuard, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from edaemo._ids import warn_of_near_ids
from edaemo._layout import Block, Layout, block_title, layout_names, make_layout, read_layout

IDENTITY = ("subject", "stimulus", "trial")

# Networks compute in float32. Larger numbers count as infinite everywhere.
LARGEST = float(np.finfo(np.float32).max)

# Maximum number of trials that an error names.
NAMED_TRIALS = 5

# Hint for metadata that do not fit the rows.
SAMPLED = (
    "(A sampler before this step, such as RandomOverSampler, resamples the rows but not their "
    "metadata: pass a table with the ids in its index, or remove the sampler.)"
)
# Values that numpy would convert to floats although they are not real numbers, by numpy's kind.
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}
_NO_NUMBERS = {
    "U": "text: convert it with astype(float), or remove it",
    "T": "text: convert it with astype(float), or remove it",
    "S": "bytes: convert them with astype(float), or remove them",
    "c": "complex numbers. Complex data not supported: pass their real part or their modulus",
    "b": "booleans, like a mask: pass the values themselves",
    "M": "dates: pass numbers",
    "m": "durations: pass numbers, such as seconds",
    "V": "records: pass a DataFrame",
    "array": "arrays in its cells: pass signals as a trials table (a DataFrame with a column "
    "'eda') or as a pandas Series of 1-D arrays",
}


def identity(X: object, name: str) -> np.ndarray | None:
    """Return the column or index level called `name` of a frame or Series, or None.

    A frame of another library that has such a column raises an error: its ids are not ignored.
    """
    refuse_foreign_frame(X, [name])
    if isinstance(X, pd.DataFrame) and name in X.columns:
        return as_copied(_column(X, name).to_numpy())
    if isinstance(X, (pd.DataFrame, pd.Series)) and name in X.index.names:
        return as_copied(X.index.get_level_values(name).to_numpy())
    return None


def identity_index(X: object) -> pd.MultiIndex | None:
    """Return the subject, stimulus and trial ids that X has as an index; None if it has no ids."""
    known = {key: ids for key in IDENTITY if (ids := identity(X, key)) is not None}
    if not known:
        return None
    if all(_is_one_plain_id(ids) for ids in known.values()):
        # Equal to from_arrays for a single trial, in a tenth of the time.
        levels = [pd.Index(ids) for ids in known.values()]
        codes = [[0]] * len(levels)
        return pd.MultiIndex(levels=levels, codes=codes, names=list(known), verify_integrity=False)
    return pd.MultiIndex.from_arrays(list(known.values()), names=list(known))


def output_index(X: object, estimator: BaseEstimator) -> pd.Index | None:
    """Return the index of the frame that a transformer makes of X; None if X has no ids.

    It holds the subject, stimulus and trial ids of X. With ``set_output(transform="pandas")`` it is
    the index of X instead: scikit-learn's ColumnTransformer and FeatureUnion join frames by index.
    """
    if _get_output_config("transform", estimator)["dense"] == "pandas":
        return X.index if isinstance(X, (pd.DataFrame, pd.Series)) else None
    return identity_index(X)


def _is_one_plain_id(ids: np.ndarray) -> bool:
    """Return whether the ids are one text or one integer."""
    return len(ids) == 1 and (ids.dtype.kind in "iu" or type(ids[0]) is str)


def refuse_foreign_frame(X: object, names: Sequence[str]) -> None:
    """Raise if a frame of another library (polars, pyarrow) has one of these columns."""
    if isinstance(X, (pd.DataFrame, pd.Series)) or not hasattr(X, "to_pandas"):
        return
    columns = list(getattr(X, "column_names", getattr(X, "columns", ())))
    found = [name for name in names if name in columns]
    if found:
        raise ValueError(
            f"X is a {type(X).__module__.split('.')[0]} frame with a column {found[0]!r}: only "
            "pandas DataFrames may have named columns. Call .to_pandas()."
        )


def _column(X: pd.DataFrame, name: str) -> pd.Series:
    column = X[name]
    if isinstance(column, pd.DataFrame):
        raise ValueError(f"The table has more than one column {name!r}: keep only one.")
    return column


@overload
def find_ids(
    name: str,
    X: object,
    given: Sequence[Any] | np.ndarray | None = None,
    *,
    ratings: object = None,
    needed_by: str,
    or_pass: str = "",
    may_miss: bool = False,
    in_order: bool = False,
) -> np.ndarray: ...


@overload
def find_ids(
    name: str,
    X: object,
    given: Sequence[Any] | np.ndarray | None = None,
    *,
    ratings: object = None,
    needed_by: str | None = None,
    or_pass: str = "",
    may_miss: bool = False,
    in_order: bool = False,
) -> np.ndarray | None: ...


def find_ids(
    name: str,
    X: object,
    given: Sequence[Any] | np.ndarray | None = None,
    *,
    ratings: object = None,
    needed_by: str | None = None,
    or_pass: str = "",
    may_miss: bool = False,
    in_order: bool = False,
) -> np.ndarray | None:
    """Return the id (subject, stimulus, trial or viewing group) of each row of X.

    Parameters
    ----------
    name : {"subject", "stimulus", "trial", "viewing_group"}
        Kind of id.
    X : object
        A trials table (column `name`), a frame whose index has a level `name`, or any other
        object with one row per trial, which has no ids.
    given : sequence of length n or None, default=None
        The ids as metadata. They take precedence over those in X.
    ratings : object, default=None
        A second table with the same rows. Its ids are used if X has no ids. If both have ids,
        the ids must agree.
    needed_by : str or None, default=None
        What needs these ids, for the error message; None if the ids are optional.
    or_pass : str, default=""
        Another parameter that may hold the ids, such as "groups=", for the error message.
    may_miss : bool, default=False
        Whether some rows may have no id.
    in_order : bool, default=False
        Whether it is an error if X has the ids of the metadata in another order, as after a
        sampler.

    Returns
    -------
    ndarray of shape (n,) or None
        None if no source has the ids. 1 and "1" are different ids.

    Raises
    ------
    ValueError
        If ids are needed and unknown, there is not one id per row, an id is missing and
        `may_miss` is False, or the two tables disagree. The error names the row.

    Warns
    -----
    UserWarning
        If subjects or stimuli have ids that are nearly equal; see `near_ids`.
    """
    if ratings is not None:
        check_consistent_length(X, ratings)
    if given is None:
        ids = _agreed_ids(name, identity(X, name), identity(ratings, name))
    else:
        ids = distinct_values(given)
    if ids is None:
        if needed_by is None:
            return None
        raise ValueError(
            f"{needed_by} needs to know the {name} of each trial: pass {name}=, "
            f"{or_pass + ', ' if or_pass else ''}or a table with a column or an index level named "
            f"{name!r}."
        )
    n = n_rows(X)
    if ids.shape != (n,):
        raise ValueError(
            f"{name} must hold one id for each of the {n} trials, got shape {ids.shape}. {SAMPLED}"
        )
    if in_order and given is not None:
        _refuse_shuffled(name, ids, X)
    if not may_miss and (missing := pd.isna(ids)).any():
        raise ValueError(
            f"{name} is missing for {name_trial(X, int(np.argmax(missing)))}: fill it in, or "
            "remove the trial."
        )
    if n > 1 and name in ("subject", "stimulus"):
        warn_of_near_ids(name, ids)
    return ids


def _refuse_shuffled(name: str, given: np.ndarray, X: object) -> None:
    """Raise a ValueError if X has the same ids as metadata in another order, after a sampler."""
    of_x = identity(X, name)
    if of_x is None or not set(of_x) <= set(given):
        return
    differs = np.flatnonzero(of_x.astype(object) != given.astype(object))
    if len(differs):
        row = int(differs[0])
        raise ValueError(
            f"{name}= holds the ids of X in another order, first in row {row}: {given[row]!r}, but "
            f"X has {of_x[row]!r}. {SAMPLED}"
        )


def _agreed_ids(
    name: str, of_x: np.ndarray | None, of_ratings: np.ndarray | None
) -> np.ndarray | None:
    """Return the ids of X and of the ratings, which must agree; one of the two may be None."""
    if of_x is None or of_ratings is None:
        return of_ratings if of_x is None else of_x
    differs = np.flatnonzero(of_x.astype(object) != of_ratings.astype(object))
    if len(differs):
        row = int(differs[0])
        raise ValueError(
            f"X and the ratings name different {name}s, first in row {row}: {of_x[row]!r} and "
            f"{of_ratings[row]!r}. Sort both in the same order, or pass {name}=."
        )
    return of_x


def distinct_values(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Return ids or labels as an array; 1 and "1" stay different, missing values stay missing."""
    if isinstance(values, np.ma.MaskedArray):
        objects = values.data.astype(object)
        objects[np.ma.getmaskarray(values)] = None
        return objects
    array = np.asarray(without_gradient(values))
    if array.dtype.kind == "U" and array.ndim and not all(isinstance(v, str) for v in values):
        return np.asarray(values, dtype=object)
    return as_copied(array)


def trial_order(X: object, needed_by: str) -> np.ndarray | None:
    """Return the rank of each row's ``trial``; None if X has no such column or index level.

    Raise a ValueError if a trial is missing, or is not a number or a time; the message names
    `needed_by`.
    """
    ids = find_ids("trial", X, may_miss=True)
    if ids is None:
        return None
    trial = pd.Series(ids).infer_objects()
    if trial.isna().any():
        row = int(np.flatnonzero(trial.isna())[0])
        raise ValueError(
            f"{name_trial(X, row)}: trial is missing, so its order is unknown. Fill it in."
        )
    known = pd.api.types.is_numeric_dtype, pd.api.types.is_datetime64_any_dtype
    if not any(is_ordered(trial) for is_ordered in known):
        raise ValueError(
            f"{needed_by} needs the order of each subject's trials, but trial holds "
            f"{trial.iloc[0]!r}: use numbers or times that increase during the session."
        )
    return pd.factorize(trial, sort=True)[0]


def n_rows(X: object) -> int:
    """Return the number of trials, also of sparse matrices and array-likes without len()."""
    if hasattr(X, "shape"):
        return X.shape[0]
    return len(X) if hasattr(X, "__len__") else len(np.asarray(X))


def name_trial(X: object, row: int) -> str:
    """Return the row of a trial, and its subject, stimulus and trial ids in X, for an error."""
    known = ((key, identity(X, key)) for key in IDENTITY)
    ids = ", ".join(f"{key} {values[row]}" for key, values in known if values is not None)
    return f"row {row} ({ids})" if ids else f"row {row}"


def name_some(names: Iterable[object]) -> str:
    """Return a list of names as text: at most the first 30, each cut to 60 characters."""
    listed = [name if len(str(name)) <= 60 else f"{str(name)[:60]}…" for name in names]
    more = f" and {len(listed) - 30} more" if len(listed) > 30 else ""
    return f"{listed[:30]}{more}"


def check_predicted(X: object, is_finite: np.ndarray) -> None:
    """Raise a ValueError that names the trials without a finite prediction.

    Parameters
    ----------
    X : object
        The input of the prediction.
    is_finite : ndarray of bool of shape (n_trials,)
        Whether the prediction of each trial is finite.

    Raises
    ------
    ValueError
        If a prediction is NaN or infinite.
    """
    wrong = np.flatnonzero(~is_finite)
    if not len(wrong):
        return
    named = "; ".join(name_trial(X, int(row)) for row in wrong[:NAMED_TRIALS])
    more = f" and {len(wrong) - NAMED_TRIALS} more" if len(wrong) > NAMED_TRIALS else ""
    raise ValueError(
        f"The prediction is not finite for {len(wrong)} of {len(is_finite)} trials: "
        f"{named}{more}. Their values may be too large for single precision: check their unit, "
        "and standardise them as the training trials. If no trial has a finite prediction, the "
        "weights of a network may have become infinite in training: fit again with a lower lr."
    )


def suggest(name: object, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the most similar known names, or all of them."""
    known = list(known)
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    return (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"there are {name_some(known)}."
    )


def as_plain(value: Any) -> Any:
    """Return a parameter with Python's own numbers in place of numpy's, also in containers.

    Numbers of numpy overflow (``np.uint8(200) + 100``), and torch does not accept them everywhere.

    Parameters
    ----------
    value : object
        A number, text, list, tuple or dict. Anything else is returned unchanged.

    Returns
    -------
    object
    """
    if isinstance(value, (np.number, np.bool_, np.str_)):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(as_plain, value))
    if type(value) is dict:
        return {as_plain(key): as_plain(part) for key, part in value.items()}
    return value


@contextmanager
def whole_or_nothing(estimator: object) -> Iterator[None]:
    """Restore the estimator's attributes if its fit raises an error or is interrupted."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def is_trials_table(X: object) -> TypeGuard[pd.DataFrame]:
    """Return whether X is a trials table with EDA: a frame with signals in a column ``eda``."""
    return holds_signals(X, "eda")


def need_table(transformer: BaseEstimator, X: object) -> None:
    """Raise a ValueError if X is not a trials table, for a transformer that was fitted to one."""
    refuse_foreign_frame(X, [*IDENTITY, "eda"])
    if not is_trials_table(X):
        shape = f" of shape {X.shape}" if hasattr(X, "shape") else ""
        raise ValueError(
            f"{type(transformer).__name__} was fitted to a trials table, but X is a "
            f"{type(X).__name__}{shape}: pass a trials table with the columns of fit, such as "
            'pd.DataFrame({"subject": ["p1"], "stimulus": ["s1"], "trial": [0], "eda": [signal]}).'
        )


def is_only_signals(X: object) -> TypeGuard[pd.DataFrame]:
    """Return whether X is a frame whose only column is ``eda``, with signals.

    scikit-learn's ColumnTransformer passes such a frame, and expects one row of numbers per trial.
    """
    return is_trials_table(X) and X.shape[1] == 1


def holds_signals(X: object, column: str) -> TypeGuard[pd.DataFrame]:
    """Return whether X is a frame with a column of this name that is not numeric."""
    if not isinstance(X, pd.DataFrame) or column not in X.columns:
        return False
    return not pd.api.types.is_numeric_dtype(_column(X, column).dtype)


def signal_columns(X: object) -> list[str]:
    """Return the names of a table's columns that have an array in at least one cell."""
    if not isinstance(X, pd.DataFrame):
        return []
    return [
        name
        for name, cells in X.items()
        if cells.dtype == object and any(_kind(cell) == "array" for cell in cells)
    ]


def signal_cells(X: object) -> np.ndarray | None:
    """Return the cells of X, an object array with one signal for each trial, or None.

    X may be a trials table, or a Series, a one-column frame or an object array whose cells are
    arrays. None means that X is something else, such as rows of numbers.
    """
    if is_trials_table(X):
        return X["eda"].to_numpy(dtype=object)
    if isinstance(X, pd.DataFrame) and X.shape[1] == 1:
        X = X.iloc[:, 0]
    cells = X.to_numpy() if isinstance(X, pd.Series) else X
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.size == 0:
        return None
    if cells.ndim == 2 and cells.shape[1] == 1:
        cells = cells[:, 0]
    if cells.ndim != 1 or not any(
        isinstance(cell, (np.ndarray, list, tuple)) or hasattr(cell, "detach") for cell in cells
    ):
        return None
    return cells


def plain_numbers(X: object, name: str, *, booleans: bool) -> object:
    """Raise an error for values that a conversion to floats would silently turn into numbers.

    These values are text, complex numbers, dates, durations, and booleans unless `booleans` is
    true. Rows of unequal length and columns with the same name are also refused. Masked values
    become NaN.

    Parameters
    ----------
    X : object
        A frame, array, list or similar object that should hold numbers.
    name : str
        Name of X in the error message.
    booleans : bool
        Whether booleans are accepted, as 0 and 1.

    Returns
    -------
    object
        X, or an array with the same numbers. scikit-learn or numpy can convert it.

    Raises
    ------
    ValueError
        If a value is not a number. The error gives the first such value and its position.
    """
    if isinstance(X, pd.DataFrame):
        if not X.columns.is_unique:
            twice = X.columns[X.columns.duplicated()][0]
            raise ValueError(f"{name} has more than one column {twice!r}: rename or remove one.")
        plain = {dtype: dtype.kind in ("iufb" if booleans else "iuf") for dtype in set(X.dtypes)}
        for column, dtype in () if all(plain.values()) else X.dtypes.items():
            if not plain[dtype]:
                _refuse_non_numbers(X[column].to_numpy(), f"column {column!r} of {name}", booleans)
        return X
    X = without_gradient(X)
    if isinstance(X, (list, tuple)):
        X = [without_gradient(row) for row in X]
        if any(map(np.ma.is_masked, X)):
            X = np.ma.array(X)
    try:
        values = np.asanyarray(X)
    except ValueError:
        raise ValueError(
            f"The rows of {name} differ in length: pass rows of the same length. Pass signals of "
            "different lengths as a trials table, or as pd.Series(list_of_signals)."
        ) from None
    _refuse_non_numbers(np.asarray(values), name, booleans)
    if np.ma.is_masked(values):
        return np.ma.filled(values.astype(np.float64), np.nan)
    return X


def without_gradient(values: Any) -> Any:
    """Return a torch tensor as an array; other values are returned unchanged.

    numpy does not convert tensors that require gradients, are on a GPU, or hold bfloat16.
    """
    if not (hasattr(values, "detach") and hasattr(values, "numpy")):
        return values
    plain = values.detach().cpu()
    return (plain.float() if str(plain.dtype) == "torch.bfloat16" else plain).numpy()


def _refuse_non_numbers(values: np.ndarray, name: str, booleans: bool) -> None:
    refused = set(_NO_NUMBERS) - ({"b"} if booleans else set())
    if values.dtype.kind == "O" and values.ndim:
        odd = (at for at, value in np.ndenumerate(values) if _kind(value) in refused)
        at = next(odd, None)
    else:
        at = (0,) * values.ndim if values.size and values.dtype.kind in refused else None
    if at is not None:
        what, place = _NO_NUMBERS[_kind(values[at])], list(at)
        raise ValueError(f"{name} holds {what}. The first is at {place}: {values[at]!r:.60}.")


def _kind(value: ArrayLike) -> str:
    """Return numpy's kind of one cell's content; "array" if the cell holds a sequence."""
    if isinstance(value, (list, tuple)) or np.ndim(value):
        return "array"
    return np.asarray(value).dtype.kind


def read_rows(
    estimator: BaseEstimator,
    X: object,
    *,
    reset: bool | None,
    dtype: type | None = np.float64,
    booleans: bool = True,
    finite: bool = True,
    missing: bool = False,
    min_rows: int = 1,
) -> np.ndarray:
    """Read X as rows of numbers. Replaces scikit-learn's ``validate_data``.

    Parameters
    ----------
    estimator : BaseEstimator
        X is checked against its number and names of columns.
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Real numbers; `plain_numbers` lists what is refused. A DataFrame may have ids (subject,
        stimulus, trial) in its index only.
    reset : bool or None
        Whether number and names of the columns are learned (True), checked (False) or ignored
        (None).
    dtype : type or None, default=numpy.float64
        dtype of the result. None keeps float32 and converts all other dtypes to float64.
    booleans : bool, default=True
        Whether booleans are accepted, as 0 and 1.
    finite : bool, default=True
        Whether NaN, infinite numbers and numbers beyond float32's range are refused.
    missing : bool, default=False
        Whether NaN is accepted even if `finite`.
    min_rows : int, default=1
        Minimum number of rows.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)

    Raises
    ------
    ValueError
        If X is anything else. An error about one value names its row, the ids of the trial if X
        has them, and its column.
    """
    refuse_foreign_frame(X, [*IDENTITY, "eda"])
    held = [key for key in IDENTITY if isinstance(X, pd.DataFrame) and key in X.columns]
    if held:
        raise ValueError(
            f"X has the columns {held}, which are not features: move them into the index with "
            f"X.set_index({held})."
        )
    checks = {
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": False,
        "ensure_min_samples": min_rows,
    }
    rows = _as_fitted(estimator, X) if reset is False else None
    if rows is None or len(rows) < min_rows:
        plain = plain_numbers(X, "X", booleans=booleans)
        if isinstance(plain, np.ndarray) and not plain.dtype.isnative:
            plain = as_copied(plain)  # scikit-learn would convert foreign float32 to float64
        if reset is None:
            rows = check_array(plain, estimator=estimator, **checks)
        else:
            rows = validate_data(estimator, plain, reset=reset, **checks)
    if finite and not np.abs(rows).max() <= LARGEST:
        refused = ~(np.abs(rows) <= LARGEST)
        if missing:
            refused &= ~np.isnan(rows)
        bad = np.argwhere(refused)
    else:
        bad = np.empty((0, 2), dtype=int)
    if len(bad):
        row, column = bad[0]
        name = repr(X.columns[column]) if isinstance(X, pd.DataFrame) else column
        raise ValueError(
            f"X contains NaN or infinity, or numbers too large for float32, in {len(bad)} places, "
            f"first in {name_trial(X, int(row))}, column {name}: {rows[row, column]}. Fill them "
            "in, or remove these trials or columns."
        )
    if isinstance(X, pd.DataFrame) and min(rows.strides) >= 0:
        return rows.astype(dtype or rows.dtype, copy=False)  # keep a frame's C or Fortran order
    return as_copied(rows, dtype)


def as_copied(values: np.ndarray, dtype: DTypeLike | None = None) -> np.ndarray:
    """Return a C-contiguous array of the same values; `values` itself if it is one already.

    The last bits of sums depend on the memory order, pandas cannot read a foreign byte order, and
    torch does not accept negative strides.

    Parameters
    ----------
    values : ndarray
        Any view: reversed, transposed, strided, memory-mapped, of either byte order.
    dtype : dtype-like or None, default=None
        dtype of the result; None keeps the dtype of `values`.

    Returns
    -------
    ndarray
        C-contiguous, aligned, in the machine's byte order.
    """
    plain = type(values) is np.ndarray and values.dtype.isnative and values.flags.carray
    if not plain or (dtype is not None and values.dtype != dtype):
        dtype = np.dtype(values.dtype if dtype is None else dtype).newbyteorder("=")
        values = np.require(values, dtype, ["C", "A", "E"])
    # An axis of one element may have a negative stride and still count as contiguous.
    return values.copy() if min(values.strides, default=0) < 0 else values


def _as_fitted(estimator: BaseEstimator, X: object) -> np.ndarray | None:
    """Return the rows of X if they are floats in exactly the columns of `fit`; otherwise None.

    This avoids scikit-learn's check. It takes tens of milliseconds for a frame of thousands of
    columns, because it checks each column, and 0.2 ms for an array of one row.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if isinstance(X, pd.DataFrame):
        if names is None or not same_names(names, X.columns):
            return None
        rows = X.to_numpy()
        return rows if rows.dtype in _FLOATS else None
    if type(X) is not np.ndarray or X.dtype not in _FLOATS or X.ndim != 2 or names is not None:
        return None
    return X if X.shape[1] == getattr(estimator, "n_features_in_", None) else None


# Cache of `same_names`: id of an array of names -> weak reference to the array, index of names.
_indexes: OrderedDict[int, tuple[weakref.ref, pd.Index]] = OrderedDict()
_INDEXES = 32


def same_names(names: np.ndarray, columns: pd.Index) -> bool:
    """Return whether the columns of a frame have these names, in this order.

    Parameters
    ----------
    names : ndarray of object
        Column names of `fit`; must not change afterwards. The index made from it is cached:
        comparing two indexes of thousands of names takes microseconds, comparing an array with
        an index takes 0.2 ms.
    columns : Index
    """
    known, index = _indexes.get(id(names), (lambda: None, None))
    if known() is not names or index is None:
        index = pd.Index(names)
        _indexes[id(names)] = (weakref.ref(names), index)
        while len(_indexes) > _INDEXES:
            _indexes.popitem(last=False)
    return (
        index.equals(columns)
        if index.dtype == columns.dtype
        else bool(np.array_equal(names, columns))
    )


def check_labels(estimator: BaseEstimator, X: object, y: object) -> np.ndarray:
    """Return y as one label for each row of X.

    Labels may be numbers, text, booleans or dates, in any container, but must all have the same
    type. A column vector is flattened, with scikit-learn's DataConversionWarning.

    Raises
    ------
    ValueError
        If y is absent, of another length or shape, continuous, mixed in type, or has a missing
        label; the error names the trial.
    """
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    y = without_gradient(y)
    if isinstance(y, (list, tuple, np.ma.MaskedArray)):
        y = distinct_values(y)
    elif isinstance(y, pd.Series) and pd.api.types.is_extension_array_dtype(y.dtype):
        y = y.to_numpy(dtype=object)
    labels = as_copied(column_or_1d(y, warn=True))
    check_consistent_length(X, labels)
    missing = pd.isna(labels)
    if labels.dtype.kind == "f":
        missing = ~np.isfinite(labels)
    if missing.any():
        raise ValueError(
            f"Input y contains NaN or infinity: {missing.sum()} of {len(labels)} labels are "
            f"missing, first that of {name_trial(X, int(np.argmax(missing)))}. Remove trials "
            "without a label."
        )
    if labels.dtype == object:
        kinds = {_kind(label) for label in labels}
        if len(kinds) > 1 and not kinds <= set("iuf"):
            raise ValueError(
                f"y mixes labels of different types ({labels[0]!r} and others): Unknown label "
                "type. Pass all labels as text, or all as numbers."
            )
        if kinds <= set("biuf"):
            labels = np.array(labels.tolist())
    if labels.dtype == np.float16:  # pandas has no float16 index
        labels = labels.astype(np.float32)
    check_classification_targets(labels)
    return labels


def read_signals(
    estimator: BaseEstimator,
    X: object,
    *,
    reset: bool | None,
    missing: str,
    may_be_absent: bool = False,
    n_context: int = 0,
) -> list[tuple[np.ndarray, int]]:
    """Read the signal of each trial and treat missing samples.

    Samples are real numbers, as in :func:`edaemo.decomposition.decompose`: integers and floats of
    any width. Booleans and text are refused.

    Parameters
    ----------
    estimator : BaseEstimator
        A 2-D array is checked against its number of columns.
    X : object
        A trials table; a Series, object array or one-column frame of 1-D signals; or a 2-D array of
        numbers.
    reset : bool or None
        Whether the number of columns of a 2-D array is learned (True), checked (False) or ignored
        (None).
    missing : {"raise", "interpolate", "mask"}
        Treatment of samples that are missing (NaN, NA, None, masked), infinite or beyond the range
        of float32. "raise": an error. "interpolate": linear interpolation between finite
        neighbours, the nearest finite sample at the ends. "mask": NaN.
    may_be_absent : bool, default=False
        Whether a trial may lack its signal: None, NaN, an empty array, or no finite sample.
    n_context : int, default=0
        Number of samples before each trial. Missing samples at their beginning remain missing
        (NaN), regardless of `missing`, and are not counted.

    Returns
    -------
    list of (ndarray of shape (n_samples,), int)
        Each trial's samples, float64, and the number of missing samples. No samples if the signal
        is absent.

    Raises
    ------
    ValueError
        If X has another form, a cell is not a 1-D signal of real numbers, samples are missing and
        `missing` is "raise", or all samples of a trial are missing. The error names the trial.
    """
    refuse_foreign_frame(X, [*IDENTITY, "eda"])
    cells = signal_cells(X)
    if cells is None:
        if _is_one_dimensional(X):
            raise ValueError(
                f"X is a 1D array: one signal of {n_rows(X)} samples, or numbers, not trials. "
                "Reshape your data: pass an array of shape (n_trials, n_samples), or a table such "
                'as pd.DataFrame({"eda": [signal]}).'
            )
        if isinstance(X, pd.DataFrame) and signal_columns(X):
            raise ValueError(
                "X is not a trials table: it has no column 'eda' with a 1-D signal in each cell. "
                f"Its columns are {list(X.columns)}."
            )
        cells = read_rows(estimator, X, reset=reset, booleans=False, finite=False)
    if not len(cells):
        raise ValueError("X holds no trials: a minimum of 1 is required.")
    return [
        (np.empty(0), 0)
        if may_be_absent and _is_absent(cell)
        else _read_signal(X, row, cell, missing, n_context)
        for row, cell in enumerate(cells)
    ]


def _is_absent(cell: Any) -> bool:
    """Return whether a cell is None, NaN, an empty array, or holds no finite sample."""
    if isinstance(cell, np.ma.MaskedArray):
        cell = cell.compressed()
    values = np.asarray(without_gradient(cell))
    if values.dtype.kind == "f":
        return not np.isfinite(values).any()
    return not values.size or (values.dtype == object and bool(pd.isna(values).all()))


def read_cell(X: object, row: int, cell: object, signal: str = "eda") -> np.ndarray:
    """Return one trial's samples as float64 in the cell's shape; missing samples are NaN.

    Parameters
    ----------
    X : object
        The data that holds the trial, for the error message.
    row : int
        Row of the trial in X.
    cell : array-like
        Samples of the trial.
    signal : str, default="eda"
        Name of the signal, for the error message.

    Raises
    ------
    ValueError
        If the cell is empty or holds anything but real numbers. The error names the trial.
    """
    if type(cell) is np.ndarray and cell.dtype.kind in "iuf":
        values = cell  # fast path: building the trial's name takes longer than reading the cell
    else:
        name = f"{name_trial(X, row)}: its {block_title(signal)}"
        values = np.asarray(plain_numbers(cell, name, booleans=False))
    if values.dtype == object:
        values = np.where(pd.isna(values), np.nan, values)
    if not values.size or values.ndim == 0:
        raise ValueError(
            f"{name_trial(X, row)}: its {block_title(signal)} is not a 1-D signal but "
            f"{cell!r:.60}. Remove the trial."
        )
    return as_copied(values, np.float64)


def stack_signals(trials: pd.DataFrame, signal: str) -> tuple[np.ndarray, Block]:
    """Return the signals in one column of a trials table as rows, one channel after the other.

    Parameters
    ----------
    trials : DataFrame with n rows
        A trials table. A column ``channels`` (for ``eda``) or ``<signal>_channels``, if present,
        names the channels, as in ``"original|phasic|tonic"``.
    signal : str
        Name of the column. Its cells have shape (n_chans, n_times), or (n_times,) for one channel.

    Returns
    -------
    ndarray of float64 of shape (n, n_chans * n_times)
    Block
        Name, channels and number of samples of the signal.

    Raises
    ------
    ValueError
        If the table is empty, cells differ in shape, samples are missing or infinite, or the
        number of names is not the number of channels. The error names the trial.
    """
    if not len(trials):
        raise ValueError("The table holds no trials: a minimum of 1 is required.")
    title = block_title(signal)
    cells = [
        np.atleast_2d(read_cell(trials, row, cell, signal))
        for row, cell in enumerate(trials[signal])
    ]
    channels = _channel_names(trials, signal, len(cells[0]))
    shape = (len(channels), *cells[0].shape[1:])
    for row, cell in enumerate(cells):
        if cell.shape != shape or cell.ndim > 2:
            raise ValueError(
                f"{name_trial(trials, row)}: its {title} has shape {cell.shape}, row 0 has "
                f"{shape}. Cut all trials to the same length, or interpolate them "
                "(CvxEDATransformer(n_times=…))."
            )
    values = np.stack([cell.ravel() for cell in cells])
    finite = (np.abs(values) <= LARGEST).all(axis=1)
    if not finite.all():
        or_interpolate = (
            ", or use CvxEDATransformer(missing='interpolate')" if signal == "eda" else ""
        )
        raise ValueError(
            f"{name_trial(trials, int(np.argmin(finite)))}: its {title} holds NaN, masked or "
            f"infinite samples. Remove the trial{or_interpolate}."
        )
    return values, Block.signal(signal, len(channels), shape[1], channels)


def _channel_names(trials: pd.DataFrame, signal: str, n_chans: int) -> list[str]:
    """Return the channel names in the table; by default "original" for raw EDA, else numbers."""
    column = "channels" if signal == "eda" else f"{signal}_channels"
    if column not in trials.columns:
        is_raw = signal == "eda" or n_chans == 1
        return ["original"] if is_raw else [str(channel) for channel in range(n_chans)]
    kinds = trials[column].unique()
    if len(kinds) > 1:
        raise ValueError(f"The trials have different channels: {list(kinds)}.")
    return kinds[0].split("|")


def read_inputs(
    estimator: BaseEstimator,
    X: object,
    *,
    reset: bool,
    signals: Sequence[str] = ("eda",),
    features: Sequence[str] = ("music",),
    fitted: Layout | None = None,
    missing: bool = False,
    min_rows: int = 1,
) -> tuple[np.ndarray, Layout | None]:
    """Read the input of a network as rows of numbers, and the layout of these rows in blocks.

    Parameters
    ----------
    estimator : BaseEstimator
        X is checked against its number and names of columns; see `read_rows`.
    X : DataFrame or array-like
        One of three forms. A trials table with decomposed signals: cells of shape (n_chans,
        n_times), the same in all trials, as :class:`edaemo.CvxEDATransformer` returns them. An
        array of shape (n_trials, n_chans, n_times), if there is one signal. Rows of numbers of
        shape (n_trials, n_columns); the layout is read from the column names.
    reset : bool
        Whether number and names of the columns are learned (True) or checked (False).
    signals, features : sequence of str, default=("eda",) and ("music",)
        Blocks that the estimator accepts, in the order of their columns. If both are empty, rows
        of numbers with any content are accepted.
    fitted : dict of str to Block or None, default=None
        Layout in `fit`, if `reset` is False. A table or a 3-D array must have the same layout.
    missing : bool, default=False
        Whether NaN is accepted in rows of numbers.
    min_rows : int, default=1
        Minimum number of rows.

    Returns
    -------
    ndarray of float32 of shape (n_trials, n_columns)
    dict of str to Block or None
        The layout; None if X has no column names to read it from.

    Raises
    ------
    ValueError
        If X has another form, lacks a signal, differs from the input of `fit`, or holds anything
        but finite numbers. An error about one trial names it.
    """
    refuse_foreign_frame(X, [*IDENTITY, *signals])
    layout = None
    if _is_table(X, signals):
        rows, layout = _read_table(estimator, X, signals)
        if fitted is not None:
            _check_shapes(estimator, layout, fitted)
        if layout == fitted:
            return rows.astype(np.float32), layout
        index, names = identity_index(X), layout_names(layout)
        X = pd.DataFrame(rows, index=index, columns=names, copy=False)
    elif signal_cells(X) is not None:
        raise _needs_rows(estimator, signals)
    elif len(signals) == 1 and _is_three_dimensional(X):
        cells = np.asarray(plain_numbers(X, "X", booleans=True))
        layout = make_layout([Block.signal(signals[0], *cells.shape[1:])])
        if fitted is not None:
            _check_shapes(estimator, layout, fitted)
        X = cells.reshape(len(cells), -1)
    rows = read_rows(
        estimator, X, reset=reset, dtype=np.float32, missing=missing, min_rows=min_rows
    )
    learned = getattr(estimator, "feature_names_in_", None)
    if layout is None and reset and learned is not None:
        layout = read_layout(learned, signals, features)
    return rows, layout


def _is_table(X: object, signals: Sequence[str]) -> bool:
    """Return whether X is a trials table, even if it lacks the signals that are needed."""
    if any(holds_signals(X, signal) for signal in (*signals, "eda")):
        return True
    has_ids = isinstance(X, pd.DataFrame) and any(key in X.columns for key in IDENTITY)
    return has_ids and len(signal_columns(X)) > 0


def _is_three_dimensional(X: object) -> bool:
    if isinstance(X, (list, tuple)) and len(X):
        return getattr(X[0], "ndim", 0) == 2
    return getattr(X, "ndim", 0) == 3


def _is_one_dimensional(X: object) -> bool:
    if isinstance(X, (list, tuple)) and len(X):
        return np.ndim(X[0]) == 0
    has_fields = getattr(getattr(X, "dtype", None), "names", None) is not None
    return getattr(X, "ndim", 0) == 1 and not has_fields and n_rows(X) > 0


def _check_shapes(estimator: BaseEstimator, layout: Layout, fitted: Layout) -> None:
    here, there = ({b.name: b.shape for b in blocks.values()} for blocks in (layout, fitted))
    if here != there:
        raise ValueError(
            f"Each trial of X holds {here}, but {type(estimator).__name__} was fitted with "
            f"{there}: pass trials with the same signals, channels and samples."
        )


def _read_table(
    estimator: BaseEstimator, X: pd.DataFrame, signals: Sequence[str]
) -> tuple[np.ndarray, Layout]:
    """Return a trials table's signals, float64 of shape (n_trials, n_columns), and their layout."""
    if not signals:
        raise _needs_rows(estimator, signals)
    missing = [signal for signal in signals if signal not in X.columns]
    if missing:
        raise ValueError(
            f"{type(estimator).__name__} needs column {missing[0]}: the table has "
            f"{', '.join(map(str, signal_columns(X)))}."
        )
    for signal in signals:
        shapes = {np.shape(cell) for cell in _column(X, signal)}
        if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
            raise _needs_rows(estimator, signals)
    values, blocks = zip(*(stack_signals(X, signal) for signal in signals), strict=True)
    return np.concatenate(values, axis=1), make_layout(blocks)


def _needs_rows(estimator: BaseEstimator, signals: Sequence[str]) -> ValueError:
    or_table = ""
    if signals:
        or_table = (
            " Or pass a table of decomposed trials of the same shape, from "
            "CvxEDATransformer(n_times=…)."
        )
    return ValueError(
        f"{type(estimator).__name__} takes rows of numbers: put MusicFeatureUnion, with a "
        f"transformer of the signals as eda=, before it in a Pipeline.{or_table}"
    )


def _read_signal(
    X: object, row: int, cell: object, missing: str, n_context: int
) -> tuple[np.ndarray, int]:
    signal = read_cell(X, row, cell)
    if signal.ndim != 1:
        raise ValueError(
            f"{name_trial(X, row)}: each trial's EDA must be a 1-D signal, got an array of shape "
            f"{signal.shape}."
        )
    finite = np.abs(signal) <= LARGEST
    if finite.all():
        return signal, 0
    # The context begins with its first finite sample.
    start = int(np.argmax(np.append(finite[:n_context], True)))
    n_missing = int(np.sum(~finite[start:]))
    is_lost = not finite[n_context:].any()
    if n_missing and (missing == "raise" or is_lost):
        or_fill = "." if is_lost else ", or set missing='interpolate'."
        raise ValueError(
            f"{name_trial(X, row)}: {n_missing} of {len(signal) - start} samples are missing (NaN "
            "or masked), infinite or beyond float32, the first at sample "
            f"{start + int(np.argmin(finite[start:]))}. Remove the trial{or_fill}"
        )
    read = np.where(finite, signal, np.nan)
    if n_missing and missing == "interpolate":
        place = np.arange(len(signal))
        read[start:] = np.interp(place[start:], place[finite], signal[finite])
    return read, n_missing
