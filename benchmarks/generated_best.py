"""Compare pipelines with chance and with the best score that a generated study allows.

Pipelines are trained on half of the subjects and scored on the others. RTCAN is trained with
`--seeds` seeds, and all predictions have the same weight. "Of the way" is (balanced accuracy -
0.5) / (best - 0.5), where best is the Bayes-optimal score for EDA and music together
(`study.bayes_rate`). RTCAN weights classes, and so do the pipelines called "weighted". Intervals
are 95 % intervals over the scored subjects and the seeds.

    python benchmarks/generated_best.py --jobs 2
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from edaemo import CvxEDATransformer, SubjectThresholdRelabeler
from edaemo.benchmark import make_logistic_baseline, make_rtcan, make_svm_baseline
from edaemo.datasets import make_music_listening
from edaemo.features import EDAFeatureExtractor
from edaemo.statistics import Binary, Outcome, Scores

SEED = 2001  # of the study; no other script uses it
PEOPLE, SONGS, TRIALS = 500, 400, 30
RATE, SECONDS, N_TIMES = 8, 40.0, 128
TARGETS = ("arousal", "valence")


def weighted_svm(**inputs: object) -> Pipeline:
    """Return the SVM with the class weights of RTCAN's default recipe."""
    return make_svm_baseline(**inputs).set_params(svm__class_weight="balanced")


def score(
    name: str, knows: str, target: str, models: list[ClassifierMixin], split: tuple, best: pd.Series
) -> dict:
    """Train and score one pipeline with each seed; return a row of the table."""
    X, y, new, labels, people = split
    predicted = np.concatenate([model.fit(X, y).predict(new) for model in models])
    outcome = Outcome(np.tile(labels, len(models)), predicted)
    repeats = np.repeat(np.arange(len(models)), len(labels))
    summary = Scores(Binary(), outcome, np.tile(people, len(models)), repeat=repeats).summary
    of_pairs = summary.loc["balanced_accuracy"]
    right, low, high = of_pairs[["pooled", "pooled_low", "pooled_high"]]
    deviation = of_pairs["over_repeats_sd"]
    room = best["both"] - 0.5
    return {
        "target": target,
        "pipeline": name,
        "reads": knows,
        "accuracy": f"{summary.loc['accuracy', 'pooled']:.3f}",
        "balanced accuracy": f"{right:.3f} [{low:.3f}, {high:.3f}]",
        "SD over seeds": "-" if np.isnan(deviation) else f"{deviation:.3f}",
        "best with the same": f"{best[knows]:.3f}",
        "of the way to the best with both": f"{(right - 0.5) / room:.2f} "
        f"[{(low - 0.5) / room:.2f}, {(high - 0.5) / room:.2f}]",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="seeds of RTCAN; 0 leaves it out")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    study = make_music_listening(
        PEOPLE, SONGS, TRIALS, sampling_rate=RATE, duration=SECONDS, random_state=SEED
    )
    rates = study.bayes_rate()
    channels = CvxEDATransformer(RATE, n_times=N_TIMES).fit_transform(study.trials)
    features = EDAFeatureExtractor(RATE).fit_transform(study.trials)
    people = study.trials["subject"]
    train = people.isin(sorted(people.unique())[: PEOPLE // 2]).to_numpy()
    work = []
    for target in TARGETS:
        y = SubjectThresholdRelabeler(target=target).fit_relabel(study.ratings, subject=people)
        best = rates.loc[target, "balanced_accuracy"]
        for name, knows, X, models in [
            ("rtcan", "both", channels,
             [make_rtcan(music=study.music, random_state=seed) for seed in range(args.seeds)]),
            ("rtcan", "eda", channels,
             [make_rtcan(random_state=seed) for seed in range(args.seeds)]),
            ("svm", "music", features, [make_svm_baseline(music=study.music)]),
            ("svm", "eda", features, [make_svm_baseline(eda="passthrough")]),
            ("svm", "both", features, [make_svm_baseline(eda="passthrough", music=study.music)]),
            ("logistic", "both", features,
             [make_logistic_baseline(eda="passthrough", music=study.music)]),
            ("svm, weighted", "music", features, [weighted_svm(music=study.music)]),
            ("svm, weighted", "eda", features, [weighted_svm(eda="passthrough")]),
            ("svm, weighted", "both", features,
             [weighted_svm(eda="passthrough", music=study.music)]),
        ]:  # fmt: skip
            if not models:
                continue
            split = X[train], y[train], X[~train], y[~train], people[~train].to_numpy()
            work.append(delayed(score)(name, knows, target, models, split, best))
    table = pd.DataFrame(Parallel(args.jobs)(work)).sort_values(
        ["target", "pipeline", "reads"], kind="stable"
    )
    print(f"{PEOPLE} people, {SONGS} songs, {TRIALS} trials each, {SECONDS:g} s at {RATE} Hz,")
    print(f"random_state {SEED}; best accuracy with both: ", end="")
    print(
        ", ".join(f"{t} {rates.loc[(t, 'both'), 'accuracy']:.3f}" for t in ("arousal", "valence"))
    )
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    print("\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
