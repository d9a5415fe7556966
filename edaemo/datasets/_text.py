"""Text files of recordings in any dialect: find their layout, and read their columns of numbers."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._file_options import TIME_UNITS, FileOptions
from edaemo.datasets._numbers import MISSING, read_number
from edaemo.datasets._time_axis import is_time_name
from edaemo.datasets._units import OPENSIGNALS_DEVICES, find_unit, split_name

# Bytes of the beginning of a file that determine its layout.
HEAD = 1 << 18
_CHUNK = 1 << 18
# Lines after the first line of samples that help to find the columns.
AFTER = 4
_DELIMITERS = ("\t", ";", ",", "|", " ", None)
# All ways in which pandas may meet a text of MISSING.
_NA = sorted({form(text) for text in MISSING for form in (str, str.upper, str.title)} | {"NaN"})
# pandas 3.1 reads the nearest number in any case and does not take the argument.
_EXACT = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)
_TIME_CELL = re.compile(
    r"(\d{1,4}[-./]\d{1,2}[-./]\d{1,4}[T ]?)?(\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?"
    r" ?(Z|UTC|GMT|[AP]M|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"(?:sampl\w*|output)[ _-]*(?:rate|freq\w*)[^\d\n]{0,12}(\d+(?:[.,]\d+)?)", re.IGNORECASE
)
_STEP = re.compile(r"(\d+(?:[.,]\d+)?)\s*(msec|sec)/sample", re.IGNORECASE)
_INTERVAL = re.compile(r"Interval=\s*(\d+(?:[.,]\d+)?)\s*(m?)s")
_MAGIC = {
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"PK\x03\x04": "a zip archive or a workbook: unpack it, or give it its own suffix",
    b"\xd0\xcf\x11\xe0": "an old or password-protected workbook: save it as .xlsx without password",
    b"\x89HDF": "an HDF5 file: give it the suffix .h5",
    b"MATLAB": "a MATLAB file: give it the suffix .mat",
    b"PAR1": "a parquet file: give it the suffix .parquet",
}


@dataclass(frozen=True)
class TextLayout:
    """Layout of a text file.

    Attributes
    ----------
    names, units : list of str
        Of the columns; "" where the file has no name or unit.
    start : int
        Number of lines before the samples.
    width : int
        Number of columns.
    delimiter : str or None
        None for one column; " " for any run of spaces.
    decimal, encoding : str
    header : bool
        Whether the columns have names.
    numeric : list of bool
        Whether the first lines of a column hold numbers.
    first : list of str
        The first cells of each column, for messages.
    sampling_rate : float or None
        In Hz, if a line before the samples states it.
    device : str or None
        Device of the samples, if they are readings of a converter that the file describes.
    bits : list of int or None
        Resolution of each column of such a file.
    has_comments : bool
        Whether lines of samples may have a comment as one more cell, which begins with #.
    notes : tuple of str
        What was found that is not the default.
    """

    names: list[str]
    units: list[str]
    start: int
    width: int
    delimiter: str | None
    decimal: str
    encoding: str
    header: bool
    numeric: list[bool]
    first: list[str]
    sampling_rate: float | None = None
    device: str | None = None
    bits: list[int] | None = None
    has_comments: bool = False
    notes: tuple[str, ...] = field(default=())


class WrongWidthError(ValueError):
    """A line of a text file has another number of columns than the others."""

    def __init__(self, line: int, width: int, layout: TextLayout) -> None:
        self.line, self.width = line, width
        whole = "the header has" if layout.header else "the others have"
        super().__init__(
            f"line {line} has {width} columns, {whole} {layout.width}. Complete or remove the line."
        )


def read_head(path: Path, content: bytes | None = None) -> bytes:
    """Return the first bytes of a file; raise a DatasetError if it is not a text."""
    if content is not None:
        return content[:HEAD]
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}.") from error
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise DatasetError(f"{path}: this is {what}.")
    return head


def find_layout(path: Path, options: FileOptions, content: bytes | None = None) -> TextLayout:
    """Find the layout of a text file by its first lines.

    Parameters
    ----------
    path : Path
        The file.
    options : FileOptions
        What must not be found.
    content : bytes or None, default=None
        Content of the file, if it was read or converted.

    Returns
    -------
    TextLayout
        The layout.

    Raises
    ------
    DatasetError
        If the file is not a text, is empty, or is not a table.
    """
    head = read_head(path, content)
    encoding = options.encoding or find_encoding(path, head)
    lines = _split_lines(path, head, encoding)
    if options.skip_rows is not None:
        lines = lines[options.skip_rows :]
    if not any(line.strip() for line in lines):
        raise DatasetError(f"{path}: the file is empty.")
    has_comments = lines[0].startswith("Interval=")
    if has_comments:  # LabChart writes them as one more cell
        lines = [line.partition("\t#")[0] for line in lines]
    _, delimiter, decimal, rows = _find_dialect(path, lines, options)
    layout = _find_columns(path, lines, rows, delimiter, decimal, encoding)
    layout = replace(_read_preamble(lines[: layout.start], layout), has_comments=has_comments)
    if options.skip_rows:
        layout = replace(layout, start=layout.start + options.skip_rows)
    return _note(layout, options)


def drop_footer(path: Path) -> bytes | None:
    """Return the content of a text without its last line if that is ``<…>``, as in BioTrace+.

    None without such a line: the file is then read in parts.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1000))
        footer = re.search(rb"[\r\n]\s*<[^<>\r\n]*>\s*\Z", file.read())
        if footer is None:
            return None
        file.seek(0)
        return file.read()[: -len(footer[0])] + b"\n"


