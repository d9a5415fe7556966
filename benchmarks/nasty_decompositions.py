"""Decompose ten thousand difficult recordings; each must end with a certificate or a clear error.

Usage: ``python benchmarks/nasty_decompositions.py [COUNT] [--first SEED] [--solver SOLVER]
[--weights published]``. The script prints a Markdown table. It exits with 1 if a recording has any
other outcome.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from edaemo.decomposition import DecompositionError, decompose

KINDS = (
    "constant",
    "ramp",
    "step",
    "many steps",
    "dropouts",
    "saturation",
    "1 to 4 levels",
    "spike of 1e6",
    "denormals",
    "tiny scale",
    "huge scale",
    "white noise",
    "far offset",
    "alternating",
    "flat half",
)
UNSCALED = ("denormals", "tiny scale", "huge scale")
RATES = (1.0, 2.0, 4.0, 7.3, 8.0, 32.0, 50.0, 128.0, 1000.0)


@dataclass(frozen=True)
class Case:
    """A recording and the parameters of its decomposition."""

    seed: int
    kind: str
    y: np.ndarray
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a case.

    `outcome` is "certified", "inaccurate" (certified only to 1e-4, with the status "inaccurate"),
    "error" (a clear error), or a description of the fault.
    """

    seed: int
    kind: str
    outcome: str
    gap: float = 0.0
    n_iter: int = 0


def generate(seed: int, weights: str = "noise") -> Case:
    """Make the difficult recording with this seed."""
    rng = np.random.default_rng([seed, 4])
    kind = KINDS[seed % len(KINDS)]
    n = int(rng.integers(2, 601 if rng.random() < 0.7 else 40))
    rate = float(rng.choice(RATES))
    t = np.arange(n) / rate
    wave = np.cumsum(rng.normal(size=n)) / np.sqrt(n)
    for onset in rng.uniform(-5, t[-1] + 1, 1 + int(t[-1] / 6)):
        since = np.maximum(t - onset, 0)
        wave += rng.exponential() * (np.exp(-since / 2) - np.exp(-since / 0.7))
    at = int(rng.integers(n))
    y = {
        "constant": lambda: np.full(n, rng.choice([0.0, 1.0, -3e5, 1e-9])),
        "ramp": lambda: rng.normal() + rng.normal() * np.arange(n),
        "step": lambda: np.where(np.arange(n) < at, 0.0, rng.normal() * 10),
        "many steps": lambda: np.repeat(rng.normal(size=n), rng.integers(1, 9, n))[:n],
        "dropouts": lambda: np.where(rng.random(n) < 0.1, 0.0, 5 + wave),
        "saturation": lambda: np.clip(wave, *np.sort(rng.normal(size=2) * 0.5)),
        "1 to 4 levels": lambda: np.round(wave / (np.ptp(wave) + 1e-9) * rng.integers(0, 4)),
        "spike of 1e6": lambda: wave + 1e6 * rng.choice([-1, 1]) * (np.arange(n) == at),
        "denormals": lambda: rng.integers(0, 9, n) * 5e-324,
        "tiny scale": lambda: wave * 10.0 ** rng.uniform(-300, -6),
        "huge scale": lambda: wave * 10.0 ** rng.uniform(1, 6),
        "white noise": lambda: rng.normal(size=n),
        "far offset": lambda: wave + 10.0 ** rng.uniform(2, 9),
        "alternating": lambda: np.where(np.arange(n) % 2, 1.0, -1.0),
        "flat half": lambda: np.where(np.arange(n) < n // 2, 0.3, wave),
    }[kind]()
    if kind not in UNSCALED and rng.random() < 0.7 and y.std() > 0:
        y = (y - y.mean()) / y.std()
    tau0 = max(float(rng.choice([2.0, 2.0, 0.9, 5.0, 20.0])), 1.02 / rate)
    tau1 = max(
        float(rng.choice([0.7, 0.7, tau0 * (1 - 10.0 ** rng.uniform(-6, -1)), 0.3])), 0.51 / rate
    )
    # Some knots are closer than four samples, or much farther apart than the recording is long.
    delta_knot = max(float(rng.choice([10.0, 10.0, 0.5, 3.7, 60.0, 1e5])), 1.01 / rate)
    if delta_knot * rate < 4.5:  # solved by scipy, whose time grows with the square of the knots
        y = y[:100]
    parameters = {
        "sampling_rate": rate,
        "tau0": tau0,
        "tau1": tau1,
        "delta_knot": delta_knot,
        "weights": weights,
    }
    if weights == "published":
        parameters["alpha"] = float(rng.choice([8e-4, 8e-4, 1e-5, 0.1]))
        parameters["gamma"] = float(rng.choice([1e-2, 1e-2, 1e-4, 1.0]))
    return Case(seed, kind, y.astype(float), parameters)


def judge(case: Case, solver: str = "auto") -> Verdict:
    """Decompose a case and return its outcome."""
    try:
        result = decompose(case.y, solver=solver, **case.parameters)
    except DecompositionError as error:
        outcome = "error" if "did not converge" in str(error) else f"unclear error: {error}"
        return Verdict(case.seed, case.kind, outcome, error.gap)
    size = max(np.abs(case.y).max(), np.abs(result.phasic).max())
    total = result.phasic + result.tonic + result.residual
    faults = [
        fault
        for fault, present in [
            ("not finite", not np.isfinite(total).all()),
            ("negative phasic", (result.phasic < 0).any()),
            ("negative driver", (result.driver < 0).any()),
            ("does not add up", np.abs(total - case.y).max() > 1e-12 * size),
            ("wrong status", result.status != ("optimal" if result.gap <= 1e-8 else "inaccurate")),
            ("gap", not result.gap <= 1e-4),
        ]
        if present
    ]
    outcome = ", ".join(faults) or ("certified" if result.gap <= 1e-8 else "inaccurate")
    return Verdict(case.seed, case.kind, outcome, result.gap, result.n_iter)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--weights", choices=("noise", "published"), default="noise")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.count)
    verdicts = [judge(generate(seed, args.weights), args.solver) for seed in seeds]
    outcomes = ("certified", "inaccurate", "error")
    print(
        "| kind | inputs | certified to 1e-8 | inaccurate (1e-4) | clear error | other |",
        end="",
    )
    print(" largest gap of the certified | most iterations |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in (*KINDS, "all"):
        of_kind = [v for v in verdicts if kind in (v.kind, "all")]
        counts = Counter(v.outcome for v in of_kind)
        fine = [v for v in of_kind if v.outcome == "certified"]
        cells = [
            kind,
            len(of_kind),
            *(counts[outcome] for outcome in outcomes),
            len(of_kind) - sum(counts[outcome] for outcome in outcomes),
            f"{max((v.gap for v in fine), default=0):.0e}",
            max((v.n_iter for v in fine), default=0),
        ]
        print("|", " | ".join(map(str, cells)), "|")
    wrong = [v for v in verdicts if v.outcome not in outcomes]
    for verdict in wrong[:20]:
        print(verdict, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
