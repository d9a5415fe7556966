"""Run the tests of bit-for-bit equality with the kernels of other processors.

    python benchmarks/library_paths.py            # every path, a Markdown table on standard output
    python benchmarks/library_paths.py --some     # the paths of continuous integration
    python benchmarks/library_paths.py -- tests   # every path, the whole suite

By default, the script runs the tests in `TESTS`. This takes a minute per path on one core.
`-- -m same_bits` adds the tests that start other processes.

A path is a set of environment variables. Each path runs in separate processes. torch's MKL uses its
Intel kernels only on Intel processors. "as on Intel" enables them on other processors: a small
preloaded library reports an Intel processor to MKL. This needs a C compiler and a processor with
the instructions of the kernels.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

INTEL_SOURCE = """
int mkl_serv_intel_cpu_true(void) { return 1; }
int mkl_serv_intel_cpu(void) { return 1; }
int mkl_serv_cpuiszen(void) { return 0; }
"""
FILES = ("same_answers", "compiled", "decomposition", "cvxeda", "features", "inspection", "runner")
TESTS = [*(f"tests/test_{name}.py" for name in FILES), "-m", "same_bits", "-k", "not cluster"]
REPOSITORY = Path(__file__).resolve().parent.parent


class LibraryPath(NamedTuple):
    """Environment variables, and whether MKL sees an Intel processor."""

    variables: dict[str, str]
    intel: bool = False

    @property
    def title(self) -> str:
        """Return the name of the path in the table."""
        settings = [f"{name}={value}" for name, value in self.variables.items()]
        return ", ".join(["as on Intel"] * self.intel + settings) or "default"


def list_paths(amx: bool) -> list[LibraryPath]:
    """Return every path that one machine can run."""
    branches = ["COMPATIBLE", "SSE4_2", "AVX2", "AVX512"]
    mkl = [{"MKL_CBWR": name + strict} for name in branches for strict in ("", ",STRICT")]
    # SSE4.2 and COMPATIBLE do not support STRICT; MKL then ignores the whole setting.
    mkl += [{"MKL_ENABLE_INSTRUCTIONS": name} for name in branches[1:]]
    others = ["SSE41", "AVX2", "AVX512_CORE"] + ["AVX512_CORE_AMX"] * amx
    torch = [{"ONEDNN_MAX_CPU_ISA": name} for name in others]
    torch += [{"ATEN_CPU_CAPABILITY": name} for name in ("default", "avx2", "avx512")]
    return [
        *(LibraryPath(variables) for variables in [{}, *mkl, *torch]),
        *(LibraryPath(variables, intel=True) for variables in [{}, *mkl, torch[1]]),
    ]


# Each path changes some kernels here or on Intel. The test command covers the default path.
SOME = [
    LibraryPath({}, intel=True),
    LibraryPath({"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, intel=True),
    LibraryPath({"MKL_CBWR": "AVX2"}, intel=True),
    LibraryPath({"MKL_CBWR": "COMPATIBLE"}),
    LibraryPath({"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    LibraryPath({"ATEN_CPU_CAPABILITY": "avx2"}),
]


def main() -> None:
    """Run the tests under each path and print a table; exit with 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--some", action="store_true", help="six paths instead of all")
    parser.add_argument("--jobs", type=int, default=2, help="number of paths at a time")
    parser.add_argument("tests", nargs="*", help="arguments of pytest instead of TESTS")
    arguments = parser.parse_args()
    cpu = read_cpu()
    paths = SOME if arguments.some else list_paths("amx_tile" in cpu)
    tests = arguments.tests or TESTS
    with tempfile.TemporaryDirectory() as folder:
        library = compile_library(Path(folder))
        with ThreadPoolExecutor(arguments.jobs) as pool:
            results = list(pool.map(lambda path: run_tests(path, tests, library), paths))
    print_table(zip(paths, results, strict=True), cpu)
    sys.exit(any(failed for failed, _ in results))


def compile_library(folder: Path) -> Path:
    """Compile the library that reports an Intel processor to MKL."""
    library = folder / "intel.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=INTEL_SOURCE, text=True, check=True)
    return library


def run_tests(path: LibraryPath, tests: list[str], library: Path) -> tuple[bool, str]:
    """Return whether a test failed under a path, and pytest's last line."""
    environment = os.environ | path.variables
    if path.intel:
        environment["LD_PRELOAD"] = str(library)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        print(f"{path.title}:\n{done.stdout}", file=sys.stderr, flush=True)
    return bool(done.returncode), re.sub(r" in [\d.]+s.*", "", done.stdout.splitlines()[-1])


def read_cpu() -> str:
    """Return the first entry of /proc/cpuinfo, or an empty text on other systems."""
    try:
        return Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return ""


def print_table(rows: Iterable[tuple[LibraryPath, tuple[bool, str]]], cpu: str) -> None:
    """Print a line for each path."""
    import torch

    model = re.search(r"model name\s*: (.*)", cpu)
    print(
        f"{model[1] if model else platform.machine()}, torch {torch.__version__}, "
        f"{torch.backends.cpu.get_cpu_capability()} by default\n"
    )
    print("| path | tests |")
    print("|---|---|")
    for path, (_, summary) in rows:
        print(f"| {path.title} | {summary} |")


if __name__ == "__main__":
    main()