def find_encoding(path: Path, head: bytes) -> str:
    """Return the encoding of a text; raise a DatasetError if it is not a text."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        odd, even = head[1::2].count(0), head[::2].count(0)
        if max(odd, even) > 0.4 * len(head) / 2 and min(odd, even) < 0.1 * max(odd, even):
            return "utf-16-le" if odd > even else "utf-16-be"
        line = head[: head.index(b"\0")].count(b"\n") + 1
        raise DatasetError(f"{path}: line {line} has NUL bytes: the file is damaged or not a text.")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(head, final=len(head) < HEAD)
        except UnicodeDecodeError:
            continue
        return encoding
    raise DatasetError(f"{path}: this is not a text in UTF-8, UTF-16 or cp1252. Pass encoding.")


def _split_lines(path: Path, head: bytes, encoding: str) -> list[str]:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=len(head) < HEAD)
    except UnicodeError as error:
        raise DatasetError(f"{path}: this is not a text in {encoding}: {error}.") from error
    lines = re.split(r"\r\n|\n|\r", text)
    if len(head) == HEAD:
        lines.pop()  # may be incomplete
    if not lines:
        raise DatasetError(
            f"{path}: line 1 is longer than {HEAD // 1024} KiB. Write one row for each sample and "
            "one column for each signal."
        )
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    return lines


def split_line(line: str, delimiter: str | None) -> list[str]:
    """Return the cells of a line without surrounding space; raise csv.Error for wrong quotes."""
    if delimiter == " " and '"' not in line:
        return line.split()
    cells = next(csv.reader([line], delimiter=delimiter or "\x1f", strict=True), [])
    return [cell.strip() for cell in cells]


def _is_number(cell: str, decimal: str) -> bool:
    if decimal == ",":
        if "." in cell or cell.startswith(",") or cell.endswith(","):
            return False
        cell = cell.replace(",", ".")
    return read_number(cell) is not None


def _find_dialect(
    path: Path, lines: list[str], options: FileOptions
) -> tuple[tuple[float, bool], str | None, str, list[list[str]]]:
    """Return score, delimiter, decimal sign and the cells of the lines."""
    delimiters: Sequence[str | None] = (
        _DELIMITERS if options.delimiter is None else (options.delimiter,)
    )
    named = re.fullmatch(r'"?sep=(.)"?', lines[0].strip())
    if named and options.delimiter is None:
        delimiters = (named[1],)
    tail = [line for line in lines[-60:] if line.strip()]
    commas = any("," in line and re.search(r"[^\W\d_]", line) for line in lines[:40])
    found, wrong = [], None
    for delimiter in delimiters:
        if delimiter is not None and not any(delimiter in line for line in tail):
            if options.delimiter is None and not named:
                continue
            delimiter = None
        if delimiter is None and options.delimiter is None and all("\t" in line for line in tail):
            continue  # empty cells at the end
        try:
            rows = [split_line(line, delimiter) for line in tail]
        except csv.Error as error:
            wrong = error
            continue
        for decimal in (".", ",") if options.decimal is None else (options.decimal,):
            unlikely = delimiter is None and commas and options.decimal is None
            if decimal == "," and (delimiter == "," or unlikely):
                continue
            found.append((_score(lines, rows, delimiter, decimal), delimiter, decimal, rows))
    best = max(found, key=lambda choice: choice[0], default=None)  # the first of equals
    if best is None or (wrong is not None and not best[0][1]):
        raise DatasetError(
            f"{path}: this is not a comma-separated table: {wrong}. Correct the quotes, or "
            "export the recording as a table."
        )
    if not best[0][0]:
        _refuse_header_alone(path, lines)
    if best[1] == "," and options.decimal is None and _holds_fractions(lines):
        return next((choice for choice in found if choice[1:3] == (None, ",")), best)
    return best


def _refuse_header_alone(path: Path, lines: list[str]) -> None:
    """Raise a DatasetError if the last line is a header, so that no sample follows."""
    for delimiter in (",", ";", "\t"):
        names = lines[-1].split(delimiter)
        if len(names) > 1 and any(is_eda_name(split_name(name)[0]) for name in names):
            raise DatasetError(
                f"{path}: the file has no samples after its header in line {len(lines)}. Export it "
                "again, or leave it out."
            )


def _holds_fractions(lines: list[str]) -> bool:
    """Return whether all lines are one number, whose decimal comma looks like a delimiter."""
    digits = []
    for line in filter(None, map(str.strip, lines)):
        match = re.fullmatch(r"-?\d+,(\d+)", line)
        if match is None:
            return False
        digits.append(match[1])
    return any(re.match(r"0\d", part) for part in digits)  # a whole number does not begin with 0


def _score(
    lines: list[str], rows: list[list[str]], delimiter: str | None, decimal: str
) -> tuple[float, bool]:
    """Return the share of cells that hold numbers or times, and whether the header fits."""
    rows = rows[1:] if len(rows) > 1 else rows
    width = Counter(map(len, rows)).most_common(1)[0][0]
    whole = [row for row in rows if len(row) == width]
    cells = [cell for row in whole for cell in row if cell]
    good = sum(_is_number(cell, decimal) or bool(_clock(cell)) for cell in cells)
    header = next((line for line in lines if re.search(r"[^\W\d_]", line)), None)
    try:
        n_names = width if header is None else len(split_line(header, delimiter))
        fits = n_names == width or (n_names == width - 1 and not any(row[-1] for row in whole))
    except csv.Error:
        fits = False
    if width == 1 and delimiter is not None:
        return -1.0, False
    share = good / len(cells) if cells else 0.0
    return round(share * len(whole) / len(rows), 3), fits


def _clock(cell: str) -> bool:
    return ":" in cell and cell[0].isdigit() and _TIME_CELL.fullmatch(cell) is not None


def _find_columns(
    path: Path,
    lines: list[str],
    tail: list[list[str]],
    delimiter: str | None,
    decimal: str,
    encoding: str,
) -> TextLayout:
    """Find the first line of samples, and the header and units above it."""
    width = Counter(map(len, tail)).most_common(1)[0][0]
    body = [row for row in (tail[1:] if len(tail) > 1 else tail) if len(row) == width]
    numeric = [_is_numeric([row[i] for row in body], decimal) for i in range(width)]
    rows: list[list[str]] = []
    start = None
    for line in lines[:2000]:
        try:
            cells = split_line(line, delimiter)
        except csv.Error as error:
            raise DatasetError(f"{path}: line {len(rows) + 1}: {error}.") from error
        rows.append(cells)
        if start is None and _is_sample(cells, numeric, decimal) and any(numeric):
            start = len(rows) - 1
        if start is not None and len(rows) > start + AFTER:
            break
    if start is None:
        start = 1 if rows else 0
    else:
        start, numeric = _go_up(rows, start, numeric, decimal)
    if not any(any(cells) for cells in rows[:start]):
        start = 0  # blank lines are missing samples
    if start == 0 and _counts_columns(rows, decimal):
        start = 1
    at = _find_header(rows, start, width)
    if at is None:
        at = _find_other_header(lines, rows, start, width)
    names = [""] * width if at is None else _pad(rows[at], width)
    units = [""] * width
    if at is not None:
        while start < len(rows) and _is_count(rows, at, start):
            start += 1
        names, units = map(list, zip(*map(split_name, names), strict=True))
        for row in rows[at + 1 : start]:
            given = _pad(row, width)
            if len(row) in (width, width - 1) and any(find_unit(cell) for cell in given):
                units = [new or old for new, old in zip(given, units, strict=True)]
    first = rows[start] if start < len(rows) else []
    return TextLayout(
        names,
        units,
        start,
        width,
        delimiter,
        decimal,
        encoding,
        at is not None,
        numeric,
        _pad(first, width),
    )


def _pad(cells: list[str], width: int) -> list[str]:
    return [*cells, *[""] * width][:width]


def _is_numeric(cells: list[str], decimal: str) -> bool:
    filled = [cell for cell in cells if cell.lower() not in MISSING]
    return bool(filled) and sum(_is_number(cell, decimal) for cell in filled) >= len(filled) / 2


def _is_sample(cells: list[str], numeric: list[bool], decimal: str) -> bool:
    if len(cells) != len(numeric):
        return False
    values = [cell for cell, number in zip(cells, numeric, strict=True) if number]
    return all(_is_number(cell, decimal) for cell in values) and any(
        cell.lower() not in MISSING for cell in values
    )


def _go_up(
    rows: list[list[str]], start: int, numeric: list[bool], decimal: str
) -> tuple[int, list[bool]]:
    """Move the start to the first line above it that has numbers, in some of the columns."""
    while start > 0 and len(rows[start - 1]) == len(numeric):
        cells = rows[start - 1]
        if cells[0].endswith("="):
            break  # a line of the header of LabChart
        still = [
            number and _is_number(cell, decimal)
            for number, cell in zip(numeric, cells, strict=True)
        ]
        if not any(
            number and cell.lower() not in MISSING
            for number, cell in zip(still, cells, strict=True)
        ):
            break
        start, numeric = start - 1, still
    return start, numeric


def _counts_columns(rows: list[list[str]], decimal: str) -> bool:
    """Return whether the first line numbers the columns from 0, as pandas does, without names."""
    first = rows[0][1:] if rows[0] and not rows[0][0] and len(rows[0]) > 1 else rows[0]
    if first != [str(i) for i in range(len(first))] or len(rows) < 2:
        return False
    return any(decimal in cell for cell in rows[1])


def _is_count(rows: list[list[str]], header: int, at: int) -> bool:
    """Return whether a line below the header has the numbers of samples, as in AcqKnowledge.

    The cell below the times is empty. An export without times names its columns CH1, CH2, ….
    """
    row = rows[at]
    counted = row[1:]
    if row[0]:
        untimed = re.fullmatch(r"CH\d+", rows[header][0])
        if not (untimed and _numbers_channels(rows, header) and at == header + 1):
            return False
        counted = row
    return (
        at - header <= 2
        and any(counted)
        and all(cell.isdigit() and int(cell) > 1 for cell in counted if cell)
    )


def _find_header(rows: list[list[str]], start: int, width: int) -> int | None:
    """Return the line of the names: one that names EDA or time, else the last line that fits."""
    fit = [
        at
        for at in range(max(0, start - 40), start)
        if len(rows[at]) in (width, width - 1) and any(rows[at])
    ]
    numbered = [at for at in fit if _numbers_channels(rows, at)]
    if numbered:
        return numbered[-1]
    above = [at for at in fit if at == fit[0] or not _holds_units(rows[at])]
    for is_name in (is_eda_name, is_time_name):
        for at in reversed(above):
            if any(is_name(split_name(cell)[0]) for cell in rows[at]):
                return at
    words = [at for at in fit if not all(find_unit(cell) for cell in rows[at] if cell)]
    usual = words or fit
    return usual[-1] if usual else None


def _numbers_channels(rows: list[list[str]], at: int) -> bool:
    """Return whether a line has the names CH1, CH2, … of an export of AcqKnowledge.

    The names of the channels are in the lines above. They may have commas: "EDA, X, PPGED-R".
    """
    names = [cell for cell in rows[at][1:] or rows[at] if cell]
    exported = any(re.fullmatch(r"\d+ channels?", " ".join(above)) for above in rows[:at])
    return exported and bool(names) and all(re.fullmatch(r"CH\d+", name) for name in names)


def _holds_units(row: list[str]) -> bool:
    """Return whether all cells of a line are units of times or signals."""
    return any(map(find_unit, row)) and all(
        find_unit(cell) or cell.lower() in (*TIME_UNITS, "", "no_units", "no units") for cell in row
    )


def _find_other_header(
    lines: list[str], rows: list[list[str]], start: int, width: int
) -> int | None:
    """Return the line of the names if its delimiter is another one than that of the samples.

    The Q sensor separates the names by " | ". The line is replaced in `rows`.
    """
    for at in range(start):
        cells = [cell.strip() for cell in lines[at].split("|")]
        if len(cells) == width and any(is_eda_name(split_name(cell)[0]) for cell in cells):
            rows[at] = cells
            return at
    return None


_EDA_WORDS = {"eda", "gsr", "electrodermal", "galvanic", "conductance", "sc", "scl", "edr", "gsc"}
_OTHER_WORDS = {
    *("range", "quality", "phasic", "tonic", "driver", "scr", "scrs", "peaks", "peak", "label"),
    *("onset", "onsets", "events", "event", "battery", "mean", "std", "residual", "marker"),
    *("markers", "tag", "tags", "labels", "systolic"),
}


def is_eda_name(name: str) -> bool:
    """Return whether a name is one of EDA: EDA, GSR, skin conductance and similar names."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    if _OTHER_WORDS & set(words):
        return False
    skin = "skin" in words and bool({"resistance", "conductance", "impedance"} & set(words))
    return skin or bool(_EDA_WORDS & set(words))


