"""Generate artificial studies with continuous ratings, for which the best possible CCC is known."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from sklearn.utils._param_validation import Interval, validate_params

from edaemo.datasets._generated import LICENCE
from edaemo.datasets._generated_eda import LEAD, respond
from edaemo.datasets._generated_model import AXES, DEVELOPMENT, deal, make_rng
from edaemo.datasets._study import Study

NAME = "generated-continuous"
RATING_RANGE = (1.0, 9.0)
_CENTRE, _SPREAD = 5.0, 1.2  # ratings
_SLOW, _FAST = 2.0, 0.75  # s, time constants of a skin conductance response
# Streams of random numbers: songs, people, trials.
_SONGS, _PEOPLE, _TRIALS = 101, 102, 103
_N_MUSIC, _MUSIC_NOISE = 6, 0.05

DESCR = """ARTIFICIAL: no person took part. A program generated songs, skin conductance and ratings.

A study of people who rate their valence and arousal all the time while they listen to songs. The
felt arousal is the sum of a course that is audible in the song, a course of the listener that is
visible only in the skin conductance, and a rest that is visible nowhere. The felt valence has no
part in the skin conductance. `bounds` has the largest concordance correlation that each source
allows. Scores on this study show whether a method finds the simulated effects. They show nothing
about people. docs/generated.md has the equations.
"""


_COUNT = Interval(Integral, 1, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_SHARE = Interval(Real, 0, 1, closed="both")


@validate_params(
    {
        "n_subjects": [_COUNT],
        "n_stimuli": [_COUNT],
        "trials_per_subject": [_COUNT],
        "sampling_rate": [_POSITIVE],
        "label_rate": [_POSITIVE],
        "duration": [_POSITIVE],
        "time_constant": [_POSITIVE],
        "eda_share": [_SHARE],
        "music_share": [_SHARE],
        "label_delay": [Interval(Real, 0, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def make_continuous_listening(
    n_subjects: int = 40,
    n_stimuli: int = 30,
    trials_per_subject: int = 15,
    *,
    sampling_rate: float = 8.0,
    label_rate: float = 2.0,
    duration: float = 60.0,
    label_delay: float = 2.0,
    eda_share: float = 0.4,
    music_share: float = 0.4,
    time_constant: float = 8.0,
    random_state: int = 0,
) -> Study:
    """Generate an artificial study of music listening with continuous ratings.

    The felt arousal of a trial is √m M + √e B + √(1 - m - e) R, with m = `music_share` and e =
    `eda_share`. M is a course of the song, B and R are courses of the trial. All courses are
    independent stationary Gaussian processes with mean 0, variance 1 and the correlation
    exp(-seconds / `time_constant`). The felt valence is √m M' + √(1 - m) R'. A rating is 5 + 1.2
    times the felt value of `label_delay` seconds before, cut to 1 to 9. The features of the music
    are linear mixtures of M and M' with little noise. The sudomotor driver is proportional to
    exp(B / 2).

    A predictor that knows the courses of a source with a share s of the variance predicts best by
    √s times this course. With the variance of its predictions scaled to that of the ratings, its
    concordance correlation over all steps is its correlation with the ratings, √s. So the largest
    concordance correlation is √m with music, √e with EDA and √(m + e) with both. EDA and music
    contain noise, so a method stays below these bounds.

    Parameters
    ----------
    n_subjects, n_stimuli : int
        Numbers of people and songs, at least 2 each.
    trials_per_subject : int
        Number of trials of a person, at most `n_stimuli`. No person hears a song twice.
    sampling_rate : float
        Samples of EDA per second (Hz).
    label_rate : float
        Ratings per second (Hz), and frames of the music features per second.
    duration : float
        Seconds of every song.
    label_delay : float
        Seconds by which ratings follow what is felt.
    eda_share, music_share : float, 0 to 1
        Shares of the variance of the felt arousal. Their sum is at most 1.
    time_constant : float
        Seconds after which the correlation of a course with itself is 1 / e.
    random_state : int
        Seed. The same arguments return the same study.

    Returns
    -------
    Study
        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject``, ``stimulus``,
        ``trial`` (from 1), ``eda`` (1-D float64 array, µS) and ``duration`` (seconds).
        ``ratings`` : DataFrame with the same index; the means of ``valence`` and ``arousal``.
        ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of arrays of shape (n_steps,).
        ``music`` : DataFrame, one row per song, the means of the features.
        ``music_steps`` : DataFrame with the index (``stimulus``, ``time`` in seconds), the features
        over time.
        ``sampling_rate``, ``label_rate`` (Hz), ``first_label`` (0.0 s), ``label_delay`` (s),
        ``rating_range``.
        ``bounds`` : DataFrame, rows ``arousal`` and ``valence``, columns ``eda``, ``music`` and
        ``eda+music``: the largest concordance correlation.
        ``courses`` : dict, "music", "body" and "felt" → Series of arrays of shape (n_steps, 2),
        valence and arousal, before the delay.
        ``development``, ``artificial``, ``report``, ``name``, ``licence``, ``citation``, ``DESCR``.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from edaemo.datasets import make_continuous_listening
    >>> study = make_continuous_listening(4, 6, 3, duration=20)
    >>> study.targets["arousal"][0].shape, study.music_steps.shape
    ((40,), (240, 6))
    >>> study.bounds.round(2).loc["arousal"].tolist()
    [0.63, 0.63, 0.89]
    """
    if eda_share + music_share > 1 + 1e-9:
        raise ValueError(
            f"eda_share={eda_share:g} and music_share={music_share:g} are shares of one variance: "
            "their sum must not exceed 1."
        )
    if min(n_subjects, n_stimuli) < 2 or trials_per_subject > n_stimuli:
        raise ValueError(
            "n_subjects and n_stimuli must be 2 or more, and trials_per_subject at most n_stimuli."
        )
    rng = make_rng(random_state, _SONGS)
    n_steps = int(duration * label_rate)
    # Steps before the trial: ratings at its beginning describe the time before.
    n_before = int(np.ceil(label_delay * label_rate))
    clock = np.arange(-n_before, n_steps) / label_rate
    per_step = time_constant * label_rate
    heard = _draw_courses(rng, n_stimuli, len(clock), per_step)
    music_steps = _music_over_time(rng, heard[:, n_before:], label_rate)
    rng = make_rng(random_state, _PEOPLE)
    level, gain = np.exp(rng.normal([1.0, -1.0], [0.5, 0.4], size=(n_subjects, 2))).T
    stimulus = deal(rng, n_stimuli, np.full(n_subjects, trials_per_subject))
    subject = np.repeat(np.arange(n_subjects), trials_per_subject)

    rng = make_rng(random_state, _TRIALS)
    body, rest = (_draw_courses(rng, len(subject), len(clock), per_step) for _ in range(2))
    shown = np.array([0.0, eda_share])
    parts = np.sqrt(music_share), np.sqrt(shown), np.sqrt(1 - music_share - shown)
    felt = sum(
        share * course for share, course in zip(parts, (heard[stimulus], body, rest), strict=True)
    )
    labels = _rate(felt, clock, clock[n_before:] - label_delay)
    samples = np.arange(-round(LEAD * sampling_rate), round(duration * sampling_rate))
    eda = [
        _record(
            rng,
            np.interp(samples / sampling_rate, clock, course),
            level[who],
            gain[who],
            sampling_rate,
        )
        for course, who in zip(body[:, :, 1], subject, strict=True)
    ]

    names = np.array([f"p{i + 1:03d}" for i in range(n_subjects)])
    trials = pd.DataFrame(
        {
            "subject": names[subject],
            "stimulus": _song_names(n_stimuli)[stimulus],
            "trial": np.tile(np.arange(1, trials_per_subject + 1), n_subjects),
            "eda": pd.Series(eda, dtype=object),
            "duration": duration,
        }
    )
    in_any_order = make_rng(random_state, DEVELOPMENT).permutation(names)
    courses = {"music": heard[stimulus], "body": body, "felt": felt}
    return Study(
        name=NAME,
        artificial=True,
        trials=trials,
        ratings=pd.DataFrame(labels.mean(axis=1), columns=[*AXES]),
        targets={
            name: pd.Series([*labels[:, :, AXES.index(name)]], dtype=object)
            for name in ("arousal", "valence")
        },
        music=music_steps.groupby(level="stimulus").mean(),
        music_steps=music_steps,
        sampling_rate=float(sampling_rate),
        label_rate=float(label_rate),
        first_label=0.0,
        label_delay=float(label_delay),
        rating_range=RATING_RANGE,
        units={"eda": "microsiemens"},
        bounds=pd.DataFrame(
            {
                "eda": np.sqrt(shown),
                "music": np.sqrt([music_share] * 2),
                "eda+music": np.sqrt(music_share + shown),
            },
            index=[*AXES],
        ),
        courses={
            name: pd.Series([*course[:, n_before:]], dtype=object)
            for name, course in courses.items()
        },
        development=tuple(sorted(in_any_order[: n_subjects // 2])),
        licence=LICENCE,
        citation="edaemo.",
        report={
            "source": "make_continuous_listening",
            "people": n_subjects,
            "songs": n_stimuli,
            "trials": len(trials),
        },
        DESCR=DESCR,
    )


def _rate(felt: np.ndarray, clock: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the ratings for what was felt at some times, shape (n_trials, n_steps, 2)."""
    described = [[np.interp(at, clock, course) for course in trial.T] for trial in felt]
    return np.clip(_CENTRE + _SPREAD * np.array(described), *RATING_RANGE).transpose(0, 2, 1)


