"""Settings of cvxEDA, and checks of their range."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from edaemo.decomposition import _compiled
from edaemo.decomposition._problem import check_sampling_rate
from edaemo.decomposition._weights import FADING, GAMMA, SLOPE, Weights, noise_weights

VARIANTS = ("neurokit", "reference")
SOLVERS = ("auto", "compiled", "cvxopt", "scipy")
WEIGHTS = ("noise", "published")
POSITIVE = ("tau0", "tau1", "delta_knot", "alpha", "gamma", "tol")


@dataclass(frozen=True)
class CvxEDASettings:
    """Settings of cvxEDA; see :func:`decompose` for each of them."""

    tau0: float = 2.0
    tau1: float = 0.7
    delta_knot: float = 10.0
    alpha: float = 8e-4
    gamma: float = 1e-2
    variant: str = "reference"
    solver: str = "auto"
    tol: float = 1e-8
    max_iter: int = 100
    certificate: bool = True
    weights: str | Weights = "noise"

    def check(self, sampling_rate: float) -> None:
        """Raise a ValueError if a setting is out of its range at this sampling rate.

        Parameters
        ----------
        sampling_rate : float
            Samples per second (Hz).
        """
        sampling_rate = check_sampling_rate(sampling_rate)
        for name in POSITIVE:
            value: float = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, Real)
                or not np.isfinite(value)
                or value <= 0
            ):
                raise ValueError(f"{name} must be a positive finite number, got {value!r}.")
        if (
            isinstance(self.max_iter, bool)
            or not isinstance(self.max_iter, Integral)
            or self.max_iter < 1
        ):
            raise ValueError(f"max_iter must be a positive integer, got {self.max_iter!r}.")
        check_choice("variant", self.variant, VARIANTS)
        check_choice("solver", self.solver, SOLVERS)
        check_choice("certificate", self.certificate, (False, True))
        self._check_weights()
        if self.tau0 == self.tau1:
            raise ValueError(
                f"tau0 and tau1 must differ, got {self.tau0!r} for both: the Bateman function of "
                "equal time constants is zero."
            )
        if min(self.tau0, self.tau1) * sampling_rate <= 0.5:
            raise ValueError(
                f"tau0={self.tau0!r} s and tau1={self.tau1!r} s must both be longer than half a "
                f"sample, which is {0.5 / sampling_rate:g} s at {sampling_rate:g} Hz."
            )
        if self.delta_knot * sampling_rate < 1:
            raise ValueError(
                f"delta_knot={self.delta_knot!r} s must be at least one sample, which is "
                f"{1 / sampling_rate:g} s at {sampling_rate:g} Hz."
            )

    def _check_weights(self) -> None:
        if isinstance(self.weights, Weights):
            self.weights.check()
        elif self.weights not in WEIGHTS:
            raise ValueError(
                f"weights must be one of {list(WEIGHTS)} or a Weights object, got {self.weights!r}."
            )
        if self.weights == "published":
            return
        defaults = {field.name: field.default for field in fields(CvxEDASettings)}
        for name in ("alpha", "gamma"):
            if getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs weights='published' (the penalties of "
                    f"cvxEDA's authors); weights={self.weights!r} does not use it."
                )
        if self.variant == "neurokit":
            raise ValueError(
                "variant='neurokit' needs weights='published': its initial state is another one "
                f"than that of weights={self.weights!r}."
            )


class Extras(NamedTuple):
    """Penalty on the slope of the drift, and the price of the initial state over alpha."""

    slope: float
    fading: float


@dataclass(frozen=True)
class Run:
    """Checked settings for one sampling rate, in which the solver is not "auto"."""

    settings: CvxEDASettings
    sampling_rate: float
    on_failure: str
    missing: str
    context: int = 0  # leading samples that are left out of the result

    @property
    def shape(self) -> tuple[float, float, float, float, float, str]:
        """Arguments that, with those of `extras` and the length, determine the problem."""
        settings, gamma = self.settings, self.settings.gamma
        if isinstance(settings.weights, Weights):
            gamma = settings.weights.gamma
        elif settings.weights == "noise":
            gamma = GAMMA * self.sampling_rate
        return (
            self.sampling_rate,
            settings.tau0,
            settings.tau1,
            settings.delta_knot,
            gamma,
            settings.variant,
        )

    @property
    def extras(self) -> Extras:
        """The parts that the published weights do not have."""
        weights = self.settings.weights
        if isinstance(weights, Weights):
            return Extras(weights.slope, weights.fading * self.sampling_rate)
        if weights == "noise":
            return Extras(SLOPE * self.sampling_rate, FADING * self.sampling_rate)
        return Extras(0.0, 0.0)

    def alpha(self, y: np.ndarray) -> float:
        """Return the penalty on the driver of a recording."""
        settings = self.settings
        if isinstance(settings.weights, Weights):
            return settings.weights.alpha
        if settings.weights == "published":
            return settings.alpha
        constants = {"tau0": settings.tau0, "tau1": settings.tau1}
        return noise_weights(y, self.sampling_rate, **constants).alpha


def prepare_run(
    settings: CvxEDASettings,
    sampling_rate: float,
    *,
    on_failure: str,
    missing: str,
    context: float = 0.0,
) -> Run:
    """Check the settings, choose the solver and return both; see :func:`decompose`."""
    settings.check(sampling_rate)
    check_choice("on_failure", on_failure, ("nan", "raise"))
    check_choice("missing", missing, ("mask", "raise"))
    if (
        isinstance(context, bool)
        or not isinstance(context, Real)
        or not np.isfinite(context)
        or context < 0
    ):
        raise ValueError(f"context must be a number of seconds of at least 0, got {context!r}.")
    if missing == "mask" and settings.variant == "neurokit":
        raise ValueError(
            "missing='mask' needs variant='reference': if the first samples are missing, the free "
            "initial state of 'neurokit' is undetermined."
        )
    settings = replace(
        settings,
        solver=_choose_solver(settings.solver),
        max_iter=int(settings.max_iter),
        certificate=bool(settings.certificate),
        tau0=float(settings.tau0),
        tau1=float(settings.tau1),
        delta_knot=float(settings.delta_knot),
        alpha=float(settings.alpha),
        gamma=float(settings.gamma),
        tol=float(settings.tol),
    )
    rate = float(sampling_rate)
    return Run(settings, rate, on_failure, missing, round(context * rate))


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise a ValueError unless the value is one of `choices`."""
    if not any(value is choice or value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}.")


def _choose_solver(solver: str) -> str:
    if solver == "auto":
        return "scipy" if _compiled.load() is None else "compiled"
    if solver == "compiled" and _compiled.load() is None:
        raise ImportError(
            "solver='compiled' needs the compiled kernel, which this installation of edaemo lacks: "
            "install a C++ compiler (GCC or Clang) and then edaemo again, or use solver='auto' or "
            "'scipy'."
        )
    return solver