def _read_preamble(lines: list[str], layout: TextLayout) -> TextLayout:
    """Add what the lines before the samples state: the rate, and channels of known exports."""
    text = "\n".join(lines)
    rate = None
    if (step := _STEP.search(text)) or (step := _INTERVAL.search(text)):
        seconds = float(step[1].replace(",", ".")) * (1e-3 if step[2].startswith("m") else 1.0)
        rate = 1 / seconds if seconds else None
    elif given := _RATE.search(text):
        rate = float(given[1].replace(",", ".")) or None
    layout = replace(layout, sampling_rate=rate)
    if text.startswith("# OpenSignals"):
        return _read_opensignals(lines, layout)
    if text.startswith("Interval="):
        return _read_labchart(lines, layout)
    return _name_channels(lines, layout)


def _read_opensignals(lines: list[str], layout: TextLayout) -> TextLayout:
    """Read the header of a text file of OpenSignals, which is JSON in a comment."""
    try:
        devices = json.loads(lines[1].lstrip("# "))
        device = next(iter(devices.values()))
        columns = [str(name) for name in device["column"]]
        sensors = dict(zip(device["label"], device.get("sensor", ()), strict=False))
        names = [str(sensors.get(column, column)) for column in columns]
        bits = [int(n) for n in device["resolution"]]
        rate = float(device["sampling rate"])
        kind = str(device.get("device", ""))
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return layout
    return replace(
        layout,
        names=_pad(names, layout.width),
        units=_pad(["adc" if is_eda_name(name) else "" for name in names], layout.width),
        header=True,
        sampling_rate=rate,
        device=OPENSIGNALS_DEVICES.get(kind),
        bits=[*bits, *[0] * layout.width][: layout.width],
    )


