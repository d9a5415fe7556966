"""How a row of numbers divides into named blocks: the names of its columns are made and read here.

A row holds one trial: first its signals, then its features, as in ``[eda | music]`` or
``[eda | eeg | eye | music]``. A signal's columns are ``<block>_<channel>_<sample>``, all samples of
one channel together, in order; a feature's column is ``<block>_<feature>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

EDA, MUSIC = "eda_", "music_"


@dataclass(frozen=True)
class Block:
    """A stretch of columns that belong together; made by `signal` or `features`.

    Attributes
    ----------
    name : str
        ``"eda"``, ``"music"``, ``"eeg"``, …: what the names of its columns begin with.
    n_features : int
        Number of its columns.
    n_chans, n_times : int or None
        Channels, and samples of each, of a signal; None for features.
    channels : tuple of str or None
        Names of a signal's channels, where they have names.
    start : int
        Place of its first column in the row.
    """

    name: str
    n_features: int
    n_chans: int | None = None
    n_times: int | None = None
    channels: tuple[str, ...] | None = None
    start: int = 0

    @classmethod
    def signal(
        cls, name: str, n_chans: int, n_times: int, channels: Sequence[str] | None = None
    ) -> Self:
        """Return a block of `n_chans` channels with `n_times` samples each."""
        named = None if channels is None else tuple(channels)
        return cls(name, n_chans * n_times, n_chans, n_times, named)

    @classmethod
    def features(cls, name: str, n_features: int) -> Self:
        """Return a block of features."""
        return cls(name, n_features)

    @property
    def columns(self) -> slice:
        """The columns of the block: ``rows[:, block.columns]``."""
        return slice(self.start, self.start + self.n_features)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one trial's part: (n_chans, n_times), or (n_features,)."""
        if self.n_chans is None or self.n_times is None:
            return (self.n_features,)
        return (self.n_chans, self.n_times)


Layout = dict[str, Block]  # blocks by name, in the order of their columns


def make_layout(blocks: Iterable[Block]) -> Layout:
    """Place blocks one after the other; blocks without columns are left out."""
    layout: Layout = {}
    start = 0
    for block in blocks:
        if block.n_features:
            layout[block.name] = replace(block, start=start)
            start += block.n_features
    return layout


def signal_names(block: str, channels: Sequence[str], n_times: int) -> list[str]:
    """Name the columns of a signal, one channel after the other."""
    return [f"{block}_{channel}_{sample}" for channel in channels for sample in range(n_times)]


def feature_names(block: str, features: Iterable[object]) -> list[str]:
    """Name the columns of features."""
    return [f"{block}_{feature}" for feature in features]


def layout_names(layout: Layout) -> list[str]:
    """Name the columns of signals whose channels have names."""
    return [
        name
        for block in layout.values()
        for name in signal_names(block.name, block.channels or (), block.n_times or 0)
    ]


def eda_names(channels: Sequence[str], n_times: int) -> list[str]:
    """Name the columns of EDA, one channel after the other."""
    return signal_names("eda", channels, n_times)


def music_names(features: Iterable[object]) -> list[str]:
    """Name the columns of music features."""
    return feature_names("music", features)


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


def read_layout(
    names: Sequence[str],
    signals: Sequence[str] = ("eda",),
    features: Sequence[str] = ("music",),
) -> Layout | None:
    """Read the layout from column names.

    Parameters
    ----------
    names : sequence of str
        Names of all columns.
    signals, features : sequence of str, default=("eda",) and ("music",)
        Names of the blocks that may be there, in the order of their columns: signals come first.

    Returns
    -------
    dict of str to Block, or None
        The blocks that are there, by name. None where no column belongs to any of the blocks: the
        columns are a bare array's.

    Raises
    ------
    ValueError
        If some columns belong to a block and others do not, the blocks are in another order, or the
        samples of a signal are not complete and in order.
    """
    known = [*signals, *features]
    if not known:
        return None
    # Of blocks "eeg" and "eeg_de", a column "eeg_de_12" belongs to the latter.
    longest_first = sorted(known, key=len, reverse=True)
    whose = re.compile(f"({'|'.join(map(re.escape, longest_first))})_")
    found = [match[1] if (match := whose.match(name)) else None for name in names]
    present = [block for block in known if block in set(found)]
    if not present:
        return None
    counts = [found.count(block) for block in present]
    strange = [name for name, block in zip(names, found, strict=True) if block is None]
    in_order = [block for block, n in zip(present, counts, strict=True) for _ in range(n)]
    if strange or found != in_order:
        order = " and then ".join(f"all {block_title(block)} ({block}_…)" for block in known)
        got = strange[:3] or " before ".join(block_title(block) for block in dict.fromkeys(found))
        raise ValueError(f"Columns must be {order}; got {got}.")
    layout = make_layout(Block.features(*counted) for counted in zip(present, counts, strict=True))
    return make_layout(
        _read_signal(name, names[block.columns]) if name in signals else block
        for name, block in layout.items()
    )


