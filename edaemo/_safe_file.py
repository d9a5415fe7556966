"""Files that hold data and no code: values as JSON, arrays as safetensors, with a checksum."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import safetensors.numpy
from safetensors import SafetensorError

from edaemo._signature import Signature, empty_signature, find_signature, sign
from edaemo._torch import loaded_class
from edaemo._whole_file import whole_file
from edaemo.decomposition import (
    DecompositionMethod,
    Weights,
    decomposition_names,
    find_decomposition,
)

if TYPE_CHECKING:
    import torch
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from skorch.callbacks import LRScheduler

HEAD, ARRAYS = "edaemo.json", "arrays.safetensors"
# Errors while reading a file that was edited and whose checksum was recomputed.
BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
_HEADER = 30  # bytes before the name of a member of a zip archive
# Bytes of an array of texts for each of its characters, at most, in arrays above 1 MiB.
_WIDEST = 1000
_Kind = TypeVar("_Kind")
_END = re.compile(rb"edaemo (\w+) (\d+) sha256 ([0-9a-f]{64})\Z")


@cache
def _optimizers() -> dict[str, type[torch.optim.Optimizer]]:
    """Return torch's optimizers by name."""
    from torch import optim

    return _subclasses(vars(optim), optim.Optimizer)


@cache
def _schedules() -> dict[str, type]:
    """Return torch's schedules of the learning rate, and skorch's, by name."""
    from skorch.callbacks.lr_scheduler import WarmRestartLR
    from torch.optim import lr_scheduler

    schedules = _subclasses(vars(lr_scheduler), lr_scheduler.LRScheduler)
    return schedules | {"WarmRestartLR": WarmRestartLR}


def _subclasses(names: Mapping[str, Any], kind: type[_Kind]) -> dict[str, type[_Kind]]:
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, type) and issubclass(value, kind)
    }


class FileError(ValueError):
    """A file cannot be written or read, or a value cannot be saved; the message names the cause."""


class LackingError(FileError):
    """The file is intact, but something that it needs is not available."""


def write_archive(
    path: Path,
    kind: str,
    version: int,
    members: Mapping[str, bytes],
    *,
    check: Callable[[Path], None] | None = None,
    key: Ed25519PrivateKey | None = None,
) -> None:
    """Write named members to a file, completely or not at all.

    The file is a zip archive without compression. Its comment, at the end of the file, is
    ``edaemo <kind> <version> sha256 <digest>``. The digest covers all bytes before it. The comment
    of a signed file begins with ``ed25519 <public key> <signature>``. The signature covers all
    bytes before the digest, with zeros in the place of the signature.

    Parameters
    ----------
    path : Path
    kind : str
    version : int
    members : mapping of str to bytes
    check : callable or None, default=None
        Takes the path of the written file, before it gets the name `path`. Raises a FileError if
        the file is not right.
    key : Ed25519PrivateKey or None, default=None
        Key to sign the file with; None: the file is not signed.

    Raises
    ------
    FileError
        If the file cannot be written, another program wrote the file of this name, or `check`
        raises it. An earlier file of this name is then unchanged.
    """
    _check_replaceable(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        signature = b"" if key is None else empty_signature(key)
        archive.comment = signature + f"edaemo {kind} {version} sha256 {'0' * 64}".encode()
    # Without a view of the buffer: Python 3.13 warns if the buffer is collected before its view.
    content = buffer.getvalue()[:-64]
    if key is not None:
        content = sign(content, key)
    try:
        with whole_file(path) as part:
            part.write_bytes(content + hashlib.sha256(content).hexdigest().encode())
            if check is not None:
                check(part)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}.") from error