def _read_labchart(lines: list[str], layout: TextLayout) -> TextLayout:
    """Read the units of LabChart: those of UnitName, else those after the numbers of Range."""
    given = {line.partition("=")[0]: line.rstrip().split("\t") for line in lines}
    measured = [cell.strip().rpartition(" ")[2] for cell in given.get("Range", ())]
    units = _pad(measured, layout.width)
    for i, cell in enumerate(_pad(given.get("UnitName", []), layout.width)):
        units[i] = cell.strip() if cell.strip() not in ("", "*") else units[i]
    return replace(layout, names=["time", *layout.names[1:]], units=["", *units[1:]])


def _name_channels(lines: list[str], layout: TextLayout) -> TextLayout:
    """Replace CH1, CH2, … of AcqKnowledge by the names and units in the lines before them."""
    at = next((i for i, line in enumerate(lines) if re.fullmatch(r"\d+ channels?\s*", line)), None)
    if at is None:
        return layout
    n = int(lines[at].split()[0])
    given = [line.strip() for line in lines[at + 1 : at + 1 + 2 * n]]
    names, units = list(layout.names), list(layout.units)
    channels = [i for i, name in enumerate(names) if re.fullmatch(r"CH\d+", name)]
    for channel, name, unit in zip(channels, given[::2], given[1::2], strict=False):
        names[channel], units[channel] = name, unit
    return replace(layout, names=names, units=units)


