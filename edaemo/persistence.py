"""Fitted estimators in files: `save` and `load`; `export_onnx` for networks without torch."""

from __future__ import annotations

import copy
import json
import platform
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import imblearn.pipeline
import numpy as np
import pandas as pd
import sklearn.pipeline
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import edaemo.estimators
import edaemo.features
import edaemo.fusion
import edaemo.preprocessing
from edaemo import __version__, _sklearn_parts
from edaemo._safe_file import (
    ARRAYS,
    BROKEN,
    HEAD,
    Decoder,
    Encoder,
    FileError,
    LackingError,
    edited,
    read_archive,
    readable,
    to_json,
    write_archive,
)
from edaemo._saved import SAVED, Saved, name_of, saved
from edaemo._signature import (
    NEEDS_CRYPTOGRAPHY,
    PrivateKey,
    PublicKey,
    Signature,
    read_private_key,
    read_public_keys,
)
from edaemo._sklearn import AnyEstimator
from edaemo._torch import import_name, loaded_class

if TYPE_CHECKING:
    from torch import nn

    from edaemo._onnx import export_onnx
    from edaemo.estimators import NetworkEstimator

__all__ = ["FileError", "describe", "export_onnx", "load", "save"]

_Kind = TypeVar("_Kind")
_Key = TypeVar("_Key")
_Read = TypeVar("_Read")
_HOME = {"export_onnx": "edaemo._onnx"}

FORMAT = 2

for _name, _kind in (
    ("sklearn.pipeline.Pipeline", sklearn.pipeline.Pipeline),
    ("imblearn.pipeline.Pipeline", imblearn.pipeline.Pipeline),
):
    saved(_name)(_kind)
# Parameters that describe the machine, not the model. A joblib folder could even run code: it
# holds pickles, which the first prediction would read.
# `compile` would start a compiler. Each is saved as this value.
_LOCAL = {"memory": None, "checkpoint": None, "cache": None, "compile": False}
# Threads or processes that a model in a file may start, at most.
_MOST_WORKERS = 256
# Attributes that are not saved: the report on the last call, and values derived from the state.
_DERIVED = ("report_", "_layout")
# Attributes that set_output and set_…_request set; methods that have a set_…_request.
_SETTINGS = ("_sklearn_output_config", "_metadata_request")
_METHODS = (
    "fit",
    "fit_resample",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score",
    "transform",
    "inverse_transform",
)


def __getattr__(name: str) -> object:
    return import_name(__name__, name, _HOME)


