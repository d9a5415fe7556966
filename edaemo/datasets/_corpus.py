"""Find a corpus and read its files, from its folder or from zip archives of it."""

from __future__ import annotations

import csv
import lzma
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import numpy as np

from edaemo._validation import name_some, suggest
from edaemo.datasets._numbers import plain_number, read_number

ENVIRONMENT = "EDAEMO_DATA"
REPOSITORY_DATA = Path(__file__).parents[2] / "data"


class DatasetError(ValueError):
    """A corpus is missing or incomplete, or one of its files is invalid.

    This is a ValueError. The message names the file or the searched places, and the remedy.
    """


# Exceptions that a damaged member of a zip archive may raise, depending on its compression.
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, MemoryError)
# Problems that one error lists, at most.
_MOST_LISTED = 30
# Size of the unpacked files, as a multiple of the archive, at most, for archives above 256 MiB
# unpacked. Recordings take 1 to 30 times their archive.
_SMALL, _MOST_PACKED = 2**28, 200


@dataclass(frozen=True)
class LooseFile:
    """A file of a corpus in a folder."""

    path: Path

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        return self.path.open("rb")


@dataclass(frozen=True)
class PackedFile:
    """A file of a corpus in an open zip archive."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    def open(self) -> IO[bytes]:
        """Open the file for reading."""
        try:
            return self.archive.open(self.info)
        except UnicodeDecodeError as error:
            raise zipfile.BadZipFile("the name in its header is not text") from error


class Problems:
    """Collect the problems of a corpus, so that one error can list all of them.

    Parameters
    ----------
    name : str
        Name of the corpus in messages.
    place : path
        Folder or archive of the corpus.
    how_to_get : str
        Sentence on where to get the corpus.
    remedy : str or None, default=None
        Sentence on what to do with a file that is missing or invalid. None is that for the files of
        a published corpus.
    """

    def __init__(self, name: str, place: Path, how_to_get: str, remedy: str | None = None) -> None:
        self.found: list[str] = []
        self.remedy = remedy
        self._name, self._place, self._how_to_get = name, place, how_to_get

    def add(self, problem: str) -> None:
        """Note a problem, as a sentence that names the file.

        Parameters
        ----------
        problem : str
            The sentence.
        """
        self.found.append(problem)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Note a DatasetError raised inside the with block, and continue after the block."""
        try:
            yield
        except DatasetError as error:
            self.note(error)

    def note(self, error: DatasetError) -> None:
        """Note the message of an error.

        Parameters
        ----------
        error : DatasetError
            The error.
        """
        self.add(str(error).replace(f" (in {self._place})", ""))

    def raise_all(self) -> None:
        """Raise one error that lists all noted problems, if there are any."""
        if self.found:
            most = _MOST_LISTED
            problems = "".join(f"\n  - {problem[:1000]}" for problem in self.found[:most])
            if len(self.found) > most:
                problems += f"\n  - and {len(self.found) - most} more."
            count = f"{len(self.found)} problems" if len(self.found) > 1 else "1 problem"
            raise DatasetError(
                f"{self._place} cannot be read as {self._name}. Found {count}:{problems}\n"
                f"{self._how_to_get}"
            )


