"""Read channels of BioSemi recordings (bdf), and raise a DatasetError for any bad file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, NamedTuple

import numpy as np

from edaemo._validation import name_some
from edaemo.datasets._corpus import CorpusFiles, DatasetError, LooseFile

# MNE converts these units to volts. The factors undo that. The third unit has the Greek letter of a
# Japanese code page.
VOLTS = {"uV": 1e6, "\u00b5V": 1e6, "\x83\xcaV": 1e6, "mV": 1e3}


class Header(NamedTuple):
    """A header: label, unit and rate (Hz) of each channel, and the size of the file in bytes.

    Each of the `n_records` records holds `counts` samples of the channels, one channel after the
    other. The records are not adjacent in time if `is_interrupted`.
    """

    labels: list[str]
    units: list[str]
    rates: list[float]
    size: int
    is_bdf: bool
    counts: list[int]
    n_records: int
    is_interrupted: bool


def check_mne() -> None:
    """Raise a DatasetError if MNE, the extra ``bdf``, is not installed."""
    try:
        import mne  # noqa: F401
    except ImportError as error:
        raise DatasetError("Recordings (bdf) need MNE: pip install edaemo[bdf].") from error


def read_bdf(
    corpus: CorpusFiles, name: str, labels: Iterable[str], *, trigger: str, sampling_rate: float
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read channels of a recording by their labels.

    Parameters
    ----------
    corpus : CorpusFiles
        The corpus with the recording.
    name : str
        Path of the recording in the corpus.
    labels : iterable of str
        Labels of the channels.
    trigger : str
        Label of the trigger channel.
    sampling_rate : float
        Expected sampling rate of all these channels, in Hz.

    Returns
    -------
    data : dict of str to ndarray of shape (n_samples,)
        For `labels` float64, in the units of the header. For `trigger` the lower 16 bits, int64.
    units : dict of str to str
        Units in the header, such as "uV", "Ohm" or "nS".

    Raises
    ------
    DatasetError
        If the file is not a bdf file or is truncated, or if a channel is missing, occurs twice or
        has another sampling rate.
    """
    import mne

    wanted = [*labels, trigger]
    header = _read_header(corpus, name)
    _check_header(corpus, name, header, wanted, sampling_rate)
    units = dict(zip(header.labels, header.units, strict=True))
    with corpus.on_disk(name) as path:
        try:
            raw = mne.io.read_raw_bdf(path, include=wanted, stim_channel=trigger, verbose="error")
            data = dict(zip(raw.ch_names, raw.get_data(verbose="error"), strict=True))
        except Exception as error:  # MNE raises plain Exceptions, too
            raise corpus.error(name, f"cannot be read as bdf: {error}.") from error
    for label in wanted[:-1]:
        data[label] *= VOLTS.get(units[label], 1.0)
    data[trigger] = data[trigger].astype(np.int64) & 0xFFFF
    return data, {label: units[label] for label in wanted[:-1]}


def _read_header(corpus: CorpusFiles, name: str) -> Header:
    with corpus.open(name) as file:
        try:
            header = parse_header(file)
        except ValueError as error:
            raise corpus.error(name, "is truncated or is not a bdf file.") from error
    if not header.is_bdf:
        raise corpus.error(name, "is not a bdf file of BioSemi.")
    return header


def parse_header(file: IO[bytes]) -> Header:
    """Parse the header of an EDF or BDF file; raise a ValueError if it is not one."""
    fixed = file.read(256)
    n, n_records, seconds = int(fixed[252:]), int(fixed[236:244]), float(fixed[244:252])
    content = file.read(256 * n)
    # Each channel has a label (16 characters), a unit (8) and samples per record (8). As in MNE,
    # only ASCII spaces are left out, so that the names are the same.
    labels, units, counts = (
        [
            content[at : at + width].strip().decode("latin-1")
            for at in range(start * n, stop * n, width)
        ]
        for start, stop, width in ((0, 16, 16), (96, 104, 8), (216, 224, 8))
    )
    samples = list(map(int, counts))
    if not seconds > 0:
        raise ValueError("its records have no duration.")
    is_bdf = fixed[:8] == b"\xffBIOSEMI"
    size = 256 * (n + 1) + (3 if is_bdf else 2) * n_records * sum(samples)
    return Header(
        labels,
        units,
        [count / seconds for count in samples],
        size,
        is_bdf,
        samples,
        n_records,
        fixed[192:197] in (b"EDF+D", b"BDF+D"),
    )


def _check_header(
    corpus: CorpusFiles, name: str, header: Header, wanted: list[str], sampling_rate: float
) -> None:
    file = corpus.files[name]
    size = file.path.stat().st_size if isinstance(file, LooseFile) else file.info.file_size
    if size != header.size:
        raise corpus.error(
            name,
            f"has {size} bytes, but its header gives {header.size} bytes: it may be truncated.",
        )
    wrong = [label for label in wanted if header.labels.count(label) != 1]
    if wrong:
        raise corpus.error(
            name,
            f"must have each of the channels {name_some(wrong)} exactly once; it has "
            f"{name_some(header.labels)}.",
        )
    rates = dict(zip(header.labels, header.rates, strict=True))
    other = {label: rates[label] for label in wanted if rates[label] != sampling_rate}
    if other:
        raise corpus.error(name, f"is not sampled at {sampling_rate:g} Hz: {other}.")
