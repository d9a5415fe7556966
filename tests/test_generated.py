"""Artificial studies: what is told about them is true, and the dials do what they say."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edaemo import SubjectThresholdRelabeler
from edaemo.datasets import make_music_listening, select_people
from edaemo.estimators._baselines import make_trial_order_baseline
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import SubjectKFold, SubjectStimulusKFold, TrialKFold
from edaemo.preprocessing import SubjectStandardizer, signal_quality

# Whole numbers fall on thresholds, which the relabeler tells.
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:edaemo")

KNOWLEDGE = ("none", "eda", "music", "both")
NOTHING = {
    "eda_informativeness": 0,
    "music_informativeness": 0,
    "subject_fingerprint": 0,
    "stimulus_fingerprint": 0,
    "time_drift": 0,
}


def small(n_subjects=6, n_stimuli=12, trials_per_subject=8, **dials):
    """Make a study that takes a fraction of a second."""
    settings = {"sampling_rate": 8, "duration": 20} | dials
    return make_music_listening(n_subjects, n_stimuli, trials_per_subject, **settings)


@pytest.fixture(scope="module")
def moderate():
    """A study of 60 people, and the memory at its peak."""
    tracemalloc.start()
    study = make_music_listening(60, 100, 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return study, peak


def labels(study, target="arousal"):
    relabeler = SubjectThresholdRelabeler(target=target)
    return relabeler.fit_relabel(study.ratings, subject=study.trials["subject"])


def simple(study):
    """Level, activity, slope and roughness of each recording."""
    rows = [
        (
            np.log(eda.mean()),
            np.log(eda.std()),
            np.ptp(eda[[0, -1]]),
            np.log(np.std(np.diff(eda, 2))),
        )
        for eda in study.trials["eda"]
    ]
    return np.array(rows)


def score(model, X, y, cv, study):
    folds = cv.split(X, y, subject=study.trials["subject"], stimulus=study.trials["stimulus"])
    return balanced_accuracy_score(y, cross_val_predict(model, X, y, cv=list(folds)))


def linear(C=0.01):
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))


# The study


def test_study_is_what_a_loader_returns(moderate):
    study = moderate[0]
    assert study.name == "generated"
    assert list(study.trials.columns) == [
        "subject", "stimulus", "trial", "eda", "duration", "session_time"
    ]  # fmt: skip
    assert study.trials.index.equals(pd.RangeIndex(1200)) and study.ratings.index.equals(
        study.trials.index
    )
    assert study.rating_range == (1.0, 9.0)
    assert set(np.unique(study.ratings)) <= set(range(1, 10))
    assert set(study.targets) == {"arousal", "valence"}
    for target, values in study.targets.items():
        pd.testing.assert_series_equal(values, study.ratings[target])
    for trial in study.trials.itertuples():
        assert trial.eda.shape == (round(trial.duration * 50),) and trial.eda.dtype == np.float64
        assert np.isfinite(trial.eda).all()
    assert "ARTIFICIAL" in study.DESCR
    assert study.music.index.equals(study.songs.index)
    assert study.music.index.name == "stimulus" and (study.music.dtypes == np.float32).all()
    assert study.report["trials"] == 1200


def test_songs_are_heard_equally_often_and_by_nobody_twice(moderate):
    trials = moderate[0].trials
    assert trials["stimulus"].value_counts().unique() == [12]
    assert not trials.duplicated(["subject", "stimulus"]).any()
    uneven = small(7, 9, 4.3).trials
    assert len(uneven) == 30
    assert set(uneven.groupby("subject").size()) == {4, 5}
    assert set(uneven["stimulus"].value_counts()) == {3, 4}
    assert not uneven.duplicated(["subject", "stimulus"]).any()


def test_session_goes_on_by_the_trials_and_pauses(moderate):
    trials = moderate[0].trials
    assert (trials.groupby("subject")["session_time"].first() == 0).all()
    for _, session in trials.groupby("subject"):
        assert list(session["trial"]) == list(range(1, 21))
        ends = (session["session_time"] + session["duration"]).to_numpy()
        assert_allclose(session["session_time"].to_numpy()[1:] - ends[:-1], 15.0)


def test_half_of_the_people_are_for_development(moderate):
    study = moderate[0]
    assert len(study.development) == 30 and set(study.development) <= set(study.listeners.index)
    reported = select_people(study, "evaluation")
    assert len(reported.trials) == 600
    trial = reported.trials.iloc[77]
    parts = reported.make_components(trial.subject, trial.trial)
    assert_allclose(parts.drop(columns="driver").sum(axis=1), trial.eda, atol=1e-9)


def test_same_seed_gives_the_same_study_to_the_last_bit():
    one, other = (small(artefact_share=0.5, random_state=3) for _ in range(2))
    for row in range(len(one.trials)):
        assert_array_equal(one.trials["eda"][row], other.trials["eda"][row])
    for name in ("ratings", "music", "songs", "listeners"):
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)
    pd.testing.assert_frame_equal(one.truth, other.truth, check_exact=True)
    pd.testing.assert_frame_equal(one.bayes_rate(40), other.bayes_rate(40), check_exact=True)
    assert_array_equal(one.make_audio("s03"), other.make_audio("s03"))
    assert one.development == other.development
    another = small(artefact_share=0.5, random_state=4)
    assert not np.array_equal(another.trials["eda"][0], one.trials["eda"][0])
    assert not another.ratings.equals(one.ratings)


def test_study_can_be_pickled_with_all_it_can_do():
    study = small()
    copy = pickle.loads(pickle.dumps(study))
    pd.testing.assert_frame_equal(copy.make_components("p2", 3), study.make_components("p2", 3))
    assert_array_equal(copy.make_audio("s07"), study.make_audio("s07"))


def test_moderate_study_takes_little_more_memory_than_its_recordings(moderate):
    study, peak = moderate
    assert peak < 2 * sum(eda.nbytes for eda in study.trials["eda"]) + 60e6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_subjects": 1}, "'n_subjects' parameter"),
        ({"n_stimuli": 1}, "'n_stimuli' parameter"),
        ({"trials_per_subject": 1}, "'trials_per_subject' parameter"),
        ({"trials_per_subject": 13}, "13 exceeds n_stimuli=12"),
        ({"sampling_rate": 0.5}, "'sampling_rate' parameter"),
        ({"duration": 7}, "'duration' parameter"),
        ({"duration": (30, 20)}, "duration must be"),
        ({"duration": (20, np.nan)}, "duration must be"),
        ({"duration": (8.2, 8.8)}, "includes a whole number"),
        ({"eda_informativeness": 1.1}, "'eda_informativeness' parameter"),
        ({"music_informativeness": -0.1}, "'music_informativeness' parameter"),
        ({"subject_fingerprint": np.nan}, "'subject_fingerprint' parameter"),
        ({"subject_fingerprint": 0.6, "stimulus_fingerprint": 0.5}, "sum must not exceed 1"),
        ({"valence_arousal_correlation": 0.95}, "'valence_arousal_correlation' parameter"),
        ({"scale_use": -1}, "'scale_use' parameter"),
        ({"artefact_share": 2}, "'artefact_share' parameter"),
        ({"music_extractor": "openSMILE"}, "'music_extractor' parameter"),
        ({"random_state": -1}, "'random_state' parameter"),
        ({"random_state": None}, "'random_state' parameter"),
    ],
)
def test_bad_argument_is_one_clear_error(arguments, said):
    with pytest.raises(ValueError, match=said):
        small(**arguments)


def test_unknown_trial_or_song_is_an_error():
    study = small()
    with pytest.raises(ValueError, match=r"'p9' has no trial 1"):
        study.make_components("p9", 1)
    with pytest.raises(ValueError, match=r"no song 's99'"):
        study.make_audio("s99")


# The recordings


@pytest.fixture(scope="module")
def spoilt():
    return make_music_listening(30, 20, 10, duration=25, artefact_share=0.7, random_state=1)


def test_components_add_up_to_the_recording(spoilt):
    for trial in spoilt.trials.itertuples():
        parts = spoilt.make_components(trial.subject, trial.trial)
        total = parts["phasic"] + parts["tonic"] + parts["noise"] + parts["artefact"]
        assert_allclose(total, trial.eda, rtol=0, atol=1e-12)
        assert (parts[["phasic", "driver"]] >= 0).all(axis=None)
        assert (parts["tonic"] > 0).all()
    assert_allclose(parts.index, np.arange(1250) / 50)


def test_phasic_component_is_the_response_to_the_driver(spoilt):
    """By the closed form of the Bateman function, and the rest fades with its two constants."""
    for (subject, trial), known in spoilt.truth.iloc[::23].iterrows():
        parts = spoilt.make_components(subject, trial)
        slow, fast, t = known.slow_constant, known.fast_constant, parts.index.to_numpy()
        bateman = np.exp(-t / slow) - np.exp(-t / fast)
        fine = np.linspace(0, 20, 200_001)
        bateman /= np.max(np.exp(-fine / slow) - np.exp(-fine / fast))
        caused = np.convolve(parts["driver"], bateman)[: len(t)] / 50
        left = parts["phasic"] - caused
        fading = np.stack([np.exp(-t / slow), np.exp(-t / fast)], axis=1)
        explained = fading @ np.linalg.lstsq(fading, left, rcond=None)[0]
        assert_allclose(left, explained, atol=1e-9)


def test_driver_has_the_responses_that_are_told(spoilt):
    for (subject, trial), known in spoilt.truth.iloc[::7].iterrows():
        driver = spoilt.make_components(subject, trial)["driver"]
        n_responses = max(1, round(known.response_rate * 25 / 60))
        assert n_responses - 2 <= (driver > 0).sum() <= n_responses  # two may share a sample
        assert_allclose(driver.sum() / 50, n_responses * known.response_size)
        assert driver[int(known.latency * 50) / 50] > 0  # what the song's beginning evokes


def test_artefacts_are_where_they_are_told_to_be(spoilt):
    assert spoilt.truth["artefact"].value_counts().min() > 30
    assert spoilt.report["trials_with_artefact"] == (spoilt.truth["artefact"] != "").sum()
    for row, ((subject, trial), known) in enumerate(spoilt.truth.iterrows()):
        parts = spoilt.make_components(subject, trial)
        inside = np.zeros(1250, dtype=bool)
        for start, stop in known.artefact_positions:
            assert 0 <= start < stop <= 1250
            inside[start:stop] = True
        artefact, eda = parts["artefact"].to_numpy(), spoilt.trials["eda"][row]
        assert (np.abs(artefact[~inside]) < 1e-12).all()
        if known.artefact == "spike":
            assert 3 * 0.9 < artefact.max() < 6
        elif known.artefact == "lost_contact":
            assert (eda[inside] == 0).all()
        elif known.artefact == "saturated":
            assert 0.25 < inside.mean() < 0.35
            assert (eda[inside] == eda.max()).all() and (eda[~inside] < eda.max()).all()
        elif known.artefact == "quantized":
            assert inside.all()
            assert_allclose(eda / 0.02, np.rint(eda / 0.02), atol=1e-9)
        else:
            assert not inside.any()


def test_signal_quality_finds_the_same_spikes_and_losses_of_contact(spoilt):
    quality = signal_quality(spoilt)
    for kind in ("spike", "lost_contact"):
        has = (spoilt.truth["artefact"] == kind).to_numpy()
        found = [positions[kind] for positions in quality["positions"]]
        told = spoilt.truth["artefact_positions"]
        same = [found[row] == told.iloc[row] for row in np.flatnonzero(has)]
        assert np.mean(same) > 0.9
        others = spoilt.truth["artefact"].isin(["", "saturated", "quantized"])
        # The largest responses rise by more than 10 µS/s.
        assert np.mean([len(found[row]) > 0 for row in np.flatnonzero(others)]) < 0.02


def test_recordings_look_like_skin_conductance(moderate):
    """Within what Dawson, Schell & Filion (Handbook of Psychophysiology) give for adults."""
    truth = moderate[0].truth
    middle = truth.median(numeric_only=True)
    assert 2 < middle["level"] < 16  # µS
    assert 0.1 < middle["response_size"] < 1  # µS
    assert 1 < middle["response_rate"] < 20  # per minute
    assert truth["latency"].between(0.8, 4.5).all()
    lowest = min(eda.min() for eda in moderate[0].trials["eda"])
    assert lowest > 0.1
    quality = signal_quality(moderate[0])
    assert not quality["flat"].any()
    assert (quality["n_spikes"] > 0).mean() < 0.01


# The songs


def test_audio_is_mono_float32_of_the_songs_length_and_loudness(moderate):
    study = moderate[0]
    for stimulus, song in study.songs.iloc[::9].iterrows():
        audio = study.make_audio(stimulus)
        assert audio.dtype == np.float32 and study.audio_rate == 16000
        assert audio.shape == (song.duration * 16000,)
        assert np.abs(audio).max() <= 1
        rms = 10 * np.log10(np.mean(audio.astype(float) ** 2))
        assert_allclose(rms, song.loudness, atol=0.1)


def test_emotion_can_be_read_off_the_sound(moderate):
    study = moderate[0]
    tempo = study.music["tempo"] / study.songs["tempo"]
    assert (np.abs(tempo - 1) < 0.02).mean() > 0.9
    assert np.corrcoef(study.music["mode"], study.songs["mode"])[0, 1] > 0.8
    for axis, least in [("valence", 0.75), ("arousal", 0.9)]:
        ridge = make_pipeline(StandardScaler(), Ridge())
        guess = cross_val_predict(ridge, study.music, study.songs[axis], cv=5)
        assert np.corrcoef(guess, study.songs[axis])[0, 1] > least


class Loudest(TransformerMixin, BaseEstimator):
    """Stand in for an extractor of music features."""

    def __init__(self, rows=1):
        self.rows = rows

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        (audio,) = X
        return pd.DataFrame({"loudest": [np.abs(audio).max()] * self.rows})


def test_any_extractor_may_describe_the_songs():
    study = small(music_extractor=Loudest())
    assert list(study.music.columns) == ["loudest"]
    assert study.music.index.equals(study.songs.index)
    assert study.music.at["s05", "loudest"] == np.abs(study.make_audio("s05")).max()
    with pytest.raises(ValueError, match=r"returned 2 rows for the song 's01'"):
        small(music_extractor=Loudest(rows=2))


# The ratings


def test_class_balance_and_correlation_are_those_of_pmemo():
    """Table 1 and Table 2 of the RTCAN-1D paper."""
    study = make_music_listening(duration=8, sampling_rate=1)
    subject = study.trials["subject"]
    assert (subject.nunique(), len(study.songs), len(study.trials)) == (457, 794, 7962)
    assert study.trials["stimulus"].value_counts().min() >= 10
    balance = SubjectThresholdRelabeler().fit(study.ratings, subject=subject).class_balance_
    assert abs(balance.at["arousal", "share_high"] - 0.588) < 0.03
    assert abs(balance.at["valence", "share_high"] - 0.577) < 0.03
    assert abs(study.ratings.corr("spearman").iloc[0, 1] - 0.52) < 0.04


@pytest.mark.parametrize("wanted", [-0.5, 0.0, 0.8])
def test_correlation_of_valence_and_arousal_is_what_is_asked_for(wanted):
    study = small(150, 150, 20, valence_arousal_correlation=wanted, duration=8, sampling_rate=1)
    assert abs(study.ratings.corr("spearman").iloc[0, 1] - wanted) < 0.08


def test_scale_use_sets_how_much_people_differ_in_their_ratings():
    def differ(scale_use):
        study = small(100, 30, 20, scale_use=scale_use, duration=8, sampling_rate=1)
        means = study.ratings["arousal"].groupby(study.trials["subject"]).mean()
        return means.std(), study.listeners

    none, listeners = differ(0.0)
    assert listeners[["centre_valence", "centre_arousal", "spread"]].nunique().max() == 1
    assert none < 0.6 < differ(1.0)[0] < differ(2.0)[0]


# The dials


def test_nothing_predicts_anything_with_all_dials_at_zero():
    scores = []
    near = make_pipeline(StandardScaler(), KNeighborsClassifier(15))
    for seed in range(4):
        study = small(25, 40, 20, **NOTHING, sampling_rate=4, random_state=seed)
        eda = EDAFeatureExtractor(study.sampling_rate).fit_transform(study.trials).to_numpy()
        music = study.music.loc[study.trials["stimulus"]].to_numpy()
        for target in ("arousal", "valence"):
            y = labels(study, target)
            scores += [
                score(model, X, y, cv, study)
                for cv in (TrialKFold(4), SubjectKFold(4))
                for model, X in [
                    (linear(), np.hstack([eda, music])),
                    (near, simple(study)),
                    (near, music),
                ]
            ]
    scores = np.array(scores).reshape(4, -1)  # one of them has a standard error of some 0.02
    assert np.abs(scores.mean() - 0.5) < 0.012
    assert np.abs(scores.mean(axis=0) - 0.5).max() < 0.03
    rates = study.bayes_rate(1200)
    assert (np.abs(rates["balanced_accuracy"] - 0.5) <= 4 * rates["balanced_accuracy_se"]).all()


def fingerprint_scores(protocols, n_seeds, **settings):
    scores = []
    for seed in range(n_seeds):
        study = small(**(NOTHING | settings), random_state=seed)
        X, y = simple(study), labels(study)
        forest = RandomForestClassifier(40, min_samples_leaf=3, random_state=0)
        scores.append([score(forest, X, y, cv, study) for cv in protocols])
    return np.mean(scores, axis=0)


def test_subject_fingerprint_makes_a_random_split_win_and_held_out_people_not():
    trial, subject = fingerprint_scores(
        [TrialKFold(4), SubjectKFold(4)], 5, n_subjects=30, n_stimuli=40, trials_per_subject=30,
        subject_fingerprint=1.0,
    )  # fmt: skip
    assert trial > 0.57
    assert abs(subject - 0.5) < 0.05 < trial - subject


def test_stimulus_fingerprint_makes_held_out_people_win_and_held_out_songs_not():
    subject, both = fingerprint_scores(
        [SubjectKFold(4), SubjectStimulusKFold(3)], 3, n_subjects=60, n_stimuli=60,
        trials_per_subject=20, stimulus_fingerprint=1.0,
    )  # fmt: skip
    assert subject > 0.65
    assert abs(both - 0.5) < 0.1 < subject - both


def test_body_shows_emotion_as_documented(moderate):
    truth = moderate[0].truth
    assert_allclose(truth["response_rate"], 7 * np.exp(0.6 * truth["shown_arousal"]))
    slower = truth["slow_constant"] - truth["fast_constant"]
    assert_allclose(slower, 1.5 * np.exp(-0.5 * truth["shown_valence"]))


def test_at_one_eda_shows_what_is_felt_and_what_is_felt_is_what_the_song_expresses():
    axes = ["valence", "arousal"]
    study = small(eda_informativeness=1, music_informativeness=1)
    felt, shown = (
        study.truth[[f"{what}_{axis}" for axis in axes]].to_numpy() for what in ("felt", "shown")
    )
    assert_array_equal(shown, felt)
    assert_array_equal(felt, study.songs.loc[study.truth["stimulus"], axes])


def test_subject_fingerprint_sets_how_much_of_the_body_is_the_persons_own():
    def between(fingerprint):
        settings = NOTHING | {"subject_fingerprint": fingerprint}
        study = small(40, 20, 20, **settings, duration=8, sampling_rate=1)
        level = np.log(study.truth["level"])
        return level.groupby("subject").mean().var() / level.var()

    assert_allclose([between(0.0), between(0.5), between(1.0)], [0.05, 0.525, 1.0], atol=0.12)


def test_stimulus_fingerprint_lets_responses_follow_the_accents():
    def following(fingerprint):
        settings = {"subject_fingerprint": 0, "stimulus_fingerprint": fingerprint, "time_drift": 0}
        study = small(10, 12, 10, **settings, sampling_rate=50)
        near = []
        for (subject, trial), known in study.truth.iterrows():
            driver = study.make_components(subject, trial)["driver"]
            when = driver.index[driver > 0].to_numpy()[1:] - known.latency
            accents = study.songs.at[known.stimulus, "accents"]
            near += list(np.abs(when[:, None] - accents).min(axis=1) < 0.03)
        return np.mean(near)

    assert following(0.0) < 0.1
    assert following(0.5) > 0.35


def test_time_drift_shows_in_ratings_and_recordings():
    still, drifting = (
        small(40, 30, 20, **(NOTHING | {"time_drift": drift}), sampling_rate=4)
        for drift in (0, 0.5)
    )
    order = make_trial_order_baseline()
    assert abs(score(order, still.trials, labels(still), SubjectKFold(4), still) - 0.5) < 0.06
    y = labels(drifting)
    assert score(order, drifting.trials, y, SubjectKFold(4), drifting) > 0.65
    assert score(linear(1.0), simple(drifting), y, SubjectKFold(4), drifting) > 0.58
    place, level = drifting.trials["trial"], np.log(drifting.truth["level"].to_numpy())
    assert_allclose(np.corrcoef(place, level)[0, 1], -np.sqrt(0.5), atol=0.05)


def test_bayes_rate_rises_with_what_eda_and_music_tell():
    def rates(eda, music):
        dials = {"eda_informativeness": eda, "music_informativeness": music}
        table = small(**dials, trials_per_subject=12).bayes_rate(800)
        return {knows: table.xs(knows, level="knows")["accuracy"] for knows in KNOWLEDGE}

    nothing, some, much = rates(0, 0), rates(0.3, 0.3), rates(0.8, 0.7)
    for knows in KNOWLEDGE[1:]:
        assert (nothing[knows] + 0.05 < some[knows]).all() and (
            some[knows] + 0.05 < much[knows]
        ).all()
    assert_allclose(nothing["both"], nothing["none"], atol=0.02)


# What can be reached


def lower_tail(z, k):
    """Standardise 1 - exp(-k z), k > 0."""
    mean, square = np.exp(k**2 / 2), np.exp(2 * k**2)
    return (mean - np.exp(-k * z)) / np.sqrt(square - mean**2)


def two_means_threshold(points, rng):
    """Midpoints of the best of many runs of Lloyd's algorithm; points are (people, trials, 2)."""
    n_people, n_trials, _ = points.shape
    best, midpoint = np.full(n_people, np.inf), np.zeros((n_people, 2))
    for _ in range(12):
        pick = rng.permuted(np.tile(np.arange(n_trials), (n_people, 1)), axis=1)[:, :2]
        centers = np.take_along_axis(points, pick[:, :, None], axis=1)
        for _ in range(8):
            squares = ((points[:, :, None] - centers[:, None]) ** 2).sum(axis=-1)
            member = np.stack(
                [squares[..., 0] <= squares[..., 1], squares[..., 0] > squares[..., 1]]
            )
            size = member.sum(axis=2)
            sums = (member[..., None] * points).sum(axis=2)
            moved = np.moveaxis(sums / np.maximum(size, 1)[..., None], 0, 1)
            centers = np.where(size.T[..., None] > 0, moved, centers)
        cost = squares.min(axis=2).sum(axis=1)
        better = cost < best - 1e-9
        best[better], midpoint[better] = cost[better], centers[better].mean(axis=1)
    return midpoint