def _note(layout: TextLayout, options: FileOptions) -> TextLayout:
    found = []
    if layout.encoding not in ("utf-8-sig", options.encoding):
        found.append(f"encoding {layout.encoding}")
    if layout.delimiter not in (",", None, options.delimiter):
        sign = {"\t": "tab", " ": "spaces"}.get(layout.delimiter, layout.delimiter)
        found.append(f"delimiter {sign}")
    if layout.decimal not in (".", options.decimal):
        found.append("decimal comma")
    before = layout.start - (options.skip_rows or 0) - layout.header
    if before > 0 and options.skip_rows is None:
        found.append(f"{before} lines that are not samples")
    notes = [f"found: {', '.join(found)}."] if found else []
    if layout.header and [*filter(None, layout.names)] == ["0"]:
        notes.append("line 1, '0', was taken for a header, not for a sample.")
    return replace(layout, notes=tuple(notes))


def read_numbers_of(
    source: Path | bytes, layout: TextLayout, columns: Sequence[int], texts: Sequence[int] = ()
) -> dict[int, pd.Series]:
    """Read columns of a text file: those of `texts` as text, the others as float64.

    Parameters
    ----------
    source : Path or bytes
        The file or its content.
    layout : TextLayout
        Its layout.
    columns, texts : sequence of int
        Positions of the columns.

    Returns
    -------
    dict of int to Series
        Missing numbers are NaN.

    Raises
    ------
    ValueError
        If a line has another number of columns, a cell does not hold a number, or the file has no
        samples. The message begins with "line" or "the file".
    """
    wanted = sorted({*columns, *texts})
    numbers = [i for i in wanted if i not in texts]
    types = {i: str if i in texts else np.float64 for i in wanted}
    settings = {"dtype": types, "na_values": dict.fromkeys(numbers, _NA)}
    wrong: Exception | None = None
    for skip in (False, True):  # reading is slow if pandas skips the space before a cell
        with _Samples(source, layout) as samples:
            try:
                table = samples.read_table(wanted, skipinitialspace=skip, **settings)
            except IndexError:  # of pandas, in a file without rows
                wrong = ValueError(
                    f"the file has no samples after line {layout.start}. Its lines may end in "
                    "different ways."
                )
            except (ValueError, OverflowError) as error:
                wrong = error
            else:
                samples.check()
                return {i: table[i] for i in wanted}
    _check_widths(source, layout)
    with _Samples(source, layout) as samples:
        _refuse_text(samples.read_table(wanted, dtype=str), numbers, layout, wrong)
    raise wrong or ValueError("the file cannot be read.")


