"""Download the files of openly licensed corpora into the cache of the user, and check them."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock

from edaemo._progress import progress_bar
from edaemo.datasets._corpus import DatasetError, user_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

SUMS = Path(__file__).parent / "downloads"
# A file is requested again after a failed transfer or a wrong content, at most this many times.
RETRIES = 2
# Files that are transferred at the same time, out of consideration for the server.
AT_A_TIME = 4


@dataclass(frozen=True)
class Download:
    """The public files of a corpus.

    Parameters
    ----------
    url : str
        Address of the folder that holds the files, ending in a slash. It names a fixed version.
    sums : Path
        Text file with the SHA-256 and the path of each file, in the format of the program
        sha256sum.
    """

    url: str
    sums: Path

    def read_sums(self) -> dict[str, str]:
        """Return path → SHA-256 (hexadecimal) of every file."""
        lines = self.sums.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def download_corpus(download: Download, name: str, folder: str, how_to_get: str) -> Path:
    """Download all files of a corpus into the cache of the user.

    Each file is checked against its SHA-256. Files are collected in a hidden folder, which gets its
    name when it is complete. After a failure, the next call continues with the missing files.

    Parameters
    ----------
    download : Download
        The files.
    name : str
        Name of the corpus in messages.
    folder : str
        Name of the folder in the cache.
    how_to_get : str
        Sentence on where to get the corpus by hand.

    Returns
    -------
    Path
        The folder of the corpus.

    Raises
    ------
    DatasetError
        If pooch is not installed, the user has no cache folder, or a file cannot be downloaded,
        stored, or has another content than expected.
    """
    cache = user_cache()
    if cache is None:
        raise DatasetError(f"{name} cannot be downloaded: this user has no folder for a cache.")
    complete, started = cache / folder, cache / f".downloading-{folder}"
    try:
        started.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".downloading-{folder}.lock"):
            if not complete.exists():
                _fetch_all(download, started, name, how_to_get)
                os.rename(started, complete)
    except OSError as error:
        raise DatasetError(f"{name} cannot be stored in {cache}: {error}.") from error
    return complete


def _fetch_all(download: Download, folder: Path, name: str, how_to_get: str) -> None:
    """Download the files that are not in the folder yet, in several threads."""
    try:
        import pooch
    except ImportError as error:
        raise DatasetError(
            f"Downloading {name} needs pooch: pip install edaemo[download]. {how_to_get}"
        ) from error
    sums = download.read_sums()
    files = pooch.create(
        path=folder,
        base_url=download.url,
        registry={file: f"sha256:{digest}" for file, digest in sums.items()},
        urls={file: download.url + quote(file) for file in sums},
        retry_if_failed=RETRIES,
    )
    for file in sums:  # pooch fails if two of its threads make the same folder
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    with (
        _quiet(pooch.get_logger()),
        ThreadPoolExecutor(AT_A_TIME) as pool,
        progress_bar(len(sums), unit="file", shown=None) as bar,
    ):
        # Streams that fail would stay open; the files are small enough to be read at once.
        get = pooch.HTTPDownloader(stream=False)
        waiting = {file: pool.submit(files.fetch, file, downloader=get) for file in sums}
        try:
            for file, fetched in waiting.items():
                try:
                    fetched.result()
                except (ValueError, OSError) as error:
                    raise _explain(error, name, files.get_url(file), folder, how_to_get) from error
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)


def _explain(
    error: ValueError | OSError, name: str, url: str, folder: Path, how_to_get: str
) -> DatasetError | OSError:
    """Return the error for a file that could not be downloaded."""
    if isinstance(error, OSError):
        if error.errno is not None:  # of the disk, not of the transfer
            return error
        answer = getattr(error, "response", None)
        reason = f"the server answered {answer.status_code}" if answer is not None else str(error)
        problem = f"{url} cannot be downloaded: {reason}."
    else:
        problem = (
            f"{url} has another content than expected: its SHA-256 is not the one in edaemo. "
            "The file was not kept."
        )
    return DatasetError(
        f"{name}: {problem} Complete files stay in {folder}, and the next call continues there. "
        f"Or get the corpus by hand: {how_to_get}"
    )


@contextmanager
def _quiet(logger: Any) -> Iterator[None]:
    """Silence pooch's message for each file."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
