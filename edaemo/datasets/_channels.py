"""The channels of a file of any format, and which of them is the EDA."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from edaemo._validation import name_some, suggest
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._text import is_eda_name
from edaemo.datasets._time_axis import is_time_name
from edaemo.datasets._units import CONDUCTANCES, EDA_UNITS, RESISTANCES, find_unit

# Names of EDA that need no other hint, in upper or lower case.
EXACT = ("eda", "gsr")
# Words in the names of files that hold another signal of a wristband.
OTHER_SIGNALS = {"temp", "temperature", "hr", "bvp", "acc", "ibi", "ppg", "ecg", "tags"}


class NoEDAError(DatasetError):
    """A file holds no column that is EDA by its name or its unit."""


class Event(NamedTuple):
    """An event in a recording: onset and duration in seconds, and its label, "" without one."""

    onset: float
    duration: float
    label: str


@dataclass(frozen=True)
class Channel:
    """One channel or column of a file.

    Attributes
    ----------
    name, unit : str
        As in the file; "" if it states none.
    numeric : bool
        Whether it holds numbers.
    sampling_rate : float or None
        In Hz, if the file states it for each channel.
    bits : int or None
        Resolution of the converter, for readings of one.
    times : ndarray or None
        Times of the samples in seconds, if the format has them for each channel.
    start : float
        Time of the first sample on the clock of the events, in seconds.
    """

    name: str
    unit: str = ""
    numeric: bool = True
    sampling_rate: float | None = None
    bits: int | None = None
    times: np.ndarray | None = None
    start: float = 0.0


@dataclass(frozen=True)
class OpenFile:
    """The channels of a file and how to read them.

    Attributes
    ----------
    channels : list of Channel
        All channels or columns.
    read : callable
        Takes the positions of channels, and of those that are read as text; returns position →
        Series. Numbers are float64, NaN where they are missing.
    named : bool
        Whether the channels have names.
    is_table : bool
        Whether the channels are columns of equal length, so that one of them may hold the times.
    sampling_rate : float or None
        In Hz, if the file states it for all channels.
    device : str or None
        Device whose readings the file holds, if it names it.
    notes : tuple of str
        Remarks on the format.
    first : tuple of str
        The first cells of each column of a text, for messages.
    read_events : callable or None
        Returns the events in the file, with onsets on their clock. None if the format has no
        events.
    """

    channels: list[Channel]
    read: Callable[[Sequence[int], Sequence[int]], dict[int, pd.Series]]
    named: bool = True
    is_table: bool = True
    sampling_rate: float | None = None
    device: str | None = None
    notes: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    read_events: Callable[[], list[Event]] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the channels, or their units if they have no name."""
        return [channel.name or channel.unit for channel in self.channels]


def read_arrays(
    columns: Sequence[np.ndarray],
) -> Callable[[Sequence[int], Sequence[int]], dict[int, pd.Series]]:
    """Return the function `read` of an OpenFile whose channels are in memory."""
    return partial(_choose, columns)  # picklable, for a reader in a child process


def _choose(
    columns: Sequence[np.ndarray], chosen: Sequence[int], texts: Sequence[int]
) -> dict[int, pd.Series]:
    return {i: pd.Series(columns[i]) for i in chosen}


def find_eda(file: OpenFile, path: Path) -> list[int]:
    """Return the channels that are EDA by their names or units, or by the name of the file."""
    channels = file.channels
    exact = [i for i, channel in enumerate(channels) if channel.name.lower() in EXACT]
    if any(_find_kind(channels[i]) != "adc" for i in exact):
        return [i for i in exact if _find_kind(channels[i]) != "adc"]
    named = [i for i, channel in enumerate(channels) if is_eda_name(channel.name)]
    named = [i for i in named if channels[i].numeric] or named
    if not named:
        units = (*CONDUCTANCES, *RESISTANCES)
        named = [i for i, channel in enumerate(channels) if find_unit(channel.unit) in units]
    kinds = [_find_kind(channels[i]) for i in named]
    if len(kinds) > 1 and "" not in kinds and kinds.count("conductance") == 1:
        return [named[kinds.index("conductance")]]  # one sensor in several units
    return named or (find_only(file) if names_eda(path) else [])


def _find_kind(channel: Channel) -> str:
    """Return "conductance", "resistance" or "adc", by the unit or else the name; "" if unknown."""
    unit = find_unit(channel.unit)
    words = re.findall("[a-z]+", channel.name.lower())
    if unit in CONDUCTANCES or (unit is None and "conductance" in words and "raw" not in words):
        return "conductance"
    if unit in RESISTANCES or (unit is None and {"resistance", "impedance"} & {*words}):
        return "resistance"
    return "adc" if unit == "adc" or "raw" in words else ""


def names_eda(path: Path) -> bool:
    """Return whether the name of a file, or the whole name of its folder, is one of EDA."""
    other = OTHER_SIGNALS & set(re.findall("[a-z]+", path.stem.lower()))
    return is_eda_name(path.stem) or (path.parent.name.lower() in EXACT and not other)


