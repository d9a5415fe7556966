"""Find and read single recordings of EDA in files of any format."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo._child_process import ChildError, call_in_child
from edaemo._child_readers import load_parquet
from edaemo._validation import name_some
from edaemo.datasets._channels import (
    OTHER_SIGNALS,
    Channel,
    NoEDAError,
    OpenFile,
    check_unit,
    choose_channel,
    find_eda,
    names_eda,
)
from edaemo.datasets._corpus import DatasetError, is_hidden, open_archives
from edaemo.datasets._device_files import DEVICE_FILES
from edaemo.datasets._empatica import FILES, is_start, parse_signal
from edaemo.datasets._file_options import FileOptions, RecordingWarning
from edaemo.datasets._matlab_recording import open_matlab
from edaemo.datasets._physiological import READERS, open_physiological
from edaemo.datasets._text import drop_footer, find_layout, read_head, read_numbers_of
from edaemo.datasets._time_axis import GAP, TimeAxis, is_time_name, make_axis, read_times
from edaemo.datasets._units import EDA_UNITS, doubt_unit, split_name, to_microsiemens
from edaemo.datasets._workbook import WORKBOOKS, read_sheets
from edaemo.decomposition import check_sampling_rate

# Suffixes of files that are recordings unless their content is of another kind.
SUFFIXES = (".csv", ".parquet", ".mat", *WORKBOOKS, *READERS, *DEVICE_FILES)
# Suffixes of files that are recordings only if a column is EDA.
TEXTS = (".txt", ".tsv", ".asc", ".eda", ".zip")
# Files that an E4 writes next to EDA.csv. Some have the format of EDA.csv but do not hold EDA.
E4_OTHERS = FILES - {"EDA.csv"}
# With fewer samples, rows without samples are missing samples, not rows of other sensors.
FEW = 10
# Samples that recorders write for "no value".
CODES = (-9999.0, -999.0, -99999.0, -32768.0)


@dataclass(frozen=True)
class Rows:
    """Columns of a file, row by row.

    Attributes
    ----------
    signals : list of ndarray of shape (n_rows,)
        The EDA in microsiemens; the others as recorded.
    times : tuple of (ndarray, str, str) or None
        Times in seconds, their unit, and the name of their column; see `make_axis`.
    trials : list of str or None
        Name of the trial of each row.
    sampling_rate : float or None
        The rate that the user or the file states, in Hz.
    """

    signals: list[np.ndarray]
    times: tuple[np.ndarray, str, str] | None
    trials: list[str] | None
    sampling_rate: float | None


def read_recording(
    path: str | os.PathLike[str],
    *,
    sampling_rate: float | None = None,
    column: str | None = None,
    unit: str = "auto",
    options: FileOptions | None = None,
) -> tuple[np.ndarray, float]:
    """Read one recording of EDA.

    Parameters
    ----------
    path : path
        A text, parquet or other file; ``docs/recordings.md`` lists the formats. ``EDA.csv`` of an
        E4 is recognised by its content: the start time in the first line (UTC, in unix seconds or
        milliseconds or as ``YYYY-MM-DD hh:mm:ss``), the sampling rate in the second line, then one
        sample in each line.
    sampling_rate : float or None, default=None
        Samples per second (Hz). It is required unless the file contains it or has a column of
        times. Gaps in the times become NaN, and small irregularities are resampled.
    column : str or None, default=None
        Column of a table. None is the column whose name or unit says that it is EDA. The only
        numeric column of a file is taken with a warning. Files of an E4 have no named columns and
        ignore it.
    unit : str, default="auto"
        Unit of the samples: "microsiemens", "siemens", "nanosiemens", "ohm", "kiloohm", "megaohm",
        or "adc" (readings of a converter, of the device in `options`). "auto" is the unit in the
        header, else microsiemens.
    options : FileOptions or None, default=None
        Format of the file, where it must not be found by the content.

    Returns
    -------
    eda : ndarray of shape (n_samples,)
        In microsiemens, float64; NaN where samples are missing.
    sampling_rate : float
        In Hz.

    Raises
    ------
    DatasetError
        If the file is missing, empty or not a recording, if no column or several columns could be
        the EDA, if times repeat or go back, or if the sampling rate is not known or contradicts
        the file. The message begins with the path.
    ValueError
        If `sampling_rate` is not a positive finite number, or the unit is unknown.

    Warns
    -----
    RecordingWarning
        If the layout of the file was found and is not the usual one, samples are missing in the
        times, or the values are implausible in the unit.

    See Also
    --------
    read_trials : Many recordings, cut into trials.
    read_events : The events of a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from edaemo.datasets import read_recording
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "anna.csv"
    ...     table = pd.DataFrame({"time": [0, 0.25, 0.5], "EDA (µS)": [2.0, 2.5, 4.0]})
    ...     table.to_csv(path, index=False)
    ...     eda, rate = read_recording(path)
    >>> eda.tolist(), rate
    ([2.0, 2.5, 4.0], 4.0)
    """
    signals, sampling_rate = read_columns(
        path, [column], sampling_rate=sampling_rate, unit=unit, options=options
    )
    return signals[0], sampling_rate


def read_columns(
    path: str | os.PathLike[str],
    columns: Sequence[str | None],
    *,
    sampling_rate: float | None = None,
    unit: str = "auto",
    options: FileOptions | None = None,
) -> tuple[list[np.ndarray], float]:
    """Read several columns of one recording; see `read_recording` for the rest.

    Parameters
    ----------
    path : path
    columns : sequence of str or None
        Columns of a table; the first is the EDA. Files of an E4, and files without a header, have
        only one column.
    sampling_rate : float or None, default=None
    unit : str, default="auto"
    options : FileOptions or None, default=None

    Returns
    -------
    signals : list of ndarray of shape (n_samples,)
    sampling_rate : float
    """
    path = Path(path)
    rows = read_rows(path, columns, sampling_rate=sampling_rate, unit=unit, options=options)
    return place_rows(path, rows)


def read_rows(
    path: Path,
    columns: Sequence[str | None],
    *,
    sampling_rate: float | None = None,
    unit: str = "auto",
    options: FileOptions | None = None,
    trial: str | None = None,
) -> Rows:
    """Read columns of one recording, and its times, without placing the samples in time.

    Parameters
    ----------
    path : Path
    columns : sequence of str or None
    sampling_rate : float or None, default=None
    unit : str, default="auto"
    options : FileOptions or None, default=None
    trial : str or None, default=None
        Column with the name of the trial of each row, if the file has it.

    Returns
    -------
    Rows
        The columns.
    """
    options = options or FileOptions()
    if unit not in EDA_UNITS:
        raise ValueError(f"unit must be one of {', '.join(EDA_UNITS)}, got {unit!r}.")
    if sampling_rate is not None:
        sampling_rate = check_sampling_rate(sampling_rate)
    check_file(path)
    if path.suffix.lower() == ".zip" or _is_e4(path):
        if len(columns) > 1:
            raise DatasetError(
                f"{path}: a file of an E4 holds one signal, but {len(columns)} are requested."
            )
        return _read_e4(path, sampling_rate)
    file = open_file(path, options)
    chosen, notes = [], [*file.notes]
    for column in columns:
        channel, remarks = choose_channel(file, path, column)
        chosen.append(channel)
        notes += remarks
    rows = _read_chosen(path, file, chosen, trial, options, sampling_rate)
    rows.signals[0][:] = _convert(path, file, chosen[0], rows.signals[0], unit, options, notes)
    for note in notes:
        warnings.warn(f"{path}: {note}", RecordingWarning, stacklevel=4)
    return rows


def place_rows(
    path: Path, rows: Rows, inside: slice = slice(None)
) -> tuple[list[np.ndarray], float]:
    """Return the signals of some rows on a regular grid of times, and its rate in Hz.

    Raises
    ------
    DatasetError
        If the times are not in order or too irregular, or the rate is not known.
    """
    signals = [signal[inside] for signal in rows.signals]
    if rows.times is None:
        if rows.sampling_rate is None:
            raise DatasetError(
                f"{path}: the file does not contain its sampling rate. Pass sampling_rate (on the "
                "command line --sampling-rate), in Hz, or name the column of its times (--time)."
            )
        return signals, rows.sampling_rate
    times, unit, name = rows.times
    sampled = np.isfinite(signals[0])
    for signal in signals[1:]:
        sampled |= np.isfinite(signal)
    with naming(path):
        axis, notes = _find_axis(times[inside], sampled, unit, name, rows.sampling_rate)
    for note in (*notes, *axis.notes):
        warnings.warn(f"{path}: {note}", RecordingWarning, stacklevel=4)
    if notes:
        signals = [signal[sampled] for signal in signals]
    return [axis.place(signal) for signal in signals], axis.sampling_rate


def _find_axis(
    times: np.ndarray, sampled: np.ndarray, unit: str, name: str, sampling_rate: float | None
) -> tuple[TimeAxis, tuple[str, ...]]:
    """Return the axis of all rows, or of the rows with samples and a remark.

    The latter if other rows have times of their own, as in exports that merge the rows of several
    sensors or of events.
    """

    def make(some: np.ndarray) -> TimeAxis:
        return make_axis(some - some[:1], unit, name, sampling_rate)

    n_without = len(sampled) - int(np.count_nonzero(sampled))
    if not n_without or len(times) - n_without < FEW:
        return make(times), ()
    note = (
        f"{n_without} of {len(times)} rows have no sample of the EDA, and times of their own, as "
        "those of other sensors: left out."
    )
    merged = float(np.median(np.diff(times[sampled]))) > GAP * float(np.median(np.diff(times)))
    if merged:
        return make(times[sampled]), (note,)
    try:
        axis = make(times)
    except ValueError:
        return make(times[sampled]), (note,)
    if axis.exact:
        return axis, ()
    try:
        alone = make(times[sampled])
    except ValueError:
        return axis, ()
    return (alone, (note,)) if alone.exact else (axis, ())


def open_file(path: Path, options: FileOptions) -> OpenFile:
    """Return the channels of a file; raise a DatasetError if its format cannot be read."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _open_parquet(path)
    if suffix in READERS:
        return open_physiological(path)
    if suffix == ".mat":
        return open_matlab(path)
    if suffix in DEVICE_FILES:
        return DEVICE_FILES[suffix](path)
    if suffix in WORKBOOKS:
        return _open_workbook(path, options)
    return _open_text(path, options)


