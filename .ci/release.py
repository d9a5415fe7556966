"""Build a release on Linux: the sdist and a wheel for each platform, and check them.

    EDAEMO_PROJECT_URL=https://… python .ci/release.py dist

`make release` calls it in an environment of its own, with zig, which compiles the kernel for all
platforms. The wheels are built from the unpacked sdist. With --sdist only the sdist is built.
docs/releasing.md has the other steps.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Target(NamedTuple):
    """A platform: the name that wheels have for it, zig's name, and the format of its libraries."""

    platform: str
    zig: str
    library: tuple[str, int]


# The format of a library, and the number of the processor in its header.
TARGETS = [
    Target("manylinux_2_17-x86_64", "x86_64-linux-gnu.2.17", ("ELF", 62)),
    Target("manylinux_2_17-aarch64", "aarch64-linux-gnu.2.17", ("ELF", 183)),
    Target("musllinux_1_2-x86_64", "x86_64-linux-musl", ("ELF", 62)),
    Target("musllinux_1_2-aarch64", "aarch64-linux-musl", ("ELF", 183)),
    Target("macosx-11.0-x86_64", "x86_64-macos.11.0", ("Mach-O", 0x01000007)),
    Target("macosx-11.0-arm64", "aarch64-macos.11.0", ("Mach-O", 0x0100000C)),
    Target("win-amd64", "x86_64-windows-gnu", ("PE", 0x8664)),
]


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return what it prints; print it and stop if it fails."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def identify_library(content: bytes) -> tuple[str, int]:
    """Return the format of a shared library and the number of its processor."""
    if content[:4] == b"\x7fELF":
        return "ELF", int.from_bytes(content[18:20], "little")
    if content[:4] == b"\xcf\xfa\xed\xfe":
        return "Mach-O", int.from_bytes(content[4:8], "little")
    header = int.from_bytes(content[0x3C:0x40], "little")
    if content[:2] == b"MZ" and content[header : header + 4] == b"PE\0\0":
        return "PE", int.from_bytes(content[header + 4 : header + 6], "little")
    raise SystemExit(f"The kernel is not a library of a known format: {content[:8]!r}")


def check_metadata(text: str) -> None:
    """Stop unless the metadata have the project's links, and the README absolute ones only."""
    metadata = HeaderParser().parsestr(text)
    readme = metadata.get_payload()
    relative = re.findall(r"\]\((?!https?://|#|mailto:)([^)]+)\)", readme)
    if not metadata.get_all("Project-URL") or relative:
        raise SystemExit(f"Metadata without project links, or with relative ones: {relative}")


def check_libc(wheel: Path, kernel: str) -> None:
    """Stop if the kernel of a wheel for Linux needs a newer C library than its tag promises."""
    if "manylinux" in wheel.name:
        shown = " ".join(run(sys.executable, "-m", "auditwheel", "show", wheel).split())
        found = re.search(
            r'consistent with the following platform tag: "manylinux_(\d+)_(\d+)_', shown
        )
        if found is None or (int(found[1]), int(found[2])) > (2, 17):
            raise SystemExit(f"auditwheel on {wheel.name}: {shown}")
        return
    # auditwheel reads wheels for musl on a system with musl only.
    from elftools.elf.elffile import ELFFile

    with zipfile.ZipFile(wheel) as archive, archive.open(kernel) as file:
        dynamic = ELFFile(io.BytesIO(file.read())).get_section_by_name(".dynamic")
    needed = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
    if not needed <= {"libc.so"}:
        raise SystemExit(f"The kernel of {wheel.name} needs {sorted(needed)}.")


def build_wheel(source: Path, target: Target, out: Path) -> Path:
    """Build the wheel of a platform, check its content, and return its path."""
    compiler = f"{sys.executable} -m ziglang c++ -target {target.zig} -s"
    environment = {**os.environ, "CXX": compiler, "_PYTHON_HOST_PLATFORM": target.platform}
    before = set(out.glob("*.whl"))
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", out, source)
    run(sys.executable, *build, env=environment)
    (wheel,) = set(out.glob("*.whl")) - before
    tag = re.sub(r"[-.]", "_", target.platform)
    if not wheel.name.endswith(f"-py3-none-{tag}.whl"):
        raise SystemExit(f"{wheel.name} does not have the tag py3-none-{tag}.")
    with zipfile.ZipFile(wheel) as archive:
        (kernel,) = (name for name in archive.namelist() if "/_kernel." in name)
        library = identify_library(archive.read(kernel))
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        check_metadata(archive.read(metadata).decode())
    if library != target.library or kernel.endswith(".pyd") != (library[0] == "PE"):
        raise SystemExit(f"{wheel.name} holds {kernel} of {library}, not of {target.library}.")
    if "linux" in target.platform:
        check_libc(wheel, kernel)
    return wheel


def try_wheel(wheel: Path, folder: Path) -> str:
    """Install a wheel into a fresh environment and decompose with it, outside the repository."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet")
    run(*pip, "--constraint", ROOT / "constraints.txt", "numpy", "scipy", "joblib")
    run(*pip, "--no-deps", wheel)
    return run(python, "-I", ROOT / ".ci" / "kernel.py", cwd=folder)


def main() -> None:
    """Build and check everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the files, empty or missing")
    parser.add_argument("--sdist", action="store_true", help="build no wheels")
    given = parser.parse_args()
    out = given.out.resolve()
    if not os.environ.get("EDAEMO_PROJECT_URL"):
        raise SystemExit(
            "Set EDAEMO_PROJECT_URL to the public https address of the repository: a package index "
            "shows the README, whose links need it."
        )
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise SystemExit(f"{out} is not empty: remove what an earlier build left there.")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, ROOT)
    (sdist,) = out.glob("*.tar.gz")
    print(sdist.name)
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(sdist) as archive:
            archive.extractall(temporary, filter="data")
        (source,) = Path(temporary).iterdir()
        check_metadata((source / "PKG-INFO").read_text(encoding="utf-8"))
        wheels = []
        for target in [] if given.sdist else TARGETS:
            wheels.append(build_wheel(source, target, out))
            print(wheels[-1].name, flush=True)
        if wheels:
            print(try_wheel(wheels[0], Path(temporary) / "fresh"))
    print(run(sys.executable, "-m", "twine", "check", "--strict", sdist, *wheels))


if __name__ == "__main__":
    main()
