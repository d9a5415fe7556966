"""The compiled kernel: its tables, its workspace and the call, through ctypes.

The kernel solves the problem of `_problem` by the method of `_interior_point`, for several segments
of a recording at a time; `_kernel.hpp` explains the method. The kernel is built with the package if
a compiler is available. ctypes releases the interpreter lock during the call.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from edaemo.decomposition._problem import discretise, knot_step, place_knots, spline

# Increase it here and in _kernel.h whenever the interface between them changes.
ABI = 2

# In shorter recordings, the head and the margins of segments make up most of the rows.
MIN_SAMPLES = 16

# Two rows of a segment are separators, and at least two more are needed.
_MIN_ROWS = 4

# Cost of a segment in the chain of separators, in rows of a group of segments.
_CHAIN = 6

CONVERGED, LINE, SPENT, NOT_DEFINITE, NOT_FINITE, STOPPED = range(6)

_ALIGNMENT = 64


class _Structure(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_int64) for name in ("lanes", "n", "rows", "groups")]
        + [(name, ctypes.c_int64) for name in ("segments", "splines", "slots")]
        + [(name, ctypes.c_double) for name in ("b1", "b2", "settle", "lead")]
        + [(name, ctypes.c_double) for name in ("rho", "slope", "fading")]
        + [(name, ctypes.c_void_p) for name in ("filtered", "local", "spread", "first")]
        + [(name, ctypes.c_void_p) for name in ("head", "filtered_head", "penalty")]
    )


class _Report(ctypes.Structure):
    _fields_ = (
        ("objective", ctypes.c_double),
        ("gap", ctypes.c_double),
        ("own_gap", ctypes.c_double),
        ("iterations", ctypes.c_int64),
        ("status", ctypes.c_int64),
    )


@dataclass(frozen=True, eq=False)
class Structure:
    """Tables for the kernel; they depend on length, sampling rate and parameters only."""

    n: int
    n_splines: int
    workspace_bytes: int
    c: _Structure
    tables: tuple[np.ndarray, ...]  # keeps the memory that `c` points to alive


class Workspace:
    """Memory for one call at a time; it grows to the size for the longest recording."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def reserve(self, n_bytes: int) -> int:
        """Return an aligned address of at least `n_bytes` bytes of memory."""
        if len(self._memory) < n_bytes + _ALIGNMENT:
            self._memory = np.empty(n_bytes + _ALIGNMENT, np.uint8)
        address = self._memory.ctypes.data
        return address + -address % _ALIGNMENT


class Answer(NamedTuple):
    """The kernel's result for one recording, in the unit of the recording."""

    phasic: np.ndarray
    tonic: np.ndarray
    driver: np.ndarray
    residual: np.ndarray
    spline: np.ndarray
    drift: np.ndarray
    initial: float
    objective: float
    gap: float
    n_iter: int


class Stopped(Exception):
    """The call ended early because `stop` was set."""


@cache
def load() -> ctypes.CDLL | None:
    """Return the kernel's library; without a library, return None and log a warning once."""
    spec = find_spec("edaemo.decomposition._kernel")
    reason = "it was not built: no working C++ compiler (GCC or Clang) was found at installation"
    if spec is not None and spec.origin is not None:
        try:
            library = ctypes.CDLL(spec.origin)
            if library.edaemo_abi() == ABI:
                return _declare(library)
            reason = "it was built from another version of the sources: install edaemo again"
        except (OSError, AttributeError) as error:
            reason = f"it cannot be loaded: {error}"
    logging.getLogger("edaemo").warning(
        "edaemo: the compiled kernel is missing, so the decomposition uses scipy, about 20 times "
        "slower (%s).",
        reason,
    )
    return None


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    library.edaemo_workspace.argtypes = [ctypes.c_void_p]
    library.edaemo_workspace.restype = ctypes.c_int64
    library.edaemo_solve.argtypes = [
        *(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_void_p, ctypes.c_double, ctypes.c_int, ctypes.c_int),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    ]
    library.edaemo_solve.restype = None
    return library


def _kernel() -> ctypes.CDLL:
    """Return the kernel's library; the caller has checked that it exists."""
    library = load()
    assert library is not None
    return library


@cache
def widest() -> int:
    """Return the number of segments that the processor handles at a time: 4 with AVX2, else 2."""
    return _kernel().edaemo_lanes()


def kernel_facts() -> dict[str, object]:
    """Return the properties of this installation that results of cvxEDA may depend on.

    Returns
    -------
    dict
        ``decomposition``, "compiled" or "scipy"; ``avx2``, whether the compiled kernel uses AVX2,
        or None without the kernel.
    """
    compiled = load() is not None
    return {
        "decomposition": "compiled" if compiled else "scipy",
        "avx2": widest() == 4 if compiled else None,
    }


