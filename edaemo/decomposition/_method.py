"""Base class of decompositions, and the registry of their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from difflib import get_close_matches
from itertools import count
from typing import Any, ClassVar, TypeVar

import numpy as np
from joblib import effective_n_jobs

from edaemo.decomposition import _batch
from edaemo.decomposition._result import Components

_registered: dict[str, type[DecompositionMethod]] = {}
_numbers = count()


class DecompositionMethod(ABC):
    """A decomposition of recordings; its settings are the fields of a frozen dataclass.

    To add a decomposition, derive a class, implement `decompose`, and register the class with
    `register_decomposition`.

    Attributes
    ----------
    name : str
        Name for ``method=``; set by `register_decomposition`.
    unit_variance : bool
        Whether the settings are made for recordings of unit variance. If True, a trial is z-scored
        first, and components that are needed in the unit of the trial are scaled back.
    has_driver : bool
        Whether `decompose` returns a driver.
    masks : bool
        Whether `decompose` accepts NaN, as samples without weight.
    """

    # All registered classes are dataclasses.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    name: ClassVar[str]
    number: ClassVar[int]
    unit_variance: ClassVar[bool] = False
    has_driver: ClassVar[bool] = False

    @property
    def masks(self) -> bool:
        """Whether `decompose` accepts NaN, as samples without weight."""
        return False

    @property
    def key(self) -> tuple[object, ...]:
        """Key that is unique among all methods in this process, also if a class is redefined."""
        return (self.name, self.number, repr(self))

    def check(self, sampling_rate: float) -> None:  # noqa: B027 - by default all settings are valid
        """Raise a ValueError if a setting is out of its range.

        Parameters
        ----------
        sampling_rate : float
            Samples per second (Hz).
        """

    @abstractmethod
    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
        """Return the components of one recording.

        Parameters
        ----------
        signal : ndarray of shape (n_samples,)
            The recording: float64 and finite, except NaN if the method masks. Do not change it.
        sampling_rate : float
            Samples per second (Hz).

        Returns
        -------
        Components
            Arrays of shape (n_samples,); see :meth:`Components.from_phasic`.

        Raises
        ------
        ValueError, DecompositionError
            If no decomposition is found; the caller adds the name of the trial.
        """

    def decompose_many(
        self, signals: Sequence[np.ndarray], sampling_rate: float, *, n_jobs: int | None = None
    ) -> Sequence[Components]:
        """Return the components of several recordings, each by `decompose`.

        Parameters
        ----------
        signals : sequence of ndarray
            Recordings, of any lengths.
        sampling_rate : float
            Samples per second (Hz), of all recordings.
        n_jobs : int or None, default=None
            Number of processes, as in joblib.

        Returns
        -------
        sequence of Components
            The components, in the order of `signals`.
        """

        def work(row: int, batch: Sequence[np.ndarray]) -> list[Components]:
            return [self.decompose(signal, sampling_rate) for signal in batch]

        workers = max(1, min(effective_n_jobs(n_jobs), len(signals)))
        return _batch.in_processes(work, signals, workers, None)


Method = TypeVar("Method", bound=type[DecompositionMethod])


def register_decomposition(name: str) -> Callable[[Method], Method]:
    """Return a decorator that registers a class as a decomposition under a name for ``method=``.

    Parameters
    ----------
    name : str
        Such as ``"median"``. A class of the same module and name may be registered again, for
        example when a notebook cell is run twice.

    Returns
    -------
    callable
        Takes and returns the class. It must be a frozen dataclass derived from
        `DecompositionMethod` whose fields (the settings) all have defaults.

    Raises
    ------
    ValueError
        If another class has the name.
    TypeError
        If the class does not meet these conditions.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from edaemo.decomposition import Components, DecompositionMethod, register_decomposition
    >>> @register_decomposition("mean")
    ... @dataclass(frozen=True)
    ... class Mean(DecompositionMethod):
    ...     share: float = 1.0
    ...
    ...     def decompose(self, signal, sampling_rate):
    ...         return Components.from_phasic(signal, self.share * (signal - signal.mean()))
    >>> from edaemo.preprocessing import EDADecomposer
    >>> EDADecomposer(4, method=Mean(share=0.5)).fit_transform(np.arange(8.0)[None])[0, :4]
    array([-1.75, -1.25, -0.75, -0.25], dtype=float32)
    """

    def register(cls: Method) -> Method:
        if not (isinstance(cls, type) and issubclass(cls, DecompositionMethod)):
            raise TypeError(f"{cls!r} does not derive from DecompositionMethod.")
        if not is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(
                f"{cls.__name__} must be a frozen dataclass: decorate it with "
                "@dataclass(frozen=True) below @register_decomposition(...)."
            )
        try:
            cls()
        except TypeError as error:
            raise TypeError(
                f"{cls.__name__} must implement all abstract methods and its settings must have "
                f"defaults: {error}"
            ) from error
        known = _registered.get(name)
        if known is not None and _place(known) != _place(cls):
            raise ValueError(
                f"{'.'.join(_place(known))} is registered as {name!r} already: use another name."
            )
        cls.name, cls.number = name, next(_numbers)
        _registered[name] = cls
        return cls

    return register


def find_decomposition(
    method: str | DecompositionMethod, settings: Mapping[str, Any] | None = None
) -> DecompositionMethod:
    """Return the decomposition for a value of ``method=``.

    Parameters
    ----------
    method : str or DecompositionMethod
        A registered name, or the object itself.
    settings : mapping or None, default=None
        Settings of a named decomposition that differ from the defaults.

    Returns
    -------
    DecompositionMethod
        The object, with these settings.

    Raises
    ------
    ValueError
        If no decomposition is registered under the name, or it lacks a setting in `settings`.
    """
    if isinstance(method, DecompositionMethod):
        if "name" not in vars(type(method)):
            raise ValueError(
                f"the class of {method!r} is not registered: decorate it with "
                "register_decomposition."
            )
        return method
    if method not in _registered:
        near = get_close_matches(str(method), _registered, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"method={method!r} is not registered: {hint}There are {decomposition_names()}. To use "
            "your own decomposition, import the module that registers it (register_decomposition)."
        )
    cls, settings = _registered[method], settings or {}
    possible = [field.name for field in fields(cls)]
    strange = [name for name in settings if name not in possible]
    if strange:
        raise ValueError(
            f"method={method!r} has no setting {strange[0]!r}: it has {', '.join(possible)}."
        )
    return cls(**settings)


def decomposition_names() -> list[str]:
    """Return the names of all registered decompositions, in alphabetical order.

    Returns
    -------
    list of str
        Values of ``method=``.
    """
    return sorted(_registered)


def find_own_class(method: object) -> type[DecompositionMethod] | None:
    """Return the class that is registered under a name if it is not part of edaemo, else None.

    Parameters
    ----------
    method : object
        Value of ``method=``.

    Returns
    -------
    type or None
        The user's class; None for a decomposition of edaemo and for an object.
    """
    cls = _registered.get(method) if isinstance(method, str) else None
    return None if cls is None or cls.__module__.startswith("edaemo.") else cls


def adopt_class(cls: type[DecompositionMethod]) -> None:
    """Register a class that was registered in another process."""
    known = _registered.get(cls.name)
    if known is None or _place(known) != _place(cls):
        register_decomposition(cls.name)(cls)


def _place(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
