"""What is installed, what is distributed, and what the README says."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import edaemo

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
    for name in in_wheel + in_sdist:
        assert "hku956" not in name.replace("_hku956.py", "")
        assert not name.endswith((".zip", ".tsv", ".csv"))
        assert "/data/" not in name


def test_code_in_the_readme_is_the_examples_code():
    examples = "".join(file.read_text() for file in (ROOT / "examples").glob("*.py"))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert block in examples
