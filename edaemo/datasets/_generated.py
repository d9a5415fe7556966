"""Artificial studies of listening to music, of which everything is known."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

from edaemo.datasets._generated_eda import (
    ARTEFACTS,
    Physiology,
    Recording,
    record,
    spread_out,
)
from edaemo.datasets._generated_model import (
    AUDIO,
    AXES,
    BODY,
    DESIGN,
    DEVELOPMENT,
    PEOPLE,
    RATING_RANGE,
    SIGNAL,
    SONGS,
    TRIALS,
    Dials,
    People,
    Songs,
    Trials,
    bayes_rate,
    deal,
    draw_people,
    draw_songs,
    draw_trials,
    make_rng,
    mixing_matrix,
    physiology,
    places,
)
from edaemo.datasets._generated_songs import (
    AUDIO_RATE,
    MEASURES,
    measure_audio,
    style_parameters,
    synthesise,
)
from edaemo.datasets._study import Study

NAME = "generated"
PMEMO_SUBJECTS, PMEMO_STIMULI, PMEMO_TRIALS = 457, 794, 7962

SHORTEST = 8.0  # s
PAUSE = 15.0  # s between songs
ACCENT_EVERY = 6.0  # s
ACCENT_MARGINS = 2.0, 4.0  # s from the song's beginning and to its end

LICENCE = "BSD-3-Clause, as edaemo: it was made by a program and holds data of nobody."
CITATION = (
    "edaemo. The model of skin conductance is after Greco, A. et al. cvxEDA. IEEE Transactions on "
    "Biomedical Engineering 2016, 63, 797-804. The sizes are those of PMEmo: Zhang, K. et al. The "
    "PMEmo Dataset for Music Emotion Recognition. ICMR 2018, 135-142."
)
DESCR = """ARTIFICIAL: no person took part. Songs, skin conductance and ratings come from a program.

