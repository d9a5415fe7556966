"""The licences of everything that the default installation brings."""

import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edaemo._torch import has_torch

ROOT = Path(__file__).parents[1]
# Licences without copyleft, and MPL-2.0, whose copyleft is limited to its own files. Name any other
# here, such as the LGPL, only after it was read.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"),
    *("LLVM-exception", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
}
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "Historical Permission Notice and Disclaimer (HPND)": "MIT-CMU",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# The CUDA build of torch requires these. CONTRIBUTING.md names their licence.
NVIDIA = ("cuda-", "nvidia-")
# The metadata of skops has no more than "OSI Approved".
FIRST_LINES = {"MIT License (MIT)": "MIT"}


def names_in(licence: str) -> set[str]:
    return set(re.split(r"[()\s]+(?:AND|OR|WITH)[()\s]+|[()]", licence)) - {""}


def licence_of(found: Distribution) -> str:
    """Return the expression, else a known name in the field, the classifiers or the file."""
    stated = found.metadata.get("License-Expression")
    if stated:
        return stated
    field = found.metadata.get("License", "")
    if names_in(field) and names_in(field) <= ALLOWED:
        return field
    classifiers = [line.rpartition(" :: ")[2] for line in found.metadata.get_all("Classifier", [])]
    if known := [CLASSIFIERS[name] for name in classifiers if name in CLASSIFIERS]:
        return " AND ".join(known)
    files = [file for file in found.files or [] if re.match("LICEN[CS]E", file.name)]
    lines = {file.read_text().strip().partition("\n")[0] for file in files}
    return " AND ".join(FIRST_LINES.get(line, line) for line in sorted(lines)) or "unknown"


def installed_by_default() -> dict[str, str]:
    """Return the licence of every distribution that the dependencies require, without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    todo, licences = [Requirement(text) for text in project["dependencies"]], {}
    while todo:
        wanted = todo.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        found = distribution(wanted.name)
        if found.name.lower() not in licences:
            licences[found.name.lower()] = licence_of(found)
            todo += [Requirement(text) for text in found.requires or []]
    return licences


@pytest.mark.skipif(not has_torch(), reason="needs torch")
def test_default_installation_has_no_gpl_and_the_guide_lists_its_licences():
    licences = installed_by_default()
    assert {"numpy", "torch", "mpmath"} <= set(licences)  # mpmath is required by sympy, by torch
    assert not [name for name, text in licences.items() if "GPL" in text]
    licences = {name: text for name, text in licences.items() if not name.startswith(NVIDIA)}
    refused = {name: text for name, text in licences.items() if not names_in(text) <= ALLOWED}
    assert refused == {}
    guide = (ROOT / "CONTRIBUTING.md").read_text().partition("**Licences.**")[2]
    listed = set(re.findall(r"[\w-]+", guide.lower()))
    assert {name for name in licences if name.replace("_", "-") not in listed} == set()


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-or-later", "MIT AND AGPL-3.0-only", "LGPL-2.1", "unknown", "Custom"]
)
def test_other_licences_are_refused(licence):
    assert not names_in(licence) <= ALLOWED
