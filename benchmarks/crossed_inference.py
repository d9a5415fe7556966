"""Measure coverage and error rates of intervals and tests over people and over people and songs.

Each study has ratings: a song effect (standard deviation 1), a person effect (0.5) and noise (1).
The label is 1 if the rating is above 0. Each of eight features has a song effect, a person effect
and noise (1 each), which are independent of the rating. In studies with an effect, a share of the
rating is added to all features. Logistic and ridge regression are fitted in five folds, in 25
blocks where people and songs are held out together. The designs are:

- crossed: each person hears each song; 32 people and 40 songs as in DEAP, and 15 people.
- parts: each of 60 people hears 20 of 100 songs, as in PMEmo.
- single: each of 30 people hears 32 of 600 songs, so most songs are heard once or twice, as in
  HKU956.
- songs: 32 people and 40 songs, protocol "stimulus".
- people: 15 or 32 people with 32 trials and no songs, protocol "subject". `tree` predicts the label
  from the place of the trial, with the leaf size of the row trial-order.

"Old" intervals and tests treat songs as fixed and models as given: expanded percentiles over draws
of people, and the one-sided Wilcoxon test of people's scores. "New" ones are those of `Scores` and
`Jackknife`. The true score is the mean, over all studies, of the score of the fitted models for new
people with new songs in blocks of the same shape.

    python benchmarks/crossed_inference.py crossed-32 --studies 300
    python benchmarks/crossed_inference.py crossed-32 --task regression
    python benchmarks/crossed_inference.py crossed-32 --pairs

With `--pairs`, two pipelines with different features that are equally informative are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier

from edaemo.benchmark import paired_test
from edaemo.model_selection import make_protocol
from edaemo.statistics import Outcome, Scores, Task, make_task
from edaemo.statistics._crossed import Jackknife, inflate_variance, limits_of
from edaemo.statistics._scores import p_above
from edaemo.statistics._summary import score_units

N_FEATURES, N_FOLDS, N_NEW, EFFECT = 8, 5, 5, 0.15
CHANCE = {"balanced_accuracy": 0.5, "roc_auc": 0.5, "concordance_correlation": 0.0, "pearson": 0.0}
SHOWN = {
    "binary": ("accuracy", "balanced_accuracy", "f1", "roc_auc"),
    "regression": ("concordance_correlation", "pearson", "rmse"),
}


class Design(NamedTuple):
    """The people and songs of a study, and the protocol."""

    n_people: int
    n_songs: int
    n_heard: int
    protocol: str = "subject+stimulus"
    tree: bool = False


DESIGNS = {
    "crossed-32": Design(32, 40, 40),
    "crossed-15": Design(15, 40, 40),
    "parts": Design(60, 100, 20),
    "single": Design(30, 600, 32),
    "songs": Design(32, 40, 40, "stimulus"),
    "people-15": Design(15, 0, 32, "subject"),
    "people-32": Design(32, 0, 32, "subject"),
    "tree-15": Design(15, 0, 32, "subject", tree=True),
}


class Study(NamedTuple):
    """Person, song, features and rating of each trial."""

    person: np.ndarray
    song: np.ndarray
    features: np.ndarray
    rating: np.ndarray


def draw_songs(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Draw the songs of each person, shape (n_people, n_heard); without songs all differ."""
    if not design.n_songs:
        return np.arange(design.n_people * design.n_heard).reshape(design.n_people, -1)
    songs = [rng.permutation(design.n_songs)[: design.n_heard] for _ in range(design.n_people)]
    return np.unique(np.sort(songs, axis=1), return_inverse=True)[1].reshape(len(songs), -1)


