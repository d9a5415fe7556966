"""cvxEDA as a registered decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edaemo.decomposition._decompose import solve, solve_many
from edaemo.decomposition._method import DecompositionMethod, register_decomposition
from edaemo.decomposition._result import Decomposition
from edaemo.decomposition._settings import CvxEDASettings, Run, prepare_run


@register_decomposition("cvxeda")
@dataclass(frozen=True)
class CvxEDA(CvxEDASettings, DecompositionMethod):
    """Decomposition by cvxEDA, with a driver and a residual.

    The decomposition with the default weights does not depend on the scale, so that recordings keep
    their unit; the published penalties are made for recordings of unit variance. NaN samples have
    no weight. The variant "neurokit" does not accept NaN.

    Parameters
    ----------
    tau0, tau1, delta_knot, alpha, gamma : float
        As in :func:`decompose`.
    variant, solver : str
        As in :func:`decompose`.
    tol : float
        As in :func:`decompose`.
    max_iter : int
        As in :func:`decompose`.
    certificate : bool
        As in :func:`decompose`.
    weights : {"noise", "published"} or Weights
        As in :func:`decompose`.
    """

    has_driver = True

    @property
    def unit_variance(self) -> bool:  # type: ignore[override]
        """Whether the penalties are made for recordings of unit variance."""
        return self.weights == "published"

    @property
    def masks(self) -> bool:
        """Whether `decompose` accepts NaN, as samples without weight."""
        return self.variant != "neurokit"

    def decompose(self, signal: np.ndarray, sampling_rate: float) -> Decomposition:
        """Return the decomposition of one recording; see :func:`decompose`."""
        return solve(signal, self._prepare([signal], sampling_rate))

    def decompose_many(
        self, signals: Sequence[np.ndarray], sampling_rate: float, *, n_jobs: int | None = None
    ) -> list[Decomposition]:
        """Return the decompositions of several recordings; see :func:`decompose_many`."""
        return solve_many(signals, self._prepare(signals, sampling_rate), n_jobs=n_jobs)

    def _prepare(self, signals: Sequence[np.ndarray], sampling_rate: float) -> Run:
        has_missing = any(np.isnan(signal).any() for signal in signals)
        missing = "mask" if has_missing else "raise"
        return prepare_run(self, sampling_rate, on_failure="raise", missing=missing)
