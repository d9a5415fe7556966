"""Settings of cvxEDA, and checks of their range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from edaemo.decomposition import _compiled
from edaemo.decomposition._problem import check_sampling_rate

VARIANTS = ("neurokit", "reference")
SOLVERS = ("auto", "compiled", "cvxopt", "scipy")
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


@dataclass(frozen=True)
class Run:
    """Checked settings for one sampling rate, in which the solver is not "auto"."""

    settings: CvxEDASettings
    sampling_rate: float
    on_failure: str
    missing: str

    @property
    def shape(self) -> tuple[float, float, float, float, float, str]:
        """Arguments that, with the length of the recording, determine the problem."""
        settings = self.settings
        return (
            self.sampling_rate,
            settings.tau0,
            settings.tau1,
            settings.delta_knot,
            settings.gamma,
            settings.variant,
        )


def prepare_run(
    settings: CvxEDASettings, sampling_rate: float, *, on_failure: str, missing: str
) -> Run:
    """Check the settings, choose the solver and return both; see :func:`decompose`."""
    settings.check(sampling_rate)
    check_choice("on_failure", on_failure, ("nan", "raise"))
    check_choice("missing", missing, ("mask", "raise"))
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
    return Run(settings, float(sampling_rate), on_failure, missing)


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
