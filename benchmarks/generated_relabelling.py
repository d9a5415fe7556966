"""Compare labels by each subject's threshold with labels by a global threshold.

    python benchmarks/generated_relabelling.py

The script prints Markdown tables. Studies are made by `make_music_listening`, so the felt emotion
is known. A label is high if the rating is above a threshold:

- own: the subject's threshold (`SubjectThresholdRelabeler`, 2-means);
- anybody's: the same rule on the same numbers of trials, with shuffled subjects;
- 5: the middle of the scale;
- 2-means: the same rule on all trials of the study together;
- median: the median of all ratings of the study;
- own mean: the mean of the subject's ratings, for comparison.

A label is correct if it agrees with the felt emotion, which is high above a cut. The felt emotion
has the same distribution in all subjects, so the cut is the same for all subjects. The position of
the cut is a convention (2-means labels 0.6 of the trials high). Each labelling method therefore has
the cut with the same share of high trials as the method. Weights give felt-high and felt-low trials
the same total weight. Chance is therefore 0.5. For subjects who use the scale in the same way, the
score of a global threshold is the same for all thresholds from 4 to 7. The script also prints two
simpler cuts: 0 and the median of each subject.

Scores are means over valence and arousal and over studies. Studies have different subjects, songs
and thresholds. Differences are paired by study, with 95 % intervals (Student's t) over studies. p
is from Wilcoxon's signed rank test.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy
import sklearn
from scipy.stats import t as student
from scipy.stats import wilcoxon
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

import edaemo
from edaemo.datasets import make_music_listening
from edaemo.model_selection import SubjectKFold
from edaemo.preprocessing import SubjectThresholdRelabeler

AXES = "valence", "arousal"
GLOBAL = "5", "2-means", "median"
WAYS = "own", "anybody's", *GLOBAL, "own mean"
CUTS = "share", "0", "own median"
# With these dials, trials of a subject share only the scale use. With scale use 0, the subject of a
# trial carries no information.
ALIKE = {"subject_fingerprint": 0, "time_drift": 0, "music_informativeness": 0}
DIALS = {"people alike": ALIKE, "default dials": {}}
SCALE_USE = 0, 1, 2, 3
PMEMO_TRIALS = 17
TRIALS = 4, 6, 8, 10, 12, 17, 30, 60, 120, 240
FEW = 20  # subjects
MORE_SONGS = 40  # songs that a subject does not hear


def make_studies(n_studies: int, n_people: int, n_trials: int, **dials: float) -> Iterator[Bunch]:
    """Make studies of which only the ratings are used; a recording has 8 samples."""
    n_songs = n_trials
    if dials.get("music_informativeness") != 0:  # otherwise ratings do not depend on songs
        n_songs += MORE_SONGS
    for seed in range(n_studies):
        yield make_music_listening(
            n_people,
            n_songs,
            n_trials,
            sampling_rate=1,
            duration=8,
            random_state=seed,
            **dials,
        )


def rate(study: Bunch) -> pd.DataFrame:
    """Return the subject, the two ratings and the felt emotion of each trial."""
    felt = study.truth[[f"felt_{axis}" for axis in AXES]].reset_index(drop=True)
    return pd.concat([study.trials[["subject"]], study.ratings, felt], axis=1)


def label(trials: pd.DataFrame, axis: str, way: str) -> np.ndarray:
    """Label each trial high (1) or low (0)."""
    ratings, subject = trials[list(AXES)], trials["subject"].to_numpy()
    if way == "own mean":
        mean = ratings[axis].groupby(subject).transform("mean")
        return (ratings[axis] > mean).to_numpy(dtype=int)
    if way == "anybody's":
        subject = np.random.default_rng(0).permutation(subject)
    elif way == "2-means":
        subject = np.full(len(subject), "everybody")
    threshold = {"5": 5.0, "median": float(ratings[axis].median())}.get(way, "subject")
    relabeler = SubjectThresholdRelabeler(axis, threshold=threshold)
    with warnings.catch_warnings():
        # Warnings of ratings on a threshold and of several best partitions are expected.
        warnings.simplefilter("ignore", UserWarning)
        return relabeler.fit_relabel(ratings, subject=subject)


def agreement(high: np.ndarray, felt: np.ndarray) -> float:
    """Score labels by the cut with the same share of felt-high trials."""
    truly = felt > np.quantile(felt, 1 - high.mean())
    return (np.mean(high[truly]) + np.mean(1 - high[~truly])) / 2


def score(trials: pd.DataFrame) -> pd.Series:
    """Score each labelling method by each cut; the index is (cut, method)."""
    scores = {}
    for axis in AXES:
        felt = trials[f"felt_{axis}"].to_numpy()
        median = trials.groupby("subject")[f"felt_{axis}"].transform("median").to_numpy()
        for way in WAYS:
            high = label(trials, axis, way)
            scores["share", way, axis] = agreement(high, felt)
            scores["0", way, axis] = np.mean(high == (felt > 0))
            scores["own median", way, axis] = np.mean(high == (felt > median))
    return pd.Series(scores).groupby(level=[0, 1]).mean()


def predict(study: Bunch, axis: str, way: str) -> tuple[float, float]:
    """Train on labels and predict the labels of held-out subjects.

    Returns
    -------
    float, float
        Balanced accuracy on labels of the same kind, and agreement of the predictions with the
        felt emotion.
    """
    trials = rate(study)
    shown = study.truth[[f"shown_{name}" for name in AXES]].to_numpy()
    X = np.hstack([study.music.loc[study.trials["stimulus"]].to_numpy(), shown])
    y = label(trials, axis, way)
    folds = SubjectKFold(5).split(X, y, subject=trials["subject"])
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    predicted = cross_val_predict(model, X, y, cv=list(folds))
    return balanced_accuracy_score(y, predicted), agreement(predicted, trials[f"felt_{axis}"])


def interval(difference: pd.Series) -> tuple[float, float, float]:
    """Return the mean over studies and its 95 % interval."""
    half = student.ppf(0.975, len(difference) - 1) * difference.sem()
    return difference.mean(), difference.mean() - half, difference.mean() + half


def points(difference: pd.Series) -> str:
    """Format a mean difference and its interval in points (hundredths)."""
    mean, low, high = (100 * value for value in interval(difference))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def with_p(difference: pd.Series) -> str:
    """Format a mean difference, its interval and Wilcoxon's two-sided p."""
    p = wilcoxon(difference).pvalue
    return f"{points(difference)}, p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"