A study of people who listened to songs and rated their valence and arousal from 1 to 9, of the size
and with the class balance of PMEmo, and with everything known: the songs' emotion and sound, what
was felt, the sudomotor driver, the phasic and tonic components, the artefacts, and how well the
labels could be predicted at best (`bayes_rate`). Scores on it say whether a method finds what was
put there, and nothing about people. docs/generated.md has the equations.
"""


def _make_audio(seed: int, songs: pd.DataFrame, stimulus: str) -> np.ndarray:
    """Play a song of the study.

    Parameters
    ----------
    stimulus : str

    Returns
    -------
    ndarray of float32, mono, ``study.audio_rate`` samples per second, within -1 to 1.

    Raises
    ------
    ValueError
        If the study has no such song.
    """
    if stimulus not in songs.index:
        raise ValueError(f"There is no song {stimulus!r} in this study: see study.songs.index.")
    return synthesise(songs.loc[stimulus], make_rng(seed, AUDIO, songs.index.get_loc(stimulus)))


def _make_components(
    seed: int,
    sampling_rate: float,
    follows: float,
    truth: pd.DataFrame,
    songs: pd.DataFrame,
    subject: str,
    trial: int,
) -> pd.DataFrame:
    """Record a trial of the study once more, in its components.

    Parameters
    ----------
    subject : str
    trial : int

    Returns
    -------
    DataFrame of float64, one row for each sample, indexed by ``time`` in seconds
        ``phasic``, ``tonic``, ``noise`` and ``artefact`` in µS, whose sum is the trial's EDA to
        rounding; ``driver`` in µS/s.

    Raises
    ------
    ValueError
        If the study has no such trial.
    """
    if (subject, trial) not in truth.index:
        raise ValueError(f"Subject {subject!r} has no trial {trial!r} in this study.")
    row = truth.index.get_loc((subject, trial))
    known = next(truth.iloc[[row]].itertuples())
    made = _record_row(seed, sampling_rate, follows, songs, row, known)
    parts = {name: getattr(made, name) for name in ("phasic", "tonic", "noise", "driver")}
    parts["artefact"] = made.eda - (made.phasic + made.tonic + made.noise)
    return pd.DataFrame(
        parts, index=pd.Index(np.arange(len(made.eda)) / sampling_rate, name="time")
    )


def _song_table(rng: np.random.Generator, songs: Songs, seconds: np.ndarray) -> pd.DataFrame:
    n = len(songs.expressed)
    table = pd.DataFrame(songs.expressed, columns=list(AXES), index=_names("s", n, "stimulus"))
    style = style_parameters(songs.expressed, rng.standard_normal((n, 3)))
    table = table.assign(**style, duration=seconds)
    first, last = ACCENT_MARGINS
    accents = [
        first + (length - last - first) * spread_out(rng, round(length / ACCENT_EVERY))
        for length in seconds
    ]
    return table.assign(accents=pd.Series(accents, index=table.index, dtype=object))


def _listener_table(people: People) -> pd.DataFrame:
    columns = {f"centre_{axis}": people.centre[:, k] for k, axis in enumerate(AXES)}
    columns["spread"] = people.spread
    columns |= {f"skew_{axis}": people.skew[:, k] for k, axis in enumerate(AXES)}
    columns |= {name: people.body[:, k] for k, name in enumerate(BODY)}
    return pd.DataFrame(columns, index=_names("p", len(people.spread), "subject"))


def _truth_table(trials: pd.DataFrame, drawn: Trials, artefact: np.ndarray) -> pd.DataFrame:
    """Give what is known of each trial, the body in physical units."""
    columns = {
        "stimulus": trials["stimulus"].to_numpy(),
        "duration": trials["duration"].to_numpy(),
        "felt_valence": drawn.felt[:, 0],
        "felt_arousal": drawn.felt[:, 1],
        "shown_valence": drawn.shown[:, 0],
        "shown_arousal": drawn.shown[:, 1],
        **physiology(drawn),
        "artefact": artefact,
    }
    return pd.DataFrame(columns, index=pd.MultiIndex.from_frame(trials[["subject", "trial"]]))


def _trial_table(
    subject: pd.Index, songs: pd.DataFrame, stimulus: np.ndarray, counts: np.ndarray
) -> pd.DataFrame:
    trials = pd.DataFrame({"subject": subject, "stimulus": songs.index[stimulus]})
    trials["trial"] = np.concatenate([np.arange(1, count + 1) for count in counts])
    trials["duration"] = songs["duration"].to_numpy()[stimulus]
    before = trials.groupby("subject")["duration"].cumsum() - trials["duration"]
    return trials.assign(session_time=before + PAUSE * (trials["trial"] - 1))


def _record_row(
    seed: int,
    sampling_rate: float,
    follows: float,
    songs: pd.DataFrame,
    row: int,
    known: Physiology,
) -> Recording:
    accents = songs.at[known.stimulus, "accents"]
    return record(make_rng(seed, SIGNAL, row), known, accents, follows, sampling_rate)


def _names(letter: str, n: int, kind: str) -> pd.Index:
    digits = len(str(n))
    return pd.Index([f"{letter}{k:0{digits}d}" for k in range(1, n + 1)], name=kind)


def _music_table(seed: int, songs: pd.DataFrame, extractor: object) -> pd.DataFrame:
    """Describe all songs, one after the other."""
    if extractor is None:
        rows = [measure_audio(_make_audio(seed, songs, song)) for song in songs.index]
        return pd.DataFrame(np.stack(rows), index=songs.index, columns=list(MEASURES))
    rows = []
    for song in songs.index:
        clip = pd.Series([_make_audio(seed, songs, song)], index=[song])
        row = pd.DataFrame(clone(extractor).fit_transform(clip))
        if len(row) != 1:
            raise ValueError(
                f"music_extractor gave {len(row)} rows for the song {song!r}: it must give one "
                "for each song."
            )
        rows.append(row)
    return pd.concat(rows).set_axis(songs.index, axis=0)


def _seconds(rng: np.random.Generator, duration: float | tuple[float, float], n: int) -> np.ndarray:
    """Draw how long each song lasts."""
    if not isinstance(duration, tuple):
        return np.full(n, float(duration))
    numbers = len(duration) == 2 and all(
        isinstance(end, Real) and not isinstance(end, bool) and np.isfinite(end) for end in duration
    )
    if not numbers or not SHORTEST <= np.ceil(duration[0]) <= np.floor(duration[1]):
        raise ValueError(
            f"duration must be a number of seconds or (shortest, longest) with a whole number "
            f"between them, at least {SHORTEST:g}; got {duration!r}."
        )
    return rng.integers(np.ceil(duration[0]), np.floor(duration[1]), n, endpoint=True).astype(float)


def _counts(
    rng: np.random.Generator, n_subjects: int, n_stimuli: int, trials_per_subject: float
) -> np.ndarray:
    """Give each person's number of trials; two people's differ by one at most."""
    each, more = divmod(round(n_subjects * trials_per_subject), n_subjects)
    if each + (more > 0) > n_stimuli:
        raise ValueError(
            f"trials_per_subject={trials_per_subject:g} is more than the n_stimuli={n_stimuli} "
            "songs, and nobody hears a song twice: give more songs or fewer trials."
        )
    return each + (rng.permutation(n_subjects) < more)


@validate_params(
    {
        "n_subjects": [Interval(Integral, 2, None, closed="left")],
        "n_stimuli": [Interval(Integral, 2, None, closed="left")],
        "trials_per_subject": [Interval(Real, 2, None, closed="left")],
        "sampling_rate": [Interval(Real, 1, None, closed="left")],
        "duration": [Interval(Real, SHORTEST, None, closed="left"), tuple],
        "eda_informativeness": [Interval(Real, 0, 1, closed="both")],
        "music_informativeness": [Interval(Real, 0, 1, closed="both")],
        "subject_fingerprint": [Interval(Real, 0, 1, closed="both")],
        "stimulus_fingerprint": [Interval(Real, 0, 1, closed="both")],
        "time_drift": [Interval(Real, 0, 1, closed="both")],
        "valence_arousal_correlation": [Interval(Real, -0.9, 0.9, closed="both")],
        "scale_use": [Interval(Real, 0, 3, closed="both")],
        "artefact_share": [Interval(Real, 0, 1, closed="both")],
        "music_extractor": [HasMethods(["fit_transform", "get_params"]), None],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def make_music_listening(
    n_subjects: int = PMEMO_SUBJECTS,
    n_stimuli: int = PMEMO_STIMULI,
    trials_per_subject: float = PMEMO_TRIALS / PMEMO_SUBJECTS,
    *,
    sampling_rate: float = 50.0,
    duration: float | tuple[float, float] = (20.0, 56.0),
    eda_informativeness: float = 0.6,
    music_informativeness: float = 0.5,
    subject_fingerprint: float = 0.6,
    stimulus_fingerprint: float = 0.0,
    time_drift: float = 0.02,
    valence_arousal_correlation: float = 0.52,
    scale_use: float = 1.0,
    artefact_share: float = 0.0,
    music_extractor: object = None,
    random_state: int = 0,
) -> Bunch:
    """Make an artificial study of listening to music, of which everything is known.

    By default of the size of PMEmo [1]_: 457 people, 794 songs, 7,962 trials. What is felt comes
    from what a song expresses and from the listener; it shows in the skin conductance, besides
    chance, and is rated on a scale that each person uses in an own way. ``docs/generated.md`` has
    the equations. With the first five dials at 0, nothing in EDA or music predicts a label.

    Parameters
    ----------
    n_subjects, n_stimuli : int
        People and songs, at least 2 of each.
    trials_per_subject : float
        Trials of a person on average, at least 2, at most `n_stimuli`; the numbers of two people
        differ by one at most. All songs are heard equally often (within one), none twice by one
        person.
    sampling_rate : float
        Samples of EDA per second (Hz), at least 1.
    duration : float or tuple (shortest, longest)
        Seconds of every song, or the range from which each song's whole number of seconds is drawn
        (with the default 38 on average, as in PMEmo); at least 8. Where lengths differ, the length
        of a recording says something about which song it was.
    eda_informativeness : float, 0 to 1
        Share of what the EDA shows (rate, size and recovery of responses) that comes from what is
        felt; the rest is chance.
    music_informativeness : float, 0 to 1
        Share of what is felt that comes from what can be heard in the song.
    subject_fingerprint : float, 0 to 1
        Share of the body's state in a trial (gain, level, drift, latency, rise of responses,
        breathing, noise) that is the person's own; at 0 it is drawn anew in each trial. It also
        sets how much the skew of ratings, and so the share of high labels, differs between people.
    stimulus_fingerprint : float, 0 to 1
        The same share for the song; and the share of responses that follow the song's accents; and
        the share of what is felt, of that which cannot be heard in the song, on which its listeners
        agree.
    time_drift : float, 0 to 1
        Share of gain and level, and of the ratings, that comes from the place in the session.
        Together with the two fingerprints at most 1.
    valence_arousal_correlation : float, -0.9 to 0.9
        Spearman's correlation of the two ratings over all trials, within some 0.03 for large
        studies.
    scale_use : float, 0 to 3
        How much people differ in the centre and the width of their ratings. At 0 they do not.
    artefact_share : float, 0 to 1
        Share of the trials that have an artefact: a spike, lost contact, saturation or steps,
        equally often.
    music_extractor : transformer or None
        What describes the songs, such as ``MusicFeatureExtractor(sampling_rate=16000)``: its
        ``fit_transform`` gets a Series of one array, song by song, and gives one row. None: ten
        measures of the sound (:func:`~edaemo.datasets._generated_songs.measure_audio`).
    random_state : int
        Seed. The same arguments give the same study to the last bit; another size gives another
        study, not a part of it.

    Returns
    -------
    Bunch
        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject``, ``stimulus``
        (str), ``trial`` (place in the session, from 1), ``eda`` (1-D float64 array in
        microsiemens), ``duration`` and ``session_time`` (seconds of the trial, and from the
        session's to the trial's beginning).
        ``ratings`` : DataFrame with the same index; ``valence`` and ``arousal``, whole numbers from
        1 to 9 as float. ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of them.
        ``music`` : DataFrame, one row per song (index ``stimulus``), float32 by default.
        ``sampling_rate``, ``rating_range`` (1.0, 9.0); ``development``, half of the people, drawn
        with the seed; ``artificial``, True, which every table and figure says; ``report``, a dict
        of the sizes and the arguments; ``name``, ``licence``, ``citation``, ``DESCR``.

        And what is known of it:

        ``truth`` : DataFrame indexed by subject and trial: ``stimulus``, ``duration``; felt and
        shown valence and arousal (standard normal); ``response_rate`` (per minute),
        ``response_size`` (µS, their mean), ``slow_constant``, ``fast_constant`` and ``latency``
        (s), ``level`` (µS), ``drift`` (of the level, per minute), ``breathing_rate`` (Hz),
        ``breathing_depth``, ``sensor_noise`` (µS); ``artefact`` ("" for none, "spike",
        "lost_contact", "saturated" or "quantized") and ``artefact_positions``, a list of (start,
        stop) in samples, half open.
        ``songs`` : DataFrame indexed by stimulus: expressed valence and arousal, the five
        parameters of its sound, ``duration`` and ``accents`` (s).
        ``listeners`` : DataFrame indexed by subject: centre, spread (points) and skew of the
        ratings, and the own part of the body (standard normal).
        ``make_components(subject, trial)`` : DataFrame of ``phasic``, ``tonic``, ``noise``,
        ``artefact`` (µS; they sum to the trial's EDA), ``driver`` (µS/s), indexed by seconds.
        ``make_audio(stimulus)`` : the song, mono float32 at ``audio_rate`` (16,000 Hz).
        ``bayes_rate()`` : DataFrame, the best accuracy and balanced accuracy that EDA, music and
        both allow for people and songs not met before, each with its standard error.

    Raises
    ------
    ValueError
        If an argument is out of its range, or if `music_extractor` gives no single row for a song.

    References
    ----------
    .. [1] K. Zhang, H. Zhang, S. Li, C. Yang, L. Sun, "The PMEmo dataset for music emotion
       recognition", ICMR 2018, 135-142.

    Examples
    --------
    >>> from edaemo.datasets import make_music_listening
    >>> study = make_music_listening(4, 10, 5, sampling_rate=10, duration=20)
    >>> study.trials.shape, study.music.shape
    ((20, 6), (10, 10))
    >>> parts = study.make_components("p1", 1)
    >>> bool((abs(parts.drop(columns="driver").sum(axis=1) - study.trials.eda[0]) < 1e-9).all())
    True
    """
    shares = subject_fingerprint, stimulus_fingerprint, time_drift
    if sum(shares) > 1 + 1e-9:
        raise ValueError(
            f"subject_fingerprint={shares[0]:g}, stimulus_fingerprint={shares[1]:g} and "
            f"time_drift={shares[2]:g} are shares of one variance: their sum must not exceed 1."
        )
    mix = mixing_matrix(valence_arousal_correlation)
    dials = Dials(eda_informativeness, music_informativeness, *shares, mix, scale_use)
    rng = make_rng(random_state, DESIGN)
    counts = _counts(rng, n_subjects, n_stimuli, trials_per_subject)
    seconds = _seconds(rng, duration, n_stimuli)
    subject, stimulus = np.repeat(np.arange(n_subjects), counts), deal(rng, n_stimuli, counts)
    spoilt = rng.random(len(subject)) < artefact_share
    artefact = np.where(spoilt, rng.choice(ARTEFACTS, len(subject)), "")

    rng = make_rng(random_state, SONGS)
    of_songs = draw_songs(rng, dials, n_stimuli)
    songs = _song_table(rng, of_songs, seconds)
    people = draw_people(make_rng(random_state, PEOPLE), dials, n_subjects)
    listeners = _listener_table(people)
    drawn = draw_trials(
        make_rng(random_state, TRIALS), dials, people, of_songs, subject, stimulus, places(counts)
    )

    trials = _trial_table(listeners.index[subject], songs, stimulus, counts)
    truth = _truth_table(trials, drawn, artefact)
    eda, positions = [], []
    for row, known in enumerate(truth.itertuples()):
        made = _record_row(random_state, sampling_rate, stimulus_fingerprint, songs, row, known)
        eda.append(made.eda)
        positions.append(made.positions)
    trials.insert(3, "eda", pd.Series(eda, dtype=object))
    truth["artefact_positions"] = pd.Series(positions, index=truth.index, dtype=object)
    ratings = pd.DataFrame(drawn.ratings, columns=list(AXES))
    people_in_any_order = make_rng(random_state, DEVELOPMENT).permutation(listeners.index)
    arguments = {
        "sampling_rate": sampling_rate,
        "duration": duration,
        "eda_informativeness": eda_informativeness,
        "music_informativeness": music_informativeness,
        "subject_fingerprint": subject_fingerprint,
        "stimulus_fingerprint": stimulus_fingerprint,
        "time_drift": time_drift,
        "valence_arousal_correlation": valence_arousal_correlation,
        "scale_use": scale_use,
        "artefact_share": artefact_share,
        "random_state": random_state,
    }
    return Study(
        name=NAME,
        artificial=True,
        trials=trials,
        ratings=ratings,
        targets={target: ratings[target] for target in ("arousal", "valence")},
        music=_music_table(random_state, songs, music_extractor),
        sampling_rate=sampling_rate,
        rating_range=RATING_RANGE,
        development=tuple(sorted(people_in_any_order[: n_subjects // 2])),
        licence=LICENCE,
        citation=CITATION,
        report={
            "source": "make_music_listening",
            "people": n_subjects,
            "songs": n_stimuli,
            "trials": len(trials),
            "trials_with_artefact": int(spoilt.sum()),
            "arguments": arguments,
        },
        DESCR=DESCR,
        truth=truth,
        songs=songs,
        listeners=listeners,
        audio_rate=AUDIO_RATE,
        make_audio=partial(_make_audio, random_state, songs),
        make_components=partial(
            _make_components, random_state, sampling_rate, stimulus_fingerprint, truth, songs
        ),
        bayes_rate=partial(bayes_rate, random_state, dials, counts),
    )