def _song_names(n_stimuli: int) -> np.ndarray:
    return np.array([f"s{i + 1:03d}" for i in range(n_stimuli)])


def _draw_courses(rng: np.random.Generator, n: int, n_steps: int, constant: float) -> np.ndarray:
    """Draw stationary courses of variance 1, of shape (n, n_steps, 2)."""
    keep = np.exp(-1 / constant)
    shocks = rng.standard_normal((n, n_steps, 2))
    shocks[:, 1:] *= np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], shocks, axis=1)


def _music_over_time(
    rng: np.random.Generator, heard: np.ndarray, label_rate: float
) -> pd.DataFrame:
    """Return mixtures of the audible courses as features of each frame."""
    mix = rng.normal(size=(2, _N_MUSIC))
    features = heard @ mix
    features += _MUSIC_NOISE * rng.standard_normal(features.shape)
    n_stimuli, n_steps, _ = features.shape
    index = pd.MultiIndex.from_product(
        [_song_names(n_stimuli), np.arange(n_steps) / label_rate],
        names=["stimulus", "time"],
    )
    columns = [f"feature{i}" for i in range(_N_MUSIC)]
    return pd.DataFrame(features.reshape(-1, _N_MUSIC).astype(np.float32), index, columns)


def _record(
    rng: np.random.Generator, body: np.ndarray, level: float, gain: float, sampling_rate: float
) -> np.ndarray:
    """Return the skin conductance of a trial in µS: responses to the driver, level and noise.

    `body` starts LEAD seconds before the trial.
    """
    n_lead = round(LEAD * sampling_rate)
    phasic = respond(gain * np.exp(0.5 * body), _SLOW, _FAST, sampling_rate)[n_lead:]
    drift = 1 + 0.01 * rng.standard_normal() * np.linspace(0, 1, len(phasic))
    return level * drift + phasic + 0.002 * rng.standard_normal(len(phasic))
