"""What a decomposition is, and the ones there are: each registers itself by a name."""

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
    """A way to take a recording apart; its settings are the fields of a frozen dataclass.

    Derive from it, write `decompose`, and register the class by `register_decomposition`.

    Attributes
    ----------
    name : str
        By which ``method=`` finds it; `register_decomposition` sets it.
    unit_variance : bool
        Whether the settings are made for recordings of unit variance. Then a trial is z-scored
        before, and its components are scaled back, wherever they are to be in the trial's own unit.
    has_driver : bool
        Whether `decompose` gives a driver.
    masks : bool
        Whether `decompose` takes NaN, as samples without weight.
    """

    # Every class that is registered is a dataclass.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    name: ClassVar[str]
    number: ClassVar[int]
    unit_variance: ClassVar[bool] = False
    has_driver: ClassVar[bool] = False

    @property
    def masks(self) -> bool:
        """Whether `decompose` takes NaN, as samples without weight."""
        return False

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from every other method in this process, classes redefined included."""
        return (self.name, self.number, repr(self))

    def check(self, sampling_rate: float) -> None:  # noqa: B027 - nothing need be out of range
        """Raise a ValueError if a setting is out of its range at this sampling rate (Hz)."""

    @abstractmethod
    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Components:
        """Return the components of one recording.

        Parameters
        ----------
        signal : ndarray of shape (n_samples,)
            float64 and finite, but for NaN where the method masks. It is not to be changed.
        sampling_rate : float
            Samples per second (Hz).

        Returns
        -------
        Components
            Arrays of shape (n_samples,); see :meth:`Components.from_phasic`.

        Raises
        ------
        ValueError, DecompositionError
            If there is no answer; who calls adds the trial.
        """

    def decompose_many(
        self, signals: Sequence[np.ndarray], sampling_rate: float, *, n_jobs: int | None = None
    ) -> Sequence[Components]:
        """Return the components of several recordings, each as `decompose` gives them.

        Parameters
        ----------
        signals : sequence of ndarray
            Recordings, of any lengths.
        sampling_rate : float
            Samples per second (Hz), of all.
        n_jobs : int or None, default=None
            Processes to share the work, as in joblib.
        """

        def work(row: int, some: Sequence[np.ndarray]) -> list[Components]:
            return [self.decompose(signal, sampling_rate) for signal in some]

        workers = max(1, min(effective_n_jobs(n_jobs), len(signals)))
        return _batch.in_processes(work, signals, workers, None)


Method = TypeVar("Method", bound=type[DecompositionMethod])


def register_decomposition(name: str) -> Callable[[Method], Method]:
    """Return a decorator that makes a class the decomposition that ``method=`` finds by a name.

    Parameters
    ----------
    name : str
        Such as ``"median"``. A class of the same module and name may be registered again, as
        when a cell of a notebook is run twice.

    Returns
    -------
    callable
        Takes the class, a frozen dataclass derived from `DecompositionMethod` whose fields, the
        settings, all have defaults, and gives it back.

    Raises
    ------
    ValueError
        If another class has the name.
    TypeError
        If the class is none of these.

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
                f"{cls.__name__} must be a frozen dataclass, decorated by "
                "@dataclass(frozen=True) below @register_decomposition(...)."
            )
        try:
            cls()
        except TypeError as error:
            raise TypeError(
                f"{cls.__name__} must be complete and its settings must have defaults: {error}"
            ) from error
        known = _registered.get(name)
        if known is not None and _place(known) != _place(cls):
            raise ValueError(
                f"{'.'.join(_place(known))} is registered as {name!r} already: take another name."
            )
        cls.name, cls.number = name, next(_numbers)
        _registered[name] = cls
        return cls

    return register


def find_decomposition(
    method: str | DecompositionMethod, settings: Mapping[str, Any] | None = None
) -> DecompositionMethod:
    """Return the decomposition that ``method=`` means.

    Parameters
    ----------
    method : str or DecompositionMethod
        A name, or the object itself.
    settings : mapping or None, default=None
        Of the settings of a named one, those that are not the defaults.

    Raises
    ------
    ValueError
        If no decomposition is registered by the name, or it has no such setting.
    """
    if isinstance(method, DecompositionMethod):
        if "name" not in vars(type(method)):
            raise ValueError(
                f"the class of {method!r} is not registered: decorate it by register_decomposition."
            )
        return method
    if method not in _registered:
        near = get_close_matches(str(method), _registered, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"method={method!r} is not registered: {hint}There are {decomposition_names()}, and a "
            "decomposition of your own once the module that registers it (register_decomposition) "
            "is imported."
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
    """Return the names of all decompositions that are registered, in alphabetical order."""
    return sorted(_registered)


def find_own_class(method: object) -> type[DecompositionMethod] | None:
    """Return the class that a name means, if it was registered outside the package."""
    cls = _registered.get(method) if isinstance(method, str) else None
    return None if cls is None or cls.__module__.startswith("edaemo.") else cls


def adopt_class(cls: type[DecompositionMethod]) -> None:
    """Register a class that came from another process, where it was registered."""
    known = _registered.get(cls.name)
    if known is None or _place(known) != _place(cls):
        register_decomposition(cls.name)(cls)


def _place(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