def best_global(scores: pd.DataFrame) -> str:
    """Return the global threshold with the best score, chosen with knowledge of the scores."""
    return scores[list(GLOBAL)].mean().idxmax()


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    print()


def print_labels(n_studies: int, n_people: int) -> None:
    """Print the agreement of labels with the felt emotion, by scale use."""
    rows, plainer = [], []
    for name, dials in DIALS.items():
        for scale_use in SCALE_USE:
            studies = make_studies(n_studies, n_people, PMEMO_TRIALS, scale_use=scale_use, **dials)
            scores = pd.DataFrame([score(rate(study)) for study in studies])
            fair = scores["share"]
            rows.append(
                [name, str(scale_use)]
                + [f"{fair[way].mean():.3f}" for way in WAYS]
                + [with_p(fair["own"] - fair[way]) for way in (best_global(fair), "anybody's")]
            )
            plainer.append(
                [name, str(scale_use)]
                + [f"{scores[cut, way].mean():.3f}" for cut in CUTS[1:] for way in WAYS[:-1]]
            )
    print(
        f"Agreement with what was felt, {n_studies} studies of {n_people} people with "
        f"{PMEMO_TRIALS} trials; differences in points:\n"
    )
    head = ["", "`scale_use`", *WAYS, "own - best of 5, 2-means, median", "own - anybody's"]
    print_table(head, rows)
    print("The same by two plainer cuts of what was felt, 0 and each person's own median:\n")
    columns = [f"{cut}: {way}" for cut in CUTS[1:] for way in WAYS[:-1]]
    print_table(["", "`scale_use`", *columns], plainer)


def print_trials(n_studies: int, n_people: int) -> None:
    """Print the gain of subject thresholds by the number of trials from which they come."""
    settings = {
        "people alike, `scale_use` 0": ALIKE | {"scale_use": 0},
        "people alike, 1": ALIKE | {"scale_use": 1},
        "default dials, 1": {"scale_use": 1},
    }
    agreements = {(name, n): [] for name in settings for n in TRIALS}
    for name, dials in settings.items():
        for study in make_studies(n_studies, n_people, max(TRIALS), **dials):
            trials = rate(study)
            for n in TRIALS:
                sample = trials.groupby("subject").sample(n, random_state=0)
                agreements[name, n].append(score(sample)["share"])
    rows = []
    for n in TRIALS:
        row = [str(n)]
        for name in settings:
            fair = pd.DataFrame(agreements[name, n])
            if name.endswith("0"):
                row.append(points(fair["own"] - fair["anybody's"]))
            row.append(points(fair["own"] - fair[best_global(fair)]))
        rows.append(row)
    print(
        f"By the number of trials, {n_studies} studies of {n_people} people of whose "
        f"{max(TRIALS)} trials only so many are taken; points:\n"
    )
    alike, *others = (f"{name}: own - best of 5, 2-means, median" for name in settings)
    print_table(["trials", "people alike, `scale_use` 0: own - anybody's", alike, *others], rows)


def print_classifier(n_studies: int, n_people: int) -> None:
    """Print the scores of a classifier that is trained and scored on each kind of labels."""
    rows = []
    for people in (n_people, FEW):
        for scale_use in SCALE_USE:
            results = []
            for study in make_studies(n_studies, people, PMEMO_TRIALS, scale_use=scale_use):
                of_study = {
                    way: np.mean([predict(study, axis, way) for axis in AXES], axis=0)
                    for way in WAYS
                }
                results.append(
                    {(way, k): value for way in WAYS for k, value in enumerate(of_study[way])}
                )
            scores = pd.DataFrame(results)
            rows.append(
                [str(people), str(scale_use)]
                + [f"{scores[way, 0].mean():.3f}; {scores[way, 1].mean():.3f}" for way in WAYS]
                + ["; ".join(points(scores["own", k] - scores["5", k]) for k in (0, 1))]
            )
    print(
        "Logistic regression on music and on what the body shows (its true valence and arousal), "
        f"people held out (SubjectKFold(5)), default dials, {n_studies} studies with "
        f"{PMEMO_TRIALS} trials of a person: balanced accuracy on labels of the same kind; "
        "agreement of what is predicted with what was felt:\n"
    )
    print_table(["people", "`scale_use`", *WAYS, "own - 5, points"], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=100, help="subjects of each study")
    parser.add_argument("--studies", type=int, default=20, help="studies of each kind")
    args = parser.parse_args()
    print(
        f"`python benchmarks/generated_relabelling.py --people {args.people} --studies "
        f"{args.studies}`, edaemo {edaemo.__version__}, numpy {np.__version__}, scipy "
        f"{scipy.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    print_labels(args.studies, args.people)
    print_trials(args.studies, args.people // 2)
    print_classifier(args.studies // 2, args.people)


if __name__ == "__main__":
    main()