def _refuse_text(
    table: pd.DataFrame, columns: list[int], layout: TextLayout, error: Exception | None
) -> None:
    """Raise a ValueError that names the first cell that does not hold a number."""
    for i in columns:
        for row, cell in enumerate(table[i]):
            if isinstance(cell, str) and not _is_number(cell.strip(), layout.decimal):
                raise ValueError(
                    f"line {layout.start + row + 1} does not hold a number: {cell.strip()[:40]!r}. "
                    "Correct it, or pass delimiter, decimal or skip_rows if the file was not "
                    "understood."
                ) from error


class _Samples:
    """The lines of samples in a text file, as UTF-8; it counts their cells while pandas reads it.

    pandas leaves out cells beyond the header, and fills lines that are too short.
    """

    def __init__(self, source: Path | bytes, layout: TextLayout) -> None:
        self._source, self._layout = source, layout
        self._file: BinaryIO = (
            io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        )
        plain = layout.encoding.startswith("utf-8")
        self._decoder = None if plain else codecs.getincrementaldecoder(layout.encoding)()
        self._has_nul, self._n_lines, self._n_blank, self._n_delimiters = False, 0, 0, 0
        first = self._read(_CHUNK)
        # Files of old Macintosh computers end lines by a return alone.
        self._mac = b"\n" not in first and b"\r" in first
        first = first.replace(b"\r", b"\n") if self._mac else first
        for _ in range(layout.start):
            while b"\n" not in first and (more := self._next()):
                first += more
            first = first.partition(b"\n")[2]
        # pandas is faster with a header.
        sign = (layout.delimiter or "\x1f").encode()
        self._begin = sign.join(str(i).encode() for i in range(layout.width)) + b"\n" + first
        self._count(first)

    def __enter__(self) -> _Samples:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """Make pandas accept the object as a file."""
        return iter((self.read(),))

    def _read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        if self._decoder is not None:
            text = self._decoder.decode(chunk, final=not chunk)
            while not text and chunk:
                chunk = self._file.read(size)
                text = self._decoder.decode(chunk, final=not chunk)
            return text.lstrip("\ufeff").encode()
        return chunk.removeprefix(codecs.BOM_UTF8)

    def read(self, size: int = -1) -> bytes:
        """Return the next part of the lines, empty at the end."""
        if self._begin:
            begin, self._begin = self._begin, b""
            return begin
        chunk = self._next()
        self._count(chunk)
        return chunk

    def _next(self) -> bytes:
        chunk = self._read(_CHUNK)
        return chunk.replace(b"\r", b"\n") if self._mac else chunk

    def _count(self, chunk: bytes) -> None:
        codes = np.frombuffer(chunk, np.uint8)
        n_lines = int(np.count_nonzero(codes == 10))
        self._n_lines += n_lines
        if self._layout.delimiter is not None:
            self._n_delimiters += int(np.count_nonzero(codes == ord(self._layout.delimiter)))
        self._has_nul |= b"\0" in chunk
        filled = chunk.rstrip()
        if filled:
            self._n_blank = chunk.count(b"\n", len(filled))
        else:
            self._n_blank += n_lines

    def read_table(self, columns: list[int], **settings: Any) -> pd.DataFrame:
        """Return columns as pandas reads them, without blank lines at the end."""
        layout = self._layout
        table = pd.read_csv(
            self,
            sep=r"\s+" if layout.delimiter == " " else layout.delimiter or "\x1f",
            decimal=layout.decimal,
            header=0,
            names=range(layout.width),
            usecols=columns,
            index_col=False,
            skip_blank_lines=False,
            keep_default_na=False,
            engine="c",
            **settings,
            **_EXACT,
        )
        n_rows = self._n_lines - self._n_blank + 1
        if not len(table) or n_rows < 1:
            raise ValueError("the file has no samples.")
        return table.iloc[:n_rows]

    def check(self) -> None:
        """Raise a ValueError if a line has another number of columns, or the file has NUL bytes."""
        layout = self._layout
        n_rows = self._n_lines - self._n_blank + 1
        due = n_rows * (layout.width - 1)
        if self._has_nul or layout.delimiter == " " or self._n_delimiters != due:
            _check_widths(self._source, layout)