def save(
    estimator: AnyEstimator,
    path: str | PathLike[str],
    *,
    audit: pd.DataFrame | Mapping[str, Any] | None = None,
    key: PrivateKey | None = None,
) -> None:
    """Write a fitted estimator or pipeline to a file that holds no code.

    Parameters
    ----------
    estimator : estimator
        Any estimator of edaemo, also with your own torch module if it can be imported by its name;
        an estimator of scikit-learn or imbalanced-learn that holds no function (except score
        functions for the selection of features); or a composition of these, such as a pipeline, a
        ColumnTransformer, a CalibratedClassifierCV or a VotingClassifier. It must be fitted if it
        has a method `predict`.
    path : path
        The file, usually ``….edaemo``. It is written completely or not at all. An existing file
        is replaced.
    audit : DataFrame, dict or None, default=None
        Evaluation of the model to store in the file, such as the table of
        :func:`edaemo.benchmark.audit`; `describe` returns it.
    key : Ed25519PrivateKey, path or None, default=None
        Key to sign the file with: a key of the package cryptography, or a file in PEM format, as
        ``openssl genpkey -algorithm ed25519`` writes it. None: the file is not signed. Needs
        ``pip install edaemo[sign]``.

    Raises
    ------
    ValueError
        If `key` is not a private Ed25519 key.
    FileError
        If a part of the estimator cannot be saved (the error names the step and the solution), the
        file cannot be written, or the written file cannot be read back. An earlier file of this
        name is then unchanged.
    NotFittedError
        If the estimator has a method `predict` and is not fitted.

    See Also
    --------
    load : Read the file.
    export_onnx : A network that runs without torch.

    Notes
    -----
    ``docs/files.md`` describes the file format. The file holds ids of training subjects if a step
    stores them (`SubjectStandardizer`, `SubjectThresholdRelabeler`, subjects held out for
    validation). `memory`, `cache` and `checkpoint`, which are paths on one machine, become None.
    `compile`, which would start a compiler, becomes False.
    Before `save` returns, it reads the file, and compares the outputs of the networks in it with
    those of the estimator.

    Examples
    --------
    >>> import tempfile
    >>> from edaemo.estimators import CNNClassifier
    >>> X = np.random.default_rng(0).normal(size=(20, 16))
    >>> model = CNNClassifier(n_filters=8, max_epochs=2, random_state=0).fit(X, [0, 1] * 10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, Path(folder) / "model.edaemo")
    ...     loaded = load(Path(folder) / "model.edaemo")
    >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    if hasattr(estimator, "predict"):
        check_is_fitted(estimator)
    private = None if key is None else _with_cryptography(read_private_key, key)
    writer = _Writer()
    tree = writer.encode(estimator, type(estimator).__name__)
    head = {
        "versions": _versions(),
        "classes": _describe_classes(estimator),
        "input": _describe_input(estimator),
        "training": writer.training,
        "estimator": tree,
        "audit": readable(audit),
    }
    members = {HEAD: to_json(head), ARRAYS: writer.array_bytes(), **writer.members}
    check = partial(writer.check, path)
    write_archive(Path(path), "model", FORMAT, members, check=check, key=private)


def load(
    path: str | PathLike[str],
    *,
    device: str | None = None,
    trusted: Sequence[str] = (),
    trusted_keys: Sequence[PublicKey] | None = None,
) -> Any:
    """Read an estimator that `save` wrote. No code in the file is run.

    Parameters
    ----------
    path : path
        The file.
    device : str or None, default=None
        Device of the networks, like the parameter `device` of the classifiers; None for the device
        in the file.
    trusted : sequence of str, default=()
        Your own classes (torch modules, network estimators) that the file may name, each by its
        module and name, such as ``"mypackage.MyNet"``. Their modules are imported.
    trusted_keys : sequence of Ed25519PublicKey, str or path, or None, default=None
        Public keys, one of which must have signed the file: keys of the package cryptography, 64
        hexadecimal digits each, or files in PEM format. None: the file need not be signed, and its
        signature is not checked. Needs ``pip install edaemo[sign]``.

    Returns
    -------
    estimator
        Its predictions equal those of the saved estimator, to the last bit on the same machine
        with the same versions. It can be fitted again, but finished training cannot be continued.

    Raises
    ------
    FileError
        If the file is missing, damaged, not written by edaemo, of a newer format, names a class
        that is neither registered nor trusted, cannot be read by the installed versions, holds
        a network and torch is not installed, or is not signed with one of `trusted_keys`.
    ValueError
        If `trusted_keys` is empty or holds something that is not a public Ed25519 key.

    Warns
    -----
    UserWarning
        If steps of scikit-learn were saved with another version of scikit-learn, or a network with
        another version of torch. One warning names all versions.

    See Also
    --------
    save : Write the file; its example reads it again.
    describe : What a file holds, without reading its arrays.
    """
    path = Path(path)
    if isinstance(trusted, str):
        raise TypeError(f"trusted must be a list of names, got the text {trusted!r}.")
    check = None
    if trusted_keys is not None:
        check = partial(_check_signer, path, _with_cryptography(read_public_keys, trusted_keys))
    members = read_archive(path, "model", FORMAT, check=check)
    others: dict[str, str] = {}
    try:
        head = json.loads(members[HEAD])
        others = _other_versions(head["versions"])
        estimator = _Reader(members, device, trusted).decode(head["estimator"])
    except (LackingError, ImportError) as error:
        raise FileError(f"{path}: {error!s:.1000}") from error
    except BROKEN as error:
        wrong = edited(path, error)
        if others:
            wrong = FileError(
                f"{wrong} It was saved with {', '.join(others.values())}: if it was not edited, "
                "load it with those versions."
            )
        raise wrong from error
    _warn_of_versions(path, others, members)
    return estimator


def describe(path: str | PathLike[str]) -> dict[str, Any]:
    """Read the description of the model in a file of `save`, without creating the model.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        ``versions`` of Python and the libraries; ``classes`` and their dtype (lists of them, of
        several outputs); ``input``, the
        columns that the last step takes; ``training``, a list with one entry per network (layout
        of a row, epochs, losses, recipe, seed, subjects held out for validation, number of
        training rows); ``estimator``, the steps and their parameters; ``audit``; ``signature``,
        None if the file is not signed, else a dict of ``public_key``, 64 hexadecimal digits, and
        ``checked``, False if the package cryptography is not installed.

    Raises
    ------
    FileError
        As for `load`, and if the signature is wrong.
    """
    path = Path(path)
    found: list[dict[str, Any] | None] = []

    def keep(signature: Signature | None) -> None:
        found.append(_describe_signature(path, signature))

    members = read_archive(path, "model", FORMAT, check=keep)
    try:
        return {**json.loads(members[HEAD]), "signature": found[0]}
    except FileError:
        raise
    except BROKEN as error:
        raise edited(path, error) from error


def _describe_signature(path: Path, signature: Signature | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    is_checked = find_spec("cryptography") is not None
    if is_checked and not signature.is_right():
        raise FileError(_WRONG_SIGNATURE.format(path, signature.public_key))
    return {"public_key": signature.public_key, "checked": is_checked}


def _check_signer(path: Path, trusted: Collection[str], signature: Signature | None) -> None:
    """Raise a FileError unless a file was signed with a trusted key."""
    if signature is None:
        raise FileError(
            f"{path}: the file is not signed, but trusted_keys asks for a signature: load it "
            "without trusted_keys if you trust it, or have it signed."
        )
    if signature.public_key not in trusted:
        raise FileError(
            f"{path}: the file was signed with {signature.public_key}, which is not one of "
            "trusted_keys."
        )
    if not signature.is_right():
        raise FileError(_WRONG_SIGNATURE.format(path, signature.public_key))


_WRONG_SIGNATURE = (
    "{}: the signature of the key {} does not belong to this file: the file was changed after it "
    "was signed. Get it again from its author."
)


def _with_cryptography(read: Callable[[_Key], _Read], key: _Key) -> _Read:
    """Return the result of a function that needs cryptography; name the extra if it is missing."""
    try:
        return read(key)
    except ModuleNotFoundError as error:
        raise ImportError(f"Signatures need {NEEDS_CRYPTOGRAPHY}") from error


class _TrustError(LackingError):
    """The file is intact, but names a class that is not trusted or cannot be imported."""


def _name_network(network: type[nn.Module], where: str) -> str:
    """Return the name by which `load` finds a class of networks."""
    import edaemo.networks

    name = network.__name__
    if name in edaemo.networks.__all__ and getattr(edaemo.networks, name) is network:
        return f"{edaemo.networks.__name__}.{name}"
    return _importable(network, where)


def _importable(kind: type, where: str) -> str:
    """Return module and name of a class; raise a FileError if it cannot be imported by them."""
    found = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None)
    if found is not kind or kind.__module__ == "__main__":
        raise FileError(
            f"{where} is {kind!r}, which cannot be imported by its name: define the class at the "
            "top of a module."
        )
    return f"{kind.__module__}.{kind.__qualname__}"


def _check_kind(name: str, found: object, kind: type[_Kind]) -> type[_Kind]:
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise _TrustError(f"{name!r} is not a {kind.__name__}.")
    return found


def _refuse_code(parameters: Mapping[str, Any], where: str) -> None:
    """Raise a FileError for parameters that hold code; the error names the solution."""
    if parameters.get("callbacks"):
        raise FileError(
            f"{where} has callbacks ({', '.join(map(_type_name, parameters['callbacks']))}), "
            "which are code. Predicting does not need them: set_params(callbacks=None) and "
            "save again."
        )
    if _draws(parameters.get("random_state")):
        raise FileError(
            f"{where} has a RandomState as random_state. Predicting does not need it: "
            "set_params(random_state=None), or a number, and save again."
        )
    music = parameters.get("music")
    if music is not None and not isinstance(music, pd.DataFrame):
        kind = "an extractor with files" if isinstance(music, tuple) else "a callable"
        raise FileError(
            f"{where}: music is {kind}, which would run code. Compute the features once, as a "
            "DataFrame with a row for each stimulus, and fit with music=<that DataFrame>."
        )


def _refuse_workers(parameters: Mapping[str, Any], where: str) -> None:
    """Raise a FileError for a number of threads or processes that no machine has use for."""
    for key, value in parameters.items():
        workers = key.rpartition("__")[2] in ("n_jobs", "n_threads", "thread_count")
        if workers and isinstance(value, Integral) and abs(int(value)) > _MOST_WORKERS:
            raise FileError(
                f"{where} has {key}={value}: use a number up to {_MOST_WORKERS}, which a model in "
                "a file may start."
            )


class _Writer(Encoder):
    """Encodes estimators too; networks and scikit-learn's estimators become separate members."""

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[str, bytes] = {}
        self.training: list[dict[str, Any]] = []
        self.networks: list[tuple[NetworkEstimator, str]] = []
        self.own: set[str] = set()  # names that `load` reads only if they are trusted

    def encode(self, value: Any, where: str) -> Any:
        if isinstance(value, type) and issubclass(value, loaded_class("torch.nn", "Module")):
            name = _name_network(value, where)
            self.own.add(name)
            return {"$module": name}
        if not isinstance(value, BaseEstimator):
            return super().encode(value, where)
        if (known := name_of(type(value))) is not None:
            return self._ours(value, known, SAVED[known].state, where)
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if _sklearn_parts.find_class(name) is type(value):
            return self._sklearn(value, name, where)
        if isinstance(value, loaded_class("edaemo.estimators._network", "NetworkEstimator")):
            name = _importable(type(value), where)
            self.own.add(name)
            return self._ours(value, name, value.state, where)
        raise FileError(
            f"{where} is a {name}, which edaemo.save cannot save. It can save the estimators of "
            "edaemo, scikit-learn and imbalanced-learn. Use one of these, or save this step with "
            "the library that it comes from."
        )

    def _ours(
        self, estimator: BaseEstimator, name: str, fitted: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        parameters = estimator.get_params(deep=False)
        _refuse_code(parameters, where)
        _refuse_workers(parameters, where)
        encoded = {}
        for key, value in parameters.items():
            if key == "steps":
                encoded[key] = [
                    [name_of_step, self.encode(step, f"step {name_of_step!r} ({_type_name(step)})")]
                    for name_of_step, step in value
                ]
            else:
                local = _LOCAL.get(key, value)
                encoded[key] = self.encode(local, f"{where}: {key}")
        node = {"$estimator": name, "parameters": encoded, **self._settings(estimator)}
        known = {*parameters, *fitted, *_SETTINGS, *_DERIVED, "net_"}
        state = {key: value for key, value in vars(estimator).items() if key not in parameters}
        strange = sorted(state.keys() - known)
        if strange:
            raise FileError(
                f"{where} has an attribute {strange[0]!r}, which edaemo.save cannot save: "
                "delete it."
            )
        node["state"] = {
            key: self.encode(state[key], f"{where}: {key}") for key in fitted if key in state
        }
        if "net_" in state:
            node["net"] = self._net(estimator, where)
        return node

    def _settings(self, estimator: BaseEstimator) -> dict[str, Any]:
        """Return what set_output and set_…_request have set."""
        settings = {}
        if output := vars(estimator).get("_sklearn_output_config"):
            settings["output"] = dict(output)
        if requests := vars(estimator).get("_metadata_request"):
            requested = {method: getattr(requests, method).requests for method in _METHODS}
            settings["requests"] = {
                method: dict(names) for method, names in requested.items() if names
            }
        return settings

    def check(self, path: object, written: Path) -> None:
        """Raise a FileError unless the written file can be read, and its networks predict alike."""
        reader = _Reader(read_archive(written, "model", FORMAT), None, self.own)
        try:
            reader.decode(json.loads(reader.members[HEAD])["estimator"])
        except BROKEN as error:
            raise FileError(
                f"{path}: not saved, because the model could not be read back: {error}"
            ) from error
        for (estimator, where), loaded in zip(self.networks, reader.networks, strict=True):
            if not estimator.predicts_like(loaded):
                raise FileError(
                    f"{path}: not saved. {where}: the network predicts otherwise than a network of "
                    "its class with its parameters and weights, so it was changed after the fit. "
                    "Fit it again, or make the change in a class of your own."
                )

    def _net(self, estimator: NetworkEstimator, where: str) -> dict[str, Any]:
        import safetensors.torch

        try:
            weights, rest = estimator.give_network()
        except KeyError as error:
            raise FileError(
                f"{where}: the network has no weights {error}, so it was changed after the fit: "
                "undo the change (such as pruning), or fit it again."
            ) from error
        self.networks.append((estimator, where))
        member = f"net{len(self.training)}.safetensors"
        self.members[member] = safetensors.torch.save(weights)
        self.training.append(readable(estimator.describe_network()))
        encoded = {key: self.encode(value, f"{where}: net_.{key}") for key, value in rest.items()}
        return {"weights": member, **encoded}

    def _sklearn(self, estimator: BaseEstimator, name: str, where: str) -> dict[str, Any]:
        """Write an estimator of scikit-learn or imbalanced-learn; edaemo's inside it are parts."""
        for key, value in estimator.get_params(deep=True).items():
            if key.rpartition("__")[2] == "random_state" and _draws(value):
                raise FileError(
                    f"{where} holds a {_type_name(value)} as {key}. Predicting does not need it: "
                    f"set_params({key}=None), or a number, and save again."
                )
        plain = copy.copy(estimator)
        for key in _SETTINGS:
            vars(plain).pop(key, None)
        try:
            content, parts = _sklearn_parts.dump(plain, _is_known)
        except BROKEN as error:
            raise FileError(f"{where} cannot be saved: {error}") from error
        if strange := _sklearn_parts.find_strange(content):
            is_search = hasattr(estimator, "best_estimator_")
            raise FileError(
                f"{where} holds a {strange}, which cannot be saved: the file must hold no code. "
                "Use numbers or text as parameters, and a number as random_state."
                + " Of a search, save best_estimator_."
                * is_search
                + " Of a tuned threshold, save FixedThresholdClassifier(FrozenEstimator("
                "model.estimator_), threshold=model.best_threshold_), fitted."
                * hasattr(estimator, "best_threshold_")
            )
        member = f"part{len(self.members)}.skops"
        self.members[member] = content
        return {
            "$estimator": name,
            "skops": member,
            "parameters": readable(
                {k: v for k, v in estimator.get_params(deep=False).items() if k not in _LOCAL}
            ),
            "parts": [self.encode(part, f"{where}: {_type_name(part)}") for part in parts],
            **self._settings(estimator),
        }


class _Reader(Decoder):
    """Decodes estimators too."""

    def __init__(
        self, members: Mapping[str, bytes], device: str | None, trusted: Collection[str]
    ) -> None:
        super().__init__(members[ARRAYS])
        # Each member is read for one place only.
        self.members, self.device, self.trusted = dict(members), device, trusted
        self.networks: list[NetworkEstimator] = []

    def _make_estimator(self, name: str, node: dict[str, Any]) -> BaseEstimator:
        is_foreign = _sklearn_parts.find_class(name) is not None
        if name not in SAVED and not is_foreign:
            _import_networks(name)
        if name in SAVED:
            estimator = self._ours(SAVED[name], node)
        elif is_foreign:
            estimator = self._sklearn(name, node)
        else:
            from edaemo.estimators import NetworkEstimator

            kind = self._trusted(name, NetworkEstimator)  # type: ignore[type-abstract]
            estimator = self._ours(Saved(kind, kind.state), node)
        if "output" in node:
            estimator._sklearn_output_config = {
                key: value
                for key, value in node["output"].items()
                if key == "transform" and value in ("default", "pandas", "polars")
            }
        with config_context(enable_metadata_routing=True):
            for method, requests in node.get("requests", {}).items():
                if method not in _METHODS:
                    raise ValueError(f"{name} takes no requests of {method!r}")
                getattr(estimator, f"set_{method}_request")(**requests)
        return estimator

    def _make_module(self, name: str, rest: dict[str, Any]) -> type[nn.Module]:
        from torch import nn

        import edaemo.networks

        module, _, network = name.rpartition(".")
        if module == edaemo.networks.__name__ and network in edaemo.networks.__all__:
            return _check_kind(name, getattr(edaemo.networks, network), nn.Module)
        return self._trusted(name, nn.Module)

    def _trusted(self, name: str, kind: type[_Kind]) -> type[_Kind]:
        """Import a class that is in `trusted`; raise an error for any other class."""
        if name not in self.trusted:
            raise _TrustError(
                f"the class {name!r} is not trusted. If you wrote it or know what it does, use "
                f"load(…, trusted=[{name!r}])."
            )
        module, _, kind_name = name.rpartition(".")
        try:
            return _check_kind(name, getattr(import_module(module), kind_name), kind)
        except (ImportError, AttributeError) as error:
            raise _TrustError(f"{name!r} cannot be imported: {error}.") from error

    def _ours(self, entry: Saved, node: dict[str, Any]) -> BaseEstimator:
        cls, state = entry
        parameters = {key: self.decode(value) for key, value in node["parameters"].items()}
        if "steps" in parameters:
            parameters["steps"] = [tuple(step) for step in parameters["steps"]]
        if parameters.get("compile"):
            warnings.warn(
                f"{cls.__name__} was saved with compile={parameters['compile']!r}, which would "
                "start a compiler. It is not used: set it with set_params(compile=…).",
                UserWarning,
                stacklevel=2,
            )
            parameters["compile"] = False
        for key, value in _LOCAL.items():
            if parameters.get(key, value) != value:
                raise ValueError(f"{cls.__name__} has {key}={parameters[key]!r}")
        _refuse_code(parameters, cls.__name__)
        _refuse_workers(parameters, cls.__name__)
        if self.device is not None and "net" in node:
            parameters["device"] = self.device
        estimator = cls(**parameters)
        estimator._validate_params()
        for key, value in node["state"].items():
            if key not in state:
                raise ValueError(f"{cls.__name__} has no {key!r}")
            setattr(estimator, key, self.decode(value))
        if "net" in node:
            self._net(estimator, node["net"])
        return estimator

    def _net(self, estimator: NetworkEstimator, node: dict[str, Any]) -> None:
        import safetensors.torch

        from edaemo.estimators import find_device

        rest = {key: self.decode(value) for key, value in node.items() if key != "weights"}
        if "criterion_weight" in rest:  # format 1
            weight = rest.pop("criterion_weight")
            rest["loss"] = {} if weight is None else {"weight": weight}
        try:
            find_device(estimator.device)
        except ValueError as error:
            raise LackingError(f"{error} Or load it with device='auto'.") from error
        weights = safetensors.torch.load(self.members.pop(node["weights"]))
        estimator.take_network(weights, **rest)
        self.networks.append(estimator)

    def _sklearn(self, name: str, node: dict[str, Any]) -> BaseEstimator:
        parts = [self.decode(part) for part in node.get("parts", [])]
        estimator = _sklearn_parts.load(self.members.pop(node["skops"]), parts)
        found = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        if found != name:
            raise ValueError(f"{found} is in the place of {name}, which is not allowed")
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        _refuse_workers(estimator.get_params(deep=True), name)
        return estimator


def _is_known(estimator: BaseEstimator) -> bool:
    """Return whether `_Writer` writes an estimator itself, without skops."""
    network = loaded_class("edaemo.estimators._network", "NetworkEstimator")
    return name_of(type(estimator)) is not None or isinstance(estimator, network)


def _import_networks(wanted: str) -> None:
    """Import all estimators, which registers those with a network; ImportError without torch.

    The class `wanted` is imported first, so that the error names it.
    """
    for name in sorted(edaemo.estimators.__all__, key=lambda name: not wanted.endswith(f".{name}")):
        getattr(edaemo.estimators, name)


def _draws(value: object) -> bool:
    return isinstance(value, np.random.RandomState | np.random.Generator)


def _type_name(value: object) -> str:
    return type(value).__name__


def _versions() -> dict[str, str]:
    libraries = ("torch", "skorch", "scikit-learn", "numpy", "pandas", "skops", "safetensors")
    versions = {"edaemo": __version__, "python": platform.python_version()}
    for name in libraries:
        with suppress(PackageNotFoundError):  # torch and skorch may be absent
            versions[name] = version(name)
    return versions


def _other_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """Return both versions of each library whose release differs from that in the file.

    Build tags, such as ``+cpu``, are ignored.
    """
    pairs = [(name, versions.get(name), installed) for name, installed in _versions().items()]
    return {
        name: f"{name} {in_file} (installed: {installed})"
        for name, in_file, installed in pairs
        if in_file is not None and str(in_file).partition("+")[0] != installed.partition("+")[0]
    }


def _warn_of_versions(path: Path, others: dict[str, str], members: Mapping[str, bytes]) -> None:
    named = [
        others[name]
        for name, begin in (("scikit-learn", "part"), ("torch", "net"))
        if name in others and any(member.startswith(begin) for member in members)
    ]
    if named:
        warnings.warn(
            f"{path}: saved with {', '.join(named)}. Predictions may differ from those of the "
            "versions it was saved with: compare some predictions, or install these versions.",
            UserWarning,
            stacklevel=3,
        )


def _last_step(estimator: BaseEstimator) -> BaseEstimator:
    while isinstance(estimator, sklearn.pipeline.Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def _describe_classes(estimator: BaseEstimator) -> dict[str, Any] | None:
    classes = getattr(_last_step(estimator), "classes_", None)
    if classes is None:
        return None
    dtype: str | list[str]
    if isinstance(classes, list):  # of several outputs
        dtype = [str(np.asarray(values).dtype) for values in classes]
    else:
        dtype = str(classes.dtype)
    return {"values": readable(classes), "dtype": dtype}


def _describe_input(estimator: BaseEstimator) -> dict[str, Any]:
    last = _last_step(estimator)
    names = getattr(last, "feature_names_in_", None)
    return {"n_columns": getattr(last, "n_features_in_", None), "columns": readable(names)}
