"""Build the compiled kernel of edaemo.decomposition where there is a compiler.

All else is declared in pyproject.toml. The kernel is a plain shared library that is loaded with
ctypes. Without it edaemo works the same on its scipy core, so a build that fails is said in one
line and no more.
"""

import logging

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

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


class BuildKernelIfPossible(build_ext):
    """Build the kernel, or say in one line that it is left out."""

    def run(self):
        """Build nothing where the platform has no compiler that setuptools can find."""
        try:
            super().run()
        except PlatformError as error:
            self._leave_out(error)

    def build_extension(self, extension):
        """Compile and link."""
        try:
            super().build_extension(extension)
        except (CCompilerError, ExecError, PlatformError, OSError) as error:
            self._leave_out(error)

    def copy_extensions_to_source(self):
        """Copy what was built next to the sources, for an editable installation."""
        self.extensions = [e for e in self.extensions if e.name not in self._left_out]
        super().copy_extensions_to_source()

    def get_outputs(self):
        """List what was built."""
        self.extensions = [e for e in self.extensions if e.name not in self._left_out]
        return super().get_outputs()

    _left_out: frozenset = frozenset()

    def _leave_out(self, error):
        self._left_out = frozenset({KERNEL.name})
        reason = " ".join(str(error).split())
        reason = reason if len(reason) < 200 else f"{reason[:200]} ..."
        logging.getLogger("edaemo").warning(
            "edaemo: the compiled kernel is left out, the decomposition will run on scipy, some "
            "twenty times slower (%s)",
            reason,
        )


setup(ext_modules=[KERNEL], cmdclass={"build_ext": BuildKernelIfPossible})
