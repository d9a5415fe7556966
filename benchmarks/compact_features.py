"""Compare the compact features with the 128 in short and long windows, on development people.

    python benchmarks/compact_features.py --stress-predict DIR      # docs/evidence.md

Both sets are standardised by person, and followed by the classifier of the pipeline `recommended`;
the 128 also by the support vector machine of the pipeline `svm-eda-person`. Whole people are held
out in five folds. The studies are generated (artificial, three seeds), the development people of
the induced-stress set and, with --stress-predict, all people of Stress-Predict, who are development
people. Stages shorter than the window are left out. The script prints a Markdown table of balanced
accuracies, means over people with the standard error in parentheses.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import edaemo
from edaemo.datasets import (
    Study,
    load_induced_stress,
    load_stress_predict,
    make_music_listening,
    select_people,
)
from edaemo.estimators import make_recommended
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import SubjectKFold
from edaemo.preprocessing import SubjectStandardizer, SubjectThresholdRelabeler

SHORT, LONG = 25.0, 250.0  # s, of the generated trials
WINDOWS = (25.0, 60.0, 150.0)  # s, of stages
SEEDS = 3
METHODS: dict[str, tuple[str, Pipeline]] = {
    "compact, logistic": ("compact", make_recommended()),
    "128, logistic": ("edaemo", make_recommended()),
    "128, SVM": (
        "edaemo",
        make_pipeline(SubjectStandardizer(), StandardScaler(), SVC(kernel="linear", C=0.25)),
    ),
}


def make_studies(stress_predict: str | None) -> Iterator[tuple[str, float, list[Study]]]:
    """Yield a name, a window in seconds, and studies."""
    for seconds in (SHORT, LONG):
        yield (
            "generated, arousal",
            seconds,
            [
                make_music_listening(
                    24, 40, 20, duration=seconds, sampling_rate=4.0, random_state=seed
                )
                for seed in range(SEEDS)
            ],
        )
    for seconds in WINDOWS:
        study = load_induced_stress(window=(0.0, seconds))
        yield "induced stress, task", seconds, [select_people(study, "development")]
    if stress_predict is not None:
        for seconds in WINDOWS:
            study = load_stress_predict(stress_predict, window=(0.0, seconds))
            yield "Stress-Predict, task", seconds, [study]


def read_labels(study: Study) -> np.ndarray:
    """Return the classes: the task, or arousal above the person's threshold."""
    if "task" in study.targets:
        return study.targets["task"].to_numpy() == "task"
    relabeler = SubjectThresholdRelabeler(target="arousal")
    return np.asarray(relabeler.fit_relabel(study.ratings, subject=study.trials["subject"])) == 1


def score_people(study: Study, preset: str, model: Pipeline) -> pd.Series:
    """Return the balanced accuracy of each person with both classes."""
    labels, subject = read_labels(study), study.trials["subject"].to_numpy()
    extractor = EDAFeatureExtractor(study.sampling_rate, preset=preset, missing="interpolate")
    features = extractor.fit_transform(study.trials)
    predicted = np.empty(len(labels), dtype=bool)
    for training, test in SubjectKFold(5).split(study.trials, labels):
        fitted = clone(model).fit(features.iloc[training], labels[training])
        predicted[test] = fitted.predict(features.iloc[test])
    right = pd.DataFrame({"right": predicted == labels, "label": labels, "subject": subject})
    recalls = right.pivot_table("right", "subject", "label", aggfunc="mean")
    return recalls.dropna().mean(axis=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stress-predict", metavar="DIR", help="folder of Stress-Predict")
    arguments = parser.parse_args()
    print(f"edaemo {edaemo.__version__}\n")
    print(f"| study | window (s) | people | {' | '.join(METHODS)} |")
    print(f"|---|---|---|{'---|' * len(METHODS)}")
    for name, seconds, studies in make_studies(arguments.stress_predict):
        cells = []
        for preset, model in METHODS.values():
            with warnings.catch_warnings():
                # A person with fewer than five stages of this length, and stages left out.
                warnings.simplefilter("ignore", UserWarning)
                scores = pd.concat([score_people(study, preset, model) for study in studies])
            error = scores.std(ddof=1) / np.sqrt(len(scores))
            cells.append(f"{scores.mean():.3f} ({error:.3f})")
        print(f"| {name} | {seconds:g} | {len(scores)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
