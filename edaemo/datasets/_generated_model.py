"""Draw emotions, physiology and ratings of artificial studies; compute the best possible scores."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd

from edaemo.datasets._generated_eda import Device

RATING_RANGE = (1.0, 9.0)
AXES = ("valence", "arousal")

# Each random part of a study has its own stream of random numbers.
SONGS, AUDIO, PEOPLE, DESIGN, TRIALS, SIGNAL, DEVELOPMENT, ORACLE = range(8)

# Ratings, in points.
CENTRE = np.array([5.8, 6.0])
CENTRE_SPREAD = 0.8
SPREAD = 1.7
SPREAD_SPREAD = 0.25  # of the logarithm
SKEW = np.array([0.2, 0.25])
SKEW_SPREAD = 1.2
MOST_SKEW = 1.5
RATING_NOISE = 0.05  # share of the variance
KEPT_CORRELATION = 0.94  # share of the correlation that remains after rounding and personal skews

# The physiology in a trial. For positive quantities: median, and spread of the logarithm.
BODY = ("gain", "level", "drift", "latency", "rise", "breathing", "depth", "noise")
HABITUATES = np.isin(BODY, ("gain", "level")).astype(float)
LATENCY = 1.8, 0.2  # s
FAST = 0.7, 0.3  # s
BREATHING = 0.27, 0.25  # Hz
# Effects of arousal and valence on the physiology.
RATE = 7.0, 0.6  # responses a minute, by arousal
SIZE_BY_AROUSAL = 0.25
SLOWER = 1.5, -0.5  # s by which the slow time constant exceeds the fast one, by valence

ORACLE_PEOPLE = 10_000
ORACLE_AT_ONCE = 1000


class Dials(NamedTuple):
    """Sizes of the simulated effects: shares of the variance."""

    eda: float
    music: float
    subject: float
    stimulus: float
    time: float
    mix: np.ndarray  # maps two independent variables to correlated valence and arousal
    scale_use: float

    def emotions(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draw standard normal valence and arousal, (n, 2)."""
        return rng.standard_normal((n, 2)) @ self.mix.T


class People(NamedTuple):
    """Rating scale and personal part of the physiology of each person, one row per person."""

    centre: np.ndarray
    spread: np.ndarray
    skew: np.ndarray
    body: np.ndarray


class Songs(NamedTuple):
    """Audible emotion, inaudible emotion and part of the physiology for each song."""

    expressed: np.ndarray
    unheard: np.ndarray
    body: np.ndarray


class Trials(NamedTuple):
    """Felt emotion, emotion shown in the EDA, physiology and ratings for each trial."""

    felt: np.ndarray
    shown: np.ndarray
    body: np.ndarray
    ratings: np.ndarray


