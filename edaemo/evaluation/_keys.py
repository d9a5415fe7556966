"""Compute the key of a result from everything that the result depends on.

The key is the same in every process and on every machine. Two values are written in the same form
only if a fit cannot distinguish them. A value that cannot be identified by its content is refused.
Objects are written as `pickle` reduces them: by their constructor and their state.
"""

from __future__ import annotations

import ast
import copyreg
import dis
import hashlib
import importlib.util
import inspect
import json
import math
import pickle
import platform
import random
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pandas as pd
import scipy.stats
from scipy.stats.distributions import rv_frozen
from sklearn.base import clone
from sklearn.utils.metadata_routing import MetadataRequest

import edaemo
from edaemo._torch import loaded_class
from edaemo.decomposition import kernel_facts

if TYPE_CHECKING:
    from torch import Tensor

_GENERATORS = (
    np.random.RandomState,
    np.random.Generator,
    np.random.BitGenerator,
    random.Random,
)
# Modules that had another name when the first stores were written.
FORMER = {"edaemo.estimators._baselines": "edaemo.benchmark._baselines"}
_LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "torch", "skorch", "imbalanced-learn")


class UnkeyableError(ValueError):
    """A parameter cannot be identified by its content; the message names the parameter."""


def canonical(value: object) -> object:
    """Return a form of a value that is the same for equal values in every process.

    Parameters
    ----------
    value : object
        A pipeline, a table, or a dict of settings that holds them. Estimators are cloned first, so
        fitted attributes do not count. Classes and functions are written as module, name and
        library release. Unreleased code (your own module, a package installed from a folder) is
        written as a digest of its file and of all unreleased files that it imports. Code from
        ``__main__`` is written with its source and the source of everything that it uses there.
        Arrays and tables are written as dtype, shape and digest.

    Returns
    -------
    object
        Only None, bool, int, float, str, list and dict with str keys, so JSON stores it without
        loss. Other types become a dict with a key that begins with ``!``. 1, 1.0 and True differ. A
        list and a tuple differ. NumPy scalars are written as the equal Python scalars.

    Raises
    ------
    UnkeyableError
        For a random generator, a lambda, an object defined inside a function, an open file, and
        any other object without content that identifies it. The message contains the path of the
        parameter, such as ``svm__kernel``, and a replacement.
    """
    return _Writer().write(value, "")


def fingerprint(value: object) -> str:
    """Return the SHA-256 of `canonical(value)` as 64 hexadecimal digits.

    Parameters
    ----------
    value : object
        As for :func:`canonical`.

    Returns
    -------
    str

    Raises
    ------
    UnkeyableError
        As :func:`canonical` does.
    """
    return _sha256(_dump(canonical(value)).encode())