def find_only(file: OpenFile) -> list[int]:
    """Return the numeric columns that are neither times nor an index without a name."""
    usual = [
        i
        for i, channel in enumerate(file.channels)
        if channel.numeric and not is_time_name(channel.name or channel.unit)
    ]
    with_name = [i for i in usual if file.channels[i].name]
    return with_name if file.named and with_name else usual


def choose_channel(file: OpenFile, path: Path, column: str | None) -> tuple[int, tuple[str, ...]]:
    """Return the position of the EDA, or of the column that the user names, and remarks.

    Raises
    ------
    NoEDAError
        If no channel can be the EDA.
    DatasetError
        If several channels can be the EDA, or no channel has the name.
    """
    names = file.names
    if column is not None:
        found = [i for i, name in enumerate(names) if name == column]
        found = found or [
            i for i, c in enumerate(file.channels) if f"{c.name} ({c.unit})" == column
        ]
        if not file.named:
            raise DatasetError(f"{path}: the file has no header, so no column is named {column!r}.")
        if not found:
            raise DatasetError(
                f"{path}: no column is named {column!r}. The columns are {name_some(names)}. "
                f"{suggest(column, [name for name in names if name])}"
            )
        if len(found) > 1:
            raise DatasetError(
                f"{path}: more than one column is named {column!r}: rename one. The columns are "
                f"{name_some(names)}."
            )
        return found[0], ()
    found = find_eda(file, path)
    if len(found) == 1:
        return found[0], ()
    if not found and not file.is_table:
        raise NoEDAError(f"{path}: no channel is EDA by its name or unit. {describe(file)}")
    only = found or find_only(file)
    if len(only) > 1:
        raise _too_many(file, path, only)
    if not only:
        raise NoEDAError(f"{path}: no column holds numbers. {describe(file)}")
    if not file.named and len(file.channels) > 1:
        raise NoEDAError(
            f"{path}: {len(file.channels)} columns and no header. Add a first line with the column "
            f"names. {describe(file)}"
        )
    name = names[only[0]]
    what = f"the column {name!r} is the only one of numbers" if name else "the column has no name"
    return only[0], (f"{what}: it was taken for EDA because the file was asked for.",)


def _too_many(file: OpenFile, path: Path, found: list[int]) -> DatasetError:
    names = [file.names[i] for i in found]
    if not file.named:
        return NoEDAError(
            f"{path}: {len(file.channels)} columns and no header. Add a first line with the column "
            f"names; or, if commas are decimal signs, pass decimal=',' (--decimal ,). "
            f"{describe(file)}"
        )
    if len({*names}) < len(names):
        return DatasetError(
            f"{path}: more than one column is named {names[0]!r}: rename one. The columns are "
            f"{name_some(file.names)}."
        )
    is_named = bool(find_eda(file, path))
    kind = DatasetError if is_named else NoEDAError
    wrong = (
        "more than one column may be the EDA" if is_named else "no column is EDA by name or unit"
    )
    listed = []
    for i in found[:10]:
        channel, values = file.channels[i], file.read([i], [])[i]
        rate = f", {channel.sampling_rate:g} Hz" if channel.sampling_rate else ""
        unit = f" {channel.unit}" if channel.unit else ""
        listed.append(f"{file.names[i]} ({values.min():g} to {values.max():g}{unit}{rate})")
    return kind(
        f"{path}: {wrong}: choose one with column (--column). "
        f"{'; '.join(listed)}. The columns are {name_some(file.names)}."
    )


def describe(file: OpenFile) -> str:
    """Return a sentence on what a file holds, and the call that reads it."""
    example = next((name for name in file.names if name), None)
    call = f" To read it: read_recording(path, column={example!r}, sampling_rate=…)." * bool(
        example
    )
    rows = f" The first row is {name_some(file.first)}." if file.first else ""
    return f"The columns are {name_some(file.names)}.{rows}{call}"


def check_unit(path: Path, channel: Channel, unit: str) -> str:
    """Return the unit of a channel: the user's, else the header's, else microsiemens.

    Raises
    ------
    DatasetError
        If the header states a unit that is neither a conductance nor a resistance.
    """
    if unit != "auto":
        return unit
    found = find_unit(channel.unit)
    if found is None and _find_kind(channel) == "resistance":
        raise DatasetError(
            f"{path}: the column {channel.name!r} is a resistance by its name, and its unit is not "
            "known. Pass unit (--unit): ohm, kiloohm or megaohm."
        )
    if found is None:
        return "microsiemens"
    if found not in EDA_UNITS:
        raise DatasetError(
            f"{path}: the column {channel.name!r} is in {channel.unit}, which is not a conductance "
            f"or resistance. Pass unit (--unit), one of {', '.join(EDA_UNITS[1:])}."
        )
    return found