def make_rng(seed: int, *stream: int) -> np.random.Generator:
    """Return the random number generator of one stream."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))


def mixing_matrix(correlation: float) -> np.ndarray:
    """Return the matrix that mixes valence and arousal for this Spearman correlation of ratings."""
    pearson = 2 * np.sin(np.pi * correlation / 6) / KEPT_CORRELATION
    return np.array([[np.sqrt(1 - pearson**2), pearson], [0.0, 1.0]])


def deal(rng: np.random.Generator, n_stimuli: int, counts: np.ndarray) -> np.ndarray:
    """Assign songs to people: all songs equally often, no song twice to the same person."""
    pile, hands = np.arange(0), []
    for count in counts:
        if len(pile) < count:
            fresh = rng.permutation(n_stimuli)
            left = np.isin(fresh, pile)
            pile = np.concatenate([pile, fresh[~left], fresh[left]])
        hands.append(rng.permutation(pile[:count]))
        pile = pile[count:]
    return np.concatenate(hands)


def places(counts: np.ndarray) -> np.ndarray:
    """Return the relative time of each trial in its session, between 0 and 1."""
    return np.concatenate([(np.arange(count) + 0.5) / count for count in counts])


def draw_people(rng: np.random.Generator, dials: Dials, n: int) -> People:
    """Draw people."""
    skew = SKEW + dials.subject**2 * SKEW_SPREAD * dials.emotions(rng, n)
    return People(
        centre=CENTRE + dials.scale_use * CENTRE_SPREAD * dials.emotions(rng, n),
        spread=SPREAD * np.exp(dials.scale_use * SPREAD_SPREAD * rng.standard_normal(n)),
        skew=np.clip(skew, -MOST_SKEW, MOST_SKEW),
        body=rng.standard_normal((n, len(BODY))),
    )


def draw_songs(rng: np.random.Generator, dials: Dials, n: int) -> Songs:
    """Draw songs."""
    body = rng.standard_normal((n, len(BODY)))
    return Songs(dials.emotions(rng, n), dials.emotions(rng, n), body)


def draw_trials(
    rng: np.random.Generator,
    dials: Dials,
    people: People,
    songs: Songs,
    subject: np.ndarray,
    stimulus: np.ndarray,
    place: np.ndarray,
) -> Trials:
    """Draw trials; `subject` and `stimulus` are rows of `people` and `songs`."""
    n = len(subject)
    inaudible = _share(dials.stimulus, songs.unheard[stimulus], dials.emotions(rng, n))
    felt = _share(dials.music, songs.expressed[stimulus], inaudible)
    shown = _share(dials.eda, felt, dials.emotions(rng, n))

    # Two uncorrelated functions of the time in the session, with mean 0 and variance 1.
    x = 2 * place - 1
    late = np.stack([np.sqrt(5) * (1.5 * x**2 - 0.5), np.sqrt(3) * x], axis=1)
    of_time = dials.time * HABITUATES
    of_trial = np.maximum(1 - dials.subject - dials.stimulus - of_time, 0.0)
    body = (
        np.sqrt(dials.subject) * people.body[subject]
        + np.sqrt(dials.stimulus) * songs.body[stimulus]
        - np.sqrt(of_time) * late[:, [1]]
        + np.sqrt(of_trial) * rng.standard_normal((n, len(BODY)))
    )
    meant = _share(RATING_NOISE, dials.emotions(rng, n), felt)
    meant = _share(dials.time, -late @ dials.mix.T, meant)
    points = _skewed(meant, people.skew[subject]) * people.spread[subject, None]
    ratings = np.clip(np.rint(people.centre[subject] + points), *RATING_RANGE)
    return Trials(felt, shown, body, ratings)


def _share(share: float, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mix two standard normal variables; `share` of the variance comes from the first."""
    return np.sqrt(share) * first + np.sqrt(1 - share) * second


