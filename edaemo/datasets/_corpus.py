"""Finding a corpus and reading its files, from its folder or from a zip archive of it."""

from __future__ import annotations

import csv
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.datasets._window import Window, cut_window

ENVIRONMENT = "EDAEMO_DATA"
# What every loader takes; the window has its own checks.
PARAMETERS = {
    "path": [str, os.PathLike, None],
    "window": "no_validation",
    "allow_partial": ["boolean"],
}
REPOSITORY_DATA = Path(__file__).parents[2] / "data"


class DatasetError(ValueError):
    """A corpus is not there, is not whole, or holds a file that is not what it should be.

    It is a ValueError. The message names the file or the places looked at, and what to do.
    """


# What reading a damaged member of a zip archive may raise, by the way it was packed.
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)


@dataclass(frozen=True)
class Corpus:
    """The files of a corpus: their paths in the original layout, and how to read one."""

    place: Path
    names: Sequence[str]
    read_bytes: Callable[[str], bytes]

    def error(
        self, name: str, what: str, remedy: str = "Replace it by the file as published."
    ) -> DatasetError:
        """Return the error that says what is wrong with a file and what to do."""
        return DatasetError(f"{name} (in {self.place}) {what} {remedy}")

    def read_text(self, name: str) -> str:
        """Return a file's text without a byte order mark."""
        if name not in self.names:
            raise self.error(name, "is missing.", "Get the corpus again.")
        try:
            content = self.read_bytes(name)
        except (*_DAMAGED, RuntimeError) as error:  # a RuntimeError where it is encrypted
            raise self.error(name, f"cannot be unpacked: {error}.") from error
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(name, "is not a text file.") from error
        if not text.strip():
            raise self.error(name, "is empty.")
        return text

    def read_lines(self, name: str) -> list[str]:
        """Return a file's lines, whatever ends them; blank lines at the end are not lines."""
        return self.read_text(name).rstrip().splitlines()

    def read_table(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """Return the rows of a comma-separated file that must have at least these columns."""
        try:
            reader = csv.DictReader(self.read_lines(name), strict=True)
            rows = list(reader)
        except csv.Error as error:
            raise self.error(name, f"is not a comma-separated table: {error}.") from error
        names = reader.fieldnames or ()
        twice = sorted({column for column in names if names.count(column) > 1})
        if twice:
            raise self.error(name, f"has the columns {twice} more than once.")
        missing = [column for column in columns if column not in names]
        if missing:
            raise self.error(name, f"lacks the columns {missing}.")
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise self.error(name, f"has a wrong number of fields in line {number}.")
        return rows

    def number(self, name: str, text: str, what: str) -> float:
        """Return a finite number that was read from a file."""
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise self.error(name, f"has no finite number as {what}: {text!r}.")
        return value

    def numbers(self, name: str, lines: Sequence[str], *, first_line: int = 1) -> np.ndarray:
        """Return one finite number per line as float64; `first_line` counts for the message."""
        try:
            values = np.array(lines, dtype=float)
        except ValueError:
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            for number, line in enumerate(lines, start=first_line):
                self.number(name, line, f"line {number}")
        return values


def _is_hidden(name: str) -> bool:
    """Tell the operating system's own litter (``.DS_Store``, ``__MACOSX``) from corpus files."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _open_zip(place: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(place)
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{place} is not a readable zip archive: {error}.") from error


def _zip_root(archive: zipfile.ZipFile, marker: str) -> str | None:
    """Return the folder of the archive that holds `marker`: an archive may begin with its own."""
    roots = [
        name.removesuffix(marker)
        for name in archive.namelist()
        if f"/{name}".endswith(f"/{marker}") and not _is_hidden(name)
    ]
    return min(roots, key=len, default=None)


def _holds(place: Path, marker: str) -> bool:
    if place.is_file():
        with _open_zip(place) as archive:
            return _zip_root(archive, marker) is not None
    return (place / marker).is_file()


def open_folder(place: Path) -> Corpus:
    """Return the files below a folder."""
    found = (file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file())
    names = sorted(name for name in found if not _is_hidden(name))
    return Corpus(place, names, lambda name: (place / name).read_bytes())


@contextmanager
def open_corpus(place: Path, marker: str) -> Iterator[Corpus]:
    """Open a folder or a zip archive that holds `marker`, the file that a corpus is known by."""
    if place.is_dir():
        yield open_folder(place)
        return
    with _open_zip(place) as archive:
        root = _zip_root(archive, marker)
        names = sorted(
            name.removeprefix(root)
            for name in archive.namelist()
            if name.startswith(root) and not name.endswith("/") and not _is_hidden(name)
        )
        yield Corpus(place, names, lambda name: archive.read(root + name))


def search_folders() -> list[Path]:
    """Return the folders in which corpora are looked for when no path is given."""
    given = os.environ.get(ENVIRONMENT)
    return ([Path(given).expanduser()] if given else []) + [REPOSITORY_DATA]


def find_corpus(
    name: str, marker: str, path: str | os.PathLike[str] | None, how_to_get: str
) -> Path:
    """Return the folder or zip archive of a corpus: `path`, else the first place that holds it."""
    if path is not None:
        place = Path(path).expanduser()
        if not _holds(place, marker):
            raise DatasetError(
                f"path={str(path)!r} does not hold {name}: no folder or zip archive with "
                f"{marker!r} is there. {how_to_get}"
            )
        return place
    places = [
        place
        for folder in search_folders()
        for place in (folder / name, folder / name / f"{name}.zip", folder / f"{name}.zip")
    ]
    for place in places:
        if _holds(place, marker):
            return place
    tried = "".join(f"\n  {place}" for place in places)
    unset = "" if os.environ.get(ENVIRONMENT) else f" The variable {ENVIRONMENT} is not set."
    raise DatasetError(
        f"{name} was not found. Places tried, each for {marker!r}:{tried}\n{how_to_get} Then pass "
        f"path=, or set {ENVIRONMENT} to the folder that contains {name} or {name}.zip.{unset}"
    )


def check_counts(
    corpus: Corpus, found: Mapping[str, int], published: Mapping[str, int], absent: Sequence[str]
) -> None:
    """Raise unless what was found is all that was published."""
    wrong = [f"{found[what]} of {n} {what}" for what, n in published.items() if found[what] != n]
    if wrong:
        who = f" People without a recording: {', '.join(absent)}." if absent else ""
        raise DatasetError(
            f"{corpus.place} does not hold the corpus as published: {', '.join(wrong)}.{who} "
            "Get the rest, or pass allow_partial=True to read the part that is there."
        )


def cut_and_align(
    trials: pd.DataFrame, ratings: pd.DataFrame, sampling_rate: float, window: Window
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Cut the window and return trials, ratings (both numbered anew) and the trials left out.

    The trials get a column ``duration``: the seconds that each was recorded, before the cut.
    """
    trials = trials.assign(duration=[len(eda) / sampling_rate for eda in trials["eda"]])
    cut = cut_window(trials, sampling_rate, window)
    left_out = trials.drop(index=cut.index)[["subject", "stimulus", "trial", "duration"]]
    left_out["reason"] = "shorter than the window"
    ratings = ratings.loc[cut.index].reset_index(drop=True)
    return cut.reset_index(drop=True), ratings, left_out.reset_index(drop=True)
