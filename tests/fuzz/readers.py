"""The readers of edaemo that take files of others: the calls, and the errors that are ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import edaemo
from edaemo._safe_file import FileError
from edaemo.datasets import DatasetError, load_e4, read_events, read_file_trials, read_trials
from edaemo.datasets._unpickle import read_pickled_tree
from edaemo.evaluation import ResultStore, StoreError
from edaemo.persistence import FORMAT, describe
from edaemo.training._checkpoint import FORMAT as CHECKPOINT
from edaemo.training._checkpoint import Checkpoint


@dataclass(frozen=True)
class Reader:
    """How files of a format are read.

    Attributes
    ----------
    read : callable
        Takes the path of a damaged file.
    errors : type
        The error of edaemo that may come out.
    sealed : (str, int) or None
        Kind and format of an archive with a checksum.
    """

    read: Callable[[Path], object]
    error: type[Exception] = DatasetError
    sealed: tuple[str, int] | None = None


def read_recording(path: Path) -> None:
    """Read a recording as the commands do."""
    with_rate = path.suffix in (".txt", ".xlsx", ".ods")
    read_file_trials(path, sampling_rate=4.0 if with_rate else None)


def read_with_events(path: Path) -> None:
    """Read a recording and its events; markers of BrainVision with the header of their name."""
    path = path.with_suffix(".vhdr") if path.suffix == ".vmrk" else path
    read_events(path)
    read_recording(path)


def read_pickle(path: Path) -> None:
    """Read a pickle of arrays."""
    with path.open("rb") as file:
        read_pickled_tree(file)


def read_model(path: Path) -> None:
    """Read the description of a model, and the model."""
    describe(path)
    edaemo.load(path)


def read_store(path: Path) -> None:
    """Read all that a store of results holds."""
    with ResultStore(path) as store:
        store.folds()
        store.predictions()


READERS = {
    "model": Reader(read_model, FileError, sealed=("model", FORMAT)),
    "checkpoint": Reader(Checkpoint, FileError, sealed=("checkpoint", CHECKPOINT)),
    "store": Reader(read_store, StoreError),
    "pickle": Reader(read_pickle, ValueError),
    "MATLAB": Reader(read_recording),
    "workbook": Reader(read_recording),
    "parquet": Reader(read_recording),
    "csv": Reader(read_recording),
    "table": Reader(lambda path: read_trials(path)),
    "events": Reader(read_events),
    "E4": Reader(lambda path: load_e4(path.parent, tags="ignore")),
    "zip": Reader(read_with_events),
    "HDF5": Reader(read_recording),
    "avro": Reader(read_with_events),
    "XDF": Reader(read_with_events),
    "EDF": Reader(read_with_events),
    "BrainVision": Reader(read_with_events),
    "AcqKnowledge": Reader(read_with_events),
}