def _open_workbook(path: Path, options: FileOptions) -> OpenFile:
    """Open the sheet that the user names, or the only sheet with a column of EDA."""
    sheets = read_sheets(path)
    if options.sheet is not None and options.sheet not in sheets:
        raise DatasetError(f"{path}: no sheet is named {options.sheet!r}: {name_some(sheets)}.")
    wanted = [*sheets] if options.sheet is None else [options.sheet]
    plain = replace(options, delimiter=",", decimal=".", encoding="utf-8")
    opened = {name: _open_text(path, plain, sheets[name]) for name in wanted}
    with_eda = [name for name in wanted if find_eda(opened[name], path)] or wanted
    if len(with_eda) > 1:
        raise DatasetError(
            f"{path}: more than one sheet may hold the recording: {name_some(with_eda)}. Choose "
            "one with sheet (--sheet)."
        )
    return opened[with_eda[0]]


def _open_text(path: Path, options: FileOptions, content: bytes | None = None) -> OpenFile:
    if content is None:
        content = drop_footer(path)
    layout = find_layout(path, options, content)
    bits: list[int | None] = [*layout.bits] if layout.bits else [None] * layout.width
    channels = [
        Channel(name, unit, numeric, bits=n)
        for name, unit, numeric, n in zip(
            layout.names, layout.units, layout.numeric, bits, strict=True
        )
    ]

    def read(columns: Sequence[int], texts: Sequence[int]) -> dict[int, pd.Series]:
        with naming(path):
            return read_numbers_of(content or path, layout, columns, texts)

    return OpenFile(
        channels,
        read,
        named=layout.header,
        sampling_rate=layout.sampling_rate,
        device=layout.device,
        notes=layout.notes,
        first=tuple(layout.first[:50]),
    )


