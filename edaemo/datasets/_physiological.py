"""Channels of EDF, BDF and BrainVision files, read with MNE."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edaemo.datasets._bdf import VOLTS, check_mne, parse_header
from edaemo.datasets._channels import Channel, OpenFile
from edaemo.datasets._corpus import DatasetError

# MNE converts these units of BrainVision files, too: to siemens and volts.
BRAINVISION = VOLTS | {"uS": 1e6, "\u00b5S": 1e6, "nV": 1e9}
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
        named = zip(raw.ch_names, _read_units(path, len(raw.ch_names)), strict=True)
        channels = [Channel(name, unit, sampling_rate=rate) for name, unit in named]
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


def _read_units(path: Path, n_channels: int) -> list[str]:
    """Return the units of the channels in a header of BrainVision, of which MNE keeps only some.

    The line of a channel is ``Ch1=name,reference,resolution,unit``. Without a unit it is µV.
    """
    header = path.read_bytes()
    text = header.decode("utf-8" if b"Codepage=UTF-8" in header else "latin-1", "replace")
    lines = dict(re.findall(r"^Ch(\d+)=(.*?)\s*$", text, re.MULTILINE))
    cells = [lines.get(str(i + 1), "").split(",") for i in range(n_channels)]
    return [cell[3].strip() or "\u00b5V" if len(cell) > 3 else "\u00b5V" for cell in cells]


def _read_channel(path: Path, channel: Channel) -> np.ndarray:
    is_brainvision = path.suffix.lower() == ".vhdr"
    settings = {} if is_brainvision else {"include": [channel.name]}
    raw = _read(path, settings)
    with _naming(path):
        samples = raw.get_data(picks=[channel.name], verbose="error")[0]
    return np.multiply(samples, (BRAINVISION if is_brainvision else VOLTS).get(channel.unit, 1.0))


def _read(path: Path, settings: dict[str, Any]) -> Any:
    """Return the recording of MNE, of which only the chosen channels are read."""
    import mne

    if path.suffix.lower() != ".vhdr":
        settings = {**settings, "stim_channel": None}
    with _naming(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of filters and units of other channels
        return getattr(mne.io, READERS[path.suffix.lower()])(path, verbose="error", **settings)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise any error inside the with block as a DatasetError; MNE raises plain Exceptions, too."""
    try:
        yield
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path}: cannot be read by MNE: {what}.") from error
