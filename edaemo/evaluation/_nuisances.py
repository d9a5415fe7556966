"""Measure how well the labels follow from what a recording has besides its signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from edaemo._validation import identity, read_cell, signal_cells
from edaemo.preprocessing import count_levels

# From this area under the curve on, a nuisance is named in the verdict of the audit.
TELLING = 0.6
_LENGTH, _STEP, _RATE, _ORDER = "length", "quantisation step", "sampling rate", "trial order"
_MISSING, _ANY_SHAPE = "missing samples", "in any shape"
# Columns of a trials table that are nuisances themselves.
_COLUMNS = ("duration", "session_time", "start", "device")
_N_HALVES = 20  # random halves of the people
# A signal is quantised if this share of the gaps between its values are whole multiples of a step,
# to within this part of the step. The smallest gap holds up to so many steps.
_SHARE_OF_GAPS, _PART_OF_STEP, _MOST_STEPS = 0.9, 0.1, 10


def measure_nuisances(
    X: object,
    codes: np.ndarray,
    classes: Sequence[Any] | pd.Index,
    subject: np.ndarray | None = None,
    sampling_rate: float | Sequence[float] | np.ndarray | None = None,
) -> pd.DataFrame:
    """Compute how well each nuisance separates the classes, without training.

    Parameters
    ----------
    X : object
        Trials, as in :func:`audit`.
    codes : ndarray of int, shape (n,)
        Class of each trial, as the position in `classes`.
    classes : sequence
    subject : ndarray of shape (n,) or None, default=None
        The trials of a subject depend on each other. None: all trials are independent.
    sampling_rate : float, sequence of n floats or None, default=None
        In Hz. None: the column ``sampling_rate`` of X, if present.

    Returns
    -------
    DataFrame
        One row for each nuisance that varies: ``nuisance`` (length, share of missing samples,
        quantisation step, sampling rate, trial order, and the columns duration, session_time, start
        and device); ``value`` of a nuisance without an order, against all other values; ``label``,
        the class that it separates best from the others; ``auc``, area under the ROC curve for this
        class, regardless of the direction, from 0.5 to 1; ``auc_low``, ``auc_high``, its 95 %
        interval; ``n``, trials with a known value. The value of trial order is "in any shape" if
        the classes of other people at the same place separate better (`measure_order`).

    Notes
    -----
    The largest area over classes and values is returned. All intervals together have 95 % coverage
    (Bonferroni, over nuisances, values and classes), so that the largest of many areas is not
    taken for a finding. They are for trials that are clustered by subject (Obuchowski, Biometrics
    53, 1997, 567-578), with Student's t. Its degrees of freedom are the number of subjects with
    trials of the class, or with others if they are fewer, minus one. An interval is NaN if fewer
    than two subjects have trials of the class, or of the others.
    """
    units = np.arange(len(codes)) if subject is None else pd.factorize(subject)[0]
    found = _find(X, subject, sampling_rate)
    known_of = {name: ~pd.isna(values) & (units >= 0) for name, values in found.items()}
    numbers_of = {name: _as_numbers(values[known_of[name]]) for name, values in found.items()}
    n_numbers = sum(map(len, numbers_of.values())) + (_ORDER in found)
    # The areas of two classes are the same.
    error = 0.05 / max(1, n_numbers * (len(classes) if len(classes) > 2 else 1))
    rows = []
    for nuisance, known in known_of.items():
        areas = [
            {"nuisance": nuisance, "value": value, "label": label, "n": int(known.sum()), **area}
            for value, numbers in numbers_of[nuisance]
            for code, label in enumerate(classes)
            if (area := _area(numbers, codes[known] == code, units[known], error))
        ]
        if nuisance == _ORDER and subject is not None and known.all():
            shape = measure_order(found[nuisance], codes, subject, error)
            areas += [] if shape is None else [_describe_shape(shape, classes, len(codes))]
        if areas:
            rows.append(max(areas, key=lambda row: row["auc"]))
    columns = ["nuisance", "value", "label", "auc", "auc_low", "auc_high", "n"]
    # Objects, since pandas replaces None by NaN if other values are text.
    values_of = pd.Series([row["value"] for row in rows], dtype=object)
    return pd.DataFrame(rows, columns=columns).assign(value=values_of)


def measure_order(
    places: np.ndarray, codes: np.ndarray, subject: np.ndarray, error: float = 0.05
) -> dict[str, float] | None:
    """Compute how well the place of a trial in the session tells its class.

    Parameters
    ----------
    places : ndarray of numbers, shape (n,)
        Place of each trial in the session.
    codes : ndarray of int, shape (n,)
        Class of each trial, from 0.
    subject : ndarray of shape (n,)
        Subject of each trial.
    error : float, default=0.05
        One minus the confidence level of the interval.

    Returns
    -------
    dict of str to float, or None
        Areas under the ROC curve, the largest over the classes. ``linear``: of the place itself,
        regardless of the direction. ``any_shape``: of the share of the class among the trials of
        other people at the same place. The others are a random half of the people; it is the mean
        over 20 halves, and below 0.5 if the order of one half is the reverse of that of the other.
        ``class_of_shape``: position of the class. ``half_width``: of the interval of
        ``any_shape``, as for a single half of the people, which is wider than that of the mean.
        None with fewer than four people, two classes or two places: loaders set all places to 0 if
        the order is not known.
    """
    people, place = pd.factorize(subject)[0], pd.factorize(places, sort=True)[0]
    n_people, n_classes = people.max() + 1, codes.max() + 1
    if n_people < 4 or len(np.unique(codes)) < 2 or place.max() < 1:
        return None
    numbers = places.astype(np.float64)
    linear = [_area(numbers, codes == code, people, error) for code in range(n_classes)]
    counts = np.zeros((n_people, place.max() + 1, n_classes))
    np.add.at(counts, (people, place, codes), 1)
    shape = np.full((_N_HALVES, n_classes, 2, 2), np.nan)  # area and half-width of both sides
    rng = np.random.default_rng(0)
    for half, code in np.ndindex(shape.shape[:2]):
        inside = np.isin(people, rng.permutation(n_people)[: n_people // 2])
        of_others = [counts[np.unique(people[side])].sum(axis=0) for side in (~inside, inside)]
        shares = [of[:, code] / np.maximum(of.sum(axis=1), 1) for of in of_others]
        shape[half, code] = [
            _directed_area(share[place[side]], codes[side] == code, people[side], error)
            for share, side in zip(shares, (inside, ~inside), strict=True)
        ]
    areas = shape[..., 0].mean(axis=(0, 2))
    best = int(areas.argmax())
    widths = shape[:, best, :, 1]
    return {
        "linear": max(area.get("auc", 0.5) for area in linear),
        "any_shape": float(areas[best]),
        "class_of_shape": best,
        "half_width": np.nan if np.isnan(widths).all() else float(np.nanmean(widths)),
    }


def _describe_shape(
    order: dict[str, float], classes: Sequence[Any] | pd.Index, n: int
) -> dict[str, Any]:
    """Return the row of `measure_nuisances` for the order in any shape."""
    area, half = order["any_shape"], order["half_width"]
    return {
        "nuisance": _ORDER,
        "value": _ANY_SHAPE,
        "label": classes[int(order["class_of_shape"])],
        "n": n,
        **_limit(area, half),
    }


def describe_order(X: object, codes: np.ndarray | None, subject: np.ndarray | None) -> str:
    """Return in words how well the trial order predicts the class; "" if it is not known."""
    order = identity(X, "trial")
    if codes is None or subject is None or order is None:
        return ""
    if not pd.api.types.is_numeric_dtype(order.dtype) or pd.isna(subject).any():
        return ""
    areas = measure_order(order, codes, subject)
    if areas is None:
        return ""
    text = (
        f"the trial order predicts the label with AUC {areas['linear']:.2f} (linear), "
        f"{areas['any_shape']:.2f} (any shape, from other people)"
    )
    version = identity(X, "version")
    if version is None:
        return f"{text}."
    people = pd.Series(subject).groupby(np.asarray(version, dtype=object)).nunique()
    return f"{text}; people by version: {', '.join(f'{k} {n}' for k, n in people.items())}."


def describe_nuisances(table: pd.DataFrame) -> list[str]:
    """Return the nuisances that tell the label: area at least 0.6, interval above 0.5."""
    described = []
    for row in table[(table["auc"] >= TELLING) & ~(table["auc_low"] <= 0.5)].to_dict("records"):
        of_value = "" if row["value"] is None else f" {row['value']}"
        interval = f" [{row['auc_low']:.2f}, {row['auc_high']:.2f}]"
        interval = "" if np.isnan(row["auc_low"]) else interval
        described.append(f"{row['nuisance']}{of_value} (AUC {row['auc']:.2f}{interval})")
    return described


def _find(
    X: object,
    subject: np.ndarray | None,
    sampling_rate: float | Sequence[float] | np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Return the known nuisances, with one value for each trial."""
    cells = signal_cells(X)
    found: dict[str, np.ndarray] = {}
    if cells is not None:
        signals = [read_cell(X, row, cell) for row, cell in enumerate(cells)]
        found[_LENGTH] = np.array([signal.shape[-1] for signal in signals])
        found[_MISSING] = np.array([1 - np.isfinite(signal).mean() for signal in signals])
        found[_STEP] = np.array([_find_step(signal[np.isfinite(signal)]) for signal in signals])
    rate = identity(X, "sampling_rate") if sampling_rate is None else np.asarray(sampling_rate)
    if rate is not None and rate.ndim:
        found[_RATE] = rate
    order = identity(X, "trial")
    if order is None or not pd.api.types.is_numeric_dtype(order.dtype):
        order = _count_earlier(subject)
    if order is not None:
        found[_ORDER] = order
    columns = {name: identity(X, name) for name in _COLUMNS}
    return found | {name: values for name, values in columns.items() if values is not None}