def solve(
    structures: Sequence[Structure],
    recordings: Sequence[np.ndarray],
    alpha: float | Sequence[float],
    *,
    tol: float,
    max_iter: int,
    certificate: bool,
    workspace: Workspace,
    stop: ctypes.c_int32,
) -> list[Answer | int]:
    """Decompose recordings (contiguous float64); return an answer or a failure code for each.

    `alpha` is one number, or one for each recording.

    An answer depends neither on the other recordings nor on earlier content of `workspace`.

    Raises
    ------
    Stopped
        If `stop` was set to a value other than 0.
    """
    count = len(recordings)
    out = [np.empty(4 * s.n + s.n_splines + 3) for s in structures]
    alphas = np.array(np.broadcast_to(alpha, count), np.float64)
    reports = (_Report * count)()
    pointers = ctypes.c_void_p * count
    _kernel().edaemo_solve(
        count,
        pointers(*(ctypes.addressof(s.c) for s in structures)),
        workspace.reserve(max(s.workspace_bytes for s in structures)),
        pointers(*(y.ctypes.data for y in recordings)),
        alphas.ctypes.data,
        tol,
        max_iter,
        certificate,
        ctypes.addressof(stop),
        pointers(*(block.ctypes.data for block in out)),
        reports,
    )
    return [_read(*result) for result in zip(structures, out, reports, strict=True)]


def _read(structure: Structure, out: np.ndarray, report: _Report) -> Answer | int:
    if report.status == STOPPED:
        raise Stopped
    if report.status != CONVERGED:
        return report.status
    n = structure.n
    return Answer(
        out[:n],
        out[n : 2 * n],
        out[2 * n : 3 * n],
        out[3 * n : 4 * n],
        out[4 * n : -3],
        out[-3:-1],
        float(out[-1]),
        report.objective,
        report.gap,
        report.iterations,
    )


@lru_cache(maxsize=64)
def build_structure(
    n: int,
    sampling_rate: float,
    tau0: float,
    tau1: float,
    delta_knot: float,
    gamma: float,
    variant: str,
    lanes: int,
    slope: float = 0.0,
    fading: float = 0.0,
) -> Structure | None:
    """Return the kernel's tables, or None for a recording that it cannot solve.

    The kernel solves recordings of at least `MIN_SAMPLES` samples whose knots are at least four
    samples apart, and only the variant "reference". `slope` and `fading` are those of
    `_problem.build_problem`.
    """
    step = knot_step(delta_knot, sampling_rate)
    if n < MIN_SAMPLES or step < _MIN_ROWS or variant != "reference":
        return None
    phasic = discretise(sampling_rate, tau0, tau1)
    rows = _choose_rows(n, step, lanes)
    segments = -(-(n - 2) // rows)
    groups = -(-segments // lanes)

    # Legendre polynomials over a segment and the two rows before it. Filtering subtracts nearly
    # equal numbers, so it uses long doubles.
    t = np.arange(-2, rows).astype(np.longdouble)
    wide = _legendre(t, rows)
    b1, b2 = np.longdouble(phasic.b1), np.longdouble(phasic.b2)
    filtered = wide[2:] + b1 * wide[1:-1] + b2 * wide[:-2]

    # Splines and drift of each segment in these polynomials, computed from four of its rows.
    starts = np.arange(segments) * rows
    first = starts // step
    nodes = np.round(np.linspace(0, rows - 1, 4)).astype(int)
    knots = place_knots(n, step)
    slots = int(first[-1]) + 4
    at = (2 + starts[:, None] + nodes).astype(float)
    design = _columns(at, first, step, len(knots), n)
    spread = np.linalg.solve(_legendre(nodes.astype(float), rows), design)

    head = _columns(np.array([[0.0, 1.0]]), first[:1], step, len(knots), n)[0]
    filtered_head = head.copy()
    filtered_head[1] += phasic.b1 * head[0]

    penalty = np.ones(slots)
    penalty[1 : 1 + len(knots)] = gamma
    tables = tuple(
        np.ascontiguousarray(table, dtype)
        for table, dtype in [
            (filtered, np.float64),
            (wide[2:], np.float64),
            (spread, np.float64),
            (first, np.int32),
            (head, np.float64),
            (filtered_head, np.float64),
            (penalty, np.float64),
        ]
    )
    c = _Structure(
        *(lanes, n, rows, groups, segments, len(knots), slots),
        *(phasic.b1, phasic.b2, phasic.settle, phasic.lead),
        *(phasic.rho1, slope * (step / n) ** 2, fading),
        *(table.ctypes.data for table in tables),
    )
    n_bytes = _kernel().edaemo_workspace(ctypes.addressof(c))
    return Structure(n, len(knots), n_bytes, c, tables)


def _choose_rows(n: int, step: int, lanes: int) -> int:
    """Return the cheapest length of a segment.

    It divides the knot distance if the recording has several intervals between knots.
    """
    rows = np.arange(_MIN_ROWS, min(step, n) + 1)
    # If one interval between knots covers the recording, segments may have any length.
    if step < n - 2:
        rows = rows[step % rows == 0]
    segments = -(-(n - 2) // rows)
    groups = -(-segments // lanes)
    cost = groups * rows + _CHAIN * lanes * groups
    return int(rows[np.argmin(cost)])


def _legendre(t: np.ndarray, rows: int) -> np.ndarray:
    u = (2 * t - (rows - 1)) / rows
    return np.stack([u**0, u, (3 * u * u - 1) / 2, (5 * u * u - 3) * u / 2], axis=-1)


def _columns(at: np.ndarray, first: np.ndarray, step: int, n_knots: int, n: int) -> np.ndarray:
    """Return splines first - 1, …, first + 2, constant and ramp at samples `at` of each segment."""
    index = first[:, None, None] + np.arange(-1, 3)
    splines = spline(np.abs(at[..., None] - index * step), step)
    splines[np.broadcast_to((index < 0) | (index >= n_knots), splines.shape)] = 0
    drift = np.stack([np.ones_like(at), (at + 1) / n], axis=-1)
    return np.concatenate([splines, drift], axis=-1)
