"""Times of samples: read them, find the sampling rate, and put samples on a regular grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from edaemo.datasets._file_options import TIME_UNITS

# Names of columns of times: one of the first words alone, or any of the second words.
_FIRST = {"t", "sec", "secs", "second", "seconds", "s", "ms", "msec", "min", "minutes", "zeit"}
_FIRST |= {"millis", "milliseconds", "millisec", "us", "unix", "clock", "uhrzeit", "elapsed", "utc"}
_WORDS = {"time", "times", "timestamp", "timestamps", "datetime", "unixtime", "channeltitle"}
_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millis", "millisec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "\u00b5s", "\u03bcs", "microseconds", "usec"), "us"),
    **dict.fromkeys(("ns", "nanoseconds"), "ns"),
    **dict.fromkeys(("min", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hours"), "h"),
}
# Largest difference of the rate of the times from the stated rate, as a share.
CLOCK = 0.01
# Largest difference from a whole number of Hz, as a share, that the clocks of devices explain.
DRIFT = 0.0025
# A step longer than this many ordinary steps is a gap.
GAP = 1.5
# Largest share of steps shorter than half an ordinary step.
IRREGULAR = 0.02
# A grid may be this many times longer than the samples.
LONGEST = 50
_DAY = 86_400.0
_FORMATS = tuple(
    f"{date} %H:%M:%S{fraction}"
    for date in ("%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y")
    for fraction in (".%f", "")
) + tuple(f"{date}%I:%M:%S{fraction} %p" for date in ("%m/%d/%Y ", "") for fraction in (".%f", ""))


@dataclass(frozen=True)
class TimeAxis:
    """A regular grid of times, and how to put samples on it.

    Attributes
    ----------
    sampling_rate : float
        In Hz.
    n_times : int
        Length of the grid.
    notes : tuple of str
        What was done, if it was more than nothing.
    exact : bool
        Whether each sample is at a time of the grid.
    """

    sampling_rate: float
    n_times: int
    notes: tuple[str, ...]
    _positions: np.ndarray  # of the samples, in steps of the grid
    exact: bool

    def place(self, samples: np.ndarray) -> np.ndarray:
        """Return samples on the grid, NaN in gaps; linear interpolation between grid points."""
        if self.exact:
            if len(samples) == self.n_times:
                return samples
            placed = np.full(self.n_times, np.nan)
            placed[np.rint(self._positions).astype(np.int64)] = samples
            return placed
        grid = np.arange(self.n_times, dtype=np.float64)
        placed = np.interp(grid, self._positions, samples)
        after = np.searchsorted(self._positions, grid - 1e-9)
        before = np.maximum(after - 1, 0)
        after = np.minimum(after, len(samples) - 1)
        apart = self._positions[after] - self._positions[before]
        placed[(apart > GAP) & (np.abs(self._positions[after] - grid) > 1e-6)] = np.nan
        return placed


def is_time_name(name: str) -> bool:
    """Return whether a column is one of times, by its name without a unit."""
    words = re.findall(r"[a-zµμ]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return bool(words) and ((len(words) == 1 and words[0] in _FIRST) or bool(_WORDS & set(words)))


def read_times(values: np.ndarray | pd.Series, name: str, unit: str) -> tuple[np.ndarray, str]:
    """Return times in seconds, and their unit: one of `TIME_UNITS`, "text", or "" if not known.

    Parameters
    ----------
    values : ndarray or Series of shape (n_samples,)
        Numbers, or texts: ISO 8601, other dates with a time, or clock times.
    name : str
        Header of the column.
    unit : str
        Unit in the header or given by the user; "" for no unit.

    Returns
    -------
    times : ndarray of shape (n_samples,)
        In seconds, from the first sample. In the unit of the file if the unit is not known.
    unit : str
        The unit.

    Raises
    ------
    ValueError
        If a text is not a time, or a time is missing.
    """
    series = pd.Series(values)
    if pd.api.types.is_datetime64_any_dtype(series) and not series.isna().any():
        return _since_first(series), "text"
    if not pd.api.types.is_numeric_dtype(series):
        return _parse_texts(series, name), "text"
    times = series.to_numpy(dtype=np.float64)
    missing = np.flatnonzero(~np.isfinite(times))
    if len(missing):
        raise ValueError(
            f"sample {missing[0] + 1} has no time in the column {name!r}. Fill it in, or ignore "
            "the column (--time none)."
        )
    words = re.findall(r"[a-zµμ]+", f"{unit} {name}".lower())
    found = next((_UNIT_WORDS[word] for word in words if word in _UNIT_WORDS), "")
    first = times[0] if len(times) else 0.0
    if not found:
        for limit, candidate in ((1e8, "s"), (1e11, "ms"), (1e14, "us"), (1e17, "ns")):
            if limit <= first < limit * 1e3:
                found = candidate
    return (times - first) * TIME_UNITS.get(found, 1.0), found


def _parse_texts(texts: pd.Series, name: str) -> np.ndarray:
    texts = texts.astype(str).str.strip()
    clock = texts.str.fullmatch(r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?")
    if clock.all():
        return _parse_clock(texts.str.replace(",", "."))
    times = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    for form in _FORMATS:
        if not times.isna().iloc[:10].all():
            break
        times = pd.to_datetime(texts.str.replace(",", "."), format=form, utc=True, errors="coerce")
    if times.isna().any():
        at = int(np.flatnonzero(times.isna())[0])
        raise ValueError(
            f"sample {at + 1} has {texts.iloc[at]!r} as {name!r}, which is not a time. Write times "
            "as 2024-05-31 13:45:00.250, or in seconds, or ignore the column (--time none)."
        )
    return _since_first(times)


def _since_first(times: pd.Series) -> np.ndarray:
    return ((times - times.iloc[0]) / timedelta(seconds=1)).to_numpy(dtype=np.float64)


def _parse_clock(texts: pd.Series) -> np.ndarray:
    """Return seconds of clock times; times after midnight continue those before."""
    parts = texts.str.split(":", expand=True).astype(np.float64).to_numpy()
    if parts.shape[1] == 2:  # hours and minutes, or minutes and seconds with a fraction
        scale = np.array([60.0, 1.0] if texts.str.contains(".", regex=False).any() else [3600, 60])
    else:
        parts, scale = np.nan_to_num(parts), np.array([3600.0, 60.0, 1.0])
    seconds = parts @ scale
    days = np.cumsum(np.diff(seconds, prepend=seconds[:1]) < -_DAY / 2)
    return seconds + days * _DAY - seconds[0]


def make_axis(
    times: np.ndarray, unit: str, name: str, sampling_rate: float | None = None
) -> TimeAxis:
    """Return the regular grid of the times of samples.

    The rate is the whole number of Hz (below 1 Hz: of seconds) within 0.25 % of the rate of the
    times and three standard errors, else their own rate. Steps longer than 1.5 ordinary steps are
    gaps.

    Parameters
    ----------
    times : ndarray of shape (n_samples,)
        From `read_times`.
    unit : str
        From `read_times`.
    name : str
        Name of the column, for messages.
    sampling_rate : float or None, default=None
        The rate that the user or the file states, in Hz.

    Returns
    -------
    TimeAxis
        The grid.

    Raises
    ------
    ValueError
        If times repeat or go back, steps are too irregular, or the rate contradicts
        `sampling_rate`.
    """
    column = f"the column {name!r}"
    if len(times) < 2:
        if sampling_rate is None:
            raise ValueError(f"{column} has {len(times)} time: the sampling rate is not known.")
        return TimeAxis(sampling_rate, len(times), (), np.zeros(len(times)), True)
    if (axis := _find_complete(times, unit, sampling_rate, column)) is not None:
        return axis
    steps = np.diff(times)
    if sampling_rate is not None and unit and _are_rounded(times, steps, sampling_rate):
        return TimeAxis(sampling_rate, len(times), (), np.arange(len(times)), True)
    _check_order(steps, column)
    ordinary = steps[steps < GAP * np.median(steps)]
    step = float(np.mean(ordinary))
    if not unit:
        unit = _guess_unit(step, sampling_rate, column)
        scale = TIME_UNITS[unit]
        times, steps, ordinary, step = times * scale, steps * scale, ordinary * scale, step * scale
    error = float(np.std(ordinary)) / (len(ordinary) * step)
    rate = _choose_rate(1 / step, DRIFT + 3 * error, sampling_rate, column)
    resolution = _find_resolution(times)
    short = ordinary < 0.5 * step - resolution
    if np.mean(short) > IRREGULAR:
        raise ValueError(
            f"the steps of {column} vary from {np.min(ordinary):g} to {np.max(steps):g} s around "
            f"{step:g} s, and {np.mean(short):.0%} of them are shorter than half of it: this is "
            "too irregular. Resample the recording, or ignore the times with --time none and "
            "--sampling-rate."
        )
    positions = times * rate
    length = int(np.rint(positions[-1])) + 1
    if length > LONGEST * len(times) + 1000:
        raise ValueError(
            f"{column} has a gap of {float(np.max(steps)):g} s, much longer than the recording. "
            "Cut the file into its recordings."
        )
    nearest = np.rint(positions)
    tolerance = max(0.501 * resolution * rate, 1e-3)
    exact = bool(np.all(np.abs(positions - nearest) <= tolerance) and np.all(np.diff(nearest) > 0))
    return TimeAxis(rate, length, _describe(steps, step, rate, column, exact), positions, exact)


def _find_complete(
    times: np.ndarray, unit: str, sampling_rate: float | None, column: str
) -> TimeAxis | None:
    """Return the axis of times at a whole rate and without gaps, None for other times.

    It is that of the steps below, which take ten times as long.
    """
    n_first = min(1000, len(times) - 1)
    step = float(times[n_first]) / n_first
    try:
        scale = 1.0 if unit else TIME_UNITS[_guess_unit(step, sampling_rate, column)]
        rate = _choose_rate(1 / (step * scale), DRIFT, sampling_rate, column)
    except (ValueError, ZeroDivisionError):
        return None
    if rate != np.rint(rate) or rate < 1:
        return None
    apart = times * (scale * rate)
    apart -= np.arange(len(times))
    resolution = _find_resolution(times[:10_000] * scale)
    # Steps are then neither gaps nor shorter than half of a step.
    tolerance = min(max(0.501 * resolution * rate, 1e-3), 0.24)
    if max(float(np.max(apart)), -float(np.min(apart))) > tolerance:
        return None
    return TimeAxis(rate, len(times), (), times, True)


def _are_rounded(times: np.ndarray, steps: np.ndarray, sampling_rate: float) -> bool:
    """Return whether times repeat only because they are rounded, to seconds or parts of them."""
    if not np.any(steps == 0) or np.any(steps < 0):
        return False
    differences = times - np.arange(len(times)) / sampling_rate
    return bool(np.ptp(differences) <= _find_resolution(times) + 1e-9)


def _check_order(steps: np.ndarray, column: str) -> None:
    back = np.flatnonzero(steps < 0)
    same = np.flatnonzero(steps == 0)
    if len(back) == len(steps):
        raise ValueError(f"{column} runs backwards: sort the rows by time.")
    if len(back) and len(back) <= max(1, len(steps) // 20):
        raise ValueError(
            f"{column} jumps back by {-steps[back[0]]:g} at sample {back[0] + 2} (in all "
            f"{len(back)} times), as if recordings were appended. Put each recording into its "
            "own file, or add a column trial."
        )
    if len(back):
        raise ValueError(
            f"{column} goes back {len(back)} times, first at sample {back[0] + 2}: the rows are "
            "not in order. Sort them by time."
        )
    if len(same):
        raise ValueError(
            f"{column} repeats a time {len(same)} times, first at sample {same[0] + 2}. Remove the "
            "repeated rows; if the times are rounded, pass --sampling-rate, and --time none if "
            "that is not enough."
        )


def _guess_unit(step: float, sampling_rate: float | None, column: str) -> str:
    """Return the unit in which the step is one of EDA: 1 s at most, 1 ms at least."""
    if sampling_rate is not None:
        for unit in ("s", "ms", "us", "min"):
            if abs(step * TIME_UNITS[unit] * sampling_rate - 1) <= CLOCK:
                return unit
        raise ValueError(
            f"{column} has steps of {step:g} ({1 / step:.4g} Hz if in seconds), but sampling_rate "
            f"is {sampling_rate:g} Hz. Pass the correct rate, or do not pass it. If the column "
            "counts samples, ignore it with --time none."
        )
    if abs(step - 1) < 1e-9:
        raise ValueError(
            f"{column} counts in steps of 1: these may be seconds, milliseconds or samples. Pass "
            "--time-unit s or ms; for samples, --time none and --sampling-rate."
        )
    return "s" if step < 1 else "ms" if step <= 1000 else "us"


def _choose_rate(rate: float, tolerance: float, sampling_rate: float | None, column: str) -> float:
    if sampling_rate is not None:
        if abs(rate / sampling_rate - 1) > CLOCK:
            raise ValueError(
                f"{column} gives {rate:.4g} Hz, but sampling_rate is {sampling_rate:g} Hz. Pass "
                "the correct rate, or do not pass it."
            )
        return sampling_rate
    whole = float(np.rint(rate)) if rate >= 1 else 1 / float(np.rint(1 / rate))
    return whole if whole and abs(rate / whole - 1) <= tolerance else rate


def _find_resolution(times: np.ndarray) -> float:
    """Return the power of ten, from 1 s to 1 µs, of which all times are multiples; else 0."""
    some = times[:10_000]
    for digits in range(7):
        scaled = some * 10.0**digits
        if np.all(np.abs(scaled - np.rint(scaled)) < 1e-3):
            return 10.0**-digits
    return 0.0


def _describe(
    steps: np.ndarray, step: float, rate: float, column: str, exact: bool
) -> tuple[str, ...]:
    notes = []
    gaps = steps[steps > GAP * step]
    if len(gaps):
        missing = int(np.sum(np.rint(gaps * rate) - 1))
        notes.append(
            f"{column} has {len(gaps)} gap{'s' * (len(gaps) > 1)}, the longest of "
            f"{np.max(gaps) - step:.6g} s: {missing} missing samples at {rate:g} Hz."
        )
    if not exact:
        ordinary = steps[steps <= GAP * step]
        notes.append(
            f"the steps of {column} vary from {np.min(ordinary):.4g} to {np.max(ordinary):.4g} s: "
            f"resampled to {rate:g} Hz."
        )
    return tuple(notes)
