"""The documentation keeps its promises: commands run, links lead somewhere, no name is missing."""

import contextlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def run_page(page: Path, folder: Path) -> None:
    """Run the blocks of a page in order and compare what they print with the next text block.

    A block after the name of a file and a colon becomes the end of this file.
    """
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        kind, code, expected = block.groups()
        printed = io.StringIO()
        if name := re.search(r"`(\w+\.\w+)`:\s*$", text[: block.start()]):
            with Path(folder, name[1]).open("a", encoding="utf-8") as file:
                file.write(code)
        elif kind == "sh":
            program, *arguments = code.split()
            run = [Path(sys.executable).parent / program, *arguments]
            done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            printed.write(done.stdout + done.stderr)
        else:
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(page), "exec"), names)
        if expected is not None:
            compare(expected, printed.getvalue())


def compare(expected: str, printed: str) -> None:
    """Check that each line of the page was printed, in this order; numbers up to 0.05.

    A line that ends with a backslash goes on in the next line of the page.
    """
    expected = re.sub(r" \\\n +", " ", expected)
    lines = iter(printed.splitlines())
    for line in expected.splitlines():
        if line.strip() != "…":
            assert any(is_like(line, candidate) for candidate in lines), f"{line}\n\n{printed}"


def is_like(expected: str, printed: str) -> bool:
    """Return whether two lines have the same text and nearly the same numbers."""
    seconds = re.compile(r"[\d.]+ *\|$")  # the last column of a table is a time
    pair = [" ".join(seconds.sub("|", line).split()) for line in (expected, printed)]
    if NUMBER.sub("#", pair[0]) != NUMBER.sub("#", pair[1]):
        return False
    numbers = [[float(number) for number in NUMBER.findall(line)] for line in pair]
    return bool(np.allclose(*numbers, rtol=1e-3, atol=0.05))


def write_e4_session(folder: Path) -> None:
    """Write a session of an Empatica E4 with two trials of 30 s, and their ratings."""
    folder.mkdir(parents=True)
    start = 1_600_000_000
    rng = np.random.default_rng(0)
    eda = 2 + 0.01 * rng.standard_normal(4 * 120).cumsum()
    lines = [f"{start:.6f}", "4.000000", *(f"{value:.6f}" for value in eda)]
    (folder / "EDA.csv").write_text("\n".join(lines) + "\n")
    presses = "".join(f"{start + second:.2f}\n" for second in (10, 40, 60, 90))
    (folder / "tags.csv").write_text(presses)
    ratings = "subject,trial,valence,arousal\nP01,1,4,6\nP01,2,7,3\n"
    (folder.parents[1] / "ratings.csv").write_text(ratings)


def test_every_command_of_the_first_result_does_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_e4_session(tmp_path / "sessions" / "P01")
    shutil.copy(REPOSITORY / "tests/files/recordings/acqknowledge.acq", tmp_path / "anna.acq")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the page describes what was found
        run_page(DOCS / "first-result.md", tmp_path)
    assert (tmp_path / "first-result.png").stat().st_size > 10_000
    assert (tmp_path / "report" / "report.html").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "page",
    [
        "leak-check.md",
        pytest.param(
            "extend.md",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("torch") is None, reason="the page registers a network"
            ),
        ),
    ],
)
def test_the_code_of_a_page_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(DOCS / page, tmp_path)


def test_every_public_name_has_one_page_in_the_reference(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    reference = importlib.import_module("reference")
    listed = re.findall(r"^   (edaemo[\w.]*)$", (DOCS / "api.md").read_text(), flags=re.M)
    files = [
        path.relative_to(REPOSITORY).with_suffix("").parts
        for path in sorted((REPOSITORY / "edaemo").rglob("*.py"))
    ]
    modules = {".".join(parts).removesuffix(".__init__") for parts in files}
    public = {name: importlib.import_module(name) for name in modules if "._" not in name}
    exports = {
        name: module.__all__ for name, module in public.items() if hasattr(module, "__all__")
    }
    assert sorted(listed) == sorted(exports)

    pages = []
    for module, names in exports.items():
        paths = [path for _, paths, _ in reference.list_contents(module) for path in paths]
        assert sorted(path.rpartition(".")[2] for path in paths) == sorted(names)
        pages += [
            page for _, paths, new in reference.list_contents(module) if new for page in paths
        ]
    assert len(pages) == len(set(pages))
    assert {reference.find_homes()[f"{m}.{name}"] for m in exports for name in exports[m]} == set(
        pages
    )


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a Markdown file."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(REPOSITORY.glob("*.md")), ids=lambda page: page.name)
def test_links_of_a_page_outside_of_the_documentation_lead_to_files_and_headings(page):
    # Sphinx checks the links of the pages in docs/.
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]*)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in list_anchors(target), link
