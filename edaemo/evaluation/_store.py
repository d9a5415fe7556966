"""Store results in one SQLite file, with one row for each fold of each pipeline."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from operator import index
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import uuid4

import numpy as np
import pandas as pd

# The version is in bytes 60 to 63 of the file, the application id in bytes 68 to 71. Every change
# of the tables increases the version. Version 2 added task and artificial. Version 3 renamed two
# reference rows and the value of people for evaluation. Version 4 added the table of families.
# Version 5 added the checksums.
SCHEMA_VERSION = 5
APPLICATION_ID = int.from_bytes(b"edam", "big")

_TEXT = (
    *("key", "study", "people", "target", "threshold", "task", "pipeline", "protocol", "device"),
    "error",
)
_INTEGER = ("repeat", "fold", "seed")
_REAL = ("fit_seconds", "predict_seconds")
_JSON = (
    *("scores", "training_subjects", "test_subjects", "classes"),
    *("versions", "audit", "settings"),
)
_COLUMNS = (
    *("key", "status", "error", "study", "artificial", "people", "target", "threshold", "task"),
    *("pipeline", "protocol"),
    *("repeat", "fold", "scores", "training_subjects", "test_subjects", "classes"),
    *("fit_seconds", "predict_seconds", "versions", "seed", "device", "audit", "settings"),
    "created",
)
_TRIAL = ("row", "subject", "stimulus", "trial", "label", "predicted")
_OPTIONAL = ("probability", "decision")  # columns of trials that not every pipeline has

# The predictions are the last column, so that reading the other columns skips them.
_CREATE = f"CREATE TABLE folds ({', '.join(_COLUMNS)}, predictions, PRIMARY KEY (key))"
# A comparison is the fingerprint of the data, the labels and the folds. `uses` and `keys` are JSON.
_CREATE_FAMILIES = (
    "CREATE TABLE IF NOT EXISTS families (comparison, pipeline, uses, keys, added, "
    "PRIMARY KEY (comparison, pipeline))"
)
# A checksum of each row of the other tables. `id` is the key of a fold, or JSON of the comparison
# and the pipeline of a family.
_CREATE_CHECKSUMS = "CREATE TABLE IF NOT EXISTS checksums (of, id, checksum, PRIMARY KEY (of, id))"
_SET_CHECKSUM = (
    "INSERT INTO checksums VALUES (?, ?, ?) "
    "ON CONFLICT (of, id) DO UPDATE SET checksum = excluded.checksum"
)
# The rows of each table, as the columns that a checksum covers; the id of a row comes first.
_ROWS = {
    "folds": f"SELECT key, {', '.join(_COLUMNS)}, predictions FROM folds",
    "families": "SELECT json_array(comparison, pipeline), uses, keys, added FROM families",
}
_WHERE = {
    "folds": " WHERE key = ?",
    "families": " WHERE comparison = ? AND pipeline = ?",
}
_DECLARE = (
    "INSERT INTO families VALUES (:comparison, :pipeline, :uses, :keys, :added) "
    "ON CONFLICT (comparison, pipeline) DO UPDATE SET uses = excluded.uses, "
    "keys = CASE WHEN excluded.keys = '[]' THEN families.keys ELSE excluded.keys END"
)
_ADD = (
    f"INSERT INTO folds ({', '.join(_COLUMNS)}, predictions) "
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)}, :predictions) "
    "ON CONFLICT (key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS[1:], "predictions"))
    + " WHERE folds.status = 'failed'"
)
# The statements that upgrade a store of each version to the next one. Version 1 had only
# two tasks: binary, and regression under threshold "none". It had two generated studies.
_UPGRADES: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE folds ADD COLUMN artificial",
        "ALTER TABLE folds ADD COLUMN task DEFAULT 'binary'",
        "UPDATE folds SET task = 'regression' WHERE threshold = 'none'",
        "UPDATE folds SET artificial = study IN ('generated', 'generated-pmemo-size')",
    ),
    2: (
        "UPDATE folds SET people = 'evaluation' WHERE people = 'reported'",
        "UPDATE folds SET pipeline = 'step-mean' WHERE pipeline = 'time' "
        "AND task = 'sequence-regression'",
        "UPDATE folds SET pipeline = 'trial-order' WHERE pipeline = 'time'",
    ),
    3: (_CREATE_FAMILIES,),
    4: (_CREATE_CHECKSUMS, "DELETE FROM checksums"),
}
_TABLES = {
    "folds": _CREATE,
    "families": _CREATE_FAMILIES.replace("IF NOT EXISTS ", ""),
    "checksums": _CREATE_CHECKSUMS.replace("IF NOT EXISTS ", ""),
}
# Columns that the upgrade from version 1 adds, by their names in a new store.
_ADDED = {"artificial": "artificial", "task": "task DEFAULT 'binary'"}
# What a fold must hold in these columns.
_TYPES: dict[str, type | tuple[type, ...]] = {
    "scores": (dict, type(None)),
    "training_subjects": list,
    "test_subjects": list,
    "classes": list,
    "versions": dict,
    "settings": dict,
}
# The file cannot be written to, or the log cannot be made next to it, so that it is read only.
_UNWRITABLE = ("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")
_ORDER = "study, people, target, threshold, pipeline, protocol, repeat, fold, key"

_DAMAGED = "it is damaged: restore a copy, or move the file away and run again."
_SAFE = "Finished folds are safe: free some space, and run again."
_ADVICE = {
    "BUSY": "another process has locked it: wait until that process has ended, or stop it.",
    "FULL": f"no space is left on the disk. {_SAFE}",
    "IOERR": f"the disk failed or is full. {_SAFE}",
    "READONLY": "it cannot be written to: make the file and its folder writable, or copy it.",
    "CANTOPEN": "it cannot be opened for writing: make the file and its folder writable, or copy "
    "it to a disk of this machine.",
    "CORRUPT": _DAMAGED,
    "NOTADB": _DAMAGED,
}


class StoreError(ValueError):
    """A store cannot be used or cannot store a record; the message has the file and a remedy."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldRecord:
    """The result of one fold of one pipeline, or its error.

    Parameters
    ----------
    key : str
        The fingerprint of everything that the result depends on.
    study, people, target, threshold, pipeline, protocol : str or None
        The evaluation that the fold belongs to.
    repeat, fold : int or None
        Number of the repeat, and number of the fold in it.
    settings : dict
        All settings from which `key` was computed.
    versions : dict
        Versions of edaemo and of the libraries.
    task : str, default="binary"
        The task of the target: "binary", "multiclass", "regression" or "sequence-regression".
    artificial : bool, default=False
        Whether the study is generated, without real people.
    seed : int or None, default=None
        Seed of the fold.
    device : str or None, default=None
        Torch device of the fit.
    training_subjects, test_subjects, classes : sequence, default=()
        Ids and labels, in any mix of str, int, float, bool and missing values.
    audit : dict, list or None, default=None
        The audit of the fold; ``losses`` holds a network's loss in each epoch.
    error : str or None, default=None
        The error of the fold. With an error, the status is "failed", otherwise "done".
    scores : dict or None, default=None
        Score by name.
    predictions : DataFrame, dict of columns or None, default=None
        One row for each test trial: ``row`` (row number in the study), ``subject``, ``stimulus``,
        ``trial``, ``label``, ``predicted`` (a member of `classes`, a number, or a series of
        numbers) and, if the pipeline has them, ``probability`` (one float for each of `classes`, or
        None) and ``decision`` (the decision value: a float for two classes, otherwise one for each
        of `classes`). Required if the status is "done".
    fit_seconds, predict_seconds : float or None, default=None
        Duration of fit and prediction.

    Notes
    -----
    The store returns NumPy scalars as Python scalars, and arrays and tuples as lists.
    """

    key: str
    study: str | None
    people: str | None
    target: str | None
    threshold: str | None
    pipeline: str | None
    protocol: str | None
    repeat: int | None
    fold: int | None
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    task: str = "binary"
    artificial: bool = False
    seed: int | None = None
    device: str | None = None
    training_subjects: Sequence[Any] = ()
    test_subjects: Sequence[Any] = ()
    classes: Sequence[Any] = ()
    audit: Any = None
    error: str | None = None
    scores: Mapping[str, Any] | None = None
    predictions: pd.DataFrame | Mapping[str, Sequence[Any]] | None = None
    fit_seconds: float | None = None
    predict_seconds: float | None = None

    @property
    def status(self) -> str:
        """Return "failed" if there is an error, otherwise "done"."""
        return "done" if self.error is None else "failed"