def _open_parquet(path: Path) -> OpenFile:
    try:
        import pyarrow as pa
        from pyarrow.parquet import read_schema
    except ImportError as error:
        needed = "pip install edaemo[parquet]"
        raise DatasetError(f"{path}: parquet needs pyarrow: {needed}.") from error
    size = path.stat().st_size
    try:
        schema = call_in_child(read_schema, size, path)
    except (ChildError, ValueError, OSError) as error:
        raise DatasetError(f"{path}: this is not a readable parquet file: {error}") from error
    # pandas stores an unnamed index as such a field. It is not a column of the recording.
    fields = [f for f in schema if not re.fullmatch(r"__index_level_\d+__", f.name)]
    plain = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in fields]

    def read(columns: Sequence[int], texts: Sequence[int]) -> dict[int, pd.Series]:
        for i in columns:
            timed = pa.types.is_temporal(fields[i].type) or pa.types.is_string(fields[i].type)
            if not plain[i] and not (i in texts or (timed and is_time_name(fields[i].name))):
                raise DatasetError(
                    f"{path}: column {fields[i].name!r} holds {fields[i].type}, not numbers."
                )
        try:
            names = [fields[i].name for i in (*columns, *texts)]
            table = call_in_child(load_parquet, size, str(path), names)
        except (ChildError, ValueError, OSError) as error:
            raise DatasetError(f"{path}: this is not a readable parquet file: {error}") from error
        if not len(table):
            raise DatasetError(f"{path}: the file has no samples.")
        cells = {i: table.column(fields[i].name).to_pandas() for i in (*columns, *texts)}
        return {
            i: cells[i].astype(np.float64) if plain[i] and i not in texts else cells[i]
            for i in cells
        }

    channels = [
        Channel(*split_name(field.name), numeric=number)
        for field, number in zip(fields, plain, strict=True)
    ]
    return OpenFile(channels, read)


