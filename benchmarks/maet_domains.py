"""Compare MAET with and without `domain_loss` on people who are not in training.

Usage: python benchmarks/maet_domains.py [N_STUDIES]

Each artificial study has 12 people with 24 trials each; 8 people train, 4 are tested. A trial has
24 features of EDA and 12 of music. Both hold the class, in one direction each. The EDA features
also hold a fingerprint: a vector that all trials of a person share, orthogonal to the direction of
the class. The share of class 1 differs between people (0.15 to 0.85), so in training the
fingerprint predicts the class. The table has the area under the ROC curve and the accuracy, each
the mean over test people, and the differences with their 95 % t intervals over studies.
"""

import sys

import numpy as np
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from edaemo.estimators import MAETClassifier

N_PEOPLE, N_TRAINING, N_TRIALS, N_EDA, N_MUSIC = 12, 8, 24, 24, 12
WAYS = {
    "without": {},
    "every": {"domain_loss": True},
    "first": {"domain_loss": True, "reversal": "first"},
}


def make_study(seed: int, fingerprint: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, classes and people."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(N_PEOPLE), N_TRIALS)
    share = rng.uniform(0.15, 0.85, N_PEOPLE)
    y = (rng.random(len(subject)) < share[subject]).astype(int)
    eda, music = (rng.normal(size=(len(subject), n)) for n in (N_EDA, N_MUSIC))
    of_class = rng.normal(size=N_EDA)
    of_class /= np.linalg.norm(of_class)
    of_person = rng.normal(size=(N_PEOPLE, N_EDA))
    of_person -= np.outer(of_person @ of_class, of_class)
    heard = rng.normal(size=N_MUSIC)
    eda += 0.6 * np.outer(2 * y - 1, of_class) + fingerprint * of_person[subject]
    music += 0.3 * np.outer(2 * y - 1, heard / np.linalg.norm(heard))
    X = np.hstack([eda, music])
    known = X[subject < N_TRAINING]
    return (X - known.mean(axis=0)) / known.std(axis=0), y, subject


def score(seed: int, fingerprint: float) -> list[list[float]]:
    """Return the area under the curve and the accuracy of each way to train."""
    X, y, subject = make_study(seed, fingerprint)
    train = subject < N_TRAINING
    scores = []
    for settings in WAYS.values():
        model = MAETClassifier({"eda": N_EDA, "music": N_MUSIC}, random_state=seed, **settings)
        model.fit(X[train], y[train], subject=subject[train])
        p = model.predict_proba(X)[:, 1]
        people = [subject == person for person in range(N_TRAINING, N_PEOPLE)]
        auc = [roc_auc_score(y[of], p[of]) for of in people if len(set(y[of])) == 2]
        accuracy = [((p[of] > 0.5) == y[of]).mean() for of in people]
        scores.append([100 * float(np.mean(auc)), 100 * float(np.mean(accuracy))])
    return scores


def main(n_studies: int) -> None:
    """Print the table."""
    print("| fingerprint | score | without | every | first | every - without | first - without |")
    print("|---|---|---|---|---|---|---|")
    for fingerprint in (0.0, 1.0, 3.0):
        scores = np.array([score(1000 + seed, fingerprint) for seed in range(n_studies)])
        for place, name in enumerate(("AUC", "accuracy")):
            found = scores[:, :, place]
            cells = [f"{mean:.1f}" for mean in found.mean(axis=0)]
            for way in (1, 2):
                gain = found[:, way] - found[:, 0]
                half = t.ppf(0.975, n_studies - 1) * gain.std(ddof=1) / n_studies**0.5
                low, high = gain.mean() - half, gain.mean() + half
                cells.append(f"{gain.mean():+.1f} [{low:+.1f}, {high:+.1f}]")
            print(f"| {fingerprint:g} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