def _check_widths(source: Path | bytes, layout: TextLayout) -> None:
    """Raise if a line of samples has another number of columns than the others, or NUL bytes."""
    n_lines, last, rest, inside = layout.start, layout.start, b"", 0
    with _Samples(source, layout) as samples:
        block = samples.read().partition(b"\n")[2]
        while True:
            chunk = samples.read()
            whole = rest + block
            if not chunk and whole:
                whole += b"\n"
            cut = whole.rfind(b"\n") + 1
            rest = whole[cut:]
            widths, inside = _count_cells(whole[:cut], layout.delimiter, inside, n_lines)
            filled = np.flatnonzero(widths)
            if len(filled):
                good = widths[: filled[-1] + 1]
                # A blank line is one missing sample if there is one column.
                wrong = (good != layout.width) & ~((good == 0) & (layout.width == 1))
                if wrong.any():
                    _refuse_widths(whole[:cut].split(b"\n"), good, wrong, n_lines, layout)
                if last < n_lines and layout.width > 1:
                    raise WrongWidthError(last + 1, 0, layout)
                last = n_lines + int(filled[-1]) + 1
            n_lines += len(widths)
            if not chunk:
                break
            block = chunk


def _refuse_widths(
    lines: list[bytes], widths: np.ndarray, wrong: np.ndarray, n_before: int, layout: TextLayout
) -> None:
    """Raise for the first line that has another number of columns and not one comment more."""
    for at in np.flatnonzero(wrong):
        if layout.has_comments and lines[at].startswith(b"Interval="):
            raise ValueError(
                f"line {n_before + at + 1} begins another block of LabChart. Export each block to "
                "its own file."
            )
        comment = lines[at].rpartition(b"\t")[2].startswith(b"#")
        if not (layout.has_comments and comment and widths[at] == layout.width + 1):
            raise WrongWidthError(n_before + int(at) + 1, int(widths[at]), layout)


