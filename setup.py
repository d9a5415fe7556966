"""Build the compiled kernel of edaemo.decomposition, the wheel's tag and the project's links.

Everything else is declared in pyproject.toml. The kernel is a plain shared library without symbols
of Python, loaded with ctypes, so that one wheel per platform serves every version of Python.
Without the kernel edaemo works the same on its scipy core; a build that fails is reported in one
line.

Environment variables:

CXX
    The C++ compiler with its options, GCC or Clang. On Windows it must be Clang.
EDAEMO_PROJECT_URL
    Public address of the repository, for releases: see docs/releasing.md.
"""

import logging
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from email.parser import HeaderParser
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent

KERNEL = Extension(
    "edaemo.decomposition._kernel",
    sources=["edaemo/decomposition/_kernel.cpp", "edaemo/decomposition/_kernel_avx2.cpp"],
    depends=["edaemo/decomposition/_kernel.h", "edaemo/decomposition/_kernel.hpp"],
    # Contraction and the two options after it change no sum's order: answers do not depend on
    # anything but the instruction set.
    extra_compile_args=[
        "-std=c++17",
        "-O3",
        "-g0",
        "-fwrapv",
        "-ffp-contract=fast",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fno-exceptions",
        "-fno-rtti",
        "-fvisibility=hidden",
        "-Wno-psabi",
    ],
    language="c++",
)


def for_windows():
    """Return whether the build is for Windows, also if it runs elsewhere."""
    return sysconfig.get_platform().startswith("win")


def find_compiler():
    """Return the command of a C++ compiler that knows GNU's vector types, which MSVC does not."""
    chosen = os.environ.get("CXX")
    if chosen:
        return shlex.split(chosen, posix=os.name != "nt")
    if os.name == "nt":
        # GCC does not align 32-byte vectors on the stack of 64-bit Windows.
        names = ["clang++"]
    else:
        names = [sysconfig.get_config_var("CXX") or "", "c++", "g++", "clang++"]
    for command in map(shlex.split, names):
        if command and shutil.which(command[0]):
            return command
    raise FileNotFoundError("no C++ compiler was found; set CXX to GCC or Clang")


class BuildKernelIfPossible(build_ext):
    """Build the kernel, or report in one line that it is left out."""

    def build_extension(self, extension):
        """Compile and link the shared library."""
        target = Path(self.get_ext_fullpath(extension.name)).resolve()
        built = Path(self.build_temp).resolve() / target.name
        built.parent.mkdir(parents=True, exist_ok=True)
        sources = [str(ROOT.resolve() / name) for name in extension.sources]
        try:
            # A linker for Windows writes more files to the same folder, and wheels hold all files.
            subprocess.run(
                [
                    *find_compiler(),
                    *shlex.split(os.environ.get("ARCHFLAGS", "")),
                    *extension.extra_compile_args,
                    "-shared",
                    *([] if for_windows() else ["-fPIC"]),
                    *sources,
                    "-o",
                    str(built),
                ],
                cwd=built.parent,
                check=True,
            )
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            self._leave_out(error)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(built, target)

    def get_ext_filename(self, fullname):
        """Return a name that every version of Python finds."""
        return str(Path(*fullname.split("."))) + (".pyd" if for_windows() else ".so")

    def copy_extensions_to_source(self):
        """Copy the kernel next to its sources, for an editable installation."""
        super().copy_extensions_to_source()
        # An older kernel with the tag of one Python in its name would be found first.
        for old in (ROOT / "edaemo" / "decomposition").glob("_kernel.*-*.so"):
            old.unlink()

    def _leave_out(self, error):
        self.extensions = self.distribution.ext_modules = []
        reason = " ".join(str(error).split())
        reason = reason if len(reason) < 200 else f"{reason[:200]} ..."
        logging.getLogger("edaemo").warning(
            "edaemo: the compiled kernel is left out, the decomposition will run on scipy, some "
            "twenty times slower (%s)",
            reason,
        )


class WheelOfPlatform(bdist_wheel):
    """Tag a wheel with its platform if it holds the kernel, else as one for all platforms."""

    def run(self):
        """Build first, since the content decides on the tag."""
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()

    def get_tag(self):
        """Return the tags of Python, its ABI and the platform."""
        tag = super().get_tag()
        return tag if self.root_is_pure else ("py3", "none", tag[2])


def project_url():
    """Return the public address of the repository, or None if it is not known.

    The environment decides; an unpacked sdist knows the address with which it was made.
    """
    address = os.environ.get("EDAEMO_PROJECT_URL")
    if not address and (ROOT / "PKG-INFO").exists():
        made = HeaderParser().parsestr((ROOT / "PKG-INFO").read_text(encoding="utf-8"))
        labels = [line.partition(", ") for line in made.get_all("Project-URL", [])]
        address = next((url for label, _, url in labels if label == "Homepage"), None)
    if address and not re.fullmatch(r"https://[^\s/]+/\S+", address):
        raise SystemExit(
            f"EDAEMO_PROJECT_URL is {address!r}, not the https address of a repository."
        )
    return address.rstrip("/") if address else None


def link_readme(readme, files):
    """Return the README with absolute links to files, which a package index can follow.

    `files` is the address of the repository's files of this version, up to "blob" or "raw".
    """

    def link(found):
        picture, text, target = found["picture"], found["text"], found["target"]
        kind = "raw" if picture else "blob"
        return f"{picture}[{text}]({files.format(kind)}/{target})"

    relative = r"(?P<picture>!?)\[(?P<text>[^]]*)\]\((?P<target>(?!https?:|#|mailto:)[^)\s]+)\)"
    return re.sub(relative, link, readme)


def describe_project():
    """Return the metadata that depend on the public address of the repository."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    address = project_url()
    urls = {}
    if address:
        source = (ROOT / "edaemo" / "__init__.py").read_text(encoding="utf-8")
        version = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)[1]
        readme = link_readme(readme, f"{address}/{{}}/v{version}")
        urls = {
            "Homepage": address,
            "Documentation": f"{address}/tree/v{version}/docs",
            "Source": address,
            "Changelog": f"{address}/blob/v{version}/CHANGES.md",
            "Issues": f"{address}/issues",
        }
    return {
        "long_description": readme,
        "long_description_content_type": "text/markdown; charset=UTF-8",
        "project_urls": urls,
    }


setup(
    ext_modules=[KERNEL],
    cmdclass={"build_ext": BuildKernelIfPossible, "bdist_wheel": WheelOfPlatform},
    **describe_project(),
)