@cache
def _version(library: str) -> str | None:
    """Return the installed version of a library, or None."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def made_with() -> dict[str, object]:
    """Return the versions that a result depends on: edaemo's code and the libraries.

    Returns
    -------
    dict
        ``edaemo``, a digest of the package's sources at the first call; ``decomposition``,
        "compiled" or "scipy"; ``avx2``, whether the compiled kernel uses AVX2, or None without the
        kernel; ``python`` and the versions of the libraries, None for torch and skorch if they are
        not installed.
    """
    return {
        "edaemo": _own_digest(),
        **kernel_facts(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
    }


class _Writer:
    """Writer of one value; it keeps track of the containers of the current element."""

    def __init__(self) -> None:
        self._above: set[int] = set()
        self._in_estimator = False

    def write(self, value: object, path: str) -> object:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"!float": repr(value)}
        if id(value) in self._above:
            raise _refusal(path, "it contains itself.")
        self._above.add(id(value))
        try:
            return self._write_compound(value, path)
        finally:
            self._above.remove(id(value))

    def _write_compound(self, value: object, path: str) -> object:
        if type(value) is list:
            return self._write_all(value, path)
        if type(value) is dict:
            return self._write_dict(value, path)
        if type(value) is tuple:
            return {"!tuple": self._write_all(value, path)}
        if type(value) is set or type(value) is frozenset:
            return {f"!{type(value).__name__}": sorted(self._write_all(value, path), key=_dump)}
        if type(value) is bytes or type(value) is bytearray:
            return {f"!{type(value).__name__}": len(value), "sha256": _sha256(value)}
        if isinstance(value, np.generic) and _has_twin(value):
            return self.write(value.item(), path)
        if isinstance(value, np.generic) or type(value) is np.ndarray:
            return self._write_array(np.asarray(value), path)
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            return self._write_table(value, path)
        return self._write_object(value, path)

    def _write_all(self, values: Iterable[Any], path: str) -> list[Any]:
        """Write the elements of a collection; the path of the step ("svm", SVC()) is `svm`."""
        written: list[object] = []
        for i, item in enumerate(values):
            if type(item) is tuple and len(item) > 1 and type(item[0]) is str:
                step = _join(path.rpartition("__")[0], item[0])
                written.append({"!tuple": [self.write(part, step) for part in item]})
            else:
                written.append(self.write(item, f"{path}[{i}]"))
        return written

    def _write_dict(self, value: dict[str, Any], path: str) -> dict:
        if all(type(key) is str and not key.startswith("!") for key in value):
            return {key: self.write(value[key], _join(path, key)) for key in value}
        pairs = [
            [self.write(key, f"{path}[{key!r}]"), self.write(content, f"{path}[{key!r}]")]
            for key, content in value.items()
        ]
        return {"!dict": sorted(pairs, key=_dump)}

    def _write_array(self, value: np.ndarray, path: str) -> dict[str, Any]:
        dtype = value.dtype
        if dtype.names:
            # The padding bytes between fields are undefined.
            content = _dump([self._write_array(value[name], path) for name in dtype.names]).encode()
        elif dtype.hasobject:
            content = _dump(self._write_all(value.ravel().tolist(), path)).encode()
        else:
            content = value.tobytes()
        return {
            "!array": str(dtype.descr) if dtype.names else dtype.str,
            "shape": list(value.shape),
            "sha256": _sha256(content),
        }

    def _write_table(self, value: pd.DataFrame | pd.Series | pd.Index, path: str) -> dict[str, Any]:
        parts: list[object] = []
        if isinstance(value, pd.DataFrame):
            parts.append(self._write_index(value.columns, path))
            parts += [self._write_column(column, path) for _, column in value.items()]
        elif isinstance(value, pd.Series):
            parts += [self.write(value.name, path), self._write_column(value, path)]
        index = value if isinstance(value, pd.Index) else value.index
        parts.append(self._write_index(index, path))
        return {
            "!table": self.write(type(value), path),
            "shape": list(value.shape),
            "sha256": _sha256(_dump(parts).encode()),
        }

    def _write_index(self, index: pd.Index, path: str) -> list[Any]:
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
        return [self._write_all(index.names, path), [self._write_column(x, path) for x in levels]]

    def _write_column(self, column: pd.Series | pd.Index, path: str) -> list[Any]:
        dtype = column.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            values = column.array
            categories = self._write_column(values.categories, path)
            return ["category", values.ordered, categories, self._write_array(values.codes, path)]
        # Columns with a dtype that is not NumPy's are written cell by cell.
        cells = column.to_numpy() if isinstance(dtype, np.dtype) else column.to_numpy(object)
        return [str(dtype), self._write_array(cells, path)]

    def _write_object(self, value: object, path: str) -> object:
        if isinstance(value, (*_GENERATORS, loaded_class("torch", "Generator"))):
            raise _refusal(
                path,
                f"a {type(value).__name__} returns different numbers at each use, so the result "
                "cannot be reproduced. Pass an int as seed.",
            )
        if isinstance(value, ModuleType):
            return {"!module": value.__name__, "code": _code(value.__name__, path)}
        if isinstance(value, MetadataRequest):
            return {"!requests": repr(value)}
        if isinstance(value, loaded_class("torch", "Tensor")) and _is_strided(value):
            return _write_tensor(value)
        if isinstance(value, rv_frozen) and _is_of_scipy(value.dist):
            # Its state holds NumPy's global generator, which searches do not use.
            parameters = [value.dist.name, value.args, value.kwds]
            return {"!distribution": self._write_all(parameters, path)}
        if _is_named(value):
            return self._write_name(value, path)
        if hasattr(value, "get_params"):
            return self._write_estimator(value, path)
        return self._write_parts(value, path)

    def _write_estimator(self, value: object, path: str) -> dict[str, Any]:
        """Write the class and all attributes of a clone, which is what a runner fits."""
        outermost, self._in_estimator = not self._in_estimator, True
        try:
            fresh = clone(value) if outermost else value
            # Code that a parameter only names, such as a user's decomposition.
            named = fresh.named_code() if hasattr(fresh, "named_code") else {}
            return {
                "!object": self.write(type(value), path),
                "state": self._write_dict(vars(fresh) | named, path),
            }
        except (TypeError, RuntimeError) as error:
            # A value that cannot be cloned often cannot be written; that error contains the path.
            self._write_dict(vars(value), path)
            raise _refusal(path, f"scikit-learn cannot clone it: {error}") from error
        finally:
            self._in_estimator = not outermost

    def _write_parts(self, value: object, path: str) -> dict[str, Any]:
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            parts = reduce(value) if reduce else value.__reduce_ex__(4)
        except (TypeError, ValueError, AttributeError, RuntimeError, pickle.PickleError) as error:
            raise _refusal(path, _no_content(value)) from error
        if isinstance(parts, str):
            return self._write_global(value, parts, path)
        make, args, *rest = parts
        if make is copyreg.__newobj__:  # type: ignore[attr-defined]
            make, *args = args
        state, items, pairs = (*rest, None, None, None)[:3]
        if make is object:
            raise _refusal(path, _no_content(value))
        if isinstance(value, loaded_class("torch.nn", "Module")):
            # The order of layers is the order of a dict.
            state = {**state, "_modules": list(state["_modules"].items())}
        return {
            "!object": self.write(make, path),
            **({"args": self._write_all(args, path)} if args else {}),
            **({"state": self.write(state, path)} if state is not None else {}),
            **({"items": self._write_all(items, path)} if items is not None else {}),
            **({"pairs": self._write_all(pairs, path)} if pairs is not None else {}),
        }

    def _write_global(self, value: object, name: str, path: str) -> dict[str, Any]:
        homes = (getattr(value, "__module__", None), type(value).__module__, "scipy.special")
        for module in homes:
            if module and _resolve(module, name) is value:
                return {"!name": f"{module}.{name}", "code": _code(module, path)}
        raise _refusal(path, _no_content(value))

    def _write_name(self, value: Callable[..., Any], path: str) -> dict[str, Any]:
        module, name = value.__module__, value.__qualname__
        if _resolve(module, name) is not value:
            raise _refusal(
                path,
                f"{module}.{name} cannot be found by this name (a lambda, an object defined inside "
                "a function, or replaced since), so it cannot be identified. Define it at the top "
                "level of a module.",
            )
        if module == "__main__":
            return self._write_from_main(value, name, path)
        return {"!name": f"{FORMER.get(module, module)}.{name}", "code": _code(module, path)}

    def _write_from_main(self, value: Callable[..., Any], name: str, path: str) -> dict[str, Any]:
        """Write the source of an object from `__main__` and of all that it uses from there."""
        try:
            source = textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError) as error:
            raise _refusal(
                path,
                f"{name} is defined in __main__, and its source is not available. Define it at the "
                "top level of a module, and import it.",
            ) from error
        used = set(_used_globals(compile(source, "<source>", "exec", dont_inherit=True)))
        there = vars(sys.modules["__main__"])
        uses = {
            other: self.write(there[other], _join(path, other))
            for other in used & there.keys()
            if id(there[other]) not in self._above
        }
        return {"!name": f"__main__.{name}", "source": _sha256(source.encode()), "uses": uses}


def _refusal(path: str, why: str) -> UnkeyableError:
    return UnkeyableError(f"{path or 'The value'}: {why}")


def _dump(form: object) -> str:
    return json.dumps(form, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _sha256(content: bytes | bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


def _join(path: str, name: str) -> str:
    return f"{path}__{name}" if path else name


def _has_twin(value: np.generic) -> bool:
    """Return whether Python has an equal scalar. datetime64 may become an int."""
    return value.dtype.kind in "biufcSU" and not isinstance(value.item(), np.generic)


def _is_strided(tensor: Tensor) -> bool:
    import torch

    return tensor.layout is torch.strided


def _write_tensor(tensor: Tensor) -> dict[str, Any]:
    import torch

    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return {
        "!tensor": str(tensor.dtype),
        "shape": list(tensor.shape),
        "requires_grad": tensor.requires_grad,
        "sha256": _sha256(content.tobytes()),
    }


def _no_content(value: object) -> str:
    return (
        f"an object of type {type(value).__qualname__} has no content that identifies it. Pass "
        "what it is made from, such as the path of a file."
    )


def _is_named(value: object) -> TypeGuard[Callable[..., Any]]:
    """Return whether a class or function has its own name; a bound method has a function's."""
    names = [getattr(value, attribute, None) for attribute in ("__module__", "__qualname__")]
    bound = isinstance(value, MethodType | np.ufunc)
    return not bound and all(isinstance(name, str) for name in names)


