"""Cache the data of a corpus as parquet, so that later loads do not parse the original files."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeGuard
from uuid import uuid4

import numpy as np

from edaemo._whole_file import file_named_by_content, whole_file
from edaemo.datasets._corpus import CorpusFiles, DatasetError, LooseFile, user_cache

if TYPE_CHECKING:
    import pyarrow as pa

# Valid types of the argument `cache`, for every loader with a cache.
CACHE = ["boolean", str, os.PathLike]
NEEDED = "pip install edaemo[parquet]"
# Part of every key. Increase it when the format of the entries changes.
_FORMAT = 1
# Rows are written, and read, in groups of about this many bytes.
_GROUP = 8 * 2**20
# Seconds. A file that changed more recently may change again unnoticed, because the clock of a file
# system can be coarse.
_SETTLED = 2.0

# Text (or None), arrays or numbers. The reader of a corpus knows the type from the column name.
Column = Sequence[Any] | np.ndarray


class Reading(NamedTuple):
    """The data read from the files of a corpus, before any processing.

    Parameters
    ----------
    columns : dict
        Name → one value for each row: text (or None), an array of numbers, or a list of arrays. The
        arrays of a list have the same dtype. They are 1-D, or 2-D with the same number of rows.
    facts : dict
        Further information that JSON can store.
    """

    columns: dict[str, Column]
    facts: dict[str, Any]

    @classmethod
    def of_rows(
        cls, rows: Sequence[dict[str, Any]], numbers: Iterable[str], facts: dict[str, Any]
    ) -> Self:
        """Convert rows to columns.

        Parameters
        ----------
        rows : sequence of dict
            Name → value of each row.
        numbers : iterable of str
            Names of the numeric columns.
        facts : dict
            Further information that JSON can store.

        Returns
        -------
        Reading
            The columns and the facts.
        """
        columns: dict[str, Column] = {
            name: [row[name] for row in rows] for name in (rows[0] if rows else ())
        }
        columns |= {name: np.array(columns[name]) for name in numbers if name in columns}
        return cls(columns, facts)


def take_rows(columns: Mapping[str, Column], rows: Sequence[int] | np.ndarray) -> dict[str, Column]:
    """Return the selected rows of each column."""
    return {
        name: column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]
        for name, column in columns.items()
    }


def read_through_cache(
    corpus: CorpusFiles,
    names: Iterable[str],
    settings: Sequence[Any],
    read: Callable[[], Reading],
    cache: bool | str | os.PathLike[str],
) -> tuple[Reading, str]:
    """Return the cached data of these files, or read the files and cache valid data.

    Parameters
    ----------
    corpus : CorpusFiles
        The corpus with the files.
    names : iterable of str
        Names of the files that `read` reads. Their content is part of the key.
    settings : sequence
        Other values that the result depends on, in a form that JSON can store: the corpus, the
        version of the reader and the parameters.
    read : callable
        Reads the files and notes problems in `corpus`. If there are problems, nothing is cached.
    cache : bool or path
        Folder of the cache. True is the cache folder of the user; nothing is cached if pyarrow or a
        home folder is missing. False disables the cache.

    Returns
    -------
    Reading
        The same data whether cached or not.
    str
        The source of the data, or the reason why they were not cached.

    Raises
    ------
    DatasetError
        If `cache` is a folder and pyarrow is not installed.

    Warns
    -----
    UserWarning
        If the folder is not writable.
    """
    folder, why_not = _folder(cache)
    if folder is None:
        return read(), why_not
    digests = _Digests(corpus, folder)
    contents = [[name, digests.of(name)] for name in sorted(names)]
    key = hashlib.sha256(json.dumps([_FORMAT, list(settings), contents]).encode()).hexdigest()
    kept = _load(folder, key)
    reading = read() if kept is None else kept
    if corpus.problems.found:
        return reading, "not kept: the corpus has problems"
    try:
        digests.remember()
        if kept is None:
            _store(folder, key, reading)
    except OSError as error:
        why_not = f"not kept: cannot write to {folder} ({error.strerror or error})"
        warnings.warn(f"The corpus is {why_not}.", UserWarning, stacklevel=2)
        return reading, why_not
    if kept is None:
        return reading, f"read from the original files, kept in {folder}"
    return reading, f"from {folder}"


def _folder(cache: bool | str | os.PathLike[str]) -> tuple[Path | None, str]:
    """Return the folder, or None and a reason."""
    if cache is False:
        return None, "not kept: cache=False"
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        if cache is True:
            return None, f"not kept: the cache needs pyarrow: {NEEDED}"
        raise DatasetError(f"cache={str(cache)!r} needs pyarrow: {NEEDED}.") from error
    if cache is not True:
        return Path(cache).expanduser().absolute(), ""
    home = user_cache()
    return (
        (None, "not kept: the user has no home folder") if home is None else (home / "parquet", "")
    )


class _Digests:
    """Digests of the files of a corpus, stored so that each file is hashed only once.

    The digest of a file in a zip archive is its size and CRC-32, from the directory of the archive.
    The digest of a loose file is the SHA-256 of its content. The cache stores this digest together
    with the size, modification time, change time and inode of the file. While these values are
    unchanged, the content is not read again.
    """

    def __init__(self, corpus: CorpusFiles, folder: Path) -> None:
        self._files = corpus.files
        place = str(corpus.place.resolve())
        self._memory = folder / "digests" / f"{hashlib.sha256(place.encode()).hexdigest()}.json"
        self._known = self._recall()
        self._new: dict[str, list[Any]] = {}

    def of(self, name: str) -> str:
        """Return the digest of a file."""
        file = self._files[name]
        if not isinstance(file, LooseFile):
            return f"{file.info.file_size} {file.info.CRC:08x}"
        now = time.time()
        stat = file.path.stat()
        seen = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        match self._known.get(name):
            case [before, str(digest)] if before == seen:
                return digest
        with file.path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if max(stat.st_mtime, stat.st_ctime) < now - _SETTLED:
            self._new[name] = [seen, digest]
        return digest

    def remember(self) -> None:
        """Write the new digests to the cache."""
        if self._new:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._memory) as part:
                part.write_text(json.dumps(self._known | self._new), encoding="utf-8")

    def _recall(self) -> dict[str, Any]:
        try:
            known = json.loads(self._memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # missing or damaged
            return {}
        return known if isinstance(known, dict) else {}


def _store(folder: Path, key: str, reading: Reading) -> None:
    """Write an entry to a file whose name contains the digest of its content."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{key}.{uuid4().hex}.part"
    with file_named_by_content(part, lambda whole: folder / f"{key}.{_digest(whole)}.parquet"):
        _write(part, reading)


