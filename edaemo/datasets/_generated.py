"""Generate artificial studies of music listening with known ground truth."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

from edaemo.datasets._generated_eda import (
    ARTEFACTS,
    DEVICES,
    Device,
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

LICENCE = "BSD-3-Clause, as edaemo: a program generated the study, without data of any person."
CITATION = (
    "edaemo. The model of skin conductance follows Greco, A. et al. cvxEDA. IEEE Transactions on "
    "Biomedical Engineering 2016, 63, 797-804. The sizes are those of PMEmo: Zhang, K. et al. The "
    "PMEmo Dataset for Music Emotion Recognition. ICMR 2018, 135-142."
)
DESCR = """ARTIFICIAL: no person took part. A program generated songs, skin conductance and ratings.

A study of people who listened to songs and rated their valence and arousal from 1 to 9, with the
size and the class balance of PMEmo. The ground truth is known: emotion and sound of each song, felt
emotion, sudomotor driver, phasic and tonic components, artefacts, and the best possible prediction
of the labels (`bayes_rate`). Scores on this study show whether a method finds the simulated
effects. They show nothing about people. docs/generated.md has the equations.
"""


def _make_audio(seed: int, songs: pd.DataFrame, stimulus: str) -> np.ndarray:
    """Synthesise a song of the study.

    Parameters
    ----------
    stimulus : str
        Name of the song.

    Returns
    -------
    ndarray of shape (n_samples,)
        Mono, float32, ``study.audio_rate`` samples per second, within -1 to 1.

    Raises
    ------
    ValueError
        If the study has no such song.
    """
    if stimulus not in songs.index:
        raise ValueError(f"This study has no song {stimulus!r}: choose from study.songs.index.")
    return synthesise(songs.loc[stimulus], make_rng(seed, AUDIO, songs.index.get_loc(stimulus)))


def _make_components(
    seed: int,
    sampling_rate: float,
    follows: float,
    device: Device,
    truth: pd.DataFrame,
    songs: pd.DataFrame,
    subject: str,
    trial: int,
) -> pd.DataFrame:
    """Compute the components of a trial of the study.

    Parameters
    ----------
    subject : str
        Name of the person.
    trial : int
        Number of the trial.

    Returns
    -------
    DataFrame of float64, one row for each sample, indexed by ``time`` in seconds
        ``phasic``, ``tonic``, ``noise`` and ``artefact`` in µS, which sum to the EDA of the trial
        within rounding; ``driver`` in µS/s.

    Raises
    ------
    ValueError
        If the study has no such trial.
    """
    if (subject, trial) not in truth.index:
        raise ValueError(
            f"Subject {subject!r} has no trial {trial!r} in this study: see study.truth.index."
        )
    row = truth.index.get_loc((subject, trial))
    known = next(truth.iloc[[row]].itertuples())
    made = _record_row(seed, sampling_rate, follows, device, songs, row, known)
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


def _truth_table(
    trials: pd.DataFrame, drawn: Trials, artefact: np.ndarray, device: Device
) -> pd.DataFrame:
    """Return the ground truth of each trial, with the physiology in physical units."""
    columns = {
        "stimulus": trials["stimulus"].to_numpy(),
        "duration": trials["duration"].to_numpy(),
        "felt_valence": drawn.felt[:, 0],
        "felt_arousal": drawn.felt[:, 1],
        "shown_valence": drawn.shown[:, 0],
        "shown_arousal": drawn.shown[:, 1],
        **physiology(drawn, device),
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
    device: Device,
    songs: pd.DataFrame,
    row: int,
    known: Physiology,
) -> Recording:
    accents = songs.at[known.stimulus, "accents"]
    return record(make_rng(seed, SIGNAL, row), known, accents, follows, sampling_rate, device)


def _names(letter: str, n: int, kind: str) -> pd.Index:
    digits = len(str(n))
    return pd.Index([f"{letter}{k:0{digits}d}" for k in range(1, n + 1)], name=kind)


def _music_table(seed: int, songs: pd.DataFrame, extractor: object) -> pd.DataFrame:
    """Return the music features of all songs."""
    if extractor is None:
        rows = [measure_audio(_make_audio(seed, songs, song)) for song in songs.index]
        return pd.DataFrame(np.stack(rows), index=songs.index, columns=list(MEASURES))
    rows = []
    for song in songs.index:
        clip = pd.Series([_make_audio(seed, songs, song)], index=[song])
        row = pd.DataFrame(clone(extractor).fit_transform(clip))
        if len(row) != 1:
            raise ValueError(
                f"music_extractor returned {len(row)} rows for the song {song!r}: it must return "
                "one row for each song."
            )
        rows.append(row)
    return pd.concat(rows).set_axis(songs.index, axis=0)


def _seconds(rng: np.random.Generator, duration: float | tuple[float, float], n: int) -> np.ndarray:
    """Draw the duration of each song in seconds."""
    if not isinstance(duration, tuple):
        return np.full(n, float(duration))
    numbers = len(duration) == 2 and all(
        isinstance(end, Real) and not isinstance(end, bool) and np.isfinite(end) for end in duration
    )
    if not numbers or not SHORTEST <= np.ceil(duration[0]) <= np.floor(duration[1]):
        raise ValueError(
            f"duration must be a number of seconds or (shortest, longest) that includes a whole "
            f"number, at least {SHORTEST:g}; got {duration!r}."
        )
    return rng.integers(np.ceil(duration[0]), np.floor(duration[1]), n, endpoint=True).astype(float)


def _counts(
    rng: np.random.Generator, n_subjects: int, n_stimuli: int, trials_per_subject: float
) -> np.ndarray:
    """Return the number of trials of each person; the numbers differ by at most one."""
    each, more = divmod(round(n_subjects * trials_per_subject), n_subjects)
    if each + (more > 0) > n_stimuli:
        raise ValueError(
            f"trials_per_subject={trials_per_subject:g} exceeds n_stimuli={n_stimuli}, but no "
            "person hears a song twice: increase n_stimuli or decrease trials_per_subject."
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
        "device": [StrOptions(set(DEVICES))],
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
    device: str = "laboratory",
    music_extractor: object = None,
    random_state: int = 0,
) -> Study:
    """Generate an artificial study of music listening with known ground truth.

    The default size is that of PMEmo [1]_: 457 people, 794 songs, 7,962 trials. The felt emotion
    depends on the emotion that the song expresses and on the listener. The skin conductance depends
    on the felt emotion and on chance. Each person rates the felt emotion and uses the scale in a
    personal way. ``docs/generated.md`` has the equations. With the first five effect parameters,
    `eda_informativeness` to `time_drift`, at 0, nothing in EDA or music predicts a label.

    Parameters
    ----------
    n_subjects, n_stimuli : int
        Numbers of people and songs, at least 2 each.
    trials_per_subject : float
        Mean number of trials of a person, from 2 to `n_stimuli`. The numbers of two people differ
        by at most one. All songs are heard equally often (within one). No person hears a song
        twice.
    sampling_rate : float
        Samples of EDA per second (Hz), at least 1.
    duration : float or tuple (shortest, longest)
        Seconds of every song, or a range. From a range, each song gets a random whole number of
        seconds (mean 38 with the default, as in PMEmo). At least 8. If lengths differ, the length
        of a recording gives information about the song.
    eda_informativeness : float, 0 to 1
        Share of the variance of rate, size and recovery of the responses in the EDA that comes from
        the felt emotion. The rest is chance.
    music_informativeness : float, 0 to 1
        Share of the variance of the felt emotion that comes from the audible emotion of the song.
    subject_fingerprint : float, 0 to 1
        Share of the variance of the physiology in a trial (gain, level, drift, latency, rise of
        responses, breathing, noise) that comes from the person. At 0 each trial has a new draw.
        This parameter also scales how much the skew of ratings, and so the share of high labels,
        differs between people.
    stimulus_fingerprint : float, 0 to 1
        The same share for the song. Also the share of responses that follow the accents of the
        song. Also the share, common to all listeners of a song, of the felt emotion that is not
        audible in it.
    time_drift : float, 0 to 1
        Share of the variance of gain, level and ratings that comes from the time in the session.
        The sum of this share and the two fingerprints is at most 1.
    valence_arousal_correlation : float, -0.9 to 0.9
        Spearman correlation of the two ratings over all trials, within about 0.03 for large
        studies.
    scale_use : float, 0 to 3
        Size of the differences between people in the centre and the width of their ratings. At 0
        people do not differ.
    artefact_share : float, 0 to 1
        Share of the trials with an artefact: a spike, lost contact, saturation or quantization
        steps, equally often.
    device : {"laboratory", "wristband"}
        "laboratory": finger electrodes, with responses of 0.3 µS. "wristband": the range, noise,
        converter steps and movements of the wrist recordings of HKU956 and of the induced-stress
        study (their development people), with responses of 0.03 µS. Movements and the rounding to
        steps are part of ``artefact`` in ``make_components``, and have no positions.
    music_extractor : transformer or None
        Extractor of the music features, such as ``MusicFeatureExtractor(sampling_rate=16000)``. Its
        ``fit_transform`` is called for each song with a Series of one array, and must return one
        row. None computes ten measures of the sound.
    random_state : int
        Seed. The same arguments return the same study, bit by bit. A study of another size is a
        different study, not a part of it.

    Returns
    -------
    Study
        ``trials`` : DataFrame, one row per trial by subject and trial: ``subject``, ``stimulus``
        (str), ``trial`` (order in the session, from 1), ``eda`` (1-D float64 array in
        microsiemens), ``duration`` (seconds) and ``session_time`` (seconds from the start of the
        session to the start of the trial).
        ``ratings`` : DataFrame with the same index; ``valence`` and ``arousal``, whole numbers from
        1 to 9 as float. ``targets`` : dict, ``"arousal"`` and ``"valence"`` → Series of them.
        ``music`` : DataFrame, one row per song (index ``stimulus``), float32 by default.
        ``sampling_rate``, ``rating_range`` (1.0, 9.0); ``development``, half of the people, drawn
        with the seed; ``artificial``, True, which every table and figure shows; ``report``, a dict
        of the sizes and the arguments; ``name``, ``licence``, ``citation``, ``DESCR``.

        The ground truth:

        ``truth`` : DataFrame indexed by subject and trial: ``stimulus``, ``duration``; felt and
        shown valence and arousal (standard normal); ``response_rate`` (per minute),
        ``response_size`` (mean size, µS), ``slow_constant``, ``fast_constant`` and ``latency`` (s),
        ``level`` (µS), ``drift`` (of the level, per minute), ``breathing_rate`` (Hz),
        ``breathing_depth``, ``sensor_noise`` (µS); ``artefact`` ("" for no artefact, "spike",
        "lost_contact", "saturated" or "quantized") and ``artefact_positions``, a list of (start,
        stop) in samples, without the sample `stop`.
        ``songs`` : DataFrame indexed by stimulus: expressed valence and arousal, the five
        parameters of the sound, ``duration`` and ``accents`` (s).
        ``listeners`` : DataFrame indexed by subject: centre, spread (points) and skew of the
        ratings, and the personal part of the physiology (standard normal).
        ``make_components(subject, trial)`` : DataFrame of ``phasic``, ``tonic``, ``noise``,
        ``artefact`` (µS; they sum to the EDA of the trial), ``driver`` (µS/s), indexed by seconds.
        ``make_audio(stimulus)`` : the song, mono float32 at ``audio_rate`` (16,000 Hz).
        ``bayes_rate()`` : DataFrame, the best possible accuracy and balanced accuracy with EDA,
        music or both, for new people and songs, each with its standard error.

    Raises
    ------
    ValueError
        If an argument is out of range, or if `music_extractor` does not return one row for a song.

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
    drawn_songs = draw_songs(rng, dials, n_stimuli)
    songs = _song_table(rng, drawn_songs, seconds)
    people = draw_people(make_rng(random_state, PEOPLE), dials, n_subjects)
    listeners = _listener_table(people)
    drawn = draw_trials(
        make_rng(random_state, TRIALS),
        dials,
        people,
        drawn_songs,
        subject,
        stimulus,
        places(counts),
    )

    trials = _trial_table(listeners.index[subject], songs, stimulus, counts)
    truth = _truth_table(trials, drawn, artefact, DEVICES[device])
    eda, positions = [], []
    for row, known in enumerate(truth.itertuples()):
        made = _record_row(
            random_state, sampling_rate, stimulus_fingerprint, DEVICES[device], songs, row, known
        )
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
        "device": device,
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
            _make_components,
            random_state,
            sampling_rate,
            stimulus_fingerprint,
            DEVICES[device],
            truth,
            songs,
        ),
        bayes_rate=partial(bayes_rate, random_state, dials, counts),
    )
