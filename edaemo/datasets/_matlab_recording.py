"""Recordings in MATLAB files of Ledalab and PsPM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edaemo.datasets._channels import Channel, OpenFile, read_arrays
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._matlab import read_matlab


def open_matlab(path: Path) -> OpenFile:
    """Return the channels of a file of Ledalab (``data``: a struct) or PsPM (``data``: a cell).

    Raises
    ------
    DatasetError
        If the file is not one of these.
    """
    try:
        data = read_matlab(path.read_bytes(), ["data"])["data"]
        if data.dtype.names is not None:
            return _open_ledalab(data)
        if data.dtype == object:
            return _open_pspm(data)
    except (ValueError, LookupError, TypeError) as error:
        raise DatasetError(f"{path}: the MATLAB file {error}") from error
    raise DatasetError(
        f"{path}: the variable data is neither a struct of Ledalab nor a cell of PsPM. Export the "
        "signal as text, with a column of times."
    )


def _open_ledalab(data: np.ndarray) -> OpenFile:
    """Open ``data.conductance`` in microsiemens and ``data.time`` in seconds."""
    columns = [np.ravel(data[name][0, 0]).astype(np.float64) for name in ("conductance", "time")]
    channels = [Channel("conductance", "uS"), Channel("time", "s")]
    return OpenFile(channels, read_arrays(columns))


def _open_pspm(data: np.ndarray) -> OpenFile:
    """Open the cells of ``data``, each with a header of ``chantype``, ``units`` and ``sr``."""
    columns, channels = [], []
    for cell in np.ravel(data):
        header = cell["header"][0, 0]
        kind, unit = (_text(header[name][0, 0]) for name in ("chantype", "units"))
        if kind == "events" or unit == "events":
            continue
        name = "skin conductance" if kind == "scr" else kind
        rate = float(np.ravel(header["sr"][0, 0])[0])
        channels.append(Channel(name, unit, sampling_rate=rate))
        columns.append(np.ravel(cell["data"][0, 0]).astype(np.float64))
    return OpenFile(channels, read_arrays(columns), is_table=False)


def _text(value: Any) -> str:
    return str(np.ravel(value)[0]) if np.size(value) else ""
