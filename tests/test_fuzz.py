"""Damaged files of every format, for a minute of random changes; ``make fuzz`` takes an hour."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz" / "fuzz.py"


@pytest.mark.skipif(sys.platform != "linux", reason="needs the limits on processes of Linux")
def test_damaged_files_give_only_errors_of_edaemo(tmp_path):
    pytest.importorskip("torch")  # models are among the files
    command = [sys.executable, FUZZ, "--seconds", "30", "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("| reader | files read |")
