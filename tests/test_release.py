"""What is released: the tag and metadata of the packages, and files that name versions."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml

import edaemo

ROOT = Path(__file__).parents[1]
ADDRESS = "https://forge.example/group/edaemo"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def build(source, out, *, kind, env):
    command = ["-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment():
    return {name: value for name, value in os.environ.items() if name != "EDAEMO_PROJECT_URL"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The files that git has, without build folders."""
    target = tmp_path_factory.mktemp("release") / "source"
    ignored = (".git", ".venv*", "build", "dist", "results", "*.egg-info", "__pycache__")
    ignore = shutil.ignore_patterns(*ignored, ".*_cache", ".hypothesis", "*.so", "_build")
    shutil.copytree(ROOT, target, ignore=ignore, symlinks=True)
    return target


@pytest.fixture(scope="module")
def released(source, environment, tmp_path_factory):
    """An sdist that was built with the address, and a wheel built from it without the address."""
    out = tmp_path_factory.mktemp("released")
    build(source, out, kind="sdist", env={**environment, "EDAEMO_PROJECT_URL": ADDRESS})
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(out / "unpacked", filter="data")
    (unpacked,) = (out / "unpacked").iterdir()
    build(unpacked, out, kind="wheel", env=environment)
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


def metadata_of(package):
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            text = archive.read(name).decode()
    else:
        with tarfile.open(package) as archive:
            (name,) = (one for one in archive.getnames() if re.fullmatch("[^/]+/PKG-INFO", one))
            text = archive.extractfile(name).read().decode()
    return HeaderParser().parsestr(text)


# ---------------------------------------------------------------- packages


def test_a_wheel_with_the_kernel_is_for_one_platform_and_every_python(released):
    wheel = released[1]
    with zipfile.ZipFile(wheel) as archive:
        kernels = [name for name in archive.namelist() if "/_kernel" in name]
    if not kernels:
        pytest.skip("no compiler: the wheel has no kernel")
    assert len(kernels) == 1
    assert re.fullmatch(r"edaemo-[^-]+-py3-none-(linux|macosx|win).+\.whl", wheel.name)
    assert re.fullmatch(r"edaemo/decomposition/_kernel\.(so|pyd)", kernels[0])


def test_a_wheel_without_the_kernel_is_for_every_platform(source, environment, tmp_path):
    env = {**environment, "CXX": str(tmp_path / "no-compiler")}
    printed = build(source, tmp_path, kind="wheel", env=env)
    assert "the compiled kernel is left out" in printed
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"edaemo-{edaemo.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        (tags,) = (name for name in archive.namelist() if name.endswith("/WHEEL"))
        assert "Root-Is-Purelib: true" in archive.read(tags).decode()


@pytest.mark.parametrize("index", [0, 1], ids=["sdist", "wheel"])
def test_the_metadata_have_the_projects_links_and_absolute_links_in_the_readme(released, index):
    metadata = metadata_of(released[index])
    links = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert set(links) == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    assert all(link.startswith(ADDRESS) for link in links.values())
    found = LINK.findall(metadata.get_payload())
    relative = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) == len(relative) > 20
    for link, written in zip(found, relative, strict=True):
        assert link.startswith("https://")
        kind = "raw" if written.endswith(".png") else "blob"
        if not written.startswith("https://"):
            assert link == f"{ADDRESS}/{kind}/v{edaemo.__version__}/{written}"
            assert (ROOT / written).exists() or written.startswith("data/")


def test_a_package_index_can_show_both_packages(released):
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *released]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_an_editable_install_works_in_the_folder_that_contains_the_clone(
    source, environment, tmp_path
):
    clone = shutil.copytree(source, tmp_path / "edaemo")
    build_editable = "from setuptools import build_meta; build_meta.build_editable('.')"
    without_kernel = {**environment, "CXX": "false"}
    subprocess.run(
        [sys.executable, "-c", build_editable], cwd=clone, env=without_kernel, check=True
    )
    (wheel,) = clone.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    # -S, -E: without the site-packages of this interpreter and PYTHONPATH, which may have edaemo.
    code = "import site; site.addsitedir('site'); import edaemo; print(edaemo.__file__)"
    printed = subprocess.check_output([sys.executable, "-SE", "-c", code], cwd=tmp_path, text=True)
    assert Path(printed.strip()).resolve() == (clone / "edaemo" / "__init__.py").resolve()


def test_without_the_address_no_link_is_made_up(source, environment, tmp_path):
    build(source, tmp_path, kind="sdist", env=environment)
    (sdist,) = tmp_path.glob("*.tar.gz")
    metadata = metadata_of(sdist)
    assert metadata.get_all("Project-URL") is None
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip()


def test_a_release_without_the_address_is_refused(environment, tmp_path):
    command = [sys.executable, ROOT / ".ci" / "release.py", tmp_path / "out"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Set EDAEMO_PROJECT_URL to the public https address")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["http://forge.example/edaemo", "edaemo", "https://forge"])
def test_an_address_that_is_none_is_refused(source, environment, address):
    done = subprocess.run(
        [sys.executable, "setup.py", "--name"],
        cwd=source,
        env={**environment, "EDAEMO_PROJECT_URL": address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"EDAEMO_PROJECT_URL is {address!r}" in done.stderr


def test_the_sdist_has_everything_but_the_corpora(released):
    with tarfile.open(released[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("tests/conftest.py", "tests/data/simulated_eda.csv", "docs/datasets.md"):
        assert name in names
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    expected = {name for name in tracked.stdout.split("\0") if name and (ROOT / name).exists()}
    assert {name for name in expected - names if not name.startswith("data/")} == {".gitignore"}
    assert not any(name == "data" or name.startswith("data/") for name in names)


# ---------------------------------------------------------------- files that name versions


def test_the_citation_names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == edaemo.__version__
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'license = "{citation["license"]}"' in project
    assert [author["name"] for author in citation["authors"]] == ["The edaemo developers"]


def test_the_workflows_test_every_python_of_the_classifiers():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    classifiers = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert tests["jobs"]["versions"]["strategy"]["matrix"]["python"] == classifiers


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_runs_commands_that_exist_and_actions_of_a_major_version(workflow):
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"(actions/[\w-]+@v\d+|pypa/.+@release/v\d+)", step["uses"])
            for command in expand(step.get("run", ""), matrix):
                program, *arguments = command.split()
                assert program != "make" or arguments[0] in targets.split()
                assert not program.startswith(".ci") or (ROOT / program).exists()


def expand(command, matrix):
    """Return the command for each value of the matrix that it names."""
    named = re.search(r"\$\{\{ matrix\.(\w+) \}\}", command)
    if named is None:
        return [command] if command else []
    return [command.replace(named[0], value) for value in matrix[named[1]]]


SCHEMAS = {
    "vendor.github-workflows": [f".github/workflows/{file.name}" for file in WORKFLOWS],
    "vendor.github-issue-forms": [
        ".github/ISSUE_TEMPLATE/bug.yml",
        ".github/ISSUE_TEMPLATE/request.yml",
    ],
    "vendor.github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
    "vendor.citation-file-format": ["CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_for_the_hosting_platform_follow_their_schema(schema):
    command = ["-m", "check_jsonschema", "--output-format", "json", "--builtin-schema", schema]
    done = subprocess.run(
        [sys.executable, *command, *SCHEMAS[schema]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["status"] == "ok"