def _read_chosen(
    path: Path,
    file: OpenFile,
    chosen: Sequence[int],
    trial: str | None,
    options: FileOptions,
    sampling_rate: float | None,
) -> Rows:
    """Read the chosen channels, their times and the names of their trials."""
    at = _find_times(path, file, chosen, options)
    names = file.names
    named = names.index(trial) if trial in names and names.index(trial) not in chosen else None
    texts = [i for i in (at, named) if i is not None and (i == named or not _is_numeric(file, i))]
    numbers = [*chosen, *([at] if at is not None and at not in texts else [])]
    cells = file.read([*dict.fromkeys(numbers)], texts)
    signals = [cells[i].to_numpy(dtype=np.float64, copy=True) for i in chosen]
    trials = None
    if named is not None:
        trials = ["" if pd.isna(cell) else str(cell).strip() for cell in cells[named]]
    rate = _agree(path, sampling_rate, file, chosen)
    times = None
    if at is not None:
        channel = file.channels[at]
        unit = options.time_unit if options.time_unit != "auto" else channel.unit
        with naming(path):
            times = (*read_times(cells[at], names[at], unit), names[at])
    elif (stamps := file.channels[chosen[0]].times) is not None:
        if any(file.channels[i].times is not stamps for i in chosen):
            raise DatasetError(
                f"{path}: the channels are of different streams: read one at a time."
            )
        times = (stamps, "s", "time stamps")
    return Rows(signals, times, trials, rate)


def _is_numeric(file: OpenFile, at: int) -> bool:
    return file.channels[at].numeric


def _agree(
    path: Path, sampling_rate: float | None, file: OpenFile, chosen: Sequence[int]
) -> float | None:
    """Return the sampling rate that the file or the user states; raise if they differ."""
    rates = (file.channels[i].sampling_rate or file.sampling_rate for i in chosen)
    stated_rates = {rate for rate in rates if rate is not None}
    if len(stated_rates) > 1:
        raise DatasetError(
            f"{path}: the channels have different sampling rates: {sorted(stated_rates)}."
        )
    stated = next(iter(stated_rates), None)
    if stated is not None and sampling_rate not in (None, stated):
        raise DatasetError(
            f"{path}: the file states {stated:g} Hz, but sampling_rate is {sampling_rate:g} Hz. "
            "Pass the correct rate, or do not pass it."
        )
    return stated or sampling_rate