def _skewed(z: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Transform a standard normal variable to a skewed one with mean 0 and variance 1."""
    k = np.where(np.abs(skew) < 1e-3, 1e-3, skew)
    mean = -np.expm1(k**2 / 2) / k
    spread = np.sqrt(np.exp(k**2) * np.expm1(k**2)) / np.abs(k)
    return (-np.expm1(-k * z) / k - mean) / spread


def physiology(trials: Trials, device: Device) -> dict[str, np.ndarray]:
    """Return the physiology of each trial in physical units, as the device records it."""
    body = dict(zip(BODY, trials.body.T, strict=True))
    valence, arousal = trials.shown.T
    fast = _lognormal(FAST, body["rise"])
    return {
        "response_rate": _lognormal(RATE, arousal),
        "response_size": _lognormal(device.gain, body["gain"]) * np.exp(SIZE_BY_AROUSAL * arousal),
        "slow_constant": fast + _lognormal(SLOWER, valence),
        "fast_constant": fast,
        "latency": _lognormal(LATENCY, body["latency"]),
        "level": _lognormal(device.level, body["level"]),
        "drift": device.drift * body["drift"],
        "breathing_rate": _lognormal(BREATHING, body["breathing"]),
        "breathing_depth": _lognormal(device.depth, body["depth"]),
        "sensor_noise": _lognormal(device.noise, body["noise"]),
    }


def _lognormal(median_and_spread: tuple[float, float], z: np.ndarray) -> np.ndarray:
    median, spread = median_and_spread
    return median * np.exp(spread * z)


def bayes_rate(
    seed: int, dials: Dials, counts: np.ndarray, n_people: int = ORACLE_PEOPLE
) -> pd.DataFrame:
    """Compute the scores of the best predictions from latent variables.

    See ``docs/generated.md``.

    Parameters
    ----------
    n_people : int
        Number of simulated people. Their numbers of trials are drawn from those of the study.

    Returns
    -------
    DataFrame
        Index ``target`` (valence, arousal) and ``knows``, the inputs of the prediction (none, eda,
        music, both). Columns ``accuracy``, ``accuracy_se``, ``balanced_accuracy`` and
        ``balanced_accuracy_se``, with standard errors over people.
    """
    rng = make_rng(seed, ORACLE)
    whose, evidence_of, labels_of = [], [], []
    for first in range(0, n_people, ORACLE_AT_ONCE):
        n_trials = rng.choice(counts, min(ORACLE_AT_ONCE, n_people - first))
        subject = np.repeat(np.arange(len(n_trials)), n_trials)
        people = draw_people(rng, dials, len(n_trials))
        songs = draw_songs(rng, dials, len(subject))
        each = np.arange(len(subject))
        trials = draw_trials(rng, dials, people, songs, subject, each, places(n_trials))
        whose.append(first + subject)
        seen = [trials.shown, trials.body[:, HABITUATES > 0], songs.expressed]
        evidence_of.append(np.hstack(seen))
        labels_of.append(_labels(trials.ratings, subject))
    person, evidence = np.concatenate(whose), np.concatenate(evidence_of)
    labels = np.hstack(labels_of)
    eda, music = [0, 1, 2, 3], [4, 5]
    rows = [
        {"target": axis, "knows": knows} | _oracle(person, evidence[:, columns], labels[k])
        for k, axis in enumerate(AXES)
        for knows, columns in [("none", []), ("eda", eda), ("music", music), ("both", eda + music)]
    ]
    return pd.DataFrame(rows).set_index(["target", "knows"])


def _labels(ratings: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Return the labels, high or low, on both axes, of shape (2, n)."""
    # Imported here, because it takes 30 MB that reading recordings does not need.
    from edaemo.preprocessing import SubjectThresholdRelabeler

    with warnings.catch_warnings():
        # For whole-number ratings, several partitions are often equally good. The relabeler warns
        # and chooses by a fixed rule, which is part of the definition of the label.
        warnings.simplefilter("ignore", UserWarning)
        quadrant = SubjectThresholdRelabeler(target="both").fit_relabel(ratings, subject=subject)
    return np.stack([quadrant % 2, quadrant // 2])


def _oracle(person: np.ndarray, evidence: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Score the best quadratic rule, fitted on half of the people and scored on the other half."""
    first, second = np.triu_indices(evidence.shape[1])
    X = np.column_stack([np.ones(len(y)), evidence, evidence[:, first] * evidence[:, second]])
    scores = {}
    for name, balanced in [("accuracy", False), ("balanced_accuracy", True)]:
        right = np.empty(len(y))
        for half in (0, 1):
            known = person % 2 == half
            slopes, *_ = np.linalg.lstsq(X[known], y[known], rcond=None)
            score = X @ slopes
            cut = _best_cut(score[known], y[known], _weights(y[known], balanced))
            right[~known] = ((score > cut) == y)[~known]
        weight = _weights(y, balanced)
        rate = np.bincount(y, weight * right) / np.bincount(y, weight)
        expected = rate[y] if balanced else right.mean()
        error = np.bincount(person, weight * (right - expected))
        scores[name] = float(np.mean(weight * right))
        scores[f"{name}_se"] = float(np.sqrt(np.sum(error**2)) / len(y))
    return scores


def _weights(y: np.ndarray, balanced: bool) -> np.ndarray:
    """Return the weight of each trial; if balanced, both classes have the same total weight."""
    return (len(y) / 2 / np.bincount(y))[y] if balanced else np.ones(len(y))


def _best_cut(score: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Return the threshold with the best result if all scores up to it are predicted low."""
    order = np.argsort(score)
    gained = np.cumsum((weight * (1 - 2 * y))[order])
    gained[:-1][np.diff(score[order]) == 0] = -np.inf  # equal scores get the same prediction
    return score[order[np.argmax(gained)]] if gained.max() > 1e-6 else -np.inf