def _load(folder: Path, key: str) -> Reading | None:
    """Read an entry. Return None if it is missing or damaged; remove a damaged entry."""
    import pyarrow as pa

    for path in sorted(folder.glob(f"{key}.*.parquet")):
        try:
            if path.name == f"{key}.{_digest(path)}.parquet":
                return _read(path)
        except (OSError, pa.ArrowException):  # removed meanwhile, or written by another version
            continue
        with suppress(OSError):
            path.unlink()
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, reading: Reading) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = reading.columns
    arrays = {name: column for name, column in columns.items() if holds_arrays(column)}
    heights = {name: cells[0].shape[0] for name, cells in arrays.items() if cells[0].ndim == 2}
    about = {"edaemo": json.dumps({"facts": reading.facts, "heights": heights})}
    tables = (
        pa.table(
            {name: _to_arrow(column[rows]) for name, column in columns.items()}, metadata=about
        )
        for rows in _groups([*arrays.values()], len(next(iter(columns.values()))))
    )
    table = next(tables)
    with parquet.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        use_dictionary=False,
        # Successive floats have similar bytes at the same position.
        use_byte_stream_split=[f"{name}.list.element" for name in arrays],
    ) as writer:
        writer.write_table(table)
        for table in tables:
            writer.write_table(table)


def holds_arrays(column: Column) -> TypeGuard[Sequence[np.ndarray]]:
    """Return whether a column has an array in each row."""
    return not isinstance(column, np.ndarray) and isinstance(next(iter(column), None), np.ndarray)


def _groups(columns: list[Sequence[np.ndarray]], n_rows: int) -> Iterator[slice]:
    """Yield groups of rows of about `_GROUP` bytes."""
    start = size = 0
    for row in range(n_rows):
        size += sum(column[row].nbytes for column in columns)
        if size >= _GROUP or row == n_rows - 1:
            yield slice(start, row + 1)
            start, size = row + 1, 0


def _to_arrow(values: Column) -> pa.Array:
    import pyarrow as pa

    if holds_arrays(values):
        offsets = np.cumsum([0, *(cell.size for cell in values)], dtype=np.int64)
        flat = np.concatenate([cell.ravel() for cell in values])
        return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat))
    return pa.array(values) if isinstance(values, np.ndarray) else pa.array(values, pa.string())


def _read(path: Path) -> Reading:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        about = json.loads(file.schema_arrow.metadata[b"edaemo"])
        parts: dict[str, list[Any]] = {name: [] for name in names}
        for number in range(file.num_row_groups):
            group = file.read_row_group(number).combine_chunks()
            for name in names:
                height = about["heights"].get(name)
                parts[name].append(_from_arrow(group.column(name).chunk(0), height))
            del group
    columns: dict[str, Column] = {
        name: np.concatenate(part) if isinstance(part[0], np.ndarray) else [*chain(*part)]
        for name, part in parts.items()
    }
    return Reading(columns, about["facts"])


def _from_arrow(values: pa.Array, height: int | None) -> Column:
    import pyarrow as pa

    if pa.types.is_large_list(values.type):
        flat = values.values.to_numpy()
        ends = values.offsets.to_numpy()
        # Copies are writable, and one remaining cell does not keep the whole group in memory.
        cells = [flat[start:end].copy() for start, end in pairwise(ends)]
        return cells if height is None else [cell.reshape(height, -1) for cell in cells]
    if pa.types.is_string(values.type):
        return values.to_pylist()
    return values.to_numpy(zero_copy_only=False)