def test_bayes_rate_agrees_with_an_independent_simulation():
    """docs/generated.md once more, and the posterior in closed form; no code is shared."""
    eda, music, n_people, n_trials = 0.6, 0.5, 3000, 16
    rng = np.random.default_rng(0)
    rho = 2 * np.sin(np.pi * 0.52 / 6) / 0.94
    covariance = [[1, rho], [rho, 1]]

    def emotion():
        return rng.multivariate_normal([0, 0], covariance, size=(n_people, n_trials))

    expressed, own = emotion(), emotion()
    felt = np.sqrt(music) * expressed + np.sqrt(1 - music) * own
    shown = np.sqrt(eda) * felt + np.sqrt(1 - eda) * emotion()
    said = np.sqrt(0.95) * felt + np.sqrt(0.05) * emotion()
    centre = [5.8, 6.0] + 0.8 * rng.multivariate_normal([0, 0], covariance, size=n_people)
    spread = 1.7 * np.exp(0.25 * rng.standard_normal(n_people))
    points = np.stack([lower_tail(said[..., 0], 0.2), lower_tail(said[..., 1], 0.25)], axis=-1)
    ratings = np.clip(np.rint(centre[:, None] + spread[:, None, None] * points), 1, 9)
    high = ratings > two_means_threshold(ratings, rng)[:, None]

    # Normal variables with one covariance throughout: what is expected of the felt one is linear.
    gain = np.sqrt(eda) * (1 - music) / (eda * (1 - music) + 1 - eda)
    expected = {
        "music": expressed,
        "eda": shown,
        "both": np.sqrt(music) * expressed + gain * (shown - np.sqrt(eda * music) * expressed),
    }
    told = small(
        20, 40, n_trials, subject_fingerprint=0, time_drift=0, duration=8, sampling_rate=1
    ).bayes_rate(3000)
    for k, axis in enumerate(("valence", "arousal")):
        for knows, of_label in expected.items():
            cuts = np.linspace(-1.5, 1, 60)
            right = [((of_label[..., k] > cut) == high[..., k]).mean() for cut in cuts]
            row = told.loc[(axis, knows)]
            error = np.hypot(row.accuracy_se, np.sqrt(0.25 / high[..., k].size))
            assert abs(row.accuracy - max(right)) < 4 * error
            assert row.accuracy_se < 0.003


