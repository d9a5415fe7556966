"""Compare `scr_events` with NeuroKit2's `eda_peaks` (method "neurokit") on recordings with EDA.

Both work on the same waveform: NeuroKit2's own phasic component, `eda_phasic(eda_clean(…))`, of
the column EDA of each file. Two SCRs match where their peaks are at most 0.1 s apart. It prints a
Markdown table, and the medians in it are of edaemo minus NeuroKit2 over the matched SCRs.

NeuroKit2 asks for an older pandas, so it may live in an environment of its own, whose Python is
given:

    python benchmarks/scr_agreement.py FOLDER/*.csv --rate 100 --neurokit-python ENV/bin/python

The rules are the same but for four things, and each accounts for a kind of difference:

- NeuroKit2 keeps peaks whose prominence is at least a tenth of the largest prominence, edaemo
  those whose rise from the onset is at least a tenth of the largest rise. On the flank of a higher
  peak the prominence is less than the rise, so edaemo alone keeps such an SCR (118.5 s in the
  event-related recording, 6.4 s in the resting one). At the end of a staircase of small rises it is
  more, because it looks past the steps, so NeuroKit2 alone keeps the last step (106.4 s in the
  event-related recording, with an amplitude of 0.02 of the largest).
- NeuroKit2 lists a peak whose onset lies before the recording, with NaN for its amplitude; edaemo
  leaves it out. The table counts those with an onset, and those without beside them.
- Of a level top NeuroKit2 takes the middle sample, edaemo the first; of a level bottom the middle
  and the last. In these recordings there is none.
- edaemo's half recovery is where the line between two samples first crosses the half. NeuroKit2's
  is the sample whose value is closest to the half from below, on the way to the lowest value before
  the next peak. While the waveform only falls, NeuroKit2's is later by less than a sample. Where it
  falls below the half, rises over it and falls again, NeuroKit2's may lie at a later crossing: by
  0.6 and 1.2 s in two SCRs of the event-related recording.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from edaemo.decomposition._events import scr_events

NEAR = 0.1  # seconds between the peaks of two SCRs that match

# Run by the Python that has NeuroKit2; what it finds goes to standard output as an npz file.
THEIRS = """
import io, sys, warnings
import neurokit2 as nk
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
eda, rate = pd.read_csv(sys.argv[1])["EDA"].to_numpy(), int(sys.argv[2])
clean = nk.eda_clean(eda, sampling_rate=rate)
phasic = nk.eda_phasic(clean, sampling_rate=rate)["EDA_Phasic"].to_numpy()
info = nk.eda_peaks(phasic, sampling_rate=rate, method="neurokit")[1]
held = io.BytesIO()
np.savez(
    held,
    phasic=phasic,
    version=nk.__version__,
    onset=info["SCR_Onsets"],
    peak=info["SCR_Peaks"] / rate,
    amplitude=info["SCR_Amplitude"],
    rise_time=info["SCR_RiseTime"],
    half_recovery_time=info["SCR_RecoveryTime"],
)
sys.stdout.buffer.write(held.getvalue())
"""

MEASURES = ("amplitude", "rise_time", "half_recovery_time")


def ask_neurokit(python: str, recording: Path, rate: int) -> tuple[np.ndarray, pd.DataFrame, str]:
    """Return NeuroKit2's phasic component, its SCRs and its version."""
    done = subprocess.run(
        [python, "-c", THEIRS, str(recording), str(rate)], stdout=subprocess.PIPE, check=True
    )
    with np.load(io.BytesIO(done.stdout)) as held:
        found = pd.DataFrame({name: held[name] for name in ("onset", "peak", *MEASURES)})
        return held["phasic"], found, str(held["version"])


def match(ours: np.ndarray, theirs: np.ndarray) -> list[tuple[int, int]]:
    """Pair peaks at most NEAR seconds apart, each with its nearest, none twice."""
    apart = np.abs(ours[:, None] - theirs)
    pairs = []
    while apart.size and apart.min() <= NEAR + 1e-9:
        pair = np.unravel_index(np.argmin(apart), apart.shape)
        pairs.append((int(pair[0]), int(pair[1])))
        apart[pair[0], :] = apart[:, pair[1]] = np.inf
    return sorted(pairs)


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Give the cells of one row of the table."""
    whole = theirs[theirs["onset"].notna()]
    pairs = match(ours["peak"].to_numpy(), whole["peak"].to_numpy())
    mine, other = (list(rows) for rows in zip(*pairs, strict=True)) if pairs else ([], [])
    cells = [str(len(ours)), str(len(whole)), str(len(theirs) - len(whole)), str(len(pairs))]
    for name in MEASURES:
        less = ours[name].to_numpy()[mine] - whole[name].to_numpy()[other]
        both = less[np.isfinite(less)]
        cells.append(
            f"{np.median(both):.2g} (at most {np.abs(both).max():.2g}, of {len(both)})"
            if len(both)
            else "-"
        )
    return cells


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="CSV files with a column EDA")
    parser.add_argument("--rate", type=int, default=100, help="samples per second")
    parser.add_argument(
        "--neurokit-python", default=sys.executable, help="the Python that can import neurokit2"
    )
    args = parser.parse_args()
    rows = []
    for recording in args.recordings:
        if "EDA" not in pd.read_csv(recording, nrows=0).columns:
            print(f"{recording.name} has no column EDA: left out.", file=sys.stderr)
            continue
        phasic, theirs, version = ask_neurokit(args.neurokit_python, recording, args.rate)
        rows.append([recording.stem, *compare(scr_events(phasic, args.rate), theirs)])
    if not rows:
        parser.error("none of the files has a column EDA")
    print(f"edaemo minus NeuroKit2 {version}, median over the matched SCRs:\n")
    print(
        "| recording | edaemo's SCRs | NeuroKit2's | and without onset | matched | amplitude | "
        "rise time (s) | half recovery (s) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
