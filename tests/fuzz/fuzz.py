"""Damage files of every format at random, and read them: only errors of edaemo may come out.

``python tests/fuzz/fuzz.py --seconds 60`` gives each reader an equal share of the time, prints a
table, and exits with 1 if a file made a reader crash, take more than 5 s of the processor or more
than 1 GB, or raise any other exception. ``--keep FOLDER`` keeps such files. The same ``--seed``
damages the files alike. It needs the limits on processes of Linux.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from damage import write_damaged
from readers import READERS
from seeds import SEEDS, copy_companions, find_seeds, write_seeds

SECONDS, MEMORY, LONGEST_MESSAGE = 5, 10**9, 5000


class HangError(BaseException):
    """A reader takes too much time of the processor."""


def stop(*_: object) -> None:
    """End the reading of a file that takes too long."""
    raise HangError(f"more than {SECONDS} s")


def try_files(name: str, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """Read damaged files until the time is over; return what happened."""
    reader, rng = READERS[name], random.Random(f"{name} {seed}")
    seeds = find_seeds(folder / "seeds" / name)
    originals = [path.read_bytes() for path in seeds]
    place = folder / "cases" / name
    copy_companions(folder / "seeds" / name, place)
    companions = {*place.iterdir()}
    cases = [place / path.name for path in seeds]
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, stop)
    counts: Counter[str] = Counter()
    findings: list[dict[str, str]] = []
    for case, content in zip(cases, originals, strict=True):  # imports what the reader needs
        case.write_bytes(content)
        outcome, finding = try_file(name, case)
        if outcome != "read":
            findings.append({"what": f"the undamaged file is {outcome}: {finding}"})
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))
    end, slowest = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        which = rng.randrange(len(seeds))
        for file in {*place.iterdir()} - companions:  # such as the log of a store
            file.unlink()
        write_damaged(cases[which], originals, which, reader.sealed, rng)
        content, began = cases[which].read_bytes(), time.process_time()
        outcome, finding = try_file(name, cases[which])
        slowest = max(slowest, time.process_time() - began)
        counts.update((outcome, "tries"))
        if outcome == "fell":
            kept = f"{name}-{len(findings)}{cases[which].suffix}"
            (folder / kept).write_bytes(content)
            findings.append({"what": finding, "file": kept})
    return {**counts, "slowest": slowest, "findings": findings}


def try_file(name: str, case: Path) -> tuple[str, str]:
    """Return "read", "refused" or "fell", and the message of the error."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        READERS[name].read(case)
    except READERS[name].error as error:
        if len(str(error)) > LONGEST_MESSAGE:
            return "fell", f"a message of {len(str(error))} characters"
        return "refused", str(error)
    except (Exception, HangError) as error:  # noqa: BLE001 - a finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return "fell", f"{type(error).__name__} in {place}: {' '.join(str(error).split())[:80]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read", ""


def run(name: str, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """Run `try_files` in a fork of this process, which may crash."""
    made = folder / f"{name}.json"
    process = get_context("fork").Process(target=write_result, args=(made, name, seconds, seed))
    process.start()
    process.join(2 * seconds + 60)
    if process.is_alive():
        process.kill()
        return {"findings": [{"what": "it hangs in a library", "file": keep_last(name, folder)}]}
    if not made.exists():
        what = f"its process ended with {process.exitcode}"
        return {"findings": [{"what": what, "file": keep_last(name, folder)}]}
    return json.loads(made.read_text())


def write_result(made: Path, name: str, seconds: float, seed: int) -> None:
    """Write the result of `try_files` to a file."""
    result = json.dumps(try_files(name, seconds, seed, made.parent))
    made.write_text(result)


def keep_last(name: str, folder: Path) -> str:
    """Keep the file that a process was reading when it ended; return its name."""
    files = sorted((folder / "cases" / name).iterdir())
    for file in files:
        file.rename(folder / f"{name}-last{file.suffix}")
    return ", ".join(f"{name}-last{file.suffix}" for file in files)


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print one row for each reader, in Markdown, and then what fell."""
    print("| reader | files read | read | refused | crash, hang, memory, other | slowest (s) |")
    print("|---|---|---|---|---|---|")
    for name, result in results.items():
        counts = " | ".join(f"{result.get(key, 0):,}" for key in ("tries", "read", "refused"))
        slowest = result.get("slowest", 0.0)
        print(f"| {name} | {counts} | {len(result['findings'])} | {slowest:.1f} |")
    for name, result in results.items():
        kinds: dict[str, list[str]] = {}
        for finding in result["findings"]:
            kinds.setdefault(finding["what"], []).append(finding.get("file", ""))
        for what, files in kinds.items():
            print(f"\n{name}: {len(files)} times (first {files[0]}): {what}")


def main() -> int:
    """Fuzz the readers, or one of them if this is its process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--keep", type=Path, help="folder for the files that fell")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        write_seeds(folder / "seeds", arguments.readers)
        share = arguments.seconds / len(arguments.readers)
        results = {name: run(name, share, arguments.seed, folder) for name in arguments.readers}
    print_table(results)
    return 1 if any(result["findings"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