def test_bayes_rate_of_the_defaults_is_known_to_two_tenths_of_a_point():
    rates = small(20, 40, 17.42).bayes_rate()
    assert (
        rates[["accuracy_se", "balanced_accuracy_se"]].drop("none", level="knows") < 0.0015
    ).all(axis=None)
    for axis in ("valence", "arousal"):
        accuracy = rates.loc[axis, "accuracy"]
        assert 0.75 < accuracy["both"] < 0.85
        assert max(accuracy["eda"], accuracy["music"]) < accuracy["both"] - 0.02
        assert min(accuracy["eda"], accuracy["music"]) > accuracy["none"] + 0.1


def test_linear_model_gets_most_of_the_way_to_the_bayes_rate(moderate):
    study = moderate[0]
    features = EDAFeatureExtractor(study.sampling_rate).fit_transform(study.trials)
    eda = SubjectStandardizer().fit_transform(features).to_numpy()
    music = study.music.loc[study.trials["stimulus"]].to_numpy()
    rates = study.bayes_rate(2000)["balanced_accuracy"]
    for target, share in [("arousal", 0.75), ("valence", 0.45)]:
        y = labels(study, target)
        of_eda, of_music, of_both = (
            score(linear(), X, y, SubjectKFold(5), study)
            for X in (eda, music, np.hstack([eda, music]))
        )
        assert of_both > max(of_eda, of_music)
        assert share < (of_both - 0.5) / (rates[target, "both"] - 0.5) < 1.1


def test_picture_example_runs_as_it_stands(tmp_path, draw):
    given = draw("plot_generated_listener", "generated")
    assert (tmp_path / "generated.png").read_bytes().startswith(b"\x89PNG")
    assert len(given["parts"]) == given["known"].duration * given["study"].sampling_rate