def _check_replaceable(path: Path) -> None:
    """Raise a FileError if a path has a file with content that edaemo did not write."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            begin = file.read(30 + len(HEAD))
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}.") from error
    if begin and not begin.endswith(HEAD.encode()):
        raise FileError(
            f"{path}: this file exists, and edaemo did not write it. Remove it, or use another "
            "name."
        )


def read_archive(
    path: Path,
    kind: str,
    version: int,
    *,
    check: Callable[[Signature | None], object] | None = None,
) -> dict[str, bytes]:
    """Read the members of a file that `write_archive` wrote.

    Parameters
    ----------
    path : Path
    kind : str
    version : int
    check : callable or None, default=None
        Takes the signature of the file, or None, before the members are read. Raises an error if
        the file must not be read.

    Returns
    -------
    dict of str to bytes
        The members by name.

    Raises
    ------
    FileError
        If the file is missing or unreadable, of another kind, truncated, changed, or of a version
        above `version`.
    """
    try:
        # A pipe or a device may never end.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise FileError(f"{path}: cannot be read: it is a device or a pipe, not a file.")
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}.") from error
    end = _END.search(data[-200:])
    if end is None or hashlib.sha256(data[:-64]).hexdigest().encode() != end[3]:
        if data[30 : 30 + len(HEAD)] != HEAD.encode() and end is None:
            raise FileError(f"{path}: this is not an edaemo {kind}, but another kind of file.")
        raise FileError(
            f"{path}: the file is damaged: it was truncated, or bytes in it were changed. Copy or "
            "write it again."
        )
    kind_of_file, version_of_file = end[1].decode(), int(end[2])
    if kind_of_file != kind:
        raise FileError(
            f"{path}: this is an edaemo {kind_of_file}, but an edaemo {kind} is needed."
        )
    if version_of_file > version:
        raise FileError(
            f"{path}: the file has format {version_of_file}, written by a newer edaemo. This "
            f"version reads formats up to {version}: pip install --upgrade edaemo."
        )
    if check is not None:
        check(find_signature(data[:-64], len(end[0]) - 64))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_members(archive)
            members = {info.filename: archive.read(info) for info in archive.infolist()}
    except BROKEN as error:
        raise edited(path, error) from error
    return members


def check_members(archive: zipfile.ZipFile) -> None:
    """Raise a ValueError unless an archive holds each member once, apart and uncompressed.

    Members that overlap, or that are listed many times, would take more memory than the file.
    """
    end, names = 0, set()
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"{info.filename:.80} is compressed")
        if info.filename in names:
            raise ValueError(f"{info.filename:.80} is listed twice")
        if info.header_offset < end:
            raise ValueError(f"{info.filename:.80} overlaps with another member")
        names.add(info.filename)
        end = info.header_offset + _HEADER + len(info.filename) + info.file_size
    if end > archive.start_dir:
        raise ValueError("the last member overlaps with the list of members")


def edited(path: object, error: object) -> FileError:
    """Return the error for a file that edaemo did not write, although its checksum is right."""
    return FileError(f"{path}: edaemo did not write this file, or it was edited: {error!s:.1000}.")


def to_json(value: object) -> bytes:
    """Return the output of `Encoder` as JSON, in bytes."""
    return json.dumps(value, indent=1, allow_nan=False).encode()


def readable(value: Any) -> Any:
    """Convert a value to readable JSON; types that JSON lacks become text."""
    if isinstance(value, pd.DataFrame):
        return json.loads(value.to_json(orient="records"))
    if isinstance(value, Mapping):
        return {str(key): readable(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [readable(element) for element in value]
    if isinstance(value, np.ndarray | np.generic):
        return readable(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, loaded_class("skorch.callbacks", "LRScheduler")):
        return {"policy": readable(value.policy), **readable(value.kwargs)}
    if isinstance(value, type):
        return value.__name__
    # The text of an estimator would hold its parameters, such as folders of this machine.
    return type(value).__name__ if hasattr(value, "get_params") else str(value)


class Encoder:
    """Converts values to JSON; arrays go to `arrays`, under names that the JSON refers to.

    JSON values (null, booleans, numbers, text, lists) are unchanged. Any other value becomes an
    object whose first key begins with $.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def array_bytes(self) -> bytes:
        """Return all arrays in safetensors format."""
        return safetensors.numpy.save(self.arrays)

    def encode(self, value: Any, where: str) -> Any:
        """Convert a value to JSON; raise a FileError that names `where` if it cannot be saved."""
        if value is None or isinstance(value, bool) or type(value) in (int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if type(value) is list:
            return [self.encode(element, where) for element in value]
        if type(value) is tuple:
            return {"$tuple": [self.encode(element, where) for element in value]}
        if isinstance(value, Mapping):
            pairs = value.items()
            return {"$dict": [[self.encode(k, where), self.encode(v, where)] for k, v in pairs]}
        if isinstance(value, np.generic):
            return {"$scalar": self._array(np.asarray(value), where)}
        if type(value) is np.ndarray:
            return self._array(value, where)
        if isinstance(value, loaded_class("torch", "Tensor")):
            return {"$tensor": self._array(value.detach().cpu().numpy(), where)}
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            return self._pandas(value, where)
        if isinstance(value, type) and issubclass(value, loaded_class("torch.optim", "Optimizer")):
            return self._optimizer(value, where)
        if type(value) is loaded_class("skorch.callbacks", "LRScheduler"):
            return self._schedule(value, where)
        if isinstance(value, DecompositionMethod):
            return self._decomposition(value, where)
        if type(value) is Weights:
            return {"$weights": self.encode(asdict(value), where)}
        raise self._refusal(value, where)

    def _refusal(self, value: object, where: str) -> FileError:
        return FileError(
            f"{where} is {value!r:.150}, which cannot be saved: the file must hold no code. Use "
            "numbers, text, lists, dicts, arrays, frames, an optimizer of torch.optim, or a "
            "schedule of torch.optim.lr_scheduler."
        )

    def _optimizer(self, value: type, where: str) -> dict[str, Any]:
        if value is not _optimizers().get(value.__name__):
            raise self._refusal(value, where)
        return {"$optimizer": value.__name__}

    def _array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        kind, dtype = array.dtype.kind, array.dtype.newbyteorder("=")
        if kind in "biuf" and dtype.itemsize <= 8:
            return {"$array": self._keep(array.astype(dtype))}
        if kind in "mM":
            numbers = self._keep(array.astype(dtype).view(np.int64))
            return {"$times": numbers, "dtype": dtype.str}
        if kind not in "UO":
            raise FileError(f"{where} is an array of {array.dtype}, which cannot be saved.")
        values = [self.encode(element, where) for element in array.ravel().tolist()]
        return {"$objects": values, "shape": list(array.shape), "dtype": dtype.str}

    def _keep(self, array: np.ndarray) -> str:
        name = str(len(self.arrays))
        self.arrays[name] = np.array(array, order="C")
        return name

    def _pandas(self, value: pd.DataFrame | pd.Series | pd.Index, where: str) -> dict[str, Any]:
        if isinstance(value, pd.DataFrame):
            same_dtype = len(set(value.dtypes)) == 1 and isinstance(value.dtypes.iloc[0], np.dtype)
            columns = [column for _, column in value.items()]
            return {
                "$frame": self.encode(value.to_numpy(), where)
                if same_dtype
                else [self._values(column, where) for column in columns],
                "index": self._pandas(value.index, where),
                "columns": self._pandas(value.columns, where),
            }
        if isinstance(value, pd.MultiIndex):
            levels = [value.get_level_values(place) for place in range(value.nlevels)]
            return {"$levels": [self._pandas(level, where) for level in levels]}
        name = self.encode(value.name, where)
        if isinstance(value, pd.RangeIndex):
            return {"$range": [value.start, value.stop, value.step], "name": name}
        values = self._values(value, where)
        if isinstance(value, pd.Index):
            return {"$index": values, "name": name}
        return {"$series": values, "index": self._pandas(value.index, where), "name": name}

    def _values(self, column: pd.Series | pd.Index, where: str) -> dict[str, Any]:
        if isinstance(column.dtype, np.dtype):
            return self._array(column.to_numpy(), where)
        if isinstance(column.dtype, pd.StringDtype):
            text = [None if pd.isna(element) else str(element) for element in column]
            return {"$text": text, "dtype": str(column.dtype)}
        if pd.api.types.is_numeric_dtype(column.dtype):  # nullable dtypes: missing becomes NaN
            return self._array(column.to_numpy(np.float64, na_value=np.nan), where)
        raise FileError(f"{where} has values of {column.dtype}, which cannot be saved.")

    def _decomposition(self, method: DecompositionMethod, where: str) -> dict[str, Any]:
        name = getattr(method, "name", None)
        if name not in decomposition_names() or type(find_decomposition(name)) is not type(method):
            raise FileError(
                f"{where} is {method!r:.150}, whose class is not registered: decorate it with "
                "register_decomposition, so that load can find it by its name."
            )
        settings = {field.name: getattr(method, field.name) for field in fields(method)}
        return {"$decomposition": name, "settings": self.encode(settings, where)}

    def _schedule(self, schedule: LRScheduler, where: str) -> dict[str, Any]:
        policy = schedule.policy
        name = policy if isinstance(policy, str) else getattr(policy, "__name__", None)
        known = _schedules()
        if name not in known or policy not in (name, known[name]):
            raise FileError(
                f"{where} has the policy {policy!r}, which cannot be saved: use a policy of "
                "torch.optim.lr_scheduler."
            )
        parameters = {
            "monitor": schedule.monitor,
            "event_name": schedule.event_name,
            "step_every": schedule.step_every,
            **schedule.kwargs,
        }
        return {"$schedule": name, "parameters": self.encode(parameters, where)}


def _read_dtype(text: str) -> np.dtype:
    """Return the dtype of texts, objects, dates or durations; numpy would parse much more."""
    if re.fullmatch(r"[<>|=]?[UOmM]\d{0,10}(\[\d{0,10}\w{1,7}\])?", text) is None:
        raise ValueError(f"{text!r:.40} is not a dtype of texts, objects, dates or durations")
    return np.dtype(text)


class Decoder:
    """Restores values from the output of `Encoder`; other input raises an error of `BROKEN`."""

    def __init__(self, arrays: bytes) -> None:
        self.arrays = safetensors.numpy.load(arrays)

    def decode(self, value: Any) -> Any:
        """Restore a value from its JSON."""
        if isinstance(value, list):
            return [self.decode(element) for element in value]
        if not isinstance(value, dict):
            return value
        mark = next(iter(value), "")
        make = getattr(self, f"_make_{mark.removeprefix('$')}", None)
        if make is None:
            raise ValueError(f"{mark!r} is unknown")
        return make(value[mark], {key: value[key] for key in value if key != mark})

    def _make_float(self, text: str, rest: dict[str, Any]) -> float:
        return float(text)

    def _make_tuple(self, values: list[Any], rest: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self.decode(values))

    def _make_dict(self, pairs: list[Any], rest: dict[str, Any]) -> dict:
        return {self.decode(key): self.decode(value) for key, value in pairs}

    def _make_scalar(self, array: dict[str, Any], rest: dict) -> np.generic:
        return self.decode(array)[()]

    def _make_array(self, name: str, rest: dict[str, Any]) -> np.ndarray:
        return self.arrays.pop(name)  # `Encoder` writes each array for one place

    def _make_times(self, name: str, rest: dict[str, Any]) -> np.ndarray:
        dtype = _read_dtype(rest["dtype"])
        if dtype.kind not in "mM":
            raise ValueError(f"{dtype} is not a dtype of dates or durations")
        return self.arrays.pop(name).view(dtype)

    def _make_objects(self, values: list[Any], rest: dict[str, Any]) -> np.ndarray:
        dtype = _read_dtype(rest["dtype"])
        if dtype.kind not in "UO":
            raise ValueError(f"{dtype} is neither a text dtype nor object")
        n_characters = sum(len(value) if isinstance(value, str) else 1 for value in values)
        if dtype.itemsize * len(values) > max(2**20, _WIDEST * (n_characters + len(values))):
            raise ValueError(f"{dtype} is too wide for {len(values)} texts")
        array = np.empty(len(values), dtype=dtype)
        for place, value in enumerate(values):
            array[place] = self.decode(value)
        return array.reshape(rest["shape"])

    def _make_text(self, values: list[Any], rest: dict[str, Any]) -> pd.Series:
        if rest["dtype"] not in ("str", "string"):
            raise ValueError(f"{rest['dtype']} is not a text dtype")
        return pd.Series(values, dtype=rest["dtype"])

    def _make_tensor(self, array: dict[str, Any], rest: dict) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.decode(array))

    def _make_frame(self, values: Any, rest: dict[str, Any]) -> pd.DataFrame:
        values, index = self.decode(values), self.decode(rest["index"])
        if isinstance(values, list):
            values = {
                place: pd.Series(column).set_axis(index) for place, column in enumerate(values)
            }
        elif not isinstance(values, np.ndarray) or len(values) != len(index):
            raise ValueError("a frame has an index of another length")
        frame = pd.DataFrame(values, index=index, copy=False)
        return frame.set_axis(self.decode(rest["columns"]), axis=1)

    def _make_levels(self, levels: list[Any], rest: dict[str, Any]) -> pd.MultiIndex:
        return pd.MultiIndex.from_arrays(self.decode(levels))

    def _make_range(self, ends: list[Any], rest: dict[str, Any]) -> pd.RangeIndex:
        return pd.RangeIndex(*ends, name=self.decode(rest["name"]))

    def _make_index(self, values: dict[str, Any], rest: dict) -> pd.Index:
        decoded = self.decode(values)
        dtype = object if decoded.dtype == object else None
        return pd.Index(decoded, name=self.decode(rest["name"]), dtype=dtype)

    def _make_series(self, values: dict[str, Any], rest: dict) -> pd.Series:
        index, name = self.decode(rest["index"]), self.decode(rest["name"])
        return pd.Series(self.decode(values)).set_axis(index).rename(name)

    def _make_optimizer(self, name: str, rest: dict[str, Any]) -> type[torch.optim.Optimizer]:
        return _optimizers()[name]

    def _make_decomposition(self, name: str, rest: dict[str, Any]) -> DecompositionMethod:
        if name not in decomposition_names():
            raise LackingError(
                f"the decomposition {name!r} is not registered: import the module that registers "
                "it, and load the file again."
            )
        return find_decomposition(name, self.decode(rest["settings"]))

    def _make_weights(self, numbers: Any, rest: dict[str, Any]) -> Weights:
        return Weights(**self.decode(numbers))

    def _make_schedule(self, name: str, rest: dict[str, Any]) -> LRScheduler:
        from skorch.callbacks import LRScheduler

        return LRScheduler(_schedules()[name], **self.decode(rest["parameters"]))
