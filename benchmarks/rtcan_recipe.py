"""Choose the default training recipe of RTCAN on generated studies.

Each candidate is trained on some subjects of a generated study and scored on the others. The score
is (balanced accuracy - 0.5) / (best - 0.5), where best is the Bayes-optimal balanced accuracy for
EDA, or for EDA and music (`study.bayes_rate`). The last column is the balanced accuracy on the
development subjects of HKU956, the mean over five folds of whole subjects. No recordings of other
subjects are used. For the column with unequal classes, the labels are "above the 30th percentile of
the person's own arousal"; its best score is unknown, so it holds plain balanced accuracies.

Each cell has the mean over `--seeds` seeds (standard deviation).

    python benchmarks/rtcan_recipe.py --jobs 2
    python benchmarks/rtcan_recipe.py --only paper --tasks EDA
    python benchmarks/rtcan_recipe.py --only "the default" --weights published  # of cvxEDA
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from generated_null import lay_out
from joblib import Parallel, delayed
from sklearn.metrics import balanced_accuracy_score

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import load_hku956, make_music_listening, select_people
from edaemo.model_selection import SubjectKFold

SEED = 1001  # of the study; no other script uses it
PEOPLE, SONGS, TRIALS, N_TRAINING = 220, 200, 24, 120
RATE, SECONDS, N_TIMES = 8, 40.0, 128

CHANGES = {"time_shift": 0.2, "noise": 0.2, "scaling": 0.2}
PLAIN = {
    "optimizer_params": {},
    "weight_decay": 0.01,
    "lr": 1e-3,
    "lr_scheduler": "constant",
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "augmentation": {},
    "batch_size": 64,
    "max_epochs": 20,
    "class_weight": {},
}
EQUAL = {"class_weight": {}}
CHOSEN = PLAIN | {
    "augmentation": CHANGES,
    "dropout": 0.5,
    "lr_scheduler": "cosine",
    "weight_decay": 0.1,
    "class_weight": "balanced",
}
CANDIDATES = {
    "AdamW, 0.001, 20 epochs, nothing else": PLAIN,
    "… dropout 0.5": PLAIN | {"dropout": 0.5},
    "… augmentation": PLAIN | {"augmentation": CHANGES},
    "… augmentation, dropout 0.5": PLAIN | {"augmentation": CHANGES, "dropout": 0.5},
    "… and cosine, decay 0.1": CHOSEN | EQUAL,
    "… and classes weighted (the default)": CHOSEN,
    "the default, 10 epochs": CHOSEN | {"max_epochs": 10},
    "the default, label smoothing 0.1": CHOSEN | {"label_smoothing": 0.1},
    "the default, channel_drop 0.2": CHOSEN | {"augmentation": {**CHANGES, "channel_drop": 0.2}},
    "the default, small-corpus": CHOSEN | {"form": "small-corpus"},
    "the default, third ReLU": CHOSEN | {"last_relu": True},
    "paper": {"recipe": "paper"},
    "paper, 0.01 as variance": {"recipe": "paper-variance"},
    "published": {"recipe": "published"},
}


class Task(NamedTuple):
    """Training rows, test rows, and the best possible score."""

    column: str
    X: pd.DataFrame
    y: np.ndarray
    new: pd.DataFrame
    labels: np.ndarray
    best: float


def make_generated(weights: str) -> Iterator[Task]:
    """Yield the tasks of the generated study, decomposed with these weights."""
    study = make_music_listening(
        PEOPLE, SONGS, TRIALS, sampling_rate=RATE, duration=SECONDS, random_state=SEED
    )
    best = study.bayes_rate(3000)["balanced_accuracy"]
    to_channels = CvxEDATransformer(RATE, n_times=N_TIMES, weights=weights)
    table = to_channels.fit_transform(study.trials)
    people = study.trials["subject"]
    train = people.isin(sorted(people.unique())[:N_TRAINING]).to_numpy()
    for target, knows in [("arousal", "eda"), ("arousal", "both"), ("valence", "both")]:
        y = SubjectThresholdRelabeler(target=target).fit_relabel(study.ratings, subject=people)
        fuse = MusicFeatureUnion(music=study.music if knows == "both" else None)
        X, new = fuse.fit_transform(table[train]), fuse.transform(table[~train])
        inputs = "EDA and music" if knows == "both" else "EDA"
        yield Task(f"{target}, {inputs}", X, y[train], new, y[~train], best[target, knows])
    arousal = study.ratings["arousal"]
    low = arousal.groupby(people.to_numpy()).transform(lambda rated: rated.quantile(0.3))
    y = (arousal > low).to_numpy().astype(int)
    rows = MusicFeatureUnion().fit_transform(table)
    yield Task("arousal, EDA, unequal", rows[train], y[train], rows[~train], y[~train], 1.0)


def make_real(weights: str) -> Iterator[Task]:
    """Yield the folds of the development subjects of HKU956, decomposed with these weights."""
    study = select_people(load_hku956(), "development")
    people = study.trials["subject"]
    to_channels = CvxEDATransformer(study.sampling_rate, n_times=N_TIMES, weights=weights)
    table = to_channels.fit_transform(study.trials)
    rows = MusicFeatureUnion().fit_transform(table)
    y = SubjectThresholdRelabeler(target="arousal").fit_relabel(study.ratings, subject=people)
    for training, test in SubjectKFold(5).split(table, y):
        yield Task(
            "HKU956, arousal, EDA", rows.iloc[training], y[training], rows.iloc[test], y[test], 1.0
        )


def score(name: str, settings: dict, task: Task, seed: int) -> dict:
    """Train one candidate on one task, and return its score."""
    model = RTCANClassifier(random_state=seed, **settings).fit(task.X, task.y)
    right = balanced_accuracy_score(task.labels, model.predict(task.new))
    way = (right - 0.5) / (task.best - 0.5) if task.best < 1 else right
    return {"": name, "task": task.column, "seed": seed, "score": way}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the networks")
    parser.add_argument("--only", default="", help="only candidates whose names contain this text")
    parser.add_argument("--tasks", default="", help="only columns whose names contain this text")
    parser.add_argument("--weights", default="noise", help="of cvxEDA: noise or published")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    tasks = [*make_generated(args.weights), *make_real(args.weights)]
    tasks = [task for task in tasks if args.tasks in task.column]
    rows = Parallel(args.jobs, verbose=1)(
        delayed(score)(name, settings, task, seed)
        for name, settings in CANDIDATES.items()
        if args.only in name
        for task in tasks
        for seed in range(args.seeds)
    )
    of_seeds = pd.DataFrame(rows).groupby(["", "task", "seed"], sort=False)["score"].mean()
    cells = of_seeds.reset_index().pivot_table(
        index="",
        columns="task",
        values="score",
        aggfunc=lambda scores: f"{scores.mean():.2f} ({scores.std():.2f})",
        sort=False,
    )
    print(lay_out(cells))


if __name__ == "__main__":
    main()
