"""Measure the coverage of prediction sets for new people, on generated and on real people.

In each repeat, some people are old and the others are new. A logistic regression (or a random
forest) is trained on half of the old people, and prediction sets are calibrated in four ways:

- trials: half of the trials of all old people train, and the other half calibrate, trial by trial;
- trials of other people: the other half of the people calibrate, trial by trial;
- people: ``ConformalByPerson``, coverage on average over people;
- 80 % of people: ``ConformalByPerson(person_share=0.8)``.

Printed are, over repeats: the mean coverage of the trials of a new person, with the standard error
of the repeats; the share of new people of whose trials at least the nominal share is covered; and
the mean number of classes in a set. The repeats of a study draw from the same people.

    python benchmarks/person_coverage.py --repeats 200 --path ../shared/data/freihaut_goeritz
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo.datasets import load_freihaut_goeritz, make_music_listening, select_people
from edaemo.estimators import ConformalByPerson
from edaemo.features import EDAFeatureExtractor

LEVELS = (0.8, 0.9)
MOST_NEW = 60  # new people in a repeat
Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_offsets(n_people: int = 400, n_fingerprints: int = 0) -> Data:
    """Return features, labels and people; people have offsets, slopes and 5 to 40 trials.

    Fingerprints are columns in which the trials of a person are nearly equal.
    """
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(n_people), rng.integers(5, 41, n_people))
    X = rng.normal(size=(len(person), 3))
    slopes = np.array([1.5, 1.0, 0.0]) + rng.normal(size=(n_people, 3))
    logit = (X * slopes[person]).sum(axis=1) + 2 * rng.normal(size=n_people)[person]
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-logit))).astype(int)
    fingerprints = rng.normal(size=(n_people, n_fingerprints))[person]
    fingerprints += rng.normal(scale=0.1, size=fingerprints.shape)
    return np.column_stack([X, fingerprints]), y, person


def make_listeners(n_people: int = 200) -> Data:
    """Return level features of generated listeners; labels are above the middle of the scale."""
    study = make_music_listening(
        n_people, 60, 30, sampling_rate=4, duration=25, subject_fingerprint=0.9
    )
    labels = study.ratings["arousal"] > np.mean(study.rating_range)
    return read_features(study.trials, 4), labels.to_numpy(int), study.trials["subject"].to_numpy()


def load_developed(path: str) -> Data:
    """Return level features of the development people of Freihaut and Göritz, and the stress."""
    study = select_people(load_freihaut_goeritz(path), "development")
    labels = study.targets["condition"].to_numpy() == "high"
    features = read_features(study.trials, study.sampling_rate)
    return features, labels.astype(int), study.trials["subject"].to_numpy()


def read_features(trials: pd.DataFrame, sampling_rate: float) -> np.ndarray:
    """Return the features of the skin conductance level and of responses."""
    extractor = EDAFeatureExtractor(sampling_rate, preset="level", missing="interpolate")
    return extractor.fit_transform(trials).to_numpy(np.float64)


def find_sets(
    model: ClassifierMixin, data: Data, old: np.ndarray, seed: int
) -> Iterator[tuple[float, str, np.ndarray]]:
    """Yield the level, the way of calibration, and coverage and set size of each new person."""
    X, y, person = data
    rng = np.random.default_rng(seed)
    people = np.unique(person[old])
    training = old & np.isin(person, rng.permutation(people)[: len(people) // 2])
    halved = old & (rng.random(len(old)) < 0.5)
    of_people, of_trials = (clone(model).fit(X[rows], y[rows]) for rows in (training, halved))
    each_trial = np.arange(len(X))
    ways = {
        "trials": (of_trials, old & ~halved, each_trial, None),
        "trials of other people": (of_people, old & ~training, each_trial, None),
        "people": (of_people, old & ~training, person, None),
        "80 % of people": (of_people, old & ~training, person, 0.8),
    }
    for level, (name, (fitted, rows, units, share)) in product(LEVELS, ways.items()):
        sets = ConformalByPerson(
            FrozenEstimator(fitted), coverage=level, person_share=share, calibration_fraction=None
        )
        sets.fit(X[rows], y[rows], subject=units[rows])
        chosen = sets.predict_set(X[~old])
        covered = chosen[np.arange(len(chosen)), y[~old]]
        table = pd.DataFrame({"covered": covered, "size": chosen.sum(axis=1)})
        yield level, name, table.groupby(person[~old]).mean().to_numpy()


def measure(name: str, model: ClassifierMixin, data: Data, n_old: int, repeats: int) -> None:
    """Print the rows of one study."""
    people = np.unique(data[2])
    found: dict[tuple[float, str], list[np.ndarray]] = {}
    for seed in range(repeats):
        order = np.random.default_rng([1, seed]).permutation(people)
        drawn = np.isin(data[2], order[: n_old + MOST_NEW])
        part: Data = (data[0][drawn], data[1][drawn], data[2][drawn])
        old = np.isin(part[2], order[:n_old])
        for level, way, by_person in find_sets(model, part, old, seed):
            found.setdefault((level, way), []).append(by_person)
    for (level, way), repeated in found.items():
        means = [by_person[:, 0].mean() for by_person in repeated]
        reached = np.mean([(by_person[:, 0] >= level - 1e-9).mean() for by_person in repeated])
        size = np.mean([by_person[:, 1].mean() for by_person in repeated])
        error = np.std(means) / np.sqrt(repeats)
        print(
            f"| {name}, {n_old} old people | {level} | {way} | {np.mean(means):.3f} "
            f"({error:.3f}) | {reached:.2f} | {size:.2f} |",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--path", help="the folder freihaut_goeritz; None: without it")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", "Some ids of subject are nearly equal")
    print("| study | nominal | calibrated by | coverage | people covered | classes in a set |")
    print("|---|---|---|---|---|---|")
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    forest = RandomForestClassifier(50, min_samples_leaf=3, random_state=0)
    measure("offsets", linear, make_offsets(), 24, args.repeats)
    measure("offsets", linear, make_offsets(), 80, args.repeats)
    measure("fingerprints", forest, make_offsets(n_fingerprints=5), 24, args.repeats)
    measure("listeners", linear, make_listeners(), 24, args.repeats)
    measure("listeners, forest", forest, make_listeners(), 24, args.repeats)
    if args.path:
        measure("Freihaut & Göritz", linear, load_developed(args.path), 22, args.repeats)


if __name__ == "__main__":
    main()
