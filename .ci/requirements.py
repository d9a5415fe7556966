"""Print the requirements of a test environment that differs from constraints.txt.

The argument is "oldest", "newest" or "without-torch"; the targets ``test-…`` of the Makefile pass
it. Every dependency and every extra of pyproject.toml is listed.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The only release that these environments were tried with. The bound torch>=2.9 was not tried.
TORCH = "torch==2.13.0"
NEED_TORCH = ("torch", "skorch", "captum")


def expand(requirements: list[str], extras: dict[str, list[str]]) -> Iterator[str]:
    """Yield requirements; replace the extras of edaemo by their requirements."""
    for requirement in requirements:
        named = re.fullmatch(r"edaemo\[(.+)\]", requirement)
        if named is None:
            yield requirement
        else:
            for extra in named[1].split(","):
                yield from expand(extras[extra], extras)


def choose(kind: str) -> Iterator[str]:
    """Yield the lines of a requirements file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    if kind == "without-torch":
        yield f"--constraint {ROOT / 'constraints.txt'}"
    for requirement in expand([*project["dependencies"], *extras["test"]], extras):
        name = requirement.partition(">=")[0]
        if kind == "without-torch":
            if name not in NEED_TORCH:
                yield requirement
        elif name == "torch":
            print(f"{requirement} is tested as {TORCH}", file=sys.stderr)
            yield TORCH
        else:
            yield requirement.replace(">=", "==") if kind == "oldest" else requirement


if __name__ == "__main__":
    print(*choose(sys.argv[1]), sep="\n")
