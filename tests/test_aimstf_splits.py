"""The splits of AIMSTF's released code, on a study whose people and trials can be recognised."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import Bunch
from test_corpora import deap_table, write
from test_corpora import home as home  # a user without data or cache, for all tests
from test_corpora import short_deap as short_deap

from edaemo.cli import main
from edaemo.reproduction.aimstf import AIMSTFSettings, _reproduce, format_aimstf, reproduce_aimstf

N_PEOPLE, N_TRIALS, N_WINDOWS, RATE, N_CHANS = 4, 10, 6, 8, 16


def make_study(*, n_people=N_PEOPLE, seed=0) -> Bunch:
    """Each trial has its own level in each channel of EEG, and its rating is drawn at random.

    A model can recognise a trial of which it has seen windows, and nothing tells it the rating of
    another trial.
    """
    rng = np.random.default_rng(seed)
    keys = [(f"p{person}", f"v{trial}") for person in range(n_people) for trial in range(N_TRIALS)]
    n, n_samples = len(keys), N_WINDOWS * RATE
    level = rng.normal(size=(n, N_CHANS, 1))
    eeg = [*(3 * level + 0.3 * rng.normal(size=(n, N_CHANS, n_samples)))]
    eda = [*(0.1 * rng.normal(size=(n, n_samples)))]
    trials = pd.DataFrame(keys, columns=["subject", "stimulus"])
    trials["eda"], trials["eeg"] = pd.Series(eda, dtype=object), pd.Series(eeg, dtype=object)
    high = np.concatenate([rng.permutation(np.arange(N_TRIALS) % 2) for _ in range(n_people)])
    ratings = pd.DataFrame({"valence": 3 + 4.0 * high, "arousal": 7 - 4.0 * high})
    return Bunch(name="deap", trials=trials, ratings=ratings, sampling_rate=float(RATE))


@pytest.fixture
def fits(monkeypatch):
    """The recipe, and the numbers of validation and of all rows, of each fit.

    The nearest training window answers in place of the network. It knows a trial of which it has
    seen windows, as a network does that was trained long enough.
    """
    fits = []

    class Nearest(KNeighborsClassifier):
        def __init__(self, shapes, recipe, max_epochs, random_state, patience=None):
            super().__init__(n_neighbors=1)
            self.shapes, self.recipe, self.patience = shapes, recipe, patience
            self.max_epochs, self.random_state = max_epochs, random_state

        def fit(self, X, y, validation=None):
            n_aside = None if validation is None else validation.sum()
            fits.append((self.recipe, n_aside, len(X)))
            trains = slice(None) if validation is None else ~validation
            return super().fit(X[trains], y[trains])

    monkeypatch.setattr(_reproduce, "AIMSTFClassifier", Nearest)
    return fits


def test_windows_of_training_trials_score_high_and_held_out_people_are_at_chance(tmp_path, fits):
    study = make_study()
    protocols = ("released-windows", "windows", "subject")
    settings = AIMSTFSettings(protocols, store=tmp_path / "folds.csv")
    made = reproduce_aimstf(study, settings)
    with_test = [("default", 48, 240)] * 5
    assert fits == with_test + [("default", None, 192)] * 5 + [("default", None, 180)] * 4
    scores = made.table.set_index(["protocol", "method"])["mean"]
    assert scores["released-windows", "AIMSTF"] == 100
    assert scores["windows", "AIMSTF"] == 100
    # 40 trials with ratings like coin flips: two standard errors are 16 points.
    assert 34 <= scores["subject", "AIMSTF"] <= 66
    assert scores["subject", "largest class"] == 50
    assert (made.table["n_people"] == N_PEOPLE).all()

    audits = made.audits.set_index("protocol")
    assert audits.loc["windows", "share_of_windows"] == 0
    assert audits.loc["windows", "subjects_shared"] == N_PEOPLE
    # Training has four fifths of the windows, and the test windows are another draw.
    assert 70 < audits.loc["released-windows", "share_of_windows"] < 90
    assert "Leak" in audits.loc["released-windows", "verdict"]
    assert audits.loc["subject", "subjects_shared"] == 0
    assert audits.loc["subject", "n_test"] == N_TRIALS * N_WINDOWS
    text = format_aimstf(made)
    row = made.table.query("protocol == 'subject' and method == 'AIMSTF'").iloc[0]
    assert f"{row['mean']:.2f} / {row['deviation']:.2f} | 0 % |" in text
    assert text.count("| people held out |") == 1

    # Finished folds are read from the file; another seed is another fold.
    done = len(fits)
    pd.testing.assert_frame_equal(reproduce_aimstf(study, settings).table, made.table)
    assert len(fits) == done
    reproduce_aimstf(study, settings._replace(random_state=1))
    assert len(fits) == 2 * done


def test_released_draws_of_a_person_overlap_by_the_share_of_training_trials(tmp_path, fits):
    study = make_study(n_people=12)
    protocols = ("released-per-subject", "per-subject")
    settings = AIMSTFSettings(protocols, store=tmp_path / "folds.csv")
    made = reproduce_aimstf(study, settings)
    audits = made.audits.set_index("protocol")
    # Half of the trials train. Of the half that is tested, half is expected in training.
    n_half = N_TRIALS * N_WINDOWS / 2
    assert (audits[["n_training", "n_test"]] == n_half).all(axis=None)
    assert 35 < audits.loc["released-per-subject", "share_of_windows"] < 65
    assert audits.loc["per-subject", "share_of_windows"] == 0
    assert (audits["subjects_shared"] == 1).all()
    # In the released split the test windows choose the epoch.
    assert fits == [("per-subject", n_half, 2 * n_half)] * 12 + [("per-subject", None, n_half)] * 12

    mahnob = Bunch(**study | {"name": "mahnob-hci"})
    made = reproduce_aimstf(mahnob, settings._replace(store=tmp_path / "other.csv"))
    audits = made.audits.set_index("protocol")
    assert (audits["n_training"] == 0.8 * N_TRIALS * N_WINDOWS).all()
    assert 65 < audits.loc["released-per-subject", "share_of_windows"] < 95


def test_classes_are_those_of_the_released_code():
    study = make_study(n_people=1)
    valence, arousal = [4.9, 5.0, 5.1, 9, 1], [1, 9, 5, 6, 8]
    study.ratings = pd.DataFrame({"valence": valence * 2, "arousal": arousal * 2})
    of = {
        target: _reproduce.cut_windows(study, target, 1.0).y[::N_WINDOWS][:5].tolist()
        for target in ("valence", "arousal", "quadrants")
    }
    # Low below 5; in the quadrants high above 5.
    assert of == {
        "valence": [0, 1, 1, 1, 0],
        "arousal": [0, 1, 1, 1, 1],
        "quadrants": [0, 1, 2, 3, 1],
    }


def test_windows_hold_the_samples_of_their_second_and_gaps_are_left_out():
    study = make_study(n_people=1)
    # A sample of a second that is not full.
    study.trials.at[2, "eda"] = np.append(study.trials["eda"][2], 7.0)
    study.trials.at[2, "eeg"] = np.hstack([study.trials["eeg"][2], np.ones((N_CHANS, 1))])
    study.trials["eda"][1][RATE] = np.nan
    windows = _reproduce.cut_windows(study, "valence", 1.0)
    assert windows.n_dropped == 1
    assert len(windows.X) == N_TRIALS * N_WINDOWS - 1
    row = windows.about.query("recording == 2 and start == 3").index[0]
    expected = [study.trials["eda"][2][24:32], *study.trials["eeg"][2][:, 24:32]]
    np.testing.assert_array_equal(windows.X[row], np.concatenate(expected).astype(np.float32))
    assert windows.shapes == {"eda": (1, RATE), "eeg": (N_CHANS, RATE)}


def test_what_cannot_be_split_is_refused(tmp_path):
    study = make_study(n_people=1)
    settings = AIMSTFSettings(max_epochs=1, store=tmp_path / "folds.csv")

    def refuse(match, study=study, **changes):
        with pytest.raises(ValueError, match=match):
            reproduce_aimstf(study, settings._replace(**changes))

    refuse("'trial' must be one of released-per-subject", protocols=("trial",))
    refuse("'liking' must be one of valence", target="liking")
    refuse("one person only", protocols=("subject",))
    refuse("A window of 0.01 s has no sample", seconds=0.01)
    refuse("no window of 100 s", seconds=100.0)
    refuse("has no column eeg", Bunch(**study | {"trials": study.trials.drop(columns="eeg")}))
    same = study.ratings.assign(valence=7.0)
    refuse(
        r"Fold 0 of per-subject \(p0\)",
        Bunch(**study | {"ratings": same}),
        protocols=("per-subject",),
    )
    unrated = Bunch(**study | {"ratings": same * np.nan})
    refuse("subject p0, stimulus v0.* has no rating of valence", unrated)
    study.trials.at[3, "eda"] = study.trials["eda"][3][1:]
    refuse(r"subject p0, stimulus v3.*: eda and eeg differ in length")


def test_command(short_deap, tmp_path, capsys):
    files = {f"s0{number}.dat": short_deap(number) for number in (1, 2)}
    root = write(tmp_path / "deap", {**files, "participant_ratings.csv": deap_table([1, 2])})
    command = ["reproduce", "aimstf", "deap", "--path", str(root), "--allow-partial"]
    command += ["--window", "0.0625", "--epochs", "1", "--out", str(tmp_path)]
    command += ["--protocol", "released-per-subject", "subject"]
    assert main([*command, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len([line for line in lines if "row" in line]) == 2 * 2
    audits = [line["audit"] for line in lines if "audit" in line]
    assert [audit["n_training"] for audit in audits] == [20 * 2, 40 * 2]
    assert main(command) == 0
    assert "What training and test share" in capsys.readouterr().out
    place = tmp_path / "deap" / "aimstf" / "valence"
    assert len(pd.read_csv(place / "audit.csv")) == 2
    assert len(pd.read_csv(place / "people.csv")) == 2 * 2 * 2
    with pytest.raises(SystemExit) as refused:
        main([*command, "--protocol", "trial"])
    assert refused.value.code == 2
    assert "must be one of" in capsys.readouterr().err
