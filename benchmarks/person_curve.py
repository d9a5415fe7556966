"""Measure the score over the number of labelled trials of a new person.

Whole people are held out, except for their first k trials (`CalibratedSubjectKFold`); the trials
after the first ten are tested, for every k. Labels are high or low arousal, by one threshold for
all people (the middle of the scale) or by each person's own. All rows use the 23 features of the
level of the skin conductance, except for `subject-prior`, which uses the labelled trials alone.
`logistic` trains on all training trials, with those of the test person among them. Inner
cross-validation over people selects prior standard deviation (0.5 or 2) and weight (2 or 8).
Printed is the balanced accuracy by person with its 95 % interval.

    python benchmarks/person_curve.py generated
    python benchmarks/person_curve.py hku956 --threshold subject
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo.benchmark import evaluate, register_pipeline
from edaemo.datasets import Study, load_hku956, make_music_listening
from edaemo.estimators import PersonalClassifier
from edaemo.evaluation import PIPELINES, register_input
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import CalibratedSubjectKFold

NUMBERS = (0, 2, 5, 10)
METHODS = ("threshold", "scale", "refit", "choose")
SCORE = "balanced_accuracy_by_person"


def register(k: int) -> list[str]:
    """Register the pipelines for k labelled trials, in the place of those before."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    pipelines = {"logistic": model}
    for method in METHODS:
        allowed = "population" if not k or (method == "scale" and k < 2) else method
        pipelines[f"personal, {method}"] = PersonalClassifier(
            model, k=k, method=allowed, prior_sd=(0.5, 2.0), weight=(2, 8), n_splits=3
        )
    for name, pipeline in pipelines.items():
        PIPELINES.pop(name, None)
        register_pipeline(name, pipeline, input="level-features")
    return list(pipelines)


def measure(study: Study, people: str, threshold: str | float, store: Path) -> pd.DataFrame:
    """Return the score with its interval, by pipeline and k."""
    columns = {}
    for k in NUMBERS:
        protocol = CalibratedSubjectKFold(5, k=k, first_tested=max(NUMBERS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # people with few labels, near ids
            table = evaluate(
                register(k),
                study,
                "arousal",
                protocol,
                thresholds=threshold,
                people=people,
                n_jobs=1,
                store=store / "curve.sqlite",
            ).set_index("pipeline")
        print(f"k = {k}: {time.process_time():.0f} s", file=sys.stderr, flush=True)
        columns[k] = table.apply(
            lambda row: f"{row[SCORE]:.3f} [{row[SCORE + '_low']:.3f}, {row[SCORE + '_high']:.3f}]",
            axis=1,
        )
    wanted = ["subject-prior", "logistic", *(f"personal, {method}" for method in METHODS)]
    return pd.DataFrame(columns).loc[wanted]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=["generated", "hku956"])
    parser.add_argument("--threshold", default="middle", choices=["middle", "subject"])
    arguments = parser.parse_args()
    name = arguments.study
    if name == "generated":
        study, people = (
            make_music_listening(40, 60, 40, duration=25, sampling_rate=4, subject_fingerprint=0.9),
            "all",
        )
    else:
        study, people = load_hku956(), "development"
    register_input(
        "level-features",
        lambda rate: EDAFeatureExtractor(rate, preset="level", missing="interpolate"),
    )
    threshold = float(np.mean(study.rating_range))
    with tempfile.TemporaryDirectory() as store:
        chosen = threshold if arguments.threshold == "middle" else "subject"
        table = measure(study, people, chosen, Path(store))
    print(f"| pipeline | {' | '.join(f'k = {k}' for k in NUMBERS)} |")
    print(f"|{'---|' * (len(NUMBERS) + 1)}")
    for pipeline, cells in table.iterrows():
        print(f"| {pipeline} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
