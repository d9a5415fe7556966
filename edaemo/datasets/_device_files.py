"""Recordings in the files of AcqKnowledge, LabStreamingLayer, Empatica EmbracePlus, OpenSignals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from edaemo._child_process import ChildError, call_in_child
from edaemo.datasets._channels import Channel, Event, OpenFile, read_arrays
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._text import is_eda_name
from edaemo.datasets._units import OPENSIGNALS_DEVICES

# Exceptions of the libraries for files that are damaged or of another format.
_BAD_FILE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    OSError,
    EOFError,
    MemoryError,
    ChildError,
)


@contextmanager
def _library(path: Path, name: str, extra: str) -> Iterator[ModuleType]:
    """Import the library that reads a file; raise its errors as DatasetErrors."""
    try:
        library = import_module(name)
    except ImportError as error:
        raise DatasetError(
            f"{path}: {path.suffix} files need {name}: pip install edaemo[{extra}]."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other channels
            yield library
    except DatasetError:
        raise
    except _BAD_FILE as error:
        kind = "" if isinstance(error, ChildError) else f"{type(error).__name__}: "
        what = " ".join(f"{kind}{error}".split())[:200]
        raise DatasetError(
            f"{path}: the file is damaged or of another format: {name} cannot read it ({what}). "
            "Copy or export it again."
        ) from error


def open_acqknowledge(path: Path) -> OpenFile:
    """Return the channels of a recording of AcqKnowledge (``.acq``), each at its own rate.

    Raises
    ------
    DatasetError
        If bioread is not installed, or the file is damaged.
    """
    with _library(path, "bioread", "acqknowledge"):
        return call_in_child(_read_acqknowledge, path.stat().st_size, path)


def _read_acqknowledge(path: Path) -> OpenFile:
    with _library(path, "bioread", "acqknowledge") as bioread:
        recording = bioread.read(str(path))
        found, rate = recording.channels, float(recording.samples_per_second)
        marks = [
            Event(mark.sample_index / rate, 0.0, str(mark.text or ""))
            for mark in recording.event_markers or ()
        ]
        columns = [np.asarray(channel.data, dtype=np.float64) for channel in found]
        channels = [
            Channel(str(c.name), str(c.units), sampling_rate=float(c.samples_per_second))
            for c in found
        ]
        wanted = [int(channel.point_count) for channel in found]
    for channel, column, count in zip(channels, columns, wanted, strict=True):
        if len(column) != count:
            raise DatasetError(
                f"{path}: the channel {channel.name!r} has {len(column)} of {count} samples: the "
                "file is truncated. Copy it again."
            )
    return OpenFile(
        channels, read_arrays(columns), is_table=False, read_events=partial(list, marks)
    )


def open_xdf(path: Path) -> OpenFile:
    """Return the channels of all regular streams of an XDF file, with the times of their samples.

    The clocks of the streams are synchronised and the jitter of the times is removed, by pyxdf.
    Interruptions of more than a second remain. The events are the samples of the streams of texts
    without a rate, such as those of LabRecorder's markers.

    Raises
    ------
    DatasetError
        If pyxdf is not installed, or the file is damaged.
    """
    with _library(path, "pyxdf", "xdf"):
        return call_in_child(_read_xdf, path.stat().st_size, path)


def _read_xdf(path: Path) -> OpenFile:
    channels, columns = [], []
    marks: list[Event] = []
    with _library(path, "pyxdf", "xdf") as pyxdf, path.open("rb") as file:
        _check_chunks(file, path.stat().st_size)
        streams, _ = pyxdf.load_xdf(file, jitter_break_threshold_samples=2)
        for stream in streams:
            if _is_markers(stream["info"]):
                samples = zip(stream["time_stamps"], stream["time_series"], strict=True)
                marks += [Event(float(t), 0.0, " ".join(map(str, texts))) for t, texts in samples]
            if float(stream["info"]["nominal_srate"][0]) <= 0 or not len(stream["time_stamps"]):
                continue
            values = np.asarray(stream["time_series"], dtype=np.float64)
            times = np.asarray(stream["time_stamps"], dtype=np.float64)
            seconds = times - times[0]
            for i, (name, unit) in enumerate(_name_stream(stream["info"], values.shape[1])):
                channels.append(Channel(name, unit, times=seconds, start=float(times[0])))
                columns.append(values[:, i])
    if not channels:
        raise DatasetError(f"{path}: the file holds no stream with a sampling rate and samples.")

    return OpenFile(
        channels, read_arrays(columns), is_table=False, read_events=partial(list, marks)
    )


def _is_markers(info: Mapping[str, Any]) -> bool:
    """Return whether a stream holds events: it has no rate, and holds text or is called markers."""
    kind = str((info.get("type") or [""])[0] or "").lower()
    is_text = str(info["channel_format"][0]) == "string"
    return float(info["nominal_srate"][0]) <= 0 and (
        is_text or any(word in kind for word in ("mark", "event", "trigger"))
    )


def _check_chunks(file: BinaryIO, size: int) -> None:
    """Raise a ValueError if a file is not whole chunks of XDF, of which pyxdf would skip the rest.

    A chunk is the size of its length in bytes (1, 4 or 8), its length, and its content.
    """
    if file.read(4) != b"XDF:":
        raise ValueError("it does not begin with XDF:")
    while width := file.read(1):
        end = int.from_bytes(file.read(width[0]), "little") + file.tell()
        if width[0] not in (1, 4, 8) or end > size:
            raise ValueError(f"the chunk before byte {file.tell()} is truncated")
        file.seek(end)
    file.seek(0)


def _name_stream(info: Mapping[str, Any], n_channels: int) -> list[tuple[str, str]]:
    """Return name and unit of each channel of a stream: its label, else the name of the stream."""
    described = (info.get("desc") or [None])[0] or {}
    listed = ((described.get("channels") or [None])[0] or {}).get("channel") or []
    name, kind = (str((info.get(key) or [""])[0] or "") for key in ("name", "type"))
    if not is_eda_name(name) and is_eda_name(kind):
        name = f"{name} {kind}".strip()
    given = [
        tuple(str((channel.get(key) or [""])[0] or "") for key in ("label", "unit"))
        for channel in listed
    ]
    named = [(label or name, unit) for label, unit in given[:n_channels]]
    return [*named, *[(name, "")] * (n_channels - len(named))]


def open_avro(path: Path) -> OpenFile:
    """Return the signals in a raw file of an Empatica EmbracePlus (``.avro``).

    Raises
    ------
    DatasetError
        If fastavro is not installed, or the file is damaged or has another schema.
    """
    with _library(path, "fastavro", "avro"):
        return call_in_child(_read_avro, path.stat().st_size, path)


def _read_avro(path: Path) -> OpenFile:
    with _library(path, "fastavro", "avro") as fastavro, path.open("rb") as file:
        records = list(fastavro.reader(file))
    raw = records[0].get("rawData") if len(records) == 1 else None
    if not isinstance(raw, Mapping):
        fields = sorted(records[0]) if records else []
        raise DatasetError(
            f"{path}: this is not a raw file of an EmbracePlus: it has {len(records)} records with "
            f"the fields {fields[:20]}, and not one with rawData."
        )
    units = {"eda": "uS", "temperature": "°C"}
    channels, columns = [], []
    for name, signal in raw.items():
        if isinstance(signal, Mapping) and {"values", "samplingFrequency"} <= signal.keys():
            rate = float(signal["samplingFrequency"])
            if rate > 0 and signal["values"]:
                start = int(signal["timestampStart"]) / 1e6
                channel = Channel(name, units.get(name, ""), sampling_rate=rate, start=start)
                channels.append(channel)
                columns.append(np.asarray(signal["values"], dtype=np.float64))
    presses = (raw.get("tags") or {}).get("tagsTimeMicros") or ()
    marks = [Event(int(press) / 1e6, 0.0, "") for press in presses]
    return OpenFile(
        channels, read_arrays(columns), is_table=False, read_events=partial(list, marks)
    )


def open_opensignals(path: Path) -> OpenFile:
    """Return the channels of an HDF5 file of OpenSignals (``.h5``): readings of a converter.

    Raises
    ------
    DatasetError
        If h5py is not installed, or the file is damaged or of another kind.
    """
    with _library(path, "h5py", "hdf5"):
        return call_in_child(_read_opensignals, path.stat().st_size, path)


def _read_opensignals(path: Path) -> OpenFile:
    channels: list[Channel] = []
    columns, devices = [], set()
    with _library(path, "h5py", "hdf5") as h5py, h5py.File(path, "r") as file:
        for group in file.values():
            if "raw" not in group or "sampling rate" not in group.attrs:
                raise DatasetError(
                    f"{path}: this is not a file of OpenSignals: its groups are {list(file)[:20]}, "
                    "and one of them has no raw samples or no sampling rate."
                )
            names = [f"channel_{number}" for number in np.ravel(group.attrs["channels"])]
            bits = _find_bits(group.attrs.get("resolution", ()), len(names))
            rate = float(np.ravel(group.attrs["sampling rate"])[0])
            devices.add(_text(group.attrs.get("device", "")))
            for name, n_bits in zip(names, bits, strict=True):
                samples = group["raw"][name]
                sensor = _text(samples.attrs.get("sensor", name))
                unit = "adc" if is_eda_name(sensor) else ""
                channels.append(Channel(sensor, unit, sampling_rate=rate, bits=n_bits))
                columns.append(np.ravel(samples[()]).astype(np.float64))
    device = OPENSIGNALS_DEVICES.get(devices.pop()) if len(devices) == 1 else None
    return OpenFile(channels, read_arrays(columns), is_table=False, device=device)


def _find_bits(resolution: Any, n_channels: int) -> list[int]:
    """Return the resolution of each channel, from one for all or one for each."""
    given = [int(bits) for bits in np.ravel(resolution)]
    if len({*given}) == 1:
        return given[:1] * n_channels
    if len(given) != n_channels:
        raise ValueError(f"the resolution has {len(given)} numbers for {n_channels} channels")
    return given


def _text(value: Any) -> str:
    first = np.ravel(value)[0]
    return first.decode() if isinstance(first, bytes) else str(first)


DEVICE_FILES: Mapping[str, Callable[[Path], OpenFile]] = {
    ".acq": open_acqknowledge,
    ".xdf": open_xdf,
    ".avro": open_avro,
    ".h5": open_opensignals,
}