def _is_of_scipy(distribution: scipy.stats.rv_continuous | scipy.stats.rv_discrete) -> bool:
    return isinstance(getattr(scipy.stats, distribution.name, None), type(distribution))


def _resolve(module: str, name: str) -> object:
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _used_globals(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _used_globals(constant)


# Digests and releases of a module's code ----------------------------------------------------------


def _code(module: str, path: str) -> str:
    """Return the release of a module, or a digest if its code is not released."""
    if module.partition(".")[0] == "edaemo":
        return f"edaemo {_own_digest()}"
    spec = _find_spec(module)
    try:
        if spec is not None:
            return _release(spec) or _digest_with_imports(module)
    except OSError as error:
        raise _refusal(path, f"the code of {module} cannot be read: {error}") from error
    raise _refusal(path, f"the module {module} has no file to read its code from.")


@cache
def _own_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(edaemo.__file__).parent.rglob("*")):
        if file.suffix in (".py", ".cpp", ".h", ".hpp"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _find_spec(module: str) -> ModuleSpec | None:
    """Find a module without importing anything."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__spec__", None)
    parent = module.rpartition(".")[0]
    if not parent:
        return importlib.util.find_spec(module)
    above = _find_spec(parent)
    if above is None or above.submodule_search_locations is None:
        return None
    folders = list(above.submodule_search_locations)
    try:
        return PathFinder.find_spec(module, folders)
    except KeyError:  # a folder without __init__.py, in a package that is not imported
        spec = ModuleSpec(module, None, is_package=True)
        inner = [Path(folder, module.rpartition(".")[2]) for folder in folders]
        spec.submodule_search_locations = [str(folder) for folder in inner if folder.is_dir()]
        return spec


def _file_of(spec: ModuleSpec) -> Path | None:
    """Return the file from which a module is loaded, or None."""
    return Path(spec.origin) if spec.has_location and spec.origin else None


def _release(spec: ModuleSpec) -> str | None:
    file = _file_of(spec)
    if file is None:
        return f"python {platform.python_version()}"
    if {"site-packages", "dist-packages"}.isdisjoint(file.parts):
        in_python = file.is_relative_to(sysconfig.get_path("stdlib"))
        return f"python {platform.python_version()}" if in_python else None
    return _distributions().get(spec.name.partition(".")[0])


@cache
def _distributions() -> dict[str, str]:
    """Map importable names to the releases they come from, without those built from a folder."""
    return {
        name: ", ".join(f"{origin} {metadata.version(origin)}" for origin in sorted(set(origins)))
        for name, origins in metadata.packages_distributions().items()
        if not any(map(_built_here, origins))
    }


def _built_here(distribution: str) -> bool:
    """Return whether it was installed from a local folder; its version is then not reliable."""
    origin = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    return "dir_info" in origin and Path(url2pathname(urlsplit(origin["url"]).path)).exists()


def _digest_with_imports(module: str) -> str:
    """Return a digest of a module's file and of all unreleased files that it imports."""
    digests: dict[str, str] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        spec = _find_spec(name) if name not in digests else None
        file = None if spec is None else _file_of(spec)
        if spec is None or file is None or name.partition(".")[0] == "edaemo":
            continue
        if _release(spec) is None:
            digests[name], imports = _read_source(name, spec, file)
            todo += imports
    return _sha256(_dump(digests).encode())


# The file of a loaded module is read once, since later edits are not in the code that runs. A
# reload gives the module another spec.
_sources: dict[str, tuple[ModuleSpec, tuple[str, list[str]]]] = {}


def _read_source(name: str, spec: ModuleSpec, file: Path) -> tuple[str, list[str]]:
    if name not in _sources or _sources[name][0] is not spec:
        content = file.read_bytes()
        imports = _imports(content, spec) if file.suffix == ".py" else []
        _sources[name] = spec, (_sha256(content), imports)
    return _sources[name][1]


def _imports(source: bytes, spec: ModuleSpec) -> list[str]:
    """Return the names of all modules that a file may import at any place."""
    found = [spec.parent] if spec.parent else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = (spec.parent or "").split(".")
            above = parents[: 1 - node.level or None] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            found += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    # An import of a.b.c also runs a and a.b.
    return [".".join(name.split(".")[:n]) for name in found for n in range(1, name.count(".") + 2)]
