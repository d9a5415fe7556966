"""Channels of EDF, BDF and BrainVision files, read with MNE."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edaemo.datasets._bdf import VOLTS, Header, check_mne, parse_header
from edaemo.datasets._channels import Channel, Event, OpenFile
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
    return _open_brainvision(path) if path.suffix.lower() == ".vhdr" else _open_edf(path)


def _open_brainvision(path: Path) -> OpenFile:
    raw = _read(path, {})
    rate = float(raw.info["sfreq"])
    named = zip(raw.ch_names, _read_units(path, len(raw.ch_names)), strict=True)
    channels = [Channel(name, unit, sampling_rate=rate) for name, unit in named]
    # The descriptions of MNE are type/description.
    marks = [
        Event(float(onset), float(duration), str(text).partition("/")[2])
        for onset, duration, text in zip(
            raw.annotations.onset,
            raw.annotations.duration,
            raw.annotations.description,
            strict=True,
        )
    ]
    # MNE leaves out the first of these markers, which is the start of the recording.
    notes = [
        f"the recording was interrupted after {mark['onset']:g} s. The samples do not hold the "
        "interruption, so that later times are too early: cut the file there."
        for mark in raw.annotations
        if mark["description"] == "New Segment/"
    ]
    return OpenFile(
        channels,
        _read_channels_of(path, channels),
        is_table=False,
        notes=tuple(notes),
        read_events=partial(list, [mark for mark in marks if mark.label]),
    )


def _open_edf(path: Path) -> OpenFile:
    with path.open("rb") as file:
        try:
            header = parse_header(file)
        except ValueError as error:
            raise DatasetError(
                f"{path}: this is not an EDF or BDF file: its header lacks numbers ({error}). "
                "Copy or export it again."
            ) from error
    size = path.stat().st_size
    if size != header.size:
        raise DatasetError(
            f"{path}: the file has {size} bytes, but its header gives {header.size} bytes: it "
            "may be truncated. Copy it again."
        )
    times: dict[float, np.ndarray] = {}
    if header.is_interrupted:
        starts, _ = _read_annotations(path, header)
        if len(starts) != header.n_records:
            raise DatasetError(
                f"{path}: the recording is interrupted (EDF+D), but the file has no annotations "
                "with the times of its records. Export it again."
            )
        for rate, count in zip(header.rates, header.counts, strict=True):
            times[rate] = np.add.outer(starts, np.arange(count) / rate).ravel()
    columns = zip(header.labels, header.units, header.rates, strict=True)
    channels = [
        Channel(name, unit, sampling_rate=rate, times=times.get(rate))
        for name, unit, rate in columns
    ]

    return OpenFile(
        channels,
        _read_channels_of(path, channels),
        is_table=False,
        read_events=partial(_read_events, path, header),
    )


def _read_events(path: Path, header: Header) -> list[Event]:
    """Return the annotations and the triggers of an EDF or BDF file."""
    triggers = _read_triggers(path) if "Status" in header.labels else []
    return [*triggers, *_read_annotations(path, header)[1]]


def _read_annotations(path: Path, header: Header) -> tuple[np.ndarray, list[Event]]:
    """Return the starts of the records and the annotations of an EDF+ or BDF+ file, in seconds.

    Times are from the start of the first record. MNE reads neither interrupted files nor
    annotations outside of the recording.

    References
    ----------
    Kemp and Olivan (2003), Clinical Neurophysiology 114, 1755-1761; https://www.edfplus.info,
    section 2.2: a list is ``onset [0x15 duration] 0x14 text 0x14 … 0x14 0x00``, and the first of a
    record has an empty text and the start of the record.
    """
    marked = [i for i, name in enumerate(header.labels) if name.endswith(" Annotations")]
    if not marked or not header.n_records:
        return np.zeros(0), []
    width = 3 if header.is_bdf else 2
    ends = width * np.cumsum(header.counts)
    record = np.dtype((np.uint8, int(ends[-1])))
    content = np.memmap(path, record, "r", 256 * (len(header.labels) + 1), (header.n_records,))
    starts, events = [], []
    for number, row in enumerate(content, start=1):
        lists = b"".join(row[ends[i] - width * header.counts[i] : ends[i]] for i in marked)
        try:
            found = [_parse_annotation(part) for part in lists.split(b"\0") if part]
        except ValueError as error:
            raise DatasetError(f"{path}: annotation in record {number}: {error}.") from error
        if not found or found[0][2][0]:
            raise DatasetError(f"{path}: record {number} does not begin with its time.")
        starts.append(found[0][0])
        events += [Event(at, length, text) for at, length, texts in found for text in texts if text]
    times = np.array(starts) - starts[0]
    return times, [event._replace(onset=event.onset - starts[0]) for event in events]


def _parse_annotation(part: bytes) -> tuple[float, float, list[str]]:
    """Return onset, duration (s) and texts of a list of annotations."""
    times, *texts = part.split(b"\x14")
    if not texts:
        raise ValueError(f"no text follows {part[:40]!r}")
    onset, _, duration = times.partition(b"\x15")
    return float(onset), float(duration or 0), [text.decode("utf-8", "replace") for text in texts]


def _read_triggers(path: Path) -> list[Event]:
    """Return the triggers of BioSemi in the lower 16 bits of the channel Status."""
    import mne

    raw = _read(path, {"include": ["Status"], "stim_channel": "Status"})
    settings = {"consecutive": True, "mask": 0xFFFF, "mask_type": "and", "shortest_event": 1}
    with _naming(path):
        found = mne.find_events(raw, stim_channel="Status", verbose="error", **settings)
    return [Event(float(at / raw.info["sfreq"]), 0.0, str(code)) for at, _, code in found]


def _read_channels_of(
    path: Path, channels: Sequence[Channel]
) -> Callable[[Sequence[int], Sequence[int]], dict[int, pd.Series]]:
    """Return the function `read` of an OpenFile."""

    def read(columns: Sequence[int], texts: Sequence[int]) -> dict[int, pd.Series]:
        return {i: pd.Series(_read_channel(path, channels[i])) for i in columns}

    return read


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
        settings = {"stim_channel": None, **settings}
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
        raise DatasetError(
            f"{path}: cannot be read by MNE: {what.rstrip('.')}. Copy or export it again."
        ) from error