class Member(NamedTuple):
    """A pipeline of a family: what it uses, the keys of its folds, and when it was added (UTC)."""

    uses: tuple[str, ...]
    keys: tuple[str, ...] = ()
    added: str = ""


class ResultStore:
    """Finished folds in one file; an added fold survives a crash or a kill of the process.

    Several processes of one machine may add to a store and read it at the same time. If the file
    or its folder does not exist, it is created. If it exists and cannot be written to, as on a full
    disk, it can be read.

    Parameters
    ----------
    path : path
        The file.
    timeout : float, default=30.0
        Seconds to wait for another process that is writing.

    Raises
    ------
    StoreError
        If the file is not a store, has a newer version, is damaged, differs from its checksums,
        holds a trigger, a view or anything else that edaemo did not make, or is locked by another
        process.

    Notes
    -----
    While a store is open, and after its process was killed, the newest folds may be in the files
    ``…-wal`` and ``…-shm`` in the same folder. These files belong to the store. Open and close the
    store to get one file. Use a store object in one thread of one process only, and not across a
    fork. Opening a store of an older version adds the missing columns; its folds do not change.
    """

    def __init__(self, path: str | Path, *, timeout: float = 30.0) -> None:
        self.path: Path = Path(path)
        with self._explained():
            if not self.path.exists():
                self._create()
            self._check_file()
            self._is_copy = False
            self._connection = self._connect(timeout)
        try:
            with self._explained():
                # Each commit waits for the disk, including the removal of a rollback journal.
                self._connection.execute("PRAGMA synchronous = EXTRA")
                self._check_schema()
                self._check_content()
                self._upgrade()
                self._check_rows()
                if self._is_copy:
                    self._connection.execute("PRAGMA query_only = ON")
        except BaseException:
            self.close()
            raise

    def _connect(self, timeout: float) -> sqlite3.Connection:
        """Open the file, or a copy of it in memory if it cannot be written to."""
        address = self.path.absolute().as_uri()
        # A log without content holds no folds, so the file can be read without it.
        has_log = any(log.exists() and log.stat().st_size for log in _log_files(self.path)[::2])
        read_only = "mode=ro" if has_log else "mode=ro&immutable=1"
        places = (self.path, self.path.absolute().parent)
        if all(os.access(place, os.W_OK) for place in places):
            connection = _open(f"{address}?mode=rw", timeout)
            try:
                # Opens or makes the log, and writes its content to the file.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                return connection
            except BaseException as error:
                connection.close()
                is_unwritable = isinstance(error, sqlite3.OperationalError) and (
                    error.sqlite_errorname.startswith(_UNWRITABLE)
                )
                if not is_unwritable:
                    raise
            # An exclusive connection keeps the index of the log in memory.
            read_only = "mode=rw" if has_log else read_only
        self._is_copy = True
        copy = _open(":memory:", timeout)
        try:
            with closing(_open(f"{address}?{read_only}", timeout)) as source:
                if read_only == "mode=rw":
                    source.execute("PRAGMA locking_mode = EXCLUSIVE")
                source.backup(copy)
        except BaseException:
            copy.close()
            raise
        return copy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. The store cannot be used afterwards."""
        self._connection.close()

    def add(self, record: FoldRecord) -> bool:
        """Store a record in one transaction; it is on the disk when this method returns.

        A record with status "done" is never replaced. A failed record is replaced.

        Parameters
        ----------
        record : FoldRecord
            The record.

        Returns
        -------
        bool
            Whether the record was stored; False if a "done" record with this key exists.

        Raises
        ------
        StoreError
            If a value in the record cannot be restored unchanged, or the file cannot be written.
            Nothing of the record is stored then, and the store remains usable.
        """
        try:
            row = _encode(record)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._error(f"cannot store the record {record.key!r}: {error}") from error
        with self._explained(), self._transaction():
            is_added = self._connection.execute(_ADD, row).rowcount == 1
            if is_added:
                self._set_checksum("folds", record.key)
            return is_added

    def done(self, keys: Iterable[str]) -> set[str]:
        """Return the keys whose fold is stored and did not fail.

        Parameters
        ----------
        keys : iterable of str
            Keys of folds.

        Returns
        -------
        set of str
            The keys among these that are done.
        """
        return {key for key, status in self._select(("key", "status"), keys) if status == "done"}

    def folds(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Return one row for each fold, including failed folds.

        Parameters
        ----------
        keys : iterable of str or None, default=None
            None for all folds.

        Returns
        -------
        DataFrame
            The fields of :class:`FoldRecord` except the predictions; ``status``, "done" or
            "failed"; ``created`` (UTC); and ``quality`` and ``min_stability``, the rules in the
            settings by which trials were excluded, or None. Sorted by study, people, target,
            threshold, pipeline, protocol, repeat and fold.
        """
        rows = self._select(_COLUMNS, keys)
        table = {name: [row[i] for row in rows] for i, name in enumerate(_COLUMNS)}
        table["artificial"] = [bool(value) for value in table["artificial"]]
        for name in _JSON:
            table[name] = [
                self._decode(*cell) for cell in zip(table["key"], table[name], strict=True)
            ]
            for key, value in zip(table["key"], table[name], strict=True):
                if not isinstance(value, _TYPES.get(name, object)):
                    raise self._error(f"{_DAMAGED} Fold {key}: {name} is {value!r:.60}.")
        for name in ("quality", "min_stability"):
            table[name] = [settings.get(name) for settings in table["settings"]]
        return pd.DataFrame({name: series(values) for name, values in table.items()})

    def predictions(self, keys: Iterable[str] | None = None) -> pd.DataFrame:
        """Return one row for each test trial of each fold with status "done".

        Parameters
        ----------
        keys : iterable of str or None, default=None
            None for all folds.

        Returns
        -------
        DataFrame
            ``key`` and the columns of :class:`FoldRecord`'s predictions. Folds are sorted as in
            :meth:`folds`. The trials of a fold keep the order in which they were added.
        """
        names = (*_TRIAL, *_OPTIONAL)
        table: dict[str, list[Any]] = {name: [] for name in ("key", *names)}
        for key, fold in self.read_trials(keys):
            table["key"] += [key] * len(fold["row"])
            for name in names:
                table[name] += fold[name]
        return pd.DataFrame({name: series(values) for name, values in table.items()})

    def read_trials(
        self, keys: Iterable[str] | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the key and the columns, as lists, of each fold; see :meth:`predictions`.

        Parameters
        ----------
        keys : iterable of str or None, default=None
            Keys of the folds; None for all folds.

        Yields
        ------
        key : str
            Key of the fold.
        columns : dict of str to list
            Values by column.
        """
        for key, status, packed in self._select(("key", "status", "predictions"), keys):
            if status == "failed" and packed is None:
                continue
            trials = self._decode(key, packed)
            columns = trials if isinstance(trials, dict) else {}
            wanted = {name: columns.get(name) for name in _TRIAL}
            # Stores of older versions have no decision values.
            nothing = [None] * len(wanted["row"] or ())
            columns = {name: nothing for name in _OPTIONAL} | columns
            for name in (*_TRIAL, *_OPTIONAL):
                values = columns.get(name)
                if not isinstance(values, list) or len(values) != len(nothing):
                    raise self._error(
                        f"{_DAMAGED} Fold {key}: its predictions do not hold a value of {name} for "
                        "each trial."
                    )
            yield key, columns

    def declare(self, comparison: str, members: Mapping[str, Member]) -> None:
        """Add pipelines to the family of a comparison, whose tests are adjusted together.

        A pipeline is never removed. If it was declared before, its keys are replaced unless the
        new ones are empty.

        Parameters
        ----------
        comparison : str
            The fingerprint of the data, the labels and the folds.
        members : mapping of str to Member
            ``added`` is ignored.
        """
        added = _now()
        rows = [
            {
                "comparison": comparison,
                "pipeline": name,
                "uses": json.dumps(list(member.uses)),
                "keys": json.dumps(list(member.keys)),
                "added": added,
            }
            for name, member in members.items()
        ]
        with self._explained(), self._transaction():
            for row in rows:
                self._connection.execute(_DECLARE, row)
                self._set_checksum("families", comparison, row["pipeline"])

    def family(self, comparison: str) -> dict[str, Member]:
        """Return the family of a comparison, in the order in which it was declared.

        Parameters
        ----------
        comparison : str
            Digest of the comparison.

        Returns
        -------
        dict of str to Member
            By pipeline; empty if no family was declared.
        """
        query = (
            "SELECT pipeline, uses, keys, added FROM families WHERE comparison = ? "
            "ORDER BY added, rowid"
        )
        with self._explained():
            rows = self._connection.execute(query, (comparison,)).fetchall()
        return {
            name: Member(self._names(name, uses), self._names(name, keys), added)
            for name, uses, keys, added in rows
        }

    def _names(self, pipeline: str, stored: object) -> tuple[str, ...]:
        """Return a list of names of a family; raise a StoreError if it is something else."""
        names = self._decode(f"family of {pipeline}", stored)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._error(f"{_DAMAGED} The family of {pipeline} has no list of names.")
        return tuple(names)

    def _select(self, columns: Sequence[str], keys: Iterable[str] | None) -> list[tuple[Any, ...]]:
        where = "" if keys is None else "WHERE key IN (SELECT value FROM json_each(:keys))"
        query = f"SELECT {', '.join(columns)} FROM folds {where} ORDER BY {_ORDER}"
        with self._explained():
            return self._connection.execute(
                query, {"keys": json.dumps(list(keys or ()))}
            ).fetchall()

    def _decode(self, key: object, stored: object) -> Any:
        if not isinstance(key, str) or not isinstance(stored, str | bytes):
            raise self._error(f"{_DAMAGED} Fold {key!r}: a value is missing, or of a wrong type.")
        try:
            text = zlib.decompress(stored).decode() if isinstance(stored, bytes) else stored
            return (_RESTORING if '"$"' in text else _PLAIN).decode(text)
        except (ValueError, RecursionError, zlib.error) as error:
            raise self._error(f"{_DAMAGED} Fold {key}: {error}") from error

    def _create(self) -> None:
        """Create an empty store under another name, and rename it when it is complete."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for log in _log_files(self.path):
            # SQLite would apply an old log to the new store. Another process may have just made
            # both.
            if log.exists() and not self.path.exists():
                raise self._error(
                    f"the file is missing, but {log.name} exists: restore the store, or delete "
                    f"{log.name}."
                )
        fresh = self.path.with_name(f".{self.path.name}.{uuid4().hex}")
        try:
            try:
                _make(fresh, "WAL")
            except sqlite3.OperationalError:
                # The folder has no shared memory, as on some network drives.
                _remove(fresh)
                _make(fresh, "DELETE")
            _name(fresh, self.path)
        finally:
            _remove(fresh)

    def _check_file(self) -> None:
        """Check that the file is a store, before SQLite opens it."""
        if self.path.is_dir():
            raise self._error("it is a folder: pass the path of a file.")
        with self.path.open("rb") as file:
            header = file.read(100)
        if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
            what = "it is empty or cut short" if len(header) < 100 else "it is not a store"
            raise self._error(f"{what}: pass another path, or move the file away and run again.")
        version, application = (int.from_bytes(header[i : i + 4], "big") for i in (60, 68))
        if application != APPLICATION_ID:
            raise self._error("it is a database of another program: pass another path.")
        if not 1 <= version <= SCHEMA_VERSION:
            age = "a newer" if version > SCHEMA_VERSION else "an older"
            raise self._error(
                f"{age} edaemo made it (store version {version}; this edaemo reads versions 1 to "
                f"{SCHEMA_VERSION}): use {age} edaemo, or pass another path."
            )

    def _check_schema(self) -> None:
        """Raise if the file holds anything but the tables of a store, before it is used."""
        query = "SELECT type, name, sql FROM sqlite_schema WHERE substr(name, 1, 7) <> 'sqlite_'"
        found = self._connection.execute(query).fetchall()
        for kind, name, sql in found:
            if kind != "table" or name not in _TABLES:
                raise self._error(
                    f"it holds a {kind} {name!r}, which edaemo did not make: remove it (DROP "
                    f"{str(kind).upper()} with a program for SQLite), or restore a copy."
                )
            if _columns_in(sql) not in _known_columns(name):
                raise self._error(
                    f"{_DAMAGED} edaemo did not make its table {name!r}, or it was changed."
                )
        if "folds" not in {name for _, name, _ in found}:
            raise self._error(f"{_DAMAGED} It has no table of folds.")

    def _check_content(self) -> None:
        """Raise if pages are missing or damaged."""
        ask = self._connection.execute
        answer = ask("PRAGMA integrity_check(1)").fetchone()[0]
        if answer != "ok":
            raise self._error(f"{_DAMAGED} SQLite says: {answer}")
        # SQLite reads missing bytes of the last page as zeros. If no other process uses the store,
        # the log is empty after this checkpoint, and the file has all pages.
        n_bytes = ask("PRAGMA page_count").fetchone()[0] * ask("PRAGMA page_size").fetchone()[0]
        _, n_logged, n_moved = ask("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        has_log = self._is_copy and _log_files(self.path)[0].exists()
        if n_moved == n_logged and not has_log and self.path.stat().st_size < n_bytes:
            raise self._error(f"{_DAMAGED} Its end is missing.")

    def _check_rows(self) -> None:
        """Raise if a row differs from its checksum, or a row or a checksum is missing."""
        ask = self._connection.execute
        with self._transaction("DEFERRED"):  # all queries read the same state
            for table, query in _ROWS.items():
                known = dict(ask("SELECT id, checksum FROM checksums WHERE of = ?", (table,)))
                for name, *values in ask(query):
                    if known.pop(name, None) != _checksum(values):
                        raise self._error(
                            f"{_DAMAGED} Its {table} differ from their checksum: {name}"
                        )
                if known:
                    raise self._error(f"{_DAMAGED} Its {table} lack a row: {min(map(str, known))}")

    def _set_checksum(self, table: str, *identity: str) -> None:
        """Store the checksum of a row as SQLite returns it."""
        query = f"{_ROWS[table]}{_WHERE[table]}"
        name, *values = self._connection.execute(query, identity).fetchone()
        self._connection.execute(_SET_CHECKSUM, (table, name, _checksum(values)))

    def _upgrade(self) -> None:
        """Upgrade an older store to the columns and names of this version in one transaction."""
        run = self._connection.execute
        if run("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return
        with self._transaction():
            # Another process may have upgraded it first.
            before = run("PRAGMA user_version").fetchone()[0]
            for version in range(before, SCHEMA_VERSION):
                for statement in _UPGRADES[version]:
                    run(statement)
            if before < SCHEMA_VERSION:
                for table, query in _ROWS.items():
                    for name, *values in run(query).fetchall():
                        run(_SET_CHECKSUM, (table, name, _checksum(values)))
            run(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """Commit all statements of this context together, or none of them after an error."""
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "SQLITE_").split("_")[1]
            advice = _ADVICE.get(name, "SQLite refuses it.")
            raise self._error(f"{advice} SQLite says: {error}") from error
        except UnicodeDecodeError as error:  # of a message of SQLite that quotes the file
            raise self._error(f"{_DAMAGED} A text is not UTF-8: {error}") from error
        except OSError as error:
            raise self._error(
                f"it cannot be read or created ({error.strerror}): pass the path of a file in a "
                "folder that you can write to."
            ) from error

    def _error(self, text: str) -> StoreError:
        return StoreError(f"{self.path}: {text}")


def _open(address: str, timeout: float) -> sqlite3.Connection:
    """Open a database with SQLite's protection against files that other programs have made."""
    # Without Python's transactions, each statement outside of `_transaction` is one.
    connection = sqlite3.connect(address, uri=True, timeout=timeout, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if sys.version_info >= (3, 12):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)
    except BaseException:
        connection.close()
        raise
    return connection


def _columns_in(sql: object) -> frozenset[str]:
    """Return the columns and constraints in a CREATE TABLE statement, with its name."""
    return frozenset(re.split(r", | \(", str(sql)))


def _known_columns(table: str) -> list[frozenset[str]]:
    """Return the columns and constraints that a table of a store of any version can have."""
    now = _columns_in(_TABLES[table])
    if table != "folds":
        return [now]
    first = now - set(_ADDED)  # version 1
    return [now, first, first | set(_ADDED.values())]


def _checksum(values: Iterable[object]) -> str:
    """Return a digest of the values of a row and of their types."""
    digest = blake2b(digest_size=16)
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"{type(value).__name__} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _log_files(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")]


def _make(path: Path, journal: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute(_CREATE)
        connection.execute(_CREATE_FAMILIES)
        connection.execute(_CREATE_CHECKSUMS)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _name(fresh: Path, path: Path) -> None:
    """Rename a new file to `path` unless `path` exists."""
    try:
        os.link(fresh, path)
    except OSError:
        # The file exists, or the file system has no hard links. In the second case, a file that
        # another process creates between the next two lines is replaced.
        if not path.exists():
            fresh.rename(path)


def _remove(path: Path) -> None:
    for file in (path, *_log_files(path)):
        file.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _encode(record: FoldRecord) -> dict[str, object]:
    """Return the columns of a record as values that SQLite accepts."""
    row: dict[str, object] = {"status": record.status}
    row["artificial"] = int(record.artificial)
    row["created"] = _now()
    for name in _TEXT:
        value = row[name] = getattr(record, name)
        if not isinstance(value, str | None) or (name == "key" and not value):
            raise TypeError(f"{name} must be a str, got {value!r}")
        (value or "").encode()
    for name in _INTEGER:
        value = getattr(record, name)
        number = row[name] = None if value is None else index(value)
        if abs(number or 0) >= 2**63:
            raise OverflowError(f"{name} is too large: {value}")
    for name in _REAL:
        value = getattr(record, name)
        row[name] = None if value is None else float(value)
    for name in _JSON:
        _check_names(getattr(record, name), name)
        row[name] = _dump(getattr(record, name), name)
    row["predictions"] = _pack(record.predictions) if record.status == "done" else None
    return row


def _pack(predictions: pd.DataFrame | Mapping[str, Sequence[Any]] | None) -> bytes:
    if predictions is None:
        raise ValueError("it has neither predictions nor an error")
    missing = [name for name in _TRIAL if name not in predictions]
    if missing:
        raise ValueError(f"predictions lack the columns {missing}")
    n_trials = len(predictions["row"])
    table = {name: list(predictions[name]) for name in _TRIAL}
    for name in _OPTIONAL:
        values = predictions.get(name)
        table[name] = [None] * n_trials if values is None else list(values)
    if any(len(column) != n_trials for column in table.values()):
        raise ValueError("the columns of its predictions differ in length")
    return zlib.compress(_dump(table, "predictions").encode(), 1)


def _check_names(value: object, where: str) -> None:
    """Raise for names that are not str; JSON would convert them to str."""
    if isinstance(value, Mapping):
        for name, content in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where} has the name {name!r}, which is not a str")
            _check_names(content, f"{where}[{name!r}]")
    elif isinstance(value, list | tuple):
        for content in value:
            _check_names(content, where)


def _dump(value: object, where: str) -> str:
    """Return JSON in Python's dialect, which has NaN and Infinity."""

    def plain(part: object) -> object:
        if part is pd.NA:
            return {"$": "NA"}
        if isinstance(part, np.ndarray | pd.Series):
            return part.tolist()
        if isinstance(part, np.generic) and part.dtype.kind in "biuf":
            return part.item()
        raise TypeError(f"{where} holds {part!r}, a {type(part).__name__}")

    text = json.dumps(value, default=plain, separators=(",", ":"), ensure_ascii=False)
    text.encode()  # a lone surrogate could not be read into a table
    return text


def _restore(part: dict[str, Any]) -> object:
    return pd.NA if part == {"$": "NA"} else part


_PLAIN, _RESTORING = json.JSONDecoder(), json.JSONDecoder(object_hook=_restore)


def series(values: list[Any]) -> pd.Series:
    """Return a column in which no value changes its type: an int with None stays an int."""
    same = pd.api.types.infer_dtype(values, skipna=False)
    plain = same in ("integer", "floating", "boolean", "string")
    return pd.Series(values, dtype=None if plain else object)