@dataclass
class CorpusFiles:
    """The files of a corpus, with methods to read them and to note problems.

    Parameters
    ----------
    place : Path
        Folder or archive of the corpus.
    files : dict
        Path in the original layout → file.
    problems : Problems
        Problems found so far, for one error.
    """

    place: Path
    files: Mapping[str, LooseFile | PackedFile]
    problems: Problems

    @property
    def names(self) -> list[str]:
        """Paths of the files, relative to the place."""
        return list(self.files)

    def error(self, name: str, what: str, remedy: str | None = None) -> DatasetError:
        """Return an error that names a file, its problem and the remedy.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.
        what : str
            The problem, as the rest of a sentence that begins with the name.
        remedy : str or None, default=None
            A sentence that describes what to do. None is the remedy of `problems`, or to replace
            the file.

        Returns
        -------
        DatasetError
            The error, not raised.
        """
        remedy = remedy or self.problems.remedy or "Replace it by the file as published."
        return DatasetError(f"{name} (in {self.place}) {what} {remedy}")

    def note(self, problem: str) -> None:
        """Note a problem, as a sentence that names the file.

        Parameters
        ----------
        problem : str
            The sentence.
        """
        self.problems.add(problem)

    def note_file(self, name: str, what: str, remedy: str | None = None) -> None:
        """Note the problem of a file, with the message of `error`.

        Parameters
        ----------
        name, what : str
            As in `error`.
        remedy : str or None, default=None
            As in `error`.
        """
        self.problems.note(self.error(name, what, remedy))

    def collect(self) -> AbstractContextManager[None]:
        """Note a DatasetError raised inside the with block, and continue after the block.

        Returns
        -------
        context manager
            For a with statement.
        """
        return self.problems.collect()

    def raise_all(self) -> None:
        """Raise one error that lists all noted problems, if there are any."""
        self.problems.raise_all()

    def as_error(self, name: str, error: ValueError) -> DatasetError:
        """Return an error on the content of a file as a DatasetError that names the file.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.
        error : ValueError
            An error on the content of the file.

        Returns
        -------
        DatasetError
            The same error if it is a DatasetError.
        """
        return error if isinstance(error, DatasetError) else self.error(name, str(error))

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.

        Yields
        ------
        file
            The binary file.

        Raises
        ------
        DatasetError
            If the file is missing, cannot be read, or is in a damaged archive.
        """
        if name not in self.files:
            raise self.error(name, "is missing.", self.problems.remedy or "Get the corpus again.")
        try:
            with self.files[name].open() as file:
                yield file
        except (*_DAMAGED, RuntimeError) as error:  # RuntimeError if the file is encrypted
            raise self.error(name, f"cannot be unpacked: {str(error).rstrip('.'):.200}.") from error
        except OSError as error:
            raise self.error(name, f"cannot be read: {error.strerror or error}.") from error

    @contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """Yield a path to a file. Files of archives are unpacked for the time of the with block.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.

        Yields
        ------
        Path
            The path on the disk.
        """
        file = self.files.get(name)
        if isinstance(file, LooseFile):
            yield file.path
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / name.rpartition("/")[2]
            path.write_bytes(self.read_bytes(name))
            yield path

    def match(self, pattern: re.Pattern[str]) -> dict[tuple[str, ...], str]:
        """Find files by a pattern that matches the end of their paths.

        A loose file is preferred to the same file in an archive, because users may keep the archive
        after unpacking it. Any other duplicate file is a problem.

        Parameters
        ----------
        pattern : pattern
            A compiled regular expression.

        Returns
        -------
        dict
            Groups of the match → path, in order of the paths.
        """
        found: dict[tuple[str, ...], list[str]] = {}
        for name in self.files:
            match = pattern.search(name)
            if match is not None:
                found.setdefault(match.groups(), []).append(name)
        return {key: self.choose(names, "file") for key, names in found.items()}

    def choose(self, names: Sequence[str], what: str, file: str = "") -> str:
        """Return the loose one of several paths of the same item; note duplicates.

        Parameters
        ----------
        names : sequence of str
            Paths of the item.
        what : str
            Word for the item, for messages.
        file : str, default=""
            Text that is appended to a path to get the path of a file.

        Returns
        -------
        str
            The path to use.
        """
        loose = [name for name in names if isinstance(self.files[name + file], LooseFile)]
        candidates = loose or names
        if len(candidates) > 1:
            self.note(f"{' and '.join(candidates)} are the same {what}: keep one.")
        return candidates[0]

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a file.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.

        Returns
        -------
        bytes
            The content.
        """
        with self.open(name) as file:
            return file.read()

    def read_text(self, name: str) -> str:
        """Return the text of a file.

        Parameters
        ----------
        name : str
            Path of the file in the corpus, in UTF-8.

        Returns
        -------
        str
            The text without a byte order mark.

        Raises
        ------
        DatasetError
            If the file is not a text or is empty.
        """
        try:
            text = self.read_bytes(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(name, "is not a text file.") from error
        if not text.strip():
            raise self.error(name, "is empty.")
        return text

    def read_lines(self, name: str) -> list[str]:
        """Return the lines of a file, for any line ending.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.

        Returns
        -------
        list of str
            The lines, without blank lines at the end.
        """
        return self.read_text(name).rstrip().splitlines()

    def read_table(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """Return the rows of a comma-separated file.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.
        columns : sequence of str
            Names of columns that the file must have.

        Returns
        -------
        list of dict of str to str
            Column → text of each row.

        Raises
        ------
        DatasetError
            If a column is missing or occurs twice, or a line has another number of fields.
        """
        try:
            reader = csv.DictReader(self.read_lines(name), strict=True)
            rows = list(reader)
        except csv.Error as error:
            raise self.error(name, f"is not a comma-separated table: {error}.") from error
        names = reader.fieldnames or ()
        twice = sorted({column for column in names if names.count(column) > 1})
        if twice:
            raise self.error(name, f"has the columns {name_some(twice)} more than once.")
        missing = [column for column in columns if column not in names]
        if missing:
            raise self.error(name, f"lacks the columns {missing}.")
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise self.error(name, f"has the wrong number of fields in line {number}.")
        return rows

    def number(self, name: str, text: str, what: str) -> float:
        """Convert a text of a file to a finite number.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.
        text : str
            The text of the number.
        what : str
            Name of the number, for messages.

        Returns
        -------
        float
            The number.

        Raises
        ------
        DatasetError
            If the text is not a finite number.
        """
        value = read_number(text)
        if value is None or not np.isfinite(value):
            raise self.error(name, f"needs a finite number as {what}, got {text!r:.60}.")
        return value

    def rating(self, name: str, text: str, what: str, limits: tuple[float, float]) -> float:
        """Convert a text of a file to a rating within its limits.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.
        text : str
            The text of the rating.
        what : str
            Name of the rating, for messages.
        limits : tuple (lowest, highest)
            Range of the ratings.

        Returns
        -------
        float
            The rating.

        Raises
        ------
        DatasetError
            If the text is not a number within the limits.
        """
        value = self.number(name, text, what)
        if not limits[0] <= value <= limits[1]:
            raise self.error(
                name, f"has {value:g} as {what}, outside {limits[0]:g} to {limits[1]:g}."
            )
        return value

    def numbers(self, name: str, lines: Sequence[str], *, first_line: int = 1) -> np.ndarray:
        """Convert lines to one finite number each.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.
        lines : sequence of str
            The lines.
        first_line : int, default=1
            Number of the first line, for messages.

        Returns
        -------
        ndarray of float64 of shape (n_lines,)
            The numbers.

        Raises
        ------
        DatasetError
            If a line is not a finite number.
        """
        try:
            values = np.array([plain_number(line) for line in lines], dtype=float)
        except ValueError:
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            for number, line in enumerate(lines, start=first_line):
                self.number(name, line, f"line {number}")
        return values

    def read_matrix(self, name: str) -> tuple[list[str], np.ndarray]:
        """Return the header and the numbers of a comma-separated table.

        Parameters
        ----------
        name : str
            Path of the file in the corpus.

        Returns
        -------
        header : list of str
            Names of the columns.
        values : ndarray of float64 of shape (n_rows, n_columns)
            The numbers; NaN for empty cells.

        Raises
        ------
        DatasetError
            If a cell is not a number, or a line has another number of fields.
        """
        text = self.read_text(name).rstrip()
        lines = text.splitlines()
        header = lines[0].split(",")
        for number, line in enumerate(lines, start=1):
            if line.count(",") != len(header) - 1:
                last = " The file is truncated." if number == len(lines) else ""
                raise self.error(
                    name,
                    f"has {line.count(',') + 1} fields in line {number}, but the header has "
                    f"{len(header)}.{last}",
                )
        if len(lines) < 2:
            raise self.error(name, "has no samples.")
        cells = ",".join(lines[1:]).split(",")
        try:
            values = np.array([plain_number(cell) or "nan" for cell in cells], dtype=np.float64)
        except ValueError:
            numbers = list(map(read_number, cells))
            if None in numbers:
                row, place = divmod(numbers.index(None), len(header))
                raise self.error(
                    name,
                    f"needs a number in line {row + 2}, column {header[place]!r}, got "
                    f"{cells[numbers.index(None)][:40]!r}.",
                ) from None
            values = np.array(numbers, dtype=np.float64)
        return header, values.reshape(-1, len(header))


def is_hidden(name: str) -> bool:
    """Return whether a file is hidden or was made by macOS (``.DS_Store``, ``__MACOSX``)."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _open_zip(place: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(place)
    # ValueError for names that are not text; RuntimeError for versions that do not exist.
    except (*_DAMAGED, ValueError, RuntimeError, struct.error) as error:
        raise DatasetError(f"{place} is not a readable zip archive: {error!s:.200}.") from error
    except OSError as error:
        raise DatasetError(f"{place} cannot be read: {error.strerror or error}.") from error
    size = sum(info.file_size for info in archive.infolist())
    wrong = None
    if not all(info.filename for info in archive.infolist()):
        wrong = "one of its files has no name"
    elif size > max(_SMALL, _MOST_PACKED * place.stat().st_size):
        wrong = f"unpacked, its files would have {size / 1e9:.1f} GB"
    if wrong:
        archive.close()
        raise DatasetError(f"{place} is not read: {wrong}. Get the archive again, or unpack it.")
    return archive


def _members(archive: zipfile.ZipFile) -> dict[str, PackedFile]:
    """Return the files of an archive, sorted by name."""
    return {
        info.filename: PackedFile(archive, info)
        for info in sorted(archive.infolist(), key=lambda info: info.filename)
        if not info.is_dir() and not is_hidden(info.filename)
    }


def _zip_root(archive: zipfile.ZipFile, marker: str) -> str | None:
    """Return the folder in an archive that holds `marker`; archives may have a top folder."""
    roots = [
        name.removesuffix(marker) for name in _members(archive) if f"/{name}".endswith(f"/{marker}")
    ]
    return min(roots, key=len, default=None)


def _loose_files(place: Path) -> dict[str, LooseFile]:
    """Return the files below a folder, sorted by name."""
    found = {file.relative_to(place).as_posix(): file for file in place.rglob("*")}
    return {
        name: LooseFile(file)
        for name, file in sorted(found.items())
        if not is_hidden(name) and file.is_file()
    }


def open_folder(place: Path, problems: Problems | None = None) -> CorpusFiles:
    """Return the files below a folder."""
    problems = problems or Problems("a corpus", place, "")
    return CorpusFiles(place, _loose_files(place), problems)


@contextmanager
def open_corpus(place: Path, marker: str, problems: Problems) -> Iterator[CorpusFiles]:
    """Open a folder or a zip archive that holds `marker`, the file that identifies a corpus."""
    if place.is_dir():
        yield open_folder(place, problems)
        return
    with _open_zip(place) as archive:
        root = _zip_root(archive, marker)
        assert root is not None  # the caller has checked this with `holds`
        files = {
            name.removeprefix(root): file
            for name, file in _members(archive).items()
            if name.startswith(root)
        }
        yield CorpusFiles(place, files, problems)


@contextmanager
def open_archives(place: Path, problems: Problems | None = None) -> Iterator[CorpusFiles]:
    """Open a zip archive, or a folder whose zip archives are treated as folders.

    An unreadable archive in the folder is a problem.
    """
    problems = problems or Problems("a corpus", place, "")
    if not place.is_dir():
        with _open_zip(place) as archive:
            yield CorpusFiles(place, _members(archive), problems)
        return
    with ExitStack() as opened:
        files: dict[str, LooseFile | PackedFile] = {}
        for name, file in _loose_files(place).items():
            if not name.lower().endswith(".zip"):
                files[name] = file
                continue
            try:
                archive = opened.enter_context(_open_zip(file.path))
            except DatasetError as error:
                problems.add(f"{error} Download it again, or remove it.")
                continue
            files |= {f"{name}/{inner}": packed for inner, packed in _members(archive).items()}
        yield CorpusFiles(place, files, problems)


def user_cache() -> Path | None:
    r"""Return the cache folder of the user, in the place that the platform defines.

    ``$XDG_CACHE_HOME/edaemo`` or ``~/.cache/edaemo``, ``~/Library/Caches/edaemo`` (macOS),
    ``%LOCALAPPDATA%\edaemo\Cache`` (Windows). None for a user without a home folder.
    """
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
        inside = ("edaemo", "Cache")
    elif sys.platform == "darwin":
        root, inside = os.path.join(home, "Library", "Caches"), ("edaemo",)
    else:
        given = os.environ.get("XDG_CACHE_HOME", "")
        root = given if os.path.isabs(given) else os.path.join(home, ".cache")
        inside = ("edaemo",)
    return Path(root, *inside) if os.path.isabs(root) else None


def _searched() -> dict[str, Path | None]:
    """Return description → folder for the places that are searched without a path, in order."""
    given = os.environ.get(ENVIRONMENT)
    return {
        f"the variable {ENVIRONMENT}": Path(given).expanduser() if given else None,
        "the repository's own folder": REPOSITORY_DATA,
        "the user's cache": user_cache(),
    }


def search_folders() -> list[Path]:
    """Return the folders that are searched for corpora if no path is given."""
    return [folder for folder in _searched().values() if folder is not None]


def list_places(name: str) -> list[tuple[str, Path | None, list[Path]]]:
    """Return the places that are searched for a corpus of this name, in order.

    Parameters
    ----------
    name : str
        Name of the folder, or of the archive without ``.zip``.

    Returns
    -------
    list of (what, folder, places)
        Description of the searched folder, the folder (None if it is not defined), and the paths in
        it that may be the corpus.
    """
    return [
        (
            what,
            folder,
            []
            if folder is None
            else [folder / name, folder / name / f"{name}.zip", folder / f"{name}.zip"],
        )
        for what, folder in _searched().items()
    ]


def holds(place: Path, marker: str | re.Pattern[str]) -> bool:
    """Return whether a folder or archive holds the marker of a corpus (see `CorpusSpec`)."""
    if isinstance(marker, str):
        if place.is_file():
            with _open_zip(place) as archive:
                return _zip_root(archive, marker) is not None
        return (place / marker).is_file()
    if not place.exists():
        return False
    with open_archives(place) as corpus:
        return any(marker.search(name) for name in corpus.names)


def list_some(place: Path) -> str:
    """Return a sentence on the content of a place where a corpus was expected."""
    if not place.is_dir():
        return "" if place.is_file() else " This path does not exist."
    names = sorted(file.name for file in place.iterdir())
    if not names:
        return " The folder is empty."
    more = ", …" if len(names) > 5 else ""
    return f" It holds {', '.join(names[:5])}{more}."


def check_signals(signals: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the requested signals without duplicates; raise if ``eda`` is known but missing."""
    known = list(known)
    for name in signals:
        if name not in known:
            raise ValueError(
                f"signals={signals!r}: unknown signal {name!r}; {suggest(name, known)}"
            )
    if "eda" in known and "eda" not in signals:
        raise ValueError(f"signals={signals!r} must name 'eda', which every trial needs.")
    if not signals:
        raise ValueError(f"signals={signals!r} is empty: choose from {known}.")
    return tuple(dict.fromkeys(signals))