def _count_cells(
    block: bytes, delimiter: str | None, inside: int, n_lines: int
) -> tuple[np.ndarray, int]:
    """Return the number of cells of each line, 0 for a blank one, and whether a quote is open."""
    codes = np.frombuffer(block, np.uint8)
    if not codes.all():
        line = n_lines + int(np.sum(codes[: np.argmin(codes)] == 10)) + 1
        raise ValueError(f"line {line} has NUL bytes: the file is damaged.")
    ends = codes == 10
    sign = np.zeros(len(codes), bool) if delimiter is None else codes == ord(delimiter)
    if delimiter == " ":
        space = (codes == 32) | (codes == 9) | (codes == 13) | ends
        sign = ~space & np.concatenate([[True], space[:-1]])
    if b'"' in block:
        quoted = (np.cumsum(codes == 34, dtype=np.uint8) + inside) & 1
        inside = int(quoted[-1])
        ends, sign = ends & ~quoted.astype(bool), sign & ~quoted.astype(bool)
    stops = np.flatnonzero(ends)
    if not len(stops):
        return np.zeros(0, np.int64), inside
    starts = np.concatenate([[0], stops[:-1] + 1])
    counts = np.add.reduceat(sign.view(np.uint8), starts, dtype=np.int64)
    if delimiter == " ":
        return counts, inside
    lengths = stops - starts
    returns = codes[np.maximum(stops - 1, 0)] == 13
    blank = (lengths == 0) | ((lengths == 1) & returns)
    padded = np.isin(codes[starts], (9, 32)) & (counts == 0)
    for at in np.flatnonzero(padded & ~blank):
        blank[at] = not block[starts[at] : stops[at]].strip()
    return np.where(blank, 0, counts + 1), inside
