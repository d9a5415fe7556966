"""Time and memory of reading recordings, side by side with pandas reading the one column.

Run: python benchmarks/readers.py. It writes an 8 h recording at 64 Hz with 10 columns (100 MB) and
a 24 h session of an E4 with BVP into a temporary folder. Each reader runs in a process of its own.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

PANDAS = (
    "import pandas as pd; "
    "eda = pd.read_csv({file!r}, usecols=['eda'], dtype=float)['eda'].to_numpy()"
)
EDAEMO = (
    "from edaemo.datasets import read_recording; "
    "eda, rate = read_recording({file!r}, sampling_rate=64)"
)
E4 = (
    "from edaemo.datasets import load_e4; "
    "study = load_e4({file!r}, tags='ignore', signals=('eda', 'bvp')); "
    "eda = study.trials['eda'][0]"
)
# The peak is that of the process, with its imports.
MEASURE = """
import resource, time
{imports}
start = time.perf_counter()
{code}
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(seconds, peak, len(eda))
"""


def measure(code: str, imports: str) -> tuple[float, float, int]:
    """Return seconds, peak memory in MB and number of samples, of three runs the fastest."""
    runs = []
    for _ in range(3):
        script = MEASURE.format(code=code, imports=imports)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        seconds, peak, n = done.stdout.split()
        runs.append((float(seconds), float(peak), int(n)))
    return min(runs)


def write_table(path: Path, hours: float, *, times: bool) -> None:
    """Write a table of 10 columns at 64 Hz; the first is the time or a count."""
    n = round(hours * 3600 * 64)
    block = 64 * 3600
    names = ["time" if times else "n", "eda", *(f"x{i}" for i in range(8))]
    generator = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(names) + "\n")
        for start in range(0, n, block):
            count = np.arange(start, min(n, start + block))
            columns = [count / 64 if times else count, 2 + np.sin(count / 999)]
            columns += [*generator.normal(size=(8, len(count)))]
            form = ["%.6f" if times else "%d", "%.6f", *["%.3f"] * 8]
            np.savetxt(file, np.stack(columns, axis=1), delimiter=",", fmt=form)


def write_session(folder: Path, hours: float) -> None:
    """Write a session of an E4 with EDA and BVP."""
    folder.mkdir()
    for name, rate in (("EDA.csv", 4), ("BVP.csv", 64)):
        samples = 2 + np.sin(np.arange(round(hours * 3600 * rate)) / 99)
        np.savetxt(folder / name, samples, fmt="%.6f", header=f"1600000000.0\n{rate}", comments="")


def main() -> None:
    """Print the table."""
    with TemporaryDirectory() as place:
        plain, timed = Path(place) / "plain.csv", Path(place) / "timed.csv"
        write_table(plain, 8, times=False)
        write_table(timed, 8, times=True)
        write_session(Path(place) / "P01", 24)
        both = "import pandas, edaemo.datasets"
        print("| file | reader | s | MB | time to pandas | memory to pandas |")
        print("|---|---|---|---|---|---|")
        for file in (plain, timed):
            size = file.stat().st_size / 1e6
            base = measure(PANDAS.format(file=str(file)), both)
            ours = measure(EDAEMO.format(file=str(file)), both)
            for name, (seconds, peak, _) in (("pandas", base), ("edaemo", ours)):
                print(
                    f"| {file.stem}, {size:.0f} MB | {name} | {seconds:.2f} | {peak:.0f} | "
                    f"{seconds / base[0]:.2f} | {peak / base[1]:.2f} |"
                )
        seconds, peak, _ = measure(E4.format(file=str(Path(place) / "P01")), both)
        print(f"| E4, 24 h with BVP | edaemo | {seconds:.2f} | {peak:.0f} | | |")


if __name__ == "__main__":
    main()
