"""What a decomposition gives, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class DecompositionError(RuntimeError):
    """No decomposition of acceptable accuracy was found.

    Attributes
    ----------
    status : str
        Why the solver stopped.
    gap : float
        The certified relative duality gap of the best iterate.
    """

    def __init__(self, message: str, status: str, gap: float) -> None:
        # All three are arguments of the base class so that worker processes can send the error.
        super().__init__(message, status, gap)
        self.status = status
        self.gap = gap

    def __str__(self) -> str:
        return self.args[0]


class DecompositionWarning(UserWarning):
    """Some trials of a batch could not be decomposed and were replaced by NaN."""


@dataclass(frozen=True, eq=False, repr=False)
class Components:
    """One recording taken apart, by whatever method: ``y == phasic + tonic + residual``.

    Attributes
    ----------
    phasic : ndarray of shape (n,)
        Skin conductance responses; in the unit of y.
    tonic : ndarray of shape (n,)
        Skin conductance level; in the unit of y.
    driver : ndarray of shape (n,) or None
        Sudomotor nerve activity; in the unit of y per second. None where the method finds none.
    residual : ndarray of shape (n,)
        What neither explains; in the unit of y.
    """

    phasic: np.ndarray
    tonic: np.ndarray
    driver: np.ndarray | None
    residual: np.ndarray

    @classmethod
    def from_phasic(cls, signal: np.ndarray, phasic: np.ndarray) -> Self:
        """Return the components of which the tonic one is all that the phasic one leaves.

        Parameters
        ----------
        signal : ndarray of shape (n,)
            The recording.
        phasic : ndarray of shape (n,)
            In the unit of the recording.
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
    """One recording taken apart: ``y == phasic + tonic + residual``. Everything is float64.

    With ``missing="mask"``, all but the residual have finite values where y is missing, too: what
    the samples around say.

    Attributes
    ----------
    phasic : ndarray of shape (n,)
        Skin conductance responses; in the unit of y. Never negative, but for what the free initial
        state of ``variant="neurokit"`` adds.
    tonic : ndarray of shape (n,)
        Skin conductance level, with the drift; in the unit of y.
    driver : ndarray of shape (n,)
        Sudomotor nerve activity (SMNA), never negative; in the unit of y per second. The phasic
        component is this driver through the filter (1/tau1 - 1/tau0)/((s + 1/tau0)(s + 1/tau1)),
        discretised by the bilinear transform and at rest before the first sample (but see
        `variant`).
    residual : ndarray of shape (n,)
        What neither explains; in the unit of y. NaN where y is missing.
    spline : ndarray of shape (n_knots,)
        Coefficients of the tonic splines of peak 1, centred on every round(delta_knot *
        sampling_rate)-th sample from the first on; in the unit of y.
    drift : ndarray of shape (2,)
        Coefficients of the constant 1 and of the ramp (i + 1)/n, i = 0, …, n - 1.
    objective : float
        ½‖residual‖² + alpha Σ driver + ½ gamma ‖spline‖², in the squared unit of y; without the
        residual of missing samples.
    gap : float
        Certified relative duality gap: how far the objective lies above the optimum at most,
        divided by the objective (or by 1e-5 n times the variance of y around its line if that is
        larger, n without the missing samples). It is computed afresh from the result by a feasible
        point of the dual problem, and never given as less than the rounding error of 2e-16; 0 for a
        line. With ``certificate=False`` it is the solver's own account of its complementarity gap
        instead.
    n_iter : int
        Iterations of the solver.
    status : {"optimal", "inaccurate", "failed"}
        Whether `gap` is at most the `tol` asked for, or at most 1e-4; ``"failed"`` only with
        ``on_failure="nan"``, and then every number above but `n_iter` is NaN.
    """

    driver: np.ndarray
    spline: np.ndarray
    drift: np.ndarray
    objective: float
    gap: float
    n_iter: int
    status: str

    def _summarise(self) -> list[tuple[str, str]]:
        """Return what the representations show, as pairs of label and text."""
        return [*super()._summarise(), ("status", f"{self.status}, gap {self.gap:.1e}")]
