"""What is installed, what is distributed, and what the README says."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from graphlib import TopologicalSorter
from pathlib import Path

import edaemo
from edaemo import benchmark

ROOT = Path(__file__).parents[1]


def test_import_takes_neither_torch_nor_scikit_learn_nor_matplotlib():
    heavy = {"torch", "sklearn", "pandas", "numpy", "scipy", "matplotlib", "skorch", "cvxopt"}
    code = f"import sys, edaemo; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_preparing_data_takes_no_torch():
    code = (
        "import sys; from edaemo import CvxEDATransformer, MusicFeatureUnion, "
        "SubjectThresholdRelabeler; import edaemo.datasets; print('torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.strip() == "False"


def modules_after(code: str) -> set[str]:
    code = f"import sys; {code}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    return set(printed.split())


def test_loading_a_model_takes_neither_evaluation_nor_report():
    loaded = modules_after("from edaemo import load")
    assert "edaemo.persistence" in loaded
    for room in ("evaluation", "statistics", "report", "reproduction", "benchmark"):
        assert f"edaemo.{room}" not in loaded


def test_statistics_can_be_lifted_out():
    loaded = modules_after("import edaemo.statistics")
    rooms = {name for name in loaded if re.fullmatch(r"edaemo\.[a-z]\w+", name)}
    assert rooms == {"edaemo.metrics", "edaemo.statistics"}
    assert "torch" not in loaded


def test_the_facade_has_every_promised_name_of_the_rooms():
    assert "edaemo.evaluation" not in modules_after("import edaemo.benchmark")
    for name in benchmark.__all__:
        assert getattr(benchmark, name) is not None
        assert name in dir(benchmark)


def imported_rooms(file: Path) -> set[str]:
    """Name the rooms that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "edaemo":
            found |= {f"edaemo.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    parts = [name.split(".") for name in found]
    return {name[1] for name in parts if name[0] == "edaemo" and len(name) > 1} - {"__version__"}


def test_rooms_import_one_another_in_no_circle():
    package = ROOT / "edaemo"
    rooms: dict[str, set[str]] = {}
    for file in package.rglob("*.py"):
        room = file.relative_to(package).with_suffix("").parts[0]
        if room != "__init__":
            rooms.setdefault(room, set()).update(imported_rooms(file) - {room})
    assert {"statistics", "estimators"} <= rooms["evaluation"]
    order = list(TopologicalSorter(rooms).static_order())  # CycleError names a circle
    assert order.index("cli") > order.index("report") > order.index("evaluation")


def test_what_rooms_take_from_one_another_is_public():
    """A room hands out names in its __init__; modules on the top level are there for all rooms."""
    package, found = ROOT / "edaemo", []
    for file in package.rglob("*.py"):
        own = file.relative_to(package).parts[0]
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("edaemo"):
                continue
            room, *below = [*node.module.split("."), ""][1:-1] or [""]
            names = [*below, *(alias.name for alias in node.names)]
            private = [name for name in names if re.match(r"_(?!_)", name)]
            if private and room not in ("", own):
                found.append((file.name, node.module, private))
    assert found == []


def test_decomposition_can_be_lifted_out_without_scikit_learn_or_pandas():
    code = (
        "import sys; import edaemo.decomposition; "
        "print({'sklearn', 'pandas', 'torch'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.strip() == "set()"


def test_every_public_name_is_there():
    for name in edaemo.__all__:
        assert getattr(edaemo, name) is not None
        assert name in dir(edaemo)


def test_wheel_and_sdist_hold_the_package_and_no_recordings(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("edaemo", "data", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta as b; b.build_wheel('out'); b.build_sdist('out')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "out").glob("*.whl")
    (sdist,) = (source / "out").glob("*.tar.gz")
    assert wheel.name.startswith(f"edaemo-{edaemo.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = archive.namelist()
    with tarfile.open(sdist) as archive:
        in_sdist = archive.getnames()
    assert "edaemo/py.typed" in in_wheel
    assert "edaemo/decomposition/_interior_point.py" in in_wheel
    assert any(name.endswith("licenses/LICENSE") for name in in_wheel)
    assert any(name.endswith("edaemo/decomposition/_kernel.hpp") for name in in_sdist)
    assert any(name.endswith("/tests/data/simulated_eda.csv") for name in in_sdist)
    for name in in_wheel + in_sdist:
        assert "hku956" not in name.replace("_hku956.py", "").replace("/hku956.sha256", "")
        if "/tests/" not in name:  # the files of the tests are ours
            assert not name.endswith((".zip", ".tsv", ".csv"))
            assert "/data/" not in name


def test_code_in_the_readme_is_the_examples_code():
    examples = "".join(file.read_text() for file in (ROOT / "examples").glob("*.py"))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert block in examples
