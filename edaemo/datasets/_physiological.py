"""Channels of EDF, BDF and BrainVision files, read with MNE."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edaemo.datasets._bdf import VOLTS, check_mne, parse_header
from edaemo.datasets._channels import Channel, OpenFile
from edaemo.datasets._corpus import DatasetError

READERS = {".edf": "read_raw_edf", ".bdf": "read_raw_bdf", ".vhdr": "read_raw_brainvision"}


def open_physiological(path: Path) -> OpenFile:
    """Return the channels of an EDF, BDF or BrainVision file; each is read at its own rate.

    Raises
    ------
    DatasetError
        If MNE is not installed, or the file is damaged.
    """
    check_mne()
    if path.suffix.lower() == ".vhdr":
        raw = _read(path, {})
        rate = float(raw.info["sfreq"])
        units = [str(raw._orig_units.get(name, "")) for name in raw.ch_names]
        named = zip(raw.ch_names, units, strict=True)
        channels = [Channel(name, "" if unit == "n/a" else unit) for name, unit in named]
        channels = [replace(channel, sampling_rate=rate) for channel in channels]
    else:
        with path.open("rb") as file:
            try:
                header = parse_header(file)
            except ValueError as error:
                raise DatasetError(f"{path}: this is not an EDF or BDF file: {error}.") from error
        size = path.stat().st_size
        if size != header.size:
            raise DatasetError(
                f"{path}: the file has {size} bytes, but its header gives {header.size} bytes: it "
                "may be truncated. Copy it again."
            )
        columns = zip(header.labels, header.units, header.rates, strict=True)
        channels = [Channel(name, unit, sampling_rate=rate) for name, unit, rate in columns]

    def read(columns: Sequence[int], texts: Sequence[int]) -> dict[int, pd.Series]:
        return {i: pd.Series(_read_channel(path, channels[i])) for i in columns}

    return OpenFile(channels, read, is_table=False)


def _read_channel(path: Path, channel: Channel) -> np.ndarray:
    settings = {} if path.suffix.lower() == ".vhdr" else {"include": [channel.name]}
    raw = _read(path, settings)
    samples = raw.get_data(picks=[channel.name], verbose="error")[0]
    return np.multiply(samples, VOLTS.get(channel.unit, 1.0))


def _read(path: Path, settings: dict[str, Any]) -> Any:
    """Return the recording of MNE, of which only the chosen channels are read."""
    import mne

    if path.suffix.lower() != ".vhdr":
        settings = {**settings, "stim_channel": None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of filters and units of other channels
            return getattr(mne.io, READERS[path.suffix.lower()])(path, verbose="error", **settings)
    except (ValueError, RuntimeError, LookupError, OSError, EOFError) as error:
        what = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path}: cannot be read by MNE: {what}.") from error
