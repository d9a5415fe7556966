"""Compare `scr_events` with NeuroKit2's `eda_peaks` (method "neurokit") on recordings with EDA.

Both use the same waveform: NeuroKit2's phasic component, `eda_phasic(eda_clean(…))`, of the column
EDA of each file. Two SCRs match if their peaks are at most 0.1 s apart. The script prints a
Markdown table with medians of edaemo minus NeuroKit2 over the matched SCRs.

NeuroKit2 requires an older pandas. It can be installed in a separate environment, whose Python is
an argument:

    python benchmarks/scr_agreement.py FOLDER/*.csv --rate 100 --neurokit-python ENV/bin/python

The rules of the two libraries differ in four ways:

- NeuroKit2 keeps peaks whose prominence is at least a tenth of the largest prominence. edaemo keeps
  peaks whose rise from the onset is at least a tenth of the largest rise. On the flank of a higher
  peak, the prominence is smaller than the rise, so only edaemo keeps such an SCR (118.5 s in the
  event-related recording, 6.4 s in the resting one). At the end of a staircase of small rises, the
  prominence is larger than the rise, because it includes the earlier steps. There only NeuroKit2
  keeps the last step (106.4 s in the event-related recording, with an amplitude of 0.02 of the
  largest).
- NeuroKit2 lists a peak whose onset is before the recording, with NaN for its amplitude. edaemo
  does not list it. The table counts peaks with an onset and peaks without an onset separately.
- At a flat top, NeuroKit2 uses the middle sample, and edaemo uses the first sample. At a flat
  bottom, NeuroKit2 uses the middle sample, and edaemo uses the last sample. These recordings have
  no flat tops or bottoms.
- The half recovery of edaemo is where the line between two samples first crosses the half. That of
  NeuroKit2 is the sample whose value is closest to the half from below, before the lowest value
  ahead of the next peak. While the waveform only falls, NeuroKit2's value is later by less than a
  sample. If the waveform falls below the half, rises above it and falls again, NeuroKit2's value
  can be at a later crossing: by 0.6 and 1.2 s in two SCRs of the event-related recording.
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

NEAR = 0.1  # maximum seconds between the peaks of two matching SCRs

# Run by the Python with NeuroKit2. It writes its results to standard output as an npz file.
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
        scrs = pd.DataFrame({name: held[name] for name in ("onset", "peak", *MEASURES)})
        return held["phasic"], scrs, str(held["version"])


def match(ours: np.ndarray, theirs: np.ndarray) -> list[tuple[int, int]]:
    """Match peaks at most NEAR seconds apart, nearest first; each peak is matched at most once."""
    distance = np.abs(ours[:, None] - theirs)
    pairs = []
    while distance.size and distance.min() <= NEAR + 1e-9:
        pair = np.unravel_index(np.argmin(distance), distance.shape)
        pairs.append((int(pair[0]), int(pair[1])))
        distance[pair[0], :] = distance[:, pair[1]] = np.inf
    return sorted(pairs)


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Return the cells of one row of the table."""
    whole = theirs[theirs["onset"].notna()]
    pairs = match(ours["peak"].to_numpy(), whole["peak"].to_numpy())
    mine, other = (list(rows) for rows in zip(*pairs, strict=True)) if pairs else ([], [])
    cells = [str(len(ours)), str(len(whole)), str(len(theirs) - len(whole)), str(len(pairs))]
    for name in MEASURES:
        difference = ours[name].to_numpy()[mine] - whole[name].to_numpy()[other]
        both = difference[np.isfinite(difference)]
        cells.append(
            f"{np.median(both):.2g} (at most {np.abs(both).max():.2g}, of {len(both)})"
            if len(both)
            else "-"
        )
    return cells


def main() -> None:
    """Compare all recordings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="CSV files with a column EDA")
    parser.add_argument("--rate", type=int, default=100, help="samples per second")
    parser.add_argument(
        "--neurokit-python", default=sys.executable, help="path of a Python with neurokit2"
    )
    args = parser.parse_args()
    rows = []
    for recording in args.recordings:
        if "EDA" not in pd.read_csv(recording, nrows=0).columns:
            print(f"{recording.name} has no column EDA: skipped.", file=sys.stderr)
            continue
        phasic, theirs, version = ask_neurokit(args.neurokit_python, recording, args.rate)
        ours = scr_events(phasic, args.rate, min_amplitude_us=None)  # NeuroKit2 has no such limit
        rows.append([recording.stem, *compare(ours, theirs)])
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