def draw_people(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Draw the effects of people on the rating and on each feature."""
    return rng.normal(size=(design.n_people, 1 + N_FEATURES))


def make_study(
    design: Design, songs: np.ndarray, people: np.ndarray, effect: float, rng: np.random.Generator
) -> Study:
    """Draw features and ratings of people with new songs."""
    song = songs.ravel()
    person = np.repeat(np.arange(len(songs)), songs.shape[1])
    n_songs, n = song.max() + 1, len(song)
    rating = 0.5 * people[person, 0] + rng.normal(size=n)
    features = people[person, 1:] + rng.normal(size=(n, N_FEATURES))
    if design.n_songs:
        rating += rng.normal(size=n_songs)[song]
        features += rng.normal(size=(n_songs, N_FEATURES))[song]
    if design.tree:
        place = np.tile(np.arange(songs.shape[1]), len(songs))
        rating += 2 * effect * np.sin(2 * np.pi * place / songs.shape[1])
        return Study(person, song, place[:, None].astype(float), rating)
    return Study(person, song, features + effect * rating[:, None], rating)


def make_model(task: Task, design: Design) -> BaseEstimator:
    """Make the estimator of a task."""
    if design.tree:
        return DecisionTreeClassifier(min_samples_leaf=0.05, random_state=0)
    return LogisticRegression() if task.has_classes else Ridge()


def predict(task: Task, model: BaseEstimator, features: np.ndarray) -> np.ndarray:
    """Return probabilities of 1, or numbers."""
    return model.predict_proba(features)[:, 1] if task.has_classes else model.predict(features)


def read(task: Task, rating: np.ndarray, predicted: np.ndarray) -> Outcome:
    """Return the outcome of predicted probabilities or numbers."""
    if task.has_classes:
        labels = (rating > 0).astype(int)
        return task.read(labels, (predicted > 0.5).astype(int), predicted)
    return task.read(rating, predicted)


def score_all(task: Task, outcome: Outcome, person: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the shown scores, pooled and as means over people, shape (n_scores, 2)."""
    pooled = score_units(task, outcome, np.zeros_like(person), folds)
    people = score_units(task, outcome, person, folds)
    return np.array([[pooled[name][0], np.nanmean(people[name])] for name in SHOWN[task.name]])


def run_study(
    design: Design, task: Task, effect: float, seed: int
) -> tuple[np.ndarray, list[list[dict[str, float]]]]:
    """Return the scores for new people and songs, and the intervals and p values by score."""
    rng = np.random.default_rng([seed, 11])
    songs = draw_songs(design, rng)
    people = draw_people(design, rng)
    study = make_study(design, songs, people, effect, rng)
    protocol = make_protocol(design.protocol, N_FOLDS, seed)
    are_new = "subject" in protocol.covers
    new = [
        make_study(design, songs, draw_people(design, rng) if are_new else people, effect, rng)
        for _ in range(N_NEW)
    ]
    target = (study.rating > 0).astype(int) if task.has_classes else study.rating
    folds = np.empty(len(target), int)
    features = np.array([study.features, *(other.features for other in new)])
    predicted = np.empty(features.shape[:2])
    ids = {"subject": study.person, "stimulus": study.song}
    held_out = {name: ids[name] for name in protocol.uses if name in ids}
    for fold, (training, test) in enumerate(protocol.split(study.features, target, **held_out)):
        model = make_model(task, design).fit(study.features[training], target[training])
        of_all = predict(task, model, features[:, test].reshape(-1, features.shape[2]))
        predicted[:, test], folds[test] = of_all.reshape(len(features), -1), fold
    truth = np.mean(
        [
            score_all(task, read(task, other.rating, values), study.person, folds)
            for other, values in zip(new, predicted[1:], strict=True)
        ],
        axis=0,
    )
    outcome = read(task, study.rating, predicted[0])
    return truth, list(judge(task, outcome, ids, folds, protocol.covers, seed))


def judge(
    task: Task,
    outcome: Outcome,
    ids: dict[str, np.ndarray],
    folds: np.ndarray,
    covers: tuple[str, ...],
    seed: int,
) -> Iterator[list[dict[str, float]]]:
    """Yield the old and new intervals and p values of each score, pooled and over people."""
    person = ids["subject"]
    over_people = Scores(task, outcome, person, fold=folds, random_state=seed).summary
    people = score_units(task, outcome, person, folds)
    crossed = None
    if "stimulus" in covers:
        crossed = Jackknife(task, outcome, ids, covers, folds=folds, cross_validated=True)
    for name in SHOWN[task.name]:
        found = []
        p_people = np.nan
        if name in CHANCE:
            of_people = people[name][~np.isnan(people[name])]
            p_people = p_above(of_people, np.full(len(of_people), CHANCE[name]))
        for average in ("pooled", "over_people"):
            row = over_people.loc[name]
            new = row[[f"{average}_low", f"{average}_high"]].to_numpy(float)
            # Take back the factor for models of several folds.
            old = row[average] + (new - row[average]) / inflate_variance(name) ** 0.5
            p_new = p_people
            if crossed is not None:
                left = getattr(crossed, average)(name)
                new = np.array(left.interval(*limits_of(name)))
                p_new = left.p_above(CHANCE[name]) if name in CHANCE else np.nan
            found.append({"old": old, "new": new, "p_old": p_people, "p_new": p_new})
        yield found


def test_pair(design: Design, task: Task, effect: float, seed: int) -> tuple[float, float]:
    """Return the old and the new p of two pipelines whose features are equally informative."""
    rng = np.random.default_rng([seed, 12])
    songs = draw_songs(design, rng)
    study = make_study(design, songs, draw_people(design, rng), effect, rng)
    other = make_study(design, songs, draw_people(design, rng), 0, rng).features
    protocol = make_protocol(design.protocol, N_FOLDS, seed)
    target = (study.rating > 0).astype(int) if task.has_classes else study.rating
    ids = {"subject": study.person, "stimulus": study.song}
    held_out = {name: ids[name] for name in protocol.uses if name in ids}
    folds, predicted = np.empty(len(target), int), np.empty((2, len(target)))
    both = study.features, other + effect * study.rating[:, None]
    for fold, (training, test) in enumerate(protocol.split(study.features, target, **held_out)):
        folds[test] = fold
        for i, features in enumerate(both):
            model = make_model(task, design).fit(features[training], target[training])
            predicted[i, test] = predict(task, model, features[test])
    outcomes = [read(task, study.rating, values) for values in predicted]
    people = [score_units(task, of, study.person, folds)[task.tested] for of in outcomes]
    crossed = [
        Jackknife(task, of, ids, protocol.covers, folds=folds, cross_validated=True)
        for of in outcomes
    ]
    gain = crossed[0].over_people(task.tested, minus=crossed[1])
    return paired_test(*people).p_value, gain.p_different()


def show_pairs(name: str, task: Task, n_studies: int) -> None:
    """Print how often two equally good pipelines differ."""
    for effect in (0.0, EFFECT):
        p = [test_pair(DESIGNS[name], task, effect, seed) for seed in range(n_studies)]
        found = " | ".join(f"{share:.3f}" for share in np.mean(np.array(p) <= 0.05, axis=0))
        print(
            f"| {name} | {'effect' if effect else 'null'} | {task.tested} | {found} |", flush=True
        )


def show(name: str, task: Task, n_studies: int) -> None:
    """Print the rows of one design."""
    design = DESIGNS[name]
    if design.tree and not task.has_classes:
        return
    for effect in (0.0, EFFECT):
        truths, studies = zip(
            *(run_study(design, task, effect, seed) for seed in range(n_studies)), strict=True
        )
        truth = np.mean(truths, axis=0)
        for i, score in enumerate(SHOWN[task.name]):
            for j, average in enumerate(("pooled", "over people")):
                found = [study[i][j] for study in studies]
                cells = [name, "effect" if effect else "null", score, average]
                cells.append(f"{truth[i, j]:.3f}")
                for way in ("old", "new"):
                    low, high = np.array([results[way] for results in found]).T
                    covered = (low <= truth[i, j]) & (truth[i, j] <= high)
                    cells += [f"{covered.mean():.3f}", f"{np.mean(high - low):.3f}"]
                for way in ("p_old", "p_new"):
                    p = np.array([results[way] for results in found])
                    cells.append("" if np.isnan(p).any() else f"{np.mean(p <= 0.05):.3f}")
                print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("designs", nargs="+", choices=DESIGNS)
    parser.add_argument("--task", choices=list(SHOWN), default="binary")
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--pairs", action="store_true")
    args = parser.parse_args()
    task = make_task(args.task)
    if args.pairs:
        print("| design | truth | score | old p <= 0.05 | new p <= 0.05 |\n|---|---|---|---|---|")
        for name in args.designs:
            show_pairs(name, task, args.studies)
        return
    head = ["design", "truth", "score", "average", "true score", "old covers", "width"]
    head += ["new covers", "width", "old p <= 0.05", "new p <= 0.05"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name in args.designs:
        show(name, task, args.studies)


if __name__ == "__main__":
    main()
