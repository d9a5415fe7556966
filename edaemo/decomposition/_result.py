"""Results and errors of a decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class DecompositionError(RuntimeError):
    """No decomposition of acceptable accuracy was found.

    Parameters
    ----------
    message : str
        What is wrong, where, and what to do.
    status : str
        Why the solver stopped.
    gap : float
        The certified relative duality gap of the best iterate.
    """

    def __init__(self, message: str, status: str, gap: float) -> None:
        # The base class gets all three arguments, so that worker processes can pickle the error.
        super().__init__(message, status, gap)
        self.status = status
        self.gap = gap

    def __str__(self) -> str:
        return self.args[0]


class DecompositionWarning(UserWarning):
    """Some trials of a batch could not be decomposed and were replaced by NaN."""


@dataclass(frozen=True, eq=False, repr=False)
class Components:
    """Components of one recording, from any method: ``y == phasic + tonic + residual``.

    Parameters
    ----------
    phasic : ndarray of shape (n,)
        Skin conductance responses; in the unit of y.
    tonic : ndarray of shape (n,)
        Skin conductance level; in the unit of y.
    driver : ndarray of shape (n,) or None
        Sudomotor nerve activity; in the unit of y per second. None if the method does not compute
        it.
    residual : ndarray of shape (n,)
        Part of y that is neither phasic nor tonic; in the unit of y.
    """

    phasic: np.ndarray
    tonic: np.ndarray
    driver: np.ndarray | None
    residual: np.ndarray

    @classmethod
    def from_phasic(cls, signal: np.ndarray, phasic: np.ndarray) -> Self:
        """Return components whose tonic part is the recording minus the phasic part.

        Parameters
        ----------
        signal : ndarray of shape (n,)
            The recording.
        phasic : ndarray of shape (n,)
            Phasic component, in the unit of the recording.
        """
        return cls(phasic, signal - phasic, None, np.zeros_like(signal))

    def to_frame(self, sampling_rate: float | None = None) -> pd.DataFrame:
        """Return the components as the columns of a table.

        Parameters
        ----------
        sampling_rate : float or None, default=None
            Samples per second (Hz). With it the index is ``time`` in seconds, else ``sample``.

        Returns
        -------
        DataFrame of shape (n, 3 or 4)
            ``phasic``, ``tonic``, ``driver`` (where the method finds one) and ``residual``.
        """
        import pandas as pd  # here, because the decomposition itself works without it

        names = ("phasic", "tonic", "driver", "residual")
        columns = {name: getattr(self, name) for name in names}
        index = pd.RangeIndex(len(self.phasic), name="sample")
        if sampling_rate is not None:
            index = pd.Index(np.arange(len(self.phasic)) / sampling_rate, name="time")
        return pd.DataFrame({k: v for k, v in columns.items() if v is not None}, index=index)

    def _summarise(self) -> list[tuple[str, str]]:
        """Return what the representations show, as pairs of label and text."""
        rows = [("samples", f"{len(self.phasic)}")]
        for name in ("phasic", "tonic", "driver"):
            values = getattr(self, name)
            if values is not None:
                finite = values[np.isfinite(values)]
                span = f"{finite.min():.4g} to {finite.max():.4g}" if len(finite) else "no values"
                rows.append((name, span))
        return rows

    def __repr__(self) -> str:
        parts = ", ".join(f"{label}: {text}" for label, text in self._summarise())
        return f"<{type(self).__name__} {parts}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{label}</th><td>{escape(text)}</td></tr>" for label, text in self._summarise()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


@dataclass(frozen=True, eq=False, repr=False)
class Decomposition(Components):
    """Result of cvxEDA for one recording: ``y == phasic + tonic + residual``, all in float64.

    With ``missing="mask"``, all components except the residual are finite at missing samples; there
    they follow from the samples around them.

    Parameters
    ----------
    phasic : ndarray of shape (n,)
        Skin conductance responses; in the unit of y. Never negative, except for the part of the
        free initial state of ``variant="neurokit"``.
    tonic : ndarray of shape (n,)
        Skin conductance level, with the drift; in the unit of y. Not negative if no sample of y is,
        except with the published weights.
    driver : ndarray of shape (n,)
        Sudomotor nerve activity (SMNA), never negative; in the unit of y per second. The phasic
        component is the output of the filter (1/tau1 - 1/tau0)/((s + 1/tau0)(s + 1/tau1)) for this
        driver, discretised by the bilinear transform and at rest before the first sample (except
        for ``variant="neurokit"``).
    residual : ndarray of shape (n,)
        Part of y that is neither phasic nor tonic; in the unit of y. NaN at missing samples.
    spline : ndarray of shape (n_knots,)
        Coefficients of the tonic splines of peak 1, centred on every round(delta_knot *
        sampling_rate)-th sample, beginning with the first; in the unit of y.
    drift : ndarray of shape (2,)
        Coefficients of the constant 1 and of the ramp (i + 1)/n, i = 0, …, n - 1.
    initial : float
        Height, at the first sample, of the part initial·exp(-t/tau0) of the phasic component that
        fades from before the recording; in the unit of y. 0 with the published weights.
    objective : float
        ½‖residual‖² + alpha Σ driver + ½ gamma ‖spline‖², in the squared unit of y; without the
        residual of missing samples.
    gap : float
        Certified relative duality gap: an upper bound on the distance of the objective from the
        optimum, divided by the objective (or by 1e-5 n times the variance of y around its line if
        that is larger, n without the missing samples). It is computed independently from the
        result, by a feasible point of the dual problem. It is at least the rounding error of 2e-16,
        and 0 for a line. With ``certificate=False`` it is the solver's own complementarity gap.
    n_iter : int
        Number of iterations of the solver.
    status : {"optimal", "inaccurate", "failed"}
        "optimal": `gap` is at most `tol`. "inaccurate": it is at most 1e-4. "failed": only with
        ``on_failure="nan"``; all numbers above except `n_iter` are NaN.
    """

    driver: np.ndarray
    spline: np.ndarray
    drift: np.ndarray
    initial: float
    objective: float
    gap: float
    n_iter: int
    status: str

    def _summarise(self) -> list[tuple[str, str]]:
        """Return what the representations show, as pairs of label and text."""
        return [*super()._summarise(), ("status", f"{self.status}, gap {self.gap:.1e}")]
