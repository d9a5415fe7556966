"""Compare the responses in `scr_table` with the true ones on simulated recordings.

    python benchmarks/scr_counts.py --python ENV/bin/python      # docs/responses.md

ENV is an environment with NeuroKit2, which simulates the recordings of the last group. Without
`--python` this group is left out. The script prints Markdown tables.

True number, of `make_music_listening`: the responses of at least 0.01 µS whose peak is in the
trial; the true sum is that of their amplitudes. Of NeuroKit2: the number that its simulation was
given (1 to one every 10 s).

The bound counts the rises of the true phasic component. It differs from the true number where
responses overlap, or where the decay of an earlier one hides a small one. A second bound has the
default method count only rises of more than 1.1 times the true height of a breath. The recordings
without breathing lack the sine that the generator adds; all other noise remains. Irregular
breathing replaces this sine: its rate and its height change from breath to breath (standard
deviation 8 % within 8 s, and 25 % within 15 s), and it has a second harmonic. Recordings in
which nothing happens are the same without their phasic component; those of NeuroKit2 have no
response.
"""

from __future__ import annotations

import argparse
import io
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy
from scipy.signal import lfilter

import edaemo
from edaemo.datasets import make_music_listening
from edaemo.decomposition import SMALLEST_US, CvxEDA, DecompositionMethod, scr_events
from edaemo.features import scr_table

# Method and treatment of breathing.
METHODS: dict[str, tuple[str | DecompositionMethod, str | None]] = {
    "bandpass": ("bandpass", "auto"),
    "bandpass, breathing kept": ("bandpass", None),
    "cvxeda, weights from the noise": (CvxEDA(weights="noise"), "auto"),
    "cvxeda, published weights": (CvxEDA(weights="published"), "auto"),
    "highpass": ("highpass", "auto"),
    "median": ("median", "auto"),
    "smooth": ("smooth", "auto"),
}
BOUND = "bound: rises of the true phasic component"
BREATHS = "bound: bandpass, breathing kept, rises above its true height"
# Share of the true height of a breath that a rise must exceed to count in this row.
ABOVE = 1.1
GENERATED = {
    "180 s, 50 Hz": (50.0, 180.0, "laboratory"),
    "180 s, 4 Hz": (4.0, 180.0, "laboratory"),
    "20 to 56 s, 50 Hz": (50.0, (20.0, 56.0), "laboratory"),
    "20 to 56 s, 4 Hz": (4.0, (20.0, 56.0), "laboratory"),
    "wristband, 180 s, 4 Hz": (4.0, 180.0, "wristband"),
    "wristband, 20 to 56 s, 4 Hz": (4.0, (20.0, 56.0), "wristband"),
}
NEUROKIT = {"NeuroKit2, 180 s, 50 Hz": (50, 180), "NeuroKit2, 180 s, 4 Hz": (4, 180)}
SPACING = 10  # s of recording for each response of NeuroKit2, at least

# Run by the Python with NeuroKit2. It writes recordings, one in each row, and their true numbers.
SIMULATE = """
import io, sys, warnings
import neurokit2 as nk
import numpy as np

warnings.simplefilter("ignore")
rate, duration, spacing, n, seed = (int(text) for text in sys.argv[1:])
numbers = np.random.default_rng(seed).integers(1, duration // spacing, n, endpoint=True)
def make(number, seed):
    return nk.eda_simulate(
        duration=duration,
        sampling_rate=rate,
        scr_number=int(number),
        drift=-0.001,  # the default would end at a negative level
        random_state=seed,
    )
held = io.BytesIO()
np.savez(
    held,
    eda=[make(number, seed + row) for row, number in enumerate(numbers)],
    nothing=[make(0, seed + row) for row in range(n)],
    numbers=numbers,
    version=nk.__version__,
)
sys.stdout.buffer.write(held.getvalue())
"""


# Method, kind and form of the recordings → table.
Tables = dict[tuple[str, str, str], pd.DataFrame]


class Recordings(NamedTuple):
    """Recordings in µS by the name of their form, and the true number of responses of each."""

    forms: dict[str, list[np.ndarray]]
    numbers: np.ndarray
    sums: np.ndarray | None  # of the true amplitudes
    bound: np.ndarray | None  # counted in the true phasic component
    above_breaths: np.ndarray | None  # counted above the true height of breathing
    rate: float