def _find_step(values: np.ndarray) -> float:
    """Return the quantisation step of samples to two digits; 0 if they are not quantised.

    The smallest difference of samples that are not quantised would not do: it grows with the
    signal. NaN if all samples are equal.
    """
    smallest = count_levels(values)[1]
    if np.isnan(smallest):
        return np.nan
    gaps = np.diff(np.unique(values))
    gaps = gaps[gaps >= smallest] / smallest
    for n_steps in range(1, _MOST_STEPS + 1):
        off = np.abs(gaps * n_steps - np.rint(gaps * n_steps))
        if np.mean(off < _PART_OF_STEP) >= _SHARE_OF_GAPS:
            return float(f"{smallest / n_steps:.1e}")
    return 0.0


def _count_earlier(subject: np.ndarray | None) -> np.ndarray | None:
    """Return how many earlier rows each row's subject has; None if subjects are unknown."""
    return None if subject is None else pd.Series(subject).groupby(subject).cumcount().to_numpy()


def _as_numbers(values: np.ndarray) -> list[tuple[Any, np.ndarray]]:
    """Return the values as numbers; for values without an order, each one against the others."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return [(None, values.astype(np.float64))]
    different = pd.unique(values)
    return [(value, (values == value).astype(np.float64)) for value in different]


def _area(
    values: np.ndarray, is_class: np.ndarray, units: np.ndarray, error: float
) -> dict[str, float]:
    """Return the area under the ROC curve and its interval; nothing if a side or change lacks."""
    if is_class.all() or not is_class.any() or (values == values[0]).all():
        return {}
    area, half = _directed_area(values, is_class, units, error)
    return _limit(max(area, 1 - area), half)


def _limit(area: float, half: float) -> dict[str, float]:
    return {"auc": area, "auc_low": max(area - half, 0.0), "auc_high": min(area + half, 1.0)}


def _directed_area(
    values: np.ndarray, is_class: np.ndarray, units: np.ndarray, error: float
) -> tuple[float, float]:
    """Return the area under the ROC curve, and the half-width of its interval.

    With one class they are 0.5 and NaN.
    """
    n, m = is_class.sum(), (~is_class).sum()
    if not n or not m:
        return 0.5, np.nan
    # Share of the other side below each trial; ties count half.
    inside, outside = np.sort(values[is_class]), np.sort(values[~is_class])
    below = _share_below(values[is_class], outside)
    above = 1 - _share_below(values[~is_class], inside)
    area = float(below.mean())
    n_with_class, n_with_others = (len(np.unique(units[side])) for side in (is_class, ~is_class))
    n_units = len(np.unique(units))
    if min(n_with_class, n_with_others) < 2:
        return area, np.nan
    of_class = np.bincount(units[is_class], below - area, minlength=units.max() + 1)
    of_others = np.bincount(units[~is_class], above - area, minlength=units.max() + 1)
    variance = (
        n_with_class / (n_with_class - 1) * (of_class @ of_class) / n**2
        + n_with_others / (n_with_others - 1) * (of_others @ of_others) / m**2
        + 2 * n_units / (n_units - 1) * (of_class @ of_others) / (n * m)
    )
    return area, float(
        student.ppf(1 - error / 2, min(n_with_class, n_with_others) - 1)
        * np.sqrt(max(variance, 0.0))
    )


def _share_below(values: np.ndarray, of_sorted: np.ndarray) -> np.ndarray:
    below = np.searchsorted(of_sorted, values, "left") + np.searchsorted(of_sorted, values, "right")
    return below / (2 * len(of_sorted))
