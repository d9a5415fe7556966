"""Layout of a row of numbers: its named blocks, and the names of their columns.

A row holds one trial: first its signals, then its features, as in ``[eda | music]`` or
``[eda | eeg | eye | music]``. The columns of a signal are called ``<block>_<channel>_<sample>``;
all samples of a channel are adjacent and in order. The column of a feature is called
``<block>_<feature>``.
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
    """Adjacent columns of one signal or feature set; created by `signal` or `features`.

    Attributes
    ----------
    name : str
        Prefix of the column names: ``"eda"``, ``"music"``, ``"eeg"``, …
    n_features : int
        Number of columns.
    n_chans, n_times : int or None
        Number of channels of a signal, and of samples per channel; None for features.
    channels : tuple of str or None
        Names of a signal's channels; None if they have no names.
    start : int
        Index of the first column in the row.
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
        """Return a block for a signal of `n_chans` channels with `n_times` samples each."""
        named = None if channels is None else tuple(channels)
        return cls(name, n_chans * n_times, n_chans, n_times, named)

    @classmethod
    def features(cls, name: str, n_features: int) -> Self:
        """Return a block for `n_features` features."""
        return cls(name, n_features)

    @property
    def columns(self) -> slice:
        """The columns of the block: ``rows[:, block.columns]``."""
        return slice(self.start, self.start + self.n_features)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the block in one trial: (n_chans, n_times), or (n_features,)."""
        if self.n_chans is None or self.n_times is None:
            return (self.n_features,)
        return (self.n_chans, self.n_times)


Layout = dict[str, Block]  # blocks by name, in the order of their columns


def make_layout(blocks: Iterable[Block]) -> Layout:
    """Return a layout of the blocks in this order; blocks without columns are skipped."""
    layout: Layout = {}
    start = 0
    for block in blocks:
        if block.n_features:
            layout[block.name] = replace(block, start=start)
            start += block.n_features
    return layout


def signal_names(block: str, channels: Sequence[str], n_times: int) -> list[str]:
    """Return the column names of a signal, one channel after the other."""
    return [f"{block}_{channel}_{sample}" for channel in channels for sample in range(n_times)]


def feature_names(block: str, features: Iterable[object]) -> list[str]:
    """Return the column names of features."""
    return [f"{block}_{feature}" for feature in features]


def layout_names(layout: Layout) -> list[str]:
    """Return the column names of signals whose channels have names."""
    return [
        name
        for block in layout.values()
        for name in signal_names(block.name, block.channels or (), block.n_times or 0)
    ]


def eda_names(channels: Sequence[str], n_times: int) -> list[str]:
    """Return the column names of EDA, one channel after the other."""
    return signal_names("eda", channels, n_times)


def music_names(features: Iterable[object]) -> list[str]:
    """Return the column names of music features."""
    return feature_names("music", features)


def check_components(components: Sequence[str], possible: Sequence[str]) -> None:
    """Raise a ValueError unless `components` are one or more of `possible`, without duplicates."""
    components = list(components)
    strange = [name for name in components if name not in possible]
    if strange or not components or len(set(components)) < len(components):
        raise ValueError(
            f"components must name one or more of {possible}, each once; got {tuple(components)!r}."
        )


def channels_table(
    trials: pd.DataFrame, cells: Sequence[np.ndarray], channels: Sequence[str]
) -> pd.DataFrame:
    """Return a copy of a trials table with these cells, shape (n_chans, n_times), as EDA.

    The column ``channels`` names the channels in each row, as in ``"original|phasic|tonic"``.
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
        Names of the possible blocks, in the order of their columns: signals come first.

    Returns
    -------
    dict of str to Block, or None
        The blocks that have columns, by name. None if no column belongs to any block: the names
        come from an array without column names.

    Raises
    ------
    ValueError
        If some columns belong to a block and others do not, the blocks are in another order, or
        the samples of a signal are incomplete or out of order.
    """
    known = [*signals, *features]
    if not known:
        return None
    # If the blocks are "eeg" and "eeg_de", the column "eeg_de_12" belongs to "eeg_de".
    longest_first = sorted(known, key=len, reverse=True)
    prefix = re.compile(f"({'|'.join(map(re.escape, longest_first))})_")
    block_of = [match[1] if (match := prefix.match(name)) else None for name in names]
    present = [block for block in known if block in set(block_of)]
    if not present:
        return None
    counts = [block_of.count(block) for block in present]
    without_block = [name for name, block in zip(names, block_of, strict=True) if block is None]
    in_order = [block for block, n in zip(present, counts, strict=True) for _ in range(n)]
    if without_block or block_of != in_order:
        order = " and then ".join(f"all {block_title(block)} ({block}_…)" for block in known)
        got = without_block[:3] or " before ".join(
            block_title(block) for block in dict.fromkeys(block_of)
        )
        raise ValueError(f"Columns must be {order}; got {got}.")
    layout = make_layout(Block.features(*counted) for counted in zip(present, counts, strict=True))
    return make_layout(
        _read_signal(name, names[block.columns]) if name in signals else block
        for name, block in layout.items()
    )


def block_title(block: str | None) -> str:
    """Return the name of a block for error messages."""
    return "EDA" if block == "eda" else str(block)


def _read_signal(block: str, names: Sequence[str]) -> Block:
    """Return the block of a signal; channels and samples are read from its column names."""
    sample_of = re.compile(rf"{re.escape(block)}_(.+)_(\d+)")
    lengths: dict[str, int] = {}
    for name in names:
        found = sample_of.fullmatch(name)
        if found is None:
            raise ValueError(
                f"Column {name!r} is not a sample of a signal: call it {block}_<channel>_<sample>."
            )
        channel, sample = found[1], int(found[2])
        if sample != lengths.get(channel, 0) or (sample and channel != next(reversed(lengths))):
            raise ValueError(
                f"Column {name!r} is out of order: number a channel's samples 0, 1, 2, …"
            )
        lengths[channel] = sample + 1
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The {block_title(block)} channels differ in length: {lengths}.")
    return Block.signal(block, len(lengths), lengths[channel], tuple(lengths))


def sizes(layout: Layout) -> dict[str, int]:
    """Return n_chans, n_times and n_music_features of ``[eda | music]``; 0 for absent blocks."""
    none = Block.features("none", 0)
    eda, music = layout.get("eda", none), layout.get("music", none)
    return {
        "n_chans": eda.n_chans or 0,
        "n_times": eda.n_times or 0,
        "n_music_features": music.n_features,
    }


def agree(layout: Layout, source: str = "column names", **given: int | None) -> None:
    """Raise a ValueError if a parameter of ``[eda | music]`` differs from the layout of X.

    Parameters
    ----------
    layout : dict of str to Block
        Layout of X.
    source : str, default="column names"
        Where the layout was read from, for the error message.
    **given : int or None
        The parameters: n_chans, n_times, n_music_features. None is not checked.
    """
    known = sizes(layout)
    for name, value in given.items():
        if value is not None and value != known[name]:
            raise ValueError(
                f"{name}={value}, but the {source} give {known[name]}. "
                f"Do not set {name}, or pass columns that match it."
            )


def infer_layout(
    n_columns: int, n_chans: int | None, n_times: int | None, n_music_features: int | None
) -> Layout:
    """Return the layout of ``[eda | music]`` rows in an array without column names.

    One of the three numbers may be None and is computed from the others. If both `n_times` and
    `n_music_features` are None, the rows hold no music.

    Raises
    ------
    ValueError
        If the numbers do not add up to `n_columns` exactly, or too many of them are None.
    """
    given = f"n_chans={n_chans}, n_times={n_times}, n_music_features={n_music_features}"
    if n_times is None:
        if n_chans is None:
            raise ValueError(
                f"An array has no column names, so the layout of its {n_columns} columns is "
                "unknown: set n_chans (and n_times or n_music_features if there is music), or "
                "pass a DataFrame from MusicFeatureUnion."
            )
        n_music_features = n_music_features or 0
        n_times = (n_columns - n_music_features) // n_chans
    elif n_music_features is None:
        if n_chans is None:
            raise ValueError(f"Set n_chans or n_music_features in addition to n_times: {given}.")
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
