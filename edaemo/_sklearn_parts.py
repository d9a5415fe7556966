"""Estimators of scikit-learn and imbalanced-learn as skops archives that hold no code."""

from __future__ import annotations

import copy
import inspect
import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import scipy.sparse
import skops.io
from numpy.lib import format as npy
from sklearn.base import BaseEstimator
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_selection import (
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.neighbors import BallTree, KDTree
from sklearn.tree._tree import Tree
from skops.io._protocol import PROTOCOL
from skops.io._sklearn import ALLOWED_LOSSES

from edaemo._safe_file import check_members

# The classes of these packages may be in a file, except those in modules that make no models.
PACKAGES = ("sklearn", "imblearn")
_NO_MODELS = {
    *("tests", "conftest", "datasets", "externals", "experimental"),
    *("_testing", "testing", "_test_common", "estimator_checks"),
}
# The only functions that may be in a file: score functions of the selection of features.
_SCORE_FUNCTIONS = (f_classif, f_regression, mutual_info_classif, mutual_info_regression)
# An attribute that names a folder with pickles of joblib, which the next fit would read.
LOCAL = "memory"
# Bytes of an array of a sparse matrix for each byte of the compressed file, at most, above 1 MiB.
_MOST_COMPRESSED = 100
# Key of the dict that replaces an estimator of edaemo in an archive; its value is a number.
PART = "$part"


def _name(kind: Callable[..., Any]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


_BUILTINS = ("dict", "list", "tuple", "str", "int", "float", "bool", "NoneType")
_NUMBERS = {f"numpy.{kind.__name__}" for kind in np.sctypeDict.values()} | {"numpy.bool_"}
_DATA = {f"builtins.{name}" for name in _BUILTINS} | _NUMBERS | {"numpy.ndarray", "numpy.dtype"}
_SPARSE = {
    _name(kind)
    for kind in vars(scipy.sparse).values()
    if isinstance(kind, type) and issubclass(kind, scipy.sparse.spmatrix | scipy.sparse.sparray)
}
# The classes and functions in an archive, by the loader of skops that creates them. An ObjectNode
# may be any class that `find_class` finds. Loaders of methods, partial functions and operators are
# absent: these are code.
_NODES = {
    **dict.fromkeys(("ListNode", "TupleNode", "JsonNode", "TypeNode", "DTypeNode"), _DATA),
    "DictNode": {"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"},
    "SetNode": {"builtins.set"},
    "SliceNode": {"builtins.slice"},
    "NdArrayNode": _DATA,
    "MaskedArrayNode": {"numpy.ma.MaskedArray"},
    "SparseMatrixNode": _SPARSE,
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
    "FunctionNode": {_name(function) for function in _SCORE_FUNCTIONS},
    "TreeNode": {_name(Tree)},
    "LossNode": {_name(loss) for loss in ALLOWED_LOSSES},
}


@cache
def find_class(name: str) -> type | None:
    """Return the class with this name, if scikit-learn or imbalanced-learn defines it."""
    module, _, kind = name.rpartition(".")
    parts = module.split(".")
    if parts[0] not in PACKAGES or _NO_MODELS.intersection(parts):
        return None
    try:
        found = getattr(import_module(module), kind, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and found.__module__ == module else None


def dump(
    estimator: BaseEstimator, take_out: Callable[[BaseEstimator], bool]
) -> tuple[bytes, list[BaseEstimator]]:
    """Write an estimator of scikit-learn or imbalanced-learn as a skops archive.

    Parameters
    ----------
    estimator : BaseEstimator
    take_out : callable
        Takes an estimator inside `estimator`; returns whether the archive refers to it by a number
        instead of holding it.

    Returns
    -------
    bytes
        The archive.
    list of BaseEstimator
        The estimators that were taken out.

    Notes
    -----
    The archive may hold code: check it with `find_strange`.
    """
    parts: list[BaseEstimator] = []

    def swap(value: Any) -> Any:
        if value is estimator or not isinstance(value, BaseEstimator) or not take_out(value):
            return value
        parts.append(value)
        return {PART: len(parts) - 1}

    return skops.io.dumps(_replace(estimator, swap, {})), parts


def load(content: bytes, parts: Sequence[BaseEstimator]) -> BaseEstimator:
    """Read an archive that `dump` wrote.

    Raises
    ------
    ValueError
        If the archive holds a class or function that is not allowed, its arrays need more memory
        than the archive, or the indices in a tree of scikit-learn are invalid. scikit-learn would
        read memory outside of its arrays.
    """
    if strange := find_strange(content):
        raise ValueError(f"it holds a {strange}, which is not allowed")
    schema = _read_schema(content)
    _check_sizes(content, schema)

    def swap(value: Any) -> Any:
        if type(value) is dict and list(value) == [PART]:
            return parts[value[PART]]
        return value

    names = {name for _, name in _list_nodes(schema)}
    trusted = sorted(
        name for name in names if name.split(".")[0] not in ("builtins", "collections")
    )
    with warnings.catch_warnings():
        # Each archive would warn separately; `edaemo.load` warns once.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        loaded = skops.io.loads(content, trusted=trusted)
    seen: dict[int, Any] = {}
    estimator = _replace(loaded, swap, seen)
    for _, value in seen.values():
        _settle_deprecated(value)
        _check_indices(value)
    return estimator


def find_strange(content: bytes) -> str | None:
    """Return the name of the first part of an archive that is not allowed.

    skops itself allows less (no class of imbalanced-learn, no tree) and more (functions of numpy).
    """
    schema = _read_schema(content)
    if schema["protocol"] != PROTOCOL:
        return f"part of skops protocol {schema['protocol']}"
    for node, name in _list_nodes(schema):
        loader = str(node.get("__loader__"))
        known = find_class(name) if loader == "ObjectNode" else name in _NODES.get(loader, ())
        if not known:
            return name
    return None


def _replace(value: Any, swap: Callable[[Any], Any], seen: dict[int, Any]) -> Any:
    """Return a value in which `swap` has replaced some parts; unchanged parts are not copied.

    A value that occurs twice is replaced once. `seen` holds each value, old and new, by the id of
    the old one.
    """
    if id(value) in seen:
        return seen[id(value)][1]
    new = swap(value)
    seen[id(value)] = value, new
    if new is value:
        seen[id(value)] = value, _replace_inside(value, lambda part: _replace(part, swap, seen))
    return seen[id(value)][1]


def _replace_inside(value: Any, replace: Callable[[Any], Any]) -> Any:
    """Return a container or an object of scikit-learn with replaced parts."""
    if type(value) in (list, tuple):
        parts = [replace(part) for part in value]
        return type(value)(parts) if _differ(parts, value) else value
    if isinstance(value, dict):
        parts = [replace(part) for part in value.values()]
        if _differ(parts, value.values()):
            value = copy.copy(value)
            value.update(zip(value, parts, strict=True))
        return value
    if isinstance(value, np.ndarray) and value.dtype == object:
        parts = [replace(part) for part in np.ma.getdata(value).ravel()]
        if _differ(parts, np.ma.getdata(value).ravel()):
            value = value.copy()
            np.ma.getdata(value).flat[:] = parts
        return value
    if hasattr(value, "__dict__") and find_class(_name(type(value))) is type(value):
        named = {k: None if k == LOCAL else replace(part) for k, part in vars(value).items()}
        if _differ(named.values(), vars(value).values()):
            value = copy.copy(value)
            vars(value).update(named)
    return value


def _differ(new: Iterable[object], old: Iterable[object]) -> bool:
    return any(before is not after for before, after in zip(old, new, strict=True))


def _read_schema(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_members(archive)
        return json.loads(archive.read("schema.json"))


def _check_sizes(content: bytes, schema: dict[str, Any]) -> None:
    """Raise a ValueError if the arrays of an archive would take more memory than their members.

    skops reads a member each time that a node without a known id names it.
    """
    readers: dict[str, object] = {}
    for node, _ in _list_nodes(schema):
        if (file := node.get("file")) is not None:
            number = node.get("__id__")
            if number is None or readers.setdefault(str(file), number) != number:
                raise ValueError(f"two parts have the values {file!r:.80}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            member = archive.read(info)
            if member.startswith(b"PK"):  # a sparse matrix, compressed
                _check_sparse(member)
            else:
                _check_array(io.BytesIO(member), len(member))


def _check_sparse(member: bytes) -> None:
    """Raise a ValueError if the arrays of a sparse matrix are larger than their bytes."""
    with zipfile.ZipFile(io.BytesIO(member)) as archive:
        for info in archive.infolist():
            if info.file_size > max(2**20, _MOST_COMPRESSED * len(member)):
                raise ValueError(f"{info.filename!r:.80} is compressed too much")
            with archive.open(info) as file:
                _check_array(file, info.file_size)


def _check_array(file: IO[bytes], size: int) -> None:
    """Raise a ValueError if an array in numpy's format has more elements than bytes."""
    if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        return
    version = file.read(2)
    read = {b"\1\0": npy.read_array_header_1_0, b"\2\0": npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"an array has the unknown format {version!r}")
    try:
        shape, _, dtype = read(file)
    except (TokenError, SyntaxError) as error:
        raise ValueError(f"an array has a wrong header: {error}") from error
    if math.prod(shape) * max(dtype.itemsize, 1) > size:
        raise ValueError(f"an array of shape {shape!r:.80} has only {size} bytes")


def _list_nodes(node: object) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the nodes of a schema, and the names of their classes."""
    if isinstance(node, list):
        for child in node:
            yield from _list_nodes(child)
    elif isinstance(node, dict):
        if node.keys() & {"__class__", "__module__", "__loader__"}:
            yield node, f"{node.get('__module__')}.{node.get('__class__')}"
        for child in node.values():
            yield from _list_nodes(child)


def _settle_deprecated(value: object) -> None:
    """Set parameters that the file's scikit-learn deprecated to the defaults of the installed one.

    The file holds the text "deprecated" for them. An older version would read it as true.
    """
    if not isinstance(value, BaseEstimator):
        return
    for name, parameter in inspect.signature(type(value)).parameters.items():
        given = vars(value).get(name)
        if isinstance(given, str) and given == "deprecated":
            setattr(value, name, parameter.default)


def _check_indices(value: object) -> None:
    """Raise a ValueError if an index in a fitted tree is outside of its array.

    scikit-learn does not check these indices when it predicts.
    """
    if isinstance(value, Tree):
        inner = value.children_left != -1
        sides = [value.children_left, value.children_right]
        _check_nodes([side[inner] for side in sides], np.flatnonzero(inner), value.node_count)
        _check_range(value.feature[inner], value.n_features)
    elif isinstance(value, TreePredictor):
        inner = value.nodes["is_leaf"] == 0
        sides = [value.nodes[side][inner].astype(np.int64) for side in ("left", "right")]
        _check_nodes(sides, np.flatnonzero(inner), len(value.nodes))
        by_category = inner & (value.nodes["is_categorical"] != 0)
        for bitsets in (value.binned_left_cat_bitsets, value.raw_left_cat_bitsets):
            _check_range(value.nodes["bitset_idx"][by_category], len(bitsets))
    elif isinstance(value, KDTree | BallTree):
        data, indices, nodes, bounds = map(np.asarray, value.get_arrays())
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        _check_nodes([2 * inner + 1, 2 * inner + 2], inner, len(nodes))
        _check_range(indices, len(data))
        _check_range(nodes["idx_start"], len(data) + 1)
        _check_range(nodes["idx_end"], len(data) + 1)
        if len(indices) != len(data) or bounds.shape[1:] != (len(nodes), data.shape[1]):
            raise ValueError("the arrays of a neighbour tree differ in length")
    elif scipy.sparse.issparse(value) and hasattr(value, "check_format"):
        value.check_format(full_check=True)
    elif isinstance(value, BaseEstimator):
        _check_widths(value)


def _check_widths(estimator: BaseEstimator) -> None:
    """Raise a ValueError if a tree reads more columns than its estimator accepts."""
    accepted = getattr(estimator, "n_features_in_", 0)
    for predictor in _flatten(vars(estimator).get("_predictors", [])):
        inner = predictor.nodes["is_leaf"] == 0
        _check_range(predictor.nodes["feature_idx"][inner], accepted)
    members = list(_flatten(vars(estimator).get("estimators_", [])))
    chosen = vars(estimator).get("estimators_features_")
    widths = [accepted] * len(members) if chosen is None else [len(columns) for columns in chosen]
    for member, width in zip([estimator, *members], [accepted, *widths], strict=True):
        tree = getattr(member, "tree_", None)
        if isinstance(tree, Tree) and tree.n_features > width:
            raise ValueError(f"a tree reads {tree.n_features} columns of {width}")


def _flatten(values: object) -> Iterator[Any]:
    """Yield the elements of nested lists and arrays; an estimator may be a sequence, too."""
    if isinstance(values, list | tuple | np.ndarray):
        for value in values:
            yield from _flatten(value)
    else:
        yield values


def _check_nodes(sides: Sequence[np.ndarray], parents: np.ndarray, n_nodes: int) -> None:
    """Raise a ValueError unless a tree has a root, and children are later nodes than parents."""
    if not n_nodes:
        raise ValueError("a tree has no nodes")
    for children in sides:
        _check_range(children, n_nodes)
        if (children <= parents).any():
            raise ValueError("a node of a tree comes before its parent")


def _check_range(indices: np.ndarray, end: int) -> None:
    if len(indices) and not (indices.min() >= 0 and indices.max() < end):
        raise ValueError(f"an index in a tree is {indices.max()}, but its array has {end} elements")
