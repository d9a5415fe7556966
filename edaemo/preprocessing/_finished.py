"""Record of the recordings that a run has decomposed, from which the same run continues."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from edaemo import __version__

NAME = ".edaemo-decompose.jsonl"
# Files that belong to the header of a BrainVision recording.
_COMPANIONS = {".vhdr": (".eeg", ".dat", ".vmrk")}


class FinishedFiles:
    """The finished outputs in a folder, in a file of one line of JSON for each output.

    A line holds digests of the settings, of the recording and of the output. An output counts as
    finished if all three are those of now. A run that was killed has at most a line without its
    output.

    Parameters
    ----------
    folder : Path
        Folder of the outputs.
    settings : mapping of str to object
        Everything that the outputs depend on, except the recordings and the version of edaemo.
        The ``repr`` of each value identifies it.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self.folder = folder
        self._path = folder / NAME
        text = repr((__version__, sorted((name, repr(value)) for name, value in settings.items())))
        self._settings = hashlib.sha256(text.encode()).hexdigest()
        self._lines: dict[str, dict[str, object]] | None = None
        self._found: dict[Path, tuple[str, ...] | None] = {}

    def __getstate__(self) -> dict[str, object]:
        """Return what workers need to add lines."""
        return {**vars(self), "_lines": None, "_found": {}}

    def find(self, source: Path, target: Path) -> tuple[str, ...] | None:
        """Return the notes on an output that is finished, or None if it is not.

        Parameters
        ----------
        source : Path
            The recording.
        target : Path
            The output.

        Returns
        -------
        tuple of str or None
            The notes.
        """
        if target not in self._found:
            self._found[target] = self._compare(source, target)
        return self._found[target]

    def _compare(self, source: Path, target: Path) -> tuple[str, ...] | None:
        if self._lines is None:
            self._lines = self._read()
        line = self._lines.get(self._name(target))
        if line is None or line.get("settings") != self._settings:
            return None
        notes = line.get("notes")
        if not isinstance(notes, list):
            return None
        try:
            is_same = line.get("output digest") == _digest([target]) and line.get(
                "recording digest"
            ) == _digest_recording(source)
        except OSError:
            return None  # a file is missing, or the decomposition will raise the error
        return tuple(map(str, notes)) if is_same else None

    def _read(self) -> dict[str, dict[str, object]]:
        """Return the last line of each output; lines that a full disk has cut are left out."""
        lines: dict[str, dict[str, object]] = {}
        if not self._path.is_file():
            return lines
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("output"), str):
                lines[line["output"]] = line
        return lines

    def add(self, source: Path, target: Path, content: Path, notes: tuple[str, ...]) -> None:
        """Record an output that gets its name next.

        Processes may add lines at the same time.

        Parameters
        ----------
        source : Path
            The recording.
        target : Path
            The output.
        content : Path
            The complete output, under its temporary name.
        notes : tuple of str
            The notes on it.
        """
        line = {
            "output": self._name(target),
            "recording": str(source),
            "settings": self._settings,
            "recording digest": _digest_recording(source),
            "output digest": _digest([content]),
            "notes": list(notes),
        }
        # One write at the end of the file, which other processes do not interrupt. It begins with a
        # new line, because a line that a full disk has cut may be before it.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, ("\n" + json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)

    def _name(self, target: Path) -> str:
        return target.relative_to(self.folder).as_posix()


def _digest_recording(source: Path) -> str:
    companions = _COMPANIONS.get(source.suffix.lower(), ())
    others = [source.with_suffix(suffix) for suffix in companions]
    return _digest([source, *(path for path in others if path.is_file())])


def _digest(paths: list[Path]) -> str:
    sha = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.hexdigest()
