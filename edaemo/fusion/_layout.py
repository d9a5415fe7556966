"""The column layout ``[eda channel 0 | channel 1 | … | music]``: its names are made and read here.

A channel's columns are ``eda_<channel>_<sample>``, all samples of one channel together, in order;
a music column is ``music_<feature>``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

EDA, MUSIC = "eda_", "music_"
_SAMPLE = re.compile(rf"{EDA}(.+)_(\d+)")


@dataclass(frozen=True)
class Layout:
    """How one row of numbers divides: `n_chans` signals of `n_times` samples, then music."""

    n_chans: int
    n_times: int
    n_music_features: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_chans * self.n_times + self.n_music_features


def eda_names(channels: Sequence[str], n_times: int) -> list[str]:
    """Name the columns of signals, one channel after the other."""
    return [f"{EDA}{channel}_{sample}" for channel in channels for sample in range(n_times)]


def music_names(features: Sequence[object]) -> list[str]:
    """Name the columns of music features."""
    return [f"{MUSIC}{feature}" for feature in features]


def check_components(components: Sequence[str], possible: Sequence[str]) -> None:
    """Raise a ValueError unless the components are one or more of those possible, each once."""
    strange = [name for name in components if name not in possible]
    if strange or not components or len(set(components)) < len(components):
        raise ValueError(
            f"components must name one or more of {possible}, each once; got {tuple(components)!r}."
        )


def channels_table(
    trials: pd.DataFrame, cells: Sequence[np.ndarray], channels: Sequence[str]
) -> pd.DataFrame:
    """Return a trials table with these cells of shape (n_chans, n_times), and its channels named.

    The column ``channels`` holds ``"original|phasic|tonic"`` or the like in each row.
    """
    table = trials.copy()
    objects = np.empty(len(cells), dtype=object)
    objects[:] = cells
    table["eda"] = pd.Series(objects, index=table.index, dtype=object)
    table["channels"] = "|".join(channels)
    return table


def read_layout(names: Sequence[str]) -> Layout | None:
    """Read the layout from column names.

    Returns
    -------
    Layout or None
        None where no name speaks of EDA or music: the columns are a bare array's.

    Raises
    ------
    ValueError
        If some columns speak and others do not, or the signals' samples are not complete and in
        order.
    """
    is_eda = [name.startswith(EDA) for name in names]
    is_music = [name.startswith(MUSIC) for name in names]
    if not any(is_eda) and not any(is_music):
        return None
    n_eda, n_music = sum(is_eda), sum(is_music)
    strange = [name for name, a, b in zip(names, is_eda, is_music, strict=True) if not (a or b)]
    if strange or not all(is_eda[:n_eda]):
        raise ValueError(
            f"Columns must be all EDA (eda_…) and then all music (music_…); "
            f"got {strange[:3] or 'music before EDA'}."
        )
    channels: dict[str, int] = {}
    for name in names[:n_eda]:
        found = _SAMPLE.fullmatch(name)
        if found is None:
            raise ValueError(f"Column {name!r} is no sample of a signal (eda_<channel>_<sample>).")
        channel, sample = found[1], int(found[2])
        if sample != channels.get(channel, 0) or (sample and channel != next(reversed(channels))):
            raise ValueError(f"Column {name!r} is out of order: a channel's samples run from 0 on.")
        channels[channel] = sample + 1
    lengths = set(channels.values())
    if len(lengths) > 1:
        raise ValueError(f"The EDA channels differ in length: {channels}.")
    return Layout(len(channels), lengths.pop() if lengths else 0, n_music)


def agree(layout: Layout, **said: int | None) -> None:
    """Raise a ValueError where a parameter says otherwise than the column names do."""
    for name, value in said.items():
        if value is not None and value != getattr(layout, name):
            raise ValueError(
                f"{name}={value}, but the column names say {getattr(layout, name)}. "
                f"Leave {name} out, or give columns that fit it."
            )


def infer_layout(
    width: int, n_chans: int | None, n_times: int | None, n_music_features: int | None
) -> Layout:
    """Work out how the rows of a bare array divide.

    One of the three numbers may be missing and is worked out; `n_times` and `n_music_features`
    both missing means no music.

    Raises
    ------
    ValueError
        If the numbers do not add up to `width` exactly, or too few are given.
    """
    said = f"n_chans={n_chans}, n_times={n_times}, n_music_features={n_music_features}"
    if n_times is None and n_music_features is None:
        n_music_features = 0
    if n_chans is None and n_times is None:
        raise ValueError(
            f"A bare array does not say how its {width} columns divide: give n_chans (and n_times "
            "or n_music_features where there is music), or a DataFrame as MusicFeatureUnion makes."
        )
    if n_music_features is None:
        if n_chans is None:
            raise ValueError(f"Give n_chans or n_music_features beside n_times: {said}.")
        n_music_features = width - n_chans * n_times
    signals = width - n_music_features
    if n_times is None:
        n_times = signals // n_chans
    if n_chans is None:
        n_chans = signals // n_times
    layout = Layout(n_chans, n_times, n_music_features)
    if layout.width != width or n_music_features < 0 or n_chans < 1 or n_times < 1:
        raise ValueError(
            f"n_chans * n_times + n_music_features must be the array's {width} columns (n_features "
            f"= {width}), with at least one channel and one sample: {said}."
        )
    return layout
