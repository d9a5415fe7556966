"""Decomposition of trials by any method, with a cache of results within the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from joblib import Memory, Parallel, delayed
from sklearn.utils.validation import check_memory

from edaemo._cache import TrialCache
from edaemo.decomposition import (
    Components,
    Decomposition,
    DecompositionError,
    DecompositionMethod,
    adopt_class,
    find_own_class,
    leave_out_context,
    trim_context,
)

# A trial is flat if its standard deviation is at most this share of its largest absolute value.
FLAT = 1e-12
# A sample counts as active if its driver exceeds this share of the trial's largest.
ACTIVE = 0.01

_cache = TrialCache(max_bytes=256 * 2**20)


class SignalQualityWarning(UserWarning):
    """A property of the recordings that affects the interpretation of results."""


@dataclass(frozen=True)
class DecomposedTrial:
    """One decomposed trial.

    Parameters
    ----------
    source : ndarray of shape (n_samples,)
        Input of the decomposition, ``(recording - offset) / scale``; missing samples are NaN.
    result : Components
        The components of `source`.
    offset, scale : float
        Mean and standard deviation of the recording; 0 and 1 if it was not z-scored.
    flat : bool
        Whether the recording is constant.
    n_missing : int, default=0
        Number of missing samples.
    n_repaired : int, default=0
        Number of samples of artefacts that were interpolated or masked.
    beyond_repair : bool, default=False
        Whether artefacts could not be repaired, because fewer than two samples are free of them.
    """

    source: np.ndarray
    result: Components
    offset: float
    scale: float
    flat: bool
    n_missing: int = 0
    n_repaired: int = 0
    beyond_repair: bool = False

    @cached_property
    def seen(self) -> np.ndarray | slice:
        """The samples that are not missing, as an index."""
        missing = np.isnan(self.source)
        return ~missing if missing.any() else slice(None)

    def channel(self, name: str) -> np.ndarray:
        """Return a channel, finite at every sample.

        Parameters
        ----------
        name : {"original", "phasic", "tonic", "driver", "residual"}
            Name of the channel.

        Returns
        -------
        ndarray of shape (n_samples,)
            The channel, in the unit of `source`. At missing samples, the original is interpolated
            linearly (the nearest sample at the ends), and the residual is 0.
        """
        if name not in ("original", "residual"):
            return getattr(self.result, name)
        values = self.source if name == "original" else self.result.residual
        if isinstance(self.seen, slice):
            return values
        if name == "residual":
            return np.where(self.seen, values, 0.0)
        place = np.arange(len(values))
        return np.interp(place, place[self.seen], values[self.seen])

    def rescale(self) -> Components:
        """Return the components in the unit of the recording.

        Returns
        -------
        Components
            Each of shape (n_samples,); driver is None without one.
        """
        driver = self.result.driver
        return Components(
            self.scale * self.result.phasic,
            self.scale * self.result.tonic + self.offset,
            None if driver is None else self.scale * driver,
            self.scale * self.result.residual,
        )

    @property
    def status(self) -> str:
        """Status of the solver: "optimal" if it reached its tolerance, or without solver."""
        return self.result.status if isinstance(self.result, Decomposition) else "optimal"

    @property
    def cancellation(self) -> bool:
        """Whether phasic and tonic largely cancel each other."""
        return bool(np.ptp(self.result.phasic) > 2 * np.ptp(self.source[self.seen]))

    def diagnose(self) -> dict[str, Any]:
        """Return one row of `CvxEDATransformer.diagnostics_`.

        Returns
        -------
        dict of str to object
            Column → value.
        """
        source, result = self.source[self.seen], self.result
        variance = np.var(source)
        power = float(np.mean(result.residual[self.seen] ** 2))
        density = np.nan
        if result.driver is not None:
            density = float(np.mean(result.driver > ACTIVE * np.max(result.driver)))
        gap, n_iter = 0.0, 0
        if isinstance(result, Decomposition):
            gap, n_iter = result.gap, result.n_iter
        return {
            "status": self.status,
            "gap": gap,
            "n_iter": n_iter,
            "residual_rms": float(np.sqrt(power)),
            "residual_share": power / float(variance) if variance > 0 else 0.0,
            "driver_density": density,
            "cancellation": self.cancellation,
            "flat": self.flat,
            "n_missing": self.n_missing,
            "n_repaired": self.n_repaired,
            "beyond_repair": self.beyond_repair,
        }


class DecomposingMixin:
    """Mixin for estimators with a parameter `method`, which may be the name of a user's class.

    A pickle contains this class, so that another process can resolve the name.
    """

    method: str | DecompositionMethod

    def named_code(self) -> dict[str, type]:
        """Return the user's class that `method` refers to by name, if there is one.

        Returns
        -------
        dict of str to type
            The class by the name of an attribute; empty for a method of edaemo.
        """
        cls = find_own_class(self.method)
        return {} if cls is None else {"_class_of_method": cls}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), **self.named_code()}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if (cls := state.pop("_class_of_method", None)) is not None:
            adopt_class(cls)
        super().__setstate__(state)  # type: ignore[misc]


def decompose_trials(
    signals: Sequence[np.ndarray],
    sampling_rate: float,
    method: DecompositionMethod,
    *,
    standardize: bool,
    n_context: int = 0,
    n_jobs: int | None = None,
    memory: str | Memory | None = None,
    name: Callable[[int], str] = "row {}".format,
) -> list[DecomposedTrial]:
    """Decompose trials; equal trials are decomposed only once in a process.

    Parameters
    ----------
    signals : sequence of ndarray of shape (n_samples,)
        Trials, float64, of any lengths, each after its context. Missing samples are NaN, for a
        method that can mask. Those at the beginning of the context are left out.
    sampling_rate : float
        Samples per second (Hz).
    method : DecompositionMethod
        The decomposition and its settings.
    standardize : bool
        Whether a trial is z-scored before the decomposition, by its own mean and standard
        deviation, without the context. A flat trial then becomes zeros.
    n_context : int, default=0
        Number of samples before each trial, which are decomposed with it and left out of the
        result.
    n_jobs : int or None, default=None
        Number of trials decomposed in parallel, as in joblib.
    memory : str, joblib.Memory or None, default=None
        Where each trial's result is stored on disk; None: not on disk.
    name : callable, default="row {}".format
        Takes a row; returns the name of the trial for error messages.

    Returns
    -------
    list of DecomposedTrial
        The trials, in the order of `signals`.

    Raises
    ------
    ValueError
        If a trial has fewer than two samples that are not missing, the method refuses the trial,
        or its components are not finite or have another shape than the trial.
    DecompositionError
        If the method finds no acceptable solution.
    """
    for row, signal in enumerate(signals):
        seen = ~np.isnan(signal[n_context:])
        if np.sum(seen) < 2:
            raise ValueError(
                f"{name(row)}: only {np.sum(seen)} of {len(seen)} samples are not missing; the "
                "minimum is 2. Remove the trial."
            )

    def compute(places: list[int]) -> list[DecomposedTrial]:
        trimmed = [trim_context(signals[place], n_context) for place in places]
        prepared = [_prepare(signal, n_before, standardize) for signal, n_before in trimmed]
        sources = [source for source, *_ in prepared]
        try:
            if memory is None:
                results = method.decompose_many(sources, sampling_rate, n_jobs=n_jobs)
            else:
                kept = delayed(check_memory(memory).cache(_decompose_one))
                results = Parallel(n_jobs=n_jobs, prefer="threads")(
                    kept(method, source, sampling_rate) for source in sources
                )
        except (ValueError, DecompositionError):
            # Decompose the trials again one by one, for an error that names the trial.
            for place, source in zip(places, sources, strict=True):
                _decompose_named(method, source, sampling_rate, name(place))
            raise
        for place, source, result in zip(places, sources, results, strict=True):
            _check_components(result, source, method, name, place)
        return [
            DecomposedTrial(
                source[n_before:], leave_out_context(result, n_before), offset, scale, flat
            )
            for (_, n_before), (source, offset, scale, flat), result in zip(
                trimmed, prepared, results, strict=True
            )
        ]

    key = ("decomposed", float(sampling_rate), standardize, n_context, *method.key)
    return _cache.get_many(signals, key, compute, lambda trial: 5 * trial.source.nbytes)


def decompose_trial(
    signal: np.ndarray, sampling_rate: float, method: DecompositionMethod, **parameters: Any
) -> DecomposedTrial:
    """Decompose one trial; see decompose_trials."""
    return decompose_trials([signal], sampling_rate, method, **parameters)[0]


def check_masking(
    method: DecompositionMethod, missing: str = "raise", repair: str | None = None
) -> None:
    """Raise a ValueError if samples are to be masked and the method needs every sample.

    Parameters
    ----------
    method : DecompositionMethod
        The decomposition.
    missing : str, default="raise"
        Treatment of missing samples.
    repair : str or None, default=None
        Treatment of artefacts.
    """
    for name, treatment in (("missing", missing), ("repair", repair)):
        if treatment == "mask" and not method.masks:
            raise ValueError(
                f"{name}='mask' needs method='cvxeda', got {method.name!r}: {method!r} needs every "
                f"sample. Set {name}='interpolate'."
            )


def _decompose_one(
    method: DecompositionMethod, source: np.ndarray, sampling_rate: float
) -> Components:
    return method.decompose(source, sampling_rate)


def _decompose_named(
    method: DecompositionMethod, source: np.ndarray, sampling_rate: float, name: str
) -> None:
    """Decompose one trial again, for an error that names the trial."""
    try:
        method.decompose(source, sampling_rate)
    except DecompositionError as error:
        raise DecompositionError(f"{name}: {error}", error.status, error.gap) from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _check_components(
    result: Components,
    source: np.ndarray,
    method: DecompositionMethod,
    name: Callable[[int], str],
    row: int,
) -> None:
    """Raise a ValueError if the components have a wrong shape or are not finite."""
    for part in ("phasic", "tonic", *(["driver"] if method.has_driver else [])):
        values: Any = getattr(result, part, None)  # a user's method may return anything
        if not isinstance(values, np.ndarray) or values.shape != source.shape:
            raise ValueError(
                f"{name(row)}: method {method!r} returned a {part} component of shape "
                f"{np.shape(values)}; it must have shape {source.shape}."
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name(row)}: method {method!r} returned a {part} component with NaN or infinity."
            )


def is_flat(samples: np.ndarray) -> bool:
    """Return whether samples are all equal, except for rounding errors.

    Parameters
    ----------
    samples : ndarray of float, shape (n_samples,)
        Finite samples, at least one.

    Returns
    -------
    bool
        Whether the standard deviation is at most 1e-12 of the largest absolute value.
    """
    return bool(np.std(samples) <= FLAT * np.max(np.abs(samples)))


def _prepare(
    signal: np.ndarray, n_context: int, standardize: bool
) -> tuple[np.ndarray, float, float, bool]:
    """Return the signal to decompose, its offset and scale, and whether the trial is flat."""
    trial = signal[n_context:]
    seen = trial[~np.isnan(trial)]
    spread = float(np.std(seen))
    flat = is_flat(seen)
    if not standardize:
        return signal.copy(), 0.0, 1.0, flat
    level = np.mean(seen)
    if flat:
        return np.zeros_like(signal), float(level), 1.0, flat
    return (signal - level) / spread, float(level), spread, flat