def generate(
    rate: float, duration: float | tuple, device: str, people: int, trials: int, seed: int
) -> Recordings:
    """Make the recordings of one study."""
    study = make_music_listening(
        people,
        trials,
        trials,
        sampling_rate=rate,
        duration=duration,
        device=device,
        random_state=seed,
    )
    forms: dict[str, list[np.ndarray]] = {}
    numbers, sums, bound, above_breaths = [], [], [], []
    rng = np.random.default_rng(seed)
    for eda, ((subject, trial), known) in zip(
        study.trials["eda"], study.truth.iterrows(), strict=True
    ):
        parts = study.make_components(subject, trial)
        phasic, noise = parts["phasic"].to_numpy(), parts["noise"].to_numpy()
        breathing = sine(noise, known.breathing_rate / rate)
        irregular = breathe(rng, len(eda), rate, known.breathing_rate, known.breathing_depth)
        of_trial = {
            "as recorded": eda,
            "irregular breathing": eda - breathing + irregular,
            "without breathing": eda - breathing,
            "no response": eda - phasic,
            "no response, irregular breathing": eda - phasic - breathing + irregular,
            "no response, no breathing": eda - phasic - breathing,
        }
        for form, recording in of_trial.items():
            forms.setdefault(form, []).append(recording)
        slow, fast = known.slow_constant, known.fast_constant
        rise = np.log(slow / fast) / (1 / fast - 1 / slow)  # s
        sizes = parts["driver"].to_numpy() / rate  # µS
        ended = np.arange(len(eda)) / rate + rise < (len(eda) - 1) / rate
        counting = (sizes >= SMALLEST_US) & ended
        numbers.append(np.count_nonzero(counting))
        sums.append(np.sum(sizes[counting]))
        bound.append(len(scr_events(phasic, rate, min_amplitude=0.0)))
        least = max(SMALLEST_US, ABOVE * 2 * known.breathing_depth)
        table = scr_table(eda[None], rate, min_amplitude_us=least, breathing=None)
        above_breaths.append(table["n_responses"][0])
    return Recordings(forms, *map(np.array, (numbers, sums, bound, above_breaths)), rate)


def sine(noise: np.ndarray, cycles: float) -> np.ndarray:
    """Return the least-squares sine of this frequency, in cycles per sample."""
    angle = 2 * np.pi * cycles * np.arange(len(noise))
    waves = np.column_stack([np.sin(angle), np.cos(angle)])
    return waves @ np.linalg.lstsq(waves, noise, rcond=None)[0]


def breathe(
    rng: np.random.Generator, n: int, rate: float, frequency: float, depth: float
) -> np.ndarray:
    """Return breathing (µS) whose rate and height change from breath to breath."""
    changes = []
    for seconds in (8.0, 15.0):
        kept = np.exp(-1 / (seconds * rate))
        steps = np.sqrt(1 - kept**2) * rng.standard_normal(n)
        steps[0] = rng.standard_normal()
        changes.append(lfilter([1], [1, -kept], steps))
    phase = 2 * np.pi * (np.cumsum(frequency * (1 + 0.08 * changes[0])) / rate + rng.random())
    return depth * np.exp(0.25 * changes[1]) * (np.sin(phase) + 0.25 * np.sin(2 * phase + 1))


def simulate(python: str, rate: int, duration: int, n: int, seed: int) -> tuple[Recordings, str]:
    """Return recordings that NeuroKit2 simulates, and its version."""
    arguments = [str(number) for number in (rate, duration, SPACING, n, seed)]
    done = subprocess.run([python, "-c", SIMULATE, *arguments], stdout=subprocess.PIPE, check=True)
    with np.load(io.BytesIO(done.stdout)) as held:
        forms = {"as recorded": list(held["eda"]), "no response": list(held["nothing"])}
        known = Recordings(forms, held["numbers"], None, None, None, float(rate))
        return known, str(held["version"])