def _find_times(
    path: Path, file: OpenFile, chosen: Sequence[int], options: FileOptions
) -> int | None:
    """Return the column of the times; None without one, or if the user ignores it."""
    if not file.is_table or not file.named or options.time is None:
        return None
    names = file.names
    if options.time != "auto":
        if options.time not in names:
            raise DatasetError(
                f"{path}: no column of times is named {options.time!r}. The columns are "
                f"{name_some(names)}."
            )
        return names.index(options.time)
    found = [i for i, name in enumerate(names) if is_time_name(name) and i not in chosen]
    if not found:
        return None
    plain = [i for i in found if names[i].lower() in ("time", "timestamp")]
    unix = [i for i in found if "unix" in names[i].lower()]
    return (plain or unix or found)[0]


def _convert(
    path: Path,
    file: OpenFile,
    chosen: int,
    samples: np.ndarray,
    unit: str,
    options: FileOptions,
    notes: list[str],
) -> np.ndarray:
    """Return the EDA in microsiemens; add remarks on its unit and on codes for "no value"."""
    channel = file.channels[chosen]
    codes = np.isin(samples, CODES)
    if codes.any():
        found = ", ".join(f"{code:g}" for code in np.unique(samples[codes]))
        notes.append(f"{int(codes.sum())} samples are {found}, a code for no value: missing.")
        samples = np.where(codes, np.nan, samples)
    known = check_unit(path, channel, unit)
    try:
        eda = to_microsiemens(
            samples, known, device=options.device or file.device, bits=channel.bits
        )
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
    if known != "microsiemens" and unit == "auto":
        notes.append(f"converted from {known}, the unit in the file, to microsiemens.")
    if doubt := doubt_unit(eda):
        notes.append(f"{doubt}. Pass unit (--unit).")
    return eda


def find_recordings(
    inputs: Sequence[str | os.PathLike[str]], *, leave_out: str | os.PathLike[str] | None = None
) -> list[tuple[Path, Path]]:
    """Find the recordings in files and folders.

    Parameters
    ----------
    inputs : sequence of path
        As in `choose_recordings`.
    leave_out : path or None, default=None
        As in `choose_recordings`.

    Returns
    -------
    list of (path, relative path)
        The first result of `choose_recordings`.
    """
    return choose_recordings(inputs, leave_out=leave_out)[0]


def choose_recordings(
    inputs: Sequence[str | os.PathLike[str]],
    *,
    leave_out: str | os.PathLike[str] | None = None,
    column: str | None = None,
    options: FileOptions | None = None,
) -> tuple[list[tuple[Path, Path]], dict[Path, str]]:
    """Find the recordings in files and folders, and the files that hold no EDA.

    Parameters
    ----------
    inputs : sequence of path
        Files and folders. Files are returned without any check, even if they do not exist. Folders
        are searched at any depth for recordings: files of all formats with a column that is EDA by
        its name, its unit, or the name of the file or its folder. Hidden files, and the files that
        an E4 writes next to its EDA.csv, are skipped. Files that cannot be read are returned, so
        that reading them gives an error.
    leave_out : path or None, default=None
        A folder to skip, such as the folder for results. It may still be one of the inputs.
    column : str or None, default=None
        Column of the EDA, if the user names it. Files without it are left out.
    options : FileOptions or None, default=None
        Format of the files.

    Returns
    -------
    found : list of (path, relative path)
        Files in the order of the inputs, and sorted by name in a folder. The relative path is the
        name of the file, or, for a file found in a folder, its path relative to that folder.
    left_out : dict of Path to str
        Files that were left out → the reason.

    Raises
    ------
    DatasetError
        If a folder holds no recording.
    """
    found: list[tuple[Path, Path]] = []
    left: dict[Path, str] = {}
    for given in map(Path, inputs):
        if not given.is_dir():
            found.append((given, Path(given.name)))
            continue
        inside = []
        for file in sorted(given.rglob("*")):
            if not _is_candidate(file, given) or _is_below(file, leave_out, given):
                continue
            reason = _refuse(file, column, options or FileOptions())
            if reason is None:
                inside.append((file, file.relative_to(given)))
            elif file.suffix.lower() not in TEXTS:
                left[file] = reason
        if not inside:
            reasons = "".join(f" {file.name}: {why}" for file, why in [*left.items()][:5])
            raise DatasetError(
                f"{given} holds no recording, that is, no file with a column of EDA.{reasons}"
            )
        found += inside
    return found, left


