"""Fuzz one reader guided by the coverage of edaemo's Python code, if atheris is installed.

``python tests/fuzz/guided.py pickle -max_total_time=60`` (``pip install atheris``) takes the
options of libFuzzer. It ends at the first file that raises an exception which is not edaemo's, and
keeps it.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris
from seeds import copy_companions, find_seeds, write_seeds

# The modules that read files; torch cannot compile instrumented networks.
MODULES = ["edaemo.datasets", "edaemo._safe_file", "edaemo.persistence", "edaemo._sklearn_parts"]

with atheris.instrument_imports(include=MODULES):
    from readers import READERS


def main() -> None:
    """Write the seeds of the reader, and fuzz it."""
    name, *options = sys.argv[1:]
    reader = READERS[name]
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_seeds(folder, [name])
        copy_companions(folder / name, folder)
        case = folder / find_seeds(folder / name)[0].name

        def read(content: bytes) -> None:
            case.write_bytes(content)
            try:
                reader.read(case)
            except reader.error:
                return

        atheris.Setup([sys.argv[0], *options, "-timeout=5", str(folder / name)], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