def measure(
    recordings: Sequence[np.ndarray],
    rate: float,
    method: str | DecompositionMethod,
    breathing: str | None,
) -> pd.DataFrame:
    """Return the table of the responses of each recording."""
    trials = pd.Series(list(recordings), dtype=object)
    return scr_table(trials, rate, method=method, breathing=breathing)


def agreement(measured: np.ndarray, true: np.ndarray) -> str:
    """Return correlation, and mean measured value over mean true value, as text."""
    r = np.corrcoef(measured, true)[0, 1]
    return f"{r:.3f}; {measured.mean() / true.mean():.2f}"


def false_alarms(table: pd.DataFrame) -> str:
    """Return the share of recordings without response, and responses per minute, as text."""
    counts, minutes = table["n_responses"], table["duration"].sum() / 60
    return f"{np.mean(counts == 0):.2f}; {counts.sum() / minutes:.1f}"


def print_table(head: str, kinds: Sequence[str], rows: dict[str, list[str]]) -> None:
    """Print a Markdown table with its heading."""
    print(f"{head}\n")
    print("| | " + " | ".join(kinds) + " |")
    print("|---" * (len(kinds) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def print_agreement(tables: Tables, groups: dict[str, Recordings]) -> None:
    """Print how counts and sums agree with the true ones."""
    for form, column, head in (
        ("as recorded", "n_responses", "Number of responses: correlation with the true number; "
         "mean over mean true number:"),
        ("irregular breathing", "n_responses", "The same with irregular breathing:"),
        ("without breathing", "n_responses", "The same without breathing:"),
        ("as recorded", "amplitude_sum", "Sum of the amplitudes, with breathing: correlation with "
         "the true sum; mean over mean true sum:"),
    ):  # fmt: skip
        true = {
            kind: group.numbers if column == "n_responses" else group.sums
            for kind, group in groups.items()
            if form in group.forms
        }
        kinds = [kind for kind, values in true.items() if values is not None]
        rows = {
            name: [agreement(tables[name, kind, form][column], true[kind]) for kind in kinds]
            for name in METHODS
        }
        if (form, column) == ("as recorded", "n_responses"):
            rows[BOUND] = [
                "" if group.bound is None else agreement(group.bound, group.numbers)
                for group in groups.values()
            ]
            rows[BREATHS] = [
                "" if group.above_breaths is None else agreement(group.above_breaths, group.numbers)
                for group in groups.values()
            ]
        print_table(head, kinds, rows)


def print_false_alarms(tables: Tables, groups: dict[str, Recordings]) -> None:
    """Print the responses that are found where nothing happens."""
    for form, head in {
        "no response": "Nothing happens: share of recordings with count 0; counted per minute:",
        "no response, irregular breathing": "Nothing happens, irregular breathing:",
        "no response, no breathing": "Nothing happens, without breathing:",
    }.items():
        kinds = [kind for kind, group in groups.items() if form in group.forms]
        rows = {
            name: [false_alarms(tables[name, kind, form]) for kind in kinds] for name in METHODS
        }
        print_table(head, kinds, rows)


def main() -> None:
    """Count the responses and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", help="path of a Python with neurokit2")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--trials", type=int, default=20, help="trials of each subject")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    sizes = args.people, args.trials, args.seed
    groups = {kind: generate(*setting, *sizes) for kind, setting in GENERATED.items()}
    versions = f"edaemo {edaemo.__version__}, numpy {np.__version__}, scipy {scipy.__version__}"
    if args.python is not None:
        for kind, (rate, duration) in NEUROKIT.items():
            n = args.people * args.trials
            groups[kind], version = simulate(args.python, rate, duration, n, args.seed)
        versions += f", NeuroKit2 {version}"
    print(
        f"`python benchmarks/scr_counts.py{' --python ENV/bin/python' if args.python else ''} "
        f"--people {args.people} --trials {args.trials} --seed {args.seed}`, {versions}\n"
    )
    tables = {
        (name, kind, form): measure(recordings, group.rate, *method)
        for name, method in METHODS.items()
        for kind, group in groups.items()
        for form, recordings in group.forms.items()
    }
    print_agreement(tables, groups)
    print_false_alarms(tables, groups)


if __name__ == "__main__":
    main()
