"""Measure how often a table finds one pipeline that reads EDA among several, on generated scores.

Each person has 32 trials, half of them high. A pipeline with balanced accuracy b is right on each
trial with the probability b. One of the pipelines has the stated b; the others and the rows without
EDA guess, except for the majority row, which is constant. The table shows the share of studies in
which the claim of this one pipeline holds, with its 95 % Clopper-Pearson interval: p is below 0.05
after Holm's adjustment, and the interval over people, widened as after cross-validation, is above
chance. The last column is the median of ``detectable_reads_eda`` of this pipeline: a gain that is
found in at least 80 % of the studies.

    python benchmarks/power.py --studies 200
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from edaemo.statistics import LEVEL
from edaemo.statistics._claims import judge
from edaemo.statistics._crossed import PeopleScores, inflate_variance
from edaemo.statistics._scores import draw_people, interval_over_people, widen

N_TRIALS = 32
GUESSING = ("trial-order", "duration", "stimulus-prior", "svm-music")
SIZES = ((15, 13, 1), (15, 13, 4), (15, 1, 1), (30, 13, 1))
EFFECTS = (0.5, 0.55, 0.6, 0.65, 0.7)


def draw_scores(rng: np.random.Generator, n_people: int, balanced_accuracy: float) -> pd.Series:
    """Draw the balanced accuracy of each person."""
    half = N_TRIALS // 2
    return pd.Series(rng.binomial(half, balanced_accuracy, (2, n_people)).mean(axis=0) / half)


def find(
    rng: np.random.Generator, n_people: int, n_pipelines: int, n_guessing: int, effect: float
) -> tuple[bool, float]:
    """Return whether one study finds the pipeline, and the gain that it could have found."""
    references = ("majority", *GUESSING[:n_guessing])
    pipelines = [f"pipeline {i}" for i in range(n_pipelines)]
    chances = {name: 0.5 for name in (*references, *pipelines)} | {pipelines[0]: effect}
    people = {name: draw_scores(rng, n_people, chance) for name, chance in chances.items()}
    people["majority"] = pd.Series(np.full(n_people, 0.5))
    table = judge(
        {**dict.fromkeys(references, ()), **dict.fromkeys(pipelines, ("eda",))},
        {name: PeopleScores("balanced_accuracy", scores) for name, scores in people.items()},
        rows=[*references, *pipelines],
        tested=pipelines,
        references=references,
        chance_row="majority",
        margin=0.05,
    )
    row, scores = table.loc[pipelines[0]], people[pipelines[0]].to_numpy()
    mean, draws = scores.mean(), draw_people(n_people, 0) @ scores / n_people
    factor = inflate_variance("balanced_accuracy") ** 0.5
    low, _ = widen(mean, interval_over_people(draws, n_people), factor, (0.0, 1.0))
    return row["p_reads_eda"] < LEVEL and low > 0.5, row["detectable_reads_eda"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    args = parser.parse_args()
    head = ["people", "pipelines", "rows without EDA", *(f"{effect:.2f}" for effect in EFFECTS)]
    print(f"| {' | '.join([*head, 'detectable gain'])} |")
    print(f"|{'---|' * (len(head) + 1)}")
    for size in SIZES:
        cells = [str(number) for number in (*size[:2], size[2] + 1)]
        detectable = []
        for effect in EFFECTS:
            rng = np.random.default_rng(0)
            outcomes = [find(rng, *size, effect) for _ in range(args.studies)]
            n_found = sum(found for found, _ in outcomes)
            low, high = binomtest(n_found, args.studies).proportion_ci()
            cells.append(f"{n_found / args.studies:.3f} [{low:.3f}, {high:.3f}]")
            detectable += [gain for _, gain in outcomes]
        print(f"| {' | '.join([*cells, f'{np.nanmedian(detectable):.3f}'])} |", flush=True)


if __name__ == "__main__":
    main()
