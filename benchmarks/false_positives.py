"""Measure error rates of tests and intervals on generated studies.

A study has 15 subjects with 20 trials each. Subjects differ in their share of high labels and in
eight features. The classifiers are ridge classifiers with five folds, by subject or at random.

- covered: coverage of 95 % intervals of the mean over subjects, with plain and expanded
  percentiles, by the number of subjects. Skills are uniform, normal or lognormal over subjects.
- chance: the features are uninformative. The table shows the share of p <= 0.05 for the permutation
  test over subjects, pooled (99 permutations each) and with the full refit (19 each); for
  Wilcoxon's test, the corrected and the plain t-test between two pipelines with different features;
  and for Wilcoxon's one-sided test against the majority class, as in the tables of
  `edaemo compare`.
- equal: the features of both pipelines are equally informative. The same tests compare the two.

Brackets show the 95 % Clopper-Pearson interval of the share.

    python benchmarks/false_positives.py covered
    python benchmarks/false_positives.py tests --studies 1000
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupKFold, KFold

from edaemo.benchmark import (
    corrected_resampled_t_test,
    paired_test,
    permutation_refit,
    permutation_test,
)
from edaemo.statistics import (
    Binary,
    Outcome,
    Scores,
    draw_people,
    interval_over_people,
)
from edaemo.statistics._scores import p_above

N_PEOPLE, N_TRIALS, N_FEATURES, N_FOLDS = 15, 20, 8, 5
SUBJECT = np.repeat(np.arange(N_PEOPLE), N_TRIALS)


class Ridge(ClassifierMixin, BaseEstimator):
    """A fast ridge classifier: least squares on the labels."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Ridge:
        """Fit weights."""
        self.classes_ = np.array([0, 1])
        X = np.column_stack([np.ones(len(X)), X])
        self.coef_ = np.linalg.solve(X.T @ X + np.eye(X.shape[1]), X.T @ (2 * y - 1))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict classes."""
        return (np.column_stack([np.ones(len(X)), X]) @ self.coef_ > 0).astype(int)


class AnyGroups(KFold):
    """Split trials at random, regardless of subjects."""

    def split(self, X: object, y: object = None, groups: object = None) -> object:
        """Split and ignore the groups."""
        return super().split(X, y)


def make_study(rng: np.random.Generator, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels (n_trials,) and two sets of features (2, n_trials, 8)."""
    share = rng.beta(4, 4, size=N_PEOPLE)
    y = (rng.random(len(SUBJECT)) < share[SUBJECT]).astype(int)
    X = rng.normal(size=(2, N_PEOPLE, N_FEATURES))[:, SUBJECT]
    X = X + rng.normal(size=(2, len(SUBJECT), N_FEATURES)) + signal * (2 * y - 1)[:, None]
    return y, X


def cross_validate(X: np.ndarray, y: np.ndarray, cv: object) -> tuple[np.ndarray, np.ndarray]:
    """Return out-of-fold predictions, and the balanced accuracy of each fold."""
    predicted, scores = np.empty_like(y), []
    for training, test in cv.split(X, y, SUBJECT):
        predicted[test] = Ridge().fit(X[training], y[training]).predict(X[test])
        scores.append(Binary().score_fold(y[test], predicted[test])["balanced_accuracy"])
    return predicted, np.array(scores)


def p_values(seed: int, signal: float, by_person: bool, refit: bool) -> dict[str, float]:
    """Return the p values of one study."""
    y, X = make_study(np.random.default_rng(seed), signal)
    kind = GroupKFold if by_person else AnyGroups
    cv = kind(N_FOLDS, shuffle=True, random_state=seed)
    (a, a_folds), (b, b_folds) = (cross_validate(features, y, cv) for features in X)
    d = a_folds - b_folds
    n_test = len(y) / N_FOLDS
    people = [
        Scores(Binary(), Outcome(y, predicted), SUBJECT).by_person.to_numpy()
        for predicted in (a, b)
    ]
    p = {
        "Wilcoxon over people": paired_test(*people).p_value,
        "corrected t over folds": corrected_resampled_t_test(
            d, n_training=len(y) - n_test, n_test=n_test
        ).p_value,
        "plain t over folds": corrected_resampled_t_test(d, n_training=1e12, n_test=1).p_value,
    }
    if signal:
        return p
    p["Wilcoxon above majority"] = p_above(people[0], np.full(N_PEOPLE, 0.5))
    for average in ("people", "pooled"):
        test = permutation_test(
            y, a, subject=SUBJECT, average=average, n_permutations=99, random_state=seed
        )
        p[f"permutation, {average}"] = test.p_value
    if refit:
        test = permutation_refit(
            Ridge(), X[0], y, groups=SUBJECT, cv=cv, n_permutations=19, random_state=seed
        )
        p["permutation, refit"] = test.p_value
    return p


def format_share(n_found: int, n: int) -> str:
    """Format a share with its interval."""
    low, high = binomtest(int(n_found), n).proportion_ci()
    return f"{n_found / n:.3f} [{low:.3f}, {high:.3f}]"


def show_coverage(n_studies: int) -> None:
    """Print how often intervals contain the true mean."""
    print("| people | distribution | plain percentiles | expanded percentiles |\n|---|---|---|---|")
    rng = np.random.default_rng(0)
    for n_people in (5, 8, 15, 30, 60):
        for name, truth in (("uniform", 0.5), ("normal", 0.0), ("lognormal", np.exp(0.125))):
            arguments = {"uniform": (0, 1), "normal": (0, 1), "lognormal": (0, 0.5)}[name]
            plain = expanded = 0
            for study in range(n_studies):
                scores = getattr(rng, name)(*arguments, size=n_people)
                draws = draw_people(n_people, study) @ scores / n_people
                low, high = np.percentile(draws, [2.5, 97.5])
                plain += low <= truth <= high
                low, high = interval_over_people(draws, n_people)
                expanded += low <= truth <= high
            cells = format_share(plain, n_studies), format_share(expanded, n_studies)
            print(f"| {n_people} | {name} | {cells[0]} | {cells[1]} |")


def show_tests(n_studies: int, n_refits: int) -> None:
    """Print the share of p <= 0.05."""
    print("| truth | folds | test | share of p <= 0.05 |\n|---|---|---|---|")
    for truth, signal in (("chance", 0.0), ("equal", 0.25)):
        for by_person in (True, False):
            significant: dict[str, list[bool]] = {}
            for seed in range(n_studies):
                for name, p in p_values(seed, signal, by_person, seed < n_refits).items():
                    significant.setdefault(name, []).append(p <= 0.05)
            for name, hits in significant.items():
                folds = "by person" if by_person else "at random"
                print(
                    f"| {truth} | {folds} | {name} | {format_share(sum(hits), len(hits))} |",
                    flush=True,
                )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["covered", "tests"])
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--refits", type=int, default=400)
    args = parser.parse_args()
    if args.part == "covered":
        show_coverage(args.studies)
    else:
        show_tests(args.studies, args.refits)


if __name__ == "__main__":
    main()