def block_title(block: str | None) -> str:
    """Return what an error calls a block."""
    return "EDA" if block == "eda" else str(block)


def _read_signal(block: str, names: Sequence[str]) -> Block:
    """Read the channels of a signal, and their samples, from the names of its columns."""
    sample_of = re.compile(rf"{re.escape(block)}_(.+)_(\d+)")
    lengths: dict[str, int] = {}
    for name in names:
        found = sample_of.fullmatch(name)
        if found is None:
            raise ValueError(
                f"Column {name!r} is no sample of a signal ({block}_<channel>_<sample>)."
            )
        channel, sample = found[1], int(found[2])
        if sample != lengths.get(channel, 0) or (sample and channel != next(reversed(lengths))):
            raise ValueError(f"Column {name!r} is out of order: a channel's samples run from 0 on.")
        lengths[channel] = sample + 1
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The {block_title(block)} channels differ in length: {lengths}.")
    return Block.signal(block, len(lengths), lengths[channel], tuple(lengths))


def sizes(layout: Layout) -> dict[str, int]:
    """Return n_chans, n_times and n_music_features of ``[eda | music]``; 0 for what is absent."""
    none = Block.features("none", 0)
    eda, music = layout.get("eda", none), layout.get("music", none)
    return {
        "n_chans": eda.n_chans or 0,
        "n_times": eda.n_times or 0,
        "n_music_features": music.n_features,
    }


def agree(layout: Layout, source: str = "column names", **given: int | None) -> None:
    """Raise a ValueError where a parameter of ``[eda | music]`` differs from what X says.

    Parameters
    ----------
    layout : dict of str to Block
        What X says.
    source : str, default="column names"
        What of X says so, for the error.
    **given : int or None
        The parameters: n_chans, n_times, n_music_features.
    """
    known = sizes(layout)
    for name, value in given.items():
        if value is not None and value != known[name]:
            raise ValueError(
                f"{name}={value}, but the {source} say {known[name]}. "
                f"Leave {name} out, or give columns that fit it."
            )


def infer_layout(
    n_columns: int, n_chans: int | None, n_times: int | None, n_music_features: int | None
) -> Layout:
    """Work out how the rows of a bare array ``[eda | music]`` divide.

    One of the three numbers may be missing and is worked out; `n_times` and `n_music_features`
    both missing means no music.

    Raises
    ------
    ValueError
        If the numbers do not add up to `n_columns` exactly, or too few are given.
    """
    given = f"n_chans={n_chans}, n_times={n_times}, n_music_features={n_music_features}"
    if n_times is None:
        if n_chans is None:
            raise ValueError(
                f"A bare array does not say how its {n_columns} columns divide: give n_chans (and "
                "n_times or n_music_features where there is music), or a DataFrame as "
                "MusicFeatureUnion makes."
            )
        n_music_features = n_music_features or 0
        n_times = (n_columns - n_music_features) // n_chans
    elif n_music_features is None:
        if n_chans is None:
            raise ValueError(f"Give n_chans or n_music_features beside n_times: {given}.")
        n_music_features = n_columns - n_chans * n_times
    elif n_chans is None:
        n_chans = (n_columns - n_music_features) // n_times
    n_expected = n_chans * n_times + n_music_features
    if n_expected != n_columns or n_music_features < 0 or n_chans < 1 or n_times < 1:
        raise ValueError(
            f"n_chans * n_times + n_music_features must be the array's {n_columns} columns "
            f"(n_features = {n_columns}), with at least one channel and one sample: {given}."
        )
    return make_layout(
        [Block.signal("eda", n_chans, n_times), Block.features("music", n_music_features)]
    )
