"""The tables of MAET, from a corpus in the format of SEED-VII whose windows hold the emotion."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat
from test_corpora import home as home  # a user without data or cache, for all tests
from test_seed_corpora import ORDER

from edaemo.cli import main
from edaemo.datasets import load_seed_vii
from edaemo.estimators import MAETClassifier
from edaemo.reproduction.maet import MAETSettings, format_maet, reproduce_maet

EMOTIONS = sorted(set(ORDER))
N_WINDOWS = 6


def write_person(root, person):
    """EEG tells four of the seven emotions from each other and from the rest, eyes the other three.

    The last two windows of a clip hold nothing, and their intensity is 0.
    """
    rng = np.random.default_rng(person)
    made = {"EEG_features": {}, "EYE_features": {}, "continuous_labels": {}}
    for clip, emotion in enumerate(ORDER, 1):
        code = EMOTIONS.index(emotion)
        eeg, eye = rng.normal(size=(N_WINDOWS, 5, 62)), rng.normal(size=(N_WINDOWS, 33))
        if code < 4:
            eeg[:-2, code, :40] += 3
        else:
            eye[:-2, code] += 8
        made["EEG_features"] |= {f"{kind}_{clip}": eeg for kind in ("psd", "de", "de_LDS")}
        made["EYE_features"][str(clip)] = eye
        made["continuous_labels"][str(clip)] = np.array([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]])
    for folder, variables in made.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        savemat(root / folder / f"{person}.mat", variables)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "SEED-VII"
    for person in (1, 2, 3):
        write_person(root, person)
    return root


def first_person(corpus):
    study = load_seed_vii(corpus, allow_partial=True, cache=False)
    study["trials"] = study.trials[study.trials["subject"] == "1"].reset_index(drop=True)
    study["targets"] = {"emotion": study.targets["emotion"][:80]}
    return study


def test_tables_have_the_accuracy_that_each_input_allows(corpus, tmp_path, monkeypatch):
    study = load_seed_vii(corpus, allow_partial=True, cache=False)
    settings = MAETSettings(
        ("cross-subject",), min_intensity=0.5, max_epochs=8, store=tmp_path / "folds.csv"
    )
    made = reproduce_maet(study, settings)
    table = made.table.set_index(["method", "input"])["mean"]
    # 12 clips of five emotions in 80 and 8, 12 of the other two: which ones does each input tell?
    counts = pd.Series(ORDER).value_counts()
    told_by_eeg, told_by_eye = counts[EMOTIONS[:4]].sum() / 80, counts[EMOTIONS[4:]].sum() / 80
    for method in ("MAET", "MAET, one model", "MAET without domain loss"):
        assert table[method, "EEG + Eye"] > 85
        # Of the emotions that an input does not tell, at best the most frequent one is guessed.
        for name, told, rest in (
            ("EEG", told_by_eeg, EMOTIONS[4:]),
            ("Eye", told_by_eye, EMOTIONS[:4]),
        ):
            most = 100 * (told + counts[rest].max() / 80)
            assert 100 * told - 12 < table[method, name] < most + 8, (method, name)
    assert (table["largest class"] == 100 * counts.max() / 80).all()
    assert made.people.groupby(["method", "input"])["n_windows"].unique().explode().eq(80 * 4).all()
    text = format_maet(made)
    row = made.table.set_index(["method", "input"]).loc["MAET"]
    cells = " | ".join(
        f"{row.loc[i, 'mean']:.2f} / {row.loc[i, 'deviation']:.2f}" for i in row.index
    )
    assert f"| MAET | {cells} |" in text
    assert "Windows of intensity below 0.5 are left out." in text

    # Finished folds are read from the file; another seed is another fold.
    monkeypatch.setattr(MAETClassifier, "fit", None)
    pd.testing.assert_frame_equal(reproduce_maet(study, settings).table, made.table)
    with pytest.raises(TypeError):
        reproduce_maet(study, settings._replace(random_state=1))


def test_intensity_weighs_the_training_windows(corpus, tmp_path, monkeypatch):
    seen = []
    fit = MAETClassifier.fit

    def record(self, X, y, subject=None, validation=None, sample_weight=None):
        seen.append((len(X), np.unique(sample_weight)))
        return fit(self, X, y, sample_weight=sample_weight)

    monkeypatch.setattr(MAETClassifier, "fit", record)
    study = first_person(corpus)
    settings = MAETSettings(
        ("subject-dependent",), intensity="weight", max_epochs=1, store=tmp_path / "folds.csv"
    )
    made = reproduce_maet(study, settings)
    # 60 of the 80 clips of a person train in each of four folds, for each input and for one model.
    assert [n for n, _ in seen] == [60 * N_WINDOWS] * 4 * 4
    assert all(weights.tolist() == [0, 1] for _, weights in seen)
    assert made.people["n_windows"].eq(80 * N_WINDOWS).all()
    with pytest.raises(ValueError, match="protocols must be of"):
        reproduce_maet(study, settings._replace(protocols=("trial",)))
    with pytest.raises(ValueError, match=r"min_intensity=2 leaves no window"):
        reproduce_maet(study, settings._replace(min_intensity=2))
    del study["trials"]["intensity"]
    with pytest.raises(ValueError, match="needs the intensity of each window"):
        reproduce_maet(study, settings)


def test_subject_dependent_folds_hold_out_five_clips_of_each_session(corpus, tmp_path):
    study = first_person(corpus)
    settings = MAETSettings(("subject-dependent",), max_epochs=1, store=tmp_path / "folds.csv")
    reproduce_maet(study, settings)
    folds = pd.read_csv(tmp_path / "folds.csv")
    assert folds.groupby(["person", "fold"]).ngroups == 4
    assert folds["n_windows"].eq(4 * 5 * N_WINDOWS).all()
    # In fold 0 the clips 6 to 20 of each session train.
    train = [emotion for place, emotion in enumerate(ORDER) if place % 20 >= 5]
    tested = [emotion for place, emotion in enumerate(ORDER) if place % 20 < 5]
    most = pd.Series(train).value_counts()
    guess = sorted(most[most == most.max()].index)[0]
    first = folds.query("fold == 0 and method == 'largest class'")
    assert first["n_correct"].eq(tested.count(guess) * N_WINDOWS).all()


def test_command(corpus, tmp_path, capsys):
    command = ["reproduce", "maet", "--path", str(corpus), "--allow-partial", "--epochs", "1"]
    command += ["--protocol", "cross-subject", "--out", str(tmp_path)]
    assert main([*command, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = [line["row"] for line in lines if "row" in line]
    assert len(rows) == 4 * 3
    assert {row["n_people"] for row in rows} == {3}
    assert main(command) == 0
    assert "## Cross-subject" in capsys.readouterr().out
    place = tmp_path / "seed-vii" / "maet"
    assert (place / "table.md").read_text(encoding="utf-8").count("| MAET") == 3
    assert len(pd.read_csv(place / "people.csv")) == 4 * 3 * 3
    with pytest.raises(SystemExit) as refused:
        main(["reproduce", "maet", "--path", str(corpus), "--out", str(tmp_path)])
    assert refused.value.code == 2
    assert "people" in capsys.readouterr().err
