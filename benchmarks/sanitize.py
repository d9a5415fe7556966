"""Run a kernel built with sanitizers on difficult recordings; see sanitize.sh.

Each call gets a workspace of exactly the size that the kernel requests, so that the sanitizers find
every access beyond it.
"""

from __future__ import annotations

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from nasty_decompositions import generate

from edaemo.decomposition import _compiled, noise_weights

_LIBC = ctypes.CDLL(None)
LENGTHS = (*range(16, 75), 100, 101, 127, 128, 129, 167, 500, 502, 503, 1000, 2003, 5000)


class ExactWorkspace(_compiled.Workspace):
    """A workspace of exactly the requested size."""

    def reserve(self, n_bytes: int) -> int:
        """Return the address of `n_bytes` bytes, aligned to 64 bytes."""
        self.__del__()
        self._held = ctypes.c_void_p()
        assert _LIBC.posix_memalign(ctypes.byref(self._held), 64, ctypes.c_size_t(n_bytes)) == 0
        ctypes.memset(self._held, 0xFF, n_bytes)
        return self._held.value

    def __del__(self) -> None:
        _LIBC.free(getattr(self, "_held", None))


def run(
    y: np.ndarray,
    shape: tuple[float | str, ...],
    lanes: int,
    alpha: float,
    extras: tuple[float, float] = (0.0, 0.0),
) -> int | None:
    """Return whether the solver converged, or None if the kernel does not support the case."""
    structure = _compiled.build_structure(len(y), *shape, lanes, *extras)
    if structure is None:
        return None
    (solution,) = _compiled.solve(
        [structure],
        [y],
        alpha,
        tol=1e-11,
        max_iter=60,
        certificate=True,
        workspace=ExactWorkspace(),
        stop=ctypes.c_int32(0),
    )
    return not isinstance(solution, int)


def main() -> None:
    """Run all cases and print the counts."""
    library = _compiled._declare(ctypes.CDLL(sys.argv[1]))
    _compiled.load = lambda: library
    jobs = []
    for lanes in range(2, library.edaemo_lanes() + 1, 2):
        for n in LENGTHS:
            y = np.random.default_rng(n).normal(size=n).cumsum()
            for rate, knots in ((4.0, 1.0), (4.0, 10.0), (50.0, 10.0), (31.0, 1e6)):
                jobs.append((y, (rate, 2.0, 0.7, knots, 1e-2, "reference"), lanes, 8e-4))
        for seed in range(600):
            case = generate(seed, "published")
            p = case.parameters
            shape = (p["sampling_rate"], p["tau0"], p["tau1"], p["delta_knot"], p["gamma"])
            shape = (*shape, "reference")
            jobs.append((case.y, shape, lanes, p["alpha"]))
            # The weights that follow the noise.
            rate, tau0, tau1 = shape[:3]
            weights = noise_weights(case.y, rate, tau0=tau0, tau1=tau1)
            shape = (*shape[:4], weights.gamma, "reference")
            extras = weights.slope, weights.fading * rate
            jobs.append((case.y, shape, lanes, weights.alpha, extras))
    results = [run(*job) for job in jobs]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda job: run(*job), jobs)) == results
    print(
        f"{len(jobs)} recordings, each alone and in parallel: {results.count(True)} converged, "
        f"{results.count(False)} were left to scipy, {results.count(None)} are not supported; "
        "no findings"
    )


if __name__ == "__main__":
    main()