def _refuse(file: Path, column: str | None, options: FileOptions) -> str | None:
    """Return why a file in a folder is not a recording of EDA; None if it is or is unreadable."""
    weak = file.suffix.lower() in TEXTS
    try:
        check_file(file)
        if file.suffix.lower() == ".zip":
            _unpack(file)
            # a session may be there unpacked too.
            return "it is unpacked." if file.with_suffix("").is_dir() else None
        if _is_e4(file):
            if names_eda(file):
                return None
            return "it has the format of an E4, but its name does not say EDA."
        opened = open_file(file, options)
        if column is not None:
            there = column in opened.names
            return None if there else f"it has no column {column!r}, but {opened.names[:20]}."
        found = find_eda(opened, file)
        if any(opened.channels[i].numeric for i in found) or (found and not weak):
            return None
    except (DatasetError, OSError):
        return "it is not a table." if weak else None
    return f"no column is EDA by its name or unit: {opened.names[:20]}."


def _is_candidate(file: Path, folder: Path) -> bool:
    if file.suffix.lower() not in (*SUFFIXES, *TEXTS) or not file.is_file():
        return False
    if is_hidden(file.relative_to(folder).as_posix()):
        return False
    return file.name not in E4_OTHERS or not file.with_name("EDA.csv").exists()


def _is_below(file: Path, leave_out: str | os.PathLike[str] | None, folder: Path) -> bool:
    """Return whether a file is in the folder to leave out, if that is inside the input folder."""
    if leave_out is None:
        return False
    left = Path(leave_out).resolve()
    return folder.resolve() in left.parents and left in file.resolve().parents


def check_file(path: Path) -> None:
    """Raise a DatasetError if a path is not a file with content."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DatasetError(f"{path}: this file does not exist.") from None
    except (OSError, ValueError) as error:  # ValueError for a name with a null character
        raise DatasetError(f"{str(path)[:200]}: cannot be read: {error}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise DatasetError(f"{path}: this is a folder. Pass a file.")
    if not stat.S_ISREG(status.st_mode):
        raise DatasetError(f"{path}: this is a device or a pipe. Pass a file.")
    if not status.st_size:
        raise DatasetError(f"{path}: the file is empty.")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the path to the message of a ValueError raised inside the with block."""
    try:
        yield
    except DatasetError:
        raise
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


def _is_e4(path: Path) -> bool:
    if path.suffix.lower() not in (".csv", ".txt"):
        return False
    line = read_head(path)[:200].decode("utf-8-sig", "replace").splitlines()
    return bool(line) and is_start(line[0])


def _read_e4(path: Path, sampling_rate: float | None) -> Rows:
    if path.name in E4_OTHERS or (
        OTHER_SIGNALS & set(re.findall("[a-z]+", path.stem.lower())) and not names_eda(path)
    ):
        raise NoEDAError(f"{path}: this is not EDA. Use EDA.csv, in which an E4 records it.")
    with naming(path):
        signal = parse_signal(_unpack(path) if path.suffix.lower() == ".zip" else path)
    if sampling_rate not in (None, signal.sampling_rate):
        raise DatasetError(
            f"{path}: line 2 gives {signal.sampling_rate:g} Hz, but sampling_rate is "
            f"{sampling_rate:g} Hz. Pass the correct rate, or do not pass it."
        )
    return Rows([signal.samples], None, None, signal.sampling_rate)


def _unpack(path: Path) -> bytes:
    """Return the EDA.csv of an E4 session in a zip archive."""
    with open_archives(path) as archive:
        names = [name for name in archive.names if re.search(r"(?:^|/)EDA\.csv$", name)]
        if len(names) != 1:
            raise DatasetError(
                f"{path}: the archive holds {len(names)} files EDA.csv, it must be 1. Unpack it "
                "and pass the folder."
            )
        return archive.read_bytes(names[0])
